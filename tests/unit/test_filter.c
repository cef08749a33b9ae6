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
    p->price = below(state, 4) ? (double)below(state, 20) / 2 : NAN;
    snprintf(p->category, 1 + strlen(p->category), "%zu", below(state, 6));
    if (below(state, 3) == 0) /* few different vectors: ties */
        for (size_t i = 0; i < DIM; i++)
            p->embedding[i] = i == n % 3;
}

static json_t *random_filter(uint64_t *state) {
    json_t *f = json_object();
    double low = (double)below(state, 20) / 2;
    char text[64];
    if (below(state, 3) == 0) {
        json_t *names = json_array();
        for (size_t i = 1 + below(state, 3); i > 0; i--) {
            snprintf(text, sizeof text, "%zu", below(state, 8));
            json_array_append_new(names, json_string(below(state, 5) ? text : ""));
        }
        json_object_set_new(f, "category", names);
    }
    if (below(state, 4) == 0)
        json_object_set_new(f, "price_min", json_real(low));
    if (below(state, 4) == 0)
        json_object_set_new(f, "price_max", json_real(low + (double)below(state, 8)));
    for (size_t i = below(state, 3); i > 0; i--) {
        const char *last = random_name(state);
        snprintf(text, sizeof text, "attributes.%s%s%s", below(state, 2) ? random_name(state) : "a",
                 below(state, 2) ? "." : "", last);
        if (text[sizeof "attributes." - 1])
            json_object_set_new(f, text, json_of(random_scalar(state)));
    }
    return f;
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
        vt_filter *f = NULL;
        vt_err err = {0};
        if (vt_filter_from_json(text, "", &f, &err) != VT_OK)
            fail_msg("%s", err.text);
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

static void assert_selects(const vt_columns *c, const vt_product *all, const vt_filter *f) {
    vt_bitset b;
    vt_err err = {0};
    size_t expected = 0;
    vt_bitset_init(&b);
    assert_int_equal(vt_columns_select(c, f, &b, &err), VT_OK);
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
}

static void columns_stay_sound_through_changes(void **unused) {
    static vt_product all[PRODUCTS];
    vt_columns c;
    vt_err err = {0};
    uint64_t state = 7;
    uint32_t slot;
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
        json_t *text = random_filter(&state);
        vt_filter *f;
        assert_int_equal(vt_filter_from_json(text, "", &f, &err), VT_OK);
        assert_selects(&c, all, f);
        vt_filter_close(f);
        json_decref(text);
    }
    assert_selects(&c, all, NULL);
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
        cmocka_unit_test(columns_stay_sound_through_changes),
        cmocka_unit_test(searches_equal_brute_force),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
