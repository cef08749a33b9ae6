/* AMX, on top of AVX-512 with BF16 and VNNI: eight tile registers of 16 rows of 64 bytes, and an
 * instruction that multiplies two of them (Intel SDM 3, chapter 18). Four tiles are sums, 32 rows
 * by the 32 columns of a panel, two are inputs, two are weights; a step takes 16 words a row.
 *
 * A panel is what the instruction wants without being rearranged: a tile of weights is 16 groups,
 * each the words of 16 columns. All tiles of a call have the same number of rows, as few as will
 * do, and the last ones may repeat rows of those before: sums are written once, at the end of the
 * panel, so computing a row twice does no harm, and the registers are configured once.
 *
 * f32 has no tiles and is what AVX-512 does; neither have compact panels, which vt_vec_compacts
 * does not choose here. */
#include "vec/words_avx512_bf16.h"

#include "vec/kernels.h"

#define KERNELS      vt_kernels_amx
#define KERNELS_NAME "amx"

#define AMX_ROWS   16 /* of a tile register, each of 64 bytes */
#define STRIDE     (VT_PANEL * sizeof(uint32_t))
/* Words: 32 KB, some microseconds of streaming. */
#define AHEAD_ONCE (16 * VT_GROUP_RUN * VT_PANEL)
/* Groups: 16 KB of weights, which stay in the L1 cache while many rows pass. */
#define TILE_RUN   128
#define FEW_ROWS   10
#define LINE_WORDS 16 /* 64 bytes */

/* Palette 1: the shapes of the eight registers (Intel SDM, LDTILECFG). */
typedef struct tile_config {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} tile_config;

/* Registers 0 to 3 are sums (two columns for the upper rows, two for the lower), 4 and 5 inputs, 6
 * and 7 weights. The instruction is written out: gcc 12's intrinsic names 8 of the 64 bytes as
 * read, so that the stores of the others might be left out. */
static void configure(size_t rows) {
    tile_config c = {.palette = 1};
    for (size_t i = 0; i < 8; i++) {
        c.rows[i] = (uint8_t)(i < 6 ? rows : AMX_ROWS);
        c.row_bytes[i] = 64;
    }
    __asm__ volatile("ldtilecfg %0" : : "m"(c));
}

/* Asks for weights a line now and then: in bursts, lines wait for each other. */
typedef struct stream {
    const char *next;
    size_t due; /* lines, in parts of VT_GROUP_RUN */
} stream;

static inline __attribute__((always_inline)) void ask_ahead(stream *a, size_t lines) {
    for (a->due += lines; a->due >= VT_GROUP_RUN; a->due -= VT_GROUP_RUN) {
        __builtin_prefetch(a->next, 0, 2); /* for reading, into the L2 cache */
        a->next += LINE_WORDS * sizeof(uint32_t);
    }
}

/* One or two tiles of rows by a run of a panel. */
typedef struct pair {
    const uint32_t *upper, *lower; /* inputs; lower may be NULL */
    const uint32_t *w;
    uint32_t *sum; /* rows of the upper tile, then those of the lower */
    size_t rows;   /* of a tile */
    bool fresh;    /* sums begin at 0 */
    stream ahead;
    size_t ahead_lines;
} pair;

/* One step of 16 groups: MULTIPLY is the instruction of the precision. */
#define STEP(MULTIPLY, g)                                                                          \
    do {                                                                                           \
        const uint32_t *weights = at->w + (g)*VT_PANEL;                                            \
        _tile_loadd(6, weights, STRIDE);                                                           \
        _tile_loadd(4, at->upper + (g), x_bytes);                                                  \
        MULTIPLY(0, 4, 6);                                                                         \
        ask_ahead(&at->ahead, VT_GROUP_RUN / 2 * at->ahead_lines);                                 \
        _tile_loadd(7, weights + VT_PANEL / 2, STRIDE);                                            \
        MULTIPLY(1, 4, 7);                                                                         \
        if (at->lower) {                                                                           \
            _tile_loadd(5, at->lower + (g), x_bytes);                                              \
            MULTIPLY(2, 5, 6);                                                                     \
            MULTIPLY(3, 5, 7);                                                                     \
        }                                                                                          \
        ask_ahead(&at->ahead, VT_GROUP_RUN / 2 * at->ahead_lines);                                 \
    } while (0)

static void load_sums(const pair *at) {
    const uint32_t *lower = at->sum + at->rows * VT_PANEL;
    if (at->fresh) {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
        return;
    }
    _tile_loadd(0, at->sum, STRIDE);
    _tile_loadd(1, at->sum + VT_PANEL / 2, STRIDE);
    if (at->lower) {
        _tile_loadd(2, lower, STRIDE);
        _tile_loadd(3, lower + VT_PANEL / 2, STRIDE);
    }
}

static void store_sums(const pair *at) {
    uint32_t *lower = at->sum + at->rows * VT_PANEL;
    _tile_stored(0, at->sum, STRIDE);
    _tile_stored(1, at->sum + VT_PANEL / 2, STRIDE);
    if (at->lower) {
        _tile_stored(2, lower, STRIDE);
        _tile_stored(3, lower + VT_PANEL / 2, STRIDE);
    }
}

static void multiply_pair(pair *at, size_t x_bytes, size_t groups, vt_precision precision) {
    load_sums(at);
    if (precision == VT_PRECISION_BF16) {
        for (size_t g = 0; g < groups; g += VT_GROUP_RUN) {
            STEP(_tile_dpbf16ps, g);
        }
    } else {
        for (size_t g = 0; g < groups; g += VT_GROUP_RUN) {
            STEP(_tile_dpbusd, g);
        }
    }
    store_sums(at);
}

/* How the rows of a call are cut up. */
typedef struct cut {
    size_t tiles, pairs, rows; /* rows of a tile */
    size_t run;                /* groups */
} cut;

/* Two pairs or fewer take all groups at once: what counts then is the stream of weights. */
static cut cut_rows(const vt_panel_product *p) {
    cut c = {.tiles = (p->rows + AMX_ROWS - 1) / AMX_ROWS};
    c.pairs = (c.tiles + 1) / 2;
    c.rows = (p->rows + c.tiles - 1) / c.tiles;
    c.run = c.pairs > 2 ? TILE_RUN : p->groups;
    return c;
}

/* Inputs of tile i; those of the last one end with the last row. */
static const uint32_t *tile_inputs(const vt_panel_product *p, const cut *c, size_t i,
                                   size_t group) {
    size_t row = (i + 1) * c->rows <= p->rows ? i * c->rows : p->rows - c->rows;
    return p->x + row * p->x_stride + group;
}

/* A single pair asks for what it will want itself a little later; of several, each asks for its
 * share of what lies behind the run. */
static void multiply_run(const vt_panel_product *p, const cut *c, size_t group, size_t groups,
                         vt_precision precision) {
    const uint32_t *w = (const uint32_t *)p->w + group * VT_PANEL;
    const uint32_t *behind = w + (c->pairs > 1 ? groups * VT_PANEL : AHEAD_ONCE);
    const size_t lines = VT_PANEL * VT_GROUP_RUN / LINE_WORDS / c->pairs;
    const size_t share = groups / VT_GROUP_RUN * lines * LINE_WORDS;
    for (size_t i = 0; i < c->pairs; i++) {
        pair at = {
            .upper = tile_inputs(p, c, 2 * i, group),
            .lower = 2 * i + 1 < c->tiles ? tile_inputs(p, c, 2 * i + 1, group) : NULL,
            .w = w,
            .sum = (uint32_t *)p->sum + 2 * i * c->rows * VT_PANEL,
            .rows = c->rows,
            .fresh = group == 0,
            .ahead = {(const char *)(behind + i * share), 0},
            .ahead_lines = lines,
        };
        multiply_pair(&at, p->x_stride * sizeof(uint32_t), groups, precision);
    }
}

static void multiply_tiles(const vt_panel_product *p, vt_precision precision) {
    const cut c = cut_rows(p);
    uint32_t *sum = p->sum;
    configure(c.rows);
    for (size_t g = 0; g < p->groups; g += c.run) {
        multiply_run(p, &c, g, p->groups - g < c.run ? p->groups - g : c.run, precision);
    }
    _tile_release();
    memmove(sum + (p->rows - c.rows) * VT_PANEL, sum + (c.tiles - 1) * c.rows * VT_PANEL,
            c.rows * VT_PANEL * sizeof *sum);
}

static void multiply_bf16_tiles(const vt_panel_product *p) {
    multiply_tiles(p, VT_PRECISION_BF16);
}

static void multiply_int8(const vt_panel_product *p); /* of kernels_simd.h, by vpdpbusd */

/* A short text's few rows leave tiles mostly empty. Sums of integers are exact, so either way gives
 * the same bits; those of bf16 are not, and take one way only. */
static void multiply_int8_tiles(const vt_panel_product *p) {
    if (p->rows <= FEW_ROWS) {
        multiply_int8(p);
    } else {
        multiply_tiles(p, VT_PRECISION_INT8);
    }
}

#define MULTIPLY_BF16 multiply_bf16_tiles
#define MULTIPLY_INT8 multiply_int8_tiles

#include "vec/kernels_simd.h"
