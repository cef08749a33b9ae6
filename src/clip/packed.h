/* packed (private): the panels of all matrices of a model in one block of memory, and the file
 * that saves the next start the work of making them. */
#ifndef VT_CLIP_PACKED_H
#define VT_CLIP_PACKED_H

#include "clip/weights.h"

/* A packed form is another when any of this is, or its number of bytes, which tells compact panels
 * from wide ones: machines that want different ones replace each other's file. The weights' digest
 * is what counts; as making it takes half a second, a file whose inode, size and times are those of
 * then is taken for the same.
 */
typedef struct vt_packed_source {
    uint64_t inode, bytes, mtime_ns, ctime_ns;
} vt_packed_source;

typedef struct vt_packed_key {
    vt_precision precision;
    vt_hash plan;
    vt_packed_source weights;
} vt_packed_key;

typedef struct vt_packed {
    const void *panels; /* NULL where int8 was found wanting */
    size_t bytes;
    vt_hash weights; /* SHA-256 of model.safetensors */
    double cosine;   /* of int8 to f32, as it was measured when these were packed; 1 for others */
    bool spread; /* weights so unequal that compact panels would lose them: these are wide, and not
                  * for a file, which would be taken for another machine's */
    bool from_file;
    void *memory; /* what is owned: */
    vt_map map;
} vt_packed;

/* What identifies model.safetensors without reading it. */
vt_status vt_packed_source_read(const char *path, vt_packed_source *out, vt_err *err) VT_MUST_USE;

/* Memory for panels to be packed. */
vt_status vt_packed_allocate(vt_packed *p, size_t bytes, vt_err *err) VT_MUST_USE;
void vt_packed_release(vt_packed *p);

/* "<dir>/model.<precision>.packed", malloc'ed; NULL when there is no memory. */
char *vt_packed_path(const char *dir, vt_precision precision) VT_MUST_USE;
/* Maps the file and verifies it. false where there is none, or another model's, or a damaged one:
 * the caller packs anew. *out owns nothing before. */
bool vt_packed_load(const char *path, const vt_packed_key *key, size_t bytes, vt_pool *pool,
                    vt_packed *out) VT_MUST_USE;
/* Replaces the file. E_IO names the file and the reason. */
vt_status vt_packed_save(const char *path, const vt_packed_key *key, const vt_packed *p,
                         vt_pool *pool, vt_err *err) VT_MUST_USE;

#endif
