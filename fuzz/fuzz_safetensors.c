/* A safetensors file of any bytes: refused with a text, or every tensor of it can be read. */
#include "clip/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_tensor(const vt_safetensors *f, const vt_tensor *t) {
    float *values;
    if (vt_safetensors_find(f, t->name) != t)
        abort();
    if (!t->readable || t->count > 1 << 20)
        return;
    values = vt_alloc(t->count, sizeof *values);
    if (!values)
        return;
    vt_tensor_to_f32(t, values);
    if (t->rank > 0 && t->count > 0)
        vt_tensor_row_to_f32(t, t->shape[0] - 1, values);
    free(values);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    vt_safetensors *f;
    const vt_tensor *list;
    size_t n;
    vt_err err;
    if (vt_safetensors_view("fuzz", data, size, &f, &err) != VT_OK) {
        if (f || !err.text[0])
            abort();
        return 0;
    }
    list = vt_safetensors_list(f, &n);
    for (size_t i = 0; i < n; i++)
        read_tensor(f, &list[i]);
    vt_safetensors_close(f);
    return 0;
}
