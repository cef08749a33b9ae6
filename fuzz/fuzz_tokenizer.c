/* A text of any bytes, through a vocabulary of the byte tokens and a few merges. What is kept does
 * not depend on how much room there is, and every id is a token. */
#include "clip/tokenizer.h"

#include <utf8proc.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MOST = 1 << 16 };

static void add_token(vt_json *w, const char *token, int *next) {
    vt_json_key(w, token);
    vt_json_int(w, (*next)++);
}

static void write_vocab(vt_buf *out) {
    static const char *const merged[] = {"th",     "the</w>",         "ab",           "aba", "bab",
                                         "'s</w>", "<|startoftext|>", "<|endoftext|>"};
    vt_json w;
    int next = 0;
    vt_json_init(&w, out);
    vt_json_open(&w, '{');
    for (utf8proc_int32_t b = 0, odd = 256; b < 256; b++) {
        const bool plain = (b > 32 && b < 127) || (b > 160 && b != 173);
        char token[12] = {0};
        size_t n = (size_t)utf8proc_encode_char(plain ? b : odd++, (utf8proc_uint8_t *)token);
        add_token(&w, token, &next);
        memcpy(token + n, "</w>", 5);
        add_token(&w, token, &next);
    }
    for (size_t i = 0; i < sizeof merged / sizeof *merged; i++)
        add_token(&w, merged[i], &next);
    vt_json_close(&w, '}');
}

static const vt_vocab *vocabulary(void) {
    static vt_vocab vocab;
    vt_buf tokens, merges;
    vt_err err;
    if (vocab.size > 0)
        return &vocab;
    vt_buf_init(&tokens, 1 << 20);
    vt_buf_init(&merges, 1 << 20);
    write_vocab(&tokens);
    vt_buf_puts(&merges, "#version\nt h\nth e</w>\na b\nab a\nb ab\n' s</w>\n");
    if (vt_vocab_init(&vocab, &tokens, &merges, 4096, &err) != VT_OK) {
        fprintf(stderr, "%s\n", err.text);
        abort();
    }
    vt_buf_release(&tokens);
    vt_buf_release(&merges);
    return &vocab;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static uint32_t all[MOST], some[16];
    const vt_vocab *v = vocabulary();
    const char *text = (const char *)data;
    size_t n_all, n_some;
    vt_err err;
    const vt_status s = vt_tokenizer_encode(v, text, size, all, MOST, &n_all, &err);
    if (s != vt_tokenizer_encode(v, text, size, some, 16, &n_some, &err))
        abort();
    if (s != VT_OK)
        return 0;
    if (n_some != (n_all < 16 ? n_all : 16) || all[0] != v->start || some[n_some - 1] != v->end ||
        memcmp(all, some, (n_some - 1) * sizeof *all) != 0)
        abort();
    for (size_t i = 0; i < n_all; i++)
        if (all[i] >= v->size)
            abort();
    return 0;
}
