/* http: the server. libmicrohttpd reads requests (epoll, a small thread pool); a request that
 * computes is handed to worker threads while its connection sleeps, so slow work never blocks
 * cheap answers. Strict where the library is lax (RFC 9112): see guard.c. */
#ifndef VT_HTTP_H
#define VT_HTTP_H

#include "base/base.h"
#include "engine/engine.h"

typedef struct vt_http vt_http;

typedef struct vt_http_options {
    const char *bind;         /* IPv4 or IPv6 literal, "127.0.0.1" */
    uint16_t port;            /* 0: any free one (vt_http_port tells) */
    unsigned workers;         /* threads for requests that compute; 0: a sensible number */
    unsigned queue;           /* requests that may wait for one; 0: 64 a worker */
    unsigned max_connections; /* 0: 1000 */
    uint32_t head_seconds;    /* absolute deadline for the request head; 0: 10 */
    uint32_t body_seconds;    /* and for the body (an import: for each of its lines); 0: 30 */
    size_t max_body;          /* 0: 28 MiB (20 MB of image as base64, and its envelope) */
} vt_http_options;

/* Binds and listens. Until vt_http_attach every route that needs the engine answers 503 "starting";
 * /livez and /healthz are green, /readyz is not. E_INVALID or E_IO say which address and why. log
 * is not owned. */
vt_status vt_http_open(const vt_http_options *o, vt_log *log, vt_http **out,
                       vt_err *err) VT_MUST_USE;
uint16_t vt_http_port(const vt_http *h);
/* The engine is ready: /readyz turns green. Not owned; must outlive vt_http_close. */
void vt_http_attach(vt_http *h, vt_engine *e);
/* Stops accepting, answers what was accepted (at most grace_seconds), then closes and frees. */
void vt_http_close(vt_http *h, unsigned grace_seconds);

#endif
