/* Private to index: centres for cells, and rows to their nearest centre. */
#ifndef VT_INDEX_KMEANS_H
#define VT_INDEX_KMEANS_H

#include "vec/vec.h"

#define VT_ASSIGN_ROWS 512 /* at most, a call */

/* Centres packed as weights, so that the products of many rows with all of them are one product of
 * matrices. Working memory is its own: one thread at a time. */
typedef struct vt_assigner {
    size_t dim, n;
    vt_mat mat;
    void *panels;
    float *bias, *near, *scratch; /* [n], [VT_ASSIGN_ROWS][n] */
} vt_assigner;

vt_status vt_assigner_open(size_t dim, size_t n, vt_assigner *a, vt_err *err) VT_MUST_USE;
void vt_assigner_close(vt_assigner *a);
/* centres[n][dim] are copied. */
void vt_assigner_set(vt_assigner *a, const float *centres);
/* to[rows]: the centre nearest to each of x[rows][stride]; rows <= VT_ASSIGN_ROWS. */
void vt_assigner_run(vt_assigner *a, const float *x, size_t stride, size_t rows, uint32_t *to,
                     vt_pool *pool);

/* Lloyd's iteration, in steps. Whoever opens it sets what it is over. */
typedef struct vt_kmeans {
    const float *x; /* [rows][stride], rows >= n, in random order; not owned */
    size_t stride, rows, dim, n;
    float *centres; /* [n][dim], filled; not owned */

    vt_assigner assigner;
    float *sums; /* [n][dim] of what each centre has attracted in this round */
    size_t *counts;
    size_t round, seen; /* rows of this round */
} vt_kmeans;

vt_status vt_kmeans_open(vt_kmeans *k, vt_err *err) VT_MUST_USE; /* failed or not: close it */
/* A pass over VT_ASSIGN_ROWS rows; false after the last. */
bool vt_kmeans_step(vt_kmeans *k, vt_pool *pool);
void vt_kmeans_close(vt_kmeans *k); /* zeros allowed */

#endif
