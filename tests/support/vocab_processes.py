"""Processes of a group that compute the vocabulary-parallel loss: run as a script for all of them, imported for the
cases. Each writes what it found to FOLDER/RANK.pt."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from fiedler.kernels.linear.cross_entropy import linear_cross_entropy
from fiedler.kernels.linear.vocabulary.layout import VocabLayout
from fiedler.kernels.linear.vocabulary.parallel import vocab_parallel_linear_cross_entropy
from worlds import run_script

PROCESSES = 4
SIZES = (7, 5, 8, 3)  # classes of the four shards, ragged
N, D, V = 37, 16, sum(SIZES)
CHUNK_ROWS = 10  # the last chunk has 7 rows, which four processes do not divide


@dataclass(frozen=True)
class Case:
    """Options of one call; ``bias``, ``class_weight`` and ``token_weight`` say whether it has them."""

    options: dict[str, Any] = field(default_factory=dict)
    dtype: torch.dtype = torch.float32
    bias: bool = False
    class_weight: bool = False
    token_weight: bool = False


CASES = {
    "plain": Case(),
    "sum in float64": Case({"reduction": "sum"}, torch.float64, bias=True),
    "rows": Case({"reduction": "none", "label_smoothing": 0.1}),
    "everything": Case(
        {"label_smoothing": 0.2, "logit_softcap": 4.0, "z_loss": 0.01},
        bias=True,
        class_weight=True,
        token_weight=True,
    ),
    "bfloat16": Case({"z_loss": 0.1}, torch.bfloat16),
}


@dataclass(frozen=True)
class Tensors:
    """Whole tensors of a case."""

    input: Tensor
    weight: Tensor
    target: Tensor
    bias: Tensor | None
    class_weight: Tensor | None
    token_weight: Tensor | None
    upstream: Tensor


def tensors(case: Case) -> Tensors:
    random = torch.Generator().manual_seed(3)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=random, dtype=torch.float64).to(case.dtype)

    target = torch.randint(V, (N,), generator=random)
    target[[3, 30]] = -100
    wide = torch.float64 if case.dtype == torch.float64 else torch.float32
    bias, class_weight, token_weight = normal(V), normal(V).abs().to(wide), normal(N).abs().to(wide)
    return Tensors(
        normal(N, D),
        normal(V, D),
        target,
        bias if case.bias else None,
        class_weight if case.class_weight else None,
        token_weight if case.token_weight else None,
        normal(N).to(wide) if case.options.get("reduction") == "none" else torch.tensor(1.5, dtype=wide),
    )


def run(case: Case, layout: VocabLayout | None, group: Any = None) -> dict[str, Tensor]:
    """Loss and gradients of this process, for the rows of weight that ``layout`` gives it."""
    whole = tensors(case)
    first = layout.starts[layout.local.start] if layout.local_classes else 0
    rows = slice(first, first + layout.local_classes)
    x, w = whole.input.requires_grad_(), whole.weight[rows].clone().requires_grad_()
    b = None if whole.bias is None else whole.bias[rows].clone().requires_grad_()
    loss = vocab_parallel_linear_cross_entropy(
        x,
        w,
        whole.target,
        process_group=group,
        layout=layout,
        bias=b,
        class_weight=whole.class_weight,
        token_weight=whole.token_weight,
        chunk_rows=CHUNK_ROWS,
        **case.options,
    )
    loss.backward(whole.upstream)
    found = {"loss": loss.detach(), "input": x.grad, "weight": w.grad}
    return found if b is None else {**found, "bias": b.grad}


def run_dtensor(case: Case, mesh: Any) -> dict[str, Tensor]:
    """The same by the general function with the weight as a DTensor, cut as DTensor cuts it; whole gradients."""
    from torch.distributed.tensor import Replicate, Shard, distribute_tensor

    whole = tensors(case)
    x = distribute_tensor(whole.input, mesh, [Replicate()]).requires_grad_()
    w = distribute_tensor(whole.weight, mesh, [Shard(0)]).requires_grad_()
    b = None if whole.bias is None else distribute_tensor(whole.bias, mesh, [Shard(0)]).requires_grad_()
    loss = linear_cross_entropy(
        x,
        w,
        whole.target,
        bias=b,
        class_weight=whole.class_weight,
        token_weight=whole.token_weight,
        chunk_rows=CHUNK_ROWS,
        vocab_parallel=True,
        **case.options,
    )
    loss.backward(whole.upstream)
    found = {"loss": loss.detach(), "input": x.grad.full_tensor(), "weight": w.grad.full_tensor()}
    return found if b is None else {**found, "bias": b.grad.full_tensor()}


def refusals(mesh: Any) -> dict[str, str]:
    """What calls that cannot be made say."""
    from torch.distributed.tensor import Replicate, distribute_tensor

    whole = tensors(CASES["plain"])
    x, y = whole.input, whole.target
    wrong = {
        "replicated weight": lambda: (x, distribute_tensor(whole.weight, mesh, [Replicate()]), y, None),
        "layout of another group": lambda: (x, whole.weight, y, VocabLayout((V,), (1,), 0)),
        "rows of another layout": lambda: (x, whole.weight, y, VocabLayout(SIZES, (1,) * 4, dist.get_rank())),
    }
    said = {}
    for name, arguments in wrong.items():
        a, w, t, layout = arguments()
        try:
            vocab_parallel_linear_cross_entropy(a, w, t, layout=layout)
        except ValueError as error:
            said[name] = str(error)
    return said


def process(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", timeout=timedelta(seconds=100))
    from torch.distributed.device_mesh import init_device_mesh

    mesh = init_device_mesh("cpu", (PROCESSES,))
    pair = dist.new_group([0, 1])
    found: dict[str, Any] = {"refusals": refusals(mesh)}
    for name, case in CASES.items():
        four = VocabLayout(SIZES, (1, 1, 1, 1), rank)
        found["four", name] = run(case, four)
        found["again", name] = run(case, four)
        found["dtensor", name] = run_dtensor(case, mesh)
        if rank < 2:
            found["two", name] = run(case, VocabLayout(SIZES, (2, 2), rank), pair)
            found["uneven", name] = run(case, VocabLayout(SIZES, (1, 3), rank), pair)
    # Sizes found out by asking.
    x, w, y = torch.ones(3, D), torch.ones(SIZES[rank], D), torch.tensor([0, V - 1, 5])
    found["gathered"] = vocab_parallel_linear_cross_entropy(x, w, y)
    torch.save(found, folder / f"{rank}.pt")
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    sys.exit(run_script(PROCESSES, process))
