/* jobs: a bounded queue of work and the threads that do it.
 *
 * A mutex, a condition and a singly linked list whose links lie inside the jobs: submitting cannot
 * run out of memory, and a full queue is told at once (the caller answers 503) instead of growing.
 * A lock-free ring was rejected: a job is milliseconds of inference, the lock 20 ns.
 *
 * Threading: any thread may submit. A job's `run` or `drop` is called once, without the lock. */
#include "http/server.h"

struct vt_jobs {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    vt_job *first, *last;
    size_t waiting, depth;
    bool stopped;
    unsigned n_threads;
    pthread_t threads[];
};

static vt_job *jobs_pop(vt_jobs *q) {
    vt_job *job = q->first;
    if (job != NULL) {
        q->first = job->next;
        q->waiting--;
    }
    return job;
}

static void *jobs_thread(void *arg) {
    vt_jobs *q = arg;
    pthread_mutex_lock(&q->lock);
    for (;;) {
        while (q->first == NULL && !q->stopped)
            pthread_cond_wait(&q->wake, &q->lock);
        vt_job *job = q->stopped ? NULL : jobs_pop(q);
        if (job == NULL)
            break;
        pthread_mutex_unlock(&q->lock);
        job->run(job->owner);
        pthread_mutex_lock(&q->lock);
    }
    pthread_mutex_unlock(&q->lock);
    return NULL;
}

vt_status vt_jobs_open(unsigned threads, size_t depth, vt_jobs **out, vt_err *err) {
    *out = NULL;
    size_t bytes = sizeof(vt_jobs) + threads * sizeof(pthread_t);
    vt_jobs *q = vt_alloc(1, bytes);
    if (q == NULL)
        return vt_fail_nomem(err, bytes);
    pthread_mutex_init(&q->lock, NULL);
    pthread_cond_init(&q->wake, NULL);
    q->depth = depth;
    while (q->n_threads < threads) {
        int failed = pthread_create(&q->threads[q->n_threads], NULL, jobs_thread, q);
        if (failed != 0) {
            vt_jobs_close(q);
            return vt_fail_errno(err, failed, "cannot start a worker thread");
        }
        q->n_threads++;
    }
    *out = q;
    return VT_OK;
}

bool vt_jobs_submit(vt_jobs *q, vt_job *job) {
    pthread_mutex_lock(&q->lock);
    bool taken = !q->stopped && q->waiting < q->depth;
    if (taken) {
        job->next = NULL;
        if (q->first == NULL)
            q->first = job;
        else
            q->last->next = job;
        q->last = job;
        q->waiting++;
        pthread_cond_signal(&q->wake);
    }
    pthread_mutex_unlock(&q->lock);
    return taken;
}

void vt_jobs_stop(vt_jobs *q) {
    pthread_mutex_lock(&q->lock);
    q->stopped = true;
    pthread_cond_broadcast(&q->wake);
    vt_job *job;
    while ((job = jobs_pop(q)) != NULL) {
        pthread_mutex_unlock(&q->lock);
        job->drop(job->owner);
        pthread_mutex_lock(&q->lock);
    }
    pthread_mutex_unlock(&q->lock);
    for (unsigned i = 0; i < q->n_threads; i++)
        pthread_join(q->threads[i], NULL);
    q->n_threads = 0;
}

void vt_jobs_close(vt_jobs *q) {
    if (q == NULL)
        return;
    vt_jobs_stop(q);
    pthread_cond_destroy(&q->wake);
    pthread_mutex_destroy(&q->lock);
    free(q);
}
