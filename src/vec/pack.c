/* Weights made ready for matrix.c: rounded to their precision and laid out in panels of VT_PANEL
 * columns, [groups][VT_PANEL] words of 4 bytes, inputs in the order in which a kernel meets them.
 *
 * int8: one scale a column, so that its largest weight becomes 127 (symmetric, no zero point: a
 * column's weights lie around 0). Behind the words of a panel stand its scales and what the inputs'
 * offset of 128 adds to each sum.
 *
 * Rejected: 7-bit weights, as kernels built on vpmaddubsw need lest its 16-bit sums overflow (the
 * instruction sets without vpdpbusd widen to 16 bits instead). */
#include "vec/kernels.h"

#include <math.h>

#define PACK_RUN  64    /* inputs converted at a time; a multiple of four */
#define INT8_DEEP 65536 /* inputs of which a sum still fits 32 bits */

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
           vt_size_mul(panels, vt_panel_words(m), bytes) &&
           vt_size_mul(*bytes, sizeof(uint32_t), bytes);
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
static int32_t round_to_int8(float *run, size_t n, float inverse) {
    int8_t whole[PACK_RUN] = {0};
    int32_t sum = 0;
    for (size_t i = 0; i < n; i++) {
        whole[i] = (int8_t)lrintf(run[i] * inverse);
        sum += whole[i];
    }
    memcpy(run, whole, sizeof whole);
    return sum;
}

/* Writes column c of a panel: down one column of its words. */
static void pack_column(const vt_mat *m, const vt_mat_part *part, const unsigned char *row,
                        uint32_t *panel, size_t c) {
    const size_t per_word = vt_inputs_per_word(m->precision);
    vt_int8_columns *columns = (vt_int8_columns *)(panel + vt_mat_groups(m) * VT_PANEL);
    float run[PACK_RUN], inverse = 0;
    int32_t sum = 0;
    if (m->precision == VT_PRECISION_INT8) {
        float most = largest_weight(m, part, row);
        inverse = vt_int8_inverse(most);
        columns->scale[c] = most / 127;
    }
    for (size_t i = 0; i < m->n_in; i += PACK_RUN) {
        uint32_t words[PACK_RUN];
        size_t n = run_length(m->n_in, i), n_words = (n + per_word - 1) / per_word;
        load_weights(part, row, i, n, run);
        memset(run + n, 0, (PACK_RUN - n) * sizeof *run);
        if (m->precision == VT_PRECISION_BF16) {
            vt_vec_kernels()->to_bf16(run, run, PACK_RUN);
        } else if (m->precision == VT_PRECISION_INT8) {
            sum += round_to_int8(run, n, inverse);
        }
        memcpy(words, run, sizeof words);
        for (size_t j = 0; j < n_words; j++) {
            panel[(i / per_word + j) * VT_PANEL + c] = words[j];
        }
    }
    if (m->precision == VT_PRECISION_INT8) {
        columns->offset[c] = 128 * sum;
    }
}

void vt_mat_pack(const vt_mat *m, const vt_mat_part *parts, size_t n_parts, void *panels) {
    const size_t words = vt_panel_words(m);
    uint32_t *to = panels;
    size_t column = 0;
    for (size_t i = 0; i < n_parts; i++) {
        const unsigned char *row = parts[i].w;
        for (size_t r = 0; r < parts[i].n_out; r++, column++) {
            uint32_t *panel = to + column / VT_PANEL * words;
            if (column % VT_PANEL == 0) {
                memset(panel, 0, words * sizeof *panel); /* padding of columns and of inputs */
            }
            pack_column(m, &parts[i], row, panel, column % VT_PANEL);
            row += m->n_in * vt_dtype_size(parts[i].type);
        }
    }
    assert(column == m->n_out);
}
