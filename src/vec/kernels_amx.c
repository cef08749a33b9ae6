/* AMX, on top of AVX-512 with BF16 and VNNI: eight tile registers of 16 rows of 64 bytes, and an
 * instruction that multiplies two of them (Intel SDM 3, chapter 18). Four tiles are sums, 32 rows
 * by the 32 columns of a panel, two are inputs, two are weights; a step takes 16 words a row.
 *
 * A panel is what the instruction wants without being rearranged: a tile of weights is 16 groups,
 * each the words of 16 columns. All tiles of a call have the same number of rows, as few as will
 * do, and the last ones may repeat rows of those before: sums are written once, at the end of the
 * panel, so computing a row twice does no harm, and the registers are configured once.
 *
 * f32 has no tiles and is what AVX-512 does. */
#include "vec/words_avx512_bf16.h"

#include "vec/kernels.h"

#define KERNELS      vt_kernels_amx
#define KERNELS_NAME "amx"

#define AMX_ROWS   16 /* of a tile register, each of 64 bytes */
#define STRIDE     (VT_PANEL * sizeof(uint32_t))
#define AHEAD_ONCE (16 * VT_GROUP_RUN * VT_PANEL) /* words: 32 KB, some microseconds of streaming  \
                                                   */

/* Palette 1: the shapes of the eight registers (Intel SDM, LDTILECFG). */
typedef struct tile_config {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} tile_config;

/* Registers 0 to 3 are sums (two columns for the upper rows, two for the lower), 4 and 5 inputs, 6
 * and 7 weights. */
static void configure(size_t rows) {
    tile_config c = {.palette = 1};
    for (size_t i = 0; i < 8; i++) {
        c.rows[i] = (uint8_t)(i < 6 ? rows : AMX_ROWS);
        c.row_bytes[i] = 64;
    }
    _tile_loadconfig(&c);
}

/* One or two tiles of rows by a panel. */
typedef struct pair {
    const uint32_t *upper, *lower; /* inputs; lower may be NULL */
    uint32_t *upper_sum, *lower_sum;
    vt_ahead ahead;
    size_t ahead_lines;
} pair;

/* One step of 16 groups: MULTIPLY is the instruction of the precision. */
#define STEP(MULTIPLY, g)                                                                          \
    do {                                                                                           \
        const uint32_t *weights = p->w + (g)*VT_PANEL;                                             \
        _tile_loadd(6, weights, STRIDE);                                                           \
        _tile_loadd(4, at->upper + (g), x_bytes);                                                  \
        MULTIPLY(0, 4, 6);                                                                         \
        vt_ask_ahead(&at->ahead, VT_GROUP_RUN / 2 * at->ahead_lines);                              \
        _tile_loadd(7, weights + VT_PANEL / 2, STRIDE);                                            \
        MULTIPLY(1, 4, 7);                                                                         \
        if (at->lower) {                                                                           \
            _tile_loadd(5, at->lower + (g), x_bytes);                                              \
            MULTIPLY(2, 5, 6);                                                                     \
            MULTIPLY(3, 5, 7);                                                                     \
        }                                                                                          \
        vt_ask_ahead(&at->ahead, VT_GROUP_RUN / 2 * at->ahead_lines);                              \
    } while (0)

static void multiply_pair(const vt_panel_product *p, pair *at, vt_precision precision) {
    const size_t x_bytes = p->x_stride * sizeof(uint32_t);
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    if (precision == VT_PRECISION_BF16) {
        for (size_t g = 0; g < p->groups; g += VT_GROUP_RUN) {
            STEP(_tile_dpbf16ps, g);
        }
    } else {
        for (size_t g = 0; g < p->groups; g += VT_GROUP_RUN) {
            STEP(_tile_dpbusd, g);
        }
    }
    _tile_stored(0, at->upper_sum, STRIDE);
    _tile_stored(1, at->upper_sum + VT_PANEL / 2, STRIDE);
    if (at->lower) {
        _tile_stored(2, at->lower_sum, STRIDE);
        _tile_stored(3, at->lower_sum + VT_PANEL / 2, STRIDE);
    }
}

/* The first row of tile i of as many as needed; the last one ends with the last row. */
static size_t tile_start(const vt_panel_product *p, size_t rows, size_t i) {
    return i * rows + rows <= p->rows ? i * rows : p->rows - rows;
}

/* A single pair asks for what it will want itself a little later; of several, each asks for its
 * share of the panel behind this one. */
static void multiply_tiles(const vt_panel_product *p, vt_precision precision) {
    const size_t tiles = (p->rows + AMX_ROWS - 1) / AMX_ROWS, pairs = (tiles + 1) / 2;
    const size_t rows = (p->rows + tiles - 1) / tiles;
    const size_t lines = VT_PANEL * VT_GROUP_RUN / VT_LINE_WORDS / pairs;
    const size_t share = p->groups / VT_GROUP_RUN * lines * VT_LINE_WORDS;
    const uint32_t *behind = p->w + (pairs > 1 ? p->groups * VT_PANEL : AHEAD_ONCE);
    configure(rows);
    for (size_t i = 0; i < pairs; i++) {
        const size_t upper = tile_start(p, rows, 2 * i), lower = tile_start(p, rows, 2 * i + 1);
        const bool both = 2 * i + 1 < tiles;
        pair at = {
            .upper = p->x + upper * p->x_stride,
            .lower = both ? p->x + lower * p->x_stride : NULL,
            .upper_sum = (uint32_t *)p->sum + upper * VT_PANEL,
            .lower_sum = (uint32_t *)p->sum + lower * VT_PANEL,
            .ahead = {(const char *)(behind + i * share), 0},
            .ahead_lines = lines,
        };
        multiply_pair(p, &at, precision);
    }
    _tile_release();
}

static void multiply_bf16(const vt_panel_product *p) {
    multiply_tiles(p, VT_PRECISION_BF16);
}

static void multiply_int8(const vt_panel_product *p) {
    multiply_tiles(p, VT_PRECISION_INT8);
}

#define MULTIPLY_BF16 multiply_bf16
#define MULTIPLY_INT8 multiply_int8

#include "vec/kernels_simd.h"
