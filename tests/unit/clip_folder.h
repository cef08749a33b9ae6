/* A model folder made by the test itself: a few dimensions, random weights, a vocabulary of the 512
 * byte tokens and some merges. What a test wants broken it breaks in the parts before they are
 * written. Included by the clip tests and nothing else. */
#ifndef VT_TEST_CLIP_FOLDER_H
#define VT_TEST_CLIP_FOLDER_H

#include "base/base.h"
#include "vec/vec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

enum { FOLDER_TENSORS_MAX = 128 };

typedef struct folder_tensor {
    char name[96];
    vt_dtype type; /* as it is written */
    size_t rank, shape[4], count;
    float *values;
} folder_tensor;

typedef struct folder {
    char dir[64];
    json_t *config, *preprocessor, *vocab;
    vt_buf merges;
    folder_tensor tensors[FOLDER_TENSORS_MAX];
    size_t n_tensors;
} folder;

/* The miniature's sizes: none of them a multiple of anything convenient. */
enum {
    MINI_DIM = 5,
    MINI_CONTEXT = 11,
    MINI_TEXT_WIDTH = 6,
    MINI_TEXT_HEADS = 3,
    MINI_TEXT_HIDDEN = 10,
    MINI_TEXT_LAYERS = 2,
    MINI_WIDTH = 8,
    MINI_HEADS = 2,
    MINI_HIDDEN = 14,
    MINI_LAYERS = 3,
    MINI_IMAGE = 11, /* the last 3 columns and lines belong to no patch */
    MINI_PATCH = 4,
};

static inline uint64_t folder_random(uint64_t *state) {
    uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}

/* Values are multiples of 1/64 below 2 in magnitude: the same in F32, F16 and BF16. */
static inline folder_tensor *folder_add(folder *f, const char *name, size_t rank,
                                        const size_t *shape) {
    folder_tensor *t = &f->tensors[f->n_tensors++];
    uint64_t state = f->n_tensors;
    assert_true(f->n_tensors <= FOLDER_TENSORS_MAX);
    snprintf(t->name, sizeof t->name, "%s", name);
    t->rank = rank;
    t->count = 1;
    for (size_t i = 0; i < rank; i++)
        t->count *= t->shape[i] = shape[i];
    t->values = vt_alloc(t->count, sizeof *t->values);
    assert_non_null(t->values);
    for (size_t i = 0; i < t->count; i++)
        t->values[i] = (float)((int)(folder_random(&state) % 127) - 63) / 64;
    return t;
}

static inline folder_tensor *folder_find(folder *f, const char *name) {
    for (size_t i = 0; i < f->n_tensors; i++)
        if (strcmp(f->tensors[i].name, name) == 0)
            return &f->tensors[i];
    fail_msg("no tensor %s", name);
    return NULL;
}

static inline void folder_add_layers(folder *f, const char *tower, size_t layers, size_t width,
                                     size_t hidden) {
    static const char *const square[] = {"q_proj", "k_proj", "v_proj", "out_proj"};
    char name[96];
    for (size_t i = 0; i < layers; i++) {
        for (size_t j = 0; j < 4; j++) {
            snprintf(name, sizeof name, "%s.encoder.layers.%zu.self_attn.%s.weight", tower, i,
                     square[j]);
            folder_add(f, name, 2, (size_t[]){width, width});
            snprintf(name, sizeof name, "%s.encoder.layers.%zu.self_attn.%s.bias", tower, i,
                     square[j]);
            folder_add(f, name, 1, &width);
        }
        for (size_t j = 1; j <= 2; j++) {
            snprintf(name, sizeof name, "%s.encoder.layers.%zu.layer_norm%zu.weight", tower, i, j);
            folder_add(f, name, 1, &width);
            snprintf(name, sizeof name, "%s.encoder.layers.%zu.layer_norm%zu.bias", tower, i, j);
            folder_add(f, name, 1, &width);
        }
        snprintf(name, sizeof name, "%s.encoder.layers.%zu.mlp.fc1.weight", tower, i);
        folder_add(f, name, 2, (size_t[]){hidden, width});
        snprintf(name, sizeof name, "%s.encoder.layers.%zu.mlp.fc1.bias", tower, i);
        folder_add(f, name, 1, &hidden);
        snprintf(name, sizeof name, "%s.encoder.layers.%zu.mlp.fc2.weight", tower, i);
        folder_add(f, name, 2, (size_t[]){width, hidden});
        snprintf(name, sizeof name, "%s.encoder.layers.%zu.mlp.fc2.bias", tower, i);
        folder_add(f, name, 1, &width);
    }
}

static inline void folder_add_tensors(folder *f) {
    const size_t vocab = json_object_size(f->vocab), tw = MINI_TEXT_WIDTH, w = MINI_WIDTH;
    const size_t side = MINI_IMAGE / MINI_PATCH;
    folder_add(f, "logit_scale", 0, NULL);
    folder_add(f, "text_model.embeddings.token_embedding.weight", 2, (size_t[]){vocab, tw});
    folder_add(f, "text_model.embeddings.position_embedding.weight", 2,
               (size_t[]){MINI_CONTEXT, tw});
    folder_add_layers(f, "text_model", MINI_TEXT_LAYERS, tw, MINI_TEXT_HIDDEN);
    folder_add(f, "text_model.final_layer_norm.weight", 1, &tw);
    folder_add(f, "text_model.final_layer_norm.bias", 1, &tw);
    folder_add(f, "text_projection.weight", 2, (size_t[]){MINI_DIM, tw});
    folder_add(f, "vision_model.embeddings.class_embedding", 1, &w);
    folder_add(f, "vision_model.embeddings.patch_embedding.weight", 4,
               (size_t[]){w, 3, MINI_PATCH, MINI_PATCH});
    folder_add(f, "vision_model.embeddings.position_embedding.weight", 2,
               (size_t[]){side * side + 1, w});
    folder_add(f, "vision_model.pre_layrnorm.weight", 1, &w);
    folder_add(f, "vision_model.pre_layrnorm.bias", 1, &w);
    folder_add_layers(f, "vision_model", MINI_LAYERS, w, MINI_HIDDEN);
    folder_add(f, "vision_model.post_layernorm.weight", 1, &w);
    folder_add(f, "vision_model.post_layernorm.bias", 1, &w);
    folder_add(f, "visual_projection.weight", 2, (size_t[]){MINI_DIM, w});
}

/* The characters that stand for bytes, as GPT-2 spells them. */
static inline size_t folder_spell(unsigned byte, char out[4]) {
    static const unsigned odd_ranges[][2] = {{0, 32}, {127, 160}, {173, 173}};
    unsigned c = byte, next = 256;
    for (size_t i = 0; i < 3; i++)
        for (unsigned b = odd_ranges[i][0]; b <= odd_ranges[i][1]; b++, next++)
            if (b == byte)
                c = next;
    if (c < 128) {
        out[0] = (char)c;
        return 1;
    }
    out[0] = (char)(0xC0 | c >> 6);
    out[1] = (char)(0x80 | (c & 0x3F));
    return 2;
}

static inline void folder_add_token(folder *f, const char *token, size_t n) {
    if (!json_object_getn(f->vocab, token, n))
        assert_int_equal(json_object_setn_new(f->vocab, token, n,
                                              json_integer((json_int_t)json_object_size(f->vocab))),
                         0);
}

/* merges: pairs as lines of merges.txt, each one's result becomes a token. */
static inline void folder_add_vocab(folder *f, const char *const *merges, size_t n) {
    char token[64];
    f->vocab = json_object();
    for (unsigned b = 0; b < 512; b++) {
        size_t length = folder_spell(b % 256, token);
        if (b >= 256) {
            memcpy(token + length, "</w>", 4);
            length += 4;
        }
        folder_add_token(f, token, length);
    }
    vt_buf_init(&f->merges, 1 << 20);
    vt_buf_puts(&f->merges, "#version: 0.2\n");
    for (size_t i = 0; i < n; i++) {
        const size_t left = strcspn(merges[i], " ");
        vt_buf_printf(&f->merges, "%s\n", merges[i]);
        snprintf(token, sizeof token, "%.*s%s", (int)left, merges[i], merges[i] + left + 1);
        folder_add_token(f, token, strlen(token));
    }
    folder_add_token(f, "<|startoftext|>", 15);
    folder_add_token(f, "<|endoftext|>", 13);
}

static inline void folder_init(folder *f) {
    static const char *const merges[] = {"r e",   "re d</w>",   "s h", "o e",
                                         "sh oe", "shoe s</w>", "a n", "an d</w>"};
    *f = (folder){0};
    snprintf(f->dir, sizeof f->dir, "/tmp/vt-clip-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    folder_add_vocab(f, merges, sizeof merges / sizeof *merges);
    f->config = json_pack(
        "{s:s, s:i, s:{s:i, s:i, s:i, s:i, s:i, s:i, s:s}, s:{s:i, s:i, s:i, s:i, s:i, s:i, s:s}}",
        "model_type", "clip", "projection_dim", MINI_DIM, "text_config", "hidden_size",
        MINI_TEXT_WIDTH, "intermediate_size", MINI_TEXT_HIDDEN, "num_hidden_layers",
        MINI_TEXT_LAYERS, "num_attention_heads", MINI_TEXT_HEADS, "max_position_embeddings",
        MINI_CONTEXT, "vocab_size", (int)json_object_size(f->vocab), "hidden_act", "quick_gelu",
        "vision_config", "hidden_size", MINI_WIDTH, "intermediate_size", MINI_HIDDEN,
        "num_hidden_layers", MINI_LAYERS, "num_attention_heads", MINI_HEADS, "image_size",
        MINI_IMAGE, "patch_size", MINI_PATCH, "hidden_act", "quick_gelu");
    f->preprocessor =
        json_pack("{s:i, s:i, s:i}", "size", MINI_IMAGE, "crop_size", MINI_IMAGE, "resample", 3);
    assert_non_null(f->config);
    assert_non_null(f->preprocessor);
    folder_add_tensors(f);
}

static inline char *folder_path(const folder *f, const char *name) {
    char *path = vt_path_join(f->dir, name);
    assert_non_null(path);
    return path;
}

static inline void folder_write_file(const folder *f, const char *name, const void *bytes,
                                     size_t n) {
    char *path = folder_path(f, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, n, file), n);
    assert_int_equal(fclose(file), 0);
    free(path);
}

static inline void folder_write_json(const folder *f, const char *name, const json_t *v) {
    char *text = json_dumps(v, JSON_INDENT(1));
    assert_non_null(text);
    folder_write_file(f, name, text, strlen(text));
    free(text);
}

/* To half precision, for numbers that it holds exactly (normal ones and zero). */
static inline uint16_t folder_half(float x, vt_dtype type) {
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    if (type == VT_BF16)
        return (uint16_t)(u >> 16);
    if ((u & 0x7FFFFFFF) == 0)
        return (uint16_t)(u >> 16);
    return (uint16_t)((u >> 16 & 0x8000) | ((u >> 23 & 0xFF) - 112) << 10 | (u >> 13 & 0x3FF));
}

static inline void folder_append_values(vt_buf *data, const folder_tensor *t) {
    for (size_t i = 0; i < t->count; i++) {
        const uint16_t half = folder_half(t->values[i], t->type);
        if (t->type == VT_F32)
            vt_buf_append(data, &t->values[i], sizeof t->values[i]);
        else
            vt_buf_append(data, &half, sizeof half);
    }
}

/* model.safetensors of a list of tensors; `pad` blanks end the header, to misalign the data. */
static inline void folder_write_tensors(const folder *f, const folder_tensor *tensors, size_t n,
                                        size_t pad) {
    static const char *const types[] = {"F32", "F16", "BF16"};
    vt_buf header, data;
    vt_json w;
    uint64_t length;
    vt_buf_init(&header, 1 << 24);
    vt_buf_init(&data, (size_t)1 << 31);
    vt_json_init(&w, &header);
    vt_json_open(&w, '{');
    for (size_t i = 0; i < n; i++) {
        const size_t begin = data.len;
        folder_append_values(&data, &tensors[i]);
        vt_json_key(&w, tensors[i].name);
        vt_json_open(&w, '{');
        vt_json_key(&w, "dtype");
        vt_json_str(&w, types[tensors[i].type]);
        vt_json_key(&w, "shape");
        vt_json_open(&w, '[');
        for (size_t j = 0; j < tensors[i].rank; j++)
            vt_json_int(&w, (int64_t)tensors[i].shape[j]);
        vt_json_close(&w, ']');
        vt_json_key(&w, "data_offsets");
        vt_json_open(&w, '[');
        vt_json_int(&w, (int64_t)begin);
        vt_json_int(&w, (int64_t)data.len);
        vt_json_close(&w, ']');
        vt_json_close(&w, '}');
    }
    vt_json_close(&w, '}');
    while (header.len % 8 != pad)
        vt_buf_puts(&header, " ");
    length = header.len;
    vt_buf file;
    vt_buf_init(&file, (size_t)1 << 31);
    vt_buf_append(&file, &length, 8);
    vt_buf_append(&file, header.data, header.len);
    vt_buf_append(&file, data.data, data.len);
    assert_int_equal(file.failed, VT_OK);
    folder_write_file(f, "model.safetensors", file.data, file.len);
    vt_buf_release(&header);
    vt_buf_release(&data);
    vt_buf_release(&file);
}

static inline void folder_write(const folder *f) {
    folder_write_json(f, "config.json", f->config);
    folder_write_json(f, "preprocessor_config.json", f->preprocessor);
    folder_write_json(f, "vocab.json", f->vocab);
    folder_write_file(f, "merges.txt", f->merges.data, f->merges.len);
    folder_write_tensors(f, f->tensors, f->n_tensors, 0);
}

static inline void folder_release(folder *f) {
    static const char *const names[] = {"config.json",       "preprocessor_config.json",
                                        "vocab.json",        "merges.txt",
                                        "model.safetensors", "model.f32.packed",
                                        "model.bf16.packed", "model.int8.packed"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *path = folder_path(f, names[i]);
        unlink(path);
        free(path);
    }
    rmdir(f->dir);
    for (size_t i = 0; i < f->n_tensors; i++)
        free(f->tensors[i].values);
    vt_buf_release(&f->merges);
    json_decref(f->config);
    json_decref(f->preprocessor);
    json_decref(f->vocab);
}

#endif
