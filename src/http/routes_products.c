/* routes_products: the routes of single products, their list, search and category detection. Each
 * turns a request into one call of the engine and the engine's answer into a body; rules about
 * products and queries live in the engine.
 *
 * Threading: on a worker, which owns the request. */
#include "http/server.h"

#define LIST_DEFAULT 100
#define LIST_MAX     1000

typedef vt_status (*query_fn)(vt_engine *e, const json_t *request, const void *image,
                              size_t image_len, vt_buf *answer, vt_err *err);

/* A question with perhaps a picture. */
static vt_status answer_query(vt_request *r, vt_engine *e, query_fn ask, vt_err *err) {
    json_t *query = NULL;
    vt_buf image;
    bool given = false;
    vt_buf_init(&image, 0);
    vt_status status = vt_body_finish(&r->body, &query, &image, &given, err);
    if (status == VT_OK)
        status = ask(e, query, given ? (image.data ? image.data : "") : NULL, image.len,
                     &r->answer.body, err);
    json_decref(query);
    vt_buf_release(&image);
    return status;
}

vt_status vt_route_search(vt_request *r, vt_engine *e, vt_err *err) {
    return answer_query(r, e, vt_engine_search, err);
}

vt_status vt_route_detect_category(vt_request *r, vt_engine *e, vt_err *err) {
    return answer_query(r, e, vt_engine_detect_category, err);
}

static void write_indexed(vt_buf *out, const json_t *product, const vt_ingest_result *result) {
    vt_json w;
    vt_json_init(&w, out);
    vt_json_open(&w, '{');
    vt_json_key(&w, "status");
    vt_json_str(&w, "success");
    vt_json_key(&w, "product_id");
    vt_json_str(&w, json_string_value(json_object_get(product, "id")));
    vt_json_key(&w, "result");
    vt_json_str(&w, result->result);
    vt_json_key(&w, "encoded");
    vt_json_bool(&w, result->encoded);
    vt_json_close(&w, '}');
}

vt_status vt_route_index_product(vt_request *r, vt_engine *e, vt_err *err) {
    json_t *product = NULL;
    vt_buf image;
    bool given = false;
    vt_ingest_result result = {0};
    vt_buf_init(&image, 0);
    vt_status status = vt_body_finish(&r->body, &product, &image, &given, err);
    if (status == VT_OK)
        status = vt_engine_ingest(e, product, given ? (image.data ? image.data : "") : NULL,
                                  image.len, &result, err);
    if (status == VT_OK)
        write_indexed(&r->answer.body, product, &result);
    json_decref(product);
    vt_buf_release(&image);
    return status;
}

vt_status vt_route_get_product(vt_request *r, vt_engine *e, vt_err *err) {
    return vt_engine_get(e, r->product_id, &r->answer.body, err);
}

vt_status vt_route_delete_product(vt_request *r, vt_engine *e, vt_err *err) {
    vt_status status = vt_engine_delete(e, r->product_id, err);
    if (status != VT_OK)
        return status;
    vt_json w;
    vt_json_init(&w, &r->answer.body);
    vt_json_open(&w, '{');
    vt_json_key(&w, "status");
    vt_json_str(&w, "success");
    vt_json_key(&w, "product_id");
    vt_json_str(&w, r->product_id);
    vt_json_key(&w, "result");
    vt_json_str(&w, "deleted");
    vt_json_close(&w, '}');
    return VT_OK;
}

static vt_status add_price(json_t *filter, const vt_target *t, const char *name, vt_err *err) {
    const char *text = vt_target_param(t, name);
    double value;
    if (text == NULL)
        return VT_OK;
    if (!vt_parse_f64(text, &value))
        return vt_fail(err, VT_E_INVALID, "query parameter '%s' must be a number", name);
    return json_object_set_new(filter, name, json_real(value)) == 0
               ? VT_OK
               : vt_fail_nomem(err, strlen(name));
}

static vt_status list_filter(const vt_target *t, json_t **out, vt_err *err) {
    const char *category = vt_target_param(t, "category");
    json_t *filter = json_object();
    vt_status status = filter == NULL ? vt_fail_nomem(err, 1) : VT_OK;
    if (status == VT_OK && category != NULL &&
        json_object_set_new(filter, "category", json_string(category)) != 0)
        status = vt_fail_nomem(err, strlen(category));
    if (status == VT_OK)
        status = add_price(filter, t, "price_min", err);
    if (status == VT_OK)
        status = add_price(filter, t, "price_max", err);
    if (status == VT_OK)
        *out = filter;
    else
        json_decref(filter);
    return status;
}

vt_status vt_route_list_products(vt_request *r, vt_engine *e, vt_err *err) {
    const char *limit_text = vt_target_param(&r->target, "limit");
    const char *after = vt_target_param(&r->target, "after");
    uint64_t limit = LIST_DEFAULT;
    json_t *filter = NULL;
    if (limit_text != NULL && (!vt_parse_u64(limit_text, LIST_MAX, &limit) || limit == 0))
        return vt_fail(err, VT_E_INVALID, "query parameter 'limit' must be 1 to %d", LIST_MAX);
    vt_status status = list_filter(&r->target, &filter, err);
    if (status == VT_OK)
        status = vt_engine_list(e, after == NULL ? "" : after, (size_t)limit, filter,
                                &r->answer.body, err);
    json_decref(filter);
    return status;
}
