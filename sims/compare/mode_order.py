"""The spectral bias tested: predicted against measured order and times of the modes, scored over seeds.

The same two events (``compare.mode_events``) are read from the predicted flow and from every run. Neither sees the
other: the prediction comes from the task and the model's settings. Scores of each run, then over the seeds:

- order, for growth and for filtering: Somers' D of the prediction given the measurement,

      D = (concordant - discordant) / (pairs of modes the run separates),

  1 for the predicted order, 0 for a random one, -1 for the reverse. Pairs tied in the run, by resolution or because
  neither mode has an event, are left out; pairs tied in the prediction count for neither side. (D + 1) / 2 is Harrell's
  concordance index. Undefined, and left out, for a run in which no two modes are told apart.
- times: root mean square of log10(measured / predicted) over the modes with an event in both. Where flow time is not
  known from the settings, one time scale a model is fitted to all its events and seeds.
- selection: the overlap sum_k min(p_k, q_k) of predicted and measured shares of the centred energy over eigenspaces at
  the last record, 1 for equal shares; beside it what an embedding with equal energy in every dimension would score,
  and the measured share in the predicted survivors (the modes within FACTOR of the largest).

Intervals are Student's t over seeds, 95 %: where the mean over new seeds would lie, for this graph, this model and
these settings. Their n is the number of seeds, not of modes. An interval of length zero says that the seeds agree, not
that the order is beyond chance: a path-star with four arms of length five has eight eigenspaces to order, a cycle of 15
has seven. That is what the p-value is for: the share of random orders of the predicted modes whose mean D is at least
as large, over all of them up to seven modes, over 9,999 random ones beyond.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fiedler.theory import Eigenspaces

from ..predict.trajectory import PredictedTrajectory
from ..runs.recorder import Modes
from ..scores.statistics import finite_values, mean, mean_interval
from .mode_events import FACTOR, ModeEvents, centred_dimensions, filtering_events, followed_spaces, growth_events

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

PERMUTATIONS = 9_999  # with fewer orders than this (up to seven modes) every one is tried
SIGN_ENTRIES = 1 << 22  # entries of a batch of permuted sign matrices: tens of megabytes


@dataclass(frozen=True)
class OverSeeds:
    """One number a seed, NaN where it is undefined, with the mean of the others and its t interval (``low``, ``high``),
    None for fewer than two of them. ``limits``: the range the number itself is confined to."""

    values: tuple[float, ...]
    limits: tuple[float, float] = (-np.inf, np.inf)

    @cached_property
    def defined(self) -> Floats:
        """The values that are not NaN."""
        return finite_values(self.values)

    @property
    def mean(self) -> float:
        """NaN without a defined value."""
        return mean(self.defined)

    @property
    def interval(self) -> tuple[float, float] | None:
        """The t interval of the mean over seeds, cut at ``limits``."""
        ends = mean_interval(self.defined)
        return None if ends is None else (max(ends[0], self.limits[0]), min(ends[1], self.limits[1]))

    def describe(self) -> dict[str, Any]:
        """For scores.json."""
        return {"mean": self.mean, "interval": self.interval, "seeds": len(self.defined), "values": self.values}


@dataclass(frozen=True, eq=False)
class OrderScore:
    """How well one kind of event follows the predicted order. ``predicted``: its events; ``measured``: those of every
    run. ``order``: Somers' D a seed; ``p_value``: NaN where no seed has a D."""

    predicted: ModeEvents
    measured: tuple[ModeEvents, ...]
    order: OverSeeds
    p_value: float

    def describe(self) -> dict[str, Any]:
        """For scores.json; times in flow time and in steps, null for modes without an event."""
        return {
            "order": self.order.describe(),
            "p_value": self.p_value,
            "predicted_events": int(self.predicted.happened.sum()),
            "measured_events": [int(events.happened.sum()) for events in self.measured],
            "predicted_times": self.predicted.times,
            "measured_steps": [events.times for events in self.measured],
        }


@dataclass(frozen=True, eq=False)
class SpectralBias:
    """The scores of one model on one graph. ``followed``: the eigenspaces that are scored. ``time_scale``: flow time a
    step, fitted if ``fitted`` (NaN when no mode has an event in both). ``compared``: events in both, a seed.
    ``overlap``, ``overlap_by_chance``, ``survivors`` (indices of eigenspaces) and ``share_of_survivors``: see the
    module. ``predicted_share`` and ``measured_share``: of the energy at the end, all eigenspaces; (k,), (seeds, k)."""

    followed: Integers
    growth: OrderScore
    filtering: OrderScore
    time_scale: float
    fitted: bool
    time_error: OverSeeds
    compared: tuple[int, ...]
    predicted_share: Floats
    measured_share: Floats
    overlap: OverSeeds
    overlap_by_chance: float
    survivors: tuple[int, ...]
    share_of_survivors: OverSeeds

    def describe(self) -> dict[str, Any]:
        """For scores.json."""
        return {
            "eigenspaces": self.followed,
            "growth": self.growth.describe(),
            "filtering": self.filtering.describe(),
            "time_scale": self.time_scale,
            "time_scale_fitted": self.fitted,
            "time_error_log10": self.time_error.describe(),
            "events_compared": self.compared,
            "predicted_share": self.predicted_share,
            "measured_share": self.measured_share,
            "overlap": self.overlap.describe(),
            "overlap_by_chance": self.overlap_by_chance,
            "predicted_survivors": self.survivors,
            "share_of_survivors": self.share_of_survivors.describe(),
        }


def spectral_bias(
    predicted: PredictedTrajectory,
    initial_energy: float,
    runs: Sequence[Modes],
    time_per_step: float | None,
    spaces: Eigenspaces,
) -> SpectralBias:
    """Score recorded runs against the flow from K(0) = ``initial_energy`` I; see the module.

    ``time_per_step``: flow time of a step, None to fit one. Raises ValueError for no runs or a start that is not
    positive.
    """
    if not runs or not initial_energy > 0:
        raise ValueError(f"a score needs a run and an initial energy above 0; got {len(runs)} and {initial_energy}")
    followed, dimensions = followed_spaces(spaces), centred_dimensions(spaces)
    size = dimensions[followed]
    start = np.full((1, len(followed)), initial_energy)
    flow = np.concatenate([start, predicted.centred_energy[:, followed] / size])
    flow_times = np.concatenate([[0.0], predicted.times])
    recorded = [(run.steps.astype(np.float64), run.centred_energy[:, followed] / size) for run in runs]
    growth, filtering = (
        _order(events(flow_times, flow), tuple(events(*energies) for energies in recorded))
        for events in (growth_events, filtering_events)
    )
    ratios = [_log_ratios((growth, filtering), seed) for seed in range(len(runs))]
    every = np.concatenate(ratios)
    fitted = time_per_step is None
    shift = float(every.mean()) if fitted and len(every) else -np.log10(time_per_step) if time_per_step else np.nan
    enough = 2 if fitted and len(runs) == 1 else 1  # one event would be fitted exactly
    errors = [float(np.sqrt(((r - shift) ** 2).mean())) if len(r) >= enough else np.nan for r in ratios]
    share = _share(predicted.centred_energy[-1])
    measured = np.array([_share(run.centred_energy[-1]) for run in runs])
    survivors = followed[flow[-1] >= flow[-1].max(initial=0.0) / FACTOR]
    return SpectralBias(
        followed,
        growth,
        filtering,
        time_scale=float(10**-shift),
        fitted=fitted,
        time_error=OverSeeds(tuple(errors), (0.0, np.inf)),
        compared=tuple(len(r) for r in ratios),
        predicted_share=share,
        measured_share=measured,
        overlap=OverSeeds(tuple(float(np.minimum(share, q).sum()) for q in measured), (0.0, 1.0)),
        overlap_by_chance=float(np.minimum(share, dimensions / dimensions.sum()).sum()),
        survivors=tuple(int(k) for k in survivors),
        share_of_survivors=OverSeeds(tuple(float(q[survivors].sum()) for q in measured), (0.0, 1.0)),
    )


def somers_d(measured: NDArray[Any], predicted: NDArray[Any]) -> float:
    """Somers' D of ``predicted`` given ``measured``, both (modes,) and ascending in time; NaN when all of ``measured``
    are tied. Source: Somers 1962."""
    weight = _signs(np.asarray(measured))
    pairs = np.abs(weight).sum()
    return float((weight * _signs(np.asarray(predicted))).sum() / pairs) if pairs else np.nan


def _order(expected: ModeEvents, seen: tuple[ModeEvents, ...]) -> OrderScore:
    values = tuple(somers_d(events.records, expected.records) for events in seen)
    return OrderScore(expected, seen, OverSeeds(values, (-1.0, 1.0)), _p_value(expected, seen))


def _p_value(expected: ModeEvents, seen: tuple[ModeEvents, ...]) -> float:
    """The share of orders of the predicted events with at least the mean D of the predicted one, itself included."""
    signs = [_signs(events.records) for events in seen]
    signs = [order / np.abs(order).sum() for order in signs if order.any()]
    if not signs:
        return np.nan
    weight = np.mean(signs, axis=0)  # the mean of D over seeds is linear in the signs of the prediction

    def mean_d(order: NDArray[Any], axis: int) -> NDArray[Any]:
        last = np.moveaxis(order, axis, -1)
        return (_signs(last) * weight).sum(axis=(-1, -2)).round(12)

    modes = len(expected.records)
    from scipy import stats  # half a second to import

    test = stats.permutation_test(
        (expected.records,),
        mean_d,
        permutation_type="pairings",
        alternative="greater",
        n_resamples=PERMUTATIONS,
        vectorized=True,
        batch=max(1, SIGN_ENTRIES // modes**2),
        rng=np.random.default_rng(0),
    )
    return float(test.pvalue)


def _signs(times: NDArray[Any]) -> Floats:
    """sign(t_i - t_j) over the last axis."""
    return np.asarray(np.sign(times[..., :, None] - times[..., None, :]), dtype=np.float64)


def _log_ratios(scores: Sequence[OrderScore], seed: int) -> Floats:
    """log10(measured steps / predicted time) of every event of a run that has both, both after the start."""
    ratios = []
    for score in scores:
        steps, times = score.measured[seed].times, score.predicted.times
        both = np.isfinite(steps) & np.isfinite(times) & (steps > 0) & (times > 0)
        ratios.append(np.log10(steps[both] / times[both]))
    return np.concatenate(ratios)


def _share(energy: Floats) -> Floats:
    """Of the whole, all zero for an embedding that is zero after centring."""
    total = float(energy.sum())
    return energy / total if total > 0 else np.zeros_like(energy)
