/* engine: the only room that joins the others. A product comes in (ingest), a query comes in
 * (search); both walks are one function each in ingest.c and search.c. Requests are JSON objects
 * as the API documents them (openapi.json), answers are JSON text, so that the HTTP server and
 * the command line say the same thing. Thread-safe once open. */
#ifndef VT_ENGINE_H
#define VT_ENGINE_H

#include "base/base.h"

typedef struct vt_engine vt_engine;

typedef struct vt_engine_options {
    const char *data_dir;           /* "data"; NULL: no catalogue, for vt_engine_detect_category
                                     * with labels and nothing else */
    bool must_exist;                /* a data folder without a catalogue is E_NOT_FOUND */
    const char *model_dir;          /* a Hugging Face CLIPModel folder */
    const char *isa;                /* NULL or "auto", else VITRINE_ISA's values */
    const char *precision;          /* NULL or "auto", "f32", "bf16", "int8": see vt_clip_open */
    unsigned threads;               /* of one computation; 0: online processors */
    const char *const *fetch_allow; /* see vt_net_options.allow; NULL: public addresses only */
    size_t cache_bytes;             /* answer cache; 0 turns it off */
    uint32_t cache_ttl_s;
    size_t vector_cache_bytes; /* cache of queries' vectors; 0 turns it off */
    bool upkeep; /* for a server: a background thread keeps the index in shape and audits
                  * searches */
} vt_engine_options;

void vt_engine_defaults(vt_engine_options *o); /* 64 MiB, 3600 s, 16 MiB, the rest zero */

/* Loads model, catalogue and index, one log line a stage with counts, sizes and seconds, and runs
 * one inference of each tower, so that the first query is as fast as the next. */
vt_status vt_engine_open(const vt_engine_options *o, vt_log *log, vt_engine **out,
                         vt_err *err) VT_MUST_USE;
/* With upkeep it also writes a snapshot of the index, for some seconds at most. */
void vt_engine_close(vt_engine *e);

/* Once what the upkeep does to the index, on the calling thread: at the end of an import, so that
 * the server's first start is fast. Only without upkeep. `stopped`, asked now and then, ends it
 * early. Nothing depends on it: what fails is logged and left to the server. */
void vt_engine_tend(vt_engine *e, bool (*stopped)(void *ctx), void *ctx);

/* ---- a product comes in ----------------------------------------------------------------- */

typedef struct vt_ingest_result {
    const char *result; /* "created", "updated", "unchanged"; static */
    bool encoded;       /* the image went through the model (false: its vector was there already) */
} vt_ingest_result;

/* product: {id, name, description, image_url, category, price, attributes, image}. The picture is
 * `image` bytes where given (not NULL), else the member "image" (base64, data: URL allowed), else
 * downloaded from image_url. Returns when durable and searchable. Errors name the field. */
vt_status vt_engine_ingest(vt_engine *e, const json_t *product, const void *image, size_t image_len,
                           vt_ingest_result *result, vt_err *err) VT_MUST_USE;

/* ---- many products come in -------------------------------------------------------------- */

/* vt_engine_ingest for many, as a pipeline in the bulk lane, where it makes room for queries: lines
 * are fed in order, worked on by several threads, and their results told in the order they were
 * fed. */
typedef struct vt_import vt_import;

typedef struct vt_import_line {
    uint64_t line;  /* as fed */
    const char *id; /* product id; "" where the line had none */
    vt_status status;
    const vt_ingest_result *result; /* valid when status is OK */
    const vt_err *err;              /* valid when it is not */
} vt_import_line;

/* Called for each line fed, in order, from one thread at a time, never while a lock is held that
 * vt_import_feed needs. */
typedef void (*vt_import_fn)(void *ctx, const vt_import_line *line);

typedef struct vt_import_options {
    const char *image_dir; /* not NULL: a line's "image" is a path, relative to this folder, or an
                            * http(s) URL; NULL: it is base64 (never a path: lines from the network
                            * must not read the server's files) */
    unsigned workers;      /* lines whose pictures are read or downloaded at once; 0: a sensible
                            * number */
    vt_import_fn fn;
    void *ctx;
} vt_import_options;

vt_status vt_import_open(vt_engine *e, const vt_import_options *o, vt_import **out,
                         vt_err *err) VT_MUST_USE;
/* One product as a JSON object in text (copied). Waits while the queue is full. Only E_NOMEM fails
 * here; what is wrong with the line itself is told through fn. */
vt_status vt_import_feed(vt_import *im, uint64_t line, const char *json, size_t n,
                         vt_err *err) VT_MUST_USE;
/* Feeds a line that could not even be read, so that it is told in its place. */
vt_status vt_import_feed_error(vt_import *im, uint64_t line, const vt_err *why,
                               vt_err *err) VT_MUST_USE;
/* Waits until every line fed has been told, then frees. NULL is allowed. */
void vt_import_close(vt_import *im);

/* The sum of an import's lines. */
typedef struct vt_import_counts {
    uint64_t lines, created, updated, unchanged, failed;
    uint64_t encoded; /* pictures that went through the model */
} vt_import_counts;

void vt_import_count(vt_import_counts *c, const vt_import_line *l);
/* One object: {line, id, status, and for an error code, detail and, of a field, pointer}. */
void vt_import_line_write(const vt_import_line *l, vt_json *w);
/* The members of an object that the caller opens and closes. */
void vt_import_counts_write(const vt_import_counts *c, vt_json *w);

/* Reads records out of a file's bytes, fed in pieces of any size: JSON lines as they are, CSV rows
 * (RFC 4180, header line first, separator ',' ';' or tab told by the header) as JSON objects:
 * columns id, name, description, image, image_url, category, price, attributes (JSON), and
 * attributes.* (each a string, number or boolean by its form). Unknown columns are refused by name.
 */
typedef struct vt_rows vt_rows;
typedef enum vt_rows_format { VT_ROWS_JSONL, VT_ROWS_CSV } vt_rows_format;
/* line: number of the record's first line, from 1. json is NULL where the record could not be read
 * and err says why; reading goes on with the next. A status that is not OK stops the reading. */
typedef vt_status (*vt_row_fn)(void *ctx, uint64_t line, const char *json, size_t n,
                               const vt_err *why, vt_err *err);
vt_status vt_rows_open(vt_rows_format format, size_t max_line, vt_row_fn fn, void *ctx,
                       vt_rows **out, vt_err *err) VT_MUST_USE;
vt_status vt_rows_feed(vt_rows *r, const char *bytes, size_t n, vt_err *err) VT_MUST_USE;
vt_status vt_rows_finish(vt_rows *r, vt_err *err) VT_MUST_USE; /* the last line may lack its end */
void vt_rows_close(vt_rows *r);

/* ---- collections of FAISS come in and go out --------------------------------------------- */

/* Products whose vectors lie in a FAISS index, computed by the model that this engine has (which
 * nobody can verify but for their dimension). Their pictures are not known here: a product that
 * comes in later with its picture is encoded. */
typedef struct vt_faiss_import_options {
    const char *index;    /* IndexFlat, IVFFlat, HNSWFlat, or an IDMap over one of them */
    const char *ids;      /* JSON: a list, in which FAISS's id n is at place n, or an object from
                           * FAISS's ids to products' */
    const char *labels;   /* JSON: an object by product id, or a list as that of the ids: the
                           * category. NULL: none */
    const char *metadata; /* the same: objects with name, description, image_url, category, price,
                           * attributes; other members become attributes. NULL: none */
    const char *category; /* the index holds the ids with this label, in their order; NULL: all */
    bool keep_l2;         /* refuse vectors of different lengths */
    vt_import_fn fn;      /* called for each vector in order; its line counts them from 1 */
    bool (*stopped)(void *ctx); /* asked now and then: true ends the import early; may be NULL */
    void *ctx;
} vt_faiss_import_options;

typedef struct vt_faiss_import_report {
    size_t vectors, normalised; /* normalised: those whose length was not 1 */
    double shortest, longest;   /* lengths of the finite ones */
} vt_faiss_import_report;

/* Stores the products without computing a vector. report is complete before the first line is told.
 * Nothing is stored on failure: E_MISMATCH for vectors that the model cannot have made, E_INVALID
 * for ids that do not fit, and with keep_l2 for lengths that differ; what vt_faiss_open says. */
vt_status vt_engine_import_faiss(vt_engine *e, const vt_faiss_import_options *o,
                                 vt_faiss_import_report *report, vt_err *err) VT_MUST_USE;
/* Writes all vectors, in order of product id, as an IndexFlatIP; with id_map as an IndexIDMap over
 * it. ids, where not NULL: a file for the list of product ids, FAISS's id n at place n. */
vt_status vt_engine_export_faiss(vt_engine *e, const char *index, const char *ids, bool id_map,
                                 size_t *count, vt_err *err) VT_MUST_USE;

/* ---- a query comes in ------------------------------------------------------------------- */

/* request: {text_query | image_url | image (base64), top_k, category_filter, price_min, price_max,
 * filter, detect_category, recall, explain}. image bytes, where given, take the place of the member
 * "image". recall: the share of the true answer that is wished for. answer
 * gets {query_type, top_k, total_results, results[], cached, execution_time_ms}, and with
 * detect_category (pictures without a category filter only) detected_category {category,
 * confidence, applied}: when sure, the search stays inside that category; with explain {way,
 * query_kind, recall, selectivity, rows, matches, cells, cells_probed, rows_estimated, rows_scored,
 * expected_us {exact, estimated}, encode_ms, search_ms}, and then it is never from the cache. */
vt_status vt_engine_search(vt_engine *e, const json_t *request, const void *image, size_t image_len,
                           vt_buf *answer, vt_err *err) VT_MUST_USE;

/* ---- how good the answers are ------------------------------------------------------------- */

/* Judged queries, asked as customers ask and measured. A line is {"query": words | "image": a path
 * or an http(s) URL | "image_url", "relevant": [ids] | a filter object (what matches is relevant),
 * and if wanted "filter": as a search's, "exclude": [ids] that are no answer (the query's own
 * product), "group": a name}. */
typedef struct vt_eval vt_eval;

typedef struct vt_eval_options {
    const char *image_dir; /* "image" paths are relative to this folder */
    size_t top_k;          /* 1..1000: the k of every figure */
} vt_eval_options;

vt_status vt_eval_open(vt_engine *e, const vt_eval_options *o, vt_eval **out,
                       vt_err *err) VT_MUST_USE;
void vt_eval_close(vt_eval *ev);
/* Asks one line. What is wrong with the line itself is noted for the report and no failure; the
 * statuses that fail here (E_NOMEM, E_IO, E_CORRUPT...) are the engine's own. */
vt_status vt_eval_feed(vt_eval *ev, uint64_t line, const char *json, size_t n,
                       vt_err *err) VT_MUST_USE;
/* Notes a line that could not even be read. */
vt_status vt_eval_feed_error(vt_eval *ev, uint64_t line, const vt_err *why,
                             vt_err *err) VT_MUST_USE;
/* {top_k, resamples, overall, groups: [...], worst: [...], outcomes: [...], broken: [...]}. overall
 * and each group: {group (null: overall), queries, measured, without_relevant,
 * fewer_than_k_relevant, more_than_k_relevant, unknown_ids, and {mean, low, high} of precision,
 * recall, mrr, ndcg (null where nothing was measured)}. Figures are defined in ranking.h. */
vt_status vt_eval_report(const vt_eval *ev, vt_buf *answer, vt_err *err) VT_MUST_USE;

/* ---- which category a picture belongs to ------------------------------------------------- */

/* request: {image_url | image (base64), labels}. By the catalogue's categories, their words and
 * their products' pictures; with labels (2..1000 different strings) by these words alone. answer
 * gets {category, confidence, sure, categories[], execution_time_ms}: at most 5, best first.
 * E_INVALID at /labels where neither labels nor categories are there. */
vt_status vt_engine_detect_category(vt_engine *e, const json_t *request, const void *image,
                                    size_t image_len, vt_buf *answer, vt_err *err) VT_MUST_USE;
/* How far its confidence can be trusted, measured on the catalogue's own products (at most 2,000),
 * each left out of its category and of its own calibration: {products, right,
 * expected_calibration_error, calibration {}, bins[]}. */
vt_status vt_engine_reliability(vt_engine *e, vt_buf *answer, vt_err *err) VT_MUST_USE;

/* ---- looking around --------------------------------------------------------------------- */

vt_status vt_engine_get(vt_engine *e, const char *id, vt_buf *answer, vt_err *err) VT_MUST_USE;
vt_status vt_engine_delete(vt_engine *e, const char *id, vt_err *err) VT_MUST_USE;
/* {products: [...], next: "id" | null}: page after id `after` ("": first), 1..1000 a page; filter
 * as in a search, NULL for none. */
vt_status vt_engine_list(vt_engine *e, const char *after, size_t limit, const json_t *filter,
                         vt_buf *answer, vt_err *err) VT_MUST_USE;
vt_status vt_engine_collections(vt_engine *e, vt_buf *answer, vt_err *err) VT_MUST_USE;
/* The index's state: {state: "ready" | "rebuilding" | "learning" | "saving", cells, from_snapshot,
 * ...}. Waits for nobody. */
void vt_engine_index_write(vt_engine *e, vt_json *w);
/* Everything countable: products, categories, sizes, cache, model, index, audit, counters. */
vt_status vt_engine_stats(vt_engine *e, vt_buf *answer, vt_err *err) VT_MUST_USE;
/* The engine's part of /metrics, Prometheus text format 0.0.4. */
vt_status vt_engine_metrics(vt_engine *e, vt_buf *answer, vt_err *err) VT_MUST_USE;
/* What a model folder is, without a catalogue: {identity, dim, ...} and the seconds to load it. Of
 * the options only those of the model count. */
vt_status vt_engine_model_info(const vt_engine_options *o, vt_buf *answer, vt_err *err) VT_MUST_USE;
/* See vt_catalog_check. */
vt_status vt_engine_check(const char *data_dir,
                          void (*say)(void *ctx, bool problem, const char *line), void *ctx,
                          size_t *problems, vt_err *err) VT_MUST_USE;

#endif
