"""Ordinary graphs of every kind: an independent solver never beats the bound, and comes to the same objective."""

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import logsumexp, softmax

from fiedler.theory import from_networkx, one_hop_target, tied_optimum, untied_optimum
from fiedler.theory.optimum.objectives import TiedObjective
from fiedler.theory.optimum.row_pass import Stopped
from fiedler.theory.optimum.search import Search
from fiedler.theory.optimum.target_parts import target_parts

ROUNDING = 1e-10
TOLERANCE = 1e-7
SOLVED = 2e-5  # of the objective: where plain L-BFGS is left after its steps, at the worst


def pruned_tree(n, seed=0):
    """A balanced binary tree with leaves removed at random: branches of all lengths."""
    rng = np.random.default_rng(seed)
    tree = nx.balanced_tree(2, 6)
    while len(tree) > n:
        leaves = [v for v in sorted(tree) if tree.degree(v) == 1]
        tree.remove_node(leaves[int(rng.integers(len(leaves)))])
    return tree


def chain(n, chords, seed=0):
    rng = np.random.default_rng(seed)
    graph = nx.path_graph(n)
    graph.add_edges_from((int(i), int(j)) for i, j in rng.integers(0, n, (chords, 2)) if abs(i - j) > 1)
    return graph


def over_decades(graph, decades=6, seed=0):
    rng = np.random.default_rng(seed)
    graph = graph.copy()
    for edge in sorted(graph.edges):
        graph.edges[edge]["weight"] = float(10 ** rng.uniform(-decades / 2, decades / 2))
    return graph


def hub(leaves, core=6):
    """A cycle, one node of which has many leaves."""
    graph = nx.cycle_graph(core)
    graph.add_edges_from((0, core + i) for i in range(leaves))
    return graph


def pieces():
    parts = (nx.star_graph(8), nx.path_graph(12), nx.barabasi_albert_graph(20, 2, seed=3), nx.complete_graph(4))
    return nx.disjoint_union_all(parts)


def one_way(n, chords=4, seed=0):
    """A directed cycle with directed chords, as a target: hardly an arc has a partner."""
    rng = np.random.default_rng(seed)
    a = np.roll(np.eye(n), 1, axis=1)
    for i, j in rng.integers(0, n, (chords, 2)):
        a[i, j] += 1
    return a / a.sum(axis=1, keepdims=True)


ZOO = {
    "hubs": lambda: nx.barabasi_albert_graph(50, 2, seed=1),
    "leaves": lambda: pruned_tree(40),
    "long chains": lambda: chain(40, 4),
    "communities": lambda: nx.relaxed_caveman_graph(5, 9, 0.1, seed=2),
    "blocks": lambda: nx.stochastic_block_model(
        [14, 14, 14], (np.full((3, 3), 0.04) + 0.5 * np.eye(3)).tolist(), seed=2
    ),
    "six decades": lambda: over_decades(nx.relaxed_caveman_graph(4, 10, 0.2, seed=2)),
    "several components": pieces,
    "a hub with leaves": lambda: hub(50),
    "small world": lambda: nx.connected_watts_strogatz_graph(40, 4, 0.1, seed=1),
    "directed cycle": lambda: one_way(40),
}


def target_of(name):
    made = ZOO[name]()
    return made if isinstance(made, np.ndarray) else one_hop_target(from_networkx(made))


def plain_lbfgs(target, decay, seed=0, steps=3000):
    """min over a V (n, n) and, without decay, a column bias, by SciPy: the objective at a point, above the infimum."""
    n = len(target)

    def objective(x):
        v, a = x[: n * n].reshape(n, n), x[n * n :] * (decay == 0)
        z = v @ v.T + a
        r = target - softmax(z, axis=1)
        value = (logsumexp(z, axis=1) - (target * z).sum(axis=1)).sum() + decay * (v**2).sum()
        return value, np.concatenate([(2 * decay * v - (r + r.T) @ v).ravel(), -r.sum(axis=0) * (decay == 0)])

    x = 0.5 * np.random.default_rng(seed).standard_normal(n * n + n)
    options = {"maxiter": steps, "maxfun": 2 * steps, "ftol": 1e-14, "gtol": 1e-8, "maxcor": 20}
    return float(minimize(objective, x, jac=True, method="L-BFGS-B", options=options).fun)


# The general solver takes half a minute on these two.
LONG = {("leaves", 0.0), ("long chains", 0.0)}


@pytest.mark.parametrize(
    ("name", "decay"),
    [
        pytest.param(name, decay, marks=[pytest.mark.long] if (name, decay) in LONG else [])
        for name in ZOO
        for decay in (0.0, 0.01)
    ],
)
def test_an_independent_solver_agrees_to_the_gap(name, decay):
    target = target_of(name)
    found = tied_optimum(target, weight_decay=decay, tolerance=TOLERANCE, time_limit=60)
    assert found.converged
    assert found.relative_gap <= TOLERANCE
    gap = found.certificate.duality_gap
    labels = found.components
    other = sum(
        plain_lbfgs(target[np.ix_(nodes, nodes)], decay)
        for nodes in (np.flatnonzero(labels == c) for c in range(labels.max() + 1))
    )
    assert other >= found.objective - gap - ROUNDING * found.objective
    assert other <= found.objective * (1 + SOLVED)


@pytest.mark.parametrize("name", ["hubs", "leaves", "six decades", "directed cycle"])
def test_untied_at_a_point_of_another_solver(name):
    """Proximal gradient on the logits: nothing of ours but the target."""
    target, decay = target_of(name)[:30, :30], 0.1
    target = target + np.diag(np.maximum(1 - target.sum(axis=1), 0.0))
    found = untied_optimum(target, weight_decay=decay, tolerance=TOLERANCE, time_limit=60)
    assert found.converged
    z = np.zeros_like(target)
    for _ in range(600):
        left, values, right = np.linalg.svd(z + 1.5 * (target - softmax(z, axis=1)))
        z = (left * np.maximum(values - 1.5 * decay, 0)) @ right
    other = float((logsumexp(z, axis=1) - (target * z).sum(axis=1)).sum()) + decay * np.linalg.norm(z, "nuc")
    assert other >= found.objective - found.certificate.duality_gap - ROUNDING * found.objective
    assert other == pytest.approx(found.objective, rel=1e-3)


@pytest.mark.parametrize("decay", [0.0, 0.01])
def test_hundreds_of_leaves_on_one_hub(decay):
    target = one_hop_target(from_networkx(hub(300)))
    found = tied_optimum(target, weight_decay=decay, tolerance=1e-4, time_limit=60)
    assert found.converged
    assert found.loss_per_node < np.log(len(target))
    other = plain_lbfgs(target, decay, steps=10)
    assert other >= found.objective - found.certificate.duality_gap


def test_row_weights_over_six_decades():
    target = one_hop_target(from_networkx(nx.barabasi_albert_graph(12, 2, seed=1)))
    w = 10 ** np.random.default_rng(0).uniform(-3, 3, 12)
    found = tied_optimum(target, row_weight=w, tolerance=0, time_limit=200)
    assert found.relative_gap < 1e-6


@st.composite
def weighted_graphs(draw):
    n = draw(st.integers(3, 14))
    graph = nx.Graph([(i, draw(st.integers(0, i - 1))) for i in range(1, n)])
    pairs = draw(st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), max_size=n))
    graph.add_edges_from((i, j) for i, j in pairs if i != j)
    for edge in sorted(graph.edges):
        graph.edges[edge]["weight"] = 10.0 ** draw(st.floats(-2, 2))
    return one_hop_target(from_networkx(graph))


def truth_of(target, decay):
    """(least, most) that the optimum can be."""
    exact = tied_optimum(target, weight_decay=decay, tolerance=0, time_limit=20)
    gap = exact.certificate.duality_gap
    assert gap < 1e-6 * exact.objective
    return exact.objective - max(gap, 0.0), exact.objective


@settings(max_examples=10, deadline=None, derandomize=True)
@given(weighted_graphs(), st.sampled_from([0.0, 0.01, 0.2]), st.floats(1.0, 6.0))
def test_the_gap_is_never_below_the_true_one(target, decay, digits):
    _, most = truth_of(target, decay)
    found = tied_optimum(target, weight_decay=decay, tolerance=10.0**-digits, time_limit=20)
    assert found.converged
    # The optimum is at most ``most``: the point is above it by at least objective - most.
    assert found.certificate.duality_gap >= found.objective - most - ROUNDING * most
    assert found.objective - found.certificate.duality_gap <= most * (1 + ROUNDING)


class Interrupted(Search):
    """Stopped at the k-th time it asks whether to go on: a limit of time that does not depend on the machine."""

    def __init__(self, objective, most):
        super().__init__(objective, 1e-9)
        self.left = most

    def check(self):
        super().check()
        self.left -= 1
        if self.left <= 0:
            self.stop = "time limit"
            raise Stopped


@settings(max_examples=10, deadline=None, derandomize=True)
@given(weighted_graphs(), st.sampled_from([0.0, 0.01, 0.2]), st.integers(2, 120))
def test_the_gap_of_a_search_that_was_stopped_is_true_too(target, decay, most_checks):
    least, most = truth_of(target, decay)
    found = Interrupted(TiedObjective(target_parts(target), np.ones(len(target)), decay), most_checks).run()
    assert np.isfinite(found.bound)
    assert found.bound <= most * (1 + ROUNDING)
    assert found.value >= least - ROUNDING * most
    assert found.converged == (found.stopped_by == "tolerance")


@settings(max_examples=10, deadline=None, derandomize=True)
@given(weighted_graphs(), st.floats(0.001, 0.05))
def test_the_gap_after_a_short_limit_of_time_is_true_too(target, seconds):
    _, most = truth_of(target, 0.01)
    found = tied_optimum(target, weight_decay=0.01, tolerance=1e-12, time_limit=0.02 + seconds)
    assert found.objective - found.certificate.duality_gap <= most * (1 + ROUNDING)
