/* The search of a flat index where many slots match: estimate all of them from their codes, score
 * the best exactly.
 *
 * A scan of codes reads an eighth of what a scan of rows does. Each part of it keeps the `depth`
 * candidates of the highest plausible score (the estimate and MARGIN standard errors); then rows
 * are scored exactly in that order, and the first candidate whose plausible score is below the k-th
 * exact one ends the search, for none behind it is better. So near queries look at few rows, far
 * ones (texts, whose scores lie close together) at many, and scores are always exact. Rejected: a
 * fixed number of rows (too many for pictures, too few for texts).
 *
 * Codes are made a chunk at a time by the puts themselves, one chunk a put at most, so no put is
 * slow: when the index grows past SCAN_FROM the next puts make the codes of what is there already.
 * A chunk's codes are made again once half of it was put since, so its centre follows its rows.
 * What has no codes yet, or no memory for them, is scored exactly in the same pass.
 *
 * Threads: as flat.c.
 *
 * Invariants (vt_flat_coded_check): the code of a live slot is that of its row, in every chunk that
 * has codes; without a coder there are no chunks. */
#include "index/flat.h"

#include <math.h>

#define LEAST_DIM  64   /* below, errors are not as if random */
#define MOST_DIM   2048 /* above, a chunk's rows do not lie together */
#define SCAN_FROM  16384
#define MARGIN     3.0f
#define DEPTH      256 /* candidates scored exactly at most, for small k */
#define DEPTH_OF_K 8

/* ---- making codes ----------------------------------------------------------------------- */

vt_status vt_flat_coded_open(vt_flat *f, vt_err *err) {
    bool served = f->dim >= LEAST_DIM && f->dim <= MOST_DIM;
    return served ? vt_coder_open(f->dim, &f->coder, err) : VT_OK;
}

void vt_flat_coded_close(vt_flat *f) {
    for (size_t i = 0; i < f->n_chunks; i++) {
        vt_chunk_close(f->chunks[i].codes);
    }
    free(f->chunks);
    vt_coder_close(f->coder);
}

size_t vt_flat_coded_bytes(const vt_flat *f) {
    size_t bytes = f->chunks_cap * sizeof *f->chunks + (f->coder ? vt_coder_bytes(f->coder) : 0);
    for (size_t i = 0; i < f->n_chunks; i++) {
        bytes += f->chunks[i].codes ? vt_chunk_bytes(f->coder) : 0;
    }
    return bytes;
}

vt_status vt_flat_coded_grow(vt_flat *f, size_t n_blocks, vt_err *err) {
    size_t need = f->coder ? n_blocks * f->block_rows / VT_CHUNK_ROWS : 0;
    vt_status s = vt_array_grow(&f->chunks, &f->chunks_cap, need, sizeof *f->chunks, err);
    while (s == VT_OK && f->n_chunks < need) {
        f->chunks[f->n_chunks++] = (vt_flat_chunk){0};
    }
    return s;
}

/* The live bits of a chunk, also where the index ends within it. */
static size_t live_of_chunk(const vt_flat *f, size_t chunk, uint64_t live[VT_CHUNK_WORDS]) {
    size_t n = 0;
    for (size_t i = 0; i < VT_CHUNK_WORDS; i++) {
        size_t word = chunk * VT_CHUNK_WORDS + i;
        live[i] = word * VT_WORD_ROWS < f->live.n ? f->live.words[word] : 0;
        n += (size_t)__builtin_popcountll(live[i]);
    }
    return n;
}

/* Full for the first time, or half of it changed. */
static bool is_due(const vt_flat *f, size_t chunk) {
    const vt_flat_chunk *c = &f->chunks[chunk];
    return c->puts >= (c->codes ? VT_CHUNK_ROWS / 2 : VT_CHUNK_ROWS);
}

static void make_codes(vt_flat *f, size_t chunk) {
    vt_flat_chunk *c = &f->chunks[chunk];
    uint64_t live[VT_CHUNK_WORDS];
    if (live_of_chunk(f, chunk, live) == 0) {
        return;
    }
    c->codes = c->codes ? c->codes : vt_chunk_open(f->coder);
    if (c->codes) {
        vt_chunk_make(f->coder, c->codes, vt_flat_row(f, chunk * VT_CHUNK_ROWS), live);
        c->puts = 0;
    }
}

void vt_flat_coded_put(vt_flat *f, size_t slot) {
    size_t chunk = slot / VT_CHUNK_ROWS;
    if (!f->coder) {
        return;
    }
    vt_flat_chunk *c = &f->chunks[chunk];
    c->puts += c->puts < UINT32_MAX;
    if (c->codes) {
        vt_chunk_put(f->coder, c->codes, slot % VT_CHUNK_ROWS, vt_flat_row(f, slot));
    }
    if (f->live_count < SCAN_FROM) {
        return;
    }
    if (is_due(f, chunk)) {
        make_codes(f, chunk);
    } else if (f->next_chunk < f->n_chunks) {
        if (is_due(f, f->next_chunk)) {
            make_codes(f, f->next_chunk);
        }
        f->next_chunk++;
    }
}

/* ---- search ----------------------------------------------------------------------------- */

static size_t depth_of(size_t k) {
    return k < DEPTH / DEPTH_OF_K ? DEPTH : k * DEPTH_OF_K;
}

/* k is compared before it is multiplied: it may be anything. */
bool vt_flat_coded_pays(const vt_flat *f, const vt_flat_query *q, size_t n_candidates) {
    return f->coder && q->estimate && n_candidates >= SCAN_FROM &&
           q->k <= n_candidates / DEPTH_OF_K && depth_of(q->k) <= n_candidates / 8;
}

typedef struct coded_scan {
    vt_flat_scan *scan;
    vt_code_ask ask;
} coded_scan;

static void scan_block(const vt_chunk *codes, const vt_code_query *q, uint32_t bits, size_t slot,
                       vt_topk *top) {
    float scores[VT_CODE_ROWS];
    vt_chunk_scores(codes, q, slot % VT_CHUNK_ROWS / VT_CODE_ROWS, scores);
    float floor = vt_topk_floor(top);
    for (; bits; bits &= bits - 1) {
        unsigned r = (unsigned)__builtin_ctz(bits);
        if (scores[r] >= floor) {
            vt_topk_offer(top, scores[r], (uint32_t)(slot + r));
            floor = vt_topk_floor(top);
        }
    }
}

static void scan_chunk(const coded_scan *c, size_t chunk, vt_topk *top) {
    const vt_flat_scan *s = c->scan;
    const vt_chunk *codes = s->f->chunks[chunk].codes;
    size_t word = chunk * VT_CHUNK_WORDS, end = word + VT_CHUNK_WORDS;
    end = end < s->n_words ? end : s->n_words;
    vt_code_query q = {0};
    if (codes) {
        q = vt_code_ask_chunk(&c->ask, codes, MARGIN);
    }
    for (; word < end; word++) {
        uint64_t bits = vt_flat_candidates(s, word);
        if (bits && !codes) {
            vt_flat_scan_word(s, word, top);
            continue;
        }
        for (size_t row = 0; bits; row += VT_CODE_ROWS, bits >>= VT_CODE_ROWS) {
            if ((uint32_t)bits) {
                scan_block(codes, &q, (uint32_t)bits, word * VT_WORD_ROWS + row, top);
            }
        }
    }
}

static void scan_parts(void *ctx, size_t begin, size_t end) {
    const coded_scan *c = ctx;
    const vt_flat_scan *s = c->scan;
    size_t chunks = (s->n_words + VT_CHUNK_WORDS - 1) / VT_CHUNK_WORDS;
    for (size_t part = begin; part < end; part++) {
        size_t chunk = chunks * part / s->n_parts, after = chunks * (part + 1) / s->n_parts;
        for (; chunk < after; chunk++) {
            scan_chunk(c, chunk, &s->tops[part]);
        }
    }
}

/* Rows lie anywhere in memory: the one after next is asked for while one is multiplied. */
static void ask_for_row(const vt_flat *f, const vt_topk *candidates, size_t i) {
    if (i < candidates->n) {
        const float *row = vt_flat_row(f, candidates->hits[i].slot);
        for (size_t j = 0; j < f->dim; j += 64 / sizeof *row) {
            __builtin_prefetch(row + j);
        }
    }
}

/* Exact scores of the candidates, which are in order, until no further one can be among the k. */
static void score_rows(const vt_flat_scan *s, const vt_topk *candidates, vt_topk *best) {
    for (size_t i = 0; i < candidates->n; i++) {
        const vt_hit *hit = &candidates->hits[i];
        if (hit->score < vt_topk_floor(best)) {
            break;
        }
        ask_for_row(s->f, candidates, i + 2);
        const float *row = vt_flat_row(s->f, hit->slot);
        vt_topk_offer(best, vt_vec_dot(s->q->vector, row, s->f->dim), hit->slot);
    }
}

vt_status vt_flat_coded_search(vt_flat_scan *s, vt_pool *pool, vt_topk *best, vt_err *err) {
    vt_topk candidates;
    vt_hit *hits = NULL;
    coded_scan c = {.scan = s};
    vt_status status = vt_code_ask_init(s->f->coder, s->q->vector, &c.ask, err);
    if (status != VT_OK) {
        return status;
    }
    s->k = depth_of(s->q->k);
    hits = vt_alloc(s->k, sizeof *hits);
    if (!hits) {
        status = vt_fail_nomem(err, s->k * sizeof *hits);
        goto done;
    }
    vt_topk_init(&candidates, hits, s->k, NULL, NULL);
    status = vt_flat_scan_all(s, scan_parts, &c, pool, &candidates, err);
    if (status == VT_OK) {
        vt_topk_sort(&candidates);
        score_rows(s, &candidates, best);
    }
done:
    free(hits);
    vt_code_ask_release(&c.ask);
    return status;
}

/* ---- check ------------------------------------------------------------------------------ */

static vt_status check_chunk(const vt_flat *f, vt_coder *coder, size_t chunk, vt_err *err) {
    const vt_chunk *codes = f->chunks[chunk].codes;
    uint64_t live[VT_CHUNK_WORDS];
    live_of_chunk(f, chunk, live);
    for (size_t r = 0; codes && r < VT_CHUNK_ROWS; r++) {
        size_t slot = chunk * VT_CHUNK_ROWS + r;
        if ((live[r / VT_WORD_ROWS] >> r % VT_WORD_ROWS & 1) &&
            !vt_chunk_holds(coder, codes, r, vt_flat_row(f, slot))) {
            return vt_fail(err, VT_E_CORRUPT, "slot %zu: the code is not that of the row", slot);
        }
    }
    return VT_OK;
}

/* With a coder of its own, because the index's has working memory and checks may run side by side.
 */
vt_status vt_flat_coded_check(const vt_flat *f, vt_err *err) {
    size_t slots = f->coder ? f->n_blocks * f->block_rows : 0;
    vt_coder *coder = NULL;
    if (f->n_chunks < slots / VT_CHUNK_ROWS || (!f->coder && f->n_chunks > 0)) {
        return vt_fail(err, VT_E_CORRUPT, "%zu chunks of codes for %zu slots", f->n_chunks, slots);
    }
    vt_status s = f->coder ? vt_coder_open(f->dim, &coder, err) : VT_OK;
    for (size_t i = 0; s == VT_OK && i < f->n_chunks; i++) {
        s = check_chunk(f, coder, i, err);
    }
    vt_coder_close(coder);
    return s;
}
