/* AVX-512 with VBMI and VNNI: vpermb picks any 64 bytes out of 64, vpdpbusd adds the products of
 * four bytes to each lane. */
#include <immintrin.h>

#include "image/kernels.h"

#define LANES   16
#define TAPS    4
#define DIGITS  3
#define WINDOW  64
#define KERNELS vt_resize_avx512

typedef __m512i vw;

static inline vw vw_load(const void *p) {
    return _mm512_loadu_si512(p);
}

static inline void vw_store(void *p, vw v) {
    _mm512_storeu_si512(p, v);
}

static inline vw vw_set1(int32_t x) {
    return _mm512_set1_epi32(x);
}

static inline vw vw_windows(const uint8_t *row, const uint32_t *offset) {
    return _mm512_loadu_si512(row + offset[0]);
}

static inline vw vw_pick(vw windows, vw pick) {
    return _mm512_permutexvar_epi8(pick, windows);
}

static inline vw vw_pick_more(vw v, vw windows, vw pick) {
    return _mm512_mask_permutexvar_epi8(v, ~_mm512_movepi8_mask(pick), pick, windows);
}

static inline vw vw_dot(vw sum, vw pixels, vw weights) {
    return _mm512_dpbusd_epi32(sum, pixels, weights);
}

static inline vw vw_value(const vw *sum) {
    vw high = _mm512_add_epi32(_mm512_slli_epi32(sum[2], 8), sum[1]);
    return _mm512_srai_epi32(_mm512_add_epi32(_mm512_slli_epi32(high, 8), sum[0]), VT_WEIGHT_BITS);
}

/* In each quarter: four bytes of v[0], four of v[1], of v[2], of v[3]. */
static inline vw cut_to_bytes(const vw *v) {
    vw low = _mm512_packs_epi32(v[0], v[1]), high = _mm512_packs_epi32(v[2], v[3]);
    return _mm512_packus_epi16(low, high);
}

static inline vw vw_join(const vw *v) {
    const __m128i transpose = _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    return _mm512_shuffle_epi8(cut_to_bytes(v), _mm512_broadcast_i32x4(transpose));
}

static inline void vw_store_bytes(uint8_t *out, const vw *v) {
    const vw order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    _mm512_storeu_si512(out, _mm512_permutexvar_epi32(order, cut_to_bytes(v)));
}

#include "image/kernels_simd.h"
