/* Matrix product with packed weights: y = act(x W^T + bias) + residual.
 *
 * Method: Goto and van de Geijn 2008, "Anatomy of High-Performance Matrix Multiplication", with
 * the operands turned round: the weights never change, so they are packed once, in panels of
 * VT_PANEL output columns, input-major inside the panel; a kernel then reads one contiguous stream
 * of weights and keeps its sums in registers. The inputs are few rows (5 of a short text, 50 of an
 * image) and are copied, a tile at a time, to the stack. One piece of work is up to
 * PANELS_AT_ONCE panels by up to GROUP_ROWS rows; its loop over runs of inputs is the outer one,
 * so that a run of weights comes from memory once and from the cache for every further row.
 *
 * Rejected: summing runs straight into y (y may be the residual too); reading inputs where they lie
 * (rows a multiple of 4 KB apart share one set of the L1 cache); calling a BLAS (it packs at each
 * call, and a row's bits depend on how many rows there are).
 *
 * Threads: pieces of work are independent. Nothing is allocated in a product, so it cannot fail. */
#include "vec/kernels.h"

#define PANELS_AT_ONCE 4
#define GROUP_ROWS     64
#define WORTH_A_THREAD 400000u /* multiply-adds: some 10 us, well above a hand-over */
#define PACK_RUN       64      /* inputs converted at a time while packing */

struct vt_mat {
    size_t n_out, n_in, n_panels;
    float *panels; /* [n_panels][n_in][VT_PANEL]; columns beyond n_out are zero */
};

size_t vt_dtype_size(vt_dtype t) {
    return t == VT_F32 ? sizeof(float) : sizeof(uint16_t);
}

/* ---- packing ---------------------------------------------------------------------------- */

/* NULL, and *err filled, where it cannot be had. */
static vt_mat *mat_new(size_t n_out, size_t n_in, vt_err *err) {
    size_t n_panels = n_out / VT_PANEL + (n_out % VT_PANEL != 0);
    size_t column, floats, bytes;
    if (n_out == 0 || n_in == 0) {
        vt_fail(err, VT_E_INVALID, "a matrix of %zu by %zu has nothing in it", n_out, n_in);
        return NULL;
    }
    if (!vt_size_mul(n_panels, VT_PANEL, &column) || !vt_size_mul(column, n_in, &floats) ||
        !vt_size_mul(floats, sizeof(float), &bytes)) {
        vt_fail(err, VT_E_TOO_LARGE, "a matrix of %zu by %zu is too large", n_out, n_in);
        return NULL;
    }
    vt_mat *m = vt_alloc(1, sizeof *m);
    float *panels = vt_alloc_aligned(floats, sizeof *panels);
    if (!m || !panels) {
        free(m);
        free(panels);
        vt_fail_nomem(err, bytes);
        return NULL;
    }
    *m = (vt_mat){.n_out = n_out, .n_in = n_in, .n_panels = n_panels, .panels = panels};
    return m;
}

/* n weights from `bytes`, which a model file may have put at an odd address. */
static void load_weights(vt_dtype type, float *out, const unsigned char *bytes, size_t n) {
    uint16_t half[PACK_RUN];
    if (type == VT_F32) {
        memcpy(out, bytes, n * sizeof *out);
        return;
    }
    memcpy(half, bytes, n * sizeof *half);
    if (type == VT_F16) {
        vt_vec_from_f16(out, half, n);
    } else {
        vt_vec_from_bf16(out, half, n);
    }
}

/* Writes output `column` of the matrix: down one column of one panel. */
static void pack_column(vt_mat *m, size_t column, vt_dtype type, const unsigned char *row) {
    float run[PACK_RUN];
    float *to = m->panels + (column / VT_PANEL) * m->n_in * VT_PANEL + column % VT_PANEL;
    for (size_t i = 0; i < m->n_in; i += PACK_RUN) {
        size_t n = m->n_in - i < PACK_RUN ? m->n_in - i : PACK_RUN;
        load_weights(type, run, row + i * vt_dtype_size(type), n);
        for (size_t j = 0; j < n; j++) {
            to[(i + j) * VT_PANEL] = run[j];
        }
    }
}

static void clear_padding(vt_mat *m) {
    size_t used = m->n_out % VT_PANEL;
    float *last = m->panels + (m->n_panels - 1) * m->n_in * VT_PANEL;
    for (size_t i = 0; used && i < m->n_in; i++) {
        memset(last + i * VT_PANEL + used, 0, (VT_PANEL - used) * sizeof(float));
    }
}

vt_status vt_mat_pack_many(vt_dtype type, const void *const *w, const size_t *n_out, size_t count,
                           size_t n_in, vt_mat **out, vt_err *err) {
    size_t total = 0;
    *out = NULL;
    for (size_t i = 0; i < count; i++) {
        if (!vt_size_add(total, n_out[i], &total)) {
            return vt_fail(err, VT_E_TOO_LARGE, "%zu matrices side by side are too large", count);
        }
    }
    vt_mat *m = mat_new(total, n_in, err);
    if (!m) {
        return err->status;
    }
    size_t column = 0;
    for (size_t i = 0; i < count; i++) {
        const unsigned char *row = w[i];
        for (size_t c = 0; c < n_out[i]; c++, row += n_in * vt_dtype_size(type)) {
            pack_column(m, column++, type, row);
        }
    }
    clear_padding(m);
    *out = m;
    return VT_OK;
}

vt_status vt_mat_pack(vt_dtype type, const void *w, size_t n_out, size_t n_in, vt_mat **out,
                      vt_err *err) {
    return vt_mat_pack_many(type, &w, &n_out, 1, n_in, out, err);
}

void vt_mat_close(vt_mat *m) {
    if (m) {
        free(m->panels);
        free(m);
    }
}

size_t vt_mat_n_out(const vt_mat *m) {
    return m->n_out;
}

size_t vt_mat_n_in(const vt_mat *m) {
    return m->n_in;
}

size_t vt_mat_bytes(const vt_mat *m) {
    return sizeof *m + m->n_panels * m->n_in * VT_PANEL * sizeof(float);
}

/* ---- product ---------------------------------------------------------------------------- */

typedef struct product {
    const vt_kernels *k;
    const vt_mat *w;
    const vt_mat_mul_args *args;
    size_t n_groups; /* of rows; the rows are dealt out evenly */
} product;

/* What one call of multiply computes: a few panels by one group of rows. */
typedef struct piece {
    size_t row, rows;     /* rows <= GROUP_ROWS */
    size_t panel, panels; /* panels <= PANELS_AT_ONCE */
} piece;

typedef struct piece_sums {
    _Alignas(64) float of[PANELS_AT_ONCE][GROUP_ROWS][VT_PANEL];
} piece_sums;

/* Start of part `i` when n things are dealt to `parts`; i == parts gives n. */
static size_t part_start(size_t n, size_t parts, size_t i) {
    size_t larger = n % parts; /* that many parts have one more */
    return i * (n / parts) + (i < larger ? i : larger);
}

static void copy_inputs(const product *p, float *tile, size_t row, size_t rows, size_t input,
                        size_t depth) {
    for (size_t r = 0; r < rows; r++) {
        const float *from = p->args->x + (row + r) * p->args->x_stride + input;
        memcpy(tile + r * VT_TILE_STRIDE, from, depth * sizeof(float));
    }
}

/* The epilogue of one row of one panel; the last panel of a matrix may be narrower. */
static void finish_row(const product *p, size_t row, size_t column, const float *sum) {
    static const float zeros[VT_PANEL];
    const vt_mat_mul_args *a = p->args;
    size_t at = row * a->y_stride + column;
    const float *bias = a->bias ? a->bias + column : zeros;
    const float *residual = a->residual ? a->residual + at : zeros;
    size_t width = p->w->n_out - column;
    if (width >= VT_PANEL) {
        p->k->finish(a->y + at, sum, bias, residual, a->act);
        return;
    }
    float narrow_y[VT_PANEL], narrow_bias[VT_PANEL] = {0}, narrow_residual[VT_PANEL] = {0};
    memcpy(narrow_bias, bias, width * sizeof(float));
    memcpy(narrow_residual, residual, width * sizeof(float));
    p->k->finish(narrow_y, sum, narrow_bias, narrow_residual, a->act);
    memcpy(a->y + at, narrow_y, width * sizeof(float));
}

/* Where the weights of a panel of this piece from `input` on lie. */
static const float *weights_of(const product *p, const piece *at, size_t q, size_t input) {
    return p->w->panels + ((at->panel + q) * p->w->n_in + input) * VT_PANEL;
}

/* What comes after this run of panel q: its next run, or else the first one of the panel in the
 * same place of the next piece; NULL where there is none. */
static const float *weights_after(const product *p, const piece *at, size_t q, size_t next_input) {
    if (next_input < p->w->n_in) {
        return weights_of(p, at, q, next_input);
    }
    size_t after = q + at->panels;
    return at->panel + after < p->w->n_panels ? weights_of(p, at, after, 0) : NULL;
}

/* Adds one run of inputs to the sums of a piece, a block of rows after the other. Each block
 * prefetches its share of the weights that follow. */
static void add_run(const product *p, const piece *at, size_t input, piece_sums *sums) {
    _Alignas(64) float x[VT_TILE_ROWS * VT_TILE_STRIDE];
    size_t blocks = (at->rows + p->k->tile_rows - 1) / p->k->tile_rows;
    size_t left = p->w->n_in - input, depth = left < VT_TILE_DEPTH ? left : VT_TILE_DEPTH;
    size_t lines = VT_PANEL * VT_AHEAD_EVERY / VT_LINE_FLOATS / blocks;
    size_t block_lines = depth / VT_AHEAD_EVERY * lines;
    for (size_t b = 0; b < blocks; b++) {
        size_t row = part_start(at->rows, blocks, b);
        size_t rows = part_start(at->rows, blocks, b + 1) - row;
        copy_inputs(p, x, at->row + row, rows, input, depth);
        for (size_t q = 0; q < at->panels; q++) {
            const float *after = weights_after(p, at, q, input + depth);
            vt_tile tile = {
                .sum = sums->of[q][row],
                .x = x,
                .w = weights_of(p, at, q, input),
                .rows = rows,
                .depth = depth,
                .ahead = after ? after + b * block_lines * VT_LINE_FLOATS : NULL,
                .ahead_lines = after ? lines : 0,
            };
            p->k->tile(&tile);
        }
    }
}

static void multiply(const product *p, const piece *at) {
    piece_sums sums;
    for (size_t q = 0; q < at->panels; q++) {
        memset(sums.of[q], 0, at->rows * sizeof sums.of[q][0]);
    }
    for (size_t input = 0; input < p->w->n_in; input += VT_TILE_DEPTH) {
        add_run(p, at, input, &sums);
    }
    for (size_t r = 0; r < at->rows; r++) {
        for (size_t q = 0; q < at->panels; q++) {
            finish_row(p, at->row + r, (at->panel + q) * VT_PANEL, sums.of[q][r]);
        }
    }
}

/* Items are (group of rows, panel), the panel running fastest. */
static void multiply_range(void *ctx, size_t begin, size_t end) {
    const product *p = ctx;
    size_t n_panels = p->w->n_panels;
    while (begin < end) {
        size_t group = begin / n_panels, panel = begin % n_panels;
        size_t row = part_start(p->args->rows, p->n_groups, group);
        size_t panels = n_panels - panel < end - begin ? n_panels - panel : end - begin;
        piece at = {
            .row = row,
            .rows = part_start(p->args->rows, p->n_groups, group + 1) - row,
            .panel = panel,
            .panels = panels < PANELS_AT_ONCE ? panels : PANELS_AT_ONCE,
        };
        multiply(p, &at);
        begin += at.panels;
    }
}

void vt_mat_mul(const vt_mat *w, const vt_mat_mul_args *args, vt_pool *pool) {
    if (args->rows == 0) {
        return;
    }
    product p = {
        .k = vt_vec_kernels(),
        .w = w,
        .args = args,
        .n_groups = (args->rows + GROUP_ROWS - 1) / GROUP_ROWS,
    };
    size_t rows = part_start(args->rows, p.n_groups, 1);
    size_t item = rows * w->n_in * VT_PANEL;
    vt_pool_for(pool, p.n_groups * w->n_panels, 1 + WORTH_A_THREAD / item, multiply_range, &p);
}
