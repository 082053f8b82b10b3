import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from fiedler.theory import (
    Eigenspaces,
    centre_gram,
    coefficient_norms,
    edge_margin,
    effective_rank,
    fiedler_score,
    from_networkx,
    geometric_level,
    geometric_margin,
    gram_error,
    gram_scale,
    laplacian_eigenspaces,
    mode_energy,
    one_hop_target,
    parse,
    principal_angles,
    tied_descent,
    tied_optimum,
    vector_energy,
)

EXACT = 1e-12  # sums of products of numbers of order one
ANGLE = (
    1e-7  # an angle near zero is the arcsine of a projection error of 1e-15, near pi/2 likewise; the solver adds 1e-9
)
BEST = 1e-9  # a one-dimensional minimum of a smooth function found by Brent, compared in its value

GRAPHS = ("cycle:15", "path-star:4x5", "grid:4x4", "irregular", "petersen", "karate")


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def orthogonal(n, seed=0):
    return np.linalg.qr(normal(n, n, seed=seed))[0]


@pytest.fixture(scope="module")
def optima():
    return {word: tied_optimum(one_hop_target(parse(word))) for word in (*GRAPHS, "hamming:1,5")}


class TestModeEnergy:
    @pytest.mark.parametrize("word", GRAPHS)
    def test_energies_sum_to_the_whole(self, word):
        spaces = laplacian_eigenspaces(parse(word))
        v = normal(spaces.basis.shape[0], 4) + 1.0
        assert mode_energy(v, spaces).shape == spaces.eigenvalues.shape
        assert mode_energy(v, spaces).sum() == pytest.approx((v**2).sum(), rel=EXACT)
        assert mode_energy(v, spaces, centred=True).sum() == pytest.approx(((v - v.mean(axis=0)) ** 2).sum(), rel=EXACT)

    @pytest.mark.parametrize("word", GRAPHS)
    def test_each_energy_is_that_of_the_projection(self, word):
        spaces = laplacian_eigenspaces(parse(word))
        v = normal(spaces.basis.shape[0], 4)
        expected = [np.linalg.norm(spaces.projector(k) @ v) ** 2 for k in range(len(spaces.eigenvalues))]
        assert np.allclose(mode_energy(v, spaces), expected, rtol=0, atol=1e-10)

    @pytest.mark.parametrize("word", ["cycle:15", "petersen", "path-star:4x5"])
    def test_no_choice_of_basis_or_rotation_matters(self, word):
        spaces = laplacian_eigenspaces(parse(word))
        v = normal(spaces.basis.shape[0], 6)
        turned = [spaces.columns(k) @ orthogonal(m, seed=k) for k, m in enumerate(spaces.multiplicities)]
        other = Eigenspaces(spaces.eigenvalues, spaces.multiplicities, np.concatenate(turned, axis=1))
        assert not np.allclose(other.basis, spaces.basis, atol=0.1)
        assert np.allclose(mode_energy(v, other), mode_energy(v, spaces), rtol=1e-10)
        assert np.allclose(mode_energy(v @ orthogonal(6), spaces), mode_energy(v, spaces), rtol=1e-10)

    def test_centring_removes_only_the_constant_mode_of_a_regular_graph(self):
        spaces = laplacian_eigenspaces(parse("cycle:15"))
        v = normal(15, 3) + 2.0
        raw, centred = mode_energy(v, spaces), mode_energy(v, spaces, centred=True)
        assert raw[0] == pytest.approx(15 * (v.mean(axis=0) ** 2).sum(), rel=EXACT)
        assert centred[0] == pytest.approx(0, abs=EXACT)
        assert np.allclose(centred[1:], raw[1:], rtol=1e-10)

    def test_a_shape_that_does_not_fit_is_refused(self):
        with pytest.raises(ValueError, match="embedding must be a matrix of shape 15"):
            mode_energy(np.ones((14, 2)), laplacian_eigenspaces(parse("cycle:15")))


def test_vector_energies_are_projections_on_single_vectors():
    basis, v = laplacian_eigenspaces(parse("karate")).basis, normal(34, 5)
    expected = [np.linalg.norm(v.T @ basis[:, k]) for k in range(34)]
    assert np.allclose(vector_energy(v, basis), expected, rtol=EXACT)
    assert (vector_energy(v, basis) ** 2).sum() == pytest.approx((v**2).sum(), rel=EXACT)


def test_coefficients_are_the_matrix_of_the_gradient_step():
    target, v = one_hop_target(parse("florentine")), normal(15, 4)
    w = 0.5 + np.random.default_rng(1).random(15)
    step = tied_descent(target, v, 1.0, 1, row_weight=w).embedding[0] - v  # C V
    # C is recovered from its action on the columns of V, and compared on their span.
    assert np.allclose(coefficient_norms(v, target, v, w), np.linalg.norm(step, axis=0), rtol=1e-10)


def test_coefficients_vanish_on_the_converged_directions(optima):
    target, found = one_hop_target(parse("cycle:15")), optima["cycle:15"]
    basis = laplacian_eigenspaces(parse("cycle:15")).basis
    norms = coefficient_norms(found.embedding(), target, basis)
    assert norms[:3].max() < 1e-6
    # Twice the slack of the other modes; the values of arXiv 2510.26745's 15-cycle, solved for elsewhere.
    assert np.allclose(norms[3:11], np.repeat([0.0605, 0.2885, 0.7131, 1.2445], 2), rtol=0, atol=6e-5)


class TestEffectiveRank:
    @pytest.mark.parametrize("rank", [1, 2, 5])
    def test_equal_energies_count(self, rank):
        basis = np.linalg.qr(np.column_stack([np.ones(12), normal(12, rank)]))[0][:, 1:]  # orthogonal to the constant
        v = 3.0 * basis @ orthogonal(rank + 2)[:rank]
        assert effective_rank(v) == pytest.approx(rank, abs=1e-10)
        assert effective_rank(v + normal(rank + 2)) == pytest.approx(rank, abs=1e-10)  # a shift is centred away

    def test_unequal_energies_follow_the_entropy(self):
        basis = np.linalg.qr(np.column_stack([np.ones(8), normal(8, 2)]))[0][:, 1:]
        p = np.array([0.9, 0.1])
        assert effective_rank(basis * np.sqrt(7 * p)) == pytest.approx(np.exp(-(p * np.log(p)).sum()), abs=1e-10)

    def test_zero_has_rank_zero(self):
        assert effective_rank(np.zeros((4, 2))) == 0.0
        assert effective_rank(np.ones((4, 2))) == 0.0
        assert effective_rank(np.full((3, 2), 0.1) + 1 / 3) == 0.0  # the mean of three is not exact

    def test_components_are_centred_apart(self):
        labels = np.array([0, 0, 0, 1, 1, 1])
        v = np.where(labels == 0, 1.0, -1.0)[:, None] * np.ones(2)
        assert effective_rank(v) == pytest.approx(1)
        assert effective_rank(v, components=labels) == 0.0


class TestGramError:
    @pytest.mark.parametrize("word", GRAPHS)
    def test_any_copy_of_the_optimum_has_no_error(self, optima, word):
        found = optima[word]
        v = found.embedding()
        copy = 0.3 * np.pad(v, ((0, 0), (0, 3))) @ orthogonal(v.shape[1] + 3) + normal(v.shape[1] + 3, seed=1)
        assert gram_error(copy, found) < 1e-10
        assert gram_scale(copy, found) == pytest.approx(0.09, rel=1e-10)
        assert gram_scale(v, found) == pytest.approx(1, rel=1e-10)

    def test_each_component_may_be_shifted_on_its_own(self, optima):
        found = optima["irregular"]
        shifts = normal(2, found.rank)[found.components]
        assert gram_error(found.embedding() + shifts, found) < 1e-10

    @settings(max_examples=15, deadline=None, derandomize=True)
    @given(seed=st.integers(0, 10**6), columns=st.integers(1, 6), mix=st.floats(0, 1))
    def test_it_is_the_minimum_over_the_scale(self, optima, seed, columns, mix):
        found = optima["path-star:4x5"]
        ours = np.pad(found.embedding(), ((0, 0), (0, columns)))
        v = mix * ours + 3 * normal(*ours.shape, seed=seed)
        k, k_star = centre_gram(v @ v.T), found.centred_gram
        size = np.linalg.norm(k_star)
        best = minimize_scalar(lambda c: np.linalg.norm(c * k - k_star) / size, bracket=(0.0, 1.0))
        assert gram_error(v, found) == pytest.approx(best.fun, abs=BEST)
        assert 0 <= gram_error(v, found) <= 1

    def test_zero_embeddings_and_zero_predictions(self, optima):
        assert gram_error(np.zeros((15, 2)), optima["cycle:15"]) == 1.0
        assert gram_error(np.ones((15, 2)), optima["cycle:15"]) == 1.0
        assert gram_scale(np.zeros((15, 2)), optima["cycle:15"]) == 0.0
        assert np.isnan(gram_error(normal(5, 2), optima["hamming:1,5"]))
        assert np.isnan(gram_scale(normal(5, 2), optima["hamming:1,5"]))


class TestFiedlerScore:
    @pytest.mark.parametrize("word", GRAPHS)
    def test_the_optimum_scores_one(self, optima, word):
        found = optima[word]
        v = found.embedding() @ orthogonal(found.rank)
        assert fiedler_score(v, found) == pytest.approx(1, abs=EXACT)
        assert fiedler_score(-5 * v[:, :1] + 7.0, found) == pytest.approx(1, abs=EXACT)  # any part of the space will do

    @pytest.mark.parametrize("word", GRAPHS)
    def test_a_random_embedding_scores_the_share_of_the_space(self, optima, word):
        found = optima[word]
        n = len(found.gram)
        scores = [fiedler_score(normal(n, 50, seed=seed) + 3.0, found) for seed in range(60)]
        # 3000 columns: the mean share has a standard error below 0.5 / sqrt(3000 / 2) = 0.013.
        assert np.mean(scores) == pytest.approx(found.rank / (n - 1 - found.diverging), abs=0.02)

    def test_a_known_mixture(self, optima):
        found = optima["cycle:15"]
        outside = laplacian_eigenspaces(parse("cycle:15")).columns(4)
        assert fiedler_score(np.column_stack([3 * found.column_space, 4 * outside]), found) == pytest.approx(9 / 25)

    def test_nothing_to_score(self, optima):
        assert np.isnan(fiedler_score(np.zeros((15, 2)), optima["cycle:15"]))
        assert np.isnan(fiedler_score(np.full((15, 2), 0.1), optima["cycle:15"]))
        assert np.isnan(fiedler_score(normal(5, 2), optima["hamming:1,5"]))


class TestPrincipalAngles:
    @pytest.mark.parametrize("word", GRAPHS)
    def test_the_optimum_is_at_zero(self, optima, word):
        found = optima[word]
        v = found.embedding() @ orthogonal(found.rank) + 5.0
        assert principal_angles(v, found).shape == (found.rank,)
        assert principal_angles(v, found).max() < ANGLE

    @pytest.mark.parametrize("angle", [0.0, 0.3, 1.2, np.pi / 2])
    def test_a_plane_turned_by_a_known_angle(self, optima, angle):
        found = optima["cycle:15"]
        first, second = found.column_space.T
        outside = laplacian_eigenspaces(parse("cycle:15")).columns(3)[:, 0]
        turned = np.column_stack([first, np.cos(angle) * second + np.sin(angle) * outside])
        weak = 1e-3 * (np.cos(angle) * outside - np.sin(angle) * second)  # would close it, were it in the top two
        assert np.allclose(principal_angles(np.column_stack([turned, weak]), found), [0, angle], atol=ANGLE)

    def test_missing_directions_are_at_a_right_angle(self, optima):
        found = optima["path-star:4x5"]
        assert np.allclose(principal_angles(found.embedding()[:, :1], found), [0, np.pi / 2, np.pi / 2], atol=ANGLE)
        deficient = found.embedding()[:, :1] @ np.ones((1, 7))
        assert np.allclose(principal_angles(deficient, found), [0, np.pi / 2, np.pi / 2], atol=ANGLE)
        assert np.allclose(principal_angles(np.zeros((17, 2)), found), np.pi / 2)
        outside = np.linalg.svd(np.column_stack([np.ones(17), found.column_space]))[0][:, -1]
        tilted = (np.cos(0.3) * found.column_space[:, :1] + np.sin(0.3) * outside[:, None]) @ np.ones((1, 7))
        assert np.allclose(principal_angles(tilted, found), [0.3, np.pi / 2, np.pi / 2], atol=ANGLE)

    def test_no_prediction_has_no_angles(self, optima):
        assert principal_angles(normal(5, 2), optima["hamming:1,5"]).shape == (0,)


class TestGeometricLevel:
    path = from_networkx(nx.path_graph(3))

    def test_by_hand(self):
        v = np.array([[1.0, 0.0], [3.0, 4.0], [0.0, 2.0]])  # cosines 0.6 and 0.8, each edge in both directions
        assert geometric_level(v, self.path) == pytest.approx(0.7, abs=EXACT)
        assert geometric_level(v, self.path, self_edges=True) == pytest.approx((4 * 0.7 + 3) / 7, abs=EXACT)
        centred = v - v.mean(axis=0)
        unit = centred / np.linalg.norm(centred, axis=1, keepdims=True)
        expected = (unit[0] @ unit[1] + unit[1] @ unit[2]) / 2
        assert geometric_level(v, self.path, centred=True) == pytest.approx(expected, abs=EXACT)

    def test_high_degrees_count_by_their_edges(self):
        star = from_networkx(nx.Graph([(0, 1), (0, 2), (0, 3), (1, 2)]))
        v = normal(4, 3)
        u = v / np.linalg.norm(v, axis=1, keepdims=True)
        assert geometric_level(v, star) == pytest.approx((u[0] @ (u[1] + u[2] + u[3]) + u[1] @ u[2]) / 4, abs=EXACT)

    @pytest.mark.parametrize("n", [5, 15])
    def test_self_edges_on_the_cycle(self, n):
        graph, v = parse(f"cycle:{n}"), normal(n, 3)
        expected = (2 * geometric_level(v, graph) + 1) / 3
        assert geometric_level(v, graph, self_edges=True) == pytest.approx(expected, abs=EXACT)

    def test_weights_do_not_count_and_self_loops_do(self):
        loop = from_networkx(nx.Graph([(0, 1, {"weight": 9.0}), (1, 2), (0, 0)]))
        v = normal(3, 2)
        plain = geometric_level(v, self.path)
        assert geometric_level(v, loop) == pytest.approx((4 * plain + 1) / 5, abs=EXACT)
        with_loops = geometric_level(v, self.path, self_edges=True)
        assert geometric_level(v, loop, self_edges=True) == pytest.approx(with_loops, abs=EXACT)

    def test_a_zero_vector_has_no_cosine(self):
        v = np.array([[1.0, 0.0], [0.0, 0.0], [0.0, 2.0]])
        assert np.isnan(geometric_level(v, self.path))
        assert np.isnan(geometric_level(np.ones((3, 2)), self.path, centred=True))

    def test_a_graph_without_edges_has_no_level(self):
        empty = nx.Graph()
        empty.add_nodes_from(range(2))
        assert np.isnan(geometric_level(np.ones((2, 2)), from_networkx(empty)))
        assert geometric_level(np.ones((2, 2)), from_networkx(empty), self_edges=True) == pytest.approx(1)


def literal_margin(logits, graph):
    """The definition, one node at a time."""
    a = graph.adjacency.toarray()
    margins, hits = [], []
    for i in range(graph.n):
        near = [logits[i, j] for j in range(graph.n) if j != i and a[i, j] > 0]
        far = [logits[i, j] for j in range(graph.n) if j != i and a[i, j] == 0]
        if near and far:
            margins.append(max(near) - max(far))
            hits.append(max(near) > max(far))
    return np.mean(margins), np.mean(hits)


def literal_inner(e, weight):
    """The part of W that is diagonal in the right singular directions of E, one direction at a time."""
    _, _, vh = np.linalg.svd(e, full_matrices=False)
    return sum((x @ weight @ x) * np.outer(x, x) for x in vh)


class TestMargins:
    @pytest.mark.parametrize("word", ["cycle:15", "path-star:4x5", "irregular", "karate"])
    @pytest.mark.parametrize("columns", [3, 50])
    def test_the_definition(self, word, columns):
        graph = parse(word)
        e, weight = normal(graph.n, columns), normal(columns, columns, seed=1)
        expected = literal_margin(e @ literal_inner(e, weight) @ e.T, graph)
        assert geometric_margin(e, graph, inner=weight) == pytest.approx(expected, rel=1e-9)
        assert edge_margin(e @ weight @ e.T, graph) == pytest.approx(literal_margin(e @ weight @ e.T, graph), rel=1e-9)

    def test_the_identity_is_a_tied_model(self):
        graph, e = parse("grid:4x4"), normal(16, 5)
        expected = edge_margin(e @ e.T, graph)
        assert geometric_margin(e, graph) == pytest.approx(expected, rel=1e-10)
        assert geometric_margin(e, graph, inner=np.eye(5)) == pytest.approx(expected, rel=1e-10)

    def test_by_hand(self):
        graph = from_networkx(nx.path_graph(4))
        logits = [[9.0, 2, 1, 0], [1, 9, 5, 4], [7, 3, 9, 3], [0, 1, 0.5, 9]]  # margins 1, 1, -4, -0.5
        assert edge_margin(logits, graph) == pytest.approx((-0.625, 0.5))

    def test_a_self_loop_is_no_neighbour(self):
        loops = from_networkx(nx.Graph([(0, 1), (1, 2), (2, 3), (0, 0), (2, 2)]))
        logits = normal(4, 4) + 10 * np.eye(4)
        assert edge_margin(logits, loops) == pytest.approx(edge_margin(logits, from_networkx(nx.path_graph(4))))

    def test_the_optimum_separates_neighbours_on_the_cycle(self, optima):
        found = optima["cycle:15"]
        c, angle = found.gram[0, 0], 2 * np.pi / 15
        margin, accuracy = geometric_margin(found.embedding(), parse("cycle:15"))
        assert accuracy == 1
        assert margin == pytest.approx(c * (np.cos(angle) - np.cos(2 * angle)), rel=1e-8)

    def test_complete_graphs_have_no_non_neighbour(self):
        margin, accuracy = geometric_margin(normal(5, 2), parse("hamming:1,5"))
        assert np.isnan(margin)
        assert np.isnan(accuracy)

    def test_shapes(self):
        graph = parse("cycle:5")
        with pytest.raises(ValueError, match="inner must be a matrix of shape 2 x 2"):
            geometric_margin(np.ones((5, 2)), graph, inner=np.eye(3))
        with pytest.raises(ValueError, match="logits must be"):
            edge_margin(np.eye(4), graph)


def test_embeddings_that_do_not_fit_are_refused(optima):
    found, graph, target = optima["cycle:15"], parse("cycle:15"), one_hop_target(parse("cycle:15"))
    spaces = laplacian_eigenspaces(graph)
    measures = [
        lambda v: mode_energy(v, spaces),
        lambda v: vector_energy(v, spaces.basis),
        lambda v: coefficient_norms(v, target, spaces.basis),
        lambda v: gram_error(v, found),
        lambda v: gram_scale(v, found),
        lambda v: fiedler_score(v, found),
        lambda v: principal_angles(v, found),
        lambda v: geometric_level(v, graph),
        lambda v: geometric_margin(v, graph),
    ]
    for measure in measures:
        for wrong in (np.ones((14, 2)), np.ones(15)):
            with pytest.raises(ValueError, match="embedding must be a matrix"):
                measure(wrong)
        with pytest.raises(ValueError, match="NaN"):
            measure(np.full((15, 2), np.nan))
    with pytest.raises(ValueError, match="NaN"):
        effective_rank(np.full((15, 2), np.inf))
    with pytest.raises(ValueError, match="row_weight"):
        coefficient_norms(np.ones((15, 2)), target, spaces.basis, np.ones(3))


def test_the_papers_run_on_the_cycle_ends_at_the_optimum(optima):
    # arXiv 2510.26745: N(0, 1), 100 columns, step 0.01, 10,000 steps; its level .9613 and eigenvalues 45.59 and 45.57.
    graph, found = parse("cycle:15"), optima["cycle:15"]
    v = tied_descent(one_hop_target(graph), normal(15, 100), 0.01, 10_000).embedding[0]
    assert np.allclose(np.linalg.eigvalsh(centre_gram(v @ v.T))[-2:], 45.57987, rtol=0, atol=0.05)
    assert geometric_level(v, graph) == pytest.approx(0.961, abs=0.01)
    assert geometric_level(v, graph, centred=True) == pytest.approx(np.cos(2 * np.pi / 15), abs=1e-3)
    assert fiedler_score(v, found) > 0.999
    assert gram_error(v, found) < 1e-3
    assert principal_angles(v, found).max() < 1e-2
    assert effective_rank(v) == pytest.approx(2, abs=0.01)
    assert vector_energy(v, np.full((15, 1), 15**-0.5))[0] == pytest.approx(10, abs=2)  # conserved: the norm of N(0, I)


def test_margins_and_distances_of_tall_embeddings_are_those_of_all_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    """In blocks of rows and in the columns' own basis, where a graph is larger than the embedding is wide."""
    graph = parse("grid:6x6")
    optimum = tied_optimum(one_hop_target(graph), weight_decay=0.3)
    v = np.random.default_rng(1).standard_normal((36, 3)) + 2.0
    assert 3 + optimum.rank < 36
    k, k_star = centre_gram(v @ v.T), optimum.centred_gram
    scale = (k * k_star).sum() / (k * k).sum()
    assert gram_error(v, optimum) == pytest.approx(
        np.linalg.norm(scale * k - k_star) / np.linalg.norm(k_star), rel=1e-10
    )
    assert gram_scale(v, optimum) == pytest.approx((k * k_star).sum() / (k_star * k_star).sum(), rel=1e-10)
    whole = geometric_margin(v, graph)
    monkeypatch.setattr("fiedler.theory.alignment.MARGIN_ROWS", 7)
    assert geometric_margin(v, graph) == pytest.approx(whole, rel=1e-12)
    assert edge_margin(v @ v.T, graph) == pytest.approx(whole, rel=1e-12)
