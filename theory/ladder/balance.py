"""What a linear net conserves while it trains: the differences of Gram matrices of neighbouring matrices.

Without weight decay gradient flow conserves, for any target and any R (source: ours; the deep linear nets of
arXiv 1312.6120 and 1810.02281 conserve the inner ones),

    tied:    E'E - B_1 B_1' - B_L' B_L          untied:  E'E - B_1 B_1'  and  U'U - B_L' B_L  (L = 0: E'E - U'U)
    between layers:  B_l' B_l - B_{l+1} B_{l+1}'                      within a layer W = AC:  A'A - C C'

with A in the place of B_l where B_l = A C is read from the left, C where it is read from the right. With residual
connections B_l = I + W_l, and the first two rows hold for layers of one matrix; next to a layer I + A C nothing is
conserved: d(BB')/dt has the terms G + G', which are no derivative of anything in A and C.

With weight decay l a difference D of the third row, and every one without residual connections, obeys dD/dt = -2 l D.
With residual connections the decay pulls W_l, not B_l, to zero: D = X'X - YY' obeys

    dD/dt = -2 l D + l (s(X) - s(Y)),      s(E) = s(U) = 0,   s(B) = B + B'

(tied: dD/dt = -2 l D - l (s(B_1) + s(B_L))), so that it does not decay to zero: D = X'X - YY' tends to
(s(X) - s(Y))/2 where all come to rest. Gradient descent with step size eta moves each by O(eta).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..checks import Array
from .net import LinearNet, check_net


@dataclass(frozen=True, eq=False)
class LadderBalance:
    """Conserved differences, each (..., r, r), None where there is none.

    ``embedding``: tied E'E - B_1 B_1' - B_L' B_L, untied E'E - B_1 B_1', or E'E - U'U without layers; ``context``:
    U'U - B_L' B_L of an untied net with layers. ``between`` (L - 1 of them): B_l' B_l - B_{l+1} B_{l+1}'. ``within``
    (L): A'A - CC' of a layer of two matrices.
    """

    embedding: Array | None
    context: Array | None
    between: tuple[Array | None, ...]
    within: tuple[Array | None, ...]

    @property
    def conserved(self) -> tuple[Array, ...]:
        """All of them that exist."""
        every = (self.embedding, self.context, *self.between, *self.within)
        return tuple(one for one in every if one is not None)


def ladder_balance(net: LinearNet) -> LadderBalance:
    """The conserved differences of a net, or of a batch of them along a trajectory."""
    check_net(net)
    rows = [_columns(factors[0]) if alone else None for factors, alone in _ends(net)]  # Y Y' of a layer's left end
    columns = [_rows(factors[-1]) if alone else None for factors, alone in _ends(net)]  # X' X of its right end
    e = _rows(net.embedding)
    u = None if net.context is None else _rows(net.context)
    between = tuple(_difference(x, y) for x, y in zip(columns[:-1], rows[1:], strict=True))
    within = tuple(_rows(layer[0]) - _columns(layer[1]) if len(layer) == 2 else None for layer in net.layers)
    if not net.layers:
        return LadderBalance(_difference(e, u), None, between, within)
    first = _difference(e, rows[0])
    if u is None:
        return LadderBalance(_difference(first, columns[-1]), None, between, within)
    return LadderBalance(first, _difference(u, columns[-1]), between, within)


def _ends(net: LinearNet) -> list[tuple[tuple[Array, ...], bool]]:
    """The factors of each layer's B, and whether its two ends take part: all but those of I + AC."""
    if not net.residual:
        return [(layer, True) for layer in net.layers]
    return [((b,), len(layer) == 1) for b, layer in zip(net.products, net.layers, strict=True)]


def _rows(x: Array) -> Array:
    return np.asarray(x.swapaxes(-1, -2) @ x)


def _columns(y: Array) -> Array:
    return np.asarray(y @ y.swapaxes(-1, -2))


def _difference(x: Array | None, y: Array | None) -> Array | None:
    return None if x is None or y is None else x - y
