/* The two passes, written once. A file of one instruction set defines the words below and includes
 * this; the compiler turns every word into a few instructions. Not a header in the usual sense: it
 * defines the kernels of the file including it.
 *
 *   LANES, TAPS, DIGITS, WINDOW     the shape: see kernels.h
 *   KERNELS                         the table to define
 *   vw                              a vector of LANES words, of LANES * 4 / WINDOW parts
 *   vw_load(p), vw_store(p, v)      any alignment
 *   vw_set1(x)                      x in every lane
 *   vw_windows(row, offset)         for each part, WINDOW bytes from row + its offset on
 *   vw_pick(windows, pick)          the bytes that pick names; where it names none, anything that
 *   vw_pick_more(v, windows, pick)  puts the bytes that pick names into instead
 *   vw_dot(sum, pixels, weights)    in each lane, sum + the products of their fields
 *   vw_value(sum)                   the sums of the DIGITS digits as one, without its fraction
 *   vw_join(v)                      v[0..TAPS) cut to 0..255, the fields of one vector
 *   vw_store_bytes(out, v)          v[0..STEP) cut to 0..255, as STEP * LANES bytes
 *
 * Rejected: one row's pixel in each quarter of a register, which needs no picking (16 of 64 bytes
 * are wasted for RGB, and grey needs passes of its own). */
#define INLINE static inline __attribute__((always_inline))
#define PARTS  (LANES * 4 / WINDOW)

/* What was added to a number comes off each of its digits with the exclusive or, which leaves them
 * balanced: -128..127 or -32768..32767. The highest needs no balance, it has the sign. */
static void digits(const int32_t *weight, size_t groups, uint32_t *words) {
    const unsigned bits = 32 / TAPS;
    const uint32_t half = DIGITS == 3 ? 0x8080 : DIGITS == 2 ? 0x8000 : 0;
    for (size_t w = 0; w < groups * DIGITS; w++) {
        words[w] = 0;
        for (size_t t = 0; t < TAPS; t++) {
            uint32_t all = ((uint32_t)weight[w / DIGITS * TAPS + t] + half) ^ half;
            uint32_t digit = all >> (w % DIGITS * bits) & UINT32_MAX >> (32 - bits);
            words[w] |= digit << (t * bits);
        }
    }
}

INLINE void start_sum(vw sum[DIGITS]) {
    for (size_t d = 0; d < DIGITS; d++)
        sum[d] = vw_set1(d == 0 ? VT_WEIGHT_HALF : 0);
}

/* The fields of block b for the group whose windows start at `row`. */
INLINE vw pick_pixels(const vt_resize_columns *c, size_t b, size_t pieces, const uint8_t *row) {
    const uint32_t *offset = c->offset + b * c->stride * PARTS;
    const uint8_t *pick = c->pick + b * c->stride * sizeof(vw);
    vw pixels = vw_pick(vw_windows(row, offset), vw_load(pick));
    for (size_t p = 1; p < pieces; p++)
        pixels = vw_pick_more(pixels, vw_windows(row, offset + p * PARTS),
                              vw_load(pick + p * sizeof(vw)));
    return pixels;
}

/* With a constant number of pieces, what they need stays in registers from group to group. */
INLINE void horizontal_block(const vt_resize_columns *c, size_t b, size_t pieces,
                             const uint8_t *const *rows, uint32_t *strip) {
    const uint32_t *weight = c->weight + b * c->groups * DIGITS * LANES;
    vw sum[TAPS][DIGITS], value[TAPS];
    for (size_t r = 0; r < TAPS; r++)
        start_sum(sum[r]);
    for (size_t g = 0; g < c->groups; g++, weight += DIGITS * LANES)
        for (size_t r = 0; r < TAPS; r++) {
            vw pixels = pick_pixels(c, b, pieces, rows[r] + g * c->step);
            for (size_t d = 0; d < DIGITS; d++)
                sum[r][d] = vw_dot(sum[r][d], pixels, vw_load(weight + d * LANES));
        }
    for (size_t r = 0; r < TAPS; r++)
        value[r] = vw_value(sum[r]);
    vw_store(strip + b * LANES, vw_join(value));
}

static void horizontal(const vt_resize_columns *c, const uint8_t *const *rows, uint32_t *strip) {
    for (size_t b = 0; b < c->blocks; b++)
        switch (c->pieces[b]) {
        case 1:
            horizontal_block(c, b, 1, rows, strip);
            break;
        case 2:
            horizontal_block(c, b, 2, rows, strip);
            break;
        case 3:
            horizontal_block(c, b, 3, rows, strip);
            break;
        case 4:
            horizontal_block(c, b, 4, rows, strip);
            break;
        default:
            horizontal_block(c, b, c->pieces[b], rows, strip);
        }
}

#define STEP 4 /* blocks side by side: while one's sum is made, there are others to add to */

INLINE void vertical_step(const vt_lines *l, size_t i, const uint32_t *const *strips, size_t x,
                          uint8_t *out) {
    const uint32_t *weight = l->weight + i * l->stride * DIGITS;
    vw sum[STEP][DIGITS], value[STEP];
    for (size_t b = 0; b < STEP; b++)
        start_sum(sum[b]);
    for (size_t s = 0; s < l->n[i]; s++, weight += DIGITS)
        for (size_t b = 0; b < STEP; b++) {
            vw pixels = vw_load(strips[s] + x + b * LANES);
            for (size_t d = 0; d < DIGITS; d++)
                sum[b][d] = vw_dot(sum[b][d], pixels, vw_set1((int32_t)weight[d]));
        }
    for (size_t b = 0; b < STEP; b++)
        value[b] = vw_value(sum[b]);
    vw_store_bytes(out, value);
}

static void vertical(const vt_lines *l, size_t i, const uint32_t *const *strips, uint8_t *out) {
    size_t x = 0;
    for (; x + STEP * LANES <= l->width; x += STEP * LANES)
        vertical_step(l, i, strips, x, out + x);
    if (x < l->width) {
        uint8_t rest[STEP * LANES];
        vertical_step(l, i, strips, x, rest);
        memcpy(out + x, rest, l->width - x);
    }
}

const vt_resize_kernels KERNELS = {
    .shape = {.lanes = LANES, .taps = TAPS, .digits = DIGITS, .window = WINDOW},
    .digits = digits,
    .horizontal = horizontal,
    .vertical = vertical,
};
