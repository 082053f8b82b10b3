"""What a closed form of an optimum is: its spectrum, loss and KKT violation, without any n x n array."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..checks import Array, check_flag, check_smoothing
from ..optimum.rank import RankRange
from ..softmax import check_weight_decay

MATRIX_LIMIT = 2000  # nodes: the largest (n, n) matrix written out, the size of the dense solver
STRICT = 1e-12  # excess below minus this, and minus ten times the stationarity, is no rounding of zero


def is_strict(excess: float, stationarity: float) -> bool:
    """Whether a computed ``excess`` is negative beyond the rounding of S, which is of order one."""
    return excess < -STRICT - 10 * stationarity


class Kernel(Protocol):
    """A description of an (n, n) matrix in the graph's node order."""

    def matrix(self) -> Array: ...


@dataclass(frozen=True, eq=False)
class ClosedForm:
    """An optimum in closed form.

    ``eigenvalues`` (k,): distinct non-zero eigenvalues of the centred Gram matrix, descending, or distinct singular
    values of the logits if untied; ``multiplicities`` (k,). ``loss_per_node``: L / n without weight decay; the infimum
    where it is not ``attained``. ``scalars``: what was solved for, one per factor of a product (the c of its row), the
    gain of smoothed untied logits, or the signed spectrum of an untied cycle. ``excess``: the largest eigenvalue of
    S - lambda (untied: |singular value of R| - lambda) outside K and the constant mode: at most zero, up to rounding.
    ``stationarity``: the largest |S - lambda| on the modes of K. ``zero_from``: the weight decay from which the optimum
    is zero. ``kernel``: rebuilds the matrix; None where the optimum is not attained and untied. ``rank_proved``: the
    conditions hold by proof, or outside K with a margin above rounding (STRICT). The centred optimum is unique, so the
    rank is then a fact; otherwise further modes may be active with weights below what float64 resolves.
    """

    family: str
    n: int
    tied: bool
    eigenvalues: Array
    multiplicities: NDArray[np.int64]
    loss_per_node: float
    weight_decay: float
    attained: bool
    scalars: tuple[float, ...]
    excess: float
    stationarity: float
    zero_from: float
    kernel: Kernel | None
    rank_proved: bool = True

    @property
    def rank_range(self) -> RankRange:
        """``rank`` where it is proved; otherwise all that is possible."""
        return RankRange(self.rank, self.rank) if self.rank_proved else RankRange(0, self.n - 1)

    @property
    def rank(self) -> int:
        """Rank of the centred Gram matrix (untied: of the logits)."""
        return int(self.multiplicities.sum())

    @property
    def max_violation(self) -> float:
        """The largest violation of the KKT conditions, from the modes."""
        return max(0.0, self.excess, self.stationarity)

    def gram(self) -> Array:
        """The centred Gram matrix (n, n), in node order; small graphs only."""
        if not self.tied:
            raise ValueError("an untied optimum has no single Gram matrix; use logits()")
        return self._matrix()

    def logits(self) -> Array:
        """The optimal logits of untied embeddings (n, n), row means zero; small graphs only."""
        if self.tied:
            raise ValueError("logits() is for untied optima; use gram()")
        return self._matrix()

    def _matrix(self) -> Array:
        if self.kernel is None:
            raise ValueError("the infimum is not attained: the logits diverge; use weight decay or label smoothing")
        if self.n > MATRIX_LIMIT:
            raise ValueError(f"an (n, n) matrix is built for up to {MATRIX_LIMIT} nodes only, got {self.n}")
        return self.kernel.matrix()


def check_options(weight_decay: float, self_edges: bool, label_smoothing: float) -> tuple[float, bool, float]:
    """The options in plain types. Raises ValueError for one out of range, TypeError for what is none."""
    return check_weight_decay(weight_decay), check_flag(self_edges, "self_edges"), check_smoothing(label_smoothing)
