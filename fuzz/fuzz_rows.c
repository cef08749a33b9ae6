/* fuzz_rows: the record readers. The first byte chooses the format (bit 0) and the size of the
 * pieces (the rest), what follows is the file. Properties: whatever the pieces, the same records
 * come out; no record is longer than the limit; every CSV record becomes a JSON object. */
#include "engine/engine.h"

#define MAX_LINE ((size_t)300)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct outcome {
    vt_rows_format format;
    vt_hasher *records; /* everything told, in order */
    vt_hash digest;
    vt_status status;
} outcome;

static vt_status take_record(void *ctx, uint64_t line, const char *json, size_t n,
                             const vt_err *why, vt_err *err) {
    outcome *o = ctx;
    vt_hasher_add(o->records, &line, sizeof line);
    if (!json) {
        vt_hasher_add(o->records, why->text, strlen(why->text));
        return VT_OK;
    }
    assert(vt_utf8_valid(json, n));
    vt_hasher_add(o->records, json, n);
    if (o->format == VT_ROWS_JSONL) {
        assert(n <= MAX_LINE);
        return VT_OK;
    }
    json_t *object = NULL;
    vt_status s = vt_json_parse(json, n, &object, err);
    assert(s == VT_OK && json_is_object(object));
    json_decref(object);
    return VT_OK;
}

static outcome read_in_pieces(vt_rows_format format, const uint8_t *data, size_t size,
                              size_t piece) {
    outcome o = {.format = format};
    vt_rows *r = NULL;
    vt_err err;
    o.status = vt_hasher_open(&o.records, &err);
    if (o.status == VT_OK)
        o.status = vt_rows_open(format, MAX_LINE, take_record, &o, &r, &err);
    for (size_t done = 0; done < size && o.status == VT_OK; done += piece) {
        size_t n = size - done < piece ? size - done : piece;
        o.status = vt_rows_feed(r, (const char *)data + done, n, &err);
    }
    if (o.status == VT_OK)
        o.status = vt_rows_finish(r, &err);
    vt_rows_close(r);
    o.digest = vt_hasher_close(o.records);
    return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0)
        return 0;
    vt_rows_format format = data[0] & 1 ? VT_ROWS_CSV : VT_ROWS_JSONL;
    size_t piece = data[0] / 2u + 1;
    outcome whole = read_in_pieces(format, data + 1, size - 1, size);
    outcome parts = read_in_pieces(format, data + 1, size - 1, piece);
    assert(whole.status == parts.status);
    assert(vt_hash_equal(&whole.digest, &parts.digest));
    return 0;
}
