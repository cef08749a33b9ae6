/* The pool: every item of a loop once, by all threads at once, after any pause; and the room that
 * bulk work makes for queries. Where a test waits for threads, it gives up after a time that only a
 * thread that never comes can take. */
#include "base/base.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <unistd.h>

#include <cmocka.h>

static const double NEVER = 60; /* seconds */

static vt_pool *pool_of(unsigned threads) {
    vt_pool *pool;
    vt_err err;
    assert_int_equal(vt_pool_open(threads, &pool, &err), VT_OK);
    return pool;
}

/* ---- loops --------------------------------------------------------------------------- */

static void count_each(void *ctx, size_t begin, size_t end) {
    atomic_int *counts = ctx;
    for (size_t i = begin; i < end; i++)
        atomic_fetch_add(&counts[i], 1);
}

static void *many_loops(void *pool) {
    enum { N = 1000 };
    static const size_t sizes[] = {0, 1, 2, 7, 100, N};
    for (int round = 0; round < 300; round++) {
        atomic_int counts[N] = {0};
        size_t n = sizes[round % 6];
        vt_pool_for(pool, n, 1 + (size_t)round % 5, count_each, counts);
        for (size_t i = 0; i < N; i++)
            assert_int_equal(atomic_load(&counts[i]), i < n);
    }
    return NULL;
}

static void each_item_is_visited_once(void **state) {
    for (unsigned threads = 1; threads <= 4; threads++) {
        vt_pool *pool = pool_of(threads);
        pthread_t other;
        assert_int_equal(vt_pool_threads(pool), threads);
        assert_int_equal(pthread_create(&other, NULL, many_loops, pool), 0);
        many_loops(pool);
        pthread_join(other, NULL);
        vt_pool_close(pool);
    }
    many_loops(NULL);
    assert_int_equal(vt_pool_threads(NULL), 1);
}

/* What a loop wrote without any lock is there for its caller, and for the next loop's threads. */
static void add_one(void *ctx, size_t begin, size_t end) {
    size_t *values = ctx;
    for (size_t i = begin; i < end; i++)
        values[i]++;
}

static void loops_see_what_loops_before_wrote(void **state) {
    enum { N = 64, LOOPS = 5000 };
    size_t values[N] = {0};
    vt_pool *pool = pool_of(3);
    for (size_t round = 1; round <= LOOPS; round++) {
        vt_pool_for(pool, N, 1, add_one, values);
        for (size_t i = 0; i < N; i++)
            assert_int_equal(values[i], round);
    }
    vt_pool_close(pool);
}

/* What a thread has taken nobody else does; so it must not be much, and the rest must not wait. */
typedef struct taking {
    atomic_uint done; /* items */
    atomic_uint calls;
    unsigned held; /* by the call that begins with item 0 */
    bool failed;
} taking;

enum { TAKEN_OF = 64 };

static void hold_the_first(void *ctx, size_t begin, size_t end) {
    taking *t = ctx;
    atomic_fetch_add(&t->calls, 1);
    if (begin > 0) {
        atomic_fetch_add(&t->done, (unsigned)(end - begin));
        return;
    }
    uint64_t begun = vt_now_ns();
    t->held = (unsigned)(end - begin);
    while (atomic_load(&t->done) < TAKEN_OF - t->held && !t->failed) {
        t->failed = vt_seconds_since(begun) > NEVER;
        sched_yield();
    }
}

static void the_others_do_what_a_thread_has_not_taken(void **state) {
    vt_pool *pool = pool_of(2);
    taking t = {0};
    vt_pool_for(pool, TAKEN_OF, 1, hold_the_first, &t);
    assert_false(t.failed);
    assert_true(t.held <= TAKEN_OF / 4);
    assert_int_equal(t.done + t.held, TAKEN_OF);
    assert_true(t.calls > 4 && t.calls < TAKEN_OF / 2); /* neither all at once, nor one by one */
    vt_pool_close(pool);
}

typedef struct meeting {
    atomic_uint arrived;
    unsigned wanted;
    atomic_bool failed;
} meeting;

/* Holds each thread until all have come: one thread alone would never get past. */
static void meet(void *ctx, size_t begin, size_t end) {
    meeting *m = ctx;
    uint64_t begun = vt_now_ns();
    atomic_fetch_add(&m->arrived, (unsigned)(end - begin));
    while (atomic_load(&m->arrived) < m->wanted && !atomic_load(&m->failed)) {
        if (vt_seconds_since(begun) > NEVER)
            atomic_store(&m->failed, true);
        sched_yield();
    }
}

static void all_threads_share_a_loop_also_after_they_slept(void **state) {
    enum { THREADS = 4 };
    static const useconds_t pauses[] = {0, 0, 20000, 0, 100, 20000, 40, 60, 0};
    vt_pool *pool = pool_of(THREADS);
    for (size_t i = 0; i < sizeof pauses / sizeof pauses[0]; i++) {
        meeting m = {.wanted = THREADS};
        if (pauses[i] > 0)
            usleep(pauses[i]);
        vt_pool_for(pool, THREADS, 1, meet, &m);
        assert_false(m.failed);
        assert_int_equal(m.arrived, THREADS);
    }
    vt_pool_close(pool);
}

static void loop_inside(void *ctx, size_t begin, size_t end) {
    vt_pool *pool = ctx;
    for (size_t i = begin; i < end; i++)
        many_loops(pool);
}

static void a_loop_within_a_loop_runs_alone(void **state) {
    vt_pool *pool = pool_of(2);
    vt_pool_for(pool, 2, 1, loop_inside, pool);
    vt_pool_close(pool);
}

static void open_and_close_with_and_without_loops(void **state) {
    for (unsigned i = 0; i < 200; i++) {
        atomic_int counts[8] = {0};
        vt_pool *pool = pool_of(1 + i % 5);
        if (i % 3 == 0)
            vt_pool_for(pool, 8, 1, count_each, counts);
        vt_pool_close(pool);
        assert_int_equal(counts[7], i % 3 == 0);
    }
    vt_pool_close(NULL);
}

/* ---- making room --------------------------------------------------------------------- */

enum { BOUND_MS = 50 };

typedef struct bulk {
    vt_pool *pool;
    atomic_bool begun, query_left, early;
} bulk;

/* early: it went on although the query was inside and had not been for longer than the bound. */
static void *give_way_once(void *ctx) {
    bulk *b = ctx;
    uint64_t begun = vt_now_ns();
    atomic_store(&b->begun, true);
    vt_pool_give_way(b->pool);
    if (!atomic_load(&b->query_left) && vt_seconds_since(begun) * 1e3 < BOUND_MS)
        atomic_store(&b->early, true);
    return NULL;
}

static void bulk_work_waits_while_a_query_is_inside(void **state) {
    vt_pool *pool = pool_of(2);
    for (int round = 0; round < 20; round++) {
        bulk b = {.pool = pool};
        pthread_t thread;
        vt_pool_enter(pool);
        vt_pool_enter(pool);
        assert_int_equal(pthread_create(&thread, NULL, give_way_once, &b), 0);
        while (!atomic_load(&b.begun))
            sched_yield();
        usleep(1000);
        vt_pool_leave(pool); /* one of two: still inside */
        usleep(1000);
        atomic_store(&b.query_left, true);
        vt_pool_leave(pool);
        pthread_join(thread, NULL);
        assert_false(b.early);
    }
    vt_pool_close(pool);
}

static void bulk_work_moves_under_queries_that_never_end(void **state) {
    vt_pool *pool = pool_of(1);
    uint64_t begun = vt_now_ns();
    vt_pool_enter(pool);
    vt_pool_give_way(pool);
    assert_true(vt_seconds_since(begun) * 1e3 >= BOUND_MS);
    vt_pool_leave(pool);
    vt_pool_close(pool);
}

/* Of a hundred calls that nobody is in the way of, not one need have been as long as the bound;
 * that all of them were can only be because they waited. */
static void nobody_waits_when_no_query_is_inside(void **state) {
    vt_pool *pool = pool_of(2);
    int waited = 0;
    for (int i = 0; i < 100; i++) {
        vt_pool_enter(pool);
        vt_pool_leave(pool);
        uint64_t begun = vt_now_ns();
        vt_pool_give_way(pool);
        waited += vt_seconds_since(begun) * 1e3 >= BOUND_MS;
    }
    assert_true(waited < 100);
    vt_pool_close(pool);
    vt_pool_enter(NULL);
    vt_pool_give_way(NULL);
    vt_pool_leave(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_item_is_visited_once),
        cmocka_unit_test(loops_see_what_loops_before_wrote),
        cmocka_unit_test(the_others_do_what_a_thread_has_not_taken),
        cmocka_unit_test(all_threads_share_a_loop_also_after_they_slept),
        cmocka_unit_test(a_loop_within_a_loop_runs_alone),
        cmocka_unit_test(open_and_close_with_and_without_loops),
        cmocka_unit_test(bulk_work_waits_while_a_query_is_inside),
        cmocka_unit_test(bulk_work_moves_under_queries_that_never_end),
        cmocka_unit_test(nobody_waits_when_no_query_is_inside),
    };
    return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}
