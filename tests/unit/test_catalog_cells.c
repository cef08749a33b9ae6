/* A catalogue large enough for cells: what a search finds before there are any, with them, and
 * after learning how far to look, against every product compared here; under filters that let few
 * products pass, after changes, and with products that resemble one another to the last bits.
 *
 * Every score is exactly that of the stored vector, however the hit was found. */
#define VT_TEST_DIM 64
#include "catalog_support.h"

enum { PRODUCTS = 20000, CLUSTERS = 200, QUERIES = 100, K = 10, LESSONS = 64, BATCH = 250 };

static const char *const FILTERS[] = {
    NULL,
    "{\"price_max\":49.995}",
    "{\"price_max\":9.995}",
    "{\"price_max\":0.995}",
    "{\"price_max\":0.095}",
    "{\"category\":[\"category 1\",\"category 3\"],\"price_min\":20,\"price_max\":80}",
};
enum { N_FILTERS = sizeof FILTERS / sizeof *FILTERS };

/* The products, once for all tests: what the catalogue holds is compared with these. */
static struct {
    char *dir;
    vt_product *all; /* [PRODUCTS]; id NULL where it was deleted */
    float *centres;  /* [CLUSTERS][DIM] */
    uint64_t random;
} world;

/* ---- products and queries ------------------------------------------------------------------ */

/* Near one of the centres, as pictures of one kind of thing are near each other. */
static void clustered_vector(float *v) {
    const float *centre = world.centres + below(&world.random, CLUSTERS) * DIM;
    random_vector(&world.random, v, DIM);
    for (size_t d = 0; d < DIM; d++)
        v[d] = centre[d] + 0.8f * v[d];
    assert_true(vt_vec_normalize(v, DIM) > 0);
}

/* Prices are spread evenly over 10,000 cents, so that a bound is a share of the products. */
static void clustered_product(vt_product *p, unsigned n, unsigned version) {
    product_make(p, n, version);
    clustered_vector(p->embedding);
    p->price = (double)(n * 7919u % 10000) / 100;
}

static void put_batch(vt_catalog *c, vt_product *p, size_t n) {
    vt_status statuses[BATCH];
    vt_put_result results[BATCH];
    static vt_err errs[BATCH];
    vt_catalog_put_many(c, p, n, statuses, results, errs);
    for (size_t i = 0; i < n; i++)
        if (statuses[i] != VT_OK)
            fail_msg("%s: %s", p[i].id, errs[i].text);
}

static int make_world(void **state) {
    vt_err err;
    vt_catalog *c;
    assert_int_equal(vt_vec_init(NULL, &err), VT_OK);
    world.random = 7;
    world.dir = folder_make();
    world.all = vt_alloc(PRODUCTS, sizeof *world.all);
    world.centres = vt_alloc(CLUSTERS * DIM, sizeof *world.centres);
    assert_true(world.all && world.centres);
    for (size_t i = 0; i < CLUSTERS; i++)
        random_vector(&world.random, world.centres + i * DIM, DIM);
    for (unsigned n = 0; n < PRODUCTS; n++)
        clustered_product(&world.all[n], n, 0);
    c = catalog_open(world.dir);
    for (size_t n = 0; n < PRODUCTS; n += BATCH)
        put_batch(c, world.all + n, BATCH);
    vt_catalog_close(c);
    return 0;
}

static int end_world(void **state) {
    for (size_t n = 0; n < PRODUCTS; n++)
        vt_product_release(&world.all[n]);
    free(world.all);
    free(world.centres);
    folder_remove(world.dir);
    return 0;
}

/* ---- every product, compared --------------------------------------------------------------- */

typedef struct match {
    const vt_product *p;
    float score;
} match;

static int better(const void *a, const void *b) {
    const match *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return strcmp(x->p->id, y->p->id);
}

static size_t compare_all(const float *query, const vt_filter *f, match *out) {
    size_t n = 0;
    for (size_t i = 0; i < PRODUCTS; i++) {
        const vt_product *p = &world.all[i];
        if (p->id && vt_filter_matches(f, p))
            out[n++] = (match){p, vt_vec_dot(query, p->embedding, DIM)};
    }
    qsort(out, n, sizeof *out, better);
    return n;
}

/* Hits come best first, ties by id, each a product that matches, with the score of its vector. */
static void assert_sound_hits(const float *query, const vt_filter *f, const vt_catalog_hit *hits,
                              size_t n) {
    for (size_t i = 0; i < n; i++) {
        const char *id = hits[i].product.id;
        const vt_product *p = &world.all[strtoul(id + strlen("product-"), NULL, 10)];
        assert_string_equal(p->id, id);
        assert_same_product(p, &hits[i].product, false);
        assert_true(hits[i].score == vt_vec_dot(query, p->embedding, DIM));
        assert_true(vt_filter_matches(f, p));
        if (i > 0)
            assert_true(better(&(match){&hits[i - 1].product, hits[i - 1].score},
                               &(match){&hits[i].product, hits[i].score}) < 0);
    }
}

/* How many of the k best a search finds. */
static size_t found_of(vt_catalog *c, const vt_catalog_query *q, match *matches, size_t *wanted,
                       vt_plan *plan) {
    vt_catalog_hit *hits;
    size_t n, found = 0, n_matches = compare_all(q->vector, q->filter, matches);
    vt_err err = {0};
    if (vt_catalog_search(c, q, &hits, &n, plan, &err) != VT_OK)
        fail_msg("%s", err.text);
    *wanted = n_matches < q->k ? n_matches : q->k;
    assert_int_equal(n, *wanted);
    assert_int_equal(plan->matches, n_matches);
    assert_sound_hits(q->vector, q->filter, hits, n);
    for (size_t i = 0; i < n; i++)
        found += hits[i].score >= matches[*wanted - 1].score;
    vt_catalog_hits_release(hits, n);
    return found;
}

/* Of QUERIES queries like the products, under one filter. ways[w]: how often the index went that
 * way. */
static double recall_of(vt_catalog *c, const char *filter, vt_query_kind kind, float wish,
                        size_t ways[VT_WAYS]) {
    vt_filter *f = filter ? filter_of(filter) : NULL;
    match *matches = vt_alloc(PRODUCTS, sizeof *matches);
    size_t found = 0, wanted = 0;
    float v[DIM];
    assert_non_null(matches);
    for (int i = 0; i < QUERIES; i++) {
        const vt_catalog_query q = {.vector = v, .filter = f, .k = K, .kind = kind, .recall = wish};
        size_t all;
        vt_plan plan;
        clustered_vector(v);
        found += found_of(c, &q, matches, &all, &plan);
        wanted += all;
        ways[plan.way]++;
    }
    free(matches);
    vt_filter_close(f);
    return wanted > 0 ? (double)found / (double)wanted : 1;
}

static void assert_recall(vt_catalog *c, vt_query_kind kind, float wish, double least) {
    for (size_t i = 0; i < N_FILTERS; i++) {
        size_t ways[VT_WAYS] = {0};
        double recall = recall_of(c, FILTERS[i], kind, wish, ways);
        if (recall < least)
            fail_msg(
                "%s queries, filter %s: recall %.4f, not %.4f (%zu exact, %zu scan, %zu cells)",
                vt_query_kind_name(kind), FILTERS[i] ? FILTERS[i] : "none", recall, least,
                ways[VT_WAY_EXACT], ways[VT_WAY_SCAN], ways[VT_WAY_CELLS]);
    }
}

/* ---- upkeep -------------------------------------------------------------------------------- */

static bool at_once(void *ctx) {
    return true;
}

static bool rebuild(vt_catalog *c, vt_stopped_fn stopped) {
    bool done;
    vt_err err = {0};
    if (vt_catalog_rebuild(c, stopped, NULL, &done, &err) != VT_OK)
        fail_msg("%s", err.text);
    return done;
}

static bool learn(vt_catalog *c, vt_query_kind kind, vt_stopped_fn stopped) {
    static float lessons[LESSONS * DIM];
    bool done;
    vt_err err = {0};
    for (size_t i = 0; i < LESSONS; i++)
        clustered_vector(lessons + i * DIM);
    if (vt_catalog_learn(c, kind, kind == VT_QUERY_IMAGE ? NULL : lessons, LESSONS, stopped, NULL,
                         &done, &err) != VT_OK)
        fail_msg("%s", err.text);
    return done;
}

static size_t cells_of(vt_catalog *c) {
    vt_catalog_stats stats;
    vt_catalog_describe(c, &stats);
    assert_true(stats.memory_bytes >=
                stats.index_bytes.rows + stats.index_bytes.codes + stats.index_bytes.other);
    return stats.cells;
}

static void cells_are_made_where_they_are_due(void **state) {
    vt_catalog *c = catalog_open(world.dir);
    uint64_t generation = vt_catalog_generation(c);
    assert_int_equal(cells_of(c), 0);
    assert_true(vt_catalog_fraction(c, VT_QUERY_TEXT, VT_RECALL_DEFAULT) == 0);
    assert_false(learn(c, VT_QUERY_TEXT, NULL)); /* of what? */
    assert_false(rebuild(c, at_once));
    assert_int_equal(cells_of(c), 0);
    assert_true(rebuild(c, NULL));
    assert_true(cells_of(c) > 0);
    assert_false(rebuild(c, NULL)); /* they are there */
    assert_true(vt_catalog_fraction(c, VT_QUERY_TEXT, VT_RECALL_DEFAULT) == 1);
    assert_false(learn(c, VT_QUERY_TEXT, at_once));
    assert_true(vt_catalog_fraction(c, VT_QUERY_TEXT, VT_RECALL_DEFAULT) == 1);
    assert_true(learn(c, VT_QUERY_TEXT, NULL));
    assert_int_equal(vt_catalog_generation(c), generation); /* the answers' state is the same */
    vt_catalog_close(c);
}

static size_t asked, stop_at;

static bool when_asked_often(void *ctx) {
    return ++asked > stop_at;
}

/* It asks every few milliseconds, also while centres are looked for, and does not go on. */
static void a_rebuild_stops_wherever_it_is(void **state) {
    enum { ROUNDS = 10, SAMPLE = 9000, AT_A_TIME = 512 }; /* those of k-means, or nearly */
    vt_catalog *c = catalog_open(world.dir);
    for (stop_at = 0;; stop_at += 1 + stop_at / 4) {
        asked = 0;
        if (rebuild(c, when_asked_often))
            break;
        assert_int_equal(asked, stop_at + 1);
        assert_int_equal(cells_of(c), 0);
    }
    assert_true(asked > ROUNDS * SAMPLE / AT_A_TIME);
    vt_catalog_close(c);
    assert_sound(world.dir);
}

static void what_was_learnt_can_be_corrected(void **state) {
    vt_catalog *c = catalog_open(world.dir);
    float before, after;
    assert_true(rebuild(c, NULL));
    assert_true(learn(c, VT_QUERY_TEXT, NULL));
    before = vt_catalog_fraction(c, VT_QUERY_TEXT, VT_RECALL_DEFAULT);
    vt_catalog_spend_more(c, VT_QUERY_TEXT, 1.5f);
    after = vt_catalog_fraction(c, VT_QUERY_TEXT, VT_RECALL_DEFAULT);
    assert_true(before > 0 && before < 1 && after > before && after <= 1);
    vt_catalog_close(c);
}

/* ---- recall -------------------------------------------------------------------------------- */

/* All ways, one after the other: without cells a search is exact; with them and nothing learnt, and
 * where it is asked to find all, it misses nothing but what rounding hides. */
static void a_search_finds_what_it_promises(void **state) {
    vt_catalog *c = catalog_open(world.dir);
    size_t ways[VT_WAYS] = {0};
    assert_recall(c, VT_QUERY_VECTOR, 0, 1);
    assert_true(rebuild(c, NULL));
    assert_recall(c, VT_QUERY_TEXT, 0, 0.98);
    assert_recall(c, VT_QUERY_TEXT, 1, 1);
    assert_true(learn(c, VT_QUERY_TEXT, NULL));
    assert_true(learn(c, VT_QUERY_IMAGE, NULL));
    for (vt_query_kind kind = 0; kind < VT_QUERY_KINDS; kind++)
        assert_recall(c, kind, 0, 0.98);
    assert_recall(c, VT_QUERY_IMAGE, 1, 1);
    recall_of(c, NULL, VT_QUERY_IMAGE, 0, ways);
    assert_true(ways[VT_WAY_EXACT] < QUERIES); /* else nothing was tested here */
    vt_catalog_close(c);
}

static void change_some(vt_catalog *c) {
    vt_err err = {0};
    for (unsigned n = 0; n < PRODUCTS; n += 20) {
        vt_product *p = &world.all[n];
        if (n % 40 == 0) {
            assert_int_equal(vt_catalog_delete(c, p->id, &err), VT_OK);
            vt_product_release(p);
        } else {
            vt_product_release(p);
            clustered_product(p, n, 1);
            assert_int_equal(put_ok(c, p), VT_PUT_UPDATED);
        }
    }
}

static void changes_are_found_in_their_cells(void **state) {
    vt_catalog *c = catalog_open(world.dir);
    assert_true(rebuild(c, NULL));
    assert_true(learn(c, VT_QUERY_IMAGE, NULL));
    change_some(c);
    assert_recall(c, VT_QUERY_IMAGE, 0, 0.98);
    assert_recall(c, VT_QUERY_IMAGE, 1, 1);
    vt_catalog_close(c);
    assert_sound(world.dir);
}

/* ---- products that resemble one another ---------------------------------------------------- */

/* Asks for their own vector, and for one a little beside it, for every k up to more than there are
 * twins. */
static void assert_order(vt_catalog *c, const float *twin, size_t twins, float recall) {
    match *matches = vt_alloc(PRODUCTS, sizeof *matches);
    float beside[DIM];
    assert_non_null(matches);
    random_vector(&world.random, beside, DIM);
    for (size_t d = 0; d < DIM; d++)
        beside[d] = twin[d] + 0.1f * beside[d];
    assert_true(vt_vec_normalize(beside, DIM) > 0);
    for (size_t k = 1; k <= twins + 5; k++) {
        const vt_catalog_query q = {
            .vector = k % 2 ? twin : beside, .k = k, .kind = VT_QUERY_VECTOR, .recall = recall};
        vt_catalog_hit *hits;
        size_t n;
        vt_err err = {0};
        compare_all(q.vector, NULL, matches);
        assert_int_equal(vt_catalog_search(c, &q, &hits, &n, NULL, &err), VT_OK);
        assert_int_equal(n, k);
        for (size_t i = 0; i < k; i++) {
            assert_string_equal(hits[i].product.id, matches[i].p->id);
            assert_true(hits[i].score == matches[i].score);
        }
        vt_catalog_hits_release(hits, n);
    }
    free(matches);
}

/* Gives products (every twentieth: none that was deleted) one vector, from which each differs by up
 * to `ulps` steps of a float in every dimension. */
static void make_twins(vt_catalog *c, unsigned first, unsigned twins, unsigned ulps) {
    float v[DIM];
    random_vector(&world.random, v, DIM);
    for (unsigned i = 0; i < twins; i++) {
        vt_product *p = &world.all[first + (i * 7 % twins) * 20];
        memcpy(p->embedding, v, sizeof v);
        for (unsigned d = 0; d < DIM; d++)
            for (size_t steps = below(&world.random, ulps + 1); steps > 0; steps--)
                p->embedding[d] = nextafterf(p->embedding[d], 2);
        put_ok(c, p);
    }
}

static void twins_are_ordered_by_exact_score_then_id(void **state) {
    vt_catalog *c = catalog_open(world.dir);
    make_twins(c, 1001, 60, 0);
    make_twins(c, 5001, 60, 3);
    for (int cells = 0; cells < 2; cells++) {
        float recall = cells ? 1 : 0; /* before there are cells, the default scores all as well */
        assert_order(c, world.all[1001].embedding, 60, recall);
        assert_order(c, world.all[5001].embedding, 60, recall);
        assert_int_equal(rebuild(c, NULL), cells == 0);
    }
    vt_catalog_close(c);
}

static void a_wish_that_cannot_be_is_refused(void **state) {
    vt_catalog *c = catalog_open(world.dir);
    const float wrong[] = {-0.1f, 1.1f, NAN};
    vt_catalog_hit *hits;
    size_t n;
    vt_err err = {0};
    for (size_t i = 0; i < 3; i++) {
        const vt_catalog_query q = {
            .vector = world.centres, .k = 1, .kind = VT_QUERY_TEXT, .recall = wrong[i]};
        assert_int_equal(vt_catalog_search(c, &q, &hits, &n, NULL, &err), VT_E_INVALID);
        assert_string_equal(err.field, "/recall");
    }
    vt_catalog_close(c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cells_are_made_where_they_are_due),
        cmocka_unit_test(a_rebuild_stops_wherever_it_is),
        cmocka_unit_test(what_was_learnt_can_be_corrected),
        cmocka_unit_test(a_search_finds_what_it_promises),
        cmocka_unit_test(changes_are_found_in_their_cells),
        cmocka_unit_test(twins_are_ordered_by_exact_score_then_id),
        cmocka_unit_test(a_wish_that_cannot_be_is_refused),
    };
    return cmocka_run_group_tests_name("catalog_cells", tests, make_world, end_world);
}
