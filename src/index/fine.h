/* Private to index: rotated rows in 12 bits a dimension, by slot. */
#ifndef VT_INDEX_FINE_H
#define VT_INDEX_FINE_H

#include "vec/vec.h"

typedef struct vt_fine_block {
    uint8_t *rows; /* [block_rows][row_bytes] */
    float *steps;  /* [block_rows]: what a number is multiplied by; 0 where nothing was set */
    bool mapped;   /* not ours to free */
} vt_fine_block;

typedef struct vt_fine {
    size_t dim, groups, row_bytes;
    size_t block_rows; /* a power of two */
    vt_fine_block *blocks;
    size_t n_blocks, cap_blocks;
} vt_fine;

void vt_fine_init(vt_fine *f, size_t dim);
void vt_fine_release(vt_fine *f);
size_t vt_fine_bytes(const vt_fine *f); /* of the blocks */
size_t vt_fine_block_bytes(const vt_fine *f);

/* Makes the block of a slot where it is missing; all others up to it, too. */
vt_status vt_fine_reserve(vt_fine *f, size_t slot, vt_err *err) VT_MUST_USE;
/* A block over block_bytes at `at`, which the caller keeps. */
vt_status vt_fine_map_block(vt_fine *f, void *at, vt_err *err) VT_MUST_USE;
/* Rounds x[dim] to row[row_bytes] and the step that it returns. */
float vt_fine_encode(const vt_fine *f, const float *x, uint8_t *row);
/* The slot was reserved. */
void vt_fine_set(vt_fine *f, size_t slot, const uint8_t *row, float step);
/* A slot without a row: its step is 0. */
static inline void vt_fine_clear(vt_fine *f, size_t slot) {
    f->blocks[slot / f->block_rows].steps[slot % f->block_rows] = 0;
}
/* x[groups * VT_FINE_GROUP] of a row: zeros from dim on. */
void vt_fine_decode(const vt_fine *f, const uint8_t *row, float step, float *x);

static inline const uint8_t *vt_fine_row(const vt_fine *f, size_t slot) {
    return f->blocks[slot / f->block_rows].rows + slot % f->block_rows * f->row_bytes;
}

static inline float vt_fine_step(const vt_fine *f, size_t slot) {
    return f->blocks[slot / f->block_rows].steps[slot % f->block_rows];
}

/* Number i of a row, in steps. */
static inline int vt_fine_number(const uint8_t *row, size_t i) {
    const uint8_t *group = row + i / VT_FINE_GROUP * VT_FINE_GROUP_BYTES;
    int both = group[VT_FINE_GROUP + i % 16];
    int low = i % VT_FINE_GROUP < 16 ? both & 15 : both >> 4;
    return (group[i % VT_FINE_GROUP] << 4 | low) - 2048;
}

static inline void vt_fine_read(const vt_fine *f, size_t slot, float *x) {
    vt_fine_decode(f, vt_fine_row(f, slot), vt_fine_step(f, slot), x);
}

/* q[groups * VT_FINE_GROUP], zeros from dim on. */
static inline float vt_fine_score(const vt_fine *f, const float *q, size_t slot) {
    return vt_fine_step(f, slot) * vt_vec_fine_dot(q, vt_fine_row(f, slot), f->groups);
}

/* Always inline: gcc 12 takes a function that only prefetches for one without effect, and drops the
 * calls. */
static inline __attribute__((always_inline)) void vt_fine_prefetch(const vt_fine *f, size_t slot) {
    const uint8_t *row = vt_fine_row(f, slot);
    __builtin_prefetch(&f->blocks[slot / f->block_rows].steps[slot % f->block_rows]);
    for (size_t i = 0; i < f->row_bytes; i += 64) {
        __builtin_prefetch(row + i);
    }
}

#endif
