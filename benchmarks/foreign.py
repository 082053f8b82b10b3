"""What another interpreter does for a benchmark: real graphs of packages, and a cone solver. It needs NumPy, NetworkX
and the package asked for, and nothing of fiedler.

    python benchmarks/foreign.py graph power:200          prints the edges as JSON
    python benchmarks/foreign.py cone PROBLEM.npz ANSWER.npz
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import numpy as np

POWER = {"power:200": "case_illinois200", "power:9241": "case9241pegase"}
ROADS = "roads:2640"


def edges_of(name: str) -> list[tuple[int, int]]:
    """The edges of a real graph without weights, loops and copies, its nodes numbered from zero."""
    import networkx as nx

    if name == ROADS:
        import pygsp

        graph = nx.from_scipy_sparse_array(pygsp.graphs.Minnesota().W.tocsr() != 0)
    else:
        import pandapower.networks
        import pandapower.topology

        net = getattr(pandapower.networks, POWER[name])()
        graph = nx.Graph(pandapower.topology.create_nxgraph(net, respect_switches=False))
    graph = nx.convert_node_labels_to_integers(nx.Graph(graph.edges()))
    return [(int(i), int(j)) for i, j in graph.edges() if i != j]


def solve_cone(problem: Any) -> dict[str, Any]:
    """min sum_i [lse(Z_i) - T_i . Z_i] + l tr K, Z = K + 1a', K positive semidefinite, by CVXPY."""
    import cvxpy as cp

    target, decay = problem["target"], float(problem["decay"])
    n = len(target)
    k = cp.Variable((n, n), PSD=True)
    a, constraints = np.zeros(n), []
    z = k
    if decay == 0:
        a = cp.Variable(n)
        z = k + np.ones((n, 1)) @ cp.reshape(a, (1, n), order="C")
        constraints = [cp.sum(k, axis=1) == 0, cp.sum(a) == 0]  # what changes nothing is fixed
    loss = cp.sum(cp.log_sum_exp(z, axis=1)) - cp.sum(cp.multiply(target, z)) + decay * cp.trace(k)
    task = cp.Problem(cp.Minimize(loss), constraints)
    solver = next(name for name in ("CLARABEL", "SCS") if name in cp.installed_solvers())
    began = time.perf_counter()
    task.solve(solver=solver)
    seconds = time.perf_counter() - began
    values, modes = np.linalg.eigh(np.asarray(k.value))
    bias = np.zeros(n) if decay > 0 else np.asarray(a.value)
    return {"factor": modes * np.sqrt(np.maximum(values, 0)), "bias": bias, "seconds": seconds, "solver": solver}


if __name__ == "__main__":
    if sys.argv[1] == "graph":
        print(json.dumps(edges_of(sys.argv[2])))
    else:
        np.savez(sys.argv[3], **solve_cone(np.load(sys.argv[2])))
