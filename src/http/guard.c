/* guard: refuses heads whose framing two readers could understand differently.
 *
 * libmicrohttpd is lenient: it prefers Transfer-Encoding where Content-Length stands beside it,
 * takes the first of two Content-Lengths, reads "Transfer-Encoding: gzip" until the connection
 * closes, and puts up with any Host. Behind a proxy that reads the same bytes otherwise, each of
 * these smuggles a request (RFC 9112 sections 2.2, 3.2, 5.1, 6.1, 6.3, 11.2). What it already
 * refuses itself (a Content-Length that is no number, a malformed chunk, HTTP/2.0) is left to it.
 *
 * A folded field line needs care: version 0.9.75 glues the continuation to the field's *name*
 * ("Transfer-Encoding: x\r\n chunked" is read as a field called "Transfer-Encodingchunked").
 * So a name that merely begins like one that frames the message is refused, and the check that
 * names are tokens catches a space before the colon and a folded "X: a\r\n Host: b".
 *
 * Pure; runs once per request, on the connection's thread. */
#include "http/server.h"

typedef struct guard {
    unsigned hosts, lengths, encodings;
    vt_err *err;
    vt_status status;
} guard;

static bool is_token(const char *s, size_t n) {
    static const char marks[] = "!#$%&'*+-.^_`|~";
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        bool alnum = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
        if (!alnum && (c == '\0' || strchr(marks, c) == NULL))
            return false;
    }
    return n > 0;
}

static bool has_control(const char *s, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (((unsigned char)s[i] < 0x20 && s[i] != '\t') || s[i] == 0x7f)
            return true;
    return false;
}

/* Whether the name is this one; the status turns to E_INVALID where it only begins like it. */
static bool is_framing(guard *g, const char *name, size_t n, const char *field) {
    size_t m = strlen(field);
    if (n < m || strncasecmp(name, field, m) != 0)
        return false;
    if (n > m)
        g->status = vt_fail(g->err, VT_E_INVALID, "a malformed or folded %s field", field);
    return n == m;
}

static vt_status check_host(const char *value, size_t n, vt_err *err) {
    for (size_t i = 0; i < n; i++)
        if (strchr(" \t,/?#@\\\"<>", value[i]) != NULL)
            return vt_fail(err, VT_E_INVALID, "the Host field is not a host and port");
    return VT_OK;
}

static enum MHD_Result check_field(void *cls, enum MHD_ValueKind kind, const char *name,
                                   size_t name_size, const char *value, size_t value_size) {
    guard *g = cls;
    if (!is_token(name, name_size) || has_control(value, value_size)) {
        g->status = vt_fail(g->err, VT_E_INVALID, "a malformed header field");
    } else if (name_size == 4 && strncasecmp(name, "Host", 4) == 0) {
        g->hosts++;
        g->status = check_host(value, value_size, g->err);
    } else if (is_framing(g, name, name_size, "Content-Length")) {
        g->lengths++;
    } else if (is_framing(g, name, name_size, "Transfer-Encoding")) {
        g->encodings++;
        if (value_size != strlen("chunked") || strncasecmp(value, "chunked", value_size) != 0)
            g->status = vt_fail(g->err, VT_E_INVALID, "a Transfer-Encoding other than chunked");
    }
    return g->status == VT_OK ? MHD_YES : MHD_NO;
}

static vt_status check_counts(const guard *g, bool http_1_1, vt_err *err) {
    if (g->hosts > 1)
        return vt_fail(err, VT_E_INVALID, "more than one Host field");
    if (g->hosts == 0 && http_1_1)
        return vt_fail(err, VT_E_INVALID, "an HTTP/1.1 request without a Host field");
    if (g->lengths > 1)
        return vt_fail(err, VT_E_INVALID, "more than one Content-Length field");
    if (g->encodings > 1)
        return vt_fail(err, VT_E_INVALID, "more than one Transfer-Encoding field");
    if (g->lengths > 0 && g->encodings > 0)
        return vt_fail(err, VT_E_INVALID, "both Content-Length and Transfer-Encoding");
    if (g->encodings > 0 && !http_1_1)
        return vt_fail(err, VT_E_INVALID, "Transfer-Encoding in an HTTP/1.0 request");
    return VT_OK;
}

vt_status vt_guard_check(struct MHD_Connection *c, const char *version, vt_err *err) {
    const union MHD_ConnectionInfo *head =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    if (head == NULL || head->header_size > VT_HEAD_MAX)
        return vt_fail(err, VT_E_TOO_LARGE, "the request head is longer than %d bytes",
                       VT_HEAD_MAX);
    guard g = {.err = err};
    MHD_get_connection_values_n(c, MHD_HEADER_KIND, check_field, &g);
    if (g.status != VT_OK)
        return g.status;
    return check_counts(&g, strcmp(version, "HTTP/1.0") != 0, err);
}
