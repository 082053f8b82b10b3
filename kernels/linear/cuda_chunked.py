"""Linear cross-entropy from blocks of logits made by cuBLAS and turned into their gradient in place.

``chunked`` takes blocks of rows: logits, one kernel that reads them twice and writes the gradient over them, two more
products; three in all. ``recompute`` takes blocks of classes: a sweep for the log-sum-exp of every row, then each block
again for its gradient, of which the weight's is complete at once; four products, and no fp32 copy of the weight.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ..gpu.launch import padded_logits
from ..gpu.products import add_product, product
from ..gpu.row_cross_entropy import row_cross_entropy, row_state
from ..gpu.row_sum import row_sum
from .cuda_task import (
    RowResults,
    Task,
    bias_dtype,
    finished,
    returned,
    row_results,
    row_slice,
    skips_weightless,
    target_logits,
)
from .row_terms import ForwardResult


def chunked(task: Task, chunk_rows: int) -> ForwardResult:
    """All results from blocks of ``chunk_rows`` rows of logits, (chunk_rows, V) in the input's dtype."""
    n, classes, options, terms, gradient = task.rows, task.classes, task.options, task.terms, task.gradient
    dtype = task.input.dtype
    results, exact = row_results(task), target_logits(task)
    rows = max(1, min(chunk_rows, n))
    buffer = padded_logits(rows, classes, task.input)
    once = rows >= n and gradient.factor is None
    grad_input = torch.empty_like(task.input) if task.need_input else None
    grad_weight: Tensor | None = None
    grad_bias: Tensor | None = None
    for start in range(0, n, rows):
        stop = min(start + rows, n)
        x = task.input[start:stop]
        logits = buffer[: stop - start]
        torch.mm(x, task.weight.T, out=logits)
        row_cross_entropy(
            logits, terms.target[start:stop], exact[start:stop], terms.lse_coefficient[start:stop],
            terms.target_coefficient[start:stop], terms.row_weight[start:stop], bias=task.bias,
            class_term=terms.class_term, cap=options.logit_softcap, z_loss=options.z_loss,
            loss=results.loss[start:stop], lse=results.lse[start:stop], entropy=row_slice(results.entropy, start, stop),
            correct=row_slice(results.correct, start, stop), gradient=task.need_gradient,
            gradient_weight=row_slice(gradient.weight, start, stop), grad_lse=row_slice(gradient.lse, start, stop),
            grad_entropy=row_slice(gradient.entropy, start, stop), track_entropy=_tracks_entropy(task),
            track_accuracy=options.return_accuracy, skip_weightless=skips_weightless(task),
        ).run()  # fmt: skip
        if grad_input is not None:
            if gradient.factor is None:
                torch.mm(logits, task.weight, out=grad_input[start:stop])
            else:
                torch.mul(product(logits, task.weight, torch.float32), gradient.factor, out=grad_input[start:stop])
        if task.need_weight:
            if grad_weight is None:
                grad_weight = product(logits.T, x, dtype if once else torch.float32)
            else:
                add_product(grad_weight, logits.T, x)
        if task.need_bias:
            part = row_sum(logits)
            grad_bias = part if grad_bias is None else grad_bias.add_(part)
    return results.result(grad_input, *returned(task, grad_weight, grad_bias))


def recompute(task: Task, chunk_classes: int, row_sums: Tensor | None = None) -> ForwardResult:
    """All results from blocks of ``chunk_classes`` classes of logits, (N, chunk_classes) in the input's dtype.

    The ``row_sums`` that a call without gradients found, (N, 2) offset m_i and sum of e^(z_ij - m_i) over j != y_i,
    spare one that wants only gradients the first sweep, unless an entropy is among what they come from. From them
    1 - p at the target keeps its digits, as it would not from the log-sum-exp, whose rounding is as large as a 1 - p
    of 1e-6.
    """
    results, exact = row_results(task), target_logits(task)
    blocks = _ClassBlocks(task, chunk_classes, exact)
    if row_sums is None or task.gradient.entropy is not None:
        _sweep(task, blocks, results)
        results = replace(results, row_sums=blocks.state[:2].T.contiguous())
    else:
        blocks.state[:2] = row_sums.T
    if not task.need_gradient:
        return results.result()
    return results.result(*_block_gradients(task, blocks))


class _ClassBlocks:
    """Blocks of classes of logits in one buffer, and the state of the rows that passes from one to the next."""

    def __init__(self, task: Task, chunk_classes: int, exact: Tensor) -> None:
        self.task, self.exact = task, exact
        self.step = max(1, min(chunk_classes, task.classes))
        self.starts = range(0, task.classes, self.step)
        self.state = row_state(exact)
        self.buffer = padded_logits(task.rows, self.step, task.input)
        self.start: int | None = None  # of the block whose logits were made last

    def logits(self, start: int) -> tuple[Tensor, Tensor]:
        """The logits of the block, made unless they are there, and its rows of the weight."""
        weight = self.task.weight[start : start + self.step]
        logits = self.buffer[:, : len(weight)]
        if self.start != start:
            torch.mm(self.task.input, weight.T, out=logits)
        self.start = start
        return logits, weight

    def run(self, logits: Tensor, start: int, **outputs: Any) -> None:
        """The row kernel over the block's logits, with what both passes tell it."""
        task, terms, stop = self.task, self.task.terms, start + logits.shape[1]
        row_cross_entropy(
            logits, terms.target, self.exact, terms.lse_coefficient, terms.target_coefficient, terms.row_weight,
            bias=row_slice(task.bias, start, stop), class_term=row_slice(terms.class_term, start, stop),
            cap=task.options.logit_softcap, z_loss=task.options.z_loss, first=start, state=self.state,
            skip_weightless=skips_weightless(task), **outputs,
        ).run()  # fmt: skip


def _sweep(task: Task, blocks: _ClassBlocks, results: RowResults) -> None:
    """Fill the results, and the state with every row's sums."""
    for start in blocks.starts:
        logits, _ = blocks.logits(start)
        last = start == blocks.starts[-1]
        blocks.run(
            logits, start, loss=results.loss if last else None, lse=results.lse if last else None,
            entropy=results.entropy if last else None, correct=results.correct if last else None,
            track_entropy=_tracks_entropy(task), track_accuracy=task.options.return_accuracy,
        )  # fmt: skip


def _block_gradients(task: Task, blocks: _ClassBlocks) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """The gradients of input, weight and bias from the state that a sweep left, or that was given."""
    gradient = task.gradient
    grad_input = torch.empty((task.rows, task.input.shape[1]), dtype=torch.float32, device=task.input.device)
    grad_weight = torch.empty_like(task.weight) if task.need_weight else None
    grad_bias = task.weight.new_empty(task.classes, dtype=torch.float32) if task.need_bias else None
    for start in reversed(blocks.starts):  # after a sweep the last block's logits are still there
        logits, weight = blocks.logits(start)
        blocks.run(
            logits, start, sums=False, gradient=True, gradient_weight=gradient.weight, grad_lse=gradient.lse,
            grad_entropy=gradient.entropy, track_entropy=gradient.entropy is not None,
        )  # fmt: skip
        if task.need_input:
            if start == blocks.starts[-1]:
                product(logits, weight, torch.float32, out=grad_input)
            else:
                add_product(grad_input, logits, weight)
        if grad_weight is not None:
            part = grad_weight[start : start + blocks.step]
            if gradient.factor is None:
                torch.mm(logits.T, task.input, out=part)
            else:
                torch.mul(product(logits.T, task.input, torch.float32), gradient.factor, out=part)
        if grad_bias is not None:
            grad_bias[start : start + blocks.step] = row_sum(logits)
    input_result = finished(grad_input, task.input.dtype, gradient.factor) if task.need_input else None
    return input_result, grad_weight, finished(grad_bias, bias_dtype(task), gradient.factor)


def _tracks_entropy(task: Task) -> bool:
    return task.options.return_entropy or task.gradient.entropy is not None
