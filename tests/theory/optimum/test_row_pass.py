"""Sums over a softmax by blocks of rows, against the whole matrix."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scipy.special import logsumexp, softmax

from fiedler.theory.optimum import row_pass
from fiedler.theory.optimum.row_pass import Stopped, block_rows, softmax_pass

ROUNDING = 1e-12
SINGLE = 1e-5  # the logits are float32


def problem(n, m, columns, scale=1.0, seed=0):
    rng = np.random.default_rng(seed)
    w = rng.uniform(0.5, 2.0, n)
    w[::7] = 0.0
    return scale * rng.standard_normal((n, columns)), rng.standard_normal((m, columns)), rng.standard_normal(m), w


def whole(v, u, c, w):
    z = v @ u.T + (0.0 if c is None else c)
    p = softmax(z, axis=1)
    return float(w @ logsumexp(z, axis=1)), w[:, None] * (p @ u), p.T @ (w[:, None] * v), p.T @ w


def small_blocks(monkeypatch):
    monkeypatch.setattr(row_pass, "BLOCK_ENTRIES", 1)  # 16 rows


@pytest.mark.parametrize("offset", [False, True])
@pytest.mark.parametrize(("n", "m", "columns"), [(1, 1, 2), (37, 37, 3), (50, 20, 1), (33, 33, 0)])
def test_the_sums_are_those_of_the_whole_matrix(monkeypatch, n, m, columns, offset):
    v, u, c, w = problem(n, m, columns)
    w = np.ones(1) if n == 1 else w
    expected = whole(v, u, c if offset else None, w)
    for _ in range(2):
        found = softmax_pass(v, u, c if offset else None, w)
        for ours, theirs in zip(found, expected, strict=True):
            assert np.allclose(ours, theirs, rtol=ROUNDING, atol=ROUNDING)
        small_blocks(monkeypatch)


def test_large_logits_neither_overflow_nor_vanish():
    v, u, c, w = problem(30, 30, 4, scale=500.0)
    found, expected = softmax_pass(v, u, 300 * c, w), whole(v, u, 300 * c, w)
    for ours, theirs in zip(found, expected, strict=True):
        assert np.isfinite(ours).all()
        assert np.allclose(ours, theirs, rtol=1e-9, atol=1e-9)


def test_single_precision_is_near_and_its_sums_are_double():
    v, u, c, w = problem(60, 60, 4)
    found, expected = softmax_pass(v, u, c, w, dtype=np.float32), whole(v, u, c, w)
    for ours, theirs in zip(found, expected, strict=True):
        assert np.asarray(ours).dtype == np.float64
        assert np.allclose(ours, theirs, rtol=SINGLE, atol=SINGLE)
    assert abs(found.lse - expected[0]) > 0  # it was single precision


@pytest.mark.parametrize("workers", [2, 3, 8])
def test_threads_change_nothing_but_rounding_and_repeat_exactly(monkeypatch, workers):
    small_blocks(monkeypatch)
    v, u, c, w = problem(100, 100, 5)
    expected = whole(v, u, c, w)
    monkeypatch.setattr(row_pass, "ONE_THREAD_BELOW", 0)
    with ThreadPoolExecutor(workers) as pool:
        monkeypatch.setattr(row_pass, "worker_threads", lambda: (pool, workers))
        found = [softmax_pass(v, u, c, w) for _ in range(3)]
    for one in found:
        for ours, theirs, first in zip(one, expected, found[0], strict=True):
            assert np.allclose(ours, theirs, rtol=ROUNDING, atol=ROUNDING)
            assert np.array_equal(ours, first)


@pytest.mark.parametrize("threads", [False, True])
def test_a_pass_is_ended_between_blocks(monkeypatch, threads):
    small_blocks(monkeypatch)
    monkeypatch.setattr(row_pass, "ONE_THREAD_BELOW", 0 if threads else 10**9)
    asked = []

    def check():
        asked.append(None)
        if len(asked) == 3:
            raise Stopped

    v, u, c, w = problem(100, 100, 2)
    with pytest.raises(Stopped):
        softmax_pass(v, u, c, w, check=check)
    assert 3 <= len(asked) < 7  # of seven blocks
    softmax_pass(v, u, c, w, check=lambda: None)  # the workers are not lost


def test_a_block_has_a_bounded_number_of_entries():
    for columns in (1, 100, 10_000, 10**6, 10**9):
        assert 16 <= block_rows(columns) <= row_pass.MOST_ROWS
        assert block_rows(columns) * columns <= max(row_pass.BLOCK_ENTRIES, 16 * columns)
