/* An index file from its first mark to its last byte, and the rows in it.
 *
 * The file is mapped and its vectors stay where they are: what is allocated is one small record for
 * each inverted list that is not empty, and such a list takes more bytes in the file. Nothing
 * recurses: of what FAISS can nest, an IDMap is read around everything else, a flat index inside a
 * graph or a quantiser, a graph inside a quantiser, and no more.
 *
 * Rejected: FAISS's own library (C++, BLAS and OpenMP at run time, and a reader that trusts sizes);
 * indexes of codes (PQ, SQ, LSH): their vectors cannot be had again.
 *
 * Invariants once open: the blocks' rows are 0..count-1 without holes; with an id map, each id in
 * the blocks is one of its places. */
#include "faiss/format.h"

const char *vt_faiss_mark_text(uint32_t mark, char out[16]) {
    char letters[5] = {0};
    bool plain = true;
    memcpy(letters, &mark, sizeof mark);
    for (int i = 0; i < 4; i++)
        plain = plain && letters[i] > 0x20 && letters[i] < 0x7F;
    if (plain)
        snprintf(out, 16, "\"%s\"", letters);
    else
        snprintf(out, 16, "0x%08x", mark);
    return out;
}

vt_status vt_faiss_add_block(vt_faiss *f, vt_run vectors, vt_run ids, vt_err *err) {
    const vt_block *last = f->n_blocks > 0 ? &f->blocks[f->n_blocks - 1] : NULL;
    size_t first = last ? last->first_row + last->vectors.count : 0;
    vt_status s =
        vt_array_grow(&f->blocks, &f->blocks_cap, f->n_blocks + 1, sizeof *f->blocks, err);
    if (s == VT_OK)
        f->blocks[f->n_blocks++] = (vt_block){.first_row = first, .vectors = vectors, .ids = ids};
    return s;
}

/* ---- open ------------------------------------------------------------------------------- */

/* floats: those of all vectors. */
static vt_status add_floats(vt_faiss *f, const vt_faiss_header *h, vt_run floats, vt_err *err) {
    if (h->count == 0)
        return VT_OK;
    floats.count = h->count;
    return vt_faiss_add_block(f, floats, (vt_run){0}, err);
}

/* An index that keeps vectors, from behind its mark. */
static vt_status read_vectors(vt_cursor *c, uint32_t mark, vt_faiss *f, vt_faiss_header *h,
                              vt_err *err) {
    char text[16];
    vt_run floats = {0};
    vt_status s;
    if (mark == VT_MARK_IVF_FLAT)
        s = vt_faiss_read_ivf(c, h, f, err);
    else if (mark == VT_MARK_HNSW_FLAT)
        s = vt_faiss_read_hnsw(c, h, &floats, err);
    else if (vt_faiss_is_flat(mark))
        s = vt_faiss_read_flat(c, mark, h, &floats, err);
    else
        return vt_fail(err, VT_E_UNSUPPORTED,
                       "an index of type %s; IndexFlat, IndexIVFFlat, IndexHNSWFlat and IndexIDMap "
                       "over one of them are read",
                       vt_faiss_mark_text(mark, text));
    if (s == VT_OK && floats.at)
        s = add_floats(f, h, floats, err);
    f->info.kind = mark == VT_MARK_IVF_FLAT    ? "IndexIVFFlat"
                   : mark == VT_MARK_HNSW_FLAT ? "IndexHNSWFlat"
                   : h->metric == VT_FAISS_L2  ? "IndexFlatL2"
                                               : "IndexFlatIP";
    return s;
}

/* The id under which the index inside an IDMap knows a row. */
static int64_t inner_id(const vt_block *b, size_t row) {
    return b->ids.at ? vt_load_i64(&b->ids, row - b->first_row) : (int64_t)row;
}

static vt_status check_places(const vt_cursor *c, const vt_faiss *f, const vt_run *ids,
                              vt_err *err) {
    for (size_t i = 0; ids->at && i < ids->count; i++) {
        int64_t id = vt_load_i64(ids, i);
        if (id < 0 || (size_t)id >= f->id_map.count)
            return vt_cursor_fail(c, "id_map", err, "has no place for the index's id %lld",
                                  (long long)id);
    }
    return VT_OK;
}

static vt_status check_map(const vt_cursor *c, const vt_faiss *f, vt_err *err) {
    vt_status s;
    if (f->id_map.count != f->info.count)
        return vt_cursor_fail(c, "id_map", err, "%zu ids for %zu vectors", f->id_map.count,
                              f->info.count);
    for (size_t i = 0; i < f->n_blocks; i++) {
        s = check_places(c, f, &f->blocks[i].ids, err);
        if (s != VT_OK)
            return s;
    }
    return VT_OK;
}

/* From behind the mark of an IDMap. */
static vt_status read_mapped(vt_cursor *c, vt_faiss *f, vt_err *err) {
    uint32_t mark = 0;
    vt_faiss_header h = {0}, inner = {0};
    vt_status s;
    c->part = "IndexIDMap";
    s = vt_faiss_read_header(c, &h, err);
    if (s == VT_OK)
        s = vt_cursor_take(c, "index", &mark, sizeof mark, err);
    if (s == VT_OK)
        s = read_vectors(c, mark, f, &inner, err);
    c->part = "IndexIDMap";
    if (s == VT_OK && (inner.dim != h.dim || inner.count != h.count || inner.metric != h.metric))
        s = vt_cursor_fail(c, "header", err, "differs from that of the %s inside", f->info.kind);
    if (s == VT_OK)
        s = vt_cursor_vector(c, "id_map", sizeof(int64_t), &f->id_map, err);
    f->info.mapped = true;
    f->info.dim = h.dim;
    f->info.count = h.count;
    f->info.metric = h.metric;
    return s == VT_OK ? check_map(c, f, err) : s;
}

static vt_status read_file(vt_faiss *f, const void *bytes, size_t n, vt_err *err) {
    vt_cursor c = {.at = bytes, .left = n, .part = "the index"};
    vt_faiss_header h = {0};
    uint32_t mark = 0;
    vt_status s = vt_cursor_take(&c, "type", &mark, sizeof mark, err);
    if (s == VT_OK && (mark == VT_MARK_ID_MAP || mark == VT_MARK_ID_MAP_2)) {
        s = read_mapped(&c, f, err);
    } else if (s == VT_OK) {
        s = read_vectors(&c, mark, f, &h, err);
        f->info.dim = h.dim;
        f->info.count = h.count;
        f->info.metric = h.metric;
    }
    if (s == VT_OK && c.left > 0)
        s = vt_cursor_fail(&c, "end", err, "%zu bytes follow the index", c.left);
    return s;
}

vt_status vt_faiss_open_bytes(const void *bytes, size_t n, vt_faiss **out, vt_err *err) {
    vt_faiss *f = vt_alloc(1, sizeof *f);
    vt_status s;
    *out = NULL;
    if (!f)
        return vt_fail_nomem(err, sizeof *f);
    s = read_file(f, bytes, n, err);
    if (s == VT_OK)
        *out = f;
    else
        vt_faiss_close(f);
    return s;
}

vt_status vt_faiss_open(const char *path, vt_faiss **out, vt_err *err) {
    vt_map map;
    vt_status s;
    *out = NULL;
    s = vt_file_map(path, &map, err);
    if (s != VT_OK)
        return s;
    s = vt_faiss_open_bytes(map.data, map.size, out, err);
    if (*out) {
        (*out)->map = map;
        return s;
    }
    vt_map_release(&map);
    return vt_fail_prefix(err, "%s", path);
}

void vt_faiss_close(vt_faiss *f) {
    if (!f)
        return;
    vt_map_release(&f->map);
    free(f->blocks);
    free(f);
}

/* ---- rows ------------------------------------------------------------------------------- */

const vt_faiss_info *vt_faiss_describe(const vt_faiss *f) {
    return &f->info;
}

/* The block that holds the row: the last that does not begin after it. */
static const vt_block *block_of(const vt_faiss *f, size_t row) {
    size_t low = 0, high = f->n_blocks;
    assert(row < f->info.count);
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (f->blocks[middle].first_row <= row)
            low = middle;
        else
            high = middle;
    }
    return &f->blocks[low];
}

void vt_faiss_vector(const vt_faiss *f, size_t row, float *out) {
    const vt_block *b = block_of(f, row);
    size_t bytes = f->info.dim * sizeof *out;
    memcpy(out, b->vectors.at + (row - b->first_row) * bytes, bytes);
}

int64_t vt_faiss_id(const vt_faiss *f, size_t row) {
    int64_t id = inner_id(block_of(f, row), row);
    return f->id_map.at ? vt_load_i64(&f->id_map, (size_t)id) : id;
}
