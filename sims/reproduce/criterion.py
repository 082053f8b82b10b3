"""Criteria: written down with a claim, before anything is measured, and pure functions of what was.

A check asks for the mean of one score over seeds, or of its difference to another cell's seed by seed, in a range. It
holds where the whole 95 % t interval lies in the range, fails where the interval lies outside it, and is open
otherwise. Nothing holds on fewer than ``LEAST_SEEDS`` seeds. Where nothing is random (``Cell.seeded`` False) a cell has
one number, which is in the range or not, and its graphs stand in for seeds.
"""

from __future__ import annotations

from dataclasses import dataclass

from .measured import Measured
from .verdict import CONFIRMED, CONTRADICTED, IN_PART, NOT, NOT_MEASURED, OUT_OF_REACH, Finding, Verdict

LEAST_SEEDS = 5


@dataclass(frozen=True)
class Check:
    """``what`` is measured, in words; its ``score`` in each of ``cells``; the range ``least`` to ``most``.

    ``minus``: the cell whose score (``minus_score``, by default the same) is subtracted, seed by seed; ``every``: each
    seed's number has to lie in the range, not their mean.
    """

    what: str
    cells: tuple[str, ...]
    score: str
    least: float | None = None
    most: float | None = None
    minus: str = ""
    minus_score: str = ""
    every: bool = False

    def findings(self, measured: Measured, deterministic: frozenset[str]) -> list[Finding]:
        """One for each cell. Raises KeyError where something is missing."""
        return [self._finding(measured, cell, cell in deterministic) for cell in self.cells]

    def _finding(self, measured: Measured, cell: str, deterministic: bool) -> Finding:
        from ..scores.statistics import mean, mean_interval

        values = measured.values(cell, self.score)
        if self.minus:
            base = measured.values(self.minus, self.minus_score or self.score)
            values = tuple(a - b for a, b in zip(values, base, strict=True))
        interval = None if deterministic else mean_interval(values)
        low, high = (min(values), max(values)) if interval is None or self.every else interval
        holds = self._side(low, high) if deterministic or len(values) >= LEAST_SEEDS else None
        ends = None if interval is None else (interval[0], interval[1])
        return Finding(self.what, cell, self.least, self.most, values, mean(values), ends, holds)

    def _side(self, low: float, high: float) -> bool | None:
        """Whether low .. high lies in the range, or outside it; None for partly."""
        least = -float("inf") if self.least is None else self.least
        most = float("inf") if self.most is None else self.most
        if least <= low and high <= most:
            return True
        return False if high < least or low > most else None


@dataclass(frozen=True)
class Criterion:
    """All of ``checks`` hold: confirmed; some: in part; all fail: contradicted; else not confirmed.

    ``universal``: the statement is about every case, so that one check that fails contradicts it. ``reach``: why the
    statement itself cannot be decided here; its checks are then only numbers beside it.
    """

    checks: tuple[Check, ...] = ()
    universal: bool = False
    reach: str = ""

    def __call__(self, measured: Measured, deterministic: frozenset[str] = frozenset()) -> Verdict:
        """The verdict; ``deterministic``: the cells in which nothing is random."""
        try:
            findings = tuple(one for check in self.checks for one in check.findings(measured, deterministic))
        except KeyError as error:
            return Verdict(OUT_OF_REACH if self.reach else NOT_MEASURED, self.reach or str(error.args[0]))
        fixed = bool(findings) and all(one.cell in deterministic for one in findings)
        seeds = min((len(one.values) for one in findings), default=0)
        if self.reach:
            return Verdict(OUT_OF_REACH, self.reach, findings, fixed, seeds)
        held = [one for one in findings if one.holds]
        failed = [one for one in findings if one.holds is False]
        if len(held) == len(findings):
            status = CONFIRMED
        elif len(failed) == len(findings) or (self.universal and failed):
            status = CONTRADICTED
        else:
            status = IN_PART if held else NOT
        return Verdict(status, _reason(findings, held, failed, deterministic), findings, fixed, seeds)


def _reason(
    findings: tuple[Finding, ...], held: list[Finding], failed: list[Finding], deterministic: frozenset[str]
) -> str:
    few = [one for one in findings if len(one.values) < LEAST_SEEDS and one.cell not in deterministic]
    if few:
        return f"{len(few[0].values)} of the at least {LEAST_SEEDS} seeds that a verdict needs"
    if len(held) == len(findings):
        closest = min(held, key=_room)
        return f"all {len(held)} findings hold; the closest: {closest.text()}"
    left = failed or [one for one in findings if one.holds is None]
    word = "fails" if failed else "is open"
    return f"{len(held)} of {len(findings)} findings hold; {word}: {left[0].text()}"


def _room(finding: Finding) -> float:
    """How far a finding that holds is from its bound, as a share of the bound's size."""
    ends = finding.interval or (min(finding.values), max(finding.values))
    gaps = [ends[0] - finding.least] if finding.least is not None else []
    gaps += [finding.most - ends[1]] if finding.most is not None else []
    scale = max(abs(finding.mean), max(abs(b) for b in (finding.least, finding.most) if b is not None), 1e-12)
    return min(gaps, default=0.0) / scale
