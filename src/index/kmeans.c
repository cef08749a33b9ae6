/* k-means (Lloyd 1982) by products of matrices: |x - c|^2 is least where <x, c> - |c|^2 / 2 is
 * largest, and those of many rows with all centres are one product, the encoder's own
 * (vt_mat_mul), in bf16 where the machine has it: a row on the border of two cells may lie in
 * either.
 *
 * Balance: a centre that a round left with less than an eighth of its share takes half of the
 * largest cell, by a small step to one side of its centre while the other goes to the other side. A
 * cell ten times as large as the others costs every query that looks at it; an empty one costs a
 * rank.
 *
 * Rejected: k-means++, which takes as many passes over the sample as there are centres. */
#include "index/kmeans.h"

#define ROUNDS    10
#define LEAST     8 /* a cell's share, divided by this, is what it must have */
#define SIDE_STEP (1.0f / 256)

vt_status vt_assigner_open(size_t dim, size_t n, vt_assigner *a, vt_err *err) {
    size_t bytes = 0, scratch = 0, near = 0;
    *a = (vt_assigner){.dim = dim, .n = n};
    a->mat = (vt_mat){.precision = vt_vec_best_precision(), .n_out = n, .n_in = dim};
    if (!vt_mat_bytes(&a->mat, &bytes) || !vt_mat_scratch(dim, VT_ASSIGN_ROWS, &scratch) ||
        !vt_size_mul(n, VT_ASSIGN_ROWS, &near)) {
        return vt_fail_nomem(err, dim);
    }
    a->panels = vt_alloc_aligned(bytes, 1);
    a->bias = vt_alloc(n, sizeof *a->bias);
    a->near = vt_alloc_aligned(near, sizeof *a->near);
    a->scratch = vt_alloc_aligned(scratch, sizeof *a->scratch);
    if (!a->panels || !a->bias || !a->near || !a->scratch) {
        vt_assigner_close(a);
        return vt_fail_nomem(err, bytes + (near + scratch) * sizeof *a->near);
    }
    a->mat.panels = a->panels;
    return VT_OK;
}

void vt_assigner_close(vt_assigner *a) {
    free(a->panels);
    free(a->bias);
    free(a->near);
    free(a->scratch);
    *a = (vt_assigner){0};
}

void vt_assigner_set(vt_assigner *a, const float *centres) {
    vt_mat_part part = {.type = VT_F32, .w = centres, .n_out = a->n, .scale = 1};
    (void)vt_mat_pack(&a->mat, &part, 1, a->panels);
    for (size_t i = 0; i < a->n; i++) {
        const float *c = centres + i * a->dim;
        a->bias[i] = -vt_vec_dot(c, c, a->dim) / 2;
    }
}

void vt_assigner_run(vt_assigner *a, const float *x, size_t stride, size_t rows, uint32_t *to,
                     vt_pool *pool) {
    vt_mat_mul_args args = {.x = x,
                            .y = a->near,
                            .rows = rows,
                            .x_stride = stride,
                            .y_stride = a->n,
                            .bias = a->bias,
                            .scratch = a->scratch};
    assert(rows <= VT_ASSIGN_ROWS);
    vt_mat_mul(&a->mat, &args, pool);
    for (size_t r = 0; r < rows; r++) {
        const float *near = a->near + r * a->n;
        size_t best = 0;
        for (size_t i = 1; i < a->n; i++) {
            best = near[i] > near[best] ? i : best;
        }
        to[r] = (uint32_t)best;
    }
}

static void begin_round(vt_kmeans *k) {
    memset(k->sums, 0, k->n * k->dim * sizeof *k->sums);
    memset(k->counts, 0, k->n * sizeof *k->counts);
    vt_assigner_set(&k->assigner, k->centres);
    k->seen = 0;
}

vt_status vt_kmeans_open(vt_kmeans *k, vt_err *err) {
    vt_status s;
    assert(k->rows >= k->n);
    k->sums = vt_alloc(k->n * k->dim, sizeof *k->sums);
    k->counts = vt_alloc(k->n, sizeof *k->counts);
    if (!k->sums || !k->counts) {
        return vt_fail_nomem(err, k->n * k->dim * sizeof *k->sums);
    }
    s = vt_assigner_open(k->dim, k->n, &k->assigner, err);
    if (s != VT_OK) {
        return s;
    }
    for (size_t c = 0; c < k->n; c++) { /* the rows are in random order already */
        memcpy(k->centres + c * k->dim, k->x + c * k->stride, k->dim * sizeof *k->x);
    }
    begin_round(k);
    return VT_OK;
}

void vt_kmeans_close(vt_kmeans *k) {
    vt_assigner_close(&k->assigner);
    free(k->sums);
    free(k->counts);
    *k = (vt_kmeans){0};
}

/* Adds the next rows to what their centres have attracted. */
static void attract(vt_kmeans *k, vt_pool *pool) {
    uint32_t to[VT_ASSIGN_ROWS];
    const float *x = k->x + k->seen * k->stride;
    size_t left = k->rows - k->seen, some = left < VT_ASSIGN_ROWS ? left : VT_ASSIGN_ROWS;
    vt_assigner_run(&k->assigner, x, k->stride, some, to, pool);
    for (size_t r = 0; r < some; r++) {
        const float *row = x + r * k->stride;
        float *sum = k->sums + to[r] * k->dim;
        for (size_t i = 0; i < k->dim; i++) {
            sum[i] += row[i];
        }
        k->counts[to[r]]++;
    }
    k->seen += some;
}

static void move_centres(vt_kmeans *k) {
    for (size_t c = 0; c < k->n; c++) {
        for (size_t i = 0; k->counts[c] > 0 && i < k->dim; i++) {
            k->centres[c * k->dim + i] = k->sums[c * k->dim + i] / (float)k->counts[c];
        }
    }
}

static size_t largest(const vt_kmeans *k) {
    size_t best = 0;
    for (size_t c = 1; c < k->n; c++) {
        best = k->counts[c] > k->counts[best] ? c : best;
    }
    return best;
}

/* Gives each poor centre half of the largest cell. */
static void even_out(vt_kmeans *k) {
    for (size_t c = 0; c < k->n; c++) {
        if (k->counts[c] * LEAST * k->n >= k->rows) {
            continue;
        }
        size_t rich = largest(k);
        float *from = k->centres + rich * k->dim, *to = k->centres + c * k->dim;
        for (size_t i = 0; i < k->dim; i++) {
            float step = i % 2 ? SIDE_STEP : -SIDE_STEP;
            to[i] = from[i] * (1 + step);
            from[i] *= 1 - step;
        }
        k->counts[c] = k->counts[rich] /= 2;
    }
}

bool vt_kmeans_step(vt_kmeans *k, vt_pool *pool) {
    attract(k, pool);
    if (k->seen < k->rows) {
        return true;
    }
    move_centres(k);
    if (++k->round == ROUNDS) {
        return false;
    }
    even_out(k);
    begin_round(k);
    return true;
}
