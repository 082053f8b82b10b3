import time

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cases import ALL
from eigenpairs import SYMMETRIC_KINDS, check, dense_spaces
from fiedler.theory.graphs.convert import as_graph
from fiedler.theory.graphs.words import parse
from fiedler.theory.spectra import eigensolver
from fiedler.theory.spectra.closed_form import closed_form_spectrum
from fiedler.theory.spectra.eigensolver import laplacian_eigenpairs
from fiedler.theory.spectra.laplacians import KINDS, laplacian

CLOSED = ("path-star:7x4", "cycle:15", "cycle:8", "torus:3x5", "torus:4x4", "grid:3x5", "grid:2x3x4", "hypercube:4")
CLOSED += ("hamming:2,3", "hamming:1,5", "hamming:3,4", "path-star:1x7", "path-star:3x2", "torus:3x4x5", "grid:9")


@pytest.mark.parametrize("word", [*ALL, "path-star:30x4", "hamming:2,6"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("which", ["bottom", "top"])
def test_agrees_with_the_dense_spectrum(word, kind, which):
    graph = parse(word)
    closed = graph.family in ("petersen",) or closed_form_spectrum(graph, kind) is None
    for k in sorted({1, 2, 5, graph.n // 2, min(graph.n - 2, 20)}):
        if not 1 <= k <= graph.n - 2:
            continue
        for method in ("dense", "shift-invert", "lanczos", *(() if closed else ("closed-form",))):
            pairs = laplacian_eigenpairs(graph, k, kind, which, method=method)
            assert pairs.method == method
            check(pairs, graph, kind, which, k, complete=method != "lanczos")
        check(laplacian_eigenpairs(graph, k, kind, which, method="shift-invert", vectors=False), graph, kind, which, k)
    check(laplacian_eigenpairs(graph, graph.n, kind, which), graph, kind, which, graph.n)


@pytest.mark.parametrize("word", CLOSED)
@pytest.mark.parametrize("which", ["bottom", "top"])
def test_closed_form_vectors_of_every_eigenspace(word, which):
    graph = parse(word)
    for kind in KINDS if graph.family != "grid" else ("combinatorial",):
        pairs = laplacian_eigenpairs(graph, graph.n, kind, which, method="closed-form")
        check(pairs, graph, kind, which, graph.n)
        assert pairs.residual < 1e-13 * graph.n


@pytest.mark.parametrize("method", ["closed-form", "shift-invert"])
def test_five_thousand_arms(method):
    # The case that Krylov methods get wrong without notice: one eigenvalue 4,999 times.
    graph = parse("path-star:5000x5")
    start = time.perf_counter()
    pairs = laplacian_eigenpairs(graph, 16, "combinatorial", method=method, vectors=False)
    assert time.perf_counter() - start < 5
    assert pairs.method == method
    np.testing.assert_allclose(pairs.eigenvalues, [0, 2 - 2 * np.cos(np.pi / 9)], atol=1e-10)
    assert list(pairs.multiplicities) == [1, 4999]
    assert pairs.complete
    if method == "shift-invert":
        around = {count for shift, count in pairs.inertia if abs(shift - 0.1206) < 0.02}
        assert around == {1, 5000}
    # 0.8 GB of eigenvectors are refused before they exist.
    with pytest.raises(
        ValueError, match=r"20001 x 5000 floats\) take 0.80 GB, above the limit of 0.50 GB; use vectors"
    ):
        laplacian_eigenpairs(graph, 16, "combinatorial", method=method)


@pytest.mark.parametrize("method", ["dense", "shift-invert", "lanczos"])
@pytest.mark.parametrize("kind", ["combinatorial", "symmetric", "random-walk"])
def test_the_multiplicity_of_zero_is_the_number_of_components(method, kind):
    source = nx.disjoint_union_all([nx.cycle_graph(4), nx.path_graph(3), nx.complete_graph(5), nx.star_graph(3)])
    source.add_nodes_from(["a", "b", "c"])  # isolated
    source.add_edge("d", "d", weight=2.0)  # only a loop
    graph = as_graph(source)
    assert graph.component_count == 8
    for k in (1, 8, 9):
        pairs = laplacian_eigenpairs(graph, k, kind, method=method)
        check(pairs, graph, kind, "bottom", k, complete=method != "lanczos")
        assert pairs.eigenvalues[0] == pytest.approx(0, abs=1e-12)
        assert pairs.multiplicities[0] == 8


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(7, 60),
    density=st.floats(0.02, 0.5),
    weighted=st.booleans(),
    kind=st.sampled_from(KINDS),
    which=st.sampled_from(["bottom", "top"]),
    method=st.sampled_from(["auto", "shift-invert", "lanczos"]),
    k=st.integers(1, 5),
)
def test_random_graphs(seed, n, density, weighted, kind, which, method, k):
    random = np.random.default_rng(seed)
    upper = np.triu(random.random((n, n)) < density) * (10.0 ** random.uniform(-2, 2, (n, n)) if weighted else 1.0)
    graph = as_graph(np.triu(upper, 1) + upper.T)
    values = [space[0] for space in dense_spaces(graph, kind, which)]
    # Eigenvalues closer than 1e-6 but distinct are a matter of the tolerance.
    if values and (np.abs(np.diff(values)) > 1e-6 * max(1.0, np.abs(values).max())).all():
        pairs = laplacian_eigenpairs(graph, k, kind, which, method=method)
        check(pairs, graph, kind, which, k, complete=method != "lanczos")


@pytest.mark.parametrize("word", ["karate", "irregular", "path-star:20x4", "grid:13x14"])
@pytest.mark.parametrize("kind", SYMMETRIC_KINDS)
@pytest.mark.parametrize("which", ["bottom", "top"])
def test_a_permutation_of_the_nodes_permutes_the_projectors(word, kind, which):
    graph = parse(word)
    order = np.random.default_rng(0).permutation(graph.n)
    shuffled = as_graph(graph.adjacency[order][:, order])
    pairs = laplacian_eigenpairs(graph, 6, kind, which)
    for method in ("shift-invert", "lanczos"):
        other = laplacian_eigenpairs(shuffled, 6, kind, which, method=method)
        np.testing.assert_allclose(other.eigenvalues, pairs.eigenvalues, atol=1e-9)
        assert list(other.multiplicities) == list(pairs.multiplicities)
        for j in range(pairs.eigenvalues.size):
            mine, permuted = pairs.columns(j)[order], other.columns(j)
            np.testing.assert_allclose(permuted @ permuted.T, mine @ mine.T, atol=1e-6)


def test_random_walk_vectors():
    graph = as_graph(nx.karate_club_graph())  # weighted
    pairs = laplacian_eigenpairs(graph, 5, "random-walk", method="shift-invert")
    root = np.sqrt(graph.degrees)[:, None]
    walk = laplacian(graph, "random-walk")
    values = np.repeat(pairs.eigenvalues, pairs.multiplicities)
    right, left = pairs.basis / root, pairs.basis * root
    np.testing.assert_allclose(walk @ right, right * values, atol=1e-9)
    np.testing.assert_allclose(walk.T @ left, left * values, atol=1e-9)


def test_the_choice_of_a_method(monkeypatch):
    def chosen(word, k=4, kind="combinatorial", **options):
        return laplacian_eigenpairs(parse(word), k, kind, **options).method

    assert chosen("cycle:9") == chosen("grid:30x30") == chosen("path-star:9x9", kind="symmetric") == "closed-form"
    assert chosen("grid:30x30", kind="symmetric") == "shift-invert"
    assert chosen("grid:30x30", 400, kind="symmetric") == "dense"
    assert chosen("karate") == "dense"
    assert chosen("petersen") == "dense"
    assert chosen("petersen", vectors=False) == "closed-form"
    monkeypatch.setattr(eigensolver, "_LARGEST_FRONT", 20)
    assert chosen("grid:30x30", kind="symmetric") == "lanczos"


def test_values_alone_are_those_with_vectors():
    for word, method in (("karate", "dense"), ("grid:20x21", "shift-invert"), ("grid:9x9", "lanczos")):
        graph = parse(word)
        full = laplacian_eigenpairs(graph, 7, method=method)
        values = laplacian_eigenpairs(graph, 7, method=method, vectors=False)
        assert values.basis is None
        assert list(values.multiplicities) == list(full.multiplicities)
        np.testing.assert_allclose(values.eigenvalues, full.eigenvalues, atol=1e-12)
        with pytest.raises(ValueError, match="no eigenvectors; ask for them with vectors=True"):
            values.columns(0)
        with pytest.raises(IndexError, match=f"eigenspace 99 does not exist; there are {full.eigenvalues.size}"):
            full.columns(99)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((0,), {}, "k must be at least 1; got 0"),
        ((35,), {}, "k must be at most 34; got 35"),
        ((3, "normalized"), {}, "unknown Laplacian kind 'normalized'"),
        ((3, "symmetric", "middle"), {}, "unknown end of the spectrum 'middle'; use one of bottom, top"),
        ((3,), {"method": "lobpcg"}, "unknown method 'lobpcg'; use one of auto, closed-form, dense"),
        (
            (3,),
            {"method": "closed-form"},
            "no closed form is known for the symmetrized-random-walk Laplacian of karate",
        ),
        ((33,), {"method": "shift-invert"}, "method 'shift-invert' needs k <= n - 2; got k = 33 for 34 nodes"),
        ((33,), {"method": "lanczos"}, "method 'lanczos' needs k <= n - 2"),
        ((8,), {"method": "dense", "memory_limit": 100}, r"\(34 x 8 floats\) take 0.00 GB, above the limit"),
        ((8,), {"method": "shift-invert", "memory_limit": 100}, "above the limit"),
        ((8,), {"method": "lanczos", "memory_limit": 100}, "above the limit"),
    ],
)
def test_bad_input(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        laplacian_eigenpairs(parse("karate"), *arguments, **options)


def test_more_bad_input():
    with pytest.raises(TypeError, match=r"k must be a whole number; got 2.5"):
        laplacian_eigenpairs(parse("karate"), 2.5)
    with pytest.raises(ValueError, match="eigenvectors of petersen are not known in closed form; use vectors=False"):
        laplacian_eigenpairs(parse("petersen"), 2, method="closed-form")
    with pytest.raises(ValueError, match="10000 nodes are too many for method='dense'"):
        laplacian_eigenpairs(parse("grid:100x100"), 2, method="dense")


def test_the_matrix_of_the_paper_is_the_default():
    graph = parse("path-star:4x5")
    pairs = laplacian_eigenpairs(graph, 2)
    np.testing.assert_allclose(pairs.eigenvalues, [-0.0616, 0.0947], atol=6e-5)
    assert list(pairs.multiplicities) == [1, 3]
