"""Rows of embeddings padded with zero columns to whole 16-byte vectors.

A width that 16 does not divide turns the loads of a Triton product into single numbers, two bytes each, and takes
cuBLAS off its fast kernels. Zero columns change no logit, and a copy is a small part of any product.
"""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor

from .launch import ALIGNMENT

T = TypeVar("T", Tensor, Tensor | None)


def whole_width(matrix: Tensor) -> Tensor:
    """``matrix`` (n, D) itself if 16 divides D, else a copy with zero columns behind, column stride 1."""
    extra = -matrix.shape[1] % ALIGNMENT
    return matrix if extra == 0 else torch.nn.functional.pad(matrix, (0, extra))


def first_columns(matrix: T, width: int) -> T:
    """The first ``width`` columns, contiguous; None stays."""
    return matrix if matrix is None or matrix.shape[1] == width else matrix[:, :width].contiguous()
