"""The predicted trajectory (an adaptive integration of the exact flow to t = 100) against the 10,000 gradient steps it
predicts, one seed, on one core; and how far the two final Gram matrices are apart (the step is finite)."""

from __future__ import annotations

from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from fiedler.sims.models.node2vec import Node2VecSettings, initial_embedding, train_node2vec
from fiedler.theory import one_hop_target, parse, tied_flow
from interleave import interleave, row, write_results

GRAPHS = ("cycle:15", "path-star:4x5", "karate")
ROUNDS = 5


def test_flow_against_the_steps_it_predicts(benchmark: Any) -> None:
    rows = []
    settings = Node2VecSettings()
    with threadpool_limits(1):
        for word in GRAPHS:
            graph = parse(word)
            target, start = one_hop_target(graph), initial_embedding(graph.n, settings, 0)

            def flow(target: np.ndarray = target, start: np.ndarray = start) -> np.ndarray:
                return tied_flow(target, start, [100.0]).gram[-1]

            def descent(target: np.ndarray = target) -> np.ndarray:
                (state,) = train_node2vec(target, settings, [0], [settings.steps])
                v = state.embedding[0]
                return v @ v.T

            apart = float(np.linalg.norm(flow() - descent()) / np.linalg.norm(flow()))
            timings = interleave({"flow": flow, "10,000 gradient steps": descent}, rounds=ROUNDS)
            rows.append(row("tied flow to t = 100", "flow", timings, graph=word, n=graph.n, relative_distance=apart))
        benchmark.extra_info["rows"] = rows
        benchmark.pedantic(lambda: tied_flow(one_hop_target(parse("cycle:15")), 10 * np.eye(15), [100.0]), rounds=3)
    write_results("flow", rows)
