"""Exact gradient flow of tied and untied Node2Vec, in the embeddings (V form) and in Gram matrices, at given times.

The equations are those of ``flow.equations``, the integrator that of ``flow.integrator``; ``flow.path.follow`` gives
the same flow at any time, with events. Time: full-batch gradient descent with step size eta is the Euler scheme of the
flow, t = eta * steps. The Gram forms are closed: starting from K(0) = s^2 I they describe every V(0) with orthogonal
rows of norm s, and the infinite-width limit of Gaussian V(0) with m s_0^2 = s^2 (finite m fluctuates by about
sqrt(n/m) around it).

Everything is float64 and dense: cost O(n^2 min(n, m)) a step. The default tolerance gives about nine digits. Raises
ValueError for bad shapes, times or weight decay, RuntimeError if the integrator gives up.
"""

from __future__ import annotations

from typing import Any, TypeVar

from numpy.typing import ArrayLike

from .equations import FlowEquation, tied_equation, tied_gram_equation, untied_equation, untied_gram_equation
from .integrator import IMPLICIT_LIMIT, RELATIVE_TOLERANCE, check_times, integrate
from .trajectory import TiedGramTrajectory, TiedTrajectory, UntiedGramTrajectory, UntiedTrajectory

T = TypeVar("T")


def tied_flow(
    target: ArrayLike,
    embedding0: ArrayLike,
    times: ArrayLike,
    *,
    weight_decay: float = 0.0,
    row_weight: ArrayLike | None = None,
    rtol: float = RELATIVE_TOLERANCE,
) -> TiedTrajectory:
    """V(t) from V(0) = ``embedding0`` (n, m) at the ascending ``times`` (k,) >= 0: dV/dt = (R + R') V - 2 l V.

    >>> from fiedler.theory import gaussian_starts, gram_error, one_hop_target, parse, tied_flow, tied_optimum
    >>> target = one_hop_target(parse("cycle:15"))
    >>> start = gaussian_starts(15, 8, 0.1, 1)[0]
    >>> flow = tied_flow(target, start, [0, 10, 1000])
    >>> (flow.loss / 15).round(3).tolist()
    [2.709, 1.455, 1.435]
    >>> [round(gram_error(v, tied_optimum(target)), 2) for v in flow.embedding]
    [0.99, 0.14, 0.0]
    """
    return at_times(tied_equation(target, embedding0, weight_decay=weight_decay, row_weight=row_weight), times, rtol)


def tied_gram_flow(
    target: ArrayLike,
    gram0: ArrayLike,
    times: ArrayLike,
    *,
    weight_decay: float = 0.0,
    row_weight: ArrayLike | None = None,
    rtol: float = RELATIVE_TOLERANCE,
) -> TiedGramTrajectory:
    """K(t) from a symmetric K(0) = ``gram0`` (n, n). Loses relative accuracy in modes that have decayed below
    ``rtol`` of the largest: use ``tied_flow`` from a factor of K(0) to follow those."""
    return at_times(tied_gram_equation(target, gram0, weight_decay=weight_decay, row_weight=row_weight), times, rtol)


def untied_flow(
    target: ArrayLike,
    embedding0: ArrayLike,
    context0: ArrayLike,
    times: ArrayLike,
    *,
    weight_decay: float = 0.0,
    row_weight: ArrayLike | None = None,
    rtol: float = RELATIVE_TOLERANCE,
) -> UntiedTrajectory:
    """V(t), U(t) from ``embedding0`` and ``context0``, both (n, m): dV/dt = R U - l V, dU/dt = R' V - l U."""
    equation = untied_equation(target, embedding0, context0, weight_decay=weight_decay, row_weight=row_weight)
    return at_times(equation, times, rtol)


def untied_gram_flow(
    target: ArrayLike,
    gram_embedding0: ArrayLike,
    gram_context0: ArrayLike,
    logits0: ArrayLike,
    times: ArrayLike,
    *,
    weight_decay: float = 0.0,
    row_weight: ArrayLike | None = None,
    rtol: float = RELATIVE_TOLERANCE,
) -> UntiedGramTrajectory:
    """(K_V, K_U, M)(t) from their values at t = 0, each (n, n). The infinite-width start is (s^2 I, s^2 I, 0)."""
    grams = (gram_embedding0, gram_context0, logits0)
    return at_times(untied_gram_equation(target, *grams, weight_decay=weight_decay, row_weight=row_weight), times, rtol)


def at_times(
    equation: FlowEquation[T],
    times: ArrayLike,
    rtol: float = RELATIVE_TOLERANCE,
    implicit_limit: int = IMPLICIT_LIMIT,
) -> T:
    """The trajectory of any flow equation at the ascending ``times`` (k,) >= 0; only those states are kept."""
    t = check_times(times)
    end = float(t[-1])
    options: dict[str, Any] = {"rtol": rtol, "implicit_limit": implicit_limit, "vectorized": equation.vectorized}
    found = integrate(equation.velocity, equation.start, end, times=t, **options)
    return equation.trajectory(t, found.states)
