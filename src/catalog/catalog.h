/* catalog: the products. SQLite is the truth (one row a product: its fields, its vector, the hash
 * of its image, a monotone change number `seq`); columns, bitsets and the index in memory are
 * derived from it at open. One writer thread owns the only writing connection and commits in
 * groups; a call that returns OK is on disk (WAL, synchronous=FULL). Thread-safe throughout. */
#ifndef VT_CATALOG_H
#define VT_CATALOG_H

#include "base/base.h"
#include "index/index.h"

/* ---- product ---------------------------------------------------------------------------- */

#define VT_PRODUCT_ID_MAX   255   /* bytes, >= 1 */
#define VT_PRODUCT_TEXT_MAX 65536 /* bytes of name, description, image_url, category each */
#define VT_ATTRIBUTES_MAX   65536 /* bytes of the attributes as compact JSON */
#define VT_ATTRIBUTES_DEPTH 8     /* levels of objects and arrays, the outer object is 1 */

typedef struct vt_product {
    char *id;           /* 1..255 bytes UTF-8, no control characters; never NULL once valid */
    char *name;         /* never NULL; 1.. bytes */
    char *description;  /* never NULL, may be "" */
    char *image_url;    /* never NULL, may be "" (image given as bytes) */
    char *category;     /* never NULL, may be "" (none) */
    double price;       /* >= 0, finite; NAN: not given */
    json_t *attributes; /* an object, never NULL once valid */
    float *embedding;   /* dim floats, unit length; NULL where not loaded */
    vt_hash image_hash; /* SHA-256 of the image's bytes */
    int64_t created_at, updated_at; /* Unix milliseconds */
    uint64_t seq;                   /* change number of its last write */
} vt_product;

void vt_product_init(vt_product *p);
void vt_product_release(vt_product *p);
/* Fills the shop fields of p (initialised; what it held is released) from a JSON object {id, name,
 * description, image_url, category, price, attributes}; other members are not looked at. Required:
 * id, name. E_INVALID names the field by JSON pointer and the reason. */
vt_status vt_product_from_json(const json_t *object, vt_product *p, vt_err *err) VT_MUST_USE;
/* Members product_id, name, description, image_url, price (or null), category, attributes: the
 * order of a search result. The caller opens and closes the object around it. */
void vt_product_write(const vt_product *p, vt_json *w);

/* ---- filter ----------------------------------------------------------------------------- */

/* Conditions that all hold:
 *   category: "x" | ["x", "y"]      the category is (one of) these, at most 64
 *   ids: ["x", "y"]                 the product's id is one of these, at most 1000
 *   price_min: 1, price_max: 2      the price is within; no price is within no bound
 *   attributes.a.b: v | [v, w]      the value at path a, b equals v (string, number, boolean or
 *                                   null) or one of at most 64, or, where the path ends at an
 *                                   array, one of its elements does
 *   attributes.a.b: {min: 1, max: 2}   the same, for a number from min to max; one may be absent
 *   and: [f, g], or: [f, g], not: f    filters, at most 8 levels and 256 conditions in all
 * A condition on what a product does not have does not hold, and `not` holds exactly where its
 * filter does not: {"not": {"price_max": 10}} matches products without a price too. */
typedef struct vt_filter vt_filter;

/* From a JSON object. NULL or {} gives the filter that matches all; a member that is null is not
 * there, but for attributes. `at` is the JSON pointer prefix for errors ("/filter"). E_INVALID
 * names the member ("/filter/or/1/price_min"). */
vt_status vt_filter_from_json(const json_t *object, const char *at, vt_filter **out,
                              vt_err *err) VT_MUST_USE;
void vt_filter_close(vt_filter *f);
/* Adds the condition that the category is this one, to those that are there. E_NOMEM: the filter is
 * unchanged. */
vt_status vt_filter_add_category(vt_filter *f, const char *category, vt_err *err) VT_MUST_USE;
/* The canonical text: filters that differ only in order, repetition, `and` in `and`, `or` in `or`,
 * or one of these around a single filter give equal bytes. It reads back as the same filter. */
void vt_filter_write(const vt_filter *f, vt_buf *out);
/* The definition, evaluated on one product without any index: what tests compare against. */
bool vt_filter_matches(const vt_filter *f, const vt_product *p);

/* ---- catalogue -------------------------------------------------------------------------- */

typedef struct vt_catalog vt_catalog;

/* One line for a person; problem: one that should not be. */
typedef void (*vt_say_fn)(void *ctx, bool problem, const char *line);

typedef struct vt_catalog_options {
    const char *dir;        /* the data folder; created where missing */
    size_t dim;             /* of the model's vectors */
    vt_hash model;          /* the model's identity */
    const char *model_name; /* for messages: the model folder's name */
    vt_pool *pool;          /* for scans; may be NULL; not owned */
    bool must_exist;        /* a folder without catalogue is E_NOT_FOUND, and left as it is */
    const char *vfs;        /* SQLite's file layer by name; NULL: its own (tests inject faults) */
    vt_say_fn say; /* while it opens: how far it is, and why it took the long way; or NULL */
    void *say_ctx;
} vt_catalog_options;

/* Takes the folder's lock (E_LOCKED), opens catalog.db, verifies schema and model (E_MISMATCH says
 * what to do), takes columns and index from index.snapshot, with what has changed since, or, where
 * there is none that can be used, builds them from all products (E_CORRUPT names the file, the row
 * and what to do). Call vt_vec_init before. */
vt_status vt_catalog_open(const vt_catalog_options *o, vt_catalog **out, vt_err *err) VT_MUST_USE;
void vt_catalog_close(vt_catalog *c); /* commits what was accepted */

typedef enum vt_put_result { VT_PUT_CREATED, VT_PUT_UPDATED, VT_PUT_UNCHANGED } vt_put_result;

/* Writes p (embedding set; created_at, updated_at, seq are filled in) and returns when it is
 * durable and searchable. Concurrent callers share a commit. UNCHANGED: an equal product is there
 * already, nothing was written. E_INVALID names the field; E_FULL and E_IO: nothing was written,
 * and later calls work again when the disk does; E_BUSY: another program is writing the file;
 * E_NOMEM: perhaps stored but not searchable until it is put again. */
vt_status vt_catalog_put(vt_catalog *c, vt_product *p, vt_put_result *result,
                         vt_err *err) VT_MUST_USE;
/* The same for n products in one hand-over; statuses[i], results[i] and errs[i] tell of each (an
 * id that comes twice: the later one wins). */
void vt_catalog_put_many(vt_catalog *c, vt_product *p, size_t n, vt_status *statuses,
                         vt_put_result *results, vt_err *errs);
/* The stored vector of product id if its image hash equals `image`: *found tells. embedding has
 * room for dim floats. What makes re-indexing compute nothing. */
vt_status vt_catalog_vector(vt_catalog *c, const char *id, const vt_hash *image, float *embedding,
                            bool *found, vt_err *err) VT_MUST_USE;
/* The product with its embedding; the caller releases it. E_NOT_FOUND. */
vt_status vt_catalog_get(vt_catalog *c, const char *id, vt_product *out, vt_err *err) VT_MUST_USE;
/* E_NOT_FOUND, E_FULL, E_IO, E_BUSY. Its change number is used up: seq never goes back. */
vt_status vt_catalog_delete(vt_catalog *c, const char *id, vt_err *err) VT_MUST_USE;

typedef vt_status (*vt_product_fn)(void *ctx, const vt_product *p, vt_err *err);

/* Products in order of id (bytes), from the first after `after` ("" = from the start), at most
 * limit, that match the filter (NULL: all), without embeddings. fn is called with no lock held and
 * may call the catalogue; one that fails stops the walk with its status. */
vt_status vt_catalog_list(vt_catalog *c, const char *after, size_t limit, const vt_filter *filter,
                          vt_product_fn fn, void *ctx, vt_err *err) VT_MUST_USE;

typedef struct vt_catalog_hit {
    vt_product product; /* without embedding */
    float score;        /* cosine similarity, [-1, 1] */
} vt_catalog_hit;

typedef struct vt_catalog_query {
    const float *vector;     /* dim floats, unit length */
    const vt_filter *filter; /* NULL: all products */
    size_t k;                /* 1.. */
    vt_query_kind kind;
    float recall; /* wished: (0, 1]; 0 stands for VT_RECALL_DEFAULT. With 1, and wherever the plan
                   * was VT_WAY_EXACT, the answer is exactly the k best */
} vt_catalog_query;

/* The k best products for the query among those that match, best first, ties by id. Scores are
 * those of the stored vectors, exactly. *hits is malloc'ed, min(k, matches) long; the caller
 * releases each product and frees it (vt_catalog_hits_release). plan, where not NULL, tells how it
 * was found. */
vt_status vt_catalog_search(vt_catalog *c, const vt_catalog_query *q, vt_catalog_hit **hits,
                            size_t *n_hits, vt_plan *plan, vt_err *err) VT_MUST_USE;
void vt_catalog_hits_release(vt_catalog_hit *hits, size_t n);

/* Rises with every change that a search could see, across restarts too: the `seq` of the last
 * change, and no two states of one database share one. */
uint64_t vt_catalog_generation(const vt_catalog *c);

/* ---- upkeep: for a background thread, one at a time; searches and puts go on meanwhile ------ */

/* Makes the index's cells anew where that is due (see vt_index_rebuild_due); *done tells whether it
 * was. What was learnt for the old cells is lost. `stopped`, asked now and then, ends it early. */
typedef bool (*vt_stopped_fn)(void *ctx);
vt_status vt_catalog_rebuild(vt_catalog *c, vt_stopped_fn stopped, void *ctx, bool *done,
                             vt_err *err) VT_MUST_USE;
/* See vt_tuning_open: teaches the index how far queries of a kind must look. *done is false where
 * there are no cells, or a rebuild or `stopped` came between. */
vt_status vt_catalog_learn(vt_catalog *c, vt_query_kind kind, const float *queries, size_t n,
                           vt_stopped_fn stopped, void *ctx, bool *done, vt_err *err) VT_MUST_USE;
float vt_catalog_fraction(vt_catalog *c, vt_query_kind kind, float recall); /* vt_index_fraction */
void vt_catalog_spend_more(vt_catalog *c, vt_query_kind kind, float factor);
/* Writes index.snapshot where it would save the next start much, or where `force` (after a rebuild
 * or learning, which are not changes): atomically, the one before is kept as index.snapshot.old
 * until a start has read the new one. Forgets what is known of changes that no snapshot is older
 * than. *done tells whether one was written. E_FULL, E_IO: the old one is still there. */
vt_status vt_catalog_save(vt_catalog *c, bool force, vt_stopped_fn stopped, void *ctx, bool *done,
                          vt_err *err) VT_MUST_USE;

typedef struct vt_catalog_stats {
    size_t products, categories;
    uint64_t seq, generation;
    uint64_t database_bytes, memory_bytes;
    uint64_t commits, rows_written;
    size_t dim;
    vt_hash model;
    char database_id[37]; /* random UUID given when the folder was made */
    double load_seconds;  /* what open took to read products and vectors, or the snapshot */
    double index_seconds; /* and to build columns and index, or to bring in what is newer */
    bool from_snapshot;
    uint64_t snapshot_seq; /* of the snapshot on disk; 0: none */
    size_t replayed;       /* changes brought in at open that were newer than the snapshot */
    size_t cells;          /* of the index; 0: every search is exact */
    vt_index_bytes index_bytes;
} vt_catalog_stats;

void vt_catalog_describe(vt_catalog *c, vt_catalog_stats *out);
/* Calls fn once per category in order of name, with its number of products. */
typedef vt_status (*vt_category_fn)(void *ctx, const char *category, size_t products, vt_err *err);
vt_status vt_catalog_categories(vt_catalog *c, vt_category_fn fn, void *ctx,
                                vt_err *err) VT_MUST_USE;

/* The categories as the model sees them, all of one state of the catalogue. Products without a
 * category are left out. */
typedef struct vt_category_vectors {
    uint64_t generation; /* of that state */
    size_t n, dim;
    char **names;     /* [n], in order of name (bytes) */
    size_t *products; /* [n], each 1 or more */
    float *means;     /* [n][dim]: means of the products' unit vectors, themselves shorter */
    size_t n_samples;
    uint32_t *sample_of; /* [n_samples]: the number of its category, ascending */
    float *samples;      /* [n_samples][dim]: vectors of products, evenly along the categories */
} vt_category_vectors;

/* min(max_samples, products with a category) samples, the same ones for the same products. Reads
 * every vector under the read lock, as a search does. E_NOMEM: out is empty. */
vt_status vt_catalog_category_vectors(vt_catalog *c, size_t max_samples, vt_category_vectors *out,
                                      vt_err *err) VT_MUST_USE;
void vt_category_vectors_release(vt_category_vectors *v);

/* E_NOT_FOUND where dir holds no catalog.db. */
vt_status vt_catalog_find(const char *dir, vt_err *err) VT_MUST_USE;

/* Verifies a data folder nobody has open: database integrity, every row (fields, vector length and
 * norm, seq unique and <= the counter), and that an index built from it finds each product. Calls
 * say with one line a finding, then one line a part that is sound. *problems counts findings; the
 * status is OK even then (other statuses: it could not be looked at). */
vt_status vt_catalog_check(const char *dir, vt_say_fn say, void *ctx, size_t *problems,
                           vt_err *err) VT_MUST_USE;

#endif
