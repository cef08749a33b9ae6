/* Posting lists: for each key, the slots that have it. */
#ifndef VT_CATALOG_POSTINGS_H
#define VT_CATALOG_POSTINGS_H

#include "catalog/dict.h"
#include "index/index.h"

typedef struct vt_posting {
    const char *key; /* the table's copy; NULL while this list is unused */
    size_t key_len;
    uint32_t *slots; /* ascending, none twice */
    size_t n, cap;
} vt_posting;

typedef struct vt_postings {
    vt_dict dict;      /* key -> number of its list */
    vt_posting *lists; /* by number */
    size_t n, cap;
    uint32_t *unused; /* numbers of lists whose key is gone; has room for all of them */
    size_t n_unused, cap_unused;
    size_t bytes; /* of the slot arrays */
} vt_postings;

void vt_postings_init(vt_postings *p);
void vt_postings_release(vt_postings *p);
/* Adds slot to the list of key. *list gets its number; *added is false when it was there already.
 * On failure nothing has changed. */
vt_status vt_postings_add(vt_postings *p, const char *key, size_t len, uint32_t slot,
                          uint32_t *list, bool *added, vt_err *err) VT_MUST_USE;
/* For loading: n lists in all, of which those that get a key by _open (once each) have room for
 * `room` slots (1..), and the others, told by _skip, are unused. Slots come in ascending order.
 * E_CORRUPT: the key is there already. _append is false where the slot is. */
vt_status vt_postings_reserve(vt_postings *p, size_t n, vt_err *err) VT_MUST_USE;
vt_status vt_postings_open(vt_postings *p, uint32_t list, const char *key, size_t len, size_t room,
                           vt_err *err) VT_MUST_USE;
void vt_postings_skip(vt_postings *p, uint32_t list);
bool vt_postings_append(vt_postings *p, uint32_t list, uint32_t slot);
/* Takes slot out of the list; the key goes with its last slot. Never fails. */
void vt_postings_remove(vt_postings *p, uint32_t list, uint32_t slot);
/* NULL where no slot has the key. */
const vt_posting *vt_postings_find(const vt_postings *p, const char *key, size_t len,
                                   uint32_t *list);
/* Sets the bit of each slot of a list. */
void vt_posting_mark(const vt_posting *l, vt_bitset *b);
vt_status vt_postings_check(const vt_postings *p, vt_err *err) VT_MUST_USE;

#endif
