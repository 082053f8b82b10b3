"""Linear cross-entropy on a CUDA card: which path a call takes, and the two functions every path serves.

Paths ("linear" is one product of N x D by D x V, the floor three of them with gradients):
    chunked       blocks of rows of logits by cuBLAS, softmax and gradient in place        3 products, all options
    sweep         the same blocks, exponentials in place in one sweep, two plain products  3 products, one pass over E
    exponential   the softmax in the product's epilogue, E stored, two plain products      3 products, no pass over E
    recompute     blocks of classes, twice                                                 4 products, least memory
    flash         nothing of size N V stored anywhere                                      4 products, narrow D
``plan`` chooses among them from shape, dtype and options alone. The thresholds are arithmetic, not measurement: at
about 790 TFLOP/s and 4.3 TB/s the separate pass over 16-bit logits costs 367 / D of a product, while a Triton product
is 10 to 20 % slower than cuBLAS, so the epilogue pays below D of about 2,000; and storing E costs as much as a fourth
product near D = 256.

Rows of weight 0 (ignored ones) are left out of the products where that pays (``COMPACT_FROM``): the one place where a
call waits for the device, and never while a CUDA graph is captured.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ..gpu.flash_tiles import LARGEST_WIDTH
from ..gpu.widths import first_columns, whole_width
from ..plain_arithmetic import plain_arithmetic
from .cuda_chunked import chunked, recompute
from .cuda_exponential import exponential_path
from .cuda_flash import flash_path
from .cuda_task import Task, backward_gradient, forward_gradient
from .kept_rows import kept_rows, spread_result, terms_of
from .options import Options, Plan
from .row_terms import ForwardResult, RowTerms

DTYPES = (torch.float32, torch.bfloat16, torch.float16)
LEAST_CHUNK_ROWS = 2048  # fewer rows and the weight's gradient is bound by reading and writing its accumulator
WORKSPACE_BYTES = 2 << 30  # of logits in one block, if more rows than LEAST_CHUNK_ROWS fit
LARGEST_WORKSPACE_BYTES = 8 << 30  # beyond which LEAST_CHUNK_ROWS rows are too much to ask and classes are blocked
FLASH_WIDTH = 256
EXPONENTIAL_WIDTHS = (256, 1536)  # above the first and up to the second
LEAST_CHUNK_CLASSES = 1024
# N V D from which waiting for the number of rows that count, about 0.05 ms, is below a hundredth of the products. Then
# the rows are gathered if at least one in sixteen does not count.
COMPACT_FROM = 1e12
MOST_KEPT = 15 / 16


def plan(
    input: Tensor,
    weight: Tensor,
    options: Options,
    *,
    path: str = "auto",
    chunk_rows: int | None = None,
    entropy_gradient: bool = False,
) -> Plan:
    """The path of a call with ``input`` (..., D) and ``weight`` (V, D), the rows of its blocks and its workspace.

    A pure function of shapes, dtypes and options; the tensors are not read. Raises TypeError for a dtype the kernels do
    not take and ValueError for a path that cannot serve the call, naming one that can.
    """
    width, classes = weight.shape[1], weight.shape[0]
    rows = input.numel() // max(width, 1)
    if input.dtype not in DTYPES:
        raise TypeError(
            f'the CUDA kernels take float32, bfloat16 and float16, got {input.dtype}; use path="reference" for it'
        )
    smooth_cap = options.label_smoothing > 0 and options.logit_softcap is not None
    if path == "auto":
        path, reason = _choose(rows, width, classes, input.dtype, smooth_cap or entropy_gradient)
    else:
        reason = "asked for"
        _check(path, input.dtype, width, smooth_cap)
        if entropy_gradient and path in ("sweep", "exponential", "flash"):
            path, reason = "chunked", f"a gradient into the entropy needs the logits, which {path} does not keep"
    chunk = _chunk_rows(rows, classes, input.dtype.itemsize) if chunk_rows is None else max(1, min(chunk_rows, rows))
    return Plan(path, chunk, _workspace(path, rows, width, classes, input.dtype, chunk), reason)


def _check(path: str, dtype: torch.dtype, width: int, smooth_cap: bool) -> None:
    if path not in ("chunked", "sweep", "exponential", "recompute", "flash"):
        raise ValueError(f"path must be auto, chunked, sweep, exponential, recompute or flash on CUDA, got {path!r}")
    if path in ("sweep", "exponential") and dtype == torch.float16:
        raise ValueError(f'path="{path}" needs the exponent range of bfloat16 or float32; use "chunked" for float16')
    if path == "flash" and width > LARGEST_WIDTH[dtype]:
        raise ValueError(f'path="flash" takes D <= {LARGEST_WIDTH[dtype]} for {dtype}, got {width}; use "chunked"')
    if path in ("sweep", "exponential", "flash") and smooth_cap:
        raise ValueError(f'path="{path}" cannot combine label_smoothing with logit_softcap; use "chunked"')


def _choose(rows: int, width: int, classes: int, dtype: torch.dtype, needs_logits: bool) -> tuple[str, str]:
    least = min(rows, LEAST_CHUNK_ROWS) * classes * dtype.itemsize
    if not needs_logits and width <= min(FLASH_WIDTH, LARGEST_WIDTH[dtype]):
        return "flash", f"D = {width}: storing anything of size N V costs more than a fourth product"
    if least > LARGEST_WORKSPACE_BYTES:
        return "recompute", f"{LEAST_CHUNK_ROWS} rows of {classes} logits take {least >> 30} GiB"
    low, high = EXPONENTIAL_WIDTHS
    if not needs_logits and dtype == torch.bfloat16 and low < width <= high and width % 16 == 0:
        return "exponential", f"D = {width}: a pass over the logits costs {367 / width:.0%} of a product"
    if needs_logits or dtype == torch.float16:
        return "chunked", "three cuBLAS products and two passes over the logits in place"
    return "sweep", "three cuBLAS products and one pass over the logits in place"


def _chunk_rows(rows: int, classes: int, itemsize: int) -> int:
    """At least LEAST_CHUNK_ROWS, more while a block stays within WORKSPACE_BYTES, blocks of about one size."""
    most = max(LEAST_CHUNK_ROWS, WORKSPACE_BYTES // max(1, classes * itemsize))
    blocks = -(-rows // most)
    if blocks <= 1:
        return max(1, rows)
    even = -(-rows // (128 * blocks)) * 128  # cuBLAS tiles and flags have 128 rows
    return min(even, max(128, most // 128 * 128))


def _chunk_classes(rows: int, classes: int, chunk_rows: int) -> int:
    """As many classes as make blocks of the size that ``chunk_rows`` rows have, in whole vectors."""
    wanted = max(LEAST_CHUNK_CLASSES, chunk_rows * classes // max(rows, 1) // 128 * 128)
    return min(classes, wanted)


def _workspace(path: str, rows: int, width: int, classes: int, dtype: torch.dtype, chunk: int) -> int:
    """Bytes beyond inputs, outputs and gradients: the block, fp32 accumulators where the gradients are 16-bit."""
    small = dtype != torch.float32
    weight = 4 * classes * width if small else 0
    if path == "chunked":
        return chunk * classes * dtype.itemsize + (weight if chunk < rows or dtype == torch.float16 else 0)
    if path in ("sweep", "exponential"):
        block = chunk * classes * dtype.itemsize + chunk * (classes // 16 + 4 * width + dtype.itemsize * width)
        return block + (weight if chunk < rows else 0)
    if path == "recompute":
        return rows * _chunk_classes(rows, classes, chunk) * dtype.itemsize + 4 * rows * width * small
    return 4 * rows * (width + 8) + weight


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
    if not (options.return_lse or options.return_entropy) and may_compact(input, weight):
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
    relative: Tensor | None,
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

    ``terms.scale`` is not applied: ``grad_loss_rows`` is the gradient of each l_i itself. ``relative`` is that of
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
        relative, grad_loss_rows = (None if t is None else t[kept] for t in (relative, grad_loss_rows))
    chosen = plan(input, weight, quiet, path=path, chunk_rows=chunk_rows, entropy_gradient=entropy_gradient)
    with plain_arithmetic():
        gradient = backward_gradient(terms, grad_loss_rows, grad_lse, grad_entropy, input.dtype)
        need = (need_input, need_weight, need_bias)
        task = Task(_rows(input), _rows(weight), _vector(bias), terms, quiet, gradient, *need)
        result = _run_whole(task, chosen, relative)
    if kept is not None:
        result = spread_result(result, kept, all_rows)
    return result.grad_input, result.grad_weight, result.grad_bias


def may_compact(input: Tensor, weight: Tensor) -> bool:
    """Whether a call may wait for the number of rows that count: it is large, and no CUDA graph is being captured."""
    if len(input) * weight.numel() < COMPACT_FROM:
        return False
    return not (input.is_cuda and torch.cuda.is_current_stream_capturing())


def _run_whole(task: Task, chosen: Plan, relative: Tensor | None) -> ForwardResult:
    """``_run`` with D padded to whole vectors: to 16 for Triton's products; cuBLAS's are fast from multiples of 8."""
    width = task.input.shape[1]
    if width % 16 == 0 or (width % 8 == 0 and chosen.path in ("chunked", "sweep", "recompute")):
        return _run(task, chosen, relative)
    padded = replace(task, input=whole_width(task.input), weight=whole_width(task.weight))
    found = _run(padded, chosen, relative)
    return replace(
        found,
        grad_input=first_columns(found.grad_input, width),
        grad_weight=first_columns(found.grad_weight, width),
    )


def _run(task: Task, chosen: Plan, relative: Tensor | None) -> ForwardResult:
    if chosen.path == "flash":
        return flash_path(task)
    if chosen.path in ("sweep", "exponential"):
        return exponential_path(task, chosen.chunk_rows, sweep=chosen.path == "sweep")
    if chosen.path == "recompute":
        return recompute(task, _chunk_classes(task.rows, task.classes, chosen.chunk_rows), relative)
    return chunked(task, chosen.chunk_rows)


def _rows(matrix: Tensor) -> Tensor:
    matrix = matrix.detach()
    return matrix if matrix.stride(1) == 1 else matrix.contiguous()


def _vector(vector: Tensor | None) -> Tensor | None:
    return None if vector is None else vector.detach().contiguous()
