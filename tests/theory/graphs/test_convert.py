"""A graph from whatever describes one: every kind of description gives the same graph, or says why not."""

import os
from pathlib import PurePosixPath

import networkx as nx
import numpy as np
import pytest
import scipy.sparse as sp

from fiedler.theory.graphs.convert import as_graph
from fiedler.theory.graphs.graph import Graph
from fiedler.theory.graphs.words import parse

DIRECTED = np.array([[0.0, 2.0, 0.0], [0.0, 1.5, 1.0], [3.0, 0.0, 0.0]])
SYMMETRIZED = np.array([[0.0, 2.0, 3.0], [2.0, 1.5, 1.0], [3.0, 1.0, 0.0]])


def dense(graph: Graph) -> np.ndarray:
    return graph.adjacency.toarray()


@pytest.mark.parametrize("make", [sp.csr_array, sp.csc_matrix, sp.coo_array, sp.lil_array, sp.dok_array, sp.bsr_array])
@pytest.mark.parametrize("dtype", [np.float32, np.int32, bool, np.uint8])
def test_as_graph_takes_every_sparse_format_and_real_dtype(make, dtype):
    expected = nx.to_numpy_array(nx.petersen_graph())
    graph = as_graph(make(expected.astype(dtype)))
    assert graph.adjacency.dtype == np.float64
    assert np.array_equal(dense(graph), expected)
    assert graph.nodes == tuple(range(10))


def test_as_graph_takes_graphs_words_paths_and_arrays(tmp_path):
    graph = parse("petersen")
    assert as_graph(graph) is graph
    assert as_graph("petersen").family == "petersen"
    file = tmp_path / "edges.txt"
    file.write_text("a b\n")
    assert as_graph(file).nodes == ("a", "b")
    assert as_graph(os.fspath(file)).nodes == ("a", "b")
    assert np.array_equal(dense(as_graph(dense(graph))), dense(graph))


@pytest.mark.parametrize("thing", [3, None, [(0, 1)], {"a": "b"}, b"cycle:3"])
def test_as_graph_refuses_other_types(thing):
    with pytest.raises(TypeError, match=f"cannot make a graph from {type(thing).__name__}; give a graph word"):
        as_graph(thing)


def kinds(matrix, folder):
    """The graph of ``matrix`` in every form in which it can be given."""
    file = folder / "directed.npz"
    sp.save_npz(file, sp.csr_array(matrix))
    network = nx.from_numpy_array(matrix, create_using=nx.DiGraph)
    return {
        "a matrix": matrix,
        "a sparse matrix": sp.coo_array(matrix),
        "a NetworkX graph": network,
        "a path": file,
        "a path as text": os.fspath(file),
    }


KINDS = ("a matrix", "a sparse matrix", "a NetworkX graph", "a path", "a path as text")


@pytest.mark.parametrize("kind", KINDS)
def test_a_directed_graph_of_any_kind_is_refused_unless_symmetrized(tmp_path, kind):
    assert tuple(kinds(DIRECTED, tmp_path)) == KINDS
    source = kinds(DIRECTED, tmp_path)[kind]
    with pytest.raises(ValueError, match=r"symmetrize=True \(--symmetrize\)"):
        as_graph(source)
    assert np.array_equal(dense(as_graph(source, symmetrize=True)), SYMMETRIZED)


@pytest.mark.parametrize("kind", KINDS)
def test_a_symmetric_graph_of_any_kind_stays_as_it_is_when_symmetrized(tmp_path, kind):
    source = kinds(SYMMETRIZED, tmp_path)[kind]
    for symmetrize in (False, True):
        assert np.array_equal(dense(as_graph(source, symmetrize=symmetrize)), SYMMETRIZED)


@pytest.mark.parametrize("symmetrize", [1, 0, None, "yes", np.array(True)])
def test_symmetrize_is_a_flag_whatever_is_converted(symmetrize):
    for source in (parse("petersen"), "petersen", np.eye(2), 3):
        with pytest.raises(TypeError, match="symmetrize"):
            as_graph(source, symmetrize=symmetrize)


def test_a_multigraph_adds_its_parallel_edges():
    source = nx.MultiGraph([("a", "b", {"weight": 2.0}), ("a", "b", {"weight": 0.5}), ("b", "c")])
    assert np.array_equal(dense(as_graph(source)), [[0, 2.5, 0], [2.5, 0, 1], [0, 1, 0]])


def test_a_masked_array_is_refused_as_its_mask_would_be_lost():
    matrix = np.ma.MaskedArray(SYMMETRIZED, mask=SYMMETRIZED == 2.0)
    with pytest.raises(TypeError, match="cannot make a graph from MaskedArray"):
        as_graph(matrix)


def test_a_file_named_as_a_word_is_read_only_where_it_is_given_as_a_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "petersen").write_text("a b\n")
    assert as_graph("petersen").n == 10
    assert as_graph(PurePosixPath("petersen")).nodes == ("a", "b")
