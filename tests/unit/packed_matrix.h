/* A matrix that owns its panels, and a product that brings its own scratch. Included by tests of
 * vec. */
#ifndef VT_TEST_PACKED_MATRIX_H
#define VT_TEST_PACKED_MATRIX_H

#include "vec/kernels.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

typedef struct packed_matrix {
    vt_mat m;
    void *panels;
    float lost; /* see vt_mat_pack */
} packed_matrix;

/* How weights are held. */
typedef struct form {
    vt_precision precision;
    bool compact;
} form;

static inline packed_matrix packed_of(form f, size_t n_in, const vt_mat_part *parts,
                                      size_t n_parts) {
    packed_matrix p = {.m = {.precision = f.precision, .compact = f.compact, .n_in = n_in}};
    size_t bytes;
    for (size_t i = 0; i < n_parts; i++) {
        p.m.n_out += parts[i].n_out;
    }
    assert_true(vt_mat_bytes(&p.m, &bytes));
    assert_int_equal(bytes % 64, 0);
    p.panels = vt_alloc_aligned(bytes, 1);
    assert_non_null(p.panels);
    memset(p.panels, 0x5A, bytes); /* packing must clear what it pads */
    p.lost = vt_mat_pack(&p.m, parts, n_parts, p.panels);
    p.m.panels = p.panels;
    return p;
}

/* Can the instruction set chosen multiply it? Some have no way for compact panels. */
static inline bool can_multiply(form f) {
    return !f.compact || vt_vec_kernels()->multiply_compact[f.precision];
}

static inline void packed_release(packed_matrix *p) {
    free(p->panels);
}

static inline void packed_multiply(const packed_matrix *p, vt_mat_mul_args *args, vt_pool *pool) {
    size_t floats;
    assert_true(vt_mat_scratch(p->m.n_in, args->rows, &floats));
    args->scratch = vt_alloc_aligned(floats, sizeof *args->scratch);
    assert_non_null(args->scratch);
    memset(args->scratch, 0xFF, floats * sizeof *args->scratch); /* NaN, where nothing is written */
    vt_mat_mul(&p->m, args, pool);
    free(args->scratch);
}

#endif
