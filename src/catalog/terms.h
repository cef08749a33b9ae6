/* Attribute terms: a dotted path and a scalar value. */
#ifndef VT_CATALOG_TERMS_H
#define VT_CATALOG_TERMS_H

#include "base/base.h"

/* Bytes of a term's key: more than a path and a value within the limits of products and filters
 * can come to. */
#define VT_TERM_KEY_MAX ((size_t)1 << 20)

typedef enum vt_value_type {
    VT_VALUE_NULL,
    VT_VALUE_FALSE,
    VT_VALUE_TRUE,
    VT_VALUE_INT,
    VT_VALUE_REAL, /* never a whole number that an int64 can hold */
    VT_VALUE_TEXT,
} vt_value_type;

typedef struct vt_value {
    vt_value_type type;
    int64_t integer;
    double real;
    const char *text; /* not owned */
} vt_value;

/* false for objects and arrays. text points into v. */
bool vt_value_of(const json_t *v, vt_value *out);
/* A total order, negative, 0 or positive: null, false, true, numbers by value, texts by bytes. 0 is
 * equal; no integer equals a real. */
int vt_value_order(const vt_value *a, const vt_value *b);
bool vt_value_is_number(const vt_value *v);
void vt_value_write(const vt_value *v, vt_json *w);

/* Replaces out's bytes by the key of a term: equal terms have equal bytes. */
void vt_term_key(const char *path, size_t path_len, const vt_value *v, vt_buf *out);
/* The number in a key, where it is the key of a number at this path; else false. */
bool vt_term_number(const char *key, size_t len, const char *path, size_t path_len, vt_value *out);

typedef vt_status (*vt_term_fn)(void *ctx, const char *key, size_t len, vt_err *err);

/* Calls fn with the key of each term that holds for a product with these attributes, which are an
 * object of at most VT_ATTRIBUTES_DEPTH levels. A term may come twice. */
vt_status vt_terms_walk(const json_t *attributes, vt_term_fn fn, void *ctx,
                        vt_err *err) VT_MUST_USE;

#endif
