/* Memory that runs out. The n-th allocation of columns, index or table fails, for every n: what
 * fails is gone whole, the invariants hold, and a product that is on disk but not in memory can be
 * put again. */
#include "catalog_support.h"

#include "catalog/columns.h"

/* ---- allocations that fail -------------------------------------------------------------- */

static _Atomic int countdown; /* 0: none fails */

static bool fails_now(void) {
    return countdown > 0 && --countdown == 0;
}

vt_status __real_vt_array_grow(void *array_ptr, size_t *cap, size_t need, size_t size, vt_err *err);
vt_status __wrap_vt_array_grow(void *array_ptr, size_t *cap, size_t need, size_t size, vt_err *err);
void *__real_vt_alloc(size_t count, size_t size);
void *__wrap_vt_alloc(size_t count, size_t size);
char *__real_vt_strndup(const char *s, size_t n);
char *__wrap_vt_strndup(const char *s, size_t n);

vt_status __wrap_vt_array_grow(void *array_ptr, size_t *cap, size_t need, size_t size,
                               vt_err *err) {
    if (need > *cap && fails_now())
        return vt_fail_nomem(err, need * size);
    return __real_vt_array_grow(array_ptr, cap, need, size, err);
}

void *__wrap_vt_alloc(size_t count, size_t size) {
    return fails_now() ? NULL : __real_vt_alloc(count, size);
}

char *__wrap_vt_strndup(const char *s, size_t n) {
    return fails_now() ? NULL : __real_vt_strndup(s, n);
}

/* ---- tests ------------------------------------------------------------------------------ */

static void assert_columns_sound(const vt_columns *c) {
    vt_err err = {0};
    if (vt_columns_check(c, &err) != VT_OK)
        fail_msg("%s", err.text);
}

/* Puts product n with the first, second... allocation failing until none does. */
static size_t put_through_failures(vt_columns *c, unsigned n, unsigned version) {
    vt_product p;
    vt_err err = {0};
    uint32_t slot;
    size_t failures = 0;
    vt_status s = VT_E_NOMEM;
    product_make(&p, n, version);
    for (int at = 1; s != VT_OK; at++) {
        countdown = at;
        s = vt_columns_put(c, &p, n, &slot, &err);
        countdown = 0;
        assert_true(s == VT_OK || s == VT_E_NOMEM);
        assert_columns_sound(c);
        assert_int_equal(vt_columns_find(c, p.id, &slot), s == VT_OK);
        failures += s != VT_OK;
    }
    vt_product_release(&p);
    return failures;
}

static void columns_survive_every_allocation(void **state) {
    vt_columns c;
    size_t failures = 0;
    vt_columns_init(&c);
    for (unsigned n = 0; n < 200; n++)
        failures += put_through_failures(&c, n, 0);
    for (unsigned n = 0; n < 200; n += 3) /* a change that fails takes the old state with it */
        failures += put_through_failures(&c, n, 1);
    assert_true(failures > 1000);
    assert_int_equal(c.ids.n, 200);
    vt_columns_release(&c);
}

static size_t count_found(vt_catalog *c, const vt_product *p) {
    vt_catalog_hit *hits;
    vt_err err = {0};
    size_t n, found = 0;
    assert_int_equal(search_all(c, p->embedding, NULL, 1000, &hits, &n, &err), VT_OK);
    for (size_t i = 0; i < n; i++)
        found += strcmp(hits[i].product.id, p->id) == 0;
    vt_catalog_hits_release(hits, n);
    return found;
}

/* Tells whether the put failed. */
static bool put_with_failure(vt_catalog *c, vt_product *p, int at) {
    vt_put_result result;
    vt_err err = {0};
    vt_status s;
    countdown = at;
    s = vt_catalog_put(c, p, &result, &err);
    countdown = 0;
    if (s == VT_OK) {
        assert_int_equal(count_found(c, p), 1);
        return false;
    }
    assert_int_equal(s, VT_E_NOMEM);
    return true;
}

static void a_product_without_memory_can_be_put_again(void **state) {
    char *dir = folder_make();
    vt_catalog *c = catalog_open(dir);
    size_t stored_unsearchable = 0;
    for (unsigned n = 0; n < 60; n++) {
        vt_product p, have;
        vt_err err = {0};
        product_make(&p, n % 20, n);
        if (put_with_failure(c, &p, 1 + (int)n % 24)) {
            bool stored =
                vt_catalog_get(c, p.id, &have, &err) == VT_OK && strcmp(have.name, p.name) == 0;
            stored_unsearchable += stored && count_found(c, &p) == 0;
            vt_product_release(&have);
            assert_int_not_equal(put_ok(c, &p), VT_PUT_UNCHANGED); /* else it stays unsearchable */
        }
        assert_int_equal(count_found(c, &p), 1);
        vt_product_release(&p);
    }
    assert_true(stored_unsearchable > 0);
    vt_catalog_close(c);
    assert_sound(dir);
    folder_remove(dir);
}

/* Reads the filter with the first, second... allocation failing until there are no more. That of a
 * pointer for errors may fail without harm. */
static vt_filter *read_through_failures(const json_t *text, size_t *failures) {
    for (int at = 1;; at++) {
        vt_filter *f;
        vt_err err = {0};
        countdown = at;
        vt_status s = vt_filter_from_json(text, "", &f, &err);
        bool failed = countdown == 0;
        countdown = 0;
        assert_true((s == VT_OK) == (f != NULL) && (s == VT_OK || s == VT_E_NOMEM));
        if (!failed)
            return f;
        *failures += s != VT_OK;
        vt_filter_close(f);
    }
}

static void select_through_failures(const vt_columns *c, const vt_filter *f, size_t *failures) {
    vt_status s = VT_E_NOMEM;
    for (int at = 1; s != VT_OK; at++) {
        vt_bitset b;
        vt_err err = {0};
        vt_bitset_init(&b);
        countdown = at;
        s = vt_columns_select(c, f, &b, &err);
        countdown = 0;
        assert_true(s == VT_OK ? vt_bitset_count(&b) > 0 : s == VT_E_NOMEM);
        *failures += s != VT_OK;
        vt_bitset_release(&b);
    }
}

static void add_category_through_failures(vt_filter *f, size_t *failures) {
    vt_status s = VT_E_NOMEM;
    vt_buf before, after;
    vt_buf_init(&before, 10000);
    vt_buf_init(&after, 10000);
    vt_filter_write(f, &before);
    for (int at = 1; s != VT_OK; at++) {
        vt_err err = {0};
        countdown = at;
        s = vt_filter_add_category(f, "category 2", &err);
        countdown = 0;
        vt_buf_clear(&after);
        vt_filter_write(f, &after);
        assert_int_equal(strcmp(before.data, after.data) == 0, s == VT_E_NOMEM);
        *failures += s != VT_OK;
    }
    vt_buf_release(&before);
    vt_buf_release(&after);
}

static void filters_survive_every_allocation(void **state) {
    json_t *text =
        json_of("{\"category\":[\"category 2\",\"category 3\"],\"or\":[{\"price_min\":1},"
                "{\"or\":[{\"attributes.colour\":[\"c1\",\"c2\"]},{\"not\":{\"ids\":\"x\"}}]}],"
                "\"and\":[{\"category\":\"category 2\"},{\"not\":{\"price_max\":0}}]}");
    size_t reading = 0, selecting = 0, adding = 0;
    vt_columns c;
    vt_filter *f = read_through_failures(text, &reading);
    vt_columns_init(&c);
    for (unsigned n = 0; n < 100; n++)
        put_through_failures(&c, n, 0);
    select_through_failures(&c, f, &selecting);
    vt_filter_close(f);
    json_object_del(text, "and");
    f = read_through_failures(text, &reading);
    add_category_through_failures(f, &adding);
    vt_filter_close(f);
    assert_true(reading > 20 && selecting > 4 && adding > 0);
    vt_columns_release(&c);
    json_decref(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_survive_every_allocation),
        cmocka_unit_test(filters_survive_every_allocation),
        cmocka_unit_test(a_product_without_memory_can_be_put_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
