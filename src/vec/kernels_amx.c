/* AMX, on top of AVX-512 with BF16 and VNNI: eight tile registers of 16 rows of 64 bytes, and an
 * instruction that multiplies two of them (Intel SDM 3, chapter 18). Four tiles are sums, 32 rows
 * by the 32 columns of a panel, two are inputs, two are weights; a step takes 16 words a row.
 *
 * A panel is what the instruction wants without being rearranged: a tile of weights is 16 groups,
 * each the words of 16 columns. Rows beyond those asked for are not computed: a tile register is
 * configured to have just as many.
 *
 * f32 has no tiles and is what AVX-512 does. */
#include "vec/words_avx512_bf16.h"

#include "vec/kernels.h"

#define KERNELS      vt_kernels_amx
#define KERNELS_NAME "amx"

#define AMX_ROWS 16 /* of a tile register, each of 64 bytes */
#define STRIDE   (VT_PANEL * sizeof(uint32_t))

/* Palette 1: the shapes of the eight registers (Intel SDM, LDTILECFG). */
typedef struct tile_config {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} tile_config;

/* Registers 0 to 3 are sums (two columns for the first rows, two for the others), 4 and 5 inputs,
 * 6 and 7 weights. A register of no rows is not allowed: the unused ones of a lower half have one.
 */
static void configure(size_t upper, size_t lower) {
    tile_config c = {.palette = 1};
    const uint8_t rows[8] = {(uint8_t)upper, (uint8_t)upper, (uint8_t)lower, (uint8_t)lower,
                             (uint8_t)upper, (uint8_t)lower, AMX_ROWS,       AMX_ROWS};
    for (size_t i = 0; i < 8; i++) {
        c.rows[i] = rows[i] ? rows[i] : 1;
        c.row_bytes[i] = 64;
    }
    _tile_loadconfig(&c);
}

static inline void ask_ahead(const vt_tile *t, size_t group) {
    size_t line = group / VT_GROUP_RUN * t->ahead_lines;
    for (size_t i = 0; i < t->ahead_lines; i++) {
        const char *at = (const char *)t->ahead + (line + i) * sizeof(uint32_t) * VT_LINE_WORDS;
        __builtin_prefetch(at, 0, 2);
    }
}

/* One step of 16 groups: MULTIPLY is the instruction of the precision. */
#define STEP(MULTIPLY, g, has_lower)                                                               \
    do {                                                                                           \
        const uint32_t *weights = t->w + (g)*VT_PANEL;                                             \
        _tile_loadd(6, weights, STRIDE);                                                           \
        _tile_loadd(7, weights + VT_PANEL / 2, STRIDE);                                            \
        _tile_loadd(4, t->x + (g), x_bytes);                                                       \
        MULTIPLY(0, 4, 6);                                                                         \
        MULTIPLY(1, 4, 7);                                                                         \
        if (has_lower) {                                                                           \
            _tile_loadd(5, t->x + AMX_ROWS * t->x_stride + (g), x_bytes);                          \
            MULTIPLY(2, 5, 6);                                                                     \
            MULTIPLY(3, 5, 7);                                                                     \
        }                                                                                          \
        ask_ahead(t, g);                                                                           \
    } while (0)

#define ALL_STEPS(MULTIPLY, has_lower)                                                             \
    for (size_t g = 0; g < t->groups; g += VT_GROUP_RUN) {                                         \
        STEP(MULTIPLY, g, has_lower);                                                              \
    }

static void multiply_tiles(vt_precision precision, const vt_tile *t, bool has_lower) {
    const size_t x_bytes = t->x_stride * sizeof(uint32_t);
    if (precision == VT_PRECISION_BF16) {
        if (has_lower) {
            ALL_STEPS(_tile_dpbf16ps, true)
        } else {
            ALL_STEPS(_tile_dpbf16ps, false)
        }
    } else if (has_lower) {
        ALL_STEPS(_tile_dpbusd, true)
    } else {
        ALL_STEPS(_tile_dpbusd, false)
    }
}

static void tile_amx(vt_precision precision, const vt_tile *t) {
    const size_t upper = t->rows < AMX_ROWS ? t->rows : AMX_ROWS, lower = t->rows - upper;
    uint32_t *sum = t->sum, *below = sum + AMX_ROWS * VT_PANEL;
    configure(upper, lower);
    _tile_loadd(0, sum, STRIDE);
    _tile_loadd(1, sum + VT_PANEL / 2, STRIDE);
    if (lower) {
        _tile_loadd(2, below, STRIDE);
        _tile_loadd(3, below + VT_PANEL / 2, STRIDE);
    }
    multiply_tiles(precision, t, lower > 0);
    _tile_stored(0, sum, STRIDE);
    _tile_stored(1, sum + VT_PANEL / 2, STRIDE);
    if (lower) {
        _tile_stored(2, below, STRIDE);
        _tile_stored(3, below + VT_PANEL / 2, STRIDE);
    }
    _tile_release();
}

#define TILE_NARROW(precision, t) tile_amx(precision, t)
#define NARROW_ROWS               (2 * AMX_ROWS)

#include "vec/kernels_simd.h"
