/* A collection that FAISS served comes in: read and verify all files -> measure the vectors -> for
 * each group: product, vector -> catalog: put -> tell. Nothing is encoded.
 *
 * Lengths. A catalogue holds unit vectors and answers by cosine. A vector of unit length is stored
 * as it is, bit by bit; any other is divided by its length. For unit vectors, or vectors that are
 * all of one length, this changes no order: |x - q|^2 = |x|^2 + |q|^2 - 2 x.q falls when x.q rises,
 * whatever the length of the query. Where lengths differ, the order under L2 is another one than
 * that of the cosine, it depends on the length of the query too, and no unit vectors of the same
 * dimension have it for all queries. So keep_l2 refuses such a file, before anything is stored.
 *
 * Rejected: storing lengths beside the vectors and correcting scores (exact in two dimensions more,
 * but queries of the model have no length, and products that come in by their picture have none
 * either); keeping L2 "nearly".
 *
 * Threads: one. It waits for the disk, as vectors that are ready leave nothing else to wait for. */
#include "engine/collection.h"
#include "engine/ingest.h"

#include <math.h>

enum { GROUP = 256 };

/* float32 vectors that were normalised are within 1e-6 of it. */
#define UNIT_TOLERANCE 1e-5

typedef struct group {
    size_t first, n; /* rows */
    vt_product products[GROUP];
    vt_status statuses[GROUP];
    vt_put_result results[GROUP];
    vt_err errs[GROUP];
} group;

typedef struct faiss_import {
    vt_engine *e;
    const vt_faiss_import_options *o;
    vt_faiss *index;
    vt_collection collection;
    group group;
} faiss_import;

/* ---- lengths ---------------------------------------------------------------------------- */

static double length_of(const float *v, size_t dim) {
    double sum = 0;
    for (size_t i = 0; i < dim; i++)
        sum += (double)v[i] * v[i];
    return sqrt(sum);
}

static bool is_unit(double length) {
    return fabs(length - 1) <= UNIT_TOLERANCE;
}

static vt_status measure(const vt_faiss *index, vt_faiss_import_report *r, vt_err *err) {
    const vt_faiss_info *info = vt_faiss_describe(index);
    float *v = vt_alloc(info->dim, sizeof *v);
    if (!v)
        return vt_fail_nomem(err, info->dim * sizeof *v);
    *r = (vt_faiss_import_report){.vectors = info->count, .shortest = INFINITY};
    for (size_t row = 0; row < info->count; row++) {
        vt_faiss_vector(index, row, v);
        double length = length_of(v, info->dim);
        if (!isfinite(length) || length == 0)
            continue;
        r->normalised += !is_unit(length);
        r->shortest = fmin(r->shortest, length);
        r->longest = fmax(r->longest, length);
    }
    if (r->longest == 0)
        r->shortest = 0;
    free(v);
    return VT_OK;
}

static vt_status check_fits(const faiss_import *im, const vt_faiss_import_report *r, vt_err *err) {
    size_t has = vt_faiss_describe(im->index)->dim, wanted = vt_clip_describe(im->e->clip)->dim;
    if (has != wanted)
        return vt_fail(err, VT_E_MISMATCH,
                       "%s: vectors of %zu dimensions, but the model makes %zu: they are not its",
                       im->o->index, has, wanted);
    if (im->o->keep_l2 && r->longest - r->shortest > UNIT_TOLERANCE * r->longest)
        return vt_fail(err, VT_E_INVALID,
                       "%s: lengths from %.6g to %.6g, and only vectors of one length keep their "
                       "order under L2 in a catalogue, which compares directions",
                       im->o->index, r->shortest, r->longest);
    return VT_OK;
}

/* ---- store and tell --------------------------------------------------------------------- */

static vt_status take_vector(const faiss_import *im, size_t row, vt_product *p, vt_err *err) {
    size_t dim = vt_faiss_describe(im->index)->dim;
    p->embedding = vt_alloc(dim, sizeof *p->embedding);
    if (!p->embedding)
        return vt_fail_nomem(err, dim * sizeof *p->embedding);
    vt_faiss_vector(im->index, row, p->embedding);
    if (is_unit(length_of(p->embedding, dim)) || vt_vec_normalize(p->embedding, dim) > 0)
        return VT_OK;
    return vt_fail(err, VT_E_INVALID, "the vector is zero, or not finite");
}

/* No picture is known, so its hash stays zero, which is no picture's. */
static vt_status prepare(const faiss_import *im, size_t row, vt_product *p, vt_err *err) {
    json_t *json = vt_collection_product(&im->collection, row);
    vt_status s = json ? vt_product_from_json(json, p, err) : vt_fail_nomem(err, 64);
    json_decref(json);
    return s == VT_OK ? take_vector(im, row, p, err) : s;
}

/* What could not be prepared is not handed over, and keeps its own status. */
static void store(faiss_import *im) {
    group *g = &im->group;
    vt_status statuses[GROUP];
    vt_put_result results[GROUP];
    vt_product ready[GROUP];
    vt_err errs[GROUP];
    size_t n = 0;
    for (size_t i = 0; i < g->n; i++) {
        g->statuses[i] = prepare(im, g->first + i, &g->products[i], &g->errs[i]);
        if (g->statuses[i] == VT_OK)
            ready[n++] = g->products[i];
    }
    vt_catalog_put_many(im->e->catalog, ready, n, statuses, results, errs);
    n = 0;
    for (size_t i = 0; i < g->n; i++) {
        if (g->statuses[i] != VT_OK)
            continue;
        g->results[i] = results[n];
        if ((g->statuses[i] = statuses[n]) != VT_OK)
            g->errs[i] = errs[n];
        n++;
    }
}

static void tell(const faiss_import *im, const group *g) {
    for (size_t i = 0; i < g->n; i++) {
        vt_ingest_result result;
        vt_import_line line = {.line = g->first + i + 1,
                               .id = im->collection.rows[g->first + i].id,
                               .status = g->statuses[i],
                               .result = &result,
                               .err = &g->errs[i]};
        vt_ingestion_tell(im->e, g->statuses[i], false,
                          g->statuses[i] == VT_OK ? g->results[i] : VT_PUT_UNCHANGED, &result);
        im->o->fn(im->o->ctx, &line);
    }
}

static void bring_over(faiss_import *im) {
    size_t count = vt_faiss_describe(im->index)->count;
    group *g = &im->group;
    for (g->first = 0; g->first < count; g->first += g->n) {
        if (im->o->stopped && im->o->stopped(im->o->ctx))
            return;
        g->n = count - g->first < GROUP ? count - g->first : GROUP;
        for (size_t i = 0; i < g->n; i++)
            vt_product_init(&g->products[i]);
        store(im);
        tell(im, g);
        for (size_t i = 0; i < g->n; i++)
            vt_product_release(&g->products[i]);
    }
}

vt_status vt_engine_import_faiss(vt_engine *e, const vt_faiss_import_options *o,
                                 vt_faiss_import_report *report, vt_err *err) {
    faiss_import *im = vt_alloc(1, sizeof *im);
    vt_status s;
    *report = (vt_faiss_import_report){0};
    if (!im)
        return vt_fail_nomem(err, sizeof *im);
    im->e = e;
    im->o = o;
    s = vt_faiss_open(o->index, &im->index, err);
    if (s == VT_OK)
        s = measure(im->index, report, err);
    if (s == VT_OK)
        s = check_fits(im, report, err);
    if (s == VT_OK)
        s = vt_collection_read(o, im->index, &im->collection, err);
    if (s == VT_OK)
        bring_over(im);
    vt_collection_release(&im->collection);
    vt_faiss_close(im->index);
    free(im);
    return s;
}
