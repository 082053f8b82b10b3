"""Commands that run as one process of many: joining the others, and who says what when something is wrong.

``torchrun`` (or ``accelerate launch``, or Slurm through torchrun) starts the processes and tells each its place in the
environment: RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR, MASTER_PORT. Without them this process is a world of one.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
import typer

from fiedler.kernels.sharded.ring import ALIKE

from ..disk.files import Damage
from ..runs.stopping import Interrupted
from ..suggest import choose

# click's base class of bad options and arguments; newer typers carry their own copy of click, so it is asked for here.
UsageError: type[Any] = typer.BadParameter.__mro__[1]
INTERRUPTED = 130


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
    """Run a one-command app and return its exit code: 0 done, 2 bad input, 1 failure, 130 interrupted.

    An error is one line on standard error: of process 0 where all have it, else of the process that has it.
    """
    command = typer.main.get_command(app)
    with warnings.catch_warnings():
        _say_damage()
        try:
            given = sys.argv[1:] if arguments is None else arguments
            code = command.main(given or ["--help"], prog_name=name, standalone_mode=False)
            if code == INTERRUPTED:  # newer typers turn Ctrl-C into this exit code without a word
                return _say(KeyboardInterrupt(), "interrupted", INTERRUPTED)
            return code if isinstance(code, int) else 0
        except typer.Exit as error:
            return int(error.exit_code)
        except (typer.Abort, KeyboardInterrupt) as error:
            return _say(error, "interrupted", INTERRUPTED)
        except Interrupted as error:
            return _say(error, "", INTERRUPTED)
        except UsageError as error:  # the same options everywhere
            return _say(error, f"{error.format_message().rstrip('.')}. See '{name} --help'.", 2, alike=True)
        except (ValueError, TypeError) as error:
            return _say(error, "", 2)
        except (RuntimeError, FloatingPointError, OSError, MemoryError) as error:
            return _say(error, "", 1)


def _say(error: BaseException, message: str, code: int, *, alike: bool = False) -> int:
    alike = alike or ALIKE in getattr(error, "__notes__", [])
    if rank() == 0 or not alike:
        where = "" if alike or world_size() == 1 else f"process {rank()}: "
        text = " ".join((message or str(error) or type(error).__name__).split()).removeprefix("process 0: ")
        print(f"fiedler: {where}{text}", file=sys.stderr, flush=True)
    return code


def _say_damage() -> None:
    """Each damaged file is named in one line, by the process that found it."""
    default, said = warnings.showwarning, set[str]()

    def show(message: Warning | str, category: type[Warning], *rest: Any) -> None:
        if not issubclass(category, Damage):
            default(message, category, *rest)
        elif str(message) not in said:
            said.add(str(message))
            print(f"fiedler: warning: {' '.join(str(message).split())}", file=sys.stderr, flush=True)

    warnings.showwarning = show  # type: ignore[assignment]
    warnings.simplefilter("always", Damage)
