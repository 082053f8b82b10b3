"""Time to a relative gap on ordinary graphs, beside plain L-BFGS on the same objective, torch's and a cone solver.

    python benchmarks/bench_any_graph.py [--rows karate grid:20x20] [--limit 60] [--rounds 3] [--peer-python PYTHON]

Rows run in ascending cost, each of their ways with ``--limit`` seconds a round, and are written as they finish; those
that were measured before stay in the file. A peer has reached a gap where our bound at a point of its own, or at an
earlier one, proves it: it would not know. ``PYTHON`` is an interpreter with CVXPY, pandapower and PyGSP, by default
this one. ``make bench`` runs the first two rows.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from any_graph_peers import Trace, cone_solver, scipy_lbfgs, torch_lbfgs
from any_graphs import ROWS, Unavailable, make
from fiedler.sims.models.torch_state import one_thread
from fiedler.sims.runs.environment import describe_environment
from fiedler.theory import one_hop_target, tied_optimum
from fiedler.theory.graphs.graph import Graph
from fiedler.theory.optimum.certificate import tied_dual_value
from fiedler.theory.optimum.objectives import DENSE_SPECTRUM, TiedObjective, start_rank
from fiedler.theory.optimum.sparse_dual import sparse_dual_value
from fiedler.theory.optimum.target_parts import target_parts
from fiedler.theory.softmax import row_softmax
from fiedler.theory.targets.one_hop import one_hop_sparse
from interleave import RESULTS, Timing, ratios

OP = "tied optimum of any graph"
RESULT = RESULTS / "any_graph.json"
DECAYS = (0.01, 0.0)
# What is asked for, as a tolerance of ours and as a gap that a peer has to reach.
GOALS = {"1e-3": (1e-3, 1e-3), "1e-6": (1e-6, 1e-6), "polish": (0.0, 1e-10)}
SCIPY, TORCH, CONE = "SciPy L-BFGS", "torch L-BFGS", "CVXPY"
FIRST_ROWS = ROWS[:2]
LARGEST_WITH_ROUNDS = 500  # nodes: one round above


class Judge:
    """The relative gaps of a peer's points, by our bounds."""

    def __init__(self, objective: TiedObjective) -> None:
        self.objective = objective
        self.target = objective.target.dense() if objective.n <= DENSE_SPECTRUM else None

    def gaps(self, path: Trace, goals: Sequence[float]) -> tuple[list[float | None], float]:
        """Seconds to each goal, None where it was not reached, and the gap at the end. The bounds of a few points
        serve: each goal's first point is looked for by halving."""
        bounds: dict[int, float] = {}

        def gap(k: int) -> float:
            if k not in bounds:
                bounds[k] = self.bound(*path.points[k])
            known = max(bound for j, bound in bounds.items() if j <= k)
            value = self.value(*path.points[k])  # the lowest so far: every peer descends
            return max(0.0, value - known) / value

        last = gap(len(path.points) - 1)
        found: list[float | None] = []
        for goal in goals:
            if last > goal:
                found.append(None)
                continue
            low, high = 0, len(path.points) - 1
            while low < high:
                middle = (low + high) // 2
                low, high = (low, middle) if gap(middle) <= goal else (middle + 1, high)
            found.append(path.seconds[high])
        return found, last

    def value(self, f: np.ndarray, a: np.ndarray) -> float:
        return self.objective.evaluate(f, self.masses(f, a))[0]

    def masses(self, f: np.ndarray, a: np.ndarray) -> np.ndarray:
        return a + (f * f).sum(axis=1) / 2 if self.objective.masses else np.zeros(0)

    def bound(self, f: np.ndarray, a: np.ndarray) -> float:
        if self.target is None:
            return sparse_dual_value(self.objective, f, self.masses(f, a))
        p = row_softmax(f @ f.T + (a if self.objective.masses else 0.0))
        return tied_dual_value(self.target, self.objective.w, self.objective.decay, p)


def ours(target: Any, decay: float, tolerance: float, limit: float) -> tuple[float | None, float, int]:
    """Seconds (None where the tolerance was not reached), gap and number of columns."""
    began = time.perf_counter()
    found = tied_optimum(target, weight_decay=decay, tolerance=tolerance, time_limit=limit)
    seconds = time.perf_counter() - began
    return (seconds if found.converged else None), found.relative_gap, found.factor.shape[1]


def measure(
    name: str, graph: Graph, decay: float, *, limit: float, rounds: int, peer_python: str
) -> list[dict[str, Any]]:
    """One row for each goal: all ways in turn, every round."""
    target: Any = one_hop_target(graph) if graph.n <= DENSE_SPECTRUM else one_hop_sparse(graph)
    objective = TiedObjective(target_parts(target), np.ones(graph.n), decay)
    judge, goals = Judge(objective), [gap for _, gap in GOALS.values()]
    rank = max(start_rank(graph.n), ours(target, decay, 1e-3, limit)[2])  # and everything is loaded
    peers: dict[str, Callable[[], Trace]] = {
        SCIPY: lambda: scipy_lbfgs(objective, rank, limit),
        TORCH: lambda: torch_lbfgs(objective, rank, limit),
    }
    seconds: dict[str, list[list[float | None]]] = {"fiedler": [], **{peer: [] for peer in peers}}
    ends: dict[str, list[tuple[float, float]]] = {peer: [] for peer in peers}  # seconds and gap
    own_gaps: list[list[float]] = []
    missing: dict[str, str] = {}
    for _ in range(rounds):
        each = [ours(target, decay, tolerance, limit) for tolerance, _ in GOALS.values()]
        seconds["fiedler"].append([one[0] for one in each])
        own_gaps.append([one[1] for one in each])
        for peer, run in peers.items():
            try:
                path = run()
            except Unavailable as reason:
                missing[peer] = str(reason)
                continue
            reached, end = judge.gaps(path, goals)
            seconds[peer].append(reached)
            ends[peer].append((path.seconds[-1], end))
    try:  # once: it takes minutes
        solver, path = cone_solver(objective, limit, peer_python)
        reached, end = judge.gaps(path, goals)
        cone = f"{CONE} ({solver})"
        seconds[cone], ends[cone] = [reached], [(path.seconds[-1], end)]
    except Unavailable as reason:
        missing[CONE] = str(reason)
    facts = {"op": OP, "graph": name, "n": graph.n, "weight_decay": decay, "columns": rank,
             "rounds": rounds, "limit_s": limit}  # fmt: skip
    return [
        {
            **facts,
            "goal": goal,
            **of_ours([one[k] for one in seconds["fiedler"]], [one[k] for one in own_gaps]),
            "peers": {
                **{peer: of_peer([one[k] for one in seconds["fiedler"]], [one[k] for one in found], ends[peer])
                   for peer, found in seconds.items() if peer != "fiedler" and found},
                **{peer: {"left_out": reason} for peer, reason in missing.items()},
            },
        }
        for k, goal in enumerate(GOALS)
    ]  # fmt: skip


def of_ours(seconds: list[float | None], gaps: list[float]) -> dict[str, Any]:
    times = [one for one in seconds if one is not None]
    if len(times) < len(seconds):
        return {"not_reached": True, "gap": statistics.median(gaps)}
    timing = Timing(tuple(times))
    return {"ms_median": timing.median_ms, "ms_spread": timing.spread_ms, "gap": statistics.median(gaps)}


def of_peer(mine: list[float | None], seconds: list[float | None], ends: list[tuple[float, float]]) -> dict[str, Any]:
    """Time and ratio, or where the peer ended if it did not come to the goal in every round."""
    ended, gap = (statistics.median(column) for column in zip(*ends, strict=True))
    times, own = [one for one in seconds if one is not None], [one for one in mine if one is not None]
    if len(times) < len(seconds):
        return {"not_reached": f"ended after {ended:.1f} s at a gap of {gap:.1e}", "gap": gap}
    timing = Timing(tuple(times))
    found: dict[str, Any] = {"ms_median": timing.median_ms, "ms_spread": timing.spread_ms, "gap": gap}
    if len(own) == len(mine):
        found["ratio_to_ours"] = ratios(Timing(tuple(own[: len(times)])), timing)
    return found


def write(rows: list[dict[str, Any]], command: str) -> None:
    """Put the rows into the file, in place of those of the same graph and decay."""
    RESULTS.mkdir(exist_ok=True)
    kept = json.loads(RESULT.read_text())["rows"] if RESULT.exists() else []
    new = {(row["graph"], row["weight_decay"]) for row in rows}
    merged = [row for row in kept if (row["graph"], row["weight_decay"]) not in new] + rows
    environment = describe_environment(command)
    for row in rows:
        row["git_commit"] = environment["git_commit"]
    merged.sort(key=lambda row: (ROWS.index(row["graph"]), -row["weight_decay"]))
    RESULT.write_text(json.dumps({"environment": environment, "rows": merged}, indent=2) + "\n")


def show(row: dict[str, Any]) -> None:
    if "skipped" in row:
        print(f"{row['graph']}: skipped, {row['skipped']}", flush=True)
        return
    took = f"{row['ms_median']:.0f} ms" if "ms_median" in row else f"not reached, gap {row['gap']:.1e}"
    print(f"{row['graph']} n={row['n']} decay {row['weight_decay']} to {row['goal']}: {took}")
    for peer, found in row["peers"].items():
        ratio = found.get("ratio_to_ours")
        text = (
            f"{found['ms_median']:.0f} ms" if "ms_median" in found else found.get("not_reached", found.get("left_out"))
        )
        print(f"  {peer}: {text}" + (f", {ratio['median']:.2f} x ours ({ratio['min']:.2f} - {ratio['max']:.2f})"
                                    if ratio else ""), flush=True)  # fmt: skip


def run(names: Sequence[str], *, decays: Sequence[float], limit: float, rounds: int, peer_python: str) -> list[dict]:
    """Measure and write these rows, one graph and decay after the other."""
    command = f"python benchmarks/bench_any_graph.py --rows {' '.join(names)} --limit {limit:g} --rounds {rounds}"
    every = []
    with threadpool_limits(1), one_thread():
        for name in sorted(names, key=ROWS.index):
            try:
                graph = make(name, peer_python)
            except Unavailable as reason:
                facts = {"op": OP, "graph": name, "skipped": str(reason)}
                rows = [{**facts, "weight_decay": decay} for decay in decays]
                write(rows, command)
                show(rows[0])
                continue
            for decay in decays:
                rows = measure(name, graph, decay, limit=limit, peer_python=peer_python,
                               rounds=rounds if graph.n <= LARGEST_WITH_ROUNDS else 1)  # fmt: skip
                write(rows, command)
                for row in rows:
                    show(row)
                every += rows
    return every


def test_any_graph(benchmark: Any) -> None:
    rows = run(FIRST_ROWS, decays=DECAYS, limit=5.0, rounds=3, peer_python=sys.executable)
    benchmark.extra_info["rows"] = rows
    target = one_hop_target(make("karate", sys.executable))
    benchmark.pedantic(lambda: tied_optimum(target, weight_decay=0.01), rounds=3)


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS), metavar="GRAPH", help=", ".join(ROWS))
    options.add_argument("--decays", nargs="+", type=float, default=list(DECAYS))
    options.add_argument("--limit", type=float, default=60.0, help="seconds of each way in a round")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--peer-python", default=sys.executable)
    asked = options.parse_args()
    run(asked.rows, decays=asked.decays, limit=asked.limit, rounds=asked.rounds, peer_python=asked.peer_python)
