/* The vectors of what customers ask, computed in the query lane and kept. A vector depends on
 * nothing but the model and what was asked, so the same words with another filter, another top_k or
 * after a change of the catalogue need no encoder: where the answer cache misses, this one may hit.
 *
 * It is a second cache of the kind that holds answers (cache.h), whose byte strings are vectors:
 * single flight included, so that two searches for the same new words encode them once. Nothing
 * expires, because the model does not change while the process runs. Catalogue pictures do not go
 * through it: an import would wash it out, and their vectors are in the catalogue. */
#include "engine/state.h"

#include "engine/texts.h"

enum { TEXT = 1, PICTURE = 2 }; /* first word of what is hashed */

typedef struct subject {
    vt_engine *e;
    const vt_clip_text *text; /* NULL: the picture */
    const vt_picture *picture;
} subject;

/* vt_texts_fn */
vt_status vt_encode_texts(void *ctx, const vt_clip_text *texts, size_t count, float *out,
                          vt_err *err) {
    vt_engine *e = ctx;
    uint64_t begun = vt_now_ns();
    vt_status s = vt_clip_encode_texts(e->clip, texts, count, out, err);
    atomic_fetch_add(&e->counters.texts_encoded, count);
    atomic_fetch_add(&e->counters.text_batches, 1);
    atomic_fetch_add(&e->counters.text_ns, vt_now_ns() - begun);
    return s;
}

vt_status vt_text_key(vt_engine *e, const char *text, size_t n, vt_hash *out, vt_err *err) {
    size_t context = vt_clip_describe(e->clip)->context, n_ids = 0;
    uint32_t *ids = vt_alloc(1 + context, sizeof *ids);
    vt_status s;
    if (!ids)
        return vt_fail_nomem(err, context * sizeof *ids);
    ids[0] = TEXT;
    s = vt_clip_tokenize(e->clip, text, n, ids + 1, context, &n_ids, err);
    if (s == VT_OK)
        *out = vt_hash_bytes(ids, (1 + n_ids) * sizeof *ids);
    free(ids);
    return s;
}

vt_hash vt_picture_key(const vt_picture *p) {
    struct {
        uint32_t kind;
        vt_hash hash;
    } key = {PICTURE, p->hash};
    return vt_hash_bytes(&key, sizeof key);
}

/* vt_compute_fn */
static vt_status encode(void *ctx, vt_buf *out, vt_err *err) {
    const subject *sub = ctx;
    size_t dim = vt_clip_describe(sub->e->clip)->dim;
    float *vector = vt_alloc(dim, sizeof *vector);
    vt_status s;
    if (!vector)
        return vt_fail_nomem(err, dim * sizeof *vector);
    s = sub->text ? vt_texts_encode(sub->e->texts, sub->text, 1, vector, err)
                  : vt_picture_encode(sub->e, sub->picture, vector, err);
    if (s == VT_OK)
        vt_buf_append(out, vector, dim * sizeof *vector);
    free(vector);
    return s;
}

static vt_status look_up(const vt_hash *key, subject *sub, float *out, vt_err *err) {
    vt_answer *found = NULL;
    vt_cache_source source;
    vt_status s = vt_cache_get(sub->e->vectors, key, encode, sub, &found, &source, err);
    if (s == VT_OK)
        memcpy(out, found->data, found->len);
    vt_answer_release(found);
    return s;
}

vt_status vt_text_vector(vt_engine *e, const char *text, size_t n, const vt_hash *key, float *out,
                         vt_err *err) {
    vt_clip_text one = {text, n};
    return look_up(key, &(subject){.e = e, .text = &one}, out, err);
}

/* The flight of an equal picture may have come by another field: this caller's is named. */
vt_status vt_picture_vector(vt_engine *e, const vt_picture *p, const char *field, float *out,
                            vt_err *err) {
    vt_err why;
    vt_hash key = vt_picture_key(p);
    vt_status s = look_up(&key, &(subject){.e = e, .picture = p}, out, &why);
    return s == VT_OK ? s : vt_fail_field(err, s, field, "%s", why.text);
}
