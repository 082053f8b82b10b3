"""Matrix products as launches take them. Those of 16-bit operands are accumulated and, where asked, returned in fp32;
off the card, where PyTorch has no such product, the operands are widened first."""

from __future__ import annotations

import torch
from torch import Tensor


def product(a: Tensor, b: Tensor, dtype: torch.dtype, out: Tensor | None = None) -> Tensor:
    """a b in ``dtype``: that of the operands, or fp32 for 16-bit ones."""
    if dtype == a.dtype:
        return torch.mm(a, b) if out is None else torch.mm(a, b, out=out)
    if a.device.type == "cuda":
        if out is None:
            return torch.mm(a, b, out_dtype=dtype)
        return torch.mm(a, b, out_dtype=dtype, out=out)
    return torch.mm(a.to(dtype), b.to(dtype), out=out) if out is not None else torch.mm(a.to(dtype), b.to(dtype))


def add_product(accumulator: Tensor, a: Tensor, b: Tensor) -> None:
    """accumulator += a b, in the accumulator's dtype, inside the product's own epilogue on the card."""
    if accumulator.dtype == a.dtype:
        accumulator.addmm_(a, b)
    elif a.device.type == "cuda":
        torch.addmm(accumulator, a, b, out_dtype=accumulator.dtype, out=accumulator)
    else:
        accumulator.addmm_(a.to(accumulator.dtype), b.to(accumulator.dtype))
