"""Exact full-batch gradient descent of Node2Vec: the Euler scheme of the flow, t = step_size * steps.

With R = diag(w) (T - P(Z)), step size eta, weight decay l (source: arXiv 2510.26745, Lemma of section 4, tied):

    tied:    V <- V + eta [(R + R') V - 2 l V]               K <- B K B,  B = (1 - 2 eta l) I + eta (R + R')
    untied:  V <- V + eta [R U - l V],  U <- U + eta [R' V - l U]   (both from the old values)

Everything is float64 and dense, O(n^2 min(n, m)) a step; stable while eta times the largest curvature stays below 2.
Raises ValueError for bad shapes, steps or step size, FloatingPointError when the iterates overflow.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..checks import Array, check_matrix, check_positive, check_reals, shown
from ..softmax import check_row_weight, check_target, check_weight_decay, cross_entropy, residual
from .progress import tell
from .trajectory import TiedGramTrajectory, TiedTrajectory, UntiedTrajectory, compress_columns

TOLD = 50  # steps between two reports of how far it has come
STEPS_LIMIT = 10**8  # hours even for a few nodes; the flow goes further in seconds


def tied_descent(
    target: ArrayLike,
    embedding0: ArrayLike,
    step_size: float,
    steps: ArrayLike,
    *,
    weight_decay: float = 0.0,
    row_weight: ArrayLike | None = None,
) -> TiedTrajectory:
    """V after each of ``steps`` (ascending integers) from ``embedding0`` (n, m); ``times`` = step_size * steps.

    >>> import numpy as np
    >>> from fiedler.theory import one_hop_target, parse, tied_descent, tied_flow
    >>> target, start = one_hop_target(parse("cycle:15")), 0.1 * np.eye(15)
    >>> descent = tied_descent(target, start, 0.01, [0, 100, 1000])
    >>> (descent.loss / 15).round(3).tolist()
    [2.709, 2.651, 1.457]
    >>> (tied_flow(target, start, descent.times).loss / 15).round(3).tolist()  # time = step size x steps
    [2.709, 2.649, 1.457]
    """
    t, decay, eta = check_target(target), check_weight_decay(weight_decay), check_step_size(step_size)
    n = len(t)
    w = check_row_weight(row_weight, n)
    (v0,), q = compress_columns(check_matrix(embedding0, (n, None), "embedding0"))

    def step(v: Array) -> Array:
        r = residual(v @ v.T, t, w)
        return v + eta * ((r + r.T) @ v - 2 * decay * v)

    counts = check_steps(steps)
    v = iterate(step, v0, counts)
    loss = finite_loss(lambda: cross_entropy(v @ v.transpose(0, 2, 1), t, w))
    return TiedTrajectory(_times(eta, counts), v if q is None else v @ q.T, loss)


def tied_gram_descent(
    target: ArrayLike,
    gram0: ArrayLike,
    step_size: float,
    steps: ArrayLike,
    *,
    weight_decay: float = 0.0,
    row_weight: ArrayLike | None = None,
) -> TiedGramTrajectory:
    """K = VV' after each number of ``steps`` from ``gram0`` (n, n): exact for every V(0) with that Gram matrix."""
    t, decay, eta = check_target(target), check_weight_decay(weight_decay), check_step_size(step_size)
    n = len(t)
    w = check_row_weight(row_weight, n)
    k0 = check_matrix(gram0, (n, n), "gram0")
    identity = (1 - 2 * eta * decay) * np.eye(n)

    def step(k: Array) -> Array:
        r = residual(k, t, w)
        b = identity + eta * (r + r.T)
        return b @ k @ b

    counts = check_steps(steps)
    k = iterate(step, (k0 + k0.T) / 2, counts)
    return TiedGramTrajectory(_times(eta, counts), k, finite_loss(lambda: cross_entropy(k, t, w)))


def untied_descent(
    target: ArrayLike,
    embedding0: ArrayLike,
    context0: ArrayLike,
    step_size: float,
    steps: ArrayLike,
    *,
    weight_decay: float = 0.0,
    row_weight: ArrayLike | None = None,
) -> UntiedTrajectory:
    """V and U after each number of ``steps`` from ``embedding0`` and ``context0``, both (n, m)."""
    t, decay, eta = check_target(target), check_weight_decay(weight_decay), check_step_size(step_size)
    n = len(t)
    w = check_row_weight(row_weight, n)
    v0 = check_matrix(embedding0, (n, None), "embedding0")
    u0 = check_matrix(context0, (n, v0.shape[1]), "context0")
    factors, q = compress_columns(v0, u0)

    def step(state: Array) -> Array:
        v, u = state
        r = residual(v @ u.T, t, w)
        return np.stack([v + eta * (r @ u - decay * v), u + eta * (r.T @ v - decay * u)])

    counts = check_steps(steps)
    states = iterate(step, np.stack(factors), counts)
    v, u = states[:, 0], states[:, 1]
    loss = finite_loss(lambda: cross_entropy(v @ u.transpose(0, 2, 1), t, w))
    if q is not None:
        v, u = v @ q.T, u @ q.T
    return UntiedTrajectory(_times(eta, counts), v, u, loss)


def check_step_size(step_size: float) -> float:
    return check_positive(step_size, "step_size")


def check_steps(steps: ArrayLike) -> NDArray[np.int64]:
    """Ascending whole numbers from 0 to STEPS_LIMIT, (k,); a single one is a list of one."""
    check_reals(steps, "steps")
    counts = np.atleast_1d(np.asarray(steps))
    if counts.ndim != 1 or counts.size == 0 or counts.dtype.kind not in "iu":
        raise ValueError(f"steps must be an integer or a list of integers; got {shown(steps)}")
    if counts[0] < 0 or (counts[1:] < counts[:-1]).any():
        raise ValueError(f"steps must be ascending and >= 0; got {shown(steps)}")
    if counts[-1] > STEPS_LIMIT:
        raise ValueError(f"steps must be at most {STEPS_LIMIT}; got {shown(steps)}; follow the flow for longer times")
    return counts.astype(np.int64)


def _times(eta: float, counts: NDArray[np.int64]) -> Array:
    return np.asarray(eta * counts, dtype=np.float64)


@np.errstate(over="ignore", invalid="ignore")  # as in ``iterate``
def finite_loss(loss: Callable[[], Array]) -> Array:
    """The loss of iterates that are finite themselves; FloatingPointError where it is not."""
    values = loss()
    if not np.isfinite(values).all():
        raise FloatingPointError("gradient descent diverged: its loss overflows; use a smaller step size")
    return values


@np.errstate(over="ignore", invalid="ignore")  # an overflow is reported once, as FloatingPointError
def iterate(step: Callable[[Array], Array], start: Array, counts: NDArray[np.int64]) -> Array:
    """The iterates of ``step`` from ``start`` after each of ``counts`` applications, stacked."""
    out = np.empty((len(counts), *start.shape))
    state, done, last = start, 0, int(counts[-1])
    for k, count in enumerate(counts):
        while done < count:
            state, done = step(state), done + 1
            if done % TOLD == 0:
                tell(done / last)
            if not np.isfinite(state).all():
                raise FloatingPointError(f"gradient descent diverged at step {done}; use a smaller step size")
        out[k] = state
    return out
