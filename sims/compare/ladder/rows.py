"""The ladder's table: for every rung of a comparison, predicted beside measured, over the seeds."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...predict.trajectory import Late, centred_spectrum, within
from ...runs.control import UNWATCHED, Watch
from ...scores.statistics import finite_values, mean
from ..comparison import Comparison
from ..model_comparison import ModelComparison
from .agreement import Agreement, agreement
from .bridge import Bridge
from .limit import RungLimit, limit_of
from .prediction import RungPrediction, predict_rung
from .ranks import Ranks
from .retention import first_share, retention

Floats = NDArray[np.float64]

SECONDS = 150.0  # for the predictions of all seeds of a model
HOLDS = 0.99  # R^2 over time, nothing fitted, from which a prediction is said to hold
LEADING = 3  # eigenvalues of a spectrum that tables show
SPECTRUM = 60  # and that scores.json keeps


@dataclass(frozen=True, eq=False)
class LadderRow:
    """One rung on one graph. ``predictions``, ``agreements``, measured ``ranks`` and, of untied models, ``bridges``:
    one a seed; ``measured`` and ``predicted`` (n,): the eigenvalues of the centred Gram matrix at the end, mean over
    seeds; ``limit``: where that goes. ``times`` (k,) > 0 of the records, in steps without flow time, and at them the
    share of energy in the first eigenspaces, ``share`` and ``predicted_share`` (seeds, k), see ``retention``."""

    compared: ModelComparison
    predictions: tuple[RungPrediction, ...]
    agreements: tuple[Agreement, ...]
    ranks: tuple[Ranks, ...]
    bridges: tuple[Bridge, ...]
    measured: Floats
    predicted: Floats
    limit: RungLimit
    times: Floats
    share: Floats
    predicted_share: Floats

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
        return bool(np.isfinite(self.agreements[0].over_time))

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
            "retention": dataclasses.asdict(retention(self.times, self.share[i])),
            "retention_predicted": dataclasses.asdict(retention(self.times, self.predicted_share[i])),
        }


@dataclass(frozen=True)
class Ladder:
    """The ``rows`` of one graph, in the order of its models, and why others have none, by their titles."""

    rows: tuple[LadderRow, ...]
    left_out: Mapping[str, str]


def ladder_of(comparison: Comparison, watch: Watch = UNWATCHED, seconds: float = SECONDS) -> Ladder:
    """One row for each model whose predictions of all seeds were done in ``seconds``. Raises Interrupted where
    ``watch`` asks to stop."""
    rows, left_out = [], {}
    for one in comparison.models:
        predictions, end = [], time.monotonic() + seconds
        try:
            for run in one.runs:
                stage = f"{one.model.title} flow from V(0), seed {run.seed}"
                predict = partial(predict_rung, comparison.task, one.model, one.settings, run.seed)
                predictions.append(within(max(end - time.monotonic(), 0.0), stage, watch, predict))
        except Late:
            done = f"the flows of {len(predictions)} of {len(one.runs)} seeds were done after {seconds:g} s"
            left_out[one.model.title] = done
            continue
        rows.append(_row(comparison, one, predictions))
    return Ladder(tuple(rows), left_out)


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
        tuple(agreements),
        tuple(Ranks.of(task, run.final.embedding, run.final.logits) for run in one.runs),
        tuple(
            Bridge.of(task, run.final.embedding, run.final.context)
            for run in one.runs
            if run.final.context is not None and first.bridge is not None
        ),
        measured,
        predicted,
        limit_of(task, first.start, one.optimum),
        times,
        first_share(np.array(energies)),
        first_share(np.array(expected)),
    )
