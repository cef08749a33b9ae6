/* Searches of the index over a file of vectors, timed, with their recall beside the time.
 *
 *     bench_index BASE QUERIES TRUTH [--k 10] [--runs 5] [--threads 1] [--filter PER_MILLE]
 *
 * BASE holds float16 vectors, QUERIES float32 ones, TRUTH int32 rows of the nearest, best first,
 * each behind two int32 (count, width). Every run asks each query both ways, exact and by codes,
 * query by query in turn, so that a disturbance hits both. With a filter truth is the exact answer
 * of this run. Prints CSV: way, recall@k, queries a second (median, least and most of the runs). */
#include <stdio.h>
#include <stdlib.h>

#include "index/index.h"

#define RUNS_MAX 99

typedef struct settings {
    uint64_t k, runs, threads, per_mille;
} settings;

typedef struct file {
    vt_map map;
    size_t n, width;
    const uint8_t *values;
} file;

typedef struct bench {
    file base, queries, truth;
    settings set;
    vt_flat *flat;
    vt_pool *pool;
    vt_bitset filter;
    float *vectors; /* of the queries, of unit length */
    double build_seconds;
} bench;

static vt_status open_file(const char *path, size_t size, file *f, vt_err *err) {
    int32_t shape[2];
    size_t bytes;
    vt_status s = vt_file_map(path, &f->map, err);
    if (s != VT_OK)
        return s;
    if (f->map.size < sizeof shape)
        return vt_fail(err, VT_E_PARSE, "%s: too short", path);
    memcpy(shape, f->map.data, sizeof shape);
    if (shape[0] < 1 || shape[1] < 1)
        return vt_fail(err, VT_E_PARSE, "%s: no rows", path);
    f->n = (size_t)shape[0];
    f->width = (size_t)shape[1];
    f->values = f->map.data + sizeof shape;
    if (!vt_size_mul(f->n, f->width * size, &bytes) || f->map.size - sizeof shape != bytes)
        return vt_fail(err, VT_E_PARSE, "%s: not %zu x %zu values", path, f->n, f->width);
    return VT_OK;
}

/* ---- preparation ------------------------------------------------------------------------ */

static vt_status fill(bench *b, vt_err *err) {
    size_t dim = b->base.width;
    float *v = vt_alloc(dim, sizeof *v);
    vt_status s = v ? vt_flat_open(dim, &b->flat, err) : vt_fail_nomem(err, dim * sizeof *v);
    uint64_t begun = vt_now_ns();
    for (size_t i = 0; s == VT_OK && i < b->base.n; i++) {
        const void *row = b->base.values + i * dim * sizeof(uint16_t);
        vt_vec_from_f16(v, row, dim);
        s = vt_vec_normalize(v, dim) > 0 ? vt_flat_put(b->flat, (uint32_t)i, v, err)
                                         : vt_fail(err, VT_E_INVALID, "row %zu has no length", i);
    }
    b->build_seconds = vt_seconds_since(begun);
    free(v);
    return s;
}

static vt_status take_queries(bench *b, vt_err *err) {
    size_t dim = b->queries.width, floats = b->queries.n * dim;
    if (dim != b->base.width || b->truth.n != b->queries.n || b->truth.width < b->set.k)
        return vt_fail(err, VT_E_INVALID, "vectors, queries and truth do not fit each other");
    b->vectors = vt_alloc(floats, sizeof *b->vectors);
    if (!b->vectors)
        return vt_fail_nomem(err, floats * sizeof *b->vectors);
    memcpy(b->vectors, b->queries.values, floats * sizeof *b->vectors);
    for (size_t i = 0; i < b->queries.n; i++) {
        if (vt_vec_normalize(b->vectors + i * dim, dim) == 0)
            return vt_fail(err, VT_E_INVALID, "query %zu has no length", i);
    }
    return VT_OK;
}

/* Slots of which per_mille in a thousand are set, scattered by a multiplicative hash. */
static vt_status take_filter(bench *b, vt_err *err) {
    vt_status s = vt_bitset_resize(&b->filter, b->base.n, err);
    for (size_t i = 0; s == VT_OK && i < b->base.n; i++) {
        uint32_t mixed = (uint32_t)i * 2654435761u;
        vt_bitset_set(&b->filter, i, (mixed >> 8) % 1000 < b->set.per_mille);
    }
    return s;
}

/* ---- measuring -------------------------------------------------------------------------- */

static vt_status ask(const bench *b, size_t i, bool estimate, vt_hit *hits, double *seconds,
                     vt_err *err) {
    size_t n = 0;
    vt_flat_query q = {.vector = b->vectors + i * b->base.width,
                       .k = b->set.k,
                       .filter = b->set.per_mille < 1000 ? &b->filter : NULL,
                       .estimate = estimate};
    uint64_t begun = vt_now_ns();
    vt_status s = vt_flat_search(b->flat, &q, b->pool, hits, &n, err);
    *seconds += vt_seconds_since(begun);
    for (; n < b->set.k; n++)
        hits[n] = (vt_hit){-2, UINT32_MAX};
    return s;
}

/* Of the k of the truth, how many were found: those that score as its last, for rows may be equal.
 */
static double recall_of(const bench *b, size_t i, const vt_hit *exact, const vt_hit *hits) {
    const float *q = b->vectors + i * b->base.width;
    float worst = exact[b->set.k - 1].score;
    int32_t last;
    size_t n = 0;
    memcpy(&last, b->truth.values + (i * b->truth.width + b->set.k - 1) * sizeof last, sizeof last);
    const float *row = last < 0 ? NULL : vt_flat_get(b->flat, (uint32_t)last);
    if (b->set.per_mille == 1000 && row)
        worst = vt_vec_dot(q, row, b->base.width);
    for (size_t j = 0; j < b->set.k; j++)
        n += hits[j].score >= worst - 1e-6f;
    return (double)n / (double)b->set.k;
}

/* Seconds and recall of one run: [0] exact, [1] by codes. */
static vt_status run(const bench *b, double seconds[2], double recall[2], vt_err *err) {
    vt_hit *exact = vt_alloc(b->set.k, sizeof *exact), *coded = vt_alloc(b->set.k, sizeof *coded);
    vt_status s = exact && coded ? VT_OK : vt_fail_nomem(err, b->set.k * sizeof *exact);
    recall[0] = recall[1] = seconds[0] = seconds[1] = 0;
    for (size_t i = 0; s == VT_OK && i < b->queries.n; i++) {
        s = ask(b, i, false, exact, &seconds[0], err);
        if (s == VT_OK)
            s = ask(b, i, true, coded, &seconds[1], err);
        if (s == VT_OK) {
            recall[0] += recall_of(b, i, exact, exact) / (double)b->queries.n;
            recall[1] += recall_of(b, i, exact, coded) / (double)b->queries.n;
        }
    }
    free(exact);
    free(coded);
    return s;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static vt_status measure(const bench *b, vt_err *err) {
    static const char *const names[2] = {"exact", "codes"};
    double rates[2][RUNS_MAX], recall[2], seconds[2];
    vt_status s = run(b, seconds, recall, err); /* not counted */
    for (size_t r = 0; s == VT_OK && r < b->set.runs; r++) {
        s = run(b, seconds, recall, err);
        for (size_t way = 0; way < 2; way++)
            rates[way][r] = (double)b->queries.n / seconds[way];
    }
    for (size_t way = 0; s == VT_OK && way < 2; way++) {
        qsort(rates[way], b->set.runs, sizeof rates[way][0], by_value);
        printf("vitrine %s,%.4f,%.1f,%.1f,%.1f,%.2f,%.0f\n", names[way], recall[way],
               rates[way][b->set.runs / 2], rates[way][0], rates[way][b->set.runs - 1],
               b->build_seconds, (double)vt_flat_bytes(b->flat) / (double)b->base.n);
    }
    return s;
}

/* ---- command line ----------------------------------------------------------------------- */

static vt_status read_options(int argc, char **argv, settings *set, vt_err *err) {
    const struct {
        const char *name;
        uint64_t *value, most;
    } known[] = {{"--k", &set->k, 1000},
                 {"--runs", &set->runs, RUNS_MAX},
                 {"--threads", &set->threads, 1024},
                 {"--filter", &set->per_mille, 1000}};
    for (int i = 4; i < argc; i += 2) {
        size_t j = 0;
        while (j < 4 && strcmp(argv[i], known[j].name) != 0)
            j++;
        if (j == 4 || i + 1 == argc || !vt_parse_u64(argv[i + 1], known[j].most, known[j].value) ||
            *known[j].value == 0)
            return vt_fail(err, VT_E_INVALID, "%s: unknown, or not a number in its range", argv[i]);
    }
    return VT_OK;
}

static vt_status work(bench *b, int argc, char **argv, vt_err *err) {
    if (argc < 4)
        return vt_fail(err, VT_E_INVALID, "usage: bench_index BASE QUERIES TRUTH [OPTION N]...");
    vt_status s = read_options(argc, argv, &b->set, err);
    if (s == VT_OK)
        s = vt_vec_init(getenv("VITRINE_ISA"), err);
    if (s == VT_OK)
        s = vt_pool_open((unsigned)b->set.threads, &b->pool, err);
    if (s == VT_OK)
        s = open_file(argv[1], sizeof(uint16_t), &b->base, err);
    if (s == VT_OK)
        s = open_file(argv[2], sizeof(float), &b->queries, err);
    if (s == VT_OK)
        s = open_file(argv[3], sizeof(int32_t), &b->truth, err);
    if (s == VT_OK)
        s = take_queries(b, err);
    if (s == VT_OK)
        s = fill(b, err);
    if (s == VT_OK)
        s = take_filter(b, err);
    return s == VT_OK ? measure(b, err) : s;
}

int main(int argc, char **argv) {
    bench b = {.set = {.k = 10, .runs = 5, .threads = 1, .per_mille = 1000}};
    vt_err err;
    vt_status s = work(&b, argc, argv, &err);
    if (s != VT_OK)
        (void)fprintf(stderr, "bench_index: %s\n", err.text);
    vt_flat_close(b.flat);
    vt_pool_close(b.pool);
    vt_bitset_release(&b.filter);
    free(b.vectors);
    vt_map_release(&b.base.map);
    vt_map_release(&b.queries.map);
    vt_map_release(&b.truth.map);
    return vt_status_exit(s);
}
