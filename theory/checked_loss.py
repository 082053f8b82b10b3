"""The functions of ``softmax`` with their arguments checked: what the package exports."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from .checks import Array, check_array, check_reals
from .softmax import check_row_weight, check_target
from .softmax import cross_entropy as _cross_entropy
from .softmax import log_sum_exp as _log_sum_exp
from .softmax import residual as _residual
from .softmax import row_softmax as _row_softmax
from .softmax import target_entropy as _target_entropy


def log_sum_exp(logits: ArrayLike) -> Array:
    """lse(Z_i) = log sum_j exp(Z_ij), over the last axis. Entries may be -inf, but not a whole row of them.

    Raises ValueError for NaN, +inf, an empty row or one without a finite entry."""
    return _log_sum_exp(_masked_logits(logits))


def row_softmax(logits: ArrayLike) -> Array:
    """P_ij = exp(Z_ij) / sum_k exp(Z_ik), over the last axis; entries may be -inf and raises as ``log_sum_exp``."""
    return _row_softmax(_masked_logits(logits))


def cross_entropy(logits: ArrayLike, target: ArrayLike, row_weight: ArrayLike) -> Array:
    """The loss L(Z) for finite logits Z (..., n, n), a row-stochastic T (n, n) and w (n,), summed over rows: shape ()
    or the batch shape of Z. Raises ValueError for shapes that do not fit and entries out of range."""
    z, t, w = _problem(logits, target, row_weight)
    return _cross_entropy(z, t, w)


def residual(logits: ArrayLike, target: ArrayLike, row_weight: ArrayLike) -> Array:
    """R = diag(w) (T - P), the negative gradient of the loss in the logits; arguments as ``softmax``."""
    z, t, w = _problem(logits, target, row_weight)
    return _residual(z, t, w)


def target_entropy(target: ArrayLike, row_weight: ArrayLike) -> float:
    """sum_i w_i H(T_i), the floor of the loss over all logits (natural logarithm), for T and w of ``softmax``."""
    t = check_target(target)
    return _target_entropy(t, _weights(row_weight, len(t)))


def _masked_logits(logits: ArrayLike) -> Array:
    z = check_reals(logits, "logits")
    if z.ndim == 0 or z.shape[-1] == 0:
        raise ValueError(f"logits must have a last axis to sum over; got shape {z.shape}")
    check_array(np.where(z == -np.inf, 0.0, z), "logits")
    if (z == -np.inf).all(axis=-1).any():
        raise ValueError("logits hold a row of -inf only, over which there is no softmax; leave one entry finite")
    return z


def _problem(logits: ArrayLike, target: ArrayLike, row_weight: ArrayLike) -> tuple[Array, Array, Array]:
    t = check_target(target)
    z = check_array(logits, "logits")
    if z.shape[-2:] != t.shape:
        raise ValueError(f"logits must have shape (..., {len(t)}, {len(t)}) like the target; got {z.shape}")
    return z, t, _weights(row_weight, len(t))


def _weights(row_weight: ArrayLike, n: int) -> Array:
    if row_weight is None:  # of the flows and optima it is optional, here it is not: nothing is guessed
        raise TypeError(f"row_weight must have shape ({n},), one weight per node; got None; use np.ones({n})")
    return check_row_weight(row_weight, n)
