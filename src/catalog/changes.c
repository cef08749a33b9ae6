/* Reading the log of changes (schema.c says what it is, store.c writes it). A product that was
 * changed often is read once, as it is now: what lies between does not matter to who replays. */
#include "catalog/changes.h"

#include "catalog/row.h"

/* All NULL but the last where the product is gone. */
static const char REPLAY[] = "SELECT " VT_ROW_COLUMNS_INDEXED ", embedding, changed "
                             "FROM (SELECT DISTINCT id AS changed FROM change WHERE seq > ?1) "
                             "LEFT JOIN product ON product.id = changed";
enum { REPLAY_ROW, REPLAY_ID = 13 };

static vt_status replay_one(const vt_truth *t, sqlite3_stmt *stmt, vt_product *p, vt_replay_fn fn,
                            void *ctx, vt_err *err) {
    int64_t row = 0;
    const char *id = (const char *)sqlite3_column_text(stmt, REPLAY_ID);
    vt_status s;
    if (!id)
        return vt_fail_nomem(err, VT_PRODUCT_ID_MAX);
    if (sqlite3_column_type(stmt, REPLAY_ROW) == SQLITE_NULL)
        return fn(ctx, id, 0, NULL, err);
    s = vt_row_read(stmt, t->meta->dim, &row, p, err);
    return s == VT_OK ? fn(ctx, p->id, row, p, err) : s;
}

vt_status vt_changes_replay(const vt_truth *t, uint64_t since, vt_replay_fn fn, void *ctx,
                            vt_err *err) {
    sqlite3_stmt *stmt = NULL;
    vt_product p;
    bool more = true;
    vt_status s = vt_sql_prepare(t->db, REPLAY, &stmt, err);
    vt_product_init(&p);
    if (s == VT_OK)
        sqlite3_bind_int64(stmt, 1, (sqlite3_int64)since); /* cannot fail */
    while (s == VT_OK) {
        s = vt_sql_step(stmt, "read what has changed", &more, err);
        if (s != VT_OK || !more)
            break;
        s = replay_one(t, stmt, &p, fn, ctx, err);
    }
    vt_product_release(&p);
    sqlite3_finalize(stmt);
    return s;
}

/* ---- check ------------------------------------------------------------------------------ */

static vt_status check_line(const vt_truth *t, sqlite3_stmt *stmt, vt_err *err) {
    int64_t seq = sqlite3_column_int64(stmt, 0);
    const char *id = (const char *)sqlite3_column_text(stmt, 1);
    size_t len = (size_t)sqlite3_column_bytes(stmt, 1);
    if (!id)
        return vt_fail_nomem(err, VT_PRODUCT_ID_MAX);
    if (seq <= 0 || (uint64_t)seq > t->meta->seq)
        return vt_fail(err, VT_E_CORRUPT,
                       "log of changes: number %lld is above the counter, %llu, or not positive",
                       (long long)seq, (unsigned long long)t->meta->seq);
    if (len < 1 || len > VT_PRODUCT_ID_MAX || !vt_utf8_valid(id, len))
        return vt_fail(err, VT_E_CORRUPT, "log of changes: number %lld is of no product's id",
                       (long long)seq);
    return VT_OK;
}

/* A number is unique and a whole one by the table's key. */
static vt_status check_lines(const vt_truth *t, size_t *n, vt_err *err) {
    sqlite3_stmt *stmt = NULL;
    bool more = true;
    vt_status s = vt_sql_prepare(t->db, "SELECT seq, id FROM change", &stmt, err);
    for (*n = 0; s == VT_OK; ++*n) {
        s = vt_sql_step(stmt, "read the log of changes", &more, err);
        if (s != VT_OK || !more)
            break;
        s = check_line(t, stmt, err);
    }
    sqlite3_finalize(stmt);
    return s;
}

vt_status vt_changes_check(const vt_truth *t, size_t *n, vt_err *err) {
    int64_t missing = 0;
    vt_status s;
    *n = 0;
    if (t->meta->version < 2) /* it has none yet */
        return VT_OK;
    s = check_lines(t, n, err);
    if (s == VT_OK)
        s = vt_sql_int(
            t->db,
            "SELECT count(*) FROM product, meta WHERE product.seq > changes_from AND NOT "
            "EXISTS (SELECT 1 FROM change WHERE change.seq = product.seq AND change.id "
            "= product.id)",
            &missing, err);
    if (s == VT_OK && missing > 0)
        s = vt_fail(err, VT_E_CORRUPT, "log of changes: it lacks %lld products' last changes",
                    (long long)missing);
    return s;
}
