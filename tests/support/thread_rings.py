"""A ring whose processes are threads of this one, for tests of what goes round it: only the transport is another."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import Queue
from typing import Any

from torch import Tensor

from fiedler.kernels.sharded.ring import Ring

SECONDS = 20.0  # far above any exchange of a test: a ring that waits for ever fails

Message = tuple[Tensor, threading.Event]  # set once it is read


class Threads:
    """What the threads of one ring share."""

    def __init__(self, world: int) -> None:
        self.barrier = threading.Barrier(world, timeout=SECONDS)
        self.board: list[Any] = [None] * world
        self._queues: dict[tuple[int, int], Queue[Message]] = {}
        self._lock = threading.Lock()

    def queue(self, sender: int, tag: int) -> Queue[Message]:
        """Messages of one tag from ``sender`` to the thread after it."""
        with self._lock:
            return self._queues.setdefault((sender, tag), Queue())

    def everybody(self, rank: int, note: Any) -> list[Any]:
        """The note of every thread, in rank order."""
        self.board[rank] = note
        self.barrier.wait()
        notes = list(self.board)
        self.barrier.wait()
        return notes


@dataclass(frozen=True)
class Exchange:
    """Messages under way. They are read when the receiver waits, the latest that ``batch_isend_irecv`` allows, so that
    a block overwritten too early is seen."""

    sent: list[threading.Event]
    arriving: list[tuple[Queue[Message], Tensor]]

    def wait(self) -> None:
        for queue, into in self.arriving:
            tensor, read = queue.get(timeout=SECONDS)
            into.copy_(tensor)
            read.set()
        for read in self.sent:
            assert read.wait(SECONDS), "nobody received the message"


@dataclass(frozen=True)
class ThreadRing(Ring):
    """``Ring`` between threads; its ``group`` is the Threads."""

    def exchange(self, send: Sequence[Tensor], receive: Sequence[Tensor], tag: int = 0) -> list[Any]:
        messages = Exchange([], [])
        for number, (out, into) in enumerate(zip(send, receive, strict=True), tag):
            assert out.is_contiguous(), "gloo and NCCL send memory as it lies"
            assert into.is_contiguous()
            if out.numel():
                messages.sent.append(threading.Event())
                self.group.queue(self.rank, number).put((out, messages.sent[-1]))
            if into.numel():
                messages.arriving.append((self.group.queue((self.rank - 1) % self.world, number), into))
        return [messages]

    def gather(self, tensor: Tensor) -> Tensor:
        out = tensor.new_empty(self.world, *tensor.shape)
        for rank, other in enumerate(self.group.everybody(self.rank, tensor.clone())):
            out[rank] = other
        return out


def in_threads(world: int, work: Callable[[ThreadRing], Any]) -> list[Any]:
    """work(ring) on every thread of a ring of ``world``: what each returns, or the error that it raises."""
    shared = Threads(world)
    results: list[Any] = [None] * world

    def run(rank: int) -> None:
        try:
            results[rank] = work(ThreadRing(shared, rank, world))
        except Exception as error:
            results[rank] = error  # where it is this thread's alone the others fail too, after SECONDS

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(world)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results
