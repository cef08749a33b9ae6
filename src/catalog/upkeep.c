/* The index's upkeep: making its cells, and learning how far to look in them, while searches and
 * changes go on.
 *
 * Both are loops of short steps with the lock given back in between. The lock prefers writers, and
 * searches wait behind a writer that waits for the reader of a step; so a step must not hold it for
 * longer than applying some changes does, a few milliseconds. What takes long without looking at
 * the index (k-means) goes on under no lock at all. Between steps upkeep gives way to queries, like
 * all work that nobody waits for.
 *
 * One thread at a time: the one that keeps things up. */
#include "catalog/memory.h"

typedef struct interrupt {
    vt_pool *pool;
    vt_stopped_fn stopped; /* NULL: never */
    void *ctx;
} interrupt;

static bool go_on(const interrupt *i) {
    vt_pool_give_way(i->pool);
    return !i->stopped || !i->stopped(i->ctx);
}

/* ---- cells ------------------------------------------------------------------------------ */

/* *out is NULL where no rebuild is due. Asked under the read lock first: it seldom is, and searches
 * need not wait to hear that. */
static vt_status rebuild_begin(vt_memory *m, vt_rebuild **out, vt_err *err) {
    vt_status s = VT_OK;
    bool due;
    *out = NULL;
    pthread_rwlock_rdlock(&m->lock);
    due = vt_index_rebuild_due(m->index);
    pthread_rwlock_unlock(&m->lock);
    if (!due)
        return VT_OK;
    pthread_rwlock_wrlock(&m->lock);
    if (vt_index_rebuild_due(m->index)) /* products may have gone in between */
        s = vt_rebuild_open(m->index, out, err);
    pthread_rwlock_unlock(&m->lock);
    return s;
}

/* *more stays true where it was interrupted. */
static vt_status rebuild_centres(vt_memory *m, vt_rebuild *r, const interrupt *i, bool *more,
                                 vt_err *err) {
    vt_status s = VT_OK;
    for (*more = true; s == VT_OK && *more && go_on(i);)
        s = vt_rebuild_train(r, m->pool, more, err);
    return s;
}

/* The same. */
static vt_status rebuild_rows(vt_memory *m, vt_rebuild *r, const interrupt *i, bool *more,
                              vt_err *err) {
    vt_status s = VT_OK;
    for (*more = true; s == VT_OK && *more && go_on(i);) {
        pthread_rwlock_rdlock(&m->lock);
        s = vt_rebuild_step(r, m->pool, more, err);
        pthread_rwlock_unlock(&m->lock);
    }
    return s;
}

vt_status vt_memory_rebuild(vt_memory *m, vt_stopped_fn stopped, void *ctx, bool *done,
                            vt_err *err) {
    const interrupt i = {m->pool, stopped, ctx};
    vt_rebuild *r = NULL;
    bool more = true;
    vt_status s;
    *done = false;
    s = rebuild_begin(m, &r, err);
    if (!r)
        return s;
    s = rebuild_centres(m, r, &i, &more, err);
    if (s == VT_OK && !more)
        s = rebuild_rows(m, r, &i, &more, err);
    pthread_rwlock_wrlock(&m->lock);
    if (s == VT_OK && !more) {
        s = vt_rebuild_finish(r, err);
        *done = s == VT_OK;
    }
    vt_rebuild_close(r);
    pthread_rwlock_unlock(&m->lock);
    return s;
}

/* ---- learning --------------------------------------------------------------------------- */

/* *out is NULL where there are no cells to learn about. */
static vt_status learn_begin(vt_memory *m, const vt_lessons *from, vt_tuning **out, vt_err *err) {
    vt_status s = VT_OK;
    *out = NULL;
    pthread_rwlock_wrlock(&m->lock);
    if (vt_index_cells(m->index) > 0)
        s = vt_tuning_open(m->index, from->kind, from->queries, from->n, out, err);
    pthread_rwlock_unlock(&m->lock);
    return s;
}

static vt_status learn_all(vt_memory *m, vt_tuning *t, const interrupt *i, bool *more,
                           vt_err *err) {
    vt_status s = VT_OK;
    while (s == VT_OK && *more && go_on(i)) {
        pthread_rwlock_rdlock(&m->lock);
        s = vt_tuning_learn(t, m->index, m->pool, more, err);
        pthread_rwlock_unlock(&m->lock);
    }
    return s;
}

vt_status vt_memory_learn(vt_memory *m, const vt_lessons *from, vt_stopped_fn stopped, void *ctx,
                          bool *done, vt_err *err) {
    const interrupt i = {m->pool, stopped, ctx};
    vt_tuning *t = NULL;
    bool more = true;
    vt_status s;
    *done = false;
    s = learn_begin(m, from, &t, err);
    if (!t)
        return s;
    s = learn_all(m, t, &i, &more, err);
    if (s == VT_OK && !more) {
        pthread_rwlock_wrlock(&m->lock);
        s = vt_tuning_apply(t, m->index, err);
        pthread_rwlock_unlock(&m->lock);
        *done = s == VT_OK;
    }
    vt_tuning_close(t);
    return s == VT_E_MISMATCH ? VT_OK : s; /* new cells came in between: another time */
}

float vt_memory_fraction(vt_memory *m, vt_query_kind kind, float recall) {
    float fraction;
    pthread_rwlock_rdlock(&m->lock);
    fraction = vt_index_fraction(m->index, kind, recall);
    pthread_rwlock_unlock(&m->lock);
    return fraction;
}

void vt_memory_spend_more(vt_memory *m, vt_query_kind kind, float factor) {
    pthread_rwlock_wrlock(&m->lock);
    vt_index_spend_more(m->index, kind, factor);
    pthread_rwlock_unlock(&m->lock);
}
