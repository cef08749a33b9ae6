/* A model of full size against the recorded vectors of the reference. The files are too large to
 * keep, so VT_LARGE_MODEL names a folder with one of them; without it the test is skipped. */
#include "clip_folder.h"

#include "clip/clip.h"

#include <math.h>
#include <zlib.h>

/* Which of the recorded models this one is, by the digest of its weights. */
static const struct known_model {
    const char *digest, *expected;
    double least[VT_PRECISIONS]; /* cosine; 0: the precision gives way to bf16 */
} known_models[] = {
    {"bf2c6953835c0f5f51b0d1afe159c14f04b1b9020ba721f20b436d0607a8e39d",
     "b32",
     {0, 0.999999, 0.9999, 0.999}},
    {"a6a769d4816ba5e15b956c1a1612b5d4902d113b26df8a251411975d79405a22", /* with outliers */
     "b32o",
     {0, 0.999999, 0.995, 0}},
};

static const struct known_model *recorded_as(const char *dir) {
    char *path = vt_path_join(dir, "model.safetensors"), hex[65];
    vt_map map;
    vt_hash hash;
    vt_err err;
    assert_non_null(path);
    if (vt_file_map(path, &map, &err) != VT_OK)
        fail_msg("%s", err.text);
    hash = vt_hash_bytes(map.data, map.size);
    vt_hash_hex(&hash, hex);
    vt_map_release(&map);
    free(path);
    for (size_t i = 0; i < sizeof known_models / sizeof *known_models; i++)
        if (strcmp(known_models[i].digest, hex) == 0)
            return &known_models[i];
    return NULL;
}

static void read_into(vt_buf *b, const char *fmt, ...) VT_PRINTF(2, 3);

static void read_into(vt_buf *b, const char *fmt, ...) {
    char path[1024];
    va_list args;
    vt_err err;
    va_start(args, fmt);
    vsnprintf(path, sizeof path, fmt, args);
    va_end(args);
    vt_buf_init(b, 1 << 26);
    if (vt_file_read(path, b, &err) != VT_OK)
        fail_msg("%s", err.text);
}

static void assert_cosine(const float *got, const float *wanted, size_t n, double least,
                          const char *what) {
    double dot = 0, a = 0, b = 0;
    for (size_t i = 0; i < n; i++) {
        dot += (double)got[i] * wanted[i];
        a += (double)got[i] * got[i];
        b += (double)wanted[i] * wanted[i];
    }
    if (!(dot / sqrt(a * b) >= least))
        fail_msg("%s: cosine %.8f", what, dot / sqrt(a * b));
}

static void check_texts(vt_clip *m, const json_t *index, const float *wanted, double least) {
    const size_t dim = vt_clip_describe(m)->dim;
    const json_t *text;
    float got[512];
    size_t i;
    vt_err err;
    json_array_foreach(json_object_get(index, "text"), i, text) {
        const char *s = json_string_value(text);
        assert_int_equal(vt_clip_encode_text(m, s, strlen(s), got, &err), VT_OK);
        assert_cosine(got, wanted + i * dim, dim, least, s);
    }
}

static void read_crop(const char *shared, const char *name, const vt_clip_pixels *p,
                      float *pixels) {
    const size_t plane = (size_t)p->crop * p->crop;
    char path[1024];
    uint8_t *rgb = vt_alloc(plane, 3);
    gzFile file;
    assert_non_null(rgb);
    snprintf(path, sizeof path, "%s/oracle/crops/%s", shared, name);
    file = gzopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(gzread(file, rgb, (unsigned)(plane * 3)), plane * 3);
    gzclose(file);
    for (size_t i = 0; i < plane; i++)
        for (size_t c = 0; c < 3; c++)
            pixels[c * plane + i] = ((float)rgb[i * 3 + c] / 255 - p->mean[c]) / p->std[c];
    free(rgb);
}

static void check_images(vt_clip *m, const char *shared, const json_t *index, const float *wanted,
                         double least) {
    const vt_clip_info *info = vt_clip_describe(m);
    float *pixels = vt_alloc((size_t)3 * info->pixels.crop * info->pixels.crop, sizeof *pixels);
    const json_t *image;
    float got[512];
    size_t i;
    vt_err err;
    assert_non_null(pixels);
    json_array_foreach(json_object_get(index, "image"), i, image) {
        const char *crop = json_string_value(json_array_get(image, 2));
        read_crop(shared, crop, &info->pixels, pixels);
        assert_int_equal(vt_clip_encode_image(m, pixels, got, &err), VT_OK);
        assert_cosine(got, wanted + i * info->dim, info->dim, least, crop);
    }
    free(pixels);
}

static void a_model_of_full_size_has_the_reference_vectors(void **state) {
    const char *dir = getenv("VT_LARGE_MODEL"), *shared = getenv("VT_SHARED");
    const struct known_model *known;
    vt_buf index_text, texts, images;
    json_t *index;
    vt_err err;
    known = recorded_as(dir);
    if (!known)
        fail_msg("nothing is recorded for the model in %s", dir);
    read_into(&index_text, "%s/oracle/expected/%s/index.json", shared, known->expected);
    read_into(&texts, "%s/oracle/expected/%s/text.f32", shared, known->expected);
    read_into(&images, "%s/oracle/expected/%s/image.f32", shared, known->expected);
    assert_int_equal(vt_json_parse(index_text.data, index_text.len, &index, &err), VT_OK);
    assert_true(texts.len > 0 && json_array_size(json_object_get(index, "text")) > 0);
    for (vt_precision p = VT_PRECISION_F32; p <= VT_PRECISION_INT8; p++) {
        const bool kept = known->least[p] > 0;
        const double least = known->least[kept ? p : VT_PRECISION_BF16];
        vt_clip *m;
        if (vt_clip_open(dir, &(vt_clip_options){.precision = p}, &m, &err) != VT_OK)
            fail_msg("%s", err.text);
        assert_int_equal(vt_clip_describe(m)->dim, 512);
        assert_int_equal(vt_clip_describe(m)->precision, kept ? p : VT_PRECISION_BF16);
        assert_int_equal(vt_clip_describe(m)->note[0] == 0, kept);
        check_texts(m, index, (const float *)(const void *)texts.data, least);
        check_images(m, shared, index, (const float *)(const void *)images.data, least);
        vt_clip_close(m);
    }
    json_decref(index);
    vt_buf_release(&index_text);
    vt_buf_release(&texts);
    vt_buf_release(&images);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_model_of_full_size_has_the_reference_vectors),
    };
    vt_err err;
    if (!getenv("VT_LARGE_MODEL") || !getenv("VT_SHARED")) {
        puts("1..0 # SKIP VT_LARGE_MODEL names no model folder");
        return 0;
    }
    if (vt_vec_init(NULL, &err) != VT_OK)
        return 1;
    return cmocka_run_group_tests_name("clip_large", tests, NULL, NULL);
}
