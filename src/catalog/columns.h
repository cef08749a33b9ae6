/* The columns in memory: what filters and ties look at, by slot. */
#ifndef VT_CATALOG_COLUMNS_H
#define VT_CATALOG_COLUMNS_H

#include "catalog/filter.h"
#include "catalog/postings.h"

typedef struct vt_column_slot {
    const char *id;    /* the table's copy; NULL while the slot is free */
    int64_t row;       /* SQLite's rowid */
    uint64_t seq;      /* of the state that is in memory */
    uint32_t category; /* number of its posting list */
    uint32_t *terms;   /* numbers of the posting lists it is in */
    size_t n_terms, cap_terms;
} vt_column_slot;

typedef struct vt_columns {
    vt_dict ids; /* product id -> slot */
    vt_column_slot *slots;
    double *prices; /* NAN: none, or the slot is free */
    size_t n;       /* slots ever used: all arrays are this long */
    size_t cap_slots, cap_prices;
    uint32_t *free_slots; /* has room for all slots */
    size_t n_free, cap_free;
    vt_bitset live;
    vt_postings categories, terms;
} vt_columns;

void vt_columns_init(vt_columns *c);
void vt_columns_release(vt_columns *c);
/* Puts the product with p->id, replacing what was there. *slot is where. On failure (E_NOMEM) no
 * product of this id is left. */
vt_status vt_columns_put(vt_columns *c, const vt_product *p, int64_t row, uint32_t *slot,
                         vt_err *err) VT_MUST_USE;
/* *slot is where it was; false when it was not there. Never fails for want of memory. */
bool vt_columns_remove(vt_columns *c, const char *id, uint32_t *slot);
bool vt_columns_find(const vt_columns *c, const char *id, uint32_t *slot);
/* Makes b the set of live slots that f matches. */
vt_status vt_columns_select(const vt_columns *c, const vt_filter *f, vt_bitset *b,
                            vt_err *err) VT_MUST_USE;
/* A vt_tie_fn over a vt_columns: by product id, as bytes. */
bool vt_columns_tie(void *columns, uint32_t a, uint32_t b);
size_t vt_columns_bytes(const vt_columns *c);
vt_status vt_columns_check(const vt_columns *c, vt_err *err) VT_MUST_USE;

#endif
