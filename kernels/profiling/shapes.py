"""The calls whose times are predicted, and printed beside measured ones: language-model heads and whole graphs."""

from __future__ import annotations

import torch

from .calls import Call

# N x V x D of linear losses, from a large head to one that is bound by launches.
LINEAR = (
    (8192, 128256, 4096), (8192, 128256, 2048), (16384, 256000, 2304), (4096, 152064, 3584), (8192, 128256, 1024),
    (4096, 32000, 1024), (8192, 50257, 768), (8192, 128256, 512), (4096, 32000, 256), (8192, 128256, 256),
    (8192, 128256, 128), (65536, 32000, 128), (1024, 32000, 128), (256, 50000, 64), (16384, 16384, 64),
)  # fmt: skip
WITH_OPTIONS = ((8192, 128256, 1024),)  # with entropy and accuracy
# n of graph losses, tied and with a context of n rows, at m = 64 and 128.
NODES = (10_000, 100_000, 1_000_000)
WIDTHS = (64, 128)


def linear_calls(path: str = "auto") -> tuple[Call, ...]:
    """The linear shapes on a path, in bf16, with the gradients of input and weight."""
    on = frozenset({"entropy", "accuracy"})
    plain = [Call(path, torch.bfloat16, *shape) for shape in LINEAR]
    return (*plain, *(Call(path, torch.bfloat16, *shape, switches=on) for shape in WITH_OPTIONS))


def graph_calls() -> tuple[Call, ...]:
    """The graph losses of both kinds, in bf16, without the products with the sparse target."""
    return tuple(
        Call(path, torch.bfloat16, nodes, nodes, width)
        for path in ("tied graph", "graph")
        for width in WIDTHS
        for nodes in NODES
    )


SHAPES = (*linear_calls(), *graph_calls())


def label(call: Call) -> str:
    """A call in a few words."""
    switches = "".join(f" {name}" for name in sorted(call.switches))
    return f"{call.path} {call.rows} x {call.width} x {call.classes}{switches}"
