"""A ring of processes: blocks of rows go round it, the next on its way while the present one is computed with.

At step s process r holds the block of process r - s. Sums over a block that every process adds to go round beside it
and end at home. Messages go by ``batch_isend_irecv``: gloo on the CPU, NCCL between cards.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from ..checks import shown

T = TypeVar("T")

NOTE_BYTES = 2048  # of what a process says of a call: JSON in UTF-8, padded with blanks
ERROR_BYTES = 600  # of an error in it, which quoting may double
ERRORS = {kind.__name__: kind for kind in (ValueError, TypeError, OSError, MemoryError, RuntimeError)}
ALIKE = "raised by every process of the group alike"  # a note of the error
SUM_TAG = 16  # of travelling sums: beyond the tags of a block's tensors, which are their places


@dataclass(frozen=True)
class Ring:
    """Process ``rank`` of ``world``; ``group`` is None where this process is alone."""

    group: Any
    rank: int
    world: int

    @staticmethod
    def of(group: Any = None) -> Ring:
        """The ring of ``group``: of the default group when None, of this process alone if there is none.

        Raises TypeError for what is no process group and ValueError for one of which this process is no member.
        """
        if group is None and dist.is_available() and dist.is_initialized():
            group = dist.group.WORLD
        if group is None:
            return Ring(None, 0, 1)
        if group is dist.GroupMember.NON_GROUP_MEMBER:
            raise ValueError("this process is no member of the process group it was given; call from members alone")
        if not isinstance(group, dist.ProcessGroup):
            raise TypeError(f"process_group must be a torch.distributed process group or None; got {shown(group)}")
        return Ring(group, dist.get_rank(group), dist.get_world_size(group))

    def blocks(self, own: Sequence[Tensor], sizes: Sequence[int]) -> Iterator[tuple[int, list[Tensor]]]:
        """(process, its tensors) of every block, one's own first. ``own``: tensors of ``sizes[rank]`` rows, on all
        processes alike but for the number of rows. What is yielded is overwritten two steps later."""
        here = [tensor.contiguous() for tensor in own]
        most = max((size for rank, size in enumerate(sizes) if rank != self.rank), default=0)
        rooms: list[list[Tensor]] = []
        for step in range(self.world):
            owner = (self.rank - step) % self.world
            following, pending = here, []
            if step + 1 < self.world:
                if step < 2:
                    rooms.append([tensor.new_empty(most, *tensor.shape[1:]) for tensor in own])
                following = [room[: sizes[owner - 1]] for room in rooms[step % 2]]
                pending = self.exchange(here, following)
            yield owner, here
            wait(pending)
            here = following

    def exchange(self, send: Sequence[Tensor], receive: Sequence[Tensor], tag: int = 0) -> list[Any]:
        """Begin to send to the next process and to receive from the one before; empty tensors are left out."""
        operations = []
        for place, (out, into) in enumerate(zip(send, receive, strict=True), tag):
            if out.numel():
                operations.append(self._message(dist.isend, out, self.rank + 1, place))
            if into.numel():
                operations.append(self._message(dist.irecv, into, self.rank - 1, place))
        return list(dist.batch_isend_irecv(operations)) if operations else []

    def gather(self, tensor: Tensor) -> Tensor:
        """(world, ...): every process's tensor of one shape, in rank order."""
        if self.world == 1:
            return tensor[None]
        out = tensor.new_empty(self.world, *tensor.shape)
        dist.all_gather(list(out.unbind(0)), tensor.contiguous(), group=self.group)
        return out

    def agree(
        self,
        facts: Mapping[str, Any],
        error: Exception | None,
        device: torch.device | str,
        *,
        same: Sequence[str] = (),
    ) -> list[dict[str, Any]]:
        """Every process's facts, a few with a JSON form, in rank order.

        Where a process brings an error all raise it, in one of the types of ERRORS, naming the process unless all have
        the same; where facts named in ``same`` differ, all raise one ValueError that says how. Errors raised by all
        carry the note ALIKE.
        """
        if error is not None and self.world == 1:
            error.add_note(ALIKE)
            raise error
        note: dict[str, Any] = dict(facts)
        if error is not None:
            text = " ".join(str(error).split()).encode()[:ERROR_BYTES].decode(errors="ignore")
            kind = next((name for name, kind in ERRORS.items() if isinstance(error, kind)), "RuntimeError")
            note = {"error": text, "kind": kind}
        text = json.dumps(note, ensure_ascii=False)
        data = torch.tensor(list(text.encode().ljust(NOTE_BYTES)), dtype=torch.uint8)
        assert len(data) == NOTE_BYTES, "facts are few and short"
        if self.world == 1:  # nobody to hear from: the device need not be waited for
            return [note]
        notes = [json.loads(bytes(row).decode()) for row in self.gather(data.to(device)).tolist()]
        found = _wrong(notes, same)
        if found is not None:
            found.add_note(ALIKE)
            raise found from error
        return notes

    def together(self, call: Callable[[], T], device: torch.device | str) -> T:
        """call(), which asks nothing of the others; an error of one process becomes an error of all (``agree``)."""
        try:
            made = call()
        except tuple(ERRORS.values()) as error:
            self.agree({}, error, device)
            raise  # not reached: agree raises
        self.agree({}, None, device)
        return made

    def _message(self, kind: Any, tensor: Tensor, peer: int, tag: int) -> Any:
        rank = dist.get_global_rank(self.group, peer % self.world)
        return dist.P2POp(kind, tensor, rank, self.group, tag)


class RingSum:
    """Sums over blocks of rows, to which every process adds as the blocks of ``Ring.blocks`` pass."""

    def __init__(self, ring: Ring, sizes: Sequence[int], width: int, like: Tensor) -> None:
        self.ring, self.sizes, self.step = ring, sizes, 0
        self.rooms = [like.new_empty(max(sizes), width) for _ in range(1 if ring.world == 1 else 3)]
        self.pending: list[Any] = []

    def part(self, owner: int) -> Tensor:
        """Zeros (rows, width) for this process's part of the sum over that block; hand it to ``add``."""
        return self.rooms[self.step % 2][: self.sizes[owner]].zero_()

    def add(self, owner: int, part: Tensor) -> None:
        """Add what came round to ``part``, the block's, and send the sum on."""
        if self.ring.world == 1:
            return
        wait(self.pending)
        if self.step:
            part += self._arriving(owner)
        following = (owner - 1) % self.ring.world
        self.pending = self.ring.exchange([part], [self._arriving(following)], SUM_TAG)
        self.step += 1

    def home(self) -> Tensor:
        """After every block: the sum over one's own."""
        wait(self.pending)
        return self.rooms[0][: self.sizes[0]] if self.ring.world == 1 else self._arriving(self.ring.rank)

    def _arriving(self, owner: int) -> Tensor:
        return self.rooms[2][: self.sizes[owner]]


def _wrong(notes: Sequence[Mapping[str, Any]], same: Sequence[str]) -> Exception | None:
    """The error that these notes of all processes amount to."""
    failed = [rank for rank, note in enumerate(notes) if "error" in note]
    if failed:
        first = notes[failed[0]]
        where = "" if all(note == first for note in notes) else f"process {failed[0]}: "
        return ERRORS[first["kind"]](f"{where}{first['error']}")
    for name in same:
        for rank, note in enumerate(notes):
            if note[name] != notes[0][name]:
                return ValueError(
                    f"the processes disagree on the {name}: {notes[0][name]} on process 0, {note[name]} on process "
                    f"{rank}; give all the same"
                )
    return None


def wait(pending: Sequence[Any]) -> None:
    """Until every message of ``exchange`` is through."""
    for work in pending:
        work.wait()
