"""Work shared among threads is the same work."""

import numpy as np
import pytest
from scipy.linalg import eigh
from threadpoolctl import threadpool_info

from fiedler.theory.optimum import threads
from fiedler.theory.optimum.threads import one_blas_thread, product, symmetric_eigen, worker_threads


def blas_threads():
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rows", [1, 7, 64])
def test_a_product_is_the_product(monkeypatch, rows, dtype):
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((rows, 5)).astype(dtype), rng.standard_normal((5, 3)).astype(dtype)
    plain = product(a, b)
    monkeypatch.setattr(threads, "LEAST_SHARED", 0)
    pool, _ = worker_threads()
    monkeypatch.setattr(threads, "worker_threads", lambda: (pool, 3))
    shared = product(a, b)
    assert shared.dtype == plain.dtype == dtype
    assert np.allclose(shared, a @ b, rtol=1e-5)
    assert np.allclose(plain, a @ b, rtol=1e-5)


def test_one_thread_inside_and_as_many_as_before_outside():
    before = blas_threads()
    with one_blas_thread():
        assert set(blas_threads()) == {1}
        with one_blas_thread():
            assert set(blas_threads()) == {1}
        assert set(blas_threads()) == {1}
    assert blas_threads() == before


def test_the_workers_are_not_counted_inside_the_limit():
    worker_threads.cache_clear()
    before = min(blas_threads())
    with one_blas_thread():
        _, workers = worker_threads()
    assert workers == min(before, workers)
    worker_threads.cache_clear()
    assert worker_threads()[1] == workers


def test_large_eigenvalue_problems_use_all_threads_and_give_them_back(monkeypatch):
    a = np.random.default_rng(0).standard_normal((20, 20))
    a = a + a.T
    monkeypatch.setattr(threads, "LARGE", 10)
    seen = []
    monkeypatch.setattr(threads, "eigh", lambda *args, **options: seen.append(blas_threads()) or eigh(*args, **options))
    with one_blas_thread():
        values = symmetric_eigen(a, eigvals_only=True)
        assert set(blas_threads()) == {1}
    assert np.allclose(values, np.linalg.eigvalsh(a))
    assert set(seen[0]) == {worker_threads()[1]}
