/* routes_server: the routes about the server itself: is it alive, is it ready, what does it hold,
 * what has it counted, what does it understand.
 *
 * /livez and /healthz say that the process answers; /readyz that it has its engine and is not
 * stopping, which is what a load balancer should ask. None of the three waits for anything.
 *
 * Threading: inlined routes run on the connection's thread, the others on a worker. */
#include "http/server.h"

/* With the index's state where there is an engine to tell it. */
static void write_status(vt_buf *out, const char *text, vt_engine *e) {
    vt_json w;
    vt_json_init(&w, out);
    vt_json_open(&w, '{');
    vt_json_key(&w, "status");
    vt_json_str(&w, text);
    if (e != NULL) {
        vt_json_key(&w, "index");
        vt_engine_index_write(e, &w);
    }
    vt_json_close(&w, '}');
}

vt_status vt_route_live(vt_request *r, vt_engine *e, vt_err *err) {
    write_status(&r->answer.body, "ok", NULL);
    return VT_OK;
}

vt_status vt_route_ready(vt_request *r, vt_engine *e, vt_err *err) {
    if (e == NULL || atomic_load(&r->http->stopping)) {
        (void)vt_fail(err, VT_E_BUSY,
                      e == NULL ? "the server is starting" : "the server is stopping");
        vt_reply_problem(&r->answer, MHD_HTTP_SERVICE_UNAVAILABLE,
                         e == NULL ? VT_CODE_STARTING : vt_status_code(VT_E_BUSY), err, r->id);
        return VT_OK;
    }
    write_status(&r->answer.body, "ready", e);
    return VT_OK;
}

/* The engine's figures with status and version beside them, as one object. */
static vt_status merge_stats(const vt_buf *stats, vt_buf *out, vt_err *err) {
    json_t *object = NULL;
    vt_status status = vt_json_parse(stats->data, stats->len, &object, err);
    if (status != VT_OK)
        return status;
    if (json_object_set_new(object, "status", json_string("ok")) != 0 ||
        json_object_set_new(object, "version", json_string(VT_VERSION)) != 0) {
        status = vt_fail_nomem(err, stats->len);
    } else {
        vt_json w;
        vt_json_init(&w, out);
        vt_json_value(&w, object);
    }
    json_decref(object);
    return status;
}

vt_status vt_route_health(vt_request *r, vt_engine *e, vt_err *err) {
    if (e == NULL) {
        r->answer.http = MHD_HTTP_SERVICE_UNAVAILABLE;
        vt_json w;
        vt_json_init(&w, &r->answer.body);
        vt_json_open(&w, '{');
        vt_json_key(&w, "status");
        vt_json_str(&w, "starting");
        vt_json_key(&w, "version");
        vt_json_str(&w, VT_VERSION);
        vt_json_close(&w, '}');
        return VT_OK;
    }
    vt_buf stats;
    vt_buf_init(&stats, VT_ANSWER_MAX);
    vt_status status = vt_engine_stats(e, &stats, err);
    if (status == VT_OK)
        status = merge_stats(&stats, &r->answer.body, err);
    vt_buf_release(&stats);
    return status;
}

vt_status vt_route_collections(vt_request *r, vt_engine *e, vt_err *err) {
    return vt_engine_collections(e, &r->answer.body, err);
}

vt_status vt_route_metrics(vt_request *r, vt_engine *e, vt_err *err) {
    vt_metrics_write(r->http->metrics, &r->answer.body);
    return e == NULL ? VT_OK : vt_engine_metrics(e, &r->answer.body, err);
}

vt_status vt_route_openapi(vt_request *r, vt_engine *e, vt_err *err) {
    vt_buf_append(&r->answer.body, vt_asset_openapi.bytes, vt_asset_openapi.size);
    return VT_OK;
}
