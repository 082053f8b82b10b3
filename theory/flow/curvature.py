"""The sharpness of Node2Vec's objective: the largest eigenvalue of its Hessian, which bounds the step of gradient
descent.

With R = diag(w) (T - P), the gradient of the objective f is (source: ours, from the softmax's derivative)

    tied,   f = L(VV') + l ||V||^2:                     G = -(R + R') V + 2 l V
    untied, f = L(VU') + l/2 (||V||^2 + ||U||^2):       G_V = -R U + l V,   G_U = -R' V + l U

and its derivative along a direction X (tied), (X, Y) (untied)

    dP = P o dZ - P o ((P o dZ) 1) 1',   dR = -diag(w) dP,   dZ = X V' + V X'   or   X U' + V Y'
    H X = -(dR + dR') V - (R + R') X + 2 l X;   -dR U - R Y + l X,   -dR' V - R' X + l Y.

Gradient descent with step eta multiplies an error along a direction of curvature c by 1 - eta c: it is stable only for
eta c < 2, at every c up to the sharpness. Above, the run leaves the gradient flow and oscillates (arXiv 2103.00065:
2 / eta is the edge of stability). A direction outside the row space of V has dZ = 0 and so the curvature of the same
direction inside it less a term dZ' (...) dZ >= 0 of the convex loss: the Hessian is taken in the n x min(n, m) (untied
min(2n, m)) columns that matter. float64, O(n^2 min(n, m)) a product, some dozens of them.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import eigvalsh
from scipy.sparse.linalg import LinearOperator, eigsh

from ..checks import Array, check_matrix
from ..softmax import check_row_weight, check_target, check_weight_decay, row_softmax
from .equations import check_logits
from .trajectory import compress_columns

DENSE_ENTRIES = 60  # up to here the Hessian is made whole: ARPACK needs room for its own basis
TOLERANCE = 1e-8  # relative, of the eigenvalue: a Ritz value is quadratically better than its vector
SEED = 0  # of the first Lanczos vector


def sharpness(
    target: ArrayLike,
    embedding: ArrayLike,
    *,
    context: ArrayLike | None = None,
    weight_decay: float = 0.0,
    row_weight: ArrayLike | None = None,
) -> float:
    """The largest eigenvalue of the Hessian of the objective, the loss summed over rows, at V = ``embedding`` (n, m).

    Tied without a ``context``; with one, U (n, m), untied. In units of 1 / time (t = step size x steps): a step of
    gradient descent is stable while it is below 2 / sharpness. ``target`` (n, n) row-stochastic, ``row_weight`` (n,).
    Raises ValueError for bad shapes, target, weights or decay and for logits that overflow.

    >>> from fiedler.theory import one_hop_target, parse, sharpness, tied_optimum
    >>> target = one_hop_target(parse("cycle:15"))
    >>> c = sharpness(target, tied_optimum(target).embedding())
    >>> round(c, 2), round(2 / c, 3)  # the largest stable step
    (7.36, 0.272)
    """
    t, decay = check_target(target), check_weight_decay(weight_decay)
    n = len(t)
    w = check_row_weight(row_weight, n)
    v = check_matrix(embedding, (n, None), "embedding")
    tied, u = context is None, v if context is None else check_matrix(context, (n, v.shape[1]), "context")
    check_logits(v @ v.T, "embedding"), check_logits(u @ u.T, "context")
    factors, _ = compress_columns(v) if tied else compress_columns(v, u)
    p = row_softmax(v @ u.T)
    r = w[:, None] * (t - p)
    product = (
        _tied_product(factors[0], p, r, w, decay) if tied else _untied_product(factors[0], factors[1], p, r, w, decay)
    )
    return largest_eigenvalue(product, np.stack(factors).shape)


def _tied_product(v: Array, p: Array, r: Array, w: Array, decay: float) -> Callable[[Array], Array]:
    s = r + r.T

    def product(x: Array) -> Array:
        half = x[0] @ v.T
        dr = _residual_change(half + half.T, p, w)
        return np.asarray(2 * decay * x - ((dr + dr.T) @ v + s @ x[0]))

    return product


def _untied_product(v: Array, u: Array, p: Array, r: Array, w: Array, decay: float) -> Callable[[Array], Array]:
    def product(state: Array) -> Array:
        x, y = state
        dr = _residual_change(x @ u.T + v @ y.T, p, w)
        return np.asarray(decay * state - np.stack([dr @ u + r @ y, dr.T @ v + r.T @ x]))

    return product


def _residual_change(logits: Array, p: Array, w: Array) -> Array:
    """dR of a change of the logits."""
    moved = p * logits
    return -w[:, None] * (moved - p * moved.sum(axis=1, keepdims=True))


def largest_eigenvalue(product: Callable[[Array], Array], shape: tuple[int, ...]) -> float:
    """Of the symmetric map ``product`` on arrays of ``shape``."""
    size = int(np.prod(shape))
    if size <= DENSE_ENTRIES:
        columns = np.array([product(e.reshape(shape)).ravel() for e in np.eye(size)])
        return float(eigvalsh((columns + columns.T) / 2)[-1])
    operator = LinearOperator((size, size), matvec=lambda x: product(x.reshape(shape)).ravel(), dtype=np.float64)
    first = np.random.default_rng(SEED).standard_normal(size)
    return float(eigsh(operator, k=1, which="LA", v0=first, tol=TOLERANCE, return_eigenvectors=False)[0])
