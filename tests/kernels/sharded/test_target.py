"""A sharded target: every entry of T is on its process once, where the losses look for it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from torch import Tensor

from fiedler.kernels.graph.csr import csr_target
from fiedler.kernels.sharded import target as module
from fiedler.kernels.sharded.ring import Ring
from fiedler.kernels.sharded.target import ShardedTarget, SparseBlock, sharded_target
from graph_targets import TARGETS, random_target
from thread_rings import ThreadRing, in_threads

SPLITS = {
    "ragged": [(9,), (2, 6, 1), (4, 0, 5), (0, 0, 9)],
    "one hop": [(4,), (1, 3), (0, 0, 4)],
    "nothing": [(2, 2, 1)],
    "pairs": [(3, 2, 3)],
}
CASES = [(name, sizes) for name, splits in SPLITS.items() for sizes in splits]


def dense(block: SparseBlock, rows: int, columns: int) -> Tensor:
    """The matrix of a block, entry by entry."""
    matrix = torch.zeros(rows, columns, dtype=block.value.dtype)
    for number, row in enumerate(block.row.tolist()):
        for entry in range(int(block.pointer[number]), int(block.pointer[number + 1])):
            matrix[row, block.column[entry]] += block.value[entry]
    return matrix


def assert_is(target: ShardedTarget, rest: Tensor, whole: Tensor) -> None:
    """The rows ``rest`` that hold no pivots are, with them, those of T; what is zero is so exactly."""
    rows = torch.arange(len(rest))
    assert not rest[rows, target.pivot].any()
    matrix = rest.clone()
    matrix[rows, target.pivot] = target.pivot_share * target.row_sum
    torch.testing.assert_close(matrix, whole, rtol=1e-15, atol=0)


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """``sharded_target`` takes a ThreadRing for its process group."""

    def all_to_all(into: Tensor, out: Tensor, receive: list[int], send: list[int], group: ThreadRing) -> None:
        parts = group.group.everybody(group.rank, out.split(send))
        into.copy_(torch.cat([part[group.rank] for part in parts]))
        assert [len(part[group.rank]) for part in parts] == receive

    class AnyRing:
        of = staticmethod(lambda group: ThreadRing(_Grouped(group), group.rank, group.world))

    class _Grouped:
        """The ring as its own group, so that all_to_all knows the rank."""

        def __init__(self, ring: ThreadRing) -> None:
            self.group, self.rank = ring.group, ring.rank
            self.everybody, self.queue = ring.group.everybody, ring.group.queue

    monkeypatch.setattr(module, "Ring", AnyRing)
    monkeypatch.setattr(module.dist, "all_to_all_single", all_to_all)


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize(("name", "sizes"), CASES)
@pytest.mark.parametrize("tied", [True, False])
def test_every_entry_is_where_the_losses_look_for_it(name: str, sizes: tuple[int, ...], tied: bool) -> None:
    """The blocks side by side are T; those of the gradients its transpose, of the own rows when tied."""
    whole = torch.from_numpy(TARGETS[name]).double()
    starts = np.cumsum([0, *sizes])

    def make(ring: ThreadRing) -> ShardedTarget:
        rows = sp.csr_array(TARGETS[name][starts[ring.rank] : starts[ring.rank + 1]])
        return sharded_target(rows, tied=tied, process_group=ring, dtype=torch.float64)

    parts = in_threads(len(sizes), make)
    rest = torch.zeros_like(whole)  # T without its pivots
    for rank, part in enumerate(parts):
        assert isinstance(part, ShardedTarget), part
        assert part.row_sizes == part.column_sizes == sizes
        assert part.column_starts == tuple(starts[:-1])
        assert (part.rows, part.columns) == (sizes[rank], sizes[rank])
        own = slice(starts[rank], starts[rank + 1])
        here = torch.cat([dense(b, sizes[rank], size) for b, size in zip(part.forward, sizes, strict=True)], dim=1)
        assert_is(part, here, whole[own])
        assert torch.equal(part.row_sum, csr_target(TARGETS[name], dtype=torch.float64).row_sum[own])
        assert part.entries == int((whole[own] != 0).sum())
        rest[own] = here
    for rank, part in enumerate(parts):
        own = slice(starts[rank], starts[rank + 1])
        for owner, size in enumerate(sizes):
            theirs = slice(starts[owner], starts[owner + 1])
            if tied:
                assert torch.equal(dense(part.backward[owner], sizes[rank], size), rest.T[own, theirs])
            else:
                assert torch.equal(dense(part.backward[owner], size, sizes[rank]), rest[own, theirs].T)


@pytest.mark.parametrize("name", [name for name in TARGETS if not name.startswith("wide")])
def test_alone_it_says_what_the_target_of_one_process_says(name: str) -> None:
    alone, plain = sharded_target(sp.csr_array(TARGETS[name]), tied=True), csr_target(TARGETS[name])
    for field in ("row_sum", "pivot", "pivot_share", "rest_share"):
        assert torch.equal(getattr(alone, field), getattr(plain, field)), field
    assert (alone.ring, alone.dtype, alone.device) == (Ring(None, 0, 1), torch.float32, torch.device("cpu"))


def test_products_come_in_pieces_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PRODUCT_ROWS", 4)
    matrix = random_target(37, 3).toarray()
    matrix[5:9] = 0.0
    part = sharded_target(sp.csr_array(matrix), tied=False, dtype=torch.float64)
    (block,) = part.forward
    rest = dense(block, 37, 37)
    right, weight = torch.randn(37, 5, dtype=torch.float64), torch.rand(37, dtype=torch.float64)
    pieces = list(block.products(right))
    assert len(pieces) == -(-len(block.row) // 4) > 5
    assert torch.equal(torch.cat([rows for rows, _ in pieces]), block.row)
    out = torch.randn(37, 5, dtype=torch.float64)
    expected = out - rest @ right
    block.subtract(out, right)
    torch.testing.assert_close(out, expected, rtol=0, atol=1e-14)
    expected = out - (rest * weight) @ right
    block.subtract(out, right, weight)
    torch.testing.assert_close(out, expected, rtol=0, atol=1e-14)
    assert not any(row in block.row.tolist() for row in range(5, 9))


def test_memory_does_not_grow_with_the_columns() -> None:
    """A process holds few rows of a target with a thousand million columns."""
    columns = 10**9
    rows = sp.csr_array(sp.coo_array(([0.5, 0.5, 1.0], ([0, 0, 1], [3, columns - 1, 7])), shape=(2, columns)))
    part = sharded_target(rows, tied=False, columns=columns)
    stored = {int(column) for column in (*part.pivot, *part.forward[0].column)}
    assert stored == {3, 7, columns - 1}
    assert part.columns == columns


def test_entries_given_twice_count_together() -> None:
    twice = sp.coo_array(([0.25, 0.5, 0.25], ([0, 0, 0], [0, 1, 1])), shape=(2, 2))
    part = sharded_target(twice, tied=False, dtype=torch.float64)
    assert_is(part, dense(part.forward[0], 2, 2), torch.tensor([[0.25, 0.75], [0, 0]], dtype=torch.float64))


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize(
    ("odd", "message"),
    [
        ({"rows": -sp.eye_array(2, 4, format="csr")}, "process 1: target entries must be finite and not negative"),
        ({"rows": np.eye(2, 4)}, "process 1: rows must be a SciPy sparse matrix"),
        ({"tied": True}, "the processes disagree on the tied: False on process 0, True on process 1"),
        ({"dtype": torch.float64}, "the processes disagree on the dtype: torch.float32 on process 0, torch.float64"),
        ({"columns": 3}, r"T has 4 columns and the processes hold 2 \+ 3 rows of context"),
    ],
)
def test_what_one_process_gives_wrongly_is_refused_by_all(odd: dict[str, Any], message: str) -> None:
    def make(ring: ThreadRing) -> Any:
        options = {"rows": sp.eye_array(2, 4, k=ring.rank, format="csr"), "tied": False, **(odd if ring.rank else {})}
        return sharded_target(options.pop("rows"), process_group=ring, **options)

    answers = in_threads(2, make)
    for answer in answers:
        assert isinstance(answer, (ValueError, TypeError)), answer
        with pytest.raises(type(answer), match=message):
            raise answer
