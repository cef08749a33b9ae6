/* The table of options and its reading: getopt_long for flags, getenv for VITRINE_*, inih for the
 * configuration file (INI: `key = value`, one a line, keys as the flags). */
#include "cli/options.h"

#include <errno.h>
#include <getopt.h>
#include <ini.h>
#include <unistd.h>

const vt_option_row vt_option_rows[OPT_COUNT] = {
    [OPT_DATA] = {"data", "DIR", "data", "data folder", SCOPE_SETTING, CMD_CATALOGUE | CMD_CHECK},
    [OPT_MODEL] = {"model", "DIR", NULL, "CLIP model folder (Hugging Face layout)", SCOPE_SETTING,
                   CMD_CATALOGUE | CMD_MODEL},
    [OPT_BIND] = {"bind", "ADDRESS", "127.0.0.1", "address to listen on", SCOPE_SETTING, CMD_SERVE},
    [OPT_PORT] = {"port", "N", "8080", "port to listen on, 0 = any free one", SCOPE_SETTING,
                  CMD_SERVE},
    [OPT_THREADS] = {"threads", "N", "0", "threads of one computation, 0 = all processors",
                     SCOPE_SETTING, CMD_CATALOGUE | CMD_MODEL},
    [OPT_WORKERS] = {"workers", "N", "0",
                     "requests worked on, or pictures fetched, at once, 0 = a fit number",
                     SCOPE_SETTING, CMD_SERVE | CMD_IMPORT},
    [OPT_ISA] = {"isa", "NAME", "auto",
                 "kernels: auto, amx, avx512_bf16, avx512, avx2, neon, scalar", SCOPE_SETTING,
                 CMD_CATALOGUE | CMD_MODEL},
    [OPT_PRECISION] = {"precision", "NAME", "auto",
                       "weights as f32, bf16 or int8; auto: bf16 where the machine multiplies it",
                       SCOPE_SETTING, CMD_CATALOGUE | CMD_MODEL},
    [OPT_FETCH_ALLOW] = {"fetch-allow", "LIST", "",
                         "hosts and networks to download from though not public, by commas",
                         SCOPE_SETTING, CMD_SERVE | CMD_IMPORT | CMD_SEARCH | CMD_EVAL},
    [OPT_CACHE_MB] = {"cache-mb", "N", "64", "answer cache in MB, 0 = none", SCOPE_SETTING,
                      CMD_SERVE},
    [OPT_CACHE_TTL] = {"cache-ttl", "SECONDS", "3600", "how long an answer is kept", SCOPE_SETTING,
                       CMD_SERVE},
    [OPT_VECTOR_CACHE_MB] = {"vector-cache-mb", "N", "16",
                             "cache of queries' vectors in MB, 0 = none", SCOPE_SETTING, CMD_SERVE},
    [OPT_LOG_LEVEL] = {"log-level", "LEVEL", "info", "debug, info, warn or error", SCOPE_SETTING,
                       CMD_CATALOGUE},
    [OPT_LOG_FORMAT] = {"log-format", "NAME", "auto", "text, json, or auto (text on a terminal)",
                        SCOPE_SETTING, CMD_CATALOGUE},
    [OPT_CONFIG] = {"config", "FILE", NULL, "configuration file (INI, keys as these flags)",
                    SCOPE_FLAG, CMD_CATALOGUE | CMD_MODEL | CMD_CHECK},
    [OPT_FORMAT] = {"format", "NAME", NULL, "jsonl or csv (default: by the file's name)",
                    SCOPE_FLAG, CMD_IMPORT},
    [OPT_IMAGE] = {"image", "FILE", NULL, "search by this picture", SCOPE_FLAG, CMD_SEARCH},
    [OPT_IMAGE_URL] = {"image-url", "URL", NULL, "search by the picture at this address",
                       SCOPE_FLAG, CMD_SEARCH},
    [OPT_TOP_K] = {"top-k", "N", "10", "how many products, 1 to 1000", SCOPE_FLAG,
                   CMD_SEARCH | CMD_EVAL},
    [OPT_RECALL] = {"recall", "SHARE", NULL,
                    "of the true best to be found, above 0, at most 1 (default: 0.98); 1 = exact",
                    SCOPE_FLAG, CMD_SEARCH},
    [OPT_EXPLAIN] = {"explain", NULL, NULL, "tell how the products were found, and what it cost",
                     SCOPE_SWITCH, CMD_SEARCH},
    [OPT_CATEGORY] = {"category", "NAME", NULL, "only products of this category", SCOPE_FLAG,
                      CMD_SEARCH | CMD_IMPORT_FAISS},
    [OPT_PRICE_MIN] = {"price-min", "N", NULL, "only products that cost at least this", SCOPE_FLAG,
                       CMD_SEARCH},
    [OPT_PRICE_MAX] = {"price-max", "N", NULL, "only products that cost at most this", SCOPE_FLAG,
                       CMD_SEARCH},
    [OPT_FILTER] = {"filter", "KEY=VALUE", NULL,
                    "attributes.NAME=VALUE; VALUE as JSON, else as text; may come again",
                    SCOPE_MANY, CMD_SEARCH},
    [OPT_QUERIES] = {"queries", "FILE", NULL, "queries and what is relevant to each, JSON lines",
                     SCOPE_FLAG, CMD_EVAL},
    [OPT_LABELS] = {"labels", "LIST", NULL, "choose among these words instead, by commas",
                    SCOPE_FLAG, CMD_CLASSIFY},
    [OPT_RELIABILITY] = {"reliability", NULL, NULL,
                         "how often answers were right, by confidence, on the catalogue itself",
                         SCOPE_SWITCH, CMD_CLASSIFY},
    [OPT_INDEX] = {"index", "FILE", NULL, "the index that FAISS wrote", SCOPE_FLAG,
                   CMD_IMPORT_FAISS},
    [OPT_IDS] = {"ids", "FILE", NULL, "product ids as JSON, FAISS's id N at place N of a list",
                 SCOPE_FLAG, CMD_IMPORT_FAISS | CMD_EXPORT_FAISS},
    [OPT_LABELS_FILE] = {"labels", "FILE", NULL, "categories as JSON, by product id or as the ids",
                         SCOPE_FLAG, CMD_IMPORT_FAISS},
    [OPT_METADATA] = {"metadata", "FILE", NULL,
                      "names, prices, attributes as JSON, by product id or as the ids", SCOPE_FLAG,
                      CMD_IMPORT_FAISS},
    [OPT_METRIC] = {"metric", "NAME", "cosine",
                    "order to keep: cosine; l2 refuses vectors of different lengths", SCOPE_FLAG,
                    CMD_IMPORT_FAISS},
    [OPT_ID_MAP] = {"id-map", NULL, NULL, "write an IndexIDMap over the IndexFlatIP", SCOPE_SWITCH,
                    CMD_EXPORT_FAISS},
    [OPT_JSON] = {"json", NULL, NULL, "answer in JSON", SCOPE_SWITCH, CMD_ALL & ~CMD_SERVE},
    [OPT_HELP] = {"help", NULL, NULL, "this text", SCOPE_SWITCH, CMD_ALL},
};

enum { GETOPT_BASE = 1000 }; /* above any character */

static void build_getopt(unsigned command, struct option out[OPT_COUNT + 1]) {
    size_t n = 0;
    for (int i = 0; i < OPT_COUNT; i++) {
        const vt_option_row *row = &vt_option_rows[i];
        if (row->commands & command)
            out[n++] = (struct option){row->name,
                                       row->scope == SCOPE_SWITCH ? no_argument : required_argument,
                                       NULL, GETOPT_BASE + i};
    }
    out[n] = (struct option){0};
}

static vt_status read_flags(int argc, char **argv, unsigned command, vt_options *o, vt_err *err) {
    struct option table[OPT_COUNT + 1];
    int c;
    build_getopt(command, table);
    opterr = 0;
    optind = 0; /* 0, not 1: glibc then forgets an earlier scan */
    while ((c = getopt_long(argc, argv, ":h", table, NULL)) != -1) {
        int which = c == 'h' ? OPT_HELP : c - GETOPT_BASE;
        if (c == ':')
            return vt_fail(err, VT_E_INVALID, "%s needs a value", argv[optind - 1]);
        if (c == '?' && optopt > 0 && optopt < GETOPT_BASE)
            return vt_fail(err, VT_E_INVALID, "vitrine %s does not know -%c (see --help)", argv[0],
                           optopt);
        if (which < 0 || which >= OPT_COUNT)
            return vt_fail(err, VT_E_INVALID, "vitrine %s does not know %s (see --help)", argv[0],
                           argv[optind - 1]);
        if (vt_option_rows[which].scope != SCOPE_MANY)
            o->value[which] = optarg ? optarg : "yes";
        else if (o->n_many < VT_MANY_MAX)
            o->many[o->n_many++] = optarg;
        else
            return vt_fail(err, VT_E_INVALID, "more than %d times --%s", VT_MANY_MAX,
                           vt_option_rows[which].name);
    }
    o->words = (const char *const *)argv + optind;
    o->n_words = (size_t)(argc - optind);
    return VT_OK;
}

/* "cache-mb" -> "VITRINE_CACHE_MB" */
static const char *from_environment(const char *name) {
    char variable[64] = "VITRINE_";
    size_t n = strlen(variable);
    for (; *name && n + 1 < sizeof variable; name++)
        variable[n++] = *name == '-' ? '_' : (char)(*name >= 'a' ? *name - 32 : *name);
    variable[n] = 0;
    return getenv(variable);
}

typedef struct ini_context {
    vt_options *o;
    const char *path;
    vt_err *err;
    vt_status status;
} ini_context;

/* inih's handler: 1 goes on, 0 notes the line. It is called again with the same key for an indented
 * line, which inih takes for the value's continuation: half a list must not pass for the whole. */
static int take_ini_line(void *ctx, const char *section, const char *key, const char *value) {
    ini_context *c = ctx;
    for (int i = 0; i < OPT_COUNT && c->status == VT_OK; i++) {
        if (vt_option_rows[i].scope != SCOPE_SETTING || strcmp(vt_option_rows[i].name, key) != 0)
            continue;
        if (c->o->file[i]) {
            c->status = vt_fail(c->err, VT_E_INVALID, "%s: %s has two lines", c->path, key);
            return 0;
        }
        c->o->file[i] = vt_strdup(value);
        if (!c->o->file[i])
            c->status = vt_fail_nomem(c->err, strlen(value));
        return c->status == VT_OK;
    }
    if (c->status == VT_OK)
        c->status = vt_fail(c->err, VT_E_INVALID, "%s: unknown setting \"%s\"", c->path, key);
    return 0;
}

static vt_status read_file(const char *path, vt_options *o, vt_err *err) {
    ini_context c = {.o = o, .path = path, .err = err, .status = VT_OK};
    FILE *f = fopen(path, "re");
    int line, why;
    if (!f)
        return vt_fail_errno(err, errno, "cannot read configuration %s", path);
    errno = 0;
    line = ini_parse_file(f, take_ini_line, &c);
    why = ferror(f) || line < 0 ? errno : 0;
    fclose(f);
    if (c.status != VT_OK)
        return c.status;
    if (why != 0)
        return vt_fail_errno(err, why, "cannot read configuration %s", path);
    if (line > 0)
        return vt_fail(err, VT_E_PARSE, "%s: line %d is not `key = value` of at most 198 bytes",
                       path, line);
    return VT_OK;
}

static void settle(vt_options *o, unsigned command) {
    for (int i = 0; i < OPT_COUNT; i++) {
        const vt_option_row *row = &vt_option_rows[i];
        if (!(row->commands & command))
            continue;
        if (!o->value[i] && row->scope == SCOPE_SETTING)
            o->value[i] = from_environment(row->name);
        if (!o->value[i] && o->file[i])
            o->value[i] = o->file[i];
        if (!o->value[i])
            o->value[i] = row->preset;
    }
}

vt_status vt_options_read(int argc, char **argv, unsigned command, vt_options *o, vt_err *err) {
    const char *config;
    vt_status s;
    *o = (vt_options){0};
    s = read_flags(argc, argv, command, o, err);
    if (s != VT_OK || o->value[OPT_HELP])
        return s;
    config = o->value[OPT_CONFIG] ? o->value[OPT_CONFIG] : from_environment("config");
    if (config && vt_option_rows[OPT_CONFIG].commands & command)
        s = read_file(config, o, err);
    settle(o, command);
    return s;
}

void vt_options_release(vt_options *o) {
    for (int i = 0; i < OPT_COUNT; i++)
        free(o->file[i]);
    free(o->list_text);
    *o = (vt_options){0};
}

vt_status vt_options_number(const vt_options *o, vt_option which, uint64_t max, uint64_t *out,
                            vt_err *err) {
    if (!vt_parse_u64(o->value[which], max, out))
        return vt_fail(err, VT_E_INVALID, "%s must be a whole number from 0 to %llu, not \"%s\"",
                       vt_option_rows[which].name, (unsigned long long)max, o->value[which]);
    return VT_OK;
}

/* "a, b" -> {"a", "b", NULL} */
static vt_status split_list(vt_options *o, const char *text, vt_err *err) {
    size_t n = 0;
    char *p = o->list_text = vt_strdup(text);
    if (!p)
        return vt_fail_nomem(err, strlen(text));
    while (*p) {
        size_t skip = strspn(p, ", \t"), len;
        p += skip;
        len = strcspn(p, ", \t");
        if (len == 0)
            break;
        if (n == sizeof o->list / sizeof o->list[0] - 1)
            return vt_fail(err, VT_E_INVALID, "fetch-allow has more than %zu entries", n);
        o->list[n++] = p;
        p += len;
        if (*p)
            *p++ = 0;
    }
    o->list[n] = NULL;
    return VT_OK;
}

vt_status vt_options_engine(vt_options *o, vt_engine_options *out, vt_err *err) {
    uint64_t threads, mb = 0, ttl = 0, vector_mb = 0;
    vt_status s;
    vt_engine_defaults(out);
    out->data_dir = o->value[OPT_DATA];
    out->model_dir = o->value[OPT_MODEL];
    out->isa = o->value[OPT_ISA];
    out->precision = o->value[OPT_PRECISION];
    if (!out->model_dir || !*out->model_dir)
        return vt_fail(err, VT_E_INVALID,
                       "no model: give --model DIR, VITRINE_MODEL or `model = DIR` in --config");
    s = vt_options_number(o, OPT_THREADS, 1024, &threads, err);
    if (s == VT_OK && o->value[OPT_CACHE_MB])
        s = vt_options_number(o, OPT_CACHE_MB, 1u << 20, &mb, err);
    if (s == VT_OK && o->value[OPT_CACHE_TTL])
        s = vt_options_number(o, OPT_CACHE_TTL, 365 * 86400, &ttl, err);
    if (s == VT_OK && o->value[OPT_VECTOR_CACHE_MB])
        s = vt_options_number(o, OPT_VECTOR_CACHE_MB, 1u << 20, &vector_mb, err);
    if (s == VT_OK && o->value[OPT_FETCH_ALLOW])
        s = split_list(o, o->value[OPT_FETCH_ALLOW], err);
    out->threads = (unsigned)threads;
    out->cache_bytes = (size_t)mb * 1000000;
    out->cache_ttl_s = (uint32_t)ttl;
    out->vector_cache_bytes = (size_t)vector_mb * 1000000;
    out->fetch_allow = o->list;
    return s;
}

/* Index of word among count words, or count. */
static size_t find_word(const char *word, const char *const *words, size_t count) {
    size_t i = 0;
    while (i < count && strcmp(word, words[i]) != 0)
        i++;
    return i;
}

vt_status vt_options_log(const vt_options *o, vt_log **out, vt_err *err) {
    static const char *const levels[] = {"debug", "info", "warn", "error"};
    static const char *const formats[] = {"auto", "text", "json"};
    size_t level = find_word(o->value[OPT_LOG_LEVEL], levels, 4);
    size_t format = find_word(o->value[OPT_LOG_FORMAT], formats, 3);
    *out = NULL;
    if (level == 4)
        return vt_fail(err, VT_E_INVALID,
                       "log-level must be debug, info, warn or error, not \"%s\"",
                       o->value[OPT_LOG_LEVEL]);
    if (format == 3)
        return vt_fail(err, VT_E_INVALID, "log-format must be auto, text or json, not \"%s\"",
                       o->value[OPT_LOG_FORMAT]);
    return vt_log_open(STDERR_FILENO, (vt_log_level)level, (vt_log_format)format, out, err);
}

void vt_options_print(unsigned command) {
    for (int i = 0; i < OPT_COUNT; i++) {
        const vt_option_row *row = &vt_option_rows[i];
        char left[40];
        if (!(row->commands & command))
            continue;
        snprintf(left, sizeof left, "--%s %s", row->name, row->arg ? row->arg : "");
        printf("  %-24s %s", left, row->help);
        if (row->preset && *row->preset)
            printf(" [%s]", row->preset);
        putchar('\n');
    }
}
