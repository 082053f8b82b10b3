"""A sparse target matrix T (n, m) as the graph losses use it: its rows, its columns and the pivot of each row.

Row i names what node i should predict: T_ij >= 0, row sums r_i (one for a distribution, counts allowed, zero for an
isolated node). The losses need T C, T' X and r, all made ready here once, and the pivot k_i, the column of the largest
entry of row i. T without its pivot entries is called the rest: a row of one entry has no rest, so the losses can take
its part r_i (lse_i - z_ik), and the slope of that, without subtracting numbers that nearly agree.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any, Protocol

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from ..checks import LARGEST_CLASSES, check_device, check_integer, check_tensor, shown

TARGET_DTYPES = (torch.float32, torch.float64)
INDICES = ("row_pointer", "column", "transposed_row_pointer", "transposed_column", "pivot")


class PivotShares(Protocol):
    """What each row's loss and the slope at its pivot need of a target, however its entries are kept."""

    @property
    def row_sum(self) -> Tensor:
        """r (n,)."""

    @property
    def pivot_share(self) -> Tensor:
        """T_ik / r_i (n,), 0 for an empty row."""

    @property
    def rest_share(self) -> Tensor:
        """What the other entries have of r_i (n,), 0 for an empty row."""


def row_losses(target: PivotShares, relative: Tensor, at_pivot: Tensor) -> Tensor:
    """r_i (lse_i - z_ik + (1 - t_i) z_ik), the loss but for the other entries' logits, from ``relative`` lse_i - z_ik
    and ``at_pivot`` z_ik (n,): 0 for an empty row, whatever they are, infinite where the pivot has no probability."""
    each = torch.where(at_pivot == -math.inf, math.inf, relative + target.rest_share * at_pivot)
    return torch.where(target.row_sum == 0, 0.0, target.row_sum * each)


@dataclass(frozen=True, eq=False)
class CsrTarget:
    """A target matrix in compressed sparse rows; make it with ``csr_target``.

    ``row_pointer`` (n + 1,), ``column`` (nnz,) int64, ascending within a row; ``value`` (nnz,) the entries of T;
    ``rest`` (nnz,) the same with zero at the pivots; these four of the transpose; ``row_sum`` (n,) r;
    ``pivot`` (n,) int64, 0 for an empty row; ``pivot_share`` (n,) T_ik / r_i and ``rest_share`` (n,) what the other
    entries have of r_i, both 0 for an empty row. float32, or float64 for float64 embeddings; all on one device.
    """

    row_pointer: Tensor
    column: Tensor
    value: Tensor
    rest: Tensor
    transposed_row_pointer: Tensor
    transposed_column: Tensor
    transposed_value: Tensor
    transposed_rest: Tensor
    row_sum: Tensor
    pivot: Tensor
    pivot_share: Tensor
    rest_share: Tensor

    def __post_init__(self) -> None:
        for field in fields(self):
            check_tensor(getattr(self, field.name), field.name)
        for field in fields(self):
            tensor = getattr(self, field.name)
            wanted = torch.int64 if field.name in INDICES else self.value.dtype
            if tensor.dim() != 1 or tensor.dtype != wanted or tensor.device != self.value.device:
                raise ValueError(
                    f"{field.name} must be one-dimensional, {wanted} on {self.value.device}; got {shown(tensor)} on "
                    f"{tensor.device}; make a target with csr_target"
                )
        (n, _), entries = self.shape, len(self.value)
        lengths = (len(self.row_sum), len(self.pivot), len(self.pivot_share), len(self.rest_share))
        counts = {len(tensor) for tensor in (self.column, self.rest, self.transposed_column, self.transposed_rest)}
        if n < 0 or {*lengths} != {n} or {*counts, len(self.transposed_value)} != {entries}:
            raise ValueError(f"the parts of a target of {n} rows and {entries} entries do not fit; use csr_target")

    @property
    def shape(self) -> tuple[int, int]:
        """(n, m): nodes and classes."""
        return self.row_pointer.shape[0] - 1, self.transposed_row_pointer.shape[0] - 1

    @property
    def dtype(self) -> torch.dtype:
        """float32 or float64, of the values and of the loss."""
        return self.value.dtype

    @property
    def device(self) -> torch.device:
        """Where all of it lies."""
        return self.value.device

    def matmul(self, dense: Tensor) -> Tensor:
        """T C (n, D) of a dense C (m, D) in the dtype of the target; the same bits every time."""
        return csr_matmul(self.row_pointer, self.column, self.value, dense)

    def transposed_matmul(self, dense: Tensor, entries: Tensor | None = None) -> Tensor:
        """T' X (m, D) of a dense X (n, D), with the values ``entries`` in place of those of T' if given."""
        value = self.transposed_value if entries is None else entries
        return csr_matmul(self.transposed_row_pointer, self.transposed_column, value, dense)

    def transposed_slopes(self, slope: Tensor, weight: Tensor) -> Tensor:
        """Entries of T' for ``transposed_matmul``: ``slope`` (n,) of the row at its pivot, -w_i T_ij at the rest."""
        row = self.transposed_column
        return torch.where(self.transposed_rest == 0, slope[row], -weight[row] * self.transposed_rest)

    def rest_matmul(self, dense: Tensor) -> Tensor:
        """(T without its pivots) C (n, D) of a dense C (m, D)."""
        return csr_matmul(self.row_pointer, self.column, self.rest, dense)

    def transposed_rest_matmul(self, dense: Tensor) -> Tensor:
        """(T without its pivots)' X (m, D) of a dense X (n, D)."""
        return csr_matmul(self.transposed_row_pointer, self.transposed_column, self.transposed_rest, dense)

    def to_dense(self) -> Tensor:
        """T as a dense (n, m) tensor, for checks on small graphs."""
        n, m = self.shape
        rows = torch.repeat_interleave(torch.arange(n, device=self.device), self.row_pointer.diff())
        return torch.zeros(n, m, dtype=self.dtype, device=self.device).index_put((rows, self.column), self.value)

    def to(self, device: torch.device | str) -> CsrTarget:
        """The same target on another device."""
        if device is None:
            raise TypeError("device must be a torch.device or its name; got None")
        check_device(device)
        return CsrTarget(*(tensor.to(device) for tensor in self.tensors()))

    def tensors(self) -> list[Tensor]:
        """The fields in order; ``CsrTarget(*tensors)`` makes the target again."""
        return [
            self.row_pointer,
            self.column,
            self.value,
            self.rest,
            self.transposed_row_pointer,
            self.transposed_column,
            self.transposed_value,
            self.transposed_rest,
            self.row_sum,
            self.pivot,
            self.pivot_share,
            self.rest_share,
        ]


def csr_matmul(row_pointer: Tensor, column: Tensor, value: Tensor, dense: Tensor) -> Tensor:
    """The product of a matrix in compressed sparse rows with ``dense``, each row summed in the order of its entries.

    As a weighted bag of rows: on the CPU 2 to 15 times faster than torch.sparse.mm, and on CUDA, unlike cuSPARSE,
    the same bits every time.
    """
    return torch.nn.functional.embedding_bag(
        column, dense.contiguous(), row_pointer, mode="sum", per_sample_weights=value, include_last_offset=True
    )


def csr_target(
    matrix: Any,
    *,
    columns: int | None = None,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str | None = None,
) -> CsrTarget:
    """The target of ``graph_cross_entropy`` from a matrix (n, m), with its transpose, made once.

    ``matrix``: SciPy sparse, a torch sparse or dense tensor, or a NumPy array; entries finite and not negative.
    Repeated entries add, stored zeros are dropped, and no memory is shared with ``matrix``. ``columns`` >= m widens it
    with empty columns, for a vocabulary of more tokens than nodes. ``dtype`` is the one the loss accumulates in:
    float32, or float64 for float64 embeddings. Raises TypeError for anything else and ValueError for a matrix that is
    not two-dimensional, for ``columns`` < m and for entries that are negative or not finite.

    >>> import torch
    >>> from fiedler.kernels import csr_target
    >>> target = csr_target(torch.tensor([[0.0, 1.0], [0.5, 0.5]]), columns=4)  # a vocabulary of four
    >>> target.shape, target.to_dense().tolist()
    ((2, 4), [[0.0, 1.0, 0.0, 0.0], [0.5, 0.5, 0.0, 0.0]])
    """
    if not isinstance(dtype, torch.dtype) or dtype not in TARGET_DTYPES:
        raise TypeError(
            f"a target is torch.float32 or torch.float64, not {shown(dtype)}; bfloat16 embeddings take float32"
        )
    check_device(device)
    csr = _as_scipy(matrix)
    n, m = csr.shape
    width = m if columns is None else check_integer(columns, "columns", 0, LARGEST_CLASSES)
    if width < m:
        raise ValueError(f"columns = {width} is smaller than the target's {m} columns; give at least {m}")
    if dtype == torch.float32:  # round first: the row sums are those of the entries in use
        with np.errstate(over="ignore"):
            csr.data = csr.data.astype(np.float32).astype(np.float64)
    csr.eliminate_zeros()
    wrong = ~(np.isfinite(csr.data) & (csr.data > 0))
    if wrong.any():
        raise ValueError(
            f"target entries must be finite and not negative; {int(wrong.sum())} are not, "
            f"the first is {csr.data[wrong][0]}: drop or repair them"
        )
    csr = sp.csr_array((csr.data, csr.indices, csr.indptr), shape=(n, width))
    at, pivot = _pivots(csr)
    filled = np.diff(csr.indptr) > 0
    rest = csr.copy()
    rest.data[at] = 0.0
    rest_sum = np.asarray(rest.sum(axis=1)).reshape(-1)  # not r_i - T_ik, which cancels
    largest = np.zeros(csr.shape[0])
    largest[filled] = csr.data[at]
    row_sum = largest + rest_sum
    divisor = np.where(filled, row_sum, 1.0)
    # A numbering of the entries, transposed, says where each goes.
    order = sp.csr_array((np.arange(1, csr.nnz + 1), csr.indices, csr.indptr), shape=csr.shape).tocsc()
    moved = order.data - 1

    def integers(array: Any) -> Tensor:
        return torch.tensor(array, dtype=torch.int64, device=device)

    def numbers(array: Any) -> Tensor:
        return torch.tensor(array, dtype=dtype, device=device)

    return CsrTarget(
        row_pointer=integers(csr.indptr),
        column=integers(csr.indices),
        value=numbers(csr.data),
        rest=numbers(rest.data),
        transposed_row_pointer=integers(order.indptr),
        transposed_column=integers(order.indices),
        transposed_value=numbers(csr.data[moved]),
        transposed_rest=numbers(rest.data[moved]),
        row_sum=numbers(row_sum),
        pivot=integers(pivot),
        pivot_share=numbers(largest / divisor),
        rest_share=numbers(rest_sum / divisor),
    )


def _as_scipy(matrix: Any) -> sp.csr_array:
    """A copy as CSR in float64 with sorted, summed entries."""
    if isinstance(matrix, CsrTarget):
        raise TypeError("csr_target got a CsrTarget; use it as it is, or .to(device) to move it")
    if isinstance(matrix, Tensor):
        if matrix.is_complex() or matrix.is_quantized or matrix.is_meta:
            raise TypeError(f"csr_target needs real numbers; got {shown(matrix)} on {matrix.device}")
        matrix = matrix.detach().cpu()
        if matrix.layout == torch.strided:
            matrix = matrix.double().numpy()
        else:
            coo = matrix.to_sparse_coo().coalesce()
            shape = tuple(coo.shape)
            if len(shape) != 2:
                raise ValueError(f"a target has two dimensions, nodes and classes; got shape {shape}")
            matrix = sp.coo_array((coo.values().double().numpy(), tuple(coo.indices().numpy())), shape=shape)
    dense = isinstance(matrix, np.ndarray) and not isinstance(matrix, np.ma.MaskedArray)  # the mask would be lost
    if not (dense or sp.issparse(matrix)):
        raise TypeError(
            f"csr_target needs a SciPy sparse matrix, a tensor or a NumPy array, got {type(matrix).__name__}"
        )
    if matrix.ndim != 2:
        raise ValueError(f"a target has two dimensions, nodes and classes; got shape {matrix.shape}")
    if matrix.dtype.kind not in "biuf":
        raise TypeError(f"csr_target needs real numbers; got dtype {matrix.dtype}")
    if dense:
        matrix = sp.csr_array(matrix.astype(np.float64))
    csr = sp.csr_array(matrix.tocsr(copy=True), dtype=np.float64)
    csr.sum_duplicates()
    return csr


def _pivots(csr: sp.csr_array) -> tuple[np.ndarray, np.ndarray]:
    """Position of the first largest entry of each row that has one, and the pivot column of every row (0 if empty)."""
    lengths = np.diff(csr.indptr)
    filled = lengths > 0
    pivot = np.zeros(csr.shape[0], dtype=np.int64)
    if not filled.any():
        return np.zeros(0, dtype=np.int64), pivot
    rows = np.repeat(np.arange(csr.shape[0]), lengths)
    largest = np.maximum.reduceat(csr.data, csr.indptr[:-1][filled])
    candidates = np.flatnonzero(csr.data == np.repeat(largest, lengths[filled]))
    _, first = np.unique(rows[candidates], return_index=True)
    at = candidates[first]
    pivot[filled] = csr.indices[at]
    return at, pivot
