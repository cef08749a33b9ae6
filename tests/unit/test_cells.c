/* What a search finds in cells: floors of recall for pictures and words, before anything was learnt
 * and after, under filters of every kind, after a third of the collection changed, and for vectors
 * of CLIP. The floors stand against the search that scores every match, and that one against brute
 * force. */
#include "index_support.h"

#define DIM      96
#define N        20000
#define CLUSTERS 200
#define K        10
#define QUERIES  100

/* Slot i is of cluster i % CLUSTERS. */
typedef struct shop {
    world w;
    shelf s;
    float *pictures, *words; /* QUERIES each, of no row */
} shop;

static void put_of_cluster(shop *s, uint32_t slot, size_t cluster) {
    float v[DIM];
    world_vector(&s->w, cluster, false, v);
    shelf_put(&s->s, slot, v);
}

static void shop_open(shop *s) {
    random_state = 1;
    world_open(&s->w, DIM, CLUSTERS);
    shelf_open(&s->s, DIM, N + N / 2);
    for (uint32_t slot = 0; slot < N; slot++) {
        put_of_cluster(s, slot, slot % CLUSTERS);
    }
    make_cells(s->s.ix, NULL);
    s->pictures = world_queries(&s->w, false, QUERIES);
    s->words = world_queries(&s->w, true, QUERIES);
}

/* Of words as many queries as a shop's log may have in its first days. */
static void shop_learn(shop *s) {
    float *words = world_queries(&s->w, true, 200);
    learn(s->s.ix, VT_QUERY_IMAGE, NULL, 0);
    learn(s->s.ix, VT_QUERY_TEXT, words, 200);
    free(words);
}

static void shop_close(shop *s) {
    free(s->pictures);
    free(s->words);
    shelf_close(&s->s);
    world_close(&s->w);
}

/* One for all tests that change nothing, with what was learnt. */
static shop common;

static int open_common(void **unused) {
    (void)unused;
    shop_open(&common);
    shop_learn(&common);
    return 0;
}

static int close_common(void **unused) {
    (void)unused;
    shop_close(&common);
    return 0;
}

static double recall_of(const shop *s, vt_query_kind kind, float wished, const vt_bitset *filter,
                        vt_plan *plan) {
    vt_index_query q = {.k = K, .kind = kind, .recall = wished, .filter = filter};
    return shelf_recall(&s->s, q, kind == VT_QUERY_IMAGE ? s->pictures : s->words, QUERIES, plan);
}

static void assert_recall(const shop *s, vt_query_kind kind, float wished, double floor) {
    vt_plan plan;
    double recall = recall_of(s, kind, wished, NULL, &plan);
    if (recall < floor) {
        fail_msg("%s: recall@%d is %.4f where %.2f was wished, in %zu of %zu cells",
                 vt_query_kind_name(kind), K, recall, (double)wished, plan.cells_probed,
                 plan.cells);
    }
}

/* ---- no filter -------------------------------------------------------------------------- */

/* A kind that nothing was learnt of sees every row, and recall 1 scores every one. */
static void test_nothing_learnt(void **unused) {
    (void)unused;
    shop s;
    vt_plan plan;
    shop_open(&s);
    shelf_check(&s.s);
    for (size_t i = 0; i < VT_QUERY_KINDS; i++) {
        vt_query_kind kind = (vt_query_kind)i;
        assert_true(vt_index_fraction(s.s.ix, kind, 0.5f) == 1);
        assert_true(recall_of(&s, kind, 0.98f, NULL, &plan) >= 0.97);
        assert_int_equal(plan.way, VT_WAY_SCAN);
        assert_int_equal(plan.estimated, N);
        assert_true(plan.scored >= K && plan.scored < N / 4);
        assert_true(plan.cells > 1 && plan.cells_probed == plan.cells);
        assert_true(plan.estimated_us > 0 && plan.estimated_us < plan.exact_us);
    }
    shop_close(&s);
}

static void test_recall_one_scores_every_match(void **unused) {
    (void)unused;
    const shop *s = &common;
    vt_plan plan;
    vt_hit hits[K];
    for (size_t i = 0; i < 20; i++) {
        vt_index_query q = {.vector = (i % 2 ? s->words : s->pictures) + i * DIM,
                            .k = K,
                            .kind = i % 2 ? VT_QUERY_TEXT : VT_QUERY_IMAGE,
                            .recall = 1};
        shelf_search(&s->s, &q, NULL, hits, &plan);
        assert_nothing_missed(&s->s, &q, hits, K);
        assert_int_equal(plan.way, VT_WAY_EXACT);
        assert_int_equal(plan.scored, N);
        assert_int_equal(plan.cells_probed, 0);
        assert_true(vt_index_fraction(s->s.ix, q.kind, 1) == 1);
    }
}

static void check_learnt(const shop *s, vt_query_kind kind) {
    vt_plan plan;
    recall_of(s, kind, 0.9f, NULL, &plan);
    assert_int_equal(plan.way, VT_WAY_CELLS);
    assert_true(plan.cells_probed >= 1 && plan.cells_probed < plan.cells);
    assert_true(plan.estimated < N && plan.estimated >= plan.scored && plan.scored >= K);
    float less = vt_index_fraction(s->s.ix, kind, 0.9f);
    float more = vt_index_fraction(s->s.ix, kind, 0.98f);
    assert_true(less > 0 && less < 1);
    assert_true(more >= less && more <= 1);
    assert_true(vt_index_fraction(s->s.ix, VT_QUERY_VECTOR, 0.9f) >= less);
}

static void test_learnt(void **unused) {
    (void)unused;
    const shop *s = &common;
    vt_err err;
    check_learnt(s, VT_QUERY_IMAGE);
    check_learnt(s, VT_QUERY_TEXT);
    assert_recall(s, VT_QUERY_IMAGE, 0.9f, 0.88);
    assert_recall(s, VT_QUERY_IMAGE, 0.98f, 0.96);
    assert_recall(s, VT_QUERY_TEXT, 0.9f, 0.87);
    for (const char *const *isa = vt_vec_isas(); *isa; isa++) {
        ok(vt_vec_init(*isa, &err), &err);
        assert_recall(s, VT_QUERY_TEXT, 0.98f, 0.95);
    }
    ok(vt_vec_init(NULL, &err), &err);
    assert_recall(s, VT_QUERY_VECTOR, 0.98f, 0.95);
}

/* Other k than those that were learnt with. */
static void test_few_and_many(void **unused) {
    (void)unused;
    static const size_t ks[] = {1, 3, 30, 100};
    const shop *s = &common;
    for (size_t i = 0; i < sizeof ks / sizeof *ks; i++) {
        vt_index_query q = {.k = ks[i], .kind = VT_QUERY_IMAGE};
        assert_true(shelf_recall(&s->s, q, s->pictures, QUERIES, NULL) >= 0.95);
        q.kind = VT_QUERY_TEXT;
        assert_true(shelf_recall(&s->s, q, s->words, QUERIES, NULL) >= 0.95);
    }
}

/* k that no estimate can help with: every row, or all but a few. */
static void test_all_of_them(void **unused) {
    (void)unused;
    static const size_t ks[] = {N / 2, N - 1, N, N + 5};
    const shop *s = &common;
    vt_hit *hits = vt_alloc(N, sizeof *hits);
    assert_non_null(hits);
    for (size_t i = 0; i < sizeof ks / sizeof *ks; i++) {
        vt_index_query q = {.vector = s->pictures, .k = ks[i], .kind = VT_QUERY_IMAGE};
        assert_int_equal(shelf_search(&s->s, &q, NULL, hits, NULL), ks[i] < N ? ks[i] : N);
    }
    free(hits);
}

/* Enough rows for several parts. A part of its own has a bar of its own, so an estimate that is
 * wrong by more than a search trusts in may count in one answer and not in the other. */
static void test_threads_agree(void **unused) {
    (void)unused;
    enum { MANY = 66000, ASKED = 40 };
    vt_hit alone[K], together[K];
    vt_err err;
    world w;
    shelf s;
    size_t same = 0, all = 0;
    world_open(&w, 64, CLUSTERS);
    shelf_open(&s, 64, MANY);
    shelf_fill(&s, &w, 0, MANY);
    make_cells(s.ix, NULL);
    float *words = world_queries(&w, true, ASKED);
    for (unsigned threads = 2; threads <= 4; threads++) {
        vt_pool *pool;
        ok(vt_pool_open(threads, &pool, &err), &err);
        for (size_t i = 0; i < ASKED; i++, all += K) {
            vt_index_query q = {.vector = words + i * 64, .k = K, .filter = i % 2 ? &s.live : NULL};
            vt_plan plan;
            shelf_search(&s, &q, NULL, alone, NULL);
            shelf_search(&s, &q, pool, together, &plan);
            assert_int_equal(plan.way, VT_WAY_SCAN);
            for (size_t j = 0; j < K; j++) {
                same += alone[j].slot == together[j].slot && alone[j].score == together[j].score;
            }
        }
        vt_pool_close(pool);
    }
    assert_true(same >= all - all / 100);
    free(words);
    shelf_close(&s);
    world_close(&w);
}

/* The same cells whether made on one thread or on several: what a search finds does not depend on
 * the machine that built. */
static void test_made_on_threads(void **unused) {
    (void)unused;
    vt_pool *pool;
    vt_err err;
    vt_hit alone[K], together[K];
    shop s, t;
    ok(vt_pool_open(3, &pool, &err), &err);
    shop_open(&s);
    shop_open(&t);
    make_cells(t.s.ix, pool);
    make_cells(s.s.ix, NULL);
    shelf_check(&t.s);
    shop_learn(&t);
    assert_recall(&t, VT_QUERY_IMAGE, 0.98f, 0.96);
    assert_recall(&t, VT_QUERY_TEXT, 0.98f, 0.95);
    for (size_t i = 0; i < 20; i++) {
        vt_index_query q = {.vector = s.pictures + i * DIM, .k = K, .recall = 1};
        shelf_search(&s.s, &q, NULL, alone, NULL);
        shelf_search(&t.s, &q, pool, together, NULL);
        assert_memory_equal(alone, together, sizeof alone);
    }
    shop_close(&s);
    shop_close(&t);
    vt_pool_close(pool);
}

/* ---- filters ---------------------------------------------------------------------------- */

static void filter_open(vt_bitset *filter) {
    vt_err err;
    vt_bitset_init(filter);
    ok(vt_bitset_resize(filter, N, &err), &err);
}

static void assert_recall_filtered(const shop *s, vt_query_kind kind, const vt_bitset *filter) {
    vt_plan plan;
    double recall = recall_of(s, kind, 0.98f, filter, &plan);
    assert_int_equal(plan.matches, vt_bitset_count(filter));
    assert_int_equal(plan.rows, N);
    assert_true(plan.estimated <= plan.matches && plan.scored <= plan.matches);
    if (recall < 0.95) {
        fail_msg("%s: recall@%d is %.4f where %zu of %d match (%s, %zu of %zu cells)",
                 vt_query_kind_name(kind), K, recall, plan.matches, N, vt_way_name(plan.way),
                 plan.cells_probed, plan.cells);
    }
}

static void test_filters(void **unused) {
    (void)unused;
    static const uint32_t per_mille[] = {1000, 900, 500, 100, 10, 1};
    const shop *s = &common;
    for (size_t i = 0; i < sizeof per_mille / sizeof *per_mille; i++) {
        vt_bitset filter;
        filter_open(&filter);
        for (size_t slot = 0; slot < N; slot++) {
            vt_bitset_set(&filter, slot, random_below(1000) < per_mille[i]);
        }
        assert_recall_filtered(s, VT_QUERY_IMAGE, &filter);
        assert_recall_filtered(s, VT_QUERY_TEXT, &filter);
        vt_bitset_release(&filter);
    }
}

/* A category: what matches lies together, and far from where the query looks first. Of few
 * clusters, of a third of them, and of all but the query's own. */
static void test_correlated_filters(void **unused) {
    (void)unused;
    static const size_t clusters[] = {2, 10, 66, 150};
    shop s = common;
    s.pictures = world_queries(&s.w, false, QUERIES);
    s.words = world_queries(&s.w, true, QUERIES);
    for (size_t i = 0; i < QUERIES; i++) { /* from clusters that no filter lets pass */
        size_t cluster = CLUSTERS - 50 + i % 50;
        world_vector(&s.w, cluster, false, s.pictures + i * DIM);
        world_vector(&s.w, cluster, true, s.words + i * DIM);
    }
    for (size_t i = 0; i < sizeof clusters / sizeof *clusters; i++) {
        vt_bitset filter;
        filter_open(&filter);
        for (size_t slot = 0; slot < N; slot++) {
            vt_bitset_set(&filter, slot, slot % CLUSTERS < clusters[i]);
        }
        assert_recall_filtered(&s, VT_QUERY_IMAGE, &filter);
        assert_recall_filtered(&s, VT_QUERY_TEXT, &filter);
        vt_bitset_release(&filter);
    }
    free(s.pictures);
    free(s.words);
}

/* Fewer matches than k: all of them, though most cells have none. */
static void test_fewer_than_k_match(void **unused) {
    (void)unused;
    const shop *s = &common;
    vt_hit hits[K];
    for (size_t matches = 0; matches < K; matches++) {
        vt_bitset filter;
        filter_open(&filter);
        for (size_t i = 0; i < matches; i++) {
            vt_bitset_set(&filter, i * 1000 + 77, true);
        }
        vt_index_query q = {
            .vector = s->words, .k = K, .filter = &filter, .kind = VT_QUERY_TEXT, .recall = 0.5f};
        assert_int_equal(shelf_search(&s->s, &q, NULL, hits, NULL), matches);
        vt_bitset_release(&filter);
    }
}

/* ---- change ----------------------------------------------------------------------------- */

/* What is put is found by itself at once, wherever it is, and gone when it is removed. */
static void test_changes_are_seen_at_once(void **unused) {
    (void)unused;
    enum { CHANGES = 300 };
    shop s;
    vt_hit hits[K];
    shop_open(&s);
    shop_learn(&s);
    for (uint32_t i = 0; i < CHANGES; i++) {
        uint32_t slot = i % 2 ? N + i : random_below(N);
        put_of_cluster(&s, slot, random_below(CLUSTERS));
        vt_index_query q = {.vector = shelf_row(&s.s, slot), .k = K, .kind = VT_QUERY_IMAGE};
        shelf_search(&s.s, &q, NULL, hits, NULL);
        assert_int_equal(hits[0].slot, slot);
        if (i % 3 == 0) {
            shelf_remove(&s.s, slot);
            shelf_search(&s.s, &q, NULL, hits, NULL); /* finds live ones only */
        }
    }
    shelf_check(&s.s);
    shop_close(&s);
}

/* Thirty in a hundred deleted, as many new ones: as good as cells made for what is there now, but
 * for half a point and the noise of 1,000 answers. */
static void test_churn(void **unused) {
    (void)unused;
    double before[2], after[2];
    shop s;
    vt_plan plan;
    shop_open(&s);
    shop_learn(&s);
    for (uint32_t slot = 0; slot < N; slot++) {
        if (random_below(10) < 3) {
            shelf_remove(&s.s, slot);
            put_of_cluster(&s, N + slot / 2, random_below(CLUSTERS));
        }
    }
    while (vt_index_count(s.s.ix) < N) {
        put_of_cluster(&s, random_below(N + N / 2), random_below(CLUSTERS));
    }
    shelf_check(&s.s);
    before[0] = recall_of(&s, VT_QUERY_IMAGE, 0.98f, NULL, &plan);
    before[1] = recall_of(&s, VT_QUERY_TEXT, 0.98f, NULL, &plan);
    assert_int_equal(plan.way, VT_WAY_CELLS);
    make_cells(s.s.ix, NULL);
    shop_learn(&s);
    after[0] = recall_of(&s, VT_QUERY_IMAGE, 0.98f, NULL, &plan);
    after[1] = recall_of(&s, VT_QUERY_TEXT, 0.98f, NULL, &plan);
    for (size_t i = 0; i < 2; i++) {
        if (before[i] < after[i] - 0.005 - 0.01) {
            fail_msg("recall is %.4f after the changes, %.4f in new cells", before[i], after[i]);
        }
    }
    shop_close(&s);
}

/* ---- how far to look -------------------------------------------------------------------- */

static void test_spend_more(void **unused) {
    (void)unused;
    shop s;
    vt_plan little, more;
    shop_open(&s);
    vt_index_spend_more(s.s.ix, VT_QUERY_TEXT, 2); /* of all there is no more */
    assert_true(vt_index_fraction(s.s.ix, VT_QUERY_TEXT, 0.9f) == 1);
    shop_learn(&s);
    float fraction = vt_index_fraction(s.s.ix, VT_QUERY_TEXT, 0.9f);
    float pictures = vt_index_fraction(s.s.ix, VT_QUERY_IMAGE, 0.9f);
    recall_of(&s, VT_QUERY_TEXT, 0.9f, NULL, &little);
    vt_index_spend_more(s.s.ix, VT_QUERY_TEXT, 1.5f);
    float raised = vt_index_fraction(s.s.ix, VT_QUERY_TEXT, 0.9f);
    assert_float_equal(raised, fminf(1, 1.5f * fraction), 1e-5);
    recall_of(&s, VT_QUERY_TEXT, 0.9f, NULL, &more);
    assert_true(more.cells_probed > little.cells_probed && more.estimated > little.estimated);
    assert_true(vt_index_fraction(s.s.ix, VT_QUERY_IMAGE, 0.9f) == pictures);
    vt_index_spend_more(s.s.ix, VT_QUERY_TEXT, 1e6f);
    assert_true(vt_index_fraction(s.s.ix, VT_QUERY_TEXT, 0.9f) == 1);
    assert_recall(&s, VT_QUERY_TEXT, 0.9f, 0.97);
    shop_learn(&s); /* anew */
    assert_true(vt_index_fraction(s.s.ix, VT_QUERY_TEXT, 0.9f) < 1);
    make_cells(s.s.ix, NULL); /* and lost */
    assert_true(vt_index_fraction(s.s.ix, VT_QUERY_TEXT, 0.9f) == 1);
    shop_close(&s);
}

/* Codes and cells cost what the header says: 4 bits a dimension, and little beside. */
static void test_measure(void **unused) {
    (void)unused;
    const shop *s = &common;
    vt_index_bytes bytes;
    vt_index_measure(s->s.ix, &bytes);
    size_t least = (size_t)N * DIM / 2;
    assert_true(bytes.codes >= least && bytes.codes < 2 * least);
    assert_true(bytes.rows >= (size_t)N * DIM * 3 / 2);
    assert_true(bytes.other < (size_t)N * 64);
}

/* ---- vectors of CLIP -------------------------------------------------------------------- */

/* Files of int32 count, int32 width, then the values. */
typedef struct matrix {
    vt_map map;
    size_t n, dim;
} matrix;

static bool matrix_open(const char *name, size_t size, matrix *m) {
    char path[1024];
    int32_t shape[2];
    const char *shared = getenv("VT_SHARED");
    vt_err err;
    (void)snprintf(path, sizeof path, "%s/data/ann/clip60k.%s", shared ? shared : "", name);
    if (!shared || vt_file_map(path, &m->map, &err) != VT_OK) {
        return false;
    }
    assert_true(m->map.size > sizeof shape);
    memcpy(shape, m->map.data, sizeof shape);
    m->n = (size_t)shape[0];
    m->dim = (size_t)shape[1];
    assert_int_equal(m->map.size, sizeof shape + m->n * m->dim * size);
    return true;
}

static const void *matrix_row(const matrix *m, size_t i, size_t size) {
    return m->map.data + 8 + i * m->dim * size;
}

#define CLIP_DIM 512

static vt_index *index_of(const matrix *base) {
    uint16_t half[CLIP_DIM];
    float v[CLIP_DIM];
    vt_index *ix;
    vt_err err;
    assert_int_equal(base->dim, CLIP_DIM);
    ok(vt_index_open(CLIP_DIM, &ix, &err), &err);
    for (size_t i = 0; i < base->n; i++) {
        memcpy(half, matrix_row(base, i, sizeof *half), sizeof half);
        vt_vec_from_f16(v, half, CLIP_DIM);
        assert_true(vt_vec_normalize(v, CLIP_DIM) > 0);
        ok(vt_index_put(ix, (uint32_t)i, v, &err), &err);
    }
    return ix;
}

/* Queries first, first + step... of a file, as one block to be freed. */
static float *some_of(const matrix *queries, size_t first, size_t step, size_t n) {
    float *v = vt_alloc(n * CLIP_DIM, sizeof *v);
    assert_non_null(v);
    assert_true(first + (n - 1) * step < queries->n);
    for (size_t i = 0; i < n; i++) {
        memcpy(v + i * CLIP_DIM, matrix_row(queries, first + i * step, sizeof *v),
               CLIP_DIM * sizeof *v);
        assert_true(vt_vec_normalize(v + i * CLIP_DIM, CLIP_DIM) > 0);
    }
    return v;
}

/* Frames of a video may be equal, so it counts by score. */
static double clip_recall(const vt_index *ix, const float *queries, size_t n, vt_index_query q) {
    vt_hit all[MOST_K], hits[MOST_K];
    const float wished = q.recall;
    size_t n_hits, found = 0;
    vt_err err;
    for (size_t i = 0; i < n; i++) {
        q.vector = queries + i * CLIP_DIM;
        q.recall = 1;
        ok(vt_index_search(ix, &q, NULL, all, &n_hits, NULL, &err), &err);
        q.recall = wished;
        ok(vt_index_search(ix, &q, NULL, hits, &n_hits, NULL, &err), &err);
        assert_int_equal(n_hits, q.k);
        for (size_t j = 0; j < q.k; j++) {
            found += hits[j].score >= all[q.k - 1].score;
        }
    }
    return (double)found / (double)(n * q.k);
}

/* Scoring every match finds the published neighbours: the hundredth is as near as theirs. */
static void check_truth(const vt_index *ix, const matrix *queries, const matrix *truth) {
    enum { DEEP = 100, ASKED = 30 };
    vt_hit hits[DEEP];
    vt_err err;
    size_t n, step = queries->n / ASKED;
    float *v = some_of(queries, 0, step, ASKED);
    assert_int_equal(truth->dim, DEEP);
    for (size_t i = 0; i < ASKED; i++) {
        int32_t ids[DEEP];
        float row[CLIP_DIM];
        vt_index_query q = {.vector = v + i * CLIP_DIM, .k = DEEP, .recall = 1};
        memcpy(ids, matrix_row(truth, i * step, sizeof *ids), sizeof ids);
        ok(vt_index_search(ix, &q, NULL, hits, &n, NULL, &err), &err);
        assert_int_equal(n, DEEP);
        assert_true(vt_index_get(ix, (uint32_t)ids[DEEP - 1], row));
        float worst = vt_vec_dot(q.vector, row, CLIP_DIM);
        assert_float_equal(hits[DEEP - 1].score, worst, 2 * VT_INDEX_ERROR);
    }
    free(v);
}

static void check_clip_recall(vt_index *ix, const matrix *train, const matrix *text,
                              const matrix *video) {
    enum { LEARNT = 200, ASKED = 60 };
    float *learnt = some_of(train, 0, train->n / LEARNT, LEARNT);
    float *words = some_of(text, 0, text->n / ASKED, ASKED);
    float *frames = some_of(video, 0, video->n / ASKED, ASKED);
    vt_index_query q = {.k = 10, .kind = VT_QUERY_TEXT, .recall = 0.95f};
    assert_true(clip_recall(ix, words, ASKED, q) >= 0.95); /* nothing learnt: all is seen */
    learn(ix, VT_QUERY_TEXT, learnt, LEARNT);
    learn(ix, VT_QUERY_IMAGE, NULL, 0);
    assert_true(vt_index_fraction(ix, VT_QUERY_TEXT, 0.95f) < 1);
    assert_true(vt_index_fraction(ix, VT_QUERY_IMAGE, 0.95f) < 0.5f);
    assert_true(clip_recall(ix, words, ASKED, q) >= 0.92);
    q.kind = VT_QUERY_IMAGE;
    assert_true(clip_recall(ix, frames, ASKED, q) >= 0.9);
    free(learnt);
    free(words);
    free(frames);
}

static void test_clip_vectors(void **unused) {
    (void)unused;
    matrix base = {0}, text = {0}, video = {0}, truth = {0}, train = {0};
    if (!matrix_open("base.f16bin", 2, &base) || !matrix_open("text.query.fbin", 4, &text) ||
        !matrix_open("text.train.fbin", 4, &train) || !matrix_open("video.query.fbin", 4, &video) ||
        !matrix_open("video.gt.ibin", 4, &truth)) {
        print_message("# skipped: data/ann is not in $VT_SHARED\n");
        skip();
    }
    vt_index *ix = index_of(&base);
    check_truth(ix, &video, &truth);
    make_cells(ix, NULL);
    check_clip_recall(ix, &train, &text, &video);
    vt_index_close(ix);
    vt_map_release(&base.map);
    vt_map_release(&text.map);
    vt_map_release(&video.map);
    vt_map_release(&truth.map);
    vt_map_release(&train.map);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_learnt),
        cmocka_unit_test(test_recall_one_scores_every_match),
        cmocka_unit_test(test_learnt),
        cmocka_unit_test(test_few_and_many),
        cmocka_unit_test(test_all_of_them),
        cmocka_unit_test(test_threads_agree),
        cmocka_unit_test(test_made_on_threads),
        cmocka_unit_test(test_filters),
        cmocka_unit_test(test_correlated_filters),
        cmocka_unit_test(test_fewer_than_k_match),
        cmocka_unit_test(test_changes_are_seen_at_once),
        cmocka_unit_test(test_churn),
        cmocka_unit_test(test_spend_more),
        cmocka_unit_test(test_measure),
        cmocka_unit_test(test_clip_vectors),
    };
    return cmocka_run_group_tests(tests, open_common, close_common);
}
