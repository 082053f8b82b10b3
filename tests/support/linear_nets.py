"""Linear nets to try the theory on, and their objective written out once more, with (m, m) products."""

from __future__ import annotations

from functools import reduce

import numpy as np
from scipy.special import log_softmax

from fiedler.theory import LinearNet, one_hop_target, parse

M, H = 3, 2
# Factors of each layer: none (Node2Vec), one matrix, attention's two, both kinds.
DEPTHS = {"L=0": (), "L=1": (1,), "L=3": (1, 1, 1), "pair": (2,), "pairs": (2, 2), "mixed": (1, 2, 1)}
NETS = [(depth, residual, tied) for depth in DEPTHS for residual in (False, True) for tied in (False, True)]


def problem(word="florentine", seed=0):
    """A target that is not symmetric, and row weights."""
    target = one_hop_target(parse(word))
    return target, 0.5 + np.random.default_rng(seed).random(len(target))


def random_net(n, depth, residual, tied, *, m=M, scale=0.5, seed=0):
    rng = np.random.default_rng(seed)

    def matrix(*shape):
        return scale * rng.standard_normal(shape)

    layers = tuple((matrix(m, m),) if count == 1 else (matrix(m, H), matrix(H, m)) for count in DEPTHS[depth])
    return LinearNet(matrix(n, m), layers, context=None if tied else matrix(n, m), residual=residual)


def matrices(net):
    """Every matrix of a net in the order of the state: E, U, the factors layer by layer."""
    first = [net.embedding] if net.context is None else [net.embedding, net.context]
    return [*first, *(factor for layer in net.layers for factor in layer)]


def with_matrices(net, values):
    """``net`` with other values, in the order of ``matrices``."""
    values = list(values)
    e = values.pop(0)
    u = None if net.context is None else values.pop(0)
    layers = tuple(tuple(values.pop(0) for _ in layer) for layer in net.layers)
    return LinearNet(e, layers, context=u, residual=net.residual)


def product(net):
    identity = np.eye(net.embedding.shape[1])
    weights = [reduce(np.matmul, layer) + net.residual * identity for layer in net.layers]
    return reduce(np.matmul, weights, identity)


def logits(net):
    return net.embedding @ product(net) @ (net.embedding if net.context is None else net.context).T


def objective(net, target, w, decay):
    loss = -(w[:, None] * target * log_softmax(logits(net), axis=1)).sum()
    return loss + decay / 2 * sum((x**2).sum() for x in matrices(net))


def moved(net, changes, step):
    return with_matrices(net, [x + step * change for x, change in zip(matrices(net), changes, strict=True)])


def at(net, index):
    """The net at one time of a trajectory."""
    return with_matrices(net, [x[index] for x in matrices(net)])


def rotated(net, q):
    """E Q, Q' W Q and so on: the same net in other columns."""
    layers = tuple((q.T @ x[0] @ q,) if len(x) == 1 else (q.T @ x[0], x[1] @ q) for x in net.layers)
    return LinearNet(net.embedding @ q, layers, None if net.context is None else net.context @ q, net.residual)


def relative(a, b):
    return max(np.abs(x - y).max() / np.abs(y).max() for x, y in zip(a, b, strict=True))
