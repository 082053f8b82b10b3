"""The one loop, and what each kind of run owes to it: hints, warnings, the last good checkpoint, whole folders."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fiedler.sims.disk.files import Damage, sha256_of
from fiedler.sims.disk.sums import read_sums, rewrite_sums
from fiedler.sims.models.neural import NeuralTraining
from fiedler.sims.models.neural_settings import NeuralSettings
from fiedler.sims.models.node2vec import Node2VecSettings
from fiedler.sims.models.protocol import Diverged
from fiedler.sims.models.registry import get_model
from fiedler.sims.parallel_transformer.run import run_parallel
from fiedler.sims.parallel_transformer.training import ParallelTransformerTraining
from fiedler.sims.paths.one_run import run_path
from fiedler.sims.paths.settings import PathSettings
from fiedler.sims.paths.training import PathTraining
from fiedler.sims.recall.one_run import run_recall
from fiedler.sims.recall.settings import RecallSettings
from fiedler.sims.recall.training import RecallTraining
from fiedler.sims.runs.control import Restart, Watch
from fiedler.sims.runs.engine import run_seeds
from fiedler.sims.runs.folder import RunDir
from fiedler.sims.runs.loop import run_course
from fiedler.sims.runs.stopping import Interrupted, StopRequest
from fiedler.sims.sharded.run import run_sharded
from fiedler.sims.sharded.training import ShardedTraining
from fiedler.sims.tasks.task import Task
from fiedler.theory import parse

TASK = Task(parse("cycle:6"))
STAR = parse("path-star:4x3")
STEPS = 12
NEURAL = NeuralSettings(steps=STEPS, width=8)
PATHS = PathSettings(layers=1, width=8, heads=2, pause=1, steps=STEPS, edge_batch=8, path_batch=2, records=4)
RECALL = RecallSettings(subjects=6, relations=2, width=8, neurons=12, steps=STEPS, records=4)
EVERY_STEP = Restart(checkpoint_every=0.0)


@dataclass(frozen=True)
class Kind:
    """One kind of run: how it is started in a folder, and the training whose ``advance`` it calls."""

    run: Callable[[Path, Restart, Watch], Any]
    training: type


def graph_run(folder: Path, restart: Restart, watch: Watch) -> Any:
    model = get_model("transformer")
    return run_seeds(TASK, model, NEURAL, [3], folder=lambda _: folder, restart=restart, watch=watch)


KINDS = {
    "graph": Kind(graph_run, NeuralTraining),
    "paths": Kind(
        lambda out, restart, watch: run_path(STAR, PATHS, 3, out, restart=restart, watch=watch), PathTraining
    ),
    "recall": Kind(
        lambda out, restart, watch: run_recall(RECALL, 3, False, out, restart=restart, watch=watch), RecallTraining
    ),
    "sharded": Kind(
        lambda out, restart, watch: run_sharded(
            TASK, Node2VecSettings(steps=STEPS, width=4), 3, out, restart=restart, watch=watch
        ),
        ShardedTraining,
    ),
    "parallel": Kind(
        lambda out, restart, watch: run_parallel(TASK, NEURAL, 3, out, restart=restart, watch=watch),
        ParallelTransformerTraining,
    ),
}
each_kind = pytest.mark.parametrize("name", KINDS)


def fail_at(monkeypatch: pytest.MonkeyPatch, kind: Kind, step: int, error: Exception) -> None:
    """From ``step`` on no step is taken."""
    advance = kind.training.advance  # type: ignore[attr-defined]

    def failing(self: Any, *count: Any) -> None:
        if self.step >= step:
            raise error
        advance(self, *count)

    monkeypatch.setattr(kind.training, "advance", failing)


def stopped(kind: Kind, folder: Path, monkeypatch: pytest.MonkeyPatch, step: int = 5) -> Interrupted:
    """Run until ``step`` steps are taken, and be asked to stop there."""
    stop = StopRequest()
    advance = kind.training.advance  # type: ignore[attr-defined]

    def counting(self: Any, *count: Any) -> None:
        advance(self, *count)
        stop.signalled = stop.signalled or self.step >= step

    with monkeypatch.context() as patch:
        patch.setattr(kind.training, "advance", counting)
        with pytest.raises(Interrupted) as interrupted:
            kind.run(folder, Restart(), Watch(stop=stop))
    return interrupted.value


@each_kind
def test_memory_that_runs_out_says_what_to_lower(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_at(monkeypatch, KINDS[name], 2, RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB"))
    with pytest.raises(MemoryError, match=r"^out of memory training .*: lower width \(now \d\)"):
        KINDS[name].run(tmp_path / "run", Restart(), Watch())
    assert (tmp_path / "run" / "config.json").exists()  # what was written stays


@each_kind
def test_other_versions_are_said_when_a_run_goes_on(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped(KINDS[name], tmp_path, monkeypatch)
    path = tmp_path / "environment.json"
    environment = json.loads(path.read_text())
    environment["versions"]["numpy"] = "1.0.0"
    path.write_text(json.dumps(environment))
    rewrite_sums(tmp_path, {**read_sums(tmp_path), path.name: sha256_of(path)})
    with pytest.warns(Damage, match="begun with other versions of numpy"):
        KINDS[name].run(tmp_path, Restart(resume=True), Watch())


@each_kind
def test_a_divergence_names_the_run_and_its_last_good_checkpoint(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_at(monkeypatch, KINDS[name], 7, Diverged("training diverged before step 7", "lower the learning rate", 6))
    with pytest.raises(Diverged) as diverged:
        KINDS[name].run(tmp_path, EVERY_STEP, Watch())
    where = rf"\(seed 3; the last good checkpoint is of step ([67]), in {re.escape(str(tmp_path))}\)"
    assert re.fullmatch(rf"training diverged before step 7 {where}: lower the learning rate", str(diverged.value))
    assert diverged.value.step == 6


@each_kind
def test_a_divergence_before_any_checkpoint_names_the_run(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_at(monkeypatch, KINDS[name], 0, Diverged("training diverged before step 0", "lower the learning rate", 0))
    with pytest.raises(Diverged, match=r"^training diverged before step 0 \(seed 3\): lower the learning rate$"):
        KINDS[name].run(tmp_path, EVERY_STEP, Watch())


@each_kind
def test_an_interrupt_says_where_the_step_is_saved(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    message = str(stopped(KINDS[name], tmp_path, monkeypatch))
    found = re.fullmatch(
        rf"interrupted at step (\d+), which is saved in {re.escape(str(tmp_path))}: go on with --resume", message
    )
    assert found is not None, message
    assert list(tmp_path.glob(f"checkpoint/**/step-{int(found[1]):09d}.*"))


@each_kind
def test_a_stopped_run_ends_in_the_bytes_of_a_whole_one(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    KINDS[name].run(tmp_path / "whole", Restart(), Watch())
    stopped(KINDS[name], tmp_path / "cut", monkeypatch)
    KINDS[name].run(tmp_path / "cut", Restart(resume=True), Watch())
    for path in [*(tmp_path / "whole").glob("embeddings*"), tmp_path / "whole" / "metrics.jsonl"]:
        assert (tmp_path / "cut" / path.name).read_bytes() == path.read_bytes(), path.name


def test_graph_runs_of_one_process_and_of_several_leave_the_same_fields(tmp_path: Path) -> None:
    """A data-parallel Transformer's modes.npz has all that a Transformer's has, and the same lines in metrics.jsonl."""
    for name in ("graph", "parallel"):
        KINDS[name].run(tmp_path / name, Restart(), Watch())
    one, other = (RunDir.open(tmp_path / name) for name in ("graph", "parallel"))
    modes, of_several = one.read_modes(), other.read_modes()
    assert {"edge_recall", "geometric_level", "snapshots"} <= modes.keys()
    assert modes.keys() == of_several.keys()
    for field_name in modes:
        assert modes[field_name].shape == of_several[field_name].shape, field_name
    np.testing.assert_array_equal(modes["edge_recall"], of_several["edge_recall"])
    assert one.read_metrics()[0].keys() == other.read_metrics()[0].keys()


# The loop itself.


@dataclass
class Counted:
    """A course of ten steps that notes what is asked of it."""

    folder: Path | None
    step: int = 0
    name: str = "seed 0"
    due: list[int] = field(default_factory=lambda: [0, 4, 10])
    calls: list[tuple[str, int]] = field(default_factory=list)

    @property
    def next_record(self) -> int | None:
        return self.due[0] if self.due else None

    def advance(self, until: int) -> None:
        assert self.step < until
        self.step = min(until, self.step + 3)

    def record(self, watch: Watch) -> None:
        self.calls.append(("record", self.due.pop(0)))

    def save(self) -> None:
        self.calls.append(("save", self.step))


def test_records_at_their_steps_and_a_checkpoint_at_the_end() -> None:
    course = Counted(Path("somewhere"))
    run_course(course, None, Watch())
    assert course.calls == [("record", 0), ("record", 4), ("record", 10), ("save", 10)]


def test_a_checkpoint_after_every_advance() -> None:
    course = Counted(Path("somewhere"))
    run_course(course, 0.0, Watch())
    saved = [step for call, step in course.calls if call == "save"]
    assert saved == [3, 4, 7, 10]


def test_nothing_is_saved_without_a_folder() -> None:
    course = Counted(None)
    run_course(course, 0.0, Watch())
    assert [call for call, _ in course.calls] == ["record"] * 3


def test_who_is_asked_on_another_process_stops_too() -> None:
    course = Counted(Path("somewhere"))
    with pytest.raises(Interrupted, match="interrupted at step 3"):
        run_course(course, None, Watch(), lambda flags: (flags[0] or course.step == 3, flags[1]))
    assert course.calls == [("record", 0), ("save", 3)]


def test_a_stop_at_the_last_step_is_the_end() -> None:
    course = Counted(Path("somewhere"), step=10, due=[10])
    stop = StopRequest()
    stop.signalled = True
    run_course(course, None, Watch(stop=stop))
    assert course.calls == [("record", 10)]


@pytest.mark.parametrize("seconds", [-1.0, float("nan")])
def test_bad_intervals(seconds: float) -> None:
    with pytest.raises(ValueError, match="checkpoint_every must be a number of seconds >= 0; got"):
        Restart(checkpoint_every=seconds)


def test_one_or_the_other() -> None:
    with pytest.raises(ValueError, match="--overwrite starts a run over and --resume goes on with it"):
        Restart(overwrite=True, resume=True)
    assert Restart(overwrite=True, checkpoint_every=2.0).inside == Restart(checkpoint_every=2.0)
    assert Restart(resume=True).inside == Restart(resume=True)


def test_stages_are_named_after_what_they_are_within() -> None:
    said: list[tuple[str, float]] = []
    Watch(lambda stage, fraction: said.append((stage, fraction))).within("cycle:15").report("optimum", 0.5)
    Watch().within("cycle:15").report("optimum", 0.5)
    assert said == [("cycle:15: optimum", 0.5)]
