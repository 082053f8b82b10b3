"""The three matrix products of a chunk of rows on the CPU, accumulated in float32 (float64 for float64 tensors).

Weights in half precision are widened a tile at a time: the CPU's half-precision products round the logits to 8 or 11
bits and may accumulate in them, and a full float32 copy of the weight would cost more memory than the logits saved.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ..row_exponentials import largest_sampled, scaled_logits

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

    def _tiles(self) -> Iterator[tuple[slice, Tensor]]:
        """The weight in tiles of TILE_ELEMENTS in the accumulation dtype, all in one buffer."""
        classes, width = self.weight.shape
        rows = min(max(1, TILE_ELEMENTS // width), classes)
        buffer = torch.empty((rows, width), dtype=self.dtype)
        for start in range(0, classes, rows):
            part = self.weight[start : start + rows]
            tile = buffer[: part.shape[0]]
            tile.copy_(part)
            yield slice(start, start + part.shape[0]), tile

    def logits(self, x: Tensor, out: Tensor, factor: float = 1.0) -> None:
        """out = factor (x W' + b)."""
        if self.wide:
            scaled_logits(x, self.weight.t(), self.bias, out, factor)
            return
        for here, tile in self._tiles():
            scaled_logits(x, tile.t(), None if self.bias is None else self.bias[here], out[:, here], factor)

    def largest_sampled(self, x: Tensor, column: Tensor) -> float:
        """The largest |logit| of a few rows of ``x`` (N, D) at a few of the ``column`` (N,)."""
        return largest_sampled(x, self.weight, self.bias, column, self.dtype)

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
