/* The snapshots on disk: when one is written, how, and what a start makes of them.
 *
 * A snapshot is fuzzy (as database backups and ARIES' checkpoints are): it is written while
 * products change, in slices under the read lock, and nothing waits for it but for a slice. It
 * carries the change number S that memory stood at before its first byte. At load, what has changed
 * after S is left out and read anew from SQLite, of which the log of changes knows the ids.
 * Whatever a slice caught half old and half new is among these. saved.c says why the columns come
 * after the index, and the slots' numbers last of all.
 *
 * The one before is kept as index.snapshot.old until a start has read the new one, and the log of
 * changes back to it, so that a file that went bad on the disk costs a longer replay and no full
 * load. What cannot be used is said and removed: everything here can be made again.
 *
 * A file is used only if this database has written it. catalog.db has the roots of the files that
 * may be there (index/snapshot.c says what a root is), so that bytes that were changed and had
 * their checksums made again are refused as those are whose checksums are wrong; whoever writes to
 * catalog.db itself can change the products as well. The root is committed when the file is on the
 * disk and before it has its name, beside the roots of those that it takes the place of: whenever
 * the process ends, what lies there under a name is known. It is what was written that is noted,
 * and never read back from a file to be noted again, which may have changed since.
 *
 * When: a snapshot is worth its bytes when replaying would take a good part of a full load, that is
 * after 10 % of the products have changed. Fewer changes are worth it too, but not at any price: 1
 * KB a product for a second's replay at the next start, so that they wait longer the larger the
 * file is, for a megabyte a second at most. Below PRODUCTS_MIN loading everything takes
 * milliseconds.
 *
 * Threads: the opener's until the writer runs, then the one that keeps things up; seq and
 * from_snapshot are read by any. */
#include "catalog/snapshots.h"

#include <errno.h>
#include <unistd.h>

#include "catalog/saved.h"

enum {
    PRODUCTS_MIN = 2000,
    CHANGES_MIN = 1000,
    PAUSE_S = 60,         /* at least, where few changed, and after a failure */
    PRODUCTS_A_S = 1000,  /* 1 MB of snapshot */
    REBUILDS_MAX = 3,     /* that may come between before it waits for another time */
    FORGET_RUN = 4096,    /* changes a commit: the writer's thread does other things in between */
    CHANGES_SPARE = 10000 /* kept in any case, beside twice the products */
};

struct vt_snapshots {
    char *path, *old;
    vt_snapshot_key key;    /* but for its seq */
    _Atomic uint64_t seq;   /* of index.snapshot; 0: there is none */
    uint64_t old_seq;       /* of index.snapshot.old */
    vt_hash root, old_root; /* of the two; zeros where there is none or it could not be read */
    uint64_t changes_from;  /* see vt_meta */
    uint64_t tried_ns;
    bool failed; /* the last try */
    bool from_snapshot;
    vt_restored restored;
};

vt_status vt_snapshots_open(const char *dir, const vt_truth *truth, vt_snapshots **out,
                            vt_err *err) {
    vt_snapshots *s = vt_alloc(1, sizeof *s);
    *out = NULL;
    if (!s)
        return vt_fail_nomem(err, sizeof *s);
    s->path = vt_path_join(dir, "index.snapshot");
    s->old = vt_path_join(dir, "index.snapshot.old");
    if (!s->path || !s->old) {
        vt_snapshots_close(s);
        return vt_fail_nomem(err, strlen(dir));
    }
    memcpy(s->key.database_id, truth->meta->database_id, sizeof s->key.database_id);
    s->key.model = truth->meta->model;
    s->changes_from = truth->meta->changes_from;
    s->tried_ns = vt_now_ns();
    *out = s;
    return VT_OK;
}

void vt_snapshots_close(vt_snapshots *s) {
    if (!s)
        return;
    free(s->path);
    free(s->old);
    free(s);
}

void vt_snapshots_describe(const vt_snapshots *s, vt_catalog_stats *out) {
    out->snapshot_seq = atomic_load(&s->seq);
    out->from_snapshot = s->from_snapshot;
    if (!s->from_snapshot)
        return;
    out->replayed = s->restored.replayed;
    out->load_seconds = s->restored.load_seconds;
    out->index_seconds = s->restored.replay_seconds;
}

/* ---- load ------------------------------------------------------------------------------- */

/* Columns and index over the snapshot, which memory then owns. */
static vt_status adopt(vt_memory *m, vt_snapshot *snapshot, uint64_t seq, vt_err *err) {
    const size_t dim = vt_index_dim(m->index);
    vt_index *index = NULL;
    vt_columns columns;
    vt_status s = vt_columns_load(snapshot, seq, &columns, err);
    if (s != VT_OK)
        return s;
    s = vt_index_load(snapshot, dim, &columns.live, &index, err);
    if (s != VT_OK) {
        vt_columns_release(&columns);
        return s;
    }
    vt_columns_release(&m->columns);
    vt_index_close(m->index);
    m->columns = columns;
    m->index = index;
    return VT_OK;
}

typedef struct replay {
    vt_memory *memory;
    size_t n;
} replay;

static vt_status replay_one(void *ctx, const char *id, int64_t row, const vt_product *p,
                            vt_err *err) {
    replay *r = ctx;
    uint32_t slot;
    r->n++;
    if (p)
        return vt_memory_load(r->memory, row, p, err);
    if (vt_columns_remove(&r->memory->columns, id, &slot))
        vt_index_remove(r->memory->index, slot);
    return VT_OK;
}

/* Can the log of changes lead from there to the database as it is? */
static vt_status check_seq(const char *path, const vt_meta *meta, uint64_t seq, vt_err *err) {
    if (seq > meta->seq) /* catalog.db was put back from an older copy */
        return vt_fail(err, VT_E_MISMATCH, "%s is newer than catalog.db", path);
    if (seq < meta->changes_from)
        return vt_fail(err, VT_E_MISMATCH, "%s is too old: not all changes since are known", path);
    return VT_OK;
}

vt_status vt_snapshot_restore(const char *path, const vt_restoring *from, vt_memory **out,
                              vt_restored *told, vt_err *err) {
    const vt_meta *meta = from->truth.meta;
    const vt_snapshot_wanted wanted = {.database_id = meta->database_id,
                                       .model = &meta->model,
                                       .roots = meta->roots.of,
                                       .n_roots = VT_ROOTS};
    uint64_t start = vt_now_ns();
    replay r = {0};
    vt_memory *m = NULL;
    vt_status s = vt_memory_open(meta->dim, from->pool, &m, err);
    *out = NULL;
    *told = (vt_restored){0};
    if (s == VT_OK)
        s = vt_snapshot_open(path, &wanted, from->pool, &m->snapshot, &told->seq, err);
    if (s == VT_OK)
        s = check_seq(path, meta, told->seq, err);
    if (s == VT_OK)
        s = adopt(m, m->snapshot, told->seq, err);
    told->load_seconds = vt_seconds_since(start);
    r.memory = m;
    if (s == VT_OK && told->seq < meta->seq)
        s = vt_changes_replay(&from->truth, told->seq, replay_one, &r, err);
    told->replay_seconds = vt_seconds_since(start) - told->load_seconds;
    told->replayed = r.n;
    if (s != VT_OK) {
        vt_memory_close(m);
        return s;
    }
    *out = m;
    return VT_OK;
}

/* *seq: of the file afterwards. One that may be good another time stays, and counts as the oldest
 * that could be used, so that nothing it needs is forgotten. */
static vt_memory *try_file(vt_snapshots *s, const char *path, const vt_restoring *from,
                           uint64_t *seq, vt_say_fn say, void *ctx) {
    vt_memory *m;
    vt_err err;
    char line[VT_ERR_TEXT_MAX + 64];
    vt_status status = vt_snapshot_restore(path, from, &m, &s->restored, &err);
    *seq = status == VT_OK ? s->restored.seq : 0;
    if (status == VT_OK || status == VT_E_NOT_FOUND)
        return m;
    snprintf(line, sizeof line, "the snapshot of the index is not used: %s", err.text);
    if (say)
        say(ctx, true, line);
    if (status == VT_E_NOMEM || status == VT_E_IO)
        *seq = s->changes_from;
    else
        (void)unlink(path);
    return NULL;
}

vt_memory *vt_snapshots_load(vt_snapshots *s, const vt_restoring *from, vt_say_fn say, void *ctx) {
    uint64_t seq;
    vt_memory *m = try_file(s, s->path, from, &seq, say, ctx);
    vt_snapshot_sweep(s->path);
    if (m) {
        (void)unlink(s->old); /* proven */
    } else {
        m = try_file(s, s->old, from, &s->old_seq, say, ctx);
        if (m && seq == 0 && rename(s->old, s->path) == 0) {
            seq = s->old_seq;
            s->old_seq = 0;
        }
    }
    if (m)
        *(s->old_seq == 0 ? &s->root : &s->old_root) = vt_snapshot_root(m->snapshot);
    atomic_store(&s->seq, seq);
    s->from_snapshot = m != NULL;
    return m;
}

/* ---- save ------------------------------------------------------------------------------- */

static bool go_on(const vt_keeping *k) {
    vt_pool_give_way(k->memory->pool);
    return !k->stopped || !k->stopped(k->ctx);
}

static size_t count_products(vt_memory *m) {
    size_t n;
    pthread_rwlock_rdlock(&m->lock);
    n = m->columns.ids.n;
    pthread_rwlock_unlock(&m->lock);
    return n;
}

/* Memory that lacks a product would say of it, in the snapshot, that it does not exist. */
static bool is_due(const vt_snapshots *s, const vt_keeping *k, size_t products) {
    uint64_t changes = vt_memory_generation(k->memory) - atomic_load(&s->seq);
    double waited = vt_seconds_since(s->tried_ns);
    size_t many = products / 10 > CHANGES_MIN ? products / 10 : CHANGES_MIN;
    if (vt_memory_generation(k->memory) == 0 || atomic_load(&k->memory->lacking))
        return false;
    if (k->force)
        return true;
    if (products < PRODUCTS_MIN || changes == 0 || (s->failed && waited < PAUSE_S))
        return false;
    return changes > many || waited > PAUSE_S + (double)products / PRODUCTS_A_S;
}

/* *more stays true where it was stopped. */
static vt_status save_index(const vt_keeping *k, vt_snapshot_writer *w, bool *more, vt_err *err) {
    vt_memory *m = k->memory;
    uint64_t state = 0;
    vt_status s = VT_OK;
    *more = true;
    while (s == VT_OK && *more && go_on(k)) {
        pthread_rwlock_rdlock(&m->lock);
        s = vt_index_save(m->index, w, &state, more, err);
        pthread_rwlock_unlock(&m->lock);
        if (s == VT_OK)
            s = vt_snapshot_flush(w, err);
    }
    return s;
}

static vt_status save_columns(const vt_keeping *k, vt_snapshot_writer *w, bool *more, vt_err *err) {
    vt_memory *m = k->memory;
    vt_saving state = {0};
    vt_status s = VT_OK;
    *more = true;
    while (s == VT_OK && *more && go_on(k)) {
        pthread_rwlock_rdlock(&m->lock);
        s = vt_columns_save(&m->columns, w, &state, more, err);
        pthread_rwlock_unlock(&m->lock);
        if (s == VT_OK)
            s = vt_snapshot_flush(w, err);
    }
    return s;
}

/* The file that is there becomes the old one. Between this and the commit's rename there is only
 * that, which a start takes as well. */
static vt_status keep_old(vt_snapshots *s, vt_err *err) {
    vt_status status = vt_file_rename(s->path, s->old, err);
    if (status == VT_E_NOT_FOUND)
        return VT_OK;
    if (status == VT_OK) {
        s->old_seq = atomic_load(&s->seq);
        s->old_root = s->root;
        s->root = (vt_hash){0};
        atomic_store(&s->seq, 0);
    }
    return status;
}

/* Makes the file one that a start takes, once it has its name. */
static vt_status note(const vt_snapshots *s, const vt_keeping *k, const vt_hash *root,
                      vt_err *err) {
    const vt_roots roots = {.of = {*root, s->root, s->old_root}};
    vt_write write = {.roots = &roots, .err = err};
    vt_writer_submit(k->writer, &write, 1);
    return write.status;
}

/* The file is whole: gives it its name. */
static vt_status put_in_place(vt_snapshots *s, const vt_keeping *k, vt_snapshot_writer *w,
                              vt_err *err) {
    vt_hash root;
    vt_status status = vt_snapshot_seal(w, &root, err);
    if (status == VT_OK)
        status = note(s, k, &root, err);
    if (status == VT_OK)
        status = keep_old(s, err);
    if (status == VT_OK)
        status = vt_snapshot_commit(w, err);
    if (status == VT_OK)
        s->root = root;
    return status;
}

/* E_MISMATCH: a rebuild came between. */
static vt_status write_one(vt_snapshots *s, const vt_keeping *k, bool *done, vt_err *err) {
    vt_snapshot_key key = s->key;
    vt_snapshot_writer *w = NULL;
    bool more = true;
    vt_status status;
    key.seq = vt_memory_generation(k->memory); /* before the first byte */
    status = vt_snapshot_begin(s->path, &key, &w, err);
    if (status == VT_OK)
        status = save_index(k, w, &more, err);
    if (status == VT_OK && !more)
        status = save_columns(k, w, &more, err);
    if (status == VT_OK && !more)
        status = put_in_place(s, k, w, err);
    *done = status == VT_OK && !more;
    if (*done)
        atomic_store(&s->seq, key.seq);
    vt_snapshot_close(w);
    return status;
}

/* ---- the log of changes -------------------------------------------------------------------- */

/* No snapshot that could be used is older. Where none gets written any more the log must end
 * somewhere too: replaying it all is then slower than loading everything. */
static uint64_t oldest_needed(const vt_snapshots *s, uint64_t generation, size_t products) {
    uint64_t seq = atomic_load(&s->seq), oldest = generation, most = 2 * products + CHANGES_SPARE;
    if (seq > 0 && seq < oldest)
        oldest = seq;
    if (s->old_seq > 0 && s->old_seq < oldest)
        oldest = s->old_seq;
    return generation - oldest > most ? generation - most : oldest;
}

/* A few are not worth a commit. */
static vt_status forget(vt_snapshots *s, const vt_keeping *k, uint64_t up_to, vt_err *err) {
    vt_status status = VT_OK;
    if (up_to < s->changes_from + CHANGES_MIN)
        return VT_OK;
    while (status == VT_OK && s->changes_from < up_to && go_on(k)) {
        uint64_t to = up_to - s->changes_from < FORGET_RUN ? up_to : s->changes_from + FORGET_RUN;
        vt_write write = {.forget = to, .err = err};
        vt_writer_submit(k->writer, &write, 1);
        status = write.status;
        if (status == VT_OK)
            s->changes_from = to;
    }
    return status;
}

vt_status vt_snapshots_save(vt_snapshots *s, const vt_keeping *k, bool *done, vt_err *err) {
    size_t products = count_products(k->memory);
    vt_status status = VT_OK;
    *done = false;
    if (is_due(s, k, products)) {
        for (int i = 0; i < REBUILDS_MAX && (i == 0 || status == VT_E_MISMATCH); i++)
            status = write_one(s, k, done, err);
        s->failed = status != VT_OK;
        s->tried_ns = vt_now_ns();
    }
    if (status != VT_OK && status != VT_E_MISMATCH) /* rebuilds again and again: another time */
        return status;
    return forget(s, k, oldest_needed(s, vt_memory_generation(k->memory), products), err);
}
