"""The three matrix products of a chunk of rows on a GPU; ``cpu_products.ChunkProducts`` is their twin on the CPU."""

from __future__ import annotations

import torch
from torch import Tensor


class CudaProducts:
    """The three products on a GPU: operands in the dtype of the weight, sums and results in ``dtype``."""

    def __init__(self, weight: Tensor, bias: Tensor | None, dtype: torch.dtype) -> None:
        self.weight, self.bias, self.wide = weight, bias, weight.dtype == dtype

    def _mm(self, a: Tensor, b: Tensor, out: Tensor) -> None:
        if self.wide:
            torch.mm(a, b, out=out)
        else:
            out.copy_(torch.mm(a.to(self.weight.dtype), b, out_dtype=out.dtype))

    def logits(self, x: Tensor, out: Tensor) -> None:
        """out = x W' + b."""
        self._mm(x, self.weight.t(), out)
        if self.bias is not None:
            out += self.bias

    def input_gradient(self, gradient: Tensor, out: Tensor) -> None:
        """out = G W."""
        self._mm(gradient, self.weight, out)

    def add_weight_gradient(self, gradient: Tensor, x: Tensor, out: Tensor, *, first: bool) -> None:
        """out += G' x; ``first`` is for the CPU's alone."""
        if self.wide:
            out.addmm_(gradient.t(), x)
        else:
            out += torch.mm(gradient.to(x.dtype).t(), x, out_dtype=out.dtype)
