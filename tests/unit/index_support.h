/* What the tests of the index share: vectors as a model makes them, a shelf that remembers what the
 * index should hold, answers looked at from every side, and cells made in their five steps. */
#ifndef VT_TEST_INDEX_SUPPORT_H
#define VT_TEST_INDEX_SUPPORT_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "index/index.h"

/* ---- numbers ------------------------------------------------------------------------------ */

/* xorshift64*: the same in every run and on every machine. */
static uint64_t random_state = 1;

static inline uint32_t random_below(uint32_t n) {
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return (uint32_t)((random_state * 0x2545F4914F6CDD1Du) >> 33) % n;
}

static inline float random_float(void) { /* in [-1, 1) */
    return (float)random_below(1 << 20) * 0x1p-19f - 1;
}

/* Of mean 0 and variance 1, near enough to normal. */
static inline float random_normal(void) {
    return random_float() + random_float() + random_float();
}

/* Coordinates from a handful of values, so that equal vectors and equal scores are common. */
static inline void random_unit(float *v, size_t dim) {
    do {
        for (size_t i = 0; i < dim; i++) {
            v[i] = (float)random_below(4) - 2;
        }
    } while (vt_vec_normalize(v, dim) == 0);
}

static inline void ok(vt_status s, const vt_err *err) {
    if (s != VT_OK) {
        fail_msg("%s", err->text);
    }
}

/* ---- vectors of a model --------------------------------------------------------------------- */

#define LATENT 16

/* Vectors of pictures share an offset, lie in clusters, and differ mostly along a few latent
 * directions; vectors of words say what is in the same directions but have another offset, so that
 * they lie far from every picture. */
typedef struct world {
    size_t dim, clusters;
    float *offsets[2]; /* of pictures, of words */
    float *directions; /* [LATENT][dim], orthogonal enough */
    float *centres;    /* [clusters][LATENT] */
} world;

static inline float *random_normals(size_t n, float scale) {
    float *x = vt_alloc(n, sizeof *x);
    assert_non_null(x);
    for (size_t i = 0; i < n; i++) {
        x[i] = scale * random_normal();
    }
    return x;
}

static inline void world_open(world *w, size_t dim, size_t clusters) {
    float unit = 1 / sqrtf((float)dim);
    *w = (world){.dim = dim, .clusters = clusters};
    w->offsets[0] = random_normals(dim, unit);
    w->offsets[1] = random_normals(dim, unit);
    w->directions = random_normals(LATENT * dim, unit / sqrtf(LATENT));
    w->centres = random_normals(clusters * LATENT, 1);
}

static inline void world_close(world *w) {
    free(w->offsets[0]);
    free(w->offsets[1]);
    free(w->directions);
    free(w->centres);
}

static inline void world_vector(const world *w, size_t cluster, bool words, float *v) {
    const float *centre = w->centres + cluster * LATENT;
    float noise = (words ? 0.5f : 0.2f) / sqrtf((float)w->dim);
    for (size_t i = 0; i < w->dim; i++) {
        v[i] = w->offsets[words][i] + noise * random_normal();
    }
    for (size_t d = 0; d < LATENT; d++) {
        float size = 0.8f * centre[d] + 0.4f * random_normal();
        for (size_t i = 0; i < w->dim; i++) {
            v[i] += size * w->directions[d * w->dim + i];
        }
    }
    assert_true(vt_vec_normalize(v, w->dim) > 0);
}

static inline void world_picture(const world *w, float *v) {
    world_vector(w, random_below((uint32_t)w->clusters), false, v);
}

/* n of them, to be freed. */
static inline float *world_queries(const world *w, bool words, size_t n) {
    float *v = vt_alloc(n * w->dim, sizeof *v);
    assert_non_null(v);
    for (size_t i = 0; i < n; i++) {
        world_vector(w, random_below((uint32_t)w->clusters), words, v + i * w->dim);
    }
    return v;
}

/* ---- shelf ---------------------------------------------------------------------------------- */

/* An index and what it should hold. */
typedef struct shelf {
    size_t dim, slots; /* room for that many */
    float *rows;       /* [slots][dim], as they were put */
    vt_bitset live;
    vt_index *ix;
} shelf;

static inline const float *shelf_row(const shelf *s, uint32_t slot) {
    return s->rows + slot * s->dim;
}

static inline void shelf_open(shelf *s, size_t dim, size_t slots) {
    vt_err err;
    *s = (shelf){.dim = dim, .slots = slots, .rows = vt_alloc(slots * dim, sizeof *s->rows)};
    assert_non_null(s->rows);
    vt_bitset_init(&s->live);
    ok(vt_bitset_resize(&s->live, slots, &err), &err);
    ok(vt_index_open(dim, &s->ix, &err), &err);
}

static inline void shelf_close(shelf *s) {
    vt_index_close(s->ix);
    vt_bitset_release(&s->live);
    free(s->rows);
}

static inline void shelf_put(shelf *s, uint32_t slot, const float *v) {
    vt_err err;
    ok(vt_index_put(s->ix, slot, v, &err), &err);
    memmove(s->rows + slot * s->dim, v, s->dim * sizeof *v);
    vt_bitset_set(&s->live, slot, true);
}

static inline void shelf_remove(shelf *s, uint32_t slot) {
    vt_index_remove(s->ix, slot);
    vt_bitset_set(&s->live, slot, false);
}

static inline void shelf_put_picture(shelf *s, uint32_t slot, const world *w) {
    float v[2048];
    world_picture(w, v);
    shelf_put(s, slot, v);
}

/* Pictures in the slots [first, first + n). */
static inline void shelf_fill(shelf *s, const world *w, uint32_t first, size_t n) {
    for (uint32_t slot = first; slot < first + n; slot++) {
        shelf_put_picture(s, slot, w);
    }
}

/* Whether the index has of a slot what was put there. */
static inline bool shelf_holds(const shelf *s, uint32_t slot) {
    float v[2048];
    double squares = 0;
    if (vt_index_get(s->ix, slot, v) != vt_bitset_get(&s->live, slot)) {
        return false;
    }
    for (size_t i = 0; vt_bitset_get(&s->live, slot) && i < s->dim; i++) {
        double off = (double)v[i] - (double)shelf_row(s, slot)[i];
        squares += off * off;
    }
    return sqrt(squares) <= 1e-3;
}

static inline void shelf_check(const shelf *s) {
    vt_err err;
    ok(vt_index_check(s->ix, &err), &err);
    assert_int_equal(vt_index_dim(s->ix), s->dim);
    assert_int_equal(vt_index_count(s->ix), vt_bitset_count(&s->live));
    for (uint32_t slot = 0; slot < s->slots; slot++) {
        if (!shelf_holds(s, slot)) {
            fail_msg("slot %u is not what was put", slot);
        }
    }
}

/* ---- answers -------------------------------------------------------------------------------- */

static inline double shelf_score(const shelf *s, const float *v, uint32_t slot) {
    const float *row = shelf_row(s, slot);
    double sum = 0;
    for (size_t i = 0; i < s->dim; i++) {
        sum += (double)v[i] * (double)row[i];
    }
    return sum;
}

/* Short vectors are only promised to come back within 1e-3. */
static inline double shelf_error(const shelf *s) {
    return (s->dim >= 64 ? (double)VT_INDEX_ERROR : 1e-3) + 1e-6;
}

static inline bool shelf_matches(const shelf *s, const vt_bitset *filter, uint32_t slot) {
    return vt_bitset_get(&s->live, slot) && (!filter || vt_bitset_get(filter, slot));
}

static inline size_t shelf_count(const shelf *s, const vt_bitset *filter) {
    size_t n = 0;
    for (uint32_t slot = 0; slot < s->slots; slot++) {
        n += shelf_matches(s, filter, slot);
    }
    return n;
}

static inline bool goes_before(const vt_index_query *q, const vt_hit *a, const vt_hit *b) {
    if (a->score != b->score) {
        return a->score > b->score;
    }
    return q->tie ? q->tie(q->tie_ctx, a->slot, b->slot) : a->slot < b->slot;
}

/* Whatever was wished: as many as there are up to k, all of them matches, none twice,
 * in order, and scores that are right. */
static inline size_t shelf_search(const shelf *s, const vt_index_query *q, vt_pool *pool,
                                  vt_hit *hits, vt_plan *plan) {
    vt_err err;
    vt_bitset seen;
    size_t n, matches = shelf_count(s, q->filter);
    ok(vt_index_search(s->ix, q, pool, hits, &n, plan, &err), &err);
    assert_int_equal(n, q->k < matches ? q->k : matches);
    vt_bitset_init(&seen);
    ok(vt_bitset_resize(&seen, s->slots, &err), &err);
    for (size_t i = 0; i < n; i++) {
        assert_true(hits[i].slot < s->slots && shelf_matches(s, q->filter, hits[i].slot));
        assert_false(vt_bitset_get(&seen, hits[i].slot));
        vt_bitset_set(&seen, hits[i].slot, true);
        double off = (double)hits[i].score - shelf_score(s, q->vector, hits[i].slot);
        assert_true(fabs(off) <= shelf_error(s));
        assert_true(i == 0 || goes_before(q, &hits[i - 1], &hits[i]));
    }
    vt_bitset_release(&seen);
    return n;
}

/* No match that was left out is better than the last hit. */
static inline void assert_nothing_missed(const shelf *s, const vt_index_query *q,
                                         const vt_hit *hits, size_t n) {
    bool *taken = vt_alloc(s->slots, sizeof *taken);
    assert_non_null(taken);
    for (size_t i = 0; i < n; i++) {
        taken[hits[i].slot] = true;
    }
    for (uint32_t slot = 0; n > 0 && slot < s->slots; slot++) {
        if (!taken[slot] && shelf_matches(s, q->filter, slot)) {
            double score = shelf_score(s, q->vector, slot);
            assert_true(score <= (double)hits[n - 1].score + shelf_error(s));
        }
    }
    free(taken);
}

#define MOST_K 100

/* Of the hits of the search that scores every match, the part that the wished recall finds, over n
 * queries (vectors of dim floats, one behind the other). The plan is the last one's. */
static inline double shelf_recall(const shelf *s, vt_index_query q, const float *queries, size_t n,
                                  vt_plan *plan) {
    vt_hit all[MOST_K], hits[MOST_K];
    size_t found = 0, asked = 0;
    const float wished = q.recall;
    assert_true(q.k <= MOST_K);
    for (size_t i = 0; i < n; i++) {
        q.vector = queries + i * s->dim;
        q.recall = 1;
        size_t n_all = shelf_search(s, &q, NULL, all, NULL);
        q.recall = wished;
        size_t n_hits = shelf_search(s, &q, NULL, hits, plan);
        assert_int_equal(n_hits, n_all);
        for (size_t j = 0; j < n_hits; j++) {
            found += !goes_before(&q, &all[n_all - 1], &hits[j]);
        }
        asked += n_all;
    }
    assert_true(asked > 0);
    return (double)found / (double)asked;
}

/* ---- cells ---------------------------------------------------------------------------------- */

static inline void train(vt_rebuild *r, vt_pool *pool) {
    vt_err err;
    bool more = true;
    while (more) {
        ok(vt_rebuild_train(r, pool, &more, &err), &err);
    }
}

static inline void make_cells(vt_index *ix, vt_pool *pool) {
    vt_rebuild *r;
    vt_err err;
    bool more = true;
    ok(vt_rebuild_open(ix, &r, &err), &err);
    train(r, pool);
    while (more) {
        ok(vt_rebuild_step(r, pool, &more, &err), &err);
    }
    ok(vt_rebuild_finish(r, &err), &err);
    vt_rebuild_close(r);
    ok(vt_index_check(ix, &err), &err);
}

/* queries NULL: from a sample of the rows. */
static inline void learn(vt_index *ix, vt_query_kind kind, const float *queries, size_t n) {
    vt_tuning *t;
    vt_err err;
    bool more = true;
    ok(vt_tuning_open(ix, kind, queries, n, &t, &err), &err);
    while (more) {
        ok(vt_tuning_learn(t, ix, NULL, &more, &err), &err);
    }
    ok(vt_tuning_apply(t, ix, &err), &err);
    vt_tuning_close(t);
    ok(vt_index_check(ix, &err), &err);
}

#endif
