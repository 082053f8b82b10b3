"""What the smoke test of the sharded graph losses compares on a card, or in a rehearsal in the interpreter."""

from __future__ import annotations

from dataclasses import replace

import scipy.sparse as sp
import torch
from torch import Tensor


def sharded_pairs(x: Tensor, c: Tensor, pivot: Tensor, weight: Tensor) -> list[tuple[str, Tensor, Tensor]]:
    """Loss and gradients of both sharded graph losses on one process, whose block is whole, and a block by itself."""
    from fiedler.kernels import sharded_graph_cross_entropy, sharded_target, tied_sharded_graph_cross_entropy
    from fiedler.kernels.gpu.tied import TiedRows
    from fiedler.kernels.graph.cuda import pivot_sums, tied_block_average

    n = len(x)
    rows = sp.csr_array(([1.0] * n, (range(n), pivot.tolist())), shape=(n, n))
    pairs = []
    for tied in (False, True):
        target = replace(sharded_target(rows, tied=tied, device=x.device), fused=True)
        leaves = [t.clone().requires_grad_() for t in ((x,) if tied else (x, c))]
        wide = [t.detach().double().requires_grad_() for t in leaves]
        call = tied_sharded_graph_cross_entropy if tied else sharded_graph_cross_entropy
        loss = call(*leaves, target, row_weight=weight)
        z = wide[0] @ wide[-1].T
        exact = (torch.nn.functional.cross_entropy(z, pivot, reduction="none") * weight.double()).sum()
        got, want = ((each.detach(), *torch.autograd.grad(each, of)) for each, of in ((loss, leaves), (exact, wide)))
        names = ("loss", "tied") if tied else ("loss", "embedding", "context")
        pairs += list(zip(names, got, want, strict=True))
    sums, _ = pivot_sums(x, x, None, pivot, average=False)
    half, factor = n // 3, weight / (sums.own + sums.others)
    p = torch.softmax(x.double() @ x.double().T, dim=1).scatter(1, pivot[:, None], 0.0) * weight.double()[:, None]
    sides = []
    for rows_here, start, size in ((slice(0, half), half, n - half), (slice(half, n), 0, half)):
        own = pivot[rows_here] - start
        own = torch.where((own >= 0) & (own < size), own, -1)
        sides.append(TiedRows(x[rows_here], own, sums.offset[rows_here].clone(), factor[rows_here]))
    exact_block = (p + p.T)[:half, half:] @ x[half:].double()
    return [*pairs, ("block of rows", tied_block_average(*sides), exact_block)]
