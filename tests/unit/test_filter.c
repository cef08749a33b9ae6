/* Filters over random catalogues: what the columns select, and what a search returns, against
 * vt_filter_matches and a scan written here. Besides, the structures below: table, posting lists,
 * columns, checked after each batch of changes. */
#include "catalog_support.h"

#include "catalog/columns.h"

enum { PRODUCTS = 400, FILTERS = 500 };

/* ---- random products and filters -------------------------------------------------------- */

static const char *const NAMES[] = {"a", "b", "a.b", "c", "", "b.c"};
static const char *const SCALARS[] = {"1",
                                      "1.0",
                                      "2",
                                      "-1",
                                      "0.5",
                                      "9007199254740993",
                                      "9007199254740992.0",
                                      "1e300",
                                      "0",
                                      "-0.0",
                                      "\"1\"",
                                      "\"x\"",
                                      "\"\"",
                                      "true",
                                      "false",
                                      "null"};

static const char *random_scalar(uint64_t *state) {
    return SCALARS[below(state, sizeof SCALARS / sizeof SCALARS[0])];
}

static const char *random_name(uint64_t *state) {
    return NAMES[below(state, sizeof NAMES / sizeof NAMES[0])];
}

static json_t *random_value(uint64_t *state, unsigned depth) {
    json_t *v;
    size_t kind = below(state, depth < 3 ? 6 : 3);
    if (kind < 3)
        return json_of(random_scalar(state));
    v = kind < 5 ? json_object() : json_array();
    for (size_t n = below(state, 4); n > 0; n--) {
        if (kind < 5)
            json_object_set_new(v, random_name(state), random_value(state, depth + 1));
        else
            json_array_append_new(v, random_value(state, depth + 1));
    }
    return v;
}

static void random_product(uint64_t *state, unsigned n, vt_product *p) {
    product_make(p, n, (unsigned)below(state, 1000));
    json_decref(p->attributes);
    p->attributes = json_object();
    for (size_t i = below(state, 5); i > 0; i--)
        json_object_set_new(p->attributes, random_name(state), random_value(state, 1));
    if (below(state, 10)) /* a list so long that a few products are rather asked than it is read */
        json_object_set_new(p->attributes, "in_stock", json_true());
    p->price = below(state, 4) ? (double)below(state, 20) / 2 : NAN;
    snprintf(p->category, 1 + strlen(p->category), "%zu", below(state, 6));
    if (below(state, 3) == 0) /* few different vectors: ties */
        for (size_t i = 0; i < DIM; i++)
            p->embedding[i] = i == n % 3;
}

static json_t *random_categories(uint64_t *state) {
    json_t *names = json_array();
    char text[16];
    for (size_t i = 1 + below(state, 3); i > 0; i--) {
        snprintf(text, sizeof text, "%zu", below(state, 8));
        json_array_append_new(names, json_string(below(state, 5) ? text : ""));
    }
    return names;
}

/* Some products, or so many that a small set is rather asked one by one. */
static json_t *random_ids(uint64_t *state) {
    json_t *ids = json_array();
    char text[32];
    for (size_t i = below(state, 3) ? 1 + below(state, 4) : 20 + below(state, 200); i > 0; i--) {
        snprintf(text, sizeof text, "product-%05zu", below(state, PRODUCTS + 40));
        json_array_append_new(ids, json_string(text));
    }
    return ids;
}

/* A value, some values, or a range. */
static json_t *random_wanted(uint64_t *state) {
    size_t kind = below(state, 4);
    json_t *v = kind == 0 ? json_array() : json_object();
    if (kind == 0) {
        for (size_t i = 1 + below(state, 4); i > 0; i--)
            json_array_append_new(v, json_of(random_scalar(state)));
        return v;
    }
    if (kind == 1) {
        double low = (double)below(state, 9) / 2 - 2;
        if (below(state, 4))
            json_object_set_new(v, "min", json_real(low));
        if (below(state, 4) || json_object_size(v) == 0)
            json_object_set_new(v, "max", json_real(low + (double)below(state, 4) / 2));
        return v;
    }
    json_decref(v);
    return json_of(random_scalar(state));
}

static void add_random_attributes(uint64_t *state, json_t *f) {
    char text[64];
    for (size_t i = below(state, 3); i > 0; i--) {
        const char *last = random_name(state);
        snprintf(text, sizeof text, "attributes.%s%s%s", below(state, 2) ? random_name(state) : "a",
                 below(state, 2) ? "." : "", last);
        if (text[sizeof "attributes." - 1])
            json_object_set_new(f, text, random_wanted(state));
    }
}

static json_t *random_filter_at(uint64_t *state, unsigned depth);

static void add_random_filters(uint64_t *state, json_t *f, const char *name, unsigned depth) {
    json_t *list = json_array();
    for (size_t i = 1 + below(state, 3); i > 0; i--)
        json_array_append_new(list, random_filter_at(state, depth + 1));
    json_object_set_new(f, name, list);
}

static json_t *random_filter_at(uint64_t *state, unsigned depth) {
    json_t *f = json_object();
    double low = (double)below(state, 20) / 2;
    if (below(state, 3) == 0)
        json_object_set_new(f, "category", random_categories(state));
    if (below(state, 4) == 0)
        json_object_set_new(f, "price_min", json_real(low));
    if (below(state, 4) == 0)
        json_object_set_new(f, "price_max", json_real(low + (double)below(state, 8)));
    if (below(state, 8) == 0)
        json_object_set_new(f, "ids", random_ids(state));
    if (below(state, 2) == 0)
        add_random_attributes(state, f);
    if (below(state, 4) == 0)
        json_object_set_new(f, "attributes.in_stock", json_true());
    if (depth < 4 && below(state, 6) == 0)
        add_random_filters(state, f, "and", depth);
    if (depth < 4 && below(state, 3) == 0)
        add_random_filters(state, f, "or", depth);
    if (depth < 4 && below(state, 4) == 0)
        json_object_set_new(f, "not", random_filter_at(state, depth + 1));
    return f;
}

static json_t *random_filter(uint64_t *state) {
    return random_filter_at(state, 1);
}

static vt_filter *filter_from(const json_t *text) {
    vt_filter *f = NULL;
    vt_err err = {0};
    if (vt_filter_from_json(text, "", &f, &err) != VT_OK)
        fail_msg("%s: %s", json_dumps(text, 0), err.text);
    return f;
}

/* ---- one text for filters that mean the same by their form ------------------------------ */

static json_t *rewritten(uint64_t *state, const json_t *f);

/* The same filters in another order, one of them twice, or one of them inside a list of its own. */
static json_t *rewritten_list(uint64_t *state, const char *name, const json_t *list) {
    json_t *out = json_array();
    for (size_t i = json_array_size(list); i > 0; i--)
        json_array_append_new(out, rewritten(state, json_array_get(list, i - 1)));
    if (below(state, 2))
        json_array_append_new(out, rewritten(state, json_array_get(list, 0)));
    if (below(state, 2)) {
        json_t *inner = json_object(), *one = json_array();
        json_array_append(one, json_array_get(out, 0));
        json_object_set_new(inner, name, one);
        json_array_set_new(out, 0, inner);
    }
    return out;
}

static json_t *reversed(const json_t *list) {
    json_t *out = json_array();
    for (size_t i = json_array_size(list); i > 0; i--)
        json_array_append(out, json_array_get(list, i - 1));
    json_array_append(out, json_array_get(list, 0));
    return out;
}

/* Some members move into an `and`; all may be negated twice. */
static json_t *rewritten(uint64_t *state, const json_t *f) {
    json_t *out = json_object(), *aside = json_object(), *v;
    const char *key;
    json_object_foreach((json_t *)(uintptr_t)f, key, v) {
        bool filters = strcmp(key, "and") == 0 || strcmp(key, "or") == 0;
        json_t *again = filters                   ? rewritten_list(state, key, v)
                        : strcmp(key, "not") == 0 ? rewritten(state, v)
                        : json_is_array(v)        ? reversed(v)
                                                  : json_incref(v);
        json_object_set_new(filters || below(state, 2) ? out : aside, key, again);
    }
    if (json_object_size(aside) > 0) {
        json_t *list = json_object_get(out, "and");
        if (!list) {
            list = json_array();
            json_object_set_new(out, "and", list);
        }
        json_array_append(list, aside);
    }
    json_decref(aside);
    if (below(state, 6) > 0)
        return out;
    aside = json_object();
    json_object_set_new(aside, "not", out);
    out = json_object();
    json_object_set_new(out, "not", aside);
    return out;
}

/* false where it has become too large a filter. */
static bool assert_same_text(const vt_filter *f, const json_t *text) {
    vt_filter *again;
    vt_buf a, b;
    vt_err err;
    if (vt_filter_from_json(text, "", &again, &err) != VT_OK) {
        assert_true(strstr(err.text, "8 levels") || strstr(err.text, "256"));
        return false;
    }
    vt_buf_init(&a, 1 << 20);
    vt_buf_init(&b, 1 << 20);
    vt_filter_write(f, &a);
    vt_filter_write(again, &b);
    assert_string_equal(a.data, b.data);
    vt_buf_release(&a);
    vt_buf_release(&b);
    vt_filter_close(again);
    return true;
}

static void filters_have_one_text(void **unused) {
    uint64_t state = 5;
    size_t nested = 0, compared = 0;
    for (int i = 0; i < 3000; i++) {
        json_t *text = random_filter_at(&state, 2), *other = rewritten(&state, text), *canonical;
        vt_filter *f = filter_from(text);
        vt_buf out;
        compared += assert_same_text(f, other);
        vt_buf_init(&out, 1 << 20);
        vt_filter_write(f, &out);
        canonical = json_of(out.data);
        assert_true(assert_same_text(f, canonical));
        nested += json_object_get(canonical, "or") || json_object_get(canonical, "not");
        vt_buf_release(&out);
        json_decref(canonical);
        json_decref(other);
        json_decref(text);
        vt_filter_close(f);
    }
    assert_true(nested > 1000 && compared > 2500);
}

/* ---- the same search, the slow way ------------------------------------------------------ */

typedef struct brute_hit {
    const vt_product *p;
    float score;
} brute_hit;

static int better(const void *a, const void *b) {
    const brute_hit *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return strcmp(x->p->id, y->p->id);
}

static size_t brute_search(const vt_product *all, const float *v, const vt_filter *f,
                           brute_hit *out) {
    size_t n = 0;
    for (size_t i = 0; i < PRODUCTS; i++)
        if (all[i].id && vt_filter_matches(f, &all[i]))
            out[n++] = (brute_hit){.p = &all[i], .score = vt_vec_dot(v, all[i].embedding, DIM)};
    qsort(out, n, sizeof *out, better);
    return n;
}

static void assert_search(vt_catalog *c, const vt_product *all, const float *v, const vt_filter *f,
                          size_t k) {
    brute_hit expected[PRODUCTS];
    size_t matches = brute_search(all, v, f, expected), n;
    vt_catalog_hit *hits;
    vt_err err = {0};
    assert_int_equal(search_all(c, v, f, k, &hits, &n, &err), VT_OK);
    assert_int_equal(n, k < matches ? k : matches);
    for (size_t i = 0; i < n; i++) {
        assert_string_equal(hits[i].product.id, expected[i].p->id);
        assert_true(hits[i].score == expected[i].score);
        assert_same_product(&hits[i].product, expected[i].p, false);
    }
    vt_catalog_hits_release(hits, n);
}

static size_t assert_all_filters(vt_catalog *c, const vt_product *all, uint64_t *state) {
    float v[DIM];
    size_t some = 0;
    brute_hit hits[PRODUCTS];
    for (int i = 0; i < FILTERS; i++) {
        json_t *text = random_filter(state);
        vt_filter *f = filter_from(text);
        random_vector(state, v, DIM);
        assert_search(c, all, v, f, 1 + below(state, 20));
        assert_search(c, all, v, f, PRODUCTS * 2);
        some += brute_search(all, v, f, hits) > 0;
        vt_filter_close(f);
        json_decref(text);
    }
    return some;
}

static void searches_equal_brute_force(void **unused) {
    char *dir = folder_make();
    vt_catalog *c = catalog_open(dir);
    vt_product *all = vt_alloc(PRODUCTS, sizeof *all);
    uint64_t state = 42;
    vt_err err = {0};
    for (unsigned n = 0; n < PRODUCTS; n++) {
        random_product(&state, n, &all[n]);
        put_ok(c, &all[n]);
    }
    assert_true(assert_all_filters(c, all, &state) > FILTERS / 4);
    for (unsigned n = 0; n < PRODUCTS; n++) { /* slots are used again, terms come and go */
        if (below(&state, 3) == 0) {
            assert_int_equal(vt_catalog_delete(c, all[n].id, &err), VT_OK);
            vt_product_release(&all[n]);
        } else if (below(&state, 2) == 0) {
            vt_product_release(&all[n]);
            random_product(&state, n, &all[n]);
            put_ok(c, &all[n]);
        }
    }
    assert_all_filters(c, all, &state);
    vt_catalog_close(c);
    c = catalog_open(dir);
    assert_all_filters(c, all, &state);
    vt_catalog_close(c);
    assert_sound(dir);
    for (unsigned n = 0; n < PRODUCTS; n++)
        vt_product_release(&all[n]);
    free(all);
    folder_remove(dir);
}

/* ---- columns ---------------------------------------------------------------------------- */

/* How many. */
static size_t assert_selects(const vt_columns *c, const vt_product *all, const vt_filter *f) {
    vt_bitset b;
    vt_err err = {0};
    size_t expected = 0;
    vt_bitset_init(&b);
    assert_int_equal(vt_columns_select(c, f, &b, &err), VT_OK);
    assert_int_equal(vt_bitset_check(&b, &err), VT_OK);
    for (size_t i = 0; i < PRODUCTS; i++) {
        uint32_t slot;
        if (!all[i].id)
            continue;
        assert_true(vt_columns_find(c, all[i].id, &slot));
        assert_int_equal(vt_bitset_get(&b, slot), vt_filter_matches(f, &all[i]));
        expected += vt_filter_matches(f, &all[i]);
    }
    assert_int_equal(vt_bitset_count(&b), expected);
    vt_bitset_release(&b);
    return expected;
}

static void columns_stay_sound_through_changes(void **unused) {
    static vt_product all[PRODUCTS];
    vt_columns c;
    vt_err err = {0};
    uint64_t state = 7;
    uint32_t slot;
    size_t some = 0;
    vt_columns_init(&c);
    for (int round = 0; round < 30; round++) {
        for (int i = 0; i < 100; i++) {
            unsigned n = (unsigned)below(&state, PRODUCTS);
            bool gone = all[n].id && below(&state, 2) == 0;
            if (gone)
                assert_true(vt_columns_remove(&c, all[n].id, &slot));
            vt_product_release(&all[n]);
            if (gone)
                continue;
            random_product(&state, n, &all[n]);
            assert_int_equal(vt_columns_put(&c, &all[n], n, &slot, &err), VT_OK);
            assert_true(c.slots[slot].row == n);
        }
        if (vt_columns_check(&c, &err) != VT_OK)
            fail_msg("%s", err.text);
        for (int i = 0; i < 200; i++) {
            json_t *text = random_filter(&state);
            vt_filter *f = filter_from(text);
            size_t n = assert_selects(&c, all, f);
            some += n > 0 && n < c.ids.n;
            vt_filter_close(f);
            json_decref(text);
        }
    }
    assert_true(some > 30 * 200 / 3);
    assert_int_equal(assert_selects(&c, all, NULL), c.ids.n);
    for (int n = 0; n < PRODUCTS; n++) {
        if (all[n].id)
            assert_true(vt_columns_remove(&c, all[n].id, &slot));
        vt_product_release(&all[n]);
    }
    assert_false(vt_columns_remove(&c, "nobody", &slot));
    assert_int_equal(c.terms.dict.n, 0); /* terms go with their last product */
    assert_int_equal(c.categories.dict.n, 0);
    assert_int_equal(vt_columns_check(&c, &err), VT_OK);
    vt_columns_release(&c);
}

/* Every number of slots around the words of a bitset and the growth of the arrays. */
static void columns_of_every_size_select(void **unused) {
    static vt_product all[PRODUCTS];
    vt_columns c;
    vt_err err = {0};
    uint64_t state = 9;
    vt_filter *prices = filter_of("{\"price_min\":2,\"price_max\":6}");
    vt_filter *others = filter_of("{\"not\":{\"price_min\":2,\"price_max\":6}}");
    vt_columns_init(&c);
    for (unsigned n = 0; n < 200; n++) {
        uint32_t slot;
        assert_int_equal(assert_selects(&c, all, prices) + assert_selects(&c, all, others), n);
        random_product(&state, n, &all[n]);
        assert_int_equal(vt_columns_put(&c, &all[n], n, &slot, &err), VT_OK);
    }
    for (unsigned n = 0; n < 200; n++)
        vt_product_release(&all[n]);
    vt_filter_close(prices);
    vt_filter_close(others);
    vt_columns_release(&c);
}

/* The key of a text whose name goes on where the range's ends, as long as a number's key would be.
 */
static void a_range_takes_no_other_attribute_for_a_number(void **unused) {
    static vt_product all[PRODUCTS];
    vt_columns c;
    vt_err err = {0};
    uint64_t state = 11;
    uint32_t slot;
    vt_filter *f = filter_of("{\"attributes.a\":{\"min\":-1e300}}");
    vt_columns_init(&c);
    random_product(&state, 0, &all[0]);
    json_object_clear(all[0].attributes);
    json_object_set_new(all[0].attributes, "a.34567", json_string("xy"));
    assert_int_equal(vt_columns_put(&c, &all[0], 0, &slot, &err), VT_OK);
    assert_int_equal(assert_selects(&c, all, f), 0);
    vt_filter_close(f);
    vt_product_release(&all[0]);
    vt_columns_release(&c);
}

static void a_table_finds_what_was_put_in(void **unused) {
    enum { KEYS = 2000 };
    static bool there[KEYS];
    vt_dict d;
    vt_err err = {0};
    uint64_t state = 3;
    size_t n = 0;
    vt_dict_init(&d);
    for (int i = 0; i < 20000; i++) {
        size_t key = below(&state, KEYS);
        const vt_dict_entry *e = vt_dict_find(&d, (const char *)&key, sizeof key);
        assert_int_equal(e != NULL, there[key]);
        if (e) {
            assert_int_equal(e->value, key + 1);
            vt_dict_remove(&d, (const char *)&key, sizeof key);
        } else {
            const char *stored;
            assert_int_equal(vt_dict_insert(&d, (const char *)&key, sizeof key, (uint32_t)key + 1,
                                            &stored, &err),
                             VT_OK);
            assert_memory_equal(stored, &key, sizeof key);
        }
        there[key] = !there[key];
        n = there[key] ? n + 1 : n - 1;
        assert_int_equal(d.n, n);
        if (i % 1000 == 0)
            assert_int_equal(vt_dict_check(&d, &err), VT_OK);
    }
    vt_dict_release(&d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_table_finds_what_was_put_in),
        cmocka_unit_test(filters_have_one_text),
        cmocka_unit_test(columns_of_every_size_select),
        cmocka_unit_test(a_range_takes_no_other_attribute_for_a_number),
        cmocka_unit_test(columns_stay_sound_through_changes),
        cmocka_unit_test(searches_equal_brute_force),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
