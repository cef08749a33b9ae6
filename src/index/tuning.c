/* Learning from samples how far a query of a kind must look.
 *
 * Queries of words lie far from all pictures: the best of 60,000 may have a cosine of 0.29 with
 * one, and its ten nearest are scattered over cells whose centres say little about them. What does
 * say something is the cell itself: some hold one row that words like, far from its centre, others
 * are of one piece. So from a sample of queries is learnt, for every cell, by how much its best row
 * beats its centre on average ("beat"), and cells are ranked by what their best row is likely to
 * score. That alone saves a text query a third to half of the rows it must see. The catalogue
 * brings the sample itself: the names of its products, through the text tower. After the idea of
 * RoarGraph (Chen et al., VLDB 2024) and OOD-DiskANN (Jaiswal et al., 2022), to let a sample of
 * queries shape the index, but on cells, where it needs one number each.
 *
 * Then the fraction of rows that must be seen is measured: each sample query finds its true best
 * 10, 100 and 1,000 by a scan of all codes, and the rows in the cells ranked before each of them
 * are counted. To measure nothing that was learnt by heart, queries of even number are ranked by
 * what the odd ones taught, and the other way round.
 *
 * Rejected: one nprobe for all (images would pay for texts); ranking by the cell's radius (helps
 * pictures, not words). */
#include "index/room.h"

#include <math.h>

#define DEEPEST    1000
#define CANDIDATES 1500  /* estimated best, of which the deepest are found */
#define BINS       65536 /* of the fraction of rows */
#define CAUTION                                                                                    \
    0.2f /* of what is missing to a recall of 1, what is aimed for is this much higher */
#define LEAST      16   /* queries, */
#define MOST       4096 /* of which no more are taken */
#define OWN_SAMPLE 256
#define FACTOR_MAX ((float)BINS) /* makes all of the least that can be needed */

const float vt_learnt_depths[VT_DEPTHS] = {10, 100, DEEPEST};
const float vt_learnt_levels[VT_LEVELS] = {0.8f, 0.9f, 0.95f, 0.98f, 0.99f, 0.995f, 0.999f, 1};

struct vt_tuning {
    vt_query_kind kind;
    size_t dim, padded, n;
    float *queries;      /* [n][padded], rotated */
    uint32_t *own;       /* [n]: the slot a query was taken from, VT_NOWHERE where from none */
    uint64_t id;         /* of the cells it was opened for */
    size_t n_cells, row; /* row: floats from one query's promises to the next's */
    size_t next;         /* query; n .. 2n: ranked a second time, to measure */
    float *promises;     /* [n][row]: of each cell */
    float *beats;        /* [n][n_cells]: what its best row is above that */
    float *taught;       /* [2][n_cells]: means over the even queries, the odd ones */
    uint32_t *found;     /* [n][DEEPEST]: the cells of the best rows, best first */
    size_t *n_found;     /* [n] */
    uint32_t *bins;      /* [VT_DEPTHS][BINS] */
};

/* ---- open ------------------------------------------------------------------------------- */

/* Live slots at even distances. */
static size_t take_own(vt_tuning *t, const vt_index *ix) {
    size_t n = 0, seen = 0, wanted = t->n < ix->live_count ? t->n : ix->live_count;
    for (size_t slot = 0; slot < ix->live.n && n < wanted; slot++) {
        if (!vt_bitset_get(&ix->live, slot)) {
            continue;
        }
        if (seen++ * wanted / ix->live_count >= n) {
            vt_fine_read(&ix->fine, slot, t->queries + n * t->padded);
            t->own[n++] = (uint32_t)slot;
        }
    }
    return n;
}

static void take_queries(vt_tuning *t, const vt_index *ix, const float *queries) {
    for (size_t i = 0; i < t->n; i++) {
        vt_index_rotate(ix, queries + i * t->dim, t->queries + i * t->padded);
        t->own[i] = VT_NOWHERE;
    }
}

static vt_status make_room(vt_tuning *t, vt_err *err) {
    size_t n = t->n;
    t->queries = vt_alloc_aligned(n * t->padded, sizeof *t->queries);
    t->own = vt_alloc(n, sizeof *t->own);
    t->promises = vt_alloc_aligned(n * t->row, sizeof *t->promises);
    t->beats = vt_alloc(n * t->n_cells, sizeof *t->beats);
    t->taught = vt_alloc(2 * t->n_cells, sizeof *t->taught);
    t->found = vt_alloc(n * DEEPEST, sizeof *t->found);
    t->n_found = vt_alloc(n, sizeof *t->n_found);
    t->bins = vt_alloc(VT_DEPTHS * BINS, sizeof *t->bins);
    bool all = t->queries && t->own && t->promises && t->beats && t->taught && t->found &&
               t->n_found && t->bins;
    return all ? VT_OK
               : vt_fail_nomem(err, n * (t->padded + 2 * t->row + DEEPEST) * sizeof *t->queries);
}

vt_status vt_tuning_open(const vt_index *ix, vt_query_kind kind, const float *queries, size_t n,
                         vt_tuning **out, vt_err *err) {
    const vt_cells *c = ix->cells;
    *out = NULL;
    n = queries || kind != VT_QUERY_IMAGE ? n : OWN_SAMPLE;
    n = n < MOST ? n : MOST;
    if (!c || kind == VT_QUERY_VECTOR || n < LEAST || (!queries && kind != VT_QUERY_IMAGE)) {
        return vt_fail(err, VT_E_INVALID, "learning: %s",
                       !c                        ? "there are no cells"
                       : kind == VT_QUERY_VECTOR ? "only of images and texts"
                       : n < LEAST               ? "fewer than 16 queries"
                                                 : "no row is a sample of texts");
    }
    vt_tuning *t = vt_alloc(1, sizeof *t);
    if (!t) {
        return vt_fail_nomem(err, sizeof *t);
    }
    *t = (vt_tuning){.kind = kind, .dim = ix->dim, .padded = vt_index_padded(ix), .n = n};
    t->id = c->id;
    t->n_cells = c->n;
    t->row = vt_cells_promises(c);
    vt_status s = make_room(t, err);
    if (s != VT_OK) {
        vt_tuning_close(t);
        return s;
    }
    if (queries) {
        take_queries(t, ix, queries);
    } else {
        t->n = take_own(t, ix);
    }
    *out = t;
    return VT_OK;
}

void vt_tuning_close(vt_tuning *t) {
    if (t) {
        free(t->queries);
        free(t->own);
        free(t->promises);
        free(t->beats);
        free(t->taught);
        free(t->found);
        free(t->n_found);
        free(t->bins);
        free(t);
    }
}

/* ---- learn ------------------------------------------------------------------------------- */

/* The best estimate of a cell's rows; all are offered to `top`. */
static float scan_cell(const vt_cell *cell, const vt_code_query *q, uint32_t own, vt_topk *top) {
    float scores[VT_CODE_ROWS], best = -INFINITY;
    for (size_t row = 0; row < cell->n; row += VT_CODE_ROWS) {
        size_t n = cell->n - row < VT_CODE_ROWS ? cell->n - row : VT_CODE_ROWS;
        vt_cell_scores(cell, q, row, 0, scores);
        for (size_t i = 0; i < n; i++) {
            if (cell->slots[row + i] == own) {
                continue;
            }
            best = fmaxf(best, scores[i]);
            if (scores[i] >= vt_topk_floor(top)) {
                vt_topk_offer(top, scores[i], cell->slots[row + i]);
            }
        }
    }
    return best;
}

static void scan_cells(vt_tuning *t, const vt_index *ix, const vt_ask *ask, vt_topk *top) {
    const vt_cells *c = ix->cells;
    float *promises = t->promises + t->next * t->row, *beats = t->beats + t->next * t->n_cells;
    vt_cells_promise(c, ask, NULL, promises);
    for (size_t i = 0; i < c->n; i++) {
        vt_code_query q = vt_ask_centre(ask, &c->cells[i].centre, 0);
        float best = scan_cell(&c->cells[i], &q, t->own[t->next], top);
        beats[i] = best > -INFINITY ? best - promises[i] : 0; /* an empty cell has nothing to say */
    }
}

/* Notes the cells of the deepest exact best among the candidates. */
static void note_found(vt_tuning *t, const vt_index *ix, const vt_ask *ask, const vt_topk *top) {
    vt_hit hits[DEEPEST];
    vt_topk best;
    vt_topk_init(&best, hits, DEEPEST, NULL, NULL);
    for (size_t i = 0; i < top->n; i++) {
        uint32_t slot = top->hits[i].slot;
        vt_topk_offer(&best, vt_fine_score(&ix->fine, ask->vector, slot), slot);
    }
    vt_topk_sort(&best);
    for (size_t i = 0; i < best.n; i++) {
        t->found[t->next * DEEPEST + i] = ix->cells->place[hits[i].slot];
    }
    t->n_found[t->next] = best.n;
}

static vt_status ask_one(vt_tuning *t, const vt_index *ix, vt_err *err) {
    vt_hit hits[CANDIDATES];
    vt_topk top;
    vt_ask ask;
    vt_status s = vt_ask_init(&ask, t->queries + t->next * t->padded, t->dim, err);
    if (s == VT_OK) {
        vt_topk_init(&top, hits, CANDIDATES, NULL, NULL);
        scan_cells(t, ix, &ask, &top);
        note_found(t, ix, &ask, &top);
        vt_ask_release(&ask);
    }
    return s;
}

static void teach(vt_tuning *t) {
    for (size_t i = 0; i < t->n; i++) {
        float share = 1 / (float)(i % 2 ? t->n / 2 : (t->n + 1) / 2);
        float *mean = t->taught + i % 2 * t->n_cells;
        for (size_t c = 0; c < t->n_cells; c++) {
            mean[c] += t->beats[i * t->n_cells + c] * share;
        }
    }
}

/* Of the even queries from what the odd ones taught, and the other way round. */
static float spread_of(const vt_tuning *t) {
    double squares = 0;
    for (size_t i = 0; i < t->n; i++) {
        const float *taught = t->taught + (i + 1) % 2 * t->n_cells;
        for (size_t c = 0; c < t->n_cells; c++) {
            double off = (double)(t->beats[i * t->n_cells + c] - taught[c]);
            squares += off * off;
        }
    }
    return (float)sqrt(squares / ((double)t->n * (double)t->n_cells));
}

/* ---- measure ----------------------------------------------------------------------------- */

typedef struct ranked {
    float promise;
    uint32_t cell;
} ranked;

static int by_promise(const void *a, const void *b) {
    float x = ((const ranked *)a)->promise, y = ((const ranked *)b)->promise;
    return (x < y) - (x > y);
}

/* seen[cell]: the rows that have been looked at when the cell has been. */
static void count_seen(const vt_tuning *t, const vt_cells *c, size_t query, ranked *order,
                       uint32_t *seen) {
    const float *taught = t->taught + (query + 1) % 2 * t->n_cells;
    uint32_t rows = 0;
    for (size_t i = 0; i < t->n_cells; i++) {
        order[i] = (ranked){t->promises[query * t->row + i] + taught[i], (uint32_t)i};
    }
    qsort(order, t->n_cells, sizeof *order, by_promise);
    for (size_t i = 0; i < t->n_cells; i++) {
        rows += (uint32_t)c->cells[order[i].cell].n;
        seen[order[i].cell] = rows;
    }
}

static vt_status measure_one(vt_tuning *t, const vt_cells *c, vt_err *err) {
    size_t query = t->next - t->n;
    ranked *order = vt_alloc(t->n_cells, sizeof *order);
    uint32_t *seen = vt_alloc(t->n_cells, sizeof *seen);
    vt_status s = VT_OK;
    if (!order || !seen) {
        s = vt_fail_nomem(err, t->n_cells * sizeof *order);
        goto done;
    }
    count_seen(t, c, query, order, seen);
    for (size_t i = 0; i < t->n_found[query]; i++) {
        double fraction =
            (double)seen[t->found[query * DEEPEST + i]] / (double)(c->rows + (c->rows == 0));
        size_t bin = (size_t)(fraction * (BINS - 1));
        for (size_t d = 0; d < VT_DEPTHS; d++) {
            t->bins[d * BINS + bin] += (float)i < vt_learnt_depths[d];
        }
    }
done:
    free(order);
    free(seen);
    return s;
}

vt_status vt_tuning_learn(vt_tuning *t, const vt_index *ix, vt_pool *pool, bool *more,
                          vt_err *err) {
    vt_status s;
    (void)pool; /* one query at a time leaves the other processors to those who wait */
    *more = false;
    if (!ix->cells || ix->cells->id != t->id) {
        return vt_fail(err, VT_E_MISMATCH, "learning: the cells have been made anew");
    }
    s = t->next < t->n ? ask_one(t, ix, err) : measure_one(t, ix->cells, err);
    if (s == VT_OK && ++t->next == t->n) {
        teach(t);
    }
    *more = s == VT_OK && t->next < 2 * t->n;
    return s;
}

/* ---- what was learnt --------------------------------------------------------------------- */

/* The least fraction that `level` of what was to be found lies within. */
static float quantile(const uint32_t *bins, float level) {
    double total = 0, sum = 0, aim = (double)(level + CAUTION * (1 - level));
    size_t i = 0;
    for (size_t b = 0; b < BINS; b++) {
        total += bins[b];
    }
    for (; i < BINS && sum < aim * total; i++) {
        sum += bins[i];
    }
    return total > 0 ? (float)i / BINS : 1;
}

vt_status vt_tuning_apply(const vt_tuning *t, vt_index *ix, vt_err *err) {
    if (!ix->cells || ix->cells->id != t->id || t->next < 2 * t->n) {
        return vt_fail(err, VT_E_MISMATCH, "learning: %s",
                       t->next < 2 * t->n ? "it is not finished" : "the cells have been made anew");
    }
    vt_learnt *learnt = &ix->cells->learnt[t->kind];
    if (!learnt->beat && !(learnt->beat = vt_alloc(t->n_cells, sizeof *learnt->beat))) {
        return vt_fail_nomem(err, t->n_cells * sizeof *learnt->beat);
    }
    for (size_t c = 0; c < t->n_cells; c++) {
        learnt->beat[c] = (t->taught[c] + t->taught[t->n_cells + c]) / 2;
    }
    for (size_t d = 0; d < VT_DEPTHS; d++) {
        for (size_t l = 0; l < VT_LEVELS; l++) {
            float need = quantile(t->bins + d * BINS, vt_learnt_levels[l]);
            learnt->need[d][l] = l + 1 < VT_LEVELS ? need : 1;
        }
    }
    learnt->factor = 1;
    learnt->spread = spread_of(t);
    return VT_OK;
}

const vt_learnt *vt_index_learnt(const vt_index *ix, vt_query_kind kind) {
    return ix->cells ? &ix->cells->learnt[kind == VT_QUERY_IMAGE ? VT_QUERY_IMAGE : VT_QUERY_TEXT]
                     : NULL;
}

/* Between two levels in a straight line. */
static float at_recall(const float need[VT_LEVELS], float recall) {
    size_t l = 0;
    while (l + 1 < VT_LEVELS && vt_learnt_levels[l] < recall) {
        l++;
    }
    if (l == 0) {
        return need[0];
    }
    float low = vt_learnt_levels[l - 1], share = (recall - low) / (vt_learnt_levels[l] - low);
    return need[l - 1] + share * (need[l] - need[l - 1]);
}

/* Between two depths in a straight line over their logarithms; beyond the last, all. */
static float at_depth(const vt_learnt *learnt, float recall, double depth) {
    size_t d = 0;
    while (d < VT_DEPTHS && (double)vt_learnt_depths[d] < depth) {
        d++;
    }
    if (d == VT_DEPTHS) {
        return 1;
    }
    float need = at_recall(learnt->need[d], recall);
    if (d == 0) {
        return need;
    }
    float before = at_recall(learnt->need[d - 1], recall);
    float share = (float)(log(depth / (double)vt_learnt_depths[d - 1]) /
                          log((double)(vt_learnt_depths[d] / vt_learnt_depths[d - 1])));
    return before + share * (need - before);
}

static float needs_of(const vt_learnt *learnt, float recall, double depth) {
    if (!learnt->beat || recall >= 1) {
        return 1;
    }
    return fminf(1, learnt->factor * at_depth(learnt, recall, depth));
}

float vt_index_needs(const vt_index *ix, vt_query_kind kind, float recall, size_t k,
                     size_t matches) {
    double depth = (double)k * (double)ix->cells->rows / (double)(matches ? matches : 1);
    const vt_learnt *learnt = ix->cells->learnt;
    if (kind != VT_QUERY_VECTOR) {
        return needs_of(&learnt[kind], recall, depth);
    }
    return fmaxf(needs_of(&learnt[VT_QUERY_IMAGE], recall, depth),
                 needs_of(&learnt[VT_QUERY_TEXT], recall, depth));
}

float vt_index_fraction(const vt_index *ix, vt_query_kind kind, float recall) {
    return ix->cells ? vt_index_needs(ix, kind, recall, 10, ix->cells->rows) : 0;
}

void vt_index_spend_more(vt_index *ix, vt_query_kind kind, float factor) {
    for (size_t k = 0; ix->cells && k < VT_QUERY_VECTOR; k++) {
        vt_learnt *learnt = &ix->cells->learnt[k];
        if (kind == VT_QUERY_VECTOR || k == kind) {
            learnt->factor = fminf(FACTOR_MAX, learnt->factor * factor);
        }
    }
}
