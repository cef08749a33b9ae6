/* Decoding: small files written here byte for byte, whose pixels are known; limits that hold before
 * memory is taken; and over every seed of the fuzz corpora: each cut-off beginning is refused or is
 * the whole picture, and each failing allocation is an answer. The linker sends vt_alloc and
 * vt_alloc_aligned through the wrappers below. Crops against the reference: test_image_oracle.c. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>

#include <cmocka.h>
#include <zlib.h>

#include "image/image.h"
#include "vec/vec.h"

#if defined(__SANITIZE_ADDRESS__)
#define ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ADDRESS_SANITIZER 1
#endif
#endif

/* ---- allocations that fail -------------------------------------------------------------- */

static int allocations_left = -1; /* before one fails; below 0: none fails */

void *__real_vt_alloc(size_t count, size_t size);
void *__wrap_vt_alloc(size_t count, size_t size);
void *__real_vt_alloc_aligned(size_t count, size_t size);
void *__wrap_vt_alloc_aligned(size_t count, size_t size);

static bool may_allocate(void) {
    if (allocations_left > 0)
        allocations_left--;
    else if (allocations_left == 0)
        return false;
    return true;
}

void *__wrap_vt_alloc(size_t count, size_t size) {
    return may_allocate() ? __real_vt_alloc(count, size) : NULL;
}

void *__wrap_vt_alloc_aligned(size_t count, size_t size) {
    return may_allocate() ? __real_vt_alloc_aligned(count, size) : NULL;
}

/* ---- files made here -------------------------------------------------------------------- */

typedef struct bytes {
    uint8_t at[1024];
    size_t n;
} bytes;

static void put(bytes *b, const void *data, size_t n) {
    assert_true(b->n + n <= sizeof b->at);
    memcpy(b->at + b->n, data, n);
    b->n += n;
}

static void put_le(bytes *b, uint32_t v, size_t n) {
    for (size_t i = 0; i < n; i++)
        put(b, &(uint8_t){(uint8_t)(v >> 8 * i)}, 1);
}

static void put_be(bytes *b, uint32_t v, size_t n) {
    for (size_t i = n; i-- > 0;)
        put(b, &(uint8_t){(uint8_t)(v >> 8 * i)}, 1);
}

static bytes jpeg_header(uint32_t w, uint32_t h, size_t scans) {
    bytes b = {0};
    put(&b, "\xFF\xD8\xFF\xC2\0\x0B\x08", 7);
    put_be(&b, h, 2);
    put_be(&b, w, 2);
    put(&b, "\1\1\x11\0", 4);
    for (size_t i = 0; i < scans; i++)
        put(&b, "\xFF\xDA\0\2", 4);
    put(&b, "\xFF\xD9", 2);
    return b;
}

static bytes png_header(uint32_t w, uint32_t h) {
    bytes b = {0};
    put(&b, "\x89PNG\r\n\x1A\n\0\0\0\rIHDR", 16);
    put_be(&b, w, 4);
    put_be(&b, h, 4);
    put(&b, "\x08\0\0\0\0", 5);
    put_be(&b, (uint32_t)crc32(0, b.at + 12, 17), 4);
    put(&b, "\0\0\0\0IDAT\x35\xAF\x06\x1E\0\0\0\0IEND\xAE\x42\x60\x82", 24);
    return b;
}

/* A 1 x 1 red frame on a canvas. */
static bytes gif_header(uint32_t w, uint32_t h) {
    bytes b = {0};
    put(&b, "GIF89a", 6);
    put_le(&b, w, 2);
    put_le(&b, h, 2);
    put(&b, "\x80\0\0\xFF\0\0\0\0\0,\0\0\0\0\1\0\1\0\0\2\2\x44\1\0;", 25);
    return b;
}

static bytes bmp_header(uint32_t w, uint32_t h, uint32_t bits, uint32_t compression) {
    bytes b = {0};
    put(&b, "BM\0\0\0\0\0\0\0\0", 10);
    put_le(&b, bits <= 8 ? 54 + 16 : 54, 4);
    put_le(&b, 40, 4);
    put_le(&b, w, 4);
    put_le(&b, h, 4);
    put_le(&b, 1, 2);
    put_le(&b, bits, 2);
    put_le(&b, compression, 4);
    for (size_t i = 0; i < 3; i++)
        put_le(&b, 0, 4);
    put_le(&b, bits <= 8 ? 4 : 0, 4);
    put_le(&b, 0, 4);
    if (bits <= 8) /* black, red, green, blue */
        put(&b, "\0\0\0\0\0\0\xFF\0\0\xFF\0\0\xFF\0\0\0", 16);
    return b;
}

/* An animation whose only frame is 1 x 1, lossless, of colour (200, 30, 90). */
static bytes webp_header(uint32_t w, uint32_t h) {
    bytes b = {0};
    put(&b, "RIFF\x56\0\0\0WEBPVP8X\x0A\0\0\0\2\0\0\0", 24);
    put_le(&b, w - 1, 3);
    put_le(&b, h - 1, 3);
    put(&b, "ANIM\6\0\0\0\0\0\0\0\0\0ANMF\x2A\0\0\0", 22);
    for (size_t i = 0; i < 16; i++)
        put(&b, "", 1);
    put(&b, "VP8L\x11\0\0\0\x2F\0\0\0\0\x07\x50\x8F\x22\x57\xAB\xFF\x81\x88\xE8\x7F\0\0", 26);
    return b;
}

static vt_status decode(const bytes *b, vt_image *img, vt_err *err) {
    return vt_image_decode(b->at, b->n, img, err);
}

static void check_pixels(const bytes *b, vt_pixel_format format, const void *want, size_t n) {
    vt_image img;
    vt_err err;
    if (decode(b, &img, &err) != VT_OK)
        fail_msg("%s", err.text);
    assert_int_equal(img.format, format);
    assert_memory_equal(img.pixels, want, n);
    vt_image_release(&img);
}

static void check_refused(const bytes *b, vt_status want, const char *why) {
    vt_image img;
    vt_err err;
    assert_int_equal(decode(b, &img, &err), want);
    assert_null(img.pixels);
    if (strstr(err.text, why) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", err.text, why);
}

/* ---- known pixels ----------------------------------------------------------------------- */

static void a_bmp_is_read_from_the_bottom_and_rows_are_padded(void **unused) {
    bytes b = bmp_header(3, 2, 24, 0);
    put(&b, "\1\2\3\4\5\6\7\x08\x09\0\0\0", 12);
    put(&b, "\x0A\x0B\x0C\x0D\x0E\x0F\x10\x11\x12\0\0\0", 12);
    check_pixels(&b, VT_PIXEL_RGB, "\x0C\x0B\x0A\x0F\x0E\x0D\x12\x11\x10\3\2\1\6\5\4\x09\x08\7",
                 18);
}

/* A run, a step of one to the right, a literal padded to 16 bits, the end. */
static void a_run_length_bmp_steps_and_ends(void **unused) {
    bytes b = bmp_header(5, 2, 8, 1);
    put(&b, "\2\1\0\2\1\0\2\2\0\0\0\3\3\2\1\0\0\1", 18);
    static const uint8_t k[3] = {0}, r[3] = {255}, g[3] = {0, 255}, l[3] = {0, 0, 255};
    uint8_t want[30];
    const uint8_t *pixels[10] = {l, g, r, k, k, r, r, k, g, g};
    for (size_t i = 0; i < 10; i++)
        memcpy(want + 3 * i, pixels[i], 3);
    check_pixels(&b, VT_PIXEL_RGB, want, sizeof want);
    b.n -= 4;
    check_refused(&b, VT_E_IMAGE, "truncated");
}

static void a_gif_frame_lies_on_its_canvas(void **unused) {
    bytes b = gif_header(2, 1);
    check_pixels(&b, VT_PIXEL_RGB, "\xFF\0\0\xFF\0\0", 6);
}

static void a_webp_frame_lies_on_its_canvas(void **unused) {
    bytes b = webp_header(2, 2);
    check_pixels(&b, VT_PIXEL_RGB, "\xC8\x1E\x5A\0\0\0\0\0\0\0\0\0", 12);
}

static void what_is_no_picture_is_refused(void **unused) {
    static const char *const texts[] = {
        "<html>404</html>", "RIFF\1\1\1\1WAVEfmt ", "B", "\xFF\xD8", "GIF88a", "%PDF-1.7"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        bytes b = {0};
        put(&b, texts[i], strlen(texts[i]));
        check_refused(&b, VT_E_UNSUPPORTED, "JPEG, PNG, WebP, GIF, BMP");
    }
    check_refused(&(bytes){0}, VT_E_IMAGE, "empty");
}

static void forms_we_do_not_read_are_named(void **unused) {
    bytes b = bmp_header(8, 8, 24, 4);
    check_refused(&b, VT_E_UNSUPPORTED, "compression 4 with 24 bits");
    b = bmp_header(8, 8, 2, 0);
    check_refused(&b, VT_E_UNSUPPORTED, "2 bits a pixel");
    b = jpeg_header(8, 8, 1);
    b.at[6] = 12;
    check_refused(&b, VT_E_UNSUPPORTED, "12 bits a sample");
    b = jpeg_header(8, 8, 1);
    b.at[11] = 2;
    check_refused(&b, VT_E_UNSUPPORTED, "2 colour components");
}

/* ---- limits ----------------------------------------------------------------------------- */

/* Leaves little room above what the process has now, so that a picture allocated before its size is
 * judged is out of memory, not too large. Not with ASan, which reserves its terabytes up front. */
static void limit_memory(bool on) {
#ifdef ADDRESS_SANITIZER
    (void)on;
#else
    FILE *f = fopen("/proc/self/statm", "r");
    char text[64] = "";
    assert_non_null(f);
    assert_non_null(fgets(text, sizeof text, f));
    fclose(f);
    text[strcspn(text, " ")] = 0;
    uint64_t now = 0;
    assert_true(vt_parse_u64(text, UINT64_MAX, &now));
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_AS, &limit), 0);
    limit.rlim_cur = on ? now * 4096 + (16u << 20) : limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_AS, &limit), 0);
#endif
}

typedef enum header_kind { JPEG, PNG, GIF, BMP, WEBP, KINDS } header_kind;

static bytes header_of(header_kind kind, uint32_t w, uint32_t h) {
    switch (kind) {
    case JPEG:
        return jpeg_header(w, h, 1);
    case PNG:
        return png_header(w, h);
    case GIF:
        return gif_header(w, h);
    case BMP:
        return bmp_header(w, h, 8, 1);
    default:
        return webp_header(w, h);
    }
}

static void sizes_are_judged_before_memory_is_taken(void **unused) {
    limit_memory(true);
    for (header_kind kind = JPEG; kind < KINDS; kind++) {
        bytes b = header_of(kind, VT_IMAGE_MAX_SIDE + 1, 1);
        check_refused(&b, VT_E_TOO_LARGE, "16385 x 1 pixels, a side may have at most 16384");
        b = header_of(kind, 3, VT_IMAGE_MAX_SIDE + 1);
        check_refused(&b, VT_E_TOO_LARGE, "3 x 16385 pixels, a side may have at most 16384");
        b = header_of(kind, 10000, 5001);
        check_refused(&b, VT_E_TOO_LARGE,
                      "10000 x 5001 is 50010000 pixels, at most 50000000 are accepted");
    }
    limit_memory(false);
}

/* The header's text is refused for another reason, or not at all: the limits are inclusive. */
static void sizes_at_the_limit_are_not_refused_for_their_size(void **unused) {
    static const uint32_t sizes[][2] = {{16384, 1}, {1, 16384}, {10000, 5000}};
    for (header_kind kind = JPEG; kind < KINDS; kind++)
        for (size_t i = 0; i < 3; i++) {
            bytes b = header_of(kind, sizes[i][0], sizes[i][1]);
            vt_image img;
            vt_err err;
            vt_status s = decode(&b, &img, &err);
            assert_int_not_equal(s, VT_E_TOO_LARGE);
            vt_image_release(&img);
        }
}

static void the_longest_file_is_judged_first(void **unused) {
    vt_image img;
    vt_err err;
    uint8_t *file = vt_alloc(VT_IMAGE_MAX_BYTES + 1, 1);
    bytes b = gif_header(1, 1);
    assert_non_null(file);
    memcpy(file, b.at, b.n);
    assert_int_equal(vt_image_decode(file, VT_IMAGE_MAX_BYTES + 1, &img, &err), VT_E_TOO_LARGE);
    assert_non_null(strstr(err.text, "20000001 bytes, at most 20000000"));
    assert_int_equal(vt_image_decode(file, VT_IMAGE_MAX_BYTES, &img, &err), VT_OK);
    vt_image_release(&img);
    free(file);
}

static void a_jpeg_of_endless_scans_is_refused(void **unused) {
    bytes b = jpeg_header(10, 10, 101);
    check_refused(&b, VT_E_TOO_LARGE, "101 scans, at most 100");
    b = jpeg_header(7000, 7000, 21);
    check_refused(&b, VT_E_TOO_LARGE, "21 scans of 49000000 pixels, at most 1000000000");
}

static void an_empty_picture_is_refused(void **unused) {
    for (header_kind kind = JPEG; kind < WEBP; kind++) {
        bytes b = header_of(kind, 0, 7);
        vt_image img;
        vt_err err;
        if (kind != GIF) /* whose canvas grows to its frame */
            assert_int_equal(decode(&b, &img, &err), VT_E_IMAGE);
    }
    bytes b = bmp_header(0xFFFFFFFF, 1, 24, 0);
    check_refused(&b, VT_E_TOO_LARGE, "4294967295 x 1");
}

/* ---- over the fuzz corpora -------------------------------------------------------------- */

static void for_each_seed(void (*check)(const char *path, const uint8_t *file, size_t n)) {
    static const char *const kinds[] = {"jpeg", "png", "webp", "gif", "bmp"};
    for (size_t k = 0; k < 5; k++) {
        char folder[4096];
        size_t seeds = 0;
        struct dirent *entry;
        snprintf(folder, sizeof folder, "%s/fuzz/corpus/%s", getenv("VT_ROOT"), kinds[k]);
        DIR *dir = opendir(folder);
        assert_non_null(dir);
        while ((entry = readdir(dir)) != NULL) {
            vt_map file;
            vt_err err;
            char *path = vt_path_join(folder, entry->d_name);
            if (entry->d_name[0] != '.' && vt_file_map(path, &file, &err) == VT_OK) {
                check(path, file.data, file.size);
                vt_map_release(&file);
                seeds++;
            }
            free(path);
        }
        closedir(dir);
        assert_true(seeds >= 5);
    }
}

static bool same_picture(const vt_image *a, const vt_image *b) {
    static const size_t bytes_of[] = {1, 2, 3, 4, 4}; /* in the order of vt_pixel_format */
    return a->width == b->width && a->height == b->height && a->format == b->format &&
           memcmp(a->pixels, b->pixels, (size_t)a->width * a->height * bytes_of[a->format]) == 0;
}

static void check_beginnings(const char *path, const uint8_t *file, size_t n) {
    vt_image whole, part;
    vt_err err;
    if (vt_image_decode(file, n, &whole, &err) != VT_OK)
        fail_msg("%s: %s", path, err.text);
    size_t refused = 0;
    for (size_t cut = 0; cut < n; cut++) {
        uint8_t *copy = malloc(cut > 0 ? cut : 1);
        assert_non_null(copy);
        memcpy(copy, file, cut);
        vt_status s = vt_image_decode(copy, cut, &part, &err);
        if (s == VT_OK && !same_picture(&whole, &part))
            fail_msg("%s: its first %zu bytes are another picture", path, cut);
        assert_true(s == VT_OK || s == VT_E_IMAGE || s == VT_E_UNSUPPORTED);
        refused += s != VT_OK;
        vt_image_release(&part);
        free(copy);
    }
    assert_true(refused > 50); /* what follows may be a second frame */
    vt_image_release(&whole);
}

static void the_beginning_of_a_picture_is_refused(void **unused) {
    for_each_seed(check_beginnings);
}

static vt_status decode_and_crop(const uint8_t *file, size_t n, bool convert_first) {
    vt_image_spec spec = {.resize = 9, .crop = 8, .std = {1, 1, 1}, .convert_first = convert_first};
    float tensor[3 * 64];
    vt_image img;
    vt_err err;
    vt_status s = vt_image_decode(file, n, &img, &err);
    if (s == VT_OK)
        s = vt_image_preprocess(&img, &spec, tensor, &err);
    vt_image_release(&img);
    return s;
}

static void check_allocations(const char *path, const uint8_t *file, size_t n) {
    for (int convert_first = 0; convert_first < 2; convert_first++) {
        int fail_at = 0;
        vt_status s;
        do {
            allocations_left = fail_at++;
            s = decode_and_crop(file, n, convert_first);
            allocations_left = -1;
            assert_true(s == VT_OK || s == VT_E_NOMEM);
        } while (s == VT_E_NOMEM);
        assert_true(fail_at > 5);
    }
}

static void each_failing_allocation_is_an_answer(void **unused) {
    vt_err err;
    assert_int_equal(vt_vec_init(NULL, &err), VT_OK);
    for_each_seed(check_allocations);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bmp_is_read_from_the_bottom_and_rows_are_padded),
        cmocka_unit_test(a_run_length_bmp_steps_and_ends),
        cmocka_unit_test(a_gif_frame_lies_on_its_canvas),
        cmocka_unit_test(a_webp_frame_lies_on_its_canvas),
        cmocka_unit_test(what_is_no_picture_is_refused),
        cmocka_unit_test(forms_we_do_not_read_are_named),
        cmocka_unit_test(sizes_are_judged_before_memory_is_taken),
        cmocka_unit_test(sizes_at_the_limit_are_not_refused_for_their_size),
        cmocka_unit_test(the_longest_file_is_judged_first),
        cmocka_unit_test(a_jpeg_of_endless_scans_is_refused),
        cmocka_unit_test(an_empty_picture_is_refused),
        cmocka_unit_test(the_beginning_of_a_picture_is_refused),
        cmocka_unit_test(each_failing_allocation_is_an_answer),
    };
    return cmocka_run_group_tests_name("image", tests, NULL, NULL);
}
