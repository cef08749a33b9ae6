#!/usr/bin/python3
"""The index beside Debian's faiss (IndexFlatIP) and hnswlib, on files of vectors: queries a second
against recall@k, one thread, every contender in every round so that a disturbance hits all alike.

    bench/index/index.py DATA --bench build/release/bench/bench_index [--out FILE.csv]

DATA holds NAME.base.f16bin and, for each kind of query, NAME.KIND.query.fbin and NAME.KIND.gt.ibin
(int32 count, int32 width, then float16, float32 or int32 values)."""
import argparse
import csv
import glob
import os
import statistics
import subprocess
import sys
import time

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
import faiss  # noqa: E402
import hnswlib  # noqa: E402
import numpy as np  # noqa: E402

HEAD = ["kind", "way", "recall", "qps", "qps_least", "qps_most", "build_s", "bytes_a_vector"]


def read(path, kind):
    with open(path, "rb") as f:
        count, width = np.fromfile(f, "<i4", 2)
        return np.fromfile(f, kind).reshape(count, width)


def units(vectors):
    vectors = vectors.astype("<f4")
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def recall(base, queries, truth, ids):
    """By score, because rows may be equal."""
    found = 0
    for q, true, got in zip(queries, truth, ids):
        worst = base[true[len(got) - 1]] @ q
        found += np.count_nonzero(base[got] @ q >= worst - 1e-6)
    return found / ids.size


def peers(base, k, efs):
    """Yields (name, build seconds, bytes a vector, search); a search asks one query at a time, as
    a server does."""
    begun = time.perf_counter()
    flat = faiss.IndexFlatIP(base.shape[1])
    flat.add(base)
    seconds = time.perf_counter() - begun
    yield "faiss IndexFlatIP", seconds, base.shape[1] * 4, lambda q: flat.search(q[None], k)[1][0]
    begun = time.perf_counter()
    graph = hnswlib.Index("ip", base.shape[1])
    graph.init_index(len(base), M=16, ef_construction=200)
    graph.set_num_threads(1)
    graph.add_items(base)
    seconds = time.perf_counter() - begun
    size = base.shape[1] * 4 + 2 * 16 * 4 + 16
    for ef in efs:
        def search(q, ef=ef):
            graph.set_ef(ef)
            return graph.knn_query(q, k)[0][0]
        yield f"hnswlib M16 efc200 ef{ef}", seconds, size, search


def ask_all(search, queries):
    begun = time.perf_counter()
    ids = np.array([search(q) for q in queries], dtype=np.int64)
    return ids, len(queries) / (time.perf_counter() - begun)


def vitrine(bench, files, k):
    """Rows of bench_index: way, recall, median, least and most queries a second, build, bytes."""
    out = subprocess.run([bench, *files, "--k", str(k), "--runs", "1"], check=True, text=True,
                         capture_output=True).stdout
    return list(csv.reader(out.splitlines()))


def measure(kind, files, contenders, base, options):
    queries, truth = units(read(files[1], "<f4")), read(files[2], "<i4")
    recalls, rates, costs = {}, {}, {}
    for _ in range(options.rounds):
        for way, found, qps, _, _, build, size in vitrine(options.bench, files, options.k):
            recalls[way], costs[way] = float(found), (float(build), int(size))
            rates.setdefault(way, []).append(float(qps))
        for way, build, size, search in contenders:
            ids, qps = ask_all(search, queries)
            recalls[way], costs[way] = recall(base, queries, truth, ids), (build, size)
            rates.setdefault(way, []).append(qps)
    for way, seen in rates.items():
        yield [kind, way, f"{recalls[way]:.4f}", f"{statistics.median(seen):.0f}",
               f"{min(seen):.0f}", f"{max(seen):.0f}", f"{costs[way][0]:.1f}", costs[way][1]]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("data")
    parser.add_argument("--bench", required=True)
    parser.add_argument("--k", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ef", default="10,64,256,1024")
    parser.add_argument("--out", type=argparse.FileType("w"), default=sys.stdout)
    options = parser.parse_args()
    faiss.omp_set_num_threads(1)
    base_file = glob.glob(os.path.join(options.data, "*.base.f16bin"))[0]
    name = base_file[:-len(".base.f16bin")]
    base = units(read(base_file, "<f2"))
    contenders = list(peers(base, options.k, [int(ef) for ef in options.ef.split(",")]))
    rows = csv.writer(options.out)
    rows.writerow(HEAD)
    for query_file in sorted(glob.glob(name + ".*.query.fbin")):
        kind = query_file[len(name) + 1:-len(".query.fbin")]
        files = [base_file, query_file, f"{name}.{kind}.gt.ibin"]
        if os.path.exists(files[2]):
            rows.writerows(measure(kind, files, contenders, base, options))


if __name__ == "__main__":
    main()
