"""Linear nets followed by SciPy, written out once more: the independent solver of the tests of ``theory.ladder``."""

from __future__ import annotations

from dataclasses import dataclass

import networkx as nx
import numpy as np
from scipy.integrate import solve_ivp
from scipy.special import log_softmax, softmax

import fiedler.theory as theory


@dataclass
class Net:
    """What ``follow_net`` ends in; ``layers`` are B_1 ... B_L."""

    embedding: np.ndarray
    context: np.ndarray
    layers: list[np.ndarray]
    logits: np.ndarray
    r: np.ndarray
    loss: float

    @property
    def gram(self):
        return self.embedding @ self.embedding.T


def target_of(word):
    if word == "truncated tetrahedron":  # vertex-transitive, and its algebra does not commute
        return theory.one_hop_target(theory.from_networkx(nx.truncated_tetrahedron_graph()))
    return theory.one_hop_target(theory.parse(word))


def product(matrices, width):
    out = np.eye(width)
    for one in matrices:
        out = out @ one
    return out


def velocity(target, e, u, layers, tied, decay=0.0, weights=None):
    """dE/dt, dU/dt and dW_l/dt; ``weights`` are what the decay of a layer pulls to zero, the layers when None."""
    m = e.shape[1]
    p = product(layers, m)
    r = target - softmax(e @ p @ u.T, axis=1)
    de, du, inner = r @ u @ p.T, r.T @ e @ p, e.T @ r @ u
    if tied:
        de = du = de + du
    pull = layers if weights is None else weights
    dw = [
        product(layers[:k], m).T @ inner @ product(layers[k + 1 :], m).T - decay * pull[k] for k in range(len(layers))
    ]
    return de - decay * e, du - decay * u, dw


def follow_net(word, depth, end, scale, *, residual=True, inner=0.0, tied=True, orthogonal=False, decay=0.0, rtol=1e-9):
    """From E = s I (untied: U = s I too, or both of width 2n and orthogonal) and W_l = ``inner`` I to time ``end``."""
    target = target_of(word) if isinstance(word, str) else word
    n = len(target)
    one, zero = scale * np.eye(n), np.zeros((n, n))
    e0, u0 = (np.hstack([one, zero]), np.hstack([zero, one])) if orthogonal else (one, one)
    m = e0.shape[1]
    skip = np.eye(m) if residual else np.zeros((m, m))

    def split(y):
        e, u, w = y[: n * m].reshape(n, m), y[n * m : 2 * n * m].reshape(n, m), y[2 * n * m :].reshape(depth, m, m)
        return e, u, list(w)

    def change(_, y):
        e, u, w = split(y)
        de, du, dw = velocity(target, e, u, [x + skip for x in w], tied, decay, w)
        return np.concatenate([x.ravel() for x in (de, du, *dw)])

    start = np.concatenate([x.ravel() for x in (e0, u0, *[inner * np.eye(m)] * depth)])
    found = solve_ivp(change, (0, end), start, method="DOP853", rtol=rtol, atol=rtol * 1e-3)
    e, u, w = split(found.y[:, -1])
    layers = [x + skip for x in w]
    z = e @ product(layers, m) @ u.T
    loss = -(target * log_softmax(z, axis=1)).sum()
    return Net(e, u, layers, z, target - softmax(z, axis=1), loss)


def spread(values):
    """How far apart they are: zero where nothing has happened."""
    return np.ptp(values) / np.abs(values).max()


def layers_of(target):
    """Largest miss of ``velocity`` against central differences of the loss, two layers."""
    rng = np.random.default_rng(0)
    n, m, h = len(target), 3, 1e-5
    e, layers = rng.standard_normal((n, m)), list(rng.standard_normal((2, m, m)))

    def loss(e, layers):
        return -(target * log_softmax(e @ product(layers, m) @ e.T, axis=1)).sum()

    de, _, dw = velocity(target, e, e, layers, True)
    misses = []
    for index in np.ndindex(m, m):
        step = np.zeros((m, m))
        step[index] = h
        for k in range(2):
            up, down = ([x + s * step * (j == k) for j, x in enumerate(layers)] for s in (1, -1))
            misses.append(abs((loss(e, down) - loss(e, up)) / (2 * h) - dw[k][index]))
    step = np.zeros((n, m))
    step[1, 2] = h
    misses.append(abs((loss(e - step, layers) - loss(e + step, layers)) / (2 * h) - de[1, 2]))
    return max(misses)
