/* The header that every index has, and IndexFlat: all vectors, one behind the other. */
#include "faiss/format.h"

/* The two fields that FAISS itself does not read are passed over. */
vt_status vt_faiss_read_header(vt_cursor *c, vt_faiss_header *h, vt_err *err) {
    int32_t dim = 0, metric = 0;
    int64_t count = 0, unused[2];
    uint8_t trained = 0;
    vt_status s = vt_cursor_take(c, "d", &dim, sizeof dim, err);
    if (s == VT_OK)
        s = vt_cursor_take(c, "ntotal", &count, sizeof count, err);
    if (s == VT_OK)
        s = vt_cursor_take(c, "header", unused, sizeof unused, err);
    if (s == VT_OK)
        s = vt_cursor_take(c, "is_trained", &trained, sizeof trained, err);
    if (s == VT_OK)
        s = vt_cursor_take(c, "metric_type", &metric, sizeof metric, err);
    if (s != VT_OK)
        return s;
    if (dim < 1 || dim > VT_FAISS_DIM_MAX)
        return vt_cursor_fail(c, "d", err, "%d is not in 1..%d", dim, VT_FAISS_DIM_MAX);
    if (count < 0)
        return vt_cursor_fail(c, "ntotal", err, "%lld is negative", (long long)count);
    if (trained > 1)
        return vt_cursor_fail(c, "is_trained", err, "%d is neither 0 nor 1", trained);
    if (metric != VT_FAISS_IP && metric != VT_FAISS_L2)
        return vt_fail(err, VT_E_UNSUPPORTED,
                       "%s, metric_type: %d is neither 0 (inner product) nor 1 (L2)", c->part,
                       metric);
    *h = (vt_faiss_header){
        .dim = (size_t)dim, .count = (size_t)count, .metric = (vt_faiss_metric)metric};
    return VT_OK;
}

bool vt_faiss_is_flat(uint32_t mark) {
    return mark == VT_MARK_FLAT || mark == VT_MARK_FLAT_IP || mark == VT_MARK_FLAT_L2;
}

vt_status vt_faiss_read_flat(vt_cursor *c, uint32_t mark, vt_faiss_header *h, vt_run *vectors,
                             vt_err *err) {
    size_t floats;
    vt_status s;
    c->part = mark == VT_MARK_FLAT_IP   ? "IndexFlatIP"
              : mark == VT_MARK_FLAT_L2 ? "IndexFlatL2"
                                        : "IndexFlat";
    s = vt_faiss_read_header(c, h, err);
    if (s != VT_OK)
        return s;
    if ((mark == VT_MARK_FLAT_IP && h->metric != VT_FAISS_IP) ||
        (mark == VT_MARK_FLAT_L2 && h->metric != VT_FAISS_L2))
        return vt_cursor_fail(c, "metric_type", err, "%d contradicts the index", (int)h->metric);
    s = vt_cursor_vector(c, "codes", sizeof(float), vectors, err);
    if (s != VT_OK)
        return s;
    if (!vt_size_mul(h->count, h->dim, &floats) || floats != vectors->count)
        return vt_cursor_fail(c, "codes", err, "%zu floats, but ntotal %zu of %zu dimensions",
                              vectors->count, h->count, h->dim);
    return VT_OK;
}
