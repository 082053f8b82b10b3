"""The geometry of trained node embeddings on a star: which first hop a leaf lies near, and how far paths are apart.

All distances are cosine distances d(u, v) = 1 - cos(e_u, e_v) of token embeddings. Source: arXiv 2510.26745, sec. 2
(leaf x first-hop heat map, path-by-path distances). There the sums over the l-1 nodes of an arm are divided by C(l, 2)
and l^2, which count the root too; here they are divided by the number of their terms, so that each entry is a mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..suggest import choose
from .star import StarPaths

Floats = NDArray[np.float64]

PROJECTIONS = ("pca", "umap")
PAIRS = 1 << 23  # distances held at once (64 MB)
RIDGE = 1e-2  # of the mean squared coordinate, times the number of paths: below what a direction in use has


@dataclass(frozen=True, eq=False)
class Projection:
    """``points`` (n, 2) of the nodes; ``label``: what the axes are."""

    points: Floats
    label: str


def directions(embedding: NDArray[np.floating]) -> Floats:
    """The rows divided by their lengths; a zero row stays zero, at distance one from everything."""
    rows = np.asarray(embedding, dtype=np.float64)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.finfo(np.float64).tiny)


def leaf_first_hop_distances(embedding: NDArray[np.floating], star: StarPaths) -> Floats:
    """(P, d): from the leaf of path i to the first node of arm j."""
    unit = directions(embedding)
    return 1 - unit[star.leaves] @ unit[_hop_of_arm(star)].T


def nearest_first_hop(embedding: NDArray[np.floating], star: StarPaths) -> NDArray[np.bool_]:
    """(P,): whether the first hop nearest to a leaf is that of its own arm; chance is 1/d."""
    unit = directions(embedding)
    return np.asarray(_nearest(unit[star.leaves], unit[_hop_of_arm(star)]) == star.arms)


def first_hop_probe(
    embedding: NDArray[np.floating], star: StarPaths, train: NDArray[np.integer], test: NDArray[np.integer]
) -> float:
    """The share of ``test`` paths whose first hop is read from their leaf by a linear map fitted on ``train`` paths.

    Ridge regression of the first hop's embedding on the leaf's, both less their means over ``train``; the arm whose
    first hop has the largest cosine with what it gives. Chance is 1/d. Below one although each leaf lies nearest to
    its own first hop where fewer paths are shown than there are dimensions in use: other paths then say nothing of the
    directions of this one.
    """
    rows = np.asarray(embedding, dtype=np.float64)
    leaves, hops = rows[star.leaves], rows[star.first_hops]
    leaf_mean, hop_mean = leaves[train].mean(axis=0), hops[train].mean(axis=0)
    x, y = leaves - leaf_mean, hops - hop_mean
    moment = x[train].T @ x[train]
    penalty = RIDGE * float(np.trace(moment)) / len(moment)
    fitted = np.linalg.solve(
        moment + max(penalty, np.finfo(np.float64).tiny) * np.eye(len(moment)), x[train].T @ y[train]
    )
    found = _nearest(directions(x[test] @ fitted), directions(rows[_hop_of_arm(star)] - hop_mean))
    return float((found == star.arms[test]).mean())


def _hop_of_arm(star: StarPaths) -> NDArray[np.int64]:
    """(d,): the first node of each arm."""
    return star.first_hops[np.unique(star.arms, return_index=True)[1]]


def _nearest(rows: Floats, others: Floats) -> NDArray[np.int64]:
    """(P,): for each row the number of the other with the largest inner product, PAIRS of them at a time."""
    step = max(1, PAIRS // len(others))
    parts = [(rows[start : start + step] @ others.T).argmax(axis=1) for start in range(0, len(rows), step)]
    return np.concatenate(parts).astype(np.int64)


def path_distances(embedding: NDArray[np.floating], star: StarPaths) -> Floats:
    """(P, P): the mean distance of a node of path i from one of path j, the root left out; on the diagonal over the
    C(l-1, 2) pairs of different nodes, elsewhere over all (l-1)^2 pairs."""
    mean, within = _means_and_within(directions(embedding), star)
    distances = 1 - mean @ mean.T  # a mean of inner products is the inner product of the means
    np.fill_diagonal(distances, within)
    return distances


def _means_and_within(unit: Floats, star: StarPaths) -> tuple[Floats, Floats]:
    """(P, m) the mean of a path's unit vectors, the root left out, and (P,) the mean distance of two of them."""
    nodes = unit[star.paths[:, 1:]]
    steps = nodes.shape[1]
    mean = nodes.mean(axis=1)
    squares = (nodes**2).sum(axis=(1, 2))
    return mean, 1 - (steps**2 * (mean**2).sum(axis=1) - squares) / (steps * (steps - 1))


def describe_geometry(
    embedding: NDArray[np.floating], star: StarPaths, train: NDArray[np.integer], test: NDArray[np.integer]
) -> dict[str, Any]:
    """For seen ("train") and unseen paths: the share of leaves nearest to their own first hop, the mean distance to it
    and to others, and the mean distances within a path and between paths; for unseen ones ``first_hop_probe`` too."""
    unit = directions(embedding)
    near = nearest_first_hop(embedding, star)
    hops = unit[_hop_of_arm(star)]
    leaves, own_hops = unit[star.leaves], unit[star.first_hops]
    own = 1 - (leaves * own_hops).sum(axis=1)
    # Sums over all arms and paths are products with the sum: no matrix of pairs is made.
    other = (len(hops) - leaves @ hops.sum(axis=0) - own) / (len(hops) - 1)
    mean, within = _means_and_within(unit, star)
    apart = (len(mean) - mean @ mean.sum(axis=0) - (1 - (mean**2).sum(axis=1))) / (len(mean) - 1)
    found = {
        name: {
            "nearest_first_hop": float(near[rows].mean()),
            "own_first_hop_distance": float(own[rows].mean()),
            "other_first_hop_distance": float(other[rows].mean()),
            "within_path_distance": float(within[rows].mean()),
            "between_path_distance": float(apart[rows].mean()),
        }
        for name, rows in (("train", train), ("test", test))
    }
    found["test"]["first_hop_probe"] = first_hop_probe(embedding, star, train, test)
    return found


def project_paths(embedding: NDArray[np.floating], star: StarPaths, method: str = "pca", seed: int = 0) -> Projection:
    """Two coordinates of every node but the root, which are rows of the answer in the order of the nodes 1 .. n-1.

    ``method``: "pca" (unit vectors less the mean of their depth, which says how far a node is from the root rather than
    on which path) or "umap" (cosine metric, 15 neighbours, min_dist 0.1, as in the paper; the
    optional package umap-learn). Raises ValueError for another word, and where UMAP is not installed.
    """
    check_projection(method)
    unit = directions(embedding)[1:]
    if method == "pca":
        centred = unit.copy()
        for depth in star.paths[:, 1:].T:
            rows = np.unique(depth) - 1
            centred[rows] -= unit[rows].mean(axis=0)
        u, s, _ = np.linalg.svd(centred, full_matrices=False)
        share = s**2 / max(float((s**2).sum()), np.finfo(np.float64).tiny)
        return Projection(u[:, :2] * s[:2], f"PCA within depths, {100 * share[:2].sum():.0f} % of the variance")
    reducer = import_module("umap").UMAP(
        n_neighbors=min(15, len(unit) - 1), min_dist=0.1, metric="cosine", random_state=seed
    )
    return Projection(np.asarray(reducer.fit_transform(unit), dtype=np.float64), "UMAP")


def check_projection(method: str) -> None:
    """Raises ValueError for a projection that is none, and for UMAP where it is not installed."""
    if method not in PROJECTIONS:
        raise ValueError(f"unknown projection {method!r}; {choose(method, PROJECTIONS)}")
    if method == "umap" and find_spec("umap") is None:
        raise ValueError('the projection umap needs umap-learn: pip install "fiedler[umap]", or choose pca')
