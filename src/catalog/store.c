/* The writing connection: statements, transactions, checkpoints.
 *
 * WAL with synchronous=FULL: a commit is one append and one fsync, readers are never blocked, and
 * what was committed survives power loss. Checkpoints are ours alone (wal_autocheckpoint=0), run by
 * the writer's thread when it is idle or the log is long, so that no caller's commit pays for one.
 *
 * Each change writes its row with one statement, which SQLite undoes by itself where it fails, so
 * that the others of its group go on (a savepoint around it would do the same work twice). Its line
 * in `change` is written before: one without its change does no harm, a change without its line
 * would be missed by whoever replays. An I/O error or a
 * full disk may make SQLite roll the whole transaction back on its own: autocommit is on again, and
 * the rest of the group and its commit fail, since some changes are gone.
 *
 * seq: counted in memory, written to `meta` with each commit that changed something. A transaction
 * that fails does not give its numbers back: after a failed fsync its frames may still be on disk
 * and come to life at the next start, and then two states would share a number. */
#include "catalog/store.h"

#include <unistd.h>

#include "catalog/row.h"

enum statement {
    STMT_BEGIN,
    STMT_COMMIT,
    STMT_ROLLBACK,
    STMT_FIND,
    STMT_INSERT,
    STMT_UPDATE,
    STMT_FIND_ROW,
    STMT_DELETE,
    STMT_SEQ,
    STMT_CHANGE,
    STMT_FORGET,
    STMT_FORGOTTEN,
    STMT_SNAPSHOTS,
    STMT_COUNT
};

static const char *const SQL[STMT_COUNT] = {
    [STMT_BEGIN] = "BEGIN IMMEDIATE",
    [STMT_COMMIT] = "COMMIT",
    [STMT_ROLLBACK] = "ROLLBACK",
    [STMT_FIND] = "SELECT " VT_ROW_COLUMNS ", embedding FROM product WHERE id = ?1",
    [STMT_INSERT] = "INSERT INTO product (id, seq, name, description, image_url, category, price, "
                    "attributes, image_hash, created_at, updated_at, embedding) "
                    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    [STMT_UPDATE] = "UPDATE product SET seq = ?2, name = ?3, description = ?4, image_url = ?5, "
                    "category = ?6, price = ?7, attributes = ?8, image_hash = ?9, created_at = "
                    "?10, updated_at = ?11, embedding = ?12 WHERE id = ?1",
    [STMT_FIND_ROW] = "SELECT row FROM product WHERE id = ?1",
    [STMT_DELETE] = "DELETE FROM product WHERE row = ?1",
    [STMT_SEQ] = "UPDATE meta SET seq = ?1",
    [STMT_CHANGE] = "INSERT OR REPLACE INTO change (seq, id) VALUES (?1, ?2)",
    [STMT_FORGET] = "DELETE FROM change WHERE seq <= ?1",
    [STMT_FORGOTTEN] = "UPDATE meta SET changes_from = ?1",
    [STMT_SNAPSHOTS] = "UPDATE meta SET snapshots = ?1",
};

struct vt_store {
    sqlite3 *db;
    sqlite3_stmt *stmts[STMT_COUNT];
    vt_meta meta;          /* as of the last commit; its roots are those of the start */
    uint64_t seq;          /* last number given */
    uint64_t changes_from; /* of the open transaction */
    bool changed;          /* the open transaction has something to write */
    vt_status disk_status; /* what an undone transaction tells: E_IO or E_FULL */
    size_t log_pages;
    vt_buf text; /* attributes of the product being written */
};

/* ---- open and close --------------------------------------------------------------------- */

static int on_log(void *ctx, sqlite3 *db, const char *name, int pages) {
    vt_store *s = ctx;
    s->log_pages = pages > 0 ? (size_t)pages : 0;
    return SQLITE_OK;
}

static vt_status set_up(vt_store *s, vt_err *err) {
    /* journal_size_limit: a log that grew in a large import is cut when it is used again. */
    return vt_sql_exec(s->db,
                       "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                       "PRAGMA wal_autocheckpoint=0; PRAGMA cache_size=-16384;"
                       "PRAGMA journal_size_limit=67108864",
                       "set up the database", err);
}

/* Pages of 8192 bytes hold three products of a 512-float vector, where 4096 hold one and waste a
 * third. Synchronous: the rename that follows must not overtake the bytes. */
static vt_status create_at(const char *path, const char *vfs, const vt_meta *loaded, vt_err *err) {
    vt_meta fresh = *loaded;
    sqlite3 *db = NULL;
    vt_status s = vt_sql_open(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, vfs, &db, err);
    if (s == VT_OK)
        s = vt_sql_exec(db, "PRAGMA page_size=8192; PRAGMA synchronous=FULL", "set up the file",
                        err);
    vt_uuid_random(fresh.database_id);
    if (s == VT_OK)
        s = vt_schema_create(db, &fresh, err);
    if (sqlite3_close(db) != SQLITE_OK && s == VT_OK)
        s = vt_fail(err, VT_E_INTERNAL, "cannot close %s", path);
    return s;
}

/* A catalogue begins whole: it is made under another name and renamed, so that a kill in between
 * leaves no catalogue, never one without tables. */
static vt_status create(const char *path, const char *vfs, const vt_meta *loaded, vt_err *err) {
    vt_buf fresh, journal;
    vt_status s;
    vt_buf_init(&fresh, 65536);
    vt_buf_init(&journal, 65536);
    vt_buf_printf(&fresh, "%s-new", path);
    vt_buf_printf(&journal, "%s-new-journal", path);
    s = vt_buf_status(&journal, "the file name", err);
    if (s == VT_OK) {
        unlink(fresh.data); /* of a start that was killed */
        unlink(journal.data);
        s = create_at(fresh.data, vfs, loaded, err);
    }
    if (s == VT_OK)
        s = vt_file_rename(fresh.data, path, err);
    vt_buf_release(&fresh);
    vt_buf_release(&journal);
    return s;
}

static vt_status verify(vt_store *s, const vt_meta *loaded, vt_err *err) {
    vt_status status = vt_schema_verify(s->db, err);
    if (status == VT_OK)
        status = set_up(s, err); /* only now: a foreign file must not be changed */
    if (status == VT_OK)
        status = vt_meta_read(s->db, &s->meta, err);
    if (status == VT_OK)
        status = vt_meta_match(&s->meta, loaded, sqlite3_db_filename(s->db, "main"), err);
    if (status == VT_OK)
        status = vt_schema_upgrade(s->db, &s->meta, err);
    s->seq = s->meta.seq;
    s->changes_from = s->meta.changes_from;
    return status;
}

vt_status vt_store_open(const char *path, const char *vfs, const vt_meta *meta, vt_store **out,
                        vt_err *err) {
    vt_store *s = vt_alloc(1, sizeof *s);
    vt_status status;
    *out = NULL;
    if (!s)
        return vt_fail_nomem(err, sizeof *s);
    vt_buf_init(&s->text, VT_ATTRIBUTES_MAX);
    status = access(path, F_OK) == 0 ? VT_OK : create(path, vfs, meta, err);
    if (status == VT_OK)
        status = vt_sql_open(path, SQLITE_OPEN_READWRITE, vfs, &s->db, err);
    if (status == VT_OK)
        status = verify(s, meta, err);
    for (size_t i = 0; i < STMT_COUNT && status == VT_OK; i++)
        status = vt_sql_prepare(s->db, SQL[i], &s->stmts[i], err);
    if (status != VT_OK) {
        vt_store_close(s);
        return status;
    }
    sqlite3_wal_hook(s->db, on_log, s);
    *out = s;
    return VT_OK;
}

void vt_store_close(vt_store *s) {
    if (!s)
        return;
    for (size_t i = 0; i < STMT_COUNT; i++)
        sqlite3_finalize(s->stmts[i]);
    if (s->db)
        sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    sqlite3_close(s->db);
    vt_buf_release(&s->text);
    free(s);
}

const char *vt_store_database_id(const vt_store *s) {
    return s->meta.database_id;
}

uint64_t vt_store_seq(const vt_store *s) {
    return s->meta.seq;
}

vt_truth vt_store_truth(const vt_store *s) {
    return (vt_truth){.db = s->db, .meta = &s->meta};
}

/* ---- load ------------------------------------------------------------------------------- */

vt_status vt_store_load(vt_store *s, vt_load_fn fn, void *ctx, vt_err *err) {
    sqlite3_stmt *stmt = NULL;
    vt_product p;
    bool more = false;
    int64_t row;
    vt_status status = vt_sql_prepare(
        s->db, "SELECT " VT_ROW_COLUMNS_INDEXED ", embedding FROM product", &stmt, err);
    vt_product_init(&p);
    if (status != VT_OK)
        goto done;
    for (;;) {
        status = vt_sql_step(stmt, "read the products", &more, err);
        if (status != VT_OK || !more)
            break;
        status = vt_row_read(stmt, s->meta.dim, &row, &p, err);
        if (status == VT_OK)
            status = fn(ctx, row, &p, err);
        if (status != VT_OK)
            break;
    }
done:
    vt_product_release(&p);
    sqlite3_finalize(stmt);
    return status;
}

/* ---- changes ---------------------------------------------------------------------------- */

/* Its own failure is not told: what made us roll back has been, and begin tries once more. */
static void rollback(vt_store *s) {
    vt_err ignored;
    if (!sqlite3_get_autocommit(s->db) &&
        vt_sql_run(s->stmts[STMT_ROLLBACK], "undo a change", &ignored) != VT_OK)
        return;
    s->changed = false;
    s->changes_from = s->meta.changes_from;
}

vt_status vt_store_begin(vt_store *s, vt_err *err) {
    rollback(s);
    s->disk_status = VT_E_IO;
    return vt_sql_run(s->stmts[STMT_BEGIN], "begin a change", err);
}

static vt_status given_up(vt_store *s, vt_err *err) {
    return vt_fail(err, s->disk_status, "%.200s: the write was given up with its group: %s",
                   sqlite3_db_filename(s->db, "main"),
                   s->disk_status == VT_E_FULL ? "the disk is full" : "an error of the disk");
}

vt_status vt_store_commit(vt_store *s, vt_err *err) {
    vt_status status = VT_OK;
    if (sqlite3_get_autocommit(s->db))
        return given_up(s, err);
    if (s->changed) {
        sqlite3_bind_int64(s->stmts[STMT_SEQ], 1, (sqlite3_int64)s->seq); /* cannot fail */
        status = vt_sql_run(s->stmts[STMT_SEQ], "write the change number", err);
    }
    if (status == VT_OK)
        status = vt_sql_run(s->stmts[STMT_COMMIT], "write", err);
    if (status != VT_OK) {
        rollback(s);
        return status;
    }
    if (s->changed)
        s->meta.seq = s->seq;
    s->meta.changes_from = s->changes_from;
    return VT_OK;
}

/* Around each change. Outside a transaction its statement would commit by itself. */
static vt_status begin_change(vt_store *s, vt_stored *out, vt_err *err) {
    *out = (vt_stored){0};
    return sqlite3_get_autocommit(s->db) ? given_up(s, err) : VT_OK;
}

static vt_status end_change(vt_store *s, vt_status status, const vt_stored *out) {
    if (sqlite3_get_autocommit(s->db)) /* SQLite has undone the whole transaction */
        s->disk_status = status == VT_E_FULL ? VT_E_FULL : VT_E_IO;
    s->changed = s->changed || (status == VT_OK && out->changed);
    return status;
}

/* The stored product of this id; *found tells. */
static vt_status find(vt_store *s, const char *id, int64_t *row, vt_product *old, bool *found,
                      vt_err *err) {
    sqlite3_stmt *stmt = s->stmts[STMT_FIND];
    vt_status status = VT_OK;
    *found = false;
    if (sqlite3_bind_text(stmt, 1, id, -1, SQLITE_STATIC) != SQLITE_OK)
        status = vt_sql_fail(s->db, "look for a product", err);
    if (status == VT_OK)
        status = vt_sql_step(stmt, "look for a product", found, err);
    if (status == VT_OK && *found)
        status = vt_row_read(stmt, s->meta.dim, row, old, err);
    vt_sql_reset(stmt);
    return status;
}

/* The next change number, noted with whom it is of. The commit writes the counter even if no row
 * follows, so that no number is ever given twice. */
static vt_status number_change(vt_store *s, const char *id, vt_stored *out, vt_err *err) {
    sqlite3_stmt *stmt = s->stmts[STMT_CHANGE];
    vt_status status;
    out->seq = ++s->seq;
    sqlite3_bind_int64(stmt, 1, (sqlite3_int64)s->seq); /* cannot fail */
    if (sqlite3_bind_text(stmt, 2, id, -1, SQLITE_STATIC) != SQLITE_OK) {
        status = vt_sql_fail(s->db, "note a change", err);
        vt_sql_reset(stmt);
        return status;
    }
    status = vt_sql_run(stmt, "note a change", err);
    s->changed = s->changed || status == VT_OK;
    return status;
}

static vt_status write_row(vt_store *s, vt_product *p, const vt_product *old, vt_stored *out,
                           vt_err *err) {
    sqlite3_stmt *stmt = s->stmts[old ? STMT_UPDATE : STMT_INSERT];
    vt_status status;
    p->updated_at = vt_wall_ms();
    p->created_at = old ? old->created_at : p->updated_at;
    status = number_change(s, p->id, out, err);
    if (status != VT_OK)
        return status;
    p->seq = s->seq;
    status = vt_row_bind(stmt, p, s->meta.dim, &s->text, err);
    if (status == VT_OK)
        status = vt_sql_run(stmt, "write a product", err);
    else
        vt_sql_reset(stmt);
    if (status != VT_OK)
        return status;
    if (!old)
        out->row = sqlite3_last_insert_rowid(s->db);
    out->result = old ? VT_PUT_UPDATED : VT_PUT_CREATED;
    out->changed = true;
    return VT_OK;
}

static vt_status put(vt_store *s, vt_product *p, uint64_t indexed, vt_stored *out, vt_err *err) {
    vt_product old;
    bool found;
    vt_status status;
    vt_product_init(&old);
    status = find(s, p->id, &out->row, &old, &found, err);
    if (status != VT_OK)
        goto done;
    /* Above the last commit: written by this very transaction, memory will have it after it. */
    if (found && (old.seq == indexed || old.seq > s->meta.seq) &&
        vt_product_equal(&old, p, s->meta.dim)) {
        p->created_at = old.created_at;
        p->updated_at = old.updated_at;
        p->seq = old.seq;
        out->result = VT_PUT_UNCHANGED;
    } else {
        status = write_row(s, p, found ? &old : NULL, out, err);
    }
done:
    vt_product_release(&old);
    return status;
}

vt_status vt_store_put(vt_store *s, vt_product *p, uint64_t indexed, vt_stored *out, vt_err *err) {
    vt_status status = begin_change(s, out, err);
    if (status != VT_OK)
        return status;
    status = put(s, p, indexed, out, err);
    return end_change(s, status, out);
}

static vt_status delete_row(vt_store *s, const char *id, vt_stored *out, vt_err *err) {
    sqlite3_stmt *find = s->stmts[STMT_FIND_ROW], *delete = s->stmts[STMT_DELETE];
    bool found = false;
    vt_status status = VT_OK;
    if (sqlite3_bind_text(find, 1, id, -1, SQLITE_STATIC) != SQLITE_OK)
        status = vt_sql_fail(s->db, "look for a product", err);
    if (status == VT_OK)
        status = vt_sql_step(find, "look for a product", &found, err);
    if (found)
        out->row = sqlite3_column_int64(find, 0);
    vt_sql_reset(find);
    if (status == VT_OK && !found)
        status = vt_fail(err, VT_E_NOT_FOUND, "there is no product \"%.255s\"", id);
    if (status != VT_OK)
        return status;
    status = number_change(s, id, out, err); /* a deletion is a change too: generations see it */
    if (status != VT_OK)
        return status;
    sqlite3_bind_int64(delete, 1, out->row); /* cannot fail */
    out->changed = true;
    return vt_sql_run(delete, "delete a product", err);
}

vt_status vt_store_delete(vt_store *s, const char *id, vt_stored *out, vt_err *err) {
    vt_status status = begin_change(s, out, err);
    if (status != VT_OK)
        return status;
    status = delete_row(s, id, out, err);
    return end_change(s, status, out);
}

vt_status vt_store_forget(vt_store *s, uint64_t up_to, vt_err *err) {
    vt_stored none;
    vt_status status = begin_change(s, &none, err);
    up_to = up_to < s->meta.seq ? up_to : s->meta.seq;
    if (status != VT_OK || up_to <= s->changes_from)
        return status;
    sqlite3_bind_int64(s->stmts[STMT_FORGET], 1, (sqlite3_int64)up_to); /* cannot fail */
    sqlite3_bind_int64(s->stmts[STMT_FORGOTTEN], 1, (sqlite3_int64)up_to);
    /* First: nothing may be missing above the number that is told. */
    status = vt_sql_run(s->stmts[STMT_FORGOTTEN], "forget changes", err);
    if (status == VT_OK)
        s->changes_from = up_to;
    if (status == VT_OK)
        status = vt_sql_run(s->stmts[STMT_FORGET], "forget changes", err);
    return end_change(s, status, &none);
}

vt_status vt_store_note_snapshots(vt_store *s, const vt_roots *roots, vt_err *err) {
    sqlite3_stmt *stmt = s->stmts[STMT_SNAPSHOTS];
    vt_stored none;
    vt_status status = begin_change(s, &none, err);
    if (status != VT_OK)
        return status;
    if (sqlite3_bind_blob(stmt, 1, roots, sizeof *roots, SQLITE_STATIC) != SQLITE_OK) {
        status = vt_sql_fail(s->db, "note a snapshot", err);
        vt_sql_reset(stmt);
    } else {
        status = vt_sql_run(stmt, "note a snapshot", err);
    }
    return end_change(s, status, &none);
}

/* ---- checkpoint ------------------------------------------------------------------------- */

size_t vt_store_log_pages(const vt_store *s) {
    return s->log_pages;
}

void vt_store_checkpoint(vt_store *s) {
    int in_log = 0, moved = 0;
    if (sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_PASSIVE, &in_log, &moved) ==
            SQLITE_OK &&
        in_log == moved)
        s->log_pages = 0;
}
