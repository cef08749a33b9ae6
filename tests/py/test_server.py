"""The server: start-up, searches in every form, filters against brute force, errors, restart, stop."""
import json
import random
import socket
import threading
import time
import unittest

from vitrine import CATALOGUE, MODEL, Shop, TestCase, base64_text, demo_data, demo_image, demo_products, wait_until


def multipart(fields, files):
    boundary = "----vitrine-test"
    parts = [f'--{boundary}\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n'.encode()
             for k, v in fields.items()]
    for name, data in files.items():
        parts.append(f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="p.webp"\r\n'
                     f"Content-Type: image/webp\r\n\r\n".encode() + data + b"\r\n")
    return b"".join(parts) + f"--{boundary}--\r\n".encode(), {
        "Content-Type": f"multipart/form-data; boundary={boundary}"}


class Served(TestCase):
    """A server over the demo catalogue."""

    def setUp(self):
        super().setUp()
        self.data = demo_data(self.folder / "data")
        self.s = self.server(self.data)
        self.products = demo_products()


class StartUp(Served):
    def test_one_log_line_a_stage_with_seconds(self):
        events = [json.loads(line) for line in self.s.log]
        stages = [e["stage"] for e in events]
        for stage in ("model", "catalogue", "index", "warm-up", "ready"):
            self.assertEqual(stages.count(stage), 1, stages)
            self.assertGreaterEqual(next(e for e in events if e["stage"] == stage)["seconds"], 0)
        self.assertIn(f"{len(self.products)} products", next(e for e in events if e["stage"] == "catalogue")["message"])

    def test_probes(self):
        for path in ("/livez", "/readyz", "/healthz"):
            self.assertEqual(self.s.request("GET", path)[0], 200, path)
        status, health = self.s.get("/api/v1/health")
        self.assertEqual((status, health["status"]), (200, "ok"))
        status, _, text = self.s.request("GET", "/metrics")
        self.assertIn(f"vitrine_products {len(self.products)}\n", text.decode())

    def test_collections(self):
        status, answer = self.s.get("/api/v1/collections")
        collection = answer["collections"][0]
        self.assertEqual((status, collection["name"], collection["products"]), (200, "products", len(self.products)))
        counts = {c["category"]: c["products"] for c in collection["categories"]}
        for category in {p["category"] for p in self.products}:
            self.assertEqual(counts[category], sum(p["category"] == category for p in self.products))


class Search(Served):
    def test_every_way_to_show_a_picture_finds_it(self):
        product = self.products[7]
        image = demo_image(product)
        shop = Shop(CATALOGUE.parent)
        self.addCleanup(shop.close)
        body, headers = multipart({"top_k": "3"}, {"image": image})
        status, _, answer = self.s.request("POST", "/api/v1/search", body, headers)
        self.assertEqual(status, 200, answer)
        for found in (json.loads(answer),
                      self.s.search(image=base64_text(image), top_k=3),
                      self.s.search(image="data:image/webp;base64," + base64_text(image), top_k=3),
                      self.s.search(image_url=f"{shop.url}/{product['image']}", top_k=3)):
            self.assertEqual((found["query_type"], found["top_k"], found["total_results"]), ("image", 3, 3))
            first = found["results"][0]
            self.assertEqual(first["product_id"], product["id"])
            self.assertGreaterEqual(first["similarity_score"], 0.9999)
            for key in ("name", "description", "category", "price", "attributes"):
                self.assertEqual(first[key], product[key])
            scores = [r["similarity_score"] for r in found["results"]]
            self.assertEqual(scores, sorted(scores, reverse=True))

    def test_text_in_both_languages(self):
        for text in ("red shirt", "t-shirt rouge", "Écharpe d'été", "a" * 5000):
            found = self.s.search(text_query=text)
            self.assertEqual((found["query_type"], found["total_results"]), ("text", 10))
            self.assertGreater(found["execution_time_ms"], 0)

    def test_second_answer_is_cached_until_the_catalogue_changes(self):
        first = self.s.search(text_query="red shirt", top_k=5)
        self.assertFalse(first["cached"])
        again = self.s.search(text_query="  RED   shirt ", top_k=5)
        self.assertTrue(again["cached"])
        self.assertEqual(again["results"], first["results"])
        for other in ({"top_k": 6}, {"top_k": 5, "price_max": 10}, {"top_k": 5, "category_filter": "bags"}):
            self.assertFalse(self.s.search(text_query="red shirt", **other)["cached"])
        gone = first["results"][0]["product_id"]
        self.assertIn(self.s.request("DELETE", f"/api/v1/products/{gone}")[0], (200, 204))
        after = self.s.search(text_query="red shirt", top_k=5)
        self.assertFalse(after["cached"])
        self.assertNotIn(gone, [r["product_id"] for r in after["results"]])
        self.assertEqual([r["product_id"] for r in after["results"]][:4], [r["product_id"] for r in first["results"]][1:])

    def metrics(self, server):
        lines = server.request("GET", "/metrics")[2].decode().splitlines()
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line[0] != "#")}

    def test_the_same_words_or_picture_are_encoded_once(self):
        """Whatever else is asked with them, and also when the catalogue has changed meanwhile."""
        image = base64_text(demo_image(self.products[0]))
        before = self.metrics(self.s)
        for subject in ({"text_query": "red shirt"}, {"image": image}):
            for other in ({}, {"top_k": 3}, {"price_max": 20}, {"category_filter": "bags"}):
                self.assertFalse(self.s.search(**subject, **other)["cached"])
        self.assertIn(self.s.request("DELETE", f"/api/v1/products/{self.products[0]['id']}")[0], (200, 204))
        self.assertFalse(self.s.search(text_query="  RED  shirt")["cached"])
        self.s.post("/api/v1/detect-category", {"image": image, "labels": ["shirt", "lamp"]})
        after = self.metrics(self.s)
        grown = {name: after[f"vitrine_{name}"] - before[f"vitrine_{name}"] for name in (
            "vector_cache_misses_total", "vector_cache_hits_total", "vector_cache_entries", "images_encoded_total")}
        self.assertEqual(list(grown.values()), [2, 8, 2, 1], grown)
        self.assertGreater(after["vitrine_vector_cache_bytes"], 0)

    def test_without_a_vector_cache_each_search_encodes(self):
        server = self.server(self.folder / "empty", "--vector-cache-mb", "0")
        before = self.metrics(server)
        for top_k in (1, 2, 3):
            server.search(text_query="red shirt", top_k=top_k)
        after = self.metrics(server)
        self.assertEqual(after["vitrine_texts_encoded_total"] - before["vitrine_texts_encoded_total"], 3)
        self.assertEqual(after["vitrine_vector_cache_entries"], 0)

    def test_nulls_of_old_clients_count_as_absent(self):
        self.assertEqual(len(self.s.ids(text_query="lamp", image_url=None, image=None, category_filter=None,
                                        price_min=None, price_max=None, top_k=None)), 10)

    def test_errors_name_the_field(self):
        for body, status, code, pointer in [
                ({}, 400, "invalid_request", None),
                ({"text_query": ""}, 400, "invalid_request", "/text_query"),
                ({"text_query": 5}, 400, "invalid_request", "/text_query"),
                ({"text_query": "x", "top_k": 0}, 400, "invalid_request", "/top_k"),
                ({"text_query": "x", "top_k": 1001}, 400, "invalid_request", "/top_k"),
                ({"text_query": "x", "top_k": "ten"}, 400, "invalid_request", "/top_k"),
                ({"text_query": "x", "image": "aGk="}, 400, "invalid_request", None),
                ({"image": "not base64!"}, 400, "invalid_request", "/image"),
                ({"image": "aGVsbG8gd29ybGQ="}, 415, "unsupported_media", "/image"),
                ({"text_query": "x", "price_min": -1, "price_max": "a"}, 400, "invalid_request", "/price_max"),
                ({"text_query": "x", "category_filter": 3}, 400, "invalid_request", "/category_filter"),
                ({"text_query": "x", "filter": {"colour": "red"}}, 400, "invalid_request", "/filter/colour"),
                ({"text_query": "x", "filter": {"or": [{}, {"price_min": "1"}]}}, 400, "invalid_request", "/filter/or/1/price_min"),
                ({"text_query": "x", "filter": {"not": {"and": []}}}, 400, "invalid_request", "/filter/not/and"),
                ({"image_url": "ftp://example.com/x.png"}, 400, "invalid_request", "/image_url"),
                ({"image_url": "http://10.0.0.1/x.png"}, 403, "address_refused", "/image_url")]:
            with self.subTest(body=body):
                got, answer = self.s.post("/api/v1/search", body)
                self.assertEqual((got, answer["code"], answer["status"]), (status, code, status), answer)
                self.assertTrue(answer["request_id"] and answer["detail"])
                if pointer:
                    self.assertIn(pointer, json.dumps(answer))

    def test_bad_bodies(self):
        for body, headers, status in [(b"{", {"Content-Type": "application/json"}, 400),
                                      (b"[1]", {"Content-Type": "application/json"}, 400),
                                      (b'{"a":1,"a":2}', {"Content-Type": "application/json"}, 400),
                                      (b"x", {"Content-Type": "text/plain"}, 415)]:
            got, answer_headers, answer = self.s.request("POST", "/api/v1/search", body, headers)
            self.assertEqual(got, status, answer)
            self.assertTrue(answer_headers["Content-Type"].startswith("application/problem+json"))
        self.assertEqual(self.s.request("GET", "/api/v1/search")[0], 405)
        self.assertEqual(self.s.request("GET", "/nowhere")[0], 404)


class Filters(Served):
    """Random filters against a plain reading of the catalogue file."""

    def holds(self, value, wanted):
        """An attribute's value, or an element of it, is the wanted one, one of them, or in the range."""
        values = value if isinstance(value, list) else [value]
        if isinstance(wanted, dict):
            return any(isinstance(v, (int, float)) and not isinstance(v, bool)
                       and wanted.get("min", -1e99) <= v <= wanted.get("max", 1e99) for v in values)
        return any(v in values for v in (wanted if isinstance(wanted, list) else [wanted]))

    def matches(self, p, f):
        categories = f.get("category")
        if categories is not None and p["category"] not in (categories if isinstance(categories, list) else [categories]):
            return False
        if "price_min" in f and p["price"] < f["price_min"] or "price_max" in f and p["price"] > f["price_max"]:
            return False
        if "ids" in f and p["id"] not in f["ids"] or "not" in f and self.matches(p, f["not"]):
            return False
        if not all(self.matches(p, g) for g in f.get("and", [])) or "or" in f and not any(self.matches(p, g) for g in f["or"]):
            return False
        for key, wanted in f.items():
            if not key.startswith("attributes."):
                continue
            value = p["attributes"]
            for step in key.split(".")[1:]:
                value = value.get(step) if isinstance(value, dict) else None
            if not self.holds(value, wanted):
                return False
        return True

    def random_filter(self, rng):
        f = {}
        p = rng.choice(self.products)
        if rng.random() < 0.5:
            cats = rng.sample(sorted({q["category"] for q in self.products}), rng.randint(1, 3))
            f["category"] = cats if rng.random() < 0.5 else cats[0]
        if rng.random() < 0.5:
            f["price_min"] = round(rng.uniform(0, 60), 2)
        if rng.random() < 0.5:
            f["price_max"] = round(f.get("price_min", 0) + rng.uniform(0, 80), 2)
        for key, value in rng.sample(sorted(p["attributes"].items()), rng.randint(0, 2)):
            if isinstance(value, dict):
                key, value = next((f"{key}.{k}", v) for k, v in value.items())
            if isinstance(value, list):
                value = rng.choice(value) if value else "none"
            f["attributes." + key] = value
        return f

    def test_equal_to_brute_force(self):
        rng = random.Random(20)
        order = self.s.ids(text_query="striped bag", top_k=1000)
        self.assertEqual(sorted(order), sorted(p["id"] for p in self.products))
        by_id = {p["id"]: p for p in self.products}
        sizes = set()
        for _ in range(500):
            f, k = self.random_filter(rng), rng.choice([1, 3, 10, 100])
            expected = [i for i in order if self.matches(by_id[i], f)][:k]
            self.assertEqual(self.s.ids(text_query="striped bag", top_k=k, filter=f), expected, f)
            sizes.add(min(len(expected), 5))
        self.assertEqual(sizes, {0, 1, 2, 3, 4, 5})

    def random_tree(self, rng, depth=1):
        f = self.random_filter(rng) if rng.random() < 0.7 else {}
        for key in [k for k in f if k.startswith("attributes.")]:
            if isinstance(f[key], (int, float)) and not isinstance(f[key], bool):
                f[key] = {"min": f[key] - rng.randint(0, 20), "max": f[key] + rng.randint(0, 20)}
            elif rng.random() < 0.5:
                f[key] = [f[key], rng.choice(["red", "blue", None, 3])]
        if rng.random() < 0.2:
            f["ids"] = [p["id"] for p in rng.sample(self.products, rng.randint(1, 30))] + ["nobody"]
        if depth < 4 and rng.random() < 0.3:
            f["not"] = self.random_tree(rng, depth + 1)
        for word in ("and", "or"):
            if depth < 4 and rng.random() < 0.3:
                f[word] = [self.random_tree(rng, depth + 1) for _ in range(rng.randint(1, 3))]
        return f

    def test_and_or_not_equal_brute_force(self):
        rng = random.Random(21)
        order = self.s.ids(text_query="striped bag", top_k=1000)
        by_id = {p["id"]: p for p in self.products}
        some = 0
        for _ in range(500):
            f, k = self.random_tree(rng), rng.choice([1, 10, 1000])
            expected = [i for i in order if self.matches(by_id[i], f)]
            self.assertEqual(self.s.ids(text_query="striped bag", top_k=k, filter=f), expected[:k], f)
            some += 0 < len(expected) < len(order)
        self.assertGreater(some, 150)

    def test_old_fields_filter_too(self):
        expected = {p["id"] for p in self.products if p["category"] == "bags" and 20 <= p["price"] <= 50}
        self.assertTrue(expected)
        self.assertEqual(set(self.s.ids(text_query="x", top_k=1000, category_filter="bags", price_min=20, price_max=50)), expected)


class Products(Served):
    def test_index_get_update_delete(self):
        shop = Shop(CATALOGUE.parent)
        self.addCleanup(shop.close)
        product = dict(self.products[3], id="new/één %", image_url=f"{shop.url}/{self.products[3]['image']}")
        del product["image"]
        path = "/api/v1/products/new%2F%C3%A9%C3%A9n%20%25"
        status, answer = self.s.post("/api/v1/index-product", product)
        self.assertEqual((status, answer["status"], answer["product_id"]), (200, "success", product["id"]))
        status, stored = self.s.get(path)
        self.assertEqual(status, 200)
        self.assertEqual({k: stored[k] for k in ("name", "price", "attributes", "image_url")},
                         {k: product[k] for k in ("name", "price", "attributes", "image_url")})
        product["price"] = 1.5
        status, answer = self.s.post("/api/v1/index-product", product)
        self.assertEqual((status, answer["result"], answer["encoded"]), (200, "updated", False))
        self.assertEqual(self.s.get(path)[1]["price"], 1.5)
        self.assertEqual(self.s.get(path)[1]["created_at"], stored["created_at"])
        self.assertIn(self.s.request("DELETE", path)[0], (200, 204))
        self.assertEqual(self.s.get(path)[0], 404)
        self.assertEqual(self.s.request("DELETE", path)[0], 404)

    def test_dead_host_and_broken_picture_lose_nothing(self):
        before = self.s.get("/api/v1/collections")
        for extra, status in [({"image_url": "http://127.0.0.1:1/x.png"}, 502), ({"image": "AAAA"}, 415)]:
            got, answer = self.s.post("/api/v1/index-product", {"id": "x", "name": "X", **extra})
            self.assertEqual(got, status, answer)
        self.assertEqual(self.s.get("/api/v1/products/x")[0], 404)
        self.assertEqual(self.s.get("/api/v1/collections"), before)

    def test_pages_visit_each_product_once_in_order(self):
        seen, after = [], ""
        while after is not None:
            status, page = self.s.get(f"/api/v1/products?limit=7&after={after}")
            self.assertEqual(status, 200)
            self.assertLessEqual(len(page["products"]), 7)
            seen += [p["product_id"] for p in page["products"]]
            after = page["next"]
        self.assertEqual(seen, sorted(p["id"] for p in self.products))

    def test_import_over_http(self):
        lines = [dict(p, id=f"h-{p['id']}", image=base64_text(demo_image(p))) for p in self.products[:20]]
        lines.insert(5, {"id": "bad"})
        status, results = self.s.import_lines(lines)
        self.assertEqual(status, 200)
        summary = results.pop()["summary"]
        self.assertEqual([r["line"] for r in results], list(range(1, 22)))
        self.assertEqual([r["status"] for r in results], ["created"] * 5 + ["error"] + ["created"] * 15)
        self.assertEqual((summary["created"], summary["failed"]), (20, 1))
        self.assertEqual(self.s.get("/api/v1/products/h-" + self.products[0]["id"])[0], 200)

    def test_an_import_cut_off_is_in_the_log_and_what_it_stored_is_there(self):
        line = json.dumps(dict(self.products[0], id="cut", image=base64_text(demo_image(self.products[0])))).encode() + b"\n"
        with socket.create_connection(("127.0.0.1", self.s.port)) as connection:
            connection.sendall(b"POST /api/v1/products/import HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n"
                               b"Content-Type: application/x-ndjson\r\n\r\n" + b"%x\r\n%s\r\n" % (len(line), line))
            self.assertTrue(wait_until(lambda: self.s.get("/api/v1/products/cut")[0] == 200))
        self.assertTrue(wait_until(lambda: any("cut off after 1 lines, 1 of them stored" in e for e in self.s.log)))

    def test_a_line_from_the_network_cannot_read_files(self):
        status, results = self.s.import_lines([{"id": "x", "name": "X", "image": str(CATALOGUE.parent / self.products[0]["image"])}])
        self.assertEqual(results[0]["status"], "error")

    def test_products_survive_a_restart(self):
        expected = self.s.search(image=base64_text(demo_image(self.products[0])), top_k=1000)["results"]
        self.assertEqual(self.s.stop(), 0)
        self.assertEqual(self.server(self.data).search(image=base64_text(demo_image(self.products[0])), top_k=1000)["results"], expected)

    def test_same_question_at_once_is_computed_once(self):
        before = self.s.request("GET", "/metrics")[2].decode()
        encoded = lambda text: float(next(l for l in text.splitlines() if l.startswith("vitrine_images_encoded_total")).split()[1])
        image = base64_text(demo_image(self.products[0]))
        answers = []
        threads = [threading.Thread(target=lambda: answers.append(self.s.ids(image=image))) for _ in range(16)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(len(answers), 16)
        self.assertTrue(all(a == answers[0] for a in answers))
        self.assertEqual(encoded(self.s.request("GET", "/metrics")[2].decode()) - encoded(before), 1)


class Stop(Served):
    def test_sigterm_answers_what_was_accepted(self):
        """Requests on their way when SIGTERM comes are answered, and what they stored is there."""
        acknowledged, refused = [], []

        def index(n):
            body = dict(self.products[n % 20], id=f"stop-{n}", image=base64_text(demo_image(self.products[n % 20])))
            try:
                status, _ = self.s.post("/api/v1/index-product", body)
                (acknowledged if status == 200 else refused).append(body["id"])
            except OSError:
                refused.append(body["id"])

        threads = [threading.Thread(target=index, args=(n,)) for n in range(24)]
        for t in threads:
            t.start()
        self.assertTrue(wait_until(lambda: len(acknowledged) >= 3))
        self.assertEqual(self.s.stop(), 0)
        for t in threads:
            t.join()
        self.assertGreaterEqual(len(acknowledged), 3)
        again = self.server(self.data)
        for product in acknowledged:
            self.assertEqual(again.get(f"/api/v1/products/{product}")[0], 200)

    def test_a_taken_port_is_told(self):
        with self.assertRaises(RuntimeError) as failure:
            self.server(self.folder / "other", "--port", str(self.s.port))
        self.assertIn(str(self.s.port), str(failure.exception))


if __name__ == "__main__":
    unittest.main()
