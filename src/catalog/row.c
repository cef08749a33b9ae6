/* A product to a row and back. A row is foreign until it has been read through here: types, UTF-8,
 * lengths and JSON are verified, so that a damaged file is an error with a row number and never a
 * product that surprises the code behind. (Ranges are vt_product_validate's; `check` applies it.)
 *
 * Embeddings are little-endian binary32, copied out of SQLite's page: there they may be unaligned,
 * and the page may go with the next step. */
#include "catalog/row.h"

#include <math.h>

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "embeddings are stored little-endian");

enum column {
    COL_ROW,
    COL_ID,
    COL_SEQ,
    COL_NAME,
    COL_DESCRIPTION,
    COL_IMAGE_URL,
    COL_CATEGORY,
    COL_PRICE,
    COL_ATTRIBUTES,
    COL_IMAGE_HASH,
    COL_CREATED_AT,
    COL_UPDATED_AT,
    COL_EMBEDDING,
};

static const char *const COLUMN_NAMES[] = {"row",         "id",         "seq",        "name",
                                           "description", "image_url",  "category",   "price",
                                           "attributes",  "image_hash", "created_at", "updated_at",
                                           "embedding"};

static vt_status damaged(sqlite3_stmt *stmt, enum column c, const char *why, vt_err *err) {
    return vt_fail(err, VT_E_CORRUPT, "%.200s: row %lld: %s %s",
                   sqlite3_db_filename(sqlite3_db_handle(stmt), "main"),
                   (long long)sqlite3_column_int64(stmt, COL_ROW), COLUMN_NAMES[c], why);
}

static vt_status read_text(sqlite3_stmt *stmt, enum column c, char **out, vt_err *err) {
    const char *s;
    size_t n;
    if (sqlite3_column_type(stmt, c) != SQLITE_TEXT)
        return damaged(stmt, c, "is not text", err);
    s = (const char *)sqlite3_column_text(stmt, c);
    n = (size_t)sqlite3_column_bytes(stmt, c);
    if (s && !vt_utf8_valid(s, n))
        return damaged(stmt, c, "is not valid UTF-8", err);
    *out = s ? vt_strndup(s, n) : NULL;
    return *out ? VT_OK : vt_fail_nomem(err, n);
}

static vt_status read_price(sqlite3_stmt *stmt, double *out, vt_err *err) {
    *out = NAN;
    if (sqlite3_column_type(stmt, COL_PRICE) == SQLITE_NULL)
        return VT_OK;
    if (sqlite3_column_type(stmt, COL_PRICE) != SQLITE_FLOAT)
        return damaged(stmt, COL_PRICE, "is not a number", err);
    *out = sqlite3_column_double(stmt, COL_PRICE);
    return isfinite(*out) && *out >= 0 ? VT_OK
                                       : damaged(stmt, COL_PRICE, "is not zero or more", err);
}

static vt_status read_attributes(sqlite3_stmt *stmt, json_t **out, vt_err *err) {
    const char *s;
    vt_err why;
    vt_status status;
    if (sqlite3_column_type(stmt, COL_ATTRIBUTES) != SQLITE_TEXT)
        return damaged(stmt, COL_ATTRIBUTES, "is not text", err);
    s = (const char *)sqlite3_column_text(stmt, COL_ATTRIBUTES);
    if (!s)
        return vt_fail_nomem(err, VT_ATTRIBUTES_MAX);
    status = vt_json_parse(s, (size_t)sqlite3_column_bytes(stmt, COL_ATTRIBUTES), out, &why);
    if (status == VT_OK && json_is_object(*out))
        return VT_OK;
    return damaged(stmt, COL_ATTRIBUTES, status == VT_OK ? "is not a JSON object" : why.text, err);
}

static vt_status read_hash(sqlite3_stmt *stmt, vt_hash *out, vt_err *err) {
    const void *bytes = sqlite3_column_blob(stmt, COL_IMAGE_HASH);
    if (!bytes || sqlite3_column_bytes(stmt, COL_IMAGE_HASH) != (int)sizeof out->bytes)
        return damaged(stmt, COL_IMAGE_HASH, "does not have 32 bytes", err);
    memcpy(out->bytes, bytes, sizeof out->bytes);
    return VT_OK;
}

static vt_status read_embedding(sqlite3_stmt *stmt, size_t dim, float **out, vt_err *err) {
    const void *bytes = sqlite3_column_blob(stmt, COL_EMBEDDING);
    size_t n = (size_t)sqlite3_column_bytes(stmt, COL_EMBEDDING);
    if (!bytes || n != dim * sizeof **out)
        return damaged(stmt, COL_EMBEDDING, "does not have the model's length", err);
    *out = vt_alloc(dim, sizeof **out);
    if (!*out)
        return vt_fail_nomem(err, n);
    memcpy(*out, bytes, n);
    return VT_OK;
}

static vt_status read_seq(sqlite3_stmt *stmt, uint64_t *out, vt_err *err) {
    int64_t seq = sqlite3_column_int64(stmt, COL_SEQ);
    *out = (uint64_t)seq;
    return seq > 0 ? VT_OK : damaged(stmt, COL_SEQ, "is not positive", err);
}

vt_status vt_row_read(sqlite3_stmt *stmt, size_t dim, int64_t *row, vt_product *p, vt_err *err) {
    vt_status s;
    vt_product_release(p);
    *row = sqlite3_column_int64(stmt, COL_ROW);
    p->created_at = sqlite3_column_int64(stmt, COL_CREATED_AT);
    p->updated_at = sqlite3_column_int64(stmt, COL_UPDATED_AT);
    s = read_seq(stmt, &p->seq, err);
    if (s == VT_OK)
        s = read_text(stmt, COL_ID, &p->id, err);
    if (s == VT_OK)
        s = read_text(stmt, COL_NAME, &p->name, err);
    if (s == VT_OK)
        s = read_text(stmt, COL_DESCRIPTION, &p->description, err);
    if (s == VT_OK)
        s = read_text(stmt, COL_IMAGE_URL, &p->image_url, err);
    if (s == VT_OK)
        s = read_text(stmt, COL_CATEGORY, &p->category, err);
    if (s == VT_OK)
        s = read_price(stmt, &p->price, err);
    if (s == VT_OK)
        s = read_attributes(stmt, &p->attributes, err);
    if (s == VT_OK)
        s = read_hash(stmt, &p->image_hash, err);
    if (s == VT_OK && dim > 0)
        s = read_embedding(stmt, dim, &p->embedding, err);
    if (s != VT_OK)
        vt_product_release(p);
    return s;
}

static int bind_text(sqlite3_stmt *stmt, int at, const char *s) {
    return sqlite3_bind_text64(stmt, at, s, strlen(s), SQLITE_STATIC, SQLITE_UTF8);
}

vt_status vt_row_bind(sqlite3_stmt *stmt, const vt_product *p, size_t dim, vt_buf *text,
                      vt_err *err) {
    vt_status s;
    vt_buf_clear(text);
    s = vt_attributes_text(p->attributes, text, err);
    if (s != VT_OK)
        return s;
    if (bind_text(stmt, 1, p->id) != SQLITE_OK ||
        sqlite3_bind_int64(stmt, 2, (sqlite3_int64)p->seq) != SQLITE_OK ||
        bind_text(stmt, 3, p->name) != SQLITE_OK ||
        bind_text(stmt, 4, p->description) != SQLITE_OK ||
        bind_text(stmt, 5, p->image_url) != SQLITE_OK ||
        bind_text(stmt, 6, p->category) != SQLITE_OK ||
        (isnan(p->price) ? sqlite3_bind_null(stmt, 7) : sqlite3_bind_double(stmt, 7, p->price)) !=
            SQLITE_OK ||
        bind_text(stmt, 8, text->data) != SQLITE_OK ||
        sqlite3_bind_blob(stmt, 9, p->image_hash.bytes, sizeof p->image_hash.bytes,
                          SQLITE_STATIC) != SQLITE_OK ||
        sqlite3_bind_int64(stmt, 10, p->created_at) != SQLITE_OK ||
        sqlite3_bind_int64(stmt, 11, p->updated_at) != SQLITE_OK ||
        sqlite3_bind_blob64(stmt, 12, p->embedding, dim * sizeof *p->embedding, SQLITE_STATIC) !=
            SQLITE_OK)
        return vt_sql_fail(sqlite3_db_handle(stmt), "bind a product", err);
    return VT_OK;
}
