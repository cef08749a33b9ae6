/* The columns as sections of a snapshot: what comes back is what was there, also where products
 * change while it is written, and nothing in a file is believed. */
#include "catalog_support.h"

#include "catalog/saved.h"
#include "snapshot_seal.h"

enum { PRODUCTS = 700, MANY = 20000 /* several slices a section */ };

static const char ID[] = "01234567-89ab-4cde-8f01-23456789abcd";

/* ---- allocations that fail -------------------------------------------------------------- */

static int countdown; /* 0: none fails */

static bool fails_now(void) {
    return countdown > 0 && --countdown == 0;
}

vt_status __real_vt_array_grow(void *array_ptr, size_t *cap, size_t need, size_t size, vt_err *err);
vt_status __wrap_vt_array_grow(void *array_ptr, size_t *cap, size_t need, size_t size, vt_err *err);
void *__real_vt_alloc(size_t count, size_t size);
void *__wrap_vt_alloc(size_t count, size_t size);
char *__real_vt_strndup(const char *s, size_t n);
char *__wrap_vt_strndup(const char *s, size_t n);

vt_status __wrap_vt_array_grow(void *array_ptr, size_t *cap, size_t need, size_t size,
                               vt_err *err) {
    if (need > *cap && fails_now())
        return vt_fail_nomem(err, need * size);
    return __real_vt_array_grow(array_ptr, cap, need, size, err);
}

void *__wrap_vt_alloc(size_t count, size_t size) {
    return fails_now() ? NULL : __real_vt_alloc(count, size);
}

char *__wrap_vt_strndup(const char *s, size_t n) {
    return fails_now() ? NULL : __real_vt_strndup(s, n);
}

/* ---- columns that change ------------------------------------------------------------------ */

typedef struct shop {
    vt_columns columns;
    uint64_t seq, random;
    size_t n;
    unsigned versions[MANY]; /* 0: not there */
    uint64_t changed[MANY];  /* the number of its last change */
} shop;

static void put(vt_columns *c, unsigned n, unsigned version, uint64_t seq) {
    vt_product p;
    vt_err err = {0};
    uint32_t slot;
    product_make(&p, n, version);
    p.seq = seq;
    if (vt_columns_put(c, &p, (int64_t)(n + seq), &slot, &err) != VT_OK)
        fail_msg("%s", err.text);
    vt_product_release(&p);
}

static void remove_product(vt_columns *c, unsigned n) {
    char id[32];
    uint32_t slot;
    snprintf(id, sizeof id, "product-%05u", n);
    (void)vt_columns_remove(c, id, &slot);
}

static void change_one(shop *s) {
    unsigned n = (unsigned)below(&s->random, s->n);
    s->changed[n] = ++s->seq;
    if (below(&s->random, 3) == 0) {
        remove_product(&s->columns, n);
        s->versions[n] = 0;
    } else {
        s->versions[n] = (unsigned)s->seq;
        put(&s->columns, n, s->versions[n], s->seq);
    }
}

static shop *shop_open(size_t products, size_t changes) {
    shop *s = calloc(1, sizeof *s);
    s->n = products;
    vt_columns_init(&s->columns);
    s->random = 77;
    while (changes-- > 0)
        change_one(s);
    return s;
}

static void shop_close(shop *s) {
    vt_columns_release(&s->columns);
    free(s);
}

/* ---- a snapshot of them --------------------------------------------------------------------- */

typedef struct fixture {
    char *dir, *path;
} fixture;

static int set_up(void **state) {
    fixture *f = calloc(1, sizeof *f);
    f->dir = folder_make();
    f->path = vt_path_join(f->dir, "index.snapshot");
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    fixture *f = *state;
    folder_remove(f->dir);
    free(f->path);
    free(f);
    return 0;
}

/* Changes products between slices, `changes` of them. */
static void save(const fixture *f, shop *s, size_t changes) {
    vt_snapshot_key key = {.seq = s->seq};
    vt_snapshot_writer *w;
    vt_saving state = {0};
    bool more = true;
    vt_err err = {0};
    memcpy(key.database_id, ID, sizeof ID);
    assert_int_equal(vt_snapshot_begin(f->path, &key, &w, &err), VT_OK);
    while (more) {
        assert_int_equal(vt_columns_save(&s->columns, w, &state, &more, &err), VT_OK);
        for (size_t i = 0; i < changes; i++)
            change_one(s);
    }
    assert_int_equal(vt_snapshot_commit(w, &err), VT_OK);
    vt_snapshot_close(w);
}

static vt_status load(const fixture *f, vt_columns *c, uint64_t *seq, vt_err *err) {
    vt_snapshot *s;
    const vt_hash model = {0};
    const vt_snapshot_wanted wanted = {.database_id = ID, .model = &model};
    vt_status status = vt_snapshot_open(f->path, &wanted, NULL, &s, seq, err);
    if (status != VT_OK)
        return status;
    status = vt_columns_load(s, *seq, c, err);
    vt_snapshot_release(s); /* columns keep nothing of it */
    return status;
}

static void load_ok(const fixture *f, vt_columns *c, uint64_t *seq) {
    vt_err err = {0};
    if (load(f, c, seq, &err) != VT_OK || vt_columns_check(c, &err) != VT_OK)
        fail_msg("%s", err.text);
}

static void assert_same_select(const vt_columns *a, const vt_columns *b, const char *filter) {
    vt_filter *f = filter_of(filter);
    vt_bitset in_a, in_b;
    vt_err err;
    vt_bitset_init(&in_a);
    vt_bitset_init(&in_b);
    assert_int_equal(vt_columns_select(a, f, &in_a, &err), VT_OK);
    assert_int_equal(vt_columns_select(b, f, &in_b, &err), VT_OK);
    assert_int_equal(vt_bitset_count(&in_a), vt_bitset_count(&in_b));
    for (uint32_t i = 0; i < a->n; i++) {
        uint32_t other;
        if (!vt_bitset_get(&in_a, i))
            continue;
        assert_true(vt_columns_find(b, a->slots[i].id, &other));
        assert_true(vt_bitset_get(&in_b, other));
    }
    vt_bitset_release(&in_a);
    vt_bitset_release(&in_b);
    vt_filter_close(f);
}

static void assert_same(const vt_columns *a, const vt_columns *b) {
    static const char *const filters[] = {
        "{}",
        "{\"category\":\"category 2\"}",
        "{\"category\":[\"\",\"category 1\"]}",
        "{\"price_min\":20,\"price_max\":60}",
        "{\"attributes.colour\":\"c1\"}",
        "{\"attributes.colour\":\"c3\",\"attributes.tags\":\"t\",\"price_max\":50}",
        "{\"attributes.n\":5}",
        "{\"attributes.colour\":\"none\"}",
    };
    assert_int_equal(a->ids.n, b->ids.n);
    for (uint32_t i = 0; i < a->n; i++) {
        uint32_t other;
        if (!a->slots[i].id)
            continue;
        assert_true(vt_columns_find(b, a->slots[i].id, &other));
        assert_int_equal(a->slots[i].seq, b->slots[other].seq);
        assert_int_equal(a->slots[i].row, b->slots[other].row);
    }
    for (size_t i = 0; i < sizeof filters / sizeof filters[0]; i++)
        assert_same_select(a, b, filters[i]);
}

/* ---- round trips -------------------------------------------------------------------------- */

static void what_was_saved_comes_back(void **state) {
    static const size_t changes[] = {0, 1, 50, 5000};
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        shop *s = shop_open(PRODUCTS, changes[i]);
        vt_columns c;
        uint64_t seq;
        save(*state, s, 0);
        load_ok(*state, &c, &seq);
        assert_int_equal(seq, s->seq);
        assert_same(&s->columns, &c);
        for (int k = 0; k < 2000; k++) { /* they can be worked with */
            unsigned n = (unsigned)below(&s->random, s->n);
            if (k % 3 == 0)
                remove_product(&c, n);
            else
                put(&c, n, (unsigned)k, (uint64_t)k + 1);
        }
        assert_int_equal(vt_columns_check(&c, &(vt_err){0}), VT_OK);
        vt_columns_release(&c);
        shop_close(s);
    }
}

/* Changes between all slices, so that each section is of another moment. */
static void what_changes_meanwhile_is_brought_in_after(void **state) {
    for (size_t changes = 1; changes < 40; changes += 3) {
        shop *s = changes == 22 ? shop_open(MANY, 50000) : shop_open(PRODUCTS, 3000);
        vt_columns c;
        uint64_t seq;
        save(*state, s, changes);
        load_ok(*state, &c, &seq);
        for (unsigned n = 0; n < s->n; n++) {
            char id[32];
            uint32_t slot, live;
            snprintf(id, sizeof id, "product-%05u", n);
            if (s->changed[n] > seq)
                continue;
            assert_int_equal(vt_columns_find(&c, id, &slot), s->versions[n] > 0);
            if (s->versions[n] == 0)
                continue;
            assert_true(vt_columns_find(&s->columns, id, &live));
            assert_int_equal(slot, live); /* where the index has its vector */
        }
        for (unsigned n = 0; n < s->n; n++)
            if (s->changed[n] > seq && s->versions[n] > 0)
                put(&c, n, s->versions[n], s->changed[n]);
            else if (s->changed[n] > seq)
                remove_product(&c, n);
        assert_same(&s->columns, &c);
        assert_int_equal(vt_columns_check(&c, &(vt_err){0}), VT_OK);
        vt_columns_release(&c);
        shop_close(s);
    }
}

static void memory_that_runs_out(void **state) {
    shop *s = shop_open(PRODUCTS, 300);
    vt_columns c;
    vt_err err = {0};
    uint64_t seq;
    size_t failures = 0;
    vt_status status = VT_E_NOMEM;
    save(*state, s, 0);
    for (int at = 1; status != VT_OK; at++) {
        countdown = at;
        status = load(*state, &c, &seq, &err);
        countdown = 0;
        failures += status == VT_E_NOMEM;
        assert_true(status == VT_OK || status == VT_E_NOMEM);
    }
    assert_true(failures > 300);
    assert_same(&s->columns, &c);
    vt_columns_release(&c);
    shop_close(s);
}

/* ---- hostile ------------------------------------------------------------------------------ */

static void write_sealed(const fixture *f, const char *bytes, size_t n) {
    uint8_t *sealed = malloc(n);
    memcpy(sealed, bytes, n);
    snapshot_seal(sealed, n);
    (void)unlink(f->path);
    write_file(f->path, sealed, n);
    free(sealed);
}

static size_t entry_of(const char *file, const char *name) {
    for (size_t at = SEAL_TABLE; at < SEAL_SELF; at += SEAL_ENTRY)
        if (strcmp(file + at, name) == 0)
            return at;
    fail_msg("no section %s", name);
    return 0;
}

/* Where the section's bytes begin. */
static size_t section_of(const char *file, const char *name) {
    size_t at = SEAL_PAGE, entry = SEAL_TABLE;
    for (;; entry += SEAL_ENTRY) {
        at = (at + SEAL_PAGE - 1) / SEAL_PAGE * SEAL_PAGE;
        if (strcmp(file + entry, name) == 0)
            return at;
        at += seal_get((const uint8_t *)file, entry + 16);
    }
}

static vt_buf small_snapshot(const fixture *f) {
    shop *s = shop_open(PRODUCTS, 200);
    vt_buf b;
    vt_err err;
    save(f, s, 0);
    shop_close(s);
    vt_buf_init(&b, 1 << 24);
    assert_int_equal(vt_file_read(f->path, &b, &err), VT_OK);
    return b;
}

static void assert_corrupt(const fixture *f, const vt_buf *b) {
    vt_columns c;
    vt_err err = {0};
    uint64_t seq;
    write_sealed(f, b->data, b->len);
    assert_int_equal(load(f, &c, &seq, &err), VT_E_CORRUPT);
    assert_true(err.text[0] != 0);
}

static void put_bytes(vt_buf *b, size_t at, const void *bytes, size_t n) {
    assert_true(at + n <= b->len);
    memcpy(b->data + at, bytes, n);
}

/* Writes n bytes over a section's at `at`, expects E_CORRUPT, and puts back what was there. */
static void assert_refused(const fixture *f, vt_buf *b, const char *name, size_t at,
                           const void *bytes, size_t n) {
    char *kept = vt_strndup(b->data, b->len);
    put_bytes(b, section_of(b->data, name) + at, bytes, n);
    assert_corrupt(f, b);
    memcpy(b->data, kept, b->len);
    free(kept);
}

static void what_points_nowhere_is_refused(void **state) {
    const fixture *f = *state;
    vt_buf b = small_snapshot(f);
    size_t seqs = section_of(b.data, "seqs"), slot = 0;
    const uint32_t far = 1 << 20, none = UINT32_MAX;
    const double below_zero = -1, infinite = (double)INFINITY;
    while (seal_get((uint8_t *)b.data, seqs + slot * 8) == 0)
        slot++;
    assert_refused(f, &b, "categories", slot * 4, &far, 4);
    assert_refused(f, &b, "categories", slot * 4, &none, 4);
    assert_refused(f, &b, "prices", slot * 8, &below_zero, 8);
    assert_refused(f, &b, "prices", slot * 8, &infinite, 8);
    assert_refused(f, &b, "terms", 0, &far, 4);
    assert_refused(f, &b, "terms", 0, &none, 4);
    assert_refused(f, &b, "category_keys", 0, &far, 4);
    assert_refused(f, &b, "term_keys", 0, &none, 4);
    vt_buf_release(&b);
}

/* Two products of one id; an id that is empty, too long, or never ends. */
static void ids_that_cannot_be(void **state) {
    const fixture *f = *state;
    vt_buf b = small_snapshot(f);
    size_t ids = section_of(b.data, "ids"), rows = section_of(b.data, "rowids");
    char *kept = vt_strndup(b.data, b.len), *first = b.data + ids, *second;
    while (!*first)
        first++;
    second = first + strlen(first) + 1;
    while (!*second)
        second++;
    memcpy(second, first, strlen(first));
    assert_corrupt(f, &b);
    memcpy(b.data, kept, b.len);
    memset(first, 'x', 600);
    assert_corrupt(f, &b);
    memcpy(b.data, kept, b.len);
    for (char *at = first; at < b.data + rows; at++) /* its padding must stay zero */
        *at = *at ? *at : 'x';
    assert_corrupt(f, &b);
    memcpy(b.data, kept, b.len);
    *first = 0;
    assert_corrupt(f, &b);
    free(kept);
    vt_buf_release(&b);
}

static void sections_that_are_missing(void **state) {
    static const char *const names[] = {"ids",   "rowids",        "prices",    "categories",
                                        "terms", "category_keys", "term_keys", "seqs"};
    const fixture *f = *state;
    vt_buf b = small_snapshot(f);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        size_t entry = entry_of(b.data, names[i]);
        b.data[entry] = 'z';
        assert_corrupt(f, &b);
        b.data[entry] = names[i][0];
    }
    vt_buf_release(&b);
}

/* Whatever is accepted is whole. */
static void anything_with_right_checksums(void **state) {
    const fixture *f = *state;
    uint64_t random = 3;
    vt_buf b = small_snapshot(f);
    size_t accepted = 0;
    for (int round = 0; round < 10000; round++) {
        char *bytes = vt_strndup(b.data, b.len);
        size_t changes = 1 + below(&random, 3);
        vt_columns c;
        vt_err err = {0};
        uint64_t seq;
        while (changes-- > 0) {
            size_t at = SEAL_PAGE + below(&random, b.len - SEAL_PAGE);
            bytes[at] = (char)(below(&random, 4) ? below(&random, 256) : 0);
        }
        if (round % 16 == 0) /* sizes of sections, too */
            bytes[SEAL_TABLE + below(&random, 8) * SEAL_ENTRY + 16] ^= (char)below(&random, 256);
        write_sealed(f, bytes, b.len);
        if (load(f, &c, &seq, &err) == VT_OK) {
            if (vt_columns_check(&c, &err) != VT_OK)
                fail_msg("%s", err.text);
            vt_columns_release(&c);
            accepted++;
        }
        free(bytes);
    }
    assert_true(accepted > 100 && accepted < 9900);
    vt_buf_release(&b);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(what_was_saved_comes_back),
        TEST(what_changes_meanwhile_is_brought_in_after),
        TEST(memory_that_runs_out),
        TEST(what_points_nowhere_is_refused),
        TEST(ids_that_cannot_be),
        TEST(sections_that_are_missing),
        TEST(anything_with_right_checksums),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
