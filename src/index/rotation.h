/* Private to index: a fixed random rotation of vectors. */
#ifndef VT_INDEX_ROTATION_H
#define VT_INDEX_ROTATION_H

#include "base/base.h"

typedef struct vt_rotation vt_rotation;

/* The same rotation for the same dim, always. */
vt_status vt_rotation_open(size_t dim, vt_rotation **out, vt_err *err) VT_MUST_USE;
void vt_rotation_close(vt_rotation *r);
void vt_rotation_apply(const vt_rotation *r, float *x); /* dim floats, in place */
void vt_rotation_undo(const vt_rotation *r, float *x);
size_t vt_rotation_bytes(const vt_rotation *r);

#endif
