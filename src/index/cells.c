/* The cells of a collection: an inverted file (Jegou et al., PAMI 2011), rows by their nearest
 * centre.
 *
 * A query ranks cells by their centres, and with 2 * sqrt(rows) of them reading all centres would
 * cost as much as the cells it then reads. So the centres are rows of a cell themselves, the
 * router, and are ranked by their codes.
 *
 * Rejected: a graph (HNSW): see docs/NOTES.md for what it measured. It costs 130 bytes of links a
 * row, several times as long to build, repair at each removal, and hops at random where a cell is
 * read in a line; texts send it through most of the rows, and so does a filter that few pass. */
#include "index/cells.h"

#include <math.h>

#define NEAREST 4 /* cells whose centres are compared exactly */

static void router_code(vt_cells *c, size_t i) {
    vt_code code;
    vt_code_make(c->centres + i * c->dim, &c->router.centre, c->dim, &code);
    vt_cell_write(&c->router, c->dim, i, (uint32_t)i, &code);
    c->router.n = i + 1;
}

static vt_status make_router(vt_cells *c, vt_err *err) {
    for (size_t i = 0; i < c->n * c->dim; i++) {
        c->mean[i % c->dim] += c->centres[i] / (float)c->n;
    }
    c->router.centre = (vt_centre){c->mean, vt_vec_dot(c->mean, c->mean, c->dim)};
    vt_status s = vt_cell_reserve(&c->router, c->dim, c->n, err);
    for (size_t i = 0; s == VT_OK && i < c->n; i++) {
        const float *at = c->centres + i * c->dim;
        c->cells[i].centre = (vt_centre){at, vt_vec_dot(at, at, c->dim)};
        router_code(c, i);
    }
    return s;
}

vt_status vt_cells_open(size_t dim, size_t n, const float *centres, size_t made_for, vt_cells **out,
                        vt_err *err) {
    vt_status s = VT_OK;
    size_t floats = 0;
    vt_cells *c = vt_alloc(1, sizeof *c);
    *out = NULL;
    if (!c || !vt_size_mul(n, dim, &floats)) {
        free(c);
        return vt_fail_nomem(err, sizeof *c);
    }
    *c = (vt_cells){.dim = dim, .n = n, .made_for = made_for};
    c->centres = vt_alloc_aligned(floats, sizeof *c->centres);
    c->cells = vt_alloc(n, sizeof *c->cells);
    c->mean = vt_alloc(dim, sizeof *c->mean);
    if (!c->centres || !c->cells || !c->mean) {
        s = vt_fail_nomem(err, floats * sizeof *c->centres);
        goto done;
    }
    memcpy(c->centres, centres, floats * sizeof *centres);
    s = make_router(c, err);
done:
    if (s == VT_OK) {
        *out = c;
    } else {
        vt_cells_close(c);
    }
    return s;
}

void vt_cells_close(vt_cells *c) {
    if (!c) {
        return;
    }
    for (size_t i = 0; c->cells && i < c->n; i++) {
        vt_cell_release(&c->cells[i]);
    }
    for (size_t k = 0; k < VT_QUERY_VECTOR; k++) {
        free(c->learnt[k].beat);
    }
    vt_cell_release(&c->router);
    free(c->cells);
    free(c->centres);
    free(c->mean);
    free(c->place);
    free(c);
}

size_t vt_cells_bytes(const vt_cells *c, size_t *places) {
    size_t bytes = sizeof *c + c->n * (c->dim * sizeof *c->centres + sizeof *c->cells);
    bytes += vt_cell_payload(c->dim, c->router.cap) + c->dim * sizeof *c->mean;
    for (size_t i = 0; i < c->n; i++) {
        bytes += vt_cell_payload(c->dim, c->cells[i].cap);
    }
    for (size_t k = 0; k < VT_QUERY_VECTOR; k++) {
        bytes += c->learnt[k].beat ? c->n * sizeof *c->learnt[k].beat : 0;
    }
    *places = c->cap_place * sizeof *c->place;
    return bytes + *places;
}

/* ---- change ----------------------------------------------------------------------------- */

vt_status vt_cells_reserve(vt_cells *c, size_t slots, vt_err *err) {
    vt_status s = vt_array_grow(&c->place, &c->cap_place, slots, sizeof *c->place, err);
    while (s == VT_OK && c->slots < slots) {
        c->place[c->slots++] = VT_NOWHERE;
    }
    return s;
}

size_t vt_cells_promises(const vt_cells *c) {
    return (c->n + VT_CODE_ROWS - 1) / VT_CODE_ROWS * VT_CODE_ROWS;
}

void vt_cells_promise(const vt_cells *c, const vt_ask *ask, const vt_learnt *learnt,
                      float *scores) {
    vt_code_query q = vt_ask_centre(ask, &c->router.centre, 0);
    for (size_t i = 0; i < c->n; i += VT_CODE_ROWS) {
        vt_cell_scores(&c->router, &q, i, 0, scores + i);
    }
    for (size_t i = 0; learnt && learnt->beat && i < c->n; i++) {
        scores[i] += learnt->beat[i];
    }
}

/* |x - c|^2 is least where <x, c> - |c|^2 / 2 is largest: by codes first, then exactly. */
static size_t nearest(const vt_cells *c, const float *x, const float *scores) {
    vt_hit hits[NEAREST];
    vt_topk top;
    vt_topk_init(&top, hits, c->n < NEAREST ? c->n : NEAREST, NULL, NULL);
    for (size_t i = 0; i < c->n; i++) {
        vt_topk_offer(&top, scores[i] - c->cells[i].centre.squares / 2, (uint32_t)i);
    }
    size_t best = 0;
    float most = -INFINITY;
    for (size_t i = 0; i < top.n; i++) {
        const vt_centre *centre = &c->cells[hits[i].slot].centre;
        float near = vt_vec_dot(x, centre->at, c->dim) - centre->squares / 2;
        if (near > most) {
            most = near;
            best = hits[i].slot;
        }
    }
    return best;
}

static vt_status find_nearest(const vt_cells *c, const float *x, size_t *best, vt_err *err) {
    vt_ask ask;
    float *scores = vt_alloc_aligned(vt_cells_promises(c), sizeof *scores);
    if (!scores) {
        return vt_fail_nomem(err, vt_cells_promises(c) * sizeof *scores);
    }
    vt_status s = vt_ask_init(&ask, x, c->dim, err);
    if (s == VT_OK) {
        vt_cells_promise(c, &ask, NULL, scores);
        *best = nearest(c, x, scores);
        vt_ask_release(&ask);
    }
    free(scores);
    return s;
}

/* Tells whether the slot was in one. */
static bool leave_cell(vt_cells *c, uint32_t slot) {
    if (slot >= c->slots || c->place[slot] == VT_NOWHERE) {
        return false;
    }
    vt_cell *cell = &c->cells[c->place[slot]];
    vt_cell_drop(cell, c->dim, vt_cell_find(cell, slot));
    c->place[slot] = VT_NOWHERE;
    c->rows--;
    return true;
}

vt_status vt_cells_put(vt_cells *c, uint32_t slot, const float *x, vt_err *err) {
    size_t best = 0;
    vt_code code;
    assert(slot < c->slots);
    vt_status s = find_nearest(c, x, &best, err);
    vt_cell *cell = &c->cells[best];
    if (s == VT_OK) {
        s = vt_cell_reserve(cell, c->dim, cell->n + 1, err);
    }
    if (s != VT_OK) {
        return s;
    }
    leave_cell(c, slot);
    vt_code_make(x, &cell->centre, c->dim, &code);
    vt_cell_write(cell, c->dim, cell->n++, slot, &code);
    c->place[slot] = (uint32_t)best;
    c->rows++;
    c->changed++;
    return VT_OK;
}

void vt_cells_remove(vt_cells *c, uint32_t slot) {
    c->changed += leave_cell(c, slot);
}

/* ---- check ------------------------------------------------------------------------------ */

/* seen: a bit for every slot that a cell before this one, or a row before, has held. */
static vt_status check_cell(const vt_cells *c, size_t i, vt_bitset *seen, vt_err *err) {
    const vt_cell *cell = &c->cells[i];
    if (cell->n > cell->cap) {
        return vt_fail(err, VT_E_CORRUPT, "cell %zu: %zu rows do not fit %zu", i, cell->n,
                       cell->cap);
    }
    for (size_t r = 0; r < cell->n; r++) {
        uint32_t slot = cell->slots[r];
        if (slot >= c->slots || c->place[slot] != i) {
            return vt_fail(err, VT_E_CORRUPT, "cell %zu holds slot %u, whose place is elsewhere", i,
                           slot);
        }
        if (vt_bitset_get(seen, slot)) {
            return vt_fail(err, VT_E_CORRUPT, "cell %zu holds slot %u twice", i, slot);
        }
        vt_bitset_set(seen, slot, true);
    }
    return VT_OK;
}

vt_status vt_cells_check(const vt_cells *c, vt_err *err) {
    size_t held = 0, placed = 0;
    vt_bitset seen;
    vt_bitset_init(&seen);
    vt_status s = vt_bitset_resize(&seen, c->slots, err);
    for (size_t i = 0; s == VT_OK && i < c->n; i++) {
        s = check_cell(c, i, &seen, err);
        held += c->cells[i].n;
    }
    for (size_t i = 0; i < c->slots; i++) {
        placed += c->place[i] != VT_NOWHERE;
    }
    if (s == VT_OK && (held != placed || held != c->rows)) {
        s = vt_fail(err, VT_E_CORRUPT, "cells hold %zu rows, %zu have a place, %zu are counted",
                    held, placed, c->rows);
    }
    vt_bitset_release(&seen);
    return s;
}
