/* tokenizer (private): text to CLIP's token ids. */
#ifndef VT_CLIP_TOKENIZER_H
#define VT_CLIP_TOKENIZER_H

#include "clip/vocab.h"

/* Reads vocab.json and merges.txt of the folder; `limit` as in vt_vocab_init. */
vt_status vt_tokenizer_open(const char *dir, size_t limit, vt_vocab *out, vt_err *err) VT_MUST_USE;
/* start-of-text, codes, end-of-text: at most max ids (max >= 2), the last one end-of-text. text is
 * any valid UTF-8 below 1 GB, NUL included; else E_INVALID, E_TOO_LARGE. E_NOMEM. */
vt_status vt_tokenizer_encode(const vt_vocab *v, const char *text, size_t n, uint32_t *ids,
                              size_t max, size_t *n_ids, vt_err *err) VT_MUST_USE;

#endif
