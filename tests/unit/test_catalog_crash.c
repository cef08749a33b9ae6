/* kill -9 while writing. A child puts and deletes, one by one and in batches, and tells on a pipe
 * what it is about to do and what was acknowledged; the parent kills it at a random moment, opens
 * the folder, and demands that every product is in its last acknowledged state, or in one that was
 * under way. VT_CRASH_CYCLES sets how often (60). */
#include "catalog_support.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

enum { PRODUCTS = 120, BATCH = 24, CYCLES = 60, GONE = 0 };

/* One record of the pipe; shorter than PIPE_BUF, so it arrives whole or not at all. */
typedef struct record {
    uint32_t product, version; /* version GONE: a deletion */
    uint32_t acknowledged;     /* 0: about to be done */
} record;

typedef struct model {
    uint32_t state[PRODUCTS];            /* version acknowledged last, or GONE */
    uint32_t under_way[PRODUCTS][BATCH]; /* versions asked for since then */
    size_t n_under_way[PRODUCTS];
    size_t acknowledged; /* records of that kind */
    uint32_t highest;    /* version seen */
} model;

/* ---- child ------------------------------------------------------------------------------ */

static void tell(int fd, uint32_t product, uint32_t version, bool acknowledged) {
    record r = {.product = product, .version = version, .acknowledged = acknowledged};
    if (write(fd, &r, sizeof r) != (ssize_t)sizeof r)
        _exit(1);
}

static void child_delete(vt_catalog *c, int fd, uint32_t n) {
    char id[32];
    vt_err err = {0};
    vt_status s;
    snprintf(id, sizeof id, "product-%05u", n);
    tell(fd, n, GONE, false);
    s = vt_catalog_delete(c, id, &err);
    if (s != VT_OK && s != VT_E_NOT_FOUND)
        _exit(2);
    tell(fd, n, GONE, true);
}

static void child_put(vt_catalog *c, int fd, uint64_t *state, size_t count, uint32_t *version) {
    vt_product p[BATCH];
    uint32_t numbers[BATCH], first = *version;
    vt_status statuses[BATCH];
    vt_put_result results[BATCH];
    static vt_err errs[BATCH];
    for (size_t i = 0; i < count; i++) {
        numbers[i] = (uint32_t)below(state, PRODUCTS);
        product_make(&p[i], numbers[i], ++*version);
        tell(fd, numbers[i], *version, false);
    }
    vt_catalog_put_many(c, p, count, statuses, results, errs);
    for (size_t i = 0; i < count; i++) {
        if (statuses[i] != VT_OK)
            _exit(3);
        tell(fd, numbers[i], first + 1 + (uint32_t)i, true);
        vt_product_release(&p[i]);
    }
}

static void child_run(const char *dir, int fd, uint64_t seed, uint32_t version) {
    vt_catalog_options o = options_of(dir);
    vt_catalog *c;
    vt_err err;
    uint64_t state = seed;
    if (vt_catalog_open(&o, &c, &err) != VT_OK)
        _exit(4);
    for (;;) {
        size_t what = below(&state, 10);
        if (what < 2)
            child_delete(c, fd, (uint32_t)below(&state, PRODUCTS));
        else
            child_put(c, fd, &state, what < 7 ? 1 : 1 + below(&state, BATCH), &version);
    }
}

/* ---- parent ----------------------------------------------------------------------------- */

/* What was asked for after `version` may still come true: a batch can hold a product twice. */
static void forget_up_to(model *m, uint32_t product, uint32_t version) {
    uint32_t *all = m->under_way[product];
    size_t n = m->n_under_way[product], i = 0;
    while (i < n && all[i] != version)
        i++;
    assert_true(i < n);
    memmove(all, all + i + 1, (n - i - 1) * sizeof *all);
    m->n_under_way[product] = n - i - 1;
}

static void note(model *m, const record *r) {
    assert_true(r->product < PRODUCTS);
    if (r->version > m->highest)
        m->highest = r->version;
    if (r->acknowledged) {
        m->state[r->product] = r->version;
        forget_up_to(m, r->product, r->version);
        m->acknowledged++;
    } else {
        assert_true(m->n_under_way[r->product] < BATCH);
        m->under_way[r->product][m->n_under_way[r->product]++] = r->version;
    }
}

/* Reads records until the child is to die, kills it, and reads what was left in the pipe. */
static void listen_then_kill(model *m, int fd, pid_t child, uint64_t life_ms) {
    uint64_t start = vt_now_ns();
    bool killed = false;
    int status;
    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        record r;
        ssize_t n = 1;
        if (!killed && vt_now_ns() - start > life_ms * 1000000) {
            assert_int_equal(kill(child, SIGKILL), 0);
            killed = true;
        }
        if (!killed && poll(&p, 1, 1) == 0)
            continue;
        n = read(fd, &r, sizeof r);
        if (n == 0)
            break;
        assert_int_equal(n, sizeof r);
        note(m, &r);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFSIGNALED(status))
        fail_msg("the child ended by itself: %d", WEXITSTATUS(status));
}

static void run_child(model *m, const char *dir, uint64_t seed, uint64_t life_ms) {
    int fds[2];
    pid_t child;
    assert_int_equal(pipe(fds), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(fds[0]);
        child_run(dir, fds[1], seed, m->highest);
    }
    close(fds[1]);
    listen_then_kill(m, fds[0], child, life_ms);
    close(fds[0]);
}

static bool is_version(const vt_product *have, uint32_t n, uint32_t version) {
    vt_product want;
    bool same;
    if (version == GONE || !have->id)
        return version == GONE && !have->id;
    product_make(&want, n, version);
    same = strcmp(want.name, have->name) == 0;
    if (same)
        assert_same_product(&want, have, true); /* the name tells the version: all else must fit */
    vt_product_release(&want);
    return same;
}

/* What is there becomes the acknowledged state: the next child builds on it. */
static void assert_survived(model *m, vt_catalog *c, uint32_t n) {
    vt_product have;
    vt_err err = {0};
    char id[32];
    vt_status s;
    bool found;
    snprintf(id, sizeof id, "product-%05u", n);
    s = vt_catalog_get(c, id, &have, &err);
    assert_true(s == VT_OK || s == VT_E_NOT_FOUND);
    found = is_version(&have, n, m->state[n]);
    for (size_t i = 0; i < m->n_under_way[n] && !found; i++) {
        found = is_version(&have, n, m->under_way[n][i]);
        if (found)
            m->state[n] = m->under_way[n][i];
    }
    if (!found)
        fail_msg("%s is \"%s\", acknowledged was version %u", id, have.name ? have.name : "(gone)",
                 m->state[n]);
    m->n_under_way[n] = 0;
    vt_product_release(&have);
}

static void nothing_acknowledged_is_lost(void **state) {
    static model m;
    const char *wanted = getenv("VT_CRASH_CYCLES");
    uint64_t cycles = CYCLES, random = 1234567;
    char *dir = folder_make();
    if (wanted)
        assert_true(vt_parse_u64(wanted, 1000000, &cycles));
    for (uint64_t i = 0; i < cycles; i++) {
        vt_catalog *c;
        vt_catalog_stats stats;
        vt_err err = {0};
        size_t live = 0;
        run_child(&m, dir, next_random(&random) | 1, below(&random, 80));
        /* The first child may die before there is a catalogue: none, then, and none half made. */
        if (m.acknowledged > 0 || vt_catalog_find(dir, &err) == VT_OK)
            assert_sound(dir);
        c = catalog_open(dir);
        for (uint32_t n = 0; n < PRODUCTS; n++) {
            assert_survived(&m, c, n);
            live += m.state[n] != GONE;
        }
        vt_catalog_describe(c, &stats);
        assert_int_equal(stats.products, live);
        vt_catalog_close(c);
    }
    assert_true(m.acknowledged > cycles); /* else nothing was put to the test */
    folder_remove(dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(nothing_acknowledged_is_lost)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
