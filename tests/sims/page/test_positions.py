"""Tests of theory and experiment in one orientation."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy.stats import ortho_group

import pages
from fiedler.sims.page.positions import motions
from fiedler.sims.page.views import ModelView, TaskView, read_comparison
from fiedler.sims.runs.engine import Run

EXACT = 1e-4  # positions are kept in float32
STEP = 0.02  # of descent with the learning rate of the tests against its flow


@pytest.fixture(scope="module")
def view() -> TaskView:
    return read_comparison(pages.comparison_folder())


def follower(model: ModelView, turn: np.ndarray, factor: float = 1.0) -> ModelView:
    """A model whose one run is the predicted flow itself, in other coordinates."""
    assert model.predicted is not None
    clock = model.time_scale
    assert clock is not None
    shots = factor * np.asarray(model.predicted.positions, dtype=np.float64) @ turn
    steps = np.round(model.predicted.position_times / clock).astype(np.int64)
    return dataclasses.replace(model, runs=(with_snapshots(model.runs[0], steps, shots),))


def with_snapshots(run: Run, steps: np.ndarray, shots: np.ndarray) -> Run:
    kept = {"snapshot_steps": steps, "snapshots": shots.astype(np.float32), "snapshot_whole": np.array(True)}
    return dataclasses.replace(run, modes=dataclasses.replace(run.modes, **kept))


@pytest.mark.parametrize("factor", [1.0, 0.3])
def test_a_run_that_is_the_prediction_lies_on_it(view: TaskView, factor: float) -> None:
    model = view.models[0]
    assert model.predicted is not None
    width = model.predicted.positions.shape[2]
    turn = ortho_group.rvs(width + 3, random_state=0)[:width]  # into a wider space, in any orientation
    (motion,) = motions(view, follower(model, turn, factor))
    assert motion.predicted is not None
    size = np.abs(motion.predicted).max()
    np.testing.assert_allclose(motion.measured, motion.predicted, atol=EXACT * size)
    assert motion.factor == pytest.approx(1 / factor, rel=EXACT)


def test_orientation_does_not_change_what_is_drawn(view: TaskView) -> None:
    for model in view.models:
        shots = [run.modes.snapshots for run in model.runs]
        turn = ortho_group.rvs(shots[0].shape[2], random_state=1)
        turned = [
            with_snapshots(run, run.modes.snapshot_steps, shot @ turn)
            for run, shot in zip(model.runs, shots, strict=True)
        ]
        for one, two in zip(
            motions(view, model), motions(view, dataclasses.replace(model, runs=tuple(turned))), strict=True
        ):
            np.testing.assert_allclose(two.measured, one.measured, atol=EXACT * np.abs(one.measured).max())


def test_distances_are_kept_up_to_the_projection(view: TaskView) -> None:
    """A turn and one factor: no node is farther from another than in the embedding."""
    for model in view.models:
        for run, motion in zip(model.runs, motions(view, model), strict=True):
            last = view.centred(run.modes.snapshots[-1]) * motion.factor
            drawn, true = motion.measured[-1], np.linalg.norm(last[:, None] - last[None], axis=2)
            assert (np.linalg.norm(drawn[:, None] - drawn[None], axis=2) <= true + EXACT).all()


def test_without_a_prediction_a_run_is_seen_from_its_own_directions(view: TaskView) -> None:
    model = dataclasses.replace(view.models[0], predicted=None, fit=None)
    motion = motions(view, model)[0]
    assert motion.predicted is None
    values = np.linalg.svd(view.centred(model.runs[0].modes.snapshots[-1]), compute_uv=False)
    np.testing.assert_allclose((motion.measured[-1] ** 2).sum(axis=0), values[:3] ** 2, rtol=EXACT)


def test_runs_without_snapshots_show_their_last_step(view: TaskView) -> None:
    model = view.models[0]
    bare = dataclasses.replace(model.runs[0].modes, snapshots=None, snapshot_steps=None)
    runs = (dataclasses.replace(model.runs[0], modes=bare),)
    motion = motions(view, dataclasses.replace(model, runs=runs))[0]
    assert motion.steps.tolist() == [pages.STEPS["node2vec"]]
    assert motion.measured.shape == (1, view.graph.n, 3)


def test_beside_a_node2vec_run_is_the_flow_from_its_own_start(view: TaskView) -> None:
    """Both start in the same place, in one frame with nothing fitted, and end as near as the run's Gram matrix is."""
    model = view.models[0]
    for run, motion in zip(model.runs, motions(view, model), strict=True):
        assert (motion.own, motion.factor) == (True, 1.0)
        assert motion.predicted is not None
        size = np.abs(motion.predicted).max()
        np.testing.assert_allclose(motion.measured[0], motion.predicted[0], atol=EXACT * size)
        np.testing.assert_allclose(motion.measured, motion.predicted, atol=STEP * size)
        apart = np.abs(motion.predicted[-1] - motion.predicted[0]).max()
        assert apart > 10 * STEP * size  # it moved
        np.testing.assert_array_equal(motion.steps, run.modes.snapshot_steps)
    (other,) = motions(view, dataclasses.replace(view.models[1], runs=view.models[1].runs[:1]))
    assert not other.own
