"""The constants of every row of linear cross-entropy (``linear.row_terms``) from the targets, in two launches.

    safe_i = y_i if it is a class, else 0       t_i = token weight; 0 if y_i is ignored, NaN if it is no class
    b_i = (1 - e) w_y       a_i = b_i + u       u = sum_c u_c       divisor = sum_i t_i w_y       g_i = t_i scale

The first launch writes the vectors and the sums of blocks of rows, in the second every program adds those sums, in one
order, and has the scale of a mean without waiting for another program.
"""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from .launch import Launch, power_of_two

BLOCK = 1024


@triton.jit
def row_terms_kernel(
    target, class_weight, token_weight, term_sum, safe, row_weight, lse_coefficient, target_coefficient, partial,
    N, V, ignore_index, smoothing, BLOCK: tl.constexpr,
):  # fmt: skip
    """One block of rows: everything but what the divisor makes."""
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    here = i < N
    y = tl.load(target + i, mask=here, other=0)
    ignored = y == ignore_index
    bad = ((y < 0) | (y >= V)) & (ignored == 0)
    y = tl.where(ignored | bad, 0, y)
    t = tl.full([BLOCK], 1.0, tl.float32)
    if token_weight is not None:
        t = tl.load(token_weight + i, mask=here, other=0.0).to(tl.float32)
    t = tl.where(bad, float("nan"), tl.where(ignored, 0.0, t))
    own = tl.full([BLOCK], 1.0, tl.float32)
    if class_weight is not None:
        own = tl.load(class_weight + y, mask=here, other=0.0).to(tl.float32)
    b = own * (1.0 - smoothing)
    a = b
    if term_sum is not None:
        a = b + tl.load(term_sum)
    tl.store(safe + i, y, mask=here)
    tl.store(row_weight + i, t, mask=here)
    tl.store(target_coefficient + i, b, mask=here)
    tl.store(lse_coefficient + i, a, mask=here)
    tl.store(partial + tl.program_id(0), tl.sum(tl.where(here, t * own, 0.0), 0))


@triton.jit
def row_gradients_kernel(
    partial, row_weight, divisor, scale, gradient, blocks, N, MEAN: tl.constexpr, BLOCKS: tl.constexpr,
    BLOCK: tl.constexpr,
):  # fmt: skip
    """The gradient of the reduced loss into t's bracket of one block of rows."""
    factor = 1.0
    if MEAN:
        sums = tl.zeros([BLOCKS], tl.float32)
        for start in range(0, blocks, BLOCKS):
            k = start + tl.arange(0, BLOCKS)
            sums += tl.load(partial + k, mask=k < blocks, other=0.0)
        total = tl.sum(sums, 0)
        factor = tl.where(total == 0.0, 0.0, 1.0 / total)
        if tl.program_id(0) == 0:
            tl.store(divisor, total)
    if tl.program_id(0) == 0:
        tl.store(scale, factor)
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    t = tl.load(row_weight + i, mask=i < N, other=0.0)
    tl.store(gradient + i, tl.where(t == 0.0, 0.0, t * factor), mask=i < N)


def row_terms_launches(
    target: Tensor,
    class_weight: Tensor | None,
    token_weight: Tensor | None,
    term_sum: Tensor | None,
    *,
    classes: int,
    ignore_index: int,
    smoothing: float,
    safe: Tensor,
    row_weight: Tensor,
    lse_coefficient: Tensor,
    target_coefficient: Tensor,
    partial: Tensor,
    divisor: Tensor | None,
    scale: Tensor,
    gradient: Tensor,
) -> tuple[Launch, Launch]:
    """The two launches. ``target`` (N,) int64, any stride 1; ``class_weight`` (V,), ``token_weight`` (N,) or None;
    ``term_sum`` u 0-dim fp32 or None; outputs (N,) fp32, ``safe`` int64, ``partial`` (ceil(N / 1024),), ``scale`` and
    ``divisor`` 0-dim, the latter None where the loss is no mean."""
    rows, blocks = target.shape[0], partial.shape[0]
    first = Launch(
        row_terms_kernel,
        (blocks,),
        {
            "target": target, "class_weight": class_weight, "token_weight": token_weight, "term_sum": term_sum,
            "safe": safe, "row_weight": row_weight, "lse_coefficient": lse_coefficient,
            "target_coefficient": target_coefficient, "partial": partial, "N": rows, "V": classes,
            "ignore_index": ignore_index, "smoothing": smoothing, "BLOCK": BLOCK,
        },
        num_warps=4,
    )  # fmt: skip
    second = Launch(
        row_gradients_kernel,
        (max(1, blocks),),
        {
            "partial": partial, "row_weight": row_weight, "divisor": divisor, "scale": scale, "gradient": gradient,
            "blocks": blocks, "N": rows, "MEAN": divisor is not None,
            "BLOCKS": power_of_two(blocks, least=16, most=1024), "BLOCK": BLOCK,
        },
        num_warps=4,
    )  # fmt: skip
    return first, second
