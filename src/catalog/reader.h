/* The reading connections: a small pool. */
#ifndef VT_CATALOG_READER_H
#define VT_CATALOG_READER_H

#include "catalog/catalog.h"

typedef struct vt_readers vt_readers;

/* Connections are opened when first needed. The file must exist and a writer have it open. */
vt_status vt_readers_open(const char *path, const char *vfs, size_t dim, vt_readers **out,
                          vt_err *err) VT_MUST_USE;
void vt_readers_close(vt_readers *rs); /* nobody is reading any more */

/* With its embedding. E_NOT_FOUND. */
vt_status vt_readers_get(vt_readers *rs, const char *id, vt_product *out, vt_err *err) VT_MUST_USE;
vt_status vt_readers_vector(vt_readers *rs, const char *id, const vt_hash *image, float *embedding,
                            bool *found, vt_err *err) VT_MUST_USE;

/* Up to n products with an id above `after`, in order; without embeddings. all[] is initialised;
 * the caller releases each. */
vt_status vt_readers_page(vt_readers *rs, const char *after, vt_product *all, size_t n,
                          size_t *n_read, vt_err *err) VT_MUST_USE;

typedef struct vt_found { /* what a search knows of a hit before it reads it */
    int64_t row;
    uint64_t seq;
    uint32_t place; /* among what was found, in order of product id: what decides ties */
    float rounded;  /* the index's score */
    float score;    /* see vt_reader_score */
} vt_found;

/* A connection that sees one state of the database, the one at the moment it was pinned. */
typedef struct vt_reader vt_reader;

vt_status vt_readers_pin(vt_readers *rs, vt_reader **out, vt_err *err) VT_MUST_USE;
void vt_readers_unpin(vt_readers *rs, vt_reader *r); /* NULL allowed */
/* Fills the scores of n hits: the inner product of `vector` with the vector in the pinned state;
 * NAN for a row that has another seq there, or is not there. */
vt_status vt_reader_score(vt_reader *r, const float *vector, vt_found *found, size_t n,
                          vt_err *err) VT_MUST_USE;
/* Reads the products of n hits, none of which is NAN, from the pinned state. hits has room for n;
 * the caller releases *n_hits of them, which on success are all. */
vt_status vt_reader_hits(vt_reader *r, const vt_found *found, size_t n, vt_catalog_hit *hits,
                         size_t *n_hits, vt_err *err) VT_MUST_USE;

#endif
