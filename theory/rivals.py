"""What other theories predict for the same graph: logit matrices and embeddings to score beside ours.

With a target T, a row law w (sum one), the joint law J_ij = w_i T_ij and the context law c_j = sum_i J_ij:

    PMI             log(T_ij / c_j)                                    -inf where T_ij = 0
    SGNS optimum    log(T_ij / (k q_j)),  q ~ c^a: noise law           = PMI - log k at a = 1
    NetMF           log max(1, vol / (k b) sum_{r<=b} (P^r D^-1)_ij)   b: window; DeepWalk's SGNS optimum, truncated
    QWEM            M = 2 (J - k w c') / (J + k w c')                  = 2 tanh((PMI - log k) / 2), in [-2, 2]
    support         1[T_ij > 0], each row centred                      singular factors, largest first
    Laplacian       the bottom eigenvectors, without the trivial one

Matrices are (n, n) float64 with a row for each centre, as targets and logits everywhere here; factors are made of whole
eigenspaces, so they do not depend on a basis choice. Each is the answer to another loss, or in another limit: none is
the optimum of full-softmax cross-entropy (``tied_optimum``, ``untied_optimum``).
Sources: at each function.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import eigh, null_space, svd

from .checks import (
    LARGEST_ENTRY,
    Array,
    check_array,
    check_choice,
    check_number,
    check_real,
    check_reals,
    check_whole_number,
    shown,
)
from .graphs.graph import Graph, check_graph
from .softmax import check_target
from .spectra.laplacians import EIGENVALUE_TOLERANCE, laplacian_eigenspaces
from .targets.walks import window_target

Truncation = Literal["none", "positive", "zero"]

# Relative asymmetry that is rounding: row sums of a few hundred terms.
SYMMETRY_TOLERANCE = 1e-9
LARGEST_EXPONENT = 300.0  # exp of it, and a sum of many, stay in float64


@dataclass(frozen=True, eq=False)
class Factors:
    """A matrix M ~ left @ right.T from its leading modes.

    ``left``, ``right``: (n, r) float64 (the same array for a positive semidefinite M). ``values``: (r,) descending,
    positive. ``requested``: the rank asked for; r is larger when that would cut a repeated value, smaller when M has
    fewer modes.
    """

    left: Array
    right: Array
    values: Array
    requested: int

    @property
    def rank(self) -> int:
        """The number of modes, r."""
        return len(self.values)


@dataclass(frozen=True, eq=False)
class LaplacianCoordinates:
    """``coordinates`` (n, r), orthonormal columns, with their ``eigenvalues`` (r,), ascending; r >= ``requested``, more
    when that would cut a repeated eigenvalue."""

    coordinates: Array
    eigenvalues: Array
    requested: int


def shifted_pmi(
    target: ArrayLike,
    *,
    row_law: ArrayLike | None = None,
    negatives: float = 1.0,
    noise_power: float = 1.0,
    truncation: Truncation = "none",
) -> Array:
    """The logits at which skip-gram with negative sampling is optimal: Z_ij = log(T_ij / (k q_j)), q ~ c^noise_power.

    Maximises sum_ij w_i [T_ij log s(Z_ij) + k q_j log s(-Z_ij)], s the logistic function, over all Z (no rank limit).
    ``row_law``: w up to scale, uniform when None; the walk's own law (degrees, or ``node_law``) makes PMI symmetric.
    ``negatives``: k > 0. ``noise_power``: 1 gives PMI - log k; word2vec uses 3/4. ``truncation``, for the -inf off the
    support of T: "none" keeps them; "positive" gives max(Z, 0) (SPPMI; NetMF's max(., 1) under the logarithm); "zero"
    puts zeros there and keeps negative entries on the support.
    Raises ValueError for a bad target, law or number, or a node that no row predicts.
    Source: Levy and Goldberg 2014, sections 3 (optimum) and 4 (truncations); Mikolov et al. 2013 (noise).
    """
    t, _, c = _laws(target, row_law)
    k, power = _negatives(negatives), check_number(noise_power, "noise_power")
    check_choice(truncation, "truncation", get_args(Truncation))
    if abs(power) * np.abs(np.log(c)).max() > LARGEST_EXPONENT:
        raise ValueError(f"noise_power {shown(noise_power)} takes the noise law out of float64; word2vec uses 0.75")
    noise = c**power
    support = t > 0
    logits = np.full(t.shape, -np.inf if truncation == "none" else 0.0)
    shifted = np.broadcast_to(np.log(k * noise / noise.sum()), t.shape)
    logits[support] = np.log(t[support]) - shifted[support]
    return np.maximum(logits, 0.0) if truncation == "positive" else logits


def netmf_logits(
    graph: Graph, window: int = 1, *, negatives: float = 1.0, truncation: Truncation = "positive"
) -> Array:
    """The matrix that DeepWalk factorises: log(vol / (k b) sum_{r<=b} (D^-1 A)^r D^-1), b = ``window``; symmetric.

    The SGNS optimum of the window target under the degree law; the default truncation, log max(., 1), is NetMF's.
    ``singular_factors`` of it are NetMF's embedding. Raises ValueError for isolated nodes and as ``window_target`` and
    ``shifted_pmi``. Source: Qiu et al. 2018, section 2 (limit) and section 3 (truncation).
    """
    target = window_target(graph, window)
    return shifted_pmi(target, row_law=graph.degrees, negatives=negatives, truncation=truncation)


def singular_factors(matrix: ArrayLike, rank: int) -> Factors:
    """The best rank-r approximation in every unitarily invariant norm: left = U S^1/2, right = V S^1/2.

    ``matrix``: (n, n) finite. Whole singular spaces only, see ``Factors``; values below 1e-10 of the largest are zero.
    Raises ValueError for a rank below one or a matrix that is not finite and square (truncate a PMI first).
    Source: Eckart and Young 1936; the symmetric split is Levy and Goldberg 2014, section 4.
    """
    m, wanted = _square(matrix), _check_rank(rank)
    u, values, v_t = svd(m)
    r = _whole(values, wanted)
    root = np.sqrt(values[:r])
    return Factors(u[:, :r] * root, v_t[:r].T * root, values[:r], wanted)


def qwem_matrix(target: ArrayLike, *, row_law: ArrayLike | None = None, negatives: float = 1.0) -> Array:
    """M = 2 (J - k w c') / (J + k w c'), (n, n) symmetric, entries in [-2, 2], -2 where T_ij = 0: finite everywhere.

    The minimiser of the SGNS loss expanded to second order in the logits, -L'(0) / L''(0) entry by entry; equal to
    2 tanh((PMI - log k) / 2), so close to a small PMI. ``row_law``: as ``shifted_pmi``; J must be symmetric,
    so give the degrees of an undirected graph (or ``node_law``). Raises ValueError otherwise, and as ``shifted_pmi``.
    Source: Karkada, Simon, Bahri and DeWeese 2025 (arXiv 2502.09863), the reweighting with a constant curvature.
    """
    t, w, c = _laws(target, row_law)
    joint, product = w[:, None] * t, _negatives(negatives) * np.outer(w, c)
    if np.abs(joint - joint.T).max() > SYMMETRY_TOLERANCE * joint.max():
        raise ValueError(
            "the joint law diag(row_law) T is not symmetric, so tied vectors cannot fit it; for an undirected graph "
            "give row_law=graph.degrees, for a second-order walk its node_law"
        )
    matrix = 2.0 * (joint - product) / (joint + product)
    return (matrix + matrix.T) / 2


def positive_factors(matrix: ArrayLike, rank: int) -> Factors:
    """argmin_W ||WW' - M||_F over (n, rank) W: W = V_d L_d^1/2, the leading positive eigenpairs of a symmetric M.

    The optimum that the QWEM flow reaches. Whole eigenspaces, see ``Factors``; non-positive eigenvalues are left out.
    Raises ValueError for a rank below one or a matrix that is not finite, square and symmetric.
    Source: arXiv 2502.09863, the minimiser; Eckart and Young 1936 on the positive semidefinite part.
    """
    m, wanted = _square(matrix), _check_rank(rank)
    gap = np.abs(m - m.T).max()
    if gap > SYMMETRY_TOLERANCE * np.abs(m).max():
        raise ValueError(f"matrix must be symmetric (largest |M - M'| is {gap:.1e}); use singular_factors")
    values, modes = eigh((m + m.T) / 2)
    values, modes = values[::-1], modes[:, ::-1]
    r = _whole(values, wanted)
    w = modes[:, :r] * np.sqrt(values[:r])
    return Factors(w, w, values[:r], wanted)


def qwem_mode_energy(eigenvalues: ArrayLike, energy0: ArrayLike, times: ArrayLike) -> Array:
    """s_k^2(t) = s_k^2(0) l_k e^{l_k t} / (l_k + s_k^2(0) (e^{l_k t} - 1)): the energy of each mode along the flow.

    Flow: dW/dt = (M - WW') W / 2, started with singular vectors aligned to the eigenvectors of M (W = V S(0) O'), in
    particular from WW' = s^2 I; modes stay aligned and do not interact. A small random start follows it in order, not
    exactly. ``eigenvalues`` (k,) any sign, ``energy0`` (k,) or a number, >= 0; ``times`` (m,) >= 0. Returns (m, k).
    Raises ValueError for negative energies or times, or non-finite values.
    Source: arXiv 2502.09863 (dynamics from aligned starts).
    """
    values, start = _modes(eigenvalues, energy0)
    t = np.atleast_1d(check_array(times, "times"))
    if t.ndim != 1 or t.size == 0 or not (t >= 0).all():
        raise ValueError(f"times must be finite numbers of zero or more; got {shown(times)}")
    rate = np.multiply.outer(t, np.abs(values))
    decay = np.exp(-rate)
    # (1 - e^{-|l| t}) / |l|, and its limit t at l = 0
    safe = np.where(values == 0, 1.0, np.abs(values))
    filled = np.where(values == 0, t[:, None], -np.expm1(-rate) / safe)
    # Written with decaying exponentials only; the floor settles 0 / 0 for modes that start at zero.
    growing = start / np.maximum(decay + start * filled, np.finfo(float).tiny)
    shrinking = start * decay / (1.0 + start * filled)
    return np.where(values > 0, growing, shrinking)


def qwem_times(eigenvalues: ArrayLike, energy0: ArrayLike) -> Array:
    """tau_k = ln(l_k / s_k^2(0)) / l_k, when mode k reaches l^2 / (2 l - s^2(0)), about half its final energy l_k.

    (k,); infinity for modes that do not grow (l_k <= 0 or no start), zero for those that start at l_k or above.
    Raises ValueError as ``qwem_mode_energy``. Source: arXiv 2502.09863 (dynamics from aligned starts).
    """
    values, start = _modes(eigenvalues, energy0)
    tau = np.full(values.shape, np.inf)
    grows = (values > 0) & (start > 0)
    tau[grows] = np.maximum((np.log(values[grows]) - np.log(start[grows])) / values[grows], 0.0)
    return tau


def centred_support(target: ArrayLike) -> Array:
    """S (I - 11'/n) with S_ij = 1[T_ij > 0]: the support of each row, minus its mean; (n, n) float64.

    The transpose of the source's (I - 11'/V) S, whose rows are words: ``singular_factors`` gives contexts on the left
    and words on the right. It ignores the probabilities themselves, and describes an untied model late in training, up
    to scale and rotation, exactly only for supports that the source treats. Raises ValueError for a bad target.
    Source: Zhao and Thrampoulidis 2025 (arXiv 2505.08348); Zhao et al. 2024 (arXiv 2408.15417).
    """
    support = (check_target(target) > 0).astype(np.float64)
    return support - support.mean(axis=1, keepdims=True)


def laplacian_coordinates(graph: Graph, k: int, kind: str = "symmetrized-random-walk") -> LaplacianCoordinates:
    """The bottom ``k`` eigenvectors of a symmetric Laplacian kind without the trivial one, in whole eigenspaces.

    Left out: the part of the lowest eigenspace along the constant vector (along D^1/2 1 for "symmetric"); that is all
    of it on a connected graph. On a disconnected graph the rest, the indicators of components, comes first. For
    "symmetrized-random-walk" the vector left out is constant only on regular graphs, and each further component of a
    graph brings a near-constant one of its own.
    Raises TypeError or ValueError unless 1 <= k <= n - 1, and as ``laplacian_eigenspaces``.
    Source: Belkin and Niyogi 2003; as the prediction of geometric memory, arXiv 2510.26745, section 4.
    """
    wanted = _check_rank(k)
    if wanted > check_graph(graph).n - 1:
        raise ValueError(f"{graph.n} nodes have {graph.n - 1} non-trivial eigenvectors; got k = {k}")
    spaces = laplacian_eigenspaces(graph, kind)
    lowest = spaces.columns(0)
    trivial = np.sqrt(graph.degrees) if kind == "symmetric" else np.ones(graph.n)
    rest = lowest @ null_space((lowest.T @ trivial)[None])
    basis = np.concatenate([rest, spaces.basis[:, lowest.shape[1] :]], axis=1)
    labels = spaces.labels[1:]
    r = int(np.searchsorted(labels, labels[wanted - 1], side="right"))
    return LaplacianCoordinates(basis[:, :r], spaces.eigenvalues[labels[:r]], wanted)


def _laws(target: ArrayLike, row_law: ArrayLike | None) -> tuple[Array, Array, Array]:
    """T, the normalised row law w and the context law c = T' w, all of it positive."""
    t = check_target(target)
    w = np.ones(len(t)) if row_law is None else check_reals(row_law, "row_law")
    if w.shape != (len(t),) or not ((w >= 1 / LARGEST_ENTRY) & (w <= LARGEST_ENTRY)).all():
        raise ValueError(f"row_law must hold {len(t)} positive finite numbers, one a node; got {shown(row_law)}")
    w = w / w.sum()
    c = w @ t
    if (c == 0).any():
        raise ValueError(
            f"no row predicts node {int(np.flatnonzero(c == 0)[0])}, so its PMI is undefined; remove the node, or use "
            "self-edges or label smoothing"
        )
    return t, w, c


def _modes(eigenvalues: ArrayLike, energy0: ArrayLike) -> tuple[Array, Array]:
    values = np.atleast_1d(check_array(eigenvalues, "eigenvalues"))
    start = check_array(energy0, "energy0")
    if values.ndim != 1 or values.size == 0:
        raise ValueError(f"eigenvalues must be finite numbers, shape (k,); got shape {values.shape}")
    if start.shape not in ((), values.shape) or not (start >= 0).all():
        raise ValueError(
            f"energy0 must hold {len(values)} finite numbers of zero or more, or be one; got {shown(energy0)}"
        )
    return values, np.broadcast_to(start, values.shape)


def _whole(values: Array, rank: int) -> int:
    """The rank that keeps repeated leading values together; values descending, of which only positive ones count."""
    tolerance = EIGENVALUE_TOLERANCE * np.abs(values).max()
    positive = int((values > tolerance).sum())
    r = min(rank, positive)
    while 0 < r < positive and values[r - 1] - values[r] <= tolerance:
        r += 1
    return r


def _square(matrix: ArrayLike) -> Array:
    m = check_reals(matrix, "matrix")
    if m.ndim != 2 or m.shape[0] != m.shape[1] or m.shape[0] == 0:
        raise ValueError(f"matrix must be square with at least one row; got shape {m.shape}")
    return check_array(m, "matrix")


def _check_rank(rank: int) -> int:
    return check_whole_number(rank, "a rank", 1)


def _negatives(value: float) -> float:
    number = check_real(value, "negatives")
    if not 1 / LARGEST_ENTRY <= number <= LARGEST_ENTRY:
        raise ValueError(f"negatives must be positive and finite; got {shown(value)}")
    return number
