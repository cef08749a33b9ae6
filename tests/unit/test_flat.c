/* Bitset and flat index: against brute force in double precision, through changes, filters, equal
 * scores and failing allocations, and against the exact neighbours of real CLIP vectors. The
 * linker sends the allocations of base through the wrappers below. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "index/index.h"

#define MAX_SLOTS    700
#define MAX_TEST_DIM 40

/* ---- material --------------------------------------------------------------------------- */

static uint64_t state = 1;

static uint32_t random_below(uint32_t n) {
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (uint32_t)((state * 0x2545F4914F6CDD1Du) >> 33) % n;
}

/* Coordinates from a handful of values, so that equal vectors and equal scores are common. */
static void random_unit(float *v, size_t dim, uint32_t distinct) {
    do {
        for (size_t i = 0; i < dim; i++) {
            v[i] = (float)random_below(distinct) - (float)(distinct / 2);
        }
    } while (vt_vec_normalize(v, dim) == 0);
}

/* ---- allocations that fail -------------------------------------------------------------- */

static int allocations_left = -1; /* before one fails; below 0: none fails */

static bool fails_now(void) {
    return allocations_left >= 0 && allocations_left-- == 0;
}

void *__real_vt_alloc(size_t count, size_t size);
void *__wrap_vt_alloc(size_t count, size_t size);
void *__wrap_vt_alloc(size_t count, size_t size) {
    return fails_now() ? NULL : __real_vt_alloc(count, size);
}

void *__real_vt_alloc_aligned(size_t count, size_t size);
void *__wrap_vt_alloc_aligned(size_t count, size_t size);
void *__wrap_vt_alloc_aligned(size_t count, size_t size) {
    return fails_now() ? NULL : __real_vt_alloc_aligned(count, size);
}

vt_status __real_vt_array_grow(void *array, size_t *cap, size_t need, size_t size, vt_err *err);
vt_status __wrap_vt_array_grow(void *array, size_t *cap, size_t need, size_t size, vt_err *err);
vt_status __wrap_vt_array_grow(void *array, size_t *cap, size_t need, size_t size, vt_err *err) {
    return fails_now() ? vt_fail_nomem(err, need)
                       : __real_vt_array_grow(array, cap, need, size, err);
}

/* ---- bitset ----------------------------------------------------------------------------- */

/* Every operation beside an array of bools. */
static void test_bitset_like_bools(void **unused) {
    (void)unused;
    bool model[400] = {false};
    size_t n = 0;
    vt_bitset b;
    vt_err err;
    vt_bitset_init(&b);
    for (size_t round = 0; round < 4000; round++) {
        size_t count = 0;
        switch (random_below(n > 0 ? 8 : 1)) {
        case 0: { /* resize; what is cut off must not come back */
            size_t to = random_below(400);
            for (size_t i = to; i < 400; i++) {
                model[i] = false;
            }
            n = to;
            assert_int_equal(vt_bitset_resize(&b, n, &err), VT_OK);
            break;
        }
        case 1: {
            bool value = random_below(2);
            memset(model, value, n);
            vt_bitset_fill(&b, value);
            break;
        }
        default: {
            size_t i = random_below((uint32_t)n);
            model[i] = random_below(2);
            vt_bitset_set(&b, i, model[i]);
        }
        }
        for (size_t i = 0; i < 400; i++) {
            count += model[i];
            assert_int_equal(vt_bitset_get(&b, i), model[i]);
        }
        assert_false(vt_bitset_get(&b, SIZE_MAX));
        assert_int_equal(vt_bitset_count(&b), count);
        assert_int_equal(vt_bitset_check(&b, &err), VT_OK);
    }
    vt_bitset_release(&b);
}

static void test_bitset_and(void **unused) {
    (void)unused;
    vt_err err;
    for (size_t n = 0; n < 300; n += 7) {
        for (size_t m = 0; m < 300; m += 11) {
            vt_bitset a, b;
            vt_bitset_init(&a);
            vt_bitset_init(&b);
            assert_int_equal(vt_bitset_resize(&a, n, &err), VT_OK);
            assert_int_equal(vt_bitset_resize(&b, m, &err), VT_OK);
            for (size_t i = 0; i < n; i++) {
                vt_bitset_set(&a, i, i % 2 == 0);
            }
            for (size_t i = 0; i < m; i++) {
                vt_bitset_set(&b, i, i % 3 == 0);
            }
            vt_bitset_and(&a, &b);
            for (size_t i = 0; i < 310; i++) {
                assert_int_equal(vt_bitset_get(&a, i), i < n && i < m && i % 6 == 0);
            }
            assert_int_equal(vt_bitset_check(&a, &err), VT_OK);
            vt_bitset_release(&a);
            vt_bitset_release(&b);
        }
    }
}

static void test_bitset_check_sees_stray_bits(void **unused) {
    (void)unused;
    vt_bitset b;
    vt_err err;
    vt_bitset_init(&b);
    assert_int_equal(vt_bitset_resize(&b, 70, &err), VT_OK);
    b.words[1] |= 1 << 6;
    assert_int_equal(vt_bitset_check(&b, &err), VT_E_CORRUPT);
    b.words[1] = 0;
    b.words[2] = 1;
    assert_int_equal(vt_bitset_check(&b, &err), VT_E_CORRUPT);
    vt_bitset_release(&b);
}

/* ---- brute force ------------------------------------------------------------------------ */

/* What the index should hold. */
typedef struct shelf {
    size_t dim;
    bool live[MAX_SLOTS];
    float rows[MAX_SLOTS][MAX_TEST_DIM];
    vt_flat *flat;
} shelf;

static shelf *shelf_open(size_t dim) {
    vt_err err;
    shelf *s = calloc(1, sizeof *s);
    assert_non_null(s);
    s->dim = dim;
    assert_int_equal(vt_flat_open(dim, &s->flat, &err), VT_OK);
    return s;
}

static void shelf_close(shelf *s) {
    vt_flat_close(s->flat);
    free(s);
}

/* Puts (new, again, or the double of another) or removes, somewhere. */
static void shelf_change(shelf *s, uint32_t slots) {
    vt_err err;
    uint32_t slot = random_below(slots), other = random_below(slots);
    if (random_below(3) == 0) {
        vt_flat_remove(s->flat, slot);
        s->live[slot] = false;
        return;
    }
    if (random_below(4) == 0 && s->live[other]) {
        memcpy(s->rows[slot], s->rows[other], sizeof s->rows[slot]);
    } else {
        random_unit(s->rows[slot], s->dim, 4);
    }
    assert_int_equal(vt_flat_put(s->flat, slot, s->rows[slot], &err), VT_OK);
    s->live[slot] = true;
}

static void shelf_check(const shelf *s) {
    vt_err err;
    size_t count = 0;
    for (uint32_t slot = 0; slot < MAX_SLOTS; slot++) {
        const float *row = vt_flat_get(s->flat, slot);
        count += s->live[slot];
        assert_int_equal(row != NULL, s->live[slot]);
        if (row) {
            assert_memory_equal(row, s->rows[slot], s->dim * sizeof *row);
        }
    }
    assert_int_equal(vt_flat_count(s->flat), count);
    assert_int_equal(vt_flat_dim(s->flat), s->dim);
    assert_true(vt_flat_bytes(s->flat) >= count * s->dim * sizeof(float));
    assert_int_equal(vt_flat_check(s->flat, &err), VT_OK);
}

/* Reversed, so that ties are seen to follow it and not the slots. */
static bool later_first(void *ctx, uint32_t a, uint32_t b) {
    (void)ctx;
    return a > b;
}

static double exact_score(const shelf *s, const float *q, uint32_t slot) {
    double sum = 0;
    for (size_t i = 0; i < s->dim; i++) {
        sum += (double)q[i] * (double)s->rows[slot][i];
    }
    return sum;
}

/* The hits are matches, each once, in order, with the score that vt_vec_dot gives; and no match
 * that was left out is better than the last. */
static void check_hits(const shelf *s, const vt_flat_query *q, const vt_hit *hits, size_t n) {
    bool taken[MAX_SLOTS] = {false};
    size_t matches = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t slot = hits[i].slot;
        assert_true(slot < MAX_SLOTS && s->live[slot] && !taken[slot]);
        taken[slot] = true;
        assert_true(hits[i].score == vt_vec_dot(q->vector, s->rows[slot], s->dim));
        assert_true(fabs((double)hits[i].score - exact_score(s, q->vector, slot)) < 1e-6);
        if (i > 0) {
            bool in_slot_order = hits[i - 1].slot < slot;
            assert_true(hits[i - 1].score > hits[i].score ||
                        (hits[i - 1].score == hits[i].score && in_slot_order == !q->tie));
        }
    }
    for (uint32_t slot = 0; slot < MAX_SLOTS; slot++) {
        bool match = s->live[slot] && (!q->filter || vt_bitset_get(q->filter, slot));
        matches += match;
        assert_true(match || !taken[slot]);
        if (match && !taken[slot] && n > 0) {
            double score = exact_score(s, q->vector, slot);
            assert_true(score <= (double)hits[n - 1].score + 1e-6);
            if (vt_vec_dot(q->vector, s->rows[slot], s->dim) == hits[n - 1].score) {
                assert_int_equal(hits[n - 1].slot < slot, !q->tie);
            }
        }
    }
    assert_int_equal(n, q->k < matches ? q->k : matches);
}

static void search_and_check(const shelf *s, const vt_bitset *filter, vt_pool *pool) {
    float vector[MAX_TEST_DIM];
    vt_hit hits[MAX_SLOTS + 1], again[MAX_SLOTS + 1];
    size_t n, n_again;
    vt_err err;
    random_unit(vector, s->dim, 4);
    vt_flat_query q = {
        .vector = vector,
        .k = 1 + random_below(random_below(2) ? 10 : MAX_SLOTS + 1),
        .filter = filter,
        .tie = random_below(2) ? later_first : NULL,
    };
    assert_int_equal(vt_flat_search(s->flat, &q, NULL, hits, &n, &err), VT_OK);
    check_hits(s, &q, hits, n);
    assert_int_equal(vt_flat_search(s->flat, &q, pool, again, &n_again, &err), VT_OK);
    assert_int_equal(n, n_again);
    assert_memory_equal(hits, again, n * sizeof *hits);
}

/* One search with no filter and one with a filter of each density; the filter may know fewer
 * slots than the index, or more. */
static void search_with_filters(const shelf *s, vt_pool *pool) {
    static const uint32_t per_mille[] = {0, 2, 50, 500, 950, 1000};
    vt_err err;
    search_and_check(s, NULL, pool);
    for (size_t d = 0; d < sizeof per_mille / sizeof *per_mille; d++) {
        vt_bitset filter;
        size_t n = random_below(2) ? MAX_SLOTS + 100 : random_below(MAX_SLOTS);
        vt_bitset_init(&filter);
        assert_int_equal(vt_bitset_resize(&filter, n, &err), VT_OK);
        for (size_t i = 0; i < n; i++) {
            vt_bitset_set(&filter, i, random_below(1000) < per_mille[d]);
        }
        search_and_check(s, &filter, pool);
        vt_bitset_release(&filter);
    }
}

static void test_like_brute_force(void **unused) {
    (void)unused;
    vt_pool *pool;
    vt_err err;
    assert_int_equal(vt_pool_open(3, &pool, &err), VT_OK);
    for (const char *const *isa = vt_vec_isas(); *isa; isa++) {
        assert_int_equal(vt_vec_init(*isa, &err), VT_OK);
        for (size_t dim = 1; dim <= MAX_TEST_DIM; dim += 3) {
            shelf *s = shelf_open(dim);
            for (uint32_t slots = 1; slots <= MAX_SLOTS; slots += 63) {
                search_with_filters(s, pool);
                for (size_t i = 0; i < slots; i++) {
                    shelf_change(s, slots);
                }
                shelf_check(s);
            }
            shelf_close(s);
        }
    }
    vt_pool_close(pool);
    assert_int_equal(vt_vec_init(NULL, &err), VT_OK);
}

/* ---- larger than a block ---------------------------------------------------------------- */

/* Enough rows for several blocks and parts, with a hole of two blocks; the same hits on any
 * number of threads, and with a filter that lets all pass. */
static void test_many_blocks(void **unused) {
    (void)unused;
    enum { DIM = 128, N = 40000, K = 50 };
    float v[DIM];
    vt_flat *f;
    vt_err err;
    vt_bitset all;
    vt_hit expected[K], hits[K];
    size_t n;
    assert_int_equal(vt_flat_open(DIM, &f, &err), VT_OK);
    for (uint32_t slot = 0; slot < N; slot++) {
        if (slot < 8000 || slot > 17000) {
            random_unit(v, DIM, 5);
            assert_int_equal(vt_flat_put(f, slot, v, &err), VT_OK);
        }
    }
    assert_int_equal(vt_flat_slots(f), N);
    assert_int_equal(vt_flat_count(f), N - 9001);
    assert_true(vt_flat_bytes(f) < (size_t)N * DIM * sizeof(float));
    assert_int_equal(vt_flat_check(f, &err), VT_OK);
    vt_bitset_init(&all);
    assert_int_equal(vt_bitset_resize(&all, N, &err), VT_OK);
    vt_bitset_fill(&all, true);
    random_unit(v, DIM, 5);
    vt_flat_query q = {.vector = v, .k = K};
    assert_int_equal(vt_flat_search(f, &q, NULL, expected, &n, &err), VT_OK);
    assert_int_equal(n, K);
    for (size_t i = 1; i < K; i++) {
        assert_true(expected[i - 1].score >= expected[i].score);
    }
    for (unsigned threads = 1; threads <= 5; threads++) {
        vt_pool *pool;
        assert_int_equal(vt_pool_open(threads, &pool, &err), VT_OK);
        q.filter = threads % 2 ? &all : NULL;
        assert_int_equal(vt_flat_search(f, &q, pool, hits, &n, &err), VT_OK);
        assert_int_equal(n, K);
        assert_memory_equal(hits, expected, sizeof hits);
        vt_pool_close(pool);
    }
    vt_bitset_release(&all);
    vt_flat_close(f);
}

/* A long vector makes a block smaller than a word of slots; rows are found across blocks. */
static void test_small_blocks(void **unused) {
    (void)unused;
    enum { DIM = 65536, N = 70 };
    vt_flat *f;
    vt_err err;
    vt_hit hits[3];
    size_t n;
    float *v = calloc(DIM, sizeof *v);
    assert_non_null(v);
    assert_int_equal(vt_flat_open(DIM, &f, &err), VT_OK);
    for (uint32_t slot = 0; slot < N; slot++) {
        memset(v, 0, DIM * sizeof *v);
        v[slot * 900] = 1;
        assert_int_equal(vt_flat_put(f, slot, v, &err), VT_OK);
    }
    for (uint32_t slot = 0; slot < N; slot++) {
        memset(v, 0, DIM * sizeof *v);
        v[slot * 900] = 0.8f;
        v[(slot + 1) % N * 900] = 0.6f;
        vt_flat_query q = {.vector = v, .k = 3};
        assert_int_equal(vt_flat_search(f, &q, NULL, hits, &n, &err), VT_OK);
        assert_int_equal(n, 3);
        assert_int_equal(hits[0].slot, slot);
        assert_int_equal(hits[1].slot, (slot + 1) % N);
        assert_true(hits[0].score == 0.8f && hits[1].score == 0.6f && hits[2].score == 0);
    }
    assert_int_equal(vt_flat_check(f, &err), VT_OK);
    vt_flat_close(f);
    free(v);
}

/* ---- refusals --------------------------------------------------------------------------- */

static void test_refuses_bad_input(void **unused) {
    (void)unused;
    vt_flat *f;
    vt_err err;
    vt_hit hits[1];
    size_t n = 7;
    const float good[2] = {0.6f, 0.8f};
    const float bad[][2] = {{0, 0}, {0.6f, 0.7f}, {NAN, 1}, {INFINITY, 0}, {3e38f, 3e38f}};
    assert_int_equal(vt_flat_open(0, &f, &err), VT_E_INVALID);
    assert_null(f);
    assert_int_equal(vt_flat_open(65537, &f, &err), VT_E_INVALID);
    assert_int_equal(vt_flat_open(2, &f, &err), VT_OK);
    assert_int_equal(vt_flat_put(f, 3, good, &err), VT_OK);
    assert_int_equal(vt_flat_put(f, UINT32_MAX, good, &err), VT_E_INVALID);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        vt_flat_query q = {.vector = bad[i], .k = 1};
        assert_int_equal(vt_flat_put(f, 3, bad[i], &err), VT_E_INVALID);
        assert_non_null(strstr(err.text, "slot 3"));
        assert_int_equal(vt_flat_search(f, &q, NULL, hits, &n, &err), VT_E_INVALID);
        assert_int_equal(n, 0);
    }
    vt_flat_query q = {.vector = good, .k = 0};
    assert_int_equal(vt_flat_search(f, &q, NULL, hits, &n, &err), VT_E_INVALID);
    assert_memory_equal(vt_flat_get(f, 3), good, sizeof good);
    assert_null(vt_flat_get(f, 2));
    assert_null(vt_flat_get(f, 4));
    vt_flat_remove(f, 1000);
    vt_flat_remove(f, 2);
    assert_int_equal(vt_flat_count(f), 1);
    vt_flat_close(f);
    vt_flat_close(NULL);
}

/* vt_flat_check is what other tests lean on, so it must see what it says it sees. */
static void test_check_sees_damage(void **unused) {
    (void)unused;
    vt_flat *f;
    vt_err err;
    const float v[2] = {0.6f, 0.8f};
    assert_int_equal(vt_flat_open(2, &f, &err), VT_OK);
    assert_int_equal(vt_flat_put(f, 0, v, &err), VT_OK);
    assert_int_equal(vt_flat_put(f, 5, v, &err), VT_OK);
    float *row = (float *)(uintptr_t)vt_flat_get(f, 5);
    row[0] = 0.5f;
    assert_int_equal(vt_flat_check(f, &err), VT_E_CORRUPT);
    assert_non_null(strstr(err.text, "slot 5"));
    row[0] = 0.6f;
    assert_int_equal(vt_flat_check(f, &err), VT_OK);
    vt_flat_remove(f, 5);
    assert_int_equal(vt_flat_check(f, &err), VT_OK);
    row[1] = 1;
    assert_int_equal(vt_flat_check(f, &err), VT_E_CORRUPT);
    vt_flat_close(f);
}

/* ---- no memory -------------------------------------------------------------------------- */

/* Lets the n-th allocation of a put fail, for each n, at a slot that needs all of them. */
static void test_put_without_memory(void **unused) {
    (void)unused;
    vt_err err;
    shelf *s = shelf_open(8);
    for (size_t i = 0; i < 500; i++) {
        shelf_change(s, 200);
    }
    float v[8];
    random_unit(v, 8, 4);
    size_t slots = vt_flat_slots(s->flat);
    uint32_t slot = 100000;
    vt_status status = VT_E_NOMEM;
    int failures = 0;
    for (; status != VT_OK; failures++) {
        allocations_left = failures;
        status = vt_flat_put(s->flat, slot, v, &err);
        allocations_left = -1;
        if (status != VT_OK) {
            assert_int_equal(status, VT_E_NOMEM);
            assert_int_equal(vt_flat_slots(s->flat), slots);
            assert_null(vt_flat_get(s->flat, slot));
            shelf_check(s);
        }
    }
    assert_true(failures >= 3); /* the table of blocks, a block, the live bits */
    assert_non_null(vt_flat_get(s->flat, slot));
    vt_flat_remove(s->flat, slot);
    shelf_check(s);
    shelf_close(s);
}

static void test_search_without_memory(void **unused) {
    (void)unused;
    vt_flat *f;
    vt_err err;
    vt_hit hits[4];
    size_t n;
    const float v[2] = {0.6f, 0.8f};
    allocations_left = 0;
    assert_int_equal(vt_flat_open(2, &f, &err), VT_E_NOMEM);
    assert_null(f);
    allocations_left = -1;
    assert_int_equal(vt_flat_open(2, &f, &err), VT_OK);
    assert_int_equal(vt_flat_put(f, 0, v, &err), VT_OK);
    vt_flat_query q = {.vector = v, .k = 4};
    vt_status status = VT_E_NOMEM;
    int failures = 0;
    for (; status != VT_OK; failures++) {
        allocations_left = failures;
        status = vt_flat_search(f, &q, NULL, hits, &n, &err);
        allocations_left = -1;
        assert_true(status == VT_OK || (status == VT_E_NOMEM && n == 0));
    }
    assert_int_equal(n, 1);
    vt_flat_close(f);
}

/* ---- real vectors ----------------------------------------------------------------------- */

/* Files of int32 count, int32 width, then the values. */
static bool map_shared(const char *name, vt_map *map) {
    vt_err err;
    char path[1024];
    const char *shared = getenv("VT_SHARED");
    if (!shared) {
        return false;
    }
    snprintf(path, sizeof path, "%s/data/ann/%s", shared, name);
    return vt_file_map(path, map, &err) == VT_OK;
}

static void shape_of(const vt_map *map, int32_t shape[2]) {
    assert_true(map->size > 8);
    memcpy(shape, map->data, 8);
}

static vt_flat *index_of_base(const vt_map *base) {
    int32_t shape[2];
    vt_flat *f;
    vt_err err;
    shape_of(base, shape);
    size_t n = (size_t)shape[0], dim = (size_t)shape[1];
    uint16_t *half = malloc(dim * sizeof *half);
    float *v = malloc(dim * sizeof *v);
    assert_non_null(half);
    assert_non_null(v);
    assert_int_equal(base->size, 8 + n * dim * 2);
    assert_int_equal(vt_flat_open(dim, &f, &err), VT_OK);
    for (size_t i = 0; i < n; i++) {
        memcpy(half, base->data + 8 + i * dim * sizeof *half, dim * sizeof *half);
        vt_vec_from_f16(v, half, dim);
        assert_true(vt_vec_normalize(v, dim) > 0);
        assert_int_equal(vt_flat_put(f, (uint32_t)i, v, &err), VT_OK);
    }
    free(half);
    free(v);
    return f;
}

/* Of the true nearest, how many were found: by score, because frames of a video may be equal. */
static size_t found(const vt_flat *f, const float *q, const int32_t *truth, const vt_hit *hits,
                    size_t k) {
    float worst = vt_vec_dot(q, vt_flat_get(f, (uint32_t)truth[k - 1]), vt_flat_dim(f));
    size_t n = 0;
    for (size_t i = 0; i < k; i++) {
        n += vt_vec_dot(q, vt_flat_get(f, hits[i].slot), vt_flat_dim(f)) >= worst - 1e-6f;
    }
    return n;
}

static void test_recall_on_clip_vectors(void **unused) {
    (void)unused;
    enum { K = 100, SAMPLE = 100 };
    vt_map base = {0}, queries = {0}, truth = {0};
    vt_err err;
    vt_hit hits[K];
    size_t n_hits, total = 0;
    if (!map_shared("clip60k.base.f16bin", &base) ||
        !map_shared("clip60k.video.query.fbin", &queries) ||
        !map_shared("clip60k.video.gt.ibin", &truth)) {
        print_message("# skipped: data/ann is not in $VT_SHARED\n");
        skip();
    }
    int32_t q_shape[2], t_shape[2], ids[K];
    shape_of(&queries, q_shape);
    shape_of(&truth, t_shape);
    assert_int_equal(t_shape[0], q_shape[0]);
    assert_int_equal(t_shape[1], K);
    vt_flat *f = index_of_base(&base);
    assert_int_equal(vt_flat_check(f, &err), VT_OK);
    size_t dim = vt_flat_dim(f), step = (size_t)q_shape[0] / SAMPLE;
    float *v = malloc(dim * sizeof *v);
    assert_non_null(v);
    for (size_t i = 0; i < SAMPLE; i++) {
        memcpy(v, queries.data + 8 + i * step * dim * sizeof *v, dim * sizeof *v);
        memcpy(ids, truth.data + 8 + i * step * sizeof ids, sizeof ids);
        assert_true(vt_vec_normalize(v, dim) > 0);
        vt_flat_query q = {.vector = v, .k = K};
        assert_int_equal(vt_flat_search(f, &q, NULL, hits, &n_hits, &err), VT_OK);
        assert_int_equal(n_hits, K);
        total += found(f, v, ids, hits, K);
    }
    assert_int_equal(total, K * SAMPLE); /* recall@100 = 1 */
    free(v);
    vt_flat_close(f);
    vt_map_release(&base);
    vt_map_release(&queries);
    vt_map_release(&truth);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bitset_like_bools),
        cmocka_unit_test(test_bitset_and),
        cmocka_unit_test(test_bitset_check_sees_stray_bits),
        cmocka_unit_test(test_like_brute_force),
        cmocka_unit_test(test_many_blocks),
        cmocka_unit_test(test_small_blocks),
        cmocka_unit_test(test_refuses_bad_input),
        cmocka_unit_test(test_check_sees_damage),
        cmocka_unit_test(test_put_without_memory),
        cmocka_unit_test(test_search_without_memory),
        cmocka_unit_test(test_recall_on_clip_vectors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
