/* vitrine import FILE: reads records, feeds them to the engine's pipeline, tells what became of
 * each. Interrupted, it finishes the lines under way; run again, lines whose product is there with
 * the same picture cost no computing. */
#include "cli/command.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 28 << 20, PIECE = 1 << 16 };

typedef struct session {
    vt_import *import;
    vt_told told;
    atomic_ullong bytes, fed; /* read so far, and lines in them: the reader's, read by tell_line */
} session;

/* Bytes of the lines told: those read, less the share of the lines still under way. */
static uint64_t bytes_done(session *s) {
    double fed = (double)atomic_load(&s->fed);
    return fed > 0 ? (uint64_t)((double)atomic_load(&s->bytes) * (double)s->told.counts.lines / fed)
                   : 0;
}

/* vt_import_fn: called for one line at a time. */
static void tell_line(void *ctx, const vt_import_line *l) {
    session *s = ctx;
    vt_told_line(&s->told, l);
    vt_progress_tell(&s->told.progress, s->told.counts.lines, s->told.counts.failed, bytes_done(s));
}

/* vt_row_fn: a record that could not be read goes the same way as one that could not be stored, so
 * that the order of the report is the order of the file. */
static vt_status take_row(void *ctx, uint64_t line, const char *json, size_t n, const vt_err *why,
                          vt_err *err) {
    session *s = ctx;
    if (vt_told_stopped(&s->told)) /* the rest of a piece may be hundreds of downloads */
        return VT_OK;
    atomic_fetch_add(&s->fed, 1);
    return json ? vt_import_feed(s->import, line, json, n, err)
                : vt_import_feed_error(s->import, line, why, err);
}

static vt_status read_rows(int fd, const char *path, vt_rows *rows, session *s, vt_err *err) {
    char piece[PIECE];
    while (!vt_told_stopped(&s->told)) {
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
    session s = {0};
    vt_log *log = NULL;
    vt_engine *e = NULL;
    uint64_t size = 0;
    int fd = -1;
    vt_status status = open_input(o, &fd, &size, err);
    if (status == VT_OK)
        status = vt_open_quietly(o, false, &log, &e, err);
    if (status == VT_OK) {
        vt_told_begin(&s.told, "lines", o->value[OPT_JSON] != NULL, size);
        status = import_file(e, o, fd, &s, err);
        status = vt_told_end(&s.told, status, code, err);
        vt_told_tend(&s.told, e);
    }
    vt_engine_close(e);
    vt_log_close(log);
    if (fd >= 0)
        close(fd);
    return status;
}
