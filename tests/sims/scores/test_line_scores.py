"""Recall and level of training lines, against loops over the lines."""

from __future__ import annotations

import numpy as np
import pytest

from fiedler.sims.models.protocol import Final
from fiedler.sims.runs.scored import score_final
from fiedler.sims.scores.line_scores import edge_recall, line_scores
from fiedler.sims.tasks.optimum import reference_optimum
from fiedler.sims.tasks.task import Task
from fiedler.theory import edge_margin, geometric_margin, parse

SAME = 1e-12
TASKS = [
    Task(parse("path-star:4x5")),
    Task(parse("irregular"), self_edges=True),
    Task(parse("grid:4x4"), edges="forward"),
    Task(parse("cycle:15"), edges="backward", self_edges=True),
]


def lines(task: Task) -> list[tuple[int, int]]:
    """The directed edges, self-edges left out."""
    t = task.target if not task.self_edges else Task(task.graph, edges=task.edges).target
    weight = Task(task.graph, edges=task.edges).row_weight
    rows = range(task.graph.n) if weight is None else np.flatnonzero(weight)
    return [(int(u), int(v)) for u in rows for v in np.flatnonzero(t[u]) if u != v]


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.title)
def test_by_loops(task: Task) -> None:
    rng = np.random.default_rng(3)
    v, z = rng.standard_normal((task.graph.n, 6)), rng.standard_normal((task.graph.n, task.graph.n))
    found = line_scores(task, v, z)
    hits = 0
    for u, w in lines(task):
        count = sum(1 for a, _ in lines(task) if a == u)
        others = [j for j in range(task.graph.n) if j != u]
        hits += w in sorted(others, key=lambda j: -z[u, j])[:count]
    assert found.edge_recall == pytest.approx(hits / len(lines(task)), abs=SAME)
    cosine = (v / np.linalg.norm(v, axis=1, keepdims=True)) @ (v / np.linalg.norm(v, axis=1, keepdims=True)).T
    pairs = [*lines(task), *((u, u) for u in range(task.graph.n) if task.self_edges)]
    assert found.geometric_level == pytest.approx(np.mean([cosine[pair] for pair in pairs]), abs=SAME)


def test_perfect_recall_and_none() -> None:
    task = TASKS[0]
    adjacency = task.graph.adjacency.toarray()
    assert edge_recall(task, adjacency + 9 * np.eye(task.graph.n)) == 1.0
    assert edge_recall(task, -adjacency) < 0.5
    assert np.isnan(line_scores(task, np.zeros((task.graph.n, 2)), adjacency).geometric_level)


def test_scores_of_a_one_layer_net() -> None:
    task = TASKS[0]
    rng = np.random.default_rng(1)
    e, w = rng.standard_normal((task.graph.n, 5)), rng.standard_normal((5, 5))
    optimum = reference_optimum(task)
    plain = score_final(Final(e, None, e @ w @ e.T), task, optimum)
    net = score_final(Final(e, None, e @ w @ e.T, w), task, optimum)
    assert "transposed_margin" not in plain
    assert net["bilinear_margin"] == pytest.approx(plain["edge_margin"], abs=SAME)
    assert net["transposed_margin"] == pytest.approx(edge_margin((e @ w @ e.T).T, task.graph)[0], abs=SAME)
    assert net["geometric_margin"] == geometric_margin(e, task.graph, inner=w)[0]
    # Keeping the diagonal in the singular basis does not depend on which way round W is stored.
    other = score_final(Final(e, None, e @ w @ e.T, w.T), task, optimum)
    assert other["geometric_margin"] == pytest.approx(net["geometric_margin"], abs=1e-9)
