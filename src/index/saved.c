/* The index as sections of a snapshot, and over them.
 *
 *     rows     the blocks of fine.c, as in memory
 *     centres  [cells][dim] float, rotated
 *     cells    for each a header of 64 bytes and its payload (cell.c) for as many rows as there are
 *     learnt   for each kind that was learnt: struct saved_learnt, then [cells] float
 *     index    struct saved_index, last
 *
 * Written in parts between which the index changes. Each block and each cell is whole, but they are
 * of different moments, so a row that changed between may be in two cells or in none. Who loads the
 * file knows which slots did not change (`keep`) and puts the others again. Sections may lie in the
 * map for as long as the index lives: a cell moves to memory of its own when it grows, and a change
 * to what lies in the map stays in this process.
 *
 * What is verified at load is all that a search relies on not to crash or to find a row twice:
 * sizes, places, slots, finite numbers. That codes are those of their rows is up to the checksums,
 * and to vt_index_check. */
#include "index/room.h"

#include <math.h>

#define LAYOUT       1 /* rises with every change of what sections look like */
#define PART_BYTES   ((size_t)2 << 20)
#define HEADER_BYTES 64

enum phase { ROWS, CENTRES, CELLS, LEARNT, HEADER, DONE };

/* Where a save has got to, in 64 bits. */
typedef struct progress {
    enum phase phase;
    uint32_t id; /* the lower 24 bits of the cells' */
    uint32_t next;
} progress;

typedef struct saved_index {
    uint32_t layout, dim;
    uint64_t cells, made_for, changed;
} saved_index;

typedef struct saved_cell {
    uint64_t rows;
    uint8_t zeros[HEADER_BYTES - sizeof(uint64_t)];
} saved_cell;

typedef struct saved_learnt {
    uint32_t kind;
    float factor, spread;
    float need[VT_DEPTHS][VT_LEVELS];
} saved_learnt;

static size_t cap_of(size_t rows) {
    return (rows + VT_CODE_ROWS - 1) / VT_CODE_ROWS * VT_CODE_ROWS;
}

/* ---- save ------------------------------------------------------------------------------- */

static uint32_t cells_id(const vt_index *ix) {
    return ix->cells ? (uint32_t)(ix->cells->id & 0xFFFFFF) : 0;
}

static progress unpack(uint64_t state) {
    return (progress){(enum phase)(state >> 56), (uint32_t)(state >> 32 & 0xFFFFFF),
                      (uint32_t)state};
}

static uint64_t pack(progress p) {
    return (uint64_t)p.phase << 56 | (uint64_t)p.id << 32 | p.next;
}

static vt_status save_rows(const vt_index *ix, vt_snapshot_writer *w, progress *p, vt_err *err) {
    vt_status s = p->next == 0 ? vt_snapshot_section(w, "rows", err) : VT_OK;
    if (s == VT_OK && p->next < ix->fine.n_blocks) {
        s = vt_snapshot_add(w, ix->fine.blocks[p->next++].rows, vt_fine_block_bytes(&ix->fine),
                            err);
    }
    if (p->next >= ix->fine.n_blocks) {
        *p = (progress){.phase = CENTRES, .id = p->id};
    }
    return s;
}

static vt_status save_centres(const vt_index *ix, vt_snapshot_writer *w, progress *p, vt_err *err) {
    const vt_cells *c = ix->cells;
    vt_status s = vt_snapshot_section(w, "centres", err);
    if (s == VT_OK && c) {
        s = vt_snapshot_add(w, c->centres, c->n * c->dim * sizeof *c->centres, err);
    }
    *p = (progress){.phase = CELLS, .id = p->id};
    return s;
}

/* As if its capacity were what it holds. */
static vt_status save_cell(const vt_cell *cell, size_t dim, vt_snapshot_writer *w, vt_err *err) {
    saved_cell head = {.rows = cell->n};
    size_t cap = cap_of(cell->n), floats = cap * sizeof(float);
    size_t codes = vt_cell_payload(dim, cap) - 3 * floats - cap * sizeof *cell->slots;
    const struct {
        const void *bytes;
        size_t n;
    } parts[] = {{&head, sizeof head},  {cell->codes, codes},
                 {cell->scale, floats}, {cell->along, floats},
                 {cell->error, floats}, {cell->slots, cap * sizeof *cell->slots}};
    vt_status s = VT_OK;
    for (size_t i = 0; s == VT_OK && i < (cap > 0 ? sizeof parts / sizeof *parts : 1); i++) {
        s = vt_snapshot_add(w, parts[i].bytes, parts[i].n, err);
    }
    return s;
}

static vt_status save_cells(const vt_index *ix, vt_snapshot_writer *w, progress *p, vt_err *err) {
    const vt_cells *c = ix->cells;
    size_t bytes = 0;
    vt_status s = p->next == 0 ? vt_snapshot_section(w, "cells", err) : VT_OK;
    for (; s == VT_OK && c && p->next < c->n && bytes < PART_BYTES; p->next++) {
        s = save_cell(&c->cells[p->next], c->dim, w, err);
        bytes += vt_cell_payload(c->dim, cap_of(c->cells[p->next].n));
    }
    if (!c || p->next >= c->n) {
        *p = (progress){.phase = LEARNT, .id = p->id};
    }
    return s;
}

static vt_status save_learnt(const vt_index *ix, vt_snapshot_writer *w, progress *p, vt_err *err) {
    vt_status s = vt_snapshot_section(w, "learnt", err);
    for (uint32_t k = 0; s == VT_OK && ix->cells && k < VT_QUERY_VECTOR; k++) {
        const vt_learnt *l = &ix->cells->learnt[k];
        saved_learnt head = {.kind = k, .factor = l->factor, .spread = l->spread};
        if (!l->beat) {
            continue;
        }
        memcpy(head.need, l->need, sizeof head.need);
        s = vt_snapshot_add(w, &head, sizeof head, err);
        if (s == VT_OK) {
            s = vt_snapshot_add(w, l->beat, ix->cells->n * sizeof *l->beat, err);
        }
    }
    *p = (progress){.phase = HEADER, .id = p->id};
    return s;
}

static vt_status save_header(const vt_index *ix, vt_snapshot_writer *w, progress *p, vt_err *err) {
    const vt_cells *c = ix->cells;
    saved_index head = {.layout = LAYOUT, .dim = (uint32_t)ix->dim};
    if (c) {
        head.cells = c->n;
        head.made_for = c->made_for;
        head.changed = c->changed;
    }
    vt_status s = vt_snapshot_section(w, "index", err);
    if (s == VT_OK) {
        s = vt_snapshot_add(w, &head, sizeof head, err);
    }
    *p = (progress){.phase = DONE, .id = p->id};
    return s;
}

vt_status vt_index_save(const vt_index *ix, vt_snapshot_writer *w, uint64_t *state, bool *more,
                        vt_err *err) {
    static vt_status (*const save[DONE])(const vt_index *, vt_snapshot_writer *, progress *,
                                         vt_err *) = {save_rows, save_centres, save_cells,
                                                      save_learnt, save_header};
    progress p = *state ? unpack(*state) : (progress){.phase = ROWS, .id = cells_id(ix)};
    *more = false;
    if (p.id != cells_id(ix) || p.phase >= DONE) {
        return vt_fail(err, VT_E_MISMATCH, "snapshot: the cells have been made anew");
    }
    vt_status s = save[p.phase](ix, w, &p, err);
    *state = pack(p);
    *more = s == VT_OK && p.phase < DONE;
    return s;
}

/* ---- load ------------------------------------------------------------------------------- */

typedef struct section {
    uint8_t *at;
    size_t n;
} section;

static vt_status find(const vt_snapshot *s, const char *name, section *out, vt_err *err) {
    out->at = vt_snapshot_find(s, name, &out->n);
    return out->at ? VT_OK : vt_fail(err, VT_E_CORRUPT, "section %s is missing", name);
}

static vt_status load_header(const vt_snapshot *s, size_t dim, saved_index *head, vt_err *err) {
    section x = {0};
    vt_status status = find(s, "index", &x, err);
    if (status != VT_OK) {
        return status;
    }
    if (x.n != sizeof *head) {
        return vt_fail(err, VT_E_CORRUPT, "section index has %zu bytes", x.n);
    }
    memcpy(head, x.at, sizeof *head);
    if (head->layout != LAYOUT || head->dim != dim) {
        return vt_fail(err, VT_E_CORRUPT, "layout %u of %u dimensions, not %d of %zu", head->layout,
                       head->dim, LAYOUT, dim);
    }
    bool coded = dim >= VT_CODED_DIM_MIN && dim <= VT_CODED_DIM_MAX;
    if (head->cells > UINT32_MAX - 1 || (head->cells > 0 && !coded)) {
        return vt_fail(err, VT_E_CORRUPT, "%llu cells", (unsigned long long)head->cells);
    }
    return VT_OK;
}

static vt_status load_rows(const vt_snapshot *s, vt_index *ix, vt_err *err) {
    section x = {0};
    size_t bytes = vt_fine_block_bytes(&ix->fine);
    vt_status status = find(s, "rows", &x, err);
    if (status == VT_OK && x.n % bytes != 0) {
        status = vt_fail(err, VT_E_CORRUPT, "section rows ends within a block");
    }
    for (size_t at = 0; status == VT_OK && at < x.n; at += bytes) {
        status = vt_fine_map_block(&ix->fine, x.at + at, err);
    }
    return status;
}

/* Rows that are not kept must not be in the next file either. */
static void forget_rows(vt_index *ix) {
    for (size_t slot = 0; slot < ix->fine.n_blocks * ix->fine.block_rows; slot++) {
        if (!vt_bitset_get(&ix->live, slot) && vt_fine_step(&ix->fine, slot) != 0) {
            vt_fine_clear(&ix->fine, slot);
        }
    }
}

static vt_status keep_slot(vt_index *ix, size_t slot, float *x, vt_err *err) {
    if (slot / ix->fine.block_rows >= ix->fine.n_blocks) {
        return vt_fail(err, VT_E_CORRUPT, "slot %zu has no row", slot);
    }
    vt_fine_read(&ix->fine, slot, x);
    if (!vt_index_row_unit(ix, x)) {
        return vt_fail(err, VT_E_CORRUPT, "slot %zu: its row is not of length 1", slot);
    }
    vt_bitset_set(&ix->live, slot, true);
    ix->live_count++;
    return VT_OK;
}

static vt_status keep_live(vt_index *ix, const vt_bitset *keep, vt_err *err) {
    float *x = vt_alloc_aligned(vt_index_padded(ix), sizeof *x);
    vt_status s = x ? vt_bitset_resize(&ix->live, keep->n, err)
                    : vt_fail_nomem(err, vt_index_padded(ix) * sizeof *x);
    for (size_t slot = 0; s == VT_OK && slot < keep->n; slot++) {
        if (vt_bitset_get(keep, slot)) {
            s = keep_slot(ix, slot, x, err);
        }
    }
    if (s == VT_OK) {
        forget_rows(ix);
    }
    free(x);
    return s;
}

static bool all_finite(const float *x, size_t n) {
    float sum = 0; /* 0 * x is NaN where x is not finite */
    for (size_t i = 0; i < n; i++) {
        sum += 0 * x[i];
    }
    return sum == 0;
}

static vt_status open_cells(const vt_snapshot *s, vt_index *ix, const saved_index *head,
                            vt_err *err) {
    section x = {0};
    size_t floats = 0;
    vt_status status = find(s, "centres", &x, err);
    if (status != VT_OK) {
        return status;
    }
    if (!vt_size_mul((size_t)head->cells, ix->dim, &floats) || x.n / sizeof(float) != floats ||
        x.n % sizeof(float) != 0 || !all_finite((const float *)(const void *)x.at, floats)) {
        return vt_fail(err, VT_E_CORRUPT, "section centres is not %llu vectors",
                       (unsigned long long)head->cells);
    }
    status = vt_cells_open(ix->dim, (size_t)head->cells, (const float *)(const void *)x.at,
                           (size_t)head->made_for, &ix->cells, err);
    if (status == VT_OK) {
        ix->cells->id = ++ix->made;
        ix->cells->changed = (size_t)head->changed;
        status = vt_cells_reserve(ix->cells, ix->live.n, err);
    }
    return status;
}

/* Places the rows of a cell and drops those that are not to be kept. */
static vt_status place_rows(vt_index *ix, uint32_t number, vt_err *err) {
    vt_cells *c = ix->cells;
    vt_cell *cell = &c->cells[number];
    for (size_t i = 0; i < cell->n;) {
        uint32_t slot = cell->slots[i];
        if (!vt_bitset_get(&ix->live, slot)) {
            vt_cell_drop(cell, c->dim, i);
            continue;
        }
        if (c->place[slot] != VT_NOWHERE) {
            return vt_fail(err, VT_E_CORRUPT, "slot %u is in cells %u and %u", slot, c->place[slot],
                           number);
        }
        c->place[slot] = number;
        c->rows++;
        i++;
    }
    return VT_OK;
}

/* Lays one cell over the section from *at on. */
static vt_status load_cell(vt_index *ix, uint32_t number, const section *x, size_t *at,
                           vt_err *err) {
    vt_cell *cell = &ix->cells->cells[number];
    saved_cell head;
    size_t left = x->n - *at;
    if (left < sizeof head) {
        return vt_fail(err, VT_E_CORRUPT, "section cells ends before cell %u", number);
    }
    memcpy(&head, x->at + *at, sizeof head);
    if (head.rows > (left - sizeof head) / sizeof(uint32_t) ||
        vt_cell_payload(ix->dim, cap_of((size_t)head.rows)) > left - sizeof head) {
        return vt_fail(err, VT_E_CORRUPT, "cell %u: %llu rows go beyond the section", number,
                       (unsigned long long)head.rows);
    }
    size_t cap = cap_of((size_t)head.rows);
    if (cap > 0) {
        cell->mapped = true;
        cell->n = (size_t)head.rows;
        vt_cell_lay(cell, ix->dim, cap, x->at + *at + sizeof head);
        if (!all_finite(cell->scale, 3 * cap)) {
            return vt_fail(err, VT_E_CORRUPT, "cell %u: a number is not finite", number);
        }
    }
    *at += sizeof head + vt_cell_payload(ix->dim, cap);
    return place_rows(ix, number, err);
}

static vt_status load_cells(const vt_snapshot *s, vt_index *ix, const saved_index *head,
                            vt_err *err) {
    section x = {0};
    size_t at = 0;
    vt_status status = open_cells(s, ix, head, err);
    if (status == VT_OK) {
        status = find(s, "cells", &x, err);
    }
    for (uint32_t i = 0; status == VT_OK && i < head->cells; i++) {
        status = load_cell(ix, i, &x, &at, err);
    }
    if (status == VT_OK && (at != x.n || ix->cells->rows != ix->live_count)) {
        status = vt_fail(err, VT_E_CORRUPT, "cells hold %zu of %zu rows", ix->cells->rows,
                         ix->live_count);
    }
    return status;
}

static bool sound(const saved_learnt *l) {
    bool fine = l->kind < VT_QUERY_VECTOR && l->factor >= 1 && isfinite(l->factor) &&
                l->spread >= 0 && isfinite(l->spread);
    for (size_t d = 0; d < VT_DEPTHS; d++) {
        for (size_t i = 0; i < VT_LEVELS; i++) {
            fine = fine && l->need[d][i] >= 0 && l->need[d][i] <= 1;
        }
    }
    return fine;
}

static vt_status load_learnt(const vt_snapshot *s, vt_cells *c, vt_err *err) {
    section x = {0};
    size_t beat = c->n * sizeof(float), at = 0;
    vt_status status = find(s, "learnt", &x, err);
    while (status == VT_OK && at < x.n) {
        saved_learnt head;
        if (x.n - at < sizeof head + beat) {
            return vt_fail(err, VT_E_CORRUPT, "section learnt ends within a kind");
        }
        memcpy(&head, x.at + at, sizeof head);
        const float *values = (const float *)(const void *)(x.at + at + sizeof head);
        if (!sound(&head) || c->learnt[head.kind].beat || !all_finite(values, c->n)) {
            return vt_fail(err, VT_E_CORRUPT, "section learnt: kind %u", head.kind);
        }
        vt_learnt *l = &c->learnt[head.kind];
        l->beat = vt_alloc(c->n, sizeof *l->beat);
        if (!l->beat) {
            return vt_fail_nomem(err, beat);
        }
        memcpy(l->beat, values, beat);
        memcpy(l->need, head.need, sizeof l->need);
        l->factor = head.factor;
        l->spread = head.spread;
        at += sizeof head + beat;
    }
    return status;
}

vt_status vt_index_load(const vt_snapshot *s, size_t dim, const vt_bitset *keep, vt_index **out,
                        vt_err *err) {
    saved_index head = {0};
    vt_index *ix = NULL;
    *out = NULL;
    vt_status status = load_header(s, dim, &head, err);
    if (status == VT_OK) {
        status = vt_index_open(dim, &ix, err);
    }
    if (status == VT_OK) {
        status = load_rows(s, ix, err);
    }
    if (status == VT_OK) {
        status = keep_live(ix, keep, err);
    }
    if (status == VT_OK && head.cells > 0) {
        status = load_cells(s, ix, &head, err);
    }
    if (status == VT_OK && head.cells > 0) {
        status = load_learnt(s, ix->cells, err);
    }
    if (status == VT_OK) {
        *out = ix;
    } else {
        vt_index_close(ix);
    }
    return status;
}
