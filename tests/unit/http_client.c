/* See http_client.h. */
#include "http_client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define PATIENCE_SECONDS 20

static void give_up(const char *what) {
    fprintf(stderr, "# the test's client: %s: %s\n", what, strerror(errno));
    abort();
}

int client_connect(uint16_t port) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct timeval patience = {.tv_sec = PATIENCE_SECONDS};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) != 0)
        give_up("socket");
    if (connect(fd, (struct sockaddr *)&to, sizeof to) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/* A connection closed by the server is no failure here: what it said is what counts. */
void client_send(int fd, const void *bytes, size_t n) {
    const char *at = bytes;
    while (n > 0) {
        ssize_t sent = send(fd, at, n, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            return;
        at += sent;
        n -= (size_t)sent;
    }
}

void client_puts(int fd, const char *text) {
    client_send(fd, text, strlen(text));
}

/* 0 at the end of the stream. */
static size_t receive(int fd, void *to, size_t n) {
    ssize_t got;
    do {
        got = recv(fd, to, n, 0);
    } while (got < 0 && errno == EINTR);
    if (got < 0 && errno != ECONNRESET)
        give_up("no answer");
    return got > 0 ? (size_t)got : 0;
}

static answer read_answer(int fd, bool with_body) {
    answer a = {0};
    vt_buf all;
    char c;
    vt_buf_init(&all, (size_t)64 << 20);
    while (all.len < 4 || memcmp(all.data + all.len - 4, "\r\n\r\n", 4) != 0) {
        if (receive(fd, &c, 1) == 0)
            break;
        vt_buf_append(&all, &c, 1);
    }
    if (all.len == 0)
        return a;
    a.text = all.data;
    uint64_t status = 0;
    char digits[4] = {0};
    if (all.len > 12)
        memcpy(digits, all.data + 9, 3);
    if (!vt_parse_u64(digits, 999, &status))
        give_up("not an HTTP answer");
    a.status = (unsigned)status;
    uint64_t n = 0;
    if (with_body && !vt_parse_u64(answer_field(&a, "Content-Length"), 1u << 30, &n))
        n = 0;
    size_t head = all.len;
    char block[65536];
    while (all.len < head + n) {
        size_t want = head + n - all.len;
        size_t got = receive(fd, block, want < sizeof block ? want : sizeof block);
        if (got == 0)
            break;
        vt_buf_append(&all, block, got);
    }
    a.text = all.data;
    a.body = all.data + head;
    a.body_len = all.len - head;
    return a;
}

answer client_read(int fd) {
    return read_answer(fd, true);
}

answer client_read_head(int fd) {
    return read_answer(fd, false);
}

void answer_release(answer *a) {
    free(a->text);
    *a = (answer){0};
}

const char *answer_field(const answer *a, const char *name) {
    static char value[512];
    size_t n = strlen(name);
    value[0] = '\0';
    for (const char *line = a->text; line != NULL; line = strstr(line, "\r\n")) {
        line += line == a->text ? 0 : 2;
        if (strncasecmp(line, name, n) == 0 && line[n] == ':') {
            const char *from = line + n + 1 + strspn(line + n + 1, " ");
            (void)snprintf(value, sizeof value, "%.*s", (int)strcspn(from, "\r\n"), from);
            break;
        }
        if (line[0] == '\r')
            break;
    }
    return value;
}

answer client_ask_bytes(uint16_t port, const void *raw, size_t n) {
    int fd = client_connect(port);
    if (fd < 0)
        give_up("connect");
    client_send(fd, raw, n);
    answer a = client_read(fd);
    close(fd);
    return a;
}

answer client_ask(uint16_t port, const char *raw) {
    return client_ask_bytes(port, raw, strlen(raw));
}

answer client_post(uint16_t port, const char *path, const char *type, const char *body) {
    vt_buf raw;
    vt_buf_init(&raw, (size_t)64 << 20);
    vt_buf_printf(&raw, "POST %s HTTP/1.1\r\nHost: shop\r\nContent-Length: %zu\r\n", path,
                  strlen(body));
    if (type != NULL)
        vt_buf_printf(&raw, "Content-Type: %s\r\n", type);
    vt_buf_puts(&raw, "\r\n");
    vt_buf_puts(&raw, body);
    answer a = client_ask_bytes(port, raw.data, raw.len);
    vt_buf_release(&raw);
    return a;
}

answer client_get(uint16_t port, const char *path) {
    vt_buf raw;
    vt_buf_init(&raw, 65536);
    vt_buf_printf(&raw, "GET %s HTTP/1.1\r\nHost: shop\r\n\r\n", path);
    answer a = client_ask_bytes(port, raw.data, raw.len);
    vt_buf_release(&raw);
    return a;
}

bool client_closed(int fd) {
    char c;
    return receive(fd, &c, 1) == 0;
}
