/* What an index is made of: the rotation, rows of 12 bits, codes of 4 bits and their cells, each
 * against what its file says, computed again in double, for every instruction set; and the error
 * that a code promises against the one it makes. */
#include "index_support.h"

#include "index/room.h"

#define MOST_DIM 768
#define ROWS     200

static const size_t dims[] = {64, 65, 100, 512, 768};
#define N_DIMS (sizeof dims / sizeof *dims)

/* Unit vectors with a common direction, and one coordinate that outweighs the others. */
static void uneven_unit(float *v, size_t dim) {
    for (size_t i = 0; i < dim; i++) {
        v[i] = random_float() + (i % 3 == 0);
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
    for (size_t dim = 1; dim <= MOST_DIM; dim += dim < 70 ? 1 : 87) {
        float a[MOST_DIM + 8], b[MOST_DIM + 8], back[MOST_DIM + 8];
        vt_rotation *r;
        vt_err err;
        ok(vt_rotation_open(dim, &r, &err), &err);
        random_unit(a, dim);
        random_unit(b, dim);
        double before = dot(a, b, dim);
        memcpy(back, a, dim * sizeof *a);
        vt_rotation_apply(r, a);
        vt_rotation_apply(r, b);
        assert_true(fabs(dot(a, b, dim) - before) < 1e-5);
        assert_true(fabs(dot(a, a, dim) - 1) < 1e-5);
        vt_rotation_undo(r, a);
        for (size_t i = 0; i < dim; i++) {
            assert_float_equal(a[i], back[i], 1e-5);
        }
        vt_rotation_close(r);
    }
}

/* A vector along one axis comes out spread over all of them. */
static void test_rotation_spreads(void **unused) {
    (void)unused;
    for (size_t d = 0; d < N_DIMS; d++) {
        vt_rotation *r;
        vt_err err;
        ok(vt_rotation_open(dims[d], &r, &err), &err);
        for (size_t axis = 0; axis < dims[d]; axis += 7) {
            float v[MOST_DIM] = {0};
            v[axis] = 1;
            vt_rotation_apply(r, v);
            for (size_t i = 0; i < dims[d]; i++) {
                assert_true(fabs((double)v[i]) < 8 / sqrt((double)dims[d]));
            }
        }
        vt_rotation_close(r);
    }
}

/* ---- rows of 12 bits -------------------------------------------------------------------- */

/* Each number is within half a step, 2047 of them to the largest; what is read is what was said. */
static void test_fine_rows(void **unused) {
    (void)unused;
    for (size_t dim = 1; dim <= MOST_DIM; dim += dim < 70 ? 1 : 87) {
        float x[MOST_DIM + 32], got[MOST_DIM + 32], most = 0;
        vt_fine f;
        vt_err err;
        vt_fine_init(&f, dim);
        ok(vt_fine_reserve(&f, 3, &err), &err);
        uint8_t *row = vt_alloc(f.row_bytes, 1);
        assert_non_null(row);
        for (size_t i = 0; i < dim; i++) {
            x[i] = random_normal();
            most = fmaxf(most, fabsf(x[i]));
        }
        float step = vt_fine_encode(&f, x, row);
        assert_float_equal(step, most / 2047, 1e-6 * (double)most);
        vt_fine_set(&f, 3, row, step);
        vt_fine_read(&f, 3, got);
        for (size_t i = 0; i < f.groups * VT_FINE_GROUP; i++) {
            float want = i < dim ? x[i] : 0;
            assert_true(fabsf(got[i] - want) <= step * 0.5001f);
            assert_true(got[i] == step * (float)vt_fine_number(vt_fine_row(&f, 3), i));
        }
        memset(x + dim, 0, (f.groups * VT_FINE_GROUP - dim) * sizeof *x);
        assert_true(fabs((double)vt_fine_score(&f, x, 3) - dot(x, got, dim)) <
                    1e-5 * dot(x, x, dim));
        memset(x, 0, sizeof x);
        assert_true(vt_fine_encode(&f, x, row) == 0);
        free(row);
        vt_fine_release(&f);
    }
}

/* Rows never move, whatever is put after them. */
static void test_fine_blocks(void **unused) {
    (void)unused;
    static const size_t widths[] = {1, 64, 512, 4096, 65536};
    for (size_t d = 0; d < sizeof widths / sizeof *widths; d++) {
        vt_fine f;
        vt_err err;
        vt_fine_init(&f, widths[d]);
        assert_true(f.block_rows >= 1 && (f.block_rows & (f.block_rows - 1)) == 0);
        assert_true(vt_fine_block_bytes(&f) % 64 == 0);
        ok(vt_fine_reserve(&f, 0, &err), &err);
        const uint8_t *first = vt_fine_row(&f, 0);
        ok(vt_fine_reserve(&f, 5 * f.block_rows, &err), &err);
        assert_int_equal(f.n_blocks, 6);
        assert_ptr_equal(first, vt_fine_row(&f, 0));
        assert_true(vt_fine_bytes(&f) >= 6 * f.block_rows * f.row_bytes);
        vt_fine_release(&f);
    }
}

/* ---- codes ------------------------------------------------------------------------------ */

typedef struct shelf_of_codes {
    size_t dim;
    float *rows, *mean; /* [ROWS][dim], rotated */
    vt_cell cell;
} shelf_of_codes;

static void codes_open(shelf_of_codes *s, size_t dim) {
    vt_rotation *r;
    vt_err err;
    *s = (shelf_of_codes){.dim = dim};
    s->rows = vt_alloc(ROWS * dim, sizeof *s->rows);
    s->mean = vt_alloc(dim, sizeof *s->mean);
    assert_true(s->rows && s->mean);
    ok(vt_rotation_open(dim, &r, &err), &err);
    for (size_t i = 0; i < ROWS; i++) {
        uneven_unit(s->rows + i * dim, dim);
        vt_rotation_apply(r, s->rows + i * dim);
        for (size_t j = 0; j < dim; j++) {
            s->mean[j] += s->rows[i * dim + j] / ROWS;
        }
    }
    vt_rotation_close(r);
    s->cell.centre = (vt_centre){s->mean, vt_vec_dot(s->mean, s->mean, dim)};
}

static void codes_put(shelf_of_codes *s, uint32_t slot) {
    vt_code code;
    vt_err err;
    vt_code_make(s->rows + slot * s->dim, &s->cell.centre, s->dim, &code);
    ok(vt_cell_reserve(&s->cell, s->dim, s->cell.n + 1, &err), &err);
    vt_cell_write(&s->cell, s->dim, s->cell.n++, slot, &code);
}

static void codes_fill(shelf_of_codes *s) {
    for (uint32_t slot = 0; slot < ROWS; slot++) {
        codes_put(s, slot);
    }
}

static void codes_close(shelf_of_codes *s) {
    vt_cell_release(&s->cell);
    free(s->rows);
    free(s->mean);
}

/* The estimate and its error as codes.c states them, from the row itself. */
static double estimate_again(const shelf_of_codes *s, size_t row, const float *q, double *error) {
    const size_t dim = s->dim;
    float x[MOST_DIM];
    double grid[MOST_DIM], xu = 0, uu = 0, qu = 0, cr = 0, rr = 0, most = 0;
    for (size_t i = 0; i < dim; i++) {
        x[i] = s->rows[row * dim + i] - s->mean[i];
    }
    double cc = dot(s->mean, s->mean, dim), qc = dot(q, s->mean, dim);
    double step = 0.3352 * sqrt(dot(x, x, dim) / (double)dim);
    for (size_t i = 0; i < dim; i++) {
        grid[i] = fmin(7.5, fmax(-7.5, floor((double)x[i] / step) + 0.5));
        xu += (double)x[i] * grid[i];
        uu += grid[i] * grid[i];
        most = fmax(most, fabs((double)q[i]));
    }
    for (size_t i = 0; i < dim; i++) {
        double r = (double)x[i] - xu / uu * grid[i];
        qu += rint((double)q[i] / most * 127) * most / 127 * grid[i];
        cr += (double)s->mean[i] * r;
        rr += r * r;
    }
    *error = sqrt((rr - cr * cr / cc) / (double)dim * (1 - qc * qc / cc));
    return qc + xu / uu * qu + cr / cc * qc;
}

/* scores[ROWS rounded up]. */
static void scores_of(const shelf_of_codes *s, const float *q, float margin, float *scores) {
    vt_ask ask;
    vt_err err;
    ok(vt_ask_init(&ask, q, s->dim, &err), &err);
    vt_code_query query = vt_ask_centre(&ask, &s->cell.centre, margin);
    for (size_t row = 0; row < s->cell.n; row += VT_CODE_ROWS) {
        vt_cell_scores(&s->cell, &query, row, 0, scores + row);
    }
    vt_ask_release(&ask);
}

/* A number that lies on the border of two levels may be rounded either way: one step of one
 * coordinate, hence not to the last bit. */
static void check_estimates(const shelf_of_codes *s) {
    float q[MOST_DIM], plain[ROWS + VT_CODE_ROWS], above[ROWS + VT_CODE_ROWS];
    uneven_unit(q, s->dim);
    scores_of(s, q, 0, plain);
    scores_of(s, q, 2, above);
    for (size_t r = 0; r < ROWS; r += 7) {
        double error, want = estimate_again(s, r, q, &error);
        assert_true(fabs((double)plain[r] - want) < error / 5 + 1e-6);
        assert_true(fabs((double)(above[r] - plain[r]) - 2 * error) < error / 20);
    }
}

static void test_estimates(void **unused) {
    (void)unused;
    vt_err err;
    for (const char *const *isa = vt_vec_isas(); *isa; isa++) {
        ok(vt_vec_init(*isa, &err), &err);
        for (size_t d = 0; d < N_DIMS; d++) {
            shelf_of_codes s;
            codes_open(&s, dims[d]);
            codes_fill(&s);
            check_estimates(&s);
            codes_close(&s);
        }
    }
    ok(vt_vec_init(NULL, &err), &err);
}

/* Errors have mean 0 and the deviation that the codes state. */
static void test_error_is_as_stated(void **unused) {
    (void)unused;
    enum { DIM = 512, ASKED = 100 };
    shelf_of_codes s;
    double sum = 0, squares = 0, n = (double)ASKED * ROWS;
    codes_open(&s, DIM);
    codes_fill(&s);
    for (size_t i = 0; i < ASKED; i++) {
        float q[DIM], plain[ROWS + VT_CODE_ROWS], above[ROWS + VT_CODE_ROWS];
        uneven_unit(q, DIM);
        scores_of(&s, q, 0, plain);
        scores_of(&s, q, 1, above);
        for (size_t r = 0; r < ROWS; r++) {
            double off = dot(q, s.rows + r * DIM, DIM) - (double)plain[r];
            double units = off / (double)(above[r] - plain[r]);
            sum += units;
            squares += units * units;
        }
    }
    assert_true(fabs(sum / n) < 0.1);
    assert_true(sqrt(squares / n) > 0.8 && sqrt(squares / n) < 1.2);
    codes_close(&s);
}

/* Rows that are their own centre: nothing is left to code. */
static void test_equal_rows(void **unused) {
    (void)unused;
    shelf_of_codes s;
    float scores[ROWS + VT_CODE_ROWS];
    codes_open(&s, 64);
    for (size_t r = 0; r < ROWS; r++) {
        memcpy(s.rows + r * s.dim, s.mean, s.dim * sizeof *s.rows);
    }
    codes_fill(&s);
    scores_of(&s, s.mean, 3, scores);
    for (size_t r = 0; r < ROWS; r++) {
        assert_true(fabs((double)(scores[r] - s.cell.centre.squares)) < 1e-3);
    }
    codes_close(&s);
}

/* ---- a cell ------------------------------------------------------------------------------- */

static void check_cell(const shelf_of_codes *s, const bool *in) {
    size_t n = 0;
    for (uint32_t slot = 0; slot < ROWS; slot++) {
        size_t at = vt_cell_find(&s->cell, slot);
        vt_code code;
        assert_int_equal(at < s->cell.n, in[slot]);
        n += in[slot];
        if (in[slot]) {
            vt_code_make(s->rows + slot * s->dim, &s->cell.centre, s->dim, &code);
            assert_true(vt_cell_holds(&s->cell, s->dim, at, &code));
        }
    }
    assert_int_equal(s->cell.n, n);
    assert_true(s->cell.cap >= n && s->cell.cap % VT_CODE_ROWS == 0);
}

/* Grows by one, is forgotten in any order, grows again: what is there keeps its code. */
static void test_cell_changes(void **unused) {
    (void)unused;
    for (size_t d = 0; d < N_DIMS; d += 2) {
        shelf_of_codes s;
        bool in[ROWS] = {false};
        codes_open(&s, dims[d]);
        for (size_t round = 0; round < 1500; round++) {
            uint32_t slot = random_below(ROWS);
            if (in[slot]) {
                vt_cell_drop(&s.cell, s.dim, vt_cell_find(&s.cell, slot));
            } else {
                codes_put(&s, slot);
            }
            in[slot] = !in[slot];
            if (round % 100 == 0) {
                check_cell(&s, in);
            }
        }
        check_cell(&s, in);
        codes_close(&s);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rotation_keeps_products),
        cmocka_unit_test(test_rotation_spreads),
        cmocka_unit_test(test_fine_rows),
        cmocka_unit_test(test_fine_blocks),
        cmocka_unit_test(test_estimates),
        cmocka_unit_test(test_error_is_as_stated),
        cmocka_unit_test(test_equal_rows),
        cmocka_unit_test(test_cell_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
