/* The snapshot's file: what was added is found, and a file that is not exactly what was committed
 * is refused. */
#include "catalog_support.h"

#include <signal.h>
#include <sys/resource.h>

#include "snapshot_seal.h"

static const char ID[] = "01234567-89ab-4cde-8f01-23456789abcd";

typedef struct fixture {
    char *dir, *path, *part;
} fixture;

static int set_up(void **state) {
    fixture *f = calloc(1, sizeof *f);
    f->dir = folder_make();
    f->path = vt_path_join(f->dir, "index.snapshot");
    f->part = vt_path_join(f->dir, "index.snapshot.part");
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    fixture *f = *state;
    folder_remove(f->dir);
    free(f->path);
    free(f->part);
    free(f);
    return 0;
}

static vt_snapshot_key key_of(uint64_t seq) {
    vt_snapshot_key key = {.seq = seq, .model = vt_hash_bytes("model", 5)};
    memcpy(key.database_id, ID, sizeof ID);
    return key;
}

static vt_snapshot_writer *begin(const fixture *f, uint64_t seq) {
    vt_snapshot_key key = key_of(seq);
    vt_snapshot_writer *w;
    vt_err err = {0};
    if (vt_snapshot_begin(f->path, &key, &w, &err) != VT_OK)
        fail_msg("%s", err.text);
    return w;
}

static vt_status open_it(const fixture *f, vt_pool *pool, vt_snapshot **s, uint64_t *seq,
                         vt_err *err) {
    vt_hash model = vt_hash_bytes("model", 5);
    const vt_snapshot_wanted wanted = {.database_id = ID, .model = &model};
    return vt_snapshot_open(f->path, &wanted, pool, s, seq, err);
}

/* A section of n bytes that follow from its number. */
static void add_section(vt_snapshot_writer *w, unsigned number, size_t n) {
    uint64_t random = number + 1;
    uint8_t *bytes = malloc(n + 1);
    char name[16];
    vt_err err;
    snprintf(name, sizeof name, "part-%u", number);
    for (size_t i = 0; i < n; i++)
        bytes[i] = (uint8_t)(next_random(&random) >> 40);
    assert_int_equal(vt_snapshot_section(w, name, &err), VT_OK);
    for (size_t at = 0, take; at < n; at += take) { /* in pieces of any size */
        take = 1 + below(&random, n / 3 + 1);
        take = take < n - at ? take : n - at;
        assert_int_equal(vt_snapshot_add(w, bytes + at, take, &err), VT_OK);
        if (number % 2)
            assert_int_equal(vt_snapshot_flush(w, &err), VT_OK);
    }
    free(bytes);
}

static void assert_section(const vt_snapshot *s, unsigned number, size_t n) {
    uint64_t random = number + 1;
    char name[16];
    size_t found;
    uint8_t *bytes;
    snprintf(name, sizeof name, "part-%u", number);
    bytes = vt_snapshot_find(s, name, &found);
    assert_non_null(bytes);
    assert_int_equal(found, n);
    assert_int_equal((uintptr_t)bytes % SEAL_PAGE, 0);
    for (size_t i = 0; i < n; i++) {
        if (bytes[i] != (uint8_t)(next_random(&random) >> 40))
            fail_msg("%s: byte %zu", name, i);
        bytes[i] ^= 0xFF; /* the map may be written to, and nobody else sees that */
    }
}

static void write_small(const fixture *f, uint64_t seq) {
    vt_snapshot_writer *w = begin(f, seq);
    vt_err err = {0};
    add_section(w, 0, 5000);
    add_section(w, 1, 0);
    add_section(w, 2, 4096);
    add_section(w, 3, 77);
    if (vt_snapshot_commit(w, &err) != VT_OK)
        fail_msg("%s", err.text);
    vt_snapshot_close(w);
}

static vt_buf bytes_of(const char *path) {
    vt_buf b;
    vt_err err;
    vt_buf_init(&b, 1 << 26);
    assert_int_equal(vt_file_read(path, &b, &err), VT_OK);
    return b;
}

/* A new file: writing over one that was cut to nothing makes the kernel bring it to the disk. */
static void put_file(const char *path, const void *bytes, size_t n) {
    (void)unlink(path);
    write_file(path, bytes, n);
}

/* ---- what is written ---------------------------------------------------------------------- */

static void what_was_added_is_found(void **state) {
    static const size_t sizes[] = {0, 1, 4095, 4096, 4097, 0, 9 << 20, 4 << 20, 100, 35 << 20, 0};
    enum { N = sizeof sizes / sizeof sizes[0] };
    const fixture *f = *state;
    vt_pool *pool;
    vt_err err = {0};
    vt_snapshot_writer *w = begin(f, 42);
    assert_int_equal(vt_pool_open(3, &pool, &err), VT_OK);
    for (unsigned i = 0; i < N; i++)
        add_section(w, i, sizes[i]);
    assert_int_equal(vt_snapshot_commit(w, &err), VT_OK);
    vt_snapshot_close(w);
    assert_int_equal(access(f->part, F_OK), -1);
    for (int round = 0; round < 3; round++) {
        vt_snapshot *s;
        uint64_t seq;
        size_t n = 7;
        if (open_it(f, round % 2 ? pool : NULL, &s, &seq, &err) != VT_OK)
            fail_msg("%s", err.text);
        assert_int_equal(seq, 42);
        for (unsigned i = 0; i < N; i++)
            assert_section(s, i, sizes[i]);
        assert_null(vt_snapshot_find(s, "part", &n));
        assert_int_equal(n, 0);
        vt_snapshot_release(s);
    }
    vt_pool_close(pool);
}

static void a_snapshot_without_sections(void **state) {
    const fixture *f = *state;
    vt_snapshot_writer *w = begin(f, 1);
    vt_snapshot *s;
    uint64_t seq;
    vt_err err;
    assert_int_equal(vt_snapshot_commit(w, &err), VT_OK);
    vt_snapshot_close(w);
    assert_int_equal(open_it(f, NULL, &s, &seq, &err), VT_OK);
    vt_snapshot_release(s);
}

static void the_old_one_stays_until_the_commit(void **state) {
    const fixture *f = *state;
    vt_snapshot_writer *w;
    vt_snapshot *s, *again;
    uint64_t seq;
    vt_err err;
    write_small(f, 1);
    w = begin(f, 2);
    add_section(w, 0, 5000);
    assert_int_equal(vt_snapshot_flush(w, &err), VT_OK);
    assert_int_equal(open_it(f, NULL, &s, &seq, &err), VT_OK);
    assert_int_equal(seq, 1);
    assert_int_equal(vt_snapshot_commit(w, &err), VT_OK);
    vt_snapshot_close(w);
    assert_int_equal(open_it(f, NULL, &again, &seq, &err), VT_OK);
    assert_int_equal(seq, 2);
    assert_section(s, 3, 77); /* who has the old one mapped keeps it */
    vt_snapshot_release(again);
    vt_snapshot_release(s);
}

static void what_is_given_up_leaves_nothing(void **state) {
    const fixture *f = *state;
    vt_snapshot_writer *w = begin(f, 1);
    vt_snapshot *s;
    uint64_t seq;
    vt_err err;
    add_section(w, 1, 100000);
    assert_int_equal(access(f->part, F_OK), 0);
    vt_snapshot_close(w);
    assert_int_equal(access(f->part, F_OK), -1);
    assert_int_equal(open_it(f, NULL, &s, &seq, &err), VT_E_NOT_FOUND);
}

static void what_a_killed_process_left_is_removed(void **state) {
    const fixture *f = *state;
    put_file(f->part, "torn", 4);
    vt_snapshot_sweep(f->path);
    assert_int_equal(access(f->part, F_OK), -1);
    vt_snapshot_sweep(f->path);
    put_file(f->part, "torn", 4);
    write_small(f, 1);
    assert_int_equal(access(f->part, F_OK), -1);
}

/* A limit on the size of files stands for a disk that is full, wherever it becomes so. */
static void a_disk_that_is_full(void **state) {
    const fixture *f = *state;
    struct rlimit all, few;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &all), 0);
    signal(SIGXFSZ, SIG_IGN);
    write_small(f, 1);
    for (rlim_t room = 0; room < 30000; room += 500) {
        vt_snapshot_writer *w = NULL;
        vt_snapshot *s;
        vt_err err;
        uint64_t seq;
        vt_status status;
        few = (struct rlimit){.rlim_cur = room, .rlim_max = all.rlim_max};
        w = begin(f, 2);
        for (unsigned i = 0; i < 3; i++)
            add_section(w, i * 2, 5000);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &few), 0);
        status = vt_snapshot_commit(w, &err);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &all), 0);
        vt_snapshot_close(w);
        if (status == VT_OK) {
            assert_true(room >= 4096 + 2 * 8192 + 5000);
            return;
        }
        assert_int_equal(status, VT_E_IO); /* EFBIG; ENOSPC is E_FULL by the same way */
        assert_non_null(strstr(err.text, "cannot write"));
        assert_int_equal(access(f->part, F_OK), -1);
        assert_int_equal(open_it(f, NULL, &s, &seq, &err), VT_OK);
        assert_int_equal(seq, 1);
        vt_snapshot_release(s);
    }
    fail_msg("it never fitted");
}

static void a_folder_that_is_not_there(void **state) {
    vt_snapshot_key key = key_of(1);
    vt_snapshot_writer *w;
    vt_err err;
    assert_int_equal(vt_snapshot_begin("/nonexistent/x", &key, &w, &err), VT_E_NOT_FOUND);
    assert_null(w);
}

/* ---- what is not ours ---------------------------------------------------------------------- */

static void another_database_or_model(void **state) {
    const fixture *f = *state;
    vt_hash model = vt_hash_bytes("model", 5), other = vt_hash_bytes("other", 5);
    vt_snapshot_wanted wanted = {.database_id = ID, .model = &other};
    vt_snapshot *s;
    uint64_t seq;
    vt_err err;
    write_small(f, 1);
    assert_int_equal(vt_snapshot_open(f->path, &wanted, NULL, &s, &seq, &err), VT_E_MISMATCH);
    assert_null(s);
    wanted = (vt_snapshot_wanted){.database_id = "11234567-89ab-4cde-8f01-23456789abcd",
                                  .model = &model};
    assert_int_equal(vt_snapshot_open(f->path, &wanted, NULL, &s, &seq, &err), VT_E_MISMATCH);
    assert_non_null(strstr(err.text, ID));
    wanted.database_id = ID;
    assert_int_equal(vt_snapshot_open(f->dir, &wanted, NULL, &s, &seq, &err), VT_E_IO);
    put_file(f->path, "", 0);
    assert_int_equal(open_it(f, NULL, &s, &seq, &err), VT_E_CORRUPT);
}

/* The root that the writer tells is the file's, and of no other file. */
static void one_of_another_root(void **state) {
    const fixture *f = *state;
    vt_hash model = vt_hash_bytes("model", 5), roots[2], read;
    vt_snapshot_wanted wanted = {.database_id = ID, .model = &model, .roots = roots};
    vt_snapshot *s;
    uint64_t seq;
    vt_buf b;
    vt_err err;
    for (unsigned i = 0; i < 2; i++) {
        vt_snapshot_writer *w = begin(f, 1);
        add_section(w, i, 10000);
        assert_int_equal(vt_snapshot_seal(w, &roots[i], &err), VT_OK);
        assert_int_equal(access(f->part, F_OK), 0);
        assert_int_equal(vt_snapshot_commit(w, &err), VT_OK);
        vt_snapshot_close(w);
    }
    for (wanted.n_roots = 0; wanted.n_roots < 2; wanted.n_roots++) {
        assert_int_equal(vt_snapshot_open(f->path, &wanted, NULL, &s, &seq, &err), VT_E_MISMATCH);
        assert_null(s);
        assert_non_null(strstr(err.text, "none of the snapshots"));
    }
    assert_int_equal(vt_snapshot_open(f->path, &wanted, NULL, &s, &seq, &err), VT_OK);
    read = vt_snapshot_root(s);
    assert_true(vt_hash_equal(&read, &roots[1]));
    vt_snapshot_release(s);
    b = bytes_of(f->path);
    b.data[SEAL_PAGE + 5] ^= 1;
    snapshot_seal((uint8_t *)b.data, b.len);
    put_file(f->path, b.data, b.len);
    assert_int_equal(vt_snapshot_open(f->path, &wanted, NULL, &s, &seq, &err), VT_E_MISMATCH);
    roots[0] = snapshot_root((const uint8_t *)b.data);
    assert_int_equal(vt_snapshot_open(f->path, &wanted, NULL, &s, &seq, &err), VT_OK);
    vt_snapshot_release(s);
    vt_buf_release(&b);
}

static void every_cut_is_refused(void **state) {
    const fixture *f = *state;
    vt_buf good;
    write_small(f, 1);
    good = bytes_of(f->path);
    for (size_t n = 0; n < good.len; n += n < 4200 || n > good.len - 200 ? 1 : 97) {
        vt_snapshot *s;
        vt_err err = {0};
        uint64_t seq;
        put_file(f->path, good.data, n);
        assert_int_equal(open_it(f, NULL, &s, &seq, &err), VT_E_CORRUPT);
        assert_null(s);
        assert_true(err.text[0] != 0);
    }
    vt_buf_release(&good);
}

static void every_changed_bit_is_refused(void **state) {
    const fixture *f = *state;
    uint64_t random = 5;
    vt_buf good;
    write_small(f, 1);
    good = bytes_of(f->path);
    for (int round = 0; round < 10000; round++) {
        size_t at = below(&random, round % 2 ? good.len : 600);
        uint8_t bit = (uint8_t)(1u << below(&random, 8));
        vt_snapshot *s;
        vt_err err;
        uint64_t seq;
        vt_status status;
        good.data[at] ^= (char)bit;
        put_file(f->path, good.data, good.len);
        status = open_it(f, NULL, &s, &seq, &err);
        if (status != VT_E_CORRUPT)
            fail_msg("bit %u of byte %zu: %d", bit, at, status);
        good.data[at] ^= (char)bit;
    }
    vt_buf_release(&good);
}

static void a_longer_file_is_refused(void **state) {
    const fixture *f = *state;
    vt_buf b;
    vt_snapshot *s;
    vt_err err;
    uint64_t seq;
    write_small(f, 1);
    b = bytes_of(f->path);
    vt_buf_append(&b, "", 1);
    put_file(f->path, b.data, b.len);
    assert_int_equal(open_it(f, NULL, &s, &seq, &err), VT_E_CORRUPT);
    vt_buf_release(&b);
}

/* ---- hostile, with checksums that are right -------------------------------------------------- */

static void assert_refused(const fixture *f, const uint8_t *bytes, size_t n, vt_status wanted) {
    vt_snapshot *s;
    vt_err err;
    uint64_t seq;
    uint8_t *sealed = malloc(n);
    memcpy(sealed, bytes, n);
    snapshot_seal(sealed, n);
    put_file(f->path, sealed, n);
    assert_int_equal(open_it(f, NULL, &s, &seq, &err), wanted);
    assert_null(s);
    free(sealed);
}

static void assert_field_refused(const fixture *f, vt_buf *b, size_t at, uint64_t v,
                                 vt_status wanted) {
    uint8_t *bytes = (uint8_t *)b->data;
    uint64_t kept = seal_get(bytes, at);
    seal_set(bytes, at, v);
    assert_refused(f, bytes, b->len, wanted);
    seal_set(bytes, at, kept);
}

static void sizes_counts_and_names_that_lie(void **state) {
    static const uint64_t sizes[] = {8193, 12288, 1 << 20, UINT64_MAX, UINT64_MAX - 8191};
    static const char *const names[] = {"", "Part", "part 0", "sixteen-letters-", "part-3"};
    const fixture *f = *state;
    vt_buf b;
    uint8_t *bytes;
    write_small(f, 1);
    b = bytes_of(f->path);
    bytes = (uint8_t *)b.data;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        for (size_t k = 0; k < 4; k++)
            assert_field_refused(f, &b, SEAL_TABLE + k * SEAL_ENTRY + 16, sizes[i], VT_E_CORRUPT);
    for (uint64_t n = 0; n < 70; n++)
        if (n != 4)
            assert_field_refused(f, &b, SEAL_COUNT, n, VT_E_CORRUPT);
    assert_field_refused(f, &b, SEAL_COUNT, UINT64_MAX, VT_E_CORRUPT);
    assert_field_refused(f, &b, SEAL_FILE_BYTES, b.len + 1, VT_E_CORRUPT);
    assert_field_refused(f, &b, 16, 2 | UINT64_C(0x01020304) << 32, VT_E_MISMATCH);
    assert_field_refused(f, &b, 16, 1 | UINT64_C(0x04030201) << 32, VT_E_MISMATCH);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char kept[16];
        memcpy(kept, bytes + SEAL_TABLE, sizeof kept);
        memset(bytes + SEAL_TABLE, 0, sizeof kept);
        memcpy(bytes + SEAL_TABLE, names[i], strlen(names[i]));
        assert_refused(f, bytes, b.len, VT_E_CORRUPT);
        memcpy(bytes + SEAL_TABLE, kept, sizeof kept);
    }
    bytes[SEAL_TABLE + 9] = 'x'; /* behind the name's end */
    assert_refused(f, bytes, b.len, VT_E_CORRUPT);
    bytes[SEAL_TABLE + 9] = 0;
    bytes[SEAL_PAGE + 5000] = 1; /* between sections */
    assert_refused(f, bytes, b.len, VT_E_CORRUPT);
    vt_buf_release(&b);
}

/* Whatever is accepted can be read from its first byte to its last. */
static void anything_with_right_checksums(void **state) {
    const fixture *f = *state;
    uint64_t random = 11;
    vt_buf b;
    write_small(f, 1);
    b = bytes_of(f->path);
    for (int round = 0; round < 10000; round++) {
        uint8_t *bytes = malloc(b.len);
        size_t changes = 1 + below(&random, 4), n = b.len;
        vt_snapshot *s;
        vt_err err;
        uint64_t seq;
        memcpy(bytes, b.data, n);
        while (changes-- > 0)
            bytes[below(&random, round % 4 ? 260 : n)] = (uint8_t)below(&random, 256);
        if (round % 8 == 0)
            n -= below(&random, n);
        snapshot_seal(bytes, n);
        put_file(f->path, bytes, n);
        if (open_it(f, NULL, &s, &seq, &err) == VT_OK) {
            for (unsigned i = 0; i < 4; i++) {
                char name[16];
                size_t len, sum = 0;
                const uint8_t *at;
                snprintf(name, sizeof name, "part-%u", i);
                at = vt_snapshot_find(s, name, &len);
                for (size_t k = 0; at && k < len; k++)
                    sum += at[k];
                assert_true(sum < SIZE_MAX);
            }
            vt_snapshot_release(s);
        }
        free(bytes);
    }
    vt_buf_release(&b);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(what_was_added_is_found),
        TEST(a_snapshot_without_sections),
        TEST(the_old_one_stays_until_the_commit),
        TEST(what_is_given_up_leaves_nothing),
        TEST(what_a_killed_process_left_is_removed),
        TEST(a_disk_that_is_full),
        TEST(a_folder_that_is_not_there),
        TEST(another_database_or_model),
        TEST(one_of_another_root),
        TEST(every_cut_is_refused),
        TEST(every_changed_bit_is_refused),
        TEST(a_longer_file_is_refused),
        TEST(sizes_counts_and_names_that_lie),
        TEST(anything_with_right_checksums),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
