/* spool: the result lines of an import, kept until they can be sent.
 *
 * libmicrohttpd sends nothing before it has read the whole body, and an import of a million lines
 * has 60 MB of results. So up to 64 KiB stay in memory, and beyond that they go to a temporary file
 * without a name ($TMPDIR, else /tmp), from which the daemon sends with sendfile(2). Streaming the
 * results while reading was rejected with the library; asking clients to poll a job was rejected
 * because it needs a second request and a place to keep finished jobs.
 *
 * Threading: with its owner. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "http/server.h"

#define BUFFER_BYTES ((size_t)64 << 10)

void vt_spool_init(vt_spool *s) {
    *s = (vt_spool){.file = -1};
    vt_buf_init(&s->buffer, 2 * BUFFER_BYTES);
}

void vt_spool_release(vt_spool *s) {
    vt_buf_release(&s->buffer);
    if (s->file >= 0)
        close(s->file);
    s->file = -1;
}

/* mkostemp and unlink rather than O_TMPFILE, which overlayfs has only learnt in 2022. */
static vt_status open_file(vt_spool *s, vt_err *err) {
    const char *dir = getenv("TMPDIR");
    char *path = vt_path_join(dir == NULL || dir[0] == '\0' ? "/tmp" : dir, "vitrine-XXXXXX");
    if (path == NULL)
        return vt_fail_nomem(err, 1);
    vt_status status = VT_OK;
    s->file = mkostemp(path, O_CLOEXEC);
    if (s->file < 0) {
        status = vt_fail_errno(err, errno, "cannot keep the results of an import in %s", path);
        if (status == VT_E_NOT_FOUND) /* a folder of ours, not what the client asked for */
            status = err->status = VT_E_IO;
    } else {
        (void)unlink(path);
    }
    free(path);
    return status;
}

static vt_status flush(vt_spool *s, vt_err *err) {
    if (s->file < 0 && open_file(s, err) != VT_OK)
        return err->status;
    size_t done = 0;
    while (done < s->buffer.len) {
        ssize_t n = write(s->file, s->buffer.data + done, s->buffer.len - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return vt_fail_errno(err, errno, "cannot keep the results of an import");
        done += (size_t)n;
    }
    s->file_bytes += done;
    vt_buf_clear(&s->buffer);
    return VT_OK;
}

void vt_spool_append(vt_spool *s, const char *bytes, size_t n) {
    if (s->failed.status != VT_OK)
        return;
    if (s->buffer.len + n > BUFFER_BYTES && s->buffer.len > 0 && flush(s, &s->failed) != VT_OK)
        return;
    vt_buf_append(&s->buffer, bytes, n);
    (void)!vt_buf_status(&s->buffer, "a line of results", &s->failed);
}

vt_status vt_spool_finish(vt_spool *s, vt_reply *a, vt_err *err) {
    if (s->failed.status == VT_OK && s->file >= 0)
        (void)!flush(s, &s->failed);
    if (s->failed.status != VT_OK) {
        *err = s->failed;
        return err->status;
    }
    if (s->file < 0) {
        vt_buf_append(&a->body, s->buffer.data, s->buffer.len);
    } else {
        a->file = s->file;
        a->file_bytes = s->file_bytes;
        s->file = -1;
    }
    return VT_OK;
}
