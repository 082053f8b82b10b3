"""The public calls whose launches, allocations and waits are counted: every path of every loss on a card."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from fiedler.kernels import (
    CsrTarget,
    csr_target,
    graph_cross_entropy,
    linear_cross_entropy,
    sharded_graph_cross_entropy,
    sharded_target,
    tied_graph_cross_entropy,
    tied_sharded_graph_cross_entropy,
    vocab_parallel_linear_cross_entropy,
)

Counted = tuple[Callable[[], Any], Callable[[Any], None]]
ROWS, CLASSES = 8192, 50257  # rows of logits are padded: 50,257 divides by no vector
WIDTHS = {"flash": 128, "exponential": 512, "chunked": 2048, "sweep": 2048, "recompute": 2048}
EVERYTHING: dict[str, Any] = {
    "z_loss": 1e-4, "return_lse": True, "return_entropy": True, "return_accuracy": True, "logit_softcap": 30.0,
}  # fmt: skip


def on_card(*shape: int, dtype: torch.dtype, leaf: bool = False) -> Tensor:
    return torch.empty(shape, dtype=dtype, device="cuda", requires_grad=leaf)


def backward(upstream: tuple[Tensor, ...]) -> Callable[[Any], None]:
    """Runs the gradients of a loss, or of all that an output holds that has any, from those into it."""

    def run(result: Any) -> None:
        parts = [result] if isinstance(result, Tensor) else [part for part in result if part is not None][:3]
        torch.autograd.backward(parts, list(upstream[: len(parts)]))

    return run


def linear(path: str, dtype: torch.dtype, *, width: int, options: bool = False, **more: Any) -> Counted:
    """Both passes of a call; with ``options`` every option that the path takes at once."""
    new = partial(on_card, dtype=dtype)
    x, w, b = new(ROWS, width, leaf=True), new(CLASSES, width, leaf=True), new(CLASSES, leaf=True)
    target = on_card(ROWS, dtype=torch.int64)
    single = partial(on_card, dtype=torch.float32)
    keywords: dict[str, Any] = {"path": path, **more}
    if options:
        keywords |= {**EVERYTHING, "bias": b, "class_weight": single(CLASSES), "token_weight": single(ROWS)}
        if path not in ("sweep", "exponential", "flash"):
            keywords["label_smoothing"] = 0.1
    loss = () if keywords.get("reduction") != "none" else (ROWS,)
    upstream = (single(*loss), single(ROWS), single(ROWS))
    return lambda: linear_cross_entropy(x, w, target, **keywords), backward(upstream)


def shards(dtype: torch.dtype) -> Counted:
    """The vocabulary-parallel loss of one process."""
    x, w = on_card(ROWS, 512, dtype=dtype, leaf=True), on_card(CLASSES, 512, dtype=dtype, leaf=True)
    target = on_card(ROWS, dtype=torch.int64)
    upstream = (on_card(dtype=torch.float32),)
    return lambda: vocab_parallel_linear_cross_entropy(x, w, target, chunk_rows=2048), backward(upstream)


def two_neighbours(n: int, m: int) -> sp.csr_array:
    rows = np.arange(n).repeat(2)
    columns = (rows + np.tile([1, 2], n)) % m
    return sp.csr_array((np.full(2 * n, 0.5), (rows, columns)), shape=(n, m))


def moved(made: Any) -> Any:
    """A target or a part of it whose tensors are on the card."""
    parts = {}
    for name, value in vars(made).items():
        if isinstance(value, Tensor):
            parts[name] = torch.empty(value.shape, dtype=value.dtype, device="cuda")
        elif isinstance(value, tuple) and any(hasattr(one, "cuts") for one in value):
            parts[name] = tuple(moved(one) for one in value)
    return replace(made, **parts)


def ring(n: int, m: int, dtype: torch.dtype) -> CsrTarget:
    """Two neighbours a row, on the card."""
    return moved(csr_target(two_neighbours(n, m), dtype=dtype))


def sharded(dtype: torch.dtype, *, width: int, tied: bool, n: int = 4096) -> Counted:
    """The loss over rows spread over processes, of one of them; with more every block launches the same."""
    m = n if tied else n + 1
    target = sharded_target(two_neighbours(n, m), tied=tied, columns=None if tied else m)
    target = moved(replace(target, fused=True))
    x, c = on_card(n, width, dtype=dtype, leaf=True), on_card(m, width, dtype=dtype, leaf=True)
    upstream = (on_card(dtype=torch.float32),)
    if tied:
        return lambda: tied_sharded_graph_cross_entropy(x, target), backward(upstream)
    return lambda: sharded_graph_cross_entropy(x, c, target), backward(upstream)


def graph(path: str, dtype: torch.dtype, *, width: int, tied: bool = False, reduction: str = "sum", n: int = 4096,
          chunk_rows: int | None = None) -> Counted:  # fmt: skip
    sums = torch.float64 if dtype == torch.float64 else torch.float32
    m = n if tied else n + 1
    target, x = ring(n, m, sums), on_card(n, width, dtype=dtype, leaf=True)
    c, b = on_card(m, width, dtype=dtype, leaf=True), on_card(m, dtype=dtype, leaf=True)
    upstream = (on_card(*((n,) if reduction == "none" else ()), dtype=sums),)
    options: Any = {"path": path, "reduction": reduction, "chunk_rows": chunk_rows}
    if tied:
        return lambda: tied_graph_cross_entropy(x, target, **options), backward(upstream)
    return lambda: graph_cross_entropy(x, c, target, bias=b, **options), backward(upstream)


BF16, FP16, FP32, FP64 = torch.bfloat16, torch.float16, torch.float32, torch.float64
COUNTED: dict[str, Callable[[], Counted]] = {}
for _path, _width in WIDTHS.items():
    COUNTED[f"linear, {_path}, bf16"] = partial(linear, _path, BF16, width=_width)
    COUNTED[f"linear, {_path}, bf16, all options"] = partial(linear, _path, BF16, width=_width, options=True)
    COUNTED[f"linear, {_path}, bf16, rows of their own"] = partial(linear, _path, BF16, width=_width, reduction="none")
    COUNTED[f"linear, {_path}, fp32"] = partial(linear, _path, FP32, width=_width)
for _path in ("flash", "chunked", "recompute"):
    COUNTED[f"linear, {_path}, fp16"] = partial(linear, _path, FP16, width=WIDTHS[_path])
COUNTED |= {
    "linear, chunked, bf16, four chunks": partial(linear, "chunked", BF16, width=2048, chunk_rows=2048),
    "linear, flash, bf16, smoothed": partial(linear, "flash", BF16, width=128, label_smoothing=0.1),
    "linear, auto, bf16": partial(linear, "auto", BF16, width=2048),
    "vocabulary-parallel, bf16": partial(shards, BF16),
    "graph, flash, bf16": partial(graph, "flash", BF16, width=64),
    "graph, flash, bf16, wide": partial(graph, "flash", BF16, width=320),
    "graph, flash, bf16, mean": partial(graph, "flash", BF16, width=64, reduction="mean"),
    "graph, flash, bf16, rows of their own": partial(graph, "flash", BF16, width=64, reduction="none"),
    "graph, flash, fp16": partial(graph, "flash", FP16, width=64),
    "graph, chunked, fp64, four chunks": partial(graph, "chunked", FP64, width=64, chunk_rows=1024),
    "sharded, bf16": partial(sharded, BF16, width=64, tied=False),
    "sharded, bf16, wide": partial(sharded, BF16, width=320, tied=False),
    "sharded, tied, bf16": partial(sharded, BF16, width=64, tied=True),
    "sharded, tied, fp16": partial(sharded, FP16, width=64, tied=True),
    "tied, flash, bf16": partial(graph, "flash", BF16, width=64, tied=True),
    "tied, flash, bf16, half of the tiles": partial(graph, "flash", BF16, width=64, tied=True, n=100_000),
    "tied, flash, bf16, wide": partial(graph, "flash", BF16, width=320, tied=True),
    "tied, symmetric, fp64, four strips": partial(graph, "symmetric", FP64, width=64, tied=True, chunk_rows=1024),
}
