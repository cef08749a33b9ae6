/* Broken model folders: each is refused with a line that names the file and what is wrong in it. */
#include "clip_folder.h"

#include "clip/clip.h"

static void assert_open_fails(const folder *f, vt_status status, const char *a, const char *b) {
    vt_clip *m;
    vt_err err;
    const vt_status s = vt_clip_open(f->dir, &(vt_clip_options){0}, &m, &err);
    assert_null(m);
    if (s != status || err.status != status || !strstr(err.text, a) || !strstr(err.text, b))
        fail_msg("status %d, \"%s\", which should say \"%s\" and \"%s\"", s,
                 s == VT_OK ? "opened" : err.text, a, b);
}

static void a_missing_file_is_named(void **state) {
    static const char *const names[] = {"config.json", "preprocessor_config.json", "vocab.json",
                                        "merges.txt", "model.safetensors"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        folder f;
        folder_init(&f);
        folder_write(&f);
        char *path = folder_path(&f, names[i]);
        assert_int_equal(unlink(path), 0);
        assert_open_fails(&f, VT_E_NOT_FOUND, names[i], "No such file");
        free(path);
        folder_release(&f);
    }
}

static void a_file_that_is_not_json_is_named(void **state) {
    static const char *const names[] = {"config.json", "preprocessor_config.json", "vocab.json"};
    static const char *const texts[] = {"", "{\"a\": }", "[1]", "{} x", "{\"a\":1,\"a\":2}"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        for (size_t j = 0; j < sizeof texts / sizeof *texts; j++) {
            folder f;
            folder_init(&f);
            folder_write(&f);
            folder_write_file(&f, names[i], texts[j], strlen(texts[j]));
            assert_open_fails(&f, VT_E_MODEL, names[i],
                              j == 2 ? "not an object" : "not valid JSON");
            folder_release(&f);
        }
}

/* A key of a file, the JSON put there, and what the refusal says. */
typedef struct bad_key {
    const char *section, *key, *json, *why;
} bad_key;

static void assert_key_refused(const bad_key *c, bool preprocessor) {
    folder f;
    json_t *at, *value;
    folder_init(&f);
    at = preprocessor ? f.preprocessor : f.config;
    if (c->section)
        at = json_object_get(at, c->section);
    value = json_loads(c->json, JSON_DECODE_ANY, NULL);
    assert_non_null(value);
    assert_int_equal(json_object_set_new(at, c->key, value), 0);
    folder_write(&f);
    assert_open_fails(&f, VT_E_MODEL,
                      preprocessor ? "preprocessor_config.json: " : "config.json: ", c->why);
    folder_release(&f);
}

static void a_configuration_that_is_not_this_model_is_refused(void **state) {
    static const bad_key cases[] = {
        {NULL, "model_type", "\"siglip\"", "model_type is \"siglip\", expected \"clip\""},
        {NULL, "projection_dim", "0", "projection_dim is 0"},
        {NULL, "text_config", "7", "text_config is 7, expected an object"},
        {NULL, "vision_config_dict", "[]", "vision_config_dict is []"},
        {"text_config", "hidden_act", "\"relu\"",
         "text_config.hidden_act is \"relu\", expected \"quick_gelu\" or \"gelu\""},
        {"vision_config", "hidden_act", "\"gelu_new\"", "vision_config.hidden_act is \"gelu_new\""},
        {"text_config", "hidden_size", "-6", "text_config.hidden_size is -6"},
        {"text_config", "hidden_size", "\"6\"", "text_config.hidden_size is \"6\""},
        {"text_config", "num_attention_heads", "4",
         "num_attention_heads is 4, expected a divisor of hidden_size"},
        {"text_config", "layer_norm_eps", "0", "text_config.layer_norm_eps is 0"},
        {"text_config", "layer_norm_eps", "\"x\"", "text_config.layer_norm_eps is \"x\""},
        {"text_config", "max_position_embeddings", "1", "max_position_embeddings is 1"},
        {"text_config", "num_hidden_layers", "99999999", "num_hidden_layers is 99999999"},
        {"text_config", "eos_token_id", "7", "eos_token_id is 7, but <|endoftext|> is 521"},
        {"text_config", "eos_token_id", "-1", "eos_token_id is -1"},
        {"vision_config", "patch_size", "12", "patch_size is 12, expected at most image_size"},
        {"vision_config", "num_channels", "1", "vision_config.num_channels is 1, expected 3"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_key_refused(&cases[i], false);
}

static void a_preprocessor_that_is_not_clips_is_refused(void **state) {
    static const bad_key cases[] = {
        {NULL, "do_resize", "false", "do_resize is false, expected true"},
        {NULL, "do_center_crop", "false", "do_center_crop is false"},
        {NULL, "do_normalize", "0", "do_normalize is 0"},
        {NULL, "do_rescale", "false", "do_rescale is false"},
        {NULL, "rescale_factor", "0.5", "rescale_factor is 0.5"},
        {NULL, "resample", "2", "resample is 2, expected 3, which is bicubic"},
        {NULL, "size", "{\"height\":11,\"width\":11}", "size is {\"height\":11,\"width\":11}"},
        {NULL, "size", "10", "size is 10, expected at least crop_size"},
        {NULL, "crop_size", "12", "crop_size is 12, expected the image_size"},
        {NULL, "crop_size", "{\"height\":11,\"width\":12}", "crop_size is {\"height\":11"},
        {NULL, "image_mean", "[1,2]", "image_mean is [1,2], expected three numbers"},
        {NULL, "image_std", "[1,1,0]", "image_std is [1,1,0], expected positive numbers"},
        {NULL, "image_std", "[1,1,\"1\"]", "image_std is [1,1,\"1\"]"},
        {NULL, "do_convert_rgb", "\"yes\"", "do_convert_rgb is \"yes\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_key_refused(&cases[i], true);
}

/* The older layout: text_config_dict stands in place of text_config, whatever that says. */
static void older_sections_stand_in_place_of_newer(void **state) {
    folder f;
    vt_clip *m;
    vt_err err;
    json_t *text;
    folder_init(&f);
    text = json_deep_copy(json_object_get(f.config, "text_config"));
    json_object_set_new(f.config, "text_config_dict", text);
    json_object_set_new(f.config, "text_config", json_pack("{s:i}", "hidden_size", 999));
    json_object_set_new(f.config, "vision_config_dict", json_null());
    folder_write(&f);
    assert_int_equal(vt_clip_open(f.dir, &(vt_clip_options){0}, &m, &err), VT_OK);
    vt_clip_close(m);
    folder_release(&f);
}

/* In the order of the forward pass, whichever tensor is broken is the one named. */
static void every_tensor_is_missed_by_name(void **state) {
    folder f;
    folder_init(&f);
    folder_write(&f);
    for (size_t i = 1; i < f.n_tensors; i++) { /* logit_scale may be missing */
        const folder_tensor kept = f.tensors[i];
        snprintf(f.tensors[i].name, sizeof f.tensors[i].name, "another");
        folder_write_tensors(&f, f.tensors, f.n_tensors, 0);
        assert_open_fails(&f, VT_E_MODEL, kept.name, "is missing, the configuration asks for [");
        f.tensors[i] = kept;
    }
    folder_release(&f);
}

static void every_tensor_of_another_shape_is_named(void **state) {
    folder f;
    folder_init(&f);
    folder_write(&f);
    for (size_t i = 1; i < f.n_tensors; i++) {
        const folder_tensor kept = f.tensors[i];
        char found[64];
        f.tensors[i].rank = 2;
        f.tensors[i].shape[0] = 1;
        f.tensors[i].shape[1] = kept.count;
        snprintf(found, sizeof found, "has shape [1, %zu], the configuration", kept.count);
        folder_write_tensors(&f, f.tensors, f.n_tensors, 0);
        assert_open_fails(&f, VT_E_MODEL, kept.name, found);
        f.tensors[i] = kept;
    }
    folder_release(&f);
}

static void the_first_of_two_wrong_tensors_is_named(void **state) {
    folder f;
    folder_init(&f);
    folder_find(&f, "visual_projection.weight")->shape[0] = 1;
    folder_find(&f, "visual_projection.weight")->shape[1] = (size_t)MINI_DIM * MINI_WIDTH;
    snprintf(folder_find(&f, "text_model.final_layer_norm.bias")->name, 8, "gone");
    folder_write(&f);
    assert_open_fails(&f, VT_E_MODEL, "model.safetensors",
                      "\"text_model.final_layer_norm.bias\" is missing");
    folder_release(&f);
}

/* Puts bytes over the header's, without changing its length. */
static void edit_header(const folder *f, const char *from, const char *to) {
    char *path = folder_path(f, "model.safetensors"), *at;
    vt_buf b;
    vt_err err;
    vt_buf_init(&b, 1 << 24);
    assert_int_equal(vt_file_read(path, &b, &err), VT_OK);
    at = memmem(b.data, b.len, from, strlen(from));
    assert_true(at && strlen(from) == strlen(to));
    memcpy(at, to, strlen(to));
    folder_write_file(f, "model.safetensors", b.data, b.len);
    vt_buf_release(&b);
    free(path);
}

static void a_damaged_weights_file_is_refused(void **state) {
    static const struct {
        const char *from, *to, *a, *b;
    } cases[] = {
        {"text_projection.weight\":{\"dtype\":\"F32\"",
         "text_projection.weight\":{\"dtype\":\"I32\"", "\"text_projection.weight\" has dtype I32",
         "F32, F16 and BF16 are read"},
        {"\"data_offsets\":[0,4]", "\"data_offsets\":[4,8]", "model.safetensors",
         "a hole of 4 bytes"},
        {"\"F32\"", "\"F33\"", "\"logit_scale\"", "unknown dtype \"F33\""},
        {"{\"logit_scale\"", "x\"logit_scale\"", "model.safetensors", "does not begin with {"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        folder f;
        folder_init(&f);
        folder_write(&f);
        edit_header(&f, cases[i].from, cases[i].to);
        assert_open_fails(&f, VT_E_MODEL, cases[i].a, cases[i].b);
        folder_release(&f);
    }
}

static void a_weights_file_cut_short_is_refused(void **state) {
    folder f;
    folder_init(&f);
    folder_write(&f);
    char *path = folder_path(&f, "model.safetensors");
    assert_int_equal(truncate(path, 12345), 0);
    assert_open_fails(&f, VT_E_MODEL, "model.safetensors", "cut short");
    assert_int_equal(truncate(path, 0), 0);
    assert_open_fails(&f, VT_E_MODEL, "model.safetensors", "too few");
    free(path);
    folder_release(&f);
}

static void a_vocabulary_that_does_not_hold_together_is_refused(void **state) {
    static const struct {
        const char *json; /* merged into vocab.json; a null takes the token out */
        const char *a, *b;
    } cases[] = {
        {"{\"<|startoftext|>\":null}", "vocab.json", "no token \"<|startoftext|>\""},
        {"{\"<|endoftext|>\":null}", "vocab.json", "no token \"<|endoftext|>\""},
        {"{\"a\":null}", "vocab.json", "no token \"a\""},
        {"{\"\xC4\xA0</w>\":null}", "vocab.json", "no token \"\xC4\xA0</w>\""},
        {"{\"a\":1}", "vocab.json", "share the id 1"},
        {"{\"a\":522}", "vocab.json", "token \"a\" has no id from 0 to 521"},
        {"{\"a\":-1}", "vocab.json", "token \"a\" has no id"},
        {"{\"a\":\"1\"}", "vocab.json", "token \"a\" has no id"},
        {"{\"red</w>\":null}", "merges.txt: line 3", "the joined token is not in vocab.json"},
        {"{\"shoe\":null,\"shoes</w>\":null}", "merges.txt: line 6", "\"sh oe\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        folder f;
        json_t *changes = json_loads(cases[i].json, 0, NULL), *value;
        const char *token;
        folder_init(&f);
        json_object_foreach(changes, token, value) {
            if (json_is_null(value))
                json_object_del(f.vocab, token);
            else
                json_object_set(f.vocab, token, value);
        }
        folder_write(&f);
        assert_open_fails(&f, VT_E_MODEL, cases[i].a, cases[i].b);
        json_decref(changes);
        folder_release(&f);
    }
}

static void merges_that_make_no_sense_are_refused(void **state) {
    static const struct {
        const char *text, *a, *b;
    } cases[] = {
        {"", "merges.txt: line 1", "expected the comment #version"},
        {"r e\n", "merges.txt: line 1", "expected the comment #version"},
        {"#version: 0.2\nr e\nred\n", "merges.txt: line 3", "not two tokens"},
        {"#version: 0.2\nr e\n\nr e\n", "merges.txt: line 3", "not two tokens"},
        {"#version: 0.2\n e\n", "merges.txt: line 2", "not two tokens"},
        {"#version: 0.2\nr \n", "merges.txt: line 2", "not two tokens"},
        {"#version: 0.2\nr e d\n", "merges.txt: line 2", "not two tokens"},
        {"#version: 0.2\nr e\nr e\n", "merges.txt: line 3", "listed before"},
        {"#version: 0.2\nrr e\n", "merges.txt: line 2", "a part is not in vocab.json"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        folder f;
        folder_init(&f);
        folder_write(&f);
        folder_write_file(&f, "merges.txt", cases[i].text, strlen(cases[i].text));
        assert_open_fails(&f, VT_E_MODEL, cases[i].a, cases[i].b);
        folder_release(&f);
    }
}

/* eos_token_id 2 means "the highest id" to the reference; here that is not end-of-text. */
static void an_end_that_is_not_the_highest_id_is_refused(void **state) {
    folder f;
    folder_init(&f);
    json_object_set_new(json_object_get(f.config, "text_config"), "eos_token_id", json_integer(2));
    json_object_set_new(f.vocab, "<|startoftext|>", json_integer(521));
    json_object_set_new(f.vocab, "<|endoftext|>", json_integer(520));
    folder_write(&f);
    assert_open_fails(&f, VT_E_MODEL, "eos_token_id is 2", "<|endoftext|> is 520 of 521");
    folder_release(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_missing_file_is_named),
        cmocka_unit_test(a_file_that_is_not_json_is_named),
        cmocka_unit_test(a_configuration_that_is_not_this_model_is_refused),
        cmocka_unit_test(a_preprocessor_that_is_not_clips_is_refused),
        cmocka_unit_test(older_sections_stand_in_place_of_newer),
        cmocka_unit_test(every_tensor_is_missed_by_name),
        cmocka_unit_test(every_tensor_of_another_shape_is_named),
        cmocka_unit_test(the_first_of_two_wrong_tensors_is_named),
        cmocka_unit_test(a_damaged_weights_file_is_refused),
        cmocka_unit_test(a_weights_file_cut_short_is_refused),
        cmocka_unit_test(a_vocabulary_that_does_not_hold_together_is_refused),
        cmocka_unit_test(merges_that_make_no_sense_are_refused),
        cmocka_unit_test(an_end_that_is_not_the_highest_id_is_refused),
    };
    return cmocka_run_group_tests_name("clip_errors", tests, NULL, NULL);
}
