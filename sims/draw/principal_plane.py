"""Node positions for a gallery: each embedding in its own principal directions, turned to face the predicted plane.

Unlike ``draw.plane.plane_coordinates``, nothing of an embedding outside its own first principal directions is used, so
a model whose largest directions are not the predicted ones is drawn as what it is. Choosing a view is all that the
alignment does: no shear, no scaling of one axis.
"""

from __future__ import annotations

import colorsys

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import svd
from scipy.sparse.csgraph import connected_components

from fiedler.theory import Eigenspaces, Graph, TiedOptimum, centre_rows

from .plane import plane_coordinates

Floats = NDArray[np.float64]

MOST_DIRECTIONS = 3
LARGE = 0.1  # an eigenvalue of the prediction above this share of the largest is a direction of its own
ROUNDING = 1e-9
LIGHTNESS, SATURATION = 0.45, 0.75
GREY = "#777777"


def predicted_plane(optimum: TiedOptimum) -> Floats | None:
    """The predicted positions (n, 2), the view of ``draw.plane.plane_coordinates``; None when the rank is below 2."""
    if optimum.rank < 2:
        return None
    return plane_coordinates(optimum.embedding(), optimum)[0]


def directions(optimum: TiedOptimum) -> int:
    """How many principal directions are looked at: 2 or 3, as many as the prediction has large eigenvalues."""
    values = optimum.eigenvalues
    large = int((values >= LARGE * values[0]).sum()) if len(values) else 0
    return int(np.clip(large, 2, MOST_DIRECTIONS))


def principal_positions(embedding: NDArray[np.floating], optimum: TiedOptimum, plane: Floats | None) -> Floats:
    """Positions (n, 2) of an embedding (n, m): less the mean of each component, its first ``directions`` principal
    coordinates (n, r), turned by the orthonormal Q (r, 2) that maximises tr(Q' X' plane) (orthogonal Procrustes: a
    rotation or reflection for r = 2, for r = 3 also the choice of the side it is seen from). Without a plane the first
    two."""
    v = centre_rows(np.asarray(embedding, dtype=np.float64), optimum.components)
    left, values, _ = np.linalg.svd(v, full_matrices=False)
    coordinates = (left * values)[:, : directions(optimum)]
    if coordinates.shape[1] < 2:
        coordinates = np.pad(coordinates, ((0, 0), (0, 2 - coordinates.shape[1])))
    return _turned(coordinates, plane)


def laplacian_positions(spaces: Eigenspaces, optimum: TiedOptimum, plane: Floats | None) -> Floats:
    """The same for the Laplacian's eigenvectors of smallest eigenvalue, less the mean of each component: whole
    eigenspaces, at least ``directions`` vectors; those that only tell components apart are left out."""
    found: list[Floats] = []
    for k in range(len(spaces.eigenvalues)):
        columns = centre_rows(spaces.columns(k), optimum.components)
        left, values, _ = np.linalg.svd(columns, full_matrices=False)
        found += list(left[:, values > np.sqrt(0.5)].T)
        if len(found) >= directions(optimum):
            break
    coordinates = np.array(found).T if found else np.zeros((len(spaces.basis), 0))
    if coordinates.shape[1] < 2:
        coordinates = np.pad(coordinates, ((0, 0), (0, 2 - coordinates.shape[1])))
    return _turned(coordinates, plane)


def node_colours(graph: Graph, plane: Floats | None) -> list[str]:
    """One colour a node: by the branch it is on where the node with most neighbours parts a connected graph in three or
    more (the arms of a star, a tree; that node is black), else by its angle in the predicted plane, grey at the middle
    of it. Without a plane, by index."""
    branches = _branches(graph)
    if branches is not None:
        root, labels, count = branches
        return ["#000000" if i == root else _hue(labels[i] / count) for i in range(graph.n)]
    if plane is None:
        return [_hue(i / graph.n) for i in range(graph.n)]
    radius = np.linalg.norm(plane, axis=1)
    angle = np.arctan2(plane[:, 1], plane[:, 0]) / (2 * np.pi) % 1.0
    return [_hue(a) if r > 1e-6 * radius.max() else GREY for a, r in zip(angle, radius, strict=True)]


def _branches(graph: Graph) -> tuple[int, NDArray[np.int64], int] | None:
    if graph.component_count != 1 or graph.n < 4:
        return None
    root = int(np.diff(graph.adjacency.indptr).argmax())
    rest = np.delete(np.arange(graph.n), root)
    count, parts = connected_components(graph.adjacency[rest][:, rest], directed=False)
    if count < 3:
        return None
    labels = np.zeros(graph.n, dtype=np.int64)
    labels[rest] = parts
    return root, labels, int(count)


def _hue(fraction: float) -> str:
    red, green, blue = colorsys.hls_to_rgb(float(fraction), LIGHTNESS, SATURATION)
    return f"#{round(255 * red):02x}{round(255 * green):02x}{round(255 * blue):02x}"


def _turned(coordinates: Floats, plane: Floats | None) -> Floats:
    if plane is None or not coordinates.any():
        return coordinates[:, :2]
    left, _, right = svd(coordinates.T @ plane, full_matrices=False)
    return np.asarray(coordinates @ left @ right, dtype=np.float64)
