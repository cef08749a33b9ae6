/* Matrix product with packed weights: y = act(norm(x) W^T + bias) + residual.
 *
 * Method: Goto and van de Geijn 2008, "Anatomy of High-Performance Matrix Multiplication", with
 * the operands turned round: the weights never change, so they are packed once, in panels of
 * VT_PANEL output columns, input-major inside the panel; a kernel then reads one contiguous stream
 * of weights and keeps its sums in registers. The inputs are few rows (5 of a short text, 50 of an
 * image). They are made ready first, each row once: normalised, rounded to the precision of the
 * weights, padded, in the caller's scratch. One piece of work is then a panel by up to GROUP_ROWS
 * rows; its loop over runs of inputs is the outer one, so that a run of weights comes from memory
 * once and from the cache for every further row.
 *
 * Rejected: summing runs straight into y (y may be the residual too); reading inputs where they lie
 * (rows a multiple of 4 KB apart share one set of the L1 cache); rounding inputs in every piece
 * (with tiles it costs a quarter of the product); calling a BLAS (it packs at each call, and a
 * row's bits depend on how many rows there are).
 *
 * Threads: pieces of work are independent. Nothing is allocated in a product, so it cannot fail. */
#include "vec/kernels.h"

#define GROUP_ROWS     256 /* their inputs stay in the L2 cache while panel after panel passes */
#define WORTH_A_THREAD 400000u /* words multiplied: some 10 us, well above a hand-over */
#define STAGING_WORTH  20000u  /* floats made ready: likewise */

typedef struct product {
    const vt_kernels *k;
    const vt_product_kernels *p;
    const vt_mat *w;
    const vt_mat_mul_args *args;
    uint32_t *x;       /* [rows][x_stride], inputs made ready */
    float *row_scales; /* of int8 */
    size_t groups, x_stride;
    size_t n_groups; /* of rows; the rows are dealt out evenly */
} product;

/* ---- inputs ------------------------------------------------------------------------------- */

/* Wide enough for the floats of a row, which are rounded where they lie. */
static size_t row_stride(size_t n_in) {
    return (n_in + VT_GROUP_RUN - 1) / VT_GROUP_RUN * VT_GROUP_RUN + VT_ROW_PADDING;
}

bool vt_mat_scratch(size_t n_in, size_t rows, size_t *floats) {
    size_t stride;
    return vt_size_add(n_in, 2 * VT_GROUP_RUN + VT_ROW_PADDING, &stride) &&
           vt_size_mul(rows, row_stride(n_in) + 1, floats) &&
           vt_size_add(*floats, VT_GROUP_RUN, floats); /* rounded up to 64 bytes */
}

static void ready_row(const product *p, size_t r) {
    const size_t n_in = p->w->n_in;
    const float *from = p->args->x + r * p->args->x_stride;
    uint32_t *to = p->x + r * p->x_stride;
    if (p->args->norm) {
        p->k->layer_norm((float *)to, from, n_in, p->args->norm);
    } else {
        memcpy(to, from, n_in * sizeof *from);
    }
    if (p->w->precision == VT_PRECISION_BF16) {
        p->k->to_bf16(to, n_in);
    } else if (p->w->precision == VT_PRECISION_INT8) {
        p->row_scales[r] = p->k->to_int8(to, n_in);
    }
    size_t per_word = vt_inputs_per_word(p->w->precision);
    size_t used = n_in * sizeof(uint32_t) / per_word;
    memset((unsigned char *)to + used, 0, p->groups * sizeof(uint32_t) - used);
}

static void ready_range(void *ctx, size_t begin, size_t end) {
    for (size_t r = begin; r < end; r++) {
        ready_row(ctx, r);
    }
}

/* ---- sums --------------------------------------------------------------------------------- */

/* What one call of multiply computes: a panel by one group of rows. */
typedef struct piece {
    size_t row, rows; /* rows <= GROUP_ROWS */
    size_t panel;
    const uint32_t *words; /* of the panel */
} piece;

typedef struct piece_sums {
    _Alignas(64) float of[GROUP_ROWS][VT_PANEL];
} piece_sums;

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

/* Adds one run of inputs to the sums of a piece, a block of rows after the other. Each block
 * prefetches its share of the weights behind the run: the next one, or that of the next panel. */
static void add_run(const product *p, const piece *at, size_t group, piece_sums *sums) {
    size_t blocks = (at->rows + p->p->tile_rows - 1) / p->p->tile_rows;
    size_t left = p->groups - group, groups = left < VT_TILE_GROUPS ? left : VT_TILE_GROUPS;
    size_t lines = VT_PANEL * VT_GROUP_RUN / VT_LINE_WORDS / blocks;
    size_t block_lines = groups / VT_GROUP_RUN * lines;
    const uint32_t *w = at->words + group * VT_PANEL, *behind = w + groups * VT_PANEL;
    for (size_t b = 0; b < blocks; b++) {
        size_t row = vt_part_start(at->rows, blocks, b);
        vt_tile tile = {
            .sum = sums->of[row],
            .x = p->x + (at->row + row) * p->x_stride + group,
            .w = w,
            .x_stride = p->x_stride,
            .rows = vt_part_start(at->rows, blocks, b + 1) - row,
            .groups = groups,
            .ahead = behind + b * block_lines * VT_LINE_WORDS,
            .ahead_lines = lines,
        };
        p->p->tile(&tile);
    }
}

static void multiply(const product *p, const piece *at) {
    piece_sums sums;
    memset(sums.of, 0, at->rows * sizeof sums.of[0]);
    for (size_t group = 0; group < p->groups; group += VT_TILE_GROUPS) {
        add_run(p, at, group, &sums);
    }
    const void *columns = at->words + p->groups * VT_PANEL;
    for (size_t r = 0; r < at->rows; r++) {
        if (p->w->precision == VT_PRECISION_INT8) {
            p->k->from_int8(sums.of[r], columns, p->row_scales[at->row + r]);
        }
        finish_row(p, at->row + r, at->panel * VT_PANEL, sums.of[r]);
    }
}

static size_t panel_count(const vt_mat *m) {
    return (m->n_out + VT_PANEL - 1) / VT_PANEL;
}

/* Items are (group of rows, panel), the panel running fastest. */
static void multiply_range(void *ctx, size_t begin, size_t end) {
    const product *p = ctx;
    const uint32_t *panels = p->w->panels;
    size_t n_panels = panel_count(p->w);
    for (size_t i = begin; i < end; i++) {
        size_t group = i / n_panels, panel = i % n_panels;
        size_t row = vt_part_start(p->args->rows, p->n_groups, group);
        piece at = {
            .row = row,
            .rows = vt_part_start(p->args->rows, p->n_groups, group + 1) - row,
            .panel = panel,
            .words = panels + panel * vt_panel_words(p->w),
        };
        multiply(p, &at);
    }
}

void vt_mat_mul(const vt_mat *w, const vt_mat_mul_args *args, vt_pool *pool) {
    if (args->rows == 0) {
        return;
    }
    const vt_kernels *k = vt_vec_kernels();
    product p = {
        .k = k,
        .p = &k->product[w->precision],
        .w = w,
        .args = args,
        .x = (uint32_t *)args->scratch,
        .groups = vt_mat_groups(w),
        .x_stride = row_stride(w->n_in),
        .n_groups = (args->rows + GROUP_ROWS - 1) / GROUP_ROWS,
    };
    p.row_scales = args->scratch + args->rows * p.x_stride;
    vt_pool_for(pool, args->rows, 1 + STAGING_WORTH / w->n_in, ready_range, &p);
    size_t rows = vt_part_start(args->rows, p.n_groups, 1);
    size_t item = rows * p.groups * VT_PANEL;
    vt_pool_for(pool, p.n_groups * panel_count(w), 1 + WORTH_A_THREAD / item, multiply_range, &p);
}
