/* A query comes in. The walk of docs/ARCHITECTURE.md, in its order: validate, canonical key, cache,
 * vector, category (where asked for), catalogue, JSON. What is cached is the answer without its
 * last two members, which differ from call to call: whether it was cached, and the milliseconds it
 * took. */
#include "engine/state.h"

typedef struct computation {
    vt_engine *e;
    vt_query *q;
} computation;

static vt_status vector_of(vt_engine *e, const vt_query *q, float *vector, vt_err *err) {
    return q->text ? vt_text_vector(e, q->text, q->text_len, &q->subject, vector, err)
                   : vt_picture_vector(e, &q->picture, q->picture_field, vector, err);
}

/* Narrows the query to the picture's category where that is sure. */
static vt_status detect(vt_engine *e, vt_query *q, const float *vector, vt_detection *d,
                        vt_err *err) {
    vt_status s;
    if (!q->detect)
        return VT_OK;
    s = vt_detect_category(e, vector, d, err);
    return s == VT_OK && d->sure ? vt_filter_add_category(q->filter, d->category[0], err) : s;
}

static void write_hits(const vt_query *q, const vt_detection *d, const vt_catalog_hit *hits,
                       size_t n, vt_buf *out) {
    vt_json w;
    vt_json_init(&w, out);
    vt_json_open(&w, '{');
    vt_json_key(&w, "query_type");
    vt_json_str(&w, q->text ? "text" : "image");
    vt_json_key(&w, "top_k");
    vt_json_int(&w, (int64_t)q->top_k);
    if (q->detect) {
        vt_json_key(&w, "detected_category");
        vt_detection_write(d, &w);
    }
    vt_json_key(&w, "total_results");
    vt_json_int(&w, (int64_t)n);
    vt_json_key(&w, "results");
    vt_json_open(&w, '[');
    for (size_t i = 0; i < n; i++) {
        vt_json_open(&w, '{');
        vt_product_write(&hits[i].product, &w);
        vt_json_key(&w, "similarity_score");
        vt_json_num(&w, hits[i].score, 7);
        vt_json_close(&w, '}');
    }
    vt_json_close(&w, ']');
}

static vt_status search_catalogue(vt_engine *e, const vt_query *q, const float *vector,
                                  vt_catalog_hit **hits, size_t *n, vt_err *err) {
    const vt_catalog_query asked = {
        .vector = vector, .filter = q->filter, .k = q->top_k, .kind = VT_QUERY_VECTOR};
    return vt_catalog_search(e->catalog, &asked, hits, n, NULL, err);
}

/* vt_compute_fn: the part of a search that the cache saves. */
static vt_status compute(void *ctx, vt_buf *out, vt_err *err) {
    const computation *c = ctx;
    size_t dim = vt_clip_describe(c->e->clip)->dim, n = 0;
    vt_catalog_hit *hits = NULL;
    vt_detection d = {0};
    float *vector = vt_alloc(dim, sizeof *vector);
    vt_status s;
    if (!vector)
        return vt_fail_nomem(err, dim * sizeof *vector);
    vt_pool_enter(c->e->pool);
    s = vector_of(c->e, c->q, vector, err);
    if (s == VT_OK)
        s = detect(c->e, c->q, vector, &d, err);
    if (s == VT_OK)
        s = search_catalogue(c->e, c->q, vector, &hits, &n, err);
    vt_pool_leave(c->e->pool);
    if (s == VT_OK)
        write_hits(c->q, &d, hits, n, out);
    vt_detection_release(&d);
    vt_catalog_hits_release(hits, n);
    free(vector);
    return s;
}

static vt_status finish(const vt_answer *found, bool cached, uint64_t begun, vt_buf *answer,
                        vt_err *err) {
    vt_json w;
    vt_buf_append(answer, found->data, found->len);
    vt_json_init(&w, answer);
    w.comma = true; /* we are inside the object that write_hits opened */
    vt_json_key(&w, "cached");
    vt_json_bool(&w, cached);
    vt_json_key(&w, "execution_time_ms");
    vt_json_num(&w, vt_seconds_since(begun) * 1e3, 4);
    vt_json_close(&w, '}');
    return vt_buf_status(answer, "the answer", err);
}

vt_status vt_engine_search(vt_engine *e, const json_t *request, const void *image, size_t image_len,
                           vt_buf *answer, vt_err *err) {
    uint64_t begun = vt_now_ns();
    vt_query q;
    vt_hash key;
    vt_answer *found = NULL;
    vt_cache_source source = VT_CACHE_MISS;
    vt_status s;
    vt_query_init(&q);
    s = vt_query_read(e, request, image, image_len, &q, err);
    if (s == VT_OK)
        s = vt_query_key(e, &q, &key, err);
    if (s == VT_OK)
        s = vt_cache_get(e->cache, &key, compute, &(computation){e, &q}, &found, &source, err);
    if (s == VT_OK)
        s = finish(found, source != VT_CACHE_MISS, begun, answer, err);
    if (s == VT_OK)
        atomic_fetch_add(q.text ? &e->counters.text_searches : &e->counters.image_searches, 1);
    atomic_fetch_add(&e->counters.search_ns, vt_now_ns() - begun);
    vt_answer_release(found);
    vt_query_release(&q);
    return s;
}
