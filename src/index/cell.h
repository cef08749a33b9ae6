/* Private to index: a cell, codes of rows that resemble each other. */
#ifndef VT_INDEX_CELL_H
#define VT_INDEX_CELL_H

#include "index/codes.h"

typedef struct vt_cell {
    vt_centre centre;             /* not owned */
    size_t n, cap;                /* rows; cap is a multiple of VT_CODE_ROWS */
    uint8_t *codes;               /* blocks of vt_vec_code_scores; behind them the arrays below */
    float *scale, *along, *error; /* [cap] each */
    uint32_t *slots;              /* [cap]: whose code it is */
    bool mapped;                  /* not ours to free */
} vt_cell;

/* Bytes of what a cell of this capacity holds, a multiple of 64. */
size_t vt_cell_payload(size_t dim, size_t cap);
/* Lays a cell's arrays over payload bytes at `at`, 64-byte aligned. */
void vt_cell_lay(vt_cell *c, size_t dim, size_t cap, void *at);
void vt_cell_release(vt_cell *c);
/* Room for `rows` rows in all. On failure nothing has changed. */
vt_status vt_cell_reserve(vt_cell *c, size_t dim, size_t rows, vt_err *err) VT_MUST_USE;
/* Row i < cap is this code of this slot. */
void vt_cell_write(vt_cell *c, size_t dim, size_t i, uint32_t slot, const vt_code *code);
/* The last row takes the place of row i. */
void vt_cell_drop(vt_cell *c, size_t dim, size_t i);
/* Where a slot is; n when it is not there. */
size_t vt_cell_find(const vt_cell *c, uint32_t slot);
/* Whether row i is this code. */
bool vt_cell_holds(const vt_cell *c, size_t dim, size_t i, const vt_code *code);
/* Scores of VT_CODE_ROWS rows from `row` on; the bits returned tell which are not below `floor`. */
uint32_t vt_cell_scores(const vt_cell *c, const vt_code_query *q, size_t row, float floor,
                        float *out);
/* Asks for what a scan of the cell reads first. */
void vt_cell_prefetch(const vt_cell *c, size_t dim);

#endif
