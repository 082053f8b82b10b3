"""Every optimum against an independent dense solver: accelerated projected gradients on the matrix, no factors."""

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp, softmax

from cases import SMALL, WORDLESS, zoo_graph
from fiedler.theory import from_networkx, graph_optimum, one_hop_target, tied_flow, tied_optimum, untied_optimum

ITERATIONS = 3000
# Of the objective, per node: what accelerated gradients leave after so many steps of a problem with curvature 0.05.
ORACLE = 1e-6
RISE = 1e-9  # of the loss along a flow, relative: the integrator's tolerance


def loss_and_gradient(z, target):
    return float((logsumexp(z, axis=1) - (target * z).sum(axis=1)).sum()), softmax(z, axis=1) - target


def accelerated(target, decay, proximal, size, symmetric):
    """min L(Z) + decay * size(Z) by FISTA with restarts; the gradient of L is Lipschitz with constant 1/2."""
    n, step = len(target), 2.0
    z = y = np.zeros((n, n))
    t, value = 1.0, np.inf
    for _ in range(ITERATIONS):
        gradient = loss_and_gradient(y, target)[1]
        if symmetric:
            gradient = (gradient + gradient.T) / 2
        new = proximal(y - step * gradient, step * decay)
        new_value = loss_and_gradient(new, target)[0] + decay * size(new)
        if new_value > value:
            y, t = z, 1.0
            value = np.inf
            continue
        new_t = (1 + np.sqrt(1 + 4 * t * t)) / 2
        y = new + (t - 1) / new_t * (new - z)
        if abs(value - new_value) < 1e-14 * abs(new_value):
            break
        z, t, value = new, new_t, new_value
    return loss_and_gradient(z, target)[0] + decay * size(z)


def positive_part(k, shift):
    values, vectors = np.linalg.eigh(k)
    return (vectors * np.maximum(values - shift, 0)) @ vectors.T


def soft_singular(z, shift):
    left, values, right = np.linalg.svd(z)
    return (left * np.maximum(values - shift, 0)) @ right


def nuclear(z):
    return np.linalg.svd(z, compute_uv=False).sum()


@pytest.mark.parametrize("name", [*SMALL, *WORDLESS])
@pytest.mark.parametrize("decay", [0.05, 0.4])
def test_tied(name, decay):
    graph = zoo_graph(name)
    target = one_hop_target(graph)
    oracle = accelerated(target, decay, positive_part, np.trace, symmetric=True)
    found = tied_optimum(target, weight_decay=decay)
    ours = found.loss + decay * np.trace(found.gram)
    assert found.certificate.max_violation < 1e-7
    assert ours <= oracle + 1e-8 * graph.n
    assert oracle - ours <= ORACLE * graph.n
    shortest = graph_optimum(graph, weight_decay=decay)
    assert shortest.certificate.max_violation < 1e-7
    assert shortest.loss_per_node == pytest.approx(found.loss_per_node, rel=1e-8)


@pytest.mark.parametrize("name", [*SMALL, *WORDLESS])
@pytest.mark.parametrize("decay", [0.1, 0.5])
def test_untied(name, decay):
    graph = zoo_graph(name)
    target = one_hop_target(graph)
    oracle = accelerated(target, decay, soft_singular, nuclear, symmetric=False)
    whole = untied_optimum(target, weight_decay=decay)
    found = graph_optimum(graph, tied=False, weight_decay=decay)
    for loss, values in (
        (whole.loss, whole.singular_values.sum()),
        (found.loss_per_node * graph.n, found.eigenvalues @ found.multiplicities),
    ):
        ours = loss + decay * values
        assert ours <= oracle + 1e-8 * graph.n
        assert oracle - ours <= ORACLE * graph.n


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.integers(4, 9), st.floats(0.3, 0.9), st.sampled_from([0.0, 0.1]))
def test_the_objective_never_rises_along_the_flow(seed, n, density, decay):
    random = nx.gnp_random_graph(n, density, seed=seed)
    nx.add_path(random, range(n))
    target = one_hop_target(from_networkx(random))
    start = np.random.default_rng(seed).standard_normal((n, 3))
    flow = tied_flow(target, start, np.geomspace(1e-2, 30, 25), weight_decay=decay)
    energy = (flow.embedding**2).sum(axis=(1, 2))
    objective = flow.loss + decay * energy
    first = loss_and_gradient(start @ start.T, target)[0] + decay * (start**2).sum()
    values = np.concatenate([[first], objective])
    assert (np.diff(values) <= RISE * np.abs(values[:-1])).all()
    assert values[-1] < values[0]
