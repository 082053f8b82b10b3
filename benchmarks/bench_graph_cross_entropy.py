"""Claim: the losses of a graph's nodes over all nodes cost little more than their matrix products, and never hold the
n x n logits: the general loss three products, the tied one two. One thread, float32, loss and gradients. Peers: the
dense PyTorch loop (logits, F.cross_entropy with dense targets, backward), the bare products of the same blocks (the
floor), and these with one exponential of each logit (the bound; of the tied loss half of them in either sweep)."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from torch import Tensor

from bare_exponentials import exponentials, lower_bound
from fiedler.kernels import csr_target, graph_cross_entropy
from fiedler.kernels.graph.tied_cross_entropy import tied_graph_cross_entropy
from interleave import interleave, ratios, row, write_results

NODES = (500, 1000, 2000, 4000, 8000)
WIDTHS = (16, 64, 128)
DENSE_LIMIT = 4000  # nodes: beyond, the dense loop's several n x n arrays take a gigabyte
DEGREE = 6
SECONDS = 1.5  # of one way of one shape, over all rounds
BLOCKS = (128, 256, 512)  # rows of the bare products; the fastest counts


def random_target(n: int) -> sp.csr_array:
    """Row-stochastic, about DEGREE entries a row."""
    matrix = sp.random_array((n, n), density=DEGREE / n, format="csr", rng=np.random.default_rng(0))
    matrix = sp.csr_array(matrix + sp.eye_array(n, format="csr"))
    return sp.csr_array(sp.diags_array(1 / np.asarray(matrix.sum(axis=1)).reshape(-1)) @ matrix)


def three_products(x: Tensor, c: Tensor, rows: int) -> Callable[[], None]:
    n, d = x.shape
    logits, average, gradient = torch.empty(rows, n), torch.empty(rows, d), torch.zeros(n, d)

    def run() -> None:
        for start in range(0, n, rows):
            block = x[start : start + rows]
            z = logits[: len(block)]
            torch.mm(block, c.T, out=z)
            torch.mm(z, c, out=average[: len(block)])
            gradient.addmm_(z.T, block)

    return run


def two_products(x: Tensor, rows: int) -> Callable[[], None]:
    """The products of the upper triangle: twice its logits, once either side."""
    n, d = x.shape
    buffer, gradient = torch.empty(rows * n), torch.zeros(n, d)

    def run() -> None:
        for sweep in range(2):
            for start in range(0, n, rows):
                block, ahead = x[start : start + rows], x[start:]
                z = buffer[: len(block) * len(ahead)].view(len(block), -1)
                torch.mm(block, ahead.T, out=z)
                if sweep:
                    gradient[start : start + rows].addmm_(z, ahead)
                    gradient[start + rows :].addmm_(z[:, rows:].T, block)

    return run


def dense(x: Tensor, c: Tensor, target: Tensor) -> None:
    torch.nn.functional.cross_entropy(x @ c.T, target, reduction="sum").backward()


def rounds_for(way: Callable[[], object]) -> int:
    way()
    start = time.perf_counter()
    way()
    return int(min(15, max(3, SECONDS / (time.perf_counter() - start))))


def peak_memory(way: Callable[[], object]) -> float:
    """The most bytes that live at once beyond those before, in MiB."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as found:
        way()
    now = most = 0
    for event in found.profiler.kineto_results.events():  # type: ignore[union-attr]
        if event.name() == "[memory]":
            now += event.nbytes()
            most = max(most, now)
    return most / 2**20


def measure(n: int, width: int) -> list[dict[str, Any]]:
    sparse = random_target(n)
    target = csr_target(sparse)
    random = torch.Generator().manual_seed(0)
    x, c = (0.3 * torch.randn(n, width, generator=random) for _ in range(2))
    learning = x.clone().requires_grad_(), c.clone().requires_grad_()
    ours = {
        "graph": lambda: graph_cross_entropy(*learning, target).backward(),
        "tied": lambda: tied_graph_cross_entropy(learning[0], target).backward(),
    }
    bare = {f"three products, {rows} rows": three_products(x, c, rows) for rows in BLOCKS if rows <= n}
    bare |= {f"two products, {rows} rows": two_products(x, rows) for rows in BLOCKS if rows <= n // 2}
    ways: dict[str, Callable[[], object]] = {**ours, **bare}
    if n <= DENSE_LIMIT:
        whole = torch.tensor(sparse.toarray(), dtype=torch.float32)
        ways["dense loop"] = lambda: dense(*learning, whole)
        ways["dense loop, tied"] = lambda: dense(learning[0], learning[0], whole)
    ways["exponentials"] = exponentials(n * n)
    timings = interleave(ways, rounds=rounds_for(ways["graph"]), clock=time.process_time)
    exponential = timings.pop("exponentials")
    rows = []
    for name, products, loop in (("graph", "three", "dense loop"), ("tied", "two", "dense loop, tied")):
        floor = min((key for key in timings if key.startswith(products)), key=lambda key: timings[key].median_ms)
        bound = lower_bound(timings[floor], exponential)
        peers = {name: timings[name], f"{products} products": timings[floor], "products and exponentials": bound}
        if loop in timings:
            peers[loop] = timings[loop]
        if name == "tied":
            plain = min((key for key in timings if key.startswith("three")), key=lambda key: timings[key].median_ms)
            peers["three products"] = timings[plain]
        memory = {"ours": peak_memory(ours[name])}
        if loop in ways:
            memory["dense loop"] = peak_memory(ways[loop])
        against = {"floor": ratios(timings[floor], timings[name]), "bound": ratios(timings[floor], bound)}
        rows.append(
            row(
                f"{name} cross-entropy", name, peers, graph=f"n={n} D={width}", n=n, width=width, mib=memory,
                ratio_to_floor=against["floor"], bound_to_floor=against["bound"],
            )
        )  # fmt: skip
    return rows


def test_graph_losses_against_their_products(benchmark: Any) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        rows = [found for n in NODES for width in WIDTHS for found in measure(n, width)]
        benchmark.extra_info["rows"] = rows
        target = csr_target(random_target(1000))
        x = torch.randn(1000, 64, requires_grad=True)
        benchmark.pedantic(lambda: tied_graph_cross_entropy(x, target).backward(), rounds=5, warmup_rounds=1)
    finally:
        torch.set_num_threads(before)
    write_results("graph_cross_entropy", rows)


if __name__ == "__main__":
    sys.exit(pytest.main([str(Path(__file__)), "-o", "python_files=bench_*.py", "-q", "-s", *sys.argv[1:]]))
