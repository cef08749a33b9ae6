/* reaper: closes connections that have passed their deadline.
 *
 * libmicrohttpd's own timeout starts again with every byte, so a client that sends one byte a
 * second (slowloris) holds a connection for ever. Here a deadline is absolute: so many seconds for
 * the whole head, so many for the whole body, and it is only moved by progress that the server
 * defines (a new phase, a line of an import). One thread looks at all connections a few times a
 * second; a heap or a timer wheel was rejected: a thousand loads a tick are nothing.
 *
 * The reaper shuts the socket down and never closes it: the daemon's thread then sees the end of
 * the stream and closes as always. A shutdown cannot hit a stranger's descriptor, because the
 * daemon tells of the end of a connection (vt_reaper_remove, which takes the lock) before it
 * closes its socket.
 *
 * Threading: deadlines are atomics, the list is under the lock. */
#include <errno.h>
#include <sys/socket.h>

#include "http/server.h"

#define TICK_NS 200000000u

struct vt_conn {
    vt_conn *next, *previous;
    int fd;
    _Atomic uint64_t deadline_ns; /* 0: none */
};

struct vt_reaper {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    vt_conn *first;
    bool stopped;
    pthread_t thread;
};

static void reap(vt_reaper *r) {
    uint64_t now = vt_now_ns();
    for (vt_conn *c = r->first; c != NULL; c = c->next) {
        uint64_t deadline = atomic_load(&c->deadline_ns);
        if (deadline == 0 || now < deadline)
            continue;
        atomic_store(&c->deadline_ns, 0);
        (void)shutdown(c->fd, SHUT_RDWR); /* ENOTCONN: it is gone already */
    }
}

static struct timespec in_one_tick(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_nsec += TICK_NS;
    t.tv_sec += t.tv_nsec / 1000000000;
    t.tv_nsec %= 1000000000;
    return t;
}

static void *reaper_thread(void *arg) {
    vt_reaper *r = arg;
    pthread_mutex_lock(&r->lock);
    while (!r->stopped) {
        struct timespec until = in_one_tick();
        if (pthread_cond_timedwait(&r->wake, &r->lock, &until) == ETIMEDOUT)
            reap(r);
    }
    pthread_mutex_unlock(&r->lock);
    return NULL;
}

vt_status vt_reaper_open(vt_reaper **out, vt_err *err) {
    *out = NULL;
    vt_reaper *r = vt_alloc(1, sizeof *r);
    if (r == NULL)
        return vt_fail_nomem(err, sizeof *r);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&r->wake, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_init(&r->lock, NULL);
    int failed = pthread_create(&r->thread, NULL, reaper_thread, r);
    if (failed != 0) {
        pthread_cond_destroy(&r->wake);
        pthread_mutex_destroy(&r->lock);
        free(r);
        return vt_fail_errno(err, failed, "cannot start the thread that closes dead connections");
    }
    *out = r;
    return VT_OK;
}

void vt_reaper_close(vt_reaper *r) {
    if (r == NULL)
        return;
    pthread_mutex_lock(&r->lock);
    r->stopped = true;
    pthread_cond_signal(&r->wake);
    pthread_mutex_unlock(&r->lock);
    pthread_join(r->thread, NULL);
    assert(r->first == NULL);
    pthread_cond_destroy(&r->wake);
    pthread_mutex_destroy(&r->lock);
    free(r);
}

vt_conn *vt_reaper_add(vt_reaper *r, int fd, uint32_t seconds) {
    vt_conn *c = vt_alloc(1, sizeof *c);
    if (c == NULL)
        return NULL;
    c->fd = fd;
    vt_conn_expire(c, seconds);
    pthread_mutex_lock(&r->lock);
    c->next = r->first;
    if (r->first != NULL)
        r->first->previous = c;
    r->first = c;
    pthread_mutex_unlock(&r->lock);
    return c;
}

void vt_reaper_remove(vt_reaper *r, vt_conn *c) {
    if (c == NULL)
        return;
    pthread_mutex_lock(&r->lock);
    if (c->previous != NULL)
        c->previous->next = c->next;
    else
        r->first = c->next;
    if (c->next != NULL)
        c->next->previous = c->previous;
    pthread_mutex_unlock(&r->lock);
    free(c);
}

void vt_conn_expire(vt_conn *c, uint32_t seconds) {
    atomic_store(&c->deadline_ns, vt_now_ns() + (uint64_t)seconds * 1000000000u);
}

uint64_t vt_conn_hold(vt_conn *c) {
    uint64_t deadline = atomic_exchange(&c->deadline_ns, 0);
    uint64_t now = vt_now_ns();
    return deadline > now ? deadline - now : 0;
}

void vt_conn_continue(vt_conn *c, uint64_t ns) {
    atomic_store(&c->deadline_ns, vt_now_ns() + ns);
}
