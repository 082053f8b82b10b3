"""How the cost of optimum and flow grows with n: closed forms, symmetry blocks and Fourier modes, beside the general
dense route where that still finishes, which is what a user without them would run."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from fiedler.theory import graph_flow, graph_optimum, parse, target_flow, target_optimum
from fiedler.theory.targets.one_hop import one_hop_target
from interleave import Timing, interleave, row, write_results

# Word, weight decay, tied, rounds, whether the dense route is run beside it.
OPTIMA: tuple[tuple[str, float, bool, int, bool], ...] = (
    ("cycle:15", 0.0, True, 7, True),
    ("cycle:100", 0.0, True, 1, True),
    ("cycle:1000000", 0.0, True, 3, False),
    ("hypercube:6", 0.0, True, 1, True),
    ("hypercube:20", 0.0, True, 3, False),
    ("path-star:4x5", 0.01, True, 7, True),
    ("path-star:30x5", 0.01, True, 3, True),
    ("path-star:60x5", 0.01, True, 1, True),
    ("path-star:5000x5", 0.01, True, 3, False),
    ("path-star:100000x10", 0.01, True, 3, False),
    ("path-star:15x5", 0.0, True, 1, True),
    ("path-star:5000x5", 0.0, True, 3, False),
    ("path-star:100000x10", 0.0, True, 3, False),
    ("path-star:30x5", 0.01, False, 3, True),
    ("path-star:5000x5", 0.01, False, 3, False),
    ("path-star:100000x10", 0.01, False, 3, False),
)

# Word, tied, rounds, whether the dense flow is run beside it. Six decades of time, from 1e-3 to 1e3.
FLOWS: tuple[tuple[str, bool, int, bool], ...] = (
    ("cycle:15", True, 3, True),
    ("cycle:60", True, 1, True),
    ("cycle:10000", True, 3, False),
    ("cycle:1000000", True, 1, False),
    ("cycle:1000000", False, 1, False),
    ("hypercube:5", True, 1, True),
    ("hypercube:20", True, 3, False),
    ("path-star:4x5", True, 3, True),
    ("path-star:12x5", True, 1, True),
    ("path-star:5000x5", True, 3, False),
    ("path-star:100000x10", True, 3, False),
    ("path-star:12x5", False, 1, True),
    ("path-star:5000x5", False, 3, False),
    ("path-star:100000x10", False, 1, False),
)
TIMES = np.geomspace(1e-3, 1e3, 25)
START = 0.1


def test_optimum_against_the_dense_route(benchmark: Any) -> None:
    rows = []
    with threadpool_limits(1):
        for word, decay, tied, rounds, dense in OPTIMA:
            graph = parse(word)
            found = graph_optimum(graph, tied=tied, weight_decay=decay)
            ways: dict[str, Callable[[], object]] = {
                "fiedler": lambda g=graph, t=tied, d=decay: graph_optimum(g, tied=t, weight_decay=d)
            }
            extra: dict[str, Any] = {}
            if dense:
                target = one_hop_target(graph)
                ways["dense route"] = lambda x=target, t=tied, d=decay: target_optimum(x, tied=t, weight_decay=d)
                whole = target_optimum(target, tied=tied, weight_decay=decay)
                extra["loss_above_dense"] = found.loss_per_node - whole.loss_per_node
            rows.append(
                row(
                    f"{'tied' if tied else 'untied'} optimum",
                    "fiedler",
                    interleave(ways, rounds=rounds),
                    graph=word,
                    n=graph.n,
                    weight_decay=decay,
                    method=found.method,
                    rank=found.rank,
                    max_violation=found.certificate.max_violation,
                    duality_gap=found.certificate.duality_gap,
                    **extra,
                )
            )
            print(rows[-1]["op"], word, rows[-1]["ms_median"], flush=True)
        benchmark.extra_info["rows"] = rows
        benchmark.pedantic(lambda: graph_optimum(parse("path-star:5000x5")), rounds=3)
    write_results("symmetry_optimum", rows)


def test_flow_against_the_dense_route(benchmark: Any) -> None:
    rows = []
    with threadpool_limits(1):
        for word, tied, rounds, dense in FLOWS:
            graph = parse(word)
            begin = time.perf_counter()
            found = graph_flow(graph, TIMES, init_scale=START, tied=tied)
            once = Timing((time.perf_counter() - begin,))
            ways: dict[str, Callable[[], object]] = {
                "fiedler": lambda g=graph, t=tied: graph_flow(g, TIMES, init_scale=START, tied=t)
            }
            extra: dict[str, Any] = {}
            if dense:
                target = one_hop_target(graph)
                ways["dense route"] = lambda x=target, t=tied: target_flow(x, TIMES, init_scale=START, tied=t)
                whole = target_flow(target, TIMES, init_scale=START, tied=tied)
                apart = np.abs(found.loss_per_node - whole.loss_per_node)
                extra["largest_loss_difference"] = float(apart.max())
            rows.append(
                row(
                    f"{'tied' if tied else 'untied'} flow, six decades",
                    "fiedler",
                    # Alone and long: the one run is the measurement.
                    {"fiedler": once} if rounds == 1 and not dense else interleave(ways, rounds=rounds),
                    graph=word,
                    n=graph.n,
                    method=found.method,
                    **extra,
                )
            )
            print(rows[-1]["op"], word, rows[-1]["ms_median"], flush=True)
            write_results("symmetry_flow", rows)  # after every graph: some take a minute
        benchmark.extra_info["rows"] = rows
        benchmark.pedantic(lambda: graph_flow(parse("hypercube:20"), TIMES, init_scale=START), rounds=3)
