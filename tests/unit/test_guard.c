/* The address guard and the check of URLs, without a network: which addresses may be fetched from,
 * what `fetch_allow` changes, and which URLs are not even looked up. */
#include "net/guard.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/un.h>

#include <cmocka.h>

#include "net/url.h"

static vt_guard *guard_with(const char *const *allow) {
    vt_guard *g;
    vt_err err;
    assert_int_equal(vt_guard_open(allow, &g, &err), VT_OK);
    return g;
}

static const vt_guard_rule *refusal(const vt_guard *g, const char *text) {
    struct sockaddr_storage at = {0};
    struct sockaddr_in *v4 = (struct sockaddr_in *)&at;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&at;
    if (strchr(text, ':')) {
        v6->sin6_family = AF_INET6;
        assert_int_equal(inet_pton(AF_INET6, text, &v6->sin6_addr), 1);
    } else {
        v4->sin_family = AF_INET;
        assert_int_equal(inet_pton(AF_INET, text, &v4->sin_addr), 1);
    }
    return vt_guard_refusal(g, (struct sockaddr *)&at);
}

/* Each network of the registries, most by their first and last address. */
static const char *const special[][2] = {
    {"0.0.0.0", "RFC 791"},
    {"0.255.255.255", "RFC 791"},
    {"10.0.0.0", "RFC 1918"},
    {"10.255.255.255", "RFC 1918"},
    {"100.64.0.0", "RFC 6598"},
    {"100.127.255.255", "RFC 6598"},
    {"127.0.0.1", "RFC 1122"},
    {"127.255.255.255", "RFC 1122"},
    {"169.254.169.254", "RFC 3927"},
    {"172.16.0.0", "RFC 1918"},
    {"172.31.255.255", "RFC 1918"},
    {"192.0.0.1", "RFC 6890"},
    {"192.0.0.255", "RFC 6890"},
    {"192.0.2.77", "RFC 5737"},
    {"192.88.99.1", "RFC 7526"},
    {"192.168.0.0", "RFC 1918"},
    {"192.168.255.255", "RFC 1918"},
    {"198.18.0.0", "RFC 2544"},
    {"198.19.255.255", "RFC 2544"},
    {"198.51.100.9", "RFC 5737"},
    {"203.0.113.200", "RFC 5737"},
    {"224.0.0.1", "RFC 5771"},
    {"239.255.255.255", "RFC 5771"},
    {"240.0.0.0", "RFC 1112"},
    {"255.255.255.254", "RFC 1112"},
    {"255.255.255.255", "RFC 919"},
    {"::", "RFC 4291"},
    {"::1", "RFC 4291"},
    {"::127.0.0.1", "RFC 4291"}, /* IPv4-compatible, deprecated */
    {"::ffff:127.0.0.1", "RFC 1122"},
    {"::ffff:10.1.2.3", "RFC 1918"},
    {"::ffff:169.254.169.254", "RFC 3927"},
    {"64:ff9b::7f00:1", "RFC 1122"},
    {"64:ff9b::a9fe:a9fe", "RFC 3927"},
    {"64:ff9b:1::1", "RFC 8215"},
    {"100::1", "RFC 6666"},
    {"2001::1", "RFC 4380"},
    {"2001:2::1", "RFC 2928"},
    {"2001:1ff:ffff::", "RFC 2928"},
    {"2001:db8::1", "RFC 3849"},
    {"2002:7f00:1::1", "RFC 7526"},
    {"2002:808:808::1", "RFC 7526"},
    {"3fff:0fff::1", "RFC 9637"},
    {"4000::1", "RFC 4291"},
    {"5f00::1", "RFC 9602"},
    {"fc00::1", "RFC 4193"},
    {"fdff:ffff::1", "RFC 4193"},
    {"fe80::1", "RFC 4291"},
    {"febf::1", "RFC 4291"},
    {"fec0::1", "RFC 3879"},
    {"ff02::1", "RFC 4291"},
    {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "RFC 4291"},
};

static void special_addresses_are_refused_by_their_rule(void **state) {
    vt_guard *g = guard_with(NULL);
    for (size_t i = 0; i < sizeof special / sizeof special[0]; i++) {
        const vt_guard_rule *rule = refusal(g, special[i][0]);
        if (!rule || strcmp(rule->source, special[i][1]) != 0)
            fail_msg("%s: %s instead of %s", special[i][0], rule ? rule->source : "public",
                     special[i][1]);
    }
    assert_string_equal(refusal(g, "127.9.9.9")->network, "127.0.0.0/8");
    assert_string_equal(refusal(g, "127.9.9.9")->what, "a loopback address");
    assert_string_equal(refusal(g, "::1")->what, "a loopback address");
    vt_guard_close(g);
}

static void public_addresses_pass(void **state) {
    static const char *const cases[] = {
        "1.1.1.1",         "8.8.8.8",          "9.255.255.255",   "11.0.0.0",
        "100.63.255.255",  "100.128.0.0",      "126.255.255.255", "128.0.0.0",
        "169.253.255.255", "169.255.0.0",      "172.15.255.255",  "172.32.0.0",
        "191.255.255.255", "192.0.1.0",        "192.0.3.0",       "192.167.255.255",
        "192.169.0.0",     "198.17.255.255",   "198.20.0.0",      "198.51.99.255",
        "198.51.101.0",    "203.0.112.255",    "203.0.114.0",     "223.255.255.255",
        "::ffff:1.1.1.1",  "64:ff9b::808:808", "2001:200::1",     "2001:db7::1",
        "2001:db9::1",     "2003::1",          "2606:4700::1111", "2a00:1450:4001::1",
        "3ffe::1",         "3fff:1000::1",
    };
    vt_guard *g = guard_with(NULL);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (refusal(g, cases[i]))
            fail_msg("%s is %s", cases[i], refusal(g, cases[i])->what);
    vt_guard_close(g);
}

static void other_families_are_refused(void **state) {
    vt_guard *g = guard_with((const char *[]){"0.0.0.0/0", "::/0", NULL});
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    char text[64];
    assert_non_null(vt_guard_refusal(g, (struct sockaddr *)&at));
    assert_string_equal(vt_guard_address_text((struct sockaddr *)&at, text), "?");
    vt_guard_close(g);
}

static void allowed_networks_open_exactly_themselves(void **state) {
    vt_guard *g = guard_with((const char *[]){"10.1.0.0/16", "192.168.7.9/32", "172.16.0.0/13",
                                              "fd00:1::/32", "fe80::8/125", NULL});
    static const char *const open[] = {"10.1.0.0",    "10.1.255.255",    "::ffff:10.1.2.3",
                                       "192.168.7.9", "172.16.0.1",      "172.23.255.255",
                                       "fd00:1::1",   "fd00:1:ffff::",   "fe80::8",
                                       "fe80::f",     "64:ff9b::a01:203"};
    static const char *const shut[] = {"10.0.255.255", "10.2.0.0",  "192.168.7.8", "192.168.7.10",
                                       "172.24.0.0",   "fd00:2::1", "fe80::7",     "fe80::10",
                                       "127.0.0.1",    "::1"};
    for (size_t i = 0; i < sizeof open / sizeof open[0]; i++)
        if (refusal(g, open[i]))
            fail_msg("%s should be allowed", open[i]);
    for (size_t i = 0; i < sizeof shut / sizeof shut[0]; i++)
        if (!refusal(g, shut[i]))
            fail_msg("%s should be refused", shut[i]);
    vt_guard_close(g);
}

static void all_of_ipv6_is_not_all_of_ipv4(void **state) {
    vt_guard *g = guard_with((const char *[]){"::/0", NULL});
    assert_null(refusal(g, "::1"));
    assert_null(refusal(g, "fe80::1"));
    assert_non_null(refusal(g, "127.0.0.1"));
    assert_non_null(refusal(g, "::ffff:127.0.0.1"));
    vt_guard_close(g);
    g = guard_with((const char *[]){"0.0.0.0/0", NULL});
    assert_null(refusal(g, "127.0.0.1"));
    assert_non_null(refusal(g, "::1"));
    vt_guard_close(g);
}

static void allowed_hosts_are_compared_whole(void **state) {
    vt_guard *g =
        guard_with((const char *[]){"CDN.shop.local", "127.0.0.1", "::1", "a_b-c.x", NULL});
    assert_true(vt_guard_allows_host(g, "cdn.SHOP.local"));
    assert_true(vt_guard_allows_host(g, "127.0.0.1"));
    assert_true(vt_guard_allows_host(g, "[::1]"));
    assert_true(vt_guard_allows_host(g, "[0:0::0:1]"));
    assert_true(vt_guard_allows_host(g, "a_b-c.x"));
    assert_false(vt_guard_allows_host(g, "shop.local"));
    assert_false(vt_guard_allows_host(g, "x.cdn.shop.local"));
    assert_false(vt_guard_allows_host(g, "cdn.shop.local.evil"));
    assert_false(vt_guard_allows_host(g, "127.0.0.2"));
    assert_false(vt_guard_allows_host(g, "[::2]"));
    assert_false(vt_guard_allows_host(g, ""));
    /* A host entry opens its name, not the address for other names. */
    assert_non_null(refusal(g, "127.0.0.1"));
    vt_guard_close(g);
}

static void bad_entries_are_named(void **state) {
    static const char *const bad[] = {
        "",           "http://cdn.local", "cdn.local:80", "10.1.2.3/8",   "10.0.0.0/33",
        "fd00::/129", "fd00::1/64",       "10.0.0.0/",    "/8",           "cdn..local",
        ".local",     "cdn.local.",       "*.local",      "127.1",        "0x7f.0.0.1.1",
        "a b",        "10.0.0.0/+8",      "user@host",    "m\xc3\xbc.de", "[::1",
        "1.2.3.4.5",  "cdn.local/8",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        vt_guard *g;
        vt_err err;
        char quoted[64];
        snprintf(quoted, sizeof quoted, "\"%s\"", bad[i]);
        if (vt_guard_open((const char *[]){"fine.local", bad[i], NULL}, &g, &err) != VT_E_INVALID)
            fail_msg("\"%s\" was taken", bad[i]);
        assert_null(g);
        assert_non_null(strstr(err.text, quoted));
    }
}

static void address_text_is_what_people_write(void **state) {
    struct sockaddr_in6 at = {.sin6_family = AF_INET6};
    char text[64];
    inet_pton(AF_INET6, "::ffff:10.1.2.3", &at.sin6_addr);
    assert_string_equal(vt_guard_address_text((struct sockaddr *)&at, text), "10.1.2.3");
    inet_pton(AF_INET6, "2001:DB8::1", &at.sin6_addr);
    assert_string_equal(vt_guard_address_text((struct sockaddr *)&at, text), "2001:db8::1");
}

/* ---- URLs ------------------------------------------------------------------------------- */

static void assert_url(const char *text, const char *host, const char *normal) {
    vt_url u;
    vt_err err;
    if (vt_url_parse(text, &u, &err) != VT_OK)
        fail_msg("%s: %s", text, err.text);
    assert_string_equal(u.host, host);
    assert_string_equal(u.text, normal);
    vt_url_release(&u);
}

static void urls_are_brought_to_normal_form(void **state) {
    assert_url("http://example.com", "example.com", "http://example.com/");
    assert_url("HTTPS://example.com:8443/a?b=c", "example.com", "https://example.com:8443/a?b=c");
    assert_url("http://x.com/a b/\xc5\xbe.png", "x.com", "http://x.com/a%20b/%c5%be.png");
    assert_url("http://127.1/", "127.0.0.1", "http://127.0.0.1/");
    assert_url("http://0x7f000001/", "127.0.0.1", "http://127.0.0.1/");
    assert_url("http://2130706433/", "127.0.0.1", "http://127.0.0.1/");
    assert_url("http://0177.0.0.1/", "127.0.0.1", "http://127.0.0.1/");
    assert_url("http://[0:0:0:0:0:0:0:1]:80/x", "[::1]", "http://[::1]:80/x");
}

static void bad_urls_say_what_is_wrong(void **state) {
    static const char *const cases[][2] = {
        {"", "http://"},
        {"example.com/a.png", "http://"},
        {"//example.com/a.png", "http://"},
        {"file:///etc/passwd", "http://"},
        {"ftp://example.com/a.png", "http://"},
        {"gopher://example.com/", "http://"},
        {"http:/example.com/", "http://"},
        {" http://example.com/", "http://"},
        {"http://", "no host"},
        {"http:///a.png", "no host"},
        {"http://?a", "no host"},
        {"https://#a", "no host"},
        {"http://user:secret@example.com/", "password"},
        {"http://user@example.com/", "user name"},
        {"http://:secret@example.com/", "password"},
        {"http://example.com@127.0.0.1/", "user name"},
        {"http://exa mple.com/", "cannot be read"},
        {"http://example.com:99999/", "cannot be read"},
        {"http://example.com:x/", "cannot be read"},
        {"http://[::1/", "cannot be read"},
        {"http://[1.2.3.4]/", "cannot be read"},
        {"http://a\nb/", "cannot be read"},
        {"http://a%00b/", "cannot be read"},
        {"http://a%ffb/", "not valid UTF-8"},
        {"http://\xff.com/", "not valid UTF-8"},
        {"http://a/\r\nHost: b", "cannot be read"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        vt_url u;
        vt_err err;
        if (vt_url_parse(cases[i][0], &u, &err) != VT_E_INVALID)
            fail_msg("%s was taken", cases[i][0]);
        if (!strstr(err.text, cases[i][1]))
            fail_msg("%s: \"%s\" lacks \"%s\"", cases[i][0], err.text, cases[i][1]);
        assert_null(strstr(err.text, "secret"));
        assert_null(u.text);
        assert_null(u.host);
    }
}

static void urls_have_a_longest_length(void **state) {
    char text[VT_URL_MAX + 2];
    vt_url u;
    vt_err err;
    memset(text, 'a', sizeof text);
    memcpy(text, "http://b/", 9);
    text[VT_URL_MAX] = '\0';
    assert_int_equal(vt_url_parse(text, &u, &err), VT_OK);
    vt_url_release(&u);
    text[VT_URL_MAX] = 'a';
    text[VT_URL_MAX + 1] = '\0';
    assert_int_equal(vt_url_parse(text, &u, &err), VT_E_INVALID);
    assert_non_null(strstr(err.text, "2048"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(special_addresses_are_refused_by_their_rule),
        cmocka_unit_test(public_addresses_pass),
        cmocka_unit_test(other_families_are_refused),
        cmocka_unit_test(allowed_networks_open_exactly_themselves),
        cmocka_unit_test(all_of_ipv6_is_not_all_of_ipv4),
        cmocka_unit_test(allowed_hosts_are_compared_whole),
        cmocka_unit_test(bad_entries_are_named),
        cmocka_unit_test(address_text_is_what_people_write),
        cmocka_unit_test(urls_are_brought_to_normal_form),
        cmocka_unit_test(bad_urls_say_what_is_wrong),
        cmocka_unit_test(urls_have_a_longest_length),
    };
    return cmocka_run_group_tests_name("guard", tests, NULL, NULL);
}
