/* The filter as parsed: what columns.c evaluates. */
#ifndef VT_CATALOG_FILTER_H
#define VT_CATALOG_FILTER_H

#include "catalog/catalog.h"
#include "catalog/terms.h"

typedef struct vt_filter_term {
    char *path; /* "a.b", without the leading "attributes." */
    char *text; /* owns value.text; NULL for the other types */
    vt_value value;
} vt_filter_term;

/* Canonical from the moment it is parsed: categories and terms sorted, none twice. */
struct vt_filter {
    char **categories; /* NULL where any category will do */
    size_t n_categories;
    double price_min, price_max; /* NAN: no bound */
    vt_filter_term *terms;
    size_t n_terms;
};

bool vt_filter_is_empty(const vt_filter *f); /* matches all; also for NULL */

#endif
