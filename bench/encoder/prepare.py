"""What has to be there before the encoder benchmark measures: programs built, a model, its ONNX form, inputs, reference vectors.

All of it goes to a work folder and is kept for the next run, but the inputs, which are cheap. The model's folder is left alone: the
work folder has links to its files, and vitrine's packed form comes to lie beside those.
"""
import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np

import sides
from building import ROOT, run

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT / "tools" / "demo"))

import preprocess           # noqa: E402
from PIL import Image       # noqa: E402

IMAGES = 16
SHORT, LONG = 5, 77         # tokens
TEXTS_OF_EACH = 8
MODEL_FILES = ("config.json", "preprocessor_config.json", "model.safetensors", "vocab.json", "merges.txt")


def install_onnxruntime():
    """Its postinstall script would fetch GPU libraries: not run."""
    if not (HERE / "node_modules" / "onnxruntime-node").exists():
        run("npm", "ci", "--ignore-scripts", cwd=HERE, stdout=subprocess.DEVNULL)


def make_model(folder):
    if not (folder / "model.safetensors").exists():
        run(sides.PYTHON, ROOT / "tools" / "make_model.py", "vit-b-32", folder)
    return folder


def fingerprint(paths):
    """Changes with the files, without reading 600 MB."""
    told = [(str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns) for path in paths]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:12]


def link_model(source, work):
    """A folder of links for this model, in a work folder of its own."""
    files = [source / name for name in MODEL_FILES]
    own = work / fingerprint(files)
    (own / "model").mkdir(parents=True, exist_ok=True)
    for file in files:
        link = own / "model" / file.name
        if not link.exists():
            link.symlink_to(file.resolve())
    return own


def export_onnx(model, folder):
    if not (folder / "image-int8.onnx").exists():
        run(sides.PYTHON, HERE / "export_onnx.py", model, folder)


def candidates():
    """Texts that may have SHORT tokens in this vocabulary, then texts that surely have too many, which are cut to LONG."""
    with open(ROOT / "demo" / "catalogue.jsonl", encoding="utf-8") as lines:
        products = [json.loads(line) for line in lines]
    letters = [f"{a} {b} {c}" for a, b, c in zip("abcdefgh", "ijklmnop", "qrstuvwx")]   # whatever the vocabulary
    short = [product["name"] for product in products if len(product["name"].split()) <= 3] + letters
    long = [" ".join(product["description"] for product in products[i:i + 10]) for i in range(TEXTS_OF_EACH)]
    return short, long


def token_ids(bench_encode, model, texts, work):
    path = work / "candidates.txt"
    path.write_text("".join(text + "\n" for text in texts), encoding="utf-8")
    told = subprocess.run([str(bench_encode), str(model), "--ids", str(path)], check=True, capture_output=True, text=True)
    return [json.loads(line) for line in told.stdout.splitlines()]


def write_inputs(bench_encode, model, folder):
    """texts.txt and images.f32 for those who read texts, inputs.json with ids for those who do not. The first TEXTS_OF_EACH texts
    are short, the others long."""
    folder.mkdir(exist_ok=True)
    short, long = candidates()
    ids = token_ids(bench_encode, model, short + long, folder)
    chosen = [i for i in range(len(short)) if len(ids[i]) == SHORT][:TEXTS_OF_EACH] + list(range(len(short), len(ids)))
    if len(chosen) != 2 * TEXTS_OF_EACH or {len(ids[i]) for i in chosen} != {SHORT, LONG}:
        raise SystemExit(f"{model}: its vocabulary does not give texts of {SHORT} and {LONG} tokens")
    side = json.loads((model / "config.json").read_text(encoding="utf-8"))["vision_config"]["image_size"]
    pictures = sorted((ROOT / "demo" / "images").glob("*.webp"))
    step = len(pictures) // IMAGES
    pixels = np.stack([preprocess.pixels(Image.open(path), side) for path in pictures[::step][:IMAGES]])
    pixels.astype("<f4").tofile(folder / "images.f32")
    texts = short + long
    (folder / "texts.txt").write_text("".join(texts[i] + "\n" for i in chosen), encoding="utf-8")
    (folder / "inputs.json").write_text(json.dumps({"side": side, "ids": [ids[i] for i in chosen]}), encoding="utf-8")


def read_vectors(path, shape, dtype="<f4"):
    texts, images, dim = shape
    return np.fromfile(path, dtype).reshape(texts + images, dim).astype(np.float64)


def reference_vectors(places, work):
    """[texts then images][dim] in float64, computed once for each set of inputs."""
    digest = hashlib.sha256()
    for name in ("inputs.json", "images.f32"):
        digest.update((places.inputs / name).read_bytes())
    path = work / f"reference-{digest.hexdigest()[:12]}.npy"
    if not path.exists():
        with sides.Side(sides.Engine("torch", "f64"), 2, places) as side:
            raw = work / "reference.f64"
            np.save(path, read_vectors(raw, side.ask(f"vectors {raw}")["vectors"], "<f8"))
            raw.unlink()
    return np.load(path)
