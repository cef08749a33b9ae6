/* Snapshots of a catalogue that is large enough for cells: cells and what was learnt of them come
 * back, products that changed since are found in them, and a rebuild that comes between two slices
 * makes the writing begin again. */
#define VT_TEST_DIM 64
#include "catalog_support.h"

enum { PRODUCTS = 20000, BATCH = 250, CHANGES = 900 };

static char *dir;

static vt_catalog_stats stats_of(vt_catalog *c) {
    vt_catalog_stats stats;
    vt_catalog_describe(c, &stats);
    return stats;
}

static int set_up(void **state) {
    vt_catalog *c;
    vt_err err;
    assert_int_equal(vt_vec_init(NULL, &err), VT_OK);
    dir = folder_make();
    c = catalog_open(dir);
    put_many_made(c, 0, PRODUCTS, 0);
    vt_catalog_close(c);
    return 0;
}

static int tear_down(void **state) {
    folder_remove(dir);
    return 0;
}

/* Each product is found by its own vector, in the cells. */
static void assert_found(vt_catalog *c, unsigned n, unsigned version) {
    vt_product p;
    vt_catalog_hit *hits;
    size_t n_hits;
    vt_err err = {0};
    product_make(&p, n, version);
    assert_int_equal(search_all(c, p.embedding, NULL, 1, &hits, &n_hits, &err), VT_OK);
    assert_int_equal(n_hits, 1);
    assert_string_equal(hits[0].product.id, p.id);
    assert_string_equal(hits[0].product.name, p.name);
    vt_catalog_hits_release(hits, n_hits);
    vt_product_release(&p);
}

static void cells_come_back(void **state) {
    vt_catalog *c = catalog_open(dir);
    vt_catalog_stats before, after;
    float fraction;
    bool done = true;
    vt_err err;
    rebuild_now(c);
    learn_now(c);
    save_now(c);
    before = stats_of(c);
    fraction = vt_catalog_fraction(c, VT_QUERY_IMAGE, 0.95f);
    assert_true(before.cells > 0 && fraction > 0);
    put_many_made(c, 100, CHANGES, 1);
    for (unsigned n = 0; n < 100; n++) {
        char id[32];
        snprintf(id, sizeof id, "product-%05u", n);
        assert_int_equal(vt_catalog_delete(c, id, &err), VT_OK);
    }
    vt_catalog_close(c);
    assert_sound(dir);
    c = catalog_open(dir);
    after = stats_of(c);
    assert_true(after.from_snapshot);
    assert_int_equal(after.replayed, CHANGES + 100);
    assert_int_equal(after.products, PRODUCTS - 100);
    assert_int_equal(after.cells, before.cells);
    assert_true(vt_catalog_fraction(c, VT_QUERY_IMAGE, 0.95f) == fraction);
    assert_int_equal(vt_catalog_rebuild(c, NULL, NULL, &done, &err), VT_OK);
    assert_false(done); /* nothing to make anew */
    for (unsigned n = 100; n < 2000; n += 37)
        assert_found(c, n, n < 100 + CHANGES);
    put_many_made(c, 0, 100, 0); /* over the map */
    put_many_made(c, 100, CHANGES, 0);
    save_now(c);
    vt_catalog_close(c);
    assert_sound(dir);
}

typedef struct rebuilder {
    vt_catalog *c;
    int calls;
} rebuilder;

/* Makes all cells anew once, when some slices are written. */
static bool rebuild_between(void *ctx) {
    rebuilder *r = ctx;
    if (++r->calls == 4)
        rebuild_now(r->c);
    return false;
}

static void a_rebuild_between_slices(void **state) {
    vt_catalog *c = catalog_open(dir);
    rebuilder r = {.c = c};
    bool done = false;
    vt_err err = {0};
    put_many_made(c, 0, PRODUCTS, 5); /* all changed: cells are due */
    if (vt_catalog_save(c, true, rebuild_between, &r, &done, &err) != VT_OK)
        fail_msg("%s", err.text);
    assert_true(done && r.calls > 4);
    vt_catalog_close(c);
    assert_sound(dir);
    c = catalog_open(dir);
    assert_true(stats_of(c).from_snapshot);
    assert_int_equal(stats_of(c).replayed, 0);
    vt_catalog_close(c);
}

/* Changes many products between slices, so that rows leave cells that are written for those that
 * are not, and the other way round. */
typedef struct mover {
    vt_catalog *c;
    unsigned version;
} mover;

static bool move_between(void *ctx) {
    mover *m = ctx;
    m->version++;
    put_many_made(m->c, (m->version * 977) % (PRODUCTS - BATCH), BATCH, m->version);
    return false;
}

static void products_move_between_slices(void **state) {
    vt_catalog *c = catalog_open(dir);
    mover m = {c, 100};
    bool done = false;
    vt_err err = {0};
    if (vt_catalog_save(c, true, move_between, &m, &done, &err) != VT_OK)
        fail_msg("%s", err.text);
    assert_true(done);
    vt_catalog_close(c);
    assert_sound(dir);
    c = catalog_open(dir);
    assert_true(stats_of(c).from_snapshot);
    assert_true(stats_of(c).replayed >= BATCH);
    assert_true(stats_of(c).cells > 0);
    vt_catalog_close(c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cells_come_back),
        cmocka_unit_test(a_rebuild_between_slices),
        cmocka_unit_test(products_move_between_slices),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
