/* index: which vectors are nearest. A flat index over slots 0..2^32-2 with a bitset filter inside
 * the scan; searches are exact unless the caller allows an estimate. Not synchronised: the catalog
 * holds a lock around it (many readers or one writer). */
#ifndef VT_INDEX_H
#define VT_INDEX_H

#include "base/base.h"
#include "vec/vec.h"

/* ---- bitset ----------------------------------------------------------------------------- */

/* One bit a slot. Bits at and above n are 0. */
typedef struct vt_bitset {
    uint64_t *words;
    size_t n;   /* bits in use */
    size_t cap; /* words allocated */
} vt_bitset;

void vt_bitset_init(vt_bitset *b);
void vt_bitset_release(vt_bitset *b);
vt_status vt_bitset_resize(vt_bitset *b, size_t n, vt_err *err) VT_MUST_USE; /* new bits are 0 */
void vt_bitset_fill(vt_bitset *b, bool value);
void vt_bitset_set(vt_bitset *b, size_t i, bool value);   /* i < n */
bool vt_bitset_get(const vt_bitset *b, size_t i);         /* false for i >= n */
void vt_bitset_and(vt_bitset *b, const vt_bitset *other); /* other may be shorter: rest is 0 */
size_t vt_bitset_count(const vt_bitset *b);
vt_status vt_bitset_check(const vt_bitset *b, vt_err *err) VT_MUST_USE; /* E_CORRUPT */

/* ---- flat index ------------------------------------------------------------------------- */

typedef struct vt_flat vt_flat;

vt_status vt_flat_open(size_t dim, vt_flat **out, vt_err *err) VT_MUST_USE; /* dim 1..65536 */
void vt_flat_close(vt_flat *f);
size_t vt_flat_dim(const vt_flat *f);
size_t vt_flat_count(const vt_flat *f); /* live slots */
size_t vt_flat_slots(const vt_flat *f); /* highest slot ever put, plus one */
size_t vt_flat_bytes(const vt_flat *f);

/* Stores a copy of v (dim floats, unit length) at `slot`, replacing what was there. E_INVALID for
 * a vector that is not finite or whose norm is not 1 +- 1e-3; E_NOMEM (the index is unchanged). */
vt_status vt_flat_put(vt_flat *f, uint32_t slot, const float *v, vt_err *err) VT_MUST_USE;
void vt_flat_remove(vt_flat *f, uint32_t slot); /* nothing when it is not live */
/* NULL when the slot is not live; valid while it is. */
const float *vt_flat_get(const vt_flat *f, uint32_t slot);

typedef struct vt_flat_query {
    const float *vector;     /* dim floats, unit length */
    size_t k;                /* 1.. */
    const vt_bitset *filter; /* NULL: all live slots */
    vt_tie_fn tie;           /* order at equal scores; NULL: by slot */
    void *tie_ctx;
    bool estimate; /* where it pays: score exactly only those whose codes promise most */
} vt_flat_query;

/* The k live slots of the filter with the largest inner product, best first. hits has room for k.
 * Scores equal vt_vec_dot, always. With `estimate`, from 16,384 matches on, slots are chosen by
 * codes of 4 bits a dimension, and one in some hundreds of the true k may be missed; below it the
 * search is exact. min(k, matches) hits are always found. pool may be NULL.
 * E_INVALID: k is 0 or the vector is not of unit length; E_NOMEM. */
vt_status vt_flat_search(const vt_flat *f, const vt_flat_query *q, vt_pool *pool, vt_hit *hits,
                         size_t *n_hits, vt_err *err) VT_MUST_USE;
/* Verifies the invariants (counts, padding, unit norms): E_CORRUPT says which slot. */
vt_status vt_flat_check(const vt_flat *f, vt_err *err) VT_MUST_USE;

#endif
