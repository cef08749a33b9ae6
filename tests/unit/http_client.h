/* A client for tests of the HTTP server: raw bytes over a real loopback socket, so that a test can
 * say exactly what no decent client would. Every wait ends after some seconds with a failure. */
#ifndef HTTP_CLIENT_H
#define HTTP_CLIENT_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"

typedef struct answer {
    unsigned status; /* 0: the connection was closed without an answer */
    char *text;      /* the whole answer, NUL-terminated */
    char *body;      /* points into text */
    size_t body_len;
} answer;

int client_connect(uint16_t port);
void client_send(int fd, const void *bytes, size_t n);
void client_puts(int fd, const char *text);
/* One answer off the connection; head: without a body, whatever Content-Length says. */
answer client_read(int fd);
answer client_read_head(int fd);
void answer_release(answer *a);
/* The value of a field ("" where there is none); valid until the next call. */
const char *answer_field(const answer *a, const char *name);
/* Sends on a connection of its own and reads one answer. */
answer client_ask(uint16_t port, const char *raw);
answer client_ask_bytes(uint16_t port, const void *raw, size_t n);
/* "POST path" with this Content-Type and body. */
answer client_post(uint16_t port, const char *path, const char *type, const char *body);
answer client_get(uint16_t port, const char *path);
/* Whether the server closes the connection (nothing more is sent or expected). */
bool client_closed(int fd);

#endif
