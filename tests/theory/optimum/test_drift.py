"""The drift towards an infimum that is not attained, against integrated flows and changes that may not matter."""

import dataclasses

import numpy as np
import pytest

from fiedler.theory import (
    DriftLaw,
    drift_law,
    graph_drift_law,
    graph_flow,
    graph_optimum,
    graph_symmetry,
    one_hop_target,
    parse,
    reduced_drift_law,
    reduced_tied_optimum,
    target_flow,
    tied_gram_flow,
    tied_optimum,
)

# theory.md, section 9: kappa, c t^(-1/4) and gap per node sqrt(t), and what the integrated flow gave at t = 1e7.
STAR = (4.8241, 1.2275, 0.18834)
GRID = 0.49449


def dense(word, weights=None):
    target = one_hop_target(parse(word))
    return target, tied_optimum(target, row_weight=weights)


def test_the_star_and_the_grid():
    target, optimum = dense("path-star:4x5")
    law = drift_law(optimum, target)
    assert law.kappa == pytest.approx(STAR[0], rel=2e-5)
    assert float(law.mean_norm(1.0)) == pytest.approx(STAR[1], rel=5e-5)
    assert float(law.gap_per_node(1.0)) == pytest.approx(STAR[2], rel=5e-5)
    target, optimum = dense("grid:4x4")
    assert drift_law(optimum, target).kappa == pytest.approx(GRID, rel=2e-5)


@pytest.mark.parametrize("word", ["path-star:4x5", "grid:4x4", "path-star:9x2", "path-star:1000x5", "tree:3,2"])
def test_the_gap_of_the_integrated_flow_tends_to_the_law(word):
    graph = parse(word)
    law, least = graph_drift_law(graph), graph_optimum(graph).loss_per_node
    times = np.array([1e5, 1e7])
    gaps = graph_flow(graph, times, init_scale=0.1).loss_per_node - least
    off = np.abs(gaps / law.gap_per_node(times) - 1)
    assert off[1] < 0.012
    assert off[1] < off[0] / 2  # it tends there, and is no coincidence of one time


def test_the_mean_of_the_integrated_flow_tends_to_the_law():
    target, optimum = dense("path-star:4x5")
    law, n, t = drift_law(optimum, target), len(target), 1e6
    gram = tied_gram_flow(target, 0.01 * np.eye(n), [t]).gram[-1]
    assert np.sqrt(gram.sum()) / n == pytest.approx(float(law.mean_norm(t)), rel=6e-3)


def test_row_weights():
    rng = np.random.default_rng(0)
    target = one_hop_target(parse("path-star:3x3"))
    w = rng.uniform(0.5, 2.0, len(target))
    optimum = tied_optimum(target, row_weight=w)
    law = drift_law(optimum, target, row_weight=w)
    t = 1e6
    flow = target_flow(target, [t], init_scale=0.1, row_weight=w)
    gap = float(flow.loss_per_node[-1]) - optimum.loss_per_node
    assert gap == pytest.approx(float(law.gap_per_node(t)), rel=0.01)
    doubled = drift_law(tied_optimum(target, row_weight=2 * w), target, row_weight=2 * w)
    assert doubled.kappa == pytest.approx(2 * law.kappa, rel=1e-6)


@pytest.mark.parametrize("word", ["path-star:4x5", "grid:4x4", "karate"])
def test_constants_and_the_column_space_of_k_do_not_matter(word):
    # Both leave the softmax alone: a constant outright, a component in the column space by a mean that undoes it.
    target, optimum = dense(word)
    kappa = drift_law(optimum, target).kappa
    shifted = dataclasses.replace(optimum, bias=optimum.bias + 3.0)
    assert drift_law(shifted, target).kappa == pytest.approx(kappa, rel=1e-9)
    mean = np.random.default_rng(0).standard_normal(optimum.rank)
    # (V + 1 mean')(V + 1 mean')' = K + V mean 1' + 1 (V mean)' + constant: the same bias as a column.
    moved = optimum.embedding() + mean
    other = dataclasses.replace(optimum, factor=moved, bias=optimum.bias - optimum.embedding() @ mean)
    assert drift_law(other, target).kappa == pytest.approx(kappa, rel=1e-5)


@pytest.mark.parametrize("word", ["path-star:4x5", "grid:4x4", "tree:3,2"])
def test_the_blocks_give_the_dense_kappa(word):
    target, optimum = dense(word)
    symmetry = graph_symmetry(parse(word))
    found = reduced_tied_optimum(symmetry.algebra, symmetry.target())
    law = reduced_drift_law(symmetry.algebra, symmetry.target(), found)
    assert law.kappa == pytest.approx(drift_law(optimum, target).kappa, rel=1e-6)
    assert law.n == len(target)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_a_star_without_geometry(smoothing):
    graph = parse("path-star:9x2")
    target = one_hop_target(graph, label_smoothing=smoothing)
    law = graph_drift_law(graph, label_smoothing=smoothing)
    assert law.kappa == pytest.approx(drift_law(tied_optimum(target), target).kappa, rel=1e-6)


@pytest.mark.parametrize("word", ["cycle:15", "hypercube:4", "petersen", "torus:4x6", "irregular"])
def test_nothing_drifts_where_the_infimum_is_attained(word):
    assert graph_drift_law(parse(word)) is None
    target, optimum = dense(word)
    assert drift_law(optimum, target) is None


def test_nothing_drifts_with_decay_or_untied():
    graph = parse("path-star:4x5")
    for options in ({"weight_decay": 0.1}, {"tied": False}, {"tied": False, "weight_decay": 0.1}):
        assert graph_drift_law(graph, optimum=graph_optimum(graph, **options)) is None


def test_times_and_gaps_are_inverse_and_checked():
    law = DriftLaw(2.0, 16, 16.0)
    assert float(law.gap(law.time_to_gap(1e-3))) == pytest.approx(1e-3)
    assert law.mean_norm([1.0, 16.0]) == pytest.approx([1.0, 2.0])
    assert law.gap_per_node(4.0) == pytest.approx(1 / 16)
    with pytest.raises(ValueError, match="times > 0"):
        law.gap([1.0, 0.0])
    with pytest.raises(ValueError, match="gap"):
        law.time_to_gap(0.0)
    _, optimum = dense("path-star:4x5")
    with pytest.raises(ValueError, match="17 nodes"):
        drift_law(optimum, np.full((3, 3), 1 / 3))
