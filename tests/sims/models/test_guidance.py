"""Moving embeddings toward the predicted geometry: the formulas, and what training does with them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from fiedler.sims.models.guidance import (
    Guidance,
    guidance_toward,
    make_guidance,
    node2vec_loss,
    rotate,
    squared_gram_error,
)
from fiedler.sims.models.neural import NeuralTraining
from fiedler.sims.models.neural_settings import NeuralSettings
from fiedler.sims.models.registry import get_model
from fiedler.sims.paths.settings import PathSettings
from fiedler.sims.paths.training import PathTraining
from fiedler.sims.tasks.optimum import task_optimum
from fiedler.sims.tasks.task import Task
from fiedler.theory import cross_entropy, gram_error, parse, path_star_gram, tied_optimum

ROUNDING = 2e-6  # float32 sums of a few hundred products of order one
EXACT = 1e-10  # two solvers of the same optimum, each to 1e-9 of its residual; 1e-10 of 50 measured
SLOPE = 1e-7  # central differences in float64 with a step of 1e-5: error 1e-10 of the third derivative, and rounding
STAR = Task(parse("path-star:3x3"))
TWO_PARTS = Task(parse("irregular"))


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def guidance_of(task: Task, geometry: str = "align", strength: float = 1.0) -> Guidance:
    found = make_guidance(geometry, strength, task)
    assert found is not None
    return found


def draw(task: Task, width: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(task.graph.n, width, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("task", [STAR, TWO_PARTS, Task(parse("cycle:15"))], ids=lambda task: task.graph.name)
def test_the_penalty_is_the_squared_gram_error(task: Task) -> None:
    guidance, optimum = guidance_of(task), task_optimum(task)
    for seed in range(3):
        e = draw(task, 7, seed)
        found = guidance.penalty(e)
        assert float(found) == pytest.approx(gram_error(e.numpy(), optimum) ** 2, abs=ROUNDING)
        # No rotation, scale or common shift of the embeddings changes it.
        q, _ = torch.linalg.qr(torch.randn(7, 7, generator=torch.Generator().manual_seed(seed)))
        assert float(guidance.penalty(3 * e @ q + 2.5)) == pytest.approx(float(found), abs=5 * ROUNDING)


@pytest.mark.parametrize("task", [STAR, TWO_PARTS], ids=lambda task: task.graph.name)
def test_the_penalty_is_zero_at_the_optimum_and_nowhere_near(task: Task) -> None:
    guidance = guidance_of(task)
    rows = rotate(guidance.reference, 12)
    assert float(guidance.penalty(0.3 * rows + 1)) == pytest.approx(0, abs=ROUNDING)
    assert float(guidance.penalty(rows + 0.3 * draw(task, 12))) > 100 * ROUNDING


@pytest.mark.parametrize("geometry", ["align", "node2vec"])
def test_gradients_are_finite_differences(geometry: str) -> None:
    guidance = guidance_of(STAR, geometry, 0.7)
    doubled = Guidance(geometry, 0.7, *(x.double() for x in (guidance.reference, guidance.averaging, guidance.target,
                                                              guidance.weights)))  # fmt: skip
    e = draw(STAR, 4).double().requires_grad_(True)
    doubled.penalty(e).backward()
    assert e.grad is not None
    h = 1e-5
    for i, k in [(0, 0), (3, 2), (6, 3)]:
        step = torch.zeros_like(e)
        step[i, k] = h
        with torch.no_grad():
            slope = (doubled.penalty(e + step) - doubled.penalty(e - step)) / (2 * h)
        assert float(e.grad[i, k]) == pytest.approx(float(slope), abs=SLOPE)


def test_the_node2vec_loss_is_the_theorys() -> None:
    task = Task(parse("path-star:3x3"), weights="line")
    guidance = guidance_of(task, "node2vec", 2.0)
    e = draw(task, 5)
    k = e.double().numpy() @ e.double().numpy().T
    assert task.row_weight is not None
    expected = float(cross_entropy(k, task.target, task.row_weight)) / task.total_weight
    assert float(guidance.penalty(e)) == pytest.approx(2 * expected, rel=ROUNDING)
    assert float(node2vec_loss(e, guidance.target, guidance.weights)) == pytest.approx(expected, rel=ROUNDING)


def test_embeddings_start_at_the_optimum_up_to_scale_and_noise() -> None:
    optimum = task_optimum(STAR)
    noise = 0.02 * draw(STAR, 16)
    strong = guidance_of(STAR, "init", 1e4).start(noise)
    assert gram_error(strong.numpy(), optimum) < 1e-3  # noise of a ten-thousandth
    even = guidance_of(STAR, "init", 1.0).start(noise)
    size = float((even - noise).square().sum())
    assert size == pytest.approx(float(noise.square().sum()), rel=ROUNDING)
    assert gram_error((even - noise).numpy(), optimum) < 1e-5  # rounding of sums with the noise
    assert torch.equal(guidance_of(STAR, "align").start(noise), noise)


def test_a_width_below_the_rank_keeps_the_gram_matrix_on_average() -> None:
    reference = guidance_of(Task(parse("path-star:8x3")), "init").reference
    assert reference.shape[1] == 7
    torch.manual_seed(0)
    grams = torch.stack([(v := rotate(reference, 3)) @ v.T for _ in range(4000)])
    error = (grams.mean(dim=0) - reference @ reference.T).abs().max() / (reference @ reference.T).abs().max()
    assert error < 0.05  # 4000 draws, each off by about its own size
    exact = rotate(reference, 9)
    torch.testing.assert_close(exact @ exact.T, reference @ reference.T, atol=1e-4, rtol=1e-5)


def test_symmetry_gives_the_dense_optimum() -> None:
    for word in ("path-star:4x5", "grid:4x4"):
        task = Task(parse(word))
        fast, dense = task_optimum(task), tied_optimum(task.target)
        np.testing.assert_allclose(fast.centred_gram, dense.centred_gram, atol=EXACT * dense.eigenvalues[0] * 10)
        assert fast.loss_per_node == pytest.approx(dense.loss_per_node, abs=1e-10)
        assert fast.rank == dense.rank
        np.testing.assert_allclose(fast.bias - fast.bias.mean(), dense.bias - dense.bias.mean(), atol=1e-6)


def test_a_large_star_is_a_simplex_of_arms_times_one_profile() -> None:
    optimum = task_optimum(Task(parse("path-star:60x4")))
    gram = optimum.centred_gram
    profile = np.sqrt(np.diag(gram)[1:4] / (1 - 1 / 60))
    assert (np.diff(profile) > 0).all()
    np.testing.assert_allclose(gram, path_star_gram(60, 4, profile), atol=1e-6 * gram.max())
    assert optimum.rank == 59


def train(task: Task, seeds: list[int], steps: int, **settings: Any) -> NeuralTraining:
    given = NeuralSettings(**{"width": 8, "learning_rate": 0.01, **settings})
    guidance = make_guidance(given.geometry, given.geometry_strength, task)
    training = NeuralTraining(task.sparse_target, given, seeds, guidance=guidance)
    training.advance(steps)
    return training


def test_training_with_a_penalty_is_a_plain_loop() -> None:
    """One step of gradient descent of a one-layer net on loss + penalty, written out."""
    settings = {"arch": "one-layer", "other_tokens": 0, "optimiser": "sgd", "learning_rate": 0.05, "init_std": 0.5}
    before = train(STAR, [0], 0, **settings).finals()[0]
    e = torch.tensor(before.embedding, requires_grad=True)
    w = torch.tensor(before.inner)
    guidance = guidance_of(STAR, "align", 3.0)
    target = torch.tensor(STAR.target, dtype=torch.float32)
    logits = e @ w @ e.T
    loss = (torch.logsumexp(logits, dim=1) - (target * logits).sum(dim=1)).mean()
    penalty = 3 * squared_gram_error(e, guidance.reference, guidance.averaging)
    (STAR.graph.n * (loss + penalty)).backward()
    assert e.grad is not None
    after = train(STAR, [0], 1, geometry="align", geometry_strength=3.0, **settings)
    np.testing.assert_allclose(after.finals()[0].embedding, (e - 0.05 * e.grad).detach().numpy(), atol=10 * ROUNDING)
    plain = train(STAR, [0], 1, **settings).finals()[0].embedding
    assert np.abs(plain - after.finals()[0].embedding).max() > 1e-3


@pytest.mark.parametrize("geometry", ["init", "align", "node2vec"])
def test_seeds_together_are_seeds_alone(geometry: str) -> None:
    together = train(STAR, [0, 1], 5, geometry=geometry).finals()
    for seed in (0, 1):
        alone = train(STAR, [seed], 5, geometry=geometry).finals()[0]
        np.testing.assert_allclose(together[seed].embedding, alone.embedding, atol=10 * ROUNDING)


def test_guided_training_comes_nearer_to_the_optimum() -> None:
    task = Task(parse("cycle:8"))
    optimum = task_optimum(task)
    errors = {
        geometry: gram_error(train(task, [0], 60, width=16, geometry=geometry, geometry_strength=strength)
                             .finals()[0].embedding, optimum)
        for geometry, strength in (("none", 1.0), ("init", 30.0), ("align", 1.0), ("node2vec", 1.0))
    }  # fmt: skip
    for geometry in ("init", "align", "node2vec"):
        assert errors[geometry] < 0.7 * errors["none"], errors


def test_strength_zero_and_none_are_the_same_run() -> None:
    plain = train(STAR, [0], 5)
    for geometry in ("align", "node2vec"):
        same = train(STAR, [0], 5, geometry=geometry, geometry_strength=0.0)
        assert np.array_equal(same.finals()[0].embedding, plain.finals()[0].embedding)


def test_the_recorded_loss_is_without_the_penalty() -> None:
    plain, guided = train(STAR, [0], 0), train(STAR, [0], 0, geometry="align", geometry_strength=5.0)
    assert guided.snapshots()[0].loss == plain.snapshots()[0].loss


def test_path_embeddings_are_moved_in_the_order_of_the_nodes() -> None:
    graph = parse("path-star:5x3")
    size = {"width": 16, "layers": 1, "heads": 2, "edge_batch": 8, "path_batch": 4, "warmup": 0}
    optimum = task_optimum(Task(graph))
    start = PathTraining(graph, PathSettings(**size, geometry="init", geometry_strength=1e3), 3)
    assert gram_error(start.embedding(), optimum) < 0.01
    plain = PathTraining(graph, PathSettings(**size), 3)
    assert gram_error(plain.embedding(), optimum) > 0.5
    drawn = dict(plain.model.named_parameters())
    for name, weight in start.model.named_parameters():  # nothing but the nodes' rows is touched
        same = (weight == drawn[name]).all(dim=-1) if weight.ndim == 2 else torch.equal(weight, drawn[name])
        if name.endswith("wte.weight"):
            assert int((~same).sum()) in (graph.n - 1, graph.n)  # the root's predicted row is zero
        else:
            assert bool(torch.as_tensor(same).all())
    pulled = PathTraining(graph, PathSettings(**size, geometry="align"), 3)
    for training in (plain, pulled):
        for _ in range(20):
            training.advance()
    assert gram_error(pulled.embedding(), optimum) < 0.8 * gram_error(plain.embedding(), optimum)


def test_bad_settings_are_refused() -> None:
    for settings, message in (
        ({"geometry": "ring"}, "unknown geometry 'ring'; choose from none, init, align, node2vec"),
        ({"geometry": "align", "geometry_strength": -1.0}, "geometry_strength must be a number >= 0; got -1.0"),
        ({"geometry": "align", "geometry_strength": float("nan")}, "geometry_strength must be"),
        ({"geometry": "align", "frozen": True}, "cannot move frozen embeddings"),
    ):
        for kind in (NeuralSettings, PathSettings):
            with pytest.raises(ValueError, match=message):
                kind(**settings)
    with pytest.raises(ValueError, match="tied embeddings"):
        NeuralSettings(geometry="init", tied=False)
    with pytest.raises(ValueError, match="in both directions"):
        PathSettings(geometry="init", edges="forward")
    with pytest.raises(ValueError, match="hamming:1,4 is zero"):
        make_guidance("align", 1.0, Task(parse("hamming:1,4")))
    assert make_guidance("none", 1.0, STAR) is None
    with pytest.raises(ValueError, match="geometry"):
        get_model("transformer:geometry=sphere")


def test_guidance_moves_to_a_device() -> None:
    guidance = guidance_toward(task_optimum(STAR), "node2vec", 1.0, STAR.target)
    moved = guidance.to(torch.device("cpu"))
    e = draw(STAR, 4)
    assert float(moved.penalty(e)) == float(guidance.penalty(e))
