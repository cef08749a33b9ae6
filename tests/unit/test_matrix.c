/* The packed matrix product against a plain loop in double precision, over numbers rounded by the
 * definition of each precision, and against oneDNN as a second opinion; for every instruction set
 * that this machine runs. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <oneapi/dnnl/dnnl.h>

#include "packed_matrix.h"

/* ---- material --------------------------------------------------------------------------- */

static uint64_t state = 1;

/* In [-1, 1), from xorshift64*: the same on every machine. */
static float random_float(void) {
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (float)((int64_t)(state * 0x2545F4914F6CDD1Du) >> 40) * 0x1p-23f;
}

static float *random_floats(size_t n) {
    float *x = vt_alloc_aligned(n + 1, sizeof *x);
    assert_non_null(x);
    for (size_t i = 0; i < n; i++) {
        x[i] = random_float();
    }
    return x;
}

typedef struct problem {
    size_t rows, n_in, n_out, x_stride, y_stride;
    vt_dtype type;
    form form;
    vt_act act;
    float *x, *bias, *residual;
    void *w;         /* in `type`, as a model file holds it */
    float *w_values; /* the same in float */
} problem;

/* A float that the type holds exactly, and its bits in that type. */
static float round_to(vt_dtype type, float v, uint16_t *bits) {
    uint32_t u;
    if (type == VT_F16) { /* multiples of 2^-8 below 1 are normal or zero in binary16 */
        long scaled = lrintf(v * 256);
        float out = (float)scaled / 256;
        memcpy(&u, &out, sizeof u);
        *bits = scaled == 0 ? 0
                            : (uint16_t)((u >> 16 & 0x8000) | (((u >> 23 & 0xFF) - 112) << 10) |
                                         (u >> 13 & 0x3FF));
        return out;
    }
    memcpy(&u, &v, sizeof u);
    u &= 0xFFFF0000u;
    *bits = (uint16_t)(u >> 16);
    memcpy(&v, &u, sizeof v);
    return v;
}

static void problem_init(problem *p, size_t rows, size_t n_in, size_t n_out, vt_dtype type) {
    *p = (problem){.rows = rows, .n_in = n_in, .n_out = n_out, .type = type};
    p->form = (form){VT_PRECISION_F32, false};
    p->x_stride = n_in + rows % 3;
    p->y_stride = n_out + rows % 5;
    p->act = (vt_act)((rows + n_in) % 3);
    p->x = random_floats(rows * p->x_stride);
    p->bias = random_floats(n_out);
    p->residual = random_floats(rows * p->y_stride);
    p->w_values = random_floats(n_out * n_in);
    uint16_t *half = vt_alloc(n_out * n_in, sizeof *half);
    assert_non_null(half);
    for (size_t i = 0; type != VT_F32 && i < n_out * n_in; i++) {
        p->w_values[i] = round_to(type, p->w_values[i], half + i);
    }
    p->w = half;
    if (type == VT_F32) {
        free(half);
        p->w = p->w_values;
    }
}

static void problem_release(problem *p) {
    if (p->w != p->w_values) {
        free(p->w);
    }
    free(p->w_values);
    free(p->x);
    free(p->bias);
    free(p->residual);
}

static double activation(double x, vt_act act) {
    switch (act) {
    case VT_ACT_QUICK_GELU:
        return x / (1 + exp(-1.702 * x));
    case VT_ACT_GELU:
        return x / 2 * (1 + erf(x / sqrt(2)));
    case VT_ACT_NONE:
        break;
    }
    return x;
}

/* To eight bits of precision, ties to even: what a bfloat16 holds. */
static double as_bf16(float v) {
    int exponent;
    double fraction = frexp((double)v, &exponent);
    return ldexp(nearbyint(fraction * 256), exponent - 8);
}

static double largest(const float *v, size_t n) {
    double most = 0;
    for (size_t i = 0; i < n; i++) {
        most = fmax(most, fabs((double)v[i]));
    }
    return most;
}

/* Of a row of inputs, or of a column's weights: what it is rounded to a multiple of. */
static double int8_step(const float *row, size_t n) {
    return largest(row, n) / 127;
}

static double input(const problem *p, size_t r, size_t i) {
    const float *row = p->x + r * p->x_stride;
    double step;
    switch (p->form.precision) {
    case VT_PRECISION_BF16:
        return as_bf16(row[i]);
    case VT_PRECISION_INT8:
        step = int8_step(row, p->n_in);
        return step > 0 ? nearbyint((double)row[i] / step) * step : 0;
    case VT_PRECISION_AUTO:
    case VT_PRECISION_F32:
        break;
    }
    return (double)row[i];
}

/* The power of two at or below the largest of a column. */
static double power_below(double most) {
    int exponent;
    frexp(most, &exponent);
    return ldexp(1, exponent - 1);
}

/* What vec.h says of compact weights. */
static double compact_weight(vt_precision precision, const float *column, size_t n, double w) {
    double most = largest(column, n), unit;
    if (precision == VT_PRECISION_F32) {
        unit = power_below(most) * 0x1p-22;
        w = nearbyint(w / unit);
        return fmin(w, 0x1p23 - 1) * unit;
    }
    unit = power_below(as_bf16((float)most)) * 0x1p-13;
    return fabs(w) >= unit ? w : fabs(w) >= unit / 2 ? copysign(unit, w) : 0;
}

static double weight(const problem *p, size_t c, size_t i) {
    const float *column = p->w_values + c * p->n_in;
    const bool whole = p->form.precision == VT_PRECISION_INT8;
    double step = whole ? int8_step(column, p->n_in) : 0, w = (double)column[i];
    if (whole) {
        return step > 0 ? nearbyint(w / step) * step : 0;
    }
    w = p->form.precision == VT_PRECISION_BF16 ? as_bf16(column[i]) : w;
    return p->form.compact ? compact_weight(p->form.precision, column, p->n_in, w) : w;
}

/* y[r][c] in double, and how much rounding a sum of n_in floats may bring; with int8, two inputs
 * may lie so near a half that floats round them the other way. */
static double expected(const problem *p, size_t r, size_t c, double *tolerance) {
    double sum = 0, size = 0;
    for (size_t i = 0; i < p->n_in; i++) {
        double term = input(p, r, i) * weight(p, c, i);
        sum += term;
        size += fabs(term);
    }
    *tolerance = 1e-6 + size * 0x1p-23 * (1 + sqrt((double)p->n_in));
    if (p->form.precision == VT_PRECISION_INT8) {
        *tolerance += 2 * largest(p->x + r * p->x_stride, p->n_in) *
                      largest(p->w_values + c * p->n_in, p->n_in) / 127;
    }
    return activation(sum + (double)p->bias[c], p->act) + (double)p->residual[r * p->y_stride + c];
}

static float *multiply(const problem *p, vt_pool *pool) {
    vt_mat_part part = {.type = p->type, .w = p->w, .n_out = p->n_out, .scale = 1};
    packed_matrix m = packed_of(p->form, p->n_in, &part, 1);
    float *y = vt_alloc_aligned(p->rows * p->y_stride, sizeof *y);
    assert_non_null(y);
    for (size_t i = 0; i < p->rows * p->y_stride; i++) {
        y[i] = 12345; /* to see what is written between the rows */
    }
    vt_mat_mul_args args = {
        .x = p->x,
        .y = y,
        .rows = p->rows,
        .x_stride = p->x_stride,
        .y_stride = p->y_stride,
        .bias = p->bias,
        .residual = p->residual,
        .act = p->act,
    };
    packed_multiply(&m, &args, pool);
    packed_release(&m);
    return y;
}

static void check_problem(const problem *p, vt_pool *pool) {
    float *y = multiply(p, pool);
    for (size_t r = 0; r < p->rows; r++) {
        for (size_t c = 0; c < p->n_out; c++) {
            double tolerance, want = expected(p, r, c, &tolerance);
            double got = (double)y[r * p->y_stride + c];
            if (!(fabs(got - want) <= tolerance)) {
                fail_msg("%s %s%s %zux%zux%zu type %d: y[%zu][%zu] = %.9g, not %.9g", vt_vec_isa(),
                         p->form.compact ? "compact " : "", vt_precision_name(p->form.precision),
                         p->rows, p->n_in, p->n_out, (int)p->type, r, c, got, want);
            }
        }
        for (size_t c = p->n_out; c < p->y_stride; c++) {
            assert_true(y[r * p->y_stride + c] == 12345);
        }
    }
    free(y);
}

static const form forms[] = {
    {VT_PRECISION_F32, false}, {VT_PRECISION_F32, true},   {VT_PRECISION_BF16, false},
    {VT_PRECISION_BF16, true}, {VT_PRECISION_INT8, false},
};
#define N_FORMS (sizeof forms / sizeof *forms)

/* Runs the test once for each instruction set of this machine. */
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

/* ---- tests ------------------------------------------------------------------------------ */

static void every_row_count(void) {
    for (size_t rows = 1; rows <= 70; rows++) {
        problem p;
        problem_init(&p, rows, 1 + rows * 7 % 90, 1 + rows * 11 % 100, (vt_dtype)(rows % 3));
        for (size_t i = 0; i < N_FORMS; i++) {
            p.form = forms[i];
            if (can_multiply(p.form)) {
                check_problem(&p, NULL);
            }
        }
        problem_release(&p);
    }
}

static void test_every_row_count(void **unused) {
    (void)unused;
    for_each_isa(every_row_count);
}

/* Around the edges of panels (32 outputs), of words (4 inputs) and of runs (768 words). */
static void edge_shapes(void) {
    static const size_t inputs[] = {1, 3, 255, 256, 257, 769, 1025, 1600};
    static const size_t outputs[] = {1, 31, 32, 33, 64, 65};
    vt_pool *pool;
    vt_err err;
    assert_int_equal(vt_pool_open(3, &pool, &err), VT_OK);
    for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++) {
        for (size_t o = 0; o < sizeof outputs / sizeof *outputs; o++) {
            problem p;
            problem_init(&p, 1 + (i * 8 + o) % 37, inputs[i], outputs[o], (vt_dtype)(o % 3));
            p.form = forms[(i + o) % N_FORMS];
            if (can_multiply(p.form)) {
                check_problem(&p, pool);
            }
            problem_release(&p);
        }
    }
    vt_pool_close(pool);
}

static void test_edge_shapes(void **unused) {
    (void)unused;
    for_each_isa(edge_shapes);
}

/* The promise at the top of vec.h: the same bits alone, among others, and on more threads. More
 * rows than one group takes. */
static void row_alone_in(form f) {
    problem p;
    vt_pool *pool;
    vt_err err;
    assert_int_equal(vt_pool_open(3, &pool, &err), VT_OK);
    problem_init(&p, 259, 515, 65, VT_F32);
    p.form = f;
    float *all = multiply(&p, NULL);
    float *threaded = multiply(&p, pool);
    for (size_t r = 0; r < p.rows; r++) {
        problem one = p;
        one.rows = 1;
        one.x = p.x + r * p.x_stride;
        one.residual = p.residual + r * p.y_stride;
        float *alone = multiply(&one, NULL);
        assert_memory_equal(alone, all + r * p.y_stride, p.n_out * sizeof *alone);
        assert_memory_equal(alone, threaded + r * p.y_stride, p.n_out * sizeof *alone);
        free(alone);
    }
    free(all);
    free(threaded);
    problem_release(&p);
    vt_pool_close(pool);
}

static void row_alone(void) {
    for (size_t i = 0; i < N_FORMS; i++) {
        if (can_multiply(forms[i])) {
            row_alone_in(forms[i]);
        }
    }
}

static void test_row_alone(void **unused) {
    (void)unused;
    for_each_isa(row_alone);
}

/* More rows than one group takes: none may be added twice. */
static void test_residual_in_place(void **unused) {
    (void)unused;
    problem p;
    problem_init(&p, 300, 600, 70, VT_F32);
    float *want = multiply(&p, NULL);
    vt_mat_part part = {.type = p.type, .w = p.w, .n_out = p.n_out, .scale = 1};
    packed_matrix m = packed_of(p.form, p.n_in, &part, 1);
    vt_mat_mul_args args = {.x = p.x,
                            .y = p.residual,
                            .rows = p.rows,
                            .x_stride = p.x_stride,
                            .y_stride = p.y_stride,
                            .bias = p.bias,
                            .residual = p.residual,
                            .act = p.act};
    packed_multiply(&m, &args, NULL);
    for (size_t r = 0; r < p.rows; r++) {
        assert_memory_equal(p.residual + r * p.y_stride, want + r * p.y_stride,
                            p.n_out * sizeof *want);
    }
    packed_release(&m);
    free(want);
    problem_release(&p);
}

static void test_without_bias_or_residual(void **unused) {
    (void)unused;
    problem p;
    problem_init(&p, 7, 40, 45, VT_F32);
    memset(p.bias, 0, p.n_out * sizeof *p.bias);
    memset(p.residual, 0, p.rows * p.y_stride * sizeof *p.residual);
    float *want = multiply(&p, NULL);
    free(p.bias);
    free(p.residual);
    p.bias = p.residual = NULL;
    float *got = multiply(&p, NULL);
    for (size_t r = 0; r < p.rows; r++) {
        assert_memory_equal(got + r * p.y_stride, want + r * p.y_stride, p.n_out * sizeof *want);
    }
    free(want);
    free(got);
    problem_release(&p);
}

/* Normalising rows in the product is normalising them before it. */
static void norm_in_the_product(void) {
    problem p;
    problem_init(&p, 21, 100, 40, VT_F32);
    p.x_stride = p.n_in;
    float *gain = random_floats(p.n_in), *bias = random_floats(p.n_in);
    float *normed = random_floats(p.rows * p.n_in);
    vt_norm norm = {gain, bias, 1e-5f};
    vt_vec_layer_norm(normed, p.x, p.rows, p.n_in, &norm);
    for (size_t i = 0; i < N_FORMS; i++) {
        p.form = forms[i];
        if (!can_multiply(p.form)) {
            continue;
        }
        vt_mat_part part = {.type = p.type, .w = p.w, .n_out = p.n_out, .scale = 1};
        packed_matrix m = packed_of(p.form, p.n_in, &part, 1);
        float y[21 * 40], z[21 * 40];
        vt_mat_mul_args args = {.x = p.x,
                                .y = y,
                                .rows = p.rows,
                                .x_stride = p.n_in,
                                .y_stride = p.n_out,
                                .norm = &norm};
        packed_multiply(&m, &args, NULL);
        args = (vt_mat_mul_args){
            .x = normed, .y = z, .rows = p.rows, .x_stride = p.n_in, .y_stride = p.n_out};
        packed_multiply(&m, &args, NULL);
        assert_memory_equal(y, z, sizeof y);
        packed_release(&m);
    }
    free(gain);
    free(bias);
    free(normed);
    problem_release(&p);
}

static void test_norm_in_the_product(void **unused) {
    (void)unused;
    for_each_isa(norm_in_the_product);
}

/* What a product writes in bfloat16 is its floats rounded, and nothing between the rows. */
static uint16_t *rounded_outputs(const packed_matrix *m, vt_mat_mul_args args, const float *y) {
    const size_t n = args.rows * args.y_stride;
    uint16_t *narrow = vt_alloc_aligned(n, sizeof *narrow);
    assert_non_null(narrow);
    memset(narrow, 0x5A, n * sizeof *narrow);
    args.y = NULL;
    args.y_bf16 = narrow;
    packed_multiply(m, &args, NULL);
    for (size_t i = 0; i < n; i++) {
        float got;
        vt_vec_from_bf16(&got, narrow + i, 1);
        if (i % args.y_stride < m->m.n_out) {
            assert_true((double)got == as_bf16(y[i]));
        } else {
            assert_int_equal(narrow[i], 0x5A5A);
        }
    }
    return narrow;
}

/* Whether a product is told its inputs in bfloat16 or the same numbers as floats, and whether it
 * can read them where they lie, its sums have the same bits. */
static void check_chain(size_t rows, size_t n_in, size_t n_middle, size_t gap, form f) {
    enum { N_OUT = 40 };
    problem p;
    problem_init(&p, rows, n_in, n_middle, VT_F32);
    float *second = random_floats(N_OUT * n_middle), *middle, *y[2];
    packed_matrix m = packed_of(f, n_in, &(vt_mat_part){VT_F32, p.w, n_middle, 1}, 1);
    packed_matrix n = packed_of(f, n_middle, &(vt_mat_part){VT_F32, second, N_OUT, 1}, 1);
    middle = random_floats(rows * (n_middle + gap));
    y[0] = random_floats(rows * N_OUT);
    y[1] = random_floats(rows * N_OUT);
    vt_mat_mul_args args = {.x = p.x,
                            .y = middle,
                            .rows = rows,
                            .x_stride = p.x_stride,
                            .y_stride = n_middle + gap,
                            .bias = p.bias,
                            .act = p.act};
    packed_multiply(&m, &args, NULL);
    uint16_t *narrow = rounded_outputs(&m, args, middle);
    vt_vec_from_bf16(middle, narrow, rows * args.y_stride);
    for (size_t i = 0; i < 2; i++) {
        vt_mat_mul_args then = {.x = i ? NULL : middle,
                                .x_bf16 = i ? narrow : NULL,
                                .y = y[i],
                                .rows = rows,
                                .x_stride = args.y_stride,
                                .y_stride = N_OUT};
        packed_multiply(&n, &then, NULL);
    }
    assert_memory_equal(y[0], y[1], rows * N_OUT * sizeof *y[0]);
    packed_release(&m);
    packed_release(&n);
    free(second);
    free(middle);
    free(narrow);
    free(y[0]);
    free(y[1]);
    problem_release(&p);
}

static void chains(void) {
    static const size_t middles[] = {1, 16, 31, 32, 64, 65, 96, 512};
    for (size_t i = 0; i < sizeof middles / sizeof *middles; i++) {
        for (size_t k = 0; k < N_FORMS; k++) {
            if (!can_multiply(forms[k])) {
                continue;
            }
            for (size_t gap = 0; gap < 33; gap += 16) {
                check_chain(1 + 7 * i, 20, middles[i], gap, forms[k]);
            }
            check_chain(15, 20, middles[i], 1, forms[k]);
        }
    }
}

static void test_chains(void **unused) {
    (void)unused;
    for_each_isa(chains);
}

/* Fused: the outputs of each matrix side by side, at any address, as a model file has them; the
 * first one's weights are scaled. */
static void parts_side_by_side(form f) {
    enum { ROWS = 9, N_IN = 77 };
    static const size_t n_out[3] = {40, 1, 64};
    unsigned char *odd[3];
    vt_mat_part parts[3];
    float *x = random_floats(ROWS * N_IN), y[ROWS * 105], z[ROWS * 64];
    for (size_t i = 0; i < 3; i++) {
        float *w = random_floats(n_out[i] * N_IN);
        odd[i] = vt_alloc(n_out[i] * N_IN * sizeof *w + 1, 1);
        assert_non_null(odd[i]);
        memcpy(odd[i] + 1, w, n_out[i] * N_IN * sizeof *w);
        free(w);
        parts[i] = (vt_mat_part){VT_F32, odd[i] + 1, n_out[i], i == 0 ? 0.125f : 1};
    }
    packed_matrix fused = packed_of(f, N_IN, parts, 3);
    vt_mat_mul_args args = {.x = x, .y = y, .rows = ROWS, .x_stride = N_IN, .y_stride = 105};
    packed_multiply(&fused, &args, NULL);
    for (size_t i = 0, column = 0; i < 3; column += n_out[i++]) {
        parts[i].scale = 1;
        packed_matrix alone = packed_of(f, N_IN, &parts[i], 1);
        args.y = z;
        args.y_stride = n_out[i];
        packed_multiply(&alone, &args, NULL);
        for (size_t r = 0; r < ROWS; r++) {
            for (size_t c = 0; c < n_out[i]; c++) { /* an eighth is exact in every precision */
                float scaled = z[r * n_out[i] + c] * (i == 0 ? 0.125f : 1);
                assert_true(scaled == y[r * 105 + column + c]);
            }
        }
        packed_release(&alone);
        free(odd[i]);
    }
    packed_release(&fused);
    free(x);
}

static void test_parts_side_by_side(void **unused) {
    (void)unused;
    for (size_t i = 0; i < N_FORMS; i++) {
        if (can_multiply(forms[i])) {
            parts_side_by_side(forms[i]);
        }
    }
}

/* A row or a column of zeros has no scale; NaN and infinities do not turn into numbers. */
static void zeros_and_worse(void) {
    float x[4][6] = {{0}, {1, NAN, 0, 0, 0, 0}, {INFINITY, 1, 1, 1, 1, 1}, {1, 2, 3, 4, 5, 6}};
    float w[3][6] = {{0}, {1, 1, 1, 1, 1, 1}, {1, 1, NAN, 1, 1, 1}}, y[4][3];
    vt_mat_part part = {VT_F32, w, 3, 1};
    for (size_t i = 0; i < N_FORMS; i++) {
        if (!can_multiply(forms[i])) {
            continue;
        }
        packed_matrix m = packed_of(forms[i], 6, &part, 1);
        vt_mat_mul_args args = {.x = x[0], .y = y[0], .rows = 4, .x_stride = 6, .y_stride = 3};
        packed_multiply(&m, &args, NULL);
        assert_true(y[0][0] == 0 && y[0][1] == 0 && y[3][0] == 0);
        assert_float_equal(y[3][1], 21, 0.1);
        assert_true(isnan(y[1][1]) && !isfinite(y[2][1]) && isnan(y[3][2]));
        packed_release(&m);
    }
}

/* Numbers so small that 127 over the largest of them is infinite, or that they have no exponent. */
static void nearly_nothing_in(form f) {
    float x[2][3] = {{0, 1e-44f, -3e-45f}, {1, 2, 3}}, w[2][3] = {{1, 1, 1}, {0, 1e-44f, 1e-45f}};
    vt_mat_part part = {VT_F32, w, 2, 1};
    packed_matrix m = packed_of(f, 3, &part, 1);
    float y[2][2];
    vt_mat_mul_args args = {.x = x[0], .y = y[0], .rows = 2, .x_stride = 3, .y_stride = 2};
    packed_multiply(&m, &args, NULL);
    assert_true(fabsf(y[0][0]) < 1e-40f && fabsf(y[0][1]) < 1e-40f && fabsf(y[1][1]) < 1e-40f);
    assert_float_equal(y[1][0], 6, 0.1);
    packed_release(&m);
}

static void nearly_nothing(void) {
    for (size_t i = 0; i < N_FORMS; i++) {
        if (can_multiply(forms[i])) {
            nearly_nothing_in(forms[i]);
        }
    }
}

static void test_zeros_and_worse(void **unused) {
    (void)unused;
    for_each_isa(zeros_and_worse);
    for_each_isa(nearly_nothing);
}

/* One column of compact weights, behind others, as a product sees them: each times 1. */
static float compact_column(vt_precision precision, const float *w, size_t n, float *seen) {
    enum { MOST = 16, BEFORE = 37 };
    float x[MOST][MOST] = {{0}}, all[(BEFORE + 1) * MOST] = {0}, y[MOST][BEFORE + 1];
    assert_true(n <= MOST);
    for (size_t i = 0; i < n; i++) {
        x[i][i] = 1;
    }
    memcpy(all + BEFORE * n, w, n * sizeof *w);
    vt_mat_part part = {VT_F32, all, BEFORE + 1, 1};
    packed_matrix m = packed_of((form){precision, true}, n, &part, 1);
    vt_mat_mul_args args = {
        .x = x[0], .y = y[0], .rows = n, .x_stride = MOST, .y_stride = BEFORE + 1};
    packed_multiply(&m, &args, NULL);
    packed_release(&m);
    for (size_t i = 0; i < n; i++) {
        assert_true(y[i][BEFORE - 1] == 0);
        seen[i] = y[i][BEFORE];
    }
    return m.lost;
}

/* Whatever power of two the column is times. Below what a column's scale can be, all is 0. */
static void compact_at_every_size(vt_precision precision, const float *w, const float *want,
                                  size_t n) {
    float scaled[16], seen[16];
    for (int e = -80; e <= 120; e += 20) {
        for (size_t i = 0; i < n; i++) {
            scaled[i] = ldexpf(w[i], e);
        }
        (void)compact_column(precision, scaled, n, seen);
        for (size_t i = 0; i < n; i++) {
            assert_true(seen[i] == ldexpf(want[i], e));
        }
    }
    for (size_t i = 0; i < n; i++) {
        scaled[i] = ldexpf(w[i], -124);
    }
    (void)compact_column(precision, scaled, n, seen);
    for (size_t i = 0; i < n; i++) {
        assert_true(fabsf(seen[i] - scaled[i]) < 0x1p-100f);
    }
}

/* What vec.h says of compact weights, at its edges: four bits for exponents, fixed point, and a
 * largest weight next to a power of two. */
static void compact_edges_of_bf16(void) {
    static const float w[] = {1.5f,      -0x1p-13f, 0x1.8p-13f, 0x1.8p-14f, -0x1p-14f, 0x1.fp-15f,
                              -0x1p-30f, 0,         -1.25f,     0x1p-12f,   0x1.01p0f, -0.5f};
    static const float want[] = {1.5f, -0x1p-13f, 0x1.8p-13f, 0x1p-13f, -0x1p-13f, 0,
                                 0,    0,         -1.25f,     0x1p-12f, 0x1p0f,    -0.5f};
    float seen[2];
    compact_at_every_size(VT_PRECISION_BF16, w, want, sizeof w / sizeof *w);
    (void)compact_column(VT_PRECISION_BF16, (float[]){0x1.ffp0f, 0x1p-13f}, 2, seen);
    assert_true(seen[0] == 2 && seen[1] == 0x1p-12f); /* rounded to 2, which is the scale then */
    (void)compact_column(VT_PRECISION_BF16, (float[]){0x1.fffffep127f, 1}, 2, seen);
    assert_false(isfinite(seen[0]) && isfinite(seen[1])); /* no number in bf16 */
}

static void compact_edges_of_f32(void) {
    static const float w[] = {0x1.fffffep0f, 1 + 0x1p-22f, 0x1p-22f, -0x1.8p-23f, 0x1.fp-24f, 0,
                              -0x1.fffffep0f};
    static const float want[] = {0x1.fffffcp0f, 1 + 0x1p-22f, 0x1p-22f, -0x1p-22f, 0, 0, -2};
    compact_at_every_size(VT_PRECISION_F32, w, want, sizeof w / sizeof *w);
}

static void compact_edges(void) {
    if (can_multiply((form){VT_PRECISION_BF16, true})) {
        compact_edges_of_bf16();
    }
    if (can_multiply((form){VT_PRECISION_F32, true})) {
        compact_edges_of_f32();
    }
}

/* Nothing of weights like a network's, or that are zeros; what stands beside one weight a million
 * times larger. */
static void test_what_compact_panels_lose_is_told(void **unused) {
    (void)unused;
    enum { N = 512 };
    static const float spread[5] = {3 * 0x1p20f, 0.25f, 0, -0.25f, 1},
                       few[4] = {1, 1e-5f, 0.5f, 0.3f};
    float *w = random_floats(N);
    for (size_t i = 0; i < N_FORMS; i++) {
        packed_matrix m[3];
        const double all = forms[i].precision == VT_PRECISION_BF16 ? 1 : sqrt(0.125 / 1.125);
        m[0] = packed_of(forms[i], N, &(vt_mat_part){VT_F32, w, 1, 1}, 1);
        m[1] = packed_of(forms[i], 4, &(vt_mat_part){VT_F32, few, 1, 1}, 1);
        m[2] = packed_of(forms[i], 5, &(vt_mat_part){VT_F32, spread, 1, 1}, 1);
        assert_true(m[0].lost == 0 && m[1].lost == 0);
        assert_float_equal(m[2].lost, forms[i].compact ? all : 0, 1e-6);
        for (size_t k = 0; k < 3; k++) {
            packed_release(&m[k]);
        }
    }
    free(w);
}

static void test_compact_edges(void **unused) {
    (void)unused;
    for_each_isa(compact_edges);
}

static void test_sizes(void **unused) {
    (void)unused;
    size_t bytes;
    assert_false(vt_mat_bytes(&(vt_mat){VT_PRECISION_F32, false, 0, 1, NULL}, &bytes));
    assert_false(vt_mat_bytes(&(vt_mat){VT_PRECISION_BF16, false, 1, 0, NULL}, &bytes));
    assert_false(vt_mat_bytes(&(vt_mat){VT_PRECISION_F32, false, SIZE_MAX / 4, 8, NULL}, &bytes));
    assert_false(vt_mat_bytes(&(vt_mat){VT_PRECISION_F32, false, 8, SIZE_MAX / 4, NULL}, &bytes));
    assert_false(vt_mat_bytes(&(vt_mat){VT_PRECISION_INT8, false, 1, 1 << 17, NULL}, &bytes));
    assert_true(vt_mat_bytes(&(vt_mat){VT_PRECISION_F32, false, 64, 768, NULL}, &bytes));
    assert_int_equal(bytes, 64 * 768 * 4);
    assert_true(vt_mat_bytes(&(vt_mat){VT_PRECISION_BF16, false, 64, 768, NULL}, &bytes));
    assert_int_equal(bytes, 64 * 768 * 2);
    assert_true(vt_mat_bytes(&(vt_mat){VT_PRECISION_BF16, true, 64, 768, NULL}, &bytes));
    assert_int_equal(bytes, 64 * (768 * 12 / 8 + sizeof(float)));
    assert_true(vt_mat_bytes(&(vt_mat){VT_PRECISION_F32, true, 64, 768, NULL}, &bytes));
    assert_int_equal(bytes, 64 * (768 * 3 + sizeof(float)));
    assert_false(vt_mat_scratch(SIZE_MAX / 8, 64, &bytes));
    assert_int_equal(vt_dtype_size(VT_F32), 4);
    assert_int_equal(vt_dtype_size(VT_F16), 2);
    assert_int_equal(vt_dtype_size(VT_BF16), 2);
}

static void test_precision_names(void **unused) {
    (void)unused;
    vt_precision p;
    vt_err err;
    for (vt_precision i = VT_PRECISION_AUTO; i <= VT_PRECISION_INT8; i++) {
        assert_int_equal(vt_precision_parse(vt_precision_name(i), &p, &err), VT_OK);
        assert_int_equal(p, i);
    }
    assert_int_equal(vt_precision_parse("fp8", &p, &err), VT_E_INVALID);
    assert_non_null(strstr(err.text, "\"fp8\""));
    assert_int_equal(vt_vec_init("scalar", &err), VT_OK);
    assert_int_equal(vt_vec_best_precision(), VT_PRECISION_F32);
    assert_false(vt_vec_compacts(VT_PRECISION_F32));
    assert_int_equal(vt_vec_init(NULL, &err), VT_OK);
    assert_false(vt_vec_compacts(VT_PRECISION_INT8));
}

/* A real layer's shape against another's implementation. oneDNN speaks of column or row major
 * without transposed storage: C = A B^T. */
static void against_onednn(void) {
    problem p;
    problem_init(&p, 50, 768, 2304, VT_F32);
    p.act = VT_ACT_NONE;
    float *y = multiply(&p, NULL);
    float *z = vt_alloc_aligned(p.rows * p.n_out, sizeof *z);
    assert_non_null(z);
    assert_int_equal(dnnl_sgemm('N', 'T', (dnnl_dim_t)p.rows, (dnnl_dim_t)p.n_out,
                                (dnnl_dim_t)p.n_in, 1, p.x, (dnnl_dim_t)p.x_stride, p.w_values,
                                (dnnl_dim_t)p.n_in, 0, z, (dnnl_dim_t)p.n_out),
                     dnnl_success);
    for (size_t r = 0; r < p.rows; r++) {
        for (size_t c = 0; c < p.n_out; c++) {
            float want = z[r * p.n_out + c] + p.bias[c] + p.residual[r * p.y_stride + c];
            assert_float_equal(y[r * p.y_stride + c], want, 1e-4);
        }
    }
    free(y);
    free(z);
    problem_release(&p);
}

static void test_against_onednn(void **unused) {
    (void)unused;
    for_each_isa(against_onednn);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_row_count),
        cmocka_unit_test(test_edge_shapes),
        cmocka_unit_test(test_row_alone),
        cmocka_unit_test(test_residual_in_place),
        cmocka_unit_test(test_without_bias_or_residual),
        cmocka_unit_test(test_norm_in_the_product),
        cmocka_unit_test(test_chains),
        cmocka_unit_test(test_parts_side_by_side),
        cmocka_unit_test(test_zeros_and_worse),
        cmocka_unit_test(test_compact_edges),
        cmocka_unit_test(test_what_compact_panels_lose_is_told),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_precision_names),
        cmocka_unit_test(test_against_onednn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
