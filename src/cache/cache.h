/* cache: what was computed already: answers, and vectors of queries, as bytes by key. In-process
 * LRU with a time to live and a byte budget, and single flight: of several threads that ask for the
 * same key at once, one computes and the others wait for its answer. Keys are hashes over
 * everything that changes the answer; the caller puts the catalogue's generation among it where it
 * matters, so a cached answer is never stale. Thread-safe. */
#ifndef VT_CACHE_H
#define VT_CACHE_H

#include "base/base.h"

/* An immutable answer, shared by reference count. */
typedef struct vt_answer {
    char *data; /* NUL-terminated, len bytes before it */
    size_t len;
    uint64_t computed_ns; /* what computing it cost, monotonic nanoseconds */
} vt_answer;

void vt_answer_retain(vt_answer *a);
void vt_answer_release(vt_answer *a); /* NULL allowed; the last one frees */

typedef struct vt_cache vt_cache;

#define VT_CACHE_FOREVER UINT32_MAX /* ttl_s of what never changes (136 years) */

typedef struct vt_cache_options {
    size_t max_bytes;         /* keys, answers and bookkeeping together; 0 stores nothing, and
                               * single flight still works */
    uint32_t ttl_s;           /* seconds; 0 stores nothing */
    uint64_t (*now_ns)(void); /* NULL: vt_now_ns (tests turn their own clock) */
} vt_cache_options;

vt_status vt_cache_open(const vt_cache_options *o, vt_cache **out, vt_err *err) VT_MUST_USE;
void vt_cache_close(vt_cache *c);

/* Computes an answer into `out`. A failure is given to every thread that waited, and not stored. */
typedef vt_status (*vt_compute_fn)(void *ctx, vt_buf *out, vt_err *err);

/* Why an answer came without being computed by this call. */
typedef enum vt_cache_source { VT_CACHE_MISS, VT_CACHE_HIT, VT_CACHE_SHARED } vt_cache_source;

/* The caller releases *out. fn runs on this thread, without any lock held. */
vt_status vt_cache_get(vt_cache *c, const vt_hash *key, vt_compute_fn fn, void *ctx,
                       vt_answer **out, vt_cache_source *source, vt_err *err) VT_MUST_USE;

typedef struct vt_cache_stats {
    uint64_t hits, misses, shared, evicted, expired;
    size_t entries, bytes, max_bytes;
} vt_cache_stats;

void vt_cache_describe(vt_cache *c, vt_cache_stats *out);
/* Verifies list, table and byte count against each other. */
vt_status vt_cache_check(vt_cache *c, vt_err *err) VT_MUST_USE;

#endif
