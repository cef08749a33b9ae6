/* Confidence against worlds in which it is known: examples are drawn so that a category is right
 * with exactly the probability that a given weight and temperature say, and the fit must find its
 * way back; of the answers given with 0.8, about 0.8 must be right. */
#include "engine/calibration.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "vec/vec.h"

enum { CATEGORIES = 8 };

typedef struct world {
    vt_examples x;
    float *text, *image;
    uint32_t *category;
} world;

static uint64_t random_state = 1;

static double random_unit(void) {
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return (double)((random_state * 0x2545F4914F6CDD1Du) >> 11) / 9007199254740992.0;
}

static uint32_t draw(const float *probability) {
    double at = random_unit();
    uint32_t k = 0;
    while (k + 1 < CATEGORIES && at >= (double)probability[k])
        at -= (double)probability[k++];
    return k;
}

static void world_release(world *w) {
    free(w->text);
    free(w->image);
    free(w->category);
}

/* Cosines at random; the right category drawn by truth. */
static world world_make(size_t n, const vt_calibration *truth) {
    world w = {
        .text = vt_alloc(n, CATEGORIES * sizeof(float)),
        .image = vt_alloc(n, CATEGORIES * sizeof(float)),
        .category = vt_alloc(n, sizeof(uint32_t)),
    };
    float probability[CATEGORIES];
    assert_true(w.text && w.image && w.category);
    for (size_t i = 0; i < n * CATEGORIES; i++) {
        w.text[i] = (float)(0.2 + 0.2 * random_unit());
        w.image[i] = (float)(0.5 + 0.4 * random_unit());
    }
    w.x = (vt_examples){n, CATEGORIES, w.text, w.image, w.category};
    for (size_t i = 0; i < n; i++) {
        vt_calibration_apply(truth, w.text + i * CATEGORIES, w.image + i * CATEGORIES, CATEGORIES,
                             probability);
        w.category[i] = draw(probability);
    }
    return w;
}

static int set_up(void **state) {
    vt_err err;
    return vt_vec_init(NULL, &err) == VT_OK ? 0 : -1;
}

static void confidences_are_the_softmax_of_the_blend(void **state) {
    const vt_calibration c = {.weight = 0.25, .temperature = 0.1};
    const float text[] = {0.3F, 0.1F, 0.2F}, image[] = {0.5F, 0.9F, 0.7F};
    float have[3];
    double sum = exp(3.5) + exp(3.0) + exp(3.25);
    vt_calibration_apply(&c, text, image, 3, have);
    assert_float_equal(have[0], exp(3.5) / sum, 1e-5);
    assert_float_equal(have[1], exp(3.0) / sum, 1e-5);
    assert_float_equal(have[2], exp(3.25) / sum, 1e-5);
}

static void the_fit_finds_the_truth(void **state) {
    static const vt_calibration truths[] = {
        {.weight = 0, .temperature = 0.02},   {.weight = 0.3, .temperature = 0.03},
        {.weight = 0.7, .temperature = 0.05}, {.weight = 1, .temperature = 0.04},
        {.weight = 0.5, .temperature = 0.2},
    };
    for (size_t i = 0; i < sizeof truths / sizeof truths[0]; i++) {
        world w = world_make(2000, &truths[i]);
        vt_calibration c = vt_calibration_fit(&w.x, 0, 1);
        assert_true(c.measured);
        assert_true(fabs(c.weight - truths[i].weight) < 0.21);
        assert_true(c.temperature > truths[i].temperature / 1.5);
        assert_true(c.temperature < truths[i].temperature * 1.5);
        world_release(&w);
    }
}

/* Judges fresh examples, not those of the fit. */
static void of_answers_given_with_0_8_about_0_8_are_right(void **state) {
    const vt_calibration truth = {.weight = 0.6, .temperature = 0.04};
    vt_calibration fits[3], *wrong = &fits[1];
    vt_reliability r[3] = {0};
    float confidence[CATEGORIES];
    world w = world_make(2000, &truth), fresh = world_make(20000, &truth);
    fits[0] = vt_calibration_fit(&w.x, 0, 1);
    fits[1] = fits[2] = fits[0];
    wrong[0].temperature /= 4;
    wrong[1].temperature *= 4;
    for (size_t i = 0; i < 3 * fresh.x.n; i++) {
        size_t row = i / 3 * CATEGORIES, best = 0;
        vt_calibration_apply(&fits[i % 3], fresh.text + row, fresh.image + row, CATEGORIES,
                             confidence);
        for (size_t k = 1; k < CATEGORIES; k++)
            best = confidence[k] > confidence[best] ? k : best;
        vt_reliability_add(&r[i % 3], (double)confidence[best], best == fresh.category[i / 3]);
    }
    assert_true(vt_reliability_error(&r[0]) < 0.03);
    assert_true(vt_reliability_error(&r[1]) > 0.1); /* four times too cold: boasts */
    assert_true(vt_reliability_error(&r[2]) > 0.1); /* four times too warm: shy */
    for (int i = 0; i < VT_RELIABILITY_BINS; i++) {
        double n = (double)r[0].bins[i].n;
        if (n >= 400)
            assert_true(fabs(r[0].bins[i].confidence / n - (double)r[0].bins[i].right / n) < 0.06);
    }
    assert_true(r[0].bins[8].n >= 400);
    world_release(&w);
    world_release(&fresh);
}

/* Scores of all categories alike but for the right one's, in text and image. */
static world separable(size_t n) {
    const vt_calibration any = {.weight = 0.5, .temperature = 0.1};
    world w = world_make(n, &any);
    for (size_t i = 0; i < n * CATEGORIES; i++)
        w.text[i] = w.image[i] = i % CATEGORIES == w.category[i / CATEGORIES] ? 0.9F : 0.1F;
    return w;
}

static void a_few_right_answers_do_not_make_certainty(void **state) {
    float confidence[CATEGORIES];
    for (size_t n = VT_EXAMPLES_LEAST; n <= 640; n *= 4) {
        world w = separable(n);
        vt_calibration c = vt_calibration_fit(&w.x, 0, 1);
        vt_calibration_apply(&c, w.text, w.image, CATEGORIES, confidence);
        double best = (double)confidence[w.category[0]];
        assert_true(c.measured);
        assert_true(best > 1 - 4 / (double)n && best < 1 - 1 / (10 * (double)n));
        world_release(&w);
    }
}

static void too_little_is_not_measured(void **state) {
    const vt_calibration truth = {.weight = 1, .temperature = 0.02};
    world w = world_make(100, &truth);
    vt_examples few = w.x, one = w.x;
    few.n = VT_EXAMPLES_LEAST - 1;
    one.n_categories = 1;
    assert_false(vt_calibration_fit(&few, 0, 1).measured);
    assert_false(vt_calibration_fit(&one, 0, 1).measured);
    assert_true(vt_calibration_fit(&few, 0, 1).temperature > 0);
    few.n = 2 * VT_EXAMPLES_LEAST - 1; /* enough, but not every other one */
    assert_true(vt_calibration_fit(&few, 0, 1).measured);
    assert_false(vt_calibration_fit(&few, 1, 2).measured);
    few.n = 0;
    assert_false(vt_calibration_fit(&few, 0, 1).measured);
    world_release(&w);
}

/* ---- reliability -------------------------------------------------------------------------- */

static void bins_count_and_the_error_is_their_mean_distance(void **state) {
    vt_reliability r = {0};
    assert_true(vt_reliability_error(&r) == 0);
    vt_reliability_add(&r, 1, true);
    vt_reliability_add(&r, 0.9, false); /* bin 9: confidence 0.95, right 0.5 */
    vt_reliability_add(&r, 0.25, false);
    vt_reliability_add(&r, 0, false);
    assert_int_equal(r.n, 4);
    assert_int_equal(r.right, 1);
    assert_int_equal(r.bins[9].n, 2);
    assert_int_equal(r.bins[9].right, 1);
    assert_int_equal(r.bins[2].n, 1);
    assert_int_equal(r.bins[0].n, 1);
    assert_float_equal(vt_reliability_error(&r), 0.5 * 0.45 + 0.25 * 0.25, 1e-9);
}

/* The odd half's categories turned about: what is learnt from one half must fail on the other, so
 * nobody was judged by a fit to himself. */
static void halves_judge_each_other(void **state) {
    vt_reliability honest = {0}, crossed = {0};
    vt_err err;
    world w = separable(200);
    assert_int_equal(vt_reliability_measure(&honest, &w.x, &err), VT_OK);
    assert_int_equal(honest.n, 200);
    assert_int_equal(honest.right, 200);
    for (size_t i = 1; i < 200; i += 2)
        w.category[i] = (w.category[i] + 1) % CATEGORIES;
    assert_int_equal(vt_reliability_measure(&crossed, &w.x, &err), VT_OK);
    assert_int_equal(crossed.n, 200);
    assert_int_equal(crossed.right, 100);
    assert_true(vt_reliability_error(&crossed) > 0.5);
    world_release(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(confidences_are_the_softmax_of_the_blend),
        cmocka_unit_test(the_fit_finds_the_truth),
        cmocka_unit_test(of_answers_given_with_0_8_about_0_8_are_right),
        cmocka_unit_test(a_few_right_answers_do_not_make_certainty),
        cmocka_unit_test(too_little_is_not_measured),
        cmocka_unit_test(bins_count_and_the_error_is_their_mean_distance),
        cmocka_unit_test(halves_judge_each_other),
    };
    return cmocka_run_group_tests_name("calibration", tests, set_up, NULL);
}
