"""The spectral map of a linear net: the logits' eigenvalues from those of the embedding's Gram matrix, and back.

Z = E P U', P = B_1 ... B_L, B_l = W_l or I + W_l. The flow without decay conserves E'E - B_1 B_1' - B_L' B_L (tied) or
E'E - B_1 B_1' and U'U - B_L' B_L (untied), and every B_l' B_l - B_{l+1} B_{l+1}'. From E(0)E(0)' = s^2 I and layers
that start equal, B_l(0) = c I (c = 1 with residual connections and W = 0):

    tied, R = R':   B_{L+1-l} = B_l',  P = H^{L/2},  H = B_1 B_1' = a I + b E'E,   b = 1/2,  a = c^2 - b s^2
    untied:         P P' = (B_1 B_1')^L,  P'P = (B_L' B_L)^L,   B_1 B_1' = a I + b E'E,   b = 1,  a = c^2 - b s^2
    both:           Z = phi(K) (singular values where untied),   phi(k) = k (a + b k)^{L/2},   K = EE'

Tied: transposing and reversing the layers is a symmetry of the flow where R stays symmetric, so P = P' and P P' = H^L;
P starts positive definite and stays so, for H > 0 while a > 0. Single layers need not be symmetric, nor commute with
E'E. Untied: any R, square starts E(0) = U(0) = s I; from orthogonal E(0), U(0) (logits zero) up to O(s^2).
a = 0 is the balanced start of a net without residual connections: phi(k) = k (b k)^{L/2}. There P may start with both
signs, and phi(k) is |mu|; from c I it is mu itself.

Depth flattens the embedding's spectrum, k ~ mu^{2/(L+2)} for large k: the elasticity 1 + (L/2) b k / (a + b k) of phi
is at least one, so the logits' normalised spectrum majorises the embedding's, whose effective rank is the larger; at
fixed logits it rises with every layer. (For then the elasticity of k_{L+1} in k_L is at most one: with v = b k_L / a,
L (L+1)^{(L+1)/2} (1 + v)^{1/2} <= (L + 1 + v)^{(L+3)/2}, true at v = 0 and of smaller logarithmic slope after it.)
Stops holding with weight decay, with R not symmetric (tied; ``ladder.end_to_end`` is exact there), for other starts.
Source: ours. Related: arXiv 1810.02281 (P P' = (B_1 B_1')^L), arXiv 2605.23087 (depth lowers the effective rank of
logits).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..alignment import rank_of_energies
from ..checks import Array, check_array, check_flag, check_number, check_vector, check_whole_number, shown
from ..flow.starts import LARGEST_SCALE

DEEPEST = 1000  # layers: powers of that order still leave ten digits of an eigenvalue's logarithm
NEWTON_STEPS = 60  # a convex increasing function with slopes from 1 to 1 + L/2: a dozen are enough
SETTLED = 4e-16  # of ln k: the last step is rounding


@dataclass(frozen=True)
class SpectralMap:
    """mu = phi(k) = k (``offset`` + ``share`` k)^(``depth``/2): increasing in k >= 0, so that it has an inverse.

    ``offset`` a >= 0, ``share`` b (1/2 tied, 1 untied); a + b k is the eigenvalue of B_1 B_1'."""

    depth: int
    share: float
    offset: float

    def logits(self, gram: ArrayLike) -> Array:
        """mu >= 0 of the logits for eigenvalues ``gram`` >= 0 of K, of any shape; ValueError where it overflows."""
        k = _not_negative(gram, "gram", "a Gram matrix has no negative eigenvalue")
        with np.errstate(over="ignore"):
            mu = np.asarray(k * self.gain(k))
        if not np.isfinite(mu).all():
            raise ValueError(f"gram gives logits beyond float64 at depth {self.depth}; use smaller eigenvalues")
        return mu

    def gain(self, k: Array) -> Array:
        """psi(k) = phi(k) / k, the eigenvalue of P (unchecked)."""
        return np.asarray(np.power(self.offset + self.share * k, self.depth / 2))

    def gram(self, logits: ArrayLike) -> Array:
        """k >= 0 with phi(k) = ``logits`` >= 0, of any shape: to rounding of ln k."""
        mu = _not_negative(logits, "logits", "give |mu|: phi maps to absolute values")
        out = np.zeros_like(mu)
        positive = mu > 0
        out[positive] = self._inverse(mu[positive])
        return out

    def _inverse(self, mu: Array) -> Array:
        """Newton in ln k from the lesser of two upper bounds: ln phi is convex in ln k, so that it only comes down."""
        p, a, b = self.depth / 2, self.offset, self.share
        y = (np.log(mu) - p * np.log(b)) / (1 + p)
        if a == 0 or self.depth == 0:
            return np.asarray(np.exp(y) if self.depth else mu)
        k = np.exp(np.minimum(y, np.log(mu) - p * np.log(a)))
        for _ in range(NEWTON_STEPS):
            step = (np.log(mu) - np.log(k) - p * np.log(a + b * k)) / self.elasticity(k)
            k = k * np.exp(step)
            if np.abs(step).max(initial=0.0) <= SETTLED * max(1.0, np.abs(np.log(k)).max(initial=0.0)):
                break
        return np.asarray(k)

    def elasticity(self, k: Array) -> Array:
        """d ln phi / d ln k = 1 + (L/2) b k / (a + b k), for k > 0 (unchecked)."""
        return np.asarray(1 + self.depth / 2 * self.share * k / (self.offset + self.share * k))

    def effective_ranks(self, logits: ArrayLike, multiplicities: ArrayLike | None = None) -> tuple[float, float]:
        """Effective rank, exp of the entropy, of the logits' spectrum (k,) >= 0 and of the embedding's Gram spectrum
        that goes with it; zero for no positive eigenvalue."""
        mu = _not_negative(check_vector(logits, "logits"), "logits", "give |mu|: phi maps to absolute values")
        counts = np.ones(len(mu)) if multiplicities is None else check_vector(multiplicities, "multiplicities", len(mu))
        if not (counts >= 0).all():
            raise ValueError(f"multiplicities must not be negative; got {shown(multiplicities)}")
        return rank_of_energies(mu, counts), rank_of_energies(self.gram(mu), counts)


def spectral_map(
    depth: int,
    *,
    residual: bool = True,
    tied: bool = True,
    init_scale: float = 0.0,
    inner_scale: float | None = None,
) -> SpectralMap:
    """phi of a net with L = ``depth`` >= 0 layers, from E(0)E(0)' = s^2 I, s = ``init_scale`` >= 0, 0 for its limit.

    ``inner_scale`` c >= 0, without residual connections: W_l(0) = c I; None is the balanced start c = s sqrt(b), a = 0.
    Raises ValueError where a = c^2 - b s^2 < 0 (an embedding so large that a layer may turn singular): use a smaller
    ``init_scale``.

    >>> from fiedler.theory import spectral_map
    >>> [spectral_map(depth).gram(45.57987).round(5).item() for depth in (0, 1, 2, 3)]  # cycle:15
    [45.57987, 15.43674, 8.59999, 5.85546]
    >>> spectral_map(2, residual=False).logits([0.5, 2.0]).tolist()  # k^2 / 2
    [0.125, 2.0]
    """
    layers, skip = check_whole_number(depth, "depth", 0, DEEPEST), check_flag(residual, "residual")
    share = 0.5 if check_flag(tied, "tied") else 1.0
    s = check_size(init_scale, "init_scale")
    if skip:
        if inner_scale is not None:
            raise ValueError("inner_scale is for residual=False: with residual connections W = 0 at the start")
        offset = 1.0 - share * s**2
    else:
        offset = 0.0 if inner_scale is None else check_size(inner_scale, "inner_scale") ** 2 - share * s**2
    if offset < 0:
        raise ValueError(f"init_scale {s:g} is too large for the layers: {share:g} init_scale^2 must not exceed theirs")
    return SpectralMap(layers, share, offset)


def check_size(value: float, name: str) -> float:
    """A scale, zero included, whose square is a logit."""
    number = check_number(value, name)
    if not 0 <= number <= LARGEST_SCALE:
        raise ValueError(f"{name} must lie from 0 to {LARGEST_SCALE:.0e}; got {shown(value)}")
    return number


def _not_negative(value: ArrayLike, name: str, why: str) -> Array:
    array = check_array(value, name)
    if not (array >= 0).all():
        raise ValueError(f"{name} must not be negative: {why}; got {shown(value)}")
    return array
