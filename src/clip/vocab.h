/* vocab (private): CLIP's vocabulary and merge table, checked and hashed for the encoder. */
#ifndef VT_CLIP_VOCAB_H
#define VT_CLIP_VOCAB_H

#include "base/base.h"

#define VT_NO_RANK UINT32_MAX

/* One merge: the pair of tokens `left`, `right` becomes `result`. */
typedef struct vt_merge {
    uint32_t left, right;
    uint32_t rank; /* line of merges.txt, lower goes first; VT_NO_RANK marks an empty slot */
    uint32_t result;
} vt_merge;

typedef struct vt_vocab {
    size_t size;             /* number of tokens */
    uint32_t start, end;     /* ids of <|startoftext|> and <|endoftext|> */
    uint32_t highest;        /* the largest id */
    uint32_t byte_ids[256];  /* token of a byte inside a word */
    uint32_t final_ids[256]; /* token of a byte that ends a word, "a</w>" */
    vt_merge *slots;         /* open addressing, at most half full */
    size_t mask;             /* number of slots - 1 */
    vt_hash digest;          /* of all that changes token ids */
} vt_vocab;

/* vocab: the text of vocab.json; merges: of merges.txt; limit: ids are below it. E_MODEL names the
 * file and the token or line. */
vt_status vt_vocab_init(vt_vocab *v, const vt_buf *vocab, const vt_buf *merges, size_t limit,
                        vt_err *err) VT_MUST_USE;
void vt_vocab_release(vt_vocab *v);
/* The merge of a pair, or NULL. */
const vt_merge *vt_vocab_merge(const vt_vocab *v, uint32_t left, uint32_t right);

#endif
