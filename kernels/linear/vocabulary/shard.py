"""One shard of the classes of vocabulary-parallel cross-entropy: its exponentials of a chunk of rows, its gradients.

``PlainShard`` takes any dtype on the CPU, and float64 on a card, by PyTorch's own operations; ``card_shard.CardShard``
is its twin on a card.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from ...base_two import LOG2_E
from ..cpu_products import ChunkProducts
from ..cpu_rows import weighted
from ..options import Options
from ..row_terms import RowTerms
from .layout import VocabLayout, sum_shards


@dataclass(frozen=True)
class ShardCall:
    """What a call asks for besides its tensors; ``need``: gradients of input, weight, bias."""

    options: Options
    layout: VocabLayout
    group: Any
    chunk_rows: int
    need: tuple[bool, ...]


@dataclass(frozen=True)
class ShardedRows:
    """What all processes know of a chunk of rows: the loss, the largest logit, the sums of exp(z - largest) over the
    target and over all other classes, and 2 z_loss lse."""

    loss: Tensor
    largest: Tensor
    own: Tensor
    others: Tensor
    z_slope: Tensor

    @staticmethod
    def of(numbers: Tensor, terms: RowTerms, options: Options, chunk: slice) -> ShardedRows:
        """From the numbers (S, 4, rows) of all shards: largest logit, sum, target's logit, smoothing sum."""
        largest = numbers[:, 0].amax(dim=0)
        others = sum_shards(numbers[:, 1] * torch.exp(numbers[:, 0] - largest))
        at_target, smoothing = sum_shards(numbers[:, 2]), sum_shards(numbers[:, 3])
        own = torch.exp(at_target - largest)
        log_sum = torch.log(own + others)
        # lse - z_y, without cancellation where the target is the largest logit.
        relative = torch.where(at_target == largest, torch.log1p(others), log_sum + (largest - at_target))
        lse = largest + log_sum
        a, b = terms.lse_coefficient[chunk], terms.target_coefficient[chunk]
        loss = b * relative + options.z_loss * lse.square()
        if terms.class_term is not None:
            loss += (a - b) * lse - smoothing
        return ShardedRows(weighted(terms.row_weight[chunk], loss), largest, own, others, 2 * options.z_loss * lse)


class Shard(Protocol):
    """What the loss asks of a shard."""

    grad_weight: Tensor | None
    grad_bias: Tensor | None

    def exponentials(self, x: Tensor, chunk: slice, numbers: Tensor) -> None:
        """Make the chunk's exponentials, and ``numbers`` (4, rows) that ``ShardedRows.of`` takes."""

    def add_gradients(self, x: Tensor, chunk: slice, row: ShardedRows, upstream: Tensor, part: Tensor) -> None:
        """Turn them into slopes and add their products to the gradients; the input's to ``part``."""


class PlainShard:
    """One shard of classes: its exponentials of the chunk at hand and its gradients so far."""

    def __init__(
        self, call: ShardCall, terms: RowTerms, weight: Tensor, bias: Tensor | None, shard: int, need: tuple[bool, ...]
    ) -> None:
        self.terms, self.cap, self.need = terms, call.options.logit_softcap, need
        self.start, self.size = call.layout.starts[shard], call.layout.sizes[shard]
        self.dtype = terms.scale.dtype
        self.products = ChunkProducts(weight, bias, self.dtype)
        self.term = None if terms.class_term is None else terms.class_term[self.start : self.start + self.size]
        made: Any = {"dtype": self.dtype, "device": weight.device}
        self.buffer = torch.empty(call.chunk_rows, self.size, **made)
        self.cap_slope = torch.empty_like(self.buffer) if self.cap is not None and any(need) else None
        self.grad_weight = torch.zeros(weight.shape, **made) if need[1] else None
        self.grad_bias = torch.zeros(self.size, **made) if need[2] else None

    def _targets(self, chunk: slice) -> tuple[Tensor, Tensor]:
        """The rows of the chunk whose target is here, and where in the flattened logits."""
        column = self.terms.target[chunk] - self.start
        rows = torch.nonzero((column >= 0) & (column < self.size))[:, 0]
        return rows, rows * self.size + column[rows]

    def exponentials(self, x: Tensor, chunk: slice, numbers: Tensor) -> None:
        """Fill the buffer with exp(z - largest here), zero at the targets, and ``numbers`` (4, rows)."""
        numbers[0], numbers[1:] = -math.inf, 0.0
        if self.size == 0:
            return
        z = self.buffer[: len(x)]
        self.products.logits(x.to(self.dtype), z)
        if self.cap is not None:
            z.div_(self.cap).tanh_()
            if self.cap_slope is not None:
                torch.mul(z, z, out=self.cap_slope[: len(x)]).neg_().add_(1.0)
            z.mul_(self.cap)
        rows, places = self._targets(chunk)
        flat = z.view(-1)
        numbers[2].index_copy_(0, rows, flat[places])
        if self.term is not None:
            torch.mv(z, self.term, out=numbers[3])
        torch.amax(z, dim=1, out=numbers[0])
        # exp2: on the CPU three times as fast as exp, and no slower where it underflows.
        offset = numbers[0].masked_fill(numbers[0] == -math.inf, 0.0)  # of a shard whose classes are all taken out
        z.sub_(offset[:, None]).mul_(LOG2_E).exp2_()
        flat.index_fill_(0, places, 0.0)
        torch.sum(z, dim=1, out=numbers[1])
        self.largest = numbers[0]

    def add_gradients(self, x: Tensor, chunk: slice, row: ShardedRows, upstream: Tensor, part: Tensor) -> None:
        """Turn the exponentials into slopes, add their products to the gradients, and write the input's to ``part``."""
        if self.size == 0:
            part.zero_()
            return
        terms, slope = self.terms, self.buffer[: len(x)]
        scale = weighted(terms.row_weight[chunk], upstream)
        a, b = terms.lse_coefficient[chunk] + row.z_slope, terms.target_coefficient[chunk]
        total = row.own + row.others
        factor = weighted(terms.row_weight[chunk], upstream * a * torch.exp(self.largest - row.largest) / total)
        at_target = weighted(terms.row_weight[chunk], upstream * ((a - b) * row.own - b * row.others) / total)
        if not terms.uniform:  # a row that does not count may hold anything
            slope.masked_fill_((terms.row_weight[chunk] == 0)[:, None], 0.0)
        slope.mul_(factor[:, None])
        rows, places = self._targets(chunk)
        slope.view(-1).index_copy_(0, places, at_target[rows])
        if self.term is not None:
            slope.addr_(scale, self.term, alpha=-1)
        if self.cap_slope is not None:
            slope.mul_(self.cap_slope[: len(x)])
        if self.need[0]:
            self.products.input_gradient(slope, part)
        if self.grad_weight is not None:
            self.products.add_weight_gradient(slope, x.to(self.dtype), self.grad_weight, first=False)
        if self.grad_bias is not None:
            self.grad_bias += slope.sum(dim=0)
