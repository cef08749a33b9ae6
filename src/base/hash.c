/* SHA-256 (FIPS 180-4) through OpenSSL's EVP, which uses the processor's SHA instructions. One
 * hash serves all identities: at 2 GB/s it costs less than reading what it hashes. */
#include "base/base.h"

#include <errno.h>
#include <openssl/evp.h>
#include <sys/random.h>

struct vt_hasher {
    EVP_MD_CTX *ctx;
};

vt_hash vt_hash_bytes(const void *bytes, size_t n) {
    vt_hash h = {{0}};
    unsigned len = sizeof h.bytes;
    if (EVP_Digest(bytes, n, h.bytes, &len, EVP_sha256(), NULL) != 1)
        abort(); /* OpenSSL without SHA-256: no identity can be trusted */
    return h;
}

vt_status vt_hasher_open(vt_hasher **out, vt_err *err) {
    vt_hasher *h = vt_alloc(1, sizeof *h);
    *out = NULL;
    if (!h)
        return vt_fail_nomem(err, sizeof *h);
    h->ctx = EVP_MD_CTX_new();
    if (!h->ctx || EVP_DigestInit_ex(h->ctx, EVP_sha256(), NULL) != 1) {
        vt_hasher_close(h);
        return vt_fail(err, VT_E_NOMEM, "no memory for a SHA-256 context");
    }
    *out = h;
    return VT_OK;
}

void vt_hasher_add(vt_hasher *h, const void *bytes, size_t n) {
    if (EVP_DigestUpdate(h->ctx, bytes, n) != 1)
        abort();
}

vt_hash vt_hasher_close(vt_hasher *h) {
    vt_hash out = {{0}};
    unsigned len = sizeof out.bytes;
    if (!h)
        return out;
    if (h->ctx && EVP_DigestFinal_ex(h->ctx, out.bytes, &len) != 1)
        abort();
    EVP_MD_CTX_free(h->ctx);
    free(h);
    return out;
}

bool vt_hash_equal(const vt_hash *a, const vt_hash *b) {
    return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

void vt_hash_hex(const vt_hash *h, char out[65]) {
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < sizeof h->bytes; i++) {
        out[2 * i] = digits[h->bytes[i] >> 4];
        out[2 * i + 1] = digits[h->bytes[i] & 15];
    }
    out[64] = 0;
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

bool vt_hash_from_hex(const char *hex, vt_hash *out) {
    vt_hash h;
    if (strlen(hex) != 2 * sizeof h.bytes)
        return false;
    for (size_t i = 0; i < sizeof h.bytes; i++) {
        int hi = hex_digit(hex[2 * i]), lo = hex_digit(hex[2 * i + 1]);
        if (hi < 0 || lo < 0)
            return false;
        h.bytes[i] = (uint8_t)(hi << 4 | lo);
    }
    *out = h;
    return true;
}

void vt_random_bytes(void *out, size_t n) {
    uint8_t *p = out;
    while (n > 0) {
        ssize_t got = getrandom(p, n, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            abort(); /* a kernel without random numbers */
        p += got;
        n -= (size_t)got;
    }
}
