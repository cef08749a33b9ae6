/* The bulk lane: as many threads as one computation may use, each of which takes a few pictures
 * from a queue, decodes and preprocesses them one by one, and encodes them as one batch, all on
 * its own processor.
 *
 * A picture is worth a thread, not all threads: there are always more pictures, so splitting one
 * over the processors only adds waiting (the loops of a picture leave some of every processor's
 * time unused). A batch reads each weight once for all of its pictures. Decoding has no threads of
 * its own: while one thread decodes, the others encode, and a processor is never between two.
 *
 * Queries come first, in two ways. The threads run at low priority (vt_thread_background), so that
 * the kernel gives a query the processor at once; and between pictures, and within the encoder
 * between layers, they sleep while a query is inside (vt_pool_give_way), so that its weights stay
 * in the caches and the memory bandwidth is its own.
 *
 * The lane belongs to the engine and not to an import: four imports share its threads, its memory
 * (a decoded picture and a batch of preprocessed ones a thread) and its queue, first come, first
 * served. The queue is bounded by pictures and by bytes; who submits waits.
 *
 * Threading: the lock guards the queue; a job belongs to one thread from there to its done. */
#include "engine/bulk.h"

#include <pthread.h>

enum {
    BATCH = 8,
    BYTES_WAITING = 64 << 20,
};

typedef struct lane {
    vt_bulk *b;
    pthread_t thread;
    float *pixels;  /* [BATCH][3][crop][crop] */
    float *vectors; /* [BATCH][dim] */
    vt_bulk_job *jobs[BATCH];
} lane;

struct vt_bulk {
    vt_engine *e;
    size_t picture, dim; /* floats of one in pixels, of one vector */
    pthread_mutex_t lock;
    pthread_cond_t filled, emptied;
    vt_bulk_job *first, *last;
    size_t waiting, bytes;
    bool closing;
    unsigned n_lanes, n_started;
    lane lanes[];
};

/* ---- a batch ------------------------------------------------------------------------- */

/* Those whose picture cannot be read are done; the others move to the front. Returns how many. */
static size_t prepare(lane *l, size_t n) {
    vt_bulk *b = l->b;
    size_t ready = 0;
    for (size_t i = 0; i < n; i++) {
        vt_bulk_job *job = l->jobs[i];
        vt_pool_give_way(b->e->pool);
        job->status = vt_picture_pixels(b->e, job->bytes, job->len, l->pixels + ready * b->picture,
                                        &job->err);
        if (job->status == VT_OK)
            l->jobs[ready++] = job;
        else
            job->done(job);
    }
    return ready;
}

static vt_status encode(lane *l, size_t begin, size_t n, vt_err *err) {
    const float *pixels[BATCH];
    for (size_t i = 0; i < n; i++)
        pixels[i] = l->pixels + (begin + i) * l->b->picture;
    return vt_clip_encode_images(l->b->e->clip, pixels, n, VT_LANE_BULK,
                                 l->vectors + begin * l->b->dim, err);
}

/* A batch fails as one, and one picture may be to blame: then each is encoded alone. */
static void encode_all(lane *l, size_t n) {
    vt_err err;
    bool together = n > 1 && encode(l, 0, n, &err) == VT_OK;
    for (size_t i = 0; i < n; i++)
        l->jobs[i]->status = together ? VT_OK : encode(l, i, 1, &l->jobs[i]->err);
}

static void run_batch(lane *l, size_t n) {
    vt_engine_counters *c = &l->b->e->counters;
    uint64_t begun = vt_now_ns();
    size_t ready = prepare(l, n);
    encode_all(l, ready);
    atomic_fetch_add(&c->images_encoded, ready);
    atomic_fetch_add(&c->image_ns, vt_now_ns() - begun);
    for (size_t i = 0; i < ready; i++) {
        vt_bulk_job *job = l->jobs[i];
        if (job->status == VT_OK)
            memcpy(job->vector, l->vectors + i * l->b->dim, l->b->dim * sizeof *job->vector);
        job->done(job);
    }
}

/* ---- the queue ----------------------------------------------------------------------- */

/* A share of what waits: where there is little, every thread gets some. 0: closing. */
static size_t take(vt_bulk *b, vt_bulk_job *jobs[BATCH]) {
    size_t share, n = 0;
    pthread_mutex_lock(&b->lock);
    while (!b->first && !b->closing)
        pthread_cond_wait(&b->filled, &b->lock);
    share = (b->waiting + b->n_lanes - 1) / b->n_lanes;
    for (; b->first && n < BATCH && n < share; n++) {
        jobs[n] = b->first;
        b->first = b->first->next;
        b->bytes -= jobs[n]->len;
    }
    b->waiting -= n;
    pthread_cond_broadcast(&b->emptied);
    pthread_mutex_unlock(&b->lock);
    return n;
}

void vt_bulk_submit(vt_bulk *b, vt_bulk_job *job) {
    job->next = NULL;
    pthread_mutex_lock(&b->lock);
    while (b->waiting >= vt_bulk_depth(b) ||
           (b->waiting > 0 && b->bytes + job->len > BYTES_WAITING))
        pthread_cond_wait(&b->emptied, &b->lock);
    if (b->first)
        b->last->next = job;
    else
        b->first = job;
    b->last = job;
    b->waiting++;
    b->bytes += job->len;
    pthread_cond_signal(&b->filled);
    pthread_mutex_unlock(&b->lock);
}

size_t vt_bulk_depth(const vt_bulk *b) {
    return (size_t)2 * BATCH * b->n_lanes;
}

static void *work(void *arg) {
    lane *l = arg;
    size_t n;
    vt_thread_background();
    while ((n = take(l->b, l->jobs)) > 0)
        run_batch(l, n);
    return NULL;
}

/* ---- open and close ------------------------------------------------------------------ */

static vt_status lane_start(vt_bulk *b, lane *l, vt_err *err) {
    size_t bytes = BATCH * (b->picture + b->dim) * sizeof *l->pixels;
    l->b = b;
    l->pixels = vt_alloc_aligned(BATCH * (b->picture + b->dim), sizeof *l->pixels);
    if (!l->pixels)
        return vt_fail_nomem(err, bytes);
    l->vectors = l->pixels + BATCH * b->picture;
    if (pthread_create(&l->thread, NULL, work, l) == 0)
        return VT_OK;
    free(l->pixels);
    return vt_fail(err, VT_E_NOMEM, "cannot start %u threads for imports", b->n_lanes);
}

vt_status vt_bulk_open(vt_engine *e, unsigned threads, vt_bulk **out, vt_err *err) {
    vt_bulk *b = vt_alloc(1, sizeof *b + threads * sizeof b->lanes[0]);
    vt_status s = VT_OK;
    *out = NULL;
    if (!b)
        return vt_fail_nomem(err, sizeof *b + threads * sizeof b->lanes[0]);
    b->e = e;
    b->picture = (size_t)3 * e->spec.crop * e->spec.crop;
    b->dim = vt_clip_describe(e->clip)->dim;
    b->n_lanes = threads;
    pthread_mutex_init(&b->lock, NULL);
    pthread_cond_init(&b->filled, NULL);
    pthread_cond_init(&b->emptied, NULL);
    for (; b->n_started < threads && s == VT_OK; b->n_started += s == VT_OK)
        s = lane_start(b, &b->lanes[b->n_started], err);
    if (s == VT_OK)
        *out = b;
    else
        vt_bulk_close(b);
    return s;
}

void vt_bulk_close(vt_bulk *b) {
    if (!b)
        return;
    pthread_mutex_lock(&b->lock);
    b->closing = true;
    pthread_cond_broadcast(&b->filled);
    pthread_mutex_unlock(&b->lock);
    for (unsigned i = 0; i < b->n_started; i++) {
        pthread_join(b->lanes[i].thread, NULL);
        free(b->lanes[i].pixels);
    }
    pthread_cond_destroy(&b->filled);
    pthread_cond_destroy(&b->emptied);
    pthread_mutex_destroy(&b->lock);
    free(b);
}
