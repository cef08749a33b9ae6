/* Many threads at once: writers change products of their own while searchers and readers look.
 * What a reader sees must be one version of a product, whole, with the score of that version's
 * vector, and as many hits as asked for. Meant to be run under ThreadSanitizer too. */
#include "catalog_support.h"

#include <pthread.h>
#include <stdatomic.h>

enum { STEADY = 30, OWN = 20, WRITERS = 3, READERS = 3, CHANGES = 300 };

typedef struct shared {
    vt_catalog *c;
    _Atomic bool over;
    _Atomic size_t searches;
    _Atomic size_t faults; /* cmocka's asserts may only fail in the main thread */
    _Atomic unsigned versions[WRITERS * OWN];
} shared;

typedef struct worker {
    shared *s;
    unsigned number;
    pthread_t thread;
} worker;

static void expect(shared *s, bool ok) {
    if (!ok)
        s->faults++;
}

/* ---- writers ---------------------------------------------------------------------------- */

static void change_one(shared *s, unsigned n, unsigned version) {
    vt_product p;
    vt_put_result result;
    vt_err err;
    product_make(&p, STEADY + n, version);
    if (version % 5 == 0)
        expect(s, vt_catalog_delete(s->c, p.id, &err) != VT_E_INTERNAL);
    else
        expect(s, vt_catalog_put(s->c, &p, &result, &err) == VT_OK);
    s->versions[n] = version;
    vt_product_release(&p);
}

static void change_batch(shared *s, unsigned first, unsigned version) {
    vt_product p[OWN / 2];
    vt_status statuses[OWN / 2];
    vt_put_result results[OWN / 2];
    vt_err errs[OWN / 2];
    for (unsigned i = 0; i < OWN / 2; i++)
        product_make(&p[i], STEADY + first + i, version);
    vt_catalog_put_many(s->c, p, OWN / 2, statuses, results, errs);
    for (unsigned i = 0; i < OWN / 2; i++) {
        expect(s, statuses[i] == VT_OK);
        s->versions[first + i] = version;
        vt_product_release(&p[i]);
    }
}

static void *write_things(void *arg) {
    worker *w = arg;
    uint64_t state = w->number + 1;
    for (unsigned i = 1; i <= CHANGES; i++) {
        unsigned first = w->number * OWN;
        if (i % 10 == 0)
            change_batch(w->s, first + (unsigned)below(&state, OWN / 2), i * 5 + 1);
        else
            change_one(w->s, first + (unsigned)below(&state, OWN), i);
    }
    return NULL;
}

/* ---- readers ---------------------------------------------------------------------------- */

/* The product must be exactly one of the versions that product_make makes. */
static bool is_whole(const vt_product *p, const float *query, float score) {
    unsigned n = (unsigned)json_integer_value(json_object_get(p->attributes, "n"));
    unsigned version = (unsigned)json_integer_value(json_object_get(p->attributes, "v"));
    vt_product want;
    bool same;
    product_make(&want, n, version);
    same = strcmp(want.id, p->id) == 0 && strcmp(want.name, p->name) == 0 &&
           strcmp(want.category, p->category) == 0 && json_equal(want.attributes, p->attributes);
    if (query)
        same = same && vt_vec_dot(query, want.embedding, DIM) == score;
    vt_product_release(&want);
    return same;
}

static void search_once(shared *s, uint64_t *state) {
    float v[DIM];
    vt_catalog_hit *hits;
    size_t n, k = 1 + below(state, STEADY);
    vt_err err;
    vt_filter *f =
        below(state, 2) ? filter_of("{\"category\":[\"category 1\",\"category 2\"]}") : NULL;
    random_vector(state, v, DIM);
    expect(s, search_all(s->c, v, f, k, &hits, &n, &err) == VT_OK);
    expect(s, f ? n >= (k < 12 ? k : 12) : n == k); /* 12 of the steady ones match */
    for (size_t i = 0; i < n; i++) {
        expect(s, is_whole(&hits[i].product, v, hits[i].score));
        expect(s, vt_filter_matches(f, &hits[i].product));
        expect(s, i == 0 || hits[i].score <= hits[i - 1].score);
    }
    vt_catalog_hits_release(hits, n);
    vt_filter_close(f);
    s->searches++;
}

static vt_status see(void *ctx, const vt_product *p, vt_err *err) {
    expect(ctx, is_whole(p, NULL, 0));
    return VT_OK;
}

static vt_status see_category(void *ctx, const char *name, size_t products, vt_err *err) {
    expect(ctx, products > 0);
    return VT_OK;
}

static void *read_things(void *arg) {
    worker *w = arg;
    shared *s = w->s;
    uint64_t state = 100 + w->number, last = 0;
    vt_catalog_stats stats;
    vt_err err;
    while (!s->over) {
        search_once(s, &state);
        if (below(&state, 20) == 0) {
            expect(s, vt_catalog_list(s->c, "", 100, NULL, see, s, &err) == VT_OK);
            expect(s, vt_catalog_categories(s->c, see_category, s, &err) == VT_OK);
            vt_catalog_describe(s->c, &stats);
            expect(s, stats.products >= STEADY);
        }
        expect(s, vt_catalog_generation(s->c) >= last);
        last = vt_catalog_generation(s->c);
    }
    return NULL;
}

/* ---- test ------------------------------------------------------------------------------- */

static void assert_last_versions(shared *s) {
    for (unsigned n = 0; n < WRITERS * OWN; n++) {
        vt_product want, have;
        vt_err err = {0};
        unsigned version = s->versions[n];
        bool gone = version % 5 == 0;
        product_make(&want, STEADY + n, version);
        assert_int_equal(vt_catalog_get(s->c, want.id, &have, &err), gone ? VT_E_NOT_FOUND : VT_OK);
        if (!gone)
            assert_same_product(&want, &have, true);
        vt_product_release(&want);
        vt_product_release(&have);
    }
}

static void everyone_sees_whole_products(void **unused) {
    static shared s;
    worker writers[WRITERS], readers[READERS];
    char *dir = folder_make();
    vt_catalog_stats stats;
    s.c = catalog_open(dir);
    for (unsigned n = 0; n < STEADY; n++)
        put_made(s.c, n, 0);
    for (unsigned i = 0; i < READERS; i++) {
        readers[i] = (worker){.s = &s, .number = i};
        assert_int_equal(pthread_create(&readers[i].thread, NULL, read_things, &readers[i]), 0);
    }
    for (unsigned i = 0; i < WRITERS; i++) {
        writers[i] = (worker){.s = &s, .number = i};
        assert_int_equal(pthread_create(&writers[i].thread, NULL, write_things, &writers[i]), 0);
    }
    for (unsigned i = 0; i < WRITERS; i++)
        pthread_join(writers[i].thread, NULL);
    s.over = true;
    for (unsigned i = 0; i < READERS; i++)
        pthread_join(readers[i].thread, NULL);
    assert_int_equal(s.faults, 0);
    assert_true(s.searches > READERS);
    assert_last_versions(&s);
    vt_catalog_describe(s.c, &stats);
    assert_true(stats.commits <= stats.rows_written);
    vt_catalog_close(s.c);
    assert_sound(dir);
    s.c = catalog_open(dir);
    assert_last_versions(&s);
    vt_catalog_close(s.c);
    folder_remove(dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(everyone_sees_whole_products)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
