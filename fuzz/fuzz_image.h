/* What the five targets of the image room do with their bytes: decode, check what the header of the
 * room promises of a picture, and crop it in both orders. They are five, not one, so that each
 * format's corpus grows on its own. */
#ifndef VT_FUZZ_IMAGE_H
#define VT_FUZZ_IMAGE_H

#include "image/image.h"
#include "vec/vec.h"

/* A mutated header may ask for 50 megapixels; they are decoded, but resizing them finds nothing. */
#define FUZZ_CROP_PIXELS (1u << 20)

static inline void fuzz_crop(const vt_image *img, bool convert_first) {
    enum { SIDE = 16 };
    uint8_t rgb[SIDE * SIDE * 3];
    vt_err err;
    vt_image_spec spec = {.resize = SIDE + 1, .crop = SIDE, .convert_first = convert_first};
    vt_status s = vt_image_crop(img, &spec, rgb, &err);
    if (s != VT_OK && s != VT_E_NOMEM)
        abort();
}

static inline int fuzz_image(const uint8_t *data, size_t size) {
    vt_image img;
    vt_err err;
    if (vt_vec_init(NULL, &err) != VT_OK)
        abort();
    vt_status s = vt_image_decode(data, size, &img, &err);
    if (s != VT_OK && (img.pixels != NULL || err.status != s || err.text[0] == 0))
        abort();
    if (s == VT_OK &&
        (img.pixels == NULL || img.width == 0 || img.width > VT_IMAGE_MAX_SIDE || img.height == 0 ||
         img.height > VT_IMAGE_MAX_SIDE || (uint64_t)img.width * img.height > VT_IMAGE_MAX_PIXELS))
        abort();
    if (s == VT_OK && img.width * img.height <= FUZZ_CROP_PIXELS) {
        fuzz_crop(&img, false);
        fuzz_crop(&img, true);
    }
    vt_image_release(&img);
    return 0;
}

#endif
