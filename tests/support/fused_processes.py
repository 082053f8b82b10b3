"""Processes of a group that compute the sharded graph losses with a card's kernels, in Triton's interpreter: run as a
script for all of them, imported for the cases. Each writes what it found to FOLDER/RANK.pt."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from interpreted_calls import quick_interpreter
from sharded_processes import Case, Traffic, found_of, run
from worlds import run_script

PROCESSES = 3
SINGLE, HALF = torch.float32, torch.float16

CASES = {
    "even": Case("smoothed", (2, 2, 2), dtype=SINGLE),
    "tied": Case("smoothed", (2, 2, 2), tied=True, dtype=SINGLE),
    "large": Case("large", (70, 0, 80), weighted=True, dtype=SINGLE),
    "large tied": Case("large", (66, 1, 83), tied=True, weighted=True, dtype=SINGLE),
    "large, half": Case("wide large", (1, 0, 69), (70, 79, 1), weighted=True, dtype=HALF),
    "large tied, half": Case("large", (0, 70, 80), tied=True, weighted=True, reduction="mean", dtype=HALF),
    "a process without rows": Case("ragged", (4, 0, 5), reduction="mean", dtype=SINGLE),
    "all rows on one": Case("one hop", (0, 0, 4), (1, 3, 0), dtype=SINGLE),
    "all rows on one, tied": Case("one hop", (4, 0, 0), tied=True, dtype=SINGLE),
    "two": Case("wide widened", (4, 2), (1, 7), dtype=SINGLE),
    "two tied": Case("one hop", (1, 3), tied=True, dtype=SINGLE),
    "each the other's pivot, far logits": Case("pairs", (3, 2, 3), scale=12.0, dtype=SINGLE),
    "each the other's pivot, far logits, tied": Case("pairs", (3, 2, 3), tied=True, scale=12.0, dtype=SINGLE),
    "no targets": Case("nothing", (2, 2, 1), dtype=SINGLE),
    "no targets, tied": Case("nothing", (2, 2, 1), tied=True, dtype=SINGLE),
    "embedding alone": Case("ragged", (3, 3, 3), learns=(True, False), dtype=SINGLE),
    "context alone": Case("ragged", (3, 3, 3), learns=(False, True), weighted=True, dtype=SINGLE),
    "loss alone": Case("ragged", (3, 3, 3), tied=True, learns=(False, False), dtype=SINGLE),
}


def traffic(rank: int) -> dict[str, int]:
    """Bytes sent by one call of each kind."""
    found = {}
    for name in ("even", "tied", "embedding alone", "context alone", "loss alone"):
        with Traffic() as count:
            run(CASES[name], None, rank, fused=True)
        found[name] = count.sent
    return found


def process(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", timeout=timedelta(seconds=200))
    with quick_interpreter():
        found: dict[Any, Any] = {**found_of(CASES, rank, fused=True), "traffic": traffic(rank)}
    torch.save(found, folder / f"{rank}.pt")
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    sys.exit(run_script(PROCESSES, process))
