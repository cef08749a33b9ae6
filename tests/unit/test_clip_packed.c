/* Batches, precisions that give way, and the file in which a packed model waits for the next start.
 * Linked with --wrap: calls of vt_pool_give_way are counted, and a file can be replaced at the
 * moment it is opened. */
#include "clip_folder.h"

#include "clip/clip.h"
#include "clip/packed.h"
#include "vec/kernels.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <xxhash.h>

enum { PIXELS = 3 * MINI_IMAGE * MINI_IMAGE };

static void random_pixels(float *pixels, uint64_t seed) {
    for (size_t i = 0; i < PIXELS; i++)
        pixels[i] = (float)((int)(folder_random(&seed) % 401) - 200) / 100;
}

static vt_clip *open_with(const folder *f, vt_clip_options o) {
    vt_clip *m;
    vt_err err;
    if (vt_clip_open(f->dir, &o, &m, &err) != VT_OK)
        fail_msg("%s", err.text);
    return m;
}

/* ---- batches ------------------------------------------------------------------------------ */

/* More texts than one run takes, of every length, and more pictures: each as if it were alone. */
static void a_batch_gives_what_each_alone_does(vt_precision precision) {
    enum { TEXTS = 90, IMAGES = 19 };
    static const char words[] = "red shoes and a shirt";
    float pixels[IMAGES][PIXELS], alone[MINI_DIM], all[TEXTS][MINI_DIM];
    const float *pointers[IMAGES];
    vt_clip_text texts[TEXTS];
    folder f;
    vt_err err;
    folder_init(&f);
    folder_write(&f);
    vt_clip *m = open_with(&f, (vt_clip_options){.precision = precision});
    for (size_t i = 0; i < TEXTS; i++)
        texts[i] = (vt_clip_text){words, i % sizeof words};
    assert_int_equal(vt_clip_encode_texts(m, texts, TEXTS, all[0], &err), VT_OK);
    for (size_t i = 0; i < TEXTS; i++) {
        assert_int_equal(vt_clip_encode_text(m, texts[i].text, texts[i].n, alone, &err), VT_OK);
        assert_memory_equal(alone, all[i], sizeof alone);
    }
    for (size_t i = 0; i < IMAGES; i++) {
        random_pixels(pixels[i], i);
        pointers[i] = pixels[i];
    }
    for (vt_lane lane = VT_LANE_QUERY; lane <= VT_LANE_BULK; lane++) {
        assert_int_equal(vt_clip_encode_images(m, pointers, IMAGES, lane, all[0], &err), VT_OK);
        for (size_t i = 0; i < IMAGES; i++) {
            assert_int_equal(vt_clip_encode_image(m, pixels[i], alone, &err), VT_OK);
            assert_memory_equal(alone, all[i], sizeof alone);
        }
    }
    vt_clip_close(m);
    folder_release(&f);
}

void __real_vt_pool_give_way(vt_pool *p);
void __wrap_vt_pool_give_way(vt_pool *p);

static size_t times_given_way;

void __wrap_vt_pool_give_way(vt_pool *p) {
    times_given_way += p != NULL;
    __real_vt_pool_give_way(p);
}

static void bulk_gives_way_after_every_layer(void **state) {
    float pixels[PIXELS], out[4 * MINI_DIM];
    const float *pointers[4] = {pixels, pixels, pixels, pixels};
    folder f;
    vt_pool *pool;
    vt_err err;
    folder_init(&f);
    folder_write(&f);
    assert_int_equal(vt_pool_open(2, &pool, &err), VT_OK);
    vt_clip *m = open_with(&f, (vt_clip_options){.pool = pool});
    random_pixels(pixels, 1);
    times_given_way = 0;
    assert_int_equal(vt_clip_encode_images(m, pointers, 4, VT_LANE_QUERY, out, &err), VT_OK);
    assert_int_equal(times_given_way, 0);
    assert_int_equal(vt_clip_encode_images(m, pointers, 4, VT_LANE_BULK, out, &err), VT_OK);
    assert_int_equal(times_given_way, MINI_LAYERS);
    vt_clip_close(m);
    vt_pool_close(pool);
    folder_release(&f);
}

static void batches(void **state) {
    for (vt_precision p = VT_PRECISION_F32; p <= VT_PRECISION_INT8; p++)
        a_batch_gives_what_each_alone_does(p);
}

static void a_bad_text_is_told(void **state) {
    const vt_clip_text texts[] = {{"red", 3}, {"r\xFF", 2}};
    float out[2 * MINI_DIM];
    folder f;
    vt_err err;
    folder_init(&f);
    folder_write(&f);
    vt_clip *m = open_with(&f, (vt_clip_options){0});
    assert_int_equal(vt_clip_encode_texts(m, texts, 2, out, &err), VT_E_INVALID);
    vt_clip_close(m);
    folder_release(&f);
}

/* ---- the file ----------------------------------------------------------------------------- */

typedef struct vectors {
    float text[MINI_DIM], image[MINI_DIM];
} vectors;

static vectors encode(vt_clip *m) {
    float pixels[PIXELS];
    vectors v;
    vt_err err;
    random_pixels(pixels, 1);
    assert_int_equal(vt_clip_encode_text(m, "red shoes", 9, v.text, &err), VT_OK);
    assert_int_equal(vt_clip_encode_image(m, pixels, v.image, &err), VT_OK);
    return v;
}

static const vt_clip_options kept = {.precision = VT_PRECISION_BF16, .keep_from = 1};

/* Opens with `o`, compares with what the model gives without a file, and tells whether one was
 * used. */
static bool starts_from_file(const folder *f, vt_clip_options o) {
    vt_clip_options plain = {.precision = o.precision};
    vt_clip *m = open_with(f, plain);
    vectors wanted = encode(m), got;
    vt_hash identity = vt_clip_describe(m)->identity;
    vt_clip_close(m);
    m = open_with(f, o);
    got = encode(m);
    bool from_file = vt_clip_describe(m)->from_file;
    assert_memory_equal(&got, &wanted, sizeof got);
    assert_memory_equal(&vt_clip_describe(m)->identity, &identity, sizeof identity);
    vt_clip_close(m);
    return from_file;
}

static void the_second_start_maps_what_the_first_packed(void **state) {
    folder f;
    vt_pool *pool;
    vt_err err;
    vt_clip_options o = kept;
    folder_init(&f);
    folder_write(&f);
    assert_int_equal(vt_pool_open(2, &pool, &err), VT_OK);
    o.pool = pool;
    assert_false(starts_from_file(&f, (vt_clip_options){.precision = VT_PRECISION_BF16}));
    assert_false(starts_from_file(&f, o));
    assert_true(starts_from_file(&f, o));
    o.precision = VT_PRECISION_F32; /* another file */
    assert_false(starts_from_file(&f, o));
    assert_true(starts_from_file(&f, o));
    o.keep_from = 1 << 30; /* too small a model for one */
    assert_false(starts_from_file(&f, o));
    vt_pool_close(pool);
    folder_release(&f);
}

/* The weights written anew, though with the same bytes: the file's times tell. Then one weight
 * changed: the vectors are the new ones. */
static void other_weights_are_packed_anew(void **state) {
    folder f;
    folder_init(&f);
    folder_write(&f);
    assert_false(starts_from_file(&f, kept));
    folder_write(&f);
    assert_false(starts_from_file(&f, kept));
    folder_find(&f, "visual_projection.weight")->values[0] += 1;
    folder_write(&f);
    assert_false(starts_from_file(&f, kept));
    assert_true(starts_from_file(&f, kept));
    folder_release(&f);
}

/* What is written in place and given its old time back differs in the time of its change alone. */
static void weights_changed_in_place_are_packed_anew(void **state) {
    struct stat before, after;
    folder f;
    folder_init(&f);
    folder_write(&f);
    char *path = folder_path(&f, "model.safetensors");
    assert_false(starts_from_file(&f, kept));
    assert_int_equal(stat(path, &before), 0);
    folder_find(&f, "visual_projection.weight")->values[0] += 1;
    do { /* until the clock of the file system has moved */
        folder_write_tensors(&f, f.tensors, f.n_tensors, 0);
        const struct timespec times[2] = {before.st_atim, before.st_mtim};
        assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
        assert_int_equal(stat(path, &after), 0);
    } while (after.st_ctim.tv_sec == before.st_ctim.tv_sec &&
             after.st_ctim.tv_nsec == before.st_ctim.tv_nsec);
    assert_true(after.st_ino == before.st_ino && after.st_size == before.st_size);
    assert_false(starts_from_file(&f, kept));
    free(path);
    folder_release(&f);
}

/* Other heads: the same weights and as many bytes of panels, but queries are scaled otherwise. */
static void another_configuration_is_packed_anew(void **state) {
    folder f;
    folder_init(&f);
    folder_write(&f);
    assert_false(starts_from_file(&f, kept));
    json_object_set_new(json_object_get(f.config, "vision_config"), "num_attention_heads",
                        json_integer(2 * MINI_HEADS));
    folder_write_json(&f, "config.json", f.config);
    assert_false(starts_from_file(&f, kept));
    assert_true(starts_from_file(&f, kept));
    folder_release(&f);
}

vt_status __real_vt_safetensors_open(const char *path, vt_safetensors **out, vt_err *err);
vt_status __wrap_vt_safetensors_open(const char *path, vt_safetensors **out, vt_err *err);

static const folder *replaced_when_opened;

vt_status __wrap_vt_safetensors_open(const char *path, vt_safetensors **out, vt_err *err) {
    vt_status s = __real_vt_safetensors_open(path, out, err);
    if (replaced_when_opened) {
        assert_int_equal(unlink(path), 0);
        folder_write_tensors(replaced_when_opened, replaced_when_opened->tensors,
                             replaced_when_opened->n_tensors, 1);
    }
    return s;
}

static void weights_replaced_while_they_are_opened_are_refused(void **state) {
    folder f;
    vt_clip *m;
    vt_err err;
    folder_init(&f);
    folder_write(&f);
    replaced_when_opened = &f;
    assert_int_equal(vt_clip_open(f.dir, &kept, &m, &err), VT_E_MODEL);
    replaced_when_opened = NULL;
    assert_non_null(strstr(err.text, "model.safetensors was changed"));
    assert_null(m);
    assert_false(starts_from_file(&f, kept));
    folder_release(&f);
}

static void write_bytes(const char *path, const void *bytes, size_t n) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, n, file), n);
    assert_int_equal(fclose(file), 0);
}

/* Every byte in turn, and every length: never used, and replaced. */
static void a_damaged_file_is_not_used(void **state) {
    folder f;
    vt_buf whole;
    vt_err err;
    folder_init(&f);
    folder_write(&f);
    assert_false(starts_from_file(&f, kept));
    char *path = folder_path(&f, "model.bf16.packed");
    vt_buf_init(&whole, 1 << 24);
    assert_int_equal(vt_file_read(path, &whole, &err), VT_OK);
    assert_true(whole.len > 8192);
    for (size_t i = 0; i < whole.len; i += i < 256 ? 1 : 997) {
        if (i >= 152 && i < 4096) /* the rest of the header's page means nothing */
            continue;
        whole.data[i] ^= 0x10;
        write_bytes(path, whole.data, whole.len);
        assert_false(starts_from_file(&f, kept));
        whole.data[i] ^= 0x10;
    }
    for (size_t n = 0; n < whole.len; n += n < 300 ? 13 : 2999) {
        write_bytes(path, whole.data, n);
        assert_false(starts_from_file(&f, kept));
    }
    assert_true(starts_from_file(&f, kept));
    vt_buf_release(&whole);
    free(path);
    folder_release(&f);
}

/* Places in the header, whose last field is a checksum of all before it. */
enum { AT_BYTES = 24, AT_COSINE = 128, AT_SELF = 144, HEADER_PAGE = 4096 };

static void write_resealed(const char *path, char *bytes, size_t n) {
    const uint64_t self = XXH3_64bits(bytes, AT_SELF);
    memcpy(bytes + AT_SELF, &self, sizeof self);
    write_bytes(path, bytes, n);
}

/* Headers that are whole, but of another layout, precision, size, plan, file, or verdict. */
static void what_was_kept_for_another_is_not_used(void **state) {
    static const size_t fields[] = {0, 16, 20, AT_BYTES, 32, 96, 104, 112, 120, 136};
    const double wanting = 0.5;
    folder f;
    vt_buf whole;
    vt_err err;
    folder_init(&f);
    folder_write(&f);
    assert_false(starts_from_file(&f, kept));
    char *path = folder_path(&f, "model.bf16.packed");
    vt_buf_init(&whole, 1 << 24);
    assert_int_equal(vt_file_read(path, &whole, &err), VT_OK);
    const uint32_t layout = VT_MAT_LAYOUT;
    assert_memory_equal(whole.data + 16, &layout, sizeof layout);
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        whole.data[fields[i]] ^= 1;
        write_resealed(path, whole.data, whole.len);
        assert_false(starts_from_file(&f, kept));
        whole.data[fields[i]] ^= 1;
    }
    write_resealed(path, whole.data, whole.len); /* nothing else was wrong with them */
    assert_true(starts_from_file(&f, kept));
    memcpy(whole.data + AT_COSINE, &wanting, sizeof wanting);
    write_resealed(path, whole.data, whole.len);
    assert_false(starts_from_file(&f, kept));
    const uint64_t sums = XXH3_64bits(NULL, 0); /* bf16 is never without panels */
    memset(whole.data + AT_BYTES, 0, sizeof(uint64_t));
    memcpy(whole.data + AT_SELF - sizeof sums, &sums, sizeof sums);
    write_resealed(path, whole.data, HEADER_PAGE);
    assert_false(starts_from_file(&f, kept));
    vt_buf_release(&whole);
    free(path);
    folder_release(&f);
}

/* Whether panels are compact is the processor's to say; here it is the test's, where the
 * instruction set can multiply both. */
static bool wants_compact = true;

bool __wrap_vt_vec_compacts(vt_precision p);

bool __wrap_vt_vec_compacts(vt_precision p) {
    return wants_compact && vt_vec_kernels()->multiply_compact[p];
}

/* Who wants compact panels does not read wide ones, nor the other way round. */
static void another_form_of_panels_is_packed_anew(void **state) {
    folder f;
    if (!vt_vec_compacts(VT_PRECISION_BF16))
        skip();
    folder_init(&f);
    folder_write(&f);
    for (int turn = 0; turn < 4; turn++) {
        wants_compact = turn % 2 == 0;
        assert_false(starts_from_file(&f, kept));
        assert_true(starts_from_file(&f, kept));
    }
    wants_compact = true;
    folder_release(&f);
}

/* Vectors stay as near to each other as the precision is to numbers themselves. */
static void compact_panels_give_the_same_vectors(void **state) {
    static const double least[VT_PRECISIONS] = {
        [VT_PRECISION_F32] = 0.9999999, [VT_PRECISION_BF16] = 0.9995};
    folder f;
    folder_init(&f);
    folder_write(&f);
    for (vt_precision p = VT_PRECISION_F32; p <= VT_PRECISION_BF16; p++) {
        size_t bytes[2];
        vectors v[2];
        if (!vt_vec_compacts(p))
            continue;
        for (int i = 0; i < 2; i++) {
            wants_compact = i == 0;
            vt_clip *m = open_with(&f, (vt_clip_options){.precision = p});
            v[i] = encode(m);
            bytes[i] = vt_clip_describe(m)->packed_bytes;
            vt_clip_close(m);
        }
        wants_compact = true;
        assert_true(bytes[0] < bytes[1]);
        assert_true((double)vt_vec_dot(v[0].text, v[1].text, MINI_DIM) > least[p]);
        assert_true((double)vt_vec_dot(v[0].image, v[1].image, MINI_DIM) > least[p]);
    }
    folder_release(&f);
}

/* What feature 1 is multiplied by before the MLPs read it, and every weight that looks at it. */
static void set_feature(folder *f, float gain, float weight) {
    for (size_t i = 0; i < f->n_tensors; i++) {
        folder_tensor *t = &f->tensors[i];
        if (strstr(t->name, "layer_norm2.weight"))
            t->values[1] = gain;
        if (strstr(t->name, "layer_norm2.bias"))
            t->values[1] = 0;
        if (strstr(t->name, "fc1.weight"))
            for (size_t row = 0; row < t->shape[0]; row++)
                t->values[row * t->shape[1] + 1] = weight;
    }
}

/* In each output one weight of a feature that is always 0, thousands of times the others: what is
 * compact would keep that one alone. */
static void spread_weights(folder *f) {
    set_feature(f, 0, 1e6f);
}

static void weights_that_compact_panels_lose_stay_wide(void **state) {
    folder f;
    folder_init(&f);
    spread_weights(&f);
    folder_write(&f);
    for (vt_precision p = VT_PRECISION_F32; p <= VT_PRECISION_BF16; p++) {
        vectors v[2];
        if (!vt_vec_compacts(p))
            continue;
        for (int i = 0; i < 2; i++) { /* compact last: another start must not find it */
            wants_compact = i == 1;
            vt_clip *m = open_with(&f, (vt_clip_options){.precision = p, .keep_from = i ? 1 : 0});
            v[i] = encode(m);
            assert_int_equal(strstr(vt_clip_describe(m)->note, "differ too much in size") != NULL,
                             i);
            vt_clip_close(m);
        }
        assert_memory_equal(&v[0], &v[1], sizeof v[0]);
        assert_false(starts_from_file(&f, (vt_clip_options){.precision = p, .keep_from = 1}));
    }
    folder_release(&f);
}

/* Nine megabytes, which are two chunks and a part of one: a byte wrong in each, and none. */
static void every_part_of_a_large_file_is_checked(void **state) {
    enum { BYTES = 9 << 20, STEP = 1 << 20 };
    const vt_packed_key key = {.precision = VT_PRECISION_F32};
    folder f;
    vt_buf whole;
    vt_packed form, loaded;
    vt_pool *pool;
    vt_err err;
    folder_init(&f);
    char *path = folder_path(&f, "model.f32.packed");
    assert_int_equal(vt_pool_open(2, &pool, &err), VT_OK);
    assert_int_equal(vt_packed_allocate(&form, BYTES, &err), VT_OK);
    for (size_t i = 0; i < BYTES; i++)
        ((uint8_t *)form.memory)[i] = (uint8_t)(i >> 20);
    assert_int_equal(vt_packed_save(path, &key, &form, pool, &err), VT_OK);
    assert_true(vt_packed_load(path, &key, BYTES, pool, &loaded));
    assert_memory_equal(loaded.panels, form.panels, BYTES);
    vt_packed_release(&loaded);
    vt_buf_init(&whole, 1 << 24);
    assert_int_equal(vt_file_read(path, &whole, &err), VT_OK);
    for (size_t i = HEADER_PAGE + STEP - 1; i < whole.len; i += STEP) {
        whole.data[i] ^= 1;
        write_bytes(path, whole.data, whole.len);
        assert_false(vt_packed_load(path, &key, BYTES, pool, &loaded));
        whole.data[i] ^= 1;
    }
    vt_packed_release(&form);
    vt_pool_close(pool);
    vt_buf_release(&whole);
    assert_int_equal(unlink(path), 0);
    free(path);
    folder_release(&f);
}

/* A path below a file cannot be written, whoever asks: here, the file's place is a folder. */
static void where_the_model_cannot_be_written_the_other_folder_serves(void **state) {
    folder f;
    char dir[] = "/tmp/vt-packed-XXXXXX";
    vt_clip_options o = kept;
    vt_clip *m;
    folder_init(&f);
    folder_write(&f);
    char *taken = folder_path(&f, "model.bf16.packed"), *path;
    assert_int_equal(mkdir(taken, 0755), 0);
    assert_false(starts_from_file(&f, o));
    m = open_with(&f, o);
    assert_non_null(strstr(vt_clip_describe(m)->note, "not kept"));
    assert_non_null(strstr(vt_clip_describe(m)->note, "model.bf16.packed"));
    vt_clip_close(m);
    o.cache_dir = mkdtemp(dir);
    assert_non_null(o.cache_dir);
    assert_false(starts_from_file(&f, o));
    assert_true(starts_from_file(&f, o));
    m = open_with(&f, o);
    assert_string_equal(vt_clip_describe(m)->note, "");
    vt_clip_close(m);
    path = vt_path_join(dir, "model.bf16.packed");
    assert_non_null(path);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(dir), 0);
    assert_int_equal(rmdir(taken), 0);
    free(path);
    free(taken);
    folder_release(&f);
}

/* ---- int8 --------------------------------------------------------------------------------- */

/* One feature two thousand times the others, which no weight looks at: the scale of a row then
 * leaves nothing of those that count. */
static void make_outliers(folder *f) {
    set_feature(f, 2000, 0);
}

static void int8_that_changes_vectors_gives_way(void **state) {
    const vt_clip_options o = {.precision = VT_PRECISION_INT8, .keep_from = 1};
    folder f;
    folder_init(&f);
    make_outliers(&f);
    folder_write(&f);
    for (int start = 0; start < 2; start++) { /* the verdict is kept too */
        vt_clip *m = open_with(&f, o);
        const vt_clip_info *info = vt_clip_describe(m);
        assert_int_equal(info->precision, VT_PRECISION_BF16);
        assert_non_null(strstr(info->note, "int8 reaches cosine"));
        assert_int_equal(info->from_file, start == 1);
        vt_clip_close(m);
    }
    folder_release(&f);
}

/* All texts become nothing: neither precision resembles the other, yet pictures still work. */
static void int8_without_vectors_gives_way(void **state) {
    folder f;
    folder_init(&f);
    folder_tensor *t = folder_find(&f, "text_projection.weight");
    memset(t->values, 0, t->count * sizeof *t->values);
    folder_write(&f);
    vt_clip *m = open_with(&f, (vt_clip_options){.precision = VT_PRECISION_INT8});
    assert_int_equal(vt_clip_describe(m)->precision, VT_PRECISION_BF16);
    assert_non_null(strstr(vt_clip_describe(m)->note, "cosine 0.0000"));
    vt_clip_close(m);
    folder_release(&f);
}

static void all_that_is_not_as_asked_for_is_noted(void **state) {
    const vt_clip_options o = {.precision = VT_PRECISION_INT8, .keep_from = 1};
    folder f;
    folder_init(&f);
    make_outliers(&f);
    folder_write(&f);
    char *taken = folder_path(&f, "model.bf16.packed");
    assert_int_equal(mkdir(taken, 0755), 0);
    vt_clip *m = open_with(&f, o);
    assert_non_null(strstr(vt_clip_describe(m)->note, "int8 reaches cosine"));
    assert_non_null(strstr(vt_clip_describe(m)->note, "; packed form not kept: "));
    assert_non_null(strstr(vt_clip_describe(m)->note, taken));
    vt_clip_close(m);
    assert_int_equal(rmdir(taken), 0);
    free(taken);
    folder_release(&f);
}

static void int8_is_another_identity_and_bf16_is_not(void **state) {
    vt_hash identity[VT_PRECISIONS];
    folder f;
    folder_init(&f);
    for (size_t i = 0; i < f.n_tensors; i++) /* small steps: the mini model stays near its input */
        if (strstr(f.tensors[i].name, "mlp") || strstr(f.tensors[i].name, "self_attn"))
            for (size_t j = 0; j < f.tensors[i].count; j++)
                f.tensors[i].values[j] /= 64;
    folder_write(&f);
    for (vt_precision p = VT_PRECISION_F32; p <= VT_PRECISION_INT8; p++) {
        vt_clip *m = open_with(&f, (vt_clip_options){.precision = p});
        assert_int_equal(vt_clip_describe(m)->precision, p);
        identity[p] = vt_clip_describe(m)->identity;
        vt_clip_close(m);
    }
    assert_memory_equal(&identity[VT_PRECISION_F32], &identity[VT_PRECISION_BF16],
                        sizeof identity[0]);
    assert_memory_not_equal(&identity[VT_PRECISION_F32], &identity[VT_PRECISION_INT8],
                            sizeof identity[0]);
    vt_clip *m = open_with(&f, (vt_clip_options){0});
    assert_int_equal(vt_clip_describe(m)->precision, vt_vec_best_precision());
    vt_clip_close(m);
    folder_release(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batches),
        cmocka_unit_test(bulk_gives_way_after_every_layer),
        cmocka_unit_test(a_bad_text_is_told),
        cmocka_unit_test(the_second_start_maps_what_the_first_packed),
        cmocka_unit_test(other_weights_are_packed_anew),
        cmocka_unit_test(weights_changed_in_place_are_packed_anew),
        cmocka_unit_test(another_configuration_is_packed_anew),
        cmocka_unit_test(weights_replaced_while_they_are_opened_are_refused),
        cmocka_unit_test(a_damaged_file_is_not_used),
        cmocka_unit_test(what_was_kept_for_another_is_not_used),
        cmocka_unit_test(another_form_of_panels_is_packed_anew),
        cmocka_unit_test(compact_panels_give_the_same_vectors),
        cmocka_unit_test(weights_that_compact_panels_lose_stay_wide),
        cmocka_unit_test(every_part_of_a_large_file_is_checked),
        cmocka_unit_test(where_the_model_cannot_be_written_the_other_folder_serves),
        cmocka_unit_test(int8_that_changes_vectors_gives_way),
        cmocka_unit_test(int8_without_vectors_gives_way),
        cmocka_unit_test(all_that_is_not_as_asked_for_is_noted),
        cmocka_unit_test(int8_is_another_identity_and_bf16_is_not),
    };
    vt_err err;
    if (vt_vec_init(NULL, &err) != VT_OK)
        return 1;
    return cmocka_run_group_tests_name("clip_packed", tests, NULL, NULL);
}
