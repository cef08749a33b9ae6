/* What was asked: exactly one of text, picture bytes or picture URL, how many, and among which
 * products. Fields of the first API (category_filter, price_min, price_max) and the newer `filter`
 * object become one filter. null counts as absent everywhere, as the old clients send it. */
#include "engine/state.h"

void vt_query_init(vt_query *q) {
    *q = (vt_query){.top_k = VT_TOP_K_DEFAULT, .recall = VT_RECALL_DEFAULT};
    vt_picture_init(&q->picture);
}

void vt_query_release(vt_query *q) {
    vt_picture_release(&q->picture);
    vt_filter_close(q->filter);
    vt_query_init(q);
}

static vt_status read_text(const json_t *text, vt_query *q, vt_err *err) {
    if (!json_is_string(text))
        return vt_fail_field(err, VT_E_INVALID, "/text_query", "text_query must be a string");
    q->text = json_string_value(text);
    q->text_len = json_string_length(text);
    if (q->text[strspn(q->text, " \t\r\n")] == 0)
        return vt_fail_field(err, VT_E_INVALID, "/text_query", "text_query is empty");
    if (q->text_len > VT_TEXT_QUERY_MAX)
        return vt_fail_field(err, VT_E_TOO_LARGE, "/text_query",
                             "text_query has %zu bytes, the limit is %d", q->text_len,
                             VT_TEXT_QUERY_MAX);
    return VT_OK;
}

static vt_status read_subject(vt_engine *e, const json_t *request, const void *image, size_t len,
                              vt_query *q, vt_err *err) {
    const json_t *text = vt_given(request, "text_query");
    int pictures = (image || vt_given(request, "image")) + (vt_given(request, "image_url") != NULL);
    if (pictures + (text != NULL) == 0 && vt_member(request, "text_query"))
        return vt_fail_field(err, VT_E_INVALID, "/text_query", "text_query is empty");
    if (pictures + (text != NULL) == 0)
        return vt_fail(err, VT_E_INVALID,
                       "nothing to search for: give text_query, image or image_url");
    if (pictures + (text != NULL) > 1)
        return vt_fail(err, VT_E_INVALID,
                       "more than one of text_query, image and image_url: give exactly one");
    if (text) {
        vt_status s = read_text(text, q, err);
        return s == VT_OK ? vt_text_key(e, q->text, q->text_len, &q->subject, err) : s;
    }
    q->picture_field = vt_picture_field(request, image);
    vt_status s = vt_picture_take(e, request, image, len, &q->picture, err);
    q->subject = vt_picture_key(&q->picture);
    return s;
}

static vt_status read_top_k(const json_t *top_k, vt_query *q, vt_err *err) {
    json_int_t k;
    if (!top_k)
        return VT_OK;
    k = json_integer_value(top_k);
    if (!json_is_integer(top_k) || k < 1 || k > VT_TOP_K_MAX)
        return vt_fail_field(err, VT_E_INVALID, "/top_k", "top_k must be an integer from 1 to %d",
                             VT_TOP_K_MAX);
    q->top_k = (size_t)k;
    return VT_OK;
}

/* How much of the true answer is to be found, and whether the answer tells how. As a float even the
 * least number must stay above 0, which the index takes for no wish at all. */
static vt_status read_effort(const json_t *request, vt_query *q, vt_err *err) {
    const json_t *recall = vt_member(request, "recall"), *explain = vt_member(request, "explain");
    double wished = json_number_value(recall);
    if (recall && (!json_is_number(recall) || (float)wished <= 0 || wished > 1))
        return vt_fail_field(err, VT_E_INVALID, "/recall",
                             "recall must be a number above 0 and at most 1");
    if (recall)
        q->recall = (float)wished;
    if (explain && !json_is_boolean(explain))
        return vt_fail_field(err, VT_E_INVALID, "/explain", "explain must be true or false");
    q->explain = json_is_true(explain);
    return VT_OK;
}

/* Puts an old field under its name in the filter; a second word on the same thing is refused. */
static vt_status adopt(json_t *filter, const json_t *request, const char *field, const char *name,
                       vt_err *err) {
    const json_t *v = vt_member(request, field);
    char at[64];
    snprintf(at, sizeof at, "/%s", field);
    if (!v)
        return VT_OK;
    if (json_object_get(filter, name))
        return vt_fail_field(err, VT_E_INVALID, at, "%s is also given as filter.%s", field, name);
    if (json_object_set_new(filter, name, json_deep_copy(v)) != 0)
        return vt_fail_nomem(err, 64);
    return VT_OK;
}

/* pointer is at, or inside, the member at `at`. */
static bool is_within(const char *pointer, const char *at) {
    size_t n = strlen(at);
    return strncmp(pointer, at, n) == 0 && (pointer[n] == 0 || pointer[n] == '/');
}

/* An error inside a member that came by an old field points at that field. */
static void point_at_old_field(const json_t *request, vt_err *err) {
    static const char *const names[][2] = {
        {"/filter/category", "/category_filter"},
        {"/filter/price_min", "/price_min"},
        {"/filter/price_max", "/price_max"},
    };
    vt_err inner = *err;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (is_within(inner.field, names[i][0]) && vt_member(request, names[i][1] + 1))
            vt_fail_field(err, inner.status, names[i][1], "%s", inner.text);
}

static vt_status read_filter(const json_t *request, vt_query *q, vt_err *err) {
    const json_t *given = vt_member(request, "filter");
    json_t *filter = NULL;
    vt_status s;
    if (given && !json_is_object(given))
        return vt_fail_field(err, VT_E_INVALID, "/filter", "filter must be an object");
    filter = given ? json_copy((json_t *)(uintptr_t)given) : json_object();
    if (!filter)
        return vt_fail_nomem(err, 64);
    s = adopt(filter, request, "category_filter", "category", err);
    if (s == VT_OK)
        s = adopt(filter, request, "price_min", "price_min", err);
    if (s == VT_OK)
        s = adopt(filter, request, "price_max", "price_max", err);
    if (s == VT_OK) {
        s = vt_filter_from_json(filter, "/filter", &q->filter, err);
        if (s != VT_OK)
            point_at_old_field(request, err);
    }
    json_decref(filter);
    return s;
}

/* Detection chooses a category for a picture; a text has none, and one that is given is chosen. */
static vt_status read_detect(const json_t *request, vt_query *q, vt_err *err) {
    const json_t *detect = vt_member(request, "detect_category");
    const char *why = NULL;
    if (detect && !json_is_boolean(detect))
        why = "must be true or false";
    else if (!json_is_true(detect))
        return VT_OK;
    else if (vt_given(request, "text_query"))
        why = "is for searches by picture, not by text_query";
    else if (vt_member(request, "category_filter") ||
             vt_member(vt_member(request, "filter"), "category"))
        why = "and a category filter cannot both choose the category";
    if (why)
        return vt_fail_field(err, VT_E_INVALID, "/detect_category", "detect_category %s", why);
    q->detect = true;
    return VT_OK;
}

vt_status vt_query_read(vt_engine *e, const json_t *request, const void *image, size_t image_len,
                        vt_query *q, vt_err *err) {
    vt_status s;
    if (!json_is_object(request))
        return vt_fail(err, VT_E_INVALID, "a search is a JSON object");
    s = read_top_k(vt_member(request, "top_k"), q, err);
    if (s == VT_OK)
        s = read_effort(request, q, err);
    if (s == VT_OK)
        s = read_filter(request, q, err);
    if (s == VT_OK)
        s = read_detect(request, q, err);
    if (s == VT_OK) /* last: it may download */
        s = read_subject(e, request, image, image_len, q, err);
    return s;
}

vt_status vt_query_key(vt_engine *e, const vt_query *q, vt_hash *out, vt_err *err) {
    const vt_clip_info *model = vt_clip_describe(e->clip);
    uint64_t numbers[] = {q->top_k, q->detect, vt_catalog_generation(e->catalog)};
    vt_hasher *h = NULL;
    vt_buf filter;
    vt_status s;
    vt_buf_init(&filter, SIZE_MAX - 1);
    s = vt_hasher_open(&h, err);
    if (s != VT_OK)
        goto done;
    vt_filter_write(q->filter, &filter);
    s = vt_buf_status(&filter, "the filter", err);
    if (s != VT_OK)
        goto done;
    vt_hasher_add(h, numbers, sizeof numbers);
    vt_hasher_add(h, &q->recall, sizeof q->recall);
    vt_hasher_add(h, q->subject.bytes, sizeof q->subject.bytes);
    vt_hasher_add(h, model->identity.bytes, sizeof model->identity.bytes);
    vt_hasher_add(h, &filter.len, sizeof filter.len);
    vt_hasher_add(h, filter.data, filter.len);
done:
    *out = vt_hasher_close(h);
    vt_buf_release(&filter);
    return s;
}
