"""The model's own vocabulary: byte-pair merges learnt from the captions, and encoding by whole batches."""
import random

import numpy as np

import bpe
import phrases
import concepts
from palette import COLOURS, PATTERNS

MERGES = 1486           # with the bytes and the special tokens, 2000 entries
SAMPLES = 60000
NOT_MERGES = 512 + 2    # the bytes, the bytes that end a word, the special tokens


def learn(seed):
    """The merges of a large sample of everything captions can say."""
    rng = random.Random(f"{seed}/merges")
    names, colours, patterns = list(concepts.CONCEPTS), ["", *COLOURS], ["", *PATTERNS]
    looks = (phrases.Look(rng.choice(names), rng.choice(colours), rng.choice(patterns)) for _ in range(SAMPLES))
    return bpe.learn_merges([phrases.caption(look, rng)[0] for look in looks], MERGES)


class Tokenizer:
    """bpe.Tokenizer that remembers the words it has seen, and pads with end-of-text."""

    def __init__(self, merges):
        self.plain = bpe.Tokenizer(merges)
        self.start, self.end = self.plain.ids[bpe.START], self.plain.ids[bpe.END]
        self.known = {}

    def _word(self, word):
        if word not in self.known:
            self.known[word] = [self.plain.ids[symbol] for symbol in self.plain._merge(word)]
        return self.known[word]

    def batch(self, texts, context):
        """[texts][longest] ids."""
        rows = [[self.start, *[i for word in bpe.words(text) for i in self._word(word)][:context - 2], self.end] for text in texts]
        longest = max(map(len, rows))
        return np.array([row + [self.end] * (longest - len(row)) for row in rows])
