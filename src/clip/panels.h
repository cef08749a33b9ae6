/* panels (private): how the matrices of a model come to their panels: from the file of an earlier
 * start or packed now, in the precision asked for, or in bf16 where int8 would change vectors. */
#ifndef VT_CLIP_PANELS_H
#define VT_CLIP_PANELS_H

#include "clip/encoders.h"

typedef struct vt_panels_place {
    const char *dir; /* the model's */
    const vt_clip_options *options;
    vt_precision precision; /* asked for, not auto; then what int8 has given way to */
    vt_packed_key key;      /* of the weights; the rest is filled in here */
    bool refused;           /* int8 was measured now, at this cosine, and found wanting */
    double cosine;
} vt_panels_place;

/* Maps a file kept by an earlier start and places the matrices. false where there is none. */
bool vt_panels_load(vt_clip *m, vt_weights *w, vt_panels_place *place) VT_MUST_USE;
/* Packs. The towers of m can run then, and do: int8 is compared with f32. */
vt_status vt_panels_make(vt_clip *m, vt_weights *w, vt_panels_place *place,
                         vt_err *err) VT_MUST_USE;
/* Writes the file for the next start, once m->packed.weights is known. Where it cannot, info.note
 * says why: nothing else is lost. */
void vt_panels_keep(vt_clip *m, const vt_panels_place *place);

#endif
