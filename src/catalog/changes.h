/* The log of changes: which products were put or deleted since a number. */
#ifndef VT_CATALOG_CHANGES_H
#define VT_CATALOG_CHANGES_H

#include "catalog/product.h"
#include "catalog/schema.h"

typedef struct vt_truth { /* a database and whose it is; neither is owned */
    sqlite3 *db;
    const vt_meta *meta;
} vt_truth;

/* Called once with the id of each product changed after `since`, which is not below
 * meta.changes_from: with its row as it is now, as vt_row_read leaves it (without name, description
 * and image_url), or with p NULL where it is gone. */
typedef vt_status (*vt_replay_fn)(void *ctx, const char *id, int64_t row, const vt_product *p,
                                  vt_err *err);
vt_status vt_changes_replay(const vt_truth *t, uint64_t since, vt_replay_fn fn, void *ctx,
                            vt_err *err) VT_MUST_USE;
/* Verifies that each number is one that was given, each id one that can be, and that no product has
 * a number above meta.changes_from that the log does not have: E_CORRUPT names the first. *n is the
 * length of the log. */
vt_status vt_changes_check(const vt_truth *t, size_t *n, vt_err *err) VT_MUST_USE;

#endif
