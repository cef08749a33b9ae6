/* base: every promise of base.h that the other rooms lean on. */
#include "base/base.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void errors_are_one_line_and_show_a_cut(void **state) {
    vt_err err;
    char longer[2000];
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = 0;
    assert_int_equal(vt_fail(&err, VT_E_PARSE, "two\nlines %d", 7), VT_E_PARSE);
    assert_string_equal(err.text, "two lines 7");
    assert_string_equal(err.field, "");
    vt_fail_field(&err, VT_E_INVALID, "/price", "%s", longer);
    assert_string_equal(err.field, "/price");
    assert_int_equal(strlen(err.text), VT_ERR_TEXT_MAX - 1);
    assert_string_equal(err.text + VT_ERR_TEXT_MAX - 4, "...");
    vt_fail(&err, VT_E_IO, "inner");
    assert_int_equal(vt_fail_prefix(&err, "outer %d", 1), VT_E_IO);
    assert_string_equal(err.text, "outer 1: inner");
    vt_fail(&err, VT_E_IO, "host a\xff\xc3(\xc3\xa9");
    assert_string_equal(err.text, "host a?"
                                  "?(\xc3\xa9");
    assert_int_equal(vt_fail_errno(&err, ENOSPC, "cannot write %s", "f"), VT_E_FULL);
    assert_non_null(strstr(err.text, "cannot write f: No space left"));
}

static void a_cut_never_splits_a_character(void **state) {
    vt_err err;
    for (int pad = 0; pad < 4; pad++) {
        char text[1200] = "";
        size_t n = 0;
        for (int i = 0; i < pad; i++)
            text[n++] = 'a';
        while (n + 2 < sizeof text - 1) {
            text[n++] = '\xC3';
            text[n++] = '\xA9';
        }
        vt_fail(&err, VT_E_IO, "%s", text);
        assert_true(vt_utf8_valid(err.text, strlen(err.text)));
    }
}

static void status_table_is_complete(void **state) {
    assert_string_equal(vt_status_code(VT_E_NOT_FOUND), "not_found");
    assert_int_equal(vt_status_http(VT_E_TOO_LARGE), 413);
    assert_int_equal(vt_status_http(VT_OK), 200);
    assert_int_equal(vt_status_exit(VT_E_INVALID), 2);
    assert_string_equal(vt_status_code((vt_status)-999), "internal");
}

static void sizes_are_checked(void **state) {
    size_t v = 5;
    assert_false(vt_size_mul(SIZE_MAX, 2, &v));
    assert_false(vt_size_add(SIZE_MAX, 1, &v));
    assert_int_equal(v, 5);
    assert_true(vt_size_mul(6, 7, &v) && v == 42);
    assert_null(vt_alloc(SIZE_MAX, 2));
    assert_null(vt_alloc_aligned(SIZE_MAX, 2));
    void *p = vt_alloc_aligned(3, 5);
    assert_int_equal((uintptr_t)p % 64, 0);
    free(p);
}

static void buffer_keeps_its_maximum(void **state) {
    vt_buf b;
    vt_err err;
    vt_buf_init(&b, 10);
    vt_buf_puts(&b, "12345");
    vt_buf_printf(&b, "%d", 67890);
    assert_int_equal(vt_buf_status(&b, "it", &err), VT_OK);
    assert_string_equal(b.data, "1234567890");
    vt_buf_puts(&b, "x");
    vt_buf_puts(&b, "");
    assert_int_equal(vt_buf_status(&b, "the answer", &err), VT_E_TOO_LARGE);
    assert_non_null(strstr(err.text, "the answer"));
    assert_string_equal(b.data, "1234567890");
    vt_buf_clear(&b);
    vt_buf_puts(&b, "again");
    assert_string_equal(b.data, "again");
    vt_buf_release(&b);
}

static void json_is_read_strictly(void **state) {
    static const char *const bad[] = {"",           "{",     "{\"a\":1,\"a\":2}", "[1,]",
                                      "\"\xff\"",   "[NaN]", "\"a\\u0000b\"",     "{} x",
                                      "[\"\x01\"]", "'a'"};
    json_t *v;
    vt_err err;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(vt_json_parse(bad[i], strlen(bad[i]), &v, &err), VT_E_PARSE);
        assert_null(v);
    }
    char deep[200];
    memset(deep, '[', 33);
    memset(deep + 33, ']', 33);
    assert_int_equal(vt_json_parse(deep, 66, &v, &err), VT_E_PARSE);
    assert_non_null(strstr(err.text, "32"));
    assert_int_equal(vt_json_parse(deep + 1, 64, &v, &err), VT_OK);
    json_decref(v);
    assert_int_equal(vt_json_parse("\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\"[\"", 41, &v, &err),
                     VT_OK);
    json_decref(v);
}

static void json_writer_agrees_with_the_reader(void **state) {
    vt_buf b;
    vt_json w;
    json_t *v;
    vt_err err;
    vt_buf_init(&b, 4096);
    vt_json_init(&w, &b);
    vt_json_open(&w, '{');
    vt_json_key(&w, "text");
    vt_json_str(&w, "a\"b\\c\n\x01 é");
    vt_json_key(&w, "list");
    vt_json_open(&w, '[');
    vt_json_int(&w, INT64_MIN);
    vt_json_num(&w, 0.1, 17);
    vt_json_num(&w, NAN, 6);
    vt_json_bool(&w, true);
    vt_json_str(&w, NULL);
    vt_json_open(&w, '{');
    vt_json_close(&w, '}');
    vt_json_raw(&w, "[1]", 3);
    vt_json_close(&w, ']');
    vt_json_key(&w, "last");
    vt_json_strn(&w, "xyz", 2);
    vt_json_close(&w, '}');
    assert_int_equal(vt_json_parse(b.data, b.len, &v, &err), VT_OK);
    assert_string_equal(json_string_value(json_object_get(v, "text")), "a\"b\\c\n\x01 é");
    assert_int_equal(json_array_size(json_object_get(v, "list")), 7);
    assert_true(json_number_value(json_array_get(json_object_get(v, "list"), 1)) == 0.1);
    assert_string_equal(json_string_value(json_object_get(v, "last")), "xy");
    vt_buf_clear(&b);
    vt_json_init(&w, &b);
    vt_json_str(&w, "a\xff\xc3(\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xf0\x9f\x98");
    assert_string_equal(b.data, "\"a\\ufffd\\ufffd(\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"
                                "\\ufffd\\ufffd\\ufffd\"");
    vt_buf_clear(&b);
    vt_json_init(&w, &b);
    vt_json_value(&w, v);
    assert_memory_equal(b.data, "{\"last\":\"xy\",\"list\":[-9223372036854775808,", 42);
    json_decref(v);
    vt_buf_release(&b);
}

static void numbers_are_written_as_short_as_they_read_back(void **state) {
    static const char text[] =
        "{\"a\":[1.1,0.1,2.0,1e+300,5e-324,0.30000000000000004,123456789012345680.0,-0.0,29.9,7]}";
    vt_buf b;
    vt_json w;
    vt_err err;
    json_t *v;
    vt_buf_init(&b, 4096);
    vt_json_init(&w, &b);
    assert_int_equal(vt_json_parse(text, sizeof text - 1, &v, &err), VT_OK);
    vt_json_value(&w, v);
    assert_string_equal(b.data, "{\"a\":[1.1,0.1,2.0,1e+300,4.94065645841247e-324,"
                                "0.30000000000000004,1.2345678901234568e+17,-0.0,29.9,7]}");
    json_decref(v);
    vt_buf_release(&b);
}

static void numbers_are_whole_and_in_range(void **state) {
    uint64_t u = 1;
    double d = 1;
    assert_true(vt_parse_u64("18446744073709551615", UINT64_MAX, &u) && u == UINT64_MAX);
    assert_false(vt_parse_u64("18446744073709551616", UINT64_MAX, &u));
    assert_false(vt_parse_u64("11", 10, &u));
    assert_false(vt_parse_u64("", 10, &u) || vt_parse_u64("-1", 10, &u) ||
                 vt_parse_u64(" 1", 10, &u) || vt_parse_u64("1x", 10, &u));
    assert_true(vt_parse_f64("-12.5e1", &d) && d == -125);
    assert_false(vt_parse_f64("inf", &d) || vt_parse_f64("nan", &d) || vt_parse_f64("0x10", &d) ||
                 vt_parse_f64("1e999", &d) || vt_parse_f64("1 ", &d) || vt_parse_f64("", &d) ||
                 vt_parse_f64("1,5", &d));
}

static void utf8_is_checked(void **state) {
    static const char *const good[] = {
        "", "abc", "é", "€", "😀", "\xEF\xBF\xBF", "\xF4\x8F\xBF\xBF"};
    static const char *const bad[] = {"\x80",         "\xC0\x80",         "\xE0\x80\x80",
                                      "\xED\xA0\x80", "\xF0\x80\x80\x80", "\xF4\x90\x80\x80",
                                      "\xC3",         "\xE2\x82",         "\xFF",
                                      "a\xC3(",       "\xF5\x80\x80\x80"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_true(vt_utf8_valid(good[i], strlen(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(vt_utf8_valid(bad[i], strlen(bad[i])));
    assert_false(vt_utf8_valid("a\0b", 3));
}

static void base64_is_strict(void **state) {
    static const char *const good[][2] = {{"", ""},        {"Zg==", "f"},
                                          {"Zg", "f"},     {"Zm8=", "fo"},
                                          {"Zm9v", "foo"}, {"Zm9v\r\nYmFy", "foobar"}};
    static const char *const bad[] = {
        "Z", "Zg=", "Zh==", "Zg==Zg==", "Zm9v!", "Zm9-", "====", "Zm9v===="};
    vt_buf out;
    vt_err err;
    vt_buf_init(&out, 100);
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        vt_buf_clear(&out);
        assert_int_equal(vt_base64_decode(good[i][0], strlen(good[i][0]), &out, &err), VT_OK);
        assert_int_equal(out.len, strlen(good[i][1]));
        if (out.len > 0)
            assert_memory_equal(out.data, good[i][1], out.len);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        vt_buf_clear(&out);
        assert_int_equal(vt_base64_decode(bad[i], strlen(bad[i]), &out, &err), VT_E_INVALID);
    }
    vt_buf_release(&out);
}

static void hash_is_sha256(void **state) {
    char hex[65];
    vt_hash h = vt_hash_bytes("abc", 3), back;
    vt_hasher *hasher;
    vt_err err;
    vt_hash_hex(&h, hex); /* FIPS 180-4, example of one block */
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_true(vt_hash_from_hex(hex, &back) && vt_hash_equal(&h, &back));
    assert_false(vt_hash_from_hex("ba78", &back));
    assert_int_equal(vt_hasher_open(&hasher, &err), VT_OK);
    vt_hasher_add(hasher, "a", 1);
    vt_hasher_add(hasher, "bc", 2);
    back = vt_hasher_close(hasher);
    assert_true(vt_hash_equal(&h, &back));
}

static void times_and_sizes_are_readable(void **state) {
    char text[32];
    assert_string_equal(vt_wall_text(0, text), "1970-01-01T00:00:00.000Z");
    assert_string_equal(vt_wall_text(1732116037123, text), "2024-11-20T15:20:37.123Z");
    assert_string_equal(vt_wall_text(-1, text), "1969-12-31T23:59:59.999Z");
    assert_string_equal(vt_human_bytes(999, text), "999 B");
    assert_string_equal(vt_human_bytes(1400000, text), "1.4 MB");
    assert_string_equal(vt_human_bytes(605000000, text), "605 MB");
    uint64_t before = vt_now_ns();
    assert_true(vt_now_ns() >= before && vt_seconds_since(before) >= 0);
}

static char *temp_dir(void) {
    static char path[64];
    snprintf(path, sizeof path, "/tmp/vt-base-XXXXXX");
    assert_non_null(mkdtemp(path));
    return path;
}

static void write_file(const char *path, const char *text) {
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

static void files_are_read_mapped_and_renamed(void **state) {
    char *dir = temp_dir(), *path = vt_path_join(dir, "a/b/file");
    char *other = vt_path_join(dir, "a/b/other");
    char *folder = vt_path_dir(path);
    vt_err err;
    vt_buf b;
    vt_map map;
    vt_buf_init(&b, 100);
    assert_int_equal(vt_dir_ensure(folder, &err), VT_OK);
    assert_int_equal(vt_dir_ensure(folder, &err), VT_OK);
    write_file(path, "one");
    write_file(other, "second");
    assert_int_equal(vt_file_rename(other, path, &err), VT_OK);
    assert_int_equal(vt_file_rename(other, path, &err), VT_E_NOT_FOUND);
    assert_int_equal(vt_file_read(path, &b, &err), VT_OK);
    assert_string_equal(b.data, "second");
    assert_int_equal(vt_file_map(path, &map, &err), VT_OK);
    assert_int_equal(map.size, 6);
    assert_memory_equal(map.data, "second", 6);
    vt_map_release(&map);
    b.max = 5;
    vt_buf_clear(&b);
    assert_int_equal(vt_file_read(path, &b, &err), VT_E_TOO_LARGE);
    assert_int_equal(vt_file_map(folder, &map, &err), VT_E_IO);
    assert_int_equal(vt_file_map("/nonexistent/x", &map, &err), VT_E_NOT_FOUND);
    assert_int_equal(vt_dir_ensure(path, &err), VT_E_IO);
    free(path);
    free(other);
    free(folder);
    vt_buf_release(&b);
}

static void paths_are_joined_and_split(void **state) {
    static const char *const dirs[][2] = {
        {"a/b", "a"}, {"a", "."}, {"/a", "/"}, {"/", "/"}, {"a//b/", "a"}};
    for (size_t i = 0; i < sizeof dirs / sizeof dirs[0]; i++) {
        char *d = vt_path_dir(dirs[i][0]);
        assert_string_equal(d, dirs[i][1]);
        free(d);
    }
    char *p = vt_path_join("d/", "x");
    assert_string_equal(p, "d/x");
    free(p);
    p = vt_path_join("d", "/abs");
    assert_string_equal(p, "/abs");
    free(p);
}

static void lock_names_its_holder(void **state) {
    char *path = vt_path_join(temp_dir(), "lock"), pid[24];
    vt_lock first, second;
    vt_err err;
    snprintf(pid, sizeof pid, "process %ld", (long)getpid());
    assert_int_equal(vt_lock_acquire(path, &first, &err), VT_OK);
    assert_int_equal(vt_lock_acquire(path, &second, &err), VT_E_LOCKED);
    assert_non_null(strstr(err.text, pid));
    vt_lock_release(&first);
    assert_int_equal(vt_lock_acquire(path, &second, &err), VT_OK);
    vt_lock_release(&second);
    free(path);
}

static void log_writes_json_lines(void **state) {
    int fds[2];
    char line[512];
    vt_log *log;
    vt_err err;
    json_t *v;
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(vt_log_open(fds[1], VT_LOG_INFO, VT_LOG_AUTO, &log, &err), VT_OK);
    vt_log_say(log, VT_LOG_DEBUG, "quiet", "not written");
    vt_log_stage(log, "model", 0.25, "%d \"tensors\"", 3);
    ssize_t n = read(fds[0], line, sizeof line - 1);
    assert_true(n > 0 && line[n - 1] == '\n');
    assert_int_equal(vt_json_parse(line, (size_t)n, &v, &err), VT_OK);
    assert_string_equal(json_string_value(json_object_get(v, "message")), "3 \"tensors\"");
    assert_true(json_number_value(json_object_get(v, "seconds")) == 0.25);
    json_decref(v);
    vt_log_say(log, VT_LOG_INFO, "long", "%9000d", 7); /* blanks */
    n = read(fds[0], line, sizeof line);
    for (ssize_t more = n; more == (ssize_t)sizeof line; n = more > 0 ? more : n)
        more = read(fds[0], line, sizeof line);
    assert_memory_equal(line + n - 6, "...\"}\n", 6);
    vt_log_close(log);
    vt_log_say(NULL, VT_LOG_ERROR, "x", "a NULL log says nothing");
    close(fds[0]);
    close(fds[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_are_one_line_and_show_a_cut),
        cmocka_unit_test(a_cut_never_splits_a_character),
        cmocka_unit_test(status_table_is_complete),
        cmocka_unit_test(sizes_are_checked),
        cmocka_unit_test(buffer_keeps_its_maximum),
        cmocka_unit_test(json_is_read_strictly),
        cmocka_unit_test(json_writer_agrees_with_the_reader),
        cmocka_unit_test(numbers_are_written_as_short_as_they_read_back),
        cmocka_unit_test(numbers_are_whole_and_in_range),
        cmocka_unit_test(utf8_is_checked),
        cmocka_unit_test(base64_is_strict),
        cmocka_unit_test(hash_is_sha256),
        cmocka_unit_test(times_and_sizes_are_readable),
        cmocka_unit_test(files_are_read_mapped_and_renamed),
        cmocka_unit_test(paths_are_joined_and_split),
        cmocka_unit_test(lock_names_its_holder),
        cmocka_unit_test(log_writes_json_lines),
    };
    return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
