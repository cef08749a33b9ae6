/* upload: POST /api/v1/products/import. Lines in, one line of result each out, in their order.
 *
 * The body is not collected: each piece that libmicrohttpd has read is copied, the connection is
 * suspended, and a feeding thread gives the piece to vt_rows, which cuts it into lines, and these
 * to vt_import, which waits while its queue is full. Only then the connection is resumed, so a
 * client can send no faster than products are indexed, and an import of any length takes a few
 * hundred kilobytes. Feeding threads are separate from the workers, so an import that waits never
 * takes a worker from searches; there is one for each import that may run.
 *
 * Time: instead of one deadline for the body, each line has its own; time that the import itself
 * takes does not count.
 *
 * Threading: `gate` guards feeding and the suspension that belongs to it (libmicrohttpd may call
 * again for the next chunk of a chunked body while the connection is suspended, and suspending it
 * twice corrupts its lists). `lock` guards the results, told from the import's threads. */
#include "http/server.h"

struct vt_upload {
    vt_http *http;
    vt_request *request; /* NULL once the client went away */
    vt_import *import;
    vt_rows *rows;
    vt_job job;
    pthread_mutex_t gate;
    bool feeding; /* the feeding thread has the piece */
    vt_buf piece;
    uint64_t left_ns; /* of the line's time when the connection was suspended */
    vt_err failed;    /* nothing more can be fed */
    bool answered;
    pthread_mutex_t lock;
    vt_import_counts counts;
    vt_spool spool;
};

/* ---- results ------------------------------------------------------------------------------ */

static void write_result(vt_upload *u, const vt_import_line *line) {
    vt_buf text;
    vt_json w;
    vt_buf_init(&text, 8192);
    vt_json_init(&w, &text);
    vt_import_line_write(line, &w);
    vt_buf_puts(&text, "\n");
    if (vt_buf_status(&text, "a line of results", &u->spool.failed) == VT_OK)
        vt_spool_append(&u->spool, text.data, text.len);
    vt_buf_release(&text);
}

static void on_told(void *ctx, const vt_import_line *line) {
    vt_upload *u = ctx;
    pthread_mutex_lock(&u->lock);
    vt_import_count(&u->counts, line);
    write_result(u, line);
    pthread_mutex_unlock(&u->lock);
}

static vt_status on_row(void *ctx, uint64_t line, const char *json, size_t n, const vt_err *why,
                        vt_err *err) {
    vt_upload *u = ctx;
    if (json == NULL)
        return vt_import_feed_error(u->import, line, why, err);
    return vt_import_feed(u->import, line, json, n, err);
}

static void write_summary(vt_upload *u) {
    vt_buf text;
    vt_json w;
    vt_buf_init(&text, 1024);
    vt_json_init(&w, &text);
    vt_json_open(&w, '{');
    vt_json_key(&w, "summary");
    vt_json_open(&w, '{');
    vt_import_counts_write(&u->counts, &w);
    vt_json_close(&w, '}');
    vt_json_close(&w, '}');
    vt_buf_puts(&text, "\n");
    if (vt_buf_status(&text, "the summary", &u->spool.failed) == VT_OK)
        vt_spool_append(&u->spool, text.data, text.len);
    vt_buf_release(&text);
}

/* ---- opening and closing ------------------------------------------------------------------ */

static void log_cut(const vt_upload *u) {
    vt_log_say(
        u->http->log, VT_LOG_WARN, "import",
        "cut off after %llu lines, %llu of them stored: send it again, no picture is encoded "
        "twice",
        (unsigned long long)u->counts.lines,
        (unsigned long long)(u->counts.lines - u->counts.failed));
}

static void upload_close(vt_upload *u) {
    bool opened = u->import != NULL || u->answered;
    vt_rows_close(u->rows);
    vt_import_close(u->import); /* waits until what was fed has been told */
    if (opened && !u->answered)
        log_cut(u);
    vt_buf_release(&u->piece);
    vt_spool_release(&u->spool);
    pthread_mutex_destroy(&u->lock);
    pthread_mutex_destroy(&u->gate);
    atomic_fetch_sub(&u->http->uploads, 1);
    free(u);
}

static vt_status choose_format(const vt_request *r, vt_rows_format *format, vt_err *err) {
    static const char *const json_lines[] = {"application/x-ndjson", "application/ndjson",
                                             "application/jsonl", "application/x-jsonlines"};
    const char *type = MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, "Content-Type");
    const char *coding =
        MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, "Content-Encoding");
    if (coding != NULL && strcasecmp(coding, "identity") != 0)
        return vt_fail(err, VT_E_UNSUPPORTED,
                       "Content-Encoding is not understood here: send the lines as they are");
    *format = VT_ROWS_JSONL;
    for (size_t i = 0; type != NULL && i < sizeof json_lines / sizeof json_lines[0]; i++)
        if (vt_media_is(type, json_lines[i]))
            return VT_OK;
    *format = VT_ROWS_CSV;
    if (type != NULL && vt_media_is(type, "text/csv"))
        return VT_OK;
    return vt_fail(err, VT_E_UNSUPPORTED,
                   "Content-Type must be application/x-ndjson (a product a line) or text/csv");
}

static vt_upload *upload_new(vt_request *r) {
    vt_upload *u = vt_alloc(1, sizeof *u);
    if (u == NULL)
        return NULL;
    u->http = r->http;
    u->request = r;
    u->job.owner = u;
    vt_spool_init(&u->spool);
    vt_buf_init(&u->piece, r->http->o.max_body);
    pthread_mutex_init(&u->gate, NULL);
    pthread_mutex_init(&u->lock, NULL);
    return u;
}

vt_status vt_upload_open(vt_request *r, vt_engine *e, vt_upload **out, vt_err *err) {
    vt_rows_format format = VT_ROWS_JSONL;
    *out = NULL;
    vt_status status = choose_format(r, &format, err);
    if (status != VT_OK)
        return status;
    if (atomic_fetch_add(&r->http->uploads, 1) >= VT_UPLOADS_MAX) {
        atomic_fetch_sub(&r->http->uploads, 1);
        return vt_fail(err, VT_E_BUSY, "%d imports are running already", VT_UPLOADS_MAX);
    }
    vt_upload *u = upload_new(r);
    if (u == NULL) {
        atomic_fetch_sub(&r->http->uploads, 1);
        return vt_fail_nomem(err, sizeof *u);
    }
    vt_import_options options = {.fn = on_told, .ctx = u};
    status = vt_rows_open(format, r->http->o.max_body, on_row, u, &u->rows, err);
    if (status == VT_OK)
        status = vt_import_open(e, &options, &u->import, err);
    if (status != VT_OK)
        upload_close(u);
    else
        *out = u;
    return status;
}

/* ---- feeding ------------------------------------------------------------------------------ */

static void hand_back(vt_upload *u) {
    pthread_mutex_lock(&u->gate);
    u->feeding = false;
    if (memchr(u->piece.data, '\n', u->piece.len) != NULL)
        vt_conn_expire(u->request->conn, u->http->o.body_seconds);
    else
        vt_conn_continue(u->request->conn, u->left_ns);
    MHD_resume_connection(u->request->connection);
    pthread_mutex_unlock(&u->gate);
}

static void feed(void *owner) {
    vt_upload *u = owner;
    if (u->failed.status == VT_OK)
        (void)!vt_rows_feed(u->rows, u->piece.data, u->piece.len, &u->failed);
    hand_back(u);
}

static void drop_piece(void *owner) {
    vt_upload *u = owner;
    (void)vt_fail(&u->failed, VT_E_BUSY, "the server is stopping");
    hand_back(u);
}

void vt_upload_take(vt_upload *u, const char *bytes, size_t *size) {
    pthread_mutex_lock(&u->gate);
    if (u->feeding)
        goto done;
    vt_buf_clear(&u->piece);
    vt_buf_append(&u->piece, bytes, *size);
    if (u->failed.status == VT_OK)
        (void)!vt_buf_status(&u->piece, "the body", &u->failed);
    *size = 0;
    if (u->failed.status != VT_OK)
        goto done; /* the rest is read and thrown away, within the deadline */
    u->feeding = true;
    u->job.run = feed;
    u->job.drop = drop_piece;
    u->left_ns = vt_conn_hold(u->request->conn);
    MHD_suspend_connection(u->request->connection);
    if (!vt_jobs_submit(u->http->feeders, &u->job)) {
        (void)vt_fail(&u->failed, VT_E_BUSY, "the server is stopping");
        u->feeding = false;
        MHD_resume_connection(u->request->connection);
    }
done:
    pthread_mutex_unlock(&u->gate);
}

/* ---- the end ------------------------------------------------------------------------------ */

static void answer_results(vt_upload *u) {
    vt_request *r = u->request;
    vt_err err = u->failed;
    if (err.status == VT_OK)
        (void)!vt_rows_finish(u->rows, &err);
    vt_import_close(u->import);
    u->import = NULL;
    u->answered = true;
    if (err.status == VT_OK) {
        write_summary(u);
        (void)!vt_spool_finish(&u->spool, &r->answer, &err);
    }
    if (err.status == VT_OK) {
        r->answer.http = MHD_HTTP_OK;
        r->answer.content_type = "application/x-ndjson";
    } else {
        (void)vt_fail_prefix(&err, "after %llu lines", (unsigned long long)u->counts.lines);
        vt_request_fail(r, &err);
    }
}

static void finish(void *owner) {
    vt_upload *u = owner;
    answer_results(u);
    vt_request_resume(u->request);
}

static void drop_finish(void *owner) {
    vt_upload *u = owner;
    (void)vt_fail(&u->failed, VT_E_BUSY, "the server is stopping");
    finish(u);
}

void vt_upload_finish(vt_upload *u) {
    u->job.run = finish;
    u->job.drop = drop_finish;
    MHD_suspend_connection(u->request->connection);
    if (!vt_jobs_submit(u->http->feeders, &u->job))
        drop_finish(u);
}

static void close_behind(void *owner) {
    upload_close(owner);
}

void vt_upload_abandon(vt_upload *u) {
    pthread_mutex_lock(&u->gate); /* the feeding thread may still be leaving it */
    u->request = NULL;
    pthread_mutex_unlock(&u->gate);
    u->job.run = close_behind;
    u->job.drop = close_behind;
    /* Not here if it can be helped: closing waits for the products that were fed. */
    if (u->import == NULL || !vt_jobs_submit(u->http->feeders, &u->job))
        upload_close(u);
}
