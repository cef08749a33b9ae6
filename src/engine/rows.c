/* A file's bytes, fed in pieces of any size, become records: the lines of a JSON lines file, the
 * rows of a CSV file (rows_csv.c turns each into JSON).
 *
 * Method: bytes are collected until their record ends, and only then looked at. What differs is the
 * end: a newline for JSON lines; for CSV a newline outside quotes, told by RFC 4180's own rule that
 * a quote opens a field only at the field's beginning. A stray quote inside a field (5" pipe) thus
 * spoils its own record and not the rest of the file, which is what counting quotes would do.
 * Lines are counted on the way, so every record knows the line it begins on.
 *
 * A record over max_line bytes is not stored: its bytes are dropped up to its end, it is told as an
 * error, and reading goes on. So memory is bounded by max_line whatever is fed.
 *
 * Rejected: feeding libcsv the stream (no limit on a field, no way to go on after an error), and
 * getline (wants a FILE, and a piece may come from a socket).
 *
 * Threading: one thread at a time. Invariant between calls: `record` holds the bytes since the last
 * record's end, or nothing when too_long. */
#include "engine/engine.h"

#include "engine/rows_csv.h"

static const char byte_order_mark[3] = {'\xEF', '\xBB', '\xBF'};

struct vt_rows {
    size_t max_line;
    vt_row_fn fn;
    void *ctx;
    vt_csv *csv;         /* NULL: JSON lines */
    size_t mark;         /* bytes of a byte order mark seen at the beginning; 3: done with that */
    vt_buf record;       /* with its line end */
    bool too_long;       /* the record is over max_line and dropped */
    bool quoted;         /* CSV: inside quotes */
    bool may_open;       /* CSV: a quote that comes now opens (or opens again: "" is a quote) */
    uint64_t line;       /* of the next byte, from 1 */
    uint64_t first_line; /* of the record */
    vt_err stopped;      /* why reading stopped; status OK while it goes on */
};

vt_status vt_rows_open(vt_rows_format format, size_t max_line, vt_row_fn fn, void *ctx,
                       vt_rows **out, vt_err *err) {
    size_t with_end;
    vt_status s = VT_OK;
    assert(max_line > 0 && fn);
    *out = NULL;
    vt_rows *r = vt_alloc(1, sizeof *r);
    if (!r)
        return vt_fail_nomem(err, sizeof *r);
    *r = (vt_rows){
        .max_line = max_line, .fn = fn, .ctx = ctx, .may_open = true, .line = 1, .first_line = 1};
    vt_buf_init(&r->record, vt_size_add(max_line, 2, &with_end) ? with_end : max_line);
    if (format == VT_ROWS_CSV)
        s = vt_csv_open(max_line, &r->csv, err);
    if (s == VT_OK)
        *out = r;
    else
        vt_rows_close(r);
    return s;
}

void vt_rows_close(vt_rows *r) {
    if (!r)
        return;
    vt_csv_close(r->csv);
    vt_buf_release(&r->record);
    free(r);
}

/* ---- where a record ends ---------------------------------------------------------------- */

static bool separates(const vt_rows *r, char c) {
    char separator = vt_csv_separator(r->csv);
    return separator ? c == separator : c == ',' || c == ';' || c == '\t';
}

static void track_quotes(vt_rows *r, char c) {
    if (c == '"' && (r->quoted || r->may_open)) {
        r->may_open = r->quoted; /* the one that closes opens again if another follows */
        r->quoted = !r->quoted;
    } else if (!r->quoted) {
        r->may_open = separates(r, c);
    }
}

/* How many of the bytes belong to the present record; *ends: the last of them ends it. */
static size_t record_span(vt_rows *r, const char *bytes, size_t n, bool *ends) {
    *ends = false;
    if (!r->csv) {
        const char *newline = memchr(bytes, '\n', n);
        *ends = newline != NULL;
        r->line += *ends;
        return newline ? (size_t)(newline - bytes) + 1 : n;
    }
    size_t i = 0;
    while (i < n && !*ends) {
        char c = bytes[i++];
        track_quotes(r, c);
        r->line += c == '\n';
        *ends = c == '\n' && !r->quoted;
    }
    return i;
}

/* ---- records ---------------------------------------------------------------------------- */

static bool is_blank(const char *s, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (s[i] != ' ' && s[i] != '\t' && s[i] != '\r')
            return false;
    return true;
}

static vt_status check_record(const vt_rows *r, vt_err *why) {
    if (r->too_long || r->record.len > r->max_line)
        return vt_fail(why, VT_E_TOO_LARGE, "the record is longer than %zu bytes", r->max_line);
    if (!vt_utf8_valid(r->record.data, r->record.len))
        return vt_fail(why, VT_E_PARSE, "the record is not valid UTF-8 text");
    return VT_OK;
}

/* Hands one record on. What is wrong with it is told, and only a header that cannot be used, a lack
 * of memory, and fn itself stop the reading. */
static vt_status deliver(vt_rows *r, vt_err *err) {
    const char *json = r->record.data;
    size_t n = r->record.len;
    const vt_buf *row = NULL;
    vt_err why;
    bool header = r->csv && !vt_csv_separator(r->csv);
    vt_status s = check_record(r, &why);
    if (s == VT_OK && header) {
        s = vt_csv_read_header(r->csv, json, n, &why);
        if (s == VT_OK)
            return VT_OK;
    } else if (s == VT_OK && r->csv) {
        s = vt_csv_read_row(r->csv, json, n, &row, &why);
        json = row ? row->data : NULL;
        n = row ? row->len : 0;
    }
    if (s == VT_OK)
        return r->fn(r->ctx, r->first_line, json, n, NULL, err);
    if (!header && s != VT_E_NOMEM)
        return r->fn(r->ctx, r->first_line, NULL, 0, &why, err);
    *err = why;
    return header ? vt_fail_prefix(err, "line %llu", (unsigned long long)r->first_line) : s;
}

/* The record's bytes are all here: without its line end it is delivered, and the next begins. */
static vt_status record_end(vt_rows *r, vt_err *err) {
    vt_buf *b = &r->record;
    vt_status s = VT_OK;
    if (b->failed != VT_OK)
        return vt_buf_status(b, "a record", err);
    if (b->len > 0 && b->data[b->len - 1] == '\n')
        b->data[--b->len] = '\0';
    if (b->len > 0 && b->data[b->len - 1] == '\r')
        b->data[--b->len] = '\0';
    if (r->too_long || !is_blank(b->data, b->len))
        s = deliver(r, err);
    vt_buf_clear(b);
    r->too_long = r->quoted = false;
    r->may_open = true;
    r->first_line = r->line;
    return s;
}

static void keep(vt_rows *r, const char *bytes, size_t n) {
    if (n > r->record.max - r->record.len) {
        r->too_long = true;
        vt_buf_clear(&r->record);
    }
    if (!r->too_long)
        vt_buf_append(&r->record, bytes, n);
}

static vt_status take(vt_rows *r, const char *bytes, size_t n, vt_err *err) {
    vt_status s = VT_OK;
    for (size_t done = 0; done < n && s == VT_OK;) {
        bool ends;
        size_t span = record_span(r, bytes + done, n - done, &ends);
        keep(r, bytes + done, span);
        if (ends)
            s = record_end(r, err);
        done += span;
    }
    if (s != VT_OK)
        r->stopped = *err;
    return s;
}

/* ---- feeding ---------------------------------------------------------------------------- */

/* The bytes of a byte order mark are held back until it is whole or turns out to be none (*held,
 * which are content then). Returns how many of the bytes were used. */
static size_t skip_mark(vt_rows *r, const char *bytes, size_t n, size_t *held) {
    size_t i = 0;
    *held = 0;
    while (r->mark < sizeof byte_order_mark && i < n) {
        if (bytes[i] != byte_order_mark[r->mark]) {
            *held = r->mark;
            r->mark = sizeof byte_order_mark;
            break;
        }
        r->mark++;
        i++;
    }
    return i;
}

vt_status vt_rows_feed(vt_rows *r, const char *bytes, size_t n, vt_err *err) {
    size_t held;
    if (r->stopped.status != VT_OK) {
        *err = r->stopped;
        return err->status;
    }
    size_t skipped = skip_mark(r, bytes, n, &held);
    vt_status s = take(r, byte_order_mark, held, err);
    return s == VT_OK ? take(r, bytes + skipped, n - skipped, err) : s;
}

vt_status vt_rows_finish(vt_rows *r, vt_err *err) {
    vt_status s = VT_OK;
    if (r->stopped.status != VT_OK) {
        *err = r->stopped;
        return err->status;
    }
    if (r->mark < sizeof byte_order_mark) { /* a file of its first byte or two */
        s = take(r, byte_order_mark, r->mark, err);
        r->mark = sizeof byte_order_mark;
    }
    if (s == VT_OK && (r->record.len > 0 || r->too_long || r->record.failed != VT_OK))
        s = record_end(r, err);
    if (s == VT_OK && r->csv && !vt_csv_separator(r->csv))
        s = vt_fail(err, VT_E_PARSE, "the file is empty: CSV begins with a header line");
    if (s != VT_OK)
        r->stopped = *err;
    return s;
}
