/* The product's rules, its JSON, and the grammar of filters. */
#include "catalog_support.h"

static vt_status read_product(const char *text, vt_product *p, vt_err *err) {
    json_t *v = json_of(text);
    vt_status s = vt_product_from_json(v, p, err);
    json_decref(v);
    return s;
}

static void refuse_product(const char *text, const char *field, const char *why) {
    vt_product p;
    vt_err err = {0};
    vt_product_init(&p);
    assert_int_equal(read_product(text, &p, &err), VT_E_INVALID);
    assert_string_equal(err.field, field);
    if (!strstr(err.text, why))
        fail_msg("\"%s\" does not say \"%s\"", err.text, why);
    assert_null(p.id);
    vt_product_release(&p);
}

static void a_product_is_read_whole(void **state) {
    vt_product p;
    vt_err err = {0};
    vt_product_init(&p);
    assert_int_equal(
        read_product("{\"id\":\"a\",\"name\":\"Shoe\",\"description\":\"d\",\"image_url\":\"u\","
                     "\"category\":\"c\",\"price\":19.99,\"attributes\":{\"x\":[1]},\"other\":1}",
                     &p, &err),
        VT_OK);
    assert_string_equal(p.id, "a");
    assert_string_equal(p.name, "Shoe");
    assert_string_equal(p.description, "d");
    assert_string_equal(p.image_url, "u");
    assert_string_equal(p.category, "c");
    assert_true(p.price == 19.99);
    assert_int_equal(json_array_size(json_object_get(p.attributes, "x")), 1);
    vt_product_release(&p);
}

static void what_is_optional_may_be_absent_or_null(void **state) {
    vt_product p;
    vt_err err = {0};
    vt_product_init(&p);
    assert_int_equal(read_product("{\"id\":\"a\",\"name\":\"n\",\"price\":null,\"category\":null,"
                                  "\"attributes\":null}",
                                  &p, &err),
                     VT_OK);
    assert_string_equal(p.description, "");
    assert_string_equal(p.category, "");
    assert_true(isnan(p.price));
    assert_int_equal(json_object_size(p.attributes), 0);
    assert_int_equal(read_product("{\"id\":\"b\",\"name\":\"n\",\"price\":-0.0}", &p, &err), VT_OK);
    assert_string_equal(p.id, "b");
    assert_false(signbit(p.price));
    vt_product_release(&p);
}

static void a_product_is_written_in_the_order_of_results(void **state) {
    vt_product p;
    vt_err err = {0};
    vt_buf out;
    vt_json w;
    vt_product_init(&p);
    vt_buf_init(&out, 1000);
    assert_int_equal(read_product("{\"attributes\":{\"b\":1,\"a\":[]},\"price\":19.99,\"id\":\"7\","
                                  "\"name\":\"N\",\"image_url\":\"u\"}",
                                  &p, &err),
                     VT_OK);
    vt_json_init(&w, &out);
    vt_json_open(&w, '{');
    vt_product_write(&p, &w);
    vt_json_close(&w, '}');
    assert_string_equal(
        out.data, "{\"product_id\":\"7\",\"name\":\"N\",\"description\":\"\",\"image_url\":"
                  "\"u\",\"price\":19.99,\"category\":\"\",\"attributes\":{\"a\":[],\"b\":1}}");
    vt_buf_clear(&out);
    p.price = NAN;
    vt_json_init(&w, &out);
    vt_json_open(&w, '{');
    vt_product_write(&p, &w);
    assert_non_null(strstr(out.data, "\"price\":null"));
    vt_buf_release(&out);
    vt_product_release(&p);
}

static void a_bad_product_names_its_field(void **state) {
    refuse_product("[]", "", "object");
    refuse_product("{\"name\":\"n\"}", "/id", "missing");
    refuse_product("{\"id\":null,\"name\":\"n\"}", "/id", "string");
    refuse_product("{\"id\":7,\"name\":\"n\"}", "/id", "string");
    refuse_product("{\"id\":\"\",\"name\":\"n\"}", "/id", "empty");
    refuse_product("{\"id\":\"a\\u0007\",\"name\":\"n\"}", "/id", "control");
    refuse_product("{\"id\":\"a\\u0085\",\"name\":\"n\"}", "/id", "control");
    refuse_product("{\"id\":\"a\"}", "/name", "missing");
    refuse_product("{\"id\":\"a\",\"name\":\"\"}", "/name", "empty");
    refuse_product("{\"id\":\"a\",\"name\":\"n\",\"category\":1}", "/category", "string");
    refuse_product("{\"id\":\"a\",\"name\":\"n\",\"price\":\"1\"}", "/price", "number");
    refuse_product("{\"id\":\"a\",\"name\":\"n\",\"price\":-0.01}", "/price", "zero or more");
    refuse_product("{\"id\":\"a\",\"name\":\"n\",\"attributes\":[]}", "/attributes", "object");
    refuse_product("{\"id\":\"a\",\"name\":\"n\",\"attributes\":"
                   "{\"1\":{\"2\":{\"3\":{\"4\":{\"5\":{\"6\":{\"7\":[[1]]}}}}}}}}",
                   "/attributes", "8 levels");
}

static void limits_are_exact(void **state) {
    static char text[VT_PRODUCT_TEXT_MAX + 400];
    char longest[VT_PRODUCT_ID_MAX + 2];
    vt_product p;
    vt_err err = {0};
    memset(longest, 'i', sizeof longest - 1);
    longest[VT_PRODUCT_ID_MAX + 1] = 0;
    snprintf(text, sizeof text, "{\"name\":\"n\",\"id\":\"%s\"}", longest);
    refuse_product(text, "/id", "256 bytes, the limit is 255");
    longest[VT_PRODUCT_ID_MAX] = 0;
    snprintf(text, sizeof text, "{\"name\":\"n\",\"id\":\"%s\"}", longest);
    vt_product_init(&p);
    assert_int_equal(read_product(text, &p, &err), VT_OK);
    snprintf(text, sizeof text, "{\"id\":\"a\",\"name\":\"n\",\"attributes\":{\"k\":\"%0*d\"}}",
             VT_ATTRIBUTES_MAX - 8, 0); /* {"k":""} are 8 bytes */
    assert_int_equal(read_product(text, &p, &err), VT_OK);
    snprintf(text, sizeof text, "{\"id\":\"a\",\"name\":\"n\",\"attributes\":{\"k\":\"%0*d\"}}",
             VT_ATTRIBUTES_MAX - 7, 0);
    refuse_product(text, "/attributes", "65536 bytes");
    snprintf(text, sizeof text, "{\"id\":\"a\",\"name\":\"%0*d\"}", VT_PRODUCT_TEXT_MAX + 1, 0);
    refuse_product(text, "/name", "65537 bytes");
    vt_product_release(&p);
}

/* ---- filters ---------------------------------------------------------------------------- */

static void assert_canonical(const char *text, const char *canonical) {
    vt_filter *f = filter_of(text);
    vt_buf out;
    vt_buf_init(&out, 10000);
    vt_filter_write(f, &out);
    assert_string_equal(out.data, canonical);
    vt_buf_release(&out);
    vt_filter_close(f);
}

static void equal_filters_have_equal_text(void **state) {
    vt_buf out;
    assert_canonical("{}", "{}");
    assert_canonical("{\"category\":null,\"price_min\":null}", "{}");
    assert_canonical("{\"category\":\"x\"}", "{\"category\":[\"x\"]}");
    assert_canonical("{\"category\":[\"y\",\"x\",\"y\"]}", "{\"category\":[\"x\",\"y\"]}");
    assert_canonical("{\"price_min\":1.0,\"price_max\":2}", "{\"price_max\":2,\"price_min\":1}");
    assert_canonical("{\"price_min\":-0.0}", "{\"price_min\":0}");
    assert_canonical("{\"attributes.b\":1.0,\"attributes.a\":\"1\"}",
                     "{\"attributes.a\":\"1\",\"attributes.b\":1}");
    assert_canonical("{\"attributes.a\":null,\"attributes.B\":0.5,\"category\":[\"\"]}",
                     "{\"attributes.B\":0.5,\"attributes.a\":null,\"category\":[\"\"]}");
    assert_canonical("{\"attributes.a\":9007199254740993}", "{\"attributes.a\":9007199254740993}");
    assert_canonical("{\"attributes.a\":[1]}", "{\"attributes.a\":1}");
    assert_canonical("{\"attributes.a\":[\"x\",2,1.0,null,1,0.5,true,-0.0]}",
                     "{\"attributes.a\":[null,true,0,0.5,1,2,\"x\"]}");
    assert_canonical("{\"attributes.a\":{\"min\":-0.0,\"max\":2.0}}",
                     "{\"attributes.a\":{\"max\":2,\"min\":0}}");
    assert_canonical("{\"attributes.a\":{\"min\":null,\"max\":0.5}}",
                     "{\"attributes.a\":{\"max\":0.5}}");
    assert_canonical("{\"price_min\":1,\"ids\":[\"b\",\"a\",\"b\"],\"category\":\"x\"}",
                     "{\"category\":[\"x\"],\"ids\":[\"a\",\"b\"],\"price_min\":1}");
    vt_buf_init(&out, 100);
    vt_filter_write(NULL, &out);
    assert_string_equal(out.data, "{}");
    vt_buf_release(&out);
}

static void filters_of_filters_have_one_text(void **state) {
    static const char both[] = "{\"category\":[\"x\"],\"price_max\":2}";
    static const char any[] =
        "{\"or\":[{\"category\":[\"x\"]},{\"ids\":[\"a\"]},{\"price_min\":1}]}";
    assert_canonical("{\"and\":null,\"or\":null,\"not\":null,\"ids\":null}", "{}");
    assert_canonical("{\"and\":[{},{\"and\":[{}]}]}", "{}");
    assert_canonical("{\"and\":[{\"category\":\"x\"},{\"price_max\":2}]}", both);
    assert_canonical(
        "{\"price_max\":2,\"and\":[{\"and\":[{\"category\":\"x\"}]},{\"price_max\":2}]}", both);
    assert_canonical("{\"or\":[{\"category\":\"x\",\"or\":[{\"price_max\":2}]}]}", both);
    assert_canonical("{\"not\":{\"not\":{\"category\":\"x\",\"price_max\":2}}}", both);
    assert_canonical("{\"or\":[{\"price_min\":1},{\"ids\":[\"a\"]},{\"category\":\"x\"}]}", any);
    assert_canonical("{\"or\":[{\"ids\":[\"a\"]},{\"or\":[{\"price_min\":1},{\"category\":\"x\"}]},"
                     "{\"category\":[\"x\"]}]}",
                     any);
    assert_canonical("{\"or\":[{\"price_min\":1},{}]}", "{\"or\":[{},{\"price_min\":1}]}");
    assert_canonical("{\"not\":{}}", "{\"not\":{}}");
    assert_canonical("{\"and\":[{\"category\":\"y\"},{\"category\":\"x\"},{\"category\":\"x\"}]}",
                     "{\"and\":[{\"category\":[\"y\"]}],\"category\":[\"x\"]}");
    assert_canonical("{\"and\":[{\"price_max\":1},{\"price_min\":2}]}",
                     "{\"and\":[{\"price_min\":2}],\"price_max\":1}");
    /* the deeper `not` is the member: in "and" it would be a level deeper still */
    assert_canonical(
        "{\"and\":[{\"not\":{\"ids\":[\"a\"]}},{\"not\":{\"price_min\":1,\"not\":{}}}]}",
        "{\"and\":[{\"not\":{\"ids\":[\"a\"]}}],\"not\":{\"not\":{},\"price_min\":1}}");
}

static void refuse_filter(const char *text, const char *field, const char *why) {
    vt_filter *f;
    vt_err err = {0};
    json_t *v = json_of(text);
    assert_int_equal(vt_filter_from_json(v, "/filter", &f, &err), VT_E_INVALID);
    assert_null(f);
    assert_string_equal(err.field, field);
    if (!strstr(err.text, why))
        fail_msg("\"%s\" does not say \"%s\"", err.text, why);
    json_decref(v);
}

static void a_bad_filter_names_its_member(void **state) {
    refuse_filter("[]", "/filter", "object");
    refuse_filter("{\"colour\":1}", "/filter/colour", "not known");
    refuse_filter("{\"a/b~c\":1}", "/filter/a~1b~0c", "not known");
    refuse_filter("{\"category\":[]}", "/filter/category", "at least one");
    refuse_filter("{\"category\":[1]}", "/filter/category", "string");
    refuse_filter("{\"category\":{}}", "/filter/category", "string");
    refuse_filter("{\"price_min\":\"1\"}", "/filter/price_min", "number");
    refuse_filter("{\"price_min\":2,\"price_max\":1}", "/filter/price_min", "above price_max");
    refuse_filter("{\"attributes.\":1}", "/filter/attributes.", "name");
    refuse_filter("{\"attributes.a\":[]}", "/filter/attributes.a", "at least one value");
    refuse_filter("{\"attributes.a\":[1,[2]]}", "/filter/attributes.a", "string, a number");
    refuse_filter("{\"attributes.a\":[{}]}", "/filter/attributes.a", "string, a number");
    refuse_filter("{\"attributes.a\":{}}", "/filter/attributes.a", "a min or a max");
    refuse_filter("{\"attributes.a\":{\"min\":null}}", "/filter/attributes.a", "a min or a max");
    refuse_filter("{\"attributes.a\":{\"min\":\"1\"}}", "/filter/attributes.a/min", "a number");
    refuse_filter("{\"attributes.a\":{\"mid\":1}}", "/filter/attributes.a/mid", "min and max are");
    refuse_filter("{\"attributes.a\":{\"min\":2,\"max\":1.5}}", "/filter/attributes.a", "above");
    refuse_filter("{\"ids\":[]}", "/filter/ids", "at least one");
    refuse_filter("{\"ids\":[\"a\",1]}", "/filter/ids", "strings");
}

static void a_bad_filter_inside_names_its_way(void **state) {
    refuse_filter("{\"and\":[]}", "/filter/and", "at least one filter");
    refuse_filter("{\"or\":[]}", "/filter/or", "at least one filter");
    refuse_filter("{\"or\":{\"category\":\"x\"}}", "/filter/or", "array of filters");
    refuse_filter("{\"and\":[{},null]}", "/filter/and/1", "objects");
    refuse_filter("{\"not\":[{}]}", "/filter/not", "objects");
    refuse_filter("{\"or\":[{},{\"price_min\":\"1\"}]}", "/filter/or/1/price_min", "number");
    refuse_filter("{\"or\":[{},{\"price_min\":2,\"price_max\":1}]}", "/filter/or/1/price_min",
                  "above price_max");
    refuse_filter("{\"and\":[{\"not\":{\"or\":[{\"a/b\":1}]}}]}", "/filter/and/0/not/or/0/a~1b",
                  "not known");
    refuse_filter("{\"not\":{\"and\":[{\"not\":{}},{\"not\":{\"ids\":[]}}]}}",
                  "/filter/not/and/1/not/ids", "at least one");
    refuse_filter("{\"and\":[{\"category\":\"x\"},{}],\"ids\":7}", "/filter/ids", "strings");
}

/* {"<key>": [<n times the same value>]} is read, with one more it is refused. */
static void assert_longest(const char *key, const char *value, size_t n, const char *why) {
    json_t *object = json_object(), *list = json_array();
    vt_filter *f;
    vt_err err = {0};
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_of(value));
    json_object_set_new(object, key, list);
    assert_int_equal(vt_filter_from_json(object, "", &f, &err), VT_OK);
    vt_filter_close(f);
    json_array_append_new(list, json_of(value));
    assert_int_equal(vt_filter_from_json(object, "", &f, &err), VT_E_INVALID);
    if (!strstr(err.text, why))
        fail_msg("\"%s\" does not say \"%s\"", err.text, why);
    json_decref(object);
}

static void assert_deepest(const char *open, const char *close) {
    char text[300] = "{}", inner[300];
    for (int level = 1; level < 8; level++) {
        memcpy(inner, text, sizeof inner);
        snprintf(text, sizeof text, "%s%.200s%s", open, inner, close);
    }
    vt_filter_close(filter_of(text));
    memcpy(inner, text, sizeof inner);
    snprintf(text, sizeof text, "%s%.200s%s", open, inner, close);
    json_t *v = json_of(text);
    vt_filter *f;
    vt_err err = {0};
    assert_int_equal(vt_filter_from_json(v, "/filter", &f, &err), VT_E_INVALID);
    assert_non_null(strstr(err.text, "8 levels"));
    json_decref(v);
}

static void filters_have_limits(void **state) {
    json_t *object = json_object();
    char key[1100];
    vt_filter *f;
    vt_err err = {0};
    assert_longest("category", "\"c\"", 64, "64");
    assert_longest("attributes.a", "1", 64, "64");
    assert_longest("ids", "\"a\"", 1000, "1000");
    assert_longest("or", "{}", 255,
                   "256"); /* the list is one condition, each empty filter another */
    assert_longest("and", "{\"price_min\":1}", 255, "256");
    assert_deepest("{\"not\":", "}");
    assert_deepest("{\"or\":[{\"ids\":[\"a\"]},", "]}");
    assert_deepest("{\"and\":[", "]}");
    for (int i = 0; i < 256; i++) {
        snprintf(key, sizeof key, "attributes.%d", i);
        json_object_set_new(object, key, json_integer(i));
    }
    assert_int_equal(vt_filter_from_json(object, "", &f, &err), VT_OK);
    vt_filter_close(f);
    json_object_set_new(object, "attributes.x", json_null());
    assert_int_equal(vt_filter_from_json(object, "", &f, &err), VT_E_INVALID);
    assert_non_null(strstr(err.text, "256"));
    json_object_clear(object);
    snprintf(key, sizeof key, "attributes.%01025d", 0);
    json_object_set_new(object, key, json_true());
    assert_int_equal(vt_filter_from_json(object, "", &f, &err), VT_E_INVALID);
    assert_non_null(strstr(err.text, "1024"));
    json_decref(object);
}

static void a_value_too_long_is_refused(void **state) {
    static const struct {
        const char *key;
        size_t longest;
    } texts[] = {
        {"category", VT_PRODUCT_TEXT_MAX}, {"ids", VT_PRODUCT_ID_MAX}, {"attributes.a", 65536}};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        char *value = vt_alloc(texts[i].longest + 2, 1);
        json_t *object = json_object();
        vt_filter *f;
        vt_err err = {0};
        memset(value, 'x', texts[i].longest);
        json_object_set_new(object, texts[i].key, json_string(value));
        assert_int_equal(vt_filter_from_json(object, "", &f, &err), VT_OK);
        vt_filter_close(f);
        value[texts[i].longest] = 'x';
        json_object_set_new(object, texts[i].key, json_string(value));
        assert_int_equal(vt_filter_from_json(object, "", &f, &err), VT_E_INVALID);
        assert_string_equal(err.field + 1, texts[i].key);
        json_decref(object);
        free(value);
    }
}

static void assert_matches(const char *filter, const char *attributes, bool expected) {
    vt_filter *f = filter_of(filter);
    vt_product p = {.category = (char *)"shoes", .price = 10, .attributes = json_of(attributes)};
    if (vt_filter_matches(f, &p) != expected)
        fail_msg("%s on %s is not %d", filter, attributes, expected);
    json_decref(p.attributes);
    vt_filter_close(f);
}

static void the_definition_of_a_match(void **state) {
    vt_product p = {.category = (char *)"", .price = NAN, .attributes = NULL};
    vt_filter *f;
    assert_matches("{}", "{}", true);
    assert_matches("{\"category\":\"shoes\"}", "{}", true);
    assert_matches("{\"category\":[\"hats\",\"shoe\"]}", "{}", false);
    assert_matches("{\"price_min\":10,\"price_max\":10}", "{}", true);
    assert_matches("{\"price_min\":10.01}", "{}", false);
    assert_matches("{\"price_max\":9.99}", "{}", false);
    assert_matches("{\"attributes.a\":1}", "{\"a\":1.0}", true);
    assert_matches("{\"attributes.a\":1.0}", "{\"a\":1}", true);
    assert_matches("{\"attributes.a\":\"1\"}", "{\"a\":1}", false);
    assert_matches("{\"attributes.a\":9007199254740993}", "{\"a\":9007199254740992.0}", false);
    assert_matches("{\"attributes.a\":true}", "{\"a\":1}", false);
    assert_matches("{\"attributes.a\":null}", "{\"a\":null}", true);
    assert_matches("{\"attributes.a\":null}", "{}", false);
    assert_matches("{\"attributes.a\":\"x\"}", "{\"a\":[\"y\",\"x\"]}", true);
    assert_matches("{\"attributes.a\":\"x\"}", "{\"a\":[[\"x\"]]}", false);
    assert_matches("{\"attributes.a.b\":1}", "{\"a\":{\"b\":1}}", true);
    assert_matches("{\"attributes.a.b\":1}", "{\"a.b\":1}", true);
    assert_matches("{\"attributes.a.b.c\":1}", "{\"a.b\":{\"c\":1}}", true);
    assert_matches("{\"attributes.a.b\":1}", "{\"a\":[{\"b\":1}]}", false);
    assert_matches("{\"attributes.a.b\":1}", "{\"a\":1}", false);
    assert_matches("{\"attributes.a\":1,\"attributes.b\":2}", "{\"a\":1,\"b\":3}", false);
    assert_matches("{\"attributes.a\":[2,\"x\"]}", "{\"a\":\"x\"}", true);
    assert_matches("{\"attributes.a\":[2,\"x\"]}", "{\"a\":[1,2]}", true);
    assert_matches("{\"attributes.a\":[2,\"x\"]}", "{\"a\":3}", false);
    assert_matches("{\"attributes.a\":[2,\"x\"]}", "{}", false);
    f = filter_of("{\"category\":\"\"}");
    assert_true(vt_filter_matches(f, &p));
    vt_filter_close(f);
    f = filter_of("{\"price_min\":0}");
    assert_false(vt_filter_matches(f, &p)); /* no price: no bound holds */
    assert_true(vt_filter_matches(NULL, &p));
    vt_filter_close(f);
}

static void a_range_holds_numbers_exactly(void **state) {
    assert_matches("{\"attributes.a\":{\"min\":1,\"max\":2}}", "{\"a\":1.0}", true);
    assert_matches("{\"attributes.a\":{\"min\":1,\"max\":2}}", "{\"a\":2}", true);
    assert_matches("{\"attributes.a\":{\"min\":1,\"max\":2}}", "{\"a\":2.5}", false);
    assert_matches("{\"attributes.a\":{\"min\":1,\"max\":2}}", "{\"a\":[0,3]}", false);
    assert_matches("{\"attributes.a\":{\"min\":1,\"max\":2}}", "{\"a\":[0,1.5]}", true);
    assert_matches("{\"attributes.a\":{\"min\":1}}", "{\"a\":\"2\"}", false);
    assert_matches("{\"attributes.a\":{\"min\":0}}", "{\"a\":true}", false);
    assert_matches("{\"attributes.a\":{\"max\":0}}", "{\"a\":null}", false);
    assert_matches("{\"attributes.a\":{\"max\":0}}", "{}", false);
    assert_matches("{\"attributes.a.b\":{\"max\":0}}", "{\"a\":{\"b\":-7}}", true);
    assert_matches("{\"attributes.a\":{\"min\":0.5}}", "{\"a\":0}", false);
    assert_matches("{\"attributes.a\":{\"min\":-0.5}}", "{\"a\":0}", true);
    assert_matches("{\"attributes.a\":{\"max\":-0.5}}", "{\"a\":-1}", true);
    assert_matches("{\"attributes.a\":{\"max\":-0.5}}", "{\"a\":0}", false);
    assert_matches("{\"attributes.a\":{\"max\":9007199254740992.0}}", "{\"a\":9007199254740993}",
                   false);
    assert_matches("{\"attributes.a\":{\"min\":9007199254740993}}", "{\"a\":9007199254740992.0}",
                   false);
    assert_matches("{\"attributes.a\":{\"max\":1e300}}", "{\"a\":9223372036854775807}", true);
    assert_matches("{\"attributes.a\":{\"min\":1e300}}", "{\"a\":9223372036854775807}", false);
    assert_matches("{\"attributes.a\":{\"min\":-1e300}}", "{\"a\":-9223372036854775808}", true);
    assert_matches("{\"attributes.a\":{\"min\":1e300}}", "{\"a\":2e300}", true);
    assert_matches("{\"attributes.a\":{\"max\":9223372036854775808.0}}",
                   "{\"a\":9223372036854775807}", true);
    assert_matches("{\"attributes.a\":{\"min\":9223372036854775808.0}}",
                   "{\"a\":9223372036854775807}", false);
}

static void filters_of_filters_match(void **state) {
    vt_product p = {.id = (char *)"p", .category = (char *)"shoes", .price = NAN};
    static const struct {
        const char *filter;
        bool matches;
    } cases[] = {
        {"{\"not\":{\"price_max\":10}}", true}, /* no price: no bound holds */
        {"{\"not\":{\"price_min\":0}}", true},
        {"{\"not\":{}}", false},
        {"{\"not\":{\"category\":\"shoes\",\"price_min\":0}}", true},
        {"{\"or\":[{\"price_min\":0},{\"category\":\"shoes\"}]}", true},
        {"{\"or\":[{\"price_min\":0},{\"category\":\"hats\"}]}", false},
        {"{\"or\":[{\"price_min\":0},{}]}", true},
        {"{\"and\":[{\"category\":\"shoes\"},{\"category\":\"hats\"}]}", false},
        {"{\"ids\":[\"q\",\"p\"]}", true},
        {"{\"ids\":[\"q\",\"pp\"]}", false},
        {"{\"not\":{\"ids\":[\"p\"]}}", false},
        {"{\"category\":\"shoes\",\"or\":[{\"ids\":\"a\"},{\"not\":{\"ids\":\"b\"}}]}", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        vt_filter *f = filter_of(cases[i].filter);
        if (vt_filter_matches(f, &p) != cases[i].matches)
            fail_msg("%s is not %d", cases[i].filter, cases[i].matches);
        vt_filter_close(f);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_product_is_read_whole),
        cmocka_unit_test(what_is_optional_may_be_absent_or_null),
        cmocka_unit_test(a_product_is_written_in_the_order_of_results),
        cmocka_unit_test(a_bad_product_names_its_field),
        cmocka_unit_test(limits_are_exact),
        cmocka_unit_test(equal_filters_have_equal_text),
        cmocka_unit_test(filters_of_filters_have_one_text),
        cmocka_unit_test(a_bad_filter_names_its_member),
        cmocka_unit_test(a_bad_filter_inside_names_its_way),
        cmocka_unit_test(a_value_too_long_is_refused),
        cmocka_unit_test(filters_have_limits),
        cmocka_unit_test(the_definition_of_a_match),
        cmocka_unit_test(a_range_holds_numbers_exactly),
        cmocka_unit_test(filters_of_filters_match),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
