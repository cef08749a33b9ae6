/* tower (private): the stack of transformer layers that the text and the image encoder share. */
#ifndef VT_CLIP_TOWER_H
#define VT_CLIP_TOWER_H

#include "clip/config.h"
#include "clip/weights.h"

typedef struct vt_tower vt_tower;

/* Sequences, one behind the other: those of a batch share every pass over the weights. */
typedef struct vt_tower_run {
    float *x;             /* [rows][width], in: embeddings, out: see vt_tower_run_layers */
    const size_t *starts; /* [count + 1]: the first row of each sequence, then the number of rows */
    const size_t *wanted; /* [count]: the row of each sequence whose output is asked for */
    size_t count;
    bool causal;       /* a row attends to itself and those before it in its sequence only */
    float *scratch;    /* what vt_tower_scratch asks for; 64-byte aligned */
    vt_pool *pool;     /* whose workers help, or NULL */
    vt_pool *give_way; /* whose queries go first, between two layers, or NULL */
} vt_tower_run;

/* Names all tensors below "<prefix>.encoder.layers."; matrices are packed by vt_weights_pack later.
 * E_NOMEM, or what w has noted. */
vt_status vt_tower_open(const vt_tower_shape *shape, const char *prefix, vt_weights *w,
                        vt_tower **out) VT_MUST_USE;
void vt_tower_close(vt_tower *t);
/* Floats of working memory for that many rows in sequences of at most `longest`, and for rounding
 * the x before it up to a cache line; x itself is not counted. A run of fewer rows fits, and so
 * does a product with a matrix no deeper than the layers'. false when that overflows. */
bool vt_tower_scratch(const vt_tower_shape *shape, size_t rows, size_t longest,
                      size_t *floats) VT_MUST_USE;
/* Runs all layers; row i of x is then the last layer's output for the wanted row of sequence i, the
 * others are spent. */
void vt_tower_run_layers(const vt_tower *t, const vt_tower_run *run);

#endif
