"""Softmax averages of whole graphs on a card against float64: as accurate as PyTorch's own, and the same every time."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

if not torch.cuda.is_available():
    pytest.skip("needs a CUDA card", allow_module_level=True)

from fiedler.kernels import csr_target, graph_cross_entropy, tied_graph_cross_entropy
from fiedler.kernels.gpu.tied import TiedRows
from fiedler.kernels.graph.cuda import (
    PivotSums,
    joined_sums,
    pivot_sums,
    pivot_transpose_average,
    tied_block_average,
    tied_pivot_average,
)
from fiedler.kernels.graph.cuda_symmetric import SYMMETRIC_FROM, tied_pivot_sums

# Errors in the norm against float64 formulas of the same operands: probabilities rounded to the operands' dtype before
# the second product (2^-9 and 2^-12 each, averaged over many), fp32 sums otherwise.
TOLERANCE = {torch.float32: 2e-6, torch.bfloat16: 3e-3, torch.float16: 1e-3}
LSE_TOLERANCE = 1e-6
DTYPES = [torch.float32, torch.bfloat16, torch.float16]


def normal(*shape: int, seed: int, dtype: torch.dtype, size: float = 1.0) -> Tensor:
    values = torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * size
    return values.to("cuda", dtype)


def error(got: Tensor, want: Tensor) -> float:
    value = float((got.double() - want).norm() / want.norm().clamp_min(1e-300))
    return value if value == value else float("inf")


def others(x: Tensor, c: Tensor, bias: Tensor | None, pivot: Tensor) -> tuple[Tensor, Tensor]:
    """The probabilities but for the pivots', and the log-sum-exp of all."""
    z = x.double() @ c.double().T
    z = z if bias is None else z + bias.double()
    lse = torch.logsumexp(z, 1)
    return torch.exp(z - lse[:, None]).scatter(1, pivot[:, None], 0.0), lse


def pivots(n: int, m: int) -> Tensor:
    return torch.randint(m, (n,), generator=torch.Generator().manual_seed(7)).cuda()


def log_sum(sums: PivotSums) -> Tensor:
    return sums.offset + (sums.own + sums.others).log()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("width", [3, 16, 64, 100, 128, 200, 256, 600])
def test_averages(width: int, biased: bool, dtype: torch.dtype) -> None:
    n, m = 777, 1301
    size = 2.0 / width**0.25
    x, c = normal(n, width, seed=0, dtype=dtype, size=size), normal(m, width, seed=1, dtype=dtype, size=size)
    bias = normal(m, seed=2, dtype=dtype) if biased else None
    weight, pivot = normal(n, seed=3, dtype=torch.float32), pivots(n, m)
    p, lse = others(x, c, bias, pivot)
    sums, average = pivot_sums(x, c, bias, pivot, average=True)
    assert average is not None
    wide = width > 256 or (dtype == torch.float32 and width > 128)
    loose = 16 if wide and dtype != torch.float32 else 1  # logits of wide embeddings are kept in 16 bits
    assert error(log_sum(sums), lse) < (LSE_TOLERANCE if loose == 1 else 1e-3)
    assert error(average, p @ c.double()) < loose * TOLERANCE[dtype]
    back, columns = pivot_transpose_average(x, c, bias, pivot, sums, weight)
    spread = p * weight.double()[:, None]
    assert error(back, spread.T @ x.double()) < loose * TOLERANCE[dtype]
    assert error(columns, spread.sum(0)) < loose * TOLERANCE[dtype]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("width", [16, 64, 100, 128, 256])
def test_tied_average(width: int, dtype: torch.dtype) -> None:
    n = 1111
    x = normal(n, width, seed=0, dtype=dtype, size=2.0 / width**0.25)
    weight, pivot = normal(n, seed=3, dtype=torch.float32).abs(), pivots(n, n)
    spread = others(x, x, None, pivot)[0] * weight.double()[:, None]
    sums = pivot_sums(x, x, None, pivot, average=False)[0]
    average = tied_pivot_average(x, pivot, sums, weight)
    assert error(average, (spread + spread.T) @ x.double()) < TOLERANCE[dtype]


def within(pivot: Tensor, block: slice) -> Tensor:
    return torch.where((pivot >= block.start) & (pivot < block.stop), pivot - block.start, -1)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("width", [64, 100, 128])
def test_blocks_of_columns_and_rows(width: int, dtype: torch.dtype) -> None:
    """As a ring of cards meets them: pivots mostly elsewhere, blocks of unlike sizes."""
    n = 777
    x = normal(n, width, seed=0, dtype=dtype, size=2.0 / width**0.25)
    weight, pivot = normal(n, seed=3, dtype=torch.float32).abs(), pivots(n, n)
    blocks = slice(0, 300), slice(300, 301), slice(301, n)
    p, lse = others(x, x, None, pivot)
    found = [pivot_sums(x, x[block], None, within(pivot, block), average=True) for block in blocks]
    sums, average = found[0]
    for part, mean in found[1:]:
        sums, left, right = joined_sums(sums, part)
        assert average is not None
        assert mean is not None
        average = average * left[:, None] + mean * right[:, None]
    assert average is not None
    assert error(log_sum(sums), lse) < LSE_TOLERANCE
    assert error(average, p @ x.double()) < TOLERANCE[dtype]
    spread, factor = p * weight.double()[:, None], weight / (sums.own + sums.others)
    tied = torch.zeros(n, width, device="cuda")
    for here in blocks:
        back = pivot_transpose_average(x, x[here], None, within(pivot, here), sums, weight)[0]
        assert error(back, (spread.T @ x.double())[here]) < 2 * TOLERANCE[dtype]  # one column averages less
        for there in blocks:
            rows, block = (
                TiedRows(x[a], within(pivot[a], b), sums.offset[a].clone(), factor[a])
                for a, b in ((here, there), (there, here))
            )
            tied[here] += tied_block_average(rows, block)
    assert error(tied, (spread + spread.T) @ x.double()) < TOLERANCE[dtype]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("tied", [False, True])
def test_confident_rows_keep_their_gradient(tied: bool, dtype: torch.dtype) -> None:
    """One neighbour a row, 1 - p near 1e-4: p - T, of which p rounded to 16 bits would leave noise."""
    n, width = 1024, 128  # every node names itself
    spots = torch.nn.functional.normalize(normal(n, width, seed=0, dtype=torch.float32), dim=1)
    x, names, target = (4.2 * spots).to(dtype), torch.arange(n, device="cuda"), csr_target(torch.eye(n), device="cuda")
    weight = torch.full((n,), 512.0, device="cuda")
    leaves = [x.clone().requires_grad_() for _ in range(1 if tied else 2)]
    exact = [leaf.detach().double().requires_grad_() for leaf in leaves]
    function = tied_graph_cross_entropy if tied else graph_cross_entropy
    function(*leaves, target, row_weight=weight).backward()
    z = exact[0] @ exact[-1].T
    (torch.nn.functional.cross_entropy(z, names, reduction="sum") * 512.0).backward()
    for found, right in zip(leaves, exact, strict=True):
        assert found.grad is not None
        assert right.grad is not None
        assert error(found.grad, right.grad) < {torch.float32: 1e-4, torch.bfloat16: 1e-2, torch.float16: 3e-3}[dtype]


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_same_every_time(dtype: torch.dtype) -> None:
    x, c = normal(3000, 128, seed=0, dtype=dtype), normal(2000, 128, seed=1, dtype=dtype)
    weight, pivot = torch.ones(3000, device="cuda"), pivots(3000, 2000)
    sums, average = pivot_sums(x, c, None, pivot, average=True)
    back, columns = pivot_transpose_average(x, c, None, pivot, sums, weight)
    for _ in range(3):
        again = pivot_sums(x, c, None, pivot, average=True)[1]
        assert average is not None
        assert again is not None
        assert torch.equal(again, average)
        spread = pivot_transpose_average(x, c, None, pivot, sums, weight)
        assert torch.equal(spread[0], back)
        assert torch.equal(spread[1], columns)


def test_nothing_of_size_n_squared_is_stored() -> None:
    n, width = 60_000, 64
    x, pivot = normal(n, width, seed=0, dtype=torch.bfloat16, size=0.5), pivots(n, n)
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    sums = pivot_sums(x, x, None, pivot, average=False)[0]
    tied_pivot_average(x, pivot, sums, torch.ones(n, device="cuda"))
    assert torch.cuda.max_memory_allocated() - before < 8 * n * width * 4


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("width", [16, 64, 100, 128, 228])
@pytest.mark.parametrize("far", [False, True])
def test_sums_of_tied_logits_from_half_of_the_tiles(width: int, dtype: torch.dtype, far: bool) -> None:
    n = SYMMETRIC_FROM + 77
    x, pivot = normal(n, width, seed=0, dtype=dtype, size=width**-0.25), pivots(n, n)
    if far:  # no offset suits all rows
        x[::5] *= 10.0 / x[::5].float().norm(dim=1, keepdim=True).to(dtype)
    sums = tied_pivot_sums(x, pivot)
    right = others(x, x, None, pivot)[1]
    tolerance = LSE_TOLERANCE if dtype != torch.float32 else 3 * LSE_TOLERANCE
    assert error(log_sum(sums), right) < tolerance
    assert bool((sums.offset == sums.offset[0]).all()) is not far or width > 128
    again = tied_pivot_sums(x, pivot)
    assert all(torch.equal(one, other) for one, other in zip(sums, again, strict=True))
