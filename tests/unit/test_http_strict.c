/* What the HTTP server refuses, and when it hangs up: every row is a request that two readers
 * could understand differently (RFC 9112), or a client that never comes to its point. Raw bytes
 * over loopback; the engine behind is a stand-in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/server.h"
#include "http_fixture.h"

static int set_up(void **state) {
    const vt_http_options o = {.bind = "127.0.0.1",
                               .workers = 2,
                               .head_seconds = 1,
                               .body_seconds = 1,
                               .max_body = 100000};
    return fixture_open(state, &o);
}

/* ---- framing ------------------------------------------------------------------------------ */

#define SEARCH "POST /api/v1/search HTTP/1.1\r\nHost: a\r\n"
#define BODY   "{\"text_query\":\"x\"}"

typedef struct attack {
    const char *name, *raw;
    unsigned status;
} attack;

/* 0x0d 0x0a at the end of each row's head; what follows would be the smuggled request. */
static const attack attacks[] = {
    {"length and chunked",
     SEARCH "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
    {"chunked and length",
     SEARCH "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 400},
    {"two lengths that differ", SEARCH "Content-Length: 18\r\nContent-Length: 2\r\n\r\n" BODY, 400},
    {"two lengths that agree", SEARCH "Content-Length: 18\r\nContent-Length: 18\r\n\r\n" BODY, 400},
    {"a signed length", SEARCH "Content-Length: +18\r\n\r\n" BODY, 400},
    {"a negative length", SEARCH "Content-Length: -1\r\n\r\n" BODY, 400},
    {"a list of lengths", SEARCH "Content-Length: 18, 18\r\n\r\n" BODY, 400},
    {"a hexadecimal length", SEARCH "Content-Length: 0x12\r\n\r\n" BODY, 400},
    {"an endless length", SEARCH "Content-Length: 99999999999999999999999\r\n\r\n" BODY, 413},
    {"a space before the colon", SEARCH "Content-Length : 18\r\n\r\n" BODY, 400},
    {"a gzip transfer coding", SEARCH "Transfer-Encoding: gzip\r\n\r\n" BODY, 400},
    {"a list of codings", SEARCH "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400},
    {"chunked twice",
     SEARCH "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"
            "0\r\n\r\n",
     400},
    {"chunked with a tail", SEARCH "Transfer-Encoding: chunked;x\r\n\r\n0\r\n\r\n", 400},
    {"a vertical tab", SEARCH "Transfer-Encoding: \vchunked\r\n\r\n0\r\n\r\n", 400},
    {"a folded coding", SEARCH "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", 400},
    {"a folded length", SEARCH "Content-Length: 1\r\n 8\r\n\r\n" BODY, 400},
    {"a fold that hides a field", SEARCH "X: a\r\n Content-Length: 5\r\n\r\n", 400},
    {"chunked in HTTP/1.0",
     "POST /api/v1/search HTTP/1.0\r\nHost: a\r\n"
     "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     400},
    {"a malformed chunk", SEARCH "Transfer-Encoding: chunked\r\n\r\nzz\r\n" BODY "\r\n0\r\n\r\n",
     400},
    {"a chunk longer than it says",
     SEARCH "Transfer-Encoding: chunked\r\n\r\n2\r\nabcd\r\n0\r\n\r\n", 400},
    {"no Host", "GET /livez HTTP/1.1\r\n\r\n", 400},
    {"two Hosts", "GET /livez HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
    {"a Host that is a list", "GET /livez HTTP/1.1\r\nHost: a, b\r\n\r\n", 400},
    {"a Host with a path", "GET /livez HTTP/1.1\r\nHost: a/b\r\n\r\n", 400},
    {"a name with a bracket", "GET /livez HTTP/1.1\r\nHost: a\r\nX(: x\r\n\r\n", 400},
    {"a control character",
     "GET /livez HTTP/1.1\r\nHost: a\r\nX: a\x01"
     "b\r\n\r\n",
     400},
    {"a space in the target", "GET /live z HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"a raw byte in the target", "GET /livez\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"a fragment", "GET /livez#x HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"no slash", "GET livez HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"another scheme", "GET ftp://a/livez HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"HTTP/2.0", "GET /livez HTTP/2.0\r\nHost: a\r\n\r\n", 505},
    {"a made-up version", "GET /livez HTTX/1.1\r\nHost: a\r\n\r\n", 400},
    {"a body where none belongs",
     "GET /api/v1/collections HTTP/1.1\r\nHost: a\r\n"
     "Content-Length: 3\r\n\r\nabc",
     400},
};

static void test_attacks_are_refused(void **state) {
    fixture *f = *state;
    for (size_t i = 0; i < sizeof attacks / sizeof attacks[0]; i++) {
        answer a = client_ask(f->port, attacks[i].raw);
        if (a.status != attacks[i].status)
            fail_msg("%s: %u, not %u", attacks[i].name, a.status, attacks[i].status);
        answer_release(&a);
    }
}

/* A request hidden behind a refused one must never be answered. */
static void test_refused_connection_is_closed(void **state) {
    fixture *f = *state;
    int fd = client_connect(f->port);
    client_puts(fd, SEARCH "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
                           "0\r\n\r\nGET /livez HTTP/1.1\r\nHost: a\r\n\r\n");
    answer a = client_read(fd);
    assert_int_equal(a.status, 400);
    assert_string_equal(answer_field(&a, "Connection"), "close");
    assert_non_null(strstr(a.body, "\"code\":\"invalid_request\""));
    answer_release(&a);
    assert_true(client_closed(fd));
    close(fd);
}

static const attack harmless[] = {
    {"plain", "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n", 200},
    {"HTTP/1.0 without Host", "GET /livez HTTP/1.0\r\n\r\n", 200},
    {"absolute form", "GET http://a:80/livez HTTP/1.1\r\nHost: a:80\r\n\r\n", 200},
    {"absolute form in capitals", "GET HTTP://a/livez?x HTTP/1.1\r\nHost: a\r\n\r\n", 200},
    {"an IPv6 Host", "GET /livez HTTP/1.1\r\nHost: [::1]:8000\r\n\r\n", 200},
    {"names in capitals", "GET /livez HTTP/1.1\r\nHOST: a\r\n\r\n", 200},
    {"UTF-8 in a field", "GET /livez HTTP/1.1\r\nHost: a\r\nX: \xc3\xa9\r\n\r\n", 200},
    {"chunked", SEARCH "Transfer-Encoding: Chunked\r\n\r\n12\r\n" BODY "\r\n0\r\n\r\n", 200},
    {"chunks with an extension",
     SEARCH
     "Transfer-Encoding: chunked\r\n\r\n5;a=b\r\n{\"tex\r\nD\r\nt_query\":\"x\"}\r\n0\r\n\r\n",
     200},
};

static void test_harmless_requests_pass(void **state) {
    fixture *f = *state;
    for (size_t i = 0; i < sizeof harmless / sizeof harmless[0]; i++) {
        answer a = client_ask(f->port, harmless[i].raw);
        if (a.status != harmless[i].status)
            fail_msg("%s: %u, not %u: %s", harmless[i].name, a.status, harmless[i].status, a.text);
        answer_release(&a);
    }
}

static answer ask_with_padding(uint16_t port, size_t bytes) {
    vt_buf raw;
    vt_buf_init(&raw, 1 << 20);
    vt_buf_puts(&raw, "GET /livez HTTP/1.1\r\nHost: a\r\nX: ");
    for (size_t i = 0; i < bytes; i++)
        vt_buf_puts(&raw, "x");
    vt_buf_puts(&raw, "\r\n\r\n");
    answer a = client_ask_bytes(port, raw.data, raw.len);
    vt_buf_release(&raw);
    return a;
}

static void test_long_heads(void **state) {
    fixture *f = *state;
    answer a = ask_with_padding(f->port, VT_HEAD_MAX - 100);
    assert_int_equal(a.status, 200);
    answer_release(&a);
    a = ask_with_padding(f->port, VT_HEAD_MAX + 100);
    assert_int_equal(a.status, 431);
    assert_non_null(strstr(a.body, "\"code\":\"head_too_large\""));
    answer_release(&a);
    a = ask_with_padding(f->port, 500000);
    assert_true(a.status == 431 || a.status == 0); /* the library's own limit: answer or reset */
    answer_release(&a);
}

/* ---- sizes -------------------------------------------------------------------------------- */

static void test_declared_body_too_large(void **state) {
    fixture *f = *state;
    char *body = vt_alloc(1, 300001);
    memset(body, 'x', 300000);
    answer a = client_post(f->port, "/api/v1/search", "application/json", body);
    free(body);
    assert_int_equal(a.status, 413);
    assert_non_null(strstr(a.body, "\"code\":\"too_large\""));
    assert_non_null(strstr(a.body, "larger than"));
    answer_release(&a);
}

static void test_chunked_body_too_large(void **state) {
    fixture *f = *state;
    vt_buf raw;
    vt_buf_init(&raw, 1 << 20);
    vt_buf_puts(&raw, SEARCH "Transfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 200; i++)
        vt_buf_printf(&raw, "3e8\r\n%01000d\r\n", 0);
    vt_buf_puts(&raw, "0\r\n\r\nGET /livez HTTP/1.1\r\nHost: a\r\n\r\n");
    int fd = client_connect(f->port);
    client_send(fd, raw.data, raw.len);
    vt_buf_release(&raw);
    answer a = client_read(fd);
    assert_int_equal(a.status, 413);
    answer_release(&a);
    a = client_read(fd); /* the refused body was read to its end: the connection is still good */
    assert_int_equal(a.status, 200);
    answer_release(&a);
    close(fd);
}

/* A client that asks before it sends is told at once. */
static void test_expectation_is_answered_without_the_body(void **state) {
    fixture *f = *state;
    answer a =
        client_ask(f->port, SEARCH "Content-Length: 99999999\r\nExpect: 100-continue\r\n\r\n");
    assert_int_equal(a.status, 413);
    answer_release(&a);
    int fd = client_connect(f->port);
    client_puts(fd, SEARCH "Content-Length: 18\r\nExpect: 100-continue\r\n\r\n");
    a = client_read_head(fd);
    assert_int_equal(a.status, 100);
    answer_release(&a);
    client_puts(fd, BODY);
    a = client_read(fd);
    assert_int_equal(a.status, 200);
    answer_release(&a);
    close(fd);
}

/* Memory is for 8 bodies of the largest size; the ninth is told so, and nobody is starved. */
static void test_many_large_bodies_are_told_busy(void **state) {
    fixture *f = *state;
    enum { SIZE = 100000, FIT = 8 };
    static char spaces[SIZE];
    int fds[FIT];
    vt_err err;
    vt_http *http = NULL;
    vt_http_options o = {.bind = "127.0.0.1", .max_body = SIZE}; /* with patient deadlines */
    assert_int_equal(vt_http_open(&o, NULL, &http, &err), VT_OK);
    vt_http_attach(http, f->engine);
    memset(spaces, ' ', SIZE);
    for (int i = 0; i <= FIT; i++) {
        int fd = client_connect(vt_http_port(http));
        client_puts(fd, SEARCH "Content-Length: 100000\r\n\r\n");
        if (i < FIT) {
            client_send(fds[i] = fd, spaces, SIZE - 1);
            while (atomic_load(&http->budget.used) < (size_t)(i + 1) * (SIZE - 1))
                usleep(1000);
            continue;
        }
        client_send(fd, spaces, SIZE);
        answer a = client_read(fd);
        assert_int_equal(a.status, 503);
        assert_non_null(strstr(a.body, "\"code\":\"busy\""));
        answer_release(&a);
        close(fd);
    }
    for (int i = 0; i < FIT; i++) {
        client_puts(fds[i], " ");
        answer a = client_read(fds[i]);
        assert_int_equal(a.status, 400); /* white space is no JSON, but it was taken */
        answer_release(&a);
        close(fds[i]);
    }
    while (atomic_load(&http->budget.used) > 0)
        usleep(1000); /* given back when the answers have left */
    answer a = client_post(vt_http_port(http), "/api/v1/search", "application/json", BODY);
    assert_int_equal(a.status, 200);
    answer_release(&a);
    vt_http_close(http, 5);
}

/* ---- deadlines (1 s here) ----------------------------------------------------------------- */

/* Sends a byte every tenth of a second. Whether the server hung up before `ticks` of them. */
static bool drips_until_closed(int fd, const char *drip, int ticks) {
    size_t n = strlen(drip);
    for (int i = 0; i < ticks; i++) {
        client_send(fd, &drip[(size_t)i % n], 1);
        usleep(100000);
        char c;
        ssize_t got = recv(fd, &c, 1, MSG_DONTWAIT | MSG_PEEK);
        if (got == 0 || (got < 0 && errno != EAGAIN && errno != EWOULDBLOCK))
            return true;
    }
    return false;
}

static void test_dripping_head_is_closed(void **state) {
    fixture *f = *state;
    int fd = client_connect(f->port);
    client_puts(fd, "GET /livez HTTP/1.1\r\nHost: a\r\nX: ");
    assert_true(drips_until_closed(fd, "x", 100));
    close(fd);
}

static void test_silent_connection_is_closed(void **state) {
    fixture *f = *state;
    int fd = client_connect(f->port);
    assert_true(client_closed(fd));
    close(fd);
}

static void test_dripping_body_is_closed(void **state) {
    fixture *f = *state;
    int fd = client_connect(f->port);
    client_puts(fd, SEARCH "Content-Length: 50000\r\n\r\n");
    assert_true(drips_until_closed(fd, " ", 100));
    close(fd);
}

#define IMPORT                                                                                     \
    "POST /api/v1/products/import HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-ndjson\r\n"

static void test_dripping_line_of_an_import_is_closed(void **state) {
    fixture *f = *state;
    int fd = client_connect(f->port);
    client_puts(fd, IMPORT "Content-Length: 50000\r\n\r\n");
    assert_true(drips_until_closed(fd, " ", 100));
    close(fd);
}

/* Longer in all than the deadline, but every line in time. */
static void test_steady_import_is_not_closed(void **state) {
    fixture *f = *state;
    int fd = client_connect(f->port);
    client_puts(fd, IMPORT "Content-Length: 25\r\n\r\n");
    assert_false(drips_until_closed(fd, "{\n}\n\n", 25));
    answer a = client_read(fd);
    assert_int_equal(a.status, 200);
    assert_non_null(strstr(a.body, "{\"summary\":{\"lines\":10,"));
    answer_release(&a);
    close(fd);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_attacks_are_refused),
        cmocka_unit_test(test_refused_connection_is_closed),
        cmocka_unit_test(test_harmless_requests_pass),
        cmocka_unit_test(test_long_heads),
        cmocka_unit_test(test_declared_body_too_large),
        cmocka_unit_test(test_chunked_body_too_large),
        cmocka_unit_test(test_expectation_is_answered_without_the_body),
        cmocka_unit_test(test_many_large_bodies_are_told_busy),
        cmocka_unit_test(test_dripping_head_is_closed),
        cmocka_unit_test(test_silent_connection_is_closed),
        cmocka_unit_test(test_dripping_body_is_closed),
        cmocka_unit_test(test_dripping_line_of_an_import_is_closed),
        cmocka_unit_test(test_steady_import_is_not_closed),
    };
    return cmocka_run_group_tests_name("http_strict", tests, set_up, fixture_close);
}
