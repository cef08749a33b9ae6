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

/* What compact panels may take from small weights: the square of it is felt in a cosine, so f32
 * keeps to a hundredth of what it promises; bf16 rounds off as much anyway. */
static const float lost_most[VT_PRECISIONS] = {
    [VT_PRECISION_F32] = 1e-4f,
    [VT_PRECISION_BF16] = 1e-3f,
};

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

/* What has no finite length resembles nothing: a vector of zeros. */
static vt_status or_zeros(vt_status s, float *vector, size_t dim) {
    if (s != VT_E_INTERNAL)
        return s;
    memset(vector, 0, dim * sizeof *vector);
    return VT_OK;
}

/* out: [PROBES][dim]. */
static vt_status encode_probes(vt_clip *m, float *out, vt_err *err) {
    const vt_clip_pixels *spec = &m->info.pixels;
    const size_t dim = m->info.dim;
    float *pixels = vt_alloc((size_t)3 * spec->crop * spec->crop, sizeof *pixels);
    vt_status s = VT_OK;
    if (!pixels)
        return vt_fail_nomem(err, (size_t)3 * spec->crop * spec->crop * sizeof *pixels);
    for (size_t i = 0; s == VT_OK && i < PROBE_TEXTS; i++, out += dim) {
        s = vt_clip_encode_text(m, probe_texts[i], strlen(probe_texts[i]), out, err);
        s = or_zeros(s, out, dim);
    }
    for (size_t i = 0; s == VT_OK && i < PROBE_IMAGES; i++, out += dim) {
        draw_probe(spec, i, pixels);
        s = or_zeros(vt_clip_encode_image(m, pixels, out, err), out, dim);
    }
    free(pixels);
    return s;
}

/* ---- packing ------------------------------------------------------------------------------ */

static vt_status pack_once(vt_clip *m, vt_weights *w, vt_precision precision, float *lost,
                           vt_err *err) {
    size_t bytes;
    vt_status s = vt_weights_plan(w, precision, &bytes);
    vt_packed_release(&m->packed);
    if (s == VT_OK)
        s = vt_packed_allocate(&m->packed, bytes, err);
    if (s != VT_OK)
        return s;
    *lost = vt_weights_pack(w, m->packed.memory, m->pool);
    m->info.precision = precision;
    m->info.packed_bytes = bytes;
    return VT_OK;
}

/* Wide where compact panels would lose too much. */
static vt_status pack_as(vt_clip *m, vt_weights *w, vt_precision precision, vt_err *err) {
    float lost = 0;
    w->wide = false;
    vt_status s = pack_once(m, w, precision, &lost, err);
    if (s == VT_OK && lost > lost_most[precision]) {
        w->wide = true;
        s = pack_once(m, w, precision, &lost, err);
        m->packed.spread = true;
    }
    return s;
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

/* The file's path in the model's folder (0) or in cache_dir (1), malloc'ed; NULL where there is no
 * such folder, or no memory. */
enum { FOLDERS = 2 };

static char *path_in(const vt_panels_place *place, size_t folder, vt_precision precision) {
    const char *const dirs[FOLDERS] = {place->dir, place->options->cache_dir};
    return dirs[folder] ? vt_packed_path(dirs[folder], precision) : NULL;
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

/* A form with panels was good enough, one without was not. Whoever kept it may have drawn the line
 * elsewhere. */
static bool verdict_holds(const vt_packed *p) {
    return (p->panels != NULL) == (p->cosine >= COSINE_LEAST);
}

static bool load(vt_clip *m, vt_weights *w, vt_panels_place *place) {
    bool found = false;
    if (!plan(m, w, place))
        return false;
    for (size_t i = 0; i < FOLDERS && !found; i++) {
        char *path = path_in(place, i, place->precision);
        found =
            path && vt_packed_load(path, &place->key, m->info.packed_bytes, m->pool, &m->packed);
        free(path);
        if (found && !verdict_holds(&m->packed)) {
            vt_packed_release(&m->packed);
            found = false;
        }
    }
    return found;
}

/* Where both folders fail, *err is the second's. */
static vt_status save(const vt_clip *m, const vt_panels_place *place, vt_precision precision,
                      const vt_packed *form, vt_err *err) {
    vt_status s = vt_fail_nomem(err, strlen(place->dir));
    vt_packed_key key = place->key;
    key.precision = precision;
    for (size_t i = 0; i < FOLDERS && s != VT_OK; i++) {
        char *path = path_in(place, i, precision);
        if (path)
            s = vt_packed_save(path, &key, form, m->pool, err);
        free(path);
    }
    return s;
}

/* ---- from one to the other ---------------------------------------------------------------- */

/* bf16 takes the place of int8. */
static void give_way_to_bf16(vt_clip *m, vt_panels_place *place) {
    snprintf(m->info.note, sizeof m->info.note,
             "int8 reaches cosine %.4f of f32 only, below %.3f: bf16 is used", m->packed.cosine,
             COSINE_LEAST);
    place->precision = VT_PRECISION_BF16;
    vt_packed_release(&m->packed);
}

bool vt_panels_load(vt_clip *m, vt_weights *w, vt_panels_place *place) {
    bool found = load(m, w, place);
    if (found && !m->packed.panels) {
        give_way_to_bf16(m, place);
        found = load(m, w, place);
    }
    if (!found)
        return false;
    vt_weights_place(w, m->packed.panels);
    m->info.precision = place->precision;
    m->info.from_file = true;
    return true;
}

/* int8, or bf16 in its place. */
static vt_status make_int8(vt_clip *m, vt_weights *w, vt_panels_place *place, vt_err *err) {
    const bool kept = is_kept(place, m->info.packed_bytes);
    vt_status s = pack_measured(m, w, err);
    if (s != VT_OK || m->packed.cosine >= COSINE_LEAST)
        return s;
    place->refused = kept;
    place->cosine = m->packed.cosine;
    give_way_to_bf16(m, place);
    (void)plan(m, w, place);
    return pack_as(m, w, place->precision, err);
}

vt_status vt_panels_make(vt_clip *m, vt_weights *w, vt_panels_place *place, vt_err *err) {
    if (plan(m, w, place))
        vt_log_say(place->options->log, VT_LOG_INFO, "model",
                   "%s: packing %.0f M weights as %s, for this start and the next ones", place->dir,
                   (double)m->info.parameters / 1e6, vt_precision_name(place->precision));
    return place->precision == VT_PRECISION_INT8 ? make_int8(m, w, place, err)
                                                 : pack_as(m, w, place->precision, err);
}

/* Behind what the note says already. */
static void note_not_kept(vt_clip *m, const vt_err *why) {
    const size_t n = strlen(m->info.note);
    snprintf(m->info.note + n, sizeof m->info.note - n, "%spacked form not kept: %s",
             n > 0 ? "; " : "", why->text);
}

void vt_panels_keep(vt_clip *m, const vt_panels_place *place) {
    const vt_packed verdict = {.weights = m->packed.weights, .cosine = place->cosine};
    vt_status s = VT_OK;
    vt_err why;
    if (place->refused)
        s = save(m, place, VT_PRECISION_INT8, &verdict, &why);
    if (s == VT_OK && is_kept(place, m->packed.bytes) && m->packed.spread)
        s = vt_fail(&why, VT_E_MODEL,
                    "an output's weights differ too much in size for compact panels");
    else if (s == VT_OK && is_kept(place, m->packed.bytes))
        s = save(m, place, place->precision, &m->packed, &why);
    if (s != VT_OK)
        note_not_kept(m, &why);
}
