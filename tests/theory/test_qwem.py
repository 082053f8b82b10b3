import math

import networkx as nx
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from fiedler.theory import from_networkx, parse
from fiedler.theory.rivals import positive_factors, qwem_matrix, qwem_mode_energy, qwem_times, shifted_pmi
from fiedler.theory.targets.walks import node2vec_target, second_order_chain, window_target

EXACT = 1e-12


def weighted_graph():
    graph = nx.Graph()
    graph.add_weighted_edges_from(
        [("a", "b", 2.0), ("b", "c", 1.0), ("c", "a", 0.5), ("c", "c", 3.0), ("c", "d", 4.0), ("d", "e", 0.25)]
    )
    return from_networkx(graph)


def pair_loss(z, joint, noise):
    """- [J log s(z) + N log s(-z)] of one pair, N = k w_i q_j."""
    return joint * np.logaddexp(0, -z) + noise * np.logaddexp(0, z)


def laws(target, row_law, negatives, noise_power):
    """(J, k w q') by plain loops."""
    n = len(target)
    w = [x / math.fsum(row_law) for x in row_law]
    c = [math.fsum(w[i] * target[i, j] for i in range(n)) for j in range(n)]
    q = [x**noise_power for x in c]
    joint = np.array([[w[i] * target[i, j] for j in range(n)] for i in range(n)])
    return joint, np.array([[negatives * w[i] * q[j] / math.fsum(q) for j in range(n)] for i in range(n)])


@pytest.mark.parametrize("negatives", [1.0, 4.0])
@pytest.mark.parametrize("graph", [weighted_graph(), parse("karate"), parse("cycle:15")], ids=["w", "karate", "cycle"])
def test_qwem_matrix_minimises_the_expanded_loss(graph, negatives):
    target = window_target(graph, 3)
    matrix = qwem_matrix(target, row_law=graph.degrees, negatives=negatives)
    joint, noise = laws(target, graph.degrees, negatives, 1)
    h = 1e-3
    low, mid, high = (pair_loss(z, joint, noise) for z in (-h, 0.0, h))
    slope, curvature = (high - low) / (2 * h), (high - 2 * mid + low) / h**2
    assert np.allclose(matrix, -slope / curvature, rtol=0, atol=1e-5)
    pmi = shifted_pmi(target, row_law=graph.degrees, negatives=negatives)
    assert np.allclose(matrix, 2 * np.tanh(pmi / 2), rtol=0, atol=EXACT)
    assert np.array_equal(matrix, matrix.T)
    assert (matrix[target == 0] == -2).all()


def test_qwem_of_a_second_order_walk_needs_its_law():
    graph = parse("karate")
    chain = second_order_chain(graph, 0.5, 2)
    target = node2vec_target(graph, 0.5, 2, 3)
    matrix = qwem_matrix(target, row_law=chain.node_law)
    assert np.array_equal(matrix, matrix.T)
    with pytest.raises(ValueError, match=r"not symmetric.*graph\.degrees.*node_law"):
        qwem_matrix(target)


def flow(matrix, w0, times):
    """dW/dt = -grad / (2 g) of (g/4) ||WW' - M||^2, the gradient by central differences of the loss at the start."""

    def right(_, flat):
        w = flat.reshape(w0.shape)
        return ((matrix - w @ w.T) @ w / 2).ravel()

    g = 1.7
    gradient = np.zeros_like(w0)
    for i in range(w0.shape[0]):
        for j in range(w0.shape[1]):
            e = np.zeros_like(w0)
            e[i, j] = 1e-5
            up, down = (g / 4 * np.linalg.norm(w @ w.T - matrix) ** 2 for w in (w0 + e, w0 - e))
            gradient[i, j] = (up - down) / 2e-5
    assert np.allclose(right(0, w0.ravel()), -gradient.ravel() / (2 * g), rtol=0, atol=1e-6)
    path = solve_ivp(right, (0, times[-1]), w0.ravel(), t_eval=times, method="DOP853", rtol=1e-11, atol=1e-13)
    return path.y.T.reshape(len(times), *w0.shape)


@pytest.mark.parametrize("word", ["cycle:8", "florentine", "path-star:3x3"])
def test_mode_energies_are_those_of_the_integrated_flow(word):
    graph = parse(word)
    matrix = qwem_matrix(window_target(graph, 2), row_law=graph.degrees)
    values, modes = np.linalg.eigh(matrix)
    rng = np.random.default_rng(2)
    start = rng.uniform(0.05, 0.4, graph.n)
    start[1] = 3 * abs(values[1])  # one mode starts above its level
    rotation = np.linalg.qr(rng.standard_normal((graph.n, graph.n)))[0]
    times = np.linspace(0, 4, 9)
    path = flow(matrix, modes * np.sqrt(start) @ rotation.T, times)
    grams = path @ path.transpose(0, 2, 1)
    expected = np.einsum("ik,tij,jk->tk", modes, grams, modes)
    found = qwem_mode_energy(values, start, times)
    assert np.allclose(found, expected, rtol=1e-7, atol=1e-9)
    closed = np.einsum("ik,tk,jk->tij", modes, found, modes)
    assert np.allclose(closed, grams, rtol=0, atol=1e-7)


def test_a_small_random_start_reaches_the_positive_factors():
    graph = parse("path-star:3x3")
    matrix = qwem_matrix(window_target(graph, 2), row_law=graph.degrees)
    rank = 3
    best = positive_factors(matrix, rank)
    assert best.rank == rank
    w0 = 1e-3 * np.random.default_rng(4).standard_normal((graph.n, rank))
    last = flow(matrix, w0, np.array([0.0, 200.0]))[-1]
    assert np.allclose(last @ last.T, best.left @ best.right.T, rtol=0, atol=1e-6)


@pytest.mark.parametrize("rank", [1, 2, 4, 20])
@pytest.mark.parametrize("word", ["karate", "cycle:15", "irregular"])
def test_positive_factors_beat_random_perturbations(word, rank):
    graph = parse(word)
    matrix = qwem_matrix(window_target(graph, 2), row_law=graph.degrees)
    best = positive_factors(matrix, rank)
    distance = np.linalg.norm(matrix - best.left @ best.left.T)
    values = np.linalg.eigvalsh(matrix)[::-1]
    left_out = np.concatenate([values[best.rank :], np.zeros(0)])
    assert distance**2 == pytest.approx((left_out**2).sum(), rel=1e-9)
    assert best.rank >= min(rank, (values > 1e-9).sum())
    rng = np.random.default_rng(5)
    for scale in (1e-3, 1e-2, 0.1, 1.0):
        for _ in range(10):
            w = best.left + scale * rng.standard_normal(best.left.shape)
            assert np.linalg.norm(matrix - w @ w.T) > distance


def test_mode_energies_at_the_ends():
    values = np.array([2.0, 0.5, 0.0, -1.0, 3.0])
    start = np.array([1e-6, 0.7, 0.3, 0.4, 0.0])
    found = qwem_mode_energy(values, start, [0.0, 1.0, 1e4])
    assert np.allclose(found[0], start, rtol=1e-15, atol=0)
    assert np.allclose(found[2], [2.0, 0.5, 0.3 / (1 + 0.3 * 1e4), 0.0, 0.0], rtol=1e-12, atol=0)
    # The printed sigmoid, where it is well defined.
    e = np.exp(values)
    printed = start * values * e / np.where(values == 0, 1, values + start * (e - 1))
    assert np.allclose(found[1][values != 0], printed[values != 0], rtol=1e-13, atol=0)
    assert found[1, 2] == pytest.approx(0.3 / 1.3, rel=1e-14)
    assert qwem_mode_energy(values, 0.1, 2.0).shape == (1, 5)
    assert np.array_equal(qwem_mode_energy([1.0], 0.0, [5000.0]), [[0.0]])


def test_mode_times_are_where_half_the_energy_is_reached():
    values, start = np.array([3.0, 2.0, 0.1, 0.0, -1.0, 1.0, 1.0]), np.array([1e-8, 1e-8, 1e-8, 1e-8, 1e-8, 2.0, 0.0])
    tau = qwem_times(values, start)
    for k in range(3):
        energy = qwem_mode_energy(values, start, tau[k])[0, k]
        assert energy == pytest.approx(values[k] ** 2 / (2 * values[k] - start[k]), rel=1e-9)
        assert energy == pytest.approx(values[k] / 2, rel=1e-6)
        assert tau[k] == pytest.approx(math.log(values[k] / 1e-8) / values[k], rel=1e-12)
    assert np.array_equal(tau[3:], [np.inf, np.inf, 0.0, np.inf])
