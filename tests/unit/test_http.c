/* The HTTP server as its clients see it: routes, bodies, forms, imports, problems, and how it
 * behaves when it is full or told to stop. Over loopback; the engine behind is a stand-in that
 * echoes what it was given (fake_engine.h). What is refused is in test_http_strict.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/server.h"
#include "http_fixture.h"

static vt_http *open_server(unsigned workers, unsigned queue) {
    vt_http_options o = {.bind = "127.0.0.1", .workers = workers, .queue = queue};
    vt_http *http = NULL;
    vt_err err;
    if (vt_http_open(&o, NULL, &http, &err) != VT_OK)
        fail_msg("%s", err.text);
    return http;
}

static int set_up(void **state) {
    return fixture_open(state, &(vt_http_options){.bind = "127.0.0.1", .workers = 2});
}

static answer ask(const fixture *f, const char *raw) {
    return client_ask(f->port, raw);
}

#define JSON   "application/json"
#define SEARCH "/api/v1/search"
#define INDEX  "/api/v1/index-product"
#define IMPORT "/api/v1/products/import"
#define HOST   " HTTP/1.1\r\nHost: shop\r\n"

/* ---- search and index --------------------------------------------------------------------- */

static void test_search_takes_json(void **state) {
    fixture *f = *state;
    expect(client_post(f->port, SEARCH, JSON, "{\"text_query\":\"scarf\",\"top_k\":3,\"new\":1}"),
           200, "\"request\":{\"new\":1,\"text_query\":\"scarf\",\"top_k\":3},\"image_bytes\":-1");
    expect(client_post(f->port, SEARCH, "Application/JSON ; charset=utf-8",
                       "{\"text_query\":\"a\"}"),
           200, "");
    expect(client_post(f->port, SEARCH, NULL, "{\"text_query\":\"old client\"}"), 200,
           "old client");
}

static void test_bad_bodies_are_explained(void **state) {
    fixture *f = *state;
    expect(client_post(f->port, SEARCH, JSON, ""), 400, "\"code\":\"bad_syntax\"");
    expect(client_post(f->port, SEARCH, JSON, "{\"text_query\":"), 400, "\"code\":\"bad_syntax\"");
    expect(client_post(f->port, SEARCH, JSON, "[1]"), 400, "must be a JSON object");
    expect(client_post(f->port, SEARCH, JSON, "{\"a\":1,\"a\":2}"), 400, "\"code\":\"bad_syntax\"");
    expect(client_post(f->port, SEARCH, JSON, "{\"text_query\":\"\xff\"}"), 400, "bad_syntax");
    expect(client_post(f->port, SEARCH, "application/x-www-form-urlencoded", "a=b"), 415,
           "application/json or multipart/form-data");
    expect(client_post(f->port, SEARCH, "application/jsonp", "{}"), 415, "");
    expect(ask(f, "POST " SEARCH HOST "Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}"), 415,
           "Content-Encoding");
}

static void test_problem_names_the_member(void **state) {
    fixture *f = *state;
    answer a = client_post(f->port, SEARCH, JSON, "{}");
    assert_int_equal(a.status, 400);
    assert_string_equal(answer_field(&a, "Content-Type"), "application/problem+json");
    vt_err err;
    json_t *p = NULL;
    assert_int_equal(vt_json_parse(a.body, a.body_len, &p, &err), VT_OK);
    const char *type, *title, *detail, *code, *id, *pointer, *at, *why;
    int status;
    assert_int_equal(json_unpack(p, "{s:s,s:s,s:i,s:s,s:s,s:s,s:s,s:[{s:s,s:s}]}", "type", &type,
                                 "title", &title, "status", &status, "detail", &detail, "code",
                                 &code, "request_id", &id, "pointer", &pointer, "errors", "pointer",
                                 &at, "detail", &why),
                     0);
    assert_string_equal(type, "about:blank");
    assert_string_equal(title, "Bad Request");
    assert_int_equal(status, 400);
    assert_string_equal(code, "invalid_request");
    assert_string_equal(pointer, "/text_query");
    assert_string_equal(at, pointer);
    assert_string_equal(why, detail);
    assert_string_equal(id, answer_field(&a, "X-Request-Id"));
    json_decref(p);
    answer_release(&a);
}

static void test_index_product(void **state) {
    fixture *f = *state;
    expect(
        client_post(f->port, INDEX, JSON, "{\"id\":\"p1\",\"name\":\"n\"}"), 200,
        "{\"status\":\"success\",\"product_id\":\"p1\",\"result\":\"created\",\"encoded\":false}");
    expect(client_post(f->port, INDEX, JSON, "{\"id\":\"p1\",\"name\":\"n\"}"), 200,
           "\"unchanged\"");
    expect(client_post(f->port, INDEX, JSON, "{\"id\":\"p2\"}"), 400, "\"pointer\":\"/name\"");
    expect(client_post(f->port, INDEX, JSON, "{\"id\":\"dead-host\",\"name\":\"n\"}"), 502,
           "\"code\":\"fetch_failed\"");
    assert_int_equal(fake_engine_products(f->engine), 1);
}

static void test_chunked_body(void **state) {
    fixture *f = *state;
    expect(ask(f, "POST " SEARCH HOST "Transfer-Encoding: chunked\r\n\r\n"
                  "1\r\n{\r\n15\r\n\"text_query\":\"chunk\"}\r\n0\r\nTrailer: x\r\n\r\n"),
           200, "chunk");
}

/* ---- forms -------------------------------------------------------------------------------- */

#define FORM       "multipart/form-data; boundary=XyZ"
#define PART(name) "--XyZ\r\nContent-Disposition: form-data; name=\"" name "\"\r\n\r\n"
#define FILE_PART(name)                                                                            \
    "--XyZ\r\nContent-Disposition: form-data; name=\"" name "\"; filename=\"a.jpg\"\r\n"           \
    "Content-Type: image/jpeg\r\n\r\n"
#define END "\r\n--XyZ--\r\n"

static void test_search_form(void **state) {
    fixture *f = *state;
    expect(
        client_post(
            f->port, SEARCH, FORM,
            PART("top_k") "5\r\n" PART("price_min") "1.5\r\n" PART(
                "category_filter") "hats\r\n" PART("filter") "{\"attributes.a\":true}"
                                                             "\r\n" PART(
                                                                 "text_query") "\r"
                                                                               "\n" FILE_PART(
                                                                                   "image") "JPEG\r"
                                                                                            "\n--"
                                                                                            "Xy\r"
                                                                                            "\n" END),
        200,
        "{\"request\":{\"category_filter\":\"hats\",\"filter\":{\"attributes.a\":true},"
        "\"price_min\":1.5,\"top_k\":5},\"image_bytes\":12,");
    expect(client_post(f->port, SEARCH, FORM, FILE_PART("file") "12345" END), 200,
           "\"image_bytes\":5");
    expect(client_post(f->port, SEARCH, FORM, PART("text_query") "a" END), 200,
           "\"image_bytes\":-1");
    expect(client_post(f->port, SEARCH, FORM, PART("text_query") "a\r\n" PART("top_k") "ten" END),
           200, "\"top_k\":\"ten\""); /* the engine says what is wrong with it */
}

#define DETECT "/api/v1/detect-category"

static void test_detect_category(void **state) {
    fixture *f = *state;
    expect(client_post(f->port, DETECT, FORM,
                       PART("labels") "[\"hat\",\"shoe\"]\r\n" FILE_PART("image") "12345" END),
           200, "{\"detection\":{\"labels\":[\"hat\",\"shoe\"]},\"image_bytes\":5}");
    expect(client_post(f->port, DETECT, FORM, FILE_PART("file") "123" END), 200,
           "{\"detection\":{},\"image_bytes\":3}");
    expect(client_post(f->port, DETECT, JSON, "{\"labels\":[]}"), 400, "\"pointer\":\"/image\"");
    expect(client_post(f->port, DETECT, FORM, PART("labels") "hat, shoe" END), 400,
           "part 'labels'");
    expect(client_post(f->port, DETECT, FORM, PART("top_k") "5" END), 400, "'top_k'");
    expect(client_get(f->port, DETECT), 405, "");
    expect(client_post(f->port, SEARCH, FORM,
                       PART("detect_category") "true\r\n" FILE_PART("image") "12345" END),
           200, "{\"request\":{\"detect_category\":true},\"image_bytes\":5,");
}

static void test_bad_forms_are_explained(void **state) {
    fixture *f = *state;
    static const struct {
        const char *body, *text;
    } rows[] = {
        {PART("colour") "red" END, "a part 'colour' that is not understood"},
        {PART("top_k") "5\r\n" PART("top_k") "6" END, "part 'top_k' twice"},
        {FILE_PART("image") "a\r\n" FILE_PART("file") "b" END, "more than one picture"},
        {PART("filter") "{" END, "part 'filter'"},
        {PART("text_query") "\xff" END, "not valid UTF-8"},
        {PART("text_query") "cut short", "ends before its last boundary"},
        {"", "ends before its last boundary"},
        {"--XyZ--\r\n", "ends before its last boundary"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        expect(client_post(f->port, SEARCH, FORM, rows[i].body), 400, rows[i].text);
    expect(client_post(f->port, SEARCH, "multipart/form-data", END), 400, "boundary");
}

static void test_index_form(void **state) {
    fixture *f = *state;
    expect(client_post(f->port, INDEX, FORM,
                       PART("product") "{\"id\":\"form-1\",\"name\":\"n\"}\r\n" FILE_PART(
                           "image") "bytes" END),
           200, "\"product_id\":\"form-1\",\"result\":\"created\",\"encoded\":true");
    expect(client_post(f->port, INDEX, FORM,
                       PART("id") "form-2\r\n" PART("name") "n\r\n" PART("price") "3" END),
           200, "\"product_id\":\"form-2\"");
    expect(client_post(f->port, INDEX, FORM,
                       PART("id") "a\r\n" PART("product") "{\"id\":\"b\",\"name\":\"n\"}" END),
           400, "'id' is given twice");
}

/* Every byte of a file arrives, wherever the reads happen to end. */
static void test_form_file_is_kept_to_the_byte(void **state) {
    fixture *f = *state;
    static char bytes[200000];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = "\r\n--XyY\r-"[(i * i + i / 7) % 9];
    vt_hash hash = vt_hash_bytes(bytes, sizeof bytes);
    char hex[65];
    vt_hash_hex(&hash, hex);
    vt_buf body;
    vt_buf_init(&body, 1 << 20);
    vt_buf_puts(&body, FILE_PART("image"));
    vt_buf_append(&body, bytes, sizeof bytes);
    vt_buf_puts(&body, END);
    vt_buf head;
    vt_buf_init(&head, 4096);
    vt_buf_printf(&head,
                  "POST " SEARCH HOST "Content-Type: " FORM "\r\nContent-Length: %zu\r\n\r\n",
                  body.len);
    int fd = client_connect(f->port);
    client_send(fd, head.data, head.len);
    for (size_t at = 0, n = 1; at < body.len; at += n, n = n % 3001 + 171) {
        if (n > body.len - at)
            n = body.len - at;
        client_send(fd, body.data + at, n);
    }
    expect(client_read(fd), 200, hex);
    close(fd);
    vt_buf_release(&head);
    vt_buf_release(&body);
}

/* ---- products by id, lists ---------------------------------------------------------------- */

static void test_ids_are_decoded_from_the_raw_path(void **state) {
    fixture *f = *state;
    expect(client_post(f->port, INDEX, JSON, "{\"id\":\"a/b \xc3\xa9?\",\"name\":\"n\"}"), 200, "");
    expect(client_get(f->port, "/api/v1/products/a%2Fb%20%c3%A9%3F"), 200, "a/b \xc3\xa9?");
    expect(client_get(f->port, "/api/v1/products/a/b"), 404, "\"code\":\"not_found\"");
    expect(client_get(f->port, "/api/v1/products/a%2"), 400, "escape");
    expect(client_get(f->port, "/api/v1/products/a%zz"), 400, "escape");
    expect(client_get(f->port, "/api/v1/products/a%00"), 400, "escape");
    expect(client_get(f->port, "/api/v1/products/%ff"), 400, "UTF-8");
    expect(client_get(f->port, "/api/v1/products/"), 404, "");
    char path[1024] = "/api/v1/products/";
    memset(path + strlen(path), 'x', 255);
    expect(client_get(f->port, path), 404, "there is no product 'xxx");
    path[strlen(path)] = 'x';
    expect(client_get(f->port, path), 400, "longer than 255");
    expect(ask(f, "DELETE /api/v1/products/a%2Fb%20%c3%A9%3F" HOST "\r\n"), 200,
           "\"result\":\"deleted\"");
    expect(client_get(f->port, "/api/v1/products/a%2Fb%20%c3%A9%3F"), 404, "");
}

static void test_list_parameters(void **state) {
    fixture *f = *state;
    expect(client_get(f->port, "/api/v1/products"), 200,
           "{\"after\":\"\",\"limit\":100,\"filter\":{}}");
    expect(client_get(f->port, "/api/v1/products?limit=7&after=a%26b+c&category=h&price_max=2.5"),
           200,
           "{\"after\":\"a&b c\",\"limit\":7,\"filter\":{\"category\":\"h\",\"price_max\":2.5}}");
    expect(client_get(f->port, "/api/v1/products?limit=1001"), 400, "'limit' must be 1 to 1000");
    expect(client_get(f->port, "/api/v1/products?limit=0"), 400, "limit");
    expect(client_get(f->port, "/api/v1/products?limit=+5"), 400, "limit");
    expect(client_get(f->port, "/api/v1/products?price_min=cheap"), 400, "'price_min'");
    expect(client_get(f->port, "/api/v1/products?colour=red"), 400, "'colour' is not understood");
    expect(client_get(f->port, "/api/v1/products?limit=1&limit=2"), 400, "'limit' is given twice");
    expect(client_get(f->port, "/api/v1/collections?x=1"), 400, "'x' is not understood");
    expect(client_get(f->port, "/livez?cache=off"), 200, "");
}

/* ---- methods and fields ------------------------------------------------------------------- */

static void test_methods(void **state) {
    fixture *f = *state;
    answer a = ask(f, "PUT /api/v1/products/p1" HOST "\r\n");
    assert_string_equal(answer_field(&a, "Allow"), "GET, HEAD, DELETE");
    expect(a, 405, "\"code\":\"method_not_allowed\"");
    a = client_get(f->port, SEARCH);
    assert_string_equal(answer_field(&a, "Allow"), "POST");
    expect(a, 405, "");
    a = ask(f, "OPTIONS " SEARCH HOST "\r\n");
    assert_string_equal(answer_field(&a, "Allow"), "POST");
    expect(a, 204, "");
    expect(ask(f, "BREW /livez" HOST "\r\n"), 405, "");
    expect(client_get(f->port, "/api/v1/search/"), 404, "");
    expect(client_get(f->port, "/nowhere"), 404, "/openapi.json");
}

static void test_head_is_get_without_a_body(void **state) {
    fixture *f = *state;
    int fd = client_connect(f->port);
    client_puts(fd, "HEAD /livez" HOST "\r\nGET /livez" HOST "\r\n");
    answer a = client_read_head(fd);
    assert_int_equal(a.status, 200);
    assert_string_equal(answer_field(&a, "Content-Length"), "15");
    answer_release(&a);
    a = client_read(fd);
    assert_int_equal(a.body_len, 15);
    expect(a, 200, "{\"status\":\"ok\"}");
    close(fd);
}

static void test_fields_of_every_answer(void **state) {
    fixture *f = *state;
    static const char *const paths[] = {"/livez", "/api/v1/collections", "/nowhere", "/livez%"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        answer a = client_get(f->port, paths[i]);
        assert_string_equal(answer_field(&a, "Server"), "vitrine");
        assert_string_equal(answer_field(&a, "Cache-Control"), "no-store");
        assert_int_equal(strlen(answer_field(&a, "X-Request-Id")), 16);
        answer_release(&a);
    }
    answer a = ask(f, "GET /livez" HOST "X-Request-Id: shop-7.a_B\r\n\r\n");
    assert_string_equal(answer_field(&a, "X-Request-Id"), "shop-7.a_B");
    answer_release(&a);
    a = ask(f, "GET /livez" HOST "X-Request-Id: a b\r\n\r\n");
    assert_int_equal(strlen(answer_field(&a, "X-Request-Id")), 16);
    answer_release(&a);
}

static void test_pipelined_requests_are_answered_in_order(void **state) {
    fixture *f = *state;
    int fd = client_connect(f->port);
    for (int i = 0; i < 50; i++) {
        char raw[256];
        (void)snprintf(raw, sizeof raw,
                       "POST " SEARCH HOST "Content-Length: 20\r\n\r\n{\"text_query\":\"q%02d\"}"
                       "GET /livez" HOST "\r\n",
                       i);
        client_puts(fd, raw);
    }
    for (int i = 0; i < 50; i++) {
        char query[8];
        (void)snprintf(query, sizeof query, "q%02d", i);
        expect(client_read(fd), 200, query);
        expect(client_read(fd), 200, "{\"status\":\"ok\"}");
    }
    close(fd);
}

/* A client that closes its side behind its requests gets its answers, and then the end. */
static void test_half_closed_connection(void **state) {
    fixture *f = *state;
    int fd = client_connect(f->port);
    client_puts(fd,
                "GET /livez" HOST "\r\nGET /api/v1/collections" HOST "\r\nGET /livez" HOST "\r\n");
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    expect(client_read(fd), 200, "{\"status\":\"ok\"}");
    expect(client_read(fd), 200, "collections");
    expect(client_read(fd), 200, "{\"status\":\"ok\"}");
    assert_true(client_closed(fd));
    close(fd);
}

/* ---- the server itself -------------------------------------------------------------------- */

static void test_starting(void **state) {
    fixture *f = *state;
    vt_http *http = open_server(1, 0);
    uint16_t port = vt_http_port(http);
    expect(client_get(port, "/livez"), 200, "");
    expect(client_get(port, "/healthz"), 200, "");
    expect(client_get(port, "/readyz"), 503, "\"code\":\"starting\"");
    expect(client_get(port, "/api/v1/health"), 503, "{\"status\":\"starting\",\"version\":");
    expect(client_get(port, "/metrics"), 200, "vitrine_http_in_flight 1");
    expect(client_get(port, "/api/v1/products"), 503, "\"code\":\"starting\"");
    answer a = client_post(port, SEARCH, JSON, "{\"text_query\":\"a\"}");
    assert_string_equal(answer_field(&a, "Retry-After"), "1");
    expect(a, 503, "\"code\":\"starting\"");
    expect(client_post(port, IMPORT, "application/x-ndjson", "{}\n"), 503, "starting");
    vt_http_attach(http, f->engine);
    expect(client_get(port, "/readyz"), 200, "{\"status\":\"ready\",\"index\":{\"cells\":7}}");
    expect(client_get(port, "/api/v1/health"), 200,
           "{\"catalogue\":{\"products\":7},\"status\":\"ok\"");
    expect(client_post(port, SEARCH, JSON, "{\"text_query\":\"a\"}"), 200, "");
    vt_http_close(http, 1);
}

static void test_metrics_count_by_route(void **state) {
    fixture *f = *state;
    vt_http *http = open_server(1, 0);
    uint16_t port = vt_http_port(http);
    vt_http_attach(http, f->engine);
    for (int i = 0; i < 3; i++)
        expect(client_post(port, SEARCH, JSON, "{\"text_query\":\"a\"}"), 200, "");
    expect(client_post(port, SEARCH, JSON, "{"), 400, "");
    expect(client_get(port, "/a-path-nobody-has"), 404, "");
    int fd = client_connect(port); /* on one connection: the last request is counted before this */
    client_puts(fd, "GET /readyz" HOST "\r\nGET /metrics" HOST "\r\n");
    expect(client_read(fd), 200, "");
    answer a = client_read(fd);
    assert_string_equal(answer_field(&a, "Content-Type"),
                        "text/plain; version=0.0.4; charset=utf-8");
#define COUNT "vitrine_http_requests_total{method="
    assert_non_null(strstr(a.body, COUNT "\"POST\",route=\"/api/v1/search\",status=\"2xx\"} 3\n"));
    assert_non_null(strstr(a.body, COUNT "\"POST\",route=\"/api/v1/search\",status=\"4xx\"} 1\n"));
    assert_non_null(strstr(a.body, COUNT "\"\",route=\"none\",status=\"4xx\"} 1\n"));
    assert_non_null(strstr(a.body, "vitrine_http_request_seconds_bucket{method=\"POST\",route=\""
                                   "/api/v1/search\",le=\"+Inf\"} 4\n"));
    assert_non_null(strstr(a.body, "\nvitrine_products 7\n"));
    assert_null(strstr(a.body, "nobody"));
    answer_release(&a);
    close(fd);
    vt_http_close(http, 1);
}

/* openapi.json and the route table name the same paths and methods. */
static void test_openapi_describes_every_route(void **state) {
    fixture *f = *state;
    answer a = client_get(f->port, "/openapi.json");
    assert_int_equal(a.status, 200);
    json_t *api = NULL;
    vt_err err;
    assert_int_equal(vt_json_parse(a.body, a.body_len, &api, &err), VT_OK);
    assert_string_equal(json_string_value(json_object_get(json_object_get(api, "info"), "version")),
                        VT_VERSION);
    json_t *paths = json_object_get(api, "paths");
    size_t n = 0, described = 0;
    const vt_route *routes = vt_routes(&n);
    for (size_t i = 0; i < n; i++) {
        char method[8] = {0};
        for (size_t c = 0; routes[i].method[c] != '\0'; c++)
            method[c] = (char)(routes[i].method[c] | 0x20);
        json_t *path = json_object_get(paths, routes[i].pattern);
        if (json_object_get(path, method) == NULL)
            fail_msg("%s %s is not described", routes[i].method, routes[i].pattern);
        for (size_t q = 0; routes[i].query != NULL && routes[i].query[q] != NULL; q++) {
            json_t *parameters = json_object_get(json_object_get(path, method), "parameters");
            assert_string_equal(
                json_string_value(json_object_get(json_array_get(parameters, q), "name")),
                routes[i].query[q]);
        }
    }
    const char *key;
    json_t *path;
    json_object_foreach(paths, key, path) described +=
        json_object_size(path) - (json_object_get(path, "parameters") != NULL);
    assert_int_equal(described, n);
    json_decref(api);
    answer_release(&a);
}

static void test_codes_are_in_openapi(void **state) {
    static const char *const codes[] = {
#define CODE(name, value, code, http, exit) code,
        VT_STATUS_MAP(CODE)
#undef CODE
            VT_CODE_STARTING,
        VT_CODE_METHOD, VT_CODE_HEAD};
    const char *api = (const char *)vt_asset_openapi.bytes;
    const char *list = memmem(api, vt_asset_openapi.size, "\"Code\": {", 9);
    assert_non_null(list);
    size_t rest = vt_asset_openapi.size - (size_t)(list - api);
    for (size_t i = 1; i < sizeof codes / sizeof codes[0]; i++) { /* 0 is "ok" */
        char quoted[64];
        int n = snprintf(quoted, sizeof quoted, "\"%s\"", codes[i]);
        assert_non_null(memmem(list, rest < 1500 ? rest : 1500, quoted, (size_t)n));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_search_takes_json),
        cmocka_unit_test(test_bad_bodies_are_explained),
        cmocka_unit_test(test_problem_names_the_member),
        cmocka_unit_test(test_index_product),
        cmocka_unit_test(test_chunked_body),
        cmocka_unit_test(test_search_form),
        cmocka_unit_test(test_detect_category),
        cmocka_unit_test(test_bad_forms_are_explained),
        cmocka_unit_test(test_index_form),
        cmocka_unit_test(test_form_file_is_kept_to_the_byte),
        cmocka_unit_test(test_ids_are_decoded_from_the_raw_path),
        cmocka_unit_test(test_list_parameters),
        cmocka_unit_test(test_methods),
        cmocka_unit_test(test_head_is_get_without_a_body),
        cmocka_unit_test(test_fields_of_every_answer),
        cmocka_unit_test(test_pipelined_requests_are_answered_in_order),
        cmocka_unit_test(test_half_closed_connection),
        cmocka_unit_test(test_starting),
        cmocka_unit_test(test_metrics_count_by_route),
        cmocka_unit_test(test_openapi_describes_every_route),
        cmocka_unit_test(test_codes_are_in_openapi),
    };
    return cmocka_run_group_tests_name("http", tests, set_up, fixture_close);
}
