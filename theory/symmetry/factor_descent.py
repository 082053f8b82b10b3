"""Minimising the reduced objective over factors of its blocks, M_b = F_b F_b'.

Second-order points of the factored problem with factors as wide as an optimum's rank can be are global optima (a
rank-deficient F_b that is a local minimum satisfies the convex problem's conditions). Follows the curved boundary of
the cone, where the mean direction of a decayed embedding lies and along which an interior point would have to creep.
L-BFGS, then a trust region with the exact Hessian, then Newton steps in the least-squares sense (rotations of F_b leave
the Hessian singular).
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from scipy.linalg import eigh
from scipy.optimize import minimize

from ..checks import Array
from .problem import ReducedProblem

LBFGS_ITERATIONS = 3000
TRUST_REGION_ITERATIONS = 500
NEWTON_STEPS = 20
HALVINGS = 12  # of a Newton step
SINGULAR = 1e-13  # eigenvalues of the Hessian below this part of the largest are the rotations


def descend(problem: ReducedProblem, start: list[Array] | None = None) -> tuple[list[Array], Array]:
    """Factors F_b (d_b, r_b) and the free bias variables of a stationary point, from ``start`` or F_b = I."""
    start = [np.eye(d) for d in problem.dimensions] if start is None else start
    over = OverFactors(problem, [f.shape[1] for f in start])
    x = over.join(start, over.no_bias)
    options = {"maxiter": LBFGS_ITERATIONS, "maxfun": 2 * LBFGS_ITERATIONS, "ftol": 1e-16, "gtol": 1e-9, "maxcor": 30}
    x = minimize(over.value_and_gradient, x, jac=True, method="L-BFGS-B", options=options).x
    options = {"maxiter": TRUST_REGION_ITERATIONS, "gtol": 1e-11}
    x = minimize(over.value_and_gradient, x, jac=True, hess=over.hessian, method="trust-exact", options=options).x
    x = _newton(over, x)
    return over.factors(x), x[over.free_from :]


def polish(problem: ReducedProblem, factors: list[Array], free: Array) -> tuple[list[Array], Array]:
    """The stationary point that Newton steps reach from these factors, whose widths they keep."""
    over = OverFactors(problem, [f.shape[1] for f in factors])
    x = _newton(over, over.join(factors, free))
    return over.factors(x), x[over.free_from :]


def _newton(over: OverFactors, x: Array) -> Array:
    """Newton steps in the least-squares sense, each halved until it lowers the gradient."""
    gradient = over.value_and_gradient(x)[1]
    for _ in range(NEWTON_STEPS):
        values, modes = eigh(over.hessian(x))
        usable = np.abs(values) > SINGULAR * np.abs(values).max(initial=0.0)
        step = modes[:, usable] @ (modes[:, usable].T @ gradient / values[usable])
        for _ in range(HALVINGS):
            ahead = over.value_and_gradient(x - step)[1]
            if np.linalg.norm(ahead) < np.linalg.norm(gradient):
                break
            step = step / 2
        else:
            break
        x, gradient = x - step, ahead
    return x


class OverFactors:
    """The objective over x = (sqrt(nu_b) F_b, free part): that scale gives every block curvature of order one."""

    def __init__(self, problem: ReducedProblem, widths: list[int]) -> None:
        self.problem, self.widths = problem, widths
        self.scale = np.sqrt(problem.weights)
        ends = np.cumsum([0, *(d * r for d, r in zip(problem.dimensions, widths, strict=True))])
        self.pieces = [slice(int(a), int(b)) for a, b in pairwise(ends)]
        self.free_from = int(ends[-1])
        self.no_bias = np.zeros(problem.bias_frame.shape[1])

    def join(self, factors: list[Array], free: Array) -> Array:
        """x from its parts."""
        return np.concatenate([*(f.ravel() * c for f, c in zip(factors, self.scale, strict=True)), free])

    def factors(self, x: Array) -> list[Array]:
        parts = zip(self.pieces, self.problem.dimensions, self.widths, self.scale, strict=True)
        return [x[piece].reshape(d, r) / c for piece, d, r, c in parts]

    def point(self, x: Array) -> Array:
        return self.problem.join([f @ f.T for f in self.factors(x)], x[self.free_from :])

    def value_and_gradient(self, x: Array) -> tuple[float, Array]:
        y = self.point(x)
        gradient = self.problem.gradient(y)
        parts = zip(self.problem.slopes(gradient), self.factors(x), self.scale, strict=True)
        out = [(2 * c * slope @ f).ravel() for slope, f, c in parts]
        return self.problem.value(y), np.concatenate([*out, gradient[self.problem.free_from :]])

    def hessian(self, x: Array) -> Array:
        y = self.point(x)
        curvature, jacobian = np.zeros((len(x), len(x))), self.jacobian(x)
        slopes = self.problem.slopes(self.problem.gradient(y))
        for columns, r, slope in zip(self.pieces, self.widths, slopes, strict=True):
            curvature[columns, columns] = np.kron(2 * slope, np.eye(r))
        return np.asarray(jacobian.T @ self.problem.hessian(y) @ jacobian + curvature)

    def jacobian(self, x: Array) -> Array:
        """d y / d x."""
        out = np.zeros((self.problem.free_from + len(self.no_bias), len(x)))
        for rows, columns, f, c in zip(self.problem.pieces, self.pieces, self.factors(x), self.scale, strict=True):
            out[rows, columns] = _jacobian(f) / c
        out[self.problem.free_from :, self.free_from :] = np.eye(len(self.no_bias))
        return out


def _jacobian(f: Array) -> Array:
    """d svec(F F') / d F: (dF F' + F dF')_ij = sum_r dF_ir F_jr + F_ir dF_jr."""
    d, r = f.shape
    i, j = np.triu_indices(d)
    k, scale = np.arange(len(i)), np.where(i == j, 1.0, np.sqrt(2.0))
    out = np.zeros((len(i), d, r))
    out[k, i] += scale[:, None] * f[j]
    out[k, j] += scale[:, None] * f[i]
    return out.reshape(len(i), d * r)
