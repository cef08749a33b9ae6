/* vt_index_check is what the other tests lean on, so it must see what it says it sees: each part of
 * an index is damaged behind its back, seen, and put right again. */
#include "index_support.h"

#include "index/room.h"

#define DIM 70
#define N   600

static void stock(shelf *s) {
    world w;
    world_open(&w, DIM, 10);
    shelf_open(s, DIM, N);
    shelf_fill(s, &w, 0, N);
    make_cells(s->ix, NULL);
    for (uint32_t slot = 0; slot < N; slot += 5) {
        shelf_remove(s, slot);
    }
    shelf_put_picture(s, 10, &w);
    world_close(&w);
}

/* What is wrong is told, and nothing is wrong when it is as it was. */
static void assert_seen(const shelf *s, void *at, const void *damage, size_t n, const char *text) {
    uint8_t was[64];
    vt_err err = {0};
    assert_true(n <= sizeof was && memcmp(at, damage, n) != 0);
    ok(vt_index_check(s->ix, &err), &err);
    memcpy(was, at, n);
    memcpy(at, damage, n);
    assert_int_equal(vt_index_check(s->ix, &err), VT_E_CORRUPT);
    if (!strstr(err.text, text)) {
        fail_msg("\"%s\" does not tell of \"%s\"", err.text, text);
    }
    memcpy(at, was, n);
    ok(vt_index_check(s->ix, &err), &err);
}

#define ASSERT_SEEN(s, lvalue, value, text)                                                        \
    do {                                                                                           \
        __typeof__(lvalue) damage_ = (value);                                                      \
        assert_seen(s, &(lvalue), &damage_, sizeof damage_, text);                                 \
    } while (0)

static void test_counts(void **unused) {
    (void)unused;
    shelf s;
    stock(&s);
    ASSERT_SEEN(&s, s.ix->live_count, s.ix->live_count + 1, "slots are live");
    ASSERT_SEEN(&s, s.ix->live.words[1], s.ix->live.words[1] ^ 2, "slots are live");
    ASSERT_SEEN(&s, s.ix->live.words[s.ix->live.cap - 1], UINT64_MAX, "bitset");
    ASSERT_SEEN(&s, s.ix->cells->rows, s.ix->cells->rows - 1, "are counted");
    ASSERT_SEEN(&s, s.ix->fine.n_blocks, 0, "block");
    shelf_close(&s);
}

static void test_rows(void **unused) {
    (void)unused;
    shelf s;
    stock(&s);
    vt_fine_block *b = &s.ix->fine.blocks[0];
    uint8_t *row = b->rows + 7 * s.ix->fine.row_bytes;
    ASSERT_SEEN(&s, b->steps[7], b->steps[7] * 1.01f, "slot 7");
    ASSERT_SEEN(&s, b->steps[7], 0, "slot 7");
    ASSERT_SEEN(&s, b->steps[7], NAN, "slot 7");
    ASSERT_SEEN(&s, b->steps[7], INFINITY, "slot 7");
    uint8_t other[32];
    for (size_t i = 0; i < sizeof other; i++) { /* as long, but not what was coded */
        other[i] = row[sizeof other - 1 - i];
    }
    assert_seen(&s, row, other, sizeof other, "slot 7");
    b->steps[5] = NAN; /* of a slot that is not live, nothing is said */
    vt_err err;
    ok(vt_index_check(s.ix, &err), &err);
    shelf_close(&s);
}

static void test_codes(void **unused) {
    (void)unused;
    shelf s;
    stock(&s);
    vt_cells *c = s.ix->cells;
    vt_cell *cell = &c->cells[c->place[7]];
    size_t i = vt_cell_find(cell, 7);
    ASSERT_SEEN(&s, cell->scale[i], cell->scale[i] * 1.001f, "slot 7");
    ASSERT_SEEN(&s, cell->along[i], NAN, "slot 7");
    ASSERT_SEEN(&s, cell->error[i], 0, "slot 7");
    for (size_t w = 0; w < vt_code_words(DIM); w++) {
        size_t block = i / VT_CODE_ROWS * vt_code_words(DIM);
        uint8_t *word = cell->codes + ((block + w) * VT_CODE_ROWS + i % VT_CODE_ROWS) * 4;
        for (size_t j = 0; j < 4; j++) {
            ASSERT_SEEN(&s, word[j], (uint8_t)(word[j] ^ (j % 2 ? 1 : 0x80)), "slot 7");
        }
    }
    shelf_close(&s);
}

static void test_places(void **unused) {
    (void)unused;
    shelf s;
    stock(&s);
    vt_cells *c = s.ix->cells;
    uint32_t here = c->place[7], elsewhere = (here + 1) % (uint32_t)c->n;
    vt_cell *cell = &c->cells[here];
    size_t i = vt_cell_find(cell, 7), j = (i + 1) % cell->n;
    assert_true(cell->n >= 2);
    ASSERT_SEEN(&s, c->place[7], elsewhere, "elsewhere");
    ASSERT_SEEN(&s, c->place[7], VT_NOWHERE, "slot 7");
    ASSERT_SEEN(&s, c->place[7], (uint32_t)c->n, "slot 7");
    ASSERT_SEEN(&s, c->place[5], here, "place"); /* not live */
    ASSERT_SEEN(&s, cell->slots[i], cell->slots[j], "twice");
    ASSERT_SEEN(&s, cell->slots[i], 5, "slot 5");
    ASSERT_SEEN(&s, cell->slots[i], UINT32_MAX, "elsewhere");
    ASSERT_SEEN(&s, cell->n, cell->n - 1, "rows");
    ASSERT_SEEN(&s, cell->n, cell->cap + 1, "fit");
    shelf_close(&s);
}

/* The worst there is to round: one coordinate that makes steps large, and all others halfway
 * between two, behind a rotation that is no secret. What can be put is whole when it is there. */
static void test_whatever_was_put(void **unused) {
    (void)unused;
    static const size_t dims[] = {64, 512, 770, 4096};
    for (size_t d = 0; d < sizeof dims / sizeof *dims; d++) {
        size_t dim = dims[d];
        const float most = 0.8f, rest = sqrtf((1 - most * most) / (float)(dim - 1));
        const float step = most / 2047, halfway = (floorf(rest / step) + 0.49f) * step;
        vt_index *ix;
        vt_err err;
        ok(vt_index_open(dim, &ix, &err), &err);
        float *v = vt_alloc(dim, sizeof *v);
        assert_non_null(v);
        for (size_t i = 0; i < dim; i++) {
            v[i] = i == 0 ? most : i % 2 ? halfway : -halfway;
        }
        assert_true(vt_vec_normalize(v, dim) > 0);
        vt_rotation_undo(ix->rotation, v);
        for (uint32_t slot = 0; slot < 8; slot++) {
            ok(vt_index_put(ix, slot, v, &err), &err);
            ok(vt_index_check(ix, &err), &err);
        }
        make_cells(ix, NULL);
        ok(vt_index_put(ix, 3, v, &err), &err);
        ok(vt_index_check(ix, &err), &err);
        free(v);
        vt_index_close(ix);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_codes),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_whatever_was_put),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
