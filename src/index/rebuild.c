/* Making cells anew while the index is in use.
 *
 * The sample is drawn from the rows as they are, the centres are found without looking at the
 * index, and the rows move over some hundreds at a time: first all find their centre, so that every
 * cell is made to its size, then their codes are made. Who changes a row meanwhile sets a bit
 * (index.c's note); those rows are moved once more, and at the end, when none of them is left, the
 * new cells take the place of the old.
 *
 * Rejected: splitting cells as they grow (SPFresh, SOSP 2023): nothing is ever made anew, but each
 * cut is only as good as its cell was, and a catalogue is imported at once and changes slowly
 * after. With a rebuild each time it has grown by half, all rebuilds together cost three times the
 * last. */
#include "index/kmeans.h"
#include "index/room.h"

#include <math.h>

#define SAMPLE_OF_CELL 32
#define CELLS_OF_ROOT  2.0 /* cells: this times the square root of the rows */
#define DRAW_AHEAD     8   /* rows */
#define ROWS_MIN       4   /* there must be as many as cells */
#define SIZE_AT_A_TIME 32  /* cells: their memory is touched for the first time */
#define CATCH_UP_STEP  128 /* noted slots moved at a time */
#define CATCH_UP       64  /* noted slots left for the end, unless they come faster than they go */

enum phase { ASSIGN, SIZE, FILL, CATCH };

struct vt_rebuild {
    vt_index *ix;
    size_t n_cells, n_sample;
    uint8_t *sample; /* [n_sample] rows of ix->fine */
    float *steps;    /* theirs */
    float *x;        /* [n_sample][padded], while centres are looked for */
    vt_kmeans kmeans;
    float *centres; /* [n_cells][dim] */
    vt_assigner assigner;
    vt_cells *cells; /* those being filled */
    vt_bitset noted;
    enum phase phase;
    size_t next;   /* slot, or cell to be sized */
    size_t behind; /* slots noted when the last step of catching up began */
    size_t slots;  /* those below are moved slot by slot, others are noted when they are put */
    float *rows;   /* [VT_ASSIGN_ROWS][padded] */
};

bool vt_index_rebuild_due(const vt_index *ix) {
    const vt_cells *c = ix->cells;
    if (!vt_index_wants_cells(ix)) {
        return false;
    }
    return !c || c->changed > c->made_for / 2;
}

/* All live slots, and among the first n_sample of them each as likely as any other (Fisher and
 * Yates). */
static void shuffle_live(const vt_rebuild *r, uint32_t *slots) {
    const vt_index *ix = r->ix;
    uint64_t state = 1;
    size_t n = 0;
    for (size_t slot = 0; slot < ix->live.n; slot++) {
        if (vt_bitset_get(&ix->live, slot)) {
            slots[n++] = (uint32_t)slot;
        }
    }
    assert(n >= r->n_sample);
    for (size_t i = 0; i < r->n_sample; i++) {
        size_t j = i + (size_t)(vt_next_random(&state) % (n - i));
        uint32_t slot = slots[j];
        slots[j] = slots[i];
        slots[i] = slot;
    }
}

/* Everybody waits meanwhile, for memory above all: rows are asked for some time before they are
 * copied. */
static vt_status draw_sample(vt_rebuild *r, vt_err *err) {
    const vt_fine *f = &r->ix->fine;
    uint32_t *slots = vt_alloc(r->ix->live_count, sizeof *slots);
    if (!slots) {
        return vt_fail_nomem(err, r->ix->live_count * sizeof *slots);
    }
    shuffle_live(r, slots);
    for (size_t i = 0; i < r->n_sample; i++) {
        if (i + DRAW_AHEAD < r->n_sample) {
            vt_fine_prefetch(f, slots[i + DRAW_AHEAD]);
        }
        memcpy(r->sample + i * f->row_bytes, vt_fine_row(f, slots[i]), f->row_bytes);
        r->steps[i] = vt_fine_step(f, slots[i]);
    }
    free(slots);
    return VT_OK;
}

vt_status vt_rebuild_open(vt_index *ix, vt_rebuild **out, vt_err *err) {
    vt_status s = VT_OK;
    *out = NULL;
    if (ix->noted) {
        return vt_fail(err, VT_E_INVALID, "rebuild: another one is open");
    }
    if (ix->live_count < ROWS_MIN || ix->dim < VT_CODED_DIM_MIN || ix->dim > VT_CODED_DIM_MAX) {
        return vt_fail(err, VT_E_INVALID, "rebuild: no cells for %zu vectors of %zu dimensions",
                       ix->live_count, ix->dim);
    }
    vt_rebuild *r = vt_alloc(1, sizeof *r);
    if (!r) {
        return vt_fail_nomem(err, sizeof *r);
    }
    r->ix = ix;
    r->slots = ix->live.n;
    r->behind = SIZE_MAX;
    r->n_cells = (size_t)(CELLS_OF_ROOT * sqrt((double)ix->live_count));
    r->n_sample = r->n_cells * SAMPLE_OF_CELL;
    r->n_sample = r->n_sample < ix->live_count ? r->n_sample : ix->live_count;
    r->sample = vt_alloc(r->n_sample, ix->fine.row_bytes);
    r->steps = vt_alloc(r->n_sample, sizeof *r->steps);
    vt_bitset_init(&r->noted);
    if (!r->sample || !r->steps) {
        s = vt_fail_nomem(err, r->n_sample * ix->fine.row_bytes);
        vt_rebuild_close(r);
        return s;
    }
    s = vt_bitset_resize(&r->noted, r->slots, err);
    if (s == VT_OK) {
        s = draw_sample(r, err);
    }
    if (s != VT_OK) {
        vt_rebuild_close(r);
        return s;
    }
    ix->noted = &r->noted;
    *out = r;
    return VT_OK;
}

void vt_rebuild_close(vt_rebuild *r) {
    if (!r) {
        return;
    }
    if (r->ix->noted == &r->noted) {
        r->ix->noted = NULL;
    }
    vt_kmeans_close(&r->kmeans);
    vt_assigner_close(&r->assigner);
    vt_cells_close(r->cells);
    vt_bitset_release(&r->noted);
    free(r->sample);
    free(r->steps);
    free(r->x);
    free(r->centres);
    free(r->rows);
    free(r);
}

/* ---- centres ---------------------------------------------------------------------------- */

static vt_status begin_centres(vt_rebuild *r, vt_err *err) {
    const vt_fine *f = &r->ix->fine; /* its shape, which never changes */
    size_t padded = vt_index_padded(r->ix), dim = r->ix->dim;
    r->x = vt_alloc_aligned(r->n_sample * padded, sizeof *r->x);
    r->centres = vt_alloc(r->n_cells * dim, sizeof *r->centres);
    r->rows = vt_alloc_aligned(VT_ASSIGN_ROWS * padded, sizeof *r->rows);
    if (!r->x || !r->centres || !r->rows) {
        return vt_fail_nomem(err, (r->n_sample + r->n_cells) * padded * sizeof *r->x);
    }
    for (size_t i = 0; i < r->n_sample; i++) {
        vt_fine_decode(f, r->sample + i * f->row_bytes, r->steps[i], r->x + i * padded);
    }
    r->kmeans = (vt_kmeans){.x = r->x,
                            .stride = padded,
                            .rows = r->n_sample,
                            .dim = dim,
                            .n = r->n_cells,
                            .centres = r->centres};
    return vt_kmeans_open(&r->kmeans, err);
}

static vt_status end_centres(vt_rebuild *r, vt_err *err) {
    size_t dim = r->ix->dim;
    vt_status s;
    vt_kmeans_close(&r->kmeans);
    free(r->x);
    r->x = NULL;
    s = vt_assigner_open(dim, r->n_cells, &r->assigner, err);
    if (s == VT_OK) {
        vt_assigner_set(&r->assigner, r->centres);
        s = vt_cells_open(dim, r->n_cells, r->centres, r->n_sample, &r->cells, err);
    }
    return s == VT_OK ? vt_cells_reserve(r->cells, r->slots, err) : s;
}

vt_status vt_rebuild_train(vt_rebuild *r, vt_pool *pool, bool *more, vt_err *err) {
    vt_status s = r->x ? VT_OK : begin_centres(r, err);
    *more = s == VT_OK && vt_kmeans_step(&r->kmeans, pool);
    return s == VT_OK && !*more ? end_centres(r, err) : s;
}

/* ---- steps ------------------------------------------------------------------------------ */

/* The next live slots, with their rows in r->rows; fewer only at the end. */
static size_t take_rows(vt_rebuild *r, uint32_t slots[VT_ASSIGN_ROWS]) {
    size_t n = 0, padded = vt_index_padded(r->ix);
    for (; n < VT_ASSIGN_ROWS && r->next < r->slots; r->next++) {
        if (vt_bitset_get(&r->ix->live, r->next)) {
            vt_fine_read(&r->ix->fine, r->next, r->rows + n * padded);
            slots[n++] = (uint32_t)r->next;
        }
    }
    return n;
}

static void assign_some(vt_rebuild *r, vt_pool *pool) {
    uint32_t slots[VT_ASSIGN_ROWS], to[VT_ASSIGN_ROWS];
    size_t n = take_rows(r, slots);
    if (n > 0) {
        vt_assigner_run(&r->assigner, r->rows, vt_index_padded(r->ix), n, to, pool);
    }
    for (size_t i = 0; i < n; i++) {
        r->cells->place[slots[i]] = to[i];
        r->cells->cells[to[i]].n++; /* counted, for now */
    }
}

/* The next cells get their size, and are empty again. */
static vt_status size_some(vt_rebuild *r, vt_err *err) {
    vt_status s = VT_OK;
    for (size_t i = 0; s == VT_OK && i < SIZE_AT_A_TIME && r->next < r->n_cells; i++) {
        vt_cell *cell = &r->cells->cells[r->next++];
        size_t rows = cell->n;
        cell->n = 0;
        s = vt_cell_reserve(cell, r->ix->dim, rows, err);
    }
    return s;
}

typedef struct filling {
    vt_rebuild *r;
    uint32_t slots[VT_ASSIGN_ROWS];
    uint32_t at[VT_ASSIGN_ROWS]; /* where in its cell each goes */
} filling;

static void fill_rows(void *ctx, size_t begin, size_t end) {
    const filling *f = ctx;
    vt_cells *c = f->r->cells;
    size_t padded = vt_index_padded(f->r->ix);
    vt_code code;
    for (size_t i = begin; i < end; i++) {
        vt_cell *cell = &c->cells[c->place[f->slots[i]]];
        vt_code_make(f->r->rows + i * padded, &cell->centre, c->dim, &code);
        vt_cell_write(cell, c->dim, f->at[i], f->slots[i], &code);
    }
}

/* Those assigned that have died since are in no cell. */
static void forget_dead(vt_rebuild *r, size_t from) {
    for (size_t slot = from; slot < r->next; slot++) {
        if (!vt_bitset_get(&r->ix->live, slot)) {
            r->cells->place[slot] = VT_NOWHERE;
        }
    }
}

/* A slot that has come to life since all were assigned has no place: it is noted, and passed over.
 */
static void fill_some(vt_rebuild *r, vt_pool *pool) {
    filling f = {.r = r};
    vt_cells *c = r->cells;
    size_t padded = vt_index_padded(r->ix), n = 0, from = r->next;
    size_t taken = take_rows(r, f.slots);
    for (size_t i = 0; i < taken; i++) {
        if (c->place[f.slots[i]] == VT_NOWHERE) {
            continue;
        }
        f.at[n] = (uint32_t)c->cells[c->place[f.slots[i]]].n++;
        f.slots[n] = f.slots[i];
        memmove(r->rows + n * padded, r->rows + i * padded, padded * sizeof *r->rows);
        n++;
    }
    vt_pool_for(pool, n, 16, fill_rows, &f);
    c->rows += n;
    forget_dead(r, from);
}

static vt_status move_noted(vt_rebuild *r, uint32_t slot, vt_err *err) {
    vt_status s = VT_OK;
    if (vt_bitset_get(&r->ix->live, slot)) {
        vt_fine_read(&r->ix->fine, slot, r->rows);
        s = vt_cells_reserve(r->cells, (size_t)slot + 1, err);
        if (s == VT_OK) {
            s = vt_cells_put(r->cells, slot, r->rows, err);
        }
    } else {
        vt_cells_remove(r->cells, slot);
    }
    if (s == VT_OK) {
        vt_bitset_set(&r->noted, slot, false);
    }
    return s;
}

static vt_status catch_up(vt_rebuild *r, size_t most, vt_err *err) {
    vt_status s = VT_OK;
    for (size_t w = 0; w * VT_WORD_SLOTS < r->noted.n; w++) {
        for (uint64_t bits = r->noted.words[w]; bits && most > 0; bits &= bits - 1, most--) {
            s = move_noted(r, (uint32_t)(w * VT_WORD_SLOTS + (unsigned)__builtin_ctzll(bits)), err);
            if (s != VT_OK) {
                return s;
            }
        }
    }
    return s;
}

/* There is more to do as long as each step is less behind than the one before: where changes come
 * faster than they are brought in, going on would never end. */
static vt_status catch_up_some(vt_rebuild *r, bool *more, vt_err *err) {
    size_t behind = vt_bitset_count(&r->noted);
    vt_status s = catch_up(r, CATCH_UP_STEP, err);
    *more = behind < r->behind && vt_bitset_count(&r->noted) > CATCH_UP;
    r->behind = behind;
    return s;
}

vt_status vt_rebuild_step(vt_rebuild *r, vt_pool *pool, bool *more, vt_err *err) {
    vt_status s = VT_OK;
    *more = true;
    if (r->phase == CATCH) {
        return catch_up_some(r, more, err);
    }
    if (r->phase == ASSIGN) {
        assign_some(r, pool);
    } else if (r->phase == SIZE) {
        s = size_some(r, err);
    } else {
        fill_some(r, pool);
    }
    if (s == VT_OK && r->next == (r->phase == SIZE ? r->n_cells : r->slots)) {
        r->next = 0;
        r->phase++;
    }
    return s;
}

vt_status vt_rebuild_finish(vt_rebuild *r, vt_err *err) {
    vt_index *ix = r->ix;
    vt_status s = vt_cells_reserve(r->cells, ix->live.n, err);
    if (s == VT_OK) {
        s = catch_up(r, SIZE_MAX, err);
    }
    if (s != VT_OK) {
        return s;
    }
    assert(r->cells->rows == ix->live_count);
    r->cells->made_for = ix->live_count;
    r->cells->changed = 0;
    r->cells->id = ++ix->made;
    vt_cells_close(ix->cells);
    ix->cells = r->cells;
    r->cells = NULL;
    ix->noted = NULL;
    return VT_OK;
}
