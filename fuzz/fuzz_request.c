/* fuzz_request: the whole server over a loopback connection, in front of a stand-in engine. The
 * input is what a client sends, followed by one more request that asks to close. Everything that
 * reads foreign bytes takes part: the guard, targets, routes, bodies, forms, imports. Properties:
 * every answer begins as an HTTP answer does, none is a 500, and a connection whose framing was
 * refused is not answered again. An input that leaves the server waiting for more is given up
 * after a few milliseconds; that can only hide a finding, never make one up. */
#include <arpa/inet.h>
#include <errno.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "fake_engine.h"
#include "http/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint16_t start_server(void) {
    vt_http_options o = {.bind = "127.0.0.1", .workers = 1, .max_body = 65536};
    vt_http *http = NULL;
    vt_err err;
    if (vt_http_open(&o, NULL, &http, &err) != VT_OK)
        abort();
    vt_http_attach(http, fake_engine_open());
    return vt_http_port(http); /* both live as long as the process */
}

/* -1: a signal came in between (libFuzzer's timer); the caller tries again. */
static int try_connection(uint16_t port) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    /* Closed with a reset: the server sees it at once, and no port stays in TIME_WAIT. */
    struct linger reset = {.l_onoff = 1, .l_linger = 0};
    struct timeval patience = {.tv_usec = 5000};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) != 0)
        abort();
    if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0)
        return fd;
    if (errno != EINTR) {
        perror("fuzz_request: cannot connect");
        abort();
    }
    close(fd);
    return -1;
}

static int open_connection(uint16_t port) {
    int fd;
    do {
        fd = try_connection(port);
    } while (fd < 0);
    return fd;
}

static void send_all(int fd, const void *bytes, size_t size) {
    const char *at = bytes;
    while (size > 0) {
        ssize_t n = send(fd, at, size, MSG_NOSIGNAL);
        if (n <= 0)
            return; /* the server has hung up: its answer may still be there */
        at += n;
        size -= (size_t)n;
    }
}

static void read_all(int fd, vt_buf *out) {
    char block[4096];
    ssize_t n;
    while ((n = recv(fd, block, sizeof block, 0)) > 0 || (n < 0 && errno == EINTR))
        if (n > 0)
            vt_buf_append(out, block, (size_t)n);
}

static void check_answers(const char *text) {
    assert(text[0] == '\0' || strncmp(text, "HTTP/1.1 ", 9) == 0 ||
           strncmp(text, "HTTP/1.0 ", 9) == 0);
    assert(strstr(text, "HTTP/1.1 500 ") == NULL);
    const char *refused = strstr(text, "\"detail\":\"both Content-Length and Transfer-Encoding");
    assert(refused == NULL || strstr(refused, "HTTP/1.1 ") == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static uint16_t port;
    if (port == 0)
        port = start_server();
    vt_buf answers;
    vt_buf_init(&answers, (size_t)16 << 20);
    static const char last[] = "GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    int fd = open_connection(port);
    send_all(fd, data, size);
    send_all(fd, last, sizeof last - 1);
    read_all(fd, &answers);
    close(fd);
    if (answers.len > 0)
        check_answers(answers.data);
    vt_buf_release(&answers);
    return 0;
}
