/* A product as a row of the table. */
#ifndef VT_CATALOG_ROW_H
#define VT_CATALOG_ROW_H

#include "catalog/product.h"
#include "catalog/sql.h"

/* Columns in the order that vt_row_read expects; the embedding may be left out. */
#define VT_ROW_COLUMNS                                                                             \
    "row, id, seq, name, description, image_url, category, price, attributes, image_hash, "        \
    "created_at, updated_at"
/* The same shape without the texts that only an answer needs: what is loaded at start. */
#define VT_ROW_COLUMNS_INDEXED                                                                     \
    "row, id, seq, '', '', '', category, price, attributes, image_hash, created_at, updated_at"

/* Reads the current row into p (released first). dim 0: the embedding was not selected. E_CORRUPT
 * names the column that cannot be a product's; p is then empty, *row is still told. */
vt_status vt_row_read(sqlite3_stmt *stmt, size_t dim, int64_t *row, vt_product *p,
                      vt_err *err) VT_MUST_USE;
/* Binds ?1.. = id, seq, name, description, image_url, category, price, attributes, image_hash,
 * created_at, updated_at, embedding. p must outlive the step; text (the attributes') is filled. */
vt_status vt_row_bind(sqlite3_stmt *stmt, const vt_product *p, size_t dim, vt_buf *text,
                      vt_err *err) VT_MUST_USE;

#endif
