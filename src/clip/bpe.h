/* bpe (private): byte-pair encoding of one word at a time, with its working memory. */
#ifndef VT_CLIP_BPE_H
#define VT_CLIP_BPE_H

#include "clip/vocab.h"

/* A piece of the word, in a list: left to right by `next`, the first one is symbol 0. */
typedef struct vt_symbol {
    uint32_t id;
    uint32_t prev, next; /* VT_BPE_END at the ends */
    uint32_t rank;       /* of its merge with the next symbol; VT_NO_RANK when there is none */
} vt_symbol;

#define VT_BPE_END UINT32_MAX

/* Working memory, kept from word to word. */
typedef struct vt_bpe {
    const vt_vocab *vocab;
    vt_symbol *symbols;
    size_t symbols_cap;
    uint64_t *heap; /* rank << 32 | symbol */
    size_t heap_n, heap_cap;
    uint32_t *round; /* symbols to merge in this round */
    size_t round_cap;
} vt_bpe;

void vt_bpe_init(vt_bpe *b, const vt_vocab *vocab);
void vt_bpe_release(vt_bpe *b);
/* Encodes a word of n bytes, 1 <= n < 2^30; the ids are then the list that starts at symbols[0].
 * E_NOMEM. */
vt_status vt_bpe_encode(vt_bpe *b, const char *word, size_t n, vt_err *err) VT_MUST_USE;

#endif
