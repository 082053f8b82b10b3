"""Newton steps by preconditioned conjugate gradients, for the factored problems of ``optimum.burer_monteiro``.

The preconditioner is what makes large ill-conditioned graphs cheap: the Hessian is nearly a Kronecker sum of
2 (l I - S), which is diagonal in the eigenvectors of S, and of the softmax curvature of each column of F; see
``optimum.objectives``. Each step starts from F truncated to its numerical rank; a line search guards it. The iteration
also opens the violated directions of the optimality conditions, and stops by itself where it makes no headway:
near-degenerate optima (tiny eigenvalues of K beside tiny ones of l I - S) are left to the caller's other method.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..checks import Array
from .objectives import Objective

STEPS = 300
CONJUGATE_STEPS = 400  # in one Newton step
ESCAPE_BELOW = 1e-7  # gradient, relative to the total row weight, below which new directions are opened
HEADWAY = 0.5  # the gradient has to fall by this factor within PATIENCE steps
PATIENCE = 60
SUFFICIENT = 1e-4  # Armijo's constant
HALVINGS = 30
ROUNDING = 1e-13  # of the objective, relative


def newton_cg(
    objective: Objective, f: Array, a: Array, *, goal: float, truncate: Callable[[Array], Array]
) -> tuple[Array, Array]:
    """(F, a) after Newton steps: a point without escape direction whose gradient is below ``goal`` (relative to the
    total row weight), or the last one before there was no more headway. ``truncate`` gives F orthogonal columns."""
    best, since = np.inf, 0
    for _ in range(STEPS):
        f = truncate(f)
        value, df, da = objective.value_and_gradient(f, a)
        norm = float(np.sqrt((df**2).sum() + da @ da)) / objective.scale
        if norm <= ESCAPE_BELOW:
            direction = objective.escape_direction(f, a)
            if direction is None and norm <= goal:
                break
            if direction is not None:
                f, best = np.concatenate([f, direction], axis=1), np.inf
                value, df, da = objective.value_and_gradient(f, a)
        best, since = (norm, 0) if norm < HEADWAY * best else (best, since + 1)
        if since > PATIENCE:
            break
        step_f, step_a = _direction(objective, f, a, df, da)
        f, a = _line_search(objective, f, a, step_f, step_a, value, float((df * step_f).sum() + da @ step_a))
    return truncate(f), a


def _direction(objective: Objective, f: Array, a: Array, df: Array, da: Array) -> tuple[Array, Array]:
    """Conjugate gradients on Hessian x = -gradient, stopped early far from the optimum (relative residual min(1/10,
    sqrt of the gradient)) and at negative curvature."""
    hessian, precondition = objective.hessian(f, a), objective.preconditioner(f, a)
    xf, xa, rf, ra = np.zeros_like(f), np.zeros_like(a), -df, -da
    pf, pa = precondition(rf, ra)
    rz = float((rf * pf).sum() + ra @ pa)
    norm = float(np.sqrt((df**2).sum() + da @ da)) / objective.scale
    enough = min(0.1, np.sqrt(norm)) ** 2 * rz
    for k in range(CONJUGATE_STEPS):
        hf, ha = hessian(pf, pa)
        curvature = float((pf * hf).sum() + pa @ ha)
        if curvature <= 0:
            return (pf, pa) if k == 0 else (xf, xa)
        alpha = rz / curvature
        xf, xa = xf + alpha * pf, xa + alpha * pa
        rf, ra = rf - alpha * hf, ra - alpha * ha
        zf, za = precondition(rf, ra)
        before, rz = rz, float((rf * zf).sum() + ra @ za)
        if rz <= enough:
            break
        pf, pa = zf + rz / before * pf, za + rz / before * pa
    return xf, xa


def _line_search(
    objective: Objective, f: Array, a: Array, step_f: Array, step_a: Array, value: float, slope: float
) -> tuple[Array, Array]:
    alpha = 1.0
    for _ in range(HALVINGS):
        new_f, new_a = f + alpha * step_f, a + alpha * step_a
        new = objective.value_and_gradient(new_f, new_a)[0]
        if new <= value + SUFFICIENT * alpha * slope + ROUNDING * abs(value):
            break
        alpha *= 0.5
    return objective.centre(new_f), objective.centre(new_a) if a.size else a
