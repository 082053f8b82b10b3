import numpy as np
import pytest

from fiedler.theory import one_hop_target, parse
from fiedler.theory.ladder.end_to_end import end_to_end_equation, end_to_end_flow, product_velocity
from ladder_nets import follow_net, product

AGREEMENT = 1e-6  # two integrations at 1e-9 a step, errors amplified by the growing modes
ROUNDING = 1e-10  # of a sum of L products, against the same by singular vectors
WORDS = ("cycle:7", "path-star:3x3", "florentine")


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("depth", [1, 2, 4])
def test_it_is_the_flow_of_the_whole_net(word, depth, tied):
    scale, end = 0.4, 1.5
    target = one_hop_target(parse(word))
    n = len(target)
    net = follow_net(word, depth, end, scale, tied=tied)
    start = scale * np.eye(n)
    found = end_to_end_flow(target, start, np.eye(n), depth, [end], context0=None if tied else start)
    assert np.abs(found.embedding[0] - net.embedding).max() < AGREEMENT
    assert np.abs(found.context[0] - net.context).max() < AGREEMENT
    assert np.abs(found.product[0] - product(net.layers, n)).max() < AGREEMENT * np.abs(found.product[0]).max()
    assert np.abs(found.logits[0] - net.logits).max() < AGREEMENT * np.abs(net.logits).max()
    assert found.loss[0] == pytest.approx(net.loss, rel=AGREEMENT)


def test_orthogonal_untied_starts():
    n, scale = 7, 0.4
    one, zero = scale * np.eye(n), np.zeros((n, n))
    starts = np.hstack([one, zero]), np.hstack([zero, one])
    found = end_to_end_flow(
        one_hop_target(parse("path-star:3x3")), starts[0], np.eye(2 * n), 3, [1.0], context0=starts[1]
    )
    net = follow_net("path-star:3x3", 3, 1.0, scale, tied=False, orthogonal=True)
    assert np.abs(found.logits[0] - net.logits).max() < AGREEMENT * np.abs(net.logits).max()


@pytest.mark.parametrize("depth", [1, 2, 3, 7])
def test_the_product_moves_as_the_sum_over_balanced_layers(depth):
    rng = np.random.default_rng(depth)
    p, m = rng.standard_normal((2, 4, 4))
    left, values, right = np.linalg.svd(p)
    root = values ** (1 / depth)
    # Balanced layers of product P: left diag(root) on the left, diag(root) inside, diag(root) right on the right.
    layers = [np.diag(root) for _ in range(depth)]
    layers[0], layers[-1] = left @ layers[0], layers[-1] @ right
    change = np.zeros((4, 4))
    for k in range(depth):
        before, after = product(layers[:k], 4), product(layers[k + 1 :], 4)
        change += before @ before.T @ m @ after.T @ after
    assert np.abs(product_velocity(p, m, depth) - change).max() < ROUNDING * np.abs(change).max()


def test_rotations_of_the_width_and_permutations_of_the_nodes():
    rng = np.random.default_rng(0)
    target = one_hop_target(parse("path-star:3x3"))
    e, p = 0.3 * rng.standard_normal((7, 5)), np.eye(5) + 0.1 * rng.standard_normal((5, 5))
    q, order = np.linalg.qr(rng.standard_normal((5, 5)))[0], rng.permutation(7)
    one = end_to_end_flow(target, e, p, 3, [1.0])
    other = end_to_end_flow(target[np.ix_(order, order)], e[order] @ q, q.T @ p @ q, 3, [1.0])
    assert np.abs(other.logits - one.logits[:, order][:, :, order]).max() < AGREEMENT
    assert np.abs(other.embedding - one.embedding[:, order] @ q).max() < AGREEMENT


def test_it_leaves_the_tied_infimum_behind_where_the_residual_is_not_symmetric():
    """path-star:4x5, one layer: 1.2858 a node is the least a symmetric K and a bias can reach, 0.5708 the floor."""
    target = one_hop_target(parse("path-star:4x5"))
    found = end_to_end_flow(target, 0.1 * np.eye(17), np.eye(17), 1, [30.0, 100.0], rtol=1e-7)
    loss = found.loss / 17
    assert 1.2858 < loss[0] < 1.31
    assert 0.5708 < loss[1] < 0.5711


def test_refusals():
    target, e = one_hop_target(parse("cycle:5")), 0.1 * np.eye(5)
    with pytest.raises(ValueError, match="product0 is singular"):
        end_to_end_equation(target, e, np.zeros((5, 5)), 2)
    assert end_to_end_equation(target, e, np.zeros((5, 5)), 1).start.shape == (10, 5)
    with pytest.raises(ValueError, match="depth must be at least 1"):
        end_to_end_equation(target, e, np.eye(5), 0)
