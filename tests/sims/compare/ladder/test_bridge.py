"""Alignment and two hops on planted embeddings."""

from __future__ import annotations

import numpy as np
import pytest

from fiedler.sims.compare.ladder.bridge import Bridge
from fiedler.sims.tasks.task import Task
from fiedler.theory import parse

TASK = Task(parse("random:9,13,0"))
A = (TASK.graph.adjacency.toarray() > 0).astype(float)
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


def test_logits_that_are_walks_compose() -> None:
    shifted = A - A.mean(axis=1, keepdims=True)  # what the softmax sees of A
    two = shifted @ shifted
    wanted = (A @ A) > 0
    hits = 0
    for row, reached in zip(two, wanted, strict=True):
        hits += int(reached[np.argsort(-row, kind="stable")[: reached.sum()]].sum())
    found = hits / wanted.sum()
    assert Bridge.of(TASK, A, np.eye(9)).two_hops == pytest.approx(found)
    assert found > 0.9
    assert Bridge.of(TASK, -np.eye(9), A.T @ A).two_hops < found
