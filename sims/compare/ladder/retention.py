"""Whether the geometry a run comes to is kept: the share of its energy in the first eigenspaces, over time.

Share f(t): the centred energy in the first non-trivial eigenspace of the graph's Laplacian (the Fiedler vectors, of a
path-star all of its arms) over that in all. A small start first grows along the fastest modes, so that f rises; the
slower ones follow, and where the limit holds energy in them f falls again: a peak is no fixed point.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

FIRST = 1  # the eigenspace after that of the eigenvalue zero


@dataclass(frozen=True)
class Retention:
    """``peak``: the largest share, at ``peak_time``; ``end``: the share at the last time."""

    peak: float
    peak_time: float
    end: float

    @property
    def kept(self) -> float:
        """end / peak."""
        return self.end / self.peak if self.peak > 0 else float("nan")


@dataclass(frozen=True, eq=False)
class Shares:
    """f of one model on one graph: its ``title``; ``measured`` (seeds, k) at ``times`` (k,) > 0, flow time or, without
    a ``clock``, steps; ``predicted`` (flows, k) at the same, None where nothing is."""

    title: str
    times: Floats
    measured: Floats
    predicted: Floats | None
    clock: bool

    @property
    def median(self) -> Floats:
        """(k,): over seeds."""
        return np.asarray(np.median(self.measured, axis=0))

    @property
    def retention(self) -> Retention:
        """Of the median."""
        return retention(self.times, self.median)


def first_share(energy: Floats) -> Floats:
    """f of centred energies (..., modes); 0 where there is none, or no other eigenspace than that of zero."""
    total = energy.sum(axis=-1)
    if energy.shape[-1] <= FIRST:
        return np.zeros_like(total)
    return np.asarray(np.divide(energy[..., FIRST], total, out=np.zeros_like(total), where=total > 0))


def retention(times: Floats, share: Floats) -> Retention:
    """Of shares (k,) at ``times`` (k,)."""
    best = int(share.argmax())
    return Retention(float(share[best]), float(times[best]), float(share[-1]))
