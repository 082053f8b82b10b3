"""How the classes of an output layer lie on the processes of a group, and sums over their shards in one fixed order.

A shard is a run of consecutive classes, a process holds one or more consecutive shards, and every sum over shards is
taken in class order, whoever holds them. So what comes out depends on the shards alone: two processes with two shards
each, four with one, and one with all four agree bit for bit (where the matrix products of a shard do).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


@dataclass(frozen=True)
class VocabLayout:
    """``sizes``: classes of every shard, in class order; ``counts``: how many consecutive shards each process of the
    group holds, in rank order; ``rank``: this process."""

    sizes: tuple[int, ...]
    counts: tuple[int, ...]
    rank: int

    def __post_init__(self) -> None:
        if sum(self.counts) != len(self.sizes) or min((*self.counts, *self.sizes), default=0) < 0:
            raise ValueError(
                f"counts {self.counts} must divide the {len(self.sizes)} shards {self.sizes} among processes"
            )
        if not 0 <= self.rank < len(self.counts):
            raise ValueError(f"rank {self.rank} is none of the {len(self.counts)} processes")
        if self.classes == 0:
            raise ValueError(f"a layout needs a class at least; got shards of {self.sizes}")

    @property
    def classes(self) -> int:
        """V, over all processes."""
        return sum(self.sizes)

    @property
    def local(self) -> range:
        """The shards of this process."""
        first = sum(self.counts[: self.rank])
        return range(first, first + self.counts[self.rank])

    @property
    def starts(self) -> tuple[int, ...]:
        """The first class of every shard."""
        return tuple(accumulate(self.sizes, initial=0))[:-1]

    @property
    def local_classes(self) -> int:
        """The rows of the weight on this process."""
        return sum(self.sizes[shard] for shard in self.local)


def even_layout(classes: int, *, shards: int | None = None, processes: int = 1, rank: int = 0) -> VocabLayout:
    """``classes`` in ``shards`` parts (one a process when None) as ``torch.chunk`` and DTensor's ``Shard(0)`` cut them:
    each of ceil(classes / shards), the last ones smaller or empty. Raises ValueError unless the processes divide the
    shards evenly."""
    shards = processes if shards is None else shards
    if shards < 1 or shards % processes:
        raise ValueError(f"{shards} shards do not divide among {processes} processes; use a multiple of {processes}")
    each = -(-classes // shards)
    sizes = tuple(max(0, min(each, classes - start * each)) for start in range(shards))
    return VocabLayout(sizes, (shards // processes,) * processes, rank)


def localize(
    weight: Tensor, bias: Tensor | None, input: Tensor, group: Any, layout: VocabLayout | None
) -> tuple[Tensor, Tensor | None, Tensor, Any, VocabLayout | None]:
    """The parts of DTensors that lie here, with the group of their mesh and the layout of their shards;
    plain tensors as they are. Raises ValueError or TypeError for other placements than Shard(0) on one mesh."""
    if not dist.is_available():
        return weight, bias, input, group, layout
    from torch.distributed.tensor import DTensor, Replicate, Shard

    if isinstance(input, DTensor):
        if any(not isinstance(placement, Replicate) for placement in input.placements):
            raise ValueError(f"input must be replicated, got placements {input.placements}; redistribute it")
        input = input.to_local(grad_placements=input.placements)
    if isinstance(bias, DTensor) and not isinstance(weight, DTensor):
        raise TypeError("bias is a DTensor and weight is not; shard both or neither")
    if not isinstance(weight, DTensor):
        return weight, bias, input, group, layout
    mesh = weight.device_mesh
    for name, tensor in (("weight", weight), ("bias", bias)):
        if tensor is None:
            continue
        if not isinstance(tensor, DTensor) or tensor.device_mesh != mesh or tuple(tensor.placements) != (Shard(0),):
            raise ValueError(
                f"{name} must be a DTensor in Shard(0) over the one-dimensional mesh of weight, got "
                f"{getattr(tensor, 'placements', 'a plain tensor')}: redistribute or distribute it, or leave a "
                "replicated one to linear_cross_entropy"
            )
    if group is not None and group is not mesh.get_group():
        raise ValueError("a DTensor brings the process group of its mesh; leave process_group out")
    if layout is None:
        layout = even_layout(weight.shape[0], processes=mesh.size(), rank=mesh.get_local_rank())
    here = None if bias is None else bias.to_local()  # type: ignore[attr-defined]
    return weight.to_local(), here, input, mesh.get_group(), layout


def gathered_layout(sizes: Sequence[int], group: Any, device: torch.device) -> VocabLayout:
    """The layout in which every process of ``group`` brings shards of the ``sizes`` it names: two small collectives,
    which wait for all."""
    processes = 1 if group is None else dist.get_world_size(group)
    if processes == 1:
        return VocabLayout(tuple(sizes), (len(sizes),), 0)
    counts = _all_gather(torch.tensor([len(sizes)], device=device), group)[:, 0].tolist()
    padded = torch.tensor([*sizes, *[0] * (max(counts) - len(sizes))], device=device)
    rows = _all_gather(padded, group).tolist()
    everyone = tuple(size for row, count in zip(rows, counts, strict=True) for size in row[:count])
    return VocabLayout(everyone, tuple(counts), dist.get_rank(group))


def gather_shards(parts: Tensor, layout: VocabLayout, group: Any) -> Tensor:
    """(S, ...) of all shards in class order, from the (local shards, ...) that each process brings."""
    if len(layout.counts) == 1:
        return parts
    everyone = _all_gather(_padded(parts, max(layout.counts)), group)
    return torch.cat([rows[:count] for rows, count in zip(everyone, layout.counts, strict=True)])


def sum_shards(parts: Tensor) -> Tensor:
    """The sum over the first dimension, one after the other."""
    total = parts[0].clone()
    for part in parts[1:]:
        total += part
    return total


def reduce_shards(parts: Tensor, layout: VocabLayout, group: Any) -> Tensor:
    """The sum over all shards of (local shards, N, D), (N, D) on every process: each adds up its share of the rows for
    all, then all gather the sums, so that traffic is that of an all-reduce."""
    processes = len(layout.counts)
    if processes == 1:
        return sum_shards(parts)
    n, d = parts.shape[1:]
    most, share = max(layout.counts), -(-n // processes)
    send = parts.new_zeros(processes, most, share, d)
    for process in range(processes):
        rows = parts[:, process * share : (process + 1) * share]
        send[process, : len(parts), : rows.shape[1]] = rows
    received = torch.empty_like(send)
    dist.all_to_all_single(received, send, group=group)
    mine = sum_shards(torch.cat([rows[:count] for rows, count in zip(received, layout.counts, strict=True)]))
    return _all_gather(mine, group).reshape(-1, d)[:n]


def _padded(parts: Tensor, length: int) -> Tensor:
    if len(parts) == length:
        return parts.contiguous()
    return torch.cat([parts, parts.new_zeros(length - len(parts), *parts.shape[1:])])


def _all_gather(tensor: Tensor, group: Any) -> Tensor:
    out = tensor.new_empty(dist.get_world_size(group), *tensor.shape)
    dist.all_gather(list(out.unbind(0)), tensor.contiguous(), group=group)
    return out
