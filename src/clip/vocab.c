/* vocab.json maps tokens to ids; merges.txt lists, one a line and most frequent first, the pairs
 * that byte-pair encoding joins (Sennrich et al. 2016). Bytes are spelt as printable characters,
 * GPT-2's way, and a token that ends a word carries "</w>".
 *
 * Encoding needs none of the spellings: each byte is an id, each merge is (id, id) -> id. So the
 * files are checked once, here, and only the table of merges is kept, hashed by its pair. A perfect
 * hash or a trie of spellings would save nothing that shows: a query of five words takes one
 * microsecond.
 *
 * Invariants after init: every byte has both its tokens, every merge's parts and result are
 * tokens, ids are unique and below the limit, no pair occurs twice. */
#include "clip/vocab.h"

#include <utf8proc.h>

static const char start_text[] = "<|startoftext|>";
static const char end_text[] = "<|endoftext|>";
static const char word_end[] = "</w>";

/* What init needs while it reads; freed with it. */
typedef struct reading {
    vt_vocab *v;
    json_t *tokens;
    size_t limit;
    vt_hasher *hasher;
    vt_err *err;
} reading;

static size_t slot_of(const vt_vocab *v, uint32_t left, uint32_t right) {
    const uint64_t key = (uint64_t)left << 32 | right;
    return (size_t)((key * UINT64_C(0x9E3779B97F4A7C15)) >> 32) & v->mask;
}

/* The slot that holds the pair, or the empty one where it belongs. */
static vt_merge *probe(const vt_vocab *v, uint32_t left, uint32_t right) {
    size_t i = slot_of(v, left, right);
    while (v->slots[i].rank != VT_NO_RANK &&
           (v->slots[i].left != left || v->slots[i].right != right))
        i = (i + 1) & v->mask;
    return &v->slots[i];
}

const vt_merge *vt_vocab_merge(const vt_vocab *v, uint32_t left, uint32_t right) {
    const vt_merge *m = probe(v, left, right);
    return m->rank == VT_NO_RANK ? NULL : m;
}

static bool find_token(const reading *r, const char *token, size_t n, uint32_t *id) {
    const json_t *v = json_object_getn(r->tokens, token, n);
    if (v)
        *id = (uint32_t)json_integer_value(v);
    return v != NULL;
}

static vt_status need_token(const reading *r, const char *token, uint32_t *id) {
    if (find_token(r, token, strlen(token), id))
        return VT_OK;
    return vt_fail(r->err, VT_E_MODEL, "vocab.json: no token \"%s\"", token);
}

/* Fills by_id, one spelling an id. */
static vt_status order_tokens(const reading *r, const char **by_id) {
    const char *token;
    json_t *id;
    json_object_foreach(r->tokens, token, id) {
        const json_int_t i = json_integer_value(id);
        if (!json_is_integer(id) || i < 0 || (uint64_t)i >= r->limit)
            return vt_fail(r->err, VT_E_MODEL,
                           "vocab.json: token \"%.60s\" has no id from 0 to %zu", token,
                           r->limit - 1);
        if (by_id[i])
            return vt_fail(r->err, VT_E_MODEL,
                           "vocab.json: tokens \"%.60s\" and \"%.60s\" share the id %lld", by_id[i],
                           token, (long long)i);
        by_id[i] = token;
        if ((uint32_t)i > r->v->highest)
            r->v->highest = (uint32_t)i;
    }
    return VT_OK;
}

static vt_status check_tokens(reading *r) {
    const char **by_id;
    vt_status s;
    if (!json_is_object(r->tokens))
        return vt_fail(r->err, VT_E_MODEL, "vocab.json: not an object");
    by_id = vt_alloc(r->limit, sizeof *by_id);
    if (!by_id)
        return vt_fail_nomem(r->err, r->limit * sizeof *by_id);
    s = order_tokens(r, by_id);
    for (size_t i = 0; s == VT_OK && i < r->limit; i++) {
        const char *token = by_id[i] ? by_id[i] : "";
        vt_hasher_add(r->hasher, token, strlen(token) + 1);
    }
    r->v->size = json_object_size(r->tokens);
    free(by_id);
    return s;
}

/* The character that stands for a byte: itself where it is printable, else the next free one from
 * U+0100. */
static void spell_bytes(uint32_t spelling[256]) {
    uint32_t next = 0x100;
    for (uint32_t b = 0; b < 256; b++) {
        const bool printable =
            (b >= '!' && b <= '~') || (b >= 0xA1 && b <= 0xAC) || (b >= 0xAE && b <= 0xFF);
        spelling[b] = printable ? b : next++;
    }
}

static vt_status find_bytes(const reading *r) {
    uint32_t spelling[256];
    spell_bytes(spelling);
    for (size_t b = 0; b < 256; b++) {
        char token[4 + sizeof word_end];
        const size_t n =
            (size_t)utf8proc_encode_char((utf8proc_int32_t)spelling[b], (utf8proc_uint8_t *)token);
        vt_status s;
        token[n] = 0;
        s = need_token(r, token, &r->v->byte_ids[b]);
        memcpy(token + n, word_end, sizeof word_end);
        if (s == VT_OK)
            s = need_token(r, token, &r->v->final_ids[b]);
        if (s != VT_OK)
            return s;
    }
    return VT_OK;
}

static vt_status bad_line(const reading *r, size_t line, const char *text, size_t n,
                          const char *why) {
    return vt_fail(r->err, VT_E_MODEL, "merges.txt: line %zu, \"%.*s\": %s", line,
                   n < 60 ? (int)n : 60, text, why);
}

static vt_status read_merge(const reading *r, const char *text, size_t n, size_t line) {
    const char *space = memchr(text, ' ', n);
    const size_t left_n = space ? (size_t)(space - text) : 0;
    char whole[512];
    vt_merge m = {.rank = (uint32_t)line - 2};
    vt_merge *slot;
    if (left_n == 0 || n - left_n < 2 || memchr(space + 1, ' ', n - left_n - 1))
        return bad_line(r, line, text, n, "not two tokens with a space between");
    if (n > sizeof whole)
        return bad_line(r, line, text, n, "too long");
    if (!find_token(r, text, left_n, &m.left) ||
        !find_token(r, space + 1, n - left_n - 1, &m.right))
        return bad_line(r, line, text, n, "a part is not in vocab.json");
    memcpy(whole, text, left_n);
    memcpy(whole + left_n, space + 1, n - left_n - 1);
    if (!find_token(r, whole, n - 1, &m.result))
        return bad_line(r, line, text, n, "the joined token is not in vocab.json");
    slot = probe(r->v, m.left, m.right);
    if (slot->rank != VT_NO_RANK)
        return bad_line(r, line, text, n, "the pair was listed before");
    *slot = m;
    vt_hasher_add(r->hasher, &m, sizeof m);
    return VT_OK;
}

static vt_status make_slots(reading *r, size_t lines) {
    size_t n = 16;
    while (n < 2 * lines)
        n *= 2;
    r->v->slots = vt_alloc(n, sizeof *r->v->slots);
    if (!r->v->slots)
        return vt_fail_nomem(r->err, n * sizeof *r->v->slots);
    r->v->mask = n - 1;
    for (size_t i = 0; i < n; i++)
        r->v->slots[i].rank = VT_NO_RANK;
    return VT_OK;
}

/* The first line is a comment in every reader of this format, whatever it says; we ask that it
 * looks like one, lest a merge be lost silently. */
static vt_status read_merges(reading *r, const char *text, size_t n) {
    const char *end = text + n;
    size_t lines = 1;
    vt_status s;
    while (end > text && (end[-1] == '\n' || end[-1] == '\r'))
        end--;
    for (const char *p = text; p < end; p++)
        lines += *p == '\n';
    s = make_slots(r, lines);
    for (size_t line = 1; s == VT_OK && line <= lines; line++) {
        const char *stop = memchr(text, '\n', (size_t)(end - text));
        const char *next = stop ? stop + 1 : end;
        size_t length = (size_t)((stop ? stop : end) - text);
        if (length > 0 && text[length - 1] == '\r')
            length--;
        if (line > 1)
            s = read_merge(r, text, length, line);
        else if (!memmem(text, length, "#version", 8))
            s = bad_line(r, line, text, length, "expected the comment #version");
        text = next;
    }
    return s;
}

static vt_status read_both(reading *r, const vt_buf *vocab, const vt_buf *merges) {
    vt_status s = vt_json_parse(vocab->data ? vocab->data : "", vocab->len, &r->tokens, r->err);
    if (s == VT_E_PARSE)
        r->err->status = VT_E_MODEL;
    if (s != VT_OK)
        return vt_fail_prefix(r->err, "vocab.json");
    s = check_tokens(r);
    if (s == VT_OK)
        s = find_bytes(r);
    if (s == VT_OK)
        s = need_token(r, start_text, &r->v->start);
    if (s == VT_OK)
        s = need_token(r, end_text, &r->v->end);
    if (s == VT_OK)
        s = read_merges(r, merges->data ? merges->data : "", merges->len);
    return s;
}

vt_status vt_vocab_init(vt_vocab *v, const vt_buf *vocab, const vt_buf *merges, size_t limit,
                        vt_err *err) {
    reading r = {.v = v, .limit = limit, .err = err};
    vt_status s;
    *v = (vt_vocab){0};
    s = vt_hasher_open(&r.hasher, err);
    if (s == VT_OK)
        s = read_both(&r, vocab, merges);
    v->digest = vt_hasher_close(r.hasher);
    json_decref(r.tokens);
    if (s != VT_OK)
        vt_vocab_release(v);
    return s;
}

void vt_vocab_release(vt_vocab *v) {
    free(v->slots);
    *v = (vt_vocab){0};
}
