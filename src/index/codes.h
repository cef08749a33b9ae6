/* Private to index: rows in 4 bits a dimension, by chunks, and estimates of their inner products
 * with a query. */
#ifndef VT_INDEX_CODES_H
#define VT_INDEX_CODES_H

#include "index/rotation.h"
#include "vec/vec.h"

#define VT_CHUNK_ROWS 1024 /* slots that share a centre; VT_CODE_ROWS and 64 divide it */

/* Makes codes. Holds working memory: one thread at a time. */
typedef struct vt_coder vt_coder;

vt_status vt_coder_open(size_t dim, vt_coder **out, vt_err *err) VT_MUST_USE;
void vt_coder_close(vt_coder *c);
size_t vt_coder_bytes(const vt_coder *c);

typedef struct vt_chunk {
    float *centre, *rotated;      /* [dim]: the mean of the rows when the chunk was made */
    float squares;                /* of the centre's length */
    uint8_t *codes;               /* VT_CHUNK_ROWS / VT_CODE_ROWS blocks of vt_vec_code_scores */
    float *scale, *along, *error; /* [VT_CHUNK_ROWS] */
} vt_chunk;

/* NULL when there is no memory. Made by vt_chunk_make before anything else. */
vt_chunk *vt_chunk_open(const vt_coder *c) VT_MUST_USE;
void vt_chunk_close(vt_chunk *chunk);
size_t vt_chunk_bytes(const vt_coder *c);
/* Centre and codes of the rows whose bits are set in live[VT_CHUNK_ROWS / 64]; at least one. */
void vt_chunk_make(vt_coder *c, vt_chunk *chunk, const float *rows, const uint64_t *live);
void vt_chunk_put(vt_coder *c, vt_chunk *chunk, size_t row, const float *v);
/* True when the codes of the row are those of v. */
bool vt_chunk_holds(vt_coder *c, const vt_chunk *chunk, size_t row, const float *v);

/* A query as codes are asked: rotated, in 8 bits a dimension. */
typedef struct vt_code_ask {
    const float *vector; /* not owned */
    size_t dim;
    int8_t *numbers;
    vt_code_query query;
} vt_code_ask;

vt_status vt_code_ask_init(const vt_coder *c, const float *vector, vt_code_ask *ask,
                           vt_err *err) VT_MUST_USE;
void vt_code_ask_release(vt_code_ask *ask);
/* What the kernel needs to score this chunk's rows: `margin` standard errors above the estimate. */
vt_code_query vt_code_ask_chunk(const vt_code_ask *ask, const vt_chunk *chunk, float margin);
void vt_chunk_scores(const vt_chunk *chunk, const vt_code_query *q, size_t block,
                     float out[VT_CODE_ROWS]);

#endif
