"""What stands beside the scores of an embedding: the optimum is perfect, random vectors are as far as chance."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import log_softmax

from fiedler.sims.scores.embedding import score_embedding
from fiedler.sims.scores.references import OPTIMUM, RANDOM, loss_of_embedding, reference_scores
from fiedler.sims.tasks import task as tasks
from fiedler.sims.tasks.task import Task
from fiedler.theory import parse, tied_optimum

ROUNDING = 1e-9  # of scores of the optimum's own factor
CHANCE = 4  # standard deviations of a share of energy in a random subspace


@pytest.mark.parametrize("word", ["cycle:15", "karate"])
def test_the_optimum_is_perfect_and_random_vectors_are_not(word: str) -> None:
    task = Task(parse(word))
    optimum = tied_optimum(task.target)
    v = 3.0 * np.random.default_rng(1).standard_normal((task.graph.n, 6))
    found = reference_scores(v, task, optimum)
    assert list(found) == [OPTIMUM, RANDOM]
    assert found[OPTIMUM]["fiedler_score"] == pytest.approx(1, abs=ROUNDING)
    assert found[OPTIMUM]["gram_error"] == pytest.approx(0, abs=1e-6)
    assert found[OPTIMUM]["loss_per_node"] == optimum.loss_per_node
    share = optimum.rank / (task.graph.n - 1)
    spread = np.sqrt(share * (1 - share) / (6 * task.graph.n))
    assert abs(found[RANDOM]["fiedler_score"] - share) < CHANCE * 3 * spread
    assert found[RANDOM]["loss_per_node"] > optimum.loss_per_node
    single = {name for name, value in score_embedding(v, task, optimum).items() if np.isscalar(value)}
    assert set(found[RANDOM]) == single | {"loss_per_node"}
    assert list(reference_scores(v, task, None)) == [RANDOM]


def test_random_vectors_have_the_size_of_the_embedding() -> None:
    task = Task(parse("cycle:15"))
    optimum = tied_optimum(task.target)
    v = np.random.default_rng(1).standard_normal((15, 6))
    one, two = (reference_scores(factor * v, task, optimum)[RANDOM]["gram_scale"] for factor in (1.0, 2.0))
    assert two == pytest.approx(4 * one)


def test_the_loss_is_the_cross_entropy_of_the_softmax() -> None:
    task = Task(parse("karate"))
    v = np.random.default_rng(2).standard_normal((34, 3))
    expected = -(task.target * log_softmax(v @ v.T, axis=1)).sum() / 34
    assert loss_of_embedding(v, task) == pytest.approx(expected, rel=1e-12)


def test_large_graphs_have_none(monkeypatch: pytest.MonkeyPatch) -> None:
    from fiedler.sims.scores import references

    monkeypatch.setattr(references, "DENSE_NODES", 10)
    assert tasks.DENSE_NODES > 10
    task = Task(parse("cycle:15"))
    v = np.ones((15, 2))
    assert loss_of_embedding(v, task) is None
    assert reference_scores(v, task, None) == {}
