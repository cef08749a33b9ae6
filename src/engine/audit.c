/* How good the estimates are is measured where it counts, on the searches that customers make. A
 * few of them are kept; the garden's thread (garden.c) repeats each, once as it is answered now and
 * once with every match scored, and what share of the true answer the first has is its recall@k.
 *
 * A hit counts by its score and not by its id: products with one picture share a score, and either
 * is right. Recalls are kept in windows by kind of query and by how many rows the filter let pass,
 * because both decide how a search is planned. A kind falls short when the mean of (recall -
 * wished) over its windows is under -0.01, and so far under 0 that chance does it once in a hundred
 * times (normal approximation); only searches by cells count there, as nothing else is planned by
 * what was learnt.
 *
 * What is kept: of each kind at most one search in a while, and the last KEPT of them. So the
 * sample is spread over time, not over the crowd of a rush hour; it is of what was computed, so a
 * popular query that the cache answers counts once. Searches that wish for recall 1 have nothing to
 * be measured. Rejected: Vitter's reservoir over all searches (after a day it hardly takes a new
 * one); keeping a filter as text (it would have to be parsed again): the query gives the filter
 * itself away.
 *
 * Threading: offers only try the lock, and who holds it copies some vectors at most. scratch
 * belongs to the thread that replays. */
#include "engine/audit.h"

#include <math.h>
#include <pthread.h>

enum {
    KEPT = 128,           /* searches of a kind */
    KEPT_BYTES = 1 << 20, /* of their vectors */
    FILTER_MAX = 4096,    /* bytes of its text: a longer one is not kept */
    WINDOW = 256,         /* results of a kind and a selectivity */
    ENOUGH = 50,          /* results to judge a kind by */
    BUCKETS = 4,
};

#define SAME_SCORE 1e-6F
#define SHORT_BY   0.01
#define BEYOND     2.33 /* standard errors: one in a hundred */

static const struct {
    const char *name;
    double above;
} buckets[BUCKETS] = {{"50-100%", 0.5}, {"10-50%", 0.1}, {"1-10%", 0.01}, {"0-1%", -1}};

typedef struct kept {
    vt_filter *filter;
    size_t k;
    float recall;
    bool waiting; /* to be replayed */
} kept;

typedef struct shelf {
    kept rows[KEPT];
    float *vectors; /* [capacity][dim] */
    size_t next, n;
    atomic_ullong due_ns; /* when the next search may be kept */
} shelf;

typedef struct window {
    vt_audit_result results[WINDOW];
    size_t next, n;
} window;

struct vt_audit {
    size_t dim, capacity;
    uint64_t spacing_ns;
    pthread_mutex_t lock;
    shelf shelves[VT_QUERY_KINDS];
    unsigned turn; /* the kind that is replayed next */
    window windows[VT_QUERY_KINDS][BUCKETS];
    uint64_t searches;
    float *scratch;
};

vt_status vt_audit_open(size_t dim, uint64_t spacing_ns, vt_audit **out, vt_err *err) {
    vt_audit *a = vt_alloc(1, sizeof *a);
    *out = NULL;
    if (!a)
        return vt_fail_nomem(err, sizeof *a);
    pthread_mutex_init(&a->lock, NULL);
    a->dim = dim;
    a->spacing_ns = spacing_ns;
    a->capacity = KEPT_BYTES / (dim * sizeof(float));
    a->capacity = a->capacity > KEPT ? KEPT : a->capacity > 0 ? a->capacity : 1;
    a->scratch = vt_alloc(1 + VT_QUERY_KINDS * a->capacity, dim * sizeof(float));
    if (!a->scratch) {
        vt_audit_close(a);
        return vt_fail_nomem(err, VT_QUERY_KINDS * a->capacity * dim * sizeof(float));
    }
    for (size_t i = 0; i < VT_QUERY_KINDS; i++)
        a->shelves[i].vectors = a->scratch + (1 + i * a->capacity) * dim;
    *out = a;
    return VT_OK;
}

void vt_audit_close(vt_audit *a) {
    if (!a)
        return;
    for (size_t i = 0; i < VT_QUERY_KINDS; i++)
        for (size_t j = 0; j < KEPT; j++)
            vt_filter_close(a->shelves[i].rows[j].filter);
    pthread_mutex_destroy(&a->lock);
    free(a->scratch);
    free(a);
}

/* ---- searches come in ---------------------------------------------------------------- */

static bool is_short(const vt_filter *f) {
    vt_buf text;
    bool fits;
    vt_buf_init(&text, FILTER_MAX);
    vt_filter_write(f, &text);
    fits = text.failed == VT_OK;
    vt_buf_release(&text);
    return fits;
}

/* Under the lock. The oldest makes room. */
static void keep(vt_audit *a, shelf *sh, const vt_catalog_query *q, vt_filter **filter) {
    kept *row = &sh->rows[sh->next];
    vt_filter_close(row->filter);
    *row = (kept){.filter = *filter, .k = q->k, .recall = q->recall, .waiting = true};
    *filter = NULL;
    memcpy(sh->vectors + sh->next * a->dim, q->vector, a->dim * sizeof *q->vector);
    sh->next = (sh->next + 1) % a->capacity;
    sh->n += sh->n < a->capacity;
}

void vt_audit_offer(vt_audit *a, const vt_catalog_query *q, vt_filter **filter) {
    shelf *sh = &a->shelves[q->kind];
    uint64_t now = vt_now_ns();
    if (now < atomic_load(&sh->due_ns) || q->recall >= 1 || !is_short(*filter) ||
        pthread_mutex_trylock(&a->lock) != 0)
        return;
    if (now >= atomic_load(&sh->due_ns)) { /* nobody was faster */
        atomic_store(&sh->due_ns, now + a->spacing_ns);
        keep(a, sh, q, filter);
    }
    pthread_mutex_unlock(&a->lock);
}

/* The newest first. Under the lock. */
static size_t place(const vt_audit *a, const shelf *sh, size_t age) {
    return (sh->next + a->capacity - 1 - age) % a->capacity;
}

size_t vt_audit_vectors(vt_audit *a, vt_query_kind kind, float *out, size_t max) {
    const shelf *sh = &a->shelves[kind];
    size_t n;
    pthread_mutex_lock(&a->lock);
    n = sh->n < max ? sh->n : max;
    for (size_t i = 0; i < n; i++)
        memcpy(out + i * a->dim, sh->vectors + place(a, sh, i) * a->dim, a->dim * sizeof *out);
    pthread_mutex_unlock(&a->lock);
    return n;
}

/* ---- searches are repeated ----------------------------------------------------------- */

/* Under the lock. The vector is copied to scratch: its place may be taken meanwhile. */
static bool take_from(vt_audit *a, shelf *sh, kept *out) {
    for (size_t i = 0; i < sh->n; i++) {
        kept *row = &sh->rows[place(a, sh, i)];
        if (!row->waiting)
            continue;
        *out = *row;
        row->filter = NULL;
        row->waiting = false;
        memcpy(a->scratch, sh->vectors + place(a, sh, i) * a->dim, a->dim * sizeof *a->scratch);
        return true;
    }
    return false;
}

/* Kinds take turns, so that the rare one is heard. */
static bool take(vt_audit *a, vt_query_kind *kind, kept *out) {
    bool found = false;
    pthread_mutex_lock(&a->lock);
    for (size_t i = 0; i < VT_QUERY_KINDS && !found; i++) {
        *kind = (vt_query_kind)(a->turn++ % VT_QUERY_KINDS);
        found = take_from(a, &a->shelves[*kind], out);
    }
    pthread_mutex_unlock(&a->lock);
    return found;
}

/* n > 0 of the best hits are exact's. */
static float recall_of(const vt_catalog_hit *hits, size_t n_hits, const vt_catalog_hit *exact,
                       size_t n) {
    float least = exact[n - 1].score - SAME_SCORE;
    size_t found = 0;
    for (size_t i = 0; i < n_hits && i < n; i++)
        found += hits[i].score >= least;
    return (float)found / (float)n;
}

static vt_status compare(vt_audit *a, vt_catalog *c, vt_catalog_query *q, vt_err *err) {
    uint64_t generation = vt_catalog_generation(c);
    vt_catalog_hit *hits = NULL, *exact = NULL;
    size_t n_hits = 0, n = 0;
    float wished = q->recall;
    vt_plan plan;
    vt_status s = vt_catalog_search(c, q, &hits, &n_hits, &plan, err);
    q->recall = 1;
    if (s == VT_OK)
        s = vt_catalog_search(c, q, &exact, &n, NULL, err);
    /* A product that came between the two would be held against the first. */
    if (s == VT_OK && n > 0 && vt_catalog_generation(c) == generation)
        vt_audit_note(a, &(vt_audit_result){
                             .kind = q->kind,
                             .selectivity = (double)plan.matches / (double)plan.rows,
                             .recall = recall_of(hits, n_hits, exact, n),
                             .wished = wished,
                             .estimated = plan.way == VT_WAY_CELLS,
                         });
    vt_catalog_hits_release(hits, n_hits);
    vt_catalog_hits_release(exact, n);
    return s;
}

vt_status vt_audit_replay(vt_audit *a, vt_catalog *c, bool *done, vt_err *err) {
    vt_query_kind kind;
    kept row;
    vt_status s;
    *done = take(a, &kind, &row);
    if (!*done)
        return VT_OK;
    vt_catalog_query q = {
        .vector = a->scratch, .filter = row.filter, .k = row.k, .kind = kind, .recall = row.recall};
    s = compare(a, c, &q, err);
    vt_filter_close(row.filter);
    return s;
}

/* ---- results ------------------------------------------------------------------------- */

void vt_audit_note(vt_audit *a, const vt_audit_result *r) {
    size_t b = 0;
    window *w;
    while (b + 1 < BUCKETS && r->selectivity <= buckets[b].above)
        b++;
    w = &a->windows[r->kind][b];
    pthread_mutex_lock(&a->lock);
    w->results[w->next] = *r;
    w->next = (w->next + 1) % WINDOW;
    w->n += w->n < WINDOW;
    a->searches++;
    pthread_mutex_unlock(&a->lock);
}

/* Sums of what is wanted of a window. */
typedef struct sums {
    size_t n;
    double recall, wished, over, over2; /* over: recall - wished, and its square */
} sums;

static void add(sums *t, const window *w, bool estimated_only) {
    for (size_t i = 0; i < w->n; i++) {
        const vt_audit_result *r = &w->results[i];
        double over = (double)r->recall - (double)r->wished;
        if (estimated_only && !r->estimated)
            continue;
        t->n++;
        t->recall += (double)r->recall;
        t->wished += (double)r->wished;
        t->over += over;
        t->over2 += over * over;
    }
}

static vt_audit_mean mean_of(const sums *t) {
    double n = t->n > 0 ? (double)t->n : 1;
    return (vt_audit_mean){.n = t->n, .recall = t->recall / n, .wished = t->wished / n};
}

bool vt_audit_falls_short(vt_audit *a, vt_query_kind kind, vt_audit_mean *out) {
    sums t = {0};
    double n, over, variance;
    pthread_mutex_lock(&a->lock);
    for (size_t b = 0; b < BUCKETS; b++)
        add(&t, &a->windows[kind][b], true);
    pthread_mutex_unlock(&a->lock);
    *out = mean_of(&t);
    if (t.n < ENOUGH)
        return false;
    n = (double)t.n;
    over = t.over / n;
    variance = fmax(0, (t.over2 - n * over * over) / (n - 1));
    return over < -SHORT_BY && over + BEYOND * sqrt(variance / n) < 0;
}

void vt_audit_forget(vt_audit *a, vt_query_kind kind) {
    pthread_mutex_lock(&a->lock);
    for (size_t b = 0; b < BUCKETS; b++)
        a->windows[kind][b].n = a->windows[kind][b].next = 0;
    pthread_mutex_unlock(&a->lock);
}

/* ---- told ---------------------------------------------------------------------------- */

typedef struct report {
    uint64_t searches;
    vt_audit_mean means[VT_QUERY_KINDS][BUCKETS];
} report;

static report gather(vt_audit *a) {
    report r = {0};
    pthread_mutex_lock(&a->lock);
    r.searches = a->searches;
    for (size_t k = 0; k < VT_QUERY_KINDS; k++)
        for (size_t b = 0; b < BUCKETS; b++) {
            sums t = {0};
            add(&t, &a->windows[k][b], false);
            r.means[k][b] = mean_of(&t);
        }
    pthread_mutex_unlock(&a->lock);
    return r;
}

static void write_kind(const vt_audit_mean means[BUCKETS], vt_json *w) {
    vt_json_open(w, '{');
    for (size_t b = 0; b < BUCKETS; b++) {
        if (means[b].n == 0)
            continue;
        vt_json_key(w, buckets[b].name);
        vt_json_open(w, '{');
        vt_json_key(w, "recall");
        vt_json_num(w, means[b].recall, 5);
        vt_json_key(w, "wished");
        vt_json_num(w, means[b].wished, 5);
        vt_json_key(w, "searches");
        vt_json_int(w, (int64_t)means[b].n);
        vt_json_close(w, '}');
    }
    vt_json_close(w, '}');
}

void vt_audit_write(vt_audit *a, vt_json *w) {
    report r = gather(a);
    vt_json_open(w, '{');
    vt_json_key(w, "searches");
    vt_json_int(w, (int64_t)r.searches);
    vt_json_key(w, "recall");
    vt_json_open(w, '{');
    for (size_t k = 0; k < VT_QUERY_KINDS; k++) {
        vt_json_key(w, vt_query_kind_name((vt_query_kind)k));
        write_kind(r.means[k], w);
    }
    vt_json_close(w, '}');
    vt_json_close(w, '}');
}

static void write_gauge(const report *r, bool wished, vt_buf *out) {
    const char *name = wished ? "vitrine_search_recall_wished" : "vitrine_search_recall";
    vt_buf_printf(out, "# HELP %s %s\n# TYPE %s gauge\n", name,
                  wished ? "What the same searches wished for"
                         : "Share of the true answer that audited searches found",
                  name);
    for (size_t k = 0; k < VT_QUERY_KINDS; k++)
        for (size_t b = 0; b < BUCKETS; b++) {
            const vt_audit_mean *m = &r->means[k][b];
            if (m->n > 0)
                vt_buf_printf(out, "%s{kind=\"%s\",selectivity=\"%s\"} %.5g\n", name,
                              vt_query_kind_name((vt_query_kind)k), buckets[b].name,
                              wished ? m->wished : m->recall);
        }
}

void vt_audit_metrics(vt_audit *a, vt_buf *out) {
    report r = gather(a);
    vt_buf_printf(out,
                  "# HELP vitrine_audited_searches_total Searches repeated exactly\n"
                  "# TYPE vitrine_audited_searches_total counter\n"
                  "vitrine_audited_searches_total %llu\n",
                  (unsigned long long)r.searches);
    write_gauge(&r, false, out);
    write_gauge(&r, true, out);
}
