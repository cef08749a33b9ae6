/* The bulk lane: pictures that nobody waits for. Private to engine. */
#ifndef VT_ENGINE_BULK_H
#define VT_ENGINE_BULK_H

#include "engine/state.h"

/* One picture on its way to a vector; its owner keeps it until it is done. */
typedef struct vt_bulk_job {
    const uint8_t *bytes; /* the encoded picture, must live until done */
    size_t len;
    float *vector; /* out: dim floats */
    vt_status status;
    vt_err err;                            /* filled where status is not OK; without a field */
    void (*done)(struct vt_bulk_job *job); /* called by a thread of the lane, no lock held */
    void *owner;                           /* the caller's own */
    struct vt_bulk_job *next;              /* the lane's */
} vt_bulk_job;

/* Reads e's model, pool and counters; opened after them, closed before. threads >= 1. */
vt_status vt_bulk_open(vt_engine *e, unsigned threads, vt_bulk **out, vt_err *err) VT_MUST_USE;
void vt_bulk_close(vt_bulk *b); /* after all jobs are done */
/* Waits while the queue is full. */
void vt_bulk_submit(vt_bulk *b, vt_bulk_job *job);
/* Pictures that keep the lane's threads at work while as many again are fetched. */
size_t vt_bulk_depth(const vt_bulk *b);

#endif
