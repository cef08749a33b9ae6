/* SQLite, opened and asked our way: one table from its result codes to ours, and pragmas that every
 * connection needs.
 *
 * mmap_size=0: an I/O error on a mapped page is a SIGBUS, and with read(2) it is an error code.
 * cell_size_check and trusted_schema=OFF: the file may be damaged or foreign. NOMUTEX: each
 * connection is used by one thread at a time (the writer's thread, or whoever took a reader). */
#include "catalog/sql.h"

static vt_status status_of(int rc) {
    switch (rc & 0xFF) {
    case SQLITE_OK:
        return VT_OK;
    case SQLITE_FULL:
        return VT_E_FULL;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return VT_E_CORRUPT;
    case SQLITE_NOMEM:
        return VT_E_NOMEM;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return VT_E_BUSY;
    case SQLITE_TOOBIG:
        return VT_E_TOO_LARGE;
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
        return VT_E_IO;
    default:
        return VT_E_INTERNAL;
    }
}

static const char *advice(vt_status s) {
    if (s == VT_E_CORRUPT)
        return "; run `vitrine check` to see what is lost, then restore a backup of the data "
               "folder, or move the file away and import the products again";
    if (s == VT_E_FULL)
        return "; nothing was written, free some space and try again";
    if (s == VT_E_BUSY)
        return "; another program has the file open for writing";
    return "";
}

vt_status vt_sql_fail(sqlite3 *db, const char *what, vt_err *err) {
    vt_status s = db ? status_of(sqlite3_errcode(db)) : VT_E_NOMEM;
    const char *path = db ? sqlite3_db_filename(db, "main") : NULL;
    if (s == VT_OK) /* the failure was not SQLite's */
        s = VT_E_INTERNAL;
    return vt_fail(err, s, "%.200s: cannot %s: %s%s", path && *path ? path : "catalog.db", what,
                   db ? sqlite3_errmsg(db) : "out of memory", advice(s));
}

vt_status vt_sql_exec(sqlite3 *db, const char *sql, const char *what, vt_err *err) {
    return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK ? VT_OK
                                                                : vt_sql_fail(db, what, err);
}

vt_status vt_sql_open(const char *path, int flags, const char *vfs, sqlite3 **out, vt_err *err) {
    enum { BUSY_MS = 2000 }; /* for other programs only: we have one writing connection */
    vt_status s;
    *out = NULL;
    if (sqlite3_open_v2(path, out, flags | SQLITE_OPEN_NOMUTEX, vfs) != SQLITE_OK) {
        s = vt_sql_fail(*out, "open the database", err);
        goto done;
    }
    sqlite3_extended_result_codes(*out, 1);
    sqlite3_busy_timeout(*out, BUSY_MS);
    s = vt_sql_exec(*out,
                    "PRAGMA mmap_size=0; PRAGMA cell_size_check=ON; PRAGMA trusted_schema=OFF;"
                    "PRAGMA temp_store=MEMORY",
                    "set up the connection", err);
done:
    if (s != VT_OK) {
        sqlite3_close(*out);
        *out = NULL;
    }
    return s;
}

vt_status vt_sql_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **out, vt_err *err) {
    if (sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, out, NULL) != SQLITE_OK)
        return vt_sql_fail(db, "read the tables", err);
    return VT_OK;
}

void vt_sql_reset(sqlite3_stmt *stmt) {
    sqlite3_reset(stmt); /* repeats the error of the step, which was told then */
    sqlite3_clear_bindings(stmt);
}

vt_status vt_sql_step(sqlite3_stmt *stmt, const char *what, bool *row, vt_err *err) {
    int rc = sqlite3_step(stmt);
    vt_status s = VT_OK;
    *row = rc == SQLITE_ROW;
    if (rc != SQLITE_ROW && rc != SQLITE_DONE) {
        s = vt_sql_fail(sqlite3_db_handle(stmt), what, err);
        vt_sql_reset(stmt);
    }
    return s;
}

vt_status vt_sql_run(sqlite3_stmt *stmt, const char *what, vt_err *err) {
    bool row;
    vt_status s = vt_sql_step(stmt, what, &row, err);
    vt_sql_reset(stmt);
    return s;
}

vt_status vt_sql_int(sqlite3 *db, const char *sql, int64_t *out, vt_err *err) {
    sqlite3_stmt *stmt = NULL;
    bool row = false;
    vt_status s = vt_sql_prepare(db, sql, &stmt, err);
    *out = 0;
    if (s == VT_OK)
        s = vt_sql_step(stmt, "read the file's header", &row, err);
    if (row)
        *out = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    return s;
}
