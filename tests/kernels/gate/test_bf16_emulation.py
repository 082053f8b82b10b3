"""The emulation of bfloat16 that the gate's other tests rest on, and what the interpreter does without it."""

from __future__ import annotations

import pytest

from gate import run_short
from interpreted import INTERPRETED

if not INTERPRETED:

    @pytest.mark.triton
    def test_in_the_interpreter() -> None:
        run_short(__file__)

else:
    import numpy as np
    import torch
    import triton
    import triton.language as tl

    from bf16_interpreter import bf16_emulated, rounded, widened
    from fiedler.kernels.gpu.launch import Launch

    @triton.jit
    def product_kernel(a, b, out, SIZE: tl.constexpr):
        i, j = tl.arange(0, SIZE)[:, None], tl.arange(0, SIZE)[None, :]
        left, right = tl.load(a + i * SIZE + j), tl.load(b + i * SIZE + j)
        tl.store(out + i * SIZE + j, tl.dot(left, tl.trans(right), input_precision="ieee"))

    @triton.jit
    def arithmetic_kernel(a, b, out, whole, SIZE: tl.constexpr):
        i = tl.arange(0, SIZE)
        left, right = tl.load(a + i), tl.load(b + i)
        tl.store(out + i, tl.where(left > right, left + right, left * right))
        tl.store(whole + i, left.to(tl.int32).to(tl.bfloat16))

    @triton.jit
    def sum_kernel(a, out, SIZE: tl.constexpr):
        tl.store(out, tl.sum(tl.load(a + tl.arange(0, SIZE)), 0))

    def normal(*shape: int, seed: int) -> torch.Tensor:
        return (3 * torch.randn(shape, generator=torch.Generator().manual_seed(seed))).bfloat16()

    def test_rounding_is_pytorchs() -> None:
        """Every 16-bit pattern with neighbours in fp32 around the ties, infinities and subnormal numbers among them."""
        patterns = (np.arange(2**16, dtype=np.uint32) << 16)[:, None] + np.array(
            [0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF], dtype=np.uint32
        )
        numbers = patterns.reshape(-1).view(np.float32)
        want = torch.from_numpy(numbers).bfloat16().float().numpy()
        np.testing.assert_array_equal(widened(rounded(numbers)), want)
        double = numbers[np.isfinite(numbers)][::7].astype(np.float64) * (1 + 2.0**-40)
        nearest = torch.from_numpy(double)
        down = nearest.float().bfloat16().double()
        # Once from 53 bits: no neighbour of the result is nearer.
        got = torch.from_numpy(widened(rounded(double))).double()
        finite = torch.isfinite(got) & torch.isfinite(down)
        assert bool(((got - nearest).abs() <= (down - nearest).abs())[finite].all())

    def test_products() -> None:
        a, b, out = normal(32, 32, seed=0), normal(32, 32, seed=1), torch.empty(32, 32)
        launch = Launch(product_kernel, (1,), {"a": a, "b": b, "out": out, "SIZE": 32}, num_warps=4)
        with bf16_emulated():
            launch.run()
        want = a.double() @ b.double().T
        assert float((out.double() - want).abs().max()) < 1e-4
        launch.run()  # why it is there: the interpreter alone multiplies bit patterns
        assert float((out.double() - want).abs().max()) > 1e6

    def test_arithmetic_and_casts() -> None:
        a, b = normal(64, seed=0), normal(64, seed=1)
        out, whole = torch.empty_like(a), torch.empty_like(a)
        with bf16_emulated():
            Launch(arithmetic_kernel, (1,), {"a": a, "b": b, "out": out, "whole": whole, "SIZE": 64}, num_warps=4).run()
        assert torch.equal(out, torch.where(a > b, a + b, a * b))
        assert torch.equal(whole, a.int().bfloat16())

    def test_sums_in_bf16_are_refused() -> None:
        """No kernel has one; the interpreter would add bit patterns."""
        arguments = {"a": normal(64, seed=0), "out": torch.empty(1, dtype=torch.bfloat16), "SIZE": 64}
        with bf16_emulated(), pytest.raises(Exception, match="widen first"):
            Launch(sum_kernel, (1,), arguments, num_warps=4).run()
