"""Which lines and dots a plot of mode energies has: the energy of some eigenspaces, predicted and measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..predict.trajectory import PredictedTrajectory
from .comparison import geometric_mean
from .trajectory_fit import VISIBLE_SHARE, interpolate_energy

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

LARGEST_MODES = 2  # of those with a line; the others are spread over the spectrum
SEEN = 1e-4  # of the energy at some time: modes with less have no line
ROUNDING = 1e-9  # eigenvalues below it are zero but for rounding, and are labelled so


@dataclass(frozen=True)
class ModeGroup:
    """Eigenspaces whose summed energy is one series, and how it looks."""

    label: str
    members: tuple[int, ...]
    colour: str
    marker: str
    dash: str


@dataclass(frozen=True, eq=False)
class EnergySeries:
    """The summed energy of ``group``: ``predicted`` (times of the prediction,) and, at the measured times (k,),
    ``expected``, both None without a prediction; ``measured`` (seeds, k) and its geometric mean ``centre`` (k,).
    ``dots``: the indices of the measured times that are drawn; ``compared``: those of them where the prediction holds
    a VISIBLE_SHARE of the whole energy, so that the ratio to it says something."""

    group: ModeGroup
    predicted: Floats | None
    expected: Floats | None
    measured: Floats
    centre: Floats
    dots: Integers
    compared: Integers

    @property
    def largest(self) -> float:
        """Of the predicted and measured energies."""
        predicted = 0.0 if self.predicted is None else float(self.predicted.max(initial=0.0))
        return max(predicted, float(self.measured.max(initial=0.0)))

    @property
    def log_ratio(self) -> Floats:
        """log10 of measured over predicted energy at ``compared``; empty without a prediction."""
        if self.expected is None:
            return np.zeros(0)
        return np.asarray(np.log10(self.centre[self.compared] / self.expected[self.compared]))


def energy_series(
    groups: Sequence[ModeGroup], times: Floats, energies: Floats, predicted: PredictedTrajectory | None, dots: int
) -> list[EnergySeries]:
    """One series a group, in their order. ``times`` (k,) and ``energies`` (seeds, k, modes) > 0 are the measured ones,
    in the units of ``predicted``; at most ``dots`` of the times are drawn, evenly along their axis."""
    drawn = np.unique(np.round(np.linspace(0, len(times) - 1, dots)).astype(np.int64))
    expected = None if predicted is None else interpolate_energy(predicted, times)
    series = []
    for group in groups:
        members = list(group.members)
        measured = energies[:, :, members].sum(axis=2)
        of_group = None if expected is None else expected[:, members].sum(axis=1)
        compared = drawn[:0]
        if expected is not None and of_group is not None:
            compared = drawn[(of_group >= VISIBLE_SHARE * expected.sum(axis=1))[drawn]]
        line = None if predicted is None else predicted.centred_energy[:, members].sum(axis=1)
        series.append(EnergySeries(group, line, of_group, measured, geometric_mean(measured), drawn, compared))
    return series


def spread_modes(energies: Sequence[Floats], count: int) -> Integers:
    """``count`` eigenspaces that are worth a line, ascending: the LARGEST_MODES of the largest share of the energy,
    averaged over log time and over ``energies``, each (k, modes), and others as far from them and from each other in
    the spectrum as can be, since neighbours in it look alike. Fewer where fewer have energy."""
    late, largest = [], []
    for energy in energies:
        total = energy.sum(axis=1, keepdims=True)
        share = energy / np.where(total > 0, total, 1.0)
        late.append(share[len(share) // 4 :].mean(axis=0))
        largest.append(share.max(axis=0))
    order = np.argsort(-np.mean(late, axis=0), kind="stable")
    seen = np.flatnonzero(np.max(largest, axis=0) >= SEEN)
    chosen = [int(k) for k in order if k in seen][: min(LARGEST_MODES, count)]
    while len(chosen) < min(count, len(seen)):
        left = np.setdiff1d(seen, chosen)
        ranks, taken = np.searchsorted(seen, left), np.searchsorted(seen, chosen)
        apart = np.abs(ranks[:, None] - taken).min(axis=1)
        chosen.append(int(left[np.argmax(apart)]))
    return np.array(sorted(chosen), dtype=np.int64)


def positive(energies: Floats) -> Floats:
    """Energies that are zero as the smallest positive number, so that they have a logarithm."""
    return np.maximum(energies, np.finfo(np.float64).tiny)


def eigenspace_name(eigenvalue: float, multiplicity: int) -> str:
    """ "0.5 (×2)"."""
    return f"{0.0 if abs(eigenvalue) < ROUNDING else eigenvalue:.3g} (×{multiplicity})"
