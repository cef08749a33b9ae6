/* Progress of an import: a bar that is drawn over on a terminal, plain lines in a log. The rate is
 * over the whole run; the time left follows from the bytes of the file read so far. */
#include "cli/command.h"

#include <sys/ioctl.h>
#include <unistd.h>

enum { BAR = 24 };

void vt_progress_begin(vt_progress *p, uint64_t total_bytes) {
    *p = (vt_progress){.bar = isatty(STDERR_FILENO),
                       .begun_ns = vt_now_ns(),
                       .told_ns = vt_now_ns(),
                       .total_bytes = total_bytes};
}

static void write_eta(vt_buf *line, const vt_progress *p, uint64_t bytes, double seconds) {
    double left;
    if (p->total_bytes == 0 || bytes == 0 || bytes > p->total_bytes)
        return;
    left = seconds * (double)(p->total_bytes - bytes) / (double)bytes;
    vt_buf_printf(line, ", %.0f %%, %d:%02d left", 100.0 * (double)bytes / (double)p->total_bytes,
                  (int)left / 60, (int)left % 60);
}

static void write_bar(vt_buf *line, const vt_progress *p, uint64_t bytes) {
    size_t full;
    if (p->total_bytes == 0)
        return;
    full = (size_t)(bytes >= p->total_bytes ? BAR : BAR * bytes / p->total_bytes);
    vt_buf_puts(line, "[");
    for (size_t i = 0; i < BAR; i++)
        vt_buf_puts(line, i < full ? "#" : ".");
    vt_buf_puts(line, "] ");
}

/* A bar that wraps leaves a line behind each time it is drawn: it ends at the terminal's edge. */
static void fit_to_terminal(vt_buf *line) {
    struct winsize size;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col < 2 || line->len < size.ws_col)
        return;
    line->len = size.ws_col - 1;
    line->data[line->len] = 0;
}

void vt_progress_tell(vt_progress *p, uint64_t lines, uint64_t failed, uint64_t bytes) {
    double seconds = vt_seconds_since(p->begun_ns);
    vt_buf line;
    if (vt_seconds_since(p->told_ns) < (p->bar ? 0.1 : 2.0))
        return;
    p->told_ns = vt_now_ns();
    vt_buf_init(&line, 400);
    if (p->bar)
        write_bar(&line, p, bytes);
    vt_buf_printf(&line, "%llu products, %llu failed, %.1f/s", (unsigned long long)lines,
                  (unsigned long long)failed, (double)lines / seconds);
    write_eta(&line, p, bytes, seconds);
    if (p->bar)
        fit_to_terminal(&line);
    if (line.failed == VT_OK)
        fprintf(stderr, "%s%s%s", p->bar ? "\r\x1b[K" : "", line.data, p->bar ? "" : "\n");
    fflush(stderr);
    vt_buf_release(&line);
}

void vt_progress_clear(vt_progress *p) {
    if (p->bar)
        fputs("\r\x1b[K", stderr);
}
