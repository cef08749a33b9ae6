/* The transformer of CLIP's two encoders (Vaswani et al. 2017, with the layer normalisation before
 * each half, as in GPT-2 and ViT):
 *
 *     x += out(attention(q, k, v of norm1(x)));   x += fc2(act(fc1(norm2(x))))
 *
 * Q, K and V are one matrix, so x is read once. Attention is per head: the head's keys and its
 * transposed values are copied together, and scores and weighted sums are then the same kernel, one
 * vector against contiguous rows. Heads are independent and are what the threads share. At CLIP's
 * sizes (50 rows, heads of 64) attention is a twentieth of the time, so a tiled softmax (Dao et al.
 * 2022) would save nothing.
 *
 * Only one row of the last layer is ever used, the class token's or the end-of-text token's: there
 * everything after K and V is computed for that row alone, which saves a fifteenth.
 *
 * Immutable after open; all that changes is in the run. */
#include "clip/tower.h"

#include <math.h>

typedef struct layer {
    vt_mat *qkv, *out, *fc1, *fc2;
    float *vectors; /* owns what follows */
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

static void load_linear(vt_weights *w, const char *prefix, vt_shape shape, vt_mat **out,
                        float *bias) {
    const vt_tensor *t = vt_weights_find(w, shape, "%s.weight", prefix);
    vt_weights_matrix(w, out, &t, 1);
    vt_weights_vector(w, bias, shape.size[0], "%s.bias", prefix);
}

static void load_qkv(vt_weights *w, const char *prefix, size_t width, layer *l) {
    static const char *const names[] = {"q_proj", "k_proj", "v_proj"};
    const vt_tensor *parts[3];
    for (size_t i = 0; i < 3; i++) {
        parts[i] = vt_weights_find(w, (vt_shape){2, {width, width}}, "%s.self_attn.%s.weight",
                                   prefix, names[i]);
        vt_weights_vector(w, l->qkv_bias + i * width, width, "%s.self_attn.%s.bias", prefix,
                          names[i]);
    }
    vt_weights_matrix(w, &l->qkv, parts, 3);
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
    load_qkv(w, prefix, width, l);
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
    for (size_t i = 0; i < t->shape.layers; i++) {
        vt_mat_close(t->layers[i].qkv);
        vt_mat_close(t->layers[i].out);
        vt_mat_close(t->layers[i].fc1);
        vt_mat_close(t->layers[i].fc2);
        free(t->layers[i].vectors);
    }
    free(t->layers);
    free(t);
}

/* ---- running ---------------------------------------------------------------------------- */

/* The working memory of a run, cut up. */
typedef struct buffers {
    float *normed;   /* [rows][width] */
    float *qkv;      /* [rows][3 width] */
    float *attended; /* [rows][width] */
    float *hidden;   /* [rows][hidden] */
    float *heads;    /* head_floats for each head */
} buffers;

/* Keys and transposed values of a head, one query, and its scores. */
static size_t head_floats(const vt_tower_shape *shape, size_t rows) {
    const size_t dim = shape->width / shape->heads;
    return 2 * rows * dim + dim + rows;
}

bool vt_tower_scratch(const vt_tower_shape *shape, size_t rows, size_t *floats) {
    const size_t per_row = 6 * shape->width + shape->hidden; /* x and cut_up's */
    size_t plain, heads;
    return vt_size_mul(rows, per_row, &plain) &&
           vt_size_mul(shape->heads, head_floats(shape, rows), &heads) &&
           vt_size_add(plain, heads, floats);
}

static buffers cut_up(const vt_tower_shape *shape, const vt_tower_run *run) {
    const size_t plane = run->rows * shape->width;
    buffers b = {.normed = run->scratch};
    b.qkv = b.normed + plane;
    b.attended = b.qkv + 3 * plane;
    b.hidden = b.attended + plane;
    b.heads = b.hidden + run->rows * shape->hidden;
    return b;
}

/* What the heads of one layer need to know. */
typedef struct attention {
    const vt_tower_shape *shape;
    const vt_tower_run *run;
    const buffers *b;
    size_t first, count; /* the rows that ask */
} attention;

static void gather_head(const attention *a, size_t head, float *keys, float *values) {
    const size_t width = a->shape->width, dim = width / a->shape->heads, rows = a->run->rows;
    for (size_t r = 0; r < rows; r++) {
        const float *key = a->b->qkv + r * 3 * width + width + head * dim;
        const float *value = key + width;
        memcpy(keys + r * dim, key, dim * sizeof *keys);
        for (size_t d = 0; d < dim; d++)
            values[d * rows + r] = value[d];
    }
}

/* Masked scores are not computed at all: the sum over the first `seen` rows is the same. Values are
 * `rows` apart, so for a causal row those it does not see get weight zero. */
static void attend_head(const attention *a, size_t head) {
    const size_t width = a->shape->width, dim = width / a->shape->heads, rows = a->run->rows;
    const float scale = 1 / sqrtf((float)dim);
    float *keys = a->b->heads + head * head_floats(a->shape, rows);
    float *values = keys + rows * dim, *query = values + rows * dim, *scores = query + dim;
    gather_head(a, head, keys, values);
    for (size_t r = a->first; r < a->first + a->count; r++) {
        const float *q = a->b->qkv + r * 3 * width + head * dim;
        const size_t seen = a->run->causal ? r + 1 : rows;
        for (size_t d = 0; d < dim; d++)
            query[d] = q[d] * scale;
        vt_vec_dot_rows(query, keys, seen, dim, scores);
        vt_vec_softmax(scores, seen);
        memset(scores + seen, 0, (rows - seen) * sizeof *scores);
        vt_vec_dot_rows(scores, values, dim, rows, a->b->attended + r * width + head * dim);
    }
}

static void attend_range(void *ctx, size_t begin, size_t end) {
    for (size_t head = begin; head < end; head++)
        attend_head(ctx, head);
}

/* Least number of heads worth handing to another thread: some 20 us of them. */
static size_t heads_grain(const attention *a) {
    const size_t work = a->count * a->run->rows * (a->shape->width / a->shape->heads);
    return 1 + 200000 / (work + 1);
}

static void run_layer(const vt_tower *t, const layer *l, const vt_tower_run *run, bool last) {
    const vt_tower_shape *shape = &t->shape;
    const size_t width = shape->width, hidden = shape->hidden;
    const buffers b = cut_up(shape, run);
    const attention a = {.shape = shape,
                         .run = run,
                         .b = &b,
                         .first = last ? run->wanted : 0,
                         .count = last ? 1 : run->rows};
    float *x = run->x + a.first * width, *attended = b.attended + a.first * width;

    vt_vec_layer_norm(b.normed, run->x, run->rows, width, l->norm1_gain, l->norm1_bias, shape->eps);
    vt_mat_mul(l->qkv,
               &(vt_mat_mul_args){.x = b.normed,
                                  .x_stride = width,
                                  .y = b.qkv,
                                  .y_stride = 3 * width,
                                  .rows = run->rows,
                                  .bias = l->qkv_bias},
               run->pool);
    vt_pool_for(run->pool, shape->heads, heads_grain(&a), attend_range, (void *)&a);
    vt_mat_mul(l->out,
               &(vt_mat_mul_args){.x = attended,
                                  .x_stride = width,
                                  .y = x,
                                  .y_stride = width,
                                  .rows = a.count,
                                  .bias = l->out_bias,
                                  .residual = x},
               run->pool);

    vt_vec_layer_norm(b.normed, x, a.count, width, l->norm2_gain, l->norm2_bias, shape->eps);
    vt_mat_mul(l->fc1,
               &(vt_mat_mul_args){.x = b.normed,
                                  .x_stride = width,
                                  .y = b.hidden,
                                  .y_stride = hidden,
                                  .rows = a.count,
                                  .bias = l->fc1_bias,
                                  .act = shape->act},
               run->pool);
    vt_mat_mul(l->fc2,
               &(vt_mat_mul_args){.x = b.hidden,
                                  .x_stride = hidden,
                                  .y = x,
                                  .y_stride = width,
                                  .rows = a.count,
                                  .bias = l->fc2_bias,
                                  .residual = x},
               run->pool);
}

void vt_tower_run_layers(const vt_tower *t, const vt_tower_run *run) {
    assert(run->wanted < run->rows);
    for (size_t i = 0; i < t->shape.layers; i++)
        run_layer(t, &t->layers[i], run, i + 1 == t->shape.layers);
}
