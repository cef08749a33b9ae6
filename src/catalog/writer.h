/* The one thread that writes. */
#ifndef VT_CATALOG_WRITER_H
#define VT_CATALOG_WRITER_H

#include "catalog/store.h"

/* One change asked for, and what became of it. */
typedef struct vt_write {
    vt_product *product;   /* a put; NULL: a deletion of `id` */
    const char *id;        /* NULL too: not of a product */
    const vt_roots *roots; /* vt_store_note_snapshots; NULL too: vt_store_forget */
    uint64_t forget;
    vt_err *err;      /* the caller's, filled on failure */
    vt_status status; /* filled from here on */
    vt_put_result result;
    int64_t row;
    uint64_t seq; /* of the change; rises along a group */
    bool changed;
} vt_write;

/* Called from the writer's thread after a commit, with the group in order: makes memory follow.
 * May fail single writes. seq: of the commit. */
typedef void (*vt_apply_fn)(void *ctx, vt_write *const *writes, size_t n, uint64_t seq);
/* The seq under which memory has product id; 0: it does not. Called from the writer's thread. */
typedef uint64_t (*vt_indexed_fn)(void *ctx, const char *id);

typedef struct vt_writer_options {
    vt_store *store; /* used by the writer's thread alone until close; not owned */
    vt_apply_fn apply;
    vt_indexed_fn indexed;
    void *ctx;
} vt_writer_options;

typedef struct vt_writer vt_writer;

vt_status vt_writer_open(const vt_writer_options *o, vt_writer **out, vt_err *err) VT_MUST_USE;
/* Writes what was accepted, then stops. */
void vt_writer_close(vt_writer *w);
/* Hands n writes over and waits until each is durable and applied, or has failed. */
void vt_writer_submit(vt_writer *w, vt_write *writes, size_t n);

typedef struct vt_writer_stats {
    uint64_t commits, rows;
} vt_writer_stats;
vt_writer_stats vt_writer_describe(vt_writer *w);

#endif
