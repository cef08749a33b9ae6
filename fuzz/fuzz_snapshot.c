/* A snapshot of any bytes, with checksums that are right: refused with a text, or columns and index
 * in it are whole. A file is full of zeros, so that an input is a list of sections (name in 16
 * bytes, length in 4, bytes), from which a file is made; or it is the file itself. */
#include "catalog/saved.h"

#include <sys/mman.h>
#include <unistd.h>

#include "../tests/unit/snapshot_seal.h"

enum { DIM = 16, NAME = 16, HEAD = 20 };

static const char ID[] = "01234567-89ab-4cde-8f01-23456789abcd";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_load(const vt_snapshot *s, uint64_t seq) {
    vt_columns columns;
    vt_index *index = NULL;
    vt_err err = {0};
    vt_status status = vt_columns_load(s, seq, &columns, &err);
    if (status != VT_OK) {
        if (status != VT_E_CORRUPT || !err.text[0])
            abort();
        return;
    }
    if (vt_columns_check(&columns, &err) != VT_OK)
        abort();
    status = vt_index_load(s, DIM, &columns.live, &index, &err);
    if (status != VT_OK && (index || status != VT_E_CORRUPT || !err.text[0]))
        abort();
    if (status == VT_OK && vt_index_check(index, &err) != VT_OK)
        abort();
    vt_index_close(index);
    vt_columns_release(&columns);
}

static void try_file(const char *path) {
    const vt_hash model = {0};
    vt_snapshot *s;
    uint64_t seq;
    vt_err err = {0};
    vt_status status = vt_snapshot_open(path, ID, &model, NULL, &s, &seq, &err);
    if (status == VT_OK)
        try_load(s, seq);
    else if (s || !err.text[0] || (status != VT_E_CORRUPT && status != VT_E_MISMATCH))
        abort();
    vt_snapshot_release(s);
}

/* Lays the sections out as a file and returns its length; out has room. */
static size_t lay_out(const uint8_t *data, size_t size, uint8_t *out) {
    size_t at = SEAL_PAGE;
    uint64_t n = 0;
    memcpy(out, "vitrine index\n", 14);
    seal_set(out, 16, 1 | UINT64_C(0x01020304) << 32);
    memcpy(out + SEAL_ID, ID, sizeof ID);
    seal_set(out, SEAL_SEQ, UINT64_MAX);
    while (size >= HEAD && n < VT_SNAPSHOT_SECTIONS) {
        uint32_t len;
        memcpy(&len, data + NAME, sizeof len);
        len = len < size - HEAD ? len : (uint32_t)(size - HEAD);
        at = (at + SEAL_PAGE - 1) / SEAL_PAGE * SEAL_PAGE;
        memcpy(out + SEAL_TABLE + n * SEAL_ENTRY, data, NAME);
        seal_set(out, SEAL_TABLE + n * SEAL_ENTRY + NAME, len);
        memcpy(out + at, data + HEAD, len);
        at += len;
        data += HEAD + len;
        size -= HEAD + len;
        n++;
    }
    seal_set(out, SEAL_COUNT, n);
    seal_set(out, SEAL_FILE_BYTES, at);
    return at;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t *file = vt_alloc(1, size + SEAL_PAGE * (VT_SNAPSHOT_SECTIONS + 1));
    size_t n = size;
    char path[64];
    int fd = memfd_create("snapshot", MFD_CLOEXEC);
    if (!file || fd < 0)
        abort();
    if (size > 0 && data[0] == 'v')
        memcpy(file, data, size);
    else
        n = lay_out(data, size, file);
    snapshot_seal(file, n);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (write(fd, file, n) == (ssize_t)n)
        try_file(path);
    close(fd);
    free(file);
    return 0;
}
