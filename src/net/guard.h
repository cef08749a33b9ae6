/* The address guard: which addresses may a picture be fetched from? Private to net; its tests and
 * its fuzz target read it too. */
#ifndef VT_NET_GUARD_H
#define VT_NET_GUARD_H

#include <sys/socket.h>

#include "base/base.h"

/* One entry of the special-purpose registries, as the error text tells it. */
typedef struct vt_guard_rule {
    const char *network; /* "127.0.0.0/8" */
    const char *what;    /* "a loopback address"; NULL: addresses in it are public */
    const char *source;  /* "RFC 1122" */
} vt_guard_rule;

typedef struct vt_guard vt_guard;

/* allow: as vt_net_options.allow (NULL: none; copied). E_INVALID names the entry that is neither a
 * host name nor a network. Immutable once open, so any number of threads may ask. */
vt_status vt_guard_open(const char *const *allow, vt_guard **out, vt_err *err) VT_MUST_USE;
void vt_guard_close(vt_guard *g);

/* Is the host of a URL named in `allow`? Letter case is ignored, an IP literal (IPv6 with or
 * without its brackets) is compared as an address. Such a host may resolve to any address. */
bool vt_guard_allows_host(const vt_guard *g, const char *host);
/* NULL where the address is public or inside an allowed network, else the rule that forbids it. */
const vt_guard_rule *vt_guard_refusal(const vt_guard *g, const struct sockaddr *sa);
/* The address as text, without its port ("?" for what is not an IP address). Returns out. */
const char *vt_guard_address_text(const struct sockaddr *sa, char out[64]);

#endif
