"""Calls of the losses on a card, made from a path, a dtype, a shape and switches: what cases and predictions record.

A call stands for the function that a loss calls on a CUDA card, with tensors that hold nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from ..gpu.tied import TiedRows
from ..graph.cuda import pivot_sums, pivot_transpose_average, tied_block_average, tied_pivot_average
from ..graph.cuda_symmetric import tied_pivot_sums
from ..linear import cuda as linear
from ..linear.options import Options
from ..linear.row_terms import row_terms
from ..upstream import scale_in_place
from .recorded import CARD, Card, Step, recorded, replaced
from .switches import option_values

LINEAR_PATHS = ("chunked", "sweep", "recompute", "exponential", "flash", "auto")
GRAPH_PATHS = ("graph", "tied graph", "tied block")
# Beyond the options, what a call may be asked for: no gradient at all; gradients for upstream gradients into losses and
# log-sum-exps, or into entropies too; fp32 products in TF32; the upstream factor's multiplication.
WANTED = ("loss only", "upstream", "entropy upstream", "tf32", "factor")


@dataclass(frozen=True)
class Call:
    """One call: ``path`` of ``LINEAR_PATHS`` or ``GRAPH_PATHS``, N = ``rows``, V = ``classes``, D = ``width``, and the
    names of ``switches.SWITCHES`` and ``WANTED`` that are on. ``chunk_rows`` as in ``linear_cross_entropy``."""

    path: str
    dtype: torch.dtype
    rows: int
    classes: int
    width: int
    switches: frozenset[str] = frozenset()
    chunk_rows: int | None = None

    def __call__(self) -> None:
        """Do it, inside ``recorded``."""
        with _fp32_precision("tf32" if "tf32" in self.switches else "ieee"), replaced(linear, "may_compact", _never):
            if self.path in GRAPH_PATHS:
                _graph(self)
            else:
                _linear(self)


@lru_cache(maxsize=4096)
def call_steps(call: Call, card: Card) -> tuple[Step, ...]:
    """The steps of a call on a card. Raises ValueError where the path cannot serve the call."""
    return recorded(card, call)


@contextmanager
def _fp32_precision(name: str) -> Iterator[None]:
    matmul = torch.backends.cuda.matmul
    before = matmul.fp32_precision
    matmul.fp32_precision = name
    try:
        yield
    finally:
        matmul.fp32_precision = before


def _never(*_: object) -> bool:
    """Every row counts: tensors that hold nothing cannot be asked."""
    return False


def _new(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.empty(shape, dtype=dtype, device=CARD)


def _linear(call: Call) -> None:
    on, options = call.switches, Options(**option_values(call.switches))
    x, w = _new(call.rows, call.width, dtype=call.dtype), _new(call.classes, call.width, dtype=call.dtype)
    bias = _new(call.classes, dtype=call.dtype) if "bias" in on else None
    terms = row_terms(
        _new(call.rows, dtype=torch.int64), options, classes=call.classes, dtype=torch.float32,
        class_weight=_new(call.classes) if "class_weight" in on else None,
        token_weight=_new(call.rows) if "token_weight" in on else None,
    )  # fmt: skip
    wanted = "loss only" not in on
    if "upstream" in on or "entropy upstream" in on:
        vector = _new(call.rows)
        linear.backward(
            x, w, bias, terms, options, _new(call.rows, 2), vector, vector,
            vector if "entropy upstream" in on else None,
            need_input=True, need_weight=True, need_bias=bias is not None, chunk_rows=call.chunk_rows, path=call.path,
        )  # fmt: skip
        return
    result = linear.forward(
        x, w, bias, terms, options, need_input=wanted, need_weight=wanted, need_bias=wanted and bias is not None,
        chunk_rows=call.chunk_rows, path=call.path,
    )  # fmt: skip
    if "factor" in on:
        for gradient in (result.grad_input, result.grad_weight, result.grad_bias):
            if gradient is not None:
                scale_in_place(gradient, _new())


def _graph(call: Call) -> None:
    """The dense part of a graph loss: the products with the sparse target are the same on every path. Of a sharded one
    a block's sums are those of "graph"; "tied block" is its tied gradient, ``rows`` past ``classes`` others."""
    x, pivot = _new(call.rows, call.width, dtype=call.dtype), _new(call.rows, dtype=torch.int64)
    gradient = "loss only" not in call.switches
    if call.path == "tied block":
        c, other = _new(call.classes, call.width, dtype=call.dtype), _new(call.classes, dtype=torch.int64)
        rows = TiedRows(x, pivot, _new(call.rows), _new(call.rows))
        tied_block_average(rows, TiedRows(c, other, _new(call.classes), _new(call.classes)))
        return
    if call.path == "tied graph":
        sums = tied_pivot_sums(x, pivot)
        if gradient:
            tied_pivot_average(x, pivot, sums, _new(call.rows))
        return
    c = _new(call.classes, call.width, dtype=call.dtype)
    bias = _new(call.classes, dtype=call.dtype) if "bias" in call.switches else None
    sums, _ = pivot_sums(x, c, bias, pivot, average=gradient)
    if gradient:
        pivot_transpose_average(x, c, bias, pivot, sums, _new(call.rows))
