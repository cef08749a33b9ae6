/* Least recently used: answers by key, within a byte budget. Private to cache. */
#ifndef VT_CACHE_LRU_H
#define VT_CACHE_LRU_H

#include "cache/cache.h"

typedef struct vt_lru_entry vt_lru_entry;

typedef struct vt_lru_bucket {
    vt_lru_entry *first;
} vt_lru_bucket;

typedef struct vt_lru {
    vt_lru_bucket *buckets; /* NULL when max_bytes is too small for one */
    size_t n_buckets;       /* a power of two */
    vt_lru_entry *newest, *oldest;
    size_t entries;
    size_t bytes;     /* keys, answers and bookkeeping, the buckets too */
    size_t max_bytes; /* bytes never exceeds it */
    uint64_t evicted; /* entries dropped to make room, ever */
} vt_lru;

vt_status vt_lru_init(vt_lru *l, size_t max_bytes, vt_err *err) VT_MUST_USE;
void vt_lru_release(vt_lru *l);

/* The answer stored under key, now the newest; NULL where there is none. An entry whose time is up
 * (expires_ns <= now_ns) is dropped and *expired set. The list keeps its reference. */
vt_answer *vt_lru_find(vt_lru *l, const vt_hash *key, uint64_t now_ns, bool *expired);
/* Stores with a reference of its own, dropping the oldest to make room. An answer that is larger
 * than the whole budget is not stored, nor when there is no memory: a cache may forget. The key is
 * not there yet. */
void vt_lru_insert(vt_lru *l, const vt_hash *key, vt_answer *answer, uint64_t expires_ns);
/* List, table and byte count against each other. */
vt_status vt_lru_check(const vt_lru *l, vt_err *err) VT_MUST_USE;

#endif
