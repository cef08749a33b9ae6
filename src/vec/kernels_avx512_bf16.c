/* AVX-512 with BF16 and VNNI: one instruction multiplies 32 pairs of bfloat16, or 64 of bytes. */
#include "vec/words_avx512_bf16.h"

#define KERNELS      vt_kernels_avx512_bf16
#define KERNELS_NAME "avx512_bf16"

#include "vec/kernels_simd.h"
