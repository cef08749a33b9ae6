"""A real shop's 101 products with their WebP pictures, over loopback HTTP and by path: each picture finds
its own product first, also re-encoded small. Data: $VT_SHARED/data/eshop (not part of the project)."""
import io
import json
import unittest

from vitrine import MODEL, SHARED, Shop, TestCase, base64_text, run, run_import

try:
    from PIL import Image
except ImportError:
    Image = None

ESHOP = SHARED / "data/eshop"


def products(image):
    """The catalogue as vitrine's products; image(id) gives the members that say where the picture is."""
    return [{"id": str(p["Id"]), "name": p["Name"], "description": p["Description"], "category": p["Type"],
             "price": p["Price"], "attributes": {"brand": p["Brand"]}, **image(p["Id"])}
            for p in json.loads((ESHOP / "catalog.json").read_text("utf-8"))]


@unittest.skipUnless(ESHOP.is_dir(), f"no eshop data at {ESHOP}")
class Eshop(TestCase):
    def setUp(self):
        super().setUp()
        self.data = self.folder / "data"
        self.catalogue = products(lambda i: {"image": str((ESHOP / f"pics/{i}.webp").resolve())})

    def write(self, lines):
        source = self.folder / "catalogue.jsonl"
        source.write_text("".join(json.dumps(line) + "\n" for line in lines))
        return source

    def test_by_path_each_picture_finds_itself(self):
        code, lines, summary, err = run_import(self.data, self.write(self.catalogue))
        self.assertEqual((code, summary["created"]), (0, 101), err)
        server = self.server(self.data)
        for p in self.catalogue:
            image = (ESHOP / f"pics/{p['id']}.webp").read_bytes()
            first = server.search(image=base64_text(image), top_k=1)["results"][0]
            self.assertEqual(first["product_id"], p["id"])
            self.assertGreaterEqual(first["similarity_score"], 0.9999)

    @unittest.skipIf(Image is None, "python3-pil is missing")
    def test_reencoded_small_jpeg_still_finds_its_product(self):
        self.assertEqual(run_import(self.data, self.write(self.catalogue))[0], 0)
        server, found = self.server(self.data), 0
        for p in self.catalogue:
            image = Image.open(ESHOP / f"pics/{p['id']}.webp").convert("RGB")
            image.thumbnail((300, 300), Image.BICUBIC)
            jpeg = io.BytesIO()
            image.save(jpeg, "JPEG", quality=60)
            found += server.ids(image=base64_text(jpeg.getvalue()), top_k=1) == [p["id"]]
        print(f"# re-encoded pictures that find their product first: {found} of 101", flush=True)
        self.assertGreaterEqual(found, 97)

    def test_over_http_gives_the_same_vectors(self):
        shop = Shop(ESHOP / "pics")
        self.addCleanup(shop.close)
        by_url = products(lambda i: {"image_url": f"{shop.url}/{i}.webp"})
        code, _, summary, err = run_import(self.data, self.write(by_url), "--fetch-allow", "127.0.0.0/8")
        self.assertEqual((code, summary["created"]), (0, 101), err)
        other = self.folder / "by-path"
        self.assertEqual(run_import(other, self.write(self.catalogue))[0], 0)
        ask = ["--image", ESHOP / "pics/17.webp", "--top-k", "101", "--json", "--model", MODEL]
        scores = []
        for data in (self.data, other):
            hits = json.loads(run("search", *ask, "--data", data)[1])["results"]
            scores.append([(h["product_id"], h["similarity_score"]) for h in hits])
        self.assertEqual(scores[0], scores[1])
        self.assertEqual(len(scores[0]), 101)


if __name__ == "__main__":
    unittest.main()
