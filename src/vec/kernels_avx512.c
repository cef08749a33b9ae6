/* AVX-512 as every machine with it has it; words of bf16 and int8 are widened before the product.
 */
#include "vec/words_avx512.h"

#define KERNELS      vt_kernels_avx512
#define KERNELS_NAME "avx512"

#include "vec/kernels_simd.h"
