/* How good the searches of this catalogue are: judged queries come in, figures come out.
 *
 * Method: each query goes through vt_engine_search, the walk that a customer's query takes, so that
 * what is measured is what is served. The collection that counts for a query is what it could
 * have answered: products that pass its filter, without those it excludes (a product's own picture
 * as the query would find that product first). What is relevant outside that collection is left
 * out of recall and of the ideal order too. Excluded products are asked for on top of k and then
 * taken out, so that k others are seen.
 *
 * Relevance is a list of ids or a filter; for a filter the catalogue is walked once (100,000
 * products in a second), which needs no index and trusts none.
 *
 * A query without a relevant product measures nothing: it is counted, and left out of every mean. A
 * line that cannot be asked is noted with its reason and the rest goes on.
 *
 * Threading: one evaluation belongs to one thread. Memory: a few numbers a query; what was found is
 * kept for the worst ten only. Figures are defined in ranking.h. */
#include "engine/eval.h"
#include "engine/state.h"

enum { ANSWER_MAX = 256 << 20, BROKEN_MAX = 64 << 20 };

vt_status vt_eval_open(vt_engine *e, const vt_eval_options *o, vt_eval **out, vt_err *err) {
    vt_eval *ev;
    *out = NULL;
    if (o->top_k < 1 || o->top_k > VT_TOP_K_MAX)
        return vt_fail_field(err, VT_E_INVALID, "/top_k", "top_k must be an integer from 1 to %d",
                             VT_TOP_K_MAX);
    ev = vt_alloc(1, sizeof *ev);
    if (!ev)
        return vt_fail_nomem(err, sizeof *ev);
    ev->e = e;
    ev->top_k = o->top_k;
    ev->image_dir = vt_strdup(o->image_dir);
    vt_buf_init(&ev->broken, BROKEN_MAX);
    vt_json_init(&ev->broken_w, &ev->broken);
    if (!ev->image_dir) {
        vt_eval_close(ev);
        return vt_fail_nomem(err, strlen(o->image_dir));
    }
    *out = ev;
    return VT_OK;
}

void vt_eval_close(vt_eval *ev) {
    if (!ev)
        return;
    for (size_t i = 0; i < ev->n_outcomes; i++) {
        free(ev->outcomes[i].subject);
        free(ev->outcomes[i].group);
    }
    for (size_t i = 0; i < ev->n_worst; i++)
        free(ev->worst[i].found);
    free(ev->outcomes);
    free(ev->image_dir);
    vt_buf_release(&ev->broken);
    free(ev);
}

/* ---- what is relevant ----------------------------------------------------------------------- */

/* Sets of ids are JSON objects: jansson's hash table, each id once. */
typedef struct collection {
    vt_filter *filter; /* of the query */
    json_t *excluded;
    json_t *relevant;
    size_t unknown_ids;
} collection;

static vt_status add_id(json_t *set, const char *id, vt_err *err) {
    return json_object_set_new(set, id, json_true()) ? vt_fail_nomem(err, strlen(id)) : VT_OK;
}

/* vt_product_fn: p is relevant if the query could have answered it. */
static vt_status add_relevant(void *ctx, const vt_product *p, vt_err *err) {
    const collection *c = ctx;
    if (json_object_get(c->excluded, p->id) || !vt_filter_matches(c->filter, p))
        return VT_OK;
    return add_id(c->relevant, p->id, err);
}

static vt_status relevant_by_ids(const vt_eval *ev, const json_t *ids, collection *c, vt_err *err) {
    size_t i;
    json_t *id;
    vt_status s = VT_OK;
    json_array_foreach((json_t *)(uintptr_t)ids, i, id) {
        vt_product p;
        vt_product_init(&p);
        s = vt_catalog_get(ev->e->catalog, json_string_value(id), &p, err);
        if (s == VT_OK)
            s = add_relevant(c, &p, err);
        vt_product_release(&p);
        c->unknown_ids += s == VT_E_NOT_FOUND;
        if (s != VT_OK && s != VT_E_NOT_FOUND)
            return s;
    }
    return VT_OK;
}

static vt_status relevant_by_filter(const vt_eval *ev, const json_t *filter, collection *c,
                                    vt_err *err) {
    vt_filter *f = NULL;
    vt_status s = vt_filter_from_json(filter, "/relevant", &f, err);
    if (s == VT_OK)
        s = vt_catalog_list(ev->e->catalog, "", SIZE_MAX, f, add_relevant, c, err);
    vt_filter_close(f);
    return s;
}

static vt_status find_relevant(const vt_eval *ev, const vt_eval_query *q, collection *c,
                               vt_err *err) {
    vt_status s = vt_filter_from_json(q->filter, "/filter", &c->filter, err);
    if (s != VT_OK)
        return s;
    return json_is_array(q->relevant) ? relevant_by_ids(ev, q->relevant, c, err)
                                      : relevant_by_filter(ev, q->relevant, c, err);
}

static vt_status read_excluded(const vt_eval *ev, const vt_eval_query *q, json_t *excluded,
                               vt_err *err) {
    size_t i;
    json_t *id;
    json_array_foreach((json_t *)(uintptr_t)q->exclude, i, id) {
        vt_status s = add_id(excluded, json_string_value(id), err);
        if (s != VT_OK)
            return s;
    }
    if (json_object_size(excluded) > VT_TOP_K_MAX - ev->top_k)
        return vt_fail_field(err, VT_E_INVALID, "/exclude",
                             "top_k and the excluded products together are more than %d",
                             VT_TOP_K_MAX);
    return VT_OK;
}

/* ---- asking --------------------------------------------------------------------------------- */

static vt_status build_request(const vt_eval_query *q, size_t top_k, json_t *request, vt_err *err) {
    static const char *const names[][2] = {{"query", "text_query"},
                                           {"image", "image"},
                                           {"image_url", "image_url"},
                                           {"filter", "filter"}};
    int failed = json_object_set_new(request, "top_k", json_integer((json_int_t)top_k));
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        json_t *v = json_object_get(q->line, names[i][0]);
        if (v)
            failed |= json_object_set(request, names[i][1], v);
    }
    return failed ? vt_fail_nomem(err, 64) : VT_OK;
}

/* *results: the array of a search's answer, the caller's to release. */
static vt_status search(vt_eval *ev, const vt_eval_query *q, size_t top_k, json_t **results,
                        vt_err *err) {
    json_t *request = json_object(), *answer = NULL;
    vt_buf image, text;
    vt_status s = request ? build_request(q, top_k, request, err) : vt_fail_nomem(err, 64);
    vt_buf_init(&image, VT_IMAGE_MAX_BYTES);
    vt_buf_init(&text, ANSWER_MAX);
    if (s == VT_OK)
        s = vt_picture_read_local(ev->e, ev->image_dir, request, &image, err);
    if (s == VT_OK)
        s = vt_engine_search(ev->e, request, image.data, image.len, &text, err);
    if (s != VT_OK && strcmp(err->field, "/text_query") == 0)
        snprintf(err->field, sizeof err->field, "/query");
    if (s == VT_OK)
        s = vt_json_parse(text.data, text.len, &answer, err);
    *results = json_incref(json_object_get(answer, "results"));
    json_decref(answer);
    json_decref(request);
    vt_buf_release(&image);
    vt_buf_release(&text);
    return s;
}

/* Takes out what is excluded and what is beyond k. */
static vt_status keep_first(json_t *results, const json_t *excluded, size_t k, vt_err *err) {
    for (size_t i = 0; i < json_array_size(results);) {
        const json_t *id = json_object_get(json_array_get(results, i), "product_id");
        bool out = i >= k || json_object_get(excluded, json_string_value(id));
        if (out && json_array_remove(results, i) != 0)
            return vt_fail(err, VT_E_INTERNAL, "a result could not be taken out");
        i += !out;
    }
    return VT_OK;
}

/* ---- noting --------------------------------------------------------------------------------- */

static void write_found(const json_t *results, const bool *hits, vt_buf *out) {
    size_t i;
    json_t *hit;
    vt_json w;
    vt_json_init(&w, out);
    vt_json_open(&w, '[');
    json_array_foreach((json_t *)(uintptr_t)results, i, hit) {
        vt_json_open(&w, '{');
        vt_json_key(&w, "product_id");
        vt_json_value(&w, json_object_get(hit, "product_id"));
        vt_json_key(&w, "name");
        vt_json_value(&w, json_object_get(hit, "name"));
        vt_json_key(&w, "similarity_score");
        vt_json_value(&w, json_object_get(hit, "similarity_score"));
        vt_json_key(&w, "relevant");
        vt_json_bool(&w, hits[i]);
        vt_json_close(&w, '}');
    }
    vt_json_close(&w, ']');
}

/* The last outcome takes its place among the worst, if it has one. */
static vt_status note_worst(vt_eval *ev, const json_t *results, const bool *hits, vt_err *err) {
    size_t last = ev->n_outcomes - 1, place = ev->n_worst;
    double ndcg = ev->outcomes[last].figures[VT_NDCG];
    vt_buf found;
    vt_status s;
    while (place > 0 && ndcg < ev->outcomes[ev->worst[place - 1].outcome].figures[VT_NDCG])
        place--;
    if (place == VT_EVAL_WORST || ndcg >= 1) /* a perfect answer is nobody's worst */
        return VT_OK;
    vt_buf_init(&found, ANSWER_MAX);
    write_found(results, hits, &found);
    s = vt_buf_status(&found, "what was found", err);
    if (s != VT_OK) {
        vt_buf_release(&found);
        return s;
    }
    if (ev->n_worst == VT_EVAL_WORST)
        free(ev->worst[--ev->n_worst].found);
    memmove(&ev->worst[place + 1], &ev->worst[place], (ev->n_worst - place) * sizeof ev->worst[0]);
    ev->worst[place] = (vt_eval_bad){last, found.data};
    ev->n_worst++;
    return VT_OK;
}

static vt_status add_outcome(vt_eval *ev, uint64_t line, const vt_eval_query *q,
                             const collection *c, vt_err *err) {
    vt_eval_outcome o = {.line = line,
                         .picture = q->picture,
                         .relevant = json_object_size(c->relevant),
                         .unknown_ids = c->unknown_ids};
    vt_status s =
        vt_array_grow(&ev->outcomes, &ev->cap, ev->n_outcomes + 1, sizeof *ev->outcomes, err);
    if (s != VT_OK)
        return s;
    o.subject = vt_strdup(q->subject);
    o.group = q->group ? vt_strdup(q->group) : NULL;
    if (!o.subject || (q->group && !o.group)) {
        free(o.subject);
        free(o.group);
        return vt_fail_nomem(err, strlen(q->subject));
    }
    ev->outcomes[ev->n_outcomes++] = o;
    return VT_OK;
}

/* Fills the last outcome's figures. */
static vt_status measure(vt_eval *ev, const json_t *results, const json_t *relevant, vt_err *err) {
    vt_eval_outcome *o = &ev->outcomes[ev->n_outcomes - 1];
    size_t n = json_array_size(results), i;
    bool *hits = vt_alloc(n, sizeof *hits);
    json_t *hit;
    vt_status s;
    if (!hits)
        return vt_fail_nomem(err, n);
    json_array_foreach((json_t *)(uintptr_t)results, i, hit) {
        const char *id = json_string_value(json_object_get(hit, "product_id"));
        hits[i] = json_object_get(relevant, id) != NULL;
    }
    vt_ranking_measure(hits, n, ev->top_k, o->relevant, o->figures);
    s = note_worst(ev, results, hits, err);
    free(hits);
    return s;
}

/* ---- a line --------------------------------------------------------------------------------- */

static vt_status ask(vt_eval *ev, uint64_t line, const vt_eval_query *q, vt_err *err) {
    collection c = {.excluded = json_object(), .relevant = json_object()};
    json_t *results = NULL;
    vt_status s =
        c.excluded && c.relevant ? read_excluded(ev, q, c.excluded, err) : vt_fail_nomem(err, 64);
    if (s == VT_OK)
        s = find_relevant(ev, q, &c, err);
    if (s == VT_OK)
        s = search(ev, q, ev->top_k + json_object_size(c.excluded), &results, err);
    if (s == VT_OK)
        s = keep_first(results, c.excluded, ev->top_k, err);
    if (s == VT_OK)
        s = add_outcome(ev, line, q, &c, err);
    if (s == VT_OK && json_object_size(c.relevant) > 0)
        s = measure(ev, results, c.relevant, err);
    json_decref(results);
    json_decref(c.relevant);
    json_decref(c.excluded);
    vt_filter_close(c.filter);
    return s;
}

vt_status vt_eval_feed_error(vt_eval *ev, uint64_t line, const vt_err *why, vt_err *err) {
    vt_json *w = &ev->broken_w;
    ev->n_broken++;
    vt_json_open(w, '{');
    vt_json_key(w, "line");
    vt_json_int(w, (int64_t)line);
    vt_json_key(w, "code");
    vt_json_str(w, vt_status_code(why->status));
    vt_json_key(w, "pointer");
    vt_json_str(w, why->field);
    vt_json_key(w, "detail");
    vt_json_str(w, why->text);
    vt_json_close(w, '}');
    return vt_buf_status(&ev->broken, "the list of broken lines", err);
}

/* The line's fault, or ours: a full disk or a lack of memory would spoil every line after it. */
static bool is_lines_fault(const vt_err *why) {
    return why->status != VT_E_NOMEM &&
           (*why->field || vt_status_exit(why->status) <= vt_status_exit(VT_E_UPSTREAM));
}

vt_status vt_eval_feed(vt_eval *ev, uint64_t line, const char *json, size_t n, vt_err *err) {
    vt_eval_query q;
    vt_err why;
    vt_status s = vt_eval_query_read(json, n, &q, &why);
    if (s == VT_OK)
        s = ask(ev, line, &q, &why);
    vt_eval_query_release(&q);
    if (s == VT_OK)
        return s;
    if (is_lines_fault(&why))
        return vt_eval_feed_error(ev, line, &why, err);
    *err = why;
    return vt_fail_prefix(err, "line %llu", (unsigned long long)line);
}
