/* Record readers: what comes out of a file, whatever the pieces it is fed in. Records are noted as
 * text, "line json" or "line !code: reason", one a line, and compared whole. */
#include "engine/engine.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define MAX_LINE 200

typedef struct notes {
    vt_buf text;
    size_t records, failures;
    size_t stop_after; /* fn fails after so many records; 0: never */
} notes;

static vt_status note(void *ctx, uint64_t line, const char *json, size_t n, const vt_err *why,
                      vt_err *err) {
    notes *to = ctx;
    assert_true((json == NULL) == (why != NULL));
    if (json)
        assert_int_equal(json[n], '\0');
    vt_buf_printf(&to->text, "%llu ", (unsigned long long)line);
    if (json)
        vt_buf_append(&to->text, json, n);
    if (why)
        vt_buf_printf(&to->text, "!%s: %s", vt_status_code(why->status), why->text);
    vt_buf_puts(&to->text, "\n");
    to->failures += why != NULL;
    if (++to->records == to->stop_after)
        return vt_fail(err, VT_E_BUSY, "enough");
    return VT_OK;
}

static uint64_t rng_state = 1;

static size_t random_below(size_t n) {
    rng_state = rng_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (size_t)(rng_state >> 33) % n;
}

/* piece: bytes a feed; 0: random ones, none among them. */
static vt_status read_in_pieces(vt_rows_format format, size_t max_line, const vt_buf *file,
                                size_t piece, notes *to, vt_err *err) {
    vt_rows *r;
    size_t done = 0;
    vt_buf_init(&to->text, (size_t)100 << 20);
    to->records = to->failures = 0;
    vt_status s = vt_rows_open(format, max_line, note, to, &r, err);
    while (s == VT_OK && done < file->len) {
        size_t n = piece ? piece : random_below(7);
        if (n > file->len - done)
            n = file->len - done;
        char *copy = malloc(n + 1); /* exactly the piece, so that a sanitizer guards its end */
        memcpy(copy, file->data + done, n);
        s = vt_rows_feed(r, copy, n, err);
        free(copy);
        done += n;
    }
    if (s == VT_OK)
        s = vt_rows_finish(r, err);
    vt_rows_close(r);
    return s;
}

static void assert_notes_n(vt_rows_format format, const char *bytes, size_t n,
                           const char *expected) {
    static const size_t pieces[] = {SIZE_MAX, 1, 2, 3, 0, 0, 0};
    vt_buf file;
    vt_err err;
    vt_buf_init(&file, SIZE_MAX - 1);
    vt_buf_append(&file, bytes, n);
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        notes got = {.stop_after = 0};
        if (read_in_pieces(format, MAX_LINE, &file, pieces[i], &got, &err) != VT_OK)
            fail_msg("%s", err.text);
        assert_string_equal(got.text.data ? got.text.data : "", expected);
        vt_buf_release(&got.text);
    }
    vt_buf_release(&file);
}

static void assert_notes(vt_rows_format format, const char *text, const char *expected) {
    assert_notes_n(format, text, strlen(text), expected);
}

/* Reading stops with this status and these words. */
static void assert_stops(vt_rows_format format, const char *text, vt_status expected,
                         const char *words) {
    static const size_t pieces[] = {SIZE_MAX, 1, 0};
    vt_buf file;
    vt_buf_init(&file, SIZE_MAX - 1);
    vt_buf_puts(&file, text);
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        notes got = {.stop_after = 0};
        vt_err err;
        assert_int_equal(read_in_pieces(format, MAX_LINE, &file, pieces[i], &got, &err), expected);
        if (!strstr(err.text, words))
            fail_msg("\"%s\" lacks \"%s\"", err.text, words);
        vt_buf_release(&got.text);
    }
    vt_buf_release(&file);
}

/* ---- JSON lines ------------------------------------------------------------------------- */

static void json_lines_come_as_they_are(void **state) {
    assert_notes(VT_ROWS_JSONL, "", "");
    assert_notes(VT_ROWS_JSONL, "\n\n", "");
    assert_notes(VT_ROWS_JSONL, "{\"id\": 1}\n[not json\n", "1 {\"id\": 1}\n2 [not json\n");
    assert_notes(VT_ROWS_JSONL, "a", "1 a\n");
    assert_notes(VT_ROWS_JSONL, "a\nb", "1 a\n2 b\n");
    assert_notes(VT_ROWS_JSONL, "a\r\n\r\n \t\nb\r\n", "1 a\n4 b\n");
    assert_notes(VT_ROWS_JSONL, "\"\nb\"c,\n", "1 \"\n2 b\"c,\n"); /* quotes mean nothing here */
}

static void a_byte_order_mark_is_skipped(void **state) {
    assert_notes(VT_ROWS_JSONL, "\xEF\xBB\xBF{}\n", "1 {}\n");
    assert_notes(VT_ROWS_JSONL, "\xEF\xBB\xBF", "");
    assert_notes(VT_ROWS_CSV, "\xEF\xBB\xBFid,name\n1,x\n", "2 {\"id\":\"1\",\"name\":\"x\"}\n");
    assert_notes(VT_ROWS_CSV, "\xEF\xBB\xBF\"id\"\n1\n", "2 {\"id\":\"1\"}\n");
    /* Bytes that only begin like one are content. */
    assert_notes(VT_ROWS_JSONL, "\xEF\xBB\xBE\n", "1 \xEF\xBB\xBE\n"); /* U+FEFE */
    assert_notes(VT_ROWS_JSONL, "\xEF\xBB", "1 !bad_syntax: the record is not valid UTF-8 text\n");
    assert_notes(VT_ROWS_JSONL, "\xEF\n{}\n",
                 "1 !bad_syntax: the record is not valid UTF-8 text\n2 {}\n");
    /* Only the first counts. */
    assert_notes(VT_ROWS_JSONL, "a\n\xEF\xBB\xBF", "1 a\n2 \xEF\xBB\xBF\n");
}

static void bad_utf8_spoils_its_record(void **state) {
    assert_notes(VT_ROWS_JSONL, "\xC3\xA9\n\xC3\n\xFF\nb\n",
                 "1 \xC3\xA9\n2 !bad_syntax: the record is not valid UTF-8 text\n"
                 "3 !bad_syntax: the record is not valid UTF-8 text\n4 b\n");
    assert_notes_n(VT_ROWS_JSONL, "a\0b\nc\n", 6,
                   "1 !bad_syntax: the record is not valid UTF-8 text\n2 c\n");
    assert_notes(VT_ROWS_CSV, "id\n\xE9t\xE9\nb\n",
                 "2 !bad_syntax: the record is not valid UTF-8 text\n3 {\"id\":\"b\"}\n");
}

/* MAX_LINE bytes are taken, one more is not, with any line end; what follows is read. */
static void long_lines_are_told_and_passed_over(void **state) {
    static const char *const ends[] = {"\n", "\r\n", ""};
    for (size_t i = 0; i < 3; i++) {
        char file[4 * MAX_LINE], expected[4 * MAX_LINE];
        char line[3 * MAX_LINE] = "";
        memset(line, 'x', MAX_LINE);
        snprintf(file, sizeof file, "a\n%s%s", line, ends[i]);
        snprintf(expected, sizeof expected, "1 a\n2 %s\n", line);
        assert_notes(VT_ROWS_JSONL, file, expected);
        for (size_t more = 1; more < 300; more += 149) {
            memset(line, 'x', MAX_LINE + more);
            snprintf(file, sizeof file, "a\n%s%s", line, ends[i]);
            assert_notes(VT_ROWS_JSONL, file,
                         "1 a\n2 !too_large: the record is longer than 200 bytes\n");
        }
    }
}

static void long_csv_records_end_where_their_quotes_do(void **state) {
    char file[2000] = "id,name\n1,\"";
    memset(file + strlen(file), 'y', 900);
    static const char rest[] = "\n3,\"\"c\"\"\n4,d\"\n2,b\n"; /* two newlines inside the quotes */
    memcpy(file + strlen(file), rest, sizeof rest);
    assert_notes(VT_ROWS_CSV, file,
                 "2 !too_large: the record is longer than 200 bytes\n"
                 "5 {\"id\":\"2\",\"name\":\"b\"}\n");
}

/* ---- CSV -------------------------------------------------------------------------------- */

static void every_column_lands_in_its_member(void **state) {
    assert_notes(VT_ROWS_CSV,
                 "id,name,description,image,image_url,category,price,attributes\n"
                 "a1,Red shoe,\"Soft, and \"\"light\"\"\",a.jpg,http://x/a.jpg,shoes,19.99,"
                 "\"{\"\"size\"\": [41, 42]}\"\n",
                 "2 {\"attributes\":{\"size\": [41, 42]},\"category\":\"shoes\","
                 "\"description\":\"Soft, and \\\"light\\\"\",\"id\":\"a1\",\"image\":\"a.jpg\","
                 "\"image_url\":\"http://x/a.jpg\",\"name\":\"Red shoe\",\"price\":19.99}\n");
}

static void separators_are_told_by_the_header(void **state) {
    assert_notes(VT_ROWS_CSV, "id;name\n1;a,b\n", "2 {\"id\":\"1\",\"name\":\"a,b\"}\n");
    assert_notes(VT_ROWS_CSV, "id\tname\n1\ta;b\n", "2 {\"id\":\"1\",\"name\":\"a;b\"}\n");
    assert_notes(VT_ROWS_CSV, "id,name\n1,a\tb\n", "2 {\"id\":\"1\",\"name\":\"a\\u0009b\"}\n");
    assert_notes(VT_ROWS_CSV, "id\n1\n", "2 {\"id\":\"1\"}\n");
}

static void fields_are_as_rfc_4180_has_them(void **state) {
    assert_notes(VT_ROWS_CSV, "id,name\r\n\"1\",\"two\r\nlines\"\r\n2,\r\n",
                 "2 {\"id\":\"1\",\"name\":\"two\\u000d\\nlines\"}\n4 {\"id\":\"2\"}\n");
    assert_notes(VT_ROWS_CSV, "id,name\n1, a b \n", "2 {\"id\":\"1\",\"name\":\" a b \"}\n");
    assert_notes(VT_ROWS_CSV, "id,name\n1,\"\"\"\"\n\"\",\"\"\n,\n",
                 "2 {\"id\":\"1\",\"name\":\"\\\"\"}\n3 {}\n4 {}\n");
    assert_notes(VT_ROWS_CSV, "\n\nid,name\n\n1,a\n\n\n2,b", /* blank lines, no end */
                 "5 {\"id\":\"1\",\"name\":\"a\"}\n8 {\"id\":\"2\",\"name\":\"b\"}\n");
}

static void broken_records_do_not_spoil_the_next(void **state) {
    assert_notes(VT_ROWS_CSV, "id,name\n1\n2,b\n3,c,d\n4,e\n",
                 "2 !bad_syntax: 1 fields where the header has 2 columns\n"
                 "3 {\"id\":\"2\",\"name\":\"b\"}\n"
                 "4 !bad_syntax: 3 fields where the header has 2 columns\n"
                 "5 {\"id\":\"4\",\"name\":\"e\"}\n");
    static const char quote[] = "!bad_syntax: a quote stands inside a field, or a quoted field is "
                                "not closed\n";
    char expected[1000];
    snprintf(expected, sizeof expected, "2 %s3 %s4 {\"id\":\"3\",\"name\":\"c\"}\n", quote, quote);
    assert_notes(VT_ROWS_CSV, "id,name\n1,5\" pipe\n2,\"a\"b\n3,c\n", expected);
    snprintf(expected, sizeof expected, "2 {\"id\":\"1\",\"name\":\"a\"}\n3 %s", quote);
    assert_notes(VT_ROWS_CSV, "id,name\n1,a\n2,\"never\nclosed\n", expected);
    assert_notes(VT_ROWS_CSV, "id,name\n1,a\r2,b\n3,c\n",
                 "2 !bad_syntax: a carriage return stands outside quotes\n"
                 "3 {\"id\":\"3\",\"name\":\"c\"}\n");
    assert_notes(
        VT_ROWS_CSV, "id,attributes\n1,{red\n2,[]\n",
        "2 !invalid_request: attributes: not valid JSON at line 1, column 4: string or '}' "
        "expected near 'red'\n3 {\"attributes\":[],\"id\":\"2\"}\n");
}

static void cells_get_their_type_by_their_form(void **state) {
    static const char *const cases[][2] = {
        {"0", "0"},
        {"42", "42"},
        {"-7", "-7"},
        {"1.50", "1.50"},
        {"-0.25", "-0.25"},
        {"123456789012345", "123456789012345"},
        {"true", "true"},
        {"FALSE", "false"},
        {"1234567890123456", "\"1234567890123456\""},
        {"007", "\"007\""},
        {"+33", "\"+33\""},
        {"-", "\"-\""},
        {"1.", "\"1.\""},
        {".5", "\".5\""},
        {"00.5", "\"00.5\""},
        {"1e5", "\"1e5\""},
        {"0x10", "\"0x10\""},
        {"1 ", "\"1 \""},
        {"nan", "\"nan\""},
        {"null", "\"null\""},
        {"yes", "\"yes\""},
        {"1.2.3", "\"1.2.3\""},
        {"true ", "\"true \""},
        {"red", "\"red\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char file[100], expected[100];
        snprintf(file, sizeof file, "attributes.x,name\n%s,%s\n", cases[i][0], cases[i][0]);
        snprintf(expected, sizeof expected, "2 {\"attributes\":{\"x\":%s},\"name\":\"%s\"}\n",
                 cases[i][1], cases[i][0]); /* a name is a string whatever its form */
        assert_notes(VT_ROWS_CSV, file, expected);
    }
}

static void a_price_is_a_number_or_is_left_to_be_refused(void **state) {
    static const char *const cases[][2] = {
        {"19.99", "19.99"},
        {"0", "0"},
        {"-1", "-1"},
        {"007", "7"},
        {"1e2", "100"},
        {"12,50", "\"12,50\""},
        {"19.99 EUR", "\"19.99 EUR\""},
        {"$5", "\"$5\""},
        {"1e999", "\"1e999\""},
        {"nan", "\"nan\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char file[100], expected[100];
        snprintf(file, sizeof file, "price;id\n%s;1\n", cases[i][0]);
        snprintf(expected, sizeof expected, "2 {\"id\":\"1\",\"price\":%s}\n", cases[i][1]);
        assert_notes(VT_ROWS_CSV, file, expected);
    }
}

static void dots_lead_into_objects(void **state) {
    assert_notes(VT_ROWS_CSV,
                 "attributes.size.eu,id,attributes.colour,attributes.size.us,attributes.a.b.c\n"
                 "41,1,red,8,x\n"
                 ",2,,9,\n"
                 ",3,,,\n",
                 "2 {\"attributes\":{\"a\":{\"b\":{\"c\":\"x\"}},\"colour\":\"red\","
                 "\"size\":{\"eu\":41,\"us\":8}},\"id\":\"1\"}\n"
                 "3 {\"attributes\":{\"size\":{\"us\":9}},\"id\":\"2\"}\n"
                 "4 {\"id\":\"3\"}\n");
}

static void bad_headers_stop_the_reading(void **state) {
    assert_stops(VT_ROWS_CSV, "", VT_E_PARSE, "empty");
    assert_stops(VT_ROWS_CSV, "\n\r\n", VT_E_PARSE, "empty");
    assert_stops(VT_ROWS_CSV, "id,Handle\n1,2\n", VT_E_INVALID, "unknown column \"Handle\"");
    assert_stops(VT_ROWS_CSV, "\nid, name\n", VT_E_INVALID,
                 "line 2: CSV header: unknown column \" name\"");
    assert_stops(VT_ROWS_CSV, "id,ID\n", VT_E_INVALID, "unknown column \"ID\"");
    assert_stops(VT_ROWS_CSV, "id,name,\n", VT_E_INVALID, "column 3 has no name");
    assert_stops(VT_ROWS_CSV, "id,price,name,price\n", VT_E_INVALID, "\"price\" comes twice");
    assert_stops(VT_ROWS_CSV, "attributes.a,id,attributes.a\n", VT_E_INVALID, "comes twice");
    assert_stops(VT_ROWS_CSV, "attributes,id,attributes.a\n", VT_E_INVALID,
                 "\"attributes\" and \"attributes.a\"");
    assert_stops(VT_ROWS_CSV, "attributes.a.b,attributes.a-b,attributes.a\n", VT_E_INVALID,
                 "\"attributes.a\" and \"attributes.a.b\"");
    assert_stops(VT_ROWS_CSV, "attributes.\n", VT_E_INVALID, "unknown column \"attributes.\"");
    assert_stops(VT_ROWS_CSV, "attributes..x\n", VT_E_INVALID, "unknown column");
    assert_stops(VT_ROWS_CSV, "attributes.x.\n", VT_E_INVALID, "unknown column");
    assert_stops(VT_ROWS_CSV, "attributesx\n", VT_E_INVALID, "unknown column");
    assert_stops(VT_ROWS_CSV, "attributes.1.2.3.4.5.6.7.8.9\n", VT_E_INVALID, "unknown column");
    assert_notes(VT_ROWS_CSV, "attributes.1.2.3.4.5.6.7.8\n", "");
    assert_stops(VT_ROWS_CSV, "id,na\"me\n", VT_E_PARSE, "line 1: CSV header: a quote");
    assert_stops(VT_ROWS_CSV, "id,\xFF\n", VT_E_PARSE, "UTF-8");
    char longer[400] = "id,attributes.";
    memset(longer + strlen(longer), 'x', 300);
    assert_stops(VT_ROWS_CSV, longer, VT_E_TOO_LARGE, "line 1");
}

static void a_header_has_a_largest_number_of_columns(void **state) {
    vt_buf file;
    vt_err err;
    notes got = {.stop_after = 0};
    vt_buf_init(&file, 100000);
    for (int i = 0; i < 1001; i++)
        vt_buf_printf(&file, "%sattributes.x%d", i ? "," : "", i);
    assert_int_equal(read_in_pieces(VT_ROWS_CSV, 100000, &file, 0, &got, &err), VT_E_TOO_LARGE);
    assert_non_null(strstr(err.text, "1000 columns"));
    vt_buf_release(&got.text);
    vt_buf_release(&file);
}

/* ---- stopping --------------------------------------------------------------------------- */

static void the_callback_can_stop_the_reading(void **state) {
    vt_buf file;
    vt_err err;
    notes got = {.stop_after = 2};
    vt_buf_init(&file, 1000);
    vt_buf_puts(&file, "a\nb\nc\n");
    assert_int_equal(read_in_pieces(VT_ROWS_JSONL, MAX_LINE, &file, SIZE_MAX, &got, &err),
                     VT_E_BUSY);
    assert_string_equal(err.text, "enough");
    assert_string_equal(got.text.data, "1 a\n2 b\n");
    vt_buf_release(&got.text);
    vt_buf_release(&file);
}

static void a_stopped_reader_stays_stopped(void **state) {
    notes got = {.stop_after = 0};
    vt_rows *r;
    vt_err err;
    vt_buf_init(&got.text, 1000);
    assert_int_equal(vt_rows_open(VT_ROWS_CSV, MAX_LINE, note, &got, &r, &err), VT_OK);
    assert_int_equal(vt_rows_feed(r, "what\n", 5, &err), VT_E_INVALID);
    memset(&err, 0, sizeof err);
    assert_int_equal(vt_rows_feed(r, "id\n1\n", 5, &err), VT_E_INVALID);
    assert_non_null(strstr(err.text, "\"what\""));
    assert_int_equal(vt_rows_finish(r, &err), VT_E_INVALID);
    assert_int_equal(got.records, 0);
    vt_rows_close(r);
    vt_rows_close(NULL);
    vt_buf_release(&got.text);
}

/* ---- real files ------------------------------------------------------------------------- */

/* False, with a word why, where the file is not there. */
static bool read_feed(const char *name, vt_buf *file) {
    char path[4096];
    const char *shared = getenv("VT_SHARED");
    vt_err err;
    vt_buf_init(file, (size_t)200 << 20);
    snprintf(path, sizeof path, "%s/data/feeds/%s", shared ? shared : "", name);
    if (shared && vt_file_read(path, file, &err) == VT_OK)
        return true;
    print_message("# skipped: no data/feeds/%s in VT_SHARED\n", name);
    return false;
}

static void feeds_of_other_systems_are_refused_by_name(void **state) {
    static const char *const feeds[][2] = {
        {"shopify-packt.csv", "unknown column \"Handle\""},
        {"woocommerce-vinoteka.csv", "unknown column \"Type\""},
    };
    for (size_t i = 0; i < 2; i++) {
        vt_buf file;
        vt_err err;
        notes got = {.stop_after = 0};
        if (!read_feed(feeds[i][0], &file))
            skip();
        assert_int_equal(read_in_pieces(VT_ROWS_CSV, 1 << 20, &file, 65536, &got, &err),
                         VT_E_INVALID);
        assert_non_null(strstr(err.text, feeds[i][1]));
        assert_int_equal(got.records, 0);
        vt_buf_release(&got.text);
        vt_buf_release(&file);
    }
}

/* Their rows are good CSV all the same: under a header of ours each is read, none is lost. */
static void rows_of_real_feeds_are_read(void **state) {
    vt_buf file, renamed;
    vt_err err;
    notes got = {.stop_after = 0};
    if (!read_feed("shopify-packt.csv", &file))
        skip();
    vt_buf_init(&renamed, file.len + 10000);
    const char *end = memchr(file.data, '\n', file.len);
    assert_non_null(end);
    vt_buf_puts(&renamed, "attributes.c0");
    int columns = 1;
    for (const char *p = file.data; p < end; p++)
        if (*p == ',')
            vt_buf_printf(&renamed, ",attributes.c%d", columns++);
    vt_buf_puts(&renamed, "\n");
    vt_buf_append(&renamed, end + 1, file.len - (size_t)(end + 1 - file.data));
    assert_int_equal(read_in_pieces(VT_ROWS_CSV, 1 << 20, &renamed, 4096, &got, &err), VT_OK);
    assert_int_equal(got.failures, 0);
    assert_true(got.records > 0);
    print_message("# %zu records of %d columns\n", got.records, columns);
    vt_buf_release(&got.text);
    vt_buf_release(&renamed);
    vt_buf_release(&file);
}

static void json_lines_of_a_real_catalogue_are_delivered(void **state) {
    vt_buf file;
    vt_err err;
    notes got = {.stop_after = 0};
    if (!read_feed("dm-products.jsonl", &file))
        skip();
    size_t lines = 0;
    for (size_t i = 0; i < file.len; i++)
        lines += file.data[i] == '\n';
    lines += file.len > 0 && file.data[file.len - 1] != '\n';
    assert_int_equal(read_in_pieces(VT_ROWS_JSONL, 1 << 20, &file, 65536, &got, &err), VT_OK);
    assert_int_equal(got.failures, 0);
    assert_int_equal(got.records, lines);
    vt_buf_release(&got.text);
    vt_buf_release(&file);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_lines_come_as_they_are),
        cmocka_unit_test(a_byte_order_mark_is_skipped),
        cmocka_unit_test(bad_utf8_spoils_its_record),
        cmocka_unit_test(long_lines_are_told_and_passed_over),
        cmocka_unit_test(long_csv_records_end_where_their_quotes_do),
        cmocka_unit_test(every_column_lands_in_its_member),
        cmocka_unit_test(separators_are_told_by_the_header),
        cmocka_unit_test(fields_are_as_rfc_4180_has_them),
        cmocka_unit_test(broken_records_do_not_spoil_the_next),
        cmocka_unit_test(cells_get_their_type_by_their_form),
        cmocka_unit_test(a_price_is_a_number_or_is_left_to_be_refused),
        cmocka_unit_test(dots_lead_into_objects),
        cmocka_unit_test(bad_headers_stop_the_reading),
        cmocka_unit_test(a_header_has_a_largest_number_of_columns),
        cmocka_unit_test(the_callback_can_stop_the_reading),
        cmocka_unit_test(a_stopped_reader_stays_stopped),
        cmocka_unit_test(feeds_of_other_systems_are_refused_by_name),
        cmocka_unit_test(rows_of_real_feeds_are_read),
        cmocka_unit_test(json_lines_of_a_real_catalogue_are_delivered),
    };
    return cmocka_run_group_tests_name("rows", tests, NULL, NULL);
}
