/* The file's format: its tables, whose file it is, of which version and which model. */
#ifndef VT_CATALOG_SCHEMA_H
#define VT_CATALOG_SCHEMA_H

#include "catalog/sql.h"

/* Of the snapshots that may be on disk (vt_snapshot_root): the newest, the one before, and the one
 * before that, which is there until the newest has its name. Zeros, which no root is, where there
 * are fewer. */
enum { VT_ROOTS = 3 };
typedef struct vt_roots {
    vt_hash of[VT_ROOTS];
} vt_roots;

typedef struct vt_meta {
    char database_id[37]; /* UUID version 4 */
    vt_hash model;
    char model_name[256]; /* shortened where longer: it is only for messages */
    size_t dim;
    uint64_t seq;          /* highest change number given so far; never goes back */
    uint64_t changes_from; /* the table `change` has every change above this number */
    vt_roots roots;
    int version; /* of the file's format */
} vt_meta;

/* E_MISMATCH unless the file is a vitrine catalogue of this version or an older one, E_CORRUPT
 * without any table. */
vt_status vt_schema_verify(sqlite3 *db, vt_err *err) VT_MUST_USE;
/* Brings an older file to this version, in one transaction. meta is the file's. */
vt_status vt_schema_upgrade(sqlite3 *db, vt_meta *meta, vt_err *err) VT_MUST_USE;
/* Makes the tables and the meta row, in one transaction. */
vt_status vt_schema_create(sqlite3 *db, const vt_meta *meta, vt_err *err) VT_MUST_USE;
/* After vt_schema_verify. E_CORRUPT for a meta row that cannot be ours. */
vt_status vt_meta_read(sqlite3 *db, vt_meta *out, vt_err *err) VT_MUST_USE;
/* E_MISMATCH, with what to do, unless the file is of this model. */
vt_status vt_meta_match(const vt_meta *file, const vt_meta *loaded, const char *path,
                        vt_err *err) VT_MUST_USE;
void vt_uuid_random(char out[37]);

#endif
