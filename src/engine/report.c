/* Looking around: one product, pages of products, collections, stats, metrics. */
#include "engine/audit.h"
#include "engine/garden.h"
#include "engine/texts.h"

static void write_product(const vt_product *p, vt_json *w) {
    char when[32];
    vt_json_open(w, '{');
    vt_product_write(p, w);
    vt_json_key(w, "created_at");
    vt_json_str(w, vt_wall_text(p->created_at, when));
    vt_json_key(w, "updated_at");
    vt_json_str(w, vt_wall_text(p->updated_at, when));
    vt_json_close(w, '}');
}

vt_status vt_engine_get(vt_engine *e, const char *id, vt_buf *answer, vt_err *err) {
    vt_product p;
    vt_json w;
    vt_status s;
    vt_product_init(&p);
    s = vt_catalog_get(e->catalog, id, &p, err);
    if (s == VT_OK) {
        vt_json_init(&w, answer);
        write_product(&p, &w);
        s = vt_buf_status(answer, "the answer", err);
    }
    vt_product_release(&p);
    return s;
}

vt_status vt_engine_delete(vt_engine *e, const char *id, vt_err *err) {
    return vt_catalog_delete(e->catalog, id, err);
}

/* One more product than asked for is listed, and not written: it tells that a page follows. */
typedef struct page {
    vt_json w;
    size_t limit, n;
    char last[VT_PRODUCT_ID_MAX + 1];
    bool more;
} page;

static vt_status add_to_page(void *ctx, const vt_product *p, vt_err *err) {
    page *pg = ctx;
    if (pg->n == pg->limit) {
        pg->more = true;
        return VT_OK;
    }
    write_product(p, &pg->w);
    snprintf(pg->last, sizeof pg->last, "%s", p->id);
    pg->n++;
    return VT_OK;
}

vt_status vt_engine_list(vt_engine *e, const char *after, size_t limit, const json_t *filter,
                         vt_buf *answer, vt_err *err) {
    vt_filter *f = NULL;
    page pg = {.limit = limit};
    vt_status s = vt_filter_from_json(filter, "", &f, err);
    if (s != VT_OK)
        return s;
    vt_json_init(&pg.w, answer);
    vt_json_open(&pg.w, '{');
    vt_json_key(&pg.w, "products");
    vt_json_open(&pg.w, '[');
    s = vt_catalog_list(e->catalog, after, limit + 1, f, add_to_page, &pg, err);
    vt_json_close(&pg.w, ']');
    vt_json_key(&pg.w, "next");
    vt_json_str(&pg.w, pg.more ? pg.last : NULL);
    vt_json_close(&pg.w, '}');
    vt_filter_close(f);
    return s == VT_OK ? vt_buf_status(answer, "the page", err) : s;
}

static vt_status add_category(void *ctx, const char *category, size_t products, vt_err *err) {
    vt_json *w = ctx;
    vt_json_open(w, '{');
    vt_json_key(w, "category");
    vt_json_str(w, category);
    vt_json_key(w, "products");
    vt_json_int(w, (int64_t)products);
    vt_json_close(w, '}');
    return VT_OK;
}

/* One collection, named as the old system named it, with a line for each category. */
vt_status vt_engine_collections(vt_engine *e, vt_buf *answer, vt_err *err) {
    vt_catalog_stats stats;
    vt_json w;
    vt_status s;
    vt_catalog_describe(e->catalog, &stats);
    vt_json_init(&w, answer);
    vt_json_open(&w, '{');
    vt_json_key(&w, "collections");
    vt_json_open(&w, '[');
    vt_json_open(&w, '{');
    vt_json_key(&w, "name");
    vt_json_str(&w, "products");
    vt_json_key(&w, "products");
    vt_json_int(&w, (int64_t)stats.products);
    vt_json_key(&w, "dim");
    vt_json_int(&w, (int64_t)stats.dim);
    vt_json_key(&w, "distance");
    vt_json_str(&w, "Cosine");
    vt_json_key(&w, "categories");
    vt_json_open(&w, '[');
    s = vt_catalog_categories(e->catalog, add_category, &w, err);
    vt_json_close(&w, ']');
    vt_json_close(&w, '}');
    vt_json_close(&w, ']');
    vt_json_close(&w, '}');
    return s == VT_OK ? vt_buf_status(answer, "the answer", err) : s;
}

/* One number of the engine, for stats (group, key) and for /metrics (metric, type, help). */
typedef struct number {
    const char *group, *key, *metric, *type, *help;
    double value;
} number;

/* All of them, a group's side by side. */
typedef struct numbers {
    number all[40];
    size_t n;
} numbers;

static void add(numbers *to, const number *some, size_t n) {
    assert(n <= sizeof to->all / sizeof to->all[0] - to->n);
    memcpy(to->all + to->n, some, n * sizeof *some);
    to->n += n;
}

static double seconds(atomic_ullong *ns) {
    return (double)atomic_load(ns) / 1e9;
}

static void add_catalogue(vt_engine *e, numbers *out) {
    vt_catalog_stats stats;
    vt_catalog_describe(e->catalog, &stats);
    const number some[] = {
        {"catalogue", "products", "vitrine_products", "gauge", "Products in the catalogue",
         (double)stats.products},
        {"catalogue", "categories", "vitrine_categories", "gauge", "Distinct categories",
         (double)stats.categories},
        {"catalogue", "seq", "vitrine_change_number", "counter", "Last change number",
         (double)stats.seq},
        {"catalogue", "database_bytes", "vitrine_database_bytes", "gauge", "Size of catalog.db",
         (double)stats.database_bytes},
        {"catalogue", "memory_bytes", "vitrine_index_bytes", "gauge",
         "Columns and vectors in memory", (double)stats.memory_bytes},
        {"catalogue", "commits", "vitrine_commits_total", "counter", "Durable commits",
         (double)stats.commits},
        {"catalogue", "rows_written", "vitrine_rows_written_total", "counter", "Rows written",
         (double)stats.rows_written},
    };
    add(out, some, sizeof some / sizeof some[0]);
}

static void add_answers(vt_engine *e, numbers *out) {
    vt_cache_stats stats;
    vt_cache_describe(e->cache, &stats);
    const number some[] = {
        {"cache", "hits", "vitrine_cache_hits_total", "counter", "Answers from the cache",
         (double)stats.hits},
        {"cache", "misses", "vitrine_cache_misses_total", "counter", "Answers computed",
         (double)stats.misses},
        {"cache", "shared", "vitrine_cache_shared_total", "counter",
         "Answers another request was computing", (double)stats.shared},
        {"cache", "evicted", "vitrine_cache_evicted_total", "counter", "Entries dropped for room",
         (double)stats.evicted},
        {"cache", "expired", "vitrine_cache_expired_total", "counter",
         "Entries past their time to live", (double)stats.expired},
        {"cache", "entries", "vitrine_cache_entries", "gauge", "Entries in the cache",
         (double)stats.entries},
        {"cache", "bytes", "vitrine_cache_bytes", "gauge", "Bytes in the cache",
         (double)stats.bytes},
    };
    add(out, some, sizeof some / sizeof some[0]);
}

static void add_vectors(vt_engine *e, numbers *out) {
    vt_cache_stats stats;
    vt_cache_describe(e->vectors, &stats);
    const number some[] = {
        {"vectors", "hits", "vitrine_vector_cache_hits_total", "counter",
         "Queries whose vector was there", (double)stats.hits},
        {"vectors", "misses", "vitrine_vector_cache_misses_total", "counter",
         "Queries that were encoded", (double)stats.misses},
        {"vectors", "shared", "vitrine_vector_cache_shared_total", "counter",
         "Queries another request was encoding", (double)stats.shared},
        {"vectors", "evicted", "vitrine_vector_cache_evicted_total", "counter",
         "Vectors dropped for room", (double)stats.evicted},
        {"vectors", "entries", "vitrine_vector_cache_entries", "gauge", "Vectors in the cache",
         (double)stats.entries},
        {"vectors", "bytes", "vitrine_vector_cache_bytes", "gauge", "Bytes in the cache of vectors",
         (double)stats.bytes},
    };
    add(out, some, sizeof some / sizeof some[0]);
}

static void add_searches(vt_engine *e, numbers *out) {
    vt_engine_counters *c = &e->counters;
    const number some[] = {
        {"work", "text_searches", "vitrine_text_searches_total", "counter",
         "Text searches answered", (double)atomic_load(&c->text_searches)},
        {"work", "image_searches", "vitrine_image_searches_total", "counter",
         "Image searches answered", (double)atomic_load(&c->image_searches)},
        {"work", "search_seconds", "vitrine_search_seconds_total", "counter",
         "Time spent in searches", seconds(&c->search_ns)},
    };
    add(out, some, sizeof some / sizeof some[0]);
}

static void add_encoding(vt_engine *e, numbers *out) {
    vt_engine_counters *c = &e->counters;
    const number some[] = {
        {"work", "texts_encoded", "vitrine_texts_encoded_total", "counter",
         "Texts through the model", (double)atomic_load(&c->texts_encoded)},
        {"work", "text_batches", "vitrine_text_batches_total", "counter",
         "Runs of the text tower, each over the texts that waited",
         (double)atomic_load(&c->text_batches)},
        {"work", "texts_waiting", "vitrine_texts_waiting", "gauge",
         "Texts whose turn in the text tower has not come", (double)vt_texts_waiting(e->texts)},
        {"work", "text_seconds", "vitrine_text_encode_seconds_total", "counter",
         "Time in the text tower", seconds(&c->text_ns)},
        {"work", "images_encoded", "vitrine_images_encoded_total", "counter",
         "Images through the model", (double)atomic_load(&c->images_encoded)},
        {"work", "image_seconds", "vitrine_image_encode_seconds_total", "counter",
         "Time decoding and encoding images", seconds(&c->image_ns)},
    };
    add(out, some, sizeof some / sizeof some[0]);
}

static void add_ingestion(vt_engine *e, numbers *out) {
    vt_engine_counters *c = &e->counters;
    const number some[] = {
        {"work", "ingested", "vitrine_products_ingested_total", "counter", "Products accepted",
         (double)atomic_load(&c->ingested)},
        {"work", "ingest_failed", "vitrine_products_refused_total", "counter", "Products refused",
         (double)atomic_load(&c->ingest_failed)},
    };
    add(out, some, sizeof some / sizeof some[0]);
}

static void add_uptime(vt_engine *e, numbers *out) {
    const number uptime = {"work",
                           "uptime_seconds",
                           "vitrine_uptime_seconds",
                           "gauge",
                           "Seconds since the engine opened",
                           vt_seconds_since(e->opened_ns)};
    add(out, &uptime, 1);
}

static void gather(vt_engine *e, numbers *out) {
    out->n = 0;
    add_catalogue(e, out);
    add_answers(e, out);
    add_vectors(e, out);
    add_searches(e, out);
    add_encoding(e, out);
    add_ingestion(e, out);
    add_uptime(e, out);
}

vt_status vt_engine_stats(vt_engine *e, vt_buf *answer, vt_err *err) {
    numbers found;
    const number *of = found.all;
    vt_json w;
    gather(e, &found);
    vt_json_init(&w, answer);
    vt_json_open(&w, '{');
    vt_json_key(&w, "version");
    vt_json_str(&w, VT_VERSION);
    vt_json_key(&w, "model");
    vt_json_open(&w, '{');
    vt_model_write(vt_clip_describe(e->clip), e->model_name, &w);
    vt_json_close(&w, '}');
    for (size_t i = 0; i < found.n; i++) {
        if (i == 0 || strcmp(of[i].group, of[i - 1].group) != 0) {
            vt_json_key(&w, of[i].group);
            vt_json_open(&w, '{');
        }
        vt_json_key(&w, of[i].key);
        vt_json_num(&w, of[i].value, 15);
        if (i + 1 == found.n || strcmp(of[i].group, of[i + 1].group) != 0)
            vt_json_close(&w, '}');
    }
    vt_json_key(&w, "index");
    vt_garden_write(e->garden, &w);
    vt_json_key(&w, "audit");
    vt_audit_write(e->audit, &w);
    vt_json_close(&w, '}');
    return vt_buf_status(answer, "the answer", err);
}

void vt_engine_index_write(vt_engine *e, vt_json *w) {
    vt_garden_write(e->garden, w);
}

vt_status vt_engine_metrics(vt_engine *e, vt_buf *answer, vt_err *err) {
    numbers found;
    gather(e, &found);
    for (size_t i = 0; i < found.n; i++) {
        const number *of = &found.all[i];
        vt_buf_printf(answer, "# HELP %s %s\n# TYPE %s %s\n%s %.15g\n", of->metric, of->help,
                      of->metric, of->type, of->metric, of->value);
    }
    vt_garden_metrics(e->garden, answer);
    vt_audit_metrics(e->audit, answer);
    return vt_buf_status(answer, "the metrics", err);
}

vt_status vt_engine_check(const char *data_dir,
                          void (*say)(void *ctx, bool problem, const char *line), void *ctx,
                          size_t *problems, vt_err *err) {
    return vt_catalog_check(data_dir, say, ctx, problems, err);
}
