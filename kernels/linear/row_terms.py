"""What the loss asks of each row, made once from the targets alone, and what a path gives back.

With e the label smoothing, w the class weights (ones when None), t the token weights and V classes,

    l_i = t_i [ a_i lse_i - b_i z_iy - sum_c u_c z_ic + z_loss lse_i^2 ]
    a_i = (1 - e) w_y + e mean(w),   b_i = (1 - e) w_y,   u_c = e w_c / V

so that a_i = b_i + sum_c u_c, and the reduced loss is sum_i l_i divided by ``divisor`` (sum_i t_i w_y for the mean).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..checks import check_integer, check_tensor, shown
from .options import Options


@dataclass(frozen=True)
class RowTerms:
    """The constants of the formula above, all in the dtype of accumulation except ``target``.

    ``target`` (N,) int64 with ignored and out-of-range rows set to class 0; ``lse_coefficient`` a (N,);
    ``target_coefficient`` b (N,); ``row_weight`` t (N,): 0 for ignored rows, NaN for rows whose target is no class,
    so that these cannot pass unseen; ``scale`` a 0-dim tensor, the gradient of the loss with respect to l_i
    (1 / divisor for the mean, 1 otherwise; 0 where the divisor is 0: no row counts); ``class_term`` u (V,) or None
    without smoothing; ``divisor`` a 0-dim tensor for the mean, None otherwise; ``uniform`` is True only if all of a, b
    and t are known to be 1, so that a path may leave them out; ``gradient`` (N,) t_i scale, 0 where t_i is, if it was
    made with the rest; ``weighted``: there are token weights, so that a row of weight 0 need not be an ignored one.
    """

    target: Tensor
    lse_coefficient: Tensor
    target_coefficient: Tensor
    row_weight: Tensor
    scale: Tensor
    class_term: Tensor | None
    divisor: Tensor | None = None
    uniform: bool = False
    gradient: Tensor | None = None
    weighted: bool = False


@dataclass(frozen=True)
class ForwardResult:
    """What a path computes: ``loss_rows`` l_i and ``lse`` (N,) in the dtype of accumulation, ``entropy`` (N,) and
    ``correct`` (N,) bool where asked, the gradients of ``scale * sum_i l_i``, each in the dtype of its tensor, and
    ``row_sums`` (N, 2) from a path whose backward can use them."""

    loss_rows: Tensor
    lse: Tensor
    entropy: Tensor | None
    correct: Tensor | None
    grad_input: Tensor | None
    grad_weight: Tensor | None
    grad_bias: Tensor | None
    row_sums: Tensor | None = None


def asks_for_all_rows(terms: RowTerms, options: Options) -> bool:
    """Whether something is wanted of rows of weight 0: log-sum-exp or entropy, or, where they need not be ignored ones,
    whether their target is the largest logit."""
    return options.return_lse or options.return_entropy or (options.return_accuracy and terms.weighted)


def accumulation_dtype(dtype: torch.dtype) -> torch.dtype:
    """float64 for float64 tensors, float32 for all others."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def row_terms(
    target: Tensor,
    options: Options,
    *,
    classes: int,
    dtype: torch.dtype,
    class_weight: Tensor | None = None,
    token_weight: Tensor | None = None,
    all_count: bool = False,
) -> RowTerms:
    """The terms of targets (N,), in ``dtype``; ``class_weight`` (V,), ``token_weight`` (N,). Reads nothing back from
    the device, so a target out of range is not raised here: its row weight is NaN. ``all_count``: it is known that
    every target is a class and none is ignored (``check_targets`` says so), which spares the masks."""
    plain = class_weight is None and token_weight is None and options.label_smoothing == 0
    if all_count and plain:
        ones = torch.ones_like(target, dtype=dtype)
        if options.reduction == "mean":
            count = ones.new_full((), target.shape[0])
            scale = count.reciprocal() if target.shape[0] else torch.zeros_like(count)
            return RowTerms(target, ones, ones, ones, scale, None, count, uniform=True)
        return RowTerms(target, ones, ones, ones, ones.new_ones(()), None, uniform=True)
    if target.is_cuda and dtype == torch.float32:
        return fused_row_terms(target, options, classes=classes, class_weight=class_weight, token_weight=token_weight)
    ignored = target == options.ignore_index
    bad = ((target < 0) | (target >= classes)) & ~ignored
    safe = target.masked_fill(ignored | bad, 0)
    weight = torch.ones_like(target, dtype=dtype) if token_weight is None else token_weight.detach().to(dtype)
    weight = weight.masked_fill(ignored, 0.0).masked_fill(bad, float("nan"))
    smoothing = options.label_smoothing
    class_term: Tensor | None
    if class_weight is None:
        own = torch.ones_like(weight)
        class_term = None if smoothing == 0 else weight.new_full((classes,), smoothing / classes)
    else:
        class_weight = class_weight.detach().to(dtype)
        own = class_weight[safe]
        class_term = None if smoothing == 0 else class_weight * (smoothing / classes)
    divisor: Tensor | None = None
    if options.reduction == "mean":
        divisor = (weight if class_weight is None else weight * own).sum()
        scale = torch.where(divisor == 0, torch.zeros_like(divisor), divisor.reciprocal())
    else:
        scale = weight.new_ones(())
    target_coefficient = own if smoothing == 0 else own * (1.0 - smoothing)
    lse_coefficient = target_coefficient if class_term is None else target_coefficient + class_term.sum()
    return RowTerms(
        safe, lse_coefficient, target_coefficient, weight, scale, class_term, divisor,
        weighted=token_weight is not None,
    )  # fmt: skip


def fused_row_terms(
    target: Tensor, options: Options, *, classes: int, class_weight: Tensor | None, token_weight: Tensor | None
) -> RowTerms:
    """``row_terms`` in fp32 by two kernels, where single operations would cost as much as a small call's products."""
    from ..gpu.row_terms import BLOCK, row_terms_launches

    rows, smoothing = target.shape[0], options.label_smoothing
    new = torch.empty((4, rows), dtype=torch.float32, device=target.device)
    class_term: Tensor | None = None
    if class_weight is not None:
        class_weight = class_weight.detach().contiguous()
    if smoothing != 0:
        if class_weight is None:
            class_term = new.new_full((classes,), smoothing / classes)
        else:
            class_term = class_weight.to(torch.float32) * (smoothing / classes)
    safe = torch.empty_like(target, memory_format=torch.contiguous_format)
    divisor = new.new_empty(()) if options.reduction == "mean" else None
    scale = new.new_empty(())
    first, second = row_terms_launches(
        target.contiguous(), class_weight, None if token_weight is None else token_weight.detach().contiguous(),
        None if class_term is None else class_term.sum(), classes=classes, ignore_index=options.ignore_index,
        smoothing=float(smoothing), safe=safe, row_weight=new[0], lse_coefficient=new[1], target_coefficient=new[2],
        partial=new.new_empty(-(-rows // BLOCK)), divisor=divisor, scale=scale, gradient=new[3],
    )  # fmt: skip
    first.run()
    second.run()
    return RowTerms(
        safe, new[1], new[2], new[0], scale, class_term, divisor, gradient=new[3], weighted=token_weight is not None
    )


def check_targets(target: Tensor, options: Options, classes: int) -> bool:
    """Raise ValueError if a target is neither a class in [0, classes) nor ``ignore_index``; return whether it is known
    that none is ignored. Reads the targets, so on a GPU it waits for the device."""
    check_tensor(target, "target")
    if not isinstance(options, Options):
        raise TypeError(f"options must be Options; got {shown(options)}")
    check_integer(classes, "classes", 1)
    if target.dtype != torch.int64 or target.is_meta:
        raise TypeError(f"target must be int64 class indices with data, got {target.dtype} on {target.device}")
    if target.numel() == 0:
        return True
    low, high = (bound.item() for bound in torch.aminmax(target))
    if low >= 0 and high < classes:
        return not low <= options.ignore_index <= high
    bad = ((target < 0) | (target >= classes)) & (target != options.ignore_index)
    if bool(bad.any()):
        row = int(bad.reshape(-1).nonzero()[0])
        raise ValueError(
            f"target holds {int(target.reshape(-1)[row])} at position {row}, which is no class in [0, {classes}) and "
            f"not ignore_index = {options.ignore_index}; fix the target or pass that value as ignore_index"
        )
    return False
