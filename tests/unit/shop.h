/* An engine on the demo's model in a folder of its own, with the first lines of the demo's
 * catalogue at hand, for tests of the engine as a whole. */
#ifndef SHOP_H
#define SHOP_H

#include "engine/state.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

enum { SHOP_PRODUCTS = 60 };

typedef struct shop {
    vt_engine *e;
    char dir[64];
    char *demo; /* its folder */
    json_t *lines[SHOP_PRODUCTS];
} shop;

static inline int shop_remove_one(const char *path, const struct stat *st, int kind,
                                  struct FTW *at) {
    return remove(path);
}

static inline void shop_read_catalogue(shop *sh) {
    char *path = vt_path_join(sh->demo, "catalogue.jsonl");
    vt_buf text;
    vt_err err;
    char *rest;
    vt_buf_init(&text, 10 << 20);
    assert_int_equal(vt_file_read(path, &text, &err), VT_OK);
    rest = text.data;
    for (size_t i = 0; i < SHOP_PRODUCTS; i++) {
        size_t n = strcspn(rest, "\n");
        assert_int_equal(vt_json_parse(rest, n, &sh->lines[i], &err), VT_OK);
        rest += n + 1;
    }
    vt_buf_release(&text);
    free(path);
}

static inline void shop_start(shop *sh, bool upkeep) {
    vt_engine_options o;
    vt_err err;
    char *model;
    *sh = (shop){.dir = "/tmp/vitrine-test-XXXXXX"};
    assert_non_null(getenv("VT_ROOT"));
    assert_non_null(mkdtemp(sh->dir));
    sh->demo = vt_path_join(getenv("VT_ROOT"), "demo");
    model = vt_path_join(sh->demo, "model");
    shop_read_catalogue(sh);
    vt_engine_defaults(&o);
    o.data_dir = sh->dir;
    o.model_dir = model;
    o.threads = 3;
    o.upkeep = upkeep;
    if (vt_engine_open(&o, NULL, &sh->e, &err) != VT_OK)
        fail_msg("%s", err.text);
    free(model);
}

static inline void shop_close(shop *sh) {
    vt_engine_close(sh->e);
    for (size_t i = 0; i < SHOP_PRODUCTS; i++)
        json_decref(sh->lines[i]);
    free(sh->demo);
    nftw(sh->dir, shop_remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* Stores one line as a product with a vector of the test's own: no picture is encoded. */
static inline void shop_put(shop *sh, size_t i, const float *vector) {
    vt_product p;
    vt_put_result result;
    vt_err err;
    size_t dim = vt_clip_describe(sh->e->clip)->dim;
    vt_product_init(&p);
    assert_int_equal(vt_product_from_json(sh->lines[i], &p, &err), VT_OK);
    p.embedding = vt_alloc(dim, sizeof *p.embedding);
    assert_non_null(p.embedding);
    memcpy(p.embedding, vector, dim * sizeof *vector);
    assert_int_equal(vt_catalog_put(sh->e->catalog, &p, &result, &err), VT_OK);
    vt_product_release(&p);
}

/* Line i at the i-th axis. */
static inline void shop_fill(shop *sh) {
    size_t dim = vt_clip_describe(sh->e->clip)->dim;
    float *vector = vt_alloc(dim, sizeof *vector);
    assert_non_null(vector);
    for (size_t i = 0; i < SHOP_PRODUCTS; i++) {
        vector[i] = 1;
        shop_put(sh, i, vector);
        vector[i] = 0;
    }
    free(vector);
}

#endif
