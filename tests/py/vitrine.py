"""What the tests against the real binary share: run a command, fill a data folder, run a server, speak HTTP to it."""
import atexit
import base64
import functools
import http.client
import http.server
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import unittest

ROOT = pathlib.Path(os.environ.get("VT_ROOT", pathlib.Path(__file__).resolve().parents[2]))
BINARY = os.environ.get("VITRINE", str(ROOT / "build/test/src/cli/vitrine"))
SHARED = pathlib.Path(os.environ.get("VT_SHARED", ROOT / "../shared"))
MODEL = ROOT / "demo/model"
CATALOGUE = ROOT / "demo/catalogue.jsonl"
START_SECONDS = 120  # a sanitizer's build on a busy machine


def demo_products():
    return [json.loads(line) for line in CATALOGUE.read_text("utf-8").splitlines()]


def demo_image(product):
    return (CATALOGUE.parent / product["image"]).read_bytes()


def base64_text(data):
    return base64.b64encode(data).decode()


class TestCase(unittest.TestCase):
    """A test with a folder of its own, gone afterwards."""

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="vitrine-test-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def server(self, *args, **kwargs):
        server = Server(*args, **kwargs)
        self.addCleanup(server.kill)
        return server


def environment(extra=None):
    env = {k: v for k, v in os.environ.items() if not k.startswith("VITRINE_")}
    return {**env, **(extra or {})}


def run(*args, env=None, stdin=None, timeout=300):
    """The command's exit code, standard output and standard error."""
    done = subprocess.run([BINARY, *map(str, args)], env=environment(env), input=stdin,
                          capture_output=True, timeout=timeout)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def run_import(data, source, *args, model=MODEL, **kwargs):
    code, out, err = run("import", source, "--data", data, "--model", model, "--json", *args, **kwargs)
    lines = [json.loads(line) for line in out.splitlines()]
    summary = lines[-1].get("summary") if lines else None
    return code, lines[:-1] if summary else lines, summary, err


@functools.cache
def _demo_template():
    """A data folder with the demo catalogue, imported once a process and never opened again."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="vitrine-demo-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    code, _, summary, err = run_import(folder / "data", CATALOGUE)
    if code != 0 or summary["created"] != len(demo_products()):
        raise RuntimeError("the demo catalogue cannot be imported: " + err)
    return folder / "data"


def demo_data(data):
    """Makes `data` a folder with the demo catalogue in it; a copy takes a hundredth of an import's time."""
    shutil.copytree(_demo_template(), data)
    return data


class Server:
    """`vitrine serve` on a free port. Use as: server = Server(data); server.post(...)"""

    def __init__(self, data, *args, model=MODEL, env=None, wait=True):
        command = [BINARY, "serve", "--data", str(data), "--model", str(model), "--port", "0",
                   "--fetch-allow", "127.0.0.0/8", *map(str, args)]
        self.process = subprocess.Popen(command, env=environment(env), stderr=subprocess.PIPE)
        self.log, self.port = [], None
        self.ready = threading.Event()
        self.reader = threading.Thread(target=self._read_log, daemon=True)
        self.reader.start()
        if wait and not self.wait_ready():
            self.kill()
            raise RuntimeError("the server did not get ready: " + "\n".join(self.log))

    def _read_log(self):
        for line in self.process.stderr:
            self.log.append(line.decode().rstrip("\n"))
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if event["stage"] == "ready":
                self.port = int(event["message"].rsplit(":", 1)[1])
                self.ready.set()
        self.ready.set()

    def wait_ready(self):
        return self.ready.wait(START_SECONDS) and self.port is not None

    def request(self, method, path, body=None, headers=None, timeout=60):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()

    def json(self, method, path, body=None, **kwargs):
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"} if data is not None else {}
        status, _, answer = self.request(method, path, data, headers, **kwargs)
        return status, json.loads(answer) if answer else None

    def post(self, path, body, **kwargs):
        return self.json("POST", path, body, **kwargs)

    def get(self, path):
        return self.json("GET", path)

    def search(self, **body):
        status, answer = self.post("/api/v1/search", body)
        if status != 200:
            raise AssertionError(f"search {body.keys()} answered {status}: {answer}")
        return answer

    def ids(self, **body):
        return [hit["product_id"] for hit in self.search(**body)["results"]]

    def import_lines(self, lines):
        body = "".join(json.dumps(line) + "\n" for line in lines).encode()
        status, _, answer = self.request("POST", "/api/v1/products/import", body,
                                         {"Content-Type": "application/x-ndjson"}, timeout=300)
        return status, [json.loads(line) for line in answer.decode().splitlines()]

    def stop(self):
        """SIGTERM, and the exit code."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(60)
        self.reader.join(10)
        self.process.stderr.close()
        return code

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.reader.join(10)
        self.process.stderr.close()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


class Shop:
    """A loopback HTTP server of a folder: stands in for the host of a shop's pictures. It may take its time."""

    def __init__(self, folder, seconds=0):
        class Handler(QuietHandler):
            def do_GET(self):
                time.sleep(seconds)
                super().do_GET()

        handler = lambda *args: Handler(*args, directory=str(folder))
        self.httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.httpd.server_address[1]}"
        threading.Thread(target=self.httpd.serve_forever, daemon=True).start()

    def close(self):
        self.httpd.shutdown()
        self.httpd.server_close()


def wait_until(condition, seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.01)
    return False
