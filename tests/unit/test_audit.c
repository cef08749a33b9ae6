/* The audit, on a catalogue of the test's own: the linker's --wrap puts it in the place of
 * searches, so that a test says what is found exactly and what is found as searches are answered.
 */
#include "engine/audit.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { DIM = 4, ROWS = 1000, KEPT_OF_A_KIND = 128 };

/* ---- the catalogue ------------------------------------------------------------------- */

static struct {
    float exact[10], found[10]; /* scores, best first */
    size_t n_exact, n_found;
    size_t matches;
    vt_way way;
    vt_status fails;
    uint64_t generation, generation_step; /* added by each search */
    unsigned searches;
    size_t k;
    vt_query_kind kind;
    float vector[DIM];
    char filter[256];
} shop;

vt_status __wrap_vt_catalog_search(vt_catalog *c, const vt_catalog_query *q, vt_catalog_hit **hits,
                                   size_t *n_hits, vt_plan *plan, vt_err *err);
uint64_t __wrap_vt_catalog_generation(const vt_catalog *c);

static void note_query(const vt_catalog_query *q) {
    vt_buf text;
    shop.searches++;
    shop.generation += shop.generation_step;
    shop.k = q->k;
    shop.kind = q->kind;
    memcpy(shop.vector, q->vector, sizeof shop.vector);
    vt_buf_init(&text, sizeof shop.filter - 1);
    vt_filter_write(q->filter, &text);
    snprintf(shop.filter, sizeof shop.filter, "%s", text.data);
    vt_buf_release(&text);
}

vt_status __wrap_vt_catalog_search(vt_catalog *c, const vt_catalog_query *q, vt_catalog_hit **hits,
                                   size_t *n_hits, vt_plan *plan, vt_err *err) {
    bool exact = q->recall >= 1;
    note_query(q);
    *hits = NULL;
    *n_hits = 0;
    if (shop.fails != VT_OK)
        return vt_fail(err, shop.fails, "the catalogue fails");
    *n_hits = exact ? shop.n_exact : shop.n_found;
    *hits = vt_alloc(*n_hits, sizeof **hits);
    assert_non_null(*hits);
    for (size_t i = 0; i < *n_hits; i++) {
        vt_product_init(&(*hits)[i].product);
        (*hits)[i].score = exact ? shop.exact[i] : shop.found[i];
    }
    if (plan)
        *plan = (vt_plan){.way = shop.way, .rows = ROWS, .matches = shop.matches};
    return VT_OK;
}

uint64_t __wrap_vt_catalog_generation(const vt_catalog *c) {
    return shop.generation;
}

/* Ten products, of which `found` are found. */
static void shop_finds(size_t found) {
    memset(&shop, 0, sizeof shop);
    shop.n_exact = shop.n_found = 10;
    shop.matches = ROWS;
    shop.way = VT_WAY_CELLS;
    for (size_t i = 0; i < 10; i++) {
        shop.exact[i] = 0.9F - 0.01F * (float)i;
        shop.found[i] = i < found ? shop.exact[i] : 0.5F;
    }
}

/* ---- helpers ------------------------------------------------------------------------- */

static vt_audit *audit_open(uint64_t spacing_ns) {
    vt_audit *a = NULL;
    vt_err err;
    assert_int_equal(vt_audit_open(DIM, spacing_ns, &a, &err), VT_OK);
    return a;
}

static vt_filter *filter_of(const char *json) {
    json_t *object = NULL;
    vt_filter *f = NULL;
    vt_err err;
    assert_int_equal(vt_json_parse(json, strlen(json), &object, &err), VT_OK);
    assert_int_equal(vt_filter_from_json(object, "", &f, &err), VT_OK);
    json_decref(object);
    return f;
}

/* A search without a filter. */
static void offer(vt_audit *a, vt_query_kind kind, float first, float recall) {
    float v[DIM] = {first, 1, 2, 3};
    vt_filter *none = NULL;
    vt_audit_offer(a, &(vt_catalog_query){.vector = v, .k = 10, .kind = kind, .recall = recall},
                   &none);
}

static bool replay(vt_audit *a) {
    bool done = false;
    vt_err err;
    assert_int_equal(vt_audit_replay(a, NULL, &done, &err), VT_OK);
    return done;
}

static void note(vt_audit *a, size_t n, float recall, double selectivity, bool estimated) {
    for (size_t i = 0; i < n; i++)
        vt_audit_note(a, &(vt_audit_result){.kind = VT_QUERY_TEXT,
                                            .selectivity = selectivity,
                                            .recall = recall,
                                            .wished = 0.98F,
                                            .estimated = estimated});
}

static bool falls_short(vt_audit *a, vt_query_kind kind) {
    vt_audit_mean m;
    return vt_audit_falls_short(a, kind, &m);
}

/* What stats tell. */
static json_t *told(vt_audit *a) {
    json_t *v = NULL;
    vt_buf out;
    vt_json w;
    vt_err err;
    vt_buf_init(&out, 65536);
    vt_json_init(&w, &out);
    vt_audit_write(a, &w);
    assert_int_equal(vt_json_parse(out.data, out.len, &v, &err), VT_OK);
    vt_buf_release(&out);
    return v;
}

static double told_of(vt_audit *a, const char *kind, const char *selectivity, const char *key) {
    json_t *v = told(a), *of_kind = json_object_get(json_object_get(v, "recall"), kind);
    double number = json_number_value(json_object_get(json_object_get(of_kind, selectivity), key));
    json_decref(v);
    return number;
}

static double told_searches(vt_audit *a) {
    json_t *v = told(a);
    double n = json_number_value(json_object_get(v, "searches"));
    json_decref(v);
    return n;
}

/* ---- what is kept -------------------------------------------------------------------- */

static void the_latest_searches_of_a_kind_are_kept(void **state) {
    vt_audit *a = audit_open(0);
    float vectors[200 * DIM];
    assert_int_equal(vt_audit_vectors(a, VT_QUERY_TEXT, vectors, 200), 0);
    for (int i = 0; i < 300; i++)
        offer(a, VT_QUERY_TEXT, (float)i, 0.98F);
    offer(a, VT_QUERY_IMAGE, 1000, 0.98F);
    assert_int_equal(vt_audit_vectors(a, VT_QUERY_TEXT, vectors, 200), KEPT_OF_A_KIND);
    for (int i = 0; i < KEPT_OF_A_KIND; i++)
        assert_float_equal(vectors[i * DIM], 299 - i, 0);
    assert_float_equal(vectors[3], 3, 0);
    assert_int_equal(vt_audit_vectors(a, VT_QUERY_TEXT, vectors, 5), 5);
    assert_int_equal(vt_audit_vectors(a, VT_QUERY_IMAGE, vectors, 200), 1);
    assert_float_equal(vectors[0], 1000, 0);
    vt_audit_close(a);
}

static void vectors_are_bounded_by_their_bytes(void **state) {
    vt_audit *a = NULL;
    vt_err err;
    size_t dim = 65536;
    float *v = vt_alloc(8, dim * sizeof *v);
    vt_filter *none = NULL;
    assert_non_null(v);
    assert_int_equal(vt_audit_open(dim, 0, &a, &err), VT_OK);
    for (int i = 0; i < 20; i++)
        vt_audit_offer(a, &(vt_catalog_query){.vector = v, .k = 1, .recall = 0.98F}, &none);
    assert_int_equal(vt_audit_vectors(a, VT_QUERY_IMAGE, v, 8), 4);
    vt_audit_close(a);
    free(v);
}

static void searches_that_follow_closely_are_not_kept(void **state) {
    vt_audit *a = audit_open(UINT64_C(3600000000000));
    float vectors[DIM * 4];
    for (int i = 0; i < 10; i++)
        offer(a, VT_QUERY_TEXT, (float)i, 0.98F);
    offer(a, VT_QUERY_IMAGE, 1, 0.98F); /* another kind has its own pace */
    assert_int_equal(vt_audit_vectors(a, VT_QUERY_TEXT, vectors, 4), 1);
    assert_float_equal(vectors[0], 0, 0);
    assert_int_equal(vt_audit_vectors(a, VT_QUERY_IMAGE, vectors, 4), 1);
    vt_audit_close(a);
}

static void what_cannot_be_measured_is_not_kept(void **state) {
    vt_audit *a = audit_open(0);
    float v[DIM] = {1};
    char text[5000];
    vt_filter *long_one;
    snprintf(text, sizeof text, "{\"category\": \"%04500d\"}", 0);
    long_one = filter_of(text);
    vt_audit_offer(a, &(vt_catalog_query){.vector = v, .filter = long_one, .k = 1, .recall = 0.98F},
                   &long_one);
    assert_non_null(long_one); /* still the query's own */
    offer(a, VT_QUERY_IMAGE, 1, 1);
    assert_int_equal(vt_audit_vectors(a, VT_QUERY_IMAGE, v, 1), 0);
    assert_false(replay(a));
    vt_filter_close(long_one);
    vt_audit_close(a);
}

/* ---- what is measured ---------------------------------------------------------------- */

static void a_replay_asks_what_was_asked(void **state) {
    vt_audit *a = audit_open(0);
    float v[DIM] = {5, 6, 7, 8};
    vt_filter *f = filter_of("{\"category\": \"mugs\", \"price_max\": 9}");
    shop_finds(10);
    vt_audit_offer(a,
                   &(vt_catalog_query){
                       .vector = v, .filter = f, .k = 7, .kind = VT_QUERY_IMAGE, .recall = 0.9F},
                   &f);
    assert_null(f);
    v[0] = 0; /* a copy was kept */
    assert_true(replay(a));
    assert_int_equal(shop.searches, 2);
    assert_int_equal(shop.k, 7);
    assert_int_equal(shop.kind, VT_QUERY_IMAGE);
    assert_float_equal(shop.vector[0], 5, 0);
    assert_string_equal(shop.filter, "{\"category\":[\"mugs\"],\"price_max\":9}");
    assert_float_equal(told_of(a, "image", "50-100%", "wished"), 0.9, 1e-4);
    assert_false(replay(a)); /* once is enough */
    assert_int_equal(shop.searches, 2);
    vt_audit_close(a);
}

static void recall_is_the_share_of_the_exact_answer(void **state) {
    vt_audit *a = audit_open(0);
    static const struct {
        size_t found;
        double recall;
    } rows[] = {{10, 1}, {7, 0.85}, {0, 0.85 * 2 / 3}}; /* means so far */
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        shop_finds(rows[i].found);
        offer(a, VT_QUERY_TEXT, 1, 0.98F);
        assert_true(replay(a));
        assert_float_equal(told_of(a, "text", "50-100%", "recall"), rows[i].recall, 1e-4);
        assert_float_equal(told_of(a, "text", "50-100%", "searches"), (double)i + 1, 0);
    }
    assert_float_equal(told_searches(a), 3, 0);
    vt_audit_close(a);
}

static void another_product_of_the_same_score_is_as_right(void **state) {
    vt_audit *a = audit_open(0);
    shop_finds(10);
    for (size_t i = 0; i < 10; i++)
        shop.exact[i] = 0.75F;
    for (size_t i = 0; i < 10; i++)
        shop.found[i] = i < 5 ? 0.75F : 0.75F - 5e-7F;
    offer(a, VT_QUERY_TEXT, 1, 0.98F);
    assert_true(replay(a));
    assert_float_equal(told_of(a, "text", "50-100%", "recall"), 1, 0);
    vt_audit_close(a);
}

static void no_result_where_there_is_nothing_to_compare(void **state) {
    vt_audit *a = audit_open(0);
    bool done;
    vt_err err;
    shop_finds(3);
    shop.generation_step = 1; /* a product comes between the two searches */
    offer(a, VT_QUERY_TEXT, 1, 0.98F);
    assert_true(replay(a));
    shop_finds(3);
    shop.n_exact = shop.n_found = 0; /* the filter matches nothing */
    offer(a, VT_QUERY_TEXT, 1, 0.98F);
    assert_true(replay(a));
    assert_int_equal(shop.searches, 2);
    shop.fails = VT_E_IO;
    offer(a, VT_QUERY_TEXT, 1, 0.98F);
    assert_int_equal(vt_audit_replay(a, NULL, &done, &err), VT_E_IO);
    assert_string_equal(err.text, "the catalogue fails");
    assert_float_equal(told_searches(a), 0, 0);
    vt_audit_close(a);
}

static void kinds_take_turns(void **state) {
    vt_audit *a = audit_open(0);
    shop_finds(10);
    for (int i = 0; i < 20; i++)
        offer(a, VT_QUERY_TEXT, 1, 0.98F);
    offer(a, VT_QUERY_IMAGE, 1, 0.98F);
    assert_true(replay(a));
    assert_true(replay(a));
    assert_float_equal(told_of(a, "text", "50-100%", "searches"), 1, 0);
    assert_float_equal(told_of(a, "image", "50-100%", "searches"), 1, 0);
    vt_audit_close(a);
}

/* ---- what is told -------------------------------------------------------------------- */

static void results_are_told_by_selectivity(void **state) {
    static const struct {
        double selectivity;
        const char *name;
    } rows[] = {{1, "50-100%"}, {0.51, "50-100%"}, {0.5, "10-50%"}, {0.11, "10-50%"},
                {0.1, "1-10%"}, {0.011, "1-10%"},  {0.01, "0-1%"},  {0.0001, "0-1%"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        vt_audit *a = audit_open(0);
        note(a, 1, 0.5F, rows[i].selectivity, true);
        assert_float_equal(told_of(a, "text", rows[i].name, "recall"), 0.5, 1e-6);
        vt_audit_close(a);
    }
}

static void metrics_hold_what_was_measured_and_no_more(void **state) {
    vt_audit *a = audit_open(0);
    vt_buf out;
    note(a, 3, 0.75F, 0.2, true);
    vt_buf_init(&out, 65536);
    vt_audit_metrics(a, &out);
    assert_non_null(strstr(out.data, "\nvitrine_audited_searches_total 3\n"));
    assert_non_null(
        strstr(out.data, "\nvitrine_search_recall{kind=\"text\",selectivity=\"10-50%\"} 0.75\n"));
    assert_non_null(strstr(
        out.data, "\nvitrine_search_recall_wished{kind=\"text\",selectivity=\"10-50%\"} 0.98\n"));
    assert_null(strstr(out.data, "image"));
    assert_null(strstr(out.data, "0-1%"));
    vt_buf_release(&out);
    vt_audit_close(a);
}

/* ---- falling short ------------------------------------------------------------------- */

static void a_kind_falls_short_when_enough_searches_say_so(void **state) {
    vt_audit *a = audit_open(0);
    vt_audit_mean m;
    note(a, 25, 0.9F, 1, true);
    note(a, 24, 0.9F, 0.001, true);
    assert_false(falls_short(a, VT_QUERY_TEXT)); /* 49 are not enough */
    note(a, 1, 0.8F, 1, true);
    assert_true(vt_audit_falls_short(a, VT_QUERY_TEXT, &m));
    assert_int_equal(m.n, 50);
    assert_float_equal(m.recall, 0.898, 1e-4);
    assert_float_equal(m.wished, 0.98, 1e-4);
    assert_false(falls_short(a, VT_QUERY_IMAGE));
    vt_audit_forget(a, VT_QUERY_TEXT);
    assert_false(falls_short(a, VT_QUERY_TEXT));
    assert_float_equal(told_of(a, "text", "50-100%", "searches"), 0, 0);
    assert_float_equal(told_searches(a), 50, 0); /* counters only rise */
    vt_audit_close(a);
}

static void chance_is_not_falling_short(void **state) {
    vt_audit *a = audit_open(0);
    note(a, 59, 1, 1, true); /* the mean is 0.967, but one search made it so */
    note(a, 1, 0, 1, true);
    note(a, 1, 0, 1, true);
    assert_false(falls_short(a, VT_QUERY_TEXT));
    vt_audit_forget(a, VT_QUERY_TEXT);
    note(a, 100, 0.975F, 1, true); /* surely less than 0.98, but not by 0.01 */
    assert_false(falls_short(a, VT_QUERY_TEXT));
    vt_audit_close(a);
}

static void only_searches_by_cells_count(void **state) {
    vt_audit *a = audit_open(0);
    note(a, 100, 0.5F, 1, false);
    assert_false(falls_short(a, VT_QUERY_TEXT));
    assert_float_equal(told_of(a, "text", "50-100%", "recall"), 0.5, 1e-6); /* told they are */
    shop_finds(5);
    for (int i = 0; i < 100; i++) {
        shop.way = i < 50 ? VT_WAY_SCAN : VT_WAY_CELLS;
        assert_int_equal(falls_short(a, VT_QUERY_TEXT), false);
        offer(a, VT_QUERY_TEXT, 1, 0.98F);
        assert_true(replay(a));
    }
    assert_true(falls_short(a, VT_QUERY_TEXT));
    vt_audit_close(a);
}

static void what_was_long_ago_is_forgotten(void **state) {
    vt_audit *a = audit_open(0);
    note(a, 300, 0.5F, 1, true);
    assert_true(falls_short(a, VT_QUERY_TEXT));
    note(a, 300, 1, 1, true);
    assert_false(falls_short(a, VT_QUERY_TEXT));
    assert_float_equal(told_of(a, "text", "50-100%", "recall"), 1, 1e-6);
    assert_float_equal(told_searches(a), 600, 0);
    vt_audit_close(a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_latest_searches_of_a_kind_are_kept),
        cmocka_unit_test(vectors_are_bounded_by_their_bytes),
        cmocka_unit_test(searches_that_follow_closely_are_not_kept),
        cmocka_unit_test(what_cannot_be_measured_is_not_kept),
        cmocka_unit_test(a_replay_asks_what_was_asked),
        cmocka_unit_test(recall_is_the_share_of_the_exact_answer),
        cmocka_unit_test(another_product_of_the_same_score_is_as_right),
        cmocka_unit_test(no_result_where_there_is_nothing_to_compare),
        cmocka_unit_test(kinds_take_turns),
        cmocka_unit_test(results_are_told_by_selectivity),
        cmocka_unit_test(metrics_hold_what_was_measured_and_no_more),
        cmocka_unit_test(a_kind_falls_short_when_enough_searches_say_so),
        cmocka_unit_test(chance_is_not_falling_short),
        cmocka_unit_test(only_searches_by_cells_count),
        cmocka_unit_test(what_was_long_ago_is_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
