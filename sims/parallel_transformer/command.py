"""A data-parallel Transformer with its run folder: the command.

    torchrun --nproc-per-node 2 -m fiedler.sims.parallel_transformer GRAPH --out DIR
    accelerate launch --multi_gpu --num_processes 8 -m fiedler.sims.parallel_transformer GRAPH --out DIR --device cuda

(Without ``--multi_gpu`` it starts one process, whatever ``--num_processes`` says; with it as many, on the CPU too.)
The model is whole on every process, so process 0 alone writes: the folder of ``fiedler train`` but for the scores. The
training is ``parallel_transformer.training``'s.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from fiedler.kernels.sharded.ring import Ring

from ..cli.options import (
    CheckpointEvery,
    Decay,
    GraphWord,
    InitStd,
    Json,
    Overwrite,
    Rate,
    Resume,
    SelfEdges,
    Smoothing,
    Steps,
    Symmetrize,
    Width,
    setting_overrides,
    with_reading,
)
from ..cli.processes import joined, rank, run_command
from ..disk.files import folder_name
from ..disk.jsonio import to_json
from ..models.registry import get_model
from ..runs.control import Restart, Watch
from ..runs.stopping import stop_on_signals
from ..tasks.make import make_task
from .run import run_parallel

NAME = "python -m fiedler.sims.parallel_transformer"

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command(context_settings={"help_option_names": ["-h", "--help"]})
@with_reading
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
    resume: Resume = False,
    checkpoint_every: CheckpointEvery = None,
    json: Json = False,
    reading: Any = None,
) -> None:
    """Train the Transformer on GRAPH with its batch spread over the processes that were started.

    Process 0 writes the run folder. Ctrl-C saves a checkpoint and stops; the same command with --resume goes on.
    """

    def prepare() -> tuple[Any, Any, Restart]:
        restart = Restart(overwrite, resume, checkpoint_every)
        overrides = setting_overrides(steps, learning_rate, width, init_std, weight_decay)
        task = make_task(graph, symmetrize, self_edges, label_smoothing, reading=reading)
        return task, get_model("transformer").make_settings(**overrides), restart

    with joined(device) as place, stop_on_signals() as stop:
        task, settings, restart = Ring.of().together(prepare, place)
        folder = out or Path("runs") / f"{folder_name(task.graph.name)}-parallel-seed{seed}"
        began = time.perf_counter()
        loss = run_parallel(
            task,
            settings,
            seed,
            folder,
            device=device,
            restart=restart,
            watch=Watch(stop=stop),
        )
        world, seconds = Ring.of().world, time.perf_counter() - began
    if rank():
        return
    result = {
        "graph": task.graph.name,
        "n": task.graph.n,
        "processes": world,
        "steps": settings.steps,
        "loss_per_node": loss,
        "seconds": seconds,
        "folder": folder,
    }
    if json:
        print(to_json(result))
        return
    print(
        f"{task.graph.name}: {task.graph.n} nodes on {world} process(es), {settings.steps} steps in {seconds:.3g} s, "
        f"loss per node {loss:.6g}\nembedding: {folder}/embeddings.safetensors"
    )


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code: 0 done, 2 bad input, 1 failure, 130 interrupted."""
    return run_command(app, NAME, arguments)
