"""A primal-dual interior-point method for the reduced problem: smooth, convex, over small positive semidefinite blocks.

    minimise  phi(y)   over  y = (svec M_1, ..., svec M_B, bias),   M_b >= 0.

Each round solves the optimality conditions of the barrier phi - mu sum_b nu_b logdet M_b, nu_b the weight of block b,

    grad_b phi = nu_b svec Z_b,    M_b Z_b = mu I,

by Newton steps on the barrier, and lowers mu; the first step after that uses the symmetrised linearisation of
M Z = mu I (Helmberg, Rendl, Vanderbei and Wolkowicz 1996), which looks ahead along the central path. Cost O(len(y)^3) a
step, some fifty steps: meant for a thousand unknowns.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve, eigvalsh, solve_triangular

from ..checks import Array
from .problem import ReducedProblem, smat, svec

FINAL_BARRIER = 1e-12  # mu at the end: complementary eigenvalues multiply to this
CONDITION = 1e-14  # mu stops above this part of ||M|| ||Z||: below it a block is singular to rounding
MAX_STEPS = 300
CENTRED = 0.3  # relative size of the Newton step at which mu is lowered
REDUCTION = 0.1  # of mu, each time
TO_BOUNDARY = 0.9  # fraction of the way to a singular matrix that a step may go
# A step may run past the minimum along its direction until the slope there is this part of the slope at its start:
# slopes can still be told apart where values of the function agree to rounding.
OVERSHOOT = 0.1
HALVINGS = 40
POLISHING_STEPS = 3  # Newton steps after the last centring, each taken while it is shorter than the one before
SHIFTS = (0.0, 1e-14, 1e-12, 1e-10)  # tried on the Newton system scaled to a unit diagonal


def minimise_over_blocks(problem: ReducedProblem) -> tuple[list[Array], list[Array], Array]:
    """The blocks M_b, their duals Z_b with M_b Z_b = mu I, and the bias variables, from M_b = I and no bias.

    Raises RuntimeError when MAX_STEPS do not reach the last mu, as happens when phi has no finite minimiser.
    """
    m = [np.eye(d) for d in problem.dimensions]
    y = problem.join(m, np.zeros(problem.bias_frame.shape[1]))
    mu, looking_ahead, polished, last_size = 1.0, False, 0, np.inf
    z: list[Array] = []
    for _ in range(MAX_STEPS):
        inverses = [_inverse(mb) for mb in m]
        if not looking_ahead:
            z = [mu * inverse for inverse in inverses]
        right, system = _downhill(problem, y, inverses, mu), problem.hessian(y)
        for piece, nu, inverse, zb in zip(problem.pieces, problem.weights, inverses, z, strict=True):
            system[piece, piece] += nu * _symmetric_product(inverse, zb)
        dy = _solve(system, right)
        dm = [smat(dy[piece]) for piece in problem.pieces]
        relative = _relative(m, dm)
        size = max([*(float(np.abs(v).max()) for v in relative), *np.abs(dy[problem.free_from :])], default=0.0)
        if size <= CENTRED and not looking_ahead:
            last = max([FINAL_BARRIER, *(CONDITION * _norm(a) * _norm(b) for a, b in zip(m, z, strict=True))])
            if mu > last:
                # The dual of the point this step leads to: positive definite, since the step is relatively short.
                z = [mu * _symmetrise(v - v @ db @ v) for v, db in zip(inverses, dm, strict=True)]
                mu, looking_ahead = max(last, REDUCTION * mu), True
                continue
            polished += 1
            if polished > POLISHING_STEPS or size > last_size:
                return m, [mu * inverse for inverse in inverses], y[problem.free_from :]
            last_size = size
        least = min([0.0, *(float(v[0]) for v in relative)])
        alpha = min(1.0, TO_BOUNDARY / -least) if least < 0 else 1.0
        for _ in range(HALVINGS):
            new_m = [mb + alpha * db for mb, db in zip(m, dm, strict=True)]
            ahead = _downhill(problem, y + alpha * dy, [_inverse(mb) for mb in new_m], mu)
            if size <= CENTRED or float(ahead @ dy) >= -OVERSHOOT * float(right @ dy):
                break
            alpha *= 0.5
        y, m, looking_ahead = y + alpha * dy, new_m, False
    raise RuntimeError(f"the interior point did not arrive in {MAX_STEPS} steps (barrier {mu:.1e})")


def _downhill(problem: ReducedProblem, y: Array, inverses: list[Array], mu: float) -> Array:
    """Minus the gradient of the barrier function."""
    right = -problem.gradient(y)
    for piece, nu, inverse in zip(problem.pieces, problem.weights, inverses, strict=True):
        right[piece] += mu * nu * svec(inverse)
    return right


def _solve(system: Array, right: Array) -> Array:
    """The Newton step. Scaling to a unit diagonal removes most of the barrier's ill-conditioning; where rounding still
    makes the matrix indefinite it is shifted by just more than that."""
    if not len(right):
        return right
    if not (np.diagonal(system) > 0).all():  # a probability has underflowed, and with it the curvature along a logit
        raise RuntimeError("the Newton system has a diagonal entry of zero")
    scale = 1 / np.sqrt(np.diagonal(system))
    scaled = system * np.multiply.outer(scale, scale)
    for shift in SHIFTS:
        try:
            factor = cho_factor(scaled + shift * np.eye(len(right)))
        except LinAlgError:
            continue
        return np.asarray(scale * cho_solve(factor, scale * right))
    raise RuntimeError(f"the Newton system is indefinite beyond a shift of {SHIFTS[-1]:g}")


def _symmetric_product(a: Array, b: Array) -> Array:
    """The matrix of dM -> (A dM B + B dM A) / 2 in svec coordinates."""
    i, j = np.triu_indices(len(a))
    scale = np.where(i == j, 0.5, np.sqrt(0.5))  # (e_i e_j' + e_j e_i') times this has norm one
    total = a[np.ix_(i, i)] * b[np.ix_(j, j)] + a[np.ix_(i, j)] * b[np.ix_(j, i)]
    total = total + b[np.ix_(i, i)] * a[np.ix_(j, j)] + b[np.ix_(i, j)] * a[np.ix_(j, i)]
    return np.asarray(total * np.multiply.outer(scale, scale))


def _symmetrise(a: Array) -> Array:
    return np.asarray((a + a.T) / 2)


def _norm(a: Array) -> float:
    return float(np.abs(a).sum(axis=0).max(initial=0.0))


def _inverse(a: Array) -> Array:
    return np.asarray(cho_solve(cho_factor(a), np.eye(len(a)))) if len(a) else a


def _relative(matrices: list[Array], changes: list[Array]) -> list[Array]:
    """Eigenvalues of M^-1/2 dM M^-1/2 for each non-empty block."""
    relative = []
    for a, da in zip(matrices, changes, strict=True):
        if len(a):
            low = np.linalg.cholesky(a)
            scaled = solve_triangular(low, solve_triangular(low, da, lower=True).T, lower=True)
            relative.append(eigvalsh(_symmetrise(scaled)))
    return relative
