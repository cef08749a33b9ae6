/* net: outgoing HTTP. Downloads an image by its URL (libcurl) behind an address guard: the address
 * that would be connected to must be public, unless the configuration names its host or network.
 * Thread-safe: each fetch takes a connection handle of its own from a small store. */
#ifndef VT_NET_H
#define VT_NET_H

#include "base/base.h"

typedef struct vt_net vt_net;

typedef struct vt_net_options {
    const char *const *allow; /* NULL-terminated: host names ("cdn.shop.local", also an IP literal
                               * as a host) and networks in CIDR ("127.0.0.0/8", "fd00::/8") that
                               * may be reached though not public; NULL: none */
    uint32_t connect_ms;      /* 0: 3000 */
    uint32_t total_ms;        /* 0: 10000 */
    uint32_t redirects;       /* 3 unless changed by vt_net_defaults' caller */
    size_t max_bytes;         /* of the decoded body; 0: 20,000,000 */
} vt_net_options;

void vt_net_defaults(vt_net_options *o); /* 3 s, 10 s, 3 redirects, 20 MB, nothing allowed */

/* E_INVALID names the entry of `allow` that is neither a host name nor a network. */
vt_status vt_net_open(const vt_net_options *o, vt_net **out, vt_err *err) VT_MUST_USE;
void vt_net_close(vt_net *n);
/* GET url, follow redirects, append the decoded body to `body`. No proxy from the environment, no
 * cookies, no credentials (a URL with user:password is refused). Errors name the host and the rule:
 * E_INVALID (not http/https, no host, longer than 2048 bytes), E_REFUSED (loopback, private,
 * link-local, multicast, reserved..., or a redirect to another scheme), E_TIMEOUT, E_TOO_LARGE,
 * E_UPSTREAM (dead host, TLS failure, status other than 200, too many redirects). Only public or
 * allowed addresses are ever connected to, redirects included. */
vt_status vt_net_fetch(vt_net *n, const char *url, vt_buf *body, vt_err *err) VT_MUST_USE;

#endif
