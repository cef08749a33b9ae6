/* A product comes in. The walk of docs/ARCHITECTURE.md, in its order: validate, take the picture,
 * encode it unless this product's stored vector came from the same bytes, put. */
#include "engine/ingest.h"

void vt_ingestion_init(vt_ingestion *in) {
    *in = (vt_ingestion){0};
    vt_product_init(&in->product);
    vt_picture_init(&in->picture);
}

void vt_ingestion_release(vt_ingestion *in) {
    vt_product_release(&in->product);
    vt_picture_release(&in->picture);
}

vt_status vt_ingestion_begin(vt_engine *e, const json_t *json, const void *image, size_t len,
                             vt_ingestion *in, vt_err *err) {
    size_t dim = vt_clip_describe(e->clip)->dim;
    vt_product *p = &in->product;
    vt_status s = vt_product_from_json(json, p, err);
    if (s == VT_OK)
        s = vt_picture_take(e, json, image, len, &in->picture, err);
    if (s != VT_OK)
        return s;
    in->picture_field = vt_picture_field(json, image);
    p->image_hash = in->picture.hash;
    p->embedding = vt_alloc(dim, sizeof *p->embedding);
    if (!p->embedding)
        return vt_fail_nomem(err, dim * sizeof *p->embedding);
    return vt_catalog_vector(e->catalog, p->id, &p->image_hash, p->embedding, &in->found, err);
}

static vt_status encode(vt_engine *e, vt_ingestion *in, vt_err *err) {
    vt_err why;
    vt_status s;
    vt_pool_enter(e->pool);
    s = vt_picture_encode(e, &in->picture, in->product.embedding, &why);
    vt_pool_leave(e->pool);
    return s == VT_OK ? s : vt_fail_field(err, s, in->picture_field, "%s", why.text);
}

void vt_ingestion_tell(vt_engine *e, vt_status s, bool encoded, vt_put_result put,
                       vt_ingest_result *out) {
    static const char *const words[] = {
        [VT_PUT_CREATED] = "created",
        [VT_PUT_UPDATED] = "updated",
        [VT_PUT_UNCHANGED] = "unchanged",
    };
    *out = (vt_ingest_result){.result = words[put], .encoded = encoded};
    atomic_fetch_add(s == VT_OK ? &e->counters.ingested : &e->counters.ingest_failed, 1);
}

vt_status vt_engine_ingest(vt_engine *e, const json_t *product, const void *image, size_t image_len,
                           vt_ingest_result *result, vt_err *err) {
    vt_ingestion in;
    vt_put_result put = VT_PUT_UNCHANGED;
    vt_status s;
    vt_ingestion_init(&in);
    s = vt_ingestion_begin(e, product, image, image_len, &in, err);
    if (s == VT_OK && !in.found)
        s = encode(e, &in, err);
    if (s == VT_OK)
        s = vt_catalog_put(e->catalog, &in.product, &put, err);
    vt_ingestion_tell(e, s, s == VT_OK && !in.found, put, result);
    vt_ingestion_release(&in);
    return s;
}
