/* How a benchmark's process is spoken to: it stays open and answers one command a line with one
 * line of JSON, so that whoever compares can let several take turns and the noise of the machine
 * hits all of them. */
#ifndef BENCH_TALK_H
#define BENCH_TALK_H

#include "base/base.h"

enum { TALK_MOST = 1 << 28, TALK_WORDS = 8 }; /* bytes of an answer; words of a command */

/* One command: its words, "" for absent ones. What it does not know is E_INVALID. */
typedef vt_status (*talk_fn)(void *ctx, const char *const words[TALK_WORDS], vt_err *err);

/* Until standard input ends or a command fails. */
vt_status talk_listen(talk_fn obey, void *ctx, vt_err *err) VT_MUST_USE;

/* One line out, which it releases. A failed write means that whoever asked has gone: the next read
 * ends us. */
void talk_say(vt_buf *line);

void talk_numbers(vt_json *w, const char *name, const double *values, size_t n);

#endif
