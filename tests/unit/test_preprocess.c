/* Resize and crop, by what must hold of them: against the definition of the filter in double
 * precision, a crop as a part of a larger crop, nearest neighbour where it belongs, and the colour
 * arithmetic of each pixel format. Whole pictures against the reference: test_image_oracle.c. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "image/image.h"

static uint64_t state = 1;

static uint32_t random_below(uint32_t n) {
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (uint32_t)((state * 0x2545F4914F6CDD1Du) >> 33) % n;
}

static size_t bytes_of(vt_pixel_format format) {
    static const size_t bytes[] = {[VT_PIXEL_GRAY] = 1,
                                   [VT_PIXEL_GRAY16] = 2,
                                   [VT_PIXEL_RGB] = 3,
                                   [VT_PIXEL_RGBA] = 4,
                                   [VT_PIXEL_CMYK] = 4};
    return bytes[format];
}

static vt_image random_image(uint32_t w, uint32_t h, vt_pixel_format format) {
    vt_image img = {.width = w, .height = h, .format = format, .type = "test"};
    size_t n = (size_t)w * h * bytes_of(format);
    img.memory = img.pixels = vt_alloc(n, 1);
    assert_non_null(img.pixels);
    for (size_t i = 0; i < n; i++)
        img.pixels[i] = (uint8_t)random_below(256);
    return img;
}

static uint8_t *crop_of(const vt_image *img, uint32_t resize, uint32_t crop, bool convert_first) {
    vt_image_spec spec = {.resize = resize, .crop = crop, .convert_first = convert_first};
    uint8_t *rgb = vt_alloc((size_t)crop * crop, 3);
    vt_err err;
    assert_non_null(rgb);
    assert_int_equal(vt_image_crop(img, &spec, rgb, &err), VT_OK);
    return rgb;
}

/* ---- the filter ------------------------------------------------------------------------- */

/* Keys' cubic convolution kernel for a = -1/2, as in his paper. */
static double keys(double x) {
    x = fabs(x);
    if (x < 1)
        return 1.5 * x * x * x - 2.5 * x * x + 1;
    if (x < 2)
        return -0.5 * x * x * x + 2.5 * x * x - 4 * x + 2;
    return 0;
}

/* Weight of source pixel i for the point `center`, the filter stretched by `stretch`. Pixels whose
 * middle lies outside the support count for nothing. */
static double weight(uint32_t i, double center, double stretch) {
    return keys((i + 0.5 - center) / stretch);
}

/* One channel of pixel (x, y) of the picture resized to out_w x out_h: the double sum itself. */
static double resized_value(const vt_image *img, uint32_t x, uint32_t y, uint32_t out_w,
                            uint32_t out_h, size_t c) {
    double sx = (double)img->width / out_w, sy = (double)img->height / out_h;
    double cx = (x + 0.5) * sx, cy = (y + 0.5) * sy, sum = 0, total = 0;
    for (uint32_t i = 0; i < img->height; i++) {
        double wy = weight(i, cy, fmax(sy, 1));
        if (wy == 0)
            continue;
        for (uint32_t j = 0; j < img->width; j++) {
            double w = wy * weight(j, cx, fmax(sx, 1));
            sum += w * img->pixels[((size_t)i * img->width + j) * 3 + c];
            total += w;
        }
    }
    return fmin(fmax(sum / total, 0), 255);
}

/* Smooth, so that no value is cut at 0 or 255 between the passes. */
static void fill_smooth(vt_image *img) {
    for (size_t i = 0; i < (size_t)img->width * img->height * 3; i++) {
        size_t column = i / 3 % img->width, row = i / 3 / img->width;
        double x = (double)column / img->width, y = (double)row / img->height;
        img->pixels[i] = (uint8_t)(127 + 100 * sin(3 * x + (double)(i % 3)) * cos(4 * y));
    }
}

/* Each pass rounds by up to 1/2, and the second one's weights add up to 1.3 without their signs. */
static void resize_is_the_cubic_convolution(void **unused) {
    static const uint32_t sizes[][3] = {{61, 47, 16}, {47, 61, 16}, {9, 13, 16}, {300, 20, 16},
                                        {16, 40, 16}, {7, 5, 32},   {100, 3, 8}};
    for (size_t t = 0; t < sizeof sizes / sizeof sizes[0]; t++) {
        uint32_t w = sizes[t][0], h = sizes[t][1], side = sizes[t][2];
        vt_image img = random_image(w, h, VT_PIXEL_RGB);
        fill_smooth(&img);
        uint32_t out_w = w <= h ? side : side * w / h, out_h = w <= h ? side * h / w : side;
        uint8_t *rgb = crop_of(&img, side, side, true);
        uint32_t left = (out_w - side) / 2, top = (out_h - side) / 2;
        for (uint32_t i = 0; i < side * side * 3; i++) {
            uint32_t x = left + i / 3 % side, y = top + i / 3 / side;
            double want = resized_value(&img, x, y, out_w, out_h, i % 3);
            assert_true(fabs(rgb[i] - want) <= 1.2);
        }
        free(rgb);
        vt_image_release(&img);
    }
}

static void a_picture_of_the_right_size_is_copied(void **unused) {
    static const vt_pixel_format formats[] = {VT_PIXEL_RGB, VT_PIXEL_RGBA};
    for (size_t f = 0; f < 2; f++)
        for (int convert_first = 0; convert_first < 2; convert_first++) {
            vt_image img = random_image(20, 20, formats[f]);
            size_t step = bytes_of(formats[f]);
            uint8_t *rgb = crop_of(&img, 20, 20, convert_first);
            for (size_t i = 0; i < 400; i++)
                assert_memory_equal(rgb + 3 * i, img.pixels + step * i, 3);
            free(rgb);
            vt_image_release(&img);
        }
}

static void a_plain_picture_stays_plain(void **unused) {
    for (uint32_t value = 0; value < 256; value += 15) {
        vt_image img = random_image(1 + random_below(90), 1 + random_below(90), VT_PIXEL_RGB);
        memset(img.pixels, (int)value, (size_t)img.width * img.height * 3);
        uint8_t *rgb = crop_of(&img, 24, 24, random_below(2));
        for (size_t i = 0; i < (size_t)24 * 24 * 3; i++)
            assert_int_equal(rgb[i], value);
        free(rgb);
        vt_image_release(&img);
    }
}

/* ---- the crop --------------------------------------------------------------------------- */

static void a_crop_is_the_middle_of_a_larger_crop(void **unused) {
    enum { LARGE = 40, SMALL = 12, OFFSET = (LARGE - SMALL) / 2 };
    for (int round = 0; round < 60; round++) {
        vt_pixel_format format = (vt_pixel_format)random_below(5);
        vt_image img = random_image(1 + random_below(120), 1 + random_below(120), format);
        img.indexed = format == VT_PIXEL_RGB && random_below(2);
        bool convert_first = random_below(2);
        uint8_t *large = crop_of(&img, LARGE, LARGE, convert_first);
        uint8_t *small = crop_of(&img, LARGE, SMALL, convert_first);
        for (size_t y = 0; y < SMALL; y++)
            assert_memory_equal(small + y * SMALL * 3, large + ((y + OFFSET) * LARGE + OFFSET) * 3,
                                (size_t)SMALL * 3);
        free(large);
        free(small);
        vt_image_release(&img);
    }
}

/* A column of its own colour tells where the crop was cut. Python's round() takes halves to the
 * even number: margins of 1, 3, 5 give 0, 2, 2; floor gives 0, 1, 2. */
static void an_odd_margin_is_cut_as_the_reference_cuts_it(void **unused) {
    static const uint8_t openai[] = {0, 0, 1, 2, 2, 2, 3, 4},
                         transformers[] = {0, 0, 1, 1, 2, 2, 3, 3};
    for (uint32_t margin = 0; margin < 8; margin++) {
        vt_image img = random_image(10 + margin, 10, VT_PIXEL_RGB);
        for (size_t i = 0; i < (size_t)img.width * img.height; i++)
            memset(img.pixels + 3 * i, (int)(i % img.width), 3);
        uint8_t *a = crop_of(&img, 10, 10, false), *b = crop_of(&img, 10, 10, true);
        assert_int_equal(a[0], openai[margin]);
        assert_int_equal(b[0], transformers[margin]);
        free(a);
        free(b);
        vt_image_release(&img);
    }
}

/* 16384 to one: the whole result would be 4096 x 67108864. */
static void an_extreme_shape_is_cropped_without_its_whole_result(void **unused) {
    vt_image img = random_image(1, 16384, VT_PIXEL_RGB);
    for (size_t i = 0; i < 16384; i++)
        memset(img.pixels + 3 * i, i < 8192 ? 10 : 200, 3);
    uint8_t *rgb = crop_of(&img, 4096, 64, false);
    assert_in_range(rgb[0], 95, 105); /* the middle of the edge between 10 and 200 */
    assert_memory_equal(rgb, rgb + 3, 64 * 3 - 3);
    free(rgb);
    vt_image_release(&img);
}

/* ---- pixel formats ---------------------------------------------------------------------- */

static void an_indexed_picture_gets_no_new_colours(void **unused) {
    vt_image img = random_image(37, 53, VT_PIXEL_RGB);
    img.indexed = true;
    for (size_t i = 0; i < (size_t)37 * 53; i++)
        memset(img.pixels + 3 * i, random_below(2) ? 255 : 0, 3);
    uint8_t *nearest = crop_of(&img, 24, 24, false), *bicubic = crop_of(&img, 24, 24, true);
    size_t greys = 0;
    for (size_t i = 0; i < (size_t)24 * 24 * 3; i++) {
        assert_true(nearest[i] == 0 || nearest[i] == 255);
        greys += bicubic[i] != 0 && bicubic[i] != 255;
    }
    assert_true(greys > 100);
    free(nearest);
    free(bicubic);
    vt_image_release(&img);
}

/* The colour of what cannot be seen must not bleed into what can, in the order that knows of
 * alpha; in the other one it does. */
static void hidden_colours_stay_hidden_where_alpha_is_kept(void **unused) {
    vt_image img = random_image(40, 40, VT_PIXEL_RGBA);
    for (size_t i = 0; i < 1600; i++) {
        bool visible = i % 40 < 20;
        uint8_t pixel[4] = {100, visible ? 0 : 255, 100, visible ? 255 : 0};
        memcpy(img.pixels + 4 * i, pixel, 4);
    }
    uint8_t *kept = crop_of(&img, 20, 20, false), *dropped = crop_of(&img, 20, 20, true);
    const uint8_t *edge = kept + (size_t)3 * 9;
    assert_int_equal(edge[1], 0);
    assert_in_range(edge[0], 99, 101);
    assert_true(dropped[3 * 9 + 1] > 0);
    free(kept);
    free(dropped);
    vt_image_release(&img);
}

static void check_one_colour(vt_pixel_format format, const void *pixel, const uint8_t want[3]) {
    for (int convert_first = 0; convert_first < 2; convert_first++) {
        vt_image img = random_image(3, 3, format);
        for (size_t i = 0; i < 9; i++)
            memcpy(img.pixels + i * bytes_of(format), pixel, bytes_of(format));
        uint8_t *rgb = crop_of(&img, 5, 5, convert_first);
        for (size_t i = 0; i < 25; i++)
            assert_memory_equal(rgb + 3 * i, want, 3);
        free(rgb);
        vt_image_release(&img);
    }
}

static void every_format_becomes_rgb(void **unused) {
    check_one_colour(VT_PIXEL_GRAY, "\x47", (const uint8_t[]){0x47, 0x47, 0x47});
    check_one_colour(VT_PIXEL_GRAY16, &(uint16_t){200}, (const uint8_t[]){200, 200, 200});
    check_one_colour(VT_PIXEL_GRAY16, &(uint16_t){256}, (const uint8_t[]){255, 255, 255});
    check_one_colour(VT_PIXEL_CMYK, (const uint8_t[]){0, 0, 0, 0},
                     (const uint8_t[]){255, 255, 255});
    check_one_colour(VT_PIXEL_CMYK, (const uint8_t[]){255, 0, 0, 0},
                     (const uint8_t[]){0, 255, 255});
    check_one_colour(VT_PIXEL_CMYK, (const uint8_t[]){9, 9, 9, 255}, (const uint8_t[]){0, 0, 0});
    check_one_colour(VT_PIXEL_CMYK, (const uint8_t[]){0, 51, 255, 55},
                     (const uint8_t[]){200, 160, 0});
    check_one_colour(VT_PIXEL_RGBA, (const uint8_t[]){10, 20, 30, 255},
                     (const uint8_t[]){10, 20, 30});
}

static void the_tensor_is_planar_and_normalised(void **unused) {
    vt_image_spec spec = {.resize = 6, .crop = 4, .mean = {0.5f, 0.25f, 0}, .std = {0.5f, 2, 1}};
    vt_image img = random_image(30, 17, VT_PIXEL_RGB);
    float tensor[3 * 16];
    vt_err err;
    uint8_t *rgb = crop_of(&img, 6, 4, false);
    assert_int_equal(vt_image_preprocess(&img, &spec, tensor, &err), VT_OK);
    for (size_t c = 0; c < 3; c++)
        for (size_t i = 0; i < 16; i++)
            assert_float_equal(tensor[c * 16 + i],
                               ((float)rgb[3 * i + c] / 255 - spec.mean[c]) / spec.std[c], 1e-6);
    free(rgb);
    vt_image_release(&img);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resize_is_the_cubic_convolution),
        cmocka_unit_test(a_picture_of_the_right_size_is_copied),
        cmocka_unit_test(a_plain_picture_stays_plain),
        cmocka_unit_test(a_crop_is_the_middle_of_a_larger_crop),
        cmocka_unit_test(an_odd_margin_is_cut_as_the_reference_cuts_it),
        cmocka_unit_test(an_extreme_shape_is_cropped_without_its_whole_result),
        cmocka_unit_test(an_indexed_picture_gets_no_new_colours),
        cmocka_unit_test(hidden_colours_stay_hidden_where_alpha_is_kept),
        cmocka_unit_test(every_format_becomes_rgb),
        cmocka_unit_test(the_tensor_is_planar_and_normalised),
    };
    return cmocka_run_group_tests_name("preprocess", tests, NULL, NULL);
}
