/* The cache against a plain model of what it promises, single flight with real threads, and the
 * lifetime of answers. Time is a clock that the tests turn by hand. */
#include "cache/cache.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>

#include <cmocka.h>

#define SECOND UINT64_C(1000000000)

static _Atomic uint64_t turned_ns;

static uint64_t turned_clock(void) {
    return atomic_load(&turned_ns);
}

static vt_cache *cache_with(size_t max_bytes, uint32_t ttl_s) {
    vt_cache_options o = {.max_bytes = max_bytes, .ttl_s = ttl_s, .now_ns = turned_clock};
    vt_cache *c;
    vt_err err;
    atomic_store(&turned_ns, 1000 * SECOND);
    assert_int_equal(vt_cache_open(&o, &c, &err), VT_OK);
    return c;
}

/* Every fourth key shares its first 8 bytes, so its bucket, with the others of its kind. */
static vt_hash key_of(unsigned i) {
    vt_hash h = vt_hash_bytes(&i, sizeof i);
    if (i % 4 == 0)
        memset(h.bytes, 7, 8);
    return h;
}

static vt_cache_stats stats_of(vt_cache *c) {
    vt_cache_stats s;
    vt_err err;
    if (vt_cache_check(c, &err) != VT_OK)
        fail_msg("%s", err.text);
    vt_cache_describe(c, &s);
    assert_true(s.bytes <= s.max_bytes);
    return s;
}

/* What a test's computation does, and how often it was asked. */
typedef struct work {
    const char *text; /* NULL: fail */
    size_t pad;       /* bytes of '.' behind it */
    atomic_int calls;
} work;

static vt_status write_text(void *ctx, vt_buf *out, vt_err *err) {
    work *w = ctx;
    atomic_fetch_add(&w->calls, 1);
    if (!w->text)
        return vt_fail_field(err, VT_E_UPSTREAM, "/image_url", "the shop is closed");
    vt_buf_puts(out, w->text);
    for (size_t i = 0; i < w->pad; i++)
        vt_buf_puts(out, ".");
    return VT_OK;
}

static vt_answer *get(vt_cache *c, unsigned key, work *w, vt_cache_source expected) {
    vt_hash h = key_of(key);
    vt_answer *a;
    vt_cache_source source;
    vt_err err;
    assert_int_equal(vt_cache_get(c, &h, write_text, w, &a, &source, &err), VT_OK);
    assert_int_equal(source, expected);
    assert_int_equal(strlen(a->data), a->len);
    return a;
}

static void get_and_drop(vt_cache *c, unsigned key, work *w, vt_cache_source expected) {
    vt_answer_release(get(c, key, w, expected));
}

/* ---- one thread ------------------------------------------------------------------------- */

static void an_answer_is_computed_once(void **state) {
    vt_cache *c = cache_with(100000, 60);
    work w = {.text = "ten hits"};
    get_and_drop(c, 1, &w, VT_CACHE_MISS);
    vt_answer *a = get(c, 1, &w, VT_CACHE_HIT);
    assert_string_equal(a->data, "ten hits");
    vt_answer_release(a);
    get_and_drop(c, 2, &w, VT_CACHE_MISS);
    assert_int_equal(w.calls, 2);
    vt_cache_stats s = stats_of(c);
    assert_int_equal(s.hits, 1);
    assert_int_equal(s.misses, 2);
    assert_int_equal(s.entries, 2);
    vt_cache_close(c);
}

static vt_status take_three_seconds(void *ctx, vt_buf *out, vt_err *err) {
    atomic_fetch_add(&turned_ns, 3 * SECOND);
    return write_text(ctx, out, err);
}

static void answers_expire_to_the_nanosecond(void **state) {
    vt_cache *c = cache_with(100000, 60);
    vt_hash key = key_of(1);
    work w = {.text = "x"};
    vt_answer *a;
    vt_cache_source source;
    vt_err err;
    assert_int_equal(vt_cache_get(c, &key, take_three_seconds, &w, &a, &source, &err), VT_OK);
    assert_int_equal(a->computed_ns, 3 * SECOND);
    vt_answer_release(a);
    uint64_t stored = turned_clock(); /* its time runs from when it was computed */
    atomic_store(&turned_ns, stored + 60 * SECOND - 1);
    get_and_drop(c, 1, &w, VT_CACHE_HIT);
    atomic_store(&turned_ns, stored + 60 * SECOND);
    get_and_drop(c, 1, &w, VT_CACHE_MISS);
    assert_int_equal(w.calls, 2);
    vt_cache_stats s = stats_of(c);
    assert_int_equal(s.expired, 1);
    assert_int_equal(s.entries, 1);
    vt_cache_close(c);
}

static void an_answer_outlives_its_entry_and_the_cache(void **state) {
    vt_cache *c = cache_with(1000, 60);
    work w = {.text = "kept", .pad = 500};
    vt_answer *kept = get(c, 1, &w, VT_CACHE_MISS);
    get_and_drop(c, 2, &w, VT_CACHE_MISS);
    assert_int_equal(stats_of(c).evicted, 1);
    assert_int_equal(stats_of(c).entries, 1);
    assert_memory_equal(kept->data, "kept....", 8);
    vt_cache_close(c);
    assert_int_equal(kept->len, 504);
    vt_answer_retain(kept);
    vt_answer_release(kept);
    assert_memory_equal(kept->data, "kept....", 8);
    vt_answer_release(kept);
    vt_answer_release(NULL);
}

static void nothing_is_stored_where_nothing_may_be(void **state) {
    static const struct {
        size_t max_bytes;
        uint32_t ttl_s;
    } cases[] = {{0, 60}, {1, 60}, {100000, 0}, {300, 60}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        vt_cache *c = cache_with(cases[i].max_bytes, cases[i].ttl_s);
        work w = {.text = "x", .pad = 300};
        get_and_drop(c, 1, &w, VT_CACHE_MISS);
        get_and_drop(c, 1, &w, VT_CACHE_MISS);
        assert_int_equal(stats_of(c).entries, 0);
        assert_int_equal(stats_of(c).evicted, 0);
        vt_cache_close(c);
    }
    vt_cache_close(NULL);
}

static void failures_are_told_and_not_stored(void **state) {
    vt_cache *c = cache_with(100000, 60);
    vt_hash key = key_of(1);
    work w = {.text = NULL};
    vt_answer *a;
    vt_cache_source source;
    vt_err err;
    assert_int_equal(vt_cache_get(c, &key, write_text, &w, &a, &source, &err), VT_E_UPSTREAM);
    assert_null(a);
    assert_int_equal(err.status, VT_E_UPSTREAM);
    assert_string_equal(err.text, "the shop is closed");
    assert_string_equal(err.field, "/image_url");
    assert_int_equal(stats_of(c).entries, 0);
    w.text = "open again";
    get_and_drop(c, 1, &w, VT_CACHE_MISS);
    vt_cache_close(c);
}

static vt_status overflow(void *ctx, vt_buf *out, vt_err *err) {
    out->max = 3;
    vt_buf_puts(out, "four");
    return VT_OK;
}

static void an_answer_cut_short_is_a_failure(void **state) {
    vt_cache *c = cache_with(100000, 60);
    vt_hash key = key_of(1);
    vt_answer *a;
    vt_cache_source source;
    vt_err err;
    assert_int_equal(vt_cache_get(c, &key, overflow, NULL, &a, &source, &err), VT_E_TOO_LARGE);
    assert_int_equal(err.status, VT_E_TOO_LARGE);
    assert_null(a);
    assert_int_equal(stats_of(c).entries, 0);
    vt_cache_close(c);
}

/* ---- against a model -------------------------------------------------------------------- */

enum { KEYS = 60 };

typedef struct model_entry {
    unsigned key;
    size_t len;
    uint64_t expires_ns;
} model_entry;

typedef struct model {
    model_entry entries[KEYS]; /* newest first */
    size_t n;
    size_t empty_bytes, overhead, max_bytes; /* overhead: of one entry, beside its text */
    uint64_t hits, misses, evicted, expired;
} model;

static size_t model_bytes(const model *m) {
    size_t bytes = m->empty_bytes;
    for (size_t i = 0; i < m->n; i++)
        bytes += m->overhead + m->entries[i].len;
    return bytes;
}

static void model_remove(model *m, size_t i) {
    memmove(&m->entries[i], &m->entries[i + 1], (--m->n - i) * sizeof m->entries[0]);
}

static void model_push(model *m, model_entry e) {
    memmove(&m->entries[1], &m->entries[0], m->n++ * sizeof m->entries[0]);
    m->entries[0] = e;
}

/* Returns the length of the stored text, or SIZE_MAX for a miss. */
static size_t model_get(model *m, unsigned key, uint64_t now_ns) {
    for (size_t i = 0; i < m->n; i++) {
        if (m->entries[i].key != key)
            continue;
        model_entry e = m->entries[i];
        model_remove(m, i);
        if (e.expires_ns <= now_ns) {
            m->expired++;
            break;
        }
        model_push(m, e);
        m->hits++;
        return e.len;
    }
    m->misses++;
    return SIZE_MAX;
}

static void model_put(model *m, model_entry e) {
    if (m->empty_bytes + m->overhead + e.len > m->max_bytes)
        return;
    while (model_bytes(m) + m->overhead + e.len > m->max_bytes) {
        m->n--;
        m->evicted++;
    }
    model_push(m, e);
}

static uint64_t next_random(uint64_t *state) { /* splitmix64 */
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static model model_for(vt_cache *c) {
    vt_cache_stats empty = stats_of(c);
    model m = {.empty_bytes = empty.bytes, .max_bytes = empty.max_bytes};
    work w = {.text = ""};
    vt_cache *other = cache_with(empty.max_bytes, 60);
    get_and_drop(other, 1, &w, VT_CACHE_MISS);
    m.overhead = stats_of(other).bytes - empty.bytes;
    vt_cache_close(other);
    assert_true(m.overhead >= sizeof(vt_hash) + sizeof(vt_answer)); /* it counts the bookkeeping */
    return m;
}

static void one_random_get(vt_cache *c, model *m, uint64_t *rng) {
    unsigned key = (unsigned)(next_random(rng) % KEYS);
    vt_hash h = key_of(key);
    char text[16];
    vt_answer *a;
    vt_cache_source source;
    vt_err err;
    snprintf(text, sizeof text, "%u:", key);
    work w = {.text = next_random(rng) % 20 ? text : NULL, .pad = next_random(rng) % 1500};
    if (next_random(rng) % 50 == 0)
        w.pad += 20000; /* larger than the whole budget */
    size_t stored = model_get(m, key, turned_clock());
    vt_status s = vt_cache_get(c, &h, write_text, &w, &a, &source, &err);
    assert_int_equal(source, stored == SIZE_MAX ? VT_CACHE_MISS : VT_CACHE_HIT);
    if (stored == SIZE_MAX && !w.text) {
        assert_int_equal(s, VT_E_UPSTREAM);
        return;
    }
    assert_int_equal(s, VT_OK);
    assert_memory_equal(a->data, text, strlen(text));
    assert_int_equal(a->len, stored == SIZE_MAX ? strlen(text) + w.pad : stored);
    if (stored == SIZE_MAX)
        model_put(m, (model_entry){key, a->len, turned_clock() + 60 * SECOND});
    vt_answer_release(a);
}

static void random_operations_agree_with_the_model(void **state) {
    vt_cache *c = cache_with(16384, 60);
    model m = model_for(c);
    uint64_t rng = 42;
    for (int step = 0; step < 60000; step++) {
        uint64_t dice = next_random(&rng) % 1000;
        if (dice < 50) {
            atomic_fetch_add(&turned_ns, next_random(&rng) % (40 * SECOND));
        } else {
            one_random_get(c, &m, &rng);
        }
        if (step % 16 != 0)
            continue;
        vt_cache_stats s = stats_of(c);
        assert_int_equal(s.entries, m.n);
        assert_int_equal(s.bytes, model_bytes(&m));
        assert_int_equal(s.hits, m.hits);
        assert_int_equal(s.misses, m.misses);
        assert_int_equal(s.evicted, m.evicted);
        assert_int_equal(s.expired, m.expired);
    }
    assert_true(m.hits > 1000 && m.evicted > 1000 && m.expired > 100); /* all paths were walked */
    vt_cache_close(c);
}

/* ---- many threads ----------------------------------------------------------------------- */

enum { THREADS = 16 };

typedef struct crowd {
    vt_cache *cache;
    work work;
    atomic_int misses, shared, failed;
} crowd;

/* Holds the flight until everybody else has come aboard. */
static vt_status wait_for_the_crowd(void *ctx, vt_buf *out, vt_err *err) {
    crowd *w = ctx;
    vt_cache_stats s;
    do {
        sched_yield();
        vt_cache_describe(w->cache, &s);
    } while (s.shared < THREADS - 1);
    return write_text(&w->work, out, err);
}

static void *ask_with_the_crowd(void *ctx) {
    crowd *w = ctx;
    vt_hash key = key_of(9);
    vt_answer *a;
    vt_cache_source source;
    vt_err err;
    vt_status s = vt_cache_get(w->cache, &key, wait_for_the_crowd, w, &a, &source, &err);
    atomic_fetch_add(source == VT_CACHE_MISS ? &w->misses : &w->shared, source != VT_CACHE_HIT);
    if (s == VT_E_UPSTREAM && !a && strcmp(err.text, "the shop is closed") == 0 &&
        strcmp(err.field, "/image_url") == 0)
        atomic_fetch_add(&w->failed, 1);
    if (s == VT_OK && strcmp(a->data, "once") != 0)
        atomic_fetch_add(&w->failed, 100);
    vt_answer_release(a);
    return NULL;
}

static void run_crowd(crowd *w) {
    pthread_t t[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&t[i], NULL, ask_with_the_crowd, w), 0);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(t[i], NULL);
    assert_int_equal(w->work.calls, 1);
    assert_int_equal(w->misses, 1);
    assert_int_equal(w->shared, THREADS - 1);
}

static void one_computes_for_all_who_wait(void **state) {
    static const size_t budgets[] = {100000, 0}; /* single flight needs no room */
    for (size_t i = 0; i < 2; i++) {
        crowd w = {.cache = cache_with(budgets[i], 60), .work.text = "once"};
        run_crowd(&w);
        assert_int_equal(w.failed, 0);
        assert_int_equal(stats_of(w.cache).entries, budgets[i] ? 1 : 0);
        vt_cache_close(w.cache);
    }
}

static void all_who_wait_share_the_failure(void **state) {
    crowd w = {.cache = cache_with(100000, 60), .work.text = NULL};
    run_crowd(&w);
    assert_int_equal(w.failed, THREADS);
    assert_int_equal(stats_of(w.cache).entries, 0);
    vt_cache_close(w.cache);
}

/* fn that asks the cache for another key meanwhile. */
static vt_status ask_meanwhile(void *ctx, vt_buf *out, vt_err *err) {
    crowd *w = ctx;
    get_and_drop(w->cache, 5, &w->work, VT_CACHE_MISS);
    vt_buf_puts(out, "mine");
    return VT_OK;
}

static void no_lock_is_held_while_an_answer_is_computed(void **state) {
    crowd w = {.cache = cache_with(100000, 60), .work.text = "other"};
    vt_hash key = key_of(1);
    vt_answer *a;
    vt_cache_source source;
    vt_err err;
    assert_int_equal(vt_cache_get(w.cache, &key, ask_meanwhile, &w, &a, &source, &err), VT_OK);
    assert_string_equal(a->data, "mine");
    vt_answer_release(a);
    get_and_drop(w.cache, 5, &w.work, VT_CACHE_HIT);
    assert_int_equal(stats_of(w.cache).entries, 2);
    vt_cache_close(w.cache);
}

static void *storm(void *ctx) {
    crowd *w = ctx;
    uint64_t rng = (uint64_t)atomic_fetch_add(&w->misses, 1);
    for (int i = 0; i < 3000; i++) {
        unsigned key = (unsigned)(next_random(&rng) % 40);
        vt_hash h = key_of(key);
        char text[16];
        vt_answer *a;
        vt_cache_source source;
        vt_err err;
        snprintf(text, sizeof text, "%u:", key);
        work one = {.text = next_random(&rng) % 10 ? text : NULL, .pad = key * 20};
        if (i % 100 == 0 && vt_cache_check(w->cache, &err) != VT_OK)
            atomic_fetch_add(&w->failed, 1);
        vt_status s = vt_cache_get(w->cache, &h, write_text, &one, &a, &source, &err);
        if (s == VT_OK && (strncmp(a->data, text, strlen(text)) != 0 || a->len < key * 20))
            atomic_fetch_add(&w->failed, 1);
        vt_answer_release(a);
    }
    return NULL;
}

static void threads_get_the_answers_of_their_keys(void **state) {
    crowd w = {.cache = cache_with(8192, 60)};
    pthread_t t[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&t[i], NULL, storm, &w), 0);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(t[i], NULL);
    assert_int_equal(w.failed, 0);
    vt_cache_stats s = stats_of(w.cache);
    assert_int_equal(s.hits + s.misses + s.shared, THREADS * 3000);
    vt_cache_close(w.cache);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_is_computed_once),
        cmocka_unit_test(answers_expire_to_the_nanosecond),
        cmocka_unit_test(an_answer_outlives_its_entry_and_the_cache),
        cmocka_unit_test(nothing_is_stored_where_nothing_may_be),
        cmocka_unit_test(failures_are_told_and_not_stored),
        cmocka_unit_test(an_answer_cut_short_is_a_failure),
        cmocka_unit_test(random_operations_agree_with_the_model),
        cmocka_unit_test(one_computes_for_all_who_wait),
        cmocka_unit_test(all_who_wait_share_the_failure),
        cmocka_unit_test(no_lock_is_held_while_an_answer_is_computed),
        cmocka_unit_test(threads_get_the_answers_of_their_keys),
    };
    return cmocka_run_group_tests_name("cache", tests, NULL, NULL);
}
