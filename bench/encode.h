/* What the two halves of bench_encode share: a model that is open, and timing it. encode.c reads
 * the options and measures one setting; encode_serve.c answers the side-by-side benchmark. */
#ifndef BENCH_ENCODE_H
#define BENCH_ENCODE_H

#include "base/base.h"
#include "clip/clip.h"

typedef struct bench {
    vt_pool *pool;
    vt_clip *clip;
    const vt_clip_info *info;
    double open_ms, first_ms; /* to open the folder; then for the first text and picture */
} bench;

/* Texts or pictures to encode in one call: exactly one of `texts` and `pixels` is not NULL. */
typedef struct bench_work {
    const vt_clip_text *texts;
    const float *const *pixels; /* [count] of [3][crop][crop] */
    size_t count;
    float *out; /* [count][dim] */
} bench_work;

vt_status bench_encode(const bench *b, const bench_work *w, vt_err *err) VT_MUST_USE;
/* ms[runs]: each run's milliseconds, in order, after one run that is not counted. */
vt_status bench_time(const bench *b, const bench_work *w, size_t runs, double *ms,
                     vt_err *err) VT_MUST_USE;
/* Floats of one picture. */
size_t bench_pixels(const bench *b);

/* Answers commands from standard input, one line each, until its end: see encode_serve.c. */
vt_status bench_serve(const bench *b, const char *inputs, vt_err *err) VT_MUST_USE;
/* Prints the token ids of each line of a file. */
vt_status bench_print_ids(const bench *b, const char *path, vt_err *err) VT_MUST_USE;

#endif
