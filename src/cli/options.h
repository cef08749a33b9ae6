/* Every option of every command in one table: its flag, its VITRINE_* variable, its key in the
 * configuration file, which commands take it. Private to the room. */
#ifndef VT_CLI_OPTIONS_H
#define VT_CLI_OPTIONS_H

#include "base/base.h"
#include "engine/engine.h"

/* Commands, as bits: an option names those that take it. */
enum vt_command_bit {
    CMD_SERVE = 1,
    CMD_IMPORT = 2,
    CMD_SEARCH = 4,
    CMD_GET = 8,
    CMD_DELETE = 16,
    CMD_STATS = 32,
    CMD_MODEL = 64,
    CMD_CHECK = 128,
    CMD_VERSION = 256,
    CMD_EVAL = 512,
    CMD_CLASSIFY = 1024,
    CMD_IMPORT_FAISS = 2048,
    CMD_EXPORT_FAISS = 4096,
    CMD_CATALOGUE = CMD_SERVE | CMD_IMPORT | CMD_SEARCH | CMD_GET | CMD_DELETE | CMD_STATS |
                    CMD_EVAL | CMD_CLASSIFY | CMD_IMPORT_FAISS | CMD_EXPORT_FAISS,
    CMD_ALL = 8191,
};

typedef enum vt_option {
    OPT_DATA,
    OPT_MODEL,
    OPT_BIND,
    OPT_PORT,
    OPT_THREADS,
    OPT_WORKERS,
    OPT_ISA,
    OPT_PRECISION,
    OPT_FETCH_ALLOW,
    OPT_CACHE_MB,
    OPT_CACHE_TTL,
    OPT_VECTOR_CACHE_MB,
    OPT_LOG_LEVEL,
    OPT_LOG_FORMAT,
    OPT_CONFIG,
    OPT_FORMAT,
    OPT_IMAGE,
    OPT_IMAGE_URL,
    OPT_TOP_K,
    OPT_RECALL,
    OPT_EXPLAIN,
    OPT_CATEGORY,
    OPT_PRICE_MIN,
    OPT_PRICE_MAX,
    OPT_FILTER,
    OPT_QUERIES,
    OPT_LABELS,
    OPT_RELIABILITY,
    OPT_INDEX,
    OPT_IDS,
    OPT_LABELS_FILE,
    OPT_METADATA,
    OPT_METRIC,
    OPT_ID_MAP,
    OPT_JSON,
    OPT_HELP,
    OPT_COUNT,
} vt_option;

typedef enum vt_option_scope {
    SCOPE_SETTING, /* flag, environment, configuration file */
    SCOPE_FLAG,    /* flag only */
    SCOPE_SWITCH,  /* flag without a value */
    SCOPE_MANY,    /* flag that may come several times */
} vt_option_scope;

typedef struct vt_option_row {
    const char *name;   /* "data": --data, VITRINE_DATA, data = ... */
    const char *arg;    /* "DIR" in the help; NULL for a switch */
    const char *preset; /* value when nobody says anything; NULL: none */
    const char *help;
    vt_option_scope scope;
    unsigned commands;
} vt_option_row;

extern const vt_option_row vt_option_rows[OPT_COUNT];

#define VT_MANY_MAX 64

/* What was said: flag, else environment, else file, else preset. Strings belong to argv, the
 * environment or `file`. */
typedef struct vt_options {
    const char *value[OPT_COUNT];
    const char *many[VT_MANY_MAX]; /* OPT_FILTER's, in order */
    size_t n_many;
    const char *const *words; /* arguments that are no options */
    size_t n_words;
    char *file[OPT_COUNT]; /* values read from the configuration file */
    char *list_text;       /* fetch_allow's, cut at commas */
    const char *list[65];  /* NULL-terminated */
} vt_options;

/* argv[0] is the command's name. E_INVALID says which option and where it came from. */
vt_status vt_options_read(int argc, char **argv, unsigned command, vt_options *o,
                          vt_err *err) VT_MUST_USE;
void vt_options_release(vt_options *o);
/* The option as a number in [0, max]; E_INVALID names the flag. */
vt_status vt_options_number(const vt_options *o, vt_option which, uint64_t max, uint64_t *out,
                            vt_err *err) VT_MUST_USE;
/* Options of the engine: --model is required. */
vt_status vt_options_engine(vt_options *o, vt_engine_options *out, vt_err *err) VT_MUST_USE;
vt_status vt_options_log(const vt_options *o, vt_log **out, vt_err *err) VT_MUST_USE;
/* The options a command takes, one line each, to stdout. */
void vt_options_print(unsigned command);

#endif
