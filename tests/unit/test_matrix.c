/* The packed matrix product against a plain loop in double precision, and against oneDNN as a
 * second opinion; for every instruction set that this machine runs. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <oneapi/dnnl/dnnl.h>

#include "vec/vec.h"

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

/* y[r][c] in double, and how much rounding a sum of n_in floats may bring. */
static double expected(const problem *p, size_t r, size_t c, double *tolerance) {
    double sum = 0, size = 0;
    for (size_t i = 0; i < p->n_in; i++) {
        double term = (double)p->x[r * p->x_stride + i] * (double)p->w_values[c * p->n_in + i];
        sum += term;
        size += fabs(term);
    }
    *tolerance = 1e-6 + size * 0x1p-23 * (1 + sqrt((double)p->n_in));
    return activation(sum + (double)p->bias[c], p->act) + (double)p->residual[r * p->y_stride + c];
}

static float *multiply(const problem *p, vt_pool *pool) {
    vt_err err;
    vt_mat *m;
    float *y = vt_alloc_aligned(p->rows * p->y_stride, sizeof *y);
    assert_non_null(y);
    for (size_t i = 0; i < p->rows * p->y_stride; i++) {
        y[i] = 12345; /* to see what is written between the rows */
    }
    assert_int_equal(vt_mat_pack(p->type, p->w, p->n_out, p->n_in, &m, &err), VT_OK);
    assert_int_equal(vt_mat_n_in(m), p->n_in);
    assert_int_equal(vt_mat_n_out(m), p->n_out);
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
    vt_mat_mul(m, &args, pool);
    vt_mat_close(m);
    return y;
}

static void check_problem(const problem *p, vt_pool *pool) {
    float *y = multiply(p, pool);
    for (size_t r = 0; r < p->rows; r++) {
        for (size_t c = 0; c < p->n_out; c++) {
            double tolerance, want = expected(p, r, c, &tolerance);
            double got = (double)y[r * p->y_stride + c];
            if (!(fabs(got - want) <= tolerance)) {
                fail_msg("%s %zux%zux%zu type %d: y[%zu][%zu] = %.9g, not %.9g", vt_vec_isa(),
                         p->rows, p->n_in, p->n_out, (int)p->type, r, c, got, want);
            }
        }
        for (size_t c = p->n_out; c < p->y_stride; c++) {
            assert_true(y[r * p->y_stride + c] == 12345);
        }
    }
    free(y);
}

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
        check_problem(&p, NULL);
        problem_release(&p);
    }
}

static void test_every_row_count(void **unused) {
    (void)unused;
    for_each_isa(every_row_count);
}

/* Around the edges of panels (32 outputs), of runs (256 inputs) and of pieces (4 panels). */
static void edge_shapes(void) {
    static const size_t inputs[] = {1, 255, 256, 257, 511, 515, 768};
    static const size_t outputs[] = {1, 31, 32, 33, 127, 128, 129, 161};
    vt_pool *pool;
    vt_err err;
    assert_int_equal(vt_pool_open(3, &pool, &err), VT_OK);
    for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++) {
        for (size_t o = 0; o < sizeof outputs / sizeof *outputs; o++) {
            problem p;
            problem_init(&p, 1 + (i * 8 + o) % 17, inputs[i], outputs[o], (vt_dtype)(o % 3));
            check_problem(&p, pool);
            problem_release(&p);
        }
    }
    vt_pool_close(pool);
}

static void test_edge_shapes(void **unused) {
    (void)unused;
    for_each_isa(edge_shapes);
}

/* The promise at the top of vec.h: the same bits alone, among others, and on more threads. */
static void row_alone(void) {
    problem p;
    vt_pool *pool;
    vt_err err;
    assert_int_equal(vt_pool_open(3, &pool, &err), VT_OK);
    problem_init(&p, 131, 515, 161, VT_F32);
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

static void test_row_alone(void **unused) {
    (void)unused;
    for_each_isa(row_alone);
}

static void test_residual_in_place(void **unused) {
    (void)unused;
    problem p;
    vt_mat *m;
    vt_err err;
    problem_init(&p, 20, 600, 70, VT_F32);
    float *want = multiply(&p, NULL);
    assert_int_equal(vt_mat_pack(p.type, p.w, p.n_out, p.n_in, &m, &err), VT_OK);
    vt_mat_mul_args args = {.x = p.x,
                            .y = p.residual,
                            .rows = p.rows,
                            .x_stride = p.x_stride,
                            .y_stride = p.y_stride,
                            .bias = p.bias,
                            .residual = p.residual,
                            .act = p.act};
    vt_mat_mul(m, &args, NULL);
    for (size_t r = 0; r < p.rows; r++) {
        assert_memory_equal(p.residual + r * p.y_stride, want + r * p.y_stride,
                            p.n_out * sizeof *want);
    }
    vt_mat_close(m);
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

/* Fused: the outputs of each matrix side by side, at any address, as a model file has them. */
static void test_pack_many(void **unused) {
    (void)unused;
    enum { ROWS = 9, N_IN = 77 };
    static const size_t n_out[3] = {40, 1, 64};
    unsigned char *odd[3];
    vt_mat *fused, *alone;
    vt_err err;
    float *x = random_floats(ROWS * N_IN), y[ROWS * 105], z[ROWS * 64];
    for (size_t i = 0; i < 3; i++) {
        float *w = random_floats(n_out[i] * N_IN);
        odd[i] = vt_alloc(n_out[i] * N_IN * sizeof *w + 1, 1);
        assert_non_null(odd[i]);
        memcpy(odd[i] + 1, w, n_out[i] * N_IN * sizeof *w);
        free(w);
    }
    const void *w[3] = {odd[0] + 1, odd[1] + 1, odd[2] + 1};
    assert_int_equal(vt_mat_pack_many(VT_F32, w, n_out, 3, N_IN, &fused, &err), VT_OK);
    assert_int_equal(vt_mat_n_out(fused), 105);
    assert_true(vt_mat_bytes(fused) >= 105 * N_IN * sizeof(float));
    vt_mat_mul_args args = {.x = x, .y = y, .rows = ROWS, .x_stride = N_IN, .y_stride = 105};
    vt_mat_mul(fused, &args, NULL);
    for (size_t i = 0, column = 0; i < 3; column += n_out[i++]) {
        assert_int_equal(vt_mat_pack(VT_F32, w[i], n_out[i], N_IN, &alone, &err), VT_OK);
        args.y = z;
        args.y_stride = n_out[i];
        vt_mat_mul(alone, &args, NULL);
        for (size_t r = 0; r < ROWS; r++) {
            assert_memory_equal(z + r * n_out[i], y + r * 105 + column, n_out[i] * sizeof *z);
        }
        vt_mat_close(alone);
        free(odd[i]);
    }
    vt_mat_close(fused);
    free(x);
}

static void test_bad_sizes(void **unused) {
    (void)unused;
    vt_mat *m;
    vt_err err;
    float w = 1;
    const void *many[2] = {&w, &w};
    const size_t huge[2] = {SIZE_MAX, 2};
    assert_int_equal(vt_mat_pack(VT_F32, &w, 0, 1, &m, &err), VT_E_INVALID);
    assert_null(m);
    assert_int_equal(vt_mat_pack(VT_F32, &w, 1, 0, &m, &err), VT_E_INVALID);
    assert_int_equal(vt_mat_pack(VT_F32, &w, SIZE_MAX / 4, 8, &m, &err), VT_E_TOO_LARGE);
    assert_int_equal(vt_mat_pack_many(VT_F32, many, huge, 2, 1, &m, &err), VT_E_TOO_LARGE);
    vt_mat_close(NULL);
    assert_int_equal(vt_dtype_size(VT_F32), 4);
    assert_int_equal(vt_dtype_size(VT_F16), 2);
    assert_int_equal(vt_dtype_size(VT_BF16), 2);
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
        cmocka_unit_test(test_pack_many),
        cmocka_unit_test(test_bad_sizes),
        cmocka_unit_test(test_against_onednn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
