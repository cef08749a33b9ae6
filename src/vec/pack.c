/* Weights made ready for matrix.c: rounded to their precision and laid out in panels of VT_PANEL
 * columns, [groups][VT_PANEL] words of 4 bytes, or of 3 in compact panels, inputs in the order in
 * which a kernel meets them.
 *
 * int8: one scale a column, so that its largest weight becomes 127 (symmetric, no zero point: a
 * column's weights lie around 0). Behind the words of a panel stand its scales and what the inputs'
 * offset of 128 adds to each sum.
 *
 * Compact: a product of few rows waits for its weights, and the exponents of a column's weights
 * differ by few bits, so most of the eight that each has say nothing. A scale a column leaves four
 * in bf16; in f32 fixed point says in 24 bits what matters. That takes something from a column
 * whose largest weight is thousands of times the others, which none of a network is; how much is
 * told. (Zhang et al. 2025, DFloat11, code exponents without any loss, but then each must be read
 * for the next to be found.)
 *
 * Rejected: 7-bit weights, as kernels built on vpmaddubsw need lest its 16-bit sums overflow (the
 * instruction sets without vpdpbusd widen to 16 bits instead). */
#include "vec/kernels.h"

#include <math.h>

#define PACK_RUN  64    /* inputs converted at a time; a multiple of four */
#define INT8_DEEP 65536 /* inputs of which a sum still fits 32 bits */

#define COMPACT_ONE     0x1p22f /* of f32: the 24 bits of 1 */
#define COMPACT_WHOLE   0x1p30f /* the same as a kernel reads them: a 32-bit integer's upper ones */
#define COMPACT_LEAST   0x1p-13f /* of bf16 */
#define COMPACT_SMALL   0x1p-8f  /* of either: few weights of a network are below */
/* Columns whose largest weight is below have the scale of this one: scales stay normal numbers, and
 * their inverses finite. */
#define SMALLEST_COLUMN 0x1p-90f

static const char *const names[VT_PRECISIONS] = {"auto", "f32", "bf16", "int8"};

const char *vt_precision_name(vt_precision p) {
    return names[p];
}

vt_status vt_precision_parse(const char *text, vt_precision *out, vt_err *err) {
    for (size_t i = 0; i < VT_PRECISIONS; i++) {
        if (strcmp(text, names[i]) == 0) {
            *out = (vt_precision)i;
            return VT_OK;
        }
    }
    return vt_fail(err, VT_E_INVALID, "precision \"%s\" is none of auto, f32, bf16, int8", text);
}

vt_precision vt_vec_best_precision(void) {
    return vt_vec_kernels()->multiplies_bf16 ? VT_PRECISION_BF16 : VT_PRECISION_F32;
}

size_t vt_dtype_size(vt_dtype t) {
    return t == VT_F32 ? sizeof(float) : sizeof(uint16_t);
}

bool vt_mat_bytes(const vt_mat *m, size_t *bytes) {
    size_t panels = m->n_out / VT_PANEL + (m->n_out % VT_PANEL != 0);
    bool deep = m->precision == VT_PRECISION_INT8 && m->n_in > INT8_DEEP;
    *bytes = 0;
    return m->n_out > 0 && m->n_in > 0 && m->n_in < SIZE_MAX / (8 * VT_PANEL) && !deep &&
           vt_size_mul(panels, vt_panel_bytes(m), bytes);
}

/* ---- one column ------------------------------------------------------------------------- */

/* n weights from input `first` on, as floats, of a row that a file may have put at an odd address.
 */
static void load_weights(const vt_mat_part *part, const unsigned char *row, size_t first, size_t n,
                         float *out) {
    uint16_t half[PACK_RUN];
    row += first * vt_dtype_size(part->type);
    if (part->type == VT_F32) {
        memcpy(out, row, n * sizeof *out);
    } else {
        memcpy(half, row, n * sizeof *half);
        if (part->type == VT_F16) {
            vt_vec_from_f16(out, half, n);
        } else {
            vt_vec_from_bf16(out, half, n);
        }
    }
    for (size_t i = 0; i < n; i++) {
        out[i] *= part->scale;
    }
}

static size_t run_length(size_t n_in, size_t first) {
    return n_in - first < PACK_RUN ? n_in - first : PACK_RUN;
}

/* A NaN or an infinity makes it NaN: rounding must not hide a broken weight. */
static float largest_weight(const vt_mat *m, const vt_mat_part *part, const unsigned char *row) {
    float run[PACK_RUN], most = 0;
    for (size_t i = 0; i < m->n_in; i += PACK_RUN) {
        size_t n = run_length(m->n_in, i);
        load_weights(part, row, i, n, run);
        for (size_t j = 0; j < n; j++) {
            float size = fabsf(run[j]);
            most = size <= most ? most : size < INFINITY ? size : NAN;
            if (isnan(most)) {
                return most;
            }
        }
    }
    return most;
}

/* Rounds a run of weights in place; returns their sum. A sum of 64 bytes fits. */
static int32_t round_to_int8(float *run, size_t n) {
    int8_t whole[PACK_RUN] = {0};
    int32_t sum = 0;
    for (size_t i = 0; i < n; i++) {
        whole[i] = (int8_t)lrintf(run[i]);
        sum += whole[i];
    }
    memcpy(run, whole, sizeof whole);
    return sum;
}

/* ---- compact words ------------------------------------------------------------------------ */

/* Of a column whose largest weight is `most`. Rounded to bf16, that may be the next power of two.
 * NaN where there is none. */
static float compact_scale(const vt_mat *m, float most) {
    uint16_t bits;
    if (m->precision == VT_PRECISION_BF16) {
        vt_vec_kernels()->to_bf16(&bits, &most, 1);
        vt_vec_from_bf16(&most, &bits, 1);
    }
    return isfinite(most) ? ldexpf(1, ilogbf(fmaxf(most, SMALLEST_COLUMN))) : NAN;
}

/* Of a number below 2 in magnitude; what would be rounded to 2 has one bit too many. Returns what
 * was written. */
static float write_f32(float number, uint8_t *group, size_t column) {
    const long whole = lrintf(fminf(number * COMPACT_ONE, COMPACT_ONE * 2 - 1));
    for (size_t i = 0; i < VT_COMPACT_WORD; i++) {
        group[column * VT_COMPACT_WORD + i] = (uint8_t)((unsigned long)whole >> 8 * i);
    }
    return (float)whole / COMPACT_ONE;
}

/* Of a bfloat16 below 2 in magnitude, over bits that are still 0. */
static float write_bf16(float number, uint8_t *group, size_t place) {
    const float size = fabsf(number), least = COMPACT_LEAST;
    const float kept = copysignf(size >= least ? size : size >= least / 2 ? least : 0, number);
    uint32_t bits;
    memcpy(&bits, &kept, sizeof bits);
    const unsigned upper = (bits >> 28 & 8) | (bits >> 24 & 7);
    group[place] = (uint8_t)(bits >> 16);
    group[2 * VT_PANEL + place % VT_PANEL] |= (uint8_t)(place < VT_PANEL ? upper : upper << 4);
    return kept;
}

/* ---- a column ----------------------------------------------------------------------------- */

typedef struct column {
    const vt_mat *m;
    uint8_t *panel;
    size_t at;
    float inverse;     /* multiplies its weights before they are rounded */
    size_t n_small;    /* of compact words: weights below COMPACT_SMALL, */
    double size, lost; /* the sums of their squares, and of those of what rounding took */
} column;

static void write_compact(column *c, size_t first, const float *run, size_t n) {
    const bool whole_words = c->m->precision == VT_PRECISION_F32;
    const size_t group = vt_group_bytes(true), place = vt_compact_place(c->at);
    for (size_t i = 0; i < n; i++) {
        const size_t input = first + i;
        float kept = whole_words
                         ? write_f32(run[i], c->panel + input * group, c->at)
                         : write_bf16(run[i], c->panel + input / 2 * group, place + input % 2);
        if (fabsf(run[i]) < COMPACT_SMALL) {
            const double size = (double)run[i], lost = size - (double)kept;
            c->n_small++;
            c->size += size * size;
            c->lost += lost * lost;
        }
    }
}

/* Returns the sum of the weights of int8. */
static int32_t write_wide(const column *c, size_t first, float *run, size_t n) {
    const size_t per_word = vt_inputs_per_word(c->m->precision), group = vt_group_bytes(false);
    uint8_t *to = c->panel + first / per_word * group + c->at * sizeof *run;
    int32_t sum = 0;
    if (c->m->precision == VT_PRECISION_BF16) {
        vt_vec_kernels()->to_bf16(run, run, PACK_RUN);
    } else if (c->m->precision == VT_PRECISION_INT8) {
        sum = round_to_int8(run, n);
    }
    for (size_t i = 0; i < (n + per_word - 1) / per_word; i++, to += group) {
        memcpy(to, run + i, sizeof *run);
    }
    return sum;
}

/* Writes n weights from input `first` on down the column; `run`, of PACK_RUN, is spent. */
static int32_t pack_run(column *c, size_t first, size_t n, float *run) {
    for (size_t i = 0; i < PACK_RUN; i++) {
        run[i] = i < n ? run[i] * c->inverse : 0;
    }
    if (!c->m->compact) {
        return write_wide(c, first, run, n);
    }
    if (c->m->precision == VT_PRECISION_BF16) {
        uint16_t rounded[PACK_RUN];
        vt_vec_kernels()->to_bf16(rounded, run, PACK_RUN);
        vt_vec_from_bf16(run, rounded, PACK_RUN);
    }
    write_compact(c, first, run, n);
    return 0;
}

/* Returns what being compact takes from the column. */
static float pack_column(const vt_mat *m, const vt_mat_part *part, const unsigned char *row,
                         uint8_t *panel, size_t at) {
    vt_columns *columns = (void *)(panel + vt_words_bytes(m));
    const bool whole = m->precision == VT_PRECISION_INT8;
    column c = {.m = m, .panel = panel, .at = at, .inverse = 1};
    float run[PACK_RUN];
    int32_t sum = 0;
    if (whole) {
        const float most = largest_weight(m, part, row);
        c.inverse = vt_int8_inverse(most);
        columns->scale[at] = most / 127;
    } else if (m->compact) {
        const float scale = compact_scale(m, largest_weight(m, part, row));
        c.inverse = 1 / scale;
        columns->scale[at] = m->precision == VT_PRECISION_F32 ? scale / COMPACT_WHOLE : scale;
    }
    for (size_t i = 0; i < m->n_in; i += PACK_RUN) {
        const size_t n = run_length(m->n_in, i);
        load_weights(part, row, i, n, run);
        sum += pack_run(&c, i, n, run);
    }
    if (whole) {
        columns->offset[at] = 128 * sum;
    }
    return c.n_small > m->n_in / 2 && c.lost > 0 ? (float)sqrt(c.lost / c.size) : 0;
}

float vt_mat_pack(const vt_mat *m, const vt_mat_part *parts, size_t n_parts, void *panels) {
    const size_t bytes = vt_panel_bytes(m);
    uint8_t *to = panels;
    size_t at = 0;
    float lost = 0;
    assert(!m->compact || m->precision != VT_PRECISION_INT8);
    for (size_t i = 0; i < n_parts; i++) {
        const unsigned char *row = parts[i].w;
        for (size_t r = 0; r < parts[i].n_out; r++, at++) {
            uint8_t *panel = to + at / VT_PANEL * bytes;
            if (at % VT_PANEL == 0) {
                memset(panel, 0, bytes); /* padding of columns and of inputs */
            }
            lost = fmaxf(lost, pack_column(m, &parts[i], row, panel, at % VT_PANEL));
            row += m->n_in * vt_dtype_size(parts[i].type);
        }
    }
    assert(at == m->n_out);
    return lost;
}
