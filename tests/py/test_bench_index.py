"""The index benchmark's own parts that need no peer: what bench_index answers, exact answers and recall, curves, verdicts, the drawing.
Nothing here is timed. BENCH_INDEX is the program; VT_ROOT as everywhere."""
import ast
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree as xml

ROOT = pathlib.Path(os.environ["VT_ROOT"])
FOLDER = ROOT / "bench" / "index"
sys.path[:0] = [str(FOLDER), str(ROOT / "bench")]

import numpy as np          # noqa: E402
import contenders           # noqa: E402
import generate             # noqa: E402
import plot                 # noqa: E402
import steps                # noqa: E402
import vectors              # noqa: E402
import verdict              # noqa: E402
from measured import Measured, Point, Row, frontier, qps_at, read  # noqa: E402

ROWS = 2000


def point(recall, qps):
    return Point("", recall, qps, qps, qps, 1, 1)


class Data(unittest.TestCase):
    """A small mixture, with exact answers; measured as the benchmark does."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        work = pathlib.Path(cls.folder.name)
        generate.generate(work / "mixture", ROWS, queries=20, texts=10, train=20)
        cls.data = vectors.open_folder(work / "mixture", work)
        steps.add_filters(cls.data)
        cls.data.find_nearest()

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def exact(self, kind, name):
        rows = np.flatnonzero(self.data.bits[name]) if name != "-" else np.arange(ROWS)
        scores = vectors.units(vectors.read(self.data.queries[kind], "<f4")) @ vectors.units(self.data.rows[rows]).T
        return rows[np.argsort(-scores, axis=1)[:, :vectors.K]]

    def test_rows_lie_like_pictures_and_texts_far_from_them(self):
        rows = vectors.units(self.data.rows)
        self.assertAlmostEqual(float((rows.mean(axis=0) ** 2).sum()), 0.5, delta=0.1)
        best = {kind: float(np.median(self.data.worst(kind, "-"))) for kind in self.data.queries}
        self.assertGreater(best["image"], 0.6)
        self.assertLess(best["text"], 0.4)

    def test_exact_answers_have_recall_one_and_others_less(self):
        for kind in self.data.queries:
            for name in ("-", "10", "category", "after"):
                ids = self.exact(kind, name)
                self.assertEqual(self.data.recall(kind, name, ids.ravel()), 1)
                ids[:, 3] = -1
                self.assertAlmostEqual(self.data.recall(kind, name, ids.ravel()), 0.9)

    def test_a_row_that_does_not_pass_ends_it(self):
        with self.assertRaises(SystemExit):
            self.data.recall("image", "category", np.flatnonzero(~self.data.bits["category"])[:10])

    def test_churn_leaves_as_many_as_there_were(self):
        self.assertAlmostEqual(self.data.bits["after"].sum(), ROWS / (1 + steps.CHURN), delta=1)

    def test_every_step_of_ours(self):
        results = Measured()
        bench = steps.Bench((os.environ["BENCH_INDEX"], None), self.data, results, rounds=1)
        with bench.side() as side:
            steps.build(bench, [side], 2, 1)
            steps.curves(bench, [side])
            steps.filtered(bench, [side])
            steps.category(bench, side, 1)
            steps.latency(bench, side, 2)
            steps.start(bench, side, 2)
        steps.small(bench, 1)
        steps.churn(bench, 1)
        for kind in self.data.queries:
            exact = results.point("1", "curve", "mixture", contenders.OURS, kind)
            self.assertGreater(exact.recall, 0.99)
        told = verdict.write(results)
        self.assertIn("the whole index from a snapshot", told)
        self.assertNotIn("not measured", told)
        xml.fromstring(plot.draw(results))
        self.assertEqual(list(bench.data.work.glob("*.snapshot")), [])

    def test_what_it_does_not_know_ends_it_with_a_reason(self):
        for line in ("search 0 10 1 x - image", "build 0 -", "sing", ""):
            done = subprocess.run([os.environ["BENCH_INDEX"], str(self.data.base)], input=line + "\n", capture_output=True, text=True)
            self.assertEqual(done.returncode, 2, line)
            self.assertIn("not a", done.stderr)


class Curves(unittest.TestCase):
    def test_the_frontier_leaves_out_what_is_beaten(self):
        points = [point(0.9, 100), point(0.8, 90), point(0.99, 10), point(0.95, 120)]
        self.assertEqual([one.recall for one in frontier(points)], [0.95, 0.99])

    def test_between_two_settings_the_rate_is_between(self):
        points = [point(0.9, 1000), point(1.0, 10)]
        self.assertAlmostEqual(qps_at(points, 0.95), 100)
        self.assertEqual(qps_at(points, 0.5), 1000)
        self.assertIsNone(qps_at(points[:1], 0.95))

    def test_numbers_come_back_from_the_file(self):
        results = Measured()
        results.add("build", 1.5, "s", data="d", side="hnswlib", setting="all", threads=2)
        results.add("machine", "a processor", "", setting="processor")
        results.add_turn(Row("curve", "d", "hnswlib", "40", "image", "-", 1, 0), 0.96, [10.0, 30.0])
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "x.csv"
            results.write(path)
            again = read(path)
        self.assertEqual(again.median("build", "d", "hnswlib", "all"), 1.5)
        one, = again.curve("curve", "d", "hnswlib", "image")
        self.assertEqual((one.setting, one.recall, one.qps, one.p50), ("40", 0.96, 50000, 20))

    def test_verdicts_are_of_medians_at_equal_recall(self):
        results = Measured()
        for side, rates in (("vitrine", {"0.95": (0.94, 900.0), "default": (0.98, 600.0), "0.99": (0.995, 300.0)}),
                            ("hnswlib", {"40": (0.94, 90.0), "80": (0.98, 60.0), "160": (0.995, 30.0)})):
            for setting, (recall, qps) in rates.items():
                results.add_turn(Row("curve", "d", side, setting, "text", "-", 1, 0), recall, [1e6 / qps])
        lines = [demand.line() for demand in verdict.speed_demands(results, "d")]
        self.assertIn("10.000 | PASS", lines[0])
        self.assertIn("10.000 | PASS", lines[1])
        self.assertIn("not measured", lines[2])


class Scripts(unittest.TestCase):
    def test_they_parse(self):
        for path in [*FOLDER.glob("*.py"), *(ROOT / "bench").glob("*.py")]:
            ast.parse(path.read_text(encoding="utf-8"), str(path))


if __name__ == "__main__":
    unittest.main()
