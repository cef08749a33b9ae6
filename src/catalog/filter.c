/* A filter in memory: its canonical form and text, and the definition of what matches.
 *
 * Canonical form: a filter is a conjunction of clauses. The filters of an `and` are taken apart
 * into it, an `or` among the filters of an `or` into that, a filter alone in an `or` stands for it,
 * two `not`s go, and what is there twice is there once (filter_parse.c). Clauses are sorted by name
 * and text, so equal filters are equal arrays. This is no minimal form: that would be a solver's
 * work, for a cache key that misses once.
 *
 * Text: one object with the clauses as members. Two of one name, which only an `and` can have
 * brought, leave the second in "and". The first is the one that nests deepest, so that the text is
 * never deeper than what was read and reads back.
 *
 * vt_filter_matches is the definition, written as a walk down the product's attributes by the path;
 * select.c evaluates the same filter over posting lists made by flattening (terms.c). They are two
 * implementations on purpose: the tests hold them against each other. Recursion is as deep as
 * filters nest, VT_FILTER_DEPTH_MAX at most.
 *
 * A filter is immutable once it is shared, so any number of threads may use one. */
#include "catalog/filter.h"

bool vt_filter_is_empty(const vt_filter *f) {
    return !f || f->n == 0;
}

void vt_clause_release(vt_clause *c) {
    for (size_t i = 0; i < c->n_filters; i++)
        vt_filter_release(&c->filters[i]);
    free(c->filters);
    free(c->values);
    free(c->key);
    json_decref(c->own);
    vt_buf_release(&c->text);
    *c = (vt_clause){0};
}

void vt_filter_release(vt_filter *f) {
    for (size_t i = 0; i < f->n; i++)
        vt_clause_release(&f->clauses[i]);
    free(f->clauses);
    *f = (vt_filter){0};
}

void vt_filter_close(vt_filter *f) {
    if (!f)
        return;
    vt_filter_release(f);
    free(f);
}

/* ---- canonical form --------------------------------------------------------------------- */

vt_status vt_filter_push(vt_filter *f, vt_clause *c, vt_err *err) {
    vt_status s = vt_array_grow(&f->clauses, &f->cap, f->n + 1, sizeof *f->clauses, err);
    if (s != VT_OK)
        return s;
    f->clauses[f->n++] = *c;
    *c = (vt_clause){0};
    return VT_OK;
}

vt_status vt_filter_take(vt_filter *f, vt_filter *from, vt_err *err) {
    vt_status s = VT_OK;
    for (size_t i = 0; i < from->n && s == VT_OK; i++)
        s = vt_filter_push(f, &from->clauses[i], err);
    return s;
}

static int clause_order(const void *a, const void *b) {
    const vt_clause *x = a, *y = b;
    int order = strcmp(x->key, y->key);
    if (order == 0 && x->height != y->height)
        return x->height > y->height ? -1 : 1;
    return order == 0 ? strcmp(x->text.data, y->text.data) : order;
}

static int filter_order(const void *a, const void *b) {
    const vt_filter *x = a, *y = b;
    for (size_t i = 0; i < x->n && i < y->n; i++) {
        int order = clause_order(&x->clauses[i], &y->clauses[i]);
        if (order != 0)
            return order;
    }
    return (x->n > y->n) - (x->n < y->n);
}

void vt_filter_seal(vt_filter *f) {
    size_t kept = 0;
    if (f->n > 0)
        qsort(f->clauses, f->n, sizeof *f->clauses, clause_order);
    for (size_t i = 0; i < f->n; i++) {
        if (kept > 0 && clause_order(&f->clauses[kept - 1], &f->clauses[i]) == 0)
            vt_clause_release(&f->clauses[i]);
        else
            f->clauses[kept++] = f->clauses[i];
    }
    f->n = kept;
}

void vt_clause_sort(vt_clause *c) {
    size_t kept = 0;
    if (c->n_filters > 0)
        qsort(c->filters, c->n_filters, sizeof *c->filters, filter_order);
    for (size_t i = 0; i < c->n_filters; i++) {
        if (kept > 0 && filter_order(&c->filters[kept - 1], &c->filters[i]) == 0)
            vt_filter_release(&c->filters[i]);
        else
            c->filters[kept++] = c->filters[i];
    }
    c->n_filters = kept;
}

/* ---- canonical text --------------------------------------------------------------------- */

/* A minimum above the object's maximum: two members that the reader refuses side by side. */
static bool contradicts(const vt_filter *f, size_t i) {
    for (size_t k = 0; k < i && f->clauses[i].kind == VT_CLAUSE_PRICE_MIN; k++)
        if (f->clauses[k].kind == VT_CLAUSE_PRICE_MAX) /* the first one is the object's */
            return f->clauses[i].price > f->clauses[k].price;
    return false;
}

/* Whether a clause is written in "and", and not as a member. */
static bool is_aside(const vt_filter *f, size_t i) {
    return (i > 0 && strcmp(f->clauses[i - 1].key, f->clauses[i].key) == 0) || contradicts(f, i);
}

static unsigned height_of(const vt_filter *f) {
    unsigned height = 0;
    for (size_t i = 0; i < f->n; i++) {
        unsigned h = f->clauses[i].height + is_aside(f, i);
        height = h > height ? h : height;
    }
    return height;
}

static bool write_aside(const vt_filter *f, vt_buf *out) {
    bool any = false;
    for (size_t i = 0; i < f->n; i++) {
        if (!is_aside(f, i))
            continue;
        vt_buf_puts(out, any ? "},{" : "\"and\":[{");
        vt_buf_append(out, f->clauses[i].text.data, f->clauses[i].text.len);
        any = true;
    }
    if (any)
        vt_buf_puts(out, "}]");
    return any;
}

void vt_filter_write(const vt_filter *f, vt_buf *out) {
    bool comma;
    vt_buf_puts(out, "{");
    comma = f && write_aside(f, out);
    for (size_t i = 0; f && i < f->n; i++) {
        if (is_aside(f, i))
            continue;
        vt_buf_puts(out, comma ? "," : "");
        vt_buf_append(out, f->clauses[i].text.data, f->clauses[i].text.len);
        comma = true;
    }
    vt_buf_puts(out, "}");
}

static void write_values(const vt_clause *c, vt_json *w) {
    bool list = c->kind != VT_CLAUSE_TERM || c->n_values > 1;
    if (list)
        vt_json_open(w, '[');
    for (size_t i = 0; i < c->n_values; i++)
        vt_value_write(&c->values[i], w);
    if (list)
        vt_json_close(w, ']');
}

static void write_range(const vt_clause *c, vt_json *w) {
    vt_json_open(w, '{');
    if (vt_value_is_number(&c->max)) {
        vt_json_key(w, "max");
        vt_value_write(&c->max, w);
    }
    if (vt_value_is_number(&c->min)) {
        vt_json_key(w, "min");
        vt_value_write(&c->min, w);
    }
    vt_json_close(w, '}');
}

static void write_filters(const vt_clause *c, vt_buf *out) {
    if (c->kind == VT_CLAUSE_NOT) {
        vt_filter_write(&c->filters[0], out);
        return;
    }
    for (size_t i = 0; i < c->n_filters; i++) {
        vt_buf_puts(out, i > 0 ? "," : "[");
        vt_filter_write(&c->filters[i], out);
    }
    vt_buf_puts(out, "]");
}

vt_status vt_clause_seal(vt_clause *c, vt_err *err) {
    vt_json w;
    vt_buf_init(&c->text, SIZE_MAX - 1);
    vt_json_init(&w, &c->text);
    vt_json_key(&w, c->key);
    switch (c->kind) {
    case VT_CLAUSE_CATEGORY:
    case VT_CLAUSE_IDS:
    case VT_CLAUSE_TERM:
        write_values(c, &w);
        break;
    case VT_CLAUSE_RANGE:
        write_range(c, &w);
        break;
    case VT_CLAUSE_PRICE_MIN:
    case VT_CLAUSE_PRICE_MAX:
        vt_json_num(&w, c->price, 17);
        break;
    case VT_CLAUSE_OR:
    case VT_CLAUSE_NOT:
        write_filters(c, &c->text);
        break;
    }
    for (size_t i = 0; i < c->n_filters; i++) {
        unsigned below = 1 + height_of(&c->filters[i]);
        c->height = below > c->height ? below : c->height;
    }
    return vt_buf_status(&c->text, "a filter", err);
}

/* ---- the definition --------------------------------------------------------------------- */

const char *vt_clause_path(const vt_clause *c) {
    return c->key + sizeof VT_FILTER_TERM_PREFIX - 1;
}

static int value_order(const void *a, const void *b) {
    return vt_value_order(a, b);
}

bool vt_clause_has(const vt_clause *c, const vt_value *v) {
    if (c->kind != VT_CLAUSE_RANGE)
        return bsearch(v, c->values, c->n_values, sizeof *v, value_order) != NULL;
    return vt_value_is_number(v) &&
           (!vt_value_is_number(&c->min) || vt_value_order(v, &c->min) >= 0) &&
           (!vt_value_is_number(&c->max) || vt_value_order(v, &c->max) <= 0);
}

static bool text_holds(const vt_clause *c, const char *text) {
    vt_value v = {.type = VT_VALUE_TEXT, .text = text};
    return vt_clause_has(c, &v);
}

static bool value_holds(const json_t *v, const vt_clause *c) {
    vt_value have;
    size_t i;
    json_t *element;
    if (vt_value_of(v, &have))
        return vt_clause_has(c, &have);
    json_array_foreach(v, i, element) /* no iteration for an object */
        if (vt_value_of(element, &have) && vt_clause_has(c, &have)) return true;
    return false;
}

/* A name may hold dots itself, so every cut of the path at a dot is tried. A node of the tree has
 * one dotted path, so it is visited at most once however many cuts there are. */
static bool path_holds(const json_t *object, const char *path, const vt_clause *c) {
    size_t n = strlen(path);
    for (size_t cut = 0; cut < n; cut++) {
        const json_t *v = path[cut] == '.' ? json_object_getn(object, path, cut) : NULL;
        if (json_is_object(v) && path_holds(v, path + cut + 1, c))
            return true;
    }
    const json_t *leaf = json_object_getn(object, path, n);
    return leaf && value_holds(leaf, c);
}

static bool one_holds(const vt_clause *c, const vt_product *p) {
    for (size_t i = 0; i < c->n_filters; i++)
        if (vt_filter_matches(&c->filters[i], p))
            return true;
    return false;
}

static bool clause_holds(const vt_clause *c, const vt_product *p) {
    switch (c->kind) {
    case VT_CLAUSE_CATEGORY:
        return text_holds(c, p->category);
    case VT_CLAUSE_IDS:
        return text_holds(c, p->id);
    case VT_CLAUSE_TERM:
    case VT_CLAUSE_RANGE:
        return path_holds(p->attributes, vt_clause_path(c), c);
    case VT_CLAUSE_PRICE_MIN: /* a missing price is NAN, which is neither >= nor <= anything */
        return p->price >= c->price;
    case VT_CLAUSE_PRICE_MAX:
        return p->price <= c->price;
    case VT_CLAUSE_OR:
        return one_holds(c, p);
    case VT_CLAUSE_NOT:
        return !one_holds(c, p);
    }
    return false;
}

bool vt_filter_matches(const vt_filter *f, const vt_product *p) {
    for (size_t i = 0; f && i < f->n; i++)
        if (!clause_holds(&f->clauses[i], p))
            return false;
    return true;
}
