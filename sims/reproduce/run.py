"""Running claims: their cells through the sweep engine, within a budget, and the verdicts.

OUT/claims/NAME.json      the last verdict on each claim (``reproduce.record``)
OUT/points/KEY/seedS/     one run folder for each cell and seed, shared by claims that ask for the same cell
OUT/sweep.json, ...       of the engine (``sweep.run``)
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..runs.stopping import Interrupted, StopRequest
from ..runs.workers import processes
from ..sweep.plan import SweepPlan
from ..sweep.point import Outcome, read_failure, read_scores
from ..sweep.run import TIMINGS, Counts, outstanding, run_sweep
from ..sweep.table import run_seconds
from ..tasks.search import Search
from .cell import CellPoint
from .claim import Cell, Claim
from .criterion import LEAST_SEEDS
from .measured import Measured
from .record import read_record, write_record
from .verdict import NOT_MEASURED, Verdict

SEEDS = LEAST_SEEDS  # by default as many as a verdict needs
SEARCH = Search(optimum=None)
LEAST_SECONDS = 1.0  # of a claim, so that what is left of it is never called nothing


class Deadline(StopRequest):
    """Asks to stop when ``stop`` does, or ``seconds`` have passed."""

    def __init__(self, seconds: float | None, stop: StopRequest | None = None) -> None:
        super().__init__()
        self._stop = stop
        self._end = float("inf") if seconds is None else time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds, below zero once they have passed."""
        return self._end - time.monotonic()

    @property
    def stopped(self) -> bool:
        """Whether somebody asked, not the clock."""
        return self.signalled or (self._stop is not None and self._stop.asked)

    @property
    def asked(self) -> bool:
        return self.stopped or self.left <= 0


@dataclass(frozen=True)
class Work:
    """What of a claim is left: ``runs`` of ``of``, about ``seconds`` on one core."""

    claim: Claim
    runs: int
    of: int
    seconds: float


@dataclass(frozen=True)
class Backend:
    """Where cells run, as ``run_sweep`` takes it."""

    jobs: int | None = None
    name: str = "local"
    address: str | None = None


def work_left(claim: Claim, seeds: Sequence[int], out: Path) -> Work:
    """How much of ``claim`` is not finished in ``out``; cells that cannot be run do not count."""
    counts = [outstanding(plan, out, True, SEARCH)[0] for plan in _plans(claim, seeds)]
    total, left = sum(one.total for one in counts), sum(one.total - one.done for one in counts)
    share = left / total if total else 0.0
    scale = len(seeds) / SEEDS if any(cell.seeded for cell in claim.cells) else 1.0
    return Work(claim, left, total, max(LEAST_SECONDS, claim.seconds * scale * share) if left else 0.0)


def run_claims(
    claims: Sequence[Claim],
    out: Path,
    *,
    seeds: Sequence[int] = tuple(range(SEEDS)),
    budget: float | None = None,
    backend: Backend = Backend(),
    overwrite: bool = False,
    stop: StopRequest | None = None,
    on_claim: Callable[[Claim, Verdict | None], None] = lambda claim, verdict: None,
    on_outcome: Callable[[Counts, Outcome | None], None] | None = None,
) -> dict[str, Verdict]:
    """The verdict on each of ``claims``, the cheapest first, all written into ``out``.

    Finished cells of the same configuration are only read, failed ones tried again; ``overwrite`` runs all of these
    claims' cells anew. ``budget``: wall seconds after which nothing is running any more; a claim whose estimate does
    not fit into what is left is not begun, and one that is cut short keeps what it has for the next call.
    ``on_claim(claim, None)`` is called as a claim begins, with its verdict as it ends.

    Raises ValueError for a folder that is not of this command, or in use; Interrupted where ``stop`` asks.
    """
    deadline = Deadline(budget, stop)
    run_sweep(SweepPlan("reproduce", (), (0,), (), {}), out)  # the folder is of this command, and nobody else's
    if overwrite:
        for claim in claims:
            _remove(claim, seeds, out)
    verdicts: dict[str, Verdict] = {}
    for claim in sorted(claims, key=lambda claim: work_left(claim, seeds, out).seconds):
        if deadline.stopped:
            raise Interrupted(f"interrupted with {len(claims) - len(verdicts)} claims left: the same command goes on")
        on_claim(claim, None)
        work = work_left(claim, seeds, out)  # cells that it shares with an earlier claim are done by now
        if work.seconds / min(processes(backend.jobs), max(1, work.runs)) > deadline.left:
            late = f"about {work.seconds:.0f} s of work did not fit into the time left of the budget"
        else:
            late = _run(claim, seeds, out, backend, deadline, on_outcome)
        measured = measure(claim, seeds, out)
        verdict = claim.judge(measured)
        if late and verdict.status == NOT_MEASURED:
            verdict = Verdict(NOT_MEASURED, late)
        known = read_record(claim, out)
        if verdict.status != NOT_MEASURED or known is None or known.verdict.status == NOT_MEASURED or not late:
            write_record(claim, verdict, measured, tuple(seeds), _seconds(claim, seeds, out), out)
        verdicts[claim.name] = verdict
        on_claim(claim, verdict)
    return verdicts


def measure(claim: Claim, seeds: Sequence[int], out: Path) -> Measured:
    """The scores of every finished cell of ``claim``; a cell lacking a seed is missing, with the reason."""
    scores, missing = {}, {}
    for cell in claim.cells:
        try:
            point = CellPoint.of(cell)
        except ValueError as error:
            missing[cell.name] = str(error)
            continue
        found = {seed: read_scores(point, seed, out) for seed in _seeds(cell, seeds)}
        gaps = [seed for seed, one in found.items() if one is None]
        if gaps:
            why = read_failure(point, gaps[0], out) or "not run"
            missing[cell.name] = f"{len(gaps)} of {len(found)} runs are missing (seed {gaps[0]}: {why})"
        else:
            scores[cell.name] = [one for one in found.values() if one is not None]
    return Measured(scores, missing)


def _run(
    claim: Claim, seeds: Sequence[int], out: Path, backend: Backend, deadline: Deadline,
    on_outcome: Callable[[Counts, Outcome | None], None] | None,
) -> str:  # fmt: skip
    """Why something of it was left undone, "" where nothing was."""
    try:
        for plan in _plans(claim, seeds):
            run_sweep(
                plan, out, jobs=backend.jobs, backend=backend.name, address=backend.address, retry_failed=True,
                search=SEARCH, on_outcome=on_outcome, stop=deadline,
            )  # fmt: skip
    except Interrupted:
        why = "interrupted" if deadline.stopped else "the time ran out"
        return f"{why}: what is done is kept, the same command goes on"
    return ""


def _plans(claim: Claim, seeds: Sequence[int]) -> Iterator[SweepPlan]:
    """Of the cells with seeds, and of those in which nothing is random."""
    for kind in (True, False):
        found = [_point(cell) for cell in claim.cells if cell.seeded == kind]
        points = dict.fromkeys(point for point in found if point is not None)
        if points:
            yield SweepPlan(claim.name, tuple(points), tuple(seeds) if kind else (0,), (), {})


def _point(cell: Cell) -> CellPoint | None:
    """None for one that cannot be run; ``measure`` says why."""
    try:
        return CellPoint.of(cell)
    except ValueError:
        return None


def _seeds(cell: Cell, seeds: Sequence[int]) -> Sequence[int]:
    return seeds if cell.seeded else (0,)


def _remove(claim: Claim, seeds: Sequence[int], out: Path) -> None:
    for cell in claim.cells:
        point = _point(cell)
        for seed in _seeds(cell, seeds) if point is not None else ():
            if point is not None and point.folder(out, seed).is_dir():
                shutil.rmtree(point.folder(out, seed))


def _seconds(claim: Claim, seeds: Sequence[int], out: Path) -> float:
    """Of the last run of each cell and seed."""
    known = run_seconds(out / TIMINGS)
    return sum(
        known.get((point.key, seed), 0.0)
        for cell in claim.cells
        if (point := _point(cell)) is not None
        for seed in _seeds(cell, seeds)
    )
