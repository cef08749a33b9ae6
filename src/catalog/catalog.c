/* The catalogue: joins the store (truth), the memory (what a search looks at), the writer and the
 * readers, and holds the order in which they are opened, used and closed.
 *
 * A put:    validate -> writer's queue -> commit -> memory -> return
 * A search: pin a state of the store -> scan memory under its read lock -> lock given back -> exact
 *           scores by the vectors of the pinned state -> the best k, their rows -> return
 *
 * Store and memory are two states, and memory follows a commit a moment later. Pinning just before
 * the scan makes them the same but for a change that falls into that moment: each row is asked for
 * with the seq that the scan saw, one that differs makes the hits short, and the search is done
 * again, so that k hits come back whenever k match. (Only where changes win this race RACES_MAX
 * times in a row, a millisecond apart, is a hit left out.) Rejected: pinning after the scan, which
 * loses the race as often as something is written during a scan.
 *
 * Locks, none ever taken while another is held: the writer's queue, memory's, the readers' pool. A
 * pinned reader is held during a scan; who waits for one holds no lock. */
#include "catalog/catalog.h"

#include <errno.h>
#include <math.h>
#include <sys/stat.h>

#include "catalog/memory.h"
#include "catalog/product.h"
#include "catalog/reader.h"
#include "catalog/snapshots.h"
#include "catalog/writer.h"

enum { RACES_MAX = 100, HAND_OVER = 256, PAGE = 32, SPARE_MIN = 8, TELL_S = 2 };

struct vt_catalog {
    vt_lock lock; /* of the data folder */
    char *path;   /* of catalog.db */
    size_t dim;
    vt_hash model;
    vt_memory *memory;
    vt_store *store; /* the writer's, once it runs */
    vt_readers *readers;
    vt_writer *writer;
    vt_snapshots *snapshots;
    double load_seconds, index_seconds;
};

/* ---- open and close --------------------------------------------------------------------- */

vt_status vt_catalog_find(const char *dir, vt_err *err) {
    struct stat st;
    char *path = vt_path_join(dir, "catalog.db");
    vt_status s = VT_OK;
    if (!path)
        return vt_fail_nomem(err, strlen(dir));
    if (stat(path, &st) != 0)
        s = vt_fail_errno(err, errno, "there is no catalogue in %s (catalog.db)", dir);
    free(path);
    return s;
}

static vt_status lock_folder(vt_catalog *c, const char *dir, vt_err *err) {
    char *path = vt_path_join(dir, "lock");
    vt_status s;
    if (!path)
        return vt_fail_nomem(err, strlen(dir));
    s = vt_dir_ensure(dir, err);
    if (s == VT_OK)
        s = vt_lock_acquire(path, &c->lock, err);
    if (s == VT_E_LOCKED)
        vt_fail_prefix(err, "the data folder is in use: ask its server over HTTP, or stop it");
    free(path);
    return s;
}

typedef struct loading {
    vt_catalog *c;
    const vt_catalog_options *o;
    uint64_t told_ns; /* when it was last said how far it is */
    size_t n;
} loading;

static void tell_progress(loading *l) {
    char line[64];
    l->n++;
    if (!l->o->say || l->n % 1024 != 0 || vt_seconds_since(l->told_ns) < TELL_S)
        return;
    snprintf(line, sizeof line, "%zu products are loaded", l->n);
    l->o->say(l->o->say_ctx, false, line);
    l->told_ns = vt_now_ns();
}

static vt_status load_product(void *ctx, int64_t row, const vt_product *p, vt_err *err) {
    loading *l = ctx;
    uint64_t start = vt_now_ns();
    vt_status s = vt_memory_load(l->c->memory, row, p, err);
    l->c->index_seconds += vt_seconds_since(start);
    tell_progress(l);
    if (s == VT_E_INVALID) { /* the index refuses the vector */
        s = err->status = VT_E_CORRUPT;
        vt_fail_prefix(err, "%.200s: row %lld", l->c->path, (long long)row);
    }
    return s;
}

static vt_status load_all(vt_catalog *c, const vt_catalog_options *o, vt_err *err) {
    uint64_t start = vt_now_ns();
    loading l = {.c = c, .o = o, .told_ns = start};
    vt_status s = vt_memory_open(o->dim, o->pool, &c->memory, err);
    if (s == VT_OK)
        s = vt_store_load(c->store, load_product, &l, err);
    c->load_seconds = vt_seconds_since(start) - c->index_seconds;
    return s;
}

/* From a snapshot where there is one, which is a matter of speed only: a failure there is none. */
static vt_status load(vt_catalog *c, const vt_catalog_options *o, vt_err *err) {
    const vt_restoring from = {.truth = vt_store_truth(c->store), .pool = o->pool};
    vt_status s = vt_snapshots_open(o->dir, &from.truth, &c->snapshots, err);
    if (s != VT_OK)
        return s;
    c->memory = vt_snapshots_load(c->snapshots, &from, o->say, o->say_ctx);
    if (!c->memory)
        s = load_all(c, o, err);
    if (s == VT_OK)
        vt_memory_start(c->memory, vt_store_seq(c->store));
    return s;
}

static vt_status open_parts(vt_catalog *c, const vt_catalog_options *o, vt_err *err) {
    vt_meta meta = {.model = o->model, .dim = o->dim};
    vt_writer_options w = {.apply = vt_memory_apply, .indexed = vt_memory_indexed};
    vt_status s;
    snprintf(meta.model_name, sizeof meta.model_name, "%s", o->model_name ? o->model_name : "");
    c->path = vt_path_join(o->dir, "catalog.db");
    if (!c->path)
        return vt_fail_nomem(err, strlen(o->dir));
    s = vt_store_open(c->path, o->vfs, &meta, &c->store, err);
    if (s == VT_OK)
        s = load(c, o, err);
    if (s == VT_OK)
        s = vt_readers_open(c->path, o->vfs, o->dim, &c->readers, err);
    w.store = c->store;
    w.ctx = c->memory;
    if (s == VT_OK)
        s = vt_writer_open(&w, &c->writer, err);
    return s;
}

vt_status vt_catalog_open(const vt_catalog_options *o, vt_catalog **out, vt_err *err) {
    vt_catalog *c;
    vt_status s;
    *out = NULL;
    if (o->dim < 1 || o->dim > 65536)
        return vt_fail(err, VT_E_INVALID, "vectors of %zu dimensions cannot be kept", o->dim);
    c = vt_alloc(1, sizeof *c);
    if (!c)
        return vt_fail_nomem(err, sizeof *c);
    c->lock.fd = -1;
    c->dim = o->dim;
    c->model = o->model;
    s = o->must_exist ? vt_catalog_find(o->dir, err) : VT_OK;
    if (s == VT_OK)
        s = lock_folder(c, o->dir, err);
    if (s == VT_OK)
        s = open_parts(c, o, err);
    if (s == VT_OK)
        *out = c;
    else
        vt_catalog_close(c);
    return s;
}

void vt_catalog_close(vt_catalog *c) {
    if (!c)
        return;
    vt_writer_close(c->writer);   /* first: it uses store and memory */
    vt_readers_close(c->readers); /* before the store, whose last act empties the log */
    vt_store_close(c->store);
    vt_memory_close(c->memory);
    vt_snapshots_close(c->snapshots);
    vt_lock_release(&c->lock);
    free(c->path);
    free(c);
}

/* ---- write ------------------------------------------------------------------------------ */

static vt_status validate(const vt_catalog *c, const vt_product *p, vt_err *err) {
    vt_status s = vt_product_validate(p, err);
    return s == VT_OK ? vt_embedding_validate(p->embedding, c->dim, err) : s;
}

vt_status vt_catalog_put(vt_catalog *c, vt_product *p, vt_put_result *result, vt_err *err) {
    vt_status s;
    vt_catalog_put_many(c, p, 1, &s, result, err);
    return s;
}

/* Puts at most HAND_OVER products. */
static void put_some(vt_catalog *c, vt_product *p, size_t n, vt_status *statuses,
                     vt_put_result *results, vt_err *errs) {
    vt_write writes[HAND_OVER];
    size_t of[HAND_OVER], count = 0; /* which product a write is of: invalid ones have none */
    for (size_t i = 0; i < n; i++) {
        results[i] = VT_PUT_UNCHANGED;
        statuses[i] = validate(c, &p[i], &errs[i]);
        if (statuses[i] != VT_OK)
            continue;
        writes[count] = (vt_write){.product = &p[i], .err = &errs[i]};
        of[count++] = i;
    }
    vt_writer_submit(c->writer, writes, count);
    for (size_t i = 0; i < count; i++) {
        statuses[of[i]] = writes[i].status;
        results[of[i]] = writes[i].result;
    }
}

void vt_catalog_put_many(vt_catalog *c, vt_product *p, size_t n, vt_status *statuses,
                         vt_put_result *results, vt_err *errs) {
    for (size_t done = 0; done < n; done += HAND_OVER)
        put_some(c, p + done, n - done < HAND_OVER ? n - done : HAND_OVER, statuses + done,
                 results + done, errs + done);
}

vt_status vt_catalog_delete(vt_catalog *c, const char *id, vt_err *err) {
    vt_write w = {.id = id, .err = err};
    vt_writer_submit(c->writer, &w, 1);
    return w.status;
}

/* ---- read ------------------------------------------------------------------------------- */

vt_status vt_catalog_get(vt_catalog *c, const char *id, vt_product *out, vt_err *err) {
    vt_product_init(out);
    return vt_readers_get(c->readers, id, out, err);
}

vt_status vt_catalog_vector(vt_catalog *c, const char *id, const vt_hash *image, float *embedding,
                            bool *found, vt_err *err) {
    return vt_readers_vector(c->readers, id, image, embedding, found, err);
}

/* Calls fn with those of a page that match, until *left are told. */
static vt_status tell_page(const vt_product *page, size_t n, const vt_filter *filter, size_t *left,
                           vt_product_fn fn, void *ctx, vt_err *err) {
    vt_status s = VT_OK;
    for (size_t i = 0; s == VT_OK && *left > 0 && i < n; i++) {
        if (!vt_filter_matches(filter, &page[i]))
            continue;
        s = fn(ctx, &page[i], err);
        --*left;
    }
    return s;
}

/* Walks the truth page by page. A filter is tried on each product: listing is for people and
 * exports, and 100,000 rows are walked in a second. */
vt_status vt_catalog_list(vt_catalog *c, const char *after, size_t limit, const vt_filter *filter,
                          vt_product_fn fn, void *ctx, vt_err *err) {
    vt_product page[PAGE];
    char last[VT_PRODUCT_ID_MAX + 1];
    size_t n = PAGE;
    vt_status s = VT_OK;
    if (strlen(after) > VT_PRODUCT_ID_MAX)
        return vt_fail_field(err, VT_E_INVALID, "/after", "after is longer than any product id");
    for (size_t i = 0; i < PAGE; i++)
        vt_product_init(&page[i]);
    snprintf(last, sizeof last, "%s", after);
    while (s == VT_OK && limit > 0 && n == PAGE) {
        s = vt_readers_page(c->readers, last, page, PAGE, &n, err);
        if (s == VT_OK && n > 0)
            snprintf(last, sizeof last, "%s", page[n - 1].id);
        if (s == VT_OK)
            s = tell_page(page, n, filter, &limit, fn, ctx, err);
    }
    for (size_t i = 0; i < PAGE; i++)
        vt_product_release(&page[i]);
    return s;
}

/* ---- search ----------------------------------------------------------------------------- */

void vt_catalog_hits_release(vt_catalog_hit *hits, size_t n) {
    for (size_t i = 0; hits && i < n; i++)
        vt_product_release(&hits[i].product);
    free(hits);
}

static int by_score(const void *a, const void *b) {
    const vt_found *x = a, *y = b;
    if (isnan(x->score) || isnan(y->score))
        return isnan(x->score) - isnan(y->score);
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return (x->place > y->place) - (x->place < y->place);
}

/* Puts the best first; returns how many of the n have a score. */
static size_t order(vt_found *found, size_t n) {
    if (n > 0)
        qsort(found, n, sizeof *found, by_score);
    while (n > 0 && isnan(found[n - 1].score))
        n--;
    return n;
}

/* The index's scores are off by up to VT_INDEX_ERROR, so the k best by them are not quite the k
 * best. Who belongs to these but lies behind the k-th has a score that close to its, and of such
 * there are few: scores next to the k-th of a million lie a thousandth apart at k = 10; at k = 1000
 * they lie a hundred times closer, hence a share of k. Only where more products than that have one
 * vector (a picture for many variants) can these fill the spare places and hide a better one. */
static size_t spare_of(size_t k) {
    return k / 8 > SPARE_MIN ? k / 8 : SPARE_MIN;
}

/* Whether nothing that was not found can belong among the k best of the n that were, in order: its
 * rounded score is at most the least found. */
static bool settled(const vt_catalog *c, const vt_catalog_query *q, size_t spare,
                    const vt_found *found, size_t n) {
    float error = c->dim < 64 ? VT_INDEX_ERROR * 64 / (float)c->dim : VT_INDEX_ERROR;
    float least = 1;
    if (n <= q->k || n - q->k < spare) /* nothing was left out */
        return true;
    for (size_t i = 0; i < n; i++)
        least = fminf(least, found[i].rounded);
    return least + error < found[q->k - 1].score;
}

/* Finds, scores and orders; *n of *found have a score. Where every match was scored, looks further
 * until the k best are certain; where most were passed over that would promise nothing. */
static vt_status find(vt_catalog *c, vt_reader *reader, const vt_catalog_query *q, vt_found **found,
                      size_t *n, vt_plan *plan, bool *whole, vt_err *err) {
    vt_status s = VT_OK;
    *whole = true;
    for (size_t spare = spare_of(q->k), all;; spare *= 4) {
        free(*found);
        s = vt_memory_search(c->memory, q, spare, found, &all, plan, err);
        if (s == VT_OK)
            s = vt_reader_score(reader, q->vector, *found, all, err);
        if (s != VT_OK)
            return s;
        *n = order(*found, all);
        *whole = *n == all;
        if (!*whole || plan->way != VT_WAY_EXACT || settled(c, q, spare, *found, all))
            return VT_OK;
    }
}

/* One search and its rows. *whole is false when something found was changed in between. */
static vt_status search_once(vt_catalog *c, const vt_catalog_query *q, vt_catalog_hit **hits,
                             size_t *n_hits, vt_plan *plan, bool *whole, vt_err *err) {
    vt_found *found = NULL;
    vt_reader *reader = NULL;
    vt_plan made = {0};
    size_t n = 0;
    vt_status s;
    *hits = NULL;
    *n_hits = 0;
    s = vt_readers_pin(c->readers, &reader, err);
    if (s == VT_OK)
        s = find(c, reader, q, &found, &n, &made, whole, err);
    if (plan)
        *plan = made;
    if (s != VT_OK)
        goto done;
    n = n < q->k ? n : q->k;
    *hits = vt_alloc(n, sizeof **hits);
    s = *hits ? vt_reader_hits(reader, found, n, *hits, n_hits, err)
              : vt_fail_nomem(err, n * sizeof **hits);
done:
    vt_readers_unpin(c->readers, reader);
    free(found);
    return s;
}

static vt_status validate_query(const vt_catalog *c, const vt_catalog_query *q, vt_err *err) {
    if (q->k == 0)
        return vt_fail_field(err, VT_E_INVALID, "/top_k", "top_k must be 1 or more");
    if (!(q->recall >= 0 && q->recall <= 1)) /* 0: the default */
        return vt_fail_field(err, VT_E_INVALID, "/recall", "recall must be above 0 and at most 1");
    return vt_embedding_validate(q->vector, c->dim, err);
}

vt_status vt_catalog_search(vt_catalog *c, const vt_catalog_query *q, vt_catalog_hit **hits,
                            size_t *n_hits, vt_plan *plan, vt_err *err) {
    bool whole = false;
    vt_status s = validate_query(c, q, err);
    *hits = NULL;
    *n_hits = 0;
    for (int i = 0; i < RACES_MAX && s == VT_OK && !whole; i++) {
        vt_catalog_hits_release(*hits, *n_hits);
        if (i > 0) /* the writer is between its commit and memory: let it come round */
            nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        s = search_once(c, q, hits, n_hits, plan, &whole, err);
    }
    if (s != VT_OK) {
        vt_catalog_hits_release(*hits, *n_hits);
        *hits = NULL;
        *n_hits = 0;
    }
    return s;
}

/* ---- upkeep ----------------------------------------------------------------------------- */

vt_status vt_catalog_rebuild(vt_catalog *c, vt_stopped_fn stopped, void *ctx, bool *done,
                             vt_err *err) {
    return vt_memory_rebuild(c->memory, stopped, ctx, done, err);
}

vt_status vt_catalog_learn(vt_catalog *c, vt_query_kind kind, const float *queries, size_t n,
                           vt_stopped_fn stopped, void *ctx, bool *done, vt_err *err) {
    const vt_lessons lessons = {.kind = kind, .queries = queries, .n = n};
    return vt_memory_learn(c->memory, &lessons, stopped, ctx, done, err);
}

float vt_catalog_fraction(vt_catalog *c, vt_query_kind kind, float recall) {
    return vt_memory_fraction(c->memory, kind, recall);
}

void vt_catalog_spend_more(vt_catalog *c, vt_query_kind kind, float factor) {
    vt_memory_spend_more(c->memory, kind, factor);
}

vt_status vt_catalog_save(vt_catalog *c, bool force, vt_stopped_fn stopped, void *ctx, bool *done,
                          vt_err *err) {
    const vt_keeping k = {
        .memory = c->memory, .writer = c->writer, .force = force, .stopped = stopped, .ctx = ctx};
    return vt_snapshots_save(c->snapshots, &k, done, err);
}

/* ---- looking around --------------------------------------------------------------------- */

uint64_t vt_catalog_generation(const vt_catalog *c) {
    return vt_memory_generation(c->memory);
}

/* Bytes of the file "<path><suffix>", 0 where it is not there. */
static uint64_t file_bytes(const char *path, const char *suffix) {
    struct stat st;
    vt_buf name;
    uint64_t bytes = 0;
    vt_buf_init(&name, strlen(path) + strlen(suffix));
    vt_buf_printf(&name, "%s%s", path, suffix);
    if (name.failed == VT_OK && stat(name.data, &st) == 0)
        bytes = (uint64_t)st.st_size;
    vt_buf_release(&name);
    return bytes;
}

void vt_catalog_describe(vt_catalog *c, vt_catalog_stats *out) {
    vt_writer_stats writes = vt_writer_describe(c->writer);
    *out = (vt_catalog_stats){
        .dim = c->dim,
        .model = c->model,
        .commits = writes.commits,
        .rows_written = writes.rows,
        .load_seconds = c->load_seconds,
        .index_seconds = c->index_seconds,
        .database_bytes = file_bytes(c->path, "") + file_bytes(c->path, "-wal"),
    };
    out->generation = out->seq = vt_memory_generation(c->memory);
    vt_memory_describe(c->memory, out);
    vt_snapshots_describe(c->snapshots, out);
    memcpy(out->database_id, vt_store_database_id(c->store), sizeof out->database_id);
}

vt_status vt_catalog_categories(vt_catalog *c, vt_category_fn fn, void *ctx, vt_err *err) {
    vt_category_count *all = NULL;
    size_t n = 0;
    vt_status s = vt_memory_categories(c->memory, &all, &n, err);
    for (size_t i = 0; i < n; i++) {
        if (s == VT_OK)
            s = fn(ctx, all[i].name, all[i].products, err);
        free(all[i].name);
    }
    free(all);
    return s;
}

vt_status vt_catalog_category_vectors(vt_catalog *c, size_t max_samples, vt_category_vectors *out,
                                      vt_err *err) {
    return vt_memory_category_vectors(c->memory, max_samples, out, err);
}
