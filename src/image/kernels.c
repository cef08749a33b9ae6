/* The choice of the kernels. It follows that of vec, so that VITRINE_ISA holds here too.
 *
 * The AVX-512 kernels need VNNI and VBMI besides. A machine with AVX-512 and without them (before
 * Ice Lake) has the AVX2 kernels: wider registers alone would not pay for one more file. */
#include "image/kernels.h"

#include "vec/vec.h"

const vt_resize_kernels *vt_resize_kernels_chosen(void) {
#if defined(__x86_64__)
    const char *isa = vt_vec_isa();
    if (strcmp(isa, "scalar") == 0)
        return &vt_resize_scalar;
    if (strcmp(isa, "avx2") != 0 && __builtin_cpu_supports("avx512vnni") &&
        __builtin_cpu_supports("avx512vbmi"))
        return &vt_resize_avx512;
    return &vt_resize_avx2;
#elif defined(__aarch64__)
    return strcmp(vt_vec_isa(), "neon") == 0 ? &vt_resize_neon : &vt_resize_scalar;
#else
    return &vt_resize_scalar;
#endif
}
