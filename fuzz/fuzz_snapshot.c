/* A snapshot of any bytes, with checksums that are right and a root that nobody asks for: refused
 * with a text, or columns and index in it are whole. A file is full of zeros, so that an input is a
 * list of sections, from which a file is made; or it is the file itself. */
#include "catalog/saved.h"

#include <sys/mman.h>
#include <unistd.h>

#include "../tests/unit/snapshot_seal.h"
#include "fuzz_snapshot.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* That codes are those of their rows is left to the checksums, so that vt_index_check may fail; but
 * whatever was accepted can be searched and changed. */
static void use(vt_index *ix, const vt_bitset *live) {
    float v[FUZZ_DIM] = {1};
    vt_hit hits[8];
    size_t n;
    vt_err err;
    for (size_t i = 0; i < live->n; i++)
        if (vt_index_get(ix, (uint32_t)i, v) != vt_bitset_get(live, i))
            abort();
    v[0] += 0.5f;
    if (!(vt_vec_normalize(v, FUZZ_DIM) > 0))
        memcpy(v, &(float[FUZZ_DIM]){1}, sizeof v);
    for (vt_query_kind kind = 0; kind < VT_QUERY_KINDS; kind++) {
        const vt_index_query q = {.vector = v, .k = 8, .kind = kind, .recall = 0.9f};
        if (vt_index_count(ix) > 0 &&
            vt_index_search(ix, &q, NULL, hits, &n, NULL, &err) == VT_E_CORRUPT)
            abort();
    }
    for (uint32_t slot = 0; slot < 4; slot++) {
        if (slot % 2 == 0 && vt_index_put(ix, slot, v, &err) != VT_OK)
            abort();
        vt_index_remove(ix, slot);
    }
}

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
    status = vt_index_load(s, FUZZ_DIM, &columns.live, &index, &err);
    if (status != VT_OK && (index || status != VT_E_CORRUPT || !err.text[0]))
        abort();
    if (status == VT_OK)
        use(index, &columns.live);
    vt_index_close(index);
    vt_columns_release(&columns);
}

static void try_file(const char *path) {
    const vt_hash model = {0};
    const vt_snapshot_wanted wanted = {.database_id = FUZZ_ID, .model = &model};
    vt_snapshot *s;
    uint64_t seq;
    vt_err err = {0};
    vt_status status = vt_snapshot_open(path, &wanted, NULL, &s, &seq, &err);
    if (status == VT_OK)
        try_load(s, seq);
    else if (s || !err.text[0] || (status != VT_E_CORRUPT && status != VT_E_MISMATCH))
        abort();
    vt_snapshot_release(s);
}

/* Lays the sections out as a file and returns its length; out is zero and has room. */
static size_t lay_out(const uint8_t *data, size_t size, uint8_t *out) {
    size_t begin = SEAL_PAGE, end = SEAL_PAGE, room = FUZZ_MAX;
    uint64_t n = 0;
    fuzz_piece p;
    memcpy(out, "vitrine index\n", 14);
    seal_set(out, 16, 1 | UINT64_C(0x01020304) << 32);
    memcpy(out + SEAL_ID, FUZZ_ID, sizeof FUZZ_ID);
    seal_set(out, SEAL_SEQ, UINT64_MAX);
    for (; size >= sizeof p; data += p.given, size -= p.given) {
        memcpy(&p, data, sizeof p);
        data += sizeof p;
        size -= sizeof p;
        if (p.name[0] && n < VT_SNAPSHOT_SECTIONS) {
            p.length = p.length < room ? p.length : (uint32_t)room;
            room -= p.length;
            begin = (end + SEAL_PAGE - 1) / SEAL_PAGE * SEAL_PAGE;
            end = begin + p.length;
            memcpy(out + SEAL_TABLE + n * SEAL_ENTRY, p.name, sizeof p.name);
            seal_set(out, SEAL_TABLE + n++ * SEAL_ENTRY + sizeof p.name, p.length);
        }
        p.given = p.given < size ? p.given : (uint32_t)size;
        if (p.at <= end - begin && p.given <= end - begin - p.at)
            memcpy(out + begin + p.at, data, p.given);
    }
    seal_set(out, SEAL_COUNT, n);
    seal_set(out, SEAL_FILE_BYTES, end);
    return end;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t *file = vt_alloc(1, size + FUZZ_MAX + SEAL_PAGE * (VT_SNAPSHOT_SECTIONS + 1));
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
