/* A body of a product or a filter: JSON, then both readers. What is accepted must obey its rules
 * and say itself again: a filter's canonical text parses to a filter of the same text, and a
 * product written and read is the same product. */
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

static void read_filter(const json_t *v, const vt_product *p) {
    vt_filter *f = NULL, *again = NULL;
    vt_buf text, text_again;
    vt_err err;
    json_t *canonical;
    vt_buf_init(&text, 1 << 22);
    vt_buf_init(&text_again, 1 << 22);
    if (vt_filter_from_json(v, "/filter", &f, &err) != VT_OK) {
        require(f == NULL && err.status == VT_E_INVALID);
        return;
    }
    vt_filter_write(f, &text);
    canonical = parse(text.data, text.len);
    require(canonical && vt_filter_from_json(canonical, "", &again, &err) == VT_OK);
    vt_filter_write(again, &text_again);
    require(strcmp(text.data, text_again.data) == 0);
    if (p->id)
        require(vt_filter_matches(f, p) == vt_filter_matches(again, p));
    json_decref(canonical);
    vt_filter_close(f);
    vt_filter_close(again);
    vt_buf_release(&text);
    vt_buf_release(&text_again);
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
    read_filter(v, &p);
    if (p.id) /* the attributes of a product, taken for a filter over themselves */
        read_filter(p.attributes, &p);
    json_decref(v);
    vt_product_release(&p);
    return 0;
}
