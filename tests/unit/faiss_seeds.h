/* The small files that FAISS wrote (fuzz/make_seeds_faiss.py), whole in memory. */
#ifndef VT_TESTS_FAISS_SEEDS_H
#define VT_TESTS_FAISS_SEEDS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "faiss/faiss.h"

typedef struct seed {
    const char *name, *kind;
    bool mapped;
    size_t dim, count;
    vt_faiss_metric metric;
} seed;

static const seed seeds[] = {
    {"flat_l2", "IndexFlatL2", false, 4, 5, VT_FAISS_L2},
    {"flat_ip", "IndexFlatIP", false, 3, 4, VT_FAISS_IP},
    {"flat_empty", "IndexFlatL2", false, 4, 0, VT_FAISS_L2},
    {"hnsw", "IndexHNSWFlat", false, 4, 12, VT_FAISS_L2},
    {"hnsw_empty", "IndexHNSWFlat", false, 4, 0, VT_FAISS_L2},
    {"ivf_full", "IndexIVFFlat", false, 4, 9, VT_FAISS_L2},
    {"ivf_sparse", "IndexIVFFlat", false, 4, 3, VT_FAISS_L2},
    {"ivf_map", "IndexIVFFlat", false, 4, 9, VT_FAISS_L2},
    {"ivf_hnsw", "IndexIVFFlat", false, 4, 9, VT_FAISS_L2},
    {"idmap_flat", "IndexFlatIP", true, 3, 4, VT_FAISS_IP},
    {"idmap2_flat", "IndexFlatIP", true, 3, 4, VT_FAISS_IP},
    {"idmap_empty", "IndexFlatIP", true, 3, 0, VT_FAISS_IP},
    {"idmap_hnsw", "IndexHNSWFlat", true, 4, 12, VT_FAISS_L2},
    {"idmap_ivf", "IndexIVFFlat", true, 4, 9, VT_FAISS_L2},
};

enum { N_SEEDS = sizeof seeds / sizeof *seeds };

/* Element j of vector i, as the script made it. */
static inline float seed_value(size_t i, size_t j) {
    return ((float)((31 * i + 17 * j + i * i * j) % 23) - 11) / 8;
}

/* The caller frees. */
static inline uint8_t *read_seed(const char *name, size_t *size) {
    const char *root = getenv("VT_ROOT");
    vt_buf path, bytes;
    vt_err err;
    vt_buf_init(&path, 4096);
    vt_buf_init(&bytes, 1 << 20);
    vt_buf_printf(&path, "%s/fuzz/corpus/faiss/%s", root ? root : ".", name);
    if (vt_file_read(path.data, &bytes, &err) != VT_OK)
        fail_msg("%s", err.text);
    vt_buf_release(&path);
    *size = bytes.len;
    return (uint8_t *)bytes.data;
}

#endif
