/* BMP: a small strict decoder of our own, for want of a library in Debian (libnsbmp is not
 * packaged; ImageMagick and the like are a hundred times its size). Windows BITMAPINFOHEADER in all
 * its lengths and OS/2 1.x; 1, 4, 8, 16, 24 and 32 bits a pixel; RLE4, RLE8, bit fields; bottom-up
 * and top-down. JPEG and PNG inside a BMP, and OS/2's Huffman, are refused.
 *
 * As in Pillow: the fourth byte of a 32-bit pixel is alpha only where a mask says so; an 8-bit
 * palette that is just the greys in order makes the picture grey, any other makes it indexed.
 * Pixels that an RLE stream steps over have index 0.
 *
 * Every offset comes from the file and is compared with its length before it is used; the pixel
 * array of an uncompressed picture must be there in full before memory is taken for it. */
#include "image/internal.h"

enum { FILE_HEADER = 14, CORE_HEADER = 12, INFO_HEADER = 40, OS2_HEADER = 64 };
enum { BMP_RGB = 0, BMP_RLE8 = 1, BMP_RLE4 = 2, BMP_BITFIELDS = 3 };
enum { RED, GREEN, BLUE, ALPHA };

typedef struct bmp_header {
    uint32_t size, offset; /* of the info header; of the pixels in the file */
    uint32_t width, height;
    bool top_down;
    unsigned bits;
    uint32_t compression;
    uint32_t colors, color_bytes; /* palette entries, and bytes of one */
    uint32_t mask[4];
    vt_palette palette;
    bool grey;
} bmp_header;

static uint32_t le16(const uint8_t *p) {
    return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static uint32_t le32(const uint8_t *p) {
    return le16(p) | le16(p + 2) << 16;
}

static vt_status truncated(vt_err *err, const char *what) {
    return vt_fail(err, VT_E_IMAGE, "bmp image: truncated, %s is not all there", what);
}

static bool is_known_header(uint32_t size) {
    return size == CORE_HEADER || size == INFO_HEADER || size == 52 || size == 56 ||
           size == OS2_HEADER || size == 108 || size == 124;
}

static void read_core_header(const uint8_t *p, bmp_header *h) {
    h->width = le16(p + 4);
    h->height = le16(p + 6);
    h->bits = le16(p + 10);
    h->color_bytes = 3;
}

static void read_info_header(const uint8_t *p, bmp_header *h) {
    uint32_t height = le32(p + 8);
    h->top_down = height >> 31 != 0; /* a negative height */
    h->width = le32(p + 4);
    h->height = h->top_down ? 0u - height : height;
    h->bits = le16(p + 14);
    h->compression = le32(p + 16);
    h->colors = le32(p + 32);
    h->color_bytes = 4;
}

/* Headers of 52 bytes and more hold the masks, the one of 40 is followed by three. */
static vt_status read_masks(const uint8_t *bytes, size_t len, bmp_header *h, vt_err *err) {
    size_t at = FILE_HEADER + INFO_HEADER;
    if (len < at + 16)
        return truncated(err, "its header");
    for (size_t c = 0; c < 3; c++)
        h->mask[c] = le32(bytes + at + 4 * c);
    if (h->size >= 56)
        h->mask[ALPHA] = le32(bytes + at + 12);
    if (h->bits == 32 && (h->mask[RED] | h->mask[GREEN] | h->mask[BLUE]) == 0) {
        static const uint32_t bgra[4] = {0xFF0000, 0xFF00, 0xFF, 0xFF000000};
        memcpy(h->mask, bgra, sizeof bgra);
    }
    for (size_t c = 0; c < 4; c++) {
        uint32_t lowest = h->mask[c] & (0u - h->mask[c]);
        bool contiguous = ((h->mask[c] + lowest) & h->mask[c]) == 0;
        if (!contiguous || (c != ALPHA && h->mask[c] == 0))
            return vt_fail(err, VT_E_UNSUPPORTED, "bmp image: the bit mask %08x is not one field",
                           h->mask[c]);
    }
    return VT_OK;
}

static void default_masks(bmp_header *h) {
    static const uint32_t rgb555[4] = {0x7C00, 0x3E0, 0x1F, 0};
    static const uint32_t rgb888[4] = {0xFF0000, 0xFF00, 0xFF, 0};
    memcpy(h->mask, h->bits == 16 ? rgb555 : rgb888, sizeof h->mask);
}

static bool is_known_coding(const bmp_header *h) {
    unsigned b = h->bits;
    switch (h->compression) {
    case BMP_RGB:
        return b == 1 || b == 4 || b == 8 || b == 16 || b == 24 || b == 32;
    case BMP_RLE8:
        return b == 8;
    case BMP_RLE4:
        return b == 4;
    case BMP_BITFIELDS:
        return h->size != OS2_HEADER && (b == 16 || b == 32);
    default:
        return false;
    }
}

static vt_status read_header(const uint8_t *bytes, size_t len, bmp_header *h, vt_err *err) {
    if (len < FILE_HEADER + 4)
        return truncated(err, "its header");
    h->offset = le32(bytes + 10);
    h->size = le32(bytes + FILE_HEADER);
    if (!is_known_header(h->size))
        return vt_fail(err, VT_E_UNSUPPORTED, "bmp image: unknown header of %u bytes", h->size);
    if (len < FILE_HEADER + h->size)
        return truncated(err, "its header");
    if (h->size == CORE_HEADER)
        read_core_header(bytes + FILE_HEADER, h);
    else
        read_info_header(bytes + FILE_HEADER, h);
    if (!is_known_coding(h))
        return vt_fail(err, VT_E_UNSUPPORTED,
                       "bmp image: compression %u with %u bits a pixel is not read", h->compression,
                       h->bits);
    vt_status s = vt_image_check_size("bmp", h->width, h->height, err);
    if (s != VT_OK)
        return s;
    default_masks(h);
    return h->compression == BMP_BITFIELDS ? read_masks(bytes, len, h, err) : VT_OK;
}

static vt_status read_palette(const uint8_t *bytes, size_t len, bmp_header *h, vt_err *err) {
    if (h->colors == 0)
        h->colors = 1u << h->bits;
    size_t at = FILE_HEADER + h->size, n = h->colors < 256 ? h->colors : 256;
    if (n * h->color_bytes > len - at)
        return truncated(err, "its palette");
    vt_palette_init(&h->palette);
    for (size_t i = 0; i < n; i++) {
        const uint8_t *entry = bytes + at + i * h->color_bytes;
        for (size_t c = 0; c < 3; c++)
            h->palette.rgb[i][c] = entry[2 - c];
    }
    h->grey = h->bits == 8 && vt_palette_is_grey_ramp(&h->palette, n);
    /* Some writers forget the palette when they say where the pixels are. */
    if (h->offset == 0 || h->offset == at)
        h->offset = (uint32_t)(at + n * h->color_bytes);
    return VT_OK;
}

/* One channel of a pixel, scaled to 0..255. */
static uint8_t field(uint32_t pixel, uint32_t mask) {
    assert(mask != 0);
    unsigned shift = (unsigned)__builtin_ctz(mask);
    uint32_t max = mask >> shift, v = (pixel & mask) >> shift;
    return (uint8_t)(max == 255 ? v : (uint64_t)v * 255 / max);
}

static void put_direct_row(const bmp_header *h, const uint8_t *in, const vt_image *out,
                           uint8_t *row) {
    size_t in_size = h->bits / 8, channels = vt_pixel_bytes(out->format);
    for (size_t x = 0; x < out->width; x++, in += in_size) {
        uint32_t pixel = in_size == 2 ? le16(in) : le16(in) | (uint32_t)in[2] << 16;
        if (in_size == 4)
            pixel |= (uint32_t)in[3] << 24;
        for (size_t c = 0; c < channels; c++)
            row[x * channels + c] = field(pixel, h->mask[c]);
    }
}

static void put_index_row(const bmp_header *h, const uint8_t *index, const vt_image *out,
                          uint8_t *row) {
    if (h->grey)
        memcpy(row, index, out->width);
    else
        vt_palette_apply(&h->palette, index, out->width, row);
}

/* Memory of row y in the order of the file. */
static uint8_t *picture_row(const bmp_header *h, const vt_image *out, size_t y) {
    size_t from_top = h->top_down ? y : out->height - 1 - y;
    return out->pixels + from_top * out->width * vt_pixel_bytes(out->format);
}

static vt_status read_rows(const bmp_header *h, const uint8_t *in, vt_image *out, vt_err *err) {
    size_t row_bytes = ((size_t)h->width * h->bits + 31) / 32 * 4;
    uint8_t *index = vt_alloc(h->width, 1);
    if (index == NULL)
        return vt_fail_nomem(err, h->width);
    for (size_t y = 0; y < out->height; y++, in += row_bytes) {
        uint8_t *row = picture_row(h, out, y);
        if (h->bits > 8) {
            put_direct_row(h, in, out, row);
        } else {
            vt_unpack_samples(in, h->bits, h->width, index);
            put_index_row(h, index, out, row);
        }
    }
    free(index);
    return VT_OK;
}

/* The rows are padded to 4 bytes; of the last one only the pixels must be there. */
static vt_status check_rows(const bmp_header *h, size_t len, vt_err *err) {
    uint64_t bits = (uint64_t)h->width * h->bits;
    uint64_t need = (bits + 31) / 32 * 4 * (h->height - 1) + (bits + 7) / 8;
    if (h->offset > len || need > len - h->offset)
        return truncated(err, "its pixel array");
    return VT_OK;
}

typedef struct rle {
    const uint8_t *at, *end;
    uint8_t *index; /* width * height, in the order of the file */
    size_t x, y, width, height;
    bool four_bits, finished;
} rle;

static void rle_put(rle *r, uint8_t index) {
    if (r->x < r->width)
        r->index[r->y * r->width + r->x] = index;
    r->x++;
}

/* n pixels that repeat one byte: two indices in turn with 4 bits, one with 8. */
static void rle_run(rle *r, size_t n, uint8_t value) {
    for (size_t i = 0; i < n; i++)
        rle_put(r, !r->four_bits ? value : i % 2 == 0 ? value >> 4 : value & 15);
}

/* n pixels as they are, padded to 16 bits. False where they are cut off. */
static bool rle_literal(rle *r, size_t n) {
    size_t size = r->four_bits ? (n + 1) / 2 : n;
    if (size > (size_t)(r->end - r->at))
        return false;
    for (size_t i = 0; i < n; i++) {
        uint8_t b = r->at[r->four_bits ? i / 2 : i];
        rle_put(r, !r->four_bits ? b : i % 2 == 0 ? b >> 4 : b & 15);
    }
    r->at += size;
    if (size % 2 == 1 && r->at < r->end)
        r->at++;
    return true;
}

/* What follows a zero count. False where it is cut off. */
static bool rle_escape(rle *r, uint8_t code) {
    switch (code) {
    case 0: /* end of line */
        r->x = 0;
        r->y++;
        return true;
    case 1: /* end of bitmap */
        r->finished = true;
        return true;
    case 2: /* step right and down the file */
        if (r->end - r->at < 2)
            return false;
        r->x += r->at[0];
        r->y += r->at[1];
        r->at += 2;
        return true;
    default:
        return rle_literal(r, code);
    }
}

/* Until the end-of-bitmap code, or the last pixel: some writers leave the code out. */
static bool rle_unpack(rle *r) {
    while (!r->finished && r->y < r->height) {
        if (r->end - r->at < 2)
            return r->y == r->height - 1 && r->x >= r->width;
        uint8_t count = r->at[0], value = r->at[1];
        r->at += 2;
        if (count > 0)
            rle_run(r, count, value);
        else if (!rle_escape(r, value))
            return false;
    }
    return true;
}

static vt_status read_rle(const bmp_header *h, const uint8_t *bytes, size_t len, vt_image *out,
                          vt_err *err) {
    vt_status s = VT_OK;
    rle r = {.at = bytes + h->offset,
             .end = bytes + len,
             .width = h->width,
             .height = h->height,
             .four_bits = h->compression == BMP_RLE4};
    r.index = vt_alloc(r.width, r.height);
    if (r.index == NULL)
        return vt_fail_nomem(err, r.width * r.height);
    if (rle_unpack(&r))
        for (size_t y = 0; y < r.height; y++)
            put_index_row(h, r.index + y * r.width, out, picture_row(h, out, y));
    else
        s = truncated(err, "its RLE data");
    free(r.index);
    return s;
}

vt_status vt_bmp_decode(const uint8_t *bytes, size_t len, vt_image *out, vt_err *err) {
    bmp_header h = {0};
    vt_status s = read_header(bytes, len, &h, err);
    if (s == VT_OK && h.bits <= 8)
        s = read_palette(bytes, len, &h, err);
    bool run_length = h.compression == BMP_RLE8 || h.compression == BMP_RLE4;
    if (s == VT_OK && run_length && h.offset > len)
        s = truncated(err, "its RLE data");
    if (s == VT_OK && !run_length)
        s = check_rows(&h, len, err);
    if (s != VT_OK)
        return s;
    vt_pixel_format format = h.grey               ? VT_PIXEL_GRAY
                             : h.mask[ALPHA] != 0 ? VT_PIXEL_RGBA
                                                  : VT_PIXEL_RGB;
    s = vt_image_alloc(out, "bmp", format, h.width, h.height, err);
    if (s != VT_OK)
        return s;
    out->indexed = h.bits <= 8 && !h.grey;
    return run_length ? read_rle(&h, bytes, len, out, err)
                      : read_rows(&h, bytes + h.offset, out, err);
}
