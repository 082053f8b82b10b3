"""The options and shapes that the gate's tests run: every pair of options together in a few calls, and the corners."""

from __future__ import annotations

import itertools
import math
import random

import torch

from interpreted_calls import serves
from linear_cases import IGNORE, SWITCHES, Case, make_case

# rows, classes, width: ragged everywhere, one of everything, exact tiles, several tiles
RAGGED = (5, 37, 20)
SHAPES = (RAGGED, (1, 1, 1), (3, 2, 16), (5, 64, 64), (131, 70, 33))
REDUCTIONS = ("sum", "mean", "none")


def covering(path: str) -> list[frozenset[str]]:
    """Few sets of options among which each pair of options is on together, off together, and on without the other, as
    far as ``path`` serves them; the same every time."""
    draw = random.Random(0)
    missing = {
        (a, b, one, other)
        for a, b in itertools.combinations(SWITCHES, 2)
        for one, other in itertools.product((False, True), repeat=2)
        if serves(path, frozenset(name for name, on in ((a, one), (b, other)) if on))
    }
    found: list[frozenset[str]] = []
    while missing:
        drawn = (frozenset(name for name in SWITCHES if draw.random() < 0.5) for _ in range(200))
        best = max((one for one in drawn if serves(path, one)), key=lambda one: len(_covered(one, missing)))
        found.append(best)
        missing -= _covered(best, missing)
    return found


def _covered(switches: frozenset[str], missing: set[tuple[str, str, bool, bool]]) -> set[tuple[str, str, bool, bool]]:
    return {item for item in missing if (item[0] in switches) == item[2] and (item[1] in switches) == item[3]}


def confident_case(
    odds: float, switches: frozenset[str] = frozenset(), *, dtype: torch.dtype, reduction: str = "sum"
) -> Case:
    """Rows that predict their target with 1 - p near ``odds``."""
    rows, classes, width = 9, 37, 40
    case = make_case(switches, rows=rows, classes=classes, width=width, dtype=torch.float32, reduction=reduction)
    noise = torch.randn(classes, width, generator=torch.Generator().manual_seed(5))
    weight = torch.eye(classes, width) * math.log((classes - 1) / odds) ** 0.5 + 0.02 * noise
    own = case.target.where(case.target != IGNORE, 0)
    bias = None if case.bias is None else (0.1 * case.bias).to(dtype)
    return Case(
        weight[own].to(dtype), weight.to(dtype), bias, case.target, case.class_weight, case.token_weight, case.options
    )
