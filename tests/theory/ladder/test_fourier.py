import numpy as np
import pytest

from fiedler.theory import cayley_flow, parse, spectral_map
from fiedler.theory.ladder.fourier import cayley_ladder_flow
from ladder_nets import follow_net

AGREEMENT = 1e-6  # an integration at 1e-9 a step against another
SAME = 1e-7  # the same modes in other variables
TIMES = [0.0, 0.5, 3.0]


def repeated(values, counts):
    return np.sort(np.repeat(values, counts))


@pytest.mark.parametrize("decay", [0.0, 0.05])
@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize(("word", "depth"), [("cycle:7", 1), ("cycle:8", 3), ("torus:3x4", 2)])
def test_it_is_the_flow_of_all_nodes(word, depth, residual, decay):
    scale, inner = 0.7, None if residual else 0.5
    found = cayley_ladder_flow(
        parse(word), depth, TIMES, init_scale=scale, residual=residual, inner_scale=inner, weight_decay=decay
    )
    net = follow_net(word, depth, TIMES[-1], scale, residual=residual, inner=inner or 0.0, decay=decay)
    counts = found.multiplicity
    assert found.loss[-1] == pytest.approx(net.loss, rel=AGREEMENT)
    assert np.allclose(repeated(found.gram[-1], counts), np.linalg.eigvalsh(net.gram), atol=AGREEMENT)
    assert np.allclose(repeated(found.logits[-1], counts), np.linalg.eigvalsh(net.logits), atol=AGREEMENT * 10)
    assert np.allclose(repeated(found.layer[-1], counts), np.linalg.eigvalsh(net.layers[0]), atol=AGREEMENT)
    assert (found.gram[-1].max() - found.gram[0].max()) > 0.1


@pytest.mark.parametrize("word", ["cycle:15", "torus:4x5"])
def test_no_layers_are_node2vec(word):
    found = cayley_ladder_flow(parse(word), 0, [10.0], init_scale=0.1, weight_decay=0.02, label_smoothing=0.1)
    known = cayley_flow(parse(word), [10.0], init_scale=0.1, weight_decay=0.01, label_smoothing=0.1)
    assert np.allclose(found.gram, known.gram, rtol=SAME)


def test_a_layer_that_changes_its_sign():
    """b^2 - e^2/2 starts negative: the one layer of a mode that shrinks crosses zero."""
    found = cayley_ladder_flow(parse("cycle:7"), 1, [3.0], init_scale=1.5, residual=False, inner_scale=0.3)
    net = follow_net("cycle:7", 1, 3.0, 1.5, residual=False, inner=0.3)
    assert found.layer.min() < -0.1
    expected = np.linalg.eigvalsh(net.layers[0])
    assert np.allclose(repeated(found.layer[-1], found.multiplicity), expected, atol=AGREEMENT)


@pytest.mark.parametrize("options", [{}, {"residual": False}, {"residual": False, "inner_scale": 0.3}])
def test_the_spectral_map_holds_along_the_flow(options):
    found = cayley_ladder_flow(parse("torus:12x12"), 2, np.geomspace(0.1, 100, 7), init_scale=0.3, **options)
    phi = spectral_map(2, init_scale=0.3, **options)
    assert np.allclose(found.logits, phi.logits(found.gram), rtol=AGREEMENT, atol=AGREEMENT)
    assert np.ptp(found.gram[-1]) > 0.5


@pytest.mark.parametrize("depth", [1, 2])
def test_a_torus_of_ten_thousand_nodes(depth):
    found = cayley_ladder_flow(parse("torus:100x100"), depth, [0.1, 1.0, 10.0], init_scale=0.1)
    assert (np.diff(found.loss) < 0).all()
    assert found.multiplicity.sum() == 10_000
    phi = spectral_map(depth, init_scale=0.1)
    assert np.allclose(found.logits, phi.logits(found.gram), rtol=AGREEMENT)


def test_other_graphs_are_refused():
    with pytest.raises(ValueError, match="is no cycle or torus; use reduced_ladder_flow"):
        cayley_ladder_flow(parse("karate"), 1, [1.0], init_scale=0.1)
