/* From cosines to confidence. Pure functions on plain arrays. Private to engine: category.c has the
 * vectors, classify.c tells the figures.
 *
 * The confidence of category c is a softmax of blended cosines,
 *
 *   z(c) = (weight * image(c) + (1 - weight) * text(c)) / temperature
 *
 * text(c) is the cosine of a picture's vector with the words of the category, image(c) with the
 * mean of its products' vectors. Weight and temperature are fitted to examples whose category is
 * known, by the mean negative log-likelihood, which is a proper score: it is least where of the
 * answers given with 0.8 a share of 0.8 are right (Guo et al. 2017, On Calibration of Modern Neural
 * Networks, who fit the temperature alone). The minimum is looked for on a grid: two parameters, a
 * valley without steps, and a grid cannot diverge. Rejected: Platt's and vector scaling (two more
 * numbers per category, which few shops have the products for), isotonic regression (of one class
 * at a time; the confidences would no longer sum to 1).
 *
 * Targets are smoothed as if one more example had been seen that was of every category alike (after
 * Platt 1999, who counts one more right and one more wrong): n examples that all come out right
 * allow a confidence near 1 - 1/n, not of 1. */
#ifndef VT_ENGINE_CALIBRATION_H
#define VT_ENGINE_CALIBRATION_H

#include "base/base.h"

/* Fewer examples than this say nothing about how often an answer is right. */
#define VT_EXAMPLES_LEAST 10

typedef struct vt_examples {
    size_t n, n_categories;
    const float *text, *image; /* cosines, [n][n_categories] */
    const uint32_t *category;  /* [n]: the right one */
} vt_examples;

typedef struct vt_calibration {
    double weight;      /* of the image, 0..1 */
    double temperature; /* above 0 */
    bool measured;      /* false: presets, too little was known to fit them */
} vt_calibration;

/* Fits to the examples first, first + step, ... Below VT_EXAMPLES_LEAST of them or two categories:
 * the presets, half and half at a temperature so high that nothing looks certain. */
vt_calibration vt_calibration_fit(const vt_examples *x, size_t first, size_t step);
/* Confidences of n >= 1 categories, which sum to 1. */
void vt_calibration_apply(const vt_calibration *c, const float *text, const float *image, size_t n,
                          float *confidence);

#define VT_RELIABILITY_BINS 10

/* Answers by confidence: bin i holds those in [i / 10, (i + 1) / 10), the last one also 1. */
typedef struct vt_reliability {
    struct {
        size_t n, right;
        double confidence; /* sum */
    } bins[VT_RELIABILITY_BINS];
    size_t n, right;
} vt_reliability;

void vt_reliability_add(vt_reliability *r, double confidence, bool right);
/* Expected calibration error (Naeini et al. 2015): the mean distance between a bin's confidence and
 * its share of right answers, each bin by its number of answers. 0 where there is none. */
double vt_reliability_error(const vt_reliability *r);
/* Adds the best answer to every example. Those with an even number are judged by what was fitted to
 * the odd ones, and the other way round: no example has a say in its own confidence. */
vt_status vt_reliability_measure(vt_reliability *r, const vt_examples *x, vt_err *err) VT_MUST_USE;

#endif
