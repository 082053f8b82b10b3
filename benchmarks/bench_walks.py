"""Exact second-order walk targets beside sampling them: seconds, and how far the sample is from the exact target.

The peer is what a node2vec user does: simulate walks of length 80 from every node (transition probabilities taken from
the same chain, sampled with NumPy in one batch of walkers), and count contexts within the window."""

from __future__ import annotations

from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from fiedler.theory import node2vec_target, parse, second_order_chain
from fiedler.theory.targets.walks import SecondOrderChain
from interleave import interleave, row, write_results

P, Q, WINDOW, LENGTH, WALKS = 0.5, 2.0, 5, 80, 200
GRAPHS = ("cycle:15", "karate", "les-miserables", "grid:30x30")
ROUNDS = 3


def sampled(chain: SecondOrderChain) -> np.ndarray:
    """Row-normalised counts of contexts on both sides over WALKS walks of LENGTH from every node."""
    rng = np.random.default_rng(0)
    moves = chain.transition
    cumulative = np.cumsum(moves.data) - np.repeat(
        np.concatenate([[0.0], np.cumsum(moves.data)])[moves.indptr[:-1]], np.diff(moves.indptr)
    )
    first = np.searchsorted(chain.tails, np.arange(chain.n))
    degree = np.bincount(chain.tails, minlength=chain.n)
    starts = np.repeat(np.arange(chain.n), WALKS)
    edge = first[starts] + (rng.random(starts.size) * degree[starts]).astype(np.int64)
    path = [starts, chain.heads[edge]]
    offset = np.repeat(np.arange(len(chain.heads)), np.diff(moves.indptr)) + cumulative.clip(max=1 - 1e-12)
    for _ in range(LENGTH - 2):
        position = np.searchsorted(offset, edge + rng.random(edge.size) * (1 - 1e-12))
        edge = moves.indices[np.minimum(position, moves.indptr[edge + 1] - 1)]
        path.append(chain.heads[edge])
    nodes = np.array(path)
    counts = np.zeros((chain.n, chain.n))
    for step in range(1, WINDOW + 1):
        np.add.at(counts, (nodes[:-step].ravel(), nodes[step:].ravel()), 1.0)
    counts = counts + counts.T
    return counts / counts.sum(axis=1, keepdims=True)


def test_exact_targets_against_sampled_ones(benchmark: Any) -> None:
    rows = []
    with threadpool_limits(1):
        for word in GRAPHS:
            graph = parse(word)
            exact = node2vec_target(graph, P, Q, WINDOW)
            sample = sampled(second_order_chain(graph, P, Q))
            timings = interleave(
                {
                    "fiedler, exact": lambda g=graph: node2vec_target(g, P, Q, WINDOW),
                    "sampled walks": lambda g=graph: sampled(second_order_chain(g, P, Q)),
                },
                rounds=ROUNDS,
            )
            total_variation = float(np.abs(sample - exact).sum(axis=1).mean() / 2)
            rows.append(
                row(
                    f"node2vec target, window {WINDOW}",
                    "fiedler, exact",
                    timings,
                    graph=word,
                    n=graph.n,
                    walks=f"{WALKS} x {LENGTH} a node",
                    peer_mean_total_variation=total_variation,
                )
            )
        benchmark.extra_info["rows"] = rows
        benchmark.pedantic(lambda: node2vec_target(parse("karate"), P, Q, WINDOW), rounds=3)
    write_results("walks", rows)
