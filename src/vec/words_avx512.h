/* The words of kernels_simd.h in AVX-512 (F, BW, VL, DQ): 32 registers of 16 floats. The tile is 13
 * rows by 2 vectors: 26 sums, 2 weights and the input being multiplied leave three registers free,
 * and 26 independent chains are three times what two FMA units of four cycles latency need. */
#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#define VF           16
#define TILE_ROWS    13
#define TILE_VECTORS 2

typedef __m512 vf;
typedef int32_t vi __attribute__((vector_size(64)));

static inline __mmask16 first_lanes(size_t n) {
    return (__mmask16)((1u << n) - 1);
}

static inline vf vf_set1(float x) {
    return _mm512_set1_ps(x);
}

static inline vf vf_load(const float *p) {
    return _mm512_loadu_ps(p);
}

static inline void vf_store(float *p, vf v) {
    _mm512_storeu_ps(p, v);
}

static inline vf vf_load_part(const float *p, size_t n, float fill) {
    return _mm512_mask_loadu_ps(_mm512_set1_ps(fill), first_lanes(n), p);
}

static inline void vf_store_part(float *p, vf v, size_t n) {
    _mm512_mask_storeu_ps(p, first_lanes(n), v);
}

static inline vi vi_load_bytes(const uint8_t *p) {
    return (vi)_mm512_cvtepu8_epi32(_mm_loadu_si128((const void *)p));
}

static inline vf vf_load_f16(const uint16_t *p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256((const void *)p));
}

static inline vf vf_fma(vf a, vf b, vf c) {
    return _mm512_fmadd_ps(a, b, c);
}

static inline vf vf_max(vf a, vf b) {
    return _mm512_max_ps(a, b);
}

static inline vf vf_min(vf a, vf b) {
    return _mm512_min_ps(a, b);
}

static inline uint32_t vf_not_below(vf a, vf b) {
    return _mm512_cmp_ps_mask(a, b, _CMP_NLT_UQ);
}

#define NATIVE_SCALE
static inline vf vf_round(vf x) {
    return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

static inline vf vf_scale(vf x, vf n) {
    return _mm512_scalef_ps(x, n);
}

#define NATIVE_SHUFFLE
static inline vf vf_shuffle(vf a, vi lanes, vf b) {
    return _mm512_permutex2var_ps(a, (__m512i)lanes, b);
}

/* a / b to 1.5 units in the last place: the processor divides sixteen numbers in as many cycles,
 * and approximates their reciprocals in two. */
#define NATIVE_DIVISION
static inline vf vf_divide(vf a, vf b) {
    vf r = _mm512_rcp14_ps(b);
    r = _mm512_fnmadd_ps(_mm512_fmsub_ps(b, r, _mm512_set1_ps(1)), r, r); /* Newton and Raphson */
    return _mm512_mul_ps(a, r);
}

static inline float vf_sum(vf v) {
    return _mm512_reduce_add_ps(v);
}

static inline float vf_largest(vf v) {
    return _mm512_reduce_max_ps(v);
}

static inline vi vi_madd16(vi a, vi b) {
    return (vi)_mm512_madd_epi16((__m512i)a, (__m512i)b);
}

static inline vi vi_madd8(vi a, vi b) {
    return (vi)_mm512_maddubs_epi16((__m512i)a, (__m512i)b);
}

#define NATIVE_WIDEN_F32
/* Four words to each lane of 128 bits, then every word behind a zero. */
static inline vf widened(const uint8_t *p) {
    const __m512i fours = _mm512_setr_epi32(0, 1, 2, 0, 3, 4, 5, 0, 6, 7, 8, 0, 9, 10, 11, 0);
    const __m512i behind_zero =
        _mm512_broadcast_i32x4(_mm_setr_epi8(-1, 0, 1, 2, -1, 3, 4, 5, -1, 6, 7, 8, -1, 9, 10, 11));
    __m512i words = _mm512_permutexvar_epi32(fours, _mm512_loadu_si512(p));
    return _mm512_cvtepi32_ps(_mm512_shuffle_epi8(words, behind_zero));
}

/* Reads 16 bytes beyond the group. */
static inline void widen_f32(vf words[TILE_VECTORS], const uint8_t *group) {
    words[0] = widened(group);
    words[1] = widened(group + 48);
}
