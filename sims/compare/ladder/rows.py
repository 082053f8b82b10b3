"""The ladder's table: for every rung of a comparison, predicted beside measured, over the seeds."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...predict.trajectory import centred_spectrum
from ...runs.control import UNWATCHED, Watch
from ...runs.workers import STOP_FILE, Work, processes, side_by_side
from ...scores.statistics import finite_values, mean
from ..comparison import Comparison
from ..model_comparison import ModelComparison
from .agreement import HOLDS, Agreement, agreement
from .bridge import Bridge
from .course import RungCourse
from .limit import RungLimit, limit_of
from .prediction import RungPrediction, predict_in_time
from .ranks import Ranks
from .retention import retention

Floats = NDArray[np.float64]
Answer = tuple[RungPrediction, ...] | str
Predict = Work[Answer]

SECONDS = 300.0  # for the predictions of all seeds of a model; those of the presets take 30 where nothing else runs
LEADING = 3  # eigenvalues of a spectrum that tables show
SPECTRUM = 60  # and that scores.json keeps


@dataclass(frozen=True, eq=False)
class LadderRow:
    """One rung on one graph. ``predictions``, measured ``ranks`` and, of untied models, ``bridges``: one a seed;
    ``course``: the energies over time, with their agreement; ``measured`` and ``predicted`` (n,): the eigenvalues of
    the centred Gram matrix at the end, mean over seeds; ``limit``: where that goes."""

    compared: ModelComparison
    predictions: tuple[RungPrediction, ...]
    course: RungCourse
    ranks: tuple[Ranks, ...]
    bridges: tuple[Bridge, ...]
    measured: Floats
    predicted: Floats
    limit: RungLimit

    @property
    def agreements(self) -> tuple[Agreement, ...]:
        """One a seed."""
        return self.course.agreements

    @property
    def exact(self) -> bool:
        """Whether the prediction is the flow of the very model."""
        return self.predictions[0].start.exact

    @property
    def parts(self) -> tuple[str, ...]:
        """What the model has that the prediction leaves out."""
        return self.predictions[0].start.parts

    @property
    def has_clock(self) -> bool:
        """Whether its steps are flow time, so that nothing has to be fitted."""
        return self.course.has_clock

    @property
    def holds(self) -> bool | None:
        """Whether R^2 over time is at least HOLDS for every seed with nothing fitted; None without flow time."""
        return all(one.over_time >= HOLDS for one in self.agreements) if self.has_clock else None

    @property
    def spectrum_error(self) -> float:
        """||measured - predicted|| / ||predicted|| of the eigenvalues."""
        return float(np.linalg.norm(self.measured - self.predicted) / np.linalg.norm(self.predicted))

    def over_seeds(self, name: str) -> float:
        """Mean over the seeds of a field of ``Agreement``; NaN where no seed has it."""
        values = [getattr(one, name) for one in self.agreements]
        return mean(finite_values([float("nan") if value is None else value for value in values]))

    def worst(self, name: str) -> float:
        """The smallest over the seeds."""
        return min(getattr(one, name) for one in self.agreements)

    @property
    def parted(self) -> tuple[float, int]:
        """The median time at which a seed parts from its prediction, infinity for one that never does, and how many
        do."""
        times = [np.inf if one.parted_at is None else one.parted_at for one in self.agreements]
        return float(np.median(times)), int(np.isfinite(times).sum())

    def describe(self) -> dict[str, Any]:
        """As scores.json has it."""
        return {
            "model": self.compared.model.name,
            "title": self.compared.model.title,
            "exact": self.exact,
            "left_out": list(self.parts),
            "holds": self.holds,
            "spectrum_predicted": self.predicted[:SPECTRUM].tolist(),
            "spectrum_measured": self.measured[:SPECTRUM].tolist(),
            "spectrum_error": self.spectrum_error,
            "spectrum_limit": None if self.limit.spectrum is None else self.limit.spectrum[:SPECTRUM].tolist(),
            "no_limit": self.limit.reason if self.limit.spectrum is None else "",
            "seeds": [self._describe_seed(i) for i in range(len(self.agreements))],
        }

    def _describe_seed(self, i: int) -> dict[str, Any]:
        bridges = (self.bridges[i] if self.bridges else None, self.predictions[i].bridge)
        return {
            "seed": self.compared.runs[i].seed,
            **dataclasses.asdict(self.agreements[i]),
            "ranks": dataclasses.asdict(self.ranks[i]),
            "ranks_predicted": dataclasses.asdict(self.predictions[i].ranks),
            "bridge": None if bridges[0] is None else dataclasses.asdict(bridges[0]),
            "bridge_predicted": None if bridges[1] is None else dataclasses.asdict(bridges[1]),
            "retention": dataclasses.asdict(retention(self.course.times, self.course.share[i])),
            "retention_predicted": dataclasses.asdict(retention(self.course.times, self.course.predicted_share[i])),
        }


@dataclass(frozen=True)
class Ladder:
    """The ``rows`` of one graph, in the order of its models, and why others have none, by their titles."""

    rows: tuple[LadderRow, ...]
    left_out: Mapping[str, str]


def ladder_of(comparison: Comparison, watch: Watch = UNWATCHED, seconds: float = SECONDS) -> Ladder:
    """One row for each model whose predictions of all seeds were done in ``seconds``. Raises Interrupted where
    ``watch`` asks to stop."""
    return ladders_of([("", comparison)], watch=watch, seconds=seconds)[0]


def ladders_of(
    comparisons: Sequence[tuple[str, Comparison]],
    folder: Path | None = None,
    *,
    jobs: int | None = 1,
    watch: Watch = UNWATCHED,
    seconds: float = SECONDS,
) -> list[Ladder]:
    """``ladder_of`` every named comparison, to the bit, with the predictions in ``jobs`` processes (None: one for each
    CPU), which look into ``folder`` whether to stop."""
    works = [
        (
            name,
            partial(predict_in_time, whole.task, one.model, one.settings, [run.seed for run in one.runs], seconds),
        )
        for name, whole in comparisons
        for one in whole.models
    ]
    count = min(processes(jobs), len(works))
    if folder is None or count <= 1:
        found = [work(watch=watch.within(name) if name else watch) for name, work in works]
    else:
        found = _side_by_side(works, count, folder / STOP_FILE, watch)
    answers, ladders = iter(found), []
    for _, whole in comparisons:
        rows: list[LadderRow] = []
        left_out: dict[str, str] = {}
        for one in whole.models:
            answer = next(answers)
            if isinstance(answer, str):
                left_out[one.model.title] = answer
            else:
                rows.append(_row(whole, one, answer))
        ladders.append(Ladder(tuple(rows), left_out))
    return ladders


def _side_by_side(works: Sequence[tuple[str, Predict]], count: int, file: Path, watch: Watch) -> list[Answer]:
    """The answers in the order of the works; the last, as a ladder's longest, are begun first."""
    stage, found = "predictions", dict[int, Answer]()
    watch.report(stage, 0.0)
    for place, answer in side_by_side(works[::-1], count, file, watch, kind="predicting"):
        found[len(works) - 1 - place] = answer
        watch.report(stage, len(found) / len(works))
    return [found[place] for place in range(len(works))]


def _row(comparison: Comparison, one: ModelComparison, predictions: Sequence[RungPrediction]) -> LadderRow:
    task, clock = comparison.task, one.model.time_per_step(one.settings)
    used = one.runs[0].modes.steps > 0
    steps = one.runs[0].modes.steps[used].astype(np.float64)
    energies = [run.modes.centred_energy[used] for run in one.runs]
    predicted_energies = [prediction.predicted for prediction in predictions]
    agreements = [agreement(p, steps, e, clock) for p, e in zip(predicted_energies, energies, strict=True)]
    times = steps * (1.0 if clock is None else clock)
    scale = [found.clock if clock is None else 1.0 for found in agreements]
    expected = [p.at(factor * times) for p, factor in zip(predicted_energies, scale, strict=True)]
    components = task.graph.component_labels
    finals = [np.asarray(run.final.embedding, dtype=np.float64) for run in one.runs]
    measured = np.mean([centred_spectrum(v, components) for v in finals], axis=0)
    predicted = np.mean([prediction.spectrum for prediction in predictions], axis=0)
    first = predictions[0]
    return LadderRow(
        one,
        tuple(predictions),
        RungCourse(
            one.model.title,
            tuple(run.seed for run in one.runs),
            tuple(agreements),
            times,
            np.array(energies),
            np.array(expected),
        ),
        tuple(Ranks.of(task, run.final.embedding, run.final.logits) for run in one.runs),
        tuple(
            Bridge.of(task, run.final.embedding, run.final.context)
            for run in one.runs
            if run.final.context is not None and first.bridge is not None
        ),
        measured,
        predicted,
        limit_of(task, first.start, one.optimum),
    )
