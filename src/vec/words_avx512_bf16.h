/* The words of words_avx512.h and the two that BF16 and VNNI add, written out because gcc 12, given
 * the intrinsic of vpdpbusd, copies every sum to another register first.
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
