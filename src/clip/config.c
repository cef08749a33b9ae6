/* config.json and preprocessor_config.json, as Hugging Face's transformers library writes them for
 * a CLIPModel. An absent key has the default of that library's CLIPConfig; a null counts as absent.
 *
 * The rule for what to refuse: whatever this code would compute differently from the reference.
 * Keys that change training only (dropout, initializer_range) are not looked at. Older files carry
 * text_config_dict and vision_config_dict; where one is an object it stands in place of its
 * section, which is what the reference does with it. */
#include "clip/config.h"

#include <math.h>

enum {
    WIDTH_MAX = 1 << 16,
    LAYERS_MAX = 1024,
    VOCAB_MAX = 1 << 24,
    CONTEXT_MAX = 1 << 16,
    IMAGE_MAX = 1 << 13,
    FILE_MAX = 1 << 20,
};

/* One object of a file. Its failure is sticky, so a section is read as a list of keys and asked
 * once whether all went well. */
typedef struct section {
    const char *file;  /* "config.json" */
    const char *label; /* "text_config." or "" */
    const json_t *object;
    vt_status status;
    vt_err *err;
} section;

/* Keeps the first refusal: "config.json: text_config.hidden_act is "relu", this and that is read".
 */
static void refuse(section *s, const char *key, const char *wanted) {
    const json_t *v = json_object_get(s->object, key);
    char *found;
    if (s->status != VT_OK)
        return;
    found = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT | JSON_SORT_KEYS);
    s->status = vt_fail(s->err, VT_E_MODEL, "%s: %s%s is %.100s, expected %s", s->file, s->label,
                        key, found ? found : "absent", wanted);
    free(found);
}

static const json_t *value_of(const section *s, const char *key) {
    const json_t *v = json_object_get(s->object, key);
    return json_is_null(v) ? NULL : v;
}

static size_t read_count(section *s, const char *key, size_t absent, size_t max) {
    const json_t *v = value_of(s, key);
    char wanted[64];
    if (!v)
        return absent;
    if (json_is_integer(v) && json_integer_value(v) >= 1 && (uint64_t)json_integer_value(v) <= max)
        return (size_t)json_integer_value(v);
    snprintf(wanted, sizeof wanted, "an integer from 1 to %zu", max);
    refuse(s, key, wanted);
    return absent;
}

/* A key with one value that is right, which absence stands for. */
static void require_int(section *s, const char *key, json_int_t value, const char *wanted) {
    const json_t *v = value_of(s, key);
    if (v && !(json_is_integer(v) && json_integer_value(v) == value))
        refuse(s, key, wanted);
}

static void require_true(section *s, const char *key) {
    const json_t *v = value_of(s, key);
    if (v && !json_is_true(v))
        refuse(s, key, "true");
}

static void require_text(section *s, const char *key, const char *text) {
    const json_t *v = value_of(s, key);
    char wanted[64];
    if (!v || (json_is_string(v) && strcmp(json_string_value(v), text) == 0))
        return;
    snprintf(wanted, sizeof wanted, "\"%s\"", text);
    refuse(s, key, wanted);
}

static vt_act read_activation(section *s) {
    const json_t *v = value_of(s, "hidden_act");
    const char *name = v ? json_string_value(v) : "quick_gelu";
    if (name && strcmp(name, "quick_gelu") == 0)
        return VT_ACT_QUICK_GELU;
    if (!name || strcmp(name, "gelu") != 0)
        refuse(s, "hidden_act", "\"quick_gelu\" or \"gelu\"");
    return VT_ACT_GELU;
}

static float read_eps(section *s) {
    const json_t *v = value_of(s, "layer_norm_eps");
    const double eps = v ? json_number_value(v) : 1e-5;
    if (!(eps > 0 && eps < 1))
        refuse(s, "layer_norm_eps", "a number between 0 and 1");
    return (float)eps;
}

static vt_tower_shape read_tower(section *s, const vt_tower_shape *absent) {
    vt_tower_shape t = {
        .width = read_count(s, "hidden_size", absent->width, WIDTH_MAX),
        .hidden = read_count(s, "intermediate_size", absent->hidden, 4 * WIDTH_MAX),
        .layers = read_count(s, "num_hidden_layers", absent->layers, LAYERS_MAX),
        .heads = read_count(s, "num_attention_heads", absent->heads, WIDTH_MAX),
        .act = read_activation(s),
        .eps = read_eps(s),
    };
    if (t.width % t.heads != 0)
        refuse(s, "num_attention_heads", "a divisor of hidden_size");
    return t;
}

static void read_end_id(section *s, vt_clip_config *c) {
    const json_t *v = value_of(s, "eos_token_id");
    if (!v)
        return;
    if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) >= VOCAB_MAX) {
        refuse(s, "eos_token_id", "a token id");
        return;
    }
    c->has_end_id = true;
    c->end_id = (uint32_t)json_integer_value(v);
}

static void read_text(section *s, vt_clip_config *c) {
    static const vt_tower_shape absent = {.width = 512, .hidden = 2048, .layers = 12, .heads = 8};
    c->text = read_tower(s, &absent);
    c->vocab = read_count(s, "vocab_size", 49408, VOCAB_MAX);
    c->context = read_count(s, "max_position_embeddings", 77, CONTEXT_MAX);
    if (c->context < 2)
        refuse(s, "max_position_embeddings", "room for start and end of text");
    read_end_id(s, c);
}

static void read_vision(section *s, vt_clip_config *c) {
    static const vt_tower_shape absent = {.width = 768, .hidden = 3072, .layers = 12, .heads = 12};
    c->vision = read_tower(s, &absent);
    c->image = read_count(s, "image_size", 224, IMAGE_MAX);
    c->patch = read_count(s, "patch_size", 32, IMAGE_MAX);
    if (c->patch > c->image)
        refuse(s, "patch_size", "at most image_size");
    require_int(s, "num_channels", 3, "3");
}

/* Steps from the whole file into one tower's section. */
static section enter(section *root, const char *key, const char *older, const char *label) {
    const json_t *v = value_of(root, older);
    section s = *root;
    if (v && !json_is_object(v))
        refuse(&s, older, "an object");
    if (!v) {
        v = value_of(root, key);
        if (v && !json_is_object(v))
            refuse(&s, key, "an object");
    }
    s.object = v;
    s.label = label;
    return s;
}

static vt_status read_model(const json_t *root, vt_clip_config *c, vt_err *err) {
    section all = {.file = "config.json", .label = "", .object = root, .err = err};
    section part;
    require_text(&all, "model_type", "clip");
    c->dim = read_count(&all, "projection_dim", 512, WIDTH_MAX);
    part = enter(&all, "text_config", "text_config_dict", "text_config.");
    read_text(&part, c);
    if (part.status != VT_OK)
        return part.status;
    part = enter(&all, "vision_config", "vision_config_dict", "vision_config.");
    read_vision(&part, c);
    return part.status;
}

/* A side in pixels: 224, or an object whose only keys are `a` and, unless NULL, `b`, both equal. */
static size_t read_side(section *s, const char *key, const char *a, const char *b) {
    const json_t *v = value_of(s, key);
    section inner = *s;
    size_t side;
    if (!json_is_object(v))
        return read_count(s, key, 224, IMAGE_MAX);
    inner.object = v;
    side = read_count(&inner, a, 0, IMAGE_MAX);
    if (b && read_count(&inner, b, 0, IMAGE_MAX) != side)
        side = 0;
    if (inner.status != VT_OK || side == 0 || json_object_size(v) != (size_t)(b ? 2 : 1))
        refuse(s, key, b ? "a side or {height, width} of a square" : "a side or {shortest_edge}");
    return side;
}

static void read_channels(section *s, const char *key, const float *absent, float *out) {
    const json_t *v = value_of(s, key);
    memcpy(out, absent, 3 * sizeof *out);
    if (v && json_array_size(v) != 3) {
        refuse(s, key, "three numbers");
        return;
    }
    for (size_t i = 0; v && i < 3; i++) {
        const json_t *x = json_array_get(v, i);
        if (!json_is_number(x) || fabs(json_number_value(x)) > 1e6)
            refuse(s, key, "three numbers");
        out[i] = (float)json_number_value(x);
    }
}

static void check_rescale(section *s) {
    const json_t *factor = value_of(s, "rescale_factor");
    require_true(s, "do_rescale");
    if (factor && fabs(json_number_value(factor) * 255 - 1) > 1e-6)
        refuse(s, "rescale_factor", "1/255");
}

static vt_status read_pixels(const json_t *root, vt_clip_config *c, vt_err *err) {
    static const float mean[3] = {0.48145466F, 0.4578275F, 0.40821073F};
    static const float std[3] = {0.26862954F, 0.26130258F, 0.27577711F};
    section s = {.file = "preprocessor_config.json", .label = "", .object = root, .err = err};
    vt_clip_pixels *p = &c->pixels;
    require_true(&s, "do_resize");
    require_true(&s, "do_center_crop");
    require_true(&s, "do_normalize");
    check_rescale(&s);
    p->resize = (uint32_t)read_side(&s, "size", "shortest_edge", NULL);
    p->crop = (uint32_t)read_side(&s, "crop_size", "height", "width");
    if (p->crop != c->image)
        refuse(&s, "crop_size", "the image_size of config.json");
    if (p->resize < p->crop)
        refuse(&s, "size", "at least crop_size");
    require_int(&s, "resample", 3, "3, which is bicubic");
    read_channels(&s, "image_mean", mean, p->mean);
    read_channels(&s, "image_std", std, p->std);
    for (size_t i = 0; i < 3; i++)
        if (!(p->std[i] > 1e-6F))
            refuse(&s, "image_std", "positive numbers");
    if (value_of(&s, "do_convert_rgb") && !json_is_boolean(value_of(&s, "do_convert_rgb")))
        refuse(&s, "do_convert_rgb", "true or false");
    p->convert_first = json_is_true(value_of(&s, "do_convert_rgb"));
    return s.status;
}

static vt_status read_object(const char *dir, const char *name, json_t **out, vt_err *err) {
    char *path = vt_path_join(dir, name);
    vt_buf text;
    vt_status s;
    *out = NULL;
    vt_buf_init(&text, FILE_MAX);
    s = path ? vt_file_read(path, &text, err) : vt_fail_nomem(err, strlen(name));
    if (s != VT_OK)
        goto done;
    s = vt_json_parse(text.data ? text.data : "", text.len, out, err);
    if (s == VT_E_PARSE) {
        s = err->status = VT_E_MODEL;
        (void)vt_fail_prefix(err, "%s", name);
    } else if (s == VT_OK && !json_is_object(*out)) {
        json_decref(*out);
        *out = NULL;
        s = vt_fail(err, VT_E_MODEL, "%s: not an object", name);
    }
done:
    vt_buf_release(&text);
    free(path);
    return s;
}

vt_status vt_clip_config_read(const char *dir, vt_clip_config *out, vt_err *err) {
    json_t *model = NULL, *pixels = NULL;
    vt_status s;
    *out = (vt_clip_config){0};
    s = read_object(dir, "config.json", &model, err);
    if (s == VT_OK)
        s = read_model(model, out, err);
    if (s == VT_OK)
        s = read_object(dir, "preprocessor_config.json", &pixels, err);
    if (s == VT_OK)
        s = read_pixels(pixels, out, err);
    json_decref(model);
    json_decref(pixels);
    return s;
}

size_t vt_clip_config_patches(const vt_clip_config *c) {
    const size_t side = c->image / c->patch;
    return side * side;
}

/* The bits of a float: exact, and no locale has a say in them. */
static uint32_t bits_of(float x) {
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

static void write_tower(vt_buf *out, const char *name, const vt_tower_shape *t) {
    vt_buf_printf(out, "%s %zu %zu %zu %zu %s %08x\n", name, t->width, t->hidden, t->layers,
                  t->heads, t->act == VT_ACT_GELU ? "gelu" : "quick_gelu", bits_of(t->eps));
}

void vt_clip_config_canonical(const vt_clip_config *c, vt_buf *out) {
    const vt_clip_pixels *p = &c->pixels;
    vt_buf_printf(out, "dim %zu vocab %zu context %zu image %zu patch %zu\n", c->dim, c->vocab,
                  c->context, c->image, c->patch);
    write_tower(out, "text", &c->text);
    write_tower(out, "vision", &c->vision);
    vt_buf_printf(out, "resize %u crop %u convert_first %d\n", p->resize, p->crop,
                  p->convert_first);
    for (size_t i = 0; i < 3; i++)
        vt_buf_printf(out, "channel %08x %08x\n", bits_of(p->mean[i]), bits_of(p->std[i]));
}
