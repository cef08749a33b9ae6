/* Attribute terms. A product's attributes are flattened into (dotted path, scalar) pairs, one for
 * each scalar and for each scalar element of an array; a filter term holds when its pair is among
 * them. Paths are joined as text, so {"a": {"b": 1}} and {"a.b": 1} have the same term a.b = 1.
 *
 * Numbers are equal by value, also beyond 2^53 where doubles have gaps: a whole real that an int64
 * can hold becomes one, and what is left as a real equals no integer.
 *
 * Rejected: keys as JSON text ("1" and "1.0" differ), and paths as arrays of names (they would
 * tell the two spellings above apart, which nobody who types a filter means to). */
#include "catalog/terms.h"

bool vt_value_of(const json_t *v, vt_value *out) {
    *out = (vt_value){.type = VT_VALUE_NULL};
    switch (json_typeof(v)) {
    case JSON_STRING:
        out->type = VT_VALUE_TEXT;
        out->text = json_string_value(v);
        return true;
    case JSON_INTEGER:
        out->type = VT_VALUE_INT;
        out->integer = json_integer_value(v);
        return true;
    case JSON_REAL:
        out->type = VT_VALUE_REAL;
        out->real = json_real_value(v);
        if (out->real >= -0x1p63 && out->real < 0x1p63 && /* else the cast is undefined */
            (double)(int64_t)out->real == out->real) {
            out->type = VT_VALUE_INT;
            out->integer = (int64_t)out->real;
        }
        return true;
    case JSON_TRUE:
        out->type = VT_VALUE_TRUE;
        return true;
    case JSON_FALSE:
        out->type = VT_VALUE_FALSE;
        return true;
    case JSON_NULL:
        return true;
    case JSON_OBJECT:
    case JSON_ARRAY:
        break;
    }
    return false;
}

bool vt_value_is_number(const vt_value *v) {
    return v->type == VT_VALUE_INT || v->type == VT_VALUE_REAL;
}

/* Exact though it rounds: a real that is no int64 has a fraction, so it is below 2^53 where doubles
 * hold every integer, or it is beyond all of them. */
static int integer_and_real(int64_t integer, double real) {
    return (double)integer <= real ? -1 : 1;
}

static int number_order(const vt_value *a, const vt_value *b) {
    if (a->type == VT_VALUE_INT && b->type == VT_VALUE_INT)
        return (a->integer > b->integer) - (a->integer < b->integer);
    if (a->type == VT_VALUE_INT)
        return integer_and_real(a->integer, b->real);
    if (b->type == VT_VALUE_INT)
        return -integer_and_real(b->integer, a->real);
    return (a->real > b->real) - (a->real < b->real);
}

int vt_value_order(const vt_value *a, const vt_value *b) {
    if (vt_value_is_number(a) && vt_value_is_number(b))
        return number_order(a, b);
    if (a->type != b->type)
        return a->type < b->type ? -1 : 1;
    return a->type == VT_VALUE_TEXT ? strcmp(a->text, b->text) : 0;
}

void vt_value_write(const vt_value *v, vt_json *w) {
    switch (v->type) {
    case VT_VALUE_NULL:
        vt_json_null(w);
        break;
    case VT_VALUE_FALSE:
    case VT_VALUE_TRUE:
        vt_json_bool(w, v->type == VT_VALUE_TRUE);
        break;
    case VT_VALUE_INT:
        vt_json_int(w, v->integer);
        break;
    case VT_VALUE_REAL:
        vt_json_num(w, v->real, 17); /* enough digits to tell any two doubles apart */
        break;
    case VT_VALUE_TEXT:
        vt_json_str(w, v->text);
        break;
    }
}

void vt_term_key(const char *path, size_t path_len, const vt_value *v, vt_buf *out) {
    char tag = (char)('0' + v->type);
    vt_buf_clear(out);
    vt_buf_append(out, path, path_len);
    vt_buf_append(out, "", 1); /* a NUL: no path holds one, so no two terms run together */
    vt_buf_append(out, &tag, 1);
    if (v->type == VT_VALUE_INT)
        vt_buf_append(out, &v->integer, sizeof v->integer);
    else if (v->type == VT_VALUE_REAL)
        vt_buf_append(out, &v->real, sizeof v->real);
    else if (v->type == VT_VALUE_TEXT)
        vt_buf_puts(out, v->text);
}

bool vt_term_number(const char *key, size_t len, const char *path, size_t path_len, vt_value *out) {
    const char *value = key + path_len + 2; /* behind the NUL and the tag */
    if (len != path_len + 2 + sizeof(int64_t) || memcmp(key, path, path_len) != 0 ||
        key[path_len] != 0)
        return false;
    *out = (vt_value){.type = (vt_value_type)(key[path_len + 1] - '0')};
    if (out->type == VT_VALUE_INT)
        memcpy(&out->integer, value, sizeof out->integer);
    else if (out->type == VT_VALUE_REAL)
        memcpy(&out->real, value, sizeof out->real);
    return vt_value_is_number(out);
}

/* ---- walk ------------------------------------------------------------------------------- */

typedef struct walk {
    vt_term_fn fn;
    void *ctx;
    vt_buf path, key;
} walk;

static vt_status emit(walk *w, const json_t *v, vt_err *err) {
    vt_value value;
    vt_status s;
    if (!vt_value_of(v, &value))
        return VT_OK;
    vt_term_key(w->path.data, w->path.len, &value, &w->key);
    s = vt_buf_status(&w->key, "an attribute term", err);
    return s == VT_OK ? w->fn(w->ctx, w->key.data, w->key.len, err) : s;
}

static vt_status emit_elements(walk *w, const json_t *array, vt_err *err) {
    size_t i;
    json_t *element;
    vt_status s = VT_OK;
    json_array_foreach(array, i, element) {
        s = emit(w, element, err);
        if (s != VT_OK)
            break;
    }
    return s;
}

static vt_status walk_object(walk *w, const json_t *object, vt_err *err) {
    size_t base = w->path.len;
    const char *key;
    json_t *v;
    vt_status s = VT_OK;
    json_object_foreach((json_t *)(uintptr_t)object, key, v) { /* an iterator needs non-const */
        vt_buf_puts(&w->path, key);
        if (json_is_object(v)) {
            vt_buf_puts(&w->path, ".");
            s = walk_object(w, v, err);
        } else {
            s = vt_buf_status(&w->path, "an attribute path", err);
            if (s == VT_OK)
                s = json_is_array(v) ? emit_elements(w, v, err) : emit(w, v, err);
        }
        if (s != VT_OK)
            break;
        w->path.len = base; /* back to the parent's path */
    }
    return s;
}

vt_status vt_terms_walk(const json_t *attributes, vt_term_fn fn, void *ctx, vt_err *err) {
    walk w = {.fn = fn, .ctx = ctx};
    vt_status s;
    vt_buf_init(&w.path, VT_TERM_KEY_MAX);
    vt_buf_init(&w.key, VT_TERM_KEY_MAX);
    vt_buf_puts(&w.path, ""); /* data is a string from here on, also for an empty key */
    s = walk_object(&w, attributes, err);
    vt_buf_release(&w.key);
    vt_buf_release(&w.path);
    return s;
}
