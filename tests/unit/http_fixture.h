/* A server over loopback with the stand-in engine behind it, and what a test expects of an answer.
 */
#ifndef HTTP_FIXTURE_H
#define HTTP_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fake_engine.h"
#include "http/http.h"
#include "http_client.h"

typedef struct fixture {
    vt_engine *engine;
    vt_http *http;
    uint16_t port;
} fixture;

static inline int fixture_open(void **state, const vt_http_options *o) {
    static fixture f;
    vt_err err;
    f.engine = fake_engine_open();
    if (vt_http_open(o, NULL, &f.http, &err) != VT_OK)
        fail_msg("%s", err.text);
    vt_http_attach(f.http, f.engine);
    f.port = vt_http_port(f.http);
    *state = &f;
    return 0;
}

static inline int fixture_close(void **state) {
    fixture *f = *state;
    fake_engine_release(f->engine);
    vt_http_close(f->http, 5);
    fake_engine_close(f->engine);
    return 0;
}

/* Status, and a text that the body must hold ("": any). */
static inline void expect(answer a, unsigned status, const char *text) {
    if (a.status != status || a.body == NULL || strstr(a.body, text) == NULL)
        fail_msg("expected %u with %s, got:\n%s", status, text, a.text);
    answer_release(&a);
}

#endif
