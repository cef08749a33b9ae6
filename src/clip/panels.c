/* Which precision a model really gets, and where its panels come from.
 *
 * int8 rounds each input row with one scale. Models whose activations have outliers, as the larger
 * published ones do (Dettmers et al. 2022, LLM.int8()), lose too much by that; whether this model
 * does is measured, on texts and pictures that are built in, against its own vectors in f32. The
 * verdict is kept like the panels are: a refusal is a file without any, so the next start goes to
 * bf16 at once.
 *
 * Whether a packed form is worth a file is for the caller to say: a small model is packed sooner
 * than a file is looked after. */
#include "clip/panels.h"

#include <math.h>

#define COSINE_LEAST 0.999

/* ---- what int8 is measured on ------------------------------------------------------------- */

static const char *const probe_texts[] = {
    "red shirt",
    "t-shirt rouge",
    "a photo of a pair of black leather shoes",
    "lampe de bureau en laiton, abat-jour vert",
    "striped cotton dress, size 38, 49.90",
    "x",
};
enum { PROBE_TEXTS = sizeof probe_texts / sizeof *probe_texts, PROBE_IMAGES = 4 };
enum { PROBES = PROBE_TEXTS + PROBE_IMAGES };

/* A picture of stripes, a ramp, and noise, in proportions that differ from picture to picture. */
static float probe_pixel(size_t image, size_t channel, size_t y, size_t x, uint32_t *noise) {
    size_t period = 8 << image;
    double stripe = (x + (channel + 1) * y) / period % 2 ? 0.8 : 0.1;
    double ramp = (double)(y % 256) / 255;
    *noise = *noise * 1664525u + 1013904223u; /* Knuth's quick generator: any noise will do */
    double grain = (double)(*noise >> 8) / (1 << 24);
    return (float)(0.5 * stripe + 0.1 * (double)image * ramp + 0.15 * grain);
}

static void draw_probe(const vt_clip_pixels *spec, size_t image, float *pixels) {
    uint32_t noise = (uint32_t)image + 1;
    for (size_t c = 0; c < 3; c++)
        for (size_t y = 0; y < spec->crop; y++)
            for (size_t x = 0; x < spec->crop; x++)
                *pixels++ = (probe_pixel(image, c, y, x, &noise) - spec->mean[c]) / spec->std[c];
}

/* out: [PROBES][dim]. */
static vt_status encode_probes(vt_clip *m, float *out, vt_err *err) {
    const vt_clip_pixels *spec = &m->info.pixels;
    float *pixels = vt_alloc((size_t)3 * spec->crop * spec->crop, sizeof *pixels);
    vt_status s = VT_OK;
    if (!pixels)
        return vt_fail_nomem(err, (size_t)3 * spec->crop * spec->crop * sizeof *pixels);
    for (size_t i = 0; s == VT_OK && i < PROBE_TEXTS; i++, out += m->info.dim)
        s = vt_clip_encode_text(m, probe_texts[i], strlen(probe_texts[i]), out, err);
    for (size_t i = 0; s == VT_OK && i < PROBE_IMAGES; i++, out += m->info.dim) {
        draw_probe(spec, i, pixels);
        s = vt_clip_encode_image(m, pixels, out, err);
    }
    free(pixels);
    return s;
}

/* ---- packing ------------------------------------------------------------------------------ */

static vt_status pack_as(vt_clip *m, vt_weights *w, vt_precision precision, vt_err *err) {
    size_t bytes;
    vt_status s = vt_weights_plan(w, precision, &bytes);
    vt_packed_release(&m->packed);
    if (s == VT_OK)
        s = vt_packed_allocate(&m->packed, bytes, err);
    if (s != VT_OK)
        return s;
    vt_weights_pack(w, m->packed.memory, m->pool);
    m->info.precision = precision;
    m->info.packed_bytes = bytes;
    return VT_OK;
}

/* Packs twice, f32 first, and leaves int8. */
static vt_status pack_measured(vt_clip *m, vt_weights *w, vt_err *err) {
    const size_t dim = m->info.dim;
    float *plain = vt_alloc(2 * PROBES * dim, sizeof *plain), *rounded;
    double worst = 1;
    vt_status s;
    if (!plain)
        return vt_fail_nomem(err, 2 * PROBES * dim * sizeof *plain);
    rounded = plain + PROBES * dim;
    s = pack_as(m, w, VT_PRECISION_F32, err);
    if (s == VT_OK)
        s = encode_probes(m, plain, err);
    if (s == VT_OK)
        s = pack_as(m, w, VT_PRECISION_INT8, err);
    if (s == VT_OK)
        s = encode_probes(m, rounded, err);
    for (size_t i = 0; s == VT_OK && i < PROBES; i++)
        worst = fmin(worst, (double)vt_vec_dot(plain + i * dim, rounded + i * dim, dim));
    m->packed.cosine = worst;
    free(plain);
    return s;
}

/* ---- the file ----------------------------------------------------------------------------- */

/* Calls `use` with the file in the model's folder, then, unless it has succeeded, in cache_dir. */
typedef bool (*use_file)(vt_clip *m, vt_panels_place *place, const char *path);

static bool in_either_place(vt_clip *m, vt_panels_place *place, use_file use) {
    const char *const dirs[] = {place->dir, place->options->cache_dir};
    bool done = false;
    for (size_t i = 0; i < 2 && !done && dirs[i]; i++) {
        char *path = vt_packed_path(dirs[i], place->precision);
        done = path && use(m, place, path);
        free(path);
    }
    return done;
}

static bool load_file(vt_clip *m, vt_panels_place *place, const char *path) {
    return vt_packed_load(path, &place->key, m->info.packed_bytes, m->pool, &m->packed);
}

static bool save_file(vt_clip *m, vt_panels_place *place, const char *path) {
    vt_err why;
    if (vt_packed_save(path, &place->key, &m->packed, m->pool, &why) == VT_OK)
        return true;
    snprintf(m->info.note, sizeof m->info.note, "packed form not kept: %.120s", why.text);
    return false;
}

/* Saving in the second place makes up for the first. */
static void save(vt_clip *m, vt_panels_place *place) {
    char note[sizeof m->info.note];
    memcpy(note, m->info.note, sizeof note);
    if (in_either_place(m, place, save_file))
        memcpy(m->info.note, note, sizeof note);
}

static bool is_kept(const vt_panels_place *place, size_t bytes) {
    return place->options->keep_from > 0 && bytes >= place->options->keep_from;
}

/* Is there, or should there be, a file? */
static bool plan(vt_clip *m, vt_weights *w, vt_panels_place *place) {
    size_t bytes;
    if (vt_weights_plan(w, place->precision, &bytes) != VT_OK)
        return false;
    m->info.packed_bytes = bytes;
    place->key.precision = place->precision;
    return is_kept(place, bytes) && vt_weights_plan_digest(w, &place->key.plan);
}

/* Plans bf16 in place of int8; true as plan() is. */
static bool give_way_to_bf16(vt_clip *m, vt_weights *w, vt_panels_place *place) {
    snprintf(m->info.note, sizeof m->info.note,
             "int8 reaches cosine %.4f of f32 only, below %.3f: bf16 is used", m->packed.cosine,
             COSINE_LEAST);
    place->precision = VT_PRECISION_BF16;
    return plan(m, w, place);
}

bool vt_panels_load(vt_clip *m, vt_weights *w, vt_panels_place *place) {
    bool found = plan(m, w, place) && in_either_place(m, place, load_file);
    if (found && !m->packed.panels) {
        found = give_way_to_bf16(m, w, place) && in_either_place(m, place, load_file);
    }
    if (!found)
        return false;
    vt_weights_place(w, m->packed.panels);
    m->info.precision = place->precision;
    m->info.from_file = true;
    return true;
}

/* Keeps the verdict, as panels that are not there. */
static void refuse_int8(vt_clip *m, vt_weights *w, vt_panels_place *place) {
    const double cosine = m->packed.cosine;
    const bool kept = plan(m, w, place);
    vt_packed_release(&m->packed);
    m->packed.cosine = cosine;
    if (kept)
        save(m, place);
    (void)give_way_to_bf16(m, w, place);
}

vt_status vt_panels_make(vt_clip *m, vt_weights *w, vt_panels_place *place, vt_err *err) {
    vt_status s = w->status;
    if (plan(m, w, place))
        vt_log_say(place->options->log, VT_LOG_INFO, "model",
                   "%s: packing %.0f M weights as %s, for this start and the next ones", place->dir,
                   (double)m->info.parameters / 1e6, vt_precision_name(place->precision));
    if (place->precision == VT_PRECISION_INT8) {
        s = pack_measured(m, w, err);
        if (s != VT_OK || m->packed.cosine >= COSINE_LEAST)
            return s;
        refuse_int8(m, w, place);
    }
    return s == VT_OK ? pack_as(m, w, place->precision, err) : s;
}

void vt_panels_keep(vt_clip *m, vt_panels_place *place) {
    if (is_kept(place, m->packed.bytes))
        save(m, place);
}
