/* The catalogue's own words: a sample of the searches to come. Private to engine. */
#ifndef VT_ENGINE_WORDS_H
#define VT_ENGINE_WORDS_H

#include "engine/state.h"

#define VT_WORDS_MAX 512

typedef struct vt_words vt_words;

vt_status vt_words_open(vt_words **out, vt_err *err) VT_MUST_USE;
void vt_words_close(vt_words *w);
/* Reads the catalogue as it is now and encodes what of the sample was not encoded before;
 * `stopped`, asked now and then, ends it with E_BUSY. After a failure the sample is what it was
 * before. */
vt_status vt_words_update(vt_words *w, vt_engine *e, vt_stopped_fn stopped, void *ctx,
                          vt_err *err) VT_MUST_USE;
size_t vt_words_count(const vt_words *w);
/* out: [vt_words_count][dim] */
void vt_words_vectors(const vt_words *w, size_t dim, float *out);

#endif
