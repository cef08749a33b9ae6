/* The filter language: parse, canonical text, and the definition of what matches.
 *
 * vt_filter_matches is the definition, written as a walk down the product's attributes by the path;
 * columns.c evaluates the same filter over posting lists made by flattening (terms.c). They are two
 * implementations on purpose: the tests hold them against each other.
 *
 * A filter is immutable once it is shared, so any number of threads may use one. */
#include "catalog/filter.h"

#include <math.h>

enum { MAX_CATEGORIES = 64, MAX_TERMS = 32, MAX_PATH = 1024 };

static const char TERM_PREFIX[] = "attributes.";

bool vt_filter_is_empty(const vt_filter *f) {
    return !f || (!f->categories && isnan(f->price_min) && isnan(f->price_max) && f->n_terms == 0);
}

void vt_filter_close(vt_filter *f) {
    if (!f)
        return;
    for (size_t i = 0; i < f->n_categories; i++)
        free(f->categories[i]);
    for (size_t i = 0; f->terms && i < f->n_terms; i++) {
        free(f->terms[i].path);
        free(f->terms[i].text);
    }
    free(f->categories);
    free(f->terms);
    free(f);
}

/* ---- parse ------------------------------------------------------------------------------ */

typedef struct parser {
    vt_filter *f;
    const char *at;  /* JSON pointer of the filter */
    const char *key; /* the member being read */
    vt_err *err;
} parser;

/* Fails with the JSON pointer of the member: at, "/", the key with ~ and / escaped (RFC 6901). */
static vt_status refuse(const parser *p, const char *why) {
    vt_buf pointer;
    vt_status s;
    vt_buf_init(&pointer, (size_t)1 << 20);
    vt_buf_printf(&pointer, "%s/", p->at);
    for (const char *c = p->key; *c; c++) {
        if (*c == '~' || *c == '/')
            vt_buf_puts(&pointer, *c == '~' ? "~0" : "~1");
        else
            vt_buf_append(&pointer, c, 1);
    }
    s = vt_fail_field(p->err, VT_E_INVALID, pointer.failed == VT_OK ? pointer.data : p->at,
                      "filter: \"%.200s\" %s", p->key, why);
    vt_buf_release(&pointer);
    return s;
}

static vt_status add_category(parser *p, const json_t *v) {
    vt_filter *f = p->f;
    if (!json_is_string(v))
        return refuse(p, "must be a string or an array of strings");
    if (json_string_length(v) > VT_PRODUCT_TEXT_MAX)
        return refuse(p, "is longer than any category can be");
    f->categories[f->n_categories] = vt_strdup(json_string_value(v));
    if (!f->categories[f->n_categories])
        return vt_fail_nomem(p->err, json_string_length(v));
    f->n_categories++;
    return VT_OK;
}

static int by_text(const void *a, const void *b) {
    const char *const *x = a, *const *y = b;
    return strcmp(*x, *y);
}

static void sort_categories(vt_filter *f) {
    size_t kept = 1;
    qsort(f->categories, f->n_categories, sizeof *f->categories, by_text);
    for (size_t i = 1; i < f->n_categories; i++) {
        if (strcmp(f->categories[i], f->categories[kept - 1]) == 0)
            free(f->categories[i]);
        else
            f->categories[kept++] = f->categories[i];
    }
    f->n_categories = kept;
}

static vt_status parse_categories(parser *p, const json_t *v) {
    size_t n = json_is_array(v) ? json_array_size(v) : 1;
    vt_status s = VT_OK;
    if (json_is_null(v))
        return VT_OK;
    if (n == 0)
        return refuse(p, "must name at least one category");
    if (n > MAX_CATEGORIES)
        return refuse(p, "names more than 64 categories");
    p->f->categories = vt_alloc(n, sizeof *p->f->categories);
    if (!p->f->categories)
        return vt_fail_nomem(p->err, n * sizeof *p->f->categories);
    for (size_t i = 0; i < n && s == VT_OK; i++)
        s = add_category(p, json_is_array(v) ? json_array_get(v, i) : v);
    if (s == VT_OK)
        sort_categories(p->f);
    return s;
}

static vt_status parse_bound(parser *p, const json_t *v, double *bound) {
    if (json_is_null(v))
        return VT_OK;
    if (!json_is_number(v) || !isfinite(json_number_value(v)))
        return refuse(p, "must be a number");
    *bound = json_number_value(v) + 0.0; /* -0 becomes 0: one canonical text */
    return VT_OK;
}

static vt_status parse_term(parser *p, const json_t *v) {
    vt_filter *f = p->f;
    const char *path = p->key + sizeof TERM_PREFIX - 1;
    vt_filter_term term = {0};
    if (!*path)
        return refuse(p, "needs the name of an attribute after the dot");
    if (strlen(path) > MAX_PATH)
        return refuse(p, "is longer than 1024 bytes");
    if (f->n_terms == MAX_TERMS)
        return refuse(p, "is one attribute too many: the limit is 32");
    if (!vt_value_of(v, &term.value))
        return refuse(p, "must be a string, a number, a boolean or null");
    if (term.value.type == VT_VALUE_TEXT && strlen(term.value.text) > VT_ATTRIBUTES_MAX)
        return refuse(p, "is longer than any attribute can be");
    term.path = vt_strdup(path);
    if (term.value.type == VT_VALUE_TEXT)
        term.value.text = term.text = vt_strdup(term.value.text);
    if (!term.path || (term.value.type == VT_VALUE_TEXT && !term.text)) {
        free(term.path);
        free(term.text);
        return vt_fail_nomem(p->err, strlen(path));
    }
    f->terms[f->n_terms++] = term;
    return VT_OK;
}

static vt_status parse_member(parser *p, const json_t *v) {
    if (strcmp(p->key, "category") == 0)
        return parse_categories(p, v);
    if (strcmp(p->key, "price_min") == 0)
        return parse_bound(p, v, &p->f->price_min);
    if (strcmp(p->key, "price_max") == 0)
        return parse_bound(p, v, &p->f->price_max);
    if (strncmp(p->key, TERM_PREFIX, sizeof TERM_PREFIX - 1) == 0)
        return parse_term(p, v);
    return refuse(p, "is not known: category, price_min, price_max and attributes.<name> are");
}

static int by_path(const void *a, const void *b) {
    const vt_filter_term *x = a, *y = b;
    return strcmp(x->path, y->path);
}

static vt_status parse_members(parser *p, const json_t *object) {
    vt_filter *f = p->f;
    json_t *v;
    json_object_foreach((json_t *)(uintptr_t)object, p->key, v) { /* an iterator needs non-const */
        vt_status s = parse_member(p, v);
        if (s != VT_OK)
            return s;
    }
    if (f->price_min > f->price_max) { /* false while either is NAN */
        p->key = "price_min";
        return refuse(p, "is above price_max");
    }
    qsort(f->terms, f->n_terms, sizeof *f->terms, by_path); /* keys are unique: so are paths */
    return VT_OK;
}

vt_status vt_filter_from_json(const json_t *object, const char *at, vt_filter **out, vt_err *err) {
    vt_filter *f;
    parser p = {.at = at, .err = err};
    vt_status s;
    *out = NULL;
    if (object && !json_is_object(object))
        return vt_fail_field(err, VT_E_INVALID, at, "filter must be an object");
    f = vt_alloc(1, sizeof *f);
    if (!f)
        return vt_fail_nomem(err, sizeof *f);
    f->price_min = f->price_max = NAN;
    f->terms = vt_alloc(MAX_TERMS, sizeof *f->terms);
    p.f = f;
    s = f->terms ? parse_members(&p, object) : vt_fail_nomem(err, MAX_TERMS * sizeof *f->terms);
    if (s == VT_OK)
        *out = f;
    else
        vt_filter_close(f);
    return s;
}

vt_status vt_filter_add_category(vt_filter *f, const char *category, vt_err *err) {
    char **one = vt_alloc(1, sizeof *one);
    char *name = vt_strdup(category);
    assert(!f->categories);
    if (!one || !name) {
        free(one);
        free(name);
        return vt_fail_nomem(err, strlen(category));
    }
    one[0] = name;
    f->categories = one;
    f->n_categories = 1;
    return VT_OK;
}

/* ---- canonical text --------------------------------------------------------------------- */

static void write_bound(vt_json *w, const char *key, double bound) {
    if (isnan(bound))
        return;
    vt_json_key(w, key);
    vt_json_num(w, bound, 17);
}

static void write_term(vt_json *w, const vt_filter_term *term) {
    char key[sizeof TERM_PREFIX + MAX_PATH];
    snprintf(key, sizeof key, "%s%s", TERM_PREFIX, term->path); /* MAX_PATH was checked */
    vt_json_key(w, key);
    vt_value_write(&term->value, w);
}

void vt_filter_write(const vt_filter *f, vt_buf *out) {
    vt_json w;
    vt_json_init(&w, out);
    vt_json_open(&w, '{');
    for (size_t i = 0; f && i < f->n_terms; i++)
        write_term(&w, &f->terms[i]);
    if (f && f->categories) {
        vt_json_key(&w, "category");
        vt_json_open(&w, '[');
        for (size_t i = 0; i < f->n_categories; i++)
            vt_json_str(&w, f->categories[i]);
        vt_json_close(&w, ']');
    }
    if (f) {
        write_bound(&w, "price_max", f->price_max);
        write_bound(&w, "price_min", f->price_min);
    }
    vt_json_close(&w, '}');
}

/* ---- the definition --------------------------------------------------------------------- */

static bool value_holds(const json_t *v, const vt_value *want) {
    vt_value have;
    size_t i;
    json_t *element;
    if (vt_value_of(v, &have))
        return vt_value_equal(&have, want);
    json_array_foreach(v, i, element) /* no iteration for an object */
        if (vt_value_of(element, &have) && vt_value_equal(&have, want)) return true;
    return false;
}

/* A name may hold dots itself, so every cut of the path at a dot is tried. A node of the tree has
 * one dotted path, so it is visited at most once however many cuts there are. */
static bool path_holds(const json_t *object, const char *path, const vt_value *want) {
    size_t n = strlen(path);
    for (size_t cut = 0; cut < n; cut++) {
        const json_t *v = path[cut] == '.' ? json_object_getn(object, path, cut) : NULL;
        if (json_is_object(v) && path_holds(v, path + cut + 1, want))
            return true;
    }
    const json_t *leaf = json_object_getn(object, path, n);
    return leaf && value_holds(leaf, want);
}

static bool category_holds(const vt_filter *f, const char *category) {
    if (!f->categories)
        return true;
    for (size_t i = 0; i < f->n_categories; i++)
        if (strcmp(f->categories[i], category) == 0)
            return true;
    return false;
}

bool vt_filter_matches(const vt_filter *f, const vt_product *p) {
    if (!f)
        return true;
    if (!category_holds(f, p->category))
        return false;
    /* A missing price is NAN, which is neither >= nor <= anything. */
    if (!isnan(f->price_min) && !(p->price >= f->price_min))
        return false;
    if (!isnan(f->price_max) && !(p->price <= f->price_max))
        return false;
    for (size_t i = 0; i < f->n_terms; i++)
        if (!path_holds(p->attributes, f->terms[i].path, &f->terms[i].value))
            return false;
    return true;
}
