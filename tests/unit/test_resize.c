/* The bicubic resize under every instruction set, to the last bit: against Pillow's two passes
 * written out below, over sizes, scales and crops that move every edge of the vectors; and that
 * nothing beyond the picture's last byte is read. What the filter is, and the colours of each
 * format: test_preprocess.c. Against Pillow itself: test_image_pillow.py. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "image/image.h"
#include "vec/vec.h"

static uint64_t state = 1;

static uint32_t random_below(uint32_t n) {
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (uint32_t)((state * 0x2545F4914F6CDD1Du) >> 33) % n;
}

static uint32_t random_between(uint32_t least, uint32_t most) {
    return least + random_below(most - least + 1);
}

static void *take(size_t count, size_t size) {
    void *p = vt_alloc(count, size);
    assert_non_null(p);
    return p;
}

static void for_each_isa(void (*test)(void)) {
    vt_err err;
    for (const char *const *isa = vt_vec_isas(); *isa; isa++) {
        assert_int_equal(vt_vec_init(*isa, &err), VT_OK);
        state = 1;
        test();
    }
    assert_int_equal(vt_vec_init(NULL, &err), VT_OK);
}

/* ---- the two passes, as Pillow defines them --------------------------------------------- */

static double keys(double x) {
    x = fabs(x);
    if (x < 1)
        return (1.5 * x - 2.5) * x * x + 1;
    if (x < 2)
        return (((x - 5) * x + 8) * x - 4) * -0.5;
    return 0;
}

/* The weights of source pixels for result pixel `at`, in units of 2^-22; returns the first pixel.
 */
static uint32_t weights_of(uint32_t at, uint32_t in, uint32_t out, int32_t *weight, uint32_t *n) {
    double scale = (double)in / out, stretch = fmax(scale, 1), sum = 0;
    double center = (at + 0.5) * scale;
    double low = center - 2 * stretch + 0.5, high = center + 2 * stretch + 0.5;
    uint32_t first = low > 0 ? (uint32_t)low : 0, end = high < in ? (uint32_t)high : in;
    for (uint32_t k = first; k < end; k++)
        sum += keys((k - center + 0.5) * (1 / stretch));
    for (uint32_t k = first; k < end; k++) {
        double w = keys((k - center + 0.5) * (1 / stretch)) / sum * (1 << 22);
        weight[k - first] = (int32_t)(w < 0 ? w - 0.5 : w + 0.5);
    }
    *n = end - first;
    return first;
}

/* Resizes one axis: `in` pixels of `step` bytes apart become `out`, for each of the `lines` that
 * are `line_step` apart; out lines have the same layout with `out` for `in`. */
typedef struct pass {
    uint32_t in, out;
    size_t lines, in_step, in_line, out_step, out_line;
} pass;

static void run_pass(const pass *p, const uint8_t *from, uint8_t *to) {
    int32_t *weight = take(p->in + 1, sizeof *weight);
    for (uint32_t i = 0; i < p->out; i++) {
        uint32_t n, first = weights_of(i, p->in, p->out, weight, &n);
        for (size_t line = 0; line < p->lines; line++) {
            int64_t sum = 1 << 21;
            for (uint32_t k = 0; k < n; k++)
                sum += (int64_t)from[line * p->in_line + (first + k) * p->in_step] * weight[k];
            sum >>= 22;
            to[line * p->out_line + i * p->out_step] = (uint8_t)(sum < 0     ? 0
                                                                 : sum > 255 ? 255
                                                                             : sum);
        }
    }
    free(weight);
}

/* The whole picture resized, pixels of `channels` bytes. */
static uint8_t *resized(const uint8_t *pixels, uint32_t w, uint32_t h, uint32_t out_w,
                        uint32_t out_h, size_t channels) {
    uint8_t *mid = take((size_t)h * out_w, channels), *to = take((size_t)out_h * out_w, channels);
    for (size_t c = 0; c < channels; c++) {
        pass x = {w, out_w, h, channels, w * channels, channels, out_w * channels};
        pass y = {h, out_h, out_w, out_w * channels, channels, out_w * channels, channels};
        run_pass(&x, pixels + c, mid + c);
        run_pass(&y, mid + c, to + c);
    }
    free(mid);
    return to;
}

/* ---- pictures --------------------------------------------------------------------------- */

typedef enum fill { NOISE, CHECKERS, STRIPES, WHITE, FILLS } fill;

/* The overshoot of the filter at edges of 0 and 255 goes beyond both ends. */
static uint8_t value_at(fill kind, uint32_t x, uint32_t y) {
    switch (kind) {
    case CHECKERS:
        return (x + y) % 2 ? 255 : 0;
    case STRIPES:
        return x / 3 % 2 || y / 5 % 2 ? 255 : 0;
    case WHITE:
        return 255;
    default:
        return (uint8_t)random_below(256);
    }
}

static size_t channels_of(vt_pixel_format format) {
    return format == VT_PIXEL_GRAY ? 1 : format == VT_PIXEL_RGB ? 3 : 4;
}

/* RGBA is opaque: its colours then come through the detour over premultiplied ones unchanged. */
static vt_image make_picture(uint32_t w, uint32_t h, vt_pixel_format format, fill kind) {
    vt_image img = {.width = w, .height = h, .format = format, .type = "test"};
    size_t channels = channels_of(format);
    img.memory = img.pixels = take((size_t)w * h, channels);
    for (size_t i = 0; i < (size_t)w * h * channels; i++)
        img.pixels[i] = value_at(kind, (uint32_t)(i / channels % w), (uint32_t)(i / channels / w));
    for (size_t i = 3; format == VT_PIXEL_RGBA && i < (size_t)w * h * 4; i += 4)
        img.pixels[i] = 255;
    return img;
}

static uint8_t *crop_of(const vt_image *img, uint32_t resize, uint32_t crop, bool convert_first) {
    vt_image_spec spec = {.resize = resize, .crop = crop, .convert_first = convert_first};
    uint8_t *rgb = take((size_t)crop * crop, 3);
    vt_err err;
    assert_int_equal(vt_image_crop(img, &spec, rgb, &err), VT_OK);
    return rgb;
}

/* The crop must be a part of the whole resized picture; margins are taken even here, so that where
 * it lies does not depend on the rounding of halves. */
static void check_crop(const vt_image *img, uint32_t resize, uint32_t crop, bool convert_first) {
    uint32_t w = img->width, h = img->height;
    uint32_t out_w = w <= h ? resize : resize * w / h, out_h = w <= h ? resize * h / w : resize;
    size_t channels = channels_of(img->format);
    uint8_t *want = resized(img->pixels, w, h, out_w, out_h, channels);
    uint8_t *got = crop_of(img, resize, crop, convert_first);
    uint32_t left = (out_w - crop) / 2, top = (out_h - crop) / 2;
    left += !convert_first && (out_w - crop) % 2 && left % 2; /* half to even */
    top += !convert_first && (out_h - crop) % 2 && top % 2;
    for (size_t i = 0; i < (size_t)crop * crop * 3; i++) {
        size_t x = left + i / 3 % crop, y = top + i / 3 / crop, c = channels == 1 ? 0 : i % 3;
        if (got[i] != want[(y * out_w + x) * channels + c])
            fail_msg("%s, %u x %u to %u, crop %u, %zu channels: byte %zu is %d, not %d",
                     vt_vec_isa(), w, h, resize, crop, channels, i, got[i],
                     want[(y * out_w + x) * channels + c]);
    }
    free(want);
    free(got);
}

static void check_size(uint32_t w, uint32_t h, uint32_t resize, uint32_t crop) {
    static const vt_pixel_format formats[] = {VT_PIXEL_GRAY, VT_PIXEL_RGB, VT_PIXEL_RGBA};
    vt_pixel_format format = formats[random_below(3)];
    vt_image img = make_picture(w, h, format, (fill)random_below(FILLS));
    check_crop(&img, resize, crop, random_below(2));
    vt_image_release(&img);
}

/* ---- tests ------------------------------------------------------------------------------ */

static void random_sizes(void) {
    for (int round = 0; round < 600; round++) {
        uint32_t resize = random_between(1, 70);
        check_size(random_between(1, 160), random_between(1, 160), resize,
                   random_between(1, resize));
    }
}

static void every_random_size_is_exact(void **unused) {
    for_each_isa(random_sizes);
}

/* Where a side triples, every third result is a source pixel alone: its row begins later than the
 * one after it. */
static void growing_sizes(void) {
    for (uint32_t times = 1; times <= 4; times++)
        for (uint32_t side = 1; side <= 24; side++)
            for (uint32_t less = 0; less < 7 && less < side * times; less++)
                check_size(side, side + less % 2, side * times, side * times - less);
}

static void every_phase_of_a_growing_picture_is_exact(void **unused) {
    for_each_isa(growing_sizes);
}

/* From pixels side by side to pixels further apart than any window of a register. */
static void shrinking_sizes(void) {
    for (uint32_t side = 16; side <= 640; side += side / 8)
        for (uint32_t resize = 3; resize <= 16; resize += 4)
            check_size(side + random_below(9), side, resize, resize);
}

static void every_scale_of_a_shrinking_picture_is_exact(void **unused) {
    for_each_isa(shrinking_sizes);
}

static void thin_sizes(void) {
    static const uint32_t sizes[][2] = {{1, 1},     {1, 2},     {2, 1},    {3, 2},
                                        {1, 300},   {300, 1},   {2, 500},  {500, 2},
                                        {1, 16384}, {16384, 1}, {5, 4096}, {4096, 5}};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        for (uint32_t resize = 1; resize <= 9; resize += 4)
            check_size(sizes[i][0], sizes[i][1], resize, resize);
}

static void the_thinnest_pictures_are_exact(void **unused) {
    for_each_isa(thin_sizes);
}

/* 224 of 640 x 480 and the like: blocks of every kind in one row. */
static void usual_sizes(void) {
    static const uint32_t sizes[][2] = {{640, 480}, {333, 251}, {224, 224}, {225, 299}, {120, 90}};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        check_size(sizes[i][0], sizes[i][1], 224, 224);
}

static void the_usual_crop_is_exact(void **unused) {
    for_each_isa(usual_sizes);
}

/* What is not written out above (alpha, ink, 16 bits) is the same under every instruction set. */
static void every_format_is_as_without_vectors(void **unused) {
    vt_err err;
    for (uint64_t round = 0; round < 200; round++) {
        state = round + 1;
        vt_pixel_format format = (vt_pixel_format)(round % 5);
        uint32_t w = random_between(1, 90), h = random_between(1, 90);
        uint32_t resize = random_between(1, 60), crop = random_between(1, resize);
        vt_image img = make_picture(w, h, VT_PIXEL_CMYK, NOISE);
        img.format = format;
        assert_int_equal(vt_vec_init("scalar", &err), VT_OK);
        uint8_t *want = crop_of(&img, resize, crop, round % 2);
        for (const char *const *isa = vt_vec_isas(); *isa; isa++) {
            assert_int_equal(vt_vec_init(*isa, &err), VT_OK);
            uint8_t *got = crop_of(&img, resize, crop, round % 2);
            assert_memory_equal(got, want, (size_t)crop * crop * 3);
            free(got);
        }
        free(want);
        vt_image_release(&img);
    }
    assert_int_equal(vt_vec_init(NULL, &err), VT_OK);
}

/* The picture ends where memory does. */
static void read_to_the_end(void) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE), room = 16 * page;
    uint8_t *memory =
        mmap(NULL, room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(memory != MAP_FAILED);
    assert_int_equal(mprotect(memory + room, page, PROT_NONE), 0);
    for (uint32_t i = 0; i < 400; i++) {
        vt_image img = {random_between(1, 120), random_between(1, 120), .type = "test"};
        img.format = i % 2 ? VT_PIXEL_RGB : i % 4 ? VT_PIXEL_CMYK : VT_PIXEL_GRAY;
        img.pixels = memory + room - (size_t)img.width * img.height * channels_of(img.format);
        uint32_t resize = random_between(1, 40);
        free(crop_of(&img, resize, random_between(1, resize), random_below(2)));
    }
    assert_int_equal(munmap(memory, room + page), 0);
}

static void nothing_beyond_the_picture_is_read(void **unused) {
    for_each_isa(read_to_the_end);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_random_size_is_exact),
        cmocka_unit_test(every_phase_of_a_growing_picture_is_exact),
        cmocka_unit_test(every_scale_of_a_shrinking_picture_is_exact),
        cmocka_unit_test(the_thinnest_pictures_are_exact),
        cmocka_unit_test(the_usual_crop_is_exact),
        cmocka_unit_test(every_format_is_as_without_vectors),
        cmocka_unit_test(nothing_beyond_the_picture_is_read),
    };
    return cmocka_run_group_tests_name("resize", tests, NULL, NULL);
}
