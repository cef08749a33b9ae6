"""The shipped model is the one that was measured, and vitrine computes from it what torch does.

tests/golden/mini holds pictures, texts and torch's vectors of them (tools/train/make_fixtures.py). Vectors do not leave the
server, scores do: every text searches every picture, and each score must be the scalar product of torch's two vectors.
"""
import array
import hashlib
import json
import os
import sys
import unittest

import vitrine

GOLDEN = vitrine.ROOT / "tests/golden/mini"
MODEL = vitrine.pathlib.Path(os.environ.get("VT_MODEL", vitrine.MODEL))
FOLDER_MAX = 8_000_000
SCORE_TOLERANCE = 0.01  # of a cosine, where the kernels compute in bfloat16
TOP = 5


def golden(name):
    values = array.array("f", (GOLDEN / name).read_bytes())
    if sys.byteorder == "big":
        values.byteswap()
    return values


def rows(values, dim):
    return [values[i:i + dim] for i in range(0, len(values), dim)]


def dot(a, b):
    return sum(x * y for x, y in zip(a, b))


class Folder(unittest.TestCase):
    def test_it_is_the_measured_model(self):
        facts = json.loads((GOLDEN / "fixtures.json").read_text("utf-8"))
        digest = hashlib.sha256((MODEL / "model.safetensors").read_bytes()).hexdigest()
        self.assertEqual(digest, facts["model_sha256"])

    def test_it_is_small(self):
        shipped = [path for path in MODEL.iterdir() if path.suffix != ".packed"]    # a benchmark may have left its panels here
        self.assertLessEqual(sum(path.stat().st_size for path in shipped), FOLDER_MAX)


class Scores(vitrine.TestCase):
    def test_scores_are_torchs(self):
        try:
            from PIL import Image
        except ImportError:
            self.skipTest("needs python3-pil")
        facts = json.loads((GOLDEN / "fixtures.json").read_text("utf-8"))
        images, texts = (rows(golden(f"{name}_vectors.f32"), facts["dim"]) for name in ("image", "text"))
        self.write_catalogue(Image.open(GOLDEN / "images.webp").convert("RGB"), facts)
        data = self.folder / "data"
        code, _, summary, err = vitrine.run_import(data, self.folder / "catalogue.jsonl", model=MODEL)
        self.assertEqual((code, summary["failed"]), (0, 0), err)
        server = self.server(data, model=MODEL)
        for text, vector in zip((GOLDEN / "texts.txt").read_text("utf-8").splitlines(), texts):
            with self.subTest(text):
                expected = [dot(vector, image) for image in images]
                hits = server.search(text_query=text, top_k=facts["images"])["results"]
                self.assertEqual(len(hits), facts["images"])
                for hit in hits:
                    self.assertAlmostEqual(hit["similarity_score"], expected[int(hit["product_id"])], delta=SCORE_TOLERANCE)
                best = sorted(expected, reverse=True)
                found = [expected[int(hit["product_id"])] for hit in hits[:TOP]]
                for wanted, got in zip(best, found):
                    self.assertAlmostEqual(wanted, got, delta=2 * SCORE_TOLERANCE)

    def write_catalogue(self, sheet, facts):
        side = facts["side"]
        with open(self.folder / "catalogue.jsonl", "w", encoding="utf-8") as lines:
            for i in range(facts["images"]):
                left, top = i % facts["across"] * side, i // facts["across"] * side
                sheet.crop((left, top, left + side, top + side)).save(self.folder / f"{i}.png")
                product = {"id": str(i), "name": str(i), "description": "a tile", "image": f"{i}.png", "category": "tiles", "price": 1.0,
                           "attributes": {}}
                lines.write(json.dumps(product) + "\n")


if __name__ == "__main__":
    unittest.main()
