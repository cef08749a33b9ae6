/* A table from byte strings to 32-bit numbers. */
#ifndef VT_CATALOG_DICT_H
#define VT_CATALOG_DICT_H

#include "base/base.h"

typedef struct vt_dict_entry {
    char *
        key; /* NULL: the place is empty; else len bytes and a NUL, at this address until removed */
    size_t len;
    uint64_t hash;
    uint32_t value;
} vt_dict_entry;

typedef struct vt_dict {
    vt_dict_entry *entries;
    size_t n;     /* keys held */
    size_t cap;   /* places, a power of two, or 0 */
    size_t bytes; /* of memory, keys included */
    uint64_t seed;
} vt_dict;

void vt_dict_init(vt_dict *d);
void vt_dict_release(vt_dict *d);
/* NULL when the key is not there; valid until the next insert or remove. */
const vt_dict_entry *vt_dict_find(const vt_dict *d, const char *key, size_t len);
/* Makes room for n keys in all, so that the table need not grow on the way there. */
vt_status vt_dict_reserve(vt_dict *d, size_t n, vt_err *err) VT_MUST_USE;
/* The key must not be there yet. *stored (may be NULL) gets the copy of it that the table keeps. */
vt_status vt_dict_insert(vt_dict *d, const char *key, size_t len, uint32_t value,
                         const char **stored, vt_err *err) VT_MUST_USE;
void vt_dict_remove(vt_dict *d, const char *key, size_t len); /* nothing when it is not there */
/* E_CORRUPT when a key cannot be found from its hash, or the counts are wrong. */
vt_status vt_dict_check(const vt_dict *d, vt_err *err) VT_MUST_USE;

#endif
