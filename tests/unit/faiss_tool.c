/* faiss_tool: searches an index file as a catalogue would, for tests written in other languages
 * (tests/py/test_faiss.py compares the answers with FAISS's).
 *
 *   faiss_tool FILE K QUERIES
 *
 * QUERIES holds float32 vectors. For each one line: K times "id:distance", nearest first, squared
 * L2 or inner product as the file's metric says. Unit vectors go through our index, which
 * knows inner products only and rounded: some more than k are scored once more, as a catalogue
 * does. Others are compared one by one. */
#include "faiss/faiss.h"
#include "index/index.h"

#include <math.h>

#define SPARE 20 /* hits beyond k, among which rounding may have lost one of the k */

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

static vt_status ask_index(search *s, const vt_index *ix, const float *q, vt_err *err) {
    size_t n;
    vt_index_query query = {.vector = q, .k = s->k + SPARE, .recall = 1};
    query.k = query.k < s->count ? query.k : s->count;
    vt_status status = vt_index_search(ix, &query, NULL, s->hits, &n, NULL, err);
    for (size_t i = 0; i < n; i++)
        s->hits[i].score = vt_vec_dot(q, s->vectors + s->hits[i].slot * s->dim, s->dim);
    qsort(s->hits, n, sizeof *s->hits, by_score);
    return status;
}

static vt_status answer(search *s, const vt_index *ix, const float *q, vt_err *err) {
    vt_status status = VT_OK;
    if (s->unit)
        status = ask_index(s, ix, q, err);
    else
        compare_all(s, q);
    for (size_t i = 0; i < s->k && status == VT_OK; i++)
        printf("%s%lld:%.9g", i > 0 ? " " : "", (long long)vt_faiss_id(s->file, s->hits[i].slot),
               distance_of(s, s->hits[i].score));
    putchar('\n');
    return status;
}

static vt_status run(search *s, char **argv, vt_err *err) {
    vt_index *ix = NULL;
    vt_map queries = {0};
    vt_status status = load(s, argv[1], err);
    if (status == VT_OK)
        status = vt_file_map(argv[3], &queries, err);
    if (status == VT_OK)
        status = vt_index_open(s->dim, &ix, err);
    for (size_t i = 0; i < s->count && s->unit && status == VT_OK; i++)
        status = vt_index_put(ix, (uint32_t)i, s->vectors + i * s->dim, err);
    for (size_t at = 0; status == VT_OK && s->k > 0 && at < queries.size; at += s->dim * 4)
        status = answer(s, ix, (const float *)(const void *)(queries.data + at), err);
    vt_index_close(ix);
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
