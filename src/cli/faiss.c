/* vitrine import-faiss and export-faiss: a collection comes over from FAISS, or goes to it, and no
 * vector is computed. */
#include "cli/command.h"

typedef struct session {
    vt_told told;
    vt_faiss_import_report report;
} session;

static bool stopped(void *ctx) {
    const session *s = ctx;
    return vt_told_stopped(&s->told);
}

/* vt_import_fn */
static void tell_vector(void *ctx, const vt_import_line *l) {
    session *s = ctx;
    vt_told_line(&s->told, l);
    s->told.progress.total_bytes =
        s->report.vectors; /* each as long as the next: so many are left */
    vt_progress_tell(&s->told.progress, s->told.counts.lines, s->told.counts.failed,
                     s->told.counts.lines);
}

static void print_lengths(const session *s) {
    const vt_faiss_import_report *r = &s->report;
    if (s->told.json)
        printf("{\"vectors\":{\"count\":%zu,\"normalised\":%zu,\"shortest\":%.9g,"
               "\"longest\":%.9g}}\n",
               r->vectors, r->normalised, r->shortest, r->longest);
    else if (r->normalised > 0)
        printf("%zu of %zu vectors had another length than 1 (%.6g to %.6g) and were normalised: "
               "answers come in the order of the cosine\n",
               r->normalised, r->vectors, r->shortest, r->longest);
}

static vt_status read_options(const vt_options *o, vt_faiss_import_options *out, vt_err *err) {
    const char *metric = o->value[OPT_METRIC];
    vt_status s = vt_refuse_words(o, "import-faiss", err);
    if (s != VT_OK)
        return s;
    if (!o->value[OPT_INDEX] || !o->value[OPT_IDS])
        return vt_fail(err, VT_E_INVALID, "usage: vitrine import-faiss --index FILE --ids FILE");
    if (strcmp(metric, "cosine") != 0 && strcmp(metric, "l2") != 0)
        return vt_fail(err, VT_E_INVALID, "metric must be cosine or l2, not \"%s\"", metric);
    *out = (vt_faiss_import_options){
        .index = o->value[OPT_INDEX],
        .ids = o->value[OPT_IDS],
        .labels = o->value[OPT_LABELS_FILE],
        .metadata = o->value[OPT_METADATA],
        .category = o->value[OPT_CATEGORY],
        .keep_l2 = strcmp(metric, "l2") == 0,
        .fn = tell_vector,
        .stopped = stopped,
    };
    return VT_OK;
}

vt_status vt_command_import_faiss(vt_options *o, int *code, vt_err *err) {
    session s = {0};
    vt_faiss_import_options options;
    vt_log *log = NULL;
    vt_engine *e = NULL;
    vt_status status = read_options(o, &options, err);
    if (status == VT_OK)
        status = vt_open_quietly(o, false, &log, &e, err);
    if (status == VT_OK) {
        options.ctx = &s;
        vt_told_begin(&s.told, "vectors", o->value[OPT_JSON] != NULL, 0);
        status = vt_engine_import_faiss(e, &options, &s.report, err);
        if (status == VT_OK) {
            vt_progress_clear(&s.told.progress);
            print_lengths(&s);
            status = vt_told_end(&s.told, status, code, err);
            vt_told_tend(&s.told, e);
        }
    }
    vt_engine_close(e);
    vt_log_close(log);
    return status;
}

vt_status vt_command_export_faiss(vt_options *o, int *code, vt_err *err) {
    vt_log *log = NULL;
    vt_engine *e = NULL;
    size_t count = 0;
    vt_status s = o->n_words == 1 ? vt_open_quietly(o, true, &log, &e, err)
                                  : vt_fail(err, VT_E_INVALID, "usage: vitrine export-faiss FILE");
    if (s == VT_OK)
        s = vt_engine_export_faiss(e, o->words[0], o->value[OPT_IDS], o->value[OPT_ID_MAP] != NULL,
                                   &count, err);
    if (s == VT_OK)
        printf(o->value[OPT_JSON] ? "{\"vectors\":%zu}\n" : "%zu vectors\n", count);
    vt_engine_close(e);
    vt_log_close(log);
    return s;
}
