/* The index in a file and back: the same hits with the same bits, the life that goes on after a
 * load, saving in pieces while the index changes, fewer slots than the file has, and files that
 * lack something. */
#include "index_support.h"

#include <unistd.h>

#define DIM      64
#define CLUSTERS 40
#define K        10

static const char database[] = "0e8a7c52-3d0a-4a53-9c3b-52d0f8a6c1f7";

static vt_snapshot_key key_of(uint64_t seq) {
    vt_snapshot_key key = {.model = vt_hash_bytes("model", 5), .seq = seq};
    memcpy(key.database_id, database, sizeof database);
    return key;
}

/* ---- a folder that goes away ------------------------------------------------------------ */

static char folder[64], path[128];

static int make_folder(void **unused) {
    (void)unused;
    (void)snprintf(folder, sizeof folder, "/tmp/vitrine-test-XXXXXX");
    if (!mkdtemp(folder)) {
        return -1;
    }
    (void)snprintf(path, sizeof path, "%s/index", folder);
    return 0;
}

/* Fails where a test left another file there, such as one in the making. */
static int remove_folder(void **unused) {
    (void)unused;
    return unlink(path) == 0 && rmdir(folder) == 0 ? 0 : -1;
}

/* ---- there and back ----------------------------------------------------------------------- */

static void save(const vt_index *ix) {
    vt_snapshot_writer *w;
    vt_snapshot_key key = key_of(17);
    vt_err err;
    uint64_t state = 0;
    bool more = true;
    ok(vt_snapshot_begin(path, &key, &w, &err), &err);
    while (more) {
        ok(vt_index_save(ix, w, &state, &more, &err), &err);
        ok(vt_snapshot_flush(w, &err), &err);
    }
    ok(vt_snapshot_commit(w, &err), &err);
    vt_snapshot_close(w);
}

typedef struct loaded {
    vt_snapshot *snapshot;
    vt_index *ix;
} loaded;

static vt_status load(size_t dim, const vt_bitset *keep, loaded *l, vt_err *err) {
    vt_hash model = vt_hash_bytes("model", 5);
    const vt_snapshot_wanted wanted = {.database_id = database, .model = &model};
    vt_pool *pool;
    uint64_t seq;
    ok(vt_pool_open(2, &pool, err), err);
    ok(vt_snapshot_open(path, &wanted, pool, &l->snapshot, &seq, err), err);
    assert_int_equal(seq, 17);
    vt_pool_close(pool);
    l->ix = (vt_index *)l; /* to see it set to NULL */
    vt_status s = vt_index_load(l->snapshot, dim, keep, &l->ix, err);
    assert_true((s == VT_OK) == (l->ix != NULL));
    if (s != VT_OK) {
        assert_true(strlen(err->text) > 0);
        vt_snapshot_release(l->snapshot);
    }
    return s;
}

static void loaded_close(loaded *l) {
    vt_index_close(l->ix);
    vt_snapshot_release(l->snapshot);
}

static void assert_same_answers(const shelf *s, const vt_index *other) {
    shelf t = *s;
    memcpy(&t.ix, &other, sizeof other);
    for (size_t i = 0; i < 60; i++) {
        static const float recalls[] = {1, 0.98f, 0.9f};
        vt_hit hits[K], again[K];
        vt_index_query q = {.vector = shelf_row(s, (uint32_t)(i * s->slots / 60)),
                            .k = K,
                            .kind = (vt_query_kind)(i / 3 % VT_QUERY_KINDS),
                            .recall = recalls[i % 3]};
        if (shelf_score(s, q.vector, (uint32_t)(i * s->slots / 60)) < 0.5) {
            continue; /* a slot that was never put */
        }
        size_t n = shelf_search(s, &q, NULL, hits, NULL);
        assert_int_equal(shelf_search(&t, &q, NULL, again, NULL), n);
        assert_memory_equal(hits, again, n * sizeof *hits);
    }
}

static void assert_same_rows(const shelf *s, const vt_index *other) {
    assert_int_equal(vt_index_dim(other), s->dim);
    assert_int_equal(vt_index_count(other), vt_index_count(s->ix));
    for (uint32_t slot = 0; slot < s->slots; slot++) {
        float v[DIM], w[DIM];
        bool live = vt_index_get(s->ix, slot, v);
        assert_int_equal(vt_index_get(other, slot, w), live);
        assert_true(!live || memcmp(v, w, sizeof v) == 0);
    }
}

/* Changes a loaded index in every way and compares it with what it should hold. */
static void live_on(shelf *s, const world *w, loaded *l) {
    vt_index *own = s->ix;
    vt_err err;
    s->ix = l->ix;
    for (size_t i = 0; i < 600; i++) {
        uint32_t slot = random_below((uint32_t)s->slots);
        if (random_below(3) == 0) {
            shelf_remove(s, slot);
        } else {
            shelf_put_picture(s, slot, w);
        }
    }
    shelf_check(s);
    assert_same_answers(s, s->ix);
    if (vt_index_count(s->ix) >= 4) {
        make_cells(s->ix, NULL);
    }
    shelf_check(s);
    assert_same_answers(s, s->ix);
    shelf_put_picture(s, 0, w);
    ok(vt_index_check(s->ix, &err), &err);
    s->ix = own;
}

static void round_trip(shelf *s, const world *w) {
    loaded l;
    vt_err err;
    save(s->ix);
    ok(load(DIM, &s->live, &l, &err), &err);
    ok(vt_index_check(l.ix, &err), &err);
    assert_same_rows(s, l.ix);
    assert_same_answers(s, l.ix);
    for (size_t i = 0; i < VT_QUERY_KINDS; i++) {
        vt_query_kind kind = (vt_query_kind)i;
        assert_true(vt_index_fraction(s->ix, kind, 0.9f) == vt_index_fraction(l.ix, kind, 0.9f));
    }
    live_on(s, w, &l);
    save(l.ix); /* over the file that it lies in: the map outlives it */
    ok(vt_index_check(l.ix, &err), &err);
    loaded_close(&l);
    ok(load(DIM, &s->live, &l, &err), &err);
    vt_index_close(s->ix); /* what lived on is the shelf's now, for the next */
    s->ix = l.ix;
    shelf_check(s);
    s->ix = NULL;
    loaded_close(&l);
}

enum { PLAIN, CELLS, LEARNT, HOLES, STAGES };

static void stock(shelf *s, world *w, size_t n, int stage) {
    random_state = 1;
    world_open(w, DIM, CLUSTERS);
    shelf_open(s, DIM, n + n / 2 + 1);
    shelf_fill(s, w, 0, n);
    if (stage >= CELLS) {
        make_cells(s->ix, NULL);
    }
    if (stage >= LEARNT) {
        float *words = world_queries(w, true, 50);
        learn(s->ix, VT_QUERY_IMAGE, NULL, 0);
        learn(s->ix, VT_QUERY_TEXT, words, 50);
        free(words);
    }
    for (uint32_t slot = 0; stage >= HOLES && slot < n; slot += 3) {
        shelf_remove(s, slot);
        shelf_put_picture(s, slot % 2 ? slot + 1 : slot + (uint32_t)n / 2, w);
    }
    shelf_check(s);
}

static void test_round_trip(void **unused) {
    (void)unused;
    for (int stage = PLAIN; stage < STAGES; stage++) {
        world w;
        shelf s;
        stock(&s, &w, 3000, stage);
        round_trip(&s, &w);
        shelf_close(&s);
        world_close(&w);
    }
}

static void test_small_ones(void **unused) {
    (void)unused;
    static const size_t sizes[] = {1, 2, 63, 64, 65};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        world w;
        shelf s;
        stock(&s, &w, sizes[i], PLAIN);
        round_trip(&s, &w);
        shelf_close(&s);
        world_close(&w);
    }
}

static void test_empty(void **unused) {
    (void)unused;
    for (size_t put = 0; put < 2; put++) {
        float v[DIM] = {1};
        loaded l;
        shelf s;
        vt_err err;
        shelf_open(&s, DIM, 10);
        if (put) {
            shelf_put(&s, 3, v);
            shelf_remove(&s, 3);
        }
        save(s.ix);
        ok(load(DIM, &s.live, &l, &err), &err);
        ok(vt_index_check(l.ix, &err), &err);
        assert_int_equal(vt_index_count(l.ix), 0);
        ok(vt_index_put(l.ix, 5, v, &err), &err);
        assert_int_equal(vt_index_count(l.ix), 1);
        ok(vt_index_check(l.ix, &err), &err);
        loaded_close(&l);
        shelf_close(&s);
    }
}

/* ---- fewer, and more --------------------------------------------------------------------- */

/* Only the slots of keep are live, and the others can be put. */
static void keep_some(shelf *s, uint32_t per_mille) {
    vt_index *own = s->ix;
    loaded l;
    vt_err err;
    vt_bitset all = s->live;
    vt_bitset_init(&s->live);
    ok(vt_bitset_resize(&s->live, s->slots, &err), &err);
    for (size_t slot = 0; slot < s->slots; slot++) {
        vt_bitset_set(&s->live, slot, vt_bitset_get(&all, slot) && random_below(1000) < per_mille);
    }
    ok(load(DIM, &s->live, &l, &err), &err);
    s->ix = l.ix;
    shelf_check(s);
    assert_same_answers(s, s->ix);
    for (uint32_t slot = 0; slot < s->slots; slot++) {
        if (vt_bitset_get(&all, slot) && random_below(2)) {
            shelf_put(s, slot, shelf_row(s, slot));
        }
    }
    shelf_check(s);
    loaded_close(&l);
    vt_bitset_release(&s->live);
    s->live = all;
    s->ix = own;
}

static void test_keep(void **unused) {
    (void)unused;
    static const uint32_t per_mille[] = {999, 500, 0};
    for (int stage = PLAIN; stage < STAGES; stage++) {
        world w;
        shelf s;
        stock(&s, &w, 2000, stage);
        save(s.ix);
        for (size_t i = 0; i < sizeof per_mille / sizeof *per_mille; i++) {
            keep_some(&s, per_mille[i]);
        }
        shelf_close(&s);
        world_close(&w);
    }
}

/* A keep that is shorter than the slots, one that is longer, and one that wants what is not there:
 * a removed slot, one above all, one far above. */
static void test_keep_wants_more(void **unused) {
    (void)unused;
    for (int stage = PLAIN; stage < STAGES; stage++) {
        world w;
        shelf s;
        loaded l;
        vt_err err;
        stock(&s, &w, 1000, stage);
        shelf_remove(&s, 500);
        uint32_t slots = (uint32_t)vt_index_slots(s.ix);
        const uint32_t missing[] = {500, slots, slots + 64, 100000};
        save(s.ix);
        ok(vt_bitset_resize(&s.live, 200000, &err), &err);
        ok(load(DIM, &s.live, &l, &err), &err);
        assert_same_rows(&s, l.ix);
        loaded_close(&l);
        for (size_t i = 0; i < sizeof missing / sizeof *missing; i++) {
            vt_bitset_set(&s.live, missing[i], true);
            assert_int_equal(load(DIM, &s.live, &l, &err), VT_E_CORRUPT);
            vt_bitset_set(&s.live, missing[i], false);
        }
        ok(vt_bitset_resize(&s.live, 100, &err), &err);
        ok(load(DIM, &s.live, &l, &err), &err);
        assert_int_equal(vt_index_count(l.ix), vt_bitset_count(&s.live));
        ok(vt_index_check(l.ix, &err), &err);
        loaded_close(&l);
        shelf_close(&s);
        world_close(&w);
    }
}

static void test_other_dimensions(void **unused) {
    (void)unused;
    static const size_t dims[] = {0, 1, 32, 63, 65, 128, 65536, 65537, SIZE_MAX};
    for (int stage = PLAIN; stage < STAGES; stage++) {
        world w;
        shelf s;
        stock(&s, &w, 640, stage);
        save(s.ix);
        for (size_t i = 0; i < sizeof dims / sizeof *dims; i++) {
            loaded l;
            vt_err err;
            vt_status status = load(dims[i], &s.live, &l, &err);
            bool possible = dims[i] >= 1 && dims[i] <= 65536;
            assert_true(status == VT_E_CORRUPT || (!possible && status == VT_E_INVALID));
        }
        shelf_close(&s);
        world_close(&w);
    }
}

/* A whole file, with a good key, of somebody else's sections, or of none. */
static void test_no_sections(void **unused) {
    (void)unused;
    for (size_t i = 0; i < 2; i++) {
        vt_snapshot_writer *w;
        vt_snapshot_key key = key_of(17);
        vt_bitset keep;
        vt_err err;
        loaded l;
        ok(vt_snapshot_begin(path, &key, &w, &err), &err);
        if (i == 1) {
            ok(vt_snapshot_section(w, "other", &err), &err);
            ok(vt_snapshot_add(w, "bytes", 5, &err), &err);
        }
        ok(vt_snapshot_commit(w, &err), &err);
        vt_snapshot_close(w);
        vt_bitset_init(&keep);
        assert_int_equal(load(DIM, &keep, &l, &err), VT_E_CORRUPT);
        ok(vt_bitset_resize(&keep, 10, &err), &err);
        vt_bitset_set(&keep, 3, true);
        assert_int_equal(load(DIM, &keep, &l, &err), VT_E_CORRUPT);
        vt_bitset_release(&keep);
    }
}

/* ---- in pieces ---------------------------------------------------------------------------- */

/* New, replaced, removed and removed slots taken by others, between one call and the next; changed
 * has a bit for each. */
static void change(shelf *s, const world *w, vt_bitset *changed, size_t n) {
    for (size_t i = 0; i < n; i++) {
        uint32_t slot = random_below((uint32_t)s->slots);
        if (random_below(3) == 0) {
            shelf_remove(s, slot);
        } else {
            shelf_put_picture(s, slot, w);
        }
        vt_bitset_set(changed, slot, true);
    }
}

static size_t save_while_changing(shelf *s, const world *w, vt_bitset *changed, size_t n) {
    vt_snapshot_writer *writer;
    vt_snapshot_key key = key_of(17);
    vt_err err;
    uint64_t state = 0;
    bool more = true;
    size_t calls = 0;
    ok(vt_snapshot_begin(path, &key, &writer, &err), &err);
    for (; more; calls++) {
        ok(vt_index_save(s->ix, writer, &state, &more, &err), &err);
        if (more) {
            change(s, w, changed, n);
        }
    }
    ok(vt_snapshot_commit(writer, &err), &err);
    vt_snapshot_close(writer);
    return calls;
}

/* What was not changed is kept from the file, what was is put again; then all is as it was. */
static void bring_up_to_date(shelf *s, const vt_bitset *changed) {
    vt_index *own = s->ix;
    vt_bitset keep;
    vt_err err;
    loaded l;
    vt_bitset_init(&keep);
    ok(vt_bitset_resize(&keep, s->slots, &err), &err);
    for (size_t slot = 0; slot < s->slots; slot++) {
        vt_bitset_set(&keep, slot, vt_bitset_get(&s->live, slot) && !vt_bitset_get(changed, slot));
    }
    ok(load(DIM, &keep, &l, &err), &err);
    ok(vt_index_check(l.ix, &err), &err);
    s->ix = l.ix;
    for (uint32_t slot = 0; slot < s->slots; slot++) {
        if (vt_bitset_get(&keep, slot)) {
            assert_true(shelf_holds(s, slot));
        } else if (vt_bitset_get(&s->live, slot)) {
            ok(vt_index_put(l.ix, slot, shelf_row(s, slot), &err), &err);
        } else {
            vt_index_remove(l.ix, slot);
        }
    }
    shelf_check(s);
    assert_same_answers(s, s->ix);
    loaded_close(&l);
    vt_bitset_release(&keep);
    s->ix = own;
}

static void test_changes_between_pieces(void **unused) {
    (void)unused;
    static const size_t changes[] = {10, 1000};
    for (int stage = PLAIN; stage < STAGES; stage++) {
        world w;
        shelf s;
        stock(&s, &w, 9000, stage);
        for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
            vt_bitset changed;
            vt_err err;
            vt_bitset_init(&changed);
            ok(vt_bitset_resize(&changed, s.slots, &err), &err);
            assert_true(save_while_changing(&s, &w, &changed, changes[i]) > 1);
            shelf_check(&s);
            bring_up_to_date(&s, &changed);
            vt_bitset_release(&changed);
        }
        shelf_close(&s);
        world_close(&w);
    }
}

static void test_rebuild_between_pieces(void **unused) {
    (void)unused;
    for (int stage = PLAIN; stage <= CELLS; stage++) {
        world w;
        shelf s;
        vt_snapshot_writer *writer;
        vt_snapshot_key key = key_of(17);
        vt_err err;
        uint64_t state = 0;
        bool more;
        stock(&s, &w, 9000, stage);
        save(s.ix); /* remove_folder wants one, and it must be left as it is */
        ok(vt_snapshot_begin(path, &key, &writer, &err), &err);
        ok(vt_index_save(s.ix, writer, &state, &more, &err), &err);
        assert_true(more);
        make_cells(s.ix, NULL);
        assert_int_equal(vt_index_save(s.ix, writer, &state, &more, &err), VT_E_MISMATCH);
        vt_snapshot_close(writer);
        loaded l;
        ok(load(DIM, &s.live, &l, &err), &err);
        assert_same_rows(&s, l.ix);
        loaded_close(&l);
        shelf_close(&s);
        world_close(&w);
    }
}

/* A rebuild between two saves of one index is none of theirs. */
static void test_two_saves(void **unused) {
    (void)unused;
    world w;
    shelf s;
    stock(&s, &w, 3000, PLAIN);
    save(s.ix);
    make_cells(s.ix, NULL);
    round_trip(&s, &w);
    shelf_close(&s);
    world_close(&w);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_FOLDER(test_round_trip),
        IN_FOLDER(test_small_ones),
        IN_FOLDER(test_empty),
        IN_FOLDER(test_keep),
        IN_FOLDER(test_keep_wants_more),
        IN_FOLDER(test_other_dimensions),
        IN_FOLDER(test_no_sections),
        IN_FOLDER(test_changes_between_pieces),
        IN_FOLDER(test_rebuild_between_pieces),
        IN_FOLDER(test_two_saves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
