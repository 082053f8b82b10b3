"""A sparse target whose rows lie on the processes of a group, as the sharded graph losses use it.

Process r holds the rows T_r (n_r, m). The losses meet the contexts a process's block at a time, so the entries of T_r
but for the pivots (csr.py) are kept by block of columns. Beside them lie those that the gradients of a block need: the
same transposed, or for tied embeddings the entries in the columns of the rows here, which their owners send once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor

from ..checks import check_device, check_flag, check_integer, shown
from ..gpu.launch import architecture
from ..graph.csr import CsrTarget, csr_matmul, csr_target
from .ring import Ring

PRODUCT_ROWS = 4096  # rows of a sparse product made at once

Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class SparseBlock:
    """A sparse matrix without its empty rows: ``row`` (k,) int64, ascending; ``pointer`` (k + 1,) and ``column`` (nnz,)
    int64 and ``value`` (nnz,) as in CSR; ``cuts``: where every PRODUCT_ROWS-th row begins, and the end."""

    row: Tensor
    pointer: Tensor
    column: Tensor
    value: Tensor
    cuts: tuple[int, ...]

    def products(self, dense: Tensor, column_weight: Tensor | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """(rows, these rows of M diag(column_weight) ``dense``), some thousand rows at a time."""
        for number, (first, last) in enumerate(pairwise(self.cuts)):
            rows = slice(number * PRODUCT_ROWS, (number + 1) * PRODUCT_ROWS)
            pointer = self.pointer[rows.start : rows.stop + 1] - first
            column, value = self.column[first:last], self.value[first:last]
            if column_weight is not None:
                value = value * column_weight[column]
            yield self.row[rows], csr_matmul(pointer, column, value, dense)

    def subtract(self, out: Tensor, dense: Tensor, column_weight: Tensor | None = None) -> None:
        """``out`` -= M diag(column_weight) ``dense``, out with the empty rows."""
        for rows, product in self.products(dense, column_weight):
            out.index_add_(0, rows, product, alpha=-1)  # the rows are distinct: the same sums in any order


@dataclass(frozen=True, eq=False)
class ShardedTarget:
    """This process's part of a target; make it with ``sharded_target``.

    ``row_sizes``, ``column_sizes``: rows and columns of every process in rank order. ``forward``: the entries here but
    for the pivots, by block of columns. ``backward``: the transposes of these, or for tied embeddings the same blocks
    of the rows here of (T without its pivots)'. ``row_sum``, ``pivot_share``, ``rest_share`` (n_r,) and ``pivot``
    (n_r,) int64, counted over all columns, are those of ``CsrTarget``. ``entries``: of T here, pivots included.
    ``fused``: whether the rows of every process lie on a card that runs the fused kernels.
    """

    ring: Ring
    row_sizes: tuple[int, ...]
    column_sizes: tuple[int, ...]
    tied: bool
    entries: int
    forward: tuple[SparseBlock, ...]
    backward: tuple[SparseBlock, ...]
    row_sum: Tensor
    pivot: Tensor
    pivot_share: Tensor
    rest_share: Tensor
    fused: bool

    @property
    def dtype(self) -> torch.dtype:
        """float32 or float64, of the values and of the loss."""
        return self.row_sum.dtype

    @property
    def device(self) -> torch.device:
        """Where the rows of this process lie."""
        return self.row_sum.device

    @property
    def rows(self) -> int:
        """Rows here."""
        return self.row_sizes[self.ring.rank]

    @property
    def columns(self) -> int:
        """Context rows here."""
        return self.column_sizes[self.ring.rank]

    @property
    def column_starts(self) -> tuple[int, ...]:
        """The first column of every process."""
        return tuple(accumulate(self.column_sizes, initial=0))[:-1]


def sharded_target(
    rows: Any,
    *,
    tied: bool,
    columns: int | None = None,
    process_group: Any = None,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str | None = None,
) -> ShardedTarget:
    """The target of the sharded graph losses from this process's rows of it; made once, by every process together.

    ``rows``: SciPy sparse (n_r, m), the rows after those of the process before, perhaps none; entries as ``csr_target``
    wants them. ``tied``: for ``tied_sharded_graph_cross_entropy``, whose contexts are the embedding; without it this
    process holds ``columns`` of the m context rows, n_r when None. ``process_group``: the default group when None, this
    process alone if there is none. ``dtype``: float32, or float64 for float64 embeddings. ``device``: the embedding's,
    the CPU when None. Takes memory of the size of the entries here, nothing of size n or m.

    Raises, on every process alike, TypeError and ValueError for what ``csr_target`` refuses, and ValueError for
    processes that differ in m, ``tied`` or ``dtype`` and for context rows that do not add up to m.
    """
    check_device(device)
    device = "cpu" if device is None else device
    ring, local, error = Ring.of(process_group), None, None
    try:
        local = _local_part(rows, tied, columns, dtype)
    except (TypeError, ValueError) as raised:
        error = raised
    facts = {} if local is None else {**local[2], "fused": _runs_kernels(device)}
    notes = ring.agree(facts, error, device, same=("columns of T", "tied", "dtype"))
    assert local is not None
    part, occupied = local[:2]
    row_sizes, column_sizes = (tuple(note[name] for note in notes) for name in ("rows", "contexts"))
    if sum(column_sizes) != facts["columns of T"] or not sum(column_sizes):
        raise ValueError(
            f"T has {facts['columns of T']} columns and the processes hold {' + '.join(map(str, column_sizes))} rows "
            "of context; every column, one at least, needs its own"
        )
    bounds = np.array([0, *accumulate(column_sizes)])
    keep = part.rest.numpy() != 0
    row = np.repeat(np.arange(row_sizes[ring.rank]), np.diff(part.row_pointer.numpy()))[keep]
    column, value = occupied[part.column.numpy()][keep], part.rest.numpy()[keep]
    owner = np.searchsorted(bounds, column, side="right") - 1
    within = column - bounds[owner]
    forward = _blocks(owner, row, within, value, ring.world, device)
    if tied:
        start = bounds[ring.rank]
        there, here, moved = _exchange(ring, owner, row + start, within, value, device)
        owner = np.searchsorted(bounds, there, side="right") - 1
        backward = _blocks(owner, here, there - bounds[owner], moved, ring.world, device)
    else:
        backward = _blocks(owner, within, row, value, ring.world, device)
    return ShardedTarget(
        ring,
        row_sizes,
        column_sizes,
        tied,
        part.column.numel(),
        forward,
        backward,
        part.row_sum.to(device),
        torch.from_numpy(occupied[part.pivot.numpy()]).to(device),
        part.pivot_share.to(device),
        part.rest_share.to(device),
        all(note["fused"] for note in notes),
    )


def _runs_kernels(device: torch.device | str) -> bool:
    """Whether Triton is here and its kernels with matrix products run on the device."""
    if torch.device(device).type != "cuda" or find_spec("triton") is None:
        return False
    try:
        architecture(torch.empty(0, device=device))
    except ValueError:  # too old a card
        return False
    return True


def _local_part(
    rows: Any, tied: bool, columns: int | None, dtype: torch.dtype
) -> tuple[CsrTarget, Integers, dict[str, Any]]:
    """The rows over their occupied columns alone, which columns these are, and what the others have to know."""
    check_flag(tied, "tied")
    if not sp.issparse(rows):
        raise TypeError(f"rows must be a SciPy sparse matrix; got {shown(rows)}; convert it")
    if len(rows.shape) != 2:
        raise ValueError(f"rows must have shape (rows here, all columns); got {rows.shape}")
    if columns is not None:
        check_integer(columns, "columns", 0)
        if tied:
            raise ValueError(f"columns = {columns} for a tied target, whose contexts are its rows; leave it out")
    coo = rows.tocoo()
    occupied, position = np.unique(coo.coords[1], return_inverse=True)
    if not len(occupied):
        occupied = np.zeros(1, dtype=np.int64)  # where the pivots of empty rows point
    shape = rows.shape[0], len(occupied)
    # Columns without an entry would cost csr_target's transpose memory of size m.
    part = csr_target(sp.coo_array((coo.data, (coo.coords[0], position)), shape=shape), dtype=dtype)
    facts = {"rows": shape[0], "contexts": shape[0] if columns is None else columns, "columns of T": rows.shape[1]}
    return part, occupied.astype(np.int64), {**facts, "tied": bool(tied), "dtype": str(dtype)}


def _blocks(
    owner: Integers, row: Integers, column: Integers, value: NDArray[Any], count: int, device: torch.device | str
) -> tuple[SparseBlock, ...]:
    """The entries of each of ``count`` owners, by row, then column."""
    order = np.lexsort((column, row, owner))
    ends = np.searchsorted(owner[order], np.arange(count + 1))
    blocks = []
    for first, last in pairwise(ends):
        here = order[first:last]
        rows, begins = np.unique(row[here], return_index=True)
        pointer = np.append(begins, len(here)).astype(np.int64)
        arrays = (rows.astype(np.int64), pointer, column[here].astype(np.int64), value[here])
        places, pointers, columns, values = (torch.from_numpy(array).to(device) for array in arrays)
        cuts = (*pointer[:-1:PRODUCT_ROWS].tolist(), len(here))
        blocks.append(SparseBlock(places, pointers, columns, values, cuts))
    return tuple(blocks)


def _exchange(
    ring: Ring, owner: Integers, row: Integers, column: Integers, value: NDArray[Any], device: torch.device | str
) -> tuple[Integers, Integers, NDArray[Any]]:
    """(row, column, value) of the entries that this process owns, from all processes."""
    if ring.world == 1:
        return row, column, value
    order = np.argsort(owner, kind="stable")
    counts = torch.from_numpy(np.bincount(owner, minlength=ring.world)).to(device)
    send = counts.tolist()
    receive = ring.gather(counts)[:, ring.rank].tolist()
    gathered = []
    for array in (row, column, value):
        out = torch.from_numpy(array[order]).to(device)
        into = out.new_empty(sum(receive))
        dist.all_to_all_single(into, out, receive, send, group=ring.group)
        gathered.append(into.cpu().numpy())
    return gathered[0], gathered[1], gathered[2]
