/* The index: rows, and cells once there are many; what is put and removed. How it is searched is in
 * search.c, how cells are made in rebuild.c, how it learns in tuning.c, its file in saved.c.
 *
 * Everything is kept rotated (rotation.c): inner products are the same, and coordinates are alike.
 *
 * Nothing here waits for cells. A collection without them, or one that is loaded faster than they
 * are made, is searched by scoring every match; each put finds its cell at once where there are
 * any.
 *
 * Threads: none of its own; readers may share an index that nobody changes.
 *
 * Invariants (vt_index_check): live.n == slots, live_count bits of it are set; a live slot has a
 * row of unit length; with cells, a slot is in exactly one cell when it is live and in none when it
 * is not, and its code there is that of its row. */
#include "index/room.h"

#include <math.h>

#define MAX_DIM      65536
#define SQUARES_OFF  5e-3f /* of a row's squared length, at most, in an index that is whole */
#define ROUNDED_MOST 4e-3f /* the same when it is put: vectors are of length 1 +- 1e-3 */
#define CELLS_FROM   16384 /* live slots: below, scoring all takes less than a millisecond */

vt_status vt_index_open(size_t dim, vt_index **out, vt_err *err) {
    *out = NULL;
    if (dim < 1 || dim > MAX_DIM) {
        return vt_fail(err, VT_E_INVALID, "dim: %zu is not in 1..%d", dim, MAX_DIM);
    }
    vt_index *ix = vt_alloc(1, sizeof *ix);
    if (!ix) {
        return vt_fail_nomem(err, sizeof *ix);
    }
    ix->dim = dim;
    vt_fine_init(&ix->fine, dim);
    vt_bitset_init(&ix->live);
    vt_status s = vt_rotation_open(dim, &ix->rotation, err);
    if (s == VT_OK) {
        *out = ix;
    } else {
        vt_index_close(ix);
    }
    return s;
}

void vt_index_close(vt_index *ix) {
    if (ix) {
        vt_cells_close(ix->cells);
        vt_fine_release(&ix->fine);
        vt_bitset_release(&ix->live);
        vt_rotation_close(ix->rotation);
        free(ix);
    }
}

size_t vt_index_dim(const vt_index *ix) {
    return ix->dim;
}

size_t vt_index_count(const vt_index *ix) {
    return ix->live_count;
}

size_t vt_index_slots(const vt_index *ix) {
    return ix->live.n;
}

size_t vt_index_cells(const vt_index *ix) {
    return ix->cells ? ix->cells->n : 0;
}

void vt_index_measure(const vt_index *ix, vt_index_bytes *out) {
    size_t places = 0, cells = ix->cells ? vt_cells_bytes(ix->cells, &places) : 0;
    *out = (vt_index_bytes){.rows = vt_fine_bytes(&ix->fine), .codes = cells - places};
    out->other = sizeof *ix + vt_rotation_bytes(ix->rotation) + places +
                 ix->live.cap * sizeof *ix->live.words;
}

/* ---- change ----------------------------------------------------------------------------- */

/* What overflows is not of length 1 either. */
bool vt_index_unit_length(const float *v, size_t dim) {
    return fabs(sqrt((double)vt_vec_dot(v, v, dim)) - 1) <= 1e-3;
}

bool vt_index_row_unit(const vt_index *ix, const float *x) {
    return fabsf(vt_vec_dot(x, x, ix->dim) - 1) <= SQUARES_OFF;
}

void vt_index_rotate(const vt_index *ix, const float *x, float *out) {
    memcpy(out, x, ix->dim * sizeof *x);
    vt_rotation_apply(ix->rotation, out);
    memset(out + ix->dim, 0, (vt_index_padded(ix) - ix->dim) * sizeof *out);
}

/* Room for a slot in everything that is as long as there are slots. */
static vt_status reserve(vt_index *ix, size_t slot, vt_err *err) {
    vt_status s = vt_fine_reserve(&ix->fine, slot, err);
    if (s == VT_OK && ix->cells) {
        s = vt_cells_reserve(ix->cells, slot + 1, err);
    }
    if (s == VT_OK && ix->noted && slot >= ix->noted->n) {
        s = vt_bitset_resize(ix->noted, slot + 1, err);
    }
    return s;
}

static void note(vt_index *ix, size_t slot) {
    if (ix->noted) {
        vt_bitset_set(ix->noted, slot, true);
    }
}

/* Rounds x[padded] to row[row_bytes] and to what is read of it again. A vector that the rotation
 * does not even out, which somebody would have to look for, comes out too long: it is made of
 * length 1, as vt_index_check wants every row to be. */
static float round_row(const vt_index *ix, float *x, uint8_t *row) {
    float step = vt_fine_encode(&ix->fine, x, row);
    vt_fine_decode(&ix->fine, row, step, x);
    float squares = vt_vec_dot(x, x, ix->dim);
    if (fabsf(squares - 1) > ROUNDED_MOST) {
        step /= sqrtf(squares);
        vt_fine_decode(&ix->fine, row, step, x);
    }
    return step;
}

/* row[row_bytes] behind x[padded]. Codes are made from the row as it was rounded, so that they can
 * be made again from it. */
static vt_status put_row(vt_index *ix, uint32_t slot, float *x, uint8_t *row, vt_err *err) {
    float step = round_row(ix, x, row);
    if (ix->cells) {
        vt_status s = vt_cells_put(ix->cells, slot, x, err);
        if (s != VT_OK) {
            return s;
        }
    }
    vt_fine_set(&ix->fine, slot, row, step);
    ix->live_count += !vt_bitset_get(&ix->live, slot);
    vt_bitset_set(&ix->live, slot, true);
    note(ix, slot);
    return VT_OK;
}

vt_status vt_index_put(vt_index *ix, uint32_t slot, const float *v, vt_err *err) {
    size_t padded = vt_index_padded(ix), slots = ix->live.n;
    if (slot == UINT32_MAX) {
        return vt_fail(err, VT_E_INVALID, "slot: %u is above the last one", slot);
    }
    if (!vt_index_unit_length(v, ix->dim)) {
        return vt_fail(err, VT_E_INVALID, "vector of slot %u: not of length 1", slot);
    }
    vt_status s = reserve(ix, slot, err);
    if (s != VT_OK) {
        return s;
    }
    float *x = vt_alloc_aligned(padded * sizeof *x + ix->fine.row_bytes, 1);
    if (!x) {
        return vt_fail_nomem(err, padded * sizeof *x + ix->fine.row_bytes);
    }
    if (slot >= slots) {
        s = vt_bitset_resize(&ix->live, (size_t)slot + 1, err);
    }
    if (s == VT_OK) {
        vt_index_rotate(ix, v, x);
        s = put_row(ix, slot, x, (uint8_t *)(x + padded), err);
        if (s != VT_OK && slot >= slots) { /* a shorter set needs no memory */
            vt_err ignored;
            (void)!vt_bitset_resize(&ix->live, slots, &ignored);
        }
    }
    free(x);
    return s;
}

void vt_index_remove(vt_index *ix, uint32_t slot) {
    if (vt_bitset_get(&ix->live, slot)) {
        vt_bitset_set(&ix->live, slot, false);
        ix->live_count--;
        vt_fine_clear(&ix->fine, slot); /* a file made from now on says that it has no row */
        note(ix, slot);
        if (ix->cells) {
            vt_cells_remove(ix->cells, slot);
        }
    }
}

bool vt_index_get(const vt_index *ix, uint32_t slot, float *v) {
    if (!vt_bitset_get(&ix->live, slot)) {
        return false;
    }
    const uint8_t *row = vt_fine_row(&ix->fine, slot);
    float step = vt_fine_step(&ix->fine, slot);
    for (size_t i = 0; i < ix->dim; i++) {
        v[i] = step * (float)vt_fine_number(row, i);
    }
    vt_rotation_undo(ix->rotation, v);
    return true;
}

/* A rotation is linear: the mean is taken of rotated rows and turned back once. */
vt_status vt_index_mean(const vt_index *ix, const uint32_t *slots, size_t n, float *mean,
                        vt_err *err) {
    size_t padded = vt_index_padded(ix);
    float *x = vt_alloc_aligned(padded, sizeof *x);
    double *sum = vt_alloc(padded, sizeof *sum);
    vt_status s = VT_OK;
    if (!x || !sum) {
        s = vt_fail_nomem(err, padded * sizeof *sum);
        goto done;
    }
    for (size_t i = 0; i < n; i++) {
        assert(vt_bitset_get(&ix->live, slots[i]));
        vt_fine_read(&ix->fine, slots[i], x);
        for (size_t d = 0; d < padded; d++) {
            sum[d] += (double)x[d];
        }
    }
    for (size_t d = 0; d < ix->dim; d++) {
        mean[d] = (float)(sum[d] / (double)n);
    }
    vt_rotation_undo(ix->rotation, mean);
done:
    free(x);
    free(sum);
    return s;
}

bool vt_index_wants_cells(const vt_index *ix) {
    return ix->live_count >= CELLS_FROM && ix->dim >= VT_CODED_DIM_MIN &&
           ix->dim <= VT_CODED_DIM_MAX;
}

/* ---- check ------------------------------------------------------------------------------ */

/* Row by row of the cells, and not slot by slot: a slot would have to be looked for in its cell,
 * and where many products have one picture that cell is large. */
static vt_status check_codes(const vt_index *ix, size_t cell, float *x, vt_err *err) {
    const vt_cell *c = &ix->cells->cells[cell];
    vt_code code;
    for (size_t i = 0; i < c->n; i++) {
        if (!vt_bitset_get(&ix->live, c->slots[i])) {
            return vt_fail(err, VT_E_CORRUPT, "slot %u is not live but in a cell", c->slots[i]);
        }
        vt_fine_read(&ix->fine, c->slots[i], x);
        vt_code_make(x, &c->centre, ix->dim, &code);
        if (!vt_cell_holds(c, ix->dim, i, &code)) {
            return vt_fail(err, VT_E_CORRUPT, "slot %u: the code is not that of the row",
                           c->slots[i]);
        }
    }
    return VT_OK;
}

static vt_status check_slot(const vt_index *ix, size_t slot, float *x, vt_err *err) {
    const vt_cells *c = ix->cells;
    if (!vt_bitset_get(&ix->live, slot)) {
        return VT_OK;
    }
    if (slot / ix->fine.block_rows >= ix->fine.n_blocks) {
        return vt_fail(err, VT_E_CORRUPT, "slot %zu is live but has no block", slot);
    }
    vt_fine_read(&ix->fine, slot, x);
    if (!vt_index_row_unit(ix, x)) {
        return vt_fail(err, VT_E_CORRUPT, "slot %zu is live but not of length 1", slot);
    }
    if (c && (slot >= c->slots || c->place[slot] == VT_NOWHERE)) {
        return vt_fail(err, VT_E_CORRUPT, "slot %zu is live but in no cell", slot);
    }
    return VT_OK;
}

vt_status vt_index_check(const vt_index *ix, vt_err *err) {
    vt_status s = vt_bitset_check(&ix->live, err);
    size_t live = s == VT_OK ? vt_bitset_count(&ix->live) : 0;
    if (s == VT_OK && live != ix->live_count) {
        s = vt_fail(err, VT_E_CORRUPT, "%zu slots are live, not %zu", live, ix->live_count);
    }
    if (s == VT_OK && ix->cells) {
        s = vt_cells_check(ix->cells, err);
    }
    float *x = s == VT_OK ? vt_alloc_aligned(vt_index_padded(ix), sizeof *x) : NULL;
    if (s == VT_OK && !x) {
        s = vt_fail_nomem(err, vt_index_padded(ix) * sizeof *x);
    }
    for (size_t slot = 0; s == VT_OK && slot < ix->live.n; slot++) {
        s = check_slot(ix, slot, x, err);
    }
    for (size_t cell = 0; s == VT_OK && ix->cells && cell < ix->cells->n; cell++) {
        s = check_codes(ix, cell, x, err);
    }
    free(x);
    return s;
}
