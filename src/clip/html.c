/* Character references in text: "&amp;", "&eacute" (the semicolon may be missing where HTML 4
 * allowed it), "&#233;", "&#xe9;". CLIP's tokenizer unescapes twice before anything else, because
 * its training captions came from web pages; so must we, with the same corner cases: the longest
 * known name wins ("&notit;" is U+00AC and "it;"), numbers of the C1 block mean windows-1252, and
 * numbers that are no character give U+FFFD or nothing at all.
 *
 * The names are a table generated from Python's own and searched by bisection. */
#include "clip/html.h"

#include <utf8proc.h>

typedef struct entity {
    const char *name, *text;
} entity;

static const entity entities[] = {
#include "clip/entities.inc"
};

/* Longest name that may stand without its semicolon ("Aacute"), and longest run of characters
 * that is looked up at all ("CounterClockwiseContourIntegral;" without its semicolon). */
enum { BARE_NAME_MAX = 6, NAME_MAX_CHARS = 32, REPLACEMENT = 0xFFFD };

/* By memcmp: a NUL is a character of the text like any other, and must not end the comparison. */
static int compare_name(const char *name, size_t n, const char *known) {
    const size_t length = strlen(known);
    const int c = memcmp(name, known, n < length ? n : length);
    return c != 0 ? c : (n > length) - (n < length);
}

static const char *find_entity(const char *name, size_t n) {
    size_t low = 0, high = sizeof entities / sizeof *entities;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const int c = compare_name(name, n, entities[middle].name);
        if (c == 0)
            return entities[middle].text;
        if (c < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

/* What windows-1252 has at 0x80..0x9F, where pages meant that and wrote the byte's number. */
static const uint16_t windows_1252[32] = {
    0x20AC, 0x81,   0x201A, 0x192,  0x201E, 0x2026, 0x2020, 0x2021, 0x2C6,  0x2030, 0x160,
    0x2039, 0x152,  0x8D,   0x17D,  0x8F,   0x90,   0x2018, 0x2019, 0x201C, 0x201D, 0x2022,
    0x2013, 0x2014, 0x2DC,  0x2122, 0x161,  0x203A, 0x153,  0x9D,   0x17E,  0x178,
};

static bool is_dropped(uint32_t c) {
    return (c < 0x20 && c != '\t' && c != '\n' && c != '\f' && c != '\r') || c == 0x7F ||
           (c >= 0xFDD0 && c <= 0xFDEF) || (c & 0xFFFE) == 0xFFFE;
}

static void append_char(uint32_t c, vt_buf *out) {
    utf8proc_uint8_t bytes[4];
    vt_buf_append(out, bytes, (size_t)utf8proc_encode_char((utf8proc_int32_t)c, bytes));
}

static void append_number(uint32_t c, vt_buf *out) {
    if (c == 0 || (c >= 0xD800 && c <= 0xDFFF) || c > 0x10FFFF)
        append_char(REPLACEMENT, out);
    else if (c >= 0x80 && c <= 0x9F)
        append_char(windows_1252[c - 0x80], out);
    else if (!is_dropped(c))
        append_char(c, out);
}

static int digit_of(char c, unsigned base) {
    int d = -1;
    if (c >= '0' && c <= '9')
        d = c - '0';
    else if (base == 16 && c >= 'a' && c <= 'f')
        d = c - 'a' + 10;
    else if (base == 16 && c >= 'A' && c <= 'F')
        d = c - 'A' + 10;
    return d;
}

/* text begins after "&#". Returns how many bytes of it were used; 0 when it is no reference. */
static size_t take_number(const char *text, size_t n, vt_buf *out) {
    const unsigned base = n > 0 && (text[0] == 'x' || text[0] == 'X') ? 16 : 10;
    const size_t first = base == 16 ? 1 : 0;
    uint32_t c = 0;
    size_t i = first;
    for (int d; i < n && (d = digit_of(text[i], base)) >= 0; i++)
        c = c > 0x10FFFF ? c : c * base + (uint32_t)d; /* stays too large once it is */
    if (i == first)
        return 0;
    append_number(c, out);
    return i < n && text[i] == ';' ? i + 1 : i;
}

/* Length in bytes of the run that may be a name, its semicolon included. */
static size_t name_length(const char *text, size_t n) {
    static const char stops[] = {'\t', '\n', '\f', ' ', '<', '&', '#', ';'};
    size_t i = 0;
    for (size_t chars = 0; i < n && !memchr(stops, text[i], sizeof stops); chars++) {
        if (chars == NAME_MAX_CHARS)
            return i;
        do
            i++;
        while (i < n && ((unsigned char)text[i] & 0xC0) == 0x80);
    }
    return i > 0 && i < n && text[i] == ';' ? i + 1 : i;
}

/* text begins after "&". As above. */
static size_t take_name(const char *text, size_t n, vt_buf *out) {
    const size_t length = name_length(text, n);
    const char *found = length > 0 ? find_entity(text, length) : NULL;
    size_t used = length;
    if (!found)
        for (used = length <= BARE_NAME_MAX ? length : BARE_NAME_MAX + 1; !found && used-- > 2;)
            found = find_entity(text, used);
    if (!found)
        return 0;
    vt_buf_puts(out, found);
    return used;
}

void vt_html_unescape(const char *text, size_t n, vt_buf *out) {
    const char *end = text + n, *plain = text;
    while (plain < end) {
        const char *amp = memchr(plain, '&', (size_t)(end - plain));
        size_t used;
        if (!amp)
            break;
        vt_buf_append(out, plain, (size_t)(amp - plain));
        if (amp + 1 < end && amp[1] == '#') {
            used = take_number(amp + 2, (size_t)(end - amp - 2), out);
            used = used > 0 ? used + 1 : 0;
        } else {
            used = take_name(amp + 1, (size_t)(end - amp - 1), out);
        }
        if (used == 0)
            vt_buf_append(out, "&", 1);
        plain = amp + 1 + used;
    }
    vt_buf_append(out, plain, (size_t)(end - plain));
}
