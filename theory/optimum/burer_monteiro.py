"""The Burer-Monteiro solver: minimise an objective over its factor F (rows, r) and bias a, to a global optimum.

The convex problem in the Gram matrix (or the logits) is solved over a factor: L-BFGS from a wide start, then
preconditioned Newton steps (``optimum.newton_cg``). Where those make no headway, or a small graph allows a polish to
rounding, rounds follow of a trust-region Newton method, truncation to the numerical rank, Newton steps by MINRES (the
Hessian is singular along rotations of F), and an escape along the violated directions of the optimality conditions
while there are any. A stationary point without such a direction is the global optimum, whatever its rank.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.optimize import minimize
from scipy.sparse.linalg import LinearOperator, minres

from ..checks import Array
from .newton_cg import newton_cg
from .objectives import FULL_RANK_LIMIT, Objective

# Squared singular values of F below this fraction of the largest (or of one) are taken for zero before the Newton
# steps, which would otherwise chase columns that are on their way to zero. The escape step undoes a wrong cut, and each
# round cuts ten times lower, so that an optimum with tiny eigenvalues is not cut and reopened for ever.
RANK_CUT = 1e-5
SMALLEST_CUT = 1e-12
# Gradient, relative to the total row weight, at which Newton stops: rounding of n^2 softmax entries below one.
GRADIENT_GOAL = 1e-13
NEWTON_BASIN = 1e-5  # Newton steps are tried below this gradient: further out they cost a solve and are rejected
NEWTON_GOAL = 2e-10  # a fifth of STATIONARY
STATIONARY = 1e-9  # largest gradient of an accepted point: a hundredth of the promised 1e-7
MAX_ROUNDS = 30
LBFGS_ITERATIONS = 120  # the wide start only has to come near: Newton steps are better after that
TRUST_REGION_ITERATIONS = 200


@dataclass(frozen=True, eq=False)
class Factorisation:
    """F (rows, r) with full column rank, the bias a and the rounds it took."""

    factor: Array
    bias: Array
    rounds: int


def solve(objective: Objective) -> Factorisation:
    """The globally optimal (F, a). Raises RuntimeError when the rounds run out before every direction is closed."""
    f, a = newton_cg(
        objective,
        *_lbfgs(objective, *objective.start()),
        goal=NEWTON_GOAL,
        truncate=partial(_truncate, cut=SMALLEST_CUT),
    )
    norm = _gradient(objective, f, a)
    # On small graphs a polish to rounding is cheap, and what follows costs nothing else once the point is stationary.
    if (
        objective.n > FULL_RANK_LIMIT
        and norm <= STATIONARY * objective.scale
        and objective.escape_direction(f, a) is None
    ):
        return Factorisation(f, a, 1)
    for rounds in range(1, MAX_ROUNDS + 1):
        if rounds > 1 or norm > STATIONARY * objective.scale:
            f, a = _trust_region(objective, f, a)
        cut = max(RANK_CUT * 0.1 ** (rounds - 1), SMALLEST_CUT)
        for _ in range(2):  # the first pass shows which columns go to zero
            f, a, norm = _newton(objective, _truncate(f, cut), a)
        direction = objective.escape_direction(f, a)
        if direction is None and norm <= STATIONARY * objective.scale:
            return Factorisation(f, a, rounds)
        if direction is not None:
            f = np.concatenate([f, direction], axis=1)
    raise RuntimeError(
        f"no certified optimum after {MAX_ROUNDS} rounds (gradient {norm:.1e}); the target or the row weights may be "
        "close to ones without a finite optimum: add weight decay or label smoothing, or even the weights out"
    )


def _gradient(objective: Objective, f: Array, a: Array) -> float:
    _, df, da = objective.value_and_gradient(f, a)
    return float(np.sqrt((df**2).sum() + da @ da))


class _Flat:
    """The objective over one flat vector, divided by the total row weight."""

    def __init__(self, objective: Objective, f: Array) -> None:
        self.objective, self.shape, self.size = objective, f.shape, f.size

    def split(self, x: Array) -> tuple[Array, Array]:
        return x[: self.size].reshape(self.shape), x[self.size :]

    def value(self, x: Array) -> tuple[float, Array]:
        value, df, da = self.objective.value_and_gradient(*self.split(x))
        return value / self.objective.scale, np.concatenate([df.ravel(), da]) / self.objective.scale

    def product(self, x: Array, p: Array) -> Array:
        return self.operator(x)(p)

    def operator(self, x: Array):  # type: ignore[no-untyped-def]
        hessian = self.objective.hessian(*self.split(x))

        def apply(p: Array) -> Array:
            hf, ha = hessian(*self.split(p))
            return np.concatenate([hf.ravel(), ha]) / self.objective.scale

        return apply

    def centred(self, x: Array) -> tuple[Array, Array]:
        f, a = self.split(x)
        return self.objective.centre(f), self.objective.centre(a) if a.size else a


def _lbfgs(objective: Objective, f: Array, a: Array) -> tuple[Array, Array]:
    flat = _Flat(objective, f)
    options = {"maxiter": LBFGS_ITERATIONS, "maxfun": 2 * LBFGS_ITERATIONS, "ftol": 1e-16, "gtol": 1e-10, "maxcor": 20}
    result = minimize(flat.value, np.concatenate([f.ravel(), a]), jac=True, method="L-BFGS-B", options=options)
    return flat.centred(result.x)


def _trust_region(objective: Objective, f: Array, a: Array) -> tuple[Array, Array]:
    flat = _Flat(objective, f)
    result = minimize(
        flat.value,
        np.concatenate([f.ravel(), a]),
        jac=True,
        hessp=flat.product,
        method="trust-ncg",
        options={"maxiter": TRUST_REGION_ITERATIONS, "gtol": 1e-10},
    )
    return flat.centred(result.x)


def _newton(objective: Objective, f: Array, a: Array) -> tuple[Array, Array, float]:
    """Newton steps while they halve the gradient norm; a step that raises it is discarded. Also that norm."""
    flat = _Flat(objective, f)
    x = np.concatenate([f.ravel(), a])
    _, gradient = flat.value(x)
    for _ in range(25):
        norm = np.linalg.norm(gradient)
        if not GRADIENT_GOAL < norm < NEWTON_BASIN:
            break
        hessian = LinearOperator((x.size, x.size), matvec=flat.operator(x), dtype=np.float64)
        step, _ = minres(hessian, -gradient, rtol=1e-10, maxiter=4 * x.size)
        new_f, new_a = flat.centred(x + step)
        new_x = np.concatenate([new_f.ravel(), new_a])
        _, new_gradient = flat.value(new_x)
        new_norm = np.linalg.norm(new_gradient)
        if not new_norm < norm:
            break
        x, gradient = new_x, new_gradient
        if new_norm > 0.5 * norm:
            break
    return *flat.split(x), float(np.linalg.norm(gradient)) * objective.scale


def _truncate(f: Array, cut: float) -> Array:
    """F with orthogonal columns, those with a squared singular value below ``cut`` of the largest (or one) dropped."""
    left, values, _ = np.linalg.svd(f, full_matrices=False)
    energy = values**2
    keep = energy > cut * max(1.0, energy.max(initial=0.0))
    return np.asarray(left[:, keep] * values[keep])
