"""The root-to-leaf paths of path-stars and tree-stars, and which of them a model never sees.

A path-star G(d, l) has d arms of l nodes, the root counted; in a tree-star every arm branches in two below its first
node. Source: arXiv 2510.26745, sec. 2 and app. B.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import breadth_first_order

from fiedler.theory import Graph

from ..models.streams import Stream
from ..suggest import choose
from .settings import SPLITS

Ints = NDArray[np.int64]

FAMILIES = ("path-star", "tree-star")
ROOT = 0
TRAIN_SHARE = 0.75


@dataclass(frozen=True, eq=False)
class StarPaths:
    """``paths`` (P, l): nodes from the root to each leaf; ``arms`` (P,): the arm of each path, 0 .. d-1, numbered as
    their first nodes are; ``edges`` (E, 2): parent and child."""

    paths: Ints
    arms: Ints
    edges: Ints

    @property
    def length(self) -> int:
        """l, the root counted."""
        return self.paths.shape[1]

    @property
    def leaves(self) -> Ints:
        """(P,)."""
        return self.paths[:, -1]

    @property
    def first_hops(self) -> Ints:
        """(P,): the node after the root."""
        return self.paths[:, 1]

    @property
    def arm_count(self) -> int:
        """d: the root has so many neighbours."""
        return int(self.arms.max()) + 1


def star_paths(graph: Graph) -> StarPaths:
    """The paths of a path-star or tree-star, found by a search from the root.

    Raises ValueError for other graphs, fewer than two arms and arms of one node (length < 3), which leave nothing to
    find.
    """
    if graph.family not in FAMILIES:
        raise ValueError(f"{graph.name} has no root-to-leaf paths to learn; give path-star:100x5 or tree-star:32x4")
    arms, length = graph.parameters
    if arms < 2 or length < 3:
        raise ValueError(
            f"{graph.name} leaves nothing to find; give at least 2 arms of length 3, such as path-star:4x5"
        )
    order, parent = breadth_first_order(graph.adjacency, ROOT, directed=False)
    children = order[1:].astype(np.int64)
    edges = np.stack([parent[children].astype(np.int64), children], axis=1)
    inner = np.zeros(graph.n, dtype=bool)
    inner[edges[:, 0]] = True
    columns = [np.flatnonzero(~inner).astype(np.int64)]
    for _ in range(length - 1):
        columns.append(parent[columns[-1]].astype(np.int64))
    paths = np.stack(columns[::-1], axis=1)
    return StarPaths(paths, np.unique(paths[:, 1], return_inverse=True)[1].astype(np.int64), edges)


def split_paths(star: StarPaths, seed: int, by: str = "leaf") -> tuple[Ints, Ints]:
    """Path numbers to train on (75 %, rounded, at least one) and to test on, both ascending.

    ``by``: "leaf" draws paths, "first-token" whole arms, so that no path of a test arm is trained on (the same in a
    path-star). Raises ValueError for another word.
    """
    if by not in SPLITS:
        raise ValueError(f"unknown split {by!r}; {choose(by, SPLITS)}")
    units = star.arms if by == "first-token" else np.arange(len(star.paths))
    count = int(units.max()) + 1
    order = np.random.default_rng((seed, Stream.PATH_SPLIT)).permutation(count)
    chosen = order[: int(np.clip(round(TRAIN_SHARE * count), 1, count - 1))]
    trained = np.isin(units, chosen)
    return np.flatnonzero(trained).astype(np.int64), np.flatnonzero(~trained).astype(np.int64)
