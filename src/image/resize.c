/* resize: antialiased bicubic, bit for bit what Pillow's ImagingResample computes, and Pillow's
 * nearest neighbour for indexed pictures.
 *
 * The filter is Keys' cubic (1981) with a = -0.5, stretched by the scale when the picture shrinks
 * and cut at the picture's edges. Two passes, horizontal then vertical; each rounds to 8 bits
 * between the two, with weights of 22 fractional bits (32 less 8 of the pixel, less 2 so that the
 * overshoot of a cubic still fits). That rounding is part of the reference, which is why neither
 * floating point nor vertical-first (which would need less work for wide pictures) is used.
 * 16-bit grey goes through doubles, rounded to a whole number after each pass.
 *
 * Only the window that the crop needs is computed: a 1 x 2000 picture resizes to 224 x 448000, of
 * which 224 rows are wanted; they come from a few source rows.
 *
 * Invariant: source rows are asked for in rising order, each once. No state; memory is
 * (source rows needed) x (window width), freed before the return. */
#include <math.h>

#include "image/internal.h"

#define WEIGHT_BITS     22
#define WEIGHT_HALF     (1 << (WEIGHT_BITS - 1))
#define BICUBIC_A       (-0.5)
#define BICUBIC_SUPPORT 2.0

/* The weights of one axis: window pixel i is the sum over n[i] source pixels from first[i] on. */
typedef struct taps {
    size_t count, stride; /* stride: room for the weights of one window pixel */
    uint32_t *first, *n;
    double *weight;
    int32_t *fixed; /* the same in fixed point */
} taps;

static double bicubic(double x) {
    x = fabs(x);
    if (x < 1.0)
        return ((BICUBIC_A + 2.0) * x - (BICUBIC_A + 3.0)) * x * x + 1;
    if (x < 2.0)
        return (((x - 5) * x + 8) * x - 4) * BICUBIC_A;
    return 0.0;
}

static void taps_release(taps *t) {
    free(t->first);
    free(t->n);
    free(t->weight);
    free(t->fixed);
}

/* Weights of window pixel i; `at` is its number in the whole result. The order of the floating
 * point operations is Pillow's. */
static void fill_taps(taps *t, size_t i, uint32_t at, const vt_axis *axis) {
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
    for (uint32_t k = 0; k < end - first; k++) {
        w[k] = sum != 0.0 ? w[k] / sum : w[k];
        double scaled = w[k] * (1 << WEIGHT_BITS);
        t->fixed[i * t->stride + k] = (int32_t)(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
    }
}

/* The caller releases *t, also after a failure. */
static vt_status taps_init(taps *t, const vt_axis *axis, vt_err *err) {
    double scale = (double)axis->in / axis->out;
    double support = BICUBIC_SUPPORT * (scale < 1.0 ? 1.0 : scale);
    *t = (taps){.count = axis->count, .stride = (size_t)ceil(support) * 2 + 1};
    t->first = vt_alloc(t->count, sizeof *t->first);
    t->n = vt_alloc(t->count, sizeof *t->n);
    t->weight = vt_alloc(t->count, t->stride * sizeof *t->weight);
    t->fixed = vt_alloc(t->count, t->stride * sizeof *t->fixed);
    if (t->first == NULL || t->n == NULL || t->weight == NULL || t->fixed == NULL)
        return vt_fail_nomem(err, t->count * t->stride * sizeof *t->weight);
    for (uint32_t i = 0; i < axis->count; i++)
        fill_taps(t, i, axis->first + i, axis);
    return VT_OK;
}

static uint32_t taps_end(const taps *t) {
    return t->first[t->count - 1] + t->n[t->count - 1];
}

static uint8_t clip8(int32_t v) {
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

/* Inlined with a constant number of channels, so that the inner loop unrolls. */
static inline void convolve_row(const taps *t, const uint8_t *in, size_t channels, uint8_t *out) {
    for (size_t i = 0; i < t->count; i++) {
        const uint8_t *p = in + t->first[i] * channels;
        const int32_t *w = t->fixed + i * t->stride;
        int32_t sum[4] = {WEIGHT_HALF, WEIGHT_HALF, WEIGHT_HALF, WEIGHT_HALF};
        for (size_t k = 0; k < t->n[i]; k++)
            for (size_t c = 0; c < channels; c++)
                sum[c] += p[k * channels + c] * w[k];
        for (size_t c = 0; c < channels; c++)
            out[i * channels + c] = clip8(sum[c] >> WEIGHT_BITS);
    }
}

static void horizontal(const taps *t, const uint8_t *in, unsigned channels, uint8_t *out) {
    if (channels == 1)
        convolve_row(t, in, 1, out);
    else if (channels == 3)
        convolve_row(t, in, 3, out);
    else
        convolve_row(t, in, 4, out);
}

/* Window row i out of the rows in `mid`, whose first is source row `base`. A block of columns at a
 * time, so that the sums stay in registers or the nearest cache. */
static void vertical(const taps *t, size_t i, const uint8_t *mid, uint32_t base, size_t width,
                     uint8_t *out) {
    enum { BLOCK = 64 };
    const int32_t *w = t->fixed + i * t->stride;
    const uint8_t *top = mid + (size_t)(t->first[i] - base) * width;
    for (size_t x = 0; x < width; x += BLOCK) {
        size_t n = width - x < BLOCK ? width - x : BLOCK;
        int32_t sum[BLOCK];
        for (size_t j = 0; j < n; j++)
            sum[j] = WEIGHT_HALF;
        for (size_t k = 0; k < t->n[i]; k++)
            for (size_t j = 0; j < n; j++)
                sum[j] += top[k * width + x + j] * w[k];
        for (size_t j = 0; j < n; j++)
            out[x + j] = clip8(sum[j] >> WEIGHT_BITS);
    }
}

vt_status vt_resize_bicubic(const vt_rows *rows, const vt_axis *x, const vt_axis *y, uint8_t *out,
                            vt_err *err) {
    taps tx = {0}, ty = {0};
    uint8_t *mid = NULL, *scratch = NULL;
    vt_status s = taps_init(&tx, x, err);
    if (s == VT_OK)
        s = taps_init(&ty, y, err);
    if (s != VT_OK)
        goto done;
    uint32_t base = ty.first[0], end = taps_end(&ty);
    size_t width = (size_t)x->count * rows->channels;
    mid = vt_alloc(end - base, width);
    scratch = vt_alloc(x->in, rows->channels);
    if (mid == NULL || scratch == NULL) {
        s = vt_fail_nomem(err, (end - base) * width);
        goto done;
    }
    for (uint32_t r = base; r < end; r++)
        horizontal(&tx, rows->row(rows->img, r, scratch), rows->channels, mid + (r - base) * width);
    for (size_t i = 0; i < y->count; i++)
        vertical(&ty, i, mid, base, width, out + i * width);
done:
    free(mid);
    free(scratch);
    taps_release(&tx);
    taps_release(&ty);
    return s;
}

/* Half away from zero, as Pillow rounds its 32-bit pictures. */
static int32_t round_half_away(double v) {
    return (int32_t)(v >= 0.0 ? v + 0.5 : v - 0.5);
}

static void horizontal16(const taps *t, const uint16_t *in, int32_t *out) {
    for (size_t i = 0; i < t->count; i++) {
        double sum = 0.0;
        for (size_t k = 0; k < t->n[i]; k++)
            sum += in[t->first[i] + k] * t->weight[i * t->stride + k];
        out[i] = round_half_away(sum);
    }
}

static void vertical16(const taps *t, size_t i, const int32_t *top, size_t width, uint8_t *out) {
    for (size_t x = 0; x < width; x++) {
        double sum = 0.0;
        for (size_t k = 0; k < t->n[i]; k++)
            sum += top[k * width + x] * t->weight[i * t->stride + k];
        out[x] = clip8(round_half_away(sum));
    }
}

vt_status vt_resize_bicubic_gray16(const vt_image *img, const vt_axis *x, const vt_axis *y,
                                   uint8_t *out, vt_err *err) {
    assert(img->format == VT_PIXEL_GRAY16);
    taps tx = {0}, ty = {0};
    int32_t *mid = NULL;
    vt_status s = taps_init(&tx, x, err);
    if (s == VT_OK)
        s = taps_init(&ty, y, err);
    if (s != VT_OK)
        goto done;
    uint32_t base = ty.first[0], end = taps_end(&ty);
    const uint16_t *pixels = (const void *)img->pixels;
    mid = vt_alloc((size_t)(end - base) * x->count, sizeof *mid);
    if (mid == NULL) {
        s = vt_fail_nomem(err, (size_t)(end - base) * x->count * sizeof *mid);
        goto done;
    }
    for (uint32_t r = base; r < end; r++)
        horizontal16(&tx, pixels + (size_t)r * img->width, mid + (size_t)(r - base) * x->count);
    for (size_t i = 0; i < y->count; i++)
        vertical16(&ty, i, mid + (size_t)(ty.first[i] - base) * x->count, x->count,
                   out + i * x->count);
done:
    free(mid);
    taps_release(&tx);
    taps_release(&ty);
    return s;
}

/* Source pixel under the middle of each window pixel. Pillow walks from the picture's edge by
 * adding the scale, and the sum's rounding error decides ties, so we walk as well. */
static uint32_t *nearest_positions(const vt_axis *axis) {
    uint32_t *at = vt_alloc(axis->count, sizeof *at);
    if (at == NULL)
        return NULL;
    double scale = (double)axis->in / axis->out, pos = scale * 0.5;
    for (uint32_t i = 0; i < axis->first + axis->count; i++) {
        if (i >= axis->first)
            at[i - axis->first] = pos < axis->in ? (uint32_t)pos : axis->in - 1;
        pos += scale;
    }
    return at;
}

vt_status vt_resize_nearest(const vt_rows *rows, const vt_axis *x, const vt_axis *y, uint8_t *out,
                            vt_err *err) {
    vt_status s = VT_OK;
    size_t channels = rows->channels;
    uint32_t *xs = nearest_positions(x), *ys = nearest_positions(y);
    uint8_t *scratch = vt_alloc(x->in, channels);
    if (xs == NULL || ys == NULL || scratch == NULL) {
        s = vt_fail_nomem(err, ((size_t)x->count + y->count) * sizeof *xs + x->in * channels);
        goto done;
    }
    for (size_t i = 0; i < y->count; i++) {
        const uint8_t *in = rows->row(rows->img, ys[i], scratch);
        for (size_t j = 0; j < x->count; j++, out += channels)
            memcpy(out, in + xs[j] * channels, channels);
    }
done:
    free(xs);
    free(ys);
    free(scratch);
    return s;
}
