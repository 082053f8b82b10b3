"""The tied loss (context = embedding) by strips of the upper triangle of Z = X X': two matrix products, not three.

A strip holds the rows of one block against its own and all later columns, so each pair of blocks is met once and serves
both: its row sums go to the one, its column sums to the other. A first sweep (half a product) finds the row sums s, a
second (half a product again) makes the strip of

    M = diag(a) K + K diag(a),   K_ij = exp(z_ij - o),   a_i = g_i r_i / s_i,

and applies it to both sides (one product): grad X = M X - (diag(g) T + T' diag(g)) X at row weights g. Bounds on z from
the row norms tell whether one offset o keeps all of K in range (largest and smallest ||x_i||^2 within LARGEST_SPAN);
if not, each row has its own and a strip is exponentiated once for either side. As in graph_chunked.py the entries of
row i at its pivot k_i are kept out of the sums and put in exactly:  g_i (r_i p_ik - T_ik) = a_i A_ik.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ..base_two import LARGEST_SUM_LOG2, LN_2, LOG2_E
from .csr import CsrTarget, row_losses

# A strip of this size stays in the shared cache; diagonal blocks, whose symmetry is not used, are rows / n of it all.
STRIP_BYTES = 4 << 20
MIN_ROWS, MAX_ROWS = 128, 256


@dataclass(frozen=True)
class TiedSums:
    """What the first sweep finds, in units of log 2: ``others`` = sum over j != k_i of 2^(z_ij - offset_i), ``own`` =
    the same of k_i alone, ``at_pivot`` z_ik, and ``offset``; all (n,)."""

    others: Tensor
    own: Tensor
    at_pivot: Tensor
    offset: Tensor


def strip_rows(n: int, itemsize: int) -> int:
    """Rows of a strip of the logits of ``n`` nodes."""
    rows = STRIP_BYTES // max(1, n * itemsize)
    return max(MIN_ROWS, min(MAX_ROWS, n // 8, rows) // 16 * 16)


def tied_sums(embedding: Tensor, places: StripPlaces) -> TiedSums:
    """The first sweep. ``embedding`` (n, D) in the dtype of its target (n, n)."""
    strips = _Strips(embedding, places)
    n = len(embedding)
    common = strips.common_offset
    others = embedding.new_zeros(n)
    offset = torch.full_like(others, -math.inf if common is None else common)
    pivots = torch.empty_like(others)
    for strip in strips:
        logits = strips.logits(strip)
        flat, here, later, width = logits.view(-1), strip.here, strip.later, strip.width
        torch.index_select(flat, 0, strip.place, out=pivots[strip.found])
        if common is not None:
            if common:
                logits.sub_(common)
            logits.exp2_()
            kept = flat[strip.row_place]
            flat.index_fill_(0, strip.row_place, 0.0)
            others[here] += logits.sum(dim=1)
            flat.index_copy_(0, strip.row_place, kept).index_fill_(0, strip.column_place, 0.0)
            if strip.stop < n:
                others[later] += logits[:, width:].sum(dim=0)
            continue
        if strip.stop < n:
            right = logits[:, width:]
            top = torch.maximum(offset[later], right.amax(dim=0))
            e = strips.second(logits.shape)
            torch.sub(right, top, out=e[:, width:]).exp2_()
            e.view(-1).index_fill_(0, strip.column_place, 0.0)
            others[later] = others[later] * (offset[later] - top).exp2() + e[:, width:].sum(dim=0)
            offset[later] = top
        top = torch.maximum(offset[here], logits.amax(dim=1))
        logits.sub_(top[:, None]).exp2_()
        flat.index_fill_(0, strip.row_place, 0.0)
        others[here] = others[here] * (offset[here] - top).exp2() + logits.sum(dim=1)
        offset[here] = top
    at_pivot = torch.empty_like(pivots).index_copy_(0, places.order, pivots)
    return TiedSums(others, (at_pivot - offset).exp2_(), at_pivot, offset)


def tied_loss(embedding: Tensor, target: CsrTarget, sums: TiedSums) -> Tensor:
    """loss_i of every row before its weight."""
    confident = torch.log1p(sums.others / sums.own)
    doubtful = (sums.own + sums.others).log() + (sums.offset - sums.at_pivot) * LN_2
    relative = torch.where(sums.others < sums.own, confident, doubtful)
    rest = target.rest_matmul(embedding)
    return row_losses(target, relative, sums.at_pivot * LN_2) - torch.linalg.vecdot(embedding, rest)


def tied_gradient(embedding: Tensor, target: CsrTarget, places: StripPlaces, sums: TiedSums, weight: Tensor) -> Tensor:
    """The second sweep: the gradient of sum_i weight_i loss_i."""
    strips = _Strips(embedding, places)
    pivot = target.pivot
    scale = weight * target.row_sum / (sums.own + sums.others)  # a
    slope = scale * (sums.own * target.rest_share - target.pivot_share * sums.others)
    # The entry {i, k} of M: row i's slope at its pivot, and what row k gives it, a slope as well if i is k's pivot.
    back = scale[pivot] * (sums.at_pivot - sums.offset[pivot]).exp2()
    entry = slope + torch.where(pivot[pivot] == torch.arange(len(pivot), device=pivot.device), slope[pivot], back)
    grad = target.rest_matmul(embedding).mul_(weight[:, None])
    grad += target.transposed_rest_matmul(embedding * weight[:, None])
    grad.neg_()
    ordered, mirrored = entry[places.order], entry[places.mirrored_owner]
    for strip in strips:
        mixed = strips.logits(strip)
        here, ahead, later = strip.here, slice(strip.start, None), strip.later
        second = strips.second(mixed.shape)
        if strips.common_offset is not None:
            if strips.common_offset:
                mixed.sub_(strips.common_offset)
            mixed.exp2_().mul_(torch.add(scale[here, None], scale[ahead], out=second))
        else:
            torch.sub(mixed, sums.offset[ahead], out=second).exp2_().mul_(scale[ahead])
            mixed.sub_(sums.offset[here, None]).exp2_().mul_(scale[here, None]).add_(second)
        flat = mixed.view(-1)
        flat.index_copy_(0, strip.place, ordered[strip.found])
        flat.index_copy_(0, strip.mirrored_place, mirrored[strip.mirrored])
        grad[here].addmm_(mixed, embedding[ahead])
        if strip.stop < len(grad):
            grad[later].addmm_(mixed[:, strip.width :].T, embedding[here])
    return grad


@dataclass(frozen=True)
class _Strip:
    """Rows [start, stop) against columns [start, n). ``place``: positions in the flattened strip of the pivot entries
    {i, k_i} that lie in it: first the ``row_place`` ones, with i among the rows, then the ``column_place`` ones, with i
    among the later columns; ``mirrored_place``: (k_i, i) where both lie in the diagonal block. ``found`` and
    ``mirrored`` say which they are of all pivots in the order of ``_Strips``."""

    start: int
    stop: int
    place: Tensor
    row_place: Tensor
    column_place: Tensor
    mirrored_place: Tensor
    found: slice
    mirrored: slice

    @property
    def width(self) -> int:
        return self.stop - self.start

    @property
    def here(self) -> slice:
        return slice(self.start, self.stop)

    @property
    def later(self) -> slice:
        return slice(self.stop, None)


@dataclass(frozen=True)
class StripPlaces:
    """Where the pivot entries lie in strips of ``rows`` rows: ``order`` (n,), that of the strips, ``place`` in it;
    ``mirrored_owner``, the rows whose pivot is in their own block, and ``mirrored_place``; ends of each strip's."""

    rows: int
    order: Tensor
    place: Tensor
    ends: list[int]
    mirrored_owner: Tensor
    mirrored_place: Tensor
    mirrored_ends: list[int]


def strip_places(target: CsrTarget, rows: int | None = None) -> StripPlaces:
    """The same for strips of ``rows`` rows, by default as many as suit the shape."""
    pivot, n = target.pivot, len(target.pivot)
    rows = max(1, min(n, rows or strip_rows(n, target.dtype.itemsize)))
    node = torch.arange(n, device=target.device)
    own, other = node // rows, pivot // rows
    down = other < own  # the pivot's block comes first: the entry lies in i's column
    row, column = torch.where(down, pivot, node), torch.where(down, node, pivot)
    block = torch.where(down, other, own)
    start = block * rows
    key = 2 * block + down
    order = torch.argsort(key, stable=True)
    owner = torch.nonzero(other == own)[:, 0]
    blocks = -(-n // rows)
    return StripPlaces(
        rows,
        order,
        ((row - start) * (n - start) + column - start)[order],
        torch.bincount(key, minlength=2 * blocks).cumsum(0).tolist(),
        owner,
        ((column - start) * (n - start) + row - start)[owner],
        torch.bincount(own[owner], minlength=blocks).cumsum(0).tolist(),
    )


class _Strips:
    """The strips of one embedding, their logits in units of log 2, and the buffers these are made in."""

    def __init__(self, embedding: Tensor, places: StripPlaces) -> None:
        self.n = len(embedding)
        self.places = places
        self.scaled = embedding * math.sqrt(LOG2_E)  # on both sides alike: z_ij and z_ji have to agree
        self.common_offset = _common_offset(self.scaled)
        self.buffer = embedding.new_empty(places.rows * self.n)
        self._second: Tensor | None = None

    def logits(self, strip: _Strip) -> Tensor:
        out = self.buffer[: strip.width * (self.n - strip.start)].view(strip.width, -1)
        return torch.mm(self.scaled[strip.here], self.scaled[strip.start :].T, out=out)

    def second(self, shape: torch.Size) -> Tensor:
        """Another buffer of that shape."""
        if self._second is None:
            self._second = torch.empty_like(self.buffer)
        return self._second[: shape.numel()].view(shape)

    def __iter__(self) -> Iterator[_Strip]:
        found = self.places
        at = mirrored_at = 0
        for start in range(0, self.n, found.rows):
            block = start // found.rows
            middle, end = found.ends[2 * block : 2 * block + 2]
            mirrored = slice(mirrored_at, found.mirrored_ends[block])
            yield _Strip(
                start,
                min(self.n, start + found.rows),
                found.place[at:end],
                found.place[at:middle],
                found.place[middle:end],
                found.mirrored_place[mirrored],
                slice(at, end),
                mirrored,
            )
            at, mirrored_at = end, mirrored.stop


def _common_offset(scaled: Tensor) -> float | None:
    """An offset in units of log 2 that suits every row, 0 if that does, or None. By Cauchy-Schwarz no logit is above
    the largest squared norm, and no row's maximum, which is not below its own diagonal entry, is below the smallest."""
    norms = torch.linalg.vecdot(scaled, scaled)
    if not len(norms):
        return 0.0
    low, high = (float(bound) for bound in torch.aminmax(norms))
    limit = LARGEST_SUM_LOG2[scaled.dtype]
    if high <= limit:
        return 0.0
    return high - limit if high - low <= 2 * limit else None
