/* encoders (private): text and image towers with what stands before and behind their layers, and
 * the model that holds both. */
#ifndef VT_CLIP_ENCODERS_H
#define VT_CLIP_ENCODERS_H

#include "clip/packed.h"
#include "clip/safetensors.h"
#include "clip/scratch.h"
#include "clip/tower.h"
#include "clip/vocab.h"

typedef struct vt_text {
    vt_vocab vocab;
    size_t context, width, dim;
    const vt_tensor *tokens; /* [vocab][width], read from the file's map row by row */
    float *positions;        /* [context][width] */
    float *norm_gain, *norm_bias;
    float eps;
    vt_tower *tower;
    vt_mat projection;
    size_t rows_at_once; /* of a batch; at least context */
    vt_scratch scratch;
} vt_text;

/* Names the tower's tensors in w and reads the tokenizer; *t is zeroed or ready for release. */
vt_status vt_text_init(vt_text *t, const vt_clip_config *c, const char *dir,
                       vt_weights *w) VT_MUST_USE;
void vt_text_release(vt_text *t);
/* As vt_clip_encode_texts, not normalised. */
vt_status vt_text_encode(vt_text *t, const vt_clip_text *texts, size_t count, vt_pool *pool,
                         float *out, vt_err *err) VT_MUST_USE;

#define VT_IMAGES_AT_ONCE 4 /* of a batch: their rows share a pass over the weights */

typedef struct vt_vision {
    size_t image, patch, patches, width, dim;
    vt_mat embedding; /* one patch, 3 * patch * patch numbers, to width */
    float *positions; /* [patches + 1][width]; row 0 has the class token added in */
    float *pre_gain, *pre_bias, *post_gain, *post_bias;
    float eps;
    vt_tower *tower;
    vt_mat projection;
    vt_scratch scratch;
} vt_vision;

vt_status vt_vision_init(vt_vision *v, const vt_clip_config *c, vt_weights *w) VT_MUST_USE;
void vt_vision_release(vt_vision *v);
/* As vt_clip_encode_images, not normalised, of at most VT_IMAGES_AT_ONCE. */
vt_status vt_vision_encode(vt_vision *v, const float *const *pixels, size_t count, vt_lane lane,
                           vt_pool *pool, float *out, vt_err *err) VT_MUST_USE;

struct vt_clip {
    vt_pool *pool; /* not owned */
    vt_safetensors *file;
    vt_clip_config config;
    vt_clip_info info;
    vt_text text;
    vt_vision vision;
    vt_packed packed; /* the panels of both */
};

#endif
