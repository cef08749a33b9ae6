/* A cell: a centre, and the codes of the rows nearest to it, side by side in the blocks that a scan
 * reads from beginning to end. Order within a cell means nothing, so a row is forgotten by putting
 * the last one in its place: nothing dead is ever scanned.
 *
 * One allocation holds all of a cell, and a file holds the same bytes, so that a cell may lie in
 * the map of a snapshot until it grows. */
#include "index/cell.h"

static size_t block_bytes(size_t dim) {
    return vt_code_words(dim) * VT_CODE_ROWS * sizeof(uint32_t);
}

size_t vt_cell_payload(size_t dim, size_t cap) {
    return cap / VT_CODE_ROWS * block_bytes(dim) + cap * (3 * sizeof(float) + sizeof(uint32_t));
}

void vt_cell_lay(vt_cell *c, size_t dim, size_t cap, void *at) {
    c->cap = cap;
    c->codes = at;
    c->scale = (float *)(void *)(c->codes + cap / VT_CODE_ROWS * block_bytes(dim));
    c->along = c->scale + cap;
    c->error = c->along + cap;
    c->slots = (uint32_t *)(void *)(c->error + cap);
}

void vt_cell_release(vt_cell *c) {
    if (!c->mapped) {
        free(c->codes);
    }
    c->codes = NULL;
}

/* What is asked for first is given to the row: cells of a rebuild are filled to their size at once.
 * What comes later makes room for a quarter more. */
vt_status vt_cell_reserve(vt_cell *c, size_t dim, size_t rows, vt_err *err) {
    vt_cell grown = {.centre = c->centre, .n = c->n};
    if (rows <= c->cap) {
        return VT_OK;
    }
    size_t cap = c->cap && rows < c->cap + c->cap / 4 ? c->cap + c->cap / 4 : rows;
    cap = (cap + VT_CODE_ROWS - 1) / VT_CODE_ROWS * VT_CODE_ROWS;
    uint8_t *at = vt_alloc_aligned(vt_cell_payload(dim, cap), 1);
    if (!at) {
        return vt_fail_nomem(err, vt_cell_payload(dim, cap));
    }
    memset(at, 0, vt_cell_payload(dim, cap));
    vt_cell_lay(&grown, dim, cap, at);
    if (c->n > 0) {
        memcpy(grown.codes, c->codes, c->cap / VT_CODE_ROWS * block_bytes(dim));
        memcpy(grown.scale, c->scale, c->n * sizeof *c->scale);
        memcpy(grown.along, c->along, c->n * sizeof *c->along);
        memcpy(grown.error, c->error, c->n * sizeof *c->error);
        memcpy(grown.slots, c->slots, c->n * sizeof *c->slots);
    }
    vt_cell_release(c);
    *c = grown;
    return VT_OK;
}

/* Word w of row i. */
static uint8_t *code_word(const vt_cell *c, size_t dim, size_t i, size_t w) {
    uint8_t *block = c->codes + i / VT_CODE_ROWS * block_bytes(dim);
    return block + (w * VT_CODE_ROWS + i % VT_CODE_ROWS) * sizeof(uint32_t);
}

/* See vt_vec_code_scores. */
static void pack_word(const vt_code *code, size_t w, uint8_t word[4]) {
    for (size_t j = 0; j < 4; j++) {
        word[j] = (uint8_t)(code->levels[8 * w + j] | code->levels[8 * w + 4 + j] << 4);
    }
}

void vt_cell_write(vt_cell *c, size_t dim, size_t i, uint32_t slot, const vt_code *code) {
    assert(i < c->cap);
    for (size_t w = 0; w < vt_code_words(dim); w++) {
        pack_word(code, w, code_word(c, dim, i, w));
    }
    c->scale[i] = code->scale;
    c->along[i] = code->along;
    c->error[i] = code->error;
    c->slots[i] = slot;
}

void vt_cell_drop(vt_cell *c, size_t dim, size_t i) {
    size_t last = --c->n;
    assert(i <= last);
    for (size_t w = 0; i < last && w < vt_code_words(dim); w++) {
        memcpy(code_word(c, dim, i, w), code_word(c, dim, last, w), sizeof(uint32_t));
    }
    c->scale[i] = c->scale[last];
    c->along[i] = c->along[last];
    c->error[i] = c->error[last];
    c->slots[i] = c->slots[last];
}

size_t vt_cell_find(const vt_cell *c, uint32_t slot) {
    size_t i = 0;
    while (i < c->n && c->slots[i] != slot) {
        i++;
    }
    return i;
}

bool vt_cell_holds(const vt_cell *c, size_t dim, size_t i, const vt_code *code) {
    bool same =
        c->scale[i] == code->scale && c->along[i] == code->along && c->error[i] == code->error;
    for (size_t w = 0; same && w < vt_code_words(dim); w++) {
        uint8_t word[4];
        pack_word(code, w, word);
        same = memcmp(word, code_word(c, dim, i, w), sizeof word) == 0;
    }
    return same;
}

uint32_t vt_cell_scores(const vt_cell *c, const vt_code_query *q, size_t row, float floor,
                        float *out) {
    vt_code_block b = {.codes = c->codes + row * q->words * sizeof(uint32_t),
                       .scale = c->scale + row,
                       .along = c->along + row,
                       .error = c->error + row};
    return vt_vec_code_scores(q, &b, floor, out);
}

void vt_cell_prefetch(const vt_cell *c, size_t dim) {
    const char *centre = (const char *)c->centre.at, *codes = (const char *)c->codes;
    for (size_t i = 0; i < dim * sizeof(float); i += 64) {
        __builtin_prefetch(centre + i);
        __builtin_prefetch(codes + i); /* as much of these: the hardware follows */
    }
}
