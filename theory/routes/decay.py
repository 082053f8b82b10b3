"""At which weight decay each mode of the optimum dies, as the decay l of L + l tr K (untied: L + l ||Z||_*) grows.

K*(l) is the Gram matrix of the optimal V: tied the K of ``optimum.tied``, untied (Z Z')^(1/2) of the logits of
``optimum.untied``. Its centred rank changes at finitely many decays (it is definable from exp and polynomials, an
o-minimal structure); between two of them K* is an analytic function of l, wherever it satisfies strict complementarity
(the implicit function theorem at fixed rank). So its energy tr(Pi_k K*) in the k-th eigenspace of the symmetrized
random-walk Laplacian vanishes on all of such an interval or at isolated points of it only, and

    lambda_k = the largest rank change below which the energy of space k does not vanish identically:

at and above lambda_k the optimum has no centred energy in space k. The largest rank change of all is closed-form:
K* = 0 exactly when l >= lambda_max(S at K = 0), half the largest growth rate of ``routes.growth`` (untied: ||R at
0||_2). The others are found by solving along a grid of decays and bisecting wherever the rank differs.

What a mode is. Where symmetry alone fixes the modes (cycles, tori, Hamming and distance-regular graphs) a rank change
is the death of one Laplacian eigenspace. Elsewhere (path-stars inside a symmetry class, karate) S couples spaces: the
first direction to appear overlaps all that it is coupled to, which then share its lambda_k, and later rank changes
belong mainly to one space, named with its ``share``.
Not monotone: a space may die below as well as above. On the 15-cycle the second mode lives for 0.0165 < l < 0.627
only: without decay the optimum has the first mode alone. ``births`` tells. Rank changes that cancel between two
neighbouring decays of the grid, and all below ``lowest``, are missed.

Weight decay of gradient descent: tied, l of the objective L + l ||V||^2; untied, L + (l/2)(||V||^2 + ||U||^2): l is the
``weight_decay`` of ``flow.at_times`` and of Node2VecSettings in both. Row weights one unless given. Equations are
ours; the closed form of the largest is the condition for zero in ``optimum.tied`` and ``optimum.untied``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..checks import Array, check_dense, check_flag, check_number, check_whole_number, shown
from ..graphs.graph import Graph, check_graph
from ..softmax import check_row_weight, check_target
from ..spectra.closed_form import Spectrum
from ..spectra.laplacians import Eigenspaces, check_spaces, laplacian_eigenspaces
from ..targets.one_hop import one_hop_sparse, one_hop_target
from .decay_modes import BlockModes, OptimumModes, dense_modes
from .growth import growth_rates, target_growth_rates
from .optimum import useful_symmetry

SCAN = 25  # decays of the grid, evenly spaced in log decay
MOST_SCANNED = 10_000  # decays of a grid: a mistyped number is refused
FIRST = 1e-3  # the grid starts this far below the closed-form threshold, relative to it: closer the optimum is rounding
BLOCKS_FROM = 64  # nodes from which the blocks of a symmetry are faster than the whole matrix
INSIDE = (0.25, 0.5, 0.75)  # where an interval between rank changes is asked which spaces are alive in it
ROUNDING = 1e-12  # of a growth rate: a complete graph's are zero


@dataclass(frozen=True, eq=False)
class DecayThresholds:
    """The decays at which modes of the optimum die.

    Per eigenspace of the symmetrized random-walk Laplacian, ascending, (q,): ``eigenvalues``, ``multiplicities``;
    ``thresholds`` lambda_k, 0 for a space without energy at every decay looked at; ``births``, the rank change at which
    its energy begins as the decay grows from ``lowest`` (dead below): 0 for a space that is alive at ``lowest``, NaN
    for one that never is. In between it may be dead and alive again: see ``spaces``.
    Per rank change, descending, (c,): ``decays`` (the least decay known to be on the upper side); ``widths``, how far
    below it the change may be, relative to it; ``lower_ranks`` and ``upper_ranks``, the centred rank on either side;
    ``spaces``, the eigenspace that holds most of the directions that appear or vanish, and ``shares``, how much of them
    (1 where symmetry fixes the modes). ``zero_from``: the decay at and above which the optimum is zero (0: always).
    ``lowest``: the lowest decay looked at.
    """

    tied: bool
    eigenvalues: Array
    multiplicities: NDArray[np.int64]
    thresholds: Array
    births: Array
    decays: Array
    widths: Array
    lower_ranks: NDArray[np.int64]
    upper_ranks: NDArray[np.int64]
    spaces: NDArray[np.int64]
    shares: Array
    zero_from: float
    lowest: float
    method: str


def decay_thresholds(
    graph: Graph,
    *,
    tied: bool = True,
    self_edges: bool = False,
    label_smoothing: float = 0.0,
    lowest: float = 1e-2,
    tolerance: float = 1e-6,
    scan: int = SCAN,
) -> DecayThresholds:
    """The thresholds for the one-hop target of ``graph``; see the module for what they are.

    Decays from ``lowest`` times the largest threshold are looked at, ``scan`` of them before bisection down to the
    relative ``tolerance``. Each costs an optimum: on the blocks of the graph's symmetry where it has enough and more
    than BLOCKS_FROM nodes (the cost then does not grow with n), else dense, up to DENSE_LIMIT nodes, with about
    log2(1 / tolerance) optima per rank change. Near a rank change the solver may find no certified optimum: the
    bisection ends there, and ``widths`` says so. Raises ValueError for a bad option, an isolated node without
    self-edges or too large a graph; RuntimeError when no optimum is found at a decay of the grid.

    >>> from fiedler.theory import decay_thresholds, parse
    >>> thresholds = decay_thresholds(parse("grid:2x3"))
    >>> thresholds.decays.round(4).tolist()  # where the rank of the optimum changes
    [0.5, 0.1785, 0.0767]
    >>> thresholds.lower_ranks.tolist(), thresholds.upper_ranks.tolist()  # just below and above them
    ([1, 2, 3], [0, 1, 2])
    """
    one_sided = check_flag(tied, "tied")
    one_hop_sparse(check_graph(graph), self_edges=self_edges)  # the error for isolated nodes, which names them
    options: dict[str, Any] = {"self_edges": self_edges, "label_smoothing": label_smoothing}
    symmetry = useful_symmetry(graph) if graph.n > BLOCKS_FROM else None
    if symmetry is not None:
        blocks = BlockModes(symmetry, symmetry.target(**options), one_sided)
        rates = growth_rates(graph, tied=one_sided, **options)
        follower = _Follower(blocks.modes, blocks.spectrum, rates, one_sided, f"blocks of {symmetry.method}")
        return follower.thresholds(lowest, tolerance, scan)
    check_dense(graph.n, "decay thresholds without symmetry")
    target, spaces = one_hop_target(graph, **options), laplacian_eigenspaces(graph)
    return target_decay_thresholds(target, spaces, tied=one_sided, lowest=lowest, tolerance=tolerance, scan=scan)


def target_decay_thresholds(
    target: ArrayLike,
    spaces: Eigenspaces,
    *,
    tied: bool = True,
    lowest: float = 1e-2,
    tolerance: float = 1e-6,
    scan: int = SCAN,
    row_weight: ArrayLike | None = None,
) -> DecayThresholds:
    """The same for any row-stochastic ``target`` (n, n) and row weights (n,), ones when None, in the eigenspaces of n
    nodes given, by the dense route."""
    t, one_sided = check_target(target), check_flag(tied, "tied")
    check_dense(len(t), "decay thresholds")
    w = check_row_weight(row_weight, len(t))
    if len(check_spaces(spaces).basis) != len(t):
        raise ValueError(f"the eigenspaces are of {len(spaces.basis)} nodes, the target of {len(t)}; use one graph's")
    spectrum = spaces.eigenvalues, spaces.multiplicities
    rates = target_growth_rates(t, tied=one_sided, row_weight=w)
    follower = _Follower(
        partial(dense_modes, t, spaces, one_sided, row_weight=w), spectrum, rates, one_sided, "all nodes"
    )
    return follower.thresholds(lowest, tolerance, scan)


@dataclass(frozen=True, eq=False)
class _Change:
    """Another rank on either side of ``decay``, at most the part ``width`` below it."""

    decay: float
    width: float
    below: OptimumModes
    above: OptimumModes


class _Follower:
    """K*(l) along the decays: what ``modes`` finds at one, and where its rank changes."""

    def __init__(
        self, modes: Callable[[float], OptimumModes], spectrum: Spectrum, rates: Spectrum, tied: bool, method: str
    ) -> None:
        self.modes, self.spectrum, self.tied, self.method = modes, spectrum, tied, method
        top = float(rates[0][0]) / (2 if tied else 1)
        self.zero_from = top if top > ROUNDING else 0.0
        self.first_rank = int(rates[1][0])
        self.known: dict[float, OptimumModes] = {}

    def at(self, decay: float) -> OptimumModes:
        if decay >= self.zero_from:
            return OptimumModes(np.zeros(0, dtype=np.int64), np.zeros((0, len(self.spectrum[0]))))
        if decay not in self.known:
            self.known[decay] = self.modes(decay)
        return self.known[decay]

    def thresholds(self, lowest: float, tolerance: float, scan: int) -> DecayThresholds:
        points = check_whole_number(scan, "scan", 2, MOST_SCANNED)
        low, width = _check_fraction(lowest, "lowest"), _check_fraction(tolerance, "tolerance")
        grid = [float(decay) for decay in self.zero_from * np.geomspace(low, 1 - FIRST, points)]
        changes: list[_Change] = []
        if self.zero_from > 0:
            for a, b in pairwise(grid):
                changes += self._between(a, b, width)
            if self.at(grid[-1]).rank == self.first_rank:  # a single change, at the closed form itself
                changes.append(_Change(self.zero_from, 0.0, self.at(grid[-1]), self.at(self.zero_from)))
            else:
                changes += self._between(grid[-1], self.zero_from, width)
        return self._describe(grid[0], changes)

    def _between(self, low: float, high: float, tolerance: float) -> list[_Change]:
        """Every rank change seen by bisection in (low, high], ascending."""
        if self.at(low).rank == self.at(high).rank:
            return []
        if 1 - low / high > tolerance:
            middle = float(np.sqrt(low * high))
            try:
                self.at(middle)
                return [*self._between(low, middle, tolerance), *self._between(middle, high, tolerance)]
            except RuntimeError:
                pass  # too close to the change for the solver: that is how well it is known
        return [_Change(high, 1 - low / high, self.at(low), self.at(high))]

    def _alive(self, low: float, high: float) -> NDArray[np.bool_]:
        """Which spaces have energy between two rank changes, away from both."""
        alive = np.zeros(len(self.spectrum[0]), dtype=np.bool_)
        for part in INSIDE:
            try:
                alive |= self.at(float(low ** (1 - part) * high**part)).alive
            except RuntimeError:
                continue
        return alive

    def _describe(self, lowest: float, changes: list[_Change]) -> DecayThresholds:
        q = len(self.spectrum[0])
        thresholds, births = np.zeros(q), np.full(q, np.nan)
        for low, high in pairwise([lowest, *(change.decay for change in changes)]):
            alive = self._alive(low, high)
            births[alive & (thresholds == 0)] = 0.0 if low == lowest else low
            thresholds[alive] = high
        down = changes[::-1]
        fuller = [c.below if c.below.rank > c.above.rank else c.above for c in down]
        moved = [f.last(abs(c.below.rank - c.above.rank)) for f, c in zip(fuller, down, strict=True)]
        return DecayThresholds(
            self.tied,
            *self.spectrum,
            thresholds,
            births,
            np.array([c.decay for c in down]),
            np.array([c.width for c in down]),
            np.array([c.below.rank for c in down], dtype=np.int64),
            np.array([c.above.rank for c in down], dtype=np.int64),
            np.array([m.argmax() for m in moved], dtype=np.int64),
            np.array([m.max() for m in moved]),
            self.zero_from,
            lowest,
            self.method,
        )


def _check_fraction(value: float, name: str) -> float:
    number = check_number(value, name)
    if not 0 < number < 1 - FIRST:
        raise ValueError(f"{name} is relative to a threshold and must lie in (0, {1 - FIRST}); got {shown(value)}")
    return number
