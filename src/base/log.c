/* The log: one line an event, one write(2) a line, so that lines of several threads and processes
 * never mix. Text for a person at a terminal, JSON lines for a collector. */
#include "base/base.h"

#include <errno.h>
#include <unistd.h>

struct vt_log {
    int fd;
    vt_log_level least;
    bool json;
};

static const char *const level_names[] = {"debug", "info", "warn", "error"};

vt_status vt_log_open(int fd, vt_log_level least, vt_log_format format, vt_log **out, vt_err *err) {
    *out = vt_alloc(1, sizeof **out);
    if (!*out)
        return vt_fail_nomem(err, sizeof **out);
    **out = (vt_log){.fd = fd,
                     .least = least,
                     .json = format == VT_LOG_JSON || (format == VT_LOG_AUTO && !isatty(fd))};
    return VT_OK;
}

void vt_log_close(vt_log *log) {
    free(log);
}

static void write_line(int fd, const vt_buf *line) {
    size_t done = 0;
    while (done < line->len) {
        ssize_t n = write(fd, line->data + done, line->len - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return; /* a log that cannot be written must not stop the shop */
        done += (size_t)n;
    }
}

static void write_json(const vt_log *log, vt_log_level level, const char *stage, double seconds,
                       const char *text, vt_buf *line) {
    vt_json w;
    char when[32];
    vt_json_init(&w, line);
    vt_json_open(&w, '{');
    vt_json_key(&w, "time");
    vt_json_str(&w, vt_wall_text(vt_wall_ms(), when));
    vt_json_key(&w, "level");
    vt_json_str(&w, level_names[level]);
    vt_json_key(&w, "stage");
    vt_json_str(&w, stage);
    vt_json_key(&w, "message");
    vt_json_str(&w, text);
    if (seconds >= 0) {
        vt_json_key(&w, "seconds");
        vt_json_num(&w, seconds, 4);
    }
    vt_json_close(&w, '}');
}

static void write_text(vt_log_level level, const char *stage, double seconds, const char *text,
                       vt_buf *line) {
    char when[32];
    vt_wall_text(vt_wall_ms(), when);
    vt_buf_printf(line, "%.8s  %-9s  ", when + 11, stage);
    if (level >= VT_LOG_WARN)
        vt_buf_printf(line, "%s: ", level_names[level]);
    vt_buf_puts(line, text);
    if (seconds >= 0)
        vt_buf_printf(line, "  (%.3f s)", seconds);
}

static void say(vt_log *log, vt_log_level level, const char *stage, double seconds,
                const char *text) {
    vt_buf line;
    vt_buf_init(&line, 65536);
    if (log->json)
        write_json(log, level, stage, seconds, text, &line);
    else
        write_text(level, stage, seconds, text, &line);
    vt_buf_append(&line, "\n", 1);
    write_line(log->fd, &line);
    vt_buf_release(&line);
}

static void say_args(vt_log *log, vt_log_level level, const char *stage, double seconds,
                     const char *fmt, va_list args) VT_PRINTF(5, 0);
static void say_args(vt_log *log, vt_log_level level, const char *stage, double seconds,
                     const char *fmt, va_list args) {
    char text[8192]; /* two paths and what there is to say of them */
    int n;
    if (!log || level < log->least)
        return;
    n = vsnprintf(text, sizeof text, fmt, args);
    if (n >= (int)sizeof text)
        memcpy(text + sizeof text - 4, "...", 4);
    if (n >= 0)
        say(log, level, stage, seconds, text);
}

void vt_log_say(vt_log *log, vt_log_level level, const char *stage, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    say_args(log, level, stage, -1, fmt, args);
    va_end(args);
}

void vt_log_stage(vt_log *log, const char *stage, double seconds, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    say_args(log, VT_LOG_INFO, stage, seconds, fmt, args);
    va_end(args);
}
