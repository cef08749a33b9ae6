/* The product as a value: its rules, its JSON in and out, equality.
 *
 * Reading is in two steps: from_json looks at types and copies, vt_product_validate looks at
 * ranges. So a product that was not made from JSON (the engine's, a row of the file) obeys the same
 * rules. Strings are copied and attributes deep-copied: a product shares nothing with the request
 * it came from, and may outlive it or cross threads.
 *
 * Rejected: taking a number for an id or a price written as a string. It reads friendly and makes
 * two shops disagree about whether 7 and "7" are one product. */
#include "catalog/product.h"

#include <math.h>

void vt_product_init(vt_product *p) {
    memset(p, 0, sizeof *p);
    p->price = NAN;
}

void vt_product_release(vt_product *p) {
    free(p->id);
    free(p->name);
    free(p->description);
    free(p->image_url);
    free(p->category);
    free(p->embedding);
    json_decref(p->attributes);
    vt_product_init(p);
}

/* ---- rules ------------------------------------------------------------------------------ */

/* C0, DEL and C1 controls: they break terminals, logs and headers that carry an id. */
static bool has_control(const char *s) {
    for (const unsigned char *p = (const unsigned char *)s; *p; p++)
        if (*p < 0x20 || *p == 0x7F || (*p == 0xC2 && p[1] >= 0x80 && p[1] < 0xA0))
            return true;
    return false;
}

static vt_status check_text(const char *s, const char *field, size_t max, vt_err *err) {
    size_t n;
    if (!s)
        return vt_fail_field(err, VT_E_INVALID, field, "%s is missing", field + 1);
    n = strlen(s);
    if (n > max)
        return vt_fail_field(err, VT_E_INVALID, field, "%s has %zu bytes, the limit is %zu",
                             field + 1, n, max);
    if (!vt_utf8_valid(s, n))
        return vt_fail_field(err, VT_E_INVALID, field, "%s is not valid UTF-8", field + 1);
    return VT_OK;
}

static vt_status check_id(const char *id, vt_err *err) {
    vt_status s = check_text(id, "/id", VT_PRODUCT_ID_MAX, err);
    if (s != VT_OK)
        return s;
    if (!*id)
        return vt_fail_field(err, VT_E_INVALID, "/id", "id must not be empty");
    if (has_control(id))
        return vt_fail_field(err, VT_E_INVALID, "/id", "id must not contain control characters");
    return VT_OK;
}

/* Levels of objects and arrays at v; stops counting (and recursing) above the limit. */
static size_t depth_of(const json_t *v, size_t limit) {
    size_t deepest = 0, i;
    const char *key;
    json_t *child;
    if (!json_is_object(v) && !json_is_array(v))
        return 0;
    if (limit == 0)
        return 1;
    json_object_foreach((json_t *)(uintptr_t)v, key, child) { /* an iterator needs non-const */
        size_t d = depth_of(child, limit - 1);
        deepest = d > deepest ? d : deepest;
    }
    json_array_foreach(v, i, child) {
        size_t d = depth_of(child, limit - 1);
        deepest = d > deepest ? d : deepest;
    }
    return deepest + 1;
}

static vt_status check_attributes_shape(const json_t *attributes, vt_err *err) {
    if (!json_is_object(attributes))
        return vt_fail_field(err, VT_E_INVALID, "/attributes", "attributes must be an object");
    if (depth_of(attributes, VT_ATTRIBUTES_DEPTH) > VT_ATTRIBUTES_DEPTH)
        return vt_fail_field(err, VT_E_INVALID, "/attributes",
                             "attributes nest deeper than %d levels", VT_ATTRIBUTES_DEPTH);
    return VT_OK;
}

vt_status vt_attributes_text(const json_t *attributes, vt_buf *out, vt_err *err) {
    vt_json w;
    size_t before = out->len;
    vt_json_init(&w, out);
    vt_json_value(&w, attributes);
    if (out->failed == VT_E_TOO_LARGE || out->len - before > VT_ATTRIBUTES_MAX)
        return vt_fail_field(err, VT_E_INVALID, "/attributes",
                             "attributes have more than %d bytes as compact JSON",
                             VT_ATTRIBUTES_MAX);
    return vt_buf_status(out, "attributes", err);
}

static vt_status check_attributes(const json_t *attributes, vt_err *err) {
    vt_buf text;
    vt_status s = check_attributes_shape(attributes, err);
    if (s != VT_OK)
        return s;
    vt_buf_init(&text, VT_ATTRIBUTES_MAX);
    s = vt_attributes_text(attributes, &text, err);
    vt_buf_release(&text);
    return s;
}

vt_status vt_product_validate(const vt_product *p, vt_err *err) {
    vt_status s = check_id(p->id, err);
    if (s == VT_OK)
        s = check_text(p->name, "/name", VT_PRODUCT_TEXT_MAX, err);
    if (s == VT_OK && !*p->name)
        s = vt_fail_field(err, VT_E_INVALID, "/name", "name must not be empty");
    if (s == VT_OK)
        s = check_text(p->description, "/description", VT_PRODUCT_TEXT_MAX, err);
    if (s == VT_OK)
        s = check_text(p->image_url, "/image_url", VT_PRODUCT_TEXT_MAX, err);
    if (s == VT_OK)
        s = check_text(p->category, "/category", VT_PRODUCT_TEXT_MAX, err);
    if (s == VT_OK && !isnan(p->price) && !(isfinite(p->price) && p->price >= 0))
        s = vt_fail_field(err, VT_E_INVALID, "/price", "price must be zero or more");
    return s == VT_OK ? check_attributes(p->attributes, err) : s;
}

vt_status vt_embedding_validate(const float *v, size_t dim, vt_err *err) {
    double sum = 0;
    if (!v)
        return vt_fail(err, VT_E_INVALID, "the product has no vector");
    for (size_t i = 0; i < dim; i++)
        sum += (double)v[i] * v[i];
    if (!(fabs(sqrt(sum) - 1) <= 1e-3)) /* so written, NaN fails too */
        return vt_fail(err, VT_E_INVALID, "the vector's length is %g, not 1", sqrt(sum));
    return VT_OK;
}

/* ---- JSON ------------------------------------------------------------------------------- */

static vt_status read_text(const json_t *object, const char *field, bool required, char **out,
                           vt_err *err) {
    const char *key = field + 1;
    const json_t *v = json_object_get(object, key);
    if (!v && required)
        return vt_fail_field(err, VT_E_INVALID, field, "%s is missing", key);
    if (v && !json_is_string(v) && (required || !json_is_null(v)))
        return vt_fail_field(err, VT_E_INVALID, field, "%s must be a string", key);
    if (json_is_string(v) && strlen(json_string_value(v)) != json_string_length(v))
        return vt_fail_field(err, VT_E_INVALID, field, "%s must not contain NUL", key);
    *out = vt_strdup(json_is_string(v) ? json_string_value(v) : "");
    return *out ? VT_OK : vt_fail_nomem(err, json_string_length(v));
}

static vt_status read_price(const json_t *v, double *out, vt_err *err) {
    *out = NAN;
    if (!v || json_is_null(v))
        return VT_OK;
    if (!json_is_number(v))
        return vt_fail_field(err, VT_E_INVALID, "/price", "price must be a number");
    *out = json_number_value(v) + 0.0; /* -0 becomes 0 */
    return VT_OK;
}

static vt_status read_attributes(const json_t *v, json_t **out, vt_err *err) {
    vt_status s = VT_OK;
    if (!v || json_is_null(v)) {
        *out = json_object();
    } else {
        s = check_attributes_shape(v, err); /* before a copy that recurses */
        if (s == VT_OK)
            *out = json_deep_copy(v);
    }
    if (s == VT_OK && !*out)
        s = vt_fail_nomem(err, VT_ATTRIBUTES_MAX);
    return s;
}

vt_status vt_product_from_json(const json_t *object, vt_product *p, vt_err *err) {
    vt_status s = VT_OK;
    vt_product_release(p);
    if (!json_is_object(object))
        return vt_fail_field(err, VT_E_INVALID, "", "a product must be a JSON object");
    s = read_text(object, "/id", true, &p->id, err);
    if (s == VT_OK)
        s = read_text(object, "/name", true, &p->name, err);
    if (s == VT_OK)
        s = read_text(object, "/description", false, &p->description, err);
    if (s == VT_OK)
        s = read_text(object, "/image_url", false, &p->image_url, err);
    if (s == VT_OK)
        s = read_text(object, "/category", false, &p->category, err);
    if (s == VT_OK)
        s = read_price(json_object_get(object, "price"), &p->price, err);
    if (s == VT_OK)
        s = read_attributes(json_object_get(object, "attributes"), &p->attributes, err);
    if (s == VT_OK)
        s = vt_product_validate(p, err);
    if (s != VT_OK)
        vt_product_release(p);
    return s;
}

void vt_product_write(const vt_product *p, vt_json *w) {
    vt_json_key(w, "product_id");
    vt_json_str(w, p->id);
    vt_json_key(w, "name");
    vt_json_str(w, p->name);
    vt_json_key(w, "description");
    vt_json_str(w, p->description);
    vt_json_key(w, "image_url");
    vt_json_str(w, p->image_url);
    vt_json_key(w, "price");
    vt_json_num(w, p->price, 0); /* NAN writes null */
    vt_json_key(w, "category");
    vt_json_str(w, p->category);
    vt_json_key(w, "attributes");
    vt_json_value(w, p->attributes);
}

/* ---- equality --------------------------------------------------------------------------- */

static bool same_price(double a, double b) {
    return (isnan(a) && isnan(b)) || a == b;
}

bool vt_product_equal(const vt_product *a, const vt_product *b, size_t dim) {
    return strcmp(a->id, b->id) == 0 && strcmp(a->name, b->name) == 0 &&
           strcmp(a->description, b->description) == 0 && strcmp(a->image_url, b->image_url) == 0 &&
           strcmp(a->category, b->category) == 0 && same_price(a->price, b->price) &&
           vt_hash_equal(&a->image_hash, &b->image_hash) &&
           json_equal(a->attributes, b->attributes) &&
           memcmp(a->embedding, b->embedding, dim * sizeof(float)) == 0;
}
