"""Sharded training against training on one process, killed and taken up again, and what its command says."""

from __future__ import annotations

import ast
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sharded_runs
from fiedler.kernels.sharded.ring import Ring
from fiedler.sims.disk.files import Damage
from fiedler.sims.models.node2vec import Node2VecSettings, train_node2vec
from fiedler.sims.runs.checkpoints import Checkpoint, write_checkpoint
from fiedler.sims.runs.control import Restart, Watch
from fiedler.sims.runs.folder import RunDir
from fiedler.sims.runs.recorder import log_spaced_steps
from fiedler.sims.runs.shards import read_shards
from fiedler.sims.sharded import command as sharded
from fiedler.sims.sharded.files import ShardFiles
from fiedler.sims.sharded.run import run_sharded
from fiedler.sims.sharded.training import ShardedTraining, train_sharded
from fiedler.sims.tasks.task import Task
from fiedler.theory import one_hop_sparse, parse
from neural_runs import train_alone
from sharded_runs import EARLY, RECORDED, RUN, RUNS, TRANSFORMER, TRANSFORMER_STEPS, WORLDS, cost_of

pytestmark = pytest.mark.processes  # of several processes, or killed ones: make processes

# A gradient summed in two parts is off by some units in the seventh place. Adam divides it by its own size, so that an
# entry that nearly cancels takes an error many times that, of at most its whole step of 0.01, into its weight.
TRANSFORMER_LOSS, TRANSFORMER_WEIGHT = 2e-5, 2e-3
SAME = 1e-9  # 200 steps of the same arithmetic in another order; found: 1e-13
Capture = pytest.CaptureFixture[str]

ALL_RUNS = [(world, *run) for world in WORLDS for run in (*RUNS[world], ("uneven", True), ("uneven", False))]


def relative(a: Any, b: Any) -> float:
    return float(np.abs(np.asarray(a) - np.asarray(b)).max() / np.abs(b).max())


# Half a minute a processor and process.
HEAVY = (2, "path-star:4x5", True)


@pytest.mark.parametrize(
    ("world", "name", "tied"),
    [pytest.param(*run, marks=[pytest.mark.long] if run == HEAVY else []) for run in ALL_RUNS],
)
def test_a_world_follows_one_process(world: int, name: str, tied: bool) -> None:
    parts = [one["trajectories"][name, tied] for one in sharded_runs.of_world(world)]
    steps = EARLY if name == "uneven" else RECORDED
    target = one_hop_sparse(parse("karate" if name == "uneven" else name)).toarray()
    expected = list(train_node2vec(target, sharded_runs.settings(tied), [3], steps))
    assert relative(expected[-1].full_embedding(), expected[0].full_embedding()) > 0.1  # it went somewhere
    for k, state in enumerate(expected):
        losses = {part[k][0] for part in parts}
        assert len(losses) == 1
        assert losses.pop() == pytest.approx(state.loss[0], rel=SAME)
        assert relative(np.concatenate([part[k][1] for part in parts]), state.full_embedding()[0]) < SAME
        if not tied:
            assert relative(np.concatenate([part[k][2] for part in parts]), state.full_context()[0]) < SAME


def test_a_transformer_on_two_processes_follows_one() -> None:
    parts = [one["transformer"] for one in sharded_runs.of_world(2)]
    expected = list(train_alone(one_hop_sparse(parse("karate")), TRANSFORMER, 5, TRANSFORMER_STEPS))
    assert relative(expected[-1].embedding, expected[0].embedding) > 0.1  # it went somewhere
    for k, state in enumerate(expected):
        (loss, embedding, _), (other_loss, other, _) = (part[k] for part in parts)
        assert loss == other_loss
        assert np.array_equal(embedding, other)
        assert loss == pytest.approx(state.loss, rel=TRANSFORMER_LOSS)
        assert relative(embedding.numpy(), state.embedding) < TRANSFORMER_WEIGHT
        logits = np.concatenate([part[k][2] for part in parts])
        assert relative(logits, state.logits) < TRANSFORMER_WEIGHT
    assert np.array_equal(parts[0][0][1], expected[0].embedding)  # the same initial weights


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("world", WORLDS)
def test_costs_are_those_counted_and_nearly_the_memory_measured(world: int, tied: bool) -> None:
    cost = cost_of(tied, world)
    found = [one[f"costs {tied}"] for one in sharded_runs.of_world(world)]
    for rank, one in enumerate(found):
        assert one["flops"] == cost.product_flops(rank)
        assert one["bytes"] == cost.bytes_sent(rank)
        assert one["state"] <= cost.checkpoint_bytes
        assert 0.88 < one["peak"] / cost.peak_bytes < 1.02
    assert sum(one["sparse"] for one in found) == world * cost.sparse_flops
    assert found[0]["state"] == cost.checkpoint_bytes


@pytest.mark.parametrize("tied", [True, False])
def test_one_process_alone_follows_itself(tied: bool) -> None:
    target, settings = one_hop_sparse(parse("path-star:3x2")), sharded_runs.settings(tied)
    steps = log_spaced_steps(settings.steps)
    states = list(train_sharded(target, settings, 7))
    assert [state.step for state in states] == steps.tolist()
    for state, expected in zip(states, train_node2vec(target.toarray(), settings, [7], steps), strict=True):
        assert relative(state.embedding, expected.full_embedding()[0]) < SAME
        assert state.loss == pytest.approx(expected.loss[0], rel=SAME)
        assert (state.context is None) == tied


def test_float32_is_near_float64() -> None:
    target, settings = one_hop_sparse(parse("karate")), sharded_runs.settings(True)
    near, exact = (next(train_sharded(target, settings, 0, [50], dtype=kind)) for kind in ("float32", "float64"))
    assert near.embedding.dtype == np.float32
    assert 0 < relative(near.embedding, exact.embedding) < 1e-5


# Runs of the command.


def shards(name: str) -> dict[str, bytes]:
    folder = sharded_runs.found() / name
    return {path.name: path.read_bytes() for path in folder.glob("embeddings-rank-*")}


def said(name: str, rank: int, stream: str = "err") -> str:
    return (sharded_runs.found() / "said" / name / f"{rank}.{stream}").read_text()


def test_a_run_s_folder(capsys: Capture, tmp_path: Path) -> None:
    folder = sharded_runs.found() / "whole"
    answer = json.loads(said("whole", 0, "out"))
    assert [said("whole", 1, stream) for stream in ("out", "err")] == ["", ""]
    whole = read_shards(folder)
    assert whole["embedding"].shape == (34, 16)
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=folder, check=True)
    metrics = RunDir.open(folder).read_metrics()
    assert [line["step"] for line in metrics] == log_spaced_steps(400).tolist()
    assert answer["loss_per_node"] == metrics[-1]["loss_per_node"]
    assert (answer["n"], answer["processes"], answer["steps"]) == (34, 2, 400)
    assert RunDir.open(folder).read_config()["processes"] == 2
    # The same by one process, with nobody beside it.
    assert sharded.main([*RUN[:-2], "--out", str(tmp_path / "alone"), "--json"]) == 0
    alone = json.loads(capsys.readouterr().out)
    assert alone["loss_per_node"] == pytest.approx(answer["loss_per_node"], rel=SAME)
    assert relative(read_shards(tmp_path / "alone")["embedding"], whole["embedding"]) < SAME


def test_a_killed_world_ends_in_the_same_bits() -> None:
    left = ast.literal_eval((sharded_runs.found() / "left").read_text())
    # Killed in the middle; process 0 may have been one checkpoint behind process 1, which was waited for.
    assert all(sharded_runs.KILLED_FROM - 1 <= max(steps) < 400 for steps in left)
    assert shards("killed") == shards("whole")
    assert len(shards("whole")) == 2
    killed, whole = (sharded_runs.found() / name for name in ("killed", "whole"))
    assert (killed / "metrics.jsonl").read_bytes() == (whole / "metrics.jsonl").read_bytes()
    (again,) = map(json.loads, (killed / "resumed.jsonl").read_text().splitlines())
    assert again["step"] == max(set(left[0]) & set(left[1]))


def worker_of(parent: int, rank: int) -> int:
    """The process that torchrun started as ``rank``."""
    for path in Path("/proc").glob("[0-9]*"):
        try:
            child = int((path / "stat").read_text().rpartition(")")[2].split()[1]) == parent
            if child and f"RANK={rank}\0" in (path / "environ").read_text().replace("LOCAL_RANK", "LOCAL"):
                return int(path.name)
        except OSError:  # ended meanwhile
            continue
    raise AssertionError(f"torchrun has no process {rank}")


def test_torchrun_with_one_process_killed(tmp_path: Path) -> None:
    run = tmp_path / "run"
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    launched = subprocess.Popen(
        [*torchrun, "-m", "fiedler.sims.sharded", *RUN, "--out", str(run), "--steps", "100000"],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        sharded_runs.wait_for_step(run, 20)
        victim, other = worker_of(launched.pid, 1), worker_of(launched.pid, 0)
        os.kill(victim, signal.SIGKILL)
        messages = launched.communicate(timeout=25)[1]  # the other does not wait for it: torchrun itself gives it 30 s
    finally:
        launched.terminate()
    assert launched.returncode == 1, messages
    assert not Path(f"/proc/{other}").exists()


def test_a_run_of_other_sizes_is_not_taken_up(capsys: Capture, tmp_path: Path) -> None:
    shutil.copytree(sharded_runs.found() / "whole", tmp_path / "run")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert sharded.main([*RUN, "--width", "8", "--out", str(tmp_path / "run"), "--resume"]) == 2
    assert "holds another run: processes 2 instead of 1, width 16 instead of 8. Give" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in before} == before


EXPECTED = {
    "full disk": ([1, 1], "fiedler: process 1: No space left on device\n"),
    "divergence": ([1, 1], "fiedler: training diverged before step 5 (seed 0): lower the learning rate\n"),
    "no graph": ([2, 2], "fiedler: graph file 'nosuch.edges' does not exist; check the path, or use a graph word"),
    "two ways": ([2, 2], "fiedler: --overwrite starts a run over and --resume goes on with it: give one of them\n"),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_process_0_speaks_for_all(name: str) -> None:
    codes, message = EXPECTED[name]
    assert json.loads((sharded_runs.found() / "codes.json").read_text())[name] == codes
    assert said(name, 0).startswith(message)
    assert said(name, 0).count("\n") == 1
    assert said(name, 1) == ""


def test_a_process_that_is_asked_to_stop_stops_all() -> None:
    assert json.loads((sharded_runs.found() / "codes.json").read_text())["stopped"] == [130, 130]
    (step,) = sharded_runs.checkpoint_steps(sharded_runs.found() / "stopped", 0)
    assert sharded_runs.checkpoint_steps(sharded_runs.found() / "stopped", 1) == [step]
    run = sharded_runs.found() / "stopped"
    assert said("stopped", 0) == f"fiedler: interrupted at step {step}, which is saved in {run}: go on with --resume\n"
    assert said("stopped", 1) == ""


def test_a_failed_write_leaves_the_checkpoints_before_it() -> None:
    assert sharded_runs.checkpoint_steps(sharded_runs.found() / "full", 0) == [2, 3]
    assert sharded_runs.checkpoint_steps(sharded_runs.found() / "full", 1) == [1, 2]


def test_processes_that_differ_are_refused_alike() -> None:
    parts = [one["refusals"] for one in sharded_runs.of_world(2)]
    assert parts[0] == parts[1]
    assert parts[0]["seed"] == "the processes disagree on the seed: 0 on process 0, 1 on process 1; give all the same"
    assert parts[0]["settings"].startswith("the processes disagree on the settings: Node2VecSettings(steps=200")
    assert parts[0]["divergence"] == "training diverged before step 5: lower the learning rate"


def run_here(folder: Path, **restart: Any) -> Any:
    settings = Node2VecSettings(steps=30, width=4)
    return run_sharded(Task(parse("cycle:6")), settings, 1, folder, restart=Restart(**restart))


def test_every_recorded_step_is_told_as_it_is_logged(tmp_path: Path) -> None:
    task, settings, records = Task(parse("cycle:6")), Node2VecSettings(steps=30, width=4), list[Any]()
    run_sharded(task, settings, 1, tmp_path, watch=Watch(on_step=records.append))
    logged = RunDir.open(tmp_path).read_metrics()
    assert records == [{"model": "node2vec", "seed": 1, **line} for line in logged]
    assert len(records) > 10
    with pytest.raises(RuntimeError, match="enough"):
        run_sharded(task, settings, 1, tmp_path, restart=Restart(overwrite=True), watch=Watch(on_step=enough))
    assert len(RunDir.open(tmp_path).read_metrics()) == 1


def enough(record: Any) -> None:
    raise RuntimeError("enough")


def test_a_finished_run_is_taken_up_at_its_end(tmp_path: Path) -> None:
    first = run_here(tmp_path, checkpoint_every=0)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    again = run_here(tmp_path, resume=True)
    assert again.loss_per_node == first.loss_per_node
    after = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    assert after.pop("resumed.jsonl")
    assert after == before


@pytest.mark.parametrize("damaged", [1, 2])
def test_damaged_checkpoints_are_passed_over(tmp_path: Path, damaged: int) -> None:
    exact = run_here(tmp_path / "whole")
    run_here(tmp_path / "run", checkpoint_every=0)
    for path in sorted((tmp_path / "run" / "checkpoint" / "rank-0").iterdir())[-damaged:]:
        path.write_bytes(path.read_bytes()[:-1] + b"!")
    message = "is damaged" if damaged == 1 else "holds no step of which every process has a checkpoint"
    with pytest.warns(Damage) as caught:
        found = run_here(tmp_path / "run", resume=True)
    assert any(message in str(warning.message) for warning in caught)
    assert found.loss_per_node == exact.loss_per_node
    steps = [json.loads(line)["step"] for line in (tmp_path / "run" / "resumed.jsonl").read_text().splitlines()]
    assert steps == [29 if damaged == 1 else 0]
    for name in ("metrics.jsonl", "embeddings-rank-0.safetensors"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_starting_over_removes_what_was_there(tmp_path: Path) -> None:
    run_here(tmp_path, checkpoint_every=0)
    (tmp_path / "embeddings-rank-7.safetensors").write_bytes(b"of a larger world")
    (tmp_path / "checkpoint" / "rank-7").mkdir()
    write_checkpoint(tmp_path / "checkpoint" / "rank-7", Checkpoint(3, {"embedding": np.zeros(2)}))
    with pytest.raises(ValueError, match="is not empty"):
        run_here(tmp_path)
    run_here(tmp_path, overwrite=True)
    assert sorted(path.name for path in tmp_path.glob("embeddings*")) == ["embeddings-rank-0.safetensors"]
    assert [path.name for path in (tmp_path / "checkpoint").iterdir()] == ["rank-0"]


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({"processes": "3"}, "holds a run of 3 processes and 1 were started: start 3, give another --out, or"),
        ({"config": "{}"}, "holds checkpoints of another run: give its settings, another --out, or --overwrite"),
    ],
)
def test_checkpoints_of_another_world_or_run(tmp_path: Path, texts: dict[str, str], message: str) -> None:
    files = ShardFiles(RunDir(tmp_path), Ring.of(), "{'seed': 1}", "cpu")
    (tmp_path / "checkpoint").mkdir()
    right = {"config": "{'seed': 1}", "processes": "1", "rank": "0"}
    write_checkpoint(tmp_path / "checkpoint" / "rank-0", Checkpoint(5, {"embedding": np.zeros(2)}, right))
    found = files.newest()
    assert found is not None
    assert found.step == 5
    write_checkpoint(tmp_path / "checkpoint" / "rank-0", Checkpoint(6, {"embedding": np.zeros(2)}, right | texts))
    with pytest.raises(ValueError, match=message):
        files.newest()


def test_shards_that_are_not_whole(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"holds no embeddings-rank-K\.safetensors"):
        read_shards(tmp_path)
    for name, data in shards("whole").items():
        (tmp_path / name).write_bytes(data)
    assert np.array_equal(read_shards(tmp_path)["embedding"], read_shards(sharded_runs.found() / "whole")["embedding"])
    (tmp_path / "embeddings-rank-0.safetensors").rename(tmp_path / "kept")
    with pytest.raises(ValueError, match="holds 1 shards of 2: put the files of all processes into the folder"):
        read_shards(tmp_path)
    (tmp_path / "embeddings-rank-0.safetensors").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"embeddings-rank-0\.safetensors cannot be read"):
        read_shards(tmp_path)
    (tmp_path / "kept").rename(tmp_path / "embeddings-rank-0.safetensors")
    (tmp_path / "SHA256SUMS").write_text(f"{'0' * 64}  embeddings-rank-0.safetensors\n")
    with pytest.raises(ValueError, match="does not have its checksum"):
        read_shards(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["cycle:6", "--dtype", "float16"], "unknown dtype 'float16'; did you mean 'float64'? choose from"),
        (["cycle:6", "--device", "tpu"], "unknown device 'tpu'; did you mean 'cpu'? choose from cpu, cuda"),
        (["cycle:6", "--device", "cuda"], "process 0 of this machine has no card: it has 0"),
        (["cycle:6", "--processes", "4"], "--processes is for --dry-run; torchrun --nproc-per-node says how many"),
        (["cycle:6", "--checkpoint-every", "-1"], "checkpoint_every must be a number of seconds >= 0; got -1.0"),
        (["irregular", "--learning-rate", "0"], "learning_rate must be a positive number"),
        (["cycle:6", "--nothing"], "No such option: --nothing. See 'python -m fiedler.sims.sharded --help'."),
    ],
)
def test_bad_input_is_one_line(capsys: Capture, tmp_path: Path, arguments: list[str], message: str) -> None:
    assert sharded.main([*arguments, "--out", str(tmp_path / "run")]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"fiedler: {message}")
    assert captured.err.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_settings_and_tasks_that_cannot_be_sharded(tmp_path: Path) -> None:
    rows = one_hop_sparse(parse("cycle:6"))
    with pytest.raises(ValueError, match="init 'orthogonal' needs the whole matrix on one process; use gaussian"):
        ShardedTraining(rows, Node2VecSettings(init="orthogonal"), 0)
    with pytest.raises(ValueError, match="T has 6 columns and the processes hold 5"):
        ShardedTraining(rows[:5], Node2VecSettings(), 0)
    cycle, star = parse("cycle:6"), parse("path-star:2x3")
    for task in (
        Task(cycle, window=2),
        Task(cycle, label_smoothing=0.1),
        Task(cycle, edges="forward"),
        Task(star, weights="line"),
    ):
        with pytest.raises(ValueError, match="takes the sparse one-hop target"):
            run_sharded(task, Node2VecSettings(), 0, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_dry_run_says_what_it_would_cost(capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert sharded.main(["cycle:1000", "--dry-run", "--processes", "4", "--width", "64", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["rows"] == 250
    assert answer["flops_per_step"] == 6 * 250 * 1000 * 64 + 4 * 1000 * 64 / 4
    assert answer["bytes_sent_per_step"] == 750 * (2 * 64 * 8 + 2 * 8 + 8)
    assert sharded.main(["cycle:1000", "--dry-run", "--processes", "4"]) == 0
    assert "1000 nodes, width 100, float64, 10000 steps on 4 process(es), each with 250 rows" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []
