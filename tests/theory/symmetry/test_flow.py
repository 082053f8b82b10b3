import numpy as np
import pytest

from fiedler.theory import (
    graph_symmetry,
    hamming_symmetry,
    one_hop_target,
    parse,
    path_star_symmetry,
    reduced_flow,
    reduced_tied_optimum,
    tied_flow,
    untied_flow,
)
from fiedler.theory.symmetry.block_flow import BlockFlow

AGREEMENT = 1e-7  # two integrators at relative tolerances of 1e-10 a step, over some hundred steps
MONOTONE = 1e-8  # relative: integration error of a loss that has stopped falling
TIMES = np.array([0.0, 0.1, 1.0, 10.0, 50.0])
WORDS = (
    "cycle:15",
    "path-star:4x5",
    "tree:3,2",
    "grid:4x4",
    "petersen",
    pytest.param("irregular", marks=pytest.mark.long),
)


def start(n, scale):
    return scale * np.eye(n), np.zeros((n, n))


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize(("scale", "decay"), [(10.0, 0.0), (0.1, 0.05)])
class TestAgainstTheFlowOfAllNodes:
    def test_tied(self, word, scale, decay):
        symmetry = graph_symmetry(parse(word), family=False)
        found = reduced_flow(symmetry.algebra, symmetry.target(), TIMES, init_scale=scale, weight_decay=decay)
        some, _ = start(symmetry.algebra.n, scale)
        whole = tied_flow(one_hop_target(parse(word)), some, TIMES, weight_decay=decay)
        assert np.allclose(found.loss, whole.loss, rtol=AGREEMENT)
        for z, gram in zip(found.logits, whole.gram, strict=True):
            assert np.abs(symmetry.expand(z) - gram).max() < AGREEMENT * np.abs(gram).max()
        values, counts = found.eigenvalues()
        assert np.allclose(
            np.sort(np.repeat(values, counts)), np.linalg.eigvalsh(whole.gram[-1]), rtol=0, atol=AGREEMENT * values[0]
        )

    def test_untied(self, word, scale, decay):
        symmetry = graph_symmetry(parse(word), family=False)
        options = {"weight_decay": decay}
        found = reduced_flow(symmetry.algebra, symmetry.target(), TIMES, init_scale=scale, tied=False, **options)
        some, none = start(symmetry.algebra.n, scale)
        whole = untied_flow(
            one_hop_target(parse(word)), np.hstack([some, none]), np.hstack([none, some]), TIMES, **options
        )
        assert np.allclose(found.loss, whole.loss, rtol=AGREEMENT)
        for z, logits in zip(found.logits, whole.logits, strict=True):
            assert np.abs(symmetry.expand(z) - logits).max() < AGREEMENT * max(1.0, np.abs(logits).max())


def test_the_flow_of_a_path_star_ends_in_its_optimum():
    symmetry = path_star_symmetry(10, 4)
    target = symmetry.target()
    best = reduced_tied_optimum(symmetry.algebra, target, weight_decay=0.05)
    end = reduced_flow(symmetry.algebra, target, [2000.0], init_scale=1.0, weight_decay=0.05)
    assert end.logits[0] == pytest.approx(best.gram, abs=1e-6 * np.abs(best.gram).max())
    assert end.loss[0] == pytest.approx(best.loss, rel=1e-7)


@pytest.mark.parametrize("tied", [True, False])
def test_six_decades_of_a_large_path_star(tied):
    symmetry = path_star_symmetry(5_000, 5)
    times = np.geomspace(1e-3, 1e3, 31)
    found = reduced_flow(symmetry.algebra, symmetry.target(), times, init_scale=10.0, tied=tied)
    assert (np.diff(found.loss) <= MONOTONE * found.loss[:-1]).all()
    limit = 1.1495 if tied else 0.5
    assert limit < found.loss[-1] / symmetry.algebra.n < 1.05 * limit


def test_the_million_node_hypercube():
    symmetry = hamming_symmetry(20, 2)
    found = reduced_flow(symmetry.algebra, symmetry.target(), np.geomspace(1e-3, 1e3, 31), init_scale=10.0)
    assert (np.diff(found.loss) <= MONOTONE * found.loss[:-1]).all()
    values, counts = found.eigenvalues()
    # The optimum's 20-dimensional eigenspace, and the constant mode, which regular graphs leave where it was.
    assert (values[0], counts[0]) == (pytest.approx(2**20 * np.arctanh(0.9), rel=1e-6), 20)
    assert values[1] == pytest.approx(100.0, rel=1e-6)


def test_row_weights():
    symmetry = graph_symmetry(parse("path-star:4x5"), family=False)
    w = np.array([3.0, 1.0, 0.5, 2.0, 1.5])
    found = reduced_flow(symmetry.algebra, symmetry.target(), [1.0], init_scale=1.0, row_weight=w)
    nodes = w[symmetry.colouring.node_type]
    whole = tied_flow(one_hop_target(parse("path-star:4x5")), np.eye(17), [1.0], row_weight=nodes)
    assert symmetry.expand(found.logits[0]) == pytest.approx(whole.gram[0], abs=AGREEMENT)
    assert found.loss == pytest.approx(whole.loss, rel=AGREEMENT)


@pytest.mark.parametrize(("depth", "skip"), [(0, False), (2, False), (2, True)])
@pytest.mark.parametrize("tied", [True, False])
def test_the_jacobian_is_the_derivative_of_the_derivative(tied, depth, skip):
    symmetry = path_star_symmetry(3, 4)
    system = BlockFlow(symmetry.algebra, symmetry.target(), np.ones(4), 0.1, tied, depth=depth, skip=skip)
    state = np.random.default_rng(0).standard_normal(int(system.ends[-1]))
    jacobian, h = system.jacobian(state), 1e-6
    for k in (0, 7, len(state) - 1):
        step = h * np.eye(len(state))[k]
        difference = (system.derivative(state + step) - system.derivative(state - step)) / (2 * h)
        assert np.allclose(jacobian[:, k], difference, rtol=0, atol=1e-7 * np.abs(jacobian).max())


def test_times_and_start():
    symmetry = path_star_symmetry(3, 3)
    found = reduced_flow(symmetry.algebra, symmetry.target(), [0.0, 0.0, 1.0, 1.0], init_scale=2.0)
    assert np.array_equal(found.loss[[0, 2]], found.loss[[1, 3]])
    values, counts = found.eigenvalues(0)
    assert np.allclose(values, 4.0)
    assert counts.sum() == 7
    assert reduced_flow(symmetry.algebra, symmetry.target(), 0.0, init_scale=2.0).loss[0] == found.loss[0]
    for scale in (0.0, -1.0, np.nan):
        with pytest.raises(ValueError, match="init_scale must be a positive number"):
            reduced_flow(symmetry.algebra, symmetry.target(), [1.0], init_scale=scale)
    with pytest.raises(ValueError, match="times must be"):
        reduced_flow(symmetry.algebra, symmetry.target(), [1.0, 0.5], init_scale=1.0)


def test_the_shortest_time_there_is():
    symmetry = path_star_symmetry(3, 3)
    found = reduced_flow(symmetry.algebra, symmetry.target(), [5e-324], init_scale=1.0)
    assert found.eigenvalues()[0] == pytest.approx(np.ones(5))
