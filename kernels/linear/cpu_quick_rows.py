"""The row pass of the CPU where nothing but the softmax is needed: exponentials of the logits, a factor a row."""

from __future__ import annotations

from functools import partial

from torch import Tensor

from ..row_exponentials import RowExponentials
from .cpu_products import ChunkProducts
from .cpu_rows import RowGradient, RowStatistics, weighted
from .options import Options
from .row_terms import RowTerms


class QuickRows:
    """Cross-entropy with class and token weights, its gradient as diag(scale) G."""

    def __init__(
        self, input: Tensor, options: Options, terms: RowTerms, gradient: Tensor | None, products: ChunkProducts
    ) -> None:
        """``gradient`` (N,) upstream of l_i in float64, None if none is wanted."""
        self.terms, self.products = terms, products
        sampled = products.largest_sampled(input, terms.target)
        self.exponentials = RowExponentials(terms.target, products.dtype, sampled, rank=options.return_accuracy)
        self.gradient = None if gradient is None else gradient.unsqueeze(1)
        if gradient is not None and not terms.uniform:
            self.gradient = weighted(terms.row_weight, gradient * terms.target_coefficient).unsqueeze(1)

    @staticmethod
    def serves(options: Options, terms: RowTerms, upstream: RowGradient) -> bool:
        """Whether these options and upstream gradients are those this class knows."""
        plain = terms.class_term is None and options.logit_softcap is None and options.z_loss == 0
        return plain and not options.return_entropy and upstream.lse is None and upstream.entropy is None

    def __call__(self, chunk: slice, x: Tensor, logits: Tensor) -> Tensor | None:
        """Fill ``logits`` (n, V) with G of ``x`` (n, D), the rows ``chunk``, and return scale (n, 1)."""
        found = self.exponentials
        sums = found(chunk, logits, partial(self.products.logits, x))
        if self.gradient is None:
            return None
        logits.scatter_(1, found.column[chunk], -found.others[chunk])
        return (self.gradient[chunk] / sums.total).to(logits.dtype)

    def statistics(self) -> RowStatistics:
        """The rows as far as they were seen, in the dtype of accumulation."""
        found, dtype = self.exponentials, self.products.dtype
        _, loss, lse = (column.squeeze(1) for column in found.sums(slice(0, len(found.others))).losses())
        if not self.terms.uniform:
            loss = weighted(self.terms.row_weight, self.terms.target_coefficient * loss)
        correct = None if found.correct is None else found.correct.squeeze(1)
        return RowStatistics(loss.to(dtype), lse.to(dtype), None, correct)
