/* What the files of the evaluation share: eval_query.c reads a line, eval.c asks it and measures,
 * eval_report.c tells. Private to engine. */
#ifndef VT_ENGINE_EVAL_H
#define VT_ENGINE_EVAL_H

#include "engine/engine.h"
#include "engine/ranking.h"

#define VT_EVAL_WORST 10

/* ---- eval_query.c ------------------------------------------------------------------------- */

/* One line of a query file. The pointers belong to `line`. */
typedef struct vt_eval_query {
    json_t *line;
    const char *subject;    /* the words, or the picture's path or URL */
    bool picture;           /* subject is "image" or "image_url", not "query" */
    const char *group;      /* NULL: none */
    const json_t *relevant; /* an array of ids, or a filter object that is not empty */
    const json_t *exclude;  /* an array of ids, or NULL */
    const json_t *filter;   /* as a search's, or NULL; not looked at yet */
} vt_eval_query;

/* E_PARSE, E_INVALID (names the member), E_NOMEM. Members that are not known are refused: a
 * misspelt one would make wrong figures in silence. */
vt_status vt_eval_query_read(const char *json, size_t n, vt_eval_query *q, vt_err *err) VT_MUST_USE;
void vt_eval_query_release(vt_eval_query *q);

/* ---- eval.c ------------------------------------------------------------------------------- */

/* What became of a query that could be asked. */
typedef struct vt_eval_outcome {
    uint64_t line;
    char *subject;
    bool picture;
    char *group;        /* NULL: none */
    size_t relevant;    /* products; 0: nothing was measured */
    size_t unknown_ids; /* named as relevant and not in the catalogue */
    double figures[VT_METRICS];
} vt_eval_outcome;

typedef struct vt_eval_bad {
    size_t outcome; /* index */
    char *found;    /* JSON array of what was found, best first */
} vt_eval_bad;

struct vt_eval {
    vt_engine *e;
    char *image_dir;
    size_t top_k;
    vt_eval_outcome *outcomes; /* in the order fed */
    size_t n_outcomes, cap;
    vt_eval_bad worst[VT_EVAL_WORST]; /* lowest nDCG first, ties in the order fed */
    size_t n_worst;
    vt_buf broken; /* JSON objects, one for each line that could not be asked */
    vt_json broken_w;
    size_t n_broken;
};

#endif
