"""Rows of a matrix over processes: every row on one of them, and each makes the numbers of the whole."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from fiedler.sims.models.node2vec import Node2VecSettings, initial_embedding
from fiedler.sims.sharded import row_shards
from fiedler.sims.sharded.row_shards import SKIPPED_AT_ONCE, initial_rows, row_range, row_sizes


def test_rows_lie_evenly() -> None:
    for n in (1, 2, 7, 12):
        for world in (1, 2, 3, 5):
            sizes, ranges = row_sizes(n, world), [row_range(n, world, rank) for rank in range(world)]
            assert [len(one) for one in ranges] == list(sizes)
            assert [row for one in ranges for row in one] == list(range(n))
            assert max(sizes) - min(sizes) <= 1
    with pytest.raises(ValueError, match="at least one process; got 0"):
        row_sizes(3, 0)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("width", [1, 7, SKIPPED_AT_ONCE // 100, SKIPPED_AT_ONCE + 1])
def test_each_process_makes_the_numbers_of_the_whole(tied: bool, width: int) -> None:
    settings = Node2VecSettings(width=width, init_std=0.3, tied=tied)
    n = 5 if width > SKIPPED_AT_ONCE else 211
    whole = np.split(initial_embedding(n, settings, 9), 1 if tied else 2)
    for rows in (range(n), range(0), range(3, 4), range(2, n - 1), range(n - 1, n)):
        embedding, context = initial_rows(n, settings, 9, rows)
        assert np.array_equal(embedding, whole[0][rows.start : rows.stop])
        if not tied:
            assert np.array_equal(context, whole[1][rows.start : rows.stop])
        rounded = initial_rows(n, settings, 9, rows, np.float32)[0]
        assert np.array_equal(rounded, embedding.astype(np.float32))


@pytest.mark.parametrize("processes", [1, 2, 3, 7, 50])
def test_the_parts_of_all_processes_are_the_whole(processes: int) -> None:
    """Also where there are more processes than rows."""
    settings, n = Node2VecSettings(width=5, tied=False), 20
    parts = [initial_rows(n, settings, 4, row_range(n, processes, rank)) for rank in range(processes)]
    embedding, context = np.split(initial_embedding(n, settings, 4), 2)
    assert np.array_equal(np.concatenate([part[0] for part in parts]), embedding)
    assert np.array_equal(np.concatenate([part[1] for part in parts if part[1] is not None]), context)


def test_seeds_and_tied_embeddings_are_told_apart() -> None:
    settings = Node2VecSettings(width=5)
    first, second = (initial_rows(9, settings, seed, range(3, 6))[0] for seed in (0, 1))
    assert not np.isclose(first, second).any()
    assert initial_rows(9, settings, 0, range(3, 6))[1] is None


def test_memory_is_that_of_the_rows_and_of_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many rows lie before them: no array is larger than the rows here or SKIPPED_AT_ONCE numbers."""
    monkeypatch.setattr(row_shards, "SKIPPED_AT_ONCE", 100)
    drawn: list[int] = []
    generator = np.random.default_rng

    class Counted:
        def __init__(self, seed: int) -> None:
            self.generator = generator(seed)

        def standard_normal(self, size: object = None, out: np.ndarray | None = None) -> np.ndarray:
            numbers = self.generator.standard_normal(size, out=out)  # type: ignore[call-overload]
            drawn.append(numbers.size)
            return numbers

    monkeypatch.setattr(np.random, "default_rng", Counted)
    settings, n = Node2VecSettings(width=8, tied=False), 20_000
    tracemalloc.start()
    embedding, _ = initial_rows(n, settings, 3, range(10_000, 10_030))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    monkeypatch.undo()
    assert peak < 300_000  # bytes; the rows before them would take 640,000, these here 4,000, the list some 100,000
    assert max(drawn) <= 100
    assert sum(drawn) == 8 * (n + 10_030)  # all before the last of the context's rows here
    assert np.array_equal(embedding, initial_embedding(n, settings, 3)[10_000:10_030])


def test_orthogonal_rows_take_the_whole_matrix() -> None:
    with pytest.raises(ValueError, match="init 'orthogonal' needs the whole matrix on one process; use gaussian"):
        initial_rows(9, Node2VecSettings(init="orthogonal"), 0, range(3))
