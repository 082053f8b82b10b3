"""Scores of embeddings and logits against loops over edges, and the trajectory fit against planted answers."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

from cases import PAPER
from fiedler.sims.compare.trajectory_fit import VISIBLE_SHARE, TrajectoryFit, fit_trajectory, interpolate_energy
from fiedler.sims.predict.trajectory import PredictedTrajectory
from fiedler.sims.runs.recorder import Modes, log_spaced_steps
from fiedler.sims.scores.embedding import score_embedding, score_logits
from fiedler.sims.tasks.task import Task
from fiedler.theory import Graph, TiedOptimum, as_graph, from_sparse, one_way_arcs, parse, tied_optimum

SAME = 1e-10  # sums and norms in another order
SOLVED = 1e-6  # the optimum's own accuracy

LOOPED = as_graph(np.array([[2.0, 1, 0, 0, 3], [1, 0, 1, 0, 0], [0, 1, 1, 1, 0], [0, 0, 1, 0, 0], [3, 0, 0, 0, 0]]))
GRAPHS: dict[str, Graph] = {**{word: parse(word) for word in (*PAPER, "karate")}, "self-loops": LOOPED}


def links(graph: Graph) -> list[list[int]]:
    """The neighbours of each node, itself left out."""
    dense = graph.adjacency.toarray()
    return [[v for v in range(graph.n) if v != u and dense[u, v] > 0] for u in range(graph.n)]


# Logits.


def looped_scores(z: np.ndarray, graph: Graph) -> tuple[float, float, float, float]:
    """Margin, top-1 accuracy, and the recall with ties broken against and in favour of the edges."""
    margins, low, high = [], [], []
    for u, near in enumerate(links(graph)):
        far = [v for v in range(graph.n) if v != u and v not in near]
        if near and far:
            margins.append(max(z[u, v] for v in near) - max(z[u, v] for v in far))
        for v in near:
            others = [z[u, w] for w in near + far if w != v]
            low.append(sum(other >= z[u, v] for other in others) < len(near))
            high.append(sum(other > z[u, v] for other in others) < len(near))
    return float(np.mean(margins)), float(np.mean(np.array(margins) > 0)), float(np.mean(low)), float(np.mean(high))


@pytest.mark.parametrize("graph", GRAPHS.values(), ids=GRAPHS)
def test_scores_of_logits_are_the_loop(graph: Graph) -> None:
    z = np.random.default_rng(5).standard_normal((graph.n, graph.n)) + (graph.adjacency.toarray() > 0)
    before = z.copy()
    scores = score_logits(z, Task(graph))
    margin, top1, recall, same = looped_scores(z, graph)
    assert recall == same  # no ties
    assert 0.2 < recall < 1
    assert scores == pytest.approx({"edge_margin": margin, "edge_top1": top1, "edge_recall": recall}, rel=SAME)
    assert np.array_equal(z, before)
    # What a node thinks of itself does not count.
    np.fill_diagonal(z, 1e6)
    assert score_logits(z, Task(graph)) == scores


@pytest.mark.parametrize("graph", GRAPHS.values(), ids=GRAPHS)
def test_scores_of_logits_with_ties(graph: Graph) -> None:
    z = np.random.default_rng(0).integers(0, 3, (graph.n, graph.n)).astype(np.float32)
    margin, top1, low, high = looped_scores(z, graph)
    scores = score_logits(z, Task(graph))
    assert low < high
    assert low <= scores["edge_recall"] <= high
    assert scores["edge_margin"] == pytest.approx(margin)
    assert scores["edge_top1"] == pytest.approx(top1)


@pytest.mark.parametrize("graph", GRAPHS.values(), ids=GRAPHS)
def test_logits_of_the_edges_themselves_are_perfect(graph: Graph) -> None:
    edges = (graph.adjacency.toarray() > 0).astype(float)
    assert score_logits(edges, Task(graph)) == {"edge_margin": 1.0, "edge_top1": 1.0, "edge_recall": 1.0}
    assert score_logits(-edges, Task(graph))["edge_margin"] == -1.0


# Embeddings.


def permuted(graph: Graph, order: np.ndarray) -> Graph:
    return from_sparse(sp.csr_array(graph.adjacency.toarray()[np.ix_(order, order)]))


@cache
def solved(graph: Graph, self_edges: bool = False) -> tuple[Task, TiedOptimum]:
    task = Task(graph, self_edges=self_edges)
    return task, tied_optimum(task.target)


def scores_of(graph: Graph, v: np.ndarray, *, self_edges: bool = False) -> dict[str, Any]:
    return score_embedding(v, *solved(graph, self_edges))


def assert_close(
    found: dict[str, Any], expected: dict[str, Any], tolerance: float, without: tuple[str, ...] = ()
) -> None:
    assert set(found) == set(expected)
    for name in set(expected) - set(without):
        np.testing.assert_allclose(found[name], expected[name], rtol=tolerance, atol=tolerance, err_msg=name)


@pytest.mark.parametrize("word", [*PAPER, "karate"])
def test_a_rotation_of_the_embedding_changes_no_score(word: str) -> None:
    graph, rng = GRAPHS[word], np.random.default_rng(2)
    v = rng.standard_normal((graph.n, 5)) + 0.3
    rotation, _ = np.linalg.qr(rng.standard_normal((9, 5)))
    assert_close(scores_of(graph, v @ rotation.T), scores_of(graph, v), SAME)


@pytest.mark.parametrize(
    ("word", "without"),  # the choice of basis inside a repeated eigenvalue, which the path does not have
    [("path-star:1x7", ()), *((word, ("vector_energy", "coefficient_norms")) for word in ("grid:3x5", "irregular"))],
)
def test_the_order_of_the_nodes_changes_no_score(word: str, without: tuple[str, ...]) -> None:
    graph, rng = parse(word), np.random.default_rng(3)
    v, order = rng.standard_normal((graph.n, 5)) + 0.3, rng.permutation(graph.n)
    assert_close(scores_of(permuted(graph, order), v[order]), scores_of(graph, v), SOLVED, without)


def test_scores_of_the_optimum_itself() -> None:
    task, optimum = solved(GRAPHS["cycle:15"])
    scores = score_embedding(optimum.embedding(), task, optimum)
    assert scores["gram_error"] == pytest.approx(0, abs=SOLVED)
    assert scores["gram_scale"] == pytest.approx(1, abs=SOLVED)
    assert scores["fiedler_score"] == pytest.approx(1, abs=SOLVED)
    np.testing.assert_allclose(scores["principal_angles"], np.zeros(optimum.rank), atol=SOLVED)
    twice = score_embedding(np.sqrt(2) * optimum.embedding() + 7.0, task, optimum)
    assert twice["gram_scale"] == pytest.approx(2, abs=SOLVED)
    assert twice["gram_error"] == pytest.approx(0, abs=SOLVED)
    assert twice["energy"][0] > 1 > SOLVED > twice["centred_energy"][0]  # the mean row counts in one of the two


@pytest.mark.parametrize("self_edges", [False, True])
@pytest.mark.parametrize("graph", GRAPHS.values(), ids=GRAPHS)
def test_scores_of_an_embedding_are_the_loop(graph: Graph, self_edges: bool) -> None:
    v = np.random.default_rng(4).standard_normal((graph.n, 3)) + 0.5
    scores = scores_of(graph, v, self_edges=self_edges)
    task, near = solved(graph, self_edges)[0], links(graph)
    loops = [u for u in range(graph.n) if self_edges or graph.adjacency[u, u] > 0]
    pairs = [(u, w) for u in range(graph.n) for w in near[u]] + [(u, u) for u in loops]
    for name, rows in (("geometric_level", v), ("geometric_level_centred", v - v.mean(axis=0))):
        cosines = [rows[a] @ rows[b] / np.sqrt((rows[a] @ rows[a]) * (rows[b] @ rows[b])) for a, b in pairs]
        assert scores[name] == pytest.approx(np.mean(cosines), rel=SAME)
    margin, top1, *_ = looped_scores(v @ v.T, graph)
    assert scores["geometric_margin"] == pytest.approx(margin, rel=SAME)
    assert scores["geometric_margin_top1"] == pytest.approx(top1, rel=SAME)
    gram = v @ v.T
    p = np.exp(gram - gram.max(axis=1, keepdims=True))
    slope = task.target - p / p.sum(axis=1, keepdims=True)
    for i, e in enumerate(task.spaces.basis.T):
        assert scores["vector_energy"][i] == pytest.approx(np.sqrt(e @ gram @ e), rel=SAME)
        assert scores["coefficient_norms"][i] == pytest.approx(np.linalg.norm((slope + slope.T) @ e), rel=1e-8)
    j = np.eye(graph.n) - 1 / graph.n
    for k in range(len(task.spaces.eigenvalues)):
        projector = task.spaces.projector(k)
        assert scores["energy"][k] == pytest.approx((projector * gram).sum(), rel=SAME)
        assert scores["centred_energy"][k] == pytest.approx((projector * (j @ gram @ j)).sum(), rel=1e-8, abs=SAME)


# The trajectory fit.

TIMES = np.geomspace(1e-2, 3e2, 300)
LEVELS, HALVES = np.array([0.0, 4.0, 2.0, 1.0]), np.array([1.0, 0.3, 3.0, 30.0])


def curves(times: np.ndarray) -> np.ndarray:
    """Energies that start at 0.3 and rise or fall to their levels, each around a time of its own; (k, 4)."""
    share = times[:, None] ** 2 / (times[:, None] ** 2 + HALVES**2)
    return 0.3 * (1 - share) + LEVELS * share


def predicted(energy: np.ndarray) -> PredictedTrajectory:
    return PredictedTrajectory(TIMES, np.full_like(energy, np.nan), energy, np.zeros(len(TIMES)), np.eye(2))


def measured(steps: np.ndarray, energy: np.ndarray) -> Modes:
    """A record whose first row, at step 0, would spoil any comparison that used it."""
    energy = np.vstack([np.full(energy.shape[1], 1e9), energy])
    return Modes(np.concatenate([[0], steps]), np.full_like(energy, np.nan), energy, np.zeros(len(energy)))


STEPS = log_spaced_steps(1000)[1:]


@pytest.mark.parametrize("amplitude", [0.02, 1.0, 50.0])
@pytest.mark.parametrize("scale", [0.005, 0.03, 0.2])
def test_a_planted_time_scale_and_amplitude_are_found(scale: float, amplitude: float) -> None:
    fit = fit_trajectory(predicted(curves(TIMES)), measured(STEPS, amplitude * curves(scale * STEPS)), None)
    assert fit.time_scale == pytest.approx(scale, rel=0.02)  # the interpolation's curvature
    assert fit.amplitude == pytest.approx(amplitude, rel=0.02)
    assert fit.fitted == ("time_scale", "amplitude")
    assert fit.rms_log10 < 0.01
    assert fit.correlation > 0.999


def test_identical_trajectories_have_no_distance() -> None:
    steps = np.arange(1, 301)
    fit = fit_trajectory(predicted(curves(TIMES)), measured(steps, interpolate(0.5 * steps)), 0.5)
    assert fit.rms_log10 == pytest.approx(0, abs=SAME)
    assert fit.max_log10 == pytest.approx(0, abs=SAME)
    assert fit.correlation == pytest.approx(1, abs=SAME)
    assert (fit.time_scale, fit.amplitude, fit.fitted) == (0.5, 1.0, ())


def interpolate(times: np.ndarray) -> np.ndarray:
    """Linear in log-log between the predicted points, one mode after the other."""
    return np.array([np.exp(np.interp(np.log(times), np.log(TIMES), np.log(c))) for c in curves(TIMES).T]).T


def test_a_known_time_is_not_fitted() -> None:
    doubled = fit_trajectory(predicted(curves(TIMES)), measured(STEPS, 2 * interpolate(0.1 * STEPS)), 0.1)
    assert doubled.rms_log10 == pytest.approx(np.log10(2), rel=SAME)
    assert doubled.max_log10 == pytest.approx(np.log10(2), rel=SAME)
    assert doubled.correlation == pytest.approx(1, abs=SAME)
    assert doubled.amplitude == 1.0
    late = fit_trajectory(predicted(curves(TIMES)), measured(STEPS, interpolate(0.2 * STEPS)), 0.1)
    assert late.time_scale == 0.1
    assert late.rms_log10 > 0.03


def test_the_distances_are_the_loop_over_visible_points() -> None:
    rng = np.random.default_rng(6)
    noise = rng.normal(scale=0.2, size=(len(STEPS), 4))
    want = interpolate(0.1 * STEPS)
    miss = [noise[k, j] for k in range(len(STEPS)) for j in range(4) if want[k, j] >= VISIBLE_SHARE * want[k].sum()]
    fit = fit_trajectory(predicted(curves(TIMES)), measured(STEPS, want * 10**noise), 0.1)
    assert 0 < len(miss) < want.size  # the decaying mode leaves at some time
    assert fit.points == len(miss)
    assert fit.rms_log10 == pytest.approx(np.sqrt(np.mean(np.square(miss))), rel=SAME)
    assert fit.max_log10 == pytest.approx(np.abs(miss).max(), rel=SAME)


def test_invisible_modes_and_vanished_measurements_do_not_count() -> None:
    energy = np.column_stack([np.ones(300), np.full(300, 0.5 * VISIBLE_SHARE), np.full(300, 2 * VISIBLE_SHARE)])
    have = np.tile([1.0, 1e-8, 0.0], (len(STEPS), 1))
    have[0, 2] = 2 * VISIBLE_SHARE
    fit = fit_trajectory(predicted(energy), measured(STEPS, have), 0.1)
    assert fit.points == len(STEPS) + 1
    assert fit.rms_log10 == pytest.approx(0, abs=SAME)


@pytest.mark.parametrize("time_per_step", [0.1, None])
def test_nothing_visible_is_no_number(time_per_step: float | None) -> None:
    fit = fit_trajectory(predicted(curves(TIMES)), measured(STEPS, np.zeros((len(STEPS), 4))), time_per_step)
    assert isinstance(fit, TrajectoryFit)
    assert fit.points == 0
    assert np.isnan([fit.rms_log10, fit.max_log10, fit.correlation]).all()


def test_interpolation_is_exact_for_powers_and_constant_beyond_the_ends() -> None:
    powers = np.array([0.5, 3.0, -2.0])
    line = predicted(TIMES[:, None] ** powers)
    between = np.geomspace(2e-2, 2e2, 7)
    np.testing.assert_allclose(interpolate_energy(line, between), between[:, None] ** powers, rtol=SAME)
    ends = interpolate_energy(line, np.array([1e-6, 1e6]))
    np.testing.assert_allclose(ends, TIMES[[0, -1]][:, None] ** powers, rtol=SAME)
    assert interpolate_energy(predicted(np.zeros((300, 2))), between).max() < 1e-300  # no logarithm of zero


@pytest.mark.parametrize("edges", ["forward", "backward"])
@pytest.mark.parametrize("word", [*PAPER, "self-loops"])
def test_scores_of_one_direction_are_loops_over_its_lines(word: str, edges: str) -> None:
    graph = GRAPHS[word]
    arcs = one_way_arcs(graph, edges).toarray() > 0
    near = [[v for v in range(graph.n) if arcs[u, v] and v != u] for u in range(graph.n)]
    z = np.random.default_rng(6).standard_normal((graph.n, graph.n)) + arcs
    margins, hits = [], []
    for u in range(graph.n):
        others = sorted((v for v in range(graph.n) if v != u), key=lambda v: -z[u, v])
        hits += [v in others[: len(near[u])] for v in near[u]]
        if near[u] and len(near[u]) < graph.n - 1:
            margins.append(z[u, near[u]].max() - max(z[u, v] for v in others if v not in near[u]))
    task = Task(graph, self_edges=True, edges=edges, weights="line")
    scores = score_logits(z, task)
    assert scores["edge_recall"] == pytest.approx(np.mean(hits), rel=SAME)
    assert scores["edge_margin"] == pytest.approx(np.mean(margins), rel=SAME)
    v = np.random.default_rng(7).standard_normal((graph.n, 3))
    optimum = tied_optimum(task.target, weight_decay=0.1, row_weight=task.row_weight)
    found = score_embedding(v, task, optimum)
    unit = v / np.linalg.norm(v, axis=1, keepdims=True)
    lines = np.argwhere(arcs)
    cosines = [unit[a] @ unit[b] for a, b in lines]
    assert found["geometric_level_neighbours"] == pytest.approx(np.mean(cosines), rel=SAME)
    plain = [c for (a, b), c in zip(lines, cosines, strict=True) if a != b]
    assert found["geometric_level"] == pytest.approx((sum(plain) + graph.n) / (len(plain) + graph.n), rel=SAME)
    w = np.ones(graph.n) if task.row_weight is None else task.row_weight
    p = np.exp(v @ v.T) / np.exp(v @ v.T).sum(axis=1, keepdims=True)
    r = w[:, None] * (task.target - p)
    expected = np.linalg.norm((r + r.T) @ task.spaces.basis, axis=0)
    np.testing.assert_allclose(found["coefficient_norms"], expected, rtol=1e-8, atol=SAME)
