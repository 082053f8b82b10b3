from itertools import combinations

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import eigvalsh
from scipy.optimize import brentq, minimize
from scipy.special import logsumexp, softmax

from cases import SMALL
from fiedler.theory import centre_gram, centre_rows, from_networkx, one_hop_target, parse, tied_flow, tied_optimum

VIOLATION = 1e-7  # what a certificate promises
NEGATIVE_GAP = -1e-9  # a gap below zero is rounding of two sums of n^2 terms
GAP = 1e-6
SOLVERS = 1e-8  # an L-BFGS that stops when the loss no longer falls in float64
CLOSED = 1e-8  # Gram entries against a root found to the last bit; the loss is flat around the optimum
PRINTED = 6e-9  # half a unit in the last place of the values solved for elsewhere, losses per node of eight decimals


def optimum(word, **options):
    return tied_optimum(one_hop_target(parse(word), **options))


def check(found):
    assert found.certificate.max_violation < VIOLATION
    assert NEGATIVE_GAP < found.certificate.duality_gap < GAP


def kkt_matrix(found, target, w=None):
    """S = sym(diag(w) (T - P)) at the reported optimum."""
    w = np.ones(len(target)) if w is None else w
    r = w[:, None] * (target - softmax(found.gram + found.bias, axis=1))
    return (r + r.T) / 2


@pytest.mark.parametrize(
    ("word", "self_edges", "loss", "eigenvalues", "digits"),
    [
        ("cycle:15", False, 1.434917543849, [45.57987] * 2, 1e-5),
        ("path-star:4x5", False, 1.28578689, [47.2799] * 3, 1e-4),
        ("path-star:10x5", False, 1.26096878, [51.136] * 9, 1e-3),
        ("grid:4x4", False, 1.83376364, [30.373, 30.373, 0.765], 1e-3),
        ("irregular", False, 1.49948220, [27.454, 16.018], 1e-3),
        ("cycle:15", True, 1.22401741, [67.0992] * 2, 1e-4),
        ("path-star:4x5", True, 1.15190536, [68.28] * 3, 1e-2),
        ("grid:4x4", True, 1.62139484, [40.471, 40.471, 1.629], 1e-3),
        ("irregular", True, 1.35873483, None, None),
    ],
)
def test_graphs_of_the_paper(word, self_edges, loss, eigenvalues, digits):
    found = optimum(word, self_edges=self_edges)
    check(found)
    assert found.loss_per_node == pytest.approx(loss, abs=1e-11 if word == "cycle:15" and not self_edges else PRINTED)
    assert found.loss_per_node == found.loss / parse(word).n
    if eigenvalues is not None:
        assert found.rank == len(eigenvalues)
        assert np.allclose(found.eigenvalues, eigenvalues, rtol=0, atol=digits)
    assert found.attained == (word == "cycle:15")
    assert found.diverging == (1 if word == "irregular" else 0)


@pytest.mark.parametrize("word", SMALL)
def test_the_optimality_conditions_hold(word):
    target = one_hop_target(parse(word))
    found = tied_optimum(target)
    check(found)
    for c in range(found.diverging + 1):
        nodes = np.flatnonzero(found.components == c)
        within = np.ix_(nodes, nodes)
        r = target[within] - softmax(found.gram[within] + found.bias[nodes], axis=1)
        s = (r + r.T) / 2
        assert np.abs(r.sum(axis=0)).max() < VIOLATION
        assert eigvalsh(s).max() < VIOLATION
        assert np.abs(s @ found.gram[within]).max() < VIOLATION * max(1.0, found.gram.max())
        zeros = (np.abs(eigvalsh(s)) < VIOLATION).sum()
        assert np.linalg.matrix_rank(found.gram[within], tol=1e-6) + (len(nodes) - zeros) <= len(nodes)
    assert np.allclose(centre_rows(found.gram, found.components), found.gram, atol=1e-10 * max(1, found.gram.max()))


@pytest.mark.parametrize("word", ["cycle:15", "path-star:4x5", "irregular", "karate"])
def test_the_parts_of_an_optimum_fit_together(word):
    found = optimum(word)
    basis, v = found.column_space, found.embedding()
    scale = found.eigenvalues[0]
    assert basis.shape == v.shape == (len(found.gram), found.rank)
    assert (np.diff(found.eigenvalues) <= 0).all()
    assert np.allclose(v @ v.T, found.centred_gram, rtol=0, atol=1e-10 * scale)
    assert np.allclose(basis.T @ basis, np.eye(found.rank), atol=1e-12)
    assert np.allclose(basis.T @ found.centred_gram @ basis, np.diag(found.eigenvalues), rtol=0, atol=1e-10 * scale)


def independent_solution(target, decay=0.0, seed=0):
    """min over V (n, n) and a free column bias (none with decay) by plain L-BFGS: (objective, loss, K)."""
    n = len(target)

    def unpack(x):
        v, a = x[: n * n].reshape(n, n), x[n * n :]
        return v, (a if decay == 0 else np.zeros(n))

    def objective(x):
        v, a = unpack(x)
        z = v @ v.T + a
        r = target - softmax(z, axis=1)
        value = (logsumexp(z, axis=1) - (target * z).sum(axis=1)).sum() + decay * (v**2).sum()
        return value, np.concatenate([(2 * decay * v - (r + r.T) @ v).ravel(), -r.sum(axis=0) * (decay == 0)])

    x = np.random.default_rng(seed).standard_normal(n * n + n)
    options = {"maxiter": 20000, "maxfun": 40000, "ftol": 1e-16, "gtol": 1e-10, "maxcor": 30}
    for _ in range(2):  # the second run starts from a fresh memory
        x = minimize(objective, x, jac=True, method="L-BFGS-B", options=options).x
    v, _ = unpack(x)
    value = objective(x)[0]
    return value, value - decay * (v**2).sum(), v @ v.T


@pytest.mark.parametrize("word", ["cycle:15", "path-star:4x5", "grid:4x4", "florentine", "petersen", "tree-star:3x3"])
def test_a_plain_lbfgs_reaches_the_same_loss_and_never_beats_the_dual(word):
    target = one_hop_target(parse(word))
    found = tied_optimum(target)
    value, _, gram = independent_solution(target)
    assert value == pytest.approx(found.loss, abs=SOLVERS)
    assert value >= found.loss - max(found.certificate.duality_gap, 0) - 1e-10
    # The objective is quadratic around its optimum: 1e-9 in the loss is 1e-4 in the embedding.
    assert np.allclose(centre_gram(gram), found.centred_gram, rtol=0, atol=1e-3 * max(1.0, found.gram.max()))


@pytest.mark.parametrize("word", ["cycle:15", "path-star:4x5", "florentine", "irregular"])
@pytest.mark.parametrize("decay", [0.05, 0.2])
def test_a_plain_lbfgs_agrees_with_weight_decay(word, decay):
    target = one_hop_target(parse(word))
    found = tied_optimum(target, weight_decay=decay)
    check(found)
    value, loss, gram = independent_solution(target, decay)
    assert value == pytest.approx(found.loss + decay * np.trace(found.gram), abs=SOLVERS)
    assert loss == pytest.approx(found.loss, abs=1e-5)  # not stationary at the optimum, unlike the objective
    assert np.allclose(gram, found.gram, rtol=0, atol=1e-3)
    assert found.attained
    assert found.diverging == 0
    assert not found.bias.any()
    s = kkt_matrix(found, target)
    assert eigvalsh(s).max() < decay + VIOLATION
    assert np.abs(s @ found.gram - decay * found.gram).max() < VIOLATION * max(1.0, found.gram.max())


@pytest.mark.parametrize(("d", "q"), [(2, 3), (3, 3), (2, 4), (3, 2), (6, 2)])
def test_hamming_graphs_have_the_closed_form(d, q):
    found = optimum(f"hamming:{d},{q}")
    check(found)
    rho = 1 - q / (d * (q - 1))
    c = np.log((1 + (q - 1) * rho) / (1 - rho))
    assert found.rank == d * (q - 1)
    assert np.allclose(found.eigenvalues, c * q ** (d - 1), rtol=CLOSED, atol=0)
    assert found.attained


@pytest.mark.parametrize("q", [2, 3, 5])
def test_complete_graphs_have_no_geometry(q):
    found = optimum(f"hamming:1,{q}")
    check(found)
    assert found.rank == 0
    assert found.attained
    assert not found.gram.any()
    assert found.loss_per_node == pytest.approx(np.log(q), abs=1e-12)


@pytest.mark.parametrize("d", [3, 4, 5, 6])
def test_hypercubes_have_the_closed_form(d):
    found = optimum(f"hypercube:{d}")
    check(found)
    assert found.rank == d
    assert np.allclose(found.eigenvalues, 2**d * np.arctanh(1 - 2 / d), rtol=CLOSED, atol=0)


def angular_mean(c, n):
    cosines = np.cos(2 * np.pi * np.arange(n) / n)
    return softmax(c * cosines) @ cosines


@pytest.mark.parametrize("n", [5, 6, 9, 15, 20, 40])
@pytest.mark.parametrize("self_edges", [False, True])
def test_cycles_solve_their_equation(n, self_edges):
    mean = np.cos(2 * np.pi / n)
    mean = (1 + 2 * mean) / 3 if self_edges else mean
    c = brentq(lambda c: angular_mean(c, n) - mean, 0, 1e3, xtol=1e-13)
    cosines = np.cos(2 * np.pi * np.arange(n) / n)
    found = optimum(f"cycle:{n}", self_edges=self_edges)
    check(found)
    assert np.allclose(found.gram[0], c * cosines, rtol=0, atol=CLOSED * c)
    assert np.allclose(found.eigenvalues, [n * c / 2] * 2, rtol=CLOSED, atol=0)
    assert found.loss_per_node == pytest.approx(logsumexp(c * cosines) - c * mean, abs=1e-11)
    assert found.attained


@pytest.mark.parametrize(("n", "d"), [(4, 2), (5, 2), (6, 2), (4, 3)])
def test_tori_solve_their_equation(n, d):
    mean = (d - 1 + np.cos(2 * np.pi / n)) / d
    c = brentq(lambda c: angular_mean(c, n) - mean, 0, 1e3, xtol=1e-13)
    found = optimum("torus:" + "x".join([str(n)] * d))
    check(found)
    assert found.rank == 2 * d
    assert np.allclose(found.eigenvalues, c * n**d / 2, rtol=CLOSED, atol=0)


@pytest.mark.parametrize(("a", "b"), [(1, 5), (2, 3), (4, 4)])
def test_complete_bipartite_graphs_have_no_geometry(a, b):
    found = tied_optimum(one_hop_target(from_networkx(nx.complete_bipartite_graph(a, b))))
    check(found)
    assert found.rank == 0
    assert not found.gram.any()
    n = a + b  # each side is b/a or a/b of the mass a node receives: P_ij is that over n
    assert found.loss == pytest.approx(a * np.log(b * n / a) + b * np.log(a * n / b), abs=1e-10)
    assert np.allclose(softmax(found.bias), [b / a / n] * a + [a / b / n] * b, rtol=1e-9)


@pytest.mark.parametrize("arms", [3, 4, 7])
def test_a_path_star_is_a_simplex_of_arms_times_one_radial_profile(arms):
    found = optimum(f"path-star:{arms}x5")
    blocks = found.gram[1:, 1:].reshape(arms, 4, arms, 4).transpose(0, 2, 1, 3)
    h2 = blocks[0, 0] / (1 - 1 / arms)
    simplex = np.eye(arms) - 1 / arms
    scale = found.gram.max()
    assert np.allclose(found.gram[0], 0, atol=1e-9 * scale)
    assert np.allclose(blocks, simplex[:, :, None, None] * h2, rtol=0, atol=1e-8 * scale)
    profile = np.sqrt(np.diag(h2))
    assert np.allclose(h2, np.outer(profile, profile), rtol=0, atol=1e-8 * scale)
    assert (np.diff(profile) > 0).all()
    if arms == 4:
        assert np.allclose(profile, [1.633, 2.704, 4.020, 4.598], rtol=0, atol=6e-4)


@pytest.mark.parametrize("word", ["cycle:15", "path-star:4x5", "florentine", "karate", "hypercube:4"])
def test_zero_is_optimal_exactly_above_the_decay_threshold(word):
    target = one_hop_target(parse(word))
    threshold = eigvalsh((target + target.T) / 2 - 1 / len(target)).max()
    above = tied_optimum(target, weight_decay=1.001 * threshold)
    below = tied_optimum(target, weight_decay=0.98 * threshold)
    check(above)
    check(below)
    at_zero = len(target) * np.log(len(target))
    assert above.rank == 0
    assert not above.gram.any()
    assert above.loss == pytest.approx(at_zero, rel=1e-14)
    assert np.trace(below.gram) > 1e-3
    assert below.loss + below.weight_decay * np.trace(below.gram) < at_zero - 1e-6


@pytest.mark.parametrize("word", ["cycle:15", "path-star:4x5", "irregular", "florentine"])
def test_the_optimum_with_decay_is_the_limit_of_the_flow(word):
    target, decay = one_hop_target(parse(word)), 0.1
    found = tied_optimum(target, weight_decay=decay)
    v0 = np.random.default_rng(0).standard_normal((len(target), len(target)))
    end = tied_flow(target, v0, 500.0, weight_decay=decay)
    assert np.allclose(end.gram[0], found.gram, rtol=0, atol=1e-6 * found.gram.max())
    assert end.loss[0] == pytest.approx(found.loss, abs=1e-8)


@pytest.mark.parametrize("decay", [0.0, 0.05])
@pytest.mark.parametrize("word", ["path-star:4x5", "irregular", "florentine"])
def test_relabelling_the_nodes_relabels_the_optimum(word, decay):
    target = one_hop_target(parse(word))
    n = len(target)
    order, w = np.random.default_rng(0).permutation(n), 1 + np.arange(n) / n
    plain = tied_optimum(target, weight_decay=decay, row_weight=w)
    moved = tied_optimum(target[np.ix_(order, order)], weight_decay=decay, row_weight=w[order])
    check(plain)
    assert moved.loss == pytest.approx(plain.loss, abs=1e-9)
    assert np.allclose(moved.gram, plain.gram[np.ix_(order, order)], rtol=0, atol=1e-7 * plain.gram.max())
    assert moved.total_weight == pytest.approx(w.sum())


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_row_weights_all_equal_scale_the_loss(decay):
    target = one_hop_target(parse("florentine"))
    plain = tied_optimum(target, weight_decay=decay)
    scaled = tied_optimum(target, weight_decay=3 * decay, row_weight=np.full(len(target), 3.0))
    check(scaled)
    assert scaled.loss == pytest.approx(3 * plain.loss, rel=1e-10)
    assert scaled.loss_per_node == pytest.approx(plain.loss_per_node, rel=1e-10)
    assert np.allclose(scaled.gram, plain.gram, rtol=0, atol=1e-7 * plain.gram.max())


def test_uneven_row_weights_have_a_certified_optimum():
    target = one_hop_target(parse("florentine"))
    w = np.array([2.0, 1.0, 3.0] * 5)
    found = tied_optimum(target, row_weight=w)
    check(found)
    s = kkt_matrix(found, target, w)
    assert np.abs(s.sum(axis=0)).max() < VIOLATION
    assert eigvalsh(s).max() < VIOLATION
    v = np.random.default_rng(0).standard_normal((15, 15))
    z = v @ v.T
    assert sum(w[i] * (logsumexp(z[i]) - target[i] @ z[i]) for i in range(15)) > found.loss


@pytest.mark.parametrize("word", ["tree:3,2", "path-star:5x2"])
def test_a_tree_with_uneven_row_weights_has_a_certified_optimum(word):
    target = one_hop_target(parse(word))
    check(tied_optimum(target, row_weight=0.5 + np.random.default_rng(0).random(len(target))))


@pytest.mark.parametrize("word", ["cycle:15", "path-star:4x5", "irregular", "florentine"])
def test_label_smoothing_shrinks_the_geometry_and_joins_components(word):
    found = optimum(word, label_smoothing=0.1)
    check(found)
    assert found.diverging == 0
    assert np.isfinite(found.gram).all()
    within = found.eigenvalues.sum()
    assert within > 1
    assert optimum(word, label_smoothing=0.3).eigenvalues.sum() < within


def test_a_disconnected_graph_is_the_sum_of_its_components():
    # A cycle, a star and K4, nodes interleaved.
    parts = [nx.cycle_graph(7), nx.star_graph(3), nx.complete_graph(4), nx.path_graph(6)]
    whole = nx.disjoint_union_all(parts)
    order = np.random.default_rng(0).permutation(len(whole))
    target = one_hop_target(from_networkx(whole))
    found = tied_optimum(target[np.ix_(order, order)])
    check(found)
    assert found.diverging == 3
    assert not found.attained
    singles = [tied_optimum(one_hop_target(from_networkx(part))) for part in parts]
    assert found.loss == pytest.approx(sum(single.loss for single in singles), abs=1e-10)
    assert found.rank == sum(single.rank for single in singles)
    expected = np.sort(np.concatenate([single.eigenvalues for single in singles]))[::-1]
    assert np.allclose(found.eigenvalues, expected, rtol=1e-7, atol=0)
    back = np.argsort(order)
    grams = found.gram[np.ix_(back, back)]
    assert np.allclose(grams[:7, :7], singles[0].gram, rtol=0, atol=1e-7 * singles[0].gram.max())
    labels = found.components[back]
    for a, b in combinations([(0, 7), (7, 11), (11, 15), (15, 21)], 2):
        assert labels[a[0]] != labels[b[0]]
        assert not grams[a[0] : a[1], b[0] : b[1]].any()


@st.composite
def connected_graphs(draw):
    n = draw(st.integers(2, 9))
    parents = [draw(st.integers(0, i - 1)) for i in range(1, n)]
    extra = draw(st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), max_size=n))
    graph = nx.Graph([(i, parent) for i, parent in enumerate(parents, start=1)])
    graph.add_edges_from((i, j) for i, j in extra if i != j)
    return from_networkx(graph)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(connected_graphs(), st.booleans(), st.sampled_from([0.0, 0.03, 0.3]))
def test_every_connected_graph_has_a_certified_optimum(graph, self_edges, decay):
    target = one_hop_target(graph, self_edges=self_edges)
    found = tied_optimum(target, weight_decay=decay)
    check(found)
    assert found.rank < graph.n or decay > 0
    entropy = -(target * np.log(np.where(target > 0, target, 1))).sum()
    assert entropy - 1e-9 <= found.loss <= graph.n * np.log(graph.n) + 1e-9


def test_a_directed_target_with_an_arc_on_no_cycle_needs_weight_decay():
    target = np.roll(np.eye(5), 1, axis=1)
    target[4] = [0, 0, 0, 1, 0]  # 0 -> 1 -> 2 -> 3 <-> 4
    with pytest.raises(ValueError, match=r"not symmetric \(a directed graph\).*weight_decay > 0"):
        tied_optimum(target)
    check(tied_optimum(target, weight_decay=0.1))


def test_bad_input_is_refused():
    target = one_hop_target(parse("cycle:5"))
    with pytest.raises(ValueError, match="weight_decay"):
        tied_optimum(target, weight_decay=-0.1)
    with pytest.raises(ValueError, match="row_weight"):
        tied_optimum(target, row_weight=np.ones(4))
    with pytest.raises(ValueError, match="square"):
        tied_optimum(target[:4])


def test_centring_removes_the_mean_of_each_component():
    rng = np.random.default_rng(0)
    v, labels = rng.standard_normal((7, 3)), np.array([0, 1, 0, 2, 1, 1, 0])
    plain, apart = centre_rows(v), centre_rows(v, labels)
    assert np.allclose(plain.sum(axis=0), 0, atol=1e-14)
    for c in range(3):
        assert np.allclose(apart[labels == c], v[labels == c] - v[labels == c].mean(axis=0), atol=1e-14)
    assert np.allclose(centre_gram(v @ v.T), plain @ plain.T, atol=1e-13)
    assert np.allclose(centre_gram(v @ v.T, labels), apart @ apart.T, atol=1e-13)
