/* Private to index: the cells of a collection, and which slot is in which. Vectors are rotated. */
#ifndef VT_INDEX_CELLS_H
#define VT_INDEX_CELLS_H

#include "index/cell.h"
#include "index/index.h"

#define VT_NOWHERE UINT32_MAX

/* The depths and recalls at which was measured what fraction of the rows must be looked at. */
#define VT_DEPTHS 3
#define VT_LEVELS 8
extern const float vt_learnt_depths[VT_DEPTHS]; /* ascending */
extern const float vt_learnt_levels[VT_LEVELS]; /* recalls, ascending, the last 1 */

/* What was learnt of a kind of query: see tuning.c. */
typedef struct vt_learnt {
    float need[VT_DEPTHS][VT_LEVELS];
    float factor; /* the audit's; 1 at first */
    float spread; /* deviation of what beats a centre from the mean that is learnt of it */
    float *beat;  /* [n]: by how much a cell's best row beats its centre; NULL: nothing learnt */
} vt_learnt;

typedef struct vt_cells {
    size_t dim, n;
    size_t rows, made_for, changed; /* now, when they were made, and puts and removals since */
    uint64_t id;                    /* no two sets of one index share it; from 1 */
    float *centres;                 /* [n][dim] */
    vt_cell *cells;                 /* [n] */
    float *mean;                    /* [dim] of the centres */
    vt_cell router;                 /* codes of the centres around their mean, in order */
    uint32_t *place;                /* by slot: its cell, or VT_NOWHERE */
    size_t slots, cap_place;
    vt_learnt learnt[VT_QUERY_VECTOR]; /* by kind; VT_QUERY_VECTOR has none of its own */
} vt_cells;

/* Empty cells around copies of n centres. */
vt_status vt_cells_open(size_t dim, size_t n, const float *centres, size_t made_for, vt_cells **out,
                        vt_err *err) VT_MUST_USE;
void vt_cells_close(vt_cells *c);
size_t vt_cells_bytes(const vt_cells *c, size_t *places); /* all, and of that the places */

/* Places for slots below `slots`. */
vt_status vt_cells_reserve(vt_cells *c, size_t slots, vt_err *err) VT_MUST_USE;
/* Codes x[dim] in the nearest cell; the slot has a place and is in no cell, or in one that it
 * leaves for this. On failure nothing has changed. */
vt_status vt_cells_put(vt_cells *c, uint32_t slot, const float *x, vt_err *err) VT_MUST_USE;
void vt_cells_remove(vt_cells *c, uint32_t slot); /* nothing where it is in none */

/* scores[n rounded up to VT_CODE_ROWS]: what a query may hope for in each cell, from its centre's
 * code, with what was learnt of the kind added where that is not NULL. */
void vt_cells_promise(const vt_cells *c, const vt_ask *ask, const vt_learnt *learnt, float *scores);
size_t vt_cells_promises(const vt_cells *c); /* floats of the above */

/* Counts, places, every slot once. Codes are verified by vt_index_check. */
vt_status vt_cells_check(const vt_cells *c, vt_err *err) VT_MUST_USE;

#endif
