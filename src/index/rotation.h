/* Private to index: a fixed random rotation of vectors. */
#ifndef VT_INDEX_ROTATION_H
#define VT_INDEX_ROTATION_H

#include "base/base.h"

/* splitmix64 (Steele et al. 2014): for what must be random, not secret, and the same each time. */
static inline uint64_t vt_next_random(uint64_t *state) {
    uint64_t z = *state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

typedef struct vt_rotation vt_rotation;

/* The same rotation for the same dim, always. */
vt_status vt_rotation_open(size_t dim, vt_rotation **out, vt_err *err) VT_MUST_USE;
void vt_rotation_close(vt_rotation *r);
void vt_rotation_apply(const vt_rotation *r, float *x); /* dim floats, in place */
void vt_rotation_undo(const vt_rotation *r, float *x);
size_t vt_rotation_bytes(const vt_rotation *r);

#endif
