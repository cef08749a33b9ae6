/* faiss: index files as FAISS writes them (write_index), in and out. Reading gives the vectors and
 * their ids: IndexFlatL2 and IndexFlatIP, IndexIVFFlat, IndexHNSWFlat, and IndexIDMap or
 * IndexIDMap2 over one of these. A file is hostile until it is read: every size is compared with
 * the bytes that are left, nothing larger than the file is allocated. Immutable once open, so any
 * number of threads may read. */
#ifndef VT_FAISS_H
#define VT_FAISS_H

#include "base/base.h"

#define VT_FAISS_DIM_MAX 65536

typedef enum vt_faiss_metric { VT_FAISS_IP = 0, VT_FAISS_L2 = 1 } vt_faiss_metric;

typedef struct vt_faiss_info {
    const char *kind; /* "IndexIVFFlat"; under an IDMap, what it holds; static */
    bool mapped;      /* an IDMap is around it: ids are what the file says */
    size_t dim;       /* 1..VT_FAISS_DIM_MAX */
    size_t count;     /* of vectors, may be 0 */
    vt_faiss_metric metric;
} vt_faiss_info;

typedef struct vt_faiss vt_faiss;

/* Maps the file and verifies all of it but the values of the vectors. E_UNSUPPORTED: an index that
 * does not keep its vectors, or of another metric; E_PARSE: damaged, and the text names the field.
 */
vt_status vt_faiss_open(const char *path, vt_faiss **out, vt_err *err) VT_MUST_USE;
/* The same of bytes in memory: not copied, they must outlive the handle. */
vt_status vt_faiss_open_bytes(const void *bytes, size_t n, vt_faiss **out, vt_err *err) VT_MUST_USE;
void vt_faiss_close(vt_faiss *f);
const vt_faiss_info *vt_faiss_describe(const vt_faiss *f);

/* Vectors by row, 0..count-1, as they lie in the file: an IVFFlat's list by list. The values are
 * what the file holds: any length, and perhaps not finite. out: dim floats. */
void vt_faiss_vector(const vt_faiss *f, size_t row, float *out);
/* The id under which FAISS answers that row; nothing says that no other row has it. */
int64_t vt_faiss_id(const vt_faiss *f, size_t row);

typedef struct vt_faiss_source {
    size_t dim, count;
    const float *vectors; /* [count][dim] */
    const int64_t *ids;   /* [count]: an IndexIDMap over the IndexFlatIP; NULL: the IndexFlatIP */
} vt_faiss_source;

/* Writes an IndexFlatIP. `path` is the old file or the new one, whole, at any moment. */
vt_status vt_faiss_write(const char *path, const vt_faiss_source *source, vt_err *err) VT_MUST_USE;

#endif
