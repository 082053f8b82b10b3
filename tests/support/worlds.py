"""Worlds of processes for tests: forked from one that has its libraries imported, and joined through the environment as
torchrun joins them."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import socket
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from multiprocessing.connection import wait
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import Any

import torch


def start_world(processes: int, work: Callable[[int], Any], said: Path) -> list[ForkProcess]:
    """Processes that run ``work(rank)`` and exit with the number it returns, 0 for None; what each prints is in the
    files RANK.out and RANK.err of ``said``. Fork before torch has started a thread: before its first backward pass."""
    said.mkdir(parents=True, exist_ok=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    fork = multiprocessing.get_context("fork")
    running = [fork.Process(target=_process, args=(rank, processes, port, work, said)) for rank in range(processes)]
    for one in running:
        one.start()
    return running


def end_world(running: list[ForkProcess], *, patient: bool = False) -> list[int]:
    """The exit codes, by rank. Unless ``patient``, the first that fails ends all, as torchrun does."""
    left = {one.sentinel: one for one in running}
    while left:
        for sentinel in wait(list(left)):
            ended = left.pop(sentinel)  # type: ignore[call-overload]
            ended.join()
            if ended.exitcode and not patient:
                for other in left.values():
                    other.terminate()
    return [int(one.exitcode or 0) for one in running]


def run_world(processes: int, work: Callable[[int], Any], said: Path, *, patient: bool = False) -> list[int]:
    """Start a world and wait for its end."""
    return end_world(start_world(processes, work, said), patient=patient)


def run_script(processes: int, process: Callable[[int, Path], Any]) -> int:
    """The end of a script of processes, whose argument is FOLDER: run ``process(rank, FOLDER)`` in a world; 1 where one
    fails, with what they said on standard error."""
    folder = Path(sys.argv[1])
    codes = run_world(processes, lambda rank: process(rank, folder), folder / "said")
    for rank, code in enumerate(codes):
        if code:
            print((folder / "said" / f"{rank}.err").read_text(), file=sys.stderr)
    return int(any(codes))


def found_by(script: str, folder: Path, processes: int) -> list[dict[Any, Any]]:
    """What each process of ``script``, a file that ends in ``run_script``, has written to FOLDER/RANK.pt."""
    done = subprocess.run(
        [sys.executable, script, str(folder)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [torch.load(folder / f"{rank}.pt") for rank in range(processes)]


def _process(rank: int, processes: int, port: int, work: Callable[[int], Any], said: Path) -> None:
    place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": processes, "LOCAL_WORLD_SIZE": processes}
    os.environ |= {name: str(value) for name, value in place.items()}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    with _printing(said / f"{rank}.out", said / f"{rank}.err"):
        try:
            code = work(rank)
        except BaseException:
            traceback.print_exc()
            code = 1
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code or 0)  # no handlers of the process it was forked from


@contextlib.contextmanager
def _printing(out: Path, err: Path) -> Iterator[None]:
    for number, path in ((1, out), (2, err)):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, number)
        os.close(file)
    yield
