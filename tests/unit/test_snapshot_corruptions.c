/* Snapshots that something has changed, at random and with right checksums or wrong ones: a start
 * refuses each, takes the one before or all products, answers as if nothing had happened, and the
 * next snapshot that is written serves again. VT_CORRUPTIONS says how many. */
#define VT_TEST_DIM 64
#include "catalog_support.h"

#include "snapshot_seal.h"

enum {
    CORRUPTIONS = 1000,
    BIG_EACH = 200, /* one in so many is of the catalogue with cells, which takes longer to load */
    REBUILD_EACH = 150,
    SMALL = 300,
    BIG = 17000,
    LONGER = 20000 /* bytes, at most, that are added */
};

/* A catalogue at rest: what its files are, and what it answers. */
typedef struct shop {
    char *dir;
    vt_buf database, now, before; /* catalog.db, index.snapshot, index.snapshot.old */
    char *answers;
} shop;

static uint64_t random_state = 20261128;

/* ---- catalogues --------------------------------------------------------------------------- */

static vt_buf read_bytes(const char *dir, const char *name) {
    char *path = vt_path_join(dir, name);
    vt_buf b;
    vt_err err = {0};
    vt_buf_init(&b, 1 << 28);
    if (vt_file_read(path, &b, &err) != VT_OK)
        fail_msg("%s", err.text);
    free(path);
    return b;
}

/* A new file: the one that is there may be mapped. */
static void write_bytes(const char *dir, const char *name, const vt_buf *b) {
    char *path = vt_path_join(dir, name);
    (void)unlink(path);
    write_file(path, b->data, b->len);
    free(path);
}

static void delete_range(vt_catalog *c, unsigned from, unsigned n) {
    vt_err err = {0};
    for (unsigned i = from; i < from + n; i++) {
        char id[32];
        snprintf(id, sizeof id, "product-%05u", i);
        assert_int_equal(vt_catalog_delete(c, id, &err), VT_OK);
    }
}

/* What is there, and what searches with and without filters find. */
static char *answers(vt_catalog *c) {
    static const char *const filters[] = {"{}", "{\"category\":\"category 3\"}",
                                          "{\"attributes.colour\":\"c2\",\"price_max\":70}",
                                          "{\"attributes.n\":17}"};
    enum { QUERIES = sizeof filters / sizeof filters[0] };
    vt_catalog_stats stats;
    uint64_t random = 42;
    vt_buf b;
    vt_catalog_describe(c, &stats);
    vt_buf_init(&b, 1 << 20);
    vt_buf_printf(&b, "%zu products, %zu categories, number %llu\n", stats.products,
                  stats.categories, (unsigned long long)stats.seq);
    for (size_t i = 0; i < QUERIES; i++) {
        float v[DIM];
        vt_filter *f = filter_of(filters[i]);
        vt_catalog_hit *hits;
        size_t n;
        vt_err err = {0};
        random_vector(&random, v, DIM);
        if (search_all(c, v, f, 10, &hits, &n, &err) != VT_OK)
            fail_msg("%s", err.text);
        for (size_t k = 0; k < n; k++)
            vt_buf_printf(&b, "%zu: %s %.9g %llu\n", i, hits[k].product.id, (double)hits[k].score,
                          (unsigned long long)hits[k].product.seq);
        vt_catalog_hits_release(hits, n);
        vt_filter_close(f);
    }
    assert_int_equal(b.failed, VT_OK);
    return b.data;
}

static shop shop_make(unsigned products) {
    shop s = {.dir = folder_make()};
    vt_catalog *c = catalog_open(s.dir);
    put_many_made(c, 0, products, 0);
    delete_range(c, 50, 50);
    if (products == BIG) {
        rebuild_now(c);
        learn_now(c);
    }
    save_now(c);
    put_many_made(c, 20, 20, 1);
    save_now(c);
    put_many_made(c, 30, 20, 2);
    delete_range(c, 10, 15);
    put_many_made(c, products, 5, 1);
    s.answers = answers(c);
    vt_catalog_close(c);
    s.database = read_bytes(s.dir, "catalog.db");
    s.now = read_bytes(s.dir, "index.snapshot");
    s.before = read_bytes(s.dir, "index.snapshot.old");
    return s;
}

static void shop_release(shop *s) {
    vt_buf_release(&s->database);
    vt_buf_release(&s->now);
    vt_buf_release(&s->before);
    free(s->answers);
    folder_remove(s->dir);
}

/* ---- corruptions -------------------------------------------------------------------------- */

static size_t any(size_t n) {
    return below(&random_state, n);
}

static void fill_random(char *at, size_t n) {
    for (size_t i = 0; i < n; i++)
        at[i] = (char)any(256);
}

/* The whole file, its first page or its fields: most bytes are of vectors, few decide much. */
static size_t any_place(const vt_buf *b) {
    static const size_t least[] = {SEAL_TABLE, SEAL_PAGE};
    size_t kind = any(3), n = kind < 2 ? least[kind] : b->len;
    return any(n < b->len ? n : b->len);
}

static void flip_bits(vt_buf *b, const vt_buf *other) {
    for (size_t n = 1 + any(4); n > 0; n--)
        b->data[any_place(b)] ^= (char)(1u << any(8));
}

static void overwrite_run(vt_buf *b, const vt_buf *other) {
    size_t at = any_place(b), n = 1 + any(any(2) ? 16 : 5000);
    n = n < b->len - at ? n : b->len - at;
    if (any(2))
        fill_random(b->data + at, n);
    else
        memset(b->data + at, any(2) ? 0 : 0xFF, n);
}

static void cut(vt_buf *b, const vt_buf *other) {
    b->len = any(b->len);
    if (any(2))
        b->len = b->len / SEAL_PAGE * SEAL_PAGE;
}

static void lengthen(vt_buf *b, const vt_buf *other) {
    static char more[LONGER];
    size_t n = any(2) ? 1 + any(LONGER) : SEAL_PAGE;
    memset(more, 0, n);
    if (any(2))
        fill_random(more, n);
    vt_buf_append(b, more, n);
}

/* Bytes from elsewhere in the file, or from the one of before. */
static void copy_run(vt_buf *b, const vt_buf *other) {
    const vt_buf *from = any(2) ? b : other;
    size_t n = 1 + any(9000), to = any(b->len), at = from == b ? any(b->len) : to;
    if (at >= from->len)
        return;
    n = n < b->len - to ? n : b->len - to;
    n = n < from->len - at ? n : from->len - at;
    memmove(b->data + to, from->data + at, n);
}

static size_t entry(const vt_buf *b) {
    size_t n = seal_get((const uint8_t *)b->data, SEAL_COUNT);
    return SEAL_TABLE + any(n) * SEAL_ENTRY;
}

/* Two names, or all of two lines of the table, change places. */
static void swap_sections(vt_buf *b, const vt_buf *other) {
    char *x = b->data + entry(b), *y = b->data + entry(b), kept[SEAL_ENTRY];
    size_t n = any(2) ? 16 : SEAL_ENTRY;
    memcpy(kept, x, n);
    memmove(x, y, n);
    memcpy(y, kept, n);
}

static void change_number(vt_buf *b, const vt_buf *other) {
    const size_t fields[] = {SEAL_SEQ, SEAL_FILE_BYTES, SEAL_COUNT, entry(b) + 16};
    size_t at = fields[any(sizeof fields / sizeof fields[0])];
    uint64_t was = seal_get((const uint8_t *)b->data, at);
    const uint64_t values[] = {was - 1, was + 1, was + 8, was / 2, 0, next_random(&random_state)};
    seal_set((uint8_t *)b->data, at, values[any(sizeof values / sizeof values[0])]);
}

/* The header of the one before over what is here now. */
static void exchange_header(vt_buf *b, const vt_buf *other) {
    size_t n = any(2) ? SEAL_PAGE : SEAL_FILE_BYTES;
    memcpy(b->data, other->data, n);
}

/* Another file than `good`, made of it. */
static vt_buf corrupt(const vt_buf *good, const vt_buf *other) {
    static void (*const ways[])(vt_buf *, const vt_buf *) = {
        flip_bits, overwrite_run, cut,           lengthen,
        copy_run,  swap_sections, change_number, exchange_header,
    };
    vt_buf b;
    vt_buf_init(&b, 1 << 28);
    do {
        vt_buf_clear(&b);
        vt_buf_append(&b, good->data, good->len);
        ways[any(sizeof ways / sizeof ways[0])](&b, other);
        if (any(2))
            snapshot_seal((uint8_t *)b.data, b.len);
    } while ((b.len == good->len && memcmp(b.data, good->data, b.len) == 0) ||
             (b.len == other->len && memcmp(b.data, other->data, b.len) == 0));
    assert_int_equal(b.failed, VT_OK);
    return b;
}

static void put_corrupted(const shop *s, const char *name, const vt_buf *good,
                          const vt_buf *other) {
    vt_buf b = corrupt(good, other);
    write_bytes(s->dir, name, &b);
    vt_buf_release(&b);
}

/* ---- starts ------------------------------------------------------------------------------- */

static vt_catalog *start(const shop *s, findings *told, vt_catalog_stats *stats) {
    vt_catalog_options o = options_of(s->dir);
    vt_catalog *c = NULL;
    char *now;
    vt_err err = {0};
    *told = (findings){0};
    o.say = collect;
    o.say_ctx = told;
    if (vt_catalog_open(&o, &c, &err) != VT_OK)
        fail_msg("%s", err.text);
    vt_catalog_describe(c, stats);
    now = answers(c);
    if (strcmp(now, s->answers) != 0)
        fail_msg("other answers (told: %s):\n%s\nwere:\n%s", told->text, now, s->answers);
    free(now);
    return c;
}

/* The next snapshot serves. Afterwards all is as it was. */
static void assert_rebuilds(const shop *s, vt_catalog *c) {
    findings told;
    vt_catalog_stats stats;
    save_now(c);
    vt_catalog_close(c);
    assert_sound(s->dir);
    c = start(s, &told, &stats);
    assert_true(stats.from_snapshot);
    assert_int_equal(told.len, 0);
    vt_catalog_close(c);
    write_bytes(s->dir, "catalog.db", &s->database);
}

static void corrupt_once(const shop *s, bool rebuild) {
    bool both = any(4) == 0;
    vt_catalog_stats stats;
    findings told;
    vt_catalog *c;
    put_corrupted(s, "index.snapshot", &s->now, &s->before);
    if (both)
        put_corrupted(s, "index.snapshot.old", &s->before, &s->now);
    else
        write_bytes(s->dir, "index.snapshot.old", &s->before);
    c = start(s, &told, &stats);
    assert_non_null(strstr(told.text, "! the snapshot of the index is not used"));
    assert_int_equal(stats.from_snapshot, !both);
    if (rebuild)
        assert_rebuilds(s, c);
    else
        vt_catalog_close(c);
}

static void nothing_that_was_changed_is_believed(void **state) {
    const char *wanted = getenv("VT_CORRUPTIONS");
    uint64_t corruptions = CORRUPTIONS;
    shop small = shop_make(SMALL), big = shop_make(BIG);
    if (wanted)
        assert_true(vt_parse_u64(wanted, 10000000, &corruptions));
    for (uint64_t i = 0; i < corruptions; i++)
        corrupt_once(i % BIG_EACH == 0 ? &big : &small, i % REBUILD_EACH == 0);
    shop_release(&small);
    shop_release(&big);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(nothing_that_was_changed_is_believed)};
    vt_err err;
    if (vt_vec_init(NULL, &err) != VT_OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
