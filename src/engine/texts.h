/* Texts that arrive together become one batch. Private to engine. */
#ifndef VT_ENGINE_TEXTS_H
#define VT_ENGINE_TEXTS_H

#include "engine/state.h"

/* vt_clip_encode_texts, with what it is to be called with. */
typedef vt_status (*vt_texts_fn)(void *ctx, const vt_clip_text *texts, size_t count, float *out,
                                 vt_err *err);

/* dim: floats of one vector. fn is called from one thread at a time. */
vt_status vt_texts_open(vt_texts_fn fn, void *ctx, size_t dim, vt_texts **out,
                        vt_err *err) VT_MUST_USE;
void vt_texts_close(vt_texts *t); /* nobody may be inside */
/* Encodes count >= 1 texts into out [count][dim], perhaps together with those of other callers.
 * Fails for the reasons of its own texts only. Any thread. */
vt_status vt_texts_encode(vt_texts *t, const vt_clip_text *texts, size_t count, float *out,
                          vt_err *err) VT_MUST_USE;
size_t vt_texts_waiting(vt_texts *t); /* texts whose turn has not come */

#endif
