/* What the catalogue's tests share: a folder that goes away, products made of random parts, and a
 * comparison of all their fields. */
#ifndef VT_TEST_CATALOG_SUPPORT_H
#define VT_TEST_CATALOG_SUPPORT_H

#include "catalog/catalog.h"

#include <ftw.h>
#include <math.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <unistd.h>

#include <cmocka.h>

#ifndef VT_TEST_DIM /* a test that wants another defines it before */
#define VT_TEST_DIM 16
#endif

enum { DIM = VT_TEST_DIM };

/* xorshift64*: the same products in every run and on every machine. */
static inline uint64_t next_random(uint64_t *state) {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545F4914F6CDD1Du;
}

static inline size_t below(uint64_t *state, size_t n) {
    return (size_t)(next_random(state) >> 33) % n;
}

static inline void random_vector(uint64_t *state, float *v, size_t dim) {
    for (size_t i = 0; i < dim; i++)
        v[i] = (float)below(state, 2001) / 1000 - 1;
    v[0] += 0.001f; /* never all zero */
    assert_true(vt_vec_normalize(v, dim) > 0);
}

/* As near as the index keeps a vector. */
static inline bool is_near(const float *a, const float *b) {
    double squares = 0;
    for (size_t d = 0; d < DIM; d++)
        squares += (double)(a[d] - b[d]) * (double)(a[d] - b[d]);
    return squares < 1e-6;
}

static inline char *folder_make(void) {
    char *dir = strdup("/tmp/vitrine-test-XXXXXX");
    assert_non_null(dir);
    assert_non_null(mkdtemp(dir));
    return dir;
}

static inline int folder_remove_one(const char *path, const struct stat *st, int type,
                                    struct FTW *at) {
    return remove(path);
}

static inline void folder_remove(char *dir) {
    assert_int_equal(nftw(dir, folder_remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
    free(dir);
}

static inline vt_catalog_options options_of(const char *dir) {
    vt_catalog_options o = {.dir = dir, .dim = DIM, .model_name = "test-model"};
    o.model = vt_hash_bytes("model", 5);
    return o;
}

static inline vt_catalog *catalog_open(const char *dir) {
    vt_catalog_options o = options_of(dir);
    vt_catalog *c = NULL;
    vt_err err = {0};
    if (vt_catalog_open(&o, &c, &err) != VT_OK)
        fail_msg("%s", err.text);
    return c;
}

static inline json_t *json_of(const char *text) {
    json_t *v;
    vt_err err = {0};
    if (vt_json_parse(text, strlen(text), &v, &err) != VT_OK)
        fail_msg("%s: %s", text, err.text);
    return v;
}

static inline vt_filter *filter_of(const char *text) {
    vt_filter *f = NULL;
    vt_err err = {0};
    json_t *v = json_of(text);
    if (vt_filter_from_json(v, "/filter", &f, &err) != VT_OK)
        fail_msg("%s: %s", text, err.text);
    json_decref(v);
    return f;
}

/* A product of the number n and a version: the same two give the same product, anywhere. */
static inline void product_make(vt_product *p, unsigned n, unsigned version) {
    uint64_t state = ((uint64_t)n << 32 | version) * 2 + 0x9E3779B97F4A7C15u;
    char text[256];
    vt_product_init(p);
    next_random(&state);
    snprintf(text, sizeof text, "product-%05u", n);
    p->id = vt_strdup(text);
    snprintf(text, sizeof text, "Name %u.%u \xC3\xA9", n, version);
    p->name = vt_strdup(text);
    p->description = vt_strdup(version % 2 ? "with \"quotes\" and\nlines" : "");
    snprintf(text, sizeof text, "https://shop.example/%u.jpg", n);
    p->image_url = vt_strdup(text);
    snprintf(text, sizeof text, "category %u", n % 5);
    p->category = vt_strdup(n % 5 ? text : "");
    p->price = n % 7 ? (double)below(&state, 10000) / 100 : NAN;
    snprintf(text, sizeof text, "{\"colour\":\"c%zu\",\"n\":%u,\"v\":%u,\"tags\":[1,\"t\"]}",
             below(&state, 4), n, version);
    p->attributes = json_of(text);
    p->embedding = vt_alloc(DIM, sizeof(float));
    assert_non_null(p->embedding);
    random_vector(&state, p->embedding, DIM);
    p->image_hash = vt_hash_bytes(text, strlen(text));
}

static inline void assert_same_product(const vt_product *a, const vt_product *b, bool vectors) {
    assert_string_equal(a->id, b->id);
    assert_string_equal(a->name, b->name);
    assert_string_equal(a->description, b->description);
    assert_string_equal(a->image_url, b->image_url);
    assert_string_equal(a->category, b->category);
    assert_true(a->price == b->price || (isnan(a->price) && isnan(b->price)));
    assert_true(json_equal(a->attributes, b->attributes));
    assert_true(vt_hash_equal(&a->image_hash, &b->image_hash));
    if (vectors)
        assert_memory_equal(a->embedding, b->embedding, DIM * sizeof(float));
}

static inline vt_put_result put_ok(vt_catalog *c, vt_product *p) {
    vt_put_result result;
    vt_err err = {0};
    if (vt_catalog_put(c, p, &result, &err) != VT_OK)
        fail_msg("%s: %s", p->id, err.text);
    return result;
}

static inline vt_put_result put_made(vt_catalog *c, unsigned n, unsigned version) {
    vt_product p;
    vt_put_result result;
    product_make(&p, n, version);
    result = put_ok(c, &p);
    vt_product_release(&p);
    return result;
}

/* Products `from` to from + n - 1, many at a time. */
static inline void put_many_made(vt_catalog *c, unsigned from, unsigned n, unsigned version) {
    enum { BATCH = 64 };
    vt_product p[BATCH];
    vt_status statuses[BATCH];
    vt_put_result results[BATCH];
    static vt_err errs[BATCH];
    for (unsigned done = 0, count; done < n; done += count) {
        count = n - done < BATCH ? n - done : BATCH;
        for (unsigned i = 0; i < count; i++)
            product_make(&p[i], from + done + i, version);
        vt_catalog_put_many(c, p, count, statuses, results, errs);
        for (unsigned i = 0; i < count; i++) {
            assert_int_equal(statuses[i], VT_OK);
            vt_product_release(&p[i]);
        }
    }
}

static inline void save_now(vt_catalog *c) {
    bool done = false;
    vt_err err = {0};
    if (vt_catalog_save(c, true, NULL, NULL, &done, &err) != VT_OK)
        fail_msg("%s", err.text);
    assert_true(done);
}

static inline void rebuild_now(vt_catalog *c) {
    bool done = false;
    vt_err err = {0};
    if (vt_catalog_rebuild(c, NULL, NULL, &done, &err) != VT_OK)
        fail_msg("%s", err.text);
    assert_true(done);
}

static inline void learn_now(vt_catalog *c) {
    bool done = false;
    vt_err err = {0};
    if (vt_catalog_learn(c, VT_QUERY_IMAGE, NULL, 32, NULL, NULL, &done, &err) != VT_OK)
        fail_msg("%s", err.text);
    assert_true(done);
}

/* Exactly the k best. */
static inline vt_status search_all(vt_catalog *c, const float *v, const vt_filter *f, size_t k,
                                   vt_catalog_hit **hits, size_t *n, vt_err *err) {
    vt_catalog_query q = {.vector = v, .filter = f, .k = k, .kind = VT_QUERY_VECTOR, .recall = 1};
    return vt_catalog_search(c, &q, hits, n, NULL, err);
}

/* Does what only someone with the file open beside us could. */
static inline void run_sql(const char *dir, const char *sql) {
    sqlite3 *db;
    char *path = vt_path_join(dir, "catalog.db");
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    sqlite3_close(db);
    free(path);
}

/* Collects what vt_catalog_check says; printed when a test fails. */
typedef struct findings {
    char text[8192];
    size_t len;
} findings;

static inline void collect(void *ctx, bool problem, const char *line) {
    findings *f = ctx;
    int n =
        snprintf(f->text + f->len, sizeof f->text - f->len, "%s%s\n", problem ? "! " : "", line);
    if (n > 0 && f->len + (size_t)n < sizeof f->text)
        f->len += (size_t)n;
}

static inline void write_file(const char *path, const void *bytes, size_t n) {
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static inline void assert_sound(const char *dir) {
    findings f = {0};
    size_t problems = 0;
    vt_err err = {0};
    if (vt_catalog_check(dir, collect, &f, &problems, &err) != VT_OK)
        fail_msg("%s", err.text);
    if (problems > 0)
        fail_msg("%s", f.text);
}

#endif
