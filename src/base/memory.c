/* Checked sizes and allocations. Growth doubles, so appending n elements costs O(n). */
#include "base/base.h"

bool vt_size_mul(size_t a, size_t b, size_t *out) {
    size_t product;
    if (__builtin_mul_overflow(a, b, &product))
        return false;
    *out = product;
    return true;
}

bool vt_size_add(size_t a, size_t b, size_t *out) {
    size_t sum;
    if (__builtin_add_overflow(a, b, &sum))
        return false;
    *out = sum;
    return true;
}

void *vt_alloc(size_t count, size_t size) {
    size_t bytes;
    if (!vt_size_mul(count, size, &bytes))
        return NULL;
    return calloc(bytes ? bytes : 1, 1); /* calloc(0) may return NULL, which reads as a failure */
}

void *vt_alloc_aligned(size_t count, size_t size) {
    size_t bytes;
    if (!vt_size_mul(count, size, &bytes) || !vt_size_add(bytes, 64, &bytes))
        return NULL;
    return aligned_alloc(64, bytes / 64 * 64);
}

vt_status vt_array_grow(void *array_ptr, size_t *cap, size_t need, size_t size, vt_err *err) {
    void *old, *grown;
    size_t wanted = *cap ? *cap : 8, bytes;
    if (need <= *cap)
        return VT_OK;
    while (wanted < need)
        if (!vt_size_mul(wanted, 2, &wanted))
            return vt_fail_nomem(err, need);
    if (!vt_size_mul(wanted, size, &bytes))
        return vt_fail_nomem(err, need);
    memcpy(&old, array_ptr, sizeof old); /* array_ptr is a T **, which void ** may not alias */
    grown = realloc(old, bytes);
    if (!grown)
        return vt_fail_nomem(err, bytes);
    memcpy(array_ptr, &grown, sizeof grown);
    *cap = wanted;
    return VT_OK;
}

char *vt_strndup(const char *s, size_t n) {
    char *copy;
    size_t bytes;
    if (!vt_size_add(n, 1, &bytes))
        return NULL;
    copy = malloc(bytes);
    if (!copy)
        return NULL;
    memcpy(copy, s, n);
    copy[n] = 0;
    return copy;
}

char *vt_strdup(const char *s) {
    return vt_strndup(s, strlen(s));
}
