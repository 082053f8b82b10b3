"""The row pass of the CPU: a chunk of logits becomes the gradient with respect to them, in place.

Two forms with one interface. ``QuickRows`` (cpu_quick_rows.py) serves what needs no more than the softmax and leaves a
factor per row to be applied to narrower things than the logits; ``GeneralRows`` serves every option. Both keep the
target out of the sum (row_exponentials.py).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..base_two import LOG2_E
from ..row_exponentials import RowSums, block_rows
from .cpu_products import ChunkProducts
from .options import Options
from .row_terms import RowTerms

# Elements a thread works on at a time: half a MiB of float32, so that successive passes find them in its cache.
BLOCK_ELEMENTS = 1 << 17
# Stands for -infinity where it multiplies a probability of zero.
LEAST_LOGIT = -1e30


@dataclass(frozen=True)
class RowGradient:
    """Upstream gradients (N,) with respect to l_i, lse_i and entropy_i; None where there is none."""

    loss: Tensor | None
    lse: Tensor | None
    entropy: Tensor | None


@dataclass(frozen=True)
class RowStatistics:
    """Per row, (N,)."""

    loss: Tensor
    lse: Tensor
    entropy: Tensor | None
    correct: Tensor | None


def weighted(weight: Tensor, value: Tensor) -> Tensor:
    """weight * value, 0 where the weight is 0 even if the value is not finite."""
    return (weight * value).masked_fill_(weight == 0, 0.0)


class GeneralRows:
    """Every option: soft cap, smoothing, z-loss, entropy. The logits become the gradient itself, block by block, with
    one or two blocks of scratch."""

    def __init__(
        self, options: Options, terms: RowTerms, upstream: RowGradient, products: ChunkProducts, *, gradient: bool
    ) -> None:
        rows, classes = terms.target.shape[0], products.weight.shape[0]
        self.products = products
        self.cap, self.z_loss = options.logit_softcap, options.z_loss
        vectors = (upstream.loss, upstream.lse, upstream.entropy)
        columns = (None if g is None else g.double().unsqueeze(1) for g in vectors)
        self.upstream = RowGradient(*columns) if gradient else None
        self.target = terms.target.unsqueeze(1)
        self.weight = terms.row_weight.double().unsqueeze(1)
        self.target_coefficient = terms.target_coefficient.double().unsqueeze(1)
        self.class_term = terms.class_term
        self.class_sum = 0.0 if terms.class_term is None else terms.class_term.sum(dtype=torch.float64)
        self.step = block_rows(classes, BLOCK_ELEMENTS)
        self.loss, self.lse = (terms.row_weight.new_empty((rows, 1)) for _ in range(2))
        self.entropy = self.loss.new_empty((rows, 1)) if options.return_entropy else None
        self.correct = torch.empty_like(self.target, dtype=torch.bool) if options.return_accuracy else None
        scratch = self.entropy is not None or self.cap is not None
        self.scratch = self.loss.new_empty((2, self.step, classes)) if scratch else None

    def __call__(self, chunk: slice, x: Tensor, logits: Tensor) -> None:
        """Fill ``logits`` (n, V) with the gradient of those of ``x`` (n, D), the rows ``chunk``, if one is wanted."""
        self.products.logits(x, logits)
        for start in range(0, logits.shape[0], self.step):
            rows = slice(chunk.start + start, min(chunk.start + start + self.step, chunk.stop))
            self._block(rows, logits[start : start + self.step])

    def statistics(self) -> RowStatistics:
        """The rows as far as they were seen, in the dtype of accumulation."""
        entropy, correct = self.entropy, self.correct
        return RowStatistics(
            self.loss.squeeze(1),
            self.lse.squeeze(1),
            None if entropy is None else entropy.squeeze(1),
            None if correct is None else correct.squeeze(1),
        )

    def _block(self, rows: slice, z: Tensor) -> None:
        n, target, weight = z.shape[0], self.target[rows], self.weight[rows]
        tanh = shifted = None
        if self.correct is not None:  # of the logits before the cap, which may round two of them into one
            torch.ge(z.gather(1, target), z.amax(dim=1, keepdim=True), out=self.correct[rows])
        if self.cap is not None and self.scratch is not None:
            tanh = torch.tanh(z.div_(self.cap), out=self.scratch[0, :n])
            torch.mul(tanh, self.cap, out=z)
        target_logit = z.gather(1, target)
        offset = z.amax(dim=1, keepdim=True)
        z.sub_(offset)
        if self.entropy is not None and self.scratch is not None:
            shifted = torch.clamp_min(z, LEAST_LOGIT, out=self.scratch[1, :n])
        # sum() adds pairwise; a matrix-vector product would add thousands of terms one by one.
        smooth = None if self.class_term is None else (z * self.class_term).sum(dim=1, keepdim=True)
        z.scatter_(1, target, -math.inf).mul_(LOG2_E).exp2_()
        base, own_logit = offset.double(), target_logit.double() - offset
        sums = RowSums(base * LOG2_E, own_logit * LOG2_E, z.sum(dim=1, keepdim=True))
        log_total, nll, lse = sums.losses()
        ce = self.target_coefficient[rows] * nll
        if smooth is not None:
            ce = ce + (self.class_sum * log_total - smooth)
        if self.z_loss:
            ce = ce + self.z_loss * lse.square()
        self.loss[rows], self.lse[rows] = weighted(weight, ce), lse
        entropy = None
        if shifted is not None and self.entropy is not None:
            own = sums.own * own_logit.clamp_min(LEAST_LOGIT)
            entropy = log_total - (torch.linalg.vecdot(z, shifted).unsqueeze(1) + own) / sums.total
            self.entropy[rows] = entropy
        if self.upstream is not None:
            columns = (sums, log_total, nll, lse, entropy)
            self._gradient(rows, z, shifted, self.upstream, *columns)
            if tanh is not None:
                z.mul_(tanh.square_().neg_().add_(1.0))

    def _gradient(
        self, rows: slice, e: Tensor, shifted: Tensor | None, upstream: RowGradient, sums: RowSums,
        log_total: Tensor, nll: Tensor, lse: Tensor, entropy: Tensor | None,
    ) -> None:  # fmt: skip
        """e, exp(z - m) with 0 at the target, becomes the gradient with respect to the (capped) logits z:
        alpha_i p_ij - k_i (b_i d_jy + u_j) - eta_i p_ij (log p_ij + H_i), k_i = t_i times the upstream of l_i."""
        inverse = sums.total.reciprocal()
        p_own = sums.own * inverse
        alpha = own = torch.zeros_like(p_own)  # alpha without k b, which the target's entry holds as -k b s' / s
        k = kb = None
        if upstream.loss is not None:
            k = weighted(self.weight[rows], upstream.loss[rows])
            kb = k * self.target_coefficient[rows]
            own = -kb * (sums.others * inverse)
            if self.class_term is not None:
                alpha = k * self.class_sum
                own = own - k * self.class_term[self.target[rows]]
            if self.z_loss:
                alpha = alpha + weighted(k, (2.0 * self.z_loss) * lse)
        if upstream.lse is not None:
            alpha = alpha + upstream.lse[rows]
        own = own + alpha * p_own
        if kb is not None:
            alpha = alpha + kb
        if upstream.entropy is not None and shifted is not None and entropy is not None:
            eta = upstream.entropy[rows]
            own = own - eta * p_own * ((-nll).clamp_min_(LEAST_LOGIT) + entropy)
            constant = (alpha + eta * (log_total - entropy)) * inverse
            e.mul_(shifted.mul_((-eta * inverse).to(e.dtype)).add_(constant.to(e.dtype)))
        else:
            e.mul_((alpha * inverse).to(e.dtype))
        if k is not None and self.class_term is not None:
            e.addcmul_(k.to(e.dtype), self.class_term.unsqueeze(0), value=-1.0)
        e.scatter_(1, self.target[rows], own.to(e.dtype))
