/* decode: bytes of unknown origin become pixels. The first bytes tell the format (a name or a
 * Content-Type is a claim, magic bytes are what the decoder will read), the limits are applied to
 * the header's numbers before anything is allocated by them, and one place releases what a decoder
 * left half made.
 *
 * Three limits stand together because each is blind to something: bytes (the work of parsing),
 * pixels (the memory: 747 KB of PNG can ask for 800 MB), side (a 50,000,000 x 1 picture passes the
 * pixel limit and breaks the resize). Thread-safe: no state. */
#include "image/internal.h"

typedef struct image_type {
    const char *name;
    size_t at, len; /* where the magic stands */
    const char *magic;
    vt_status (*decode)(const uint8_t *, size_t, vt_image *, vt_err *);
} image_type;

/* WebP is named by the second half of its RIFF header: the first is that of a WAV as well. */
static const image_type image_types[] = {
    {"jpeg", 0, 3, "\xFF\xD8\xFF", vt_jpeg_decode},
    {"png", 0, 8, "\x89PNG\r\n\x1A\n", vt_png_decode},
    {"webp", 8, 4, "WEBP", vt_webp_decode},
    {"gif", 0, 6, "GIF87a", vt_gif_decode},
    {"gif", 0, 6, "GIF89a", vt_gif_decode},
    {"bmp", 0, 2, "BM", vt_bmp_decode},
};

size_t vt_pixel_bytes(vt_pixel_format format) {
    switch (format) {
    case VT_PIXEL_GRAY:
        return 1;
    case VT_PIXEL_GRAY16:
        return 2;
    case VT_PIXEL_RGB:
        return 3;
    case VT_PIXEL_RGBA:
    case VT_PIXEL_CMYK:
        return 4;
    }
    assert(!"a pixel format of the enum");
    return 0;
}

vt_status vt_image_check_size(const char *type, uint64_t width, uint64_t height, vt_err *err) {
    if (width == 0 || height == 0)
        return vt_fail(err, VT_E_IMAGE, "%s image: the header says %ju x %ju pixels", type,
                       (uintmax_t)width, (uintmax_t)height);
    if (width > VT_IMAGE_MAX_SIDE || height > VT_IMAGE_MAX_SIDE)
        return vt_fail(err, VT_E_TOO_LARGE,
                       "%s image: %ju x %ju pixels, a side may have at most %u", type,
                       (uintmax_t)width, (uintmax_t)height, VT_IMAGE_MAX_SIDE);
    if (width * height > VT_IMAGE_MAX_PIXELS)
        return vt_fail(err, VT_E_TOO_LARGE,
                       "%s image: %ju x %ju is %ju pixels, at most %u are accepted", type,
                       (uintmax_t)width, (uintmax_t)height, (uintmax_t)(width * height),
                       VT_IMAGE_MAX_PIXELS);
    return VT_OK;
}

/* libjpeg-turbo writes a row that begins at a multiple of 32 bytes past the caches, out of which
 * the resize is about to read it: a tenth of the time that both take. So pixels begin between two.
 */
static vt_status alloc_by(void *(*alloc)(size_t count, size_t size), vt_image *out,
                          vt_pixel_format format, uint64_t width, uint64_t height, vt_err *err) {
    enum { STREAMED = 32, BETWEEN = 16 };
    size_t bytes = (size_t)(width * height) * vt_pixel_bytes(format);
    out->memory = alloc(bytes + BETWEEN, 1);
    if (out->memory == NULL)
        return vt_fail_nomem(err, bytes);
    out->pixels = out->memory;
    out->pixels += (uintptr_t)out->memory % STREAMED == 0 ? BETWEEN : 0;
    out->width = (uint32_t)width;
    out->height = (uint32_t)height;
    out->format = format;
    return VT_OK;
}

vt_status vt_image_alloc(vt_image *out, const char *type, vt_pixel_format format, uint64_t width,
                         uint64_t height, vt_err *err) {
    out->type = type;
    vt_status s = vt_image_check_size(type, width, height, err);
    return s == VT_OK ? alloc_by(vt_alloc, out, format, width, height, err) : s;
}

vt_status vt_image_alloc_unset(vt_image *out, const char *type, vt_pixel_format format,
                               uint64_t width, uint64_t height, vt_err *err) {
    out->type = type;
    vt_status s = vt_image_check_size(type, width, height, err);
    return s == VT_OK ? alloc_by(vt_alloc_aligned, out, format, width, height, err) : s;
}

static const image_type *find_type(const uint8_t *bytes, size_t len) {
    for (size_t i = 0; i < sizeof image_types / sizeof image_types[0]; i++) {
        const image_type *t = &image_types[i];
        if (len >= t->at + t->len && memcmp(bytes + t->at, t->magic, t->len) == 0)
            return t;
    }
    return NULL;
}

vt_status vt_image_decode(const uint8_t *bytes, size_t len, vt_image *out, vt_err *err) {
    *out = (vt_image){0};
    if (len > VT_IMAGE_MAX_BYTES)
        return vt_fail(err, VT_E_TOO_LARGE, "image: %zu bytes, at most %u are accepted", len,
                       VT_IMAGE_MAX_BYTES);
    if (len == 0)
        return vt_fail(err, VT_E_IMAGE, "image: it is empty");
    const image_type *type = find_type(bytes, len);
    if (type == NULL)
        return vt_fail(err, VT_E_UNSUPPORTED,
                       "image: the first bytes are of no format we read (JPEG, PNG, WebP, GIF, "
                       "BMP)");
    vt_status s = type->decode(bytes, len, out, err);
    if (s != VT_OK)
        vt_image_release(out);
    return s;
}

void vt_image_release(vt_image *img) {
    if (img == NULL)
        return;
    free(img->memory);
    *img = (vt_image){0};
}
