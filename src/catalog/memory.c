/* Columns and flat index under one readers-writer lock.
 *
 * The lock is held for a scan (readers) or for applying a committed group (the writer's thread),
 * never across disk or network. It prefers the writer: glibc's default lets a steady stream of
 * searches keep a write waiting for ever. A reader must therefore not take it twice.
 *
 * Only the writer's thread changes anything, so that thread may read without the lock. The
 * generation is the seq of the last change applied: it rises under the write lock and is read
 * without.
 *
 * Invariant: a slot is live in the columns exactly when it is live in the index. */
#include "catalog/memory.h"

#include <pthread.h>
#include <stdatomic.h>

#include "catalog/means.h"

struct vt_memory {
    pthread_rwlock_t lock; /* of columns and flat */
    vt_columns columns;
    vt_flat *flat;
    vt_pool *pool; /* not owned */
    _Atomic uint64_t generation;
};

vt_status vt_memory_open(size_t dim, vt_pool *pool, vt_memory **out, vt_err *err) {
    vt_memory *m = vt_alloc(1, sizeof *m);
    pthread_rwlockattr_t attr;
    vt_status s;
    *out = NULL;
    if (!m)
        return vt_fail_nomem(err, sizeof *m);
    pthread_rwlockattr_init(&attr);
    pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&m->lock, &attr);
    pthread_rwlockattr_destroy(&attr);
    vt_columns_init(&m->columns);
    m->pool = pool;
    s = vt_flat_open(dim, &m->flat, err);
    if (s == VT_OK)
        *out = m;
    else
        vt_memory_close(m);
    return s;
}

void vt_memory_close(vt_memory *m) {
    if (!m)
        return;
    vt_flat_close(m->flat);
    vt_columns_release(&m->columns);
    pthread_rwlock_destroy(&m->lock);
    free(m);
}

/* ---- change ----------------------------------------------------------------------------- */

vt_status vt_memory_load(vt_memory *m, int64_t row, const vt_product *p, vt_err *err) {
    uint32_t slot;
    vt_status s = vt_columns_put(&m->columns, p, row, &slot, err);
    if (s != VT_OK)
        return s;
    s = vt_flat_put(m->flat, slot, p->embedding, err);
    if (s != VT_OK) {
        vt_columns_remove(&m->columns, p->id, &slot);
        vt_flat_remove(m->flat, slot);
    }
    return s;
}

void vt_memory_start(vt_memory *m, uint64_t generation) {
    atomic_store(&m->generation, generation);
}

/* The product is durable by now. Where memory cannot take it, no older state of it may be found
 * either: it is left out, and the caller hears that. */
static void apply_put(vt_memory *m, vt_write *w) {
    vt_err why;
    uint32_t slot;
    bool had = vt_columns_find(&m->columns, w->product->id, &slot);
    if (vt_memory_load(m, w->row, w->product, &why) == VT_OK)
        return;
    if (had)
        vt_flat_remove(m->flat, slot);
    w->status = vt_fail(w->err, VT_E_NOMEM,
                        "the product is stored but cannot be searched yet (%.300s): send it again",
                        why.text);
}

static void apply_delete(vt_memory *m, const vt_write *w) {
    uint32_t slot;
    if (vt_columns_remove(&m->columns, w->id, &slot))
        vt_flat_remove(m->flat, slot);
}

void vt_memory_apply(void *memory, vt_write *const *writes, size_t n, uint64_t generation) {
    vt_memory *m = memory;
    pthread_rwlock_wrlock(&m->lock);
    for (size_t i = 0; i < n; i++) {
        if (writes[i]->status != VT_OK || !writes[i]->changed)
            continue;
        if (writes[i]->product)
            apply_put(m, writes[i]);
        else
            apply_delete(m, writes[i]);
    }
    atomic_store(&m->generation, generation);
    pthread_rwlock_unlock(&m->lock);
}

uint64_t vt_memory_indexed(void *memory, const char *id) {
    const vt_memory *m = memory;
    uint32_t slot;
    return vt_columns_find(&m->columns, id, &slot) ? m->columns.slots[slot].seq : 0;
}

/* ---- search ----------------------------------------------------------------------------- */

/* Under the read lock. hits has room for k. */
static vt_status scan(vt_memory *m, vt_flat_query q, const vt_filter *filter, vt_hit *hits,
                      size_t *n, vt_err *err) {
    vt_bitset selected;
    vt_status s = VT_OK;
    vt_bitset_init(&selected);
    if (!vt_filter_is_empty(filter)) {
        s = vt_columns_select(&m->columns, filter, &selected, err);
        q.filter = &selected;
    }
    if (s == VT_OK)
        s = vt_flat_search(m->flat, &q, m->pool, hits, n, err);
    vt_bitset_release(&selected);
    return s;
}

static void describe_hits(const vt_memory *m, const vt_hit *hits, size_t n, vt_found *found) {
    for (size_t i = 0; i < n; i++) {
        const vt_column_slot *at = &m->columns.slots[hits[i].slot];
        found[i] = (vt_found){.row = at->row, .seq = at->seq, .score = hits[i].score};
    }
}

vt_status vt_memory_search(vt_memory *m, const float *vector, const vt_filter *filter, size_t k,
                           vt_found **found, size_t *n_found, vt_err *err) {
    vt_flat_query q = {
        .vector = vector, .tie = vt_columns_tie, .tie_ctx = &m->columns, .estimate = true};
    vt_hit *hits = NULL;
    vt_status s = VT_OK;
    size_t count;
    *found = NULL;
    *n_found = 0;
    pthread_rwlock_rdlock(&m->lock);
    count = vt_flat_count(m->flat);
    q.k = k < count ? k : count;
    hits = vt_alloc(q.k, sizeof *hits);
    *found = vt_alloc(q.k, sizeof **found);
    if (!hits || !*found)
        s = vt_fail_nomem(err, q.k * sizeof **found);
    else if (q.k > 0)
        s = scan(m, q, filter, hits, n_found, err);
    if (s == VT_OK)
        describe_hits(m, hits, *n_found, *found);
    pthread_rwlock_unlock(&m->lock);
    free(hits);
    if (s != VT_OK) {
        free(*found);
        *found = NULL;
        *n_found = 0;
    }
    return s;
}

uint64_t vt_memory_generation(const vt_memory *m) {
    return atomic_load(&m->generation);
}

/* ---- categories ------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b) {
    const vt_category_count *x = a, *y = b;
    return strcmp(x->name, y->name);
}

static vt_status copy_categories(const vt_postings *p, vt_category_count *all, size_t *n,
                                 vt_err *err) {
    for (size_t i = 0; i < p->n; i++) {
        const vt_posting *l = &p->lists[i];
        if (!l->key)
            continue;
        all[*n].name = vt_strndup(l->key, l->key_len);
        if (!all[*n].name)
            return vt_fail_nomem(err, l->key_len);
        all[(*n)++].products = l->n;
    }
    return VT_OK;
}

vt_status vt_memory_categories(vt_memory *m, vt_category_count **out, size_t *n, vt_err *err) {
    vt_status s;
    *n = 0;
    pthread_rwlock_rdlock(&m->lock);
    *out = vt_alloc(m->columns.categories.n, sizeof **out);
    s = *out ? copy_categories(&m->columns.categories, *out, n, err)
             : vt_fail_nomem(err, m->columns.categories.n * sizeof **out);
    pthread_rwlock_unlock(&m->lock);
    if (s == VT_OK && *n > 0)
        qsort(*out, *n, sizeof **out, by_name);
    if (s == VT_OK)
        return VT_OK;
    for (size_t i = 0; i < *n; i++)
        free((*out)[i].name);
    free(*out);
    *out = NULL;
    *n = 0;
    return s;
}

vt_status vt_memory_category_vectors(vt_memory *m, size_t max_samples, vt_category_vectors *out,
                                     vt_err *err) {
    vt_status s;
    pthread_rwlock_rdlock(&m->lock);
    s = vt_means_gather(&m->columns, m->flat, max_samples, out, err);
    out->generation = vt_memory_generation(m);
    pthread_rwlock_unlock(&m->lock);
    return s;
}

void vt_memory_describe(vt_memory *m, size_t *products, size_t *categories, size_t *bytes) {
    pthread_rwlock_rdlock(&m->lock);
    *products = m->columns.ids.n;
    *categories = m->columns.categories.dict.n;
    *bytes = vt_flat_bytes(m->flat) + vt_columns_bytes(&m->columns);
    pthread_rwlock_unlock(&m->lock);
}

/* ---- check ------------------------------------------------------------------------------ */

/* Searches for slot's own vector among that one slot: the scan visits one vector, so that checking
 * all products takes no square of their number. */
static vt_status check_found(const vt_memory *m, uint32_t slot, vt_bitset *only, vt_err *err) {
    vt_hit hit = {0};
    size_t n = 0;
    vt_flat_query q = {.vector = vt_flat_get(m->flat, slot), .k = 1, .filter = only};
    vt_status s;
    vt_bitset_set(only, slot, true);
    s = vt_flat_search(m->flat, &q, NULL, &hit, &n, err);
    vt_bitset_set(only, slot, false);
    if (s == VT_OK && (n != 1 || hit.slot != slot || !(hit.score > 0.99f)))
        s = vt_fail(err, VT_E_CORRUPT, "product \"%.255s\" is not found by its own vector",
                    m->columns.slots[slot].id);
    return s;
}

static vt_status check_slots(const vt_memory *m, vt_err *err) {
    const vt_columns *c = &m->columns;
    vt_bitset only;
    vt_status s = VT_OK;
    vt_bitset_init(&only);
    s = vt_bitset_resize(&only, c->n, err);
    for (size_t i = 0; i < c->n && s == VT_OK; i++) {
        bool live = vt_bitset_get(&c->live, i);
        if (live != (vt_flat_get(m->flat, (uint32_t)i) != NULL))
            s = vt_fail(err, VT_E_CORRUPT, "slot %zu: columns and index disagree", i);
        else if (live)
            s = check_found(m, (uint32_t)i, &only, err);
    }
    vt_bitset_release(&only);
    return s;
}

vt_status vt_memory_check(vt_memory *m, vt_err *err) {
    vt_status s;
    pthread_rwlock_rdlock(&m->lock);
    s = vt_columns_check(&m->columns, err);
    if (s == VT_OK)
        s = vt_flat_check(m->flat, err);
    if (s == VT_OK && vt_flat_count(m->flat) != m->columns.ids.n)
        s = vt_fail(err, VT_E_CORRUPT, "the index holds %zu vectors for %zu products",
                    vt_flat_count(m->flat), m->columns.ids.n);
    if (s == VT_OK)
        s = check_slots(m, err);
    pthread_rwlock_unlock(&m->lock);
    return s;
}
