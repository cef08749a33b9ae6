/* body: a request's body, collected within limits until it can be worked on.
 *
 * Two kinds are understood: application/json, whose text is kept and parsed later by the worker (a
 * 20 MB picture in base64 takes 50 ms to parse, too long for a thread that serves other
 * connections), and multipart/form-data, taken apart while it comes in (multipart.c). A body
 * without Content-Type is read as JSON, as the clients of old sent it. Both count against max_body
 * (E_TOO_LARGE) and against one budget for the whole server (E_BUSY).
 *
 * Threading: with the request. The budget is an atomic counter. */
#include "http/server.h"

#define UNDERSTOOD "application/json or multipart/form-data"

static const char *field_of(struct MHD_Connection *c, const char *name) {
    return MHD_lookup_connection_value(c, MHD_HEADER_KIND, name);
}

uint64_t vt_body_declared(struct MHD_Connection *c) {
    const char *text = field_of(c, MHD_HTTP_HEADER_CONTENT_LENGTH);
    uint64_t n = 0;
    /* The daemon has refused what is not a number; what does not fit is as large as can be. */
    if (text != NULL && !vt_parse_u64(text, UINT64_MAX, &n))
        n = UINT64_MAX;
    return n;
}

static vt_status refuse_size(size_t max, vt_err *err) {
    char limit[16];
    return vt_fail(err, VT_E_TOO_LARGE, "the body is larger than %s", vt_human_bytes(max, limit));
}

vt_status vt_body_open(vt_body *b, struct MHD_Connection *c, const vt_part *parts, vt_err *err) {
    const char *type = field_of(c, MHD_HTTP_HEADER_CONTENT_TYPE);
    const char *coding = field_of(c, MHD_HTTP_HEADER_CONTENT_ENCODING);
    if (coding != NULL && strcasecmp(coding, "identity") != 0)
        return vt_fail(err, VT_E_UNSUPPORTED,
                       "Content-Encoding is not understood here: send the body as it is");
    if (vt_body_declared(c) > b->max)
        return refuse_size(b->max, err);
    vt_buf_init(&b->json, b->max);
    if (type == NULL || vt_media_is(type, "application/json"))
        return VT_OK;
    if (vt_media_is(type, "multipart/form-data"))
        return vt_form_open(c, parts, b->max, &b->form, err);
    return vt_fail(err, VT_E_UNSUPPORTED, "Content-Type must be " UNDERSTOOD);
}

vt_status vt_body_take(vt_body *b, const char *bytes, size_t n, vt_err *err) {
    if (n > b->max - b->charged)
        return refuse_size(b->max, err);
    size_t before = atomic_fetch_add(&b->budget->used, n);
    b->charged += n;
    if (before > b->budget->max - n)
        return vt_fail(err, VT_E_BUSY, "too many large requests at the same time");
    if (b->form != NULL)
        return vt_form_take(b->form, bytes, n, err);
    vt_buf_append(&b->json, bytes, n);
    return vt_buf_status(&b->json, "the body", err);
}

static vt_status parse_object(const vt_body *b, json_t **object, vt_err *err) {
    if (b->json.len == 0)
        return vt_fail(err, VT_E_PARSE, "the body is empty; send " UNDERSTOOD);
    vt_status status = vt_json_parse(b->json.data, b->json.len, object, err);
    if (status != VT_OK)
        return status;
    if (json_is_object(*object))
        return VT_OK;
    json_decref(*object);
    *object = NULL;
    return vt_fail(err, VT_E_INVALID, "the body must be a JSON object");
}

vt_status vt_body_finish(vt_body *b, json_t **object, vt_buf *image, bool *given, vt_err *err) {
    *object = NULL;
    *given = false;
    if (b->form != NULL)
        return vt_form_finish(b->form, object, image, given, err);
    vt_status status = parse_object(b, object, err);
    vt_buf_release(&b->json); /* the tree has its own copy: a picture need not be there twice */
    return status;
}

void vt_body_release(vt_body *b) {
    if (b->charged > 0)
        atomic_fetch_sub(&b->budget->used, b->charged);
    b->charged = 0;
    vt_form_close(b->form);
    b->form = NULL;
    vt_buf_release(&b->json);
}
