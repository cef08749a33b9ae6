/* colour: rows of pixels from one colour form to another, in Pillow's integer arithmetic (its
 * Convert.c), because a rounding that differs by one here is a difference in the vector. Every
 * function takes a row; none allocates. */
#include "image/internal.h"

/* a * b / 255, rounded, without a division. */
static unsigned mul_div_255(unsigned a, unsigned b) {
    unsigned t = a * b + 128;
    return ((t >> 8) + t) >> 8;
}

void vt_palette_init(vt_palette *p) {
    for (size_t i = 0; i < 256; i++)
        memset(p->rgb[i], (int)i, 3);
}

bool vt_palette_is_grey_ramp(const vt_palette *p, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (p->rgb[i][0] != i || p->rgb[i][1] != i || p->rgb[i][2] != i)
            return false;
    return true;
}

void vt_palette_apply(const vt_palette *p, const uint8_t *index, size_t n, uint8_t *rgb) {
    for (size_t i = 0; i < n; i++)
        memcpy(rgb + 3 * i, p->rgb[index[i]], 3);
}

void vt_unpack_samples(const uint8_t *packed, unsigned bits, size_t n, uint8_t *out) {
    assert(bits == 1 || bits == 2 || bits == 4 || bits == 8);
    if (bits == 8) {
        memcpy(out, packed, n);
        return;
    }
    unsigned per_byte = 8 / bits, mask = (1u << bits) - 1;
    for (size_t i = 0; i < n; i++) {
        unsigned shift = 8 - bits * (unsigned)(i % per_byte + 1);
        out[i] = (uint8_t)(packed[i / per_byte] >> shift & mask);
    }
}

void vt_rgb_from_rgba(const uint8_t *in, size_t n, uint8_t *out) {
    for (size_t i = 0; i < n; i++) {
        out[3 * i] = in[4 * i];
        out[3 * i + 1] = in[4 * i + 1];
        out[3 * i + 2] = in[4 * i + 2];
    }
}

void vt_rgb_from_cmyk(const uint8_t *in, size_t n, uint8_t *out) {
    for (size_t i = 0; i < n; i++) {
        unsigned light = 255u - in[4 * i + 3];
        for (size_t c = 0; c < 3; c++)
            out[3 * i + c] = (uint8_t)(light - mul_div_255(in[4 * i + c], light));
    }
}

void vt_rgb_from_gray(const uint8_t *in, size_t n, uint8_t *out) {
    for (size_t i = 0; i < n; i++)
        memset(out + 3 * i, in[i], 3);
}

void vt_gray_from_gray16(const uint16_t *in, size_t n, uint8_t *out) {
    for (size_t i = 0; i < n; i++)
        out[i] = (uint8_t)(in[i] < 255 ? in[i] : 255);
}

void vt_rgba_premultiply(const uint8_t *in, size_t n, uint8_t *out) {
    for (size_t i = 0; i < n; i++) {
        unsigned alpha = in[4 * i + 3];
        for (size_t c = 0; c < 3; c++)
            out[4 * i + c] = (uint8_t)mul_div_255(in[4 * i + c], alpha);
        out[4 * i + 3] = (uint8_t)alpha;
    }
}

/* Where alpha is 0 there is no colour to bring back; what the filter left is kept. */
void vt_rgb_from_premultiplied(const uint8_t *in, size_t n, uint8_t *out) {
    for (size_t i = 0; i < n; i++) {
        unsigned alpha = in[4 * i + 3];
        for (size_t c = 0; c < 3; c++) {
            unsigned v = alpha == 0 ? in[4 * i + c] : 255u * in[4 * i + c] / alpha;
            out[3 * i + c] = (uint8_t)(v < 255 ? v : 255);
        }
    }
}
