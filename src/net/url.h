/* What may be asked for at all: the check of a URL before anything is resolved. Private to net. */
#ifndef VT_NET_URL_H
#define VT_NET_URL_H

#include "base/base.h"

#define VT_URL_MAX 2048 /* bytes */

typedef struct vt_url {
    char *text; /* as libcurl is given it: normal form, spaces and non-ASCII bytes escaped */
    char *host; /* lower or upper case as written, IPv4 in its dotted form, IPv6 in brackets; an
                 * international name as written, so `allow`, which is ASCII, never names it but
                 * where the URL has its xn-- form (asking libcurl 7.88 for that form leaks) */
} vt_url;

/* Reads an absolute http or https URL. E_INVALID says what is wrong: no or another scheme, no host,
 * user:password, longer than VT_URL_MAX bytes, bytes that no URL holds. *out is empty on failure;
 * else vt_url_release. */
vt_status vt_url_parse(const char *text, vt_url *out, vt_err *err) VT_MUST_USE;
void vt_url_release(vt_url *u);

#endif
