"""A tensor times one number on the device, in place: M <- f M in fp32, rounded once, and nothing where f is 1."""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from .launch import Launch

BLOCK = 8192


@triton.jit
def scale_kernel(matrix, factor, numbers, BLOCK: tl.constexpr):
    """One block of the numbers of a contiguous tensor."""
    f = tl.load(factor)
    if f != 1.0:  # the host does not know it
        at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
        value = tl.load(matrix + at, mask=at < numbers, other=0.0).to(tl.float32)
        tl.store(matrix + at, (value * f).to(matrix.dtype.element_ty), mask=at < numbers)


def scale(matrix: Tensor, factor: Tensor) -> Launch:
    """The launch of ``matrix`` *= ``factor``: contiguous, of any shape, in fp32, bf16 or fp16; a 0-dim fp32 tensor."""
    numbers = matrix.numel()
    return Launch(
        scale_kernel,
        (triton.cdiv(numbers, BLOCK),),
        {"matrix": matrix, "factor": factor, "numbers": numbers, "BLOCK": BLOCK},
        num_warps=8,
    )
