/* A search: plan, then score every match, or estimate those in the cells that promise most and
 * score what could still be among the k best.
 *
 * The planner compares two costs. Scoring every match costs by the match. Cells cost by the row
 * that is looked at, matching or not: what fraction must be looked at was learnt from samples for
 * each kind of query (tuning.c), by depth: the best 10 of one row in a hundred lie as deep in the
 * collection as the best 1,000 of all. The search goes on until that fraction of the *matches* was
 * seen, not of the rows. And under a filter no cell is passed over that promises more than the k-th
 * best score so far: where filter and query do not agree (a dress shown, shoes wanted), what was
 * learnt of queries near their matches says nothing of these.
 *
 * A block of estimates is compared with the k-th best score so far, and rows whose plausible score
 * (estimate and MARGIN standard errors) reaches it are noted. From time to time those noted are
 * scored, best first, until the next one is below what was found: so scores are those of the rows
 * and never estimates, near queries score few rows and far ones many, and the bar is high early.
 * Rejected: a heap of
 * the highest estimates, scored at the end (every search pays for its depth); scoring each block's
 * rows after the next block (twice as many, and each is a wait for memory).
 *
 * Threads: cells are dealt to the pool in turn, so that each part begins with good ones and has a
 * high bar early. Every part has a top-k of its own; the order of hits is total, so exact results
 * do not depend on the number of parts. */
#include "index/room.h"

#include <math.h>

#define MARGIN       3.0f
#define ROW_NS       60.0 /* what a row costs that is scored, */
#define ESTIMATE_NS  3.0  /* estimated, */
#define FILTER_NS    1.5  /* looked up in a filter, */
#define CELL_NS      80.0 /* and a cell: ratios of bench/index.c on one machine */
#define DISAGREEMENT 2.0f /* spreads: see bar() */
#define MORE_CELLS   16   /* a round, beyond the target */
#define WORTH_A_PART 50e3 /* ns: below, waking somebody costs more than it saves */

enum {
    PENDING = 64,   /* rows that may be among the best, at most, before they are scored */
    ROWS_AHEAD = 6, /* asked for while others are scored */
};

typedef struct part {
    vt_topk top;
    size_t estimated, scored; /* matches of the filter */
    struct pending {
        float plausible;
        uint32_t slot;
    } pending[PENDING];
    size_t n_pending;
} part;

typedef struct ranked {
    float promise;
    uint32_t cell;
} ranked;

typedef struct search {
    const vt_index *ix;
    const vt_index_query *q;
    vt_ask ask;
    vt_plan plan;
    size_t k;        /* min(q->k, matches) */
    size_t target;   /* matches to see */
    ranked *order;   /* a heap of cells, best first, then those taken from it at its end */
    size_t left;     /* cells in the heap */
    size_t first, n; /* the cells of this round: order[first .. first + n) */
    size_t n_parts;
    part *parts;
} search;

const char *vt_query_kind_name(vt_query_kind k) {
    static const char *const names[VT_QUERY_KINDS] = {"image", "text", "vector"};
    return names[k];
}

const char *vt_way_name(vt_way w) {
    static const char *const names[VT_WAYS] = {"exact", "scan", "cells"};
    return names[w];
}

/* ---- plan ------------------------------------------------------------------------------- */

static uint64_t candidates(const search *s, size_t word) {
    uint64_t live = s->ix->live.words[word];
    const vt_bitset *f = s->q->filter;
    return !f ? live : word * VT_WORD_SLOTS < f->n ? live & f->words[word] : 0;
}

static size_t n_words(const search *s) {
    return (s->ix->live.n + VT_WORD_SLOTS - 1) / VT_WORD_SLOTS;
}

static size_t count_matches(const search *s) {
    size_t n = 0;
    for (size_t w = 0; s->q->filter && w < n_words(s); w++) {
        n += (size_t)__builtin_popcountll(candidates(s, w));
    }
    return s->q->filter ? n : s->ix->live_count;
}

/* What looking at `fraction` of the rows costs: all of them are looked up where there is a filter;
 * a block is estimated where a row of it matches. */
static double estimate_ns(const search *s, float fraction) {
    const vt_cells *c = s->ix->cells;
    double looked = (double)fraction * (double)c->rows;
    double share = (double)s->plan.matches / (double)c->rows;
    double blocks = s->q->filter ? 1 - pow(1 - share, VT_CODE_ROWS) : 1;
    double each = ESTIMATE_NS * blocks + (s->q->filter ? FILTER_NS : 0);
    double probed = (double)fraction * (double)c->n * CELL_NS;
    return looked * each + probed + (double)c->n * ESTIMATE_NS;
}

static void choose_way(search *s) {
    vt_plan *p = &s->plan;
    const vt_cells *c = s->ix->cells;
    float fraction = 0;
    p->exact_us = (double)p->matches * ROW_NS / 1e3;
    p->way = VT_WAY_EXACT;
    if (!c || p->matches == 0) {
        return;
    }
    p->cells = c->n;
    fraction = vt_index_needs(s->ix, p->kind, p->recall, s->k, p->matches);
    p->estimated_us = estimate_ns(s, fraction) / 1e3;
    if (p->recall < 1 && p->estimated_us < p->exact_us) {
        p->way = fraction < 1 ? VT_WAY_CELLS : VT_WAY_SCAN;
    }
    double target = ceil((double)fraction * (double)p->matches);
    s->target = target < (double)s->k ? s->k : (size_t)target;
}

/* ---- every match ------------------------------------------------------------------------- */

static void score_slot(const search *s, part *p, uint32_t slot) {
    p->scored++;
    vt_topk_offer(&p->top, vt_fine_score(&s->ix->fine, s->ask.vector, slot), slot);
}

static void score_words(void *ctx, size_t begin, size_t end) {
    const search *s = ctx;
    for (size_t i = begin; i < end; i++) {
        size_t words = n_words(s), after = words * (i + 1) / s->n_parts;
        for (size_t w = words * i / s->n_parts; w < after; w++) {
            for (uint64_t bits = candidates(s, w); bits; bits &= bits - 1) {
                size_t slot = w * VT_WORD_SLOTS + (unsigned)__builtin_ctzll(bits);
                score_slot(s, &s->parts[i], (uint32_t)slot);
            }
        }
    }
}

/* ---- cells ------------------------------------------------------------------------------- */

/* Best first, by insertion: there are few. */
static void sort_pending(part *p) {
    for (size_t i = 1; i < p->n_pending; i++) {
        struct pending moved = p->pending[i];
        size_t j = i;
        for (; j > 0 && p->pending[j - 1].plausible < moved.plausible; j--) {
            p->pending[j] = p->pending[j - 1];
        }
        p->pending[j] = moved;
    }
}

static void ask_for_pending(const search *s, const part *p, size_t i) {
    if (i < p->n_pending && p->pending[i].plausible >= vt_topk_floor(&p->top)) {
        vt_fine_prefetch(&s->ix->fine, p->pending[i].slot);
    }
}

static void score_pending(const search *s, part *p) {
    sort_pending(p);
    for (size_t i = 0; i < ROWS_AHEAD; i++) {
        ask_for_pending(s, p, i);
    }
    for (size_t i = 0; i < p->n_pending; i++) {
        if (p->pending[i].plausible < vt_topk_floor(&p->top)) {
            break;
        }
        ask_for_pending(s, p, i + ROWS_AHEAD);
        score_slot(s, p, p->pending[i].slot);
    }
    p->n_pending = 0;
}

/* Which rows of a block a search may find. */
static uint32_t block_matches(const search *s, const vt_cell *cell, size_t row) {
    const vt_bitset *f = s->q->filter;
    const uint32_t *slots = cell->slots + row;
    size_t n = cell->n - row < VT_CODE_ROWS ? cell->n - row : VT_CODE_ROWS;
    uint32_t bits = 0;
    if (!f) {
        return (uint32_t)((1u << n) - 1);
    }
    for (size_t i = 0; i < n; i++) {
        bool in =
            slots[i] < f->n && f->words[slots[i] / VT_WORD_SLOTS] >> slots[i] % VT_WORD_SLOTS & 1;
        bits |= (uint32_t)in << i;
    }
    return bits;
}

static void look_at_block(const search *s, const vt_cell *cell, const vt_code_query *q, size_t row,
                          part *p) {
    float scores[VT_CODE_ROWS];
    uint32_t bits = block_matches(s, cell, row);
    p->estimated += (unsigned)__builtin_popcount(bits);
    if (!bits) {
        return;
    }
    bits &= vt_cell_scores(cell, q, row, vt_topk_floor(&p->top), scores);
    for (; bits; bits &= bits - 1) {
        unsigned i = (unsigned)__builtin_ctz(bits);
        float plausible = isnan(scores[i]) ? INFINITY : scores[i];
        p->pending[p->n_pending++] = (struct pending){plausible, cell->slots[row + i]};
    }
    if (p->n_pending > PENDING - VT_CODE_ROWS) {
        score_pending(s, p);
    }
}

static void look_at_cells(void *ctx, size_t begin, size_t end) {
    const search *s = ctx;
    for (size_t i = begin; i < end; i++) {
        part *p = &s->parts[i];
        for (size_t j = i; j < s->n; j += s->n_parts) {
            const vt_cell *cell = &s->ix->cells->cells[s->order[s->first + j].cell];
            if (j + s->n_parts < s->n) {
                size_t next = s->order[s->first + j + s->n_parts].cell;
                vt_cell_prefetch(&s->ix->cells->cells[next], s->ix->dim);
            }
            vt_code_query q = vt_ask_centre(&s->ask, &cell->centre, MARGIN);
            for (size_t row = 0; row < cell->n; row += VT_CODE_ROWS) {
                look_at_block(s, cell, &q, row, p);
            }
        }
        score_pending(s, p);
    }
}

/* ---- the order of cells ------------------------------------------------------------------ */

static void sift_down(search *s, size_t i) {
    ranked *heap = s->order, moved = heap[i];
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= s->left) {
            break;
        }
        child += child + 1 < s->left && heap[child + 1].promise > heap[child].promise;
        if (heap[child].promise <= moved.promise) {
            break;
        }
        heap[i] = heap[child];
        i = child;
    }
    heap[i] = moved;
}

static vt_status rank_cells(search *s, vt_err *err) {
    const vt_cells *c = s->ix->cells;
    float *promises = vt_alloc_aligned(vt_cells_promises(c), sizeof *promises);
    s->order = vt_alloc(c->n, sizeof *s->order);
    if (!promises || !s->order) {
        free(promises);
        return vt_fail_nomem(err, vt_cells_promises(c) * sizeof *promises);
    }
    vt_cells_promise(c, &s->ask, vt_index_learnt(s->ix, s->plan.kind), promises);
    s->left = s->first = c->n;
    for (size_t i = 0; i < c->n; i++) {
        s->order[i] = (ranked){promises[i], (uint32_t)i};
    }
    free(promises);
    for (size_t i = c->n / 2; i-- > 0;) {
        sift_down(s, i);
    }
    return VT_OK;
}

/* Takes the best cell from the heap to the front of those already taken. */
static size_t take_cell(search *s) {
    ranked best = s->order[0];
    s->order[0] = s->order[--s->left];
    sift_down(s, 0);
    s->order[--s->first] = best;
    return s->ix->cells->cells[best.cell].n;
}

/* The next round: as many cells as should hold the matches that are still to be seen, and a few at
 * a time of those that promise more than what was found. */
static size_t take_cells(search *s, size_t seen, float found) {
    double per_match = (double)s->ix->cells->rows / (double)s->plan.matches;
    double wanted = seen < s->target ? (double)(s->target - seen) * per_match : 0;
    size_t rows = 0, end = s->first;
    while (s->left > 0 && ((double)rows < wanted ||
                           (end - s->first < MORE_CELLS && s->order[0].promise > found))) {
        rows += take_cell(s);
    }
    s->n = end - s->first;
    for (size_t i = 0; i < s->n / 2; i++) { /* best first again */
        ranked *a = &s->order[s->first + i], *b = &s->order[end - 1 - i], swap = *a;
        *a = *b;
        *b = swap;
    }
    return rows;
}

/* ---- parts ------------------------------------------------------------------------------- */

static vt_status open_parts(search *s, const vt_pool *pool, vt_err *err) {
    size_t threads = vt_pool_threads(pool), hits = 0;
    s->parts = vt_alloc(threads, sizeof *s->parts);
    if (!vt_size_mul(threads, s->k, &hits) || !s->parts) {
        return vt_fail_nomem(err, threads * sizeof *s->parts);
    }
    vt_hit *all = vt_alloc(hits, sizeof *all);
    if (!all) {
        return vt_fail_nomem(err, hits * sizeof *all);
    }
    for (size_t i = 0; i < threads; i++) {
        vt_topk_init(&s->parts[i].top, all + i * s->k, s->k, s->q->tie, s->q->tie_ctx);
    }
    return VT_OK;
}

static size_t choose_parts(double ns, const vt_pool *pool) {
    size_t threads = vt_pool_threads(pool);
    double worth = ns / WORTH_A_PART;
    return worth < 1 ? 1 : worth < (double)threads ? (size_t)worth : threads;
}

static size_t total_estimated(const search *s, size_t threads) {
    size_t n = 0;
    for (size_t i = 0; i < threads; i++) {
        n += s->parts[i].estimated;
    }
    return n;
}

/* What a cell must promise to be worth a look beyond the target: no less than the k-th best score,
 * which is no less than any part's. Where the first round met less than half of the matches that
 * were to be expected, less will do. */
static float bar(const search *s, size_t threads, bool agree) {
    float most = -INFINITY;
    for (size_t i = 0; s->q->filter && i < threads; i++) {
        float floor = vt_topk_floor(&s->parts[i].top);
        most = floor > most ? floor : most;
    }
    float less = agree ? 0 : vt_index_learnt(s->ix, s->plan.kind)->spread * DISAGREEMENT;
    return s->q->filter ? most - less : INFINITY;
}

static vt_status search_cells(search *s, vt_pool *pool, vt_err *err) {
    vt_status status = rank_cells(s, err);
    size_t seen = 0, threads = vt_pool_threads(pool);
    float found = INFINITY;
    bool first = true, agree = true;
    while (status == VT_OK && s->left > 0 && (seen < s->target || s->order[0].promise > found)) {
        double rows = (double)take_cells(s, seen, found);
        s->n_parts = choose_parts(rows * ESTIMATE_NS, pool);
        vt_pool_for(pool, s->n_parts, 1, look_at_cells, s);
        seen = total_estimated(s, threads);
        agree = first ? seen * 2 >= s->target : agree;
        found = bar(s, threads, agree);
        first = false;
    }
    s->plan.cells_probed = s->ix->cells->n - s->left;
    return status;
}

static void search_exact(search *s, vt_pool *pool) {
    s->n_parts = choose_parts((double)s->plan.matches * ROW_NS, pool);
    vt_pool_for(pool, s->n_parts, 1, score_words, s);
}

static void gather(search *s, size_t threads, vt_hit *hits, size_t *n_hits) {
    vt_topk best;
    vt_topk_init(&best, hits, s->k, s->q->tie, s->q->tie_ctx);
    for (size_t i = 0; i < threads; i++) {
        const part *p = &s->parts[i];
        s->plan.estimated += p->estimated;
        s->plan.scored += p->scored;
        for (size_t j = 0; j < p->top.n; j++) {
            vt_topk_offer(&best, p->top.hits[j].score, p->top.hits[j].slot);
        }
    }
    vt_topk_sort(&best);
    *n_hits = best.n;
}

/* ---- search ----------------------------------------------------------------------------- */

static vt_status check_query(const vt_index *ix, const vt_index_query *q, vt_err *err) {
    if (q->k < 1) {
        return vt_fail(err, VT_E_INVALID, "k: 0 is not in 1..");
    }
    if (!(q->recall >= 0 && q->recall <= 1)) {
        return vt_fail(err, VT_E_INVALID, "recall: %g is not in (0, 1]", (double)q->recall);
    }
    if (!vt_index_unit_length(q->vector, ix->dim)) {
        return vt_fail(err, VT_E_INVALID, "query vector: not of length 1");
    }
    return VT_OK;
}

static vt_status ask_rotated(search *s, vt_err *err) {
    float *x = vt_alloc_aligned(vt_index_padded(s->ix), sizeof *x);
    if (!x) {
        return vt_fail_nomem(err, vt_index_padded(s->ix) * sizeof *x);
    }
    vt_index_rotate(s->ix, s->q->vector, x);
    vt_status status = vt_ask_init(&s->ask, x, s->ix->dim, err);
    free(x);
    return status;
}

static void close_search(search *s) {
    vt_ask_release(&s->ask);
    free(s->parts ? s->parts[0].top.hits : NULL);
    free(s->parts);
    free(s->order);
}

vt_status vt_index_search(const vt_index *ix, const vt_index_query *q, vt_pool *pool, vt_hit *hits,
                          size_t *n_hits, vt_plan *plan, vt_err *err) {
    search s = {.ix = ix, .q = q};
    *n_hits = 0;
    vt_status status = check_query(ix, q, err);
    if (status != VT_OK) {
        return status;
    }
    s.plan = (vt_plan){.kind = q->kind,
                       .recall = q->recall > 0 ? q->recall : VT_RECALL_DEFAULT,
                       .rows = ix->live_count,
                       .matches = count_matches(&s)};
    s.k = q->k < s.plan.matches ? q->k : s.plan.matches;
    choose_way(&s);
    status = ask_rotated(&s, err);
    if (status == VT_OK) {
        status = open_parts(&s, pool, err);
    }
    if (status == VT_OK && s.plan.way == VT_WAY_EXACT) {
        search_exact(&s, pool);
    } else if (status == VT_OK) {
        status = search_cells(&s, pool, err);
    }
    if (status == VT_OK) {
        gather(&s, vt_pool_threads(pool), hits, n_hits);
    }
    if (status == VT_OK && plan) {
        *plan = s.plan;
    }
    close_search(&s);
    return status;
}
