/* What the files of the room share: the marks of the format, a header, an open file. Private.
 *
 * The format is FAISS's impl/index_write.cpp: a mark of four letters, the header, then the class's
 * own fields; an index inside another lies there whole, with mark and header of its own. */
#ifndef VT_FAISS_FORMAT_H
#define VT_FAISS_FORMAT_H

#include "faiss/cursor.h"
#include "faiss/faiss.h"

#define VT_FAISS_MARK(a, b, c, d)                                                                  \
    ((uint32_t)(a) | (uint32_t)(b) << 8 | (uint32_t)(c) << 16 | (uint32_t)(d) << 24)

enum {
    VT_MARK_FLAT_IP = VT_FAISS_MARK('I', 'x', 'F', 'I'),
    VT_MARK_FLAT_L2 = VT_FAISS_MARK('I', 'x', 'F', '2'),
    VT_MARK_FLAT = VT_FAISS_MARK('I', 'x', 'F', 'l'), /* the metric is the header's */
    VT_MARK_ID_MAP = VT_FAISS_MARK('I', 'x', 'M', 'p'),
    VT_MARK_ID_MAP_2 = VT_FAISS_MARK('I', 'x', 'M', '2'),
    VT_MARK_HNSW_FLAT = VT_FAISS_MARK('I', 'H', 'N', 'f'),
    VT_MARK_IVF_FLAT = VT_FAISS_MARK('I', 'w', 'F', 'l'),
    VT_MARK_LISTS = VT_FAISS_MARK('i', 'l', 'a', 'r'),
    VT_MARK_LISTS_FULL = VT_FAISS_MARK('f', 'u', 'l', 'l'),
    VT_MARK_LISTS_SPARSE = VT_FAISS_MARK('s', 'p', 'r', 's'),
};

#define VT_FAISS_UNUSED (1 << 20) /* what FAISS writes into the header's two unused fields */

typedef struct vt_faiss_header {
    size_t dim, count;
    vt_faiss_metric metric;
} vt_faiss_header;

/* Vectors that lie behind one another. */
typedef struct vt_block {
    size_t first_row;
    vt_run vectors;
    vt_run ids; /* at NULL: the row is the id */
} vt_block;

struct vt_faiss {
    vt_map map; /* empty where the bytes are the caller's */
    vt_faiss_info info;
    vt_block *blocks; /* first_row ascending, none empty */
    size_t n_blocks, blocks_cap;
    vt_run id_map; /* at NULL: none */
};

vt_status vt_faiss_add_block(vt_faiss *f, vt_run vectors, vt_run ids, vt_err *err) VT_MUST_USE;
vt_status vt_faiss_read_header(vt_cursor *c, vt_faiss_header *h, vt_err *err) VT_MUST_USE;
/* "\"IwPQ\"", or in hexadecimal where it is no text. Returns out. */
const char *vt_faiss_mark_text(uint32_t mark, char out[16]);

/* ---- flat.c, hnsw.c, ivf.c: what follows a mark, up to the index's end --------------------- */

bool vt_faiss_is_flat(uint32_t mark);
vt_status vt_faiss_read_flat(vt_cursor *c, uint32_t mark, vt_faiss_header *h, vt_run *vectors,
                             vt_err *err) VT_MUST_USE;
vt_status vt_faiss_read_hnsw(vt_cursor *c, vt_faiss_header *h, vt_run *vectors,
                             vt_err *err) VT_MUST_USE;
/* Adds its lists to f as blocks. */
vt_status vt_faiss_read_ivf(vt_cursor *c, vt_faiss_header *h, vt_faiss *f, vt_err *err) VT_MUST_USE;

#endif
