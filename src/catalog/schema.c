/* The format of catalog.db. A row of `product` is the whole truth of one product; `meta` is one row
 * that says whose the file is. STRICT tables: a column holds what its type says or the write fails.
 *
 * id is compared by bytes (SQLite's BINARY collation), so that the order of a list is the order of
 * ties in a search. `seq` has no index: nothing asks for it in order, and each commit would write
 * one page more; vt_catalog_check verifies that it is unique. The embedding comes last, so that
 * reading the other columns never touches its overflow pages.
 *
 * `change` says which product each change was to, deletions too, so that a snapshot of the index is
 * brought up to date without reading all products. It is complete above meta.changes_from; what no
 * snapshot needs any more is taken from its beginning. It is written to at its end only: a page a
 * commit, as small as the commits are. (An index on product.seq would be written to all over, for
 * ever, and not know what is gone.)
 *
 * meta.snapshots tells the snapshots that this database has written from all other bytes that look
 * like one: their roots, as vt_roots has them. A blob beside the counters, as it is read and
 * written whole, once a start and once a snapshot.
 *
 * Version 1 had neither `change` nor meta.changes_from, version 2 no meta.snapshots.
 *
 * Rejected: vectors in a table of their own (two rows to keep in step, two pages a write), and
 * AUTOINCREMENT (a second counter beside seq, which tells a reused row from the old one as well).
 */
#include "catalog/schema.h"

#define TEXT(x)  #x
#define VALUE(x) TEXT(x)

#define APPLICATION_ID 1987342958 /* 0x7674726e, "vtrn": byte 68 of the file, for file(1) */
#define SCHEMA_VERSION 3

#define CHANGE "CREATE TABLE change (seq INTEGER PRIMARY KEY, id TEXT NOT NULL) STRICT;"

static const char TABLES[] =
    "BEGIN IMMEDIATE;"
    "CREATE TABLE meta ("
    " one INTEGER PRIMARY KEY CHECK (one = 1),"
    " database_id TEXT NOT NULL,"
    " model TEXT NOT NULL,"
    " model_name TEXT NOT NULL,"
    " dim INTEGER NOT NULL,"
    " seq INTEGER NOT NULL,"
    " changes_from INTEGER NOT NULL DEFAULT 0,"
    " snapshots BLOB NOT NULL DEFAULT x''"
    ") STRICT;"
    "CREATE TABLE product ("
    " row INTEGER PRIMARY KEY,"
    " id TEXT NOT NULL UNIQUE,"
    " seq INTEGER NOT NULL,"
    " name TEXT NOT NULL,"
    " description TEXT NOT NULL,"
    " image_url TEXT NOT NULL,"
    " category TEXT NOT NULL,"
    " price REAL,"
    " attributes TEXT NOT NULL,"
    " image_hash BLOB NOT NULL,"
    " created_at INTEGER NOT NULL,"
    " updated_at INTEGER NOT NULL,"
    " embedding BLOB NOT NULL"
    ") STRICT;" CHANGE
    "PRAGMA application_id=" VALUE(APPLICATION_ID) ";"
                                                   "PRAGMA user_version=" VALUE(SCHEMA_VERSION) ";";

void vt_uuid_random(char out[37]) {
    static const char hex[] = "0123456789abcdef";
    uint8_t bytes[16];
    size_t n = 0;
    vt_random_bytes(bytes, sizeof bytes);
    bytes[6] = (uint8_t)((bytes[6] & 0x0F) | 0x40); /* version 4, RFC 9562 */
    bytes[8] = (uint8_t)((bytes[8] & 0x3F) | 0x80);
    for (size_t i = 0; i < sizeof bytes; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            out[n++] = '-';
        out[n++] = hex[bytes[i] >> 4];
        out[n++] = hex[bytes[i] & 15];
    }
    out[n] = 0;
}

vt_status vt_schema_verify(sqlite3 *db, vt_err *err) {
    const char *path = sqlite3_db_filename(db, "main");
    int64_t tables = 0, application = 0, version = 0;
    vt_status s = vt_sql_int(db, "SELECT count(*) FROM sqlite_schema", &tables, err);
    if (s == VT_OK)
        s = vt_sql_int(db, "PRAGMA application_id", &application, err);
    if (s == VT_OK)
        s = vt_sql_int(db, "PRAGMA user_version", &version, err);
    if (s != VT_OK)
        return s;
    if (tables == 0 && application == 0)
        return vt_fail(err, VT_E_CORRUPT,
                       "%.300s has no tables: restore a backup, or remove it and import again",
                       path);
    if (application != APPLICATION_ID)
        return vt_fail(
            err, VT_E_MISMATCH,
            "%.300s is an SQLite database of another program: choose another data folder", path);
    if (version > SCHEMA_VERSION)
        return vt_fail(err, VT_E_MISMATCH,
                       "%.300s was written by a newer vitrine (format %lld, this one reads up to "
                       "%d): use that version, or another data folder",
                       path, (long long)version, SCHEMA_VERSION);
    if (version < 1)
        return vt_fail(err, VT_E_CORRUPT, "%.300s has no valid format number (%lld)", path,
                       (long long)version);
    return VT_OK;
}

static vt_status insert_meta(sqlite3 *db, const vt_meta *meta, vt_err *err) {
    sqlite3_stmt *stmt = NULL;
    char model[65];
    vt_status s =
        vt_sql_prepare(db, "INSERT INTO meta VALUES (1, ?1, ?2, ?3, ?4, 0, 0, x'')", &stmt, err);
    if (s != VT_OK)
        return s;
    vt_hash_hex(&meta->model, model);
    if (sqlite3_bind_text(stmt, 1, meta->database_id, -1, SQLITE_STATIC) != SQLITE_OK ||
        sqlite3_bind_text(stmt, 2, model, -1, SQLITE_STATIC) != SQLITE_OK ||
        sqlite3_bind_text(stmt, 3, meta->model_name, -1, SQLITE_STATIC) != SQLITE_OK ||
        sqlite3_bind_int64(stmt, 4, (sqlite3_int64)meta->dim) != SQLITE_OK)
        s = vt_sql_fail(db, "bind the model's identity", err);
    else
        s = vt_sql_run(stmt, "write the model's identity", err);
    sqlite3_finalize(stmt);
    return s;
}

/* Gives back what was begun; the first failure is the one to tell. */
static vt_status undo(sqlite3 *db, vt_status s) {
    if (s != VT_OK && !sqlite3_get_autocommit(db))
        sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return s;
}

vt_status vt_schema_create(sqlite3 *db, const vt_meta *meta, vt_err *err) {
    vt_status s = vt_sql_exec(db, TABLES, "create the tables", err);
    if (s == VT_OK)
        s = insert_meta(db, meta, err);
    if (s == VT_OK)
        s = vt_sql_exec(db, "COMMIT", "create the tables", err);
    return undo(db, s);
}

/* Nothing is known of the changes so far: they count as forgotten. Nor of the snapshots so far: a
 * start makes one anew. */
vt_status vt_schema_upgrade(sqlite3 *db, vt_meta *meta, vt_err *err) {
    static const char from_1[] =
        "BEGIN IMMEDIATE;"
        "ALTER TABLE meta ADD COLUMN changes_from INTEGER NOT NULL DEFAULT 0;"
        "UPDATE meta SET changes_from = seq;" CHANGE "PRAGMA user_version=2;"
        "COMMIT;";
    static const char from_2[] = "BEGIN IMMEDIATE;"
                                 "ALTER TABLE meta ADD COLUMN snapshots BLOB NOT NULL DEFAULT x'';"
                                 "PRAGMA user_version=3;"
                                 "COMMIT;";
    vt_status s = VT_OK;
    if (meta->version < 2)
        s = undo(db, vt_sql_exec(db, from_1, "bring the file to the new format", err));
    if (s == VT_OK && meta->version < 3)
        s = undo(db, vt_sql_exec(db, from_2, "bring the file to the new format", err));
    if (s == VT_OK)
        meta->version = SCHEMA_VERSION;
    return s;
}

static vt_status read_meta_row(sqlite3_stmt *stmt, vt_meta *out, vt_err *err) {
    const char *id = (const char *)sqlite3_column_text(stmt, 0);
    const char *model = (const char *)sqlite3_column_text(stmt, 1);
    const char *name = (const char *)sqlite3_column_text(stmt, 2);
    int64_t dim = sqlite3_column_int64(stmt, 3), seq = sqlite3_column_int64(stmt, 4);
    int64_t from = sqlite3_column_int64(stmt, 5);
    const void *roots = sqlite3_column_blob(stmt, 6);
    size_t n_roots = (size_t)sqlite3_column_bytes(stmt, 6);
    if (!id || !model || !name || strlen(id) != 36 || !vt_hash_from_hex(model, &out->model) ||
        dim < 1 || dim > 65536 || seq < 0 || from < 0 || from > seq ||
        (n_roots > 0 && n_roots != sizeof out->roots))
        return vt_fail(err, VT_E_CORRUPT,
                       "%.300s: the row that names the model is damaged; run `vitrine check`, then "
                       "restore a backup or import the products again",
                       sqlite3_db_filename(sqlite3_db_handle(stmt), "main"));
    memcpy(out->database_id, id, sizeof out->database_id);
    snprintf(out->model_name, sizeof out->model_name, "%s", name);
    out->dim = (size_t)dim;
    out->seq = (uint64_t)seq;
    out->changes_from = (uint64_t)from;
    if (roots)
        memcpy(&out->roots, roots, sizeof out->roots);
    return VT_OK;
}

/* By version. */
#define META "SELECT database_id, model, model_name, dim, seq, "
#define FROM " FROM meta WHERE one = 1"
static const char *const READ_META[SCHEMA_VERSION + 1] = {
    [1] = META "seq, x''" FROM,
    [2] = META "changes_from, x''" FROM,
    [3] = META "changes_from, snapshots" FROM,
};

vt_status vt_meta_read(sqlite3 *db, vt_meta *out, vt_err *err) {
    sqlite3_stmt *stmt = NULL;
    bool row = false;
    int64_t version;
    vt_status s = vt_sql_int(db, "PRAGMA user_version", &version, err);
    *out = (vt_meta){.version = (int)version};
    if (s == VT_OK)
        s = vt_sql_prepare(db, READ_META[version], &stmt, err);
    if (s == VT_OK)
        s = vt_sql_step(stmt, "read the model's identity", &row, err);
    if (s == VT_OK && !row)
        s = vt_fail(err, VT_E_CORRUPT, "%.300s: the row that names the model is missing",
                    sqlite3_db_filename(db, "main"));
    if (s == VT_OK)
        s = read_meta_row(stmt, out, err);
    sqlite3_finalize(stmt);
    return s;
}

vt_status vt_meta_match(const vt_meta *file, const vt_meta *loaded, const char *path, vt_err *err) {
    char was[65], is[65];
    if (vt_hash_equal(&file->model, &loaded->model) && file->dim == loaded->dim)
        return VT_OK;
    vt_hash_hex(&file->model, was);
    vt_hash_hex(&loaded->model, is);
    return vt_fail(err, VT_E_MISMATCH,
                   "%.120s holds vectors of the model %.60s (%.12s, %zu dimensions), but %.60s "
                   "(%.12s, %zu dimensions) is loaded: start with that model (--model), or choose "
                   "another data folder (--data) and import the products again",
                   path, file->model_name, was, file->dim, loaded->model_name, is, loaded->dim);
}
