/* Mean vector, count and samples of each category, gathered in one pass over the posting lists.
 *
 * Computed when asked for and not kept up to date by the writer: a sum that is added to and taken
 * from for years drifts, and one pass over 100,000 vectors is the cost of one or two searches. The
 * vectors are the index's, rounded, and a mean over many products is nearer to the true one than
 * its vectors are.
 *
 * Samples are taken evenly along the categories in order, so that each has its share of them
 * whatever order products came in, and the same catalogue always gives the same ones.
 *
 * Not synchronised: memory.c holds the lock. */
#include "catalog/means.h"

typedef struct gatherer {
    const vt_index *index;
    vt_category_vectors *out;
    size_t total, wanted; /* products with a category, and how many of them become samples */
    size_t seen;
} gatherer;

void vt_category_vectors_release(vt_category_vectors *v) {
    for (size_t i = 0; v->names && i < v->n; i++)
        free(v->names[i]);
    free(v->names);
    free(v->products);
    free(v->means);
    free(v->sample_of);
    free(v->samples);
    *v = (vt_category_vectors){0};
}

static int by_key(const void *a, const void *b) {
    const vt_posting *x = a, *y = b;
    return strcmp(x->key, y->key);
}

/* The lists of categories that have a name, in its order; slots and keys stay p's. lists has room
 * for all. */
static size_t named_lists(const vt_postings *p, vt_posting *lists) {
    size_t n = 0;
    for (size_t i = 0; i < p->n; i++)
        if (p->lists[i].key && p->lists[i].key_len > 0)
            lists[n++] = p->lists[i];
    if (n > 0)
        qsort(lists, n, sizeof *lists, by_key);
    return n;
}

static vt_status make_room(gatherer *g, size_t n, vt_err *err) {
    vt_category_vectors *v = g->out;
    size_t row = v->dim * sizeof(float);
    v->names = vt_alloc(n, sizeof *v->names);
    v->products = vt_alloc(n, sizeof *v->products);
    v->means = vt_alloc(n, row);
    v->sample_of = vt_alloc(g->wanted, sizeof *v->sample_of);
    v->samples = vt_alloc(g->wanted, row);
    if (v->names && v->products && v->means && v->sample_of && v->samples)
        return VT_OK;
    return vt_fail_nomem(err, (n + g->wanted) * row);
}

/* Takes the next product where its share of the samples grows by one (Bresenham's line). */
static void take_sample(gatherer *g, uint32_t slot) {
    vt_category_vectors *v = g->out;
    size_t before = g->seen * g->wanted / g->total, after = (g->seen + 1) * g->wanted / g->total;
    g->seen++;
    if (before == after)
        return;
    v->sample_of[v->n_samples] = (uint32_t)v->n;
    if (vt_index_get(g->index, slot, v->samples + v->n_samples * v->dim)) /* it is live: listed */
        v->n_samples++;
}

static vt_status gather_list(gatherer *g, const vt_posting *list, vt_err *err) {
    vt_category_vectors *v = g->out;
    vt_status s = vt_index_mean(g->index, list->slots, list->n, v->means + v->n * v->dim, err);
    if (s != VT_OK)
        return s;
    v->names[v->n] = vt_strndup(list->key, list->key_len);
    if (!v->names[v->n])
        return vt_fail_nomem(err, list->key_len);
    for (size_t i = 0; i < list->n; i++)
        take_sample(g, list->slots[i]);
    v->products[v->n++] = list->n;
    return VT_OK;
}

vt_status vt_means_gather(const vt_columns *c, const vt_index *ix, size_t max_samples,
                          vt_category_vectors *out, vt_err *err) {
    gatherer g = {.index = ix, .out = out};
    vt_posting *lists = vt_alloc(c->categories.n, sizeof *lists);
    size_t n = 0;
    vt_status s = VT_OK;
    *out = (vt_category_vectors){.dim = vt_index_dim(ix)};
    if (!lists)
        return vt_fail_nomem(err, c->categories.n * sizeof *lists);
    n = named_lists(&c->categories, lists);
    for (size_t i = 0; i < n; i++)
        g.total += lists[i].n;
    g.wanted = max_samples < g.total ? max_samples : g.total;
    s = make_room(&g, n, err);
    for (size_t i = 0; i < n && s == VT_OK; i++)
        s = gather_list(&g, &lists[i], err);
    free(lists);
    if (s != VT_OK)
        vt_category_vectors_release(out);
    return s;
}
