/* Numbers, UTF-8 and base64 out of foreign text. Everything is whole-string and range-checked. */
#include "base/base.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>

bool vt_parse_u64(const char *s, uint64_t max, uint64_t *out) {
    uint64_t v = 0;
    if (!*s)
        return false;
    for (; *s; s++) {
        if (*s < '0' || *s > '9')
            return false;
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, *s - '0', &v))
            return false;
    }
    if (v > max)
        return false;
    *out = v;
    return true;
}

static locale_t c_locale;
static pthread_once_t c_locale_once = PTHREAD_ONCE_INIT;

static void make_c_locale(void) {
    c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

bool vt_parse_f64(const char *s, double *out) {
    char *end;
    double v;
    pthread_once(&c_locale_once, make_c_locale);
    if (!strchr("+-.0123456789", *s) || !*s || strpbrk(s, "xXnN")) /* no hex, nan, inf */
        return false;
    v = c_locale ? strtod_l(s, &end, c_locale) : strtod(s, &end);
    if (end == s || *end || !isfinite(v))
        return false;
    *out = v;
    return true;
}

/* Length of the well-formed sequence at s (Unicode 15, table 3-7), 0 where there is none. */
static size_t sequence_length(const unsigned char *s, size_t n) {
    unsigned char low = 0x80, high = 0xBF;
    size_t len;
    if (s[0] >= 1 && s[0] < 0x80)
        return 1;
    if (s[0] >= 0xC2 && s[0] <= 0xDF)
        len = 2;
    else if (s[0] >= 0xE0 && s[0] <= 0xEF)
        len = 3;
    else if (s[0] >= 0xF0 && s[0] <= 0xF4)
        len = 4;
    else
        return 0;
    if (s[0] == 0xE0)
        low = 0xA0; /* overlong */
    else if (s[0] == 0xED)
        high = 0x9F; /* surrogates */
    else if (s[0] == 0xF0)
        low = 0x90; /* overlong */
    else if (s[0] == 0xF4)
        high = 0x8F; /* above U+10FFFF */
    if (len > n || s[1] < low || s[1] > high)
        return 0;
    for (size_t i = 2; i < len; i++)
        if ((s[i] & 0xC0) != 0x80)
            return 0;
    return len;
}

bool vt_utf8_valid(const char *s, size_t n) {
    const unsigned char *p = (const unsigned char *)s;
    size_t i = 0;
    while (i < n) {
        size_t len = sequence_length(p + i, n - i);
        if (len == 0)
            return false;
        i += len;
    }
    return true;
}

/* The alphabet's value of c, -1 for '=', -2 for white space, -3 for anything else. */
static int base64_value(unsigned char c) {
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+')
        return 62;
    if (c == '/')
        return 63;
    if (c == '=')
        return -1;
    return c == ' ' || c == '\t' || c == '\r' || c == '\n' ? -2 : -3;
}

/* OpenSSL's decoder is lenient (it stops silently at some errors and counts padding as data), and
 * a broken upload must be told, so these few lines are our own. */
vt_status vt_base64_decode(const char *s, size_t n, vt_buf *out, vt_err *err) {
    uint32_t bits = 0;
    unsigned have = 0, digits = 0, padding = 0;
    for (size_t i = 0; i < n; i++) {
        int v = base64_value((unsigned char)s[i]);
        if (v == -2)
            continue;
        if (v == -3)
            return vt_fail(err, VT_E_INVALID, "not base64: character 0x%02x at offset %zu",
                           (unsigned char)s[i], i);
        if (v == -1) {
            padding++;
            continue;
        }
        if (padding > 0)
            return vt_fail(err, VT_E_INVALID, "not base64: data after the padding at offset %zu",
                           i);
        bits = bits << 6 | (uint32_t)v;
        have += 6;
        digits++;
        if (have >= 8) {
            unsigned char byte = (unsigned char)(bits >> (have - 8));
            have -= 8;
            vt_buf_append(out, &byte, 1);
        }
    }
    if (digits % 4 == 1 || (bits & ((1u << have) - 1)) != 0 ||
        (padding > 0 && (digits + padding) % 4 != 0) || padding > 2)
        return vt_fail(err, VT_E_INVALID, "not base64: it ends in the middle of a group");
    return vt_buf_status(out, "the decoded base64", err);
}

const char *vt_human_bytes(uint64_t n, char out[16]) {
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
    double v = (double)n;
    size_t u = 0;
    while (v >= 999.5 && u < 6) {
        v /= 1000;
        u++;
    }
    snprintf(out, 16, v < 9.95 && u > 0 ? "%.1f %s" : "%.0f %s", v, units[u]);
    return out;
}
