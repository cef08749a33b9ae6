/* image: bytes from a stranger become the pixels CLIP was trained on. Decoding (JPEG, PNG, WebP,
 * GIF first frame, BMP) checks the limits in the header before anything is allocated;
 * preprocessing is the resize, centre crop and normalisation of the reference, equal to Pillow's
 * to 1/255. All functions are thread-safe: no state is kept. */
#ifndef VT_IMAGE_H
#define VT_IMAGE_H

#include "base/base.h"

#define VT_IMAGE_MAX_BYTES  (20u * 1000 * 1000) /* of input */
#define VT_IMAGE_MAX_PIXELS (50u * 1000 * 1000)
#define VT_IMAGE_MAX_SIDE   16384u

typedef enum vt_pixel_format {
    VT_PIXEL_GRAY,   /* 1 byte a pixel */
    VT_PIXEL_GRAY16, /* 2 bytes (host uint16_t): 16-bit grey PNG, which Pillow calls mode "I" */
    VT_PIXEL_RGB,    /* 3 bytes */
    VT_PIXEL_RGBA,   /* 4 bytes, alpha not premultiplied */
    VT_PIXEL_CMYK,   /* 4 bytes, 0 = no ink, as Pillow's CMYK */
} vt_pixel_format;

typedef struct vt_image {
    uint32_t width, height; /* >= 1 */
    vt_pixel_format format;
    bool
        indexed; /* came from a palette or was bilevel: Pillow resizes those by nearest neighbour */
    const char *type; /* "jpeg", "png", "webp", "gif", "bmp"; static */
    uint8_t *pixels;  /* rows top to bottom, no padding */
    void *memory;     /* in which they lie; owned, NULL where the pixels are not */
} vt_image;

/* The type is told by the bytes, never by a name. EXIF orientation, colour profiles and gamma are
 * ignored, as the reference does. E_TOO_LARGE names the limit (bytes, side, pixels, scans of a
 * JPEG) and the value, E_UNSUPPORTED is an unknown format or a form of it that we do not read,
 * E_IMAGE is broken or truncated data (all of the picture must be there). */
vt_status vt_image_decode(const uint8_t *bytes, size_t len, vt_image *out, vt_err *err) VT_MUST_USE;
void vt_image_release(vt_image *img);

typedef struct vt_image_spec {
    uint32_t resize; /* shorter side after the resize, 1..4096 */
    uint32_t crop;   /* side of the centre crop, 1..resize */
    float mean[3], std[3];
    bool convert_first; /* true: to RGB before the resize (preprocessor_config.json's
                         * do_convert_rgb, transformers' order); false: after the crop (the order
                         * of the original CLIP code) */
} vt_image_spec;

/* Antialiased bicubic resize (a = -0.5, Pillow's two-pass fixed-point convolution) of the shorter
 * side to spec->resize, centre crop, RGB. out: crop*crop*3 bytes, RGB interleaved. Only what the
 * crop needs is computed. E_NOMEM only. */
vt_status vt_image_crop(const vt_image *img, const vt_image_spec *spec, uint8_t *out,
                        vt_err *err) VT_MUST_USE;
/* vt_image_crop, then (v/255 - mean) / std. out: [3][crop][crop] float32, planar. */
vt_status vt_image_preprocess(const vt_image *img, const vt_image_spec *spec, float *out,
                              vt_err *err) VT_MUST_USE;

#endif
