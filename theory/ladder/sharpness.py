"""The sharpness of a linear net's objective: the largest eigenvalue of its Hessian, which bounds the step of gradient
descent; of a net without layers that of Node2Vec (``flow.curvature``).

With G(s) the gradient of f = L(Z) + (l/2) (sum of squares of all matrices) in all of them, s,

    H x = (G(s + h x) - G(s - h x)) / 2 h + O(h^2),      |h x| = STEP max(1, |s|) in the largest entry,

whose error, STEP^2 of a third derivative and rounding over STEP, is about 1e-9 of H x. Gradient descent with step eta
is stable only while eta times the sharpness is below 2 (arXiv 2103.00065). Layers sharpen the objective: along E alone
the curvature grows with the products of the layers. Source: ours.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ..checks import Array
from ..flow.curvature import largest_eigenvalue
from ..flow.equations import check_logits
from ..softmax import check_row_weight, check_target, check_weight_decay
from .net import LinearNet, check_net, ladder_logits
from .velocity import Problem

STEP = 6e-6  # about the cube root of the rounding of float64: both errors are then of one size


def ladder_sharpness(
    target: ArrayLike, net: LinearNet, *, weight_decay: float = 0.0, row_weight: ArrayLike | None = None
) -> float:
    """The largest eigenvalue of the Hessian of the objective, the loss summed over rows, at ``net``.

    In units of 1 / time (t = step size x steps): a step of gradient descent on all matrices is stable while it is below
    2 / sharpness. ``target`` (n, n) row-stochastic, ``row_weight`` (n,). Some dozens of gradients, O(L n m^2 + n^2 m)
    each. With weight decay l of a tied net without layers it is ``sharpness`` with l / 2, whose objective has
    l ||V||^2. Raises ValueError for a batch of nets, bad shapes, target, weights or decay and logits that overflow,
    TypeError for what is no LinearNet.

    >>> import numpy as np
    >>> from fiedler.theory import LinearNet, ladder_flow, ladder_sharpness, one_hop_target, parse
    >>> target, zero = one_hop_target(parse("cycle:7")), np.zeros((7, 7))
    >>> def largest_step(layers):  # residual, at t = 50 from a small start
    ...     net = ladder_flow(target, LinearNet(0.1 * np.eye(7), ((zero,),) * layers, residual=True), [50]).net
    ...     last = LinearNet(net.embedding[0], tuple((w[0],) for (w,) in net.layers), residual=True)
    ...     return 2 / ladder_sharpness(target, last)
    >>> [round(largest_step(layers), 2) for layers in (0, 1, 2)]
    [0.56, 0.34, 0.25]
    """
    t, decay = check_target(target), check_weight_decay(weight_decay)
    weight = check_row_weight(row_weight, len(t))
    if check_net(net).embedding.ndim != 2:
        raise ValueError(f"net must be a single one; got a batch, with embedding of shape {net.embedding.shape}")
    if len(net.embedding) != len(t):
        raise ValueError(f"net must have {len(t)} rows like the target; got embedding of shape {net.embedding.shape}")
    check_logits(ladder_logits(net), "net")
    # All m columns: a change outside the rows that E spans is a change too.
    problem = Problem(net.parameters, None, net.residual, t, weight, decay, True, True)
    start = problem.start
    size = STEP * max(1.0, float(np.abs(start).max()))

    def product(x: Array) -> Array:
        largest = float(np.abs(x).max())
        if largest == 0:
            return np.zeros_like(x)
        step = size / largest * x
        return np.asarray((problem.velocity(start - step) - problem.velocity(start + step)) * (largest / (2 * size)))

    return largest_eigenvalue(product, start.shape)
