/* What the files of the engine share. Private to the room. */
#ifndef VT_ENGINE_STATE_H
#define VT_ENGINE_STATE_H

#include "base/base.h"
#include "cache/cache.h"
#include "catalog/catalog.h"
#include "clip/clip.h"
#include "engine/calibration.h"
#include "engine/engine.h"
#include "image/image.h"
#include "net/net.h"

#include <semaphore.h>
#include <stdatomic.h>

#define VT_TEXT_QUERY_MAX 65536 /* bytes; the model reads its context's worth of it */
#define VT_TOP_K_DEFAULT  10
#define VT_TOP_K_MAX      1000

/* Counters for /metrics and stats; each only rises. */
typedef struct vt_engine_counters {
    atomic_ullong text_searches, image_searches, search_ns;
    atomic_ullong texts_encoded, text_batches, text_ns, images_encoded, image_ns;
    atomic_ullong ingested, ingest_failed;
} vt_engine_counters;

typedef struct vt_categories vt_categories;
typedef struct vt_texts vt_texts;
typedef struct vt_bulk vt_bulk;
typedef struct vt_audit vt_audit;
typedef struct vt_garden vt_garden;

struct vt_engine {
    vt_log *log; /* not owned */
    vt_pool *pool;
    vt_clip *clip;
    vt_catalog *catalog; /* NULL in an engine opened without a data folder */
    vt_categories *categories;
    vt_cache *cache;   /* answers */
    vt_cache *vectors; /* of what was asked */
    vt_texts *texts;
    vt_bulk *bulk;
    vt_audit *audit;   /* NULL where there is no catalogue */
    vt_garden *garden; /* the same */
    vt_net *net;
    char *model_name;
    vt_image_spec spec;
    sem_t decoders; /* queries' pictures in pixels at once: each may take 200 MB */
    bool decoders_ready;
    uint64_t opened_ns;
    vt_engine_counters counters;
};

/* ---- member.c: what a request holds -------------------------------------------------- */

/* NULL where it is missing or null, as the old clients send what they do not give. */
const json_t *vt_member(const json_t *request, const char *name);
/* The same, an empty string counting as absent too: exports write "" for what they do not have. */
const json_t *vt_given(const json_t *request, const char *name);

/* ---- picture.c: from a request to its picture, its pixels and their vector ------------ */

typedef struct vt_picture {
    const uint8_t *bytes; /* the caller's, or inside own */
    size_t len;
    vt_hash hash; /* of the bytes */
    vt_buf own;
} vt_picture;

void vt_picture_init(vt_picture *p);
void vt_picture_release(vt_picture *p);
/* bytes: given directly (not copied; must outlive the picture), or NULL: then the member "image"
 * of request is decoded from base64, or else "image_url" downloaded. */
vt_status vt_picture_take(vt_engine *e, const json_t *request, const void *bytes, size_t len,
                          vt_picture *p, vt_err *err) VT_MUST_USE;
/* For a line of a file of the user's own, never for one from the network: its member "image" is an
 * http(s) URL, which becomes image_url where there is none and is downloaded into bytes where there
 * is, or a path relative to dir, whose bytes are appended. */
vt_status vt_picture_read_local(vt_engine *e, const char *dir, json_t *line, vt_buf *bytes,
                                vt_err *err) VT_MUST_USE;
/* Decodes and preprocesses. pixels: 3 * crop * crop floats. */
vt_status vt_picture_pixels(vt_engine *e, const uint8_t *bytes, size_t len, float *pixels,
                            vt_err *err) VT_MUST_USE;
/* Decodes, preprocesses and encodes, in the query lane. out: dim floats. */
vt_status vt_picture_encode(vt_engine *e, const vt_picture *p, float *out, vt_err *err) VT_MUST_USE;
/* "/image" or "/image_url": where a request's picture comes from. */
const char *vt_picture_field(const json_t *request, const void *bytes);

/* ---- vectors.c: queries' vectors, kept ----------------------------------------------- */

/* vt_texts_fn for the engine's texts; ctx is the engine. */
vt_status vt_encode_texts(void *ctx, const vt_clip_text *texts, size_t count, float *out,
                          vt_err *err) VT_MUST_USE;
/* What the vector of a text depends on: its tokens. */
vt_status vt_text_key(vt_engine *e, const char *text, size_t n, vt_hash *out,
                      vt_err *err) VT_MUST_USE;
/* Of a picture: its bytes. Never equal to a text's. */
vt_hash vt_picture_key(const vt_picture *p);
/* key: the text's. out: dim floats. */
vt_status vt_text_vector(vt_engine *e, const char *text, size_t n, const vt_hash *key, float *out,
                         vt_err *err) VT_MUST_USE;
/* Errors name the field the picture came by. */
vt_status vt_picture_vector(vt_engine *e, const vt_picture *p, const char *field, float *out,
                            vt_err *err) VT_MUST_USE;

/* ---- query.c: what was asked, validated ---------------------------------------------- */

typedef struct vt_query {
    const char *text; /* the request's; NULL for a picture */
    size_t text_len;
    vt_picture picture;
    const char *picture_field;
    vt_hash subject; /* the text's key, or the picture's */
    size_t top_k;
    vt_filter *filter;
    bool detect;  /* the category, and search inside it when sure */
    float recall; /* wished: (0, 1] */
    bool explain; /* how the answer was found; such an answer is not cached */
} vt_query;

void vt_query_init(vt_query *q);
void vt_query_release(vt_query *q);
vt_status vt_query_read(vt_engine *e, const json_t *request, const void *image, size_t image_len,
                        vt_query *q, vt_err *err) VT_MUST_USE;
/* Hash over everything that changes the answer: the subject, top_k, the filter, whether the
 * category is detected, the recall, the model, the catalogue's generation. */
vt_status vt_query_key(vt_engine *e, const vt_query *q, vt_hash *out, vt_err *err) VT_MUST_USE;

/* ---- prompts.c ----------------------------------------------------------------------- */

/* The words of a category or label ("living-room_lamps") in prompts of two languages, averaged.
 * out: dim floats, unit length. */
vt_status vt_prompt_vector(vt_engine *e, const char *name, float *out, vt_err *err) VT_MUST_USE;

/* ---- category.c: which category a picture belongs to --------------------------------- */

#define VT_SURE         0.8f /* the confidence from which a search stays inside the category */
#define VT_DETECTED_MAX 5

typedef struct vt_detection {
    size_t n;                        /* 0: there was nothing to choose */
    char *category[VT_DETECTED_MAX]; /* best first; owned */
    float confidence[VT_DETECTED_MAX];
    bool sure; /* confidence[0] >= VT_SURE, and measured: a catalogue too small to be calibrated is
                * never sure */
} vt_detection;

vt_status vt_categories_open(vt_categories **out, vt_err *err) VT_MUST_USE;
void vt_categories_close(vt_categories *c);
/* vector: of a picture. Among the catalogue's categories, in its state at the call or later. */
vt_status vt_detect_category(vt_engine *e, const float *vector, vt_detection *out,
                             vt_err *err) VT_MUST_USE;
/* Among n >= 1 labels, by their words alone. */
vt_status vt_detect_label(vt_engine *e, const float *vector, const char *const *labels, size_t n,
                          vt_detection *out, vt_err *err) VT_MUST_USE;
void vt_detection_release(vt_detection *d);
/* The catalogue's products judged leave-one-out; c: what answers are given with. */
vt_status vt_categories_reliability(vt_engine *e, vt_reliability *r, vt_calibration *c,
                                    vt_err *err) VT_MUST_USE;

/* ---- classify.c ---------------------------------------------------------------------- */

/* {category, confidence, applied}, as a search tells it. */
void vt_detection_write(const vt_detection *d, vt_json *w);

/* ---- model.c ------------------------------------------------------------------------- */

/* Chooses the kernels, starts the pool and opens the model, as the options say; a missing file is a
 * model that cannot be used: E_MODEL. What was opened before a failure is the caller's to close. */
vt_status vt_model_open(const vt_engine_options *o, vt_log *log, vt_pool **pool, vt_clip **clip,
                        vt_err *err) VT_MUST_USE;
void vt_model_write(const vt_clip_info *info, const char *name, vt_json *w);

#endif
