"""Category detection: the demo catalogue's own pictures, labels, what a search does with it, errors,
states of the catalogue too small to be sure, the command line, and the reliability table."""
import collections
import json
import random
import threading
import unittest

from test_server import multipart
from vitrine import CATALOGUE, MODEL, Shop, TestCase, base64_text, demo_data, demo_image, demo_products, run, run_import

DETECT = "/api/v1/detect-category"
SEARCH = "/api/v1/search"
SURE = 0.8


class Served(TestCase):
    """A server over some products of the demo catalogue."""

    def setUp(self):
        super().setUp()
        self.products = self.choose(demo_products())
        self.data = self.folder / "data"
        if self.products == demo_products():
            demo_data(self.data)
        elif self.products:
            self.import_products()
        self.s = self.server(self.data)

    def import_products(self):
        source = self.folder / "some.jsonl"
        source.write_text("".join(json.dumps({**p, "image": str(CATALOGUE.parent / p["image"])}) + "\n"
                                  for p in self.products))
        code, _, _, err = run_import(self.data, source)
        self.assertEqual(code, 0, err)

    def choose(self, products):
        return products

    def detect(self, product, **body):
        status, answer = self.s.post(DETECT, {"image": base64_text(demo_image(product)), **body})
        self.assertEqual(status, 200, answer)
        return answer

    def search(self, product, **body):
        return self.s.search(image=base64_text(demo_image(product)), **body)

    def refused(self, path, pointer, **body):
        status, problem = self.s.post(path, body)
        self.assertEqual((status, problem["code"], problem.get("pointer")), (400, "invalid_request", pointer), problem)
        return problem["detail"]


class WholeCatalogue(Served):
    def some(self, step):
        """Every step-th product: every kind too, unless step shares a factor with their number, in whose turn they come."""
        return self.products[::step]

    def test_pictures_of_the_catalogue_are_known(self):
        right = sure = sure_and_right = 0
        categories = {p["category"] for p in self.products}
        some = self.some(3)
        for product in some:
            answer = self.detect(product)
            guesses = answer["categories"]
            self.assertEqual(guesses[0], {"category": answer["category"], "confidence": answer["confidence"]})
            self.assertEqual(len(guesses), 5)
            self.assertLessEqual({g["category"] for g in guesses}, categories)
            self.assertEqual(len({g["category"] for g in guesses}), 5)
            scores = [g["confidence"] for g in guesses]
            self.assertEqual(scores, sorted(scores, reverse=True))
            self.assertLessEqual(sum(scores), 1.001)
            self.assertGreaterEqual(answer["execution_time_ms"], 0)
            if abs(answer["confidence"] - SURE) > 0.001:
                self.assertEqual(answer["sure"], answer["confidence"] >= SURE)
            hit = answer["category"] == product["category"]
            right, sure, sure_and_right = right + hit, sure + answer["sure"], sure_and_right + (answer["sure"] and hit)
        self.assertGreaterEqual(right, 0.85 * len(some))
        self.assertGreaterEqual(sure, 0.3 * len(some))
        self.assertGreaterEqual(sure_and_right, 0.9 * sure)

    def test_every_way_to_show_the_picture_says_the_same(self):
        product = self.products[5]
        want = self.detect(product)
        shop = Shop(CATALOGUE.parent)
        self.addCleanup(shop.close)
        status, by_url = self.s.post(DETECT, {"image_url": f"{shop.url}/{product['image']}", "image": None})
        self.assertEqual((status, by_url["categories"]), (200, want["categories"]))
        for part in ("image", "file"):
            body, headers = multipart({}, {part: demo_image(product)})
            status, _, answer = self.s.request("POST", DETECT, body, headers)
            self.assertEqual((status, json.loads(answer)["categories"]), (200, want["categories"]))

    def test_labels(self):
        product = self.products[0]
        labels = ["a red thing", "chaussures", "Lamps"]
        answer = self.detect(product, labels=labels)
        self.assertEqual({g["category"] for g in answer["categories"]}, set(labels))
        self.assertAlmostEqual(sum(g["confidence"] for g in answer["categories"]), 1, places=2)
        body, headers = multipart({"labels": json.dumps(labels)}, {"image": demo_image(product)})
        status, _, form = self.s.request("POST", DETECT, body, headers)
        self.assertEqual((status, json.loads(form)["categories"]), (200, answer["categories"]))
        many = self.detect(product, labels=[f"thing {i}" for i in range(1000)])
        self.assertEqual(len(many["categories"]), 5)

    def test_separators_are_spaces_but_in_t_shirts(self):
        def share(*labels):  # the best of two, which is a half where they are the same words
            return self.detect(self.products[0], labels=labels)["confidence"]

        for spelt in ("living-room_lamps", "living/room>lamps", "-living__room  lamps"):
            self.assertEqual(share(spelt, "living room lamps"), 0.5, spelt)
        self.assertGreater(share("t-shirts", "t shirts"), 0.5)
        self.assertGreater(share("---", "living room lamps"), 0.5)

    def test_search_inside_the_category_when_sure_over_all_when_not(self):
        seen = collections.Counter()
        for product in self.some(9):
            found = self.detect(product)
            answer = self.search(product, detect_category=True, top_k=len(self.products))
            detected = answer["detected_category"]
            self.assertEqual(detected, {"category": found["category"], "confidence": found["confidence"],
                                        "applied": found["sure"]})
            filters = {"category_filter": found["category"]} if found["sure"] else {}
            plain = self.search(product, top_k=len(self.products), **filters)
            self.assertEqual(answer["results"], plain["results"])
            self.assertNotIn("detected_category", plain)
            seen[detected["applied"]] += 1
        self.assertGreater(seen[True], 0)

    def test_other_filters_still_hold(self):
        product = next(p for p in self.products if self.detect(p)["sure"])
        answer = self.search(product, detect_category=True, price_max=product["price"], top_k=1000,
                             filter={"attributes.colour": product["attributes"]["colour"]})
        self.assertTrue(answer["detected_category"]["applied"])
        category = answer["detected_category"]["category"]
        self.assertEqual({r["product_id"] for r in answer["results"]},
                         {p["id"] for p in self.products if p["category"] == category and
                          p["price"] <= product["price"] and
                          p["attributes"]["colour"] == product["attributes"]["colour"]})

    def test_cached_apart_from_the_search_without(self):
        product = next(p for p in self.products if self.detect(p)["sure"])
        asked = [self.search(product, **body) for body in
                 ({}, {"detect_category": True}, {"detect_category": False}, {"detect_category": True})]
        self.assertEqual([a["cached"] for a in asked], [False, False, True, True])
        self.assertEqual(["detected_category" in a for a in asked], [False, True, False, True])
        self.assertEqual(asked[1]["results"], asked[3]["results"])

    def test_form_search(self):
        product = next(p for p in self.products if self.detect(p)["sure"])
        body, headers = multipart({"detect_category": "true", "top_k": 3}, {"image": demo_image(product)})
        status, _, answer = self.s.request("POST", SEARCH, body, headers)
        self.assertEqual(status, 200, answer)
        self.assertTrue(json.loads(answer)["detected_category"]["applied"])

    def test_refused(self):
        image = base64_text(demo_image(self.products[0]))
        at = "/detect_category"
        self.assertIn("text_query", self.refused(SEARCH, at, text_query="red shirt", detect_category=True))
        self.refused(SEARCH, at, image=image, detect_category=True, category_filter="shoes")
        self.refused(SEARCH, at, image=image, detect_category=True, filter={"category": ["shoes"]})
        for wrong in ("true", 1, []):
            self.assertIn("true or false", self.refused(SEARCH, at, image=image, detect_category=wrong))
        self.assertEqual(self.s.search(text_query="red shirt", detect_category=None)["query_type"], "text")
        self.refused(DETECT, None)
        self.refused(DETECT, None, image=image, image_url="http://shop.example/x.jpg")
        self.refused(DETECT, "/image", image="no base64!")
        for labels, pointer in [("shoes,hats", "/labels"), ([], "/labels"), (["one"], "/labels"),
                                ([str(i) for i in range(1001)], "/labels"), (["a", ""], "/labels/1"),
                                (["a", " "], "/labels/1"), (["a", 5], "/labels/1"), (["a", "b", "a"], "/labels/2"),
                                (["x" * 257, "b"], "/labels/0")]:
            self.refused(DETECT, pointer, image=image, labels=labels)
        status, problem = self.s.post(DETECT, {"image": base64_text(b"not a picture")})
        self.assertEqual((status, problem["pointer"]), (415, "/image"))

    def test_a_new_category_and_a_gone_one_are_noticed(self):
        lamp = next(p for p in self.products if p["category"] == "lamps")
        self.assertEqual(self.detect(lamp)["category"], "lamps")
        lamps = [p for p in self.products if p["category"] == "lamps"]
        moved = [{**p, "category": "reading_lights/home", "image": base64_text(demo_image(p))} for p in lamps]
        status, _ = self.s.import_lines(moved)
        self.assertEqual(status, 200)
        self.assertEqual(self.detect(lamp)["category"], "reading_lights/home")
        for p in lamps:
            self.assertEqual(self.s.request("DELETE", f"/api/v1/products/{p['id']}")[0], 200)
        guesses = [g["category"] for g in self.detect(lamp)["categories"]]
        self.assertNotIn("reading_lights/home", guesses)
        self.assertNotIn("lamps", guesses)

    def test_while_the_catalogue_changes(self):
        faults = []

        def ask(product):
            for _ in range(15):
                status, answer = self.s.post(DETECT, {"image": base64_text(demo_image(product))})
                if status != 200 or len(answer["categories"]) != 5:
                    faults.append(answer)

        threads = [threading.Thread(target=ask, args=(p,)) for p in self.products[:4]]
        for thread in threads:
            thread.start()
        for price in range(30):
            self.s.import_lines([{**self.products[-1], "price": price,
                                  "image": base64_text(demo_image(self.products[-1]))}])
        for thread in threads:
            thread.join()
        self.assertEqual(faults, [])


class Scrambled(Served):
    """Categories that say nothing about what is in the picture: pairs by lot."""

    def choose(self, products):
        shuffled = random.Random(7).sample(products, len(products))
        return [{**p, "category": f"pair {i // 2}"} for i, p in enumerate(shuffled)]

    def test_a_product_has_no_say_in_its_own_answer(self):
        # With its own vector in the mean of two, nearly each would be found. It is left out, so the
        # table tells the truth: nothing is known here, and nothing is sure.
        self.s.stop()
        code, out, err = run("classify", "--reliability", "--data", self.data, "--model", MODEL, "--json")
        self.assertEqual(code, 0, err)
        table = json.loads(out)
        self.assertEqual(table["products"], len(self.products))
        self.assertLess(table["right"], 0.2)
        self.assertLess(table["expected_calibration_error"], 0.15)
        self.assertEqual(sum(b["products"] for b in table["bins"][5:]), 0)


class Empty(Served):
    def choose(self, products):
        return []

    def test_without_categories(self):
        product = demo_products()[0]
        image = base64_text(demo_image(product))
        self.assertIn("category", self.refused(DETECT, "/labels", image=image))
        self.assertIn(self.detect(product, labels=["hat", "shirt"])["category"], ("hat", "shirt"))
        answer = self.s.search(image=image, detect_category=True)
        self.assertEqual(answer["detected_category"], {"category": None, "confidence": 0, "applied": False})
        self.assertEqual(answer["results"], [])


class FewProducts(Served):
    """Nine products in two categories, and one without: less than can be measured."""

    def choose(self, products):
        some = [p for p in products if p["category"] in ("shoes", "lamps")][:9]
        return some + [{**products[0], "category": ""}]

    def test_never_sure(self):
        for product in self.products:
            answer = self.detect(product)
            self.assertFalse(answer["sure"])
            self.assertEqual(len(answer["categories"]), 2)
            found = self.search(product, detect_category=True, top_k=100)
            self.assertFalse(found["detected_category"]["applied"])
            self.assertEqual(found["total_results"], len(self.products))


class OneCategory(Served):
    def choose(self, products):
        return [p for p in products if p["category"] == "shoes"] + [{**products[0], "category": ""}]

    def test_nothing_to_choose_between_is_never_sure(self):
        found = self.search(self.products[-1], detect_category=True, top_k=100)
        self.assertEqual((found["detected_category"]["category"], found["detected_category"]["applied"]),
                         ("shoes", False))
        self.assertEqual(found["results"][0]["product_id"], self.products[-1]["id"])


class CommandLine(TestCase):
    def setUp(self):
        super().setUp()
        self.data = self.folder / "data"
        self.image = CATALOGUE.parent / demo_products()[0]["image"]
        self.ask = ["--data", self.data, "--model", MODEL]

    def test_labels_need_no_catalogue(self):
        code, out, err = run("classify", self.image, "--labels", "red shoes, hats,lamps", "--model", MODEL, "--json",
                             env={"VITRINE_DATA": str(self.data)})
        self.assertEqual(code, 0, err)
        answer = json.loads(out)
        self.assertEqual({g["category"] for g in answer["categories"]}, {"red shoes", "hats", "lamps"})
        self.assertFalse(self.data.exists())
        code, out, _ = run("classify", self.image, "--labels", "red shoes, hats,lamps", "--model", MODEL)
        self.assertEqual((code, len(out.splitlines())), (0, 3))
        self.assertIn(answer["category"], out.splitlines()[0])

    def test_catalogue_and_its_reliability(self):
        demo_data(self.data)
        code, out, err = run("classify", self.image, *self.ask, "--json")
        self.assertEqual((code, json.loads(out)["category"]), (0, demo_products()[0]["category"]), err)
        code, out, err = run("classify", "--reliability", *self.ask, "--json")
        self.assertEqual(code, 0, err)
        table = json.loads(out)
        bins = table["bins"]
        self.assertEqual(table["products"], len(demo_products()))
        self.assertEqual([(b["from"], b["to"]) for b in bins], [(i / 10, (i + 1) / 10) for i in range(10)])
        self.assertEqual(sum(b["products"] for b in bins), table["products"])
        self.assertTrue(table["calibration"]["measured"])
        error = right = 0
        for b in bins:
            if b["products"] == 0:
                self.assertEqual((b["confidence"], b["right"]), (None, None))
                continue
            self.assertTrue(b["from"] - 1e-3 <= b["confidence"] <= b["to"] + 1e-3, b)
            error += b["products"] * abs(b["confidence"] - b["right"]) / table["products"]
            right += b["products"] * b["right"]
        self.assertAlmostEqual(table["expected_calibration_error"], error, places=3)
        self.assertAlmostEqual(table["right"], right / table["products"], places=3)
        self.assertGreaterEqual(table["right"], 0.8)
        self.assertLess(error, 0.15)
        code, out, _ = run("classify", "--reliability", *self.ask)
        self.assertEqual(code, 0)
        self.assertIn("expected calibration error", out)

    def test_wrong_usage(self):
        source = self.folder / "one.jsonl"
        source.write_text(json.dumps({"id": "a", "name": "A", "image": str(self.image)}) + "\n")
        self.assertEqual(run_import(self.data, source)[0], 0)
        for args, word in [([], "picture"), (["a", "b"], "picture"), (["--reliability", "a"], "a"),
                           (["--reliability", "--labels", "a,b"], "--labels"),
                           ([self.image, "--labels", "one"], "labels"), ([self.image], "category")]:
            code, _, err = run("classify", *args, *self.ask)
            self.assertEqual(code, 2, err)
            self.assertIn(word, err)
        code, _, err = run("classify", self.folder / "missing.jpg", "--labels", "a,b", "--model", MODEL)
        self.assertEqual(code, 3)
        self.assertIn("missing.jpg", err)


if __name__ == "__main__":
    unittest.main()
