/* Flat index: the exact nearest vectors, by looking at all of them.
 *
 * Vectors lie in blocks of about 8 MB that are allocated when a slot in them is first put and
 * never move, so growth copies nothing and vt_flat_get's pointer outlives later puts of other
 * slots. A search walks the words of (live AND filter); each run of set bits in a word is one call
 * of vt_vec_dot_rows, be it 64 rows of a full scan or the single row of a sparse filter: one path,
 * one kernel, so a score has the same bits with and without a filter. The words are dealt to parts
 * that run in parallel, each with a top-k of its own; the order of hits is total, so the merged
 * result does not depend on the number of parts.
 *
 * Where a query allows it and many slots match, codes choose which rows are scored: coded.c.
 *
 * Rejected: graph (HNSW) and inverted lists (IVF): at 100,000 vectors of 512 floats the scan is
 * bound by memory and takes milliseconds, answers exactly under any filter, and has no parameters;
 * filtering after the top k (loses matches); scanning dead rows and dropping them (their scores
 * cost as much as live ones).
 *
 * Threads: none of its own; readers may share an index that nobody changes.
 *
 * Invariants (vt_flat_check): live.n == slots, live_count bits of it are set, the block of a live
 * slot exists, a live row has unit length, a row that is not live is all zeros. */
#include "index/flat.h"

#include <math.h>

#define MAX_DIM        65536
#define BLOCK_BYTES    ((size_t)8 << 20)
#define MAX_BLOCK_ROWS 4096
#define WORTH_A_PART   500000u /* floats to multiply: some 50 us */

/* ---- life ------------------------------------------------------------------------------- */

vt_status vt_flat_open(size_t dim, vt_flat **out, vt_err *err) {
    *out = NULL;
    if (dim < 1 || dim > MAX_DIM) {
        return vt_fail(err, VT_E_INVALID, "dim: %zu is not in 1..%d", dim, MAX_DIM);
    }
    vt_flat *f = vt_alloc(1, sizeof *f);
    if (!f) {
        return vt_fail_nomem(err, sizeof *f);
    }
    f->dim = dim;
    f->block_rows = MAX_BLOCK_ROWS;
    while (f->block_rows * dim * sizeof(float) > BLOCK_BYTES) {
        f->block_rows /= 2;
    }
    vt_bitset_init(&f->live);
    vt_status s = vt_flat_coded_open(f, err);
    if (s == VT_OK) {
        *out = f;
    } else {
        vt_flat_close(f);
    }
    return s;
}

void vt_flat_close(vt_flat *f) {
    if (!f) {
        return;
    }
    vt_flat_coded_close(f);
    for (size_t b = 0; b < f->n_blocks; b++) {
        free(f->blocks[b]);
    }
    free(f->blocks);
    vt_bitset_release(&f->live);
    free(f);
}

size_t vt_flat_dim(const vt_flat *f) {
    return f->dim;
}

size_t vt_flat_count(const vt_flat *f) {
    return f->live_count;
}

size_t vt_flat_slots(const vt_flat *f) {
    return f->live.n;
}

size_t vt_flat_bytes(const vt_flat *f) {
    size_t bytes = sizeof *f + f->blocks_cap * sizeof *f->blocks;
    bytes += f->live.cap * sizeof *f->live.words + vt_flat_coded_bytes(f);
    for (size_t b = 0; b < f->n_blocks; b++) {
        bytes += f->blocks[b] ? f->block_rows * f->dim * sizeof(float) : 0;
    }
    return bytes;
}

/* ---- rows ------------------------------------------------------------------------------- */

/* Makes the block of a slot. A block without live rows changes nothing that a caller can see, so
 * a put that fails after this has left the index as it was. */
static vt_status ensure_block(vt_flat *f, size_t slot, vt_err *err) {
    size_t b = slot / f->block_rows, floats = f->block_rows * f->dim;
    vt_status s = vt_array_grow(&f->blocks, &f->blocks_cap, b + 1, sizeof *f->blocks, err);
    if (s == VT_OK) {
        s = vt_flat_coded_grow(f, b + 1, err);
    }
    if (s != VT_OK) {
        return s;
    }
    while (f->n_blocks <= b) {
        f->blocks[f->n_blocks++] = NULL;
    }
    if (f->blocks[b]) {
        return VT_OK;
    }
    f->blocks[b] = vt_alloc_aligned(floats, sizeof(float));
    if (!f->blocks[b]) {
        return vt_fail_nomem(err, floats * sizeof(float));
    }
    memset(f->blocks[b], 0, floats * sizeof(float));
    return VT_OK;
}

/* NaN fails the comparison too. In double no finite float overflows. */
static bool unit_length(const float *v, size_t dim) {
    double squares = 0;
    for (size_t i = 0; i < dim; i++) {
        squares += (double)v[i] * (double)v[i];
    }
    return fabs(sqrt(squares) - 1) <= 1e-3;
}

vt_status vt_flat_put(vt_flat *f, uint32_t slot, const float *v, vt_err *err) {
    if (slot == UINT32_MAX) {
        return vt_fail(err, VT_E_INVALID, "slot: %u is above the last one", slot);
    }
    if (!unit_length(v, f->dim)) {
        return vt_fail(err, VT_E_INVALID, "vector of slot %u: not of length 1", slot);
    }
    vt_status s = ensure_block(f, slot, err);
    if (s == VT_OK && slot >= f->live.n) {
        s = vt_bitset_resize(&f->live, (size_t)slot + 1, err);
    }
    if (s != VT_OK) {
        return s;
    }
    memcpy(vt_flat_row(f, slot), v, f->dim * sizeof *v);
    f->live_count += !vt_bitset_get(&f->live, slot);
    vt_bitset_set(&f->live, slot, true);
    vt_flat_coded_put(f, slot);
    return VT_OK;
}

void vt_flat_remove(vt_flat *f, uint32_t slot) {
    if (vt_bitset_get(&f->live, slot)) {
        memset(vt_flat_row(f, slot), 0, f->dim * sizeof(float));
        vt_bitset_set(&f->live, slot, false);
        f->live_count--;
    }
}

const float *vt_flat_get(const vt_flat *f, uint32_t slot) {
    return vt_bitset_get(&f->live, slot) ? vt_flat_row(f, slot) : NULL;
}

/* ---- search ----------------------------------------------------------------------------- */

static size_t count_candidates(const vt_flat_scan *s) {
    size_t n = 0;
    for (size_t w = 0; w < s->n_words; w++) {
        n += (size_t)__builtin_popcountll(vt_flat_candidates(s, w));
    }
    return n;
}

/* Scores n consecutive slots, all in one word. */
static void scan_run(const vt_flat_scan *s, size_t slot, size_t n, vt_topk *top) {
    float scores[VT_WORD_ROWS];
    const vt_flat *f = s->f;
    while (n > 0) { /* a run may cross blocks where they are smaller than a word */
        size_t room = f->block_rows - slot % f->block_rows, rows = n < room ? n : room;
        vt_vec_dot_rows(s->q->vector, vt_flat_row(f, slot), rows, f->dim, scores);
        for (size_t r = 0; r < rows; r++) {
            if (scores[r] >= vt_topk_floor(top)) {
                vt_topk_offer(top, scores[r], (uint32_t)(slot + r));
            }
        }
        slot += rows;
        n -= rows;
    }
}

void vt_flat_scan_word(const vt_flat_scan *s, size_t word, vt_topk *top) {
    uint64_t bits = vt_flat_candidates(s, word);
    while (bits) {
        unsigned first = (unsigned)__builtin_ctzll(bits);
        uint64_t from_first = ~(bits >> first); /* its lowest set bit ends the run */
        unsigned n = from_first ? (unsigned)__builtin_ctzll(from_first) : VT_WORD_ROWS;
        scan_run(s, word * VT_WORD_ROWS + first, n, top);
        bits = first + n < VT_WORD_ROWS ? bits >> (first + n) << (first + n) : 0;
    }
}

static void scan_parts(void *ctx, size_t begin, size_t end) {
    const vt_flat_scan *s = ctx;
    for (size_t part = begin; part < end; part++) {
        size_t each = s->n_words / s->n_parts, longer = s->n_words % s->n_parts;
        size_t word = part * each + (part < longer ? part : longer);
        size_t words = each + (part < longer);
        for (size_t w = 0; w < words; w++) {
            vt_flat_scan_word(s, word + w, &s->tops[part]);
        }
    }
}

/* A few parts a thread, so that a filter whose matches lie together still keeps all busy; a
 * single one where the work is not worth waking anybody. */
static size_t choose_parts(const vt_flat_scan *s, size_t n_candidates, const vt_pool *pool) {
    size_t threads = vt_pool_threads(pool), most = threads > 1 ? threads * 4 : 1;
    size_t worth = n_candidates * s->f->dim / WORTH_A_PART;
    return worth < 1 ? 1 : worth < most ? worth : most;
}

vt_status vt_flat_scan_all(vt_flat_scan *s, vt_pool_fn part, void *ctx, vt_pool *pool,
                           vt_topk *best, vt_err *err) {
    vt_hit *hits = NULL;
    vt_status status = VT_OK;
    size_t n_hits = 0;
    s->tops = vt_alloc(s->n_parts, sizeof *s->tops);
    if (!s->tops || !vt_size_mul(s->n_parts, s->k, &n_hits) ||
        !(hits = vt_alloc(n_hits, sizeof *hits))) {
        status = vt_fail_nomem(err, n_hits * sizeof *hits);
        goto done;
    }
    for (size_t p = 0; p < s->n_parts; p++) {
        vt_topk_init(&s->tops[p], hits + p * s->k, s->k, best->tie, best->tie_ctx);
    }
    vt_pool_for(pool, s->n_parts, 1, part, ctx);
    for (size_t p = 0; p < s->n_parts; p++) {
        for (size_t i = 0; i < s->tops[p].n; i++) {
            vt_topk_offer(best, s->tops[p].hits[i].score, s->tops[p].hits[i].slot);
        }
    }
done:
    free(hits);
    free(s->tops);
    return status;
}

static vt_status check_query(const vt_flat *f, const vt_flat_query *q, vt_err *err) {
    if (q->k < 1) {
        return vt_fail(err, VT_E_INVALID, "k: 0 is not in 1..");
    }
    if (!unit_length(q->vector, f->dim)) {
        return vt_fail(err, VT_E_INVALID, "query vector: not of length 1");
    }
    return VT_OK;
}

vt_status vt_flat_search(const vt_flat *f, const vt_flat_query *q, vt_pool *pool, vt_hit *hits,
                         size_t *n_hits, vt_err *err) {
    vt_topk best;
    *n_hits = 0;
    vt_status status = check_query(f, q, err);
    if (status != VT_OK) {
        return status;
    }
    size_t slots = q->filter && q->filter->n < f->live.n ? q->filter->n : f->live.n;
    vt_flat_scan s = {.f = f, .q = q, .n_words = (slots + VT_WORD_ROWS - 1) / VT_WORD_ROWS};
    size_t n_candidates = count_candidates(&s);
    s.k = q->k < n_candidates ? q->k : n_candidates;
    s.n_parts = choose_parts(&s, n_candidates, pool);
    vt_topk_init(&best, hits, s.k, q->tie, q->tie_ctx);
    status = vt_flat_coded_pays(f, q, n_candidates)
                 ? vt_flat_coded_search(&s, pool, &best, err)
                 : vt_flat_scan_all(&s, scan_parts, &s, pool, &best, err);
    if (status == VT_OK) {
        vt_topk_sort(&best);
        *n_hits = best.n;
    }
    return status;
}

/* ---- check ------------------------------------------------------------------------------ */

static bool all_zero(const float *v, size_t dim) {
    for (size_t i = 0; i < dim; i++) {
        if (v[i] != 0) {
            return false;
        }
    }
    return true;
}

static vt_status check_slot(const vt_flat *f, size_t slot, vt_err *err) {
    size_t b = slot / f->block_rows;
    bool live = vt_bitset_get(&f->live, slot);
    if (b >= f->n_blocks || !f->blocks[b]) {
        return live ? vt_fail(err, VT_E_CORRUPT, "slot %zu is live but has no block", slot) : VT_OK;
    }
    if (live && !unit_length(vt_flat_row(f, slot), f->dim)) {
        return vt_fail(err, VT_E_CORRUPT, "slot %zu is live but not of length 1", slot);
    }
    if (!live && !all_zero(vt_flat_row(f, slot), f->dim)) {
        return vt_fail(err, VT_E_CORRUPT, "slot %zu is not live but not zero", slot);
    }
    return VT_OK;
}

vt_status vt_flat_check(const vt_flat *f, vt_err *err) {
    vt_status s = vt_bitset_check(&f->live, err);
    size_t live = s == VT_OK ? vt_bitset_count(&f->live) : 0;
    if (s == VT_OK && live != f->live_count) {
        s = vt_fail(err, VT_E_CORRUPT, "%zu slots are live, not %zu", live, f->live_count);
    }
    size_t slots = f->n_blocks * f->block_rows;
    if (s == VT_OK && f->live.n > slots) {
        s = vt_fail(err, VT_E_CORRUPT, "%zu slots do not fit %zu", f->live.n, slots);
    }
    for (size_t slot = 0; s == VT_OK && slot < slots; slot++) {
        s = check_slot(f, slot, err);
    }
    return s == VT_OK ? vt_flat_coded_check(f, err) : s;
}
