/* A disk that fails. A file layer between SQLite and the real one lets the n-th write or sync fail,
 * once or from then on. Whatever n: what was acknowledged stays, what failed did not happen, the
 * catalogue goes on answering, and writes work again once the disk does. */
#include "catalog_support.h"

#include "catalog/store.h"

/* ---- the failing file layer ------------------------------------------------------------- */

typedef enum fault_kind { FAULT_NONE, FAULT_WRITE, FAULT_SYNC } fault_kind;

/* Set by the test while the catalogue is at rest, used by its threads. */
static struct faults {
    _Atomic fault_kind kind;
    _Atomic int countdown; /* operations of the kind until one fails */
    _Atomic bool lasting;  /* and all after it */
    _Atomic int code;
    _Atomic int hits;
} faults;

static void arm(fault_kind kind, int n, bool lasting, int code) {
    faults.countdown = n;
    faults.lasting = lasting;
    faults.code = code;
    faults.hits = 0;
    faults.kind = kind;
}

static int disarm(void) {
    faults.kind = FAULT_NONE;
    return faults.hits;
}

static int fault_of(fault_kind kind) {
    int left;
    if (faults.kind != kind)
        return SQLITE_OK;
    left = --faults.countdown;
    if (left != 0 && !(left < 0 && faults.lasting))
        return SQLITE_OK;
    faults.hits++;
    return faults.code;
}

typedef struct shim_file {
    sqlite3_file base;
    sqlite3_file *real; /* behind this struct */
} shim_file;

static sqlite3_file *real_of(sqlite3_file *f) {
    return ((shim_file *)f)->real;
}

#define PASS(name, params, ...)                                                                    \
    static int shim_##name params {                                                                \
        return real_of(f)->pMethods->x##name(real_of(f) __VA_ARGS__);                              \
    }
PASS(Close, (sqlite3_file * f))
PASS(Read, (sqlite3_file * f, void *to, int n, sqlite3_int64 at), , to, n, at)
PASS(Truncate, (sqlite3_file * f, sqlite3_int64 n), , n)
PASS(FileSize, (sqlite3_file * f, sqlite3_int64 *n), , n)
PASS(Lock, (sqlite3_file * f, int level), , level)
PASS(Unlock, (sqlite3_file * f, int level), , level)
PASS(CheckReservedLock, (sqlite3_file * f, int *out), , out)
PASS(FileControl, (sqlite3_file * f, int op, void *arg), , op, arg)
PASS(SectorSize, (sqlite3_file * f))
PASS(DeviceCharacteristics, (sqlite3_file * f))
PASS(ShmMap, (sqlite3_file * f, int page, int n, int extend, void volatile **out), , page, n,
     extend, out)
PASS(ShmLock, (sqlite3_file * f, int at, int n, int flags), , at, n, flags)
PASS(ShmUnmap, (sqlite3_file * f, int delete), , delete)
#undef PASS

static void shim_ShmBarrier(sqlite3_file *f) {
    real_of(f)->pMethods->xShmBarrier(real_of(f));
}

static int shim_Write(sqlite3_file *f, const void *from, int n, sqlite3_int64 at) {
    int code = fault_of(FAULT_WRITE);
    if (code == SQLITE_OK)
        return real_of(f)->pMethods->xWrite(real_of(f), from, n, at);
    if (n > 1) /* half of it arrives: the worst a disk does */
        (void)real_of(f)->pMethods->xWrite(real_of(f), from, n / 2, at);
    return code;
}

static int shim_Sync(sqlite3_file *f, int flags) {
    int code = fault_of(FAULT_SYNC);
    return code == SQLITE_OK ? real_of(f)->pMethods->xSync(real_of(f), flags) : code;
}

static const sqlite3_io_methods SHIM = {
    .iVersion = 2, /* no mapped reads */
    .xClose = shim_Close,
    .xRead = shim_Read,
    .xWrite = shim_Write,
    .xTruncate = shim_Truncate,
    .xSync = shim_Sync,
    .xFileSize = shim_FileSize,
    .xLock = shim_Lock,
    .xUnlock = shim_Unlock,
    .xCheckReservedLock = shim_CheckReservedLock,
    .xFileControl = shim_FileControl,
    .xSectorSize = shim_SectorSize,
    .xDeviceCharacteristics = shim_DeviceCharacteristics,
    .xShmMap = shim_ShmMap,
    .xShmLock = shim_ShmLock,
    .xShmBarrier = shim_ShmBarrier,
    .xShmUnmap = shim_ShmUnmap,
};

static sqlite3_vfs *real_vfs, shim_vfs;

static int shim_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *out) {
    shim_file *shim = (shim_file *)f;
    int rc;
    shim->real = (sqlite3_file *)(shim + 1);
    rc = real_vfs->xOpen(real_vfs, name, shim->real, flags, out);
    f->pMethods = rc == SQLITE_OK ? &SHIM : NULL;
    return rc;
}

static int register_shim(void **state) {
    real_vfs = sqlite3_vfs_find(NULL);
    shim_vfs = *real_vfs; /* its other methods do not look at the struct they are called with */
    shim_vfs.zName = "failing";
    shim_vfs.szOsFile += (int)sizeof(shim_file);
    shim_vfs.xOpen = shim_open;
    return sqlite3_vfs_register(&shim_vfs, 0) == SQLITE_OK ? 0 : -1;
}

/* ---- a model of what was acknowledged --------------------------------------------------- */

enum { PRODUCTS = 24, GONE = 0 };

static vt_catalog *open_failing(const char *dir) {
    vt_catalog_options o = options_of(dir);
    vt_catalog *c;
    vt_err err = {0};
    o.vfs = "failing";
    if (vt_catalog_open(&o, &c, &err) != VT_OK)
        fail_msg("%s", err.text);
    return c;
}

static void assert_state(vt_catalog *c, const unsigned *versions) {
    size_t live = 0;
    vt_catalog_stats stats;
    for (unsigned n = 0; n < PRODUCTS; n++) {
        vt_product want, have;
        vt_err err = {0};
        vt_catalog_hit *hits;
        size_t n_hits;
        product_make(&want, n, versions[n]);
        if (versions[n] == GONE) {
            assert_int_equal(vt_catalog_get(c, want.id, &have, &err), VT_E_NOT_FOUND);
        } else {
            assert_int_equal(vt_catalog_get(c, want.id, &have, &err), VT_OK);
            assert_same_product(&want, &have, true);
            vt_product_release(&have);
            assert_int_equal(search_all(c, want.embedding, NULL, 1, &hits, &n_hits, &err), VT_OK);
            assert_same_product(&want, &hits[0].product, false);
            vt_catalog_hits_release(hits, n_hits);
            live++;
        }
        vt_product_release(&want);
    }
    vt_catalog_describe(c, &stats);
    assert_int_equal(stats.products, live);
}

static bool is_disk_failure(vt_status s) {
    return s == VT_E_FULL || s == VT_E_IO;
}

static size_t try_put(vt_catalog *c, unsigned n, unsigned version, unsigned *versions) {
    vt_product p;
    vt_put_result result;
    vt_err err = {0};
    vt_status s;
    product_make(&p, n, version);
    s = vt_catalog_put(c, &p, &result, &err);
    assert_true(s == VT_OK || is_disk_failure(s));
    if (s == VT_OK)
        versions[n] = version;
    vt_product_release(&p);
    return s != VT_OK;
}

static size_t try_batch(vt_catalog *c, unsigned first, unsigned version, unsigned *versions) {
    vt_product p[4];
    vt_status statuses[4];
    vt_put_result results[4];
    vt_err errs[4];
    size_t failed = 0;
    for (unsigned i = 0; i < 4; i++)
        product_make(&p[i], first + i, version);
    vt_catalog_put_many(c, p, 4, statuses, results, errs);
    for (unsigned i = 0; i < 4; i++) {
        assert_true(statuses[i] == VT_OK || is_disk_failure(statuses[i]));
        if (statuses[i] == VT_OK)
            versions[first + i] = version;
        failed += statuses[i] != VT_OK;
        vt_product_release(&p[i]);
    }
    return failed;
}

static size_t try_delete(vt_catalog *c, unsigned n, unsigned *versions) {
    char id[32];
    vt_err err = {0};
    vt_status s;
    snprintf(id, sizeof id, "product-%05u", n);
    s = vt_catalog_delete(c, id, &err);
    assert_true(s == VT_OK || s == VT_E_NOT_FOUND || is_disk_failure(s));
    if (s == VT_OK)
        versions[n] = GONE;
    return s != VT_OK && s != VT_E_NOT_FOUND;
}

/* Some of every kind of change. Returns how many failed. */
static size_t change_things(vt_catalog *c, unsigned version, unsigned *versions) {
    size_t failed = 0;
    for (unsigned i = 0; i < 4; i++) {
        failed += try_put(c, i * 5 % PRODUCTS, version + i, versions);
        failed += try_batch(c, i * 4, version + 10 + i, versions);
        failed += try_delete(c, i * 7 % PRODUCTS, versions);
    }
    return failed;
}

/* ---- tests ------------------------------------------------------------------------------ */

static void assert_one_fault_is_survived(fault_kind kind, int n, int code, size_t *felt) {
    unsigned versions[PRODUCTS] = {0};
    char *dir = folder_make();
    vt_catalog *c = open_failing(dir);
    assert_int_equal(change_things(c, 100, versions), 0);
    arm(kind, n, false, code);
    *felt += change_things(c, 200, versions) > 0;
    disarm();
    assert_state(c, versions);
    assert_int_equal(change_things(c, 300, versions), 0);
    assert_state(c, versions);
    vt_catalog_close(c);
    assert_sound(dir);
    c = catalog_open(dir);
    assert_state(c, versions);
    vt_catalog_close(c);
    folder_remove(dir);
}

static void one_write_fails(void **state) {
    size_t felt = 0;
    for (int n = 1; n <= 55; n += 3)
        assert_one_fault_is_survived(FAULT_WRITE, n, n % 2 ? SQLITE_FULL : SQLITE_IOERR_WRITE,
                                     &felt);
    assert_true(felt > 15);
}

static void one_sync_fails(void **state) {
    size_t felt = 0;
    for (int n = 1; n <= 8; n++)
        assert_one_fault_is_survived(FAULT_SYNC, n, SQLITE_IOERR_FSYNC, &felt);
    assert_int_equal(felt, 8);
}

static void a_full_disk_is_told_and_gets_better(void **state) {
    unsigned versions[PRODUCTS] = {0};
    char *dir = folder_make();
    vt_catalog *c = open_failing(dir);
    vt_product p;
    vt_put_result result;
    vt_err err = {0};
    uint64_t generation;
    change_things(c, 100, versions);
    generation = vt_catalog_generation(c);
    product_make(&p, 9, 77);
    arm(FAULT_WRITE, 1, true, SQLITE_FULL);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(vt_catalog_put(c, &p, &result, &err), VT_E_FULL);
        assert_non_null(strstr(err.text, "free some space"));
        assert_state(c, versions);
        assert_int_equal(vt_catalog_generation(c), generation);
    }
    assert_true(disarm() >= 5);
    assert_int_equal(vt_catalog_put(c, &p, &result, &err), VT_OK);
    versions[9] = 77;
    assert_true(vt_catalog_generation(c) > generation);
    assert_state(c, versions);
    vt_product_release(&p);
    vt_catalog_close(c);
    assert_sound(dir);
    folder_remove(dir);
}

/* The log cannot be moved into the file while closing: the next start finds all in the log. */
static void closing_onto_a_broken_disk_loses_nothing(void **state) {
    for (int n = 1; n < 12; n++) {
        unsigned versions[PRODUCTS] = {0};
        char *dir = folder_make();
        vt_catalog *c = open_failing(dir);
        change_things(c, 100, versions);
        arm(n % 2 ? FAULT_WRITE : FAULT_SYNC, 1 + n / 2, true, SQLITE_IOERR);
        vt_catalog_close(c);
        disarm();
        assert_sound(dir);
        c = catalog_open(dir);
        assert_state(c, versions);
        vt_catalog_close(c);
        folder_remove(dir);
    }
}

static void a_checkpoint_that_fails_is_tried_again(void **state) {
    char *dir = folder_make(), *path = vt_path_join(dir, "catalog.db");
    vt_meta meta = {.dim = DIM, .model_name = "test-model"};
    vt_store *store;
    vt_stored stored;
    vt_product p;
    vt_err err = {0};
    assert_int_equal(vt_store_open(path, "failing", &meta, &store, &err), VT_OK);
    product_make(&p, 1, 1);
    assert_int_equal(vt_store_begin(store, &err), VT_OK);
    assert_int_equal(vt_store_put(store, &p, 0, &stored, &err), VT_OK);
    assert_int_equal(vt_store_commit(store, &err), VT_OK);
    assert_true(vt_store_log_pages(store) > 0);
    for (int n = 1; n < 4; n++) {
        arm(FAULT_WRITE, n, true, SQLITE_FULL);
        vt_store_checkpoint(store);
        assert_true(vt_store_log_pages(store) > 0);
    }
    disarm();
    vt_store_checkpoint(store);
    assert_int_equal(vt_store_log_pages(store), 0);
    vt_product_release(&p);
    vt_store_close(store);
    assert_sound(dir);
    free(path);
    folder_remove(dir);
}

/* Nothing gets a name that a start would not know: the one before stays until the disk works. */
static void a_snapshot_that_cannot_be_noted(void **state) {
    static const fault_kind kinds[] = {FAULT_WRITE, FAULT_SYNC};
    char *dir = folder_make();
    vt_catalog *c = open_failing(dir);
    vt_catalog_stats stats;
    bool done;
    vt_err err;
    put_made(c, 1, 1);
    assert_int_equal(vt_catalog_save(c, true, NULL, NULL, &done, &err), VT_OK);
    for (unsigned i = 0; i < 2; i++) {
        put_made(c, 2, i + 1);
        arm(kinds[i], 1, true, SQLITE_IOERR_WRITE);
        assert_int_equal(vt_catalog_save(c, true, NULL, NULL, &done, &err), VT_E_IO);
        assert_true(disarm() > 0);
        assert_false(done);
        vt_catalog_describe(c, &stats);
        assert_int_equal(stats.snapshot_seq, 1);
        vt_catalog_close(c);
        assert_sound(dir);
        c = open_failing(dir);
        vt_catalog_describe(c, &stats);
        assert_true(stats.from_snapshot);
        assert_int_equal(stats.replayed, 1);
    }
    assert_int_equal(vt_catalog_save(c, true, NULL, NULL, &done, &err), VT_OK);
    vt_catalog_close(c);
    c = open_failing(dir);
    vt_catalog_describe(c, &stats);
    assert_true(stats.from_snapshot);
    assert_int_equal(stats.replayed, 0);
    vt_catalog_close(c);
    folder_remove(dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_write_fails),
        cmocka_unit_test(one_sync_fails),
        cmocka_unit_test(a_full_disk_is_told_and_gets_better),
        cmocka_unit_test(a_checkpoint_that_fails_is_tried_again),
        cmocka_unit_test(closing_onto_a_broken_disk_loses_nothing),
        cmocka_unit_test(a_snapshot_that_cannot_be_noted),
    };
    return cmocka_run_group_tests(tests, register_shim, NULL);
}
