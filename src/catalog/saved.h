/* The columns as sections of a snapshot. */
#ifndef VT_CATALOG_SAVED_H
#define VT_CATALOG_SAVED_H

#include "catalog/columns.h"

typedef struct vt_saving { /* how far the writing has come; {0} at first */
    size_t part, at, slots;
} vt_saving;

/* Called under the read lock, it adds a slice, for less than a millisecond, and says whether there
 * is *more. Changes may happen between calls. Begins after the index is saved whole, or what it
 * says of a slot may be newer than what the index has there. */
vt_status vt_columns_save(const vt_columns *c, vt_snapshot_writer *w, vt_saving *state, bool *more,
                          vt_err *err) VT_MUST_USE;
/* Columns of the slots that have not changed since `seq`, the number noted before the first section
 * was written; all others are free. *out is new, and empty on failure. E_CORRUPT: the sections are
 * missing, or anything in them is not as vt_columns_check wants it. */
vt_status vt_columns_load(const vt_snapshot *s, uint64_t seq, vt_columns *out,
                          vt_err *err) VT_MUST_USE;

#endif
