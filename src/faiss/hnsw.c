/* IndexHNSWFlat: the graph of Malkov and Yashunin, then an IndexFlat with the vectors.
 *
 * We take the vectors and leave the graph, because a catalogue has an index of its own; the graph's
 * fields are verified all the same, as what lies behind them is found by their sizes, and a file
 * whose graph is damaged is a damaged file.
 *
 * A node i of levels[i] levels has neighbors[offsets[i]..offsets[i + 1]), of which the first
 * cum_nneighbor_per_level[1] belong to level 0 and so on; a place without neighbour holds -1. */
#include "faiss/format.h"

typedef struct graph {
    vt_run probabilities;                    /* double */
    vt_run cumulated;                        /* int32: neighbours below a level */
    vt_run levels;                           /* int32, 1.. */
    vt_run offsets;                          /* uint64, one more than nodes */
    vt_run neighbors;                        /* int32 */
    int32_t entry_point, max_level, rest[3]; /* rest: efConstruction, efSearch, an unused one */
} graph;

static vt_status read_graph(vt_cursor *c, graph *g, vt_err *err) {
    vt_status s = vt_cursor_vector(c, "assign_probas", sizeof(double), &g->probabilities, err);
    if (s == VT_OK)
        s = vt_cursor_vector(c, "cum_nneighbor_per_level", sizeof(int32_t), &g->cumulated, err);
    if (s == VT_OK)
        s = vt_cursor_vector(c, "levels", sizeof(int32_t), &g->levels, err);
    if (s == VT_OK)
        s = vt_cursor_vector(c, "offsets", sizeof(uint64_t), &g->offsets, err);
    if (s == VT_OK)
        s = vt_cursor_vector(c, "neighbors", sizeof(int32_t), &g->neighbors, err);
    if (s == VT_OK)
        s = vt_cursor_take(c, "entry_point", &g->entry_point, sizeof g->entry_point, err);
    if (s == VT_OK)
        s = vt_cursor_take(c, "max_level", &g->max_level, sizeof g->max_level, err);
    return s == VT_OK ? vt_cursor_take(c, "efSearch", g->rest, sizeof g->rest, err) : s;
}

static vt_status check_levels(const vt_cursor *c, const graph *g, size_t nodes, vt_err *err) {
    int32_t below = 0;
    for (size_t i = 0; i < g->cumulated.count; i++) {
        int32_t n = vt_load_i32(&g->cumulated, i);
        if (n < below || (i == 0 && n != 0))
            return vt_cursor_fail(c, "cum_nneighbor_per_level", err, "%d at %zu", n, i);
        below = n;
    }
    if (g->levels.count != nodes)
        return vt_cursor_fail(c, "levels", err, "%zu of them for %zu vectors", g->levels.count,
                              nodes);
    for (size_t i = 0; i < nodes; i++) {
        int32_t n = vt_load_i32(&g->levels, i);
        if (n < 1 || (size_t)n >= g->cumulated.count)
            return vt_cursor_fail(c, "levels", err, "%d at node %zu", n, i);
    }
    return VT_OK;
}

/* After check_levels. Offsets that grow by what their node's levels hold, from 0 to the end of
 * neighbors, are all inside it. */
static vt_status check_offsets(const vt_cursor *c, const graph *g, size_t nodes, vt_err *err) {
    uint64_t expected = 0;
    if (g->offsets.count != nodes + 1)
        return vt_cursor_fail(c, "offsets", err, "%zu of them for %zu vectors", g->offsets.count,
                              nodes);
    for (size_t i = 0; i <= nodes; i++) {
        if (vt_load_u64(&g->offsets, i) != expected)
            return vt_cursor_fail(c, "offsets", err, "%llu at node %zu, not %llu",
                                  (unsigned long long)vt_load_u64(&g->offsets, i), i,
                                  (unsigned long long)expected);
        if (i < nodes)
            expected += (uint64_t)vt_load_i32(&g->cumulated, (size_t)vt_load_i32(&g->levels, i));
    }
    if (g->neighbors.count != expected)
        return vt_cursor_fail(c, "neighbors", err, "%zu of them, the offsets end at %llu",
                              g->neighbors.count, (unsigned long long)expected);
    return VT_OK;
}

static vt_status check_nodes(const vt_cursor *c, const graph *g, size_t nodes, vt_err *err) {
    for (size_t i = 0; i < g->neighbors.count; i++) {
        int32_t n = vt_load_i32(&g->neighbors, i);
        if (n < -1 || (n >= 0 && (size_t)n >= nodes))
            return vt_cursor_fail(c, "neighbors", err, "%d at %zu is no node", n, i);
    }
    if (nodes == 0 ? g->entry_point != -1 : g->entry_point < 0 || (size_t)g->entry_point >= nodes)
        return vt_cursor_fail(c, "entry_point", err, "%d is no node of %zu", g->entry_point, nodes);
    if (nodes > 0 &&
        (g->max_level < 0 || g->max_level >= vt_load_i32(&g->levels, (size_t)g->entry_point)))
        return vt_cursor_fail(c, "max_level", err, "%d is above the entry point's levels",
                              g->max_level);
    return VT_OK;
}

static vt_status read_storage(vt_cursor *c, const vt_faiss_header *h, vt_run *vectors,
                              vt_err *err) {
    uint32_t mark = 0;
    char text[16];
    vt_faiss_header inner;
    vt_status s = vt_cursor_take(c, "storage", &mark, sizeof mark, err);
    if (s != VT_OK)
        return s;
    if (!vt_faiss_is_flat(mark))
        return vt_fail(err, VT_E_UNSUPPORTED, "IndexHNSWFlat, storage: %s is not an IndexFlat",
                       vt_faiss_mark_text(mark, text));
    s = vt_faiss_read_flat(c, mark, &inner, vectors, err);
    if (s == VT_OK && (inner.dim != h->dim || inner.count != h->count || inner.metric != h->metric))
        s = vt_cursor_fail(c, "header", err, "differs from that of the IndexHNSWFlat around it");
    return s;
}

vt_status vt_faiss_read_hnsw(vt_cursor *c, vt_faiss_header *h, vt_run *vectors, vt_err *err) {
    graph g;
    vt_status s;
    c->part = "IndexHNSWFlat";
    s = vt_faiss_read_header(c, h, err);
    if (s == VT_OK)
        s = read_graph(c, &g, err);
    if (s == VT_OK)
        s = check_levels(c, &g, h->count, err);
    if (s == VT_OK)
        s = check_offsets(c, &g, h->count, err);
    if (s == VT_OK)
        s = check_nodes(c, &g, h->count, err);
    return s == VT_OK ? read_storage(c, h, vectors, err) : s;
}
