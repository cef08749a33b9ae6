/* The HTTP server under work: imports of any length, a full queue, and being told to stop while
 * requests are under way. Over loopback; the engine behind is a stand-in with a gate
 * (fake_engine.h), so that "while" is not a matter of timing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/server.h"
#include "http_fixture.h"

/* A server of its own for each test: most of them close it. */
static int set_up(void **state) {
    const vt_http_options o = {.bind = "127.0.0.1", .workers = 1, .queue = 1, .max_body = 200000};
    return fixture_open(state, &o);
}

#define LINES "application/x-ndjson"
#define PATH  "/api/v1/products/import"
#define SLOW                                                                                       \
    "POST /api/v1/search HTTP/1.1\r\nHost: a\r\nContent-Length: "                                  \
    "21\r\n\r\n{\"text_query\":\"slow\"}\n"

/* ---- imports ------------------------------------------------------------------------------ */

static void test_import_tells_each_line_in_order(void **state) {
    fixture *f = *state;
    answer a = client_post(f->port, PATH, LINES,
                           "{\"id\":\"a\",\"name\":\"n\"}\n"
                           "{\"id\":\"b\"}\r\n"
                           "not json\n"
                           "{\"id\":\"a\",\"name\":\"n\"}\n"
                           "{\"id\":\"dead-host\",\"name\":\"n\"}\n"
                           "{\"id\":\"c\",\"name\":\"no end of line\"}");
    assert_int_equal(a.status, 200);
    assert_string_equal(answer_field(&a, "Content-Type"), LINES);
    assert_non_null(strstr(a.body, "{\"line\":1,\"id\":\"a\",\"status\":\"created\"}\n"
                                   "{\"line\":2,\"id\":\"b\",\"status\":\"error\","
                                   "\"code\":\"invalid_request\",\"detail\":\"name is missing\","
                                   "\"pointer\":\"/name\"}\n"
                                   "{\"line\":3,\"id\":\"\",\"status\":\"error\","
                                   "\"code\":\"bad_syntax\",\"detail\":"));
    assert_non_null(strstr(a.body, "\n{\"line\":4,\"id\":\"a\",\"status\":\"unchanged\"}\n"
                                   "{\"line\":5,\"id\":\"dead-host\",\"status\":\"error\","
                                   "\"code\":\"fetch_failed\","));
    expect(a, 200,
           "{\"line\":6,\"id\":\"c\",\"status\":\"created\"}\n"
           "{\"summary\":{\"lines\":6,\"created\":2,\"updated\":0,\"unchanged\":1,"
           "\"failed\":3,\"encoded\":0}}\n");
}

static void test_import_of_nothing(void **state) {
    fixture *f = *state;
    expect(client_post(f->port, PATH, LINES, ""), 200, "{\"summary\":{\"lines\":0,");
}

static void test_import_wants_lines(void **state) {
    fixture *f = *state;
    expect(client_post(f->port, PATH, "application/json", "{}"), 415, "application/x-ndjson");
    expect(client_post(f->port, PATH, NULL, "{}"), 415, "");
    expect(client_post(f->port, PATH, "application/jsonl", ""), 200, "");
    expect(client_post(f->port, PATH, "text/csv", ""), 200, "");
}

/* More results than are kept in memory, from a body longer than max_body, chunked. */
static void test_long_import(void **state) {
    fixture *f = *state;
    enum { N = 3000 };
    int fd = client_connect(f->port);
    client_puts(fd, "POST " PATH " HTTP/1.1\r\nHost: a\r\nContent-Type: " LINES "\r\n"
                    "Transfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < N; i++) {
        char line[256], chunk[300];
        int n = snprintf(line, sizeof line, "{\"id\":\"%d\",\"name\":\"%0100d\"}\n", i, i);
        int m = snprintf(chunk, sizeof chunk, "%x\r\n%s\r\n", (unsigned)n, line);
        client_send(fd, chunk, (size_t)m);
    }
    client_puts(fd, "0\r\n\r\n");
    answer a = client_read(fd);
    assert_int_equal(a.status, 200);
    const char *at = a.body;
    for (int i = 0; i < N; i++) {
        char line[128];
        int n = snprintf(line, sizeof line, "{\"line\":%d,\"id\":\"%d\",\"status\":\"created\"}\n",
                         i + 1, i);
        assert_memory_equal(at, line, (size_t)n);
        at += n;
    }
    assert_string_equal(at, "{\"summary\":{\"lines\":3000,\"created\":3000,\"updated\":0,"
                            "\"unchanged\":0,\"failed\":0,\"encoded\":0}}\n");
    answer_release(&a);
    client_puts(fd, "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n");
    expect(client_read(fd), 200, ""); /* the connection is still in step */
    close(fd);
}

/* The results have no place to go: the import is done, and its answer says what is missing. */
static void test_import_whose_results_cannot_be_kept(void **state) {
    fixture *f = *state;
    enum { N = 3000 };
    vt_buf lines;
    vt_buf_init(&lines, 1 << 20);
    for (int i = 0; i < N; i++)
        vt_buf_printf(&lines, "{\"id\":\"%d\",\"name\":\"n\"}\n", i);
    assert_int_equal(setenv("TMPDIR", "/nowhere", 1), 0);
    answer a = client_post(f->port, PATH, LINES, lines.data);
    assert_int_equal(unsetenv("TMPDIR"), 0);
    vt_buf_release(&lines);
    assert_non_null(strstr(a.body, "\"code\":\"io_error\""));
    expect(a, 500, "after 3000 lines: cannot keep the results of an import in /nowhere/");
    assert_int_equal(fake_engine_products(f->engine), N);
}

static void test_line_longer_than_the_limit(void **state) {
    fixture *f = *state;
    char *body = vt_alloc(1, 300100);
    memset(body, 'x', 250000);
    memcpy(body + 250000, "\n{\"id\":\"after\",\"name\":\"n\"}\n", 28);
    answer a = client_post(f->port, PATH, LINES, body);
    free(body);
    assert_non_null(
        strstr(a.body, "{\"line\":1,\"id\":\"\",\"status\":\"error\",\"code\":\"too_large\""));
    expect(a, 200, "{\"line\":2,\"id\":\"after\",\"status\":\"created\"}\n");
}

/* While the engine is slow, the server stops reading: the client cannot send on for ever. */
static void test_slow_import_holds_the_client_back(void **state) {
    fixture *f = *state;
    static char lines[1 << 16];
    memset(lines, '\n', sizeof lines);
    fake_engine_shut(f->engine);
    int fd = client_connect(f->port);
    client_puts(fd, "POST " PATH " HTTP/1.1\r\nHost: a\r\nContent-Type: " LINES "\r\n"
                    "Content-Length: 67108889\r\n\r\n{\"id\":\"slow\",\"name\":\"n\"}\n");
    fake_engine_await(f->engine, 1);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    size_t sent = 0;
    for (int patience = 0; patience < 20 && sent < (64u << 20);) {
        ssize_t n = send(fd, lines, sizeof lines, MSG_NOSIGNAL);
        sent += n > 0 ? (size_t)n : 0;
        patience = n > 0 ? 0 : patience + 1;
        if (n < 0)
            usleep(10000);
    }
    assert_true(sent < (32u << 20)); /* what the kernel's buffers hold, not what the body has */
    expect(client_get(f->port, "/api/v1/collections"), 200, ""); /* and the worker is free */
    fake_engine_release(f->engine);
    assert_int_equal(fcntl(fd, F_SETFL, 0), 0);
    while (sent < (64u << 20)) {
        size_t left = (64u << 20) - sent;
        size_t n = left < sizeof lines ? left : sizeof lines;
        client_send(fd, lines, n);
        sent += n;
    }
    expect(client_read(fd), 200,
           "{\"line\":1,\"id\":\"slow\",\"status\":\"created\"}\n{\"summary\"");
    close(fd);
}

static int begin_slow_import(const fixture *f, const char *id) {
    char raw[512];
    (void)snprintf(raw, sizeof raw,
                   "POST " PATH " HTTP/1.1\r\nHost: a\r\nContent-Type: " LINES "\r\n"
                   "Content-Length: 1000\r\n\r\n{\"id\":\"slow-%s\",\"name\":\"n\"}\n",
                   id);
    int fd = client_connect(f->port);
    client_puts(fd, raw);
    return fd;
}

static void test_imports_at_a_time(void **state) {
    fixture *f = *state;
    int fds[VT_UPLOADS_MAX];
    fake_engine_shut(f->engine);
    for (int i = 0; i < VT_UPLOADS_MAX; i++)
        fds[i] = begin_slow_import(f, (const char[]){(char)('a' + i), 0});
    fake_engine_await(f->engine, VT_UPLOADS_MAX);
    expect(client_post(f->port, PATH, LINES, "{}\n"), 503, "imports are running already");
    fake_engine_release(f->engine);
    for (int i = 0; i < VT_UPLOADS_MAX; i++)
        close(
            fds[i]); /* they go away in the middle: what they fed is kept, their place given back */
    unsigned status = 503;
    for (int i = 0; i < 1000 && status == 503; i++) {
        answer a = client_post(f->port, PATH, LINES, "");
        status = a.status;
        answer_release(&a);
        usleep(10000);
    }
    assert_int_equal(status, 200);
    assert_int_equal(fake_engine_products(f->engine), VT_UPLOADS_MAX);
}

/* ---- a full queue ------------------------------------------------------------------------- */

/* Waits until the server has taken up n requests (the one that asks is one of them). */
static void await_in_flight(const fixture *f, size_t n) {
    size_t in_flight = 0;
    while (in_flight < n) {
        pthread_mutex_lock(&f->http->lock);
        in_flight = f->http->in_flight;
        pthread_mutex_unlock(&f->http->lock);
        usleep(1000);
    }
    usleep(50000);
}

static void test_full_queue_says_busy(void **state) {
    fixture *f = *state;
    fake_engine_shut(f->engine);
    int working = client_connect(f->port), waiting = client_connect(f->port);
    client_puts(working, SLOW);
    fake_engine_await(f->engine, 1);
    client_puts(waiting, SLOW);
    await_in_flight(f, 2);
    answer a = client_post(f->port, "/api/v1/search", NULL, "{\"text_query\":\"x\"}");
    assert_string_equal(answer_field(&a, "Retry-After"), "1");
    expect(a, 503, "\"code\":\"busy\"");
    expect(client_get(f->port, "/livez"), 200, ""); /* cheap answers still come */
    expect(client_get(f->port, "/readyz"), 200, "");
    fake_engine_release(f->engine);
    expect(client_read(working), 200, "slow");
    expect(client_read(waiting), 200, "slow");
    close(working);
    close(waiting);
}

/* ---- stopping ----------------------------------------------------------------------------- */

typedef struct closing {
    vt_http *http;
    unsigned grace;
} closing;

static void *close_server(void *arg) {
    const closing *c = arg;
    vt_http_close(c->http, c->grace);
    return NULL;
}

/* Returns once new connections are refused. */
static pthread_t begin_closing(fixture *f, closing *c) {
    pthread_t thread;
    c->http = f->http;
    f->http = NULL;
    assert_int_equal(pthread_create(&thread, NULL, close_server, c), 0);
    for (int fd; (fd = client_connect(f->port)) >= 0;) {
        close(fd);
        usleep(1000);
    }
    return thread;
}

static void test_closing_answers_what_is_under_way(void **state) {
    fixture *f = *state;
    closing c = {.grace = 30};
    fake_engine_shut(f->engine);
    int working = client_connect(f->port), waiting = client_connect(f->port);
    client_puts(working, SLOW);
    fake_engine_await(f->engine, 1);
    client_puts(waiting, SLOW);
    await_in_flight(f, 2);
    pthread_t thread = begin_closing(f, &c);
    fake_engine_release(f->engine);
    answer a = client_read(working);
    assert_string_equal(answer_field(&a, "Connection"), "close");
    expect(a, 200, "slow");
    expect(client_read(waiting), 200, "slow");
    assert_true(client_closed(working));
    pthread_join(thread, NULL);
    close(working);
    close(waiting);
}

static void *open_gate_later(void *arg) {
    usleep(300000);
    fake_engine_release(arg);
    return NULL;
}

/* Without grace: what waits is told so, what runs is still waited for (it uses the engine). */
static void test_closing_without_grace(void **state) {
    fixture *f = *state;
    closing c = {.grace = 0};
    pthread_t gate;
    fake_engine_shut(f->engine);
    int working = client_connect(f->port), waiting = client_connect(f->port);
    client_puts(working, SLOW);
    fake_engine_await(f->engine, 1);
    client_puts(waiting, SLOW);
    await_in_flight(f, 2);
    pthread_t thread = begin_closing(f, &c);
    assert_int_equal(pthread_create(&gate, NULL, open_gate_later, f->engine), 0);
    expect(client_read(waiting), 503, "the server is stopping");
    expect(client_read(working), 200, "slow");
    pthread_join(gate, NULL);
    pthread_join(thread, NULL);
    close(working);
    close(waiting);
}

static void test_closing_in_the_middle_of_an_import(void **state) {
    fixture *f = *state;
    closing c = {.grace = 0};
    fake_engine_shut(f->engine);
    int fd = begin_slow_import(f, "z");
    fake_engine_await(f->engine, 1);
    pthread_t thread = begin_closing(f, &c);
    fake_engine_release(f->engine);
    pthread_join(thread, NULL);
    assert_true(client_closed(fd));
    assert_int_equal(fake_engine_products(f->engine), 1);
    close(fd);
}

static void test_address_in_use(void **state) {
    fixture *f = *state;
    vt_http_options o = {.bind = "127.0.0.1", .port = f->port};
    vt_http *second = NULL;
    vt_err err;
    assert_int_equal(vt_http_open(&o, NULL, &second, &err), VT_E_IO);
    assert_null(second);
    char expected[128];
    (void)snprintf(expected, sizeof expected,
                   "cannot listen on 127.0.0.1 port %u: Address already in use", f->port);
    assert_string_equal(err.text, expected);
    o.bind = "localhost.example";
    assert_int_equal(vt_http_open(&o, NULL, &second, &err), VT_E_INVALID);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_import_tells_each_line_in_order, set_up,
                                        fixture_close),
        cmocka_unit_test_setup_teardown(test_import_of_nothing, set_up, fixture_close),
        cmocka_unit_test_setup_teardown(test_import_wants_lines, set_up, fixture_close),
        cmocka_unit_test_setup_teardown(test_long_import, set_up, fixture_close),
        cmocka_unit_test_setup_teardown(test_import_whose_results_cannot_be_kept, set_up,
                                        fixture_close),
        cmocka_unit_test_setup_teardown(test_line_longer_than_the_limit, set_up, fixture_close),
        cmocka_unit_test_setup_teardown(test_slow_import_holds_the_client_back, set_up,
                                        fixture_close),
        cmocka_unit_test_setup_teardown(test_imports_at_a_time, set_up, fixture_close),
        cmocka_unit_test_setup_teardown(test_full_queue_says_busy, set_up, fixture_close),
        cmocka_unit_test_setup_teardown(test_closing_answers_what_is_under_way, set_up,
                                        fixture_close),
        cmocka_unit_test_setup_teardown(test_closing_without_grace, set_up, fixture_close),
        cmocka_unit_test_setup_teardown(test_closing_in_the_middle_of_an_import, set_up,
                                        fixture_close),
        cmocka_unit_test_setup_teardown(test_address_in_use, set_up, fixture_close),
    };
    return cmocka_run_group_tests_name("http_work", tests, NULL, NULL);
}
