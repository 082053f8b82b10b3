import itertools
import math
import random

import networkx as nx
import numpy as np
import pytest
import scipy.sparse as sp

from cases import ALL, BIPARTITE
from fiedler.theory import from_networkx, from_sparse, parse, tied_optimum
from fiedler.theory.targets import walks
from fiedler.theory.targets.walks import co_occurrence, node2vec_target, second_order_chain, window_target

EXACT = 1e-13  # sums of a few hundred products
SOLVED = 1e-11  # a linear solve with a condition number of a few thousand
PQ = [(1.0, 1.0), (0.25, 4.0), (4.0, 0.25), (3.0, 1.0), (1.0, 0.5)]
MIDDLE = tuple(word for word in ALL if word not in ("les-miserables", "davis"))


def weighted_graph():
    """A triangle with a tail, a self-loop and unequal weights."""
    graph = nx.Graph()
    graph.add_weighted_edges_from(
        [("a", "b", 2.0), ("b", "c", 1.0), ("c", "a", 0.5), ("c", "c", 3.0), ("c", "d", 4.0), ("d", "e", 0.25)]
    )
    return from_networkx(graph)


def weighted_pieces():
    """Two components of unequal weight a directed edge, and a node with only a loop."""
    graph = nx.Graph()
    graph.add_weighted_edges_from(
        [("a", "b", 5.0), ("b", "c", 1.0), ("c", "a", 2.0), ("d", "e", 0.5), ("e", "f", 0.1), ("g", "g", 3.0)]
    )
    return from_networkx(graph)


def lollipop():
    return from_networkx(nx.lollipop_graph(4, 3))


def neighbours(graph):
    """{u: {v: weight}} from a plain loop over the dense matrix."""
    a = graph.adjacency.toarray()
    return {u: {v: float(a[u, v]) for v in range(graph.n) if a[u, v] > 0} for u in range(graph.n)}


def alias_probabilities(graph, p, q):
    """Grover and Leskovec's get_alias_edge in plain Python: {(t, v): {x: probability}}."""
    near = neighbours(graph)
    table = {}
    for t in near:
        for v in near[t]:
            unnormalised = {}
            for x, weight in near[v].items():
                if x == t:
                    unnormalised[x] = weight / p
                elif t in near[x]:
                    unnormalised[x] = weight
                else:
                    unnormalised[x] = weight / q
            total = math.fsum(unnormalised.values())
            table[t, v] = {x: value / total for x, value in unnormalised.items()}
    return table


def long_run_law(graph, p, q):
    """The stationary law by iterating the lazy walk (half the time it stays: no period), component by component."""
    near, table = neighbours(graph), alias_probabilities(graph, p, q)
    # Started at the edge weights, each component keeps its share of them.
    total = math.fsum(w for row in near.values() for w in row.values())
    law = {(t, v): near[t][v] / total for t, v in table}
    for _ in range(20000):
        new = {edge: mass / 2 for edge, mass in law.items()}
        for (t, v), mass in law.items():
            for x, probability in table[t, v].items():
                new[v, x] += mass * probability / 2
        change = max(abs(new[edge] - law[edge]) for edge in law)
        law = new
        if change < 1e-16:
            break
    return law


def enumerated_joint(graph, p, q, window, side):
    """Every walk of up to ``window`` steps with its probability, counted as (centre, context) pairs."""
    table, law = alias_probabilities(graph, p, q), long_run_law(graph, p, q)
    joint = np.zeros((graph.n, graph.n))

    def extend(walk, probability):
        joint[walk[0], walk[-1]] += probability
        if side == "both":
            joint[walk[-1], walk[0]] += probability
        if len(walk) <= window:
            for x, step in table[walk[-2], walk[-1]].items():
                extend([*walk, x], probability * step)

    for (t, v), mass in law.items():
        extend([t, v], mass)
    return joint


def rows_to_one(matrix):
    return matrix / matrix.sum(axis=1, keepdims=True)


@pytest.mark.parametrize(("p", "q"), PQ)
@pytest.mark.parametrize("word", MIDDLE)
def test_the_chain_has_the_textbook_probabilities(word, p, q):
    graph = parse(word)
    assert_chain(graph, p, q)


@pytest.mark.parametrize(("p", "q"), PQ)
def test_the_chain_of_a_weighted_graph_with_a_loop(p, q):
    graph = weighted_graph()
    assert_chain(graph, p, q)
    # By hand: from a -> c (weights: a .5, b 1, c 3, d 4) back costs 1/p, b and c are near a, d is not.
    chain = second_order_chain(graph, p, q)
    k = edge_index(chain)
    rates = {("c", "a"): 0.5 / p, ("c", "b"): 1.0, ("c", "c"): 3.0, ("c", "d"): 4.0 / q}
    node = {name: i for i, name in enumerate(graph.nodes)}
    for (u, v), rate in rates.items():
        found = chain.transition[k[node["a"], node["c"]], k[node[u], node[v]]]
        assert found == pytest.approx(rate / sum(rates.values()), rel=EXACT)


def edge_index(chain):
    return {(int(t), int(v)): k for k, (t, v) in enumerate(zip(chain.tails, chain.heads, strict=True))}


def assert_chain(graph, p, q):
    chain = second_order_chain(graph, p, q)
    table, index = alias_probabilities(graph, p, q), edge_index(chain)
    assert set(index) == set(table)
    assert list(index) == sorted(index)
    expected = np.zeros((len(index), len(index)))
    for (t, v), row in table.items():
        for x, probability in row.items():
            expected[index[t, v], index[v, x]] = probability
    assert chain.transition.nnz == np.count_nonzero(expected)
    assert np.allclose(chain.transition.toarray(), expected, rtol=0, atol=EXACT)
    assert np.array_equal(chain.weights, [graph.adjacency[t, v] for t, v in index])


@pytest.mark.parametrize(("p", "q"), [(0.25, 4.0), (4.0, 0.25)])
@pytest.mark.parametrize("graph", [weighted_graph(), weighted_pieces(), parse("irregular"), parse("grid:2x3x4")])
def test_the_stationary_law_is_the_long_run_of_the_walk(graph, p, q):
    chain, expected = second_order_chain(graph, p, q), long_run_law(graph, p, q)
    index = edge_index(chain)
    law = np.array([expected[edge] for edge in index])
    assert np.allclose(chain.stationary, law, rtol=0, atol=SOLVED)
    assert chain.stationary.min() > 0
    nodes = np.zeros(graph.n)
    for (t, _), mass in expected.items():
        nodes[t] += mass
    assert np.allclose(chain.node_law, nodes, rtol=0, atol=SOLVED)


@pytest.mark.parametrize(("p", "q"), PQ)
@pytest.mark.parametrize("word", ALL)
def test_the_stationary_law_is_stationary(word, p, q):
    graph = parse(word)
    chain = second_order_chain(graph, p, q)
    law = chain.stationary
    assert law.sum() == pytest.approx(1, abs=EXACT)
    assert np.abs(law @ chain.transition - law).max() < SOLVED
    # What enters a node leaves it.
    entering = np.bincount(chain.heads, law, minlength=graph.n)
    assert np.allclose(entering, chain.node_law, rtol=0, atol=SOLVED)
    # Each component keeps its share of the total weight.
    share = np.bincount(graph.component_labels, graph.degrees) / graph.degrees.sum()
    assert np.allclose(np.bincount(graph.component_labels, chain.node_law), share, rtol=0, atol=SOLVED)
    if p == q == 1:
        assert np.allclose(law, chain.weights / chain.weights.sum(), rtol=0, atol=SOLVED)


@pytest.mark.parametrize("side", ["both", "forward"])
@pytest.mark.parametrize("window", [1, 2, 4])
@pytest.mark.parametrize("graph", [weighted_graph(), weighted_pieces(), parse("irregular"), lollipop()])
def test_node2vec_counts_all_walks(graph, window, side):
    for p, q in [(0.25, 4.0), (4.0, 0.5)]:
        expected = enumerated_joint(graph, p, q, window, side)
        found = node2vec_target(graph, p, q, window, side=side)
        assert np.allclose(found, rows_to_one(expected), rtol=0, atol=SOLVED)
        joint = co_occurrence(second_order_chain(graph, p, q), window, side=side)
        assert np.allclose(joint, expected / expected.sum(), rtol=0, atol=SOLVED)


@pytest.mark.parametrize("self_edges", [False, True])
@pytest.mark.parametrize("window", [1, 2, 7])
@pytest.mark.parametrize("graph", [*map(parse, MIDDLE), weighted_graph()], ids=[*MIDDLE, "weighted"])
def test_p_and_q_of_one_give_the_window_target(graph, window, self_edges):
    expected = window_target(graph, window, self_edges=self_edges, label_smoothing=0.1)
    for side in ("both", "forward"):
        found = node2vec_target(graph, 1, 1, window, side=side, self_edges=self_edges, label_smoothing=0.1)
        assert np.allclose(found, expected, rtol=0, atol=SOLVED)


def test_the_sides_differ_for_a_second_order_walk():
    graph = parse("karate")
    both, forward = (node2vec_target(graph, 0.25, 4, 2, side=side) for side in ("both", "forward"))
    assert np.abs(both - forward).max() > 1e-4
    chain = second_order_chain(graph, 0.25, 4)
    flow = chain.node_law[:, None] * both
    assert np.allclose(flow, flow.T, rtol=0, atol=SOLVED)
    assert np.allclose(
        flow, (chain.node_law[:, None] * forward + (chain.node_law[:, None] * forward).T) / 2, atol=SOLVED
    )


@pytest.mark.parametrize(("p", "q", "seed"), [(0.25, 4.0, 1), (4.0, 0.25, 2)])
def test_simulated_walks_agree(p, q, seed):
    """One walk of 64 batches of 2,500 steps after a start of 500. The tolerance of each entry is five standard errors,
    from the spread of the 64 batch means (five: the largest of some hundred entries of a t-distribution with 63
    degrees of freedom passes with probability above 0.999), and these errors must be small enough to tell."""
    graph, window, batches, length = lollipop(), 2, 64, 2500
    table = {
        edge: (list(row), list(itertools.accumulate(row.values())))
        for edge, row in alias_probabilities(graph, p, q).items()
    }
    rng = random.Random(seed)
    edge = (0, 1)
    walk = []
    for _ in range(batches * length + 500 + window):
        nodes, cumulative = table[edge]
        edge = (edge[1], rng.choices(nodes, cum_weights=cumulative)[0])
        walk.append(edge[1])
    walk = np.array(walk[500:])
    joint = np.zeros((batches, graph.n, graph.n))
    for r in range(1, window + 1):
        for b in range(batches):
            start = b * length
            centres, contexts = walk[start : start + length], walk[start + r : start + r + length]
            np.add.at(joint[b], (centres, contexts), 1 / (2 * window * length))
            np.add.at(joint[b], (contexts, centres), 1 / (2 * window * length))
    exact = co_occurrence(second_order_chain(graph, p, q), window)
    error = joint.std(axis=0, ddof=1) / math.sqrt(batches)
    assert error.max() < 4e-3  # the entries are of order 0.05
    assert (np.abs(joint.mean(axis=0) - exact) <= 5 * error + 1e-15).all()
    # The test can tell: p = q = 1 is many standard errors away.
    first_order = co_occurrence(second_order_chain(graph, 1, 1), window)
    assert (np.abs(joint.mean(axis=0) - first_order) > 10 * error + 1e-15).any()


@pytest.mark.parametrize("side", ["both", "forward"])
def test_a_large_p_never_turns_back_on_a_cycle(side):
    graph, window = parse("cycle:15"), 4
    expected = np.zeros((15, 15))
    for i, r in itertools.product(range(15), range(1, window + 1)):
        expected[i, (i + r) % 15] += 1 / (2 * window)
        expected[i, (i - r) % 15] += 1 / (2 * window)
    assert np.allclose(node2vec_target(graph, 1e6, 1, window, side=side), expected, rtol=0, atol=2e-6 * window)


def test_a_small_p_goes_back_and_forth():
    graph = weighted_graph()
    first, second = (node2vec_target(graph, 1e-6, 1, w, side="forward") for w in (1, 2))
    assert np.allclose(2 * second - first, np.eye(graph.n), rtol=0, atol=1e-4)  # two steps end where they began


def test_a_large_q_on_a_tree_is_a_small_p():
    """No triangles: every step is back (1/p) or away (1/q), so only p / q counts."""
    graph = parse("tree:3,2")
    assert np.allclose(node2vec_target(graph, 1, 1e3, 3), node2vec_target(graph, 1e-3, 1, 3), rtol=0, atol=SOLVED)
    far = node2vec_target(graph, 1, 1e6, 2, side="forward")
    near = node2vec_target(graph, 1, 1e6, 1, side="forward")
    assert np.allclose(2 * far - near, np.eye(graph.n), rtol=0, atol=1e-4)


def test_q_does_not_matter_where_all_nodes_are_adjacent():
    graph = parse("hamming:1,5")
    assert np.allclose(node2vec_target(graph, 2, 1e5, 3), node2vec_target(graph, 2, 1e-5, 3), rtol=0, atol=SOLVED)


def test_a_large_q_stays_in_the_clique():
    """From clique to handle costs 1/q, unless it was entered there: the share of handle contexts vanishes as 1/q."""
    graph = lollipop()
    chain = second_order_chain(graph, 1, 1e4)
    inside, outside = edge_index(chain)[0, 3], edge_index(chain)[3, 4]
    assert chain.transition[inside, outside] == pytest.approx(1e-4 / 3, rel=1e-3)


@pytest.mark.parametrize("graph", [weighted_graph(), parse("karate"), parse("irregular")], ids=["w", "karate", "irr"])
def test_node_order_does_not_matter(graph):
    order = np.random.default_rng(3).permutation(graph.n)
    moved = from_sparse(sp.csr_array(graph.adjacency.toarray()[np.ix_(order, order)]))
    for build in (lambda g: window_target(g, 3), lambda g: node2vec_target(g, 0.5, 2, 3)):
        assert np.allclose(build(moved), build(graph)[np.ix_(order, order)], rtol=0, atol=SOLVED)
    chain, other = second_order_chain(graph, 0.5, 2), second_order_chain(moved, 0.5, 2)
    assert np.allclose(other.node_law, chain.node_law[order], rtol=0, atol=SOLVED)


@pytest.mark.parametrize("side", ["both", "forward"])
@pytest.mark.parametrize("word", ALL)
def test_rows_are_probabilities(word, side):
    graph = parse(word)
    for self_edges in (False, True):
        target = node2vec_target(graph, 0.5, 2, 3, side=side, self_edges=self_edges, label_smoothing=0.05)
        assert target.shape == (graph.n, graph.n)
        assert target.min() >= 0
        assert np.allclose(target.sum(axis=1), 1, rtol=0, atol=EXACT)


@pytest.mark.parametrize("word", BIPARTITE)
def test_an_odd_window_step_changes_sides_on_a_bipartite_graph(word):
    graph = parse(word)
    colour = nx.bipartite.color(graph.to_networkx())
    sides = np.array([colour[node] for node in graph.nodes])
    target = node2vec_target(graph, 0.5, 2, 1)
    assert (target[sides[:, None] == sides[None]] == 0).all()


def test_components_do_not_mix_and_do_not_matter():
    graph = parse("irregular")
    target = node2vec_target(graph, 0.5, 4, 3)
    other = graph.component_labels[:, None] != graph.component_labels[None]
    assert (target[other] == 0).all()
    nodes = np.flatnonzero(graph.component_labels == 0)
    alone = from_sparse(sp.csr_array(graph.adjacency.toarray()[np.ix_(nodes, nodes)]))
    assert np.allclose(node2vec_target(alone, 0.5, 4, 3), target[np.ix_(nodes, nodes)], rtol=0, atol=SOLVED)


def test_isolated_nodes_need_self_edges():
    source = nx.Graph([("a", "b")])
    source.add_node("hermit")
    graph = from_networkx(source)
    for build in (lambda **k: window_target(graph, 2, **k), lambda **k: node2vec_target(graph, 1, 2, 2, **k)):
        with pytest.raises(ValueError, match=r"hermit.*self-edges"):
            build()
        assert np.array_equal(build(self_edges=True)[2], [0, 0, 1])
    with pytest.raises(ValueError, match="hermit"):
        second_order_chain(graph, 1, 2)


def test_the_target_has_an_optimum():
    target = node2vec_target(parse("cycle:8"), 0.5, 2, 2)
    assert tied_optimum(target).certificate.max_violation < 1e-6


@pytest.mark.parametrize(("bad", "error"), [(0, ValueError), (-1, ValueError), (1.5, TypeError), (True, TypeError)])
def test_a_bad_window_is_refused(bad, error):
    graph = parse("cycle:5")
    for build in (
        lambda: window_target(graph, bad),
        lambda: node2vec_target(graph, 1, 1, bad),
        lambda: co_occurrence(second_order_chain(graph, 1, 1), bad),
    ):
        with pytest.raises(error, match="window"):
            build()


@pytest.mark.parametrize(
    ("bad", "error"), [(0, ValueError), (-2, ValueError), (np.inf, ValueError), (np.nan, ValueError), ("1", TypeError)]
)
def test_bad_walk_parameters_are_refused(bad, error):
    graph = parse("cycle:5")
    with pytest.raises(error, match=r"^p must"):
        node2vec_target(graph, bad, 1)
    with pytest.raises(error, match=r"^q must"):
        second_order_chain(graph, 1, bad)


def test_other_bad_arguments_are_refused(monkeypatch):
    graph = parse("cycle:5")
    with pytest.raises(ValueError, match="side 'left'"):
        node2vec_target(graph, 1, 1, side="left")
    for build in (
        lambda: window_target(graph, 2, label_smoothing=1.0),
        lambda: node2vec_target(graph, 1, 1, label_smoothing=-0.1),
        lambda: node2vec_target(graph, 1, 1, label_smoothing=np.nan),
    ):
        with pytest.raises(ValueError, match="label_smoothing"):
            build()
    monkeypatch.setattr(walks, "CHAIN_LIMIT", 19)
    with pytest.raises(ValueError, match=r"20 pairs of consecutive edges \(limit 19\).*window_target"):
        second_order_chain(graph, 1, 1)


@pytest.mark.parametrize(("p", "q"), [(1e12, 1e-12), (1e-12, 1e12), (1e100, 1e-100)])
def test_a_law_lost_to_rounding_is_refused(p, q):
    with pytest.raises(ValueError, match="closer to one"):
        _ = second_order_chain(parse("cycle:15"), p, q).stationary


def test_a_window_that_would_never_end_is_refused():
    with pytest.raises(ValueError, match="window must be at most 100000; got 1000000000000"):
        window_target(parse("cycle:5"), 10**12)


def test_a_graph_too_large_for_a_dense_target_is_refused():
    with pytest.raises(ValueError, match="the dense target would hold"):
        window_target(parse("cycle:100000"), 2)
