/* Making answers. Private to cache; cache.h has the type and its reference count. */
#ifndef VT_CACHE_ANSWER_H
#define VT_CACHE_ANSWER_H

#include "cache/cache.h"

/* A copy of the buffer's bytes with one reference; NULL when there is no memory. */
vt_answer *vt_answer_new(const vt_buf *text, uint64_t computed_ns) VT_MUST_USE;
/* Bytes of memory it takes, bookkeeping included. */
size_t vt_answer_size(const vt_answer *a);

#endif
