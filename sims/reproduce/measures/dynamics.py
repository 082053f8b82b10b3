"""The flow of tied Node2Vec: the spectrum of C along it, and what very long training does."""

from __future__ import annotations

import numpy as np

from fiedler.theory import (
    centre_rows,
    graph_drift_law,
    graph_optimum,
    parse,
    residual,
    row_softmax,
    tied_flow,
    tied_optimum,
)

from ...tasks.task import Task
from ..cell import At

START = 10.0  # V(0) = START I: what N(0, 1) of width 100 is on average
END = 100.0  # flow time of the paper's 10,000 steps of 0.01
LATE = (1e3, 1e4)


def coefficients(at: At, graph: str) -> dict[str, float]:
    """Eigenvalues of C = R + R' on the centred subspace along the flow from V(0) = 10 I: the largest at the start;
    at the end the smallest over the predicted column space (``kept``) and the largest outside (``filtered``), and the
    eigenvalues of P + P' and T + T' over all times."""
    task = Task(parse(graph))
    n = task.graph.n
    times = np.geomspace(1e-2, END, 25)
    flow = tied_flow(task.target, START * np.eye(n), times)
    span = tied_optimum(task.target).column_space
    centre = np.eye(n) - 1 / n
    basis = np.linalg.svd(centre - span @ span.T @ centre)[0][:, : n - 1 - span.shape[1]]
    c = [_c(v, task.target) for v in (START * np.eye(n), *flow.embedding)]
    p = [row_softmax(v @ v.T) for v in flow.embedding]
    sums = [np.linalg.eigvalsh(one + one.T) for one in p]
    both = np.hstack([span, basis])
    return {
        "start": float(np.linalg.eigvalsh(both.T @ c[0] @ both)[-1]),
        "kept": float(min(np.linalg.eigvalsh(span.T @ c[-1] @ span), default=0.0)),  # of a star: no direction
        "filtered": float(np.linalg.eigvalsh(basis.T @ c[-1] @ basis)[-1]),
        "p_least": float(min(np.linalg.eigvals(one).real.min() for one in p)),
        "p_most": float(max(np.linalg.eigvals(one).real.max() for one in p)),
        "sum_least": float(min(one[0] for one in sums)),
        "sum_most": float(max(one[-1] for one in sums)),
        "target_least": float(np.linalg.eigvalsh(task.target + task.target.T)[0]),
        "target_most": float(np.linalg.eigvalsh(task.target + task.target.T)[-1]),
    }


def drift(at: At, graph: str) -> dict[str, float]:
    """``attained``: whether the infimum is; ``exponent``: of the length of the mean row between the two LATE times of
    the flow; ``kept``: the trace of the centred Gram matrix at the later one, in parts of the optimum's."""
    task = Task(parse(graph))
    found = graph_optimum(parse(graph))
    law = graph_drift_law(parse(graph), optimum=found)
    flow = tied_flow(task.target, START * np.eye(task.graph.n), LATE)
    means = [float(np.linalg.norm(v.mean(axis=0))) for v in flow.embedding]
    trace = float((found.eigenvalues * found.multiplicities).sum())
    return {
        "attained": float(found.attained),
        "kappa": 0.0 if law is None else law.kappa,
        "exponent": float(np.log(means[1] / means[0]) / np.log(LATE[1] / LATE[0])),
        "kept": float((centre_rows(flow.embedding[-1]) ** 2).sum() / trace),
    }


def _c(v: np.ndarray, target: np.ndarray) -> np.ndarray:
    r = residual(v @ v.T, target, np.ones(len(target)))
    return np.asarray(r + r.T)
