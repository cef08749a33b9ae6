/* resize: antialiased bicubic, bit for bit what Pillow's ImagingResample computes, and Pillow's
 * nearest neighbour for indexed pictures.
 *
 * Two passes, horizontal then vertical; each rounds to 8 bits, with weights of 22 fractional bits.
 * That rounding is part of the reference, which is why neither floating point nor vertical-first
 * (which would need less work for wide pictures) is used. 16-bit grey goes through doubles, rounded
 * to a whole number after each pass.
 *
 * Only the window that the crop needs is computed: a 1 x 2000 picture resizes to 224 x 448000, of
 * which 224 rows are wanted; they come from a few source rows. The horizontal pass runs just ahead
 * of the vertical one, and what it makes is kept while a result row needs it: 11 KB for 640 x 480
 * to 224, in the nearest cache, where all source rows would be 320 KB.
 *
 * Invariant: source rows are asked for in rising order, each at most once. No state but the
 * instruction set that vec chose; all memory is freed before the return. */
#include "image/kernels.h"

/* ---- bicubic, 8 bits -------------------------------------------------------------------- */

typedef struct resizer {
    const vt_resize_kernels *kernels;
    const vt_rows *rows;
    vt_resize_columns columns;
    vt_lines lines;
    size_t row_bytes, strip_words;
    uint32_t *ring;          /* the last lines.kept strips; s is at s % lines.kept */
    const uint32_t **strips; /* those of the result row being made */
    uint8_t *scratch;        /* shape.taps rows with their slack */
} resizer;

static void resizer_release(resizer *z) {
    vt_resize_columns_release(&z->columns);
    vt_lines_release(&z->lines);
    free(z->ring);
    free(z->strips);
    free(z->scratch);
}

static vt_status plan_passes(resizer *z, const vt_axis *x, const vt_axis *y, vt_err *err) {
    unsigned channels = z->rows->channels;
    vt_taps tx = {0}, ty = {0};
    vt_status s = vt_taps_init(&tx, x, err);
    if (s == VT_OK)
        s = vt_taps_init(&ty, y, err);
    if (s == VT_OK)
        s = vt_resize_columns_init(&z->columns, &tx, channels, z->kernels, err);
    if (s == VT_OK)
        s = vt_lines_init(&z->lines, &ty, tx.count * channels, z->kernels, err);
    vt_taps_release(&tx);
    vt_taps_release(&ty);
    return s;
}

/* The caller releases *z, also after a failure. */
static vt_status resizer_init(resizer *z, const vt_rows *rows, const vt_axis *x, const vt_axis *y,
                              vt_err *err) {
    *z = (resizer){.kernels = vt_resize_kernels_chosen(),
                   .rows = rows,
                   .row_bytes = (size_t)x->in * rows->channels};
    vt_status s = plan_passes(z, x, y, err);
    if (s != VT_OK)
        return s;
    z->strip_words = (z->lines.width + VT_STRIP_LANES - 1) / VT_STRIP_LANES * VT_STRIP_LANES;
    z->ring = vt_alloc(z->lines.kept, z->strip_words * sizeof *z->ring);
    z->strips = vt_alloc(z->lines.stride, sizeof *z->strips);
    z->scratch = vt_alloc(z->kernels->shape.taps, z->row_bytes + VT_ROW_SLACK);
    if (z->ring == NULL || z->strips == NULL || z->scratch == NULL)
        return vt_fail_nomem(err, z->lines.kept * z->strip_words * sizeof *z->ring);
    return VT_OK;
}

/* Source row y, readable VT_ROW_SLACK bytes beyond its end: the last rows are not where they are.
 */
static const uint8_t *fetch_row(const resizer *z, uint32_t y, uint8_t *scratch) {
    const vt_image *img = z->rows->img;
    const uint8_t *row = z->rows->row(img, y, scratch);
    if (row == scratch || (img->height - 1 - y) * z->row_bytes >= VT_ROW_SLACK)
        return row;
    return memcpy(scratch, row, z->row_bytes);
}

/* A strip that reaches beyond the picture repeats the last row, with weights of 0. */
static void make_strip(const resizer *z, size_t s) {
    const uint8_t *rows[VT_TAPS_MAX];
    size_t taps = z->kernels->shape.taps;
    for (size_t r = 0; r < taps; r++) {
        size_t y = s * taps + r;
        uint8_t *scratch = z->scratch + r * (z->row_bytes + VT_ROW_SLACK);
        bool beyond = r > 0 && y >= z->rows->img->height;
        rows[r] = beyond ? rows[r - 1] : fetch_row(z, (uint32_t)y, scratch);
    }
    z->kernels->horizontal(&z->columns, rows, z->ring + s % z->lines.kept * z->strip_words);
}

vt_status vt_resize_bicubic(const vt_rows *rows, const vt_axis *x, const vt_axis *y, uint8_t *out,
                            vt_err *err) {
    resizer z;
    vt_status s = resizer_init(&z, rows, x, y, err);
    if (s != VT_OK)
        goto done;
    const vt_lines *l = &z.lines;
    size_t made = l->first[0];
    for (size_t i = 0; i < l->count; i++) {
        for (; made < l->first[i] + l->n[i]; made++)
            make_strip(&z, made);
        for (size_t k = 0; k < l->n[i]; k++)
            z.strips[k] = z.ring + (l->first[i] + k) % l->kept * z.strip_words;
        z.kernels->vertical(l, i, z.strips, out + i * l->width);
    }
done:
    resizer_release(&z);
    return s;
}

/* ---- bicubic, 16 bits ------------------------------------------------------------------- */

/* Half away from zero, as Pillow rounds its 32-bit pictures. */
static int32_t round_half_away(double v) {
    return (int32_t)(v >= 0.0 ? v + 0.5 : v - 0.5);
}

static uint8_t clip8(int32_t v) {
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

static void horizontal16(const vt_taps *t, const uint16_t *in, int32_t *out) {
    for (size_t i = 0; i < t->count; i++) {
        double sum = 0.0;
        for (size_t k = 0; k < t->n[i]; k++)
            sum += in[t->first[i] + k] * t->weight[i * t->stride + k];
        out[i] = round_half_away(sum);
    }
}

static void vertical16(const vt_taps *t, size_t i, const int32_t *top, size_t width, uint8_t *out) {
    for (size_t x = 0; x < width; x++) {
        double sum = 0.0;
        for (size_t k = 0; k < t->n[i]; k++)
            sum += top[k * width + x] * t->weight[i * t->stride + k];
        out[x] = clip8(round_half_away(sum));
    }
}

vt_status vt_resize_bicubic_gray16(const vt_image *img, const vt_axis *x, const vt_axis *y,
                                   uint8_t *out, vt_err *err) {
    assert(img->format == VT_PIXEL_GRAY16);
    vt_taps tx = {0}, ty = {0};
    int32_t *mid = NULL;
    vt_status s = vt_taps_init(&tx, x, err);
    if (s == VT_OK)
        s = vt_taps_init(&ty, y, err);
    if (s != VT_OK)
        goto done;
    uint32_t base = ty.first[0], end = ty.first[ty.count - 1] + ty.n[ty.count - 1];
    const uint16_t *pixels = (const void *)img->pixels;
    mid = vt_alloc((size_t)(end - base) * x->count, sizeof *mid);
    if (mid == NULL) {
        s = vt_fail_nomem(err, (size_t)(end - base) * x->count * sizeof *mid);
        goto done;
    }
    for (uint32_t r = base; r < end; r++)
        horizontal16(&tx, pixels + (size_t)r * img->width, mid + (size_t)(r - base) * x->count);
    for (size_t i = 0; i < y->count; i++)
        vertical16(&ty, i, mid + (size_t)(ty.first[i] - base) * x->count, x->count,
                   out + i * x->count);
done:
    free(mid);
    vt_taps_release(&tx);
    vt_taps_release(&ty);
    return s;
}

/* ---- nearest neighbour ------------------------------------------------------------------ */

/* Source pixel under the middle of each window pixel. Pillow walks from the picture's edge by
 * adding the scale, and the sum's rounding error decides ties, so we walk as well. */
static uint32_t *nearest_positions(const vt_axis *axis) {
    uint32_t *at = vt_alloc(axis->count, sizeof *at);
    if (at == NULL)
        return NULL;
    double scale = (double)axis->in / axis->out, pos = scale * 0.5;
    for (uint32_t i = 0; i < axis->first + axis->count; i++) {
        if (i >= axis->first)
            at[i - axis->first] = pos < axis->in ? (uint32_t)pos : axis->in - 1;
        pos += scale;
    }
    return at;
}

vt_status vt_resize_nearest(const vt_rows *rows, const vt_axis *x, const vt_axis *y, uint8_t *out,
                            vt_err *err) {
    vt_status s = VT_OK;
    size_t channels = rows->channels;
    uint32_t *xs = nearest_positions(x), *ys = nearest_positions(y);
    uint8_t *scratch = vt_alloc(x->in, channels);
    if (xs == NULL || ys == NULL || scratch == NULL) {
        s = vt_fail_nomem(err, ((size_t)x->count + y->count) * sizeof *xs + x->in * channels);
        goto done;
    }
    for (size_t i = 0; i < y->count; i++) {
        const uint8_t *in = rows->row(rows->img, ys[i], scratch);
        for (size_t j = 0; j < x->count; j++, out += channels)
            memcpy(out, in + xs[j] * channels, channels);
    }
done:
    free(xs);
    free(ys);
    free(scratch);
    return s;
}
