/* Plain bitsets, 64 slots a word: what filters are made of, and what says which slots live.
 *
 * Rejected: roaring bitmaps (they shrink sparse sets, but an AND of two plain ones over 100,000
 * slots takes under half a microsecond, roaring 4; and the memory is 12 KB a set).
 *
 * Invariant: every bit of words[0..cap) at and above n is 0, so counts need no care at the end. */
#include "index/index.h"

static size_t words_for(size_t n) {
    return n / 64 + (n % 64 != 0);
}

/* The bits of the last word that are in use; all ones where it is full. */
static uint64_t last_word(size_t n) {
    return n % 64 ? ((uint64_t)1 << n % 64) - 1 : UINT64_MAX;
}

void vt_bitset_init(vt_bitset *b) {
    *b = (vt_bitset){0};
}

void vt_bitset_release(vt_bitset *b) {
    free(b->words);
    vt_bitset_init(b);
}

vt_status vt_bitset_resize(vt_bitset *b, size_t n, vt_err *err) {
    size_t before = b->cap, words = words_for(n);
    vt_status s = vt_array_grow(&b->words, &b->cap, words, sizeof *b->words, err);
    if (s != VT_OK) {
        return s;
    }
    if (b->cap > before) {
        memset(b->words + before, 0, (b->cap - before) * sizeof *b->words);
    }
    if (n < b->n) {
        memset(b->words + words, 0, (words_for(b->n) - words) * sizeof *b->words);
        if (words > 0) {
            b->words[words - 1] &= last_word(n);
        }
    }
    b->n = n;
    return VT_OK;
}

void vt_bitset_fill(vt_bitset *b, bool value) {
    size_t words = words_for(b->n);
    if (words > 0) {
        memset(b->words, value ? 0xFF : 0, words * sizeof *b->words);
        b->words[words - 1] &= last_word(b->n);
    }
}

void vt_bitset_set(vt_bitset *b, size_t i, bool value) {
    uint64_t bit = (uint64_t)1 << i % 64;
    assert(i < b->n);
    if (value) {
        b->words[i / 64] |= bit;
    } else {
        b->words[i / 64] &= ~bit;
    }
}

bool vt_bitset_get(const vt_bitset *b, size_t i) {
    return i < b->n && (b->words[i / 64] >> i % 64 & 1);
}

void vt_bitset_and(vt_bitset *b, const vt_bitset *other) {
    size_t words = words_for(b->n), shared = words_for(other->n);
    for (size_t i = 0; i < words; i++) {
        b->words[i] &= i < shared ? other->words[i] : 0;
    }
}

size_t vt_bitset_count(const vt_bitset *b) {
    size_t count = 0;
    for (size_t i = 0; i < words_for(b->n); i++) {
        count += (size_t)__builtin_popcountll(b->words[i]);
    }
    return count;
}

vt_status vt_bitset_check(const vt_bitset *b, vt_err *err) {
    size_t words = words_for(b->n);
    if (words > b->cap) {
        return vt_fail(err, VT_E_CORRUPT, "a bitset of %zu bits has %zu words", b->n, b->cap);
    }
    for (size_t i = words; i < b->cap; i++) {
        if (b->words[i] != 0) {
            return vt_fail(err, VT_E_CORRUPT, "a bitset of %zu bits has some in word %zu", b->n, i);
        }
    }
    if (words > 0 && (b->words[words - 1] & ~last_word(b->n)) != 0) {
        return vt_fail(err, VT_E_CORRUPT, "a bitset of %zu bits has some above", b->n);
    }
    return VT_OK;
}
