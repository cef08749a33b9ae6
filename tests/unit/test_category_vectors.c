/* The categories' mean vectors, counts and samples, against sums written here over the same
 * products, after puts, changes, deletions and a reopening; and a filter that gets a category. */
#include "catalog_support.h"

enum { PRODUCTS = 200, DELETED_EVERY = 7 };

static int fresh_folder(void **state) {
    *state = folder_make();
    return 0;
}

static int remove_folder(void **state) {
    folder_remove(*state);
    return 0;
}

static bool is_deleted(unsigned n) {
    return n % DELETED_EVERY == 3;
}

static void fill(vt_catalog *c) {
    vt_err err;
    char id[32];
    for (unsigned n = 0; n < PRODUCTS; n++)
        put_made(c, n, 0);
    for (unsigned n = 0; n < PRODUCTS; n += 2)
        put_made(c, n, 1);
    for (unsigned n = 0; n < PRODUCTS; n++) {
        snprintf(id, sizeof id, "product-%05u", n);
        if (is_deleted(n))
            assert_int_equal(vt_catalog_delete(c, id, &err), VT_OK);
    }
}

static vt_category_vectors vectors_of(vt_catalog *c, size_t max_samples) {
    vt_category_vectors v;
    vt_err err = {0};
    if (vt_catalog_category_vectors(c, max_samples, &v, &err) != VT_OK)
        fail_msg("%s", err.text);
    assert_int_equal(v.dim, DIM);
    assert_int_equal(v.generation, vt_catalog_generation(c));
    return v;
}

/* Products of category k (of 1..4: k == 0 has no name) that are there, and their mean. */
static size_t expected_mean(unsigned k, double mean[DIM]) {
    size_t count = 0;
    memset(mean, 0, DIM * sizeof *mean);
    for (unsigned n = k; n < PRODUCTS; n += 5) {
        vt_product p;
        if (is_deleted(n))
            continue;
        product_make(&p, n, n % 2 == 0);
        for (size_t d = 0; d < DIM; d++)
            mean[d] += (double)p.embedding[d];
        vt_product_release(&p);
        count++;
    }
    for (size_t d = 0; d < DIM; d++)
        mean[d] /= (double)count;
    return count;
}

static void assert_means(vt_catalog *c) {
    vt_category_vectors v = vectors_of(c, 0);
    assert_int_equal(v.n, 4);
    assert_int_equal(v.n_samples, 0);
    for (unsigned k = 1; k <= 4; k++) {
        double mean[DIM];
        char name[32];
        snprintf(name, sizeof name, "category %u", k);
        assert_string_equal(v.names[k - 1], name);
        assert_int_equal(v.products[k - 1], expected_mean(k, mean));
        for (size_t d = 0; d < DIM; d++)
            assert_float_equal(v.means[(k - 1) * DIM + d], mean[d], 1e-3);
    }
    vt_category_vectors_release(&v);
}

static void means_follow_the_products(void **state) {
    vt_catalog *c = catalog_open(*state);
    fill(c);
    assert_means(c);
    vt_catalog_close(c);
    c = catalog_open(*state); /* other slots, the same answer */
    assert_means(c);
    vt_catalog_close(c);
}

static void a_catalogue_without_categories_has_none(void **state) {
    vt_catalog *c = catalog_open(*state);
    vt_category_vectors v = vectors_of(c, 10);
    assert_true(v.n == 0 && v.n_samples == 0);
    vt_category_vectors_release(&v);
    put_made(c, 5, 0); /* "" */
    v = vectors_of(c, 10);
    assert_true(v.n == 0 && v.n_samples == 0);
    vt_category_vectors_release(&v);
    put_made(c, 6, 0);
    v = vectors_of(c, 10);
    assert_true(v.n == 1 && v.n_samples == 1);
    assert_memory_equal(v.means, v.samples, DIM * sizeof(float));
    vt_category_vectors_release(&v);
    vt_catalog_close(c);
}

/* The product number of a sample, or PRODUCTS. */
static unsigned product_of(const float *sample, uint32_t category) {
    for (unsigned n = category + 1; n < PRODUCTS; n += 5) {
        vt_product p;
        product_make(&p, n, n % 2 == 0);
        bool same = !is_deleted(n) && is_near(sample, p.embedding);
        vt_product_release(&p);
        if (same)
            return n;
    }
    return PRODUCTS;
}

static void samples_are_products_in_their_share(void **state) {
    vt_catalog *c = catalog_open(*state);
    fill(c);
    for (size_t wanted = 1; wanted <= PRODUCTS; wanted = wanted * 2 + 1) {
        vt_category_vectors v = vectors_of(c, wanted), again = vectors_of(c, wanted);
        size_t taken[4] = {0}, total = 0;
        bool seen[PRODUCTS] = {false};
        for (size_t k = 0; k < 4; k++)
            total += v.products[k];
        assert_int_equal(v.n_samples, wanted < total ? wanted : total);
        for (size_t i = 0; i < v.n_samples; i++) {
            unsigned n = product_of(v.samples + i * DIM, v.sample_of[i]);
            assert_true(n < PRODUCTS && !seen[n]);
            seen[n] = true;
            taken[v.sample_of[i]]++;
        }
        for (size_t k = 0; k < 4; k++) {
            double share = (double)v.n_samples * (double)v.products[k] / (double)total;
            assert_true(fabs((double)taken[k] - share) <= 1);
        }
        assert_memory_equal(v.samples, again.samples, v.n_samples * DIM * sizeof(float));
        vt_category_vectors_release(&v);
        vt_category_vectors_release(&again);
    }
    vt_catalog_close(c);
}

static void a_filter_gets_a_category(void **state) {
    static const char *const bare[] = {
        "{}", "{\"price_max\":40,\"attributes.colour\":\"c1\"}",
        "{\"or\":[{\"price_max\":40},{\"category\":\"category 1\"}]}",
        "{\"and\":[{\"category\":\"category 1\"}]}", "{\"category\":[\"category 2\"]}"};
    static const char *const full[] = {
        "{\"category\":\"category 2\"}",
        "{\"category\":\"category 2\",\"price_max\":40,\"attributes.colour\":\"c1\"}",
        "{\"category\":\"category 2\",\"or\":[{\"price_max\":40},{\"category\":\"category 1\"}]}",
        "{\"and\":[{\"category\":\"category 1\"},{\"category\":\"category 2\"}]}",
        "{\"category\":\"category 2\"}"};
    for (size_t i = 0; i < sizeof bare / sizeof bare[0]; i++) {
        vt_filter *have = filter_of(bare[i]), *want = filter_of(full[i]);
        vt_buf a, b;
        vt_err err;
        vt_buf_init(&a, 1000);
        vt_buf_init(&b, 1000);
        assert_int_equal(vt_filter_add_category(have, "category 2", &err), VT_OK);
        vt_filter_write(have, &a);
        vt_filter_write(want, &b);
        assert_string_equal(a.data, b.data);
        for (unsigned n = 0; n < 20; n++) {
            vt_product p;
            product_make(&p, n, 0);
            assert_int_equal(vt_filter_matches(have, &p), vt_filter_matches(want, &p));
            vt_product_release(&p);
        }
        vt_buf_release(&a);
        vt_buf_release(&b);
        vt_filter_close(have);
        vt_filter_close(want);
    }
}

static int set_up(void **state) {
    vt_err err;
    return vt_vec_init(NULL, &err) == VT_OK ? 0 : -1;
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, fresh_folder, remove_folder)

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_FOLDER(means_follow_the_products),
        IN_FOLDER(a_catalogue_without_categories_has_none),
        IN_FOLDER(samples_are_products_in_their_share),
        cmocka_unit_test(a_filter_gets_a_category),
    };
    return cmocka_run_group_tests_name("category_vectors", tests, set_up, NULL);
}
