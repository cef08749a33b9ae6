/* Private to index: what an index is made of. */
#ifndef VT_INDEX_ROOM_H
#define VT_INDEX_ROOM_H

#include "index/cells.h"
#include "index/fine.h"
#include "index/rotation.h"

#define VT_WORD_SLOTS 64

struct vt_index {
    size_t dim;
    vt_rotation *rotation;
    vt_fine fine;
    vt_bitset live; /* live.n is vt_index_slots */
    size_t live_count;
    vt_cells *cells;  /* NULL before they are made */
    uint64_t made;    /* sets of cells so far: the id of the last */
    vt_bitset *noted; /* while a rebuild is open: slots that changed since; not owned */
};

/* Where cells pay: the collection is large, and its vectors have a width that codes serve. */
bool vt_index_wants_cells(const vt_index *ix);
/* Rotates x[dim] into out[padded], zeros from dim on. */
void vt_index_rotate(const vt_index *ix, const float *x, float *out);

static inline size_t vt_index_padded(const vt_index *ix) {
    return ix->fine.groups * VT_FINE_GROUP;
}

/* Length 1 +- 1e-3; NaN has none. */
bool vt_index_unit_length(const float *v, size_t dim);

/* Whether a row as it is read has length 1, but for the rounding. */
bool vt_index_row_unit(const vt_index *ix, const float *x);

/* What is known of a kind; of VT_QUERY_VECTOR, what is known of texts. NULL without cells. */
const vt_learnt *vt_index_learnt(const vt_index *ix, vt_query_kind kind);
/* The fraction of the matches to look at for the k best of them. */
float vt_index_needs(const vt_index *ix, vt_query_kind kind, float recall, size_t k,
                     size_t matches);

#endif
