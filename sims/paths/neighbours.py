"""The edge part of a step with exact targets: each node's whole distribution over its neighbours, not one of them.

With sampled targets a step draws directed edges (u, v) and takes -log p(v | u) of each. Here the same draws give the
nodes u, and v is averaged over:

    E_v [-log p(v | u)] = -sum_v log p(v | u) / deg(u),

the conditional mean of the sampled loss, so its mean is the same and its variance, and that of its gradient, is no
larger (Rao-Blackwell). What is left is the drawing of u, which a batch of all directed edges leaves out too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from fiedler.kernels import CsrTarget, csr_target

from .examples import Examples


@dataclass(frozen=True, eq=False)
class NeighbourTargets:
    """Different nodes of a step. ``inputs`` (B, T) int64 tokens; ``positions`` (1,): where the neighbour is asked for;
    ``target`` (B, V): a row sums to one; ``weight`` (B,) float32: how often the node was drawn."""

    inputs: Tensor
    positions: Tensor
    target: CsrTarget
    weight: Tensor

    def to(self, device: torch.device) -> NeighbourTargets:
        """The same on another device."""
        return replace(
            self,
            inputs=self.inputs.to(device),
            positions=self.positions.to(device),
            target=self.target.to(device),
            weight=self.weight.to(device),
        )


class Neighbours:
    """The neighbour distribution of every node with edges in ``edges`` (rows of ``examples.edge_examples``)."""

    def __init__(self, edges: Examples, vocabulary: int) -> None:
        self._positions = edges.positions
        self._sources, self._row_of = torch.unique(edges.inputs, dim=0, return_inverse=True)
        rows, columns = self._row_of.numpy(), edges.targets[:, 0].numpy()
        degree = np.bincount(rows)
        entries = (1 / degree[rows], (rows, columns))
        self._matrix = sp.csr_array(entries, shape=(len(self._sources), vocabulary))
        self._all = self._take(torch.arange(len(degree)), torch.from_numpy(degree))

    def draw(self, count: int, generator: torch.Generator) -> NeighbourTargets:
        """The nodes of ``count`` directed edges drawn with replacement, as ``Examples`` of them would be; of as many as
        there are, or more, every node by its degree, and nothing is drawn."""
        if count >= len(self._row_of):
            return self._all
        drawn = self._row_of[torch.randint(len(self._row_of), (count,), generator=generator)]
        return self._take(*torch.unique(drawn, return_counts=True))

    def _take(self, rows: Tensor, times: Tensor) -> NeighbourTargets:
        target = csr_target(self._matrix[rows.numpy()])
        return NeighbourTargets(self._sources[rows], self._positions, target, times.float())
