/* IndexIVFFlat: the quantiser (an index of the cells' centroids), a map from ids to places that
 * FAISS may keep, and the inverted lists: for each cell the vectors in it and their ids.
 *
 * We take the lists; the cells are verified and left, because a catalogue has an index of its own.
 * Lists that FAISS kept in another file ("ilod") are not read. */
#include "faiss/format.h"

enum { NO_MAP, ARRAY_MAP, HASH_MAP }; /* DirectMap's types */

typedef struct cells {
    size_t n;
    bool sparse;
    vt_run sizes; /* uint64: of each list; sparse: pairs of list and size */
} cells;

static vt_status read_quantizer(vt_cursor *c, const vt_faiss_header *h, size_t n_cells,
                                vt_err *err) {
    uint32_t mark = 0;
    char text[16];
    vt_faiss_header inner = {0};
    vt_run centroids;
    vt_status s = vt_cursor_take(c, "quantizer", &mark, sizeof mark, err);
    if (s != VT_OK)
        return s;
    if (vt_faiss_is_flat(mark))
        s = vt_faiss_read_flat(c, mark, &inner, &centroids, err);
    else if (mark == VT_MARK_HNSW_FLAT)
        s = vt_faiss_read_hnsw(c, &inner, &centroids, err);
    else
        return vt_fail(err, VT_E_UNSUPPORTED,
                       "IndexIVFFlat, quantizer: %s is neither IndexFlat nor IndexHNSWFlat",
                       vt_faiss_mark_text(mark, text));
    c->part = "IndexIVFFlat";
    if (s == VT_OK && (inner.dim != h->dim || inner.count != n_cells))
        s = vt_cursor_fail(c, "quantizer", err,
                           "%zu centroids of %zu dimensions for nlist %zu, d %zu", inner.count,
                           inner.dim, n_cells, h->dim);
    return s;
}

static vt_status read_direct_map(vt_cursor *c, size_t count, vt_err *err) {
    uint8_t type = 0;
    vt_run array, pairs = {0};
    vt_status s = vt_cursor_take(c, "direct_map", &type, sizeof type, err);
    if (s == VT_OK)
        s = vt_cursor_vector(c, "direct_map", sizeof(int64_t), &array, err);
    if (s == VT_OK && type == HASH_MAP)
        s = vt_cursor_vector(c, "direct_map", 2 * sizeof(int64_t), &pairs, err);
    if (s != VT_OK)
        return s;
    if (type > HASH_MAP)
        return vt_cursor_fail(c, "direct_map", err, "%d is no type of map", type);
    if (array.count != (type == ARRAY_MAP ? count : 0) || pairs.count > count)
        return vt_cursor_fail(c, "direct_map", err, "%zu entries for %zu vectors",
                              array.count + pairs.count, count);
    return VT_OK;
}

static vt_status read_sizes(vt_cursor *c, cells *k, vt_err *err) {
    uint32_t mark = 0;
    char text[16];
    vt_status s = vt_cursor_take(c, "list sizes", &mark, sizeof mark, err);
    if (s == VT_OK)
        s = vt_cursor_vector(c, "list sizes", sizeof(uint64_t), &k->sizes, err);
    if (s != VT_OK)
        return s;
    k->sparse = mark == VT_MARK_LISTS_SPARSE;
    if (!k->sparse && mark != VT_MARK_LISTS_FULL)
        return vt_cursor_fail(c, "list sizes", err, "unknown form %s",
                              vt_faiss_mark_text(mark, text));
    if (k->sparse ? k->sizes.count % 2 != 0 : k->sizes.count != k->n)
        return vt_cursor_fail(c, "list sizes", err, "%zu numbers for %zu lists", k->sizes.count,
                              k->n);
    return VT_OK;
}

/* One list: its vectors, then its ids. */
static vt_status read_list(vt_cursor *c, size_t size, size_t dim, vt_faiss *f, vt_err *err) {
    vt_run vectors, ids;
    vt_status s;
    if (size == 0)
        return VT_OK;
    s = vt_cursor_run(c, "list codes", size, dim * sizeof(float), &vectors, err);
    if (s == VT_OK)
        s = vt_cursor_run(c, "list ids", size, sizeof(int64_t), &ids, err);
    return s == VT_OK ? vt_faiss_add_block(f, vectors, ids, err) : s;
}

/* FAISS writes sparse sizes in the order of the lists; one list told twice would be read twice. */
static vt_status read_lists(vt_cursor *c, const cells *k, size_t dim, vt_faiss *f, vt_err *err) {
    size_t step = k->sparse ? 2 : 1;
    uint64_t next = 0;
    vt_status s = VT_OK;
    for (size_t i = 0; i < k->sizes.count && s == VT_OK; i += step) {
        uint64_t list = k->sparse ? vt_load_u64(&k->sizes, i) : i;
        if (list < next || list >= k->n)
            return vt_cursor_fail(c, "list sizes", err, "list %llu of %zu, or not in order",
                                  (unsigned long long)list, k->n);
        next = list + 1;
        s = read_list(c, vt_load_u64(&k->sizes, i + step - 1), dim, f, err);
    }
    return s;
}

static vt_status read_inverted_lists(vt_cursor *c, size_t n_cells, size_t dim, vt_faiss *f,
                                     vt_err *err) {
    uint32_t mark = 0;
    char text[16];
    uint64_t n = 0, code_size = 0;
    cells k = {.n = n_cells};
    vt_status s = vt_cursor_take(c, "invlists", &mark, sizeof mark, err);
    if (s == VT_OK && mark != VT_MARK_LISTS)
        return vt_fail(err, VT_E_UNSUPPORTED,
                       "IndexIVFFlat, invlists: %s is not stored in this file",
                       vt_faiss_mark_text(mark, text));
    if (s == VT_OK)
        s = vt_cursor_take(c, "invlists nlist", &n, sizeof n, err);
    if (s == VT_OK && n != n_cells)
        s = vt_cursor_fail(c, "invlists nlist", err, "%llu lists for nlist %zu",
                           (unsigned long long)n, n_cells);
    if (s == VT_OK)
        s = vt_cursor_take(c, "code_size", &code_size, sizeof code_size, err);
    if (s == VT_OK && code_size != dim * sizeof(float))
        s = vt_cursor_fail(c, "code_size", err, "%llu bytes for %zu dimensions",
                           (unsigned long long)code_size, dim);
    if (s == VT_OK)
        s = read_sizes(c, &k, err);
    return s == VT_OK ? read_lists(c, &k, dim, f, err) : s;
}

static size_t rows_of(const vt_faiss *f) {
    const vt_block *last = f->n_blocks > 0 ? &f->blocks[f->n_blocks - 1] : NULL;
    return last ? last->first_row + last->vectors.count : 0;
}

/* nlist is believed once the quantiser was found to hold as many centroids. */
vt_status vt_faiss_read_ivf(vt_cursor *c, vt_faiss_header *h, vt_faiss *f, vt_err *err) {
    uint64_t n_cells = 0, nprobe = 0;
    vt_status s;
    c->part = "IndexIVFFlat";
    s = vt_faiss_read_header(c, h, err);
    if (s == VT_OK)
        s = vt_cursor_take(c, "nlist", &n_cells, sizeof n_cells, err);
    if (s == VT_OK)
        s = vt_cursor_take(c, "nprobe", &nprobe, sizeof nprobe, err);
    if (s == VT_OK)
        s = read_quantizer(c, h, n_cells, err);
    if (s == VT_OK)
        s = read_direct_map(c, h->count, err);
    if (s == VT_OK)
        s = read_inverted_lists(c, n_cells, h->dim, f, err);
    if (s == VT_OK && rows_of(f) != h->count)
        s = vt_cursor_fail(c, "ntotal", err, "%zu, but the lists hold %zu vectors", h->count,
                           rows_of(f));
    return s;
}
