/* Columns and index under one readers-writer lock.
 *
 * The lock is held for a scan (readers) or for applying some changes of a committed group (the
 * writer's thread), never across disk or network. It prefers the writer: glibc's default lets a
 * steady stream of searches keep a write waiting for ever. A reader must therefore not take it
 * twice, and who holds it long makes all searches wait as soon as a writer does.
 *
 * A change takes some 50 us (its columns, its cell), so a group of 256 would keep searches waiting
 * for 13 ms. It is applied in short runs, between which they have their turn: among 100,000
 * products, while groups follow closely, the ninetieth percentile of a search of 0.3 ms is 1.3 ms
 * so and was 12.5. Each change of a group is durable by then, so each may be seen as soon as it is
 * there. What a search sees always is the state after some change: the generation is that change's
 * seq, it rises under the write lock with every run and is read without, so that nothing is ever
 * cached as an answer of a later state than it is of.
 *
 * Columns are changed by the writer's thread only, which may therefore read them without the lock;
 * the index by that thread and by upkeep (upkeep.c).
 *
 * Invariant: a slot is live in the columns exactly when it is live in the index. */
#include "catalog/memory.h"

#include "catalog/means.h"

enum { RUN = 16 }; /* changes applied at a time */

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
    s = vt_index_open(dim, &m->index, err);
    if (s == VT_OK)
        *out = m;
    else
        vt_memory_close(m);
    return s;
}

void vt_memory_close(vt_memory *m) {
    if (!m)
        return;
    vt_index_close(m->index);
    vt_snapshot_release(m->snapshot);
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
    s = vt_index_put(m->index, slot, p->embedding, err);
    if (s != VT_OK) {
        vt_columns_remove(&m->columns, p->id, &slot);
        vt_index_remove(m->index, slot);
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
        vt_index_remove(m->index, slot);
    atomic_store(&m->lacking, true);
    w->status = vt_fail(w->err, VT_E_NOMEM,
                        "the product is stored but cannot be searched yet (%.300s): send it again",
                        why.text);
}

static void apply_delete(vt_memory *m, const vt_write *w) {
    uint32_t slot;
    if (vt_columns_remove(&m->columns, w->id, &slot))
        vt_index_remove(m->index, slot);
}

/* Under the write lock. Returns the change number that memory stands at after it. */
static uint64_t apply_run(vt_memory *m, vt_write *const *writes, size_t n) {
    uint64_t seq = vt_memory_generation(m);
    for (size_t i = 0; i < n; i++) {
        if (writes[i]->status != VT_OK || !writes[i]->changed)
            continue;
        if (writes[i]->product)
            apply_put(m, writes[i]);
        else
            apply_delete(m, writes[i]);
        seq = writes[i]->seq;
    }
    return seq;
}

/* The last run ends at the group's own number: changes that failed have used some up as well. */
void vt_memory_apply(void *memory, vt_write *const *writes, size_t n, uint64_t generation) {
    vt_memory *m = memory;
    for (size_t done = 0, run; done < n; done += run) {
        uint64_t seq;
        run = n - done < RUN ? n - done : RUN;
        pthread_rwlock_wrlock(&m->lock);
        seq = apply_run(m, writes + done, run);
        atomic_store(&m->generation, done + run < n ? seq : generation);
        pthread_rwlock_unlock(&m->lock);
    }
}

uint64_t vt_memory_indexed(void *memory, const char *id) {
    const vt_memory *m = memory;
    uint32_t slot;
    return vt_columns_find(&m->columns, id, &slot) ? m->columns.slots[slot].seq : 0;
}

/* ---- search ----------------------------------------------------------------------------- */

/* Under the read lock. hits has room for q.k. */
static vt_status scan(vt_memory *m, vt_index_query q, const vt_filter *filter, vt_hit *hits,
                      size_t *n, vt_plan *plan, vt_err *err) {
    vt_bitset selected;
    vt_status s = VT_OK;
    vt_bitset_init(&selected);
    if (!vt_filter_is_empty(filter)) {
        s = vt_columns_select(&m->columns, filter, &selected, err);
        q.filter = &selected;
    }
    if (s == VT_OK)
        s = vt_index_search(m->index, &q, m->pool, hits, n, plan, err);
    vt_bitset_release(&selected);
    return s;
}

/* For qsort_r. */
static int by_id(const void *a, const void *b, void *columns) {
    const vt_hit *x = a, *y = b;
    if (x->slot == y->slot)
        return 0;
    return vt_columns_tie(columns, x->slot, y->slot) ? -1 : 1;
}

/* Sorts hits. Ids are known here, and may be gone when the lock is. */
static void describe_hits(vt_memory *m, vt_hit *hits, size_t n, vt_found *found) {
    if (n > 0)
        qsort_r(hits, n, sizeof *hits, by_id, &m->columns);
    for (size_t i = 0; i < n; i++) {
        const vt_column_slot *at = &m->columns.slots[hits[i].slot];
        found[i] = (vt_found){
            .row = at->row, .seq = at->seq, .place = (uint32_t)i, .rounded = hits[i].score};
    }
}

static vt_status search(vt_memory *m, const vt_catalog_query *query, size_t spare, vt_found **found,
                        size_t *n_found, vt_plan *plan, vt_err *err) {
    size_t count = vt_index_count(m->index), k = query->k < count ? query->k : count;
    vt_index_query q = {
        .vector = query->vector,
        .k = spare < count - k ? k + spare : count,
        .tie = vt_columns_tie,
        .tie_ctx = &m->columns,
        .kind = query->kind,
        .recall = query->recall,
    };
    vt_hit *hits = vt_alloc(q.k, sizeof *hits);
    vt_status s = VT_OK;
    *found = vt_alloc(q.k, sizeof **found);
    if (!hits || !*found)
        s = vt_fail_nomem(err, q.k * sizeof **found);
    else if (q.k > 0)
        s = scan(m, q, query->filter, hits, n_found, plan, err);
    if (s == VT_OK)
        describe_hits(m, hits, *n_found, *found);
    free(hits);
    return s;
}

vt_status vt_memory_search(vt_memory *m, const vt_catalog_query *q, size_t spare, vt_found **found,
                           size_t *n_found, vt_plan *plan, vt_err *err) {
    vt_status s;
    *found = NULL;
    *n_found = 0;
    if (plan) /* what it is in an empty catalogue */
        *plan = (vt_plan){.kind = q->kind, .recall = q->recall > 0 ? q->recall : VT_RECALL_DEFAULT};
    pthread_rwlock_rdlock(&m->lock);
    s = search(m, q, spare, found, n_found, plan, err);
    pthread_rwlock_unlock(&m->lock);
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
    s = vt_means_gather(&m->columns, m->index, max_samples, out, err);
    out->generation = vt_memory_generation(m);
    pthread_rwlock_unlock(&m->lock);
    return s;
}

void vt_memory_describe(vt_memory *m, vt_catalog_stats *out) {
    const vt_index_bytes *bytes = &out->index_bytes;
    pthread_rwlock_rdlock(&m->lock);
    out->products = m->columns.ids.n;
    out->categories = m->columns.categories.dict.n;
    out->cells = vt_index_cells(m->index);
    vt_index_measure(m->index, &out->index_bytes);
    out->memory_bytes = vt_columns_bytes(&m->columns) + bytes->rows + bytes->codes + bytes->other;
    pthread_rwlock_unlock(&m->lock);
}

/* ---- check ------------------------------------------------------------------------------ */

typedef struct checker {
    const vt_memory *m;
    vt_bitset only; /* one bit a slot */
    float *vector;  /* [dim] */
} checker;

/* Searches for slot's own vector among that one slot: the scan visits one vector, so that checking
 * all products takes no square of their number. */
static vt_status check_found(checker *k, uint32_t slot, vt_err *err) {
    const vt_memory *m = k->m;
    vt_hit hit = {0};
    size_t n = 0;
    vt_index_query q = {.vector = k->vector, .k = 1, .filter = &k->only};
    vt_status s = VT_OK;
    if (vt_vec_normalize(k->vector, vt_index_dim(m->index)) > 0) { /* it was rounded */
        vt_bitset_set(&k->only, slot, true);
        s = vt_index_search(m->index, &q, NULL, &hit, &n, NULL, err);
        vt_bitset_set(&k->only, slot, false);
    }
    if (s == VT_OK && (n != 1 || hit.slot != slot || !(hit.score > 0.99f)))
        s = vt_fail(err, VT_E_CORRUPT, "product \"%.255s\" is not found by its own vector",
                    m->columns.slots[slot].id);
    return s;
}

static vt_status check_slot(checker *k, uint32_t slot, vt_err *err) {
    bool live = vt_bitset_get(&k->m->columns.live, slot);
    if (live != vt_index_get(k->m->index, slot, k->vector))
        return vt_fail(err, VT_E_CORRUPT, "slot %u: columns and index disagree", slot);
    return live ? check_found(k, slot, err) : VT_OK;
}

static vt_status check_slots(const vt_memory *m, vt_err *err) {
    size_t dim = vt_index_dim(m->index);
    checker k = {.m = m, .vector = vt_alloc(dim, sizeof *k.vector)};
    vt_status s;
    vt_bitset_init(&k.only);
    s = k.vector ? vt_bitset_resize(&k.only, m->columns.n, err)
                 : vt_fail_nomem(err, dim * sizeof *k.vector);
    for (size_t i = 0; i < m->columns.n && s == VT_OK; i++)
        s = check_slot(&k, (uint32_t)i, err);
    vt_bitset_release(&k.only);
    free(k.vector);
    return s;
}

vt_status vt_memory_check(vt_memory *m, vt_err *err) {
    vt_status s;
    pthread_rwlock_rdlock(&m->lock);
    s = vt_columns_check(&m->columns, err);
    if (s == VT_OK)
        s = vt_index_check(m->index, err);
    if (s == VT_OK && vt_index_count(m->index) != m->columns.ids.n)
        s = vt_fail(err, VT_E_CORRUPT, "the index holds %zu vectors for %zu products",
                    vt_index_count(m->index), m->columns.ids.n);
    if (s == VT_OK)
        s = check_slots(m, err);
    pthread_rwlock_unlock(&m->lock);
    return s;
}
