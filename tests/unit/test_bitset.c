/* Bitsets: every operation beside an array of bools. */
#include "index_support.h"

static void test_bitset_like_bools(void **unused) {
    (void)unused;
    bool model[400] = {false};
    size_t n = 0;
    vt_bitset b;
    vt_err err;
    vt_bitset_init(&b);
    for (size_t round = 0; round < 4000; round++) {
        size_t count = 0;
        switch (random_below(n > 0 ? 8 : 1)) {
        case 0: { /* resize; what is cut off must not come back */
            size_t to = random_below(400);
            for (size_t i = to; i < 400; i++) {
                model[i] = false;
            }
            n = to;
            assert_int_equal(vt_bitset_resize(&b, n, &err), VT_OK);
            break;
        }
        case 1: {
            bool value = random_below(2);
            memset(model, value, n);
            vt_bitset_fill(&b, value);
            break;
        }
        default: {
            size_t i = random_below((uint32_t)n);
            model[i] = random_below(2);
            vt_bitset_set(&b, i, model[i]);
        }
        }
        for (size_t i = 0; i < 400; i++) {
            count += model[i];
            assert_int_equal(vt_bitset_get(&b, i), model[i]);
        }
        assert_false(vt_bitset_get(&b, SIZE_MAX));
        assert_int_equal(vt_bitset_count(&b), count);
        assert_int_equal(vt_bitset_check(&b, &err), VT_OK);
    }
    vt_bitset_release(&b);
}

static void test_bitset_and(void **unused) {
    (void)unused;
    vt_err err;
    for (size_t n = 0; n < 300; n += 7) {
        for (size_t m = 0; m < 300; m += 11) {
            vt_bitset a, b;
            vt_bitset_init(&a);
            vt_bitset_init(&b);
            assert_int_equal(vt_bitset_resize(&a, n, &err), VT_OK);
            assert_int_equal(vt_bitset_resize(&b, m, &err), VT_OK);
            for (size_t i = 0; i < n; i++) {
                vt_bitset_set(&a, i, i % 2 == 0);
            }
            for (size_t i = 0; i < m; i++) {
                vt_bitset_set(&b, i, i % 3 == 0);
            }
            vt_bitset_and(&a, &b);
            for (size_t i = 0; i < 310; i++) {
                assert_int_equal(vt_bitset_get(&a, i), i < n && i < m && i % 6 == 0);
            }
            assert_int_equal(vt_bitset_check(&a, &err), VT_OK);
            vt_bitset_release(&a);
            vt_bitset_release(&b);
        }
    }
}

static void test_bitset_check_sees_stray_bits(void **unused) {
    (void)unused;
    vt_bitset b;
    vt_err err;
    vt_bitset_init(&b);
    assert_int_equal(vt_bitset_resize(&b, 70, &err), VT_OK);
    b.words[1] |= 1 << 6;
    assert_int_equal(vt_bitset_check(&b, &err), VT_E_CORRUPT);
    b.words[1] = 0;
    b.words[2] = 1;
    assert_int_equal(vt_bitset_check(&b, &err), VT_E_CORRUPT);
    vt_bitset_release(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bitset_like_bools),
        cmocka_unit_test(test_bitset_and),
        cmocka_unit_test(test_bitset_check_sees_stray_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
