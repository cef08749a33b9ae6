/* A stand-in for the engine, for tests of the HTTP server alone: no model, no catalogue. It echoes
 * what it was given, refuses what it is told to, and can be made to wait at a gate. */
#ifndef FAKE_ENGINE_H
#define FAKE_ENGINE_H

#include "engine/engine.h"

/* The one engine; every product and counter is forgotten. The gate is open. */
vt_engine *fake_engine_open(void);
void fake_engine_close(vt_engine *e);

/* While the gate is shut, what carries the word "slow" (text_query, product id) waits at it. */
void fake_engine_shut(vt_engine *e);
void fake_engine_release(vt_engine *e);
/* Returns when n calls wait at the gate. */
void fake_engine_await(vt_engine *e, unsigned n);
/* Products that were created. */
unsigned fake_engine_products(vt_engine *e);

#endif
