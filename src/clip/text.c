/* The text encoder: token embedding + position embedding, layers under a causal mask, then layer
 * norm and projection of the row of the end-of-text token.
 *
 * Under that mask a row never sees those behind it, so nothing after the first end-of-text token
 * changes the vector: a text is computed up to it and not padded, so a query of five words is seven
 * rows in place of the context's 77. The first one counts, as in the reference, which
 * takes the first place of the highest id; a text that spells "<|endoftext|>" ends there. */
#include "clip/encoders.h"

#include "clip/tokenizer.h"

#define ROWS_AT_ONCE 256 /* of a batch of texts: some thirty queries */

/* Allocated once the file has shown that it holds as much. */
static vt_status load_positions(vt_text *t, vt_weights *w) {
    const vt_tensor *p = vt_weights_find(w, (vt_shape){2, {t->context, t->width}},
                                         "text_model.embeddings.position_embedding.weight");
    if (!p)
        return w->status;
    t->positions = vt_alloc(p->count, sizeof *t->positions);
    t->norm_gain = vt_alloc(2 * t->width, sizeof *t->norm_gain);
    if (!t->positions || !t->norm_gain)
        return w->status = vt_fail_nomem(w->err, p->count * sizeof *t->positions);
    t->norm_bias = t->norm_gain + t->width;
    vt_tensor_to_f32(p, t->positions);
    return VT_OK;
}

static vt_status load_weights(vt_text *t, const vt_clip_config *c, vt_weights *w) {
    const vt_tensor *projection;
    vt_status s;
    t->tokens = vt_weights_find(w, (vt_shape){2, {c->vocab, t->width}},
                                "text_model.embeddings.token_embedding.weight");
    s = load_positions(t, w);
    if (s == VT_OK)
        s = vt_tower_open(&c->text, "text_model", w, &t->tower);
    if (s != VT_OK)
        return s;
    vt_map_prefetch(t->tokens->data, t->tokens->bytes); /* no query is to wait for the disk */
    vt_weights_vector(w, t->norm_gain, t->width, "text_model.final_layer_norm.weight");
    vt_weights_vector(w, t->norm_bias, t->width, "text_model.final_layer_norm.bias");
    projection = vt_weights_find(w, (vt_shape){2, {t->dim, t->width}}, "text_projection.weight");
    vt_weights_matrix(w, &t->projection, &projection, 1, 1);
    return w->status;
}

/* The reference pools at config.json's eos_token_id, or at the highest id where that says 2. */
static vt_status check_end(const vt_text *t, const vt_clip_config *c, vt_err *err) {
    if (!c->has_end_id || c->end_id == t->vocab.end)
        return VT_OK;
    if (c->end_id != 2)
        return vt_fail(err, VT_E_MODEL,
                       "config.json: text_config.eos_token_id is %u, but <|endoftext|> is %u in "
                       "vocab.json",
                       c->end_id, t->vocab.end);
    if (t->vocab.end != t->vocab.highest)
        return vt_fail(err, VT_E_MODEL,
                       "config.json: text_config.eos_token_id is 2, which means the highest id, "
                       "but <|endoftext|> is %u of %u in vocab.json",
                       t->vocab.end, t->vocab.highest);
    return VT_OK;
}

/* Embeddings, then what the layers need, and the projection after them. */
static bool scratch_floats(const vt_text *t, const vt_clip_config *c, size_t *floats) {
    size_t x;
    return vt_tower_scratch(&c->text, t->rows_at_once, c->context, floats) &&
           vt_size_mul(t->rows_at_once, c->text.width, &x) && vt_size_add(*floats, x, floats);
}

vt_status vt_text_init(vt_text *t, const vt_clip_config *c, const char *dir, vt_weights *w) {
    vt_status s;
    *t =
        (vt_text){.context = c->context, .width = c->text.width, .dim = c->dim, .eps = c->text.eps};
    vt_scratch_init(&t->scratch, 0);
    s = load_weights(t, c, w);
    if (s == VT_OK)
        s = vt_tokenizer_open(dir, c->vocab, &t->vocab, w->err);
    if (s == VT_OK)
        s = check_end(t, c, w->err);
    t->rows_at_once = c->context > ROWS_AT_ONCE ? c->context : ROWS_AT_ONCE;
    if (s == VT_OK && !scratch_floats(t, c, &t->scratch.floats))
        s = vt_fail(w->err, VT_E_MODEL, "config.json: text_config asks for too much memory");
    return s;
}

void vt_text_release(vt_text *t) {
    if (t->width == 0) /* opening failed before its turn came */
        return;
    vt_vocab_release(&t->vocab);
    vt_tower_close(t->tower);
    free(t->positions);
    free(t->norm_gain);
    vt_scratch_release(&t->scratch);
}

/* Texts whose rows lie one behind the other, as many as a run takes. */
typedef struct batch {
    size_t count;
    size_t starts[ROWS_AT_ONCE + 1], wanted[ROWS_AT_ONCE]; /* a text has a row at least */
} batch;

/* Appends the rows of one text; the count ends with the first end-of-text token. */
static void embed(const vt_text *t, const uint32_t *ids, batch *b, float *x) {
    const size_t first = b->starts[b->count];
    size_t row = 0;
    do {
        float *out = x + (first + row) * t->width;
        const float *position = t->positions + row * t->width;
        vt_tensor_row_to_f32(t->tokens, ids[row], out);
        for (size_t i = 0; i < t->width; i++)
            out[i] += position[i];
    } while (ids[row++] != t->vocab.end);
    b->wanted[b->count++] = first + row - 1;
    b->starts[b->count] = first + row;
}

static void compute(const vt_text *t, const batch *b, vt_pool *pool, float *x, float *out) {
    const vt_norm norm = {t->norm_gain, t->norm_bias, t->eps};
    float *scratch = x + vt_whole_lines(t->rows_at_once * t->width);
    vt_tower_run_layers(t->tower, &(vt_tower_run){.x = x,
                                                  .starts = b->starts,
                                                  .wanted = b->wanted,
                                                  .count = b->count,
                                                  .causal = true,
                                                  .scratch = scratch,
                                                  .pool = pool});
    vt_mat_mul(&t->projection,
               &(vt_mat_mul_args){.x = x,
                                  .x_stride = t->width,
                                  .y = out,
                                  .y_stride = t->dim,
                                  .rows = b->count,
                                  .norm = &norm,
                                  .scratch = scratch},
               pool);
}

/* Takes texts into the batch until the next might not fit; *taken says how many. */
static vt_status gather(const vt_text *t, const vt_clip_text *texts, size_t count, uint32_t *ids,
                        batch *b, float *x, size_t *taken, vt_err *err) {
    *b = (batch){0};
    for (*taken = 0; *taken < count; ++*taken) {
        size_t n_ids;
        vt_status s;
        if (b->count > 0 && b->starts[b->count] + t->context > t->rows_at_once)
            break;
        s = vt_tokenizer_encode(&t->vocab, texts[*taken].text, texts[*taken].n, ids, t->context,
                                &n_ids, err);
        if (s != VT_OK)
            return s;
        embed(t, ids, b, x);
    }
    return VT_OK;
}

vt_status vt_text_encode(vt_text *t, const vt_clip_text *texts, size_t count, vt_pool *pool,
                         float *out, vt_err *err) {
    uint32_t *ids = vt_alloc(t->context, sizeof *ids);
    float *x = NULL;
    batch b;
    vt_status s = VT_OK;
    if (!ids)
        return vt_fail_nomem(err, t->context * sizeof *ids);
    x = vt_scratch_take(&t->scratch, err);
    if (!x)
        s = err->status;
    for (size_t done = 0, taken = 0; s == VT_OK && done < count; done += taken) {
        s = gather(t, texts + done, count - done, ids, &b, x, &taken, err);
        if (s == VT_OK)
            compute(t, &b, pool, x, out + done * t->dim);
    }
    vt_scratch_give(&t->scratch, x);
    free(ids);
    return s;
}
