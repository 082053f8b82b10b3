"""Lines of one direction, their weights, and the optima under weights that may be zero, against independent solvers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import logsumexp, softmax

from fiedler.theory import (
    as_graph,
    cross_entropy,
    early_modes,
    edge_margin,
    geometric_level,
    laplacian_eigenspaces,
    one_hop_target,
    one_way_arcs,
    one_way_target,
    parse,
    residual,
    target_decay_thresholds,
    target_entropy,
    target_flow,
    target_growth_rates,
    target_optimum,
    tied_descent,
    tied_flow,
    tied_optimum,
    untied_flow,
    untied_optimum,
)

TINY = ("path-star:4x5", "grid:4x4", "cycle:15", "irregular")
ROUNDED = 5e-5  # of the paper's figures, printed with four decimals
EXACT = 1e-13  # a few sums of numbers of order one
CERTIFIED = 1e-7  # what certificates promise, per node
ORACLE = 1e-6  # of the objective: what L-BFGS over a full-width factor leaves
SOLVED = 1e-5  # of a Gram matrix, relative: two certified solutions of one problem
FLOWS = 1e-7  # of an embedding, relative: the integrator's tolerance along the way


def relative(a: Any, b: Any) -> float:
    return float(np.abs(np.asarray(a) - b).max() / np.abs(b).max())


# Lines.


@pytest.mark.parametrize(
    ("word", "floor", "share"),
    list(zip(TINY, (0.3466, 0.5199, 0.0, 0.4421), (0.8125, 0.625, 1.0, 0.70), strict=True)),
)
def test_forward_lines_are_those_of_the_paper(word: str, floor: float, share: float) -> None:
    """Printed by its release: the entropy floor of the loss per line, and nodes with a line over lines (the largest
    top-1 accuracy there can be)."""
    graph = parse(word)
    target, weight = one_way_target(graph, weights="line")
    assert target_entropy(target, weight) / weight.sum() == pytest.approx(floor, abs=ROUNDED)
    arcs = one_way_arcs(graph)
    assert (weight > 0).sum() / arcs.nnz == pytest.approx(share, abs=EXACT)


@pytest.mark.parametrize("word", [*TINY, "torus:3x4", "hypercube:3", "tree-star:3x3", "karate"])
def test_the_two_directions_are_transposes_and_add_up(word: str) -> None:
    graph = parse(word)
    forward, backward = (one_way_arcs(graph, one).toarray() for one in ("forward", "backward"))
    assert np.array_equal(forward, backward.T)
    assert np.array_equal(forward + backward, graph.adjacency.toarray())
    assert np.array_equal(one_way_arcs(graph, "both").toarray(), graph.adjacency.toarray())


def test_forward_is_away_from_the_root_and_around_cycles() -> None:
    star = one_way_arcs(parse("path-star:2x3")).tocoo()
    assert set(zip(*(axis.tolist() for axis in star.coords), strict=True)) == {(0, 1), (1, 2), (0, 3), (3, 4)}
    assert np.array_equal(one_way_arcs(parse("cycle:6")).toarray(), np.roll(np.eye(6), 1, axis=1))
    assert np.array_equal(np.unique(one_way_arcs(parse("torus:3x5")).sum(axis=1)), [2.0])


def test_weights_of_edges_are_repeated_lines_and_loops_belong_to_both_directions() -> None:
    graph = as_graph(np.array([[0.0, 2.0, 1.0], [2.0, 0.5, 0.0], [1.0, 0.0, 0.0]]))
    target, weight = one_way_target(graph, weights="line")
    assert np.array_equal(target, [[0, 2 / 3, 1 / 3], [0, 1, 0], [1 / 3, 1 / 3, 1 / 3]])
    assert np.allclose(weight, np.array([3.0, 0.5, 0.0]) * 3 / 3.5, rtol=EXACT)
    assert np.array_equal(one_way_target(graph, "backward")[0][1], [0.8, 0.2, 0])


@pytest.mark.parametrize("weights", ["node", "line"])
@pytest.mark.parametrize("direction", ["both", "forward", "backward"])
@pytest.mark.parametrize("word", TINY)
def test_target_and_weights_count_lines(word: str, direction: str, weights: str) -> None:
    graph = parse(word)
    for loops in (False, True):
        lines = one_way_arcs(graph, direction).toarray() + (np.eye(graph.n) if loops else 0.0)
        target, weight = one_way_target(graph, direction, self_edges=loops, label_smoothing=0.1, weights=weights)
        count = lines.sum(axis=1)
        for u in range(graph.n):
            row = lines[u] / count[u] if count[u] else np.full(graph.n, 1 / graph.n)
            assert np.allclose(target[u], 0.9 * row + 0.1 / graph.n, atol=EXACT)
        expected = count * graph.n / count.sum() if weights == "line" else count > 0
        assert np.allclose(weight, expected, atol=EXACT)
    assert (weight > 0).all()  # with self-edges no node is without a line
    plain = one_way_target(graph, "both")
    assert np.array_equal(plain[0], one_hop_target(graph))
    assert np.array_equal(plain[1], np.ones(graph.n))


def test_line_weights_are_the_mean_over_lines() -> None:
    graph = parse("irregular")
    target, weight = one_way_target(graph, weights="line")
    z = np.random.default_rng(0).standard_normal((16, 16))
    u, v = one_way_arcs(graph).tocoo().coords
    mean = (logsumexp(z, axis=1)[u] - z[u, v]).mean()
    assert cross_entropy(z, target, weight) / weight.sum() == pytest.approx(mean, rel=EXACT)


def test_bad_words_and_isolated_nodes() -> None:
    with pytest.raises(ValueError, match="unknown direction 'sideways'; use one of both, forward, backward"):
        one_way_arcs(parse("cycle:5"), "sideways")
    with pytest.raises(ValueError, match="unknown weights 'edge'"):
        one_way_target(parse("cycle:5"), weights="edge")
    with pytest.raises(ValueError, match="isolated node"):
        one_way_target(as_graph(np.array([[0.0, 1, 0], [1, 0, 0], [0, 0, 0]])))


# The loss: directions and weights.


@pytest.mark.parametrize("word", ["cycle:9", "torus:3x4"])
def test_on_regular_graphs_the_directions_average_to_the_undirected_gradient(word: str) -> None:
    graph = parse(word)
    rng = np.random.default_rng(1)
    v = rng.standard_normal((graph.n, 3))
    k = v @ v.T
    ones = np.ones(graph.n)
    forward, backward = (residual(k, one_way_target(graph, one)[0], ones) for one in ("forward", "backward"))
    whole = residual(k, one_hop_target(graph), ones)
    assert np.allclose(forward + backward, 2 * whole, atol=EXACT)
    assert np.allclose(forward + forward.T, whole + whole.T, atol=EXACT)  # what a tied embedding sees


def test_a_row_of_weight_zero_has_no_gradient_and_its_target_means_nothing() -> None:
    target, weight = one_way_target(parse("path-star:4x5"))
    leaves = weight == 0
    assert leaves.sum() == 4
    rng = np.random.default_rng(2)
    z = rng.standard_normal((17, 17))
    assert not residual(z, target, weight)[leaves].any()
    assert residual(z, target, weight)[~leaves].any(axis=1).all()
    other = target.copy()
    other[leaves] = np.eye(17)[leaves]
    options: dict[str, Any] = {"row_weight": weight, "weight_decay": 0.05}
    v = rng.standard_normal((17, 3))
    one, two = (tied_descent(t, v, 0.1, 50, **options).embedding for t in (target, other))
    assert np.array_equal(one, two)
    assert relative(tied_optimum(other, **options).gram, tied_optimum(target, **options).gram) < SOLVED
    losses = [untied_optimum(t, **options).loss for t in (target, other)]
    assert losses[0] == pytest.approx(losses[1], abs=CERTIFIED)
    # Untied, V of such a node only decays: dV/dt = -l V.
    flow = untied_flow(target, v, rng.standard_normal((17, 3)), [1.0], **options)
    assert relative(flow.embedding[0][leaves], np.exp(-0.05) * v[leaves]) < FLOWS


@pytest.mark.parametrize("word", ["path-star:3x4", "grid:3x3"])
def test_scaling_weights_and_decay_changes_the_clock_only(word: str) -> None:
    target, weight = one_way_target(parse(word), weights="line")
    n, c, decay = len(target), 2.5, 0.05
    plain = tied_optimum(target, weight_decay=decay, row_weight=weight)
    scaled = tied_optimum(target, weight_decay=c * decay, row_weight=c * weight)
    assert relative(scaled.gram, plain.gram) < SOLVED
    assert scaled.loss_per_node == pytest.approx(plain.loss_per_node, abs=CERTIFIED)
    start = 0.3 * np.eye(n)
    slow = tied_flow(target, start, [5.0], weight_decay=decay, row_weight=weight).embedding
    fast = tied_flow(target, start, [5.0 / c], weight_decay=c * decay, row_weight=c * weight).embedding
    assert relative(fast, slow) < FLOWS
    rates, faster = (early_modes(target, row_weight=a * weight).rates for a in (1.0, c))
    assert np.allclose(faster, c * rates, atol=EXACT * n)


def test_node_permutations() -> None:
    graph = parse("path-star:3x4")
    target, weight = one_way_target(graph, weights="line")
    order = np.random.default_rng(4).permutation(graph.n)
    moved = target[np.ix_(order, order)]
    one = tied_optimum(target, weight_decay=0.02, row_weight=weight)
    two = tied_optimum(moved, weight_decay=0.02, row_weight=weight[order])
    assert relative(two.gram, one.gram[np.ix_(order, order)]) < SOLVED
    assert two.loss == pytest.approx(one.loss, abs=CERTIFIED)


# Optima.


def by_descent(target: np.ndarray, weight: np.ndarray, decay: float, *, tied: bool) -> float:
    """min L + l ||V||^2 over V (n, n), or L + l/2 (||V||^2 + ||U||^2), by SciPy's L-BFGS from three starts."""
    n = len(target)

    def value(x: np.ndarray) -> tuple[float, np.ndarray]:
        parts = x.reshape(-1, n, n)
        v, u = parts[0], parts[-1]
        z = v @ u.T
        r = weight[:, None] * (target - softmax(z, axis=1))
        size = decay if tied else decay / 2
        loss = weight @ (logsumexp(z, axis=1) - (target * z).sum(axis=1)) + size * (x @ x)
        gradient = -(r + r.T) @ v if tied else -np.stack([r @ u, r.T @ v])
        return float(loss), gradient.ravel() + 2 * size * x

    best = np.inf
    for seed in range(3):
        start = np.random.default_rng(seed).standard_normal((1 if tied else 2) * n * n) / np.sqrt(n)
        options = {"maxiter": 20_000, "maxfun": 40_000, "ftol": 1e-15, "gtol": 1e-9}
        best = min(best, float(minimize(value, start, jac=True, method="L-BFGS-B", options=options).fun))
    return best


@pytest.mark.parametrize("weights", ["node", "line"])
@pytest.mark.parametrize("direction", ["forward", "backward"])
@pytest.mark.parametrize("word", ["path-star:3x3", "grid:3x3", "cycle:7"])
def test_optima_against_plain_descent(word: str, direction: str, weights: str) -> None:
    graph, decay = parse(word), 0.05
    target, weight = one_way_target(graph, direction, weights=weights)
    tied = tied_optimum(target, weight_decay=decay, row_weight=weight)
    untied = untied_optimum(target, weight_decay=decay, row_weight=weight)
    for found in (tied, untied):
        assert found.certificate.max_violation < CERTIFIED
        assert -EXACT * graph.n < found.certificate.duality_gap < CERTIFIED * graph.n
    objectives = tied.loss + decay * np.trace(tied.gram), untied.loss + decay * untied.singular_values.sum()
    for ours, one_sided in zip(objectives, (True, False), strict=True):
        oracle = by_descent(target, weight, decay, tied=one_sided)
        assert -CERTIFIED * graph.n <= oracle - ours <= ORACLE * graph.n
    assert tied.loss_per_node > target_entropy(target, weight) / weight.sum()


@pytest.mark.parametrize("word", ["cycle:15", "torus:3x4"])
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_a_directed_cycle_has_the_undirected_optimum(word: str, decay: float) -> None:
    """K is symmetric: it sees sym(T), which is that of the undirected graph."""
    graph = parse(word)
    plain = tied_optimum(one_hop_target(graph), weight_decay=decay)
    for direction in ("forward", "backward"):
        found = tied_optimum(one_way_target(graph, direction)[0], weight_decay=decay)
        assert relative(found.gram, plain.gram) < SOLVED
        assert found.loss == pytest.approx(plain.loss, abs=CERTIFIED)
        assert found.attained
        assert found.certificate.max_violation < CERTIFIED
        assert abs(found.certificate.duality_gap) < CERTIFIED


def test_without_decay_arcs_on_cycles_are_enough() -> None:
    """A strongly connected digraph with chords against descent over K and a bias, and two of them side by side."""
    n = 6
    target = np.zeros((n, n))
    for i in range(n):
        target[i, (i + 1) % n] = 1.0
    target[0, [1, 3]], target[4, [5, 1]] = 0.5, 0.5
    weight = np.linspace(0.5, 1.5, n)
    found = tied_optimum(target, row_weight=weight)
    assert found.certificate.max_violation < CERTIFIED
    assert -EXACT * n < found.certificate.duality_gap < CERTIFIED

    def value(x: np.ndarray) -> tuple[float, np.ndarray]:
        v, a = x[:-n].reshape(n, n), x[-n:]
        z = v @ v.T + a
        r = weight[:, None] * (target - softmax(z, axis=1))
        loss = weight @ (logsumexp(z, axis=1) - (target * z).sum(axis=1))
        return float(loss), np.concatenate([(-(r + r.T) @ v).ravel(), -r.sum(axis=0)])

    start = np.random.default_rng(0).standard_normal(n * n + n)
    options = {"maxiter": 50_000, "maxfun": 99_999, "ftol": 1e-16, "gtol": 1e-10}
    oracle = minimize(value, start, jac=True, method="L-BFGS-B", options=options).fun
    assert -CERTIFIED <= oracle - found.loss <= ORACLE
    twice = np.kron(np.eye(2), target)
    double = tied_optimum(twice, row_weight=np.tile(weight, 2))
    assert double.loss == pytest.approx(2 * found.loss, abs=CERTIFIED)
    assert (double.diverging, double.attained) == (1, False)


@pytest.mark.parametrize("loops", [False, True])
@pytest.mark.parametrize("direction", ["forward", "backward"])
@pytest.mark.parametrize("word", ["path-star:4x5", "grid:4x4", "irregular"])
def test_lines_that_lie_on_no_cycle_need_weight_decay(word: str, direction: str, loops: bool) -> None:
    target, weight = one_way_target(parse(word), direction, self_edges=loops)
    with pytest.raises(ValueError, match=r"an arc of it lies on no cycle.*use weight_decay > 0"):
        tied_optimum(target, row_weight=weight)
    # It has no optimum indeed: the embeddings grow as the decay goes to zero, and the loss goes on falling.
    near, nearer = (tied_optimum(target, row_weight=weight, weight_decay=decay) for decay in (0.1, 0.02))
    assert nearer.loss < near.loss - 0.1
    assert np.trace(nearer.gram) > 1.5 * np.trace(near.gram)


def test_a_weight_of_zero_that_cuts_the_last_arc_back_is_seen() -> None:
    target = one_hop_target(parse("cycle:5"))
    assert tied_optimum(target, row_weight=[1, 1, 1, 1, 1]).attained
    with pytest.raises(ValueError, match="use weight_decay > 0"):
        tied_optimum(target, row_weight=[0, 1, 1, 1, 1])


def test_untied_without_decay() -> None:
    target, weight = one_way_target(parse("path-star:4x5"))
    sharp = untied_optimum(target, row_weight=weight)
    assert not sharp.attained
    assert sharp.loss == pytest.approx(np.log(4), rel=EXACT)  # only the root has a choice
    smooth, weight = one_way_target(parse("path-star:4x5"), label_smoothing=0.1)
    found = untied_optimum(smooth, row_weight=weight)
    assert found.attained
    assert found.logits is not None
    assert np.allclose(softmax(found.logits, axis=1)[weight > 0], smooth[weight > 0], atol=EXACT)
    assert not found.logits[weight == 0].any()
    sharper = smooth.copy()
    sharper[weight == 0] = np.eye(17)[weight == 0]  # zeros in rows that do not count
    again = untied_optimum(sharper, row_weight=weight).logits
    assert again is not None
    assert np.array_equal(again, found.logits)


# The same through the functions of a target.


@pytest.mark.parametrize("tied", [True, False])
def test_functions_of_a_target_take_weights(tied: bool) -> None:
    graph = parse("path-star:3x3")
    target, weight = one_way_target(graph, weights="line")
    n, decay = graph.n, 0.1
    direct = (tied_optimum if tied else untied_optimum)(target, weight_decay=decay, row_weight=weight)
    found = target_optimum(target, tied=tied, weight_decay=decay, row_weight=weight)
    assert found.loss_per_node == direct.loss_per_node == direct.loss / weight.sum()
    rates, counts = target_growth_rates(target, tied=tied, weight_decay=decay, row_weight=weight)
    modes = early_modes(target, tied=tied, weight_decay=decay, row_weight=weight).rates
    assert np.allclose(np.repeat(rates, counts), modes, atol=1e-9)  # equal ones are merged
    flow = target_flow(target, [2.0], init_scale=0.5, tied=tied, weight_decay=decay, row_weight=weight)
    start, none = 0.5 * np.eye(n), np.zeros((n, n))
    options: dict[str, Any] = {"weight_decay": decay, "row_weight": weight}
    whole: Any
    if tied:
        whole = tied_flow(target, start, [2.0], **options)
    else:
        whole = untied_flow(target, np.hstack([start, none]), np.hstack([none, start]), [2.0], **options)
    assert flow.loss_per_node[0] == pytest.approx(whole.loss[0] / weight.sum(), rel=FLOWS)
    spaces = laplacian_eigenspaces(graph)
    deaths = target_decay_thresholds(target, spaces, tied=tied, lowest=0.3, scan=5, row_weight=weight)
    assert deaths.zero_from == pytest.approx(
        early_modes(target, tied=tied, row_weight=weight).rates[0] / (2 if tied else 1), rel=1e-9
    )
    below, above = (
        target_optimum(target, tied=tied, weight_decay=factor * deaths.zero_from, row_weight=weight)
        for factor in (0.99, 1.01)
    )
    assert below.rank > 0
    assert above.rank == 0


# Scores.


def test_scores_take_the_lines_of_a_direction() -> None:
    graph = parse("path-star:2x3")  # 0 -> 1 -> 2, 0 -> 3 -> 4
    rng = np.random.default_rng(5)
    v, z = rng.standard_normal((5, 3)), rng.standard_normal((5, 5))
    unit = v / np.linalg.norm(v, axis=1, keepdims=True)
    lines = [(0, 1), (1, 2), (0, 3), (3, 4)]
    mean = np.mean([unit[a] @ unit[b] for a, b in lines])
    for direction in ("both", "forward", "backward"):
        assert geometric_level(v, graph, direction=direction) == pytest.approx(mean, rel=EXACT)
    assert geometric_level(v, graph, direction="forward", self_edges=True) == pytest.approx((4 * mean + 5) / 9)
    assert geometric_level(v, graph, self_edges=True) == pytest.approx((8 * mean + 5) / 13)
    margins = []
    for u in (0, 1, 3):
        near = [b for a, b in lines if a == u]
        far = [w for w in range(5) if w != u and w not in near]
        margins.append(z[u, near].max() - z[u, far].max())
    margin, top1 = edge_margin(z, graph, direction="forward")
    assert margin == pytest.approx(np.mean(margins), rel=EXACT)
    assert top1 == np.mean(np.array(margins) > 0)
