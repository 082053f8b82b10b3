"""Logits turned into E_ij = e^(z_ij - m_i) in place, in one sweep: what the product of ``exponential`` has in its
epilogue, for logits that cuBLAS made.

The target's logit, known beforehand, is the offset m_i, so that no maximum has to be found first: every logit is read
once and written once, with one exponential. E holds 0 at the target; with a soft cap it is stored times its slope. Rows
whose sum leaves the safe range are flagged by ``exponential_rows`` and made anew by the product of ``exponential``,
which does not need the logits that are gone.
"""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from .launch import Launch, padded_classes, power_of_two
from .mathematics import LOG2E, softcap_slope
from .row_cross_entropy import logits_of

LARGEST_BLOCK = 4096  # classes of a program: two 16-byte loads for each of 256 threads


def pass_blocks(classes: int) -> int:
    """How many partial sums of a row the sweep writes."""
    return triton.cdiv(classes, _block(classes))


def _block(classes: int) -> int:
    return power_of_two(classes, least=128, most=LARGEST_BLOCK)


@triton.jit
def exponential_pass_kernel(
    e, e_stride, bias, offset, target, target_logit, class_term, partial, partial_stride, sum_stride, V, padded, cap,
    blocks,
    BLOCK: tl.constexpr, HAS_CAP: tl.constexpr, ENTROPY: tl.constexpr, ACCURACY: tl.constexpr, STORE: tl.constexpr,
):  # fmt: skip
    """One block of classes of one row."""
    i = (tl.program_id(0) // blocks).to(tl.int64)
    block = tl.program_id(0) % blocks
    j = block * BLOCK + tl.arange(0, BLOCK)
    inside = j < V
    row = e + i * e_stride
    y = tl.load(target + i).to(tl.int32)
    m = tl.load(offset + i)
    others = inside & (j != y)
    z = logits_of(row, j, inside, padded, bias, cap, HAS_CAP)
    p = tl.where(others, tl.exp2((z - m) * LOG2E), 0.0)
    out = partial + block.to(tl.int64) * partial_stride + i
    plane = tl.cast(sum_stride, tl.int64)
    tl.store(out, tl.sum(p, 0))
    if ENTROPY:
        tl.store(out + plane, tl.sum(tl.where(p > 0.0, p * (z - m), 0.0), 0))
    if class_term is not None or ACCURACY:
        zy = tl.load(target_logit + i)
        if class_term is not None:
            u = tl.load(class_term + j, mask=inside, other=0.0).to(tl.float32)
            tl.store(out + 2 * plane, tl.sum(tl.where(others, u * (zy - z), 0.0), 0))
        if ACCURACY:
            tl.store(out + 3 * plane, tl.max((others & (z > zy)).to(tl.float32), 0))
    if STORE:
        if HAS_CAP:
            p *= softcap_slope(z, cap)
        tl.store(row + j, p.to(e.dtype.element_ty), mask=j < padded)


def exponential_pass(
    e: Tensor,
    bias: Tensor | None,
    target: Tensor,
    target_logit: Tensor,
    offset: Tensor,
    partial: Tensor,
    *,
    class_term: Tensor | None,
    cap: float | None,
    entropy: bool,
    accuracy: bool,
    store: bool,
) -> Launch:
    """The launch over ``e`` (N, V), column stride 1, which holds the logits without bias and cap, and then E if
    ``store``; the sums go to ``partial`` (planes, ``pass_blocks``(V), N) fp32, as those of ``exponential``."""
    rows, classes = e.shape
    block, blocks = _block(classes), pass_blocks(classes)
    return Launch(
        exponential_pass_kernel,
        (rows * blocks,),
        {
            "e": e, "e_stride": e.stride(0), "bias": bias, "offset": offset, "target": target,
            "target_logit": target_logit, "class_term": class_term, "partial": partial,
            "partial_stride": partial.stride(1), "sum_stride": partial.stride(0), "V": classes,
            "padded": padded_classes(e), "cap": 1.0 if cap is None else cap, "blocks": blocks, "BLOCK": block,
            "HAS_CAP": cap is not None, "ENTROPY": entropy, "ACCURACY": accuracy, "STORE": store,
        },
        num_warps=max(1, min(8, block // 512)),
    )  # fmt: skip
