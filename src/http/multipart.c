/* multipart: a form (RFC 7578) turned into the JSON object that the engine understands, beside the
 * bytes of its file.
 *
 * libmicrohttpd's MHD_PostProcessor finds the parts; this file decides what each may be. A route
 * names its parts with a kind, so "top_k=10" becomes the number 10 and `filter` the object it
 * spells. A number that is none stays text: the engine then refuses it in the same words as in a
 * JSON body. Strict where it helps people find their mistake: an unknown part, a part given twice
 * and a form cut short are refused by name. Lenient where browsers are: a part without content is
 * a field left empty, so it counts as not given.
 *
 * Threading: with the request. */
#include "http/server.h"

#define SCAN_BYTES 16384 /* what the processor looks at in one go: content without a line end */
#define TEXT_MAX   ((size_t)256 << 10)

struct vt_form {
    struct MHD_PostProcessor *processor;
    const vt_part *parts;
    const vt_part *part; /* the one coming in; NULL: none */
    uint32_t seen;       /* bit i: parts[i] has come */
    json_t *fields;
    json_t *whole; /* the part of kind WHOLE */
    vt_buf text;   /* of the part coming in */
    vt_buf image;
    const vt_part *picture; /* the part that brought the image; NULL: none yet */
    uint64_t part_bytes;    /* of the part coming in, so far */
    vt_err err;             /* the first failure; its status is OK until then */
};

static json_t *number_or_text(const char *s, size_t n) {
    uint64_t whole;
    double value;
    if (vt_parse_u64(s, INT64_MAX, &whole))
        return json_integer((json_int_t)whole);
    if (vt_parse_f64(s, &value))
        return json_real(value);
    return json_stringn(s, n);
}

static vt_status parse_part(const vt_form *f, json_t **value, vt_err *err) {
    const char *name = f->part->name;
    vt_status status = VT_OK;
    *value = NULL;
    if (f->part->kind == VT_PART_TEXT || f->part->kind == VT_PART_NUMBER) {
        *value = f->part->kind == VT_PART_TEXT ? json_stringn(f->text.data, f->text.len)
                                               : number_or_text(f->text.data, f->text.len);
        if (*value == NULL)
            status = vt_fail(err, VT_E_INVALID, "part '%s' is not valid UTF-8", name);
        return status;
    }
    status = vt_json_parse(f->text.data, f->text.len, value, err);
    if (status != VT_OK)
        return vt_fail_prefix(err, "part '%s'", name);
    if (f->part->kind == VT_PART_WHOLE && !json_is_object(*value)) {
        json_decref(*value);
        status = vt_fail(err, VT_E_INVALID, "part '%s' must be a JSON object", name);
    }
    return status;
}

/* The part that was coming in is complete. */
static vt_status finish_part(vt_form *f, vt_err *err) {
    const vt_part *part = f->part;
    if (part == NULL || part->kind == VT_PART_FILE || f->text.len == 0)
        return VT_OK;
    json_t *value = NULL;
    vt_status status = parse_part(f, &value, err);
    if (status != VT_OK)
        return status;
    if (part->kind == VT_PART_WHOLE)
        f->whole = value;
    else if (json_object_set_new(f->fields, part->name, value) != 0)
        status = vt_fail_nomem(err, f->text.len);
    return status;
}

static vt_status begin_part(vt_form *f, const char *key, const char *coding, vt_err *err) {
    size_t i = 0;
    if (key == NULL || !vt_utf8_valid(key, strlen(key)))
        return vt_fail(err, VT_E_INVALID, "a part of the form has no usable name");
    while (f->parts[i].name != NULL && strcmp(f->parts[i].name, key) != 0)
        i++;
    if (f->parts[i].name == NULL)
        return vt_fail(err, VT_E_INVALID, "the form has a part '%s' that is not understood", key);
    if ((f->seen >> i & 1) != 0)
        return vt_fail(err, VT_E_INVALID, "the form has part '%s' twice", key);
    if (coding != NULL && strcasecmp(coding, "binary") != 0 && strcasecmp(coding, "8bit") != 0 &&
        strcasecmp(coding, "7bit") != 0)
        return vt_fail(err, VT_E_UNSUPPORTED, "part '%s' has a Content-Transfer-Encoding", key);
    f->seen |= 1u << i;
    f->part = &f->parts[i];
    f->part_bytes = 0;
    vt_buf_clear(&f->text);
    return VT_OK;
}

static vt_status take_content(vt_form *f, const char *data, size_t size, vt_err *err) {
    if (size == 0)
        return VT_OK;
    f->part_bytes += size;
    if (f->part->kind != VT_PART_FILE) {
        vt_buf_append(&f->text, data, size);
        return vt_buf_status(&f->text, f->part->name, err);
    }
    /* `image` and `file` name the same thing: one picture a form. */
    if (f->picture != NULL && f->picture != f->part)
        return vt_fail(err, VT_E_INVALID, "the form has more than one picture");
    f->picture = f->part;
    vt_buf_append(&f->image, data, size);
    return vt_buf_status(&f->image, f->part->name, err);
}

/* The processor may tell of offset 0 twice: once without content, where a read ended behind the
 * part's head, then with it. */
static bool is_new_part(const vt_form *f, const char *key, uint64_t offset) {
    if (offset != 0)
        return false;
    return f->part == NULL || f->part_bytes > 0 || key == NULL || strcmp(f->part->name, key) != 0;
}

static enum MHD_Result on_part(void *cls, enum MHD_ValueKind kind, const char *key,
                               const char *filename, const char *content_type, const char *coding,
                               const char *data, uint64_t offset, size_t size) {
    vt_form *f = cls;
    vt_status status = VT_OK;
    if (is_new_part(f, key, offset)) {
        status = finish_part(f, &f->err);
        if (status == VT_OK)
            status = begin_part(f, key, coding, &f->err);
    }
    if (status == VT_OK)
        status = take_content(f, data, size, &f->err);
    return status == VT_OK ? MHD_YES : MHD_NO;
}

vt_status vt_form_open(struct MHD_Connection *c, const vt_part *parts, size_t max, vt_form **out,
                       vt_err *err) {
    *out = NULL;
    vt_form *f = vt_alloc(1, sizeof *f);
    if (f == NULL)
        return vt_fail_nomem(err, sizeof *f);
    f->parts = parts;
    vt_buf_init(&f->text, TEXT_MAX);
    vt_buf_init(&f->image, max);
    f->fields = json_object();
    f->processor = MHD_create_post_processor(c, SCAN_BYTES, on_part, f);
    if (f->fields == NULL || f->processor == NULL) {
        vt_form_close(f);
        return vt_fail(err, VT_E_INVALID, "multipart/form-data without a usable boundary");
    }
    *out = f;
    return VT_OK;
}

vt_status vt_form_take(vt_form *f, const char *bytes, size_t n, vt_err *err) {
    if (MHD_post_process(f->processor, bytes, n) == MHD_YES)
        return VT_OK;
    if (f->err.status != VT_OK) {
        *err = f->err;
        return err->status;
    }
    return vt_fail(err, VT_E_PARSE, "the multipart body is malformed");
}

/* The fields beside a WHOLE part are its members too, but none may be given in both. */
static vt_status merge_whole(vt_form *f, vt_err *err) {
    const char *key;
    json_t *value;
    if (f->whole == NULL)
        return VT_OK;
    json_object_foreach(f->whole, key, value) {
        if (json_object_get(f->fields, key) != NULL)
            return vt_fail(err, VT_E_INVALID, "'%s' is given twice: in 'product' and as a part",
                           key);
        if (json_object_set(f->fields, key, value) != 0)
            return vt_fail_nomem(err, strlen(key));
    }
    return VT_OK;
}

vt_status vt_form_finish(vt_form *f, json_t **fields, vt_buf *image, bool *given, vt_err *err) {
    enum MHD_Result complete = MHD_destroy_post_processor(f->processor);
    f->processor = NULL;
    if (complete != MHD_YES || f->part == NULL)
        return vt_fail(err, VT_E_PARSE, "the multipart body ends before its last boundary");
    vt_status status = finish_part(f, err);
    if (status == VT_OK)
        status = merge_whole(f, err);
    if (status != VT_OK)
        return status;
    *fields = f->fields;
    f->fields = NULL;
    *image = f->image;
    vt_buf_init(&f->image, 0);
    *given = f->picture != NULL;
    return VT_OK;
}

void vt_form_close(vt_form *f) {
    if (f == NULL)
        return;
    if (f->processor != NULL)
        (void)MHD_destroy_post_processor(f->processor);
    json_decref(f->fields);
    json_decref(f->whole);
    vt_buf_release(&f->text);
    vt_buf_release(&f->image);
    free(f);
}
