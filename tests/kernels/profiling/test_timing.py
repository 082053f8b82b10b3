"""Timings in turns and peak memory."""

from __future__ import annotations

import time

import pytest
import torch

from fiedler.kernels.profiling.timing import Timing, peak_bytes, time_interleaved

CPU = torch.device("cpu")


def test_ratios_are_taken_round_by_round() -> None:
    slow, fast = Timing((2.0, 30.0, 6.0)), Timing((1.0, 10.0, 1.0))
    assert slow.ratio_to(fast) == (3.0, 2.0, 6.0)
    assert (slow.median, slow.spread) == (6.0, (2.0, 30.0))


def test_every_way_runs_once_a_round_in_turns() -> None:
    calls: list[str] = []

    def way(name: str, seconds: float) -> None:
        calls.append(name)
        time.sleep(seconds)

    found = time_interleaved({"a": lambda: way("a", 0.002), "b": lambda: way("b", 0.0)}, CPU, rounds=3)
    assert calls == ["a", "b"] * 4  # the first round does not count
    assert all(len(timing.ms) == 3 for timing in found.values())
    assert min(found["a"].ms) >= 2.0


@pytest.mark.parametrize("columns", [100, 300])
def test_peak_memory_counts_what_is_held_at_once(columns: int) -> None:
    x = torch.ones(200, columns)
    size = x.numel() * 4

    def two_at_once() -> torch.Tensor:
        y = x + 1
        return y * 2

    def one_after_the_other() -> torch.Tensor:
        return (x + 1).mul_(2)

    assert size * 2 <= peak_bytes(two_at_once, CPU) < size * 2.1
    assert size <= peak_bytes(one_after_the_other, CPU) < size * 1.1
    assert peak_bytes(lambda: x.sum(), CPU) < size
