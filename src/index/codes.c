/* Rows in 4 bits a dimension, and estimates of inner products from them.
 *
 * After RaBitQ and its extension (Gao and Long, SIGMOD 2024; Gao et al., SIGMOD 2025): a row x less
 * a centre c is rotated at random and rounded to a grid, u in {-7.5 .. 7.5}^dim, with one scale a
 * row. With s = <x - c, u> / <u, u>, what the code does not say is the residual r = x - c - s u,
 * at right angles to u. So for a query q
 *
 *     <q, x> = <q, c> + s <q, u> + <q, r>
 *
 * and of the last term we keep what goes along the centre, <c, r> / <c, c> times <q, c>, exactly:
 * vectors of one model share a direction, and most of what a query of pictures has lies along it.
 * The rest of r, rotated at random, meets the rest of q by chance: an error of mean 0 and standard
 * deviation |r'| |q'| / sqrt(dim), which is kept as `error` and lets a search know how far to trust
 * an estimate.
 *
 * The grid's step is that of the least squared error for a normal distribution in 16 levels (Max,
 * 1960), because that is how coordinates lie after the rotation. Rejected: fitting the step to each
 * row (five tries a row: the residual shrinks by 2 %, recall by what seeds differ); the extension's
 * exact search for the best u (slower still); 8 bits (twice the memory to read, and reading is what
 * a scan costs); 1 bit (needs 400 rows to be scored again for the recall of 50 here).
 *
 * A chunk of slots has a centre of its own, so nothing is trained over a whole collection, drift
 * stays where it happens and a chunk is made again by itself in some milliseconds.
 *
 * Threads: a coder by one at a time; chunks may be asked by many while nobody changes them. */
#include "index/codes.h"

#include <math.h>

#define LEVELS    16
#define BEST_STEP 0.3352f /* of a normal distribution of deviation 1 */

struct vt_coder {
    size_t dim, words;
    vt_rotation *rotation;
    float *rotated, *grid; /* [dim] of the row being coded, and its point of the grid */
    uint8_t *levels;       /* [8 * words], those past dim 0 */
};

/* One row as it is stored. */
typedef struct row_code {
    float scale, along, error;
} row_code;

vt_status vt_coder_open(size_t dim, vt_coder **out, vt_err *err) {
    vt_coder *c = vt_alloc(1, sizeof *c);
    *out = NULL;
    if (!c) {
        return vt_fail_nomem(err, sizeof *c);
    }
    c->dim = dim;
    c->words = vt_code_words(dim);
    c->rotated = vt_alloc(dim, sizeof *c->rotated);
    c->grid = vt_alloc(dim, sizeof *c->grid);
    c->levels = vt_alloc(c->words, 8);
    vt_status s = c->rotated && c->grid && c->levels ? vt_rotation_open(dim, &c->rotation, err)
                                                     : vt_fail_nomem(err, dim * sizeof *c->grid);
    if (s == VT_OK) {
        *out = c;
    } else {
        vt_coder_close(c);
    }
    return s;
}

void vt_coder_close(vt_coder *c) {
    if (c) {
        vt_rotation_close(c->rotation);
        free(c->rotated);
        free(c->grid);
        free(c->levels);
        free(c);
    }
}

size_t vt_coder_bytes(const vt_coder *c) {
    return sizeof *c + 2 * c->dim * sizeof *c->grid + 8 * c->words + vt_rotation_bytes(c->rotation);
}

/* ---- a chunk ---------------------------------------------------------------------------- */

static size_t block_bytes(const vt_coder *c) {
    return c->words * 4 * VT_CODE_ROWS;
}

/* One allocation: codes, what goes with each row, the centre twice. */
static size_t payload_bytes(const vt_coder *c) {
    return VT_CHUNK_ROWS / VT_CODE_ROWS * block_bytes(c) +
           (3 * VT_CHUNK_ROWS + 2 * c->dim) * sizeof(float);
}

vt_chunk *vt_chunk_open(const vt_coder *c) {
    size_t bytes = payload_bytes(c);
    vt_chunk *chunk = vt_alloc(1, sizeof *chunk);
    uint8_t *payload = vt_alloc_aligned(bytes, 1);
    if (!chunk || !payload) {
        free(chunk);
        free(payload);
        return NULL;
    }
    memset(payload, 0, bytes);
    float *floats = (float *)(void *)(payload + VT_CHUNK_ROWS / VT_CODE_ROWS * block_bytes(c));
    chunk->codes = payload;
    chunk->scale = floats;
    chunk->along = floats + VT_CHUNK_ROWS;
    chunk->error = floats + (size_t)2 * VT_CHUNK_ROWS;
    chunk->centre = floats + (size_t)3 * VT_CHUNK_ROWS;
    chunk->rotated = chunk->centre + c->dim;
    return chunk;
}

void vt_chunk_close(vt_chunk *chunk) {
    if (chunk) {
        free(chunk->codes);
        free(chunk);
    }
}

size_t vt_chunk_bytes(const vt_coder *c) {
    return sizeof(vt_chunk) + payload_bytes(c);
}

static bool is_set(const uint64_t *bits, size_t i) {
    return bits[i / 64] >> i % 64 & 1;
}

static void set_centre(vt_coder *c, vt_chunk *chunk, const float *rows, const uint64_t *live) {
    size_t n = 0;
    memset(chunk->centre, 0, c->dim * sizeof *chunk->centre);
    for (size_t r = 0; r < VT_CHUNK_ROWS; r++) {
        const float *row = rows + r * c->dim;
        for (size_t i = 0; is_set(live, r) && i < c->dim; i++) {
            chunk->centre[i] += row[i];
        }
        n += is_set(live, r);
    }
    assert(n > 0);
    for (size_t i = 0; i < c->dim; i++) {
        chunk->centre[i] /= (float)n;
    }
    memcpy(chunk->rotated, chunk->centre, c->dim * sizeof *chunk->centre);
    vt_rotation_apply(c->rotation, chunk->rotated);
    chunk->squares = vt_vec_dot(chunk->rotated, chunk->rotated, c->dim);
}

/* Rounds c->rotated to c->grid, in steps, and to c->levels. */
static void round_to_grid(vt_coder *c, float step) {
    float inverse = step > 0 ? 1 / step : 0;
    for (size_t i = 0; i < c->dim; i++) {
        float level = c->rotated[i] * inverse + LEVELS / 2.0f; /* truncated below */
        level = level > 0 ? level : 0;
        level = level < LEVELS - 1 ? level : LEVELS - 1;
        c->levels[i] = (uint8_t)level;
        c->grid[i] = (float)(int)level - (LEVELS - 1) / 2.0f;
    }
}

static row_code code_row(vt_coder *c, const vt_chunk *chunk, const float *v) {
    const size_t dim = c->dim;
    for (size_t i = 0; i < dim; i++) {
        c->rotated[i] = v[i] - chunk->centre[i];
    }
    vt_rotation_apply(c->rotation, c->rotated);
    float squares = vt_vec_dot(c->rotated, c->rotated, dim);
    round_to_grid(c, BEST_STEP * sqrtf(squares / (float)dim));
    float along_grid = vt_vec_dot(c->rotated, c->grid, dim);
    float scale = along_grid / vt_vec_dot(c->grid, c->grid, dim);
    float along = vt_vec_dot(c->rotated, chunk->rotated, dim) -
                  scale * vt_vec_dot(c->grid, chunk->rotated, dim);
    along = chunk->squares > 0 ? along / chunk->squares : 0;
    float rest = squares - scale * along_grid - along * along * chunk->squares;
    return (row_code){scale, along, sqrtf(fmaxf(rest, 0) / (float)dim)};
}

/* Byte j of the words of a row: see vt_vec_code_scores. */
static uint8_t packed_byte(const vt_coder *c, size_t word, size_t j) {
    return (uint8_t)(c->levels[8 * word + j] | c->levels[8 * word + 4 + j] << 4);
}

static uint8_t *code_word(const vt_coder *c, const vt_chunk *chunk, size_t row, size_t word) {
    uint8_t *block = chunk->codes + row / VT_CODE_ROWS * block_bytes(c);
    return block + (word * VT_CODE_ROWS + row % VT_CODE_ROWS) * 4;
}

void vt_chunk_put(vt_coder *c, vt_chunk *chunk, size_t row, const float *v) {
    row_code code = code_row(c, chunk, v);
    chunk->scale[row] = code.scale;
    chunk->along[row] = code.along;
    chunk->error[row] = code.error;
    for (size_t w = 0; w < c->words; w++) {
        uint8_t *to = code_word(c, chunk, row, w);
        for (size_t j = 0; j < 4; j++) {
            to[j] = packed_byte(c, w, j);
        }
    }
}

bool vt_chunk_holds(vt_coder *c, const vt_chunk *chunk, size_t row, const float *v) {
    row_code code = code_row(c, chunk, v);
    bool same = chunk->scale[row] == code.scale && chunk->along[row] == code.along &&
                chunk->error[row] == code.error;
    for (size_t w = 0; same && w < c->words; w++) {
        const uint8_t *at = code_word(c, chunk, row, w);
        for (size_t j = 0; same && j < 4; j++) {
            same = at[j] == packed_byte(c, w, j);
        }
    }
    return same;
}

void vt_chunk_make(vt_coder *c, vt_chunk *chunk, const float *rows, const uint64_t *live) {
    set_centre(c, chunk, rows, live);
    for (size_t r = 0; r < VT_CHUNK_ROWS; r++) {
        if (is_set(live, r)) {
            vt_chunk_put(c, chunk, r, rows + r * c->dim);
        }
    }
}

/* ---- a query ---------------------------------------------------------------------------- */

vt_status vt_code_ask_init(const vt_coder *c, const float *vector, vt_code_ask *ask, vt_err *err) {
    vt_status s = VT_OK;
    float *rotated = vt_alloc(c->dim, sizeof *rotated), most = 0;
    int32_t sum = 0;
    *ask = (vt_code_ask){.vector = vector, .dim = c->dim, .numbers = vt_alloc(c->words, 8)};
    if (!rotated || !ask->numbers) {
        s = vt_fail_nomem(err, c->dim * sizeof *rotated);
        vt_code_ask_release(ask);
        goto done;
    }
    memcpy(rotated, vector, c->dim * sizeof *rotated);
    vt_rotation_apply(c->rotation, rotated);
    for (size_t i = 0; i < c->dim; i++) {
        most = fmaxf(most, fabsf(rotated[i]));
    }
    for (size_t i = 0; i < c->dim; i++) {
        ask->numbers[i] = (int8_t)lrintf(rotated[i] * (127 / most)); /* of unit length: most > 0 */
        sum += ask->numbers[i];
    }
    float step = most / 127;
    ask->query = (vt_code_query){.numbers = ask->numbers,
                                 .words = c->words,
                                 .step = step,
                                 .offset = -(LEVELS - 1) / 2.0f * step * (float)sum};
done:
    free(rotated);
    return s;
}

void vt_code_ask_release(vt_code_ask *ask) {
    free(ask->numbers);
    ask->numbers = NULL;
}

vt_code_query vt_code_ask_chunk(const vt_code_ask *ask, const vt_chunk *chunk, float margin) {
    vt_code_query q = ask->query;
    q.centre = vt_vec_dot(ask->vector, chunk->centre, ask->dim);
    float along = chunk->squares > 0 ? q.centre * q.centre / chunk->squares : 0;
    q.slack = margin * sqrtf(fmaxf(0, 1 - along));
    return q;
}

void vt_chunk_scores(const vt_chunk *chunk, const vt_code_query *q, size_t block,
                     float out[VT_CODE_ROWS]) {
    size_t row = block * VT_CODE_ROWS;
    vt_code_block b = {.codes = chunk->codes + row * q->words * 4,
                       .scale = chunk->scale + row,
                       .along = chunk->along + row,
                       .error = chunk->error + row};
    vt_vec_code_scores(q, &b, out);
}
