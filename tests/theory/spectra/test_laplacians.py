import importlib

import networkx as nx
import numpy as np
import pytest
import scipy.sparse as sp

from cases import ALL, BIPARTITE
from fiedler.theory.graphs.convert import as_graph
from fiedler.theory.graphs.words import parse
from fiedler.theory.spectra.laplacians import (
    DENSE_LIMIT,
    KINDS,
    eigenspaces,
    laplacian,
    laplacian_eigenspaces,
    spectrum,
)

SYMMETRIC_KINDS = [kind for kind in KINDS if kind != "random-walk"]


def expand(values, multiplicities):
    return np.repeat(values, multiplicities)


@pytest.mark.parametrize("word", ALL)
def test_laplacians_agree_with_their_definitions_and_networkx(word):
    graph = parse(word)
    a = graph.adjacency.toarray()
    d = a.sum(axis=1)
    random_walk = np.eye(graph.n) - a / d[:, None]
    expected = {
        "combinatorial": np.diag(d) - a,
        "symmetric": np.eye(graph.n) - a / np.sqrt(np.outer(d, d)),
        "random-walk": random_walk,
        "symmetrized-random-walk": random_walk + random_walk.T,
    }
    for kind in KINDS:
        matrix = laplacian(graph, kind)
        assert isinstance(matrix, sp.csr_array)
        assert matrix.dtype == np.float64
        np.testing.assert_allclose(matrix.toarray(), expected[kind], atol=1e-15)
        if kind != "random-walk":
            assert abs(matrix - matrix.T).max() == 0  # to the last bit
    reference = graph.to_networkx()
    np.testing.assert_allclose(laplacian(graph).toarray(), nx.laplacian_matrix(reference).toarray())
    np.testing.assert_allclose(
        laplacian(graph, "symmetric").toarray(), nx.normalized_laplacian_matrix(reference).toarray(), atol=1e-15
    )


def test_weights_and_self_loops():
    graph = as_graph(np.array([[3.0, 1.0], [1.0, 0.0]]))
    assert np.array_equal(laplacian(graph).toarray(), [[1, -1], [-1, 1]])
    np.testing.assert_allclose(laplacian(graph, "random-walk").toarray(), [[0.25, -0.25], [-1, 1]])
    np.testing.assert_allclose(laplacian(graph, "symmetric").toarray(), [[0.25, -0.5], [-0.5, 1]])
    np.testing.assert_allclose(laplacian(graph, "symmetrized-random-walk").toarray(), [[0.5, -1.25], [-1.25, 2]])
    alone = as_graph(np.array([[2.0]]))
    for kind in KINDS:
        assert abs(laplacian(alone, kind).toarray()).max() < 1e-15
        values, multiplicities = spectrum(alone, kind)
        assert values == pytest.approx([0], abs=1e-15)
        assert list(multiplicities) == [1]


@pytest.mark.parametrize("kind", KINDS)
def test_an_isolated_node_is_a_component_of_its_own(kind):
    source = nx.Graph([("a", "b"), ("b", "c"), ("c", "a"), ("d", "e")])
    source.add_node("lonely")
    graph = as_graph(source)
    values, multiplicities = spectrum(graph, kind)
    assert values[0] == pytest.approx(0, abs=1e-14)
    assert multiplicities[0] == 3  # the triangle, the edge and the node
    matrix = laplacian(graph, kind).toarray()
    assert not matrix[5].any()
    assert not matrix[:, 5].any()
    rest = laplacian(as_graph(source.subgraph("abcde")), kind).toarray()
    np.testing.assert_array_equal(matrix[:5, :5], rest)
    if kind == "symmetric":
        peer = nx.normalized_laplacian_matrix(source).toarray()
        np.testing.assert_allclose(matrix, peer, atol=1e-15)


@pytest.mark.parametrize("function", [laplacian, spectrum, laplacian_eigenspaces])
def test_unknown_kind(function):
    with pytest.raises(ValueError, match="unknown Laplacian kind 'normalized'; use one of combinatorial, symmetric"):
        function(parse("petersen"), "normalized")


@pytest.mark.parametrize("word", ALL)
@pytest.mark.parametrize("kind", SYMMETRIC_KINDS)
def test_eigenspaces_decompose_the_laplacian(word, kind):
    graph = parse(word)
    matrix = laplacian(graph, kind).toarray()
    spaces = laplacian_eigenspaces(graph, kind)
    k = spaces.eigenvalues.size
    assert spaces.multiplicities.sum() == graph.n
    assert (np.diff(spaces.eigenvalues) > 0).all()
    np.testing.assert_allclose(spaces.basis.T @ spaces.basis, np.eye(graph.n), atol=1e-12)
    assert np.array_equal(np.bincount(spaces.labels), spaces.multiplicities)
    projectors = [spaces.projector(j) for j in range(k)]
    np.testing.assert_allclose(sum(projectors), np.eye(graph.n), atol=1e-12)
    rebuilt = sum(value * p for value, p in zip(spaces.eigenvalues, projectors, strict=True))
    np.testing.assert_allclose(rebuilt, matrix, atol=1e-11)
    for j in range(k):
        assert spaces.columns(j).shape == (graph.n, spaces.multiplicities[j])
        np.testing.assert_allclose(matrix @ spaces.columns(j), spaces.eigenvalues[j] * spaces.columns(j), atol=1e-11)
        np.testing.assert_array_equal(spaces.columns(j), spaces.basis[:, spaces.labels == j])


@pytest.mark.parametrize("word", ALL)
@pytest.mark.parametrize("kind", KINDS)
def test_spectrum_traces_and_null_space(word, kind):
    graph = parse(word)
    matrix = laplacian(graph, kind).toarray()
    values, multiplicities = spectrum(graph, kind)
    assert values.dtype == np.float64
    assert multiplicities.dtype == np.int64
    assert multiplicities.sum() == graph.n
    assert values @ multiplicities == pytest.approx(np.trace(matrix))
    assert values**2 @ multiplicities == pytest.approx(np.trace(matrix @ matrix))
    if kind != "symmetrized-random-walk":
        # Zero has the indicator vectors of the components.
        assert values[0] == pytest.approx(0, abs=1e-12)
        assert multiplicities[0] == graph.component_count
    if kind in ("symmetric", "random-walk"):
        # Two is an eigenvalue exactly for bipartite components.
        assert (values[-1] > 2 - 1e-9) == (word in BIPARTITE)
        assert values[-1] < 2 + 1e-9


# path-star:3x400 has eigenvalues that differ by less than rounding (states at the leaves).
@pytest.mark.parametrize("word", [*ALL, "path-star:3x400", "grid:20x21", "torus:12x12"])
@pytest.mark.parametrize("kind", SYMMETRIC_KINDS)
def test_spectrum_and_eigenspaces_list_the_same_eigenvalues(word, kind):
    graph = parse(word)
    values, multiplicities = spectrum(graph, kind)
    spaces = laplacian_eigenspaces(graph, kind)
    assert np.array_equal(multiplicities, spaces.multiplicities)
    np.testing.assert_allclose(values, spaces.eigenvalues, atol=1e-12)


@pytest.mark.parametrize("word", ["karate", "irregular", "tree:3,2", "davis"])
def test_random_walk_spectrum_is_that_of_the_matrix_itself(word):
    graph = parse(word)
    direct = np.linalg.eigvals(laplacian(graph, "random-walk").toarray())
    assert np.abs(direct.imag).max() < 1e-7
    np.testing.assert_allclose(np.sort(direct.real), expand(*spectrum(graph, "random-walk")), atol=1e-7)


def test_paper_spectra_of_the_symmetrized_random_walk():
    # arXiv 2510.26745, eigenvalues of -L on the four graphs, from the top.
    for word, leading in {
        "path-star:4x5": [(-0.0616, 1), (0.0947, 3), (0.5, 1), (1.2127, 3)],
        "grid:4x4": [(-0.0207, 1), (0.4145, 2)],
        "irregular": [(-0.0238, 1), (0, 1), (0.2242, 1), (0.4098, 1)],
    }.items():
        values, multiplicities = spectrum(parse(word))
        for j, (value, multiplicity) in enumerate(leading):
            assert values[j] == pytest.approx(value, abs=6e-5)
            assert multiplicities[j] == multiplicity


@pytest.mark.parametrize("word", ["path-star:4x5", "karate", "irregular", "torus:4x4"])
@pytest.mark.parametrize("kind", SYMMETRIC_KINDS)
def test_node_permutation_permutes_projectors(word, kind):
    graph = parse(word)
    order = np.random.default_rng(0).permutation(graph.n)
    shuffled = as_graph(graph.adjacency[order][:, order])
    spaces, other = laplacian_eigenspaces(graph, kind), laplacian_eigenspaces(shuffled, kind)
    np.testing.assert_allclose(other.eigenvalues, spaces.eigenvalues, atol=1e-12)
    assert np.array_equal(other.multiplicities, spaces.multiplicities)
    for j in range(spaces.eigenvalues.size):
        np.testing.assert_allclose(other.projector(j), spaces.projector(j)[np.ix_(order, order)], atol=1e-9)
    values, multiplicities = spectrum(shuffled, kind)  # dense: the family is unknown after the shuffle
    np.testing.assert_allclose(values, spaces.eigenvalues, atol=1e-12)
    assert np.array_equal(multiplicities, spaces.multiplicities)


def test_eigenspaces_of_a_known_matrix():
    rotation = np.linalg.qr(np.random.default_rng(1).standard_normal((6, 6)))[0]
    spectrum_ = np.array([-2.0, -2.0, 0.5, 3.0, 3.0, 3.0])
    matrix = rotation * spectrum_ @ rotation.T
    for given in (matrix, matrix.tolist(), sp.csr_array(matrix), sp.csr_matrix(matrix)):
        spaces = eigenspaces(given)
        np.testing.assert_allclose(spaces.eigenvalues, [-2, 0.5, 3], atol=1e-14)
        assert list(spaces.multiplicities) == [2, 1, 3]
        assert list(spaces.labels) == [0, 0, 1, 2, 2, 2]
        np.testing.assert_allclose(spaces.projector(2), rotation[:, 3:] @ rotation[:, 3:].T, atol=1e-13)
    with pytest.raises(IndexError, match="eigenspace 3 does not exist; there are 3"):
        spaces.columns(3)
    with pytest.raises(IndexError, match="eigenspace -1 does not exist"):
        spaces.projector(-1)


def test_tolerance_is_relative_and_decides_what_is_one_eigenspace():
    matrix = 1e6 * np.diag([1.0, 1.0 + 1e-12, 1.0 + 1e-6, 2.0])
    assert list(eigenspaces(matrix).multiplicities) == [2, 1, 1]
    assert list(eigenspaces(matrix, tolerance=1e-5).multiplicities) == [3, 1]
    assert list(eigenspaces(matrix, tolerance=0.0).multiplicities) == [1, 1, 1, 1]
    assert list(eigenspaces(np.zeros((3, 3))).multiplicities) == [3]
    with pytest.raises(ValueError, match="zero or more; got -1"):
        eigenspaces(matrix, tolerance=-1)
    with pytest.raises(ValueError, match="zero or more; got nan"):
        eigenspaces(matrix, tolerance=float("nan"))


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.ones((2, 3)), r"square matrix; got shape \(2, 3\)"),
        (np.ones(4), r"square matrix; got shape \(4,\)"),
        (np.zeros((0, 0)), "non-empty"),
        (np.array([[0, 1.0], [2.0, 0]]), r"not symmetric .*1.0e\+00.*pass \(M \+ M'\) / 2"),
        (np.array([[np.nan]]), "NaN or infinity"),
        (sp.csr_array([[1j]]), "real matrix; got dtype complex128"),
    ],
)
def test_bad_matrices(matrix, message):
    with pytest.raises(ValueError, match=message):
        eigenspaces(matrix)


def test_random_walk_has_no_orthonormal_eigenspaces():
    with pytest.raises(ValueError, match="'random-walk' Laplacian is not symmetric; use 'symmetric'"):
        laplacian_eigenspaces(parse("petersen"), "random-walk")


def test_size_limit(monkeypatch):
    message = f"{DENSE_LIMIT + 1} nodes are too many .*limit {DENSE_LIMIT}"
    large = parse(f"path-star:{DENSE_LIMIT}x2")
    with pytest.raises(ValueError, match=message):
        laplacian_eigenspaces(large)
    with pytest.raises(ValueError, match=message):
        eigenspaces(laplacian(large))
    with pytest.raises(ValueError, match=message):
        spectrum(as_graph(large.adjacency))
    assert spectrum(large)[1].sum() == DENSE_LIMIT + 1  # has a closed form
    # The package may export the function of the same name, so the module is looked up by its full name.
    monkeypatch.setattr(importlib.import_module("fiedler.theory.spectra.laplacians"), "DENSE_LIMIT", 10)
    assert spectrum(as_graph(parse("petersen").adjacency))[0].size == 3
    with pytest.raises(ValueError, match="11 nodes are too many"):
        spectrum(as_graph(parse("cycle:11").adjacency))


def test_default_kind_is_the_matrix_of_the_paper():
    graph = parse("karate")
    expected = spectrum(graph, "symmetrized-random-walk")
    assert np.array_equal(spectrum(graph)[0], expected[0])
    np.testing.assert_allclose(laplacian_eigenspaces(graph).eigenvalues, expected[0], atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_a_graph_of_self_loops_has_nothing_but_the_eigenvalue_zero(kind):
    # 49 * (1 / 49) and 3 / sqrt(3)^2 are not one: rounding was the largest eigenvalue, and split the eigenspace.
    weights = np.array([49.0, 3.0, 0.1, 0.0])
    graph = as_graph(np.diag(weights))
    assert laplacian(graph, kind).nnz == 0
    assert list(spectrum(graph, kind)[1]) == [4]
