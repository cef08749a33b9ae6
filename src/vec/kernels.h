/* Private to vec: the table of kernels that each instruction set fills, and the shapes on which
 * the matrix product (matrix.c), attention (attention.c) and the kernels agree.
 *
 * Everything a product touches is in words of 4 bytes: one input of f32, two of bf16, four of int8.
 * A panel is [groups][VT_PANEL] such words, the inputs of a row are [groups], and whatever the
 * precision a step of a kernel multiplies one word of each row with VT_PANEL words of weights. So
 * there is one packing, one loop over tiles and one shape of kernel; only the instruction that
 * multiplies two words differs. Compact panels hold words of weights in 3 bytes, which a kernel
 * makes wide as it reads them.
 *
 * `multiply` computes one panel for a group of rows, in whatever tiles its registers hold. Every
 * sum is one chain of additions in the order of the inputs, whatever the tile, the thread or the
 * number of rows: that is what makes a row's result independent of its neighbours. */
#ifndef VT_VEC_KERNELS_H
#define VT_VEC_KERNELS_H

#include "vec/vec.h"

#include <float.h>

#define VT_PANEL        32 /* output columns of one weight panel */
#define VT_GROUP_RUN    16 /* groups are a multiple of this, padded with zeros: one AMX tile */
/* Most rows of one call: their inputs stay in the L2 cache while panel after panel passes. */
#define VT_GROUP_ROWS   256
#define VT_SPARE_ROWS   16 /* of sums: the last of several tiles may reach beyond the rows */
/* Words between two rows of inputs are padded by this: it moves each row to another cache set,
 * where at a power of two all rows of a tile would compete for the same one. */
#define VT_ROW_PADDING  16
#define VT_COMPACT_WORD 3 /* bytes of a word of weights in a compact panel */

/* sum[r][c] = the products of words x[r][g] and w[g][c], over g < groups, for r < rows and c <
 * VT_PANEL. Rows of sum and groups of w are VT_PANEL words each; both begin 64-byte aligned. What
 * lies behind the panel is likely to be wanted next. */
typedef struct vt_panel_product {
    void *sum; /* float, or int32_t for int8; VT_SPARE_ROWS rows longer than needed */
    const uint32_t *x;
    const void *w;   /* words of 4 bytes; or of 3, and then 16 bytes behind them can be read too */
    size_t x_stride; /* words */
    size_t rows, groups; /* 1..VT_GROUP_ROWS; a multiple of VT_GROUP_RUN */
} vt_panel_product;

typedef void (*vt_multiply_fn)(const vt_panel_product *p);

/* ---- compact words ------------------------------------------------------------------------ */

/* A group of f32, one word a column: the upper three bytes of a 32-bit integer, low byte first.
 *
 * A group of bf16, two numbers a column: 64 bytes with the lower halves of the numbers, then 32
 * with four bits for each upper half, those of places 0 to 31 in the lower four. These bits are the
 * sign and e: the upper half is the sign and 0x38 + e, or 0 where e is 0. So a number is 0, or from
 * 2^-13 to below 2.
 *
 * A column's two numbers stand side by side, at the place where interleaving 64 lower halves with
 * 64 upper ones, by every 16 bytes, makes two vectors of words: the columns in their order. */
static inline size_t vt_compact_place(size_t column) {
    return column % 16 / 4 * 16 + column / 16 * 8 + column % 4 * 2;
}

/* ---- a product ---------------------------------------------------------------------------- */

/* What stands behind the words of a panel of int8; behind a compact one only the scales. */
typedef struct vt_columns {
    float scale[VT_PANEL];
    int32_t offset[VT_PANEL]; /* 128 times the sum of the column's weights: inputs are stored as
                               * 0..255, 128 above what they are, because vpdpbusd wants them so */
} vt_columns;

/* What numbers up to `most` in magnitude are multiplied by to lie in -127..127. 0 where most is 0
 * or NaN, and where it is so near 0 that the quotient has no finite value: all of them count as 0.
 */
static inline float vt_int8_inverse(float most) {
    return most > 127 / FLT_MAX ? 127 / most : 0;
}

/* y = act(scale * sum + bias) + residual, for `rows` rows of VT_PANEL floats, or y_bf16 that
 * without residual, rounded. Of int8, scale * row_scale * (sum - offset) + bias. */
typedef struct vt_finish {
    float *y;
    uint16_t *y_bf16;           /* NULL where y is wanted */
    const float *sum;           /* rows VT_PANEL words apart */
    const float *scales, *bias; /* [VT_PANEL] */
    const int32_t *offsets;     /* [VT_PANEL] where sums are of int8, else NULL */
    const float *row_scales;    /* [rows] where sums are of int8 */
    const float *residual;
    size_t rows, y_stride, residual_stride;
    vt_act act;
} vt_finish;

typedef struct vt_kernels {
    const char *name;
    bool multiplies_bf16; /* in hardware */

    float (*dot)(const float *a, const float *b, size_t n);
    void (*dot_rows)(const float *q, const float *rows, size_t n_rows, size_t dim, float *out);
    void (*from_f16)(float *out, const uint16_t *in, size_t n);
    void (*from_bf16)(float *out, const uint16_t *in, size_t n);
    float (*fine_dot)(const float *q, const uint8_t *row, size_t groups);
    uint32_t (*code_scores)(const vt_code_query *q, const vt_code_block *block, float floor,
                            float *out);
    void (*softmax)(float *x, size_t n);
    void (*layer_norm)(float *y, const float *x, size_t n, const vt_norm *norm); /* one row */

    vt_multiply_fn multiply[VT_PRECISIONS];         /* none for auto */
    vt_multiply_fn multiply_compact[VT_PRECISIONS]; /* none where there is no fast way */
    /* Rounds n floats to words of two, or of four; to may be from. */
    void (*to_bf16)(void *to, const float *from, size_t n);
    float (*to_int8)(void *to, const float *from, size_t n); /* the scale: 127 times it is the
                                                              * largest magnitude */
    void (*finish)(const vt_finish *f);
    /* panel[c][r] = from[r][c]: n <= VT_PANEL rows of that many columns, vectors to multiply by,
     * are laid out as a panel. Zeros for the rows up to VT_PANEL and the columns up to a multiple
     * of VT_GROUP_RUN. */
    void (*transpose)(float *panel, const float *from, size_t stride, size_t n, size_t columns);
} vt_kernels;

extern const vt_kernels vt_kernels_scalar;
extern const vt_kernels vt_kernels_avx2;
extern const vt_kernels vt_kernels_avx512;
extern const vt_kernels vt_kernels_avx512_bf16;
extern const vt_kernels vt_kernels_amx;
extern const vt_kernels vt_kernels_neon;

/* The table chosen by vt_vec_init; the scalar one before that. */
const vt_kernels *vt_vec_kernels(void);

/* Inputs in one word of 4 bytes. */
static inline size_t vt_inputs_per_word(vt_precision p) {
    return p == VT_PRECISION_INT8 ? 4 : p == VT_PRECISION_BF16 ? 2 : 1;
}

static inline size_t vt_mat_groups(const vt_mat *m) {
    size_t step = VT_GROUP_RUN * vt_inputs_per_word(m->precision);
    return (m->n_in + step - 1) / step * VT_GROUP_RUN;
}

static inline size_t vt_group_bytes(bool compact) {
    return VT_PANEL * (compact ? VT_COMPACT_WORD : sizeof(uint32_t));
}

/* Of the words of a panel. */
static inline size_t vt_words_bytes(const vt_mat *m) {
    return vt_mat_groups(m) * vt_group_bytes(m->compact);
}

/* From one panel to the next: behind the words stands what belongs to their columns. */
static inline size_t vt_panel_bytes(const vt_mat *m) {
    const bool whole = m->precision == VT_PRECISION_INT8;
    const size_t scales = offsetof(vt_columns, offset);
    return vt_words_bytes(m) + (whole ? sizeof(vt_columns) : m->compact ? scales : 0);
}

/* Start of part `i` when n things are dealt to `parts`; i == parts gives n. */
static inline size_t vt_part_start(size_t n, size_t parts, size_t i) {
    size_t larger = n % parts; /* that many parts have one more */
    return i * (n / parts) + (i < larger ? i : larger);
}

#endif
