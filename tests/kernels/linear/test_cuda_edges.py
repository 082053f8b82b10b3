"""The GPU paths of linear cross-entropy where softmax is hard, in Triton's interpreter: far offsets, confident rows,
no rows, one class, several tiles, fp16; and what must not matter, the size of the blocks."""

from __future__ import annotations

import math
import mmap

import pytest
import torch
from torch import Tensor

from interpreted import INTERPRETED, run_interpreted
from linear_cases import IGNORE, Case, leaves, make_case, reference_rows, relative_error

if not INTERPRETED:

    @pytest.mark.triton
    def test_in_the_interpreter() -> None:
        run_interpreted(__file__)

else:
    from fiedler.kernels.gpu.exponential import SUMS, exponential, exponential_rows
    from fiedler.kernels.linear import cuda as linear_triton
    from fiedler.kernels.linear.options import Options
    from fiedler.kernels.linear.row_terms import ForwardResult, row_terms

    PATHS = ("chunked", "sweep", "recompute", "exponential", "flash")
    EXACT = 4e-6  # fp32 arithmetic on logits that fp32 holds exactly
    ROUNDED = 1e-5  # the same with the rounding of a product of some 40 terms
    HALF = 4e-3  # fp16 operands and results

    def run(case: Case, path: str, *, chunk_rows: int | None = None, gradients: bool = True) -> ForwardResult:
        options = Options(**case.options)
        terms = row_terms(
            case.target, options, classes=case.weight.shape[0], dtype=torch.float32, class_weight=case.class_weight,
            token_weight=case.token_weight,
        )  # fmt: skip
        return linear_triton.forward(
            case.input, case.weight, case.bias, terms, options, need_input=gradients, need_weight=gradients,
            need_bias=gradients and case.bias is not None, chunk_rows=chunk_rows, path=path,
        )  # fmt: skip

    def wanted(case: Case) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        x, w, b = leaves(case)
        rows, lse, *_, divisor = reference_rows(case, x, w, b)
        total = rows.sum() / divisor if case.options["reduction"] == "mean" else rows.sum()
        grad_x, grad_w = torch.autograd.grad(total, (x, w))
        return rows.detach(), lse.detach(), grad_x, grad_w

    def compare(case: Case, path: str, tolerance: float, chunk_rows: int | None = None) -> None:
        rows, lse, grad_x, grad_w = wanted(case)
        got = run(case, path, chunk_rows=chunk_rows)
        assert relative_error(got.loss_rows, rows) < tolerance
        if case.options.get("return_lse"):
            assert relative_error(got.lse, lse) < tolerance
        assert relative_error(got.grad_input, grad_x) < tolerance
        assert relative_error(got.grad_weight, grad_w) < tolerance

    def integers(rows: int, classes: int, size: int, *, lse: bool = True) -> Case:
        """Logits that are whole numbers up to about ``size``, exact in fp32 however they are summed."""
        generator = torch.Generator().manual_seed(3)
        x = torch.randint(-3, 4, (rows, 16), generator=generator).float()
        x[:, 0] = 1.0
        w = torch.randint(-3, 4, (classes, 16), generator=generator).float()
        w[:, 0] = torch.randint(-size, size + 1, (classes,), generator=generator).float()
        target = torch.randint(classes, (rows,), generator=generator)
        return Case(x, w, None, target, None, None, {"reduction": "mean", "return_lse": lse})

    @pytest.mark.parametrize("path", PATHS)
    @pytest.mark.parametrize("size", [100, 10_000])
    def test_logits_far_from_the_target(path: str, size: int) -> None:
        """Losses of hundreds to tens of thousands of nats: the offset has to move to the row's maximum."""
        case = integers(5, 40, size)
        assert float(wanted(case)[0].max()) > 60
        compare(case, path, EXACT)

    @pytest.mark.parametrize("path", PATHS)
    def test_only_some_blocks_of_rows_are_repeated(path: str) -> None:
        """Two blocks of rows and three of classes; one row of the second block is far off, the others are not."""
        case = make_case(frozenset(["lse"]), rows=140, classes=300, width=16, dtype=torch.float32)
        case.input[135] *= 60.0
        assert float(wanted(case)[0].max()) > 60
        compare(case, path, ROUNDED)

    @pytest.mark.parametrize("path", PATHS)
    def test_confident_rows(path: str) -> None:
        """Losses down to 1e-25, far below what 1 - p can show in fp32 or float64, to fp32's row_sums accuracy."""
        for gap in (12, 30, 60):
            x, w = torch.zeros(4, 16), torch.zeros(12, 16)
            x[:, 0], x[:, 1:5], w[0, 0] = 1.0, torch.eye(4), gap
            case = Case(x, w, None, torch.zeros(4, dtype=torch.int64), None, None, {"reduction": "mean"})
            other = math.exp(-gap) / (1 + 11 * math.exp(-gap))
            dz = torch.full((4, 12), other / 4, dtype=torch.float64)
            dz[:, 0] = -11 * other / 4
            got = run(case, path)
            loss = math.log1p(11 * math.exp(-gap))
            assert loss < 1e-4
            assert relative_error(got.loss_rows, torch.full((4,), loss, dtype=torch.float64)) < EXACT
            assert relative_error(got.grad_input, dz @ w.double()) < EXACT
            assert relative_error(got.grad_weight, dz.T @ x.double()) < EXACT

    @pytest.mark.parametrize("path", PATHS)
    def test_equal_logits(path: str) -> None:
        x, w = torch.ones(3, 16), torch.ones(10, 16)
        case = Case(x, w, None, torch.tensor([0, 4, 9]), None, None, {"reduction": "sum", "return_accuracy": True})
        got, (rows, _, _, grad_w) = run(case, path), wanted(case)
        assert relative_error(got.loss_rows, rows) < EXACT
        assert float(got.grad_input.abs().max()) < EXACT  # every row of the gradient sums to zero
        assert relative_error(got.grad_weight, grad_w) < EXACT
        assert got.correct.tolist() == [True, True, True]  # no other logit exceeds the target's

    @pytest.mark.parametrize("path", PATHS)
    def test_one_class_costs_nothing(path: str) -> None:
        case = make_case(frozenset(["bias"]), rows=3, classes=1, width=16, dtype=torch.float32)
        got = run(case, path)
        assert float(got.loss_rows.abs().max()) == 0.0
        for gradient in (got.grad_input, got.grad_weight, got.grad_bias):
            assert float(gradient.abs().max()) == 0.0

    @pytest.mark.parametrize("path", PATHS)
    def test_masked_classes(path: str) -> None:
        """A bias of -inf takes a class out."""
        case = make_case(frozenset(["bias", "entropy", "lse"]), rows=4, classes=20, width=16, dtype=torch.float32)
        case.bias[[3, 7]] = -torch.inf
        case.target[:] = torch.tensor([0, 1, 2, 4])
        rows, lse, grad_x, grad_w = wanted(
            Case(case.input, case.weight, case.bias.clamp_min(-1e30), case.target, None, None, case.options)
        )
        got = run(case, path)
        assert bool(torch.isfinite(got.entropy).all())
        for one, other in zip((got.loss_rows, got.lse, got.grad_input, got.grad_weight), (rows, lse, grad_x, grad_w),
                              strict=True):  # fmt: skip
            assert relative_error(one, other) < ROUNDED

    @pytest.mark.parametrize("path", PATHS)
    def test_nan_stays(path: str) -> None:
        case = make_case(frozenset(), rows=4, classes=20, width=16, dtype=torch.float32)
        case.input[2, 3] = torch.nan
        got = run(case, path)
        assert torch.isnan(got.loss_rows).tolist() == [False, False, True, False]
        assert bool(torch.isnan(got.grad_input[2]).any())
        assert bool(torch.isfinite(got.grad_input[[0, 1, 3]]).all())

    @pytest.mark.parametrize("path", PATHS)
    def test_nothing_counts(path: str) -> None:
        """All rows ignored: zero losses and zero gradients, although the mean's divisor is zero."""
        case = make_case(frozenset(["smoothing", "bias"]), rows=4, classes=20, width=16, dtype=torch.float32,
                         reduction="mean")  # fmt: skip
        case.target[:] = IGNORE
        got = run(case, path)
        for zero in (got.loss_rows, got.grad_input, got.grad_weight, got.grad_bias):
            assert float(zero.abs().max()) == 0.0

    @pytest.mark.parametrize("path", PATHS)
    def test_no_rows(path: str) -> None:
        case = make_case(frozenset(), rows=4, classes=20, width=16, dtype=torch.float32)
        empty = Case(case.input[:0], case.weight, None, case.target[:0], None, None, case.options)
        got = run(empty, path)
        assert got.loss_rows.shape == (0,)
        assert got.grad_input.shape == (0, 16)
        assert torch.equal(got.grad_weight, torch.zeros(20, 16))

    @pytest.mark.parametrize("path", PATHS)
    def test_a_target_that_is_no_class_gives_nan(path: str) -> None:
        case = make_case(frozenset(), rows=4, classes=20, width=16, dtype=torch.float32)
        case.target[1] = 20
        got = run(case, path, gradients=False)
        assert torch.isnan(got.loss_rows).tolist() == [False, True, False, False]

    @pytest.mark.parametrize("path", ["chunked", "recompute", "flash"])
    @pytest.mark.parametrize("reduction", ["sum", "mean"])
    def test_half_precision(path: str, reduction: str) -> None:
        """fp16: the factor 1 / N of a mean must not push gradients below its range."""
        switches = frozenset(["bias", "smoothing", "z_loss", "ignored", "token_weight"])
        case = make_case(switches, rows=8, classes=50, width=24, dtype=torch.float16, reduction=reduction)
        if reduction == "mean":
            case.token_weight.mul_(1e6)  # as if a million rows shared the mean: 1 / divisor leaves the range of fp16
            case = Case(case.input, case.weight, case.bias, case.target, None, case.token_weight, case.options)
        compare(case, path, HALF, chunk_rows=3)

    @pytest.mark.parametrize("path", ["chunked", "recompute", "flash"])
    def test_half_precision_keeps_small_gradients(path: str) -> None:
        """Gradients of 1e-8 times the largest are subnormal in fp16 if the scale comes before rounding."""
        case = make_case(frozenset(), rows=6, classes=50, width=24, dtype=torch.float16)
        options = Options(reduction="none")
        terms = row_terms(case.target, options, classes=50, dtype=torch.float32)
        x, w, _ = leaves(case)
        rows = reference_rows(case, x, w, None)[0]
        upstream = torch.full((6,), 2.0**-14)
        want_x, want_w = torch.autograd.grad(rows, (x, w), upstream.double())
        row_sums = linear_triton.forward(
            case.input, case.weight, None, terms, options, need_input=False, need_weight=False, need_bias=False,
            path=path,
        ).row_sums  # fmt: skip
        got = linear_triton.backward(
            case.input, case.weight, None, terms, options, row_sums, upstream, None, None, need_input=True,
            need_weight=True, need_bias=False, path=path,
        )  # fmt: skip
        # Results near 1e-5 are themselves subnormal in fp16, spaced 6e-8: the bound allows for their rounding.
        assert relative_error(got[0], want_x) < HALF
        assert relative_error(got[1], want_w) < HALF

    @pytest.mark.parametrize("path", ["chunked", "sweep", "recompute", "exponential"])
    def test_block_size_does_not_matter(path: str) -> None:
        case = make_case(frozenset(["bias", "z_loss"]), rows=11, classes=1300, width=16, dtype=torch.float32)
        results = [run(case, path, chunk_rows=rows) for rows in (1, 4, 11, 64)]
        for got in results[1:]:
            for name in ("loss_rows", "grad_input", "grad_weight", "grad_bias"):
                assert relative_error(getattr(got, name), getattr(results[0], name).double()) < ROUNDED

    @pytest.mark.parametrize("path", PATHS)
    def test_strides(path: str) -> None:
        """Rows of a wider matrix, a transposed one and an expanded one."""
        case = make_case(frozenset(), rows=6, classes=20, width=16, dtype=torch.float32)
        wide = torch.zeros(6, 40)
        wide[:, 3:19] = case.input
        for x, w in (
            (wide[:, 3:19], case.weight.T.contiguous().T),
            (case.input[:1].expand(6, 16), case.weight),
        ):
            compare(Case(x, w, None, case.target, None, None, case.options), path, ROUNDED)

    @pytest.mark.parametrize("path", PATHS)
    def test_only_what_is_needed(path: str) -> None:
        """A frozen input leaves the weight its gradient, and the other way round."""
        case = make_case(frozenset(["bias"]), rows=5, classes=20, width=16, dtype=torch.float32)
        options = Options(**case.options)
        terms = row_terms(case.target, options, classes=20, dtype=torch.float32)
        full = run(case, path)
        for k, name in enumerate(("grad_input", "grad_weight", "grad_bias")):
            need = [k == position for position in range(3)]
            got = linear_triton.forward(
                case.input, case.weight, case.bias, terms, options, need_input=need[0], need_weight=need[1],
                need_bias=need[2], path=path,
            )  # fmt: skip
            assert torch.equal(getattr(got, name), getattr(full, name))
            assert sum(g is not None for g in (got.grad_input, got.grad_weight, got.grad_bias)) == 1

    def test_partial_sums_beyond_32_bits() -> None:
        """Planes and tiles of partial sums 2^30 numbers apart, in address space that holds no memory: the same bits."""
        n, width, classes = 5, 16, 80
        generator = torch.Generator().manual_seed(0)
        x, w = torch.randn(n, width, generator=generator), torch.randn(classes, width, generator=generator)
        target = torch.arange(n)
        exact = (x * w[target]).sum(1)
        no_reserve = getattr(mmap, "MAP_NORESERVE", 0x4000)  # Linux, which Triton runs on; named from Python 3.13
        kind = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | no_reserve
        far = torch.frombuffer(mmap.mmap(-1, 6 << 32, flags=kind), dtype=torch.float32)
        found = []
        for partial in (
            torch.empty(SUMS, 3, n),
            far.as_strided((SUMS, 3, n), ((1 << 30) + 4096, (1 << 30) + 64, 1)),
        ):
            exponential(
                x, w, None, target, exact, exact.clone(), partial, e=None, class_term=torch.linspace(0, 1, classes),
                cap=None, entropy=True, accuracy=True, architecture=80,
            ).run()  # fmt: skip
            ones, flags = torch.ones(n), (torch.empty(1, dtype=torch.int32), torch.empty((), dtype=torch.int32))
            loss, lse, entropy = torch.empty(3, n)
            correct = torch.empty(n, dtype=torch.bool)
            exponential_rows(
                partial, exact.clone(), exact, ones, ones, ones, flags, loss=loss, lse=lse, entropy=entropy,
                correct=correct, alpha=None, beta=None, gradient_weight=None, grad_lse=None,
                class_term=torch.linspace(0, 1, classes), cap=None, z_loss=0.0,
            ).run()  # fmt: skip
            found.append((loss, lse, entropy, correct))
        for near, apart in zip(*found, strict=True):
            assert torch.equal(near, apart)
        assert torch.allclose(found[1][1], torch.logsumexp(x @ w.T, 1))

    @pytest.mark.parametrize("path", PATHS)
    @pytest.mark.parametrize("returned", [False, True])
    def test_a_class_taken_out_that_ignored_rows_stand_at(path: str, returned: bool) -> None:
        """Class 0, whose place an ignored row takes, has the logit -inf: nothing of it reaches a gradient."""
        case = make_case(frozenset(["bias", "lse"] if returned else ["bias"]), rows=6, classes=20, width=16,
                         dtype=torch.float32)  # fmt: skip
        case.bias[0] = -torch.inf
        case.target[:] = torch.tensor([3, 4, IGNORE, 5, 6, 7])
        low = Case(case.input, case.weight, case.bias.clamp_min(-1e30), case.target, None, None, case.options)
        rows, lse, grad_x, grad_w = wanted(low)
        got = run(case, path)
        if returned:
            assert relative_error(got.lse, lse) < ROUNDED
        for one, other in zip((got.loss_rows, got.grad_input, got.grad_weight), (rows, grad_x, grad_w), strict=True):
            assert relative_error(one, other) < ROUNDED

    @pytest.mark.parametrize("path", PATHS)
    def test_accuracy_counts_rows_of_weight_zero_and_ties(path: str) -> None:
        x, w = torch.ones(3, 16), torch.ones(10, 16)
        weight = torch.tensor([0.0, 1.0, 0.0])
        case = Case(x, w, None, torch.tensor([0, 4, 9]), None, weight, {"reduction": "sum", "return_accuracy": True})
        assert run(case, path, gradients=False).correct.tolist() == [True, True, True]
        w[4, 0] = 2.0
        assert run(case, path, gradients=False).correct.tolist() == [False, True, False]
