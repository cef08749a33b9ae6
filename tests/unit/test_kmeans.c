/* Centres for cells: rows go to their nearest centre as brute force in double says, a round
 * brings centres nearer to the rows, and no centre is left with next to nothing. */
#include "index_support.h"

#include "index/kmeans.h"

#define DIM 70

static double distance(const float *a, const float *b) {
    double sum = 0;
    for (size_t i = 0; i < DIM; i++) {
        double off = (double)a[i] - (double)b[i];
        sum += off * off;
    }
    return sum;
}

static double nearest(const float *x, const float *centres, size_t n) {
    double least = INFINITY;
    for (size_t c = 0; c < n; c++) {
        least = fmin(least, distance(x, centres + c * DIM));
    }
    return least;
}

/* Rows lie further apart than they are long. On the border of two cells bf16 may choose either: of
 * those that lie as near but for its rounding. */
static void test_assigner(void **unused) {
    (void)unused;
    enum { CENTRES = 37, STRIDE = DIM + 26 };
    float *centres = random_normals(CENTRES * DIM, 0.1f);
    float *x = random_normals(VT_ASSIGN_ROWS * STRIDE, 0.1f);
    vt_err err;
    for (const char *const *isa = vt_vec_isas(); *isa; isa++) {
        vt_assigner a;
        uint32_t to[VT_ASSIGN_ROWS];
        ok(vt_vec_init(*isa, &err), &err);
        ok(vt_assigner_open(DIM, CENTRES, &a, &err), &err);
        vt_assigner_set(&a, centres);
        for (size_t rows = 1; rows <= VT_ASSIGN_ROWS; rows = rows * 3 + 1) {
            memset(to, 0xFF, sizeof to);
            vt_assigner_run(&a, x, STRIDE, rows, to, NULL);
            for (size_t r = 0; r < rows; r++) {
                const float *row = x + r * STRIDE;
                assert_true(to[r] < CENTRES);
                double got = distance(row, centres + to[r] * DIM);
                assert_true(got <= nearest(row, centres, CENTRES) + 0.02);
            }
            assert_true(rows == VT_ASSIGN_ROWS || to[rows] == UINT32_MAX);
        }
        vt_assigner_close(&a);
    }
    ok(vt_vec_init(NULL, &err), &err);
    free(centres);
    free(x);
}

static double mean_distance(const float *x, size_t rows, const float *centres, size_t n) {
    double sum = 0;
    for (size_t r = 0; r < rows; r++) {
        sum += nearest(x + r * DIM, centres, n);
    }
    return sum / (double)rows;
}

static void kmeans(const float *x, size_t rows, size_t n, float *centres) {
    vt_kmeans k = {.x = x, .stride = DIM, .rows = rows, .dim = DIM, .n = n, .centres = centres};
    size_t steps = 1;
    vt_err err;
    ok(vt_kmeans_open(&k, &err), &err);
    while (vt_kmeans_step(&k, NULL)) {
        steps++;
    }
    assert_int_equal(steps % ((rows + VT_ASSIGN_ROWS - 1) / VT_ASSIGN_ROWS), 0); /* whole rounds */
    vt_kmeans_close(&k);
}

/* Clusters of very different sizes, in random order: the first rows, where centres begin, are
 * mostly of one of them. */
static void test_uneven_clusters(void **unused) {
    (void)unused;
    enum { CLUSTERS = 12, CENTRES = 24, ROWS = 3000 };
    float *middle = random_normals(CLUSTERS * DIM, 1);
    float *x = random_normals(ROWS * DIM, 0.05f), *centres = vt_alloc(CENTRES * DIM, sizeof *x);
    assert_non_null(centres);
    for (size_t r = 0; r < ROWS; r++) {
        size_t cluster = random_below(3) ? 0 : random_below(CLUSTERS);
        for (size_t i = 0; i < DIM; i++) {
            x[r * DIM + i] += middle[cluster * DIM + i];
        }
    }
    kmeans(x, ROWS, CENTRES, centres);
    double before = mean_distance(x, ROWS, x, CENTRES);
    assert_true(mean_distance(x, ROWS, centres, CENTRES) < before / 2);
    for (size_t c = 0; c < CENTRES; c++) {
        size_t attracted = 0;
        for (size_t r = 0; r < ROWS; r++) {
            const float *row = x + r * DIM;
            attracted += distance(row, centres + c * DIM) <= nearest(row, centres, CENTRES);
        }
        assert_true(attracted > 0 && attracted < ROWS / 4);
    }
    free(middle);
    free(x);
    free(centres);
}

/* As many rows as centres, and rows that are all the same: numbers stay numbers. */
static void test_nothing_to_part(void **unused) {
    (void)unused;
    enum { ROWS = 50 };
    float *x = random_normals(ROWS * DIM, 1), *centres = vt_alloc(ROWS * DIM, sizeof *x);
    assert_non_null(centres);
    for (size_t round = 0; round < 2; round++) {
        kmeans(x, ROWS, ROWS, centres);
        for (size_t r = 0; r < ROWS; r++) {
            assert_true(nearest(x + r * DIM, centres, ROWS) < 2.0 * DIM);
        }
        for (size_t i = 0; i < ROWS * DIM; i++) {
            assert_true(isfinite(centres[i]));
            x[i] = x[i % DIM];
        }
    }
    free(x);
    free(centres);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_assigner),
        cmocka_unit_test(test_uneven_clusters),
        cmocka_unit_test(test_nothing_to_part),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
