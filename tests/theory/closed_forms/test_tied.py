import itertools
import time
from dataclasses import replace

import mpmath
import networkx as nx
import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st
from networkx.generators.atlas import graph_atlas_g
from scipy.linalg import eigvalsh
from scipy.special import ive, softmax

from cases import SMALL
from fiedler.theory import from_networkx, one_hop_target, parse, tied_optimum
from fiedler.theory.closed_forms.multipartite import multipartite_parts
from fiedler.theory.closed_forms.product import solve_axes, stationarity
from fiedler.theory.closed_forms.tied import (
    closed_form_optimum,
    cycle_optimum,
    hamming_optimum,
    multipartite_optimum,
    path_star_gram,
    torus_optimum,
)

GRAM = 1e-7  # the dense solver's Gram matrix, relative to its size: the loss is flat around the optimum
LOSS = 1e-10
VIOLATION = 1e-12  # of the closed forms themselves: rounding
PROMISE = 1e-7  # of a certificate

CYCLES = [f"cycle:{n}" for n in (3, 4, 5, 6, 7, 8, 15, 20)]
TORI = ["torus:4x4", "torus:3x5", "torus:5x3", "torus:3x3", "torus:4x7", "torus:3x4x5", "torus:6", "torus:3x3x3"]
HAMMING = ["hypercube:1", "hypercube:2", "hypercube:3", "hypercube:6", "hamming:2,3", "hamming:3,3", "hamming:2,5"]
ZERO = ["hamming:1,5", "hamming:1,2", "path-star:5x2", "tree:4,1", "path-star:1x2", "path-star:1x3", "path-star:2x2"]
GRIDS = ["grid:2x2x2", "grid:2x2", "grid:2x1x2x2"]
KNOWN = CYCLES + TORI + HAMMING + ZERO + GRIDS


def dense(word_or_graph, **options):
    decay = options.pop("weight_decay", 0.0)
    graph = parse(word_or_graph) if isinstance(word_or_graph, str) else word_or_graph
    return tied_optimum(one_hop_target(graph, **options), weight_decay=decay)


def compare(found, solved):
    """A closed form against the dense solver, which knows nothing of families."""
    scale = max(1.0, float(np.abs(solved.centred_gram).max()))
    assert np.allclose(found.gram(), solved.centred_gram, rtol=0, atol=GRAM * scale)
    assert found.loss_per_node == pytest.approx(solved.loss_per_node, abs=LOSS)
    assert found.rank == solved.rank
    assert np.allclose(np.repeat(found.eigenvalues, found.multiplicities), solved.eigenvalues, rtol=GRAM, atol=GRAM)
    assert found.attained == solved.attained
    assert found.max_violation < PROMISE
    assert found.n == len(solved.gram)
    assert found.weight_decay == solved.weight_decay


def check_by_dense_algebra(found, target):
    """Spectrum, loss, stationarity and the largest excess, recomputed from the n x n matrices of a regular graph."""
    k, n, decay = found.gram(), len(target), found.weight_decay
    p = softmax(k, axis=1)
    r = target - p
    s = (r + r.T) / 2 - decay * np.eye(n)
    values, modes = np.linalg.eigh(k)
    inside = values > 1e-9 * max(1.0, values.max())
    assert np.allclose(values[inside][::-1], np.repeat(found.eigenvalues, found.multiplicities), rtol=1e-11, atol=0)
    assert found.loss_per_node == pytest.approx(float(-(target * np.log(p)).sum()) / n, rel=1e-12)
    assert np.abs(s @ modes[:, inside]).max(initial=0) == pytest.approx(found.stationarity, abs=1e-12)
    outside = np.linalg.qr(np.column_stack([np.ones(n), modes[:, inside], modes[:, ~inside]]))[0][
        :, 1 + inside.sum() : n
    ]
    assert eigvalsh(outside.T @ s @ outside).max() == pytest.approx(found.excess, abs=1e-12)


@pytest.mark.parametrize("word", KNOWN)
def test_it_is_the_optimum_of_the_dense_solver_in_node_order(word):
    found = closed_form_optimum(parse(word))
    assert found.tied
    compare(found, dense(word))
    assert found.stationarity < VIOLATION
    assert found.excess < VIOLATION


@pytest.mark.parametrize("word", [*CYCLES, *TORI[:5], *HAMMING, "hamming:1,5"])
def test_with_self_edges(word):
    found = closed_form_optimum(parse(word), self_edges=True)
    compare(found, dense(word, self_edges=True))
    check_by_dense_algebra(found, one_hop_target(parse(word), self_edges=True))


@pytest.mark.parametrize("word", [*CYCLES[2:], "torus:3x5", "hypercube:4", "hamming:2,3", "hamming:1,5"])
@pytest.mark.parametrize(
    ("decay", "smoothing"), [(0.0, 1e-3), (1e-4, 0.0), (0.3, 0.0), (0.0, 0.3), (0.2, 0.1), (0.6, 0.1)]
)
@pytest.mark.parametrize("self_edges", [False, True])
def test_decay_and_smoothing_are_solved_or_refused_rightly(word, decay, smoothing, self_edges):
    options = {"self_edges": self_edges, "label_smoothing": smoothing}
    found = closed_form_optimum(parse(word), weight_decay=decay, **options)
    solved = dense(word, weight_decay=decay, **options)
    first_modes = {"cycle:": 2, "torus:": 4, "hyperc": 4, "hammin": 4}[word[:6]]
    if found is None:
        assert solved.rank > first_modes
    else:
        compare(found, solved)
        check_by_dense_algebra(found, one_hop_target(parse(word), **options))


def test_decay_and_smoothing_hold_in_both_regimes_and_fail_between():
    assert cycle_optimum(15, weight_decay=1e-4).rank == 2
    assert cycle_optimum(15, weight_decay=0.3) is None
    assert cycle_optimum(15, weight_decay=0.8).rank == 2
    assert cycle_optimum(15, label_smoothing=1e-3).rank == 2
    assert cycle_optimum(15, label_smoothing=0.3) is None
    # One axis above its own threshold, the other below.
    found = torus_optimum(3, 9, weight_decay=0.7)
    assert found.scalars[0] == 0
    assert found.rank == 2
    compare(found, dense("torus:3x9", weight_decay=0.7))


@pytest.mark.parametrize("options", [{}, {"self_edges": True}, {"label_smoothing": 0.1}])
@pytest.mark.parametrize("word", ["cycle:15", "cycle:4", "torus:3x5", "hypercube:4", "hamming:1,5", "path-star:5x2"])
def test_the_optimum_is_zero_exactly_from_the_threshold_on(word, options):
    # Far above every threshold there is always a closed form, zero; the star has none with self-edges.
    above = closed_form_optimum(parse(word), weight_decay=2.0, **options)
    if above is None:
        assert word == "path-star:5x2"
        assert options == {"self_edges": True}
        return
    target = one_hop_target(parse(word), **options)
    edge = eigvalsh((target + target.T) / 2 - 1 / len(target)).max()
    assert above.zero_from == pytest.approx(edge, abs=1e-12)
    assert above.rank == 0
    assert not above.gram().any()
    if edge > 1e-9:
        assert closed_form_optimum(parse(word), weight_decay=1.0001 * edge, **options).rank == 0
        below = closed_form_optimum(parse(word), weight_decay=0.999 * edge, **options)
        assert below.rank > 0 if word != "path-star:5x2" else below is None


@pytest.mark.parametrize(
    ("self_edges", "scalar", "eigenvalue", "loss"),
    [(False, 6.07731598, 45.57987, 1.434917543849), (True, 8.9465635, 67.0992, 1.22401741)],
)
def test_the_cycle_of_the_paper(self_edges, scalar, eigenvalue, loss):
    found = cycle_optimum(15, self_edges=self_edges)
    assert found.scalars == (pytest.approx(scalar, abs=6e-8),)
    assert found.eigenvalues == pytest.approx([eigenvalue], abs=6e-5)
    assert found.multiplicities.tolist() == [2]
    assert found.loss_per_node == pytest.approx(loss, abs=6e-13 if not self_edges else 6e-9)
    if not self_edges:
        assert found.excess == pytest.approx(-0.0605 / 2, abs=3e-5)


@pytest.mark.parametrize("d", range(3, 21))
def test_hypercubes_are_an_inverse_hyperbolic_tangent(d):
    found = hamming_optimum(d, 2)
    assert found.eigenvalues == pytest.approx([2**d * np.arctanh(1 - 2 / d)], rel=1e-14)
    assert found.rank == d
    # Each digit stays with probability 1 - 1/d: a neighbour has (1 - 1/d)^(d-1) / d.
    assert found.loss_per_node == pytest.approx(d * np.log(d) - (d - 1) * np.log(d - 1), rel=1e-13)
    assert found.max_violation < VIOLATION


class TestLargeGraphs:
    @pytest.mark.parametrize(
        "solve",
        [
            lambda: cycle_optimum(1_000_000),
            lambda: cycle_optimum(999_999, self_edges=True),
            lambda: hamming_optimum(20, 2),
            lambda: hamming_optimum(100, 3),
            lambda: torus_optimum(100, 100),
            lambda: torus_optimum(1000, 700),
        ],
    )
    def test_in_seconds(self, solve):
        start = time.process_time()
        found = solve()
        assert time.process_time() - start < 2
        assert found.max_violation < PROMISE
        assert found.rank == found.multiplicities.sum()

    def test_through_the_graph(self):
        found = closed_form_optimum(parse("torus:100x100"))
        assert found.rank == 4
        assert found.n == 10_000

    @pytest.mark.parametrize("n", [1000, 10_001, 100_000, 1_000_000])
    def test_the_asymptote_of_the_cycle(self, n):
        # Poisson: sum j^2 e^{-s j^2/2} = sum e^{-s j^2/2} at 1/s - 8 pi^2 e^{-2 pi^2/s} / s^2 = 1.
        s = 1 - 8 * np.pi**2 * np.exp(-2 * np.pi**2)
        assert cycle_optimum(n).scalars[0] * 4 * np.pi**2 / n**2 == pytest.approx(s, abs=2e-10 + 20 / n**2)

    @pytest.mark.parametrize("n", [50, 1000, 1_000_000])
    @pytest.mark.parametrize("decay", [0.05, 0.7, 0.99])
    def test_the_scalar_is_the_bessel_ratio_where_the_sum_is_an_integral(self, n, decay):
        # E cos = I_1(c) / I_0(c), up to aliased terms I_{n-1}(c), beyond float64 for these c = O(1 / decay).
        c = solve_axes([("cycle", n)], False, 0.0, decay)[0].scalar
        assert ive(1, c) / ive(0, c) == pytest.approx(np.cos(2 * np.pi / n) - decay, abs=1e-14)

    @pytest.mark.parametrize(("n", "self_edges"), [(15, False), (1000, True), (1_000_000, False), (1_000_000, True)])
    def test_the_scalar_to_fifty_digits(self, n, self_edges):
        with mpmath.workdps(50):
            gap = [2 * mpmath.sin(mpmath.pi * j / n) ** 2 for j in range(min(n // 2, 60) + 1)]
            required = gap[1] * (mpmath.mpf(2) / 3 if self_edges else 1)

            def excess(c):
                weights = [(1 if j == 0 else 2) * mpmath.exp(-c * g) for j, g in enumerate(gap)]
                return mpmath.fdot(weights, gap) / mpmath.fsum(weights) / required - 1

            guess = mpmath.mpf(n) ** 2 / (4 * mpmath.pi**2)
            c = mpmath.findroot(excess, (0.9 * guess, 1.8 * guess), solver="anderson", tol=1e-40)
        assert cycle_optimum(n, self_edges=self_edges).scalars[0] == pytest.approx(float(c), rel=5e-15)

    def test_the_loss_of_a_long_cycle_is_that_of_a_normal_distribution(self):
        # Discrete normal of variance one: entropy ln(2 pi e) / 2, up to e^{-2 pi^2}.
        assert cycle_optimum(1_000_000).loss_per_node == pytest.approx(np.log(2 * np.pi * np.e) / 2, abs=1e-7)


class TestTheProof:
    @pytest.mark.parametrize("n", range(3, 41))
    def test_the_lemma_on_sine_ratios(self, n):
        k, m = np.arange(1, n)[:, None], np.arange(1, n)
        a = np.sin(np.pi * k * m / n) / np.sin(np.pi * m / n)
        assert (np.abs(a) <= a[:, :1] + 1e-11).all()
        path = np.diag(np.ones(n - 2), 1) + np.diag(np.ones(n - 2), -1)
        u = [np.eye(n - 1), path]
        while len(u) < n - 1:
            u.append(path @ u[-1] - u[-2])  # U_{k-1}(A/2)
        for row, matrix in zip(a, u, strict=False):
            assert set(np.unique(matrix)) <= {0.0, 1.0}
            assert np.allclose(np.sort(np.linalg.eigvalsh(matrix)), np.sort(row), atol=1e-9)

    @given(st.integers(5, 30), st.floats(0.01, 1.0), st.integers(0, 2**32 - 1))
    @settings(max_examples=60, deadline=None)
    def test_any_measure_with_the_first_moment_has_the_others(self, n, step, seed):
        # Not only the softmax: the supporting line bounds every probability with the mean of a lazy step.
        rng = np.random.default_rng(seed)
        x = np.cos(2 * np.pi * np.arange(n) / n)
        goal = 1 - step * (1 - x[1])
        p = rng.dirichlet(np.ones(n) * 0.3)
        mean = p @ x
        end = np.eye(n)[0] if mean < goal else np.eye(n)[n // 2]
        t = (goal - mean) / (end @ x - mean)
        p = (1 - t) * p + t * end
        k = np.arange(n)
        assert (np.cos(2 * np.pi * np.outer(k, k) / n) @ p >= 1 - step * (1 - np.cos(2 * np.pi * k / n)) - 1e-12).all()

    @pytest.mark.parametrize("sides", list(itertools.combinations_with_replacement((3, 4, 5, 6, 9, 16), 2)))
    def test_every_mode_of_a_product_is_checked(self, sides):
        found = torus_optimum(*sides)
        check_by_dense_algebra(found, one_hop_target(parse(f"torus:{sides[0]}x{sides[1]}")))
        assert found.excess < VIOLATION

    @pytest.mark.parametrize("word", [*HAMMING, "torus:3x4x5", "cycle:15", "grid:2x2x2"])
    def test_the_modes_agree_with_dense_algebra(self, word):
        check_by_dense_algebra(closed_form_optimum(parse(word)), one_hop_target(parse(word)))


class TestAlgebra:
    def test_the_hamming_equation(self):
        q, r = sympy.symbols("q r", positive=True)
        e = (1 + (q - 1) * r) / (1 - r)  # exp(c)
        mode = (e - 1) / (e + q - 1)  # eigenvalue of softmax(c I) on K_q off the constant
        assert sympy.simplify(mode - r) == 0

    def test_the_required_mode_of_a_hamming_graph(self):
        d, q = sympy.symbols("d q", positive=True)
        degree = d * (q - 1)
        assert sympy.simplify((degree - q) / degree - (1 - q / degree)) == 0  # A's second eigenvalue is degree - q
        assert hamming_optimum(3, 4).scalars[0] == pytest.approx(
            float(sympy.log((1 + 3 * sympy.Rational(5, 9)) / sympy.Rational(4, 9)))
        )

    def test_the_hypercube_is_q_two(self):
        d = sympy.symbols("d", positive=True)
        r = 1 - 2 / d
        assert (
            sympy.simplify(sympy.exp(sympy.log((1 + r) / (1 - r))) - sympy.exp(2 * sympy.atanh(r)).rewrite(sympy.log))
            == 0
        )

    def test_complete_bipartite_graphs_have_no_positive_mode(self):
        a, b, n = 2, 3, 5
        target = sympy.Matrix(n, n, lambda i, j: sympy.Rational(1, b if i < a else a) if (i < a) != (j < a) else 0)
        ones = sympy.ones(n, 1)
        pi = target.T * ones / n
        s = ((target - ones * pi.T) + (target - ones * pi.T).T) / 2
        assert s * ones == sympy.zeros(n, 1)  # column sums match
        assert all(value <= 0 for value in s.eigenvals())
        loss = -sum(pi[i] * sympy.log(pi[i]) for i in range(n))
        assert multipartite_optimum(2, 3).loss_per_node == pytest.approx(float(loss), rel=1e-14)

    def test_the_quadratic_form_of_a_multipartite_graph(self):
        s, d = sympy.symbols("s0:3"), sympy.symbols("d0:3", positive=True)
        total = sum(s[p] * s[q] / d[p] for p in range(3) for q in range(3) if p != q)
        on_zero_sum = sympy.expand((total + sum(s[p] ** 2 / d[p] for p in range(3))).subs(s[2], -s[0] - s[1]))
        assert sympy.simplify(on_zero_sum) == 0


class TestMultipartite:
    @pytest.mark.parametrize(
        "parts", [(1, 5), (2, 3), (4, 4), (1, 2, 3), (2, 2, 2), (1, 1, 4), (1, 1, 1, 2), (3, 3, 5, 5), (1, 1, 1, 1)]
    )
    @pytest.mark.parametrize("smoothing", [0.0, 0.2])
    def test_they_are_recognised_from_the_adjacency_in_any_order(self, parts, smoothing):
        graph = nx.complete_multipartite_graph(*parts)
        order = np.random.default_rng(0).permutation(len(graph)).tolist()
        moved = from_networkx(nx.relabel_nodes(graph, dict(enumerate(order))))
        found = closed_form_optimum(moved, label_smoothing=smoothing)
        assert found.family == "complete multipartite"
        compare(found, dense(moved, label_smoothing=smoothing))
        assert found.attained == (len(set(parts)) == 1)
        target = one_hop_target(moved, label_smoothing=smoothing)
        s = (target + target.T) / 2
        s = s - s.mean(axis=0)
        s = s - s.mean(axis=1, keepdims=True)
        top = np.sort(eigvalsh(s))[-2:]  # one zero is the constant mode
        assert found.excess == pytest.approx(0.0 if max(parts) > 1 else top[0], abs=1e-14)

    @pytest.mark.parametrize("parts", [(1, 5), (2, 3), (1, 2, 3), (1, 1, 4), (3, 3, 5, 5), (3, 3)])
    def test_under_decay(self, parts):
        graph = from_networkx(nx.complete_multipartite_graph(*parts))
        target = one_hop_target(graph)
        edge = eigvalsh((target + target.T) / 2 - 1 / len(target)).max()
        assert multipartite_optimum(*parts, weight_decay=2.0).zero_from == pytest.approx(edge, abs=1e-12)
        compare(
            closed_form_optimum(graph, weight_decay=1.01 * edge + 1e-3), dense(graph, weight_decay=1.01 * edge + 1e-3)
        )
        found = closed_form_optimum(graph, weight_decay=2.0)
        assert found.excess == pytest.approx(edge - 2.0, abs=1e-12)
        if len(set(parts)) > 1:
            assert closed_form_optimum(graph, weight_decay=0.9 * edge) is None
            assert dense(graph, weight_decay=0.9 * edge).rank > 0

    def test_weights_loops_and_missing_edges_are_not_recognised(self):
        graph = nx.complete_bipartite_graph(3, 4)
        assert closed_form_optimum(from_networkx(graph)) is not None
        doubled = nx.Graph((u, v, {"weight": 2.0}) for u, v in graph.edges)
        assert closed_form_optimum(from_networkx(doubled)) is not None
        doubled[0][3]["weight"] = 3.0
        assert closed_form_optimum(from_networkx(doubled)) is None
        for change in (lambda g: g.add_edge(0, 0), lambda g: g.remove_edge(0, 3), lambda g: g.add_edge(0, 1)):
            other = graph.copy()
            change(other)
            assert closed_form_optimum(from_networkx(other)) is None

    def test_recognition_is_exact_on_all_graphs_of_six_nodes(self):
        for graph in graph_atlas_g():
            if len(graph) in (0, 7) or min(dict(graph.degree).values()) == 0:
                continue
            other = nx.complement(graph)
            cliques = [other.subgraph(part) for part in nx.connected_components(other)]
            expected = all(part.number_of_edges() == len(part) * (len(part) - 1) // 2 for part in cliques)
            found = multipartite_parts(from_networkx(graph))
            assert sorted(found or ()) == (sorted(len(part) for part in cliques) if expected else [])

    def test_degrees_alone_do_not_make_a_multipartite_graph(self):
        # Names and degrees fit parts (3, 1, 3), but edges run inside a part.
        edges = ["01", "02", "04", "06", "12", "13", "14", "15", "16", "23", "25", "34", "35", "46", "56"]
        graph = nx.Graph()
        graph.add_nodes_from(range(7))
        graph.add_edges_from((int(u), int(v)) for u, v in edges)
        assert multipartite_parts(from_networkx(graph)) is None

    def test_self_edges_only_on_complete_graphs(self):
        complete, star = (from_networkx(g) for g in (nx.complete_graph(4), nx.star_graph(4)))
        compare(closed_form_optimum(complete, self_edges=True), dense(complete, self_edges=True))
        assert closed_form_optimum(star, self_edges=True) is None
        assert dense(star, self_edges=True).rank > 0


@pytest.mark.parametrize("word", SMALL)
def test_none_where_no_closed_form_is_known(word):
    known = word.split(":")[0] in ("cycle", "torus", "hypercube", "hamming") or word == "path-star:5x2"
    assert (closed_form_optimum(parse(word)) is not None) == known


@pytest.mark.parametrize(("d", "q"), [(3, 3), (4, 2), (5, 7), (7, 3), (20, 2)])
def test_rounding_at_the_threshold_is_not_a_geometry(d, q):
    edge = hamming_optimum(d, q).zero_from
    for smoothing in (0.0, 0.1, 0.3):
        for nudge in (-4e-16, 0.0, 4e-16):
            found = hamming_optimum(d, q, weight_decay=(1 - smoothing) * edge + nudge, label_smoothing=smoothing)
            assert found.rank == 0
            assert found.max_violation < VIOLATION
    for n in (5, 6, 9, 15, 1000):
        assert cycle_optimum(n, weight_decay=cycle_optimum(n).zero_from).rank == 0


def test_a_wrong_scalar_shows_in_the_violation():
    found = cycle_optimum(15)
    (axis,) = found.kernel.axes
    wrong = replace(axis, scalar=1.01 * axis.scalar)
    p = softmax(wrong.row())
    miss = abs(np.cos(2 * np.pi / 15) - p @ np.cos(2 * np.pi * np.arange(15) / 15))
    assert miss > 1e-4
    assert stationarity([wrong]) == pytest.approx(miss, abs=1e-13)
    assert replace(found, stationarity=0.5).max_violation == 0.5
    assert replace(found, excess=0.25).max_violation == 0.25
    assert replace(found, excess=-0.25, stationarity=0.0).max_violation == 0.0


def test_permuting_the_sides_permutes_the_gram_matrix():
    one, other = torus_optimum(3, 7), torus_optimum(7, 3)
    assert one.loss_per_node == pytest.approx(other.loss_per_node, rel=1e-14)
    assert np.array_equal(one.eigenvalues, other.eigenvalues)
    moved = one.gram().reshape(3, 7, 3, 7).transpose(1, 0, 3, 2).reshape(21, 21)
    assert np.allclose(moved, other.gram(), rtol=0, atol=1e-13)
    assert not np.allclose(one.gram(), other.gram())


@pytest.mark.parametrize(
    ("one", "other"),
    [("torus:4x4", "hypercube:4"), ("torus:3x3", "hamming:2,3"), ("torus:9", "cycle:9"), ("grid:2x2x2", "hypercube:3")],
)
def test_graphs_with_two_names_have_one_optimum(one, other):
    a, b = closed_form_optimum(parse(one)), closed_form_optimum(parse(other))
    assert a.loss_per_node == pytest.approx(b.loss_per_node, rel=1e-13)
    assert a.eigenvalues == pytest.approx(b.eigenvalues, rel=1e-13)
    assert a.multiplicities.tolist() == b.multiplicities.tolist()


class TestPathStar:
    @pytest.mark.parametrize(("arms", "length"), [(2, 3), (3, 4), (4, 5), (7, 5)])
    def test_the_optimum_is_one_profile(self, arms, length):
        solved = tied_optimum(one_hop_target(parse(f"path-star:{arms}x{length}")))
        if solved.rank != arms - 1:
            pytest.skip("the equal part of the arms is not zero here")
        block = solved.centred_gram[1:length, 1:length] / (1 - 1 / arms)
        h = np.sqrt(np.diag(block))
        gram = path_star_gram(arms, length, h)
        assert np.allclose(gram, solved.centred_gram, rtol=0, atol=1e-6 * gram.max())
        assert np.linalg.matrix_rank(gram) == arms - 1
        assert eigvalsh(gram).max() == pytest.approx(h @ h, rel=1e-12)

    def test_the_profile_of_the_paper(self):
        gram = path_star_gram(4, 5, [1.633, 2.704, 4.020, 4.598])
        solved = tied_optimum(one_hop_target(parse("path-star:4x5")))
        assert np.allclose(gram, solved.centred_gram, rtol=0, atol=4e-3)
        assert eigvalsh(gram)[-3:] == pytest.approx([47.2799] * 3, abs=1e-2)


def test_bad_input_is_refused_in_one_line():
    graph = parse("cycle:15")
    for call, message in (
        (lambda: closed_form_optimum(graph, weight_decay=-1.0), "weight_decay"),
        (lambda: closed_form_optimum(parse("karate"), label_smoothing=1.0), "label_smoothing"),
        (lambda: cycle_optimum(2), "at least 3"),
        (lambda: torus_optimum(), "one side"),
        (lambda: torus_optimum(*[5] * 30), "modes to check"),
        (lambda: hamming_optimum(0, 2), "at least 1"),
        (lambda: multipartite_optimum(3), "two parts"),
        (lambda: multipartite_optimum(3, 0), "at least 1"),
        (lambda: cycle_optimum(3000).gram(), "2000 nodes"),
        (lambda: cycle_optimum(9).logits(), "gram"),
        (lambda: path_star_gram(3, 4, [1.0]), "profile"),
        (lambda: path_star_gram(1000, 4, [1.0, 2.0, 3.0]), "2000 nodes"),
    ):
        with pytest.raises(ValueError, match=message) as error:
            call()
        assert "\n" not in str(error.value)
    with pytest.raises(TypeError, match="whole number"):
        cycle_optimum(5.5)


@pytest.mark.parametrize(
    "call", [lambda: cycle_optimum(10**12), lambda: torus_optimum(3, 10**12), lambda: hamming_optimum(10**12, 2)]
)
def test_what_would_not_fit_into_memory_is_refused(call):
    with pytest.raises(ValueError, match=r"must be at most|too many to count"):
        call()
