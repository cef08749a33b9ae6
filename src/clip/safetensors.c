/* The safetensors format: 8 bytes little-endian N, N bytes of JSON, then the data. The JSON maps
 * each name to {"dtype", "shape", "data_offsets": [begin, end]}, offsets counted from the end of
 * the header; "__metadata__" maps strings to strings and changes nothing.
 *
 * The file is mapped, not read: weights are packed straight from the page cache, and the rows of
 * the token table are fetched from the map for as long as the model lives. Every rule of the
 * reference reader is kept, the strict ones too: the tensors must tile the data exactly, without
 * overlap and without holes, so a file can carry nothing that its header does not name, and one
 * cut short cannot pass. All checks are done before the first tensor is handed out.
 *
 * Immutable after open, so any number of threads may read. */
#include "clip/safetensors.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "safetensors data is little-endian");

/* A model of 600 tensors has a header of 70 KB; a larger one than this is not a model. */
enum { HEADER_MAX = 16 << 20, LENGTH_BYTES = 8 };

struct vt_safetensors {
    char *label;
    vt_map map;     /* the whole file */
    bool owns_map;  /* else the bytes are the caller's */
    json_t *header; /* owns the names */
    vt_tensor *tensors;
    size_t n_tensors;
};

typedef struct dtype_info {
    const char *name;
    size_t size;
    bool readable;
    vt_dtype type;
} dtype_info;

static const dtype_info dtypes[] = {
    {"F32", 4, true, VT_F32},   {"F16", 2, true, VT_F16},      {"BF16", 2, true, VT_BF16},
    {"F64", 8, false, VT_F32},  {"I64", 8, false, VT_F32},     {"I32", 4, false, VT_F32},
    {"I16", 2, false, VT_F32},  {"I8", 1, false, VT_F32},      {"U64", 8, false, VT_F32},
    {"U32", 4, false, VT_F32},  {"U16", 2, false, VT_F32},     {"U8", 1, false, VT_F32},
    {"BOOL", 1, false, VT_F32}, {"F8_E4M3", 1, false, VT_F32}, {"F8_E5M2", 1, false, VT_F32},
};

static const dtype_info *find_dtype(const char *name) {
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++)
        if (strcmp(dtypes[i].name, name) == 0)
            return &dtypes[i];
    return NULL;
}

static vt_status bad_tensor(const vt_safetensors *f, const char *name, const char *why,
                            vt_err *err) {
    return vt_fail(err, VT_E_MODEL, "%s: tensor \"%s\" %s", f->label, name, why);
}

static bool read_size(const json_t *v, size_t *out) {
    if (!json_is_integer(v) || json_integer_value(v) < 0)
        return false;
    *out = (size_t)json_integer_value(v);
    return true;
}

static vt_status read_dtype(const vt_safetensors *f, const json_t *entry, vt_tensor *t,
                            size_t *item, vt_err *err) {
    const char *name = json_string_value(json_object_get(entry, "dtype"));
    const dtype_info *d = name ? find_dtype(name) : NULL;
    if (!name)
        return bad_tensor(f, t->name, "has no dtype", err);
    if (!d)
        return vt_fail(err, VT_E_MODEL, "%s: tensor \"%s\" has the unknown dtype \"%s\"", f->label,
                       t->name, name);
    t->dtype = d->name;
    t->readable = d->readable;
    t->type = d->type;
    *item = d->size;
    return VT_OK;
}

static vt_status read_shape(const vt_safetensors *f, const json_t *entry, vt_tensor *t,
                            vt_err *err) {
    const json_t *shape = json_object_get(entry, "shape");
    if (!json_is_array(shape))
        return bad_tensor(f, t->name, "has no shape", err);
    t->rank = json_array_size(shape);
    if (t->rank > VT_TENSOR_RANK_MAX)
        return vt_fail(err, VT_E_MODEL, "%s: tensor \"%s\" has %zu dimensions, at most %d are read",
                       f->label, t->name, t->rank, VT_TENSOR_RANK_MAX);
    t->count = 1;
    for (size_t i = 0; i < t->rank; i++) {
        if (!read_size(json_array_get(shape, i), &t->shape[i]))
            return bad_tensor(f, t->name, "has a shape that is not made of counts", err);
        if (!vt_size_mul(t->count, t->shape[i], &t->count))
            return bad_tensor(f, t->name, "has a shape too large to multiply out", err);
    }
    return VT_OK;
}

static vt_status read_extent(const vt_safetensors *f, const json_t *entry, size_t item,
                             vt_tensor *t, vt_err *err) {
    const json_t *offsets = json_object_get(entry, "data_offsets");
    const size_t start = (size_t)(t->data - f->map.data), room = f->map.size - start;
    size_t begin, end;
    if (json_array_size(offsets) != 2 || !read_size(json_array_get(offsets, 0), &begin) ||
        !read_size(json_array_get(offsets, 1), &end))
        return bad_tensor(f, t->name, "has no data_offsets of two counts", err);
    if (begin > end)
        return bad_tensor(f, t->name, "has data_offsets that end before they begin", err);
    if (end > room)
        return vt_fail(err, VT_E_MODEL,
                       "%s: tensor \"%s\" ends at byte %zu of the data, which has %zu (is the "
                       "file cut short?)",
                       f->label, t->name, end, room);
    if (!vt_size_mul(t->count, item, &t->bytes) || t->bytes != end - begin)
        return vt_fail(err, VT_E_MODEL,
                       "%s: tensor \"%s\" has %zu bytes of data, its shape and dtype ask for %zu",
                       f->label, t->name, end - begin, t->bytes);
    t->data += begin;
    return VT_OK;
}

static vt_status read_tensor(const vt_safetensors *f, const json_t *entry, vt_tensor *t,
                             vt_err *err) {
    size_t item = 0;
    vt_status s;
    if (!json_is_object(entry))
        return bad_tensor(f, t->name, "is not described by an object", err);
    s = read_dtype(f, entry, t, &item, err);
    if (s == VT_OK)
        s = read_shape(f, entry, t, err);
    if (s == VT_OK)
        s = read_extent(f, entry, item, t, err);
    return s;
}

static vt_status check_metadata(const vt_safetensors *f, json_t *meta, vt_err *err) {
    const char *key;
    json_t *value;
    if (!json_is_object(meta))
        return vt_fail(err, VT_E_MODEL, "%s: \"__metadata__\" is not an object", f->label);
    json_object_foreach(meta, key, value) {
        if (!json_is_string(value))
            return vt_fail(err, VT_E_MODEL, "%s: \"__metadata__\" has a value that is not text: %s",
                           f->label, key);
    }
    return VT_OK;
}

static vt_status read_all(vt_safetensors *f, const uint8_t *data, vt_err *err) {
    const char *name;
    json_t *entry;
    f->tensors = vt_alloc(json_object_size(f->header), sizeof *f->tensors);
    if (!f->tensors)
        return vt_fail_nomem(err, json_object_size(f->header) * sizeof *f->tensors);
    json_object_foreach(f->header, name, entry) {
        vt_tensor *t = &f->tensors[f->n_tensors];
        vt_status s;
        if (strcmp(name, "__metadata__") == 0) {
            s = check_metadata(f, entry, err);
        } else {
            *t = (vt_tensor){.name = name, .data = data};
            s = read_tensor(f, entry, t, err);
            f->n_tensors++;
        }
        if (s != VT_OK)
            return s;
    }
    return VT_OK;
}

/* An empty tensor may share its offset with the one that follows it: the empty one goes first. */
static int by_place(const void *a, const void *b) {
    const vt_tensor *x = a, *y = b;
    if (x->data != y->data)
        return x->data < y->data ? -1 : 1;
    return (x->bytes > y->bytes) - (x->bytes < y->bytes);
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const vt_tensor *)a)->name, ((const vt_tensor *)b)->name);
}

static vt_status check_tiling(vt_safetensors *f, const uint8_t *data, vt_err *err) {
    const uint8_t *next = data, *end = f->map.data + f->map.size;
    qsort(f->tensors, f->n_tensors, sizeof *f->tensors, by_place);
    for (size_t i = 0; i < f->n_tensors; i++) {
        const vt_tensor *t = &f->tensors[i];
        if (t->data < next)
            return vt_fail(err, VT_E_MODEL, "%s: tensor \"%s\" overlaps tensor \"%s\"", f->label,
                           t->name, f->tensors[i - 1].name);
        if (t->data > next)
            return vt_fail(err, VT_E_MODEL, "%s: a hole of %zu bytes before tensor \"%s\"",
                           f->label, (size_t)(t->data - next), t->name);
        next = t->data + t->bytes;
    }
    if (next != end)
        return vt_fail(err, VT_E_MODEL, "%s: %zu bytes at the end belong to no tensor", f->label,
                       (size_t)(end - next));
    qsort(f->tensors, f->n_tensors, sizeof *f->tensors, by_name);
    return VT_OK;
}

static vt_status read_header(vt_safetensors *f, const uint8_t **data, vt_err *err) {
    uint64_t n;
    const char *text;
    if (f->map.size < LENGTH_BYTES)
        return vt_fail(err, VT_E_MODEL, "%s: %zu bytes are too few for a safetensors file",
                       f->label, f->map.size);
    memcpy(&n, f->map.data, LENGTH_BYTES);
    if (n > HEADER_MAX)
        return vt_fail(err, VT_E_MODEL, "%s: a header of %llu bytes, the limit is %d", f->label,
                       (unsigned long long)n, HEADER_MAX);
    if (n > f->map.size - LENGTH_BYTES)
        return vt_fail(err, VT_E_MODEL,
                       "%s: a header of %llu bytes in a file of %zu (is it cut short?)", f->label,
                       (unsigned long long)n, f->map.size);
    text = (const char *)f->map.data + LENGTH_BYTES;
    if (n == 0 || text[0] != '{')
        return vt_fail(err, VT_E_MODEL, "%s: the header does not begin with {", f->label);
    if (vt_json_parse(text, n, &f->header, err) != VT_OK) {
        if (err->status == VT_E_PARSE)
            err->status = VT_E_MODEL;
        return vt_fail_prefix(err, "%s: the header", f->label);
    }
    *data = f->map.data + LENGTH_BYTES + n;
    return VT_OK;
}

static vt_status check_all(vt_safetensors *f, vt_err *err) {
    const uint8_t *data = NULL;
    vt_status s = read_header(f, &data, err);
    if (s == VT_OK)
        s = read_all(f, data, err);
    if (s == VT_OK)
        s = check_tiling(f, data, err);
    return s;
}

/* Takes the map over when `owns`, whatever comes of it. */
static vt_status open_map(const char *label, vt_map map, bool owns, vt_safetensors **out,
                          vt_err *err) {
    vt_safetensors *f = vt_alloc(1, sizeof *f);
    vt_status s;
    *out = NULL;
    if (!f) {
        if (owns)
            vt_map_release(&map);
        return vt_fail_nomem(err, sizeof *f);
    }
    f->map = map;
    f->owns_map = owns;
    f->label = vt_strdup(label);
    s = f->label ? check_all(f, err) : vt_fail_nomem(err, strlen(label));
    if (s == VT_OK)
        *out = f;
    else
        vt_safetensors_close(f);
    return s;
}

vt_status vt_safetensors_view(const char *label, const uint8_t *bytes, size_t n,
                              vt_safetensors **out, vt_err *err) {
    return open_map(label, (vt_map){.data = bytes, .size = n}, false, out, err);
}

vt_status vt_safetensors_open(const char *path, vt_safetensors **out, vt_err *err) {
    vt_map map;
    vt_status s;
    *out = NULL;
    s = vt_file_map(path, &map, err);
    return s == VT_OK ? open_map(path, map, true, out, err) : s;
}

void vt_safetensors_close(vt_safetensors *f) {
    if (!f)
        return;
    json_decref(f->header);
    if (f->owns_map)
        vt_map_release(&f->map);
    free(f->tensors);
    free(f->label);
    free(f);
}

const vt_tensor *vt_safetensors_find(const vt_safetensors *f, const char *name) {
    const vt_tensor key = {.name = name};
    return bsearch(&key, f->tensors, f->n_tensors, sizeof key, by_name);
}

const vt_tensor *vt_safetensors_list(const vt_safetensors *f, size_t *count) {
    *count = f->n_tensors;
    return f->tensors;
}

const uint8_t *vt_safetensors_bytes(const vt_safetensors *f, size_t *n) {
    *n = f->map.size;
    return f->map.data;
}

/* Through a small aligned buffer: a header of odd length leaves every tensor of the file
 * misaligned, and the first files of this format have such headers. */
static void convert(const uint8_t *from, vt_dtype type, size_t n, float *out) {
    uint16_t half[256];
    if (type == VT_F32) {
        if (n > 0)
            memcpy(out, from, n * sizeof *out);
        return;
    }
    for (size_t i = 0; i < n; i += 256) {
        const size_t part = n - i < 256 ? n - i : 256;
        memcpy(half, from + i * sizeof *half, part * sizeof *half);
        if (type == VT_F16)
            vt_vec_from_f16(out + i, half, part);
        else
            vt_vec_from_bf16(out + i, half, part);
    }
}

void vt_tensor_to_f32(const vt_tensor *t, float *out) {
    assert(t->readable);
    convert(t->data, t->type, t->count, out);
}

void vt_tensor_row_to_f32(const vt_tensor *t, size_t row, float *out) {
    const size_t width = t->count / t->shape[0];
    assert(t->readable && row < t->shape[0]);
    convert(t->data + row * width * vt_dtype_size(t->type), t->type, width, out);
}
