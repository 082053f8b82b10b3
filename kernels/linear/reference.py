"""Linear cross-entropy written out plainly: full logits, one PyTorch operation per term of the formula, autograd.

The oracle that the other paths are checked against; it shares no arithmetic with them. Differentiable to any order.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from .options import Options
from .row_terms import accumulation_dtype

# Where a logit is -infinity, 0 * log 0 is to be 0; no finite logit reaches this far down.
LEAST_LOG_PROBABILITY = -1e30


class ReferenceResult(NamedTuple):
    """``loss`` reduced as asked; ``lse``, ``entropy`` (N,) and ``correct`` (N,) bool, always."""

    loss: Tensor
    lse: Tensor
    entropy: Tensor
    correct: Tensor


def linear_cross_entropy_reference(
    input: Tensor,
    weight: Tensor,
    target: Tensor,
    options: Options,
    *,
    bias: Tensor | None = None,
    class_weight: Tensor | None = None,
    token_weight: Tensor | None = None,
) -> ReferenceResult:
    """The loss of ``linear_cross_entropy`` for ``input`` (N, D), ``weight`` (V, D), ``target`` (N,), in float32, or in
    float64 for float64 tensors. Stores the N x V logits several times over. A row is correct when no logit exceeds
    the target's, before the cap, which may round two logits into one. Targets must be classes or ``ignore_index``."""
    dtype = accumulation_dtype(input.dtype)
    logits = torch.nn.functional.linear(input.to(dtype), weight.to(dtype), None if bias is None else bias.to(dtype))
    uncapped = logits
    if options.logit_softcap is not None:
        logits = options.logit_softcap * torch.tanh(logits / options.logit_softcap)
    kept = target != options.ignore_index
    label = torch.where(kept, target, 0).unsqueeze(1)
    log_p = torch.log_softmax(logits, dim=1)
    lse = torch.logsumexp(logits, dim=1)
    w = logits.new_ones(logits.shape[1]) if class_weight is None else class_weight.to(dtype)
    t = logits.new_ones(logits.shape[0]) if token_weight is None else token_weight.to(dtype)
    own = w[label.squeeze(1)]
    ce = (1.0 - options.label_smoothing) * own * -log_p.gather(1, label).squeeze(1)
    if options.label_smoothing > 0:
        ce = ce - options.label_smoothing / logits.shape[1] * (log_p * w).sum(dim=1)
    rows = torch.where(kept, t * (ce + options.z_loss * lse.square()), 0.0)
    if options.reduction == "none":
        loss = rows
    elif options.reduction == "sum":
        loss = rows.sum()
    else:
        divisor = torch.where(kept, t * own, 0.0).sum()
        none_counts = divisor == 0  # NaN loss and zero gradients then, as torch.nn.functional.cross_entropy has it
        loss = torch.where(none_counts, float("nan"), rows.sum() / torch.where(none_counts, 1.0, divisor))
    p = log_p.exp()
    entropy = -(p * log_p.clamp_min(LEAST_LOG_PROBABILITY)).sum(dim=1)
    correct = uncapped.gather(1, label).squeeze(1) >= uncapped.amax(dim=1)
    return ReferenceResult(loss, lse, entropy, correct)
