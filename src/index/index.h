/* index: which vectors are nearest to a query. Slots 0..2^32-2 hold unit vectors; a search gives
 * the k of largest inner product among the live slots of a filter.
 *
 * Vectors are kept twice, both rounded: in 12 bits a dimension, for scores ("rows"), and, once
 * cells are made, in 4 bits beside others that resemble them, for estimates ("cells"). A score
 * differs from the exact inner product by some 2e-5 (VT_INDEX_ERROR is ten times what is usual);
 * whoever holds the exact vectors scores the few hits of an answer once more.
 *
 * Not synchronised: the catalog holds a lock around it (many readers or one writer). Functions that
 * take a const vt_index only read. */
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

/* ---- index ------------------------------------------------------------------------------ */

typedef struct vt_index vt_index;

vt_status vt_index_open(size_t dim, vt_index **out, vt_err *err) VT_MUST_USE; /* dim 1..65536 */
void vt_index_close(vt_index *ix);
size_t vt_index_dim(const vt_index *ix);
size_t vt_index_count(const vt_index *ix); /* live slots */
size_t vt_index_slots(const vt_index *ix); /* highest slot ever put, plus one */
size_t vt_index_cells(const vt_index *ix); /* 0: none made yet */

typedef struct vt_index_bytes {
    size_t rows;  /* 12 bits a dimension */
    size_t codes; /* 4 bits a dimension, with what goes with each, and centres */
    size_t other; /* which slot is where */
} vt_index_bytes;

void vt_index_measure(const vt_index *ix, vt_index_bytes *out);

/* Stores v (dim floats, unit length) at `slot`, replacing what was there. E_INVALID for a vector
 * that is not finite or whose norm is not 1 +- 1e-3; E_NOMEM (the index is unchanged). */
vt_status vt_index_put(vt_index *ix, uint32_t slot, const float *v, vt_err *err) VT_MUST_USE;
void vt_index_remove(vt_index *ix, uint32_t slot); /* nothing when it is not live */
/* The vector as the index has it, within 1e-3 of what was put; false when the slot is not live. */
bool vt_index_get(const vt_index *ix, uint32_t slot, float *v);
/* The mean of n >= 1 live slots' vectors: cheaper than getting each. E_NOMEM. */
vt_status vt_index_mean(const vt_index *ix, const uint32_t *slots, size_t n, float *mean,
                        vt_err *err) VT_MUST_USE;

/* ---- search ----------------------------------------------------------------------------- */

/* Where a query comes from decides how far from the collection it lies: vectors of words lie far
 * from all pictures, so their nearest ones are scattered over more cells. */
typedef enum vt_query_kind {
    VT_QUERY_IMAGE,
    VT_QUERY_TEXT,
    VT_QUERY_VECTOR, /* not known: treated as the costlier of the two */
} vt_query_kind;
#define VT_QUERY_KINDS 3

const char *vt_query_kind_name(vt_query_kind k); /* "image", "text", "vector" */

#define VT_RECALL_DEFAULT 0.98f
/* Of a score, from 64 dimensions on, unless a vector was made against the rotation. */
#define VT_INDEX_ERROR    2e-4f

typedef struct vt_index_query {
    const float *vector;     /* dim floats, unit length */
    size_t k;                /* 1.. */
    const vt_bitset *filter; /* NULL: all live slots */
    vt_tie_fn tie;           /* order at equal scores; NULL: by slot */
    void *tie_ctx;
    vt_query_kind kind;
    float recall; /* wished: (0, 1]; 1 scores every match; 0 stands for VT_RECALL_DEFAULT */
} vt_index_query;

/* How a search was made, and what the other way would have cost. */
typedef enum vt_way {
    VT_WAY_EXACT, /* every match was scored */
    VT_WAY_SCAN,  /* every match was estimated, the best were scored */
    VT_WAY_CELLS, /* the same, in the cells that promise most */
} vt_way;
#define VT_WAYS 3

const char *vt_way_name(vt_way w); /* "exact", "scan", "cells" */

typedef struct vt_plan {
    vt_way way;
    vt_query_kind kind;
    float recall;                  /* wished */
    size_t rows, matches;          /* live slots, and those of them that the filter lets pass */
    size_t cells, cells_probed;    /* 0 before cells are made */
    size_t estimated, scored;      /* rows */
    double exact_us, estimated_us; /* costs expected of VT_WAY_EXACT and of the other ways;
                                    * estimated_us is 0 where there are no cells */
} vt_plan;

/* The k best live slots of the filter, best first. hits has room for k; min(k, matches) hits are
 * always found. plan and pool may be NULL. E_INVALID: k is 0, recall is not in (0, 1], the vector
 * is not of unit length; E_NOMEM. */
vt_status vt_index_search(const vt_index *ix, const vt_index_query *q, vt_pool *pool, vt_hit *hits,
                          size_t *n_hits, vt_plan *plan, vt_err *err) VT_MUST_USE;

/* ---- cells ------------------------------------------------------------------------------- */

/* Making cells: k-means over a sample, then every row into the cell of its nearest centre. It takes
 * seconds for a million rows, so it goes in steps between which searches and changes go on; what
 * changes meanwhile is noted and brought in at the end. One rebuild of an index at a time.
 *
 *     vt_rebuild_open    under the write lock   takes a sample, begins to note changes
 *     vt_rebuild_train   under no lock          k-means: some hundred rows; until *more is false
 *     vt_rebuild_step    under the read lock    some hundred slots; until *more is false
 *     vt_rebuild_finish  under the write lock   the new cells take the place of the old
 *     vt_rebuild_close   under the write lock   whether finished or given up */
typedef struct vt_rebuild vt_rebuild;

/* There are no cells yet where they would pay, or the collection has changed by half since. */
bool vt_index_rebuild_due(const vt_index *ix);
/* E_INVALID: another one is open; fewer than 4 live slots; dim not in 64..4096. */
vt_status vt_rebuild_open(vt_index *ix, vt_rebuild **out, vt_err *err) VT_MUST_USE;
vt_status vt_rebuild_train(vt_rebuild *r, vt_pool *pool, bool *more, vt_err *err) VT_MUST_USE;
vt_status vt_rebuild_step(vt_rebuild *r, vt_pool *pool, bool *more, vt_err *err) VT_MUST_USE;
vt_status vt_rebuild_finish(vt_rebuild *r, vt_err *err) VT_MUST_USE;
void vt_rebuild_close(vt_rebuild *r); /* NULL allowed */

/* Learning from samples how far to look: what fraction of the rows a query of this kind must see
 * for a wished recall, and by how much a cell's best row beats its centre. A kind nothing was
 * learnt of sees every row. vt_tuning_open and _apply under the write lock, _learn (the long one:
 * each query scans every cell) under the read lock, a few queries a call. Learning is lost with the
 * next rebuild: do it again after. */
typedef struct vt_tuning vt_tuning;

/* queries: n unit vectors, n >= 16; they are copied, the first 4,096 of them. NULL, for images: a
 * sample of the index's own rows, each found without itself. E_INVALID where there are no cells. */
vt_status vt_tuning_open(const vt_index *ix, vt_query_kind kind, const float *queries, size_t n,
                         vt_tuning **out, vt_err *err) VT_MUST_USE;
/* E_MISMATCH when the cells are no longer those it was opened for: give up and begin again. */
vt_status vt_tuning_learn(vt_tuning *t, const vt_index *ix, vt_pool *pool, bool *more,
                          vt_err *err) VT_MUST_USE;
vt_status vt_tuning_apply(const vt_tuning *t, vt_index *ix, vt_err *err) VT_MUST_USE;
void vt_tuning_close(vt_tuning *t); /* NULL allowed */

/* How far a kind looks at a wished recall: the fraction of rows, 1 for all; 0 without cells. */
float vt_index_fraction(const vt_index *ix, vt_query_kind kind, float recall);
/* The audit found that fraction to give less than was wished: multiplies it (factor > 1) until the
 * kind is learnt anew. */
void vt_index_spend_more(vt_index *ix, vt_query_kind kind, float factor);

/* ---- snapshot ----------------------------------------------------------------------------- */

/* A file of named sections with checksums, which is either whole or not there. See snapshot.c for
 * the format. Its root is the SHA-256 of its header, whose checksums cover all the rest: two files
 * of one root are the same file, and whoever notes the roots of what he wrote knows it again. */
typedef struct vt_snapshot_key { /* whose it is and of which state: compared when it is opened */
    char database_id[37];
    vt_hash model;
    uint64_t seq; /* the change number that it is at least as new as */
} vt_snapshot_key;

typedef struct vt_snapshot_writer vt_snapshot_writer;

/* Writes to a file beside `path` until vt_snapshot_commit, which makes it durable and puts it in
 * the place of what was there. One writer a path at a time. E_FULL, E_IO. */
vt_status vt_snapshot_begin(const char *path, const vt_snapshot_key *key, vt_snapshot_writer **out,
                            vt_err *err) VT_MUST_USE;
/* Begins a section (1..15 of a-z, 0-9, _ and -, each name once, at most VT_SNAPSHOT_SECTIONS); what
 * is added until the next belongs to it. Sections begin at multiples of 4096 bytes. */
#define VT_SNAPSHOT_SECTIONS 64
vt_status vt_snapshot_section(vt_snapshot_writer *w, const char *name, vt_err *err) VT_MUST_USE;
/* Keeps the bytes in memory, so that it may be called under a lock; only where VT_SNAPSHOT_HELD are
 * waiting already does it write them itself. */
#define VT_SNAPSHOT_HELD ((size_t)32 << 20)
vt_status vt_snapshot_add(vt_snapshot_writer *w, const void *bytes, size_t n,
                          vt_err *err) VT_MUST_USE;
/* Writes what waits. For whoever added it under a lock, once that is given back. */
vt_status vt_snapshot_flush(vt_snapshot_writer *w, vt_err *err) VT_MUST_USE;
/* Makes the file whole and durable under its name of before; nothing can be added after it. */
vt_status vt_snapshot_seal(vt_snapshot_writer *w, vt_hash *root, vt_err *err) VT_MUST_USE;
/* Seals it where that has not been done, and gives it its name; then close. */
vt_status vt_snapshot_commit(vt_snapshot_writer *w, vt_err *err) VT_MUST_USE;
void vt_snapshot_close(vt_snapshot_writer *w); /* uncommitted: the file is removed; NULL allowed */
/* Removes what a process that was killed has left beside `path`. vt_snapshot_begin does it too. */
void vt_snapshot_sweep(const char *path);

typedef struct vt_snapshot vt_snapshot;

typedef struct vt_snapshot_wanted { /* what a file must be to be opened */
    const char *database_id;
    const vt_hash *model;
    const vt_hash *roots; /* one of these; NULL: any, so that it may be anybody's */
    size_t n_roots;
} vt_snapshot_wanted;

/* Maps the file copy-on-write, verifies header, table and every checksum (on the pool's threads).
 * E_NOT_FOUND; E_MISMATCH: another database, model, version or root; E_CORRUPT says what. *seq is
 * the key's. */
vt_status vt_snapshot_open(const char *path, const vt_snapshot_wanted *wanted, vt_pool *pool,
                           vt_snapshot **out, uint64_t *seq, vt_err *err) VT_MUST_USE;
vt_hash vt_snapshot_root(const vt_snapshot *s);
void vt_snapshot_release(vt_snapshot *s); /* NULL allowed; unmaps */
/* The bytes of a section, 4096-byte aligned and writable (changes stay private to this process);
 * NULL where there is none of this name. Valid until the release. */
void *vt_snapshot_find(const vt_snapshot *s, const char *name, size_t *n);

/* Writes the index as sections. Called under the read lock, it writes a part and says whether there
 * is *more; *state is 0 at first. Between calls changes may happen, but no rebuild (E_MISMATCH:
 * begin a new file): what was not changed between the first call and the last is written as it is,
 * what was changed must be put or removed again after loading. */
vt_status vt_index_save(const vt_index *ix, vt_snapshot_writer *w, uint64_t *state, bool *more,
                        vt_err *err) VT_MUST_USE;
/* An index over the sections, which stay in use: the snapshot is released after the index is
 * closed. Only the slots of `keep` are live. E_CORRUPT where a slot of `keep` is missing or
 * anything would mislead a search; that codes are those of their rows is up to the checksums and
 * vt_index_check. */
vt_status vt_index_load(const vt_snapshot *s, size_t dim, const vt_bitset *keep, vt_index **out,
                        vt_err *err) VT_MUST_USE;

/* Verifies the invariants (counts, places, codes): E_CORRUPT says what and where. */
vt_status vt_index_check(const vt_index *ix, vt_err *err) VT_MUST_USE;

#endif
