"""The training engine: what it records, writes, reports and refuses."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fiedler.sims.models.node2vec import train_node2vec
from fiedler.sims.models.protocol import Diverged, Final, Snapshot
from fiedler.sims.models.registry import Model, get_model
from fiedler.sims.runs.control import Restart, Watch
from fiedler.sims.runs.engine import Run, run_seeds
from fiedler.sims.runs.folder import RunDir
from fiedler.sims.runs.graph_arrays import graph_arrays
from fiedler.sims.runs.recorder import log_spaced_steps
from fiedler.sims.runs.scored import run_and_score
from fiedler.sims.scores.line_scores import edge_recall
from fiedler.sims.tasks.task import Task
from fiedler.theory import geometric_level, mode_energy, parse

SAME = 1e-10  # the same float64 training, seeds alone or together

TASK = Task(parse("path-star:3x2"), self_edges=True, label_smoothing=0.1)
N = TASK.graph.n
SEEDS = [3, 0]


@dataclass(frozen=True)
class ToySettings:
    steps: int = 5
    fail_at: int | None = None


def toy_embedding(seed: int, step: int) -> np.ndarray:
    return np.full((N, 2), 10.0 * seed + step) + np.arange(N)[:, None]


class ToyTraining:
    """Known embeddings and losses; three steps at once."""

    chunk = 3

    def __init__(self, task: Task, settings: Any, seeds: Sequence[int]) -> None:
        self.settings, self.seeds, self.step = settings, tuple(seeds), 0

    def threads(self) -> AbstractContextManager[object]:
        return nullcontext()

    def advance(self, count: int) -> None:
        assert 0 < count <= self.chunk
        fail = self.settings.fail_at
        if fail is not None and self.step < fail <= self.step + count and self.seeds[-1] == 8:
            raise Diverged("toy diverged", "lower the learning rate", self.step)
        self.step += count

    def snapshots(self) -> list[Snapshot]:
        step = self.step
        return [Snapshot(seed, step, toy_embedding(seed, step), seed + 1 / (1 + step)) for seed in self.seeds]

    def finals(self) -> list[Final]:
        matrices = [toy_embedding(seed, self.step) for seed in self.seeds]
        return [Final(v, None, v @ v.T) for v in matrices]

    def state(self) -> list[dict[str, np.ndarray]]:
        return [{"seed": np.array(seed)} for seed in self.seeds]

    def restore(self, step: int, states: Sequence[Mapping[str, np.ndarray]]) -> None:
        assert [int(state["seed"]) for state in states] == list(self.seeds)
        self.step = step


TOY = Model("toy", "Toy", ToySettings, ToyTraining, lambda s: 0.5, lambda s: 1.0)
CLOCKLESS = Model(
    "clockless", "Clockless", ToySettings, ToyTraining, lambda s: None, lambda s: 1.0, lambda task, settings: 99,
    exact_together=True,
)  # fmt: skip


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def never(*_: Any) -> ToyTraining:
    raise AssertionError("training began")


NEVER = Model("toy", "Toy", ToySettings, never, lambda s: 0.5, lambda s: 1.0)


# What is recorded.


def test_runs_hold_what_training_yielded() -> None:
    runs = run_seeds(TASK, TOY, ToySettings(steps=5), SEEDS)
    assert [run.seed for run in runs] == SEEDS
    for run in runs:
        assert run.model is TOY
        assert run.settings == ToySettings(steps=5)
        assert run.modes.steps.tolist() == [0, 1, 2, 3, 4, 5]
        assert run.modes.loss.tolist() == [run.seed + 1 / (1 + step) for step in range(6)]
        expected = [mode_energy(toy_embedding(run.seed, step), TASK.spaces) for step in range(6)]
        np.testing.assert_allclose(run.modes.energy, expected, rtol=SAME, atol=SAME)
        assert np.array_equal(run.final.embedding, toy_embedding(run.seed, 5))


@pytest.mark.parametrize("name", ["node2vec", "node2vec-untied"])
def test_node2vec_runs_are_the_training_s(name: str) -> None:
    model = get_model(name)
    settings = model.make_settings(steps=150, width=30)
    steps = log_spaced_steps(150)
    for run in run_seeds(TASK, model, settings, SEEDS):
        states = list(train_node2vec(TASK.target, settings, [run.seed], steps))
        assert np.array_equal(run.modes.steps, steps)
        np.testing.assert_allclose(run.modes.loss, [state.loss[0] for state in states], rtol=SAME)
        energy = [mode_energy(state.full_embedding()[0], TASK.spaces) for state in states]
        np.testing.assert_allclose(run.modes.energy, energy, rtol=SAME)
        np.testing.assert_allclose(run.final.embedding, states[-1].full_embedding()[0], atol=SAME)


def test_transformers_say_which_seeds_they_were_trained_with(tmp_path: Path) -> None:
    """They share a stack, whose size shows in their last bits: the same seeds go on, others are refused."""
    model = get_model("transformer")
    settings = model.make_settings(steps=5, width=8)

    def place(seed: int) -> Path:
        return tmp_path / str(seed)

    together = run_seeds(TASK, model, settings, SEEDS, folder=place)
    for seed in SEEDS:
        assert RunDir.open(place(seed)).read_config()["trained_with_seeds"] == SEEDS
    before = files(tmp_path)
    again = run_seeds(TASK, model, settings, SEEDS, folder=place, restart=Restart(resume=True))
    assert files(tmp_path) == before
    for one, two in zip(together, again, strict=True):
        assert np.array_equal(one.modes.energy, two.modes.energy)
    with pytest.raises(ValueError, match="holds another run: trained_with_seeds"):
        run_seeds(TASK, model, settings, SEEDS[:1], folder=place, restart=Restart(resume=True))
    run_and_score(TASK, model, settings, SEEDS, folder=place, restart=Restart(resume=True))  # trained already: scored
    lost = place(SEEDS[1])
    kept = (lost / "embeddings.safetensors").read_bytes()
    shutil.rmtree(lost)  # its seed is trained again with the others, which keep theirs
    run_and_score(TASK, model, settings, SEEDS, folder=place, restart=Restart(resume=True))
    assert (lost / "embeddings.safetensors").read_bytes() == kept
    assert RunDir.open(lost).read_config()["trained_with_seeds"] == SEEDS
    (alone,) = run_seeds(TASK, model, settings, SEEDS[:1], folder=lambda _: tmp_path / "alone")
    assert "trained_with_seeds" not in RunDir.open(tmp_path / "alone").read_config()
    np.testing.assert_allclose(alone.modes.energy, together[0].modes.energy, rtol=1e-3)


# What is written.


def test_a_run_folder_holds_the_run(tmp_path: Path) -> None:
    model = get_model("node2vec-untied")
    settings = model.make_settings(steps=20, width=30)
    runs = run_seeds(TASK, model, settings, SEEDS, folder=lambda seed: tmp_path / f"run{seed}")
    assert sorted(os.listdir(tmp_path)) == ["run0", "run3"]
    for run in runs:
        check_folder(RunDir.open(tmp_path / f"run{run.seed}"), run)


def check_folder(folder: RunDir, run: Run) -> None:
    names = [
        ".lock",
        "SHA256SUMS",
        "checkpoint",
        "config.json",
        "embeddings.safetensors",
        "environment.json",
        "figures",
        "metrics.jsonl",
        "modes.npz",
    ]
    assert sorted(os.listdir(folder.path)) == names
    config = json.loads((folder.path / "config.json").read_text())
    assert re.fullmatch("[0-9a-f]{64}", config.pop("graph_sha256"))
    settings = {"steps": 20, "learning_rate": 0.01, "width": 30, "init_std": 1.0, "init": "gaussian"}
    assert config == {
        "fiedler_run": 1,
        "graph": "path-star:3x2",
        "n": N,
        "edges": N - 1,
        "self_edges": True,
        "label_smoothing": 0.1,
        "window": 1,
        "p": 1.0,
        "q": 1.0,
        "model": "node2vec-untied",
        "seed": run.seed,
        "settings": {**settings, "weight_decay": 0.0, "tied": False},
    }
    assert folder.read_environment()["versions"]["numpy"] == np.__version__
    lines = [json.loads(line) for line in (folder.path / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == run.modes.steps.tolist() == list(range(21))
    assert [line["loss_per_node"] for line in lines] == run.modes.loss.tolist()
    assert [line["time"] for line in lines] == pytest.approx((0.01 * run.modes.steps).tolist())
    final = run.final
    assert final.context is not None
    assert lines[-1]["edge_recall"] == edge_recall(TASK, final.embedding @ final.context.T)
    level = geometric_level(final.embedding, TASK.graph, self_edges=TASK.self_edges)
    assert lines[-1]["geometric_level"] == pytest.approx(level, rel=SAME)
    modes = folder.read_modes()
    expected = {
        "steps": run.modes.steps,
        "times": 0.01 * run.modes.steps,
        "energy": run.modes.energy,
        "centred_energy": run.modes.centred_energy,
        "loss_per_node": run.modes.loss,
        "edge_recall": run.modes.edge_recall,
        "geometric_level": run.modes.geometric_level,
        "eigenvalues": TASK.spaces.eigenvalues,
        "multiplicities": TASK.spaces.multiplicities,
        "snapshot_steps": run.modes.snapshot_steps,
        "snapshots": run.modes.snapshots,
        "snapshot_whole": run.modes.snapshot_whole,
        **graph_arrays(TASK.graph),
    }
    assert set(modes) == set(expected)
    for name, array in expected.items():
        assert np.array_equal(modes[name], array)
    arrays = folder.read_embeddings()
    assert set(arrays) == {"embedding", "context"}
    assert np.array_equal(arrays["embedding"], run.final.embedding)
    assert run.final.context is not None
    assert np.array_equal(arrays["context"], run.final.context)


def test_a_model_without_a_clock_or_context_writes_none(tmp_path: Path) -> None:
    run_seeds(TASK, CLOCKLESS, ToySettings(), [2], folder=lambda seed: tmp_path)
    folder = RunDir.open(tmp_path)
    assert [line["time"] for line in folder.read_metrics()] == [None] * 6
    assert "times" not in folder.read_modes()
    assert set(folder.read_embeddings()) == {"embedding"}


def test_without_a_folder_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run_seeds(TASK, TOY, ToySettings(), SEEDS)
    assert not os.listdir(tmp_path)


# What is refused.


@pytest.mark.parametrize("seeds", [[], [1, 1], [0, 1, 2, 0]])
def test_no_seeds_or_repeated_ones(tmp_path: Path, seeds: list[int]) -> None:
    with pytest.raises(ValueError, match=r"seeds must be a non-empty list without repeats; got \["):
        run_seeds(TASK, NEVER, ToySettings(), seeds, folder=lambda seed: tmp_path / str(seed))
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize(
    ("settings", "seeds", "message"),
    [
        ({"init": "orthogonal", "width": N - 1}, [0], f"orthogonal init needs width >= {N}"),
        ({}, [0, -1], "seeds must be zero or more; got -1"),
    ],
)
def test_what_cannot_start_makes_no_folder(
    tmp_path: Path, settings: dict[str, Any], seeds: list[int], message: str
) -> None:
    model = get_model("node2vec")
    with pytest.raises(ValueError, match=message):
        run_seeds(TASK, model, model.make_settings(**settings), seeds, folder=lambda seed: tmp_path / str(seed))
    assert not os.listdir(tmp_path)


def test_a_folder_in_use_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    run_seeds(TASK, TOY, ToySettings(), [1], folder=lambda seed: tmp_path / str(seed))
    before = files(tmp_path)
    with pytest.raises(ValueError, match=r"1 is not empty .*--overwrite or another --out"):
        run_seeds(TASK, NEVER, ToySettings(), [0, 1], folder=lambda seed: tmp_path / str(seed))
    assert files(tmp_path) == before
    assert os.listdir(tmp_path) == ["1"]


def test_overwriting_loses_nothing_where_one_folder_is_not_a_run(tmp_path: Path) -> None:
    run_seeds(TASK, TOY, ToySettings(), [0], folder=lambda seed: tmp_path / str(seed))
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "thesis.tex").write_text("x")
    (tmp_path / "2").write_text("a file")
    before = files(tmp_path)
    for seeds, message in (([0, 1], "1 holds 'thesis.tex'"), ([0, 2], "2 cannot be made a run folder")):
        with pytest.raises(ValueError, match=message):
            run_seeds(
                TASK,
                NEVER,
                ToySettings(),
                seeds,
                folder=lambda seed: tmp_path / str(seed),
                restart=Restart(overwrite=True),
            )
        assert files(tmp_path) == before


def test_overwriting_replaces_a_run(tmp_path: Path) -> None:
    for steps in (5, 3):
        run_seeds(TASK, TOY, ToySettings(steps), [0], folder=lambda seed: tmp_path, restart=Restart(overwrite=True))
        folder = RunDir.open(tmp_path)
        assert folder.read_config()["settings"]["steps"] == steps
        assert len(folder.read_metrics()) == steps + 1
        assert folder.read_modes()["steps"].tolist() == list(range(steps + 1))


# Progress and divergence.


@pytest.mark.parametrize("model", [TOY, get_model("node2vec")], ids=["seed by seed", "together"])
def test_progress_rises_to_one(model: Model) -> None:
    settings = ToySettings() if model is TOY else model.make_settings(steps=5, width=4)
    seen: list[float] = []
    run_seeds(TASK, model, settings, SEEDS, watch=Watch(lambda _, fraction: seen.append(fraction)))
    count = 12 if model is TOY else 6  # a step of every seed, or of both seeds at once
    np.testing.assert_allclose(seen, np.arange(1, count + 1) / count, rtol=SAME)
    assert seen[-1] == 1.0


def test_divergence_keeps_what_was_written(tmp_path: Path) -> None:
    with pytest.raises(FloatingPointError, match="lower the learning rate"):
        run_seeds(TASK, TOY, ToySettings(fail_at=3), [7, 8], folder=lambda seed: tmp_path / str(seed))
    assert [line["step"] for line in RunDir.open(tmp_path / "7").read_metrics()] == list(range(6))
    assert [line["step"] for line in RunDir.open(tmp_path / "8").read_metrics()] == [0, 1, 2]
    assert RunDir.open(tmp_path / "7").finished
    assert not RunDir.open(tmp_path / "8").finished
    assert not (tmp_path / "8" / "modes.npz").exists()
    assert not (tmp_path / "8" / "embeddings.safetensors").exists()


def test_a_real_divergence_writes_finite_losses_up_to_it(tmp_path: Path) -> None:
    model = get_model("node2vec")
    with pytest.raises(FloatingPointError, match="lower the learning rate"):
        run_seeds(TASK, model, model.make_settings(learning_rate=1e6), [0], folder=lambda seed: tmp_path)
    lines = RunDir.open(tmp_path).read_metrics()
    assert [line["step"] for line in lines] == log_spaced_steps(10_000)[: len(lines)].tolist()
    assert len(lines) > 2
    assert all(line["loss_per_node"] is not None for line in lines)
