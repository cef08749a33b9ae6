/* The vector kernels of every instruction set that this machine runs, at every length from 0 to
 * 1100, against plain loops in double precision and against the scalar set. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "packed_matrix.h"

#define MOST 1100

static uint64_t state = 1;

/* In [-1, 1), from xorshift64*: the same on every machine. */
static float random_float(void) {
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (float)((int64_t)(state * 0x2545F4914F6CDD1Du) >> 40) * 0x1p-23f;
}

static void random_floats(float *x, size_t n, float scale) {
    for (size_t i = 0; i < n; i++) {
        x[i] = scale * random_float();
    }
}

/* Exactly n floats on the heap, so that a sanitizer sees a kernel that reads or writes past them.
 */
static float *heap_copy(const float *x, size_t n) {
    float *copy = malloc(n * sizeof *copy + (n == 0));
    assert_non_null(copy);
    memcpy(copy, x, n * sizeof *copy);
    return copy;
}

static void for_each_isa(void (*test)(void)) {
    vt_err err;
    for (const char *const *isa = vt_vec_isas(); *isa; isa++) {
        assert_int_equal(vt_vec_init(*isa, &err), VT_OK);
        assert_string_equal(vt_vec_isa(), *isa);
        state = 1;
        test();
    }
    assert_int_equal(vt_vec_init(NULL, &err), VT_OK);
}

/* ---- choice ----------------------------------------------------------------------------- */

static void test_choice_of_instruction_set(void **unused) {
    (void)unused;
    vt_err err;
    const char *const *isas = vt_vec_isas();
    size_t n = 0;
    while (isas[n]) {
        n++;
    }
    assert_true(n >= 1);
    assert_string_equal(isas[n - 1], "scalar");
    assert_int_equal(vt_vec_init("scalar", &err), VT_OK);
    assert_string_equal(vt_vec_isa(), "scalar");
    assert_int_equal(vt_vec_init("avx1024", &err), VT_E_INVALID);
    assert_non_null(strstr(err.text, "avx1024"));
    assert_string_equal(vt_vec_isa(), "scalar");
    assert_int_equal(vt_vec_init("auto", &err), VT_OK);
    assert_string_equal(vt_vec_isa(), isas[0]);
}

/* ---- inner products --------------------------------------------------------------------- */

static void dot_of_every_length(void) {
    float a[MOST], b[MOST];
    random_floats(a, MOST, 1);
    random_floats(b, MOST, 1);
    for (size_t n = 0; n <= MOST; n++) {
        float *x = heap_copy(a, n), *y = heap_copy(b, n);
        double want = 0, size = 0;
        for (size_t i = 0; i < n; i++) {
            want += (double)a[i] * (double)b[i];
            size += fabs((double)a[i] * (double)b[i]);
        }
        if (!(fabs((double)vt_vec_dot(x, y, n) - want) <= size * 1e-6)) {
            fail_msg("%s: dot of %zu is %.9g, not %.9g", vt_vec_isa(), n,
                     (double)vt_vec_dot(x, y, n), want);
        }
        free(x);
        free(y);
    }
}

static void test_dot(void **unused) {
    (void)unused;
    for_each_isa(dot_of_every_length);
}

/* Same bits as one by one, wherever the row lies and whatever follows it. */
static void rows_like_single_dots(void) {
    for (size_t dim = 0; dim <= MOST; dim = dim < 70 ? dim + 1 : dim + 103) {
        for (size_t n = 0; n <= 9; n++) {
            float q[MOST], rows[9 * MOST], out[10];
            random_floats(q, dim, 1);
            random_floats(rows, n * dim, 1);
            out[n] = 12345;
            vt_vec_dot_rows(q, rows, n, dim, out);
            for (size_t r = 0; r < n; r++) {
                float *copy = heap_copy(rows + r * dim, dim);
                assert_true(out[r] == vt_vec_dot(q, copy, dim));
                free(copy);
            }
            assert_true(out[n] == 12345);
        }
    }
}

static void test_dot_rows(void **unused) {
    (void)unused;
    for_each_isa(rows_like_single_dots);
}

/* ---- normalisation ---------------------------------------------------------------------- */

static void test_normalize(void **unused) {
    (void)unused;
    for (size_t n = 1; n <= MOST; n++) {
        float x[MOST], before[MOST];
        random_floats(x, n, 3);
        memcpy(before, x, sizeof x);
        double squares = 0, after = 0;
        for (size_t i = 0; i < n; i++) {
            squares += (double)x[i] * (double)x[i];
        }
        float norm = vt_vec_normalize(x, n);
        assert_float_equal(norm, sqrt(squares), 1e-5 * sqrt(squares));
        for (size_t i = 0; i < n; i++) {
            after += (double)x[i] * (double)x[i];
            assert_float_equal(x[i] * norm, before[i], 1e-6 * (double)norm);
        }
        assert_true(fabs(after - 1) < 1e-6);
    }
}

static void test_normalize_refuses(void **unused) {
    (void)unused;
    const float bad[][2] = {{0, 0}, {INFINITY, 1}, {NAN, 1}, {3e38f, 3e38f}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        float x[2] = {bad[i][0], bad[i][1]};
        assert_true(vt_vec_normalize(x, 2) == 0);
        assert_memory_equal(x, bad[i], sizeof x);
    }
    assert_true(vt_vec_normalize(NULL, 0) == 0);
    float large[2] = {3e30f, 4e30f}, tiny[2] = {3e-40f, 4e-40f};
    assert_float_equal(vt_vec_normalize(large, 2), 5e30, 1e24);
    assert_float_equal(large[0], 0.6, 1e-6);
    assert_true(vt_vec_normalize(tiny, 2) > 0);
    assert_float_equal(tiny[1], 0.8, 1e-4);
}

/* ---- 16-bit floats ---------------------------------------------------------------------- */

/* IEEE 754 binary16, from its definition. */
static float f16_by_definition(uint16_t h) {
    double sign = h & 0x8000 ? -1 : 1, fraction = h & 0x3FF;
    int exponent = h >> 10 & 0x1F;
    if (exponent == 31) {
        return fraction > 0 ? NAN : (float)sign * INFINITY;
    }
    if (exponent == 0) {
        return (float)(sign * ldexp(fraction, -24));
    }
    return (float)(sign * ldexp(1024 + fraction, exponent - 25));
}

static void all_f16(void) {
    uint16_t in[65536];
    float *out = malloc(sizeof(float) * 65536);
    assert_non_null(out);
    for (size_t i = 0; i < 65536; i++) {
        in[i] = (uint16_t)i;
    }
    vt_vec_from_f16(out, in, 65536);
    for (size_t i = 0; i < 65536; i++) {
        float want = f16_by_definition((uint16_t)i);
        if (isnan(want)) {
            assert_true(isnan(out[i]));
        } else {
            assert_memory_equal(&out[i], &want, sizeof want); /* the sign of 0 too */
        }
    }
    free(out);
}

static void halves_of_every_length(void) {
    uint16_t all[MOST];
    float f16[MOST], bf16[MOST];
    for (size_t i = 0; i < MOST; i++) {
        all[i] = (uint16_t)(i * 57);
        uint32_t bits = (uint32_t)all[i] << 16;
        f16[i] = f16_by_definition(all[i]);
        memcpy(bf16 + i, &bits, sizeof bits);
    }
    for (size_t n = 0; n <= MOST; n++) {
        uint16_t *in = malloc(n * sizeof *in + 1);
        float *out = heap_copy(f16, n);
        assert_non_null(in);
        memcpy(in, all, n * sizeof *in);
        memset(out, 0x55, n * sizeof *out);
        vt_vec_from_f16(out, in, n);
        for (size_t i = 0; i < n; i++) {
            assert_true(out[i] == f16[i] || (isnan(out[i]) && isnan(f16[i])));
        }
        memset(out, 0x55, n * sizeof *out);
        vt_vec_from_bf16(out, in, n);
        assert_memory_equal(out, bf16, n * sizeof *out);
        free(in);
        free(out);
    }
}

static void test_halves(void **unused) {
    (void)unused;
    for_each_isa(all_f16);
    for_each_isa(halves_of_every_length);
}

/* ---- softmax ---------------------------------------------------------------------------- */

static void check_softmax(const float *in, size_t n, double tolerance) {
    float *x = heap_copy(in, n), most = -INFINITY;
    double sum = 0, total = 0;
    for (size_t i = 0; i < n; i++) {
        most = fmaxf(most, in[i]);
    }
    for (size_t i = 0; i < n; i++) {
        sum += exp((double)(in[i] - most)); /* the difference is one of floats */
    }
    vt_vec_softmax(x, n);
    for (size_t i = 0; i < n; i++) {
        double want = exp((double)(in[i] - most)) / sum;
        if (!(fabs((double)x[i] - want) <= tolerance * want + 1e-37)) {
            fail_msg("%s: softmax of %zu: [%zu] is %.9g, not %.9g", vt_vec_isa(), n, i,
                     (double)x[i], want);
        }
        total += (double)x[i];
    }
    assert_true(fabs(total - 1) < 1e-5);
    free(x);
}

static void softmax_of_every_length(void) {
    float x[MOST];
    for (size_t n = 1; n <= MOST; n++) {
        random_floats(x, n, n % 2 ? 20 : 1);
        check_softmax(x, n, 2e-6);
    }
    random_floats(x, 100, 1e4f); /* all but a few vanish */
    check_softmax(x, 100, 2e-6);
}

static void softmax_of_extremes(void) {
    float masked[3] = {1, -INFINITY, 1};
    vt_vec_softmax(masked, 3);
    assert_true(masked[0] == 0.5f && masked[1] == 0 && masked[2] == 0.5f);
    float one[1] = {-1e30f};
    vt_vec_softmax(one, 1);
    assert_true(one[0] == 1);
}

static void test_softmax(void **unused) {
    (void)unused;
    for_each_isa(softmax_of_every_length);
    for_each_isa(softmax_of_extremes);
}

/* A fault in the encoder must not come out as a plausible vector. */
static void softmax_keeps_nan(void) {
    for (size_t n = 1; n <= 40; n++) {
        float x[40];
        random_floats(x, n, 1);
        x[n / 2] = NAN;
        vt_vec_softmax(x, n);
        assert_true(isnan(x[n / 2]));
    }
}

static void test_softmax_keeps_nan(void **unused) {
    (void)unused;
    for_each_isa(softmax_keeps_nan);
}

/* ---- layer norm ------------------------------------------------------------------------- */

static void layer_norm_of_every_length(void) {
    float x[MOST], gain[MOST], bias[MOST], y[MOST];
    random_floats(gain, MOST, 1);
    random_floats(bias, MOST, 1);
    for (size_t n = 1; n <= MOST; n++) {
        random_floats(x, n, 5);
        x[n / 2] += 40; /* the residual stream of CLIP has such outliers */
        double mean = 0, variance = 0;
        for (size_t i = 0; i < n; i++) {
            mean += (double)x[i] / (double)n;
        }
        for (size_t i = 0; i < n; i++) {
            variance += ((double)x[i] - mean) * ((double)x[i] - mean) / (double)n;
        }
        float *in = heap_copy(x, n), *g = heap_copy(gain, n), *b = heap_copy(bias, n);
        vt_vec_layer_norm(in, in, 1, n, &(vt_norm){g, b, 1e-5f}); /* in place */
        for (size_t i = 0; i < n; i++) {
            double want =
                ((double)x[i] - mean) / sqrt(variance + 1e-5) * (double)gain[i] + (double)bias[i];
            if (!(fabs((double)in[i] - want) <= 1e-5)) {
                fail_msg("%s: layer norm of %zu: [%zu] is %.9g, not %.9g", vt_vec_isa(), n, i,
                         (double)in[i], want);
            }
        }
        vt_vec_layer_norm(y, x, 1, n, &(vt_norm){gain, bias, 1e-5f});
        assert_memory_equal(y, in, n * sizeof *y);
        free(in);
        free(g);
        free(b);
    }
}

static void layer_norm_of_rows(void) {
    float x[6 * 100], y[6 * 100], alone[100], gain[100], bias[100];
    random_floats(x, 600, 2);
    random_floats(gain, 100, 1);
    random_floats(bias, 100, 1);
    vt_vec_layer_norm(y, x, 6, 100, &(vt_norm){gain, bias, 1e-5f});
    for (size_t r = 0; r < 6; r++) {
        vt_vec_layer_norm(alone, x + r * 100, 1, 100, &(vt_norm){gain, bias, 1e-5f});
        assert_memory_equal(alone, y + r * 100, sizeof alone);
    }
}

static void test_layer_norm(void **unused) {
    (void)unused;
    for_each_isa(layer_norm_of_every_length);
    for_each_isa(layer_norm_of_rows);
}

/* ---- attention -------------------------------------------------------------------------- */

/* softmax(Q K^T) V in double precision, for one query. */
static void attended(const vt_attention *a, size_t row, double *out) {
    size_t seen = a->causal ? row + 1 : a->rows;
    double *weights = malloc(seen * sizeof *weights), most = -INFINITY, sum = 0;
    assert_non_null(weights);
    for (size_t r = 0; r < seen; r++) {
        weights[r] = 0;
        for (size_t d = 0; d < a->dim; d++) {
            weights[r] +=
                (double)a->q[(row - a->first) * a->stride + d] * (double)a->k[r * a->stride + d];
        }
        most = fmax(most, weights[r]);
    }
    for (size_t r = 0; r < seen; r++) {
        weights[r] = exp(weights[r] - most);
        sum += weights[r];
    }
    memset(out, 0, a->dim * sizeof *out);
    for (size_t r = 0; r < seen; r++) {
        for (size_t d = 0; d < a->dim; d++) {
            out[d] += weights[r] / sum * (double)a->v[r * a->stride + d];
        }
    }
    free(weights);
}

static void check_attention(size_t rows, size_t dim, bool causal, size_t first, size_t count) {
    const size_t stride = 3 * dim + 2;
    float *qkv = malloc(rows * stride * sizeof *qkv), *out = malloc(count * dim * sizeof *out);
    double *want = malloc(dim * sizeof *want);
    size_t floats;
    assert_true(vt_attention_scratch(rows, dim, &floats));
    float *scratch = vt_alloc_aligned(floats, sizeof *scratch);
    assert_true(qkv && out && want && scratch);
    memset(scratch, 0xFF, floats * sizeof *scratch);
    random_floats(qkv, rows * stride, 1);
    vt_attention a = {.k = qkv + dim,
                      .v = qkv + 2 * dim,
                      .rows = rows,
                      .dim = dim,
                      .stride = stride,
                      .causal = causal,
                      .first = first,
                      .count = count,
                      .q = qkv + first * stride,
                      .out = out,
                      .out_stride = dim,
                      .scratch = scratch};
    vt_vec_attend(&a);
    for (size_t r = 0; r < count; r++) {
        attended(&a, first + r, want);
        for (size_t d = 0; d < dim; d++) {
            if (!(fabs((double)out[r * dim + d] - want[d]) <= 2e-5)) {
                fail_msg("%s: %zu rows of %zu: [%zu][%zu] is %.9g, not %.9g", vt_vec_isa(), rows,
                         dim, first + r, d, (double)out[r * dim + d], want[d]);
            }
        }
    }
    free(qkv);
    free(out);
    free(want);
    free(scratch);
}

static void attention_of_every_size(void) {
    static const size_t dims[] = {1, 4, 16, 31, 32, 33, 64, 80};
    for (size_t rows = 1; rows <= 70; rows += rows < 20 ? 1 : 10) {
        size_t dim = dims[rows % (sizeof dims / sizeof *dims)];
        check_attention(rows, dim, false, 0, rows);
        check_attention(rows, dim, true, 0, rows);
        check_attention(rows, dim, true, rows - 1, 1);
    }
    check_attention(257, 64, false, 0, 257);
}

static void test_attention(void **unused) {
    (void)unused;
    size_t floats;
    for_each_isa(attention_of_every_size);
    assert_false(vt_attention_scratch(SIZE_MAX / 64, SIZE_MAX / 64, &floats));
}

/* ---- activations ------------------------------------------------------------------------ */

static double activation(double x, vt_act act) {
    return act == VT_ACT_QUICK_GELU ? x / (1 + exp(-1.702 * x)) : x / 2 * (1 + erf(x / sqrt(2)));
}

/* Through a 1 by 1 matrix that is 1: the activation alone, over all that a layer may give. */
static void activations_over_their_range(void) {
    enum { N = 40001 };
    float *x = malloc(N * sizeof *x), *y = malloc(N * sizeof *y), one = 1;
    packed_matrix m =
        packed_of((form){VT_PRECISION_F32, false}, 1, &(vt_mat_part){VT_F32, &one, 1, 1}, 1);
    assert_non_null(x);
    assert_non_null(y);
    for (size_t i = 0; i < N; i++) {
        x[i] = ((float)i - 20000) * (i % 2 ? 0.0005f : 0.01f);
    }
    for (vt_act act = VT_ACT_QUICK_GELU; act <= VT_ACT_GELU; act++) {
        vt_mat_mul_args args = {
            .x = x, .y = y, .rows = N, .x_stride = 1, .y_stride = 1, .act = act};
        packed_multiply(&m, &args, NULL);
        for (size_t i = 0; i < N; i++) {
            double want = activation((double)x[i], act);
            double tolerance = 2e-7 * (fabs((double)x[i]) + 1e-3);
            if (!(fabs((double)y[i] - want) <= tolerance)) {
                fail_msg("%s: activation %d of %.9g is %.9g, not %.9g", vt_vec_isa(), (int)act,
                         (double)x[i], (double)y[i], want);
            }
        }
        float extremes[3] = {NAN, INFINITY, 1e30f};
        args.x = extremes;
        args.rows = 3;
        packed_multiply(&m, &args, NULL);
        assert_true(isnan(y[0]) && isinf(y[1]) && y[2] == 1e30f);
    }
    packed_release(&m);
    free(x);
    free(y);
}

static void test_activations(void **unused) {
    (void)unused;
    for_each_isa(activations_over_their_range);
}

/* ---- rows of 12 bits -------------------------------------------------------------------- */

/* Writes number i of a row of 12 bits, as vec.h says they lie. */
static void set_fine(uint8_t *row, size_t i, int number) {
    uint8_t *group = row + i / VT_FINE_GROUP * VT_FINE_GROUP_BYTES;
    size_t j = i % VT_FINE_GROUP;
    unsigned bits = (unsigned)(number + 2048);
    group[j] = (uint8_t)(bits >> 4);
    group[VT_FINE_GROUP + j % 16] |= (uint8_t)((bits & 15) << (j < 16 ? 0 : 4));
}

/* The row and the query are the last of their memory. Numbers at both ends are common. */
static void fine_dot_of_every_length(void) {
    for (size_t dim = 0; dim <= MOST; dim++) {
        size_t groups = vt_fine_groups(dim), n = groups * VT_FINE_GROUP;
        uint8_t *row = calloc(groups * VT_FINE_GROUP_BYTES + (groups == 0), 1);
        float all[MOST + VT_FINE_GROUP];
        double want = 0, size = 0;
        assert_non_null(row);
        random_floats(all, n, 1);
        for (size_t i = 0; i < n; i++) {
            int number = (int)(random_float() * 2048);
            number = i % 7 ? number : i % 2 ? 2047 : -2048;
            set_fine(row, i, number);
            want += (double)all[i] * number;
            size += fabs((double)all[i] * number);
        }
        float *q = heap_copy(all, n);
        double got = (double)vt_vec_fine_dot(q, row, groups);
        if (!(fabs(got - want) <= size * 1e-6)) {
            fail_msg("%s: fine dot of %zu is %.9g, not %.9g", vt_vec_isa(), dim, got, want);
        }
        free(q);
        free(row);
    }
}

/* One number alone: no place is read twice, or for another. */
static void fine_dot_of_single_numbers(void) {
    enum { GROUPS = 5, N = GROUPS * VT_FINE_GROUP };
    for (size_t i = 0; i < N; i++) {
        uint8_t row[GROUPS * VT_FINE_GROUP_BYTES] = {0};
        float q[N];
        for (size_t j = 0; j < N; j++) {
            set_fine(row, j, j == i ? 1234 - (int)(i * 13) : 0);
            q[j] = (float)(j + 1);
        }
        float want = (float)(1234 - (int)(i * 13)) * (float)(i + 1);
        assert_true(vt_vec_fine_dot(q, row, GROUPS) == want);
    }
}

static void test_fine_dot(void **unused) {
    (void)unused;
    for_each_isa(fine_dot_of_every_length);
    for_each_isa(fine_dot_of_single_numbers);
}

/* ---- codes of 4 bits -------------------------------------------------------------------- */

/* The block is the last of its memory, so that a sanitizer sees a kernel that reads past it. */
static void code_scores_of_every_length(void) {
    for (size_t dim = 1; dim <= MOST; dim++) {
        size_t words = vt_code_words(dim), bytes = words * 4 * VT_CODE_ROWS;
        uint8_t *codes = aligned_alloc(64, bytes);
        int8_t *numbers = malloc(8 * words);
        float scale[VT_CODE_ROWS], along[VT_CODE_ROWS], error[VT_CODE_ROWS], got[VT_CODE_ROWS];
        assert_non_null(codes);
        assert_non_null(numbers);
        random_floats(scale, VT_CODE_ROWS, 1);
        random_floats(along, VT_CODE_ROWS, 1);
        random_floats(error, VT_CODE_ROWS, 1);
        for (size_t i = 0; i < bytes; i++) { /* the largest that there are, now and then */
            codes[i] = i % 5 ? (uint8_t)(random_float() * 127 + 128) : 255;
        }
        for (size_t i = 0; i < 8 * words; i++) {
            numbers[i] = (int8_t)(dim % 2 ? random_float() * 127 : -127);
        }
        vt_code_query q = {numbers, words, 0.01f, -0.5f, 0.25f, 0.125f};
        vt_code_block b = {codes, scale, along, error};
        uint32_t reached = vt_vec_code_scores(&q, &b, 0.125f, got);
        for (size_t r = 0; r < VT_CODE_ROWS; r++) {
            double sum = 0;
            for (size_t d = 0; d < 8 * words; d++) {
                uint8_t both = codes[(d / 8 * VT_CODE_ROWS + r) * 4 + d % 4];
                sum += (d % 8 < 4 ? both & 15 : both >> 4) * (double)numbers[d];
            }
            double want = (double)scale[r] * (sum * (double)q.step + -0.5) +
                          0.25 * (1 + (double)along[r]) + 0.125 * (double)error[r];
            assert_true(fabs((double)got[r] - want) < 1e-6 * (1 + fabs(sum * (double)q.step)));
            assert_int_equal(reached >> r & 1, !(got[r] < 0.125f));
        }
        free(codes);
        free(numbers);
    }
}

static void test_code_scores(void **unused) {
    (void)unused;
    for_each_isa(code_scores_of_every_length);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_choice_of_instruction_set),
        cmocka_unit_test(test_dot),
        cmocka_unit_test(test_dot_rows),
        cmocka_unit_test(test_normalize),
        cmocka_unit_test(test_normalize_refuses),
        cmocka_unit_test(test_halves),
        cmocka_unit_test(test_softmax),
        cmocka_unit_test(test_softmax_keeps_nan),
        cmocka_unit_test(test_layer_norm),
        cmocka_unit_test(test_attention),
        cmocka_unit_test(test_activations),
        cmocka_unit_test(test_fine_dot),
        cmocka_unit_test(test_code_scores),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
