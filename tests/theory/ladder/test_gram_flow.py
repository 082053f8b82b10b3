import numpy as np
import pytest

from fiedler.theory import follow, one_hop_target, parse, tied_flow, tied_optimum
from fiedler.theory.ladder.gram_flow import ladder_gram_equation, ladder_gram_flow
from ladder_nets import follow_net, target_of

AGREEMENT = 1e-6  # two integrations at 1e-9 a step, errors amplified by the growing modes
MONOTONE = 1e-9  # relative: a loss that has stopped falling
DIFFERENCE = 1e-6  # central differences, relative
TIMES = np.array([0.0, 1.0, 3.0])


@pytest.mark.parametrize("options", [{}, {"residual": False}, {"residual": False, "inner_scale": 0.6}])
@pytest.mark.parametrize("word", ["cycle:7", "truncated tetrahedron"])
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_it_is_the_flow_of_the_whole_net(word, depth, options):
    scale = 0.6
    found = ladder_gram_flow(target_of(word), scale, depth, TIMES, **options)
    inner = 0.0 if options == {} else options.get("inner_scale", scale * np.sqrt(0.5))
    net = follow_net(word, depth, TIMES[-1], scale, residual=options == {}, inner=inner)
    assert np.abs(found.embedding[-1] - net.embedding).max() < AGREEMENT
    assert np.abs(found.logits[-1] - net.logits).max() < AGREEMENT * np.abs(net.logits).max()
    assert found.loss[-1] == pytest.approx(net.loss, rel=AGREEMENT)
    assert found.asymmetry.max() < AGREEMENT
    assert (np.diff(found.loss) <= MONOTONE * found.loss[:-1]).all()


def test_no_layers_are_node2vec():
    target = one_hop_target(parse("cycle:7"))
    found, known = ladder_gram_flow(target, 0.2, 0, TIMES), tied_flow(target, 0.2 * np.eye(7), TIMES)
    assert np.allclose(found.embedding, known.embedding, rtol=0, atol=1e-9)


def test_the_gram_matrix_moves_as_stated():
    """dK/dt = C phi(K) + phi(K) C, against differences of K along the flow."""
    target, step = one_hop_target(parse("cycle:7")), 1e-4
    found = ladder_gram_flow(target, 0.5, 3, [2.0 - step, 2.0, 2.0 + step], row_weight=2 * np.ones(7))
    p = np.exp(found.logits[1])
    r = 2 * (target - p / p.sum(axis=1, keepdims=True))
    half = (r + r.T) @ found.logits[1]
    slope = (found.gram[2] - found.gram[0]) / (2 * step)
    assert np.abs(slope - half - half.T).max() < DIFFERENCE * np.abs(slope).max()


@pytest.mark.parametrize(("depth", "expected"), [(1, 15.43674), (2, 8.59999), (3, 5.85546)])
def test_the_fifteen_cycle(depth, expected):
    """Limits of the embedding from s = 0.01, which moves them by s^2; logits those of the tied optimum."""
    target = one_hop_target(parse("cycle:15"))
    found = ladder_gram_flow(target, 1e-2, depth, [1000.0])
    values = np.linalg.eigvalsh(found.gram[0])[::-1]
    assert values[:2] == pytest.approx(expected, abs=1e-4)
    assert values[2] == pytest.approx(1e-4, rel=1e-6)  # the constant mode has not moved
    centred = found.logits[0] - found.logits[0].mean(axis=0)
    assert np.abs(centred - tied_optimum(target).centred_gram).max() < AGREEMENT * 6


@pytest.mark.parametrize("word", ["path-star:3x3", "karate"])
def test_an_asymmetric_residual_is_reported_and_refused(word):
    target = one_hop_target(parse(word))
    path = follow(ladder_gram_equation(target, 0.1, 2), 1.0)
    assert path.at([1.0]).asymmetry[0] > 0.1
    with pytest.raises(
        ValueError, match=r"R does not stay symmetric: \|R - R'\| is \S+ \|R\| at time 1,.* use end_to_end_flow"
    ):
        ladder_gram_flow(target, 0.1, 2, [1.0])


def test_a_symmetric_target_is_not_enough():
    """A symmetric target of a graph with two types of nodes: R is symmetric at Z = 0 and not later."""
    a = np.zeros((6, 6))
    for i, j in ((0, 1), (1, 2), (2, 0), (0, 3), (1, 4), (2, 5)):
        a[i, j] = a[j, i] = 0.25
    target = a + np.diag(1 - a.sum(axis=1))
    assert np.array_equal(target, target.T)
    found = follow(ladder_gram_equation(target, 1e-3, 1), 20.0).at([0.0, 20.0])
    assert found.asymmetry[0] < 1e-5  # of order s^2
    assert found.asymmetry[1] > 0.1


def test_a_uniform_target_has_no_residual_to_be_asymmetric():
    found = ladder_gram_flow(np.full((4, 4), 0.25), 1e-9, 1, [0.0, 1.0])
    assert found.asymmetry.tolist() == [0.0, 0.0]
