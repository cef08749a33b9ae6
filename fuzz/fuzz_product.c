/* A body of a product: JSON, then its reader. What is accepted must obey its rules and say itself
 * again: a product written and read is the same product. */
#include "catalog/catalog.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static json_t *parse(const char *text, size_t n) {
    json_t *v = NULL;
    vt_err err;
    return vt_json_parse(text, n, &v, &err) == VT_OK ? v : NULL;
}

static void require(bool ok) {
    if (!ok)
        abort();
}

static void write_again(const vt_product *p) {
    vt_buf text;
    vt_json w;
    json_t *v;
    vt_buf_init(&text, 1 << 22);
    vt_json_init(&w, &text);
    vt_json_open(&w, '{');
    vt_product_write(p, &w);
    vt_json_close(&w, '}');
    require(text.failed == VT_OK);
    v = parse(text.data, text.len);
    require(v && strcmp(json_string_value(json_object_get(v, "name")), p->name) == 0);
    require(json_equal(json_object_get(v, "attributes"), p->attributes));
    json_decref(v);
    vt_buf_release(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    json_t *v = parse((const char *)data, size);
    vt_product p;
    vt_err err;
    if (!v)
        return 0;
    vt_product_init(&p);
    if (vt_product_from_json(v, &p, &err) == VT_OK)
        write_again(&p);
    else
        require(p.id == NULL && err.status == VT_E_INVALID);
    json_decref(v);
    vt_product_release(&p);
    return 0;
}
