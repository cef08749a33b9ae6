/* The writer: one thread that owns the only writing connection, a queue before it, and commits in
 * groups.
 *
 * Whatever is queued when the thread comes round becomes one transaction, up to GROUP rows; while
 * it waits for the disk the next group gathers. Nobody waits on a timer: a lone writer commits at
 * once, a crowd shares an fsync (group commit, DeWitt et al. 1984). Memory follows after the
 * commit, so that nothing is ever found that a power cut could take back.
 *
 * Callers wait, so a write's memory is the caller's, on his stack or heap, until it is done, and
 * the queue needs no limit of its own: it is as long as there are callers.
 *
 * Rejected: a connection for each caller (SQLite has one writer; they would sleep on its lock in
 * unfair order and share no fsync), and applying to memory before the commit.
 *
 * The mutex guards queue and counters, and is not held while the disk works. */
#include "catalog/writer.h"

#include <errno.h>
#include <pthread.h>

enum {
    GROUP = 256,
    IDLE_MS = 500,    /* without a write, before the log is moved into the file */
    LOG_PAGES = 2048, /* 16 MiB: moved at once, or start and file would grow with it */
};

/* The writes of one caller, in the queue. Lives on the caller's stack. */
typedef struct ticket {
    vt_write *writes;
    size_t n, taken, done;
    pthread_cond_t finished;
    struct ticket *next;
} ticket;

struct vt_writer {
    vt_writer_options o;
    pthread_t thread;
    pthread_mutex_t lock; /* of all below */
    pthread_cond_t wake;
    ticket *first, *last;
    bool stopping;
    vt_writer_stats stats;
};

/* A group: the writes and whose they are. */
typedef struct group {
    vt_write *writes[GROUP];
    ticket *tickets[GROUP];
    size_t n;
} group;

/* ---- queue ------------------------------------------------------------------------------ */

static void take(vt_writer *w, group *g) {
    g->n = 0;
    while (w->first && g->n < GROUP) {
        ticket *t = w->first;
        g->writes[g->n] = &t->writes[t->taken++];
        g->tickets[g->n++] = t;
        if (t->taken == t->n) {
            w->first = t->next;
            if (!w->first)
                w->last = NULL;
        }
    }
}

/* Waits for work; false when there is none and a checkpoint is due. */
static bool wait_for_work(vt_writer *w) {
    struct timespec until;
    bool idle_matters = vt_store_log_pages(w->o.store) > 0;
    int rc = 0;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += (long)IDLE_MS * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    while (!w->first && !w->stopping && rc != ETIMEDOUT)
        rc = idle_matters ? pthread_cond_timedwait(&w->wake, &w->lock, &until)
                          : pthread_cond_wait(&w->wake, &w->lock);
    return w->first || w->stopping;
}

static void finish(vt_writer *w, const group *g, size_t committed) {
    pthread_mutex_lock(&w->lock);
    w->stats.commits += committed > 0;
    w->stats.rows += committed;
    for (size_t i = 0; i < g->n; i++) {
        ticket *t = g->tickets[i];
        if (++t->done == t->n)
            pthread_cond_signal(&t->finished); /* under the lock: t is gone once its owner wakes */
    }
    pthread_mutex_unlock(&w->lock);
}

/* ---- thread ----------------------------------------------------------------------------- */

static void write_one(vt_writer *w, vt_write *write) {
    vt_stored stored = {0};
    if (write->product)
        write->status =
            vt_store_put(w->o.store, write->product, w->o.indexed(w->o.ctx, write->product->id),
                         &stored, write->err);
    else if (write->id)
        write->status = vt_store_delete(w->o.store, write->id, &stored, write->err);
    else if (write->roots)
        write->status = vt_store_note_snapshots(w->o.store, write->roots, write->err);
    else
        write->status = vt_store_forget(w->o.store, write->forget, write->err);
    write->row = stored.row;
    write->seq = stored.seq;
    write->result = stored.result;
    write->changed = stored.changed;
}

/* Nothing of the group happened: whoever was not told something of his own hears why. */
static void fail_group(group *g, const vt_err *why) {
    for (size_t i = 0; i < g->n; i++) {
        vt_write *write = g->writes[i];
        write->changed = false;
        if (write->status != VT_OK)
            continue;
        write->status = why->status;
        *write->err = *why;
    }
}

/* Returns the number of rows it changed. */
static size_t commit(vt_writer *w, group *g) {
    vt_err why;
    size_t changed = 0;
    vt_status s = vt_store_begin(w->o.store, &why);
    for (size_t i = 0; i < g->n && s == VT_OK; i++) {
        write_one(w, g->writes[i]);
        changed += g->writes[i]->status == VT_OK && g->writes[i]->changed;
    }
    if (s == VT_OK)
        s = vt_store_commit(w->o.store, &why);
    if (s != VT_OK) {
        fail_group(g, &why);
        return 0;
    }
    if (changed > 0)
        w->o.apply(w->o.ctx, g->writes, g->n, vt_store_seq(w->o.store));
    return changed;
}

static void *run(void *arg) {
    vt_writer *w = arg;
    group g;
    for (;;) {
        bool checkpoint_due, stop;
        size_t changed = 0;
        pthread_mutex_lock(&w->lock);
        checkpoint_due = !wait_for_work(w);
        take(w, &g);
        stop = w->stopping && g.n == 0;
        pthread_mutex_unlock(&w->lock);
        if (stop)
            return NULL;
        if (g.n > 0) {
            changed = commit(w, &g);
            finish(w, &g, changed);
        }
        if (checkpoint_due || (changed > 0 && vt_store_log_pages(w->o.store) >= LOG_PAGES))
            vt_store_checkpoint(w->o.store);
    }
}

/* ---- callers ---------------------------------------------------------------------------- */

vt_status vt_writer_open(const vt_writer_options *o, vt_writer **out, vt_err *err) {
    vt_writer *w = vt_alloc(1, sizeof *w);
    pthread_condattr_t attr;
    int rc;
    *out = NULL;
    if (!w)
        return vt_fail_nomem(err, sizeof *w);
    w->o = *o;
    pthread_mutex_init(&w->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC); /* a set clock must not end or keep a wait */
    pthread_cond_init(&w->wake, &attr);
    pthread_condattr_destroy(&attr);
    rc = pthread_create(&w->thread, NULL, run, w);
    if (rc != 0) {
        pthread_cond_destroy(&w->wake);
        pthread_mutex_destroy(&w->lock);
        free(w);
        return vt_fail_errno(err, rc, "cannot start the catalogue's writer");
    }
    *out = w;
    return VT_OK;
}

void vt_writer_close(vt_writer *w) {
    if (!w)
        return;
    pthread_mutex_lock(&w->lock);
    w->stopping = true;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
    pthread_cond_destroy(&w->wake);
    pthread_mutex_destroy(&w->lock);
    free(w);
}

static void enqueue(vt_writer *w, ticket *t) {
    if (w->last)
        w->last->next = t;
    else
        w->first = t;
    w->last = t;
    pthread_cond_signal(&w->wake);
}

void vt_writer_submit(vt_writer *w, vt_write *writes, size_t n) {
    ticket t = {.writes = writes, .n = n};
    if (n == 0)
        return;
    pthread_cond_init(&t.finished, NULL);
    pthread_mutex_lock(&w->lock);
    enqueue(w, &t);
    while (t.done < n)
        pthread_cond_wait(&t.finished, &w->lock);
    pthread_mutex_unlock(&w->lock);
    pthread_cond_destroy(&t.finished);
}

vt_writer_stats vt_writer_describe(vt_writer *w) {
    vt_writer_stats stats;
    pthread_mutex_lock(&w->lock);
    stats = w->stats;
    pthread_mutex_unlock(&w->lock);
    return stats;
}
