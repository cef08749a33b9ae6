/* A random rotation in O(dim log dim): a few rounds of random signs and a Walsh-Hadamard transform
 * (Ailon and Chazelle, The fast Johnson-Lindenstrauss transform, 2009). It spreads what a few
 * dimensions hold over all of them, so that one step suits every coordinate of a code, and makes
 * the errors of codes behave as if random towards any query.
 *
 * The transform wants a power of two: other dims take the largest one that fits, at the beginning
 * and at the end in turn, and twice the rounds. Every round is orthogonal, so no length changes.
 *
 * Rejected: a dense random matrix (512 x 512: 260,000 products a vector for the same recall within
 * what two seeds differ by); one round (its recall is lower: products of two signs stay visible);
 * padding to a power of two (768 would be scanned as 1024).
 *
 * Threads: immutable once open. */
#include "index/rotation.h"

#include <math.h>

struct vt_rotation {
    size_t dim, window, rounds;
    float *signs; /* [rounds][dim], each with the factor that keeps lengths */
};

/* Where the transform of a round begins: at 0, or so that it ends with the vector. */
static size_t window_start(const vt_rotation *r, size_t round) {
    return round % 2 ? r->dim - r->window : 0;
}

static void draw_signs(vt_rotation *r) {
    uint64_t state = 1;
    float keep = (float)(1 / sqrt((double)r->window));
    for (size_t round = 0; round < r->rounds; round++) {
        size_t first = window_start(r, round);
        for (size_t i = 0; i < r->dim; i++) {
            float size = i >= first && i < first + r->window ? keep : 1;
            r->signs[round * r->dim + i] = vt_next_random(&state) & 1 ? size : -size;
        }
    }
}

vt_status vt_rotation_open(size_t dim, vt_rotation **out, vt_err *err) {
    vt_rotation *r = vt_alloc(1, sizeof *r);
    *out = NULL;
    if (!r) {
        return vt_fail_nomem(err, sizeof *r);
    }
    r->dim = dim;
    r->window = 1;
    while (r->window * 2 <= dim) {
        r->window *= 2;
    }
    r->rounds = r->window == dim ? 2 : 4;
    r->signs = vt_alloc(r->rounds * dim, sizeof *r->signs);
    if (!r->signs) {
        vt_fail_nomem(err, r->rounds * dim * sizeof *r->signs);
        vt_rotation_close(r);
        return err->status;
    }
    draw_signs(r);
    *out = r;
    return VT_OK;
}

void vt_rotation_close(vt_rotation *r) {
    if (r) {
        free(r->signs);
        free(r);
    }
}

size_t vt_rotation_bytes(const vt_rotation *r) {
    return sizeof *r + r->rounds * r->dim * sizeof *r->signs;
}

/* The Walsh-Hadamard transform without its factor. */
static void transform(float *x, size_t n) {
    for (size_t half = 1; half < n; half *= 2) {
        for (size_t at = 0; at < n; at += 2 * half) {
            float *restrict a = x + at, *restrict b = x + at + half;
            for (size_t i = 0; i < half; i++) {
                float sum = a[i] + b[i], difference = a[i] - b[i];
                a[i] = sum;
                b[i] = difference;
            }
        }
    }
}

void vt_rotation_apply(const vt_rotation *r, float *x) {
    for (size_t round = 0; round < r->rounds; round++) {
        const float *signs = r->signs + round * r->dim;
        for (size_t i = 0; i < r->dim; i++) {
            x[i] *= signs[i];
        }
        transform(x + window_start(r, round), r->window);
    }
}

/* A round is signs, each with 1 / sqrt(window) where the transform applies, and then the transform,
 * which undoes itself but for a factor of window: so the transform and then the signs undo it. */
void vt_rotation_undo(const vt_rotation *r, float *x) {
    for (size_t round = r->rounds; round-- > 0;) {
        const float *signs = r->signs + round * r->dim;
        transform(x + window_start(r, round), r->window);
        for (size_t i = 0; i < r->dim; i++) {
            x[i] *= signs[i];
        }
    }
}
