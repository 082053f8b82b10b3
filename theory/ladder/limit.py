"""Where a tied linear net without weight decay converges to, as far as it is proved.

Residual connections, E(0) = s I, W(0) = 0, and R symmetric for ever (one type of node in the coherent algebra, a
symmetric target, equal weights; ``ladder.gram_flow``), the tied optimum K* attained: then at any depth

    Z -> K*  (plus phi(s^2) 11'/n, which the softmax does not see),   EE' -> phi^{-1}(K*)  (plus s^2 11'/n).

Proof: L falls and has bounded sublevel sets on centred K >= 0 where K* is attained, phi is increasing, and 11' does not
move, so E and the layers stay bounded; the flow of an analytic loss then converges (Lojasiewicz). At the limit
C phi(K) + phi(K) C = 0, so C K = 0. If C had an eigenvalue c > 0 there, its vector would lie in the kernel of K. But
dE/dt = X(t) E with X = C psi(K) -> psi(0) C, psi(0) > 0, and E(0) = s I: the columns of E span all solutions of a
linear equation whose coefficients tend to a matrix with the eigenvalue psi(0) c > 0, one of which then grows
exponentially (Perron), against boundedness. So C <= 0, and with C K = 0 these are the conditions of ``optimum.tied``.

No residual connections, W(0) = c I: the same wherever psi(0) = (c^2 - s^2/2)^{L/2} > 0; from the balanced start, where
psi(0) = 0, if the algebra commutes: a mode with c > 0 at the limit then has dk/dt = 2 c k (k/2)^{L/2} and leaves zero
in finite time. From starts with both signs of P, as random layers have them: not known. Without an optimum the
direction at infinity is a KKT point of the least sum of squares of all factors under the margins, that is of the
Schatten-2/(L+2) quasi-norm of Z where they are balanced, for homogeneous nets and one-hot rows (Lyu and Li,
arXiv 1906.05890); rows of several neighbours are no such targets, so that nothing is claimed.

R not symmetric: a stationary point at which E has rank below its width, the layers are invertible, and E'R or R E is
not zero, is a strict saddle. (With E q = 0, move E by e x q' and B_L by t (B_1..B_{L-1})^{-1} a q': L changes by
-e t (a'E'Rx) + O(e^2), without a t^2 term, so its Hessian is indefinite unless E'R = 0; likewise R E = 0.) The tied
optimum only has (R + R')K* = 0. So where it is attained, ``defect`` = ||R K*|| / (||R|| ||K*||) > 0 proves that almost
no net stays there; where it is not (most irregular graphs: K* comes with a bias a, a'Ra < 0, on a diverging mean) no
stationary point is near, and ``defect`` only says how far R is from symmetric on K*. Observed on path-stars and on
karate: the loss passes the tied infimum and falls towards its floor, the entropy of the target.
Source: ours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..checks import Array
from ..softmax import check_row_weight
from ..symmetry.block_flow import BlockFlow
from ..symmetry.blocks import BlockAlgebra
from ..symmetry.optimum import ReducedOptimum, reduced_tied_optimum
from ..symmetry.problem import check_colour_target
from .spectral import SpectralMap, spectral_map

OPTIMUM, NOT_ATTAINED, NOT_KNOWN = "optimum", "infimum not attained", "not known"
SAME = 1e-12  # entries of a symmetric target: rounding of its degrees


@dataclass(frozen=True, eq=False)
class LadderLimit:
    """``status``: "optimum", "infimum not attained" or "not known", with the ``reason``. ``logits``, ``gram`` (k,):
    non-zero eigenvalues of the limits of Z and EE', centred, descending, each ``multiplicities`` (k,) times; empty
    unless the status is "optimum". ``tied``: the tied optimum, with its certificate and rank range. ``defect``:
    ||R K*|| / (||R|| ||K*||), zero where an attained K* can be a limit. ``floor``: the least loss of any logits,
    summed over nodes, which the loss of a net that is not held to symmetric logits may approach."""

    depth: int
    status: str
    reason: str
    logits: Array
    gram: Array
    multiplicities: NDArray[np.int64]
    tied: ReducedOptimum
    defect: float
    floor: float

    @property
    def rank(self) -> int:
        """Rank of the centred limit; what is proved of it is ``tied.rank_range``."""
        return int(self.multiplicities.sum())


def ladder_limit(
    algebra: BlockAlgebra,
    target: ArrayLike,
    depth: int,
    *,
    residual: bool = True,
    init_scale: float = 0.0,
    inner_scale: float | None = None,
    row_weight: ArrayLike | None = None,
) -> LadderLimit:
    """The limit of a tied net of ``depth`` >= 0 layers for a target (q,) on the algebra's colours; scales as in
    ``spectral_map``. Raises ValueError for bad arguments or a disconnected target, RuntimeError without a certified
    tied optimum.

    >>> from fiedler.theory import graph_symmetry, ladder_limit, parse
    >>> cycle, star = graph_symmetry(parse("cycle:15")), graph_symmetry(parse("path-star:4x5"))
    >>> found = ladder_limit(cycle.algebra, cycle.target(), 3)
    >>> found.status, found.gram.round(5).tolist(), found.rank
    ('optimum', [5.85546], 2)
    >>> ladder_limit(star.algebra, star.target(), 3).status
    'not known'
    """
    t = check_colour_target(algebra, target)
    w = check_row_weight(row_weight, len(algebra.type_sizes))
    phi = spectral_map(depth, residual=residual, init_scale=init_scale, inner_scale=inner_scale)
    best = reduced_tied_optimum(algebra, t, row_weight=w)
    defect = _defect(algebra, t, w, best)
    status, reason = _status(algebra, t, phi, best)
    known = status == OPTIMUM
    mu = best.eigenvalues if known else np.zeros(0)
    counts = best.multiplicities if known else np.zeros(0, dtype=np.int64)
    return LadderLimit(phi.depth, status, reason, mu, phi.gram(mu), counts, best, defect, _floor(algebra, t, w))


def _status(algebra: BlockAlgebra, t: Array, phi: SpectralMap, best: ReducedOptimum) -> tuple[str, str]:
    if len(algebra.type_sizes) > 1:
        return NOT_KNOWN, "several types of nodes: R does not stay symmetric"
    if np.abs(t - t[algebra.transpose]).max() > SAME:
        return NOT_KNOWN, "the target is not symmetric, so R is not"
    if phi.offset == 0 and phi.depth > 0 and max(algebra.dimensions) > 1:
        return NOT_KNOWN, "layers that start balanced are singular at zero, and the algebra does not commute"
    if not best.attained:
        return NOT_ATTAINED, "the tied infimum is not attained: the embedding diverges"
    return OPTIMUM, "R stays symmetric: the logits go to the tied optimum"


def _defect(algebra: BlockAlgebra, t: Array, w: Array, best: ReducedOptimum) -> float:
    r = BlockFlow(algebra, t, w, 0.0, True).residual(best.gram + best.bias[algebra.column_type])
    sizes = np.zeros(3)
    for m, a, k in zip(algebra.multiplicity, algebra.to_blocks(r), algebra.to_blocks(best.gram), strict=True):
        sizes += m * np.array([np.sum(x**2) for x in (a @ k, a, k)])
    product, of_r, of_k = np.sqrt(sizes)
    return float(product / (of_r * of_k)) if of_r * of_k > 0 else 0.0


def _floor(algebra: BlockAlgebra, t: Array, w: Array) -> float:
    positive = np.where(t > 0, t, 1.0)
    return float(-(algebra.class_sizes * w[algebra.row_type] * t) @ np.log(positive))
