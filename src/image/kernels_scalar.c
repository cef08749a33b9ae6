/* The passes in plain C: one lane, one tap, and the weight itself as its only digit. The bytes of a
 * pixel have the same weights, which are loaded once for all of them. */
#include "image/kernels.h"

static void digits(const int32_t *weight, size_t groups, uint32_t *words) {
    memcpy(words, weight, groups * sizeof *words);
}

static uint8_t clip8(int32_t v) {
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

/* Inlined with a constant number of channels, so that the inner loop unrolls; the columns are a
 * copy, because what is stored to the strip might be theirs for all the compiler knows. */
static inline void convolve_row(vt_resize_columns c, const uint8_t *row, size_t channels,
                                uint32_t *strip) {
    for (size_t b = 0; b < c.blocks; b += channels) {
        const uint8_t *pixel = row + c.offset[b * c.stride];
        const uint32_t *weight = c.weight + b * c.groups;
        int32_t sum[4] = {VT_WEIGHT_HALF, VT_WEIGHT_HALF, VT_WEIGHT_HALF, VT_WEIGHT_HALF};
        for (size_t g = 0; g < c.groups; g++)
            for (size_t k = 0; k < channels; k++)
                sum[k] += pixel[g * channels + k] * (int32_t)weight[g];
        for (size_t k = 0; k < channels; k++)
            strip[b + k] = clip8(sum[k] >> VT_WEIGHT_BITS);
    }
}

static void horizontal(const vt_resize_columns *c, const uint8_t *const *rows, uint32_t *strip) {
    if (c->step == 1)
        convolve_row(*c, rows[0], 1, strip);
    else if (c->step == 3)
        convolve_row(*c, rows[0], 3, strip);
    else
        convolve_row(*c, rows[0], 4, strip);
}

/* So many columns at a time that the sums stay in the nearest cache. */
static void vertical(const vt_lines *l, size_t i, const uint32_t *const *strips, uint8_t *out) {
    const uint32_t *weight = l->weight + i * l->stride;
    for (size_t x = 0; x < l->width; x += VT_STRIP_LANES) {
        size_t n = l->width - x < VT_STRIP_LANES ? l->width - x : VT_STRIP_LANES;
        int32_t sum[VT_STRIP_LANES];
        for (size_t j = 0; j < VT_STRIP_LANES; j++)
            sum[j] = VT_WEIGHT_HALF;
        for (size_t s = 0; s < l->n[i]; s++)
            for (size_t j = 0; j < VT_STRIP_LANES; j++)
                sum[j] += (int32_t)strips[s][x + j] * (int32_t)weight[s];
        for (size_t j = 0; j < n; j++)
            out[x + j] = clip8(sum[j] >> VT_WEIGHT_BITS);
    }
}

const vt_resize_kernels vt_resize_scalar = {
    .shape = {.lanes = 1, .taps = 1, .digits = 1, .window = 4},
    .digits = digits,
    .horizontal = horizontal,
    .vertical = vertical,
};
