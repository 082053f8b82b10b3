"""What does not fit in memory is refused before it is made."""

from __future__ import annotations

import pytest

from fiedler.sims.tasks import memory


def test_matrices_beyond_the_free_memory_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "free_memory", lambda: 10**9)
    memory.check_pairs(5000, 5, "training")  # just the gigabyte
    with pytest.raises(ValueError, match=r"training of 5000 nodes takes 1.2 GB.* 1.0 GB of memory are free: take"):
        memory.check_pairs(5000, 6, "training")
    monkeypatch.setattr(memory, "free_memory", lambda: None)
    memory.check_pairs(10**6, 6, "training")  # where nothing is known, nothing is refused


def test_small_graphs_are_never_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "free_memory", lambda: 0)
    memory.check_pairs(memory.DENSE_NODES, 100, "training")


def test_the_system_says_how_much_is_free() -> None:
    found = memory.free_memory()
    assert found is None or found >= 0
