/* Kernels in plain C: the reference that the tests hold the vector ones against, and what runs on
 * a machine without any of them. Written for clarity; the libm functions are the yardstick for the
 * polynomials of kernels_simd.h. */
#include "vec/kernels.h"

#include <math.h>

static float dot(const float *a, const float *b, size_t n) {
    /* Eight partial sums: the error of one long chain of floats grows with n. */
    float sums[8] = {0};
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        for (size_t j = 0; j < 8; j++) {
            sums[j] += a[i + j] * b[i + j];
        }
    }
    for (size_t j = 0; i < n; i++, j++) {
        sums[j] += a[i] * b[i];
    }
    return ((sums[0] + sums[4]) + (sums[2] + sums[6])) +
           ((sums[1] + sums[5]) + (sums[3] + sums[7]));
}

static void dot_rows(const float *q, const float *rows, size_t n_rows, size_t dim, float *out) {
    for (size_t r = 0; r < n_rows; r++) {
        out[r] = dot(q, rows + r * dim, dim);
    }
}

static float float_of_bits(uint32_t bits) {
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static float f16_value(uint16_t h) {
    uint32_t sign = (uint32_t)(h & 0x8000u) << 16;
    uint32_t exponent = (h >> 10) & 0x1Fu;
    uint32_t fraction = h & 0x3FFu;
    if (exponent == 0x1F) { /* infinity or NaN; a NaN comes out quiet, as the hardware does it */
        uint32_t quiet = fraction ? 0x400000u : 0;
        return float_of_bits(sign | 0x7F800000u | (fraction << 13) | quiet);
    }
    if (exponent == 0) { /* zero or subnormal: fraction * 2^-24 is exact in binary32 */
        float magnitude = (float)fraction * 0x1p-24f;
        return sign ? -magnitude : magnitude;
    }
    return float_of_bits(sign | ((exponent + 112) << 23) | (fraction << 13));
}

static void from_f16(float *out, const uint16_t *in, size_t n) {
    for (size_t i = 0; i < n; i++) {
        out[i] = f16_value(in[i]);
    }
}

static void from_bf16(float *out, const uint16_t *in, size_t n) {
    for (size_t i = 0; i < n; i++) {
        out[i] = float_of_bits((uint32_t)in[i] << 16);
    }
}

static void softmax(float *x, size_t n) {
    float most = x[0];
    for (size_t i = 1; i < n; i++) {
        most = x[i] > most ? x[i] : most;
    }
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        x[i] = expf(x[i] - most);
        sum += (double)x[i];
    }
    float scale = (float)(1.0 / sum);
    for (size_t i = 0; i < n; i++) {
        x[i] *= scale;
    }
}

static void layer_norm(float *y, const float *x, size_t n, const vt_norm *norm) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += (double)x[i];
    }
    double mean = sum / (double)n;
    double squares = 0;
    for (size_t i = 0; i < n; i++) {
        double d = (double)x[i] - mean;
        squares += d * d;
    }
    double scale = 1 / sqrt(squares / (double)n + (double)norm->eps);
    for (size_t i = 0; i < n; i++) {
        y[i] = (float)(((double)x[i] - mean) * scale) * norm->gain[i] + norm->bias[i];
    }
}

/* ---- rows of 12 bits -------------------------------------------------------------------- */

static float fine_dot(const float *q, const uint8_t *row, size_t groups) {
    float sum = 0;
    for (size_t g = 0; g < groups; g++, row += VT_FINE_GROUP_BYTES, q += VT_FINE_GROUP) {
        for (size_t j = 0; j < VT_FINE_GROUP; j++) {
            int both = row[VT_FINE_GROUP + j % 16], low = j < 16 ? both & 15 : both >> 4;
            sum += q[j] * (float)((row[j] << 4 | low) - 2048);
        }
    }
    return sum;
}

/* ---- codes of 4 bits -------------------------------------------------------------------- */

static int32_t code_sum(const vt_code_query *q, const uint8_t *codes, size_t row) {
    int32_t sum = 0;
    for (size_t w = 0; w < q->words; w++) {
        const uint8_t *word = codes + (w * VT_CODE_ROWS + row) * 4;
        for (size_t j = 0; j < 4; j++) {
            sum += (word[j] & 15) * q->numbers[8 * w + j];
            sum += (word[j] >> 4) * q->numbers[8 * w + 4 + j];
        }
    }
    return sum;
}

static uint32_t code_scores(const vt_code_query *q, const vt_code_block *b, float floor,
                            float *out) {
    uint32_t reached = 0;
    for (size_t r = 0; r < VT_CODE_ROWS; r++) {
        float product = (float)code_sum(q, b->codes, r) * q->step + q->offset;
        out[r] = b->scale[r] * product + q->centre * (1 + b->along[r]) + q->slack * b->error[r];
        bool below = out[r] < floor;
        reached |= (uint32_t)!below << r;
    }
    return reached;
}

/* ---- matrix product --------------------------------------------------------------------- */

/* To the nearest bfloat16, ties to even; a NaN stays one. */
static uint16_t nearest_bf16(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    if (isnan(x)) {
        return (uint16_t)((bits >> 16) | 0x40);
    }
    return (uint16_t)((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
}

static void to_bf16(void *row, const float *from, size_t n) {
    unsigned char *to = row; /* where that is `from`: below the numbers still to be read */
    for (size_t i = 0; i < n; i++) {
        uint16_t narrow = nearest_bf16(from[i]);
        memcpy(to + i * sizeof narrow, &narrow, sizeof narrow);
    }
}

static float to_int8(void *row, const float *from, size_t n) {
    unsigned char *to = row;
    float most = 0;
    for (size_t i = 0; i < n && isfinite(most); i++) {
        most = isfinite(from[i]) ? fmaxf(most, fabsf(from[i])) : NAN;
    }
    float inverse = vt_int8_inverse(most);
    for (size_t i = 0; i < n; i++) {
        to[i] = (unsigned char)(isfinite(most) ? 128 + lrintf(from[i] * inverse) : 0);
    }
    return most / 127;
}

/* Without prefetching: at this speed the hardware's own is ahead enough. The sums of a row are
 * kept where the compiler knows that nothing else points. */
static void multiply_f32(const vt_panel_product *p) {
    for (size_t r = 0; r < p->rows; r++) {
        const float *x = (const float *)(p->x + r * p->x_stride), *w = p->w;
        float sums[VT_PANEL] = {0};
        for (size_t g = 0; g < p->groups; g++, w += VT_PANEL) {
            for (size_t c = 0; c < VT_PANEL; c++) {
                sums[c] += x[g] * w[c];
            }
        }
        memcpy((float *)p->sum + r * VT_PANEL, sums, sizeof sums);
    }
}

static void multiply_bf16(const vt_panel_product *p) {
    for (size_t r = 0; r < p->rows; r++) {
        const uint32_t *x = p->x + r * p->x_stride, *w = p->w;
        float sums[VT_PANEL] = {0};
        for (size_t g = 0; g < p->groups; g++, w += VT_PANEL) {
            float low = float_of_bits(x[g] << 16), high = float_of_bits(x[g] & 0xFFFF0000u);
            for (size_t c = 0; c < VT_PANEL; c++) {
                sums[c] += low * float_of_bits(w[c] << 16);
                sums[c] += high * float_of_bits(w[c] & 0xFFFF0000u);
            }
        }
        memcpy((float *)p->sum + r * VT_PANEL, sums, sizeof sums);
    }
}

static void multiply_int8(const vt_panel_product *p) {
    for (size_t r = 0; r < p->rows; r++) {
        const uint8_t *x = (const uint8_t *)(p->x + r * p->x_stride);
        const int8_t *w = p->w;
        int32_t sums[VT_PANEL] = {0};
        for (size_t g = 0; g < p->groups; g++, w += 4 * VT_PANEL) {
            for (size_t c = 0; c < 4 * VT_PANEL; c++) {
                sums[c / 4] += x[4 * g + c % 4] * w[c];
            }
        }
        memcpy((float *)p->sum + r * VT_PANEL, sums, sizeof sums);
    }
}

static float activate(float x, vt_act act) {
    switch (act) {
    case VT_ACT_QUICK_GELU:
        return x / (1 + expf(-1.702f * x));
    case VT_ACT_GELU:
        return 0.5f * x * (1 + erff(x * 0.70710678f));
    case VT_ACT_NONE:
        break;
    }
    return x;
}

static float sum_value(const vt_finish *f, size_t r, size_t c) {
    const float *sum = f->sum + r * VT_PANEL + c;
    int32_t whole;
    if (!f->offsets) {
        return *sum * f->scales[c];
    }
    memcpy(&whole, sum, sizeof whole);
    return (float)(whole - f->offsets[c]) * (f->scales[c] * f->row_scales[r]);
}

static void finish(const vt_finish *f) {
    for (size_t r = 0; r < f->rows; r++) {
        for (size_t c = 0; c < VT_PANEL; c++) {
            float v = activate(sum_value(f, r, c) + f->bias[c], f->act);
            if (f->y_bf16) {
                f->y_bf16[r * f->y_stride + c] = nearest_bf16(v);
            } else {
                f->y[r * f->y_stride + c] = v + f->residual[r * f->residual_stride + c];
            }
        }
    }
}

static void transpose(float *panel, const float *from, size_t stride, size_t n, size_t columns) {
    const size_t filled = (columns + VT_GROUP_RUN - 1) / VT_GROUP_RUN * VT_GROUP_RUN;
    for (size_t c = 0; c < filled; c++) {
        for (size_t r = 0; r < VT_PANEL; r++) {
            panel[c * VT_PANEL + r] = r < n && c < columns ? from[r * stride + c] : 0;
        }
    }
}

const vt_kernels vt_kernels_scalar = {
    .name = "scalar",
    .dot = dot,
    .dot_rows = dot_rows,
    .from_f16 = from_f16,
    .from_bf16 = from_bf16,
    .fine_dot = fine_dot,
    .code_scores = code_scores,
    .softmax = softmax,
    .layer_norm = layer_norm,
    .multiply = {[VT_PRECISION_F32] = multiply_f32,
                 [VT_PRECISION_BF16] = multiply_bf16,
                 [VT_PRECISION_INT8] = multiply_int8},
    .to_bf16 = to_bf16,
    .to_int8 = to_int8,
    .finish = finish,
    .transpose = transpose,
};
