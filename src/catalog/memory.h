/* What a search looks at: the columns and the flat index, under one lock. */
#ifndef VT_CATALOG_MEMORY_H
#define VT_CATALOG_MEMORY_H

#include "catalog/columns.h"
#include "catalog/reader.h"
#include "catalog/writer.h"

typedef struct vt_memory vt_memory;

vt_status vt_memory_open(size_t dim, vt_pool *pool, vt_memory **out, vt_err *err) VT_MUST_USE;
void vt_memory_close(vt_memory *m);

/* Puts one product without the lock: while loading, before threads know m. */
vt_status vt_memory_load(vt_memory *m, int64_t row, const vt_product *p, vt_err *err) VT_MUST_USE;
/* Sets the generation to start from. */
void vt_memory_start(vt_memory *m, uint64_t generation);

/* A vt_apply_fn and a vt_indexed_fn over a vt_memory, for the writer. */
void vt_memory_apply(void *memory, vt_write *const *writes, size_t n, uint64_t generation);
uint64_t vt_memory_indexed(void *memory, const char *id);

/* The k best, best first, ties by id. *found is malloc'ed, min(k, matches) long. */
vt_status vt_memory_search(vt_memory *m, const float *vector, const vt_filter *filter, size_t k,
                           vt_found **found, size_t *n_found, vt_err *err) VT_MUST_USE;

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
void vt_memory_describe(vt_memory *m, size_t *products, size_t *categories, size_t *bytes);
/* Verifies columns and index, each and against one another, and that a search for each product's
 * own vector finds it: E_CORRUPT names the first that fails. */
vt_status vt_memory_check(vt_memory *m, vt_err *err) VT_MUST_USE;

#endif
