#include "cli/cli.h"

int main(int argc, char **argv) {
    return vt_cli_main(argc, argv);
}
