/* config (private): what config.json and preprocessor_config.json say about a model, checked. */
#ifndef VT_CLIP_CONFIG_H
#define VT_CLIP_CONFIG_H

#include "clip/clip.h"

/* The shape of one transformer: the text tower's or the image tower's. */
typedef struct vt_tower_shape {
    size_t width;  /* hidden_size, a multiple of heads */
    size_t hidden; /* intermediate_size of the MLP */
    size_t layers, heads;
    vt_act act;
    float eps;
} vt_tower_shape;

typedef struct vt_clip_config {
    size_t dim; /* projection_dim */
    vt_tower_shape text, vision;
    size_t vocab, context;
    /* text_config.eos_token_id, where the text's vector is taken; the transformers library reads 2
     * as "at the highest id", so old files that say 2 are right only if that is end-of-text. */
    bool has_end_id;
    uint32_t end_id;
    size_t image, patch; /* pixels */
    vt_clip_pixels pixels;
} vt_clip_config;

/* Reads both files of the folder. E_MODEL names the file, the key and the value it refuses. */
vt_status vt_clip_config_read(const char *dir, vt_clip_config *out, vt_err *err) VT_MUST_USE;
/* Appends a text in which two configurations are equal exactly when they give the same vectors. */
void vt_clip_config_canonical(const vt_clip_config *c, vt_buf *out);
/* Number of patches of an image: those that fit whole, as a convolution counts them. */
size_t vt_clip_config_patches(const vt_clip_config *c);

#endif
