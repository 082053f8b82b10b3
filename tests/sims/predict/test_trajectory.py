"""The prediction: the flow of the infinite-width limit, taken from Gram matrices here and from embeddings there."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from fiedler.sims.models.registry import get_model
from fiedler.sims.predict.trajectory import (
    FIRST_TIME,
    LAST_TIME,
    PredictedTrajectory,
    predict_trajectory,
    predicted_spectrum,
)
from fiedler.sims.runs.engine import run_seeds
from fiedler.sims.runs.recorder import log_spaced_steps
from fiedler.sims.tasks.task import Task
from fiedler.theory import parse, tied_flow, tied_gram_flow, tied_optimum, untied_gram_flow

SAME = 1e-8  # two integrations, each to about nine digits, relative to the largest energy
STEPS = np.array([0, 1, 10, 100, 1000])

TASKS = {
    "cycle": Task(parse("cycle:9")),
    "path-star": Task(parse("path-star:3x2")),
    "irregular": Task(parse("irregular")),
    "smoothed": Task(parse("grid:2x3"), self_edges=True, label_smoothing=0.2),
}


def energies(gram: np.ndarray, task: Task, centred: bool = False) -> np.ndarray:
    """tr(Pi_k K), of J K J when centred."""
    if centred:
        j = np.eye(task.graph.n) - 1.0 / task.graph.n
        gram = j @ gram @ j
    return np.array([(task.spaces.projector(k) * gram).sum() for k in range(len(task.spaces.eigenvalues))])


def check(found: PredictedTrajectory, task: Task, times: np.ndarray, grams: np.ndarray, logits: np.ndarray) -> None:
    np.testing.assert_allclose(found.times, times, rtol=SAME)
    size = np.abs(grams).max()
    for k, gram in enumerate(grams):
        np.testing.assert_allclose(found.energy[k], energies(gram, task), atol=SAME * size * task.graph.n)
        np.testing.assert_allclose(
            found.centred_energy[k], energies(gram, task, centred=True), atol=SAME * size * task.graph.n
        )
        loss = -(task.target * log_softmax(logits[k], axis=1)).sum() / task.graph.n
        assert found.loss[k] == pytest.approx(loss, rel=SAME)
    np.testing.assert_allclose(found.gram, grams[-1], atol=10 * SAME * size)


@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_the_tied_prediction_is_the_flow_of_gram_matrices(task: Task, decay: float) -> None:
    model = get_model("node2vec")
    settings = model.make_settings(learning_rate=0.02, width=30, init_std=0.5, weight_decay=decay)
    found = predict_trajectory(task, model, settings, STEPS)
    times = 0.02 * STEPS[1:]
    gram = tied_gram_flow(task.target, 30 * 0.5**2 * np.eye(task.graph.n), times, weight_decay=decay).gram
    check(found, task, times, gram, gram)


@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_the_untied_prediction_is_the_flow_of_gram_matrices(task: Task, decay: float) -> None:
    model = get_model("node2vec-untied")
    settings = model.make_settings(learning_rate=0.02, width=30, init_std=0.5, weight_decay=decay)
    found = predict_trajectory(task, model, settings, STEPS)
    times, start = 0.02 * STEPS[1:], 30 * 0.5**2 * np.eye(task.graph.n)
    flow = untied_gram_flow(task.target, start, start, np.zeros_like(start), times, weight_decay=decay)
    check(found, task, times, flow.gram_embedding, flow.logits)


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_recorded_steps_do_not_change_the_line_through_them(task: Task) -> None:
    model = get_model("node2vec")
    settings = model.make_settings()
    fine = tied_flow(task.target, 10 * np.eye(task.graph.n), 0.01 * np.arange(1, 1001)).embedding  # 10 = sqrt(width)
    found = predict_trajectory(task, model, settings, STEPS)
    for k, step in enumerate(STEPS[1:]):
        v = fine[step - 1]
        assert found.energy[k] == pytest.approx(energies(v @ v.T, task), rel=SAME, abs=SAME * 100)


def test_a_small_explicit_scheme_agrees() -> None:
    """Classical Runge-Kutta steps of 0.005 for V itself, with nothing taken from the package but the task."""
    task = TASKS["path-star"]
    model = get_model("node2vec")
    found = predict_trajectory(task, model, model.make_settings(width=4, init_std=0.5), np.array([0, 100, 200]))

    def slope(v: np.ndarray) -> np.ndarray:
        r = task.target - softmax(v @ v.T, axis=1)
        return (r + r.T) @ v

    v, h = np.eye(task.graph.n), 0.005
    for k in range(2):
        for _ in range(200):
            a = slope(v)
            b = slope(v + h / 2 * a)
            c = slope(v + h / 2 * b)
            v = v + h / 6 * (a + 2 * b + 2 * c + slope(v + h * c))
        np.testing.assert_allclose(found.energy[k], energies(v @ v.T, task), atol=10 * SAME)


def test_a_model_without_a_clock_gets_a_fixed_stretch_of_time() -> None:
    task, model = TASKS["cycle"], get_model("transformer")
    settings = model.make_settings(width=16, init_std=0.1, weight_decay=0.7)
    found = predict_trajectory(task, model, settings, STEPS)
    assert found.times[[0, -1]] == pytest.approx([FIRST_TIME, LAST_TIME])
    assert np.allclose(np.diff(np.log(found.times)), np.log(found.times[1] / found.times[0]))
    # Adam's weight decay is not the theory's: left out.
    gram = tied_gram_flow(task.target, 16 * 0.1**2 * np.eye(9), found.times).gram
    check(found, task, found.times, gram, gram)


def test_the_compared_gram_matrix() -> None:
    task = TASKS["path-star"]
    optimum, n = tied_optimum(task.target), task.graph.n
    tied, untied = get_model("node2vec"), get_model("node2vec-untied")
    trajectory = predict_trajectory(task, untied, untied.make_settings(), STEPS)
    found = predicted_spectrum(tied, optimum, trajectory)
    np.testing.assert_allclose(found, np.linalg.eigvalsh(optimum.centred_gram)[::-1], atol=1e-8)
    assert predicted_spectrum(tied, None, trajectory) is None
    assert predicted_spectrum(untied, optimum, None) is None
    j = np.eye(n) - 1.0 / n
    wanted = np.linalg.eigvalsh(j @ trajectory.gram @ j)[::-1]
    np.testing.assert_allclose(predicted_spectrum(untied, optimum, trajectory), wanted, atol=1e-10)


@pytest.mark.parametrize("name", ["node2vec", "node2vec-untied"])
@pytest.mark.parametrize("task", [TASKS["path-star"], TASKS["smoothed"]], ids=["path-star", "smoothed"])
def test_a_run_from_orthogonal_rows_follows_the_prediction_at_first_order(task: Task, name: str) -> None:
    """Orthogonal rows start at K(0) = s^2 I exactly; what is left is the step size, halved each time."""
    model, errors = get_model(name), []
    for rate in (0.02, 0.01, 0.005):
        plain = model.make_settings(steps=round(4 / rate), learning_rate=rate, width=2 * task.graph.n, init_std=0.3)
        settings = dataclasses.replace(plain, init="orthogonal")
        (run,) = run_seeds(task, model, settings, [0])
        found = predict_trajectory(task, model, settings, log_spaced_steps(settings.steps))
        assert np.array_equal(found.times, rate * run.modes.steps[1:])
        errors.append(np.abs(run.modes.centred_energy[-1] - found.centred_energy[-1]).max())
    assert errors[0] / errors[1] == pytest.approx(2, rel=0.05)  # a hundredth of second order left, doubled
    assert errors[1] / errors[2] == pytest.approx(2, rel=0.03)
