/* route: the table of everything the server answers, and how a request finds its row.
 *
 * The table is walked from the top: a dozen rows compared segment by segment cost less than the
 * system call that brought the request, so there is no trie. openapi.json describes the same
 * rows; a test compares the two.
 *
 * Read-only; any thread. */
#include "http/server.h"

static const vt_part search_parts[] = {
    {"text_query", VT_PART_TEXT},  {"image_url", VT_PART_TEXT},
    {"top_k", VT_PART_NUMBER},     {"category_filter", VT_PART_TEXT},
    {"price_min", VT_PART_NUMBER}, {"price_max", VT_PART_NUMBER},
    {"filter", VT_PART_JSON},      {"detect_category", VT_PART_JSON},
    {"recall", VT_PART_NUMBER},    {"explain", VT_PART_JSON},
    {"image", VT_PART_FILE},       {"file", VT_PART_FILE},
    {NULL, VT_PART_TEXT},
};

static const vt_part detect_parts[] = {
    {"image_url", VT_PART_TEXT}, {"labels", VT_PART_JSON}, {"image", VT_PART_FILE},
    {"file", VT_PART_FILE},      {NULL, VT_PART_TEXT},
};

static const vt_part product_parts[] = {
    {"product", VT_PART_WHOLE},    {"id", VT_PART_TEXT},         {"name", VT_PART_TEXT},
    {"description", VT_PART_TEXT}, {"image_url", VT_PART_TEXT},  {"category", VT_PART_TEXT},
    {"price", VT_PART_NUMBER},     {"attributes", VT_PART_JSON}, {"image", VT_PART_FILE},
    {"file", VT_PART_FILE},        {NULL, VT_PART_TEXT},
};

static const char *const list_query[] = {"limit",     "after",     "category",
                                         "price_min", "price_max", NULL};

static const vt_route routes[] = {
    {.method = "POST",
     .pattern = "/api/v1/search",
     .run = vt_route_search,
     .body = VT_BODY_OBJECT,
     .parts = search_parts},
    {.method = "POST",
     .pattern = "/api/v1/detect-category",
     .run = vt_route_detect_category,
     .body = VT_BODY_OBJECT,
     .parts = detect_parts},
    {.method = "POST",
     .pattern = "/api/v1/index-product",
     .run = vt_route_index_product,
     .body = VT_BODY_OBJECT,
     .parts = product_parts},
    {.method = "POST", .pattern = "/api/v1/products/import", .body = VT_BODY_LINES},
    {.method = "GET",
     .pattern = "/api/v1/products",
     .run = vt_route_list_products,
     .query = list_query},
    {.method = "GET", .pattern = "/api/v1/products/{id}", .run = vt_route_get_product},
    {.method = "DELETE", .pattern = "/api/v1/products/{id}", .run = vt_route_delete_product},
    {.method = "GET", .pattern = "/api/v1/collections", .run = vt_route_collections},
    {.method = "GET", .pattern = "/api/v1/health", .run = vt_route_health, .early = true},
    {.method = "GET", .pattern = "/livez", .run = vt_route_live, .early = true, .inlined = true},
    {.method = "GET", .pattern = "/healthz", .run = vt_route_live, .early = true, .inlined = true},
    {.method = "GET", .pattern = "/readyz", .run = vt_route_ready, .early = true, .inlined = true},
    {.method = "GET",
     .pattern = "/metrics",
     .run = vt_route_metrics,
     .content_type = "text/plain; version=0.0.4; charset=utf-8",
     .early = true},
    {.method = "GET",
     .pattern = "/openapi.json",
     .run = vt_route_openapi,
     .early = true,
     .inlined = true},
};

const vt_route *vt_routes(size_t *n) {
    *n = sizeof routes / sizeof routes[0];
    return routes;
}

/* Whether the path's segments are the pattern's; *id is where "{id}" stands in the path, with its
 * length (NULL where the pattern has none). */
static bool matches(const char *pattern, const char *path, const char **id, size_t *id_size) {
    *id = NULL;
    while (*pattern == '/' && *path == '/') {
        size_t wanted = strcspn(++pattern, "/");
        size_t given = strcspn(++path, "/");
        if (wanted == 4 && memcmp(pattern, "{id}", 4) == 0) {
            *id = path;
            *id_size = given;
        } else if (wanted != given || memcmp(pattern, path, wanted) != 0) {
            return false;
        }
        if (given == 0)
            return false;
        pattern += wanted;
        path += given;
    }
    return *pattern == '\0' && *path == '\0';
}

static vt_status take_id(const char *id, size_t n, char out[256], vt_err *err) {
    char *text = vt_strndup(id, n);
    if (text == NULL)
        return vt_fail_nomem(err, n);
    vt_status status = VT_OK;
    if (!vt_percent_decode(text, false))
        status = vt_fail(err, VT_E_INVALID,
                         "the product id in the path has a bad escape or is not UTF-8");
    else if (strlen(text) > 255)
        status = vt_fail(err, VT_E_INVALID, "the product id in the path is longer than 255 bytes");
    else
        memcpy(out, text, strlen(text) + 1);
    free(text);
    return status;
}

static void add_allowed(char allow[VT_ALLOW_MAX], const char *method) {
    size_t used = strlen(allow);
    (void)snprintf(allow + used, VT_ALLOW_MAX - used, "%s%s%s", used == 0 ? "" : ", ", method,
                   strcmp(method, "GET") == 0 ? ", HEAD" : "");
}

vt_status vt_route_find(vt_request *r, vt_err *err) {
    const char *wanted = strcmp(r->method, "HEAD") == 0 ? "GET" : r->method;
    const char *id;
    size_t id_size = 0;
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        if (!matches(routes[i].pattern, r->target.path, &id, &id_size))
            continue;
        add_allowed(r->allow, routes[i].method);
        if (strcmp(routes[i].method, wanted) != 0)
            continue;
        r->route = &routes[i];
        return id == NULL ? VT_OK : take_id(id, id_size, r->product_id, err);
    }
    if (r->allow[0] == '\0')
        return vt_fail(err, VT_E_NOT_FOUND, "there is nothing at this path; see /openapi.json");
    return vt_fail(err, VT_E_INVALID, "this path answers %s only", r->allow);
}
