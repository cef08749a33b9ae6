/* The k best of a stream of hits: a binary heap in the caller's array, its root the worst hit
 * kept, so that a hit which does not make it costs one comparison. O(n log k), no allocation.
 *
 * Rejected: sorting all n (quickselect is O(n), but needs all scores kept); a sorted array with
 * insertion (faster below k = 16, quadratic at k = 1000).
 *
 * Invariant: hits[0..n) is a heap in which no parent goes before its children. The order is total
 * (score, then the tie function), so the k best are the same set whatever order they arrive in. */
#include "vec/vec.h"

#include <math.h>

static bool goes_before(const vt_topk *t, vt_hit a, vt_hit b) {
    if (a.score != b.score) {
        return a.score > b.score;
    }
    return t->tie ? t->tie(t->tie_ctx, a.slot, b.slot) : a.slot < b.slot;
}

static void sift_up(vt_topk *t, size_t i) {
    vt_hit hit = t->hits[i];
    while (i > 0) {
        size_t parent = (i - 1) / 2;
        if (!goes_before(t, t->hits[parent], hit)) {
            break;
        }
        t->hits[i] = t->hits[parent];
        i = parent;
    }
    t->hits[i] = hit;
}

/* Lets the hit at the root of the first n find its place. */
static void sift_down(vt_topk *t, size_t n) {
    vt_hit hit = t->hits[0];
    size_t i = 0;
    for (size_t child = 1; child < n; child = 2 * i + 1) {
        if (child + 1 < n && goes_before(t, t->hits[child], t->hits[child + 1])) {
            child++;
        }
        if (!goes_before(t, hit, t->hits[child])) {
            break;
        }
        t->hits[i] = t->hits[child];
        i = child;
    }
    t->hits[i] = hit;
}

void vt_topk_init(vt_topk *t, vt_hit *hits, size_t k, vt_tie_fn tie, void *tie_ctx) {
    *t = (vt_topk){.hits = hits, .k = k, .tie = tie, .tie_ctx = tie_ctx};
}

float vt_topk_floor(const vt_topk *t) {
    return t->n < t->k || t->k == 0 ? -INFINITY : t->hits[0].score;
}

void vt_topk_offer(vt_topk *t, float score, uint32_t slot) {
    vt_hit hit = {.score = score, .slot = slot};
    if (isnan(score) || t->k == 0) {
        return;
    }
    if (t->n < t->k) {
        t->hits[t->n] = hit;
        sift_up(t, t->n++);
    } else if (goes_before(t, hit, t->hits[0])) {
        t->hits[0] = hit;
        sift_down(t, t->n);
    }
}

void vt_topk_sort(vt_topk *t) {
    for (size_t n = t->n; n > 1; n--) {
        vt_hit worst = t->hits[0];
        t->hits[0] = t->hits[n - 1];
        sift_down(t, n - 1);
        t->hits[n - 1] = worst;
    }
}
