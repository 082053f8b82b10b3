"""The Transformer of ``transformer.py`` with its batch spread over processes by ``accelerate``, and its command.

    torchrun --nproc-per-node 2 -m fiedler.sims.parallel_transformer GRAPH --out DIR
    accelerate launch --multi_gpu --num_processes 8 -m fiedler.sims.parallel_transformer GRAPH --out DIR --device cuda

(Without ``--multi_gpu`` it starts one process, whatever ``--num_processes`` says; with it as many, on the CPU too.)

Every process has the whole model and the rows r of the full batch; the gradient of the mean over all n nodes is the
average over the p processes (``DistributedDataParallel``) of those of p/n times each one's sum of losses. AdamW then
takes the same step everywhere: the trajectory of one process, up to the rounding of sums in another order.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import scipy.sparse as sp
import torch
import typer
from numpy.typing import NDArray

from fiedler.kernels import csr_target, graph_cross_entropy
from fiedler.kernels.ring import ALIKE, Ring

from .cli_options import (
    Decay,
    GraphWord,
    InitStd,
    Json,
    Overwrite,
    Rate,
    SelfEdges,
    Smoothing,
    Steps,
    Symmetrize,
    Width,
    folder_name,
    make_task,
    setting_overrides,
)
from .jsonio import to_json
from .lock import locked
from .models import get_model
from .recorder import log_spaced_steps
from .row_shards import row_range
from .rundir import RunDir
from .train import describe_run
from .training import Diverged
from .transformer import TransformerSettings, build_transformer, edge_inputs
from .world import joined, rank, run_command

NAME = "python -m fiedler.sims.parallel_transformer"


@dataclass(frozen=True, eq=False)
class ParallelState:
    """The model at one step: ``embedding`` (n, width) float32 of the nodes and ``loss``, the mean cross-entropy per
    node over the whole vocabulary, alike on every process; ``logits`` (n_r, n) over the nodes, of the rows here."""

    step: int
    embedding: NDArray[np.float32]
    loss: float
    logits: NDArray[np.float32]


class _RowLoss(torch.nn.Module):
    """Sum of losses of some rows, and their hidden states: what DistributedDataParallel has to see as one forward."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, inputs: torch.Tensor, target: Any) -> tuple[torch.Tensor, torch.Tensor]:
        hidden = self.model.transformer(input_ids=inputs).last_hidden_state[:, -1]
        return graph_cross_entropy(hidden, self.model.lm_head.weight, target), hidden


def train_parallel_transformer(
    target: sp.csr_array,
    settings: TransformerSettings,
    seed: int,
    record_steps: Sequence[int] | NDArray[np.int64],
    *,
    device: str = "cpu",
) -> Iterator[ParallelState]:
    """Yield the state at each of the ascending ``record_steps`` (<= settings.steps), on every process of the world.

    ``target``: the whole sparse row-stochastic (n, n), of which each process keeps its rows. float32; initial weights
    are those of ``train_transformer`` with the same seed. Call it inside ``world.joined``, or alone.

    Raises RuntimeError where ``accelerate`` is not installed; ValueError, on every process, for more processes than
    nodes and for dropout, whose random numbers would depend on who holds which rows; Diverged (a FloatingPointError)
    on every process where the loss is not finite, naming the step.
    """
    accelerator = _accelerator(device)
    ring, n = Ring.of(), target.shape[0]
    if settings.dropout:
        raise _alike(ValueError("dropout is for one process (fiedler train); set it to 0 to spread a batch"))
    if ring.world > n:
        raise _alike(ValueError(f"{ring.world} processes have no node each of {n}; start at most {n}"))
    here = row_range(n, ring.world, ring.rank)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = _RowLoss(build_transformer(n, settings))
    weights = module.model.lm_head.weight
    optimiser = torch.optim.AdamW(module.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    module, optimiser = accelerator.prepare(module, optimiser)
    inputs = edge_inputs(n)[here.start : here.stop].to(accelerator.device)
    rows = csr_target(target[here.start : here.stop], columns=n + 1, device=accelerator.device)

    def mean(loss: torch.Tensor, step: int) -> float:
        value = float(ring.gather(loss.detach().double()).sum()) / n
        if not np.isfinite(value):
            raise _alike(Diverged(f"training diverged before step {step}", "lower the learning rate", step))
        return value

    step = 0
    for record in record_steps:
        module.train()
        while step < record:
            optimiser.zero_grad(set_to_none=True)
            loss, _ = module(inputs, rows)
            mean(loss, step)
            accelerator.backward(loss * (ring.world / n))
            optimiser.step()
            step += 1
        module.eval()
        with torch.no_grad():
            loss, hidden = module(inputs, rows)
            embedding = weights[:n]
            state = ParallelState(
                step, embedding.cpu().numpy().copy(), mean(loss, step), (hidden @ embedding.T).cpu().numpy()
            )
        yield state


def _accelerator(device: str) -> Any:
    try:
        from accelerate import Accelerator
    except ImportError as error:
        raise RuntimeError('accelerate is not installed; pip install "fiedler[distributed]"') from error
    return Accelerator(cpu=device == "cpu", mixed_precision="no")


def _alike(error: Exception) -> Exception:
    error.add_note(ALIKE)
    return error


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command(context_settings={"help_option_names": ["-h", "--help"]})
def train(
    graph: GraphWord,
    out: Annotated[Path | None, typer.Option("--out", help="Run folder (default runs/GRAPH-parallel-seedS).")] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the initial weights.")] = 0,
    steps: Steps = None,
    learning_rate: Rate = None,
    width: Width = None,
    init_std: InitStd = None,
    weight_decay: Decay = None,
    self_edges: SelfEdges = False,
    label_smoothing: Smoothing = 0.0,
    symmetrize: Symmetrize = False,
    device: Annotated[str, typer.Option("--device", help="cpu (gloo) or cuda (NCCL, a card a process).")] = "cpu",
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    """Train the Transformer on GRAPH with its batch spread over the processes that were started.

    Process 0 writes config.json, environment.json, metrics.jsonl and embeddings.safetensors into the run folder.
    """

    def prepare() -> tuple[Any, Any]:
        overrides = setting_overrides(steps, learning_rate, width, init_std, weight_decay)
        task = make_task(graph, symmetrize, self_edges, label_smoothing, 1, 1.0, 1.0)
        return task, get_model("transformer").make_settings(**overrides)

    with joined(device) as place, ExitStack() as held:
        ring = Ring.of()
        task, settings = ring.together(prepare, place)
        folder = out or Path("runs") / f"{folder_name(task.graph.name)}-parallel-seed{seed}"
        config = describe_run(task, get_model("transformer"), settings, seed) | {"processes": ring.world}
        record_steps = log_spaced_steps(settings.steps)
        states = train_parallel_transformer(task.sparse_target, settings, seed, record_steps, device=device)
        first = next(states)  # what cannot be trained is refused before a folder is made

        def open_folder() -> RunDir | None:
            if rank():
                return None
            RunDir.check(folder, overwrite=overwrite)
            held.enter_context(locked(folder))
            return RunDir.create(folder, config, overwrite=overwrite)

        run, began = ring.together(open_folder, place), time.perf_counter()
        for state in chain([first], states):
            if run is not None:
                run.append_metrics({"step": state.step, "time": None, "loss_per_node": state.loss})
        if run is None:
            return
        run.write_embeddings({"embedding": state.embedding})
        run.seal()
    result = {
        "graph": task.graph.name,
        "n": task.graph.n,
        "processes": ring.world,
        "steps": state.step,
        "loss_per_node": state.loss,
        "seconds": time.perf_counter() - began,
        "folder": folder,
    }
    if json:
        print(to_json(result))
        return
    print(
        f"{task.graph.name}: {task.graph.n} nodes on {ring.world} process(es), {state.step} steps in "
        f"{result['seconds']:.3g} s, loss per node {state.loss:.6g}\nembedding: {folder}/embeddings.safetensors"
    )


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code: 0 done, 2 bad input, 1 failure, 130 interrupted."""
    return run_command(app, NAME, arguments)


if __name__ == "__main__":
    sys.exit(main())
