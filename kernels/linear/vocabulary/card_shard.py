"""One shard of the classes of vocabulary-parallel cross-entropy on a card, on the kernel of the chunked path.

The logits stay in the dtype of the weight, are read once for their sums and turned into their gradient in place. The
target's logit, exact and the same on every process, is the offset of every shard's sums, so that they add up as they
are unless some lie far above it. Nothing waits for the device.
"""

from __future__ import annotations

import math
from functools import partial

import torch
from torch import Tensor

from ...gpu.launch import padded_logits
from ...gpu.products import add_product, product
from ...gpu.row_cross_entropy import row_cross_entropy, row_state
from ...gpu.row_sum import row_sum
from ...gpu.target import target_logit
from ..row_terms import RowTerms
from .shard import ShardCall, ShardedRows


class CardShard:
    """One shard of classes: its logits of the chunk at hand and its gradients so far, as ``PlainShard``."""

    def __init__(
        self, call: ShardCall, terms: RowTerms, weight: Tensor, bias: Tensor | None, shard: int, need: tuple[bool, ...]
    ) -> None:
        self.terms, self.options, self.need = terms, call.options, need
        self.start, self.size = call.layout.starts[shard], call.layout.sizes[shard]
        self.weight = weight if weight.stride(1) == 1 else weight.contiguous()
        self.bias = None if bias is None else bias.contiguous()
        self.term = None if terms.class_term is None else terms.class_term[self.start : self.start + self.size]
        self.term_sum = None if self.term is None else self.term.sum()
        self.buffer = padded_logits(call.chunk_rows, self.size, weight)
        zeros = partial(torch.zeros, dtype=torch.float32, device=weight.device)
        self.grad_weight = zeros(weight.shape) if need[1] else None
        self.grad_bias = zeros(self.size) if need[2] else None
        self.exact: Tensor | None = None  # the logits of all rows' targets, once all shards have told them

    def target_logits(self, input: Tensor, out: Tensor) -> None:
        """``out`` (N,): the logits of the targets that are in this shard, 0 for the others."""
        if self.size == 0:
            out.zero_()
            return
        column = self.terms.target - self.start
        here = (column >= 0) & (column < self.size)
        x = input if input.stride(1) == 1 else input.contiguous()
        place = column.clamp(0, self.size - 1)
        target_logit(x, self.weight, self.bias, place, out, cap=self.options.logit_softcap).run()
        out.copy_(torch.where(here, out, 0.0))

    def exponentials(self, x: Tensor, chunk: slice, numbers: Tensor) -> None:
        """Fill the buffer with logits and ``numbers`` (4, rows): offset, sum of e^(z - offset) over the classes here
        but the target, the target's logit if it is here, sum_c u_c z_c."""
        numbers[0], numbers[1:] = -math.inf, 0.0
        if self.size == 0 or len(x) == 0:
            return
        assert self.exact is not None
        logits, exact = self.buffer[: len(x)], self.exact[chunk]
        torch.mm(x, self.weight.T, out=logits)
        state = row_state(exact)
        self._run(logits, chunk, state, sums=True)
        numbers[0], numbers[1] = state[0], state[1]
        column = self.terms.target[chunk] - self.start
        numbers[2] = torch.where((column >= 0) & (column < self.size), exact, 0.0)
        if self.term_sum is not None:
            numbers[3] = exact * self.term_sum - state[3]

    def add_gradients(self, x: Tensor, chunk: slice, row: ShardedRows, upstream: Tensor, part: Tensor) -> None:
        """Turn the logits into slopes, add their products to the gradients, and write the input's to ``part``."""
        if self.size == 0 or len(x) == 0:
            part.zero_()
            return
        slope = self.buffer[: len(x)]
        state = torch.zeros((5, len(x)), dtype=torch.float32, device=x.device)
        state[0], state[1] = row.largest, row.others
        weight = self.terms.row_weight[chunk]
        gradient = torch.where(weight == 0, weight, weight * upstream)
        self._run(slope, chunk, state, sums=False, gradient=gradient)
        if self.need[0]:
            product(slope, self.weight, torch.float32, out=part)
        if self.grad_weight is not None:
            add_product(self.grad_weight, slope.T, x)
        if self.grad_bias is not None:
            self.grad_bias += row_sum(slope)

    def _run(self, logits: Tensor, chunk: slice, state: Tensor, *, sums: bool, gradient: Tensor | None = None) -> None:
        terms = self.terms
        assert self.exact is not None
        row_cross_entropy(
            logits, terms.target[chunk], self.exact[chunk], terms.lse_coefficient[chunk],
            terms.target_coefficient[chunk], terms.row_weight[chunk], bias=self.bias, class_term=self.term,
            cap=self.options.logit_softcap, z_loss=self.options.z_loss, first=self.start, state=state, sums=sums,
            gradient=gradient is not None, gradient_weight=gradient, skip_weightless=True,
        ).run()  # fmt: skip
