"""A claim: a statement of a paper in our words, where it stands there, what decides it, and how it is measured."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..disk.jsonio import to_json
from .criterion import Criterion
from .measured import Measured
from .verdict import Verdict

PAPERS = {
    "A": "arXiv 2510.26745, geometric memory",
    "B": "arXiv 2605.12426, geometric factual recall",
    "F": "follow-ups to both",
}
KEY_DIGITS = 16


@dataclass(frozen=True)
class Cell:
    """One set-up, run for each seed. ``options``: of a point of ``sweep``, or "measure" with a function of
    ``reproduce.measures`` and its arguments; ``seeded``: whether anything in it is random, otherwise it is run once."""

    name: str
    options: Mapping[str, Any]
    seeded: bool = True


@dataclass(frozen=True)
class Claim:
    """``name``: the paper's letter, a dot and where in it: "A.obs1a", "B.thm4.1", "F.depth". ``statement`` in our
    words; ``confirms``, ``refutes``: what would; ``seconds``: about how long all its cells and five seeds take one
    core; ``note``: what to keep in mind with the verdict."""

    name: str
    title: str
    where: str
    statement: str
    confirms: str
    refutes: str
    cells: tuple[Cell, ...]
    criterion: Criterion
    seconds: float
    note: str = ""

    @property
    def paper(self) -> str:
        """Which of ``PAPERS``."""
        return PAPERS[self.name.partition(".")[0]]

    @property
    def deterministic(self) -> frozenset[str]:
        """Names of the cells in which nothing is random."""
        return frozenset(cell.name for cell in self.cells if not cell.seeded)

    @property
    def digest(self) -> str:
        """Of cells and criterion: a verdict with another one is of an earlier configuration."""
        return hashlib.sha256(to_json([self.cells, self.criterion]).encode()).hexdigest()[:KEY_DIGITS]

    def judge(self, measured: Measured) -> Verdict:
        """The verdict on what was measured."""
        return self.criterion(measured, self.deterministic)
