"""Gradients that are computed rather than recorded, and say so when someone differentiates them again."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

TWICE = (
    "this loss is differentiable once; use path='reference', which records all it computes (losses over several "
    "processes have no such path)"
)


def differentiable_once(gradients: tuple[Tensor | None, ...], sources: tuple[Tensor | None, ...]) -> Any:
    """``gradients`` as they are; under ``create_graph=True`` tied to the ``sources`` they were computed from, so that a
    second derivative raises NotImplementedError where it would silently leave their dependence out."""
    if not torch.is_grad_enabled():
        return gradients
    return _Once.apply(len(gradients), *gradients, *sources)


class _Once(torch.autograd.Function):
    """Identity on the first ``count`` tensors, which depend on all."""

    @staticmethod
    def forward(ctx: Any, count: int, *tensors: Tensor | None) -> tuple[Tensor | None, ...]:
        return tuple(None if tensor is None else tensor.view_as(tensor) for tensor in tensors[:count])

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor | None) -> Any:
        raise NotImplementedError(TWICE)
