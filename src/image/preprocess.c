/* preprocess: a decoded picture becomes the tensor that the image tower was trained on: shorter
 * side to `resize` (bicubic), centre crop, RGB, (v/255 - mean) / std.
 *
 * Two references exist, and they differ in more than the order of their steps:
 *
 *                      openai/CLIP (convert_first = false)   transformers (convert_first = true)
 *   to RGB             after the crop                        before the resize
 *   crop offset        half rounded to even (Python round)   half rounded down
 *   palette, bilevel   nearest neighbour                     bicubic on the colours
 *   alpha              premultiplied around the resize       dropped before
 *   CMYK               resized as ink                        resized as RGB
 *   16-bit grey        resized in 32 bit, then cut to 255    cut to 255 first
 *
 * The second column's oddities are Pillow's behaviour for those modes. Models were trained and
 * embeddings published with either, so both are kept, chosen by the model's own configuration.
 *
 * A picture never becomes another whole picture on the way: rows are converted as the resampler
 * asks for them. No state. */
#include "image/internal.h"

/* The larger side after the resize: Python's int(resize * long / short). */
static uint32_t scaled_side(uint32_t resize, uint32_t longer, uint32_t shorter) {
    return (uint32_t)((double)((uint64_t)resize * longer) / shorter);
}

static uint32_t crop_offset(uint32_t side, const vt_image_spec *spec) {
    uint32_t margin = side - spec->crop, half = margin / 2;
    bool round_up = !spec->convert_first && margin % 2 == 1 && half % 2 == 1;
    return half + round_up;
}

static void plan_axes(const vt_image *img, const vt_image_spec *spec, vt_axis *x, vt_axis *y) {
    uint32_t w = img->width, h = img->height;
    uint32_t out_w = w <= h ? spec->resize : scaled_side(spec->resize, w, h);
    uint32_t out_h = w <= h ? scaled_side(spec->resize, h, w) : spec->resize;
    *x = (vt_axis){w, out_w, crop_offset(out_w, spec), spec->crop};
    *y = (vt_axis){h, out_h, crop_offset(out_h, spec), spec->crop};
}

static const uint8_t *source_row(const vt_image *img, uint32_t y) {
    return img->pixels + (size_t)y * img->width * vt_pixel_bytes(img->format);
}

static const uint8_t *row_as_is(const vt_image *img, uint32_t y, uint8_t *scratch) {
    return source_row(img, y);
}

static const uint8_t *row_without_alpha(const vt_image *img, uint32_t y, uint8_t *scratch) {
    vt_rgb_from_rgba(source_row(img, y), img->width, scratch);
    return scratch;
}

static const uint8_t *row_premultiplied(const vt_image *img, uint32_t y, uint8_t *scratch) {
    vt_rgba_premultiply(source_row(img, y), img->width, scratch);
    return scratch;
}

static const uint8_t *row_cmyk_to_rgb(const vt_image *img, uint32_t y, uint8_t *scratch) {
    vt_rgb_from_cmyk(source_row(img, y), img->width, scratch);
    return scratch;
}

static const uint8_t *row_gray16_to_gray(const vt_image *img, uint32_t y, uint8_t *scratch) {
    vt_gray_from_gray16((const void *)source_row(img, y), img->width, scratch);
    return scratch;
}

/* How rows reach the resampler. A picture that keeps its size is copied, not filtered, so its
 * colours are not premultiplied either. */
static vt_rows choose_rows(const vt_image *img, bool convert_first, bool same_size) {
    switch (img->format) {
    case VT_PIXEL_GRAY:
        return (vt_rows){img, row_as_is, 1};
    case VT_PIXEL_GRAY16:
        return (vt_rows){img, row_gray16_to_gray, 1};
    case VT_PIXEL_RGB:
        return (vt_rows){img, row_as_is, 3};
    case VT_PIXEL_RGBA:
        if (convert_first || same_size)
            return (vt_rows){img, row_without_alpha, 3};
        return (vt_rows){img, row_premultiplied, 4};
    case VT_PIXEL_CMYK:
        if (convert_first)
            return (vt_rows){img, row_cmyk_to_rgb, 3};
        return (vt_rows){img, row_as_is, 4};
    }
    assert(!"a pixel format of the enum");
    return (vt_rows){0};
}

/* n resized pixels of 1 or 4 channels -> RGB. */
static void finish_rgb(const vt_rows *rows, const uint8_t *from, size_t n, uint8_t *to) {
    if (rows->channels == 1)
        vt_rgb_from_gray(from, n, to);
    else if (rows->img->format == VT_PIXEL_CMYK)
        vt_rgb_from_cmyk(from, n, to);
    else
        vt_rgb_from_premultiplied(from, n, to);
}

static vt_status resize(const vt_rows *rows, const vt_image_spec *spec, uint8_t *out, vt_err *err) {
    vt_axis x, y;
    plan_axes(rows->img, spec, &x, &y);
    if (rows->img->indexed && !spec->convert_first)
        return vt_resize_nearest(rows, &x, &y, out, err);
    if (rows->img->format == VT_PIXEL_GRAY16 && !spec->convert_first)
        return vt_resize_bicubic_gray16(rows->img, &x, &y, out, err);
    return vt_resize_bicubic(rows, &x, &y, out, err);
}

vt_status vt_image_crop(const vt_image *img, const vt_image_spec *spec, uint8_t *out, vt_err *err) {
    assert(spec->resize >= 1 && spec->resize <= 4096);
    assert(spec->crop >= 1 && spec->crop <= spec->resize);
    uint32_t shorter = img->width < img->height ? img->width : img->height;
    vt_rows rows = choose_rows(img, spec->convert_first, shorter == spec->resize);
    if (rows.channels == 3)
        return resize(&rows, spec, out, err);
    size_t pixels = (size_t)spec->crop * spec->crop;
    uint8_t *resized = vt_alloc(pixels, rows.channels);
    if (resized == NULL)
        return vt_fail_nomem(err, pixels * rows.channels);
    vt_status s = resize(&rows, spec, resized, err);
    if (s == VT_OK)
        finish_rgb(&rows, resized, pixels, out);
    free(resized);
    return s;
}

/* A byte has 256 values, so a plane is a look-up: the divisions are done 256 times. */
static void normalise_plane(const uint8_t *rgb, size_t pixels, float mean, float std, float *out) {
    float value[256];
    for (int v = 0; v < 256; v++)
        value[v] = ((float)v / 255.0f - mean) / std;
    for (size_t i = 0; i < pixels; i++)
        out[i] = value[rgb[3 * i]];
}

vt_status vt_image_preprocess(const vt_image *img, const vt_image_spec *spec, float *out,
                              vt_err *err) {
    size_t pixels = (size_t)spec->crop * spec->crop;
    uint8_t *rgb = vt_alloc(pixels, 3);
    if (rgb == NULL)
        return vt_fail_nomem(err, pixels * 3);
    vt_status s = vt_image_crop(img, spec, rgb, err);
    for (size_t c = 0; c < 3 && s == VT_OK; c++)
        normalise_plane(rgb + c, pixels, spec->mean[c], spec->std[c], out + c * pixels);
    free(rgb);
    return s;
}
