/* The bounded growable buffer. Its failure is sticky, so that a writer of many pieces has one
 * place where it asks whether all went well. */
#include "base/base.h"

void vt_buf_init(vt_buf *b, size_t max) {
    *b = (vt_buf){.max = max};
}

void vt_buf_release(vt_buf *b) {
    free(b->data);
    vt_buf_init(b, b->max);
}

void vt_buf_clear(vt_buf *b) {
    b->len = 0;
    b->failed = VT_OK;
    if (b->data)
        b->data[0] = 0;
}

/* Room for n more bytes and the NUL; false sets the failure. */
static bool reserve(vt_buf *b, size_t n) {
    size_t need;
    vt_err err;
    if (b->failed != VT_OK)
        return false;
    if (!vt_size_add(b->len, n, &need) || need > b->max || need == SIZE_MAX) {
        b->failed = VT_E_TOO_LARGE;
        return false;
    }
    if (vt_array_grow(&b->data, &b->cap, need + 1, 1, &err) != VT_OK) {
        b->failed = VT_E_NOMEM;
        return false;
    }
    return true;
}

void vt_buf_append(vt_buf *b, const void *bytes, size_t n) {
    if (!reserve(b, n))
        return;
    if (n > 0)
        memcpy(b->data + b->len, bytes, n);
    b->len += n;
    b->data[b->len] = 0;
}

void vt_buf_puts(vt_buf *b, const char *s) {
    vt_buf_append(b, s, strlen(s));
}

void vt_buf_printf(vt_buf *b, const char *fmt, ...) {
    va_list args;
    int n;
    va_start(args, fmt);
    n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (n < 0 && b->failed == VT_OK)
        b->failed = VT_E_TOO_LARGE; /* above INT_MAX bytes */
    if (n < 0 || !reserve(b, (size_t)n))
        return;
    va_start(args, fmt);
    vsnprintf(b->data + b->len, (size_t)n + 1, fmt, args);
    va_end(args);
    b->len += (size_t)n;
}

vt_status vt_buf_status(const vt_buf *b, const char *what, vt_err *err) {
    if (b->failed == VT_E_TOO_LARGE)
        return vt_fail(err, VT_E_TOO_LARGE, "%s is larger than %zu bytes", what, b->max);
    if (b->failed != VT_OK)
        return vt_fail(err, b->failed, "no memory for %s", what);
    return VT_OK;
}
