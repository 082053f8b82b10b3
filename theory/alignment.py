"""How close an embedding is to a predicted geometry, in ways that do not depend on a choice of basis.

An embedding V is (n, m), row i for node i. Centring removes the mean row (or the mean row of each component): the
constant mode shifts all logits of a row alike and inflates raw cosines, so both raw and centred figures are given.
Eigenvectors of a repeated eigenvalue are not unique: energies are per eigenspace, subspaces are compared by angles.
Every function raises ValueError for shapes that do not fit or non-finite embeddings.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import subspace_angles

from .checks import Array, check_flag, check_matrix, check_type
from .graphs.graph import Graph, check_graph
from .optimum.tied import TiedOptimum, centre_rows
from .softmax import check_row_weight, check_target, residual
from .spectra.laplacians import Eigenspaces, check_spaces
from .targets.directions import one_way_arcs

# Energy left after centring below this fraction of the whole is rounding (float32 entries leave 1e-14 of it).
ZERO_ENERGY = 1e-12
MARGIN_ROWS = 1024  # of logits that are looked at together


def mode_energy(embedding: ArrayLike, spaces: Eigenspaces, *, centred: bool = False) -> Array:
    """||Pi_k V||_F^2 = tr(Pi_k V V') for each eigenspace k, shape (k,); sums to ||V||_F^2 (of the centred V).

    >>> import numpy as np
    >>> from fiedler.theory import laplacian_eigenspaces, mode_energy, parse
    >>> spaces = laplacian_eigenspaces(parse("cycle:15"))
    >>> wave = np.cos(2 * np.pi * 2 * np.arange(15) / 15)[:, None]  # twice round the cycle
    >>> mode_energy(wave, spaces).round(6).tolist()
    [0.0, 0.0, 7.5, 0.0, 0.0, 0.0, 0.0, 0.0]
    """
    v = _embedding(embedding, check_spaces(spaces).basis.shape[0])
    if check_flag(centred, "centred"):
        v = centre_rows(v)
    energy = ((spaces.basis.T @ v) ** 2).sum(axis=1)
    return np.bincount(spaces.labels, weights=energy).astype(np.float64)


def vector_energy(embedding: ArrayLike, basis: Array) -> Array:
    """||V' e_i|| for each column e_i of ``basis`` (n, k): the paper's spectral-bias bars (arXiv 2510.26745, figure 7).

    Depends on the basis chosen inside a repeated eigenvalue; use ``mode_energy`` to score.
    """
    e = check_matrix(basis, (None, None), "basis")
    norms: Array = np.linalg.norm(_embedding(embedding, len(e)).T @ e, axis=0)
    return norms


def coefficient_norms(embedding: ArrayLike, target: Array, basis: Array, row_weight: ArrayLike | None = None) -> Array:
    """||C e_i|| for each column of ``basis``, C = R + R' at the logits VV': zero on converged directions.

    Source: arXiv 2510.26745, figure 7 (C(V) of the gradient step V <- V + eta C V).
    """
    t = check_target(target)
    v, e = _embedding(embedding, len(t)), check_matrix(basis, (len(t), None), "basis")
    r = residual(v @ v.T, t, check_row_weight(row_weight, len(t)))
    norms: Array = np.linalg.norm((r + r.T) @ e, axis=0)
    return norms


def effective_rank(embedding: ArrayLike, *, components: ArrayLike | None = None) -> float:
    """exp of the Shannon entropy of the normalised eigenvalues of the centred Gram matrix; 0 for equal rows.

    Equals r when r eigenvalues are equal and the rest zero. Source: Roy and Vetterli 2007, on energies.

    >>> import numpy as np
    >>> from fiedler.theory import effective_rank
    >>> circle = 2 * np.pi * np.arange(15) / 15
    >>> round(effective_rank(np.column_stack([np.cos(circle), np.sin(circle)])), 6)
    2.0
    >>> round(effective_rank(np.column_stack([np.cos(circle), 0.1 * np.sin(circle)])), 4)
    1.0571
    """
    raw = _embedding(embedding, None)
    energy = np.asarray(np.linalg.svd(centre_rows(raw, components), compute_uv=False) ** 2)
    if energy.sum() <= ZERO_ENERGY * (raw**2).sum():
        return 0.0
    return rank_of_energies(energy, np.ones(len(energy)))


def rank_of_energies(energy: Array, counts: Array) -> float:
    """exp of the entropy of the shares of ``energy`` (k,) >= 0, each occurring ``counts`` (k,) times; 0 without any."""
    if not (energy[counts > 0] > 0).any():
        return 0.0
    scaled = np.ldexp(energy, -np.frexp(energy[counts > 0].max())[1])  # by a power of two: sums stay in float64
    p = scaled / (counts * scaled).sum()
    m, p = counts[p > 0], p[p > 0]
    return float(np.exp(-(m * p * np.log(p)).sum()))


def gram_error(embedding: ArrayLike, optimum: TiedOptimum) -> float:
    """min_c ||c K - K*||_F / ||K*||_F over scales c >= 0, K and K* the centred Gram matrices of V and the optimum.

    Between 0 and 1. NaN when the predicted K* is zero (complete graphs): there is no geometry to compare with.

    >>> from fiedler.theory import gram_error, one_hop_target, parse, tied_optimum
    >>> optimum = tied_optimum(one_hop_target(parse("cycle:15")))
    >>> v = optimum.embedding()
    >>> gram_error(3.0 * v, optimum) < 1e-6  # the size does not count
    True
    >>> round(gram_error(v[:, :1], optimum), 3)  # one of two dimensions
    0.707
    """
    w = _optimum(optimum).embedding()
    v = centre_rows(_embedding(embedding, len(w)), optimum.components)
    return _scaled_distance(*_grams(v, w)) if w.any() else float("nan")


def gram_distance(embedding: ArrayLike, reference: ArrayLike) -> float:
    """The same for any two embeddings: min_c ||c K - K*||_F / ||K*||_F, K* the centred Gram matrix of ``reference``
    (n, r). NaN when that is zero."""
    w = _embedding(reference, None)
    v = _embedding(embedding, len(w))
    k, k_star = _grams(centre_rows(v), centre_rows(w))
    if float(np.linalg.norm(k_star)) <= ZERO_ENERGY * float((w * w).sum()):
        return float("nan")
    return _scaled_distance(k, k_star)


def gram_scale(embedding: ArrayLike, optimum: TiedOptimum) -> float:
    """tr(K K*) / ||K*||_F^2: the size of the measured centred Gram matrix in units of the predicted one; 1 is exact."""
    w = _optimum(optimum).embedding()
    v = centre_rows(_embedding(embedding, len(w)), optimum.components)
    return float(((v.T @ w) ** 2).sum() / ((w.T @ w) ** 2).sum()) if w.any() else float("nan")


def fiedler_score(embedding: ArrayLike, optimum: TiedOptimum) -> float:
    """||Q' V||_F^2 / ||V||_F^2, V centred, Q a basis of the predicted optimum's column space: 1 when V lies in it.

    A random V scores rank / (n - components) on average. NaN when V or the prediction is zero after centring.

    >>> import numpy as np
    >>> from fiedler.theory import fiedler_score, one_hop_target, parse, tied_optimum
    >>> optimum = tied_optimum(one_hop_target(parse("cycle:15")))
    >>> round(fiedler_score(optimum.embedding(), optimum), 6)
    1.0
    >>> round(fiedler_score(np.eye(15), optimum), 4)  # knows nothing: rank / (n - components) = 2 / 14
    0.1429
    """
    q = _optimum(optimum).column_space
    v = _embedding(embedding, len(q))
    energy_before = float((v**2).sum())
    v = centre_rows(v, optimum.components)
    total = float((v**2).sum())
    if q.shape[1] == 0 or total <= ZERO_ENERGY * energy_before:
        return float("nan")
    return float(((q.T @ v) ** 2).sum() / total)


def principal_angles(embedding: ArrayLike, optimum: TiedOptimum) -> Array:
    """Angles (radians, ascending, (r,)) between the predicted column space (dimension r) and the top-r left singular
    space of the centred embedding. If V has rank below r, its whole column space is compared and the missing
    directions count as pi/2. Empty when the prediction is zero."""
    q = _optimum(optimum).column_space
    rank = q.shape[1]
    if rank == 0:
        return np.zeros(0)
    left, values, _ = np.linalg.svd(centre_rows(_embedding(embedding, len(q)), optimum.components), full_matrices=False)
    embedding_rank = int((values[:rank] ** 2 > ZERO_ENERGY * max(float((values**2).sum()), np.finfo(float).tiny)).sum())
    angles = np.full(rank, np.pi / 2)
    if embedding_rank:
        angles[:embedding_rank] = np.sort(subspace_angles(q, left[:, :embedding_rank]))[:embedding_rank]
    return angles


def geometric_level(
    embedding: ArrayLike, graph: Graph, *, self_edges: bool = False, centred: bool = False, direction: str = "both"
) -> float:
    """Mean cosine of v_u and v_v over the directed edges (u, v) of the graph; ``self_edges`` adds every (u, u).

    ``direction``: the edges of one direction only (``targets.directions``), which changes nothing but the share of the
    (u, u). Source: the public release of arXiv 2510.26745 (not centred there; the constant mode then inflates it).
    Unweighted; self-loops of the graph count as edges. NaN when an end of an edge has a zero vector.
    """
    v = _embedding(embedding, check_graph(graph).n)
    if check_flag(centred, "centred"):
        v = centre_rows(v)
    edges = one_way_arcs(graph, direction).tocoo()
    u, w = edges.coords
    if check_flag(self_edges, "self_edges"):
        loops = np.arange(graph.n)
        keep = u != w
        u, w = np.concatenate([u[keep], loops]), np.concatenate([w[keep], loops])
    norms = np.linalg.norm(v, axis=1)
    if len(u) == 0 or (norms[u] == 0).any():
        return float("nan")
    return float(((v[u] * v[w]).sum(axis=1) / (norms[u] * norms[w])).mean())


def geometric_margin(
    embedding: ArrayLike, graph: Graph, *, inner: ArrayLike | None = None, direction: str = "both"
) -> tuple[float, float]:
    """(margin, top-1 accuracy) of the part of the logits that only uses the embedding's own directions.

    With E = U S Vh and inner weight W (identity when None; a tied model), keep W' = Vh' diag(Vh W Vh') Vh and logits
    E W' E'. Margin: mean over nodes of (largest logit of a neighbour - largest logit of a non-neighbour), the node
    itself excluded from both. Accuracy: fraction of nodes whose largest logit among all others is a neighbour's.
    ``direction``: a node's neighbours are its targets in that direction (``targets.directions``), all others
    non-neighbours. NaN when no node has both a neighbour and a non-neighbour. Source: the public release of arXiv
    2510.26745.
    """
    e = left = _embedding(embedding, check_graph(graph).n)
    if inner is not None:
        weight = check_matrix(inner, (e.shape[1], e.shape[1]), "inner")
        _, _, vh = np.linalg.svd(e, full_matrices=True)
        left = e @ (vh.T * np.einsum("ij,jk,ik->i", vh, weight, vh)) @ vh
    return _margin(lambda rows: left[rows] @ e.T, graph, direction)


def edge_margin(logits: ArrayLike, graph: Graph, *, direction: str = "both") -> tuple[float, float]:
    """(margin, top-1 accuracy) of any (n, n) logits against the graph's edges; see ``geometric_margin``."""
    z = check_matrix(logits, (check_graph(graph).n, graph.n), "logits")
    return _margin(lambda rows: z[rows], graph, direction)


def _margin(logits: Callable[[slice], Array], graph: Graph, direction: str) -> tuple[float, float]:
    """The margin of logits that are asked for a block of rows at a time: all pairs of a large graph fill the memory."""
    arcs = one_way_arcs(graph, direction)
    gaps: list[Array] = []
    for start in range(0, graph.n, MARGIN_ROWS):
        rows = slice(start, min(start + MARGIN_ROWS, graph.n))
        z, neighbour = logits(rows), arcs[rows].toarray() > 0
        itself = np.arange(rows.start, rows.stop)
        neighbour[itself - rows.start, itself] = False
        other = ~neighbour
        other[itself - rows.start, itself] = False
        usable = neighbour.any(axis=1) & other.any(axis=1)
        true = np.where(neighbour, z, -np.inf)[usable].max(axis=1, initial=-np.inf)
        gaps.append(true - np.where(other, z, -np.inf)[usable].max(axis=1, initial=-np.inf))
    gap = np.concatenate(gaps)
    return (float(gap.mean()), float((gap > 0).mean())) if len(gap) else (float("nan"), float("nan"))


def _embedding(embedding: ArrayLike, n: int | None) -> Array:
    v = check_matrix(embedding, (n, None), "embedding")
    if len(v) == 0:
        raise ValueError(f"embedding must have a row for each node; got shape {v.shape}")
    return v


def _optimum(optimum: object) -> TiedOptimum:
    return check_type(optimum, TiedOptimum, "optimum", "make one with tied_optimum")


def _grams(v: Array, w: Array) -> tuple[Array, Array]:
    """VV' and WW' in an orthonormal basis of the columns of both, where that is smaller than all pairs of rows."""
    if len(v) > v.shape[1] + w.shape[1]:
        both = np.asarray(np.linalg.qr(np.hstack([v, w]), mode="r"))
        v, w = both[:, : v.shape[1]], both[:, v.shape[1] :]
    return v @ v.T, w @ w.T


def _scaled_distance(k: Array, k_star: Array) -> float:
    """min_c ||c K - K*||_F / ||K*||_F over c >= 0, K* not zero."""
    own = float((k * k).sum())
    scale = max(0.0, float((k * k_star).sum()) / own) if own > 0 else 0.0
    return float(np.linalg.norm(scale * k - k_star) / np.linalg.norm(k_star))
