/* JSON. Reading is jansson's, made strict; writing appends to a buffer (4 us for ten search hits,
 * against 30 through a tree). */
#include "base/base.h"

#include <math.h>

enum { MAX_DEPTH = 32 };

/* jansson's own limit is 2048 levels, and recursive readers of the tree would follow it. */
static bool too_deep(const char *text, size_t len) {
    size_t depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            if (++depth > MAX_DEPTH)
                return true;
        } else if ((c == '}' || c == ']') && depth > 0) {
            depth--;
        }
    }
    return false;
}

vt_status vt_json_parse(const char *text, size_t len, json_t **out, vt_err *err) {
    json_error_t e;
    *out = NULL;
    if (too_deep(text, len))
        return vt_fail(err, VT_E_PARSE, "JSON nests deeper than %d levels", MAX_DEPTH);
    *out = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &e);
    if (!*out)
        return vt_fail(err, VT_E_PARSE, "not valid JSON at line %d, column %d: %s", e.line,
                       e.column, e.text);
    return VT_OK;
}

void vt_json_init(vt_json *w, vt_buf *out) {
    *w = (vt_json){.out = out};
}

static void separate(vt_json *w) {
    if (w->comma)
        vt_buf_append(w->out, ",", 1);
    w->comma = true;
}

void vt_json_open(vt_json *w, char bracket) {
    separate(w);
    vt_buf_append(w->out, &bracket, 1);
    w->comma = false;
}

void vt_json_close(vt_json *w, char bracket) {
    vt_buf_append(w->out, &bracket, 1);
    w->comma = true;
}

/* Length of the character at s; 0 where there is none that JSON may hold. */
static size_t character(const char *s, size_t n) {
    size_t len = 1;
    while (len < 4 && len < n && !vt_utf8_valid(s, len))
        len++;
    return vt_utf8_valid(s, len) ? len : 0;
}

/* A byte that is not UTF-8, as a folder's name may have one, becomes U+FFFD: one reader that
 * refuses the whole line is worse than one wrong character. */
static void quote(vt_buf *out, const char *s, size_t n) {
    size_t start = 0;
    vt_buf_append(out, "\"", 1);
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        size_t len = c < 0x80 ? 1 : character(s + i, n - i);
        if (len > 0 && c >= 0x20 && c != '"' && c != '\\') {
            i += len - 1;
            continue;
        }
        vt_buf_append(out, s + start, i - start);
        if (c == '"' || c == '\\')
            vt_buf_append(out, (char[2]){'\\', (char)c}, 2);
        else if (c == '\n')
            vt_buf_append(out, "\\n", 2);
        else if (len == 0)
            vt_buf_puts(out, "\\ufffd");
        else
            vt_buf_printf(out, "\\u%04x", c);
        start = i + 1;
    }
    vt_buf_append(out, s + start, n - start);
    vt_buf_append(out, "\"", 1);
}

void vt_json_key(vt_json *w, const char *key) {
    separate(w);
    quote(w->out, key, strlen(key));
    vt_buf_append(w->out, ":", 1);
    w->comma = false;
}

void vt_json_strn(vt_json *w, const char *s, size_t n) {
    separate(w);
    quote(w->out, s, n);
}

void vt_json_str(vt_json *w, const char *s) {
    if (s)
        vt_json_strn(w, s, strlen(s));
    else
        vt_json_null(w);
}

void vt_json_int(vt_json *w, int64_t v) {
    separate(w);
    vt_buf_printf(w->out, "%lld", (long long)v);
}

/* The fewest of 15, 16 or 17 digits that read back as v: 17 always do (IEEE 754, 5.12.2). */
static int shortest(double v) {
    int digits = 15;
    for (char text[40]; digits < 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, v);
        if (strtod(text, NULL) == v)
            break;
    }
    return digits;
}

void vt_json_num(vt_json *w, double v, int significant) {
    char text[40];
    int n;
    if (!isfinite(v)) {
        vt_json_null(w);
        return;
    }
    separate(w);
    n = snprintf(text, sizeof text, "%.*g", significant ? significant : shortest(v), v);
    for (char *p = text; *p; p++)
        if (*p == ',') /* a locale's decimal comma */
            *p = '.';
    vt_buf_append(w->out, text, (size_t)n);
}

void vt_json_bool(vt_json *w, bool v) {
    separate(w);
    vt_buf_puts(w->out, v ? "true" : "false");
}

void vt_json_null(vt_json *w) {
    separate(w);
    vt_buf_puts(w->out, "null");
}

void vt_json_raw(vt_json *w, const char *json, size_t n) {
    separate(w);
    vt_buf_append(w->out, json, n);
}

static int by_text(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void write_object(vt_json *w, const json_t *object) {
    size_t n = json_object_size(object), i = 0;
    const char **keys = vt_alloc(n, sizeof *keys), *key;
    json_t *ignored;
    if (!keys) {
        w->out->failed = VT_E_NOMEM;
        return;
    }
    json_object_foreach((json_t *)(uintptr_t)object, key, ignored) keys[i++] = key;
    qsort(keys, n, sizeof *keys, by_text);
    vt_json_open(w, '{');
    for (i = 0; i < n; i++) {
        vt_json_key(w, keys[i]);
        vt_json_value(w, json_object_get(object, keys[i]));
    }
    vt_json_close(w, '}');
    free(keys);
}

static void write_array(vt_json *w, const json_t *array) {
    vt_json_open(w, '[');
    for (size_t i = 0; i < json_array_size(array); i++)
        vt_json_value(w, json_array_get(array, i));
    vt_json_close(w, ']');
}

/* A real stays a real when it is read back: 2.0 is not written as 2. */
static void write_real(vt_json *w, double v) {
    size_t before = w->out->len;
    vt_json_num(w, v, 0);
    if (w->out->failed == VT_OK && !strpbrk(w->out->data + before, ".en"))
        vt_buf_append(w->out, ".0", 2);
}

/* jansson's own writer prints 1.1 as 1.1000000000000001. The depth is that of vt_json_parse. */
void vt_json_value(vt_json *w, const json_t *v) {
    switch (json_typeof(v)) {
    case JSON_OBJECT:
        write_object(w, v);
        return;
    case JSON_ARRAY:
        write_array(w, v);
        return;
    case JSON_STRING:
        vt_json_strn(w, json_string_value(v), json_string_length(v));
        return;
    case JSON_INTEGER:
        vt_json_int(w, json_integer_value(v));
        return;
    case JSON_REAL:
        write_real(w, json_real_value(v));
        return;
    case JSON_TRUE:
    case JSON_FALSE:
        vt_json_bool(w, json_is_true(v));
        return;
    case JSON_NULL:
        vt_json_null(w);
    }
}
