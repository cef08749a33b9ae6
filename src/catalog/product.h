/* What the rest of the room needs to know of a product beyond the public header. */
#ifndef VT_CATALOG_PRODUCT_H
#define VT_CATALOG_PRODUCT_H

#include "catalog/catalog.h"

/* Verifies every shop field of p; E_INVALID names the first that breaks its rule. The one place
 * where the rules are: JSON from outside, products from the engine and rows of a file all pass it.
 */
vt_status vt_product_validate(const vt_product *p, vt_err *err) VT_MUST_USE;
/* E_INVALID unless v holds dim finite floats of norm 1 +- 1e-3. */
vt_status vt_embedding_validate(const float *v, size_t dim, vt_err *err) VT_MUST_USE;
/* Equal shop fields, image hash and embedding: putting b over a would change nothing. */
bool vt_product_equal(const vt_product *a, const vt_product *b, size_t dim);
/* Appends the attributes as they are stored: compact JSON, keys sorted. E_INVALID beyond
 * VT_ATTRIBUTES_MAX bytes. out's max must allow for that many. */
vt_status vt_attributes_text(const json_t *attributes, vt_buf *out, vt_err *err) VT_MUST_USE;

#endif
