import networkx as nx
import numpy as np
import pytest
from scipy.optimize import minimize

from cases import WORDLESS, zoo_graph
from fiedler.theory import one_hop_target, parse, untied_cycle_max_margin, untied_max_margin, untied_optimum
from fiedler.theory.optimum.max_margin import GOAL, _dual_point, _project

NAMES = ("path-star:4x5", "grid:4x4", "petersen", "irregular", "florentine", "karate", "tree:3,2", *WORDLESS)
FEASIBLE = 1e-12  # the projection is exact but for rounding


@pytest.mark.parametrize("name", NAMES)
def test_feasible_and_within_the_gap(name):
    target = one_hop_target(zoo_graph(name))
    found = untied_max_margin(target)
    z, support = found.logits, target > 0
    level = np.where(support, z, -np.inf).max(axis=1, keepdims=True)
    assert np.abs(np.where(support, z - level, 0.0)).max() < FEASIBLE * np.abs(z).max()
    assert (np.where(support, -np.inf, z) <= level - 1 + FEASIBLE * np.abs(z).max()).all()
    assert np.linalg.svd(z, compute_uv=False).sum() == pytest.approx(found.nuclear_norm)
    assert -1e-12 <= found.gap <= GOAL * found.nuclear_norm
    assert found.rank == len(found.singular_values) <= len(target)
    assert found.singular_values.sum() == pytest.approx(found.nuclear_norm, rel=1e-2)


@pytest.mark.parametrize("n", [5, 6, 9, 15, 16])
def test_cycles_have_the_value_of_their_linear_program(n):
    found = untied_max_margin(one_hop_target(parse(f"cycle:{n}")))
    assert found.nuclear_norm == pytest.approx(untied_cycle_max_margin(n).nuclear_norm, rel=10 * GOAL)


@pytest.mark.parametrize(
    "name",
    [pytest.param("path-star:4x5", marks=pytest.mark.long), "petersen", pytest.param("random", marks=pytest.mark.long)],
)
def test_the_decayed_optimum_comes_to_it(name):
    # ||Z|| / margin along the regularisation path falls to the least value, like 1 / log(1 / decay).
    target = one_hop_target(zoo_graph(name))
    least = untied_max_margin(target).nuclear_norm
    ratios = []
    for decay in (1e-2, 1e-4, 1e-6):
        z = untied_optimum(target, weight_decay=decay).logits
        margins = np.where(target > 0, z, np.inf).min(axis=1) - np.where(target > 0, -np.inf, z).max(axis=1)
        ratios.append(np.linalg.svd(z, compute_uv=False).sum() / margins.min())
    assert all(ratio >= least * (1 - GOAL) for ratio in ratios)
    assert sorted(ratios, reverse=True) == pytest.approx(ratios, rel=1e-9)
    assert ratios[-1] < 1.15 * least


def test_it_depends_on_the_support_alone_and_follows_permutations():
    graph = nx.connected_watts_strogatz_graph(12, 4, 0.4, seed=0)
    a = nx.to_numpy_array(graph)
    weights = np.random.default_rng(0).uniform(0.5, 2.0, a.shape)
    plain, weighted = (x / x.sum(axis=1, keepdims=True) for x in (a, a * weights))
    first, second = untied_max_margin(plain), untied_max_margin(weighted)
    assert np.array_equal(first.logits, second.logits)
    order = np.random.default_rng(1).permutation(12)
    moved = untied_max_margin(plain[np.ix_(order, order)])
    assert moved.nuclear_norm == pytest.approx(first.nuclear_norm, rel=10 * GOAL)


def test_a_target_without_zeros_has_no_direction():
    found = untied_max_margin(one_hop_target(parse("petersen"), label_smoothing=0.1))
    assert not found.logits.any()
    assert (found.rank, found.nuclear_norm, found.gap) == (0, 0.0, 0.0)


@pytest.mark.parametrize("seed", range(6))
def test_the_projection_against_a_general_solver(seed):
    rng = np.random.default_rng(seed)
    y = 3 * rng.standard_normal((4, 7))
    support = rng.random((4, 7)) < 0.4
    support[:, seed] = True
    found = _project(y, support)
    for row, inside, near in zip(y, support, found, strict=True):

        def distance(m, row=row, inside=inside):
            return ((row[inside] - m) ** 2).sum() + (np.maximum(row[~inside] + 1 - m, 0) ** 2).sum()

        level = minimize(lambda m: distance(m[0]), [row.mean()], method="Nelder-Mead", options={"xatol": 1e-10}).x[0]
        assert near[inside] == pytest.approx(level, abs=1e-6)
        assert near[~inside] == pytest.approx(np.minimum(row[~inside], level - 1), abs=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_the_dual_point_is_feasible_and_bounds_from_below(seed):
    target = one_hop_target(parse("florentine"))
    support = target > 0
    g = np.random.default_rng(seed).standard_normal(target.shape) * 10.0 ** (seed - 2)
    found = _dual_point(g, support)
    assert np.abs(found.sum(axis=1)).max() < 1e-12
    assert (found[~support] <= 0).all()
    assert np.linalg.norm(found, 2) <= 1 + 1e-12
    assert -found[~support].sum() <= untied_max_margin(target).nuclear_norm
    assert np.allclose(_dual_point(found, support), found)


def test_refusals(monkeypatch):
    with pytest.raises(ValueError, match="up to 400 nodes, got 401"):
        untied_max_margin(one_hop_target(parse("cycle:401")))
    monkeypatch.setattr("fiedler.theory.optimum.max_margin.ITERATIONS", 3)
    with pytest.raises(RuntimeError, match="was not found to better than"):
        untied_max_margin(one_hop_target(parse("karate")))
