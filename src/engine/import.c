/* Many products come in: a ring of lines that pass three stages, each with the threads that what
 * it waits for asks for.
 *
 *   fetch   many threads: parse, validate, read or download the picture    waits for the network
 *   encode  the engine's bulk lane (bulk.c): decode, preprocess, encode    waits for processors
 *   store   one thread: all that is ready goes to the catalogue in one     waits for the disk
 *           hand-over, then is told
 *
 * A line whose product was refused, or has its vector already, passes by the second stage. Each
 * stage is bounded by the next: who stores fills no slot before it is told, who encodes has a
 * bounded queue, and who feeds waits for a slot.
 *
 * Rejected: threads that do a line from end to end (as many pictures in memory as downloads at
 * once, no batches for the encoder, and the processors idle when all threads wait for the disk);
 * threads for decoding alone (bulk.c says why).
 *
 * Order: results are told in the order fed. Two lines with one id keep their order too: who has
 * parsed a line fetches it only when every earlier line is parsed and none of them, not yet
 * stored, has the same id. A line waits only for lines before its own, so the waiting has no cycle.
 *
 * Memory: the text of a line until its picture is taken (BYTES_WAITING in all), a picture's bytes
 * until it is encoded (a fetching thread holds one, the lane's queue is bounded), a vector until it
 * is stored.
 *
 * Threading: the lock guards the ring's counts and each slot's state; what else a slot holds
 * belongs to whoever moved it into its state. */
#include "engine/bulk.h"
#include "engine/ingest.h"

#include <pthread.h>

enum { FETCHERS_MIN = 16, FETCHERS_MAX = 64, GROUP = 64, BYTES_WAITING = 64 << 20 };

typedef enum line_state {
    LINE_EMPTY,
    LINE_FED,
    LINE_TAKEN,  /* by a fetching thread */
    LINE_PARSED, /* its id is known */
    LINE_READY,  /* to be stored, or told that it failed */
    LINE_DONE,
} line_state;

typedef struct slot {
    line_state state;
    vt_import *im;
    uint64_t line;
    char *text; /* until the picture is taken */
    size_t n;
    char id[VT_PRODUCT_ID_MAX + 1]; /* "" until parsed */
    vt_buf file;                    /* the picture, where it is a file of the user's own */
    vt_ingestion in;
    vt_bulk_job job;
    vt_status status;
    vt_ingest_result result;
    vt_err err;
} slot;

/* What is handed to the catalogue at once; the storing thread's own. */
typedef struct group {
    slot *slots[GROUP];
    size_t n;
    vt_product products[GROUP];
    vt_status statuses[GROUP];
    vt_put_result results[GROUP];
    vt_err errs[GROUP];
} group;

struct vt_import {
    vt_engine *e;
    char *image_dir;
    vt_import_fn fn;
    void *ctx;
    pthread_mutex_t lock;
    pthread_cond_t fed_one, parsed_one, ready_one, told_one;
    uint64_t fed, taken, told; /* running counts; ring index is count % n_slots */
    size_t ready;              /* slots that are */
    size_t bytes;              /* of text in the ring */
    bool closing, storing;
    slot *ring;
    size_t n_slots;
    group group;
    pthread_t storer;
    unsigned n_fetchers;
    pthread_t fetchers[];
};

static slot *slot_at(const vt_import *im, uint64_t count) {
    return &im->ring[count % im->n_slots];
}

static void slot_reset(vt_import *im, slot *sl) {
    free(sl->text);
    vt_buf_release(&sl->file);
    vt_ingestion_release(&sl->in);
    *sl = (slot){.im = im};
    vt_buf_init(&sl->file, VT_IMAGE_MAX_BYTES);
    vt_ingestion_init(&sl->in);
}

/* ---- fetch --------------------------------------------------------------------------- */

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

static bool earlier_in_the_way(const vt_import *im, uint64_t mine) {
    const char *id = slot_at(im, mine)->id;
    for (uint64_t i = im->told; i < mine; i++) {
        const slot *sl = slot_at(im, i);
        if (sl->state == LINE_TAKEN || (sl->state != LINE_DONE && *id && strcmp(sl->id, id) == 0))
            return true;
    }
    return false;
}

static void take_picture(slot *sl, json_t *product) {
    vt_import *im = sl->im;
    if (im->image_dir)
        sl->status = vt_picture_read_local(im->e, im->image_dir, product, &sl->file, &sl->err);
    if (sl->status == VT_OK)
        sl->status =
            vt_ingestion_begin(im->e, product, sl->file.data, sl->file.len, &sl->in, &sl->err);
}

/* The lock is held. */
static void make_ready(slot *sl) {
    sl->state = LINE_READY;
    sl->im->ready++;
    pthread_cond_signal(&sl->im->ready_one);
}

/* vt_bulk_job.done */
static void on_encoded(vt_bulk_job *job) {
    slot *sl = job->owner;
    vt_import *im = sl->im;
    if (job->status != VT_OK)
        sl->status =
            vt_fail_field(&sl->err, job->status, sl->in.picture_field, "%s", job->err.text);
    vt_buf_release(&sl->file);
    vt_picture_release(&sl->in.picture);
    pthread_mutex_lock(&im->lock);
    make_ready(sl);
    pthread_mutex_unlock(&im->lock); /* the last touch of im: it may be closed from here on */
}

static void hand_on(slot *sl) {
    vt_import *im = sl->im;
    if (sl->status == VT_OK && !sl->in.found) {
        sl->job = (vt_bulk_job){
            .bytes = sl->in.picture.bytes,
            .len = sl->in.picture.len,
            .vector = sl->in.product.embedding,
            .done = on_encoded,
            .owner = sl,
        };
        vt_bulk_submit(im->e->bulk, &sl->job);
        return;
    }
    pthread_mutex_lock(&im->lock);
    make_ready(sl);
    pthread_mutex_unlock(&im->lock);
}

/* Waits for its turn among lines of one id. */
static void announce(vt_import *im, uint64_t mine, const json_t *product) {
    slot *sl = slot_at(im, mine);
    pthread_mutex_lock(&im->lock);
    note_id(sl, product);
    sl->state = LINE_PARSED;
    pthread_cond_broadcast(&im->parsed_one);
    while (earlier_in_the_way(im, mine))
        pthread_cond_wait(&im->parsed_one, &im->lock);
    pthread_mutex_unlock(&im->lock);
}

static void drop_text(slot *sl) {
    vt_import *im = sl->im;
    pthread_mutex_lock(&im->lock);
    im->bytes -= sl->n;
    pthread_cond_broadcast(&im->told_one);
    pthread_mutex_unlock(&im->lock);
    free(sl->text);
    sl->text = NULL;
}

static void fetch(vt_import *im, uint64_t mine) {
    slot *sl = slot_at(im, mine);
    json_t *product;
    vt_pool_give_way(im->e->pool);
    product = parse_line(sl);
    announce(im, mine, product);
    if (sl->status == VT_OK)
        take_picture(sl, product);
    json_decref(product);
    drop_text(sl);
    hand_on(sl);
}

static void *fetch_lines(void *arg) {
    vt_import *im = arg;
    vt_thread_background();
    pthread_mutex_lock(&im->lock);
    for (;;) {
        while (im->taken == im->fed && !im->closing)
            pthread_cond_wait(&im->fed_one, &im->lock);
        if (im->taken == im->fed)
            break;
        uint64_t mine = im->taken++;
        slot_at(im, mine)->state = LINE_TAKEN;
        pthread_mutex_unlock(&im->lock);
        fetch(im, mine);
        pthread_mutex_lock(&im->lock);
    }
    pthread_mutex_unlock(&im->lock);
    return NULL;
}

/* ---- store and tell ------------------------------------------------------------------ */

/* The lock is held. The oldest first, so that the head of the ring is told soon. */
static void gather(vt_import *im) {
    group *g = &im->group;
    g->n = 0;
    for (uint64_t i = im->told; i < im->taken && g->n < GROUP; i++)
        if (slot_at(im, i)->state == LINE_READY)
            g->slots[g->n++] = slot_at(im, i);
    im->ready -= g->n;
}

static void store(vt_import *im) {
    group *g = &im->group;
    size_t n = 0;
    for (size_t i = 0; i < g->n; i++)
        if (g->slots[i]->status == VT_OK)
            g->products[n++] = g->slots[i]->in.product;
    vt_catalog_put_many(im->e->catalog, g->products, n, g->statuses, g->results, g->errs);
    n = 0;
    for (size_t i = 0; i < g->n; i++) {
        slot *sl = g->slots[i];
        bool reached = sl->status == VT_OK;
        if (reached && (sl->status = g->statuses[n]) != VT_OK)
            sl->err = g->errs[n];
        vt_ingestion_tell(im->e, sl->status, reached && !sl->in.found,
                          reached ? g->results[n] : VT_PUT_UNCHANGED, &sl->result);
        n += reached;
    }
}

/* The lock is held; it is let go of around each call of fn. */
static void tell_done(vt_import *im) {
    slot *sl;
    while (im->told < im->taken && (sl = slot_at(im, im->told))->state == LINE_DONE) {
        vt_import_line told = {.line = sl->line,
                               .id = sl->id,
                               .status = sl->status,
                               .result = &sl->result,
                               .err = &sl->err};
        pthread_mutex_unlock(&im->lock);
        im->fn(im->ctx, &told);
        pthread_mutex_lock(&im->lock);
        slot_reset(im, sl);
        im->told++;
        pthread_cond_broadcast(&im->told_one);
    }
}

static void *store_lines(void *arg) {
    vt_import *im = arg;
    vt_thread_background();
    pthread_mutex_lock(&im->lock);
    for (;;) {
        while (im->ready == 0 && !(im->closing && im->told == im->fed))
            pthread_cond_wait(&im->ready_one, &im->lock);
        if (im->ready == 0)
            break;
        gather(im);
        pthread_mutex_unlock(&im->lock);
        store(im);
        pthread_mutex_lock(&im->lock);
        for (size_t i = 0; i < im->group.n; i++)
            im->group.slots[i]->state = LINE_DONE;
        pthread_cond_broadcast(&im->parsed_one);
        tell_done(im);
    }
    pthread_mutex_unlock(&im->lock);
    return NULL;
}

/* ---- open, feed, close --------------------------------------------------------------- */

static unsigned fetchers_wanted(const vt_engine *e, unsigned asked) {
    unsigned some = 4 * vt_pool_threads(e->pool);
    if (asked > 0)
        return asked;
    return some < FETCHERS_MIN ? FETCHERS_MIN : some > FETCHERS_MAX ? FETCHERS_MAX : some;
}

/* A slot for each line that a stage may hold. */
static vt_status make_ring(vt_import *im, unsigned fetchers, vt_err *err) {
    im->n_slots = fetchers + 2 * vt_bulk_depth(im->e->bulk);
    im->ring = vt_alloc(im->n_slots, sizeof *im->ring);
    if (!im->ring)
        return vt_fail_nomem(err, im->n_slots * sizeof *im->ring);
    for (size_t i = 0; i < im->n_slots; i++)
        slot_reset(im, &im->ring[i]);
    return VT_OK;
}

static vt_status start_threads(vt_import *im, unsigned fetchers, vt_err *err) {
    im->storing = pthread_create(&im->storer, NULL, store_lines, im) == 0;
    while (im->storing && im->n_fetchers < fetchers) {
        if (pthread_create(&im->fetchers[im->n_fetchers], NULL, fetch_lines, im) != 0)
            break;
        im->n_fetchers++;
    }
    return im->n_fetchers == fetchers
               ? VT_OK
               : vt_fail(err, VT_E_NOMEM, "cannot start %u import threads", fetchers + 1);
}

vt_status vt_import_open(vt_engine *e, const vt_import_options *o, vt_import **out, vt_err *err) {
    unsigned fetchers = fetchers_wanted(e, o->workers);
    vt_import *im = vt_alloc(1, sizeof *im + fetchers * sizeof im->fetchers[0]);
    vt_status s;
    *out = NULL;
    if (!im)
        return vt_fail_nomem(err, sizeof *im);
    im->e = e;
    im->fn = o->fn;
    im->ctx = o->ctx;
    pthread_mutex_init(&im->lock, NULL);
    pthread_cond_init(&im->fed_one, NULL);
    pthread_cond_init(&im->parsed_one, NULL);
    pthread_cond_init(&im->ready_one, NULL);
    pthread_cond_init(&im->told_one, NULL);
    s = make_ring(im, fetchers, err);
    if (s == VT_OK && o->image_dir && !(im->image_dir = vt_strdup(o->image_dir)))
        s = vt_fail_nomem(err, strlen(o->image_dir));
    if (s == VT_OK)
        s = start_threads(im, fetchers, err);
    if (s == VT_OK)
        *out = im;
    else
        vt_import_close(im);
    return s;
}

/* Takes over text. A line with a status already set is told without being worked on. */
static void push(vt_import *im, uint64_t line, char *text, size_t n, const vt_err *why) {
    pthread_mutex_lock(&im->lock);
    while (im->fed - im->told == im->n_slots || (im->bytes > 0 && im->bytes + n > BYTES_WAITING))
        pthread_cond_wait(&im->told_one, &im->lock);
    slot *sl = slot_at(im, im->fed);
    sl->state = LINE_FED;
    sl->line = line;
    sl->text = text;
    sl->n = n;
    if (why) {
        sl->status = why->status;
        sl->err = *why;
    }
    im->bytes += n;
    im->fed++;
    pthread_cond_signal(&im->fed_one);
    pthread_mutex_unlock(&im->lock);
}

vt_status vt_import_feed(vt_import *im, uint64_t line, const char *json, size_t n, vt_err *err) {
    char *text = vt_strndup(json, n);
    if (!text)
        return vt_fail_nomem(err, n);
    push(im, line, text, n, NULL);
    return VT_OK;
}

vt_status vt_import_feed_error(vt_import *im, uint64_t line, const vt_err *why, vt_err *err) {
    push(im, line, NULL, 0, why);
    return VT_OK;
}

static void join_threads(vt_import *im) {
    pthread_mutex_lock(&im->lock);
    im->closing = true;
    pthread_cond_broadcast(&im->fed_one);
    pthread_cond_broadcast(&im->ready_one);
    pthread_mutex_unlock(&im->lock);
    for (unsigned i = 0; i < im->n_fetchers; i++)
        pthread_join(im->fetchers[i], NULL);
    if (im->storing)
        pthread_join(im->storer, NULL);
}

void vt_import_close(vt_import *im) {
    if (!im)
        return;
    join_threads(im);
    pthread_cond_destroy(&im->fed_one);
    pthread_cond_destroy(&im->parsed_one);
    pthread_cond_destroy(&im->ready_one);
    pthread_cond_destroy(&im->told_one);
    pthread_mutex_destroy(&im->lock);
    free(im->ring); /* every line was told, so its slots hold nothing */
    free(im->image_dir);
    free(im);
}
