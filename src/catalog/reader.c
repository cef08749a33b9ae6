/* The reading connections. A query holds one while it scans and reads its rows, a look-up for the
 * microseconds that its row takes, and who finds none free waits; more than there are processors
 * would not be faster. Each is read-only, has its statements prepared once, and reads whole states:
 * WAL gives it a snapshot that the writer neither waits for nor disturbs.
 *
 * The pool's mutex guards only who has which connection; it is never held while one is used or
 * opened. No caller's code runs while a connection is taken, so a slow consumer of a list never
 * holds a snapshot open (which would keep the log from being reused). */
#include "catalog/reader.h"

#include <math.h>
#include <pthread.h>

#include "catalog/row.h"

enum { POOL = 32 };

struct vt_reader {
    sqlite3 *db; /* NULL until first needed */
    sqlite3_stmt *begin, *pin, *end, *by_row, *embedding, *by_id, *vector, *page;
    float *
        scratch; /* [dim]: a row's vector is copied out of SQLite's page, where it lies unaligned */
    size_t dim;
    bool taken;
};

struct vt_readers {
    pthread_mutex_t lock; /* of `taken` */
    pthread_cond_t given;
    char *path, *vfs;
    size_t dim;
    vt_reader all[POOL];
};

vt_status vt_readers_open(const char *path, const char *vfs, size_t dim, vt_readers **out,
                          vt_err *err) {
    vt_readers *rs = vt_alloc(1, sizeof *rs);
    *out = NULL;
    if (!rs)
        return vt_fail_nomem(err, sizeof *rs);
    pthread_mutex_init(&rs->lock, NULL);
    pthread_cond_init(&rs->given, NULL);
    rs->dim = dim;
    rs->path = vt_strdup(path);
    rs->vfs = vfs ? vt_strdup(vfs) : NULL;
    if (!rs->path || (vfs && !rs->vfs)) {
        vt_readers_close(rs);
        return vt_fail_nomem(err, strlen(path));
    }
    *out = rs;
    return VT_OK;
}

static void reader_close(vt_reader *r) {
    sqlite3_stmt *stmts[] = {r->begin,     r->pin,   r->end,    r->by_row,
                             r->embedding, r->by_id, r->vector, r->page};
    for (size_t i = 0; i < sizeof stmts / sizeof stmts[0]; i++)
        sqlite3_finalize(stmts[i]);
    sqlite3_close(r->db);
    free(r->scratch);
    *r = (vt_reader){.taken = r->taken};
}

void vt_readers_close(vt_readers *rs) {
    if (!rs)
        return;
    for (size_t i = 0; i < POOL; i++)
        reader_close(&rs->all[i]);
    pthread_cond_destroy(&rs->given);
    pthread_mutex_destroy(&rs->lock);
    free(rs->path);
    free(rs->vfs);
    free(rs);
}

static vt_status reader_open(const vt_readers *rs, vt_reader *r, vt_err *err) {
    const struct {
        sqlite3_stmt **stmt;
        const char *sql;
    } wanted[] = {
        {&r->begin, "BEGIN"},
        {&r->pin, "SELECT seq FROM meta"},
        {&r->end, "COMMIT"},
        {&r->by_row, "SELECT " VT_ROW_COLUMNS " FROM product WHERE row = ?1"},
        {&r->embedding, "SELECT embedding FROM product WHERE row = ?1 AND seq = ?2"},
        {&r->by_id, "SELECT " VT_ROW_COLUMNS ", embedding FROM product WHERE id = ?1"},
        {&r->vector, "SELECT embedding FROM product WHERE id = ?1 AND image_hash = ?2"},
        {&r->page, "SELECT " VT_ROW_COLUMNS " FROM product WHERE id > ?1 ORDER BY id LIMIT ?2"},
    };
    vt_status s = vt_sql_open(rs->path, SQLITE_OPEN_READONLY, rs->vfs, &r->db, err);
    r->dim = rs->dim;
    r->scratch = vt_alloc(r->dim, sizeof *r->scratch);
    if (s == VT_OK && !r->scratch)
        s = vt_fail_nomem(err, r->dim * sizeof *r->scratch);
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0] && s == VT_OK; i++)
        s = vt_sql_prepare(r->db, wanted[i].sql, wanted[i].stmt, err);
    if (s != VT_OK)
        reader_close(r);
    return s;
}

/* A free connection, an open one first. */
static vt_reader *choose(vt_readers *rs) {
    vt_reader *unopened = NULL;
    for (size_t i = 0; i < POOL; i++) {
        if (rs->all[i].taken)
            continue;
        if (rs->all[i].db)
            return &rs->all[i];
        unopened = &rs->all[i];
    }
    return unopened;
}

static void give(vt_readers *rs, vt_reader *r) {
    if (!r)
        return;
    pthread_mutex_lock(&rs->lock);
    r->taken = false;
    pthread_cond_signal(&rs->given);
    pthread_mutex_unlock(&rs->lock);
}

static vt_status take(vt_readers *rs, vt_reader **out, vt_err *err) {
    vt_reader *r;
    vt_status s = VT_OK;
    pthread_mutex_lock(&rs->lock);
    while (!(r = choose(rs)))
        pthread_cond_wait(&rs->given, &rs->lock);
    r->taken = true;
    pthread_mutex_unlock(&rs->lock);
    if (!r->db)
        s = reader_open(rs, r, err);
    if (s != VT_OK) {
        give(rs, r);
        r = NULL;
    }
    *out = r;
    return s;
}

static vt_status bind_id(sqlite3_stmt *stmt, const char *id, vt_err *err) {
    return sqlite3_bind_text(stmt, 1, id, -1, SQLITE_STATIC) == SQLITE_OK
               ? VT_OK
               : vt_sql_fail(sqlite3_db_handle(stmt), "look for a product", err);
}

vt_status vt_readers_get(vt_readers *rs, const char *id, vt_product *out, vt_err *err) {
    vt_reader *r;
    bool found;
    int64_t row;
    vt_status s = take(rs, &r, err);
    if (s != VT_OK)
        return s;
    s = bind_id(r->by_id, id, err);
    if (s == VT_OK)
        s = vt_sql_step(r->by_id, "read a product", &found, err);
    if (s == VT_OK)
        s = found ? vt_row_read(r->by_id, rs->dim, &row, out, err)
                  : vt_fail(err, VT_E_NOT_FOUND, "there is no product \"%.255s\"", id);
    vt_sql_reset(r->by_id);
    give(rs, r);
    return s;
}

static vt_status copy_vector(sqlite3_stmt *stmt, size_t dim, float *embedding, vt_err *err) {
    const void *bytes = sqlite3_column_blob(stmt, 0);
    if (!bytes || (size_t)sqlite3_column_bytes(stmt, 0) != dim * sizeof *embedding)
        return vt_fail(err, VT_E_CORRUPT, "%.200s: an embedding does not have the model's length",
                       sqlite3_db_filename(sqlite3_db_handle(stmt), "main"));
    memcpy(embedding, bytes, dim * sizeof *embedding);
    return VT_OK;
}

vt_status vt_readers_vector(vt_readers *rs, const char *id, const vt_hash *image, float *embedding,
                            bool *found, vt_err *err) {
    vt_reader *r;
    vt_status s = take(rs, &r, err);
    *found = false;
    if (s != VT_OK)
        return s;
    s = bind_id(r->vector, id, err);
    if (s == VT_OK && sqlite3_bind_blob(r->vector, 2, image->bytes, sizeof image->bytes,
                                        SQLITE_STATIC) != SQLITE_OK)
        s = vt_sql_fail(r->db, "look for a vector", err);
    if (s == VT_OK)
        s = vt_sql_step(r->vector, "read a vector", found, err);
    if (s == VT_OK && *found)
        s = copy_vector(r->vector, rs->dim, embedding, err);
    if (s != VT_OK)
        *found = false;
    vt_sql_reset(r->vector);
    give(rs, r);
    return s;
}

vt_status vt_readers_page(vt_readers *rs, const char *after, vt_product *all, size_t n,
                          size_t *n_read, vt_err *err) {
    vt_reader *r;
    bool more = true;
    int64_t row;
    vt_status s = take(rs, &r, err);
    *n_read = 0;
    if (s != VT_OK)
        return s;
    s = bind_id(r->page, after, err);
    sqlite3_bind_int64(r->page, 2, (sqlite3_int64)n); /* cannot fail */
    while (s == VT_OK && *n_read < n) {
        s = vt_sql_step(r->page, "read the products", &more, err);
        if (s != VT_OK || !more)
            break;
        s = vt_row_read(r->page, 0, &row, &all[*n_read], err);
        if (s == VT_OK)
            ++*n_read;
    }
    vt_sql_reset(r->page);
    give(rs, r);
    return s;
}

/* Scores and products are read apart, each with the columns it needs: more are scored than become
 * products, and a product's attributes alone take longer to parse than its vector to score. Of
 * 200,000 products 18 are scored in 60 us, and the 10 best then read in 22, their pages being in
 * SQLite's cache by then; reading 10 alone, without their vectors, takes 44. */
static vt_status score_hit(vt_reader *r, const float *vector, vt_found *found, vt_err *err) {
    bool there;
    vt_status s;
    found->score = NAN;
    sqlite3_bind_int64(r->embedding, 1, found->row); /* cannot fail */
    sqlite3_bind_int64(r->embedding, 2, (sqlite3_int64)found->seq);
    s = vt_sql_step(r->embedding, "read a vector", &there, err);
    if (s == VT_OK && there)
        s = copy_vector(r->embedding, r->dim, r->scratch, err);
    if (s == VT_OK && there)
        found->score = vt_vec_dot(vector, r->scratch, r->dim);
    vt_sql_reset(r->embedding);
    return s;
}

vt_status vt_reader_score(vt_reader *r, const float *vector, vt_found *found, size_t n,
                          vt_err *err) {
    vt_status s = VT_OK;
    for (size_t i = 0; i < n && s == VT_OK; i++)
        s = score_hit(r, vector, &found[i], err);
    return s;
}

static vt_status read_hit(vt_reader *r, const vt_found *found, vt_catalog_hit *hit, vt_err *err) {
    bool there;
    int64_t row;
    vt_status s;
    sqlite3_bind_int64(r->by_row, 1, found->row); /* cannot fail */
    s = vt_sql_step(r->by_row, "read a product", &there, err);
    if (s == VT_OK) /* in this very state it had a vector a moment ago */
        s = there ? vt_row_read(r->by_row, 0, &row, &hit->product, err)
                  : vt_fail(err, VT_E_CORRUPT, "%.200s: row %lld comes and goes",
                            sqlite3_db_filename(r->db, "main"), (long long)found->row);
    hit->score = found->score;
    vt_sql_reset(r->by_row);
    return s;
}

vt_status vt_reader_hits(vt_reader *r, const vt_found *found, size_t n, vt_catalog_hit *hits,
                         size_t *n_hits, vt_err *err) {
    vt_status s = VT_OK;
    for (*n_hits = 0; *n_hits < n && s == VT_OK; *n_hits += s == VT_OK) {
        vt_product_init(&hits[*n_hits].product);
        s = read_hit(r, &found[*n_hits], &hits[*n_hits], err);
    }
    return s;
}

vt_status vt_readers_pin(vt_readers *rs, vt_reader **out, vt_err *err) {
    bool row;
    vt_status s = take(rs, out, err);
    if (s != VT_OK)
        return s;
    s = vt_sql_run((*out)->begin, "begin to read", err);
    if (s == VT_OK) /* a transaction sees what is there at its first read, not at its begin */
        s = vt_sql_step((*out)->pin, "begin to read", &row, err);
    vt_sql_reset((*out)->pin);
    if (s != VT_OK) {
        vt_readers_unpin(rs, *out);
        *out = NULL;
    }
    return s;
}

void vt_readers_unpin(vt_readers *rs, vt_reader *r) {
    vt_err ignored;
    if (!r)
        return;
    if (!sqlite3_get_autocommit(r->db) && vt_sql_run(r->end, "end reading", &ignored) != VT_OK)
        reader_close(r); /* it cannot let its state go: opened anew when next needed */
    give(rs, r);
}
