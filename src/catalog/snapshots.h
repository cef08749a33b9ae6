/* The catalogue's snapshots on disk: index.snapshot, and the one before it. */
#ifndef VT_CATALOG_SNAPSHOTS_H
#define VT_CATALOG_SNAPSHOTS_H

#include "catalog/changes.h"
#include "catalog/memory.h"

typedef struct vt_snapshots vt_snapshots;

/* dir is the data folder; the truth is only looked at. */
vt_status vt_snapshots_open(const char *dir, const vt_truth *truth, vt_snapshots **out,
                            vt_err *err) VT_MUST_USE;
void vt_snapshots_close(vt_snapshots *s);

typedef struct vt_restoring {
    vt_truth truth;
    vt_pool *pool; /* may be NULL */
} vt_restoring;

typedef struct vt_restored {
    double load_seconds, replay_seconds;
    uint64_t seq;    /* of the snapshot */
    size_t replayed; /* products that have changed since */
} vt_restored;

/* Memory as the snapshot in `path` and the log of changes have it: what loading all products would
 * give. Any failure but E_NOMEM and E_IO means that the file is of no use. */
vt_status vt_snapshot_restore(const char *path, const vt_restoring *from, vt_memory **out,
                              vt_restored *told, vt_err *err) VT_MUST_USE;
/* The same from whichever file can be used; NULL where none can: `say` has been told why, and what
 * is of no use is removed. Before the writer runs. */
vt_memory *vt_snapshots_load(vt_snapshots *s, const vt_restoring *from, vt_say_fn say, void *ctx);

/* See vt_catalog_save. One thread at a time. */
typedef struct vt_keeping {
    vt_memory *memory;
    vt_writer *writer;
    bool force;
    vt_stopped_fn stopped; /* may be NULL */
    void *ctx;
} vt_keeping;

vt_status vt_snapshots_save(vt_snapshots *s, const vt_keeping *k, bool *done,
                            vt_err *err) VT_MUST_USE;
/* Fills what of the statistics is known here. */
void vt_snapshots_describe(const vt_snapshots *s, vt_catalog_stats *out);

/* E_CORRUPT names the first difference between what two memories have of the products. */
vt_status vt_memory_compare(vt_memory *a, vt_memory *b, vt_err *err) VT_MUST_USE;

#endif
