/* safetensors (private): a checked view of a file of named tensors. Everything it hands out lies
 * inside the mapped file and stays valid until the handle is closed. */
#ifndef VT_CLIP_SAFETENSORS_H
#define VT_CLIP_SAFETENSORS_H

#include "base/base.h"
#include "vec/vec.h"

#define VT_TENSOR_RANK_MAX 8

typedef struct vt_tensor {
    const char *name;
    const char *dtype; /* as the file spells it: "F32", "I64", ... */
    bool readable;     /* dtype is one that vec computes with, `type` below */
    vt_dtype type;
    size_t rank, shape[VT_TENSOR_RANK_MAX];
    size_t count;        /* product of the shape */
    size_t bytes;        /* count * size of the dtype */
    const uint8_t *data; /* not necessarily aligned */
} vt_tensor;

typedef struct vt_safetensors vt_safetensors;

/* Maps the file and checks all of its header. E_MODEL names file, tensor and reason; E_NOT_FOUND
 * and E_IO are the file's own. */
vt_status vt_safetensors_open(const char *path, vt_safetensors **out, vt_err *err) VT_MUST_USE;
/* The same over bytes in memory, which must outlive the handle; `label` names them in errors. */
vt_status vt_safetensors_view(const char *label, const uint8_t *bytes, size_t n,
                              vt_safetensors **out, vt_err *err) VT_MUST_USE;
void vt_safetensors_close(vt_safetensors *f);

/* NULL when the file has no such tensor. */
const vt_tensor *vt_safetensors_find(const vt_safetensors *f, const char *name);
/* All tensors, ordered by name. */
const vt_tensor *vt_safetensors_list(const vt_safetensors *f, size_t *count);
/* The whole file, for its digest. */
const uint8_t *vt_safetensors_bytes(const vt_safetensors *f, size_t *n);
/* Copies the tensor out as float32, whatever its alignment; t must be readable, out has t->count
 * floats. */
void vt_tensor_to_f32(const vt_tensor *t, float *out);
/* One row of a matrix (t->shape[0] rows of the same size) as float32. */
void vt_tensor_row_to_f32(const vt_tensor *t, size_t row, float *out);

#endif
