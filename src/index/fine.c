/* Rows in 12 bits a dimension: what scores are made of.
 *
 * A row is rounded to whole steps, 2047 of them to its largest coordinate. The rotation has made
 * coordinates alike, so the largest is some 3.5 times their deviation, and rounding turns a unit
 * vector of 512 dimensions by 5e-4: an inner product is off by 2e-5, a few times what binary16
 * would cost, for three quarters of its bytes. The upper 8 bits and the lower 4 lie apart, so that
 * a kernel widens whole bytes (vt_vec_fine_dot).
 *
 * Rejected: binary32 (2,048 bytes a row of 512 where this takes 768; the exact vectors are in the
 * database, where the few rows of an answer are read anyway); binary16 (1,024); 8 bits (an error of
 * 4e-4 changes the order of a text query's hits).
 *
 * Blocks of some hundred KB never move, so growth copies nothing. */
#include "index/fine.h"

#include "index/codes.h"

#define BLOCK_BYTES    ((size_t)1 << 20)
#define MAX_BLOCK_ROWS 1024
#define MOST           2047

void vt_fine_init(vt_fine *f, size_t dim) {
    *f = (vt_fine){.dim = dim, .groups = vt_fine_groups(dim), .block_rows = MAX_BLOCK_ROWS};
    f->row_bytes = f->groups * VT_FINE_GROUP_BYTES;
    while (f->block_rows > 1 && f->block_rows * f->row_bytes > BLOCK_BYTES) {
        f->block_rows /= 2;
    }
}

void vt_fine_release(vt_fine *f) {
    for (size_t i = 0; i < f->n_blocks; i++) {
        if (!f->blocks[i].mapped) {
            free(f->blocks[i].rows);
        }
    }
    free(f->blocks);
}

/* A multiple of 64, so that blocks in a file are aligned like those in memory. */
size_t vt_fine_block_bytes(const vt_fine *f) {
    size_t bytes = f->block_rows * (f->row_bytes + sizeof(float));
    return (bytes + 63) / 64 * 64;
}

size_t vt_fine_bytes(const vt_fine *f) {
    return f->n_blocks * vt_fine_block_bytes(f) + f->cap_blocks * sizeof *f->blocks;
}

static void add_block(vt_fine *f, uint8_t *at, bool mapped) {
    f->blocks[f->n_blocks++] = (vt_fine_block){
        .rows = at,
        .steps =
            (float *)(void *)(at + f->block_rows * f->row_bytes), /* of whole groups: aligned */
        .mapped = mapped};
}

vt_status vt_fine_reserve(vt_fine *f, size_t slot, vt_err *err) {
    size_t need = slot / f->block_rows + 1, bytes = vt_fine_block_bytes(f);
    vt_status s = vt_array_grow(&f->blocks, &f->cap_blocks, need, sizeof *f->blocks, err);
    while (s == VT_OK && f->n_blocks < need) {
        uint8_t *at = vt_alloc_aligned(bytes, 1);
        if (!at) {
            return vt_fail_nomem(err, bytes);
        }
        memset(at, 0, bytes);
        add_block(f, at, false);
    }
    return s;
}

vt_status vt_fine_map_block(vt_fine *f, void *at, vt_err *err) {
    vt_status s =
        vt_array_grow(&f->blocks, &f->cap_blocks, f->n_blocks + 1, sizeof *f->blocks, err);
    if (s == VT_OK) {
        add_block(f, at, true);
    }
    return s;
}

/* One group, or what there is of it. */
static void encode_group(const float *x, size_t n, float inverse, uint8_t *group) {
    int numbers[VT_FINE_GROUP];
    for (size_t j = 0; j < VT_FINE_GROUP; j++) {
        numbers[j] = 2048 + (j < n ? vt_nearest(x[j] * inverse) : 0);
        group[j] = (uint8_t)(numbers[j] >> 4);
    }
    for (size_t j = 0; j < VT_FINE_GROUP / 2; j++) {
        group[VT_FINE_GROUP + j] = (uint8_t)((numbers[j] & 15) | (numbers[16 + j] & 15) << 4);
    }
}

float vt_fine_encode(const vt_fine *f, const float *x, uint8_t *row) {
    float most = vt_largest(x, f->dim), inverse = most > 0 ? MOST / most : 0;
    for (size_t i = 0; i < f->dim; i += VT_FINE_GROUP) {
        size_t n = f->dim - i < VT_FINE_GROUP ? f->dim - i : VT_FINE_GROUP;
        encode_group(x + i, n, inverse, row);
        row += VT_FINE_GROUP_BYTES;
    }
    return most / MOST;
}

void vt_fine_set(vt_fine *f, size_t slot, const uint8_t *row, float step) {
    vt_fine_block *b = &f->blocks[slot / f->block_rows];
    memcpy(b->rows + slot % f->block_rows * f->row_bytes, row, f->row_bytes);
    b->steps[slot % f->block_rows] = step;
}

void vt_fine_decode(const vt_fine *f, const uint8_t *row, float step, float *x) {
    for (size_t g = 0; g < f->groups; g++, row += VT_FINE_GROUP_BYTES, x += VT_FINE_GROUP) {
        for (size_t j = 0; j < VT_FINE_GROUP / 2; j++) {
            int low = row[VT_FINE_GROUP + j];
            x[j] = step * (float)((row[j] << 4 | (low & 15)) - 2048);
            x[16 + j] = step * (float)((row[16 + j] << 4 | low >> 4) - 2048);
        }
    }
}
