/* One line of a query file: {"query" | "image" | "image_url", "relevant", "filter", "exclude",
 * "group"}. Only its form is judged here, without catalogue or model; filters are judged where they
 * are used, by the catalogue's own reader. */
#include "engine/eval.h"

static vt_status check_names(const json_t *line, vt_err *err) {
    static const char *const known[] = {"query",  "image",   "image_url", "relevant",
                                        "filter", "exclude", "group"};
    enum { N = sizeof known / sizeof known[0] };
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)line, name, value) {
        size_t i = 0;
        while (i < N && strcmp(name, known[i]) != 0)
            i++;
        if (i == N)
            return vt_fail(err, VT_E_INVALID, "unknown member \"%s\"", name);
    }
    return VT_OK;
}

static vt_status read_subject(vt_eval_query *q, vt_err *err) {
    static const char *const names[] = {"query", "image", "image_url"};
    int given = 0;
    for (size_t i = 0; i < 3; i++) {
        const json_t *v = json_object_get(q->line, names[i]);
        char at[16];
        if (!v)
            continue;
        snprintf(at, sizeof at, "/%s", names[i]);
        given++;
        q->subject = json_string_value(v);
        q->picture = i > 0;
        if (!q->subject || !*q->subject)
            return vt_fail_field(err, VT_E_INVALID, at, "%s must be a string, not empty", names[i]);
    }
    if (given != 1)
        return vt_fail(err, VT_E_INVALID, "%s query, image and image_url: give exactly one",
                       given ? "more than one of" : "none of");
    return VT_OK;
}

static vt_status check_ids(const json_t *ids, const char *name, vt_err *err) {
    size_t i;
    json_t *id;
    char at[64];
    json_array_foreach((json_t *)(uintptr_t)ids, i, id) {
        if (json_string_length(id) > 0)
            continue;
        snprintf(at, sizeof at, "/%s/%zu", name, i);
        return vt_fail_field(err, VT_E_INVALID, at, "an id must be a string, not empty");
    }
    return VT_OK;
}

static vt_status read_relevant(vt_eval_query *q, vt_err *err) {
    q->relevant = json_object_get(q->line, "relevant");
    if (!json_is_array(q->relevant) && !json_is_object(q->relevant))
        return vt_fail_field(err, VT_E_INVALID, "/relevant",
                             "relevant must be an array of ids or a filter object");
    if (json_is_object(q->relevant) && json_object_size(q->relevant) == 0)
        return vt_fail_field(err, VT_E_INVALID, "/relevant",
                             "an empty filter would make every product relevant");
    return check_ids(q->relevant, "relevant", err);
}

static vt_status read_rest(vt_eval_query *q, vt_err *err) {
    const json_t *group = json_object_get(q->line, "group");
    q->filter = json_object_get(q->line, "filter");
    q->exclude = json_object_get(q->line, "exclude");
    q->group = json_string_value(group);
    if (group && (!q->group || !*q->group))
        return vt_fail_field(err, VT_E_INVALID, "/group", "group must be a string, not empty");
    if (q->filter && !json_is_object(q->filter))
        return vt_fail_field(err, VT_E_INVALID, "/filter", "filter must be an object");
    if (q->exclude && !json_is_array(q->exclude))
        return vt_fail_field(err, VT_E_INVALID, "/exclude", "exclude must be an array of ids");
    return check_ids(q->exclude, "exclude", err);
}

vt_status vt_eval_query_read(const char *json, size_t n, vt_eval_query *q, vt_err *err) {
    vt_status s;
    *q = (vt_eval_query){0};
    s = vt_json_parse(json, n, &q->line, err);
    if (s == VT_OK && !json_is_object(q->line))
        s = vt_fail(err, VT_E_INVALID, "a query is a JSON object");
    if (s == VT_OK)
        s = check_names(q->line, err);
    if (s == VT_OK)
        s = read_subject(q, err);
    if (s == VT_OK)
        s = read_relevant(q, err);
    if (s == VT_OK)
        s = read_rest(q, err);
    if (s != VT_OK)
        vt_eval_query_release(q);
    return s;
}

void vt_eval_query_release(vt_eval_query *q) {
    json_decref(q->line);
    *q = (vt_eval_query){0};
}
