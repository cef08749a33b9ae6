/* faiss_tool: searches an index file as a catalogue would, for tests written in other languages
 * (tests/py/test_faiss.py compares the answers with FAISS's).
 *
 *   faiss_tool FILE K QUERIES
 *
 * QUERIES holds float32 vectors. For each one line: K times "id:distance", nearest first, squared
 * L2 or inner product as the file's metric says. Unit vectors go through our flat index, which
 * knows inner products only; others are compared one by one. */
#include "faiss/faiss.h"
#include "index/index.h"

#include <math.h>

typedef struct search {
    vt_faiss *file;
    size_t dim, count, k;
    bool unit, l2;
    float *vectors;
    vt_hit *hits;
} search;

static double squared_length(const float *v, size_t dim) {
    double sum = 0;
    for (size_t i = 0; i < dim; i++)
        sum += (double)v[i] * v[i];
    return sum;
}

static vt_status load(search *s, const char *path, vt_err *err) {
    vt_status status = vt_faiss_open(path, &s->file, err);
    if (status != VT_OK)
        return status;
    const vt_faiss_info *info = vt_faiss_describe(s->file);
    s->dim = info->dim;
    s->count = info->count;
    s->l2 = info->metric == VT_FAISS_L2;
    s->unit = true;
    s->k = s->k < s->count ? s->k : s->count;
    s->vectors = vt_alloc(s->count, s->dim * sizeof *s->vectors);
    s->hits = vt_alloc(s->count, sizeof *s->hits);
    if (!s->vectors || !s->hits)
        return vt_fail_nomem(err, s->count * s->dim);
    for (size_t i = 0; i < s->count; i++) {
        vt_faiss_vector(s->file, i, s->vectors + i * s->dim);
        s->unit = s->unit && fabs(squared_length(s->vectors + i * s->dim, s->dim) - 1) < 1e-5;
    }
    return VT_OK;
}

static int by_score(const void *a, const void *b) {
    const vt_hit *x = a, *y = b;
    return x->score != y->score ? (x->score < y->score) - (x->score > y->score)
                                : (x->slot > y->slot) - (x->slot < y->slot);
}

/* Larger is nearer. */
static void compare_all(search *s, const float *q) {
    for (size_t i = 0; i < s->count; i++) {
        double score = 0;
        for (size_t j = 0; j < s->dim; j++) {
            double x = s->vectors[i * s->dim + j];
            score += s->l2 ? -(x - q[j]) * (x - q[j]) : x * q[j];
        }
        s->hits[i] = (vt_hit){.score = (float)score, .slot = (uint32_t)i};
    }
    qsort(s->hits, s->count, sizeof *s->hits, by_score);
}

static double distance_of(const search *s, float score) {
    if (!s->l2)
        return score;
    return s->unit ? 2 - 2 * (double)score : -(double)score;
}

static vt_status answer(search *s, vt_flat *flat, const float *q, vt_err *err) {
    size_t n = s->k;
    vt_status status = VT_OK;
    if (s->unit) {
        vt_flat_query query = {.vector = q, .k = s->k};
        status = vt_flat_search(flat, &query, NULL, s->hits, &n, err);
    } else {
        compare_all(s, q);
    }
    for (size_t i = 0; i < n && status == VT_OK; i++)
        printf("%s%lld:%.9g", i > 0 ? " " : "", (long long)vt_faiss_id(s->file, s->hits[i].slot),
               distance_of(s, s->hits[i].score));
    putchar('\n');
    return status;
}

static vt_status run(search *s, char **argv, vt_err *err) {
    vt_flat *flat = NULL;
    vt_map queries = {0};
    vt_status status = load(s, argv[1], err);
    if (status == VT_OK)
        status = vt_file_map(argv[3], &queries, err);
    if (status == VT_OK)
        status = vt_flat_open(s->dim, &flat, err);
    for (size_t i = 0; i < s->count && s->unit && status == VT_OK; i++)
        status = vt_flat_put(flat, (uint32_t)i, s->vectors + i * s->dim, err);
    for (size_t at = 0; status == VT_OK && s->k > 0 && at < queries.size; at += s->dim * 4)
        status = answer(s, flat, (const float *)(const void *)(queries.data + at), err);
    vt_flat_close(flat);
    vt_map_release(&queries);
    return status;
}

int main(int argc, char **argv) {
    search s = {0};
    uint64_t k = 0;
    vt_err err;
    vt_status status;
    if (argc != 4 || !vt_parse_u64(argv[2], 1000, &k) || vt_vec_init(NULL, &err) != VT_OK) {
        fputs("usage: faiss_tool FILE K QUERIES\n", stderr);
        return 2;
    }
    s.k = (size_t)k;
    status = run(&s, argv, &err);
    if (status != VT_OK)
        fprintf(stderr, "%s\n", err.text);
    vt_faiss_close(s.file);
    free(s.vectors);
    free(s.hits);
    return status == VT_OK ? 0 : 1;
}
