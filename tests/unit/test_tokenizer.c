/* The tokenizer: equal to openai/CLIP's on its recorded answers, and to definitions written out
 * again here where there is no recording. */
#include "clip_folder.h"

#include "clip/bpe.h"
#include "clip/html.h"
#include "clip/tokenizer.h"
#include "clip/unicode.h"

/* ---- recorded answers ------------------------------------------------------------------- */

static bool open_shared(vt_vocab *v, vt_buf *lines) {
    const char *shared = getenv("VT_SHARED");
    char path[512];
    vt_err err;
    if (!shared) {
        print_message("# skipped: VT_SHARED is not set\n");
        return false;
    }
    snprintf(path, sizeof path, "%s/oracle/tokens/tokens.jsonl", shared);
    vt_buf_init(lines, 1 << 24);
    if (vt_file_read(path, lines, &err) != VT_OK) {
        print_message("# skipped: %s\n", err.text);
        vt_buf_release(lines);
        return false;
    }
    snprintf(path, sizeof path, "%s/oracle/tiny", shared);
    if (vt_tokenizer_open(path, 49408, v, &err) != VT_OK)
        fail_msg("%s", err.text);
    return true;
}

/* The ids at full length and cut to 77 and to 2, as clip.tokenize(truncate=True) cuts. */
static void check_line(const vt_vocab *v, const json_t *line) {
    static const size_t cuts[] = {4096, 77, 2};
    const json_t *text = json_object_get(line, "text"), *wanted = json_object_get(line, "ids");
    const size_t all = json_array_size(wanted);
    for (size_t c = 0; c < 3; c++) {
        uint32_t ids[4096];
        const size_t n_wanted = all < cuts[c] ? all : cuts[c];
        size_t n;
        vt_err err;
        assert_int_equal(vt_tokenizer_encode(v, json_string_value(text), json_string_length(text),
                                             ids, cuts[c], &n, &err),
                         VT_OK);
        if (n != n_wanted)
            fail_msg("%zu ids, not %zu: %s", n, n_wanted, json_string_value(text));
        for (size_t i = 0; i < n; i++) {
            const json_t *id = json_array_get(wanted, i + 1 < n ? i : all - 1);
            if (ids[i] != json_integer_value(id))
                fail_msg("id %zu is %u, not %lld: %s", i, ids[i], (long long)json_integer_value(id),
                         json_string_value(text));
        }
    }
}

static void every_recorded_text_has_the_reference_ids(void **state) {
    vt_vocab v;
    vt_buf lines;
    size_t count = 0;
    if (!open_shared(&v, &lines))
        skip();
    for (char *p = lines.data; *p; count++) {
        const size_t n = strcspn(p, "\n");
        json_error_t e;
        json_t *line = json_loadb(p, n, JSON_ALLOW_NUL, &e); /* one text is "\0" */
        assert_non_null(line);
        check_line(&v, line);
        json_decref(line);
        p += n + (p[n] == '\n');
    }
    assert_true(count >= 300);
    vt_vocab_release(&v);
    vt_buf_release(&lines);
}

/* Far beyond any query: 64 KB without a space is one word, and the first ids of it depend on the
 * whole. The reference's answer for it takes minutes; a prefix of the same letters is compared. */
static void a_long_run_of_letters_is_encoded(void **state) {
    vt_vocab v;
    vt_buf lines;
    const size_t n = 65536;
    char *text = vt_alloc(n, 1);
    uint32_t some[77], more[77];
    size_t n_some, n_more;
    vt_err err;
    if (!open_shared(&v, &lines)) {
        free(text);
        skip();
    }
    assert_non_null(text);
    for (size_t i = 0; i < n; i++)
        text[i] = "abcdefghij"[i * i % 97 % 10];
    assert_int_equal(vt_tokenizer_encode(&v, text, n, some, 77, &n_some, &err), VT_OK);
    assert_int_equal(vt_tokenizer_encode(&v, text, 97 * 20, more, 77, &n_more, &err), VT_OK);
    assert_true(n_some == 77 && n_more == 77);
    assert_memory_equal(some, more, sizeof some); /* the text has a period of 97 */
    vt_vocab_release(&v);
    vt_buf_release(&lines);
    free(text);
}

/* ---- parts ------------------------------------------------------------------------------ */

static void assert_unescaped(const char *text, const char *wanted) {
    vt_buf out;
    vt_buf_init(&out, 1 << 20);
    vt_html_unescape(text, strlen(text), &out);
    assert_string_equal(out.data, wanted);
    vt_buf_release(&out);
}

/* Each pair is what Python's html.unescape gives. */
static void character_references_are_those_of_python(void **state) {
    static const char *const pairs[][2] = {
        {"", ""},
        {"R&amp;B", "R&B"},
        {"&amp;amp;", "&amp;"},
        {"&eacute;t&eacute", "été"},
        {"&notit; &notin; &noti", "¬it; ∉ ¬i"},
        {"&ampamp;", "&amp;"},
        {"&hearts", "&hearts"},
        {"&hearts;", "♥"},
        {"&NotEqualTilde;", "≂̸"},
        {"&CounterClockwiseContourIntegral;", "∳"},
        {"&; & &a &#; &#x; &#xg;", "&; & &a &#; &#x; &#xg;"},
        {"&#65&#x41;&#X42", "AAB"},
        {"&#0;&#xD800;&#x110000;&#99999999999999999999;", "����"},
        {"&#128;&#x9f;&#x81;", "€Ÿ\xC2\x81"},
        {"[&#1;&#xFDD0;&#x1FFFF;&#11;]", "[]"},
        {"&#9;&#13;", "\t\r"},
        {"&é&lt;", "&é<"},
        {"&&lt;&", "&<&"},
        {"&lt1234567890123456789012345678901234567890;",
         "<1234567890123456789012345678901234567890;"},
        {"&\xC3\xA9"
         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa;",
         "&\xC3\xA9"
         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa;"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        assert_unescaped(pairs[i][0], pairs[i][1]);
}

static void a_nul_is_no_end_of_a_name(void **state) {
    static const char text[] = "&not\0\0\0;&amp\0";
    vt_buf out;
    vt_buf_init(&out, 1 << 20);
    vt_html_unescape(text, sizeof text - 1, &out);
    assert_int_equal(out.len, 8);
    assert_memory_equal(out.data, "¬\0\0\0;&", 7);
    vt_buf_release(&out);
}

static void assert_lower(const char *text, const char *wanted) {
    vt_buf out;
    vt_buf_init(&out, 1 << 20);
    vt_text_lower(text, strlen(text), &out);
    assert_string_equal(out.data, wanted);
    vt_buf_release(&out);
}

/* Each pair is what Python's str.lower gives. */
static void lower_case_is_that_of_python(void **state) {
    static const char *const pairs[][2] = {
        {"MiXeD 42", "mixed 42"},
        {"ÀÉÎÕÜ Œ ẞ Ł", "àéîõü œ ß ł"},
        {"İI", "i̇i"},
        {"ΟΔΟΣ ΣΊΣΥΦΟΣ", "οδος σίσυφος"},
        {"Σ", "σ"},
        {"ΑΣ.", "ας."},
        {"ΑΣ.Α", "ασ.α"},
        {"Α.Σ", "α.ς"},
        {"Α Σ", "α σ"},
        {"ΑΣ\xCC\x81", "ας\xCC\x81"},
        {"ªΣ ⅷΣ ʰΣ 5Σ", "ªς ⅷς ʰσ 5σ"},
        {"\xC8\xBA \xE2\x84\xAA \xE2\x84\xA6", "\xE2\xB1\xA5 k ω"},
        {"𐐀 Ꭰ ǅ", "𐐨 ꭰ ǆ"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        assert_lower(pairs[i][0], pairs[i][1]);
}

static void white_space_comes_in_two_kinds(void **state) {
    size_t both = 0, stripped = 0;
    for (uint32_t c = 0; c <= 0x10FFFF; c++) {
        both += vt_char_classify(c) == VT_CHAR_SPACE;
        stripped += vt_char_is_strippable(c);
    }
    assert_int_equal(both, 25); /* the White_Space property */
    assert_int_equal(stripped, 29);
    assert_true(vt_char_is_strippable(0x1C) && vt_char_classify(0x1C) == VT_CHAR_OTHER);
    assert_true(vt_char_classify(0x200B) == VT_CHAR_OTHER);
}

/* ---- byte-pair encoding, a second time -------------------------------------------------- */

/* The definition, word for word: find the lowest rank, merge it everywhere from the left. */
static size_t plain_encode(const vt_vocab *v, const char *word, size_t n, uint32_t *ids) {
    for (size_t i = 0; i < n; i++)
        ids[i] = (i + 1 < n ? v->byte_ids : v->final_ids)[(unsigned char)word[i]];
    for (;;) {
        const vt_merge *best = NULL;
        size_t kept = 0;
        for (size_t i = 0; i + 1 < n; i++) {
            const vt_merge *m = vt_vocab_merge(v, ids[i], ids[i + 1]);
            if (m && (!best || m->rank < best->rank))
                best = m;
        }
        if (!best)
            return n;
        for (size_t i = 0; i < n; kept++) {
            const bool here = i + 1 < n && ids[i] == best->left && ids[i + 1] == best->right;
            ids[kept] = here ? best->result : ids[i];
            i += here ? 2 : 1;
        }
        n = kept;
    }
}

/* Merges in random order over two letters, so that a merge often needs the result of a later one:
 * there the order of rounds shows. */
static void random_merges(folder *f, uint64_t *random) {
    static const char *const pieces[] = {"a",   "b",   "ab",  "ba",    "aa",    "bb",     "aab",
                                         "abb", "aba", "bab", "a</w>", "b</w>", "ab</w>", "ba</w>"};
    enum { PIECES = sizeof pieces / sizeof *pieces };
    char lines[40][32];
    const char *merges[40];
    size_t n = 0;
    while (n < 40) {
        bool again = false;
        snprintf(lines[n], sizeof lines[n], "%s %s", pieces[folder_random(random) % 10],
                 pieces[folder_random(random) % PIECES]);
        for (size_t i = 0; i < n; i++)
            again = again || strcmp(lines[i], lines[n]) == 0;
        if (!again) {
            merges[n] = lines[n];
            n++;
        }
    }
    folder_add_vocab(f, merges, n);
    for (size_t i = 0; i < PIECES; i++)
        folder_add_token(f, pieces[i], strlen(pieces[i]));
}

static void parse_vocab(const folder *f, vt_vocab *v) {
    vt_buf text;
    vt_err err;
    char *json = json_dumps(f->vocab, 0);
    assert_non_null(json);
    vt_buf_init(&text, 1 << 20);
    vt_buf_puts(&text, json);
    if (vt_vocab_init(v, &text, &f->merges, 4096, &err) != VT_OK)
        fail_msg("%s", err.text);
    vt_buf_release(&text);
    free(json);
}

static void check_words(const vt_vocab *v, uint64_t *random) {
    vt_bpe b;
    vt_bpe_init(&b, v);
    for (size_t round = 0; round < 300; round++) {
        char word[64];
        uint32_t wanted[64];
        const size_t n = 1 + folder_random(random) % sizeof word;
        size_t n_wanted, i = 0;
        vt_err err;
        for (size_t j = 0; j < n; j++)
            word[j] = "ab"[folder_random(random) % 2];
        n_wanted = plain_encode(v, word, n, wanted);
        assert_int_equal(vt_bpe_encode(&b, word, n, &err), VT_OK);
        for (uint32_t s = 0; s != VT_BPE_END; s = b.symbols[s].next, i++)
            assert_true(i < n_wanted && b.symbols[s].id == wanted[i]);
        assert_int_equal(i, n_wanted);
    }
    vt_bpe_release(&b);
}

static void merging_follows_the_definition(void **state) {
    uint64_t random = 7;
    for (size_t i = 0; i < 100; i++) {
        folder f = {0};
        vt_vocab v;
        random_merges(&f, &random);
        parse_vocab(&f, &v);
        check_words(&v, &random);
        vt_vocab_release(&v);
        vt_buf_release(&f.merges);
        json_decref(f.vocab);
    }
}

/* ---- the miniature ---------------------------------------------------------------------- */

static void words_are_cut_as_the_expression_cuts(void **state) {
    static const struct {
        const char *text, *words; /* words parted by | */
    } cases[] = {
        {"red shoes", "red|shoes"},
        {"it's WE'LL 'tis", "it|'s|we|'ll|'t|is"},
        {"'\xC5\xBFx", "'\xC5\xBF|x"},
        {"!'s ''s", "!'|s|''|s"},
        {"a1b22", "a|1|b|2|2"},
        {"  a\t\n b  ", "a|b"},
        {"x\xCD\x85y", "x|y"},
        {"\xCD\x85", ""},
        {"$9.99--", "$|9|.|9|9|--"},
        {"", ""},
        {"\x1C\x1D", ""},
    };
    folder f;
    vt_vocab v;
    vt_bpe b;
    vt_err err;
    folder_init(&f);
    parse_vocab(&f, &v);
    vt_bpe_init(&b, &v);
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        uint32_t ids[64], wanted[64];
        size_t n, n_wanted = 0;
        wanted[n_wanted++] = v.start;
        for (const char *w = cases[c].words; *w;) {
            const size_t length = strcspn(w, "|");
            assert_int_equal(vt_bpe_encode(&b, w, length, &err), VT_OK);
            for (uint32_t s = 0; s != VT_BPE_END; s = b.symbols[s].next)
                wanted[n_wanted++] = b.symbols[s].id;
            w += length + (w[length] == '|');
        }
        wanted[n_wanted++] = v.end;
        assert_int_equal(vt_tokenizer_encode(&v, cases[c].text, strlen(cases[c].text), ids, 64, &n,
                                             &err),
                         VT_OK);
        if (n != n_wanted || memcmp(ids, wanted, n * sizeof *ids) != 0)
            fail_msg("\"%s\" is not cut into %s", cases[c].text, cases[c].words);
    }
    vt_bpe_release(&b);
    vt_vocab_release(&v);
    folder_release(&f);
}

static void known_words_are_one_token(void **state) {
    folder f;
    vt_vocab v;
    uint32_t ids[16];
    size_t n;
    vt_err err;
    folder_init(&f);
    parse_vocab(&f, &v);
    assert_int_equal(vt_tokenizer_encode(&v, "RED &amp;amp; Shoes", 19, ids, 16, &n, &err), VT_OK);
    assert_int_equal(n, 5);
    assert_int_equal(ids[1], json_integer_value(json_object_get(f.vocab, "red</w>")));
    assert_int_equal(ids[2], json_integer_value(json_object_get(f.vocab, "&</w>")));
    assert_int_equal(ids[3], json_integer_value(json_object_get(f.vocab, "shoes</w>")));
    assert_int_equal(vt_tokenizer_encode(&v, "<|EndOfText|>", 13, ids, 16, &n, &err), VT_OK);
    assert_true(n == 3 && ids[0] == v.start && ids[1] == v.end && ids[2] == v.end);
    vt_vocab_release(&v);
    folder_release(&f);
}

static void invalid_utf8_is_refused(void **state) {
    static const char *const bad[] = {"a\xFF", "a\xC3", "a\xED\xA0\x80", "a\xC0\x80",
                                      "a\xF4\x90\x80\x80"};
    folder f;
    vt_vocab v;
    uint32_t ids[16];
    size_t n;
    vt_err err;
    folder_init(&f);
    parse_vocab(&f, &v);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(vt_tokenizer_encode(&v, bad[i], strlen(bad[i]), ids, 16, &n, &err),
                         VT_E_INVALID);
        assert_non_null(strstr(err.text, "byte 1"));
    }
    vt_vocab_release(&v);
    folder_release(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_recorded_text_has_the_reference_ids),
        cmocka_unit_test(a_long_run_of_letters_is_encoded),
        cmocka_unit_test(character_references_are_those_of_python),
        cmocka_unit_test(a_nul_is_no_end_of_a_name),
        cmocka_unit_test(lower_case_is_that_of_python),
        cmocka_unit_test(white_space_comes_in_two_kinds),
        cmocka_unit_test(merging_follows_the_definition),
        cmocka_unit_test(words_are_cut_as_the_expression_cuts),
        cmocka_unit_test(known_words_are_one_token),
        cmocka_unit_test(invalid_utf8_is_refused),
    };
    return cmocka_run_group_tests_name("tokenizer", tests, NULL, NULL);
}
