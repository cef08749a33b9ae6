/* The engine as a whole, on the demo's model and pictures: an import goes through the bulk lane in
 * batches and gives what single products give, in order, however many run at once and whoever
 * searches meanwhile; and queries go through theirs, no more often than they must. The linker puts
 * `--wrap` around vt_clip_encode_images, so that tests see each batch and can make one fail. */
#include "shop.h"

#include <pthread.h>

/* ---- the encoder, watched ------------------------------------------------------------ */

static struct {
    atomic_uint query, bulk, batches; /* pictures by lane; batches of more than one */
    atomic_size_t largest;
    atomic_bool refuse_batches;
    atomic_uint refuse_next; /* single pictures to refuse */
} watched;

vt_status __real_vt_clip_encode_images(vt_clip *m, const float *const *pixels, size_t count,
                                       vt_lane lane, float *out, vt_err *err);
vt_status __wrap_vt_clip_encode_images(vt_clip *m, const float *const *pixels, size_t count,
                                       vt_lane lane, float *out, vt_err *err);

vt_status __wrap_vt_clip_encode_images(vt_clip *m, const float *const *pixels, size_t count,
                                       vt_lane lane, float *out, vt_err *err) {
    atomic_fetch_add(lane == VT_LANE_BULK ? &watched.bulk : &watched.query, (unsigned)count);
    atomic_fetch_add(&watched.batches, count > 1);
    if (count > atomic_load(&watched.largest))
        atomic_store(&watched.largest, count);
    if (count > 1 && atomic_load(&watched.refuse_batches))
        return vt_fail(err, VT_E_NOMEM, "this batch is too large");
    if (count == 1 && atomic_load(&watched.refuse_next) > 0) {
        atomic_fetch_sub(&watched.refuse_next, 1);
        return vt_fail(err, VT_E_INTERNAL, "the vector of this image has no finite length");
    }
    return __real_vt_clip_encode_images(m, pixels, count, lane, out, err);
}

static void watch_afresh(void) {
    memset(&watched, 0, sizeof watched);
}

/* ---- an engine in a folder of its own ------------------------------------------------ */

static void shop_open(shop *sh) {
    shop_start(sh, false);
    watch_afresh();
}

static void assert_vector_like(shop *a, shop *b, const char *id) {
    vt_product p, q;
    vt_err err;
    vt_product_init(&p);
    vt_product_init(&q);
    assert_int_equal(vt_catalog_get(a->e->catalog, id, &p, &err), VT_OK);
    assert_int_equal(vt_catalog_get(b->e->catalog, id, &q, &err), VT_OK);
    assert_string_equal(p.name, q.name);
    assert_true(vt_vec_dot(p.embedding, q.embedding, vt_clip_describe(a->e->clip)->dim) >=
                0.99999F);
    vt_product_release(&p);
    vt_product_release(&q);
}

/* ---- an import, and what it told ----------------------------------------------------- */

typedef struct told {
    vt_import_counts counts;
    uint64_t last_line;
    bool disordered;
    vt_status statuses[4 * SHOP_PRODUCTS];
    char texts[4 * SHOP_PRODUCTS][VT_PRODUCT_ID_MAX + VT_ERR_FIELD_MAX + 2];
} told;

static void note_line(void *ctx, const vt_import_line *l) {
    told *t = ctx;
    t->disordered |= l->line != t->last_line + 1;
    t->last_line = l->line;
    t->statuses[l->line] = l->status;
    snprintf(t->texts[l->line], sizeof t->texts[0], "%s %s", l->id,
             l->status == VT_OK ? l->result->result : l->err->field);
    vt_import_count(&t->counts, l);
}

static vt_import *import_open(shop *sh, told *t) {
    vt_import_options o = {.image_dir = sh->demo, .fn = note_line, .ctx = t};
    vt_import *im;
    vt_err err;
    *t = (told){0};
    assert_int_equal(vt_import_open(sh->e, &o, &im, &err), VT_OK);
    return im;
}

static void feed(vt_import *im, uint64_t line, const json_t *product) {
    char *text = json_dumps(product, 0);
    vt_err err;
    assert_non_null(text);
    assert_int_equal(vt_import_feed(im, line, text, strlen(text), &err), VT_OK);
    free(text);
}

static void import_all(shop *sh, told *t) {
    vt_import *im = import_open(sh, t);
    for (size_t i = 0; i < SHOP_PRODUCTS; i++)
        feed(im, i + 1, sh->lines[i]);
    vt_import_close(im);
    assert_false(t->disordered);
    assert_int_equal(t->last_line, SHOP_PRODUCTS);
}

static const char *id_of(const json_t *line) {
    return json_string_value(json_object_get(line, "id"));
}

/* ---- imports ------------------------------------------------------------------------- */

static void ingest_one(shop *sh, size_t i) {
    vt_ingest_result result;
    vt_buf bytes;
    vt_err err;
    vt_buf_init(&bytes, VT_IMAGE_MAX_BYTES);
    assert_int_equal(vt_picture_read_local(sh->e, sh->demo, sh->lines[i], &bytes, &err), VT_OK);
    assert_int_equal(vt_engine_ingest(sh->e, sh->lines[i], bytes.data, bytes.len, &result, &err),
                     VT_OK);
    assert_string_equal(result.result, "created");
    assert_true(result.encoded);
    vt_buf_release(&bytes);
}

static void an_import_gives_what_single_products_give(void **state) {
    shop one, many;
    told t;
    shop_open(&one);
    for (size_t i = 0; i < SHOP_PRODUCTS; i++)
        ingest_one(&one, i);
    assert_int_equal(watched.query, SHOP_PRODUCTS);
    assert_int_equal(watched.bulk, 0);
    shop_open(&many);
    import_all(&many, &t);
    assert_int_equal(watched.query, 0);
    assert_int_equal(watched.bulk, SHOP_PRODUCTS);
    assert_int_equal(t.counts.created, SHOP_PRODUCTS);
    assert_int_equal(t.counts.encoded, SHOP_PRODUCTS);
    for (size_t i = 0; i < SHOP_PRODUCTS; i++)
        assert_vector_like(&one, &many, id_of(one.lines[i]));
    import_all(&many, &t);
    assert_int_equal(t.counts.unchanged, SHOP_PRODUCTS);
    assert_int_equal(watched.bulk, SHOP_PRODUCTS); /* no picture twice */
    shop_close(&one);
    shop_close(&many);
}

static void a_batch_that_fails_is_encoded_one_by_one(void **state) {
    shop sh;
    told t;
    shop_open(&sh);
    atomic_store(&watched.refuse_batches, true);
    atomic_store(&watched.refuse_next, 1);
    import_all(&sh, &t);
    assert_true(watched.batches > 0);
    assert_int_equal(t.counts.created, SHOP_PRODUCTS - 1);
    assert_int_equal(t.counts.failed, 1);
    for (size_t i = 1; i <= SHOP_PRODUCTS; i++)
        if (t.statuses[i] != VT_OK)
            assert_non_null(strstr(t.texts[i], " /image"));
    shop_close(&sh);
}

static void bad_lines_are_told_in_their_place(void **state) {
    static const char *const bad[] = {"{", "[]", "{\"id\":\"x\",\"name\":\"X\"}",
                                      "{\"id\":\"y\",\"name\":\"Y\",\"image\":\"catalogue.jsonl\"}",
                                      "{\"id\":\"z\",\"name\":\"Z\",\"image\":\"nowhere.png\"}"};
    static const char *const words[] = {" ", " ", "x /image_url", "y /image", "z /image"};
    shop sh;
    told t;
    vt_import *im;
    vt_err err, why;
    uint64_t line = 0;
    shop_open(&sh);
    im = import_open(&sh, &t);
    for (size_t i = 0; i < 5; i++) {
        feed(im, ++line, sh.lines[i]);
        assert_int_equal(vt_import_feed(im, ++line, bad[i], strlen(bad[i]), &err), VT_OK);
    }
    (void)vt_fail(&why, VT_E_TOO_LARGE, "longer than a line may be");
    assert_int_equal(vt_import_feed_error(im, ++line, &why, &err), VT_OK);
    vt_import_close(im);
    assert_false(t.disordered);
    assert_int_equal(t.counts.created, 5);
    assert_int_equal(t.counts.failed, 6);
    for (size_t i = 0; i < 5; i++)
        assert_string_equal(t.texts[2 * i + 2], words[i]);
    assert_int_equal(t.statuses[11], VT_E_TOO_LARGE);
    shop_close(&sh);
}

/* Every line of the same product: each is stored after the one before. */
static void lines_of_one_id_keep_their_order(void **state) {
    enum { LINES = 40 };
    shop sh;
    told t;
    vt_import *im;
    vt_product p;
    vt_err err;
    shop_open(&sh);
    im = import_open(&sh, &t);
    for (size_t i = 0; i < LINES; i++) {
        char name[16];
        json_t *line = json_copy(sh.lines[i % 7]); /* another picture now and then */
        snprintf(name, sizeof name, "name %zu", i);
        json_object_set_new(line, "id", json_string("one"));
        json_object_set_new(line, "name", json_string(name));
        feed(im, i + 1, line);
        json_decref(line);
    }
    vt_import_close(im);
    assert_int_equal(t.counts.created, 1);
    assert_int_equal(t.counts.updated, LINES - 1);
    assert_string_equal(t.texts[1], "one created");
    vt_product_init(&p);
    assert_int_equal(vt_catalog_get(sh.e->catalog, "one", &p, &err), VT_OK);
    assert_string_equal(p.name, "name 39");
    vt_product_release(&p);
    shop_close(&sh);
}

/* ---- queries ------------------------------------------------------------------------- */

static void search(shop *sh, const char *request) {
    json_t *json;
    vt_buf answer;
    vt_err err;
    vt_buf_init(&answer, 10 << 20);
    assert_int_equal(vt_json_parse(request, strlen(request), &json, &err), VT_OK);
    if (vt_engine_search(sh->e, json, NULL, 0, &answer, &err) != VT_OK)
        fail_msg("%s", err.text);
    json_decref(json);
    vt_buf_release(&answer);
}

static unsigned long long texts_encoded(const shop *sh) {
    return atomic_load(&sh->e->counters.texts_encoded);
}

static void words_are_encoded_once_whatever_the_filter(void **state) {
    shop sh;
    told t;
    shop_open(&sh);
    import_all(&sh, &t);
    unsigned long long before = texts_encoded(&sh);
    search(&sh, "{\"text_query\": \"red shirt\"}");
    assert_int_equal(texts_encoded(&sh), before + 1);
    search(&sh, "{\"text_query\": \"red shirt\", \"top_k\": 3}");
    search(&sh, "{\"text_query\": \" RED  shirt\", \"price_max\": 20}");
    assert_int_equal(texts_encoded(&sh), before + 1);
    search(&sh, "{\"text_query\": \"red shirts\"}");
    assert_int_equal(texts_encoded(&sh), before + 2);
    shop_close(&sh);
}

static void a_picture_is_encoded_once_whatever_is_asked_of_it(void **state) {
    shop sh;
    told t;
    vt_buf bytes, answer;
    vt_err err;
    json_t *ask = json_object();
    shop_open(&sh);
    import_all(&sh, &t);
    vt_buf_init(&bytes, VT_IMAGE_MAX_BYTES);
    vt_buf_init(&answer, 10 << 20);
    assert_int_equal(vt_picture_read_local(sh.e, sh.demo, sh.lines[3], &bytes, &err), VT_OK);
    for (int top_k = 1; top_k <= 3; top_k++) {
        json_object_set_new(ask, "top_k", json_integer(top_k));
        assert_int_equal(vt_engine_search(sh.e, ask, bytes.data, bytes.len, &answer, &err), VT_OK);
    }
    json_object_clear(ask);
    assert_int_equal(vt_engine_detect_category(sh.e, ask, bytes.data, bytes.len, &answer, &err),
                     VT_OK);
    assert_int_equal(watched.query, 1);
    json_decref(ask);
    vt_buf_release(&bytes);
    vt_buf_release(&answer);
    shop_close(&sh);
}

/* ---- all at once --------------------------------------------------------------------- */

static void *import_in_thread(void *ctx) {
    told *t = vt_alloc(1, sizeof *t);
    import_all(ctx, t);
    assert_int_equal(t->counts.failed, 0);
    free(t);
    return NULL;
}

static void *search_in_thread(void *ctx) {
    for (int i = 0; i < 150; i++) {
        char request[80];
        snprintf(request, sizeof request, "{\"text_query\": \"lamp %d\", \"top_k\": %d}", i / 2,
                 1 + i % 5);
        search(ctx, request);
    }
    return NULL;
}

static void imports_and_queries_do_not_disturb_each_other(void **state) {
    enum { THREADS = 6 };
    pthread_t threads[THREADS];
    shop sh;
    vt_cache_stats vectors;
    vt_err err;
    shop_open(&sh);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(
            pthread_create(&threads[i], NULL, i < 3 ? import_in_thread : search_in_thread, &sh), 0);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_in_range(watched.largest, 1, 8);
    vt_cache_describe(sh.e->vectors, &vectors);
    assert_int_equal(vectors.misses, 75);
    assert_int_equal(vt_cache_check(sh.e->vectors, &err), VT_OK);
    shop_close(&sh);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_import_gives_what_single_products_give),
        cmocka_unit_test(a_batch_that_fails_is_encoded_one_by_one),
        cmocka_unit_test(bad_lines_are_told_in_their_place),
        cmocka_unit_test(lines_of_one_id_keep_their_order),
        cmocka_unit_test(words_are_encoded_once_whatever_the_filter),
        cmocka_unit_test(a_picture_is_encoded_once_whatever_is_asked_of_it),
        cmocka_unit_test(imports_and_queries_do_not_disturb_each_other),
    };
    return cmocka_run_group_tests_name("import", tests, NULL, NULL);
}
