/* A search's request from its JSON to what the catalogue is asked, and the answer that explains
 * itself. The linker's --wrap lets the test see what the catalogue was asked. */
#include "shop.h"

#include "engine/audit.h"

static struct {
    vt_query_kind kind;
    float recall;
    unsigned times;
} asked;

vt_status __real_vt_catalog_search(vt_catalog *c, const vt_catalog_query *q, vt_catalog_hit **hits,
                                   size_t *n_hits, vt_plan *plan, vt_err *err);
vt_status __wrap_vt_catalog_search(vt_catalog *c, const vt_catalog_query *q, vt_catalog_hit **hits,
                                   size_t *n_hits, vt_plan *plan, vt_err *err);

vt_status __wrap_vt_catalog_search(vt_catalog *c, const vt_catalog_query *q, vt_catalog_hit **hits,
                                   size_t *n_hits, vt_plan *plan, vt_err *err) {
    asked.kind = q->kind;
    asked.recall = q->recall;
    asked.times++;
    return __real_vt_catalog_search(c, q, hits, n_hits, plan, err);
}

/* ---- one shop for all tests ---------------------------------------------------------- */

static shop sh;

static int open_shop(void **state) {
    shop_start(&sh, false);
    shop_fill(&sh);
    return 0;
}

static int close_shop(void **state) {
    shop_close(&sh);
    return 0;
}

static json_t *json_of(const char *text) {
    json_t *v = NULL;
    vt_err err;
    if (vt_json_parse(text, strlen(text), &v, &err) != VT_OK)
        fail_msg("%s: %s", text, err.text);
    return v;
}

static json_t *search(json_t *request, const vt_buf *image) {
    vt_buf answer;
    json_t *v;
    vt_err err;
    vt_buf_init(&answer, 10 << 20);
    if (vt_engine_search(sh.e, request, image ? image->data : NULL, image ? image->len : 0, &answer,
                         &err) != VT_OK)
        fail_msg("%s", err.text);
    v = json_of(answer.data);
    vt_buf_release(&answer);
    json_decref(request);
    return v;
}

static bool cached(const char *request) {
    json_t *v = search(json_of(request), NULL);
    bool is = json_is_true(json_object_get(v, "cached"));
    json_decref(v);
    return is;
}

/* ---- the request --------------------------------------------------------------------- */

static vt_status read_query(const char *text, vt_query *q, vt_err *err) {
    json_t *request = json_of(text);
    vt_status s;
    vt_query_init(q);
    s = vt_query_read(sh.e, request, NULL, 0, q, err);
    q->text = NULL; /* it was the request's */
    json_decref(request);
    return s;
}

static void a_wrong_recall_or_explain_is_named(void **state) {
    static const struct {
        const char *member, *pointer;
    } rows[] = {
        {"\"recall\": 0", "/recall"},       {"\"recall\": -0.5", "/recall"},
        {"\"recall\": 1.0001", "/recall"},  {"\"recall\": 2", "/recall"},
        {"\"recall\": \"0.9\"", "/recall"}, {"\"recall\": true", "/recall"},
        {"\"recall\": [0.9]", "/recall"},   {"\"recall\": 1e-60", "/recall"},
        {"\"explain\": 1", "/explain"},     {"\"explain\": \"yes\"", "/explain"},
        {"\"explain\": {}", "/explain"},    {"\"recall\": 1, \"explain\": 0", "/explain"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[128];
        vt_query q;
        vt_err err;
        snprintf(text, sizeof text, "{\"text_query\": \"mug\", %s}", rows[i].member);
        assert_int_equal(read_query(text, &q, &err), VT_E_INVALID);
        assert_string_equal(err.field, rows[i].pointer);
        vt_query_release(&q);
    }
}

static void what_is_wished_is_read(void **state) {
    static const struct {
        const char *members;
        float recall;
        bool explain;
    } rows[] = {
        {"", 0.98F, false},
        {", \"recall\": null, \"explain\": null", 0.98F, false},
        {", \"recall\": 1", 1, false},
        {", \"recall\": 1.0, \"explain\": true", 1, true},
        {", \"recall\": 0.5, \"explain\": false", 0.5F, false},
        {", \"recall\": 1e-6", 1e-6F, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[128];
        vt_query q;
        vt_err err;
        snprintf(text, sizeof text, "{\"text_query\": \"mug\"%s}", rows[i].members);
        assert_int_equal(read_query(text, &q, &err), VT_OK);
        assert_float_equal(q.recall, rows[i].recall, 0);
        assert_int_equal(q.explain, rows[i].explain);
        vt_query_release(&q);
    }
}

static vt_hash key_of(const char *text) {
    vt_query q;
    vt_hash key;
    vt_err err;
    assert_int_equal(read_query(text, &q, &err), VT_OK);
    assert_int_equal(vt_query_key(sh.e, &q, &key, &err), VT_OK);
    vt_query_release(&q);
    return key;
}

static void another_recall_is_another_question(void **state) {
    vt_hash preset = key_of("{\"text_query\": \"mug\"}");
    vt_hash same = key_of("{\"text_query\": \"mug\", \"recall\": 0.98}");
    vt_hash more = key_of("{\"text_query\": \"mug\", \"recall\": 0.99}");
    vt_hash all = key_of("{\"text_query\": \"mug\", \"recall\": 1}");
    assert_true(vt_hash_equal(&preset, &same));
    assert_false(vt_hash_equal(&preset, &more));
    assert_false(vt_hash_equal(&preset, &all));
    assert_false(vt_hash_equal(&more, &all));
}

/* ---- what the catalogue is asked ----------------------------------------------------- */

static void the_catalogue_hears_kind_and_recall(void **state) {
    vt_buf image;
    vt_err err;
    vt_buf_init(&image, VT_IMAGE_MAX_BYTES);
    json_decref(search(json_of("{\"text_query\": \"a kind\"}"), NULL));
    assert_int_equal(asked.kind, VT_QUERY_TEXT);
    assert_float_equal(asked.recall, 0.98, 1e-6);
    assert_int_equal(vt_picture_read_local(sh.e, sh.demo, sh.lines[0], &image, &err), VT_OK);
    json_decref(search(json_of("{\"recall\": 0.5}"), &image));
    assert_int_equal(asked.kind, VT_QUERY_IMAGE);
    assert_float_equal(asked.recall, 0.5, 0);
    vt_buf_release(&image);
}

static void the_audit_keeps_what_was_computed(void **state) {
    float vectors[2 * 512];
    assert_int_equal(vt_clip_describe(sh.e->clip)->dim, 512);
    nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL); /* longer than the audit's spacing */
    size_t before = vt_audit_vectors(sh.e->audit, VT_QUERY_TEXT, vectors, 2);
    json_decref(search(json_of("{\"text_query\": \"kept\", \"price_max\": 30}"), NULL));
    assert_int_equal(vt_audit_vectors(sh.e->audit, VT_QUERY_TEXT, vectors, 2),
                     before < 2 ? before + 1 : 2);
    float first = vectors[0];
    json_decref(search(json_of("{\"text_query\": \"kept\", \"price_max\": 30}"), NULL));
    nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    assert_true(cached("{\"text_query\": \"kept\", \"price_max\": 30}"));
    assert_int_equal(vt_audit_vectors(sh.e->audit, VT_QUERY_TEXT, vectors, 2),
                     before < 2 ? before + 1 : 2);
    assert_float_equal(vectors[0], first, 0);
}

/* ---- an explained answer ------------------------------------------------------------- */

static void an_explained_answer_tells_the_plan(void **state) {
    static const char *const numbers[] = {"recall",         "selectivity", "rows",
                                          "matches",        "cells",       "cells_probed",
                                          "rows_estimated", "rows_scored", "encode_ms",
                                          "search_ms"};
    json_t *v =
        search(json_of("{\"text_query\": \"explain this\", \"explain\": true, \"top_k\": 3, "
                       "\"recall\": 0.9, \"category_filter\": \"cups\"}"),
               NULL);
    const json_t *x = json_object_get(v, "explain");
    size_t cups = 0;
    for (size_t i = 0; i < SHOP_PRODUCTS; i++)
        cups += strcmp(json_string_value(json_object_get(sh.lines[i], "category")), "cups") == 0;
    assert_in_range(cups, 1, SHOP_PRODUCTS - 1);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        assert_true(json_is_number(json_object_get(x, numbers[i])));
    assert_string_equal(json_string_value(json_object_get(x, "way")), "exact");
    assert_string_equal(json_string_value(json_object_get(x, "query_kind")), "text");
    assert_float_equal(json_number_value(json_object_get(x, "recall")), 0.9, 1e-6);
    assert_int_equal(json_integer_value(json_object_get(x, "rows")), SHOP_PRODUCTS);
    assert_int_equal(json_integer_value(json_object_get(x, "matches")), cups);
    assert_int_equal(json_integer_value(json_object_get(x, "rows_scored")), cups);
    assert_float_equal(json_number_value(json_object_get(x, "selectivity")),
                       (double)cups / SHOP_PRODUCTS, 1e-3);
    assert_true(json_is_number(json_object_get(json_object_get(x, "expected_us"), "exact")));
    assert_true(json_is_null(json_object_get(json_object_get(x, "expected_us"), "estimated")));
    assert_int_equal(json_integer_value(json_object_get(v, "total_results")), cups < 3 ? cups : 3);
    assert_false(json_is_true(json_object_get(v, "cached")));
    assert_true(json_is_number(json_object_get(v, "execution_time_ms")));
    json_decref(v);
}

static void an_explained_search_passes_by_the_cache(void **state) {
    unsigned before = asked.times;
    assert_false(cached("{\"text_query\": \"by the cache\", \"explain\": true}"));
    assert_false(cached("{\"text_query\": \"by the cache\", \"explain\": true}"));
    assert_false(cached("{\"text_query\": \"by the cache\"}"));
    assert_int_equal(asked.times, before + 3);
    assert_true(cached("{\"text_query\": \"by the cache\", \"explain\": false}"));
    assert_false(cached("{\"text_query\": \"by the cache\", \"explain\": true}"));
    json_t *plain = search(json_of("{\"text_query\": \"by the cache\"}"), NULL);
    json_t *told = search(json_of("{\"text_query\": \"by the cache\", \"explain\": true}"), NULL);
    assert_null(json_object_get(plain, "explain"));
    assert_true(json_equal(json_object_get(plain, "results"), json_object_get(told, "results")));
    json_decref(plain);
    json_decref(told);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wrong_recall_or_explain_is_named),
        cmocka_unit_test(what_is_wished_is_read),
        cmocka_unit_test(another_recall_is_another_question),
        cmocka_unit_test(the_catalogue_hears_kind_and_recall),
        cmocka_unit_test(the_audit_keeps_what_was_computed),
        cmocka_unit_test(an_explained_answer_tells_the_plan),
        cmocka_unit_test(an_explained_search_passes_by_the_cache),
    };
    return cmocka_run_group_tests(tests, open_shop, close_shop);
}
