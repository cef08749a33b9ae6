#!/usr/bin/python3
"""How often vitrine is right about a photograph's category, by the confidence it gave: on photographs that training never saw.

usage: tools/train/reliability.py --photos DIR --vitrine PROGRAM [--json FILE] MODEL_DIR

The held-out photographs are dealt to two halves by a hash of their names. Each half in turn is a shop's catalogue, whose categories are their
labels; the photographs of the other half are asked over HTTP, as a customer's would be. What is shown is therefore the whole of it:
prompts, class means, and the calibration that the catalogue gave itself. The last table is of labels without a catalogue.
"""
import argparse
import base64
import http.client
import json
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import demo_path            # noqa: F401, before what it finds
import numpy as np

import concepts
import drawn
import photos

EDGES = (0.0, 0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
SURE = 0.8                  # where vitrine says so
LABELS = ("T-Shirt", "Longsleeve", "Pants", "Shoes", "Shirt", "Dress", "Outwear", "Shorts", "Hat", "Skirt")


@dataclass
class Answers:
    confidence: list = field(default_factory=list)
    right: list = field(default_factory=list)

    def add(self, guess, truth):
        self.confidence.append(guess["confidence"])
        self.right.append(guess["category"] == truth)

    def table(self):
        """A row for each range of confidence: from, to, how many, their mean confidence, the share that is right; and the whole."""
        confidence, right = np.array(self.confidence), np.array(self.right)
        rows, distance = [], 0.0
        for start, end in zip(EDGES, EDGES[1:]):
            inside = (confidence >= start) & ((confidence < end) | (end == EDGES[-1]))
            if inside.any():
                said, held = float(confidence[inside].mean()), float(right[inside].mean())
                rows.append({"from": start, "to": end, "n": int(inside.sum()), "confidence": said, "right": held})
                distance += inside.mean() * abs(said - held)
        sure = confidence >= SURE
        return {"rows": rows, "n": len(right), "right": float(right.mean()), "expected_calibration_error": float(distance),
                "sure": int(sure.sum()), "sure_and_right": float(right[sure].mean()) if sure.any() else 0.0}


class Server:
    """vitrine over a data folder, or over none."""

    def __init__(self, program, model, data):
        command = [program, "serve", "--port", "0", "--log-format", "json", "--model", model, "--data", data]
        self.process = subprocess.Popen([str(part) for part in command], stderr=subprocess.PIPE)
        address = next((json.loads(line)["message"] for line in self.process.stderr if b'"ready"' in line), None)
        if address is None:
            raise SystemExit(f"{program} serve ended with {self.process.wait()}")
        self.connection = http.client.HTTPConnection("127.0.0.1", int(address.rsplit(":", 1)[1]))

    def ask(self, path, **more):
        body = {"image": base64.b64encode(path.read_bytes()).decode(), **more}
        self.connection.request("POST", "/api/v1/detect-category", json.dumps(body), {"Content-Type": "application/json"})
        answer = self.connection.getresponse()
        guess = json.loads(answer.read())
        if answer.status != 200:
            raise SystemExit(f"{path}: {guess}")
        return guess

    def close(self):
        self.connection.close()
        self.process.terminate()
        self.process.communicate()


@contextmanager
def shop(program, model, listed):
    """A server over a catalogue of these photographs."""
    with tempfile.TemporaryDirectory() as folder:
        products, data = Path(folder) / "products.jsonl", Path(folder) / "data"
        products.write_text("".join(json.dumps({"id": f"p{i}", "name": category(p), "category": category(p), "image": str(p.path.resolve())})
                                    + "\n" for i, p in enumerate(listed)), encoding="utf-8")
        subprocess.run([program, "import", products, "--data", data, "--model", model], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
        server = Server(program, model, data)
        try:
            yield server
        finally:
            server.close()


def category(photo):
    """As a shop would call the label: "T-Shirt" is "t-shirts", "Milk" is "milk"."""
    concept = concepts.of_photo(photo) if photo.source == "clothing" else "grocery " + photo.coarse.lower()
    return concepts.CONCEPTS[concept].english[0].plural


def halves(listed):
    dealt = [], []
    for photo in listed:
        dealt[drawn.percent("half of " + photo.path.name) % 2].append(photo)
    return dealt


def by_catalogue(program, model, listed):
    answers, two = Answers(), halves(listed)
    for known, asked in (two, two[::-1]):
        with shop(program, model, known) as server:
            for photo in asked:
                answers.add(server.ask(photo.path), category(photo))
    return answers


def by_labels(program, model, listed):
    answers, names = Answers(), [concepts.CONCEPTS[concepts.CLOTHING_LABELS[label]].english[0].plural for label in LABELS]
    asked = [photo for photo in listed if photo.label in LABELS]
    with shop(program, model, asked[:1]) as server:
        for photo in asked:
            answers.add(server.ask(photo.path, labels=names), category(photo))
    return answers


def tell(name, table):
    print(f"\n{name}: {table['right']:.3f} of {table['n']} right, expected calibration error {table['expected_calibration_error']:.3f}; "
          f"{table['sure']} sure, {table['sure_and_right']:.3f} of them right")
    print("confidence      n   mean  right")
    for row in table["rows"]:
        print(f"{row['from']:.1f} - {row['to']:.1f}   {row['n']:4}  {row['confidence']:.3f}  {row['right']:.3f}")
    sys.stdout.flush()


def main():
    parser = argparse.ArgumentParser(description="How often vitrine is right about a photograph's category, by its confidence.")
    parser.add_argument("--photos", type=Path, required=True, metavar="DIR")
    parser.add_argument("--vitrine", type=Path, required=True, metavar="PROGRAM", help="the built program")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("model_dir", type=Path)
    arguments = parser.parse_args()
    held = [p for p in photos.listed(arguments.photos) if p.held_out and p.label not in photos.NO_KIND]
    garments = [p for p in held if p.source == "clothing"]
    asked = {"garments, 17 categories": (by_catalogue, garments), "garments and groceries, 60 categories": (by_catalogue, held),
             "garments, ten labels and no catalogue": (by_labels, garments)}
    found = {}
    for name, (measure, listed) in asked.items():
        found[name] = measure(arguments.vitrine.resolve(), arguments.model_dir, listed).table()
        tell(name, found[name])
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
