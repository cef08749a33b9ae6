/* Writes the seeds of fuzz_snapshot: small catalogues of 64 dimensions, without cells and with,
 * each as a list of its sections. usage: seeds_snapshot FOLDER */
#include "catalog/saved.h"

#include "fuzz_snapshot.h"

static vt_status put(vt_columns *c, vt_index *ix, unsigned n, vt_err *err) {
    char id[16], category[16];
    float v[FUZZ_DIM];
    uint64_t random = n * 2654435761u + 1;
    uint32_t slot;
    vt_product p;
    vt_status s;
    vt_product_init(&p);
    snprintf(id, sizeof id, "p%u", n);
    snprintf(category, sizeof category, "c%u", n % 3);
    p.id = id;
    p.category = category;
    p.price = n % 4;
    p.seq = n + 1;
    p.attributes = json_pack("{s:s, s:i}", "colour", n % 2 ? "red" : "blue", "stock", (int)n);
    for (size_t i = 0; i < FUZZ_DIM; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        v[i] = (float)(random >> 40) / (1 << 23) - 1;
    }
    s = p.attributes && vt_vec_normalize(v, FUZZ_DIM) > 0 ? VT_OK : vt_fail_nomem(err, sizeof v);
    if (s == VT_OK)
        s = vt_columns_put(c, &p, (int64_t)n + 1, &slot, err);
    if (s == VT_OK)
        s = vt_index_put(ix, slot, v, err);
    json_decref(p.attributes);
    return s;
}

static vt_status make_cells(vt_index *ix, vt_err *err) {
    vt_rebuild *r = NULL;
    vt_tuning *t = NULL;
    bool more = true;
    vt_status s = vt_rebuild_open(ix, &r, err);
    while (s == VT_OK && more)
        s = vt_rebuild_train(r, NULL, &more, err);
    for (more = true; s == VT_OK && more;)
        s = vt_rebuild_step(r, NULL, &more, err);
    if (s == VT_OK)
        s = vt_rebuild_finish(r, err);
    vt_rebuild_close(r);
    if (s == VT_OK)
        s = vt_tuning_open(ix, VT_QUERY_IMAGE, NULL, 16, &t, err);
    for (more = true; s == VT_OK && more;)
        s = vt_tuning_learn(t, ix, NULL, &more, err);
    if (s == VT_OK)
        s = vt_tuning_apply(t, ix, err);
    vt_tuning_close(t);
    return s;
}

static vt_status save(const char *path, const vt_columns *c, const vt_index *ix, vt_err *err) {
    const vt_snapshot_key key = {.database_id = FUZZ_ID, .seq = UINT64_MAX};
    vt_snapshot_writer *w;
    vt_saving saving = {0};
    uint64_t state = 0;
    bool more = true;
    vt_status s = vt_snapshot_begin(path, &key, &w, err);
    while (s == VT_OK && more)
        s = vt_index_save(ix, w, &state, &more, err);
    for (more = true; s == VT_OK && more;)
        s = vt_columns_save(c, w, &saving, &more, err);
    if (s == VT_OK)
        s = vt_snapshot_commit(w, err);
    vt_snapshot_close(w);
    return s;
}

static bool zeros_follow(const uint8_t *bytes, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (bytes[i])
            return false;
    return true;
}

/* A section as what in it is not zero. */
static void append_section(const char *name, const uint8_t *bytes, size_t n, vt_buf *out) {
    enum { GAP = 2 * sizeof(fuzz_piece) };
    size_t at = 0;
    do {
        fuzz_piece p = {.length = (uint32_t)n};
        size_t end;
        if (at == 0)
            snprintf(p.name, sizeof p.name, "%s", name);
        for (end = at; end < n; end++)
            if (zeros_follow(bytes + end, n - end < GAP ? n - end : GAP))
                break;
        p.at = (uint32_t)at;
        p.given = (uint32_t)(end - at);
        vt_buf_append(out, &p, sizeof p);
        vt_buf_append(out, bytes + at, p.given);
        for (at = end; at < n && !bytes[at];)
            at++;
    } while (at < n);
}

static vt_status write_seed(const char *path, vt_err *err) {
    static const char *const names[] = {"rows",       "centres", "cells",         "learnt",
                                        "index",      "ids",     "rowids",        "prices",
                                        "categories", "terms",   "category_keys", "term_keys",
                                        "seqs"};
    const vt_hash model = {0};
    const vt_snapshot_wanted wanted = {.database_id = FUZZ_ID, .model = &model};
    vt_snapshot *snapshot;
    vt_buf out;
    uint64_t seq;
    vt_status s = vt_snapshot_open(path, &wanted, NULL, &snapshot, &seq, err);
    vt_buf_init(&out, FUZZ_MAX);
    for (size_t i = 0; i < sizeof names / sizeof names[0] && s == VT_OK; i++) {
        size_t n;
        const uint8_t *bytes = vt_snapshot_find(snapshot, names[i], &n);
        append_section(names[i], bytes, n, &out);
    }
    vt_snapshot_release(snapshot);
    if (s == VT_OK)
        s = vt_buf_status(&out, path, err);
    if (s == VT_OK)
        s = vt_file_replace(path, &(vt_span){out.data, out.len}, 1, err);
    vt_buf_release(&out);
    return s;
}

static vt_status make_seed(const char *folder, unsigned n, bool cells, vt_err *err) {
    char name[32];
    vt_columns c;
    vt_index *ix = NULL;
    char *path;
    uint32_t slot;
    vt_status s = vt_index_open(FUZZ_DIM, &ix, err);
    snprintf(name, sizeof name, "%u%s", n, cells ? "_cells" : "");
    path = vt_path_join(folder, name);
    vt_columns_init(&c);
    for (unsigned i = 0; i < n && s == VT_OK; i++)
        s = put(&c, ix, i, err);
    if (s == VT_OK && n > 2 && vt_columns_remove(&c, "p1", &slot)) /* a hole */
        vt_index_remove(ix, slot);
    if (s == VT_OK && cells)
        s = make_cells(ix, err);
    if (s == VT_OK)
        s = save(path, &c, ix, err);
    if (s == VT_OK)
        s = write_seed(path, err);
    vt_index_close(ix);
    vt_columns_release(&c);
    free(path);
    return s;
}

int main(int argc, char **argv) {
    vt_err err = {0};
    vt_status s = argc == 2 ? vt_vec_init(NULL, &err) : VT_E_INVALID;
    if (s == VT_OK)
        s = vt_dir_ensure(argv[1], &err);
    if (s == VT_OK)
        s = make_seed(argv[1], 0, false, &err);
    if (s == VT_OK)
        s = make_seed(argv[1], 5, false, &err);
    if (s == VT_OK)
        s = make_seed(argv[1], 40, true, &err);
    if (s != VT_OK)
        fprintf(stderr, "%s\n", err.text);
    return s == VT_OK ? 0 : 1;
}
