/* See fake_engine.h. An import is done line by line in vt_import_feed, which keeps the order. */
#include "fake_engine.h"

#include <pthread.h>

#define PRODUCTS 4096

struct vt_engine {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool shut;
    unsigned waiting;
    char *ids[PRODUCTS];
    unsigned n;
};

struct vt_import {
    vt_engine *e;
    vt_import_options o;
};

struct vt_rows {
    vt_row_fn fn;
    void *ctx;
    vt_buf line;
    uint64_t number;
};

vt_engine *fake_engine_open(void) {
    vt_engine *e = vt_alloc(1, sizeof *e);
    assert(e != NULL);
    pthread_mutex_init(&e->lock, NULL);
    pthread_cond_init(&e->changed, NULL);
    return e;
}

void fake_engine_close(vt_engine *e) {
    for (unsigned i = 0; i < e->n; i++)
        free(e->ids[i]);
    pthread_cond_destroy(&e->changed);
    pthread_mutex_destroy(&e->lock);
    free(e);
}

static void set_gate(vt_engine *e, bool shut) {
    pthread_mutex_lock(&e->lock);
    e->shut = shut;
    pthread_cond_broadcast(&e->changed);
    pthread_mutex_unlock(&e->lock);
}

void fake_engine_shut(vt_engine *e) {
    set_gate(e, true);
}

void fake_engine_release(vt_engine *e) {
    set_gate(e, false);
}

void fake_engine_await(vt_engine *e, unsigned n) {
    pthread_mutex_lock(&e->lock);
    while (e->waiting < n)
        pthread_cond_wait(&e->changed, &e->lock);
    pthread_mutex_unlock(&e->lock);
}

unsigned fake_engine_products(vt_engine *e) {
    pthread_mutex_lock(&e->lock);
    unsigned n = e->n;
    pthread_mutex_unlock(&e->lock);
    return n;
}

static void pass_gate(vt_engine *e, const char *word) {
    if (word == NULL || strstr(word, "slow") == NULL)
        return;
    pthread_mutex_lock(&e->lock);
    e->waiting++;
    pthread_cond_broadcast(&e->changed);
    while (e->shut)
        pthread_cond_wait(&e->changed, &e->lock);
    e->waiting--;
    pthread_mutex_unlock(&e->lock);
}

/* Under the lock. */
static unsigned find(const vt_engine *e, const char *id) {
    unsigned i = 0;
    while (i < e->n && strcmp(e->ids[i], id) != 0)
        i++;
    return i;
}

vt_status vt_engine_ingest(vt_engine *e, const json_t *product, const void *image, size_t image_len,
                           vt_ingest_result *result, vt_err *err) {
    const char *id = json_string_value(json_object_get(product, "id"));
    if (id == NULL)
        return vt_fail_field(err, VT_E_INVALID, "/id", "id is missing");
    if (!json_is_string(json_object_get(product, "name")))
        return vt_fail_field(err, VT_E_INVALID, "/name", "name is missing");
    if (strcmp(id, "dead-host") == 0)
        return vt_fail_field(err, VT_E_UPSTREAM, "/image_url", "the picture's server is dead");
    pass_gate(e, id);
    pthread_mutex_lock(&e->lock);
    unsigned at = find(e, id);
    *result = (vt_ingest_result){at < e->n ? "unchanged" : "created", image != NULL};
    if (at == e->n && e->n < PRODUCTS)
        e->ids[e->n++] = vt_strdup(id);
    pthread_mutex_unlock(&e->lock);
    return VT_OK;
}

vt_status vt_import_open(vt_engine *e, const vt_import_options *o, vt_import **out, vt_err *err) {
    vt_import *im = *out = vt_alloc(1, sizeof *im);
    if (im == NULL)
        return vt_fail_nomem(err, sizeof *im);
    *im = (vt_import){e, *o};
    return VT_OK;
}

vt_status vt_import_feed(vt_import *im, uint64_t line, const char *json, size_t n, vt_err *err) {
    json_t *product = NULL;
    vt_err why = {0};
    vt_ingest_result result = {0};
    vt_status status = vt_json_parse(json, n, &product, &why);
    if (status == VT_OK)
        status = vt_engine_ingest(im->e, product, NULL, 0, &result, &why);
    const char *id = json_string_value(json_object_get(product, "id"));
    vt_import_line told = {line, id == NULL ? "" : id, status, &result, &why};
    im->o.fn(im->o.ctx, &told);
    json_decref(product);
    return VT_OK;
}

vt_status vt_import_feed_error(vt_import *im, uint64_t line, const vt_err *why, vt_err *err) {
    vt_import_line told = {.line = line, .id = "", .status = why->status, .err = why};
    im->o.fn(im->o.ctx, &told);
    return VT_OK;
}

void vt_import_close(vt_import *im) {
    free(im);
}

vt_status vt_rows_open(vt_rows_format format, size_t max_line, vt_row_fn fn, void *ctx,
                       vt_rows **out, vt_err *err) {
    vt_rows *r = *out = vt_alloc(1, sizeof *r);
    if (r == NULL)
        return vt_fail_nomem(err, sizeof *r);
    r->fn = fn;
    r->ctx = ctx;
    vt_buf_init(&r->line, max_line);
    return VT_OK;
}

static vt_status end_line(vt_rows *r, vt_err *err) {
    vt_err why = {0};
    vt_status status = vt_buf_status(&r->line, "the line", &why);
    r->number++;
    if (status != VT_OK)
        status = r->fn(r->ctx, r->number, NULL, 0, &why, err);
    else if (r->line.len > 0)
        status = r->fn(r->ctx, r->number, r->line.data, r->line.len, NULL, err);
    vt_buf_clear(&r->line);
    return status;
}

vt_status vt_rows_feed(vt_rows *r, const char *bytes, size_t n, vt_err *err) {
    vt_status status = VT_OK;
    for (size_t i = 0; i < n && status == VT_OK; i++) {
        if (bytes[i] == '\n')
            status = end_line(r, err);
        else
            vt_buf_append(&r->line, &bytes[i], 1);
    }
    return status;
}

vt_status vt_rows_finish(vt_rows *r, vt_err *err) {
    return r->line.len > 0 ? end_line(r, err) : VT_OK;
}

void vt_rows_close(vt_rows *r) {
    if (r == NULL)
        return;
    vt_buf_release(&r->line);
    free(r);
}

/* {"request": what came, "image_bytes": n}, so that a test sees what the server understood. */
vt_status vt_engine_search(vt_engine *e, const json_t *request, const void *image, size_t image_len,
                           vt_buf *answer, vt_err *err) {
    const char *text = json_string_value(json_object_get(request, "text_query"));
    if (text == NULL && image == NULL)
        return vt_fail_field(err, VT_E_INVALID, "/text_query", "text_query or an image is needed");
    pass_gate(e, text);
    vt_json w;
    vt_json_init(&w, answer);
    vt_json_open(&w, '{');
    vt_json_key(&w, "request");
    vt_json_value(&w, request);
    vt_json_key(&w, "image_bytes");
    vt_json_int(&w, image == NULL ? -1 : (int64_t)image_len);
    vt_json_key(&w, "image_hash");
    vt_hash hash = vt_hash_bytes(image, image == NULL ? 0 : image_len);
    char hex[65];
    vt_hash_hex(&hash, hex);
    vt_json_str(&w, hex);
    vt_json_close(&w, '}');
    return VT_OK;
}

/* The same echo, under another name: which call was made can be told. */
vt_status vt_engine_detect_category(vt_engine *e, const json_t *request, const void *image,
                                    size_t image_len, vt_buf *answer, vt_err *err) {
    vt_json w;
    if (image == NULL)
        return vt_fail_field(err, VT_E_INVALID, "/image", "an image is needed");
    vt_json_init(&w, answer);
    vt_json_open(&w, '{');
    vt_json_key(&w, "detection");
    vt_json_value(&w, request);
    vt_json_key(&w, "image_bytes");
    vt_json_int(&w, (int64_t)image_len);
    vt_json_close(&w, '}');
    return VT_OK;
}

static void write_id(vt_buf *answer, const char *id) {
    vt_json w;
    vt_json_init(&w, answer);
    vt_json_open(&w, '{');
    vt_json_key(&w, "product_id");
    vt_json_str(&w, id);
    vt_json_close(&w, '}');
}

vt_status vt_engine_get(vt_engine *e, const char *id, vt_buf *answer, vt_err *err) {
    pthread_mutex_lock(&e->lock);
    bool found = find(e, id) < e->n;
    pthread_mutex_unlock(&e->lock);
    if (!found)
        return vt_fail(err, VT_E_NOT_FOUND, "there is no product '%s'", id);
    write_id(answer, id);
    return VT_OK;
}

vt_status vt_engine_delete(vt_engine *e, const char *id, vt_err *err) {
    pthread_mutex_lock(&e->lock);
    unsigned at = find(e, id);
    bool found = at < e->n;
    if (found) {
        free(e->ids[at]);
        e->ids[at] = e->ids[--e->n];
    }
    pthread_mutex_unlock(&e->lock);
    return found ? VT_OK : vt_fail(err, VT_E_NOT_FOUND, "there is no product '%s'", id);
}

vt_status vt_engine_list(vt_engine *e, const char *after, size_t limit, const json_t *filter,
                         vt_buf *answer, vt_err *err) {
    vt_json w;
    vt_json_init(&w, answer);
    vt_json_open(&w, '{');
    vt_json_key(&w, "after");
    vt_json_str(&w, after);
    vt_json_key(&w, "limit");
    vt_json_int(&w, (int64_t)limit);
    vt_json_key(&w, "filter");
    vt_json_value(&w, filter);
    vt_json_close(&w, '}');
    return VT_OK;
}

vt_status vt_engine_collections(vt_engine *e, vt_buf *answer, vt_err *err) {
    vt_buf_puts(answer, "{\"collections\":[]}");
    return VT_OK;
}

vt_status vt_engine_stats(vt_engine *e, vt_buf *answer, vt_err *err) {
    vt_buf_puts(answer, "{\"catalogue\":{\"products\":7}}");
    return VT_OK;
}

void vt_engine_index_write(vt_engine *e, vt_json *w) {
    vt_json_open(w, '{');
    vt_json_key(w, "cells");
    vt_json_int(w, 7);
    vt_json_close(w, '}');
}

vt_status vt_engine_metrics(vt_engine *e, vt_buf *answer, vt_err *err) {
    vt_buf_puts(answer, "vitrine_products 7\n");
    return VT_OK;
}
