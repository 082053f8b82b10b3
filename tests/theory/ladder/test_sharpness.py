"""Sharpness of linear nets: second differences of the loss, Node2Vec's Hessian, invariances, and the edge itself."""

import numpy as np
import pytest
from scipy.special import logsumexp

from fiedler.theory import (
    LinearNet,
    ladder_descent,
    ladder_flow,
    ladder_sharpness,
    one_hop_target,
    parse,
    sharpness,
    tied_optimum,
)

DIFFERENCES = 2e-5  # second differences of a loss of order ten with a step of 1e-4, relative to the eigenvalue
STEP = 1e-4
SAME = 1e-6  # two ways to one eigenvalue: differences of gradients, and ARPACK's 1e-8
N, M = 4, 2


def setting(seed=0):
    rng = np.random.default_rng(seed)
    target = rng.random((N, N))
    return target / target.sum(axis=1, keepdims=True), rng, 0.5 + rng.random(N)


def objective(shapes, residual, tied, target, w, decay):
    """L + (l/2) (sum of squares), of all matrices in one vector: E, the layers' factors, U where untied."""

    def value(flat):
        ends = np.cumsum([a * b for a, b in shapes])[:-1]
        e, *rest = (part.reshape(shape) for part, shape in zip(np.split(flat, ends), shapes, strict=True))
        u = e if tied else rest.pop()
        h = e
        while rest:
            layer = rest.pop(0)
            w_l = layer if layer.shape == (M, M) else layer @ rest.pop(0)
            h = h @ (np.eye(M) * residual + w_l)
        z = h @ u.T
        return w @ (logsumexp(z, axis=1) - (target * z).sum(axis=1)) + decay / 2 * (flat**2).sum()

    return value


@pytest.mark.parametrize("decay", [0.0, 0.3])
@pytest.mark.parametrize(
    ("factored", "residual", "tied"), [(False, True, True), (True, False, True), (False, False, False)]
)
def test_it_is_the_largest_eigenvalue_of_the_hessian_by_differences(factored, residual, tied, decay):
    target, rng, w = setting()
    draw = lambda *shape: rng.standard_normal(shape)  # noqa: E731
    layers = ((draw(M, 1), draw(1, M)), (draw(M, M),)) if factored else ((draw(M, M),), (draw(M, M),))
    net = LinearNet(draw(N, M), layers, None if tied else draw(N, M), residual)
    matrices = [net.embedding, *(one for layer in layers for one in layer), *([] if tied else [net.context])]
    value = objective([one.shape for one in matrices], residual, tied, target, w, decay)
    at = np.concatenate([one.ravel() for one in matrices])
    e = STEP * np.eye(at.size)
    wanted = np.array(
        [[value(at + a + b) - value(at + a - b) - value(at - a + b) + value(at - a - b) for b in e] for a in e]
    ) / (4 * STEP**2)  # fmt: skip
    found = ladder_sharpness(target, net, weight_decay=decay, row_weight=w)
    assert found == pytest.approx(np.linalg.eigvalsh(wanted)[-1], rel=DIFFERENCES)


@pytest.mark.parametrize("word", ["cycle:15", "karate", "path-star:20x3"])
def test_without_layers_it_is_node2vecs(word):
    target, rng = one_hop_target(parse(word)), np.random.default_rng(1)
    v = tied_optimum(target).embedding()
    assert ladder_sharpness(target, LinearNet(v)) == pytest.approx(sharpness(target, v), rel=SAME)
    u = v + 0.1 * rng.standard_normal(v.shape)
    wanted = sharpness(target, v, context=u, weight_decay=0.2)
    assert ladder_sharpness(target, LinearNet(v, (), u), weight_decay=0.2) == pytest.approx(wanted, rel=SAME)
    doubled = sharpness(target, v, weight_decay=0.1)
    assert ladder_sharpness(target, LinearNet(v), weight_decay=0.2) == pytest.approx(doubled, rel=SAME)


def test_columns_and_node_numbers_do_not_matter():
    target, rng, w = setting()
    e, layer = rng.standard_normal((N, M)), rng.standard_normal((M, M))
    q = np.linalg.qr(rng.standard_normal((M, M)))[0]
    wanted = ladder_sharpness(target, LinearNet(e, ((layer,),), residual=True), row_weight=w)
    turned = LinearNet(e @ q, ((q.T @ layer @ q,),), residual=True)
    assert ladder_sharpness(target, turned, row_weight=w) == pytest.approx(wanted, rel=SAME)
    p = rng.permutation(N)
    moved = LinearNet(e[p], ((layer,),), residual=True)
    assert ladder_sharpness(target[np.ix_(p, p)], moved, row_weight=w[p]) == pytest.approx(wanted, rel=SAME)


@pytest.mark.parametrize("layers", [1, 2])
def test_descent_stays_below_the_edge_and_leaves_above(layers):
    target = one_hop_target(parse("cycle:7"))
    start = LinearNet(0.1 * np.eye(7), ((np.zeros((7, 7)),),) * layers, residual=True)
    run = ladder_flow(target, start, [300.0])
    at = LinearNet(run.net.embedding[0], tuple((w[0],) for (w,) in run.net.layers), residual=True)
    edge = 2 / ladder_sharpness(target, at)
    moved = LinearNet(at.embedding + 1e-4 * np.random.default_rng(0).standard_normal((7, 7)), at.layers, residual=True)
    steps = np.arange(0, 301)
    below, above = (ladder_descent(target, moved, factor * edge, steps).loss - run.loss[-1] for factor in (0.9, 1.1))
    assert below[-1] < below[0] < 1e-5
    assert below.max() == below[0]
    assert above.max() > 1e2 * above[0]  # it may end at a flatter optimum, of which nets with layers have many


def test_bad_input_is_named():
    target = one_hop_target(parse("cycle:5"))
    with pytest.raises(ValueError, match=r"a single one; got a batch, with embedding of shape \(2, 5, 3\)"):
        ladder_sharpness(target, LinearNet(np.zeros((2, 5, 3))))
    with pytest.raises(ValueError, match="net must have 5 rows like the target"):
        ladder_sharpness(target, LinearNet(np.zeros((4, 3))))
    with pytest.raises(TypeError, match="make one with LinearNet"):
        ladder_sharpness(target, np.zeros((5, 3)))
