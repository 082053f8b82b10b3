"""The sums over all pairs of a shard's rows and one block of contexts, a tile of logits at a time.

Logits are in units of log 2, for exp2 (graph_chunked.py). A row's own pivot k is kept apart from its other entries:

    s'_i = sum_{j != k} exp(z_ij - z_ik),   lse_i - z_ik = log1p(s'_i),
    loss_i = r_i log1p(s'_i) + (1 - t_i) r_i z_ik - (sum over T without its pivots),
    A_ij = w_i r_i p_ij (j != k),   A_ik = w_i r_i [ (1 - t_i) p_ik - t_i (1 - p_ik) ],   p_ij = exp(z_ij - lse_i),

so that nothing cancels in a row that predicts its one neighbour with confidence; t is the pivot's share of r.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ..base_two import LN_2, LOG2_E

# Where a sum of exponentials relative to the pivot is taken apart: far above it the one in 1 + s' is lost anyway.
LARGE_LOG2 = 64.0
# Side of a tile: on the CPU it stays in the cache, on a card it fills it.
CPU_TILE_BYTES, CARD_TILE_BYTES = 8 << 20, 256 << 20


def tile_side(tensor: Tensor) -> int:
    """Rows and columns of a tile of logits of that dtype and device."""
    room = CARD_TILE_BYTES if tensor.is_cuda else CPU_TILE_BYTES
    return math.isqrt(room // tensor.element_size())


class Tiles:
    """The local rows x (n_r, D), their pivots (n_r,) over all columns, and room for a tile of at most ``side`` x
    ``side`` of them and a block of contexts, which has at most ``columns``."""

    def __init__(self, x: Tensor, pivot: Tensor, side: int, columns: int) -> None:
        self.x, self.pivot, self.side = x, pivot, side
        self.room = x.new_empty(min(side, len(x)) * min(side, columns))
        self._second: Tensor | None = None

    def over(self, context: Tensor) -> Iterator[tuple[slice, slice, Tensor]]:
        """(rows, columns, z_ij in units of log 2) of every tile; each overwrites the one before."""
        for column in range(0, len(context), self.side):
            columns = slice(column, min(len(context), column + self.side))
            right = (context[columns] * LOG2_E).T
            for row in range(0, len(self.x), self.side):
                rows = slice(row, min(len(self.x), row + self.side))
                shape = rows.stop - row, columns.stop - column
                yield rows, columns, torch.mm(self.x[rows], right, out=self.room[: math.prod(shape)].view(shape))

    def second(self, tile: Tensor) -> Tensor:
        """More room of a tile's shape."""
        if self._second is None:
            self._second = torch.empty_like(self.room)
        return self._second[: tile.numel()].view(tile.shape)


class RowSums:
    """Of every local row: the largest entry so far but for the pivot, the sum of exponentials relative to it, and the
    pivot's own logit."""

    def __init__(self, tiles: Tiles) -> None:
        self.tiles = tiles
        x = tiles.x
        self.largest = x.new_full((len(x),), torch.finfo(x.dtype).min)
        self.others, self.at_pivot = x.new_zeros(len(x)), x.new_zeros(len(x))

    def add(self, context: Tensor, start: int) -> None:
        """Take in the block of contexts whose first column is ``start``."""
        for rows, columns, z in self.tiles.over(context):
            inside, at, own = _at(z, self.tiles.pivot[rows] - (start + columns.start))
            self.at_pivot[rows] = torch.where(inside, own, self.at_pivot[rows])
            z.scatter_(1, at[:, None], torch.where(inside, -math.inf, own)[:, None])
            before = self.largest[rows]
            largest = torch.maximum(before, z.amax(dim=1))
            self.others[rows] *= torch.exp2(before - largest)
            self.others[rows] += z.sub_(largest[:, None]).exp2_().sum(dim=1)
            self.largest[rows] = largest

    def relative(self) -> Tensor:
        """lse_i - z_ik (n_r,), natural."""
        above = self.largest - self.at_pivot
        near = torch.log1p(self.others * torch.exp2(above.clamp(max=LARGE_LOG2)))
        far = self.others.log() + above * LN_2
        return torch.where(above < LARGE_LOG2, near, far)


@dataclass(frozen=True)
class RowSlopes:
    """What the gradients need of every local row: ``offset`` with A_ij = exp2(z_ij - offset_i), and ``slope`` A_ik."""

    offset: Tensor
    slope: Tensor

    @staticmethod
    def of(relative: Tensor, at_pivot: Tensor, mass: Tensor, pivot_share: Tensor, rest_share: Tensor) -> RowSlopes:
        """From lse_i - z_ik, z_ik in units of log 2 and w_i r_i, which makes the offset infinite where it is zero."""
        offset = at_pivot + relative * LOG2_E - mass.log2()
        slope = mass * (rest_share * torch.exp(-relative) + pivot_share * torch.expm1(-relative))
        return RowSlopes(offset, slope)


def add_gradients(
    tiles: Tiles, rows: RowSlopes, context: Tensor, start: int, grad: Tensor | None, part: Tensor | None
) -> None:
    """``grad`` += A C and ``part`` += A' X for the block of contexts whose first column is ``start``."""
    for here, columns, z in tiles.over(context):
        a = _slopes(z, z, rows.offset[here], rows.slope[here], tiles.pivot[here] - (start + columns.start))
        if grad is not None:
            grad[here].addmm_(a, context[columns])
        if part is not None:
            part[columns].addmm_(a.T, tiles.x[here])


def add_tied_gradient(
    tiles: Tiles,
    rows: RowSlopes,
    block: Tensor,
    block_rows: RowSlopes,
    block_pivot: Tensor,
    starts: tuple[int, int],
    grad: Tensor,
) -> None:
    """grad += (A + A') X for a block of rows, as contexts and by symmetry as rows: z_ji = z_ij. ``starts``: the first
    row of the block and of the local rows."""
    for here, columns, z in tiles.over(block):
        first, column = here.start + starts[1], columns.start + starts[0]
        a = _slopes(z, tiles.second(z), rows.offset[here], rows.slope[here], tiles.pivot[here] - column)
        b = _slopes(z.T, z.T, block_rows.offset[columns], block_rows.slope[columns], block_pivot[columns] - first)
        grad[here].addmm_(a.add_(b.T), block[columns])


def _slopes(z: Tensor, out: Tensor, offset: Tensor, slope: Tensor, pivot: Tensor) -> Tensor:
    """exp2(z - offset) in ``out`` with the slope at the pivots that lie in the tile."""
    torch.sub(z, offset[:, None], out=out).exp2_()
    inside, at, found = _at(out, pivot)
    return out.scatter_(1, at[:, None], torch.where(inside, slope, found)[:, None])


def _at(tile: Tensor, column: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Whether each row's column lies in the tile, the nearest that does, and the entry there. What has no place is
    written back as it was: nothing waits for the device to say which rows these are."""
    inside = (column >= 0) & (column < tile.shape[1])
    at = column.clamp(0, tile.shape[1] - 1)
    return inside, at, tile.gather(1, at[:, None])[:, 0]
