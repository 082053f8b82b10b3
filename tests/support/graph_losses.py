"""Tensors that fit the targets of ``graph_targets``, and calls of the graph losses on them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from fiedler.kernels import csr_target, tied_graph_cross_entropy

SAME = 1e-11  # float64 sums of a hundred terms in another order; logits of a thousand cost three digits
D = 4


def factors(target: np.ndarray, scale: float = 1.0) -> list[Tensor]:
    """Embedding, context, bias and row weights that fit ``target``."""
    rng = np.random.default_rng(1)
    n, m = target.shape
    arrays = scale * rng.standard_normal((n, D)), scale * rng.standard_normal((m, D)), rng.standard_normal(m)
    return [torch.tensor(array) for array in (*arrays, 0.5 + rng.random(n))]


def learn(*tensors: Tensor) -> list[Tensor]:
    return [tensor.detach().clone().requires_grad_() for tensor in tensors]


def exact(target: np.ndarray) -> Any:
    return csr_target(target, dtype=torch.float64)


def slopes(value: Tensor, tensors: list[Tensor], upstream: Tensor | None = None) -> tuple[Tensor, ...]:
    return torch.autograd.grad(value, tensors, upstream)


def embedding(n: int, kind: str = "small", width: int = D) -> Tensor:
    rng = np.random.default_rng(1)
    x = rng.standard_normal((n, width))
    if kind == "wide":
        x *= 60 * rng.random((n, 1)) ** 2
    if kind == "large":
        x *= 40 / np.linalg.norm(x, axis=1, keepdims=True)
    return torch.tensor(x, requires_grad=True)


def weights(n: int) -> Tensor:
    return torch.tensor(0.5 + np.random.default_rng(2).random(n), requires_grad=True)


def symmetric(x: Tensor, target: Any, **options: Any) -> Tensor:
    """By strips of four rows, so that small graphs have several."""
    return tied_graph_cross_entropy(x, target, **{"path": "symmetric", "chunk_rows": 4, **options})
