/* The categories as the model sees them: means and samples of their products' vectors. */
#ifndef VT_CATALOG_MEANS_H
#define VT_CATALOG_MEANS_H

#include "catalog/columns.h"

/* Fills everything of out but its generation; on failure out is empty. The caller keeps columns
 * and index as they are meanwhile. */
vt_status vt_means_gather(const vt_columns *c, const vt_index *ix, size_t max_samples,
                          vt_category_vectors *out, vt_err *err) VT_MUST_USE;

#endif
