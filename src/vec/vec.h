/* vec: float vectors and matrices. Inner products, L2 norms, 16-bit conversions, matrix product
 * with weights packed in panels, and the bounded top-k. One file per instruction set; the set is
 * chosen once at start. Pure computation: no I/O, no locks.
 *
 * Every kernel gives the same bits for one row whether it is computed alone or among others, so
 * equal vectors have equal scores. Between instruction sets results differ by rounding only. */
#ifndef VT_VEC_H
#define VT_VEC_H

#include "base/base.h"

/* Chooses the instruction set: `isa` is "scalar", "avx2", "avx512", "avx512_bf16" (with vdpbf16ps
 * and vpdpbusd), "amx" (the same with tiles) or "neon"; NULL or "auto" takes the best the machine
 * has. E_INVALID for an unknown name or one the machine lacks. Call before any other function here
 * and before threads start; calling again chooses again (tests do). */
vt_status vt_vec_init(const char *isa, vt_err *err) VT_MUST_USE;
const char *vt_vec_isa(void); /* the name chosen */
/* Names this build and this machine can run, best first; NULL-terminated, static. */
const char *const *vt_vec_isas(void);

/* <a, b>, n >= 0 floats each; no alignment needed. */
float vt_vec_dot(const float *a, const float *b, size_t n);
/* out[r] = <q, rows[r]> for r in [0, n_rows); rows are `dim` floats each, contiguous. */
void vt_vec_dot_rows(const float *q, const float *rows, size_t n_rows, size_t dim, float *out);
/* Divides x by its L2 norm and returns that norm. When the norm is 0 or not finite x is left as
 * it is and the return is 0: such a vector must not reach an index. */
float vt_vec_normalize(float *x, size_t n) VT_MUST_USE;
void vt_vec_from_f16(float *out, const uint16_t *in, size_t n);  /* IEEE 754 binary16 */
void vt_vec_from_bf16(float *out, const uint16_t *in, size_t n); /* the upper half of binary32 */

/* ---- packed matrix ---------------------------------------------------------------------- */

/* How numbers in files are written. */
typedef enum vt_dtype { VT_F32, VT_F16, VT_BF16 } vt_dtype;
size_t vt_dtype_size(vt_dtype t);

/* How weights are held and multiplied. Sums are always wide: binary32, or 32-bit integers.
 *   f32   as they are, or nearly: see vt_mat.compact
 *   bf16  weights and inputs rounded to the nearest bfloat16 (8 bits of precision)
 *   int8  weights in 8 bits with one scale an output, inputs in 8 bits with one scale a row, found
 *         as the row comes (Jacob et al. 2018, symmetric; "dynamic" quantisation) */
typedef enum vt_precision {
    VT_PRECISION_AUTO, /* vt_vec_best_precision(): what a matrix has is never this */
    VT_PRECISION_F32,
    VT_PRECISION_BF16,
    VT_PRECISION_INT8,
} vt_precision;
#define VT_PRECISIONS 4

const char *vt_precision_name(vt_precision p); /* "auto", "f32", "bf16", "int8" */
/* E_INVALID, naming the four, for any other text. */
vt_status vt_precision_parse(const char *text, vt_precision *out, vt_err *err) VT_MUST_USE;
/* bf16 where the instruction set chosen multiplies it in hardware, f32 elsewhere. */
vt_precision vt_vec_best_precision(void);

/* Does the instruction set chosen multiply compact panels of that precision, on this processor, at
 * least as fast as others, however many rows there are? */
bool vt_vec_compacts(vt_precision p);

/* Weights W of a linear layer, [n_out][n_in] row-major as PyTorch stores nn.Linear, packed in
 * panels of 32 output columns (the last one padded with zeros). A description of memory that it
 * does not own: the panels of a whole model lie one behind the other in one block, which may be the
 * map of a file. Immutable once packed, so any number of threads may multiply with it.
 *
 * Compact panels are for products that take as long as their weights take to be read: 24 bits in
 * place of 32 in f32, 12 in place of 16 in bf16, with a scale s for each output: the power of two
 * at or below its largest weight (as rounded to bf16, and 2^-90 at least). In f32 weights are
 * rounded to multiples of 2^-22 s, and in bf16 only those below 2^-13 s are changed, to that or to
 * 0, whichever is nearer. int8 is never compact. */
typedef struct vt_mat {
    vt_precision precision;
    bool compact;
    size_t n_out, n_in;
    const void *panels; /* vt_mat_bytes() of them, 64-byte aligned */
} vt_mat;

/* Rises with every change of what panels look like: whoever keeps them in a file compares it. */
#define VT_MAT_LAYOUT 2

/* Bytes of the panels, a multiple of 64; false where a size is 0 or the product too large. */
bool vt_mat_bytes(const vt_mat *m, size_t *bytes) VT_MUST_USE;

/* Rows of W, one part after the other: fused Q, K and V are three. */
typedef struct vt_mat_part {
    vt_dtype type;
    const void *w; /* [n_out][n_in], needs no alignment */
    size_t n_out;
    float scale; /* multiplies every weight before it is rounded */
} vt_mat_part;

/* Writes the panels of m to `panels`; the parts' n_out add up to m's. Returns what being compact
 * takes from weights that are small beside the largest of their output, where these are most of
 * them: of the output it takes most from, the L2 norm of what they are changed by, to theirs. 0
 * where most weights of all outputs are larger than a 256th of s, or not compact. */
float vt_mat_pack(const vt_mat *m, const vt_mat_part *parts, size_t n_parts, void *panels);

typedef enum vt_act {
    VT_ACT_NONE,
    VT_ACT_QUICK_GELU, /* x * sigmoid(1.702 x), CLIP's original */
    VT_ACT_GELU,       /* x/2 * (1 + erf(x / sqrt 2)), exact */
} vt_act;

/* Layer normalisation (Ba et al. 2016): (x - mean) / sqrt(var + eps) * gain + bias, population
 * variance, double accumulation where it matters. */
typedef struct vt_norm {
    const float *gain, *bias;
    float eps;
} vt_norm;

typedef struct vt_mat_mul_args {
    const float *x; /* [rows][n_in], row stride x_stride numbers */
    float *y;       /* [rows][n_out], row stride y_stride numbers; must not overlap x */
    /* The same in bfloat16, in place of x or of y: what one product of bf16 rounds to and the next
     * one reads. With x_bf16 there is no norm, with y_bf16 no residual. */
    const uint16_t *x_bf16;
    uint16_t *y_bf16;
    size_t rows;
    size_t x_stride, y_stride;
    const vt_norm *norm; /* applied to each row of x first, or NULL */
    const float *bias;   /* [n_out] or NULL */
    /* [rows][n_out], row stride y_stride, added last; may equal y; or NULL */
    const float *residual;
    vt_act act;     /* applied after the bias, before the residual */
    float *scratch; /* vt_mat_scratch() floats, 64-byte aligned */
} vt_mat_mul_args;

/* Floats of working memory of a product with that many rows; false when that overflows. */
bool vt_mat_scratch(size_t n_in, size_t rows, size_t *floats) VT_MUST_USE;
/* y = act(norm(x) W^T + bias) + residual. The parallel loop is over panels and groups of rows. */
void vt_mat_mul(const vt_mat *w, const vt_mat_mul_args *args, vt_pool *pool);

void vt_vec_layer_norm(float *y, const float *x, size_t rows, size_t n, const vt_norm *norm);
/* x := softmax(x), in place, n >= 1; the maximum is subtracted first. */
void vt_vec_softmax(float *x, size_t n);

/* ---- attention -------------------------------------------------------------------------- */

/* One head of attention (Vaswani et al. 2017) over one sequence, in binary32: out = softmax(Q K^T)
 * V, the scale being in Q already. Rows of Q, K and V begin `stride` floats one after the other. */
typedef struct vt_attention {
    const float *k, *v;
    size_t rows, dim, stride;
    bool causal;         /* row r sees rows 0..r only */
    size_t first, count; /* the rows that ask: [first, first + count) */
    const float *q;      /* of these alone: the row of `first`, and so on */
    float *out;          /* likewise, out_stride floats from one to the next */
    size_t out_stride;
    float *scratch; /* vt_attention_scratch() floats, 64-byte aligned */
} vt_attention;

bool vt_attention_scratch(size_t rows, size_t dim, size_t *floats) VT_MUST_USE;
void vt_vec_attend(const vt_attention *a);

/* ---- rows of 12 bits -------------------------------------------------------------------- */

/* Numbers n in -2048..2047, by groups of VT_FINE_GROUP: first the upper 8 bits of n + 2048, a byte
 * each, then the lower 4, byte j holding those of number j and, in its high half, of 16 + j. */
#define VT_FINE_GROUP       32
#define VT_FINE_GROUP_BYTES 48

static inline size_t vt_fine_groups(size_t dim) {
    return dim / VT_FINE_GROUP + (dim % VT_FINE_GROUP != 0);
}

/* The sum of q[i] times number i of the row; q has VT_FINE_GROUP * groups floats. */
float vt_vec_fine_dot(const float *q, const uint8_t *row, size_t groups);

/* ---- codes of 4 bits -------------------------------------------------------------------- */

/* Rows of numbers in 0..15, packed by blocks of VT_CODE_ROWS rows so that one lane of a vector is
 * one row and no sum crosses lanes. A block is [words][VT_CODE_ROWS] words of 4 bytes; byte j of
 * word w holds number 8w + j of its row in the low half and number 8w + 4 + j in the high. */
#define VT_CODE_ROWS 16

static inline size_t vt_code_words(size_t dim) {
    return dim / 8 + (dim % 8 != 0);
}

/* What one query asks of every row: out = scale * (step * sum + offset) + centre * (1 + along) +
 * slack * error, the sum being that of the row's codes times the query's numbers. */
typedef struct vt_code_query {
    const int8_t *numbers; /* [8 * words], -127..127 */
    size_t words;
    float step, offset, centre, slack;
} vt_code_query;

typedef struct vt_code_block {
    const uint8_t *codes;               /* 64-byte aligned */
    const float *scale, *along, *error; /* [VT_CODE_ROWS] each */
} vt_code_block;

/* Scores of one block's rows, out[VT_CODE_ROWS]; the bits returned tell which are not below `floor`
 * (a NaN is not). */
uint32_t vt_vec_code_scores(const vt_code_query *q, const vt_code_block *block, float floor,
                            float *out);

/* ---- top-k ------------------------------------------------------------------------------ */

typedef struct vt_hit {
    float score;
    uint32_t slot;
} vt_hit;

/* true when slot a goes before slot b at equal scores; a total order (product ids, for us). */
typedef bool (*vt_tie_fn)(void *ctx, uint32_t a, uint32_t b);

/* The k best of the hits offered so far: a heap whose root is the worst kept. hits has room for k
 * and is the caller's; tie NULL orders equal scores by slot. */
typedef struct vt_topk {
    vt_hit *hits;
    size_t k, n;
    vt_tie_fn tie;
    void *tie_ctx;
} vt_topk;

void vt_topk_init(vt_topk *t, vt_hit *hits, size_t k, vt_tie_fn tie, void *tie_ctx);
/* The score a hit must reach to be worth offering (-inf while not full). */
float vt_topk_floor(const vt_topk *t);
void vt_topk_offer(vt_topk *t, float score, uint32_t slot); /* NaN is ignored */
void vt_topk_sort(vt_topk *t);                              /* best first; the heap is spent */

#endif
