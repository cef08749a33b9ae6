/* GIF, by giflib: the first frame on its canvas, as Pillow 9 shows it.
 *
 * The canvas is the logical screen, widened where the frame reaches beyond it. Where the frame does
 * not cover it, it has the colour of the frame's transparent index, or else of index 0; the
 * background colour of the header is ignored. A palette that is just the greys in order makes the
 * picture grey (and filtered when resized), any other makes it indexed.
 *
 * The record-by-record API is used: DGifSlurp would decode every frame of an animation to give us
 * the first. */
#include <gif_lib.h>

#include "image/internal.h"

typedef struct gif_source {
    const uint8_t *bytes;
    size_t len, at;
} gif_source;

typedef struct gif_frame {
    vt_palette palette;
    bool grey;
    uint8_t fill;  /* index around the frame */
    uint8_t *line; /* one row of the canvas, in indices */
} gif_frame;

static int read_source(GifFileType *gif, GifByteType *to, int n) {
    gif_source *src = gif->UserData;
    size_t take = n > 0 ? (size_t)n : 0;
    if (take > src->len - src->at)
        take = src->len - src->at;
    memcpy(to, src->bytes + src->at, take);
    src->at += take;
    return (int)take;
}

static vt_status gif_fail(int code, vt_err *err) {
    if (code == D_GIF_ERR_NOT_ENOUGH_MEM)
        return vt_fail(err, VT_E_NOMEM, "gif image: no memory for the decoder");
    const char *why = GifErrorString(code);
    return vt_fail(err, VT_E_IMAGE, "gif image: %s", why != NULL ? why : "broken or truncated");
}

/* An extension and its sub-blocks; the graphic control block may name a transparent index. */
static vt_status read_extension(GifFileType *gif, gif_frame *f, vt_err *err) {
    int code = 0;
    GifByteType *block = NULL;
    int rc = DGifGetExtension(gif, &code, &block);
    while (rc == GIF_OK && block != NULL) {
        GraphicsControlBlock gcb;
        if (code == GRAPHICS_EXT_FUNC_CODE &&
            DGifExtensionToGCB(block[0], block + 1, &gcb) == GIF_OK &&
            gcb.TransparentColor != NO_TRANSPARENT_COLOR)
            f->fill = (uint8_t)gcb.TransparentColor;
        rc = DGifGetExtensionNext(gif, &block);
    }
    return rc == GIF_OK ? VT_OK : gif_fail(gif->Error, err);
}

/* Reads up to the first frame's pixels. */
static vt_status read_frame_header(GifFileType *gif, gif_frame *f, vt_err *err) {
    for (;;) {
        GifRecordType record = UNDEFINED_RECORD_TYPE;
        vt_status s = VT_OK;
        if (DGifGetRecordType(gif, &record) != GIF_OK)
            return gif_fail(gif->Error, err);
        if (record == IMAGE_DESC_RECORD_TYPE)
            return DGifGetImageHeader(gif) == GIF_OK ? VT_OK : gif_fail(gif->Error, err);
        if (record == TERMINATE_RECORD_TYPE)
            return vt_fail(err, VT_E_IMAGE, "gif image: there is no picture in it");
        if (record == EXTENSION_RECORD_TYPE && (s = read_extension(gif, f, err)) != VT_OK)
            return s;
    }
}

static void choose_palette(const GifFileType *gif, gif_frame *f) {
    const ColorMapObject *map = gif->Image.ColorMap != NULL ? gif->Image.ColorMap : gif->SColorMap;
    size_t n = map != NULL ? (size_t)map->ColorCount : 0;
    vt_palette_init(&f->palette);
    for (size_t i = 0; i < n && i < 256; i++) {
        f->palette.rgb[i][0] = map->Colors[i].Red;
        f->palette.rgb[i][1] = map->Colors[i].Green;
        f->palette.rgb[i][2] = map->Colors[i].Blue;
    }
    f->grey = vt_palette_is_grey_ramp(&f->palette, n);
}

static void put_line(const gif_frame *f, vt_image *out, uint32_t y) {
    uint8_t *row = out->pixels + (size_t)y * out->width * vt_pixel_bytes(out->format);
    if (f->grey)
        memcpy(row, f->line, out->width);
    else
        vt_palette_apply(&f->palette, f->line, out->width, row);
}

/* Rows `first`, `first` + step, ... of the frame, into their rows of the canvas. */
static vt_status read_rows(GifFileType *gif, const gif_frame *f, vt_image *out, const int pass[2],
                           vt_err *err) {
    for (int y = pass[0]; y < gif->Image.Height; y += pass[1]) {
        if (DGifGetLine(gif, f->line + gif->Image.Left, gif->Image.Width) != GIF_OK)
            return gif_fail(gif->Error, err);
        put_line(f, out, (uint32_t)(gif->Image.Top + y));
    }
    return VT_OK;
}

static vt_status read_canvas(GifFileType *gif, gif_frame *f, vt_image *out, vt_err *err) {
    static const int whole[1][2] = {{0, 1}};
    static const int interlaced[4][2] = {{0, 8}, {4, 8}, {2, 4}, {1, 2}};
    const int(*passes)[2] = gif->Image.Interlace ? interlaced : whole;
    f->line = vt_alloc(out->width, 1);
    if (f->line == NULL)
        return vt_fail_nomem(err, out->width);
    memset(f->line, f->fill, out->width);
    for (uint32_t y = 0; y < out->height; y++)
        put_line(f, out, y);
    vt_status s = VT_OK;
    for (size_t i = 0; i < (gif->Image.Interlace ? 4u : 1u) && s == VT_OK; i++)
        s = read_rows(gif, f, out, passes[i], err);
    return s;
}

static uint64_t larger(int a, int b) {
    return (uint64_t)(a > b ? a : b);
}

vt_status vt_gif_decode(const uint8_t *bytes, size_t len, vt_image *out, vt_err *err) {
    gif_source src = {.bytes = bytes, .len = len};
    gif_frame f = {0};
    int code = 0;
    GifFileType *gif = DGifOpen(&src, read_source, &code);
    if (gif == NULL)
        return gif_fail(code, err);
    vt_status s = read_frame_header(gif, &f, err);
    if (s != VT_OK)
        goto done;
    const GifImageDesc *d = &gif->Image;
    s = vt_image_check_size("gif", (uint64_t)d->Width, (uint64_t)d->Height, err);
    if (s != VT_OK)
        goto done;
    choose_palette(gif, &f);
    s = vt_image_alloc(out, "gif", f.grey ? VT_PIXEL_GRAY : VT_PIXEL_RGB,
                       larger(gif->SWidth, d->Left + d->Width),
                       larger(gif->SHeight, d->Top + d->Height), err);
    if (s != VT_OK)
        goto done;
    out->indexed = !f.grey;
    s = read_canvas(gif, &f, out, err);
done:
    free(f.line);
    DGifCloseFile(gif, &code);
    return s;
}
