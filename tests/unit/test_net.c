/* Downloads, against a small HTTP server in this process: it stands in for the server of a remote
 * shop, on a loopback port, and misbehaves in the ways such servers do. */
#include "net/net.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

#define LIMIT ((size_t)1000000) /* max_bytes of every fetch here */

/* ---- the stand-in for a remote shop ----------------------------------------------------- */

typedef struct shop {
    int listener;
    uint16_t port;
    pthread_t thread;
    atomic_bool stop;
    atomic_int connections; /* accepted so far */
    atomic_int open;        /* threads that serve one */
    _Atomic uint32_t odd;   /* requests with a cookie or credentials, or without our name */
} shop;

typedef struct visit {
    shop *shop;
    int fd;
} visit;

static bool send_all(int fd, const void *bytes, size_t n) {
    for (const char *p = bytes; n > 0;) {
        ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        p += sent;
        n -= (size_t)sent;
    }
    return true;
}

static bool send_text(int fd, const char *text) {
    return send_all(fd, text, strlen(text));
}

/* n bytes of 'x', compressed. */
static void send_gzip(int fd, size_t n) {
    char *plain = malloc(n), *packed = malloc(n + 1000), head[200];
    z_stream z = {.next_in = (Bytef *)plain, .avail_in = (uInt)n};
    z.next_out = (Bytef *)packed;
    z.avail_out = (uInt)n + 1000;
    memset(plain, 'x', n);
    deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
    deflate(&z, Z_FINISH);
    snprintf(head, sizeof head,
             "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %lu\r\n\r\n",
             z.total_out);
    if (send_text(fd, head))
        send_all(fd, packed, z.total_out);
    deflateEnd(&z);
    free(plain);
    free(packed);
}

static void send_endless(const shop *s, int fd, const char *head, unsigned pause_ms, size_t n) {
    char *bytes = malloc(n);
    memset(bytes, 'x', n);
    bool going = send_text(fd, head);
    while (going && !atomic_load(&s->stop)) {
        going = send_all(fd, bytes, n);
        poll(NULL, 0, (int)pause_ms);
    }
    free(bytes);
}

/* Redirects n more times, then to /plain; its target is relative, as many shops write it. */
static void send_redirect(int fd, const char *path) {
    char head[200];
    unsigned n = (unsigned)(path[strlen(path) - 1] - '0');
    if (n == 1)
        snprintf(head, sizeof head, "HTTP/1.1 302 Found\r\nLocation: /plain\r\n");
    else
        snprintf(head, sizeof head, "HTTP/1.1 301 Moved\r\nLocation: hop%u\r\n", n - 1);
    if (send_text(fd, head))
        send_text(fd, "Set-Cookie: a=b\r\nContent-Length: 4\r\n\r\nmove");
}

static void send_target(int fd, const char *target) {
    char head[4096];
    snprintf(head, sizeof head, "HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n",
             target);
    send_text(fd, head);
}

static const char *const fixed[][2] = {
    {"/plain", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"},
    {"/empty", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
    {"/chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                 "3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\n\r\n"},
    {"/missing", "HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\nnot here!"},
    {"/missing-and-large", "HTTP/1.1 500 Oh\r\nContent-Length: 99000000\r\n\r\n"},
    {"/partial", "HTTP/1.1 206 Partial Content\r\nContent-Length: 2\r\n\r\nhe"},
    {"/nowhere", "HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n"},
    {"/large", "HTTP/1.1 200 OK\r\nContent-Length: 1000001\r\n\r\nxxx"},
    {"/early", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello"},
    {"/early-chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\nhello"},
    {"/bad-gzip", "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello"},
    {"/not-http", "220 ftp.example.com ready\r\n"},
    {"/silent", ""},
};

static const char *const targets[][2] = {
    {"/to-file", "file:///etc/passwd"},
    {"/to-gopher", "gopher://127.0.0.1/x"},
    {"/to-private", "http://10.255.255.1/a.png"},
    {"/to-metadata", "http://169.254.169.254/latest/meta-data/"},
    {"/to-user", "http://user:secret@127.0.0.1/"},
    {"/to-nothing", "http://"},
    {"/loop", "/loop"},
};

/* Returns whether the connection stays open. */
static bool answer(shop *s, int fd, const char *path) {
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++)
        if (strcmp(path, fixed[i][0]) == 0)
            return send_text(fd, fixed[i][1]) && i < 4; /* the sound ones come first */
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++)
        if (strcmp(path, targets[i][0]) == 0)
            send_target(fd, targets[i][1]);
    if (strncmp(path, "/hop", 4) == 0) {
        send_redirect(fd, path);
        return true;
    }
    if (strcmp(path, "/to-localhost") == 0) {
        char target[100];
        snprintf(target, sizeof target, "http://localhost:%u/plain", s->port);
        send_target(fd, target);
    } else if (strcmp(path, "/slow-hop") == 0) {
        poll(NULL, 0, 200);
        send_target(fd, "/slow-hop");
    } else if (strcmp(path, "/gzip") == 0) {
        send_gzip(fd, 100000);
    } else if (strcmp(path, "/bomb") == 0) {
        send_gzip(fd, 50 * LIMIT);
    } else if (strcmp(path, "/endless") == 0) {
        send_endless(s, fd, "HTTP/1.0 200 OK\r\n\r\n", 0, 10000);
    } else if (strcmp(path, "/drip") == 0) {
        send_endless(s, fd, "HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n", 20, 1);
    } else if (strcmp(path, "/drip-head") == 0) {
        send_endless(s, fd, "HTTP/1.1 200 OK\r\nX: ", 20, 1);
    }
    return false;
}

/* Reads one request head; false at the end of the connection. */
static bool read_path(shop *s, int fd, char path[4096]) {
    char head[8192];
    size_t n = 0;
    while (n < sizeof head - 1) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        while (poll(&p, 1, 20) == 0)
            if (atomic_load(&s->stop))
                return false;
        ssize_t got = recv(fd, head + n, sizeof head - 1 - n, 0);
        if (got <= 0)
            return false;
        n += (size_t)got;
        head[n] = '\0';
        if (memcmp(head, "GET ", n < 4 ? n : 4) != 0)
            return false; /* TLS */
        if (strstr(head, "\r\n\r\n"))
            break;
    }
    if (strcasestr(head, "\r\ncookie:") || strcasestr(head, "\r\nauthorization:") ||
        !strstr(head, "\r\nUser-Agent: vitrine/"))
        atomic_fetch_add(&s->odd, 1);
    return sscanf(head, "GET %4095s HTTP/1.1\r\n", path) == 1;
}

static void *serve_visit(void *ctx) {
    visit *v = ctx;
    char path[4096];
    while (read_path(v->shop, v->fd, path) && answer(v->shop, v->fd, path))
        ;
    /* Only our half first, and wait for the other: a reset would take what was sent with it. */
    shutdown(v->fd, SHUT_WR);
    struct pollfd p = {.fd = v->fd, .events = POLLIN};
    while (!atomic_load(&v->shop->stop) && poll(&p, 1, 20) == 0)
        ;
    close(v->fd);
    atomic_fetch_sub(&v->shop->open, 1);
    free(v);
    return NULL;
}

static void *serve(void *ctx) {
    shop *s = ctx;
    struct pollfd p = {.fd = s->listener, .events = POLLIN};
    while (!atomic_load(&s->stop)) {
        if (poll(&p, 1, 20) != 1)
            continue;
        visit *v = malloc(sizeof *v);
        pthread_t t;
        *v = (visit){s, accept(s->listener, NULL, NULL)};
        atomic_fetch_add(&s->connections, 1);
        atomic_fetch_add(&s->open, 1);
        pthread_create(&t, NULL, serve_visit, v);
        pthread_detach(t);
    }
    return NULL;
}

/* False where the machine has no such address family. */
static bool shop_open(shop *s, int family) {
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    struct sockaddr *at = family == AF_INET ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6;
    socklen_t len = family == AF_INET ? sizeof v4 : sizeof v6;
    memset(s, 0, sizeof *s);
    s->listener = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (s->listener < 0)
        return false;
    if (bind(s->listener, at, len) != 0 || listen(s->listener, 64) != 0) {
        close(s->listener);
        return false;
    }
    getsockname(s->listener, at, &len);
    s->port = ntohs(family == AF_INET ? v4.sin_port : v6.sin6_port);
    return pthread_create(&s->thread, NULL, serve, s) == 0;
}

static void shop_close(shop *s) {
    atomic_store(&s->stop, true);
    pthread_join(s->thread, NULL);
    while (atomic_load(&s->open) > 0)
        poll(NULL, 0, 1);
    close(s->listener);
}

/* ---- asking it -------------------------------------------------------------------------- */

static shop remote; /* one for all tests of the file */

static int open_remote(void **state) {
    /* A dead proxy for everything: whoever listens to the environment fetches nothing. */
    static const char *const names[] = {"http_proxy", "HTTP_PROXY", "https_proxy",
                                        "all_proxy",  "ALL_PROXY",  NULL};
    for (size_t i = 0; names[i]; i++)
        setenv(names[i], "http://127.0.0.1:1", 1);
    return shop_open(&remote, AF_INET) ? 0 : -1;
}

static int close_remote(void **state) {
    shop_close(&remote);
    return atomic_load(&remote.odd) == 0 ? 0 : -1;
}

static vt_net *net_with(const char *const *allow, uint32_t total_ms) {
    vt_net_options o;
    vt_net *n;
    vt_err err;
    vt_net_defaults(&o);
    o.allow = allow;
    o.total_ms = total_ms;
    o.max_bytes = LIMIT;
    assert_int_equal(vt_net_open(&o, &n, &err), VT_OK);
    return n;
}

static const char *const loopback[] = {"127.0.0.0/8", NULL};

/* Fetches http://host:port/path into a buffer that holds "before" already. */
static vt_status fetch_from(vt_net *n, const char *host, const char *path, vt_buf *body,
                            vt_err *err) {
    char url[8192];
    snprintf(url, sizeof url, "http://%s:%u%s", host, remote.port, path);
    vt_buf_init(body, 10 * LIMIT);
    vt_buf_puts(body, "before");
    return vt_net_fetch(n, url, body, err);
}

static void assert_body(vt_net *n, const char *path, const char *expected) {
    vt_buf body;
    vt_err err;
    if (fetch_from(n, "127.0.0.1", path, &body, &err) != VT_OK)
        fail_msg("%s: %s", path, err.text);
    assert_memory_equal(body.data, "before", 6);
    assert_string_equal(body.data + 6, expected);
    vt_buf_release(&body);
}

/* It fails with this status, the text holds `words`, and the buffer is as it was. */
static void assert_fails(vt_net *n, const char *host, const char *path, vt_status expected,
                         const char *words) {
    vt_buf body;
    vt_err err;
    vt_status s = fetch_from(n, host, path, &body, &err);
    if (s != expected || err.status != expected || !strstr(err.text, words))
        fail_msg("%s%s: %s, \"%s\"", host, path, vt_status_code(s), s ? err.text : "");
    assert_string_equal(body.data, "before");
    vt_buf_release(&body);
}

static void bodies_arrive_decoded(void **state) {
    vt_net *n = net_with(loopback, 0);
    assert_body(n, "/plain", "hello");
    assert_body(n, "/empty", "");
    assert_body(n, "/chunked", "abcdefg");
    char *big = calloc(1, 100001);
    memset(big, 'x', 100000);
    assert_body(n, "/gzip", big);
    free(big);
    vt_net_close(n);
}

static void limits_are_on_decoded_bytes(void **state) {
    vt_net *n = net_with(loopback, 0);
    assert_fails(n, "127.0.0.1", "/large", VT_E_TOO_LARGE, "1000000");
    assert_fails(n, "127.0.0.1", "/endless", VT_E_TOO_LARGE, "1000000");
    assert_fails(n, "127.0.0.1", "/bomb", VT_E_TOO_LARGE, "1000000");
    vt_net_close(n);
}

static void the_callers_own_maximum_holds(void **state) {
    vt_net *n = net_with(loopback, 0);
    vt_buf body;
    vt_err err;
    char url[100];
    snprintf(url, sizeof url, "http://127.0.0.1:%u/plain", remote.port);
    vt_buf_init(&body, 4);
    assert_int_equal(vt_net_fetch(n, url, &body, &err), VT_E_TOO_LARGE);
    assert_int_equal(body.len, 0);
    vt_buf_release(&body);
    vt_net_close(n);
}

static void slow_servers_time_out(void **state) {
    vt_net *n = net_with(loopback, 300);
    assert_fails(n, "127.0.0.1", "/drip", VT_E_TIMEOUT, "127.0.0.1");
    assert_fails(n, "127.0.0.1", "/drip-head", VT_E_TIMEOUT, "127.0.0.1");
    /* Each hop alone is within the time; all together are not. */
    assert_fails(n, "127.0.0.1", "/slow-hop", VT_E_TIMEOUT, "127.0.0.1");
    assert_body(n, "/plain", "hello"); /* the handle is sound afterwards */
    vt_net_close(n);
}

static void broken_servers_are_upstream_errors(void **state) {
    vt_net *n = net_with(loopback, 0);
    assert_fails(n, "127.0.0.1", "/missing", VT_E_UPSTREAM, "status 404");
    assert_fails(n, "127.0.0.1", "/missing-and-large", VT_E_UPSTREAM, "status 500");
    assert_fails(n, "127.0.0.1", "/partial", VT_E_UPSTREAM, "status 206");
    assert_fails(n, "127.0.0.1", "/nowhere", VT_E_UPSTREAM, "status 302");
    assert_fails(n, "127.0.0.1", "/early", VT_E_UPSTREAM, "127.0.0.1");
    assert_fails(n, "127.0.0.1", "/early-chunk", VT_E_UPSTREAM, "127.0.0.1");
    assert_fails(n, "127.0.0.1", "/bad-gzip", VT_E_UPSTREAM, "127.0.0.1");
    assert_fails(n, "127.0.0.1", "/not-http", VT_E_UPSTREAM, "127.0.0.1");
    assert_fails(n, "127.0.0.1", "/silent", VT_E_UPSTREAM, "127.0.0.1");
    vt_net_close(n);
}

static void a_dead_port_is_an_upstream_error(void **state) {
    vt_net *n = net_with(loopback, 0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    vt_buf body;
    vt_err err;
    char url[100];
    /* Bound but not listening: nobody else can take the port meanwhile. */
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, len), 0);
    getsockname(fd, (struct sockaddr *)&at, &len);
    snprintf(url, sizeof url, "http://127.0.0.1:%u/", ntohs(at.sin_port));
    vt_buf_init(&body, LIMIT);
    assert_int_equal(vt_net_fetch(n, url, &body, &err), VT_E_UPSTREAM);
    assert_non_null(strstr(err.text, "127.0.0.1"));
    /* TLS to a server that speaks none. */
    snprintf(url, sizeof url, "https://127.0.0.1:%u/plain", remote.port);
    assert_int_equal(vt_net_fetch(n, url, &body, &err), VT_E_UPSTREAM);
    close(fd);
    vt_buf_release(&body);
    vt_net_close(n);
}

static void an_unknown_name_is_not_fatal(void **state) {
    vt_net *n = net_with(NULL, 300);
    vt_buf body;
    vt_err err;
    vt_buf_init(&body, LIMIT);
    vt_status s = vt_net_fetch(n, "http://no-such-host.invalid/", &body, &err);
    /* Without a name server in reach nobody says that the name is unknown. */
    assert_true(s == VT_E_UPSTREAM || s == VT_E_TIMEOUT);
    assert_non_null(strstr(err.text, "no-such-host.invalid"));
    vt_buf_release(&body);
    vt_net_close(n);
}

static void redirects_are_followed_three_times(void **state) {
    vt_net *n = net_with(loopback, 0);
    assert_body(n, "/hop1", "hello");
    assert_body(n, "/hop3", "hello");
    assert_fails(n, "127.0.0.1", "/hop4", VT_E_UPSTREAM, "more than 3 redirects");
    assert_fails(n, "127.0.0.1", "/loop", VT_E_UPSTREAM, "more than 3 redirects");
    vt_net_close(n);
}

static void redirects_can_be_turned_off(void **state) {
    vt_net_options o;
    vt_net *n;
    vt_err err;
    vt_net_defaults(&o);
    o.allow = loopback;
    o.redirects = 0;
    assert_int_equal(vt_net_open(&o, &n, &err), VT_OK);
    assert_body(n, "/plain", "hello");
    assert_fails(n, "127.0.0.1", "/hop1", VT_E_UPSTREAM, "more than 0 redirects");
    vt_net_close(n);
}

static void redirects_cannot_leave_the_guard(void **state) {
    vt_net *n = net_with(loopback, 0);
    assert_fails(n, "127.0.0.1", "/to-file", VT_E_REFUSED, "http://");
    assert_fails(n, "127.0.0.1", "/to-gopher", VT_E_REFUSED, "http://");
    assert_fails(n, "127.0.0.1", "/to-private", VT_E_REFUSED,
                 "10.255.255.1 is a private address (RFC 1918)");
    assert_fails(n, "127.0.0.1", "/to-metadata", VT_E_REFUSED, "169.254.169.254 is a link-local");
    assert_fails(n, "127.0.0.1", "/to-user", VT_E_REFUSED, "password");
    assert_fails(n, "127.0.0.1", "/to-nothing", VT_E_REFUSED, "no host");
    vt_net_close(n);
}

static void loopback_is_refused_and_never_connected(void **state) {
    vt_net *n = net_with(NULL, 0);
    int before = atomic_load(&remote.connections);
    assert_fails(n, "127.0.0.1", "/plain", VT_E_REFUSED,
                 "127.0.0.1 is a loopback address (RFC 1122); to allow it add \"127.0.0.1\"");
    assert_fails(n, "127.1", "/plain", VT_E_REFUSED, "127.0.0.1 is a loopback address");
    assert_fails(n, "localhost", "/plain", VT_E_REFUSED, "to allow it add \"localhost\"");
    assert_fails(n, "[::ffff:127.0.0.1]", "/plain", VT_E_REFUSED, "127.0.0.1 is a loopback");
    assert_fails(n, "[::1]", "/plain", VT_E_REFUSED, "::1 is a loopback address (RFC 4291)");
    assert_fails(n, "0.0.0.0", "/plain", VT_E_REFUSED, "this network");
    poll(NULL, 0, 50); /* a connection, had there been one, is accepted by then */
    assert_int_equal(atomic_load(&remote.connections), before);
    vt_net_close(n);
}

static void a_host_is_allowed_by_its_name_alone(void **state) {
    vt_net *n = net_with((const char *[]){"LocalHost", NULL}, 0);
    vt_buf body;
    vt_err err;
    assert_int_equal(fetch_from(n, "localhost", "/plain", &body, &err), VT_OK);
    vt_buf_release(&body);
    /* The connection to localhost is open and idle; the same address by another name is not it. */
    assert_fails(n, "127.0.0.1", "/plain", VT_E_REFUSED, "127.0.0.1");
    vt_net_close(n);

    n = net_with((const char *[]){"127.0.0.1", NULL}, 0);
    assert_body(n, "/plain", "hello");
    assert_fails(n, "127.0.0.1", "/to-localhost", VT_E_REFUSED, "localhost: ");
    vt_net_close(n);
}

static void ipv6_literals_are_fetched_where_allowed(void **state) {
    shop six;
    if (!shop_open(&six, AF_INET6)) {
        print_message("# skipped: this machine has no IPv6 loopback\n");
        skip();
    }
    vt_net *n = net_with((const char *[]){"::1/128", NULL}, 0);
    vt_buf body;
    vt_err err;
    char url[100];
    snprintf(url, sizeof url, "http://[::1]:%u/plain", six.port);
    vt_buf_init(&body, LIMIT);
    assert_int_equal(vt_net_fetch(n, url, &body, &err), VT_OK);
    assert_string_equal(body.data, "hello");
    vt_buf_release(&body);
    vt_net_close(n);
    shop_close(&six);
}

static void bad_urls_are_the_callers_fault(void **state) {
    vt_net *n = net_with(loopback, 0);
    static const char *const urls[] = {"http://", "file:///etc/passwd", "http://a:b@127.0.0.1/",
                                       "nonsense"};
    vt_buf body;
    vt_err err;
    vt_buf_init(&body, LIMIT);
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++)
        assert_int_equal(vt_net_fetch(n, urls[i], &body, &err), VT_E_INVALID);
    vt_buf_release(&body);
    char longest[3000];
    memset(longest, 'a', sizeof longest - 1);
    longest[0] = '/';
    longest[sizeof longest - 1] = '\0';
    assert_fails(n, "127.0.0.1", longest, VT_E_INVALID, "longer than 2048");
    vt_net_close(n);
}

static void bad_allow_entries_fail_the_opening(void **state) {
    vt_net_options o;
    vt_net *n;
    vt_err err;
    vt_net_defaults(&o);
    o.allow = (const char *[]){"10.0.0.0/99", NULL};
    assert_int_equal(vt_net_open(&o, &n, &err), VT_E_INVALID);
    assert_non_null(strstr(err.text, "\"10.0.0.0/99\""));
    assert_null(n);
    vt_net_close(NULL);
}

static void one_connection_serves_many_fetches(void **state) {
    vt_net *n = net_with(loopback, 0);
    int before = atomic_load(&remote.connections);
    for (int i = 0; i < 20; i++)
        assert_body(n, i % 2 ? "/plain" : "/hop2", "hello");
    assert_int_equal(atomic_load(&remote.connections), before + 1);
    vt_net_close(n);
}

static void *fetch_many(void *ctx) {
    size_t good = 0;
    for (int i = 0; i < 20; i++) {
        vt_buf body;
        vt_err err;
        if (fetch_from(ctx, "127.0.0.1", "/chunked", &body, &err) == VT_OK)
            good += strcmp(body.data, "beforeabcdefg") == 0;
        vt_buf_release(&body);
    }
    return (void *)good;
}

static void threads_fetch_side_by_side(void **state) {
    enum { THREADS = 24 }; /* more than the store keeps */
    vt_net *n = net_with(loopback, 0);
    pthread_t t[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&t[i], NULL, fetch_many, n), 0);
    for (size_t i = 0; i < THREADS; i++) {
        void *good;
        pthread_join(t[i], &good);
        assert_int_equal((size_t)good, 20);
    }
    vt_net_close(n);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bodies_arrive_decoded),
        cmocka_unit_test(limits_are_on_decoded_bytes),
        cmocka_unit_test(the_callers_own_maximum_holds),
        cmocka_unit_test(slow_servers_time_out),
        cmocka_unit_test(broken_servers_are_upstream_errors),
        cmocka_unit_test(a_dead_port_is_an_upstream_error),
        cmocka_unit_test(an_unknown_name_is_not_fatal),
        cmocka_unit_test(redirects_are_followed_three_times),
        cmocka_unit_test(redirects_can_be_turned_off),
        cmocka_unit_test(redirects_cannot_leave_the_guard),
        cmocka_unit_test(loopback_is_refused_and_never_connected),
        cmocka_unit_test(a_host_is_allowed_by_its_name_alone),
        cmocka_unit_test(ipv6_literals_are_fetched_where_allowed),
        cmocka_unit_test(bad_urls_are_the_callers_fault),
        cmocka_unit_test(bad_allow_entries_fail_the_opening),
        cmocka_unit_test(one_connection_serves_many_fetches),
        cmocka_unit_test(threads_fetch_side_by_side),
    };
    return cmocka_run_group_tests_name("net", tests, open_remote, close_remote);
}
