/* How long a model takes to open, a text and a picture to encode: bench_encode MODEL [RUNS].
 * One line per number of threads: medians and the spread (least to most) over RUNS after a warm-up.
 * A measurement, not a test: it asserts nothing about time. */
#include "base/base.h"
#include "clip/clip.h"
#include "vec/vec.h"

typedef struct timing {
    double least, median, most;
} timing;

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static timing summary(double *ms, size_t n) {
    qsort(ms, n, sizeof *ms, by_value);
    return (timing){ms[0], ms[n / 2], ms[n - 1]};
}

typedef vt_status (*encode_fn)(vt_clip *m, const void *input, float *out, vt_err *err);

static vt_status encode_text(vt_clip *m, const void *text, float *out, vt_err *err) {
    return vt_clip_encode_text(m, text, strlen(text), out, err);
}

static vt_status encode_image(vt_clip *m, const void *pixels, float *out, vt_err *err) {
    return vt_clip_encode_image(m, pixels, out, err);
}

static timing measure(vt_clip *m, encode_fn fn, const void *input, size_t runs) {
    double *ms = vt_alloc(runs, sizeof *ms);
    float *out = vt_alloc(vt_clip_describe(m)->dim, sizeof *out);
    timing t = {0};
    vt_err err;
    for (size_t i = 0; ms && out && i < runs + 1; i++) {
        uint64_t begun = vt_now_ns();
        if (fn(m, input, out, &err) != VT_OK) {
            fprintf(stderr, "%s\n", err.text);
            exit(1);
        }
        if (i > 0)
            ms[i - 1] = vt_seconds_since(begun) * 1e3;
    }
    if (ms)
        t = summary(ms, runs);
    free(ms);
    free(out);
    return t;
}

static void run(const char *dir, unsigned threads, size_t runs) {
    vt_pool *pool;
    vt_clip *m;
    vt_err err;
    uint64_t begun = vt_now_ns();
    if (vt_pool_open(threads, &pool, &err) != VT_OK || vt_clip_open(dir, pool, &m, &err) != VT_OK) {
        fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
    double opened = vt_seconds_since(begun);
    size_t side = vt_clip_describe(m)->pixels.crop;
    float *pixels = vt_alloc(3 * side * side, sizeof *pixels);
    if (!pixels)
        exit(1);
    timing text = measure(m, encode_text, "a red shirt", runs);
    timing image = measure(m, encode_image, pixels, runs);
    printf("%s, %u threads: open %.3f s; text \"a red shirt\" %.2f ms (%.2f-%.2f); "
           "image %.2f ms (%.2f-%.2f)\n",
           vt_vec_isa(), vt_pool_threads(pool), opened, text.median, text.least, text.most,
           image.median, image.least, image.most);
    free(pixels);
    vt_clip_close(m);
    vt_pool_close(pool);
}

int main(int argc, char **argv) {
    uint64_t runs = 21;
    vt_err err;
    if (argc < 2 || (argc > 2 && (!vt_parse_u64(argv[2], 100000, &runs) || runs == 0))) {
        fprintf(stderr, "usage: bench_encode MODEL [RUNS]\n");
        return 2;
    }
    if (vt_vec_init(getenv("VITRINE_ISA"), &err) != VT_OK) {
        fprintf(stderr, "%s\n", err.text);
        return 2;
    }
    run(argv[1], 1, runs);
    run(argv[1], 0, runs);
    return 0;
}
