"""Coordinates for drawing an embedding beside the predicted one: same plane, same orientation, same size."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import orthogonal_procrustes

from fiedler.theory import TiedOptimum, centre_rows

Floats = NDArray[np.float64]

VIEWS = 400  # rotations tried inside a repeated eigenvalue for the view that keeps nodes apart
VIEWED_NODES = 400  # whose distances are looked at
SAME_EIGENVALUE = 1e-6


def plane_coordinates(embedding: NDArray[np.floating], optimum: TiedOptimum) -> tuple[Floats, Floats]:
    """Predicted and measured node positions, each (n, 2), in the plane of the optimum's two largest eigenvalues.

    The measured embedding (n, m) is centred, rotated onto the predicted one by orthogonal Procrustes and scaled to it
    by least squares. Inside a repeated eigenvalue the plane is not unique: of a fixed set of rotations the one is taken
    that keeps the closest nodes farthest apart. Raises ValueError when the predicted rank is below 2.
    """
    wanted = optimum.embedding()
    if wanted.shape[1] < 2:
        raise ValueError(f"the predicted optimum has rank {wanted.shape[1]}; a plane needs at least 2")
    wanted = wanted @ clear_view(wanted, optimum.eigenvalues)
    v = centre_rows(np.asarray(embedding, dtype=np.float64), optimum.components)
    width = max(v.shape[1], wanted.shape[1])
    v, target = _widen(v, width), _widen(wanted, width)
    rotation, scale = orthogonal_procrustes(v, target)
    size = float((v * v).sum())
    aligned = v @ rotation * (scale / size if size > 0 else 0.0)
    return wanted[:, :2], aligned[:, :2]


def clear_view(wanted: Floats, eigenvalues: Floats) -> Floats:
    """A rotation (r, r) of the coordinates (n, r) of the largest of ``eigenvalues`` (r,) that keeps the closest nodes
    farthest apart in the first two; the identity where it is repeated at most twice."""
    rank = len(eigenvalues)
    same = int((eigenvalues > eigenvalues[0] * (1 - SAME_EIGENVALUE)).sum())
    best = np.eye(rank)
    if same <= 2:
        return best
    some = wanted[:: -(-len(wanted) // VIEWED_NODES)]  # of a large graph evenly chosen nodes
    rng, clearest = np.random.default_rng(0), -1.0
    for _ in range(VIEWS):
        q, _ = np.linalg.qr(rng.standard_normal((same, same)))
        clear = _closest_distance(some[:, :same] @ q[:, :2])
        if clear > clearest:
            clearest = clear
            best = np.eye(rank)
            best[:same, :same] = q
    return best


def _closest_distance(points: Floats) -> float:
    """The mean of the n/2 smallest distances between two nodes: unlike the smallest alone, it still tells views apart
    when two nodes have the same predicted position."""
    gaps = np.linalg.norm(points[:, None] - points[None], axis=2)
    apart = gaps[np.triu_indices(len(points), 1)]
    return float(np.sort(apart)[: max(1, len(points) // 2)].mean())


def _widen(x: Floats, width: int) -> Floats:
    return np.pad(x, ((0, 0), (0, width - x.shape[1])))
