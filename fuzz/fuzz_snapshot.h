/* What fuzz_snapshot takes and seeds_snapshot writes: a list of sections, from which a file is
 * made. */
#ifndef VT_FUZZ_SNAPSHOT_H
#define VT_FUZZ_SNAPSHOT_H

#include <stdint.h>

#define FUZZ_ID "01234567-89ab-4cde-8f01-23456789abcd"

enum {
    FUZZ_DIM = 64,      /* the least that cells are made for */
    FUZZ_MAX = 2 << 20, /* bytes of all sections */
};

typedef struct fuzz_piece {
    char name[16];      /* begins a section; none: more of the one before */
    uint32_t length;    /* of the section, which is zero but for its pieces */
    uint32_t at, given; /* where in the section the bytes that follow lie, and how many they are */
} fuzz_piece;

#endif
