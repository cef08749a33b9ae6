/* server.h: what the files of this room share with each other, in the order a request meets them:
 * connection (reaper.c), head (guard.c, target.c, route.c), body (body.c, multipart.c, upload.c),
 * work (jobs.c, routes_*.c), answer (answer.c), counters (metrics.c).
 *
 * Threading: libmicrohttpd's threads run everything up to the end of the body and send the answer;
 * in between the connection is suspended and exactly one worker owns the request. The hand-overs
 * (vt_jobs_submit, MHD_resume_connection) are locks, so a request needs none of its own. */
#ifndef VT_HTTP_SERVER_H
#define VT_HTTP_SERVER_H

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/base.h"
#include "engine/engine.h"
#include "http/http.h"

/* ---- connections and their deadlines (reaper.c) ------------------------------------------- */

typedef struct vt_reaper vt_reaper;
typedef struct vt_conn vt_conn;

vt_status vt_reaper_open(vt_reaper **out, vt_err *err) VT_MUST_USE;
void vt_reaper_close(vt_reaper *r); /* after the last vt_reaper_remove */
/* NULL when there is no memory. The deadline is `seconds` from now. */
vt_conn *vt_reaper_add(vt_reaper *r, int fd, uint32_t seconds) VT_MUST_USE;
void vt_reaper_remove(vt_reaper *r, vt_conn *c); /* before the socket is closed; NULL is allowed */
/* Shuts the connection down unless another deadline is set within `seconds`. Any thread. */
void vt_conn_expire(vt_conn *c, uint32_t seconds);
/* No deadline while we are the ones who are slow; returns what was left of it. */
uint64_t vt_conn_hold(vt_conn *c);
void vt_conn_continue(vt_conn *c, uint64_t ns);

/* ---- request target (target.c) ------------------------------------------------------------ */

#define VT_QUERY_MAX 32

typedef struct vt_param {
    const char *name, *value; /* decoded, valid UTF-8 */
} vt_param;

typedef struct vt_target {
    char *text;       /* owned; everything below points into it */
    const char *path; /* still percent-encoded: an encoded '/' is not a separator */
    vt_param params[VT_QUERY_MAX];
    size_t n_params;
} vt_target;

/* raw: the request line's target, origin-form or absolute-form (RFC 9112, 3.2). */
vt_status vt_target_parse(const char *raw, vt_target *out, vt_err *err) VT_MUST_USE;
void vt_target_release(vt_target *t);
const char *vt_target_param(const vt_target *t, const char *name); /* NULL where not given */
/* Decodes %XX (and '+' as a space, in a query) in place. false: a bad escape, or the result is not
 * UTF-8 without control characters. */
bool vt_percent_decode(char *s, bool plus_is_space) VT_MUST_USE;
/* Whether a Content-Type value names this media type; parameters are not looked at. */
bool vt_media_is(const char *content_type, const char *type);

/* ---- guard (guard.c) ---------------------------------------------------------------------- */

#define VT_HEAD_MAX 16384 /* bytes of request line and fields */

/* What libmicrohttpd lets pass and RFC 9112 tells a server to refuse. The connection cannot be
 * trusted after a failure: answer and close. E_TOO_LARGE: the head is longer than VT_HEAD_MAX. */
vt_status vt_guard_check(struct MHD_Connection *c, const char *version, vt_err *err) VT_MUST_USE;

/* ---- body (body.c, multipart.c) ----------------------------------------------------------- */

typedef enum vt_body_kind {
    VT_BODY_NONE,
    VT_BODY_OBJECT, /* a JSON object, or a form with the parts that the route names */
    VT_BODY_LINES,  /* an import (upload.c) */
} vt_body_kind;

typedef enum vt_part_kind {
    VT_PART_TEXT,
    VT_PART_NUMBER,
    VT_PART_JSON,
    VT_PART_WHOLE,
    VT_PART_FILE
} vt_part_kind;

typedef struct vt_part { /* one part that a form may have */
    const char *name;
    vt_part_kind kind; /* WHOLE: a JSON object whose members are the form's fields */
} vt_part;

typedef struct vt_form vt_form;

/* parts: ended by a part without a name. NULL when there is no memory or the Content-Type has no
 * usable boundary (err says which). */
vt_status vt_form_open(struct MHD_Connection *c, const vt_part *parts, size_t max, vt_form **out,
                       vt_err *err) VT_MUST_USE;
vt_status vt_form_take(vt_form *f, const char *bytes, size_t n, vt_err *err) VT_MUST_USE;
/* The end of the form. *fields is the caller's (json_decref); image keeps the file's bytes, *given
 * tells whether there was one. */
vt_status vt_form_finish(vt_form *f, json_t **fields, vt_buf *image, bool *given,
                         vt_err *err) VT_MUST_USE;
void vt_form_close(vt_form *f);

/* Bytes that all bodies in memory may take together: a crowd of large uploads is told "busy"
 * before the kernel's memory killer has a say. */
typedef struct vt_budget {
    atomic_size_t used;
    size_t max;
} vt_budget;

typedef struct vt_body {
    vt_budget *budget;
    size_t charged; /* of the budget */
    size_t max;
    vt_buf json;   /* the text of a JSON body */
    vt_form *form; /* NULL but in a form */
} vt_body;

/* Looks at Content-Type, Content-Encoding and the declared length. */
vt_status vt_body_open(vt_body *b, struct MHD_Connection *c, const vt_part *parts,
                       vt_err *err) VT_MUST_USE;
vt_status vt_body_take(vt_body *b, const char *bytes, size_t n, vt_err *err) VT_MUST_USE;
/* What came, as a JSON object (the caller's) and a picture's bytes; see vt_form_finish. */
vt_status vt_body_finish(vt_body *b, json_t **object, vt_buf *image, bool *given,
                         vt_err *err) VT_MUST_USE;
void vt_body_release(vt_body *b);
/* The declared Content-Length; 0 where there is none. */
uint64_t vt_body_declared(struct MHD_Connection *c);

/* ---- jobs (jobs.c) ------------------------------------------------------------------------ */

typedef struct vt_jobs vt_jobs;
typedef struct vt_job vt_job;
struct vt_job { /* lies inside what is to be done; `owner` leads back to it */
    vt_job *next;
    void *owner;
    void (*run)(void *owner);
    void (*drop)(void *owner); /* instead of run, where the queue is stopped first */
};

vt_status vt_jobs_open(unsigned threads, size_t depth, vt_jobs **out, vt_err *err) VT_MUST_USE;
/* false: the queue is full or stopped, the job is untouched. */
bool vt_jobs_submit(vt_jobs *q, vt_job *job) VT_MUST_USE;
/* Takes no more, drops what waits, returns when nothing runs. */
void vt_jobs_stop(vt_jobs *q);
void vt_jobs_close(vt_jobs *q); /* stops too; NULL is allowed */

/* ---- answer (answer.c) -------------------------------------------------------------------- */

/* Codes of a problem that are about HTTP itself; the others are vt_status_code's. */
#define VT_CODE_STARTING "starting"
#define VT_CODE_METHOD   "method_not_allowed"
#define VT_CODE_HEAD     "head_too_large"

#define VT_ANSWER_MAX ((size_t)64 << 20)

typedef struct vt_reply {
    unsigned http; /* 0: none yet */
    const char *content_type;
    vt_buf body;
    int file; /* -1, or a file that holds the body instead (owned) */
    uint64_t file_bytes;
} vt_reply;

void vt_reply_init(vt_reply *a);
void vt_reply_release(vt_reply *a);
/* RFC 9457, with `code`, `request_id`, and where the error has a field `pointer` and `errors`. */
void vt_reply_problem(vt_reply *a, unsigned http, const char *code, const vt_err *err,
                      const char *request_id);

/* ---- metrics (metrics.c) ------------------------------------------------------------------ */

typedef struct vt_metrics vt_metrics;

vt_status vt_metrics_open(size_t routes, vt_metrics **out, vt_err *err) VT_MUST_USE;
void vt_metrics_close(vt_metrics *m);
void vt_metrics_begin(vt_metrics *m);
/* route: its index in the table, or the number of routes for none. http 0: the client went away
 * before there was an answer. */
void vt_metrics_end(vt_metrics *m, size_t route, unsigned http, double seconds);
void vt_metrics_write(const vt_metrics *m, vt_buf *out);

/* ---- request (request.c) ------------------------------------------------------------------ */

#define VT_REQUEST_ID_MAX 64
#define VT_ALLOW_MAX      64

typedef struct vt_request vt_request;
typedef struct vt_route vt_route;
typedef struct vt_upload vt_upload;

typedef enum vt_phase {
    VT_PHASE_HEAD,   /* its fields have not been looked at */
    VT_PHASE_BODY,   /* the body comes in */
    VT_PHASE_WORK,   /* with a worker; the connection sleeps */
    VT_PHASE_ANSWER, /* the answer is there, or is being sent */
} vt_phase;

struct vt_request {
    vt_http *http;
    struct MHD_Connection *connection;
    vt_conn *conn;
    vt_phase phase;
    bool failed;           /* answer is a problem already: the rest of the body is thrown away */
    bool close;            /* no other request on this connection */
    const vt_route *route; /* NULL: none */
    uint64_t began_ns;
    const char *method; /* static */
    char *raw_target;   /* as it came */
    char id[VT_REQUEST_ID_MAX + 1];
    char allow[VT_ALLOW_MAX]; /* methods that the path answers */
    char product_id[256];     /* {id} of the route's pattern, decoded */
    vt_target target;
    vt_body body;
    vt_upload *upload; /* NULL but in an import */
    vt_job job;
    vt_reply answer;
};

/* Turns the answer into the problem that err tells, with the status and code of its row. */
void vt_request_fail(vt_request *r, const vt_err *err);
/* To be called by whoever owns a request whose connection is suspended: the last touch. */
void vt_request_resume(vt_request *r);

/* libmicrohttpd's callbacks; cls is the vt_http. */
void *vt_request_begin(void *cls, const char *uri, struct MHD_Connection *c);
enum MHD_Result vt_request_handle(void *cls, struct MHD_Connection *c, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *size, void **context);
void vt_request_end(void *cls, struct MHD_Connection *c, void **context,
                    enum MHD_RequestTerminationCode how);
void vt_request_connection(void *cls, struct MHD_Connection *c, void **socket_context,
                           enum MHD_ConnectionNotificationCode what);

/* ---- routes (route.c, routes_*.c) --------------------------------------------------------- */

/* Fills the answer's body. OK: 200 unless it set another. */
typedef vt_status (*vt_route_fn)(vt_request *r, vt_engine *e, vt_err *err);

struct vt_route {
    const char *method;
    const char *pattern; /* at most one segment "{id}" */
    vt_route_fn run;
    vt_body_kind body;
    const vt_part *parts;     /* of a form */
    const char *const *query; /* parameters it knows, ended by NULL; NULL: none */
    const char *content_type; /* of a good answer; NULL: application/json */
    bool early;               /* answered before the engine is there (run may get a NULL engine) */
    bool inlined;             /* answered on the connection's thread: must not wait for anything */
};

const vt_route *vt_routes(size_t *n);
/* Sets r->route (and r->product_id) from its method (HEAD finds GET's row) and path. E_NOT_FOUND;
 * E_INVALID with r->route NULL and r->allow filled in where only the method is wrong. */
vt_status vt_route_find(vt_request *r, vt_err *err) VT_MUST_USE;

vt_status vt_route_search(vt_request *r, vt_engine *e, vt_err *err);
vt_status vt_route_detect_category(vt_request *r, vt_engine *e, vt_err *err);
vt_status vt_route_index_product(vt_request *r, vt_engine *e, vt_err *err);
vt_status vt_route_get_product(vt_request *r, vt_engine *e, vt_err *err);
vt_status vt_route_delete_product(vt_request *r, vt_engine *e, vt_err *err);
vt_status vt_route_list_products(vt_request *r, vt_engine *e, vt_err *err);
vt_status vt_route_collections(vt_request *r, vt_engine *e, vt_err *err);
vt_status vt_route_health(vt_request *r, vt_engine *e, vt_err *err);
vt_status vt_route_live(vt_request *r, vt_engine *e, vt_err *err);
vt_status vt_route_ready(vt_request *r, vt_engine *e, vt_err *err);
vt_status vt_route_metrics(vt_request *r, vt_engine *e, vt_err *err);
vt_status vt_route_openapi(vt_request *r, vt_engine *e, vt_err *err);

/* ---- import (upload.c, spool.c) ----------------------------------------------------------- */

/* Bytes written once and then sent: in memory up to a limit, beyond it in an unlinked temporary
 * file. Failure is sticky, as a vt_buf's. */
typedef struct vt_spool {
    vt_buf buffer;
    int file; /* -1: all in the buffer */
    uint64_t file_bytes;
    vt_err failed; /* status OK: none */
} vt_spool;

void vt_spool_init(vt_spool *s);
void vt_spool_release(vt_spool *s);
void vt_spool_append(vt_spool *s, const char *bytes, size_t n);
/* Moves what was written into the answer. */
vt_status vt_spool_finish(vt_spool *s, vt_reply *a, vt_err *err) VT_MUST_USE;

#define VT_UPLOADS_MAX 4 /* imports at a time; each has a feeding thread of its own */

vt_status vt_upload_open(vt_request *r, vt_engine *e, vt_upload **out, vt_err *err) VT_MUST_USE;
/* Takes *size bytes and suspends the connection until the import has taken them too, or takes none
 * (*size untouched) while it is still busy with the last. */
void vt_upload_take(vt_upload *u, const char *bytes, size_t *size);
/* The body is complete: suspends, and resumes with the answer. */
void vt_upload_finish(vt_upload *u);
/* The client went away: what was fed is still imported, behind its back. Frees u. */
void vt_upload_abandon(vt_upload *u);

/* ---- server (http.c) ---------------------------------------------------------------------- */

struct vt_http {
    vt_http_options o; /* every default filled in; bind is not kept */
    vt_log *log;
    struct MHD_Daemon *daemon;
    int listener; /* -1 once the daemon has it */
    uint16_t port;
    _Atomic(vt_engine *) engine;
    atomic_bool stopping;
    atomic_uint uploads;
    vt_budget budget;
    vt_reaper *reaper;
    vt_jobs *workers, *feeders;
    vt_metrics *metrics;
    pthread_mutex_t lock;
    pthread_cond_t idle; /* in_flight fell to 0 */
    size_t in_flight;    /* requests begun and not ended, under lock */
};

/* The files compiled in (tools/embed.py). */
typedef struct vt_asset {
    const unsigned char *bytes;
    size_t size;
} vt_asset;
extern const vt_asset vt_asset_openapi;

#endif
