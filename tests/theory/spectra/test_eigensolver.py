import time
from itertools import pairwise

import networkx as nx
import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.linalg import ArpackError

from cases import ALL
from fiedler.theory.graphs.convert import as_graph
from fiedler.theory.graphs.words import parse
from fiedler.theory.spectra import eigensolver
from fiedler.theory.spectra import solve_inverse as eigensolver_inverse
from fiedler.theory.spectra import solve_lanczos as eigensolver_lanczos
from fiedler.theory.spectra.closed_form import closed_form_spectrum
from fiedler.theory.spectra.counting import inertia
from fiedler.theory.spectra.eigensolver import laplacian_eigenpairs
from fiedler.theory.spectra.laplacians import KINDS, laplacian

SYMMETRIC_KINDS = [kind for kind in KINDS if kind != "random-walk"]
CLOSED = ("path-star:7x4", "cycle:15", "cycle:8", "torus:3x5", "torus:4x4", "grid:3x5", "grid:2x3x4", "hypercube:4")
CLOSED += ("hamming:2,3", "hamming:1,5", "hamming:3,4", "path-star:1x7", "path-star:3x2", "torus:3x4x5", "grid:9")


def dense_spaces(graph, kind, which):
    """An oracle that shares no code with the solver: (eigenvalue, multiplicity, projector) from the end on."""
    symmetric_kind = "symmetric" if kind == "random-walk" else kind
    values, vectors = np.linalg.eigh(laplacian(graph, symmetric_kind).toarray())
    if which == "top":
        values, vectors = values[::-1], vectors[:, ::-1]
    starts = [0, *(np.flatnonzero(np.abs(np.diff(values)) > 1e-8) + 1), values.size]
    return [(values[a:b].mean(), b - a, vectors[:, a:b] @ vectors[:, a:b].T) for a, b in pairwise(starts)]


def check(pairs, graph, kind, which, k, *, complete=True):
    expected, total = [], 0
    for space in dense_spaces(graph, kind, which):
        expected.append(space)
        total += space[1]
        if total >= k:
            break
    assert list(pairs.multiplicities) == [space[1] for space in expected]
    np.testing.assert_allclose(pairs.eigenvalues, [space[0] for space in expected], atol=1e-9)
    assert pairs.eigenvalues.dtype == np.float64
    assert pairs.multiplicities.dtype == np.int64
    assert pairs.total == total
    assert pairs.requested == k
    assert pairs.complete is complete
    matrix = laplacian(graph, "symmetric" if kind == "random-walk" else kind)
    if pairs.basis is None:
        assert np.isnan(pairs.residual)
    else:
        assert pairs.basis.shape == (graph.n, total)
        np.testing.assert_allclose(pairs.basis.T @ pairs.basis, np.eye(total), atol=1e-9)
        defect = matrix @ pairs.basis - pairs.basis * np.repeat(pairs.eigenvalues, pairs.multiplicities)
        assert pairs.residual == pytest.approx(np.linalg.norm(defect, axis=0).max(), rel=1e-3, abs=1e-17)
        assert pairs.residual < 1e-8 * max(1, abs(matrix).max())
        for j, (_, _, projector) in enumerate(expected):
            found = pairs.columns(j)
            np.testing.assert_allclose(found @ found.T, projector, atol=1e-6)
    if pairs.method == "shift-invert":
        values = np.linalg.eigvalsh(matrix.toarray())
        for shift, count in pairs.inertia:
            assert count == np.count_nonzero(values < shift)
    else:
        assert pairs.inertia == (() if complete else None)


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


@pytest.mark.parametrize("which", ["bottom", "top"])
@pytest.mark.parametrize("kind", SYMMETRIC_KINDS)
def test_hundreds_of_missing_copies_are_supplied(kind, which):
    graph = parse("path-star:150x4")
    pairs = laplacian_eigenpairs(graph, 4, kind, which, method="shift-invert")
    check(pairs, graph, kind, which, 4)
    assert "of them found at once" in pairs.note
    exact = laplacian_eigenpairs(graph, 4, kind, which, method="closed-form")
    assert list(exact.multiplicities) == list(pairs.multiplicities) == [1, 149]
    np.testing.assert_allclose(exact.columns(1) @ exact.columns(1).T, pairs.columns(1) @ pairs.columns(1).T, atol=1e-7)


def drop(monkeypatch, rank):
    """Make ARPACK's first answer lose the pair of that rank, as it loses copies of repeated eigenvalues."""
    calls = []
    true = eigensolver_lanczos.eigsh

    def lossy(operator, k, **options):
        values, vectors = true(operator, k, **options)
        calls.append(k)
        keep = np.argsort(-values) if len(calls) > 1 else np.delete(np.argsort(-values), rank)
        return values[keep], vectors[:, keep]

    monkeypatch.setattr(eigensolver_lanczos, "eigsh", lossy)
    return calls


@pytest.mark.parametrize("method", ["shift-invert", "lanczos"])
@pytest.mark.parametrize("kind", SYMMETRIC_KINDS)
@pytest.mark.parametrize("which", ["bottom", "top"])
@pytest.mark.parametrize("word", ["karate", "torus:5x7", "irregular"])
@pytest.mark.parametrize("rank", [1, 6])
def test_a_lost_pair_is_noticed_and_supplied(monkeypatch, method, kind, which, word, rank):
    graph = parse(word)
    calls = drop(monkeypatch, rank)
    pairs = laplacian_eigenpairs(graph, 6, kind, which, method=method)
    assert calls[0] == 7
    check(pairs, graph, kind, which, 6, complete=method != "lanczos")


def test_what_cannot_be_supplied_is_an_error(monkeypatch):
    # No iteration ever returns the second pair of karate, a simple eigenvalue of which there is no copy.
    true = eigensolver_lanczos.eigsh
    fiedler = np.linalg.eigh(laplacian(parse("karate"), "combinatorial").toarray())[1][:, 1]

    def blind(operator, k, **options):
        values, vectors = true(operator, k, **options)
        keep = np.abs(fiedler @ vectors) < 0.5
        return values[keep], vectors[:, keep]

    monkeypatch.setattr(eigensolver_lanczos, "eigsh", blind)
    for vectors in (True, False):
        with pytest.raises(
            RuntimeError, match=r"eigenvalues lie below .* not all of them were found; use method='dense'"
        ):
            laplacian_eigenpairs(parse("karate"), 6, "combinatorial", method="shift-invert", vectors=vectors)


@pytest.mark.parametrize("seen", [0.2, 30.0])
def test_a_wrong_guess_of_the_spectrum_does_no_harm(monkeypatch, seen):
    # The density of eigenvalues decides on the polynomial; here it is wrong by a factor at the lower end.
    true = eigensolver_lanczos.lanczos

    def wrong(apply, n, steps):
        values, weights, bound = true(apply, n, steps)
        return values, np.where(np.arange(values.size) < 12, seen, 1.0) * weights, bound

    monkeypatch.setattr(eigensolver_lanczos, "lanczos", wrong)
    graph = as_graph(nx.random_regular_graph(6, 240, seed=0))
    for kind in SYMMETRIC_KINDS:
        check(laplacian_eigenpairs(graph, 12, kind, method="lanczos"), graph, kind, "bottom", 12, complete=False)


def test_the_degree_of_the_polynomial():
    assert eigensolver_lanczos._degree(0.0, 1.6, 1.77, 10.5) in range(7, 15)
    assert eigensolver_lanczos._degree(0.0, 1.6, 1.77, 10.5) % 2 == 1
    assert eigensolver_lanczos._degree(-700.0, -30.0, -20.0, 0.0) <= 5  # far eigenvalues would drown the others
    assert eigensolver_lanczos._degree(0.0, 1.0, 1.0, 2.0) == 1
    assert eigensolver_lanczos._degree(0.0, 1.0, 1.0 + 1e-16, 2.0) == 1


def test_an_exhausted_krylov_space_is_left_by_another_start(monkeypatch):
    true, starts = eigensolver_lanczos.eigsh, []

    def stuck(operator, k, **options):
        starts.append(options["v0"])
        if len(starts) == 1:
            raise ArpackError(3)
        return true(operator, k, **options)

    monkeypatch.setattr(eigensolver_lanczos, "eigsh", stuck)
    graph = parse("karate")
    check(laplacian_eigenpairs(graph, 5, method="shift-invert"), graph, "symmetrized-random-walk", "bottom", 5)
    assert not np.array_equal(starts[0], starts[1])


def test_no_convergence_is_an_error(monkeypatch):
    monkeypatch.setattr(eigensolver_lanczos, "_RESTARTS", 1)
    with pytest.raises(
        RuntimeError, match=r"Lanczos iteration for 31 pairs of 400 stopped: .*No convergence.* use another"
    ):
        laplacian_eigenpairs(parse("grid:20x20"), 30, "combinatorial", method="lanczos")


def test_an_inaccurate_vector_is_an_error(monkeypatch):
    monkeypatch.setattr(eigensolver_lanczos, "TOLERANCE", 1e-2)
    monkeypatch.setattr(eigensolver_lanczos.largest, "__defaults__", (1e-1,))
    with pytest.raises(RuntimeError, match=r"residual .* use method='dense'"):
        laplacian_eigenpairs(parse("grid:20x20"), 30, "symmetric", method="lanczos")


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


def test_a_count_with_a_large_rounding_error_is_made_elsewhere():
    swap = sp.csr_array(np.array([[0.0, 1.0], [1.0, 0.0]]))
    counter = eigensolver_inverse._Counter(swap, 1.0)
    # The first shift tried is 2e-15, a pivot with an error of 0.4.
    shift, below = counter.between(-0.5402, 0.4598 + 4e-15)
    assert abs(shift) > 0.01
    assert below == 1
    assert counter.pairs() == ((shift, 1),)
    with pytest.raises(RuntimeError, match=r"no factorisation between 1 and 1 is accurate enough for a count"):
        counter.between(1.0, 1.0)


@pytest.mark.parametrize("which", ["bottom", "top"])
def test_only_isolated_nodes(which):
    graph = as_graph(sp.csr_array((400, 400)))
    for kind in KINDS:
        pairs = laplacian_eigenpairs(graph, 3, kind, which, method="shift-invert")
        assert list(pairs.multiplicities) == [400]
        assert abs(pairs.eigenvalues[0]) < 1e-12
        assert pairs.complete


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


@pytest.mark.parametrize(("word", "kind"), [("grid:100x100", "combinatorial"), ("grid:60x70", "symmetric")])
@pytest.mark.parametrize("which", ["bottom", "top"])
def test_large_meshes_by_factorisation(word, kind, which):
    graph = parse(word)
    pairs = laplacian_eigenpairs(graph, 16, kind, which, method="shift-invert")
    assert pairs.complete
    assert pairs.residual < 1e-9
    if kind == "combinatorial":
        values, copies = closed_form_spectrum(graph, kind)
        step, m = (1 if which == "bottom" else -1), pairs.eigenvalues.size
        np.testing.assert_allclose(pairs.eigenvalues, values[::step][:m], atol=1e-11)
        assert list(pairs.multiplicities) == list(copies[::step][:m])
    end = pairs.eigenvalues[-1] + (1e-7 if which == "bottom" else -1e-7)
    count = inertia(laplacian(graph, kind), end)
    assert (count if which == "bottom" else graph.n - count) == pairs.total
    again = laplacian_eigenpairs(graph, 16, kind, which, method="shift-invert")
    assert np.array_equal(pairs.basis, again.basis)


@pytest.mark.parametrize("kind", ["combinatorial", "symmetrized-random-walk"])
@pytest.mark.parametrize("which", ["bottom", "top"])
@pytest.mark.parametrize("maker", ["regular", "hubs"])
def test_expanders_by_lanczos(kind, which, maker):
    source = nx.random_regular_graph(6, 2500, seed=0) if maker == "regular" else nx.barabasi_albert_graph(2500, 5, 0)
    graph = as_graph(source)
    pairs = laplacian_eigenpairs(graph, 16, kind, which, method="lanczos")
    proved = laplacian_eigenpairs(graph, 16, kind, which, method="shift-invert")
    assert proved.complete
    assert (pairs.inertia, pairs.complete) == (None, False)
    assert pairs.note.startswith("not proved: a second Lanczos iteration")
    assert list(pairs.multiplicities) == list(proved.multiplicities)
    np.testing.assert_allclose(pairs.eigenvalues, proved.eigenvalues, atol=1e-8)
    scale = abs(laplacian(graph, kind)).max()
    assert max(pairs.residual, proved.residual) < 1e-8 * scale


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
