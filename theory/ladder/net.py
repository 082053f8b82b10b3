"""The linear ladder from Node2Vec to a Transformer: nets Z = E P U' that read embeddings through linear layers.

P = B_1 ... B_L (m, m) for L >= 0 layers, with B_l = W_l, or B_l = I + W_l with residual connections. U is a matrix of
its own (untied) or E itself (tied). A layer's W_l is one matrix, or a product A_l C_l of two, A (m, h) and C (h, m):
what attention makes of a single token, which it cannot weigh against others, with A the values and C the output
projection. Several heads of width h_i are one such pair with all their columns side by side: W = sum_i A_i C_i has
A = [A_1 A_2 ...], the C_i on top of each other and h = sum_i h_i, and its gradient is that of the parts.

L = 0 is Node2Vec, L = 1 tied without residual the one-layer net. No bias, no activation, no normalisation. All arrays
float64. Source: ours; the one-layer net is that of arXiv 2510.26745.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..checks import Array, check_array, check_flag, check_type, shown

Layers = tuple[tuple[Array, ...], ...]


class Parameters(NamedTuple):
    """The matrices of a net, unchecked: E (..., n, m), the factors of each layer, U (..., n, m) or None where tied."""

    embedding: Array
    layers: Layers
    context: Array | None

    @property
    def readout(self) -> Array:
        """U, which is E in a tied net."""
        return self.embedding if self.context is None else self.context


@dataclass(frozen=True, eq=False)
class LinearNet:
    """A net Z = E P U' and the values of its parameters.

    ``embedding`` E (..., n, m); ``layers``: for each of the L layers the tuple of its factors, (W,) with W (..., m, m)
    or (A, C) with A (..., m, h) and C (..., h, m); ``context`` U (..., n, m), None for a tied net, which reads out with
    E; ``residual``: B_l = I + W_l in the place of W_l. Leading axes are those of a batch (of times, of seeds), the same
    for all. Raises TypeError or ValueError for matrices that do not fit.
    """

    embedding: Array
    layers: Layers = ()
    context: Array | None = None
    residual: bool = False

    def __post_init__(self) -> None:
        e = check_array(self.embedding, "embedding")
        if e.ndim < 2 or e.shape[-1] == 0:
            raise ValueError(f"embedding must have shape (..., n, m), m >= 1; got {e.shape}")
        object.__setattr__(self, "embedding", e)
        object.__setattr__(self, "layers", _check_layers(self.layers, e.shape[:-2], e.shape[-1]))
        object.__setattr__(self, "residual", check_flag(self.residual, "residual"))
        if self.context is not None:
            u = check_array(self.context, "context")
            if u.shape != e.shape:
                raise ValueError(f"context must have the shape of embedding, {e.shape}; got {u.shape}")
            object.__setattr__(self, "context", u)

    @property
    def depth(self) -> int:
        """The number of layers L."""
        return len(self.layers)

    @property
    def parameters(self) -> Parameters:
        """The matrices without the net."""
        return Parameters(self.embedding, self.layers, self.context)

    @property
    def products(self) -> tuple[Array, ...]:
        """B_1 ... B_L, (..., m, m) each."""
        identity = np.eye(self.embedding.shape[-1]) if self.residual else 0.0
        return tuple(np.asarray(_weight(layer) + identity) for layer in self.layers)


def _check_layers(layers: object, batch: tuple[int, ...], m: int) -> Layers:
    if not isinstance(layers, (tuple, list)):
        raise TypeError(f"layers must be a tuple with the factors of each layer, (W,) or (A, C); got {shown(layers)}")
    return tuple(_check_layer(layer, f"layers[{index}]", batch, m) for index, layer in enumerate(layers))


def _check_layer(layer: object, name: str, batch: tuple[int, ...], m: int) -> tuple[Array, ...]:
    if not isinstance(layer, (tuple, list)) or len(layer) not in (1, 2):
        raise TypeError(f"{name} must be a tuple of one matrix (W,) or two (A, C); got {shown(layer)}")
    factors = tuple(check_array(factor, f"a matrix of {name}") for factor in layer)
    h = factors[0].shape[-1] if len(factors) == 2 and factors[0].ndim else m
    wanted = ((m, m),) if len(factors) == 1 else ((m, h), (h, m))
    found = tuple(factor.shape for factor in factors)
    if found != tuple((*batch, *shape) for shape in wanted):
        tail = f"(..., {m}, {m})" if len(factors) == 1 else f"(..., {m}, h) and (..., h, {m})"
        raise ValueError(f"{name} must have shape {tail}, with the batch axes {batch} of embedding; got {found}")
    return factors


def _weight(layer: tuple[Array, ...]) -> Array:
    return layer[0] if len(layer) == 1 else layer[0] @ layer[1]


def check_net(net: object) -> LinearNet:
    """``net`` if it is a LinearNet; TypeError otherwise."""
    return check_type(net, LinearNet, "net", "make one with LinearNet(embedding, layers)")


def ladder_logits(net: LinearNet) -> Array:
    """Z = E B_1 ... B_L U', (..., n, n); ValueError when it overflows."""
    check_net(net)
    with np.errstate(over="ignore", invalid="ignore"):
        logits = logits_of(net.parameters, net.residual)
    if not np.isfinite(logits).all():
        raise ValueError("net has logits that overflow; scale its matrices down")
    return logits


def logits_of(parameters: Parameters, skip: bool) -> Array:
    """Z, of parameters with any batch axes; ``skip``: with residual connections."""
    return np.asarray(forward(parameters, skip)[0] @ parameters.readout.swapaxes(-1, -2))


def forward(parameters: Parameters, skip: bool) -> tuple[Array, list[list[Array]]]:
    """E P (..., n, m), and the input of every factor of every layer."""
    h, inputs = parameters.embedding, []
    for layer in parameters.layers:
        steps = [h]
        for factor in layer:
            steps.append(steps[-1] @ factor)
        out = steps.pop()
        h = h + out if skip else out
        inputs.append(steps)
    return h, inputs
