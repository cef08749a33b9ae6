/* Crops and tensors, under every instruction set, against those of the reference: files decoded,
 * resized and cropped by Pillow 9 and torchvision, in the order of openai/CLIP and in that of
 * transformers. The fixtures are not part of the project; without them the tests skip. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <zlib.h>

#include "image/image.h"
#include "vec/vec.h"

enum { SIDE = 224, CROP_BYTES = SIDE * SIDE * 3 };

typedef struct oracle {
    char *folder;
    json_t *rows;
} oracle;

static char *path_of(const char *folder, const char *sub, const char *name) {
    char *dir = vt_path_join(folder, sub);
    assert_non_null(dir);
    char *path = vt_path_join(dir, name);
    assert_non_null(path);
    free(dir);
    return path;
}

static oracle oracle_open(void) {
    const char *shared = getenv("VT_SHARED");
    oracle o = {.folder = vt_path_join(shared != NULL ? shared : ".", "oracle")};
    char *path = path_of(o.folder, ".", "images.json");
    vt_map file;
    vt_err err;
    if (vt_file_map(path, &file, &err) == VT_OK) {
        assert_int_equal(vt_json_parse((const char *)file.data, file.size, &o.rows, &err), VT_OK);
        vt_map_release(&file);
    }
    free(path);
    return o;
}

static void oracle_close(oracle *o) {
    json_decref(o->rows);
    free(o->folder);
}

static void skip_without(oracle *o) {
    if (o->rows == NULL) {
        print_message("# no fixtures at %s\n", o->folder);
        oracle_close(o);
        skip();
    }
}

static vt_status decode_fixture(const oracle *o, const char *name, vt_image *img, vt_err *err) {
    char *path = path_of(o->folder, "images", name);
    vt_map file;
    assert_int_equal(vt_file_map(path, &file, err), VT_OK);
    vt_status s = vt_image_decode(file.data, file.size, img, err);
    vt_map_release(&file);
    free(path);
    return s;
}

/* The fixture of a variant; transformers' is often "same as openai". NULL where it must fail. */
static const json_t *expected(const json_t *row, bool convert_first) {
    const json_t *e = json_object_get(row, convert_first ? "hf" : "openai");
    if (json_is_string(e))
        e = json_object_get(row, "openai");
    return json_is_object(e) ? e : NULL;
}

static void read_crop(const oracle *o, const json_t *e, uint8_t *rgb) {
    char *path = path_of(o->folder, "crops", json_string_value(json_object_get(e, "crop")));
    vt_map file;
    vt_err err;
    assert_int_equal(vt_file_map(path, &file, &err), VT_OK);
    z_stream z = {.next_in = (Bytef *)(uintptr_t)file.data,
                  .avail_in = (uInt)file.size,
                  .next_out = rgb,
                  .avail_out = CROP_BYTES};
    assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
    assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
    assert_int_equal(z.total_out, CROP_BYTES);
    inflateEnd(&z);
    vt_map_release(&file);
    free(path);
}

static int largest_difference(const uint8_t *a, const uint8_t *b) {
    int most = 0;
    for (size_t i = 0; i < CROP_BYTES; i++)
        most = abs(a[i] - b[i]) > most ? abs(a[i] - b[i]) : most;
    return most;
}

static void check_tensor(const vt_image *img, const vt_image_spec *spec, const json_t *e) {
    static float tensor[CROP_BYTES];
    char hex[65];
    vt_err err;
    assert_int_equal(vt_image_preprocess(img, spec, tensor, &err), VT_OK);
    const json_t *samples = json_object_get(e, "f32_every_7919th");
    for (size_t i = 0; i < json_array_size(samples); i++) {
        double want = json_real_value(json_array_get(samples, i));
        assert_float_equal(tensor[i * 7919], want, 1e-6);
    }
    vt_hash hash = vt_hash_bytes(tensor, sizeof tensor);
    vt_hash_hex(&hash, hex);
    assert_string_equal(hex, json_string_value(json_object_get(e, "f32_sha256")));
}

/* True where the crop is the reference's to the last bit; then the tensor must be as well. */
static bool check_fixture(const oracle *o, const json_t *row, const vt_image_spec *spec) {
    static uint8_t want[CROP_BYTES], got[CROP_BYTES];
    const char *name = json_string_value(json_object_get(row, "file"));
    const json_t *e = expected(row, spec->convert_first);
    vt_image img;
    vt_err err;
    if (decode_fixture(o, name, &img, &err) != VT_OK)
        fail_msg("%s: %s", name, err.text);
    const json_t *size = json_object_get(row, "size");
    assert_int_equal(img.width, json_integer_value(json_array_get(size, 0)));
    assert_int_equal(img.height, json_integer_value(json_array_get(size, 1)));
    assert_int_equal(vt_image_crop(&img, spec, got, &err), VT_OK);
    read_crop(o, e, want);
    int difference = largest_difference(got, want);
    if (difference > 1)
        fail_msg("%s: a pixel differs by %d", name, difference);
    if (difference == 0)
        check_tensor(&img, spec, e);
    else
        print_message("# %s: differs by 1 somewhere\n", name);
    vt_image_release(&img);
    return difference == 0;
}

static void check_all(const oracle *o, bool convert_first) {
    vt_image_spec spec = {.resize = SIDE,
                          .crop = SIDE,
                          .mean = {0.48145466f, 0.4578275f, 0.40821073f},
                          .std = {0.26862954f, 0.26130258f, 0.27577711f},
                          .convert_first = convert_first};
    size_t compared = 0, exact = 0, i;
    json_t *row;
    json_array_foreach(o->rows, i, row) {
        if (expected(row, convert_first) == NULL)
            continue;
        compared++;
        exact += check_fixture(o, row, &spec);
    }
    print_message("# %s: %zu of %zu fixtures are exact, the others within 1/255\n", vt_vec_isa(),
                  exact, compared);
    assert_in_range(compared, 33, 1000);
}

static void check_variant(bool convert_first) {
    oracle o = oracle_open();
    vt_err err;
    skip_without(&o);
    for (const char *const *isa = vt_vec_isas(); *isa; isa++) {
        assert_int_equal(vt_vec_init(*isa, &err), VT_OK);
        check_all(&o, convert_first);
    }
    assert_int_equal(vt_vec_init(NULL, &err), VT_OK);
    oracle_close(&o);
}

static void crops_equal_openai(void **unused) {
    check_variant(false);
}

static void crops_equal_transformers(void **unused) {
    check_variant(true);
}

static void bad_files_are_refused(void **unused) {
    oracle o = oracle_open();
    skip_without(&o);
    size_t refused = 0, i;
    json_t *row;
    json_array_foreach(o.rows, i, row) {
        const char *name = json_string_value(json_object_get(row, "file"));
        vt_image img;
        vt_err err;
        if (strncmp(name, "bad_", 4) != 0)
            continue;
        vt_status s = decode_fixture(&o, name, &img, &err);
        assert_true(s == VT_E_IMAGE || s == VT_E_UNSUPPORTED);
        assert_null(img.pixels);
        refused++;
    }
    assert_int_equal(refused, 4);
    oracle_close(&o);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crops_equal_openai),
        cmocka_unit_test(crops_equal_transformers),
        cmocka_unit_test(bad_files_are_refused),
    };
    return cmocka_run_group_tests_name("image_oracle", tests, NULL, NULL);
}
