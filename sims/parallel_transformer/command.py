"""A data-parallel Transformer with its run folder: the command.

    torchrun --nproc-per-node 2 -m fiedler.sims.parallel_transformer GRAPH --out DIR
    accelerate launch --multi_gpu --num_processes 8 -m fiedler.sims.parallel_transformer GRAPH --out DIR --device cuda

(Without ``--multi_gpu`` it starts one process, whatever ``--num_processes`` says; with it as many, on the CPU too.)
The model is whole on every process, so process 0 alone writes: the folder of ``fiedler train`` but for the scores. The
training is ``parallel_transformer.training``'s.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import torch.distributed as dist
import typer
from numpy.typing import NDArray

from fiedler.kernels.sharded.ring import ALIKE, Ring

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
    check_restart,
    setting_overrides,
)
from ..cli.processes import joined, rank, run_command
from ..disk.files import folder_name
from ..disk.jsonio import to_json
from ..disk.lock import locked
from ..models.protocol import Final, Snapshot
from ..models.registry import get_model
from ..runs.engine import CHECKPOINT_SECONDS, CHECKPOINT_SHARE, check_interval, describe_run
from ..runs.folder import RunDir
from ..runs.graph_arrays import graph_arrays
from ..runs.guards import check_disk
from ..runs.recorder import Recorder, log_spaced_steps
from ..runs.seed_files import RunFiles
from ..runs.stopping import Interrupted, StopRequest, stop_on_signals
from ..runs.take_up import take_up
from ..tasks.make import make_task
from ..tasks.task import Task
from .training import ParallelState, ParallelTransformerTraining, train_parallel_transformer

__all__ = ["ParallelState", "ParallelTransformerTraining", "main", "run_parallel", "train_parallel_transformer"]

NAME = "python -m fiedler.sims.parallel_transformer"

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
    resume: Resume = False,
    checkpoint_every: CheckpointEvery = None,
    json: Json = False,
) -> None:
    """Train the Transformer on GRAPH with its batch spread over the processes that were started.

    Process 0 writes the run folder. Ctrl-C saves a checkpoint and stops; the same command with --resume goes on.
    """

    def prepare() -> tuple[Any, Any]:
        check_restart(overwrite, resume)
        check_interval(checkpoint_every)
        overrides = setting_overrides(steps, learning_rate, width, init_std, weight_decay)
        task = make_task(graph, symmetrize, self_edges, label_smoothing)
        return task, get_model("transformer").make_settings(**overrides)

    with joined(device) as place, stop_on_signals() as stop:
        task, settings = Ring.of().together(prepare, place)
        folder = out or Path("runs") / f"{folder_name(task.graph.name)}-parallel-seed{seed}"
        began = time.perf_counter()
        loss = run_parallel(
            task,
            settings,
            seed,
            folder,
            device=device,
            overwrite=overwrite,
            resume=resume,
            checkpoint_every=checkpoint_every,
            stop=stop,
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


def run_parallel(
    task: Task,
    settings: Any,
    seed: int,
    out: Path,
    *,
    device: str = "cpu",
    overwrite: bool = False,
    resume: bool = False,
    checkpoint_every: float | None = None,
    stop: StopRequest | None = None,
) -> float:
    """Train on every process of the world, which all call this, and return the loss per node at the end.

    ``resume``: process 0 reads its last checkpoint and sends it to the others; with as many processes as before the
    result is that of a run never stopped, bit for bit, on the CPU. ``stop``: where any process is asked to stop,
    process 0 saves and all raise Interrupted. Errors are those of ``ParallelTransformerTraining`` and ``run_seeds``,
    on every process alike.
    """
    if task.directed or task.row_weight is not None:
        raise ValueError("a parallel run weighs the nodes of an undirected graph alike: no direction, no line weights")
    training = ParallelTransformerTraining(task.sparse_target, settings, seed, device=device)
    ring, place = training.ring, training.device
    steps = log_spaced_steps(settings.steps)
    recorder = Recorder(task.spaces, steps)
    config = describe_run(task, get_model("transformer"), settings, seed) | {"processes": ring.world}
    with ExitStack() as held:

        def open_files() -> RunFiles | None:
            if ring.rank:
                return None
            RunDir.check(out, overwrite=overwrite or resume)
            check_disk(out, [training.state()], 1)
            held.enter_context(locked(out))
            folder = RunDir(out)
            if not (resume and take_up(folder, config)):
                folder = RunDir.create(out, config, overwrite=overwrite or resume)
            folder.clean()
            files = RunFiles(folder, config, recorder, None)
            held.callback(files.close)
            return files

        files = ring.together(open_files, place)
        _go_back(training, files, recorder)
        loss = _train(training, files, recorder, checkpoint_every, stop)
        state = training.current()

        def finish() -> None:
            if files is not None:
                modes = recorder.finish()
                spaces = task.spaces
                arrays: dict[str, NDArray[Any]] = {
                    "steps": modes.steps,
                    "energy": modes.energy,
                    "centred_energy": modes.centred_energy,
                    "loss_per_node": modes.loss,
                    "eigenvalues": spaces.eigenvalues,
                    "multiplicities": np.asarray(spaces.multiplicities),
                    **graph_arrays(task.graph),
                }
                arrays |= recorder.snapshots()
                files.finish(Final(state.embedding, None, state.logits), arrays)

        ring.together(finish, place)
    return loss


def _go_back(training: ParallelTransformerTraining, files: RunFiles | None, recorder: Recorder) -> None:
    """Put every process at process 0's last checkpoint, or leave all at step 0."""
    ring, place = training.ring, training.device

    def load() -> bytes:
        from safetensors.numpy import save

        if files is None:
            return b""
        found = files.steps()
        if not found:
            files.begin_again()
            return b""
        state = {f"state/{name}": array for name, array in files.load(found[0]).items()}
        record = {f"record/{name}": array for name, array in recorder.state().items()}
        return save({**state, **record, "step": np.array(found[0])})

    data = _from_first(ring.together(load, place), place)
    if data:
        from safetensors.numpy import load as unpack

        found = unpack(data)
        parts = [
            {name.removeprefix(kind): array for name, array in found.items() if name.startswith(kind)}
            for kind in ("state/", "record/")
        ]
        training.restore(int(found["step"]), parts[0])
        recorder.restore(parts[1])


def _from_first(data: bytes, place: torch.device) -> bytes:
    """Process 0's ``data`` on every process."""
    if not (dist.is_available() and dist.is_initialized()):
        return data
    length = torch.tensor([len(data)], dtype=torch.int64, device=place)
    dist.broadcast(length, 0)
    if not int(length):
        return b""
    sent = torch.frombuffer(bytearray(data or bytes(int(length))), dtype=torch.uint8).to(place)
    dist.broadcast(sent, 0)
    return sent.cpu().numpy().tobytes()


def _train(
    training: ParallelTransformerTraining,
    files: RunFiles | None,
    recorder: Recorder,
    every: float | None,
    stop: StopRequest | None,
) -> float:
    ring, place = training.ring, training.device
    saved, fresh = time.monotonic(), training.step
    wait = CHECKPOINT_SECONDS if every is None else every
    loss = float(recorder.state()["loss"][-1]) if recorder.count else float("nan")
    while True:
        if recorder.next_step == training.step:
            state = training.current()
            loss = state.loss
            recorder.record(state.embedding, loss)
            if files is not None:
                files.log(Snapshot(0, state.step, state.embedding, loss))
        last = recorder.next_step is None
        flags = [stop is not None and stop.asked and not last, last or time.monotonic() - saved >= wait]
        told = ring.gather(torch.tensor(flags, dtype=torch.int64, device=place)).amax(dim=0)
        asked, due = bool(told[0]), bool(told[1])
        if (asked or due) and training.step > fresh:
            began = time.monotonic()
            ring.together(lambda: None if files is None else files.save(training.step, training.state()), place)
            saved, fresh = time.monotonic(), training.step
            wait = max(CHECKPOINT_SECONDS, CHECKPOINT_SHARE * (saved - began)) if every is None else every
        if last:
            return loss
        if asked:
            error = Interrupted(f"interrupted at step {training.step}: go on with --resume")
            error.add_note(ALIKE)
            raise error
        training.advance()


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code: 0 done, 2 bad input, 1 failure, 130 interrupted."""
    return run_command(app, NAME, arguments)
