"""What is learnt: which caption is true of which picture, which views are of one picture, and, to learn sooner, plain classes.

The contrast of pictures and captions is CLIP's, symmetric, with the true pairs said by a table instead of the diagonal (Yang et al. 2022, UniCL):
several captions are true of a picture, and where nobody knows whether one is, the pair is left out. The contrast of views is
NT-Xent (Chen et al. 2020, SimCLR). Heads on labels speed the first hours up and are thrown away at export.
"""
import torch
import torch.nn.functional as F
from torch import nn

NEVER = -1e4


def truth(relation, looks, claims):
    """[pictures][captions]: 1 true, 0 false, -1 unknown. looks and claims are [n][3] of concept, colour, pattern; -1 says nothing."""
    parts = [relation[claims[:, 0]].t()[looks[:, 0]]]
    for column in (1, 2):
        look, claim = looks[:, column, None], claims[None, :, column]
        parts.append(torch.where(look < 0, -1, (look == claim).long()))
    silent = (claims < 0).t()[:, None]
    stacked = torch.where(silent, 1, torch.stack(parts))
    return torch.where((stacked == 0).any(0), 0, torch.where((stacked == -1).any(0), -1, 1))


def contrast(logits, table):
    """Mean over rows with a true entry of the cross entropy between softmax(row) and an even share over its true entries."""
    logits = logits.masked_fill(table < 0, NEVER)
    true = (table > 0).float()
    share = true / true.sum(1, keepdim=True).clamp(min=1)
    rows = -(share * F.log_softmax(logits, dim=1)).sum(1)
    some = true.sum(1) > 0
    return rows[some].mean()


def symmetric_contrast(images, texts, scale, table):
    logits = scale * images @ texts.t()
    return (contrast(logits, table) + contrast(logits.t(), table.t())) / 2


def views_contrast(vectors, temperature):
    """vectors is [2 n][d]: picture i is in rows i and n + i."""
    count = len(vectors) // 2
    logits = (vectors @ vectors.t() / temperature).fill_diagonal_(NEVER)
    partner = torch.arange(2 * count).roll(count)
    return F.cross_entropy(logits, partner)


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
                total = total + F.cross_entropy(linear(features)[known].float(), looks[known, column], label_smoothing=0.05)
        return total
