/* Downloads by libcurl's easy interface, one blocking call a picture; the threads that fetch side
 * by side are the caller's (the import pipeline's workers).
 *
 * Guard: libcurl asks open_socket() for every socket it wants to connect, for each address that a
 * name has and for each retry, and says which address. A refused address gets no socket, so not one
 * packet leaves for it, and since the very address that is judged is the one connected to, a name
 * that changes its mind in between (DNS rebinding) gains nothing.
 *
 * Redirects are followed here and not by libcurl (CURLOPT_FOLLOWLOCATION): each hop's URL goes
 * through the same check as the first, and open_socket() knows the host of the hop it serves, which
 * `allow` may name. One deadline holds for all hops together.
 *
 * Connections stay open in their easy handle and the handles wait in a small store, because an
 * import fetches thousands of pictures from one host. Reuse cannot get around the guard: libcurl
 * reuses a connection only for the scheme, host and port it was opened for; the verdict depends on
 * that host, on the address, and on `allow`, which never changes while a vt_net lives; so the
 * verdict on a reused connection is the one that was given when it was opened.
 *
 * Rejected: the multi interface (one more event loop, to save threads that wait anyway), a share
 * handle for connections (libcurl does not support sharing them between threads), and
 * CURLOPT_PREREQFUNCTION for the guard (it is called when the connection stands already).
 *
 * Threading: guard and options are constant; the store is behind a mutex that is never held during
 * a transfer. */
#include "net/net.h"

#include <curl/curl.h>
#include <pthread.h>

#include "net/guard.h"
#include "net/url.h"

#define IDLE_MAX 16 /* handles kept for later; more at once are made and thrown away */

struct vt_net {
    vt_net_options o;
    vt_guard *guard;
    pthread_mutex_t lock; /* of idle, n_idle */
    CURL *idle[IDLE_MAX];
    size_t n_idle;
};

/* One call of vt_net_fetch. */
typedef struct fetch {
    vt_net *net;
    CURL *easy;
    vt_buf *body;
    size_t body_start;    /* what the caller's buffer held before */
    uint64_t deadline_ns; /* for all hops together */
    /* of the present hop */
    vt_url url;
    size_t received; /* decoded bytes, whatever the answer's status */
    bool too_large;
    const vt_guard_rule *refused; /* the last address refused, NULL: none was */
    char refused_address[64];
    char curl_text[CURL_ERROR_SIZE];
} fetch;

/* ---- what libcurl calls ----------------------------------------------------------------- */

static curl_socket_t open_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *a) {
    fetch *f = ctx;
    const vt_guard_rule *rule = vt_guard_refusal(f->net->guard, &a->addr);
    if (rule && !vt_guard_allows_host(f->net->guard, f->url.host)) {
        f->refused = rule;
        vt_guard_address_text(&a->addr, f->refused_address);
        return CURL_SOCKET_BAD;
    }
    return socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
}

static long response_code(CURL *easy) {
    long code = 0;
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &code);
    return code;
}

/* Bytes arrive here decoded, 16 KiB at most at once, so a compressed bomb is cut off at the limit
 * and never unfolds in memory. Anything but n makes libcurl stop. */
static size_t take_body(char *bytes, size_t size, size_t n, void *ctx) {
    fetch *f = ctx;
    n *= size; /* size is 1, says the manual */
    if (n > f->net->o.max_bytes - f->received) {
        f->too_large = true;
        return 0;
    }
    f->received += n;
    if (response_code(f->easy) != 200)
        return n; /* the page that goes with an error or a redirect is nobody's picture */
    vt_buf_append(f->body, bytes, n);
    return f->body->failed == VT_OK ? n : 0;
}

/* ---- handles ---------------------------------------------------------------------------- */

/* The options that never change. False where libcurl was built without one of them: without its
 * protection nothing must be fetched. */
static bool handle_prepare(CURL *easy, const vt_net_options *o) {
    return curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https") == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body) == CURLE_OK &&
           /* A proxy would connect on our behalf, behind the guard's back. */
           curl_easy_setopt(easy, CURLOPT_PROXY, "") == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_NOPROXY, "*") == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           /* A resolver thread that hangs must not hold us beyond the deadline. */
           curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "") == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)o->max_bytes) ==
               CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_USERAGENT, "vitrine/" VT_VERSION) == CURLE_OK;
}

static vt_status handle_take(vt_net *n, CURL **out, vt_err *err) {
    *out = NULL;
    pthread_mutex_lock(&n->lock);
    if (n->n_idle > 0)
        *out = n->idle[--n->n_idle];
    pthread_mutex_unlock(&n->lock);
    if (*out)
        return VT_OK;

    CURL *easy = curl_easy_init();
    if (!easy)
        return vt_fail(err, VT_E_NOMEM, "no memory for a connection handle");
    if (!handle_prepare(easy, &n->o)) {
        curl_easy_cleanup(easy);
        return vt_fail(err, VT_E_INTERNAL, "libcurl lacks an option that fetching needs");
    }
    *out = easy;
    return VT_OK;
}

static void handle_give_back(vt_net *n, CURL *easy) {
    if (!easy)
        return;
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, NULL); /* it was on the fetch's stack */
    pthread_mutex_lock(&n->lock);
    if (n->n_idle < IDLE_MAX) {
        n->idle[n->n_idle++] = easy;
        easy = NULL;
    }
    pthread_mutex_unlock(&n->lock);
    curl_easy_cleanup(easy);
}

/* ---- one hop ---------------------------------------------------------------------------- */

static long milliseconds_left(const fetch *f) {
    uint64_t now = vt_now_ns();
    return now < f->deadline_ns ? (long)((f->deadline_ns - now + 999999) / 1000000) : 0;
}

static vt_status hop_prepare(fetch *f, vt_err *err) {
    CURL *e = f->easy;
    long left = milliseconds_left(f);
    long connect = (long)f->net->o.connect_ms;
    if (left == 0)
        return vt_fail(err, VT_E_TIMEOUT, "%s: no answer within %u ms", f->url.host,
                       f->net->o.total_ms);
    f->received = 0;
    f->refused = NULL;
    f->curl_text[0] = '\0';
    if (curl_easy_setopt(e, CURLOPT_URL, f->url.text) != CURLE_OK ||
        curl_easy_setopt(e, CURLOPT_ERRORBUFFER, f->curl_text) != CURLE_OK ||
        curl_easy_setopt(e, CURLOPT_WRITEDATA, f) != CURLE_OK ||
        curl_easy_setopt(e, CURLOPT_OPENSOCKETDATA, f) != CURLE_OK ||
        curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, left) != CURLE_OK ||
        curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, left < connect ? left : connect) != CURLE_OK)
        return vt_fail(err, VT_E_NOMEM, "%s: no memory to prepare the request", f->url.host);
    return VT_OK;
}

static vt_status fail_refused(const fetch *f, vt_err *err) {
    bool literal = strcmp(f->url.host, f->refused_address) == 0;
    return vt_fail(err, VT_E_REFUSED,
                   "%s%s%s is %s (%s); to allow it add \"%s\" or \"%s\" to fetch-allow",
                   literal ? "" : f->url.host, literal ? "" : ": ", f->refused_address,
                   f->refused->what, f->refused->source, f->url.host, f->refused->network);
}

/* A transfer that libcurl gave up, in our words. A status other than 200 that had arrived already
 * explains more than how its page failed. */
static vt_status fail_transfer(const fetch *f, CURLcode c, vt_err *err) {
    const char *host = f->url.host;
    long code = response_code(f->easy);
    if (f->refused)
        return fail_refused(f, err);
    if (c == CURLE_OPERATION_TIMEDOUT)
        return vt_fail(err, VT_E_TIMEOUT, "%s: %s", host, f->curl_text);
    if (c == CURLE_OUT_OF_MEMORY)
        return vt_fail(err, VT_E_NOMEM, "%s: libcurl has no memory", host);
    if (code >= 300)
        return vt_fail(err, VT_E_UPSTREAM, "%s answered with status %ld", host, code);
    if (f->too_large || c == CURLE_FILESIZE_EXCEEDED)
        return vt_fail(err, VT_E_TOO_LARGE, "%s: the body is larger than %zu bytes", host,
                       f->net->o.max_bytes);
    if (f->body->failed != VT_OK)
        return vt_buf_status(f->body, host, err);
    return vt_fail(err, VT_E_UPSTREAM, "%s: %s", host,
                   f->curl_text[0] ? f->curl_text : curl_easy_strerror(c));
}

/* OK with *redirect NULL: the body is there; else *redirect is the next URL (libcurl's, valid until
 * the next hop). */
static vt_status hop_run(fetch *f, const char **redirect, vt_err *err) {
    char *next = NULL;
    *redirect = NULL;
    vt_status s = hop_prepare(f, err);
    if (s != VT_OK)
        return s;
    CURLcode c = curl_easy_perform(f->easy);
    if (c != CURLE_OK)
        return fail_transfer(f, c, err);
    long code = response_code(f->easy);
    if (code == 200)
        return VT_OK;
    curl_easy_getinfo(f->easy, CURLINFO_REDIRECT_URL, &next);
    if (!next)
        return vt_fail(err, VT_E_UPSTREAM, "%s answered with status %ld", f->url.host, code);
    *redirect = next;
    return VT_OK;
}

/* Makes the redirect's target the present URL. A bad URL is this server's fault and not the
 * caller's, so it is a refusal and not an invalid request. */
static vt_status follow(fetch *f, const char *redirect, vt_err *err) {
    vt_url next;
    vt_status s = vt_url_parse(redirect, &next, err);
    if (s == VT_E_INVALID) {
        err->status = VT_E_REFUSED;
        return vt_fail_prefix(err, "%s redirects to a URL that is not followed", f->url.host);
    }
    if (s != VT_OK)
        return s;
    vt_url_release(&f->url);
    f->url = next;
    return VT_OK;
}

/* ---- the room --------------------------------------------------------------------------- */

void vt_net_defaults(vt_net_options *o) {
    *o = (vt_net_options){
        .connect_ms = 3000, .total_ms = 10000, .redirects = 3, .max_bytes = 20000000};
}

vt_status vt_net_open(const vt_net_options *o, vt_net **out, vt_err *err) {
    vt_net_options d;
    vt_net_defaults(&d);
    *out = NULL;
    vt_net *n = vt_alloc(1, sizeof *n);
    if (!n)
        return vt_fail_nomem(err, sizeof *n);
    n->o = (vt_net_options){
        .allow = NULL, /* the caller's memory; the guard has its copy */
        .connect_ms = o->connect_ms ? o->connect_ms : d.connect_ms,
        .total_ms = o->total_ms ? o->total_ms : d.total_ms,
        .redirects = o->redirects,
        .max_bytes = o->max_bytes ? o->max_bytes : d.max_bytes,
    };
    vt_status s = vt_guard_open(o->allow, &n->guard, err);
    if (s != VT_OK) {
        free(n);
        return s;
    }
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        vt_guard_close(n->guard);
        free(n);
        return vt_fail(err, VT_E_INTERNAL, "libcurl cannot be initialised");
    }
    pthread_mutex_init(&n->lock, NULL);
    *out = n;
    return VT_OK;
}

void vt_net_close(vt_net *n) {
    if (!n)
        return;
    for (size_t i = 0; i < n->n_idle; i++)
        curl_easy_cleanup(n->idle[i]);
    pthread_mutex_destroy(&n->lock);
    vt_guard_close(n->guard);
    free(n);
    curl_global_cleanup();
}

vt_status vt_net_fetch(vt_net *n, const char *url, vt_buf *body, vt_err *err) {
    fetch f = {.net = n, .body = body, .body_start = body->len};
    const char *redirect = NULL;
    f.deadline_ns = vt_now_ns() + n->o.total_ms * UINT64_C(1000000);
    vt_status s = vt_url_parse(url, &f.url, err);
    if (s != VT_OK)
        return s;
    s = handle_take(n, &f.easy, err);
    if (s != VT_OK)
        goto done;
    s = hop_run(&f, &redirect, err);
    for (uint32_t hops = 0; s == VT_OK && redirect; hops++) {
        if (hops == n->o.redirects) {
            s = vt_fail(err, VT_E_UPSTREAM, "%s: more than %u redirects", f.url.host, hops);
            break;
        }
        s = follow(&f, redirect, err);
        if (s == VT_OK)
            s = hop_run(&f, &redirect, err);
    }
done:
    if (s != VT_OK && body->len > f.body_start) { /* no half pictures */
        body->len = f.body_start;
        body->data[body->len] = '\0';
    }
    handle_give_back(n, f.easy);
    vt_url_release(&f.url);
    return s;
}
