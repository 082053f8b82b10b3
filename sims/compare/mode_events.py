"""When each mode grows and when each mode is filtered out, as events of one trajectory of mode energies.

Both are read from the energy per dimension e_k = ||Pi_k C V||_F^2 / d_k, C = I - 11'/n the centring and
d_k = tr(Pi_k C) the dimensions that centring leaves of eigenspace k. From K(0) = s^2 I every e_k starts at s^2.

- growth: the first time at which e_k is FACTOR times its own start. From a small start, where e_k grows as
  exp(2 s_k t), that is ln(FACTOR) / (2 s_k).
- filtering: the first time at which e_k is 1/FACTOR of the largest. Whether modes grow from a small start or decay
  from a large one, their ratios are exponential at first: ln(FACTOR) / (2 (s_1 - s_k)). The modes that never get there
  survive. A mode may come back later; the first time counts.

Neither changes when the embedding is rotated or scaled, or when time is counted in other units. A mode without an event
by the last record has the time infinity: it is later than all that have one (right-censored at the same time for all).
Times between two records are interpolated linearly in log energy; which of two events came first is read from the
records alone, and two events within one recording interval are a tie.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fiedler.theory import Eigenspaces, reach_times

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

# One decade: far above the fluctuation of e_k at a random start (a factor 1 + sqrt(2 / (width d_k)), 1.25 at width 32)
# and reached while the modes still follow their own exponentials.
FACTOR = 10.0
# A space of which centring leaves less than this is the constant mode; what is left of it belongs to the others.
LEAST_DIMENSION = 0.5


@dataclass(frozen=True, eq=False)
class ModeEvents:
    """One event a mode: ``times`` (modes,), infinity where there is none, and ``records`` (modes,), the index of the
    first record at which it has happened, the number of records where it has not."""

    times: Floats
    records: Integers

    @property
    def happened(self) -> NDArray[np.bool_]:
        """Which modes have an event."""
        return np.isfinite(self.times)


def centred_dimensions(spaces: Eigenspaces) -> Floats:
    """d_k = tr(Pi_k (I - 11'/n)) of each eigenspace: its multiplicity, less its share of the constant vector."""
    n = len(spaces.basis)
    constant = np.bincount(spaces.labels, weights=spaces.basis.sum(axis=0) ** 2) / n
    return np.asarray(spaces.multiplicities - constant, dtype=np.float64)


def followed_spaces(spaces: Eigenspaces) -> Integers:
    """The eigenspaces whose events are read: all but the constant mode."""
    return np.flatnonzero(centred_dimensions(spaces) >= LEAST_DIMENSION)


def growth_events(times: Floats, energy: Floats, factor: float = FACTOR) -> ModeEvents:
    """When each mode has grown by ``factor``. ``times`` (k,) ascending from the start, ``energy`` (k, modes) >= 0 per
    dimension at them."""
    floored = _floored(energy)
    return _events(times, floored / floored[0], factor)


def filtering_events(times: Floats, energy: Floats, factor: float = FACTOR) -> ModeEvents:
    """When each mode has fallen behind the largest by ``factor``; arguments as ``growth_events``."""
    floored = _floored(energy)
    return _events(times, floored.max(axis=1, keepdims=True) / floored, factor)


def _floored(energy: Floats) -> Floats:
    """Energies that are zero (an underflow, an embedding that starts at zero) as the smallest ratio that is finite."""
    return np.maximum(energy, 1e-150 * max(float(energy.max(initial=0.0)), 1e-150))


def _events(times: Floats, ratio: Floats, factor: float) -> ModeEvents:
    if not factor > 1:
        raise ValueError(f"factor must be above 1; got {factor}")
    seen = ratio >= factor
    records = np.where(seen.any(axis=0), seen.argmax(axis=0), len(times))
    return ModeEvents(reach_times(times, ratio, factor), records.astype(np.int64))
