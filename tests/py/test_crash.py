"""kill -9 in the middle of imports and of single index-product calls: every acknowledged product is there
afterwards, with its content, and `vitrine check` is clean. VT_CRASH_CYCLES sets the number of cycles."""
import json
import os
import random
import subprocess
import threading
import time
import unittest

from vitrine import BINARY, CATALOGUE, MODEL, TestCase, base64_text, demo_image, demo_products, environment, run

CYCLES = int(os.environ.get("VT_CRASH_CYCLES", "24"))


class Crash(TestCase):
    def setUp(self):
        super().setUp()
        self.data = self.folder / "data"
        self.products = demo_products()
        self.rng = random.Random(9)
        self.acknowledged = {}  # id -> price, as last acknowledged
        self.attempted = {}  # id -> prices sent since: one of them may have been stored

    def product(self, n, **image):
        p = dict(self.products[n % len(self.products)], **image)
        p.update(id=f"p{self.rng.randrange(300)}", price=float(self.rng.randrange(1_000_000)))
        return p

    def attempt(self, p):
        self.attempted.setdefault(p["id"], set()).add(p["price"])

    def acknowledge(self, product_id, price):
        self.acknowledged[product_id] = price

    def verify(self):
        code, out, err = run("check", "--data", self.data)
        self.assertEqual(code, 0, out + err)
        server = self.server(self.data)
        stored, after = {}, ""
        while after is not None:
            _, page = server.get(f"/api/v1/products?limit=1000&after={after}")
            stored.update((p["product_id"], p["price"]) for p in page["products"])
            after = page["next"]
        server.kill()
        for product_id, price in self.acknowledged.items():
            self.assertIn(product_id, stored)
            self.assertIn(stored[product_id], {price} | self.attempted.get(product_id, set()))
        self.acknowledged.update(stored)
        self.attempted.clear()

    def test_during_import(self):
        for cycle in range(CYCLES // 2):
            # Each id once a file, so that an acknowledgement says which price is stored.
            lines = {p["id"]: p for p in (self.product(n, image=str(CATALOGUE.parent / self.products[n % len(self.products)]["image"]))
                                          for n in range(250))}
            source = self.folder / "lines.jsonl"
            source.write_text("".join(json.dumps(p) + "\n" for p in lines.values()))
            for p in lines.values():
                self.attempt(p)
            child = subprocess.Popen([BINARY, "import", str(source), "--data", str(self.data), "--model", str(MODEL), "--json"],
                                     env=environment(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            stop_after, told = self.rng.randrange(1, 150), 0
            for text in child.stdout:
                line = json.loads(text)
                if "summary" in line:
                    break
                self.assertNotEqual(line["status"], "error", line)
                self.acknowledge(line["id"], lines[line["id"]]["price"])
                told += 1
                if told == stop_after:
                    child.kill()
            child.wait()
            child.stdout.close()
            self.verify()
        self.assertGreater(len(self.acknowledged), 0)

    def test_during_single_calls(self):
        lock = threading.Lock()

        def write(server, mine):
            for p in mine:
                with lock:
                    self.attempt(p)
                try:
                    status, answer = server.post("/api/v1/index-product", p)
                except OSError:
                    return
                except Exception:  # http.client's, when the answer broke off
                    return
                if status == 200:
                    with lock:
                        self.acknowledge(answer["product_id"], p["price"])

        for cycle in range(CYCLES - CYCLES // 2):
            server = self.server(self.data)
            batch = [self.product(n, image=base64_text(demo_image(self.products[n % len(self.products)]))) for n in range(120)]
            by_id = {p["id"]: p for p in batch}  # one writer an id, so that "last" has a meaning
            mine = list(by_id.values())
            threads = [threading.Thread(target=write, args=(server, mine[i::3])) for i in range(3)]
            for t in threads:
                t.start()
            time.sleep(self.rng.uniform(0.02, 0.4))
            server.kill()
            for t in threads:
                t.join()
            self.verify()
        self.assertGreater(len(self.acknowledged), 0)


if __name__ == "__main__":
    unittest.main()
