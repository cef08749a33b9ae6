/* See calibration.h for the formulas and where they come from.
 *
 * A grid of 11 weights and 18 temperatures over at most VT_SCORES_MAX cosines (category.c) is some
 * fifty million exponentials: a fifth of a second, once for each state of a catalogue. */
#include "engine/calibration.h"

#include <math.h>

#include "vec/vec.h"

enum { WEIGHTS = 11, TEMPERATURES = 18 };

/* Temperatures run from 1/400, below which float32 cosines of one picture are noise, to near 1 in
 * steps of the square root of 2: half a step changes a confidence of 0.8 by less than 0.04. */
static const double COLDEST = 1.0 / 400;

static const vt_calibration PRESET = {.weight = 0.5, .temperature = 0.1};

static double logit(const vt_calibration *c, float text, float image) {
    return (c->weight * (double)image + (1 - c->weight) * (double)text) / c->temperature;
}

/* Of example i, with a share `spread` of the target dealt to all categories alike. */
static double negative_log_likelihood(const vt_calibration *c, const vt_examples *x, size_t i,
                                      double spread) {
    const float *text = x->text + i * x->n_categories, *image = x->image + i * x->n_categories;
    uint32_t right = x->category[i];
    double most = -INFINITY, sum = 0, mean = 0;
    for (size_t k = 0; k < x->n_categories; k++)
        most = fmax(most, logit(c, text[k], image[k]));
    for (size_t k = 0; k < x->n_categories; k++) {
        double z = logit(c, text[k], image[k]);
        sum += (double)expf((float)(z - most));
        mean += z / (double)x->n_categories;
    }
    return most + log(sum) - (1 - spread) * logit(c, text[right], image[right]) - spread * mean;
}

static double loss(const vt_calibration *c, const vt_examples *x, size_t first, size_t step) {
    size_t n = (x->n - first + step - 1) / step;
    double total = 0;
    for (size_t i = first; i < x->n; i += step)
        total += negative_log_likelihood(c, x, i, 1 / (double)(n + 1));
    return total / (double)n;
}

vt_calibration vt_calibration_fit(const vt_examples *x, size_t first, size_t step) {
    vt_calibration best = PRESET;
    double least = INFINITY;
    if (x->n_categories < 2 || x->n < first + VT_EXAMPLES_LEAST * step)
        return best;
    for (int w = 0; w < WEIGHTS; w++) {
        for (int t = 0; t < TEMPERATURES; t++) {
            vt_calibration c = {(double)w / (WEIGHTS - 1), COLDEST * pow(2, t / 2.0), true};
            double l = loss(&c, x, first, step);
            if (l < least) {
                least = l;
                best = c;
            }
        }
    }
    return best;
}

void vt_calibration_apply(const vt_calibration *c, const float *text, const float *image, size_t n,
                          float *confidence) {
    for (size_t k = 0; k < n; k++)
        confidence[k] = (float)logit(c, text[k], image[k]);
    vt_vec_softmax(confidence, n);
}

/* ---- reliability -------------------------------------------------------------------------- */

void vt_reliability_add(vt_reliability *r, double confidence, bool right) {
    int bin = (int)(confidence * VT_RELIABILITY_BINS);
    bin = bin < 0 ? 0 : bin < VT_RELIABILITY_BINS ? bin : VT_RELIABILITY_BINS - 1;
    r->bins[bin].n++;
    r->bins[bin].right += right;
    r->bins[bin].confidence += confidence;
    r->n++;
    r->right += right;
}

double vt_reliability_error(const vt_reliability *r) {
    double distance = 0; /* a bin's distance times its n is the distance of its sums */
    for (int i = 0; i < VT_RELIABILITY_BINS; i++)
        distance += fabs(r->bins[i].confidence - (double)r->bins[i].right);
    return r->n > 0 ? distance / (double)r->n : 0;
}

static void judge(vt_reliability *r, const vt_examples *x, size_t i, const vt_calibration *c,
                  float *confidence) {
    size_t row = i * x->n_categories, best = 0;
    vt_calibration_apply(c, x->text + row, x->image + row, x->n_categories, confidence);
    for (size_t k = 1; k < x->n_categories; k++)
        if (confidence[k] > confidence[best])
            best = k;
    vt_reliability_add(r, (double)confidence[best], best == x->category[i]);
}

vt_status vt_reliability_measure(vt_reliability *r, const vt_examples *x, vt_err *err) {
    float *confidence = vt_alloc(x->n_categories, sizeof *confidence);
    if (!confidence)
        return vt_fail_nomem(err, x->n_categories * sizeof *confidence);
    for (size_t half = 0; half < 2; half++) {
        vt_calibration c = vt_calibration_fit(x, 1 - half, 2);
        for (size_t i = half; i < x->n; i += 2)
            judge(r, x, i, &c, confidence);
    }
    free(confidence);
    return VT_OK;
}
