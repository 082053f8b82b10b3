import networkx as nx
import numpy as np
import pytest
from scipy.special import softmax

from fiedler.theory import (
    cross_entropy,
    from_networkx,
    one_hop_target,
    parse,
    target_entropy,
    tied_optimum,
    untied_optimum,
)
from fiedler.theory.optimum.certificate import tied_certificate, tied_dual_value, untied_certificate

VIOLATION = 1e-7
ROUNDING = 1e-10  # a gap at the optimum is the difference of two sums of n^2 terms of order one

GRAPHS = ("cycle:15", "path-star:4x5", "grid:4x4", "florentine", "petersen")
SETTINGS = [(word, decay, weighted) for word in GRAPHS for decay in (0.0, 0.1) for weighted in (False, True)]
SETTINGS.append(("path-star:5x2", 0.0, False))  # S is zero at V = 0: only the column sums are wrong


def setting(word, decay, weighted):
    target = one_hop_target(parse(word))
    n = len(target)
    w = 0.5 + np.random.default_rng(0).random(n) if weighted else np.ones(n)
    return target, w, tied_optimum(target, weight_decay=decay, row_weight=w)


def objective(target, w, decay, factor, bias):
    return float(cross_entropy(factor @ factor.T + bias, target, w)) + decay * (factor**2).sum()


def factor_of(gram):
    values, modes = np.linalg.eigh(gram)
    return modes * np.sqrt(np.maximum(values, 0))


@pytest.mark.parametrize(("word", "decay", "weighted"), SETTINGS)
def test_the_optimum_is_certified(word, decay, weighted):
    target, w, best = setting(word, decay, weighted)
    found = tied_certificate(target, w, decay, factor_of(best.gram), best.bias)
    for certificate in (found, best.certificate):
        assert 0 <= certificate.max_violation < VIOLATION
        assert -ROUNDING <= certificate.duality_gap < 1e-6


@pytest.mark.parametrize("size", [1e-3, 1e-2, 0.1, 1.0])
@pytest.mark.parametrize(("word", "decay", "weighted"), SETTINGS)
def test_away_from_the_optimum_the_gap_bounds_the_suboptimality(word, decay, weighted, size):
    target, w, best = setting(word, decay, weighted)
    lowest = best.loss + decay * np.trace(best.gram)
    rng = np.random.default_rng(1)
    for _ in range(3):
        factor = factor_of(best.gram) + size * rng.standard_normal(target.shape)
        bias = best.bias + size * rng.standard_normal(len(target)) * (decay == 0)
        certificate = tied_certificate(target, w, decay, factor, bias)
        excess = objective(target, w, decay, factor, bias) - lowest
        assert excess > 0
        assert certificate.duality_gap >= excess - ROUNDING
        assert certificate.max_violation > 1e-2 * size


@pytest.mark.parametrize("scale", [0.0, 0.1, 1.0, 2.0])
@pytest.mark.parametrize(("word", "decay", "weighted"), SETTINGS)
def test_the_dual_value_never_exceeds_the_optimum(word, decay, weighted, scale):
    target, w, best = setting(word, decay, weighted)
    lowest = best.loss + decay * np.trace(best.gram)
    rng = np.random.default_rng(2)
    for columns in (1, 3, 20):
        factor, bias = scale * rng.standard_normal((len(target), columns)), np.zeros(len(target))
        value = objective(target, w, decay, factor, bias)
        gap = tied_certificate(target, w, decay, factor, bias).duality_gap
        assert value - gap <= lowest + ROUNDING
        assert gap >= value - lowest - ROUNDING


@pytest.mark.parametrize("word", ["cycle:15", "path-star:4x5", "florentine"])
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_the_dual_value_is_an_entropy_of_probabilities(word, decay):
    target = one_hop_target(parse(word))
    w = np.exp(np.random.default_rng(0).uniform(-2, 2, len(target)))
    for scale in (0.0, 1.0):
        factor, bias = scale * np.random.default_rng(1).standard_normal((len(target), 3)), np.zeros(len(target))
        gap = tied_certificate(target, w, decay, factor, bias).duality_gap
        assert objective(target, w, decay, factor, bias) - gap >= 0


@pytest.mark.parametrize("word", ["path-star:5x2", "path-star:10x2"])
@pytest.mark.parametrize("scale", [15.0, 100.0])
def test_the_dual_value_is_a_bound_even_where_nodes_are_torn_apart(word, scale):
    # Two far clusters: their masses do not match the target's, and no logit between them is left to carry the rest.
    target = one_hop_target(parse(word))
    n, w = len(target), np.ones(len(target))
    lowest = tied_optimum(target).loss
    rng = np.random.default_rng(0)
    for _ in range(20):
        side = rng.integers(0, 2, n) * 2.0 - 1
        factor = np.column_stack([scale * side, 0.3 * rng.standard_normal(n)])
        value = objective(target, w, 0.0, factor, np.zeros(n))
        assert value - tied_certificate(target, w, 0.0, factor, np.zeros(n)).duality_gap <= lowest + ROUNDING


def test_the_violation_names_the_right_quantity():
    # At V = 0 on the cycle P is uniform and S = T - 11'/n: its largest eigenvalue cos(2 pi / n), less the decay.
    n, top = 15, np.cos(2 * np.pi / 15)
    target, w, none = one_hop_target(parse("cycle:15")), np.ones(15), np.zeros((15, 0))
    for decay in (0.0, 0.25):
        found = tied_certificate(target, w, decay, none, np.zeros(n))
        assert found.max_violation == pytest.approx(top - decay, abs=1e-12)
    assert tied_certificate(target, w, 1.0, none, np.zeros(n)).max_violation == 0
    # S = 0 in the direction of the constant: a constant embedding is stationary without decay, and not with it.
    constant = np.full((n, 1), 2.0)
    pulled = tied_certificate(target, w, 3.0, constant, np.zeros(n)).max_violation
    assert pulled == pytest.approx(3.0, abs=1e-12)  # ||(S - l I) V|| / ||V|| = l
    # A bias moves the column sums of P away from those of T.
    bias = np.zeros(n)
    bias[0] = 1.0
    excess = n * np.e / (np.e + n - 1) - 1
    assert tied_certificate(target, w, 0.0, none, bias).max_violation >= excess - 1e-12


def test_without_a_strictly_feasible_point_the_gap_is_infinite():
    target = np.kron(np.eye(2), np.ones((3, 3)) / 3)  # two components: no flow between them
    assert tied_certificate(target, np.ones(6), 0.0, np.zeros((6, 0)), np.zeros(6)).duality_gap == np.inf


def test_on_a_directed_cycle_a_circulation_is_the_strictly_feasible_point():
    target = np.roll(np.eye(5), 1, axis=1)  # no arc has a partner
    at_zero = tied_certificate(target, np.ones(5), 0.0, np.zeros((5, 0)), np.zeros(5))
    best = tied_optimum(target).loss
    assert 5 * np.log(5) - best <= at_zero.duality_gap < 10 * np.log(5)


def mixed_arcs(seed=0, n=9):
    """A directed cycle, two chords of it and one arc both ways."""
    rng = np.random.default_rng(seed)
    a = np.roll(np.eye(n), 1, axis=1)
    a[0, 4] = a[6, 2] = 1.0
    a[3, 2] = 1.0
    a *= rng.uniform(0.5, 2.0, (n, n))
    return a / a.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("decay", [0.0, 0.05])
def test_directed_targets_have_a_bound_that_is_met_at_the_optimum(decay):
    target = mixed_arcs()
    n, w = len(target), np.random.default_rng(1).uniform(0.5, 2.0, 9)
    best = tied_optimum(target, weight_decay=decay, row_weight=w, tolerance=0)
    lowest = best.objective
    at_best = tied_dual_value(target, w, decay, softmax(best.gram + best.bias, axis=1))
    assert at_best == pytest.approx(lowest, rel=1e-8)
    rng = np.random.default_rng(2)
    for scale in (0.0, 0.3, 1.0, 5.0):
        p = softmax(scale * rng.standard_normal((n, n)), axis=1)
        value = tied_dual_value(target, w, decay, p)
        assert np.isfinite(value)
        assert value <= lowest + ROUNDING


@pytest.mark.parametrize("decay", [0.0, 0.05])
def test_any_stochastic_matrix_gives_a_bound(decay):
    """Of all kinds: the target itself, permutations, one column, near the corners."""
    target = one_hop_target(parse("florentine"))
    n, w = len(target), np.ones(len(target))
    lowest = tied_optimum(target, weight_decay=decay, tolerance=0).objective
    rng = np.random.default_rng(0)
    corners = softmax(300 * rng.standard_normal((n, n)), axis=1)
    column = np.zeros((n, n))
    column[:, 3] = 1.0
    for p in (target, np.eye(n), np.eye(n)[rng.permutation(n)], column, corners, np.full((n, n), 1 / n)):
        value = tied_dual_value(target, w, decay, p)
        assert -1e-9 <= value <= lowest + ROUNDING
    # The target is feasible, and so the bound is at least what mixing it away leaves: its entropy with decay.
    if decay > 0:
        assert tied_dual_value(target, w, decay, target) >= target_entropy(target, w) - ROUNDING


def test_rows_of_weight_zero_have_no_part_in_the_bound():
    target = one_hop_target(parse("grid:3x4"))
    w = (np.arange(12) % 3 > 0) * 1.0
    best = tied_optimum(target, weight_decay=0.05, row_weight=w, tolerance=0)
    rng = np.random.default_rng(0)
    for scale in (0.0, 1.0):
        p = softmax(scale * rng.standard_normal((12, 12)), axis=1)
        value = tied_dual_value(target, w, 0.05, p)
        assert value <= best.objective + ROUNDING
        other = p.copy()
        other[w == 0] = np.eye(12)[w == 0]
        assert tied_dual_value(target, w, 0.05, other) == pytest.approx(value, rel=1e-12)


def test_a_violation_at_the_end_of_a_long_chain_costs_what_it_is_there():
    """Mixing by the smallest eigenvalue of the Laplacian, of order 1 / n^2, would take nearly all of Q."""
    target = one_hop_target(from_networkx(nx.path_graph(60)))
    w = np.ones(60)
    best = tied_optimum(target, tolerance=1e-9)
    factor = best.factor.copy()
    factor[-1] *= 1.0001
    found = tied_certificate(target, w, 0.0, factor, best.bias)
    assert 0 < found.duality_gap < 0.02 * best.objective


@pytest.mark.parametrize("decay", [0.01, 0.3])
def test_the_untied_bound_at_any_logits(decay):
    target = mixed_arcs()
    w = np.random.default_rng(1).uniform(0.0, 2.0, 9)
    best = untied_optimum(target, weight_decay=decay, row_weight=w, tolerance=0)
    rng = np.random.default_rng(0)
    for scale in (0.0, 0.3, 3.0, 30.0):
        factor = scale * rng.standard_normal((18, 4))
        value = float(cross_entropy(factor[:9] @ factor[9:].T, target, w)) + decay / 2 * (factor**2).sum()
        found = untied_certificate(target, w, decay, factor)
        assert value - found.duality_gap <= best.objective + ROUNDING
        assert value - found.duality_gap >= -ROUNDING
