/* The audit: what share of the true answers real searches find. Private to engine. */
#ifndef VT_ENGINE_AUDIT_H
#define VT_ENGINE_AUDIT_H

#include "engine/state.h"

/* spacing_ns: of the searches of one kind, at most one in such a time is kept. */
vt_status vt_audit_open(size_t dim, uint64_t spacing_ns, vt_audit **out, vt_err *err) VT_MUST_USE;
void vt_audit_close(vt_audit *a);

/* A search was answered. Never waits; any thread. May keep a copy of the vector and take *filter
 * over, which is then NULL. */
void vt_audit_offer(vt_audit *a, const vt_catalog_query *q, vt_filter **filter);
/* Vectors of the latest searches of a kind, at most max, into out [][dim]; returns how many. */
size_t vt_audit_vectors(vt_audit *a, vt_query_kind kind, float *out, size_t max);

/* Repeats one search that was kept and not repeated yet, as it is answered now and exactly, and
 * notes what share of the true answer was found. *done is false where there is none. One thread at
 * a time. */
vt_status vt_audit_replay(vt_audit *a, vt_catalog *c, bool *done, vt_err *err) VT_MUST_USE;

typedef struct vt_audit_result {
    vt_query_kind kind;
    double selectivity; /* matches per row */
    float recall, wished;
    bool estimated; /* by cells: more of them would find more */
} vt_audit_result;

void vt_audit_note(vt_audit *a, const vt_audit_result *r);

typedef struct vt_audit_mean {
    size_t n; /* results in the window */
    double recall, wished;
} vt_audit_mean;

/* Do the results of a kind tell that it finds less than is wished, by more than 0.01 and beyond
 * chance? out is over the estimated ones. */
bool vt_audit_falls_short(vt_audit *a, vt_query_kind kind, vt_audit_mean *out);
/* The kind's searches are planned otherwise from now on: its results are void. */
void vt_audit_forget(vt_audit *a, vt_query_kind kind);

/* {searches, recall: {kind: {selectivity: {recall, wished, searches}}}} */
void vt_audit_write(vt_audit *a, vt_json *w);
void vt_audit_metrics(vt_audit *a, vt_buf *out);

#endif
