/* The address guard. A product's image_url comes from outside, and whoever writes it chooses where
 * this server connects to: without a guard it would fetch http://169.254.169.254/ (the credentials
 * of a cloud machine) or the database beside it, which is server-side request forgery.
 *
 * Method: a table of IANA's special-purpose address registries (RFC 6890 and its successors), read
 * from top to bottom, first match wins. Addresses of both families are one 16-byte form, IPv4 as
 * ::ffff:a.b.c.d, so an IPv4-mapped IPv6 address is judged by the address inside it and no second
 * table can disagree with the first; the translation prefix 64:ff9b::/96 (RFC 6052) is unwrapped
 * the same way, because behind DNS64 every public IPv4 host looks like that. The other tunnels that
 * carry an IPv4 address (6to4, Teredo) are refused whole: both are deprecated and no shop uses
 * them.
 *
 * Rejected: judging the text of the URL ("127.1", "0x7f000001", a name that points to 10.0.0.1 all
 * pass), and resolving the name first and judging the result (the name may point elsewhere when
 * it is resolved again to connect: DNS rebinding). Here only the address that is about to be
 * connected to is judged; net.c asks from inside the call that opens the socket.
 *
 * Threading: a guard never changes once open. */
#include "net/guard.h"

#include <arpa/inet.h>
#include <netinet/in.h>

/* More specific networks come before those that hold them. */
static const vt_guard_rule rules[] = {
    {"0.0.0.0/8", "an address of \"this network\"", "RFC 791"},
    {"10.0.0.0/8", "a private address", "RFC 1918"},
    {"100.64.0.0/10", "a carrier-grade NAT address", "RFC 6598"},
    {"127.0.0.0/8", "a loopback address", "RFC 1122"},
    {"169.254.0.0/16", "a link-local address", "RFC 3927"},
    {"172.16.0.0/12", "a private address", "RFC 1918"},
    {"192.0.0.0/24", "an IETF protocol address", "RFC 6890"},
    {"192.0.2.0/24", "a documentation address", "RFC 5737"},
    {"192.88.99.0/24", "a 6to4 relay address", "RFC 7526"},
    {"192.168.0.0/16", "a private address", "RFC 1918"},
    {"198.18.0.0/15", "a benchmarking address", "RFC 2544"},
    {"198.51.100.0/24", "a documentation address", "RFC 5737"},
    {"203.0.113.0/24", "a documentation address", "RFC 5737"},
    {"224.0.0.0/4", "a multicast address", "RFC 5771"},
    {"255.255.255.255/32", "the broadcast address", "RFC 919"},
    {"240.0.0.0/4", "a reserved address", "RFC 1112"},
    {"0.0.0.0/0", NULL, "RFC 791"},
    {"::/128", "the unspecified address", "RFC 4291"},
    {"::1/128", "a loopback address", "RFC 4291"},
    {"64:ff9b:1::/48", "a local translation address", "RFC 8215"},
    {"100::/64", "a discard-only address", "RFC 6666"},
    {"2001::/32", "a Teredo address", "RFC 4380"},
    {"2001::/23", "an IETF protocol address", "RFC 2928"},
    {"2001:db8::/32", "a documentation address", "RFC 3849"},
    {"2002::/16", "a 6to4 address", "RFC 7526"},
    {"3fff::/20", "a documentation address", "RFC 9637"},
    {"2000::/3", NULL, "RFC 4291"},
    {"5f00::/16", "a segment routing address", "RFC 9602"},
    {"fc00::/7", "a private (unique local) address", "RFC 4193"},
    {"fe80::/10", "a link-local address", "RFC 4291"},
    {"fec0::/10", "a site-local address", "RFC 3879"},
    {"ff00::/8", "a multicast address", "RFC 4291"},
    {"::/0", "not a global unicast address", "RFC 4291"},
};
#define RULES (sizeof rules / sizeof rules[0])

/* What a socket of another family (AF_UNIX...) is answered with. */
static const vt_guard_rule not_ip = {"::/0", "not an IP address", "RFC 791"};

typedef struct address {
    uint8_t bytes[16];
    bool v4; /* ::ffff:0:0/96: keeps "::/0" from meaning all of IPv4 too */
} address;

typedef struct network {
    address base;
    unsigned bits; /* of the 16-byte form: an IPv4 /8 is 104 */
} network;

typedef struct allowed_host {
    char *name; /* NULL: `literal` is meant */
    address literal;
} allowed_host;

struct vt_guard {
    network rules[RULES]; /* the table's networks, parsed */
    network *networks;    /* of `allow` */
    size_t n_networks;
    allowed_host *hosts; /* of `allow` */
    size_t n_hosts;
};

static const uint8_t mapped_prefix[12] = {[10] = 0xff, [11] = 0xff};
static const uint8_t nat64_prefix[12] = {0x00, 0x64, 0xff, 0x9b};

/* ---- addresses -------------------------------------------------------------------------- */

static address address_from_v4(const void *four) {
    address a = {.v4 = true};
    memcpy(a.bytes, mapped_prefix, sizeof mapped_prefix);
    memcpy(a.bytes + 12, four, 4);
    return a;
}

static address address_from_v6(const void *sixteen) {
    address a = {.v4 = false};
    memcpy(a.bytes, sixteen, 16);
    a.v4 = memcmp(a.bytes, mapped_prefix, sizeof mapped_prefix) == 0;
    return a;
}

/* An IPv4 address that a NAT64 gateway will connect to is judged as that IPv4 address. */
static address address_unwrapped(address a) {
    if (memcmp(a.bytes, nat64_prefix, sizeof nat64_prefix) == 0)
        return address_from_v4(a.bytes + 12);
    return a;
}

static bool address_from_text(const char *text, address *out) {
    struct in_addr v4;
    struct in6_addr v6;
    if (inet_pton(AF_INET, text, &v4) == 1)
        *out = address_from_v4(&v4);
    else if (inet_pton(AF_INET6, text, &v6) == 1)
        *out = address_from_v6(&v6);
    else
        return false;
    return true;
}

static bool address_from_sockaddr(const struct sockaddr *sa, address *out) {
    if (sa->sa_family == AF_INET) {
        struct sockaddr_in in; /* copied: `sa` need not be aligned for it */
        memcpy(&in, sa, sizeof in);
        *out = address_from_v4(&in.sin_addr);
    } else if (sa->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, sa, sizeof in6);
        *out = address_from_v6(&in6.sin6_addr);
    } else {
        return false;
    }
    return true;
}

/* ---- networks --------------------------------------------------------------------------- */

static bool network_contains(const network *n, const address *a) {
    unsigned whole = n->bits / 8, rest = n->bits % 8;
    if (n->base.v4 != a->v4 || memcmp(n->base.bytes, a->bytes, whole) != 0)
        return false;
    if (rest == 0)
        return true;
    uint8_t mask = (uint8_t)(0xff00u >> rest);
    return ((n->base.bytes[whole] ^ a->bytes[whole]) & mask) == 0;
}

static bool host_bits_clear(const network *n) {
    for (unsigned bit = n->bits; bit < 128; bit++)
        if (n->base.bytes[bit / 8] & (0x80u >> bit % 8))
            return false;
    return true;
}

/* "10.0.0.0/8". False where it is no network; bits set behind the prefix ("10.1.2.3/8") are refused
 * too, since they tell that something else was meant. */
static bool network_from_text(const char *text, network *out) {
    char base[INET6_ADDRSTRLEN];
    const char *slash = strchr(text, '/');
    size_t n = slash ? (size_t)(slash - text) : 0;
    uint64_t bits = 0;
    if (n == 0 || n >= sizeof base)
        return false;
    memcpy(base, text, n);
    base[n] = '\0';
    if (!address_from_text(base, &out->base))
        return false;
    bool dotted = strchr(base, ':') == NULL;
    if (!vt_parse_u64(slash + 1, dotted ? 32 : 128, &bits))
        return false;
    out->bits = (unsigned)bits + (dotted ? 96 : 0);
    return host_bits_clear(out);
}

/* ---- hosts ------------------------------------------------------------------------------ */

static bool is_host_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

/* RFC 1123 labels ('_' is met inside companies). A last label of digits only would be read as an
 * IPv4 address by whoever resolves it, so it is no name. */
static bool is_host_name(const char *s) {
    size_t len = strlen(s), label = 0;
    bool digits = true;
    if (len == 0 || len > 253)
        return false;
    for (; *s; s++) {
        if (*s == '.') {
            if (label == 0)
                return false;
            label = 0;
            digits = true;
        } else if (!is_host_char(*s) || ++label > 63) {
            return false;
        } else {
            digits = digits && *s >= '0' && *s <= '9';
        }
    }
    return label > 0 && !digits;
}

/* "::1", "[::1]" or "127.0.0.1". */
static bool literal_from_host(const char *host, address *out) {
    char inner[INET6_ADDRSTRLEN];
    size_t n = strlen(host);
    if (n < 2 || host[0] != '[' || host[n - 1] != ']')
        return address_from_text(host, out);
    if (n - 2 >= sizeof inner)
        return false;
    memcpy(inner, host + 1, n - 2);
    inner[n - 2] = '\0';
    return address_from_text(inner, out);
}

/* ---- the guard -------------------------------------------------------------------------- */

static vt_status allow_add(vt_guard *g, const char *entry, vt_err *err) {
    allowed_host *host = &g->hosts[g->n_hosts];
    if (network_from_text(entry, &g->networks[g->n_networks])) {
        g->n_networks++;
    } else if (literal_from_host(entry, &host->literal)) {
        g->n_hosts++;
    } else if (is_host_name(entry)) {
        host->name = vt_strdup(entry);
        if (!host->name)
            return vt_fail_nomem(err, strlen(entry) + 1);
        g->n_hosts++;
    } else {
        return vt_fail(err, VT_E_INVALID,
                       "fetch-allow: \"%s\" is neither a host name nor a network such as "
                       "10.0.0.0/8 (no bits set behind its prefix)",
                       entry);
    }
    return VT_OK;
}

vt_status vt_guard_open(const char *const *allow, vt_guard **out, vt_err *err) {
    vt_status s = VT_OK;
    size_t n = 0;
    *out = NULL;
    while (allow && allow[n])
        n++;

    vt_guard *g = vt_alloc(1, sizeof *g);
    if (!g)
        return vt_fail_nomem(err, sizeof *g);
    for (size_t i = 0; i < RULES; i++) {
        bool good = network_from_text(rules[i].network, &g->rules[i]);
        assert(good && "the table is ours");
        (void)good;
    }
    g->networks = vt_alloc(n, sizeof *g->networks);
    g->hosts = vt_alloc(n, sizeof *g->hosts);
    if (!g->networks || !g->hosts) {
        s = vt_fail_nomem(err, n * sizeof *g->hosts);
        goto done;
    }
    for (size_t i = 0; i < n && s == VT_OK; i++)
        s = allow_add(g, allow[i], err);

done:
    if (s == VT_OK)
        *out = g;
    else
        vt_guard_close(g);
    return s;
}

void vt_guard_close(vt_guard *g) {
    if (!g)
        return;
    for (size_t i = 0; g->hosts && i < g->n_hosts; i++)
        free(g->hosts[i].name);
    free(g->hosts);
    free(g->networks);
    free(g);
}

bool vt_guard_allows_host(const vt_guard *g, const char *host) {
    address literal;
    bool is_literal = literal_from_host(host, &literal);
    for (size_t i = 0; i < g->n_hosts; i++) {
        const allowed_host *h = &g->hosts[i];
        if (h->name ? !is_literal && strcasecmp(h->name, host) == 0
                    : is_literal && memcmp(h->literal.bytes, literal.bytes, 16) == 0)
            return true;
    }
    return false;
}

static bool network_allowed(const vt_guard *g, const address *a) {
    for (size_t i = 0; i < g->n_networks; i++)
        if (network_contains(&g->networks[i], a))
            return true;
    return false;
}

const vt_guard_rule *vt_guard_refusal(const vt_guard *g, const struct sockaddr *sa) {
    address outer;
    if (!address_from_sockaddr(sa, &outer))
        return &not_ip;
    address a = address_unwrapped(outer);
    if (network_allowed(g, &outer) || network_allowed(g, &a))
        return NULL;
    size_t i = 0;
    while (!network_contains(&g->rules[i], &a))
        i++; /* ends: 0.0.0.0/0 and ::/0 hold every address */
    return rules[i].what ? &rules[i] : NULL;
}

const char *vt_guard_address_text(const struct sockaddr *sa, char out[64]) {
    address a;
    const char *text = NULL;
    if (address_from_sockaddr(sa, &a))
        text = inet_ntop(a.v4 ? AF_INET : AF_INET6, a.v4 ? a.bytes + 12 : a.bytes, out, 64);
    if (!text)
        memcpy(out, "?", 2);
    return out;
}
