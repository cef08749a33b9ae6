/* The vector kernels, written once. A file of one instruction set defines the words below, the
 * shape of its tile, and includes this; the compiler turns every word into one or two
 * instructions. Not a header in the usual sense: it defines the kernels of the file including it.
 *
 *   vf, VF                      a vector of VF floats; C's + - * / work on it (gcc and clang)
 *   vf_set1(x)                  x in every lane
 *   vf_load(p), vf_store(p, v)  VF floats, any alignment
 *   vf_load_part(p, n, fill)    n < VF floats, the other lanes get fill; reads nothing beyond
 *   vf_store_part(p, v, n)      the first n < VF lanes; writes nothing beyond
 *   vf_load_f16(p)              VF binary16 values
 *   vi_load_bytes(p)            VF bytes, each to a lane
 *   vf_fma(a, b, c)             a * b + c, rounded once
 *   vf_max(a, b), vf_min(a, b)  b when either is NaN
 *   vf_not_below(a, b)          a bit for each lane where a < b is false
 *   vf_sum(v)                   the sum of the lanes, always in the same order
 *   vf_largest(v)               the largest lane, of numbers
 *   vi_madd16(a, b)             of 16-bit lanes: a * b, neighbours added, to 32 bits
 *   vi_madd8(a, b)              of bytes: a in 0..15 times signed b, neighbours added, to 16 bits
 *   TILE_ROWS, TILE_VECTORS     rows and vectors of the block of sums kept in registers
 *   KERNELS, KERNELS_NAME       the table to define, and its name
 *
 * An instruction set with a faster division defines NATIVE_DIVISION and vf_divide(a, b); one that
 * rounds and scales by powers of two, NATIVE_SCALE, vf_round(x) and vf_scale(x, n); one that moves
 * lanes freely, NATIVE_SHUFFLE and vf_shuffle(a, lanes, b), whose lane j is lane lanes[j] of a, or
 * from VF on of b; one that spreads bytes as freely, NATIVE_WIDEN_F32 and NATIVE_WIDEN_BF16, and
 * widen_f32(words, group) and widen_bf16(words, group), the vectors of a compact group. One that
 * multiplies words of bf16 or int8 itself defines, under NATIVE_WORDS,
 *   add_bf16(sum, x, w)         sum + x.low * w.low + x.high * w.high in every lane
 *   add_int8(sum, x, w)         sum + the four products of unsigned x with signed w
 *   add_int8_at(sum, x, p)      the same with the one word at p for every lane
 *   vu16, nearest_bf16(v)       VF numbers of 16 bits; v rounded to them, ties to even
 * and one with a better way to multiply them MULTIPLY_BF16 and MULTIPLY_INT8, of vt_multiply_fn.
 *
 * Rejected: one hand-written copy per instruction set (four places for every fix); leaving it to
 * the auto-vectoriser (it may not reorder sums without -ffast-math, and that flag breaks NaN).
 *
 * exp and erf: polynomials fitted by the Remez exchange algorithm. The error of exp is below
 * 1.5 units in the last place, that of erf below 2e-7. */
#include "vec/kernels.h"

#include <math.h>

#define INLINE static inline __attribute__((always_inline))

typedef uint32_t vu __attribute__((vector_size(VF * 4)));
#ifndef NATIVE_WORDS
typedef uint16_t vu16 __attribute__((vector_size(VF * 2)));
#endif
typedef uint8_t vu8 __attribute__((vector_size(VF)));
typedef float half_vf __attribute__((vector_size(VF * 2)));
typedef double vd
    __attribute__((vector_size(VF * 4))); /* as many doubles as half a vf has floats */
#define VD (VF / 2)

/* ---- inner products --------------------------------------------------------------------- */

/* Four chains, because an FMA takes four cycles; which chain an element joins depends on its place
 * alone, so equal vectors have equal products. */
INLINE float dot_row(const float *a, const float *b, size_t n) {
    vf s0 = vf_set1(0), s1 = s0, s2 = s0, s3 = s0;
    size_t i = 0;
    for (; i + 4 * VF <= n; i += 4 * VF) {
        s0 = vf_fma(vf_load(a + i), vf_load(b + i), s0);
        s1 = vf_fma(vf_load(a + i + VF), vf_load(b + i + VF), s1);
        s2 = vf_fma(vf_load(a + i + 2 * VF), vf_load(b + i + 2 * VF), s2);
        s3 = vf_fma(vf_load(a + i + 3 * VF), vf_load(b + i + 3 * VF), s3);
    }
    for (; i + VF <= n; i += VF) {
        s0 = vf_fma(vf_load(a + i), vf_load(b + i), s0);
    }
    if (i < n) {
        s1 = vf_fma(vf_load_part(a + i, n - i, 0), vf_load_part(b + i, n - i, 0), s1);
    }
    return vf_sum((s0 + s1) + (s2 + s3));
}

static float dot(const float *a, const float *b, size_t n) {
    return dot_row(a, b, n);
}

static void dot_rows(const float *q, const float *rows, size_t n_rows, size_t dim, float *out) {
    for (size_t r = 0; r < n_rows; r++) {
        out[r] = dot_row(q, rows + r * dim, dim);
    }
}

/* ---- 16-bit floats ---------------------------------------------------------------------- */

static void from_f16(float *out, const uint16_t *in, size_t n) {
    size_t i = 0;
    for (; i + VF <= n; i += VF) {
        vf_store(out + i, vf_load_f16(in + i));
    }
    if (i < n) {
        uint16_t rest[VF] = {0};
        memcpy(rest, in + i, (n - i) * sizeof *in);
        vf_store_part(out + i, vf_load_f16(rest), n - i);
    }
}

static void from_bf16(float *out, const uint16_t *in, size_t n) {
    for (size_t i = 0; i < n; i++) { /* no arithmetic: the compiler vectorises this by itself */
        uint32_t bits = (uint32_t)in[i] << 16;
        memcpy(out + i, &bits, sizeof bits);
    }
}

/* ---- exp and erf ------------------------------------------------------------------------ */

INLINE vf pick(vi mask, vf yes, vf no) {
    return (vf)((mask & (vi)yes) | (~mask & (vi)no));
}

#ifndef NATIVE_SCALE
/* To the nearest integer, of a number below 2^22: adding 1.5 * 2^23 leaves no bits behind it. */
INLINE vf vf_round(vf x) {
    return (x + vf_set1(0x1.8p23f)) - vf_set1(0x1.8p23f);
}

/* x 2^n, for integers n in -126..127. */
INLINE vf vf_scale(vf x, vf n) {
    return x * (vf)((__builtin_convertvector(n, vi) << 23) + 0x3F800000);
}
#endif

/* 2^f 2^n, |f| <= 1/2 (Cody and Waite 1980 reduce e^x likewise). */
INLINE vf power_of_two(vf f, vf n) {
    vf p = vf_set1(0.00015594678f);
    p = vf_fma(p, f, vf_set1(0.0013406643f));
    p = vf_fma(p, f, vf_set1(0.009617693f));
    p = vf_fma(p, f, vf_set1(0.055503103f));
    p = vf_fma(p, f, vf_set1(0.24022652f));
    p = vf_fma(p, f, vf_set1(0.69314724f));
    return vf_scale(vf_fma(p, f, vf_set1(1)), n);
}

/* Of x in -126..126; others count as the nearer end. */
INLINE vf vf_exp2(vf x) {
    vf clamped = vf_min(vf_set1(126), vf_max(vf_set1(-126), x));
    vf n = vf_round(clamped);
    return power_of_two(clamped - n, n);
}

/* Below -87.3, where results stop being normal numbers, it is 0; above 88.3 it stays at 2.4e38; NaN
 * stays NaN. 1 / ln 2 in two parts: rounded once, it would be felt where x is large. */
INLINE vf vf_exp(vf x) {
    const float least = -87.33f, most = 88.37f;
    vf clamped = vf_min(vf_set1(most), vf_max(vf_set1(least), x));
    vf n = vf_round(clamped * vf_set1(0x1.715476p0f));
    vf f = vf_fma(clamped, vf_set1(0x1.715476p0f), -n);
    f = vf_fma(clamped, vf_set1(0x1.4ae0cp-26f), f);
    return pick(x < vf_set1(least), vf_set1(0), power_of_two(f, n));
}

/* Near 0 the error function is x + x P(x^2); beyond, 1 - exp(-Q(|x|)) with Q fitted to
 * -log(erfc). From |x| = 4 on it is 1 in binary32. */
INLINE vf vf_erf(vf x) {
    vf size = (vf)((vi)x & 0x7FFFFFFF);
    vf z = x * x;
    vf p = vf_set1(-0.0006111293914727867f);
    p = vf_fma(p, z, vf_set1(0.005016228649765253f));
    p = vf_fma(p, z, vf_set1(-0.02678195759654045f));
    p = vf_fma(p, z, vf_set1(0.11282230168581009f));
    p = vf_fma(p, z, vf_set1(-0.3761253356933594f));
    p = vf_fma(p, z, vf_set1(0.12837915122509003f));
    vf near = vf_fma(p, x, x);
    vf a = vf_min(vf_set1(4), size);
    vf q = vf_set1(-0.00019718155090231448f);
    q = vf_fma(q, a, vf_set1(0.0030556058045476675f));
    q = vf_fma(q, a, vf_set1(-0.02227708138525486f));
    q = vf_fma(q, a, vf_set1(0.104037344455719f));
    q = vf_fma(q, a, vf_set1(0.63705974817276f));
    q = vf_fma(q, a, vf_set1(1.1277495622634888f));
    q = vf_fma(q, a, vf_set1(0.00017749636026564986f));
    vf far = vf_set1(1) - vf_exp(vf_set1(0) - q);
    far = (vf)((vi)far | ((vi)x & INT32_MIN)); /* the sign of x */
    return pick(size < vf_set1(0.9f), near, far);
}

#ifndef NATIVE_DIVISION
INLINE vf vf_divide(vf a, vf b) {
    return a / b;
}
#endif

INLINE vf activate(vf x, vt_act act) {
    switch (act) {
    case VT_ACT_QUICK_GELU:
        return vf_divide(x, vf_set1(1) + vf_exp2(x * vf_set1(-2.4554670f))); /* -1.702 / ln 2 */
    case VT_ACT_GELU:
        return x * vf_set1(0.5f) * (vf_set1(1) + vf_erf(x * vf_set1(0.70710678f)));
    case VT_ACT_NONE:
        break;
    }
    return x;
}

/* ---- softmax and layer norm ------------------------------------------------------------- */

static float largest(const float *x, size_t n) {
    vf most = vf_set1(-INFINITY);
    size_t i = 0;
    for (; i + VF <= n; i += VF) {
        most = vf_max(most, vf_load(x + i));
    }
    if (i < n) {
        most = vf_max(most, vf_load_part(x + i, n - i, -INFINITY));
    }
    return vf_largest(most);
}

static void softmax(float *x, size_t n) {
    vf most = vf_set1(largest(x, n));
    vf sums = vf_set1(0);
    size_t i = 0, rest = n % VF;
    for (; i + VF <= n; i += VF) {
        vf e = vf_exp(vf_load(x + i) - most);
        vf_store(x + i, e);
        sums = sums + e;
    }
    if (rest) {
        vf e = vf_exp(vf_load_part(x + i, rest, -INFINITY) - most);
        vf_store_part(x + i, e, rest);
        sums = sums + e;
    }
    vf scale = vf_set1(1 / vf_sum(sums));
    for (i = 0; i + VF <= n; i += VF) {
        vf_store(x + i, vf_load(x + i) * scale);
    }
    if (rest) {
        vf_store_part(x + i, vf_load_part(x + i, rest, 0) * scale, rest);
    }
}

INLINE vd load_doubles(const float *x) {
    half_vf v;
    memcpy(&v, x, sizeof v);
    return __builtin_convertvector(v, vd);
}

static double sum_doubles(const vd *a, const vd *b) {
    double sum = 0;
    for (size_t j = 0; j < VD; j++) {
        sum += (*a)[j] + (*b)[j];
    }
    return sum;
}

static double mean_of(const float *x, size_t n) {
    vd a = {0}, b = {0};
    size_t i = 0;
    for (; i + VF <= n; i += VF) {
        a += load_doubles(x + i);
        b += load_doubles(x + i + VD);
    }
    double sum = sum_doubles(&a, &b);
    for (; i < n; i++) {
        sum += (double)x[i];
    }
    return sum / (double)n;
}

static double variance_of(const float *x, size_t n, double mean) {
    vd a = {0}, b = {0};
    size_t i = 0;
    for (; i + VF <= n; i += VF) {
        vd p = load_doubles(x + i) - mean, q = load_doubles(x + i + VD) - mean;
        a += p * p;
        b += q * q;
    }
    double sum = sum_doubles(&a, &b);
    for (; i < n; i++) {
        sum += ((double)x[i] - mean) * ((double)x[i] - mean);
    }
    return sum / (double)n;
}

static void layer_norm(float *y, const float *x, size_t n, const vt_norm *norm) {
    const float *gain = norm->gain, *bias = norm->bias;
    double mean = mean_of(x, n);
    vf scale = vf_set1((float)(1 / sqrt(variance_of(x, n, mean) + (double)norm->eps)));
    /* The mean in two parts: rounded to one float, its error would show where rows are nearly
     * constant. */
    vf high = vf_set1((float)mean), low = vf_set1((float)(mean - (double)(float)mean));
    size_t i = 0;
    for (; i + VF <= n; i += VF) {
        vf v = ((vf_load(x + i) - high) - low) * scale;
        vf_store(y + i, vf_fma(v, vf_load(gain + i), vf_load(bias + i)));
    }
    if (i < n) {
        size_t rest = n - i;
        vf v = ((vf_load_part(x + i, rest, 0) - high) - low) * scale;
        v = vf_fma(v, vf_load_part(gain + i, rest, 0), vf_load_part(bias + i, rest, 0));
        vf_store_part(y + i, v, rest);
    }
}

/* ---- inputs of a product ---------------------------------------------------------------- */

#ifndef NATIVE_WORDS
/* To the nearest bfloat16, ties to even; a NaN stays one. */
INLINE vu16 nearest_bf16(vf v) {
    vu bits = (vu)v;
    vu rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16;
    vu quiet = (bits >> 16) | 0x40;
    vi is_nan = (vi)(bits & 0x7FFFFFFF) > 0x7F800000;
    return __builtin_convertvector((vu)pick(is_nan, (vf)quiet, (vf)rounded), vu16);
}
#endif

/* Where `row` is `from`, narrow numbers are written below the wide ones still to be read. */
static void to_bf16(void *row, const float *from, size_t n) {
    unsigned char *to = row;
    size_t i = 0, rest = n % VF;
    for (; i + VF <= n; i += VF) {
        vu16 narrow = nearest_bf16(vf_load(from + i));
        memcpy(to + i * sizeof(uint16_t), &narrow, sizeof narrow);
    }
    if (rest) {
        vu16 narrow = nearest_bf16(vf_load_part(from + i, rest, 0));
        memcpy(to + i * sizeof(uint16_t), &narrow, rest * sizeof(uint16_t));
    }
}

INLINE vf magnitude(vf v) {
    return (vf)((vi)v & 0x7FFFFFFF);
}

/* 0..255, 128 standing for 0. Adding 1.5 * 2^23 rounds to an integer, in the low bits. */
INLINE vu8 nearest_int8(vf v, vf inverse) {
    vu shifted = (vu)vf_fma(v, inverse, vf_set1(0x1.8p23f));
    return __builtin_convertvector((shifted + 128) & 255, vu8);
}

/* The largest magnitude. A NaN or an infinity makes it NaN: it must not vanish in rounding. Two
 * chains, because a row is short and each step waits for the one before. */
static float largest_magnitude(const float *x, size_t n) {
    vf most[2] = {vf_set1(0), vf_set1(0)}, bad[2] = {vf_set1(0), vf_set1(0)};
    size_t i = 0, rest = n % VF, chain = 0;
    for (; i + 2 * VF <= n; i += 2 * VF) {
        vf v = vf_load(x + i), u = vf_load(x + i + VF);
        most[0] = vf_max(magnitude(v), most[0]);
        most[1] = vf_max(magnitude(u), most[1]);
        bad[0] = vf_fma(v, vf_set1(0), bad[0]);
        bad[1] = vf_fma(u, vf_set1(0), bad[1]);
    }
    for (; i < n; i += VF, chain++) {
        vf v = i + VF <= n ? vf_load(x + i) : vf_load_part(x + i, rest, 0);
        most[chain] = vf_max(magnitude(v), most[chain]);
        bad[chain] = vf_fma(v, vf_set1(0), bad[chain]);
    }
    return vf_largest(vf_max(most[0], most[1])) + vf_sum(bad[0] + bad[1]);
}

static float to_int8(void *row, const float *from, size_t n) {
    unsigned char *to = row;
    float most = largest_magnitude(from, n);
    vf inverse = vf_set1(vt_int8_inverse(most));
    size_t i = 0, rest = n % VF;
    for (; i + VF <= n; i += VF) {
        vu8 narrow = nearest_int8(vf_load(from + i), inverse);
        memcpy(to + i, &narrow, sizeof narrow);
    }
    if (rest) {
        vu8 narrow = nearest_int8(vf_load_part(from + i, rest, 0), inverse);
        memcpy(to + i, &narrow, rest);
    }
    return most / 127;
}

/* ---- rows of 12 bits -------------------------------------------------------------------- */

INLINE vi vi_load(const void *words) {
    vi v;
    memcpy(&v, words, sizeof v);
    return v;
}

INLINE void vi_store(void *words, vi v) {
    memcpy(words, &v, sizeof v);
}

/* Adds q times VF numbers, whose upper bits lie at `upper`. */
INLINE vf add_fine(vf sum, const float *q, const uint8_t *upper, vi low) {
    vi number = (vi_load_bytes(upper) << 4 | low) - 2048;
    return vf_fma(vf_load(q), __builtin_convertvector(number, vf), sum);
}

/* The two halves of a group are chains of their own, and so are two groups. */
INLINE void add_group(const float *q, const uint8_t *row, vf *first, vf *second) {
    enum { HALF = VT_FINE_GROUP / 2 };
    for (size_t j = 0; j < HALF; j += VF) {
        vi low = vi_load_bytes(row + VT_FINE_GROUP + j);
        *first = add_fine(*first, q + j, row + j, low & 15);
        *second = add_fine(*second, q + HALF + j, row + HALF + j, low >> 4);
    }
}

static float fine_dot(const float *q, const uint8_t *row, size_t groups) {
    vf s0 = vf_set1(0), s1 = s0, s2 = s0, s3 = s0;
    size_t g = 0;
    for (; g + 2 <= groups; g += 2) {
        const uint8_t *at = row + g * VT_FINE_GROUP_BYTES;
        add_group(q + g * VT_FINE_GROUP, at, &s0, &s1);
        add_group(q + (g + 1) * VT_FINE_GROUP, at + VT_FINE_GROUP_BYTES, &s2, &s3);
    }
    if (g < groups) {
        add_group(q + g * VT_FINE_GROUP, row + g * VT_FINE_GROUP_BYTES, &s0, &s1);
    }
    return vf_sum((s0 + s1) + (s2 + s3));
}

/* ---- codes of 4 bits -------------------------------------------------------------------- */

#ifdef NATIVE_WORDS
#define add_codes add_int8_at
#else
/* Codes are below 16, so that two products fit 16 bits. */
INLINE vf add_codes(vf sum, vi codes, const void *numbers) {
    const vi ones = (vi){0} + 0x00010001;
    float word;
    memcpy(&word, numbers, sizeof word);
    return (vf)((vi)sum + vi_madd16(vi_madd8(codes, (vi)vf_set1(word)), ones));
}
#endif

#define CODE_VECTORS (VT_CODE_ROWS / VF)

/* Adds one word of each row to the sums of low halves and to those of high ones. */
INLINE void add_code_word(const int8_t *numbers, const uint8_t *codes, vf *low, vf *high) {
    for (size_t v = 0; v < CODE_VECTORS; v++) {
        vi word = vi_load(codes + v * sizeof word);
        low[v] = add_codes(low[v], word & 0x0F0F0F0F, numbers);
        high[v] = add_codes(high[v], (vi)((vu)word >> 4) & 0x0F0F0F0F, numbers + 4);
    }
}

/* Halves of even words and of odd ones are chains of their own, because a product takes longer than
 * the next one needs to begin. The next block is asked for line by line, into L1: into L2
 * alone, a Zen 5 fetches nothing. */
static uint32_t code_scores(const vt_code_query *q, const vt_code_block *b, float floor,
                            float *out) {
    const size_t line = VT_CODE_ROWS * sizeof(uint32_t), bytes = q->words * line;
    vf low[2][CODE_VECTORS], high[2][CODE_VECTORS];
    for (size_t v = 0; v < CODE_VECTORS; v++) {
        low[0][v] = high[0][v] = low[1][v] = high[1][v] = vf_set1(0);
    }
    const int8_t *numbers = q->numbers;
    const uint8_t *codes = b->codes;
    size_t w = 0;
    for (; w + 2 <= q->words; w += 2, numbers += 16, codes += 2 * line) {
        __builtin_prefetch(codes + bytes);
        __builtin_prefetch(codes + bytes + line);
        add_code_word(numbers, codes, low[0], high[0]);
        add_code_word(numbers + 8, codes + line, low[1], high[1]);
    }
    if (w < q->words) {
        add_code_word(numbers, codes, low[0], high[0]);
    }
    uint32_t reached = 0;
    for (size_t v = 0; v < CODE_VECTORS; v++) {
        vi whole = (vi)low[0][v] + (vi)high[0][v] + (vi)low[1][v] + (vi)high[1][v];
        vf sum = __builtin_convertvector(whole, vf);
        vf product = vf_fma(sum, vf_set1(q->step), vf_set1(q->offset));
        vf middle = vf_fma(vf_set1(q->centre), vf_load(b->along + v * VF), vf_set1(q->centre));
        vf score = vf_fma(vf_load(b->scale + v * VF), product, middle);
        score = vf_fma(vf_set1(q->slack), vf_load(b->error + v * VF), score);
        reached |= vf_not_below(score, vf_set1(floor)) << v * VF;
        vf_store(out + v * VF, score);
    }
    return reached;
}

/* ---- matrix product --------------------------------------------------------------------- */

#ifndef NATIVE_WORDS
/* A bfloat16 is the upper half of a float. */
INLINE vf add_bf16(vf sum, vf x, vf w) {
    const int32_t upper = (int32_t)0xFFFF0000;
    vf low = vf_fma((vf)((vi)x << 16), (vf)((vi)w << 16), sum);
    return vf_fma((vf)((vi)x & upper), (vf)((vi)w & upper), low);
}

/* Bytes widened to 16 bits, the even ones and the odd ones. */
INLINE vf add_int8(vf sum, vf x, vf w) {
    typedef int16_t v16 __attribute__((vector_size(VF * 4)));
    vi x_even = (vi)x & 0x00FF00FF, x_odd = (vi)((vu)x >> 8) & 0x00FF00FF;
    vi w_even = (vi)((v16)((v16)w << 8) >> 8), w_odd = (vi)((v16)w >> 8);
    return (vf)((vi)sum + vi_madd16(x_even, w_even) + vi_madd16(x_odd, w_odd));
}
#endif

/* What words are, and whether a panel holds them in 3 bytes. */
typedef struct form {
    vt_precision precision;
    bool compact;
} form;

INLINE vf multiply_words(vt_precision precision, vf sum, vf x, vf w) {
    switch (precision) {
    case VT_PRECISION_BF16:
        return add_bf16(sum, x, w);
    case VT_PRECISION_INT8:
        return add_int8(sum, x, w);
    case VT_PRECISION_AUTO:
    case VT_PRECISION_F32:
        break;
    }
    return vf_fma(x, w, sum);
}

/* The words of a tile's columns. */
INLINE void load_words(vf words[TILE_VECTORS], const void *group, size_t column, const form f) {
#ifdef NATIVE_WIDEN_F32
    if (f.compact && f.precision == VT_PRECISION_F32) {
        widen_f32(words, group);
        return;
    }
#endif
#ifdef NATIVE_WIDEN_BF16
    if (f.compact) {
        widen_bf16(words, group);
        return;
    }
#endif
    for (size_t v = 0; v < TILE_VECTORS; v++) {
        words[v] = vf_load((const float *)group + column + v * VF);
    }
}

static const float zeros[VT_PANEL];

/* A block of rows by a run of inputs. Between runs the sums are kept in memory; at first they are
 * zeros, loaded like any others: two ways to begin cost gcc 12 copies of all sums in every step. */
typedef struct tile {
    float *sum;
    const float *before; /* the sums so far */
    const float *x;
    const uint8_t *w;
    size_t before_stride, x_stride, rows, groups;
    const char *ahead; /* weights that are wanted soon */
    size_t ahead_step; /* bytes a group */
} tile;

/* Of one run where it is read several times: up to 96 KB of weights, which stay in the second
 * cache. Runs for the first would have the sums leave the registers more often, which costs more.
 */
#define RUN_GROUPS 768

/* Bytes from the weights that a single block multiplies to those that it asks for: across the
 * epilogues between panels, which are shorter where weights are narrow. */
INLINE size_t alone_ahead(const form f) {
    return f.precision == VT_PRECISION_F32 && !f.compact ? 8192 : 16384;
}

/* The heart of the encoder: rows x TILE_VECTORS vectors of sums live in registers for the whole
 * run, each step loading TILE_VECTORS vectors of weights and one word a row. `f`, `rows` and
 * `alone` are constants at every call, so the loops over rows unroll and no sum touches
 * memory. The tile covers the panel from `column` on.
 *
 * Weights are read once for a whole product, so the caches never have them; asking for the next
 * ones while these are computed made the layers of an image 1.5 times as fast. A single block asks
 * for two lines a step, several for a part of them each, without a branch: some lines twice. Past
 * the end of the weights it does no harm: a prefetch never faults.
 *
 * Words travel as floats whatever they hold: sums typed as integers gcc 12 copies at every step,
 * and spills. Nothing but the words above computes with them, and a move changes no bits. */
INLINE void add_columns(const tile *t, size_t column, const form f, const size_t rows,
                        const bool alone) {
    const size_t x_stride = t->x_stride, group = vt_group_bytes(f.compact);
    const size_t step = alone ? group : t->ahead_step;
    vf s[TILE_ROWS][TILE_VECTORS];
    float *sum = t->sum + column;
    const float *end = t->x + t->groups;
    const uint8_t *w = t->w;
    const char *ahead = t->ahead;
    for (size_t r = 0; r < rows; r++) {
        for (size_t v = 0; v < TILE_VECTORS; v++) {
            s[r][v] = vf_load(t->before + r * t->before_stride + column + v * VF);
        }
    }
    for (const float *x = t->x; x < end; x++, w += group, ahead += step) {
        vf weights[TILE_VECTORS];
        load_words(weights, w, column, f);
        for (size_t r = 0; r < rows; r++) {
            vf input = vf_set1(x[r * x_stride]);
            for (size_t v = 0; v < TILE_VECTORS; v++) {
                s[r][v] = multiply_words(f.precision, s[r][v], input, weights[v]);
            }
        }
        __builtin_prefetch(ahead);
        if (alone) {
            __builtin_prefetch(ahead + group / 2);
        }
    }
    for (size_t r = 0; r < rows; r++) {
        for (size_t v = 0; v < TILE_VECTORS; v++) {
            vf_store(sum + r * VT_PANEL + v * VF, s[r][v]);
        }
    }
}

/* Counts that this tile does not have are never asked for, but have to compile: hence the 1. */
#define TILE_CASE(n)                                                                               \
    case (n):                                                                                      \
        add_columns(t, c, f, (n) <= TILE_ROWS ? (n) : 1, alone);                                   \
        break;

INLINE void add_tile(const tile *t, const form f, const bool alone) {
    assert(t->rows >= 1 && t->rows <= TILE_ROWS);
    for (size_t c = 0; c < VT_PANEL; c += TILE_VECTORS * VF) {
        switch (t->rows) {
            TILE_CASE(1)
            TILE_CASE(2)
            TILE_CASE(3)
            TILE_CASE(4)
            TILE_CASE(5)
            TILE_CASE(6)
            TILE_CASE(7)
            TILE_CASE(8)
            TILE_CASE(9)
            TILE_CASE(10)
            TILE_CASE(11)
            TILE_CASE(12)
            TILE_CASE(13)
        }
    }
}

/* The groups from `first` on: a run of weights comes from memory once and from the cache for every
 * further block of rows. A single block asks for what it will want itself a little later; of
 * several, each asks for its share of what lies behind the run. */
INLINE void add_run(const vt_panel_product *p, size_t first, size_t groups, const form f) {
    const size_t blocks = (p->rows + TILE_ROWS - 1) / TILE_ROWS;
    const size_t group = vt_group_bytes(f.compact), step = (group + blocks - 1) / blocks;
    const uint8_t *w = (const uint8_t *)p->w + first * group;
    const char *ahead = (const char *)w + (blocks > 1 ? groups * group : alone_ahead(f));
    for (size_t b = 0; b < blocks; b++) {
        size_t row = vt_part_start(p->rows, blocks, b);
        float *sum = (float *)p->sum + row * VT_PANEL;
        tile t = {
            .sum = sum,
            .before = first > 0 ? sum : zeros,
            .x = (const float *)p->x + row * p->x_stride + first,
            .w = w,
            .before_stride = first > 0 ? VT_PANEL : 0,
            .x_stride = p->x_stride,
            .rows = vt_part_start(p->rows, blocks, b + 1) - row,
            .groups = groups,
            .ahead = ahead + b * groups * step,
            .ahead_step = step,
        };
        if (blocks > 1) {
            add_tile(&t, f, false);
        } else {
            add_tile(&t, f, true);
        }
    }
}

/* Runs are equally long, so that each asks for the whole next one. A block that is alone and as
 * wide as the panel reads weights once, and needs none. */
INLINE void multiply_panel(const vt_panel_product *p, const form f) {
    const bool once = p->rows <= TILE_ROWS && TILE_VECTORS * VF == VT_PANEL;
    const size_t runs = once ? 1 : (p->groups + RUN_GROUPS - 1) / RUN_GROUPS;
    for (size_t first = 0, i = 1; i <= runs; i++) {
        size_t end = vt_part_start(p->groups / VT_GROUP_RUN, runs, i) * VT_GROUP_RUN;
        add_run(p, first, end - first, f);
        first = end;
    }
}

static void multiply_f32(const vt_panel_product *p) {
    multiply_panel(p, (form){VT_PRECISION_F32, false});
}

static void multiply_int8(const vt_panel_product *p) {
    multiply_panel(p, (form){VT_PRECISION_INT8, false});
}

#ifdef NATIVE_WIDEN_F32
_Static_assert(VT_PANEL == TILE_VECTORS * VF, "what is made wide is a whole group");

static void multiply_compact_f32(const vt_panel_product *p) {
    multiply_panel(p, (form){VT_PRECISION_F32, true});
}
#endif

#ifdef NATIVE_WIDEN_BF16
static void multiply_compact_bf16(const vt_panel_product *p) {
    multiply_panel(p, (form){VT_PRECISION_BF16, true});
}
#endif

#ifndef MULTIPLY_BF16
#define MULTIPLY_BF16 multiply_bf16
#define MULTIPLY_INT8 multiply_int8

static void multiply_bf16(const vt_panel_product *p) {
    multiply_panel(p, (form){VT_PRECISION_BF16, false});
}
#endif

INLINE void store_bf16(uint16_t *to, vf v) {
    vu16 narrow = nearest_bf16(v);
    memcpy(to, &narrow, sizeof narrow);
}

/* f by value: what is stored through y cannot change it. act, whole (sums are of int8) and rounded
 * (to bf16) are constants at every call. */
INLINE void finish_rows(const vt_finish f, vt_act act, const bool whole, const bool rounded) {
    for (size_t c = 0; c < VT_PANEL; c += VF) {
        vf bias = vf_load(f.bias + c), scale = vf_load(f.scales + c);
        vi offset = {0};
        if (whole) {
            offset = vi_load(f.offsets + c);
        }
        for (size_t r = 0; r < f.rows; r++) {
            vf sum = vf_load(f.sum + r * VT_PANEL + c), of_row = scale;
            if (whole) {
                sum = __builtin_convertvector((vi)sum - offset, vf);
                of_row = scale * vf_set1(f.row_scales[r]);
            }
            vf v = activate(vf_fma(sum, of_row, bias), act);
            if (rounded) {
                store_bf16(f.y_bf16 + r * f.y_stride + c, v);
            } else {
                v = v + vf_load(f.residual + r * f.residual_stride + c);
                vf_store(f.y + r * f.y_stride + c, v);
            }
        }
    }
}

#define FINISH_CASE(act)                                                                           \
    case (act):                                                                                    \
        if (f->offsets && f->y_bf16) {                                                             \
            finish_rows(*f, act, true, true);                                                      \
        } else if (f->offsets) {                                                                   \
            finish_rows(*f, act, true, false);                                                     \
        } else if (f->y_bf16) {                                                                    \
            finish_rows(*f, act, false, true);                                                     \
        } else {                                                                                   \
            finish_rows(*f, act, false, false);                                                    \
        }                                                                                          \
        break;

static void finish(const vt_finish *f) {
    switch (f->act) {
        FINISH_CASE(VT_ACT_QUICK_GELU)
        FINISH_CASE(VT_ACT_GELU)
        FINISH_CASE(VT_ACT_NONE)
    }
}

/* ---- keys as a panel -------------------------------------------------------------------- */

#ifndef NATIVE_SHUFFLE
INLINE vf vf_shuffle(vf a, vi lanes, vf b) {
    vf out;
    for (int j = 0; j < VF; j++) {
        out[j] = lanes[j] < VF ? a[lanes[j]] : b[lanes[j] - VF];
    }
    return out;
}
#endif

/* Rows i and i + half, for every i without that bit, exchange what lies in the wrong half of 2 half
 * lanes. */
INLINE void exchange_halves(vf rows[VF], const int half) {
    vi upper, lower;
    for (int j = 0; j < VF; j++) {
        upper[j] = j & half ? VF + j - half : j;
        lower[j] = j & half ? VF + j : j + half;
    }
    for (int i = 0; i < VF; i++) {
        if (!(i & half)) {
            vf a = rows[i], b = rows[i + half];
            rows[i] = vf_shuffle(a, upper, b);
            rows[i + half] = vf_shuffle(a, lower, b);
        }
    }
}

/* By halves, quarters and so on, each time a constant. */
INLINE void transpose_block(vf rows[VF]) {
    if (VF > 8) {
        exchange_halves(rows, 8 % VF);
    }
    if (VF > 4) {
        exchange_halves(rows, 4 % VF);
    }
    exchange_halves(rows, 2);
    exchange_halves(rows, 1);
}

/* n numbers, or as many as a vector has; zeros behind them. */
INLINE vf load_up_to(const float *p, size_t n) {
    return n < VF ? vf_load_part(p, n, 0) : vf_load(p);
}

static void transpose(float *panel, const float *from, size_t stride, size_t n, size_t columns) {
    const size_t filled = (columns + VT_GROUP_RUN - 1) / VT_GROUP_RUN * VT_GROUP_RUN;
    for (size_t c = 0; c < filled; c += VF) {
        const size_t width = c < columns ? columns - c : 0;
        for (size_t r = 0; r < VT_PANEL; r += VF) {
            vf block[VF];
            if (r >= n || width == 0) {
                for (size_t i = 0; i < VF; i++) {
                    vf_store(panel + (c + i) * VT_PANEL + r, vf_set1(0));
                }
                continue;
            }
            for (size_t i = 0; i < VF; i++) {
                block[i] = r + i < n ? load_up_to(from + (r + i) * stride + c, width) : vf_set1(0);
            }
            transpose_block(block);
            for (size_t i = 0; i < VF; i++) {
                vf_store(panel + (c + i) * VT_PANEL + r, block[i]);
            }
        }
    }
}

const vt_kernels KERNELS = {
    .name = KERNELS_NAME,
#ifdef NATIVE_WORDS
    .multiplies_bf16 = true,
#endif
    .dot = dot,
    .dot_rows = dot_rows,
    .from_f16 = from_f16,
    .from_bf16 = from_bf16,
    .fine_dot = fine_dot,
    .code_scores = code_scores,
    .softmax = softmax,
    .layer_norm = layer_norm,
    .multiply = {[VT_PRECISION_F32] = multiply_f32,
                 [VT_PRECISION_BF16] = MULTIPLY_BF16,
                 [VT_PRECISION_INT8] = MULTIPLY_INT8},
#ifdef NATIVE_WIDEN_F32
    .multiply_compact[VT_PRECISION_F32] = multiply_compact_f32,
#endif
#ifdef NATIVE_WIDEN_BF16
    .multiply_compact[VT_PRECISION_BF16] = multiply_compact_bf16,
#endif
    .to_bf16 = to_bf16,
    .to_int8 = to_int8,
    .finish = finish,
    .transpose = transpose,
};
