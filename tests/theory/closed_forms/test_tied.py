import time
from dataclasses import replace

import mpmath
import numpy as np
import pytest
from scipy.linalg import eigvalsh
from scipy.special import ive, softmax

from cases import SMALL
from fiedler.theory import one_hop_target, parse, tied_optimum
from fiedler.theory.closed_forms.product import solve_axes, stationarity
from fiedler.theory.closed_forms.tied import (
    closed_form_optimum,
    cycle_optimum,
    hamming_optimum,
    multipartite_optimum,
    path_star_gram,
    torus_optimum,
)
from tied_forms import CYCLES, HAMMING, PROMISE, TORI, VIOLATION, check_by_dense_algebra, compare, dense

ZERO = ["hamming:1,5", "hamming:1,2", "path-star:5x2", "tree:4,1", "path-star:1x2", "path-star:1x3", "path-star:2x2"]
GRIDS = ["grid:2x2x2", "grid:2x2", "grid:2x1x2x2"]
KNOWN = CYCLES + TORI + HAMMING + ZERO + GRIDS


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
