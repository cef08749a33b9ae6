/* The two encoders, against the vectors that openai/CLIP's model.py recorded for a small model, and
 * against the formulas written out again in double precision for a miniature of odd sizes. */
#include "clip_folder.h"

#include "clip/clip.h"
#include "clip/safetensors.h"

#include <math.h>
#include <pthread.h>
#include <sys/stat.h>
#include <zlib.h>

/* What a precision may do to a vector of this model, which is narrow (64 numbers a token), so that
 * rounding weighs more than in a real one. Float32 against float64 is 4e-7; the wrong activation
 * 2e-3. */
typedef struct tolerance {
    vt_precision precision;
    double difference, cosine;
} tolerance;
static const tolerance tolerances[] = {
    {VT_PRECISION_F32, 2e-6, 0.999999},
    {VT_PRECISION_BF16, 5e-3, 0.9995},
    {VT_PRECISION_INT8, 1.5e-2, 0.996},
};
static const tolerance *const f32 = &tolerances[0];
#define N_TOLERANCES (sizeof tolerances / sizeof *tolerances)

static void assert_same_vector(const float *got, const float *wanted, size_t n, const tolerance *t,
                               const char *what) {
    double dot = 0, a = 0, b = 0, worst = 0;
    for (size_t i = 0; i < n; i++) {
        dot += (double)got[i] * wanted[i];
        a += (double)got[i] * got[i];
        b += (double)wanted[i] * wanted[i];
        worst = fmax(worst, fabs((double)got[i] - wanted[i]));
    }
    if (!(dot / sqrt(a * b) >= t->cosine) || !(worst <= t->difference))
        fail_msg("%s %s: %s: cosine %.8f, largest difference %.2e", vt_vec_isa(),
                 vt_precision_name(t->precision), what, dot / sqrt(a * b), worst);
    assert_true(fabs(a - 1) < 1e-5);
}

static vt_clip *open_as(const char *dir, vt_precision precision, vt_pool *pool) {
    vt_clip *m;
    vt_err err;
    if (vt_clip_open(dir, &(vt_clip_options){.precision = precision, .pool = pool}, &m, &err) !=
        VT_OK)
        fail_msg("%s", err.text);
    return m;
}

static vt_clip *open_model(const char *dir, vt_pool *pool) {
    return open_as(dir, VT_PRECISION_F32, pool);
}

/* ---- recorded vectors ------------------------------------------------------------------- */

typedef struct oracle {
    char dir[256];
    json_t *index; /* expected/tiny/index.json */
    size_t dim;
    const tolerance *tolerance;
} oracle;

static void *read_whole(const oracle *o, const char *name, size_t *n) {
    char path[512];
    vt_buf b;
    vt_err err;
    snprintf(path, sizeof path, "%s/%s", o->dir, name);
    vt_buf_init(&b, 1 << 26);
    if (vt_file_read(path, &b, &err) != VT_OK)
        fail_msg("%s", err.text);
    *n = b.len;
    return b.data;
}

static bool oracle_open(oracle *o) {
    const char *shared = getenv("VT_SHARED");
    struct stat st;
    json_error_t e;
    size_t n;
    char *text;
    snprintf(o->dir, sizeof o->dir, "%s/oracle", shared ? shared : "/nowhere");
    if (!shared || stat(o->dir, &st) != 0) {
        print_message("# skipped: no folder oracle in VT_SHARED\n");
        return false;
    }
    text = read_whole(o, "expected/tiny/index.json", &n);
    o->index = json_loadb(text, n, JSON_ALLOW_NUL, &e);
    free(text);
    assert_non_null(o->index);
    o->dim = (size_t)json_integer_value(json_object_get(o->index, "dim"));
    return true;
}

static void check_texts(const oracle *o, vt_clip *m, const char *file) {
    const json_t *texts = json_object_get(o->index, "text");
    size_t bytes;
    float *wanted = read_whole(o, file, &bytes), got[1024];
    const size_t n = bytes / sizeof *wanted / o->dim;
    assert_true(n >= 64 && n <= json_array_size(texts) && o->dim <= 1024);
    for (size_t i = 0; i < n; i++) {
        const json_t *text = json_array_get(texts, i);
        vt_err err;
        assert_int_equal(vt_clip_encode_text(m, json_string_value(text), json_string_length(text),
                                             got, &err),
                         VT_OK);
        assert_same_vector(got, wanted + i * o->dim, o->dim, o->tolerance, json_string_value(text));
    }
    free(wanted);
}

/* A crop of the oracle as the tensor that vt_image_preprocess would make of it. */
static float *read_crop(const oracle *o, const vt_clip_pixels *p, const char *name) {
    const size_t plane = (size_t)p->crop * p->crop;
    char path[512];
    uint8_t *rgb = vt_alloc(plane, 3);
    float *pixels = vt_alloc(plane * 3, sizeof *pixels);
    gzFile file;
    assert_true(rgb && pixels);
    snprintf(path, sizeof path, "%s/crops/%s", o->dir, name);
    file = gzopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(gzread(file, rgb, (unsigned)(plane * 3)), plane * 3);
    gzclose(file);
    for (size_t i = 0; i < plane; i++)
        for (size_t c = 0; c < 3; c++)
            pixels[c * plane + i] = ((float)rgb[i * 3 + c] / 255 - p->mean[c]) / p->std[c];
    free(rgb);
    return pixels;
}

static void check_images(const oracle *o, vt_clip *m, const char *file) {
    const json_t *images = json_object_get(o->index, "image");
    size_t bytes;
    float *wanted = read_whole(o, file, &bytes), got[1024];
    const size_t n = bytes / sizeof *wanted / o->dim;
    assert_true(n >= 8 && n == json_array_size(images) && o->dim <= 1024);
    for (size_t i = 0; i < n; i++) {
        const char *crop = json_string_value(json_array_get(json_array_get(images, i), 2));
        float *pixels = read_crop(o, &vt_clip_describe(m)->pixels, crop);
        vt_err err;
        assert_int_equal(vt_clip_encode_image(m, pixels, got, &err), VT_OK);
        assert_same_vector(got, wanted + i * o->dim, o->dim, o->tolerance, crop);
        free(pixels);
    }
    free(wanted);
}

/* And in every precision. */
static void with_every_instruction_set(void (*check)(const oracle *, vt_clip *), oracle *o,
                                       const char *dir) {
    vt_err err;
    for (const char *const *isa = vt_vec_isas(); *isa; isa++) {
        assert_int_equal(vt_vec_init(*isa, &err), VT_OK);
        for (size_t i = 0; i < N_TOLERANCES; i++) {
            vt_clip *m = open_as(dir, tolerances[i].precision, NULL);
            assert_int_equal(vt_clip_describe(m)->precision, tolerances[i].precision);
            assert_string_equal(vt_clip_describe(m)->note, "");
            o->tolerance = &tolerances[i];
            check(o, m);
            vt_clip_close(m);
        }
    }
    assert_int_equal(vt_vec_init(NULL, &err), VT_OK);
}

static void check_quick_gelu(const oracle *o, vt_clip *m) {
    check_texts(o, m, "expected/tiny/text.f32");
    check_images(o, m, "expected/tiny/image.f32");
}

static void check_gelu(const oracle *o, vt_clip *m) {
    check_texts(o, m, "expected/tiny/text.gelu.f32");
    check_images(o, m, "expected/tiny/image.gelu.f32");
}

static void recorded_texts_and_images_have_the_reference_vectors(void **state) {
    oracle o;
    char dir[512];
    if (!oracle_open(&o))
        skip();
    snprintf(dir, sizeof dir, "%s/tiny", o.dir);
    with_every_instruction_set(check_quick_gelu, &o, dir);
    json_decref(o.index);
}

/* A folder of links to the oracle's small model; the caller writes what differs. */
static void link_model(const oracle *o, folder *f, const char *const *names, size_t n) {
    *f = (folder){0};
    snprintf(f->dir, sizeof f->dir, "/tmp/vt-clip-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    for (size_t i = 0; i < n; i++) {
        char target[512], *path = folder_path(f, names[i]);
        snprintf(target, sizeof target, "%s/tiny/%s", o->dir, names[i]);
        assert_int_equal(symlink(target, path), 0);
        free(path);
    }
}

static void the_exact_gelu_has_the_reference_vectors(void **state) {
    static const char *const linked[] = {"preprocessor_config.json", "vocab.json", "merges.txt",
                                         "model.safetensors"};
    oracle o;
    folder f;
    json_error_t e;
    size_t n;
    char *text;
    if (!oracle_open(&o))
        skip();
    link_model(&o, &f, linked, 4);
    text = read_whole(&o, "tiny/config.json", &n);
    f.config = json_loadb(text, n, 0, &e);
    assert_non_null(f.config);
    json_object_set_new(json_object_get(f.config, "text_config"), "hidden_act",
                        json_string("gelu"));
    json_object_set_new(json_object_get(f.config, "vision_config"), "hidden_act",
                        json_string("gelu"));
    folder_write_json(&f, "config.json", f.config);
    with_every_instruction_set(check_gelu, &o, f.dir);
    free(text);
    folder_release(&f);
    json_decref(o.index);
}

/* The shared small model written again with other dtypes: its weights are exact in all three. */
static void rewrite_model(const oracle *o, folder *f, const vt_dtype *types, size_t n_types,
                          size_t pad) {
    char path[512];
    vt_safetensors *file;
    const vt_tensor *from;
    size_t count;
    vt_err err;
    snprintf(path, sizeof path, "%s/tiny/model.safetensors", o->dir);
    assert_int_equal(vt_safetensors_open(path, &file, &err), VT_OK);
    from = vt_safetensors_list(file, &count);
    for (size_t i = 0; i < count; i++) {
        folder_tensor *t;
        if (!from[i].readable)
            continue;
        t = folder_add(f, from[i].name, from[i].rank, from[i].shape);
        vt_tensor_to_f32(&from[i], t->values);
        t->type = types[i % n_types];
    }
    folder_write_tensors(f, f->tensors, f->n_tensors, pad);
    vt_safetensors_close(file);
}

static void the_dtype_of_a_file_does_not_change_vectors(void **state) {
    static const char *const linked[] = {"config.json", "preprocessor_config.json", "vocab.json",
                                         "merges.txt"};
    static const vt_dtype types[] = {VT_F32, VT_BF16, VT_F32, VT_F16, VT_F16};
    static const char text[] = "a photo of a red dress";
    oracle o;
    char dir[512];
    float wanted[1024], got[1024];
    vt_clip *m;
    vt_err err;
    if (!oracle_open(&o))
        skip();
    snprintf(dir, sizeof dir, "%s/tiny", o.dir);
    m = open_model(dir, NULL);
    float *pixels =
        read_crop(&o, &vt_clip_describe(m)->pixels, "jpeg_420_640x480.jpg.openai.rgb.gz");
    assert_int_equal(vt_clip_encode_text(m, text, sizeof text - 1, wanted, &err), VT_OK);
    assert_int_equal(vt_clip_encode_image(m, pixels, wanted + o.dim, &err), VT_OK);
    vt_clip_close(m);
    /* All F32; all BF16; F32, F16, F16 in turn, so that q, k and v differ; F32 off its alignment.
     */
    const struct {
        const vt_dtype *types;
        size_t n, pad;
    } cases[] = {{types, 1, 0}, {types + 1, 1, 0}, {types + 2, 3, 0}, {types, 1, 3}};
    for (size_t i = 0; i < 4; i++) {
        folder f;
        link_model(&o, &f, linked, 4);
        rewrite_model(&o, &f, cases[i].types, cases[i].n, cases[i].pad);
        m = open_model(f.dir, NULL);
        assert_int_equal(vt_clip_encode_text(m, text, sizeof text - 1, got, &err), VT_OK);
        assert_int_equal(vt_clip_encode_image(m, pixels, got + o.dim, &err), VT_OK);
        assert_memory_equal(got, wanted, 2 * o.dim * sizeof *got);
        vt_clip_close(m);
        folder_release(&f);
    }
    free(pixels);
    json_decref(o.index);
}

/* ---- the formulas, written out again ---------------------------------------------------- */

static const float *values_of(folder *f, const char *fmt, ...) VT_PRINTF(2, 3);

static const float *values_of(folder *f, const char *fmt, ...) {
    char name[128];
    va_list args;
    va_start(args, fmt);
    vsnprintf(name, sizeof name, fmt, args);
    va_end(args);
    return folder_find(f, name)->values;
}

static void plain_norm(double *x, size_t n, const float *gain, const float *bias) {
    double mean = 0, variance = 0;
    for (size_t i = 0; i < n; i++)
        mean += x[i] / (double)n;
    for (size_t i = 0; i < n; i++)
        variance += (x[i] - mean) * (x[i] - mean) / (double)n;
    for (size_t i = 0; i < n; i++)
        x[i] = (x[i] - mean) / sqrt(variance + 1e-5) * gain[i] + bias[i];
}

static void plain_linear(double *y, const double *x, size_t n_out, size_t n_in, const float *w,
                         const float *bias) {
    for (size_t o = 0; o < n_out; o++) {
        y[o] = bias ? bias[o] : 0;
        for (size_t i = 0; i < n_in; i++)
            y[o] += w[o * n_in + i] * x[i];
    }
}

static double plain_activation(double x, bool quick) {
    return quick ? x / (1 + exp(-1.702 * x)) : x / 2 * (1 + erf(x / sqrt(2)));
}

typedef struct plain_tower {
    folder *f;
    const char *name;
    size_t width, hidden, heads, layers;
    bool causal, quick;
} plain_tower;

enum { ROWS_MAX = 16, WIDTH_MAX = 16 };

/* One row's attention over all the rows it sees; adds out_proj's result to x. */
static void plain_attend(const plain_tower *t, const char *at, double q[][WIDTH_MAX],
                         double k[][WIDTH_MAX], double v[][WIDTH_MAX], size_t row, size_t seen,
                         double *x) {
    const size_t dim = t->width / t->heads;
    double joined[WIDTH_MAX] = {0}, out[WIDTH_MAX];
    for (size_t h = 0; h < t->heads; h++) {
        double p[ROWS_MAX], sum = 0;
        for (size_t j = 0; j < seen; j++) {
            double score = 0;
            for (size_t d = h * dim; d < (h + 1) * dim; d++)
                score += q[row][d] * k[j][d];
            sum += p[j] = exp(score / sqrt((double)dim));
        }
        for (size_t j = 0; j < seen; j++)
            for (size_t d = h * dim; d < (h + 1) * dim; d++)
                joined[d] += p[j] / sum * v[j][d];
    }
    plain_linear(out, joined, t->width, t->width,
                 values_of(t->f, "%s.self_attn.out_proj.weight", at),
                 values_of(t->f, "%s.self_attn.out_proj.bias", at));
    for (size_t i = 0; i < t->width; i++)
        x[i] += out[i];
}

static void plain_mlp(const plain_tower *t, const char *at, double *x) {
    double normed[WIDTH_MAX], hidden[WIDTH_MAX], out[WIDTH_MAX];
    memcpy(normed, x, t->width * sizeof *x);
    plain_norm(normed, t->width, values_of(t->f, "%s.layer_norm2.weight", at),
               values_of(t->f, "%s.layer_norm2.bias", at));
    plain_linear(hidden, normed, t->hidden, t->width, values_of(t->f, "%s.mlp.fc1.weight", at),
                 values_of(t->f, "%s.mlp.fc1.bias", at));
    for (size_t i = 0; i < t->hidden; i++)
        hidden[i] = plain_activation(hidden[i], t->quick);
    plain_linear(out, hidden, t->width, t->hidden, values_of(t->f, "%s.mlp.fc2.weight", at),
                 values_of(t->f, "%s.mlp.fc2.bias", at));
    for (size_t i = 0; i < t->width; i++)
        x[i] += out[i];
}

static void plain_layer(const plain_tower *t, size_t layer, double x[][WIDTH_MAX], size_t rows) {
    static const char *const names[] = {"q_proj", "k_proj", "v_proj"};
    double qkv[3][ROWS_MAX][WIDTH_MAX];
    char at[96];
    snprintf(at, sizeof at, "%s.encoder.layers.%zu", t->name, layer);
    for (size_t r = 0; r < rows; r++) {
        double normed[WIDTH_MAX];
        memcpy(normed, x[r], sizeof normed);
        plain_norm(normed, t->width, values_of(t->f, "%s.layer_norm1.weight", at),
                   values_of(t->f, "%s.layer_norm1.bias", at));
        for (size_t i = 0; i < 3; i++)
            plain_linear(qkv[i][r], normed, t->width, t->width,
                         values_of(t->f, "%s.self_attn.%s.weight", at, names[i]),
                         values_of(t->f, "%s.self_attn.%s.bias", at, names[i]));
    }
    for (size_t r = 0; r < rows; r++)
        plain_attend(t, at, qkv[0], qkv[1], qkv[2], r, t->causal ? r + 1 : rows, x[r]);
    for (size_t r = 0; r < rows; r++)
        plain_mlp(t, at, x[r]);
}

/* Last norm, projection, unit length. */
static void plain_finish(folder *f, double *row, size_t width, const char *norm,
                         const char *projection, float *out) {
    double y[MINI_DIM], length = 0;
    plain_norm(row, width, values_of(f, "%s.weight", norm), values_of(f, "%s.bias", norm));
    plain_linear(y, row, MINI_DIM, width, values_of(f, "%s.weight", projection), NULL);
    for (size_t i = 0; i < MINI_DIM; i++)
        length += y[i] * y[i];
    for (size_t i = 0; i < MINI_DIM; i++)
        out[i] = (float)(y[i] / sqrt(length));
}

/* All of the ids, to the very last: what stands behind the first end must not matter. */
static void plain_text(folder *f, const uint32_t *ids, size_t n, size_t end, bool quick,
                       float *out) {
    const plain_tower t = {
        f,    "text_model", MINI_TEXT_WIDTH, MINI_TEXT_HIDDEN, MINI_TEXT_HEADS, MINI_TEXT_LAYERS,
        true, quick};
    const float *tokens = values_of(f, "text_model.embeddings.token_embedding.weight");
    const float *positions = values_of(f, "text_model.embeddings.position_embedding.weight");
    double x[ROWS_MAX][WIDTH_MAX];
    for (size_t r = 0; r < n; r++)
        for (size_t i = 0; i < t.width; i++)
            x[r][i] = (double)tokens[ids[r] * t.width + i] + positions[r * t.width + i];
    for (size_t i = 0; i < t.layers; i++)
        plain_layer(&t, i, x, n);
    plain_finish(f, x[end], t.width, "text_model.final_layer_norm", "text_projection", out);
}

/* The convolution as a convolution. */
static double plain_patch(const float *kernel, const float *pixels, size_t px, size_t py) {
    double sum = 0;
    for (size_t c = 0; c < 3; c++)
        for (size_t y = 0; y < MINI_PATCH; y++)
            for (size_t x = 0; x < MINI_PATCH; x++)
                sum += (double)kernel[(c * MINI_PATCH + y) * MINI_PATCH + x] *
                       pixels[(c * MINI_IMAGE + py * MINI_PATCH + y) * MINI_IMAGE +
                              px * MINI_PATCH + x];
    return sum;
}

static void plain_image(folder *f, const float *pixels, bool quick, float *out) {
    const plain_tower t = {f,          "vision_model", MINI_WIDTH, MINI_HIDDEN,
                           MINI_HEADS, MINI_LAYERS,    false,      quick};
    const float *kernels = values_of(f, "vision_model.embeddings.patch_embedding.weight");
    const float *first = values_of(f, "vision_model.embeddings.class_embedding");
    const float *positions = values_of(f, "vision_model.embeddings.position_embedding.weight");
    const size_t side = MINI_IMAGE / MINI_PATCH, rows = side * side + 1;
    double x[ROWS_MAX][WIDTH_MAX];
    for (size_t r = 0; r < rows; r++) {
        for (size_t i = 0; i < t.width; i++) {
            const float *kernel = kernels + i * 3 * MINI_PATCH * MINI_PATCH;
            x[r][i] = positions[r * t.width + i];
            x[r][i] += r == 0 ? (double)first[i]
                              : plain_patch(kernel, pixels, (r - 1) % side, (r - 1) / side);
        }
        plain_norm(x[r], t.width, values_of(f, "vision_model.pre_layrnorm.weight"),
                   values_of(f, "vision_model.pre_layrnorm.bias"));
    }
    for (size_t i = 0; i < t.layers; i++)
        plain_layer(&t, i, x, rows);
    plain_finish(f, x[0], t.width, "vision_model.post_layernorm", "visual_projection", out);
}

static void random_pixels(float *pixels, uint64_t seed) {
    for (size_t i = 0; i < 3 * MINI_IMAGE * MINI_IMAGE; i++)
        pixels[i] = (float)(folder_random(&seed) % 4001) / 1000 - 2;
}

static void check_miniature(folder *f, vt_clip *m, bool quick) {
    static const char *const texts[] = {"", "red", "Red shoes & and", "x <|endoftext|> red shoes",
                                        "a very long text that is cut at eleven tokens"};
    float pixels[3 * MINI_IMAGE * MINI_IMAGE], got[MINI_DIM], wanted[MINI_DIM];
    const uint32_t end = (uint32_t)json_integer_value(json_object_get(f->vocab, "<|endoftext|>"));
    vt_err err;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        uint32_t ids[MINI_CONTEXT];
        size_t n, first = 0;
        assert_int_equal(
            vt_clip_tokenize(m, texts[i], strlen(texts[i]), ids, MINI_CONTEXT, &n, &err), VT_OK);
        while (ids[first] != end)
            first++;
        plain_text(f, ids, n, first, quick, wanted);
        assert_int_equal(vt_clip_encode_text(m, texts[i], strlen(texts[i]), got, &err), VT_OK);
        assert_same_vector(got, wanted, MINI_DIM, f32, texts[i]);
    }
    for (uint64_t seed = 0; seed < 5; seed++) {
        random_pixels(pixels, seed);
        plain_image(f, pixels, quick, wanted);
        assert_int_equal(vt_clip_encode_image(m, pixels, got, &err), VT_OK);
        assert_same_vector(got, wanted, MINI_DIM, f32, "random pixels");
    }
}

static void odd_sizes_follow_the_formulas(void **state) {
    static const char *const acts[] = {"quick_gelu", "gelu"};
    for (size_t i = 0; i < 2; i++) {
        folder f;
        vt_pool *pool;
        vt_clip *m;
        vt_err err;
        folder_init(&f);
        json_object_set_new(json_object_get(f.config, "text_config"), "hidden_act",
                            json_string(acts[i]));
        json_object_set_new(json_object_get(f.config, "vision_config"), "hidden_act",
                            json_string(acts[i]));
        folder_write(&f);
        assert_int_equal(vt_pool_open(3, &pool, &err), VT_OK);
        m = open_model(f.dir, pool);
        check_miniature(&f, m, i == 0);
        vt_clip_close(m);
        vt_pool_close(pool);
        folder_release(&f);
    }
}

/* ---- the model as a whole --------------------------------------------------------------- */

static void a_model_tells_what_it_is(void **state) {
    folder f;
    vt_clip *m;
    const vt_clip_info *info;
    folder_init(&f);
    json_object_set_new(f.preprocessor, "do_convert_rgb", json_true());
    json_object_set_new(f.preprocessor, "image_mean", json_pack("[f,f,f]", 0.5, 0.25, 0.125));
    json_object_set_new(f.preprocessor, "size", json_pack("{s:i}", "shortest_edge", 13));
    json_object_set_new(f.preprocessor, "crop_size",
                        json_pack("{s:i,s:i}", "height", MINI_IMAGE, "width", MINI_IMAGE));
    folder_write(&f);
    m = open_model(f.dir, NULL);
    info = vt_clip_describe(m);
    assert_true(info->dim == MINI_DIM && info->context == MINI_CONTEXT);
    assert_int_equal(info->vocab, json_object_size(f.vocab));
    assert_true(info->text_width == MINI_TEXT_WIDTH && info->text_layers == MINI_TEXT_LAYERS);
    assert_true(info->vision_width == MINI_WIDTH && info->vision_heads == MINI_HEADS);
    assert_true(info->patch == MINI_PATCH && info->pixels.crop == MINI_IMAGE);
    assert_true(info->pixels.resize == 13 && info->pixels.convert_first);
    assert_true(info->pixels.mean[1] == 0.25F && info->pixels.std[0] == 0.26862954F);
    size_t parameters = 0;
    for (size_t i = 1; i < f.n_tensors; i++) /* logit_scale is nobody's */
        parameters += f.tensors[i].count;
    assert_int_equal(info->parameters, parameters);
    assert_true(info->packed_bytes > 0 && info->file_bytes > parameters * 4);
    vt_clip_close(m);
    folder_release(&f);
}

static double scale_at(folder *f, float logarithm) {
    vt_clip *m;
    double scale;
    folder_find(f, "logit_scale")->values[0] = logarithm;
    folder_write(f);
    m = open_model(f->dir, NULL);
    scale = vt_clip_describe(m)->logit_scale;
    vt_clip_close(m);
    return scale;
}

static void the_logit_scale_is_clipped_as_in_training(void **state) {
    folder f;
    folder_init(&f);
    assert_float_equal(scale_at(&f, 2), 7.389056, 1e-5);
    assert_float_equal(scale_at(&f, 4.6F), 99.48431, 1e-3);
    assert_float_equal(scale_at(&f, 5), 100, 0);
    assert_float_equal(scale_at(&f, -3), 1, 0);
    assert_float_equal(scale_at(&f, NAN), 100, 0);
    folder_release(&f);
}

static vt_hash identity_of(const folder *f) {
    vt_clip *m;
    vt_hash identity;
    folder_write(f);
    m = open_model(f->dir, NULL);
    identity = vt_clip_describe(m)->identity;
    vt_clip_close(m);
    return identity;
}

/* Each change but the first is one that changes vectors. */
static void the_identity_changes_with_what_changes_vectors(void **state) {
    folder f;
    vt_hash was, is;
    folder_init(&f);
    was = identity_of(&f);
    json_object_set_new(f.config, "initializer_factor", json_real(3));
    is = identity_of(&f);
    assert_true(vt_hash_equal(&was, &is));
    for (size_t i = 0; i < 5; i++) {
        if (i == 0)
            f.tensors[3].values[0] += 0.5F;
        else if (i == 1)
            json_object_set_new(json_object_get(f.config, "text_config"), "layer_norm_eps",
                                json_real(1e-6));
        else if (i == 2)
            json_object_set_new(f.preprocessor, "size", json_integer(12));
        else if (i == 3)
            f.merges.data[strcspn(f.merges.data, "\n") + 1] = 'R';
        else
            json_object_set_new(f.preprocessor, "do_convert_rgb", json_true());
        if (i == 3) { /* "R e" in place of "r e" */
            folder_add_token(&f, "Re", 2);
            json_object_set_new(json_object_get(f.config, "text_config"), "vocab_size",
                                json_integer((json_int_t)json_object_size(f.vocab)));
            folder_tensor *t = folder_find(&f, "text_model.embeddings.token_embedding.weight");
            t->shape[0]++;
            t->count += MINI_TEXT_WIDTH;
            free(t->values);
            t->values = vt_alloc(t->count, sizeof *t->values);
        }
        is = identity_of(&f);
        assert_false(vt_hash_equal(&was, &is));
        was = is;
    }
    folder_release(&f);
}

typedef struct caller {
    vt_clip *m;
    float text[MINI_DIM], image[MINI_DIM];
    bool ok;
} caller;

static void *call_often(void *arg) {
    caller *c = arg;
    float pixels[3 * MINI_IMAGE * MINI_IMAGE], text[MINI_DIM], image[MINI_DIM];
    vt_err err;
    random_pixels(pixels, 1);
    c->ok = true;
    for (size_t i = 0; i < 200 && c->ok; i++)
        c->ok = vt_clip_encode_text(c->m, "red shoes", 9, text, &err) == VT_OK &&
                vt_clip_encode_image(c->m, pixels, image, &err) == VT_OK &&
                memcmp(text, c->text, sizeof text) == 0 &&
                memcmp(image, c->image, sizeof image) == 0;
    return NULL;
}

static void callers_at_once_get_the_same_bits(void **state) {
    folder f;
    vt_pool *pool;
    pthread_t threads[4];
    caller callers[4], first = {0};
    float pixels[3 * MINI_IMAGE * MINI_IMAGE];
    vt_err err;
    folder_init(&f);
    folder_write(&f);
    assert_int_equal(vt_pool_open(2, &pool, &err), VT_OK);
    first.m = open_model(f.dir, pool);
    random_pixels(pixels, 1);
    assert_int_equal(vt_clip_encode_text(first.m, "red shoes", 9, first.text, &err), VT_OK);
    assert_int_equal(vt_clip_encode_image(first.m, pixels, first.image, &err), VT_OK);
    for (size_t i = 0; i < 4; i++) {
        callers[i] = first;
        assert_int_equal(pthread_create(&threads[i], NULL, call_often, &callers[i]), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        assert_true(callers[i].ok);
    }
    vt_clip_close(first.m);
    vt_pool_close(pool);
    folder_release(&f);
}

static void a_vector_without_length_is_refused(void **state) {
    folder f;
    vt_clip *m;
    float pixels[3 * MINI_IMAGE * MINI_IMAGE], out[MINI_DIM];
    folder_tensor *t;
    vt_err err;
    folder_init(&f);
    t = folder_find(&f, "text_projection.weight");
    memset(t->values, 0, t->count * sizeof *t->values);
    folder_find(&f, "visual_projection.weight")->values[0] = NAN;
    folder_write(&f);
    m = open_model(f.dir, NULL);
    random_pixels(pixels, 2);
    assert_int_equal(vt_clip_encode_text(m, "red", 3, out, &err), VT_E_INTERNAL);
    assert_int_equal(vt_clip_encode_image(m, pixels, out, &err), VT_E_INTERNAL);
    vt_clip_close(m);
    folder_release(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recorded_texts_and_images_have_the_reference_vectors),
        cmocka_unit_test(the_exact_gelu_has_the_reference_vectors),
        cmocka_unit_test(the_dtype_of_a_file_does_not_change_vectors),
        cmocka_unit_test(odd_sizes_follow_the_formulas),
        cmocka_unit_test(a_model_tells_what_it_is),
        cmocka_unit_test(the_logit_scale_is_clipped_as_in_training),
        cmocka_unit_test(the_identity_changes_with_what_changes_vectors),
        cmocka_unit_test(callers_at_once_get_the_same_bits),
        cmocka_unit_test(a_vector_without_length_is_refused),
    };
    vt_err err;
    if (vt_vec_init(NULL, &err) != VT_OK)
        return 1;
    return cmocka_run_group_tests_name("clip", tests, NULL, NULL);
}
