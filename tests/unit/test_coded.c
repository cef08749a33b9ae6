/* The estimating search of the flat index beside its exact one: recall of near and far queries,
 * filters of every selectivity, changes, searches while a writer changes, no memory for codes, and
 * real CLIP vectors. The linker sends the allocations of base through the wrapper below. */
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "index/index.h"

#define DIM      96
#define N        24000
#define K        10
#define CLUSTERS 300

static uint64_t state = 1;

static uint32_t random_below(uint32_t n) {
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (uint32_t)((state * 0x2545F4914F6CDD1Du) >> 33) % n;
}

static float random_float(void) {
    return (float)random_below(1 << 20) * 0x1p-19f - 1;
}

static _Atomic bool no_memory;

void *__real_vt_alloc_aligned(size_t count, size_t size);
void *__wrap_vt_alloc_aligned(size_t count, size_t size);
void *__wrap_vt_alloc_aligned(size_t count, size_t size) {
    return atomic_load(&no_memory) ? NULL : __real_vt_alloc_aligned(count, size);
}

/* ---- material --------------------------------------------------------------------------- */

/* As models make them: a common offset that outweighs all, clusters, and what is a row's own. A
 * far query has the offset of another tower. */
static void random_unit(float *v, bool far) {
    static float clusters[CLUSTERS][DIM];
    const float *cluster = clusters[random_below(CLUSTERS)];
    if (clusters[0][0] == 0) {
        for (size_t i = 0; i < (size_t)CLUSTERS * DIM; i++) {
            clusters[i / DIM][i % DIM] = random_float();
        }
    }
    for (size_t i = 0; i < DIM; i++) {
        v[i] = cluster[i] + random_float();
    }
    v[far ? 50 : 20] += 8;
    assert_true(vt_vec_normalize(v, DIM) > 0);
}

static void put(vt_flat *f, uint32_t slot) {
    float v[DIM];
    vt_err err;
    random_unit(v, false);
    assert_int_equal(vt_flat_put(f, slot, v, &err), VT_OK);
}

static vt_flat *filled(uint32_t n) {
    vt_flat *f;
    vt_err err;
    assert_int_equal(vt_flat_open(DIM, &f, &err), VT_OK);
    for (uint32_t slot = 0; slot < n; slot++) {
        put(f, slot);
    }
    assert_int_equal(vt_flat_check(f, &err), VT_OK);
    return f;
}

/* Hits of the exact search that the estimating one found as well. Whatever it found is scored
 * exactly, in order, live, of the filter, and as much as there is. */
static size_t found(const vt_flat *f, const float *vector, const vt_bitset *filter, size_t k,
                    vt_pool *pool) {
    vt_hit exact[1000], hits[1000];
    vt_err err;
    size_t n_exact, n, common = 0;
    vt_flat_query q = {.vector = vector, .k = k, .filter = filter};
    assert_int_equal(vt_flat_search(f, &q, pool, exact, &n_exact, &err), VT_OK);
    q.estimate = true;
    assert_int_equal(vt_flat_search(f, &q, pool, hits, &n, &err), VT_OK);
    assert_int_equal(n, n_exact);
    for (size_t i = 0; i < n; i++) {
        const float *row = vt_flat_get(f, hits[i].slot);
        assert_non_null(row);
        assert_true(!filter || vt_bitset_get(filter, hits[i].slot));
        assert_true(hits[i].score == vt_vec_dot(vector, row, vt_flat_dim(f)));
        assert_true(i == 0 || hits[i - 1].score > hits[i].score ||
                    (hits[i - 1].score == hits[i].score && hits[i - 1].slot < hits[i].slot));
        common += hits[i].score >= exact[n - 1].score;
    }
    return common;
}

static double recall(const vt_flat *f, const vt_bitset *filter, size_t k, bool far) {
    enum { QUERIES = 60 };
    float v[DIM];
    size_t total = 0;
    for (size_t i = 0; i < QUERIES; i++) {
        random_unit(v, far);
        total += found(f, v, filter, k, NULL);
    }
    return (double)total / (double)(QUERIES * k);
}

/* ---- recall ----------------------------------------------------------------------------- */

static void test_recall(void **unused) {
    (void)unused;
    vt_err err;
    for (const char *const *isa = vt_vec_isas(); *isa; isa++) {
        assert_int_equal(vt_vec_init(*isa, &err), VT_OK);
        vt_flat *f = filled(N);
        assert_true(recall(f, NULL, K, false) >= 0.98);
        assert_true(recall(f, NULL, K, true) >= 0.98);
        assert_true(recall(f, NULL, 100, true) >= 0.98);
        assert_true(recall(f, NULL, 1, false) >= 0.98);
        vt_flat_close(f);
    }
    assert_int_equal(vt_vec_init(NULL, &err), VT_OK);
}

/* Codes are in use: they take memory, from the size on where scans pay. */
static void test_codes_are_made(void **unused) {
    (void)unused;
    vt_flat *small = filled(12000), *large = filled(N);
    size_t rows = (size_t)4096 * DIM * sizeof(float); /* of a block */
    assert_true(vt_flat_bytes(small) < 3 * rows + 100000);
    assert_true(vt_flat_bytes(large) > 6 * rows + (size_t)N * DIM / 2);
    vt_flat_close(small);
    vt_flat_close(large);
}

static void test_filters(void **unused) {
    (void)unused;
    static const uint32_t per_mille[] = {950, 800, 500, 100, 10, 1, 0};
    vt_flat *f = filled(N);
    vt_err err;
    for (size_t i = 0; i < sizeof per_mille / sizeof *per_mille; i++) {
        vt_bitset filter;
        vt_bitset_init(&filter);
        assert_int_equal(vt_bitset_resize(&filter, N, &err), VT_OK);
        for (size_t slot = 0; slot < N; slot++) {
            vt_bitset_set(&filter, slot, random_below(1000) < per_mille[i]);
        }
        size_t matches = vt_bitset_count(&filter), k = matches < K ? matches : K;
        assert_true(k == 0 || recall(f, &filter, k, true) >= (matches < 16384 ? 1 : 0.98));
        vt_bitset_release(&filter);
    }
    vt_flat_close(f);
}

static void test_threads_agree(void **unused) {
    (void)unused;
    vt_flat *f = filled(N);
    vt_hit alone[K], together[K];
    float v[DIM];
    size_t n;
    vt_err err;
    random_unit(v, true);
    vt_flat_query q = {.vector = v, .k = K, .estimate = true};
    assert_int_equal(vt_flat_search(f, &q, NULL, alone, &n, &err), VT_OK);
    for (unsigned threads = 2; threads <= 5; threads++) {
        vt_pool *pool;
        assert_int_equal(vt_pool_open(threads, &pool, &err), VT_OK);
        assert_int_equal(vt_flat_search(f, &q, pool, together, &n, &err), VT_OK);
        assert_memory_equal(alone, together, sizeof alone);
        vt_pool_close(pool);
    }
    vt_flat_close(f);
}

/* ---- change ----------------------------------------------------------------------------- */

/* A third removed, a third replaced, a third of the slots beyond added, several times over: no
 * codes go stale, and recall stays. Removed slots are never found (see `found`). */
static void test_changes(void **unused) {
    (void)unused;
    vt_flat *f = filled(N);
    vt_err err;
    for (size_t round = 0; round < 4; round++) {
        for (uint32_t slot = 0; slot < N + N / 3; slot++) {
            switch (random_below(3)) {
            case 0:
                vt_flat_remove(f, slot);
                break;
            case 1:
                put(f, slot);
                break;
            default:
                break;
            }
        }
        assert_int_equal(vt_flat_check(f, &err), VT_OK);
        for (uint32_t slot = 0; vt_flat_count(f) < 20000; slot++) {
            put(f, slot);
        }
        assert_true(recall(f, NULL, K, false) >= 0.98);
        assert_true(recall(f, NULL, K, true) >= 0.98);
    }
    assert_int_equal(vt_flat_check(f, &err), VT_OK);
    vt_flat_close(f);
}

/* Two coordinates of a row swapped behind the index's back: of unit length, but not what was
 * coded. */
static void test_check_sees_stale_codes(void **unused) {
    (void)unused;
    vt_flat *f = filled(N);
    vt_err err;
    float *row = (float *)(uintptr_t)vt_flat_get(f, 5000), kept = row[20];
    row[20] = row[21];
    row[21] = kept;
    assert_int_equal(vt_flat_check(f, &err), VT_E_CORRUPT);
    assert_non_null(strstr(err.text, "slot 5000"));
    vt_flat_close(f);
}

/* Where a chunk's codes find no memory its rows are scored exactly; a put does not fail for it. */
static void test_without_memory_for_codes(void **unused) {
    (void)unused;
    vt_flat *f = filled(16000);
    vt_err err;
    atomic_store(&no_memory, true);
    for (uint32_t slot = 0; slot < 16384; slot++) { /* blocks are there: 4 of 4096 rows */
        put(f, slot);
    }
    atomic_store(&no_memory, false);
    assert_int_equal(vt_flat_check(f, &err), VT_OK);
    assert_true(recall(f, NULL, K, true) == 1);
    vt_flat_close(f);
}

/* ---- searches while it changes ---------------------------------------------------------- */

typedef struct shop {
    vt_flat *flat;
    pthread_rwlock_t lock;
    _Atomic bool closing;
    float queries[16][DIM];
} shop;

/* cmocka's assertions are for the main thread: what is wrong is counted. */
static void *customer(void *ctx) {
    shop *s = ctx;
    uintptr_t wrong = 0;
    for (size_t i = 0; !atomic_load(&s->closing); i++) {
        vt_hit hits[K];
        vt_err err;
        size_t n;
        vt_flat_query q = {.vector = s->queries[i % 16], .k = K, .estimate = true};
        pthread_rwlock_rdlock(&s->lock);
        wrong += vt_flat_search(s->flat, &q, NULL, hits, &n, &err) != VT_OK || n != K;
        for (size_t j = 0; j < n; j++) {
            const float *row = vt_flat_get(s->flat, hits[j].slot);
            wrong += !row || hits[j].score != vt_vec_dot(q.vector, row, DIM);
        }
        pthread_rwlock_unlock(&s->lock);
    }
    return (void *)wrong; // NOLINT(performance-no-int-to-ptr)
}

static void test_searches_while_it_changes(void **unused) {
    (void)unused;
    enum { CUSTOMERS = 2, CHANGES = 3000 };
    shop s = {.flat = filled(17000)};
    pthread_t threads[CUSTOMERS];
    vt_err err;
    for (size_t i = 0; i < 16; i++) {
        random_unit(s.queries[i], i % 2);
    }
    pthread_rwlockattr_t attr; /* as the catalogue's: readers must not keep the writer out */
    pthread_rwlockattr_init(&attr);
    pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    assert_int_equal(pthread_rwlock_init(&s.lock, &attr), 0);
    pthread_rwlockattr_destroy(&attr);
    for (size_t i = 0; i < CUSTOMERS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, customer, &s), 0);
    }
    for (size_t i = 0; i < CHANGES; i++) {
        uint32_t slot = random_below(20000);
        pthread_rwlock_wrlock(&s.lock);
        if (random_below(3) == 0 && vt_flat_count(s.flat) > 16500) {
            vt_flat_remove(s.flat, slot);
        } else {
            put(s.flat, slot);
        }
        pthread_rwlock_unlock(&s.lock);
    }
    atomic_store(&s.closing, true);
    for (size_t i = 0; i < CUSTOMERS; i++) {
        void *wrong;
        assert_int_equal(pthread_join(threads[i], &wrong), 0);
        assert_null(wrong);
    }
    assert_int_equal(vt_flat_check(s.flat, &err), VT_OK);
    vt_flat_close(s.flat);
    pthread_rwlock_destroy(&s.lock);
}

/* ---- real vectors ----------------------------------------------------------------------- */

/* Files of int32 count, int32 width, then the values. */
static bool map_shared(const char *name, vt_map *map) {
    char path[1024];
    const char *shared = getenv("VT_SHARED");
    vt_err err;
    if (!shared) {
        return false;
    }
    (void)snprintf(path, sizeof path, "%s/data/ann/clip60k.%s", shared, name);
    return vt_file_map(path, map, &err) == VT_OK;
}

static vt_flat *clip_index(const vt_map *base) {
    int32_t shape[2];
    uint16_t half[512];
    float v[512];
    vt_flat *f;
    vt_err err;
    memcpy(shape, base->data, sizeof shape);
    assert_int_equal(shape[1], 512);
    assert_int_equal(vt_flat_open(512, &f, &err), VT_OK);
    for (size_t i = 0; i < (size_t)shape[0]; i++) {
        memcpy(half, base->data + 8 + i * sizeof half, sizeof half);
        vt_vec_from_f16(v, half, 512);
        assert_true(vt_vec_normalize(v, 512) > 0);
        assert_int_equal(vt_flat_put(f, (uint32_t)i, v, &err), VT_OK);
    }
    return f;
}

/* Every sixth query of a file. */
static double clip_recall(const vt_flat *f, const vt_map *queries, size_t k) {
    int32_t shape[2];
    float v[512];
    size_t total = 0, asked = 0;
    memcpy(shape, queries->data, sizeof shape);
    for (size_t i = 0; i < (size_t)shape[0]; i += 6, asked++) {
        memcpy(v, queries->data + 8 + i * sizeof v, sizeof v);
        assert_true(vt_vec_normalize(v, 512) > 0);
        total += found(f, v, NULL, k, NULL);
    }
    return (double)total / (double)(asked * k);
}

static void test_recall_on_clip_vectors(void **unused) {
    (void)unused;
    vt_map base = {0}, text = {0}, video = {0};
    if (!map_shared("base.f16bin", &base) || !map_shared("text.query.fbin", &text) ||
        !map_shared("video.query.fbin", &video)) {
        print_message("# skipped: data/ann is not in $VT_SHARED\n");
        skip();
    }
    vt_flat *f = clip_index(&base);
    assert_true(clip_recall(f, &text, 10) >= 0.99);
    assert_true(clip_recall(f, &video, 10) >= 0.99);
    assert_true(clip_recall(f, &text, 100) >= 0.98);
    assert_true(clip_recall(f, &video, 100) >= 0.98);
    assert_true(clip_recall(f, &video, 1) >= 0.98);
    vt_flat_close(f);
    vt_map_release(&base);
    vt_map_release(&text);
    vt_map_release(&video);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recall),
        cmocka_unit_test(test_codes_are_made),
        cmocka_unit_test(test_filters),
        cmocka_unit_test(test_threads_agree),
        cmocka_unit_test(test_changes),
        cmocka_unit_test(test_check_sees_stale_codes),
        cmocka_unit_test(test_without_memory_for_codes),
        cmocka_unit_test(test_searches_while_it_changes),
        cmocka_unit_test(test_recall_on_clip_vectors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
