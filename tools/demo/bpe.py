"""Byte-level byte-pair encoding as CLIP uses it (Sennrich et al. 2016; Radford et al. 2019, 2021): learning it, and using it.

A word is the bytes of its UTF-8, each written as a printable character, the last one carrying "</w>". Learning merges the
most frequent pair of neighbours again and again. CLIP splits text with Unicode classes that Python's `re` lacks; WORDS
says nearly the same with the ones it has. Words are few here, so every merge simply recounts all pairs.
"""
import re
from collections import Counter

START, END = "<|startoftext|>", "<|endoftext|>"
END_OF_WORD = "</w>"
WORDS = re.compile(r"'s|'t|'re|'ve|'m|'ll|'d|[^\W\d_]+|\d|(?:[^\s\w]|_)+")


def byte_symbols():
    """A printable character for each byte: itself where it is one, else the next one from U+0100 on.

    The dictionary's order is CLIP's order of ids: the printable bytes come first.
    """
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    symbols = {byte: chr(byte) for byte in printable}
    for byte in range(256):
        if byte not in symbols:
            symbols[byte] = chr(256 + len(symbols) - len(printable))
    return symbols


BYTES = byte_symbols()


def words(text):
    """The words of a text, each a tuple of byte symbols whose last one ends the word."""
    for word in WORDS.findall(text.lower()):
        symbols = [BYTES[byte] for byte in word.encode("utf-8")]
        yield (*symbols[:-1], symbols[-1] + END_OF_WORD)


def join(word, pair):
    """The word with every occurrence of the pair, from the left, made one symbol."""
    joined, i = [], 0
    while i < len(word):
        if word[i:i + 2] == pair:
            joined.append(pair[0] + pair[1])
            i += 2
        else:
            joined.append(word[i])
            i += 1
    return tuple(joined)


def learn_merges(texts, most):
    """At most `most` merges; fewer when every word has become one symbol. Ties go to the pair that sorts first."""
    counts = Counter(word for text in texts for word in words(text))
    merges = []
    while len(merges) < most:
        pairs = Counter()
        for word, count in counts.items():
            for pair in zip(word, word[1:]):
                pairs[pair] += count
        if not pairs:
            break
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        merged = Counter()
        for word, count in counts.items():
            merged[join(word, best)] += count
        counts = merged
    return merges


def fill_merges(merges, total):
    """Adds merges that make every string of two, three, four small letters, until there are `total`.

    They stand in for what a large corpus would have taught, where only the size of the vocabulary matters. Each joins
    two symbols that exist before it.
    """
    filled = list(merges)
    known = {left + right for left, right in filled}
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    stems = letters
    while len(filled) < total:
        longer = []
        for stem in stems:
            for letter in letters:
                for right in (letter, letter + END_OF_WORD):
                    if stem + right not in known and len(filled) < total:
                        known.add(stem + right)
                        filled.append((stem, right))
                longer.append(stem + letter)
        stems = longer
    return filled


def vocabulary(merges):
    """Symbol to id: the bytes, the bytes that end a word, the merges in order, then the two special tokens."""
    symbols = [*BYTES.values(), *(s + END_OF_WORD for s in BYTES.values()), *(a + b for a, b in merges), START, END]
    return {symbol: i for i, symbol in enumerate(symbols)}


class Tokenizer:
    def __init__(self, merges):
        self.ranks = {pair: rank for rank, pair in enumerate(merges)}
        self.ids = vocabulary(merges)

    def encode(self, text, context):
        """Ids of a text: start, words, end; cut to the context with the end kept."""
        body = [self.ids[symbol] for word in words(text) for symbol in self._merge(word)]
        return [self.ids[START], *body[:context - 2], self.ids[END]]

    def _merge(self, word):
        while len(word) > 1:
            best = min(zip(word, word[1:]), key=lambda pair: self.ranks.get(pair, len(self.ranks)))
            if best not in self.ranks:
                break
            word = join(word, best)
        return word
