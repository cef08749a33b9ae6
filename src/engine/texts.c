/* Texts that arrive together become one batch. What a short text costs is reading the text tower's
 * weights, so two texts in one batch take little longer than one, and one after the other twice as
 * long.
 *
 * Method: leader and followers, as databases share a commit (group commit, DeWitt et al. 1984). A
 * caller who finds the encoder idle leads at once, with his own texts alone: nobody waits for
 * company that may not come. Those who come while he computes queue up; when he is done, the first
 * of them leads, with all who wait by then, up to BATCH_MAX texts. A leader computes one batch,
 * his own, so that nobody computes for others while his own answer is ready.
 *
 * Rejected: waiting a millisecond for others (it makes the lone query slower, and under load the
 * batch in progress gives the same time for nothing); a thread that encodes for all (a hand-over
 * there and back, 10 to 50 us, for every text).
 *
 * A batch fails as one, and one text may be to blame: then each caller's texts are computed alone,
 * and each hears what is true of his own.
 *
 * Threading: the lock guards the queue, and the tickets in it. A ticket lives on its caller's
 * stack; the leader of a batch owns its tickets until he has marked them done. */
#include "engine/texts.h"

#include <pthread.h>

enum { BATCH_MAX = 64 };

typedef struct ticket {
    const vt_clip_text *texts;
    size_t count;
    float *out;
    vt_err *err;
    vt_status status;
    bool leads, done;
    pthread_cond_t turn;
    struct ticket *next;
} ticket;

struct vt_texts {
    vt_texts_fn fn;
    void *ctx;
    size_t dim;
    pthread_mutex_t lock;
    ticket *first, *last; /* those who wait, in their order */
    size_t waiting;       /* their texts */
    bool busy;            /* somebody leads */
};

vt_status vt_texts_open(vt_texts_fn fn, void *ctx, size_t dim, vt_texts **out, vt_err *err) {
    vt_texts *t = *out = vt_alloc(1, sizeof *t);
    if (!t)
        return vt_fail_nomem(err, sizeof *t);
    t->fn = fn;
    t->ctx = ctx;
    t->dim = dim;
    pthread_mutex_init(&t->lock, NULL);
    return VT_OK;
}

void vt_texts_close(vt_texts *t) {
    if (!t)
        return;
    assert(!t->first && !t->busy && "nobody may be inside");
    pthread_mutex_destroy(&t->lock);
    free(t);
}

/* ---- a batch: tickets in a list, the leader's first ---------------------------------- */

static void compute_alone(vt_texts *t, ticket *k) {
    k->status = t->fn(t->ctx, k->texts, k->count, k->out, k->err);
}

/* false where the batch as one could not be computed. */
static bool compute_together(vt_texts *t, ticket *batch, size_t count) {
    vt_clip_text *texts = vt_alloc(count, sizeof *texts);
    float *out = vt_alloc(count, t->dim * sizeof *out);
    size_t n = 0;
    vt_err why;
    bool ok = false;
    if (!texts || !out)
        goto done;
    for (const ticket *k = batch; k; n += k->count, k = k->next)
        memcpy(texts + n, k->texts, k->count * sizeof *texts);
    ok = t->fn(t->ctx, texts, count, out, &why) == VT_OK;
    n = 0;
    for (const ticket *k = batch; ok && k; n += k->count, k = k->next)
        memcpy(k->out, out + n * t->dim, k->count * t->dim * sizeof *out);
done:
    free(texts);
    free(out);
    return ok;
}

static void compute(vt_texts *t, ticket *batch, size_t count) {
    if (batch->next && compute_together(t, batch, count))
        return;
    for (ticket *k = batch; k; k = k->next)
        compute_alone(t, k);
}

/* ---- the queue (the lock is held) ---------------------------------------------------- */

static void join_queue(vt_texts *t, ticket *k) {
    if (t->last)
        t->last->next = k;
    else
        t->first = k;
    t->last = k;
    t->waiting += k->count;
}

/* Takes the tickets at the front of the queue, at least one; *count tells their texts. */
static ticket *take_batch(vt_texts *t, size_t *count) {
    ticket *batch = t->first, *end = batch;
    *count = batch->count;
    while (end->next && *count + end->next->count <= BATCH_MAX) {
        end = end->next;
        *count += end->count;
    }
    t->first = end->next;
    if (!t->first)
        t->last = NULL;
    end->next = NULL;
    t->waiting -= *count;
    return batch;
}

/* A follower may be gone as soon as he sees that he is done: next is read before. */
static void dismiss(ticket *batch, const ticket *leader) {
    for (ticket *k = batch, *next; k; k = next) {
        next = k->next;
        k->done = true;
        if (k != leader)
            pthread_cond_signal(&k->turn);
    }
}

static void lead(vt_texts *t, ticket *own) {
    size_t count;
    ticket *batch = take_batch(t, &count);
    t->busy = true;
    pthread_mutex_unlock(&t->lock);
    compute(t, batch, count);
    pthread_mutex_lock(&t->lock);
    dismiss(batch, own);
    t->busy = t->first != NULL; /* handed on without a gap for a newcomer to slip into */
    if (t->first) {
        t->first->leads = true;
        pthread_cond_signal(&t->first->turn);
    }
}

vt_status vt_texts_encode(vt_texts *t, const vt_clip_text *texts, size_t count, float *out,
                          vt_err *err) {
    ticket own = {.texts = texts, .count = count, .out = out, .err = err};
    pthread_cond_init(&own.turn, NULL);
    pthread_mutex_lock(&t->lock);
    join_queue(t, &own);
    own.leads = !t->busy;
    while (!own.leads && !own.done)
        pthread_cond_wait(&own.turn, &t->lock);
    if (!own.done)
        lead(t, &own);
    pthread_mutex_unlock(&t->lock);
    pthread_cond_destroy(&own.turn);
    return own.status;
}

size_t vt_texts_waiting(vt_texts *t) {
    pthread_mutex_lock(&t->lock);
    size_t n = t->waiting;
    pthread_mutex_unlock(&t->lock);
    return n;
}
