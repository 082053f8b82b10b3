"""The row pass of the CPU where nothing but the softmax is needed: logits and exponentials by tiles of columns.

Of a chunk of rows a tile of logits is computed and exponentiated while it lies in a core's own cache, by one pass more
than the exponential and the sum: with an offset m_i of row i known beforehand, exp(z_ij - m_i) is 2 to the power of
z_ij log2(e) - m_i log2(e), a fused multiply-add, which rounds once. The offset is the row's maximum in the first tile,
which any sample of the classes brings near enough to the row's own. Where it is not, and a sum could overflow, that
chunk and those that follow take the maxima of whole rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor

from ..base_two import LARGEST_SUM_LOG2, LOG2_E
from ..tile_places import TilePlaces
from .cpu_products import ChunkProducts
from .cpu_rows import RowGradient, RowStatistics, RowSums, weighted
from .options import Options
from .row_terms import RowTerms

# Elements of a tile for each thread, about what its cache holds; narrower tiles make the product slower than the cache
# makes the exponential faster.
TILE_ELEMENTS, LEAST_COLUMNS = 3 << 16, 1024

# log2(e) as the multiply-add rounds it, for the offset to be the same number in the sums and in the rest.
FACTOR = {dtype: float(torch.tensor(LOG2_E, dtype=dtype)) for dtype in (torch.float32, torch.float64)}


def tile_columns(rows: int, classes: int, most: int) -> int:
    """Columns, at most ``most``, of a tile of ``rows`` rows: tiles of about one size."""
    most = min(most, max(LEAST_COLUMNS, TILE_ELEMENTS * torch.get_num_threads() // max(1, rows)))
    tiles = math.ceil(classes / most)
    return classes if tiles <= 1 else math.ceil(classes / tiles)


class QuickRows:
    """Cross-entropy with class and token weights, its gradient as diag(scale) G."""

    def __init__(
        self, options: Options, terms: RowTerms, gradient: Tensor | None, products: ChunkProducts, step: int
    ) -> None:
        """``gradient`` (N,) upstream of l_i in float64, None if none is wanted; chunks of ``step`` rows."""
        self.terms, self.products = terms, products
        rows, classes = len(terms.target), len(products.weight)
        self.columns = tile_columns(min(step, rows), classes, products.most_columns)
        self.numbers = terms.row_weight.new_empty((3, rows))
        self.shift, self.target_logit, self.others = self.numbers
        self.correct = torch.empty_like(terms.target, dtype=torch.bool) if options.return_accuracy else None
        self.limit = 2.0 ** LARGEST_SUM_LOG2[products.dtype]
        self.factor = FACTOR[products.dtype]
        self.wide = False  # a first tile was found too far below its row's maximum: expect more of them
        self._known: tuple[slice, RowSums] | None = None
        self.gradient = gradient
        if gradient is not None and not terms.uniform:
            self.gradient = weighted(terms.row_weight, gradient * terms.target_coefficient)
        self.places = TilePlaces(terms.target, classes, step, self.columns)

    @staticmethod
    def serves(options: Options, terms: RowTerms, upstream: RowGradient) -> bool:
        """Whether these options and upstream gradients are those this class knows."""
        plain = terms.class_term is None and options.logit_softcap is None and options.z_loss == 0
        return plain and not options.return_entropy and upstream.lse is None and upstream.entropy is None

    def __call__(self, chunk: slice, x: Tensor, logits: Tensor) -> Tensor | None:
        """Fill ``logits`` (n, V) with G of ``x`` (n, D), the rows ``chunk``, and return scale (n, 1)."""
        if not self.wide:
            self._exponentials(chunk, None, self.products.logit_tiles(x, logits, self.columns), logits)
            # One tile has the rows' own maxima. False for NaN, too.
            self.wide = self.places.tiles > 1 and not float(self.others[chunk].amax()) < self.limit
        if self.wide:
            tops = [z.amax(dim=1) for z in self.products.logit_tiles(x, logits, self.columns)]
            self._exponentials(chunk, torch.stack(tops).amax(dim=0), logits.split(self.columns, dim=1), logits)
        if self.gradient is None:
            return None
        others = self.others[chunk] if self.places.tiles == 1 else self.others[self.places.order[chunk]]
        logits.view(-1).index_copy_(0, self.places.place[chunk], -others)
        return (self.gradient[chunk] / self._sums(chunk).total).to(logits.dtype).unsqueeze(1)

    def _exponentials(self, chunk: slice, offset: Tensor | None, tiles: Iterable[Tensor], logits: Tensor) -> None:
        """Each of the ``tiles`` of ``logits`` becomes exp(z - m), zero at the targets, with the ``offset`` m (n,), by
        default the maxima of the first. Keeps m, the targets' logits, the sums and whether no other is larger."""
        flat, shift = logits.view(-1), self.shift[chunk].unsqueeze(1)
        one = self.places.tiles == 1  # rows in their own order
        own = self.target_logit[chunk] if one else logits.new_empty(len(logits))
        sums = self.others[chunk].unsqueeze(0) if one else logits.new_empty((self.places.tiles, len(logits)))
        tops = None if self.correct is None else torch.empty_like(sums)
        for k, z in enumerate(tiles):
            if k == 0:
                torch.mul(z.amax(dim=1) if offset is None else offset, -self.factor, out=self.shift[chunk])
            here = self.places.tile(chunk.start, k)
            if here.start < here.stop:
                place = self.places.place[here]
                torch.index_select(flat, 0, place, out=own[here.start - chunk.start : here.stop - chunk.start])
                flat.index_fill_(0, place, -math.inf)
            if tops is not None:
                torch.amax(z, dim=1, out=tops[k])
            torch.sum(torch.add(shift, z, alpha=LOG2_E, out=z).exp2_(), dim=1, out=sums[k])
        if not one:
            torch.sum(sums, dim=0, out=self.others[chunk])
            self.target_logit.index_copy_(0, self.places.order[chunk], own)
        if tops is not None and self.correct is not None:
            torch.ge(self.target_logit[chunk], tops.amax(dim=0), out=self.correct[chunk])

    def _sums(self, rows: slice) -> RowSums:
        if self._known is not None and self._known[0] == rows:  # of a call of one chunk, asked for twice
            return self._known[1]
        shift, target_logit, others = self.numbers[:, rows].double()
        self._known = rows, RowSums(shift / -self.factor, target_logit, others)
        return self._known[1]

    def statistics(self) -> RowStatistics:
        """The rows as far as they were seen, in the dtype of accumulation."""
        _, loss, lse = self._sums(slice(0, len(self.others))).losses()
        if not self.terms.uniform:
            loss = weighted(self.terms.row_weight, self.terms.target_coefficient * loss)
        return RowStatistics(loss.to(self.others.dtype), lse.to(self.others.dtype), None, self.correct)
