"""Cross-entropy of every node against a sparse row-stochastic target, in plain PyTorch.

    loss = sum_i w_i ( r_i lse_i - x_i . (T C)_i ),   lse_i = log sum_j exp(x_i . c_j),   r_i = sum_j T_ij

with embedding rows x_i, context rows c_j (the output vocabulary) and T a sparse (N, V) target. Equal to the soft-target
cross-entropy of the logits X C', but T is only ever used as a sparse matrix: no dense target is built. The logits are,
N x V at once; that is the reference form, meant for the small graphs of the comparisons.
"""

from __future__ import annotations

import warnings
from typing import Any

import scipy.sparse as sp
import torch
from torch import Tensor


def csr_target(matrix: Any, *, columns: int | None = None, dtype: torch.dtype = torch.float32) -> Tensor:
    """A SciPy sparse matrix (N, V) as a torch sparse CSR tensor; ``columns`` >= V widens it with empty columns.

    Use it when the vocabulary holds more tokens than the graph has nodes. Repeated entries add; the tensor shares no
    memory with ``matrix``. Raises TypeError for a matrix that is not sparse and ValueError if ``columns`` < V.
    """
    if not sp.issparse(matrix):
        raise TypeError(f"csr_target needs a SciPy sparse matrix, got {type(matrix).__name__}")
    csr = matrix.tocsr(copy=True)
    csr.sum_duplicates()
    n, v = csr.shape
    width = v if columns is None else columns
    if width < v:
        raise ValueError(f"columns = {width} is smaller than the target's {v} columns; give at least {v}")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta state")
        return torch.sparse_csr_tensor(
            torch.as_tensor(csr.indptr, dtype=torch.int64),
            torch.as_tensor(csr.indices, dtype=torch.int64),
            torch.as_tensor(csr.data, dtype=dtype),
            size=(n, width),
            check_invariants=True,
        )


def graph_cross_entropy(
    embedding: Tensor, context: Tensor, target_csr: Tensor, *, row_weight: Tensor | None = None
) -> Tensor:
    """The loss above, a scalar in the dtype of ``embedding``; differentiable in ``embedding`` and ``context``.

    ``embedding`` (N, D), ``context`` (V, D), ``target_csr`` sparse CSR (N, V) with non-negative rows (``csr_target``
    makes one), ``row_weight`` (N,), ones when None. Pass the same tensor twice for tied embeddings. Raises ValueError
    for shapes that do not fit, TypeError for a dense target or for tensors of different dtypes or devices.
    """
    if target_csr.layout != torch.sparse_csr:
        raise TypeError(f"target_csr must be a sparse CSR tensor, got {target_csr.layout}; make it with csr_target")
    for name, tensor in (("context", context), ("target_csr", target_csr), ("row_weight", row_weight)):
        if tensor is not None and (tensor.dtype, tensor.device) != (embedding.dtype, embedding.device):
            raise TypeError(
                f"{name} is {tensor.dtype} on {tensor.device}, embedding {embedding.dtype} on {embedding.device}; "
                "convert one of them"
            )
    n = embedding.shape[0] if embedding.dim() == 2 else 0
    fits = embedding.dim() == context.dim() == 2 and context.shape[1] == embedding.shape[1]
    if not fits or tuple(target_csr.shape) != (n, context.shape[0]):
        raise ValueError(
            f"shapes do not fit: embedding {tuple(embedding.shape)}, context {tuple(context.shape)}, "
            f"target {tuple(target_csr.shape)}; want (N, D), (V, D), (N, V)"
        )
    if row_weight is not None and tuple(row_weight.shape) != (n,):
        raise ValueError(f"row_weight must have shape ({n},); got {tuple(row_weight.shape)}")
    lse = torch.logsumexp(embedding @ context.T, dim=1)
    expected = (embedding * torch.sparse.mm(target_csr, context)).sum(dim=1)
    mass = torch.sparse.sum(target_csr.to_sparse_coo(), dim=1).to_dense()
    per_row = mass * lse - expected
    return per_row.sum() if row_weight is None else row_weight @ per_row
