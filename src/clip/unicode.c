/* Character properties and lower case. The tables are utf8proc's; what is added here is where
 * Python differs from a plain table look-up: two ideas of white space, U+0130 whose lower case is
 * two characters, and the capital sigma, whose lower case depends on its place in the word
 * (Unicode 15, section 3.13, Final_Sigma). ASCII, which is nearly all of a shop's queries, never
 * reaches a table. */
#include "clip/unicode.h"

#include <utf8proc.h>

enum { CAPITAL_I_DOT = 0x130, CAPITAL_SIGMA = 0x3A3, SMALL_SIGMA = 0x3C3, FINAL_SIGMA = 0x3C2 };

uint32_t vt_char_next(const char **p) {
    const uint8_t *s = (const uint8_t *)*p;
    if (s[0] < 0x80) {
        *p += 1;
        return s[0];
    }
    if (s[0] < 0xE0) {
        *p += 2;
        return (s[0] & 0x1FU) << 6 | (s[1] & 0x3FU);
    }
    if (s[0] < 0xF0) {
        *p += 3;
        return (s[0] & 0xFU) << 12 | (s[1] & 0x3FU) << 6 | (s[2] & 0x3FU);
    }
    *p += 4;
    return (s[0] & 7U) << 18 | (s[1] & 0x3FU) << 12 | (s[2] & 0x3FU) << 6 | (s[3] & 0x3FU);
}

/* The character that ends before *p. */
static uint32_t char_before(const char **p) {
    const char *start = *p;
    do
        start--;
    while (((unsigned char)*start & 0xC0) == 0x80);
    *p = start;
    return vt_char_next(&start);
}

size_t vt_utf8_prefix(const char *text, size_t n) {
    size_t i = 0;
    while (i < n) {
        utf8proc_int32_t c;
        utf8proc_ssize_t used = 1;
        if ((unsigned char)text[i] >= 0x80)
            used =
                utf8proc_iterate((const utf8proc_uint8_t *)text + i, (utf8proc_ssize_t)(n - i), &c);
        if (used <= 0)
            return i;
        i += (size_t)used;
    }
    return n;
}

static bool is_white_space(uint32_t c) {
    return c == ' ' || (c >= '\t' && c <= '\r') || c == 0x85 || c == 0xA0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
           c == 0x205F || c == 0x3000;
}

bool vt_char_is_strippable(uint32_t c) {
    return is_white_space(c) || (c >= 0x1C && c <= 0x1F);
}

vt_char_class vt_char_classify(uint32_t c) {
    if (c < 0x80) {
        if ((c | 0x20) >= 'a' && (c | 0x20) <= 'z')
            return VT_CHAR_LETTER;
        if (c >= '0' && c <= '9')
            return VT_CHAR_NUMBER;
    }
    if (is_white_space(c))
        return VT_CHAR_SPACE;
    if (c < 0x80)
        return VT_CHAR_OTHER;
    switch (utf8proc_category((utf8proc_int32_t)c)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
        return VT_CHAR_LETTER;
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
        return VT_CHAR_NUMBER;
    default:
        return VT_CHAR_OTHER;
    }
}

/* Case_Ignorable: by category, and the punctuation that may stand inside a word. */
static bool is_case_ignorable(uint32_t c) {
    static const uint16_t inside_words[] = {0x27,   0x2E,   0x3A,   0xB7,   0x387,  0x55F,
                                            0x5F4,  0x2018, 0x2019, 0x2024, 0x2027, 0xFE13,
                                            0xFE52, 0xFE55, 0xFF07, 0xFF0E, 0xFF1A};
    for (size_t i = 0; i < sizeof inside_words / sizeof *inside_words; i++)
        if (c == inside_words[i])
            return true;
    switch (utf8proc_category((utf8proc_int32_t)c)) {
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_SK:
        return true;
    default:
        return false;
    }
}

/* Cased, for a character that is not case-ignorable: the cased categories and the ranges of
 * Other_Lowercase and Other_Uppercase outside them (ordinals, Roman numerals, letters in rings and
 * boxes). */
static bool is_cased(uint32_t c) {
    switch (utf8proc_category((utf8proc_int32_t)c)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
        return true;
    default:
        return c == 0xAA || c == 0xBA || (c >= 0x2160 && c <= 0x217F) ||
               (c >= 0x24B6 && c <= 0x24E9) || (c >= 0x1F130 && c <= 0x1F149) ||
               (c >= 0x1F150 && c <= 0x1F169) || (c >= 0x1F170 && c <= 0x1F189);
    }
}

/* A capital sigma ends a word when a cased letter goes before it and none follows, whatever
 * case-ignorable characters stand between. Runs of those are walked once from each side, so a text
 * made of them stays linear. */
static bool sigma_is_final(const char *begin, const char *sigma, const char *after,
                           const char *end) {
    uint32_t c = 0;
    bool found = false;
    while (!found && sigma > begin) {
        c = char_before(&sigma);
        found = !is_case_ignorable(c);
    }
    if (!found || !is_cased(c))
        return false;
    while (after < end) {
        c = vt_char_next(&after);
        if (!is_case_ignorable(c))
            return !is_cased(c);
    }
    return true;
}

static void append_char(uint32_t c, vt_buf *out) {
    utf8proc_uint8_t bytes[4];
    vt_buf_append(out, bytes, (size_t)utf8proc_encode_char((utf8proc_int32_t)c, bytes));
}

/* Appends the lower case of a run of ASCII and returns its end. */
static const char *lower_ascii(const char *p, const char *end, vt_buf *out) {
    char piece[64];
    size_t n = 0;
    while (p < end && n < sizeof piece && (unsigned char)*p < 0x80) {
        const char c = *p++;
        piece[n++] = (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
    }
    vt_buf_append(out, piece, n);
    return p;
}

void vt_text_lower(const char *text, size_t n, vt_buf *out) {
    const char *p = text, *end = text + n;
    while (p < end) {
        const char *start = p;
        uint32_t c;
        p = lower_ascii(p, end, out);
        if (p != start)
            continue;
        c = vt_char_next(&p);
        if (c == CAPITAL_SIGMA)
            c = sigma_is_final(text, start, p, end) ? FINAL_SIGMA : SMALL_SIGMA;
        else if (c == CAPITAL_I_DOT)
            vt_buf_append(out, "i\xCC\x87", 3);
        else
            c = (uint32_t)utf8proc_tolower((utf8proc_int32_t)c);
        if (c != CAPITAL_I_DOT)
            append_char(c, out);
    }
}
