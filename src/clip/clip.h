/* clip: a CLIP model (Radford et al. 2021, "Learning Transferable Visual Models From Natural
 * Language Supervision") read from a Hugging Face folder, and the two functions it is for: texts to
 * vectors, images to vectors. The weights are packed in one of vec's precisions, once: the packed
 * form is kept in a file and mapped by the next start. They are immutable after, so every function
 * may be called from any number of threads at once. */
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
    uint64_t file_bytes;    /* model.safetensors */
    uint64_t packed_bytes;  /* in memory */
    vt_precision precision; /* in use: never auto */
    char note[640];   /* "", or what is not as asked for: the precision, the packed form's file */
    bool from_file;   /* the packed form came from the file of an earlier start */
    vt_hash identity; /* SHA-256 over model.safetensors and the canonical form of what changes
                       * vectors in config.json, preprocessor_config.json, vocab.json, merges.txt;
                       * int8 changes them (below), bf16 does not */
} vt_clip_info;

typedef struct vt_clip_options {
    vt_precision precision; /* auto: bf16 where vec multiplies it in hardware, else f32 */
    vt_pool *pool; /* used by every computation; not owned, must outlive the model; or NULL */
    /* A packed form of at least so many bytes is kept for the next start, as
     * "model.<precision>.packed" in the model's folder or, where that cannot be written, in
     * cache_dir. 0: none is. */
    size_t keep_from;
    const char *cache_dir; /* or NULL */
    vt_log *log;           /* told when packing begins that takes a while; or NULL */
} vt_clip_options;

/* Reads and validates the folder: config.json, preprocessor_config.json, model.safetensors,
 * vocab.json, merges.txt. E_MODEL names the file and the first key or tensor that is missing or
 * wrong (E_NOT_FOUND: the file itself). model.safetensors and the packed form stay mapped while the
 * model is open: replace them by renaming, never by writing into them.
 *
 * How far vectors are from those in float64, as the least cosine over the reference's inputs:
 *   f32   0.999999
 *   bf16  0.9999 of ViT-B/32's shape; 0.9995 of one a tenth as wide; 0.995 where a few activations
 *         are a hundred times the others
 *   int8  0.998 of ViT-B/32's shape. Where it falls below 0.999 of f32 on inputs that are built in,
 *         the model is opened in bf16, and info.note says so. */
vt_status vt_clip_open(const char *dir, const vt_clip_options *o, vt_clip **out,
                       vt_err *err) VT_MUST_USE;
void vt_clip_close(vt_clip *m);
const vt_clip_info *vt_clip_describe(const vt_clip *m);

typedef struct vt_clip_text {
    const char *text;
    size_t n; /* bytes, below 1 GB */
} vt_clip_text;

/* Texts of valid UTF-8 (E_INVALID names the first byte that is not); longer than the context, one
 * is cut with the end-of-text token kept. out: [count][info.dim], each L2-normalised. A vector does
 * not depend on its neighbours. E_NOMEM, or E_INTERNAL when a vector has no finite norm. */
vt_status vt_clip_encode_texts(vt_clip *m, const vt_clip_text *texts, size_t count, float *out,
                               vt_err *err) VT_MUST_USE;

typedef enum vt_lane {
    VT_LANE_QUERY, /* somebody waits: the pool's workers help */
    VT_LANE_BULK,  /* on the calling thread alone, giving way to queries between layers */
} vt_lane;

/* pixels[i]: [3][crop][crop] as vt_image_preprocess writes. out as above. */
vt_status vt_clip_encode_images(vt_clip *m, const float *const *pixels, size_t count, vt_lane lane,
                                float *out, vt_err *err) VT_MUST_USE;

/* One text, and one image for which somebody waits. */
vt_status vt_clip_encode_text(vt_clip *m, const char *text, size_t n, float *out,
                              vt_err *err) VT_MUST_USE;
vt_status vt_clip_encode_image(vt_clip *m, const float *pixels, float *out,
                               vt_err *err) VT_MUST_USE;

/* Token ids of a text: start-of-text, the byte-pair codes, end-of-text; at most max ids (max >= 2;
 * the last is then end-of-text); *n_ids says how many. A text that is too long is cut. Fails with
 * E_INVALID as above, or E_NOMEM. */
vt_status vt_clip_tokenize(const vt_clip *m, const char *text, size_t n, uint32_t *ids, size_t max,
                           size_t *n_ids, vt_err *err) VT_MUST_USE;

#endif
