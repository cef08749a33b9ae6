/* The commands, one function each. Private to the room. */
#ifndef VT_CLI_COMMAND_H
#define VT_CLI_COMMAND_H

#include "cli/options.h"

#include <stdatomic.h>

/* Some work was done and some failed: lines of an import, findings of a check. */
#define VT_EXIT_PARTLY      1
/* Stopped by SIGINT or SIGTERM before the end. */
#define VT_EXIT_INTERRUPTED 130

/* What was asked for is on stdout, everything else on stderr. *code is the exit code when the
 * status is OK (0 unless the command sets it). */
typedef vt_status (*vt_command_fn)(vt_options *o, int *code, vt_err *err);

vt_status vt_command_serve(vt_options *o, int *code, vt_err *err);
vt_status vt_command_import(vt_options *o, int *code, vt_err *err);
vt_status vt_command_import_faiss(vt_options *o, int *code, vt_err *err);
vt_status vt_command_export_faiss(vt_options *o, int *code, vt_err *err);
vt_status vt_command_search(vt_options *o, int *code, vt_err *err);
vt_status vt_command_classify(vt_options *o, int *code, vt_err *err);
vt_status vt_command_get(vt_options *o, int *code, vt_err *err);
vt_status vt_command_delete(vt_options *o, int *code, vt_err *err);
vt_status vt_command_stats(vt_options *o, int *code, vt_err *err);
vt_status vt_command_model(vt_options *o, int *code, vt_err *err);
vt_status vt_command_check(vt_options *o, int *code, vt_err *err);
vt_status vt_command_eval(vt_options *o, int *code, vt_err *err);
vt_status vt_command_version(vt_options *o, int *code, vt_err *err);

/* Opens the engine for a command of one answer: its start-up log is told only where --log-level
 * was given. */
vt_status vt_open_quietly(vt_options *o, bool must_exist, vt_log **log, vt_engine **e,
                          vt_err *err) VT_MUST_USE;
typedef vt_status (*vt_ask_fn)(vt_engine *e, vt_options *o, vt_buf *answer, vt_err *err);
typedef void (*vt_print_fn)(const vt_options *o, const vt_buf *answer);
/* Opens the engine quietly, asks it, prints the answer. */
vt_status vt_ask(vt_options *o, vt_ask_fn fn, vt_print_fn print, vt_err *err) VT_MUST_USE;
/* A word that a command would ignore is a mistake (check FOLDER, where --data FOLDER was meant). */
vt_status vt_refuse_words(const vt_options *o, const char *command, vt_err *err) VT_MUST_USE;
/* s without what a terminal would obey (control characters become '?'), filled up to width bytes.
 */
void vt_put_plain(FILE *out, const char *s, int width);
/* A JSON answer for a person: one "path: value" a line. */
void vt_print_json(const vt_buf *answer);

/* ---- progress.c: how far an import is ---------------------------------------------------- */

typedef struct vt_progress {
    bool bar; /* stderr is a terminal */
    uint64_t begun_ns, told_ns;
    uint64_t total_bytes; /* 0: not known */
} vt_progress;

void vt_progress_begin(vt_progress *p, uint64_t total_bytes);
/* Tells at most ten times a second on a terminal, once in two seconds elsewhere. */
void vt_progress_tell(vt_progress *p, uint64_t lines, uint64_t failed, uint64_t bytes);
/* Takes the bar away, so that a line may be printed. */
void vt_progress_clear(vt_progress *p);

/* ---- told.c: what became of each line of an import ---------------------------------------- */

typedef struct vt_told {
    const char *unit; /* "lines": what is counted, its plural ending in s; static */
    bool json;
    vt_progress progress;
    vt_import_counts counts;
    atomic_bool full; /* the disk is: the lines to come would only fail one after the other */
    vt_err why_full;
} vt_told;

/* From here on SIGINT and SIGTERM ask to stop. total: as in vt_progress_begin. */
void vt_told_begin(vt_told *t, const char *unit, bool json, uint64_t total);
/* Called for one line at a time. */
void vt_told_line(vt_told *t, const vt_import_line *l);
bool vt_told_stopped(const vt_told *t);
/* Prints the sum and finds the exit code. s: how the import ended; given back, or E_FULL. */
vt_status vt_told_end(vt_told *t, vt_status s, int *code, vt_err *err) VT_MUST_USE;
/* Then: cells and a snapshot of the index where they are due, unless the import was stopped. The
 * products are stored and told whatever becomes of it. */
void vt_told_tend(vt_told *t, vt_engine *e);

#endif
