"""Linear cross-entropy by a product with an exponential epilogue, and two plain products with what it stored.

    E_ij = e^(z_ij - m_i), 0 at the target      dX_i = alpha_i (E W)_i + beta_i w_{y_i} - g_i (W' u)
    alpha_i = (g_i a_i + v_i) / S_i             dW   = E' (alpha x) + sum_i beta_i e_{y_i} x_i' - u (X' g)'

Label smoothing is rank-one beside E, except under a soft cap, whose slope differs from entry to entry: that pair of
options, fp16 inputs, whose range E leaves, and gradients into the entropy take the chunked path.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..gpu.exponential import BLOCK_ROWS, SUMS, exponential, exponential_rows, exponential_tile, needs_options_tile
from ..gpu.launch import architecture, multiprocessors, padded_logits
from ..gpu.products import add_product, product
from ..gpu.row_sum import row_sum
from ..gpu.target import combine_rows, scatter_rows, sort_targets
from .cuda_task import RowResults, Task, finished, row_results, row_slice, target_logits
from .row_terms import ForwardResult


@dataclass(frozen=True)
class _Block:
    """A block of rows of E: its vectors, the tiles' partial sums and the flags of its groups of ``BLOCK_ROWS`` rows."""

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

    def fill(self) -> None:
        """E and all that its rows need; the blocks that were flagged once more, with their maxima as offsets."""
        self._tiles(None)
        self._rows((self.flag, self.flag))
        flags = (self.flag, self.flag.amax())
        self._tiles(flags, maximum=True)
        self._rows(flags, maximum=True, retry=True)
        self._tiles(flags)
        self._rows(flags, retry=True)

    def of(self, vector: Tensor | None) -> Tensor | None:
        return None if vector is None else vector[self.start : self.stop]

    def _tiles(self, flags: tuple[Tensor, Tensor] | None, *, maximum: bool = False) -> None:
        task, options = self.task, self.task.options
        exponential(
            task.input[self.start : self.stop], task.weight, task.bias, task.terms.target[self.start : self.stop],
            self.exact, self.offset, self.sums, e=self.e, class_term=task.terms.class_term, cap=options.logit_softcap,
            entropy=options.return_entropy, accuracy=options.return_accuracy, architecture=architecture(task.input),
            maximum=maximum, flags=flags, programs=multiprocessors(task.input),
        ).run()  # fmt: skip

    def _rows(self, flags: tuple[Tensor, Tensor], *, maximum: bool = False, retry: bool = False) -> None:
        task, terms, rows = self.task, self.task.terms, slice(self.start, self.stop)
        exponential_rows(
            self.sums, self.offset, self.exact, terms.lse_coefficient[rows], terms.target_coefficient[rows],
            terms.row_weight[rows], flags, loss=self.results.loss[rows], lse=self.results.lse[rows],
            entropy=self.of(self.results.entropy), correct=self.of(self.results.correct), alpha=self.alpha,
            beta=self.beta, gradient_weight=self.of(task.gradient.weight), grad_lse=self.of(task.gradient.lse),
            class_term=terms.class_term, cap=task.options.logit_softcap, z_loss=task.options.z_loss, maximum=maximum,
            retry=retry,
        ).run()  # fmt: skip


def exponential_path(task: Task, chunk_rows: int) -> ForwardResult:
    """All results from blocks of ``chunk_rows`` rows of E, (chunk_rows, V) in the input's dtype (bf16 or fp32)."""
    n, classes, options, terms = task.rows, task.classes, task.options, task.terms
    new = task.input.new_empty
    rows = max(1, min(chunk_rows, n))
    wide = needs_options_tile(
        task.input.shape[1], cap=options.logit_softcap, entropy=options.return_entropy,
        accuracy=options.return_accuracy, class_term=terms.class_term is not None,
    )  # fmt: skip
    tile = exponential_tile(task.input.dtype, architecture(task.input), options=wide)
    partial = new((SUMS if wide else 1, -(-classes // tile.classes), rows), dtype=torch.float32)
    flag = new(-(-rows // BLOCK_ROWS), dtype=torch.int32)
    e = padded_logits(rows, classes, task.input) if task.need_gradient else None
    alpha, beta = (new(n, dtype=torch.float32) if task.need_gradient else None for _ in range(2))
    results, exact, vector = row_results(task), target_logits(task), smoothing_vector(task)
    grad_input = torch.empty_like(task.input) if task.need_input else None
    grad_weight, grad_bias = smoothing_outer(task), None
    for start in range(0, n, rows):
        stop = min(start + rows, n)
        block = _Block(
            task, results, start, stop, exact[start:stop], exact[start:stop].clone(), partial[:, :, : stop - start],
            flag[: -(-(stop - start) // BLOCK_ROWS)], None if e is None else e[: stop - start],
            row_slice(alpha, start, stop), row_slice(beta, start, stop),
        )  # fmt: skip
        block.fill()
        if block.e is None or block.alpha is None or block.beta is None:
            continue
        if grad_input is not None:
            combine_rows(
                grad_input[start:stop], product(block.e, task.weight, torch.float32), block.alpha, task.weight,
                terms.target[start:stop], block.beta, row_factor=block.of(task.gradient.weight), vector=vector,
            ).run()  # fmt: skip
        if task.need_weight:
            x = task.input[start:stop]
            scaled = torch.mul(x, block.alpha[:, None], out=torch.empty_like(x))
            if grad_weight is None:
                grad_weight = product(block.e.T, scaled, torch.float32)
            else:
                add_product(grad_weight, block.e.T, scaled)
        if task.need_bias:
            part = row_sum(block.e, block.alpha)
            grad_bias = part if grad_bias is None else grad_bias.add_(part)
    if beta is None:
        return results.result()
    grad_weight, grad_bias = add_targets(task, beta, grad_weight, grad_bias)
    return results.result(grad_input, grad_weight, grad_bias)


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


def add_targets(
    task: Task, beta: Tensor, grad_weight: Tensor | None, grad_bias: Tensor | None
) -> tuple[Tensor | None, Tensor | None]:
    """The gradients of weight and bias with the targets' terms, and the bias's label smoothing, added, as returned."""
    if not (task.need_weight or task.need_bias):
        return None, None
    term, g, factor = task.terms.class_term, task.gradient.weight, task.gradient.factor
    if task.need_weight and grad_weight is None:  # no rows at all
        grad_weight = torch.zeros_like(task.weight, dtype=torch.float32)
    if task.need_bias and grad_bias is None:
        grad_bias = task.weight.new_zeros(task.classes, dtype=torch.float32)
    if grad_bias is not None and term is not None and g is not None:
        grad_bias = grad_bias.addcmul_(term, g.sum(), value=-1.0)
    scatter_rows(grad_weight, grad_bias, task.input, beta, *sort_targets(task.terms.target)).run()
    bias_dtype = task.weight.dtype if task.bias is None else task.bias.dtype
    return finished(grad_weight, task.weight.dtype, factor), finished(grad_bias, bias_dtype, factor)
