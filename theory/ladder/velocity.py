"""The gradient of a linear net's loss, and the net's trained matrices as one state with m columns.

With R = diag(w) (T - P(Z)) and weight decay l >= 0 in L(Z) + (l/2) (sum of squares of all matrices, E once if tied),

    untied:  dE/dt = R U P' - l E,   dU/dt = R' E P - l U,            M = E' R U
    tied:    dE/dt = R E P' + R' E P - l E,                           M = E' R E
    dW_l/dt = G_l - l W_l,           G_l = (B_1 ... B_{l-1})' M (B_{l+1} ... B_L)'
    W_l = A_l C_l:   dA_l/dt = G_l C_l' - l A_l,   dC_l/dt = A_l' G_l - l C_l

since dL = -<R, dZ>. They are computed by one pass forward and one back with n rows, O(L n m^2) and O(n^2 m), never with
the (m, m) products above. A matrix that is not trained has velocity zero and no decay.

State: E over U over the layers (W, or A' over C), all with m columns. Where m is larger than n (2n untied), the rows of
E and U span at most n (2n) dimensions. If the layers vanish outside that space, W = QQ' W QQ' (W = 0 does), they always
will: every update is made of rows of E and U, and P maps the space to itself (a residual connection is the identity
outside, which nothing reads). Then Q' is split off, E = E_c Q', W = Q W_c Q', exactly. Otherwise all m columns stay.
Source: ours, generalising arXiv 2510.26745.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..checks import Array
from ..flow.trajectory import compress_columns
from ..softmax import cross_entropy, residual
from .net import Parameters, forward, logits_of

# What a layer may miss of Q Q' W Q Q', against its largest entry: sums of m products, and the rounding of Q, which the
# condition of E enlarges. The finest flow resolves 1e-13.
INSIDE = 1e-12


def steepest_descent(parameters: Parameters, skip: bool, target: Array, row_weight: Array) -> Parameters:
    """Minus the gradient of L in every matrix, of nets with any batch axes; ``skip``: with residual connections."""
    out, inputs = forward(parameters, skip)
    readout = parameters.readout
    r = residual(out @ readout.mT, target, row_weight)
    back, layers = r @ readout, []
    for layer, steps in zip(reversed(parameters.layers), reversed(inputs), strict=True):
        through, changes = back, []
        for factor, step in zip(reversed(layer), reversed(steps), strict=True):
            changes.append(step.mT @ through)
            through = through @ factor.mT
        layers.append(tuple(reversed(changes)))
        back = back + through if skip else through
    context = r.mT @ out
    if parameters.context is None:
        return Parameters(back + context, tuple(reversed(layers)), None)
    return Parameters(back, tuple(reversed(layers)), context)


def rotate(parameters: Parameters, q: Array) -> Parameters:
    """E Q, U Q, Q' W Q, Q' A, C Q: the same net in other columns, for Q (m, r) with orthonormal rows or columns."""
    layers = tuple(
        (q.T @ layer[0] @ q,) if len(layer) == 1 else (q.T @ layer[0], layer[1] @ q) for layer in parameters.layers
    )
    context = None if parameters.context is None else parameters.context @ q
    return Parameters(parameters.embedding @ q, layers, context)


def compress_net(parameters: Parameters) -> tuple[Parameters, Array | None]:
    """The net in the row space of E and U, and its Q (m, r): the module's state; the net and None where that is not
    exact or saves nothing."""
    rows = [parameters.embedding] if parameters.context is None else [parameters.embedding, parameters.context]
    q = compress_columns(*rows)[1]
    if q is None:
        return parameters, None
    inside = rotate(parameters, q)
    for layer, back in zip(parameters.layers, rotate(inside, q.T).layers, strict=True):
        for factor, same in zip(layer, back, strict=True):
            if np.abs(factor - same).max(initial=0.0) > INSIDE * np.abs(factor).max(initial=0.0):
                return parameters, None
    return inside, q


@dataclass(frozen=True, eq=False)
class Problem:
    """One net to be trained: its start ``parameters`` in few columns, ``q`` to go back (None: nothing to do), and what
    is trained. States (..., rows, r) stack what is trained."""

    parameters: Parameters
    q: Array | None
    skip: bool
    target: Array
    row_weight: Array
    decay: float
    train_embedding: bool
    train_layers: bool

    @property
    def start(self) -> Array:
        """The state to train from."""
        return self.pack(self.parameters)

    def pack(self, parameters: Parameters) -> Array:
        """The trained matrices on top of each other."""
        rows: list[Array] = []
        if self.train_embedding:
            rows += [parameters.embedding] if parameters.context is None else [parameters.embedding, parameters.context]
        if self.train_layers:
            for layer in parameters.layers:
                rows += layer if len(layer) == 1 else [layer[0].mT, layer[1]]
        return np.concatenate(rows, axis=-2)

    def unpack(self, states: Array) -> Parameters:
        """The matrices, trained or not, of one state or a stack of them."""
        used = 0

        def take(frozen: Array, trained: bool, transposed: bool = False) -> Array:
            nonlocal used
            if not trained:
                return frozen if states.ndim == 2 else np.broadcast_to(frozen, (*states.shape[:-2], *frozen.shape))
            count = frozen.shape[1 if transposed else 0]
            used += count
            part = states[..., used - count : used, :]
            return part.mT if transposed else part

        e = take(self.parameters.embedding, self.train_embedding)
        u = None if self.parameters.context is None else take(self.parameters.context, self.train_embedding)
        layers = tuple(
            tuple(take(factor, self.train_layers, len(layer) == 2 and index == 0) for index, factor in enumerate(layer))
            for layer in self.parameters.layers
        )
        return Parameters(e, layers, u)

    def velocity(self, states: Array) -> Array:
        """d state/dt, of one state or a stack of them."""
        change = self.pack(steepest_descent(self.unpack(states), self.skip, self.target, self.row_weight))
        return change if self.decay == 0 else change - self.decay * states

    def gram(self, states: Array) -> Array:
        """EE'."""
        e = self.unpack(states).embedding
        return np.asarray(e @ e.swapaxes(-1, -2))

    def loss(self, states: Array) -> Array:
        """L, without weight decay."""
        return cross_entropy(logits_of(self.unpack(states), self.skip), self.target, self.row_weight)

    def full(self, states: Array) -> Parameters:
        """The matrices in all m columns."""
        found = self.unpack(states)
        return found if self.q is None else rotate(found, self.q.T)
