/* NEON of 64-bit ARM: tbl picks 16 bytes out of 16, mla multiplies 32-bit lanes. */
#include <arm_neon.h>

#include "image/kernels.h"

#define LANES   4
#define TAPS    1
#define DIGITS  1
#define WINDOW  16
#define KERNELS vt_resize_neon

typedef int32x4_t vw;

static inline vw vw_load(const void *p) {
    return vreinterpretq_s32_u8(vld1q_u8(p));
}

static inline void vw_store(void *p, vw v) {
    vst1q_u8(p, vreinterpretq_u8_s32(v));
}

static inline vw vw_set1(int32_t x) {
    return vdupq_n_s32(x);
}

static inline vw vw_windows(const uint8_t *row, const uint32_t *offset) {
    return vw_load(row + offset[0]);
}

/* 0 where the pick is 0x80, which widens the bytes to fields. */
static inline vw vw_pick(vw windows, vw pick) {
    return vreinterpretq_s32_u8(
        vqtbl1q_u8(vreinterpretq_u8_s32(windows), vreinterpretq_u8_s32(pick)));
}

static inline vw vw_pick_more(vw v, vw windows, vw pick) {
    return vorrq_s32(v, vw_pick(windows, pick));
}

static inline vw vw_dot(vw sum, vw pixels, vw weights) {
    return vmlaq_s32(sum, pixels, weights);
}

static inline vw vw_value(const vw *sum) {
    return vshrq_n_s32(sum[0], VT_WEIGHT_BITS);
}

static inline vw vw_join(const vw *v) {
    return vminq_s32(vmaxq_s32(v[0], vdupq_n_s32(0)), vdupq_n_s32(255));
}

static inline void vw_store_bytes(uint8_t *out, const vw *v) {
    int16x8_t low = vcombine_s16(vqmovn_s32(v[0]), vqmovn_s32(v[1]));
    int16x8_t high = vcombine_s16(vqmovn_s32(v[2]), vqmovn_s32(v[3]));
    vst1q_u8(out, vcombine_u8(vqmovun_s16(low), vqmovun_s16(high)));
}

#include "image/kernels_simd.h"
