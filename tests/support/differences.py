"""Gradients by central differences, to hold analytic ones against."""

from __future__ import annotations

import numpy as np


def numeric_gradient(f, x):
    """Of a number ``f`` in every entry of ``x``, of any shape; a step of 1e-5."""
    out = np.empty_like(x)
    for i in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[i] = 1e-5
        out[i] = (f(x + step) - f(x - step)) / 2e-5
    return out
