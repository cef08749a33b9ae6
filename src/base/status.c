/* The status table and the one-line error. Text that does not fit is cut with "..." so that the
 * reader sees the cut. */
#include "base/base.h"

#include <errno.h>

typedef struct status_row {
    vt_status status;
    const char *code;
    int http, exit;
} status_row;

static const status_row rows[] = {
#define ROW(name, value, code, http, exit) {VT_##name, code, http, exit},
    VT_STATUS_MAP(ROW)
#undef ROW
};

static const status_row *row_of(vt_status s) {
    size_t count = sizeof rows / sizeof rows[0];
    for (size_t i = 0; i < count; i++)
        if (rows[i].status == s)
            return &rows[i];
    return &rows[count - 1];
}

const char *vt_status_code(vt_status s) {
    return row_of(s)->code;
}

int vt_status_http(vt_status s) {
    return row_of(s)->http;
}

int vt_status_exit(vt_status s) {
    return row_of(s)->exit;
}

/* Length of the longest prefix of s, at most n, that does not end inside a UTF-8 sequence. */
static size_t whole_characters(const char *s, size_t n) {
    while (n > 0 && ((unsigned char)s[n] & 0xC0) == 0x80)
        n--;
    return n;
}

static void mark_cut(char *text, size_t size) {
    size_t keep = whole_characters(text, size - 4);
    memcpy(text + keep, "...", 4);
}

/* What is quoted may be anything: control characters would break the line, bytes that are not UTF-8
 * the JSON that the text ends in. */
static void make_plain(char *text) {
    while (*text) {
        size_t left = strlen(text), n = 1;
        while (n < 4 && n < left && !vt_utf8_valid(text, n))
            n++;
        if (!vt_utf8_valid(text, n)) {
            *text = '?';
            n = 1;
        } else if ((unsigned char)*text < 0x20) {
            *text = ' ';
        }
        text += n;
    }
}

static void set_text(vt_err *err, const char *fmt, va_list args) VT_PRINTF(2, 0);
static void set_text(vt_err *err, const char *fmt, va_list args) {
    int n = vsnprintf(err->text, sizeof err->text, fmt, args);
    if (n < 0)
        err->text[0] = 0;
    else if ((size_t)n >= sizeof err->text)
        mark_cut(err->text, sizeof err->text);
    make_plain(err->text);
}

vt_status vt_fail(vt_err *err, vt_status s, const char *fmt, ...) {
    va_list args;
    err->status = s;
    err->field[0] = 0;
    va_start(args, fmt);
    set_text(err, fmt, args);
    va_end(args);
    return s;
}

vt_status vt_fail_field(vt_err *err, vt_status s, const char *field, const char *fmt, ...) {
    va_list args;
    err->status = s;
    if ((size_t)snprintf(err->field, sizeof err->field, "%s", field) >= sizeof err->field)
        mark_cut(err->field, sizeof err->field);
    va_start(args, fmt);
    set_text(err, fmt, args);
    va_end(args);
    return s;
}

static vt_status status_of_errno(int errnum) {
    switch (errnum) {
    case ENOSPC:
    case EDQUOT:
        return VT_E_FULL;
    case ENOMEM:
        return VT_E_NOMEM;
    case ENOENT:
        return VT_E_NOT_FOUND;
    default:
        return VT_E_IO;
    }
}

static vt_status append_reason(vt_err *err, const char *reason) {
    size_t used = strlen(err->text);
    int n = snprintf(err->text + used, sizeof err->text - used, ": %s", reason);
    if (n < 0 || (size_t)n >= sizeof err->text - used)
        mark_cut(err->text, sizeof err->text);
    return err->status;
}

vt_status vt_fail_errno(vt_err *err, int errnum, const char *fmt, ...) {
    char reason[128];
    va_list args;
    err->status = status_of_errno(errnum);
    err->field[0] = 0;
    va_start(args, fmt);
    set_text(err, fmt, args);
    va_end(args);
    return append_reason(err, strerror_r(errnum, reason, sizeof reason));
}

vt_status vt_fail_nomem(vt_err *err, size_t bytes) {
    return vt_fail(err, VT_E_NOMEM, "out of memory (%zu bytes asked for)", bytes);
}

vt_status vt_fail_prefix(vt_err *err, const char *fmt, ...) {
    char reason[VT_ERR_TEXT_MAX];
    va_list args;
    memcpy(reason, err->text, sizeof reason);
    va_start(args, fmt);
    set_text(err, fmt, args);
    va_end(args);
    return append_reason(err, reason);
}
