"""The flow of a tied net of any depth on cycles and tori of any size: two numbers a Fourier mode.

From E(0) = s I everything is circulant and symmetric, all matrices commute and the layers are equal. With e the
eigenvalue of E, b = w (or 1 + w, with residual connections) that of every B_l, t and p those of the target and of the
softmax of the logits mu = e^2 b^L,

    d ln e / dt = 2 (t - p) b^L - l,          dw/dt = (t - p) e^2 b^{L-1} - l w,

for the objective L + (l/2) (||E||^2 + sum_l ||W_l||^2). Without decay b^2 - e^2/2 is conserved, and mu = phi(e^2) of
``ladder.spectral``; where it starts negative, b may change its sign. w is carried in units of its start without
residual connections. Time is step size times steps.
Source: ours; L = 0 is ``flow.cayley``, at its weight decay l/2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..checks import Array, brief, check_flag, check_smoothing, check_whole_number
from ..flow.cayley import LAST_TIME, TOLERANCE, FourierModes, integrate_modes
from ..flow.integrator import check_times, check_tolerance
from ..flow.starts import check_scale
from ..graphs.graph import Graph, check_graph
from ..softmax import check_weight_decay
from .reduced import inner_start
from .spectral import DEEPEST


@dataclass(frozen=True, eq=False)
class LadderModesTrajectory:
    """``times`` (k,); ``gram``, ``layer`` and ``logits`` (k, modes): eigenvalues of EE', of every B_l and of Z, each
    occurring ``multiplicity`` times; ``frequencies`` (modes, axes); ``loss`` (k,), summed over nodes, without decay."""

    times: Array
    gram: Array
    layer: Array
    logits: Array
    multiplicity: NDArray[np.int64]
    frequencies: NDArray[np.int64]
    loss: Array


def cayley_ladder_flow(
    graph: Graph,
    depth: int,
    times: ArrayLike,
    *,
    init_scale: float,
    residual: bool = True,
    inner_scale: float | None = None,
    weight_decay: float = 0.0,
    self_edges: bool = False,
    label_smoothing: float = 0.0,
    tolerance: float = TOLERANCE,
) -> LadderModesTrajectory:
    """The flow of L = ``depth`` >= 0 layers on a cycle or torus at ``times``; starts as in ``reduced_ladder_flow``.

    Raises ValueError for another graph or bad arguments, RuntimeError if the integrator gives up.

    >>> from fiedler.theory import cayley_ladder_flow, parse
    >>> flow = cayley_ladder_flow(parse("cycle:15"), 2, [1000], init_scale=0.01)
    >>> flow.gram.max().round(3).item(), flow.logits.max().round(2).item()  # the logits are those of Node2Vec
    (8.6, 45.58)
    """
    if check_graph(graph).family not in ("cycle", "torus"):
        raise ValueError(f"{brief(graph.name)} is no cycle or torus; use reduced_ladder_flow or end_to_end_flow")
    t, decay, s = check_times(times, LAST_TIME), check_weight_decay(weight_decay), check_scale(init_scale, "init_scale")
    layers, skip = check_whole_number(depth, "depth", 0, DEEPEST), check_flag(residual, "residual")
    inner = inner_start(s, skip, inner_scale, True)
    if decay * t[-1] > LAST_TIME:
        raise ValueError(
            f"weight_decay {decay:g} to time {t[-1]:g} takes too many explicit steps; use a shorter time or "
            "reduced_ladder_flow"
        )
    check_tolerance(tolerance, "tolerance")
    modes = FourierModes(graph.parameters, check_flag(self_edges, "self_edges"), check_smoothing(label_smoothing))
    count = len(modes.target)

    def read(state: Array) -> tuple[Array, Array, Array]:
        """e^2, b and mu."""
        energy = np.exp(2 * state[..., :count])
        b = 1 + state[..., count:] if skip else inner * state[..., count:]
        return energy, b, energy * b**layers

    def derivative(_: float, state: Array) -> Array:
        energy, b, mu = read(state)
        r = modes.target - modes.probabilities(mu)
        pull = r * energy * b ** max(layers - 1, 0)  # without layers it pulls at what is not there
        change = pull if skip else pull / inner
        return np.concatenate([2 * r * b**layers - decay, change - decay * state[count:]])

    start = np.concatenate([np.full(count, np.log(s)), np.full(count, 0.0 if skip else 1.0)])
    states = integrate_modes(derivative, start, t, tolerance)
    gram, b, logits = read(states)
    loss = np.array([modes.loss(z) for z in logits])
    return LadderModesTrajectory(t, gram, b, logits, modes.multiplicity, modes.frequencies, loss)
