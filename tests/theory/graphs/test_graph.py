import networkx as nx
import numpy as np
import pytest
import scipy.sparse as sp

from cases import ALL, DISCONNECTED
from fiedler.theory.graphs.convert import as_graph
from fiedler.theory.graphs.graph import Graph, from_networkx, from_sparse
from fiedler.theory.graphs.words import parse


def dense(graph: Graph) -> np.ndarray:
    return graph.adjacency.toarray()


@pytest.mark.parametrize("word", ALL)
def test_properties_agree_with_networkx(word):
    graph = parse(word)
    reference = graph.to_networkx()
    assert graph.n == reference.number_of_nodes() == len(graph.nodes)
    assert graph.edge_count == reference.number_of_edges()
    assert list(graph.degrees) == [reference.degree(node) for node in graph.nodes]
    assert graph.component_count == nx.number_connected_components(reference)
    assert graph.component_count == (2 if word in DISCONNECTED else 1)
    groups = {frozenset(np.flatnonzero(graph.component_labels == c)) for c in range(graph.component_count)}
    index = {node: i for i, node in enumerate(graph.nodes)}
    assert groups == {frozenset(index[v] for v in part) for part in nx.connected_components(reference)}
    assert graph.isolated.size == 0
    assert np.array_equal(dense(graph), nx.to_numpy_array(reference, nodelist=graph.nodes))


@pytest.mark.parametrize("word", ["karate", "irregular", "davis"])
def test_networkx_round_trip(word):
    graph = parse(word)
    back = from_networkx(graph.to_networkx())
    assert back.nodes == graph.nodes
    assert back.name == graph.name
    assert back.family is None
    assert np.array_equal(dense(back), dense(graph))


def test_row_order_weights_and_default_weight():
    source = nx.Graph()
    source.add_nodes_from(["c", "a", "b"])
    source.add_edge("a", "b", weight=2.5)
    source.add_edge("b", "c")
    graph = from_networkx(source)
    assert graph.nodes == ("c", "a", "b")
    assert np.array_equal(dense(graph), [[0, 0, 1], [0, 0, 2.5], [1, 2.5, 0]])
    assert dense(from_networkx(source, weight=None)).max() == 1
    source["a"]["b"]["length"] = 7
    assert dense(from_networkx(source, weight="length"))[1, 2] == 7


def test_self_loop_is_kept_and_counts_once():
    source = nx.Graph([(0, 0), (0, 1)])
    source[0][0]["weight"] = 3.0
    graph = from_networkx(source)
    assert np.array_equal(dense(graph), [[3, 1], [1, 0]])
    assert graph.edge_count == 2
    assert list(graph.degrees) == [4, 1]
    assert np.array_equal(dense(from_networkx(graph.to_networkx())), dense(graph))


def test_parallel_edges_add():
    source = nx.MultiGraph([(0, 1), (0, 1), (1, 1), (1, 1)])
    source[0][1][0]["weight"] = 2.0
    assert np.array_equal(dense(from_networkx(source)), [[0, 3], [3, 2]])
    repeated = sp.coo_array((np.ones(4), ([0, 0, 1, 1], [1, 1, 0, 0])), shape=(2, 2))
    assert np.array_equal(dense(from_sparse(repeated)), [[0, 2], [2, 0]])


def test_zero_weight_edges_are_dropped_and_isolated_nodes_kept():
    source = nx.Graph()
    source.add_edge(0, 1, weight=0.0)
    source.add_edge(1, 2)
    graph = from_networkx(source)
    assert graph.adjacency.nnz == 2
    assert list(graph.isolated) == [0]
    assert graph.component_count == 2
    looped = from_sparse(sp.diags_array([1.0, 0.0], format="csr"))
    assert list(looped.isolated) == [1]


def test_nodes_without_edges_are_a_graph_but_no_nodes_are_not():
    graph = as_graph(nx.empty_graph(3))
    assert (graph.n, graph.edge_count, graph.component_count) == (3, 0, 3)
    with pytest.raises(ValueError, match="empty; give it at least one node"):
        as_graph(nx.Graph())
    with pytest.raises(ValueError, match="at least one node"):
        as_graph(sp.csr_array((0, 0)))


@pytest.mark.parametrize("kind", [nx.Graph, nx.DiGraph, nx.MultiGraph, nx.MultiDiGraph])
@pytest.mark.parametrize(
    ("weight", "problem"),
    [
        (-1, "-1.0 of edge x - y is negative"),
        (float("nan"), "nan of edge x - y is not finite"),
        (float("inf"), "inf of edge x - y is not finite"),
        (10**400, "inf of edge x - y is not finite"),
        ("heavy", "heavy of edge x - y is not a number"),
        (None, "None of edge x - y is not a number"),
        (1j, "1j of edge x - y is not a number"),
    ],
)
def test_bad_weight_names_the_edge(kind, weight, problem):
    source = kind()
    source.add_edge("x", "y", weight=weight)
    with pytest.raises(ValueError, match=problem) as error:
        from_networkx(source)
    assert "\n" not in str(error.value)


def test_negative_weight_is_not_hidden_by_a_parallel_edge():
    source = nx.MultiGraph()
    source.add_edge(0, 1, weight=3)
    source.add_edge(0, 1, weight=-1)
    with pytest.raises(ValueError, match="edge 0 - 1 is negative"):
        from_networkx(source)


@pytest.mark.parametrize("value", [np.float32(2), np.int64(2), True + 1, np.float64(2)])
def test_numpy_and_integer_weights_are_numbers(value):
    source = nx.Graph()
    source.add_edge(0, 1, weight=value)
    assert dense(from_networkx(source))[0, 1] == 2


def test_directed_graph_needs_symmetrize():
    source = nx.DiGraph([("a", "b"), ("b", "a"), ("b", "c"), ("c", "c")])
    source["a"]["b"]["weight"] = 2.0
    with pytest.raises(ValueError, match=r"symmetrize=True \(--symmetrize\)"):
        as_graph(source)
    graph = as_graph(source, symmetrize=True)
    assert np.array_equal(dense(graph), [[0, 3, 0], [3, 0, 1], [0, 1, 1]])
    matrix = sp.csr_matrix(nx.to_numpy_array(source))
    with pytest.raises(ValueError, match=r"the weight 0 -> 1 is 2 but back it is 1"):
        from_sparse(matrix)
    assert np.array_equal(dense(from_sparse(matrix, symmetrize=True)), dense(graph))
    assert np.array_equal(dense(as_graph(matrix.toarray(), symmetrize=True)), dense(graph))


def test_directed_graph_with_symmetric_matrix_is_accepted_unchanged():
    source = nx.Graph([(0, 1), (1, 2)]).to_directed()
    expected = nx.to_numpy_array(nx.path_graph(3))
    assert np.array_equal(dense(as_graph(source)), expected)
    assert np.array_equal(dense(as_graph(source, symmetrize=True)), expected)


def test_rounding_asymmetry_is_averaged_and_real_asymmetry_is_not():
    matrix = np.array([[0, 1.0], [1.0 + 2e-16, 0]])
    graph = as_graph(matrix)
    assert graph.adjacency[0, 1] == graph.adjacency[1, 0]
    with pytest.raises(ValueError, match="is directed"):
        as_graph(np.array([[0, 1.0], [1.0 + 1e-6, 0]]))


def test_the_input_matrix_is_neither_changed_nor_shared():
    matrix = sp.csr_array(np.array([[0.0, 2.0], [2.0, 0.0]]))
    graph = from_sparse(matrix)
    matrix.data[:] = -1
    assert graph.adjacency.max() == 2
    assert graph.adjacency.min() == 0


@pytest.mark.parametrize(
    ("matrix", "error", "message"),
    [
        (np.ones((2, 3)), ValueError, r"must be square; 'matrix' has shape \(2, 3\)"),
        (np.ones(3), ValueError, r"real square matrix; got shape \(3,\)"),
        (np.ones((2, 2), dtype=complex), ValueError, "dtype complex128"),
        (np.array([["a"]]), ValueError, "real square matrix"),
        (sp.csr_array(np.ones((2, 2), dtype=complex)), TypeError, "real numbers; 'matrix' has dtype complex128"),
        (np.array([[0, np.nan], [np.nan, 0]]), ValueError, "nan of edge 0 - 1 is not finite"),
        (np.array([[-2.0]]), ValueError, "-2.0 of edge 0 - 0 is negative"),
    ],
)
def test_bad_matrices(matrix, error, message):
    with pytest.raises(error, match=message):
        as_graph(matrix)


def test_from_sparse_labels():
    matrix = sp.csr_array(np.array([[0, 1], [1, 0]]))
    assert from_sparse(matrix, nodes=["x", "y"]).nodes == ("x", "y")
    with pytest.raises(ValueError, match="2 rows but 1 node labels"):
        from_sparse(matrix, nodes=["x"])
    with pytest.raises(ValueError, match="'x' appears twice"):
        from_sparse(matrix, nodes=["x", "x"])
    with pytest.raises(TypeError, match="needs a SciPy sparse matrix, not ndarray"):
        from_sparse(np.ones((2, 2)))


def test_constructor_checks_its_invariants():
    good = sp.csr_array(np.array([[0, 1.0], [1, 0]]))
    assert Graph(good, (0, 1), "pair").n == 2
    with pytest.raises(TypeError, match="float64 csr_array"):
        Graph(sp.csc_array(good), (0, 1), "x")
    with pytest.raises(TypeError, match="float64 csr_array"):
        Graph(good.astype(np.float32), (0, 1), "x")
    with pytest.raises(ValueError, match="symmetric"):
        Graph(sp.csr_array(np.array([[0, 1.0], [2, 0]])), (0, 1), "x")
    with pytest.raises(ValueError, match="square"):
        Graph(sp.csr_array(np.ones((1, 2))), (0,), "x")
    with pytest.raises(ValueError, match="edge a - b is negative"):
        Graph(-good, ("a", "b"), "x")
    with pytest.raises(ValueError, match="not finite"):
        Graph(good * np.inf, (0, 1), "x")
    with pytest.raises(ValueError, match="tuple of 2 labels"):
        Graph(good, (0,), "x")
    with pytest.raises(ValueError, match="explicit zero"):
        Graph(
            sp.csr_array((np.array([1.0, 0, 1]), np.array([1, 0, 0]), np.array([0, 1, 3])), shape=(2, 2)), (0, 1), "x"
        )
    with pytest.raises(ValueError, match="repeated"):
        Graph(sp.csr_array((np.ones(4), np.array([1, 1, 0, 0]), np.array([0, 2, 4])), shape=(2, 2)), (0, 1), "x")


def test_repr_stays_short_for_large_graphs():
    assert repr(parse("cycle:1000")) == "Graph(name='cycle:1000', family='cycle', parameters=(1000,))"


@pytest.mark.parametrize("weight", [1e-320, 1e-101, 1e101])
def test_weights_whose_degrees_leave_float64_are_refused(weight):
    with pytest.raises(ValueError, match=r"edge 0 - 1 is not between 1e-100 and 1e\+100"):
        as_graph(np.array([[0.0, weight], [weight, 0.0]]))


def test_dense_matrices_of_every_real_dtype():
    for kind in (np.float16, np.longdouble, np.int8, bool):
        assert as_graph(np.array([[0, 1], [1, 0]], dtype=kind)).edge_count == 1


def test_a_masked_matrix_is_refused():
    with pytest.raises(TypeError, match="cannot make a graph from MaskedArray"):
        as_graph(np.ma.masked_array(np.eye(2), mask=np.eye(2)))


@pytest.mark.parametrize("nodes", ["ab", {"a", "b"}, {"a": 0, "b": 1}, 2])
def test_labels_that_are_no_list_are_refused(nodes):
    with pytest.raises(TypeError, match="nodes must be a list of labels"):
        from_sparse(sp.csr_array(np.eye(2)), nodes=nodes)


def test_labels_that_cannot_be_looked_up_are_refused():
    with pytest.raises(TypeError, match="hashable"):
        from_sparse(sp.csr_array(np.eye(2)), nodes=[("a", []), "b"])


def test_a_long_label_is_cut_in_a_message():
    with pytest.raises(ValueError, match="is negative") as error:
        from_sparse(-sp.csr_array(np.eye(1)), nodes=["x\n" * 5000])
    assert len(str(error.value)) < 300
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("family", "parameters"),
    [("cycle", ()), ("cycle", (6,)), ("torus", (5, 1, 2)), ("hamming", (10**9, 10**9)), ("path-star", (2, 2, 1))],
)
def test_a_family_that_the_graph_cannot_be_is_refused(family, parameters):
    cycle = parse("cycle:5")
    with pytest.raises(ValueError, match=f"no {family} with these"):
        Graph(cycle.adjacency, cycle.nodes, "odd", family, parameters)
