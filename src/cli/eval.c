/* vitrine eval --queries FILE: asks judged queries and prints how good the answers are. The report
 * is the engine's JSON; here it becomes a table for a person: the figures over all and per group,
 * each with its interval, then the worst queries with what they found. What could not be asked is
 * told on stderr. */
#include "cli/command.h"

enum { REPORT_MAX = 1 << 30, LINE_MAX_BYTES = 28 << 20 };
enum { LINE_WIDTH = 96, FIGURE_WIDTH = sizeof "0.207 [0.141-0.285]" - 1 };

static const struct {
    const char *key, *title;
} metrics[] = {{"precision", "precision"}, {"recall", "recall"}, {"mrr", "MRR"}, {"ndcg", "nDCG"}};

enum { N_METRICS = sizeof metrics / sizeof metrics[0] };

static long long integer(const json_t *object, const char *key) {
    return (long long)json_integer_value(json_object_get(object, key));
}

static double number(const json_t *object, const char *key) {
    return json_number_value(json_object_get(object, key));
}

static const char *string(const json_t *object, const char *key) {
    const char *s = json_string_value(json_object_get(object, key));
    return s ? s : "";
}

/* ---- figures -------------------------------------------------------------------------------- */

static void print_titles(long long k) {
    printf("%-16s %8s", "group", "measured");
    for (size_t i = 0; i < N_METRICS; i++) {
        char title[40];
        snprintf(title, sizeof title, "%s@%lld", metrics[i].title, k);
        printf("  %-*s", i + 1 < N_METRICS ? FIGURE_WIDTH : 0, title);
    }
    putchar('\n');
}

static void print_figures(const json_t *group) {
    const char *name = string(group, "group");
    printf("%-16s %8lld", *name ? name : "(all)", integer(group, "measured"));
    for (size_t i = 0; i < N_METRICS; i++) {
        const json_t *v = json_object_get(group, metrics[i].key);
        if (json_is_number(json_object_get(v, "mean")))
            printf("  %.3f [%.3f-%.3f]", number(v, "mean"), number(v, "low"), number(v, "high"));
        else
            printf("  %-*s", i + 1 < N_METRICS ? FIGURE_WIDTH : 0, "-");
    }
    putchar('\n');
}

/* A sentence on some of the queries, where it holds for any. */
static void print_share(const json_t *all, const char *count, const char *of, const char *text) {
    if (integer(all, count) > 0)
        printf("%lld of %lld queries %s\n", integer(all, count), integer(all, of), text);
}

static void print_notes(const json_t *report) {
    const json_t *all = json_object_get(report, "overall");
    printf("mean over queries [95 %% interval, bootstrap of %lld resamples]\n",
           integer(report, "resamples"));
    print_share(all, "fewer_than_k_relevant", "measured",
                "have fewer than k relevant products: their precision cannot reach 1");
    print_share(all, "more_than_k_relevant", "measured",
                "have more than k relevant products: their recall cannot reach 1");
    print_share(all, "without_relevant", "queries",
                "have no relevant product in the catalogue: left out of every mean");
    if (integer(all, "unknown_ids") > 0)
        printf("%lld ids named as relevant are not in the catalogue\n",
               integer(all, "unknown_ids"));
}

/* ---- queries -------------------------------------------------------------------------------- */

/* "+id" for a relevant product, "-id" for another, wrapped. */
static void print_found(const json_t *found) {
    size_t i, column = 0;
    json_t *hit;
    json_array_foreach((json_t *)(uintptr_t)found, i, hit) {
        const char *id = string(hit, "product_id");
        size_t width = strlen(id) + 2;
        if (column > 0 && column + width > LINE_WIDTH)
            column = 0;
        if (column == 0)
            printf("%s        ", i > 0 ? "\n" : "");
        printf(" %c%s", json_is_true(json_object_get(hit, "relevant")) ? '+' : '-', id);
        column += width;
    }
    puts(json_array_size(found) > 0 ? "" : "         nothing found");
}

static void print_worst(const json_t *worst) {
    size_t i;
    json_t *q;
    if (json_array_size(worst) > 0)
        puts("\nworst queries, by nDCG (+ relevant, - not)");
    json_array_foreach((json_t *)(uintptr_t)worst, i, q) {
        const char *words = string(q, "query");
        printf("  %.3f  line %lld: %s (%lld relevant)\n", number(q, "ndcg"), integer(q, "line"),
               *words ? words : string(q, "image"), integer(q, "relevant"));
        print_found(json_object_get(q, "found"));
    }
}

static void print_broken(const json_t *broken) {
    size_t i;
    json_t *line;
    json_array_foreach((json_t *)(uintptr_t)broken, i, line) {
        const char *pointer = string(line, "pointer");
        fprintf(stderr, "line %lld: %s%s%s\n", integer(line, "line"), pointer, *pointer ? ": " : "",
                string(line, "detail"));
    }
    if (json_array_size(broken) > 0)
        fprintf(stderr, "%zu lines could not be asked\n", json_array_size(broken));
}

static void print_report(const json_t *report) {
    const json_t *groups = json_object_get(report, "groups");
    size_t i;
    json_t *group;
    print_titles(integer(report, "top_k"));
    print_figures(json_object_get(report, "overall"));
    json_array_foreach((json_t *)(uintptr_t)groups, i, group) print_figures(group);
    print_notes(report);
    print_worst(json_object_get(report, "worst"));
}

/* ---- the command ---------------------------------------------------------------------------- */

/* vt_row_fn */
static vt_status take_line(void *ctx, uint64_t line, const char *json, size_t n, const vt_err *why,
                           vt_err *err) {
    return json ? vt_eval_feed(ctx, line, json, n, err) : vt_eval_feed_error(ctx, line, why, err);
}

static vt_status ask_lines(vt_eval *ev, const vt_map *file, vt_err *err) {
    vt_rows *rows = NULL;
    vt_status s = vt_rows_open(VT_ROWS_JSONL, LINE_MAX_BYTES, take_line, ev, &rows, err);
    if (s == VT_OK)
        s = vt_rows_feed(rows, (const char *)file->data, file->size, err);
    if (s == VT_OK)
        s = vt_rows_finish(rows, err);
    vt_rows_close(rows);
    return s;
}

/* *broken: how many lines could not be asked. */
static vt_status print_answer(const vt_options *o, const vt_buf *answer, size_t *broken,
                              vt_err *err) {
    json_t *report = NULL;
    vt_status s = vt_json_parse(answer->data, answer->len, &report, err);
    *broken = json_array_size(json_object_get(report, "broken"));
    if (s == VT_OK && *broken == 0 && integer(json_object_get(report, "overall"), "queries") == 0)
        s = vt_fail(err, VT_E_INVALID, "%s holds no query", o->value[OPT_QUERIES]);
    else if (s == VT_OK && o->value[OPT_JSON])
        puts(answer->data);
    else if (s == VT_OK) {
        print_report(report);
        print_broken(json_object_get(report, "broken"));
    }
    json_decref(report);
    return s;
}

static vt_status evaluate(vt_engine *e, const vt_options *o, const vt_map *file, size_t *broken,
                          vt_err *err) {
    char *dir = vt_path_dir(o->value[OPT_QUERIES]);
    uint64_t top_k;
    vt_eval *ev = NULL;
    vt_buf answer;
    vt_status s = dir ? vt_options_number(o, OPT_TOP_K, 1000, &top_k, err) : vt_fail_nomem(err, 1);
    vt_buf_init(&answer, REPORT_MAX);
    if (s == VT_OK) {
        vt_eval_options options = {.image_dir = dir, .top_k = (size_t)top_k};
        s = vt_eval_open(e, &options, &ev, err);
    }
    if (s == VT_OK)
        s = ask_lines(ev, file, err);
    if (s == VT_OK)
        s = vt_eval_report(ev, &answer, err);
    if (s == VT_OK)
        s = print_answer(o, &answer, broken, err);
    vt_eval_close(ev);
    vt_buf_release(&answer);
    free(dir);
    return s;
}

vt_status vt_command_eval(vt_options *o, int *code, vt_err *err) {
    vt_map file = {0};
    vt_log *log = NULL;
    vt_engine *e = NULL;
    size_t broken = 0;
    vt_status s = vt_refuse_words(o, "eval", err);
    if (s == VT_OK && !o->value[OPT_QUERIES])
        s = vt_fail(err, VT_E_INVALID, "no queries: give --queries FILE");
    if (s == VT_OK)
        s = vt_file_map(o->value[OPT_QUERIES], &file, err);
    if (s == VT_OK)
        s = vt_open_quietly(o, true, &log, &e, err);
    if (s == VT_OK)
        s = evaluate(e, o, &file, &broken, err);
    *code = broken > 0 ? VT_EXIT_PARTLY : 0;
    vt_engine_close(e);
    vt_log_close(log);
    vt_map_release(&file);
    return s;
}
