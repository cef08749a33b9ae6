/* The filter language: JSON to the canonical form (filter.c), or an error that names the member.
 *
 * One function a member, chosen by a table. What is read is copied, so the caller's JSON may go.
 * The pointer to where the reader is (RFC 6901) grows and shrinks with it, for errors. Recursion is
 * bounded by VT_FILTER_DEPTH_MAX, work by VT_FILTER_CONDITIONS_MAX and the lengths of lists. */
#include "catalog/filter.h"

#include <math.h>

typedef struct parser {
    const char *root;  /* pointer of the outermost filter */
    vt_buf at;         /* pointer of what is being read */
    const char *key;   /* the member being read */
    size_t conditions; /* seen so far */
    vt_err *err;
} parser;

static vt_status parse_filter(parser *p, const json_t *object, unsigned depth, vt_filter *f);

/* ---- where, and why not ----------------------------------------------------------------- */

/* Goes down one step: "/", and the name with ~ and / escaped. The answer is for leave. */
static size_t enter(parser *p, const char *step) {
    size_t before = p->at.len;
    vt_buf_puts(&p->at, "/");
    for (const char *c = step; *c; c++) {
        if (*c == '~' || *c == '/')
            vt_buf_puts(&p->at, *c == '~' ? "~0" : "~1");
        else
            vt_buf_append(&p->at, c, 1);
    }
    return before;
}

static size_t enter_element(parser *p, size_t i) {
    char step[24];
    snprintf(step, sizeof step, "%zu", i);
    return enter(p, step);
}

static void leave(parser *p, size_t before) {
    p->at.len = before;
    if (p->at.failed == VT_OK)
        p->at.data[before] = 0;
}

static vt_status refuse(const parser *p, const char *why) {
    return vt_fail_field(p->err, VT_E_INVALID, p->at.failed == VT_OK ? p->at.data : p->root,
                         "filter: \"%.200s\" %s", p->key, why);
}

static vt_status count_condition(parser *p) {
    return ++p->conditions <= VT_FILTER_CONDITIONS_MAX
               ? VT_OK
               : refuse(p, "is one condition too many: the limit is 256 in all");
}

/* ---- clauses ---------------------------------------------------------------------------- */

/* A clause whose members are read so far goes into the filter, or away. */
static vt_status finish(parser *p, vt_filter *f, vt_clause *c, vt_status s) {
    if (s == VT_OK) {
        c->key = vt_strdup(p->key);
        s = c->key ? vt_clause_seal(c, p->err) : vt_fail_nomem(p->err, strlen(p->key));
    }
    if (s == VT_OK)
        s = vt_filter_push(f, c, p->err);
    vt_clause_release(c);
    return s;
}

typedef struct value_rules {
    size_t most, longest;
    bool texts_only;
    const char *of_type, *none, *too_many, *too_long;
} value_rules;

static const value_rules CATEGORIES = {
    .most = VT_FILTER_VALUES_MAX,
    .longest = VT_PRODUCT_TEXT_MAX,
    .texts_only = true,
    .of_type = "must be a string or an array of strings",
    .none = "must name at least one category",
    .too_many = "names more than 64 categories",
    .too_long = "is longer than any category can be",
};
static const value_rules IDS = {
    .most = VT_FILTER_IDS_MAX,
    .longest = VT_PRODUCT_ID_MAX,
    .texts_only = true,
    .of_type = "must be a string or an array of strings",
    .none = "must name at least one product",
    .too_many = "names more than 1000 products",
    .too_long = "is longer than any id can be",
};
static const value_rules ATTRIBUTES = {
    .most = VT_FILTER_VALUES_MAX,
    .longest = VT_ATTRIBUTES_MAX,
    .of_type = "must be a string, a number, a boolean or null, or an array of these, or a range "
               "{\"min\", \"max\"}",
    .none = "must have at least one value",
    .too_many = "has more than 64 values",
    .too_long = "is longer than any attribute can be",
};

static int by_value(const void *a, const void *b) {
    return vt_value_order(a, b);
}

static void sort_values(vt_clause *c) {
    size_t kept = 1;
    qsort(c->values, c->n_values, sizeof *c->values, by_value);
    for (size_t i = 1; i < c->n_values; i++)
        if (vt_value_order(&c->values[i], &c->values[kept - 1]) != 0)
            c->values[kept++] = c->values[i];
    c->n_values = kept;
}

/* One value, or an array of some. */
static vt_status read_values(parser *p, const json_t *v, const value_rules *r, vt_clause *c) {
    size_t n = json_is_array(v) ? json_array_size(v) : 1;
    if (n == 0 || n > r->most)
        return refuse(p, n == 0 ? r->none : r->too_many);
    c->own = json_deep_copy(v);
    c->values = vt_alloc(n, sizeof *c->values);
    if (!c->own || !c->values)
        return vt_fail_nomem(p->err, n * sizeof *c->values);
    for (size_t i = 0; i < n; i++) {
        vt_value *value = &c->values[c->n_values++];
        const json_t *element = json_is_array(v) ? json_array_get(c->own, i) : c->own;
        if (!vt_value_of(element, value) || (r->texts_only && value->type != VT_VALUE_TEXT))
            return refuse(p, r->of_type);
        if (value->type == VT_VALUE_TEXT && strlen(value->text) > r->longest)
            return refuse(p, r->too_long);
    }
    sort_values(c);
    return VT_OK;
}

static vt_status parse_category(parser *p, const json_t *v, unsigned depth, vt_filter *f) {
    vt_clause c = {.kind = VT_CLAUSE_CATEGORY};
    return finish(p, f, &c, read_values(p, v, &CATEGORIES, &c));
}

static vt_status parse_ids(parser *p, const json_t *v, unsigned depth, vt_filter *f) {
    vt_clause c = {.kind = VT_CLAUSE_IDS};
    return finish(p, f, &c, read_values(p, v, &IDS, &c));
}

static vt_status parse_price(parser *p, const json_t *v, unsigned depth, vt_filter *f) {
    bool is_min = strcmp(p->key, "price_min") == 0;
    vt_clause c = {.kind = is_min ? VT_CLAUSE_PRICE_MIN : VT_CLAUSE_PRICE_MAX};
    if (!json_is_number(v) || !isfinite(json_number_value(v)))
        return refuse(p, "must be a number");
    c.price = json_number_value(v) + 0.0; /* -0 becomes 0: one canonical text */
    return finish(p, f, &c, VT_OK);
}

static vt_status read_range(parser *p, const json_t *range, vt_clause *c) {
    const char *attribute = p->key, *key;
    json_t *v;
    json_object_foreach((json_t *)(uintptr_t)range, key, v) { /* an iterator needs non-const */
        bool is_min = strcmp(key, "min") == 0;
        vt_value *bound = is_min ? &c->min : &c->max;
        size_t before = enter(p, key);
        p->key = key;
        if (!is_min && strcmp(key, "max") != 0)
            return refuse(p, "is not known: min and max are");
        if (!json_is_null(v) && !json_is_number(v))
            return refuse(p, "must be a number");
        vt_value_of(v, bound);
        leave(p, before);
        p->key = attribute;
    }
    if (!vt_value_is_number(&c->min) && !vt_value_is_number(&c->max))
        return refuse(p, "must have a min or a max");
    if (vt_value_is_number(&c->min) && vt_value_is_number(&c->max) &&
        vt_value_order(&c->min, &c->max) > 0)
        return refuse(p, "has its min above its max");
    return VT_OK;
}

static vt_status parse_attribute(parser *p, const json_t *v, unsigned depth, vt_filter *f) {
    const char *path = p->key + sizeof VT_FILTER_TERM_PREFIX - 1;
    vt_clause c = {.kind = json_is_object(v) ? VT_CLAUSE_RANGE : VT_CLAUSE_TERM};
    if (!*path)
        return refuse(p, "needs the name of an attribute after the dot");
    if (strlen(path) > VT_FILTER_PATH_MAX)
        return refuse(p, "is longer than 1024 bytes");
    return finish(p, f, &c,
                  json_is_object(v) ? read_range(p, v, &c) : read_values(p, v, &ATTRIBUTES, &c));
}

/* ---- filters of filters ----------------------------------------------------------------- */

static vt_status parse_inner(parser *p, const json_t *v, unsigned depth, vt_filter *f) {
    const char *key = p->key;
    vt_status s;
    if (!json_is_object(v))
        return refuse(p, "must hold filters, which are objects");
    if (depth == VT_FILTER_DEPTH_MAX)
        return refuse(p, "nests filters deeper than 8 levels");
    s = parse_filter(p, v, depth + 1, f);
    p->key = key;
    return s;
}

/* Whether f is this one clause and nothing else. */
static bool is_only(const vt_filter *f, vt_clause_kind kind) {
    return f->n == 1 && f->clauses[0].kind == kind;
}

static vt_status check_list(const parser *p, const json_t *v) {
    if (!json_is_array(v))
        return refuse(p, "must be an array of filters");
    return json_array_size(v) > 0 ? VT_OK : refuse(p, "must hold at least one filter");
}

/* Its filters' clauses become clauses of the filter around it. */
static vt_status parse_and(parser *p, const json_t *v, unsigned depth, vt_filter *f) {
    vt_status s = check_list(p, v);
    for (size_t i = 0; i < json_array_size(v) && s == VT_OK; i++) {
        size_t before = enter_element(p, i);
        s = parse_inner(p, json_array_get(v, i), depth, f);
        leave(p, before);
    }
    return s;
}

static vt_status add_filters(parser *p, vt_clause *c, vt_filter *from, size_t n) {
    vt_status s =
        vt_array_grow(&c->filters, &c->cap_filters, c->n_filters + n, sizeof *c->filters, p->err);
    for (size_t i = 0; i < n && s == VT_OK; i++) {
        c->filters[c->n_filters++] = from[i];
        from[i] = (vt_filter){0};
    }
    return s;
}

/* Moves a filter, or the filters of the `or` that it is, into the clause. */
static vt_status add_choice(parser *p, vt_clause *c, vt_filter *choice) {
    vt_clause *inner = is_only(choice, VT_CLAUSE_OR) ? &choice->clauses[0] : NULL;
    return inner ? add_filters(p, c, inner->filters, inner->n_filters)
                 : add_filters(p, c, choice, 1);
}

static vt_status read_choices(parser *p, const json_t *v, unsigned depth, vt_clause *c) {
    vt_status s = check_list(p, v);
    for (size_t i = 0; i < json_array_size(v) && s == VT_OK; i++) {
        vt_filter choice = {0};
        size_t before = enter_element(p, i);
        s = parse_inner(p, json_array_get(v, i), depth, &choice);
        leave(p, before);
        vt_filter_seal(&choice);
        if (s == VT_OK)
            s = add_choice(p, c, &choice);
        vt_filter_release(&choice);
    }
    vt_clause_sort(c);
    return s;
}

static vt_status parse_or(parser *p, const json_t *v, unsigned depth, vt_filter *f) {
    vt_clause c = {.kind = VT_CLAUSE_OR};
    vt_status s = read_choices(p, v, depth, &c);
    if (s == VT_OK && c.n_filters == 1) { /* no choice */
        s = vt_filter_take(f, &c.filters[0], p->err);
        vt_clause_release(&c);
        return s;
    }
    return finish(p, f, &c, s);
}

static vt_status parse_not(parser *p, const json_t *v, unsigned depth, vt_filter *f) {
    vt_clause c = {.kind = VT_CLAUSE_NOT};
    vt_filter inner = {0};
    vt_status s = parse_inner(p, v, depth, &inner);
    vt_filter_seal(&inner);
    if (s == VT_OK && is_only(&inner, VT_CLAUSE_NOT)) {
        s = vt_filter_take(f, &inner.clauses[0].filters[0], p->err);
        vt_filter_release(&inner);
        return s;
    }
    if (s == VT_OK)
        s = add_filters(p, &c, &inner, 1);
    vt_filter_release(&inner);
    return finish(p, f, &c, s);
}

/* ---- members ---------------------------------------------------------------------------- */

typedef vt_status (*member_fn)(parser *p, const json_t *v, unsigned depth, vt_filter *f);

static const struct {
    const char *name;
    member_fn parse;
} MEMBERS[] = {
    {"category", parse_category}, {"price_min", parse_price}, {"price_max", parse_price},
    {"ids", parse_ids},           {"and", parse_and},         {"or", parse_or},
    {"not", parse_not},
};

static vt_status parse_member(parser *p, const json_t *v, unsigned depth, vt_filter *f) {
    vt_status s = count_condition(p);
    if (s != VT_OK)
        return s;
    for (size_t i = 0; i < sizeof MEMBERS / sizeof MEMBERS[0]; i++)
        if (strcmp(p->key, MEMBERS[i].name) == 0)
            return json_is_null(v) ? VT_OK : MEMBERS[i].parse(p, v, depth, f);
    if (strncmp(p->key, VT_FILTER_TERM_PREFIX, sizeof VT_FILTER_TERM_PREFIX - 1) == 0)
        return parse_attribute(p, v, depth, f);
    return refuse(p, "is not known: category, price_min, price_max, attributes.<name>, ids, and, "
                     "or, not are");
}

/* Refused in one object, where it is a slip; from two that an `and` joins nothing matches. */
static vt_status check_prices(parser *p, const json_t *object) {
    const json_t *min = json_object_get(object, "price_min"),
                 *max = json_object_get(object, "price_max");
    if (!json_is_number(min) || !json_is_number(max) ||
        json_number_value(min) <= json_number_value(max))
        return VT_OK;
    p->key = "price_min";
    enter(p, p->key);
    return refuse(p, "is above price_max");
}

/* Adds the object's clauses to f, which the caller seals. */
static vt_status parse_filter(parser *p, const json_t *object, unsigned depth, vt_filter *f) {
    const char *key;
    json_t *v;
    vt_status s = json_object_size(object) == 0 ? count_condition(p) : VT_OK;
    json_object_foreach((json_t *)(uintptr_t)object, key, v) { /* an iterator needs non-const */
        size_t before = enter(p, key);
        p->key = key;
        s = parse_member(p, v, depth, f);
        leave(p, before);
        if (s != VT_OK)
            return s;
    }
    return s == VT_OK ? check_prices(p, object) : s;
}

/* ---- the two ways to a filter ----------------------------------------------------------- */

vt_status vt_filter_from_json(const json_t *object, const char *at, vt_filter **out, vt_err *err) {
    parser p = {.root = at, .key = "filter", .err = err};
    vt_filter *f;
    vt_status s;
    *out = NULL;
    if (object && !json_is_object(object))
        return vt_fail_field(err, VT_E_INVALID, at, "filter must be an object");
    f = vt_alloc(1, sizeof *f);
    if (!f)
        return vt_fail_nomem(err, sizeof *f);
    vt_buf_init(&p.at, (size_t)1 << 20);
    vt_buf_puts(&p.at, at);
    s = parse_filter(&p, object, 1, f);
    vt_buf_release(&p.at);
    vt_filter_seal(f);
    if (s == VT_OK)
        *out = f;
    else
        vt_filter_close(f);
    return s;
}

vt_status vt_filter_add_category(vt_filter *f, const char *category, vt_err *err) {
    parser p = {.root = "", .key = "category", .err = err};
    json_t *name = json_string(category);
    vt_status s;
    if (!name)
        return vt_fail_nomem(err, strlen(category));
    vt_buf_init(&p.at, 0);
    s = parse_category(&p, name, 1, f);
    vt_filter_seal(f);
    json_decref(name);
    return s;
}
