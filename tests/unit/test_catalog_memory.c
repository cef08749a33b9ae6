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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_survive_every_allocation),
        cmocka_unit_test(a_product_without_memory_can_be_put_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
