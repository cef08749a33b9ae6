#!/usr/bin/python3
"""Writes the seed files of fuzz_snapshot from snapshots of catalogues with 16 dimensions: the first as it is, all as
lists of their sections (fuzz_snapshot.c says how). tests/unit/test_catalog_snapshot leaves some where VT_KEEP_SNAPSHOTS
names a folder.

    fuzz/make_seeds_snapshot.py SNAPSHOT...
"""
import pathlib
import struct
import sys

FOLDER = pathlib.Path(__file__).parent / "corpus/snapshot"
PAGE, COUNT, TABLE, ENTRY = 4096, 112, 120, 32
ID, MODEL, SEQ = 24, 64, 96


def sections(file):
    count, = struct.unpack_from("<Q", file, COUNT)
    at = PAGE
    for i in range(count):
        name, size = struct.unpack_from("<16sQ", file, TABLE + i * ENTRY)
        at = (at + PAGE - 1) // PAGE * PAGE
        yield name, file[at : at + size]
        at += size


def for_anybody(file):
    """Of the database and model that the target asks for."""
    file = bytearray(file)
    file[ID : ID + 37] = b"01234567-89ab-4cde-8f01-23456789abcd\0"
    file[MODEL : MODEL + 32] = bytes(32)
    return bytes(file)


FOLDER.mkdir(parents=True, exist_ok=True)
for number, path in enumerate(sys.argv[1:]):
    file = pathlib.Path(path).read_bytes()
    parts = [name + struct.pack("<I", len(data)) + data for name, data in sections(file)]
    (FOLDER / f"sections_{number}").write_bytes(b"".join(parts))
    if number == 0:
        (FOLDER / "file").write_bytes(for_anybody(file))
