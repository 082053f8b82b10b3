"""When a block leaves the tied optimum: the flow of what is new, with the residual held.

While the plateau lasts the logits are those of the tied optimum, and so is the residual R*, with R* E = 0. What is new,
E - E* outside the row space of E*, moves down the linear loss -<R*, Z> (source: ours), to leading order in what is new
but with no expansion in the weights of the sublayers: with hidden states V along directions x outside the row space,

    loss - loss* = -<R*, Z> = -<R*, V U'> / r,     U = E x,   V = U + H C x + ...

``escape_time`` follows that, and stops when it has fallen by ``drop``. It holds V's logits small against the
curvature of the loss: a perceptron's slow mode saturates, and a large drop comes later than predicted.

One identity sublayer (an attention on one token) read through its own norm, r the norm of N: along one x, with
a = A'x, c = C x, p = a . c, q = |a|^2 + |c|^2, B = 1 + p/r and sigma = -u'Su/|u|^2 > 0,

    r du/dt = 2 B S u,   dp/dt = -sigma |u|^2 q / r^2,   dq/dt = -4 sigma |u|^2 p / r^2
    conserved:  d^2 = q^2 - 4 p^2   and   |u|^2 - q - 2 r asinh(2p / d)

u dies while B > 0 and pushes B down as it does; once B < 0 (p < -r) it grows without end, in whatever direction: then
logits -u u' are learned, which no positive semidefinite Z has. That happens exactly when

    |u|^2 > q - (d^2 + 4 r^2)^{1/2} + 2 r [asinh(2p/d) + asinh(2r/d)]

(``sign_flip_energy``), in which r is that of the norm the sublayer reads through, 1 without one: small norms, 0.02 at
the start and 0.2 on the plateau, make it possible, and a linear net from small weights never gets there. The rates are
-2 B sigma / r: nothing grows exponentially before B has changed sign, so no logarithm gives the time. Holds at fixed r,
one direction at a time.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ..checks import Array, check_number, check_positive, check_type
from ..flow.descent import STEPS_LIMIT, check_step_size
from ..optimum.tied import TiedOptimum
from ..softmax import residual
from .normed_flow import Problem, make_problem
from .pre_norm import PreNormNet

SYMMETRIC = 1e-6  # |R E*| against |E*|: optima carry a solver's 1e-9 in their gradient
RANGE = 1e-6  # singular values of a row space below this part of the largest are none
LARGEST_PART = 1e6  # of a sublayer's parts


def sign_flip_energy(scale: float, alignment: float, size: float) -> float:
    """The least |u|^2 from which B = 1 + p/r turns negative; zero where it is. ``scale`` r, ``alignment`` p = a . c,
    ``size`` q = |a|^2 + |c|^2 > 2 |p|.

    Small weights, d << r: about q + 2 r [log(4 r / (q - 2 p)) - 1], set by the norm's r. Raises ValueError for
    q <= 2 |p|.

    >>> from fiedler.theory import sign_flip_energy
    >>> round(sign_flip_energy(0.2, 0.0, 0.02), 3), round(sign_flip_energy(1.0, 0.0, 0.02), 3)
    (1.095, 8.617)
    """
    r, p, q = check_positive(scale, "scale"), check_number(alignment, "alignment"), check_positive(size, "size")
    if not (q <= LARGEST_PART and 1 / LARGEST_PART <= r <= LARGEST_PART and q * (1 - 1e-9) > 2 * abs(p)):
        raise ValueError(
            f"size must lie above 2 |alignment| and with scale below {LARGEST_PART:.0e}; got {q:g}, {p:g}, {r:g}"
        )
    if p <= -r:
        return 0.0
    d = np.sqrt((q - 2 * p) * (q + 2 * p))
    return float(q - np.hypot(d, 2 * r) + 2 * r * (np.arcsinh(2 * p / d) + np.arcsinh(2 * r / d)))


def escape_time(
    target: ArrayLike,
    net: PreNormNet,
    optimum: TiedOptimum,
    drop: float,
    *,
    step_size: float = 0.01,
    end: float = 200.0,
) -> float:
    """When the loss, summed over nodes, will lie ``drop`` below the tied optimum's, from ``net`` on its plateau.

    Nothing fitted: ``net``'s own weights, gains held, followed by descent with ``step_size``, which is the run's own
    (ReLU's corners are no place for high orders). ``optimum``: ``tied_optimum(target)``, without weight decay.
    Infinity where that does not come before ``end``. Raises ValueError where R E* is not zero (a residual that is not
    symmetric: no vertex-transitive graph, no symmetrised target), FloatingPointError for a step that is too large.

    >>> import numpy as np
    >>> from fiedler.theory import PreNormNet, Sublayer, escape_time, one_hop_target, parse, pre_norm_descent
    >>> from fiedler.theory import tied_optimum
    >>> target, rng = one_hop_target(parse("cycle:7")), np.random.default_rng(0)
    >>> e, a, c = (s * rng.standard_normal(k) for s, k in ((0.1, (7, 12)), (0.2, (12, 48)), (0.05, (48, 12))))
    >>> run = pre_norm_descent(target, PreNormNet(e, (Sublayer(a, c, "relu"),), norm="none"), 0.02, [120, 560, 600])
    >>> optimum = tied_optimum(target)
    >>> (run.loss - optimum.loss).round(3).tolist()
    [0.014, -0.013, -0.016]
    >>> round(2.4 + escape_time(target, run.nets[0], optimum, 0.014, step_size=0.02), 1)
    12.1
    """
    problem = make_problem(target, net, False, None)
    check_type(optimum, TiedOptimum, "optimum", "make one with tied_optimum(target)")
    wanted, eta, last = check_positive(drop, "drop"), check_step_size(step_size), check_positive(end, "end")
    if last > STEPS_LIMIT * eta:
        raise ValueError(f"end must be a time of at most {STEPS_LIMIT} steps of {eta:g}; got {last:g}")
    if optimum.n != len(problem.target):
        raise ValueError(f"optimum must have {len(problem.target)} nodes like the target; got {optimum.n}")
    held = residual(optimum.gram + optimum.bias, problem.target, problem.row_weight)
    basis = _range(optimum.factor)
    if not np.linalg.norm(held @ basis) + np.linalg.norm(held.T @ basis) <= SYMMETRIC:
        raise ValueError("optimum has R E* != 0: its residual is not symmetric, and the plateau is none of a block's")
    state, known = _on_plateau(problem, basis)
    shape, size = net.embedding.shape, net.embedding.size
    for step in range(int(last / eta) + 1):
        logits, moved = problem.velocity_of(state, held)
        if (held * logits).sum() >= wanted:  # zero on the plateau itself, <R*, K*> = 0
            return step * eta
        e = moved[:size].reshape(shape)
        moved[:size] = (e - (e @ known) @ known.T).ravel()
        state = state + eta * moved
        if not np.isfinite(state).all():
            raise FloatingPointError(f"the escape diverged at step {step}; use a smaller step_size")
    return float("inf")


def _on_plateau(problem: Problem, basis: Array) -> tuple[Array, Array]:
    """The state with E's part in the row space of E* put where R* E = 0, and that row space (m, k).

    A gain g on what is read makes Z first order in x unless g o x is orthogonal to the rows as well."""
    net = problem.net
    e = net.embedding
    centred = e - e.mean(axis=1, keepdims=True) if net.norm == "layer" else e
    inside = basis @ (basis.T @ centred)
    rows = _range(inside.T)
    spans = [rows] if net.norm == "none" else [rows, net.gains[-1][:, None] * rows]
    known = _range(np.hstack(spans))
    moved = e - (centred @ rows) @ rows.T + (inside @ rows) @ rows.T
    start = problem.start.copy()
    start[: e.size] = moved.ravel()
    return start, known


def _range(matrix: Array) -> Array:
    """An orthonormal basis of the column space."""
    u, s, _ = np.linalg.svd(matrix, full_matrices=False)
    return np.asarray(u[:, s > RANGE * max(float(s.max(initial=0.0)), 1e-300)])
