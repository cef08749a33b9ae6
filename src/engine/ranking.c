/* Figures of a ranked answer and the bootstrap of their means: definitions and sources are in
 * ranking.h. The generator is SplitMix64 (Steele, Lea, Flood 2014): ten lines, the same on every
 * machine, and its 2^64 numbers are plenty for n x 1,000 draws. */
#include "engine/ranking.h"

#include <math.h>

static double discount(size_t rank) {
    return 1.0 / log2(1.0 + (double)rank);
}

void vt_ranking_measure(const bool *relevant, size_t n, size_t k, size_t n_relevant,
                        double figures[VT_METRICS]) {
    size_t found = 0, first = 0, depth = n < k ? n : k;
    double gain = 0, ideal = 0;
    assert(k >= 1 && n_relevant >= 1);
    for (size_t rank = 1; rank <= depth; rank++) {
        if (!relevant[rank - 1])
            continue;
        found++;
        gain += discount(rank);
        if (first == 0)
            first = rank;
    }
    for (size_t rank = 1; rank <= k && rank <= n_relevant; rank++)
        ideal += discount(rank);
    figures[VT_PRECISION] = (double)found / (double)k;
    figures[VT_RECALL] = (double)found / (double)n_relevant;
    figures[VT_RECIPROCAL_RANK] = first ? 1.0 / (double)first : 0;
    figures[VT_NDCG] = gain / ideal;
}

static uint64_t next_random(uint64_t *state) {
    uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

/* [0, n): the high half scaled, off an even draw by less than n / 2^32. */
static size_t random_below(uint64_t *state, size_t n) {
    return (size_t)(((next_random(state) >> 32) * (uint64_t)n) >> 32);
}

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double mean_of_resample(const double *values, size_t n, uint64_t *state) {
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += values[random_below(state, n)];
    return sum / (double)n;
}

vt_interval vt_bootstrap_mean(const double *values, size_t n, uint64_t seed) {
    double means[VT_BOOTSTRAP_RESAMPLES], sum = 0;
    assert(n <= UINT32_MAX);
    if (n == 0)
        return (vt_interval){NAN, NAN, NAN};
    for (size_t i = 0; i < n; i++)
        sum += values[i];
    for (size_t i = 0; i < VT_BOOTSTRAP_RESAMPLES; i++)
        means[i] = mean_of_resample(values, n, &seed);
    qsort(means, VT_BOOTSTRAP_RESAMPLES, sizeof means[0], compare_doubles);
    return (vt_interval){.mean = sum / (double)n,
                         .low = means[VT_BOOTSTRAP_RESAMPLES / 40 - 1],
                         .high = means[VT_BOOTSTRAP_RESAMPLES - VT_BOOTSTRAP_RESAMPLES / 40 - 1]};
}
