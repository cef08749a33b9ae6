/* Texts that arrive together: an encoder that waits at a gate stands for the model, so that a test
 * says who arrives while it computes. A text's vector is its length and the sum of its bytes. */
#include "engine/texts.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { DIM = 2, CALLS_MAX = 20000 };

typedef struct encoder {
    atomic_bool shut;            /* the gate */
    atomic_uint inside, crowded; /* threads in fn, and how often it was more than one */
    atomic_uint calls;
    size_t batch[CALLS_MAX]; /* texts of each call */
    vt_texts *texts;
} encoder;

static vt_status encode(void *ctx, const vt_clip_text *texts, size_t count, float *out,
                        vt_err *err) {
    encoder *en = ctx;
    vt_status s = VT_OK;
    if (atomic_fetch_add(&en->inside, 1) > 0)
        atomic_fetch_add(&en->crowded, 1);
    en->batch[atomic_fetch_add(&en->calls, 1) % CALLS_MAX] = count;
    while (atomic_load(&en->shut))
        sched_yield();
    for (size_t i = 0; i < count && s == VT_OK; i++) {
        if (texts[i].n > 0 && texts[i].text[0] == '!')
            s = vt_fail(err, VT_E_INVALID, "no word: %.*s", (int)texts[i].n, texts[i].text);
        out[i * DIM] = (float)texts[i].n;
        out[i * DIM + 1] = 0;
        for (size_t b = 0; b < texts[i].n; b++)
            out[i * DIM + 1] += (float)texts[i].text[b];
    }
    atomic_fetch_sub(&en->inside, 1);
    return s;
}

static encoder *encoder_open(void) {
    encoder *en = vt_alloc(1, sizeof *en);
    vt_err err;
    assert_non_null(en);
    assert_int_equal(vt_texts_open(encode, en, DIM, &en->texts, &err), VT_OK);
    return en;
}

static void encoder_close(encoder *en) {
    assert_int_equal(vt_texts_waiting(en->texts), 0);
    assert_int_equal(en->crowded, 0);
    vt_texts_close(en->texts);
    free(en);
}

/* One caller with some texts, and what he got. */
typedef struct caller {
    encoder *en;
    vt_clip_text texts[100];
    size_t n;
    float out[100 * DIM];
    vt_status status;
    vt_err err;
    pthread_t thread;
} caller;

static void *ask(void *ctx) {
    caller *c = ctx;
    c->status = vt_texts_encode(c->en->texts, c->texts, c->n, c->out, &c->err);
    return NULL;
}

static bool is_right(const caller *c) {
    for (size_t i = 0; i < c->n && c->status == VT_OK; i++) {
        float sum = 0;
        for (size_t b = 0; b < c->texts[i].n; b++)
            sum += (float)c->texts[i].text[b];
        if (c->out[i * DIM] != (float)c->texts[i].n || c->out[i * DIM + 1] != sum)
            return false;
    }
    return c->status == VT_OK;
}

/* Callers who arrive one after the other while the encoder is at the gate; the first leads. */
static caller *arrive(encoder *en, const char *const *words, size_t callers, size_t texts_each) {
    caller *c = vt_alloc(callers, sizeof *c);
    assert_non_null(c);
    atomic_store(&en->shut, true);
    for (size_t i = 0; i < callers; i++) {
        c[i].en = en;
        c[i].n = texts_each;
        for (size_t j = 0; j < texts_each; j++)
            c[i].texts[j] = (vt_clip_text){words[i], strlen(words[i])};
        assert_int_equal(pthread_create(&c[i].thread, NULL, ask, &c[i]), 0);
        while (i == 0 ? atomic_load(&en->calls) == 0 : vt_texts_waiting(en->texts) < i * texts_each)
            sched_yield();
    }
    atomic_store(&en->shut, false);
    for (size_t i = 0; i < callers; i++)
        pthread_join(c[i].thread, NULL);
    return c;
}

static void a_lone_text_is_encoded_at_once_and_alone(void **state) {
    encoder *en = encoder_open();
    caller c = {.en = en, .texts = {{"red", 3}, {"", 0}}, .n = 2};
    for (unsigned i = 1; i <= 3; i++) {
        ask(&c);
        assert_true(is_right(&c));
        assert_int_equal(en->calls, i);
        assert_int_equal(en->batch[i - 1], 2);
    }
    encoder_close(en);
}

static void those_who_arrive_meanwhile_are_one_batch(void **state) {
    static const char *const words[] = {"shirt", "red", "blue shoes", "a", "mug", "lamp", "bag"};
    enum { N = sizeof words / sizeof words[0] };
    encoder *en = encoder_open();
    caller *c = arrive(en, words, N, 1);
    for (size_t i = 0; i < N; i++)
        assert_true(is_right(&c[i]));
    assert_int_equal(en->calls, 2);
    assert_int_equal(en->batch[0], 1);
    assert_int_equal(en->batch[1], N - 1);
    free(c);
    encoder_close(en);
}

static void a_bad_text_fails_its_own_caller_only(void **state) {
    static const char *const words[] = {"first", "good", "!bad", "better", "!worse", "best"};
    encoder *en = encoder_open();
    caller *c = arrive(en, words, 6, 1);
    for (size_t i = 0; i < 6; i++) {
        bool bad = words[i][0] == '!';
        char wanted[64];
        snprintf(wanted, sizeof wanted, "no word: %s", words[i]);
        assert_int_equal(c[i].status, bad ? VT_E_INVALID : VT_OK);
        assert_true(bad || is_right(&c[i]));
        if (bad)
            assert_string_equal(c[i].err.text, wanted);
    }
    free(c);
    encoder_close(en);
}

static void a_batch_has_an_end(void **state) {
    const char *words[30];
    size_t texts = 0;
    for (size_t i = 0; i < 30; i++)
        words[i] = "word";
    encoder *en = encoder_open();
    caller *c = arrive(en, words, 30, 5);
    for (size_t i = 0; i < 30; i++)
        assert_true(is_right(&c[i]));
    for (size_t i = 0; i < en->calls; i++) {
        assert_in_range(en->batch[i], 5, 64);
        texts += en->batch[i];
    }
    assert_int_equal(texts, 150);
    assert_true(en->calls <= 4); /* 5, then 145 by 60 */
    free(c);
    encoder_close(en);
    en = encoder_open();
    c = arrive(en, words, 3, 100); /* nobody is refused for having many */
    for (size_t i = 0; i < 3; i++)
        assert_true(is_right(&c[i]));
    assert_int_equal(en->calls, 3);
    free(c);
    encoder_close(en);
}

enum { THREADS = 12, ROUNDS = 400 };

static void *storm(void *ctx) {
    caller *c = ctx;
    size_t wrong = 0;
    for (size_t i = 0; i < ROUNDS; i++) {
        static const char letters[] = "abcdefghijklmnopqrstuvwxyz";
        bool bad = i % 50 == 49;
        c->n = 1 + i % 3;
        for (size_t j = 0; j < c->n; j++)
            c->texts[j] = bad ? (vt_clip_text){"!", 1}
                              : (vt_clip_text){letters + (i + j) % 20, 1 + (i * 7 + j) % 6};
        ask(c);
        wrong += bad ? c->status != VT_E_INVALID : !is_right(c);
    }
    c->n = wrong;
    return NULL;
}

static void everybody_gets_his_own_vectors(void **state) {
    static caller c[THREADS];
    encoder *en = encoder_open();
    for (size_t i = 0; i < THREADS; i++) {
        c[i] = (caller){.en = en};
        assert_int_equal(pthread_create(&c[i].thread, NULL, storm, &c[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(c[i].thread, NULL);
        assert_int_equal(c[i].n, 0);
    }
    encoder_close(en);
    vt_texts_close(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lone_text_is_encoded_at_once_and_alone),
        cmocka_unit_test(those_who_arrive_meanwhile_are_one_batch),
        cmocka_unit_test(a_bad_text_fails_its_own_caller_only),
        cmocka_unit_test(a_batch_has_an_end),
        cmocka_unit_test(everybody_gets_his_own_vectors),
    };
    return cmocka_run_group_tests_name("texts", tests, NULL, NULL);
}
