"""The training task both sides share: a graph, the target distribution on it, and how much each node counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.special import entr

from fiedler.theory import (
    Eigenspaces,
    Graph,
    laplacian_eigenpairs,
    laplacian_eigenspaces,
    node2vec_target,
    one_hop_sparse,
    one_way_arcs,
    one_way_target,
    window_target,
)
from fiedler.theory.checks import DENSE_LIMIT
from fiedler.theory.softmax import check_row_weight
from fiedler.theory.targets.directions import DIRECTIONS, LINE_WEIGHTS, line_weights

from ..suggest import choose

Floats = NDArray[np.float64]

DENSE_NODES = DENSE_LIMIT  # up to here the spectrum is complete, and matrices of all pairs of nodes are made for scores
LEADING_MODES = 64  # the lowest eigenvalues that are followed above it, whole eigenspaces


@dataclass(frozen=True, eq=False)
class Task:
    """Predict a neighbour of each node, with optional self-edges and label smoothing, or with ``window`` > 1 or ``p``,
    ``q`` other than one the contexts within that window of a (p, q) second-order walk (node2vec), in exact proportion.

    ``edges``: "both", or the lines of one direction, "forward" (away from the root) or "backward"; ``weights``: "node",
    every node counts the same, as in Node2Vec, or "line", every training line does, as where a network's loss is
    averaged over lines (``theory.directions``). The loss of a task is sum_i w_i loss_i with w = ``row_weight``, and
    what is called its loss per node everywhere is that over sum_i w_i: the plain mean over nodes for "both", "node".

    Raises ValueError for an unknown direction or weighting, and for either of them with a walk; from ``target``, for
    isolated nodes, a smoothing outside [0, 1) or a bad walk.

    Every field but the graph is an option of the commands that train. "stored" in a field's metadata: its name in run
    folders, where it is only written if it is not the default, as in folders from before there was a choice.

    >>> from fiedler.sims import Task
    >>> from fiedler.theory import parse
    >>> task = Task(parse("cycle:15"), label_smoothing=0.15)
    >>> task.target.shape, task.target[0, :3].round(3).tolist()
    ((15, 15), [0.01, 0.435, 0.01])
    >>> round(task.entropy_floor, 4)  # no loss per node is lower
    1.3229
    """

    graph: Graph
    self_edges: bool = False
    label_smoothing: float = 0.0
    window: int = 1
    p: float = 1.0
    q: float = 1.0
    edges: str = field(default="both", metadata={"stored": "direction"})  # "edges" is their number there
    weights: str = field(default="node", metadata={"stored": "weights"})

    def __post_init__(self) -> None:
        for name, value, known in (("edges", self.edges, DIRECTIONS), ("weights", self.weights, LINE_WEIGHTS)):
            if value not in known:
                raise ValueError(f"unknown {name} {value!r}; {choose(value, known)}")
        if self.one_hop:
            return
        if self.directed:
            raise ValueError(
                f"the {self.edges} edges have no walks: leave out window, p and q, or take both directions"
            )
        if self.weights == "line":
            raise ValueError("a walk's contexts are no training lines: leave out window, p and q, or weigh by node")

    @property
    def one_hop(self) -> bool:
        """Whether the contexts are the neighbours themselves."""
        return self.window == 1 and self.p == self.q == 1.0

    @property
    def directed(self) -> bool:
        """Whether the edges are those of one direction."""
        return self.edges != "both"

    @property
    def graph_target(self) -> bool:
        """Whether the objective is that of ``theory.one_hop_target`` with all weights one, so that what theory knows of
        the graph itself (closed forms, symmetry) holds for the task."""
        return self.one_hop and not self.directed and self.row_weight is None

    @property
    def title(self) -> str:
        """The graph's name, and what is not usual about its lines: "path-star:4x5, forward edges"."""
        parts = [f"{self.edges} edges"] if self.directed else []
        parts += ["weighted by line"] if self.weights == "line" else []
        return ", ".join([self.graph.name, *parts])

    @cached_property
    def target(self) -> Floats:
        """T (n, n), row-stochastic, dense float64; uniform in the rows of nodes without a line."""
        options: dict[str, Any] = {"self_edges": self.self_edges, "label_smoothing": self.label_smoothing}
        if self.directed:
            return one_way_target(self.graph, self.edges, **options)[0]
        if self.p == self.q == 1.0:
            return window_target(self.graph, self.window, **options)
        return node2vec_target(self.graph, self.p, self.q, self.window, **options)

    @cached_property
    def row_weight(self) -> Floats | None:
        """w (n,) float64, or None where all are one.

        "node": 1, and 0 for a node without a line; "line": the node's number of lines over their mean, so that the sum
        is n. Weights of edges count as repeated lines. Raises ValueError where they differ by more than the theory's
        losses take: such a run could be trained, and never scored.
        """
        lines = one_way_arcs(self.graph, self.edges)
        if (self.weights == "node" and not self.directed) or not (lines.nnz or self.self_edges):
            return None  # all one; or no line at all, which the target refuses
        weight = line_weights(lines, self.self_edges, self.weights)
        try:
            check_row_weight(weight, self.graph.n)
        except ValueError as error:
            raise ValueError(
                f"weighted by line, the nodes of {self.graph.name} count too differently ({error}): leave --weights "
                "line out, or give edges more alike weights"
            ) from error
        return None if (weight == 1.0).all() else weight

    @property
    def total_weight(self) -> float:
        """sum_i w_i: what the loss is divided by to be a loss per node."""
        return float(self.graph.n if self.row_weight is None else self.row_weight.sum())

    @property
    def entropy_floor(self) -> float:
        """sum_i w_i H(T_i) / sum_i w_i (nats), below which no loss per node can be; per line for weights "line"."""
        weight = np.ones(self.graph.n) if self.row_weight is None else self.row_weight
        entries = self.sparse_target.tocoo()
        return max(0.0, float((weight[entries.row] * entr(entries.data)).sum())) / self.total_weight

    @cached_property
    def sparse_target(self) -> sp.csr_array:
        """T as CSR; of the neighbours themselves without the dense one."""
        if self.one_hop and not self.directed and self.label_smoothing == 0:
            return one_hop_sparse(self.graph, self_edges=self.self_edges)
        return sp.csr_array(self.target)

    @property
    def solver_target(self) -> Floats | sp.csr_array:
        """T, dense up to DENSE_NODES nodes and CSR above."""
        return self.target if self.graph.n <= DENSE_NODES else self.sparse_target

    @property
    def partial_modes(self) -> bool:
        """Whether ``spaces`` are the lowest eigenspaces only."""
        return self.graph.n > DENSE_NODES

    @cached_property
    def spaces(self) -> Eigenspaces:
        """Eigenspaces of (I - D^-1 A) + (I - D^-1 A)', the modes every energy is measured in. Self-edges, directions
        and weights change this matrix, so they are not put into it: the modes of a graph stay the same under every
        target. Above DENSE_NODES nodes those of the LEADING_MODES lowest eigenvalues, whose energies are not all of an
        embedding's.
        """
        if not self.partial_modes:
            return laplacian_eigenspaces(self.graph, "symmetrized-random-walk")
        pairs = laplacian_eigenpairs(self.graph, LEADING_MODES, "symmetrized-random-walk", memory_limit=np.inf)
        assert pairs.basis is not None
        return Eigenspaces(pairs.eigenvalues, pairs.multiplicities, pairs.basis)

    def describe(self) -> dict[str, Any]:
        """What a run folder keeps of the task; ``from_description`` reads it."""
        description: dict[str, Any] = {"graph": self.graph.name, "n": self.graph.n, "edges": self.graph.edge_count}
        for option in _OPTIONS:
            value = getattr(self, option.name)
            if "stored" not in option.metadata or value != option.default:
                description[option.metadata.get("stored", option.name)] = value
        return {**description, **describe_reading(self.graph)}

    @staticmethod
    def from_description(graph: Graph, description: Mapping[str, Any]) -> Task:
        """The task on ``graph`` that ``describe`` described."""
        stored = {option.name: option.metadata.get("stored", option.name) for option in _OPTIONS}
        return Task(graph, **{name: description[key] for name, key in stored.items() if key in description})


def describe_reading(graph: Graph) -> dict[str, Any]:
    """What was understood of the file that ``graph`` is from, under "read"; nothing where it is from none."""
    if graph.reading is None:
        return {}
    return {"read": graph.reading.describe(graph.nodes, graph.edge_count, graph.component_count)}


_OPTIONS = fields(Task)[1:]
TASK_OPTIONS: Mapping[str, Any] = {option.name: option.default for option in _OPTIONS}  # name -> default
