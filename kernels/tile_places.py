"""Where one entry of each row lies when a matrix is made by blocks of rows and these by tiles of columns."""

from __future__ import annotations

import math

import torch
from torch import Tensor


class TilePlaces:
    """The entries (i, ``column``_i) of N rows over ``classes`` columns, in the order of tiles of ``columns`` columns of
    blocks of ``rows`` rows, each block laid flat.

    ``order`` (N,) is that order, the rows of one block staying among themselves; ``place`` (N,) the entries' positions
    in their block, in that order.
    """

    def __init__(self, column: Tensor, classes: int, rows: int, columns: int) -> None:
        row = torch.arange(len(column), device=column.device)
        self.rows, self.tiles = rows, math.ceil(classes / columns)
        if self.tiles == 1:  # whole blocks: nothing to sort or to count
            self.order = row
            self.place = torch.add(column, row if rows >= len(column) else row % rows, alpha=classes)
            self.ends = [min(k * rows, len(column)) for k in range(math.ceil(len(column) / rows) + 1)]
            return
        key = row // rows * self.tiles + column // columns
        self.order = torch.argsort(key)
        self.place = (row % rows * classes + column)[self.order]
        count = math.ceil(len(column) / rows) * self.tiles
        self.ends = [0, *torch.bincount(key, minlength=count).cumsum(0).tolist()]

    def tile(self, start: int, tile: int) -> slice:
        """Which of ``order`` and ``place`` lie in the ``tile``-th tile of the block that begins with row ``start``."""
        at = start // self.rows * self.tiles + tile
        return slice(self.ends[at], self.ends[at + 1])
