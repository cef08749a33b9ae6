/* The text of a filter over a small catalogue. What is accepted must read back from its canonical
 * text with the same text, and select from the columns exactly what the definition matches; what is
 * refused says why and leaves nothing. */
#include "catalog/columns.h"

#include <math.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PRODUCTS = 100 };

static vt_product products[PRODUCTS];
static vt_columns columns;

static void require(bool ok) {
    if (!ok)
        abort();
}

static json_t *parse(const char *text, size_t n) {
    json_t *v = NULL;
    vt_err err;
    return vt_json_parse(text, n, &v, &err) == VT_OK ? v : NULL;
}

static void make_product(unsigned n, vt_product *p) {
    char text[200];
    vt_product_init(p);
    snprintf(text, sizeof text, "p%u", n);
    p->id = vt_strdup(text);
    snprintf(text, sizeof text, "c%u", n % 7);
    p->category = vt_strdup(text);
    p->price = n % 5 ? n / 4.0 : NAN;
    snprintf(text, sizeof text,
             "{\"colour\":\"%s\",\"size\":[%u,%u.5],\"a\":{\"b\":%u},\"n\":%s,\"stock\":%u}",
             n % 3 ? "red" : "blue", n % 10, n % 4, n % 2, n % 6 ? "-0.5" : "null", n);
    p->attributes = parse(text, strlen(text));
    require(p->id && p->category && p->attributes);
}

static void make_catalogue(void) {
    vt_err err;
    uint32_t slot;
    vt_columns_init(&columns);
    for (unsigned n = 0; n < PRODUCTS; n++) {
        make_product(n, &products[n]);
        require(vt_columns_put(&columns, &products[n], n, &slot, &err) == VT_OK && slot == n);
    }
}

static void check_selection(const vt_filter *f, const vt_filter *again) {
    vt_bitset b;
    vt_err err;
    vt_bitset_init(&b);
    require(vt_columns_select(&columns, f, &b, &err) == VT_OK);
    for (unsigned n = 0; n < PRODUCTS; n++) {
        require(vt_bitset_get(&b, n) == vt_filter_matches(f, &products[n]));
        require(vt_bitset_get(&b, n) == vt_filter_matches(again, &products[n]));
    }
    vt_bitset_release(&b);
}

static void check_filter(const vt_filter *f) {
    vt_filter *again = NULL;
    vt_buf text, text_again;
    vt_err err;
    json_t *canonical;
    vt_buf_init(&text, 1 << 22);
    vt_buf_init(&text_again, 1 << 22);
    vt_filter_write(f, &text);
    canonical = parse(text.data, text.len);
    require(canonical && vt_filter_from_json(canonical, "", &again, &err) == VT_OK);
    vt_filter_write(again, &text_again);
    require(strcmp(text.data, text_again.data) == 0);
    check_selection(f, again);
    json_decref(canonical);
    vt_filter_close(again);
    vt_buf_release(&text);
    vt_buf_release(&text_again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    json_t *v = parse((const char *)data, size);
    vt_filter *f = NULL;
    vt_err err;
    if (!products[0].id)
        make_catalogue();
    if (!v)
        return 0;
    if (vt_filter_from_json(v, "/filter", &f, &err) == VT_OK)
        check_filter(f);
    else
        require(!f && err.status == VT_E_INVALID && *err.text &&
                strncmp(err.field, "/filter", 7) == 0);
    vt_filter_close(f);
    json_decref(v);
    return 0;
}
