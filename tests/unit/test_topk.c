/* Top-k against sorting everything, with many equal scores. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "vec/vec.h"

#define MOST 600

static uint64_t state = 1;

static uint32_t random_below(uint32_t n) {
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (uint32_t)((state * 0x2545F4914F6CDD1Du) >> 33) % n;
}

/* A total order that is not the order of the slots. */
static bool scrambled(void *ctx, uint32_t a, uint32_t b) {
    uint32_t mask = *(const uint32_t *)ctx;
    return (a ^ mask) < (b ^ mask);
}

static uint32_t mask;

static int better_first(const void *pa, const void *pb) {
    const vt_hit *a = pa, *b = pb;
    if (a->score != b->score) {
        return a->score > b->score ? -1 : 1;
    }
    return (a->slot ^ mask) < (b->slot ^ mask) ? -1 : (a->slot ^ mask) > (b->slot ^ mask);
}

static void check_against_sort(size_t n, size_t k, uint32_t distinct) {
    vt_hit all[MOST], best[MOST];
    vt_topk t;
    mask = random_below(2) ? random_below(1024) : 0;
    vt_topk_init(&t, best, k, mask ? scrambled : NULL, &mask);
    for (size_t i = 0; i < n; i++) {
        all[i] = (vt_hit){.score = (float)random_below(distinct) / 8 - 3, .slot = (uint32_t)i};
    }
    for (size_t i = n; i > 1; i--) { /* so that they do not come in the order of their slots */
        size_t j = random_below((uint32_t)i);
        vt_hit swap = all[i - 1];
        all[i - 1] = all[j];
        all[j] = swap;
    }
    for (size_t i = 0; i < n; i++) {
        float floor = vt_topk_floor(&t);
        assert_true(i < k ? floor == -INFINITY : isfinite(floor));
        vt_topk_offer(&t, all[i].score, all[i].slot);
        vt_topk_offer(&t, NAN, all[i].slot);
    }
    vt_topk_sort(&t);
    qsort(all, n, sizeof *all, better_first);
    assert_int_equal(t.n, n < k ? n : k);
    for (size_t i = 0; i < t.n; i++) {
        assert_true(best[i].score == all[i].score);
        assert_int_equal(best[i].slot, all[i].slot);
    }
}

static void test_like_sorting(void **unused) {
    (void)unused;
    for (size_t round = 0; round < 3000; round++) {
        check_against_sort(random_below(MOST), 1 + random_below(round % 2 ? 12 : MOST),
                           1 + random_below(round % 3 ? 5 : 100000));
    }
}

static void test_floor_is_the_worst_kept(void **unused) {
    (void)unused;
    vt_hit hits[2];
    vt_topk t;
    vt_topk_init(&t, hits, 2, NULL, NULL);
    vt_topk_offer(&t, 1, 10);
    assert_true(vt_topk_floor(&t) == -INFINITY);
    vt_topk_offer(&t, 3, 11);
    assert_true(vt_topk_floor(&t) == 1);
    vt_topk_offer(&t, 2, 12);
    assert_true(vt_topk_floor(&t) == 2);
    vt_topk_offer(&t, -INFINITY, 13);
    assert_true(vt_topk_floor(&t) == 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_like_sorting),
        cmocka_unit_test(test_floor_is_the_worst_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
