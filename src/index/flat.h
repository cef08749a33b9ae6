/* Private to index: what a flat index is made of, for the two ways of searching it. */
#ifndef VT_INDEX_FLAT_H
#define VT_INDEX_FLAT_H

#include "index/codes.h"
#include "index/index.h"

#define VT_WORD_ROWS   64
#define VT_CHUNK_WORDS (VT_CHUNK_ROWS / VT_WORD_ROWS)

/* Codes of VT_CHUNK_ROWS slots. */
typedef struct vt_flat_chunk {
    vt_chunk *codes; /* NULL: not made */
    uint32_t puts;   /* into its slots, since they were made */
} vt_flat_chunk;

struct vt_flat {
    size_t dim;
    size_t block_rows; /* a power of two; VT_WORD_ROWS divides it or it divides VT_WORD_ROWS */
    float **blocks;    /* [n_blocks], NULL where no slot was ever put */
    size_t n_blocks, blocks_cap;
    size_t live_count;
    vt_bitset live; /* live.n is vt_flat_slots */

    vt_coder *coder;       /* NULL where dim is outside what codes serve */
    vt_flat_chunk *chunks; /* [n_chunks]: of all slots of all blocks; none without a coder */
    size_t n_chunks, chunks_cap;
    size_t next_chunk; /* those before it have had their turn to be made */
};

/* One search in progress: words of live AND filter, dealt to parts. */
typedef struct vt_flat_scan {
    const vt_flat *f;
    const vt_flat_query *q;
    size_t n_words;
    size_t n_parts;
    size_t k;      /* hits each part may keep */
    vt_topk *tops; /* [n_parts] */
} vt_flat_scan;

/* The block of the slot must exist. */
static inline float *vt_flat_row(const vt_flat *f, size_t slot) {
    return f->blocks[slot / f->block_rows] + slot % f->block_rows * f->dim;
}

static inline uint64_t vt_flat_candidates(const vt_flat_scan *s, size_t word) {
    uint64_t live = s->f->live.words[word];
    return s->q->filter ? live & s->q->filter->words[word] : live;
}

/* Offers the exact scores of a word's candidates. */
void vt_flat_scan_word(const vt_flat_scan *s, size_t word, vt_topk *top);
/* Runs part(ctx) over all parts, each with a top-k of s->k of its own in the order of *best, and
 * offers all they kept to *best. */
vt_status vt_flat_scan_all(vt_flat_scan *s, vt_pool_fn part, void *ctx, vt_pool *pool,
                           vt_topk *best, vt_err *err) VT_MUST_USE;

/* ---- coded.c: estimates, then exact scores of the best ------------------------------------ */

vt_status vt_flat_coded_open(vt_flat *f, vt_err *err) VT_MUST_USE;
void vt_flat_coded_close(vt_flat *f);
size_t vt_flat_coded_bytes(const vt_flat *f);
/* Room for the chunks of that many blocks. */
vt_status vt_flat_coded_grow(vt_flat *f, size_t n_blocks, vt_err *err) VT_MUST_USE;
/* After a slot was put. Never fails: what has no codes is scored exactly. */
void vt_flat_coded_put(vt_flat *f, size_t slot);
/* Whether that many candidates are better estimated first. */
bool vt_flat_coded_pays(const vt_flat *f, const vt_flat_query *q, size_t n_candidates);
vt_status vt_flat_coded_search(vt_flat_scan *s, vt_pool *pool, vt_topk *best,
                               vt_err *err) VT_MUST_USE;
vt_status vt_flat_coded_check(const vt_flat *f, vt_err *err) VT_MUST_USE;

#endif
