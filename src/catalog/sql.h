/* SQLite, opened and asked our way. */
#ifndef VT_CATALOG_SQL_H
#define VT_CATALOG_SQL_H

#include <sqlite3.h>

#include "base/base.h"

/* flags: SQLITE_OPEN_*. vfs NULL: the default one. A connection belongs to one thread at a time. */
vt_status vt_sql_open(const char *path, int flags, const char *vfs, sqlite3 **out,
                      vt_err *err) VT_MUST_USE;
/* Fails with db's last error: which file, what was done, why, and where it helps what to do. */
vt_status vt_sql_fail(sqlite3 *db, const char *what, vt_err *err);
vt_status vt_sql_exec(sqlite3 *db, const char *sql, const char *what, vt_err *err) VT_MUST_USE;
/* The statement lives as long as the connection; finalize it before. */
vt_status vt_sql_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **out, vt_err *err) VT_MUST_USE;
/* The first column of the first row; 0 where there is no row. */
vt_status vt_sql_int(sqlite3 *db, const char *sql, int64_t *out, vt_err *err) VT_MUST_USE;
/* Steps a statement that gives no rows, then resets it and forgets its bindings. */
vt_status vt_sql_run(sqlite3_stmt *stmt, const char *what, vt_err *err) VT_MUST_USE;
/* Steps once: *row tells whether there is one. On failure the statement is reset. */
vt_status vt_sql_step(sqlite3_stmt *stmt, const char *what, bool *row, vt_err *err) VT_MUST_USE;
void vt_sql_reset(sqlite3_stmt *stmt);

#endif
