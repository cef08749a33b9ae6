/* Category detection as a request and an answer, and the table that shows how far its confidence
 * can be trusted. */
#include "engine/state.h"

enum { LABELS_MIN = 2, LABELS_MAX = 1000, LABEL_BYTES_MAX = 256 };

/* ---- labels ------------------------------------------------------------------------------- */

static vt_status refuse_label(size_t i, const char *why, vt_err *err) {
    char at[32];
    snprintf(at, sizeof at, "/labels/%zu", i);
    return vt_fail_field(err, VT_E_INVALID, at, "label %zu %s", i + 1, why);
}

/* Two equal labels would share the confidence of one, and neither could be sure. */
static vt_status read_label(const json_t *label, size_t i, const char **labels, vt_err *err) {
    const char *text = json_string_value(label);
    if (!text || text[strspn(text, " \t\r\n")] == 0)
        return refuse_label(i, "must be a string that is not empty", err);
    if (json_string_length(label) > LABEL_BYTES_MAX)
        return refuse_label(i, "is longer than 256 bytes", err);
    for (size_t k = 0; k < i; k++)
        if (strcmp(labels[k], text) == 0)
            return refuse_label(i, "comes twice", err);
    labels[i] = text;
    return VT_OK;
}

/* *labels: [n], pointing into the request; the caller frees the array. */
static vt_status read_labels(const json_t *given, const char ***labels, size_t *n, vt_err *err) {
    vt_status s = VT_OK;
    *n = json_array_size(given);
    if (!json_is_array(given) || *n < LABELS_MIN || *n > LABELS_MAX)
        return vt_fail_field(err, VT_E_INVALID, "/labels",
                             "labels must be an array of %d to %d strings", LABELS_MIN, LABELS_MAX);
    *labels = vt_alloc(*n, sizeof **labels);
    if (!*labels)
        return vt_fail_nomem(err, *n * sizeof **labels);
    for (size_t i = 0; i < *n && s == VT_OK; i++)
        s = read_label(json_array_get(given, i), i, *labels, err);
    return s;
}

/* ---- detection ---------------------------------------------------------------------------- */

static vt_status check_request(vt_engine *e, const json_t *request, const void *image,
                               vt_err *err) {
    int pictures;
    if (!json_is_object(request))
        return vt_fail(err, VT_E_INVALID, "a detection is a JSON object");
    pictures = (image || vt_given(request, "image")) + (vt_given(request, "image_url") != NULL);
    if (pictures != 1)
        return vt_fail(err, VT_E_INVALID, "give exactly one of image and image_url");
    if (!e->catalog && !vt_member(request, "labels"))
        return vt_fail_field(err, VT_E_INVALID, "/labels", "without a catalogue, give labels");
    return VT_OK;
}

static vt_status vector_of(vt_engine *e, const json_t *request, const void *image, size_t len,
                           float *vector, vt_err *err) {
    vt_picture picture;
    vt_status s;
    vt_picture_init(&picture);
    s = vt_picture_take(e, request, image, len, &picture, err);
    if (s == VT_OK) {
        vt_pool_enter(e->pool);
        s = vt_picture_vector(e, &picture, vt_picture_field(request, image), vector, err);
        vt_pool_leave(e->pool);
    }
    vt_picture_release(&picture);
    return s;
}

static vt_status detect(vt_engine *e, const float *vector, const char *const *labels, size_t n,
                        vt_detection *out, vt_err *err) {
    vt_status s;
    if (labels)
        return vt_detect_label(e, vector, labels, n, out, err);
    s = vt_detect_category(e, vector, out, err);
    if (s == VT_OK && out->n == 0)
        s = vt_fail_field(err, VT_E_INVALID, "/labels",
                          "no product of the catalogue has a category to choose: index some, or "
                          "give labels");
    return s;
}

static void write_guess(vt_json *w, const vt_detection *d, size_t i) {
    vt_json_key(w, "category");
    vt_json_str(w, i < d->n ? d->category[i] : NULL);
    vt_json_key(w, "confidence");
    vt_json_num(w, i < d->n ? (double)d->confidence[i] : 0, 4);
}

static vt_status write_detection(const vt_detection *d, uint64_t begun, vt_buf *answer,
                                 vt_err *err) {
    vt_json w;
    vt_json_init(&w, answer);
    vt_json_open(&w, '{');
    write_guess(&w, d, 0);
    vt_json_key(&w, "sure");
    vt_json_bool(&w, d->sure);
    vt_json_key(&w, "categories");
    vt_json_open(&w, '[');
    for (size_t i = 0; i < d->n; i++) {
        vt_json_open(&w, '{');
        write_guess(&w, d, i);
        vt_json_close(&w, '}');
    }
    vt_json_close(&w, ']');
    vt_json_key(&w, "execution_time_ms");
    vt_json_num(&w, vt_seconds_since(begun) * 1e3, 4);
    vt_json_close(&w, '}');
    return vt_buf_status(answer, "the answer", err);
}

void vt_detection_write(const vt_detection *d, vt_json *w) {
    vt_json_open(w, '{');
    write_guess(w, d, 0);
    vt_json_key(w, "applied");
    vt_json_bool(w, d->sure);
    vt_json_close(w, '}');
}

vt_status vt_engine_detect_category(vt_engine *e, const json_t *request, const void *image,
                                    size_t image_len, vt_buf *answer, vt_err *err) {
    uint64_t begun = vt_now_ns();
    size_t dim = vt_clip_describe(e->clip)->dim, n = 0;
    float *vector = vt_alloc(dim, sizeof *vector);
    const char **labels = NULL;
    vt_detection d = {0};
    vt_status s =
        vector ? check_request(e, request, image, err) : vt_fail_nomem(err, dim * sizeof *vector);
    if (s == VT_OK && vt_member(request, "labels"))
        s = read_labels(vt_member(request, "labels"), &labels, &n, err);
    if (s == VT_OK) /* after what costs nothing: it may download */
        s = vector_of(e, request, image, image_len, vector, err);
    if (s == VT_OK)
        s = detect(e, vector, labels, n, &d, err);
    if (s == VT_OK)
        s = write_detection(&d, begun, answer, err);
    vt_detection_release(&d);
    free(labels);
    free(vector);
    return s;
}

/* ---- reliability -------------------------------------------------------------------------- */

static void write_count(vt_json *w, const char *key, size_t n) {
    vt_json_key(w, key);
    vt_json_int(w, (int64_t)n);
}

static void write_number(vt_json *w, const char *key, double v) {
    vt_json_key(w, key);
    vt_json_num(w, v, 4);
}

/* n == 0: there is no mean, and null says so. */
static void write_mean(vt_json *w, const char *key, double sum, size_t n) {
    vt_json_key(w, key);
    if (n > 0)
        vt_json_num(w, sum / (double)n, 4);
    else
        vt_json_null(w);
}

static void write_bins(vt_json *w, const vt_reliability *r) {
    vt_json_key(w, "bins");
    vt_json_open(w, '[');
    for (int i = 0; i < VT_RELIABILITY_BINS; i++) {
        size_t n = r->bins[i].n;
        vt_json_open(w, '{');
        write_number(w, "from", (double)i / VT_RELIABILITY_BINS);
        write_number(w, "to", (double)(i + 1) / VT_RELIABILITY_BINS);
        write_count(w, "products", n);
        write_mean(w, "confidence", r->bins[i].confidence, n);
        write_mean(w, "right", (double)r->bins[i].right, n);
        vt_json_close(w, '}');
    }
    vt_json_close(w, ']');
}

vt_status vt_engine_reliability(vt_engine *e, vt_buf *answer, vt_err *err) {
    vt_reliability r;
    vt_calibration c;
    vt_json w;
    vt_status s = vt_categories_reliability(e, &r, &c, err);
    if (s != VT_OK)
        return s;
    vt_json_init(&w, answer);
    vt_json_open(&w, '{');
    write_count(&w, "products", r.n);
    write_mean(&w, "right", (double)r.right, r.n);
    write_number(&w, "expected_calibration_error", vt_reliability_error(&r));
    vt_json_key(&w, "calibration");
    vt_json_open(&w, '{');
    vt_json_key(&w, "measured");
    vt_json_bool(&w, c.measured);
    write_number(&w, "image_weight", c.weight);
    write_number(&w, "temperature", c.temperature);
    vt_json_close(&w, '}');
    write_bins(&w, &r);
    vt_json_close(&w, '}');
    return vt_buf_status(answer, "the answer", err);
}
