import itertools
import math

import networkx as nx
import numpy as np
import pytest
from scipy.optimize import linprog, minimize

from cases import ALL
from fiedler.theory import eigenspaces, from_networkx, parse
from fiedler.theory.graph_storage import (
    StorageCost,
    associative_bits,
    associative_matrix,
    cycle_storage,
    geometric_bits,
    geometric_norm_bound,
    incidence_code,
    path_star_code,
    path_star_storage,
    shifted_adjacency_code,
    storage_cost,
)

EXACT = 1e-12
# A dense eigensolver on up to 77 nodes with weights up to 31 (les-miserables).
SOLVED = 1e-10


def loop_graph():
    graph = nx.Graph()
    graph.add_weighted_edges_from([("a", "b", 2.0), ("b", "c", 1.0), ("c", "c", 3.0), ("c", "d", 4.0)])
    return from_networkx(graph)


def edge_list(graph):
    """Unordered pairs i <= j of the support, by plain loops."""
    a = graph.adjacency.toarray()
    return [(i, j) for i in range(graph.n) for j in range(i, graph.n) if a[i, j] > 0]


def assert_stores(code, graph, tolerance):
    """Inner products: one on every edge between two nodes, zero on every other pair, by plain loops."""
    edges = set(edge_list(graph))
    for i in range(graph.n):
        for j in range(i + 1, graph.n):
            score = math.fsum(code[i] * code[j])
            assert abs(score - ((i, j) in edges)) <= tolerance


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("word", ALL)
def test_one_hot_associative_memory(word, both):
    graph = parse(word)
    memory = associative_matrix(graph, both_directions=both)
    dense, edges = memory.toarray(), edge_list(graph)
    stored = {(i, j) for i, j in edges} | ({(j, i) for i, j in edges} if both else set())
    phi = np.eye(graph.n)
    for u, v in itertools.product(range(graph.n), repeat=2):
        score = dense[u, v]
        if graph.n <= 20:
            assert phi[u] @ dense @ phi[v] == score
        assert score == ((u, v) in stored)
    assert memory.nnz == len(stored) == (2 if both else 1) * graph.edge_count
    assert np.linalg.norm(dense) == pytest.approx(math.sqrt(len(stored)), rel=EXACT)
    cost = storage_cost(graph.n, graph.edge_count, 1, 2, both_directions=both)
    assert cost.pairs == len(stored)
    assert cost.associative_norm == pytest.approx(np.linalg.norm(dense), rel=EXACT)
    # Any other orthonormal phi: the same scores and the same norm.
    rotation = np.linalg.qr(np.random.default_rng(0).standard_normal((graph.n, graph.n)))[0]
    weight = sum((np.outer(rotation[u], rotation[v]) for u, v in stored), np.zeros((graph.n, graph.n)))
    assert np.allclose(rotation @ weight @ rotation.T, dense, rtol=0, atol=EXACT)
    assert np.linalg.norm(weight) == pytest.approx(math.sqrt(len(stored)), rel=EXACT)


def test_a_self_loop_is_one_pair():
    graph = loop_graph()
    assert associative_matrix(graph).nnz == 7
    assert associative_matrix(graph, both_directions=False).nnz == 4
    assert set(np.unique(associative_matrix(graph).data)) == {1.0}
    assert np.array_equal(associative_matrix(graph, both_directions=False).toarray().nonzero()[0], [0, 1, 2, 2])


@pytest.mark.parametrize("word", ALL)
def test_the_incidence_code(word):
    graph = parse(word)
    code = incidence_code(graph)
    assert code.shape == (graph.n, graph.edge_count)
    dense, edges = code.toarray(), edge_list(graph)
    expected = np.zeros(dense.shape)
    for e, (i, j) in enumerate(edges):
        expected[i, e] = expected[j, e] = 1
    assert np.array_equal(dense, expected)
    assert_stores(dense, graph, 0)
    for i in range(graph.n):
        assert dense[i] @ dense[i] == sum(i in edge for edge in edges)
    assert (dense**2).sum() == 2 * len(edges)


def test_the_incidence_code_with_a_self_loop():
    graph = loop_graph()
    dense = incidence_code(graph).toarray()
    assert dense.shape == (4, 4)
    assert_stores(dense, graph, 0)
    assert np.array_equal(np.diag(dense @ dense.T), [1, 2, 3, 1])
    assert (dense**2).sum() == 7


@pytest.mark.parametrize("word", ALL)
def test_the_shifted_adjacency_code(word):
    graph = parse(word)
    code, a = shifted_adjacency_code(graph), graph.adjacency.toarray()
    values = np.linalg.eigvalsh(a)
    multiplicity = int((values - values[0] < 1e-8).sum())
    assert code.shape == (graph.n, graph.n - multiplicity)
    assert np.linalg.matrix_rank(code, tol=1e-6) == code.shape[1] < graph.n
    gram = code @ code.T
    for i, j in itertools.product(range(graph.n), repeat=2):
        assert gram[i, j] == pytest.approx(a[i, j] - (values[0] if i == j else 0), abs=SOLVED * max(1, a.max()))
    if a.max() == 1:
        assert_stores(code, graph, SOLVED)
        assert (np.diag(gram) >= 1 - SOLVED).all()  # a node's largest score is its own
    assert (code**2).sum() == pytest.approx(-graph.n * values[0], rel=1e-9)


@pytest.mark.parametrize(
    ("word", "dimension"),
    # The least eigenvalue: Petersen -2 four times, cube -4 and cycle:8 -2 once, cycle:15 twice, K5 -1 and H(2, 3) -2
    # four times.
    [("petersen", 6), ("hypercube:4", 15), ("cycle:8", 7), ("cycle:15", 13), ("hamming:1,5", 1), ("hamming:2,3", 5)],
)
def test_dimensions_of_known_graphs(word, dimension):
    graph = parse(word)
    assert shifted_adjacency_code(graph).shape == (graph.n, dimension)
    assert dimension < graph.edge_count  # |E| dimensions are enough, not necessary


def test_the_shifted_code_keeps_weights_and_loops():
    graph = loop_graph()
    code, a = shifted_adjacency_code(graph), graph.adjacency.toarray()
    low = eigenspaces(a).eigenvalues[0]
    assert np.allclose(code @ code.T, a - low * np.eye(4), rtol=0, atol=SOLVED)
    empty = from_networkx(nx.empty_graph(3))
    assert shifted_adjacency_code(empty).shape == (3, 0)
    assert incidence_code(empty).shape == (3, 0)
    assert associative_matrix(empty).nnz == 0
    assert geometric_norm_bound(empty) == 0


@pytest.mark.parametrize(("arms", "length"), [(1, 2), (1, 7), (5, 2), (4, 5), (7, 3)])
def test_the_path_star_code_puts_edges_at_distance_one(arms, length):
    graph = parse(f"path-star:{arms}x{length}")
    code = path_star_code(arms, length)
    assert code.shape == (graph.n, arms)
    assert code.dtype == np.int64
    assert set(np.unique(code)) == set(range(length))  # l levels
    edges = set(edge_list(graph))
    for i in range(graph.n):
        for j in range(i + 1, graph.n):
            squared = sum(int(x - y) ** 2 for x, y in zip(code[i], code[j], strict=True))
            assert (squared == 1) == ((i, j) in edges)
            assert squared == 1 or squared >= 2
    cost = path_star_storage(arms, length)
    assert (cost.nodes, cost.pairs) == (graph.n, graph.edge_count)
    # The bits of this very array, entry by entry.
    assert cost.geometric_bits == pytest.approx(sum(math.log2(length) for _ in code.ravel()), rel=EXACT)


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize(("nodes", "edges"), [(2, 1), (3, 2), (4, 3), (5, 3)])
def test_associative_bits_count_the_tables(nodes, edges, both):
    pairs = (2 if both else 1) * edges
    tables = sum(1 for _ in itertools.product(range(nodes), repeat=pairs))
    assert associative_bits(nodes, edges, both_directions=both) == pytest.approx(math.log2(tables), rel=EXACT)


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize(("nodes", "dimension", "levels"), [(2, 1, 3), (3, 2, 2), (2, 2, 4), (3, 1, 1)])
def test_geometric_bits_count_the_codes(nodes, dimension, levels, tied):
    entries = nodes * dimension * (1 if tied else 2)
    codes = sum(1 for _ in itertools.product(range(levels), repeat=entries))
    assert geometric_bits(nodes, dimension, levels, tied=tied) == pytest.approx(math.log2(codes), abs=EXACT)


@pytest.mark.parametrize(("arms", "length"), [(4, 5), (16, 4), (5000, 5)])
def test_path_star_counts_by_hand(arms, length):
    nodes, edges = arms * (length - 1) + 1, arms * (length - 1)
    plain = path_star_storage(arms, length)
    assert plain == StorageCost(
        nodes=nodes,
        pairs=edges,
        associative_bits=edges * math.log2(nodes),
        geometric_bits=nodes * arms * math.log2(length),
        associative_norm=math.sqrt(edges),
        geometric_norm=math.sqrt(nodes),
    )
    squeezed = path_star_storage(arms, length, compressed=True, both_directions=True, tied=False)
    assert squeezed.geometric_bits == pytest.approx(2 * nodes * math.log2(arms) * math.log2(length), rel=EXACT)
    assert squeezed.associative_bits == pytest.approx(2 * plain.associative_bits, rel=EXACT)
    assert squeezed.associative_norm == pytest.approx(math.sqrt(2 * edges), rel=EXACT)
    assert squeezed.geometric_norm == pytest.approx(math.sqrt(2 * nodes), rel=EXACT)
    # Associative bits are |V| (log d + log l) up to lower order: n = d l (1 - 1/l) + 1.
    order = nodes * (math.log2(arms) + math.log2(length))
    assert abs(plain.associative_bits / order - 1) < 1.5 / length
    assert plain.bits_ratio == pytest.approx(plain.associative_bits / plain.geometric_bits, rel=EXACT)
    assert plain.norm_ratio == pytest.approx(math.sqrt(edges / nodes), rel=EXACT)


def test_cycle_counts_by_hand():
    cost = cycle_storage(16)
    assert cost == StorageCost(16, 16, 16 * 4.0, 2 * 16 * 3.0, 4.0, 4.0)
    both = cycle_storage(16, both_directions=True, tied=False)
    assert both == StorageCost(16, 32, 128.0, 192.0, pytest.approx(math.sqrt(32)), pytest.approx(math.sqrt(32)))


@pytest.mark.parametrize("cost", [path_star_storage, cycle_storage])
def test_norms_are_equal_or_within_a_factor_of_two(cost):
    """Proposition 1: equal untied or for one direction only (path-star: up to the root), else sqrt(2) apart."""
    args = (50, 6) if cost is path_star_storage else (51,)
    assert cost(*args).norm_ratio == pytest.approx(1, abs=3e-3)
    assert cost(*args, both_directions=True, tied=False).norm_ratio == pytest.approx(1, abs=3e-3)
    assert cost(*args, both_directions=True).norm_ratio == pytest.approx(math.sqrt(2), abs=3e-3)


def test_a_code_without_levels_needs_no_bits():
    assert storage_cost(3, 2, 1, 1).bits_ratio == math.inf


def edge_cover(graph):
    """The least fractional edge cover of the nodes with a neighbour, by linear programming."""
    edges = [(i, j) for i, j in edge_list(graph) if i != j]
    covered = sorted({node for edge in edges for node in edge})
    touch = np.array([[-1.0 * (node in edge) for edge in edges] for node in covered])
    return linprog(np.ones(len(edges)), A_ub=touch, b_ub=-np.ones(len(covered))).fun


def matching(graph):
    edges = [(i, j) for i, j in edge_list(graph) if i != j]
    touch = np.array([[1.0 * (node in edge) for edge in edges] for node in range(graph.n)])
    return -linprog(-np.ones(len(edges)), A_ub=touch, b_ub=np.ones(graph.n)).fun


@pytest.mark.parametrize("graph", [*map(parse, ALL), loop_graph()], ids=[*ALL, "loop"])
def test_the_norm_bound_is_twice_the_fractional_edge_cover(graph):
    bound = geometric_norm_bound(graph)
    assert bound**2 == pytest.approx(2 * edge_cover(graph), rel=1e-9)
    assert bound**2 >= graph.n - 1e-9  # the paper's, with every node in an edge
    assert geometric_norm_bound(graph, tied=False) ** 2 == pytest.approx(4 * matching(graph), rel=1e-9)


@pytest.mark.parametrize("word", ALL)
def test_no_code_is_below_the_bound(word):
    graph = parse(word)
    if graph.adjacency.max() == 1:
        bound = geometric_norm_bound(graph)
        assert np.linalg.norm(incidence_code(graph).toarray()) >= bound - EXACT
        assert np.linalg.norm(shifted_adjacency_code(graph)) >= bound - SOLVED
        # Untied: the balanced factors of A, of norm^2 twice the nuclear norm.
        values = np.linalg.svd(graph.adjacency.toarray(), compute_uv=False)
        assert 2 * values.sum() >= geometric_norm_bound(graph, tied=False) ** 2 - SOLVED


@pytest.mark.parametrize(("arms", "length"), [(4, 5), (4, 4), (5, 2), (3, 6), (6, 3), (1, 6)])
def test_the_bound_of_path_stars_by_hand(arms, length):
    graph = parse(f"path-star:{arms}x{length}")
    # Arms of an even number of nodes match within themselves and miss the root; odd ones miss all but one of the arms.
    missed = 1 if (length - 1) % 2 == 0 else arms - 1
    assert geometric_norm_bound(graph) ** 2 == pytest.approx(graph.n + missed, rel=EXACT)
    assert geometric_norm_bound(graph, tied=False) ** 2 == pytest.approx(2 * (graph.n - missed), rel=EXACT)


def least_norm(graph, *, tied):
    """The least ||phi||_F^2 found by SLSQP with one inequality a pair, from several starts: an upper bound."""
    n = graph.n
    edges = {(i, j) for i, j in edge_list(graph)} | {(j, i) for i, j in edge_list(graph)}
    pairs = [(i, j) for i in range(n) for j in range(n) if i != j and (not tied or i < j)]
    sign = np.array([1.0 if pair in edges else -1.0 for pair in pairs])
    offset = np.array([-1.0 if pair in edges else 0.0 for pair in pairs])
    rows, columns = (np.array(part) for part in zip(*pairs, strict=True))

    def split(x):
        v = x[: n * n].reshape(n, n)
        return v, v if tied else x[n * n :].reshape(n, n)

    def slack(x):
        v, u = split(x)
        return sign * (v[rows] * u[columns]).sum(axis=1) + offset

    def slope(x):
        v, u = split(x)
        jacobian = np.zeros((len(pairs), len(x)))
        for k, (i, j) in enumerate(pairs):
            jacobian[k, i * n : (i + 1) * n] += sign[k] * u[j]
            start = (0 if tied else n * n) + j * n
            jacobian[k, start : start + n] += sign[k] * v[i]
        return jacobian

    rng = np.random.default_rng(7)
    best = math.inf
    for _ in range(4):
        found = minimize(
            lambda x: x @ x,
            rng.standard_normal(n * n * (1 if tied else 2)),
            jac=lambda x: 2 * x,
            constraints={"type": "ineq", "fun": slack, "jac": slope},
            method="SLSQP",
            options={"maxiter": 300, "ftol": 1e-12},
        )
        if found.success and slack(found.x).min() > -1e-7:
            best = min(best, found.fun)
    return best


@pytest.mark.parametrize(
    ("edges", "attained"),
    [
        ([(0, 1), (0, 2), (0, 3)], True),  # a star: 2 s
        ([(0, 1), (0, 2), (0, 3), (0, 4)], True),
        ([(0, 1), (2, 3)], True),
        ([(0, 1), (1, 2), (0, 2)], True),  # complete
        ([(0, 1), (1, 2), (2, 3)], False),
        ([(0, 1), (1, 2), (0, 2), (2, 3)], False),  # a triangle with a tail
        ([(0, 1), (1, 2), (2, 3), (3, 4), (4, 0)], False),
        ([(0, 1), (1, 2), (0, 2), (1, 3), (2, 4)], False),  # the bull
    ],
)
def test_the_bound_holds_for_the_best_code_found(edges, attained):
    graph = from_networkx(nx.Graph(edges))
    found, bound = least_norm(graph, tied=True), geometric_norm_bound(graph) ** 2
    assert math.isfinite(found)
    assert found >= bound - 1e-6
    assert (found <= bound + 1e-4) == attained


def test_untied_positions_of_a_star_need_less_than_two_a_node():
    """The untied sqrt(2 |V|) needs a graph that cycles and edges can cover; four leaves need 4 sqrt(4), not 2 * 5."""
    graph = from_networkx(nx.star_graph(4))
    v, u = np.zeros((5, 2)), np.zeros((5, 2))
    v[0, 0], u[1:, 0], u[0, 1], v[1:, 1] = 2**0.5, 2**-0.5, 2**0.5, 2**-0.5
    scores = v @ u.T
    for i, j in itertools.product(range(5), repeat=2):
        if i != j:
            assert scores[i, j] == pytest.approx(1 if 0 in (i, j) else 0, abs=EXACT)
    norm = (v**2).sum() + (u**2).sum()
    assert norm == pytest.approx(8, rel=EXACT)
    assert geometric_norm_bound(graph, tied=False) ** 2 <= norm < 2 * 5
    assert least_norm(graph, tied=False) >= geometric_norm_bound(graph, tied=False) ** 2 - 1e-6
    pair = from_networkx(nx.path_graph(2))
    assert least_norm(pair, tied=False) == pytest.approx(geometric_norm_bound(pair, tied=False) ** 2, abs=1e-5)


def test_node_order_does_not_matter():
    graph = nx.lollipop_graph(4, 3)
    moved = nx.Graph()
    moved.add_nodes_from(reversed(list(graph)))
    moved.add_edges_from(graph.edges)
    one, other = from_networkx(graph), from_networkx(moved)
    flip = np.arange(one.n)[::-1]
    for tied in (True, False):
        assert geometric_norm_bound(one, tied=tied) == geometric_norm_bound(other, tied=tied)
    for build in (shifted_adjacency_code, lambda g: incidence_code(g).toarray()):
        x, y = build(one), build(other)
        assert np.allclose((x @ x.T)[np.ix_(flip, flip)], y @ y.T, rtol=0, atol=SOLVED)


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda: associative_bits(0, 1), ValueError, "nodes must be at least 1; got 0"),
        (lambda: associative_bits(2, -1), ValueError, "edges must be at least 0"),
        (lambda: associative_bits(2.0, 1), TypeError, r"nodes must be a whole number; got 2\.0"),
        (lambda: associative_bits(True, 1), TypeError, "nodes"),
        (lambda: geometric_bits(3, -1, 2), ValueError, "dimension"),
        (lambda: geometric_bits(3, math.inf, 2), ValueError, "dimension"),
        (lambda: geometric_bits(3, 1, 0.5), ValueError, "levels"),
        (lambda: geometric_bits(3, 1, math.nan), ValueError, "levels"),
        (lambda: cycle_storage(2), ValueError, "nodes must be at least 3"),
        (lambda: path_star_storage(0, 3), ValueError, "arms must be at least 1"),
        (lambda: path_star_storage(1, 3, compressed=True), ValueError, "arms must be at least 2"),
        (lambda: path_star_storage(3, 1), ValueError, "length must be at least 2"),
        (lambda: path_star_code(3, 1), ValueError, "length"),
        (lambda: path_star_code(3, 2.5), TypeError, "length"),
    ],
)
def test_bad_counts_are_refused(build, error, message):
    with pytest.raises(error, match=message):
        build()
