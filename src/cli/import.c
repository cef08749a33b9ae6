/* vitrine import FILE: reads records, feeds them to the engine's pipeline, tells what became of
 * each. Interrupted, it finishes the lines under way; run again, lines whose product is there with
 * the same picture cost no computing. */
#include "cli/command.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 28 << 20, PIECE = 1 << 16 };

static volatile sig_atomic_t interrupted;

static void note_signal(int signal_number) {
    interrupted = 1;
}

typedef struct session {
    vt_import *import;
    vt_progress progress;
    bool json;
    atomic_ullong bytes, fed; /* read so far, and lines in them: the reader's, read by tell_line */
    vt_import_counts counts;
    atomic_bool full; /* the disk is: the lines to come would only fail one after the other */
    vt_err why_full;
} session;

static bool stopped(session *s) {
    return interrupted || atomic_load(&s->full);
}

static void print_json_line(const vt_import_line *l) {
    vt_buf out;
    vt_json w;
    vt_buf_init(&out, 4096);
    vt_json_init(&w, &out);
    vt_import_line_write(l, &w);
    if (out.failed == VT_OK)
        puts(out.data);
    vt_buf_release(&out);
}

static void note_full(session *s, const vt_import_line *l) {
    if (l->status != VT_E_FULL || atomic_load(&s->full))
        return;
    s->why_full = *l->err;
    atomic_store(&s->full, true);
}

/* Bytes of the lines told: those read, less the share of the lines still under way. */
static uint64_t bytes_done(session *s) {
    double fed = (double)atomic_load(&s->fed);
    return fed > 0 ? (uint64_t)((double)atomic_load(&s->bytes) * (double)s->counts.lines / fed) : 0;
}

/* vt_import_fn: called for one line at a time. */
static void tell_line(void *ctx, const vt_import_line *l) {
    session *s = ctx;
    vt_import_count(&s->counts, l);
    note_full(s, l);
    if (s->json) {
        print_json_line(l);
    } else if (l->status != VT_OK) {
        vt_progress_clear(&s->progress);
        fprintf(stderr, "line %llu%s", (unsigned long long)l->line, *l->id ? ", " : "");
        vt_put_plain(stderr, l->id, 0);
        fprintf(stderr, ": %s%s%s\n", l->err->field, *l->err->field ? ": " : "", l->err->text);
    }
    vt_progress_tell(&s->progress, s->counts.lines, s->counts.failed, bytes_done(s));
}

/* vt_row_fn: a record that could not be read goes the same way as one that could not be stored, so
 * that the order of the report is the order of the file. */
static vt_status take_row(void *ctx, uint64_t line, const char *json, size_t n, const vt_err *why,
                          vt_err *err) {
    session *s = ctx;
    if (stopped(s)) /* the rest of a piece may be hundreds of downloads */
        return VT_OK;
    atomic_fetch_add(&s->fed, 1);
    return json ? vt_import_feed(s->import, line, json, n, err)
                : vt_import_feed_error(s->import, line, why, err);
}

static vt_status read_rows(int fd, const char *path, vt_rows *rows, session *s, vt_err *err) {
    char piece[PIECE];
    while (!stopped(s)) {
        ssize_t n = read(fd, piece, sizeof piece);
        vt_status status;
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return vt_fail_errno(err, errno, "cannot read %s", path);
        if (n == 0)
            return vt_rows_finish(rows, err);
        atomic_fetch_add(&s->bytes, (unsigned long long)n);
        status = vt_rows_feed(rows, piece, (size_t)n, err);
        if (status != VT_OK)
            return status;
    }
    return VT_OK;
}

static vt_status choose_format(const vt_options *o, const char *path, vt_rows_format *out,
                               vt_err *err) {
    const char *name = o->value[OPT_FORMAT];
    size_t n = strlen(path);
    if (!name)
        name = n > 4 && (strcasecmp(path + n - 4, ".csv") == 0 ||
                         strcasecmp(path + n - 4, ".tsv") == 0)
                   ? "csv"
                   : "jsonl";
    *out = strcmp(name, "csv") == 0 ? VT_ROWS_CSV : VT_ROWS_JSONL;
    if (strcmp(name, "csv") != 0 && strcmp(name, "jsonl") != 0)
        return vt_fail(err, VT_E_INVALID, "format must be jsonl or csv, not \"%s\"", name);
    return VT_OK;
}

static void print_json_summary(const session *s, double seconds) {
    vt_buf out;
    vt_json w;
    vt_buf_init(&out, 4096);
    vt_json_init(&w, &out);
    vt_json_open(&w, '{');
    vt_json_key(&w, "summary");
    vt_json_open(&w, '{');
    vt_import_counts_write(&s->counts, &w);
    vt_json_key(&w, "seconds");
    vt_json_num(&w, seconds, 6);
    vt_json_key(&w, "interrupted");
    vt_json_bool(&w, interrupted);
    vt_json_close(&w, '}');
    vt_json_close(&w, '}');
    if (out.failed == VT_OK)
        puts(out.data);
    vt_buf_release(&out);
}

static void print_summary(const session *s, double seconds) {
    const vt_import_counts *c = &s->counts;
    if (s->json) {
        print_json_summary(s, seconds);
        return;
    }
    printf("%llu lines: %llu created, %llu updated, %llu unchanged, %llu failed; %llu pictures "
           "encoded, %.2f s%s\n",
           (unsigned long long)c->lines, (unsigned long long)c->created,
           (unsigned long long)c->updated, (unsigned long long)c->unchanged,
           (unsigned long long)c->failed, (unsigned long long)c->encoded, seconds,
           interrupted ? " (interrupted: run it again to go on)" : "");
}

static vt_status import_file(vt_engine *e, const vt_options *o, int fd, session *s, vt_err *err) {
    const char *path = o->words[0];
    char *dir = vt_path_dir(path);
    vt_rows *rows = NULL;
    vt_rows_format format = VT_ROWS_JSONL;
    uint64_t workers = 0;
    vt_status status = dir ? choose_format(o, path, &format, err) : vt_fail_nomem(err, 1);
    if (status == VT_OK)
        status = vt_options_number(o, OPT_WORKERS, 256, &workers, err);
    if (status == VT_OK)
        status = vt_rows_open(format, LINE_MAX_BYTES, take_row, s, &rows, err);
    if (status == VT_OK) {
        vt_import_options io = {
            .image_dir = dir, .workers = (unsigned)workers, .fn = tell_line, .ctx = s};
        status = vt_import_open(e, &io, &s->import, err);
    }
    if (status == VT_OK)
        status = read_rows(fd, path, rows, s, err);
    vt_import_close(s->import);
    vt_rows_close(rows);
    free(dir);
    return status;
}

static vt_status open_input(const vt_options *o, int *fd, uint64_t *size, vt_err *err) {
    struct stat st;
    if (o->n_words != 1)
        return vt_fail(err, VT_E_INVALID, "usage: vitrine import FILE (- for standard input)");
    *fd =
        strcmp(o->words[0], "-") == 0 ? dup(STDIN_FILENO) : open(o->words[0], O_RDONLY | O_CLOEXEC);
    if (*fd < 0)
        return vt_fail_errno(err, errno, "cannot open %s", o->words[0]);
    if (fstat(*fd, &st) == 0 && S_ISDIR(st.st_mode))
        return vt_fail(err, VT_E_INVALID, "cannot import %s: it is a folder", o->words[0]);
    *size = fstat(*fd, &st) == 0 && S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
    return VT_OK;
}

vt_status vt_command_import(vt_options *o, int *code, vt_err *err) {
    struct sigaction act = {.sa_handler = note_signal}; /* no SA_RESTART: a read must return */
    session s = {.json = o->value[OPT_JSON] != NULL};
    vt_log *log = NULL;
    vt_engine *e = NULL;
    uint64_t size = 0;
    int fd = -1;
    vt_status status = open_input(o, &fd, &size, err);
    if (status == VT_OK)
        status = vt_open_quietly(o, false, &log, &e, err);
    if (status == VT_OK) {
        sigaction(SIGINT, &act, NULL);
        sigaction(SIGTERM, &act, NULL);
        setvbuf(stdout, NULL, _IOLBF, 0); /* a line told is a product stored: never hold it back */
        vt_progress_begin(&s.progress, size);
        status = import_file(e, o, fd, &s, err);
        vt_progress_clear(&s.progress);
        print_summary(&s, vt_seconds_since(s.progress.begun_ns));
        if (status == VT_OK && atomic_load(&s.full)) {
            *err = s.why_full;
            status = vt_fail_prefix(err, "stopped; make room and run it again");
        }
    }
    *code = interrupted ? VT_EXIT_INTERRUPTED : s.counts.failed > 0 ? VT_EXIT_PARTLY : 0;
    vt_engine_close(e);
    vt_log_close(log);
    if (fd >= 0)
        close(fd);
    return status;
}
