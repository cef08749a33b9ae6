/* Rotation and codes: against what the paper says, computed again in double, for every instruction
 * set; and the error that a code promises against the one it makes. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "index/codes.h"

#define MOST_DIM 768

static const size_t dims[] = {64, 65, 100, 512, 768};
#define N_DIMS (sizeof dims / sizeof *dims)

static uint64_t state = 1;

static double random_double(void) {
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (double)((int64_t)(state * 0x2545F4914F6CDD1Du) >> 11) * 0x1p-52;
}

/* Unit vectors with a common direction, and one coordinate that outweighs the others. */
static void random_unit(float *v, size_t dim) {
    for (size_t i = 0; i < dim; i++) {
        v[i] = (float)(random_double() + (i % 3 == 0));
    }
    v[7] = 10;
    assert_true(vt_vec_normalize(v, dim) > 0);
}

static double dot(const float *a, const float *b, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += (double)a[i] * (double)b[i];
    }
    return sum;
}

/* ---- rotation --------------------------------------------------------------------------- */

static void test_rotation_keeps_products(void **unused) {
    (void)unused;
    for (size_t d = 0; d < N_DIMS; d++) {
        float a[MOST_DIM], b[MOST_DIM];
        size_t dim = dims[d];
        vt_rotation *r;
        vt_err err;
        assert_int_equal(vt_rotation_open(dim, &r, &err), VT_OK);
        random_unit(a, dim);
        random_unit(b, dim);
        double before = dot(a, b, dim);
        vt_rotation_apply(r, a);
        vt_rotation_apply(r, b);
        assert_true(fabs(dot(a, b, dim) - before) < 1e-5);
        assert_true(fabs(dot(a, a, dim) - 1) < 1e-5);
        vt_rotation_close(r);
    }
}

/* A vector along one axis comes out spread over all of them. */
static void test_rotation_spreads(void **unused) {
    (void)unused;
    for (size_t d = 0; d < N_DIMS; d++) {
        for (size_t axis = 0; axis < dims[d]; axis += 7) {
            float v[MOST_DIM] = {0};
            vt_rotation *r;
            vt_err err;
            assert_int_equal(vt_rotation_open(dims[d], &r, &err), VT_OK);
            v[axis] = 1;
            vt_rotation_apply(r, v);
            for (size_t i = 0; i < dims[d]; i++) {
                assert_true(fabs((double)v[i]) < 8 / sqrt((double)dims[d]));
            }
            vt_rotation_close(r);
        }
    }
}

/* ---- codes ------------------------------------------------------------------------------ */

typedef struct shelf {
    size_t dim;
    vt_coder *coder;
    vt_chunk *chunk;
    vt_rotation *rotation;
    float *rows; /* [VT_CHUNK_ROWS][dim] */
    uint64_t live[VT_CHUNK_ROWS / 64];
} shelf;

static void shelf_open(shelf *s, size_t dim) {
    vt_err err;
    s->dim = dim;
    s->rows = calloc(VT_CHUNK_ROWS * dim, sizeof *s->rows);
    assert_non_null(s->rows);
    assert_int_equal(vt_coder_open(dim, &s->coder, &err), VT_OK);
    assert_int_equal(vt_rotation_open(dim, &s->rotation, &err), VT_OK);
    s->chunk = vt_chunk_open(s->coder);
    assert_non_null(s->chunk);
    for (size_t r = 0; r < VT_CHUNK_ROWS; r++) {
        bool live = r % 5 != 3; /* holes, whose rows are zeros */
        s->live[r / 64] = (s->live[r / 64] & ~((uint64_t)1 << r % 64)) | (uint64_t)live << r % 64;
        if (live) {
            random_unit(s->rows + r * dim, dim);
        }
    }
    vt_chunk_make(s->coder, s->chunk, s->rows, s->live);
}

static void shelf_close(shelf *s) {
    vt_chunk_close(s->chunk);
    vt_coder_close(s->coder);
    vt_rotation_close(s->rotation);
    free(s->rows);
}

static bool is_live(const shelf *s, size_t row) {
    return s->live[row / 64] >> row % 64 & 1;
}

/* The estimate and its error as codes.c states them, from the row itself. */
static double estimate_again(const shelf *s, size_t row, const float *q, double *error) {
    const size_t dim = s->dim;
    float centre[MOST_DIM], x[MOST_DIM], turned[MOST_DIM];
    double grid[MOST_DIM], xu = 0, uu = 0, qu = 0, cr = 0, rr = 0, most = 0;
    for (size_t i = 0; i < dim; i++) {
        double sum = 0, n = 0;
        for (size_t r = 0; r < VT_CHUNK_ROWS; r++) {
            sum += is_live(s, r) ? (double)s->rows[r * dim + i] : 0;
            n += is_live(s, r);
        }
        centre[i] = (float)(sum / n);
        x[i] = s->rows[row * dim + i] - centre[i];
    }
    double cc = dot(centre, centre, dim), qc = dot(q, centre, dim);
    double step = 0.3352 * sqrt(dot(x, x, dim) / (double)dim);
    memcpy(turned, q, dim * sizeof *q);
    vt_rotation_apply(s->rotation, turned);
    vt_rotation_apply(s->rotation, x);
    vt_rotation_apply(s->rotation, centre);
    for (size_t i = 0; i < dim; i++) {
        grid[i] = fmin(7.5, fmax(-7.5, floor((double)x[i] / step) + 0.5));
        xu += (double)x[i] * grid[i];
        uu += grid[i] * grid[i];
        most = fmax(most, fabs((double)turned[i]));
    }
    for (size_t i = 0; i < dim; i++) {
        double r = (double)x[i] - xu / uu * grid[i];
        qu += rint((double)turned[i] / most * 127) * most / 127 * grid[i];
        cr += (double)centre[i] * r;
        rr += r * r;
    }
    *error = sqrt((rr - cr * cr / cc) / (double)dim * (1 - qc * qc / cc));
    return qc + xu / uu * qu + cr / cc * qc;
}

static void scores_of(const shelf *s, const float *q, float margin, float *scores) {
    vt_code_ask ask;
    vt_err err;
    assert_int_equal(vt_code_ask_init(s->coder, q, &ask, &err), VT_OK);
    vt_code_query query = vt_code_ask_chunk(&ask, s->chunk, margin);
    for (size_t b = 0; b < VT_CHUNK_ROWS / VT_CODE_ROWS; b++) {
        vt_chunk_scores(s->chunk, &query, b, scores + b * VT_CODE_ROWS);
    }
    vt_code_ask_release(&ask);
}

/* A number that lies on the border of two levels may be rounded either way: one step of one
 * coordinate, hence not to the last bit. */
static void check_estimates(const shelf *s) {
    float q[MOST_DIM], plain[VT_CHUNK_ROWS], above[VT_CHUNK_ROWS];
    random_unit(q, s->dim);
    scores_of(s, q, 0, plain);
    scores_of(s, q, 2, above);
    for (size_t r = 0; r < VT_CHUNK_ROWS; r += 37) {
        double error, want;
        if (is_live(s, r)) {
            want = estimate_again(s, r, q, &error);
            assert_true(fabs((double)plain[r] - want) < error / 5 + 1e-6);
            assert_true(fabs((double)(above[r] - plain[r]) - 2 * error) < error / 20);
        }
    }
}

static void test_estimates(void **unused) {
    (void)unused;
    vt_err err;
    for (const char *const *isa = vt_vec_isas(); *isa; isa++) {
        assert_int_equal(vt_vec_init(*isa, &err), VT_OK);
        for (size_t d = 0; d < N_DIMS; d++) {
            shelf s = {0};
            shelf_open(&s, dims[d]);
            check_estimates(&s);
            shelf_close(&s);
        }
    }
    assert_int_equal(vt_vec_init(NULL, &err), VT_OK);
}

/* Errors have mean 0 and the deviation that the codes state. */
static void test_error_is_as_stated(void **unused) {
    (void)unused;
    shelf s = {0};
    double sum = 0, squares = 0, n = 0;
    shelf_open(&s, 512);
    for (size_t i = 0; i < 20; i++) {
        float q[MOST_DIM], plain[VT_CHUNK_ROWS], above[VT_CHUNK_ROWS];
        random_unit(q, s.dim);
        scores_of(&s, q, 0, plain);
        scores_of(&s, q, 1, above);
        for (size_t r = 0; r < VT_CHUNK_ROWS; r++) {
            if (is_live(&s, r)) {
                double off = dot(q, s.rows + r * s.dim, s.dim) - (double)plain[r];
                double units = off / (double)(above[r] - plain[r]);
                sum += units;
                squares += units * units;
                n++;
            }
        }
    }
    assert_true(fabs(sum / n) < 0.1);
    assert_true(sqrt(squares / n) > 0.8 && sqrt(squares / n) < 1.2);
    shelf_close(&s);
}

/* A put after the chunk was made changes that row's code alone. */
static void test_put_changes_one_row(void **unused) {
    (void)unused;
    shelf s = {0};
    float v[MOST_DIM], before[VT_CHUNK_ROWS], after[VT_CHUNK_ROWS];
    shelf_open(&s, 100);
    random_unit(v, s.dim);
    scores_of(&s, v, 0, before);
    assert_false(vt_chunk_holds(s.coder, s.chunk, 40, v));
    vt_chunk_put(s.coder, s.chunk, 40, v);
    assert_true(vt_chunk_holds(s.coder, s.chunk, 40, v));
    scores_of(&s, v, 0, after);
    assert_true(fabs((double)after[40] - 1) < 0.05);
    for (size_t r = 0; r < VT_CHUNK_ROWS; r++) {
        assert_true(r == 40 || before[r] == after[r]);
        assert_true(r == 40 || !is_live(&s, r) ||
                    vt_chunk_holds(s.coder, s.chunk, r, s.rows + r * s.dim));
    }
    shelf_close(&s);
}

/* Rows that are all the same are their own centre: nothing is left to code. */
static void test_equal_rows(void **unused) {
    (void)unused;
    shelf s = {0};
    float scores[VT_CHUNK_ROWS];
    shelf_open(&s, 64);
    for (size_t r = 1; r < VT_CHUNK_ROWS; r++) {
        memcpy(s.rows + r * s.dim, s.rows, s.dim * sizeof *s.rows);
    }
    vt_chunk_make(s.coder, s.chunk, s.rows, s.live);
    scores_of(&s, s.rows, 3, scores);
    for (size_t r = 0; r < VT_CHUNK_ROWS; r++) {
        assert_true(!is_live(&s, r) || fabs((double)scores[r] - 1) < 1e-3);
    }
    shelf_close(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rotation_keeps_products),
        cmocka_unit_test(test_rotation_spreads),
        cmocka_unit_test(test_estimates),
        cmocka_unit_test(test_error_is_as_stated),
        cmocka_unit_test(test_put_changes_one_row),
        cmocka_unit_test(test_equal_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
