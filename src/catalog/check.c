/* vt_catalog_check: reads a data folder that nobody has open and says what is wrong with it.
 *
 * In the order in which damage is best understood: the file (SQLite's integrity_check), the meta
 * row, every product row (types, ranges, vector length and norm, change numbers), an index built
 * from the good rows, in which each product must be found, and, where all of that is sound, the log
 * of changes and the snapshots, which must come to the same products as the rows. A damaged row is
 * told and the walk goes on with the next; where SQLite itself cannot go on, what it says is a
 * finding too.
 *
 * The file is opened read-only: a check changes nothing, not even the log. */
#include <sys/stat.h>

#include "catalog/row.h"
#include "catalog/snapshots.h"

typedef struct checker {
    vt_say_fn say;
    void *ctx;
    size_t problems;
    const char *dir;
    sqlite3 *db;
    vt_meta meta;
    vt_memory *memory; /* built from the sound rows */
    uint64_t *seqs;    /* of every row that has one */
    size_t n_seqs, cap_seqs, rows;
} checker;

static void say(checker *k, bool problem, const char *fmt, ...) VT_PRINTF(3, 4);

static void say(checker *k, bool problem, const char *fmt, ...) {
    char line[VT_ERR_TEXT_MAX];
    va_list args;
    va_start(args, fmt);
    vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    k->problems += problem;
    k->say(k->ctx, problem, line);
}

/* A damaged file is a finding; no memory or a disk that fails means we could not look. */
static vt_status finding(checker *k, vt_status s, const vt_err *err) {
    if (s == VT_OK)
        return VT_OK;
    if (s != VT_E_CORRUPT && s != VT_E_INTERNAL && s != VT_E_MISMATCH && s != VT_E_INVALID &&
        s != VT_E_TOO_LARGE)
        return s;
    say(k, true, "%s", err->text);
    return VT_OK;
}

/* ---- the file --------------------------------------------------------------------------- */

static vt_status check_file(checker *k, vt_err *err) {
    sqlite3_stmt *stmt = NULL;
    bool more = false;
    size_t before = k->problems;
    vt_status s = vt_sql_prepare(k->db, "PRAGMA integrity_check(20)", &stmt, err);
    while (s == VT_OK) {
        const char *line;
        s = vt_sql_step(stmt, "check the file", &more, err);
        if (s != VT_OK || !more)
            break;
        line = (const char *)sqlite3_column_text(stmt, 0);
        if (line && strcmp(line, "ok") != 0)
            say(k, true, "catalog.db: %s", line);
    }
    sqlite3_finalize(stmt);
    s = finding(k, s, err);
    if (s == VT_OK && k->problems == before)
        say(k, false, "catalog.db: pages and indexes are sound");
    return s;
}

static vt_status check_meta(checker *k, vt_err *err) {
    char model[65];
    vt_status s = vt_schema_verify(k->db, err);
    if (s == VT_OK)
        s = vt_meta_read(k->db, &k->meta, err);
    if (s != VT_OK)
        return finding(k, s, err);
    vt_hash_hex(&k->meta.model, model);
    say(k, false, "database %s: model %s (%.12s), %zu dimensions, change number %llu",
        k->meta.database_id, k->meta.model_name, model, k->meta.dim,
        (unsigned long long)k->meta.seq);
    return VT_OK;
}

/* ---- the rows --------------------------------------------------------------------------- */

static vt_status check_row(checker *k, sqlite3_stmt *stmt, vt_product *p, vt_err *err) {
    int64_t row;
    vt_status s = vt_row_read(stmt, k->meta.dim, &row, p, err);
    if (s != VT_OK)
        return s;
    s = vt_product_validate(p, err);
    if (s == VT_OK)
        s = vt_embedding_validate(p->embedding, k->meta.dim, err);
    if (s == VT_OK && p->seq > k->meta.seq)
        s = vt_fail(err, VT_E_CORRUPT, "change number %llu is above the counter, %llu",
                    (unsigned long long)p->seq, (unsigned long long)k->meta.seq);
    if (s == VT_OK && p->created_at > p->updated_at)
        s = vt_fail(err, VT_E_CORRUPT, "updated before it was created");
    if (s == VT_OK)
        s = vt_array_grow(&k->seqs, &k->cap_seqs, k->n_seqs + 1, sizeof *k->seqs, err);
    if (s != VT_OK)
        return vt_fail_prefix(err, "row %lld, product \"%s\"", (long long)row, p->id);
    k->seqs[k->n_seqs++] = p->seq;
    return vt_memory_load(k->memory, row, p, err);
}

static vt_status walk_rows(checker *k, sqlite3_stmt *stmt, vt_err *err) {
    vt_product p;
    bool more = true;
    vt_status s = VT_OK;
    vt_product_init(&p);
    while (s == VT_OK) {
        s = vt_sql_step(stmt, "read the products", &more, err);
        if (s != VT_OK) { /* SQLite cannot go on: the rest of the table is not readable */
            s = finding(k, s, err);
            break;
        }
        if (!more)
            break;
        k->rows++;
        s = finding(k, check_row(k, stmt, &p, err), err);
    }
    vt_product_release(&p);
    return s;
}

static int by_number(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void check_seqs(checker *k) {
    if (k->n_seqs == 0)
        return;
    qsort(k->seqs, k->n_seqs, sizeof *k->seqs, by_number);
    for (size_t i = 1; i < k->n_seqs; i++)
        if (k->seqs[i] == k->seqs[i - 1])
            say(k, true, "two products share the change number %llu",
                (unsigned long long)k->seqs[i]);
}

static vt_status check_rows(checker *k, vt_err *err) {
    sqlite3_stmt *stmt = NULL;
    size_t before = k->problems;
    vt_status s =
        vt_sql_prepare(k->db, "SELECT " VT_ROW_COLUMNS ", embedding FROM product", &stmt, err);
    s = s == VT_OK ? walk_rows(k, stmt, err) : finding(k, s, err);
    sqlite3_finalize(stmt);
    if (s != VT_OK)
        return s;
    check_seqs(k);
    if (k->problems == before)
        say(k, false, "products: all %zu rows are sound", k->rows);
    return VT_OK;
}

static vt_status check_index(checker *k, vt_err *err) {
    vt_status s = vt_memory_check(k->memory, err);
    if (s != VT_OK)
        return finding(k, s, err);
    say(k, false, "index: a search finds each of the %zu products by its own vector", k->n_seqs);
    return VT_OK;
}

/* ---- what is derived --------------------------------------------------------------------- */

static vt_status check_changes(checker *k, vt_err *err) {
    const vt_truth truth = {.db = k->db, .meta = &k->meta};
    size_t n = 0;
    vt_status s = vt_changes_check(&truth, &n, err);
    if (s == VT_OK)
        say(k, false, "log of changes: %zu, complete from number %llu on", n,
            (unsigned long long)k->meta.changes_from);
    return finding(k, s, err);
}

/* Does as a start would, and compares. One that a start would leave aside is no damage, but what it
 * has left aside for damage is. */
static vt_status check_snapshot(checker *k, const char *name, vt_err *err) {
    const vt_restoring from = {.truth = {.db = k->db, .meta = &k->meta}};
    char *path = vt_path_join(k->dir, name);
    vt_memory *memory = NULL;
    vt_restored told = {0};
    vt_status s = path ? vt_snapshot_restore(path, &from, &memory, &told, err)
                       : vt_fail_nomem(err, strlen(k->dir));
    if (s == VT_OK)
        s = vt_memory_check(memory, err);
    if (s == VT_OK)
        s = vt_memory_compare(k->memory, memory, err);
    if (s == VT_OK)
        say(k, false, "%s: of change number %llu; with %zu changes since it has all %zu products",
            name, (unsigned long long)told.seq, told.replayed, k->n_seqs);
    else if (s == VT_E_CORRUPT || s == VT_E_INVALID)
        vt_fail_prefix(err, "%s: remove it, the server makes another", name);
    vt_memory_close(memory);
    free(path);
    if (s == VT_E_NOT_FOUND)
        return VT_OK;
    if (s != VT_E_MISMATCH)
        return finding(k, s, err);
    say(k, false, "%s", err->text);
    return VT_OK;
}

static vt_status check_derived(checker *k, vt_err *err) {
    vt_status s;
    if (k->problems > 0) /* of what they are derived from */
        return VT_OK;
    s = check_changes(k, err);
    if (s == VT_OK)
        s = check_snapshot(k, "index.snapshot", err);
    return s == VT_OK ? check_snapshot(k, "index.snapshot.old", err) : s;
}

/* ---- all of it -------------------------------------------------------------------------- */

static vt_status check_parts(checker *k, const char *path, vt_err *err) {
    vt_status s = vt_sql_open(path, SQLITE_OPEN_READONLY, NULL, &k->db, err);
    if (s == VT_OK)
        s = check_file(k, err);
    else
        return finding(k, s, err);
    if (s == VT_OK)
        s = check_meta(k, err);
    if (s != VT_OK || k->meta.dim == 0) /* without it nothing more can be judged */
        return s;
    s = vt_memory_open(k->meta.dim, NULL, &k->memory, err);
    if (s == VT_OK)
        s = check_rows(k, err);
    if (s == VT_OK)
        s = check_index(k, err);
    if (s == VT_OK)
        s = check_derived(k, err);
    return s;
}

static vt_status check_locked(checker *k, const char *dir, vt_err *err) {
    char *path = vt_path_join(dir, "catalog.db");
    struct stat st;
    vt_status s;
    if (!path)
        return vt_fail_nomem(err, strlen(dir));
    if (stat(path, &st) != 0)
        s = vt_fail(err, VT_E_NOT_FOUND, "there is no catalogue in %.300s", dir);
    else
        s = check_parts(k, path, err);
    vt_memory_close(k->memory);
    free(k->seqs);
    sqlite3_close(k->db);
    free(path);
    return s;
}

vt_status vt_catalog_check(const char *dir, vt_say_fn say_fn, void *ctx, size_t *problems,
                           vt_err *err) {
    checker k = {.dir = dir, .say = say_fn, .ctx = ctx};
    char *path = vt_path_join(dir, "lock");
    vt_lock lock = {.fd = -1};
    vt_status s;
    *problems = 0;
    if (!path)
        return vt_fail_nomem(err, strlen(dir));
    s = vt_catalog_find(dir, err); /* before the lock, whose file would be left behind */
    if (s == VT_OK)
        s = vt_lock_acquire(path, &lock, err);
    if (s == VT_OK)
        s = check_locked(&k, dir, err);
    *problems = k.problems;
    vt_lock_release(&lock);
    free(path);
    return s;
}
