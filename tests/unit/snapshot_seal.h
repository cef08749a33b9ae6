/* Makes the checksums of a snapshot's bytes right again, so that what tests and fuzzing change in
 * it is seen by what lies behind them, and tells the root that it has then. The format is that of
 * src/index/snapshot.c. */
#ifndef VT_TEST_SNAPSHOT_SEAL_H
#define VT_TEST_SNAPSHOT_SEAL_H

#include "base/base.h"

#include <xxhash.h>

enum {
    SEAL_PAGE = 4096,
    SEAL_CHUNK = 4 << 20,
    SEAL_ID = 24, /* where the database id is, and so on */
    SEAL_MODEL = 64,
    SEAL_SEQ = 96,
    SEAL_FILE_BYTES = 104,
    SEAL_COUNT = 112,
    SEAL_TABLE = 120,
    SEAL_ENTRY = 32, /* name, bytes at 16, sum at 24 */
    SEAL_SELF = SEAL_PAGE - 8,
};

static inline uint64_t seal_get(const uint8_t *file, size_t at) {
    uint64_t v;
    memcpy(&v, file + at, sizeof v);
    return v;
}

static inline void seal_set(uint8_t *file, size_t at, uint64_t v) {
    memcpy(file + at, &v, sizeof v);
}

static inline uint64_t seal_section(const uint8_t *bytes, size_t n) {
    XXH3_state_t *sums = XXH3_createState();
    uint64_t sum;
    XXH3_64bits_reset(sums);
    for (size_t at = 0; at < n; at += SEAL_CHUNK) {
        sum = XXH3_64bits(bytes + at, n - at < SEAL_CHUNK ? n - at : SEAL_CHUNK);
        XXH3_64bits_update(sums, &sum, sizeof sum);
    }
    sum = XXH3_64bits_digest(sums);
    XXH3_freeState(sums);
    return sum;
}

static inline void snapshot_seal(uint8_t *file, size_t n) {
    size_t at = SEAL_PAGE;
    if (n < SEAL_PAGE)
        return;
    for (size_t i = 0; i < 64 && i < seal_get(file, SEAL_COUNT); i++) {
        size_t entry = SEAL_TABLE + i * SEAL_ENTRY;
        uint64_t bytes = seal_get(file, entry + 16);
        at = (at + SEAL_PAGE - 1) / SEAL_PAGE * SEAL_PAGE;
        if (at > n || bytes > n - at)
            break;
        seal_set(file, entry + 24, seal_section(file + at, bytes));
        at += bytes;
    }
    seal_set(file, SEAL_SELF, XXH3_64bits(file, SEAL_SELF));
}

/* Of a file that has its first page. */
static inline vt_hash snapshot_root(const uint8_t *file) {
    return vt_hash_bytes(file, SEAL_PAGE);
}

#endif
