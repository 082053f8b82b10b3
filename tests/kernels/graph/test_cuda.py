"""Softmax averages of a graph, and the small kernels beside the products, in Triton's interpreter against float64."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from interpreted import INTERPRETED, run_interpreted
from linear_cases import relative_error

if not INTERPRETED:

    @pytest.mark.triton
    def test_in_the_interpreter() -> None:
        run_interpreted(__file__)

else:
    from fiedler.kernels import csr_target, graph_cross_entropy, tied_graph_cross_entropy
    from fiedler.kernels.gpu.row_sum import row_sum, row_sum_partials
    from fiedler.kernels.gpu.scale import scale
    from fiedler.kernels.gpu.target import combine_rows, scatter_rows, sort_targets, target_logit
    from fiedler.kernels.graph import cuda as graph_triton
    from fiedler.kernels.graph.cuda import (
        PivotSums,
        joined_sums,
        pivot_sums,
        pivot_transpose_average,
        tied_pivot_average,
    )

    TOLERANCE = {torch.float32: 5e-6, torch.float16: 3e-3}

    def normal(*shape: int, seed: int = 0, size: float = 1.0) -> Tensor:
        return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * size

    def others(x: Tensor, c: Tensor, bias: Tensor | None, pivot: Tensor) -> tuple[Tensor, Tensor]:
        """The probabilities but for the pivots', and the log-sum-exp of all."""
        z = x.double() @ c.double().T
        z = z if bias is None else z + bias.double()
        lse = torch.logsumexp(z, 1)
        return torch.exp(z - lse[:, None]).scatter(1, pivot[:, None], 0.0), lse

    def pivots(n: int, m: int) -> Tensor:
        return torch.randint(m, (n,), generator=torch.Generator().manual_seed(7))

    def log_sum(sums: PivotSums) -> Tensor:
        return sums.offset + (sums.own + sums.others).log()

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
    @pytest.mark.parametrize("biased", [False, True])
    @pytest.mark.parametrize(("n", "m", "width"), [(70, 150, 16), (5, 33, 50), (1, 1, 1), (130, 20, 128)])
    def test_averages(n: int, m: int, width: int, biased: bool, dtype: torch.dtype) -> None:
        x, c = normal(n, width).to(dtype), normal(m, width, seed=1).to(dtype)
        bias = normal(m, seed=2).to(dtype) if biased else None
        weight, pivot = normal(n, seed=3), pivots(n, m)
        weight[0] = 0.0
        p, lse = others(x, c, bias, pivot)
        sums, average = pivot_sums(x, c, bias, pivot, average=True)
        assert average is not None
        assert relative_error(log_sum(sums), lse) < TOLERANCE[dtype]
        assert relative_error(average, p @ c.double()) < TOLERANCE[dtype]
        assert torch.equal(pivot_sums(x, c, bias, pivot, average=False)[0].others, sums.others)
        back, columns = pivot_transpose_average(x, c, bias, pivot, sums, weight)
        spread = p * weight.double()[:, None]
        assert relative_error(back, spread.T @ x.double()) < TOLERANCE[dtype]
        assert relative_error(columns, spread.sum(0)) < TOLERANCE[dtype]

    @pytest.mark.parametrize("size", [1.0, 8.0])  # logits of a thousand
    @pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
    def test_blocks_of_columns_join(dtype: torch.dtype, size: float) -> None:
        """Every row's pivot is in one of three blocks, and -1 in the others; one block is a single column."""
        n, m, width = 70, 150, 16
        x, c = (size * normal(n, width)).to(dtype), normal(m, width, seed=1).to(dtype)
        pivot, weight = pivots(n, m), normal(n, seed=3)
        pivot[:5] = 90
        close = TOLERANCE[dtype] * (20 if size > 1 else 1)  # exponents are rounded as logits of a hundred are
        p, lse = others(x, c, None, pivot)
        exact = (x.double() * c[pivot].double()).sum(1)
        sums = average = None
        blocks = slice(0, 90), slice(90, 91), slice(91, m)
        inside = [torch.where((pivot >= b.start) & (pivot < b.stop), pivot - b.start, -1) for b in blocks]
        for block, here in zip(blocks, inside, strict=True):
            found, mean = pivot_sums(x, c[block], None, here, average=True)
            assert torch.equal(found.own == 0, here < 0) or size > 1  # where it may underflow
            assert torch.equal(torch.isneginf(found.at_pivot), here < 0)
            if sums is None:
                sums, average = found, mean
                continue
            sums, left, right = joined_sums(sums, found)
            assert float((left + right - 1).abs().max()) < 1e-6
            average = average * left[:, None] + mean * right[:, None]
        assert relative_error(sums.at_pivot, exact) < TOLERANCE[torch.float32]
        assert float((log_sum(sums) - lse).abs().max()) < 1e-6 * float(lse.abs().max().clamp_min(4.0))
        assert relative_error(average, p @ c.double()) < close
        spread = (p * weight.double()[:, None]).T @ x.double()
        for block, here in zip(blocks, inside, strict=True):
            part = pivot_transpose_average(x, c[block], None, here, sums, weight)[0]
            assert float((part - spread[block]).norm()) < close * float(spread.norm())

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
    @pytest.mark.parametrize(("n", "width"), [(150, 16), (33, 50), (1, 4)])
    def test_tied_average(n: int, width: int, dtype: torch.dtype) -> None:
        x, weight = normal(n, width, size=0.7).to(dtype), normal(n, seed=3).abs() + 0.1
        weight[n // 2] = 0.0
        pivot = pivots(n, n)
        spread = others(x, x, None, pivot)[0] * weight.double()[:, None]
        sums = pivot_sums(x, x, None, pivot, average=False)[0]
        average = tied_pivot_average(x, pivot, sums, weight)
        assert relative_error(average, (spread + spread.T) @ x.double()) < TOLERANCE[dtype]

    @pytest.mark.parametrize(("dtype", "close"), [(torch.float32, 5e-6), (torch.float16, 3e-3)])
    @pytest.mark.parametrize("biased", [False, True])
    def test_wide_embeddings_take_blocks_of_rows(
        biased: bool, dtype: torch.dtype, close: float, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Beyond the flash form's width; blocks of three rows."""
        n, width = 10, 300
        monkeypatch.setattr(graph_triton, "BLOCK_BYTES", 3 * n * dtype.itemsize)
        x, weight, pivot = normal(n, width, size=0.1).to(dtype), normal(n, seed=3), pivots(n, n)
        bias = normal(n, seed=2).to(dtype) if biased else None
        p, lse = others(x, x, bias, pivot)
        spread = p * weight.double()[:, None]
        sums, average = pivot_sums(x, x, bias, pivot, average=True)
        assert average is not None
        assert relative_error(log_sum(sums), lse) < close
        assert relative_error(average, p @ x.double()) < close
        back, columns = pivot_transpose_average(x, x, bias, pivot, sums, weight)
        assert relative_error(back, spread.T @ x.double()) < close
        assert relative_error(columns, spread.sum(0)) < close
        if bias is None:
            tied = tied_pivot_average(x, pivot, sums, weight)
            assert relative_error(tied, (spread + spread.T) @ x.double()) < close

    def test_large_logits() -> None:
        """Logits of several hundred, whose exponentials overflow, and rows that see one class only."""
        x, c = normal(40, 16, size=8.0), normal(50, 16, seed=1, size=8.0)
        pivot = (x @ c.T).argmin(1)  # the furthest off
        p, lse = others(x, c, None, pivot)
        assert float(lse.max()) > 500
        sums, average = pivot_sums(x, c, None, pivot, average=True)
        assert average is not None
        # Logits of 1,000 are themselves rounded to 1e-4 in fp32, and so are the probabilities.
        assert relative_error(log_sum(sums), lse) < 1e-6
        assert relative_error(average, p @ c.double()) < 5e-4
        back = pivot_transpose_average(x, c, None, pivot, sums, torch.ones(40))[0]
        assert relative_error(back, p.T @ x.double()) < 5e-4

    @pytest.mark.parametrize("width", [64, 320])  # the flash form, and blocks of logits
    @pytest.mark.parametrize("odds", [3e-3, 2.5e-5])  # 1 - p
    def test_confident_rows_keep_their_gradient(odds: float, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
        """fp16, one neighbour a row: the gradient is made of 1 - p and of probabilities below fp16's smallest."""
        for module in ("cross_entropy", "tied_cross_entropy"):
            monkeypatch.setattr(f"fiedler.kernels.graph.{module}.resolve", lambda path, _: path)
        n = 40
        margin = math.log((n - 1) / odds)
        names = torch.arange(n).roll(1)  # row i names names[i]
        c = (torch.eye(n, width) * margin**0.5 + 0.02 * normal(n, width)).half()
        x = c[names].clone()
        target, weight = csr_target(torch.eye(n)[names]), torch.full((n,), 2.0**9)
        for tied in (False, True):
            if tied:  # each names itself, which alone can be likely
                x, names, target = c, torch.arange(n), csr_target(torch.eye(n))
            leaves = [t.clone().requires_grad_() for t in ((x,) if tied else (x, c))]
            exact = [t.detach().double().requires_grad_() for t in leaves]
            function = tied_graph_cross_entropy if tied else graph_cross_entropy
            function(*leaves, target, row_weight=weight, path="flash").backward()
            z = exact[0] @ exact[-1].T
            (torch.nn.functional.cross_entropy(z, names, reduction="sum") * weight[0]).backward()
            for found, right in zip(leaves, exact, strict=True):
                assert found.grad is not None
                assert right.grad is not None
                error = (found.grad.double() - right.grad).norm() / right.grad.norm()
                assert error < (2e-3 if width == 64 else 5e-2), (tied, error)  # logits of blocks are kept in fp16

    def test_refusals() -> None:
        x, c, pivot = torch.zeros(3, 4), torch.zeros(5, 4), pivots(3, 5)
        with pytest.raises(TypeError, match="float64"):
            pivot_sums(x.double(), c.double(), None, pivot, average=True)
        with pytest.raises(ValueError, match="do not fit"):
            pivot_sums(x, torch.zeros(5, 3), None, pivot, average=True)
        with pytest.raises(ValueError, match="bias"):
            pivot_sums(x, c, torch.zeros(4), pivot, average=True)

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
    def test_row_sum(dtype: torch.dtype) -> None:
        matrix, factor = normal(300, 70).to(dtype), normal(300, seed=1)
        assert relative_error(row_sum(matrix, factor), factor.double() @ matrix.double()) < 2e-6
        assert relative_error(row_sum(matrix), matrix.double().sum(0)) < 2e-6

    @pytest.mark.parametrize("shape", [(2**28, 8), (8, 2**28)])
    def test_row_sums_of_any_size_can_be_launched(shape: tuple[int, int]) -> None:
        """CUDA takes 2^31 - 1 programs along the first axis, 65,535 along the others."""
        matrix = torch.empty(shape, device="meta")
        partial = torch.empty(-(-shape[0] // 128), shape[1], device="meta")
        first, *others = row_sum_partials(matrix, None, partial).grid
        assert first < 2**31
        assert all(count <= 65_535 for count in others)

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float16])  # the interpreter cuts bfloat16 off
    def test_scale_rounds_the_product_only(dtype: torch.dtype) -> None:
        matrix, factor = normal(90, 101).to(dtype), torch.tensor(1 / 13)
        want, kept = (matrix.float() * factor).to(dtype), matrix.clone()
        scale(matrix, factor).run()
        assert torch.equal(matrix, want)
        scale(kept, torch.tensor(1.0)).run()
        assert torch.equal(kept, normal(90, 101).to(dtype))

    def test_target_logit_and_combination() -> None:
        x, w, bias = normal(9, 40), normal(12, 40, seed=1), normal(12, seed=2)
        target = torch.tensor([0, 3, 3, 11, 5, 0, 0, 2, 3])
        out = torch.empty(9)
        target_logit(x, w, bias, target, out, cap=1.5).run()
        exact = (x.double() * w[target].double()).sum(1) + bias[target].double()
        assert relative_error(out, 1.5 * torch.tanh(exact / 1.5)) < 2e-6
        alpha, beta, g, vector = normal(9, seed=3), normal(9, seed=4), normal(9, seed=5), normal(40, seed=6)
        combined = torch.empty(9, 40)
        factor = torch.tensor(0.5)
        combine_rows(combined, x, alpha, w, target, beta, row_factor=g, vector=vector, factor=factor).run()
        want = alpha[:, None] * x.double() + beta[:, None] * w[target].double() - torch.outer(g, vector).double()
        assert relative_error(combined, 0.5 * want) < 2e-6

    def test_scatter_sums_each_class_once() -> None:
        """Classes with no row, one row, and more rows than one step takes."""
        target = torch.cat([torch.full((40,), 3), torch.tensor([0, 5, 3, 5])])
        x, beta = normal(44, 300), normal(44, seed=1)
        weight, bias = torch.ones(7, 300), torch.ones(7)
        want_weight = torch.ones(7, 300, dtype=torch.float64).index_add_(0, target, x.double() * beta.double()[:, None])
        want_bias = torch.ones(7, dtype=torch.float64).index_add_(0, target, beta.double())
        scatter_rows(weight, bias, x, beta, *sort_targets(target, beta, 7), 7).run()
        assert relative_error(weight, want_weight) < 2e-6
        assert relative_error(bias, want_bias) < 2e-6
