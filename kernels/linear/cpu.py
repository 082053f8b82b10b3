"""Linear cross-entropy on the CPU: chunks of rows, the gradients in the same pass, no N x V array.

Of each chunk the logits are computed into one reused buffer, turned into their gradient in place, and multiplied into
the gradients of input and weight while they are still in cache: three matrix products in all, four when the gradient
is asked for only afterwards (``backward``). The weight's gradient is accumulated in float32 over all chunks.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from ..plain_arithmetic import plain_arithmetic
from .cpu_products import ChunkProducts
from .cpu_quick_rows import QuickRows
from .cpu_rows import GeneralRows, RowGradient
from .kept_rows import kept_rows, spread_result, terms_of
from .options import Options
from .row_terms import ForwardResult, RowTerms, accumulation_dtype, asks_for_all_rows

# A chunk of logits takes no more memory than the gradients, which a call needs anyway. Each chunk reads and writes the
# weight's gradient once: chunks of fewer than LEAST_ROWS make the products slow, of more than MOST_ROWS bring nothing.
# Buffers of LEAST_ELEMENTS, 8 MiB of float32, are always allowed.
LEAST_ROWS, MOST_ROWS, LEAST_ELEMENTS = 128, 1024, 2 << 20


def default_chunk_rows(rows: int, width: int, classes: int) -> int:
    """Rows of a chunk of logits for N = ``rows``, D = ``width``, V = ``classes``, chunks of about one size."""
    allowed = width + rows * width / classes
    most = max(1, min(rows, MOST_ROWS, max(int(allowed), LEAST_ELEMENTS // classes, LEAST_ROWS)))
    chunks = math.ceil(rows / most)
    return most if chunks <= 1 else min(most, 8 * math.ceil(rows / chunks / 8))


def workspace_bytes(rows: int, width: int, classes: int, dtype: torch.dtype, chunk_rows: int | None) -> int:
    """Bytes of a call beyond inputs, outputs and gradients: the chunk of logits and what half precision widens."""
    accumulate = accumulation_dtype(dtype)
    chunk = min(chunk_rows or default_chunk_rows(rows, width, classes), max(rows, 1))
    elements = chunk * classes
    if accumulate != dtype:
        elements += classes * width + 2 * chunk * width
    return elements * accumulate.itemsize


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
    path: str = "chunked",
) -> ForwardResult:
    """Losses of the rows of ``input`` (N, D) under ``weight`` (V, D), and the gradients asked for (``ForwardResult``).

    ``path`` is "chunked"; "recompute" is this function with no gradient needed, then ``backward``.
    """
    if terms.divisor is None:
        scale = terms.scale.double()
    elif terms.uniform and len(input):  # float64, as all that costs N numbers: all gradients would share its rounding
        scale = torch.full((), 1.0 / len(input), dtype=torch.float64)
    else:
        scale = torch.where(terms.divisor == 0, 0.0, terms.divisor.double().reciprocal())
    scale = scale.expand(input.shape[0])
    need = (need_input, need_weight, need_bias)
    with plain_arithmetic():
        return _all_chunks(input, weight, bias, terms, options, RowGradient(scale, None, None), need, chunk_rows)


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
    path: str = "recompute",
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """Gradients of input, weight and bias for upstream gradients (N,) of l_i, lse_i and entropy_i; the logits are
    computed anew (``row_sums`` is not needed for that here)."""
    del row_sums, path
    options = replace(options, return_entropy=grad_entropy is not None, return_accuracy=False, return_lse=False)
    upstream = RowGradient(grad_loss_rows, grad_lse, grad_entropy)
    need = (need_input, need_weight, need_bias)
    with plain_arithmetic():
        result = _all_chunks(input, weight, bias, terms, options, upstream, need, chunk_rows)
    return result.grad_input, result.grad_weight, result.grad_bias


def _all_chunks(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    terms: RowTerms,
    options: Options,
    upstream: RowGradient,
    need: tuple[bool, bool, bool],
    chunk_rows: int | None,
) -> ForwardResult:
    every = asks_for_all_rows(terms, options) or upstream.lse is not None or upstream.entropy is not None
    kept = None if every else kept_rows(terms)
    if kept is not None:
        some = replace(upstream, loss=None if upstream.loss is None else upstream.loss[kept])
        part = _all_chunks(input[kept], weight, bias, terms_of(terms, kept), options, some, need, chunk_rows)
        return spread_result(part, kept, len(input))
    n, width = input.shape
    classes = weight.shape[0]
    dtype = accumulation_dtype(input.dtype)
    step = chunk_rows or default_chunk_rows(n, width, classes)
    products = ChunkProducts(weight, bias, dtype)
    rows: QuickRows | GeneralRows
    if QuickRows.serves(options, terms, upstream):
        rows = QuickRows(input, options, terms, upstream.loss if any(need) else None, products)
    else:
        rows = GeneralRows(options, terms, upstream, products, gradient=any(need))
    buffer = torch.empty((min(step, n), classes), dtype=dtype)
    grad_input = torch.empty((n, width), dtype=input.dtype) if need[0] else None
    make = torch.empty_like if n else torch.zeros_like
    grad_weight = make(weight, dtype=dtype) if need[1] else None
    grad_bias = torch.zeros(classes, dtype=dtype) if need[2] else None
    for start in range(0, n, step):
        chunk = slice(start, min(start + step, n))
        x = input[chunk].to(dtype)
        logits = buffer[: x.shape[0]]
        scale = rows(chunk, x, logits)
        if grad_input is not None:
            out = grad_input[chunk] if input.dtype == dtype else torch.empty_like(x)
            products.input_gradient(logits, out)
            if scale is not None:
                out.mul_(scale)
            if input.dtype != dtype:
                grad_input[chunk] = out
        if grad_bias is not None:
            grad_bias.add_(logits.sum(dim=0) if scale is None else torch.mv(logits.t(), scale.squeeze(1)))
        if grad_weight is not None:
            products.add_weight_gradient(logits, x if scale is None else x * scale, grad_weight, first=start == 0)
    found = rows.statistics()
    return ForwardResult(
        found.loss,
        found.lse,
        found.entropy,
        found.correct,
        grad_input,
        None if grad_weight is None else grad_weight.to(weight.dtype),
        None if grad_bias is None or bias is None else grad_bias.to(bias.dtype),
    )
