/* Many products come in: a ring of lines between one feeder and several workers. A line's picture
 * is downloaded or read, decoded and encoded while others wait for the disk, and the commits of
 * several lines fall together (group commit).
 *
 * Order: results are told in the order fed, by whichever worker finds the head of the ring done.
 * Two lines with one id keep their order too: a worker that has parsed its line waits until every
 * earlier line is parsed and none of them, still working, has the same id. A worker waits only for
 * lines before its own, so the waiting has no cycle.
 *
 * Memory is bounded by SLOTS and by the bytes of the lines waiting. */
#include "engine/state.h"

#include <pthread.h>

enum { SLOTS = 64, WORKERS = 8, BYTES_WAITING = 64 << 20 };

typedef enum line_state { LINE_EMPTY, LINE_FED, LINE_TAKEN, LINE_PARSED, LINE_DONE } line_state;

typedef struct slot {
    line_state state;
    uint64_t line;
    char *text;
    size_t n;
    char id[VT_PRODUCT_ID_MAX + 1]; /* "" until parsed */
    vt_status status;
    vt_ingest_result result;
    vt_err err;
} slot;

struct vt_import {
    vt_engine *e;
    char *image_dir;
    vt_import_fn fn;
    void *ctx;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    slot ring[SLOTS];
    uint64_t fed, taken, told; /* running counts; ring index is count % SLOTS */
    size_t bytes;              /* of text in the ring */
    bool telling, closing;
    unsigned n_workers;
    pthread_t workers[];
};

/* ---- one line ----------------------------------------------------------------------------- */

static vt_status ingest_line(vt_import *im, json_t *product, slot *sl) {
    vt_buf bytes;
    vt_status s = VT_OK;
    vt_buf_init(&bytes, VT_IMAGE_MAX_BYTES);
    if (im->image_dir)
        s = vt_picture_read_local(im->e, im->image_dir, product, &bytes, &sl->err);
    if (s == VT_OK)
        s = vt_engine_ingest(im->e, product, bytes.data, bytes.len, &sl->result, &sl->err);
    vt_buf_release(&bytes);
    return s;
}

static json_t *parse_line(slot *sl) {
    json_t *product = NULL;
    if (sl->status == VT_OK)
        sl->status = vt_json_parse(sl->text, sl->n, &product, &sl->err);
    if (sl->status == VT_OK && !json_is_object(product))
        sl->status = vt_fail(&sl->err, VT_E_INVALID, "a product is a JSON object");
    return product;
}

/* An id too long to be valid is told cut; the product itself is refused by its validation. */
static void note_id(slot *sl, const json_t *product) {
    const char *id = json_string_value(json_object_get(product, "id"));
    if (id && (size_t)snprintf(sl->id, sizeof sl->id, "%s", id) >= sizeof sl->id)
        sl->id[0] = 0;
}

/* ---- the ring ------------------------------------------------------------------------------- */

static bool earlier_in_the_way(const vt_import *im, uint64_t mine) {
    const char *id = im->ring[mine % SLOTS].id;
    for (uint64_t i = im->told; i < mine; i++) {
        const slot *sl = &im->ring[i % SLOTS];
        if (sl->state == LINE_TAKEN || (sl->state == LINE_PARSED && strcmp(sl->id, id) == 0))
            return true;
    }
    return false;
}

/* Called with the lock held; lets go of it around each call of fn. */
static void tell_ready(vt_import *im) {
    if (im->telling)
        return;
    im->telling = true;
    while (im->told < im->taken && im->ring[im->told % SLOTS].state == LINE_DONE) {
        slot *sl = &im->ring[im->told % SLOTS];
        vt_import_line told = {.line = sl->line,
                               .id = sl->id,
                               .status = sl->status,
                               .result = &sl->result,
                               .err = &sl->err};
        pthread_mutex_unlock(&im->lock);
        im->fn(im->ctx, &told);
        pthread_mutex_lock(&im->lock);
        im->bytes -= sl->n;
        free(sl->text);
        *sl = (slot){.state = LINE_EMPTY};
        im->told++;
        pthread_cond_broadcast(&im->changed);
    }
    im->telling = false;
}

/* Called and left with the lock held. */
static void work_on(vt_import *im, uint64_t mine) {
    slot *sl = &im->ring[mine % SLOTS];
    json_t *product;
    sl->state = LINE_TAKEN;
    pthread_mutex_unlock(&im->lock);
    product = parse_line(sl);
    pthread_mutex_lock(&im->lock);
    note_id(sl, product);
    sl->state = LINE_PARSED;
    pthread_cond_broadcast(&im->changed);
    while (earlier_in_the_way(im, mine))
        pthread_cond_wait(&im->changed, &im->lock);
    if (sl->status == VT_OK) {
        pthread_mutex_unlock(&im->lock);
        sl->status = ingest_line(im, product, sl);
        pthread_mutex_lock(&im->lock);
    }
    json_decref(product);
    sl->state = LINE_DONE;
    pthread_cond_broadcast(&im->changed);
    tell_ready(im);
}

static void *work(void *arg) {
    vt_import *im = arg;
    pthread_mutex_lock(&im->lock);
    for (;;) {
        while (im->taken == im->fed && !im->closing)
            pthread_cond_wait(&im->changed, &im->lock);
        if (im->taken == im->fed)
            break;
        work_on(im, im->taken++);
    }
    pthread_mutex_unlock(&im->lock);
    return NULL;
}

/* ---- open, feed, close ------------------------------------------------------------------------
 */

vt_status vt_import_open(vt_engine *e, const vt_import_options *o, vt_import **out, vt_err *err) {
    unsigned workers = o->workers ? o->workers : WORKERS;
    vt_import *im = vt_alloc(1, sizeof *im + workers * sizeof im->workers[0]);
    *out = NULL;
    if (!im)
        return vt_fail_nomem(err, sizeof *im);
    im->e = e;
    im->fn = o->fn;
    im->ctx = o->ctx;
    pthread_mutex_init(&im->lock, NULL);
    pthread_cond_init(&im->changed, NULL);
    if (o->image_dir && !(im->image_dir = vt_strdup(o->image_dir))) {
        vt_import_close(im);
        return vt_fail_nomem(err, strlen(o->image_dir));
    }
    for (; im->n_workers < workers; im->n_workers++) {
        if (pthread_create(&im->workers[im->n_workers], NULL, work, im) != 0) {
            vt_import_close(im);
            return vt_fail(err, VT_E_NOMEM, "cannot start %u import workers", workers);
        }
    }
    *out = im;
    return VT_OK;
}

/* Takes over text. A slot with a status already set is told without being worked on. */
static void push(vt_import *im, const slot *sl) {
    pthread_mutex_lock(&im->lock);
    while (im->fed - im->told == SLOTS || (im->bytes > 0 && im->bytes + sl->n > BYTES_WAITING))
        pthread_cond_wait(&im->changed, &im->lock);
    im->ring[im->fed % SLOTS] = *sl;
    im->bytes += sl->n;
    im->fed++;
    pthread_cond_broadcast(&im->changed);
    pthread_mutex_unlock(&im->lock);
}

vt_status vt_import_feed(vt_import *im, uint64_t line, const char *json, size_t n, vt_err *err) {
    slot sl = {.state = LINE_FED, .line = line, .text = vt_strndup(json, n), .n = n};
    if (!sl.text)
        return vt_fail_nomem(err, n);
    push(im, &sl);
    return VT_OK;
}

vt_status vt_import_feed_error(vt_import *im, uint64_t line, const vt_err *why, vt_err *err) {
    slot sl = {
        .state = LINE_FED, .line = line, .text = vt_strdup(""), .status = why->status, .err = *why};
    if (!sl.text)
        return vt_fail_nomem(err, 1);
    push(im, &sl);
    return VT_OK;
}

void vt_import_close(vt_import *im) {
    if (!im)
        return;
    pthread_mutex_lock(&im->lock);
    im->closing = true;
    pthread_cond_broadcast(&im->changed);
    pthread_mutex_unlock(&im->lock);
    for (unsigned i = 0; i < im->n_workers; i++)
        pthread_join(im->workers[i], NULL);
    pthread_mutex_destroy(&im->lock);
    pthread_cond_destroy(&im->changed);
    free(im->image_dir);
    free(im);
}
