/* Fields out of a file's bytes, none of them beyond its end. The invariant: at + left is that end,
 * and left only falls. */
#include "faiss/cursor.h"

vt_status vt_cursor_fail(const vt_cursor *c, const char *field, vt_err *err, const char *fmt, ...) {
    char why[VT_ERR_TEXT_MAX];
    va_list args;
    va_start(args, fmt);
    vsnprintf(why, sizeof why, fmt, args);
    va_end(args);
    return vt_fail(err, VT_E_PARSE, "%s, %s: %s", c->part, field, why);
}

vt_status vt_cursor_take(vt_cursor *c, const char *field, void *out, size_t n, vt_err *err) {
    if (n > c->left)
        return vt_cursor_fail(c, field, err, "the file ends here");
    memcpy(out, c->at, n);
    c->at += n;
    c->left -= n;
    return VT_OK;
}

vt_status vt_cursor_run(vt_cursor *c, const char *field, size_t count, size_t size, vt_run *out,
                        vt_err *err) {
    if (count > c->left / size)
        return vt_cursor_fail(c, field, err, "%zu elements of %zu bytes, but %zu bytes are left",
                              count, size, c->left);
    *out = (vt_run){.at = c->at, .count = count};
    c->at += count * size;
    c->left -= count * size;
    return VT_OK;
}

vt_status vt_cursor_vector(vt_cursor *c, const char *field, size_t size, vt_run *out, vt_err *err) {
    uint64_t count = 0;
    vt_status s = vt_cursor_take(c, field, &count, sizeof count, err);
    return s == VT_OK ? vt_cursor_run(c, field, count, size, out, err) : s;
}
