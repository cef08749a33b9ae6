/* The steps of a product's way in, for the two that walk it: a single product in one thread
 * (ingest.c), and an import, whose steps are done by different threads (import.c). Private. */
#ifndef VT_ENGINE_INGEST_H
#define VT_ENGINE_INGEST_H

#include "engine/state.h"

typedef struct vt_ingestion {
    vt_product product; /* its embedding has room for dim floats */
    vt_picture picture;
    const char *picture_field; /* static */
    bool found;                /* the embedding is there: stored before, from the same bytes */
} vt_ingestion;

void vt_ingestion_init(vt_ingestion *in);
void vt_ingestion_release(vt_ingestion *in);
/* Validates the product, takes its picture (downloads it), and looks for its stored vector. The
 * bytes of image, where given, must live until the picture is encoded; json need not. */
vt_status vt_ingestion_begin(vt_engine *e, const json_t *json, const void *image, size_t len,
                             vt_ingestion *in, vt_err *err) VT_MUST_USE;
/* What is told of a product that was put, or refused. */
void vt_ingestion_tell(vt_engine *e, vt_status s, bool encoded, vt_put_result put,
                       vt_ingest_result *out);

#endif
