"""The recorder: energies of known modes, log-spaced steps, and the order in which they come."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from cases import PAPER
from fiedler.sims.runs.recorder import POINTS_PER_RUN, Modes, Recorder, log_spaced_steps
from fiedler.theory import laplacian_eigenspaces, mode_energy, parse

SAME = 1e-12  # sums of squares in another order, relative to their total

N = 15
SPACES = laplacian_eigenspaces(parse(f"cycle:{N}"))


def record(*embeddings: np.ndarray, word: str = f"cycle:{N}") -> Modes:
    recorder = Recorder(laplacian_eigenspaces(parse(word)), np.arange(len(embeddings)))
    for k, v in enumerate(embeddings):
        recorder.record(v, 0.5 * k)
    return recorder.finish()


def wave(k: int, shape: Callable[[Any], Any] = np.cos) -> np.ndarray:
    """A unit vector of the cycle's eigenspace k, one column."""
    v = shape(2 * np.pi * k * np.arange(N) / N)[:, None]
    return v / np.linalg.norm(v)


@pytest.mark.parametrize("k", range(8))
@pytest.mark.parametrize("shape", [np.cos, np.sin])
def test_a_wave_on_the_cycle_has_energy_in_its_own_mode_only(k: int, shape: Callable[[Any], Any]) -> None:
    if k == 0 and shape is np.sin:
        shape = np.cos
    expected = np.zeros(8)
    expected[k] = 9.0
    modes = record(wave(k, shape) * np.array([[3.0]]), wave(k, shape) @ np.array([[1.0, 2.0, -2.0]]))
    for energy in modes.energy:
        np.testing.assert_allclose(energy, expected, atol=9 * SAME)
    expected[0] = 0.0  # the mean row is the constant mode
    np.testing.assert_allclose(modes.centred_energy[0], expected, atol=9 * SAME)


@pytest.mark.parametrize("word", [*PAPER, "karate"])
def test_energies_are_those_of_the_laplacian_s_own_projectors(word: str) -> None:
    graph = parse(word)
    adjacency = graph.adjacency.toarray()
    walk = np.eye(graph.n) - adjacency / adjacency.sum(axis=1, keepdims=True)
    values, vectors = np.linalg.eigh(walk + walk.T)
    v = np.random.default_rng(0).standard_normal((graph.n, 6)) + 0.7
    modes = record(v, word=word)
    for found, part in ((modes.energy[0], v), (modes.centred_energy[0], v - v.mean(axis=0))):
        expected, last = [], -np.inf
        for value, vector in zip(values, vectors.T, strict=True):
            if value - last > 1e-8:  # far above rounding, far below any gap of these graphs
                expected.append(0.0)
            expected[-1] += float(((vector @ part) ** 2).sum())
            last = value
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=SAME * (part**2).sum())  # eigenvectors' rounding
        assert found.sum() == pytest.approx((part**2).sum(), rel=SAME)
    spaces = laplacian_eigenspaces(graph)
    np.testing.assert_allclose(modes.energy[0], mode_energy(v, spaces), rtol=SAME)
    centred = mode_energy(v, spaces, centred=True)
    np.testing.assert_allclose(modes.centred_energy[0], centred, rtol=SAME, atol=SAME * (v**2).sum())


def test_a_rotation_changes_nothing_and_single_precision_is_enough() -> None:
    rng = np.random.default_rng(1)
    v = rng.standard_normal((N, 6))
    rotation, _ = np.linalg.qr(rng.standard_normal((10, 6)))
    modes = record(v, v @ rotation.T, v.astype(np.float32))
    np.testing.assert_allclose(modes.energy[1], modes.energy[0], rtol=SAME)
    np.testing.assert_allclose(modes.centred_energy[1], modes.centred_energy[0], atol=SAME * (v**2).sum())
    np.testing.assert_allclose(modes.energy[2], modes.energy[0], rtol=1e-6)  # the rounding of float32 entries
    assert modes.energy.dtype == modes.centred_energy.dtype == modes.loss.dtype == np.float64


def test_losses_and_steps_come_back_in_order() -> None:
    steps = np.array([0, 1, 10, 100])
    recorder = Recorder(SPACES, steps)
    asked = []
    for step in range(101):
        if recorder.next_step == step:
            asked.append(step)
            recorder.record(np.full((N, 2), float(step)), 1.0 / (1 + step))
    assert asked == steps.tolist()
    assert recorder.next_step is None
    modes = recorder.finish()
    assert np.array_equal(modes.steps, steps)
    np.testing.assert_allclose(modes.loss, 1.0 / (1 + steps), rtol=SAME)
    np.testing.assert_allclose(modes.energy[:, 0], 2 * N * steps**2.0, rtol=SAME)


def test_a_record_is_kept_although_the_embedding_changes() -> None:
    recorder = Recorder(SPACES, np.array([0]))
    v = np.ones((N, 1))
    recorder.record(v, 0.0)
    v[:] = 0.0
    assert recorder.finish().energy[0, 0] == pytest.approx(N)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_missing_or_surplus_step_is_an_error(count: int) -> None:
    recorder = Recorder(SPACES, np.array([0, 5]))
    for _ in range(count):
        recorder.record(np.ones((N, 1)), 0.0)
    with pytest.raises(RuntimeError, match=f"recorded {count} of 2 steps"):
        recorder.finish()


@pytest.mark.parametrize("steps", [1, 2, 3, 10, 1000, 10_000, 123_457])
def test_recorded_steps_are_spaced_evenly_in_log(steps: int) -> None:
    found = log_spaced_steps(steps)
    assert np.issubdtype(found.dtype, np.integer)
    assert found[0] == 0
    assert found[1] == 1
    assert found[-1] == steps
    assert (np.diff(found) > 0).all()
    assert len(found) <= POINTS_PER_RUN + 1
    exact = {round(steps ** (k / (POINTS_PER_RUN - 1))) for k in range(POINTS_PER_RUN)}
    assert found[1:].tolist() == sorted(exact)


def test_the_number_of_recorded_steps() -> None:
    assert log_spaced_steps(10).tolist() == list(range(11))  # a short run keeps every step
    assert log_spaced_steps(1000, points=4).tolist() == [0, 1, 10, 100, 1000]
    assert len(log_spaced_steps(10_000)) > 90
    for steps in (0, -3):
        with pytest.raises(ValueError, match=f"steps must be at least 1; got {steps}"):
            log_spaced_steps(steps)
