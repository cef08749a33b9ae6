/* Cells being made and learnt of while the index goes on: when it is due, what changes between the
 * steps, steps that are given up, vectors that leave k-means nothing to part, and tunings that
 * outlive their cells. */
#include "index_support.h"

#define DIM      64
#define N        3000
#define CLUSTERS 40
#define K        10

static void stock(shelf *s, world *w, size_t n) {
    random_state = 1;
    world_open(w, DIM, CLUSTERS);
    shelf_open(s, DIM, n + n / 2);
    shelf_fill(s, w, 0, n);
}

/* The answers to a few questions of every kind, to be compared. */
typedef struct answers {
    vt_hit hits[12][K];
} answers;

static void ask(const shelf *s, answers *a) {
    static const float recalls[] = {1, 0.9f};
    memset(a, 0, sizeof *a);
    for (size_t i = 0; i < 12; i++) {
        vt_index_query q = {.vector = shelf_row(s, (uint32_t)i * 7),
                            .k = K,
                            .kind = (vt_query_kind)(i % VT_QUERY_KINDS),
                            .recall = recalls[i % 2]};
        shelf_search(s, &q, NULL, a->hits[i], NULL);
    }
}

/* Rows are found by themselves, but for as many as the wished recall allows to be missed. */
static void assert_found(const shelf *s, float recall) {
    uint32_t step = (uint32_t)(s->slots / 300 + 1), missed = 0, asked = 0;
    for (uint32_t slot = 0; slot < s->slots; slot += step) {
        vt_hit hit;
        vt_index_query q = {.vector = shelf_row(s, slot), .k = 1, .recall = recall};
        if (vt_bitset_get(&s->live, slot)) {
            assert_int_equal(shelf_search(s, &q, NULL, &hit, NULL), 1);
            missed += shelf_score(s, q.vector, hit.slot) < 1 - 2e-3;
            asked++;
        }
    }
    assert_true((float)missed <= (1 - recall) * (float)asked + 1);
}

/* All of them: nothing was learnt, so every row is seen. */
static void assert_all_found(const shelf *s) {
    for (uint32_t slot = 0; slot < s->slots; slot += (uint32_t)(s->slots / 300 + 1)) {
        vt_hit hit;
        vt_index_query q = {.vector = shelf_row(s, slot), .k = 1, .recall = 0.9f};
        if (vt_bitset_get(&s->live, slot)) {
            assert_int_equal(shelf_search(s, &q, NULL, &hit, NULL), 1);
            assert_true(shelf_score(s, q.vector, hit.slot) > 1 - 2e-3);
        }
    }
}

/* ---- due -------------------------------------------------------------------------------- */

static void test_due(void **unused) {
    (void)unused;
    enum { MANY = 17000 };
    world w;
    shelf s;
    stock(&s, &w, MANY);
    assert_true(vt_index_rebuild_due(s.ix));
    make_cells(s.ix, NULL);
    assert_false(vt_index_rebuild_due(s.ix));
    shelf_fill(&s, &w, 0, MANY * 2 / 5); /* replaced: changed once each */
    assert_false(vt_index_rebuild_due(s.ix));
    shelf_fill(&s, &w, MANY, MANY / 5);
    assert_true(vt_index_rebuild_due(s.ix));
    make_cells(s.ix, NULL);
    assert_false(vt_index_rebuild_due(s.ix));
    for (uint32_t slot = 0; slot < 3500; slot++) { /* fewer than cells pay for */
        shelf_remove(&s, slot);
    }
    shelf_fill(&s, &w, MANY, MANY / 2);
    assert_true(vt_index_rebuild_due(s.ix));
    for (uint32_t slot = 0; slot < MANY; slot++) {
        shelf_remove(&s, slot);
    }
    assert_false(vt_index_rebuild_due(s.ix));
    shelf_check(&s);
    shelf_close(&s);
    world_close(&w);
}

/* What changed while cells were made is in them. */
static void test_not_due_for_what_it_brought_in(void **unused) {
    (void)unused;
    enum { MANY = 17000 };
    world w;
    shelf s;
    vt_rebuild *r;
    vt_err err;
    bool more = true;
    stock(&s, &w, MANY);
    ok(vt_rebuild_open(s.ix, &r, &err), &err);
    train(r, NULL);
    shelf_fill(&s, &w, 0, MANY * 3 / 5);
    while (more) {
        ok(vt_rebuild_step(r, NULL, &more, &err), &err);
    }
    shelf_fill(&s, &w, 0, MANY * 3 / 5);
    ok(vt_rebuild_finish(r, &err), &err);
    vt_rebuild_close(r);
    assert_false(vt_index_rebuild_due(s.ix));
    shelf_check(&s);
    shelf_close(&s);
    world_close(&w);
}

/* ---- changes between the steps ---------------------------------------------------------- */

/* New, replaced, removed, and removed slots taken by others. */
static void change(shelf *s, const world *w, size_t n) {
    for (size_t i = 0; i < n; i++) {
        uint32_t slot = random_below((uint32_t)s->slots);
        switch (random_below(3)) {
        case 0:
            shelf_remove(s, slot);
            break;
        case 1:
            shelf_remove(s, slot);
            shelf_put_picture(s, slot, w);
            break;
        default:
            shelf_put_picture(s, slot, w);
        }
    }
}

/* A rebuild, with n changes between one step and the next. */
static void make_cells_meanwhile(shelf *s, const world *w, size_t n) {
    vt_rebuild *r;
    vt_err err;
    bool more = true;
    size_t steps = 0;
    ok(vt_rebuild_open(s->ix, &r, &err), &err);
    change(s, w, n);
    train(r, NULL);
    change(s, w, n);
    for (; more; steps++) {
        ok(vt_rebuild_step(r, NULL, &more, &err), &err);
        change(s, w, n);
        shelf_check(s);
    }
    assert_true(steps >= 2);
    ok(vt_rebuild_finish(r, &err), &err);
    vt_rebuild_close(r);
}

static void test_changes_while_it_is_made(void **unused) {
    (void)unused;
    world w;
    shelf s;
    stock(&s, &w, N);
    for (size_t n = 1; n <= 1000; n = n * 10) { /* the first has no cells, the others have */
        make_cells_meanwhile(&s, &w, n);
        shelf_check(&s);
        assert_all_found(&s);
        change(&s, &w, n);
        assert_all_found(&s);
    }
    learn(s.ix, VT_QUERY_IMAGE, NULL, 0);
    assert_found(&s, 0.98f);
    shelf_close(&s);
    world_close(&w);
}

/* All of them gone, and all new, between open and finish. */
static void test_everything_changes_meanwhile(void **unused) {
    (void)unused;
    world w;
    shelf s;
    vt_rebuild *r;
    vt_err err;
    bool more = true;
    for (size_t left = 0; left <= 300; left += 300) {
        stock(&s, &w, N);
        ok(vt_rebuild_open(s.ix, &r, &err), &err);
        train(r, NULL);
        for (uint32_t slot = 0; slot < N; slot++) {
            shelf_remove(&s, slot);
        }
        shelf_fill(&s, &w, N / 2, left);
        while (more) {
            ok(vt_rebuild_step(r, NULL, &more, &err), &err);
        }
        ok(vt_rebuild_finish(r, &err), &err);
        vt_rebuild_close(r);
        shelf_check(&s);
        assert_all_found(&s);
        shelf_fill(&s, &w, 0, 1000);
        shelf_check(&s);
        assert_all_found(&s);
        shelf_close(&s);
        world_close(&w);
    }
}

/* ---- given up --------------------------------------------------------------------------- */

/* After `steps` of open, train, train..., step, step... it is closed: nothing has changed, and the
 * next one is not hindered. */
static bool give_up_after(shelf *s, size_t steps) {
    vt_rebuild *r;
    vt_err err;
    bool training = true, more = true;
    ok(vt_rebuild_open(s->ix, &r, &err), &err);
    for (size_t i = 0; i < steps && more; i++) {
        if (training) {
            ok(vt_rebuild_train(r, NULL, &training, &err), &err);
        } else {
            ok(vt_rebuild_step(r, NULL, &more, &err), &err);
        }
    }
    vt_rebuild_close(r);
    return more;
}

static void test_given_up(void **unused) {
    (void)unused;
    world w;
    shelf s;
    answers before, after;
    stock(&s, &w, N);
    vt_rebuild_close(NULL);
    for (size_t round = 0; round < 2; round++) { /* without cells, and with */
        bool more = true;
        for (size_t steps = 0; more; steps++) {
            ask(&s, &before);
            more = give_up_after(&s, steps);
            ask(&s, &after);
            assert_memory_equal(&before, &after, sizeof before);
            shelf_check(&s);
            shelf_put_picture(&s, random_below(N), &w); /* and changes are as they ever were */
            shelf_remove(&s, random_below(N));
        }
        make_cells(s.ix, NULL);
        shelf_check(&s);
        learn(s.ix, VT_QUERY_IMAGE, NULL, 0);
    }
    assert_true(vt_index_fraction(s.ix, VT_QUERY_IMAGE, 0.5f) < 1);
    give_up_after(&s, 3);
    assert_true(vt_index_fraction(s.ix, VT_QUERY_IMAGE, 0.5f) < 1); /* what was learnt stays */
    shelf_close(&s);
    world_close(&w);
}

/* ---- little to part ----------------------------------------------------------------------- */

/* k-means over vectors of which there are no more than `distinct`: cells stay empty, distances are
 * 0, and yet all is found. */
static void few_distinct(size_t n, size_t distinct) {
    world w;
    shelf s;
    float *kinds;
    world_open(&w, DIM, CLUSTERS);
    shelf_open(&s, DIM, n + 1);
    kinds = world_queries(&w, false, distinct);
    for (size_t i = 0; i < n; i++) {
        shelf_put(&s, (uint32_t)i, kinds + i % distinct * DIM);
    }
    make_cells(s.ix, NULL);
    shelf_check(&s);
    assert_all_found(&s);
    shelf_put_picture(&s, (uint32_t)n, &w);
    shelf_remove(&s, 0);
    shelf_check(&s);
    assert_all_found(&s);
    free(kinds);
    shelf_close(&s);
    world_close(&w);
}

static void test_few_distinct_vectors(void **unused) {
    (void)unused;
    few_distinct(3000, 1);
    few_distinct(3000, 2);
    few_distinct(3000, 10);
    few_distinct(4, 4);
    few_distinct(40, 40);
}

/* One index, one rebuild; and for less than there can be cells of, none. */
static void test_rebuild_refuses(void **unused) {
    (void)unused;
    world w;
    shelf s;
    vt_rebuild *r, *second;
    vt_err err;
    world_open(&w, DIM, CLUSTERS);
    shelf_open(&s, DIM, 100);
    for (uint32_t n = 0; n < 4; n++) {
        assert_int_equal(vt_rebuild_open(s.ix, &r, &err), VT_E_INVALID);
        assert_null(r);
        shelf_put_picture(&s, n, &w);
    }
    shelf_fill(&s, &w, 0, 100);
    ok(vt_rebuild_open(s.ix, &r, &err), &err);
    assert_int_equal(vt_rebuild_open(s.ix, &second, &err), VT_E_INVALID);
    assert_null(second);
    vt_rebuild_close(r);
    make_cells(s.ix, NULL);
    shelf_check(&s);
    assert_all_found(&s);
    shelf_close(&s);
    world_close(&w);
}

/* Opposite vectors, whose mean is nothing, and vectors along the axes, which no rotation leaves as
 * they are. */
static void test_centres_of_nothing(void **unused) {
    (void)unused;
    shelf s;
    float v[DIM];
    shelf_open(&s, DIM, 2000);
    for (uint32_t slot = 0; slot < 2000; slot++) {
        memset(v, 0, sizeof v);
        v[slot / 2 % DIM] = slot % 2 ? -1 : 1;
        shelf_put(&s, slot, v);
    }
    make_cells(s.ix, NULL);
    shelf_check(&s);
    assert_all_found(&s);
    shelf_close(&s);
}

/* Dimensions that fill no word, or no register. */
static void test_odd_dimensions(void **unused) {
    (void)unused;
    static const size_t dims[] = {65, 70, 100, 127, 512, 770};
    for (size_t d = 0; d < sizeof dims / sizeof *dims; d++) {
        vt_plan plan;
        world w;
        shelf s;
        world_open(&w, dims[d], 10);
        shelf_open(&s, dims[d], 1500);
        shelf_fill(&s, &w, 0, 1500);
        make_cells(s.ix, NULL);
        shelf_check(&s);
        float *queries = world_queries(&w, false, 30);
        vt_index_query q = {.k = K, .recall = 0.98f, .kind = VT_QUERY_IMAGE};
        assert_true(shelf_recall(&s, q, queries, 30, &plan) >= 0.96);
        free(queries);
        shelf_close(&s);
        world_close(&w);
    }
}

/* Below 64 dimensions there may be no cells: whatever a rebuild says, all is found. */
static void test_short_vectors(void **unused) {
    (void)unused;
    static const size_t dims[] = {1, 2, 3, 16, 63};
    for (size_t d = 0; d < sizeof dims / sizeof *dims; d++) {
        vt_rebuild *r = NULL;
        world w;
        shelf s;
        vt_err err;
        world_open(&w, dims[d], 10);
        shelf_open(&s, dims[d], 1500);
        shelf_fill(&s, &w, 0, 1500);
        assert_false(vt_index_rebuild_due(s.ix));
        if (vt_rebuild_open(s.ix, &r, &err) == VT_OK) {
            vt_rebuild_close(r);
            make_cells(s.ix, NULL);
        } else {
            assert_int_equal(err.status, VT_E_INVALID);
            assert_null(r);
        }
        shelf_check(&s);
        assert_all_found(&s);
        shelf_close(&s);
        world_close(&w);
    }
}

/* ---- tuning ------------------------------------------------------------------------------- */

static void test_tuning_refuses(void **unused) {
    (void)unused;
    world w;
    shelf s;
    vt_tuning *t;
    vt_err err;
    stock(&s, &w, N);
    float *words = world_queries(&w, true, 16);
    assert_int_equal(vt_tuning_open(s.ix, VT_QUERY_TEXT, words, 16, &t, &err), VT_E_INVALID);
    assert_null(t); /* no cells */
    assert_int_equal(vt_tuning_open(s.ix, VT_QUERY_IMAGE, NULL, 0, &t, &err), VT_E_INVALID);
    make_cells(s.ix, NULL);
    assert_int_equal(vt_tuning_open(s.ix, VT_QUERY_TEXT, words, 15, &t, &err), VT_E_INVALID);
    assert_null(t);
    assert_int_equal(vt_tuning_open(s.ix, VT_QUERY_TEXT, NULL, 0, &t, &err), VT_E_INVALID);
    assert_null(t);
    ok(vt_tuning_open(s.ix, VT_QUERY_TEXT, words, 16, &t, &err), &err);
    vt_tuning_close(t);
    vt_tuning_close(NULL);
    free(words);
    shelf_close(&s);
    world_close(&w);
}

/* Queries are copied, and nothing holds before it is applied. */
static void test_tuning_given_up(void **unused) {
    (void)unused;
    world w;
    shelf s;
    vt_tuning *t;
    vt_err err;
    answers before, after;
    stock(&s, &w, N);
    make_cells(s.ix, NULL);
    ask(&s, &before);
    for (size_t calls = 0; calls < 3; calls++) {
        bool more = true;
        float *words = world_queries(&w, true, 64);
        ok(vt_tuning_open(s.ix, VT_QUERY_TEXT, words, 64, &t, &err), &err);
        free(words);
        for (size_t i = 0; i < calls && more; i++) {
            ok(vt_tuning_learn(t, s.ix, NULL, &more, &err), &err);
        }
        vt_tuning_close(t);
        assert_true(vt_index_fraction(s.ix, VT_QUERY_TEXT, 0.5f) == 1);
        ask(&s, &after);
        assert_memory_equal(&before, &after, sizeof before);
    }
    shelf_check(&s);
    shelf_close(&s);
    world_close(&w);
}

/* A rebuild between two calls: what was learnt is of cells that are no more. */
static void test_tuning_outlived(void **unused) {
    (void)unused;
    world w;
    shelf s;
    vt_tuning *t, *whole;
    vt_err err;
    bool more = true;
    stock(&s, &w, N);
    make_cells(s.ix, NULL);
    float *words = world_queries(&w, true, 64);
    ok(vt_tuning_open(s.ix, VT_QUERY_TEXT, words, 64, &t, &err), &err);
    ok(vt_tuning_open(s.ix, VT_QUERY_TEXT, words, 64, &whole, &err), &err);
    while (more) {
        ok(vt_tuning_learn(whole, s.ix, NULL, &more, &err), &err);
    }
    make_cells(s.ix, NULL);
    assert_int_equal(vt_tuning_learn(t, s.ix, NULL, &more, &err), VT_E_MISMATCH);
    assert_int_equal(vt_tuning_apply(whole, s.ix, &err), VT_E_MISMATCH);
    assert_true(vt_index_fraction(s.ix, VT_QUERY_TEXT, 0.5f) == 1);
    vt_tuning_close(t);
    vt_tuning_close(whole);
    shelf_check(&s);
    free(words);
    shelf_close(&s);
    world_close(&w);
}

/* Changes go on while it learns: rows that a query was to find may be gone. */
static void test_changes_while_it_learns(void **unused) {
    (void)unused;
    static const vt_query_kind kinds[] = {VT_QUERY_TEXT, VT_QUERY_IMAGE};
    world w;
    shelf s;
    vt_tuning *t;
    vt_err err;
    stock(&s, &w, N);
    make_cells(s.ix, NULL);
    float *words = world_queries(&w, true, 100);
    for (size_t i = 0; i < 2; i++) {
        bool more = true;
        ok(vt_tuning_open(s.ix, kinds[i], i == 0 ? words : NULL, i == 0 ? 100 : 0, &t, &err), &err);
        while (more) {
            ok(vt_tuning_learn(t, s.ix, NULL, &more, &err), &err);
            change(&s, &w, 20);
        }
        ok(vt_tuning_apply(t, s.ix, &err), &err);
        vt_tuning_close(t);
        shelf_check(&s);
        assert_true(vt_index_fraction(s.ix, kinds[i], 0.5f) > 0);
    }
    assert_found(&s, 0.9f);
    free(words);
    shelf_close(&s);
    world_close(&w);
}

/* Everything removed before it learns, or before it draws its sample: nothing to find. */
static void test_learning_of_nothing(void **unused) {
    (void)unused;
    world w;
    shelf s;
    vt_tuning *t;
    vt_err err;
    bool more = true;
    stock(&s, &w, N);
    make_cells(s.ix, NULL);
    float *words = world_queries(&w, true, 16);
    ok(vt_tuning_open(s.ix, VT_QUERY_TEXT, words, 16, &t, &err), &err);
    for (uint32_t slot = 0; slot < N; slot++) {
        shelf_remove(&s, slot);
    }
    while (more) {
        ok(vt_tuning_learn(t, s.ix, NULL, &more, &err), &err);
    }
    ok(vt_tuning_apply(t, s.ix, &err), &err);
    vt_tuning_close(t);
    learn(s.ix, VT_QUERY_IMAGE, NULL, 0);
    for (size_t i = 0; i < VT_QUERY_KINDS; i++) {
        assert_true(vt_index_fraction(s.ix, (vt_query_kind)i, 0.9f) == 1);
    }
    shelf_fill(&s, &w, 0, 1000);
    shelf_check(&s);
    assert_all_found(&s);
    free(words);
    shelf_close(&s);
    world_close(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_due),
        cmocka_unit_test(test_not_due_for_what_it_brought_in),
        cmocka_unit_test(test_changes_while_it_is_made),
        cmocka_unit_test(test_everything_changes_meanwhile),
        cmocka_unit_test(test_given_up),
        cmocka_unit_test(test_few_distinct_vectors),
        cmocka_unit_test(test_rebuild_refuses),
        cmocka_unit_test(test_centres_of_nothing),
        cmocka_unit_test(test_odd_dimensions),
        cmocka_unit_test(test_short_vectors),
        cmocka_unit_test(test_tuning_refuses),
        cmocka_unit_test(test_tuning_given_up),
        cmocka_unit_test(test_tuning_outlived),
        cmocka_unit_test(test_changes_while_it_learns),
        cmocka_unit_test(test_learning_of_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
