"""A stored gradient times the gradient that arrives from above: one number, usually 1.

The product is taken in the wider of the two dtypes and rounded once. Rounding the factor first, as PyTorch does with a
0-dim factor on a card, would put one and the same error, up to 0.4 % in bfloat16, on every entry.
"""

from __future__ import annotations

import torch
from torch import Tensor


def scaled(gradient: Tensor, factor: Tensor) -> Tensor:
    """``gradient`` times the 0-dim ``factor``, a new tensor of the gradient's dtype."""
    # With a dimension the factor counts for the dtype of the product.
    return torch.mul(gradient, factor.reshape(1), out=torch.empty_like(gradient))


def scale_in_place(gradient: Tensor, factor: Tensor) -> Tensor:
    """The same, written over ``gradient``; a factor of 1 costs nothing, and no card is waited for to see it."""
    if factor.device.type == "cpu":
        if factor.item() != 1.0:
            torch.mul(gradient, factor.reshape(1), out=gradient)
    elif gradient.is_contiguous() and gradient.dtype != torch.float64:
        from .gpu.scale import scale

        scale(gradient, factor.to(torch.float32)).run()
    else:
        torch.mul(gradient, factor.reshape(1), out=gradient)
    return gradient
