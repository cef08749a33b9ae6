/* One thread that nobody waits for keeps the index in shape: makes cells where they are due,
 * teaches the index how far searches must look, leaves snapshots on the disk, and, with what time
 * is left over, audits searches (audit.c) and has a kind that falls short look further.
 *
 * What is learnt is lost with the cells it was learnt for, so each rebuild is followed by learning:
 * pictures from the index's own rows, words from the catalogue's own (words.c) and from the
 * searches that the audit keeps. Then a snapshot is written, so that the next start finds all of
 * it.
 *
 * Customers come first: the thread has low priority, gives way to queries, and an audit that took t
 * on all processors is followed by a pause of a hundred t. What takes long asks now and then
 * whether it is to stop, so the thread is joined within a fraction of a second. A snapshot at the
 * end, where much has changed, has CLOSE_SECONDS; where they do not suffice the one before stays,
 * and the next start brings in what is newer.
 *
 * A command that answers once and ends has the garden, but no thread: an import tends it once, at
 * its end (vt_engine_tend), so that the server's first start finds a snapshot with cells.
 *
 * Rejected: doing this when a put or a search finds it due (somebody waits then); a thread a task
 * (they would compete for the same processors, and a rebuild voids what is being learnt).
 *
 * Threading: what is not under the lock belongs to the thread, or to whoever tends where there is
 * none. */
#include "engine/garden.h"

#include "engine/audit.h"
#include "engine/words.h"

#include <math.h>
#include <pthread.h>

enum {
    SEARCHES_MAX = 128, /* of customers, to learn from */
    LEARN_MIN = 16,     /* vt_tuning_open's */
    SHARE = 100,        /* the audit's of one processor: a hundredth */
    CLOSE_SECONDS = 2,
    CLOSE_CHANGES = 1000, /* fewer are read again within milliseconds */
};

#define SECOND_NS      1000000000ULL
#define PERIOD_NS      SECOND_NS        /* between two looks at what is due */
#define RETRY_NS       (60 * SECOND_NS) /* after a failure */
#define AUDIT_IDLE_NS  (SECOND_NS / 4)  /* until the next look for a search to replay */
#define AUDIT_PAUSE_NS (SECOND_NS / 50) /* at least, between two replays */
#define A_MOMENT_S     0.05
#define SPEND_FACTOR   1.5F

typedef struct garden_state {
    const char *doing; /* static */
    uint64_t since_ns;
    vt_catalog_stats stats;
    float fraction[VT_QUERY_KINDS];
} garden_state;

struct vt_garden {
    vt_engine *e;
    vt_words *words;
    bool learning_due, saving_due;
    pthread_mutex_t lock; /* of state and wake */
    pthread_cond_t wake;
    garden_state state;
    atomic_bool closing;
    bool started;
    pthread_t thread;
};

/* Who tends, and when he is to stop. */
typedef struct shift {
    vt_garden *g;
    vt_stopped_fn stopped;
    void *ctx;
} shift;

/* ---- what is told -------------------------------------------------------------------- */

static void set_doing(vt_garden *g, const char *doing) {
    pthread_mutex_lock(&g->lock);
    g->state.doing = doing;
    g->state.since_ns = vt_now_ns();
    pthread_mutex_unlock(&g->lock);
}

static void look_around(vt_garden *g) {
    vt_catalog *c = g->e->catalog;
    garden_state now = {.doing = "ready", .since_ns = vt_now_ns()};
    vt_catalog_describe(c, &now.stats);
    for (size_t k = 0; k < VT_QUERY_KINDS; k++)
        now.fraction[k] = vt_catalog_fraction(c, (vt_query_kind)k, VT_RECALL_DEFAULT);
    pthread_mutex_lock(&g->lock);
    g->state = now;
    pthread_mutex_unlock(&g->lock);
}

static garden_state state_of(vt_garden *g) {
    pthread_mutex_lock(&g->lock);
    garden_state now = g->state;
    pthread_mutex_unlock(&g->lock);
    return now;
}

void vt_garden_write(vt_garden *g, vt_json *w) {
    garden_state now = state_of(g);
    vt_json_open(w, '{');
    vt_json_key(w, "state");
    /* Every second it is looked whether something is due: that is no news. */
    vt_json_str(w, vt_seconds_since(now.since_ns) > A_MOMENT_S ? now.doing : "ready");
    vt_json_key(w, "cells");
    vt_json_int(w, (int64_t)now.stats.cells);
    vt_json_key(w, "from_snapshot");
    vt_json_bool(w, now.stats.from_snapshot);
    vt_json_key(w, "snapshot_seq");
    vt_json_int(w, (int64_t)now.stats.snapshot_seq);
    vt_json_key(w, "row_bytes");
    vt_json_int(w, (int64_t)now.stats.index_bytes.rows);
    vt_json_key(w, "code_bytes");
    vt_json_int(w, (int64_t)now.stats.index_bytes.codes);
    vt_json_key(w, "fraction");
    vt_json_open(w, '{');
    for (size_t k = 0; k < VT_QUERY_KINDS; k++) {
        vt_json_key(w, vt_query_kind_name((vt_query_kind)k));
        if (now.stats.cells > 0)
            vt_json_num(w, (double)now.fraction[k], 4);
        else
            vt_json_null(w);
    }
    vt_json_close(w, '}');
    vt_json_close(w, '}');
}

void vt_garden_metrics(vt_garden *g, vt_buf *out) {
    garden_state now = state_of(g);
    vt_buf_printf(out,
                  "# HELP vitrine_index_cells Cells of the index; 0: every search is exact\n"
                  "# TYPE vitrine_index_cells gauge\nvitrine_index_cells %zu\n"
                  "# HELP vitrine_index_snapshot_change_number What the snapshot on disk has\n"
                  "# TYPE vitrine_index_snapshot_change_number gauge\n"
                  "vitrine_index_snapshot_change_number %llu\n"
                  "# HELP vitrine_index_fraction Share of the rows that a search looks at for the "
                  "preset recall, where cells pay\n# TYPE vitrine_index_fraction gauge\n",
                  now.stats.cells, (unsigned long long)now.stats.snapshot_seq);
    for (size_t k = 0; k < VT_QUERY_KINDS && now.stats.cells > 0; k++)
        vt_buf_printf(out, "vitrine_index_fraction{kind=\"%s\"} %.4g\n",
                      vt_query_kind_name((vt_query_kind)k), (double)now.fraction[k]);
}

/* ---- cells --------------------------------------------------------------------------- */

static vt_status rebuild(shift *sh, vt_err *err) {
    vt_garden *g = sh->g;
    uint64_t begun = vt_now_ns();
    vt_catalog_stats stats;
    bool done = false;
    vt_status s;
    set_doing(g, "rebuilding");
    s = vt_catalog_rebuild(g->e->catalog, sh->stopped, sh->ctx, &done, err);
    if (s != VT_OK || !done)
        return s;
    vt_catalog_describe(g->e->catalog, &stats);
    vt_log_stage(g->e->log, "index", vt_seconds_since(begun), "%zu cells for %zu products",
                 stats.cells, stats.products);
    g->learning_due = g->saving_due = true;
    return VT_OK;
}

/* ---- learning ------------------------------------------------------------------------ */

/* Names and searches in one piece: [n][dim], malloc'ed. */
static vt_status gather_words(vt_garden *g, float **out, size_t *n_words, size_t *n_searches,
                              vt_err *err) {
    size_t dim = vt_clip_describe(g->e->clip)->dim, n = vt_words_count(g->words);
    *out = vt_alloc(n + SEARCHES_MAX, dim * sizeof **out);
    if (!*out)
        return vt_fail_nomem(err, (n + SEARCHES_MAX) * dim * sizeof **out);
    vt_words_vectors(g->words, dim, *out);
    *n_words = n;
    *n_searches = vt_audit_vectors(g->e->audit, VT_QUERY_TEXT, *out + n * dim, SEARCHES_MAX);
    return VT_OK;
}

static vt_status learn_words(shift *sh, size_t *n_words, size_t *n_searches, vt_err *err) {
    vt_garden *g = sh->g;
    float *vectors = NULL;
    bool done = false;
    vt_status s = vt_words_update(g->words, g->e, sh->stopped, sh->ctx, err);
    if (s == VT_OK)
        s = gather_words(g, &vectors, n_words, n_searches, err);
    if (s == VT_OK && *n_words + *n_searches >= LEARN_MIN)
        s = vt_catalog_learn(g->e->catalog, VT_QUERY_TEXT, vectors, *n_words + *n_searches,
                             sh->stopped, sh->ctx, &done, err);
    free(vectors);
    return s;
}

static void tell_learnt(vt_garden *g, double seconds, size_t n_words, size_t n_searches) {
    vt_catalog *c = g->e->catalog;
    double text = (double)vt_catalog_fraction(c, VT_QUERY_TEXT, VT_RECALL_DEFAULT);
    double image = (double)vt_catalog_fraction(c, VT_QUERY_IMAGE, VT_RECALL_DEFAULT);
    vt_log_stage(g->e->log, "index", seconds,
                 "learnt from %zu names and %zu searches: texts see %.2g %% of the rows, pictures "
                 "%.2g %%, for recall %g",
                 n_words, n_searches, 100 * text, 100 * image, (double)VT_RECALL_DEFAULT);
}

static vt_status learn(shift *sh, vt_err *err) {
    vt_garden *g = sh->g;
    uint64_t begun = vt_now_ns();
    size_t n_words = 0, n_searches = 0;
    bool done = false;
    vt_status s;
    set_doing(g, "learning");
    s = vt_catalog_learn(g->e->catalog, VT_QUERY_IMAGE, NULL, 0, sh->stopped, sh->ctx, &done, err);
    if (s == VT_OK && done)
        s = learn_words(sh, &n_words, &n_searches, err);
    if (s != VT_OK || sh->stopped(sh->ctx))
        return s;
    g->learning_due = false;
    if (!done) /* the cells are gone: there is nothing to learn */
        return VT_OK;
    g->saving_due = true;
    tell_learnt(g, vt_seconds_since(begun), n_words, n_searches);
    for (size_t k = 0; k < VT_QUERY_KINDS; k++)
        vt_audit_forget(g->e->audit, (vt_query_kind)k);
    return VT_OK;
}

/* ---- snapshots ----------------------------------------------------------------------- */

static vt_status save(shift *sh, bool force, vt_err *err) {
    vt_garden *g = sh->g;
    uint64_t begun = vt_now_ns();
    vt_catalog_stats stats;
    bool done = false;
    vt_status s;
    set_doing(g, "saving");
    s = vt_catalog_save(g->e->catalog, force, sh->stopped, sh->ctx, &done, err);
    if (s != VT_OK || !done)
        return s;
    g->saving_due = false;
    vt_catalog_describe(g->e->catalog, &stats);
    vt_log_stage(g->e->log, "snapshot", vt_seconds_since(begun),
                 "the index up to change %llu is on disk", (unsigned long long)stats.snapshot_seq);
    return VT_OK;
}

static vt_status tend(shift *sh) {
    vt_garden *g = sh->g;
    vt_err err;
    vt_status s = rebuild(sh, &err);
    if (s == VT_OK && g->learning_due && !sh->stopped(sh->ctx))
        s = learn(sh, &err);
    if (s == VT_OK && !sh->stopped(sh->ctx))
        s = save(sh, g->saving_due, &err);
    look_around(g);
    if (s != VT_OK && !sh->stopped(sh->ctx))
        vt_log_say(g->e->log, VT_LOG_WARN, "index", "%s", err.text);
    return s;
}

void vt_engine_tend(vt_engine *e, bool (*stopped)(void *ctx), void *ctx) {
    assert(!e->garden->started);
    (void)tend(&(shift){e->garden, stopped, ctx});
}

/* ---- audit --------------------------------------------------------------------------- */

static void look_further(vt_garden *g, vt_query_kind kind) {
    vt_catalog *c = g->e->catalog;
    float before = vt_catalog_fraction(c, kind, VT_RECALL_DEFAULT);
    vt_audit_mean m;
    if (before >= 1 || !vt_audit_falls_short(g->e->audit, kind, &m))
        return;
    vt_catalog_spend_more(c, kind, SPEND_FACTOR);
    vt_audit_forget(g->e->audit, kind);
    vt_log_say(g->e->log, VT_LOG_WARN, "index",
               "%s searches found %.3f of the true answers, not %.3f, over %zu audited: they see "
               "%.2g %% of the rows from now on, not %.2g %%",
               vt_query_kind_name(kind), m.recall, m.wished, m.n,
               100 * (double)vt_catalog_fraction(c, kind, VT_RECALL_DEFAULT), 100 * (double)before);
    look_around(g);
}

/* Replays one search. Returns how long to wait before the next. */
static uint64_t audit(vt_garden *g) {
    uint64_t begun, pause;
    bool done = false;
    vt_err err;
    vt_status s;
    vt_pool_give_way(g->e->pool);
    begun = vt_now_ns();
    s = vt_audit_replay(g->e->audit, g->e->catalog, &done, &err);
    pause = (vt_now_ns() - begun) * vt_pool_threads(g->e->pool) * SHARE;
    if (s != VT_OK) {
        vt_log_say(g->e->log, VT_LOG_WARN, "audit", "%s", err.text);
        return RETRY_NS;
    }
    if (!done)
        return AUDIT_IDLE_NS;
    for (size_t k = 0; k < VT_QUERY_KINDS; k++)
        look_further(g, (vt_query_kind)k);
    return pause > AUDIT_PAUSE_NS ? pause : AUDIT_PAUSE_NS;
}

/* ---- the thread ---------------------------------------------------------------------- */

static bool is_closing(void *ctx) {
    const vt_garden *g = ctx;
    return atomic_load(&g->closing);
}

static void wait_until(vt_garden *g, uint64_t ns) {
    struct timespec until = {.tv_sec = (time_t)(ns / SECOND_NS), .tv_nsec = (long)(ns % SECOND_NS)};
    pthread_mutex_lock(&g->lock);
    while (!is_closing(g) && vt_now_ns() < ns)
        (void)pthread_cond_timedwait(&g->wake, &g->lock, &until);
    pthread_mutex_unlock(&g->lock);
}

static void *work(void *arg) {
    vt_garden *g = arg;
    shift sh = {g, is_closing, g};
    uint64_t tend_at = 0, audit_at = 0;
    vt_thread_background();
    while (!is_closing(g)) {
        if (vt_now_ns() >= tend_at) {
            vt_status s = tend(&sh);
            tend_at = vt_now_ns() + (s == VT_OK ? PERIOD_NS : RETRY_NS);
        }
        if (!is_closing(g) && vt_now_ns() >= audit_at) {
            uint64_t pause = audit(g);
            audit_at = vt_now_ns() + pause;
        }
        wait_until(g, tend_at < audit_at ? tend_at : audit_at);
    }
    return NULL;
}

/* ---- open and close ------------------------------------------------------------------ */

static void open_locks(vt_garden *g) {
    pthread_condattr_t attr;
    pthread_mutex_init(&g->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&g->wake, &attr);
    pthread_condattr_destroy(&attr);
}

vt_status vt_garden_open(vt_engine *e, vt_garden **out, vt_err *err) {
    vt_garden *g = vt_alloc(1, sizeof *g);
    vt_status s;
    *out = NULL;
    if (!g)
        return vt_fail_nomem(err, sizeof *g);
    g->e = e;
    open_locks(g);
    s = vt_words_open(&g->words, err);
    if (s != VT_OK) {
        vt_garden_close(g);
        return s;
    }
    look_around(g);
    g->learning_due = g->state.stats.cells > 0 && (g->state.fraction[VT_QUERY_TEXT] >= 1 ||
                                                   g->state.fraction[VT_QUERY_IMAGE] >= 1);
    *out = g;
    return VT_OK;
}

vt_status vt_garden_start(vt_garden *g, vt_err *err) {
    g->started = pthread_create(&g->thread, NULL, work, g) == 0;
    return g->started ? VT_OK : vt_fail(err, VT_E_NOMEM, "cannot start the index's thread");
}

static bool is_late(void *ctx) {
    const uint64_t *begun = ctx;
    return vt_seconds_since(*begun) > CLOSE_SECONDS;
}

static void leave_snapshot(vt_garden *g) {
    uint64_t begun = vt_now_ns();
    vt_catalog_stats stats;
    vt_err err;
    vt_catalog_describe(g->e->catalog, &stats);
    if (stats.seq - stats.snapshot_seq < CLOSE_CHANGES && !g->saving_due)
        return;
    if (save(&(shift){g, is_late, &begun}, true, &err) != VT_OK)
        vt_log_say(g->e->log, VT_LOG_WARN, "snapshot", "%s", err.text);
    else if (is_late(&begun))
        vt_log_say(g->e->log, VT_LOG_INFO, "snapshot",
                   "not written within %d s: the next start brings in what is newer",
                   CLOSE_SECONDS);
}

void vt_garden_close(vt_garden *g) {
    if (!g)
        return;
    pthread_mutex_lock(&g->lock);
    atomic_store(&g->closing, true);
    pthread_cond_signal(&g->wake);
    pthread_mutex_unlock(&g->lock);
    if (g->started) {
        pthread_join(g->thread, NULL);
        leave_snapshot(g);
    }
    vt_words_close(g->words);
    pthread_cond_destroy(&g->wake);
    pthread_mutex_destroy(&g->lock);
    free(g);
}
