"""Pictures made ready once and kept in a folder: drawing and decoding them costs minutes, mapping them nothing."""
from concurrent.futures import ProcessPoolExecutor

import numpy as np

import drawn
import photos


def kept(path, make):
    """The array in `path`, mapped; made first if it is not there."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".part.npy")
        np.save(unfinished, make())
        unfinished.rename(path)
    return np.load(path, mmap_mode="r")


def drawn_pictures(folder, name, products):
    """[products][side][side][3] bytes."""
    return kept(folder / f"{name}-{len(products)}-{drawn.SIDE}-{drawn.digest()}.npy", lambda: drawn.draw_all(products))


def photo_pictures(folder, listed):
    """A list of [height][width][3] bytes, one for each photograph; they differ in shape and lie in one flat file."""
    shapes_path, bytes_path = folder / "photo-shapes.npy", folder / "photo-bytes.npy"
    if not shapes_path.exists():
        with ProcessPoolExecutor(2) as pool:
            pictures = list(pool.map(_read, listed, chunksize=64))
        kept(bytes_path, lambda: np.concatenate([picture.ravel() for picture in pictures]))
        kept(shapes_path, lambda: np.array([picture.shape for picture in pictures]))
    shapes, flat = np.load(shapes_path), np.load(bytes_path, mmap_mode="r")
    if len(shapes) != len(listed):
        raise SystemExit(f"{shapes_path}: {len(shapes)} photographs, not {len(listed)}; delete the folder")
    ends = np.cumsum(shapes.prod(axis=1))
    return [flat[end - shape.prod():end].reshape(shape) for end, shape in zip(ends, shapes)]


def _read(photo):
    return photos.small(photo.open())
