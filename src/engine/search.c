/* A query comes in. The walk of docs/ARCHITECTURE.md, in its order: validate, canonical key, cache,
 * vector, category (where asked for), catalogue, JSON. What is cached is the answer without its
 * last two members, which differ from call to call: whether it was cached, and the milliseconds it
 * took. */
#include "engine/audit.h"

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

/* What compute finds, before it is JSON. */
typedef struct found {
    vt_catalog_hit *hits;
    size_t n;
    vt_detection detection;
    vt_plan plan;
    double encode_ms, search_ms;
} found;

static void found_release(found *f) {
    vt_detection_release(&f->detection);
    vt_catalog_hits_release(f->hits, f->n);
}

static double milliseconds_since(uint64_t ns) {
    return vt_seconds_since(ns) * 1e3;
}

/* The audit may keep the filter: nobody looks at it after the search. */
static vt_status find(vt_engine *e, vt_query *q, float *vector, found *f, vt_err *err) {
    uint64_t begun = vt_now_ns();
    vt_catalog_query wanted = {.vector = vector,
                               .k = q->top_k,
                               .kind = q->text ? VT_QUERY_TEXT : VT_QUERY_IMAGE,
                               .recall = q->recall};
    vt_status s = vector_of(e, q, vector, err);
    f->encode_ms = milliseconds_since(begun);
    if (s == VT_OK)
        s = detect(e, q, vector, &f->detection, err);
    begun = vt_now_ns();
    wanted.filter = q->filter;
    if (s == VT_OK)
        s = vt_catalog_search(e->catalog, &wanted, &f->hits, &f->n, &f->plan, err);
    f->search_ms = milliseconds_since(begun);
    if (s == VT_OK)
        vt_audit_offer(e->audit, &wanted, &q->filter);
    return s;
}

static void write_plan(const found *f, vt_json *w) {
    const vt_plan *p = &f->plan;
    const struct {
        const char *key;
        size_t value;
    } counts[] = {
        {"rows", p->rows},
        {"matches", p->matches},
        {"cells", p->cells},
        {"cells_probed", p->cells_probed},
        {"rows_estimated", p->estimated},
        {"rows_scored", p->scored},
    };
    vt_json_open(w, '{');
    vt_json_key(w, "way");
    vt_json_str(w, vt_way_name(p->way));
    vt_json_key(w, "query_kind");
    vt_json_str(w, vt_query_kind_name(p->kind));
    vt_json_key(w, "recall");
    vt_json_num(w, (double)p->recall, 6);
    vt_json_key(w, "selectivity");
    vt_json_num(w, p->rows ? (double)p->matches / (double)p->rows : 0, 4);
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        vt_json_key(w, counts[i].key);
        vt_json_int(w, (int64_t)counts[i].value);
    }
    vt_json_key(w, "expected_us");
    vt_json_open(w, '{');
    vt_json_key(w, "exact");
    vt_json_num(w, p->exact_us, 4);
    vt_json_key(w, "estimated");
    if (p->cells)
        vt_json_num(w, p->estimated_us, 4);
    else
        vt_json_null(w);
    vt_json_close(w, '}');
    vt_json_key(w, "encode_ms");
    vt_json_num(w, f->encode_ms, 4);
    vt_json_key(w, "search_ms");
    vt_json_num(w, f->search_ms, 4);
    vt_json_close(w, '}');
}

static void write_hits(const vt_catalog_hit *hits, size_t n, vt_json *w) {
    vt_json_open(w, '[');
    for (size_t i = 0; i < n; i++) {
        vt_json_open(w, '{');
        vt_product_write(&hits[i].product, w);
        vt_json_key(w, "similarity_score");
        vt_json_num(w, hits[i].score, 7);
        vt_json_close(w, '}');
    }
    vt_json_close(w, ']');
}

/* The object is left open for the members that differ from call to call. */
static void write_answer(const vt_query *q, const found *f, vt_buf *out) {
    vt_json w;
    vt_json_init(&w, out);
    vt_json_open(&w, '{');
    vt_json_key(&w, "query_type");
    vt_json_str(&w, q->text ? "text" : "image");
    vt_json_key(&w, "top_k");
    vt_json_int(&w, (int64_t)q->top_k);
    if (q->detect) {
        vt_json_key(&w, "detected_category");
        vt_detection_write(&f->detection, &w);
    }
    vt_json_key(&w, "total_results");
    vt_json_int(&w, (int64_t)f->n);
    vt_json_key(&w, "results");
    write_hits(f->hits, f->n, &w);
    if (q->explain) {
        vt_json_key(&w, "explain");
        write_plan(f, &w);
    }
}

/* vt_compute_fn: the part of a search that the cache saves. */
static vt_status compute(void *ctx, vt_buf *out, vt_err *err) {
    const computation *c = ctx;
    size_t dim = vt_clip_describe(c->e->clip)->dim;
    found f = {0};
    float *vector = vt_alloc(dim, sizeof *vector);
    vt_status s;
    if (!vector)
        return vt_fail_nomem(err, dim * sizeof *vector);
    vt_pool_enter(c->e->pool);
    s = find(c->e, c->q, vector, &f, err);
    vt_pool_leave(c->e->pool);
    if (s == VT_OK)
        write_answer(c->q, &f, out);
    found_release(&f);
    free(vector);
    return s;
}

static vt_status look_up(vt_engine *e, vt_query *q, vt_buf *answer, bool *cached, vt_err *err) {
    vt_hash key;
    vt_answer *kept = NULL;
    vt_cache_source source = VT_CACHE_MISS;
    vt_status s = vt_query_key(e, q, &key, err);
    if (s == VT_OK)
        s = vt_cache_get(e->cache, &key, compute, &(computation){e, q}, &kept, &source, err);
    if (s == VT_OK)
        vt_buf_append(answer, kept->data, kept->len);
    *cached = source != VT_CACHE_MISS;
    vt_answer_release(kept);
    return s;
}

static vt_status finish(bool cached, uint64_t begun, vt_buf *answer, vt_err *err) {
    vt_json w;
    vt_json_init(&w, answer);
    w.comma = true; /* we are inside the object that write_answer opened */
    vt_json_key(&w, "cached");
    vt_json_bool(&w, cached);
    vt_json_key(&w, "execution_time_ms");
    vt_json_num(&w, milliseconds_since(begun), 4);
    vt_json_close(&w, '}');
    return vt_buf_status(answer, "the answer", err);
}

/* Who asks how an answer is found wants it found: an explained search passes by the cache. */
vt_status vt_engine_search(vt_engine *e, const json_t *request, const void *image, size_t image_len,
                           vt_buf *answer, vt_err *err) {
    uint64_t begun = vt_now_ns();
    bool cached = false;
    vt_query q;
    vt_status s;
    vt_query_init(&q);
    s = vt_query_read(e, request, image, image_len, &q, err);
    if (s == VT_OK)
        s = q.explain ? compute(&(computation){e, &q}, answer, err)
                      : look_up(e, &q, answer, &cached, err);
    if (s == VT_OK)
        s = finish(cached, begun, answer, err);
    if (s == VT_OK)
        atomic_fetch_add(q.text ? &e->counters.text_searches : &e->counters.image_searches, 1);
    atomic_fetch_add(&e->counters.search_ns, vt_now_ns() - begun);
    vt_query_release(&q);
    return s;
}
