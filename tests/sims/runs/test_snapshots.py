"""Tests of what is kept of embeddings on the way."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fiedler.sims.models.registry import get_model
from fiedler.sims.runs.engine import run_seeds
from fiedler.sims.runs.folder import RunDir
from fiedler.sims.runs.recorder import Recorder, log_spaced_steps
from fiedler.sims.runs.snapshots import FRAMES, SNAPSHOT_BYTES, SnapshotPlan
from fiedler.sims.tasks.task import Task
from fiedler.theory import parse

ROUNDING = 1e-5  # of float32 against float64, relative


@pytest.mark.parametrize(("n", "width"), [(15, 100), (2000, 128), (50_000, 64), (2, 1)])
def test_a_plan_fits_its_room(n: int, width: int) -> None:
    plan = SnapshotPlan.of(121, n, width)
    assert plan.records[0] == 0
    assert plan.records[-1] == 120
    assert len(plan.records) <= FRAMES
    assert 1 <= plan.columns <= width
    assert 4 * n * plan.columns * len(plan.records) <= SNAPSHOT_BYTES
    if 4 * n * width * FRAMES <= SNAPSHOT_BYTES:  # as much as there is, where it fits
        assert (plan.columns, len(plan.records)) == (width, FRAMES)


def test_a_graph_without_room_for_two_frames_keeps_none() -> None:
    assert SnapshotPlan.of(121, SNAPSHOT_BYTES // 4, 64).records == ()


def test_fewer_columns_are_the_best_of_their_rank() -> None:
    embedding = np.random.default_rng(0).standard_normal((30, 12))
    kept = SnapshotPlan((0, 1), 5, 12).keep(embedding).astype(np.float64)
    values = np.linalg.svd(embedding, compute_uv=False)
    distance = np.linalg.norm(kept @ kept.T - embedding @ embedding.T)
    assert distance == pytest.approx(np.sqrt((values[5:] ** 4).sum()), rel=ROUNDING)  # Eckart and Young
    whole = SnapshotPlan((0, 1), 12, 12).keep(embedding)
    np.testing.assert_allclose(whole, embedding, rtol=ROUNDING)


def test_runs_keep_their_first_and_last_embedding(tmp_path: Path) -> None:
    task, model = Task(parse("cycle:9")), get_model("node2vec")
    (run,) = run_seeds(task, model, model.make_settings(steps=300, width=12), [0], folder=lambda _: tmp_path / "run")
    kept = RunDir.open(tmp_path / "run").read_modes()
    assert kept["snapshot_steps"][0] == 0
    assert kept["snapshot_steps"][-1] == 300
    assert len(kept["snapshots"]) == len(kept["snapshot_steps"])
    assert kept["snapshot_whole"]
    last, final = kept["snapshots"][-1].astype(np.float64), run.final.embedding  # up to a rotation
    np.testing.assert_allclose(last @ last.T, final @ final.T, rtol=1e-4, atol=1e-4)
    at = list(kept["steps"]).index(kept["snapshot_steps"][20])
    for k, columns in enumerate(np.split(task.spaces.basis, np.cumsum(task.spaces.multiplicities)[:-1], axis=1)):
        energy = float(((columns.T @ kept["snapshots"][20].astype(np.float64)) ** 2).sum())
        assert energy == pytest.approx(kept["energy"][at, k], rel=1e-4)


def test_a_recorder_goes_on_from_its_state() -> None:
    spaces, rng = Task(parse("cycle:5")).spaces, np.random.default_rng(0)
    steps = log_spaced_steps(200)
    embeddings = rng.standard_normal((len(steps), 5, 3))
    whole, first, second = (Recorder(spaces, steps) for _ in range(3))
    for i, embedding in enumerate(embeddings):
        whole.record(embedding, float(i))
        if i < 40:
            first.record(embedding, float(i))
    second.restore(first.state())
    for i, embedding in enumerate(embeddings[40:], 40):
        second.record(embedding, float(i))
    one, two = whole.finish(), second.finish()
    assert one.snapshots is not None
    assert two.snapshots is not None
    assert np.array_equal(one.snapshots, two.snapshots)
    assert np.array_equal(one.snapshot_steps, two.snapshot_steps)
    old = first.state()
    del old["snapshots"], old["snapshot_steps"]  # a checkpoint of an earlier version
    second.restore(old)
    assert second.count == 40
