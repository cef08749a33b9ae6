/* Everything at once, under a lock as the catalogue's: one thread changes, several search, one
 * makes cells, learns, saves and loads, over and over, for as long as VT_TORTURE_SECONDS says (1).
 * What a searcher sees is right whenever it looks; what is loaded holds what did not change
 * meanwhile; and in the end the index holds what was put. For ThreadSanitizer. */
#include "index_support.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#define DIM       64
#define SLOTS     2000
#define CLUSTERS  40
#define K         10
#define SEARCHERS 2
#define QUERIES   16

typedef struct shop {
    world w;
    shelf s; /* rows and live are the writer's */
    pthread_rwlock_t lock;
    vt_pool *pool;
    float *pictures, *words;
    uint32_t versions[SLOTS]; /* rise with each change, under the lock */
    char path[128];
    _Atomic bool over;
    _Atomic size_t faults; /* cmocka's assertions are for the main thread */
    _Atomic size_t searches, changes, rebuilds, tunings, files;
} shop;

static void expect(shop *s, bool right) {
    if (!right) {
        atomic_fetch_add(&s->faults, 1);
    }
}

/* xorshift64*, one state a thread. */
static uint32_t below(uint64_t *state, uint32_t n) {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return (uint32_t)((*state * 0x2545F4914F6CDD1Du) >> 33) % n;
}

/* ---- who changes ------------------------------------------------------------------------ */

static void change_one(shop *s, uint32_t slot, uint32_t what) {
    vt_err err;
    float v[DIM];
    world_picture(&s->w, v); /* random_state is the writer's too */
    pthread_rwlock_wrlock(&s->lock);
    if (what == 0) {
        vt_index_remove(s->s.ix, slot);
    } else {
        expect(s, vt_index_put(s->s.ix, slot, v, &err) == VT_OK);
        memcpy(s->s.rows + (size_t)slot * DIM, v, sizeof v);
    }
    vt_bitset_set(&s->s.live, slot, what != 0);
    s->versions[slot]++;
    pthread_rwlock_unlock(&s->lock);
    atomic_fetch_add(&s->changes, 1);
}

static void *writer(void *ctx) {
    shop *s = ctx;
    uint64_t state = 7;
    while (!atomic_load(&s->over)) {
        change_one(s, below(&state, SLOTS), below(&state, 3));
        if (below(&state, 10) == 0) { /* a writer that never rests lets nobody read */
            usleep(2000);
        }
    }
    return NULL;
}

/* ---- who search ------------------------------------------------------------------------- */

static bool is_right(const shop *s, const vt_index_query *q, const vt_hit *hits, size_t i) {
    float row[DIM];
    if (!vt_index_get(s->s.ix, hits[i].slot, row)) {
        return false;
    }
    float off = hits[i].score - vt_vec_dot(q->vector, row, DIM);
    return fabsf(off) <= 2 * VT_INDEX_ERROR && (i == 0 || goes_before(q, &hits[i - 1], &hits[i])) &&
           (!q->filter || vt_bitset_get(q->filter, hits[i].slot));
}

static void search_once(shop *s, uint64_t *state, const vt_bitset *filter) {
    static const float recalls[] = {0, 0.5f, 0.9f, 1};
    vt_hit hits[K];
    vt_plan plan;
    vt_err err;
    size_t n = 0;
    bool words = below(state, 2);
    vt_index_query q = {
        .vector = (words ? s->words : s->pictures) + (size_t)below(state, QUERIES) * DIM,
        .k = K,
        .kind = words ? VT_QUERY_TEXT : VT_QUERY_IMAGE,
        .recall = recalls[below(state, 4)],
        .filter = below(state, 3) ? NULL : filter,
    };
    pthread_rwlock_rdlock(&s->lock);
    expect(s, vt_index_search(s->s.ix, &q, below(state, 2) ? s->pool : NULL, hits, &n, &plan,
                              &err) == VT_OK);
    expect(s, n == K && plan.rows == vt_index_count(s->s.ix));
    for (size_t i = 0; i < n; i++) {
        expect(s, is_right(s, &q, hits, i));
    }
    pthread_rwlock_unlock(&s->lock);
    atomic_fetch_add(&s->searches, 1);
}

static void *searcher(void *ctx) {
    shop *s = ctx;
    uint64_t state = (uintptr_t)&state; /* each of them asks other things */
    vt_bitset filter;
    vt_err err;
    vt_bitset_init(&filter);
    expect(s, vt_bitset_resize(&filter, SLOTS, &err) == VT_OK);
    for (size_t slot = 0; slot < SLOTS; slot++) {
        vt_bitset_set(&filter, slot, slot % 7 == 0);
    }
    while (!atomic_load(&s->over)) {
        search_once(s, &state, &filter);
    }
    vt_bitset_release(&filter);
    return NULL;
}

/* ---- who tends -------------------------------------------------------------------------- */

/* finish false: given up before the end. */
static void make_cells_meanwhile(shop *s, bool finish) {
    vt_rebuild *r;
    vt_err err;
    bool more = true;
    pthread_rwlock_wrlock(&s->lock);
    expect(s, vt_rebuild_open(s->s.ix, &r, &err) == VT_OK);
    pthread_rwlock_unlock(&s->lock);
    while (more) {
        expect(s, vt_rebuild_train(r, s->pool, &more, &err) == VT_OK);
    }
    for (more = true; more;) {
        pthread_rwlock_rdlock(&s->lock);
        expect(s, vt_rebuild_step(r, s->pool, &more, &err) == VT_OK);
        pthread_rwlock_unlock(&s->lock);
    }
    pthread_rwlock_wrlock(&s->lock);
    if (finish) {
        expect(s, vt_rebuild_finish(r, &err) == VT_OK);
        expect(s, vt_index_check(s->s.ix, &err) == VT_OK);
    }
    vt_rebuild_close(r);
    pthread_rwlock_unlock(&s->lock);
    atomic_fetch_add(&s->rebuilds, 1);
}

static void learn_meanwhile(shop *s, vt_query_kind kind) {
    vt_tuning *t;
    vt_err err;
    bool more = true;
    const float *queries = kind == VT_QUERY_TEXT ? s->words : NULL;
    pthread_rwlock_wrlock(&s->lock);
    expect(s, vt_tuning_open(s->s.ix, kind, queries, queries ? QUERIES : 0, &t, &err) == VT_OK);
    pthread_rwlock_unlock(&s->lock);
    while (more) {
        pthread_rwlock_rdlock(&s->lock);
        expect(s, vt_tuning_learn(t, s->s.ix, s->pool, &more, &err) == VT_OK);
        pthread_rwlock_unlock(&s->lock);
    }
    pthread_rwlock_wrlock(&s->lock);
    expect(s, vt_tuning_apply(t, s->s.ix, &err) == VT_OK);
    vt_index_spend_more(s->s.ix, kind, 1.1f);
    pthread_rwlock_unlock(&s->lock);
    vt_tuning_close(t);
    atomic_fetch_add(&s->tunings, 1);
}

/* The file must hold what did not change between the first call and the last. Called under the read
 * lock, with the versions as they were at the first. */
static void check_file(shop *s, const uint32_t *versions) {
    vt_hash model = vt_hash_bytes("model", 5);
    const vt_snapshot_wanted wanted = {.database_id = "database", .model = &model};
    vt_snapshot *snapshot = NULL;
    vt_index *ix = NULL;
    vt_bitset keep;
    vt_err err;
    uint64_t seq;
    vt_bitset_init(&keep);
    expect(s, vt_bitset_resize(&keep, SLOTS, &err) == VT_OK);
    for (size_t slot = 0; slot < SLOTS; slot++) {
        vt_bitset_set(&keep, slot,
                      vt_bitset_get(&s->s.live, slot) && versions[slot] == s->versions[slot]);
    }
    expect(s, vt_snapshot_open(s->path, &wanted, NULL, &snapshot, &seq, &err) == VT_OK);
    expect(s, vt_index_load(snapshot, DIM, &keep, &ix, &err) == VT_OK);
    expect(s, vt_index_check(ix, &err) == VT_OK);
    for (uint32_t slot = 0; slot < SLOTS; slot++) {
        float mine[DIM], theirs[DIM];
        bool kept = vt_bitset_get(&keep, slot);
        expect(s, vt_index_get(ix, slot, theirs) == kept);
        expect(s, !kept || (vt_index_get(s->s.ix, slot, mine) &&
                            memcmp(mine, theirs, sizeof mine) == 0));
    }
    vt_index_close(ix);
    vt_snapshot_release(snapshot);
    vt_bitset_release(&keep);
}

static void save_meanwhile(shop *s) {
    static uint32_t versions[SLOTS];
    vt_snapshot_key key = {.database_id = "database", .model = vt_hash_bytes("model", 5)};
    vt_snapshot_writer *w;
    vt_err err;
    uint64_t state = 0;
    bool more = true, first = true;
    expect(s, vt_snapshot_begin(s->path, &key, &w, &err) == VT_OK);
    for (; more; first = false) {
        pthread_rwlock_rdlock(&s->lock);
        if (first) {
            memcpy(versions, s->versions, sizeof versions);
        }
        expect(s, vt_index_save(s->s.ix, w, &state, &more, &err) == VT_OK);
        if (!more) { /* and read while nothing changes */
            expect(s, vt_snapshot_commit(w, &err) == VT_OK);
            check_file(s, versions);
        }
        pthread_rwlock_unlock(&s->lock);
        expect(s, !more || vt_snapshot_flush(w, &err) == VT_OK);
    }
    vt_snapshot_close(w);
    atomic_fetch_add(&s->files, 1);
}

static void *tender(void *ctx) {
    shop *s = ctx;
    for (size_t round = 0; round == 0 || !atomic_load(&s->over); round++) {
        save_meanwhile(s);
        make_cells_meanwhile(s, round % 4 != 3);
        learn_meanwhile(s, VT_QUERY_IMAGE);
        save_meanwhile(s);
        learn_meanwhile(s, VT_QUERY_TEXT);
    }
    return NULL;
}

/* ---- test ------------------------------------------------------------------------------- */

static void lock_open(pthread_rwlock_t *lock) {
    pthread_rwlockattr_t attr; /* as the catalogue's: readers must not keep the writer out */
    pthread_rwlockattr_init(&attr);
    pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    assert_int_equal(pthread_rwlock_init(lock, &attr), 0);
    pthread_rwlockattr_destroy(&attr);
}

static void shop_open(shop *s, char *folder) {
    vt_err err;
    world_open(&s->w, DIM, CLUSTERS);
    shelf_open(&s->s, DIM, SLOTS);
    shelf_fill(&s->s, &s->w, 0, SLOTS);
    s->pictures = world_queries(&s->w, false, QUERIES);
    s->words = world_queries(&s->w, true, QUERIES);
    ok(vt_pool_open(2, &s->pool, &err), &err);
    lock_open(&s->lock);
    assert_non_null(mkdtemp(folder));
    (void)snprintf(s->path, sizeof s->path, "%s/index", folder);
}

static void shop_close(shop *s, const char *folder) {
    assert_int_equal(unlink(s->path), 0);
    assert_int_equal(rmdir(folder), 0); /* no file in the making is left */
    pthread_rwlock_destroy(&s->lock);
    vt_pool_close(s->pool);
    free(s->pictures);
    free(s->words);
    shelf_close(&s->s);
    world_close(&s->w);
}

static void test_everything_at_once(void **unused) {
    (void)unused;
    static shop s;
    char folder[] = "/tmp/vitrine-test-XXXXXX";
    pthread_t threads[SEARCHERS + 2];
    uint64_t seconds = 1;
    const char *told = getenv("VT_TORTURE_SECONDS");
    assert_true(!told || vt_parse_u64(told, 100000, &seconds));
    shop_open(&s, folder);
    for (size_t i = 0; i < SEARCHERS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, searcher, &s), 0);
    }
    assert_int_equal(pthread_create(&threads[SEARCHERS], NULL, writer, &s), 0);
    assert_int_equal(pthread_create(&threads[SEARCHERS + 1], NULL, tender, &s), 0);
    sleep((unsigned)seconds);
    atomic_store(&s.over, true);
    for (size_t i = 0; i < SEARCHERS + 2; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    print_message("# %zu searches, %zu changes, %zu rebuilds, %zu tunings, %zu files\n", s.searches,
                  s.changes, s.rebuilds, s.tunings, s.files);
    assert_int_equal(s.faults, 0);
    assert_true(s.searches > 0 && s.changes > 0 && s.rebuilds > 0 && s.files > 1);
    shelf_check(&s.s);
    shop_close(&s, folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_everything_at_once)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
