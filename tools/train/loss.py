"""What is learnt: which caption is true of which picture, which views are of one picture, and, to learn sooner, plain classes.

The contrast of pictures and captions is CLIP's, symmetric, with the true pairs said by a table instead of the diagonal (Yang et al. 2022, UniCL):
several captions are true of a picture, and where nobody knows whether one is, the pair is left out. The contrast of views is
NT-Xent (Chen et al. 2020, SimCLR), with pictures of one kind drawn together too (Khosla et al. 2020). Heads on labels speed the first hours up and are thrown away at export.
"""
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

NEVER = -1e4
PARTNERS_SHARE = 0.4    # of the truth, in the contrast of views


def truth(relation, looks, claims):
    """[pictures][captions]: 1 true, 0 false, -1 unknown. looks and claims are [n][3] of concept, colour, pattern; -1 says nothing."""
    parts = [relation[claims[:, 0]].t()[looks[:, 0]]]
    for column in (1, 2):
        look, claim = looks[:, column, None], claims[None, :, column]
        parts.append(torch.where(look < 0, -1, (look == claim).long()))
    silent = (claims < 0).t()[:, None]
    stacked = torch.where(silent, 1, torch.stack(parts))
    return torch.where((stacked == 0).any(0), 0, torch.where((stacked == -1).any(0), -1, 1))


def contrast(logits, true, unknown):
    """Mean over rows with a true entry of the cross entropy between softmax(row) and the row's share of truth."""
    logits = logits.masked_fill(unknown, NEVER)
    share = true / true.sum(1, keepdim=True).clamp(min=1e-6)
    rows = -(share * F.log_softmax(logits, dim=1)).sum(1)
    return rows[true.sum(1) > 0].mean()


def symmetric_contrast(logits, table, mix=None):
    """`mix` is the Mix that made the pictures, where they are mixed: what is true of either part is true in its share."""
    true, unknown = (table > 0).float(), table < 0
    if mix:
        true = mix.of(true)
        unknown = unknown | unknown[mix.partner]
        true = true.masked_fill(unknown, 0.0)
    return (contrast(logits, true, unknown) + contrast(logits.t(), true.t(), unknown.t())) / 2


@dataclass(frozen=True)
class Mix:
    """Every picture has a rectangle of its partner's (Yun et al. 2019, CutMix); `kept` is the share that is its own."""
    partner: torch.Tensor
    kept: float

    def of(self, values):
        """What holds of each picture, and of its partner, in their shares."""
        return self.kept * values + (1 - self.kept) * values[self.partner]


def cut_mix(values, generator):
    """Pastes one rectangle across the batch, in place: [n][3][side][side]. Returns the Mix."""
    side = values.shape[-1]
    partner = torch.randperm(len(values), generator=generator)
    share, x, y = torch.rand(3, generator=generator).tolist()
    length = max(1, round(side * (1 - share) ** 0.5))
    left, top = round(x * (side - length)), round(y * (side - length))
    rectangle = (slice(None), slice(None), slice(top, top + length), slice(left, left + length))
    values[rectangle] = values[partner][rectangle]
    return Mix(partner, 1 - (length / side) ** 2)


def views_contrast(vectors, kinds, temperature):
    """vectors is [2 n][d]: picture i is in rows i and n + i; kinds is [2 n]. A part of the truth is a picture's other view, the
    rest is shared by the other pictures of its kind: a search by picture should find the same thing first and the same kind next."""
    count = len(vectors) // 2
    logits = (vectors @ vectors.t() / temperature).fill_diagonal_(NEVER)
    alike = (kinds[:, None] == kinds[None, :]).float().fill_diagonal_(0.0)
    partner = F.one_hot(torch.arange(2 * count).roll(count), 2 * count)
    share = PARTNERS_SHARE * partner + (1 - PARTNERS_SHARE) * alike / alike.sum(1, keepdim=True)
    return -(share * F.log_softmax(logits, dim=1)).sum(1).mean()


class Heads(nn.Module):
    """A linear classifier for each of concept, colour and pattern, on the image tower's features."""

    def __init__(self, width, classes):
        super().__init__()
        self.linears = nn.ModuleList(nn.Linear(width, count) for count in classes)

    def forward(self, features, looks):
        total = 0.0
        for column, linear in enumerate(self.linears):
            known = looks[:, column] >= 0
            if known.any():
                total = total + F.cross_entropy(linear(features)[known].float(), looks[known, column], label_smoothing=0.1)
        return total
