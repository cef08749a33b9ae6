/* The model as a whole: opens a folder, checks it, packs it, tells what it is, and hands texts and
 * images to their encoders.
 *
 * Opening is bound by memory. Where an earlier start has kept the packed form, it is mapped, and
 * model.safetensors is not read but for its vectors. Else the file is read once by SHA-256 for the
 * model's identity, on a thread of its own, while the others pack. It stays mapped, because the
 * token table (a sixth of the model) is read from there row by row; the packed matrices are copies.
 *
 * The identity covers what changes vectors and nothing else: the weights' bytes, the configuration
 * in canonical form, the digest of vocabulary and merges, and int8. Reformatting a JSON file or
 * editing its training keys keeps it. */
#include "clip/clip.h"

#include "clip/encoders.h"
#include "clip/panels.h"
#include "clip/tokenizer.h"

#include <math.h>
#include <pthread.h>

#define LOGIT_SCALE_MAX 100

/* ---- identity --------------------------------------------------------------------------- */

typedef struct digest_job {
    const vt_safetensors *file;
    vt_hash digest;
    pthread_t thread;
    bool started;
} digest_job;

static void *digest_file(void *arg) {
    digest_job *job = arg;
    size_t n;
    const uint8_t *bytes = vt_safetensors_bytes(job->file, &n);
    job->digest = vt_hash_bytes(bytes, n);
    return NULL;
}

static void digest_start(digest_job *job, const vt_safetensors *file) {
    job->file = file;
    job->started = pthread_create(&job->thread, NULL, digest_file, job) == 0;
}

/* Without a thread of its own, the digest is made here. */
static void digest_finish(digest_job *job) {
    if (job->started)
        pthread_join(job->thread, NULL);
    else
        digest_file(job);
}

static vt_status identify(vt_clip *m, const vt_hash *file, vt_err *err) {
    char hex[65];
    vt_buf text;
    vt_status s;
    vt_buf_init(&text, 4096);
    vt_clip_config_canonical(&m->config, &text);
    vt_hash_hex(&m->text.vocab.digest, hex);
    vt_buf_printf(&text, "tokenizer %s\n", hex);
    vt_hash_hex(file, hex);
    vt_buf_printf(&text, "weights %s\n", hex);
    if (m->info.precision ==
        VT_PRECISION_INT8) /* bf16 stays within what equal pictures may differ */
        vt_buf_puts(&text, "precision int8\n");
    s = vt_buf_status(&text, "the model's identity", err);
    if (s == VT_OK)
        m->info.identity = vt_hash_bytes(text.data, text.len);
    vt_buf_release(&text);
    return s;
}

/* ---- opening ---------------------------------------------------------------------------- */

/* The scale is kept as its logarithm and clipped at 100, as in training (Radford et al. 2021,
 * 2.5). It changes no vector, so a model that lacks it, or holds nonsense, is taken at the value
 * at which the published ones ended. */
static double logit_scale(const vt_safetensors *file) {
    const vt_tensor *t = vt_safetensors_find(file, "logit_scale");
    float logarithm;
    if (!t || !t->readable || t->count != 1)
        return LOGIT_SCALE_MAX;
    vt_tensor_to_f32(t, &logarithm);
    if (!(logarithm < log(LOGIT_SCALE_MAX))) /* true for NaN */
        return LOGIT_SCALE_MAX;
    return logarithm > 0 ? exp((double)logarithm) : 1;
}

static void describe(vt_clip *m) {
    const vt_clip_config *c = &m->config;
    size_t file_bytes;
    (void)vt_safetensors_bytes(m->file, &file_bytes);
    m->info.dim = c->dim;
    m->info.context = c->context;
    m->info.vocab = c->vocab;
    m->info.text_width = c->text.width;
    m->info.text_layers = c->text.layers;
    m->info.text_heads = c->text.heads;
    m->info.vision_width = c->vision.width;
    m->info.vision_layers = c->vision.layers;
    m->info.vision_heads = c->vision.heads;
    m->info.patch = c->patch;
    m->info.pixels = c->pixels;
    m->info.logit_scale = logit_scale(m->file);
    m->info.file_bytes = file_bytes;
}

/* Names and checks every tensor, before the first one is packed. */
static vt_status name_tensors(vt_clip *m, const char *dir, vt_weights *w) {
    vt_status s = vt_text_init(&m->text, &m->config, dir, w);
    if (s == VT_OK)
        s = vt_vision_init(&m->vision, &m->config, w);
    m->info.parameters = w->parameters;
    return s;
}

/* Panels from an earlier start, whose digest of the weights then holds, or packed now. */
static vt_status take_panels(vt_clip *m, vt_weights *w, vt_panels_place *place, vt_err *err) {
    digest_job digest = {0};
    vt_status s;
    if (vt_panels_load(m, w, place))
        return VT_OK;
    digest_start(&digest, m->file);
    s = vt_panels_make(m, w, place, err);
    digest_finish(&digest);
    m->packed.weights = digest.digest;
    if (s == VT_OK)
        vt_panels_keep(m, place);
    return s;
}

/* What identifies the file is read before and after it is mapped: panels of a file that took its
 * place in between would be another model's. */
static vt_status open_weights(vt_clip *m, const char *path, vt_packed_source *source, vt_err *err) {
    vt_packed_source after;
    vt_status s = vt_packed_source_read(path, source, err);
    if (s == VT_OK)
        s = vt_safetensors_open(path, &m->file, err);
    if (s == VT_OK)
        s = vt_packed_source_read(path, &after, err);
    if (s == VT_OK && memcmp(source, &after, sizeof after) != 0)
        s = vt_fail(err, VT_E_MODEL, "%s was changed while it was opened", path);
    return s;
}

static vt_status open_file(vt_clip *m, const char *dir, const char *path, const vt_clip_options *o,
                           vt_err *err) {
    vt_panels_place place = {.dir = dir, .options = o, .precision = o->precision};
    vt_weights w;
    vt_status s = vt_clip_config_read(dir, &m->config, err);
    if (s == VT_OK)
        s = open_weights(m, path, &place.key.weights, err);
    if (s != VT_OK)
        return s;
    if (place.precision == VT_PRECISION_AUTO)
        place.precision = vt_vec_best_precision();
    describe(m);
    vt_weights_init(&w, path, m->file, err);
    s = name_tensors(m, dir, &w);
    if (s == VT_OK)
        s = take_panels(m, &w, &place, err);
    vt_weights_release(&w);
    return s == VT_OK ? identify(m, &m->packed.weights, err) : s;
}

vt_status vt_clip_open(const char *dir, const vt_clip_options *o, vt_clip **out, vt_err *err) {
    char *path = vt_path_join(dir, "model.safetensors");
    vt_clip *m = vt_alloc(1, sizeof *m);
    vt_status s;
    *out = NULL;
    if (!path || !m) {
        s = vt_fail_nomem(err, sizeof *m);
        goto done;
    }
    m->pool = o->pool;
    s = open_file(m, dir, path, o, err);
    if (s == VT_OK) {
        *out = m;
        m = NULL;
    }
done:
    vt_clip_close(m);
    free(path);
    return s;
}

void vt_clip_close(vt_clip *m) {
    if (!m)
        return;
    vt_text_release(&m->text);
    vt_vision_release(&m->vision);
    vt_packed_release(&m->packed);
    vt_safetensors_close(m->file);
    free(m);
}

const vt_clip_info *vt_clip_describe(const vt_clip *m) {
    return &m->info;
}

/* ---- encoding --------------------------------------------------------------------------- */

static vt_status normalize(const vt_clip *m, float *out, size_t count, const char *what,
                           vt_err *err) {
    for (size_t i = 0; i < count; i++)
        if (!(vt_vec_normalize(out + i * m->info.dim, m->info.dim) > 0))
            return vt_fail(err, VT_E_INTERNAL, "the vector of this %s has no finite length", what);
    return VT_OK;
}

vt_status vt_clip_encode_texts(vt_clip *m, const vt_clip_text *texts, size_t count, float *out,
                               vt_err *err) {
    const vt_status s = vt_text_encode(&m->text, texts, count, m->pool, out, err);
    return s == VT_OK ? normalize(m, out, count, "text", err) : s;
}

vt_status vt_clip_encode_images(vt_clip *m, const float *const *pixels, size_t count, vt_lane lane,
                                float *out, vt_err *err) {
    vt_status s = VT_OK;
    for (size_t i = 0; s == VT_OK && i < count; i += VT_IMAGES_AT_ONCE) {
        const size_t n = count - i < VT_IMAGES_AT_ONCE ? count - i : VT_IMAGES_AT_ONCE;
        s = vt_vision_encode(&m->vision, pixels + i, n, lane, m->pool, out + i * m->info.dim, err);
    }
    return s == VT_OK ? normalize(m, out, count, "image", err) : s;
}

vt_status vt_clip_encode_text(vt_clip *m, const char *text, size_t n, float *out, vt_err *err) {
    return vt_clip_encode_texts(m, &(vt_clip_text){text, n}, 1, out, err);
}

vt_status vt_clip_encode_image(vt_clip *m, const float *pixels, float *out, vt_err *err) {
    return vt_clip_encode_images(m, &pixels, 1, VT_LANE_QUERY, out, err);
}

vt_status vt_clip_tokenize(const vt_clip *m, const char *text, size_t n, uint32_t *ids, size_t max,
                           size_t *n_ids, vt_err *err) {
    return vt_tokenizer_encode(&m->text.vocab, text, n, ids, max, n_ids, err);
}
