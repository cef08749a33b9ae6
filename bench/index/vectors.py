"""Files of vectors and of bits, a data set made of them, and what is true of it: the exact answers, under filters too."""
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

K = 10
BLOCK = 16384               # rows at once
EQUAL = 1e-6                # scores that differ by less are equal: rows may be
KINDS = {"video": "image", "image": "image", "text": "text"}    # by the name in a file's name
HEADER = 8                  # bytes before the values: count and width


def read(path, kind):
    count, width = np.fromfile(path, "<i4", 2)
    return np.memmap(path, kind, "r", offset=HEADER, shape=(count, width))


def write(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as file:
        np.array(values.shape, "<i4").tofile(file)
        values.tofile(file)


def write_bits(path, bits):
    path.parent.mkdir(parents=True, exist_ok=True)
    np.packbits(bits, bitorder="little").tofile(path)


def units(vectors):
    vectors = np.asarray(vectors, "<f4")
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@dataclass
class DataSet:
    """A folder's NAME.base.f16bin and, for each kind of query, NAME.KIND.query.fbin; NAME.text.train.fbin to learn from."""
    name: str
    base: Path
    queries: dict           # "image", "text" to a file
    train: Path             # None where there is none
    work: Path              # what is derived is kept here
    bits: dict = field(default_factory=dict)    # a filter's name to its bits; "-" is all rows
    _nearest: dict = field(default_factory=dict)

    def __post_init__(self):
        self.rows = read(self.base, "<f2")
        self.bits["-"] = None

    def bits_file(self, name):
        return "-" if name == "-" else self.work / f"{name}.bits"

    def add_bits(self, name, bits):
        self.bits[name] = bits
        write_bits(self.bits_file(name), bits)

    def worst(self, kind, name):
        """Of each query, the score of its K-th nearest row in a filter."""
        return self._nearest[kind, name]

    def find_nearest(self):
        """Of all kinds of queries in all filters: one pass over the base, or none where an earlier run left it."""
        wanted = [(kind, name) for kind in self.queries for name in self.bits]
        for key in wanted:
            kept = self._kept(*key)
            if kept.exists() and kept.stat().st_mtime > self.base.stat().st_mtime:
                self._nearest[key] = np.load(kept)
        missing = [key for key in wanted if key not in self._nearest]
        if missing:
            self._nearest |= nearest_scores(self.rows, {kind: units(read(path, "<f4")) for kind, path in self.queries.items()},
                                            self.bits, missing)
        for key in missing:
            np.save(self._kept(*key), self._nearest[key])

    def _kept(self, kind, name):
        return self.work / f"nearest-{kind}-{'all' if name == '-' else name}.npy"

    def recall(self, kind, name, ids, equal=EQUAL):
        """ids: of as many queries as were asked, from the first; -1 where nothing was found."""
        ids = np.asarray(ids, np.int64).reshape(-1, K)
        queries, worst = units(read(self.queries[kind], "<f4")[:len(ids)]), self.worst(kind, name)[:len(ids)]
        scores = np.empty(ids.shape, "<f4")
        for begin in range(0, len(ids), 256):
            part = ids[begin:begin + 256]
            found = units(self.rows[np.maximum(part, 0).ravel()]).reshape(*part.shape, -1)
            scores[begin:begin + 256] = np.einsum("qd,qkd->qk", queries[begin:begin + 256], found)
        hit = (scores >= worst[:, None] - equal) & (ids >= 0)
        if self.bits[name] is not None and not self.bits[name][ids[ids >= 0]].all():
            raise SystemExit(f"{self.name}: an answer has rows that the filter {name} does not let pass")
        return float(hit.mean())


def nearest_scores(rows, queries, bits, wanted):
    """wanted: pairs of a kind of query and a filter's name. Gives for each the scores of the K-th nearest rows."""
    best = {key: np.full((len(queries[key[0]]), K), -2, "<f4") for key in wanted}
    for begin in range(0, len(rows), BLOCK):
        block = units(rows[begin:begin + BLOCK])
        scores = {kind: queries[kind] @ block.T for kind in {kind for kind, _ in wanted}}
        for kind, name in wanted:
            mask = slice(None) if bits[name] is None else bits[name][begin:begin + BLOCK]
            both = np.concatenate((best[kind, name], scores[kind][:, mask]), axis=1)
            best[kind, name] = -np.partition(-both, K - 1, axis=1)[:, :K]
    return {key: value.min(axis=1) for key, value in best.items()}


def open_folder(folder, work):
    """The one data set of a folder."""
    base, = sorted(folder.glob("*.base.f16bin"))
    name = base.name.removesuffix(".base.f16bin")
    queries = {kind: folder / f"{name}.{word}.query.fbin" for word, kind in KINDS.items()
               if (folder / f"{name}.{word}.query.fbin").exists()}
    train = folder / f"{name}.text.train.fbin"
    kept = work / f"{name}-{np.fromfile(base, '<i4', 1)[0]}"
    kept.mkdir(parents=True, exist_ok=True)
    return DataSet(name, base, queries, train if train.exists() else None, kept)
