/* How good a ranked answer is, and how sure one may be of a mean over queries. Pure functions on
 * plain arrays. Private to engine: eval.c asks the questions, eval_report.c tells the figures.
 *
 * Relevance is binary. With rel(i) = 1 where the product at rank i (from 1) is relevant, else 0, R
 * relevant products in the collection that was searched, and k the depth:
 *
 *   precision@k      sum of rel(1..k) / k. It divides by k also where R < k or fewer than k
 * products were found, so it cannot reach 1 there. Manning, Raghavan, Schuetze 2008, Introduction
 * to Information Retrieval, sections 8.3 and 8.4. recall@k         sum of rel(1..k) / R; cannot
 * reach 1 where R > k. The same, section 8.3. reciprocal rank  1 / rank of the first relevant
 * product, 0 where none is among the first k. Its mean over queries is MRR. Voorhees 1999, The
 * TREC-8 Question Answering Track. nDCG@k           DCG@k = sum of rel(i) / log2(1 + i), divided by
 * the DCG@k of the best order there is, min(k, R) relevant products first. Jarvelin and Kekalainen
 * 2002, Cumulated gain-based evaluation of IR techniques; with the discount of Manning et al.,
 *                    section 8.4, because the original leaves ranks 1 and 2 alike.
 *
 * The interval: Efron 1979, Bootstrap methods: another look at the jackknife; percentile method
 * (Efron and Tibshirani 1993, An Introduction to the Bootstrap, section 13.3). The queries are the
 * sample: it says how far the mean would move with other queries of the same kind, and nothing
 * about queries of another kind. Rejected: the interval of the normal law, which leaves [0, 1] for
 * the few and skewed values that these are. */
#ifndef VT_ENGINE_RANKING_H
#define VT_ENGINE_RANKING_H

#include "base/base.h"

typedef enum vt_metric {
    VT_PRECISION,
    VT_RECALL,
    VT_RECIPROCAL_RANK,
    VT_NDCG,
    VT_METRICS
} vt_metric;

/* relevant[i] tells of rank i + 1; n products were found, of which the first k count (k >= 1).
 * n_relevant is R above, >= 1. All figures are in [0, 1]. */
void vt_ranking_measure(const bool *relevant, size_t n, size_t k, size_t n_relevant,
                        double figures[VT_METRICS]);

#define VT_BOOTSTRAP_RESAMPLES 1000

typedef struct vt_interval {
    double mean, low, high; /* NAN where there was nothing to take the mean of */
} vt_interval;

/* The mean of n values (n < 2^32) and its 95 % interval: of the means of 1,000 resamples with
 * replacement, in order of size, the 25th and the 975th. One seed gives one answer, and draws the
 * same queries for each figure. */
vt_interval vt_bootstrap_mean(const double *values, size_t n, uint64_t seed);

#endif
