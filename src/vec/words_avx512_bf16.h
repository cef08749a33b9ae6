/* The words of words_avx512.h and those that BF16 and VNNI add. Sums are written out because gcc
 * 12, given the intrinsic of vpdpbusd, copies every one to another register first.
 *
 * Sums of bf16 are rounded after each pair, and subnormal numbers count as 0 (Intel SDM,
 * VDPBF16PS). */
#include "vec/words_avx512.h"

#define NATIVE_WORDS

static inline vf add_bf16(vf sum, vf x, vf w) {
    __asm__("vdpbf16ps %2, %1, %0" : "+v"(sum) : "v"(x), "v"(w));
    return sum;
}

typedef uint16_t vu16 __attribute__((vector_size(32)));

/* Subnormal numbers count as 0 here too. */
static inline vu16 nearest_bf16(vf v) {
    return (vu16)_mm512_cvtneps_pbh(v);
}

static inline vf add_int8_at(vf sum, vi x, const void *w) {
    __asm__("vpdpbusd %2%{1to16%}, %1, %0" : "+v"(sum) : "v"(x), "m"(*(const int32_t *)w));
    return sum;
}

static inline vf add_int8(vf sum, vf x, vf w) {
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(x), "v"(w));
    return sum;
}

#define NATIVE_WIDEN_BF16
/* Half bytes are spread, those from the upper halves by a shift, and looked up; then lower and
 * upper bytes are interleaved, lane by lane of 128 bits. vpmultishiftqb would do it in fewer steps,
 * but a Zen 5 has it on the units that multiply: a quarter slower. */
static inline void widen_bf16(vf words[TILE_VECTORS], const uint8_t *group) {
    const __m512i low = _mm512_set1_epi8(15);
    const __m512i shifts = _mm512_maskz_set1_epi32(0xFF00, 0x00040004); /* of the second half */
    const __m512i uppers = _mm512_broadcast_i32x4(
        _mm_setr_epi8(0, 0x39, 0x3A, 0x3B, 0x3C, 0x3D, 0x3E, 0x3F, (char)0x80, (char)0xB9,
                      (char)0xBA, (char)0xBB, (char)0xBC, (char)0xBD, (char)0xBE, (char)0xBF));
    __m512i lower = _mm512_loadu_si512(group);
    __m512i upper = _mm512_broadcast_i64x4(_mm256_loadu_si256((const void *)(group + 64)));
    upper = _mm512_and_si512(_mm512_srlv_epi16(upper, shifts), low);
    upper = _mm512_shuffle_epi8(uppers, upper);
    words[0] = (vf)_mm512_unpacklo_epi8(lower, upper);
    words[1] = (vf)_mm512_unpackhi_epi8(lower, upper);
}
