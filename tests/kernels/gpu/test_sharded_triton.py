"""The sharded graph losses on a card, on one process, against float64 and the plain tiles, and what runs where."""

from __future__ import annotations

from dataclasses import replace

import pytest
import scipy.sparse as sp
import torch
from torch import Tensor

if not torch.cuda.is_available():
    pytest.skip("needs a CUDA card", allow_module_level=True)

from fiedler.kernels import (
    sharded_graph_cross_entropy,
    sharded_target,
    tied_sharded_graph_cross_entropy,
)
from fiedler.kernels.sharded.cross_entropy import runs_fused
from graph_targets import random_target

# As in test_graph_triton.py: probabilities rounded to the operands' dtype before the second product.
TOLERANCE = {torch.float32: 5e-6, torch.bfloat16: 6e-3, torch.float16: 2e-3}
LOSS_TOLERANCE = 1e-6
N = 1111


def found(dtype: torch.dtype, width: int, tied: bool, fused: bool = True) -> list[Tensor]:
    """Loss and gradients, in the rows' dtype."""
    generator = torch.Generator().manual_seed(0)
    leaves = [
        (torch.randn(N, width, generator=generator) * width**-0.25).to("cuda", dtype).requires_grad_() for _ in "xc"
    ][: 1 if tied else 2]
    weight = torch.rand(N, generator=generator).cuda()
    sums = torch.float64 if dtype == torch.float64 else torch.float32
    target = sharded_target(sp.csr_array(random_target(N, 4)), tied=tied, dtype=sums, device="cuda")
    assert target.fused
    loss = tied_sharded_graph_cross_entropy if tied else sharded_graph_cross_entropy
    made = loss(*leaves, replace(target, fused=fused), row_weight=weight.to(sums))
    return [made.detach(), *torch.autograd.grad(made, leaves)]


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("width", [20, 64, 128])
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_against_plain_tiles(dtype: torch.dtype, width: int, tied: bool) -> None:
    got, want = found(dtype, width, tied), found(dtype, width, tied, fused=False)
    assert abs(float(got[0]) - float(want[0])) < LOSS_TOLERANCE * abs(float(want[0]))
    for one, other in zip(got[1:], want[1:], strict=True):
        assert one.dtype == dtype
        assert float((one.double() - other.double()).norm() / other.double().norm()) < TOLERANCE[dtype]
    for one, again in zip(got, found(dtype, width, tied), strict=True):
        assert torch.equal(one, again)


def test_who_runs_where() -> None:
    target = sharded_target(sp.csr_array(random_target(8, 2)), tied=True, device="cuda")
    assert target.fused
    assert runs_fused(torch.zeros(8, 128, device="cuda"), target)
    assert not runs_fused(torch.zeros(8, 129, device="cuda"), target)
    assert not sharded_target(sp.csr_array(random_target(8, 2)), tied=True).fused
