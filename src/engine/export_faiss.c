/* The catalogue goes out as a FAISS index and the list of its ids. Vectors are gathered in memory
 * first, as the catalogue has them there too: so the files are written whole or not at all. */
#include "engine/state.h"
#include "faiss/faiss.h"

#define IDS_MAX_BYTES ((size_t)4 << 30)

typedef struct gathering {
    vt_catalog *catalog;
    size_t dim, n;
    float *vectors; /* [n][dim] */
    size_t cap;     /* rows */
    vt_buf ids;
    vt_json w;
} gathering;

/* vt_product_fn: a listing is without vectors, so each is asked for. One deleted since is left out.
 */
static vt_status add_product(void *ctx, const vt_product *p, vt_err *err) {
    gathering *g = ctx;
    vt_product whole;
    size_t row_bytes = g->dim * sizeof *g->vectors;
    vt_status s = vt_array_grow(&g->vectors, &g->cap, g->n + 1, row_bytes, err);
    if (s != VT_OK)
        return s;
    s = vt_catalog_get(g->catalog, p->id, &whole, err);
    if (s == VT_OK) {
        memcpy(g->vectors + g->n * g->dim, whole.embedding, row_bytes);
        vt_json_str(&g->w, p->id);
        g->n++;
    }
    vt_product_release(&whole);
    return s == VT_E_NOT_FOUND ? VT_OK : s;
}

static vt_status gather(gathering *g, vt_err *err) {
    vt_status s;
    vt_json_init(&g->w, &g->ids);
    vt_json_open(&g->w, '[');
    s = vt_catalog_list(g->catalog, "", SIZE_MAX, NULL, add_product, g, err);
    vt_json_close(&g->w, ']');
    vt_buf_append(&g->ids, "\n", 1);
    return s == VT_OK ? vt_buf_status(&g->ids, "the list of ids", err) : s;
}

static vt_status write_index(const gathering *g, const char *path, bool id_map, vt_err *err) {
    vt_faiss_source source = {.dim = g->dim, .count = g->n, .vectors = g->vectors};
    int64_t *numbers = NULL;
    vt_status s;
    if (id_map && !(numbers = vt_alloc(g->n, sizeof *numbers)))
        return vt_fail_nomem(err, g->n * sizeof *numbers);
    for (size_t i = 0; id_map && i < g->n; i++)
        numbers[i] = (int64_t)i;
    source.ids = numbers;
    s = vt_faiss_write(path, &source, err);
    free(numbers);
    return s;
}

vt_status vt_engine_export_faiss(vt_engine *e, const char *index, const char *ids, bool id_map,
                                 size_t *count, vt_err *err) {
    gathering g = {.catalog = e->catalog, .dim = vt_clip_describe(e->clip)->dim};
    vt_status s;
    *count = 0;
    vt_buf_init(&g.ids, IDS_MAX_BYTES);
    s = gather(&g, err);
    if (s == VT_OK)
        s = write_index(&g, index, id_map, err);
    if (s == VT_OK && ids) {
        const vt_span text = {g.ids.data, g.ids.len};
        s = vt_file_replace(ids, &text, 1, err);
    }
    if (s == VT_OK)
        *count = g.n;
    vt_buf_release(&g.ids);
    free(g.vectors);
    return s;
}
