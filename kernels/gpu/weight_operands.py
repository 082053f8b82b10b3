"""E and x made ready for the weight's gradient, dW = E' (f x), with the target's part inside the product.

    E_iy = beta_i / alpha_i,   f_i = alpha_i
so that f_i E_ij is the gradient of every logit, the target's rounded like any other number that a product takes, to
half a unit of the dtype relative to itself: what it should add is 1 - p, and nothing cancels. So the product can write
the weight's gradient in its own dtype, and nothing has to be scattered into it afterwards.

A row with beta but no alpha (gradients into loss and log-sum-exp that cancel but at the target) is 1 at its target and
0 elsewhere, with f_i = beta_i.
"""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from .launch import Launch, padded_classes, power_of_two

# beta / alpha beyond this is far from the range of bf16 still, and all that alpha brings is far below beta's rounding.
LARGEST_RATIO = tl.constexpr(1e34)


@triton.jit
def weight_operands_kernel(
    e, e_stride, x, x_stride, scaled, scaled_stride, alpha, beta, target, factor, D, padded, BLOCK: tl.constexpr
):
    """One row."""
    i = tl.program_id(0).to(tl.int64)
    lanes = tl.arange(0, BLOCK)
    a = tl.load(alpha + i)
    b = tl.load(beta + i)
    y = tl.load(target + i)
    alone = (b != 0.0) & (tl.abs(b) > tl.abs(a) * LARGEST_RATIO)
    f = tl.where(alone, b, a)
    at_target = tl.where(alone, 1.0, b / tl.where(a == 0.0, 1.0, a))
    if alone:
        for start in range(0, padded, BLOCK):
            j = start + lanes
            tl.store(
                e + i * e_stride + j, tl.zeros([BLOCK], tl.float32).to(e.dtype.element_ty), mask=(j < padded) & (j != y)
            )
    tl.store(e + i * e_stride + y, at_target.to(e.dtype.element_ty))
    tl.store(factor + i, f)
    for start in range(0, D, BLOCK):
        d = start + lanes
        value = tl.load(x + i * x_stride + d, mask=d < D, other=0.0).to(tl.float32)
        tl.store(scaled + i * scaled_stride + d, (value * f).to(scaled.dtype.element_ty), mask=d < D)


def weight_operands(
    e: Tensor, x: Tensor, scaled: Tensor, alpha: Tensor, beta: Tensor, target: Tensor, factor: Tensor
) -> Launch:
    """The launch that writes E_iy into ``e`` (N, V), f_i x_i into ``scaled`` (N, D) and f_i into ``factor`` (N,)."""
    rows, width = x.shape
    return Launch(
        weight_operands_kernel,
        (rows,),
        {
            "e": e, "e_stride": e.stride(0), "x": x, "x_stride": x.stride(0), "scaled": scaled,
            "scaled_stride": scaled.stride(0), "alpha": alpha, "beta": beta, "target": target, "factor": factor,
            "D": width, "padded": padded_classes(e), "BLOCK": power_of_two(width, least=128, most=1024),
        },
        num_warps=4,
    )  # fmt: skip
