/* Rows in 4 bits a dimension, and estimates of inner products from them.
 *
 * After RaBitQ and its extension (Gao and Long, SIGMOD 2024; Gao et al., SIGMOD 2025): a rotated
 * row x less a centre c is rounded to a grid, u in {-7.5 .. 7.5}^dim, with one scale a row. With s
 * = <x - c, u> / <u, u>, what the code does not say is the residual r = x - c - s u, at right
 * angles to u. So for a query q
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
 * a scan costs); 1 bit (needs 400 rows to be scored again for the recall of 50 here). */
#include "index/codes.h"

#include <math.h>

#define LEVELS    16
#define BEST_STEP 0.3352f /* of a normal distribution of deviation 1 */

/* Rounds rest[dim] to grid[dim], in steps, and to levels. */
static void round_to_grid(const float *rest, size_t dim, float step, float *grid, uint8_t *levels) {
    float inverse = step > 0 ? 1 / step : 0;
    for (size_t i = 0; i < dim; i++) {
        float level = rest[i] * inverse + LEVELS / 2.0f; /* truncated below */
        level = level > 0 ? level : 0;
        level = level < LEVELS - 1 ? level : LEVELS - 1;
        levels[i] = (uint8_t)level;
        grid[i] = (float)(int)level - (LEVELS - 1) / 2.0f;
    }
}

void vt_code_make(const float *x, const vt_centre *centre, size_t dim, vt_code *out) {
    float rest[VT_CODED_DIM_MAX], grid[VT_CODED_DIM_MAX];
    size_t padded = 8 * vt_code_words(dim);
    for (size_t i = 0; i < dim; i++) {
        rest[i] = x[i] - centre->at[i];
    }
    float squares = vt_vec_dot(rest, rest, dim);
    round_to_grid(rest, dim, BEST_STEP * sqrtf(squares / (float)dim), grid, out->levels);
    memset(out->levels + dim, 0, padded - dim);
    float along_grid = vt_vec_dot(rest, grid, dim);
    float scale = along_grid / vt_vec_dot(grid, grid, dim);
    float along = vt_vec_dot(rest, centre->at, dim) - scale * vt_vec_dot(grid, centre->at, dim);
    along = centre->squares > 0 ? along / centre->squares : 0;
    float unsaid = squares - scale * along_grid - along * along * centre->squares;
    out->scale = scale;
    out->along = along;
    out->error = sqrtf(fmaxf(unsaid, 0) / (float)dim);
}

/* ---- a query ---------------------------------------------------------------------------- */

vt_status vt_ask_init(vt_ask *a, const float *x, size_t dim, vt_err *err) {
    size_t padded = VT_FINE_GROUP * vt_fine_groups(dim), words = vt_code_words(dim);
    float most = vt_largest(x, dim);
    int32_t sum = 0;
    int8_t *numbers = vt_alloc(words, 8);
    *a = (vt_ask){.vector = vt_alloc(padded, sizeof *a->vector), .numbers = numbers, .dim = dim};
    if (!a->vector || !numbers) {
        vt_ask_release(a);
        return vt_fail_nomem(err, padded * sizeof *a->vector);
    }
    memcpy(a->vector, x, dim * sizeof *x);
    float inverse = most > 0 ? 127 / most : 0;
    for (size_t i = 0; i < dim; i++) {
        int number = vt_nearest(x[i] * inverse);
        numbers[i] = (int8_t)number;
        sum += number;
    }
    float step = most / 127;
    a->query = (vt_code_query){.numbers = numbers,
                               .words = words,
                               .step = step,
                               .offset = -(LEVELS - 1) / 2.0f * step * (float)sum};
    return VT_OK;
}

void vt_ask_release(vt_ask *a) {
    free(a->vector);
    free(a->numbers);
    a->vector = NULL;
    a->numbers = NULL;
}

vt_code_query vt_ask_centre(const vt_ask *a, const vt_centre *centre, float margin) {
    vt_code_query q = a->query;
    q.centre = vt_vec_dot(a->vector, centre->at, a->dim);
    float along = centre->squares > 0 ? q.centre * q.centre / centre->squares : 0;
    q.slack = margin * sqrtf(fmaxf(0, 1 - along));
    return q;
}
