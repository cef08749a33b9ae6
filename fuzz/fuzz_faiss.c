/* An index file of any bytes: refused with a text, or every row of it can be read. */
#include "faiss/faiss.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    float v[VT_FAISS_DIM_MAX];
    const vt_faiss_info *info;
    vt_faiss *f;
    vt_err err;
    vt_status s = vt_faiss_open_bytes(data, size, &f, &err);
    if (s != VT_OK) {
        if (f || !err.text[0] || (s != VT_E_PARSE && s != VT_E_UNSUPPORTED))
            abort();
        return 0;
    }
    info = vt_faiss_describe(f);
    if (info->count > size / sizeof *v / info->dim)
        abort();
    for (size_t row = 0; row < info->count; row++) {
        vt_faiss_vector(f, row, v);
        (void)vt_faiss_id(f, row);
    }
    vt_faiss_close(f);
    return 0;
}
