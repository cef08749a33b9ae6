"""The demo shop and its model are whole: what `make run` shows first."""
import importlib.util
import json
import math
import os
import struct
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

DEMO = Path(__file__).resolve().parents[2] / "demo"
DRAW = DEMO.parent / "tools/demo/draw_catalogue.py"
MODEL = DEMO / "model"
IMAGES_MAX = 6_000_000
MODEL_MAX = 8_000_000
FRENCH_WORDS = {"un", "une", "des", "en", "avec", "et", "à", "pour"}
ENGLISH_WORDS = {"a", "an", "with", "and", "in", "the"}


def load_json(path):
    return json.loads(path.read_text(encoding="utf-8"))


def load_catalogue():
    with open(DEMO / "catalogue.jsonl", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


class Catalogue(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.products = load_catalogue()

    def each(self):
        for product in self.products:
            with self.subTest(product["id"]):
                yield product

    def test_size(self):
        self.assertIn(len(self.products), range(300, 501))

    def test_ids(self):
        ids = [product["id"] for product in self.products]
        self.assertEqual(len(ids), len(set(ids)))
        for product in self.each():
            self.assertIn(len(product["id"].encode()), range(1, 256))

    def test_categories(self):
        categories = [product["category"] for product in self.products]
        for category in set(categories):
            with self.subTest(category):
                self.assertGreaterEqual(categories.count(category), 3)

    def test_every_kind_comes_in_many_looks(self):
        kinds = {}
        for product in self.products:
            kinds.setdefault(product["attributes"]["kind"], []).append(product)
        for kind, members in kinds.items():
            with self.subTest(kind):
                self.assertGreaterEqual(len({p["attributes"]["colour"] for p in members}), 12)
                self.assertGreaterEqual(len({p["id"].rpartition("-")[2] for p in members}), 2, "silhouettes")
        patterns = [product["attributes"]["pattern"] for product in self.products]
        for pattern in ("plain", "striped", "dotted", "checked"):
            self.assertGreaterEqual(patterns.count(pattern), 30, pattern)

    def test_names_tell_products_apart(self):
        names = [product["name"] for product in self.products]
        self.assertEqual(len(names), len(set(names)))

    def test_both_languages(self):
        for product in self.each():
            english, french = product["name"].split(" · ")
            self.assertNotEqual(english.lower(), french.lower())
            self.assertIn(product["attributes"]["colour"], english.lower())
            words = set(product["description"].lower().replace(",", " ").split())
            self.assertTrue(words & ENGLISH_WORDS, "no English")
            self.assertTrue(words & FRENCH_WORDS, "no French")

    def test_prices(self):
        for product in self.each():
            self.assertTrue(math.isfinite(product["price"]))
            self.assertGreaterEqual(product["price"], 0)
            self.assertEqual(product["price"], round(product["price"], 2))

    def test_attributes(self):
        for product in self.each():
            attributes = product["attributes"]
            for key in ("colour", "couleur", "pattern", "motif", "material", "matiere", "kind"):
                self.assertIsInstance(attributes[key], str)
            self.assertIsInstance(attributes["stock"], int)
            self.assertTrue("sizes" in attributes or "dimensions" in attributes)


class Images(unittest.TestCase):
    def test_every_product_has_a_webp(self):
        for product in load_catalogue():
            with self.subTest(product["id"]):
                head = (DEMO / product["image"]).read_bytes()[:12]
                self.assertEqual((head[:4], head[8:]), (b"RIFF", b"WEBP"))

    def test_no_image_without_a_product(self):
        named = {DEMO / product["image"] for product in load_catalogue()}
        self.assertEqual(set((DEMO / "images").iterdir()), named)

    def test_total_size(self):
        self.assertLess(sum(path.stat().st_size for path in (DEMO / "images").iterdir()), IMAGES_MAX)

    def test_pixels(self):
        try:
            from PIL import Image
        except ImportError:
            self.skipTest("needs python3-pil")
        for product in load_catalogue():
            with self.subTest(product["id"]), Image.open(DEMO / product["image"]) as image:
                image.load()
                self.assertEqual((image.size, image.mode), ((512, 512), "RGB"))


@unittest.skipUnless(all(map(importlib.util.find_spec, ("cairo", "numpy", "PIL"))), "needs python3-cairo, -numpy and -pil")
class Drawing(unittest.TestCase):
    COUNT = 8
    TOLERANCE = 2.0     # of 255, in the mean over a picture: other versions of cairo and libwebp round otherwise

    def draw(self, folder, hash_seed):
        subprocess.run([sys.executable, DRAW, "--count", str(self.COUNT), folder], check=True, capture_output=True,
                       env={**os.environ, "PYTHONHASHSEED": hash_seed})
        return {path.relative_to(folder): path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}

    def test_drawing_again_gives_the_same(self):
        import numpy
        from PIL import Image
        with tempfile.TemporaryDirectory() as once, tempfile.TemporaryDirectory() as again:
            drawn = self.draw(once, "1")
            self.assertEqual(drawn, self.draw(again, "2"))
            self.assertEqual(len(drawn), self.COUNT + 1)
            self.assertEqual(drawn[Path("catalogue.jsonl")].splitlines(),
                             (DEMO / "catalogue.jsonl").read_bytes().splitlines()[:self.COUNT])
            for path in Path(once).glob("images/*"):
                with self.subTest(path.name), Image.open(path) as new, Image.open(DEMO / "images" / path.name) as old:
                    distance = numpy.abs(numpy.asarray(new, int) - numpy.asarray(old, int)).mean()
                    self.assertLess(distance, self.TOLERANCE)


class Model(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.config = load_json(MODEL / "config.json")
        with open(MODEL / "model.safetensors", "rb") as file:
            length, = struct.unpack("<Q", file.read(8))
            cls.tensors = json.loads(file.read(length))
            cls.values = len(file.read())
        cls.tensors.pop("__metadata__")

    def shape(self, name):
        return self.tensors[name]["shape"]

    def test_tensors_fill_the_file(self):
        end = 0
        for entry in sorted(self.tensors.values(), key=lambda entry: entry["data_offsets"]):
            start, stop = entry["data_offsets"]
            self.assertEqual(start, end)
            self.assertEqual(stop - start, 2 * math.prod(entry["shape"]))
            self.assertEqual(entry["dtype"], "F16")
            end = stop
        self.assertEqual(end, self.values)

    def test_embeddings(self):
        text, vision = self.config["text_config"], self.config["vision_config"]
        patch, width = vision["patch_size"], vision["hidden_size"]
        positions = (vision["image_size"] // patch) ** 2 + 1
        self.assertEqual(self.shape("text_model.embeddings.token_embedding.weight"),
                         [text["vocab_size"], text["hidden_size"]])
        self.assertEqual(self.shape("text_model.embeddings.position_embedding.weight"),
                         [text["max_position_embeddings"], text["hidden_size"]])
        self.assertEqual(self.shape("vision_model.embeddings.patch_embedding.weight"), [width, 3, patch, patch])
        self.assertEqual(self.shape("vision_model.embeddings.position_embedding.weight"), [positions, width])

    def test_layers_and_projections(self):
        for tower, projection in (("text", "text_projection"), ("vision", "visual_projection")):
            config = self.config[f"{tower}_config"]
            width, hidden = config["hidden_size"], config["intermediate_size"]
            self.assertEqual(width % config["num_attention_heads"], 0)
            self.assertEqual(self.shape(f"{projection}.weight"), [self.config["projection_dim"], width])
            layers = f"{tower}_model.encoder.layers."
            found = {int(name[len(layers):].split(".")[0]) for name in self.tensors if name.startswith(layers)}
            self.assertEqual(found, set(range(config["num_hidden_layers"])))
            for i in found:
                self.assertEqual(self.shape(f"{layers}{i}.mlp.fc1.weight"), [hidden, width])
                self.assertEqual(self.shape(f"{layers}{i}.self_attn.q_proj.weight"), [width, width])

    def test_vocabulary(self):
        vocabulary = load_json(MODEL / "vocab.json")
        size = self.config["text_config"]["vocab_size"]
        self.assertEqual(sorted(vocabulary.values()), list(range(size)))
        self.assertEqual((vocabulary["<|startoftext|>"], vocabulary["<|endoftext|>"]), (size - 2, size - 1))
        merges = (MODEL / "merges.txt").read_text(encoding="utf-8").splitlines()[1:]
        self.assertEqual(len(merges), size - 512 - 2)
        for rank, merge in enumerate(merges):
            left, right = merge.split(" ")
            self.assertEqual(vocabulary[left + right], 512 + rank)
            self.assertLess(max(vocabulary[left], vocabulary[right]), 512 + rank)

    def test_preprocessing_gives_the_size_the_model_takes(self):
        self.assertEqual(load_json(MODEL / "preprocessor_config.json")["crop_size"],
                         self.config["vision_config"]["image_size"])

    def test_size(self):
        self.assertLess(sum(path.stat().st_size for path in MODEL.iterdir() if path.suffix != ".packed"), MODEL_MAX)


if __name__ == "__main__":
    unittest.main()
