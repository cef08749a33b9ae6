/* fuzz_eval_query: a line of a file of judged queries. What is accepted has one subject, and names
 * ids or a filter that the catalogue's reader then judges; what is refused leaves nothing behind
 * and says why. */
#include "engine/eval.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok) {
    if (!ok)
        abort();
}

static void require_ids(const json_t *ids) {
    for (size_t i = 0; i < json_array_size(ids); i++)
        require(json_string_length(json_array_get(ids, i)) > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    vt_eval_query q;
    vt_err err;
    vt_status s = vt_eval_query_read((const char *)data, size, &q, &err);
    if (s != VT_OK) {
        require((s == VT_E_PARSE || s == VT_E_INVALID) && *err.text && !q.line && !q.subject);
        return 0;
    }
    require(q.subject && *q.subject);
    require(q.picture == (json_object_get(q.line, "query") == NULL));
    require(json_array_size(q.relevant) + json_object_size(q.relevant) > 0 ||
            json_is_array(q.relevant));
    require(!q.filter || json_is_object(q.filter));
    require(!q.group || *q.group);
    require_ids(q.relevant);
    require_ids(q.exclude);
    vt_eval_query_release(&q);
    return 0;
}
