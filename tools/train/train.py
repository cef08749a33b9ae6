#!/usr/bin/python3
"""Trains vitrine-mini, a small CLIP that knows the words of a shop in English and in French; README.md says how long.

usage: tools/train/train.py --photos DIR --work DIR [--steps N] [--seed N]

Everything it makes lies in the work folder: cached pictures, merges.json, checkpoint.pt. Run again with the same folder, it goes on from
the checkpoint. export.py then writes the model folder, and evaluate.py says how good it is.
"""
import argparse
import json
import math
import time
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import demo_path            # noqa: F401, before what it finds
import torch

import augment
import concepts
import data
import loss
import model
import phrases
import tokenizer
from clip_shape import Shape, Tower
from optimiser import FlatAdamW

CONTEXT = 32
LONGEST_CAPTION = 20
PEAK_RATE, WARM_UP, COOL_DOWN = 1.5e-3, 200, 0.3  # COOL_DOWN: share of the run
# Until which share of the run, pictures of which side, and what share of their patches: little of a picture teaches sooner.
STAGES = ((0.15, 64, 1.0), (0.30, 80, 1.0), (0.95, 96, 0.67), (1.00, 96, 1.0))
SKIPPING = 0.2          # of the pictures, past the last layer
VIEWS_WEIGHT, VIEWS_TEMPERATURE, HEADS_WEIGHT = 1.0, 0.1, 0.5
MIXED_SHARE = 0.5       # of the batches
LARGEST_SCALE = math.log(100)
SAVE_EVERY, TELL_EVERY = 100, 20
PROCESSES = 2           # one core each: torch's own threads wait more than they work on products this small
PATIENCE = 600          # seconds that one process waits for another


def shape(vocabulary):
    return Shape(vision=Tower("vision_model", 192, 6, 3), text=Tower("text_model", 128, 3, 2), image_size=STAGES[-1][1], patch=16,
                 vocabulary=vocabulary, context=CONTEXT, projection=512, dtype="F16")


def kept_merges(path, seed):
    if not path.exists():
        path.write_text(json.dumps(tokenizer.learn(seed), ensure_ascii=False), encoding="utf-8")
    return [tuple(pair) for pair in json.loads(path.read_text(encoding="utf-8"))]


def rate(step, steps):
    """Up, level, and down as 1 - sqrt (Hägele et al. 2024): unlike a cosine, the level part need not know how long the run will be."""
    warm = min(1.0, (step + 1) / WARM_UP)
    cooled = max(0.0, 1 - (1 - step / steps) / COOL_DOWN)
    return PEAK_RATE * warm * (1 - cooled ** 0.5)


def stage_of(step, steps):
    """(side, share of patches)"""
    return next((side, patches) for until, side, patches in STAGES if step < until * steps)


class Learner(torch.nn.Module):
    """The model and the heads that only training has."""

    def __init__(self, model_shape):
        super().__init__()
        self.clip = model.CLIP(model_shape)
        self.heads = loss.Heads(model_shape.vision.width, (len(concepts.CONCEPTS), len(phrases.COLOUR_INDEX), len(phrases.PATTERN_INDEX)))
        self.relation = torch.tensor(concepts.relation())

    def forward(self, batch, patches, generator):
        """The losses, by name. A share of the batches is cut and mixed: their views are not of one picture any more."""
        clip = self.clip
        looks = torch.from_numpy(batch.looks).repeat(2, 1)
        values = augment.relight(augment.pixels(batch.views), generator)
        mix = loss.cut_mix(values, generator) if torch.rand(1, generator=generator).item() < MIXED_SHARE else None
        features = clip.vision_model.thinned(values.bfloat16(), patches, SKIPPING, generator)
        images = torch.nn.functional.normalize(clip.visual_projection(features).float(), dim=-1)
        texts = clip.text_vectors(torch.from_numpy(batch.tokens))
        table = loss.truth(self.relation, looks, torch.from_numpy(batch.claims))
        logits = clip.logit_scale.float().clamp(max=LARGEST_SCALE).exp() * images @ texts.t()
        losses = {"words": loss.symmetric_contrast(logits, table, mix)}
        if mix:
            own, partners = self.heads(features, looks), self.heads(features, looks[mix.partner])
            return losses | {"heads": HEADS_WEIGHT * (mix.kept * own + (1 - mix.kept) * partners)}
        return losses | {"heads": HEADS_WEIGHT * self.heads(features, looks),
                         "views": VIEWS_WEIGHT * loss.views_contrast(images, looks[:, 0], VIEWS_TEMPERATURE)}


def save(path, optimiser, step, seed):
    unfinished = path.with_suffix(".part")
    torch.save({"optimiser": optimiser.state(), "by_name": optimiser.by_name(), "step": step, "seed": seed}, unfinished)
    unfinished.rename(path)


def teller(steps, first):
    """A function that prints running means of the losses now and then, and how long the rest will take."""
    begun, told = time.monotonic(), {}

    def tell(step, losses, clip):
        for name, value in losses.items():
            told[name] = 0.95 * told.get(name, value.item()) + 0.05 * value.item()
        if (step + 1) % TELL_EVERY == 0:
            pace = (time.monotonic() - begun) / (step + 1 - first)
            parts = "  ".join(f"{name} {value:.3f}" for name, value in told.items())
            print(f"step {step + 1}/{steps}  {parts}  scale {clip.logit_scale.exp().item():.1f}  {pace:.2f} s a step, "
                  f"{pace * (steps - step - 1) / 60:.0f} min left", flush=True)
    return tell


def run(process, run_of, learner, optimiser, batches, barrier):
    """What each of the processes does: its own batches, and its part of every update."""
    optimiser.bind(process)
    tell = teller(run_of.steps, run_of.first)
    generator = torch.Generator()
    mine = range(run_of.first * PROCESSES + process, run_of.steps * PROCESSES, PROCESSES)
    for number, batch in batches.run(mine):
        step = number // PROCESSES
        generator.manual_seed(run_of.seed * 1_000_003 + number)
        losses = learner(batch, stage_of(step, run_of.steps)[1], generator)
        sum(losses.values()).backward()
        optimiser.step(rate(step, run_of.steps), process, barrier)
        if process == 0:
            tell(step, losses, learner.clip)
            if (step + 1) % SAVE_EVERY == 0 or step + 1 == run_of.steps:
                save(run_of.checkpoint, optimiser, step + 1, run_of.seed)
        if (step + 1) % SAVE_EVERY == 0:
            barrier.wait()      # nobody changes weights that are being written


@dataclass(frozen=True)
class Run:
    first: int
    steps: int
    seed: int
    checkpoint: Path


def train(arguments):
    torch.set_num_threads(1)
    torch.manual_seed(arguments.seed)
    work = arguments.work
    (work / "cache").mkdir(parents=True, exist_ok=True)
    merges = kept_merges(work / "merges.json", arguments.seed)
    learner = Learner(shape(len(merges) + tokenizer.NOT_MERGES))
    optimiser = FlatAdamW(learner, PROCESSES)
    first, checkpoint = 0, work / "checkpoint.pt"
    if checkpoint.exists():
        state = torch.load(checkpoint)
        optimiser.load(state["optimiser"])
        first = state["step"]
    examples = data.load(arguments.photos, work / "cache")
    print({source: len(found) for source, found in examples.items()}, f"from step {first} of {arguments.steps}", flush=True)
    batches = data.Batches(examples, tokenizer.Tokenizer(merges), LONGEST_CAPTION, arguments.seed,
                           lambda number: stage_of(number // PROCESSES, arguments.steps)[0])
    fork = get_context("fork")
    shared = (Run(first, arguments.steps, arguments.seed, checkpoint), learner, optimiser, batches, fork.Barrier(PROCESSES, timeout=PATIENCE))
    others = [fork.Process(target=run, args=(process, *shared)) for process in range(1, PROCESSES)]
    for other in others:
        other.start()
    run(0, *shared)
    for other in others:
        other.join()


def main():
    parser = argparse.ArgumentParser(description="Trains vitrine-mini.")
    parser.add_argument("--photos", type=Path, required=True, metavar="DIR", help="holds clothing.jsonl and grocery.jsonl")
    parser.add_argument("--work", type=Path, required=True, metavar="DIR", help="for what is cached and the checkpoint")
    parser.add_argument("--steps", type=int, default=20000, help="of 2 x 128 pictures in two views each (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    train(parser.parse_args())


if __name__ == "__main__":
    main()
