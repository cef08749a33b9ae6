/* Snapshots of the catalogue: a start from one gives what a start from all products gives, whatever
 * has happened to the products, to the process or to the files since. */
#include "catalog_support.h"

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "snapshot_seal.h"

enum { PRODUCTS = 300, QUERIES = 12 };

/* ---- a process that is killed at a rename ---------------------------------------------------- */

static int renames_left; /* 0: none is deadly */
static bool die_before;

vt_status __real_vt_file_rename(const char *from, const char *to, vt_err *err);
vt_status __wrap_vt_file_rename(const char *from, const char *to, vt_err *err);

vt_status __wrap_vt_file_rename(const char *from, const char *to, vt_err *err) {
    bool last = renames_left > 0 && --renames_left == 0;
    vt_status s;
    if (last && die_before)
        kill(getpid(), SIGKILL);
    s = __real_vt_file_rename(from, to, err);
    if (last)
        kill(getpid(), SIGKILL);
    return s;
}

/* ---- folders --------------------------------------------------------------------------------- */

static int set_up(void **state) {
    *state = folder_make();
    return 0;
}

static int tear_down(void **state) {
    folder_remove(*state);
    return 0;
}

static char *path_in(const char *dir, const char *name) {
    char *path = vt_path_join(dir, name);
    assert_non_null(path);
    return path;
}

static bool has_file(const char *dir, const char *name) {
    char *path = path_in(dir, name);
    bool has = access(path, F_OK) == 0;
    free(path);
    return has;
}

static vt_buf read_bytes(const char *dir, const char *name) {
    char *path = path_in(dir, name);
    vt_buf b;
    vt_err err = {0};
    vt_buf_init(&b, 1 << 26);
    if (vt_file_read(path, &b, &err) != VT_OK)
        fail_msg("%s", err.text);
    free(path);
    return b;
}

static void write_bytes(const char *dir, const char *name, const void *bytes, size_t n) {
    char *path = path_in(dir, name);
    (void)unlink(path);
    write_file(path, bytes, n);
    free(path);
}

/* Turns a byte in the middle over. */
static void damage(const char *dir, const char *name) {
    vt_buf b = read_bytes(dir, name);
    b.data[b.len / 2] ^= 0x10;
    write_bytes(dir, name, b.data, b.len);
    vt_buf_release(&b);
}

static void remove_file(const char *dir, const char *name) {
    char *path = path_in(dir, name);
    (void)unlink(path);
    free(path);
}

static int64_t ask(const char *dir, const char *sql) {
    char *path = path_in(dir, "catalog.db");
    sqlite3 *db;
    sqlite3_stmt *stmt;
    int64_t n;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    n = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    free(path);
    return n;
}

/* ---- catalogues ------------------------------------------------------------------------------ */

static vt_catalog *open_telling(const char *dir, findings *told) {
    vt_catalog_options o = options_of(dir);
    vt_catalog *c = NULL;
    vt_err err = {0};
    *told = (findings){0};
    o.say = collect;
    o.say_ctx = told;
    if (vt_catalog_open(&o, &c, &err) != VT_OK)
        fail_msg("%s", err.text);
    return c;
}

static vt_catalog_stats stats_of(vt_catalog *c) {
    vt_catalog_stats stats;
    vt_catalog_describe(c, &stats);
    return stats;
}

static void delete_made(vt_catalog *c, unsigned n) {
    char id[32];
    vt_err err = {0};
    snprintf(id, sizeof id, "product-%05u", n);
    if (vt_catalog_delete(c, id, &err) != VT_OK)
        fail_msg("%s", err.text);
}

/* One of every kind of change. Returns the number of products it touches. */
static size_t change_things(vt_catalog *c, unsigned version) {
    put_many_made(c, 0, 20, version);                 /* updates */
    put_many_made(c, PRODUCTS + version, 5, version); /* new ones */
    for (unsigned n = 30; n < 50; n++)
        delete_made(c, n);
    put_many_made(c, 30, 5, version);                /* again under the same id */
    put_many_made(c, 2 * PRODUCTS + version, 20, 1); /* in the slots of the deleted */
    delete_made(c, 2 * PRODUCTS + version);          /* new and gone */
    put_many_made(c, 10, 3, version + 1);            /* twice */
    return 20 + 5 + 20 + 20;
}

/* What searches answer, as text: ids and scores of many queries under several filters. */
static char *answers(vt_catalog *c) {
    static const char *const filters[] = {"{}", "{\"category\":\"category 3\"}",
                                          "{\"attributes.colour\":\"c2\",\"price_max\":70}"};
    vt_buf b;
    uint64_t random = 42;
    vt_buf_init(&b, 1 << 22);
    vt_buf_puts(&b, "\n");
    for (size_t i = 0; i < QUERIES; i++) {
        float v[DIM];
        vt_filter *f = filter_of(filters[i % 3]);
        vt_catalog_hit *hits;
        size_t n;
        vt_err err = {0};
        random_vector(&random, v, DIM);
        assert_int_equal(search_all(c, v, f, 25, &hits, &n, &err), VT_OK);
        for (size_t k = 0; k < n; k++)
            vt_buf_printf(&b, "%s %s %.9g %llu\n", hits[k].product.id, hits[k].product.name,
                          (double)hits[k].score, (unsigned long long)hits[k].product.seq);
        vt_catalog_hits_release(hits, n);
        vt_filter_close(f);
    }
    assert_int_equal(b.failed, VT_OK);
    return b.data;
}

/* Starts from the snapshot and from all products give the same. */
static void assert_same_as_full(const char *dir, size_t replayed) {
    findings told;
    vt_catalog *c = open_telling(dir, &told);
    vt_catalog_stats fast = stats_of(c), full;
    char *fast_text = answers(c), *full_text;
    vt_buf snapshot;
    if (!fast.from_snapshot || told.len > 0)
        fail_msg("not from a snapshot: %s", told.text);
    assert_int_equal(fast.replayed, replayed);
    vt_catalog_close(c);
    assert_sound(dir);
    snapshot = read_bytes(dir, "index.snapshot");
    remove_file(dir, "index.snapshot");
    c = open_telling(dir, &told);
    full = stats_of(c);
    full_text = answers(c);
    assert_false(full.from_snapshot);
    assert_int_equal(full.snapshot_seq, 0);
    assert_int_equal(told.len, 0);
    vt_catalog_close(c);
    assert_string_equal(fast_text, full_text);
    assert_int_equal(fast.products, full.products);
    assert_int_equal(fast.categories, full.categories);
    assert_int_equal(fast.seq, full.seq);
    assert_int_equal(fast.generation, full.generation);
    write_bytes(dir, "index.snapshot", snapshot.data, snapshot.len);
    vt_buf_release(&snapshot);
    free(fast_text);
    free(full_text);
}

/* ---- starts ---------------------------------------------------------------------------------- */

static void a_start_from_a_snapshot(void **state) {
    vt_catalog *c = catalog_open(*state);
    vt_catalog_stats stats = stats_of(c);
    assert_false(stats.from_snapshot);
    assert_int_equal(stats.snapshot_seq, 0);
    put_many_made(c, 0, PRODUCTS, 1);
    save_now(c);
    assert_int_equal(stats_of(c).snapshot_seq, PRODUCTS);
    assert_false(has_file(*state, "index.snapshot.part"));
    vt_catalog_close(c);
    assert_same_as_full(*state, 0);
}

static void an_empty_catalogue_needs_none(void **state) {
    vt_catalog *c = catalog_open(*state);
    bool done = true;
    vt_err err;
    assert_int_equal(vt_catalog_save(c, true, NULL, NULL, &done, &err), VT_OK);
    assert_false(done);
    put_made(c, 1, 1);
    delete_made(c, 1);
    save_now(c); /* empty, but of another state than none */
    vt_catalog_close(c);
    assert_same_as_full(*state, 0);
}

static void changes_since_are_brought_in(void **state) {
    vt_catalog *c = catalog_open(*state);
    size_t changed;
    put_many_made(c, 0, PRODUCTS, 1);
    save_now(c);
    changed = change_things(c, 7);
    vt_catalog_close(c);
    assert_same_as_full(*state, changed);
    c = catalog_open(*state); /* and go on from there */
    put_many_made(c, 30, 20, 1);
    assert_int_equal(change_things(c, 20), changed);
    save_now(c);
    put_made(c, 5, 99);
    vt_catalog_close(c);
    assert_same_as_full(*state, 1);
}

static void a_few_products(void **state) {
    vt_catalog *c = catalog_open(*state);
    for (unsigned n = 1; n < 50; n = 3 * n + 2) {
        put_many_made(c, 0, n, n);
        if (n > 1)
            delete_made(c, n / 2);
        save_now(c);
        vt_catalog_close(c);
        assert_same_as_full(*state, 0);
        c = catalog_open(*state);
    }
    vt_catalog_close(c);
}

typedef struct changer {
    vt_catalog *c;
    _Atomic bool stop;
    unsigned rounds;
} changer;

static void *change_on(void *arg) {
    changer *w = arg;
    uint64_t random = 9;
    while (!w->stop) {
        unsigned n = (unsigned)below(&random, PRODUCTS);
        char id[32];
        vt_err err;
        snprintf(id, sizeof id, "product-%05u", n);
        if (below(&random, 3) > 0)
            put_many_made(w->c, n, 1 + (unsigned)below(&random, 8), ++w->rounds);
        else if (vt_catalog_delete(w->c, id, &err) == VT_E_IO)
            return w;
    }
    return NULL;
}

static void products_change_while_it_is_written(void **state) {
    for (int round = 0; round < 5; round++) {
        changer w = {.c = catalog_open(*state), .rounds = 1000u * (unsigned)round};
        pthread_t thread;
        vt_catalog_stats stats;
        char *before, *after;
        vt_catalog *c;
        put_many_made(w.c, 0, PRODUCTS, 1);
        assert_int_equal(pthread_create(&thread, NULL, change_on, &w), 0);
        for (int i = 0; i < 20; i++)
            save_now(w.c);
        w.stop = true;
        pthread_join(thread, NULL);
        before = answers(w.c);
        vt_catalog_close(w.c);
        assert_sound(*state);
        c = catalog_open(*state);
        after = answers(c);
        stats = stats_of(c);
        assert_true(stats.from_snapshot);
        assert_string_equal(before, after);
        vt_catalog_close(c);
        free(before);
        free(after);
    }
}

static bool always(void *ctx) {
    return true;
}

static void one_that_is_stopped_leaves_the_old_one(void **state) {
    vt_catalog *c = catalog_open(*state);
    bool done = true;
    vt_err err;
    put_many_made(c, 0, PRODUCTS, 1);
    save_now(c);
    put_made(c, 1, 2);
    assert_int_equal(vt_catalog_save(c, true, always, NULL, &done, &err), VT_OK);
    assert_false(done);
    assert_int_equal(stats_of(c).snapshot_seq, PRODUCTS);
    assert_false(has_file(*state, "index.snapshot.part"));
    vt_catalog_close(c);
    assert_same_as_full(*state, 1);
}

/* ---- files that are no good ------------------------------------------------------------------ */

/* Two snapshots and changes after each. */
static void fill_with_two(const char *dir) {
    vt_catalog *c = catalog_open(dir);
    put_many_made(c, 0, PRODUCTS, 1);
    save_now(c);
    put_many_made(c, 10, 10, 2);
    save_now(c);
    put_many_made(c, 15, 10, 3);
    vt_catalog_close(c);
    assert_true(has_file(dir, "index.snapshot.old"));
    assert_sound(dir);
}

static void the_old_one_goes_once_the_new_is_proven(void **state) {
    fill_with_two(*state);
    assert_same_as_full(*state, 10);
    assert_false(has_file(*state, "index.snapshot.old"));
}

static void a_damaged_one_gives_way_to_the_old(void **state) {
    findings told;
    vt_catalog *c;
    vt_catalog_stats stats;
    fill_with_two(*state);
    damage(*state, "index.snapshot");
    c = open_telling(*state, &told);
    stats = stats_of(c);
    assert_true(stats.from_snapshot);
    assert_int_equal(stats.snapshot_seq, PRODUCTS);
    assert_int_equal(stats.replayed, 15);
    assert_non_null(strstr(told.text, "! the snapshot of the index is not used"));
    assert_non_null(strstr(told.text, "damaged"));
    vt_catalog_close(c);
    assert_false(has_file(*state, "index.snapshot.old"));
    assert_same_as_full(*state, 15);
}

static void two_damaged_ones_give_way_to_the_products(void **state) {
    findings told;
    vt_catalog *c;
    fill_with_two(*state);
    damage(*state, "index.snapshot");
    damage(*state, "index.snapshot.old");
    c = open_telling(*state, &told);
    assert_false(stats_of(c).from_snapshot);
    assert_int_equal(stats_of(c).products, PRODUCTS);
    assert_non_null(strstr(told.text, "index.snapshot.old"));
    save_now(c);
    vt_catalog_close(c);
    assert_same_as_full(*state, 0);
}

/* Turns a byte in the middle over and makes the checksums again. */
static void damage_and_seal(const char *dir, const char *name) {
    vt_buf b;
    damage(dir, name);
    b = read_bytes(dir, name);
    snapshot_seal((uint8_t *)b.data, b.len);
    write_bytes(dir, name, b.data, b.len);
    vt_buf_release(&b);
}

static void one_with_checksums_made_again_gives_way(void **state) {
    findings told;
    vt_catalog *c;
    fill_with_two(*state);
    damage_and_seal(*state, "index.snapshot");
    assert_sound(*state); /* not its own, and no damage to its own */
    c = open_telling(*state, &told);
    assert_true(stats_of(c).from_snapshot);
    assert_int_equal(stats_of(c).snapshot_seq, PRODUCTS);
    assert_int_equal(stats_of(c).replayed, 15);
    assert_non_null(strstr(told.text, "index.snapshot is none of the snapshots"));
    vt_catalog_close(c);
    assert_same_as_full(*state, 15);
    damage_and_seal(*state, "index.snapshot");
    c = open_telling(*state, &told);
    assert_false(stats_of(c).from_snapshot);
    assert_int_equal(stats_of(c).products, PRODUCTS);
    assert_false(has_file(*state, "index.snapshot"));
    save_now(c); /* rebuilt */
    vt_catalog_close(c);
    assert_same_as_full(*state, 0);
}

/* The last three files written are known, and those before are forgotten. */
static void files_are_known_as_long_as_they_may_be_there(void **state) {
    enum { FILES = 6 };
    vt_catalog *c = catalog_open(*state);
    vt_buf files[FILES];
    put_many_made(c, 0, PRODUCTS, 1);
    for (unsigned i = 0; i < FILES; i++) {
        put_made(c, i, 2);
        save_now(c);
        files[i] = read_bytes(*state, "index.snapshot");
    }
    vt_catalog_close(c);
    assert_int_equal(ask(*state, "SELECT length(snapshots) FROM meta"), sizeof(vt_hash[3]));
    for (unsigned i = 0; i < FILES; i++) {
        findings told;
        remove_file(*state, "index.snapshot.old");
        write_bytes(*state, "index.snapshot", files[i].data, files[i].len);
        vt_buf_release(&files[i]);
        c = open_telling(*state, &told);
        assert_int_equal(stats_of(c).from_snapshot, i >= FILES - 3);
        assert_int_equal(told.len == 0, i >= FILES - 3);
        vt_catalog_close(c);
        if (i >= FILES - 3)
            assert_same_as_full(*state, FILES - 1 - i);
    }
}

/* What changes in the file while it is in use is not taken over as its own. */
static void a_file_that_changes_in_use_is_not_noted(void **state) {
    findings told;
    vt_catalog *c;
    fill_with_two(*state);
    c = catalog_open(*state);
    damage_and_seal(*state, "index.snapshot");
    put_made(c, 1, 9);
    save_now(c);
    vt_catalog_close(c);
    damage(*state, "index.snapshot");
    c = open_telling(*state, &told);
    assert_false(stats_of(c).from_snapshot);
    assert_non_null(strstr(told.text, "index.snapshot.old is none of the snapshots"));
    vt_catalog_close(c);
}

static void note_root(const char *dir, const char *bytes) {
    vt_hash root = snapshot_root((const uint8_t *)bytes);
    char hex[65], sql[256];
    vt_hash_hex(&root, hex);
    snprintf(sql, sizeof sql, "UPDATE meta SET snapshots = x'%s%064d%064d'", hex, 0, 0);
    run_sql(dir, sql);
}

/* Bytes change anywhere, with checksums that are right and in a file that the database takes for
 * its own: it is refused, or serves. */
static void a_hostile_one(void **state) {
    uint64_t random = 8;
    vt_catalog *c = catalog_open(*state);
    vt_buf good;
    size_t used = 0;
    put_many_made(c, 0, PRODUCTS, 1);
    save_now(c);
    vt_catalog_close(c);
    good = read_bytes(*state, "index.snapshot");
    for (int round = 0; round < 300; round++) {
        char *bytes = vt_strndup(good.data, good.len);
        findings told;
        for (int i = 0; i < 3; i++)
            bytes[SEAL_PAGE + below(&random, good.len - SEAL_PAGE)] = (char)below(&random, 256);
        snapshot_seal((uint8_t *)bytes, good.len);
        write_bytes(*state, "index.snapshot", bytes, good.len);
        note_root(*state, bytes);
        c = open_telling(*state, &told);
        used += stats_of(c).from_snapshot;
        assert_int_equal(stats_of(c).from_snapshot, told.len == 0);
        put_made(c, (unsigned)below(&random, PRODUCTS), (unsigned)round);
        free(answers(c));
        vt_catalog_close(c);
        free(bytes);
    }
    assert_true(used > 0 && used < 300);
    vt_buf_release(&good);
}

static void one_of_another_folder(void **state) {
    findings told;
    char *other = folder_make();
    vt_catalog *c = catalog_open(other);
    vt_buf b;
    put_many_made(c, 0, PRODUCTS, 9);
    save_now(c);
    vt_catalog_close(c);
    c = catalog_open(*state);
    put_many_made(c, 0, PRODUCTS, 1);
    vt_catalog_close(c);
    b = read_bytes(other, "index.snapshot");
    write_bytes(*state, "index.snapshot", b.data, b.len);
    assert_sound(*state); /* it is left aside, no damage */
    c = open_telling(*state, &told);
    assert_false(stats_of(c).from_snapshot);
    assert_non_null(strstr(told.text, "another database"));
    vt_catalog_close(c);
    assert_false(has_file(*state, "index.snapshot"));
    vt_buf_release(&b);
    folder_remove(other);
}

static void a_database_put_back_from_an_older_copy(void **state) {
    findings told;
    vt_catalog *c = catalog_open(*state);
    vt_buf b;
    put_many_made(c, 0, 50, 1);
    vt_catalog_close(c);
    b = read_bytes(*state, "catalog.db");
    c = catalog_open(*state);
    put_many_made(c, 50, 50, 1);
    save_now(c);
    vt_catalog_close(c);
    write_bytes(*state, "catalog.db", b.data, b.len);
    c = open_telling(*state, &told);
    assert_int_equal(stats_of(c).products, 50);
    assert_non_null(strstr(told.text, "none of the snapshots"));
    put_many_made(c, 200, 80, 1); /* and on beyond the number that the file is of */
    save_now(c);
    vt_catalog_close(c);
    assert_same_as_full(*state, 0);
    run_sql(*state, "UPDATE meta SET seq = 50");
    c = open_telling(*state, &told);
    assert_non_null(strstr(told.text, "newer than catalog.db"));
    vt_catalog_close(c);
    assert_false(has_file(*state, "index.snapshot"));
    vt_buf_release(&b);
}

/* It passes all checks of form, and is not what the products are. */
static void a_check_finds_what_is_not_true(void **state) {
    findings f = {0};
    size_t problems;
    vt_err err;
    vt_catalog *c = catalog_open(*state);
    put_many_made(c, 0, PRODUCTS, 1);
    save_now(c);
    vt_catalog_close(c);
    assert_sound(*state);
    run_sql(*state, "UPDATE product SET price = 12345.0 WHERE row = 17");
    assert_int_equal(vt_catalog_check(*state, collect, &f, &problems, &err), VT_OK);
    assert_int_equal(problems, 1);
    assert_non_null(strstr(f.text, "index.snapshot"));
    assert_non_null(strstr(f.text, "price"));
    run_sql(*state,
            "UPDATE product SET category = 'x' WHERE row = 16; DELETE FROM product WHERE row < 16");
    f = (findings){0};
    assert_int_equal(vt_catalog_check(*state, collect, &f, &problems, &err), VT_OK);
    assert_int_equal(problems, 1);
    damage(*state, "index.snapshot");
    f = (findings){0};
    assert_int_equal(vt_catalog_check(*state, collect, &f, &problems, &err), VT_OK);
    assert_int_equal(problems, 1);
    assert_non_null(strstr(f.text, "the server makes another"));
}

/* ---- processes that end ---------------------------------------------------------------------- */

/* The child saves and is killed at its n-th rename, before or after it. */
static void die_saving(const char *dir, int rename, bool before) {
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        vt_catalog_options o = options_of(dir);
        vt_catalog *c;
        vt_err err;
        bool done;
        if (vt_catalog_open(&o, &c, &err) != VT_OK)
            _exit(1);
        renames_left = rename;
        die_before = before;
        put_many_made(c, 40, 10, 50);
        _exit(vt_catalog_save(c, true, NULL, NULL, &done, &err) == VT_OK ? 2 : 3);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
}

static void killed_between_the_renames(void **state) {
    for (int step = 0; step < 4; step++) {
        char *dir = folder_make();
        vt_catalog_stats stats;
        vt_catalog *c;
        findings told;
        fill_with_two(dir);
        die_saving(dir, 1 + step / 2, step % 2 == 0);
        assert_sound(dir);
        c = open_telling(dir, &told);
        stats = stats_of(c);
        assert_true(stats.from_snapshot);
        assert_int_equal(told.len, 0);
        assert_int_equal(stats.snapshot_seq, step < 3 ? PRODUCTS + 10 : PRODUCTS + 30);
        assert_int_equal(stats.replayed, step < 3 ? 20 : 0);
        vt_catalog_close(c);
        assert_false(has_file(dir, "index.snapshot.part"));
        assert_false(has_file(dir, "index.snapshot.old"));
        assert_same_as_full(dir, step < 3 ? 20 : 0);
        folder_remove(dir);
    }
}

static void child_run(const char *dir, uint64_t seed) {
    vt_catalog_options o = options_of(dir);
    vt_catalog *c;
    vt_err err;
    bool done;
    changer w = {.rounds = (unsigned)(seed % 100000)};
    pthread_t thread;
    if (vt_catalog_open(&o, &c, &err) != VT_OK)
        _exit(1);
    w.c = c;
    if (pthread_create(&thread, NULL, change_on, &w) != 0)
        _exit(2);
    for (;;)
        if (vt_catalog_save(c, true, NULL, NULL, &done, &err) != VT_OK)
            _exit(3);
}

static void killed_at_any_moment(void **state) {
    const char *wanted = getenv("VT_CRASH_CYCLES");
    uint64_t cycles = 40, random = 4711, from_snapshot = 0;
    vt_catalog *c = catalog_open(*state);
    put_many_made(c, 0, PRODUCTS, 1);
    vt_catalog_close(c);
    if (wanted)
        assert_true(vt_parse_u64(wanted, 1000000, &cycles));
    for (uint64_t i = 0; i < cycles; i++) {
        uint64_t seed = next_random(&random);
        int status;
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0)
            child_run(*state, seed);
        nanosleep(&(struct timespec){.tv_nsec = (long)below(&random, 60) * 1000000}, NULL);
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, &status, 0), child);
        if (!WIFSIGNALED(status))
            fail_msg("the child ended by itself: %d", WEXITSTATUS(status));
        assert_sound(*state);
        c = catalog_open(*state);
        from_snapshot += stats_of(c).from_snapshot;
        vt_catalog_close(c);
    }
    assert_true(from_snapshot > cycles / 2);
    c = catalog_open(*state);
    save_now(c);
    vt_catalog_close(c);
    assert_same_as_full(*state, 0);
}

static void a_disk_that_is_full(void **state) {
    struct rlimit all, few;
    vt_catalog *c = catalog_open(*state);
    bool done = true;
    vt_err err = {0};
    put_many_made(c, 0, PRODUCTS, 1);
    save_now(c);
    put_made(c, 3, 3);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &all), 0);
    few = (struct rlimit){.rlim_cur = 8192, .rlim_max = all.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &few), 0);
    assert_int_equal(vt_catalog_save(c, true, NULL, NULL, &done, &err), VT_E_IO);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &all), 0);
    assert_false(done);
    assert_false(has_file(*state, "index.snapshot.part"));
    put_made(c, 4, 4);
    vt_catalog_close(c);
    assert_same_as_full(*state, 2);
}

/* ---- when, and the log of changes ------------------------------------------------------------ */

static bool save_if_due(vt_catalog *c) {
    bool done = true;
    vt_err err = {0};
    if (vt_catalog_save(c, false, NULL, NULL, &done, &err) != VT_OK)
        fail_msg("%s", err.text);
    return done;
}

static void one_is_written_when_it_is_worth_it(void **state) {
    vt_catalog *c = catalog_open(*state);
    put_many_made(c, 0, 1900, 1);
    assert_false(save_if_due(c)); /* few products */
    put_many_made(c, 1900, 200, 1);
    assert_true(save_if_due(c)); /* never saved */
    assert_false(save_if_due(c));
    put_many_made(c, 0, 900, 2);
    assert_false(save_if_due(c)); /* few changes */
    put_many_made(c, 0, 101, 3);
    assert_true(save_if_due(c));
    assert_int_equal(stats_of(c).snapshot_seq, 2100 + 900 + 101);
    vt_catalog_close(c);
}

static void what_no_snapshot_needs_is_forgotten(void **state) {
    vt_catalog *c = catalog_open(*state);
    put_many_made(c, 0, 2500, 1);
    save_now(c);
    vt_catalog_close(c);
    assert_int_equal(ask(*state, "SELECT count(*) FROM change"), 0);
    assert_int_equal(ask(*state, "SELECT changes_from FROM meta"), 2500);
    c = catalog_open(*state);
    put_many_made(c, 0, 1200, 2);
    save_now(c);
    vt_catalog_close(c); /* the old one needs them */
    assert_int_equal(ask(*state, "SELECT count(*) FROM change"), 1200);
    assert_sound(*state);
    c = catalog_open(*state); /* the old one goes */
    assert_false(save_if_due(c));
    put_made(c, 1, 7);
    vt_catalog_close(c);
    assert_int_equal(ask(*state, "SELECT changes_from FROM meta"), 3700);
    assert_int_equal(ask(*state, "SELECT count(*) FROM change"), 1);
    assert_same_as_full(*state, 1);
}

/* A small catalogue is never saved: its log ends all the same. */
static void the_log_of_a_small_catalogue_stays_small(void **state) {
    vt_catalog *c = catalog_open(*state);
    for (unsigned round = 0; round < 20; round++) {
        put_many_made(c, 0, 200, round);
        assert_false(save_if_due(c));
    }
    vt_catalog_close(c);
    assert_true(ask(*state, "SELECT count(*) FROM change") < 1000);
    assert_sound(*state);
}

/* ---- the format before this one
 * ------------------------------------------------------------------ */

static void a_folder_of_format_1_is_upgraded(void **state) {
    vt_catalog *c = catalog_open(*state);
    findings told;
    size_t changed;
    put_many_made(c, 0, PRODUCTS, 1);
    vt_catalog_close(c);
    run_sql(*state, "DROP TABLE change; ALTER TABLE meta DROP COLUMN changes_from;"
                    "ALTER TABLE meta DROP COLUMN snapshots; PRAGMA user_version=1");
    assert_sound(*state); /* a check changes nothing */
    assert_int_equal(ask(*state, "PRAGMA user_version"), 1);
    c = open_telling(*state, &told);
    assert_int_equal(stats_of(c).products, PRODUCTS);
    assert_int_equal(told.len, 0);
    vt_catalog_close(c);
    assert_int_equal(ask(*state, "PRAGMA user_version"), 3);
    assert_int_equal(ask(*state, "SELECT changes_from FROM meta"), PRODUCTS);
    assert_int_equal(ask(*state, "SELECT count(*) FROM change"), 0);
    assert_sound(*state);
    c = catalog_open(*state);
    save_now(c);
    changed = change_things(c, 3);
    vt_catalog_close(c);
    assert_same_as_full(*state, changed);
}

/* It says of no snapshot that it wrote it: what lies there is not used, once. */
static void a_folder_of_format_2_is_upgraded(void **state) {
    vt_catalog *c;
    findings told;
    fill_with_two(*state);
    run_sql(*state, "ALTER TABLE meta DROP COLUMN snapshots; PRAGMA user_version=2");
    assert_sound(*state);
    assert_int_equal(ask(*state, "PRAGMA user_version"), 2);
    c = open_telling(*state, &told);
    assert_int_equal(stats_of(c).products, PRODUCTS);
    assert_false(stats_of(c).from_snapshot);
    assert_non_null(strstr(told.text, "index.snapshot is none of the snapshots"));
    assert_non_null(strstr(told.text, "index.snapshot.old is none of the snapshots"));
    assert_false(has_file(*state, "index.snapshot") || has_file(*state, "index.snapshot.old"));
    save_now(c);
    vt_catalog_close(c);
    assert_int_equal(ask(*state, "PRAGMA user_version"), 3);
    assert_same_as_full(*state, 0);
}

static void roots_that_are_none_are_told(void **state) {
    vt_catalog_options o = options_of(*state);
    vt_catalog *c = catalog_open(*state);
    vt_err err;
    put_many_made(c, 0, PRODUCTS, 1);
    save_now(c);
    vt_catalog_close(c);
    run_sql(*state, "UPDATE meta SET snapshots = x'0102'");
    assert_int_equal(vt_catalog_open(&o, &c, &err), VT_E_CORRUPT);
    assert_non_null(strstr(err.text, "vitrine check"));
    run_sql(*state, "UPDATE meta SET snapshots = x''");
    c = catalog_open(*state);
    assert_false(stats_of(c).from_snapshot);
    vt_catalog_close(c);
}

static void a_log_that_lies_is_found(void **state) {
    static const char *const lies[] = {
        "UPDATE change SET seq = 1000 WHERE seq = 7",
        "UPDATE change SET id = '' WHERE seq = 7",
        "DELETE FROM change WHERE seq = 7",
    };
    vt_catalog *c = catalog_open(*state);
    vt_buf b;
    put_many_made(c, 0, PRODUCTS, 1);
    vt_catalog_close(c);
    b = read_bytes(*state, "catalog.db");
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        findings f = {0};
        size_t problems;
        vt_err err;
        run_sql(*state, lies[i]);
        assert_int_equal(vt_catalog_check(*state, collect, &f, &problems, &err), VT_OK);
        assert_int_equal(problems, 1);
        assert_non_null(strstr(f.text, "log of changes"));
        write_bytes(*state, "catalog.db", b.data, b.len);
    }
    vt_buf_release(&b);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_start_from_a_snapshot),
        TEST(an_empty_catalogue_needs_none),
        TEST(changes_since_are_brought_in),
        TEST(a_few_products),
        TEST(products_change_while_it_is_written),
        TEST(one_that_is_stopped_leaves_the_old_one),
        TEST(the_old_one_goes_once_the_new_is_proven),
        TEST(a_damaged_one_gives_way_to_the_old),
        TEST(two_damaged_ones_give_way_to_the_products),
        TEST(one_with_checksums_made_again_gives_way),
        TEST(files_are_known_as_long_as_they_may_be_there),
        TEST(a_file_that_changes_in_use_is_not_noted),
        TEST(a_hostile_one),
        TEST(one_of_another_folder),
        TEST(a_database_put_back_from_an_older_copy),
        TEST(a_check_finds_what_is_not_true),
        TEST(killed_between_the_renames),
        TEST(killed_at_any_moment),
        TEST(a_disk_that_is_full),
        TEST(one_is_written_when_it_is_worth_it),
        TEST(what_no_snapshot_needs_is_forgotten),
        TEST(the_log_of_a_small_catalogue_stays_small),
        TEST(a_folder_of_format_1_is_upgraded),
        TEST(a_folder_of_format_2_is_upgraded),
        TEST(roots_that_are_none_are_told),
        TEST(a_log_that_lies_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
