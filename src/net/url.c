/* The check of a URL. Method: libcurl's own URL parser, and libcurl is then given the text that
 * this parser wrote. Two parsers that disagree about where the host ends ("http://a@b#@c/") are how
 * address filters are walked around; here there is only one. It also turns the odd spellings of
 * IPv4 ("127.1", "0x7f000001", "2130706433") into the dotted form, so that `fetch-allow` and the
 * error text speak of the address that is meant.
 *
 * Product feeds are full of URLs with spaces and letters of other alphabets in their path: they are
 * escaped as browsers do it, not refused.
 *
 * Threading: no state. */
#include "net/url.h"

#include <curl/curl.h>

/* The parser of libcurl repairs "http:/host" and "http:///host"; here both are what they say, a URL
 * without a host. Returns what follows the "//", NULL where the scheme is another one. */
static const char *after_scheme(const char *text) {
    if (strncasecmp(text, "http://", 7) == 0)
        return text + 7;
    if (strncasecmp(text, "https://", 8) == 0)
        return text + 8;
    return NULL;
}

static vt_status check_form(const char *text, vt_err *err) {
    const char *rest = after_scheme(text);
    if (strlen(text) > VT_URL_MAX)
        return vt_fail(err, VT_E_INVALID, "the URL is longer than %d bytes", VT_URL_MAX);
    if (!rest)
        return vt_fail(err, VT_E_INVALID, "the URL must begin with http:// or https://");
    if (strchr("/?#", rest[0])) /* finds the NUL of an empty rest too */
        return vt_fail(err, VT_E_INVALID, "the URL has no host");
    return VT_OK;
}

/* libcurl's memory is freed by curl_free, ours by free: the parts are copied. */
static vt_status copy_part(CURLU *u, CURLUPart part, char **out, vt_err *err) {
    char *text = NULL;
    CURLUcode c = curl_url_get(u, part, &text, 0);
    if (c != CURLUE_OK)
        return vt_fail(err, VT_E_INVALID, "the URL cannot be read: %s", curl_url_strerror(c));
    *out = vt_strdup(text);
    curl_free(text);
    return *out ? VT_OK : vt_fail_nomem(err, VT_URL_MAX);
}

static bool has_part(CURLU *u, CURLUPart part) {
    char *text = NULL;
    bool has = curl_url_get(u, part, &text, 0) == CURLUE_OK;
    curl_free(text);
    return has;
}

vt_status vt_url_parse(const char *text, vt_url *out, vt_err *err) {
    vt_status s = VT_OK;
    CURLUcode c = CURLUE_OK;
    *out = (vt_url){NULL, NULL};
    CURLU *u = curl_url();
    if (!u)
        return vt_fail_nomem(err, VT_URL_MAX);
    s = check_form(text, err);
    if (s != VT_OK)
        goto done;
    c = curl_url_set(u, CURLUPART_URL, text, CURLU_URLENCODE | CURLU_ALLOW_SPACE);
    if (c != CURLUE_OK) {
        s = vt_fail(err, VT_E_INVALID, "the URL cannot be read: %s", curl_url_strerror(c));
        goto done;
    }
    if (has_part(u, CURLUPART_USER) || has_part(u, CURLUPART_PASSWORD)) {
        s = vt_fail(err, VT_E_INVALID, "the URL holds a user name or password, none is sent");
        goto done;
    }
    s = copy_part(u, CURLUPART_URL, &out->text, err);
    if (s == VT_OK)
        s = copy_part(u, CURLUPART_HOST, &out->host, err);
    /* "http://a%ff/" gets this far, and error texts quote the host. */
    if (s == VT_OK && !vt_utf8_valid(out->host, strlen(out->host)))
        s = vt_fail(err, VT_E_INVALID, "the URL's host is not valid UTF-8 text");
done:
    if (s != VT_OK)
        vt_url_release(out);
    curl_url_cleanup(u);
    return s;
}

void vt_url_release(vt_url *u) {
    free(u->text);
    free(u->host);
    *u = (vt_url){NULL, NULL};
}
