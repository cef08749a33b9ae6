/* Many threads at once: writers change products of their own while searchers and readers look and
 * a keeper makes cells and learns. What a reader sees must be one version of a product, whole, with
 * the score of that version's vector, and as many hits as asked for. Then the same on memory alone,
 * where changes come so fast that cells are made anew several times: none of them may be lost.
 * Meant to be run under ThreadSanitizer too. */
#define VT_TEST_DIM 64
#include "catalog_support.h"

#include "catalog/memory.h"

enum { STEADY = 20000, OWN = 20, WRITERS = 3, READERS = 3, CHANGES = 300, LESSONS = 32 };

typedef struct shared {
    vt_catalog *c;
    _Atomic bool over;
    _Atomic size_t searches, learnt;
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
    size_t n, k = 1 + below(state, 30);
    vt_err err;
    vt_filter *f =
        below(state, 2) ? filter_of("{\"category\":[\"category 1\",\"category 2\"]}") : NULL;
    random_vector(state, v, DIM);
    expect(s, search_all(s->c, v, f, k, &hits, &n, &err) == VT_OK);
    expect(s, n == k); /* so many of the steady ones match */
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

/* ---- keeper ----------------------------------------------------------------------------- */

static void make_lessons(uint64_t *state, float lessons[LESSONS * DIM]) {
    for (size_t i = 0; i < LESSONS; i++)
        random_vector(state, lessons + i * DIM, DIM);
}

static void *keep_things(void *arg) {
    worker *w = arg;
    shared *s = w->s;
    float lessons[LESSONS * DIM];
    uint64_t state = 55;
    make_lessons(&state, lessons);
    while (!s->over || s->learnt == 0) {
        bool done;
        vt_err err;
        expect(s, vt_catalog_rebuild(s->c, NULL, NULL, &done, &err) == VT_OK);
        expect(s, vt_catalog_learn(s->c, VT_QUERY_TEXT, lessons, LESSONS, NULL, NULL, &done,
                                   &err) == VT_OK);
        s->learnt += done;
        expect(s, vt_catalog_fraction(s->c, VT_QUERY_TEXT, VT_RECALL_DEFAULT) > 0);
        vt_catalog_spend_more(s->c, VT_QUERY_TEXT, 1.1f);
    }
    return NULL;
}

/* ---- a catalogue ------------------------------------------------------------------------ */

static void put_steady(vt_catalog *c) {
    enum { BATCH = 200 };
    static vt_product p[BATCH];
    static vt_status statuses[BATCH];
    static vt_put_result results[BATCH];
    static vt_err errs[BATCH];
    for (unsigned n = 0; n < STEADY; n += BATCH) {
        for (unsigned i = 0; i < BATCH; i++)
            product_make(&p[i], n + i, 0);
        vt_catalog_put_many(c, p, BATCH, statuses, results, errs);
        for (unsigned i = 0; i < BATCH; i++) {
            assert_int_equal(statuses[i], VT_OK);
            vt_product_release(&p[i]);
        }
    }
}

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
    worker writers[WRITERS], readers[READERS], keeper = {.s = &s};
    char *dir = folder_make();
    vt_catalog_stats stats;
    s.c = catalog_open(dir);
    put_steady(s.c);
    assert_int_equal(pthread_create(&keeper.thread, NULL, keep_things, &keeper), 0);
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
    pthread_join(keeper.thread, NULL);
    assert_int_equal(s.faults, 0);
    assert_true(s.searches > READERS);
    assert_last_versions(&s);
    vt_catalog_describe(s.c, &stats);
    assert_true(stats.commits <= stats.rows_written);
    assert_true(stats.cells > 0);
    vt_catalog_close(s.c);
    assert_sound(dir);
    s.c = catalog_open(dir);
    assert_last_versions(&s);
    vt_catalog_close(s.c);
    folder_remove(dir);
}

/* ---- memory alone ----------------------------------------------------------------------- */

enum { HEAVY = 20000, GROUP = 64, REBUILDS = 3, GONE_EVERY = 10 };

typedef struct heavy {
    vt_memory *m;
    shared s;                 /* its over, faults and searches */
    unsigned versions[HEAVY]; /* the writer's; GONE_EVERY divides it: deleted */
} heavy;

/* One group of changes as the catalogue's writer hands it over. */
static void apply_group(heavy *h, uint64_t *state, unsigned *version, uint64_t *seq) {
    vt_product p[GROUP];
    vt_write all[GROUP], *writes[GROUP];
    vt_err errs[GROUP];
    size_t n = 1 + below(state, GROUP);
    for (size_t i = 0; i < n; i++) {
        unsigned at = (unsigned)below(state, HEAVY);
        bool was = h->versions[at] % GONE_EVERY != 0;
        h->versions[at] = ++*version;
        product_make(&p[i], at, *version);
        p[i].seq = ++*seq;
        all[i] = (vt_write){.id = p[i].id, .err = &errs[i], .row = at + 1, .seq = *seq};
        all[i].product = *version % GONE_EVERY ? &p[i] : NULL;
        all[i].changed = all[i].product || was;
        writes[i] = &all[i];
    }
    vt_memory_apply(h->m, writes, n, *seq);
    for (size_t i = 0; i < n; i++) {
        expect(&h->s, all[i].status == VT_OK);
        vt_product_release(&p[i]);
    }
    expect(&h->s, vt_memory_generation(h->m) == *seq);
}

static void *change_heavily(void *arg) {
    heavy *h = arg;
    uint64_t state = 3, seq = HEAVY;
    unsigned version = 1;
    while (!h->s.over)
        apply_group(h, &state, &version, &seq);
    return NULL;
}

static void *search_heavily(void *arg) {
    heavy *h = arg;
    uint64_t state = 17;
    float v[DIM];
    const vt_catalog_query q = {.vector = v, .k = 20, .kind = VT_QUERY_TEXT};
    while (!h->s.over) {
        vt_found *found;
        vt_plan plan;
        vt_err err;
        size_t n;
        random_vector(&state, v, DIM);
        expect(&h->s, vt_memory_search(h->m, &q, 8, &found, &n, &plan, &err) == VT_OK);
        expect(&h->s, n == q.k + 8);
        for (size_t i = 0; i < n; i++)
            expect(&h->s, found[i].seq <= vt_memory_generation(h->m));
        free(found);
        h->s.searches++;
    }
    return NULL;
}

static void keep_up(heavy *h, const float *lessons) {
    static const vt_query_kind kinds[] = {VT_QUERY_TEXT, VT_QUERY_IMAGE};
    size_t rebuilds = 0;
    while (rebuilds < REBUILDS) {
        bool done;
        vt_err err = {0};
        if (vt_memory_rebuild(h->m, NULL, NULL, &done, &err) != VT_OK)
            fail_msg("%s", err.text);
        rebuilds += done;
        for (size_t i = 0; i < 2 && done; i++) {
            const vt_lessons from = {
                .kind = kinds[i], .queries = i == 0 ? lessons : NULL, .n = LESSONS};
            if (vt_memory_learn(h->m, &from, NULL, NULL, &done, &err) != VT_OK)
                fail_msg("%s", err.text);
            assert_true(done);
        }
    }
}

/* Every product is there in its last version, or gone. */
static void assert_nothing_lost(const heavy *h) {
    vt_err err = {0};
    if (vt_memory_check(h->m, &err) != VT_OK)
        fail_msg("%s", err.text);
    for (unsigned n = 0; n < HEAVY; n++) {
        vt_product want;
        uint32_t slot;
        float v[DIM];
        bool gone = h->versions[n] % GONE_EVERY == 0;
        product_make(&want, n, h->versions[n]);
        assert_int_equal(vt_columns_find(&h->m->columns, want.id, &slot), !gone);
        if (!gone) {
            assert_true(vt_index_get(h->m->index, slot, v));
            assert_true(is_near(v, want.embedding));
        }
        vt_product_release(&want);
    }
}

static void fill_heavy(heavy *h) {
    vt_err err = {0};
    assert_int_equal(vt_memory_open(DIM, NULL, &h->m, &err), VT_OK);
    for (unsigned n = 0; n < HEAVY; n++) {
        vt_product p;
        product_make(&p, n, h->versions[n] = 1);
        p.seq = n + 1;
        assert_int_equal(vt_memory_load(h->m, n + 1, &p, &err), VT_OK);
        vt_product_release(&p);
    }
    vt_memory_start(h->m, HEAVY);
}

static void no_change_is_lost_while_cells_are_made(void **unused) {
    static heavy h;
    pthread_t writer, searcher;
    float lessons[LESSONS * DIM];
    uint64_t state = 21;
    make_lessons(&state, lessons);
    fill_heavy(&h);
    assert_int_equal(pthread_create(&writer, NULL, change_heavily, &h), 0);
    assert_int_equal(pthread_create(&searcher, NULL, search_heavily, &h), 0);
    keep_up(&h, lessons);
    h.s.over = true;
    pthread_join(writer, NULL);
    pthread_join(searcher, NULL);
    assert_int_equal(h.s.faults, 0);
    assert_true(h.s.searches > 0);
    assert_nothing_lost(&h);
    vt_memory_close(h.m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everyone_sees_whole_products),
        cmocka_unit_test(no_change_is_lost_while_cells_are_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
