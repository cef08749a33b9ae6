/* The garden: what keeps the index in shape behind everybody's back. Private to engine. */
#ifndef VT_ENGINE_GARDEN_H
#define VT_ENGINE_GARDEN_H

#include "engine/state.h"

/* Opened after e's model, catalogue and audit, and closed before them. */
vt_status vt_garden_open(vt_engine *e, vt_garden **out, vt_err *err) VT_MUST_USE;
/* From now on a thread of low priority tends the garden and replays searches for the audit. */
vt_status vt_garden_start(vt_garden *g, vt_err *err) VT_MUST_USE;
/* Stops the thread, where there is one, and leaves a snapshot where much has changed since the
 * last. */
void vt_garden_close(vt_garden *g);

/* {state, cells, from_snapshot, ...}: a copy made when it last changed, so nobody waits. */
void vt_garden_write(vt_garden *g, vt_json *w);
void vt_garden_metrics(vt_garden *g, vt_buf *out);

#endif
