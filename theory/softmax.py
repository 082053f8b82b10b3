"""Full-softmax cross-entropy between a logit matrix and a row-stochastic target.

    L(Z) = sum_i w_i [ lse(Z_i) - T_i . Z_i ],     P = row-softmax(Z),     R = diag(w) (T - P) = -dL/dZ.

All arrays are float64 of shape (n, n) (w: (n,)); leading batch dimensions are allowed on Z. The functions of logits are
evaluated in every step of a flow and check nothing; the package exports them with their checks (``checked_loss``).
Source: arXiv 2510.26745, section 4 (w = 1: the first vertex of a pair is uniform).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from .checks import Array, check_real, check_reals, shown

# A row of a target may miss a sum of one by this much: n additions of float64 numbers below one.
ROW_SUM_TOLERANCE = 1e-10
# Of a positive row weight, its inverse and a weight decay: no flow resolves rates further apart.
LARGEST_RATE = 1e12


def log_sum_exp(logits: Array) -> Array:
    """lse(Z_i) = log sum_j exp(Z_ij), over the last axis, shifted by the row maximum."""
    top = logits.max(axis=-1, keepdims=True)
    total: Array = np.log(np.exp(logits - top).sum(axis=-1)) + top[..., 0]
    return total


def row_softmax(logits: Array) -> Array:
    """P_ij = exp(Z_ij) / sum_k exp(Z_ik), over the last axis; unchanged by adding a constant to a row."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    probabilities: Array = shifted / shifted.sum(axis=-1, keepdims=True)
    return probabilities


def cross_entropy(logits: Array, target: Array, row_weight: Array) -> Array:
    """The loss L(Z), summed over rows; shape () or the batch shape of Z."""
    per_row = log_sum_exp(logits) - np.einsum("...ij,ij->...i", logits, target)
    return np.asarray(per_row @ row_weight)


def residual(logits: Array, target: Array, row_weight: Array) -> Array:
    """R = diag(w) (T - P), the negative gradient of the loss in the logits; its rows sum to zero."""
    r: Array = row_weight[:, None] * (target - row_softmax(logits))
    return r


def target_entropy(target: Array, row_weight: Array) -> float:
    """sum_i w_i H(T_i), the floor of the loss over all logits (natural logarithm)."""
    positive = np.where(target > 0, target, 1.0)
    return float(-(row_weight[:, None] * target * np.log(positive)).sum())


def refuse_graph(target: object) -> None:
    """Raises TypeError for a graph, of any kind, in the place of a target, saying how to make its target."""
    if isinstance(target, str) or hasattr(target, "adjacency"):  # a word; our graphs and NetworkX's
        raise TypeError(
            f"target must be a row-stochastic matrix (n, n), not {type(target).__name__}; "
            "of a graph: one_hop_target(as_graph(graph))"
        )


def check_target(target: ArrayLike) -> Array:
    """Return T as a float64 array after checking that it is square, non-negative and row-stochastic.

    Raises ValueError naming the first offending row, TypeError for a graph.
    """
    refuse_graph(target)
    t = check_reals(target, "target")
    if t.ndim != 2 or t.shape[0] != t.shape[1] or t.shape[0] == 0:
        raise ValueError(f"target must be a square matrix with at least one row; got shape {t.shape}")
    if not np.isfinite(t).all() or (t < 0).any():
        row = int(np.flatnonzero(~np.isfinite(t).all(axis=1) | (t < 0).any(axis=1))[0])
        raise ValueError(f"target row {row} holds a negative or non-finite entry; use probabilities")
    with np.errstate(over="ignore"):  # entries of 1e308: refused with the rest
        miss = np.abs(t.sum(axis=1) - 1.0)
    if miss.max() > ROW_SUM_TOLERANCE:
        row = int(miss.argmax())
        raise ValueError(f"target row {row} sums to {t[row].sum():.6g}; divide each row by its sum (one_hop_target)")
    return t


def check_row_weight(row_weight: ArrayLike | None, n: int) -> Array:
    """Return w as a float64 array of shape (n,), ones when None.

    A row of weight zero has no term in the loss. Raises ValueError for a negative or non-finite weight, one other than
    zero out of range, or no positive weight at all."""
    if row_weight is None:
        return np.ones(n)
    w = check_reals(row_weight, "row_weight")
    if w.shape != (n,):
        raise ValueError(f"row_weight must have shape ({n},), one weight per node; got {w.shape}")
    good = (w == 0) | ((w >= 1 / LARGEST_RATE) & (w <= LARGEST_RATE))
    if not good.all():
        first = int(np.flatnonzero(~good)[0])
        limits = f"from {1 / LARGEST_RATE:.0e} to {LARGEST_RATE:.0e}"
        raise ValueError(f"row_weight[{first}] must be zero or a positive number, {limits}; got {w[first]:g}")
    if not w.any():
        raise ValueError("row_weight is zero for every node, which leaves no loss; give one a positive weight")
    return w


def check_weight_decay(weight_decay: float) -> float:
    """Return the weight decay as a float; raises ValueError unless it is finite and at least zero."""
    decay = check_real(weight_decay, "weight_decay")
    if not 0 <= decay <= LARGEST_RATE:
        raise ValueError(f"weight_decay must be a finite number >= 0, <= {LARGEST_RATE:.0e}; got {shown(weight_decay)}")
    return decay
