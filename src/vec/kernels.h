/* Private to vec: the table of kernels that each instruction set fills, and the shapes on which
 * the matrix product (matrix.c) and the kernels agree.
 *
 * A product is computed tile by tile: `tile` adds the contribution of a run of `depth` inputs to
 * the sums of up to `tile_rows` rows by VT_PANEL columns, kept in memory between runs. Every sum
 * is one chain of additions in the order of the inputs, whatever the tile, the thread or the
 * number of rows: that is what makes a row's result independent of its neighbours. */
#ifndef VT_VEC_KERNELS_H
#define VT_VEC_KERNELS_H

#include "vec/vec.h"

#define VT_PANEL       32  /* output columns of one weight panel */
#define VT_TILE_ROWS   13  /* most rows any kernel takes at once */
#define VT_TILE_DEPTH  256 /* most inputs of one run: 13 rows of them stay in the L1 cache */
/* Floats between two rows of a tile's inputs. The 16 beyond the depth move each row to another
 * cache set: at a power of two all 13 rows would compete for the same one. */
#define VT_TILE_STRIDE (VT_TILE_DEPTH + 16)

#define VT_AHEAD_EVERY 16
#define VT_LINE_FLOATS 16 /* 64 bytes */

/* sum[r][c] += x[r][i] * w[i][c] for i < depth, r < rows, c < VT_PANEL. Rows of sum and of w are
 * VT_PANEL floats apart and 64-byte aligned, rows of x VT_TILE_STRIDE. */
typedef struct vt_tile {
    float *sum;
    const float *x, *w;
    size_t rows, depth; /* 1..tile_rows, 1..VT_TILE_DEPTH */
    const float *ahead; /* weights that are wanted soon: on their way while this computes */
    size_t ahead_lines; /* of VT_LINE_FLOATS, for every VT_AHEAD_EVERY inputs */
} vt_tile;

typedef struct vt_kernels {
    const char *name;
    size_t tile_rows; /* <= VT_TILE_ROWS */

    float (*dot)(const float *a, const float *b, size_t n);
    void (*dot_rows)(const float *q, const float *rows, size_t n_rows, size_t dim, float *out);
    void (*from_f16)(float *out, const uint16_t *in, size_t n);
    void (*from_bf16)(float *out, const uint16_t *in, size_t n);
    void (*softmax)(float *x, size_t n);
    void (*layer_norm)(float *y, const float *x, size_t n, const float *gain, const float *bias,
                       float eps); /* one row */

    void (*tile)(const vt_tile *t);
    /* y = act(sum + bias) + residual, VT_PANEL floats each. */
    void (*finish)(float *y, const float *sum, const float *bias, const float *residual,
                   vt_act act);
} vt_kernels;

extern const vt_kernels vt_kernels_scalar;
extern const vt_kernels vt_kernels_avx2;
extern const vt_kernels vt_kernels_avx512;
extern const vt_kernels vt_kernels_neon;

/* The table chosen by vt_vec_init; the scalar one before that. */
const vt_kernels *vt_vec_kernels(void);

#endif
