"""What logits cost an attention-only net: the least sum of squares of its weights, mode by mode.

    c(Z) = min ||E||^2 + ||A||^2 + ||C||^2   over   Z = E (I + A C) E',   E (n, m), A (m, h), C (h, m)

(a residual layer of two factors; E A C E' without the residual connection). Training with weight decay l on all
matrices has L(Z) + (l/2) c(Z) for its objective in Z, and where training without it diverges, c without the residual
connection is what the margin is maximised against (Lyu and Li, arXiv 1906.05890, for homogeneous nets, and Cai et al.,
arXiv 2502.16075, for nearly homogeneous ones, as these are; both for one-hot rows).

Symmetric Z, width and h at least its rank: c(Z) = sum of c(z) over the eigenvalues,

    residual:   c(z) = z for 0 <= z <= 2,   2 (2z)^{1/2} - 2 for z >= 2,   2 (2|z|)^{1/2} + 2 for z < 0
    none:       c(z) = 2 (2|z|)^{1/2};   any Z: c(Z) >= 2^{3/2} sum of the square roots of its singular values

So up to two a positive eigenvalue costs what it does Node2Vec, beyond and below zero its root: few large modes are
cheaper than many, where the untied net pays the nuclear norm, and every negative mode has an entry fee of two.

At z = 0 the cost of a negative mode jumps by its fee: eigenvalues below ZERO of the largest count as zero.

Proof, residual. Only the symmetric part of A C counts, and taking it costs nothing: let Q = AC = Q', where
min ||A||^2 + ||C||^2 = 2 ||Q||_*. Outside the range of Z, E can be projected away; inside it has full row rank, so that
the constraint is regular and the minimum, which exists, has a multiplier D = D': E = D E (I + Q) and E'DE = 2S, S a
subgradient of the nuclear norm at Q. S commutes with Q; hence so does E'E = 2S(I + Q): the net is diagonal in one
basis, and each mode is the least of k + 2 |z/k - 1| over k = |e|^2, which has one stationary point for every z. None:
Hoelder's inequality for Schatten norms, sum s(Z)^{1/2} <= (||E||^2 ||A|| ||C||)^{1/2}.
So where training with decay rests at a net with symmetric residual R and AC, the same equations hold with S = E'RE / l
on the range of Q, and on its kernel, too, unless |E'RE| > l there, which is a strict saddle: at any other such net the
squares are c(Z). Source: ours.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ..checks import Array, check_array, check_flag, check_matrix, shown
from .net import LinearNet

FREE = 2.0  # eigenvalue up to which the embedding alone is cheapest
FEE = 2.0  # of a mode that the residual connection works for (minus) or against (plus)
ASYMMETRY = 1e-9  # of the largest entry, above which logits are not symmetric
ZERO = 1e-9  # of the largest eigenvalue, below which one is none, and has no fee to pay


def mode_cost(eigenvalue: ArrayLike, *, residual: bool = True) -> Array:
    """c(z) of the module, of any shape.

    >>> from fiedler.theory import mode_cost
    >>> mode_cost([1.0, 2.0, 8.0, 0.0, -8.0]).tolist()
    [1.0, 2.0, 6.0, 0.0, 10.0]
    >>> mode_cost([8.0, -8.0], residual=False).tolist()
    [8.0, 8.0]
    """
    z, skip = check_array(eigenvalue, "eigenvalue"), check_flag(residual, "residual")
    root = 2 * np.sqrt(2 * np.abs(z))
    if not skip:
        return np.asarray(root)
    return np.asarray(np.where(z < 0, root + FEE, np.where(z <= FREE, z, root - FEE)))


def representation_cost(logits: ArrayLike, *, residual: bool = True) -> float:
    """c(Z) of symmetric ``logits`` (n, n); without ``residual`` of any, symmetric or not a lower bound.

    Raises ValueError for logits that are not symmetric where a residual connection is there: no formula is known.

    >>> import numpy as np
    >>> from fiedler.theory import representation_cost
    >>> representation_cost(np.diag([1.0, 8.0, -8.0])), representation_cost(np.diag([0.0, 8.0, -8.0]), residual=False)
    (17.0, 16.0)
    """
    z, skip = check_matrix(logits, (None, None), "logits"), check_flag(residual, "residual")
    if not skip:
        return float(mode_cost(np.linalg.svd(z, compute_uv=False), residual=False).sum())
    return float(mode_cost(_modes(z)[0]).sum())


def cheapest_net(logits: ArrayLike, *, residual: bool = True) -> LinearNet:
    """A net of symmetric ``logits`` (n, n) whose squares sum to c(Z): width n, one layer of two factors.

    Raises ValueError for logits that are not symmetric.

    >>> import numpy as np
    >>> from fiedler.theory import cheapest_net
    >>> net = cheapest_net(np.diag([8.0, -8.0]))
    >>> (net.embedding**2).sum().round(6).item(), [(w**2).sum().round(6).item() for w in net.layers[0]]
    (8.0, [4.0, 4.0])
    """
    skip = check_flag(residual, "residual")
    z, basis = _modes(check_matrix(logits, (None, None), "logits"))
    k = np.sqrt(2 * np.abs(z))
    if skip:
        k = np.where((z >= 0) & (z <= FREE), z, k)
    inner = np.divide(z, k, out=np.full_like(z, float(skip)), where=k > 0) - float(skip)
    root = np.sqrt(np.abs(inner))
    e = basis * np.sqrt(k)
    return LinearNet(e, ((np.diag(root * np.sign(inner)), np.diag(root)),), residual=skip)


def _modes(z: Array) -> tuple[Array, Array]:
    """Eigenvalues, rounding cleared, and eigenvectors of a matrix that has to be symmetric."""
    if z.shape[0] != z.shape[1] or not np.abs(z - z.T).max(initial=0.0) <= ASYMMETRY * np.abs(z).max(initial=0.0):
        raise ValueError(f"logits must be symmetric; got {shown(z)}: give their symmetric part, or residual=False")
    values, basis = np.linalg.eigh((z + z.T) / 2)
    return np.where(np.abs(values) > ZERO * np.abs(values).max(initial=0.0), values, 0.0), basis
