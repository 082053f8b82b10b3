"""What the smoke test of the graph kernels compares on a card: results beside float64 formulas. ``place`` is a
``card_steps.Place``."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def graph_inputs(place: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    n, width = (40, 20) if place.rehearse else (1030, 100)
    x, c = place.normal(n, width, size=width**-0.25), place.normal(n, width, seed=1, size=width**-0.25)
    return x, c, place.integers(n, n), torch.rand(n, device=place.device) + 0.5


def others(x: Tensor, c: Tensor, pivot: Tensor) -> Tensor:
    return torch.softmax(x.double() @ c.double().T, dim=1).scatter(1, pivot[:, None], 0.0)


def graph_pairs(place: Any) -> list[tuple[str, Tensor, Tensor]]:
    from fiedler.kernels.graph.cuda import pivot_sums, pivot_transpose_average

    x, c, pivot, weight = graph_inputs(place)
    sums, average = pivot_sums(x, c, None, pivot, average=True)
    back, columns = pivot_transpose_average(x, c, None, pivot, sums, weight)
    p = others(x, c, pivot)
    assert average is not None
    weighted = p * weight.double()[:, None]
    return [("average", average, p @ c.double()), ("back", back, weighted.T @ x.double()),
            ("columns", columns, weighted.sum(dim=0))]  # fmt: skip


def tied_pairs(place: Any, *, apart: bool = False) -> list[tuple[str, Tensor, Tensor]]:
    from fiedler.kernels.graph.cuda import pivot_sums, tied_pivot_average

    x, _, pivot, weight = graph_inputs(place)
    if apart:  # some rows' log-sum-exps a hundred nats above the others'
        x[::5] *= 10.0 / x[::5].float().norm(dim=1, keepdim=True).clamp_min(1e-3).to(x.dtype)
    sums, _ = pivot_sums(x, x, None, pivot, average=False)
    p = others(x, x, pivot) * weight.double()[:, None]
    return [("tied", tied_pivot_average(x, pivot, sums, weight), (p + p.T) @ x.double())]


def tied_apart_pairs(place: Any) -> list[tuple[str, Tensor, Tensor]]:
    return tied_pairs(place, apart=True)


def symmetric_pairs(place: Any) -> list[tuple[str, Tensor, Tensor]]:
    """log(s' / e_k) from half of the tiles, and where no offset suits all rows."""
    from fiedler.kernels.graph import cuda_symmetric
    from fiedler.kernels.profiling.recorded import replaced

    x, _, pivot, _ = graph_inputs(place)
    far = x.clone()
    far[::5] *= 10.0 / x[::5].float().norm(dim=1, keepdim=True).clamp_min(1e-3).to(x.dtype)
    pairs = []
    for name, rows in (("symmetric sums", x), ("far apart", far)):
        with replaced(cuda_symmetric, "SYMMETRIC_FROM", 0), replaced(cuda_symmetric, "STRIP_BYTES", 4 * len(x) * 3):
            found = cuda_symmetric.tied_pivot_sums(rows, pivot)
        z = rows.double() @ rows.double().T
        at = z.gather(1, pivot[:, None])
        right = torch.logsumexp(z.scatter(1, pivot[:, None], -torch.inf), dim=1) - at[:, 0]
        pairs.append((name, found.others.double().log() + found.offset.double() - found.at_pivot.double(), right))
    return pairs
