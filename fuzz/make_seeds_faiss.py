#!/usr/bin/python3
"""Writes the seed files of fuzz_faiss with FAISS itself (Debian's python3-faiss): every kind of index that is read, small.
The unit tests read them too and expect these vectors and ids (tests/unit/faiss_seeds.h).

    fuzz/make_seeds_faiss.py
"""
import pathlib

import faiss
import numpy

FOLDER = pathlib.Path(__file__).parent / "corpus/faiss"


def vectors(count, dim):
    """The same in every test: vector i, element j."""
    i, j = numpy.mgrid[0:count, 0:dim]
    return ((31 * i + 17 * j + i * i * j) % 23 - 11).astype("float32") / 8


def filled(index, count):
    x = vectors(count, index.d)
    if not index.is_trained:
        index.train(x)
    index.add(x)
    return index


def ivf(cells, count, dim=4, quantizer=None):
    index = faiss.IndexIVFFlat(quantizer or faiss.IndexFlatL2(dim), dim, cells)
    index.cp.min_points_per_centroid = 1
    return filled(index, count)


def with_map(index):
    index.make_direct_map()
    return index


def mapped(index, count, kind=faiss.IndexIDMap):
    map_ = kind(index)
    if not index.is_trained:
        index.train(vectors(count, index.d))
    map_.add_with_ids(vectors(count, index.d), 1000 + 7 * numpy.arange(count, dtype="int64"))
    return map_


def seeds():
    yield "flat_l2", filled(faiss.IndexFlatL2(4), 5)
    yield "flat_ip", filled(faiss.IndexFlatIP(3), 4)
    yield "flat_empty", faiss.IndexFlatL2(4)
    yield "hnsw", filled(faiss.IndexHNSWFlat(4, 4), 12)
    yield "hnsw_empty", faiss.IndexHNSWFlat(4, 4)
    yield "ivf_full", ivf(3, 9)
    yield "ivf_sparse", sparse()
    yield "ivf_map", with_map(ivf(3, 9))
    yield "ivf_hnsw", ivf(3, 9, quantizer=faiss.IndexHNSWFlat(4, 4))
    yield "idmap_flat", mapped(faiss.IndexFlatIP(3), 4)
    yield "idmap2_flat", mapped(faiss.IndexFlatIP(3), 4, faiss.IndexIDMap2)
    yield "idmap_empty", mapped(faiss.IndexFlatIP(3), 0)
    yield "idmap_hnsw", mapped(faiss.IndexHNSWFlat(4, 4), 12)
    yield "idmap_ivf", mapped(faiss.IndexIVFFlat(faiss.IndexFlatL2(4), 4, 3), 9)


def sparse():
    """Most cells empty: FAISS then writes the sizes of the others only."""
    index = faiss.IndexIVFFlat(faiss.IndexFlatL2(4), 4, 8)
    index.train(numpy.repeat(vectors(8, 4), 40, axis=0))
    index.add(vectors(3, 4))
    return index


FOLDER.mkdir(parents=True, exist_ok=True)
for name, index in seeds():
    faiss.write_index(index, str(FOLDER / name))
