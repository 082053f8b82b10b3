"""Sharded and data-parallel training in worlds of two and three processes: run as a script that makes them all, and
imported for what they found. The script writes WORLD-RANK.pt for each process of the worlds, said/ and run folders."""

from __future__ import annotations

import atexit
import functools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch._dynamo  # which FlopCounterMode imports: here once, not in every process
import torch.distributed as dist
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from fiedler.sims.cli.processes import joined
from fiedler.sims.models.neural_settings import NeuralSettings
from fiedler.sims.models.node2vec import Node2VecSettings
from fiedler.sims.parallel_transformer.training import train_parallel_transformer
from fiedler.sims.sharded import command as sharded
from fiedler.sims.sharded import files as sharded_files
from fiedler.sims.sharded.cost import ShardedCost
from fiedler.sims.sharded.row_shards import row_range
from fiedler.sims.sharded.training import ShardedTraining, train_sharded
from fiedler.theory import one_hop_sparse, parse
from sharded_processes import Traffic
from worlds import end_world, run_world, start_world

WORLDS = (2, 3)
STEPS = 200
RECORDED = (0, 1, 20, STEPS)
EARLY = RECORDED[:3]
# (graph, tied) of the runs of each world; those in UNEVEN, karate cut by hand, only up to the early steps.
RUNS = {
    2: [("path-star:4x5", True), ("karate", False)],
    3: [("path-star:4x5", False), ("karate", True)],
}
UNEVEN = {2: (33, 1), 3: (0, 30, 4)}

# The runs of the command: a checkpoint after each step, and long enough to be killed in the middle.
RUN = ["karate", "--steps", "400", "--width", "16", "--checkpoint-every", "0"]
KILLED_FROM = 20  # step

# Costs: few nodes and wide rows, so that memory is that of the matrices and a step is short.
WIDE, WIDE_N, WIDE_D = "hypercube:9", 512, 4096
TRANSFORMER = NeuralSettings(steps=30, width=8, heads=2, weight_decay=0.1)
TRANSFORMER_STEPS = (0, 1, 10, 30)


def settings(tied: bool) -> Node2VecSettings:
    return Node2VecSettings(steps=STEPS, width=12, tied=tied, weight_decay=0.05 if tied else 0.02)


def rows_of(graph: str, world: int, rank: int) -> Any:
    target = one_hop_sparse(parse(graph))
    here = row_range(target.shape[0], world, rank)
    return target[here.start : here.stop]


def trajectories(world: int, rank: int) -> dict[Any, Any]:
    """The states of every run: losses and the rows here."""
    cut = np.cumsum([0, *UNEVEN[world]])
    uneven = one_hop_sparse(parse("karate"))[cut[rank] : cut[rank + 1]]
    given = [(graph, tied, rows_of(graph, world, rank), RECORDED) for graph, tied in RUNS[world]]
    given += [("uneven", tied, uneven, EARLY) for tied in (True, False)]
    found: dict[Any, Any] = {}
    for name, tied, rows, recorded in given:
        found[name, tied] = [
            (state.loss, *(torch.from_numpy(part) for part in (state.embedding, state.context) if part is not None))
            for state in train_sharded(rows, settings(tied), 3, recorded)
        ]
    return found


def cost_of(tied: bool, world: int) -> ShardedCost:
    entries = parse(WIDE).adjacency.nnz
    return ShardedCost(WIDE_N, WIDE_D, entries, world, "float32", tied)


def costs(world: int, rank: int, tied: bool) -> dict[str, float]:
    """FLOPs and bytes sent of a step, and the peak memory of another."""
    rows = rows_of(WIDE, world, rank)
    chosen = Node2VecSettings(steps=2, width=WIDE_D, tied=tied, init_std=0.01)
    training = ShardedTraining(rows, chosen, 0, dtype="float32")
    addmm = torch.ops.aten.addmm_
    count = FlopCounterMode(display=False, custom_mapping={addmm: lambda _, a, b, **__: 2 * a[0] * a[1] * b[1]})
    with count, Traffic() as traffic:
        training.advance()
    state = sum(array.nbytes for array in training.state().values())  # made by NumPy, which the profiler does not see
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True, acc_events=True) as profiled:
        training.advance()
    entries = sum(len(block.value) for block in (*training.target.forward, *training.target.backward))
    return {
        # But for the inner products of rows with what the sparse target gave.
        "flops": count.get_total_flops() - count.get_flop_counts()["Global"].get(torch.ops.aten.bmm, 0),
        "bytes": traffic.sent,
        "peak": state + _peak(profiled),
        "sparse": 2 * entries * WIDE_D,
        "state": state,
    }


def _peak(profiled: Any) -> int:
    """The most bytes in tensors at a time, above those at the beginning."""
    events = [event for event in profiled.profiler.kineto_results.events() if event.name() == "[memory]"]
    return int(np.cumsum([event.nbytes() for event in sorted(events, key=lambda event: event.start_ns())]).max())


def refusals(rank: int) -> dict[str, str]:
    """What calls that cannot be made say on this process."""
    rows = rows_of("karate", 2, rank)
    odd = {"seed": (settings(True), rank), "settings": (settings(rank == 0), 0)}
    said = {}
    for name, (chosen, seed) in odd.items():
        try:
            next(train_sharded(rows, chosen, seed))
        except ValueError as error:
            said[name] = str(error)
    try:
        list(train_sharded(rows, Node2VecSettings(steps=50, learning_rate=100.0), 0))
    except FloatingPointError as error:
        said["divergence"] = str(error)
    return said


def transformer(rank: int) -> list[Any]:
    target = one_hop_sparse(parse("karate"))
    states = train_parallel_transformer(target, TRANSFORMER, 5, TRANSFORMER_STEPS)
    return [(s.loss, torch.from_numpy(s.embedding), torch.from_numpy(s.logits)) for s in states]


def measure(world: int, rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    found: dict[str, Any] = {}
    with joined("cpu"):
        for tied in (True, False):
            found[f"costs {tied}"] = costs(world, rank, tied)
        found["trajectories"] = trajectories(world, rank)
        if world == 2:
            found["refusals"] = refusals(rank)
            found["transformer"] = transformer(rank)
        dist.barrier()
    torch.save(found, folder / f"{world}-{rank}.pt")


def command(*arguments: str) -> Any:
    """What a process of a world of the command does."""
    return lambda rank: sharded.main(list(arguments))


def full_disk_on_process_1(*arguments: str) -> Any:
    """The same where process 1 cannot write its third checkpoint."""

    def work(rank: int) -> int:
        write, written = sharded_files.write_checkpoint, []

        def fails(folder: Path, checkpoint: Any) -> Path:
            written.append(checkpoint.step)
            if rank == 1 and len(written) == 3:
                raise OSError("No space left on device")
            return write(folder, checkpoint)

        sharded_files.write_checkpoint = fails
        return sharded.main([*RUN, *arguments])

    return work


def killed(folder: Path) -> None:
    """A run of two processes of which both are killed in the middle, and taken up again; checkpoints at its end."""
    run = command(*RUN, "--out", str(folder / "killed"))
    running = start_world(2, run, folder / "said" / "killed")
    wait_for_step(folder / "killed", KILLED_FROM)
    for one in running:
        assert one.pid is not None
        os.kill(one.pid, signal.SIGKILL)
    assert set(end_world(running)) == {-signal.SIGKILL}
    (folder / "left").write_text(str([checkpoint_steps(folder / "killed", rank) for rank in range(2)]))
    resumed = command(*RUN, "--out", str(folder / "killed"), "--resume", "--json")
    assert run_world(2, resumed, folder / "said" / "resumed") == [0, 0]


def stopped(folder: Path) -> list[int]:
    """The exit codes of a run of which process 1 is asked to stop."""
    run = folder / "stopped"
    running = start_world(2, command(*RUN[:-2], "--steps", "100000", "--out", str(run)), folder / "said" / "stopped")
    until = time.monotonic() + 60
    while not (run / "metrics.jsonl").is_file() or (run / "metrics.jsonl").read_text().count("\n") < 10:
        assert time.monotonic() < until, f"nothing recorded in {run}"
        time.sleep(0.01)
    assert running[1].pid is not None
    os.kill(running[1].pid, signal.SIGTERM)
    return end_world(running, patient=True)


def checkpoint_steps(run: Path, rank: int) -> list[int]:
    names = os.listdir(run / "checkpoint" / f"rank-{rank}") if (run / "checkpoint" / f"rank-{rank}").is_dir() else []
    return sorted(int(found.group(1)) for name in names if (found := re.match(r"step-(\d+)\.", name)))


def wait_for_step(run: Path, step: int) -> None:
    """Until process 1 has a checkpoint of that step or a later one."""
    until = time.monotonic() + 60
    while max(checkpoint_steps(run, 1), default=0) < step:
        assert time.monotonic() < until, f"no checkpoint of step {step} in {run}"
        time.sleep(0.01)


def main(folder: Path) -> int:
    for world in WORLDS:
        said = folder / "said" / f"world-{world}"
        codes = run_world(world, lambda rank, world=world: measure(world, rank, folder), said)
        assert not any(codes), "".join(path.read_text() for path in sorted(said.glob("*.err")))
    assert run_world(2, command(*RUN, "--out", str(folder / "whole"), "--json"), folder / "said" / "whole") == [0, 0]
    killed(folder)
    failing = {
        "full disk": full_disk_on_process_1("--out", str(folder / "full")),
        "divergence": command("karate", "--learning-rate", "100", "--steps", "50", "--out", str(folder / "diverged")),
        "no graph": command("nosuch.edges"),
        "two ways": command("karate", "--resume", "--overwrite"),
    }
    codes = {name: run_world(2, work, folder / "said" / name, patient=True) for name, work in failing.items()}
    codes["stopped"] = stopped(folder)
    (folder / "codes.json").write_text(json.dumps(codes))
    return 0


@functools.cache
def found() -> Path:
    """The folder in which the script has written everything; it runs once."""
    folder = Path(tempfile.mkdtemp(prefix="sharded-runs-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    done = subprocess.run(
        [sys.executable, __file__, str(folder)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


def of_world(world: int) -> list[dict[str, Any]]:
    """What each of ``world`` processes found."""
    return [torch.load(found() / f"{world}-{rank}.pt") for rank in range(world)]


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
