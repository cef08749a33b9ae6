/* The writing connection. One thread at a time: the opener's, then the writer's. */
#ifndef VT_CATALOG_STORE_H
#define VT_CATALOG_STORE_H

#include "catalog/changes.h"
#include "catalog/product.h"
#include "catalog/schema.h"

typedef struct vt_store vt_store;

/* Opens or creates the file. meta holds the loaded model's identity; E_MISMATCH when the file is
 * another's. */
vt_status vt_store_open(const char *path, const char *vfs, const vt_meta *meta, vt_store **out,
                        vt_err *err) VT_MUST_USE;
/* Moves the log into the file. Readers must be closed before. */
void vt_store_close(vt_store *s);
const char *vt_store_database_id(const vt_store *s);
uint64_t vt_store_seq(const vt_store *s); /* of the last commit */
/* For the opener's thread, before the writer runs. */
vt_truth vt_store_truth(const vt_store *s);

/* Called with each product as vt_row_read leaves it, without name, description and image_url. */
typedef vt_status (*vt_load_fn)(void *ctx, int64_t row, const vt_product *p, vt_err *err);
vt_status vt_store_load(vt_store *s, vt_load_fn fn, void *ctx, vt_err *err) VT_MUST_USE;

typedef struct vt_stored { /* what a put or a delete did */
    int64_t row;
    uint64_t seq; /* of the change; 0: none */
    vt_put_result result;
    bool changed;
} vt_stored;

/* Changes come between begin and commit. A change that fails leaves the transaction as it was
 * before it. indexed: the seq under which the product is in memory, 0 when it is not: only a
 * product that memory has too may stay UNCHANGED. */
vt_status vt_store_begin(vt_store *s, vt_err *err) VT_MUST_USE;
vt_status vt_store_put(vt_store *s, vt_product *p, uint64_t indexed, vt_stored *out,
                       vt_err *err) VT_MUST_USE;
vt_status vt_store_delete(vt_store *s, const char *id, vt_stored *out, vt_err *err) VT_MUST_USE;
/* Nobody will replay from below up_to: what is known of changes up to there is removed, as far as
 * it is committed. */
vt_status vt_store_forget(vt_store *s, uint64_t up_to, vt_err *err) VT_MUST_USE;
/* From the commit on a start takes the snapshots of these roots, and no other. */
vt_status vt_store_note_snapshots(vt_store *s, const vt_roots *roots, vt_err *err) VT_MUST_USE;
/* OK: durable. Otherwise nothing of the transaction happened, and the store can be used on. */
vt_status vt_store_commit(vt_store *s, vt_err *err) VT_MUST_USE;

/* Pages in the log that are not yet in the file. */
size_t vt_store_log_pages(const vt_store *s);
/* Moves the log into the file as far as readers allow. A failure loses nothing (the log keeps what
 * it has), so it is not told: the next one tries again. */
void vt_store_checkpoint(vt_store *s);

#endif
