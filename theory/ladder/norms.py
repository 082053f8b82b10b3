"""Layer norm, the clock it sets and the plateau it moves.

    n(x) = C x / r,   r = (|C x|^2 / m + e)^{1/2},   C = I - 11'/m  (RMS norm: C = I),   e = 1e-5 as in GPT-2

    dn = (1/r) (C - n n'/m) dx:       no change along x but for e, the rest scaled by 1/r

Read through n, logits Z = N(E) E' of embeddings with one norm r are K / r with K = E C E', and what a step of gradient
descent moves E by is scaled by 1/r: dtau = dt / r is the clock. Where all rows have one norm and R is symmetric,

    dE/dtau = (R + R' - k I) E,    dZ/dtau = S Z + Z S - c Z,    S = R + R'
    k = (RK)_uu / (m r^2),         c = 2 k + d log r / dtau  ->  3 k as e -> 0

so that in tau the flow is that of tied Node2Vec but for the scalar c: norms grow at half the rate they would have, and
all modes are held back alike. c vanishes with RK = 0: the plateau is that of Node2Vec, with its eigenspaces, and the
embedding's Gram matrix there is K = r K*, K* the tied optimum. Source: ours; layer norm is arXiv 1607.06450.
Rows of different norms have no common clock: ``normed_gram`` is exact for them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ..checks import Array, check_array, check_choice, check_matrix, check_real, check_vector, shown
from ..flow.starts import check_count, check_scale

NORMS = ("layer", "rms", "none")
EPSILON = 1e-5  # GPT-2's
LARGEST_EPSILON = 1e12  # beyond, nothing is left of what is read
EQUAL_NORMS = 1e-6  # relative spread of a diagonal that counts as constant: optima carry a solver's 1e-9


def layer_norm(
    embedding: ArrayLike, gain: ArrayLike | None = None, *, norm: str = "layer", epsilon: float = EPSILON
) -> Array:
    """N(E) diag(gain) of the rows of E (..., n, m); ``gain`` (m,), ones when None; ``norm``: of NORMS."""
    x = check_array(embedding, "embedding")
    if x.ndim < 2 or x.shape[-1] == 0:
        raise ValueError(f"embedding must have shape (..., n, m), m >= 1; got {x.shape}")
    y = normalise(x, check_choice(norm, "norm", NORMS), check_epsilon(epsilon))[0]
    return y if gain is None else y * check_vector(gain, "gain", x.shape[-1])


def norm_clock(gram: ArrayLike, width: int, *, epsilon: float = EPSILON) -> Array:
    """dtau/dt = 1 / r_u of each node, (..., n), from the Gram matrix K (..., n, n) of the centred embeddings.

    Raises ValueError for a negative diagonal and where both it and ``epsilon`` are zero.
    """
    k, m = check_array(gram, "gram"), check_count(width, "width")
    if k.ndim < 2 or k.shape[-1] != k.shape[-2] or k.shape[-1] == 0:
        raise ValueError(f"gram must have shape (..., n, n), n >= 1; got {k.shape}")
    size = np.diagonal(k, axis1=-2, axis2=-1) / m + check_epsilon(epsilon)
    if not (size >= 1 / LARGEST_EPSILON**2).all():
        raise ValueError(f"gram has a diagonal entry of {size.min() * m:.1e}; give a Gram matrix with a positive one")
    return np.asarray(1.0 / np.sqrt(size))


def normed_plateau(optimum: ArrayLike, width: int, *, gain: float = 1.0, epsilon: float = EPSILON) -> Array:
    """K (n, n) of the embeddings where Z = ``gain`` N(E) E' is the tied optimum K* = ``optimum`` (n, n), at width m.

        K = (r/g) K*,    m r^2 = K*_ii r/g + m e;    K = K* K*_ii / (m g^2) as e -> 0

    Holds for the final norm alone, without its gain trained (or with a gain of one value g: see ``gain_at_plateau``).
    Raises ValueError where the diagonal of K* is not constant: such an optimum is not of the form N(E) E'.
    """
    k, m = check_matrix(optimum, (None, None), "optimum"), check_count(width, "width")
    g, e = check_scale(gain, "gain"), check_epsilon(epsilon)
    size = _common_diagonal(k)
    r = (size / g + np.sqrt((size / g) ** 2 + 4 * m**2 * e)) / (2 * m)
    return np.asarray(r / g * k)


def gain_at_plateau(optimum: ArrayLike, width: int, init_std: float) -> float:
    """The root mean square g of the trained gains at the plateau of the final norm alone, all taken to be equal.

    |E|^2 - |g|^2 is conserved as e -> 0 (ours: the norm's own gradient is orthogonal to E), and with equal gains E 1
    stands still, so that with
    K*_ii = k, n nodes and entries of standard deviation s at first

        n k^2 / (m g^2) - m g^2 = n (m - 1) s^2 - m

    Gains are equal only on average: each grows with the energy of its own coordinate. With 15 nodes and m = 32 the
    plateau's Gram eigenvalues lie 16 per cent below those that this g gives.
    """
    k, m = check_matrix(optimum, (None, None), "optimum"), check_count(width, "width")
    s = check_scale(init_std, "init_std")
    size, n = _common_diagonal(k), len(k)
    half = (n * (m - 1) * s**2 - m) / (2 * m)  # m x^2 + 2 m half x - n k^2 / m = 0 in x = g^2
    root = np.sqrt(half**2 + n * (size / m) ** 2)
    other = n * (size / m) ** 2 / (root + half) if half > 0 else root - half
    if not (np.isfinite(other) and other > 0):
        raise ValueError(
            f"init_std = {shown(init_std)} leaves no gain in float64 for an optimum of this size; check both"
        )
    return float(np.sqrt(other))


def check_epsilon(value: float) -> float:
    """e as a float; raises ValueError unless 0 <= e <= LARGEST_EPSILON."""
    number = check_real(value, "epsilon")
    if not 0 <= number <= LARGEST_EPSILON:
        raise ValueError(f"epsilon must be a number from 0 to {LARGEST_EPSILON:.0e}; got {shown(value)}")
    return number


def normalise(x: Array, norm: str, epsilon: float) -> tuple[Array, Array]:
    """n(x) of the last axis, and r (..., 1); x itself and ones where ``norm`` is "none". Rows of zeros stay zero."""
    if norm == "none":
        return x, np.ones((*x.shape[:-1], 1))
    m = x.shape[-1]  # sums over m: ``mean`` takes twice as long for a row of a few numbers
    if norm == "layer":
        x = x - x.sum(axis=-1, keepdims=True) / m
    r = np.sqrt((x * x).sum(axis=-1, keepdims=True) / m + epsilon)
    if not r.all():
        r = np.where(r > 0, r, 1.0)
    return x / r, r


def pull_back(change: Array, y: Array, r: Array, norm: str) -> Array:
    """The transposed derivative of n applied to ``change``: (1/r) (C - y y'/m) change."""
    if norm == "none":
        return change
    m = y.shape[-1]
    if norm == "layer":
        change = change - change.sum(axis=-1, keepdims=True) / m
    return np.asarray((change - y * ((change * y).sum(axis=-1, keepdims=True) / m)) / r)


def _common_diagonal(k: Array) -> float:
    size = np.diagonal(k) if k.shape[0] == k.shape[1] else np.empty(0)
    mean = float(size.mean()) if size.size else 0.0
    if not (mean > 0 and np.abs(size - mean).max() <= EQUAL_NORMS * mean):
        raise ValueError(
            f"optimum must be a square matrix with one positive number on its diagonal, as vertex-transitive graphs "
            f"have; got {shown(k)}: follow normed_gram_flow instead"
        )
    return mean
