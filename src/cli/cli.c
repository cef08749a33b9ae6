/* The table of commands, their help, and the exit code. */
#include "cli/cli.h"
#include "cli/command.h"

#include <fcntl.h>
#include <unistd.h>

typedef struct command {
    const char *name;
    unsigned bit;
    vt_command_fn fn;
    const char *usage, *summary, *more;
} command;

static const command commands[] = {
    {"serve", CMD_SERVE, vt_command_serve, "serve", "answer searches over HTTP", ""},
    {"import", CMD_IMPORT, vt_command_import, "import FILE",
     "put products from a JSON lines or CSV file into the catalogue",
     "Each line is a product: id, name, description, image or image_url, category, price,\n"
     "attributes. image is a path relative to the file, or a URL. CSV needs a header line;\n"
     "columns attributes.NAME become attributes. FILE - reads standard input.\n"
     "Interrupt it and run it again: nothing is lost and no picture is encoded twice.\n"},
    {"import-faiss", CMD_IMPORT_FAISS, vt_command_import_faiss, "import-faiss",
     "put the vectors of a FAISS index into the catalogue",
     "Needs --index (IndexFlat, IVFFlat, HNSWFlat, or an IDMap over one) and --ids. No vector is\n"
     "computed: they must come from the model that --model names, of which only the dimension can\n"
     "be checked. --ids may also be an object from FAISS's ids to products'. What --metadata "
     "tells\n"
     "beyond name, description, image_url, category, price and attributes becomes attributes.\n"
     "With --category, the index holds the ids with this label, in the order of --ids.\n"},
    {"export-faiss", CMD_EXPORT_FAISS, vt_command_export_faiss, "export-faiss FILE",
     "write the catalogue's vectors as a FAISS index",
     "An IndexFlatIP of unit vectors in order of product id; with --ids also the list of ids.\n"},
    {"search", CMD_SEARCH, vt_command_search, "search [TEXT]",
     "find products by words or a picture", "Without TEXT, give --image or --image-url.\n"},
    {"classify", CMD_CLASSIFY, vt_command_classify, "classify [IMAGE]",
     "say which category a picture belongs to",
     "Among the categories of the catalogue in --data; with --labels among those words, and then\n"
     "no catalogue is needed. --reliability needs no IMAGE.\n"},
    {"get", CMD_GET, vt_command_get, "get ID", "show one product", ""},
    {"delete", CMD_DELETE, vt_command_delete, "delete ID", "remove one product", ""},
    {"stats", CMD_STATS, vt_command_stats, "stats", "counts, sizes, model", ""},
    {"model", CMD_MODEL, vt_command_model, "model info [DIR]", "what a model folder holds", ""},
    {"check", CMD_CHECK, vt_command_check, "check", "verify a data folder",
     "Nobody may have the folder open. Exit code 1 tells that something was found.\n"},
    {"eval", CMD_EVAL, vt_command_eval, "eval --queries FILE", "measure how good the answers are",
     "Each line of FILE is a query: query (words) or image (a path relative to the file, or a\n"
     "URL), and relevant: an array of ids or a filter object; if wanted, filter as in a search,\n"
     "exclude (an array of ids) and group (a name). Prints precision, recall, MRR and nDCG with\n"
     "95 % intervals. Exit code 1 tells that lines could not be asked.\n"},
    {"version", CMD_VERSION, vt_command_version, "version", "print the version", ""},
};

enum { N_COMMANDS = sizeof commands / sizeof commands[0] };

static const command *find_command(const char *name) {
    for (int i = 0; i < N_COMMANDS; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static void print_usage(FILE *out) {
    fputs("vitrine: product search by words and pictures\n\nusage: vitrine COMMAND [options]\n\n",
          out);
    for (int i = 0; i < N_COMMANDS; i++)
        fprintf(out, "  %-20s %s\n", commands[i].usage, commands[i].summary);
    fputs(
        "\nvitrine COMMAND --help tells its options. Those from --data to --log-format may also\n"
        "be given as environment variables (--cache-mb: VITRINE_CACHE_MB) or as lines of the file\n"
        "named by --config (cache-mb = 64); a flag goes before the environment, the environment\n"
        "before the file.\n\n"
        "exit codes: 0 done; 1 done in part (lines failed, check found something); 2 wrong usage\n"
        "or input; 3 not found; 4 a download failed or was refused; 5 model unusable or not the\n"
        "catalogue's; 6 storage locked, full, busy or failing; 7 data corrupt; 8 out of memory or\n"
        "internal error; 130 interrupted\n",
        out);
}

static void print_help(const command *c) {
    printf("usage: vitrine %s [options]\n\n%s\n%s%s\noptions [preset]:\n", c->usage, c->summary,
           *c->more ? "\n" : "", c->more);
    vt_options_print(c->bit);
}

/* One line on stderr, in JSON where the command was asked for JSON. */
static void print_error(const vt_options *o, const vt_err *err) {
    vt_buf out;
    vt_json w;
    if (!o->value[OPT_JSON]) {
        fprintf(stderr, "vitrine: %s%s%s\n", err->field, *err->field ? ": " : "", err->text);
        return;
    }
    vt_buf_init(&out, 4096);
    vt_json_init(&w, &out);
    vt_json_open(&w, '{');
    vt_json_key(&w, "code");
    vt_json_str(&w, vt_status_code(err->status));
    vt_json_key(&w, "pointer");
    vt_json_str(&w, err->field);
    vt_json_key(&w, "detail");
    vt_json_str(&w, err->text);
    vt_json_close(&w, '}');
    if (out.failed == VT_OK)
        fprintf(stderr, "%s\n", out.data);
    vt_buf_release(&out);
}

static int run(const command *c, int argc, char **argv) {
    vt_options o;
    vt_err err;
    int code = 0;
    vt_status s = vt_options_read(argc, argv, c->bit, &o, &err);
    if (s == VT_OK && o.value[OPT_HELP])
        print_help(c);
    else if (s == VT_OK)
        s = c->fn(&o, &code, &err);
    if (s != VT_OK) {
        print_error(&o, &err);
        code = vt_status_exit(s);
    }
    vt_options_release(&o);
    return code;
}

/* A descriptor 0, 1 or 2 that our parent closed would be the number of the next file or socket we
 * open, and answers and log lines would be written into that. The stand-in cannot be used either
 * way round, so that reading or writing still fails. */
static bool hold_standard_descriptors(void) {
    for (int fd = 0; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY) != fd)
            return false;
    return true;
}

static int dispatch(int argc, char **argv) {
    const command *c = argc > 1 ? find_command(argv[1]) : NULL;
    if (c)
        return run(c, argc - 1, argv + 1);
    if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0)) {
        print_usage(stdout);
        return 0;
    }
    if (argc > 1 && strcmp(argv[1], "--version") == 0) {
        printf("vitrine %s\n", VT_VERSION);
        return 0;
    }
    if (argc > 1)
        fprintf(stderr, "vitrine: unknown command \"%s\"\n\n", argv[1]);
    print_usage(stderr);
    return vt_status_exit(VT_E_INVALID);
}

int vt_cli_main(int argc, char **argv) {
    int code = hold_standard_descriptors() ? dispatch(argc, argv) : vt_status_exit(VT_E_IO);
    /* A full disk behind > must not look like success. ferror: what an earlier flush could not
     * write is gone from the buffer. */
    if ((fflush(stdout) != 0 || ferror(stdout)) && code == 0) {
        fputs("vitrine: cannot write to standard output\n", stderr);
        code = vt_status_exit(VT_E_IO);
    }
    return code;
}
