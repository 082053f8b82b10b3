"""One call of linear cross-entropy as the GPU paths see it.

Gradients into the rows come in as vectors: ``weight`` g (N,) into t's bracket (t included), ``lse`` and ``entropy``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..gpu.target import target_logit
from .options import Options
from .row_terms import ForwardResult, RowTerms, asks_for_all_rows


@dataclass(frozen=True)
class RowGradient:
    """Gradients into every row, fp32 (N,) or None for zero, all divided by ``factor`` (0-dim) if that is not None."""

    weight: Tensor | None
    lse: Tensor | None = None
    entropy: Tensor | None = None
    factor: Tensor | None = None


@dataclass(frozen=True)
class Task:
    """The tensors of a call, column strides 1, and what is wanted of it."""

    input: Tensor
    weight: Tensor
    bias: Tensor | None
    terms: RowTerms
    options: Options
    gradient: RowGradient
    need_input: bool
    need_weight: bool
    need_bias: bool

    @property
    def rows(self) -> int:
        """N."""
        return self.input.shape[0]

    @property
    def classes(self) -> int:
        """V."""
        return self.weight.shape[0]

    @property
    def need_gradient(self) -> bool:
        """Whether any gradient is wanted."""
        return self.need_input or self.need_weight or self.need_bias


@dataclass(frozen=True)
class RowResults:
    """The per-row outputs of a call, to be filled by the kernels."""

    loss: Tensor
    lse: Tensor
    entropy: Tensor | None
    correct: Tensor | None
    row_sums: Tensor | None = None

    def result(
        self, grad_input: Tensor | None = None, grad_weight: Tensor | None = None, grad_bias: Tensor | None = None
    ) -> ForwardResult:
        """These with the gradients of input, weight and bias."""
        gradients = grad_input, grad_weight, grad_bias
        return ForwardResult(self.loss, self.lse, self.entropy, self.correct, *gradients, self.row_sums)


def row_results(task: Task) -> RowResults:
    """Outputs for every row, to be written; the entropy of a row that is skipped stays unset."""
    new = task.input.new_empty
    n, options = task.rows, task.options
    return RowResults(
        new(n, dtype=torch.float32),
        new(n, dtype=torch.float32),
        new(n, dtype=torch.float32) if options.return_entropy else None,
        new(n, dtype=torch.bool) if options.return_accuracy else None,
    )


def row_slice(vector: Tensor | None, start: int, stop: int) -> Tensor | None:
    """Entries [start, stop) of a vector that there may not be."""
    return None if vector is None else vector[start:stop]


def target_logits(task: Task) -> Tensor:
    """z_{i, y_i} of every row, exact to fp32, (N,)."""
    out = task.input.new_empty(task.rows, dtype=torch.float32)
    target_logit(task.input, task.weight, task.bias, task.terms.target, out, cap=task.options.logit_softcap).run()
    return out


def skips_weightless(task: Task) -> bool:
    """Whether rows of weight 0 need not be read: nothing is asked of them, and no gradient comes from them."""
    gradient = task.gradient
    return not (asks_for_all_rows(task.terms, task.options) or gradient.lse is not None or gradient.entropy is not None)


def forward_gradient(terms: RowTerms, dtype: torch.dtype) -> RowGradient:
    """The gradient of scale * sum_i l_i; rows of weight 0 have none, even when the scale is not finite."""
    t = terms.row_weight
    weight = torch.where(t == 0, t, t * terms.scale) if terms.gradient is None else terms.gradient
    return normalised(weight, None, None, dtype)


def backward_gradient(
    terms: RowTerms, loss: Tensor | None, lse: Tensor | None, entropy: Tensor | None, dtype: torch.dtype
) -> RowGradient:
    """The gradient for upstream gradients into l_i, lse_i and entropy_i."""
    t = terms.row_weight
    weight = None if loss is None else torch.where(t == 0, t, t * loss)
    return normalised(weight, _plain(lse), _plain(entropy), dtype)


def _plain(vector: Tensor | None) -> Tensor | None:
    return None if vector is None else vector.to(torch.float32).contiguous()


def normalised(weight: Tensor | None, lse: Tensor | None, entropy: Tensor | None, dtype: torch.dtype) -> RowGradient:
    """For fp16, which has no range, the largest gradient is divided out, to be multiplied back in fp32."""
    vectors = [vector for vector in (weight, lse, entropy) if vector is not None]
    if dtype != torch.float16 or not vectors or vectors[0].numel() == 0:
        return RowGradient(weight, lse, entropy)
    largest = torch.stack([vector.abs().amax() for vector in vectors]).amax()
    factor = torch.where((largest > 0) & torch.isfinite(largest), largest, torch.ones_like(largest))
    weight, lse, entropy = (None if vector is None else vector / factor for vector in (weight, lse, entropy))
    return RowGradient(weight, lse, entropy, factor)


def finished(gradient: Tensor | None, dtype: torch.dtype, factor: Tensor | None) -> Tensor | None:
    """``gradient`` times ``factor``, rounded once to ``dtype``."""
    if gradient is None:
        return None
    if factor is None:
        return gradient.to(dtype)
    return torch.mul(gradient, factor, out=torch.empty_like(gradient, dtype=dtype))


def bias_dtype(task: Task) -> torch.dtype:
    """Of the bias's gradient; the weight's if there is no bias, which nothing is made for then."""
    return task.weight.dtype if task.bias is None else task.bias.dtype


def returned(task: Task, grad_weight: Tensor | None, grad_bias: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
    """The gradients of weight and bias as they are returned: zero where no rows made one that is needed."""
    factor = task.gradient.factor
    if task.need_weight and grad_weight is None:
        grad_weight = torch.zeros_like(task.weight)
    if task.need_bias and grad_bias is None:
        grad_bias = task.weight.new_zeros(task.classes, dtype=torch.float32)
    return finished(grad_weight, task.weight.dtype, factor), finished(grad_bias, bias_dtype(task), factor)
