/* The image encoder, ViT (Dosovitskiy et al. 2021) as CLIP has it: the picture is cut into square
 * patches, each is projected to a row, the class token goes before them; position embedding, layer
 * norm, layers, then layer norm and projection of the class token's row.
 *
 * The reference's convolution has a stride equal to its kernel, so it is a matrix product over the
 * unfolded patches, and goes through the same kernel as every other layer. Position embeddings ride
 * along as the product's residual. */
#include "clip/encoders.h"

static size_t patch_size(const vt_vision *v) {
    return 3 * v->patch * v->patch;
}

/* Positions, the class token added to the first; allocated once the file has shown them. */
static vt_status load_positions(vt_vision *v, vt_weights *w) {
    const size_t width = v->width;
    const vt_tensor *class_token =
        vt_weights_find(w, (vt_shape){1, {width}}, "vision_model.embeddings.class_embedding");
    const vt_tensor *positions =
        vt_weights_find(w, (vt_shape){2, {v->patches + 1, width}},
                        "vision_model.embeddings.position_embedding.weight");
    if (!class_token || !positions)
        return w->status;
    v->positions = vt_alloc(positions->count, sizeof *v->positions);
    v->pre_gain = vt_alloc(4 * width, sizeof *v->pre_gain);
    if (!v->positions || !v->pre_gain)
        return w->status = vt_fail_nomem(w->err, positions->count * sizeof *v->positions);
    v->pre_bias = v->pre_gain + width;
    v->post_gain = v->pre_bias + width;
    v->post_bias = v->post_gain + width;
    vt_tensor_to_f32(positions, v->positions);
    vt_tensor_to_f32(class_token, v->pre_gain); /* held there until its own values come */
    for (size_t i = 0; i < width; i++)
        v->positions[i] += v->pre_gain[i];
    return VT_OK;
}

static void load_patch_embedding(vt_vision *v, vt_weights *w) {
    const vt_tensor *t = vt_weights_find(w, (vt_shape){4, {v->width, 3, v->patch, v->patch}},
                                         "vision_model.embeddings.patch_embedding.weight");
    vt_weights_matrix(w, &v->embedding, &t, 1, 1);
}

/* What a batch needs behind its rows: the layers' memory, or, before them, the unfolded patches of
 * one picture and the scratch of their product. */
static vt_status size_scratch(vt_vision *v, const vt_clip_config *c, vt_err *err) {
    const size_t rows = VT_IMAGES_AT_ONCE * (v->patches + 1);
    enum { LINES = 2 * 16 }; /* what rounding to whole lines may add */
    size_t layers, unfolded, product, x;
    if (!vt_size_mul(rows, v->width, &x) ||
        !vt_tower_scratch(&c->vision, rows, v->patches + 1, &layers) ||
        !vt_size_mul(v->patches, patch_size(v), &unfolded) ||
        !vt_mat_scratch(patch_size(v), v->patches, &product) ||
        !vt_size_add(unfolded, product, &unfolded) || !vt_size_add(unfolded, LINES, &unfolded) ||
        !vt_size_add(layers > unfolded ? layers : unfolded, x, &v->scratch.floats))
        return vt_fail(err, VT_E_MODEL, "config.json: vision_config asks for too much memory");
    return VT_OK;
}

vt_status vt_vision_init(vt_vision *v, const vt_clip_config *c, vt_weights *w) {
    const vt_tensor *projection;
    vt_status s;
    *v = (vt_vision){.image = c->image,
                     .patch = c->patch,
                     .patches = vt_clip_config_patches(c),
                     .width = c->vision.width,
                     .dim = c->dim,
                     .eps = c->vision.eps};
    vt_scratch_init(&v->scratch, 0);
    load_patch_embedding(v, w);
    s = load_positions(v, w);
    if (s != VT_OK)
        return s;
    /* "layrnorm" is how the files spell it. */
    vt_weights_vector(w, v->pre_gain, v->width, "vision_model.pre_layrnorm.weight");
    vt_weights_vector(w, v->pre_bias, v->width, "vision_model.pre_layrnorm.bias");
    s = vt_tower_open(&c->vision, "vision_model", w, &v->tower);
    if (s != VT_OK)
        return s;
    vt_weights_vector(w, v->post_gain, v->width, "vision_model.post_layernorm.weight");
    vt_weights_vector(w, v->post_bias, v->width, "vision_model.post_layernorm.bias");
    projection = vt_weights_find(w, (vt_shape){2, {v->dim, v->width}}, "visual_projection.weight");
    vt_weights_matrix(w, &v->projection, &projection, 1, 1);
    if (w->status != VT_OK)
        return w->status;
    return size_scratch(v, c, w->err);
}

void vt_vision_release(vt_vision *v) {
    if (v->width == 0) /* opening failed before its turn came */
        return;
    vt_tower_close(v->tower);
    free(v->positions);
    free(v->pre_gain);
    vt_scratch_release(&v->scratch);
}

typedef struct unfolding {
    const vt_vision *v;
    const float *pixels;
    float *rows;
} unfolding;

/* Each patch becomes one row of 3 * patch * patch numbers: channel, then line, then column. */
static void unfold_range(void *ctx, size_t begin, size_t end) {
    const unfolding *u = ctx;
    const vt_vision *v = u->v;
    const size_t side = v->image / v->patch, patch = v->patch;
    for (size_t p = begin; p < end; p++)
        for (size_t line = 0; line < 3 * patch; line++) {
            const size_t channel = line / patch, y = p / side * patch + line % patch;
            const float *from = u->pixels + (channel * v->image + y) * v->image + p % side * patch;
            memcpy(u->rows + (p * 3 * patch + line) * patch, from, patch * sizeof *u->rows);
        }
}

/* The rows of one picture. */
static void embed(const vt_vision *v, const float *pixels, vt_pool *pool, float *x,
                  float *scratch) {
    const vt_norm norm = {v->pre_gain, v->pre_bias, v->eps};
    const size_t width = v->width;
    float *product = scratch + vt_whole_lines(v->patches * patch_size(v));
    vt_pool_for(pool, v->patches, 1, unfold_range, &(unfolding){v, pixels, scratch});
    memcpy(x, v->positions, width * sizeof *x);
    vt_mat_mul(&v->embedding,
               &(vt_mat_mul_args){.x = scratch,
                                  .x_stride = patch_size(v),
                                  .y = x + width,
                                  .y_stride = width,
                                  .rows = v->patches,
                                  .residual = v->positions + width,
                                  .scratch = product},
               pool);
    vt_vec_layer_norm(x, x, v->patches + 1, width, &norm);
}

vt_status vt_vision_encode(vt_vision *v, const float *const *pixels, size_t count, vt_lane lane,
                           vt_pool *pool, float *out, vt_err *err) {
    const vt_norm norm = {v->post_gain, v->post_bias, v->eps};
    const size_t rows = v->patches + 1;
    vt_pool *workers = lane == VT_LANE_QUERY ? pool : NULL;
    size_t starts[VT_IMAGES_AT_ONCE + 1] = {0}, wanted[VT_IMAGES_AT_ONCE];
    float *x = vt_scratch_take(&v->scratch, err), *scratch;
    assert(count <= VT_IMAGES_AT_ONCE);
    if (!x)
        return err->status;
    scratch = x + vt_whole_lines(count * rows * v->width);
    for (size_t i = 0; i < count; i++) {
        wanted[i] = starts[i]; /* the class token's */
        starts[i + 1] = starts[i] + rows;
        embed(v, pixels[i], workers, x + starts[i] * v->width, scratch);
    }
    vt_tower_run_layers(v->tower, &(vt_tower_run){.x = x,
                                                  .starts = starts,
                                                  .wanted = wanted,
                                                  .count = count,
                                                  .scratch = scratch,
                                                  .pool = workers,
                                                  .give_way = lane == VT_LANE_BULK ? pool : NULL});
    vt_mat_mul(&v->projection,
               &(vt_mat_mul_args){.x = x,
                                  .x_stride = v->width,
                                  .y = out,
                                  .y_stride = v->dim,
                                  .rows = count,
                                  .norm = &norm,
                                  .scratch = scratch},
               workers);
    vt_scratch_give(&v->scratch, x);
    return VT_OK;
}
