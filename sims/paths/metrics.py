"""What is measured of a model on the path tasks: exact paths, each position, and recalled edges.

A model is asked through ``Predict``: (tokens (B, T), positions (K,)) -> logits (B, K, V) of what follows those inputs.
Source of the definitions: arXiv 2510.26745, app. B.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .examples import HARDEST, Examples

Predict = Callable[[Tensor, Tensor], Tensor]

CHUNK = 1 << 24  # logits held at once (64 MB in float32), at least one row's
TOKENS = 1 << 13  # read at once, which bounds the activations


@dataclass(frozen=True, eq=False)
class Recall:
    """``nodes``: the share of nodes u all of whose deg(u) targets are the model's top deg(u); ``edges``: the share of
    edges (u, v) with v among the top deg(u), which one lost neighbour of the root changes little; ``loss``: mean
    cross-entropy of a directed edge in nats, which is at least ``floor``, the mean log deg(u): the entropy of a
    neighbour."""

    nodes: float
    edges: float
    loss: float
    floor: float


@dataclass(frozen=True, eq=False)
class PathScores:
    """``per_position`` (K,): the share of rows whose largest logit each target is, all targets before it given.
    ``whole``: the share of rows right at every position, which is what a greedy search gets right: it goes wrong where
    it first leaves the targets, and until then sees the same tokens (a teacherless model answers all at once).
    ``loss``: mean cross-entropy of a target in nats. ``choice``: the share of rows whose first node after the root has
    the largest logit of the root's neighbours, whatever the logits of all other tokens; guessing is right for 1/d of
    them. None where no choices were given."""

    per_position: NDArray[np.float64]
    whole: float
    loss: float
    choice: float | None = None


def path_scores(predict: Predict, examples: Examples, vocabulary: int, choices: Tensor | None = None) -> PathScores:
    """How well the model answers ``examples``. ``choices`` (B, d), or (1, d) for all rows: tokens of the root's
    neighbours, of which target ``HARDEST`` is one (ValueError otherwise)."""
    if choices is not None:
        choices = choices.to(examples.targets.device).expand(len(examples), -1)
    right, chosen, loss = [], [], 0.0
    rows = max(1, min(TOKENS // examples.inputs.shape[1], CHUNK // (vocabulary * examples.targets.shape[1])))
    for start in range(0, len(examples), rows):
        part = examples.rows(torch.arange(start, min(start + rows, len(examples))))
        logits = predict(part.inputs, part.positions).float()
        right.append((logits.argmax(dim=-1) == part.targets).cpu())
        if choices is not None:
            offered = choices[start : start + rows]
            if not bool((offered == part.targets[:, HARDEST, None]).any(dim=1).all()):
                raise ValueError(
                    "choices must hold the first node after the root of every path; give the root's neighbours"
                )
            best = logits[:, HARDEST].gather(1, offered).argmax(dim=1, keepdim=True)
            chosen.append((offered.gather(1, best)[:, 0] == part.targets[:, HARDEST]).cpu())
        loss += float(torch.nn.functional.cross_entropy(logits.flatten(0, 1), part.targets.flatten(), reduction="sum"))
    table = torch.cat(right).numpy()
    choice = float(torch.cat(chosen).double().mean()) if chosen else None
    return PathScores(table.mean(axis=0), float(table.all(axis=1).mean()), loss / table.size, choice)


def edge_recall(predict: Predict, edges: Examples, vocabulary: int) -> Recall:
    """How much of the edge rows the model recalls; every node's edges are asked for together.

    Memory beside the edges: CHUNK logits and as many marks, or one row's, whatever the degrees.
    """
    sources, row_of = torch.unique(edges.inputs, dim=0, return_inverse=True)
    degrees = torch.bincount(row_of, minlength=len(sources))
    hits = torch.zeros(len(sources), dtype=torch.int64, device=degrees.device)
    loss = 0.0
    order = torch.argsort(row_of, stable=True)
    ends = torch.cumsum(degrees, dim=0)
    rows = max(1, CHUNK // vocabulary)
    for start in range(0, len(sources), rows):
        part = slice(start, start + rows)
        degree = degrees[part]
        logits = predict(sources[part], edges.positions)[:, 0].float()
        own = order[int(ends[part][0] - degree[0]) : int(ends[part][-1])]
        local, targets = row_of[own] - start, edges.targets[own, 0]
        loss += float((degree * logits.logsumexp(dim=1)).double().sum() - logits[local, targets].double().sum())
        top = logits.topk(int(degree.max()), dim=-1).indices
        # Columns past a node's own degree count for nothing: their mark is put aside.
        past = torch.arange(top.shape[1], device=top.device) >= degree[:, None]
        marked = torch.zeros(len(logits), vocabulary + 1, dtype=torch.bool, device=top.device)
        marked.scatter_(1, top.masked_fill(past, vocabulary), True)
        hits.index_add_(0, row_of[own], marked[local, targets].long())
    total = float(degrees.sum())
    floor = float((degrees * degrees.double().log()).sum()) / total
    return Recall(float((hits == degrees).double().mean()), float(hits.sum()) / total, loss / total, floor)
