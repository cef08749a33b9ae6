/* A collection that lived beside a FAISS index: files of JSON that say which product each vector
 * is. Private to the room. */
#ifndef VT_ENGINE_COLLECTION_H
#define VT_ENGINE_COLLECTION_H

#include "engine/state.h"
#include "faiss/faiss.h"

typedef struct vt_member_row { /* the product of a row of the index */
    const char *id;            /* the collection's */
    size_t place;              /* in the list of ids */
} vt_member_row;

typedef struct vt_collection {
    json_t *ids, *labels, *metadata; /* the last two may be NULL */
    vt_member_row *rows;             /* [index's count]; ids all different */
} vt_collection;

/* Reads the files that `from` names and finds each row's product. E_INVALID where there are not as
 * many ids as vectors, a row has none, or two have the same. */
vt_status vt_collection_read(const vt_faiss_import_options *from, const vt_faiss *index,
                             vt_collection *c, vt_err *err) VT_MUST_USE;
void vt_collection_release(vt_collection *c); /* an all-zero one is allowed */
/* The row's product as JSON, as an import's line would tell it: NULL when there is no memory. The
 * caller owns it. */
json_t *vt_collection_product(const vt_collection *c, size_t row) VT_MUST_USE;

#endif
