"""Time and memory of functions on one device, interleaved so that drift hits all alike.

CUDA: events around each call on the current stream, after a flush of the L2 cache and behind a wait on the card that
gives the host a head start: what is timed is the card's work, as in training, where the host runs ahead, not the
launching of it; memory as the caching allocator counts it. CPU: the wall clock, and memory as PyTorch's allocator
reports it to the profiler: tensors, not what the matrix library keeps to itself.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

L2_BYTES = 256 * 2**20  # more than any card's second-level cache
HEAD_START = 1.5  # times what the host takes for a call
LONGEST_HEAD_START = 0.05  # seconds; a call that waits for the card itself takes as long as its work
CYCLES_PER_SECOND = 2e9  # of the fastest cards: on others the wait is longer


@dataclass(frozen=True)
class Timing:
    """Milliseconds of each round."""

    ms: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle round, in milliseconds."""
        return statistics.median(self.ms)

    @property
    def spread(self) -> tuple[float, float]:
        """The shortest and the longest round, in milliseconds."""
        return min(self.ms), max(self.ms)

    def ratio_to(self, other: Timing) -> tuple[float, float, float]:
        """This over the other, round by round: median, least and largest."""
        each = sorted(a / b for a, b in zip(self.ms, other.ms, strict=True))
        return statistics.median(each), each[0], each[-1]


def time_interleaved(
    ways: Mapping[str, Callable[[], object]], device: torch.device, *, rounds: int
) -> dict[str, Timing]:
    """Each way once a round, after one round that does not count (compilation, caches, allocator)."""
    hosts: dict[str, float] = {}
    for name, way in ways.items():
        way()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
            start = time.perf_counter()
            way()
            hosts[name] = time.perf_counter() - start
    times: dict[str, list[float]] = {name: [] for name in ways}
    scratch = torch.empty(L2_BYTES, dtype=torch.uint8, device=device) if device.type == "cuda" else None
    for _ in range(rounds):
        for name, way in ways.items():
            times[name].append(_once(way, device, scratch, hosts.get(name, 0.0)))
    return {name: Timing(tuple(ms)) for name, ms in times.items()}


def _once(way: Callable[[], object], device: torch.device, scratch: torch.Tensor | None, host: float) -> float:
    if scratch is None:
        start = time.perf_counter()
        way()
        return 1e3 * (time.perf_counter() - start)
    scratch.zero_()
    before, after = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize(device)
    torch.cuda._sleep(int(min(HEAD_START * host, LONGEST_HEAD_START) * CYCLES_PER_SECOND))
    before.record()
    way()
    after.record()
    torch.cuda.synchronize(device)
    return float(before.elapsed_time(after))


def peak_bytes(way: Callable[[], object], device: torch.device) -> int:
    """The most memory that a call holds at once beyond what was there before it, results included."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        way()
        torch.cuda.synchronize(device)
        return int(torch.cuda.max_memory_allocated(device) - before)
    os.environ.setdefault(
        "KINETO_LOG_LEVEL", "99"
    )  # or the profiler writes two lines to standard error at its first use
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        result = way()
    del result
    results = profile.profiler.kineto_results if profile.profiler is not None else None
    if results is None:
        raise RuntimeError("PyTorch's profiler returned nothing; memory cannot be measured with this build")
    changes = sorted((e.start_ns(), e.nbytes()) for e in results.events() if e.name() == "[memory]")
    held = most = 0
    for _, size in changes:
        held += size
        most = max(most, held)
    return most
