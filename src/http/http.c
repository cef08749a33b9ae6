/* http: the server's opening and closing, and what its threads share.
 *
 * libmicrohttpd runs two threads with epoll. They read requests and send answers and never wait:
 * what computes goes to `workers` (jobs.c), what an import sends to `feeders` (upload.c), each over
 * a bounded queue while the connection sleeps (MHD_suspend_connection). A thread per connection
 * was rejected: a thousand idle customers are a thousand stacks.
 *
 * The order of closing is the invariant of this file. libmicrohttpd aborts the process when it is
 * stopped with a connection asleep, and a worker must not resume a connection that is gone. So:
 * no new connections; wait for what is in flight; stop the queues (what still waits is answered
 * "stopping", what runs is waited for), after which nothing can sleep; then stop the daemon. */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/server.h"

#define DAEMON_THREADS   2
#define BACKLOG          1024
#define CONNECTION_BYTES ((size_t)48 << 10) /* head, read buffer and answer's head */
#define BODIES_IN_MEMORY 8                  /* of the largest size, at the same time */
#define FLUSH_SECONDS    1                  /* for answers given while stopping to leave */

static unsigned sensible_workers(void) {
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned processors = online > 0 ? (unsigned)online : 1;
    return processors * 2 > 4 ? processors * 2 : 4; /* some wait for downloads or the disk */
}

static void fill_defaults(vt_http_options *o) {
    if (o->workers == 0)
        o->workers = sensible_workers();
    if (o->queue == 0)
        o->queue = o->workers * 64;
    if (o->max_connections == 0)
        o->max_connections = 1000;
    if (o->head_seconds == 0)
        o->head_seconds = 10;
    if (o->body_seconds == 0)
        o->body_seconds = 30;
    if (o->max_body == 0)
        o->max_body = (size_t)28 << 20;
}

/* ---- the socket --------------------------------------------------------------------------- */

static vt_status bind_and_listen(int fd, const struct addrinfo *a, const vt_http_options *o,
                                 vt_err *err) {
    int one = 1;
    /* Without it a restart fails for a minute on the connections of the last run. */
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, a->ai_addr, a->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0) {
        int why = errno;
        (void)vt_fail_errno(err, why, "cannot listen on %s port %u", o->bind, o->port);
        err->status = VT_E_IO;
        return VT_E_IO;
    }
    return VT_OK;
}

static uint16_t bound_port(int fd) {
    union {
        struct sockaddr any;
        struct sockaddr_in ipv4;
        struct sockaddr_in6 ipv6;
    } address = {.ipv6 = {0}};
    socklen_t n = sizeof address;
    if (getsockname(fd, &address.any, &n) != 0)
        return 0;
    return ntohs(address.any.sa_family == AF_INET6 ? address.ipv6.sin6_port
                                                   : address.ipv4.sin_port);
}

static vt_status open_listener(vt_http *h, vt_err *err) {
    const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
                                   .ai_socktype = SOCK_STREAM};
    struct addrinfo *a = NULL;
    char port[8];
    (void)snprintf(port, sizeof port, "%u", (unsigned)h->o.port);
    if (h->o.bind == NULL || getaddrinfo(h->o.bind, port, &hints, &a) != 0)
        return vt_fail(err, VT_E_INVALID, "cannot listen on '%s': not an IPv4 or IPv6 address",
                       h->o.bind == NULL ? "" : h->o.bind);
    vt_status status = VT_OK;
    h->listener = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (h->listener < 0)
        status = vt_fail_errno(err, errno, "cannot open a socket");
    else
        status = bind_and_listen(h->listener, a, &h->o, err);
    if (status == VT_OK)
        h->port = bound_port(h->listener);
    freeaddrinfo(a);
    return status;
}

/* ---- opening ------------------------------------------------------------------------------ */

static void on_library_message(void *cls, const char *format, va_list args) VT_PRINTF(2, 0);
static void on_library_message(void *cls, const char *format, va_list args) {
    vt_http *h = cls;
    char line[512];
    (void)vsnprintf(line, sizeof line, format, args);
    line[strcspn(line, "\n")] = '\0';
    vt_log_say(h->log, VT_LOG_DEBUG, "http", "%s", line);
}

static vt_status start_daemon(vt_http *h, vt_err *err) {
    /* ERROR_LOG goes to our log at debug level: it tells of every client that misbehaves. */
    h->daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC | MHD_USE_ERROR_LOG,
        h->port, NULL, NULL, vt_request_handle, h, MHD_OPTION_EXTERNAL_LOGGER, on_library_message,
        h, MHD_OPTION_LISTEN_SOCKET, h->listener, MHD_OPTION_THREAD_POOL_SIZE,
        (unsigned)DAEMON_THREADS, MHD_OPTION_CONNECTION_LIMIT, h->o.max_connections,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_BYTES, MHD_OPTION_CONNECTION_TIMEOUT, 0u,
        MHD_OPTION_URI_LOG_CALLBACK, vt_request_begin, h, MHD_OPTION_NOTIFY_COMPLETED,
        vt_request_end, h, MHD_OPTION_NOTIFY_CONNECTION, vt_request_connection, h, MHD_OPTION_END);
    if (h->daemon == NULL)
        return vt_fail(err, VT_E_IO, "cannot start the HTTP server on port %u", (unsigned)h->port);
    h->listener = -1;
    return VT_OK;
}

static void open_locks(vt_http *h) {
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&h->idle, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_init(&h->lock, NULL);
}

vt_status vt_http_open(const vt_http_options *o, vt_log *log, vt_http **out, vt_err *err) {
    size_t routes = 0;
    *out = NULL;
    (void)vt_routes(&routes);
    vt_http *h = vt_alloc(1, sizeof *h);
    if (h == NULL)
        return vt_fail_nomem(err, sizeof *h);
    h->o = *o;
    h->log = log;
    h->listener = -1;
    fill_defaults(&h->o);
    h->budget.max = h->o.max_body * BODIES_IN_MEMORY;
    open_locks(h);
    vt_status status = open_listener(h, err);
    if (status == VT_OK)
        status = vt_metrics_open(routes, &h->metrics, err);
    if (status == VT_OK)
        status = vt_reaper_open(&h->reaper, err);
    if (status == VT_OK)
        status = vt_jobs_open(h->o.workers, h->o.queue, &h->workers, err);
    if (status == VT_OK)
        status = vt_jobs_open(VT_UPLOADS_MAX, VT_UPLOADS_MAX, &h->feeders, err);
    if (status == VT_OK)
        status = start_daemon(h, err);
    if (status != VT_OK) {
        vt_http_close(h, 0);
        return status;
    }
    h->o.bind = NULL; /* the caller's, and not needed any more */
    *out = h;
    return VT_OK;
}

uint16_t vt_http_port(const vt_http *h) {
    return h->port;
}

void vt_http_attach(vt_http *h, vt_engine *e) {
    atomic_store(&h->engine, e);
}

/* ---- closing ------------------------------------------------------------------------------ */

static void wait_until_idle(vt_http *h, unsigned seconds) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += seconds;
    pthread_mutex_lock(&h->lock);
    while (h->in_flight > 0 && pthread_cond_timedwait(&h->idle, &h->lock, &until) == 0)
        continue;
    pthread_mutex_unlock(&h->lock);
}

static void stop_daemon(vt_http *h, unsigned grace_seconds) {
    atomic_store(&h->stopping, true);
    MHD_socket listener = MHD_quiesce_daemon(h->daemon);
    if (listener != MHD_INVALID_SOCKET)
        close(listener);
    wait_until_idle(h, grace_seconds);
    vt_jobs_stop(h->workers);
    vt_jobs_stop(h->feeders);
    wait_until_idle(h, FLUSH_SECONDS);
    MHD_stop_daemon(h->daemon);
}

void vt_http_close(vt_http *h, unsigned grace_seconds) {
    if (h == NULL)
        return;
    if (h->daemon != NULL)
        stop_daemon(h, grace_seconds);
    if (h->listener >= 0)
        close(h->listener);
    vt_jobs_close(h->workers);
    vt_jobs_close(h->feeders);
    vt_reaper_close(h->reaper);
    vt_metrics_close(h->metrics);
    pthread_cond_destroy(&h->idle);
    pthread_mutex_destroy(&h->lock);
    free(h);
}
