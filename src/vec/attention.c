/* Attention of one head: out = softmax(Q K^T) V, by the same tiles as the matrix product.
 *
 * Keys are laid out as a panel whose columns are the rows of the sequence, values as panels whose
 * columns are the head's numbers; then a block of queries against the first gives scores, and the
 * block's weights against the second give its output. Both are made once a head: 50 rows of an
 * image are some 25 KB. Where the mask hides rows from all of a block, their panels are left out;
 * where it hides them from some, their scores are computed and left out of the softmax: a tile has
 * its columns anyway.
 *
 * Rejected: a tiled softmax (Dao et al. 2022; at 50 to 257 rows the scores of a block fit the L1
 * cache); bf16 (scores are exponents: their error is relative to the largest). */
#include "vec/kernels.h"

#define BLOCK                                                                                      \
    13 /* most queries at a time: the tile of AVX-512; scores and sums stay in the L1 cache */

static size_t round_up(size_t n, size_t to) {
    return (n + to - 1) / to * to;
}

/* The working memory of one call, cut up; sizes in floats. */
typedef struct head {
    size_t depth;   /* dim, rounded up to VT_GROUP_RUN */
    size_t seen;    /* rows, rounded up to VT_GROUP_RUN */
    size_t columns; /* rows, rounded up to VT_PANEL */
    size_t width;   /* dim, rounded up to VT_PANEL */
    float *keys;    /* [columns / VT_PANEL][depth][VT_PANEL] */
    float *values;  /* [width / VT_PANEL][seen][VT_PANEL] */
    float *queries; /* [BLOCK][depth] */
    float *weights; /* [BLOCK][columns] */
} head;

static head cut_up(size_t rows, size_t dim, float *scratch) {
    head h = {
        .depth = round_up(dim, VT_GROUP_RUN),
        .seen = round_up(rows, VT_GROUP_RUN),
        .columns = round_up(rows, VT_PANEL),
        .width = round_up(dim, VT_PANEL),
        .keys = scratch,
    };
    h.values = h.keys + h.columns * h.depth;
    h.queries = h.values + h.seen * h.width;
    h.weights = h.queries + BLOCK * h.depth;
    return h;
}

bool vt_attention_scratch(size_t rows, size_t dim, size_t *floats) {
    size_t sides, product;
    if (rows > SIZE_MAX / 4 || dim > SIZE_MAX / 4) {
        return false;
    }
    rows = round_up(rows, VT_PANEL);
    dim = round_up(dim, VT_PANEL);
    return vt_size_add(rows, dim, &sides) && vt_size_mul(sides, BLOCK, &sides) &&
           vt_size_mul(rows, dim, &product) && vt_size_mul(product, 2, &product) &&
           vt_size_add(product, sides, floats);
}

/* Zeros, where no row or number is. */
static void pad_values(const vt_attention *a, const head *h) {
    const size_t line = VT_PANEL * sizeof(float);
    for (size_t d = 0; d < h->width; d += VT_PANEL) {
        const bool narrow = a->dim - d < VT_PANEL;
        float *values = h->values + d * h->seen;
        memset(narrow ? values : values + a->rows * VT_PANEL, 0,
               (narrow ? h->seen : h->seen - a->rows) * line);
    }
}

/* Columns of whole panels, n of which are wanted. */
static inline void copy_columns(float *to, const float *from, size_t n) {
    if (n == VT_PANEL) { /* a size that is known takes a few instructions, not a call */
        memcpy(to, from, VT_PANEL * sizeof *to);
    } else {
        memcpy(to, from, n * sizeof *to);
    }
}

static inline size_t panel_width(size_t columns, size_t first) {
    return columns - first < VT_PANEL ? columns - first : VT_PANEL;
}

static void lay_out(const vt_attention *a, const head *h) {
    pad_values(a, h);
    for (size_t r = 0; r < a->rows; r += VT_PANEL) {
        vt_vec_kernels()->transpose(h->keys + r * h->depth, a->k + r * a->stride, a->stride,
                                    panel_width(a->rows, r), a->dim);
    }
    for (size_t d = 0; d < a->dim; d += VT_PANEL) {
        for (size_t r = 0; r < a->rows; r++) {
            copy_columns(h->values + d * h->seen + r * VT_PANEL, a->v + r * a->stride + d,
                         panel_width(a->dim, d));
        }
    }
}

/* out[row][0..n) = x w, panel by panel. */
typedef struct small_product {
    const float *x, *panels;
    size_t rows, x_stride, groups, panel_groups; /* panel_groups: from one panel to the next */
    float *out;
    size_t n, out_stride;
} small_product;

static void multiply_block(const vt_kernels *k, const small_product *p) {
    _Alignas(64) float sums[BLOCK + VT_SPARE_ROWS][VT_PANEL];
    for (size_t c = 0; c < p->n; c += VT_PANEL) {
        vt_panel_product panel = {
            .sum = sums,
            .x = (const uint32_t *)p->x,
            .w = p->panels + c * p->panel_groups,
            .x_stride = p->x_stride,
            .rows = p->rows,
            .groups = p->groups,
        };
        k->multiply[VT_PRECISION_F32](&panel);
        for (size_t r = 0; r < p->rows; r++) {
            copy_columns(p->out + r * p->out_stride + c, sums[r], panel_width(p->n, c));
        }
    }
}

static void read_queries(const vt_attention *a, const head *h, size_t first, size_t rows) {
    for (size_t r = 0; r < rows; r++) {
        float *query = h->queries + r * h->depth;
        memcpy(query, a->q + (first - a->first + r) * a->stride, a->dim * sizeof *query);
        memset(query + a->dim, 0, (h->depth - a->dim) * sizeof *query);
    }
}

/* Scores to weights; none for what a row does not see, up to what the block sees. */
static void weigh(const vt_attention *a, const head *h, size_t first, size_t rows, size_t seen) {
    for (size_t r = 0; r < rows; r++) {
        float *weights = h->weights + r * h->columns;
        const size_t own = a->causal ? first + r + 1 : a->rows;
        vt_vec_kernels()->softmax(weights, own);
        memset(weights + own, 0, (seen - own) * sizeof *weights);
    }
}

static void attend_block(const vt_attention *a, const head *h, size_t first, size_t rows) {
    const vt_kernels *k = vt_vec_kernels();
    const size_t sees = a->causal ? first + rows : a->rows; /* rows, of which the last sees all */
    const size_t seen = round_up(sees, VT_GROUP_RUN);
    small_product scores = {
        .x = h->queries,
        .panels = h->keys,
        .rows = rows,
        .x_stride = h->depth,
        .groups = h->depth,
        .panel_groups = h->depth,
        .out = h->weights,
        .n = round_up(sees, VT_PANEL),
        .out_stride = h->columns,
    };
    small_product output = {
        .x = h->weights,
        .panels = h->values,
        .rows = rows,
        .x_stride = h->columns,
        .groups = seen,
        .panel_groups = h->seen,
        .out = a->out + (first - a->first) * a->out_stride,
        .n = a->dim,
        .out_stride = a->out_stride,
    };
    read_queries(a, h, first, rows);
    multiply_block(k, &scores);
    weigh(a, h, first, rows, seen);
    multiply_block(k, &output);
}

/* Blocks of even size: the last one would be a tile of a row or two. */
void vt_vec_attend(const vt_attention *a) {
    head h = cut_up(a->rows, a->dim, a->scratch);
    lay_out(a, &h);
    for (size_t i = 0, blocks = (a->count + BLOCK - 1) / BLOCK; i < blocks; i++) {
        size_t r = vt_part_start(a->count, blocks, i);
        attend_block(a, &h, a->first + r, vt_part_start(a->count, blocks, i + 1) - r);
    }
}
