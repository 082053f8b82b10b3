"""Linear cross-entropy from exponentials of the logits, stored once, and two plain products with them.

    E_ij = e^(z_ij - m_i), 0 at the target      dX_i = alpha_i (E W)_i + beta_i w_{y_i} - g_i (W' u)
    alpha_i = (g_i a_i + v_i) / S_i             dW   = E' (alpha x) + sum_i beta_i e_{y_i} x_i' - u (X' g)'

E comes from a product with an exponential epilogue ("exponential"), or from cuBLAS's logits in one sweep ("sweep").
The targets' part of dW is put into E before its product (``gpu.weight_operands``), which then writes dW as it is
returned where one block of rows does and there is no label smoothing; else fp32 sums are rounded once.

Label smoothing is rank-one beside E, except under a soft cap, whose slope differs from entry to entry: that pair of
options, fp16 inputs, whose range E leaves, and gradients into the entropy take the chunked path.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..gpu.exponential import BLOCK_ROWS, SUMS, exponential, exponential_rows, exponential_tile, needs_options_tile
from ..gpu.exponential_pass import exponential_pass, pass_blocks
from ..gpu.launch import architecture, multiprocessors, padded_logits
from ..gpu.products import add_product, product
from ..gpu.row_sum import row_sum
from ..gpu.target import combine_rows
from ..gpu.weight_operands import weight_operands
from .cuda_task import RowResults, Task, returned, row_results, row_slice, skips_weightless, target_logits
from .row_terms import ForwardResult


@dataclass(frozen=True)
class _Block:
    """A block of rows of E: its vectors, the tiles' partial sums and the flags of its groups of ``BLOCK_ROWS`` rows.

    Without gradients there is an ``e`` only for the sweep, which then leaves the logits as they are."""

    task: Task
    results: RowResults
    start: int
    stop: int
    exact: Tensor
    offset: Tensor
    sums: Tensor
    flag: Tensor
    e: Tensor | None
    alpha: Tensor | None
    beta: Tensor | None
    sweep: bool

    def fill(self) -> None:
        """E and all that its rows need; the blocks that were flagged once more, with their maxima as offsets."""
        if self.sweep:
            self._rows((self.flag, self.flag), self._sweep())
        else:
            self._tiles(None)
            self._rows((self.flag, self.flag), self.sums)
        flags = (self.flag, self.flag.amax())
        self._tiles(flags, maximum=True)
        self._rows(flags, self.sums, maximum=True, retry=True)
        self._tiles(flags)
        self._rows(flags, self.sums, retry=True)

    def of(self, vector: Tensor | None) -> Tensor | None:
        return None if vector is None else vector[self.start : self.stop]

    def _sweep(self) -> Tensor:
        """E from the logits of cuBLAS; the sums that were written."""
        task, options, e = self.task, self.task.options, self.e
        assert e is not None
        sums = self.sums[:, : pass_blocks(task.classes)]
        torch.mm(task.input[self.start : self.stop], task.weight.T, out=e)
        exponential_pass(
            e, task.bias, task.terms.target[self.start : self.stop], self.exact, self.offset, sums,
            class_term=task.terms.class_term, cap=options.logit_softcap, entropy=options.return_entropy,
            accuracy=options.return_accuracy, store=self.alpha is not None,
        ).run()  # fmt: skip
        return sums

    def _tiles(self, flags: tuple[Tensor, Tensor] | None, *, maximum: bool = False) -> None:
        task, options = self.task, self.task.options
        exponential(
            task.input[self.start : self.stop], task.weight, task.bias, task.terms.target[self.start : self.stop],
            self.exact, self.offset, self.sums, e=self.e if self.alpha is not None else None,
            class_term=task.terms.class_term, cap=options.logit_softcap, entropy=options.return_entropy,
            accuracy=options.return_accuracy, architecture=architecture(task.input), maximum=maximum, flags=flags,
            programs=multiprocessors(task.input),
        ).run()  # fmt: skip

    def _rows(self, flags: tuple[Tensor, Tensor], sums: Tensor, *, maximum: bool = False, retry: bool = False) -> None:
        task, terms, rows = self.task, self.task.terms, slice(self.start, self.stop)
        exponential_rows(
            sums, self.offset, self.exact, terms.lse_coefficient[rows], terms.target_coefficient[rows],
            terms.row_weight[rows], flags, loss=self.results.loss[rows], lse=self.results.lse[rows],
            entropy=self.of(self.results.entropy), correct=self.of(self.results.correct), alpha=self.alpha,
            beta=self.beta, gradient_weight=self.of(task.gradient.weight), grad_lse=self.of(task.gradient.lse),
            class_term=terms.class_term, cap=task.options.logit_softcap, z_loss=task.options.z_loss, maximum=maximum,
            retry=retry, skip_weightless=skips_weightless(task),
        ).run()  # fmt: skip


def exponential_path(task: Task, chunk_rows: int, *, sweep: bool) -> ForwardResult:
    """All results from blocks of ``chunk_rows`` rows of E, (chunk_rows, V) in the input's dtype (bf16 or fp32)."""
    n, classes, terms = task.rows, task.classes, task.terms
    new = task.input.new_empty
    rows = max(1, min(chunk_rows, n))
    partial = _partial_sums(task, rows)
    flag = new(-(-rows // BLOCK_ROWS), dtype=torch.int32)
    e = padded_logits(rows, classes, task.input) if task.need_gradient or sweep else None
    alpha, beta = (new(n, dtype=torch.float32) if task.need_gradient else None for _ in range(2))
    results, exact, vector = row_results(task), target_logits(task), smoothing_vector(task)
    offset = exact.clone()
    if skips_weightless(task):
        offset.masked_fill_(terms.row_weight == 0, float("inf"))  # e^-inf: such a row has no part in anything
    grad_input = torch.empty_like(task.input) if task.need_input else None
    sums = _WeightSums(task, once=rows >= n)
    for start in range(0, n, rows):
        stop = min(start + rows, n)
        block = _Block(
            task, results, start, stop, exact[start:stop], offset[start:stop], partial[:, :, : stop - start],
            flag[: -(-(stop - start) // BLOCK_ROWS)], None if e is None else e[: stop - start],
            row_slice(alpha, start, stop), row_slice(beta, start, stop), sweep,
        )  # fmt: skip
        block.fill()
        if block.e is None or block.alpha is None or block.beta is None:
            continue
        if grad_input is not None:
            combine_rows(
                grad_input[start:stop], product(block.e, task.weight, torch.float32), block.alpha, task.weight,
                terms.target[start:stop], block.beta, row_factor=block.of(task.gradient.weight), vector=vector,
            ).run()  # fmt: skip
        if task.need_weight or task.need_bias:
            sums.add(block.e, task.input[start:stop], block.alpha, block.beta, terms.target[start:stop])
    return results.result(grad_input, *sums.finished())


def _partial_sums(task: Task, rows: int) -> Tensor:
    """(planes, partial sums of a row, ``rows``) fp32: as many as the product's tiles write; the sweep writes fewer."""
    options, classes = task.options, task.classes
    wide = needs_options_tile(
        task.input.shape[1], cap=options.logit_softcap, entropy=options.return_entropy,
        accuracy=options.return_accuracy, class_term=task.terms.class_term is not None,
    )  # fmt: skip
    blocks = -(-classes // exponential_tile(task.input.dtype, architecture(task.input), options=wide).classes)
    return task.input.new_empty((SUMS if wide else 1, blocks, rows), dtype=torch.float32)


class _WeightSums:
    """The gradients of weight and bias, summed over blocks of rows of E."""

    def __init__(self, task: Task, *, once: bool) -> None:
        self.task = task
        self.weight = smoothing_outer(task)
        self.bias: Tensor | None = None
        self.dtype = task.weight.dtype if once and self.weight is None else torch.float32

    def add(self, e: Tensor, x: Tensor, alpha: Tensor, beta: Tensor, target: Tensor) -> None:
        """Add a block's; E gets the targets' part for it."""
        scaled, factor = x.new_empty(x.shape), torch.empty_like(alpha)
        weight_operands(e, x, scaled, alpha, beta, target, factor).run()
        if self.task.need_weight and self.weight is None:
            self.weight = product(e.T, scaled, self.dtype)
        elif self.task.need_weight:
            assert self.weight is not None
            add_product(self.weight, e.T, scaled)
        if self.task.need_bias:
            part = row_sum(e, factor)
            self.bias = part if self.bias is None else self.bias.add_(part)

    def finished(self) -> tuple[Tensor | None, Tensor | None]:
        """Both as they are returned."""
        subtract_smoothing(self.task, self.bias)
        return returned(self.task, self.weight, self.bias)


def smoothing_vector(task: Task) -> Tensor | None:
    """W' u (D,), what label smoothing takes off every row of the input's gradient, times g_i; None without it."""
    term = task.terms.class_term
    wanted = term is not None and task.need_input and task.gradient.weight is not None
    return row_sum(task.weight, term) if wanted else None


def smoothing_outer(task: Task) -> Tensor | None:
    """-u (X' g)', (V, D) fp32, the part of label smoothing in the weight's gradient; None without it."""
    term, g = task.terms.class_term, task.gradient.weight
    if term is None or g is None or not task.need_weight:
        return None
    return torch.outer(term, row_sum(task.input, g).neg_())


def subtract_smoothing(task: Task, grad_bias: Tensor | None) -> None:
    """``grad_bias`` (V,) fp32 -= u sum_i g_i, the part of label smoothing in it, if both are there."""
    term, g = task.terms.class_term, task.gradient.weight
    if grad_bias is not None and term is not None and g is not None:
        grad_bias.addcmul_(term, g.sum(), value=-1.0)
