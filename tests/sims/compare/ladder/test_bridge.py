"""Alignment and two hops on planted embeddings."""

from __future__ import annotations

import numpy as np
import pytest

from fiedler.sims.compare.ladder.bridge import Bridge
from fiedler.sims.tasks.task import Task
from fiedler.theory import parse

TASK = Task(parse("random:9,13,0"))
EXACT = 1e-12


def halves(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    left, values, right = np.linalg.svd(z)
    return left * np.sqrt(values), right.T * np.sqrt(values)


def test_alignment_is_the_trace_over_the_nuclear_norm() -> None:
    z = np.random.default_rng(0).standard_normal((9, 9))
    v, u = halves(z)
    q = np.linalg.qr(np.random.default_rng(1).standard_normal((9, 9)))[0]
    expected = np.trace(z) / np.linalg.svd(z, compute_uv=False).sum()
    assert Bridge.of(TASK, v, u).alignment == pytest.approx(expected, abs=EXACT)
    assert Bridge.of(TASK, v @ q, u @ q).alignment == pytest.approx(expected, abs=EXACT)
    assert Bridge.of(TASK, v, v).alignment == pytest.approx(1)
    assert Bridge.of(TASK, v, -v).alignment == pytest.approx(-1)


def test_hops_compose_where_the_embeddings_are_aligned_and_not_where_they_are_opposed() -> None:
    """Tied embeddings that give every node its closed neighbourhood: two hops are read off; with -V they are not."""
    task = Task(parse("cycle:9"), self_edges=True)
    angle = 2 * np.pi * np.arange(9) / 9
    v = 3 * np.column_stack([np.cos(angle), np.sin(angle)])
    assert Bridge.of(task, v, v).two_hops == 1.0
    flipped = Bridge.of(task, v, -v)
    assert flipped.alignment == pytest.approx(-1)
    far = Bridge.of(task, v, v @ np.array([[0.0, 1.0], [-1.0, 0.0]]))  # a quarter turn: hops lead elsewhere
    assert far.alignment == pytest.approx(0, abs=EXACT)
    assert far.two_hops < 0.7  # five of nine nodes are within two hops


def test_walks_are_those_of_the_training_edges() -> None:
    """Self-edges are edges: on a path of three nodes the ends are two hops apart, and every node is from itself."""
    plain, looped = Task(parse("grid:3")), Task(parse("grid:3"), self_edges=True)
    u = np.eye(3)
    assert Bridge.of(plain, 50 * np.array([[0.0, 1, 0], [1, 0, 1], [0, 1, 0]]), u).two_hops < 1
    assert Bridge.of(looped, u, u).two_hops == 1.0  # every node is two hops from every node
