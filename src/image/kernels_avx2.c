/* AVX2: vpshufb picks 16 bytes out of 16 in each half of a register, vpmaddwd adds two products of
 * 16 bits. */
#include <immintrin.h>

#include "image/kernels.h"

#define LANES   8
#define TAPS    2
#define DIGITS  2
#define WINDOW  16
#define KERNELS vt_resize_avx2

typedef __m256i vw;

static inline vw vw_load(const void *p) {
    return _mm256_loadu_si256(p);
}

static inline void vw_store(void *p, vw v) {
    _mm256_storeu_si256(p, v);
}

static inline vw vw_set1(int32_t x) {
    return _mm256_set1_epi32(x);
}

static inline vw vw_windows(const uint8_t *row, const uint32_t *offset) {
    const void *low = row + offset[0], *high = row + offset[1];
    return _mm256_loadu2_m128i(high, low);
}

/* 0 where the pick is 0x80, which widens the bytes to fields. */
static inline vw vw_pick(vw windows, vw pick) {
    return _mm256_shuffle_epi8(windows, pick);
}

static inline vw vw_pick_more(vw v, vw windows, vw pick) {
    return _mm256_or_si256(v, _mm256_shuffle_epi8(windows, pick));
}

static inline vw vw_dot(vw sum, vw pixels, vw weights) {
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pixels, weights));
}

static inline vw vw_value(const vw *sum) {
    return _mm256_srai_epi32(_mm256_add_epi32(_mm256_slli_epi32(sum[1], 16), sum[0]),
                             VT_WEIGHT_BITS);
}

static inline vw cut(vw v) {
    return _mm256_min_epi32(_mm256_max_epi32(v, _mm256_setzero_si256()), _mm256_set1_epi32(255));
}

static inline vw vw_join(const vw *v) {
    return _mm256_or_si256(cut(v[0]), _mm256_slli_epi32(cut(v[1]), 16));
}

static inline void vw_store_bytes(uint8_t *out, const vw *v) {
    const vw order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    vw low = _mm256_packs_epi32(v[0], v[1]), high = _mm256_packs_epi32(v[2], v[3]);
    vw_store(out, _mm256_permutevar8x32_epi32(_mm256_packus_epi16(low, high), order));
}

#include "image/kernels_simd.h"
