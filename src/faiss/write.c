/* An IndexFlatIP, or an IndexIDMap over one, as FAISS's write_index writes them.
 *
 * The metric is the inner product, because the vectors of a catalogue are of unit length: it is
 * then the cosine that a search of ours answers with. */
#include "faiss/format.h"

enum { HEADER = sizeof(uint32_t) + 33, COUNT = sizeof(uint64_t) };

static void put(uint8_t **at, const void *bytes, size_t n) {
    memcpy(*at, bytes, n);
    *at += n;
}

/* A mark and its header. */
static void put_header(uint8_t **at, uint32_t mark, const vt_faiss_source *source) {
    int32_t dim = (int32_t)source->dim, metric = VT_FAISS_IP;
    int64_t count = (int64_t)source->count, unused = VT_FAISS_UNUSED;
    uint8_t trained = 1;
    put(at, &mark, sizeof mark);
    put(at, &dim, sizeof dim);
    put(at, &count, sizeof count);
    put(at, &unused, sizeof unused);
    put(at, &unused, sizeof unused);
    put(at, &trained, sizeof trained);
    put(at, &metric, sizeof metric);
}

vt_status vt_faiss_write(const char *path, const vt_faiss_source *source, vt_err *err) {
    uint8_t head[2 * HEADER + COUNT], *at = head;
    uint64_t floats = (uint64_t)source->count * source->dim, count = source->count;
    if (source->ids)
        put_header(&at, VT_MARK_ID_MAP, source);
    put_header(&at, VT_MARK_FLAT_IP, source);
    put(&at, &floats, sizeof floats);
    const vt_span parts[] = {
        {head, (size_t)(at - head)},
        {source->vectors, floats * sizeof *source->vectors},
        {&count, sizeof count},
        {source->ids, count * sizeof(int64_t)},
    };
    return vt_file_replace(path, parts, source->ids ? 4 : 2, err);
}
