/* A place in a file's bytes, from which fields are taken one after the other, each compared first
 * with what is left. Private to the room.
 *
 * Fields lie at any address (a header has 33 bytes), so they are copied out and never pointed to as
 * integers. FAISS writes its structs as the machine holds them, and there is no mark of the byte
 * order in a file: like FAISS, we read those of little-endian machines. */
#ifndef VT_FAISS_CURSOR_H
#define VT_FAISS_CURSOR_H

#include "base/base.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "FAISS's files are little-endian");
_Static_assert(sizeof(size_t) >= sizeof(uint64_t), "a count of the file fits a size_t");

typedef struct vt_cursor {
    const uint8_t *at;
    size_t left;
    const char *part; /* "IndexIVFFlat": which index the fields are of, for messages */
} vt_cursor;

typedef struct vt_run { /* of equal elements, inside the file */
    const uint8_t *at;
    size_t count;
} vt_run;

/* E_PARSE "<part>, <field>: <why>". */
vt_status vt_cursor_fail(const vt_cursor *c, const char *field, vt_err *err, const char *fmt, ...)
    VT_PRINTF(4, 5);
/* Copies the next n bytes to out. */
vt_status vt_cursor_take(vt_cursor *c, const char *field, void *out, size_t n,
                         vt_err *err) VT_MUST_USE;
/* Passes over count elements of `size` bytes. */
vt_status vt_cursor_run(vt_cursor *c, const char *field, size_t count, size_t size, vt_run *out,
                        vt_err *err) VT_MUST_USE;
/* The same, their count being taken from the file first (64 bits), as FAISS writes its vectors. */
vt_status vt_cursor_vector(vt_cursor *c, const char *field, size_t size, vt_run *out,
                           vt_err *err) VT_MUST_USE;

static inline int32_t vt_load_i32(const vt_run *r, size_t i) {
    int32_t v;
    memcpy(&v, r->at + i * sizeof v, sizeof v);
    return v;
}

static inline int64_t vt_load_i64(const vt_run *r, size_t i) {
    int64_t v;
    memcpy(&v, r->at + i * sizeof v, sizeof v);
    return v;
}

static inline uint64_t vt_load_u64(const vt_run *r, size_t i) {
    return (uint64_t)vt_load_i64(r, i);
}

#endif
