import math

import networkx as nx
import numpy as np
import pytest
import scipy.sparse as sp

from cases import ALL, CONNECTED, REGULAR
from fiedler.theory import (
    eigenspaces,
    from_networkx,
    from_sparse,
    gram_error,
    laplacian,
    laplacian_eigenspaces,
    mode_energy,
    one_hop_target,
    parse,
    tied_optimum,
)
from fiedler.theory.rivals import (
    centred_support,
    laplacian_coordinates,
    netmf_logits,
    positive_factors,
    qwem_matrix,
    qwem_mode_energy,
    qwem_times,
    shifted_pmi,
    singular_factors,
)
from fiedler.theory.targets.walks import directed_target, window_target

EXACT = 1e-12
SYMMETRIC_KINDS = ("combinatorial", "symmetric", "symmetrized-random-walk")


def weighted_graph():
    graph = nx.Graph()
    graph.add_weighted_edges_from(
        [("a", "b", 2.0), ("b", "c", 1.0), ("c", "a", 0.5), ("c", "c", 3.0), ("c", "d", 4.0), ("d", "e", 0.25)]
    )
    return from_networkx(graph)


def shuffled(graph, order):
    return from_sparse(sp.csr_array(graph.adjacency.toarray()[np.ix_(order, order)]))


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


@pytest.mark.parametrize(("negatives", "noise_power"), [(1, 1), (5, 1), (0.5, 0.75), (5, 0.75)])
@pytest.mark.parametrize("uniform", [False, True])
@pytest.mark.parametrize("graph", [weighted_graph(), parse("karate"), parse("irregular")], ids=["w", "karate", "irr"])
def test_the_gradient_of_negative_sampling_vanishes_at_the_shifted_pmi(graph, uniform, negatives, noise_power):
    target = window_target(graph, 2)
    row_law = np.ones(graph.n) if uniform else graph.degrees
    z = shifted_pmi(
        target, row_law=None if uniform else row_law, negatives=negatives, noise_power=noise_power, truncation="none"
    )
    joint, noise = laws(target, row_law, negatives, noise_power)
    assert np.array_equal(np.isfinite(z), target > 0)
    assert (z[target == 0] == -np.inf).all()
    on = target > 0
    sigmoid = 1 / (1 + np.exp(-z[on]))
    gradient = noise[on] * sigmoid - joint[on] * (1 - sigmoid)
    assert np.abs(gradient).max() < EXACT
    # Finite differences of the loss itself, and a minimum along the way.
    h = 1e-4
    low, mid, high = (pair_loss(z[on] + step, joint[on], noise[on]) for step in (-h, 0, h))
    assert np.abs(high - low).max() / (2 * h) < 1e-9
    assert (low > mid).all()
    assert (high > mid).all()


def test_a_pair_that_never_occurs_is_pushed_to_minus_infinity():
    losses = pair_loss(np.array([0.0, -5.0, -50.0]), 0.0, 0.1)
    assert (np.diff(losses) < 0).all()


def test_truncations():
    graph = parse("karate")
    target = window_target(graph, 2)
    full = shifted_pmi(target, row_law=graph.degrees, negatives=2)
    on = target > 0
    assert (full[on] < 0).any()
    positive = shifted_pmi(target, row_law=graph.degrees, negatives=2, truncation="positive")
    zero = shifted_pmi(target, row_law=graph.degrees, negatives=2, truncation="zero")
    assert np.array_equal(positive, np.where(full > 0, full, 0))
    assert np.array_equal(zero, np.where(on, full, 0))


def test_pmi_does_not_depend_on_the_scale_of_the_law_and_shifts_by_log_k():
    graph = parse("florentine")
    target = one_hop_target(graph)
    pmi = shifted_pmi(target, row_law=graph.degrees, truncation="zero")
    assert np.allclose(pmi, shifted_pmi(target, row_law=7 * graph.degrees, truncation="zero"), rtol=0, atol=EXACT)
    shifted = shifted_pmi(target, row_law=graph.degrees, negatives=5, truncation="zero")
    assert np.allclose((pmi - shifted)[target > 0], math.log(5), rtol=0, atol=EXACT)


@pytest.mark.parametrize("window", [1, 2, 5])
@pytest.mark.parametrize("negatives", [1, 3])
@pytest.mark.parametrize("graph", [*map(parse, ALL), weighted_graph()], ids=[*ALL, "weighted"])
def test_netmf_is_the_printed_formula(graph, window, negatives):
    a = graph.adjacency.toarray()
    volume, inverse = a.sum(), np.diag(1 / a.sum(axis=1))
    powers = sum(np.linalg.matrix_power(inverse @ a, r) for r in range(1, window + 1))
    inside = volume / (negatives * window) * powers @ inverse
    found = netmf_logits(graph, window, negatives=negatives)
    assert np.allclose(found, np.log(np.maximum(inside, 1)), rtol=0, atol=1e-11)
    with np.errstate(divide="ignore"):
        expected = np.log(inside)
    raw = netmf_logits(graph, window, negatives=negatives, truncation="none")
    assert np.allclose(raw, expected, rtol=0, atol=1e-11)
    assert np.allclose(found, found.T, rtol=0, atol=1e-11)


def test_one_hop_pmi_of_a_regular_graph_by_hand():
    z = netmf_logits(parse("petersen"))  # vol / (d d) = 10 / 3 on every edge
    assert np.allclose(z, parse("petersen").adjacency.toarray() * math.log(10 / 3), rtol=0, atol=EXACT)


@pytest.mark.parametrize("word", ["karate", "path-star:4x5", "petersen", "davis"])
def test_singular_factors_beat_random_perturbations(word):
    matrix = netmf_logits(parse(word), 2)
    rng = np.random.default_rng(0)
    for rank in (1, 3, 6):
        found = singular_factors(matrix, rank)
        r = found.rank
        approximation = found.left @ found.right.T
        assert np.linalg.matrix_rank(approximation, tol=1e-9) == r >= rank
        distance = np.linalg.norm(matrix - approximation)
        # Eckart-Young: the distance is that of the singular values left out, computed from the Gram matrix.
        squares = np.sort(np.linalg.eigvalsh(matrix @ matrix.T))[::-1]
        assert distance**2 == pytest.approx(max(squares[r:].sum(), 0), abs=1e-8)
        for scale in (1e-3, 1e-2, 0.1, 1.0):
            for _ in range(5):
                left = found.left + scale * rng.standard_normal(found.left.shape)
                right = found.right + scale * rng.standard_normal(found.right.shape)
                assert np.linalg.norm(matrix - left @ right.T) > distance
        # The split is even.
        for factor in (found.left, found.right):
            assert np.allclose(factor.T @ factor, np.diag(found.values), rtol=0, atol=1e-9)


def test_factors_of_full_rank_give_the_matrix_back():
    matrix = np.random.default_rng(1).standard_normal((7, 7))
    found = singular_factors(matrix, 7)
    assert np.allclose(found.left @ found.right.T, matrix, rtol=0, atol=EXACT)
    assert found.rank == found.requested == 7


def test_a_rank_that_cuts_a_repeated_value_is_widened():
    found = singular_factors(np.diag([3.0, 2, 2, 2, 1]), 2)
    assert (found.requested, found.rank) == (2, 4)
    assert np.allclose(found.left @ found.right.T, np.diag([3.0, 2, 2, 2, 0]), rtol=0, atol=EXACT)
    found = positive_factors(np.diag([3.0, 2, 2, -2, -5]), 2)
    assert (found.requested, found.rank) == (2, 3)
    assert np.allclose(found.left @ found.right.T, np.diag([3.0, 2, 2, 0, 0]), rtol=0, atol=EXACT)


def test_a_rank_above_the_modes_gives_all_of_them():
    assert singular_factors(np.diag([3.0, 2, 0]), 3).rank == 2
    assert positive_factors(np.diag([3.0, -2, 0]), 3).rank == 1
    assert singular_factors(np.zeros((3, 3)), 1).left.shape == (3, 0)
    assert positive_factors(-np.eye(3), 2).left.shape == (3, 0)


@pytest.mark.parametrize("word", ALL)
def test_centred_support(word):
    graph = parse(word)
    target = one_hop_target(graph)
    found = centred_support(target)
    n = graph.n
    neighbours = [set(np.flatnonzero(row)) for row in graph.adjacency.toarray()]
    expected = np.array([[(j in neighbours[i]) - len(neighbours[i]) / n for j in range(n)] for i in range(n)])
    assert np.allclose(found, expected, rtol=0, atol=EXACT)
    # The source's form, words in rows: (I - 11'/V) S.
    s = (target > 0).astype(float).T
    assert np.allclose(found.T, (np.eye(n) - 1 / n) @ s, rtol=0, atol=EXACT)
    full = singular_factors(found, n)
    assert np.allclose(full.left @ full.right.T, found, rtol=0, atol=1e-10)


def test_support_ignores_weights_and_smoothing_fills_it():
    graph = weighted_graph()
    assert np.array_equal(
        centred_support(one_hop_target(graph)),
        centred_support((one_hop_target(graph) > 0) / 1.0 / (graph.adjacency > 0).sum(axis=1)[:, None]),
    )
    assert np.array_equal(centred_support(one_hop_target(graph, label_smoothing=0.1)), np.zeros((5, 5)))


@pytest.mark.parametrize("kind", SYMMETRIC_KINDS)
@pytest.mark.parametrize("word", ALL)
def test_laplacian_coordinates_are_whole_non_trivial_eigenspaces(word, kind):
    graph = parse(word)
    matrix = laplacian(graph, kind).toarray()
    values = np.linalg.eigvalsh(matrix)
    trivial = np.sqrt(graph.degrees) if kind == "symmetric" else np.ones(graph.n)
    for k in (1, 2, graph.n - 1):
        found = laplacian_coordinates(graph, k, kind)
        x, r = found.coordinates, len(found.eigenvalues)
        assert found.requested == k <= r
        assert x.shape == (graph.n, r)
        assert np.allclose(x.T @ x, np.eye(r), rtol=0, atol=1e-10)
        assert np.allclose(matrix @ x, x * found.eigenvalues, rtol=0, atol=1e-9)
        assert np.allclose(found.eigenvalues, values[1 : r + 1], rtol=0, atol=1e-9)
        # Not cut inside an eigenspace, and not wider than needed.
        assert r == graph.n - 1 or values[r + 1] - values[r] > 1e-8
        assert values[r] - values[k] < 1e-8
        if kind != "symmetrized-random-walk" or word in REGULAR:
            assert np.abs(trivial @ x).max() < 1e-9
            projector = np.outer(trivial, trivial) / (trivial @ trivial)
            if k == graph.n - 1:
                assert np.allclose(x @ x.T, np.eye(graph.n) - projector, rtol=0, atol=1e-9)


def test_coordinates_of_known_graphs():
    cycle = laplacian_coordinates(parse("cycle:15"), 1)
    assert cycle.coordinates.shape == (15, 2)  # a circle, never half of it
    radius = np.linalg.norm(cycle.coordinates, axis=1)
    assert np.allclose(radius, math.sqrt(2 / 15), rtol=0, atol=EXACT)
    star = laplacian_coordinates(parse("path-star:4x5"), 2)
    assert star.coordinates.shape == (17, 3)
    # On two components the indicator comes first, and separates them.
    irregular = parse("irregular")
    first = laplacian_coordinates(irregular, 1, "combinatorial").coordinates[:, 0]
    assert np.ptp(first[irregular.component_labels == 0]) < 1e-9
    assert np.ptp(first[irregular.component_labels == 1]) < 1e-9
    assert np.ptp(first) > 0.1


@pytest.mark.parametrize("word", CONNECTED)
def test_the_energy_of_the_coordinates_lies_in_their_eigenspaces(word):
    graph = parse(word)
    spaces = laplacian_eigenspaces(graph)
    found = laplacian_coordinates(graph, min(3, graph.n - 1))
    energy = mode_energy(found.coordinates, spaces)
    count = np.searchsorted(np.cumsum(spaces.multiplicities) - 1, len(found.eigenvalues))
    expected = np.where(np.arange(len(energy)) <= count, spaces.multiplicities, 0)
    expected[0] -= 1
    assert np.allclose(energy, expected, rtol=0, atol=1e-9)


def test_rivals_can_be_scored_against_the_optimum():
    graph = parse("cycle:15")
    optimum = tied_optimum(one_hop_target(graph))
    assert gram_error(laplacian_coordinates(graph, 2).coordinates, optimum) < 1e-6  # the optimum is the circle
    factors = positive_factors(qwem_matrix(one_hop_target(graph)), 2)
    assert 0 < gram_error(factors.left, optimum) <= 1


@pytest.mark.parametrize("graph", [weighted_graph(), parse("karate"), parse("irregular")], ids=["w", "karate", "irr"])
def test_node_order_does_not_matter(graph):
    order = np.random.default_rng(6).permutation(graph.n)
    moved = shuffled(graph, order)
    grid = np.ix_(order, order)

    def gram(factors):
        return factors.left @ factors.right.T

    def coordinates(g):
        x = laplacian_coordinates(g, 3).coordinates
        return x @ x.T

    def target(g):
        return window_target(g, 2)

    for build in (
        lambda g: netmf_logits(g, 2),
        lambda g: shifted_pmi(target(g), noise_power=0.75, truncation="zero"),
        lambda g: qwem_matrix(target(g), row_law=g.degrees),
        lambda g: centred_support(target(g)),
        lambda g: gram(singular_factors(netmf_logits(g, 2), 2)),
        lambda g: gram(singular_factors(centred_support(one_hop_target(g)), 2)),
        lambda g: gram(positive_factors(qwem_matrix(target(g), row_law=g.degrees), 2)),
        coordinates,
    ):
        assert np.allclose(build(moved), build(graph)[grid], rtol=0, atol=1e-9)


def test_a_circulant_target_keeps_its_fourier_modes():
    """Every rival of a cycle is circulant: its matrix commutes with the shift, its eigenspaces are Fourier modes."""
    graph = parse("cycle:15")
    shift = np.roll(np.eye(15), 1, axis=0)
    for matrix in (
        netmf_logits(graph, 3),
        qwem_matrix(window_target(graph, 3)),
        centred_support(one_hop_target(graph)),
    ):
        assert np.allclose(matrix @ shift, shift @ matrix, rtol=0, atol=EXACT)
    values = eigenspaces(qwem_matrix(window_target(graph, 3))).eigenvalues
    fourier = np.fft.fft(qwem_matrix(window_target(graph, 3))[0]).real
    assert all(np.abs(fourier - value).min() < 1e-9 for value in values)


def test_bad_arguments_are_refused():
    graph = parse("karate")
    target = one_hop_target(graph)
    for bad in (0.0, -1.0, np.inf, np.nan):
        for build in (
            lambda bad=bad: shifted_pmi(target, negatives=bad),
            lambda bad=bad: netmf_logits(graph, negatives=bad),
            lambda bad=bad: qwem_matrix(target, row_law=graph.degrees, negatives=bad),
        ):
            with pytest.raises(ValueError, match="negatives"):
                build()
    with pytest.raises(ValueError, match="truncation 'clip'"):
        shifted_pmi(target, truncation="clip")
    with pytest.raises(ValueError, match="noise_power"):
        shifted_pmi(target, noise_power=np.inf)
    with pytest.raises(ValueError, match="row_law must hold 34 positive"):
        shifted_pmi(target, row_law=np.zeros(graph.n))
    with pytest.raises(ValueError, match="row_law must hold 34 positive"):
        qwem_matrix(target, row_law=np.ones(3))
    with pytest.raises(ValueError, match="sums to 2; divide"):
        qwem_matrix(2 * target)
    with pytest.raises(ValueError, match="sums"):
        centred_support(2 * target)
    source = directed_target(np.array([[0, 1.0, 0], [0, 0, 1.0], [0, 1.0, 0]]))
    for build in (shifted_pmi, qwem_matrix):
        with pytest.raises(ValueError, match="no row predicts node 0"):
            build(source)


@pytest.mark.parametrize(("bad", "error"), [(0, ValueError), (1.5, TypeError), (True, TypeError)])
def test_bad_ranks_are_refused(bad, error):
    for build in (
        lambda: singular_factors(np.eye(3), bad),
        lambda: positive_factors(np.eye(3), bad),
        lambda: laplacian_coordinates(parse("cycle:5"), bad),
    ):
        with pytest.raises(error, match="rank"):
            build()


def test_bad_matrices_and_modes_are_refused():
    pmi = shifted_pmi(one_hop_target(parse("cycle:5")))
    for build in (singular_factors, positive_factors):
        with pytest.raises(ValueError, match="infinity"):
            build(pmi, 2)
        with pytest.raises(ValueError, match=r"square.*\(2, 3\)"):
            build(np.zeros((2, 3)), 1)
    with pytest.raises(ValueError, match=r"symmetric.*singular_factors"):
        positive_factors(np.triu(np.ones((3, 3))), 1)
    with pytest.raises(ValueError, match="4 non-trivial eigenvectors; got k = 5"):
        laplacian_coordinates(parse("cycle:5"), 5)
    with pytest.raises(ValueError, match="not symmetric"):
        laplacian_coordinates(parse("cycle:5"), 2, "random-walk")
    for build in (lambda e, s: qwem_mode_energy(e, s, 1.0), qwem_times):
        with pytest.raises(ValueError, match="energy0"):
            build([1.0], -0.1)
        with pytest.raises(ValueError, match="energy0"):
            build([1.0, 2.0], [0.1, 0.1, 0.1])
        with pytest.raises(ValueError, match="eigenvalues"):
            build([np.nan], 0.1)
    for times in (-1.0, np.inf, [[1.0]]):
        with pytest.raises(ValueError, match="times"):
            qwem_mode_energy([1.0], 0.1, times)


def test_the_smallest_start_there_is_takes_a_finite_time():
    assert qwem_times([2.0], 5e-324) == pytest.approx([(math.log(2.0) + 744.44) / 2], rel=1e-5)


def test_a_noise_power_out_of_range_is_refused():
    with pytest.raises(ValueError, match="word2vec uses"):
        shifted_pmi(one_hop_target(parse("karate")), noise_power=1e6)
