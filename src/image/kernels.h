/* The kernels of the bicubic resize, a table for each instruction set, and the weights laid out as
 * they want them.
 *
 * A result is a sum of pixel x weight, of 8 and of 24 bits, that must be right to the last bit. No
 * vector instruction sums such products, but some multiply 8- or 16-bit fields of 32-bit words and
 * add the products up (vpdpbusd, vpmaddwd). So a weight is written in balanced digits of the
 * field's width, w = d0 + d1 * B + d2 * B^2; each digit has a sum of its own, and at the end the
 * sums are put together, modulo 2^32, as the plain sum would be.
 *
 *   kernels   taps (fields of a word)   digits   lanes
 *   scalar    1 of 32 bits              1         1
 *   neon      1 of 32 bits              1         4
 *   avx2      2 of 16 bits              2         8
 *   avx512    4 of  8 bits              3        16
 *
 * A lane is one byte of a result row, whatever its channel, so that grey, RGB and RGBA are the same
 * to a kernel. The horizontal pass takes `taps` source rows at once and leaves a strip: a word for
 * each lane with the results of these rows in its fields, which is what the vertical pass
 * multiplies.
 *
 * Rejected: weights of 16 bits in all, as Pillow-SIMD has them (they round differently); vpmulld
 * (two cycles a tap); float32 (its 24 bits hold one product, not the sum). */
#ifndef VT_IMAGE_KERNELS_H
#define VT_IMAGE_KERNELS_H

#include "image/internal.h"

/* Of a weight's fraction: 32 less 8 of the pixel, less 2 so that the overshoot of a cubic fits. */
#define VT_WEIGHT_BITS 22
/* Half of the last place that is kept: a sum that starts with it is rounded when it is cut. */
#define VT_WEIGHT_HALF (1 << (VT_WEIGHT_BITS - 1))

#define VT_TAPS_MAX    4
/* A kernel may read as many bytes beyond the end of a source row, and ignores them. */
#define VT_ROW_SLACK   64
/* Lanes of a strip come in multiples of this, so that the vertical pass needs no narrow steps. */
#define VT_STRIP_LANES 64

typedef struct vt_kernel_shape {
    unsigned lanes, taps, digits;
    unsigned
        window; /* bytes out of which one instruction picks those of window / 4 lanes: a part */
} vt_kernel_shape;

/* Weights of the horizontal pass. Lane l of block b is byte b * lanes + l of the result row. Its
 * source pixels are multiplied in `groups` of `taps`; the bytes of a group are picked from
 * pieces[b] windows of the row. */
typedef struct vt_resize_columns {
    size_t blocks, groups;
    size_t step;      /* bytes from the windows of one group to those of the next */
    size_t stride;    /* room for so many pieces of a block */
    uint8_t *pieces;  /* [blocks] */
    uint32_t *offset; /* [blocks][stride][parts]: where in the row a window begins */
    uint8_t *pick; /* [blocks][stride][lanes * 4]: a byte of the window; 0x80: not from this one */
    uint32_t *weight; /* [blocks][groups][digits][lanes] */
} vt_resize_columns;

/* Weights of the vertical pass. Strip s is made of source rows [s * taps, s * taps + taps). */
typedef struct vt_lines {
    size_t width;     /* bytes of a result row */
    size_t count;     /* result rows */
    size_t stride;    /* the most strips that one needs */
    size_t kept;      /* so many of the latest strips may still be needed */
    uint32_t *first;  /* [count]: the first strip of a row, */
    uint32_t *n;      /* [count]: and their number */
    uint32_t *weight; /* [count][stride][digits] */
} vt_lines;

typedef struct vt_resize_kernels {
    vt_kernel_shape shape;
    /* groups * taps weights to groups * digits words. */
    void (*digits)(const int32_t *weight, size_t groups, uint32_t *words);
    /* `taps` source rows to a strip of blocks * lanes words. */
    void (*horizontal)(const vt_resize_columns *c, const uint8_t *const *rows, uint32_t *strip);
    /* The n[i] strips of result row i to its `width` bytes. */
    void (*vertical)(const vt_lines *l, size_t i, const uint32_t *const *strips, uint8_t *out);
} vt_resize_kernels;

extern const vt_resize_kernels vt_resize_scalar, vt_resize_neon, vt_resize_avx2, vt_resize_avx512;

/* ---- kernels.c -------------------------------------------------------------------------- */

/* Those for the instruction set that vec has chosen. */
const vt_resize_kernels *vt_resize_kernels_chosen(void);

/* ---- taps.c ----------------------------------------------------------------------------- */

/* The filter along one axis: result i is the weighted sum of n[i] source pixels from first[i] on.
 */
typedef struct vt_taps {
    uint32_t in;          /* source pixels of the axis */
    size_t count, stride; /* results; room for the weights of one */
    uint32_t *first, *n;
    double *weight; /* [count][stride] */
} vt_taps;

/* The caller releases *t, also after a failure; the same for the two below. */
vt_status vt_taps_init(vt_taps *t, const vt_axis *axis, vt_err *err) VT_MUST_USE;
void vt_taps_release(vt_taps *t);

/* ---- plan.c ----------------------------------------------------------------------------- */

vt_status vt_resize_columns_init(vt_resize_columns *c, const vt_taps *t, unsigned channels,
                                 const vt_resize_kernels *k, vt_err *err) VT_MUST_USE;
void vt_resize_columns_release(vt_resize_columns *c);
vt_status vt_lines_init(vt_lines *l, const vt_taps *t, size_t width, const vt_resize_kernels *k,
                        vt_err *err) VT_MUST_USE;
void vt_lines_release(vt_lines *l);

#endif
