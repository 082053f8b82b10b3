"""Linear cross-entropy on a CUDA card: which path a call takes, and the two functions every path serves.

Paths ("linear" is one product of N x D by D x V, the floor three of them with gradients):
    chunked       blocks of rows of logits by cuBLAS, softmax and gradient in place        3 products, all options
    sweep         the same blocks, exponentials in place in one sweep, two plain products  3 products, one pass over E
    exponential   the softmax in the product's epilogue, E stored, two plain products      3 products, no pass over E
    recompute     blocks of classes, twice                                                 4 products, least memory
    flash         nothing of size N V stored anywhere                                      4 products, narrow D
``cuda_plan.plan`` chooses among them.

Rows of weight 0 (ignored ones) are left out of the products where that pays (``COMPACT_FROM``): the one place where a
call waits for the device, and never while a CUDA graph is captured.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ..gpu.widths import first_columns, whole_width
from ..plain_arithmetic import plain_arithmetic
from .cuda_chunked import chunked, recompute
from .cuda_exponential import exponential_path
from .cuda_flash import flash_path
from .cuda_plan import chunk_classes, plan
from .cuda_task import Task, backward_gradient, forward_gradient
from .kept_rows import kept_rows, spread_result, terms_of
from .options import Options, Plan
from .row_terms import ForwardResult, RowTerms, asks_for_all_rows

# N V D from which waiting for the number of rows that count, about 0.05 ms, is below a hundredth of the products. Then
# the rows are gathered if at least one in sixteen does not count.
COMPACT_FROM = 1e12
MOST_KEPT = 15 / 16


def forward(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    terms: RowTerms,
    options: Options,
    *,
    need_input: bool,
    need_weight: bool,
    need_bias: bool,
    chunk_rows: int | None = None,
    path: str = "auto",
) -> ForwardResult:
    """Losses of the rows of ``input`` (N, D) under ``weight`` (V, D), and the gradients of scale * sum_i l_i.

    Without ``return_lse`` or ``return_entropy`` the lse of rows of weight 0 is unspecified. See ``plan`` for errors.
    """
    need = (need_input, need_weight, need_bias)
    kept = None
    if not asks_for_all_rows(terms, options) and may_compact(input, weight):
        kept = kept_rows(terms, most=MOST_KEPT)
    if kept is not None:
        input, terms, all_rows = input[kept], terms_of(terms, kept), len(input)
    chosen = plan(input, weight, options, path=path, chunk_rows=chunk_rows)
    with plain_arithmetic():
        gradient = forward_gradient(terms, input.dtype)
        task = Task(_rows(input), _rows(weight), _vector(bias), terms, options, gradient, *need)
        found = _run_whole(task, chosen, None)
    return found if kept is None else spread_result(found, kept, all_rows)


def backward(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    terms: RowTerms,
    options: Options,
    row_sums: Tensor | None,
    grad_loss_rows: Tensor | None,
    grad_lse: Tensor | None,
    grad_entropy: Tensor | None,
    *,
    need_input: bool,
    need_weight: bool,
    need_bias: bool,
    chunk_rows: int | None = None,
    path: str = "auto",
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """Gradients of input, weight and bias for upstream gradients (N,) of l_i, lse_i and entropy_i, logits made anew.

    ``terms.scale`` is not applied: ``grad_loss_rows`` is the gradient of each l_i itself. ``row_sums`` is that of
    ``forward``'s result, or None.
    """
    entropy_gradient = grad_entropy is not None
    # The log-sum-exp of rows of weight 0 counts only where a gradient flows into it.
    quiet = replace(options, return_lse=False, return_entropy=False, return_accuracy=False)
    kept = None
    if grad_lse is None and grad_entropy is None and may_compact(input, weight):
        kept = kept_rows(terms, most=MOST_KEPT)
    if kept is not None:
        input, terms, all_rows = input[kept], terms_of(terms, kept), len(input)
        row_sums, grad_loss_rows = (None if t is None else t[kept] for t in (row_sums, grad_loss_rows))
    chosen = plan(input, weight, quiet, path=path, chunk_rows=chunk_rows, entropy_gradient=entropy_gradient)
    with plain_arithmetic():
        gradient = backward_gradient(terms, grad_loss_rows, grad_lse, grad_entropy, input.dtype)
        need = (need_input, need_weight, need_bias)
        task = Task(_rows(input), _rows(weight), _vector(bias), terms, quiet, gradient, *need)
        result = _run_whole(task, chosen, row_sums)
    if kept is not None:
        result = spread_result(result, kept, all_rows)
    return result.grad_input, result.grad_weight, result.grad_bias


def may_compact(input: Tensor, weight: Tensor) -> bool:
    """Whether a call may wait for the number of rows that count: it is large, and no CUDA graph is being captured."""
    if len(input) * weight.numel() < COMPACT_FROM:
        return False
    return not (input.is_cuda and torch.cuda.is_current_stream_capturing())


def _run_whole(task: Task, chosen: Plan, row_sums: Tensor | None) -> ForwardResult:
    """``_run`` with D padded to whole vectors: to 16 for Triton's products; cuBLAS's are fast from multiples of 8."""
    width = task.input.shape[1]
    if width % 16 == 0 or (width % 8 == 0 and chosen.path in ("chunked", "recompute")):
        return _run(task, chosen, row_sums)
    padded = replace(task, input=whole_width(task.input), weight=whole_width(task.weight))
    found = _run(padded, chosen, row_sums)
    return replace(
        found,
        grad_input=first_columns(found.grad_input, width),
        grad_weight=first_columns(found.grad_weight, width),
    )


def _run(task: Task, chosen: Plan, row_sums: Tensor | None) -> ForwardResult:
    if chosen.path == "flash":
        return flash_path(task)
    if chosen.path in ("sweep", "exponential"):
        return exponential_path(task, chosen.chunk_rows, sweep=chosen.path == "sweep")
    if chosen.path == "recompute":
        return recompute(task, chunk_classes(task.rows, task.classes, chosen.chunk_rows), row_sums)
    return chunked(task, chosen.chunk_rows)


def _rows(matrix: Tensor) -> Tensor:
    matrix = matrix.detach()
    return matrix if matrix.stride(1) == 1 else matrix.contiguous()


def _vector(vector: Tensor | None) -> Tensor | None:
    return None if vector is None else vector.detach().contiguous()
