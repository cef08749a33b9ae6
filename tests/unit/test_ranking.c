/* Figures of a ranked answer against values computed by hand and against the definitions taken
 * literally (the best order is found by trying them all); the bootstrap against distributions that
 * can be written down. */
#include "engine/ranking.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void assert_near(double a, double b, double tolerance) {
    if (!(fabs(a - b) <= tolerance))
        fail_msg("%.17g is not %.17g +- %g", a, b, tolerance);
}

/* "+-+" is relevant, not, relevant. */
static void measure(const char *order, size_t k, size_t n_relevant, double out[VT_METRICS]) {
    bool relevant[32];
    size_t n = strlen(order);
    for (size_t i = 0; i < n; i++)
        relevant[i] = order[i] == '+';
    vt_ranking_measure(relevant, n, k, n_relevant, out);
}

static void values_by_hand(void **state) {
    static const struct {
        const char *order;
        size_t k, n_relevant;
        double expected[VT_METRICS];
    } cases[] = {
        {"+", 1, 1, {1, 1, 1, 1}},
        {"-+", 2, 1, {0.5, 1, 0.5, 0.6309297535714575}},         /* 1/log2(3) */
        {"+-+", 3, 2, {2.0 / 3, 1, 1, 0.9197207891481876}},      /* 1.5 / (1 + 1/log2(3)) */
        {"-+-+", 4, 3, {0.5, 2.0 / 3, 0.5, 0.4981892574664129}}, /* 1.0616063117 / 2.1309297536 */
        {"--+", 2, 1, {0, 0, 0, 0}}, /* what is beyond k does not count */
        {"++++",
         2,
         4,
         {1, 0.5, 1, 1}},             /* more relevant than k: the order is perfect all the same */
        {"+", 10, 1, {0.1, 1, 1, 1}}, /* fewer found than k: precision divides by k */
        {"", 10, 5, {0, 0, 0, 0}},
        {"-----", 5, 1, {0, 0, 0, 0}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        double got[VT_METRICS];
        measure(cases[i].order, cases[i].k, cases[i].n_relevant, got);
        for (int m = 0; m < VT_METRICS; m++)
            assert_near(got[m], cases[i].expected[m], 1e-10);
    }
}

/* The definition as written: a sum over ranks of a bit mask. */
static double dcg(unsigned mask, size_t k) {
    double sum = 0;
    for (size_t i = 1; i <= k; i++)
        sum += (mask >> (i - 1) & 1) * log(2.0) / log((double)i + 1);
    return sum;
}

static size_t count_bits(unsigned mask, size_t k) {
    return (size_t)__builtin_popcount(mask & ((1u << k) - 1));
}

/* The largest DCG@k over all placements of n_relevant products on `places` ranks. */
static double best_dcg(size_t places, size_t k, size_t n_relevant) {
    double best = 0;
    for (unsigned mask = 0; mask < 1u << places; mask++)
        if (count_bits(mask, places) == n_relevant && dcg(mask, k) > best)
            best = dcg(mask, k);
    return best;
}

static void check_order(unsigned mask, size_t n, size_t k, size_t n_relevant) {
    bool relevant[8];
    double got[VT_METRICS];
    size_t depth = k < n ? k : n, first = 0;
    for (size_t i = 0; i < n; i++)
        relevant[i] = mask >> i & 1;
    while (first < depth && !relevant[first])
        first++;
    vt_ranking_measure(relevant, n, k, n_relevant, got);
    assert_near(got[VT_PRECISION] * (double)k, (double)count_bits(mask, depth), 1e-12);
    assert_near(got[VT_RECALL] * (double)n_relevant, (double)count_bits(mask, depth), 1e-12);
    assert_near(got[VT_RECIPROCAL_RANK], first < depth ? 1.0 / (double)(first + 1) : 0, 1e-12);
    assert_near(got[VT_NDCG], dcg(mask, depth) / best_dcg(8, k, n_relevant), 1e-12);
}

static void every_order_of_six(void **state) {
    enum { N = 6 };
    for (size_t k = 1; k <= 7; k++)
        for (unsigned mask = 0; mask < 1u << N; mask++)
            for (size_t more = 0; more <= 2; more++) /* relevant ones that were not found */
                if (count_bits(mask, N) + more > 0)
                    check_order(mask, N, k, count_bits(mask, N) + more);
}

/* Exactly 1, because the worst queries are told by it. */
static void perfect_is_one(void **state) {
    bool all[64];
    double got[VT_METRICS];
    memset(all, 1, sizeof all);
    for (size_t k = 1; k <= 64; k++) {
        vt_ranking_measure(all, 64, k, 64, got);
        assert_true(got[VT_NDCG] == 1.0);
    }
}

/* ---- the bootstrap ------------------------------------------------------------------------ */

static void nothing_and_constants(void **state) {
    double same[7] = {0.3, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3};
    vt_interval v = vt_bootstrap_mean(NULL, 0, 1);
    assert_true(isnan(v.mean) && isnan(v.low) && isnan(v.high));
    v = vt_bootstrap_mean(same, 7, 1);
    assert_near(v.mean, 0.3, 1e-15);
    assert_near(v.low, 0.3, 1e-15);
    assert_near(v.high, 0.3, 1e-15);
}

/* Of {0,0,0,0,1} a resample's sum is binomial (5, 1/5): P(0) = 0.33, P(<= 2) = 0.942 and
 * P(<= 3) = 0.993, so the percentiles are 0 and 3/5 for practically every seed. Of {0, 1} they are
 * 0 and 1, each with probability 1/4. */
static void percentiles_of_a_known_law(void **state) {
    double one_of_five[5] = {0, 0, 0, 0, 1}, coin[2] = {0, 1};
    for (uint64_t seed = 0; seed < 50; seed++) {
        vt_interval v = vt_bootstrap_mean(one_of_five, 5, seed);
        assert_near(v.mean, 0.2, 1e-15);
        assert_near(v.low, 0, 1e-15);
        assert_near(v.high, 0.6, 1e-15);
        v = vt_bootstrap_mean(coin, 2, seed);
        assert_near(v.mean, 0.5, 1e-15);
        assert_near(v.low, 0, 1e-15);
        assert_near(v.high, 1, 1e-15);
    }
}

/* Many values: the law of the mean is normal, its deviation the values' over root n. 1/sqrt(12)
 * is the deviation of an even spread; the percentiles of 1,000 resamples are off by some percent of
 * it. */
static void many_values_are_normal(void **state) {
    enum { N = 3000 };
    static double values[N];
    for (size_t i = 0; i < N; i++)
        values[i] = ((double)i + 0.5) / N;
    vt_interval v = vt_bootstrap_mean(values, N, 7);
    double half = 1.959964 / sqrt(12.0 * N);
    assert_near(v.mean, 0.5, 1e-12);
    assert_near(v.low, 0.5 - half, 0.15 * half);
    assert_near(v.high, 0.5 + half, 0.15 * half);
}

/* A shifted copy with the same seed draws the same queries: the interval shifts exactly. */
static void one_seed_one_answer(void **state) {
    double a[20], b[20];
    for (size_t i = 0; i < 20; i++) {
        a[i] = (double)((i * 7) % 20);
        b[i] = a[i] + 64;
    }
    vt_interval x = vt_bootstrap_mean(a, 20, 3), again = vt_bootstrap_mean(a, 20, 3);
    vt_interval y = vt_bootstrap_mean(b, 20, 3), other = vt_bootstrap_mean(a, 20, 4);
    assert_true(x.low == again.low && x.high == again.high);
    assert_near(y.low - x.low, 64, 1e-9);
    assert_near(y.high - x.high, 64, 1e-9);
    assert_true(x.low != other.low || x.high != other.high);
    assert_true(x.low < x.mean && x.mean < x.high);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_by_hand),
        cmocka_unit_test(every_order_of_six),
        cmocka_unit_test(perfect_is_one),
        cmocka_unit_test(nothing_and_constants),
        cmocka_unit_test(percentiles_of_a_known_law),
        cmocka_unit_test(many_values_are_normal),
        cmocka_unit_test(one_seed_one_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
