/* A picture on its way in: bytes given, base64 or a URL, then pixels, then a vector. Of queries,
 * the number of pictures in pixels at once is bounded by a semaphore, because each may take 50
 * megapixels (of imports, by the threads of the bulk lane); bytes on the network are bounded by the
 * number of callers. */
#include "engine/state.h"

#include <errno.h>

void vt_picture_init(vt_picture *p) {
    *p = (vt_picture){0};
    vt_buf_init(&p->own, VT_IMAGE_MAX_BYTES);
}

void vt_picture_release(vt_picture *p) {
    vt_buf_release(&p->own);
    vt_picture_init(p);
}

const char *vt_picture_field(const json_t *request, const void *bytes) {
    return bytes || vt_given(request, "image") ? "/image" : "/image_url";
}

/* Past "data:image/png;base64," where there is one. */
static const char *skip_data_url(const char *s, size_t *n) {
    const char *comma;
    if (*n < 5 || strncasecmp(s, "data:", 5) != 0)
        return s;
    comma = memchr(s, ',', *n < 256 ? *n : 256);
    if (!comma)
        return s;
    *n -= (size_t)(comma + 1 - s);
    return comma + 1;
}

static vt_status decode_base64(const json_t *image, vt_picture *p, vt_err *err) {
    const char *text;
    size_t n;
    vt_err why;
    vt_status s;
    if (!json_is_string(image))
        return vt_fail_field(err, VT_E_INVALID, "/image", "image must be a base64 string");
    n = json_string_length(image);
    text = skip_data_url(json_string_value(image), &n);
    s = vt_base64_decode(text, n, &p->own, &why);
    if (s == VT_E_TOO_LARGE)
        return vt_fail_field(err, s, "/image", "image is larger than %u bytes", VT_IMAGE_MAX_BYTES);
    if (s != VT_OK)
        return vt_fail_field(err, s, "/image",
                             "image is %s (a picture elsewhere goes in image_url)", why.text);
    if (p->own.len == 0)
        return vt_fail_field(err, VT_E_INVALID, "/image", "image is empty");
    return VT_OK;
}

static vt_status fetch(vt_engine *e, const json_t *url, vt_picture *p, vt_err *err) {
    vt_err why;
    if (!url)
        return vt_fail_field(err, VT_E_INVALID, "/image_url",
                             "image_url is missing: a picture is needed (image_url or image)");
    if (!json_is_string(url))
        return vt_fail_field(err, VT_E_INVALID, "/image_url", "image_url must be a string");
    if (vt_net_fetch(e->net, json_string_value(url), &p->own, &why) != VT_OK)
        return vt_fail_field(err, why.status, "/image_url", "%s", why.text);
    return VT_OK;
}

vt_status vt_picture_take(vt_engine *e, const json_t *request, const void *bytes, size_t len,
                          vt_picture *p, vt_err *err) {
    const json_t *image = vt_given(request, "image");
    vt_status s = VT_OK;
    if (bytes) {
        p->bytes = bytes;
        p->len = len;
        if (len == 0)
            s = vt_fail_field(err, VT_E_IMAGE, "/image", "image is empty");
    } else {
        s = image ? decode_base64(image, p, err) : fetch(e, vt_given(request, "image_url"), p, err);
        p->bytes = (const uint8_t *)p->own.data;
        p->len = p->own.len;
    }
    if (s == VT_OK)
        p->hash = vt_hash_bytes(p->bytes, p->len);
    return s;
}

static bool is_url(const char *s) {
    return strncasecmp(s, "http://", 7) == 0 || strncasecmp(s, "https://", 8) == 0;
}

vt_status vt_picture_read_local(vt_engine *e, const char *dir, json_t *line, vt_buf *bytes,
                                vt_err *err) {
    const char *image = json_string_value(vt_given(line, "image"));
    char *path;
    vt_err why;
    vt_status s;
    if (!image)
        return VT_OK;
    if (is_url(image) && vt_given(line, "image_url")) { /* which is kept as the product's own */
        s = vt_net_fetch(e->net, image, bytes, &why);
        return s == VT_OK ? s : vt_fail_field(err, s, "/image", "%s", why.text);
    }
    if (is_url(image)) {
        int failed = json_object_set_new(line, "image_url", json_string(image));
        return failed || json_object_del(line, "image") ? vt_fail_nomem(err, 64) : VT_OK;
    }
    path = vt_path_join(dir, image);
    if (!path)
        return vt_fail_nomem(err, strlen(image));
    s = vt_file_read(path, bytes, &why);
    if (s == VT_OK && bytes->len == 0) /* no bytes would make the path itself the base64 picture */
        s = vt_fail(&why, VT_E_IMAGE, "%s is empty", path);
    free(path);
    return s == VT_OK ? s : vt_fail_field(err, s, "/image", "%s", why.text);
}

vt_status vt_picture_pixels(vt_engine *e, const uint8_t *bytes, size_t len, float *pixels,
                            vt_err *err) {
    vt_image image = {0};
    vt_status s = vt_image_decode(bytes, len, &image, err);
    if (s == VT_OK)
        s = vt_image_preprocess(&image, &e->spec, pixels, err);
    vt_image_release(&image);
    return s;
}

vt_status vt_picture_encode(vt_engine *e, const vt_picture *p, float *out, vt_err *err) {
    size_t side = e->spec.crop;
    uint64_t begun = vt_now_ns();
    float *pixels = vt_alloc_aligned(3 * side * side, sizeof *pixels);
    vt_status s;
    if (!pixels)
        return vt_fail_nomem(err, 3 * side * side * sizeof *pixels);
    while (sem_wait(&e->decoders) != 0 && errno == EINTR)
        ;
    s = vt_picture_pixels(e, p->bytes, p->len, pixels, err);
    sem_post(&e->decoders);
    if (s == VT_OK)
        s = vt_clip_encode_images(e->clip, (const float *const[]){pixels}, 1, VT_LANE_QUERY, out,
                                  err);
    free(pixels);
    if (s == VT_OK) {
        atomic_fetch_add(&e->counters.images_encoded, 1);
        atomic_fetch_add(&e->counters.image_ns, vt_now_ns() - begun);
    }
    return s;
}
