/* Which product a vector is. A FAISS index knows numbers; what they mean lies in JSON files beside
 * it: a list of ids in the order in which vectors were added (or an object from FAISS's ids to
 * them), and by id or in the same order, labels and metadata.
 *
 * Everything about the ids is settled before the first product is stored: a list that is one too
 * short would give every product behind the gap its neighbour's vector, and nobody would see it. So
 * there must be as many ids as vectors. An index of one class of a larger collection has the ids of
 * that label, in the order of the list; it is not guessed which (two classes may be equally large),
 * but where the numbers say it, the message does.
 *
 * Rejected: taking the label's name from the file's; filling up with numbers for ids. */
#include "engine/collection.h"

#define FILE_MAX_BYTES ((size_t)1 << 30)

static vt_status read_json(const char *path, json_t **out, vt_err *err) {
    vt_buf text;
    vt_status s;
    *out = NULL;
    if (!path)
        return VT_OK;
    vt_buf_init(&text, FILE_MAX_BYTES);
    s = vt_file_read(path, &text, err);
    if (s == VT_OK && (s = vt_json_parse(text.data ? text.data : "", text.len, out, err)) != VT_OK)
        s = vt_fail_prefix(err, "%s", path);
    vt_buf_release(&text);
    return s;
}

/* What a file of labels or metadata says of the id at a place; NULL: nothing. */
static json_t *said_of(const json_t *file, const vt_member_row *row) {
    json_t *v =
        json_is_array(file) ? json_array_get(file, row->place) : json_object_get(file, row->id);
    return json_is_null(v) ? NULL : v;
}

static vt_status check_shape(const char *path, const json_t *file, const json_t *ids, vt_err *err) {
    if (!file || json_is_object(file))
        return VT_OK;
    if (!json_is_array(file) || !json_is_array(ids))
        return vt_fail(err, VT_E_INVALID, "%s: an object by id is needed, or lists of it and ids",
                       path);
    if (json_array_size(file) != json_array_size(ids))
        return vt_fail(err, VT_E_INVALID, "%s has %zu entries for %zu ids", path,
                       json_array_size(file), json_array_size(ids));
    return VT_OK;
}

/* ---- the list of ids -------------------------------------------------------------------- */

/* What takes part, in order. */
typedef struct roll {
    vt_member_row *all;
    size_t n;
} roll;

static bool labelled(const vt_collection *c, const vt_member_row *row, const char *label) {
    const char *said = json_string_value(said_of(c->labels, row));
    return said && strcmp(said, label) == 0;
}

static vt_status call_roll(const vt_collection *c, const vt_faiss_import_options *from, roll *r,
                           vt_err *err) {
    size_t n = json_array_size(c->ids), place;
    const json_t *v;
    r->all = vt_alloc(n, sizeof *r->all);
    if (!r->all)
        return vt_fail_nomem(err, n * sizeof *r->all);
    json_array_foreach(c->ids, place, v) {
        vt_member_row row = {.id = json_string_value(v), .place = place};
        if (!row.id)
            return vt_fail(err, VT_E_INVALID, "%s: entry %zu is not a string", from->ids, place);
        if (!from->category || labelled(c, &row, from->category))
            r->all[r->n++] = row;
    }
    return VT_OK;
}

/* The one label that `wanted` ids have; NULL where none or several do. */
static const char *label_of_size(const vt_collection *c, const roll *r, size_t wanted,
                                 json_t *counts) {
    const char *label, *found = NULL;
    json_t *count;
    for (size_t i = 0; i < r->n; i++) {
        label = json_string_value(said_of(c->labels, &r->all[i]));
        if (label && json_object_set_new(
                         counts, label,
                         json_integer(json_integer_value(json_object_get(counts, label)) + 1)) != 0)
            return NULL;
    }
    json_object_foreach(counts, label, count) {
        if (json_integer_value(count) == (json_int_t)wanted && found)
            return NULL;
        if (json_integer_value(count) == (json_int_t)wanted)
            found = label;
    }
    return found;
}

static vt_status wrong_number(const vt_collection *c, const vt_faiss_import_options *from,
                              const roll *r, size_t vectors, vt_err *err) {
    json_t *counts = json_object();
    const char *label = counts && !from->category ? label_of_size(c, r, vectors, counts) : NULL;
    vt_fail(err, VT_E_INVALID, "%s has %zu ids%s%s, %s has %zu vectors%s%s%s", from->ids, r->n,
            from->category ? " labelled " : "", from->category ? from->category : "", from->index,
            vectors, label ? "; as many ids are labelled \"" : "", label ? label : "",
            label ? "\" (--category)" : "");
    json_decref(counts);
    return err->status;
}

static vt_status rows_by_place(vt_collection *c, const vt_faiss_import_options *from,
                               const vt_faiss *index, vt_err *err) {
    size_t count = vt_faiss_describe(index)->count;
    roll r = {0};
    vt_status s = call_roll(c, from, &r, err);
    if (s == VT_OK && r.n != count)
        s = wrong_number(c, from, &r, count, err);
    for (size_t row = 0; row < count && s == VT_OK; row++) {
        int64_t id = vt_faiss_id(index, row);
        if (id < 0 || (size_t)id >= r.n)
            s = vt_fail(err, VT_E_INVALID,
                        "%s: FAISS's id %lld has no place in a list of %zu; an object from FAISS's "
                        "ids to products' is needed",
                        from->ids, (long long)id, r.n);
        else
            c->rows[row] = r.all[id];
    }
    free(r.all);
    return s;
}

static vt_status rows_by_id(vt_collection *c, const vt_faiss_import_options *from,
                            const vt_faiss *index, vt_err *err) {
    size_t count = vt_faiss_describe(index)->count;
    if (from->category)
        return vt_fail(err, VT_E_INVALID, "%s: a category chooses from a list of ids only",
                       from->ids);
    if (json_object_size(c->ids) != count)
        return vt_fail(err, VT_E_INVALID, "%s has %zu ids, %s has %zu vectors", from->ids,
                       json_object_size(c->ids), from->index, count);
    for (size_t row = 0; row < count; row++) {
        char key[24];
        snprintf(key, sizeof key, "%lld", (long long)vt_faiss_id(index, row));
        c->rows[row].id = json_string_value(json_object_get(c->ids, key));
        if (!c->rows[row].id)
            return vt_fail(err, VT_E_INVALID, "%s: no string for FAISS's id %s", from->ids, key);
    }
    return VT_OK;
}

static vt_status check_different(const vt_collection *c, const vt_faiss_import_options *from,
                                 const vt_faiss *index, vt_err *err) {
    json_t *seen = json_object();
    vt_status s = seen ? VT_OK : vt_fail_nomem(err, 64);
    for (size_t row = 0; row < vt_faiss_describe(index)->count && s == VT_OK; row++) {
        const char *id = c->rows[row].id;
        const json_t *before = json_object_get(seen, id);
        if (before)
            s = vt_fail(err, VT_E_INVALID, "%s: \"%s\" comes twice, at FAISS's ids %lld and %lld",
                        from->ids, id,
                        (long long)vt_faiss_id(index, (size_t)json_integer_value(before)),
                        (long long)vt_faiss_id(index, row));
        else if (json_object_set_new(seen, id, json_integer((json_int_t)row)) != 0)
            s = vt_fail_nomem(err, 64);
    }
    json_decref(seen);
    return s;
}

/* ---- open ------------------------------------------------------------------------------- */

static vt_status read_files(const vt_faiss_import_options *from, vt_collection *c, vt_err *err) {
    vt_status s = read_json(from->ids, &c->ids, err);
    if (s == VT_OK)
        s = read_json(from->labels, &c->labels, err);
    if (s == VT_OK)
        s = read_json(from->metadata, &c->metadata, err);
    if (s == VT_OK && !json_is_array(c->ids) && !json_is_object(c->ids))
        s = vt_fail(err, VT_E_INVALID, "%s: a list of ids is needed, or an object", from->ids);
    if (s == VT_OK)
        s = check_shape(from->labels, c->labels, c->ids, err);
    if (s == VT_OK)
        s = check_shape(from->metadata, c->metadata, c->ids, err);
    if (s == VT_OK && from->category && !c->labels)
        s = vt_fail(err, VT_E_INVALID, "a category chooses by labels, and there are none");
    return s;
}

vt_status vt_collection_read(const vt_faiss_import_options *from, const vt_faiss *index,
                             vt_collection *c, vt_err *err) {
    size_t count = vt_faiss_describe(index)->count;
    vt_status s;
    *c = (vt_collection){0};
    s = read_files(from, c, err);
    if (s == VT_OK && !(c->rows = vt_alloc(count, sizeof *c->rows)))
        s = vt_fail_nomem(err, count * sizeof *c->rows);
    if (s == VT_OK)
        s = json_is_array(c->ids) ? rows_by_place(c, from, index, err)
                                  : rows_by_id(c, from, index, err);
    if (s == VT_OK)
        s = check_different(c, from, index, err);
    if (s != VT_OK)
        vt_collection_release(c);
    return s;
}

void vt_collection_release(vt_collection *c) {
    json_decref(c->ids);
    json_decref(c->labels);
    json_decref(c->metadata);
    free(c->rows);
    *c = (vt_collection){0};
}

/* ---- the product of a row --------------------------------------------------------------- */

static bool is_field(const char *key) {
    static const char *const fields[] = {"name",     "description", "image_url",
                                         "category", "price",       "attributes"};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (strcmp(fields[i], key) == 0)
            return true;
    return false;
}

/* What metadata says beyond a product's fields (a brand, a reference) are attributes. Metadata of
 * another form than an object takes the place of the attributes, to be refused with the product. */
static bool add_metadata(json_t *product, json_t *metadata) {
    const char *key;
    json_t *v, *given = json_object_get(metadata, "attributes"), *attributes;
    bool ok;
    if (metadata && !json_is_object(metadata))
        return json_object_set(product, "attributes", metadata) == 0;
    if (given && !json_is_null(given) && !json_is_object(given))
        return json_object_set(product, "attributes", given) == 0;
    attributes = json_is_object(given) ? json_copy(given) : json_object();
    ok = json_object_set_new(product, "attributes", attributes) == 0;
    json_object_foreach(metadata, key, v) {
        if (strcmp(key, "attributes") != 0)
            ok = ok && json_object_set(is_field(key) ? product : attributes, key, v) == 0;
    }
    return ok;
}

json_t *vt_collection_product(const vt_collection *c, size_t row) {
    const vt_member_row *r = &c->rows[row];
    json_t *product = json_object(), *label = said_of(c->labels, r);
    bool ok = product && add_metadata(product, said_of(c->metadata, r));
    if (ok && !vt_given(product, "name"))
        ok = json_object_set_new(product, "name", json_string(r->id)) == 0;
    ok = ok && json_object_set_new(product, "id", json_string(r->id)) == 0;
    if (ok && label)
        ok = json_object_set(product, "category", label) == 0;
    if (ok)
        return product;
    json_decref(product);
    return NULL;
}
