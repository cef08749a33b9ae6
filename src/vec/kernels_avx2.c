/* AVX2 with FMA and F16C: 16 registers of 8 floats. The tile is 6 rows by 2 vectors, half a panel:
 * 12 sums, 2 weights and the input being multiplied fill 15 registers. */
#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#define VF           8
#define TILE_ROWS    6
#define TILE_VECTORS 2
#define KERNELS      vt_kernels_avx2
#define KERNELS_NAME "avx2"

typedef __m256 vf;
typedef int32_t vi __attribute__((vector_size(32)));

/* All ones in the first n lanes: a window on eight words of ones and eight of zeros. */
static inline __m256i first_lanes(size_t n) {
    static const int32_t window[2 * VF] = {-1, -1, -1, -1, -1, -1, -1, -1};
    return _mm256_loadu_si256((const void *)(window + VF - n));
}

static inline vf vf_set1(float x) {
    return _mm256_set1_ps(x);
}

static inline vf vf_load(const float *p) {
    return _mm256_loadu_ps(p);
}

static inline void vf_store(float *p, vf v) {
    _mm256_storeu_ps(p, v);
}

static inline vf vf_load_part(const float *p, size_t n, float fill) {
    __m256i lanes = first_lanes(n);
    return _mm256_blendv_ps(_mm256_set1_ps(fill), _mm256_maskload_ps(p, lanes),
                            _mm256_castsi256_ps(lanes));
}

static inline void vf_store_part(float *p, vf v, size_t n) {
    _mm256_maskstore_ps(p, first_lanes(n), v);
}

static inline vi vi_load_bytes(const uint8_t *p) {
    return (vi)_mm256_cvtepu8_epi32(_mm_loadl_epi64((const void *)p));
}

static inline vf vf_load_f16(const uint16_t *p) {
    return _mm256_cvtph_ps(_mm_loadu_si128((const void *)p));
}

static inline vf vf_fma(vf a, vf b, vf c) {
    return _mm256_fmadd_ps(a, b, c);
}

static inline vf vf_max(vf a, vf b) {
    return _mm256_max_ps(a, b);
}

static inline vf vf_min(vf a, vf b) {
    return _mm256_min_ps(a, b);
}

static inline uint32_t vf_not_below(vf a, vf b) {
    return (uint32_t)_mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_NLT_UQ));
}

static inline float vf_sum(vf v) {
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

static inline float vf_largest(vf v) {
    __m128 four = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

static inline vi vi_madd16(vi a, vi b) {
    return (vi)_mm256_madd_epi16((__m256i)a, (__m256i)b);
}

static inline vi vi_madd8(vi a, vi b) {
    return (vi)_mm256_maddubs_epi16((__m256i)a, (__m256i)b);
}

#include "vec/kernels_simd.h"
