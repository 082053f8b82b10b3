"""Node2Vec with its embedding spread over processes and machines: the command.

    torchrun --nproc-per-node 8 -m fiedler.sims.sharded GRAPH --out DIR
    python -m fiedler.sims.sharded GRAPH --dry-run --processes 64      # what it would cost, without running it

Process 0 alone prints. The training is ``train_sharded``, which a program with rows of its own calls directly; the run
folder is ``run_sharded``'s. docs/scaling.md says how to launch it and what it costs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from fiedler.kernels.sharded.ring import Ring

from ..cli.options import (
    CheckpointEvery,
    Decay,
    DryRun,
    GraphWord,
    InitStd,
    Json,
    Overwrite,
    Rate,
    Resume,
    SelfEdges,
    Steps,
    Symmetrize,
    Width,
    setting_overrides,
    with_reading,
)
from ..cli.processes import joined, rank, run_command, world_size
from ..cli.progress import Stages
from ..disk.files import folder_name
from ..disk.jsonio import to_json
from ..models.registry import get_model
from ..runs.control import Restart, Watch
from ..runs.guards import size
from ..runs.stopping import stop_on_signals
from ..tasks.make import make_task
from .cost import ShardedCost
from .run import run_sharded

NAME = "python -m fiedler.sims.sharded"

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command(context_settings={"help_option_names": ["-h", "--help"]})
@with_reading
def train(
    graph: GraphWord,
    out: Annotated[Path | None, typer.Option("--out", help="Run folder (default runs/GRAPH-sharded-seedS).")] = None,
    untied: Annotated[bool, typer.Option("--untied", help="Separate input and output embeddings.")] = False,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the initial weights.")] = 0,
    steps: Steps = None,
    learning_rate: Rate = None,
    width: Width = None,
    init_std: InitStd = None,
    weight_decay: Decay = None,
    self_edges: SelfEdges = False,
    symmetrize: Symmetrize = False,
    dtype: Annotated[str, typer.Option("--dtype", help="float64 or float32.")] = "float64",
    device: Annotated[str, typer.Option("--device", help="cpu (gloo) or cuda (NCCL, a card a process).")] = "cpu",
    overwrite: Overwrite = False,
    resume: Resume = False,
    checkpoint_every: CheckpointEvery = None,
    dry_run: DryRun = False,
    processes: Annotated[
        int | None, typer.Option("--processes", min=1, help="With --dry-run: of so many processes, not those here.")
    ] = None,
    json: Json = False,
    reading: Any = None,
) -> None:
    """Full-batch Node2Vec with the rows of the embedding spread over the processes that torchrun started.

    The same numbers as on one process, up to rounding. Ctrl-C saves a checkpoint and stops; the same command with
    --resume and as many processes goes on from the newest checkpoint, as after any other end.
    """

    def prepare() -> tuple[Any, Any, Restart]:
        restart = Restart(overwrite, resume, checkpoint_every)
        if processes is not None and not dry_run:
            raise ValueError("--processes is for --dry-run; torchrun --nproc-per-node says how many train")
        overrides = setting_overrides(steps, learning_rate, width, init_std, weight_decay)
        settings = get_model("node2vec-untied" if untied else "node2vec").make_settings(**overrides)
        return make_task(graph, symmetrize, self_edges, dense=False, reading=reading), settings, restart

    if dry_run:
        if rank() == 0:
            _print_cost(*prepare()[:2], dtype, device, processes or world_size(), json)
        return
    with joined(device) as place, stop_on_signals() as stop:
        task, settings, restart = Ring.of().together(prepare, place)
        folder = out or Path("runs") / f"{folder_name(task.graph.name)}-sharded-seed{seed}"
        with Stages() as stages:
            result = run_sharded(
                task,
                settings,
                seed,
                folder,
                dtype=dtype,
                device=place,
                restart=restart,
                watch=Watch(stages.update if rank() == 0 else None, stop),
            )
    if rank():
        return
    if json:
        print(to_json({"graph": task.graph.name, **vars(result)}))
        return
    print(
        f"{task.graph.name}: {result.n} nodes on {result.processes} process(es), {result.steps} steps in "
        f"{result.seconds:.3g} s, loss per node {result.loss_per_node:.6g}\nrows: {result.folder}/embeddings-rank-*."
        "safetensors"
    )


def _print_cost(task: Any, settings: Any, dtype: str, device: str, processes: int, json: bool) -> None:
    entries = task.graph.adjacency.nnz + (task.graph.n if task.self_edges else 0)
    cost = ShardedCost(task.graph.n, settings.width, max(1, entries), processes, dtype, settings.tied, device)
    if json:
        print(to_json({"graph": task.graph.name, "steps": settings.steps, **cost.describe()}))
        return
    print(
        f"{task.graph.name}: {cost.n} nodes, width {cost.width}, {dtype}, {settings.steps} steps on {processes} "
        f"process(es), each with {cost.rows()} rows and a step of {cost.flops / 1e9:.4g} GFLOP and "
        f"{size(cost.bytes_sent())} sent; peak memory about {size(cost.peak_bytes)} beyond the libraries, checkpoints "
        f"of {size(cost.checkpoint_bytes)}"
    )


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code: 0 done, 2 bad input, 1 failure, 130 interrupted."""
    return run_command(app, NAME, arguments)
