/* tower (private): the stack of transformer layers that the text and the image encoder share. */
#ifndef VT_CLIP_TOWER_H
#define VT_CLIP_TOWER_H

#include "clip/config.h"
#include "clip/weights.h"

typedef struct vt_tower vt_tower;

typedef struct vt_tower_run {
    float *x; /* [rows][width], in: embeddings, out: see vt_tower_run_layers */
    size_t rows;
    bool causal;    /* a row attends to itself and those before it only */
    size_t wanted;  /* the row whose output is asked for */
    float *scratch; /* what vt_tower_scratch asks for, less x */
    vt_pool *pool;
} vt_tower_run;

/* Names all tensors below "<prefix>.encoder.layers."; matrices are packed by vt_weights_pack later.
 * E_NOMEM, or what w has noted. */
vt_status vt_tower_open(const vt_tower_shape *shape, const char *prefix, vt_weights *w,
                        vt_tower **out) VT_MUST_USE;
void vt_tower_close(vt_tower *t);
/* Floats of working memory for that many rows, x among them. false when that overflows. */
bool vt_tower_scratch(const vt_tower_shape *shape, size_t rows, size_t *floats) VT_MUST_USE;
/* Runs all layers; row `wanted` of x is then the last layer's output, the others are spent. */
void vt_tower_run_layers(const vt_tower *t, const vt_tower_run *run);

#endif
