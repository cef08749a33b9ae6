/* request: the life of one request, as libmicrohttpd calls for it.
 *
 *   begin   the request line is there (raw target kept)
 *   HEAD    guard, target, route, body limits          -> a doubt about framing: answer and close
 *   BODY    bytes go to body.c or upload.c             -> after a failure they are thrown away
 *   WORK    a worker runs the route; the connection sleeps
 *   ANSWER  queued, then sent
 *   end     counted, logged, freed
 *
 * A request that fails before its body has come (unknown path, wrong type, too large) is still
 * read to its end and answered then: closing at once resets the connection, and the client would
 * see "broken pipe" instead of the reason. Memory is not at stake, and the body's deadline bounds
 * the reading. A client that asked first (Expect: 100-continue) is answered at once.
 *
 * Threading: see server.h. */
#include <sys/socket.h>

#include "http/server.h"

/* For the next request on a connection to come whole. One deadline for idling and for sending its
 * head: who drips gains nothing over who is silent. */
#define KEEP_ALIVE_SECONDS 60
#define LAST_SECONDS       1   /* where no more can come than what has been read already */
#define ANSWER_SECONDS     300 /* for the client to read the answer */

/* ---- beginning ---------------------------------------------------------------------------- */

static bool is_request_id(const char *s) {
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    size_t n = strlen(s);
    return n >= 1 && n <= VT_REQUEST_ID_MAX && strspn(s, allowed) == n;
}

static void choose_id(vt_request *r) {
    const char *given = MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, "X-Request-Id");
    if (given != NULL && is_request_id(given)) {
        memcpy(r->id, given, strlen(given) + 1);
        return;
    }
    uint64_t random;
    vt_random_bytes(&random, sizeof random);
    (void)snprintf(r->id, sizeof r->id, "%016llx", (unsigned long long)random);
}

/* The method as a static text: what libmicrohttpd hands out does not outlive the head. */
static const char *known_method(const char *method) {
    static const char *const known[] = {"GET", "POST", "HEAD", "DELETE", "PUT", "PATCH", "OPTIONS"};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(method, known[i]) == 0)
            return known[i];
    return "(other)";
}

void *vt_request_begin(void *cls, const char *uri, struct MHD_Connection *c) {
    vt_http *h = cls;
    vt_conn *conn = MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
    vt_request *r = conn == NULL ? NULL : vt_alloc(1, sizeof *r);
    if (r == NULL)
        return NULL;
    r->raw_target = vt_strdup(uri == NULL ? "" : uri);
    if (r->raw_target == NULL) {
        free(r);
        return NULL;
    }
    r->http = h;
    r->connection = c;
    r->conn = conn;
    r->began_ns = vt_now_ns();
    r->method = "(none)";
    r->body.budget = &h->budget;
    r->body.max = h->o.max_body;
    r->job.owner = r;
    vt_reply_init(&r->answer);
    vt_metrics_begin(h->metrics);
    pthread_mutex_lock(&h->lock);
    h->in_flight++;
    pthread_mutex_unlock(&h->lock);
    return r;
}

/* ---- answering ---------------------------------------------------------------------------- */

/* For the log: the target where it is printable ASCII, and not all of a long one. */
static const char *shown_target(const vt_request *r) {
    return r->target.path != NULL ? r->raw_target : "(malformed)";
}

static void fail_with(vt_request *r, unsigned http, const char *code, const vt_err *err) {
    vt_reply_problem(&r->answer, http, code, err, r->id);
    r->failed = true;
    if (http >= 500)
        vt_log_say(r->http->log, VT_LOG_WARN, "http", "%s %.256s: %u %s: %s (%s)", r->method,
                   shown_target(r), http, code, err->text, r->id);
}

void vt_request_fail(vt_request *r, const vt_err *err) {
    fail_with(r, (unsigned)vt_status_http(err->status), vt_status_code(err->status), err);
}

void vt_request_resume(vt_request *r) {
    r->phase = VT_PHASE_ANSWER;
    MHD_resume_connection(r->connection);
}

static struct MHD_Response *make_response(vt_reply *a) {
    struct MHD_Response *response;
    if (a->file >= 0) {
        response = MHD_create_response_from_fd64(a->file_bytes, a->file);
        if (response != NULL)
            a->file = -1; /* the response closes it */
        return response;
    }
    response = MHD_create_response_from_buffer(a->body.len, a->body.data, MHD_RESPMEM_MUST_FREE);
    if (response != NULL)
        vt_buf_init(&a->body, 0); /* the response frees it */
    return response;
}

static bool add_fields(const vt_request *r, struct MHD_Response *response) {
    const vt_reply *a = &r->answer;
    bool closing = r->close || atomic_load(&r->http->stopping);
    bool allow = a->http == MHD_HTTP_METHOD_NOT_ALLOWED || a->http == MHD_HTTP_NO_CONTENT;
    enum MHD_Result ok = MHD_add_response_header(response, "Server", "vitrine");
    ok &= MHD_add_response_header(response, "X-Request-Id", r->id);
    ok &= MHD_add_response_header(response, "Cache-Control", "no-store");
    ok &= MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    if (a->content_type != NULL)
        ok &= MHD_add_response_header(response, "Content-Type", a->content_type);
    if (allow)
        ok &= MHD_add_response_header(response, "Allow", r->allow);
    if (a->http == MHD_HTTP_SERVICE_UNAVAILABLE)
        ok &= MHD_add_response_header(response, "Retry-After", "1");
    if (closing)
        ok &= MHD_add_response_header(response, "Connection", "close");
    return ok == MHD_YES;
}

static enum MHD_Result send_answer(vt_request *r) {
    vt_err err = {0};
    if (vt_buf_status(&r->answer.body, "the answer", &err) != VT_OK)
        vt_request_fail(r, &err);
    struct MHD_Response *response = make_response(&r->answer);
    if (response == NULL)
        return MHD_NO;
    enum MHD_Result ok = MHD_NO;
    if (add_fields(r, response)) {
        vt_conn_expire(r->conn, ANSWER_SECONDS);
        r->phase = VT_PHASE_ANSWER;
        ok = MHD_queue_response(r->connection, r->answer.http, response);
    }
    MHD_destroy_response(response);
    return ok;
}

/* ---- the head ----------------------------------------------------------------------------- */

static vt_status check_query(const vt_request *r, vt_err *err) {
    static const char *const none[] = {NULL};
    const char *const *known = r->route->query == NULL ? none : r->route->query;
    if (r->route->inlined)
        return VT_OK; /* probes like to add parameters against caches */
    for (size_t i = 0; i < r->target.n_params; i++) {
        size_t k = 0;
        while (known[k] != NULL && strcmp(known[k], r->target.params[i].name) != 0)
            k++;
        if (known[k] == NULL)
            return vt_fail(err, VT_E_INVALID, "query parameter '%s' is not understood here",
                           r->target.params[i].name);
    }
    return VT_OK;
}

static bool has_body(struct MHD_Connection *c) {
    return vt_body_declared(c) > 0 ||
           MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Transfer-Encoding") != NULL;
}

static vt_status open_body(vt_request *r, vt_engine *e, vt_err *err) {
    switch (r->route->body) {
    case VT_BODY_OBJECT:
        return vt_body_open(&r->body, r->connection, r->route->parts, err);
    case VT_BODY_LINES:
        return vt_upload_open(r, e, &r->upload, err);
    case VT_BODY_NONE:
    default:
        if (has_body(r->connection))
            return vt_fail(err, VT_E_INVALID, "this request takes no body");
        return VT_OK;
    }
}

/* The path is known, the method is not one of its own. */
static void answer_other_method(vt_request *r, const vt_err *err) {
    if (strcmp(r->method, "OPTIONS") == 0)
        r->answer.http = MHD_HTTP_NO_CONTENT;
    else
        fail_with(r, MHD_HTTP_METHOD_NOT_ALLOWED, VT_CODE_METHOD, err);
}

static void answer_starting(vt_request *r) {
    vt_err err = {0};
    (void)vt_fail(&err, VT_E_BUSY, "the server is starting: its catalogue is being loaded");
    fail_with(r, MHD_HTTP_SERVICE_UNAVAILABLE, VT_CODE_STARTING, &err);
}

static void find_route(vt_request *r) {
    vt_err err = {0};
    vt_engine *e = atomic_load(&r->http->engine);
    vt_status status = vt_target_parse(r->raw_target, &r->target, &err);
    if (status == VT_OK)
        status = vt_route_find(r, &err);
    if (r->route == NULL && r->allow[0] != '\0') {
        answer_other_method(r, &err);
        return;
    }
    if (r->route != NULL && e == NULL && !r->route->early) {
        answer_starting(r);
        return;
    }
    if (r->route != NULL && status == VT_OK)
        status = check_query(r, &err);
    if (r->route != NULL && status == VT_OK)
        status = open_body(r, e, &err);
    if (status != VT_OK)
        vt_request_fail(r, &err);
}

static enum MHD_Result take_head(vt_request *r, const char *method, const char *version) {
    vt_err err = {0};
    choose_id(r);
    r->method = known_method(method);
    vt_status status = vt_guard_check(r->connection, version, &err);
    if (status != VT_OK) {
        r->close = true;
        if (status == VT_E_TOO_LARGE)
            fail_with(r, MHD_HTTP_REQUEST_HEADER_FIELDS_TOO_LARGE, VT_CODE_HEAD, &err);
        else
            vt_request_fail(r, &err);
        return send_answer(r);
    }
    find_route(r);
    const char *expect = MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, "Expect");
    if (r->failed && expect != NULL && has_body(r->connection)) {
        r->close = true;
        return send_answer(r);
    }
    r->phase = VT_PHASE_BODY;
    vt_conn_expire(r->conn, r->http->o.body_seconds);
    return MHD_YES;
}

/* ---- the body and the work ---------------------------------------------------------------- */

static void take_body(vt_request *r, const char *data, size_t *size) {
    vt_err err = {0};
    if (r->upload != NULL) {
        vt_upload_take(r->upload, data, size);
        return;
    }
    if (r->answer.http == 0 && vt_body_take(&r->body, data, *size, &err) != VT_OK) {
        vt_request_fail(r, &err);
        vt_body_release(&r->body);
    }
    *size = 0;
}

static void run_route(vt_request *r) {
    vt_err err = {0};
    vt_reply *a = &r->answer;
    vt_status status = r->route->run(r, atomic_load(&r->http->engine), &err);
    if (status != VT_OK) {
        vt_request_fail(r, &err);
        return;
    }
    if (a->http == 0)
        a->http = MHD_HTTP_OK;
    if (a->content_type == NULL)
        a->content_type =
            r->route->content_type != NULL ? r->route->content_type : "application/json";
}

static void work(void *owner) {
    vt_request *r = owner;
    run_route(r);
    vt_request_resume(r);
}

static void refuse_busy(vt_request *r, const char *text) {
    vt_err err = {0};
    (void)vt_fail(&err, VT_E_BUSY, "%s", text);
    vt_request_fail(r, &err);
}

static void drop(void *owner) {
    vt_request *r = owner;
    refuse_busy(r, "the server is stopping");
    vt_request_resume(r);
}

static enum MHD_Result finish_body(vt_request *r) {
    if (r->answer.http != 0)
        return send_answer(r);
    if (r->route->inlined) {
        run_route(r);
        return send_answer(r);
    }
    vt_conn_hold(r->conn);
    r->phase = VT_PHASE_WORK;
    if (r->upload != NULL) {
        vt_upload_finish(r->upload);
        return MHD_YES;
    }
    r->job.run = work;
    r->job.drop = drop;
    /* Suspended first: from the submission on, the worker may resume it at any moment. */
    MHD_suspend_connection(r->connection);
    if (!vt_jobs_submit(r->http->workers, &r->job)) {
        refuse_busy(r, atomic_load(&r->http->stopping)
                           ? "the server is stopping"
                           : "the server is busy: its queue of requests is full");
        vt_request_resume(r);
    }
    return MHD_YES;
}

enum MHD_Result vt_request_handle(void *cls, struct MHD_Connection *c, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *size, void **context) {
    vt_request *r = *context;
    if (r == NULL)
        return MHD_NO; /* there was no memory for it: nothing can be said */
    switch (r->phase) {
    case VT_PHASE_HEAD:
        return take_head(r, method, version);
    case VT_PHASE_BODY:
        if (*size > 0) {
            take_body(r, data, size);
            return MHD_YES;
        }
        return finish_body(r);
    case VT_PHASE_ANSWER:
        return send_answer(r);
    case VT_PHASE_WORK:
    default:
        return MHD_YES;
    }
}

/* ---- the end ------------------------------------------------------------------------------ */

static void count_and_log(const vt_request *r, bool answered) {
    size_t n = 0;
    const vt_route *routes = vt_routes(&n);
    size_t route = r->route == NULL ? n : (size_t)(r->route - routes);
    double seconds = vt_seconds_since(r->began_ns);
    /* Without an answer of ours the library has refused the head itself. */
    unsigned http = r->answer.http != 0 ? r->answer.http : MHD_HTTP_BAD_REQUEST;
    vt_metrics_end(r->http->metrics, route, answered ? http : 0, seconds);
    vt_log_say(r->http->log, VT_LOG_DEBUG, "http", "%s %.256s %u %.1f ms%s (%s)", r->method,
               shown_target(r), http, seconds * 1e3, answered ? "" : ", client went away", r->id);
}

/* A client may close its side right behind its request. libmicrohttpd 0.9.75 (edge-triggered epoll)
 * then misses the end of the stream, and the connection would idle for the whole keep-alive. */
static bool client_has_finished(struct MHD_Connection *c) {
    char byte;
    int fd = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

void vt_request_end(void *cls, struct MHD_Connection *c, void **context,
                    enum MHD_RequestTerminationCode how) {
    vt_http *h = cls;
    vt_request *r = *context;
    *context = NULL;
    if (r == NULL)
        return;
    count_and_log(r, how == MHD_REQUEST_TERMINATED_COMPLETED_OK);
    vt_conn_expire(r->conn, client_has_finished(c) ? LAST_SECONDS : KEEP_ALIVE_SECONDS);
    if (r->upload != NULL)
        vt_upload_abandon(r->upload);
    vt_body_release(&r->body);
    vt_target_release(&r->target);
    vt_reply_release(&r->answer);
    free(r->raw_target);
    free(r);
    pthread_mutex_lock(&h->lock);
    if (--h->in_flight == 0)
        pthread_cond_broadcast(&h->idle);
    pthread_mutex_unlock(&h->lock);
}

void vt_request_connection(void *cls, struct MHD_Connection *c, void **socket_context,
                           enum MHD_ConnectionNotificationCode what) {
    vt_http *h = cls;
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        int fd = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
        *socket_context = vt_reaper_add(h->reaper, fd, h->o.head_seconds);
        if (*socket_context == NULL)
            (void)shutdown(fd, SHUT_RDWR); /* no memory to watch it: better not to serve it */
    } else {
        vt_reaper_remove(h->reaper, *socket_context);
        *socket_context = NULL;
    }
}
