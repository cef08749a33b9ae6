/* What the files of this room share: the limits, one decoder a format, colour rows, and the
 * resampler. Nothing outside src/image includes it. */
#ifndef VT_IMAGE_INTERNAL_H
#define VT_IMAGE_INTERNAL_H

#include "image/image.h"

/* ---- decode.c --------------------------------------------------------------------------- */

/* Bytes of one pixel. */
size_t vt_pixel_bytes(vt_pixel_format format);
/* E_IMAGE for an empty picture, E_TOO_LARGE beyond the limits. Decoders call it on the header's
 * numbers, before they or their library allocate by them. */
vt_status vt_image_check_size(const char *type, uint64_t width, uint64_t height,
                              vt_err *err) VT_MUST_USE;
/* Checks the size and gives *out its zeroed pixels. */
vt_status vt_image_alloc(vt_image *out, const char *type, vt_pixel_format format, uint64_t width,
                         uint64_t height, vt_err *err) VT_MUST_USE;
/* The same without zeroing, for a decoder that writes every pixel or fails. */
vt_status vt_image_alloc_unset(vt_image *out, const char *type, vt_pixel_format format,
                               uint64_t width, uint64_t height, vt_err *err) VT_MUST_USE;

/* Each is given bytes that start with its magic, fills *out, and leaves it to vt_image_decode to
 * release a half-made picture. */
vt_status vt_jpeg_decode(const uint8_t *bytes, size_t len, vt_image *out, vt_err *err) VT_MUST_USE;
vt_status vt_png_decode(const uint8_t *bytes, size_t len, vt_image *out, vt_err *err) VT_MUST_USE;
vt_status vt_webp_decode(const uint8_t *bytes, size_t len, vt_image *out, vt_err *err) VT_MUST_USE;
vt_status vt_gif_decode(const uint8_t *bytes, size_t len, vt_image *out, vt_err *err) VT_MUST_USE;
vt_status vt_bmp_decode(const uint8_t *bytes, size_t len, vt_image *out, vt_err *err) VT_MUST_USE;

/* ---- colour.c --------------------------------------------------------------------------- */

/* 256 colours. Entries that the file does not give are the grey of their index, as Pillow has
 * them, so an index beyond the file's palette is a colour and never a read out of bounds. */
typedef struct vt_palette {
    uint8_t rgb[256][3];
} vt_palette;

void vt_palette_init(vt_palette *p);
/* True when each of the first n colours is the grey of its index: Pillow then forgets the palette
 * and treats the picture as grey, which decides how it is resized. */
bool vt_palette_is_grey_ramp(const vt_palette *p, size_t n);
/* n indices to n RGB pixels. */
void vt_palette_apply(const vt_palette *p, const uint8_t *index, size_t n, uint8_t *rgb);

/* Unpacks n samples of 1, 2, 4 or 8 bits, the first in the highest bits. */
void vt_unpack_samples(const uint8_t *packed, unsigned bits, size_t n, uint8_t *out);

/* Rows of n pixels; `out` may be `in` where the output pixel is not larger. */
void vt_rgb_from_rgba(const uint8_t *in, size_t n, uint8_t *out); /* alpha is dropped */
void vt_rgb_from_cmyk(const uint8_t *in, size_t n, uint8_t *out);
void vt_rgb_from_gray(const uint8_t *in, size_t n, uint8_t *out);
void vt_gray_from_gray16(const uint16_t *in, size_t n, uint8_t *out); /* 256 and more is white */
void vt_rgba_premultiply(const uint8_t *in, size_t n, uint8_t *out);
void vt_rgb_from_premultiplied(const uint8_t *in, size_t n, uint8_t *out);

/* ---- resize.c --------------------------------------------------------------------------- */

/* One axis of a resize: `in` pixels become `out`, of which only [first, first + count) is wanted.
 */
typedef struct vt_axis {
    uint32_t in, out, first, count;
} vt_axis;

/* Gives source row y as bytes of `channels` each pixel: its own memory, or `scratch`, which holds
 * one row. */
typedef const uint8_t *(*vt_row_fn)(const vt_image *img, uint32_t y, uint8_t *scratch);
typedef struct vt_rows {
    const vt_image *img;
    vt_row_fn row;
    unsigned channels; /* 1, 3 or 4 */
} vt_rows;

/* out: y->count rows of x->count pixels of rows->channels bytes. */
vt_status vt_resize_bicubic(const vt_rows *rows, const vt_axis *x, const vt_axis *y, uint8_t *out,
                            vt_err *err) VT_MUST_USE;
/* The same for 16-bit grey; results are rounded to whole numbers and then cut to 0..255. */
vt_status vt_resize_bicubic_gray16(const vt_image *img, const vt_axis *x, const vt_axis *y,
                                   uint8_t *out, vt_err *err) VT_MUST_USE;
/* Nearest neighbour, no filter. */
vt_status vt_resize_nearest(const vt_rows *rows, const vt_axis *x, const vt_axis *y, uint8_t *out,
                            vt_err *err) VT_MUST_USE;

#endif
