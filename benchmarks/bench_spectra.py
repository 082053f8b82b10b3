"""Time to the 16 lowest eigenpairs of a Laplacian, all copies of a repeated eigenvalue included, beside SciPy's eigsh
and scikit-learn's spectral_embedding, which do not look for missing copies. NetworkX's spectral_layout is eigsh "SM",
and its fiedler_vector one pair only. Peers that need over a minute on a graph are left out and listed
(as is "SA" where "SM" is there: on a positive semidefinite matrix they are the same)."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import networkx as nx
import numpy as np
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import eigsh
from scipy.spatial import Delaunay
from threadpoolctl import threadpool_limits

from fiedler.theory import Graph, as_graph, laplacian, laplacian_eigenpairs, parse
from interleave import interleave, row, write_results

try:
    from sklearn.manifold import spectral_embedding
except ImportError:
    spectral_embedding = None
try:
    import pyamg
except ImportError:
    pyamg = None

K = 16
OURS = "fiedler"
SM, SIGMA, SA = "scipy eigsh SM", "scipy eigsh sigma", "scipy eigsh SA"
ARPACK, AMG = "scikit-learn arpack", "scikit-learn amg"
FACTORISING = (SM, SIGMA, ARPACK)

# Graph, kind, options of ours, peers left out because they are too slow there, rounds.
CASES: tuple[tuple[str, str, dict[str, Any], tuple[str, ...], int], ...] = (
    ("karate", "symmetric", {}, (AMG,), 15),
    ("delaunay:3000", "symmetric", {}, (), 5),
    ("grid:100x100", "symmetric", {}, (SA,), 5),
    ("grid:300x300", "symmetric", {}, (SM, SA), 3),
    ("grid:300x300", "combinatorial", {}, (SM, SA), 3),
    ("grid:300x300", "combinatorial", {"method": "shift-invert"}, (SM, SA), 3),
    ("path-star:5000x5", "symmetric", {"vectors": False}, (SA,), 3),
    ("path-star:5000x5", "symmetric", {"vectors": False, "method": "shift-invert"}, (SA,), 3),
    ("regular:10000", "symmetric", {}, FACTORISING, 3),
    ("barabasi-albert:10000", "symmetric", {}, FACTORISING, 3),
    ("regular:100000", "symmetric", {}, (*FACTORISING, AMG), 3),
    ("barabasi-albert:100000", "symmetric", {}, (*FACTORISING, AMG), 3),
)


def make(word: str) -> Graph:
    family, _, size = word.partition(":")
    if family == "delaunay":
        triangles = Delaunay(np.random.default_rng(0).random((int(size), 2))).simplices
        return as_graph(nx.Graph([(t[i], t[j]) for t in triangles.tolist() for i, j in ((0, 1), (1, 2), (2, 0))]))
    if family == "regular":
        return as_graph(nx.random_regular_graph(6, int(size), seed=0))
    if family == "barabasi-albert":
        return as_graph(nx.barabasi_albert_graph(int(size), 5, seed=0))
    return parse(word)


def peers(graph: Graph, kind: str) -> dict[str, Callable[[], np.ndarray]]:
    """Each peer as a function that returns its (n, K) eigenvectors."""
    matrix = laplacian(graph, kind)
    columns = matrix.tocsc()
    start = np.random.default_rng(0).standard_normal(graph.n)
    ways: dict[str, Callable[[], np.ndarray]] = {
        SM: lambda: eigsh(matrix, K, which="SM", v0=start)[1],
        SA: lambda: eigsh(matrix, K, which="SA", v0=start)[1],
        SIGMA: lambda: eigsh(columns, K, sigma=-1e-5, which="LM", v0=start)[1],
    }
    if spectral_embedding is not None and kind == "symmetric":
        ways[ARPACK] = partial(embedding, graph, "arpack")
        if pyamg is not None:
            ways[AMG] = partial(embedding, graph, "amg")
    return ways


def embedding(graph: Graph, solver: str) -> np.ndarray:
    adjacency = graph.adjacency.copy()
    # scikit-learn takes 32-bit indices only.
    adjacency.indices, adjacency.indptr = adjacency.indices.astype(np.int32), adjacency.indptr.astype(np.int32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = spectral_embedding(adjacency, n_components=K, eigen_solver=solver, random_state=0, drop_first=False)
    # It returns D^-1/2 u.
    u = found * np.sqrt(graph.degrees)[:, None]
    return u / np.linalg.norm(u, axis=0)


def quality(graph: Graph, kind: str, vectors: np.ndarray, truth: np.ndarray) -> dict[str, Any]:
    """Residual, and whether the eigenvalues are the lowest ones with every copy up to K."""
    matrix = laplacian(graph, kind)
    values = np.einsum("ij,ij->j", vectors, matrix @ vectors)
    residual = float(np.linalg.norm(matrix @ vectors - vectors * values, axis=0).max())
    right = bool(np.allclose(np.sort(values), truth[: values.size], atol=1e-6))
    return {"residual": residual, "multiplicities_right": right}


def test_spectra_against_scipy_and_scikit_learn(benchmark: Any) -> None:
    rows = []
    with threadpool_limits(1):
        for word, kind, options, too_slow, rounds in CASES:
            graph = make(word)
            assert connected_components(graph.adjacency)[0] == 1
            pairs = laplacian_eigenpairs(graph, K, kind, **options)
            truth = np.repeat(pairs.eigenvalues, pairs.multiplicities)
            others = {name: way for name, way in peers(graph, kind).items() if name not in too_slow}
            found = {}
            for name, way in others.items():
                found[name] = quality(graph, kind, way(), truth)
            timings = interleave(
                {OURS: lambda g=graph, t=kind, o=options: laplacian_eigenpairs(g, K, t, **o), **others}, rounds=rounds
            )
            line = row(
                f"{K} lowest eigenpairs",
                OURS,
                timings,
                graph=f"{word} {kind} {pairs.method}{'' if pairs.basis is not None else ' values only'}",
                n=graph.n,
                total=pairs.total,
                residual=pairs.residual,
                complete=pairs.complete,
                left_out=list(too_slow),
                scikit_learn="absent" if spectral_embedding is None else "present",
                pyamg="absent" if pyamg is None else "present",
            )
            for name, fact in found.items():
                line["peers"][name].update(fact)
            rows.append(line)
            print(f"{line['graph']}: {found}", flush=True)
            write_results("spectra", rows)  # after every graph: the last ones take minutes
        benchmark.extra_info["rows"] = rows
        benchmark.pedantic(lambda: laplacian_eigenpairs(parse("karate"), K, "symmetric"), rounds=5)
