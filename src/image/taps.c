/* taps: the weights of the bicubic filter along one axis, in double precision.
 *
 * The filter is Keys' cubic (1981) with a = -0.5, stretched by the scale when the picture shrinks
 * and cut at the picture's edges. The order of the floating point operations is Pillow's, because
 * the weights are rounded afterwards: the room is compiled without contraction to fused operations,
 * which would move their last bit. */
#include <math.h>

#include "image/kernels.h"

#define BICUBIC_A       (-0.5)
#define BICUBIC_SUPPORT 2.0

static double bicubic(double x) {
    x = fabs(x);
    if (x < 1.0)
        return ((BICUBIC_A + 2.0) * x - (BICUBIC_A + 3.0)) * x * x + 1;
    if (x < 2.0)
        return (((x - 5) * x + 8) * x - 4) * BICUBIC_A;
    return 0.0;
}

void vt_taps_release(vt_taps *t) {
    free(t->first);
    free(t->n);
    free(t->weight);
}

/* Result i of the window; `at` is its number in the whole result. */
static void fill_taps(vt_taps *t, size_t i, uint32_t at, const vt_axis *axis) {
    double scale = (double)axis->in / axis->out;
    double stretch = scale < 1.0 ? 1.0 : scale;
    double support = BICUBIC_SUPPORT * stretch, shrink = 1.0 / stretch;
    double center = (at + 0.5) * scale, sum = 0.0;
    double low = center - support + 0.5, high = center + support + 0.5;
    uint32_t first = low > 0 ? (uint32_t)low : 0;
    uint32_t end = high < axis->in ? (uint32_t)high : axis->in;
    double *w = t->weight + i * t->stride;
    t->first[i] = first;
    t->n[i] = end - first;
    for (uint32_t k = 0; k < end - first; k++) {
        w[k] = bicubic((k + first - center + 0.5) * shrink);
        sum += w[k];
    }
    for (uint32_t k = 0; k < end - first && sum != 0.0; k++)
        w[k] /= sum;
}

vt_status vt_taps_init(vt_taps *t, const vt_axis *axis, vt_err *err) {
    double scale = (double)axis->in / axis->out;
    double support = BICUBIC_SUPPORT * (scale < 1.0 ? 1.0 : scale);
    *t = (vt_taps){.in = axis->in, .count = axis->count, .stride = (size_t)ceil(support) * 2 + 1};
    t->first = vt_alloc(t->count, sizeof *t->first);
    t->n = vt_alloc(t->count, sizeof *t->n);
    t->weight = vt_alloc(t->count, t->stride * sizeof *t->weight);
    if (t->first == NULL || t->n == NULL || t->weight == NULL)
        return vt_fail_nomem(err, t->count * t->stride * sizeof *t->weight);
    for (uint32_t i = 0; i < axis->count; i++)
        fill_taps(t, i, axis->first + i, axis);
    return VT_OK;
}
