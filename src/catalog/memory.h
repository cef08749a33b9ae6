/* What a search looks at: the columns and the index, under one lock. */
#ifndef VT_CATALOG_MEMORY_H
#define VT_CATALOG_MEMORY_H

#include <pthread.h>
#include <stdatomic.h>

#include "catalog/columns.h"
#include "catalog/reader.h"
#include "catalog/writer.h"

/* Of memory.c, upkeep.c and snapshots.c alone. */
typedef struct vt_memory {
    pthread_rwlock_t lock; /* of columns and index */
    vt_columns columns;
    vt_index *index;
    vt_snapshot *snapshot; /* where the index has its rows; NULL: in memory of its own */
    vt_pool *pool;         /* not owned */
    _Atomic uint64_t generation;
    _Atomic bool lacking; /* a product that is stored could not be taken in */
} vt_memory;

vt_status vt_memory_open(size_t dim, vt_pool *pool, vt_memory **out, vt_err *err) VT_MUST_USE;
void vt_memory_close(vt_memory *m);

/* Puts one product without the lock: while loading, before threads know m. */
vt_status vt_memory_load(vt_memory *m, int64_t row, const vt_product *p, vt_err *err) VT_MUST_USE;
/* Sets the generation to start from. */
void vt_memory_start(vt_memory *m, uint64_t generation);

/* A vt_apply_fn and a vt_indexed_fn over a vt_memory, for the writer. */
void vt_memory_apply(void *memory, vt_write *const *writes, size_t n, uint64_t generation);
uint64_t vt_memory_indexed(void *memory, const char *id);

/* The best by the index's rounded scores, `spare` more than the query's k, in order of product id;
 * exact scores are not filled in. *found is malloc'ed, min(k + spare, matches) long. plan may be
 * NULL. */
vt_status vt_memory_search(vt_memory *m, const vt_catalog_query *q, size_t spare, vt_found **found,
                           size_t *n_found, vt_plan *plan, vt_err *err) VT_MUST_USE;

typedef struct vt_category_count {
    char *name;
    size_t products;
} vt_category_count;

/* Every category in order of name (bytes); the caller frees each name and the array. */
vt_status vt_memory_categories(vt_memory *m, vt_category_count **out, size_t *n,
                               vt_err *err) VT_MUST_USE;
/* See vt_catalog_category_vectors. */
vt_status vt_memory_category_vectors(vt_memory *m, size_t max_samples, vt_category_vectors *out,
                                     vt_err *err) VT_MUST_USE;
uint64_t vt_memory_generation(const vt_memory *m);
/* Fills what of the statistics is memory's. */
void vt_memory_describe(vt_memory *m, vt_catalog_stats *out);
/* Verifies columns and index, each and against one another, and that a search for each product's
 * own vector finds it: E_CORRUPT names the first that fails. */
vt_status vt_memory_check(vt_memory *m, vt_err *err) VT_MUST_USE;

/* ---- upkeep.c: what catalog.h says of rebuilding and learning ----------------------------- */

vt_status vt_memory_rebuild(vt_memory *m, vt_stopped_fn stopped, void *ctx, bool *done,
                            vt_err *err) VT_MUST_USE;

typedef struct vt_lessons { /* what to learn from: see vt_tuning_open */
    vt_query_kind kind;
    const float *queries; /* [n][dim], or NULL */
    size_t n;
} vt_lessons;

vt_status vt_memory_learn(vt_memory *m, const vt_lessons *from, vt_stopped_fn stopped, void *ctx,
                          bool *done, vt_err *err) VT_MUST_USE;
float vt_memory_fraction(vt_memory *m, vt_query_kind kind, float recall);
void vt_memory_spend_more(vt_memory *m, vt_query_kind kind, float factor);

#endif
