/* vec: float vectors and matrices. Inner products, L2 norms, 16-bit conversions, matrix product
 * with weights packed in panels, and the bounded top-k. One file per instruction set; the set is
 * chosen once at start. Pure computation: no I/O, no locks.
 *
 * Every kernel gives the same bits for one row whether it is computed alone or among others, so
 * equal vectors have equal scores. Between instruction sets results differ by rounding only. */
#ifndef VT_VEC_H
#define VT_VEC_H

#include "base/base.h"

/* Chooses the instruction set: `isa` is "scalar", "avx2", "avx512" or "neon"; NULL or "auto" takes
 * the best the machine has. E_INVALID for an unknown name or one the machine lacks. Call before
 * any other function here and before threads start; calling again chooses again (tests do). */
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

typedef enum vt_dtype { VT_F32, VT_F16, VT_BF16 } vt_dtype;
size_t vt_dtype_size(vt_dtype t);

/* Weights W of a linear layer, [n_out][n_in] row-major as PyTorch stores nn.Linear, packed in
 * panels of 32 output columns (the last one padded with zeros), as binary32 whatever they came as.
 * Immutable once packed, so any number of threads may multiply with it. */
typedef struct vt_mat vt_mat;

/* w needs no alignment. E_INVALID for a size of 0, E_TOO_LARGE, E_NOMEM. */
vt_status vt_mat_pack(vt_dtype type, const void *w, size_t n_out, size_t n_in, vt_mat **out,
                      vt_err *err) VT_MUST_USE;
/* Packs several matrices of one n_in and one type side by side (fused Q, K, V). */
vt_status vt_mat_pack_many(vt_dtype type, const void *const *w, const size_t *n_out, size_t count,
                           size_t n_in, vt_mat **out, vt_err *err) VT_MUST_USE;
void vt_mat_close(vt_mat *m);
size_t vt_mat_n_out(const vt_mat *m);
size_t vt_mat_n_in(const vt_mat *m);
size_t vt_mat_bytes(const vt_mat *m);

typedef enum vt_act {
    VT_ACT_NONE,
    VT_ACT_QUICK_GELU, /* x * sigmoid(1.702 x), CLIP's original */
    VT_ACT_GELU,       /* x/2 * (1 + erf(x / sqrt 2)), exact */
} vt_act;

typedef struct vt_mat_mul_args {
    const float *x; /* [rows][n_in], row stride x_stride floats */
    float *y;       /* [rows][n_out], row stride y_stride floats; must not overlap x */
    size_t rows;
    size_t x_stride, y_stride;
    const float *bias; /* [n_out] or NULL */
    const float
        *residual; /* [rows][n_out], row stride y_stride, added last; may equal y; or NULL */
    vt_act act;    /* applied after the bias, before the residual */
} vt_mat_mul_args;

/* y = act(x W^T + bias) + residual. The parallel loop is over panels and row blocks. */
void vt_mat_mul(const vt_mat *w, const vt_mat_mul_args *args, vt_pool *pool);

/* Layer normalisation of each row (Ba et al. 2016): y = (x - mean) / sqrt(var + eps) * gain + bias,
 * population variance, double accumulation where it matters. y may equal x. Rows are contiguous. */
void vt_vec_layer_norm(float *y, const float *x, size_t rows, size_t n, const float *gain,
                       const float *bias, float eps);
/* x := softmax(x), in place, n >= 1; the maximum is subtracted first. */
void vt_vec_softmax(float *x, size_t n);

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
