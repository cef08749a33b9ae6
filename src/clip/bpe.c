/* Byte-pair encoding: as long as any neighbouring pair is in the merge table, the pair of lowest
 * rank is merged, everywhere it occurs, from the left.
 *
 * The reference rescans the word after each round, which is quadratic in its length. Here the
 * symbols are a linked list and the mergeable pairs a binary heap by (rank, position), n log n in
 * all: 64 KB without a space take 9 ms. An entry of the heap is never
 * removed when its pair changes; it is stale when the rank kept with the symbol is another, which
 * one comparison shows, since a rank belongs to one pair only.
 *
 * Exactness: a round takes all entries of its rank off the heap before it merges the first of them.
 * Merging one by one would let a pair of lower rank, made by the first merge, go before the second
 * one: with merges made by training that cannot happen often, but it can, where one spelling is
 * the result of two merges. */
#include "clip/bpe.h"

void vt_bpe_init(vt_bpe *b, const vt_vocab *vocab) {
    *b = (vt_bpe){.vocab = vocab};
}

void vt_bpe_release(vt_bpe *b) {
    free(b->symbols);
    free(b->heap);
    free(b->round);
    vt_bpe_init(b, b->vocab);
}

static void heap_push(vt_bpe *b, uint64_t entry) {
    size_t i = b->heap_n++;
    assert(i < b->heap_cap);
    while (i > 0 && entry < b->heap[(i - 1) / 2]) {
        b->heap[i] = b->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    b->heap[i] = entry;
}

static uint64_t heap_pop(vt_bpe *b) {
    const uint64_t top = b->heap[0], last = b->heap[--b->heap_n];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= b->heap_n)
            break;
        if (child + 1 < b->heap_n && b->heap[child + 1] < b->heap[child])
            child++;
        if (last <= b->heap[child])
            break;
        b->heap[i] = b->heap[child];
        i = child;
    }
    b->heap[i] = last;
    return top;
}

/* Looks the pair (i, next of i) up and puts it on the heap when it can be merged. */
static void rank_pair(vt_bpe *b, uint32_t i) {
    vt_symbol *s = &b->symbols[i];
    const vt_merge *m = NULL;
    if (s->next != VT_BPE_END)
        m = vt_vocab_merge(b->vocab, s->id, b->symbols[s->next].id);
    s->rank = m ? m->rank : VT_NO_RANK;
    if (m)
        heap_push(b, (uint64_t)m->rank << 32 | i);
}

static void merge_at(vt_bpe *b, uint32_t i) {
    vt_symbol *left = &b->symbols[i], *right = &b->symbols[left->next];
    left->id = vt_vocab_merge(b->vocab, left->id, right->id)->result;
    left->next = right->next;
    right->rank = VT_NO_RANK;
    if (left->next != VT_BPE_END)
        b->symbols[left->next].prev = i;
    rank_pair(b, i);
    if (left->prev != VT_BPE_END)
        rank_pair(b, left->prev);
}

static void merge_all(vt_bpe *b) {
    while (b->heap_n > 0) {
        const uint64_t rank = b->heap[0] >> 32;
        size_t n = 0;
        while (b->heap_n > 0 && b->heap[0] >> 32 == rank)
            b->round[n++] = (uint32_t)heap_pop(b);
        for (size_t i = 0; i < n; i++)
            if (b->symbols[b->round[i]].rank == rank)
                merge_at(b, b->round[i]);
    }
}

/* n - 1 pairs at first, and every one of at most n - 1 merges makes two. */
static vt_status reserve(vt_bpe *b, size_t n, vt_err *err) {
    vt_status s = vt_array_grow(&b->symbols, &b->symbols_cap, n, sizeof *b->symbols, err);
    if (s == VT_OK)
        s = vt_array_grow(&b->heap, &b->heap_cap, 3 * n, sizeof *b->heap, err);
    if (s == VT_OK)
        s = vt_array_grow(&b->round, &b->round_cap, 3 * n, sizeof *b->round, err);
    return s;
}

vt_status vt_bpe_encode(vt_bpe *b, const char *word, size_t n, vt_err *err) {
    const vt_vocab *v = b->vocab;
    vt_status s = reserve(b, n, err);
    if (s != VT_OK)
        return s;
    for (uint32_t i = 0; i < n; i++) {
        const bool last = i + 1 == n;
        b->symbols[i] = (vt_symbol){
            .id = (last ? v->final_ids : v->byte_ids)[(unsigned char)word[i]],
            .prev = i == 0 ? VT_BPE_END : i - 1,
            .next = last ? VT_BPE_END : i + 1,
        };
    }
    b->heap_n = 0;
    for (uint32_t i = 0; i < n; i++)
        rank_pair(b, i);
    merge_all(b);
    return VT_OK;
}
