/* The index as one side of a comparison (talk.h): searches over a file of vectors, timed one by
 * one. bench/index/index.py drives it; bench/index/peers.cpp answers the same commands for the
 * peers.
 *
 *     bench_index BASE
 *
 *     build THREADS ROWS        {"seconds": s, "cells": s, "rows_bytes", "codes_bytes",
 * "other_bytes"} learn THREADS KIND FILE   {"seconds": s}      how far to look; "-" for the index's
 * own rows churn REMOVED ADDED       {"seconds": s} save FILE                 {"seconds": s}      a
 * snapshot load THREADS FILE ROWS    {"seconds": s}      in the place of the index there was
 *     threads N                 {}                  of searches from now on; 1 at first
 *     search RECALL K COUNT QUERIES FILTER KIND
 *                               {"us": [...], "ids": [...], "estimated": n, "scored": n, "ways":
 * {...}}
 *
 * BASE holds float16 vectors, whose numbers are the slots; QUERIES and FILE float32 ones; each
 * behind two int32 (count, width). ROWS, REMOVED, ADDED and FILTER are files of one bit a row, or
 * "-" for all. RECALL is what is wished, 0 for the default. "seconds" of build: rows put and cells
 * made. Nothing is timed but the call itself; the first queries are asked once before, uncounted.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "index/index.h"
#include "talk.h"

enum { WARM_UP = 32, THREADS_MOST = 1024, QUERIES_MOST = 1000000, K_MOST = 1000 };

typedef struct file {
    vt_map map;
    size_t n, width;
    const uint8_t *values;
} file;

typedef struct bench {
    file base;
    vt_index *index;       /* NULL before build or load */
    vt_snapshot *snapshot; /* under the index when that was loaded */
    vt_pool *pool;         /* of searches: NULL for one thread */
} bench;

static void close_index(bench *b) {
    vt_index_close(b->index);
    vt_snapshot_release(b->snapshot);
    b->index = NULL;
    b->snapshot = NULL;
}

/* ---- files ------------------------------------------------------------------------------ */

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

/* Unit vectors of as many floats as the base has; to be freed. */
static vt_status read_vectors(const bench *b, const char *path, float **out, size_t *n,
                              vt_err *err) {
    file f = {0};
    size_t dim = b->base.width;
    float *v = NULL;
    vt_status s = open_file(path, sizeof(float), &f, err);
    if (s == VT_OK && f.width != dim)
        s = vt_fail(err, VT_E_INVALID, "%s: width %zu, the base has %zu", path, f.width, dim);
    if (s == VT_OK && !(v = vt_alloc(f.n * dim, sizeof *v)))
        s = vt_fail_nomem(err, f.n * dim * sizeof *v);
    if (s == VT_OK)
        memcpy(v, f.values, f.n * dim * sizeof *v);
    for (size_t i = 0; s == VT_OK && i < f.n; i++) {
        if (vt_vec_normalize(v + i * dim, dim) == 0)
            s = vt_fail(err, VT_E_INVALID, "%s: vector %zu has no length", path, i);
    }
    *n = f.n;
    vt_map_release(&f.map);
    if (s != VT_OK) {
        free(v);
        return s;
    }
    *out = v;
    return VT_OK;
}

/* "-": all rows of the base. */
static vt_status read_bits(const bench *b, const char *path, vt_bitset *out, vt_err *err) {
    vt_map map = {0};
    vt_status s = vt_bitset_resize(out, b->base.n, err);
    if (s != VT_OK)
        return s;
    if (strcmp(path, "-") == 0) {
        vt_bitset_fill(out, true);
        return VT_OK;
    }
    s = vt_file_map(path, &map, err);
    if (s == VT_OK && map.size < (b->base.n + 7) / 8)
        s = vt_fail(err, VT_E_INVALID, "%s: fewer bits than rows", path);
    for (size_t i = 0; s == VT_OK && i < b->base.n; i++)
        vt_bitset_set(out, i, map.data[i / 8] >> i % 8 & 1);
    vt_map_release(&map);
    return s;
}

/* ---- answers ---------------------------------------------------------------------------- */

typedef struct answer {
    vt_buf line;
    vt_json json;
} answer;

static void answer_begin(answer *a) {
    vt_buf_init(&a->line, TALK_MOST);
    vt_json_init(&a->json, &a->line);
    vt_json_open(&a->json, '{');
}

static void answer_number(answer *a, const char *name, double value) {
    vt_json_key(&a->json, name);
    vt_json_num(&a->json, value, 7);
}

static void answer_say(answer *a) {
    vt_json_close(&a->json, '}');
    talk_say(&a->line);
}

static void say_seconds(uint64_t begun) {
    answer a;
    answer_begin(&a);
    answer_number(&a, "seconds", vt_seconds_since(begun));
    answer_say(&a);
}

/* ---- the index -------------------------------------------------------------------------- */

static vt_status parse_threads(const char *word, vt_pool **out, vt_err *err) {
    uint64_t n;
    if (!vt_parse_u64(word, THREADS_MOST, &n) || n == 0)
        return vt_fail(err, VT_E_INVALID, "%s: not a number of threads", word);
    return n > 1 ? vt_pool_open((unsigned)n, out, err) : VT_OK;
}

static vt_status put_rows(bench *b, const vt_bitset *rows, vt_err *err) {
    size_t dim = b->base.width;
    float *v = vt_alloc(dim, sizeof *v);
    vt_status s = v ? VT_OK : vt_fail_nomem(err, dim * sizeof *v);
    for (size_t i = 0; s == VT_OK && i < b->base.n; i++) {
        if (!vt_bitset_get(rows, i))
            continue;
        vt_vec_from_f16(v, (const void *)(b->base.values + i * dim * sizeof(uint16_t)), dim);
        s = vt_vec_normalize(v, dim) > 0 ? vt_index_put(b->index, (uint32_t)i, v, err)
                                         : vt_fail(err, VT_E_INVALID, "row %zu has no length", i);
    }
    free(v);
    return s;
}

static vt_status make_cells(bench *b, vt_pool *pool, vt_err *err) {
    vt_rebuild *r = NULL;
    bool more = true;
    vt_status s = vt_rebuild_open(b->index, &r, err);
    while (s == VT_OK && more)
        s = vt_rebuild_train(r, pool, &more, err);
    for (more = true; s == VT_OK && more;)
        s = vt_rebuild_step(r, pool, &more, err);
    if (s == VT_OK)
        s = vt_rebuild_finish(r, err);
    vt_rebuild_close(r);
    return s;
}

static void say_built(const bench *b, double seconds, double cells) {
    answer a;
    vt_index_bytes bytes;
    vt_index_measure(b->index, &bytes);
    answer_begin(&a);
    answer_number(&a, "seconds", seconds);
    answer_number(&a, "cells", cells);
    answer_number(&a, "rows_bytes", (double)bytes.rows);
    answer_number(&a, "codes_bytes", (double)bytes.codes);
    answer_number(&a, "other_bytes", (double)bytes.other);
    answer_say(&a);
}

static vt_status build(bench *b, const char *const *words, vt_err *err) {
    vt_pool *pool = NULL;
    vt_bitset rows;
    double cells = 0;
    vt_bitset_init(&rows);
    close_index(b);
    vt_status s = parse_threads(words[1], &pool, err);
    if (s == VT_OK)
        s = read_bits(b, words[2], &rows, err);
    uint64_t begun = vt_now_ns();
    if (s == VT_OK)
        s = vt_index_open(b->base.width, &b->index, err);
    if (s == VT_OK)
        s = put_rows(b, &rows, err);
    uint64_t put = vt_now_ns();
    if (s == VT_OK && vt_index_rebuild_due(b->index)) {
        s = make_cells(b, pool, err);
        cells = vt_seconds_since(put);
    }
    if (s == VT_OK)
        say_built(b, vt_seconds_since(begun), cells);
    vt_bitset_release(&rows);
    vt_pool_close(pool);
    return s;
}

static vt_status parse_kind(const char *word, vt_query_kind *out, vt_err *err) {
    for (int k = 0; k < VT_QUERY_KINDS; k++) {
        if (strcmp(word, vt_query_kind_name((vt_query_kind)k)) == 0) {
            *out = (vt_query_kind)k;
            return VT_OK;
        }
    }
    return vt_fail(err, VT_E_INVALID, "%s: not a kind of query", word);
}

/* Where there are no cells there is nothing to learn. */
static vt_status learn(bench *b, const char *const *words, vt_err *err) {
    vt_pool *pool = NULL;
    vt_tuning *t = NULL;
    float *queries = NULL;
    size_t n = 0;
    vt_query_kind kind = VT_QUERY_IMAGE;
    bool more = vt_index_fraction(b->index, VT_QUERY_IMAGE, VT_RECALL_DEFAULT) > 0;
    vt_status s = parse_threads(words[1], &pool, err);
    if (s == VT_OK)
        s = parse_kind(words[2], &kind, err);
    if (s == VT_OK && strcmp(words[3], "-") != 0)
        s = read_vectors(b, words[3], &queries, &n, err);
    uint64_t begun = vt_now_ns();
    if (s == VT_OK && more)
        s = vt_tuning_open(b->index, kind, queries, n, &t, err);
    while (s == VT_OK && more)
        s = vt_tuning_learn(t, b->index, pool, &more, err);
    if (s == VT_OK && t)
        s = vt_tuning_apply(t, b->index, err);
    if (s == VT_OK)
        say_seconds(begun);
    vt_tuning_close(t);
    free(queries);
    vt_pool_close(pool);
    return s;
}

static vt_status churn(bench *b, const char *const *words, vt_err *err) {
    vt_bitset removed, added;
    vt_bitset_init(&removed);
    vt_bitset_init(&added);
    vt_status s = read_bits(b, words[1], &removed, err);
    if (s == VT_OK)
        s = read_bits(b, words[2], &added, err);
    uint64_t begun = vt_now_ns();
    for (size_t i = 0; s == VT_OK && i < b->base.n; i++) {
        if (vt_bitset_get(&removed, i))
            vt_index_remove(b->index, (uint32_t)i);
    }
    if (s == VT_OK)
        s = put_rows(b, &added, err);
    if (s == VT_OK)
        say_seconds(begun);
    vt_bitset_release(&removed);
    vt_bitset_release(&added);
    return s;
}

static const vt_snapshot_key KEY = {.database_id = "00000000-0000-4000-8000-000000000000"};

static vt_status save(bench *b, const char *const *words, vt_err *err) {
    vt_snapshot_writer *w = NULL;
    uint64_t state = 0, begun = vt_now_ns();
    bool more = true;
    vt_status s = vt_snapshot_begin(words[1], &KEY, &w, err);
    while (s == VT_OK && more)
        s = vt_index_save(b->index, w, &state, &more, err);
    if (s == VT_OK)
        s = vt_snapshot_commit(w, err);
    vt_snapshot_close(w);
    if (s == VT_OK)
        say_seconds(begun);
    return s;
}

static vt_status load(bench *b, const char *const *words, vt_err *err) {
    const vt_snapshot_wanted wanted = {.database_id = KEY.database_id, .model = &KEY.model};
    vt_pool *pool = NULL;
    vt_bitset keep;
    uint64_t seq;
    vt_bitset_init(&keep);
    close_index(b);
    vt_status s = parse_threads(words[1], &pool, err);
    if (s == VT_OK)
        s = read_bits(b, words[3], &keep, err);
    uint64_t begun = vt_now_ns();
    if (s == VT_OK)
        s = vt_snapshot_open(words[2], &wanted, pool, &b->snapshot, &seq, err);
    if (s == VT_OK)
        s = vt_index_load(b->snapshot, b->base.width, &keep, &b->index, err);
    if (s == VT_OK)
        say_seconds(begun);
    vt_bitset_release(&keep);
    vt_pool_close(pool);
    return s;
}

static vt_status set_threads(bench *b, const char *const *words, vt_err *err) {
    answer a;
    vt_pool_close(b->pool);
    b->pool = NULL;
    vt_status s = parse_threads(words[1], &b->pool, err);
    if (s != VT_OK)
        return s;
    answer_begin(&a);
    answer_say(&a);
    return VT_OK;
}

/* ---- searches --------------------------------------------------------------------------- */

typedef struct job {
    vt_index_query query;
    vt_bitset filter;
    float *vectors;
    size_t n;
    /* what came of it */
    vt_hit *hits; /* k a query; slot UINT32_MAX where there are fewer */
    double *us, cpu, estimated, scored;
    size_t ways[VT_WAYS];
} job;

static void job_release(job *j) {
    vt_bitset_release(&j->filter);
    free(j->vectors);
    free(j->hits);
    free(j->us);
}

static vt_status job_read(const bench *b, const char *const *words, job *j, vt_err *err) {
    double recall;
    uint64_t k, count;
    if (!vt_parse_f64(words[1], &recall) || recall < 0 || recall > 1 ||
        !vt_parse_u64(words[2], K_MOST, &k) || k == 0 ||
        !vt_parse_u64(words[3], QUERIES_MOST, &count))
        return vt_fail(err, VT_E_INVALID, "not a search: %s %s %s", words[1], words[2], words[3]);
    j->query.k = k;
    j->query.recall = (float)recall;
    vt_status s = parse_kind(words[6], &j->query.kind, err);
    if (s == VT_OK)
        s = read_vectors(b, words[4], &j->vectors, &j->n, err);
    if (s == VT_OK && strcmp(words[5], "-") != 0) {
        s = read_bits(b, words[5], &j->filter, err);
        j->query.filter = &j->filter;
    }
    if (s != VT_OK)
        return s;
    j->n = count < j->n ? count : j->n;
    j->hits = vt_alloc(j->n * k, sizeof *j->hits);
    j->us = vt_alloc(j->n, sizeof *j->us);
    return j->hits && j->us ? VT_OK : vt_fail_nomem(err, j->n * k * sizeof *j->hits);
}

static vt_status ask(const bench *b, job *j, size_t i, vt_plan *plan, vt_err *err) {
    size_t n = 0, k = j->query.k;
    j->query.vector = j->vectors + i * b->base.width;
    vt_hit *hits = j->hits + i * k;
    uint64_t begun = vt_now_ns();
    vt_status s = vt_index_search(b->index, &j->query, b->pool, hits, &n, plan, err);
    j->us[i] = (double)(vt_now_ns() - begun) / 1e3;
    for (; n < k; n++)
        hits[n] = (vt_hit){-2, UINT32_MAX};
    return s;
}

static double cpu_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static vt_status job_run(const bench *b, job *j, vt_err *err) {
    vt_plan plan;
    vt_status s = VT_OK;
    for (size_t i = 0; s == VT_OK && i < j->n && i < WARM_UP; i++)
        s = ask(b, j, i, &plan, err);
    j->cpu = -cpu_seconds();
    for (size_t i = 0; s == VT_OK && i < j->n; i++) {
        s = ask(b, j, i, &plan, err);
        if (s != VT_OK)
            break;
        j->ways[plan.way]++;
        j->estimated += (double)plan.estimated / (double)j->n;
        j->scored += (double)plan.scored / (double)j->n;
    }
    j->cpu += cpu_seconds();
    return s;
}

static void job_say(const job *j) {
    answer a;
    answer_begin(&a);
    talk_numbers(&a.json, "us", j->us, j->n);
    answer_number(&a, "cpu", j->cpu);
    vt_json_key(&a.json, "ids");
    vt_json_open(&a.json, '[');
    for (size_t i = 0; i < j->n * j->query.k; i++)
        vt_json_int(&a.json, j->hits[i].slot == UINT32_MAX ? -1 : (int64_t)j->hits[i].slot);
    vt_json_close(&a.json, ']');
    answer_number(&a, "estimated", j->estimated);
    answer_number(&a, "scored", j->scored);
    vt_json_key(&a.json, "ways");
    vt_json_open(&a.json, '{');
    for (size_t w = 0; w < VT_WAYS; w++)
        answer_number(&a, vt_way_name((vt_way)w), (double)j->ways[w]);
    vt_json_close(&a.json, '}');
    answer_say(&a);
}

static vt_status search(bench *b, const char *const *words, vt_err *err) {
    job j = {0};
    vt_bitset_init(&j.filter);
    vt_status s = job_read(b, words, &j, err);
    if (s == VT_OK)
        s = job_run(b, &j, err);
    if (s == VT_OK)
        job_say(&j);
    job_release(&j);
    return s;
}

/* ---- command line ----------------------------------------------------------------------- */

static vt_status obey(void *ctx, const char *const words[TALK_WORDS], vt_err *err) {
    static const struct {
        const char *name;
        vt_status (*fn)(bench *b, const char *const *words, vt_err *err);
        bool needs_index;
    } known[] = {{"build", build, false},        {"learn", learn, true}, {"churn", churn, true},
                 {"save", save, true},           {"load", load, false},  {"search", search, true},
                 {"threads", set_threads, false}};
    bench *b = ctx;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(words[0], known[i].name) == 0 && (b->index || !known[i].needs_index))
            return known[i].fn(b, words, err);
    }
    return vt_fail(err, VT_E_INVALID, "not a command%s: %s",
                   b->index ? "" : " before build or load", words[0]);
}

static vt_status work(bench *b, int argc, char **argv, vt_err *err) {
    if (argc != 2)
        return vt_fail(err, VT_E_INVALID, "usage: bench_index BASE");
    vt_status s = vt_vec_init(getenv("VITRINE_ISA"), err);
    if (s == VT_OK)
        s = open_file(argv[1], sizeof(uint16_t), &b->base, err);
    if (s != VT_OK)
        return s;
    answer a;
    answer_begin(&a);
    vt_json_key(&a.json, "isa");
    vt_json_str(&a.json, vt_vec_isa());
    answer_say(&a);
    return talk_listen(obey, b, err);
}

int main(int argc, char **argv) {
    bench b = {0};
    vt_err err;
    vt_status s = work(&b, argc, argv, &err);
    if (s != VT_OK)
        (void)fprintf(stderr, "bench_index: %s\n", err.text);
    close_index(&b);
    vt_pool_close(b.pool);
    vt_map_release(&b.base.map);
    return vt_status_exit(s);
}
