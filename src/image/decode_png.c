/* PNG, by libspng: every colour type and depth, interlaced or not.
 *
 * The picture is read scanline by scanline in the file's own samples, which we convert the way
 * Pillow does: 1-bit grey is bilevel, 2- and 4-bit grey is scaled to 0..255, 16-bit grey stays
 * 16-bit, any other 16-bit sample keeps its high byte, palettes become RGB, tRNS and gamma are
 * ignored. Scanlines rather than the library's whole-image output formats: those differ from Pillow
 * (G8 refuses 16 bit, RGB8 rounds it), and a 16-bit RGBA picture would be held twice.
 *
 * An interlaced picture arrives as seven small pictures whose pixels we put in place (Adam7). */
#include <spng.h>

#include "image/internal.h"

typedef struct png_reader {
    spng_ctx *ctx;
    struct spng_ihdr ihdr;
    unsigned channels; /* of the file's samples; 1 for a palette */
    vt_palette palette;
    uint8_t *line;    /* a scanline as the file has it, samples in host order */
    uint8_t *samples; /* one byte a sample (two for 16-bit grey) */
} png_reader;

static vt_status png_fail(int code, vt_err *err) {
    vt_status s = code == SPNG_EMEM            ? VT_E_NOMEM
                  : code == SPNG_ECHUNK_LIMITS ? VT_E_TOO_LARGE
                                               : VT_E_IMAGE;
    return vt_fail(err, s, "png image: %s", spng_strerror(code));
}

static unsigned channels_of(uint8_t color_type) {
    switch (color_type) {
    case SPNG_COLOR_TYPE_GRAYSCALE_ALPHA:
        return 2;
    case SPNG_COLOR_TYPE_TRUECOLOR:
        return 3;
    case SPNG_COLOR_TYPE_TRUECOLOR_ALPHA:
        return 4;
    default:
        return 1;
    }
}

static vt_pixel_format format_of(const struct spng_ihdr *h) {
    switch (h->color_type) {
    case SPNG_COLOR_TYPE_GRAYSCALE:
        return h->bit_depth == 16 ? VT_PIXEL_GRAY16 : VT_PIXEL_GRAY;
    case SPNG_COLOR_TYPE_GRAYSCALE_ALPHA:
    case SPNG_COLOR_TYPE_TRUECOLOR_ALPHA:
        return VT_PIXEL_RGBA;
    default:
        return VT_PIXEL_RGB;
    }
}

static vt_status read_header(png_reader *r, const uint8_t *bytes, size_t len, vt_err *err) {
    int rc = spng_set_crc_action(r->ctx, SPNG_CRC_ERROR, SPNG_CRC_DISCARD);
    /* zTXt, iTXt and iCCP chunks are inflated and kept by the library though nobody asks for them:
     * together they may take no more than the longest file. */
    if (rc == 0)
        rc = spng_set_chunk_limits(r->ctx, VT_IMAGE_MAX_BYTES, VT_IMAGE_MAX_BYTES);
    if (rc == 0)
        rc = spng_set_png_buffer(r->ctx, bytes, len);
    if (rc == 0)
        rc = spng_get_ihdr(r->ctx, &r->ihdr);
    if (rc != 0)
        return png_fail(rc, err);
    r->channels = channels_of(r->ihdr.color_type);
    return vt_image_check_size("png", r->ihdr.width, r->ihdr.height, err);
}

static vt_status read_palette(png_reader *r, vt_err *err) {
    struct spng_plte plte;
    int rc = spng_get_plte(r->ctx, &plte);
    if (rc != 0)
        return png_fail(rc, err);
    vt_palette_init(&r->palette);
    for (size_t i = 0; i < plte.n_entries; i++) {
        r->palette.rgb[i][0] = plte.entries[i].red;
        r->palette.rgb[i][1] = plte.entries[i].green;
        r->palette.rgb[i][2] = plte.entries[i].blue;
    }
    return VT_OK;
}

/* The scanline's samples, one byte each, as Pillow narrows and widens them. */
static const uint8_t *samples_of_line(const png_reader *r, size_t pixels) {
    size_t n = pixels * r->channels;
    unsigned depth = r->ihdr.bit_depth;
    if (depth == 8)
        return r->line;
    if (depth == 16) {
        for (size_t i = 0; i < n; i++) {
            uint16_t v;
            memcpy(&v, r->line + 2 * i, sizeof v);
            r->samples[i] = (uint8_t)(v >> 8);
        }
        return r->samples;
    }
    vt_unpack_samples(r->line, depth, n, r->samples);
    if (r->ihdr.color_type == SPNG_COLOR_TYPE_GRAYSCALE)
        for (size_t i = 0; i < n; i++)
            r->samples[i] = (uint8_t)(r->samples[i] * 255 / ((1 << depth) - 1));
    return r->samples;
}

/* Samples of one pixel -> the picture's pixel. */
static void put_pixel(const png_reader *r, const uint8_t *sample, uint8_t *pixel) {
    switch (r->ihdr.color_type) {
    case SPNG_COLOR_TYPE_INDEXED:
        memcpy(pixel, r->palette.rgb[*sample], 3);
        break;
    case SPNG_COLOR_TYPE_GRAYSCALE_ALPHA:
        memset(pixel, sample[0], 3);
        pixel[3] = sample[1];
        break;
    default:
        memcpy(pixel, sample, r->channels);
    }
}

/* Puts the scanline's pixels at x0, x0 + step, ... of row y. */
static void put_line(const png_reader *r, vt_image *out, uint32_t y, uint32_t x0, uint32_t step) {
    size_t size = vt_pixel_bytes(out->format);
    uint8_t *row = out->pixels + (size_t)y * out->width * size;
    size_t n = (out->width - x0 + step - 1) / step;
    if (out->format == VT_PIXEL_GRAY16) {
        for (size_t i = 0; i < n; i++)
            memcpy(row + (x0 + i * step) * size, r->line + 2 * i, size);
        return;
    }
    const uint8_t *samples = samples_of_line(r, n);
    if (step == 1 && size == r->channels) {
        memcpy(row, samples, n * size);
        return;
    }
    for (size_t i = 0; i < n; i++)
        put_pixel(r, samples + i * r->channels, row + (x0 + i * step) * size);
}

static vt_status read_lines(png_reader *r, vt_image *out, vt_err *err) {
    static const uint8_t adam7_x0[7] = {0, 4, 0, 2, 0, 1, 0};
    static const uint8_t adam7_step[7] = {8, 8, 4, 4, 2, 2, 1};
    bool interlaced = r->ihdr.interlace_method != SPNG_INTERLACE_NONE;
    size_t bits = (size_t)r->channels * r->ihdr.bit_depth;
    int rc = 0;
    while (rc == 0) {
        struct spng_row_info info;
        rc = spng_get_row_info(r->ctx, &info);
        if (rc != 0)
            break;
        uint32_t x0 = interlaced ? adam7_x0[info.pass] : 0;
        uint32_t step = interlaced ? adam7_step[info.pass] : 1;
        size_t pixels = (out->width - x0 + step - 1) / step;
        rc = spng_decode_scanline(r->ctx, r->line, (pixels * bits + 7) / 8);
        if (rc == 0 || rc == SPNG_EOI)
            put_line(r, out, info.row_num, x0, step);
    }
    return rc == SPNG_EOI ? VT_OK : png_fail(rc, err);
}

static vt_status read_pixels(png_reader *r, vt_image *out, vt_err *err) {
    size_t samples = (size_t)r->ihdr.width * r->channels;
    r->line = vt_alloc(samples, 2);
    r->samples = vt_alloc(samples, 1);
    if (r->line == NULL || r->samples == NULL)
        return vt_fail_nomem(err, samples * 3);
    int rc = spng_decode_image(r->ctx, NULL, 0, SPNG_FMT_PNG, SPNG_DECODE_PROGRESSIVE);
    if (rc != 0)
        return png_fail(rc, err);
    return read_lines(r, out, err);
}

vt_status vt_png_decode(const uint8_t *bytes, size_t len, vt_image *out, vt_err *err) {
    vt_status s = VT_OK;
    png_reader r = {.ctx = spng_ctx_new(0)};
    if (r.ctx == NULL)
        return vt_fail(err, VT_E_NOMEM, "png image: no memory for the decoder");
    s = read_header(&r, bytes, len, err);
    if (s != VT_OK)
        goto done;
    bool indexed = r.ihdr.color_type == SPNG_COLOR_TYPE_INDEXED;
    if (indexed && (s = read_palette(&r, err)) != VT_OK)
        goto done;
    s = vt_image_alloc(out, "png", format_of(&r.ihdr), r.ihdr.width, r.ihdr.height, err);
    if (s != VT_OK)
        goto done;
    out->indexed =
        indexed || (r.ihdr.color_type == SPNG_COLOR_TYPE_GRAYSCALE && r.ihdr.bit_depth == 1);
    s = read_pixels(&r, out, err);
done:
    spng_ctx_free(r.ctx);
    free(r.line);
    free(r.samples);
    return s;
}
