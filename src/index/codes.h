/* Private to index: rows in 4 bits a dimension around a centre, and what a query asks of them. All
 * vectors here are rotated ones. */
#ifndef VT_INDEX_CODES_H
#define VT_INDEX_CODES_H

#include "vec/vec.h"

#define VT_CODED_DIM_MIN 64   /* below, errors are not as if random */
#define VT_CODED_DIM_MAX 4096 /* above, working memory would not fit a stack */

/* The largest magnitude of x[n]. In eight chains, which the compiler makes vectors of; one it may
 * not take apart. (fmaxf and lrintf are calls where somebody might look at errno.) */
static inline float vt_largest(const float *x, size_t n) {
    float most[8] = {0};
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        for (size_t j = 0; j < 8; j++) {
            float size = x[i + j] < 0 ? -x[i + j] : x[i + j];
            most[j] = size > most[j] ? size : most[j];
        }
    }
    for (; i < n; i++) {
        float size = x[i] < 0 ? -x[i] : x[i];
        most[0] = size > most[0] ? size : most[0];
    }
    for (size_t j = 1; j < 8; j++) {
        most[0] = most[j] > most[0] ? most[j] : most[0];
    }
    return most[0];
}

/* To the nearest whole number, halves away from 0. */
static inline int vt_nearest(float x) {
    return (int)(x + (x < 0 ? -0.5f : 0.5f));
}

/* What codes are made around. */
typedef struct vt_centre {
    const float *at; /* [dim] */
    float squares;   /* of its length */
} vt_centre;

/* One row's code. */
typedef struct vt_code {
    float scale, along, error;
    uint8_t levels[VT_CODED_DIM_MAX]; /* 0..15, zeros from dim on */
} vt_code;

void vt_code_make(const float *x, const vt_centre *centre, size_t dim, vt_code *out);

/* A query: rotated, and in 8 bits a dimension. */
typedef struct vt_ask {
    float *vector;   /* [padded to VT_FINE_GROUP], zeros from dim on */
    int8_t *numbers; /* [8 * words] */
    size_t dim;
    vt_code_query query; /* without what depends on a centre */
} vt_ask;

/* x[dim] is rotated already. */
vt_status vt_ask_init(vt_ask *a, const float *x, size_t dim, vt_err *err) VT_MUST_USE;
void vt_ask_release(vt_ask *a);
/* What a kernel needs to score rows around this centre: `margin` standard errors above the
 * estimate. */
vt_code_query vt_ask_centre(const vt_ask *a, const vt_centre *centre, float margin);

#endif
