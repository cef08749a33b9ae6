/* scratch (private): working memory for computations that may run at once. */
#ifndef VT_CLIP_SCRATCH_H
#define VT_CLIP_SCRATCH_H

#include "base/base.h"

#include <pthread.h>

#define VT_SCRATCH_KEPT 8

/* To whole cache lines: each part of a block begins with one. */
static inline size_t vt_whole_lines(size_t floats) {
    return (floats + 15) / 16 * 16;
}

/* Blocks of one size. Each call takes one and gives it back; a few are kept for the next. */
typedef struct vt_scratch {
    pthread_mutex_t lock;
    size_t floats; /* in a block */
    float *kept[VT_SCRATCH_KEPT];
    size_t n_kept;
} vt_scratch;

void vt_scratch_init(vt_scratch *s, size_t floats);
void vt_scratch_release(vt_scratch *s);                         /* no block may be out */
float *vt_scratch_take(vt_scratch *s, vt_err *err) VT_MUST_USE; /* 64-byte aligned; NULL: E_NOMEM */
void vt_scratch_give(vt_scratch *s, float *block);              /* NULL is allowed */

#endif
