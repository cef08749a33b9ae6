/* Memory that runs out: the n-th allocation fails, for every n, of whatever the index does. What
 * fails has changed nothing that can be seen, the invariants hold, and the same call succeeds when
 * there is memory again. The linker sends the allocations of base through the wrappers below. */
#include "index_support.h"

#include <unistd.h>

#define DIM   64
#define N     300
#define K     10
#define WORDS 20

/* ---- allocations that fail -------------------------------------------------------------- */

static int allocations_left = -1; /* before one fails; below 0: none fails */
static bool no_memory;            /* all fail */

static bool fails_now(void) {
    return no_memory || (allocations_left >= 0 && allocations_left-- == 0);
}

void *__real_vt_alloc(size_t count, size_t size);
void *__wrap_vt_alloc(size_t count, size_t size);
void *__wrap_vt_alloc(size_t count, size_t size) {
    return fails_now() ? NULL : __real_vt_alloc(count, size);
}

void *__real_vt_alloc_aligned(size_t count, size_t size);
void *__wrap_vt_alloc_aligned(size_t count, size_t size);
void *__wrap_vt_alloc_aligned(size_t count, size_t size) {
    return fails_now() ? NULL : __real_vt_alloc_aligned(count, size);
}

vt_status __real_vt_array_grow(void *array, size_t *cap, size_t need, size_t size, vt_err *err);
vt_status __wrap_vt_array_grow(void *array, size_t *cap, size_t need, size_t size, vt_err *err);
vt_status __wrap_vt_array_grow(void *array, size_t *cap, size_t need, size_t size, vt_err *err) {
    return need > *cap && fails_now() ? vt_fail_nomem(err, need)
                                      : __real_vt_array_grow(array, cap, need, size, err);
}

typedef struct shop {
    world w;
    shelf s;
    float *words;
    uint32_t next; /* slot */
    char path[64]; /* of its file */
} shop;

static void shop_open(shop *s, bool cells) {
    random_state = 1;
    *s = (shop){.next = N};
    world_open(&s->w, DIM, 20);
    shelf_open(&s->s, DIM, 4 * N);
    shelf_fill(&s->s, &s->w, 0, N);
    s->words = world_queries(&s->w, true, WORDS);
    if (cells) {
        make_cells(s->s.ix, NULL);
    }
}

static void shop_close(shop *s) {
    free(s->words);
    shelf_close(&s->s);
    world_close(&s->w);
}

typedef vt_status (*attempt)(shop *s, vt_err *err);

/* Calls it with the first, second... allocation failing until it needs no more; of very many, which
 * repeat themselves, some. Gives the number of
 * calls that failed; a failure may also be borne. That nothing has changed is seen by shelf_check,
 * which knows what was put, and by a search. */
static size_t fail_each(shop *s, attempt f) {
    vt_hit hits[K];
    vt_index_query q = {.vector = s->words, .k = K, .kind = VT_QUERY_TEXT, .recall = 1};
    size_t failures = 0;
    for (int n = 0;; n += n < 100 ? 1 : 29) {
        vt_err err;
        allocations_left = n;
        vt_status status = f(s, &err);
        bool reached = allocations_left < 0;
        allocations_left = -1;
        assert_true(status == VT_OK || status == VT_E_NOMEM);
        shelf_check(&s->s);
        shelf_search(&s->s, &q, NULL, hits, NULL);
        assert_nothing_missed(&s->s, &q, hits, K);
        failures += status != VT_OK;
        if (!reached) {
            assert_int_equal(status, VT_OK);
            return failures;
        }
    }
}

/* ---- attempts --------------------------------------------------------------------------- */

static vt_status open_one(shop *s, vt_err *err) {
    vt_index *ix;
    (void)s;
    vt_status status = vt_index_open(DIM, &ix, err);
    assert_true((status == VT_OK) == (ix != NULL));
    vt_index_close(ix);
    return status;
}

/* At a new slot, or in place of what is there. */
static vt_status put_at(shop *s, uint32_t slot, vt_err *err) {
    float v[DIM];
    world_picture(&s->w, v);
    vt_status status = vt_index_put(s->s.ix, slot, v, err);
    if (status == VT_OK) {
        memcpy(s->s.rows + (size_t)slot * DIM, v, sizeof v);
        vt_bitset_set(&s->s.live, slot, true);
    }
    return status;
}

static vt_status put_new(shop *s, vt_err *err) {
    vt_status status = put_at(s, s->next, err);
    s->next += status == VT_OK;
    return status;
}

static vt_status put_again(shop *s, vt_err *err) {
    return put_at(s, random_below(N), err);
}

static vt_status search(shop *s, vt_query_kind kind, float recall, const vt_bitset *filter,
                        vt_err *err) {
    vt_hit hits[K];
    size_t n;
    vt_index_query q = {
        .vector = s->words, .k = K, .kind = kind, .recall = recall, .filter = filter};
    vt_status status = vt_index_search(s->s.ix, &q, NULL, hits, &n, NULL, err);
    assert_int_equal(n, status == VT_OK ? K : 0);
    return status;
}

static vt_status search_exact(shop *s, vt_err *err) {
    return search(s, VT_QUERY_TEXT, 1, NULL, err);
}

static vt_status search_cells(shop *s, vt_err *err) {
    return search(s, VT_QUERY_TEXT, 0.5f, NULL, err);
}

static vt_status search_filtered(shop *s, vt_err *err) {
    return search(s, VT_QUERY_IMAGE, 0.9f, &s->s.live, err);
}

static vt_status rebuild(shop *s, vt_err *err) {
    vt_rebuild *r;
    bool more = true;
    vt_status status = vt_rebuild_open(s->s.ix, &r, err);
    assert_true((status == VT_OK) == (r != NULL));
    while (status == VT_OK && more) {
        status = vt_rebuild_train(r, NULL, &more, err);
    }
    for (more = true; status == VT_OK && more;) {
        status = vt_rebuild_step(r, NULL, &more, err);
    }
    if (status == VT_OK) {
        status = vt_rebuild_finish(r, err);
    }
    vt_rebuild_close(r);
    return status;
}

static vt_status tune(shop *s, vt_err *err) {
    vt_tuning *t;
    bool more = true;
    vt_status status = vt_tuning_open(s->s.ix, VT_QUERY_TEXT, s->words, WORDS, &t, err);
    assert_true((status == VT_OK) == (t != NULL));
    while (status == VT_OK && more) {
        status = vt_tuning_learn(t, s->s.ix, NULL, &more, err);
    }
    if (status == VT_OK) {
        status = vt_tuning_apply(t, s->s.ix, err);
    }
    vt_tuning_close(t);
    return status;
}

static vt_status tune_by_rows(shop *s, vt_err *err) {
    vt_tuning *t;
    bool more = true;
    vt_status status = vt_tuning_open(s->s.ix, VT_QUERY_IMAGE, NULL, 0, &t, err);
    while (status == VT_OK && more) {
        status = vt_tuning_learn(t, s->s.ix, NULL, &more, err);
    }
    vt_tuning_close(t);
    return status;
}

static const vt_snapshot_key nobody = {.database_id = "database"};

/* Failures are for what the index does with the file; the file has tests of its own. */
static vt_status save(shop *s, vt_err *err) {
    vt_snapshot_writer *w;
    vt_status status = VT_OK;
    uint64_t state = 0;
    bool more = true;
    int left = allocations_left;
    allocations_left = -1;
    ok(vt_snapshot_begin(s->path, &nobody, &w, err), err);
    allocations_left = left;
    while (status == VT_OK && more) {
        status = vt_index_save(s->s.ix, w, &state, &more, err);
    }
    left = allocations_left;
    allocations_left = -1;
    if (status == VT_OK) {
        ok(vt_snapshot_commit(w, err), err);
    }
    vt_snapshot_close(w);
    allocations_left = left;
    return status;
}

static vt_status load(shop *s, vt_err *err) {
    const vt_snapshot_wanted wanted = {.database_id = nobody.database_id, .model = &nobody.model};
    vt_snapshot *snapshot;
    vt_index *ix;
    uint64_t seq;
    int left = allocations_left;
    allocations_left = -1;
    ok(vt_snapshot_open(s->path, &wanted, NULL, &snapshot, &seq, err), err);
    allocations_left = left;
    vt_status status = vt_index_load(snapshot, DIM, &s->s.live, &ix, err);
    left = allocations_left;
    allocations_left = -1;
    assert_true((status == VT_OK) == (ix != NULL));
    if (status == VT_OK) {
        ok(vt_index_check(ix, err), err);
        assert_int_equal(vt_index_count(ix), vt_index_count(s->s.ix));
    }
    vt_index_close(ix);
    vt_snapshot_release(snapshot);
    allocations_left = left;
    return status;
}

/* ---- tests ------------------------------------------------------------------------------ */

static void test_open(void **unused) {
    (void)unused;
    shop s;
    shop_open(&s, false);
    assert_true(fail_each(&s, open_one) >= 1);
    shop_close(&s);
}

/* A slot far away needs all that a put may need; then many puts, each of which may be the one that
 * needs more. */
static void put_many(bool cells) {
    shop s;
    size_t failures = 0, slots;
    shop_open(&s, cells);
    slots = vt_index_slots(s.s.ix);
    no_memory = true;
    while (s.next < 3 * N) { /* until a put needs memory */
        vt_err err;
        if (put_new(&s, &err) != VT_OK) {
            assert_int_equal(err.status, VT_E_NOMEM);
            break;
        }
    }
    no_memory = false;
    assert_true(s.next < 3 * N && vt_index_slots(s.s.ix) == s.next && s.next >= slots);
    shelf_check(&s.s);
    failures += fail_each(&s, put_new);
    s.next = 4 * N - 1;
    failures += fail_each(&s, put_new);
    assert_true(failures >= 2);
    for (size_t i = 0; i < 50; i++) {
        fail_each(&s, put_again);
    }
    shop_close(&s);
}

static void test_put(void **unused) {
    (void)unused;
    put_many(false);
}

static void test_put_into_cells(void **unused) {
    (void)unused;
    put_many(true);
}

static void test_search(void **unused) {
    (void)unused;
    shop s;
    vt_err err;
    shop_open(&s, false);
    assert_true(fail_each(&s, search_exact) >= 1);
    assert_true(fail_each(&s, search_filtered) >= 1);
    make_cells(s.s.ix, NULL);
    fail_each(&s, search_exact);
    assert_true(fail_each(&s, search_cells) >= 1);
    assert_true(fail_each(&s, search_filtered) >= 1);
    ok(tune(&s, &err), &err);
    assert_true(fail_each(&s, search_cells) >= 1);
    shop_close(&s);
}

static void test_rebuild(void **unused) {
    (void)unused;
    shop s;
    shop_open(&s, false);
    assert_true(fail_each(&s, rebuild) >= 4);
    assert_true(fail_each(&s, rebuild) >= 4); /* in place of cells */
    shop_close(&s);
}

static void test_tuning(void **unused) {
    (void)unused;
    shop s;
    shop_open(&s, true);
    assert_true(fail_each(&s, tune_by_rows) >= 2);
    assert_true(vt_index_fraction(s.s.ix, VT_QUERY_TEXT, 0.5f) == 1);
    assert_true(fail_each(&s, tune) >= 2);
    shop_close(&s);
}

/* Removing cannot fail, so a rebuild that has no memory to note it must not bring the row back. */
static void changes_without_memory(size_t steps) {
    shop s;
    vt_rebuild *r;
    vt_err err;
    bool more = true;
    shop_open(&s, true);
    ok(vt_rebuild_open(s.s.ix, &r, &err), &err);
    train(r, NULL);
    for (size_t i = 0; i < steps && more; i++) {
        ok(vt_rebuild_step(r, NULL, &more, &err), &err);
    }
    no_memory = true;
    for (uint32_t slot = 0; slot < N; slot += 2) {
        vt_status status = put_at(&s, slot + 1, &err);
        assert_true(status == VT_OK || status == VT_E_NOMEM);
        shelf_remove(&s.s, slot);
    }
    no_memory = false;
    shelf_check(&s.s);
    while (more) {
        ok(vt_rebuild_step(r, NULL, &more, &err), &err);
    }
    vt_status status = vt_rebuild_finish(r, &err);
    assert_true(status == VT_OK || status == VT_E_NOMEM);
    vt_rebuild_close(r);
    shelf_check(&s.s);
    assert_int_equal(fail_each(&s, search_filtered) >= 1, true);
    shop_close(&s);
}

static void test_changes_without_memory(void **unused) {
    (void)unused;
    changes_without_memory(0);
    changes_without_memory(SIZE_MAX);
}

/* Failures are for the end alone, which has changes to bring in. */
static vt_status finish_with_changes(shop *s, vt_err *err) {
    vt_rebuild *r;
    bool more = true;
    int left = allocations_left;
    allocations_left = -1;
    ok(vt_rebuild_open(s->s.ix, &r, err), err);
    train(r, NULL);
    while (more) {
        ok(vt_rebuild_step(r, NULL, &more, err), err);
    }
    for (size_t i = 0; i < 200; i++) {
        ok(put_again(s, err), err);
    }
    allocations_left = left;
    vt_status status = vt_rebuild_finish(r, err);
    left = allocations_left;
    allocations_left = -1;
    vt_rebuild_close(r);
    allocations_left = left;
    return status;
}

static void test_finish(void **unused) {
    (void)unused;
    shop s;
    shop_open(&s, false);
    fail_each(&s, finish_with_changes);
    shop_close(&s);
}

static void test_changes_beside_a_rebuild(void **unused) {
    (void)unused;
    shop s;
    vt_rebuild *r;
    vt_err err;
    bool more = true;
    shop_open(&s, true);
    ok(vt_rebuild_open(s.s.ix, &r, &err), &err);
    fail_each(&s, put_new);
    fail_each(&s, put_again);
    train(r, NULL);
    while (more) {
        ok(vt_rebuild_step(r, NULL, &more, &err), &err);
        fail_each(&s, put_new);
        fail_each(&s, put_again);
    }
    ok(vt_rebuild_finish(r, &err), &err);
    vt_rebuild_close(r);
    shelf_check(&s.s);
    shop_close(&s);
}

static void test_file(void **unused) {
    (void)unused;
    for (int cells = 0; cells < 2; cells++) {
        shop s;
        vt_err err;
        char folder[] = "/tmp/vitrine-test-XXXXXX";
        shop_open(&s, cells);
        if (cells) {
            ok(tune(&s, &err), &err);
        }
        assert_non_null(mkdtemp(folder));
        (void)snprintf(s.path, sizeof s.path, "%s/index", folder);
        fail_each(&s, save);
        assert_true(fail_each(&s, load) >= 2);
        assert_int_equal(unlink(s.path), 0);
        assert_int_equal(rmdir(folder), 0);
        shop_close(&s);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open),
        cmocka_unit_test(test_put),
        cmocka_unit_test(test_put_into_cells),
        cmocka_unit_test(test_search),
        cmocka_unit_test(test_rebuild),
        cmocka_unit_test(test_tuning),
        cmocka_unit_test(test_changes_without_memory),
        cmocka_unit_test(test_finish),
        cmocka_unit_test(test_changes_beside_a_rebuild),
        cmocka_unit_test(test_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
