/* fuzz_url: the guard's `allow` entries and the check of URLs, without a network. The first line of
 * the input is an entry, the second a URL, and what follows are bytes of addresses. Properties:
 * what a check lets through is checked the same way again, and an IPv4 address gets one verdict
 * in all its dresses. */
#include <arpa/inet.h>
#include <netinet/in.h>

#include "net/guard.h"
#include "net/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Cuts the next line off the input, as a string; malloc'ed. */
static char *take_line(const uint8_t **data, size_t *size) {
    const uint8_t *end = memchr(*data, '\n', *size);
    size_t n = end ? (size_t)(end - *data) : *size;
    char *line = vt_strndup((const char *)*data, n);
    *data += end ? n + 1 : n;
    *size -= end ? n + 1 : n;
    return line;
}

static void check_url(const vt_guard *g, const char *text) {
    vt_url once, twice;
    vt_err err;
    if (vt_url_parse(text, &once, &err) != VT_OK) {
        assert(vt_utf8_valid(err.text, strlen(err.text)));
        return;
    }
    assert(vt_utf8_valid(once.host, strlen(once.host))); /* error texts quote it */
    if (vt_url_parse(once.text, &twice, &err) == VT_OK) {
        assert(strcmp(once.host, twice.host) == 0);
        assert(vt_guard_allows_host(g, once.host) == vt_guard_allows_host(g, twice.host));
        vt_url_release(&twice);
    } else { /* escaping may have made it too long, nothing else */
        assert(strlen(once.text) > VT_URL_MAX);
    }
    vt_url_release(&once);
}

static void check_address(const vt_guard *g, const uint8_t bytes[16]) {
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    char text[64];
    memcpy(&v6.sin6_addr, bytes, 16);
    (void)vt_guard_refusal(g, (const struct sockaddr *)&v6);
    vt_guard_address_text((const struct sockaddr *)&v6, text);

    memcpy(&v4.sin_addr, bytes + 12, 4);
    memset(&v6.sin6_addr, 0, 10);
    memset((uint8_t *)&v6.sin6_addr + 10, 0xff, 2);
    assert(vt_guard_refusal(g, (const struct sockaddr *)&v4) ==
           vt_guard_refusal(g, (const struct sockaddr *)&v6));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    vt_guard *guard = NULL;
    vt_err err;
    char *entry = take_line(&data, &size);
    char *url = take_line(&data, &size);
    if (entry && url) {
        const char *const allow[] = {entry, NULL};
        if (vt_guard_open(allow, &guard, &err) != VT_OK &&
            vt_guard_open(NULL, &guard, &err) != VT_OK)
            goto done;
        check_url(guard, url);
        for (; size >= 16; data += 16, size -= 16)
            check_address(guard, data);
    }
done:
    vt_guard_close(guard);
    free(entry);
    free(url);
    return 0;
}
