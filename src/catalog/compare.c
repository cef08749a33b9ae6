/* Do two memories have the same products? What `vitrine check` asks of a snapshot. Slots and
 * numbers of posting lists are not compared: they depend on the order in which products came. */
#include "catalog/snapshots.h"

#include <math.h>

typedef struct comparer {
    vt_memory *a, *b;
    float *x, *y; /* [dim] */
} comparer;

static vt_status differs(const vt_column_slot *at, const char *in, vt_err *err) {
    return vt_fail(err, VT_E_CORRUPT, "product \"%.255s\" differs in its %s", at->id, in);
}

static bool same_key(const vt_posting *x, const vt_posting *y) {
    return x->key_len == y->key_len && memcmp(x->key, y->key, x->key_len) == 0;
}

/* Each slot has a term once, so that it is enough that all of one's are among the other's. */
static bool same_terms(const comparer *k, const vt_column_slot *x, const vt_column_slot *y) {
    const vt_postings *terms = &k->b->columns.terms;
    if (x->n_terms != y->n_terms)
        return false;
    for (size_t i = 0; i < x->n_terms; i++) {
        const vt_posting *l = &k->a->columns.terms.lists[x->terms[i]];
        const vt_dict_entry *e = vt_dict_find(&terms->dict, l->key, l->key_len);
        size_t at = 0;
        while (e && at < y->n_terms && y->terms[at] != e->value)
            at++;
        if (!e || at == y->n_terms)
            return false;
    }
    return true;
}

/* Both are within 1e-3 of the vector that was put. */
static bool same_vector(const comparer *k, uint32_t slot, uint32_t other) {
    size_t dim = vt_index_dim(k->a->index);
    double sum = 0;
    if (!vt_index_get(k->a->index, slot, k->x) || !vt_index_get(k->b->index, other, k->y))
        return false;
    for (size_t i = 0; i < dim; i++)
        sum += ((double)k->x[i] - (double)k->y[i]) * ((double)k->x[i] - (double)k->y[i]);
    return sqrt(sum) <= 2e-3;
}

static vt_status compare_slot(const comparer *k, uint32_t slot, vt_err *err) {
    const vt_columns *a = &k->a->columns, *b = &k->b->columns;
    const vt_column_slot *x = &a->slots[slot], *y;
    uint32_t other;
    if (!vt_columns_find(b, x->id, &other))
        return vt_fail(err, VT_E_CORRUPT, "product \"%.255s\" is missing", x->id);
    y = &b->slots[other];
    if (x->seq != y->seq || x->row != y->row)
        return differs(x, "change number or row", err);
    if (!same_key(&a->categories.lists[x->category], &b->categories.lists[y->category]))
        return differs(x, "category", err);
    if (a->prices[slot] != b->prices[other] && !(isnan(a->prices[slot]) && isnan(b->prices[other])))
        return differs(x, "price", err);
    if (!same_terms(k, x, y))
        return differs(x, "attributes", err);
    return same_vector(k, slot, other) ? VT_OK : differs(x, "vector", err);
}

vt_status vt_memory_compare(vt_memory *a, vt_memory *b, vt_err *err) {
    size_t dim = vt_index_dim(a->index);
    comparer k = {.a = a, .b = b};
    vt_status s = VT_OK;
    if (a->columns.ids.n != b->columns.ids.n)
        return vt_fail(err, VT_E_CORRUPT, "it has %zu products, not %zu", b->columns.ids.n,
                       a->columns.ids.n);
    k.x = vt_alloc(dim, sizeof *k.x);
    k.y = vt_alloc(dim, sizeof *k.y);
    if (!k.x || !k.y)
        s = vt_fail_nomem(err, dim * sizeof *k.x);
    for (size_t i = 0; i < a->columns.n && s == VT_OK; i++)
        if (a->columns.slots[i].id)
            s = compare_slot(&k, (uint32_t)i, err);
    free(k.x);
    free(k.y);
    return s;
}
