/* What an evaluation found, in JSON: figures over all and per group, the worst queries, every
 * query's own figures (to compare two models query by query), the lines that could not be asked.
 * The interval's seed is fixed, so that one catalogue and one file give one report. */
#include "engine/eval.h"

enum { DIGITS = 6 };

static const uint64_t seed = 1;

static const char *const metric_names[VT_METRICS] = {
    [VT_PRECISION] = "precision",
    [VT_RECALL] = "recall",
    [VT_RECIPROCAL_RANK] = "mrr",
    [VT_NDCG] = "ndcg",
};

/* ---- figures -------------------------------------------------------------------------------- */

static bool in_group(const vt_eval_outcome *o, const char *group) {
    return !group || (o->group && strcmp(o->group, group) == 0);
}

/* The values of one metric in one group (NULL: all), of the queries that were measured. */
static size_t gather(const vt_eval *ev, const char *group, vt_metric metric, double *values) {
    size_t n = 0;
    for (size_t i = 0; i < ev->n_outcomes; i++) {
        const vt_eval_outcome *o = &ev->outcomes[i];
        if (o->relevant > 0 && in_group(o, group))
            values[n++] = o->figures[metric];
    }
    return n;
}

static void write_interval(vt_interval v, vt_json *w) {
    vt_json_open(w, '{');
    vt_json_key(w, "mean");
    vt_json_num(w, v.mean, DIGITS);
    vt_json_key(w, "low");
    vt_json_num(w, v.low, DIGITS);
    vt_json_key(w, "high");
    vt_json_num(w, v.high, DIGITS);
    vt_json_close(w, '}');
}

static void write_counts(const vt_eval *ev, const char *group, vt_json *w) {
    size_t queries = 0, without = 0, fewer = 0, more = 0, unknown = 0;
    for (size_t i = 0; i < ev->n_outcomes; i++) {
        const vt_eval_outcome *o = &ev->outcomes[i];
        if (!in_group(o, group))
            continue;
        queries++;
        without += o->relevant == 0;
        fewer += o->relevant > 0 && o->relevant < ev->top_k;
        more += o->relevant > ev->top_k;
        unknown += o->unknown_ids;
    }
    vt_json_key(w, "queries");
    vt_json_int(w, (int64_t)queries);
    vt_json_key(w, "measured");
    vt_json_int(w, (int64_t)(queries - without));
    vt_json_key(w, "without_relevant");
    vt_json_int(w, (int64_t)without);
    vt_json_key(w, "fewer_than_k_relevant");
    vt_json_int(w, (int64_t)fewer);
    vt_json_key(w, "more_than_k_relevant");
    vt_json_int(w, (int64_t)more);
    vt_json_key(w, "unknown_ids");
    vt_json_int(w, (int64_t)unknown);
}

/* values: room for a number a query. */
static void write_group(const vt_eval *ev, const char *group, double *values, vt_json *w) {
    vt_json_open(w, '{');
    vt_json_key(w, "group");
    vt_json_str(w, group);
    write_counts(ev, group, w);
    for (int metric = 0; metric < VT_METRICS; metric++) {
        size_t n = gather(ev, group, (vt_metric)metric, values);
        vt_json_key(w, metric_names[metric]);
        write_interval(vt_bootstrap_mean(values, n, seed), w);
    }
    vt_json_close(w, '}');
}

/* ---- groups --------------------------------------------------------------------------------- */

static int compare_names(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* names: room for a name a query. Returns how many distinct ones there are, in order of bytes. */
static size_t group_names(const vt_eval *ev, const char **names) {
    size_t n = 0, distinct = 0;
    for (size_t i = 0; i < ev->n_outcomes; i++)
        if (ev->outcomes[i].group)
            names[n++] = ev->outcomes[i].group;
    if (n > 0)
        qsort(names, n, sizeof *names, compare_names);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || strcmp(names[i], names[distinct - 1]) != 0)
            names[distinct++] = names[i];
    return distinct;
}

static vt_status write_figures(const vt_eval *ev, vt_json *w, vt_err *err) {
    double *values = vt_alloc(ev->n_outcomes, sizeof *values);
    const char **names = vt_alloc(ev->n_outcomes, sizeof *names);
    vt_status s = VT_OK;
    if (!values || !names) {
        s = vt_fail_nomem(err, ev->n_outcomes * sizeof *values);
        goto done;
    }
    vt_json_key(w, "overall");
    write_group(ev, NULL, values, w);
    vt_json_key(w, "groups");
    vt_json_open(w, '[');
    for (size_t i = 0, n = group_names(ev, names); i < n; i++)
        write_group(ev, names[i], values, w);
    vt_json_close(w, ']');
done:
    free(values);
    free(names);
    return s;
}

/* ---- queries -------------------------------------------------------------------------------- */

/* found: JSON, or NULL. */
static void write_outcome(const vt_eval_outcome *o, const char *found, vt_json *w) {
    vt_json_open(w, '{');
    vt_json_key(w, "line");
    vt_json_int(w, (int64_t)o->line);
    vt_json_key(w, o->picture ? "image" : "query");
    vt_json_str(w, o->subject);
    vt_json_key(w, "group");
    vt_json_str(w, o->group);
    vt_json_key(w, "relevant");
    vt_json_int(w, (int64_t)o->relevant);
    vt_json_key(w, "unknown_ids");
    vt_json_int(w, (int64_t)o->unknown_ids);
    for (int metric = 0; metric < VT_METRICS && o->relevant > 0; metric++) {
        vt_json_key(w, metric == VT_RECIPROCAL_RANK ? "reciprocal_rank" : metric_names[metric]);
        vt_json_num(w, o->figures[metric], DIGITS);
    }
    if (found) {
        vt_json_key(w, "found");
        vt_json_raw(w, found, strlen(found));
    }
    vt_json_close(w, '}');
}

static void write_outcomes(const vt_eval *ev, vt_json *w) {
    vt_json_key(w, "worst");
    vt_json_open(w, '[');
    for (size_t i = 0; i < ev->n_worst; i++)
        write_outcome(&ev->outcomes[ev->worst[i].outcome], ev->worst[i].found, w);
    vt_json_close(w, ']');
    vt_json_key(w, "outcomes");
    vt_json_open(w, '[');
    for (size_t i = 0; i < ev->n_outcomes; i++)
        write_outcome(&ev->outcomes[i], NULL, w);
    vt_json_close(w, ']');
}

vt_status vt_eval_report(const vt_eval *ev, vt_buf *answer, vt_err *err) {
    vt_json w;
    vt_status s;
    vt_json_init(&w, answer);
    vt_json_open(&w, '{');
    vt_json_key(&w, "top_k");
    vt_json_int(&w, (int64_t)ev->top_k);
    vt_json_key(&w, "resamples");
    vt_json_int(&w, VT_BOOTSTRAP_RESAMPLES);
    s = write_figures(ev, &w, err);
    if (s != VT_OK)
        return s;
    write_outcomes(ev, &w);
    vt_json_key(&w, "broken");
    vt_json_open(&w, '[');
    if (ev->broken.len > 0)
        vt_buf_append(answer, ev->broken.data, ev->broken.len);
    vt_json_close(&w, ']');
    vt_json_close(&w, '}');
    return vt_buf_status(answer, "the report", err);
}
