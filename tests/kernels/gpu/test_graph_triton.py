"""Softmax averages of whole graphs on a card against float64: as accurate as PyTorch's own, and the same every time."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

if not torch.cuda.is_available():
    pytest.skip("needs a CUDA card", allow_module_level=True)

from fiedler.kernels.graph.cuda import softmax_average, softmax_lse, softmax_transpose_average, tied_softmax_average

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


def probabilities(x: Tensor, c: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor]:
    z = x.double() @ c.double().T
    z = z if bias is None else z + bias.double()
    lse = torch.logsumexp(z, 1)
    return torch.exp(z - lse[:, None]), lse


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("width", [3, 16, 64, 100, 128, 200, 256, 600])
def test_averages(width: int, biased: bool, dtype: torch.dtype) -> None:
    n, m = 777, 1301
    size = 2.0 / width**0.25
    x, c = normal(n, width, seed=0, dtype=dtype, size=size), normal(m, width, seed=1, dtype=dtype, size=size)
    bias = normal(m, seed=2, dtype=dtype) if biased else None
    weight = normal(n, seed=3, dtype=torch.float32)
    p, lse = probabilities(x, c, bias)
    got_lse, average = softmax_average(x, c, bias)
    wide = width > 256 or (dtype == torch.float32 and width > 128)
    loose = 16 if wide and dtype != torch.float32 else 1  # logits of wide embeddings are kept in 16 bits
    assert error(got_lse, lse) < (LSE_TOLERANCE if loose == 1 else 1e-3)
    assert error(average, p @ c.double()) < loose * TOLERANCE[dtype]
    back, columns = softmax_transpose_average(x, c, bias, got_lse, weight)
    spread = p * weight.double()[:, None]
    assert error(back, spread.T @ x.double()) < loose * TOLERANCE[dtype]
    assert error(columns, spread.sum(0)) < loose * TOLERANCE[dtype]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("width", [16, 64, 100, 128, 256])
def test_tied_average(width: int, biased: bool, dtype: torch.dtype) -> None:
    n = 1111
    x = normal(n, width, seed=0, dtype=dtype, size=2.0 / width**0.25)
    bias = normal(n, seed=2, dtype=dtype) if biased else None
    weight = normal(n, seed=3, dtype=torch.float32).abs()
    p, _ = probabilities(x, x, bias)
    spread = p * weight.double()[:, None]
    average, columns = tied_softmax_average(x, bias, softmax_lse(x, x, bias), weight)
    assert error(average, (spread + spread.T) @ x.double()) < TOLERANCE[dtype]
    assert error(columns, spread.sum(0)) < TOLERANCE[dtype]


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_same_every_time(dtype: torch.dtype) -> None:
    x, c = normal(3000, 128, seed=0, dtype=dtype), normal(2000, 128, seed=1, dtype=dtype)
    weight = torch.ones(3000, device="cuda")
    lse, average = softmax_average(x, c, None)
    back, columns = softmax_transpose_average(x, c, None, lse, weight)
    for _ in range(3):
        assert torch.equal(softmax_average(x, c, None)[1], average)
        again = softmax_transpose_average(x, c, None, lse, weight)
        assert torch.equal(again[0], back)
        assert torch.equal(again[1], columns)


def test_nothing_of_size_n_squared_is_stored() -> None:
    n, width = 60_000, 64
    x = normal(n, width, seed=0, dtype=torch.bfloat16, size=0.5)
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    lse = softmax_lse(x, x, None)
    tied_softmax_average(x, None, lse, torch.ones(n, device="cuda"))
    assert torch.cuda.max_memory_allocated() - before < 8 * n * width * 4
