"""The sums over all pairs of nodes that the optimum of a large graph needs, from the fused losses of ``kernels``.

With the identity as target, sum_i w_i [lse(Z_i) - Z_ii] and its gradients give sum_i w_i lse(Z_i), diag(w) P U,
P' diag(w) V and P' w, since those of Z_ii are known: ``theory.RowSums``, on any device, no n x n array.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import DTypeLike

from fiedler.kernels import CsrTarget, csr_target, graph_cross_entropy, tied_graph_cross_entropy
from fiedler.theory import RowPass, RowSums

from .task import Floats


def fused_row_pass(device: str = "cpu") -> RowPass:
    """``theory.RowPass`` on ``device``: float32 or float64 as asked, no TF32, the same bits each time.

    Tied logits without a bias take two products over all pairs in the place of three.
    """

    def row_pass(
        v: Floats, u: Floats, c: Floats | None, w: Floats, *, dtype: DTypeLike, check: Callable[[], None] | None
    ) -> RowSums:
        if check is not None:
            check()
        kind = torch.float32 if np.dtype(dtype) == np.float32 else torch.float64
        target = _identity(len(v), kind, device)

        def tensor(a: Floats) -> torch.Tensor:
            return torch.from_numpy(np.ascontiguousarray(a)).to(device, kind, copy=True)

        weight, x = tensor(w), tensor(v).requires_grad_()
        if u is v and c is None:
            loss = tied_graph_cross_entropy(x, target, row_weight=weight, path="symmetric")
            loss.backward()
            own = float((w @ (v * v)).sum())
            both = _array(x.grad) + 2 * w[:, None] * v
            return RowSums(float(loss.detach()) + own, both, np.zeros_like(v), np.zeros(0))
        y, bias = tensor(u).requires_grad_(), tensor(np.zeros(len(u)) if c is None else c).requires_grad_()
        loss = graph_cross_entropy(x, y, target, bias=bias, row_weight=weight, path="chunked")
        loss.backward()
        own = float((w @ (v * u)).sum()) + (0.0 if c is None else float(w @ c))
        return RowSums(
            float(loss.detach()) + own,
            _array(x.grad) + w[:, None] * u,
            _array(y.grad) + w[:, None] * v,
            _array(bias.grad) + w,
        )

    return row_pass


@lru_cache(maxsize=4)
def _identity(n: int, dtype: torch.dtype, device: str) -> CsrTarget:
    return csr_target(sp.eye_array(n, format="csr"), dtype=dtype, device=device)


def _array(gradient: torch.Tensor | None) -> Floats:
    assert gradient is not None
    return gradient.cpu().numpy().astype(np.float64)
