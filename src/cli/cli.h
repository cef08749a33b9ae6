/* cli: the command line. `vitrine COMMAND [options]`: serve, import, search, get, delete, stats,
 * model info, check, eval, version. */
#ifndef VT_CLI_H
#define VT_CLI_H

#include "base/base.h"

/* Runs one command; argv as main's. Returns the process's exit code (docs: vitrine --help). */
int vt_cli_main(int argc, char **argv);

#endif
