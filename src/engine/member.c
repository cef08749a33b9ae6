/* What a request holds, as its clients write it: null stands for absent, and so may an empty
 * string. */
#include "engine/state.h"

const json_t *vt_member(const json_t *request, const char *name) {
    const json_t *v = json_object_get(request, name);
    return json_is_null(v) ? NULL : v;
}

const json_t *vt_given(const json_t *request, const char *name) {
    const json_t *v = vt_member(request, name);
    return json_is_string(v) && json_string_length(v) == 0 ? NULL : v;
}
