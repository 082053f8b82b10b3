"""How the solver shares its work among threads.

Its own worker threads divide the rows of a pass or of a product, with one BLAS thread each: a second BLAS thread on
small matrices waits far longer than it works, and ten times as long where another process uses the core that it spins
on. The eigenvalue problems of large matrices are not divided; BLAS has its threads there.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh
from threadpoolctl import ThreadpoolController

from ..checks import Array

LEAST_SHARED = 4_000_000  # multiplications of a product: below, it is shorter than waking a second thread
LARGE = 1000  # rows of a matrix from which BLAS may use its threads

_limited = False  # inside one_blas_thread, which costs a small pass a tenth of its time


@lru_cache(maxsize=1)
def _controller() -> ThreadpoolController:
    return ThreadpoolController()


@lru_cache(maxsize=1)
def worker_threads() -> tuple[ThreadPoolExecutor, int]:
    """Worker threads, as many as the process may use: the cores it may run on, or what BLAS was told."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    told = [library["num_threads"] for library in _controller().info() if library["user_api"] == "blas"]
    workers = max(1, min([cores, *told]))
    return ThreadPoolExecutor(workers, thread_name_prefix="fiedler-rows"), workers


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """One BLAS thread inside; see the module."""
    global _limited
    if _limited:
        yield
        return
    worker_threads()  # as many as BLAS has outside
    with _controller().limit(limits=1, user_api="blas"):
        _limited = True
        try:
            yield
        finally:
            _limited = False


def product(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    """A B, the rows of A shared among the worker threads."""
    pool, workers = worker_threads()
    if workers == 1 or a.size * b.shape[-1] < LEAST_SHARED:
        return np.asarray(a @ b)
    out = np.empty((len(a), *b.shape[1:]), dtype=np.result_type(a, b))
    cuts = np.linspace(0, len(a), workers + 1).astype(int)
    jobs = [pool.submit(np.matmul, a[i:j], b, out=out[i:j]) for i, j in pairwise(cuts)]
    for job in jobs:
        job.result()
    return np.asarray(out)


def symmetric_eigen(a: Array, b: Array | None = None, **options: Any) -> Any:
    """scipy.linalg.eigh, on all threads where the matrix is large."""
    if len(a) < LARGE:
        return eigh(a, b, **options)
    with _controller().limit(limits=worker_threads()[1], user_api="blas"):
        return eigh(a, b, **options)
