/* Matrix product with packed weights: y = act(norm(x) W^T + bias) + residual.
 *
 * Method: Goto and van de Geijn 2008, "Anatomy of High-Performance Matrix Multiplication", with
 * the operands turned round: the weights never change, so they are packed once, in panels of
 * VT_PANEL output columns, input-major inside the panel; a kernel then reads one contiguous stream
 * of weights and keeps its sums in registers. The inputs are few rows (5 of a short text, 50 of an
 * image). Unless they lie as a kernel wants them, they are made ready first, each row once:
 * normalised, rounded to the precision of the weights, padded, in the caller's scratch. One piece
 * of work is then a panel by up to VT_GROUP_ROWS rows.
 *
 * Rejected: summing runs straight into y (y may be the residual too); reading inputs where they lie
 * whatever their stride (rows a multiple of 4 KB apart share one set of the L1 cache); rounding
 * inputs in every piece (with tiles it costs a quarter of the product); calling a BLAS (it packs at
 * each call, and a row's bits depend on how many rows there are).
 *
 * Threads: pieces of work are independent. Nothing is allocated in a product, so it cannot fail. */
#include "vec/kernels.h"

#define WORTH_THREADS 40000u /* words multiplied: some 1 us, above a hand-over's 0.3 */
#define STAGING_WORTH 3000u  /* floats made ready: likewise */

typedef struct product {
    const vt_kernels *k;
    const vt_mat *w;
    const vt_mat_mul_args *args;
    const uint32_t *x; /* [rows][x_stride], inputs made ready: in scratch, or where they lie */
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

/* The inputs where a kernel can read them as they are: whole words and whole steps of them, in rows
 * that do not compete for the same sets of a cache. Else NULL. */
static const uint32_t *ready_inputs(const vt_mat *w, const vt_mat_mul_args *a) {
    const void *x = a->x_bf16 ? (const void *)a->x_bf16 : a->x;
    const size_t per_word = a->x_bf16 ? 2 : 1, word = sizeof(uint32_t);
    const bool same = w->precision == (a->x_bf16 ? VT_PRECISION_BF16 : VT_PRECISION_F32);
    const bool whole = w->n_in % (per_word * VT_GROUP_RUN) == 0 && a->x_stride % per_word == 0 &&
                       (uintptr_t)x % word == 0;
    return same && whole && !a->norm && a->x_stride * word / per_word % 1024 != 0 ? x : NULL;
}

/* As floats: where they are, or in `to`. */
static const float *wide_inputs(const product *p, size_t r, float *to) {
    const vt_mat_mul_args *a = p->args;
    if (a->x_bf16) {
        p->k->from_bf16(to, a->x_bf16 + r * a->x_stride, p->w->n_in);
        return to;
    }
    if (a->norm) {
        p->k->layer_norm(to, a->x + r * a->x_stride, p->w->n_in, a->norm);
        return to;
    }
    return a->x + r * a->x_stride;
}

static void ready_row(const product *p, size_t r) {
    const size_t n_in = p->w->n_in;
    uint32_t *to = (uint32_t *)p->args->scratch + r * p->x_stride;
    const float *from = wide_inputs(p, r, (float *)to);
    if (p->w->precision == VT_PRECISION_BF16) {
        p->k->to_bf16(to, from, n_in);
    } else if (p->w->precision == VT_PRECISION_INT8) {
        p->row_scales[r] = p->k->to_int8(to, from, n_in);
    } else if (from != (const float *)to) {
        memcpy(to, from, n_in * sizeof *from);
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

static void make_ready(product *p, vt_pool *pool) {
    const size_t rows = p->args->rows;
    const bool few = rows * p->w->n_in < STAGING_WORTH;
    p->x = (const uint32_t *)p->args->scratch;
    p->row_scales = p->args->scratch + rows * p->x_stride;
    vt_pool_for(few ? NULL : pool, rows, 1, ready_range, p);
}

/* ---- sums --------------------------------------------------------------------------------- */

/* What one call of multiply computes: a panel by one group of rows. */
typedef struct piece {
    size_t row, rows; /* rows <= VT_GROUP_ROWS */
    size_t column;    /* the panel's first */
    const uint8_t *words;
} piece;

typedef struct piece_sums {
    _Alignas(64) float of[VT_GROUP_ROWS + VT_SPARE_ROWS][VT_PANEL];
} piece_sums;

/* The epilogue of the last panel of a matrix, which may be narrower than VT_PANEL: row by row. */
static void finish_narrow(const product *p, const piece *at, vt_finish f) {
    const size_t width = p->w->n_out - at->column;
    float y[VT_PANEL], bias[VT_PANEL] = {0}, residual[VT_PANEL] = {0};
    vt_finish one = f;
    one.y = y;
    one.y_bf16 = NULL;
    one.bias = bias;
    one.residual = residual;
    one.rows = 1;
    memcpy(bias, f.bias, width * sizeof *bias);
    for (size_t r = 0; r < at->rows; r++) {
        one.sum = f.sum + r * VT_PANEL;
        one.row_scales = f.offsets ? f.row_scales + r : NULL;
        memcpy(residual, f.residual + r * f.residual_stride, width * sizeof *residual);
        p->k->finish(&one);
        if (f.y_bf16) {
            p->k->to_bf16(y, y, width);
            memcpy(f.y_bf16 + r * f.y_stride, y, width * sizeof *f.y_bf16);
        } else {
            memcpy(f.y + r * f.y_stride, y, width * sizeof *y);
        }
    }
}

/* For every column of a panel. */
#define FOUR(x) (x), (x), (x), (x)
#define ALL(x)                                                                                     \
    { FOUR(x), FOUR(x), FOUR(x), FOUR(x), FOUR(x), FOUR(x), FOUR(x), FOUR(x) }
_Static_assert(VT_PANEL == 32, "ALL has as many");

static void finish(const product *p, const piece *at, const piece_sums *sums) {
    static const float zeros[VT_PANEL], ones[VT_PANEL] = ALL(1);
    const vt_mat_mul_args *a = p->args;
    const size_t offset = at->row * a->y_stride + at->column;
    const bool whole = p->w->precision == VT_PRECISION_INT8;
    const vt_columns *columns = (const void *)(at->words + vt_words_bytes(p->w));
    const vt_finish f = {
        .y = a->y_bf16 ? NULL : a->y + offset,
        .y_bf16 = a->y_bf16 ? a->y_bf16 + offset : NULL,
        .sum = sums->of[0],
        .scales = whole || p->w->compact ? columns->scale : ones,
        .offsets = whole ? columns->offset : NULL,
        .row_scales = whole ? p->row_scales + at->row : NULL,
        .bias = a->bias ? a->bias + at->column : zeros,
        .residual = a->residual ? a->residual + offset : zeros,
        .rows = at->rows,
        .y_stride = a->y_stride,
        .residual_stride = a->residual ? a->y_stride : 0,
        .act = a->act,
    };
    if (p->w->n_out - at->column >= VT_PANEL) {
        p->k->finish(&f);
    } else {
        finish_narrow(p, at, f);
    }
}

/* The bias lies where nothing streams: asked for now, it is there for the epilogue. Always inline:
 * gcc 12 takes a function that only prefetches for one without effect, and drops the calls. */
static inline __attribute__((always_inline)) void ask_for_bias(const float *bias) {
    for (size_t c = 0; c <= VT_PANEL;
         c += VT_PANEL / 2) { /* of three lines where it is unaligned */
        __builtin_prefetch(bias + c);
    }
}

static void multiply(const product *p, const piece *at) {
    piece_sums sums;
    if (p->args->bias) {
        ask_for_bias(p->args->bias + at->column);
    }
    const vt_multiply_fn *of_precision = p->w->compact ? p->k->multiply_compact : p->k->multiply;
    const vt_panel_product panel = {
        .sum = sums.of,
        .x = p->x + at->row * p->x_stride,
        .w = at->words,
        .x_stride = p->x_stride,
        .rows = at->rows,
        .groups = p->groups,
    };
    of_precision[p->w->precision](&panel);
    finish(p, at, &sums);
}

static size_t panel_count(const vt_mat *m) {
    return (m->n_out + VT_PANEL - 1) / VT_PANEL;
}

/* Items are (group of rows, panel), the panel running fastest. */
static void multiply_range(void *ctx, size_t begin, size_t end) {
    const product *p = ctx;
    const uint8_t *panels = p->w->panels;
    size_t n_panels = panel_count(p->w);
    for (size_t i = begin; i < end; i++) {
        size_t group = i / n_panels, panel = i % n_panels;
        size_t row = vt_part_start(p->args->rows, p->n_groups, group);
        piece at = {
            .row = row,
            .rows = vt_part_start(p->args->rows, p->n_groups, group + 1) - row,
            .column = panel * VT_PANEL,
            .words = panels + panel * vt_panel_bytes(p->w),
        };
        multiply(p, &at);
    }
}

void vt_mat_mul(const vt_mat *w, const vt_mat_mul_args *args, vt_pool *pool) {
    if (args->rows == 0) {
        return;
    }
    const vt_kernels *k = vt_vec_kernels();
    assert(!w->compact || k->multiply_compact[w->precision]);
    product p = {
        .k = k,
        .w = w,
        .args = args,
        .x = ready_inputs(w, args),
        .groups = vt_mat_groups(w),
        .x_stride = row_stride(w->n_in),
        .n_groups = (args->rows + VT_GROUP_ROWS - 1) / VT_GROUP_ROWS,
    };
    if (p.x) {
        p.x_stride = args->x_bf16 ? args->x_stride / 2 : args->x_stride;
    } else {
        make_ready(&p, pool);
    }
    size_t rows = vt_part_start(args->rows, p.n_groups, 1);
    size_t items = p.n_groups * panel_count(w), words = items * rows * p.groups * VT_PANEL;
    vt_pool_for(words < WORTH_THREADS ? NULL : pool, items, 1, multiply_range, &p);
}
