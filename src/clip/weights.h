/* weights (private): takes the tensors of a model out of its file, each checked against the shape
 * that the configuration asks for. Failure is sticky: after the first tensor that is missing or
 * wrong every further call does nothing, so a model is described as a list and asked once. */
#ifndef VT_CLIP_WEIGHTS_H
#define VT_CLIP_WEIGHTS_H

#include "clip/safetensors.h"

/* A matrix to pack once everything is checked: up to three tensors side by side. */
typedef struct vt_pack_job {
    const vt_tensor *parts[3];
    size_t n_parts;
    float first_scale; /* multiplies the first part's weights */
    vt_mat *out;
    float lost; /* by compact panels, see vt_mat_pack */
} vt_pack_job;

typedef struct vt_weights {
    const char *label; /* the file, for errors */
    const vt_safetensors *file;
    vt_pack_job *jobs;
    size_t n_jobs, jobs_cap;
    bool wide;           /* panels are not to be compact, whatever the machine would rather have */
    uint64_t parameters; /* numbers in the tensors asked for so far */
    vt_status status;
    vt_err *err;
} vt_weights;

typedef struct vt_shape {
    size_t rank, size[4];
} vt_shape;

void vt_weights_init(vt_weights *w, const char *label, const vt_safetensors *file, vt_err *err);
void vt_weights_release(vt_weights *w);

/* The tensor of that name, checked; NULL after a failure. */
const vt_tensor *vt_weights_find(vt_weights *w, vt_shape shape, const char *fmt, ...)
    VT_PRINTF(3, 4);
/* The same for a vector of n numbers, copied to out as float32. */
void vt_weights_vector(vt_weights *w, float *out, size_t n, const char *fmt, ...) VT_PRINTF(4, 5);
/* Notes that *out is to be packed from these tensors; a tensor's first dimension is the number of
 * outputs, all others together the inputs. A NULL part is a failure that was already noted. */
void vt_weights_matrix(vt_weights *w, vt_mat *out, const vt_tensor *const *parts, size_t n_parts,
                       float first_scale);
/* Gives the noted matrices a precision; *bytes is what their panels take, one behind the other. */
vt_status vt_weights_plan(vt_weights *w, vt_precision precision, size_t *bytes) VT_MUST_USE;
/* A digest of the plan: equal for equal shapes and scales in the same order. false when there is no
 * memory to make it. */
bool vt_weights_plan_digest(const vt_weights *w, vt_hash *out) VT_MUST_USE;
/* Tells the planned matrices where their panels lie. */
void vt_weights_place(vt_weights *w, const void *panels);
/* Writes the panels, on the threads of the pool. Returns what vt_mat_pack does, of all. */
float vt_weights_pack(vt_weights *w, void *panels, vt_pool *pool);

#endif
