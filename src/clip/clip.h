/* clip: a CLIP model (Radford et al. 2021, "Learning Transferable Visual Models From Natural
 * Language Supervision") read from a Hugging Face folder, and the two functions it is for: text to
 * vector, image to vector. Float32 throughout; the weights are packed once at open and immutable
 * after, so every function may be called from any number of threads at once. */
#ifndef VT_CLIP_H
#define VT_CLIP_H

#include "base/base.h"
#include "vec/vec.h"

typedef struct vt_clip vt_clip;

/* What preprocessor_config.json asks of a picture. */
typedef struct vt_clip_pixels {
    uint32_t resize, crop; /* crop equals vision image_size */
    float mean[3], std[3];
    bool convert_first; /* do_convert_rgb */
} vt_clip_pixels;

typedef struct vt_clip_info {
    size_t dim;     /* length of both vectors: projection_dim */
    size_t context; /* most tokens of a text, start and end included */
    size_t vocab;
    size_t text_width, text_layers, text_heads;
    size_t vision_width, vision_layers, vision_heads, patch;
    vt_clip_pixels pixels;
    double logit_scale; /* what training multiplied cosines of text and image by, 1..100 */
    uint64_t parameters;
    uint64_t file_bytes;   /* model.safetensors */
    uint64_t packed_bytes; /* in memory */
    vt_hash identity;      /* SHA-256 over model.safetensors and the canonical form of what changes
                            * vectors in config.json, preprocessor_config.json, vocab.json, merges.txt */
} vt_clip_info;

/* Reads and validates the folder: config.json, preprocessor_config.json, model.safetensors,
 * vocab.json, merges.txt. E_MODEL names the file and the first key or tensor that is missing or
 * wrong (E_NOT_FOUND: the file itself). pool (may be NULL, not owned, must outlive the model) is
 * used by every computation. */
vt_status vt_clip_open(const char *dir, vt_pool *pool, vt_clip **out, vt_err *err) VT_MUST_USE;
void vt_clip_close(vt_clip *m);
const vt_clip_info *vt_clip_describe(const vt_clip *m);

/* text: n bytes of valid UTF-8 (E_INVALID names the first byte that is not), below 1 GB; longer
 * than the context, it is cut with the end-of-text token kept. out: info.dim floats, L2-normalised.
 * E_NOMEM, or E_INTERNAL when the vector has no finite norm. */
vt_status vt_clip_encode_text(vt_clip *m, const char *text, size_t n, float *out,
                              vt_err *err) VT_MUST_USE;
/* pixels: [3][crop][crop] as vt_image_preprocess writes. out as above. */
vt_status vt_clip_encode_image(vt_clip *m, const float *pixels, float *out,
                               vt_err *err) VT_MUST_USE;

/* Token ids of a text: start-of-text, the byte-pair codes, end-of-text; at most max ids (max >= 2;
 * the last is then end-of-text); *n_ids says how many. A text that is too long is cut. Fails with
 * E_INVALID as above, or E_NOMEM. */
vt_status vt_clip_tokenize(const vt_clip *m, const char *text, size_t n, uint32_t *ids, size_t max,
                           size_t *n_ids, vt_err *err) VT_MUST_USE;

#endif
