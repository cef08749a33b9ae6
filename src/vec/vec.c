/* The choice of the instruction set, and the functions that only pass on to it.
 *
 * The table of kernels is the one global of the program: it is set by vt_vec_init before any
 * thread starts, and read ever after. Rejected: ifunc resolvers (they run before main, so neither a
 * setting nor a sanitizer can have its say) and a pointer in every call (it would travel through
 * every room to tell what does not change). */
#include "vec/kernels.h"

#include <math.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

/* __builtin_cpu_supports also asks whether the operating system saves the registers. */
static bool machine_has_avx2(void) {
    unsigned a, b, c, d; /* cpuid leaf 1: clang's builtin does not know F16C by name */
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
           __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
}

static bool machine_has_avx512(void) {
    return machine_has_avx2() && __builtin_cpu_supports("avx512f") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512dq");
}

static bool machine_has_avx512_bf16(void) {
    return machine_has_avx512() && __builtin_cpu_supports("avx512bf16") &&
           __builtin_cpu_supports("avx512vnni");
}

/* Tiles have a state of 8 KB that Linux saves only for a process which asked for it, once, before
 * its threads start. The builtins of gcc 12 and clang 14 do not know AMX by name: cpuid leaf 7. */
static bool machine_has_amx(void) {
    enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 }; /* arch_prctl(2) */
    const unsigned bits = 1u << 22 | 1u << 24 | 1u << 25; /* AMX-BF16, AMX-TILE, AMX-INT8 */
    unsigned a, b, c, d;
    return machine_has_avx512_bf16() && __get_cpuid_count(7, 0, &a, &b, &c, &d) &&
           (d & bits) == bits && syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
}

/* Making words wide takes shuffles. A Zen 5 has units for them: there they cost nothing, however
 * many rows there are (measured); a Zen 4 is taken to be like it. Intel's processors have them on a
 * unit that multiplies as well, and it has not been measured who wins. */
static bool widening_is_free(void) {
    return __builtin_cpu_is("amd");
}
#else
static bool widening_is_free(void) {
    return false;
}
#endif

static bool machine_has_plain_c(void) {
    return true;
}

/* Best first; a machine that runs one of them runs all that follow. */
static const struct candidate {
    const vt_kernels *kernels;
    bool (*usable)(void);
} candidates[] = {
#if defined(__x86_64__)
    {&vt_kernels_amx, machine_has_amx},        {&vt_kernels_avx512_bf16, machine_has_avx512_bf16},
    {&vt_kernels_avx512, machine_has_avx512},  {&vt_kernels_avx2, machine_has_avx2},
#elif defined(__aarch64__)
    {&vt_kernels_neon, machine_has_plain_c}, /* part of the base architecture */
#endif
    {&vt_kernels_scalar, machine_has_plain_c},
};
#define N_CANDIDATES (sizeof candidates / sizeof *candidates)

static const vt_kernels *chosen = &vt_kernels_scalar;

static size_t best_candidate(void) {
    size_t i = 0;
    while (!candidates[i].usable()) { /* the scalar one always is */
        i++;
    }
    return i;
}

vt_status vt_vec_init(const char *isa, vt_err *err) {
    bool best = !isa || strcmp(isa, "auto") == 0;
    for (size_t i = best_candidate(); i < N_CANDIDATES; i++) {
        if (best || strcmp(isa, candidates[i].kernels->name) == 0) {
            chosen = candidates[i].kernels;
            return VT_OK;
        }
    }
    return vt_fail(err, VT_E_INVALID, "instruction set \"%s\" is unknown, or this machine lacks it",
                   isa);
}

const char *vt_vec_isa(void) {
    return chosen->name;
}

const char *const *vt_vec_isas(void) {
    static const char *const names[] = {
#if defined(__x86_64__)
        "amx",
        "avx512_bf16",
        "avx512",
        "avx2",
#elif defined(__aarch64__)
        "neon",
#endif
        "scalar",
        NULL,
    };
    return names + best_candidate(); /* the names of the candidates, in their order */
}

const vt_kernels *vt_vec_kernels(void) {
    return chosen;
}

bool vt_vec_compacts(vt_precision p) {
    return chosen->multiply_compact[p] && widening_is_free();
}

float vt_vec_dot(const float *a, const float *b, size_t n) {
    return chosen->dot(a, b, n);
}

void vt_vec_dot_rows(const float *q, const float *rows, size_t n_rows, size_t dim, float *out) {
    chosen->dot_rows(q, rows, n_rows, dim, out);
}

float vt_vec_normalize(float *x, size_t n) {
    double squares = 0; /* in double nothing overflows, and a tiny vector keeps its direction */
    for (size_t i = 0; i < n; i++) {
        squares += (double)x[i] * (double)x[i];
    }
    double norm = sqrt(squares);
    if ((float)norm == 0 || !isfinite((float)norm)) {
        return 0;
    }
    for (size_t i = 0; i < n; i++) {
        x[i] = (float)((double)x[i] / norm);
    }
    return (float)norm;
}

void vt_vec_from_f16(float *out, const uint16_t *in, size_t n) {
    chosen->from_f16(out, in, n);
}

void vt_vec_from_bf16(float *out, const uint16_t *in, size_t n) {
    chosen->from_bf16(out, in, n);
}

float vt_vec_fine_dot(const float *q, const uint8_t *row, size_t groups) {
    return chosen->fine_dot(q, row, groups);
}

uint32_t vt_vec_code_scores(const vt_code_query *q, const vt_code_block *block, float floor,
                            float *out) {
    return chosen->code_scores(q, block, floor, out);
}

void vt_vec_softmax(float *x, size_t n) {
    chosen->softmax(x, n);
}

void vt_vec_layer_norm(float *y, const float *x, size_t rows, size_t n, const vt_norm *norm) {
    for (size_t r = 0; r < rows; r++) {
        chosen->layer_norm(y + r * n, x + r * n, n, norm);
    }
}
