"""The three matrix products of a chunk of rows on the CPU, accumulated in float32 (float64 for float64 tensors).

Weights in half precision are widened a tile at a time: the CPU's half-precision products round the logits to 8 or 11
bits and may accumulate in them, and a full float32 copy of the weight would cost more memory than the logits saved.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

# Elements of a widened tile of the weight: 1 MiB of float32, which stays in a core's cache between its two uses.
TILE_ELEMENTS = 1 << 18


class ChunkProducts:
    """logits = x W' + b, grad_input = G W and grad_weight += G' x for a weight (V, D) and an optional bias (V,)."""

    def __init__(self, weight: Tensor, bias: Tensor | None, dtype: torch.dtype) -> None:
        strided = 1 in weight.stride()  # else every product would copy it
        self.weight = weight if strided else weight.contiguous()
        self.bias = None if bias is None else bias.to(dtype)
        self.wide = weight.dtype == dtype
        self.dtype = dtype

    @property
    def most_columns(self) -> int:
        """Of a tile of logits: as many as there are rows in a tile of the weight."""
        classes, width = self.weight.shape
        return classes if self.wide else min(max(1, TILE_ELEMENTS // width), classes)

    def _tiles(self, rows: int | None = None) -> Iterator[tuple[slice, Tensor]]:
        """The weight in tiles of ``rows`` rows in the accumulation dtype, widened ones all in one buffer."""
        classes, width = self.weight.shape
        rows = rows or self.most_columns
        if self.wide:
            for start in range(0, classes, rows):
                yield slice(start, min(start + rows, classes)), self.weight[start : start + rows]
            return
        buffer = torch.empty((rows, width), dtype=self.dtype)
        for start in range(0, classes, rows):
            part = self.weight[start : start + rows]
            tile = buffer[: part.shape[0]]
            tile.copy_(part)
            yield slice(start, start + part.shape[0]), tile

    def logits(self, x: Tensor, out: Tensor) -> None:
        """out = x W' + b."""
        if self.wide:
            self._product(x, self.weight, self.bias, out)
            return
        for _ in self.logit_tiles(x, out):
            pass

    def logit_tiles(self, x: Tensor, out: Tensor, columns: int | None = None) -> Iterator[Tensor]:
        """The same, ``columns`` columns of ``out`` at a time, each tile handed out as soon as it is there."""
        for here, tile in self._tiles(columns):
            part = out[:, here]
            self._product(x, tile, None if self.bias is None else self.bias[here], part)
            yield part

    @staticmethod
    def _product(x: Tensor, weight: Tensor, bias: Tensor | None, out: Tensor) -> None:
        if bias is None:
            torch.mm(x, weight.t(), out=out)
        else:
            torch.addmm(bias, x, weight.t(), out=out)

    def input_gradient(self, gradient: Tensor, out: Tensor) -> None:
        """out = G W."""
        if self.wide:
            torch.mm(gradient, self.weight, out=out)
            return
        out.zero_()
        for columns, tile in self._tiles():
            out.addmm_(gradient[:, columns], tile)

    def add_weight_gradient(self, gradient: Tensor, x: Tensor, out: Tensor, *, first: bool) -> None:
        """out += G' x, or out = G' x the ``first`` time."""
        if first:  # overwriting spares a pass that fills ``out`` with zeros
            torch.mm(gradient.t(), x, out=out)
        else:
            out.addmm_(gradient.t(), x)
