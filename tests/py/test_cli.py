"""The command line: every command, its exit code, where settings come from, import in all its forms."""
import csv
import json
import os
import signal
import subprocess
import unittest

from vitrine import BINARY, CATALOGUE, MODEL, Shop, TestCase, demo_data, demo_products, environment, run, run_import

COMMANDS = ["serve", "import", "search", "classify", "get", "delete", "stats", "model", "check", "eval", "version"]


class Usage(TestCase):
    def test_help_of_every_command(self):
        code, out, _ = run("--help")
        self.assertEqual(code, 0)
        for command in COMMANDS:
            self.assertIn(f"  {command}", out)
            code, text, err = run(command, "--help")
            self.assertEqual((code, err), (0, ""))
            self.assertTrue(text.startswith(f"usage: vitrine {command}"), text)
            self.assertIn("--help", text)

    def empty_catalogue(self):
        """A data folder without products."""
        data = self.folder / "d"
        self.assertEqual(run("import", "-", "--data", data, "--model", MODEL, stdin=b"")[0], 0)
        return data

    def test_wrong_usage_is_exit_2_and_names_the_word(self):
        self.empty_catalogue()
        for args, word in [(["frobnicate"], "frobnicate"), (["search", "--frob"], "--frob"),
                           (["get"], "id"), (["serve", "--port"], "--port"),
                           (["serve", "--model", MODEL, "--port", "99999"], "port"),
                           (["search", "x"], "--model"), (["stats", "--model", ""], "no model"), (["import", "--model", MODEL], "FILE"),
                           (["search", "x", "--model", MODEL, "--top-k", "0"], "top_k"),
                           (["import", CATALOGUE, "--model", MODEL, "--format", "xml"], "xml"),
                           (["check", "folder"], "folder"), (["stats", "word", "--model", MODEL], "word"),
                           (["version", "word"], "word"), (["serve", "word"], "word"), (["get", "-xy"], "-x"),
                           (["search", "x", "--model", MODEL, "--category", "a", "--filter", "category=b"],
                            "category=b")]:
            with self.subTest(args=args):
                code, _, err = run(*args, env={"VITRINE_DATA": str(self.folder / "d")})
                self.assertEqual(code, 2, err)
                self.assertIn(word, err)

    def test_version(self):
        code, out, _ = run("version", "--json")
        self.assertEqual(code, 0)
        self.assertRegex(json.loads(out)["version"], r"^\d+\.\d+\.\d+$")

    def test_flag_before_environment_before_file(self):
        config = self.folder / "vitrine.ini"
        config.write_text("data = from-file\nmodel = nowhere-file\n")

        def named(*flags, env=None):
            _, _, err = run("stats", "--config", config, *flags, env=env)
            return err

        self.assertIn("nowhere-file", named())
        self.assertIn("nowhere-env", named(env={"VITRINE_MODEL": "nowhere-env"}))
        self.assertIn("nowhere-flag", named("--model", "nowhere-flag", env={"VITRINE_MODEL": "nowhere-env"}))

    def test_configuration_errors_name_the_key_or_line(self):
        config = self.folder / "vitrine.ini"
        for text, word in [("colour = red\n", "colour"), ("model = x\nnonsense\n", "line 2")]:
            config.write_text(text)
            code, _, err = run("stats", "--config", config)
            self.assertEqual(code, 2)
            self.assertIn(word, err)
        code, _, err = run("stats", "--config", self.folder / "missing.ini")
        self.assertEqual(code, 3)
        self.assertIn("missing.ini", err)

    def test_a_configuration_is_never_read_in_half(self):
        config = self.folder / "vitrine.ini"
        for text in ("model = x\n  y\n", "model = x\nmodel = y\n"):
            config.write_text(text)
            code, _, err = run("stats", "--config", config)
            self.assertEqual(code, 2)
            self.assertIn("model", err)
        code, _, err = run("stats", "--config", self.folder)
        self.assertEqual(code, 6)
        self.assertIn("directory", err)

    def test_output_that_cannot_be_written_is_exit_6(self):
        data = self.folder / "data"
        for args in (["--help"], ["get", "--help"], ["--version"], ["version"],
                     ["import", CATALOGUE, "--data", data, "--model", MODEL, "--json"],
                     ["get", demo_products()[0]["id"], "--data", data, "--model", MODEL]):
            with self.subTest(args=args), open("/dev/full", "w") as full:
                done = subprocess.run([BINARY, *map(str, args)], env=environment(), stdout=full,
                                      stderr=subprocess.PIPE)
                self.assertEqual(done.returncode, 6)
                self.assertIn(b"standard output", done.stderr)

    def test_closed_descriptors_are_not_taken_for_a_file_of_ours(self):
        data, source = demo_data(self.folder / "data"), self.folder / "one.jsonl"
        line = dict(demo_products()[0], image=str(CATALOGUE.parent / demo_products()[0]["image"]))
        source.write_text(json.dumps(line) + "\n")
        for closed in ("<&-", ">&-", "2>&-", "<&- >&- 2>&-"):
            with self.subTest(closed=closed):
                command = f'exec "$0" import "$@" --json --log-level debug {closed}'
                done = subprocess.run(["sh", "-c", command, BINARY, source, "--data", data, "--model", MODEL],
                                      env=environment(), capture_output=True)
                self.assertEqual(done.returncode, 6 if " >&-" in " " + closed else 0)
                self.assertRegex((data / "lock").read_text(), r"^\d+\n$")
        done = subprocess.run(["sh", "-c", 'exec "$0" import - "$@" <&-', BINARY, "--data", data, "--model", MODEL],
                              env=environment(), capture_output=True)
        self.assertEqual(done.returncode, 6)

    def test_json_is_json_whatever_a_folder_is_called(self):
        data = self.empty_catalogue()
        model = os.fsencode(self.folder) + b"/mod\xffel"
        os.symlink(MODEL, model)
        done = subprocess.run([BINARY, "stats", "--json", "--log-level", "debug", "--data", data, "--model", model], env=environment(), capture_output=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(json.loads(done.stdout)["model"]["name"].endswith("/mod\ufffdel"))
        for line in done.stderr.splitlines():
            json.loads(line)
        self.assertIn("mod\ufffdel", json.loads(done.stderr.splitlines()[0])["message"])

    def test_start_up_is_told_where_asked_for(self):
        ask = ["stats", "--json", "--data", self.empty_catalogue(), "--model", MODEL]
        self.assertEqual(run(*ask)[2], "")
        stages = [json.loads(line)["stage"] for line in run(*ask, "--log-level", "info")[2].splitlines()]
        self.assertIn("model", stages)

    def test_wrong_model_folder(self):
        code, _, err = run("model", "info", self.folder)
        self.assertNotEqual(code, 0)
        self.assertIn("config.json", err)


    def test_a_mistyped_data_folder_is_told_and_not_made(self):
        data = self.folder / "typo"
        for args in (["search", "x"], ["get", "x"], ["delete", "x"], ["stats"], ["check"]):
            model = [] if args == ["check"] else ["--model", MODEL]
            code, _, err = run(*args, "--data", data, *model)
            self.assertEqual(code, 3, err)
            self.assertIn("no catalogue in", err)
            self.assertFalse(data.exists())

    def test_a_missing_model_is_an_unusable_model(self):
        for model in (self.folder / "nowhere", CATALOGUE):
            code, _, err = run("model", "info", model)
            self.assertEqual(code, 5, err)
            self.assertIn(str(model), err)


class Import(TestCase):
    def setUp(self):
        super().setUp()
        self.data = self.folder / "data"

    def test_demo_catalogue_and_what_one_can_ask_of_it(self):
        products = demo_products()
        code, lines, summary, err = run_import(self.data, CATALOGUE)
        self.assertEqual(code, 0, err)
        self.assertEqual([line["line"] for line in lines], list(range(1, len(products) + 1)))
        self.assertEqual([line["id"] for line in lines], [p["id"] for p in products])
        self.assertEqual((summary["created"], summary["encoded"]), (len(products), len(products)))

        code, _, summary, _ = run_import(self.data, CATALOGUE)
        self.assertEqual(code, 0)
        self.assertEqual((summary["unchanged"], summary["encoded"]), (len(products), 0))

        ask = ["--data", self.data, "--model", MODEL, "--json"]
        first = products[0]
        code, out, _ = run("search", "--image", CATALOGUE.parent / first["image"], "--top-k", "1", *ask)
        hit = json.loads(out)["results"][0]
        self.assertEqual((code, hit["product_id"]), (0, first["id"]))
        self.assertGreaterEqual(hit["similarity_score"], 0.9999)
        code, out, _ = run("search", "red shirt", "--category", first["category"],
                           "--filter", "attributes.colour=" + first["attributes"]["colour"], *ask)
        self.assertEqual(code, 0)
        for hit in json.loads(out)["results"]:
            self.assertEqual(hit["category"], first["category"])
            self.assertEqual(hit["attributes"]["colour"], first["attributes"]["colour"])
        self.assertIn(first["id"], [hit["product_id"] for hit in json.loads(out)["results"]])

        code, out, _ = run("get", first["id"], *ask)
        self.assertEqual((code, json.loads(out)["attributes"]), (0, first["attributes"]))
        lines = run("get", first["id"], *ask[:-1])[1].splitlines()
        self.assertIn(["price", str(first["price"])], [line.split(None, 1) for line in lines])
        self.assertEqual(run("delete", first["id"], *ask)[0], 0)
        code, _, err = run("get", first["id"], *ask)
        self.assertEqual((code, json.loads(err)["code"]), (3, "not_found"))
        code, out, _ = run("stats", *ask)
        self.assertEqual(json.loads(out)["catalogue"]["products"], len(products) - 1)
        code, out, _ = run("check", "--data", self.data)
        self.assertEqual(code, 0, out)

    def test_failures_are_told_with_their_lines_and_the_rest_goes_in(self):
        image = str(CATALOGUE.parent / demo_products()[0]["image"])
        (self.folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnot really")
        rows = [{"id": "a", "name": "A", "image": image}, "not json", {"id": "b", "image": image},
                {"id": "c", "name": "C", "image": "missing.png"},
                {"id": "d", "name": "D", "image": "broken.png"},
                {"id": "e", "name": "E", "image": image, "price": -1},
                {"id": "f", "name": "F"}, {"id": "g", "name": "G", "image": "http://169.254.169.254/x"},
                {"id": "i", "name": "I", "image": "none.png"}, {"id": "h", "name": "H", "image": image, "price": 3.5}]
        (self.folder / "none.png").touch()
        source = self.folder / "rows.jsonl"
        source.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in rows))
        code, lines, summary, _ = run_import(self.data, source)
        self.assertEqual(code, 1)
        self.assertEqual([line["line"] for line in lines], list(range(1, 11)))
        self.assertEqual([line["status"] for line in lines],
                         ["created"] + ["error"] * 8 + ["created"])
        self.assertEqual([line.get("pointer") for line in lines[1:9]],
                         [None, "/name", "/image", "/image", "/price", "/image_url", "/image_url", "/image"])
        self.assertEqual([line["code"] for line in lines[1:9]],
                         ["bad_syntax", "invalid_request", "not_found", "bad_image", "invalid_request",
                          "invalid_request", "address_refused", "bad_image"])
        self.assertIn("none.png is empty", lines[8]["detail"])
        self.assertEqual((summary["created"], summary["failed"]), (2, 8))

    def test_csv(self):
        source = self.folder / "shop.csv"
        images = [CATALOGUE.parent / p["image"] for p in demo_products()[:2]]
        with open(source, "w", newline="", encoding="utf-8") as f:
            rows = csv.writer(f, delimiter=";")
            rows.writerow(["id", "name", "description", "image", "category", "price",
                           "attributes.colour", "attributes.stock"])
            rows.writerow(["1", "Chaise \"été\"", "deux\nlignes; vraiment", images[0], "chairs", "12.50", "red", "3"])
            rows.writerow(["2", "Stool", "", os.path.relpath(images[1], self.folder), "chairs", "cheap", "", ""])
            rows.writerow(["3", "Bench", "", os.path.relpath(images[1], self.folder), "", "", "", ""])
        code, lines, summary, err = run_import(self.data, source)
        self.assertEqual(code, 1, err)
        self.assertEqual([line["status"] for line in lines], ["created", "error", "created"])
        self.assertEqual(lines[1]["pointer"], "/price")
        _, out, _ = run("get", "1", "--data", self.data, "--model", MODEL, "--json")
        product = json.loads(out)
        self.assertEqual(product["description"], "deux\nlignes; vraiment")
        self.assertEqual((product["price"], product["attributes"]), (12.5, {"colour": "red", "stock": 3}))
        _, out, _ = run("get", "3", "--data", self.data, "--model", MODEL, "--json")
        self.assertIsNone(json.loads(out)["price"])

    def test_an_empty_image_counts_as_absent(self):
        shop = Shop(CATALOGUE.parent)
        self.addCleanup(shop.close)
        source = self.folder / "rows.jsonl"
        source.write_text(json.dumps({"id": "a", "name": "A", "image": "",
                                      "image_url": f"{shop.url}/{demo_products()[0]['image']}"}) + "\n")
        code, _, summary, err = run_import(self.data, source, "--fetch-allow", "127.0.0.1")
        self.assertEqual((code, summary["created"]), (0, 1), err)

    def test_a_picture_elsewhere_leaves_image_url_as_it_is(self):
        shop = Shop(CATALOGUE.parent)
        self.addCleanup(shop.close)
        source = self.folder / "rows.jsonl"
        source.write_text(json.dumps({"id": "a", "name": "A", "image_url": "https://cdn.shop.example/a.jpg",
                                      "image": f"{shop.url}/{demo_products()[0]['image']}"}) + "\n")
        code, _, _, err = run_import(self.data, source, "--fetch-allow", "127.0.0.1")
        self.assertEqual(code, 0, err)
        _, out, _ = run("get", "a", "--data", self.data, "--model", MODEL, "--json")
        self.assertEqual(json.loads(out)["image_url"], "https://cdn.shop.example/a.jpg")

    def test_nothing_a_product_says_reaches_the_terminal_as_control(self):
        image = str(CATALOGUE.parent / demo_products()[0]["image"])
        source = self.folder / "rows.jsonl"
        source.write_text(json.dumps({"id": "a", "name": "A \x1b[31m\nred \x9b1m", "image": image}) + "\n" +
                          json.dumps({"id": "b\x1b[31m", "name": "B", "image": image}) + "\n")
        code, out, err = run("import", source, "--data", self.data, "--model", MODEL)
        self.assertEqual(code, 1)
        for args in (["get", "a"], ["search", "red"]):
            out += "".join(run(*args, "--data", self.data, "--model", MODEL)[1:])
        self.assertIn("A ?[31m?red ?1m", out)
        self.assertNotRegex(out + err, "[\x1b\x9b]")

    def test_unknown_csv_column_is_refused_by_name(self):
        source = self.folder / "shop.csv"
        source.write_text("id,name,colour\n1,Chair,red\n")
        code, _, _, err = run_import(self.data, source)
        self.assertEqual(code, 2)
        self.assertIn("colour", err)

    def test_the_later_of_two_lines_with_one_id_wins(self):
        """Also when the earlier one has to wait for its picture and the later one has not."""
        image = demo_products()[0]["image"]
        shop = Shop(CATALOGUE.parent, seconds=1)
        self.addCleanup(shop.close)
        source = self.folder / "twice.jsonl"
        source.write_text("".join(json.dumps({"id": "p", "name": name, "image": where}) + "\n" for name, where in
                                  [("first", f"{shop.url}/{image}"), ("second", str(CATALOGUE.parent / image))]))
        code, lines, _, err = run_import(self.data, source, "--fetch-allow", "127.0.0.1")
        self.assertEqual((code, [line["status"] for line in lines]), (0, ["created", "updated"]), err)
        _, out, _ = run("get", "p", "--data", self.data, "--model", MODEL, "--json")
        self.assertEqual(json.loads(out)["name"], "second")

    def test_standard_input(self):
        image = str(CATALOGUE.parent / demo_products()[0]["image"])
        line = json.dumps({"id": "x", "name": "X", "image": image}).encode()
        code, lines, _, err = run_import(self.data, "-", stdin=line)
        self.assertEqual((code, [l["status"] for l in lines]), (0, ["created"]), err)

    def test_interrupted_and_run_again(self):
        base = demo_products()
        lines = [dict(p, id=f"{p['id']}-{n}", image=str(CATALOGUE.parent / p["image"]))
                 for n in range(4) for p in base]
        source = self.folder / "many.jsonl"
        source.write_text("".join(json.dumps(line) + "\n" for line in lines))
        command = [BINARY, "import", str(source), "--data", str(self.data), "--model", str(MODEL), "--json"]
        child = subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE)
        told = [json.loads(child.stdout.readline()) for _ in range(30)]
        child.send_signal(signal.SIGINT)
        rest = child.stdout.read()
        child.stdout.close()
        child.wait(120)
        self.assertEqual(child.returncode, 130)
        told += [json.loads(line) for line in rest.splitlines()]
        summary = told.pop()["summary"]
        self.assertTrue(summary["interrupted"])
        self.assertEqual(summary["created"], len(told))
        self.assertLess(len(told), len(lines))
        code, _, again, err = run_import(self.data, source)
        self.assertEqual(code, 0, err)
        self.assertEqual((again["unchanged"], again["created"]), (len(told), len(lines) - len(told)))
        self.assertEqual(again["encoded"], len(lines) - len(told))
        self.assertEqual(run("check", "--data", self.data)[0], 0)

    def test_an_interrupt_does_not_wait_for_the_lines_read_ahead(self):
        shop = Shop(self.folder, seconds=0.05)
        self.addCleanup(shop.close)
        source = self.folder / "many.jsonl"
        source.write_text("".join(json.dumps({"id": f"p{n}", "name": "P", "image": f"{shop.url}/{n}.png"}) + "\n"
                                  for n in range(600)))  # all of them in one read
        self.assertLess(source.stat().st_size, 65536)
        command = [BINARY, "import", source, "--data", self.data, "--model", MODEL, "--json",
                   "--workers", "2", "--fetch-allow", "127.0.0.0/8"]
        child = subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE)
        child.stdout.readline()
        child.send_signal(signal.SIGINT)
        rest = child.stdout.read().splitlines()
        child.stdout.close()
        self.assertEqual(child.wait(120), 130)
        self.assertLess(json.loads(rest[-1])["summary"]["lines"], 200)

    def test_a_full_disk_stops_the_import_and_loses_nothing(self):
        small = self.folder / "small"
        small.mkdir()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", small], capture_output=True).returncode:
            self.skipTest("needs the right to mount a small disk")
        self.addCleanup(subprocess.run, ["umount", small])
        image = str(CATALOGUE.parent / demo_products()[0]["image"])
        source = self.folder / "many.jsonl"
        source.write_text("".join(json.dumps({"id": f"p{i}", "name": "P", "image": image, "description": "x" * 4000}) + "\n"
                                  for i in range(600)))
        code, lines, summary, err = run_import(small, source)
        self.assertEqual(code, 6, err)
        self.assertIn("make room", err)
        self.assertGreater(summary["created"], 10)
        self.assertEqual({line["code"] for line in lines if line["status"] == "error"}, {"storage_full"})
        self.assertLess(summary["lines"], 600)
        subprocess.run(["mount", "-o", "remount,size=50m", small], check=True)
        code, _, again, err = run_import(small, source)
        self.assertEqual((code, again["unchanged"], again["created"]), (0, summary["created"], 600 - summary["created"]), err)
        self.assertEqual(run("check", "--data", small)[0], 0)

    def test_plain_output_is_lines_for_a_person(self):
        code, out, err = run("import", CATALOGUE, "--data", self.data, "--model", MODEL)
        self.assertEqual(code, 0, err)
        self.assertRegex(out, r"^\d+ lines: \d+ created, 0 updated, 0 unchanged, 0 failed; ")
        self.assertNotIn("\r", out + err)
        code, out, err = run("search", "red shirt", "--top-k", "3", "--data", self.data, "--model", MODEL)
        self.assertEqual((code, len(out.splitlines())), (0, 3))
        self.assertRegex(err, r"3 found in [\d.]+ ms")


class Folder(TestCase):
    def test_a_folder_in_use_is_refused(self):
        data = self.folder / "data"
        server = self.server(data)
        code, _, err = run("stats", "--data", data, "--model", MODEL)
        self.assertEqual(code, 6)
        self.assertIn(str(server.process.pid), err)

    def test_another_models_folder_is_refused_with_advice(self):
        data, other = demo_data(self.folder / "data"), self.folder / "model"
        other.mkdir()
        for f in MODEL.iterdir():
            (other / f.name).write_bytes(f.read_bytes())
        weights = bytearray((other / "model.safetensors").read_bytes())
        weights[-100] ^= 1
        (other / "model.safetensors").write_bytes(weights)
        code, _, err = run("stats", "--data", data, "--model", other)
        self.assertEqual(code, 5)
        self.assertIn("--model", err)
        self.assertIn("--data", err)
        code, out, _ = run("stats", "--data", data, "--model", MODEL, "--json")
        self.assertEqual(code, 0)

    def test_check_finds_damage(self):
        data = demo_data(self.folder / "data")
        database = bytearray((data / "catalog.db").read_bytes())
        for at in range(len(database) // 2, len(database) // 2 + 8192):
            database[at] ^= 0x5A
        (data / "catalog.db").write_bytes(database)
        code, out, err = run("check", "--data", data)
        self.assertIn(code, (1, 7), out + err)
        self.assertTrue("PROBLEM" in out or "corrupt" in err.lower(), out + err)


if __name__ == "__main__":
    unittest.main()
