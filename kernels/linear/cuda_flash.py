"""Linear cross-entropy for narrow D: two kernels that keep no logits at all, four products, O((N + V) D) memory.

The first gives every row's sums and sum_{j != y} e_ij w_j, the second, with what the rows then need, the same the other
way round. The targets' terms and label smoothing are added as in the exponential path, and the same pairs of options
take the chunked path: a soft cap with label smoothing, and gradients into the entropy.
"""

from __future__ import annotations

import torch

from ..gpu.exponential import BLOCK_ROWS, SUMS, exponential_rows
from ..gpu.flash import others_average, transpose_average
from ..gpu.launch import architecture
from ..gpu.pivot_tiles import pivot_marks
from ..gpu.target import combine_rows, scatter_rows, sort_targets
from .cuda_exponential import smoothing_outer, smoothing_vector, subtract_smoothing
from .cuda_task import Task, returned, row_results, target_logits
from .row_terms import ForwardResult


def flash_path(task: Task) -> ForwardResult:
    """All results, for D at most ``gpu.flash.LARGEST_WIDTH`` of the dtype."""
    n, width, options, terms, gradient = task.rows, task.input.shape[1], task.options, task.terms, task.gradient
    new, card, cap = task.input.new_empty, architecture(task.input), options.logit_softcap
    results, exact = row_results(task), target_logits(task)
    sums, offset = new((SUMS, 1, n), dtype=torch.float32), new(n, dtype=torch.float32)
    average = new((n, width), dtype=torch.float32) if task.need_input else None
    marks, marking = pivot_marks(terms.target, task.classes, rows_held=True, classes_held=False)
    marking.run()
    others_average(
        task.input, task.weight, task.bias, terms.target, exact, marks, offset=offset, sums=sums[:, 0], average=average,
        class_term=terms.class_term, cap=cap, entropy=options.return_entropy, accuracy=options.return_accuracy,
        architecture=card,
    ).run()  # fmt: skip
    alpha, beta = (new(n, dtype=torch.float32) if task.need_gradient else None for _ in range(2))
    flag = new(-(-n // BLOCK_ROWS), dtype=torch.int32)  # never set: the offset is the largest logit
    exponential_rows(
        sums, offset, exact, terms.lse_coefficient, terms.target_coefficient, terms.row_weight,
        (flag, flag), loss=results.loss, lse=results.lse, entropy=results.entropy, correct=results.correct,
        alpha=alpha, beta=beta, gradient_weight=gradient.weight, grad_lse=gradient.lse, class_term=terms.class_term,
        cap=cap, z_loss=options.z_loss,
    ).run()  # fmt: skip
    if alpha is None or beta is None:
        return results.result()
    grad_input = None
    if average is not None:
        grad_input = torch.empty_like(task.input)
        combine_rows(
            grad_input, average, alpha, task.weight, terms.target, beta, row_factor=gradient.weight,
            vector=smoothing_vector(task), factor=gradient.factor,
        ).run()  # fmt: skip
    grad_weight = grad_bias = None
    if task.need_weight or task.need_bias:
        grad_weight = new((task.classes, width), dtype=torch.float32) if task.need_weight else None
        grad_bias = new(task.classes, dtype=torch.float32) if task.need_bias else None
        peak = None
        if task.input.dtype == torch.float16 and n:  # keep f e within fp16's range: f S is at most 1 then
            peak = (alpha * torch.exp(results.lse - offset)).abs().amax().clamp_min(torch.finfo(torch.float32).tiny)
            alpha = alpha / peak
        marks, marking = pivot_marks(terms.target, task.classes, rows_held=False, classes_held=True)
        marking.run()
        transpose_average(
            task.input, task.weight, task.bias, terms.target, offset, alpha, marks, average=grad_weight,
            columns=grad_bias, cap=cap, architecture=card,
        ).run()  # fmt: skip
        for part in (grad_weight, grad_bias):
            if part is not None and peak is not None:
                part.mul_(peak)
        outer = smoothing_outer(task)
        if grad_weight is not None and outer is not None:
            grad_weight.add_(outer)
        subtract_smoothing(task, grad_bias)
        sorted_target, order = sort_targets(terms.target, beta, task.classes)
        scatter_rows(grad_weight, grad_bias, task.input, beta, sorted_target, order, task.classes).run()
    return results.result(grad_input, *returned(task, grad_weight, grad_bias))
