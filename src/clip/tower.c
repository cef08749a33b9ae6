/* The transformer of CLIP's two encoders (Vaswani et al. 2017, with the layer normalisation before
 * each half, as in GPT-2 and ViT):
 *
 *     x += out(attention(q, k, v of norm1(x)));   x += fc2(act(fc1(norm2(x))))
 *
 * Q, K and V are one matrix, so x is read once; the 1 / sqrt(dim) that scores are scaled by is in
 * the weights and the bias of Q. Normalisation, bias, activation and residual are part of the
 * products. Heads are independent and are what the threads share in attention.
 *
 * Only one row a sequence is ever used of the last layer, the class token's or the end-of-text
 * token's: there everything but K and V is computed for that row alone, which saves a fifteenth.
 *
 * Immutable after open; all that changes is in the run. */
#include "clip/tower.h"

#include "clip/scratch.h"

#include <math.h>

typedef struct layer {
    vt_mat qkv, out, fc1, fc2; /* qkv: of the last layer only K and V */
    vt_mat q;                  /* of the last layer */
    float *vectors;            /* owns what follows */
    float *norm1_gain, *norm1_bias, *qkv_bias, *out_bias;
    float *norm2_gain, *norm2_bias, *fc1_bias, *fc2_bias;
} layer;

struct vt_tower {
    vt_tower_shape shape;
    layer *layers;
};

/* ---- loading ---------------------------------------------------------------------------- */

static void load_norm(vt_weights *w, const char *prefix, size_t n, float *gain, float *bias) {
    vt_weights_vector(w, gain, n, "%s.weight", prefix);
    vt_weights_vector(w, bias, n, "%s.bias", prefix);
}

static void load_linear(vt_weights *w, const char *prefix, vt_shape shape, vt_mat *out,
                        float *bias) {
    const vt_tensor *t = vt_weights_find(w, shape, "%s.weight", prefix);
    vt_weights_matrix(w, out, &t, 1, 1);
    vt_weights_vector(w, bias, shape.size[0], "%s.bias", prefix);
}

static void load_qkv(vt_weights *w, const char *prefix, const vt_tower_shape *shape, bool last,
                     layer *l) {
    const size_t width = shape->width, dim = width / shape->heads;
    const float scale = 1 / sqrtf((float)dim);
    static const char *const names[] = {"q_proj", "k_proj", "v_proj"};
    const vt_tensor *parts[3];
    for (size_t i = 0; i < 3; i++) {
        parts[i] = vt_weights_find(w, (vt_shape){2, {width, width}}, "%s.self_attn.%s.weight",
                                   prefix, names[i]);
        vt_weights_vector(w, l->qkv_bias + i * width, width, "%s.self_attn.%s.bias", prefix,
                          names[i]);
    }
    for (size_t i = 0; i < width; i++)
        l->qkv_bias[i] *= scale;
    if (last) {
        vt_weights_matrix(w, &l->q, parts, 1, scale);
        vt_weights_matrix(w, &l->qkv, parts + 1, 2, 1);
    } else {
        vt_weights_matrix(w, &l->qkv, parts, 3, scale);
    }
}

/* All vectors of a layer in one block, cut up in the order of their use. */
static bool make_vectors(const vt_tower_shape *shape, layer *l) {
    const size_t width = shape->width;
    float *p = l->vectors = vt_alloc(9 * width + shape->hidden, sizeof *p);
    if (!p)
        return false;
    l->norm1_gain = p;
    l->norm1_bias = p + width;
    l->qkv_bias = p + 2 * width;
    l->out_bias = p + 5 * width;
    l->norm2_gain = p + 6 * width;
    l->norm2_bias = p + 7 * width;
    l->fc2_bias = p + 8 * width;
    l->fc1_bias = p + 9 * width;
    return true;
}

static vt_status load_layer(const vt_tower_shape *shape, const char *tower, size_t i, vt_weights *w,
                            layer *l) {
    const size_t width = shape->width, hidden = shape->hidden;
    char prefix[96], name[128];
    if (!make_vectors(shape, l))
        return w->status = vt_fail_nomem(w->err, (9 * width + hidden) * sizeof(float));
    snprintf(prefix, sizeof prefix, "%s.encoder.layers.%zu", tower, i);
    snprintf(name, sizeof name, "%s.layer_norm1", prefix);
    load_norm(w, name, width, l->norm1_gain, l->norm1_bias);
    load_qkv(w, prefix, shape, i + 1 == shape->layers, l);
    snprintf(name, sizeof name, "%s.self_attn.out_proj", prefix);
    load_linear(w, name, (vt_shape){2, {width, width}}, &l->out, l->out_bias);
    snprintf(name, sizeof name, "%s.layer_norm2", prefix);
    load_norm(w, name, width, l->norm2_gain, l->norm2_bias);
    snprintf(name, sizeof name, "%s.mlp.fc1", prefix);
    load_linear(w, name, (vt_shape){2, {hidden, width}}, &l->fc1, l->fc1_bias);
    snprintf(name, sizeof name, "%s.mlp.fc2", prefix);
    load_linear(w, name, (vt_shape){2, {width, hidden}}, &l->fc2, l->fc2_bias);
    return w->status;
}

vt_status vt_tower_open(const vt_tower_shape *shape, const char *prefix, vt_weights *w,
                        vt_tower **out) {
    vt_tower *t = vt_alloc(1, sizeof *t);
    vt_status s = w->status;
    *out = NULL;
    if (t)
        t->layers = vt_alloc(shape->layers, sizeof *t->layers);
    if (!t || !t->layers) {
        free(t);
        return vt_fail_nomem(w->err, shape->layers * sizeof *t->layers);
    }
    t->shape = *shape;
    for (size_t i = 0; s == VT_OK && i < shape->layers; i++)
        s = load_layer(shape, prefix, i, w, &t->layers[i]);
    if (s != VT_OK)
        vt_tower_close(t);
    else
        *out = t;
    return s;
}

void vt_tower_close(vt_tower *t) {
    if (!t)
        return;
    for (size_t i = 0; i < t->shape.layers; i++)
        free(t->layers[i].vectors);
    free(t->layers);
    free(t);
}

/* ---- running ---------------------------------------------------------------------------- */

/* Floats between rows whose lengths are multiples of 1 KB or more: without them the same columns of
 * all rows, which is what a panel writes and a head reads, share a few sets of the L1 cache. */
#define ROW_GAP 16

/* The working memory of a run, cut up. */
typedef struct buffers {
    float *qkv;      /* [rows][qkv_stride], 3 width of them used */
    float *attended; /* [rows][width] */
    float *hidden;   /* [rows][hidden + ROW_GAP], or rows of bfloat16 */
    size_t qkv_stride;
    float *product; /* scratch of the products */
    float *heads;   /* scratch of attention, for each head */
    size_t head_floats;
} buffers;

static bool head_scratch(const vt_tower_shape *shape, size_t longest, size_t *floats) {
    return vt_attention_scratch(longest, shape->width / shape->heads, floats);
}

static bool product_scratch(const vt_tower_shape *shape, size_t rows, size_t *floats) {
    const size_t deepest = shape->hidden > shape->width ? shape->hidden : shape->width;
    return vt_mat_scratch(deepest, rows, floats);
}

bool vt_tower_scratch(const vt_tower_shape *shape, size_t rows, size_t longest, size_t *floats) {
    enum { LINES = 5 * 16 }; /* what rounding to whole lines may add, to x too */
    size_t plain, product, heads;
    return vt_size_mul(rows, 4 * shape->width + shape->hidden + 2 * ROW_GAP, &plain) &&
           product_scratch(shape, rows, &product) && head_scratch(shape, longest, &heads) &&
           vt_size_mul(shape->heads, heads, &heads) && vt_size_add(plain, heads, floats) &&
           vt_size_add(*floats, product, floats) && vt_size_add(*floats, LINES, floats);
}

static size_t longest_sequence(const vt_tower_run *run) {
    size_t longest = 0;
    for (size_t i = 0; i < run->count; i++) {
        const size_t rows = run->starts[i + 1] - run->starts[i];
        longest = rows > longest ? rows : longest;
    }
    return longest;
}

/* The sums were checked by vt_tower_scratch for as many rows or more. */
static buffers cut_up(const vt_tower_shape *shape, const vt_tower_run *run) {
    const size_t rows = run->starts[run->count];
    buffers b = {
        .qkv = run->scratch,
        .qkv_stride = 3 * shape->width + ROW_GAP,
    };
    size_t product;
    bool fits = product_scratch(shape, rows, &product) &&
                head_scratch(shape, longest_sequence(run), &b.head_floats);
    assert(fits);
    (void)fits;
    b.attended = b.qkv + vt_whole_lines(rows * b.qkv_stride);
    b.hidden = b.attended + vt_whole_lines(rows * shape->width);
    b.product = b.hidden + vt_whole_lines(rows * (shape->hidden + ROW_GAP));
    b.heads = b.product + vt_whole_lines(product);
    return b;
}

/* What the heads of one layer need to know. */
typedef struct attention {
    const vt_tower_shape *shape;
    const vt_tower_run *run;
    const buffers *b;
    bool last; /* only wanted rows ask, and their outputs are packed together */
} attention;

static void attend_sequence(const attention *a, size_t head, size_t i) {
    const size_t width = a->shape->width, dim = width / a->shape->heads;
    const size_t start = a->run->starts[i], rows = a->run->starts[i + 1] - start;
    const float *q = a->b->qkv + (a->last ? i : start) * a->b->qkv_stride + head * dim;
    const float *k = a->b->qkv + start * a->b->qkv_stride + width + head * dim;
    vt_vec_attend(&(vt_attention){
        .q = q,
        .k = k,
        .v = k + width,
        .rows = rows,
        .dim = dim,
        .stride = a->b->qkv_stride,
        .causal = a->run->causal,
        .first = a->last ? a->run->wanted[i] - start : 0,
        .count = a->last ? 1 : rows,
        .out = a->b->attended + (a->last ? i : start) * width + head * dim,
        .out_stride = width,
        .scratch = a->b->heads + head * a->b->head_floats,
    });
}

static void attend_range(void *ctx, size_t begin, size_t end) {
    const attention *a = ctx;
    for (size_t head = begin; head < end; head++)
        for (size_t i = 0; i < a->run->count; i++)
            attend_sequence(a, head, i);
}

/* Packs the wanted rows of x together: from here on nothing else is computed. */
static void keep_wanted(const vt_tower *t, const vt_tower_run *run) {
    const size_t width = t->shape.width;
    for (size_t i = 0; i < run->count; i++)
        memmove(run->x + i * width, run->x + run->wanted[i] * width, width * sizeof *run->x);
}

/* Q, K and V of all rows; where only wanted rows ask, their Q lies in the first rows. */
static void ask(const vt_tower *t, const layer *l, const vt_tower_run *run, const buffers *b,
                bool last) {
    const size_t width = t->shape.width, ahead = last ? width : 0;
    const vt_norm norm = {l->norm1_gain, l->norm1_bias, t->shape.eps};
    vt_mat_mul_args args = {.x = run->x,
                            .x_stride = width,
                            .y = b->qkv + ahead,
                            .y_stride = b->qkv_stride,
                            .rows = run->starts[run->count],
                            .norm = &norm,
                            .bias = l->qkv_bias + ahead,
                            .scratch = b->product};
    vt_mat_mul(&l->qkv, &args, run->pool);
    if (!last)
        return;
    keep_wanted(t, run);
    args.y = b->qkv;
    args.rows = run->count;
    args.bias = l->qkv_bias;
    vt_mat_mul(&l->q, &args, run->pool);
}

static void attend(const vt_tower *t, const layer *l, const vt_tower_run *run, const buffers *b,
                   bool last) {
    const size_t width = t->shape.width;
    const attention a = {.shape = &t->shape, .run = run, .b = b, .last = last};
    ask(t, l, run, b, last);
    vt_pool_for(run->pool, t->shape.heads, 1, attend_range, (void *)&a);
    vt_mat_mul(&l->out,
               &(vt_mat_mul_args){.x = b->attended,
                                  .x_stride = width,
                                  .y = run->x,
                                  .y_stride = width,
                                  .rows = last ? run->count : run->starts[run->count],
                                  .bias = l->out_bias,
                                  .residual = run->x,
                                  .scratch = b->product},
               run->pool);
}

static void feed_forward(const vt_tower *t, const layer *l, const vt_tower_run *run,
                         const buffers *b, size_t rows) {
    const size_t width = t->shape.width;
    const vt_norm norm = {l->norm2_gain, l->norm2_bias, t->shape.eps};
    const bool rounds = l->fc2.precision == VT_PRECISION_BF16;
    uint16_t *rounded = rounds ? (uint16_t *)b->hidden : NULL;
    const size_t stride = t->shape.hidden + (rounds ? 2 : 1) * ROW_GAP;
    vt_mat_mul(&l->fc1,
               &(vt_mat_mul_args){.x = run->x,
                                  .x_stride = width,
                                  .y = b->hidden,
                                  .y_bf16 = rounded,
                                  .y_stride = stride,
                                  .rows = rows,
                                  .norm = &norm,
                                  .bias = l->fc1_bias,
                                  .act = t->shape.act,
                                  .scratch = b->product},
               run->pool);
    vt_mat_mul(&l->fc2,
               &(vt_mat_mul_args){.x = b->hidden,
                                  .x_bf16 = rounded,
                                  .x_stride = stride,
                                  .y = run->x,
                                  .y_stride = width,
                                  .rows = rows,
                                  .bias = l->fc2_bias,
                                  .residual = run->x,
                                  .scratch = b->product},
               run->pool);
}

void vt_tower_run_layers(const vt_tower *t, const vt_tower_run *run) {
    const buffers b = cut_up(&t->shape, run);
    for (size_t i = 0; i < t->shape.layers; i++) {
        const bool last = i + 1 == t->shape.layers;
        attend(t, &t->layers[i], run, &b, last);
        feed_forward(t, &t->layers[i], run, &b, last ? run->count : run->starts[run->count]);
        if (run->give_way)
            vt_pool_give_way(run->give_way);
    }
}
