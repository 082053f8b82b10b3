"""A stack of residual sublayers read through norms, as in GPT-2, on one token: Z = N(x_L) diag(g) E'.

    x_0 = E,    x_l = x_{l-1} + act(N(x_{l-1}) diag(g_l) A_l) C_l,     Z = N(x_L) diag(g) E'

An attention that sees one token is a sublayer with act = identity, A its values and C its output projection (heads side
by side); a perceptron has act = GELU or ReLU. N is ``norms.normalise``: layer norm, RMS norm, or nothing, which
makes the identity sublayers those of a linear residual net. No biases. float64. Source: ours, after GPT-2.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.special import erf

from ..checks import Array, check_choice, check_matrix, check_type, check_vector, shown
from .norms import EPSILON, NORMS, check_epsilon, normalise, pull_back

ACTIVATIONS = ("identity", "relu", "gelu")


@dataclass(frozen=True, eq=False)
class Sublayer:
    """x + act(N(x) diag(gain) read) write: ``read`` A (m, h), ``write`` C (h, m), ``activation``: of ACTIVATIONS;
    ``gain`` (m,), ones when None, without meaning where the net has no norm."""

    read: Array
    write: Array
    activation: str = "identity"
    gain: Array | None = None

    def __post_init__(self) -> None:
        a = check_matrix(self.read, (None, None), "read")
        object.__setattr__(self, "read", a)
        object.__setattr__(self, "write", check_matrix(self.write, (a.shape[1], a.shape[0]), "write"))
        check_choice(self.activation, "activation", ACTIVATIONS)
        gain = np.ones(len(a)) if self.gain is None else check_vector(self.gain, "gain", len(a))
        object.__setattr__(self, "gain", gain)


@dataclass(frozen=True, eq=False)
class PreNormNet:
    """``embedding`` E (n, m), tied; ``sublayers`` in order; ``gain`` g (m,) of the final norm, ones when None;
    ``norm``: "layer", "rms" or "none", for all; ``epsilon``: e of the norms. Raises ValueError or TypeError for what
    does not fit."""

    embedding: Array
    sublayers: tuple[Sublayer, ...] = ()
    gain: Array | None = None
    norm: str = "layer"
    epsilon: float = EPSILON
    gains: tuple[Array, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        e = check_matrix(self.embedding, (None, None), "embedding")
        if not e.size:
            raise ValueError(f"embedding must have at least one row and column; got shape {e.shape}")
        object.__setattr__(self, "embedding", e)
        if not isinstance(self.sublayers, (tuple, list)):
            raise TypeError(f"sublayers must be a tuple of Sublayer; got {shown(self.sublayers)}")
        for index, one in enumerate(self.sublayers):
            check_type(one, Sublayer, f"sublayers[{index}]", "make one with Sublayer(read, write)")
            if len(one.read) != e.shape[1]:
                raise ValueError(f"sublayers[{index}] must read {e.shape[1]} columns; got read of {one.read.shape}")
        object.__setattr__(self, "sublayers", tuple(self.sublayers))
        gain = np.ones(e.shape[1]) if self.gain is None else check_vector(self.gain, "gain", e.shape[1])
        object.__setattr__(self, "gain", gain)
        check_choice(self.norm, "norm", NORMS)
        object.__setattr__(self, "epsilon", check_epsilon(self.epsilon))
        gains = [one.gain for one in self.sublayers if one.gain is not None]
        object.__setattr__(self, "gains", (*gains, gain))


def check_pre_norm_net(net: object, n: int | None = None) -> PreNormNet:
    """``net`` if it is a PreNormNet (of n nodes); TypeError or ValueError otherwise."""
    found = check_type(net, PreNormNet, "net", "make one with PreNormNet(embedding, sublayers)")
    if n is not None and len(found.embedding) != n:
        raise ValueError(f"net must have {n} rows like the target; got an embedding of shape {found.embedding.shape}")
    return found


def pre_norm_logits(net: PreNormNet) -> Array:
    """Z (n, n); ValueError when it overflows."""
    check_pre_norm_net(net)
    with np.errstate(over="ignore", invalid="ignore"):
        z = Pass(net, arrays(net)).logits
    if not np.isfinite(z).all():
        raise ValueError("net has logits that overflow; scale its matrices down")
    return z


def pre_norm_features(net: PreNormNet, index: int) -> Array:
    """H = act(N(x) diag(g) A) (n, h) of the units of sublayer ``index``, counted from zero."""
    check_pre_norm_net(net)
    if isinstance(index, bool) or not isinstance(index, (int, np.integer)):
        raise TypeError(f"index must be a whole number; got {shown(index)}")
    if not 0 <= index < len(net.sublayers):
        raise ValueError(f"index must be that of one of the net's {len(net.sublayers)} sublayers; got {shown(index)}")
    with np.errstate(over="ignore", invalid="ignore"):
        h = Pass(net, arrays(net)).units[index]
    if not np.isfinite(h).all():
        raise ValueError("net has units that overflow; scale its matrices down")
    return h


def arrays(net: PreNormNet) -> list[Array]:
    """E, then A_l, C_l, g_l of each sublayer, then g."""
    parts = [net.embedding]
    for one, gain in zip(net.sublayers, net.gains[:-1], strict=True):
        parts += [one.read, one.write, gain]
    return [*parts, net.gains[-1]]


class Pass:
    """One pass forward through ``parts`` (as ``arrays`` lists them, with any leading axes), kept for the way back."""

    def __init__(self, net: PreNormNet, parts: list[Array]) -> None:
        self._net, self._parts = net, parts
        x, self.units, self._slopes, self._read = parts[0], [], [], []
        for index, one in enumerate(net.sublayers):
            read, write, gain = parts[1 + 3 * index : 4 + 3 * index]
            y, r = normalise(x, net.norm, net.epsilon)
            h, slope = _activate(one.activation, self._scaled(y, gain) @ read)
            self._read.append((y, r))
            self.units.append(h)
            self._slopes.append(slope)
            x = x + h @ write
        self._last = normalise(x, net.norm, net.epsilon)
        self.hidden = self._scaled(self._last[0], parts[-1])
        self.logits: Array = np.asarray(self.hidden @ parts[0].swapaxes(-1, -2))

    def _scaled(self, y: Array, gain: Array) -> Array:
        return y if self._net.norm == "none" else y * gain[..., None, :]

    def descent(self, r: Array, train_gain: bool) -> list[Array]:
        """Minus the gradient in every part, of a loss with the residual ``r`` = -dL/dZ (..., n, n)."""
        net, parts = self._net, self._parts
        trained = train_gain and net.norm != "none"
        moved = list(parts)
        change = r @ parts[0]
        moved[-1], change = self._through_norm(change, *self._last, parts[-1], trained)
        for index in reversed(range(len(net.sublayers))):
            read, write, gain = parts[1 + 3 * index : 4 + 3 * index]
            y, scale = self._read[index]
            inner = (change @ write.mT) * self._slopes[index]
            moved[1 + 3 * index] = self._scaled(y, gain).mT @ inner
            moved[2 + 3 * index] = self.units[index].mT @ change
            moved[3 + 3 * index], back = self._through_norm(inner @ read.mT, y, scale, gain, trained)
            change = change + back
        moved[0] = r.mT @ self.hidden + change
        return moved

    def _through_norm(self, change: Array, y: Array, scale: Array, gain: Array, trained: bool) -> tuple[Array, Array]:
        """What moves the gain, and what the norm's input hears."""
        moved = (change * y).sum(axis=-2) if trained else np.zeros_like(gain)
        return moved, pull_back(self._scaled(change, gain), y, scale, self._net.norm)


def _activate(name: str, z: Array) -> tuple[Array, Array]:
    """act(z) and its derivative; ReLU's is zero at zero."""
    if name == "identity":
        return z, np.ones_like(z)
    if name == "relu":
        return np.maximum(z, 0.0), (z > 0).astype(np.float64)
    share = 0.5 * (1.0 + erf(z / np.sqrt(2.0)))
    return z * share, share + z * np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi)
