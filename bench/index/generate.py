#!/usr/bin/python3
"""A large set of vectors with the shape of CLIP's: bench/index/generate.py FOLDER [--rows N] [--seed N].

Rows are a mixture: a common offset (as all of CLIP's pictures have: the mean cosine of two is about 0.45), a centre for each
cluster, 24 dimensions of its own in which a cluster's rows differ, and a little noise in all. Clusters differ in size. Image queries
come from the same mixture. Text queries lie far from all rows (the best cosine is about 0.3): another common offset, something of one
cluster, and much that no row has. 700 more of them are to learn from. Files as in vectors.py.
"""
import argparse
from pathlib import Path

import numpy as np

import vectors

DIM = 512
LATENT = 24
ROWS_A_CLUSTER = 500
# squares of lengths: of a row's parts, and of a text's
ROW = {"offset": 0.45, "centre": 0.23, "latent": 0.28, "noise": 0.04}
TEXT = {"words": 0.65, "offset": 0.05, "centre": 0.03, "latent": 0.03, "noise": 0.24}


def directions(rng, *shape):
    """Of unit length along the last axis."""
    return vectors.units(rng.standard_normal((int(np.prod(shape[:-1])), shape[-1]), "f4")).reshape(shape)


class Mixture:
    def __init__(self, rng, n_clusters):
        self.rng = rng
        self.offset, self.words = directions(rng, 2, DIM)
        self.centres = directions(rng, n_clusters, DIM)
        self.bases = directions(rng, n_clusters, LATENT, DIM)
        weights = rng.lognormal(sigma=0.8, size=n_clusters)
        self.weights = weights / weights.sum()

    def choose(self, n):
        return self.rng.choice(len(self.weights), n, p=self.weights)

    def draw(self, cluster, n, parts):
        """n vectors about one cluster; parts: how much of what."""
        latent = self.rng.standard_normal((n, LATENT), "f4") @ self.bases[cluster] / LATENT ** 0.5
        noise = self.rng.standard_normal((n, DIM), "f4") / DIM ** 0.5
        made = (parts["offset"] ** 0.5 * self.offset + parts["centre"] ** 0.5 * self.centres[cluster]
                + parts["latent"] ** 0.5 * latent + parts["noise"] ** 0.5 * noise + parts.get("words", 0) ** 0.5 * self.words)
        return vectors.units(made)

    def scatter(self, out, parts):
        """Fills out, each row about a cluster of its own."""
        chosen = self.choose(len(out))
        order = np.argsort(chosen, kind="stable")
        for rows in np.split(order, np.flatnonzero(np.diff(chosen[order])) + 1):
            out[rows] = self.draw(chosen[rows[0]], len(rows), parts)
        return out


def generate(folder, rows, seed=1, queries=1000, texts=600, train=700):
    """Leaves what is there already: the base is written last and takes its name when it is whole."""
    base = folder / "mixture.base.f16bin"
    if base.exists() and tuple(np.fromfile(base, "<i4", 2)) == (rows, DIM):
        return
    folder.mkdir(parents=True, exist_ok=True)
    mixture = Mixture(np.random.default_rng(seed), max(rows // ROWS_A_CLUSTER, 4))
    for name, n, parts in (("image.query", queries, ROW), ("text.query", texts, TEXT), ("text.train", train, TEXT)):
        vectors.write(folder / f"mixture.{name}.fbin", mixture.scatter(np.empty((n, DIM), "<f4"), parts))
    making = folder / "making"
    with open(making, "wb") as file:
        np.array([rows, DIM], "<i4").tofile(file)
        file.truncate(vectors.HEADER + rows * DIM * 2)
    out = np.memmap(making, "<f2", "r+", offset=vectors.HEADER, shape=(rows, DIM))
    mixture.scatter(out, ROW)
    out.flush()
    making.rename(base)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, default=1000000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    generate(arguments.folder, arguments.rows, arguments.seed)


if __name__ == "__main__":
    main()
