/* What the commands that store products tell: each line that failed (in JSON every line), the sum
 * at the end, the exit code. And when they are to stop: at a signal, and when the disk is full. */
#include "cli/command.h"

#include <signal.h>

static volatile sig_atomic_t interrupted;

static void note_signal(int signal_number) {
    interrupted = 1;
}

void vt_told_begin(vt_told *t, const char *unit, bool json, uint64_t total) {
    struct sigaction act = {.sa_handler = note_signal}; /* no SA_RESTART: a read must return */
    *t = (vt_told){.unit = unit, .json = json};
    sigaction(SIGINT, &act, NULL);
    sigaction(SIGTERM, &act, NULL);
    setvbuf(stdout, NULL, _IOLBF, 0); /* a line told is a product stored: never hold it back */
    vt_progress_begin(&t->progress, total);
}

bool vt_told_stopped(const vt_told *t) {
    return interrupted || atomic_load(&t->full);
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

static void note_full(vt_told *t, const vt_import_line *l) {
    if (l->status != VT_E_FULL || atomic_load(&t->full))
        return;
    t->why_full = *l->err;
    atomic_store(&t->full, true);
}

void vt_told_line(vt_told *t, const vt_import_line *l) {
    vt_import_count(&t->counts, l);
    note_full(t, l);
    if (t->json) {
        print_json_line(l);
    } else if (l->status != VT_OK) {
        vt_progress_clear(&t->progress);
        fprintf(stderr, "%.*s %llu%s", (int)strlen(t->unit) - 1, t->unit,
                (unsigned long long)l->line, *l->id ? ", " : "");
        vt_put_plain(stderr, l->id, 0);
        fprintf(stderr, ": %s%s%s\n", l->err->field, *l->err->field ? ": " : "", l->err->text);
    }
}

static void print_json_summary(const vt_told *t, double seconds) {
    vt_buf out;
    vt_json w;
    vt_buf_init(&out, 4096);
    vt_json_init(&w, &out);
    vt_json_open(&w, '{');
    vt_json_key(&w, "summary");
    vt_json_open(&w, '{');
    vt_import_counts_write(&t->counts, &w);
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

static void print_summary(const vt_told *t, double seconds) {
    const vt_import_counts *c = &t->counts;
    if (t->json) {
        print_json_summary(t, seconds);
        return;
    }
    printf("%llu %s: %llu created, %llu updated, %llu unchanged, %llu failed; %llu pictures "
           "encoded, %.2f s%s\n",
           (unsigned long long)c->lines, t->unit, (unsigned long long)c->created,
           (unsigned long long)c->updated, (unsigned long long)c->unchanged,
           (unsigned long long)c->failed, (unsigned long long)c->encoded, seconds,
           interrupted ? " (interrupted: run it again to go on)" : "");
}

static bool stopped(void *ctx) {
    return vt_told_stopped(ctx);
}

void vt_told_tend(vt_told *t, vt_engine *e) {
    if (!vt_told_stopped(t))
        vt_engine_tend(e, stopped, t);
}

vt_status vt_told_end(vt_told *t, vt_status s, int *code, vt_err *err) {
    vt_progress_clear(&t->progress);
    print_summary(t, vt_seconds_since(t->progress.begun_ns));
    *code = interrupted ? VT_EXIT_INTERRUPTED : t->counts.failed > 0 ? VT_EXIT_PARTLY : 0;
    if (s != VT_OK || !atomic_load(&t->full))
        return s;
    *err = t->why_full;
    return vt_fail_prefix(err, "stopped; make room and run it again");
}
