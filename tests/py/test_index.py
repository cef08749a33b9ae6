"""An index with cells behind the real binary: what an import leaves behind, what explain tells, exact answers against
brute force, the audit in /metrics, and a server that keeps its index and stops at once."""
import array
import atexit
import functools
import json
import pathlib
import random
import shutil
import struct
import tempfile
import time
import unittest

from test_faiss import narrow_model
from vitrine import CATALOGUE, MODEL, TestCase, base64_text, demo_data, demo_image, demo_products, run, run_import, wait_until

DIM = 64  # the least that has cells
ROWS = 20000
NOISE = 0.09  # of a coordinate of a vector of length 1
WORDS = [f"{colour} {thing}" for colour in ("red", "blue", "striped", "grey") for thing in ("shirt", "lamp", "bag", "mug", "hat")]


# ---- a catalogue large enough for cells ---------------------------------------------------------

def read_vectors(path):
    """Of an IndexFlatIP."""
    raw = path.read_bytes()
    dim, count = struct.unpack_from("<iq", raw, 4)
    floats = array.array("f", raw[45:])
    return [floats[i * dim:(i + 1) * dim] for i in range(count)]


def write_vectors(path, vectors):
    head = struct.pack("<4siqqqBiq", b"IxFI", DIM, len(vectors), 1 << 20, 1 << 20, 1, 0, len(vectors) * DIM)
    path.write_bytes(head + b"".join(v.tobytes() for v in vectors))


def near(base, rng):
    v = [x + rng.gauss(0, NOISE) for x in base]
    length = sum(x * x for x in v) ** 0.5
    return array.array("f", (x / length for x in v))


class Big:
    """The demo's products, each many times and a little different."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="vitrine-index-"))
        atexit.register(shutil.rmtree, self.folder, ignore_errors=True)
        self.model = narrow_model(self.folder / "model", DIM)
        self.pictures = demo_products()
        small = self.folder / "small"
        code, _, _, err = run_import(small, CATALOGUE, model=self.model)
        assert code == 0, err
        code, _, err = run("export-faiss", self.folder / "base", "--data", small, "--model", self.model,
                           "--ids", self.folder / "base.json")
        assert code == 0, err
        self.base = dict(zip(json.loads((self.folder / "base.json").read_text()), read_vectors(self.folder / "base")))
        self.fill()

    def fill(self):
        rng = random.Random(30)
        products = [self.pictures[i % len(self.pictures)] for i in range(ROWS)]
        self.ids = [f"p{i:05}" for i in range(ROWS)]
        self.vectors = [near(self.base[p["id"]], rng) for p in products]
        self.prices = [i * 7919 % 1000 for i in range(ROWS)]
        metadata = [{"name": p["name"], "description": p["description"], "price": price}
                    for p, price in zip(products, self.prices)]
        write_vectors(self.folder / "big", self.vectors)
        (self.folder / "ids.json").write_text(json.dumps(self.ids))
        (self.folder / "metadata.json").write_text(json.dumps(metadata))
        code, out, err = run("import-faiss", "--data", self.folder / "data", "--model", self.model, "--index", self.folder / "big",
                             "--ids", self.folder / "ids.json", "--metadata", self.folder / "metadata.json",
                             "--log-level", "info", "--log-format", "json")
        assert code == 0, err
        self.log = [json.loads(line) for line in err.splitlines() if line.startswith("{")]

    def best(self, vector, k, price_max=1000):
        """By brute force."""
        scored = [(-sum(map(float.__mul__, map(float, v), map(float, vector))), name)
                  for v, name, price in zip(self.vectors, self.ids, self.prices) if price <= price_max]
        return [(name, -score) for score, name in sorted(scored)[:k]]


@functools.cache
def big():
    return Big()


class Cells(TestCase):
    def setUp(self):
        super().setUp()
        self.big = big()
        shutil.copytree(self.big.folder / "data", self.folder / "data")
        self.s = self.server(self.folder / "data", model=self.big.model)

    def metrics(self):
        lines = self.s.request("GET", "/metrics")[2].decode().splitlines()
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line[0] != "#")}

    def pictures(self, n):
        return [(p, base64_text(demo_image(p))) for p in self.big.pictures[:n]]

    def test_an_import_leaves_an_index_that_the_first_start_finds(self):
        told = [e["message"] for e in self.big.log if e["stage"] == "index"]
        self.assertTrue(any(f"cells for {ROWS} products" in t for t in told), told)
        self.assertTrue(any("learnt from 512 names" in t for t in told), told)
        status, ready = self.s.get("/readyz")
        self.assertEqual((status, ready["status"]), (200, "ready"))
        for index in (ready["index"], self.s.get("/api/v1/health")[1]["index"]):
            self.assertIs(index["from_snapshot"], True)
            self.assertGreater(index["cells"], 1)
            self.assertEqual(index["snapshot_seq"], ROWS)
            for kind in ("text", "image"):
                self.assertTrue(0 < index["fraction"][kind] < 1, index)
        metrics = self.metrics()
        self.assertEqual(metrics["vitrine_index_cells"], ready["index"]["cells"])
        self.assertAlmostEqual(metrics['vitrine_index_fraction{kind="text"}'], ready["index"]["fraction"]["text"], delta=1e-3)
        self.assertFalse([line for line in self.s.log if "learnt from" in line])  # it was all there

    def test_recall_1_is_brute_force(self):
        for product, image in self.pictures(4):
            for k, price_max in ((10, 1000), (100, 300), (7, 3)):
                found = self.s.search(image=image, recall=1, top_k=k, price_max=price_max, explain=True)
                self.assertEqual((found["explain"]["way"], found["explain"]["recall"]), ("exact", 1))
                self.assertEqual(found["explain"]["rows_scored"], found["explain"]["matches"])
                expected = self.big.best(self.big.base[product["id"]], k, price_max)
                for hit, (name, score) in zip(found["results"], expected, strict=True):
                    self.assertAlmostEqual(hit["similarity_score"], score, delta=1e-5)
                self.assertEqual({h["product_id"] for h in found["results"][:k // 2]} - {name for name, _ in expected}, set())

    def test_explain_tells_how_it_was_found(self):
        text = self.s.search(text_query="red shirt", explain=True)["explain"]
        image = self.s.search(image=self.pictures(1)[0][1], explain=True)["explain"]
        few = self.s.search(text_query="red shirt", price_max=0, explain=True)["explain"]
        for told, kind in ((text, "text"), (image, "image"), (few, "text")):
            self.assertEqual((told["query_kind"], told["rows"]), (kind, ROWS))
            self.assertAlmostEqual(told["recall"], 0.98)
            self.assertAlmostEqual(told["selectivity"], told["matches"] / ROWS, delta=1e-3)
            cheaper = "exact" if told["expected_us"]["exact"] <= told["expected_us"]["estimated"] else ("scan", "cells")
            self.assertIn(told["way"], cheaper)
        self.assertEqual(image["way"], "cells")
        self.assertTrue(0 < image["cells_probed"] < image["cells"])
        self.assertTrue(0 < image["rows_scored"] <= image["rows_estimated"] < ROWS)
        self.assertEqual((few["way"], few["matches"], few["rows_scored"]), ("exact", ROWS // 1000, ROWS // 1000))

    def test_most_of_the_true_answer_is_found_and_the_audit_says_so(self):
        shares = []
        for query in [{"text_query": words} for words in WORDS] + [{"image": image} for _, image in self.pictures(20)]:
            exact = self.s.ids(recall=1, **query)
            shares.append(len(set(exact) & set(self.s.ids(**query))) / len(exact))
            time.sleep(0.06)  # the audit keeps at most twenty a second
        self.assertGreaterEqual(sum(shares) / len(shares), 0.95, shares)
        # A hundredth of a processor is little in a sanitizer's build.
        self.assertTrue(wait_until(lambda: 'vitrine_search_recall{kind="image",selectivity="50-100%"}' in self.metrics(), 90))
        metrics = self.metrics()
        for kind in ("text", "image"):
            self.assertGreaterEqual(metrics[f'vitrine_search_recall{{kind="{kind}",selectivity="50-100%"}}'], 0.9)
            self.assertAlmostEqual(metrics[f'vitrine_search_recall_wished{{kind="{kind}",selectivity="50-100%"}}'], 0.98)
        audit = self.s.get("/api/v1/health")[1]["audit"]
        self.assertGreaterEqual(audit["searches"], audit["recall"]["image"]["50-100%"]["searches"])

    def test_a_server_stops_at_once_and_leaves_a_snapshot(self):
        # A few changes are not worth a snapshot.
        for begin, deleted, saved in ((0, 10, ROWS), (10, 1100, ROWS + 1100)):
            for i in range(begin, deleted):
                self.assertEqual(self.s.request("DELETE", f"/api/v1/products/p{i:05}")[0], 200)
            begun = time.monotonic()
            self.assertEqual(self.s.stop(), 0)
            self.assertLess(time.monotonic() - begun, 10)  # a sanitizer's build on a busy machine
            self.assertEqual(any("the index up to change" in e for e in self.s.log), saved > ROWS, self.s.log)
            self.s = self.server(self.folder / "data", model=self.big.model)
            index = self.s.get("/readyz")[1]["index"]
            self.assertEqual((index["from_snapshot"], index["snapshot_seq"]), (True, saved))
            self.assertEqual(self.s.search(text_query="red shirt", top_k=1, explain=True)["explain"]["rows"], ROWS - deleted)


class Small(TestCase):
    """Without cells every search is exact, and audited all the same."""

    def test_explained_and_audited(self):
        s = self.server(demo_data(self.folder / "data"))
        told = s.search(text_query="red shirt", explain=True, price_max=30)["explain"]
        self.assertEqual((told["way"], told["cells"], told["expected_us"]["estimated"]), ("exact", 0, None))
        self.assertEqual(told["rows_scored"], sum(p["price"] <= 30 for p in demo_products()))
        self.assertTrue(wait_until(lambda: b"\nvitrine_audited_searches_total 1\n" in s.request("GET", "/metrics")[2]))
        audit = s.get("/api/v1/health")[1]["audit"]
        self.assertEqual(audit["searches"], 1)
        self.assertEqual([kind["recall"] for kind in audit["recall"]["text"].values()], [1])
        self.assertIn(b"vitrine_index_cells 0\n", s.request("GET", "/metrics")[2])
        index = s.get("/readyz")[1]["index"]
        self.assertEqual((index["cells"], index["fraction"]["text"]), (0, None))

    def test_errors_name_the_field(self):
        s = self.server(demo_data(self.folder / "data"))
        for body, pointer in (({"recall": 0}, "/recall"), ({"recall": 1.5}, "/recall"), ({"recall": "1"}, "/recall"),
                              ({"explain": "yes"}, "/explain"), ({"explain": 1}, "/explain")):
            status, answer = s.post("/api/v1/search", {"text_query": "mug", **body})
            self.assertEqual((status, answer["code"], answer["pointer"]), (400, "invalid_request", pointer))
        form = b"".join(b'--boundary\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % part for part in (
            (b"text_query", b"mug"), (b"recall", b"1"), (b"explain", b"true"))) + b"--boundary--\r\n"
        status, _, answer = s.request("POST", "/api/v1/search", form, {"Content-Type": "multipart/form-data; boundary=boundary"})
        self.assertEqual((status, json.loads(answer)["explain"]["recall"]), (200, 1))

    def test_the_command_line(self):
        data = demo_data(self.folder / "data")
        search = lambda *args: run("search", "red shirt", "--data", data, "--model", MODEL, *args)
        code, out, _ = search("--explain", "--recall", "1", "--json")
        told = json.loads(out)["explain"]
        self.assertEqual((code, told["way"], told["recall"]), (0, "exact", 1))
        code, out, _ = search("--explain", "--top-k", "3")
        lines = dict(line.split(None, 1) for line in out.splitlines() if line.startswith("explain."))
        self.assertEqual((code, lines["explain.way"], lines["explain.recall"]), (0, "exact", "0.98"))
        self.assertNotIn("explain", search()[1])
        for wrong in ("0", "1.01", "all"):
            code, _, err = search("--recall", wrong)
            self.assertEqual(code, 2)
            self.assertIn("recall", err)
        code, out, _ = run("stats", "--data", data, "--model", MODEL, "--json")
        self.assertEqual((code, json.loads(out)["index"]["cells"]), (0, 0))


if __name__ == "__main__":
    unittest.main()
