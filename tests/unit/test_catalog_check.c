/* vt_catalog_check, by damaging a catalogue in every way we can think of and some random ones. A
 * damaged file is told in words; neither checking nor opening it ever crashes. */
#include "catalog_support.h"

enum { PRODUCTS = 60 };

static int filled_folder(void **state) {
    vt_catalog *c;
    *state = folder_make();
    c = catalog_open(*state);
    for (unsigned n = 0; n < PRODUCTS; n++)
        put_made(c, n, 0);
    vt_catalog_close(c);
    return 0;
}

static int remove_folder(void **state) {
    folder_remove(*state);
    return 0;
}

/* Does `sql` to a good catalogue and expects exactly `problems` findings, one of which says `word`.
 */
static void assert_found(const char *dir, const char *sql, size_t expected, const char *word) {
    findings f = {0};
    size_t problems = 0;
    vt_err err = {0};
    run_sql(dir, sql);
    if (vt_catalog_check(dir, collect, &f, &problems, &err) != VT_OK)
        fail_msg("%s", err.text);
    if (problems != expected || !strstr(f.text, word))
        fail_msg("%zu findings, not %zu with \"%s\":\n%s", problems, expected, word, f.text);
}

static void assert_cannot_open(const char *dir) {
    vt_catalog_options o = options_of(dir);
    vt_catalog *c;
    vt_err err = {0};
    assert_int_equal(vt_catalog_open(&o, &c, &err), VT_E_CORRUPT);
    assert_non_null(strstr(err.text, "catalog.db"));
}

static void a_sound_catalogue_has_no_findings(void **state) {
    findings f = {0};
    size_t problems = 1;
    vt_err err = {0};
    assert_int_equal(vt_catalog_check(*state, collect, &f, &problems, &err), VT_OK);
    assert_int_equal(problems, 0);
    assert_non_null(strstr(f.text, "all 60 rows"));
    assert_non_null(strstr(f.text, "test-model"));
    assert_non_null(strstr(f.text, "finds each of the 60"));
}

static void a_zeroed_embedding(void **state) {
    assert_found(*state, "UPDATE product SET embedding = zeroblob(64) WHERE row = 7", 1, "row 7");
    assert_cannot_open(*state);
}

static void an_embedding_of_wrong_length(void **state) {
    assert_found(*state, "UPDATE product SET embedding = zeroblob(60) WHERE row = 7", 1,
                 "embedding does not have the model's length");
    assert_cannot_open(*state);
}

static void a_number_that_comes_twice(void **state) {
    assert_found(*state, "UPDATE product SET seq = 5 WHERE row = 7", 1, "change number 5");
}

static void a_number_above_the_counter(void **state) {
    assert_found(*state, "UPDATE product SET seq = 99 WHERE row = 7", 1, "above the counter");
}

static void fields_that_break_their_rules(void **state) {
    assert_found(*state, "UPDATE product SET name = '' WHERE row = 1", 1, "name must not be empty");
    assert_found(*state, "UPDATE product SET price = -1.0 WHERE row = 2", 2, "price");
    assert_found(*state, "UPDATE product SET attributes = '[]' WHERE row = 3", 3, "attributes");
    assert_found(*state, "UPDATE product SET attributes = '{' WHERE row = 4", 4, "row 4");
    assert_found(*state, "UPDATE product SET image_hash = x'00' WHERE row = 5", 5, "32 bytes");
    assert_found(*state, "UPDATE product SET category = CAST(x'FF' AS TEXT) WHERE row = 6", 6,
                 "UTF-8");
    assert_found(*state, "UPDATE product SET updated_at = created_at - 1 WHERE row = 8", 7,
                 "before it was created");
    assert_cannot_open(*state);
}

static void a_meta_row_that_is_gone_or_wrong(void **state) {
    assert_found(*state, "UPDATE meta SET model = 'zz'", 1, "names the model");
    assert_cannot_open(*state);
    assert_found(*state, "DELETE FROM meta", 1, "missing");
    assert_cannot_open(*state);
    assert_found(*state, "DROP TABLE meta", 1, "meta");
}

static void no_catalogue_at_all(void **state) {
    findings f = {0};
    size_t problems;
    vt_err err = {0};
    char *path = vt_path_join(*state, "catalog.db");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(vt_catalog_check(*state, collect, &f, &problems, &err), VT_E_NOT_FOUND);
    assert_int_equal(vt_catalog_check("/nonexistent/x", collect, &f, &problems, &err),
                     VT_E_NOT_FOUND);
    free(path);
}

/* ---- damage to the file itself ---------------------------------------------------------- */

/* Neither may crash, and what a check calls sound must open. Tells whether damage was found. */
static bool check_and_open(const char *dir) {
    findings f = {0};
    size_t problems = 0;
    vt_err err = {0};
    vt_catalog_options o = options_of(dir);
    vt_catalog *c;
    vt_status checked = vt_catalog_check(dir, collect, &f, &problems, &err), opened;
    opened = vt_catalog_open(&o, &c, &err);
    if (checked == VT_OK && problems == 0 && opened != VT_OK && opened != VT_E_MISMATCH)
        fail_msg("sound, but: %s", err.text);
    vt_catalog_close(c);
    return checked != VT_OK || problems > 0;
}

static void a_file_cut_short(void **state) {
    char *path = vt_path_join(*state, "catalog.db");
    vt_buf good;
    vt_err err = {0};
    vt_buf_init(&good, 1 << 24);
    assert_int_equal(vt_file_read(path, &good, &err), VT_OK);
    for (size_t part = 1; part < 16; part++) {
        write_file(path, good.data, good.len * part / 16);
        assert_true(check_and_open(*state));
    }
    vt_buf_release(&good);
    free(path);
}

static void bytes_flipped_at_random(void **state) {
    char *path = vt_path_join(*state, "catalog.db");
    vt_buf good;
    vt_err err = {0};
    uint64_t random = 99;
    size_t found = 0;
    vt_buf_init(&good, 1 << 24);
    assert_int_equal(vt_file_read(path, &good, &err), VT_OK);
    for (int round = 0; round < 300; round++) {
        char *bad = vt_strndup(good.data, good.len);
        for (size_t flips = 1 + below(&random, 20); flips > 0; flips--) {
            size_t range = round % 2 ? good.len : 512; /* headers are the sore spot */
            bad[below(&random, range)] ^= (char)(1 << below(&random, 8));
        }
        write_file(path, bad, good.len);
        free(bad);
        found += check_and_open(*state);
    }
    assert_true(found > 100);
    vt_buf_release(&good);
    free(path);
}

#define DAMAGED(test) cmocka_unit_test_setup_teardown(test, filled_folder, remove_folder)

int main(void) {
    const struct CMUnitTest tests[] = {
        DAMAGED(a_sound_catalogue_has_no_findings),
        DAMAGED(a_zeroed_embedding),
        DAMAGED(an_embedding_of_wrong_length),
        DAMAGED(a_number_that_comes_twice),
        DAMAGED(a_number_above_the_counter),
        DAMAGED(fields_that_break_their_rules),
        DAMAGED(a_meta_row_that_is_gone_or_wrong),
        DAMAGED(no_catalogue_at_all),
        DAMAGED(a_file_cut_short),
        DAMAGED(bytes_flipped_at_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
