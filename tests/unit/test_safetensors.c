/* The safetensors reader: what the reference accepts is read, and every way in which a file can lie
 * about its tensors is named. */
#include "clip_folder.h"

#include "clip/safetensors.h"

/* A file of this header and n bytes of data 0, 1, 2... */
static uint8_t *make_file(const char *header, size_t n, size_t *size) {
    const uint64_t length = strlen(header);
    uint8_t *file = vt_alloc(8 + length + n, 1);
    assert_non_null(file);
    memcpy(file, &length, 8);
    memcpy(file + 8, header, length);
    for (size_t i = 0; i < n; i++)
        file[8 + length + i] = (uint8_t)i;
    *size = 8 + length + n;
    return file;
}

static void assert_refused(const uint8_t *file, size_t size, const char *why) {
    vt_safetensors *f;
    vt_err err;
    assert_int_equal(vt_safetensors_view("m.safetensors", file, size, &f, &err), VT_E_MODEL);
    assert_null(f);
    if (!strstr(err.text, why) || !strstr(err.text, "m.safetensors"))
        fail_msg("\"%s\" does not say \"%s\"", err.text, why);
}

static void tensors_are_found_with_shape_and_data(void **state) {
    static const char header[] =
        "{\"__metadata__\":{\"format\":\"pt\"},"
        "\"b\":{\"dtype\":\"F16\",\"shape\":[2,3],\"data_offsets\":[8,20]},"
        "\"a\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[0,8]},"
        "\"none\":{\"dtype\":\"F32\",\"shape\":[0,4],\"data_offsets\":[8,8]}}  ";
    size_t size, count;
    uint8_t *file = make_file(header, 20, &size);
    vt_safetensors *f;
    const vt_tensor *t;
    vt_err err;
    assert_int_equal(vt_safetensors_view("m", file, size, &f, &err), VT_OK);
    (void)vt_safetensors_list(f, &count);
    assert_int_equal(count, 3);
    t = vt_safetensors_find(f, "b");
    assert_non_null(t);
    assert_true(t->readable && t->type == VT_F16);
    assert_true(t->rank == 2 && t->shape[0] == 2 && t->shape[1] == 3 && t->count == 6);
    assert_true(t->bytes == 12 && t->data[0] == 8 && t->data[11] == 19);
    t = vt_safetensors_find(f, "a");
    assert_true(t && !t->readable && t->count == 1 && strcmp(t->dtype, "I64") == 0);
    assert_true(vt_safetensors_find(f, "none")->count == 0);
    assert_null(vt_safetensors_find(f, "c"));
    assert_null(vt_safetensors_find(f, "__metadata__"));
    vt_safetensors_close(f);
    free(file);
}

static void numbers_are_read_at_any_alignment(void **state) {
    const float wanted[6] = {1, -0.5F, 3, 0, -2, 0.25F};
    const uint16_t halves[6] = {0x3C00, 0xB800, 0x4200, 0, 0xC000, 0x3400};
    for (size_t blanks = 0; blanks < 4; blanks++) {
        char header[200];
        size_t size;
        uint8_t *file;
        vt_safetensors *f;
        vt_err err;
        float got[6], row[3];
        snprintf(header, sizeof header,
                 "{\"w\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]},"
                 "\"h\":{\"dtype\":\"F16\",\"shape\":[6],\"data_offsets\":[24,36]}}%*s",
                 (int)blanks, "");
        file = make_file(header, 36, &size);
        memcpy(file + size - 36, wanted, sizeof wanted);
        memcpy(file + size - 12, halves, sizeof halves);
        assert_int_equal(vt_safetensors_view("m", file, size, &f, &err), VT_OK);
        vt_tensor_to_f32(vt_safetensors_find(f, "w"), got);
        assert_memory_equal(got, wanted, sizeof wanted);
        vt_tensor_to_f32(vt_safetensors_find(f, "h"), got);
        assert_memory_equal(got, wanted, sizeof wanted);
        vt_tensor_row_to_f32(vt_safetensors_find(f, "w"), 1, row);
        assert_memory_equal(row, wanted + 3, sizeof row);
        vt_safetensors_close(f);
        free(file);
    }
}

static void lies_of_the_header_are_named(void **state) {
    static const struct {
        const char *header;
        size_t data;
        const char *why;
    } cases[] = {
        {"[]", 0, "does not begin with {"},
        {" {}", 0, "does not begin with {"},
        {"{", 0, "not valid JSON"},
        {"{\"a\":1}", 0, "tensor \"a\" is not described by an object"},
        {"{\"__metadata__\":{\"x\":1}}", 0, "\"__metadata__\" has a value that is not text: x"},
        {"{\"__metadata__\":[]}", 0, "\"__metadata__\" is not an object"},
        {"{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "tensor \"a\" has no dtype"},
        {"{\"a\":{\"dtype\":\"F31\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4,
         "unknown dtype \"F31\""},
        {"{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4, "has no shape"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", 4,
         "not made of counts"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1.0],\"data_offsets\":[0,4]}}", 4,
         "not made of counts"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,4]}}", 4,
         "too large"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387905],\"data_offsets\":[0,4]}}", 4,
         "its shape and dtype ask for"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,4]}}", 4,
         "has 9 dimensions"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}", 4,
         "has no data_offsets"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}}", 4,
         "end before they begin"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,8]}}", 8, "has 8 bytes"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 4, "cut short"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
         "\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[1,3]}}",
         3, "tensor \"b\" overlaps tensor \"a\""},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
         "\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}",
         2, "overlaps"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
         "\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[3,5]}}",
         5, "a hole of 1 bytes before tensor \"b\""},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}", 5,
         "3 bytes at the end belong to no tensor"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
         "\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}",
         2, "duplicate object key"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t size;
        uint8_t *file = make_file(cases[i].header, cases[i].data, &size);
        assert_refused(file, size, cases[i].why);
        free(file);
    }
}

static void a_header_of_impossible_length_is_named(void **state) {
    uint8_t file[16] = {0};
    assert_refused(file, 0, "too few");
    assert_refused(file, 7, "too few");
    assert_refused(file, 8, "does not begin");
    file[0] = 9; /* one more than there is */
    assert_refused(file, 16, "cut short");
    file[7] = 0x80;
    assert_refused(file, 16, "the limit is");
}

/* Cut anywhere, a file is refused: nothing is read beyond its end. */
static void a_file_cut_short_anywhere_is_refused(void **state) {
    static const char header[] = "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}";
    size_t size;
    uint8_t *file = make_file(header, 8, &size);
    for (size_t n = 0; n < size; n++) {
        uint8_t *cut = malloc(n + 1);
        vt_safetensors *f;
        vt_err err;
        assert_non_null(cut);
        memcpy(cut, file, n);
        assert_int_equal(vt_safetensors_view("m", cut, n, &f, &err), VT_E_MODEL);
        free(cut);
    }
    free(file);
}

static void a_missing_file_is_not_found(void **state) {
    vt_safetensors *f;
    vt_err err;
    assert_int_equal(vt_safetensors_open("/nowhere/model.safetensors", &f, &err), VT_E_NOT_FOUND);
    assert_non_null(strstr(err.text, "/nowhere/model.safetensors"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tensors_are_found_with_shape_and_data),
        cmocka_unit_test(numbers_are_read_at_any_alignment),
        cmocka_unit_test(lies_of_the_header_are_named),
        cmocka_unit_test(a_header_of_impossible_length_is_named),
        cmocka_unit_test(a_file_cut_short_anywhere_is_refused),
        cmocka_unit_test(a_missing_file_is_not_found),
    };
    return cmocka_run_group_tests_name("safetensors", tests, NULL, NULL);
}
