"""Collections of FAISS: files from other people's programs hold what FAISS finds in them, come into a catalogue with their
ids, labels and metadata, and what a catalogue writes FAISS reads. FAISS itself (python3-faiss) is the second opinion."""
import json
import os
import shutil
import struct
import subprocess
import unittest

from vitrine import CATALOGUE, MODEL, ROOT, SHARED, TestCase, demo_data, demo_products, run, run_import

try:
    import faiss
    import numpy
except ImportError:
    faiss = None

FOLDER = SHARED / "data/faiss"
SNAPMYFIT = FOLDER / "snapmyfit"
FILES = sorted(FOLDER.glob("*.index")) + sorted(SNAPMYFIT.glob("*.bin"))
SEEDS = ROOT / "fuzz/corpus/faiss"
TOOL = os.environ.get("FAISS_TOOL", str(ROOT / "build/test/tests/unit/faiss_tool"))
QUERIES, K = 24, 10
TOLERANCE = 2e-5  # of a squared distance or inner product of unit vectors
ROUNDING = 2e-6  # of |x|^2 + |q|^2: FAISS takes a distance from them and <x, q> in binary32, and BLASes differ in the order

needs_faiss = unittest.skipUnless(faiss, "needs python3-faiss")
needs_shared = unittest.skipUnless(FILES, f"no {FOLDER}")


# ---- what FAISS says ----------------------------------------------------------------------------

def exact(index):
    """The index told to look at everything: its search is then the definition."""
    inner = faiss.downcast_index(index.index) if isinstance(index, faiss.IndexIDMap) else index
    if isinstance(inner, faiss.IndexIVF):
        inner.nprobe = inner.nlist
    if isinstance(inner, faiss.IndexHNSW):
        inner.hnsw.efSearch = 4 * inner.ntotal + 1
    return index


def content(path):
    """The vectors by id, as FAISS has them."""
    index = faiss.read_index(str(path))
    inner = faiss.downcast_index(index.index) if isinstance(index, faiss.IndexIDMap) else index
    ids = faiss.vector_to_array(index.id_map) if inner is not index else range(index.ntotal)
    if isinstance(inner, faiss.IndexIVF):
        inner.make_direct_map()
    return {int(name): inner.reconstruct(row) for row, name in enumerate(ids)}


def questions(vectors, dim):
    """Beside the vectors, and far from all of them; of unit length where they are."""
    random = numpy.random.default_rng(1)
    q = random.standard_normal((QUERIES, dim)).astype("float32")
    if not vectors:
        return q
    rows = numpy.stack(list(vectors.values()))
    lengths = numpy.linalg.norm(rows, axis=1)
    q *= lengths.mean() / numpy.linalg.norm(q, axis=1, keepdims=True)
    q[::2] = rows[random.integers(0, len(rows), QUERIES // 2)] + 0.2 * q[::2]
    if abs(lengths - 1).max() < 1e-5:
        q /= numpy.linalg.norm(q, axis=1, keepdims=True)
    return q


def distance(metric, x, q):
    x, q = x.astype("float64"), q.astype("float64")
    return ((x - q) ** 2).sum() if metric == faiss.METRIC_L2 else x @ q


def slack(x, q):
    return TOLERANCE + ROUNDING * float((x.astype("float64") ** 2).sum() + (q.astype("float64") ** 2).sum())


# ---- what we say --------------------------------------------------------------------------------

def tool_search(path, q, folder):
    (folder / "queries").write_bytes(q.astype("float32").tobytes())
    done = subprocess.run([TOOL, str(path), str(K), str(folder / "queries")], capture_output=True, check=True, text=True)
    lines = [line.split() for line in done.stdout.splitlines()]
    return [[(int(name), float(far)) for name, _, far in (hit.partition(":") for hit in line)] for line in lines]


def import_faiss(data, index, ids, *args, model=MODEL):
    code, out, err = run("import-faiss", "--data", data, "--model", model, "--index", index, "--ids", ids, "--json", *args)
    lines = [json.loads(line) for line in out.splitlines()]
    return code, lines, err


def get(data, name, model=MODEL):
    code, out, err = run("get", name, "--data", data, "--model", model, "--json")
    assert code == 0, err
    return json.loads(out)


def narrow_model(folder, dim):
    """The demo model with the first `dim` rows of its projections: it makes vectors of that many numbers."""
    shutil.copytree(MODEL, folder)
    config = json.loads((folder / "config.json").read_text())
    for part in (config, config["text_config"], config["vision_config"]):
        part["projection_dim"] = dim
    (folder / "config.json").write_text(json.dumps(config))
    raw = (folder / "model.safetensors").read_bytes()
    length, = struct.unpack("<Q", raw[:8])
    header, body, data = json.loads(raw[8:8 + length]), raw[8 + length:], b""
    header.pop("__metadata__", None)
    for name, tensor in header.items():
        begin, end = tensor["data_offsets"]
        if name.endswith("_projection.weight"):
            end = begin + (end - begin) // tensor["shape"][0] * dim
            tensor["shape"][0] = dim
        tensor["data_offsets"] = [len(data), len(data) + end - begin]
        data += body[begin:end]
    text = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)
    return folder


@needs_faiss
@needs_shared
class Search(TestCase):
    def assert_same_answers(self, index, vectors, q, answers):
        """Distances rank by rank as FAISS finds them, and each of ours is that of the vector it names."""
        self.assertEqual(len(answers), len(q) if vectors else 0)
        if not vectors:
            return
        distances, _ = index.search(q, min(K, index.ntotal))
        for query, theirs, ours in zip(q, distances, answers):
            self.assertEqual(len(ours), len(theirs))
            self.assertEqual(len({name for name, _ in ours}), len(ours))
            for far, (name, our_far) in zip(theirs, ours):
                within = slack(vectors[name], query)
                self.assertAlmostEqual(our_far, far, delta=within)
                self.assertAlmostEqual(distance(index.metric_type, vectors[name], query), our_far, delta=within)

    def test_every_file_answers_as_faiss_does(self):
        self.assertGreaterEqual(len(FILES), 9)
        for path in FILES:
            with self.subTest(path.name):
                index, vectors = exact(faiss.read_index(str(path))), content(path)
                q = questions(vectors, index.d)
                self.assert_same_answers(index, vectors, q, tool_search(path, q, self.folder))

    def test_never_farther_than_faiss_with_its_own_settings(self):
        for path in FILES:
            if not content(path):  # FAISS searches no empty index
                continue
            with self.subTest(path.name):
                index, vectors = faiss.read_index(str(path)), content(path)
                q = questions(vectors, index.d)
                distances, found = index.search(q, min(K, index.ntotal))
                sign = 1 if index.metric_type == faiss.METRIC_L2 else -1
                for query, theirs, names, ours in zip(q, distances, found, tool_search(path, q, self.folder)):
                    for far, name, (_, our_far) in zip(theirs, names, ours):
                        if name >= 0:
                            self.assertLessEqual(sign * our_far, sign * far + slack(vectors[name], query))


@needs_faiss
class RoundTrip(TestCase):
    def export(self, data, *args, model=MODEL):
        code, out, err = run("export-faiss", self.folder / "out.index", "--ids", self.folder / "out.json", "--data", data,
                             "--model", model, *args)
        self.assertEqual((code, err), (0, ""))
        return faiss.read_index(str(self.folder / "out.index")), json.loads((self.folder / "out.json").read_text())

    @needs_shared
    def test_what_came_from_faiss_goes_back_bit_by_bit(self):
        models = {512: MODEL, 384: narrow_model(self.folder / "narrow", 384)}
        for number, path in enumerate(sorted(FOLDER.glob("*.index"))):
            with self.subTest(path.name):
                vectors, index = content(path), exact(faiss.read_index(str(path)))
                model, data = models[index.d], self.folder / f"data{number}"
                (self.folder / "ids.json").write_text(json.dumps({str(i): f"row {i}" for i in vectors}))
                code, lines, err = import_faiss(data, path, self.folder / "ids.json", model=model)
                self.assertEqual((code, err), (0, ""))
                self.assertEqual(lines[-1]["summary"]["created"], len(vectors))
                self.assertEqual(lines[-1]["summary"]["encoded"], 0)
                self.assertEqual(lines[-2]["vectors"]["normalised"], 0)
                written, names = self.export(data, model=model)
                self.assertIsInstance(written, faiss.IndexFlat)
                self.assertEqual(written.metric_type, faiss.METRIC_INNER_PRODUCT)
                self.assertEqual((written.d, written.ntotal), (index.d, index.ntotal))
                self.assertEqual(names, sorted(names))
                for place, name in enumerate(names):
                    numpy.testing.assert_array_equal(written.reconstruct(place), vectors[int(name[4:])])
                if vectors:
                    self.assert_same_search(index, written, questions(vectors, index.d))

    def assert_same_search(self, index, written, q):
        theirs, _ = index.search(q, min(K, index.ntotal))
        ours, _ = written.search(q, min(K, index.ntotal))
        if index.metric_type == faiss.METRIC_L2:
            ours = 2 - 2 * ours
        numpy.testing.assert_allclose(ours, theirs, atol=TOLERANCE)

    def test_a_catalogue_made_from_pictures_goes_out_and_comes_in(self):
        data, other = demo_data(self.folder / "data"), self.folder / "other"
        written, names = self.export(data, "--id-map")
        self.assertIsInstance(written, faiss.IndexIDMap)
        self.assertEqual(names, sorted(p["id"] for p in demo_products()))
        self.assertEqual(list(faiss.vector_to_array(written.id_map)), list(range(len(names))))
        flat = faiss.downcast_index(written.index)
        rows = flat.reconstruct_n(0, flat.ntotal)
        numpy.testing.assert_allclose(numpy.linalg.norm(rows, axis=1), 1, atol=1e-5)
        metadata = {p["id"]: {k: v for k, v in p.items() if k not in ("id", "image")} for p in demo_products()}
        (self.folder / "metadata.json").write_text(json.dumps(metadata))
        code, lines, err = import_faiss(other, self.folder / "out.index", self.folder / "out.json", "--metadata",
                                        self.folder / "metadata.json", "--metric", "l2")
        self.assertEqual((code, err), (0, ""))
        searches = [json.loads(run("search", "red shirt", "--json", "--data", d, "--model", MODEL)[1])["results"]
                    for d in (data, other)]
        for hits in searches:
            for hit in hits:
                hit.pop("image_url")
        self.assertEqual(*searches)
        code, _, summary, _ = run_import(other, CATALOGUE)  # their pictures were not known
        self.assertEqual((code, summary["encoded"]), (0, len(names)))


@needs_shared
class Snapmyfit(TestCase):
    """A shop's collection in one index a class, its vectors not normalised."""

    @classmethod
    def setUpClass(cls):
        cls.labels = json.loads((SNAPMYFIT / "image_labels.json").read_text())
        cls.metadata = json.loads((SNAPMYFIT / "image_metadata.json").read_text())
        paths = json.loads((SNAPMYFIT / "image_paths.json").read_text())
        cls.paths = {name: [p for p in paths if cls.labels[p] == name] for name in ("short", "veste")}

    def bring(self, name, *args):
        return import_faiss(self.folder / "data", SNAPMYFIT / f"faiss_index_{name}.bin", SNAPMYFIT / "image_paths.json",
                            "--labels", SNAPMYFIT / "image_labels.json", "--metadata", SNAPMYFIT / "image_metadata.json", *args)

    def test_both_classes_come_with_labels_and_metadata(self):
        for name, paths in self.paths.items():
            code, lines, err = self.bring(name, "--category", name)
            self.assertEqual((code, err), (0, ""))
            self.assertEqual([line["id"] for line in lines[:-2]], paths)
            self.assertEqual(lines[-2]["vectors"]["normalised"], len(paths))
            self.assertEqual(lines[-1]["summary"]["created"], len(paths))
            for path in paths[::400]:
                product, said = get(self.folder / "data", path), self.metadata[path]
                self.assertEqual((product["name"], product["category"], product["price"]), (said["name"], name, None))
                self.assertEqual(product["attributes"], {"ref": said["ref"], "brand": said["brand"]})
        code, out, err = run("check", "--data", self.folder / "data")
        self.assertEqual((code, err), (0, ""))
        code, lines, err = self.bring("short", "--category", "short")
        self.assertEqual(lines[-1]["summary"]["unchanged"], len(self.paths["short"]))

    @needs_faiss
    def test_each_vector_is_its_own_divided_by_its_length(self):
        self.assertEqual(self.bring("veste", "--category", "veste")[0], 0)
        run("export-faiss", self.folder / "o", "--ids", self.folder / "o.json", "--data", self.folder / "data", "--model", MODEL)
        written = faiss.read_index(str(self.folder / "o"))
        vectors = content(SNAPMYFIT / "faiss_index_veste.bin")
        place = {path: row for row, path in enumerate(self.paths["veste"])}
        for row, path in enumerate(json.loads((self.folder / "o.json").read_text())):
            x = vectors[place[path]]
            numpy.testing.assert_allclose(written.reconstruct(row), x / numpy.linalg.norm(x), atol=1e-6)

    def test_the_order_under_l2_is_kept_or_refused(self):
        code, lines, err = self.bring("short", "--category", "short", "--metric", "l2")
        self.assertEqual((code, lines), (2, []))
        self.assertRegex(err, r"lengths from 9\.63856 to 11\.5709, .* order under L2")
        self.assertEqual(json.loads(run("stats", "--data", self.folder / "data", "--model", MODEL, "--json")[1])["catalogue"]["products"], 0)

    def test_a_class_is_not_guessed_but_named(self):
        code, _, err = self.bring("short")
        self.assertEqual(code, 2)
        self.assertRegex(err, r'13752 ids, .* 1525 vectors; as many ids are labelled \\"short\\" \(--category\)')
        code, _, err = self.bring("short", "--category", "veste")
        self.assertRegex(err, "1168 ids labelled veste, .* 1525 vectors")


class Mistakes(TestCase):
    """Small files of FAISS, made wide enough for the demo model by hand."""

    def index(self, rows, ids=None):
        dim = 512
        header = struct.pack("<iqqqBi", dim, len(rows), 1 << 20, 1 << 20, 1, 0)
        data = b"IxFI" + header + struct.pack("<Q", dim * len(rows)) + b"".join(
            struct.pack(f"<{dim}f", *row, *([0.0] * (dim - len(row)))) for row in rows)
        if ids:
            data = b"IxMp" + header + data + struct.pack(f"<Q{len(ids)}q", len(ids), *ids)
        path = self.folder / "old.index"
        path.write_bytes(data)
        return path

    def file(self, name, value):
        path = self.folder / name
        path.write_text(value if isinstance(value, str) else json.dumps(value))
        return path

    def bring(self, index, ids, *args):
        return import_faiss(self.folder / "data", index, self.file("ids.json", ids), *args)

    def assert_refused(self, why, index, ids, *args):
        code, lines, err = self.bring(index, ids, *args)
        self.assertEqual((code, lines), (2, []), err)
        self.assertIn(why, json.loads(err)["detail"])

    def test_ids_that_do_not_fit(self):
        two = self.index([[1.0], [0.0, 1.0]])
        self.assert_refused("ids.json has 1 ids, ", two, ["a"])
        self.assert_refused("ids.json has 3 ids, ", two, ["a", "b", "c"])
        self.assert_refused("\"a\" comes twice, at FAISS's ids 0 and 1", two, ["a", "a"])
        self.assert_refused("entry 1 is not a string", two, ["a", 7])
        self.assert_refused("a list of ids is needed", two, "\"a\"")
        self.assert_refused("no string for FAISS's id 1", two, {"0": "a", "2": "b"})
        self.assert_refused("not valid JSON at line 1", two, "[")
        self.assert_refused("a category chooses by labels", two, ["a", "b"], "--category", "shirts")
        self.assert_refused("labels.json has 1 entries for 2 ids", two, ["a", "b"], "--labels", self.file("labels.json", ["x"]))

    def test_ids_of_a_map(self):
        mapped = self.index([[1.0], [0.0, 1.0]], [70, 7])
        self.assert_refused("FAISS's id 70 has no place in a list of 2", mapped, ["a", "b"])
        code, lines, _ = self.bring(mapped, {"7": "seven", "70": "seventy"})
        self.assertEqual((code, [line["id"] for line in lines[:-2]]), (0, ["seventy", "seven"]))
        self.assert_refused("\"a\" comes twice, at FAISS's ids 5 and 5", self.index([[1.0], [0.0, 1.0]], [5, 5]),
                            {"5": "a", "6": "b"})

    def test_vectors_that_have_no_direction_fail_alone(self):
        index = self.index([[1.0], [0.0], [float("nan")], [0.0, float("inf")], [0.0, 3.0]])
        code, lines, err = self.bring(index, list("abcde"), "--labels", self.file("labels.json", {"a": "x", "e": None}))
        self.assertEqual(code, 1)
        self.assertEqual([line["status"] for line in lines[:-2]], ["created", "error", "error", "error", "created"])
        self.assertEqual({line["detail"] for line in lines[1:4]}, {"the vector is zero, or not finite"})
        self.assertEqual(lines[-2]["vectors"], {"count": 5, "normalised": 1, "shortest": 1, "longest": 3})
        self.assertEqual(get(self.folder / "data", "a")["category"], "x")
        product = get(self.folder / "data", "e")
        self.assertEqual((product["name"], product["category"], product["attributes"]), ("e", "", {}))

    def test_equal_lengths_keep_the_order_under_l2(self):
        code, lines, _ = self.bring(self.index([[2.0], [0.0, 2.0]]), ["a", "b"], "--metric", "l2")
        self.assertEqual((code, lines[-2]["vectors"]["normalised"]), (0, 2))

    def test_metadata_of_every_kind(self):
        metadata = [{"name": "A", "price": 3, "description": "d", "image_url": "http://x/y.jpg", "category": "c", "brand": "B",
                     "attributes": {"size": [1, 2]}}, "text", {"price": -1}, None]
        rows = [[float(i == j) for j in range(4)] for i in range(4)]
        code, lines, _ = self.bring(self.index(rows), list("abcd"), "--metadata", self.file("metadata.json", metadata))
        self.assertEqual(code, 1)
        self.assertEqual([line.get("pointer") for line in lines[:4]], [None, "/attributes", "/price", None])
        product = get(self.folder / "data", "a")
        self.assertEqual(product["attributes"], {"brand": "B", "size": [1, 2]})
        self.assertEqual([product[k] for k in ("name", "price", "description", "image_url", "category")],
                         ["A", 3, "d", "http://x/y.jpg", "c"])

    def test_vectors_of_another_model(self):
        code, _, err = self.bring(SEEDS / "flat_l2", ["a"] * 5)
        self.assertEqual(code, 5)
        self.assertIn("vectors of 4 dimensions, but the model makes 512", err)

    def test_damage_and_usage(self):
        index = self.index([[1.0]])
        index.write_bytes(index.read_bytes()[:-1])
        self.assert_refused("old.index: IndexFlatIP, codes: 512 elements of 4 bytes", index, ["a"])
        self.assert_refused("metric must be cosine or l2", index, ["a"], "--metric", "ip")
        self.assertEqual(run("import-faiss", "--model", MODEL)[0], 2)
        self.assertEqual(run("export-faiss", "--model", MODEL)[0], 2)
        self.assertEqual(run("export-faiss", self.folder / "x", "--data", self.folder / "none", "--model", MODEL)[0], 3)


if __name__ == "__main__":
    unittest.main()
