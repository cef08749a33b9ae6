"""The encoder benchmark's own parts that need no peer: what bench_encode answers, the arithmetic, and that the scripts parse.
Nothing here is timed. BENCH_ENCODE is the program; VITRINE and VT_ROOT as everywhere."""
import ast
import json
import os
import pathlib
import re
import struct
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(os.environ["VT_ROOT"])
ENCODER = ROOT / "bench" / "encoder"
MODEL = ROOT / "demo" / "model"
sys.path[:0] = [str(ENCODER), str(ROOT / "bench")]

import report               # noqa: E402
import shape                # noqa: E402
from results import Results  # noqa: E402
from sides import Engine    # noqa: E402


class Serving(unittest.TestCase):
    """bench_encode --serve, spoken to as the benchmark does."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        inputs = pathlib.Path(cls.folder.name)
        config = json.loads((MODEL / "config.json").read_text(encoding="utf-8"))
        cls.side, cls.dim = config["vision_config"]["image_size"], config["projection_dim"]
        floats = 3 * cls.side ** 2
        (inputs / "texts.txt").write_text("a red dress\na blue cap\na red dress\n", encoding="utf-8")
        (inputs / "images.f32").write_bytes(b"".join(struct.pack("<f", value) * floats for value in (0.0, 1.0)))
        cls.inputs = inputs

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def serve(self, *lines, precision="f32"):
        model = self.inputs / "model"       # of links: nothing is to be left in the repository
        model.mkdir(exist_ok=True)
        for file in MODEL.iterdir():
            if not (model / file.name).exists():
                (model / file.name).symlink_to(file)
        command = [os.environ["BENCH_ENCODE"], str(model), "--threads", "2", "--precision", precision, "--serve", str(self.inputs)]
        return subprocess.run(command, input="".join(line + "\n" for line in lines), capture_output=True, text=True)

    def answers(self, *lines, **how):
        done = self.serve(*lines, **how)
        self.assertEqual(done.returncode, 0, done.stderr)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def test_says_how_it_opened(self):
        opened, = self.answers()
        self.assertEqual(opened["precision"], "f32")
        self.assertGreater(opened["packed_bytes"], 1_000_000)
        self.assertGreater(opened["open_ms"], 0)
        self.assertGreater(opened["first_ms"], 0)

    def test_times_as_many_runs_as_asked(self):
        _, text, images = self.answers("text 1 3", "images 2 4")
        self.assertEqual([len(text["ms"]), len(images["ms"])], [3, 4])
        self.assertTrue(all(ms > 0 for ms in text["ms"] + images["ms"]))

    def test_vectors_are_of_the_inputs_in_order(self):
        path = self.inputs / "vectors.f32"
        _, told = self.answers(f"vectors {path}")
        self.assertEqual(told["vectors"], [3, 2, self.dim])
        values = struct.unpack(f"<{5 * self.dim}f", path.read_bytes())
        rows = [values[i * self.dim:(i + 1) * self.dim] for i in range(5)]
        for row in rows:
            self.assertAlmostEqual(sum(x * x for x in row), 1, places=5)
        self.assertEqual(rows[0], rows[2])
        self.assertEqual(len({rows[0], rows[1], rows[3], rows[4]}), 4)

    def test_what_it_does_not_know_ends_it_with_a_reason(self):
        for line in ("text 3 1", "images 3 1", "text 0 -1", "sing 0 1", ""):
            done = self.serve(line)
            self.assertEqual(done.returncode, 2, line)
            self.assertIn("not a command", done.stderr)

    def test_ids_are_one_list_a_line(self):
        done = subprocess.run([os.environ["BENCH_ENCODE"], str(MODEL), "--ids", str(self.inputs / "texts.txt")], capture_output=True,
                              text=True, check=True)
        first, second, third = (json.loads(line) for line in done.stdout.splitlines())
        self.assertEqual(first, third)
        self.assertNotEqual(first, second)
        self.assertEqual((first[0], first[-1]), (second[0], second[-1]))    # start and end of text


class Arithmetic(unittest.TestCase):
    def test_operations_of_vit_b_32(self):
        """4.4 G multiplications, each with an addition, a picture: what every table of vision transformers has for this one."""
        vision = shape.Tower(width=768, layers=12, wide=3072, projection=512, before=2 * 49 * 3072 * 768)
        self.assertAlmostEqual(vision.operations(50) / 2 / 1e9, 4.4, delta=0.05)
        self.assertEqual(vision.layer_weights, 7077888)

    def test_weights_and_the_rate_of_reading_them(self):
        vision = shape.Tower(width=768, layers=12, wide=3072, projection=512, before=2 * 49 * 3072 * 768)
        text = shape.Tower(width=512, layers=12, wide=2048, projection=512, before=0)
        both = shape.Shape(text, vision, 49)
        self.assertEqual(both.weights, 125_698_048)
        results, ours, theirs = Results(), Engine("vitrine", "bf16"), Engine("onnxruntime", "f32")
        results.add("packed", ours, "all matrices", 125_698_048 * 1.5, "B")
        self.assertAlmostEqual(report.weights_rate(results, both, ours, 0.001), text.weights * 1.5 / 1e6, places=3)
        self.assertAlmostEqual(report.weights_rate(results, both, theirs, 0.001), text.weights * 4 / 1e6, places=3)

    def test_a_single_token_needs_all(self):
        tower = shape.Tower(width=512, layers=12, wide=2048, projection=512, before=0)
        self.assertEqual(tower.needed(1), tower.operations(1))
        self.assertLess(tower.needed(77), tower.operations(77))
        self.assertGreater(tower.needed(77), tower.operations(77) * 11 // 12)

    def test_medians_are_of_one_engine_and_case(self):
        results, ours, theirs = Results(), Engine("vitrine", "bf16"), Engine("onnxruntime", "f32")
        for ms in (5.0, 1.0, 2.0):
            results.add("time", ours, "image", ms, "ms", 2)
        results.add("time", ours, "image", 100.0, "ms", 1)
        results.add("time", theirs, "image", 8.0, "ms", 2)
        self.assertEqual(results.median("time", ours, "image", 2), 2.0)
        self.assertEqual(report.ratio(results, ours, theirs, "image", 2), 0.25)
        self.assertIsNone(report.ratio(results, ours, theirs, "text 5", 2))

    def test_a_demand_is_kept_missed_or_not_measured(self):
        for value, at_least, word in ((0.5, False, "PASS"), (0.7, False, "miss"), (0.7, True, "PASS"), (0.5, True, "miss"),
                                      (None, True, "not measured")):
            self.assertIn(word, report.Demand("x", value, 0.6, at_least).line())

    def test_the_peak_is_of_the_kernels_own_instruction(self):
        results = Results()
        for name in ("bf16 avx512", "bf16 amx", "f32 avx512"):
            results.add("peak", None, name, 1.0, "GFLOP/s", 1)
        self.assertEqual(report.peak_name(results, "bf16", ""), "bf16 amx")
        self.assertEqual(report.peak_name(results, "bf16", "avx512_bf16"), "bf16 avx512")
        self.assertEqual(report.peak_name(results, "f32", ""), "f32 avx512")
        self.assertIsNone(report.peak_name(results, "int8", ""))


class Scripts(unittest.TestCase):
    def test_they_parse(self):
        scripts = sorted(ENCODER.glob("*.py"))
        self.assertGreater(len(scripts), 5)
        for path in scripts:
            ast.parse(path.read_text(encoding="utf-8"), str(path))

    def test_the_lock_has_the_version_asked_for(self):
        """npm ci would refuse, but only when somebody measures."""
        asked = json.loads((ENCODER / "package.json").read_text(encoding="utf-8"))["dependencies"]
        locked = json.loads((ENCODER / "package-lock.json").read_text(encoding="utf-8"))["packages"]
        for name, version in asked.items():
            self.assertRegex(version, re.compile(r"^\d+\.\d+\.\d+$"))
            self.assertEqual(locked[f"node_modules/{name}"]["version"], version)


if __name__ == "__main__":
    unittest.main()
