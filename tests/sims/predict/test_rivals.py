"""Rival predictions on the axes of the certified optimum."""

from __future__ import annotations

import numpy as np
import pytest

from fiedler.sims.predict.rivals import describe_rivals, rival_predictions
from fiedler.sims.tasks.task import Task
from fiedler.theory import one_hop_target, parse, tied_optimum

EXACT = 1e-10  # closed-form geometry through eigenvectors of a small matrix
NAMES = ("laplacian", "pmi", "qwem", "support")


def by_name(task: Task, rank: int) -> dict[str, np.ndarray]:
    return {rival.name: rival.embedding @ rival.embedding.T for rival in rival_predictions(task, rank)}


def test_on_a_cycle_three_of_them_are_the_circle() -> None:
    # PMI and QWEM of the cycle are circulant with their largest eigenvalue at the lowest frequency: the same plane as
    # the optimum's. The support's largest singular value belongs to the fastest frequency instead.
    task = Task(parse("cycle:15"))
    optimum = tied_optimum(task.target)
    found = {entry["name"]: entry for entry in describe_rivals(task, optimum)}
    assert tuple(found) == NAMES
    for name in ("laplacian", "pmi", "qwem"):
        assert found[name]["gram_error_of_optimum"] < EXACT
    assert found["support"]["gram_error_of_optimum"] == pytest.approx(1.0)
    assert found["laplacian"]["rank"] == 2


def test_each_one_by_hand() -> None:
    graph = parse("florentine")
    task, rank = Task(graph), 4
    grams = by_name(task, rank)
    a, d = graph.adjacency.toarray(), graph.degrees
    joint, marginal = a / a.sum(), d / d.sum()
    pmi = np.maximum(np.log(np.maximum(joint / np.outer(marginal, marginal), 1e-300)), 0.0)
    qwem = 2 * (joint - np.outer(marginal, marginal)) / (joint + np.outer(marginal, marginal))
    for name, matrix in (("pmi", pmi), ("qwem", qwem)):
        values, vectors = np.linalg.eigh(matrix)
        top = vectors[:, -rank:]
        assert np.allclose(grams[name], (top * values[-rank:]) @ top.T)
    support = (a > 0) - (a > 0).mean(axis=1, keepdims=True)
    u, values, _ = np.linalg.svd(support)
    assert np.allclose(grams["support"], (u[:, :rank] * values[:rank]) @ u[:, :rank].T)
    p = a / d[:, None]
    vectors = np.linalg.eigh(2 * np.eye(graph.n) - p - p.T)[1]
    flat = vectors[:, 1 : rank + 1]
    # The lowest eigenvector is trivial on connected graphs, whatever its shape.
    assert np.allclose(grams["laplacian"], flat @ flat.T)


def test_smoothing_is_left_out_and_self_edges_are_kept() -> None:
    plain, smooth = Task(parse("grid:3x4")), Task(parse("grid:3x4"), label_smoothing=0.2)
    loops = Task(parse("grid:3x4"), self_edges=True)
    for name in NAMES:
        assert np.array_equal(by_name(plain, 3)[name], by_name(smooth, 3)[name])
    assert not np.allclose(by_name(plain, 3)["pmi"], by_name(loops, 3)["pmi"])
    walk = Task(parse("grid:3x4"), window=2, p=0.5, q=2.0)
    assert not np.allclose(by_name(plain, 3)["qwem"], by_name(walk, 3)["qwem"])


def test_distances_of_embeddings() -> None:
    task = Task(parse("karate"))
    optimum = tied_optimum(one_hop_target(task.graph), weight_decay=0.05)
    rivals = rival_predictions(task, optimum.rank)
    entries = describe_rivals(task, optimum, [rivals[1].embedding, 3.0 * optimum.embedding()])
    pmi = entries[1]
    assert pmi["gram_error"][0] < 1e-7  # the square root of rounding, in a difference of equal matrices
    assert pmi["gram_error"][1] == pytest.approx(pmi["gram_error_of_optimum"])  # whatever the scale
    assert 0.1 < pmi["gram_error"][1] < 1
    assert all(len(entry["gram_error"]) == 2 for entry in entries)


def test_a_zero_optimum_has_nothing_to_compare() -> None:
    task = Task(parse("hamming:1,5"))
    assert describe_rivals(task, tied_optimum(task.target)) == []
