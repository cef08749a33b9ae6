/* The catalogue as its callers see it: what is put is there, also after a reopening; what is asked
 * is answered in order; a folder that is not ours, or damaged, is refused in words. */
#include "catalog_support.h"

static int fresh_folder(void **state) {
    *state = folder_make();
    return 0;
}

static int remove_folder(void **state) {
    folder_remove(*state);
    return 0;
}

static void assert_stored(vt_catalog *c, unsigned n, unsigned version) {
    vt_product want, have;
    vt_err err = {0};
    product_make(&want, n, version);
    assert_int_equal(vt_catalog_get(c, want.id, &have, &err), VT_OK);
    assert_same_product(&want, &have, true);
    vt_product_release(&want);
    vt_product_release(&have);
}

/* ---- put, get, delete ------------------------------------------------------------------- */

static void what_is_put_is_there_after_reopening(void **state) {
    vt_catalog *c = catalog_open(*state);
    vt_catalog_stats before, after;
    for (unsigned n = 0; n < 300; n++)
        assert_int_equal(put_made(c, n, 0), VT_PUT_CREATED);
    for (unsigned n = 0; n < 300; n += 3)
        assert_int_equal(put_made(c, n, 1), VT_PUT_UPDATED);
    vt_catalog_describe(c, &before);
    vt_catalog_close(c);
    assert_sound(*state);
    c = catalog_open(*state);
    for (unsigned n = 0; n < 300; n++)
        assert_stored(c, n, n % 3 == 0);
    vt_catalog_describe(c, &after);
    assert_int_equal(after.products, 300);
    assert_int_equal(after.categories, 5);
    assert_int_equal(after.seq, 400);
    assert_int_equal(after.seq, before.seq);
    assert_string_equal(after.database_id, before.database_id);
    assert_int_equal(strlen(after.database_id), 36);
    assert_int_equal(before.rows_written, 400);
    assert_true(after.database_bytes > 300 * DIM * sizeof(float));
    vt_catalog_close(c);
}

static void an_equal_product_changes_nothing(void **state) {
    vt_catalog *c = catalog_open(*state);
    vt_product p;
    uint64_t generation, seq;
    int64_t created;
    product_make(&p, 1, 0);
    assert_int_equal(put_ok(c, &p), VT_PUT_CREATED);
    created = p.created_at;
    seq = p.seq;
    assert_true(created > 0 && created == p.updated_at && seq == 1);
    generation = vt_catalog_generation(c);
    assert_int_equal(put_made(c, 1, 0), VT_PUT_UNCHANGED);
    p.seq = 0;
    assert_int_equal(put_ok(c, &p), VT_PUT_UNCHANGED);
    assert_int_equal(p.seq, seq);
    assert_int_equal(vt_catalog_generation(c), generation);
    p.image_hash.bytes[5] ^= 1;
    assert_int_equal(put_ok(c, &p), VT_PUT_UPDATED);
    assert_int_equal(p.created_at, created);
    p.embedding[0] = nextafterf(p.embedding[0], 2);
    assert_int_equal(put_ok(c, &p), VT_PUT_UPDATED);
    p.price = NAN;
    assert_int_equal(put_ok(c, &p), VT_PUT_UPDATED);
    assert_int_equal(put_ok(c, &p), VT_PUT_UNCHANGED);
    json_decref(p.attributes); /* numbers must come back as they went, also their kind */
    p.attributes =
        json_of("{\"a\":1.0,\"b\":1,\"c\":1.1,\"d\":1e300,\"e\":-0.0,\"f\":0.30000000000000004,"
                "\"g\":9007199254740993,\"h\":null,\"i\":[true,{\"\":\"\"}]}");
    assert_int_equal(put_ok(c, &p), VT_PUT_UPDATED);
    assert_int_equal(put_ok(c, &p), VT_PUT_UNCHANGED);
    json_object_set_new(p.attributes, "a", json_integer(1));
    assert_int_equal(put_ok(c, &p), VT_PUT_UPDATED);
    assert_int_equal(vt_catalog_generation(c), generation + 5);
    vt_product_release(&p);
    vt_catalog_close(c);
}

static void an_invalid_product_is_refused_and_the_rest_of_its_batch_is_not(void **state) {
    enum { N = 600 };
    vt_catalog *c = catalog_open(*state);
    vt_product *p = vt_alloc(N, sizeof *p);
    vt_status *statuses = vt_alloc(N, sizeof *statuses);
    vt_put_result *results = vt_alloc(N, sizeof *results);
    vt_err *errs = vt_alloc(N, sizeof *errs);
    vt_catalog_stats stats;
    for (unsigned i = 0; i < N; i++)
        product_make(&p[i], i, 0);
    p[3].price = -1;
    p[300].embedding[2] = NAN;
    memset(p[301].embedding, 0, DIM * sizeof(float));
    free(p[599].embedding);
    p[599].embedding = NULL;
    vt_catalog_put_many(c, p, N, statuses, results, errs);
    for (unsigned i = 0; i < N; i++) {
        bool bad = i == 3 || i == 300 || i == 301 || i == 599;
        assert_int_equal(statuses[i], bad ? VT_E_INVALID : VT_OK);
        if (!bad)
            assert_int_equal(results[i], VT_PUT_CREATED);
        vt_product_release(&p[i]);
    }
    assert_string_equal(errs[3].field, "/price");
    vt_catalog_describe(c, &stats);
    assert_int_equal(stats.products, N - 4);
    assert_true(stats.commits < 20);
    free(p);
    free(statuses);
    free(results);
    free(errs);
    vt_catalog_close(c);
}

static void of_an_id_that_comes_twice_the_later_wins(void **state) {
    vt_catalog *c = catalog_open(*state);
    vt_product p[4];
    vt_status statuses[4];
    vt_put_result results[4];
    vt_err errs[4];
    product_make(&p[0], 1, 0);
    product_make(&p[1], 1, 1);
    product_make(&p[2], 1, 1);
    product_make(&p[3], 2, 0);
    vt_catalog_put_many(c, p, 4, statuses, results, errs);
    assert_int_equal(results[0], VT_PUT_CREATED);
    assert_int_equal(results[1], VT_PUT_UPDATED);
    assert_int_equal(results[2], VT_PUT_UNCHANGED);
    assert_int_equal(results[3], VT_PUT_CREATED);
    assert_stored(c, 1, 1);
    for (int i = 0; i < 4; i++)
        vt_product_release(&p[i]);
    vt_catalog_close(c);
    assert_sound(*state);
}

static void a_statement_that_fails_fails_its_product_alone(void **state) {
    vt_catalog *c = catalog_open(*state);
    vt_product p[3], have;
    vt_status statuses[3];
    vt_put_result results[3];
    vt_err errs[3];
    run_sql(*state, "CREATE TRIGGER no BEFORE INSERT ON product WHEN NEW.id = 'product-00001' "
                    "BEGIN SELECT RAISE(ABORT, 'not this one'); END");
    for (unsigned i = 0; i < 3; i++)
        product_make(&p[i], i, 0);
    vt_catalog_put_many(c, p, 3, statuses, results, errs);
    assert_int_equal(statuses[0], VT_OK);
    assert_int_not_equal(statuses[1], VT_OK);
    assert_non_null(strstr(errs[1].text, "not this one"));
    assert_int_equal(statuses[2], VT_OK);
    assert_stored(c, 0, 0);
    assert_stored(c, 2, 0);
    assert_int_equal(vt_catalog_get(c, p[1].id, &have, &errs[1]), VT_E_NOT_FOUND);
    for (int i = 0; i < 3; i++)
        vt_product_release(&p[i]);
    vt_catalog_close(c);
}

/* What SQLite does by itself after some errors of the disk: the group's transaction is gone, and
 * what comes after must not be written outside of it. */
static void a_transaction_that_is_lost_fails_its_whole_group(void **state) {
    vt_catalog *c = catalog_open(*state);
    vt_product p[5];
    vt_status statuses[5];
    vt_put_result results[5];
    vt_err errs[5];
    vt_catalog_stats stats;
    run_sql(*state, "CREATE TRIGGER no BEFORE INSERT ON product WHEN NEW.id = 'product-00002' "
                    "BEGIN SELECT RAISE(ROLLBACK, 'lost'); END");
    for (unsigned i = 0; i < 5; i++)
        product_make(&p[i], i, 0);
    vt_catalog_put_many(c, p, 5, statuses, results, errs);
    for (unsigned i = 0; i < 5; i++)
        assert_int_not_equal(statuses[i], VT_OK);
    assert_int_equal(statuses[4], VT_E_IO);
    vt_catalog_describe(c, &stats);
    assert_int_equal(stats.products, 0);
    assert_int_equal(stats.generation, 0);
    assert_int_equal(put_made(c, 1, 0), VT_PUT_CREATED);
    for (int i = 0; i < 5; i++)
        vt_product_release(&p[i]);
    vt_catalog_close(c);
    assert_sound(*state);
    c = catalog_open(*state);
    vt_catalog_describe(c, &stats);
    assert_int_equal(stats.products, 1);
    vt_catalog_close(c);
}

static void what_is_deleted_is_gone_and_its_number_does_not_come_back(void **state) {
    vt_catalog *c = catalog_open(*state);
    vt_product p;
    vt_err err = {0};
    uint64_t generation;
    for (unsigned n = 0; n < 10; n++)
        put_made(c, n, 0);
    assert_int_equal(vt_catalog_delete(c, "product-00009", &err), VT_OK);
    assert_int_equal(vt_catalog_delete(c, "product-00009", &err), VT_E_NOT_FOUND);
    assert_non_null(strstr(err.text, "product-00009"));
    assert_int_equal(vt_catalog_get(c, "product-00009", &p, &err), VT_E_NOT_FOUND);
    generation = vt_catalog_generation(c);
    assert_int_equal(generation, 11);
    vt_catalog_close(c);
    c = catalog_open(*state);
    assert_int_equal(vt_catalog_generation(c), generation);
    product_make(&p, 20, 0);
    put_ok(c, &p);
    assert_int_equal(p.seq, 12);
    vt_product_release(&p);
    for (unsigned n = 0; n < 9; n++) {
        char id[32];
        snprintf(id, sizeof id, "product-%05u", n);
        assert_int_equal(vt_catalog_delete(c, id, &err), VT_OK);
    }
    assert_int_equal(vt_catalog_delete(c, "product-00020", &err), VT_OK);
    vt_catalog_close(c);
    c = catalog_open(*state);
    assert_int_equal(vt_catalog_generation(c), 22); /* empty, and still counting */
    vt_catalog_close(c);
    assert_sound(*state);
}

static void a_vector_is_given_back_for_the_same_picture_only(void **state) {
    vt_catalog *c = catalog_open(*state);
    vt_product p;
    vt_err err = {0};
    float v[DIM];
    bool found;
    vt_hash other = vt_hash_bytes("another picture", 15);
    product_make(&p, 1, 0);
    put_ok(c, &p);
    assert_int_equal(vt_catalog_vector(c, p.id, &p.image_hash, v, &found, &err), VT_OK);
    assert_true(found);
    assert_memory_equal(v, p.embedding, sizeof v);
    assert_int_equal(vt_catalog_vector(c, p.id, &other, v, &found, &err), VT_OK);
    assert_false(found);
    assert_int_equal(vt_catalog_vector(c, "nobody", &p.image_hash, v, &found, &err), VT_OK);
    assert_false(found);
    vt_product_release(&p);
    vt_catalog_close(c);
}

/* ---- list and categories ---------------------------------------------------------------- */

typedef struct listing {
    size_t n, stop_after;
    char last[300];
} listing;

static vt_status list_one(void *ctx, const vt_product *p, vt_err *err) {
    listing *l = ctx;
    assert_true(l->n == 0 || strcmp(l->last, p->id) < 0);
    snprintf(l->last, sizeof l->last, "%s", p->id);
    return ++l->n == l->stop_after ? vt_fail(err, VT_E_BUSY, "enough") : VT_OK;
}

static void a_list_goes_by_id_in_pages(void **state) {
    vt_catalog *c = catalog_open(*state);
    vt_err err = {0};
    listing l = {0};
    vt_filter *f = filter_of("{\"category\":\"category 3\"}");
    for (unsigned n = 100; n-- > 0;)
        put_made(c, n, 0);
    assert_int_equal(vt_catalog_list(c, "", 1000, NULL, list_one, &l, &err), VT_OK);
    assert_int_equal(l.n, 100);
    l = (listing){0};
    assert_int_equal(vt_catalog_list(c, "product-00049", 33, NULL, list_one, &l, &err), VT_OK);
    assert_int_equal(l.n, 33);
    assert_string_equal(l.last, "product-00082");
    l = (listing){0};
    assert_int_equal(vt_catalog_list(c, "", 1000, f, list_one, &l, &err), VT_OK);
    assert_int_equal(l.n, 20);
    l = (listing){0};
    assert_int_equal(vt_catalog_list(c, "product-00050", 3, f, list_one, &l, &err), VT_OK);
    assert_string_equal(l.last, "product-00063");
    l = (listing){.stop_after = 40};
    assert_int_equal(vt_catalog_list(c, "", 1000, NULL, list_one, &l, &err), VT_E_BUSY);
    assert_string_equal(err.text, "enough");
    assert_int_equal(l.n, 40);
    vt_filter_close(f);
    vt_catalog_close(c);
}

static vt_status join_category(void *ctx, const char *category, size_t products, vt_err *err) {
    vt_buf_printf(ctx, "[%s %zu]", category, products);
    return VT_OK;
}

static void assert_categories(vt_catalog *c, const char *expected) {
    vt_buf text;
    vt_err err = {0};
    vt_buf_init(&text, 1000);
    vt_buf_puts(&text, "");
    assert_int_equal(vt_catalog_categories(c, join_category, &text, &err), VT_OK);
    assert_string_equal(text.data, expected);
    vt_buf_release(&text);
}

static void categories_are_counted(void **state) {
    vt_catalog *c = catalog_open(*state);
    vt_err err = {0};
    vt_product p;
    assert_categories(c, "");
    for (unsigned n = 0; n < 7; n++)
        put_made(c, n, 0);
    assert_categories(c, "[ 2][category 1 2][category 2 1][category 3 1][category 4 1]");
    assert_int_equal(vt_catalog_delete(c, "product-00002", &err), VT_OK);
    product_make(&p, 3, 0);
    p.category[0] = 'X';
    put_ok(c, &p);
    vt_product_release(&p);
    assert_categories(c, "[ 2][Xategory 3 1][category 1 2][category 4 1]");
    vt_catalog_close(c);
}

/* ---- search ----------------------------------------------------------------------------- */

static void equal_scores_are_ordered_by_id(void **state) {
    static const char *const ids[] = {"b", "a", "\xC3\xA9", "B", "ab", "10", "9"};
    static const char *const sorted[] = {"10", "9", "B", "a", "ab", "b", "\xC3\xA9"};
    vt_catalog *c = catalog_open(*state);
    vt_catalog_hit *hits;
    size_t n;
    vt_product p;
    vt_err err = {0};
    product_make(&p, 1, 0);
    for (size_t i = 0; i < 7; i++) {
        free(p.id);
        p.id = vt_strdup(ids[i]);
        put_ok(c, &p);
    }
    for (size_t k = 1; k <= 8; k++) {
        assert_int_equal(search_all(c, p.embedding, NULL, k, &hits, &n, &err), VT_OK);
        assert_int_equal(n, k < 7 ? k : 7);
        for (size_t i = 0; i < n; i++) {
            assert_string_equal(hits[i].product.id, sorted[i]);
            assert_true(fabsf(hits[i].score - 1) < 1e-5f);
        }
        vt_catalog_hits_release(hits, n);
    }
    vt_product_release(&p);
    vt_catalog_close(c);
}

static void a_search_gives_whole_products(void **state) {
    vt_catalog *c = catalog_open(*state);
    vt_catalog_hit *hits;
    size_t n;
    vt_product p;
    vt_err err = {0};
    for (unsigned i = 0; i < 50; i++)
        put_made(c, i, 0);
    product_make(&p, 17, 0);
    assert_int_equal(search_all(c, p.embedding, NULL, 5, &hits, &n, &err), VT_OK);
    assert_int_equal(n, 5);
    assert_same_product(&p, &hits[0].product, false);
    assert_null(hits[0].product.embedding);
    for (size_t i = 1; i < n; i++)
        assert_true(hits[i].score <= hits[i - 1].score);
    vt_catalog_hits_release(hits, n);
    vt_product_release(&p);
    vt_catalog_close(c);
}

static void a_bad_question_is_refused(void **state) {
    vt_catalog *c = catalog_open(*state);
    vt_catalog_hit *hits;
    size_t n;
    vt_err err = {0};
    float v[DIM] = {1};
    assert_int_equal(search_all(c, v, NULL, 10, &hits, &n, &err), VT_OK);
    assert_int_equal(n, 0);
    vt_catalog_hits_release(hits, n);
    assert_int_equal(search_all(c, v, NULL, 0, &hits, &n, &err), VT_E_INVALID);
    v[1] = NAN;
    assert_int_equal(search_all(c, v, NULL, 10, &hits, &n, &err), VT_E_INVALID);
    v[0] = v[1] = 0;
    assert_int_equal(search_all(c, v, NULL, 10, &hits, &n, &err), VT_E_INVALID);
    assert_null(hits);
    vt_catalog_close(c);
}

/* ---- folders that cannot be opened ------------------------------------------------------ */

static void refuse_open(vt_catalog_options *o, vt_status status, const char *const *words) {
    vt_catalog *c;
    vt_err err = {0};
    assert_int_equal(vt_catalog_open(o, &c, &err), status);
    assert_null(c);
    for (; *words; words++)
        if (!strstr(err.text, *words))
            fail_msg("\"%s\" does not say \"%s\"", err.text, *words);
}

static void a_folder_is_one_process_s(void **state) {
    vt_catalog_options o = options_of(*state);
    vt_catalog *c = catalog_open(*state);
    findings f = {0};
    size_t problems;
    vt_err err = {0};
    refuse_open(&o, VT_E_LOCKED, (const char *const[]){"lock", NULL});
    assert_int_equal(vt_catalog_check(*state, collect, &f, &problems, &err), VT_E_LOCKED);
    vt_catalog_close(c);
    vt_catalog_close(catalog_open(*state));
}

static void another_model_is_told_what_to_do(void **state) {
    vt_catalog_options o = options_of(*state);
    vt_catalog_close(catalog_open(*state));
    o.model = vt_hash_bytes("other", 5);
    o.model_name = "other-model";
    refuse_open(&o, VT_E_MISMATCH,
                (const char *const[]){"test-model", "other-model", "--model", "--data", "16",
                                      NULL});
    o = options_of(*state);
    o.dim = 32;
    refuse_open(&o, VT_E_MISMATCH, (const char *const[]){"16 dim", "32 dim", NULL});
}

static void a_foreign_or_newer_file_is_refused_and_left_alone(void **state) {
    vt_catalog_options o = options_of(*state);
    char *path = vt_path_join(*state, "catalog.db");
    vt_err err = {0};
    vt_buf before, after;
    vt_buf_init(&before, 1 << 20);
    vt_buf_init(&after, 1 << 20);
    run_sql(*state, "CREATE TABLE cakes (flavour)");
    assert_int_equal(vt_file_read(path, &before, &err), VT_OK);
    refuse_open(&o, VT_E_MISMATCH, (const char *const[]){"another program", NULL});
    assert_int_equal(vt_file_read(path, &after, &err), VT_OK);
    assert_int_equal(before.len, after.len);
    assert_memory_equal(before.data, after.data, before.len);
    assert_int_equal(unlink(path), 0);
    vt_catalog_close(catalog_open(*state));
    run_sql(*state, "PRAGMA user_version=9");
    refuse_open(&o, VT_E_MISMATCH, (const char *const[]){"newer vitrine", "9", NULL});
    write_file(path, "this is no database at all, it is a text. ", 40);
    refuse_open(&o, VT_E_CORRUPT, (const char *const[]){"catalog.db", "import", NULL});
    vt_buf_release(&before);
    vt_buf_release(&after);
    free(path);
}

static void an_empty_file_is_no_catalogue(void **state) {
    char *path = vt_path_join(*state, "catalog.db");
    vt_catalog_options o = options_of(*state);
    write_file(path, "", 0);
    refuse_open(&o, VT_E_CORRUPT, (const char *const[]){"no tables", NULL});
    free(path);
}

/* What a kill while the file was being made leaves behind. */
static void a_catalogue_half_made_is_made_again(void **state) {
    char *fresh = vt_path_join(*state, "catalog.db-new");
    char *journal = vt_path_join(*state, "catalog.db-new-journal");
    write_file(fresh, "half a file", 11);
    write_file(journal, "half a journal", 14);
    vt_catalog_close(catalog_open(*state));
    assert_sound(*state);
    assert_int_not_equal(access(fresh, F_OK), 0);
    assert_int_not_equal(access(journal, F_OK), 0);
    free(fresh);
    free(journal);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, fresh_folder, remove_folder)

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_FOLDER(what_is_put_is_there_after_reopening),
        IN_FOLDER(an_equal_product_changes_nothing),
        IN_FOLDER(an_invalid_product_is_refused_and_the_rest_of_its_batch_is_not),
        IN_FOLDER(of_an_id_that_comes_twice_the_later_wins),
        IN_FOLDER(a_statement_that_fails_fails_its_product_alone),
        IN_FOLDER(a_transaction_that_is_lost_fails_its_whole_group),
        IN_FOLDER(what_is_deleted_is_gone_and_its_number_does_not_come_back),
        IN_FOLDER(a_vector_is_given_back_for_the_same_picture_only),
        IN_FOLDER(a_list_goes_by_id_in_pages),
        IN_FOLDER(categories_are_counted),
        IN_FOLDER(equal_scores_are_ordered_by_id),
        IN_FOLDER(a_search_gives_whole_products),
        IN_FOLDER(a_bad_question_is_refused),
        IN_FOLDER(a_folder_is_one_process_s),
        IN_FOLDER(another_model_is_told_what_to_do),
        IN_FOLDER(a_foreign_or_newer_file_is_refused_and_left_alone),
        IN_FOLDER(an_empty_file_is_no_catalogue),
        IN_FOLDER(a_catalogue_half_made_is_made_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
