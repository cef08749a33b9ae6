/* A product comes in. The walk of docs/ARCHITECTURE.md, in its order: validate, take the picture,
 * encode it unless this product's stored vector came from the same bytes, put. */
#include "engine/state.h"

static vt_status embed(vt_engine *e, const json_t *json, const void *image,
                       const vt_picture *picture, vt_product *p, bool *encoded, vt_err *err) {
    size_t dim = vt_clip_describe(e->clip)->dim;
    bool found = false;
    vt_status s;
    p->image_hash = picture->hash;
    p->embedding = vt_alloc(dim, sizeof *p->embedding);
    if (!p->embedding)
        return vt_fail_nomem(err, dim * sizeof *p->embedding);
    s = vt_catalog_vector(e->catalog, p->id, &p->image_hash, p->embedding, &found, err);
    if (s != VT_OK)
        return s;
    *encoded = !found;
    return found ? VT_OK
                 : vt_picture_encode(e, picture, vt_picture_field(json, image), p->embedding, err);
}

vt_status vt_engine_ingest(vt_engine *e, const json_t *product, const void *image, size_t image_len,
                           vt_ingest_result *result, vt_err *err) {
    static const char *const words[] = {
        [VT_PUT_CREATED] = "created",
        [VT_PUT_UPDATED] = "updated",
        [VT_PUT_UNCHANGED] = "unchanged",
    };
    vt_product p;
    vt_picture picture;
    vt_put_result put = VT_PUT_UNCHANGED;
    vt_status s;
    *result = (vt_ingest_result){0};
    vt_product_init(&p);
    vt_picture_init(&picture);
    s = vt_product_from_json(product, &p, err);
    if (s == VT_OK)
        s = vt_picture_take(e, product, image, image_len, &picture, err);
    if (s == VT_OK)
        s = embed(e, product, image, &picture, &p, &result->encoded, err);
    if (s == VT_OK)
        s = vt_catalog_put(e->catalog, &p, &put, err);
    result->result = words[put];
    atomic_fetch_add(s == VT_OK ? &e->counters.ingested : &e->counters.ingest_failed, 1);
    vt_picture_release(&picture);
    vt_product_release(&p);
    return s;
}
