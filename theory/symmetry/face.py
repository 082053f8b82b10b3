"""Which directions of the blocks an optimum uses, found by trial and proved by Newton's theorem.

An optimum M_b = F_b F_b' with F_b (d_b, r_b) of full column rank is a stationary point of the smooth function
phi(x) = problem(F F', bias) of x = (sqrt(nu_b) F_b, bias) without constraints. So on a guess of the widths r_b Newton
steps go to rounding, where the barrier of an interior point stops at its own accuracy; and the guess can be proved:

*Theorem.* H, the Hessian of phi at x on the complement of the rotations {F_b A, A' = -A}, has least eigenvalue l > 0;
e = |H^-1/2 grad phi|, rho = 2 e, |u|_H^2 = u' H u. Let Z be the slopes of the blocks at x, f the loss over logits z,
z(x + u) = z + G u + Q(u, u) / 2, spread the difference of largest and smallest entry in a row, and for all u

    spread(G u) <= R |u|_H,  f''[G u, G u] <= m |u|_H^2,  spread(Q(u, v)) <= k |u| |v|.

Within |x' - x|_H <= rho logits change by a spread of at most r = R rho + k rho^2 / (2 l), so that f'' changes by a
factor of at most e^r (Bach 2010), f''[G'u, G'u]^1/2 <= V |u|_H with V = e^(r/2) (m^1/2 + k rho / (2 l)), and

    |phi'''[u, u, u]| <= c |u|_H^3,   c = (R + k rho / l) V^2 + (3/2) V k / l.

If c e <= 1/2 there is an exact stationary point x* with |x* - x|_H <= rho (``optimum.rank.newton_radius``). There
Z*_b F*_b = 0, and |Z*_b - Z_b|_2 <= V e^(r/2) rho max_v f''[vv', vv']^1/2 / nu_b. If d_b - r_b eigenvalues of every
Z_b exceed that, Z* is positive semidefinite: x* is the optimum, and its rank is sum_b m_b r_b exactly.

(The gradient vanishes along the rotations too, since F_b'F*_b has a positive symmetric part: F*_b is closer to F_b than
its least singular value.) In float64 arithmetic, with an allowance for its rounding. Where e^r, c or a slack is out of
reach nothing is proved, and the range that the duality gap allows is reported. Source: ours.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import eigh, eigvalsh, null_space

from ..checks import Array
from ..optimum.rank import newton_radius
from .blocks import NEGLIGIBLE
from .factor_descent import OverFactors, polish
from .problem import ReducedProblem

ROUNDING = 8 * float(np.finfo(np.float64).eps)  # relative error of a probability, per unit of its logit
# Eigenvalues of a block below this part of the largest of all (or of one) may be spurious, and are tried without.
SMALL = 0.2
MOST_TRIALS = 8
LARGEST_FACE = 600  # numbers in the factors: a Newton step takes a second there
STATIONARY = 1e-11  # gradient of phi, of order one, and negative slope, at which a trial counts as optimal


def find_face(problem: ReducedProblem, factors: list[Array], free: Array) -> tuple[list[Array], Array, bool]:
    """The factors polished on the smallest face that is optimal to rounding, and whether its rank is proved.

    Starts from the directions in ``factors`` and leaves out one small eigenvalue after the other while what remains is
    still optimal to STATIONARY. Gives the factors back as they came where no such face is found or they hold more than
    LARGEST_FACE numbers.
    """
    if sum(f.size for f in factors) > LARGEST_FACE:
        return factors, free, False
    best, best_free, found = factors, free, False
    trial = [_orthogonal(f) for f in factors]
    for _ in range(MOST_TRIALS + 1):
        polished, bias = polish(problem, trial, free)
        if _optimal(problem, polished, bias):
            best, best_free, found = polished, bias, True
            if face_is_proved(problem, polished, bias):
                return best, best_free, True
        smaller = _without_the_smallest([_orthogonal(f) for f in polished] if found else trial)
        if smaller is None or (found and not _optimal(problem, polished, bias)):
            break
        trial, free = smaller, bias if found else free
    return best, best_free, False


def face_is_proved(problem: ReducedProblem, factors: list[Array], free: Array) -> bool:
    """Whether the theorem of the module holds at this point: the optimum then has exactly these ranks."""
    over = OverFactors(problem, [f.shape[1] for f in factors])
    x = over.join(factors, free)
    z = problem.logits_of @ over.point(x)
    mass = problem.masses(z)
    rounded = ROUNDING * (1 + np.abs(z).max()) * problem.row_mass[problem.algebra.row_type]
    rounded = rounded * (mass + problem.algebra.valency * problem.target)

    slice_ = null_space(_rotations(over, factors).T) if len(x) else np.zeros((0, 0))
    g = problem.logits_of @ over.jacobian(x) @ slice_
    values, modes = eigh(slice_.T @ over.hessian(x) @ slice_) if slice_.shape[1] else (np.ones(1), np.zeros((0, 1)))
    least = float(values[0])
    if not least > 0:
        return False
    inverse_root = modes / np.sqrt(values)
    gradient = slice_.T @ over.value_and_gradient(x)[1]
    scaled = g @ inverse_root
    energy = np.zeros((scaled.shape[1], scaled.shape[1]))
    for share, c in zip(problem.row_mass, problem.rows, strict=True):
        scaled[c] -= mass[c] @ scaled[c]
        energy += share * (scaled[c].T * mass[c]) @ scaled[c]
    reach = np.linalg.norm(scaled, axis=1)
    spread = 2 * float(reach.max(initial=0.0))
    e = float(np.linalg.norm(inverse_root.T @ gradient)) + float(rounded @ reach)  # rounded masses still sum to one
    bend = max(
        (4 * float(np.linalg.norm(problem.logits_of[:, piece], axis=1).max(initial=0.0)) / nu
         for piece, nu, width in zip(problem.pieces, problem.weights, over.widths, strict=True) if width),
        default=0.0,
    )  # fmt: skip
    rho = 2 * e
    r = spread * rho + bend * rho**2 / (2 * least)
    if r > 1:
        return False
    top = float(eigvalsh(energy)[-1]) if len(energy) else 0.0
    v = np.exp(r / 2) * (np.sqrt(max(top, 0.0)) + bend * rho / (2 * least))
    radius = newton_radius(e, (spread + bend * rho / least) * v**2 + 1.5 * v * bend / least)
    if not np.isfinite(radius):
        return False
    return _ranks_hold(problem, over, x, radius / np.sqrt(least), v * np.exp(r / 2) * radius, rounded)


def _ranks_hold(
    problem: ReducedProblem, over: OverFactors, x: Array, moved: float, pushed: float, rounded: Array
) -> bool:
    """Whether full column ranks survive a change of x by ``moved``, and positive slopes one of
    ``pushed`` max f''^1/2."""
    y = over.point(x)
    hessian, slopes = problem.hessian(y), problem.slopes(problem.gradient(y))
    twins = twin_blocks(problem)
    parts = zip(problem.pieces, problem.weights, over.factors(x), slopes, twins, strict=True)
    for piece, nu, f, slope, twin in parts:
        width = f.shape[1]
        if not len(slope) or (twin and not width):
            continue
        if width and np.linalg.svd(f, compute_uv=False)[-1] * np.sqrt(nu) <= 2 * moved:
            return False
        rounding = float(rounded @ np.linalg.norm(problem.logits_of[:, piece], axis=1)) / nu
        error = pushed * np.sqrt(max(float(eigvalsh(hessian[piece, piece])[-1]), 0.0)) / nu + rounding
        positive = int((eigvalsh(slope) > error).sum())
        if positive < len(slope) - width:
            return False
    return True


def twin_blocks(problem: ReducedProblem) -> list[bool]:
    """Which blocks are made of differences of twins, where slack and optimum are exactly zero for l = 0.

    Such a block is one number, K_ii - K_ij: only the colour of (i, i) and that of (i, j), equal in T, appear in it. It
    is zero exactly when P_ii = P_ij, and then so is the block of S (``optimum.rank``, Twins).
    """
    algebra, found = problem.algebra, []
    for b, basis in enumerate(algebra.basis):
        colours = np.flatnonzero(np.abs(basis).max(axis=(1, 2), initial=0.0) > NEGLIGIBLE)
        found.append(
            problem.decay == 0
            and b > 0
            and basis.shape[1] == 1
            and len(colours) == 2
            and len(np.intersect1d(colours, algebra.identity)) == 1
            and abs(float(basis[colours].sum())) < NEGLIGIBLE
            and len(np.unique(algebra.column_type[colours])) == 1
            and float(np.ptp(problem.target[colours])) == 0
        )
    return found


def _optimal(problem: ReducedProblem, factors: list[Array], free: Array) -> bool:
    gradient = problem.gradient(problem.join([f @ f.T for f in factors], free))
    slopes = problem.slopes(gradient)
    along = [float(np.abs(s @ f).max(initial=0.0)) for s, f in zip(slopes, factors, strict=True)]
    below = [-float(eigvalsh(s)[0]) for s in slopes if len(s)]
    return max([*along, *below, float(np.abs(gradient[problem.free_from :]).max(initial=0.0))]) <= STATIONARY


def _orthogonal(factor: Array) -> Array:
    """F with orthogonal columns, largest first."""
    left, values, _ = np.linalg.svd(factor, full_matrices=False)
    return np.asarray(left[:, : factor.shape[1]] * values[: factor.shape[1]])


def _without_the_smallest(factors: list[Array]) -> list[Array] | None:
    """The factors without the column of the least norm of all, or None where none is small beside the largest."""
    least = [float((f[:, -1] ** 2).sum()) if f.shape[1] else np.inf for f in factors]
    largest = max((float((f[:, 0] ** 2).sum()) for f in factors if f.shape[1]), default=0.0)
    which = int(np.argmin(least))
    if not least[which] < SMALL * max(1.0, largest):
        return None
    return [f[:, :-1] if b == which else f for b, f in enumerate(factors)]


def _rotations(over: OverFactors, factors: list[Array]) -> Array:
    """The directions F_b A, A' = -A, of x: (len(x), their number)."""
    size = over.free_from + len(over.no_bias)
    columns = []
    for piece, f in zip(over.pieces, factors, strict=True):
        r = f.shape[1]
        for i in range(r):
            for j in range(i):
                turn = np.zeros((r, r))
                turn[i, j], turn[j, i] = 1.0, -1.0
                column = np.zeros(size)
                column[piece] = (f @ turn).ravel()
                columns.append(column)
    return np.array(columns).T if columns else np.zeros((size, 0))
