/* A pool of threads for parallel loops. Workers sleep on a condition variable between loops; a
 * loop is published under the mutex, its chunks are handed out by one atomic counter, and the
 * caller, who works as well, returns when every worker has left the loop.
 *
 * Only one loop uses the workers at a time. A second caller could have queued, but the processors
 * are busy anyway: running its loop alone finishes sooner and cannot deadlock. */
#include "base/base.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

typedef struct loop {
    vt_pool_fn fn;
    void *ctx;
    size_t n, chunk;
    atomic_size_t next;
} loop;

struct vt_pool {
    pthread_mutex_t busy; /* held by the caller whose loop has the workers */
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t wake, left;
    loop *current;   /* NULL between loops */
    uint64_t round;  /* rises with every loop, so that a worker joins each once */
    unsigned inside; /* workers in the current loop */
    bool stop;
    unsigned n_workers;
    pthread_t *workers;
};

static void run_chunks(loop *l) {
    for (;;) {
        size_t begin = atomic_fetch_add_explicit(&l->next, l->chunk, memory_order_relaxed);
        if (begin >= l->n)
            return;
        l->fn(l->ctx, begin, begin + l->chunk < l->n ? begin + l->chunk : l->n);
    }
}

static void *work(void *arg) {
    vt_pool *p = arg;
    uint64_t seen = 0;
    pthread_mutex_lock(&p->lock);
    for (;;) {
        while (!p->stop && (!p->current || p->round == seen))
            pthread_cond_wait(&p->wake, &p->lock);
        if (p->stop)
            break;
        loop *l = p->current;
        seen = p->round;
        p->inside++;
        pthread_mutex_unlock(&p->lock);
        run_chunks(l);
        pthread_mutex_lock(&p->lock);
        if (--p->inside == 0)
            pthread_cond_signal(&p->left);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

static unsigned online_processors(void) {
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 && n < 1024 ? (unsigned)n : 1;
}

vt_status vt_pool_open(unsigned threads, vt_pool **out, vt_err *err) {
    unsigned wanted = (threads ? threads : online_processors()) - 1;
    vt_pool *p = vt_alloc(1, sizeof *p);
    *out = NULL;
    if (!p)
        return vt_fail_nomem(err, sizeof *p);
    pthread_mutex_init(&p->busy, NULL);
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->wake, NULL);
    pthread_cond_init(&p->left, NULL);
    p->workers = vt_alloc(wanted, sizeof *p->workers);
    if (!p->workers) {
        vt_pool_close(p);
        return vt_fail_nomem(err, wanted * sizeof *p->workers);
    }
    for (; p->n_workers < wanted; p->n_workers++) {
        if (pthread_create(&p->workers[p->n_workers], NULL, work, p) != 0) {
            vt_pool_close(p);
            return vt_fail(err, VT_E_NOMEM, "cannot start %u worker threads", wanted);
        }
    }
    *out = p;
    return VT_OK;
}

void vt_pool_close(vt_pool *p) {
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    p->stop = true;
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
    for (unsigned i = 0; i < p->n_workers; i++)
        pthread_join(p->workers[i], NULL);
    pthread_mutex_destroy(&p->busy);
    pthread_mutex_destroy(&p->lock);
    pthread_cond_destroy(&p->wake);
    pthread_cond_destroy(&p->left);
    free(p->workers);
    free(p);
}

unsigned vt_pool_threads(const vt_pool *p) {
    return p ? p->n_workers + 1 : 1;
}

/* Four chunks a thread even out threads of unequal speed; the grain keeps them worth handing out.
 */
static size_t chunk_size(const vt_pool *p, size_t n, size_t grain) {
    size_t chunk = n / (4 * (size_t)vt_pool_threads(p));
    return chunk > grain ? chunk : grain;
}

static void run_on_workers(vt_pool *p, loop *l) {
    pthread_mutex_lock(&p->lock);
    p->current = l;
    p->round++;
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
    run_chunks(l);
    pthread_mutex_lock(&p->lock);
    p->current = NULL; /* a worker that wakes late must not touch a loop on our stack */
    while (p->inside > 0)
        pthread_cond_wait(&p->left, &p->lock);
    pthread_mutex_unlock(&p->lock);
}

void vt_pool_for(vt_pool *p, size_t n, size_t grain, vt_pool_fn fn, void *ctx) {
    loop l = {.fn = fn, .ctx = ctx, .n = n, .chunk = chunk_size(p, n, grain ? grain : 1)};
    if (n == 0)
        return;
    if (!p || p->n_workers == 0 || l.chunk >= n || pthread_mutex_trylock(&p->busy) != 0) {
        fn(ctx, 0, n);
        return;
    }
    run_on_workers(p, &l);
    pthread_mutex_unlock(&p->busy);
}
