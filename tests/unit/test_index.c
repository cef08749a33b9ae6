/* The index before it has cells, where every match is scored: against brute force in double, for
 * every kind of dimension and instruction set, through changes, filters and equal scores. */
#include "index_support.h"

#define SLOTS 160

/* Reversed, so that ties are seen to follow it and not the slots. */
static bool later_first(void *ctx, uint32_t a, uint32_t b) {
    assert_ptr_equal(ctx, &random_state);
    return a > b;
}

/* ---- brute force ------------------------------------------------------------------------ */

/* Puts (new, again, or the double of another) or removes, somewhere. */
static void change(shelf *s, uint32_t slots) {
    float v[2048];
    uint32_t slot = random_below(slots), other = random_below(slots);
    if (random_below(3) == 0) {
        shelf_remove(s, slot);
    } else if (random_below(4) == 0 && vt_bitset_get(&s->live, other)) {
        shelf_put(s, slot, shelf_row(s, other));
    } else {
        random_unit(v, s->dim);
        shelf_put(s, slot, v);
    }
}

/* All matches are in double what they are here, and the answer to a smaller k is the beginning of
 * the answer to a larger one, on threads too. */
static void search_and_check(const shelf *s, const vt_bitset *filter, vt_pool *pool) {
    float vector[2048];
    vt_hit all[SLOTS], hits[SLOTS];
    bool reversed = random_below(2);
    random_unit(vector, s->dim);
    vt_index_query q = {
        .vector = vector,
        .k = SLOTS,
        .filter = filter,
        .tie = reversed ? later_first : NULL,
        .tie_ctx = &random_state,
        .kind = random_below(VT_QUERY_KINDS),
        .recall = random_below(2) ? 1 : 0.9f,
    };
    size_t n_all = shelf_search(s, &q, NULL, all, NULL);
    assert_int_equal(n_all, shelf_count(s, filter));
    q.k = 1 + random_below(random_below(2) ? 10 : SLOTS);
    size_t n = shelf_search(s, &q, pool, hits, NULL);
    assert_memory_equal(hits, all, n * sizeof *hits);
    assert_nothing_missed(s, &q, hits, n);
}

/* One search with no filter and one with a filter of each density; the filter may know fewer
 * slots than the index, or more. */
static void search_with_filters(const shelf *s, vt_pool *pool) {
    static const uint32_t per_mille[] = {0, 10, 100, 500, 950, 1000};
    vt_err err;
    search_and_check(s, NULL, pool);
    for (size_t d = 0; d < sizeof per_mille / sizeof *per_mille; d++) {
        vt_bitset filter;
        size_t n = random_below(2) ? SLOTS + 100 : random_below(SLOTS);
        vt_bitset_init(&filter);
        ok(vt_bitset_resize(&filter, n, &err), &err);
        for (size_t i = 0; i < n; i++) {
            vt_bitset_set(&filter, i, random_below(1000) < per_mille[d]);
        }
        search_and_check(s, &filter, pool);
        vt_bitset_release(&filter);
    }
}

static void like_brute_force(size_t dim, vt_pool *pool) {
    shelf s;
    shelf_open(&s, dim, SLOTS);
    search_with_filters(&s, pool);
    for (uint32_t slots = 1; slots <= SLOTS; slots += 53) {
        for (size_t i = 0; i < slots; i++) {
            change(&s, slots);
        }
        shelf_check(&s);
        assert_true(vt_index_slots(s.ix) <= slots);
        search_with_filters(&s, pool);
    }
    shelf_close(&s);
}

static void test_like_brute_force(void **unused) {
    (void)unused;
    static const size_t dims[] = {1, 2, 3, 7, 31, 63, 64, 65, 100, 127, 512, 770, 1000, 2048};
    vt_pool *pool;
    vt_err err;
    ok(vt_pool_open(3, &pool, &err), &err);
    for (const char *const *isa = vt_vec_isas(); *isa; isa++) {
        ok(vt_vec_init(*isa, &err), &err);
        for (size_t d = 0; d < sizeof dims / sizeof *dims; d++) {
            like_brute_force(dims[d], pool);
        }
    }
    vt_pool_close(pool);
    ok(vt_vec_init(NULL, &err), &err);
}

/* Vectors as models make them are denser than what comes from a handful of values: the promised
 * error holds for them too, and for a vector along one axis, the worst there is to round. */
static void test_scores_are_within_the_error(void **unused) {
    (void)unused;
    static const size_t dims[] = {64, 96, 512, 770};
    for (size_t d = 0; d < sizeof dims / sizeof *dims; d++) {
        float vector[2048] = {0};
        vt_hit hits[SLOTS];
        world w;
        shelf s;
        world_open(&w, dims[d], 5);
        shelf_open(&s, dims[d], SLOTS);
        shelf_fill(&s, &w, 0, SLOTS - 2);
        vector[dims[d] / 2] = 1;
        shelf_put(&s, SLOTS - 2, vector);
        vector[0] = vector[dims[d] / 2] = sqrtf(0.5f);
        shelf_put(&s, SLOTS - 1, vector);
        shelf_check(&s);
        for (size_t i = 0; i < SLOTS; i++) {
            vt_index_query q = {.vector = shelf_row(&s, (uint32_t)i), .k = SLOTS, .recall = 1};
            assert_int_equal(shelf_search(&s, &q, NULL, hits, NULL), SLOTS);
            assert_int_equal(hits[0].slot, i);
        }
        shelf_close(&s);
        world_close(&w);
    }
}

/* ---- larger than a part ----------------------------------------------------------------- */

/* Enough rows for several parts, with a hole; the same hits on any number of threads, and with a
 * filter that lets all pass. */
static void test_threads_agree(void **unused) {
    (void)unused;
    enum { DIM = 128, N = 30000, K = 50 };
    vt_hit expected[K], hits[K];
    vt_bitset all;
    vt_err err;
    world w;
    shelf s;
    world_open(&w, DIM, 50);
    shelf_open(&s, DIM, N);
    shelf_fill(&s, &w, 0, 6000);
    shelf_fill(&s, &w, 17000, N - 17000);
    shelf_check(&s);
    assert_int_equal(vt_index_slots(s.ix), N);
    vt_bitset_init(&all);
    ok(vt_bitset_resize(&all, N, &err), &err);
    vt_bitset_fill(&all, true);
    vt_index_query q = {.vector = shelf_row(&s, 20000), .k = K};
    shelf_search(&s, &q, NULL, expected, NULL);
    assert_int_equal(expected[0].slot, 20000);
    assert_nothing_missed(&s, &q, expected, K);
    for (unsigned threads = 1; threads <= 5; threads++) {
        vt_pool *pool;
        ok(vt_pool_open(threads, &pool, &err), &err);
        q.filter = threads % 2 ? &all : NULL;
        shelf_search(&s, &q, pool, hits, NULL);
        assert_memory_equal(hits, expected, sizeof hits);
        vt_pool_close(pool);
    }
    vt_bitset_release(&all);
    shelf_close(&s);
    world_close(&w);
}

/* The longest vectors that there are. */
static void test_longest_vectors(void **unused) {
    (void)unused;
    enum { DIM = 65536, N = 70 };
    vt_index *ix;
    vt_err err;
    vt_hit hits[3];
    size_t n;
    float *v = vt_alloc(DIM, sizeof *v);
    assert_non_null(v);
    ok(vt_index_open(DIM, &ix, &err), &err);
    for (uint32_t slot = 0; slot < N; slot++) {
        memset(v, 0, DIM * sizeof *v);
        v[slot * 900] = 1;
        ok(vt_index_put(ix, slot, v, &err), &err);
    }
    for (uint32_t slot = 0; slot < N; slot++) {
        memset(v, 0, DIM * sizeof *v);
        v[slot * 900] = 0.8f;
        v[(slot + 1) % N * 900] = 0.6f;
        vt_index_query q = {.vector = v, .k = 3};
        ok(vt_index_search(ix, &q, NULL, hits, &n, NULL, &err), &err);
        assert_int_equal(n, 3);
        assert_int_equal(hits[0].slot, slot);
        assert_int_equal(hits[1].slot, (slot + 1) % N);
        assert_float_equal(hits[0].score, 0.8f, VT_INDEX_ERROR);
        assert_float_equal(hits[1].score, 0.6f, VT_INDEX_ERROR);
        assert_float_equal(hits[2].score, 0, VT_INDEX_ERROR);
    }
    ok(vt_index_check(ix, &err), &err);
    vt_index_close(ix);
    free(v);
}

/* ---- what it says of itself --------------------------------------------------------------- */

static void test_slots_are_used_again(void **unused) {
    (void)unused;
    float v[8], w[8];
    vt_hit hits[4];
    shelf s;
    shelf_open(&s, 8, 100);
    assert_int_equal(vt_index_slots(s.ix), 0);
    assert_int_equal(vt_index_count(s.ix), 0);
    random_unit(v, 8);
    shelf_put(&s, 99, v);
    assert_int_equal(vt_index_slots(s.ix), 100);
    for (uint32_t round = 0; round < 50; round++) {
        random_unit(w, 8);
        shelf_put(&s, 7, v);
        shelf_put(&s, 7, w); /* replaced: counted once, found once */
        assert_int_equal(vt_index_count(s.ix), 2);
        vt_index_query q = {.vector = w, .k = 4, .recall = 1};
        assert_int_equal(shelf_search(&s, &q, NULL, hits, NULL), 2);
        shelf_check(&s);
        shelf_remove(&s, 7);
        shelf_remove(&s, 7);
        assert_int_equal(shelf_search(&s, &q, NULL, hits, NULL), 1);
        assert_int_equal(hits[0].slot, 99);
        shelf_check(&s);
    }
    shelf_remove(&s, 99);
    shelf_check(&s);
    assert_int_equal(vt_index_slots(s.ix), 100); /* ever put */
    shelf_close(&s);
}

/* 12 bits a dimension, and no more than is lost to rows that fill in their turn; what is removed
 * makes room for what comes. */
static void test_measure(void **unused) {
    (void)unused;
    enum { DIM = 256, N = 20000 };
    vt_index_bytes bytes, again;
    world w;
    shelf s;
    world_open(&w, DIM, 10);
    shelf_open(&s, DIM, N);
    vt_index_measure(s.ix, &bytes);
    assert_true(bytes.rows + bytes.codes + bytes.other < 1 << 20);
    shelf_fill(&s, &w, 0, N);
    vt_index_measure(s.ix, &bytes);
    size_t least = (size_t)N * DIM * 3 / 2;
    assert_true(bytes.rows >= least && bytes.rows < least + least / 3);
    assert_true(bytes.codes < 1 << 20);
    assert_true(bytes.other < (size_t)N * 32);
    for (uint32_t slot = 0; slot < N; slot += 2) {
        shelf_remove(&s, slot);
    }
    for (uint32_t slot = 0; slot < N; slot += 2) {
        shelf_put_picture(&s, slot, &w);
    }
    vt_index_measure(s.ix, &again);
    assert_true(again.rows <= bytes.rows + least / 10);
    shelf_close(&s);
    world_close(&w);
}

static void test_plan(void **unused) {
    (void)unused;
    enum { DIM = 64, N = 500 };
    vt_hit hits[10];
    vt_bitset filter;
    vt_err err;
    world w;
    shelf s;
    world_open(&w, DIM, 5);
    shelf_open(&s, DIM, N);
    shelf_fill(&s, &w, 0, N);
    shelf_remove(&s, 0);
    vt_bitset_init(&filter);
    ok(vt_bitset_resize(&filter, 101, &err), &err);
    vt_bitset_fill(&filter, true);
    for (size_t i = 0; i < VT_QUERY_KINDS; i++) {
        vt_index_query q = {.vector = shelf_row(&s, 9), .k = 10, .kind = (vt_query_kind)i};
        vt_plan plan;
        memset(&plan, 0xFF, sizeof plan);
        q.filter = i % 2 ? &filter : NULL;
        q.recall = i % 2 ? 0.25f : 0;
        shelf_search(&s, &q, NULL, hits, &plan);
        assert_int_equal(plan.way, VT_WAY_EXACT);
        assert_int_equal(plan.kind, i);
        assert_true(plan.recall == (i % 2 ? 0.25f : VT_RECALL_DEFAULT));
        assert_int_equal(plan.rows, N - 1);
        assert_int_equal(plan.matches, i % 2 ? 100 : N - 1);
        assert_int_equal(plan.scored, plan.matches);
        assert_int_equal(plan.estimated, 0);
        assert_int_equal(plan.cells, 0);
        assert_int_equal(plan.cells_probed, 0);
        assert_true(plan.exact_us > 0 && plan.estimated_us == 0);
        assert_true(vt_index_fraction(s.ix, q.kind, 0.9f) == 0);
    }
    vt_bitset_release(&filter);
    shelf_close(&s);
    world_close(&w);
}

static void test_names(void **unused) {
    (void)unused;
    assert_string_equal(vt_query_kind_name(VT_QUERY_IMAGE), "image");
    assert_string_equal(vt_query_kind_name(VT_QUERY_TEXT), "text");
    assert_string_equal(vt_query_kind_name(VT_QUERY_VECTOR), "vector");
    assert_string_equal(vt_way_name(VT_WAY_EXACT), "exact");
    assert_string_equal(vt_way_name(VT_WAY_SCAN), "scan");
    assert_string_equal(vt_way_name(VT_WAY_CELLS), "cells");
}

static void test_empty(void **unused) {
    (void)unused;
    vt_hit hits[2];
    vt_plan plan;
    float v[64] = {1};
    shelf s;
    shelf_open(&s, 64, 10);
    vt_index_query q = {.vector = v, .k = 2};
    assert_int_equal(shelf_search(&s, &q, NULL, hits, &plan), 0);
    assert_int_equal(plan.matches, 0);
    assert_int_equal(plan.rows, 0);
    assert_false(vt_index_rebuild_due(s.ix));
    shelf_put(&s, 3, v);
    shelf_remove(&s, 3);
    assert_int_equal(shelf_search(&s, &q, NULL, hits, &plan), 0);
    shelf_check(&s);
    shelf_close(&s);
}

/* ---- refusals --------------------------------------------------------------------------- */

static void test_refuses_bad_vectors(void **unused) {
    (void)unused;
    const float good[2] = {0.6f, 0.8f}, nearly[2] = {0.6005f, 0.8005f};
    const float bad[][2] = {{0, 0},        {0.6f, 0.7f},   {NAN, 1},       {1, NAN},
                            {INFINITY, 0}, {3e38f, 3e38f}, {0.61f, 0.80f}, {0.598f, 0.798f}};
    vt_err err;
    vt_hit hits[1];
    size_t n = 7;
    shelf s;
    shelf_open(&s, 2, 10);
    shelf_put(&s, 3, good);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        vt_index_query q = {.vector = bad[i], .k = 1};
        assert_int_equal(vt_index_put(s.ix, 3, bad[i], &err), VT_E_INVALID);
        assert_true(strlen(err.text) > 0);
        assert_int_equal(vt_index_put(s.ix, 5, bad[i], &err), VT_E_INVALID);
        assert_int_equal(vt_index_search(s.ix, &q, NULL, hits, &n, NULL, &err), VT_E_INVALID);
        assert_int_equal(n, 0);
    }
    assert_int_equal(vt_index_slots(s.ix), 4);
    shelf_check(&s);
    ok(vt_index_put(s.ix, 4, nearly, &err), &err);
    ok(vt_index_check(s.ix, &err), &err);
    shelf_close(&s);
}

static void test_refuses_bad_questions(void **unused) {
    (void)unused;
    static const float recalls[] = {-0.1f, 1.01f, NAN, INFINITY, -INFINITY};
    float v[4] = {1}, got[4];
    vt_index *ix;
    vt_err err;
    vt_hit hits[1];
    size_t n;
    assert_int_equal(vt_index_open(0, &ix, &err), VT_E_INVALID);
    assert_null(ix);
    assert_int_equal(vt_index_open(65537, &ix, &err), VT_E_INVALID);
    assert_null(ix);
    ok(vt_index_open(4, &ix, &err), &err);
    ok(vt_index_put(ix, 3, v, &err), &err);
    assert_int_equal(vt_index_put(ix, UINT32_MAX, v, &err), VT_E_INVALID);
    vt_index_remove(ix, UINT32_MAX);
    vt_index_remove(ix, 1000);
    vt_index_remove(ix, 2);
    assert_int_equal(vt_index_count(ix), 1);
    assert_false(vt_index_get(ix, 2, got));
    assert_false(vt_index_get(ix, 4, got));
    assert_false(vt_index_get(ix, UINT32_MAX, got));
    vt_index_query q = {.vector = v, .k = 0};
    assert_int_equal(vt_index_search(ix, &q, NULL, hits, &n, NULL, &err), VT_E_INVALID);
    q.k = 1;
    for (size_t i = 0; i < sizeof recalls / sizeof *recalls; i++) {
        q.recall = recalls[i];
        n = 7;
        assert_int_equal(vt_index_search(ix, &q, NULL, hits, &n, NULL, &err), VT_E_INVALID);
        assert_int_equal(n, 0);
    }
    vt_index_close(ix);
    vt_index_close(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_like_brute_force),
        cmocka_unit_test(test_scores_are_within_the_error),
        cmocka_unit_test(test_threads_agree),
        cmocka_unit_test(test_longest_vectors),
        cmocka_unit_test(test_slots_are_used_again),
        cmocka_unit_test(test_measure),
        cmocka_unit_test(test_plan),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_refuses_bad_vectors),
        cmocka_unit_test(test_refuses_bad_questions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
