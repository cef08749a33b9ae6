/* NEON of 64-bit ARM: 32 registers of 4 floats. The tile is 6 rows by 4 vectors, half a panel: 24
 * sums, 4 weights and the input being multiplied. Every aarch64 machine has it. */
#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define VF           4
#define TILE_ROWS    6
#define TILE_VECTORS 4
#define KERNELS      vt_kernels_neon
#define KERNELS_NAME "neon"

typedef float32x4_t vf;
typedef int32_t vi __attribute__((vector_size(16)));

static inline vf vf_set1(float x) {
    return vdupq_n_f32(x);
}

static inline vf vf_load(const float *p) {
    return vld1q_f32(p);
}

static inline void vf_store(float *p, vf v) {
    vst1q_f32(p, v);
}

static inline vf vf_load_part(const float *p, size_t n, float fill) {
    float lanes[VF] = {fill, fill, fill, fill};
    memcpy(lanes, p, n * sizeof *p);
    return vld1q_f32(lanes);
}

static inline void vf_store_part(float *p, vf v, size_t n) {
    float lanes[VF];
    vst1q_f32(lanes, v);
    memcpy(p, lanes, n * sizeof *p);
}

static inline vi vi_load_bytes(const uint8_t *p) {
    uint32_t four;
    __builtin_memcpy(&four, p, sizeof four);
    uint16x8_t wide = vmovl_u8(vreinterpret_u8_u32(vdup_n_u32(four)));
    return (vi)vmovl_u16(vget_low_u16(wide));
}

static inline vf vf_load_f16(const uint16_t *p) {
    return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p)));
}

static inline vf vf_fma(vf a, vf b, vf c) {
    return vfmaq_f32(c, a, b);
}

/* By comparison: vmaxq would give NaN when either operand is one. */
static inline vf vf_max(vf a, vf b) {
    return vbslq_f32(vcgtq_f32(a, b), a, b);
}

static inline vf vf_min(vf a, vf b) {
    return vbslq_f32(vcltq_f32(a, b), a, b);
}

static inline uint32_t vf_not_below(vf a, vf b) {
    const uint32x4_t bits = {1, 2, 4, 8};
    return vaddvq_u32(vbicq_u32(bits, vcltq_f32(a, b)));
}

static inline float vf_sum(vf v) {
    return vaddvq_f32(v);
}

static inline float vf_largest(vf v) {
    return vmaxvq_f32(v);
}

static inline vi vi_madd16(vi a, vi b) {
    int16x8_t x = (int16x8_t)a, y = (int16x8_t)b;
    int32x4_t low = vmull_s16(vget_low_s16(x), vget_low_s16(y)), high = vmull_high_s16(x, y);
    return (vi)vpaddq_s32(low, high);
}

/* a is in 0..15, so that it may be read as signed. */
static inline vi vi_madd8(vi a, vi b) {
    int8x16_t x = (int8x16_t)a, y = (int8x16_t)b;
    int16x8_t low = vmull_s8(vget_low_s8(x), vget_low_s8(y)), high = vmull_high_s8(x, y);
    return (vi)vpaddq_s16(low, high);
}

#include "vec/kernels_simd.h"
