/* target: the request line's target taken apart (RFC 9112 section 3.2, RFC 3986).
 *
 * The target is taken raw: libmicrohttpd hands out the path after decoding, when "a%2Fb" and "a/b"
 * can no longer be told apart, and a product id may contain a '/'. So the path stays encoded until
 * route.c has split it, and only the segment that is an id is decoded. Anything odd is refused
 * rather than repaired: bytes outside printable ASCII, bad escapes, escapes that do not make
 * UTF-8, control characters, a parameter given twice.
 *
 * Pure functions; no threading to speak of. */
#include "http/server.h"

static int hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool vt_percent_decode(char *s, bool plus_is_space) {
    char *to = s;
    for (const char *from = s; *from != '\0'; from++) {
        unsigned char c = (unsigned char)*from;
        if (c == '%') {
            int high = hex_digit(from[1]);
            int low = high < 0 ? -1 : hex_digit(from[2]);
            if (low < 0)
                return false;
            c = (unsigned char)(high * 16 + low);
            from += 2;
        } else if (c == '+' && plus_is_space) {
            c = ' ';
        }
        if (c < 0x20 || c == 0x7f)
            return false;
        *to++ = (char)c;
    }
    *to = '\0';
    return vt_utf8_valid(s, (size_t)(to - s));
}

/* Past "http://authority" of an absolute-form target, which a server must accept. */
static char *skip_authority(char *text) {
    size_t scheme = 0;
    if (strncasecmp(text, "http://", 7) == 0)
        scheme = 7;
    else if (strncasecmp(text, "https://", 8) == 0)
        scheme = 8;
    return scheme == 0 ? text : text + scheme + strcspn(text + scheme, "/?");
}

static vt_status add_param(vt_target *t, char *pair, vt_err *err) {
    if (*pair == '\0')
        return VT_OK; /* "?a=1&" and "?" are common and harmless */
    char *value = strchr(pair, '=');
    if (value != NULL)
        *value++ = '\0';
    else
        value = pair + strlen(pair);
    if (!vt_percent_decode(pair, true) || !vt_percent_decode(value, true))
        return vt_fail(err, VT_E_INVALID, "the query has a bad percent-escape or invalid UTF-8");
    if (vt_target_param(t, pair) != NULL)
        return vt_fail(err, VT_E_INVALID, "query parameter '%s' is given twice", pair);
    if (t->n_params == VT_QUERY_MAX)
        return vt_fail(err, VT_E_INVALID, "more than %d query parameters", VT_QUERY_MAX);
    t->params[t->n_params++] = (vt_param){.name = pair, .value = value};
    return VT_OK;
}

static vt_status parse_query(vt_target *t, char *query, vt_err *err) {
    while (query != NULL) {
        char *end = strchr(query, '&');
        if (end != NULL)
            *end++ = '\0';
        vt_status status = add_param(t, query, err);
        if (status != VT_OK)
            return status;
        query = end;
    }
    return VT_OK;
}

vt_status vt_target_parse(const char *raw, vt_target *out, vt_err *err) {
    *out = (vt_target){0};
    for (const char *c = raw; *c != '\0'; c++)
        if (*c <= 0x20 || *c >= 0x7f || *c == '#')
            return vt_fail(err, VT_E_INVALID,
                           "the request target has a byte that must be percent-encoded (%%%02X)",
                           (unsigned)(unsigned char)*c);
    size_t bytes = strlen(raw) + 2;
    char *text = out->text = vt_alloc(1, bytes);
    if (text == NULL)
        return vt_fail_nomem(err, bytes);
    memcpy(text, raw, bytes - 2);
    char *path = skip_authority(text);
    char *query = strchr(path, '?');
    if (query != NULL)
        *query++ = '\0';
    out->path = *path == '\0' && path != text ? "/" : path;
    if (out->path[0] != '/' && strcmp(out->path, "*") != 0)
        return vt_fail(err, VT_E_INVALID, "the request target must be a path or an http URL");
    return parse_query(out, query, err);
}

void vt_target_release(vt_target *t) {
    free(t->text);
    *t = (vt_target){0};
}

const char *vt_target_param(const vt_target *t, const char *name) {
    for (size_t i = 0; i < t->n_params; i++)
        if (strcmp(t->params[i].name, name) == 0)
            return t->params[i].value;
    return NULL;
}

bool vt_media_is(const char *content_type, const char *type) {
    size_t n = strlen(type);
    if (strncasecmp(content_type, type, n) != 0)
        return false;
    const char *rest = content_type + n;
    rest += strspn(rest, " \t");
    return *rest == '\0' || *rest == ';';
}
