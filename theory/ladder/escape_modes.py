"""How a Transformer block leaves the tied optimum: growth rates and directions of what is new.

At the tied optimum with a symmetric R, R E = 0. Along a direction x of embedding space orthogonal to all rows of E (and
to 1, where layer norm centres) let E = E* + u x' and the write weights C = C* + b x' of units with features
H = act(N(E) A) (n, h). With S = (R + R')/2 and r the common norm (1 without), to first order (source: ours)

    r du/dt = 2 S u + R' H b,     r db/dt = H' R u      the same for every such x

The matrix [[2S, R'H], [H'R, 0]] / r is symmetric. Its rates g solve, for one unit h and the eigenpairs s_k, f_k of S,

    g = sum_k (f_k . R'h)^2 / (g - 2 s_k)     (r = 1; g / r otherwise),    S <= 0

whose right-hand side falls on g > 0: exactly one positive root where R'h != 0. Where R'h lies in one eigenspace that is
g (g - 2 s) = |R'h|^2. Identity units read N(E) = E/r, so R'H = 0: to first order they do not grow (``escape``). Holds
where C is small and E has come close to E*: C A of order r changes the rates, for reading E moves x itself.
``jacobian_modes`` has no such limits: the largest eigenvalues of the velocity's derivative, which is minus the Hessian
and symmetric, of the full flow at any net. It shows what the above leaves out: units also write inside the row space of
E, where the curvature of the loss holds them. Without a norm those modes are slower; with layer norm some are faster
(cycle:7, three ReLU units: .240 beside .221), so that new directions are not always the first to grow.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import eigh
from scipy.optimize import brentq
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

from ..checks import Array, check_matrix, check_number, check_positive, check_whole_number
from .normed_flow import make_problem
from .pre_norm import PreNormNet

DENSE_ENTRIES = 400  # up to here the Jacobian is made whole, in a tenth of a second
STEP = 1e-5  # of the central differences, relative to the state: their error is its square, rounding 1e-16 / STEP
TOLERANCE = 1e-7  # relative, of ARPACK's eigenvalues: below the error of the differences
SEED = 0  # of the first Lanczos vector
LARGEST_RATE = 1e12
LATEST = 1e8  # of a predicted time


@dataclass(frozen=True, eq=False)
class UnitModes:
    """``rates`` (k,), descending, one per dimension of the complement of E's row space; ``embedding`` (k, n) and
    ``write`` (k, h): the unit vectors (u, b) that grow at them."""

    rates: Array
    embedding: Array
    write: Array

    def loss_drop(self, embedding: ArrayLike, write: ArrayLike, time: float) -> float:
        """1/2 sum_k g_k |a_k|^2 exp(2 g_k t): what the loss, summed over nodes, lies below that of the plateau after
        ``time``, from new parts E x (n, p) and C x (h, p) in p directions x; negative while they still die."""
        return self._drop(self._energy(embedding, write), check_number(time, "time"))

    def escape_time(self, embedding: ArrayLike, write: ArrayLike, drop: float) -> float:
        """The first time at which ``loss_drop`` is ``drop`` > 0; infinity where nothing grows by then (LATEST).

        With one mode log(2 drop / (g |a|^2)) / (2 g)."""
        wanted, energy = check_positive(drop, "drop"), self._energy(embedding, write)

        def missing(time: float) -> float:
            return self._drop(energy, time) - wanted

        if missing(0.0) >= 0:
            return 0.0
        end = 1.0 / max(float(np.abs(self.rates).max()), 1 / LATEST)
        while missing(end) < 0:
            if end >= LATEST:
                return float("inf")
            end *= 2
        return float(brentq(missing, 0.0, end))

    def _drop(self, energy: Array, time: float) -> float:
        with np.errstate(over="ignore"):
            grown = np.exp(np.minimum(2 * self.rates * time, 600.0))
        return float(0.5 * (self.rates * energy * grown).sum())

    def _energy(self, embedding: ArrayLike, write: ArrayLike) -> Array:
        u = check_matrix(embedding, (self.embedding.shape[1], None), "embedding")
        b = check_matrix(write, (self.write.shape[1], u.shape[1]), "write")
        return np.asarray(((self.embedding @ u + self.write @ b) ** 2).sum(axis=1))


def unit_growth(residual: ArrayLike, features: ArrayLike, *, scale: float = 1.0) -> UnitModes:
    """Rates and directions for R = ``residual`` (n, n) at the plateau and H = ``features`` (n, h), r = ``scale``.

    All n + h of them. In units of 1 / time, t = step size x steps. H: any function of the nodes, of several layers side
    by side. Raises ValueError for shapes that do not fit and for rates that leave float64.

    >>> import numpy as np
    >>> from fiedler.theory import unit_growth
    >>> modes = unit_growth(-0.5 * np.eye(2), [[1.0], [0.0]])  # S = -1/2, |R'h| = 1/2: g (g + 1) = 1/4
    >>> modes.rates.round(4).tolist()
    [0.2071, -1.0, -1.2071]
    """
    r = check_matrix(residual, (None, None), "residual", largest=LARGEST_RATE)
    n = len(r)
    r = check_matrix(r, (n, n), "residual")
    h = check_matrix(features, (n, None), "features", largest=LARGEST_RATE)
    size = check_positive(scale, "scale")
    if not n or not 1 / LARGEST_RATE <= size <= LARGEST_RATE:
        raise ValueError(f"residual must have a row and scale lie within 1e-12 .. 1e12; got {r.shape} and {size:g}")
    cross = r.T @ h
    matrix = np.block([[r + r.T, cross], [cross.T, np.zeros((h.shape[1],) * 2)]]) / size
    rates, vectors = eigh(matrix)
    return UnitModes(rates[::-1], vectors.T[::-1, :n], vectors.T[::-1, n:])


@dataclass(frozen=True, eq=False)
class JacobianModes:
    """``rates`` (k,), descending; ``directions`` (k, size): unit vectors in the state of ``pre_norm_equation``;
    ``embedding`` (k, n, m): their part in E; ``push`` (k,): the velocity along them, rate x displacement."""

    rates: Array
    directions: Array
    embedding: Array
    push: Array


def jacobian_modes(
    target: ArrayLike,
    net: PreNormNet,
    count: int = 4,
    *,
    train_gain: bool = True,
    row_weight: ArrayLike | None = None,
) -> JacobianModes:
    """The ``count`` largest eigenvalues of d velocity / d state at ``net``: positive ones grow. By central differences
    of the exact velocity, good to about 1e-7 of the sharpest direction; a ReLU at its corner has none.
    RuntimeError when ARPACK gives up."""
    problem = make_problem(target, net, train_gain, row_weight)
    state = problem.start
    count = check_whole_number(count, "count", 1, len(state) - 1 if len(state) > DENSE_ENTRIES else len(state))
    step = STEP * float(np.linalg.norm(state)) or STEP

    def product(direction: Array) -> Array:
        x = direction.ravel()
        h = step / (float(np.linalg.norm(x)) or 1.0)
        return np.asarray((problem.velocity(state + h * x) - problem.velocity(state - h * x)) / (2 * h))

    if len(state) <= DENSE_ENTRIES:
        columns = np.array([product(e) for e in np.eye(len(state))])
        rates, vectors = eigh((columns + columns.T) / 2)
    else:
        operator = LinearOperator((len(state),) * 2, matvec=product, dtype=np.float64)
        first = np.random.default_rng(SEED).standard_normal(len(state))
        try:
            rates, vectors = eigsh(operator, k=count, which="LA", v0=first, tol=TOLERANCE)
        except ArpackNoConvergence as error:
            raise RuntimeError(f"ARPACK found no {count} eigenvalues; ask for another count") from error
    order = np.argsort(rates)[::-1][:count]
    directions = vectors.T[order]
    return JacobianModes(rates[order], directions, problem.parts(directions)[0], directions @ problem.velocity(state))
