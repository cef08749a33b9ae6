/* base: what every room stands on. Status and error text, checked sizes, a bounded growable
 * buffer, JSON (jansson to read, an append writer to write), files, log, clock, hash, base64,
 * numbers, and a pool of threads for parallel loops. Nothing here knows about products.
 *
 * Conventions of the whole house: what can fail returns vt_status and takes `vt_err *err` last
 * (never NULL); on failure *err holds one line of text for a person and out-parameters are left
 * NULL/zero. Handles are opened with _open and closed with _close (NULL is allowed); values are
 * prepared with _init and emptied with _release. */
#ifndef VT_BASE_H
#define VT_BASE_H

#include <assert.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/banned.h"

#define VT_MUST_USE     __attribute__((warn_unused_result))
#define VT_PRINTF(f, a) __attribute__((format(printf, f, a)))

/* ---- status and error ------------------------------------------------------------------- */

/* One table for the whole program: name, value, `code` of a problem+json answer, HTTP status,
 * exit code of the command line. */
#define VT_STATUS_MAP(X)                                                                           \
    X(OK, 0, "ok", 200, 0)                                                                         \
    X(E_INVALID, -1, "invalid_request", 400, 2) /* a field is missing, ill-typed, in excess */     \
    X(E_PARSE, -2, "bad_syntax", 400, 2)        /* not JSON, not CSV, not TOML... */               \
    X(E_NOT_FOUND, -3, "not_found", 404, 3)                                                        \
    X(E_TOO_LARGE, -4, "too_large", 413, 2)           /* a limit on bytes, pixels or counts */     \
    X(E_UNSUPPORTED, -5, "unsupported_media", 415, 2) /* a format we do not read */                \
    X(E_IMAGE, -6, "bad_image", 422, 2)               /* the right format, but broken inside */    \
    X(E_REFUSED, -7, "address_refused", 403, 4)       /* the address guard said no */              \
    X(E_UPSTREAM, -8, "fetch_failed", 502, 4)         /* another server failed or is dead */       \
    X(E_TIMEOUT, -9, "timeout", 504, 4)                                                            \
    X(E_MODEL, -10, "bad_model", 500, 5)         /* a model folder that cannot be used */          \
    X(E_MISMATCH, -11, "model_mismatch", 409, 5) /* data of another model, another schema */       \
    X(E_LOCKED, -12, "locked", 503, 6)           /* another process has the data folder */         \
    X(E_BUSY, -13, "busy", 503, 6)               /* a queue is full, or we are stopping */         \
    X(E_FULL, -14, "storage_full", 507, 6)       /* no space left on the device */                 \
    X(E_IO, -15, "io_error", 500, 6)                                                               \
    X(E_CORRUPT, -16, "corrupt", 500, 7) /* our own files fail their checks */                     \
    X(E_NOMEM, -17, "out_of_memory", 503, 8)                                                       \
    X(E_INTERNAL, -18, "internal", 500, 8)

typedef enum vt_status {
#define VT_STATUS_ENUM(name, value, code, http, exit) VT_##name = (value),
    VT_STATUS_MAP(VT_STATUS_ENUM)
#undef VT_STATUS_ENUM
} vt_status;

const char *vt_status_code(vt_status s); /* "invalid_request"; never NULL */
int vt_status_http(vt_status s);         /* 400 */
int vt_status_exit(vt_status s);         /* 2 */

#define VT_ERR_TEXT_MAX  512
#define VT_ERR_FIELD_MAX 320

/* One failure. Text that does not fit ends in "...". `field` is an RFC 6901 JSON pointer into
 * what the caller sent ("/price", "" = the whole), and is only set by vt_fail_field. */
typedef struct vt_err {
    vt_status status;
    char field[VT_ERR_FIELD_MAX];
    char text[VT_ERR_TEXT_MAX];
} vt_err;

/* Fills *err and returns `s`, so that a failure is one line: return vt_fail(err, VT_E_IO, "...").
 */
vt_status vt_fail(vt_err *err, vt_status s, const char *fmt, ...) VT_PRINTF(3, 4);
vt_status vt_fail_field(vt_err *err, vt_status s, const char *field, const char *fmt, ...)
    VT_PRINTF(4, 5);
/* Appends ": <strerror>" and maps ENOSPC/EDQUOT to E_FULL, ENOMEM to E_NOMEM, ENOENT to
 * E_NOT_FOUND, else E_IO. */
vt_status vt_fail_errno(vt_err *err, int errnum, const char *fmt, ...) VT_PRINTF(3, 4);
vt_status vt_fail_nomem(vt_err *err, size_t bytes);
/* Puts "<prefix>: " before the text already there and returns err->status. */
vt_status vt_fail_prefix(vt_err *err, const char *fmt, ...) VT_PRINTF(2, 3);

/* ---- sizes and memory ------------------------------------------------------------------- */

/* false on overflow, *out untouched. */
bool vt_size_mul(size_t a, size_t b, size_t *out) VT_MUST_USE;
bool vt_size_add(size_t a, size_t b, size_t *out) VT_MUST_USE;
/* NULL on overflow or when there is no memory. Zero bytes give a valid pointer. */
void *vt_alloc(size_t count, size_t size) VT_MUST_USE;         /* zeroed */
void *vt_alloc_aligned(size_t count, size_t size) VT_MUST_USE; /* 64-byte aligned, not zeroed */
/* Grows *array to at least `need` elements (doubling); the array is untouched on failure. */
vt_status vt_array_grow(void *array_ptr, size_t *cap, size_t need, size_t size,
                        vt_err *err) VT_MUST_USE;
char *vt_strdup(const char *s) VT_MUST_USE;
char *vt_strndup(const char *s, size_t n) VT_MUST_USE;

/* ---- buffer ----------------------------------------------------------------------------- */

/* Bytes that grow up to `max`. data is NUL-terminated after every append (the NUL is not counted
 * in len). Failure is sticky: after the first failed append all others do nothing, and
 * vt_buf_status tells E_TOO_LARGE or E_NOMEM; so a writer appends freely and asks once. */
typedef struct vt_buf {
    char *data;
    size_t len, cap, max;
    vt_status failed;
} vt_buf;

void vt_buf_init(vt_buf *b, size_t max);
void vt_buf_release(vt_buf *b);
void vt_buf_clear(vt_buf *b); /* len = 0, failure forgotten, memory kept */
void vt_buf_append(vt_buf *b, const void *bytes, size_t n);
void vt_buf_puts(vt_buf *b, const char *s);
void vt_buf_printf(vt_buf *b, const char *fmt, ...) VT_PRINTF(2, 3);
vt_status vt_buf_status(const vt_buf *b, const char *what, vt_err *err) VT_MUST_USE;

/* ---- JSON ------------------------------------------------------------------------------- */

/* Parses one JSON text. Refuses duplicate keys, invalid UTF-8, NUL in strings, NaN, and nesting
 * deeper than 32. err names line and column. The caller owns *out (json_decref). */
vt_status vt_json_parse(const char *text, size_t len, json_t **out, vt_err *err) VT_MUST_USE;

/* Append writer: emits compact JSON into a buffer and places the commas itself. */
typedef struct vt_json {
    vt_buf *out;
    bool comma; /* a value was written at this level */
} vt_json;

void vt_json_init(vt_json *w, vt_buf *out);
void vt_json_open(vt_json *w, char bracket);  /* '{' or '[' */
void vt_json_close(vt_json *w, char bracket); /* '}' or ']' */
void vt_json_key(vt_json *w, const char *key);
/* NULL writes null. Bytes that are not UTF-8 become U+FFFD, so that what is written is JSON. */
void vt_json_str(vt_json *w, const char *s);
void vt_json_strn(vt_json *w, const char *s, size_t n);
void vt_json_int(vt_json *w, int64_t v);
/* significant digits, 0: the fewest that read back as v. Not finite writes null. */
void vt_json_num(vt_json *w, double v, int significant);
void vt_json_bool(vt_json *w, bool v);
void vt_json_null(vt_json *w);
void vt_json_raw(vt_json *w, const char *json, size_t n); /* one value, already JSON */
void vt_json_value(vt_json *w, const json_t *v);          /* sorted keys, compact */

/* ---- text and numbers ------------------------------------------------------------------- */

/* Whole-string, locale-independent, range-checked. No sign for u64; f64 refuses inf and nan. */
bool vt_parse_u64(const char *s, uint64_t max, uint64_t *out) VT_MUST_USE;
bool vt_parse_f64(const char *s, double *out) VT_MUST_USE;
bool vt_utf8_valid(const char *s, size_t n) VT_MUST_USE; /* no NUL, no surrogates, no overlongs */
/* Strict RFC 4648 base64 (padding optional, ASCII white space skipped). */
vt_status vt_base64_decode(const char *s, size_t n, vt_buf *out, vt_err *err) VT_MUST_USE;
/* "1.4 MB", "605 MB": for logs. Returns out. */
const char *vt_human_bytes(uint64_t n, char out[16]);

/* ---- hash ------------------------------------------------------------------------------- */

/* SHA-256 (FIPS 180-4, OpenSSL's): content identity of images, models and cache keys. */
typedef struct vt_hash {
    uint8_t bytes[32];
} vt_hash;
typedef struct vt_hasher vt_hasher;

vt_hash vt_hash_bytes(const void *bytes, size_t n);
vt_status vt_hasher_open(vt_hasher **out, vt_err *err) VT_MUST_USE;
void vt_hasher_add(vt_hasher *h, const void *bytes, size_t n);
vt_hash vt_hasher_close(vt_hasher *h); /* finishes and frees; NULL gives the zero hash */
bool vt_hash_equal(const vt_hash *a, const vt_hash *b);
void vt_hash_hex(const vt_hash *h, char out[65]);
bool vt_hash_from_hex(const char *hex, vt_hash *out) VT_MUST_USE;
/* n bytes from the kernel's generator. */
void vt_random_bytes(void *out, size_t n);

/* ---- clock ------------------------------------------------------------------------------ */

uint64_t vt_now_ns(void);             /* monotonic */
double vt_seconds_since(uint64_t ns); /* ns from vt_now_ns */
int64_t vt_wall_ms(void);             /* Unix time, milliseconds, UTC */
/* "2026-11-20T15:20:37.123Z". Returns out. */
const char *vt_wall_text(int64_t wall_ms, char out[32]);

/* ---- files ------------------------------------------------------------------------------ */

typedef struct vt_map { /* a read-only file mapped whole; data is NULL when size is 0 */
    const uint8_t *data;
    size_t size;
} vt_map;

vt_status vt_file_map(const char *path, vt_map *out, vt_err *err) VT_MUST_USE;
/* The same, copy-on-write: its pages may be written to (data's const is cast away), which the file
 * never sees. */
vt_status vt_file_map_private(const char *path, vt_map *out, vt_err *err) VT_MUST_USE;
void vt_map_release(vt_map *m);
/* Reads pages of a map into memory now, that nobody waits for them later. */
void vt_map_populate(const void *at, size_t n);
/* Has them read from the disk while the caller goes on. */
void vt_map_prefetch(const void *at, size_t n);
/* Appends the file's bytes to out (its max is the limit). */
vt_status vt_file_read(const char *path, vt_buf *out, vt_err *err) VT_MUST_USE;
/* rename(2), then fsync of the folder: after a crash `to` is the old file or the new one. */
vt_status vt_file_rename(const char *from, const char *to, vt_err *err) VT_MUST_USE;
typedef struct vt_span {
    const void *data;
    size_t size;
} vt_span;
/* Writes the parts, one behind the other, to a file beside `path` and renames it: at any moment
 * `path` is the old file or the new one, whole. What was begun is removed on failure. */
vt_status vt_file_replace(const char *path, const vt_span *parts, size_t n_parts,
                          vt_err *err) VT_MUST_USE;
/* Creates the folder (and parents) where missing. */
vt_status vt_dir_ensure(const char *path, vt_err *err) VT_MUST_USE;
/* "<dir>/<name>", malloc'ed; name alone where it is absolute. NULL when there is no memory. */
char *vt_path_join(const char *dir, const char *name) VT_MUST_USE;
/* Folder part of a path ("." where there is none), malloc'ed. */
char *vt_path_dir(const char *path) VT_MUST_USE;
/* Holds an exclusive flock on `path` (created) until vt_lock_release. E_LOCKED names the holder's
 * pid. */
typedef struct vt_lock {
    int fd;
} vt_lock;
vt_status vt_lock_acquire(const char *path, vt_lock *out, vt_err *err) VT_MUST_USE;
void vt_lock_release(vt_lock *l);

/* ---- log -------------------------------------------------------------------------------- */

typedef enum vt_log_level { VT_LOG_DEBUG, VT_LOG_INFO, VT_LOG_WARN, VT_LOG_ERROR } vt_log_level;
typedef enum vt_log_format { VT_LOG_AUTO, VT_LOG_TEXT, VT_LOG_JSON } vt_log_format;
typedef struct vt_log vt_log;

/* Writes one line per event to fd (not owned); AUTO = text on a terminal, else JSON lines.
 * Thread-safe; a line is one write(2). */
vt_status vt_log_open(int fd, vt_log_level least, vt_log_format format, vt_log **out,
                      vt_err *err) VT_MUST_USE;
void vt_log_close(vt_log *log);
/* stage: one word ("model", "catalogue", "http"). A NULL log says nothing. */
void vt_log_say(vt_log *log, vt_log_level level, const char *stage, const char *fmt, ...)
    VT_PRINTF(4, 5);
/* A finished stage with its seconds, as the start-up log prints it. */
void vt_log_stage(vt_log *log, const char *stage, double seconds, const char *fmt, ...)
    VT_PRINTF(4, 5);

/* ---- thread pool ------------------------------------------------------------------------ */

/* Parallel loops over a fixed set of worker threads. Each thread has a row of the items of [0, n)
 * and helps the others when it is through; the caller works too and returns when all are done. One
 * loop runs on the workers at a time: a second caller meanwhile runs its loop alone, so nobody
 * waits for nobody. Between loops that follow closely the workers spin, so that a hand-over costs
 * about 1 us. */
typedef struct vt_pool vt_pool;
typedef void (*vt_pool_fn)(void *ctx, size_t begin, size_t end);

/* threads counts the caller: 1 starts none; 0 means the number of processors this process may use;
 * at most 1024. */
vt_status vt_pool_open(unsigned threads, vt_pool **out, vt_err *err) VT_MUST_USE;
void vt_pool_close(vt_pool *p);             /* no loop may be running */
unsigned vt_pool_threads(const vt_pool *p); /* 1 for NULL */
/* grain: the least number of items worth a call of fn (>= 1); a loop of no more is not handed out.
 * A NULL pool runs fn(ctx, 0, n). */
void vt_pool_for(vt_pool *p, size_t n, size_t grain, vt_pool_fn fn, void *ctx);

/* Two lanes on the same processors: somebody waits for a query, nobody for a line of an import.
 * Between _enter and _leave a query is inside (any number may be). Bulk work calls _give_way
 * between short pieces: it returns at once when no query is inside, else sleeps until none is, for
 * at most 50 ms, so that an import under queries that never end still moves. NULL does nothing. */
void vt_pool_enter(vt_pool *p);
void vt_pool_leave(vt_pool *p);
void vt_pool_give_way(vt_pool *p);
/* The calling thread gets the processor when threads that somebody waits for leave it. */
void vt_thread_background(void);

#endif
