/* CLIP's tokenizer, equal to openai/CLIP's simple_tokenizer.py with ftfy left out:
 *
 *     unescape HTML twice -> strip -> runs of white space become one space -> lower case
 *     -> cut into words -> byte-pair encode each
 *
 * The words are those of the reference's regular expression,
 *     <|startoftext|>|<|endoftext|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+
 * matched ignoring case, which after lower-casing only matters for the long s (U+017F): it folds to
 * s. Hand-written rather than PCRE: the alternatives never need to back up, and the classes must be
 * those of one Unicode version throughout.
 *
 * Encoding stops at the first word past the room there is. A word is always encoded whole, even
 * when only its first codes are kept: a merge far to its right can decide about them.
 *
 * Stateless: the vocabulary is immutable, working memory is per call. */
#include "clip/tokenizer.h"

#include "clip/bpe.h"
#include "clip/html.h"
#include "clip/unicode.h"

enum { FILE_MAX = 256 << 20, TEXT_MAX = 1 << 30 };

static vt_status read_file(const char *dir, const char *name, vt_buf *out, vt_err *err) {
    char *path = vt_path_join(dir, name);
    vt_status s = path ? vt_file_read(path, out, err) : vt_fail_nomem(err, strlen(name));
    free(path);
    return s;
}

vt_status vt_tokenizer_open(const char *dir, size_t limit, vt_vocab *out, vt_err *err) {
    vt_buf vocab, merges;
    vt_status s;
    *out = (vt_vocab){0};
    vt_buf_init(&vocab, FILE_MAX);
    vt_buf_init(&merges, FILE_MAX);
    s = read_file(dir, "vocab.json", &vocab, err);
    if (s == VT_OK)
        s = read_file(dir, "merges.txt", &merges, err);
    if (s == VT_OK)
        s = vt_vocab_init(out, &vocab, &merges, limit, err);
    vt_buf_release(&vocab);
    vt_buf_release(&merges);
    return s;
}

/* ---- cleaning --------------------------------------------------------------------------- */

static void strip(const char **text, const char **end) {
    const char *p = *text;
    while (p < *end && vt_char_is_strippable(vt_char_next(&p)))
        *text = p;
    while (*end > *text) {
        p = *end - 1;
        while (((unsigned char)*p & 0xC0) == 0x80)
            p--;
        const char *last = p;
        if (!vt_char_is_strippable(vt_char_next(&p)))
            return;
        *end = last;
    }
}

/* strip() and re.sub(r"\s+", " ", ...). */
static void collapse_spaces(const char *text, size_t n, vt_buf *out) {
    const char *end = text + n, *from;
    strip(&text, &end);
    from = text;
    while (text < end) {
        const char *start = text;
        if (vt_char_classify(vt_char_next(&text)) != VT_CHAR_SPACE)
            continue;
        vt_buf_append(out, from, (size_t)(start - from));
        vt_buf_append(out, " ", 1);
        from = text;
        while (text < end && vt_char_classify(vt_char_next(&text)) == VT_CHAR_SPACE)
            from = text;
        text = from;
    }
    vt_buf_append(out, from, (size_t)(end - from));
}

/* Runs the steps from one buffer to the other and back; the clean text is in buffers[1] then. Each
 * is asked before the next reads it: clearing a buffer would forget that it had failed. */
static vt_status clean(const char *text, size_t n, vt_buf buffers[2], vt_err *err) {
    static void (*const steps[])(const char *, size_t, vt_buf *) = {
        vt_html_unescape, vt_html_unescape, collapse_spaces, vt_text_lower};
    vt_status s = VT_OK;
    for (size_t i = memchr(text, '&', n) ? 0 : 2; s == VT_OK && i < 4; i++) {
        vt_buf *to = &buffers[i % 2];
        vt_buf_clear(to);
        steps[i](text, n, to);
        s = vt_buf_status(to, "the text", err);
        text = to->data;
        n = to->len;
    }
    return s;
}

/* ---- words ------------------------------------------------------------------------------ */

/* Length of the literal at p, ignoring case; 0 when it is not there. */
static size_t match_literal(const char *p, const char *end, const char *literal) {
    const char *start = p;
    for (; *literal; literal++) {
        if (p < end && *p == *literal)
            p++;
        else if (*literal == 's' && end - p >= 2 && memcmp(p, "\xC5\xBF", 2) == 0)
            p += 2;
        else
            return 0;
    }
    return (size_t)(p - start);
}

/* The alternatives of the expression that are spelt out, in its order. */
static size_t match_fixed(const char *p, const char *end) {
    static const char *const fixed[] = {
        "<|startoftext|>", "<|endoftext|>", "'s", "'t", "'re", "'ve", "'m", "'ll", "'d"};
    if (*p != '<' && *p != '\'')
        return 0;
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++) {
        const size_t n = match_literal(p, end, fixed[i]);
        if (n > 0)
            return n;
    }
    return 0;
}

/* The class that the expression gives a character. Ignoring case, a class holds a character when it
 * holds any of its cases, so the combining iota (U+0345, whose capital is a letter) fails the third
 * class as well as the first: no alternative takes it, and it parts words as a space does. */
static vt_char_class class_in_word(const char **p) {
    const uint32_t c = vt_char_next(p);
    return c == 0x345 ? VT_CHAR_SPACE : vt_char_classify(c);
}

/* Steps *p over spaces and then over one word, whose start is returned; NULL at the end. */
static const char *next_word(const char **p, const char *end) {
    const char *start, *after = *p;
    vt_char_class c = VT_CHAR_SPACE;
    size_t fixed;
    for (start = *p; after < end && c == VT_CHAR_SPACE;) {
        start = after;
        c = class_in_word(&after);
    }
    *p = after;
    if (c == VT_CHAR_SPACE)
        return NULL;
    fixed = match_fixed(start, end);
    if (fixed > 0) {
        *p = start + fixed;
        return start;
    }
    while (c != VT_CHAR_NUMBER && after < end && class_in_word(&after) == c)
        *p = after;
    return start;
}

/* ---- encoding --------------------------------------------------------------------------- */

typedef struct id_list {
    uint32_t *ids;
    size_t n, max; /* max leaves room for end-of-text */
} id_list;

static bool is_text(const char *word, size_t n, const char *text) {
    return n == strlen(text) && memcmp(word, text, n) == 0;
}

static vt_status encode_word(vt_bpe *b, const char *word, size_t n, id_list *out, vt_err *err) {
    vt_status s;
    if (is_text(word, n, "<|startoftext|>") || is_text(word, n, "<|endoftext|>")) {
        out->ids[out->n++] = word[2] == 's' ? b->vocab->start : b->vocab->end;
        return VT_OK;
    }
    s = vt_bpe_encode(b, word, n, err);
    if (s != VT_OK)
        return s;
    for (uint32_t i = 0; i != VT_BPE_END && out->n < out->max; i = b->symbols[i].next)
        out->ids[out->n++] = b->symbols[i].id;
    return VT_OK;
}

static vt_status encode_clean(const vt_vocab *v, const vt_buf *text, id_list *out, vt_err *err) {
    const char *p = text->data, *end, *word;
    vt_status s = VT_OK;
    vt_bpe b;
    if (text->len == 0)
        return VT_OK;
    end = p + text->len;
    vt_bpe_init(&b, v);
    while (s == VT_OK && out->n < out->max && p < end && (word = next_word(&p, end)))
        s = encode_word(&b, word, (size_t)(p - word), out, err);
    vt_bpe_release(&b);
    return s;
}

vt_status vt_tokenizer_encode(const vt_vocab *v, const char *text, size_t n, uint32_t *ids,
                              size_t max, size_t *n_ids, vt_err *err) {
    id_list list = {.ids = ids, .max = max - 1};
    const size_t valid = vt_utf8_prefix(text, n);
    vt_buf buffers[2];
    vt_status s;
    assert(max >= 2);
    *n_ids = 0;
    if (valid < n)
        return vt_fail(err, VT_E_INVALID, "the text is not valid UTF-8 at byte %zu", valid);
    vt_buf_init(&buffers[0], TEXT_MAX);
    vt_buf_init(&buffers[1], TEXT_MAX);
    list.ids[list.n++] = v->start;
    s = clean(text, n, buffers, err);
    if (s == VT_OK)
        s = encode_clean(v, &buffers[1], &list, err);
    if (s == VT_OK) {
        list.ids[list.n++] = v->end;
        *n_ids = list.n;
    }
    vt_buf_release(&buffers[0]);
    vt_buf_release(&buffers[1]);
    return s;
}
