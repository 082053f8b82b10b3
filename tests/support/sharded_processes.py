"""Processes of a group that compute the sharded graph losses: run as a script for all of them, imported for the cases.
Each writes what it found to FOLDER/RANK.pt."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
import torch.distributed as dist
from torch import Tensor

from fiedler.kernels import ShardedTarget, sharded_graph_cross_entropy, sharded_target, tied_sharded_graph_cross_entropy
from fiedler.kernels.sharded.ring import Ring
from graph_targets import TARGETS as SMALL
from graph_targets import ragged
from worlds import run_script

PROCESSES = 3
D = 5
TILE = 2  # several tiles a block, the last ones narrower
# Blocks of more rows and columns than the kernels of a card hold and stream at once.
TARGETS = {**SMALL, "large": ragged(150, 150), "wide large": ragged(70, 150)}


@dataclass(frozen=True)
class Case:
    """``sizes``, ``columns``: rows and context rows of each process, contexts as rows when None. ``learns``: of
    embedding and context, which require gradients."""

    target: str
    sizes: tuple[int, ...]
    columns: tuple[int, ...] | None = None
    tied: bool = False
    dtype: torch.dtype = torch.float64
    scale: float = 1.0
    weighted: bool = False
    reduction: str = "sum"
    learns: tuple[bool, bool] = (True, True)


CASES = {
    "even": Case("smoothed", (2, 2, 2)),
    "tied": Case("smoothed", (2, 2, 2), tied=True),
    "uneven": Case("ragged", (2, 6, 1), weighted=True),
    "uneven tied": Case("ragged", (2, 6, 1), tied=True, weighted=True),
    "a process without rows": Case("ragged", (4, 0, 5), reduction="mean"),
    "a process without rows, tied": Case("ragged", (0, 4, 5), tied=True, weighted=True, reduction="mean"),
    "all rows on one": Case("one hop", (0, 0, 4), (1, 3, 0)),
    "all rows on one, tied": Case("one hop", (4, 0, 0), tied=True),
    "other contexts": Case("wide ragged", (1, 0, 5), (0, 7, 1), weighted=True),
    "two": Case("wide widened", (4, 2), (1, 7)),
    "two tied": Case("one hop", (1, 3), tied=True),
    "large logits": Case("pairs", (3, 2, 3), scale=12.0),
    "large logits tied": Case("pairs", (3, 2, 3), tied=True, scale=12.0),
    "no targets": Case("nothing", (2, 2, 1), tied=True),
    "embedding alone": Case("ragged", (3, 3, 3), learns=(True, False)),
    "context alone": Case("ragged", (3, 3, 3), learns=(False, True)),
    "loss alone": Case("ragged", (3, 3, 3), tied=True, learns=(False, False)),
    "float32": Case("one hop", (2, 1, 1), dtype=torch.float32),
    "float32 tied": Case("one hop", (2, 1, 1), tied=True, dtype=torch.float32),
    "bfloat16": Case("one hop", (2, 1, 1), dtype=torch.bfloat16),
    "bfloat16 tied": Case("one hop", (2, 1, 1), tied=True, dtype=torch.bfloat16),
    "alone": Case("ragged", (9,), tied=True, weighted=True),
}


@dataclass(frozen=True)
class Tensors:
    """Whole tensors of a case; ``sums``: the dtype of loss, target and row weights."""

    embedding: Tensor
    context: Tensor
    weight: Tensor | None
    sums: torch.dtype


def tensors(case: Case) -> Tensors:
    n, m = TARGETS[case.target].shape
    random = torch.Generator().manual_seed(11)
    x = case.scale * torch.randn(n, D, generator=random, dtype=torch.float64)
    c = torch.randn(m, D, generator=random, dtype=torch.float64)
    w = torch.rand(n, generator=random, dtype=torch.float64)
    w[0] = 0.0
    sums = torch.float64 if case.dtype == torch.float64 else torch.float32
    return Tensors(x.to(case.dtype), c.to(case.dtype), w.to(sums) if case.weighted else None, sums)


def part(sizes: tuple[int, ...], rank: int) -> slice:
    first = sum(sizes[:rank])
    return slice(first, first + sizes[rank])


def target_of(case: Case, group: Any = None, rank: int = 0, *, fused: bool = False) -> ShardedTarget:
    whole = tensors(case)
    rows = sp.csr_array(TARGETS[case.target][part(case.sizes, rank)])
    columns = None if case.columns is None else case.columns[rank]
    made = sharded_target(rows, tied=case.tied, columns=columns, process_group=group, dtype=whole.sums)
    return replace(made, fused=fused)


def run(case: Case, group: Any = None, rank: int = 0, *, fused: bool = False) -> dict[str, Tensor]:
    """The loss, and of what learns the gradient of the rows here; ``fused``: as on a card, by Triton's interpreter."""
    whole, rows, columns = tensors(case), part(case.sizes, rank), part(case.columns or case.sizes, rank)
    x = whole.embedding[rows].clone().requires_grad_(case.learns[0])
    c = whole.context[columns].clone().requires_grad_(case.learns[1])
    options: dict[str, Any] = {
        "row_weight": None if whole.weight is None else whole.weight[rows],
        "reduction": case.reduction,
        "tile": TILE,
    }
    target = target_of(case, group, rank, fused=fused)
    if case.tied:
        loss = tied_sharded_graph_cross_entropy(x, target, **options)
    else:
        loss = sharded_graph_cross_entropy(x, c, target, **options)
    if loss.requires_grad:
        loss.backward(torch.tensor(1.5, dtype=whole.sums))
    found = {"loss": loss.detach(), "embedding": x.grad, "context": c.grad}
    return {name: tensor for name, tensor in found.items() if tensor is not None}


@dataclass
class Traffic:
    """Counts what goes through ``batch_isend_irecv``: bytes sent and calls."""

    sent: int = 0
    calls: int = 0
    begin: Any = field(default_factory=lambda: dist.batch_isend_irecv)

    def __enter__(self) -> Traffic:
        dist.batch_isend_irecv = self._count
        return self

    def __exit__(self, *_: object) -> None:
        dist.batch_isend_irecv = self.begin

    def _count(self, operations: list[Any]) -> Any:
        self.calls += 1
        self.sent += sum(one.tensor.numel() * one.tensor.element_size() for one in operations if one.op is dist.isend)
        return self.begin(operations)


def traffic(rank: int) -> dict[str, Any]:
    """Bytes sent by one call of each kind, and how many exchanges had begun when each block was handed out."""
    found: dict[str, Any] = {}
    for name in ("uneven", "uneven tied", "bfloat16 tied", "loss alone", "embedding alone"):
        with Traffic() as count:
            run(CASES[name], None, rank)
        found[name] = count.sent
    with Traffic() as count:
        found["begun"] = [count.calls for _ in Ring.of().blocks([torch.zeros(2, 1)], (2,) * PROCESSES)]
    return found


def refusals(rank: int) -> dict[str, str]:
    """What calls that cannot be made say here."""
    odd = rank == 1
    x32, x16 = torch.ones(2, D), torch.ones(2, D, dtype=torch.bfloat16)
    rows = sp.csr_array(np.eye(6)[2 * rank : 2 * rank + 2])
    tied, untied = sharded_target(rows, tied=True), sharded_target(rows, tied=False)
    loss, tied_loss = sharded_graph_cross_entropy, tied_sharded_graph_cross_entropy
    wrong = {
        "dtype": lambda: tied_loss(x16 if odd else x32, tied),
        "width": lambda: tied_loss(x32[:, 1:] if odd else x32, tied),
        "reduction": lambda: tied_loss(x32, tied, reduction="mean" if odd else "sum"),
        "kind": lambda: tied_loss(x32, tied) if odd else loss(x32, x32, untied),
        "weights": lambda: tied_loss(x32, tied, row_weight=torch.ones(2) if odd else None),
        "gradients": lambda: loss(x32, x32.clone().requires_grad_(odd), untied),
        "shape here": lambda: tied_loss(x32[1:] if odd else x32, tied),
        "type here": lambda: tied_loss(None if odd else x32, tied),  # type: ignore[arg-type]
        "target of the other kind": lambda: tied_loss(x32, untied),
        "negative target": lambda: sharded_target(-rows if odd else rows, tied=True),
        "kind of target": lambda: sharded_target(rows, tied=odd),
        "columns of target": lambda: sharded_target(rows[:, :5] if odd else rows, tied=True),
        "dtype of target": lambda: sharded_target(rows, tied=True, dtype=torch.float64 if odd else torch.float32),
        "too few contexts": lambda: sharded_target(rows, tied=False, columns=1),
        "no sparse rows": lambda: sharded_target(rows.toarray() if odd else rows, tied=True),
    }
    said = {}
    for name, call in wrong.items():
        try:
            call()
        except (TypeError, ValueError) as error:
            said[name] = f"{type(error).__name__}: {error}"
    return said


def found_of(cases: dict[str, Case], rank: int, *, fused: bool = False) -> dict[Any, Any]:
    """What this process found of each of its cases, and whether a second call gave the same bits."""
    found: dict[Any, Any] = {}
    pair, single = dist.new_group([0, 1]), dist.new_group([2])
    for name, case in cases.items():
        group, place = {1: (single, rank - 2), 2: (pair, rank), 3: (None, rank)}[len(case.sizes)]
        if 0 <= place < len(case.sizes):
            found[name] = run(case, group, place, fused=fused)
            again = run(case, group, place, fused=fused)
            found["again", name] = all(torch.equal(again[key], tensor) for key, tensor in found[name].items())
    return found


def process(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", timeout=timedelta(seconds=60))
    found = {"refusals": refusals(rank), **found_of(CASES, rank), "traffic": traffic(rank)}
    torch.save(found, folder / f"{rank}.pt")
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    sys.exit(run_script(PROCESSES, process))
