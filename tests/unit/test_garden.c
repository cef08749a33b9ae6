/* The garden on a catalogue whose upkeep is the test's own: the linker's --wrap puts it in the
 * place of rebuilds, learning and snapshots, so that a test says what is due and sees what is done.
 */
#include "shop.h"

#include "engine/audit.h"
#include "engine/garden.h"

#include <pthread.h>

enum { EVENTS_MAX = 64 };

/* ---- the upkeep, watched ------------------------------------------------------------- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static struct {
    bool rebuild_due, rebuild_fails, learning_blocks;
    size_t cells;
    float fraction[VT_QUERY_KINDS];
    uint64_t snapshot_seq, changes; /* changes: more than there were */
    char events[EVENTS_MAX + 1]; /* R: rebuilt, I, T: learnt of images, texts; S: saved because it
                                  * must, s: if there is much; F: a rebuild failed */
    size_t n_vectors, dim;
    float *vectors; /* texts learnt from */
    unsigned spent[VT_QUERY_KINDS];
    float factor;
} up;

static void note_event(char what) {
    size_t n = strlen(up.events);
    if (n < EVENTS_MAX)
        up.events[n] = what;
}

static void forget_events(void) {
    pthread_mutex_lock(&lock);
    memset(up.events, 0, sizeof up.events);
    pthread_mutex_unlock(&lock);
}

static bool saw(const char *events) {
    pthread_mutex_lock(&lock);
    bool is = strstr(up.events, events) != NULL;
    pthread_mutex_unlock(&lock);
    return is;
}

static void assert_events(const char *events) {
    pthread_mutex_lock(&lock);
    assert_string_equal(up.events, events);
    pthread_mutex_unlock(&lock);
}

vt_status __wrap_vt_catalog_rebuild(vt_catalog *c, vt_stopped_fn stopped, void *ctx, bool *done,
                                    vt_err *err);
vt_status __wrap_vt_catalog_learn(vt_catalog *c, vt_query_kind kind, const float *queries, size_t n,
                                  vt_stopped_fn stopped, void *ctx, bool *done, vt_err *err);
float __wrap_vt_catalog_fraction(vt_catalog *c, vt_query_kind kind, float recall);
void __wrap_vt_catalog_spend_more(vt_catalog *c, vt_query_kind kind, float factor);
vt_status __wrap_vt_catalog_save(vt_catalog *c, bool force, vt_stopped_fn stopped, void *ctx,
                                 bool *done, vt_err *err);
void __real_vt_catalog_describe(vt_catalog *c, vt_catalog_stats *out);
void __wrap_vt_catalog_describe(vt_catalog *c, vt_catalog_stats *out);

vt_status __wrap_vt_catalog_rebuild(vt_catalog *c, vt_stopped_fn stopped, void *ctx, bool *done,
                                    vt_err *err) {
    bool fails;
    pthread_mutex_lock(&lock);
    fails = up.rebuild_fails;
    *done = up.rebuild_due && !fails;
    if (fails)
        note_event('F');
    if (*done) {
        note_event('R');
        up.rebuild_due = false;
        up.cells = 32;
        for (size_t k = 0; k < VT_QUERY_KINDS; k++)
            up.fraction[k] = 1;
    }
    pthread_mutex_unlock(&lock);
    return fails ? vt_fail(err, VT_E_NOMEM, "no memory for cells") : VT_OK;
}

/* Under the lock. */
static void keep_vectors(const float *queries, size_t n) {
    free(up.vectors);
    up.n_vectors = n;
    up.vectors = vt_alloc(n, up.dim * sizeof *queries);
    assert_non_null(up.vectors);
    memcpy(up.vectors, queries, n * up.dim * sizeof *queries);
}

vt_status __wrap_vt_catalog_learn(vt_catalog *c, vt_query_kind kind, const float *queries, size_t n,
                                  vt_stopped_fn stopped, void *ctx, bool *done, vt_err *err) {
    pthread_mutex_lock(&lock);
    note_event(kind == VT_QUERY_TEXT ? 'T' : kind == VT_QUERY_IMAGE && !queries ? 'I' : '?');
    if (queries)
        keep_vectors(queries, n);
    up.fraction[kind] = kind == VT_QUERY_TEXT ? 0.2F : 0.05F;
    bool blocks = up.learning_blocks;
    pthread_mutex_unlock(&lock);
    while (blocks && !stopped(ctx))
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    *done = !blocks;
    return VT_OK;
}

float __wrap_vt_catalog_fraction(vt_catalog *c, vt_query_kind kind, float recall) {
    pthread_mutex_lock(&lock);
    float f = up.fraction[kind];
    pthread_mutex_unlock(&lock);
    return f;
}

void __wrap_vt_catalog_spend_more(vt_catalog *c, vt_query_kind kind, float factor) {
    pthread_mutex_lock(&lock);
    up.spent[kind]++;
    up.factor = factor;
    up.fraction[kind] *= factor;
    pthread_mutex_unlock(&lock);
}

vt_status __wrap_vt_catalog_save(vt_catalog *c, bool force, vt_stopped_fn stopped, void *ctx,
                                 bool *done, vt_err *err) {
    pthread_mutex_lock(&lock);
    note_event(force ? 'S' : 's');
    *done = force;
    if (force)
        up.snapshot_seq = vt_catalog_generation(c);
    pthread_mutex_unlock(&lock);
    return VT_OK;
}

void __wrap_vt_catalog_describe(vt_catalog *c, vt_catalog_stats *out) {
    __real_vt_catalog_describe(c, out);
    pthread_mutex_lock(&lock);
    out->cells = up.cells;
    out->snapshot_seq = up.snapshot_seq;
    out->seq += up.changes;
    pthread_mutex_unlock(&lock);
}

/* ---- helpers ------------------------------------------------------------------------- */

static int forget(void **state) {
    free(up.vectors);
    memset(&up, 0, sizeof up);
    up.dim = 512;
    return 0;
}

static bool never(void *ctx) {
    return false;
}

static bool always(void *ctx) {
    return true;
}

static bool wait_for(bool (*holds)(void)) {
    for (int i = 0; i < 20000 && !holds(); i++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    return holds();
}

static unsigned long long texts_encoded(const shop *sh) {
    return atomic_load(&sh->e->counters.texts_encoded);
}

static void rebuild_and_learn(shop *sh) {
    up.rebuild_due = true;
    forget_events();
    vt_engine_tend(sh->e, never, NULL);
    assert_events("RITS");
}

static bool learnt_from(const float *vector) {
    for (size_t i = 0; i < up.n_vectors; i++)
        if (vt_vec_dot(up.vectors + i * up.dim, vector, up.dim) > 0.9999F)
            return true;
    return false;
}

static json_t *index_state(shop *sh) {
    json_t *v = NULL;
    vt_buf out;
    vt_json w;
    vt_err err;
    vt_buf_init(&out, 65536);
    vt_json_init(&w, &out);
    vt_engine_index_write(sh->e, &w);
    assert_int_equal(vt_json_parse(out.data, out.len, &v, &err), VT_OK);
    vt_buf_release(&out);
    return v;
}

static bool is_told(shop *sh, const char *what) {
    json_t *v = index_state(sh);
    bool is = strcmp(json_string_value(json_object_get(v, "state")), what) == 0;
    json_decref(v);
    return is;
}

/* ---- tending ------------------------------------------------------------------------- */

static void nothing_due_is_nothing_done(void **state) {
    shop sh;
    shop_start(&sh, false);
    shop_fill(&sh);
    vt_engine_tend(sh.e, never, NULL);
    assert_events("s"); /* the catalogue decides */
    assert_int_equal(texts_encoded(&sh), 0);
    shop_close(&sh);
    assert_events("s"); /* a command leaves no snapshot behind */
}

static void learning_and_a_snapshot_follow_a_rebuild(void **state) {
    shop sh;
    shop_start(&sh, false);
    shop_fill(&sh);
    json_t *before = index_state(&sh);
    rebuild_and_learn(&sh);
    json_t *after = index_state(&sh);
    assert_int_equal(json_integer_value(json_object_get(before, "cells")), 0);
    assert_true(json_is_null(json_object_get(json_object_get(before, "fraction"), "text")));
    assert_int_equal(json_integer_value(json_object_get(after, "cells")), 32);
    assert_string_equal(json_string_value(json_object_get(after, "state")), "ready");
    assert_float_equal(
        json_number_value(json_object_get(json_object_get(after, "fraction"), "text")), 0.2, 1e-6);
    assert_int_equal(json_integer_value(json_object_get(after, "snapshot_seq")),
                     vt_catalog_generation(sh.e->catalog));
    json_decref(before);
    json_decref(after);
    forget_events();
    vt_engine_tend(sh.e, never, NULL);
    assert_events("s");
    shop_close(&sh);
}

static void texts_are_learnt_from_names_and_descriptions(void **state) {
    shop sh;
    size_t names = 0;
    float v[512];
    vt_err err;
    shop_start(&sh, false);
    shop_fill(&sh);
    rebuild_and_learn(&sh);
    assert_int_equal(up.n_vectors, SHOP_PRODUCTS);
    for (size_t i = 0; i < up.n_vectors; i++)
        assert_float_equal(vt_vec_dot(up.vectors + i * up.dim, up.vectors + i * up.dim, up.dim), 1,
                           1e-3);
    for (size_t i = 0; i < SHOP_PRODUCTS; i++) {
        const char *name = json_string_value(json_object_get(sh.lines[i], "name"));
        assert_int_equal(vt_clip_encode_text(sh.e->clip, name, strlen(name), v, &err), VT_OK);
        names += learnt_from(v);
    }
    assert_in_range(names, SHOP_PRODUCTS / 4, SHOP_PRODUCTS - 1);
    shop_close(&sh);
}

static void words_are_encoded_once(void **state) {
    shop sh;
    unsigned long long first;
    float axis[512] = {0};
    vt_err err;
    shop_start(&sh, false);
    shop_fill(&sh);
    rebuild_and_learn(&sh);
    first = texts_encoded(&sh);
    assert_int_equal(first, SHOP_PRODUCTS);
    rebuild_and_learn(&sh);
    assert_int_equal(texts_encoded(&sh), first);
    assert_int_equal(up.n_vectors, SHOP_PRODUCTS);
    axis[511] = 1; /* a new product, and one with other words */
    json_object_set_new(sh.lines[0], "id", json_string("new"));
    shop_put(&sh, 0, axis);
    json_object_set_new(sh.lines[1], "name", json_string("something else"));
    json_object_set_new(sh.lines[1], "description", json_string("altogether"));
    shop_put(&sh, 1, axis);
    rebuild_and_learn(&sh);
    assert_int_equal(texts_encoded(&sh), first + 2);
    assert_int_equal(up.n_vectors, SHOP_PRODUCTS + 1);
    assert_int_equal(vt_catalog_delete(sh.e->catalog,
                                       json_string_value(json_object_get(sh.lines[5], "id")), &err),
                     VT_OK);
    rebuild_and_learn(&sh);
    assert_int_equal(up.n_vectors, SHOP_PRODUCTS);
    shop_close(&sh);
}

static void put_many(shop *sh, size_t n) {
    float axis[512] = {1};
    char name[64];
    for (size_t i = 0; i < n; i++) {
        snprintf(name, sizeof name, "product number %zu", i);
        json_object_set_new(sh->lines[0], "id", json_string(name));
        json_object_set_new(sh->lines[0], "name", json_string(name));
        json_object_set_new(sh->lines[0], "description", json_string(""));
        shop_put(sh, 0, axis);
    }
}

static void of_many_products_some_are_asked_and_most_stay(void **state) {
    shop sh;
    unsigned long long encoded;
    shop_start(&sh, false);
    put_many(&sh, 600);
    rebuild_and_learn(&sh);
    assert_int_equal(up.n_vectors, 512);
    encoded = texts_encoded(&sh);
    put_many(&sh, 700); /* a hundred more: about 512 / 7 of them come into the sample */
    rebuild_and_learn(&sh);
    assert_int_equal(up.n_vectors, 512);
    assert_in_range(texts_encoded(&sh) - encoded, 20, 150);
    shop_close(&sh);
}

/* As a customer would write: not cut within a character, which no encoder takes, nor within a word.
 */
static void long_words_are_cut_where_they_end(void **state) {
    static const char *const names[][2] = {
        {"ééééééééééééééééééééééééééééééééééééééééééééééééééé",
         "éééééééééééééééééééééééééééééééééééééééé"},
        {"a warm red scarf of the finest wool of the mountains, knitted by hand in the evenings",
         "a warm red scarf of the finest wool of the mountains, knitted by hand in the"},
    };
    shop sh;
    float axis[512] = {1}, v[512];
    vt_err err;
    shop_start(&sh, false);
    put_many(&sh, 20);
    for (size_t i = 0; i < 2; i++) {
        json_object_set_new(sh.lines[0], "id", json_string(names[i][1]));
        json_object_set_new(sh.lines[0], "name", json_string(names[i][0]));
        shop_put(&sh, 0, axis);
    }
    rebuild_and_learn(&sh);
    assert_int_equal(up.n_vectors, 22);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(vt_clip_encode_text(sh.e->clip, names[i][1], strlen(names[i][1]), v, &err),
                         VT_OK);
        assert_true(learnt_from(v));
    }
    shop_close(&sh);
}

static void searches_join_the_words(void **state) {
    shop sh;
    float v[512] = {[300] = 1};
    vt_filter *none = NULL;
    shop_start(&sh, false);
    shop_fill(&sh);
    vt_audit_offer(sh.e->audit,
                   &(vt_catalog_query){.vector = v, .k = 1, .kind = VT_QUERY_TEXT, .recall = 0.98F},
                   &none);
    rebuild_and_learn(&sh);
    assert_int_equal(up.n_vectors, SHOP_PRODUCTS + 1);
    assert_true(learnt_from(v));
    shop_close(&sh);
}

static void cells_that_came_without_learning_are_learnt(void **state) {
    shop sh;
    up.cells = 32;
    up.fraction[VT_QUERY_IMAGE] = 0.1F;
    up.fraction[VT_QUERY_TEXT] = 1;
    shop_start(&sh, false);
    shop_fill(&sh);
    vt_engine_tend(sh.e, never, NULL);
    assert_events("ITS");
    shop_close(&sh);
}

static void too_few_words_teach_nothing(void **state) {
    shop sh;
    shop_start(&sh, false);
    put_many(&sh, 15);
    up.rebuild_due = true;
    vt_engine_tend(sh.e, never, NULL);
    assert_events("RIS");
    shop_close(&sh);
}

static void one_who_is_stopped_stops(void **state) {
    shop sh;
    shop_start(&sh, false);
    shop_fill(&sh);
    up.rebuild_due = true;
    vt_engine_tend(sh.e, always, NULL);
    assert_events("R");
    forget_events();
    vt_engine_tend(sh.e, never, NULL); /* what was left is still due */
    assert_events("ITS");
    shop_close(&sh);
}

/* ---- the thread ---------------------------------------------------------------------- */

static bool is_learning(void) {
    return saw("RI");
}

static void closing_does_not_wait_for_learning(void **state) {
    shop sh;
    uint64_t begun;
    up.learning_blocks = true;
    shop_start(&sh, true);
    shop_fill(&sh);
    pthread_mutex_lock(&lock);
    up.rebuild_due = true;
    pthread_mutex_unlock(&lock);
    assert_true(wait_for(is_learning));
    for (int i = 0; i < 5000 && !is_told(&sh, "learning"); i++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    assert_true(is_told(&sh, "learning"));
    begun = vt_now_ns();
    shop_close(&sh);
    assert_true(vt_seconds_since(begun) < 1);
    assert_true(saw("RIS")); /* the snapshot that a server leaves behind */
}

static void a_server_leaves_a_snapshot_where_much_is_new(void **state) {
    shop sh;
    up.changes = 1000;
    up.snapshot_seq = 100;
    shop_start(&sh, true);
    shop_fill(&sh);
    shop_close(&sh);
    assert_false(saw("S")); /* 960 changes: the next start has them sooner than this one is gone */
    up.snapshot_seq = 10;
    shop_start(&sh, true);
    shop_fill(&sh);
    shop_close(&sh);
    assert_true(saw("S"));
}

static bool has_failed(void) {
    return saw("F");
}

static void a_failure_is_not_repeated_at_once(void **state) {
    shop sh;
    up.rebuild_fails = true;
    shop_start(&sh, true);
    assert_true(wait_for(has_failed));
    nanosleep(&(struct timespec){.tv_sec = 1, .tv_nsec = 300000000}, NULL);
    assert_false(saw("FF"));
    up.rebuild_fails = false;
    shop_close(&sh);
}

static bool has_spent(void) {
    pthread_mutex_lock(&lock);
    bool is = up.spent[VT_QUERY_TEXT] > 0;
    pthread_mutex_unlock(&lock);
    return is;
}

/* Sixty searches by cells that found too little, and one more that is replayed. */
static void fall_short(shop *sh, vt_query_kind kind) {
    float v[512] = {1};
    vt_filter *none = NULL;
    for (int i = 0; i < 60; i++)
        vt_audit_note(sh->e->audit, &(vt_audit_result){.kind = kind,
                                                       .selectivity = 1,
                                                       .recall = 0.8F,
                                                       .wished = 0.98F,
                                                       .estimated = true});
    vt_audit_offer(sh->e->audit,
                   &(vt_catalog_query){.vector = v, .k = 1, .kind = kind, .recall = 0.98F}, &none);
}

static void a_kind_that_falls_short_looks_further(void **state) {
    shop sh;
    up.cells = 32;
    up.fraction[VT_QUERY_IMAGE] = up.fraction[VT_QUERY_TEXT] = 0.2F; /* learnt already */
    shop_start(&sh, true);
    shop_fill(&sh);
    pthread_mutex_lock(&lock);
    up.fraction[VT_QUERY_IMAGE] = 1; /* sees all there is: it cannot look further */
    pthread_mutex_unlock(&lock);
    fall_short(&sh, VT_QUERY_IMAGE);
    fall_short(&sh, VT_QUERY_TEXT);
    assert_true(wait_for(has_spent));
    nanosleep(&(struct timespec){.tv_nsec = 300000000}, NULL);
    shop_close(&sh);
    assert_int_equal(up.spent[VT_QUERY_TEXT], 1); /* its results are void from then on */
    assert_int_equal(up.spent[VT_QUERY_IMAGE], 0);
    assert_float_equal(up.factor, 1.5, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(nothing_due_is_nothing_done, forget),
        cmocka_unit_test_setup(learning_and_a_snapshot_follow_a_rebuild, forget),
        cmocka_unit_test_setup(texts_are_learnt_from_names_and_descriptions, forget),
        cmocka_unit_test_setup(words_are_encoded_once, forget),
        cmocka_unit_test_setup(of_many_products_some_are_asked_and_most_stay, forget),
        cmocka_unit_test_setup(long_words_are_cut_where_they_end, forget),
        cmocka_unit_test_setup(searches_join_the_words, forget),
        cmocka_unit_test_setup(cells_that_came_without_learning_are_learnt, forget),
        cmocka_unit_test_setup(too_few_words_teach_nothing, forget),
        cmocka_unit_test_setup(one_who_is_stopped_stops, forget),
        cmocka_unit_test_setup(closing_does_not_wait_for_learning, forget),
        cmocka_unit_test_setup(a_server_leaves_a_snapshot_where_much_is_new, forget),
        cmocka_unit_test_setup(a_failure_is_not_repeated_at_once, forget),
        cmocka_unit_test_setup(a_kind_that_falls_short_looks_further, forget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
