import numpy as np
import pytest

from fiedler.theory import (
    graph_symmetry,
    hamming_symmetry,
    one_hop_target,
    parse,
    path_star_symmetry,
    reduced_flow,
    spectral_map,
)
from fiedler.theory.ladder.reduced import reduced_ladder_flow
from ladder_nets import follow_net

AGREEMENT = 1e-6  # two integrations at 1e-9 a step, errors amplified by the growing modes
MONOTONE = 1e-8  # relative: integration error of a loss that has stopped falling
SAME = 1e-9  # one integrator, the same equation


@pytest.mark.parametrize("decay", [0.0, 0.05])
@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize(
    ("word", "depth"), [("cycle:7", 2), ("path-star:3x3", 1), ("path-star:3x3", 3), ("grid:3x3", 2)]
)
def test_it_is_the_flow_of_all_nodes(word, depth, residual, tied, decay):
    scale, inner, end = 0.7, None if residual else 0.6, 1.5
    symmetry = graph_symmetry(parse(word), family=False)
    found = reduced_ladder_flow(
        symmetry.algebra,
        symmetry.target(),
        depth,
        [0.0, end],
        init_scale=scale,
        residual=residual,
        inner_scale=inner,
        tied=tied,
        weight_decay=decay,
    )
    net = follow_net(
        word, depth, end, scale, residual=residual, inner=inner or 0.0, tied=tied, orthogonal=not tied, decay=decay
    )
    assert np.abs(symmetry.expand(found.logits[-1]) - net.logits).max() < AGREEMENT * np.abs(net.logits).max()
    assert found.loss[-1] == pytest.approx(net.loss, rel=AGREEMENT)
    values, counts = found.eigenvalues()
    assert np.allclose(np.sort(np.repeat(values, counts)), np.linalg.eigvalsh(net.gram), atol=AGREEMENT * values[0])
    asymmetry = np.linalg.norm(net.r - net.r.T) / np.linalg.norm(net.r)
    assert found.asymmetry[-1] == pytest.approx(asymmetry, abs=AGREEMENT)


def test_the_layers_conserve_their_balance():
    """E'E - B_1 B_1' - B_2' B_2 and B_1' B_1 - B_2 B_2' in every block, R not symmetric."""
    star = path_star_symmetry(7, 4)
    found = reduced_ladder_flow(star.algebra, star.target(), 2, [0.0, 2.0], init_scale=0.5)
    assert found.asymmetry[1] > 0.1
    for layers, gram in zip(found.layers, found.blocks, strict=True):
        b = layers + np.eye(layers.shape[-1])
        ends = b[:, 0] @ b[:, 0].swapaxes(-1, -2), b[:, 1].swapaxes(-1, -2) @ b[:, 1]
        between = b[:, 0].swapaxes(-1, -2) @ b[:, 0] - b[:, 1] @ b[:, 1].swapaxes(-1, -2)
        assert np.abs(between).max() < AGREEMENT
        difference = np.trace(gram, axis1=1, axis2=2) - sum(np.trace(x, axis1=1, axis2=2) for x in ends)
        assert difference[1] == pytest.approx(difference[0], abs=AGREEMENT)
        assert np.abs(b[1] - b[0]).max() > 0.1


@pytest.mark.parametrize("tied", [True, False])
def test_no_layers_are_node2vec(tied):
    star = path_star_symmetry(5, 3)
    some = {"init_scale": 0.5, "tied": tied, "row_weight": np.array([1.0, 2.0, 0.5])}
    found = reduced_ladder_flow(star.algebra, star.target(), 0, [1.0, 9.0], weight_decay=0.1, **some)
    known = reduced_flow(star.algebra, star.target(), [1.0, 9.0], weight_decay=0.05 if tied else 0.1, **some)
    assert np.allclose(found.logits, known.logits, rtol=0, atol=SAME * np.abs(known.logits).max())


def test_the_cost_does_not_grow_with_the_arms():
    star = path_star_symmetry(200_000, 5)
    found = reduced_ladder_flow(star.algebra, star.target(), 1, np.geomspace(1e-4, 3, 13), init_scale=1.0)
    assert star.algebra.n == 800_001
    assert (np.diff(found.loss) <= MONOTONE * found.loss[:-1]).all()
    assert found.loss[-1] < 0.6 * found.loss[0]


@pytest.mark.long
def test_the_hypercube_of_65536_nodes():
    """Ends at the tied optimum's logits, the embedding's eigenvalues at the inverse of the spectral map."""
    cube = hamming_symmetry(16, 2)
    found = reduced_ladder_flow(cube.algebra, cube.target(), 2, [100.0], init_scale=0.1)
    values, counts = found.eigenvalues()
    expected = spectral_map(2, init_scale=0.1).gram(2**16 * np.arctanh(1 - 2 / 16))
    assert (values[0], counts[0]) == (pytest.approx(expected, rel=1e-6), 16)
    assert values[1] == pytest.approx(0.01, rel=1e-6)  # the constant mode
    assert found.asymmetry.max() == 0


def test_refusals():
    star = path_star_symmetry(5, 3)
    with pytest.raises(ValueError, match="inner_scale is for residual=False"):
        reduced_ladder_flow(star.algebra, star.target(), 1, [1.0], init_scale=0.5, inner_scale=1.0)
    with pytest.raises(ValueError, match="depth 900 makes a state of 11713 numbers"):
        reduced_ladder_flow(star.algebra, star.target(), 900, [1.0], init_scale=0.5)


def test_the_target_of_the_algebra_is_that_of_the_graph():
    symmetry = graph_symmetry(parse("grid:3x3"), family=False)
    assert np.array_equal(symmetry.expand(symmetry.target()), one_hop_target(parse("grid:3x3")))
