"""Commands that run as one process of many: joining the others, and who says what when something is wrong.

``torchrun`` (or ``accelerate launch``, or Slurm through torchrun) starts the processes and tells each its place in the
environment: RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR, MASTER_PORT. Without them this process is a world of one.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
import typer

from fiedler.kernels.sharded.ring import ALIKE

from ..suggest import choose
from .entry import UsageError, print_line, run_app


def rank() -> int:
    """This process's number, 0 where nobody gave it one."""
    return int(os.environ.get("RANK", "0"))


def world_size() -> int:
    """How many processes were started."""
    return int(os.environ.get("WORLD_SIZE", "1"))


@contextmanager
def joined(device: str) -> Iterator[torch.device]:
    """Within the context the processes are one group: gloo for ``device`` "cpu", NCCL for "cuda", a card each by
    LOCAL_RANK. Yields this process's device. Raises ValueError for a device that is not there."""
    place = _device(device)
    if world_size() == 1:
        yield place
        return
    if place.type == "cuda":
        torch.cuda.set_device(place)
    dist.init_process_group("nccl" if place.type == "cuda" else "gloo")
    try:
        yield place
    finally:
        dist.destroy_process_group()


def _device(name: str) -> torch.device:
    if name not in ("cpu", "cuda"):
        raise ValueError(f"unknown device {name!r}; {choose(name, ('cpu', 'cuda'))}")
    if name == "cpu":
        return torch.device("cpu")
    local = int(os.environ.get("LOCAL_RANK", "0"))
    if local >= torch.cuda.device_count():
        raise ValueError(
            f"process {local} of this machine has no card: it has {torch.cuda.device_count()}; start as many processes "
            "as cards, or use --device cpu"
        )
    return torch.device("cuda", local)


def run_command(app: typer.Typer, name: str, arguments: list[str] | None) -> int:
    """Run a one-command app and return its exit code, as ``entry.run_app``. An error is one line on standard error: of
    process 0 where all have it, else of the process that has it."""
    words = sys.argv[1:] if arguments is None else arguments
    return run_app(app, name, words or ["--help"], _say)


def _say(error: BaseException, message: str) -> None:
    alike = isinstance(error, UsageError) or ALIKE in getattr(error, "__notes__", [])  # options are the same everywhere
    if rank() == 0 or not alike:
        where = "" if alike or world_size() == 1 else f"process {rank()}: "
        print_line(f"{where}{' '.join(message.split()).removeprefix('process 0: ')}")
