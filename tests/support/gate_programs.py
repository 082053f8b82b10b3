"""The programs of a kernel launch one by one: in any order, in turns with another launch's, with what each touches.

A card runs the programs of a launch in an order of its own, many at once. The kernels rest on this: no program reads or
writes what another one of the same launch writes. The interpreter runs them in order and would not show it. Here
launches are recorded while a public call runs, each with the bits of its tensors before and after, and run again.
"""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from triton.runtime import interpreter

from fiedler.kernels.gpu.launch import Launch

BUILDER = interpreter.interpreter_builder


def name_of(launch: Launch) -> str:
    return launch.kernel.fn.__name__


def program_ids(launch: Launch) -> list[tuple[int, int, int]]:
    x, y, z = (*launch.grid, 1, 1)[:3]
    return [(i, j, k) for i in range(x) for j in range(y) for k in range(z)]


@contextmanager
def programs(launch: Launch) -> Iterator[Callable[[tuple[int, int, int]], None]]:
    """Runs single programs of the launch, in whatever order they are asked for; not from inside another kernel."""
    function = launch.kernel.rewrite()
    known = inspect.getfullargspec(function).args
    constants = {name for name, kind in launch.kernel.fn.__annotations__.items() if "constexpr" in str(kind)}
    given = inspect.getcallargs(function, **{k: v for k, v in launch.arguments.items() if k in known})
    arguments = {k: v if k in constants else interpreter._implicit_cvt(v) for k, v in given.items()}

    def run(index: tuple[int, int, int]) -> None:
        BUILDER.set_grid_dim(*(*launch.grid, 1, 1)[:3])
        BUILDER.set_grid_idx(*index)
        function(**arguments)

    scope = interpreter._patch_lang(launch.kernel.fn)
    try:
        yield run
    finally:
        if scope is not None:  # Triton 3.6 has none
            scope.restore()


@dataclass(frozen=True)
class Recorded:
    """A launch of a public call and the bytes of its tensors' memory before and after it."""

    launch: Launch
    before: list[Tensor]
    after: list[Tensor]

    @property
    def name(self) -> str:
        return name_of(self.launch)

    def restore(self) -> None:
        """Put the memory back to what it was before the launch."""
        for memory, bits in zip(memories(self.launch), self.before, strict=True):
            memory.copy_(bits)

    def changed(self) -> bool:
        """Whether the memory differs in any bit from what the launch had left."""
        return any(not torch.equal(a, b) for a, b in zip(memories(self.launch), self.after, strict=True))


def memories(launch: Launch) -> list[Tensor]:
    """The whole storage of each tensor of the launch as bytes, once each."""
    storages = {}
    for value in launch.arguments.values():
        if isinstance(value, Tensor):
            storages[value.untyped_storage().data_ptr()] = value.untyped_storage()
    return [torch.empty(0, dtype=torch.uint8).set_(storage) for storage in storages.values()]


@contextmanager
def recording() -> Iterator[list[Recorded]]:
    """The launches that run inside, each with its memory before and after."""
    found: list[Recorded] = []
    run = Launch.run

    def record(self: Launch) -> None:
        before = [memory.clone() for memory in memories(self)]
        run(self)
        if 0 not in self.grid:
            found.append(Recorded(self, before, [memory.clone() for memory in memories(self)]))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Launch, "run", record)
        yield found


def run_in_turns(one: Recorded, other: Recorded, draw: random.Random) -> None:
    """Two launches again, their programs mixed at random."""
    one.restore(), other.restore()
    with programs(one.launch) as first, programs(other.launch) as second:
        turns = [(first, index) for index in program_ids(one.launch)]
        turns += [(second, index) for index in program_ids(other.launch)]
        draw.shuffle(turns)
        for run, index in turns:
            run(index)


@dataclass(frozen=True)
class Touched:
    """The bytes that one program has read and written, by their addresses; with repetitions."""

    read: list[np.ndarray]
    written: list[np.ndarray]


def run_shuffled(recorded: Recorded, draw: random.Random) -> tuple[int, int]:
    """The launch again on the memory it had, its programs in random order. Returns how many bytes two programs write,
    and how many one program writes and another one reads."""
    recorded.restore()
    order = program_ids(recorded.launch)
    draw.shuffle(order)
    reads, writes = [], []
    with programs(recorded.launch) as run:
        for index in order:
            touched = Touched([], [])
            with _watching(touched):
                run(index)
            for kept, accesses in ((reads, touched.read), (writes, touched.written)):
                kept.append(np.unique(np.concatenate([np.empty(0, dtype=np.uint64), *accesses])))
    written = np.concatenate(writes)
    owner = np.repeat(np.arange(len(writes)), [len(one) for one in writes])
    by_address = np.argsort(written, kind="stable")
    written, owner = written[by_address], owner[by_address]
    twice = int(np.count_nonzero(written[1:] == written[:-1]))
    foreign = 0
    for program, read in enumerate(reads):
        at = np.searchsorted(written, read)
        found = at < len(written)
        hit = written[at[found]] == read[found]
        foreign += int(np.count_nonzero(owner[at[found]][hit] != program))
    return twice, foreign


@contextmanager
def _watching(touched: Touched) -> Iterator[None]:
    load, store = interpreter.InterpreterBuilder.create_masked_load, interpreter.InterpreterBuilder.create_masked_store

    def note(accesses: list[np.ndarray], ptrs: Any, mask: Any) -> None:
        size = max(1, ptrs.get_element_ty().primitive_bitwidth // 8)
        at = np.broadcast_to(ptrs.data, np.broadcast_shapes(ptrs.data.shape, mask.data.shape))
        here = at[np.broadcast_to(mask.data, at.shape)].reshape(-1)
        accesses.append((here[:, None] + np.arange(size, dtype=np.uint64)).reshape(-1))

    def watched_load(self: Any, ptrs: Any, mask: Any, *rest: Any) -> Any:
        note(touched.read, ptrs, mask)
        return load(self, ptrs, mask, *rest)

    def watched_store(self: Any, ptrs: Any, value: Any, mask: Any, *rest: Any) -> Any:
        note(touched.written, ptrs, mask)
        return store(self, ptrs, value, mask, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(interpreter.InterpreterBuilder, "create_masked_load", watched_load)
        patch.setattr(interpreter.InterpreterBuilder, "create_masked_store", watched_store)
        yield
