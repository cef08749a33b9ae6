/* Commands of one answer: search, get, delete, stats, model info, check, version. */
#include "cli/command.h"

#include <unistd.h>

enum { ANSWER_MAX = 256 << 20, IMAGE_MAX = 20 * 1000 * 1000 };

/* ---- printing ------------------------------------------------------------------------------- */

void vt_put_plain(FILE *out, const char *s, int width) {
    for (; *s; s++, width--) {
        unsigned char c = (unsigned char)*s;
        bool c1 = c == 0xC2 && (unsigned char)s[1] >= 0x80 && (unsigned char)s[1] < 0xA0;
        s += c1;
        fputc(c < 0x20 || c == 0x7F || c1 ? '?' : c, out);
    }
    for (; width > 0; width--)
        fputc(' ', out);
}

static void print_leaf(const char *path, const json_t *v) {
    vt_buf text;
    vt_json w;
    vt_buf_init(&text, ANSWER_MAX);
    vt_json_init(&w, &text);
    if (json_is_string(v))
        vt_buf_puts(&text, json_string_value(v));
    else
        vt_json_value(&w, v);
    if (text.failed == VT_OK && text.data) {
        vt_put_plain(stdout, path, 28);
        putchar(' ');
        vt_put_plain(stdout, text.data, 0);
    }
    putchar('\n');
    vt_buf_release(&text);
}

static void print_tree(const char *path, const json_t *v) {
    const char *key;
    json_t *child;
    if (!json_is_object(v) || json_object_size(v) == 0) {
        print_leaf(path, v);
        return;
    }
    json_object_foreach((json_t *)(uintptr_t)v, key, child) {
        vt_buf inner;
        vt_buf_init(&inner, 65536);
        vt_buf_printf(&inner, "%s%s%s", path, *path ? "." : "", key);
        if (inner.failed == VT_OK)
            print_tree(inner.data, child);
        vt_buf_release(&inner);
    }
}

void vt_print_json(const vt_buf *answer) {
    vt_err err;
    json_t *v = NULL;
    if (vt_json_parse(answer->data, answer->len, &v, &err) == VT_OK)
        print_tree("", v);
    json_decref(v);
}

static void print_answer(const vt_options *o, const vt_buf *answer) {
    if (o->value[OPT_JSON])
        puts(answer->data);
    else
        vt_print_json(answer);
}

static void print_hits(const vt_buf *answer) {
    vt_err err;
    json_t *v = NULL, *hit;
    size_t i;
    if (vt_json_parse(answer->data, answer->len, &v, &err) != VT_OK)
        return;
    json_array_foreach(json_object_get(v, "results"), i, hit) {
        const json_t *price = json_object_get(hit, "price");
        char cost[32] = "-";
        if (json_is_number(price))
            snprintf(cost, sizeof cost, "%.2f", json_number_value(price));
        printf("%3zu  %.4f  ", i + 1, json_number_value(json_object_get(hit, "similarity_score")));
        vt_put_plain(stdout, json_string_value(json_object_get(hit, "product_id")), 24);
        printf(" %9s  ", cost);
        vt_put_plain(stdout, json_string_value(json_object_get(hit, "category")), 12);
        putchar(' ');
        vt_put_plain(stdout, json_string_value(json_object_get(hit, "name")), 0);
        putchar('\n');
    }
    if (json_object_get(v, "explain"))
        print_tree("explain", json_object_get(v, "explain"));
    fprintf(stderr, "%lld found in %.2f ms\n",
            (long long)json_integer_value(json_object_get(v, "total_results")),
            json_number_value(json_object_get(v, "execution_time_ms")));
    json_decref(v);
}

/* ---- opening -------------------------------------------------------------------------------- */

vt_status vt_open_quietly(vt_options *o, bool must_exist, vt_log **log, vt_engine **e,
                          vt_err *err) {
    vt_engine_options options;
    vt_status s = vt_options_engine(o, &options, err);
    options.must_exist = must_exist;
    if (s == VT_OK && o->value[OPT_LOG_LEVEL] != vt_option_rows[OPT_LOG_LEVEL].preset)
        s = vt_options_log(o, log, err);
    return s == VT_OK ? vt_engine_open(&options, *log, e, err) : s;
}

vt_status vt_refuse_words(const vt_options *o, const char *command, vt_err *err) {
    if (o->n_words > 0)
        return vt_fail(err, VT_E_INVALID, "%s takes no argument \"%s\"", command, o->words[0]);
    return VT_OK;
}

vt_status vt_ask(vt_options *o, vt_ask_fn fn, vt_print_fn print, vt_err *err) {
    vt_log *log = NULL;
    vt_engine *e = NULL;
    vt_buf answer;
    vt_status s;
    vt_buf_init(&answer, ANSWER_MAX);
    s = vt_open_quietly(o, true, &log, &e, err);
    if (s == VT_OK)
        s = fn(e, o, &answer, err);
    if (s == VT_OK)
        print(o, &answer);
    vt_buf_release(&answer);
    vt_engine_close(e);
    vt_log_close(log);
    return s;
}

/* ---- search ---------------------------------------------------------------------------------- */

/* "attributes.size=42": the value is JSON where it parses as JSON, else text. Only one of two
 * values for one key would be looked at, so the second is refused. */
static vt_status add_filter(json_t *filter, const char *text, vt_err *err) {
    const char *equals = strchr(text, '=');
    char *key;
    json_t *value;
    vt_err ignored;
    int failed;
    if (!equals || equals == text)
        return vt_fail(err, VT_E_INVALID, "--filter needs KEY=VALUE, not \"%s\"", text);
    key = vt_strndup(text, (size_t)(equals - text));
    if (!key)
        return vt_fail_nomem(err, strlen(text));
    if (json_object_get(filter, key)) {
        free(key);
        return vt_fail(err, VT_E_INVALID, "--filter %s: this is filtered by already", text);
    }
    if (vt_json_parse(equals + 1, strlen(equals + 1), &value, &ignored) != VT_OK)
        value = json_string(equals + 1);
    failed = value ? json_object_set_new(filter, key, value) : -1;
    free(key);
    return failed ? vt_fail(err, VT_E_INVALID, "--filter %s: not valid UTF-8", text) : VT_OK;
}

static vt_status add_number(json_t *object, const char *key, const char *text, const char *flag,
                            vt_err *err) {
    double v;
    if (!text)
        return VT_OK;
    if (!vt_parse_f64(text, &v))
        return vt_fail(err, VT_E_INVALID, "%s must be a number, not \"%s\"", flag, text);
    return json_object_set_new(object, key, json_real(v)) ? vt_fail_nomem(err, 64) : VT_OK;
}

static vt_status add_text(json_t *object, const char *key, const char *text, vt_err *err) {
    if (text && json_object_set_new(object, key, json_string(text)) != 0)
        return vt_fail(err, VT_E_INVALID, "%s is not valid UTF-8", key);
    return VT_OK;
}

static vt_status build_request(const vt_options *o, json_t *request, vt_err *err) {
    json_t *filter = json_object();
    uint64_t top_k;
    vt_status s = vt_options_number(o, OPT_TOP_K, INT32_MAX, &top_k, err);
    if (!filter || json_object_set_new(request, "filter", filter) != 0)
        return vt_fail_nomem(err, 64);
    if (s == VT_OK && json_object_set_new(request, "top_k", json_integer((json_int_t)top_k)) != 0)
        s = vt_fail_nomem(err, 64);
    if (s == VT_OK && o->n_words > 1)
        s = vt_fail(err, VT_E_INVALID, "one query, in quotes: vitrine search \"red shirt\"");
    if (s == VT_OK && o->n_words == 1)
        s = add_text(request, "text_query", o->words[0], err);
    if (s == VT_OK)
        s = add_text(request, "image_url", o->value[OPT_IMAGE_URL], err);
    if (s == VT_OK)
        s = add_number(request, "recall", o->value[OPT_RECALL], "--recall", err);
    if (s == VT_OK && o->value[OPT_EXPLAIN] &&
        json_object_set_new(request, "explain", json_true()) != 0)
        s = vt_fail_nomem(err, 64);
    if (s == VT_OK)
        s = add_text(filter, "category", o->value[OPT_CATEGORY], err);
    if (s == VT_OK)
        s = add_number(filter, "price_min", o->value[OPT_PRICE_MIN], "--price-min", err);
    if (s == VT_OK)
        s = add_number(filter, "price_max", o->value[OPT_PRICE_MAX], "--price-max", err);
    for (size_t i = 0; i < o->n_many && s == VT_OK; i++)
        s = add_filter(filter, o->many[i], err);
    return s;
}

static vt_status ask_search(vt_engine *e, vt_options *o, vt_buf *answer, vt_err *err) {
    json_t *request = json_object();
    vt_buf image;
    vt_status s = request ? build_request(o, request, err) : vt_fail_nomem(err, 64);
    vt_buf_init(&image, IMAGE_MAX);
    if (s == VT_OK && o->value[OPT_IMAGE])
        s = vt_file_read(o->value[OPT_IMAGE], &image, err);
    if (s == VT_OK)
        s = vt_engine_search(e, request,
                             o->value[OPT_IMAGE] ? (image.data ? image.data : "") : NULL, image.len,
                             answer, err);
    vt_buf_release(&image);
    json_decref(request);
    return s;
}

static void print_search(const vt_options *o, const vt_buf *answer) {
    if (o->value[OPT_JSON])
        puts(answer->data);
    else
        print_hits(answer);
}

vt_status vt_command_search(vt_options *o, int *code, vt_err *err) {
    return vt_ask(o, ask_search, print_search, err);
}

/* ---- get, delete, stats ------------------------------------------------------------------------
 */

static vt_status one_id(const vt_options *o, vt_err *err) {
    return o->n_words == 1 ? VT_OK : vt_fail(err, VT_E_INVALID, "one product id is needed");
}

static vt_status ask_get(vt_engine *e, vt_options *o, vt_buf *answer, vt_err *err) {
    return vt_engine_get(e, o->words[0], answer, err);
}

vt_status vt_command_get(vt_options *o, int *code, vt_err *err) {
    vt_status s = one_id(o, err);
    return s == VT_OK ? vt_ask(o, ask_get, print_answer, err) : s;
}

static vt_status ask_delete(vt_engine *e, vt_options *o, vt_buf *answer, vt_err *err) {
    vt_json w;
    vt_status s = vt_engine_delete(e, o->words[0], err);
    if (s != VT_OK)
        return s;
    vt_json_init(&w, answer);
    vt_json_open(&w, '{');
    vt_json_key(&w, "deleted");
    vt_json_str(&w, o->words[0]);
    vt_json_close(&w, '}');
    return vt_buf_status(answer, "the answer", err);
}

vt_status vt_command_delete(vt_options *o, int *code, vt_err *err) {
    vt_status s = one_id(o, err);
    return s == VT_OK ? vt_ask(o, ask_delete, print_answer, err) : s;
}

static vt_status ask_stats(vt_engine *e, vt_options *o, vt_buf *answer, vt_err *err) {
    return vt_engine_stats(e, answer, err);
}

vt_status vt_command_stats(vt_options *o, int *code, vt_err *err) {
    vt_status s = vt_refuse_words(o, "stats", err);
    return s == VT_OK ? vt_ask(o, ask_stats, print_answer, err) : s;
}

/* ---- model info, check, version
 * ------------------------------------------------------------------ */

vt_status vt_command_model(vt_options *o, int *code, vt_err *err) {
    vt_engine_options engine = {
        .model_dir = o->n_words == 2 ? o->words[1] : o->value[OPT_MODEL],
        .isa = o->value[OPT_ISA],
        .precision = o->value[OPT_PRECISION],
    };
    uint64_t threads;
    vt_buf answer;
    vt_status s = vt_options_number(o, OPT_THREADS, 1024, &threads, err);
    if (s != VT_OK)
        return s;
    if (o->n_words < 1 || o->n_words > 2 || strcmp(o->words[0], "info") != 0 || !engine.model_dir)
        return vt_fail(err, VT_E_INVALID, "usage: vitrine model info DIR");
    vt_buf_init(&answer, ANSWER_MAX);
    engine.threads = (unsigned)threads;
    s = vt_engine_model_info(&engine, &answer, err);
    if (s == VT_OK)
        print_answer(o, &answer);
    vt_buf_release(&answer);
    return s;
}

static void say_finding(void *ctx, bool problem, const char *line) {
    const vt_options *o = ctx;
    vt_buf out;
    vt_json w;
    if (!o->value[OPT_JSON]) {
        printf("%-8s %s\n", problem ? "PROBLEM" : "ok", line);
        return;
    }
    vt_buf_init(&out, 65536);
    vt_json_init(&w, &out);
    vt_json_open(&w, '{');
    vt_json_key(&w, "problem");
    vt_json_bool(&w, problem);
    vt_json_key(&w, "message");
    vt_json_str(&w, line);
    vt_json_close(&w, '}');
    puts(out.failed == VT_OK ? out.data : "{}");
    vt_buf_release(&out);
}

vt_status vt_command_check(vt_options *o, int *code, vt_err *err) {
    size_t problems = 0;
    vt_status s = vt_refuse_words(o, "check", err);
    if (s == VT_OK)
        s = vt_engine_check(o->value[OPT_DATA], say_finding, o, &problems, err);
    *code = problems > 0 ? VT_EXIT_PARTLY : 0;
    return s;
}

vt_status vt_command_version(vt_options *o, int *code, vt_err *err) {
    vt_status s = vt_refuse_words(o, "version", err);
    if (s == VT_OK)
        printf(o->value[OPT_JSON] ? "{\"version\":\"%s\"}\n" : "vitrine %s\n", VT_VERSION);
    return s;
}
