"""Predicted scores: against the flow of Gram matrices, first-order growth, order statistics, and real runs."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import log_softmax
from scipy.stats import norm

from fiedler.sims.models.registry import get_model
from fiedler.sims.phase.scores import FOLLOWED, METRICS, predict_scores, why_not_predicted
from fiedler.sims.runs.engine import run_seeds
from fiedler.sims.tasks.task import Task
from fiedler.theory import (
    early_modes,
    gaussian_starts,
    geometric_margin,
    parse,
    tied_flow,
    tied_gram_flow,
    tied_optimum,
    untied_flow,
    untied_gaussian_starts,
    untied_gram_flow,
)

FLOW = 1e-4  # relative: scores of states right to 1e-6 of their largest entry
TIED, UNTIED = get_model("node2vec"), get_model("node2vec-untied")
CYCLE, STAR, SMOOTH = Task(parse("cycle:9")), Task(parse("path-star:3x3")), Task(parse("grid:2x3"), True, 0.2)


def margin(gram: np.ndarray, task: Task) -> float:
    """Mean over nodes of the largest neighbour's entry less the largest non-neighbour's, by loops."""
    adjacency = task.graph.adjacency.toarray()
    gaps = []
    for i, row in enumerate(gram):
        near = [row[j] for j in range(len(row)) if j != i and adjacency[i, j] > 0]
        far = [row[j] for j in range(len(row)) if j != i and adjacency[i, j] == 0]
        if near and far:
            gaps.append(max(near) - max(far))
    return float(np.mean(gaps))


def centred(gram: np.ndarray) -> np.ndarray:
    j = np.eye(len(gram)) - 1.0 / len(gram)
    return j @ gram @ j


def scores_of(gram: np.ndarray, logits: np.ndarray, task: Task, decay: float) -> dict[str, float]:
    """Some of the scores from Gram matrix and logits alone, against the optimum with the runs' own decay."""
    optimum = tied_optimum(task.target, weight_decay=decay)
    k, k_star = centred(gram), optimum.centred_gram
    spectrum = np.linalg.eigvalsh(k).clip(1e-300)
    share = spectrum / spectrum.sum()
    scale = (k * k_star).sum() / (k * k).sum()
    inside = np.trace(optimum.column_space.T @ k @ optimum.column_space) / np.trace(k)
    return {
        "geometric_margin": margin(gram, task),
        "edge_margin": margin(logits, task),
        "effective_rank": float(np.exp(-(share * np.log(share)).sum())),
        "gram_error": float(np.linalg.norm(scale * k - k_star) / np.linalg.norm(k_star)),
        "gram_scale": float((k * k_star).sum() / (k_star**2).sum()),
        "fiedler_score": float(inside),
        "loss_per_node": float(-(task.target * log_softmax(logits, axis=1)).sum() / task.graph.n),
    }


@pytest.mark.parametrize("decay", [0.0, 0.15])
@pytest.mark.parametrize("task", [CYCLE, STAR, SMOOTH], ids=["cycle", "star", "smooth"])
def test_infinite_width_is_the_flow_of_gram_matrices(task: Task, decay: float) -> None:
    n, s2 = task.graph.n, 40 * 0.3**2
    options = {"width": 40, "init_std": 0.3, "weight_decay": decay, "learning_rate": 0.02}
    steps = [10, 200, 50]  # in any order
    times = 0.02 * np.sort(steps)
    grams = tied_gram_flow(task.target, s2 * np.eye(n), times, weight_decay=decay).gram
    m = untied_gram_flow(task.target, s2 * np.eye(n), s2 * np.eye(n), np.zeros((n, n)), times, weight_decay=decay)
    for model, embeddings, logits, own in ((TIED, grams, grams, decay), (UNTIED, m.gram_embedding, m.logits, 0.0)):
        points = [(task, model.make_settings(**options, steps=step)) for step in steps]
        for name in scores_of(grams[0], grams[0], task, own):
            expected = [scores_of(k, z, task, own)[name] for k, z in zip(embeddings, logits, strict=True)]
            found = predict_scores(points, model, name)
            assert found == pytest.approx([expected[k] for k in (0, 2, 1)], rel=FLOW, abs=FLOW * s2), (model.name, name)


def test_the_first_growth_of_the_margin() -> None:
    """K(t) = s^2 (1 + t (T + T' - 2 P)) at first, P equal on all pairs of distinct nodes: on a cycle an edge has
    T + T' = 1 and a margin of 2 t s^2."""
    settings = TIED.make_settings(width=100, init_std=0.03, learning_rate=1e-5, steps=10)
    found = predict_scores([(CYCLE, settings)], TIED, "geometric_margin")
    assert found == pytest.approx([2 * 1e-4 * 100 * 0.03**2], rel=1e-3)  # the next order is a thousandth


@pytest.mark.parametrize("model", [TIED, UNTIED], ids=["tied", "untied"])
@pytest.mark.parametrize("width", [4, 40])
def test_finite_width_is_the_mean_over_starts_flowed_one_by_one(model, width: int) -> None:
    task, decay, samples, scale = STAR, 0.1, 3, 0.5 * np.sqrt(width)
    options = {"width": width, "init_std": 0.5, "weight_decay": decay, "learning_rate": 0.05}
    points = [(task, model.make_settings(**options, steps=step)) for step in (4, 40)]
    if model.tied:
        starts = gaussian_starts(7, width, scale, samples, 11)
        flows = [tied_flow(task.target, v, [0.2, 2.0], weight_decay=decay).embedding for v in starts]
    else:
        pairs = zip(*untied_gaussian_starts(7, width, scale, samples, 11), strict=True)
        flows = [untied_flow(task.target, v, u, [0.2, 2.0], weight_decay=decay).embedding for v, u in pairs]
    expected = np.mean([[margin(v @ v.T, task) for v in flow] for flow in flows], axis=0)
    found = predict_scores(points, model, "geometric_margin", samples=samples, seed=11)
    assert found == pytest.approx(expected, rel=FLOW, abs=FLOW)
    assert found != pytest.approx(predict_scores(points, model, "geometric_margin"), rel=0.01)


def test_the_crossover_in_the_width_comes_from_order_statistics() -> None:
    """Large width: a margin is 2 t s^2 less what the largest of n - 3 independent N(0, s^4 / m) exceeds the largest of
    two by, so the sign changes at t = (E max_12 - E max_2) / (2 sqrt(m)) on the 15-cycle."""

    def largest(k: int) -> float:
        return quad(lambda x: x * k * norm.pdf(x) * norm.cdf(x) ** (k - 1), -12, 12)[0]

    task, width = Task(parse("cycle:15")), 10**6
    expected = (largest(12) - largest(2)) / (2 * np.sqrt(width))
    times = expected * np.array([0.8, 1.2])
    points = [(task, TIED.make_settings(width=width, init_std=1e-4, learning_rate=t, steps=1)) for t in times]
    low, high = predict_scores(points, TIED, "geometric_margin", samples=2000)
    crossing = times[0] - (times[1] - times[0]) * low / (high - low)
    # One start scatters by 0.43 of its margin at t = 0 (its mean over 15 nodes): four standard errors of 2000.
    assert crossing == pytest.approx(expected, rel=4 * 0.43 / np.sqrt(2000))
    assert (predict_scores(points, TIED, "geometric_margin") > 0).all()  # infinite width has no such crossover


def test_the_crossover_in_the_initialisation_moves_with_the_fastest_rate() -> None:
    """V(t) = exp(t S0) V(0) while small: as s goes to zero only s exp(s_1 t) matters, so training longer by dt is
    starting larger by exp(s_1 dt). On the cube the next rate is 4/3 lower."""
    task = Task(parse("hypercube:3"))
    rate = early_modes(task.target).rates[0]
    assert rate == pytest.approx(2 / 3)

    def loss(std: float, time: float) -> float:
        settings = TIED.make_settings(width=100, init_std=std, learning_rate=time / 100, steps=100)
        return float(predict_scores([(task, settings)], TIED, "loss_per_node")[0])

    base, nothing = loss(1e-3, 9.0), np.log(8)
    assert 0.02 < (nothing - base) / nothing < 0.5  # on the way
    misses = [abs(loss(1e-3 * np.exp(-rate * dt), 9.0 + dt) - base) / (nothing - base) for dt in (0.0, 4.0)]
    assert misses[0] == 0
    assert misses[1] < 1e-3


def test_orthogonal_rows_have_no_finite_width() -> None:
    settings = dataclasses.replace(TIED.make_settings(width=20, init_std=0.3, steps=50), init="orthogonal")
    limit = predict_scores([(CYCLE, settings)], TIED, "geometric_margin")
    assert predict_scores([(CYCLE, settings)], TIED, "geometric_margin", samples=4) == limit


def test_what_is_not_predicted() -> None:
    quick = TIED.make_settings(width=20, init_std=0.3, steps=100, learning_rate=0.1)
    dead = dataclasses.replace(quick, weight_decay=3.0)  # V falls by exp(-60)
    assert np.isnan(predict_scores([(CYCLE, dead)], TIED, "geometric_margin", samples=2)).all()
    assert np.isfinite(predict_scores([(CYCLE, quick)], TIED, "geometric_margin")).all()
    late = dataclasses.replace(quick, init_std=3.0, steps=100_000)  # s^2 t is two million
    soon = dataclasses.replace(late, steps=1)
    assert 180 * 1e4 > FOLLOWED[0] > 180 * 0.1
    found = predict_scores([(CYCLE, late), (CYCLE, soon)], TIED, "geometric_margin", samples=2)
    assert list(np.isfinite(found)) == [False, True]
    complete = Task(parse("hamming:1,5"))
    assert np.isnan(predict_scores([(complete, quick)], TIED, "fiedler_score")).all()
    transformer = get_model("transformer")
    assert "no gradient-flow time" in why_not_predicted(transformer, transformer.make_settings(), "gram_error")
    assert why_not_predicted(TIED, quick, "edge_recall") == "no prediction for edge_recall"
    assert not any(why_not_predicted(TIED, quick, name) for name in METRICS)
    with pytest.raises(ValueError, match=r"no prediction for edge_recall; predicted are tied and untied Node2Vec, and"):
        predict_scores([(CYCLE, quick)], TIED, "edge_recall")


@pytest.mark.parametrize("steps", [3, 30])
def test_runs_scatter_about_the_finite_width(steps: int) -> None:
    settings = TIED.make_settings(width=20, init_std=0.1, steps=steps, learning_rate=0.02)
    runs = run_seeds(CYCLE, TIED, settings, range(40))
    measured = np.array([geometric_margin(run.final.embedding, CYCLE.graph)[0] for run in runs])
    (expected,) = predict_scores([(CYCLE, settings)], TIED, "geometric_margin", samples=200, seed=5)
    (limit,) = predict_scores([(CYCLE, settings)], TIED, "geometric_margin")
    error = measured.std(ddof=1) * np.sqrt(1 / 40 + 1 / 200)
    assert abs(measured.mean() - expected) < 4 * error
    assert abs(measured.mean() - expected) < abs(measured.mean() - limit) / 2
    assert np.sign(measured.mean()) == (-1 if steps == 3 else 1)
