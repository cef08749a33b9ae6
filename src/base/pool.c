/* A pool of threads for parallel loops, and the bell by which long work makes room for short.
 *
 * A loop's hand-over must cost about a microsecond: a text runs some fifty loops of 20 to 100 us.
 * So everything that publishing, joining and leaving a loop needs is one word, the gate: whether a
 * loop is open, how many workers are inside, and the loop's number. A worker joins by one
 * compare-and-swap and leaves by one subtraction; the caller opens by one store, works as well,
 * closes, and returns when nobody is inside, so that no worker can touch a loop whose caller has
 * returned. Between loops a worker spins for SPIN_NS, as the next loop of the same text is that
 * near, and then sleeps in the kernel on the gate itself (futex; Drepper, "Futexes Are Tricky",
 * 2011).
 *
 * Each thread has a share of the items, all in a row, because what it computes asks ahead for what
 * lies behind; it takes them from the front, half of what is left at a time and the last ones
 * singly, and who has none left moves the upper half of another's to itself. So equally fast
 * threads finish within a unit or two of each other; one that the kernel puts aside holds up the
 * loop by what it has taken, half a share at most; the share of one that does not come is done by
 * the others. A share is one word of two unit numbers, so whoever finds it unchanged may change it,
 * whatever happened in between. Taking is a locked instruction, which waits until all that the
 * thread has stored has reached its cache: where processors are far from each other and share what
 * they store, that is as long as a unit's work, hence the halves.
 *
 * Nobody spins where spinning takes the processor from whoever is waited for: never on a machine of
 * one processor, and no more threads than there are processors beside the caller's.
 *
 * A worker must not wake on its caller's processor while another is idle, or it waits there until
 * the kernel's next look around, 0.7 to 3 ms, which is as long as a text takes. The kernel sees to
 * that only where its record of idle processors is fresh, and after a pause it is not. So a worker
 * notes where it falls asleep, and a caller who is about to wake one on his own processor takes
 * that one out of its affinity. Rejected: binding each worker to a processor (the caller may be on
 * any).
 *
 * Only one loop uses the workers at a time. A second caller could have queued, but the processors
 * are busy anyway: running its loop alone finishes sooner and cannot deadlock.
 *
 * Rejected: a condition variable (two locked system calls a loop, 5 to 50 us); waiting for every
 * worker to have seen each loop instead of counting who joined (a worker that the kernel has put
 * aside would hold up a loop it has no share in); chunks from one counter (large ones leave a
 * thread waiting for the other's last, small ones are no stream); taking unit by unit.
 *
 * Sleeping never misses a wake-up, because both sides write before they read, in one total order: a
 * sleeper counts itself, then looks at the word it sleeps on; a waker changes the word, then looks
 * at the count. */
#include "base/base.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    SPIN_NS = 50000,
    SPIN_PAUSES = 16, /* between two looks at the clock */
    GIVE_WAY_NS = 50000000,
    WORKERS_MAX = 1023,
    BACKGROUND_NICE = 10,
};

/* The gate's bits. */
enum {
    OPEN = 1,
    STOP = 2,
    ONE_INSIDE = 4,
    INSIDE = WORKERS_MAX * ONE_INSIDE,
    ONE_ROUND = INSIDE + ONE_INSIDE, /* the rest: the loop's number; that it wraps only lets a
                                      * worker that slept through a million loops miss one more */
};

typedef struct loop {
    vt_pool_fn fn;
    void *ctx;
    size_t n, unit; /* items */
} loop;

/* Lines of their own for what different threads write at the same time. */
#define LINE _Alignas(64)

typedef struct worker {
    vt_pool *pool;
    pthread_t thread;
    pid_t tid;
    atomic_int sleeps_on; /* its processor; NOWHERE while it is awake */
    unsigned share;
} worker;

enum { NOWHERE = -1, CALLERS_SHARE = 0 };

/* Units that one thread has yet to take: the first in the low half, the one behind the last in the
 * high one. Empty between loops. */
typedef struct share {
    LINE atomic_uint_least64_t units;
} share;

struct vt_pool {
    LINE atomic_uint gate;
    loop current; /* written while the gate is closed and nobody is inside; who sees that it opens
                   * has this too */
    LINE atomic_bool busy; /* a caller has the workers */
    atomic_uint caller_sleeps;
    LINE atomic_uint sleepers;
    atomic_uint spinners;
    LINE atomic_uint queries; /* between vt_pool_enter and vt_pool_leave */
    atomic_uint giving_way;   /* threads that sleep until queries is 0 */
    unsigned spinners_max;
    unsigned n_workers;
    worker *workers;
    share *shares; /* [n_workers + 1]: the caller's, then the workers' */
};

/* ---- sleeping ------------------------------------------------------------------------ */

/* Sleeps while *word is value; ns 0: for ever. Returns for other reasons too: look again. */
static void futex_wait(atomic_uint *word, unsigned value, uint64_t ns) {
    struct timespec t = {.tv_sec = (time_t)(ns / 1000000000), .tv_nsec = (long)(ns % 1000000000)};
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, ns ? &t : NULL, NULL, 0);
}

static void futex_wake(atomic_uint *word, unsigned threads) {
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, threads < INT_MAX ? threads : INT_MAX, NULL, NULL,
            0);
}

static void pause_processor(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

typedef bool (*condition)(const vt_pool *p, unsigned round);

/* Spins until the condition holds, for SPIN_NS at most; false where it does not hold then. */
static bool spin(vt_pool *p, condition holds, unsigned round) {
    if (p->spinners_max > 0) {
        uint64_t until = vt_now_ns() + SPIN_NS;
        do {
            for (int i = 0; i < SPIN_PAUSES; i++) {
                if (holds(p, round))
                    return true;
                pause_processor();
            }
        } while (vt_now_ns() < until);
    }
    return holds(p, round);
}

/* ---- shares -------------------------------------------------------------------------- */

static uint64_t share_of(uint64_t first, uint64_t end) {
    return first | end << 32;
}

static uint64_t first_of(uint64_t units) {
    return units & UINT32_MAX;
}

static uint64_t end_of(uint64_t units) {
    return units >> 32;
}

static size_t unit_count(const loop *l) {
    return l->n / l->unit + (l->n % l->unit != 0);
}

static bool take_front(share *s, size_t *first, size_t *end) {
    uint64_t units = atomic_load_explicit(&s->units, memory_order_relaxed), n;
    do {
        if (first_of(units) >= end_of(units))
            return false;
        n = (end_of(units) - first_of(units) + 1) / 2;
    } while (!atomic_compare_exchange_weak_explicit(&s->units, &units, units + n,
                                                    memory_order_relaxed, memory_order_relaxed));
    *first = first_of(units);
    *end = *first + n;
    return true;
}

/* Moves the upper half of a share to an empty one; false where there is nothing to move. */
static bool take_half(share *from, share *to) {
    uint64_t units = atomic_load_explicit(&from->units, memory_order_relaxed), middle;
    do {
        if (first_of(units) >= end_of(units))
            return false;
        middle = first_of(units) + (end_of(units) - first_of(units)) / 2;
    } while (!atomic_compare_exchange_weak_explicit(&from->units, &units,
                                                    share_of(first_of(units), middle),
                                                    memory_order_relaxed, memory_order_relaxed));
    atomic_store_explicit(&to->units, share_of(middle, end_of(units)), memory_order_relaxed);
    return true;
}

static bool find_more(vt_pool *p, unsigned own) {
    for (unsigned i = 1; i <= p->n_workers; i++)
        if (take_half(&p->shares[(own + i) % (p->n_workers + 1)], &p->shares[own]))
            return true;
    return false;
}

static void run_units(vt_pool *p, unsigned own) {
    const loop l = p->current;
    size_t first, end;
    do {
        while (take_front(&p->shares[own], &first, &end)) {
            end *= l.unit;
            l.fn(l.ctx, first * l.unit, end < l.n ? end : l.n);
        }
    } while (find_more(p, own));
}

/* ---- the workers' side --------------------------------------------------------------- */

static unsigned round_of(unsigned gate) {
    return gate / ONE_ROUND;
}

static bool has_news(const vt_pool *p, unsigned seen) {
    unsigned gate = atomic_load_explicit(&p->gate, memory_order_relaxed);
    return (gate & STOP) || ((gate & OPEN) && round_of(gate) != seen);
}

/* Enters a loop this worker has not been in; *seen becomes its number. */
static bool join_loop(vt_pool *p, unsigned *seen) {
    unsigned gate = atomic_load_explicit(&p->gate, memory_order_relaxed);
    while ((gate & OPEN) && round_of(gate) != *seen) {
        if (atomic_compare_exchange_weak_explicit(&p->gate, &gate, gate + ONE_INSIDE,
                                                  memory_order_acquire, memory_order_relaxed)) {
            *seen = round_of(gate);
            return true;
        }
    }
    return false;
}

static void leave_loop(vt_pool *p) {
    unsigned gate = atomic_fetch_sub(&p->gate, ONE_INSIDE) - ONE_INSIDE;
    if ((gate & (OPEN | INSIDE)) == 0 && atomic_exchange(&p->caller_sleeps, 0))
        futex_wake(&p->caller_sleeps, 1);
}

static void wait_for_news(worker *w, unsigned seen) {
    vt_pool *p = w->pool;
    bool found = false;
    if (atomic_fetch_add_explicit(&p->spinners, 1, memory_order_relaxed) < p->spinners_max)
        found = spin(p, has_news, seen);
    atomic_fetch_sub_explicit(&p->spinners, 1, memory_order_relaxed);
    if (found)
        return;
    atomic_store_explicit(&w->sleeps_on, sched_getcpu(), memory_order_release);
    atomic_fetch_add(&p->sleepers, 1);
    unsigned gate = atomic_load(&p->gate);
    if (!has_news(p, seen))
        futex_wait(&p->gate, gate, 0);
    atomic_fetch_sub(&p->sleepers, 1);
    atomic_store_explicit(&w->sleeps_on, NOWHERE, memory_order_relaxed);
}

static void *work(void *arg) {
    worker *w = arg;
    vt_pool *p = w->pool;
    unsigned seen = 0;
    w->tid = (pid_t)syscall(SYS_gettid);
    while (!(atomic_load_explicit(&p->gate, memory_order_relaxed) & STOP)) {
        if (join_loop(p, &seen)) {
            run_units(p, w->share);
            leave_loop(p);
        } else {
            wait_for_news(w, seen);
        }
    }
    return NULL;
}

/* ---- open and close ------------------------------------------------------------------ */

static unsigned processors(void) {
    cpu_set_t set;
    long n;
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        return (unsigned)CPU_COUNT(&set);
    n = sysconf(_SC_NPROCESSORS_ONLN); /* more processors than a cpu_set_t has bits */
    return n > 0 ? (unsigned)n : 1;
}

static vt_status start_workers(vt_pool *p, unsigned wanted, vt_err *err) {
    p->workers = vt_alloc(wanted, sizeof *p->workers);
    p->shares = vt_alloc_aligned(wanted + 1, sizeof *p->shares);
    if (!p->workers || !p->shares)
        return vt_fail_nomem(err, wanted * (sizeof *p->workers + sizeof *p->shares));
    memset(p->shares, 0, (wanted + 1) * sizeof *p->shares);
    for (; p->n_workers < wanted; p->n_workers++) {
        worker *w = &p->workers[p->n_workers];
        w->pool = p;
        w->share = p->n_workers + 1;
        atomic_init(&w->sleeps_on, NOWHERE);
        if (pthread_create(&w->thread, NULL, work, w) != 0)
            return vt_fail(err, VT_E_NOMEM, "cannot start %u worker threads", wanted);
    }
    return VT_OK;
}

vt_status vt_pool_open(unsigned threads, vt_pool **out, vt_err *err) {
    unsigned available = processors(), wanted = (threads ? threads : available) - 1;
    vt_pool *p = vt_alloc_aligned(1, sizeof *p);
    vt_status s;
    *out = NULL;
    if (!p)
        return vt_fail_nomem(err, sizeof *p);
    memset(p, 0, sizeof *p);
    p->spinners_max = available - 1;
    s = start_workers(p, wanted < WORKERS_MAX ? wanted : WORKERS_MAX, err);
    if (s != VT_OK) {
        vt_pool_close(p);
        return s;
    }
    *out = p;
    return VT_OK;
}

void vt_pool_close(vt_pool *p) {
    if (!p)
        return;
    atomic_fetch_or(&p->gate, STOP);
    futex_wake(&p->gate, UINT_MAX);
    for (unsigned i = 0; i < p->n_workers; i++)
        pthread_join(p->workers[i].thread, NULL);
    free(p->workers);
    free(p->shares);
    free(p);
}

unsigned vt_pool_threads(const vt_pool *p) {
    return p ? p->n_workers + 1 : 1;
}

/* ---- the caller's side --------------------------------------------------------------- */

/* By halves, a share is taken in some seven steps: more units a thread than this are for nothing.
 */
static size_t unit_size(const vt_pool *p, size_t n, size_t grain) {
    size_t unit = n / (64 * (size_t)vt_pool_threads(p));
    return unit > grain ? unit : grain;
}

/* Of no more threads than there are units. */
static void deal_shares(vt_pool *p) {
    const size_t units = unit_count(&p->current), threads = vt_pool_threads(p);
    const size_t shares = units < threads ? units : threads;
    for (size_t i = 0; i < shares; i++)
        atomic_store_explicit(&p->shares[i].units,
                              share_of(units * i / shares, units * (i + 1) / shares),
                              memory_order_relaxed);
}

/* Of a worker that sleeps where the caller runs. Where it is refused, the kernel finds the way. */
static void keep_off_own_processor(vt_pool *p) {
    int here = sched_getcpu();
    cpu_set_t others;
    for (unsigned i = 0; i < p->n_workers && here >= 0; i++) {
        if (atomic_load_explicit(&p->workers[i].sleeps_on, memory_order_acquire) != here)
            continue;
        if (sched_getaffinity(0, sizeof others, &others) != 0)
            return;
        CPU_CLR(here, &others);
        if (CPU_COUNT(&others) > 0)
            (void)sched_setaffinity(p->workers[i].tid, sizeof others, &others);
    }
}

static void open_gate(vt_pool *p) {
    size_t helpers = unit_count(&p->current) - 1;
    unsigned gate = atomic_load_explicit(&p->gate, memory_order_relaxed);
    deal_shares(p);
    atomic_store(&p->gate, gate + ONE_ROUND + OPEN);
    if (atomic_load(&p->sleepers) > 0) {
        keep_off_own_processor(p);
        futex_wake(&p->gate, helpers < p->n_workers ? (unsigned)helpers : p->n_workers);
    }
}

static bool nobody_inside(const vt_pool *p, unsigned round) {
    return (atomic_load_explicit(&p->gate, memory_order_acquire) & INSIDE) == 0;
}

static void close_gate(vt_pool *p) {
    atomic_fetch_and(&p->gate, ~(unsigned)OPEN);
    if (spin(p, nobody_inside, 0))
        return;
    for (;;) {
        atomic_store(&p->caller_sleeps, 1);
        if ((atomic_load(&p->gate) & INSIDE) == 0)
            break;
        futex_wait(&p->caller_sleeps, 1, 0);
    }
    atomic_store(&p->caller_sleeps, 0);
}

void vt_pool_for(vt_pool *p, size_t n, size_t grain, vt_pool_fn fn, void *ctx) {
    size_t unit = unit_size(p, n, grain ? grain : 1);
    if (n == 0)
        return;
    if (!p || p->n_workers == 0 || unit >= n || atomic_exchange(&p->busy, true)) {
        fn(ctx, 0, n);
        return;
    }
    p->current = (loop){.fn = fn, .ctx = ctx, .n = n, .unit = unit};
    open_gate(p);
    run_units(p, CALLERS_SHARE);
    close_gate(p);
    atomic_store_explicit(&p->busy, false, memory_order_release);
}

/* ---- making room --------------------------------------------------------------------- */

void vt_pool_enter(vt_pool *p) {
    if (p)
        atomic_fetch_add(&p->queries, 1);
}

void vt_pool_leave(vt_pool *p) {
    if (p && atomic_fetch_sub(&p->queries, 1) == 1 && atomic_load(&p->giving_way) > 0)
        futex_wake(&p->queries, UINT_MAX);
}

/* Sleeps, because what it gives away is the processor. */
void vt_pool_give_way(vt_pool *p) {
    uint64_t now, until;
    unsigned queries;
    if (!p || atomic_load_explicit(&p->queries, memory_order_relaxed) == 0)
        return;
    now = vt_now_ns();
    until = now + GIVE_WAY_NS;
    atomic_fetch_add(&p->giving_way, 1);
    while ((queries = atomic_load(&p->queries)) > 0 && now < until) {
        futex_wait(&p->queries, queries, until - now);
        now = vt_now_ns();
    }
    atomic_fetch_sub(&p->giving_way, 1);
}

/* That it may be refused changes nothing but the pace of the others. On Linux priorities are of
 * threads. */
void vt_thread_background(void) {
    (void)!setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), BACKGROUND_NICE);
}
