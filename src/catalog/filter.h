/* The filter as parsed: what select.c evaluates. */
#ifndef VT_CATALOG_FILTER_H
#define VT_CATALOG_FILTER_H

#include "catalog/catalog.h"
#include "catalog/terms.h"

enum {
    VT_FILTER_VALUES_MAX = 64,      /* of one category or attribute clause */
    VT_FILTER_IDS_MAX = 1000,       /* of one ids clause */
    VT_FILTER_CONDITIONS_MAX = 256, /* members in all; a filter without any counts as one */
    VT_FILTER_DEPTH_MAX = 8,        /* filters within filters; the outermost is 1 */
    VT_FILTER_PATH_MAX = 1024,      /* bytes of an attribute's path */
};

#define VT_FILTER_TERM_PREFIX "attributes."

typedef enum vt_clause_kind {
    VT_CLAUSE_CATEGORY,
    VT_CLAUSE_IDS,
    VT_CLAUSE_TERM,  /* an attribute is one of the values */
    VT_CLAUSE_RANGE, /* an attribute is a number from min to max */
    VT_CLAUSE_PRICE_MIN,
    VT_CLAUSE_PRICE_MAX,
    VT_CLAUSE_OR,
    VT_CLAUSE_NOT,
} vt_clause_kind;

/* A member of a filter. */
typedef struct vt_clause {
    vt_clause_kind kind;
    char *key;        /* its name */
    json_t *own;      /* what the texts of the values point into */
    vt_value *values; /* CATEGORY, IDS (texts), TERM: sorted by vt_value_order, none twice */
    size_t n_values;
    vt_value min, max;  /* RANGE: numbers; null: no bound */
    double price;       /* PRICE_MIN, PRICE_MAX */
    vt_filter *filters; /* OR: two or more, sorted, none twice; NOT: one */
    size_t n_filters, cap_filters;
    vt_buf text;     /* canonical: "key":value */
    unsigned height; /* levels of filters below */
} vt_clause;

/* All of the clauses hold. There is no clause for `and`: its filters' clauses are taken over. */
struct vt_filter {
    vt_clause *clauses; /* sorted, none twice */
    size_t n, cap;
};

bool vt_filter_is_empty(const vt_filter *f); /* matches all; also for NULL */

/* The name of an attribute clause's attribute: "a.b". */
const char *vt_clause_path(const vt_clause *c);
/* Whether v is one of the values, or in the range. */
bool vt_clause_has(const vt_clause *c, const vt_value *v);

/* ---- making one ------------------------------------------------------------------------- */

void vt_clause_release(vt_clause *c);
void vt_filter_release(vt_filter *f); /* what it holds */
/* Writes text and height of a clause whose other members are there. */
vt_status vt_clause_seal(vt_clause *c, vt_err *err) VT_MUST_USE;
/* Moves the clause in and leaves an empty one; on failure (E_NOMEM) it stays the caller's. */
vt_status vt_filter_push(vt_filter *f, vt_clause *c, vt_err *err) VT_MUST_USE;
/* Moves all clauses of another; on failure what is left stays there. */
vt_status vt_filter_take(vt_filter *f, vt_filter *from, vt_err *err) VT_MUST_USE;
/* Sorts, and drops what is there twice: the filter's clauses, an OR clause's filters. */
void vt_filter_seal(vt_filter *f);
void vt_clause_sort(vt_clause *c);

#endif
